#include <string.h>

#include "sim/sim.h"

/* What the parties say. Everything about a message follows from who says it to whom, on which
 * stream, and its number there: so the other side can tell which one it has, whole or not.
 *
 *	u16 from, process, to, stream | u64 number | u64 key | bytes drawn from the key
 *
 * Some are empty: those are known by their place. */

#define HEAD 24
#define EMPTY_IN 23
#define BURST 6

static const unsigned streams[STREAMS] = { 0, 1, 7, 15 };
static const uint8_t kinds[] = { SNET_KIND_DATA, 1, 9, 64, 69, SNET_KIND_DATA };

struct name {
	uint32_t from, to;
	unsigned inc, stream; /* stream: place in streams */
	uint64_t number;
};

static uint64_t key_of(const struct sim *s, const struct name *m)
{
	return mix(mix(s->seed ^ m->number) ^
		   ((uint64_t)m->from << 48 | (uint64_t)m->to << 32 | m->inc << 8 | m->stream));
}

static size_t size_of(const struct sim *s, uint64_t key)
{
	uint64_t r = mix(key);

	if (key % EMPTY_IN == 0)
		return 0;
	if (s->plan.large_in && (key >> 8) % s->plan.large_in == 0)
		return (64u << 10) + r % (MESSAGE_MAX - (64u << 10));
	if ((key >> 20) % 16 == 0)
		return HEAD + r % 8192;
	return HEAD + r % 240;
}

static uint8_t kind_of(uint64_t key)
{
	return kinds[(key >> 40) % (sizeof(kinds) / sizeof(kinds[0]))];
}

static size_t make(const struct sim *s, const struct name *m, uint64_t key, uint8_t *p)
{
	size_t n = size_of(s, key);
	uint16_t head[4] = { (uint16_t)m->from, (uint16_t)m->inc, (uint16_t)m->to,
			     (uint16_t)m->stream };
	uint64_t x = key;

	if (!n)
		return 0;
	memcpy(p, head, 8);
	memcpy(p + 8, &m->number, 8);
	memcpy(p + 16, &key, 8);
	for (size_t i = HEAD; i < n; i += 8) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		memcpy(p + i, &x, n - i < 8 ? n - i : 8);
	}
	return n;
}

/* ---- saying */

static void check_queue(struct party *p, uint32_t to)
{
	struct snet_mesh_stats st;

	snet_mesh_stats(p->mesh, to, &st);
	if (st.queued >= p->sim->plan.queue + MESSAGE_MAX + 64)
		sim_fail(p->sim, "%u has %zu bytes queued for %u", p->index, st.queued, to);
}

/* later: with the next flush. */
static void say(struct party *p, uint32_t to, bool later)
{
	static uint8_t bytes[MESSAGE_MAX];
	struct sim *s = p->sim;
	struct tx *tx = &p->tx[to];
	struct name m = { p->index, to, p->inc, (unsigned)draw_below(s, STREAMS), 0 };
	struct snet_slice v = { bytes, 0, NULL };
	uint64_t key;
	int rc;

	if (!p->alive || p->finished || !p->budget)
		return;
	m.number = tx->sent[m.stream] + 1;
	key = key_of(s, &m);
	v.n = make(s, &m, key, bytes);
	rc = (later ? snet_mesh_queue : snet_mesh_send)(p->mesh, to, streams[m.stream],
							kind_of(key), &v, 1);
	if (rc && (rc != SNET_EAGAIN || !snet_mesh_is_full(p->mesh, to)))
		sim_fail(s, "%u cannot send to %u: %d", p->index, to, rc);
	if (rc) {
		tx->full = true;
		return;
	}
	tx->sent[m.stream]++;
	p->budget--;
	s->messages++;
	check_queue(p, to);
}

void traffic_say(struct party *p, uint32_t to)
{
	say(p, to, false);
}

static void on_talk(struct snet_timer *t, snet_time now)
{
	struct party *p = t->user;
	struct sim *s = p->sim;
	uint64_t most = 1 + draw_below(s, BURST);
	uint32_t to = (uint32_t)draw_below(s, s->plan.n);
	bool later = one_in(s, 2);

	for (uint64_t i = 0; i < most; i++) {
		if (one_in(s, 2))
			to = (uint32_t)draw_below(s, s->plan.n);
		if (to != p->index && !p->tx[to].full)
			say(p, to, later);
	}
	if (later && p->alive)
		snet_mesh_flush(p->mesh);
	if (s->talking && p->budget)
		snet_timer_set(s->loop, t, now + 1 + draw_below(s, 2 * s->plan.gap));
}

