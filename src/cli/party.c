#include "cli/party.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/ready.h"
#include "cli/say.h"
#include "crypto/hash.h"
#include "crypto/identity.h"
#include "obs/metrics.h"

#define WAITING_FIRST (1 * SNET_SEC)
#define WAITING_EVERY (10 * SNET_SEC)

/* ---- the end */

static void blame(struct party *p, const struct snet_error *err, uint64_t peer)
{
	if (p->worst.code)
		return;
	p->worst = *err;
	p->worst_peer = peer;
}

static void check_over(struct party *p)
{
	if (p->n_over == p->n - 1 && p->ended)
		run_done(p->run, p->worst.code ? &p->worst : NULL, p->worst_peer);
}

static void end_input(struct party *p)
{
	p->ended = true;
	snet_mesh_finish(p->mesh);
	check_over(p);
}

/* SIGINT, SIGTERM: what was taken from stdin is still delivered. */
static void on_drain(void *user)
{
	struct party *p = user;

	duct_hold(&p->duct);
	end_input(p);
}

/* ---- from stdin to parties */

static void bad_item(struct party *p, const struct snet_error *err, uint64_t line)
{
	snet_count(SNET_METRIC_BAD_INPUT, 1);
	p->n_bad++;
	out_error(err, OPT_NONE, line ? line : OPT_NONE, false);
	blame(p, err, OPT_NONE);
}

static void stall(struct party *p)
{
	if (!sink_is_full(p->run->out) || p->stalled)
		return;
	p->stalled = true;
	snet_mesh_pause(p->mesh, true);
	duct_hold(&p->duct); /* what comes from there may be for this party, too */
}

static void print_message(struct party *p, uint32_t from, const struct snet_message *m)
{
	struct snet_error err;

	if (output_message(&p->duct.out, from, m) && !sink_is_broken(p->run->out)) {
		snet_fail(&err, SNET_ENOMEM, "no memory for a message of party %u", from);
		run_done(p->run, &err, from);
	}
	stall(p);
}

/* The payload in one piece, as a message that came. */
static void send_to_self(struct party *p, const struct input_message *msg)
{
	struct snet_buf b = SNET_BUF(SNET_MESSAGE_MAX);
	struct snet_message m = { .stream = msg->stream, .kind = msg->kind, .n = msg->total };

	m.seq = ++p->own_sent;
	p->own_bytes += msg->total;
	if (msg->n == 1)
		m.p = msg->v[0].p;
	for (size_t i = 0; msg->n > 1 && i < msg->n; i++)
		snet_buf_add(&b, msg->v[i].p, msg->v[i].n);
	if (msg->n > 1)
		m.p = b.p;
	if (!b.bad)
		print_message(p, p->self->id, &m);
	snet_buf_free(&b);
}

static void no_room(struct party *p, uint32_t i)
{
	struct party_member *m = &p->members[i];
	struct snet_error err;

	if (cli.overflow == OVERFLOW_DROP) {
		snet_count(SNET_METRIC_DROPPED_MESSAGES, 1);
		if (!m->dropped++)
			say_note("party %u is slow: dropping what it has no room for",
				 m->who->id);
		return;
	}
	snet_fail(&err, SNET_EPOLICY, "the queue of party %u is full (--overflow fail)",
		  m->who->id);
	run_done(p->run, &err, m->who->id);
}

static void send_to(struct party *p, uint32_t i, const struct input_message *msg)
{
	struct party_member *m = &p->members[i];
	struct snet_error err;
	int rc;

	if (m->item == p->item) /* named twice is meant once */
		return;
	m->item = p->item;
	if (m->who == p->self) {
		send_to_self(p, msg);
		return;
	}
	rc = snet_mesh_send(p->mesh, i, msg->stream, msg->kind, msg->v, msg->n);
	if (rc == SNET_EAGAIN) {
		no_room(p, i);
	} else if (rc && rc != SNET_ECLOSED) {
		snet_fail(&err, rc, "message %llu to party %u: %s",
			  (unsigned long long)msg->line, m->who->id, snet_err_text(rc));
		bad_item(p, &err, msg->line);
	}
	if (rc)
		return;
	snet_count(SNET_METRIC_SENT_MESSAGES, 1);
	snet_count(SNET_METRIC_SENT_BYTES, msg->total);
	if (cli.overflow == OVERFLOW_BLOCK && !m->full && snet_mesh_is_full(p->mesh, i)) {
		m->full = true;
		p->n_full++;
	}
}

