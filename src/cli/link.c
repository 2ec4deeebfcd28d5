#include "cli/link_impl.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cli/groups.h"
#include "cli/look_up.h"
#include "cli/out.h"
#include "cli/ready.h"
#include "cli/say.h"

/* A datagram under way. */
struct link_packet {
	struct link_item item;
	struct link_hop *hop;
	struct snet_path path;
	struct snet_addr sender;  /* for the capture */
	struct link_packet *done; /* a list, while they are being sent */
	uint8_t ecn, copies;
	uint16_t n;
	uint8_t data[];
};

/* Waking up and sending take their time: everything is begun so much earlier. */
#define LEAD (50 * SNET_US)
#define MEMORY_KEPT (64 << 20) /* bytes */

/* ---- what goes out */

void link_hop_free(struct link_hop *hop)
{
	if (!--hop->refs)
		free(hop);
}

void link_flush(struct link *l)
{
	struct link_packet *p;

	if (l->n_out)
		l->untaken += snet_dgram_send(l->out, l->n_out);
	l->n_out = 0;
	while ((p = l->done)) {
		l->done = p->done;
		l->queued_bytes -= p->n;
		link_hop_free(p->hop);
		free(p);
	}
}

static void emit(struct link *l, const struct link_hop *hop, const struct snet_path *path,
		 const struct snet_addr *sender, uint8_t ecn, const uint8_t *p, size_t n,
		 unsigned copies)
{
	for (; copies && hop->d; copies--) {
		if (l->n_out == SNET_DGRAM_BATCH) {
			l->untaken += snet_dgram_send(l->out, l->n_out);
			l->n_out = 0;
		}
		l->out[l->n_out++] = (struct snet_dgram_out){ hop->d, *path, ecn, p, n };
		if (l->pcap)
			link_pcap_udp(l->pcap, sender, &path->remote, p, n);
	}
}

snet_time link_now(struct link *l)
{
	if (!l->now)
		l->now = snet_now();
	return l->now;
}

static size_t headers(const struct snet_path *path)
{
	return path->remote.sa.sa_family == AF_INET6 ? 48 : 28;
}

int link_put(struct link *l, struct link_item *i, snet_time when, size_t n)
{
	if (l->queued_bytes + n > LINK_QUEUE_MAX)
		return SNET_ENOMEM;
	i->due.when = when;
	if (snet_pending_put(&l->pending, &i->due))
		return SNET_ENOMEM;
	l->queued_bytes += n;
	return SNET_OK;
}

static void deliver_packet(struct link *l, struct link_item *i)
{
	struct link_packet *p = SNET_OF(i, struct link_packet, item);

	if (l->n_out == SNET_DGRAM_BATCH)
		link_flush(l);
	p->done = l->done;
	l->done = p;
	emit(l, p->hop, &p->path, &p->sender, p->ecn, p->data, p->n, p->copies);
}

static void drop_packet(struct link *l, struct link_item *i)
{
	struct link_packet *p = SNET_OF(i, struct link_packet, item);

	l->queued_bytes -= p->n;
	link_hop_free(p->hop);
	free(p);
}

static const struct link_item_ops packet_ops = { deliver_packet, drop_packet };

static void keep(struct link *l, struct link_hop *hop, const struct snet_path *path,
		 const struct snet_addr *sender, uint8_t ecn, const uint8_t *p, size_t n,
		 const struct snet_shape_fate *f)
{
	struct link_packet *k = malloc(sizeof(*k) + n);

	if (!k) {
		l->overflowed++;
		return;
	}
	*k = (struct link_packet){ .item.ops = &packet_ops,
				   .hop = hop,
				   .path = *path,
				   .sender = *sender,
				   .ecn = ecn,
				   .copies = (uint8_t)f->copies,
				   .n = (uint16_t)n };
	memcpy(k->data, p, n);
	if (link_put(l, &k->item, f->when, n)) {
		free(k);
		l->overflowed++;
		return;
	}
	hop->refs++;
}

void link_offer(struct link *l, size_t from, size_t to, struct link_hop *hop,
		const struct snet_path *path, const struct snet_addr *sender, uint8_t ecn,
		uint8_t *p, size_t n)
{
	struct snet_shape *s = &snet_emul_link(&l->net, from, to)->shape;
	snet_time now = link_now(l);
	struct snet_shape_fate f = snet_shape_push(s, n + headers(path), now);

	if (f.fate != SNET_FATE_DELIVER)
		return;
	if (f.corrupt && n)
		p[f.bit / 8 % n] ^= (uint8_t)(1 << f.bit % 8);
	if (f.when <= now)
		emit(l, hop, path, sender, ecn, p, n, f.copies);
	else
		keep(l, hop, path, sender, ecn, p, n, &f);
}

/* ---- time */