void traffic_start(struct party *p)
{
	p->talk = (struct snet_timer){ .fn = on_talk, .user = p };
	if (p->sim->talking)
		snet_timer_set(p->sim->loop, &p->talk, snet_loop_now(p->sim->loop));
}

/* ---- hearing */

/* The message with this number, as it is expected: true if that is what came. */
static bool is_that(const struct sim *s, const struct name *m, const struct snet_message *got)
{
	static uint8_t bytes[MESSAGE_MAX];
	uint64_t key = key_of(s, m);

	return size_of(s, key) == got->n && kind_of(key) == got->kind &&
	       (!got->n || (make(s, m, key, bytes) && !memcmp(bytes, got->p, got->n)));
}

static unsigned stream_of(unsigned stream)
{
	unsigned i = 0;

	while (i < STREAMS && streams[i] != stream)
		i++;
	return i;
}

static void took(struct party *p, const struct name *m)
{
	struct party *sender = &p->sim->parties[m->from];
	uint64_t *taken = &sender->tx[p->index].taken[m->stream];

	if (sender->inc == m->inc && *taken < m->number)
		*taken = m->number;
}

/* The first with a number tells where a new process began to hear the stream: not after what
 * the one before it has taken, or there is a gap. Those before it were empty. */
static void begin(struct party *p, struct name *m, const struct snet_message *got)
{
	struct sim *s = p->sim;
	struct rx *rx = &p->rx[m->from];
	struct party *sender = &s->parties[m->from];
	uint64_t before = rx->got[m->stream], number;

	memcpy(&number, got->p + 8, sizeof(number));
	if (number <= before) {
		sim_fail(s, "%u heard message %llu of %u on %u as its %lluth", p->index,
			 (unsigned long long)number, m->from, streams[m->stream],
			 (unsigned long long)before + 1);
		return;
	}
	rx->first[m->stream] = number - before;
	if (sender->inc == m->inc &&
	    rx->first[m->stream] != sender->tx[p->index].gone[m->stream] + 1)
		sim_fail(s,
			 "%u heard %u on %u from message %llu on: %llu went to those before it",
			 p->index, m->from, streams[m->stream],
			 (unsigned long long)rx->first[m->stream],
			 (unsigned long long)sender->tx[p->index].gone[m->stream]);
	if (sender->inc == m->inc &&
	    rx->first[m->stream] > sender->tx[p->index].taken[m->stream] + 1)
		sim_fail(s, "%u heard %u on %u from message %llu on: only %llu were taken",
			 p->index, m->from, streams[m->stream],
			 (unsigned long long)rx->first[m->stream],
			 (unsigned long long)sender->tx[p->index].taken[m->stream]);
	m->number = rx->first[m->stream] + rx->sure[m->stream] - 1;
	if (s->plan.confirms)
		took(p, m);
	for (uint64_t i = rx->first[m->stream]; i < number; i++) {
		struct snet_message empty = { .n = 0 };

		m->number = i;
		empty.kind = kind_of(key_of(s, m));
		if (!is_that(s, m, &empty))
			sim_fail(s, "%u heard message %llu of %u as an empty one", p->index,
				 (unsigned long long)i, m->from);
	}
}

void traffic_hear(struct party *p, uint32_t from, const struct snet_message *got)
{
	struct sim *s = p->sim;
	struct rx *rx = &p->rx[from];
	struct name m = { from, p->index, rx->inc, stream_of(got->stream), 0 };

	if (p->paused || !rx->up || rx->ended || rx->over || m.stream == STREAMS) {
		sim_fail(s, "%u heard %u on %u, %s", p->index, from, got->stream,
			 p->paused ? "while it was paused" : "out of place");
		return;
	}
	rx->received++;
	if (got->seq != rx->got[m.stream] + 1)
		sim_fail(s, "%u: seq %llu from %u", p->index, (unsigned long long)got->seq,
			 from);
	if (!rx->first[m.stream] && got->n >= HEAD)
		begin(p, &m, got);
	rx->got[m.stream]++;
	if (!rx->first[m.stream])
		return; /* empty, and which one is not known yet */
	m.number = rx->first[m.stream] + rx->got[m.stream] - 1;
	if (!is_that(s, &m, got))
		sim_fail(s,
			 "%u heard something else than message %llu of %u.%u on %u: %zu bytes",
			 p->index, (unsigned long long)m.number, from, rx->inc, got->stream,
			 got->n);
	if (!s->plan.confirms)
		took(p, &m);
}