static void on_item(struct duct *d, const struct input_message *msg, void *user)
{
	struct party *p = user;
	struct snet_error err;

	p->item++;
	for (uint32_t i = 0; (msg->all || !msg->n_to) && i < p->n; i++)
		send_to(p, i, msg);
	for (size_t i = 0; i < msg->n_to; i++) {
		const struct roster_member *r = roster_party(p->net.roster, msg->to[i]);

		if (r) {
			send_to(p, (uint32_t)(r - p->net.roster->members), msg);
			continue;
		}
		snet_fail(&err, SNET_ENOENT, "message %llu: no party %u in the roster",
			  (unsigned long long)msg->line, msg->to[i]);
		bad_item(p, &err, msg->line);
	}
	if (p->n_full)
		duct_hold(d);
}

static void on_bad(struct duct *d, const struct snet_error *err, uint64_t line, bool last,
		   void *user)
{
	(void)d, (void)last;
	bad_item(user, err, line);
}

static void on_end(struct duct *d, void *user)
{
	(void)d;
	end_input(user);
}

static void on_room(struct duct *d, void *user)
{
	(void)d, (void)user; /* stdout is the run's: on_stdout_room */
}

static const struct duct_events duct_events = { on_item, on_bad, on_end, on_room, NULL };

static void read_on(struct party *p)
{
	if (!p->n_full && !p->stalled && !p->ended)
		duct_go(&p->duct);
}

static void on_stdout_room(void *user)
{
	struct party *p = user;

	p->stalled = false;
	snet_mesh_pause(p->mesh, false);
	read_on(p);
}

/* ---- what the mesh tells */

static int mesh_address(uint32_t i, unsigned attempt, struct snet_endpoint **from,
			struct snet_addr *to, struct snet_error *err, void *user)
{
	struct party *p = user;
	struct party_member *m = &p->members[i];
	int rc = SNET_OK;

	if (!m->n_addrs)
		rc = net_resolve(&m->who->address, false, m->addrs, &m->n_addrs, err);
	if (rc)
		return rc;
	*to = m->addrs[attempt % m->n_addrs];
	return net_dialler(&p->net, to->sa.sa_family, from, err);
}

static void mesh_up(uint32_t i, bool anew, uint64_t lost, void *user)
{
	struct party *p = user;

	p->n_up++;
	snet_gauge(SNET_METRIC_PEERS, p->n_up);
	p->members[i].last.code = SNET_OK;
	party_say_up(p, i, anew, lost);
	if (lost)
		say_note("party %u has begun anew: %llu messages were for the one before",
			 p->members[i].who->id, (unsigned long long)lost);
	if (p->n_up == p->n - 1)
		party_say_ready(p);
}

static void on_waiting(struct snet_timer *t, snet_time now)
{
	struct party *p = t->user;

	if (p->n_up + p->n_over >= p->n - 1)
		return;
	party_say_waiting(p);
	snet_timer_set(p->run->loop, t, now + WAITING_EVERY);
}

static void mesh_down(uint32_t i, int code, const char *why, bool by_peer, void *user)
{
	struct party *p = user;

	p->n_up--;
	snet_gauge(SNET_METRIC_PEERS, p->n_up);
	party_say_down(p, i, code, why, by_peer);
	snet_fail(&p->members[i].last, code, "%s", why);
	if (!p->waiting.slot)
		snet_timer_set(p->run->loop, &p->waiting,
			       snet_loop_now(p->run->loop) + WAITING_FIRST);
}

