/* Agent: an ICE agent in the hands of its peer, who knows the credentials: packets as they are,
 * checks and answers with any attributes and a good signature, candidates, time. Whatever
 * comes, it never answers with more than three times as much, and is never due again at once.
 */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "nat/agent.h"
#include "nat/stunauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char pwd[] = "peerPeerPeerPeerPeerPeer";
static struct {
	struct snet_agent *a;
	snet_time now;
	uint8_t id[SNET_STUN_ID]; /* of its last check */
	size_t answered;
} w;

static struct snet_addr place(uint8_t which)
{
	struct snet_addr a = { .in.sin_family = AF_INET };

	a.in.sin_addr.s_addr = htonl(0x0a000100u + which % 16);
	snet_addr_set_port(&a, (uint16_t)(9000 + which / 16));
	return a;
}

static void drain(void)
{
	struct snet_agent_packet out;
	struct snet_agent_event ev;
	struct snet_stunmsg m;

	w.answered = 0;
	while (snet_agent_next(w.a, &out)) {
		assert(out.n <= sizeof(out.p) && !snet_stunmsg_parse(&m, out.p, out.n));
		assert(snet_agent_state(w.a) != SNET_AGENT_FAILED);
		if (m.cls == SNET_STUN_REQUEST)
			memcpy(w.id, m.id, sizeof(w.id));
		else
			w.answered += out.n;
	}
	while (snet_agent_event(w.a, &ev))
		assert(ev.what != SNET_AGENT_SELECTED || ev.rtt <= w.now);
	assert(snet_agent_deadline(w.a) > w.now);
}

static void hear(const uint8_t *p, size_t n, uint8_t from)
{
	struct snet_addr a = place(from);

	snet_agent_input(w.a, 1 + from % 2, &a, p, n, w.now);
	drain();
	assert(w.answered <= 3 * n);
}

/* Attributes from the input, all else as it should be. */
static void say(const uint8_t *p, size_t n, uint8_t from, bool answer)
{
	struct snet_stun_key key;
	struct snet_stunout o;
	uint8_t out[1024], id[SNET_STUN_ID] = { from };
	struct snet_addr mapped = place(from);
	char name[64];

	strcpy(name, snet_agent_ufrag(w.a));
	strcat(name, ":peer");
	assert(!snet_stun_key_short(&key, answer ? pwd : snet_agent_pwd(w.a)));
	snet_stunmsg_begin(&o, out, sizeof(out),
			   !answer ? SNET_STUN_REQUEST
			   : n     ? SNET_STUN_ERROR
				   : SNET_STUN_SUCCESS,
			   SNET_STUN_BINDING, answer ? w.id : id);
	if (!answer)
		snet_stunmsg_put_text(&o, SNET_STUN_USERNAME, name);
	else if (!n)
		snet_stunmsg_put_addr(&o, SNET_STUN_XOR_MAPPED_ADDRESS, &mapped);
	memcpy(out + o.n, p, n & ~(size_t)3);
	o.n += n & ~(size_t)3;
	snet_stunauth_put(&o, SNET_STUN_SHA1, &key);
	snet_stunmsg_put_fingerprint(&o);
	if (snet_stunmsg_end(&o))
		hear(out, snet_stunmsg_end(&o), from);
}

static void begin(bool controlling)
{
	struct snet_agent_config c = snet_agent_defaults;
	uint8_t random[SNET_AGENT_RANDOM];

	memset(random, 0x55, sizeof(random));
	c.controlling = controlling;
	w.now = SNET_SEC;
	assert(!snet_agent_new(&w.a, &c, random, NULL));
	snet_agent_start(w.a, w.now);
	for (uint32_t h = 1; h <= 2; h++) {
		struct snet_local l = { .base = place((uint8_t)(16 * h)), .handle = h };

		l.c = (struct snet_candidate){ .component = 1, .address = l.base };
		l.c.foundation[0] = (char)('0' + h);
		l.c.priority = 1000 + h;
		assert(!snet_agent_add_local(w.a, &l, w.now));
	}
	drain();
}

static void restart(uint8_t fill)
{
	uint8_t random[SNET_AGENT_RANDOM];
	struct snet_agent_event had, has;
	bool had_one = snet_agent_selected(w.a, &had);

	memset(random, fill, sizeof(random));
	if (snet_agent_restart(w.a, random, w.now))
		return;
	/* Whatever is known of new ones, the pair is what it was. */
	assert(snet_agent_selected(w.a, &has) == had_one);
	assert(!had_one || snet_addr_eq(&had.remote.address, &has.remote.address));
}

static void step(uint8_t op, uint8_t arg, const uint8_t *p, size_t n)
{
	struct snet_candidate c = { .component = 1, .foundation = "f", .address = place(arg) };
	int rc;

	switch (op % 8) {
	case 0:
		hear(p, n, arg);
		break;
	case 1:
	case 2:
		say(p, n, arg, op % 8 == 2);
		break;
	case 3:
		c.priority = n >= 4 ? snet_get_be32(p) : 1;
		snet_agent_add_remote(w.a, &c, w.now);
		break;
	case 4:
		rc = snet_agent_set_remote(w.a, "peer", pwd, w.now);
		assert(!rc || rc == SNET_ECLOSED);
		break;
	case 5:
		w.now += (snet_time)(arg + 1) * SNET_MS * (n + 1);
		snet_agent_step(w.a, w.now);
		break;
	case 6:
		if (snet_agent_deadline(w.a) != SNET_NEVER)
			w.now = snet_agent_deadline(w.a);
		snet_agent_step(w.a, w.now);
		break;
	case 7:
		if (arg % 4 == 0)
			snet_agent_unreachable(w.a, 1 + n % 2, &c.address, w.now);
		else if (arg % 4 == 1)
			snet_agent_end_remote(w.a, w.now);
		else if (arg % 4 == 2)
			snet_agent_end_local(w.a, w.now);
		else if (arg % 8 == 3)
			snet_agent_remove_base(w.a, 1 + n % 2, w.now);
		else
			restart(arg);
		break;
	}
	drain();
}

/* One byte of role; then operations: what, an argument, a length, so many bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);

	begin(snet_take_u8(&r) & 1);
	while (snet_left(&r)) {
		uint8_t op = snet_take_u8(&r), arg = snet_take_u8(&r);
		size_t len = snet_take_u8(&r);
		const uint8_t *bytes = snet_take(&r, len);

		if (bytes)
			step(op, arg, bytes, len);
	}
	snet_agent_free(w.a);
	return 0;
}