void traffic_confirm(struct party *p, uint32_t from)
{
	for (unsigned k = 0; k < STREAMS; k++) {
		struct rx *rx = &p->rx[from];
		struct name m = { from, p->index, rx->inc, k, 0 };

		rx->sure[k] = rx->got[k];
		m.number = rx->first[k] + rx->sure[k] - 1;
		if (rx->first[k])
			took(p, &m);
	}
}

/* ---- what is known to have been heard */

void traffic_taken(struct party *p, uint32_t to, const struct snet_record_marks *marks,
		   bool anew)
{
	struct tx *tx = &p->tx[to];

	for (unsigned i = 0; anew && i < STREAMS; i++) {
		tx->gone[i] += tx->told[i];
		tx->told[i] = 0;
	}
	for (unsigned i = 0; !anew && i < marks->count; i++) {
		unsigned k = stream_of(marks->mark[i].stream);
		uint64_t upto = marks->mark[i].at;

		if (k == STREAMS || tx->gone[k] + upto > tx->sent[k]) {
			sim_fail(p->sim, "%u was told that %u has taken message %llu on %u",
				 p->index, to, (unsigned long long)upto, marks->mark[i].stream);
			return;
		}
		if (tx->told[k] < upto)
			tx->told[k] = upto;
	}
}

/* ---- when all is said */

bool traffic_has_crossed(struct sim *s, uint32_t from, uint32_t to)
{
	const struct tx *tx = &s->parties[from].tx[to];
	const struct rx *rx = &s->parties[to].rx[from];

	if (rx->inc != s->parties[from].inc)
		return false;
	for (unsigned i = 0; i < STREAMS; i++)
		if (rx->got[i] > tx->sent[i] ||
		    (rx->first[i] && rx->first[i] + rx->got[i] - 1 != tx->sent[i]))
			return false;
	/* Where no number is known, traffic_check_lost counts. */
	return true;
}

void traffic_check_lost(struct sim *s, uint32_t from, uint32_t to)
{
	const struct tx *tx = &s->parties[from].tx[to];
	const struct rx *rx = &s->parties[to].rx[from];
	struct name m = { from, to, rx->inc, 0, 0 };
	uint64_t not_here = 0;

	for (; m.stream < STREAMS; m.stream++) {
		uint64_t first = rx->first[m.stream];

		if (!first)
			first = tx->sent[m.stream] - rx->got[m.stream] + 1;
		for (m.number = first; !rx->first[m.stream] && m.number <= tx->sent[m.stream];
		     m.number++)
			if (size_of(s, key_of(s, &m)))
				sim_fail(s, "%u did not hear message %llu of %u on %u", to,
					 (unsigned long long)m.number, from, streams[m.stream]);
		not_here += first - 1;
		if (first != tx->gone[m.stream] + 1 ||
		    tx->told[m.stream] != tx->sent[m.stream] - tx->gone[m.stream])
			sim_fail(s, "%u was told that %llu messages to %u on %u are taken",
				 from, (unsigned long long)tx->told[m.stream], to,
				 streams[m.stream]);
	}
	if (not_here != tx->lost)
		sim_fail(s, "%u was told that %llu messages to %u are lost; it is %llu", from,
			 (unsigned long long)tx->lost, to, (unsigned long long)not_here);
}

void traffic_forget(struct party *p)
{
	for (uint32_t i = 0; i < p->sim->plan.n; i++) {
		const struct rx *rx = &p->rx[i];
		struct party *sender = &p->sim->parties[i];

		for (unsigned k = 0; k < STREAMS; k++)
			if (rx->inc && rx->inc == sender->inc && !rx->first[k])
				sender->tx[p->index].taken[k] += rx->got[k];
	}
}
