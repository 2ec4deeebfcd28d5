/* Turn: a hostile server. A scripted allocation with a permission and a channel comes first,
 * over datagrams or a stream as the first byte says; then runs of a length and bytes, each of
 * them input, with time that passes and wishes between. What is told stays within what came,
 * the client ends at most once and says nothing afterwards, and never asks to be called in
 * vain. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "support/turn_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { STREAM = 1, OPEN = 2, SHA256 = 4, EARLY = 8, OWN_ID = 16 };

static struct {
	struct turn_server s;
	struct snet_turn *t;
	struct snet_addr peer;
	snet_time now;
	bool closed, relays; /* relays: the scripted server still answers */
	uint8_t id[SNET_STUN_ID];
	uint8_t out[SNET_TURN_OUT_MAX];
} at;

static void take_events(const uint8_t *p, size_t n)
{
	struct snet_turn_event ev;

	while (snet_turn_event(at.t, &ev)) {
		assert(!at.closed);
		at.closed = ev.what == SNET_TURN_CLOSED;
		if (ev.what == SNET_TURN_DATA && ev.n)
			assert(ev.p && ev.n <= UINT16_MAX);
		if (ev.what == SNET_TURN_DATA && ev.n && !(at.s.stream) && n)
			assert(ev.p >= p && ev.p + ev.n <= p + n);
		if (ev.what == SNET_TURN_REDIRECTED)
			snet_turn_start(at.t, at.now);
	}
}

static void input(const uint8_t *p, size_t n)
{
	size_t used = 0;

	while (used < n) {
		long k = snet_turn_input(at.t, p + used, n - used, at.now);

		take_events(p + used, n - used);
		if (k < 0)
			return;
		assert(k && (size_t)k <= n - used);
		used += (size_t)k;
	}
}

static void output(void)
{
	uint8_t answer[2048];
	unsigned most = 4096;
	size_t n, len;

	while ((n = snet_turn_output(at.t, at.out, at.now))) {
		assert(most-- && !at.closed);
		if (at.out[0] < 4)
			memcpy(at.id, at.out + 8, sizeof(at.id));
		len = at.relays ? turn_server_input(&at.s, at.out, n, at.now, answer,
						    sizeof(answer))
				: 0;
		if (len)
			input(answer, len);
	}
	take_events(NULL, 0);
	assert(snet_turn_deadline(at.t) > at.now);
	assert(!at.closed || snet_turn_deadline(at.t) == SNET_NEVER);
}

static void script(uint8_t flags)
{
	uint8_t seed[SNET_TURN_SEED] = { 7 };
	struct snet_turn_opts o = { .user = "alice", .password = "secret", .userhash = true };

	turn_server_init(&at.s);
	at.s.stream = o.stream = flags & STREAM;
	at.s.open = flags & OPEN;
	at.s.sha256 = flags & SHA256;
	at.s.userhash = flags & SHA256;
	at.now = SNET_SEC;
	at.closed = false;
	assert(!snet_addr_parse(&at.peer, "198.51.100.77:7000"));
	assert(!snet_addr_parse(&o.server, "192.0.2.1:3478"));
	assert(!snet_turn_new(&at.t, &o, seed, NULL));
	assert(!snet_turn_start(at.t, at.now));
	assert(!snet_turn_bind(at.t, &at.peer, at.now));
	at.relays = !(flags & EARLY);
	output();
	output();
	assert(at.relays == at.s.allocated);
	at.relays = false; /* from here on, anything answers */
}

static void wish(unsigned what)
{
	struct snet_addr other = at.peer;

	snet_addr_set_port(&other, (uint16_t)(7000 + (what >> 3)));
	switch (what & 7) {
	case 0:
		snet_turn_bind(at.t, &other, at.now);
		break;
	case 1:
		snet_turn_send(at.t, &other, "hello", 5);
		break;
	case 2:
		snet_turn_refresh(at.t, at.now);
		break;
	case 3:
		snet_turn_forget(at.t, &other, at.now);
		break;
	case 4:
		if (what == 0xfc)
			snet_turn_release(at.t, at.now);
		break;
	default: /* time passes */
		at.now += SNET_SEC << (what >> 4);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);
	uint8_t flags = snet_take_u8(&r), piece[256];

	if (!n)
		return 0;
	script(flags);
	while (snet_left(&r)) {
		size_t len = snet_take_u8(&r);

		if (!len) {
			wish(snet_take_u8(&r));
			output();
			continue;
		}
		len = len < snet_left(&r) ? len : snet_left(&r);
		memcpy(piece, snet_take(&r, len), len);
		/* So that what looks like an answer is one to what was last asked. */
		if (flags & OWN_ID && len >= SNET_STUN_HEADER && piece[0] < 4)
			memcpy(piece + 8, at.id, sizeof(at.id));
		input(piece, len);
		output();
	}
	snet_turn_free(at.t);
	return 0;
}
