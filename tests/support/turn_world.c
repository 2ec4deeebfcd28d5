#undef NDEBUG
#include "support/turn_world.h"

#include <assert.h>
#include <string.h>

int turn_world_init(struct turn_world *w, const struct snet_turn_opts *o, unsigned seed)
{
	struct snet_turn_opts opts = *o;
	uint8_t bytes[SNET_TURN_SEED];

	memset(w, 0, sizeof(*w));
	turn_server_init(&w->s);
	w->now = 1000 * SNET_SEC;
	w->rng = seed * 2654435761u + 1;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(seed * 31 + i * 7);
	opts.user = o->user ? o->user : w->s.user;
	opts.password = o->password ? o->password : w->s.password;
	assert(!snet_addr_parse(&opts.server, "192.0.2.1:3478"));
	w->s.stream = o->stream;
	return snet_turn_new(&w->t, &opts, bytes, NULL);
}

void turn_world_free(struct turn_world *w)
{
	snet_turn_free(w->t);
	w->t = NULL;
}

static unsigned draw(struct turn_world *w, unsigned below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return below ? (unsigned)(w->rng >> 33) % below : 0;
}

static void post_once(struct turn_world *w, bool to_server, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < TURN_WORLD_PACKETS; i++) {
		if (w->packets[i].n)
			continue;
		w->packets[i].at = w->now + TURN_WORLD_DELAY +
				   draw(w, (unsigned)(w->jitter / SNET_US)) * SNET_US;
		w->packets[i].to_server = to_server;
		w->packets[i].n = n;
		assert(n <= sizeof(w->packets[i].p));
		memcpy(w->packets[i].p, p, n);
		return;
	}
	assert(!"too many packets under way");
}

static void post(struct turn_world *w, bool to_server, const uint8_t *p, size_t n)
{
	if (draw(w, 100) < w->loss)
		return;
	post_once(w, to_server, p, n);
	if (draw(w, 100) < w->twice)
		post_once(w, to_server, p, n);
}

static void take_events(struct turn_world *w)
{
	struct snet_turn_event ev;

	while (snet_turn_event(w->t, &ev)) {
		assert(ev.what > SNET_TURN_NOTHING && ev.what <= SNET_TURN_CLOSED);
		assert(!w->told[SNET_TURN_CLOSED]); /* it is the last */
		w->told[ev.what]++;
		w->last[ev.what] = ev;
		if (ev.what == SNET_TURN_DATA) {
			assert(ev.n <= sizeof(w->data));
			memcpy(w->data, ev.p, ev.n);
		}
	}
}

void turn_world_drain(struct turn_world *w)
{
	static uint8_t out[SNET_TURN_OUT_MAX];
	size_t n;

	take_events(w);
	while ((n = snet_turn_output(w->t, out, w->now))) {
		if (w->sent < sizeof(w->sent_at) / sizeof(w->sent_at[0]))
			w->sent_at[w->sent] = w->now;
		w->sent++;
		post(w, true, out, n);
	}
	take_events(w);
}

static void to_client(struct turn_world *w, const uint8_t *p, size_t n)
{
	while (n && !w->mute) {
		size_t piece = w->chunk && w->chunk < n ? w->chunk : n;
		long used = snet_turn_input(w->t, p, piece, w->now);

		if (used < 0) {
			w->rc = (int)used;
			break;
		}
		assert(used && (size_t)used <= piece);
		turn_world_drain(w);
		p += used;
		n -= (size_t)used;
	}
	turn_world_drain(w);
}

static void deliver(struct turn_world *w, size_t i)
{
	uint8_t p[sizeof(w->packets[0].p)], out[2048];
	size_t n = w->packets[i].n, answer;

	memcpy(p, w->packets[i].p, n);
	w->packets[i].n = 0;
	if (!w->packets[i].to_server) {
		to_client(w, p, n);
		return;
	}
	answer = turn_server_input(&w->s, p, n, w->now, out, sizeof(out));
	if (answer)
		post(w, false, out, answer);
}

/* What comes next: a packet, or the deadline; false: nothing by then. */
static bool once(struct turn_world *w, snet_time until)
{
	snet_time next = snet_turn_deadline(w->t);
	size_t which = TURN_WORLD_PACKETS;

	for (size_t i = 0; i < TURN_WORLD_PACKETS; i++)
		if (w->packets[i].n &&
		    (w->packets[i].at < next ||
		     (w->packets[i].at == next && which == TURN_WORLD_PACKETS))) {
			next = w->packets[i].at;
			which = i;
		}
	if (next > until)
		return false;
	w->now = next > w->now ? next : w->now;
	if (which < TURN_WORLD_PACKETS)
		deliver(w, which);
	else
		turn_world_drain(w);
	return true;
}

void turn_world_run(struct turn_world *w, snet_time until)
{
	turn_world_drain(w);
	while (once(w, until))
		;
	w->now = until > w->now ? until : w->now;
}

bool turn_world_wait(struct turn_world *w, enum snet_turn_what what, snet_time until)
{
	unsigned before = w->told[what];

	turn_world_drain(w);
	while (w->told[what] == before && once(w, until))
		;
	return w->told[what] != before;
}

void turn_world_from_peer(struct turn_world *w, const struct snet_addr *peer, const void *p,
			  size_t n)
{
	uint8_t out[2048];
	size_t len = turn_server_data(&w->s, peer, p, n, w->now, out, sizeof(out));

	if (len)
		post(w, false, out, len);
}