static void mesh_message(uint32_t i, const struct snet_message *m, void *user)
{
	struct party *p = user;

	snet_count(SNET_METRIC_RECEIVED_MESSAGES, 1);
	snet_count(SNET_METRIC_RECEIVED_BYTES, m->n);
	print_message(p, p->members[i].who->id, m);
}

static void mesh_end(uint32_t i, void *user)
{
	struct party *p = user;

	say_more("party %u sends no more", p->members[i].who->id);
}

static void mesh_room(uint32_t i, void *user)
{
	struct party *p = user;

	if (!p->members[i].full)
		return;
	p->members[i].full = false;
	p->n_full--;
	read_on(p);
}

/* Whoever is given up is missed by everyone: without it there is no session. */
static void mesh_over(uint32_t i, const struct snet_error *why, void *user)
{
	struct party *p = user;
	struct party_member *m = &p->members[i];
	struct snet_error err = *why;

	m->over = true;
	p->n_over++;
	if (snet_mesh_is_up(p->mesh, i)) {
		p->n_up--;
		party_say_down(p, i, err.code, err.code ? err.text : "done", false);
	}
	if (err.code) {
		snet_fail(&err, err.code, "party %u%s%s: %s", m->who->id,
			  m->who->name[0] ? ", " : "", m->who->name, why->text);
		if (p->worst.code) /* the exit status is that of the first failure */
			out_error(&err, m->who->id, OPT_NONE, false);
		blame(p, &err, m->who->id);
		run_done(p->run, &p->worst, p->worst_peer);
		return;
	}
	mesh_room(i, p);
	check_over(p);
}

static void mesh_trouble(uint32_t i, const struct snet_error *err, void *user)
{
	struct party *p = user;
	struct party_member *m = &p->members[i];
	bool news = m->last.code != err->code || strcmp(m->last.text, err->text) != 0;

	if (news)
		m->last = *err;
	say_more("party %u: %s", m->who->id, err->text);
	/* It is there, and it will not do: no waiting helps before a person does. */
	if (news && (err->code == SNET_ECONFIG || err->code == SNET_EDENIED))
		out_error(err, m->who->id, OPT_NONE, false);
}

static const struct snet_mesh_events mesh_events = { mesh_address, mesh_up,     mesh_down,
						     mesh_message, mesh_end,    mesh_room,
						     mesh_over,    mesh_trouble };

/* ---- life */

static void on_accept(struct snet_endpoint *e, struct snet_conn *c, void *user)
{
	(void)e;
	snet_mesh_accept(((struct party *)user)->mesh, c);
}

static void on_refused(struct snet_endpoint *e, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	char text[SNET_ADDR_TEXT];

	(void)e, (void)user;
	out_event("refused", out_text("address", snet_addr_print(from, text)),
		  out_text("reason", snet_err_name(code)), out_text("text", why));
	say_note("%s: refused: %s", text, why);
}

static const struct snet_endpoint_events endpoint_events = { on_accept, on_refused };

/* Without --key it lies beside the roster, as snet-keygen --net leaves it. */
static int find_key(const char *path, char out[static PATH_MAX], struct snet_error *err)
{
	const char *slash = strrchr(path, '/');
	int n = snprintf(out, PATH_MAX, "%.*s%llu.key", slash ? (int)(slash - path) + 1 : 0,
			 path, (unsigned long long)cli.id);

	if (cli.key)
		return SNET_OK;
	if (n >= PATH_MAX || access(out, F_OK))
		return snet_fail(err, SNET_EKEY,
				 "no key of party %llu: give --key FILE, or keep it as %.200s",
				 (unsigned long long)cli.id, n < PATH_MAX ? out : path);
	cli.key = out;
	return SNET_OK;
}