static void deliver(struct link *l, snet_time now)
{
	struct snet_parcel *due;

	while ((due = snet_pending_take(&l->pending, now + LEAD))) {
		struct link_item *i = SNET_OF(due, struct link_item, due);

		if (due->when < now && now - due->when > l->late_most)
			l->late_most = now - due->when;
		i->ops->deliver(l, i);
	}
	link_flush(l);
}

static snet_time earlier(snet_time a, snet_time b)
{
	return a < b ? a : b;
}

/* The loop's timers are good to a millisecond, a link's delay is to be better: a timerfd. */
void link_arm(struct link *l)
{
	snet_time at = snet_pending_deadline(&l->pending);
	struct itimerspec t = { 0 };

	at = earlier(at == SNET_NEVER ? at : at - LEAD, link_control_deadline(l));
	if (at == l->armed)
		return;
	l->armed = at;
	if (at != SNET_NEVER) {
		t.it_value.tv_sec = (time_t)(at / SNET_SEC);
		t.it_value.tv_nsec = (long)(at % SNET_SEC);
	}
	timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

static void work(struct link *l)
{
	snet_time now = snet_now();

	deliver(l, now);
	if (link_control_deadline(l) <= now)
		link_control_due(l, now);
	link_arm(l);
}

static void on_timer(struct snet_io *io, int ready, void *user)
{
	struct link *l = user;
	uint64_t times;

	(void)io, (void)ready;
	if (read(l->timer_fd, &times, sizeof(times)) == sizeof(times))
		l->armed = SNET_NEVER;
	work(l);
}

void link_on_batch(void *user)
{
	struct link *l = user;

	l->now = 0;
	link_flush(l);
	work(l);
}

/* ---- its place among other programs */

/* A link that has to wait for its turn has another delay than was asked for: where it may, it
 * goes before all ordinary programs, and is late by a tenth of a millisecond, not by four on a
 * machine that is busy. Without delay and rate it is better to wait, and to find many packets
 * then. */
static void want_to_be_first(struct link *l)
{
	static const struct sched_param least = { .sched_priority = 1 };
	bool delays = false;

	for (size_t k = 0; k < l->net.n * l->net.n && !l->first; k++)
		delays |= l->net.links[k].shape.spec.delay || l->net.links[k].shape.spec.rate;
	if (!delays)
		return;
	l->first = true; /* asked for once */
	l->behind = sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &least);
	if (l->behind)
		say_more("no leave to go before other programs: late on a busy machine");
}

/* ---- changes */

static uint32_t find(const char *name, size_t n, void *user)
{
	const struct link *l = user;
	const struct roster_member *m = NULL;
	char text[SNET_NAME_TEXT];
	uint64_t id;

	if (!n || n >= sizeof(text))
		return SNET_EMUL_ANY;
	memcpy(text, name, n);
	text[n] = 0;
	id = strspn(text, "0123456789") == n && n < 11 ? strtoull(text, NULL, 10) : UINT64_MAX;
	if (!l->roster)
		return id < l->net.n ? (uint32_t)id : SNET_EMUL_ANY;
	if (id <= ROSTER_ID_MAX)
		m = roster_party(l->roster, (uint32_t)id);
	if (!m)
		m = roster_named(l->roster, text);
	return m && !m->client ? (uint32_t)(m - l->roster->members) : SNET_EMUL_ANY;
}

struct link_names link_names(struct link *l)
{
	return (struct link_names){ find, l };
}

int link_apply(struct link *l, const struct snet_change *c, struct snet_error *err)
{
	const struct snet_emul_link *k;
	size_t at = 0, last = SIZE_MAX;
	int rc = snet_emul_apply(&l->net, c, err);

	while (!rc && c->what == SNET_CHANGE_REBIND &&
	       (k = snet_change_next(&l->net, c, &at))) {
		size_t from = (size_t)(k - l->net.links) / l->net.n;

		/* One port for all destinations changes once. */
		if (l->opts->nat.mapping == SNET_NAT_ADDRESS_PORT || from != last)
			link_rebind(l, from, (size_t)(k - l->net.links) % l->net.n);
		last = from;
	}
	want_to_be_first(l);
	return rc;
}

/* ---- what it says */

static uint64_t party_id(const struct link *l, size_t i)
{
	return l->roster ? l->roster->members[i].id : i;
}

static void say_link(struct link *l, size_t from, size_t to, snet_time now)
{
	const struct snet_emul_link *k = snet_emul_link(&l->net, from, to);
	const struct snet_shape_count *c = &k->shape.count;

	out_event("stats", out_uint("from", party_id(l, from)), out_uint("to", party_id(l, to)),
		  out_uint("offered_packets", c->packets), out_uint("offered_bytes", c->bytes),
		  out_uint("delivered_packets", c->delivered),
		  out_uint("delivered_bytes", c->delivered_bytes),
		  out_uint("lost_packets", c->lost),
		  out_uint("queue_dropped_packets", c->dropped),
		  out_uint("cut_packets", c->cut), out_uint("oversize_packets", c->oversize),
		  out_uint("duplicated_packets", c->duplicated),
		  out_uint("reordered_packets", c->reordered),
		  out_uint("corrupted_packets", c->corrupted),
		  out_uint("backlog_bytes", snet_shape_backlog(&k->shape, now)),
		  out_bool("down", k->shape.down));
}