static int by_id(const void *a, const void *b)
{
	const struct roster_member *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* What all must have alike: who the parties are. Where they are may look different from each.
 */
static int digest(const struct roster *r, uint8_t out[static SNET_BLAKE3_BYTES])
{
	struct roster_member *sorted = calloc(r->parties, sizeof(*sorted));
	struct snet_blake3 h;

	if (!sorted)
		return SNET_ENOMEM;
	memcpy(sorted, r->members, r->parties * sizeof(*sorted));
	qsort(sorted, r->parties, sizeof(*sorted), by_id);
	snet_blake3_init(&h);
	for (size_t i = 0; i < r->parties; i++) {
		uint8_t id[4] = { (uint8_t)(sorted[i].id >> 24), (uint8_t)(sorted[i].id >> 16),
				  (uint8_t)(sorted[i].id >> 8), (uint8_t)sorted[i].id };

		snet_blake3_update(&h, id, sizeof(id));
		snet_blake3_update(&h, sorted[i].key, sizeof(sorted[i].key));
	}
	snet_blake3_final(&h, out);
	free(sorted);
	return SNET_OK;
}

static int make_mesh(struct party *p, struct snet_error *err)
{
	const struct roster *r = p->net.roster;
	struct snet_mesh_party *parties = calloc(p->n, sizeof(*parties));
	struct snet_mesh_config cfg = { .loop = p->run->loop,
					.transport = p->net.transport,
					.identity = p->net.identity,
					.parties = parties,
					.n = p->n,
					.self = (uint32_t)(p->self - r->members),
					.label = r->session,
					.peer = p->net.peer,
					.queue = cli.queue,
					.wait = cli.wait,
					.dial_timeout = p->net.config.handshake_timeout };
	int rc = parties ? digest(r, cfg.roster) : SNET_ENOMEM;

	for (uint32_t i = 0; !rc && i < p->n; i++) {
		parties[i].id = r->members[i].id;
		memcpy(parties[i].key, r->members[i].key, SNET_KEYID_BYTES);
		p->members[i].who = &r->members[i];
	}
	rc = rc ? snet_fail(err, rc, "mesh")
		: snet_mesh_new(&p->mesh, &cfg, &mesh_events, p, err);
	free(parties);
	return rc;
}

static int open_all(struct party *p, const char *path, struct snet_error *err)
{
	struct duct_opts o = { .in = 0, .out = -1, .sink = p->run->out, .in_name = "stdin" };
	char key[PATH_MAX];
	int fd = -1, rc = find_key(path, key, err);

	cli.roster = path;
	if (!rc)
		rc = net_init(&p->net, p->run->loop, err);
	if (cli.key == key)
		cli.key = NULL;
	if (rc)
		return rc;
	p->n = (uint32_t)p->net.roster->parties;
	p->self = roster_party(p->net.roster, (uint32_t)cli.id);
	p->members = calloc(p->n, sizeof(*p->members));
	if (!p->members)
		return snet_fail(err, SNET_ENOMEM, "party");
	rc = ready_listen_fd(&fd, err);
	if (!rc)
		rc = net_listen(&p->net, &p->self->address, fd, &endpoint_events, p, err);
	if (!rc)
		rc = make_mesh(p, err);
	return rc ? rc : duct_init(&p->duct, p->run->loop, &o, &duct_events, p, err);
}

int party_init(struct party *p, struct run *r, const char *path, struct snet_error *err)
{
	*p = (struct party){ .run = r, .worst_peer = OPT_NONE };
	p->waiting = (struct snet_timer){ .fn = on_waiting, .user = p };
	p->wait_until = cli.wait == SNET_NEVER ? SNET_NEVER : snet_loop_now(r->loop) + cli.wait;
	r->on_drain = on_drain;
	r->on_stats = party_stats;
	r->on_room = on_stdout_room;
	r->user = p;
	return open_all(p, path, err);
}

void party_fini(struct party *p)
{
	if (!p->run)
		return;
	snet_timer_stop(p->run->loop, &p->waiting);
	net_fini(&p->net);
	snet_mesh_free(p->mesh);
	duct_fini(&p->duct);
	free(p->members);
}

void party_start(struct party *p)
{
	party_say_listening(p);
	if (p->n == 1)
		party_say_ready(p);
	snet_timer_set(p->run->loop, &p->waiting, snet_loop_now(p->run->loop) + WAITING_FIRST);
	duct_go(&p->duct);
}