/* Links nothing was ever offered to are all alike, and may be thousands. */
void link_say_stats(struct link *l)
{
	snet_time now = snet_now();

	for (size_t k = 0; k < l->net.n * l->net.n; k++)
		if (l->net.links[k].shape.count.packets)
			say_link(l, k / l->net.n, k % l->net.n, now);
	out_event("stats", out_uint("in_flight_bytes", l->queued_bytes),
		  out_uint("in_flight_packets", l->pending.n),
		  out_uint("overrun_packets", link_overruns(l)),
		  out_uint("untaken_packets", l->untaken),
		  out_uint("overflow_packets", l->overflowed),
		  out_uint("filtered_packets", l->filtered),
		  out_uint("late_max_us", l->late_most / SNET_US));
	l->late_most = 0;
}

/* ---- life */

static int open_timer(struct link *l, struct snet_error *err)
{
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	l->armed = SNET_NEVER;
	if (l->timer_fd < 0)
		return snet_fail(err, SNET_EIO, "timerfd: %s", strerror(errno));
	l->timer = snet_io_new(l->loop, l->timer_fd, on_timer, l);
	if (!l->timer)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	snet_io_want(l->timer, SNET_READ);
	return SNET_OK;
}

/* A door per pair: as many descriptors as we may have. */
static void want_descriptors(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_cur == lim.rlim_max)
		return;
	lim.rlim_cur = lim.rlim_max;
	setrlimit(RLIMIT_NOFILE, &lim);
}

/* Packets come and go in waves: what one has given back to the kernel, the next would have to
 * fetch page by page, and late. */
static void keep_memory(void)
{
#ifdef M_TRIM_THRESHOLD
	mallopt(M_TRIM_THRESHOLD, MEMORY_KEPT);
#endif
}

int link_init(struct link *l, struct run *run, const struct link_opts *o,
	      struct snet_error *err)
{
	int rc = SNET_OK;

	*l = (struct link){ .run = run, .loop = run->loop, .opts = o, .timer_fd = -1 };
	want_descriptors();
	keep_memory();
	if (o->roster)
		rc = roster_load(&l->roster, o->roster, err);
	if (!rc)
		rc = link_setup(l, err);
	if (!rc)
		rc = link_control_open(l, err);
	if (!rc)
		want_to_be_first(l);
	return rc ? rc : open_timer(l, err);
}

static int open_all(struct link *l, struct snet_error *err)
{
	int rc = SNET_OK;

	if (l->opts->pcap)
		rc = link_pcap_open(l, l->opts->pcap, err);
	if (!rc)
		rc = link_sides_open(l, err);
	if (rc)
		return rc;
	l->start = snet_now();
	link_control_start(l);
	out_event("ready", out_uint("peers", l->net.n));
	ready_say();
	link_arm(l);
	return SNET_OK;
}

static void on_known(const struct snet_error *why, void *user)
{
	struct link *l = user;
	struct snet_error err = { 0 };

	look_up_free(l->look_up);
	l->look_up = NULL;
	if (l->run->done)
		return; /* told to end meanwhile */
	if (why || open_all(l, &err))
		run_done(l->run, why ? why : &err, OPT_NONE);
}

int link_start(struct link *l, struct snet_error *err)
{
	size_t n = 0;
	int rc = link_check_rates(l, err);

	if (!rc)
		rc = link_control_check(l, err);
	if (!rc)
		rc = l->roster ? link_roster_urls(l, &n, err) : link_plain_urls(l, &n, err);
	if (!rc)
		rc = look_up_new(&l->look_up, l->loop, l->urls, n, on_known, l, err);
	return rc;
}

int link_stop(struct link *l, struct snet_error *err)
{
	struct link_pcap *p = l->pcap;

	link_flush(l);
	l->pcap = NULL;
	return link_pcap_close(p, err);
}

void link_fini(struct link *l)
{
	struct snet_parcel *due;

	look_up_free(l->look_up);
	free(l->urls);
	link_verify_fini(l);
	link_flush(l);
	while ((due = snet_pending_take(&l->pending, SNET_NEVER))) {
		struct link_item *i = SNET_OF(due, struct link_item, due);

		i->ops->drop(l, i);
	}
	snet_pending_fini(&l->pending);
	link_tcp_fini(l);
	link_control_fini(l);
	link_sides_close(l);
	snet_dgram_hub_free(l->hub);
	link_stop(l, NULL);
	snet_io_free(l->timer);
	if (l->timer_fd >= 0)
		close(l->timer_fd);
	snet_emul_net_fini(&l->net);
	roster_free(l->roster);
}
