#include "cli/party_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/groups.h"
#include "cli/ice_opts.h"
#include "cli/look_up.h"
#include "cli/out.h"
#include "cli/peer_events.h"
#include "cli/ready.h"
#include "cli/say.h"
#include "crypto/identity.h"

#define WAITING_FIRST (1 * SNET_SEC)
#define WAITING_EVERY (10 * SNET_SEC)

/* ---- beginning and end */

uint32_t party_quorum(const struct party *p)
{
	return p->opts->quorum == OPT_NONE ? p->n : (uint32_t)p->opts->quorum;
}

void party_check_ready(struct party *p)
{
	bool all = p->n_up + p->n_over >= p->n - 1;

	if (p->ready)
		return;
	switch ((enum party_when)p->opts->ready_when) {
	case PARTY_BOUND:
		break;
	case PARTY_Q:
		if (!all && p->n_up + 1 < party_quorum(p))
			return;
		break;
	case PARTY_ALL_THERE:
		if (!all)
			return;
		break;
	}
	party_say_ready(p);
}

void party_blame(struct party *p, const struct snet_error *err, uint64_t peer)
{
	if (p->worst.code)
		return;
	p->worst = *err;
	p->worst_peer = peer;
}

void party_done(struct party *p, const struct snet_error *err, uint64_t peer)
{
	if (p->done)
		return;
	p->done = true;
	if (p->mesh)
		party_stats(p);
	run_done(p->run, err, peer);
}

/* All that there is to do is done, if not all of it well. */
static void finish_run(struct party *p)
{
	struct snet_error first = p->worst;

	if (p->bad_first && p->n_bad > 1)
		snet_fail(&p->worst, first.code, "%llu bad items on stdin, the first: %s",
			  (unsigned long long)p->n_bad, first.text);
	party_done(p, p->worst.code ? &p->worst : NULL, p->worst_peer);
}

void party_check_over(struct party *p)
{
	if (p->n_over < p->n - 1 || !p->ended || p->round)
		return;
	if (p->n_clients) {
		party_clients_finish(p);
		return;
	}
	if (p->opts->sync)
		party_rounds_check(p, true);
	party_exec_check(p);
	party_exec_end(p);
	if (!p->runs)
		finish_run(p);
}

/* SIGINT, SIGTERM: what was taken from stdin is still delivered. */
static void on_drain(void *user)
{
	struct party *p = user;

	duct_hold(&p->duct);
	party_exec_stop(p);
	party_end_input(p);
}

static void on_waiting(struct snet_timer *t, snet_time now)
{
	struct party *p = t->user;

	if (p->n_up + p->n_over >= p->n - 1)
		return;
	party_say_waiting(p);
	snet_timer_set(p->run->loop, t, now + WAITING_EVERY);
}

/* ---- who comes */

void party_accept(struct party *p, struct snet_conn *c)
{
	const struct roster_member *who = roster_holder(p->net.roster, c->peer_key);

	if (who && !who->client)
		snet_mesh_accept(p->mesh, c);
	else
		party_accept_client(p, c);
}

static void on_accept(struct snet_endpoint *e, struct snet_conn *c, void *user)
{
	(void)e;
	party_accept(user, c);
}

static void on_refused(struct snet_endpoint *e, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	(void)e, (void)user;
	peer_say_refused(from, code, why);
}

static const struct snet_endpoint_events endpoint_events = { on_accept, on_refused };

/* ---- life */

/* Where the roster is none, or has no such party, that is what is wrong. */
static int no_key(const char *path, const char *key, struct snet_error *err)
{
	unsigned long long id = cli.id;
	struct roster *r = NULL;
	int rc = roster_load(&r, path, err);

	if (!rc && !roster_party(r, (uint32_t)cli.id))
		rc = snet_fail(err, SNET_ECONFIG, "%s: no party %llu", path, id);
	roster_free(r);
	return rc ? rc
		  : snet_fail(err, SNET_EKEY,
			      "no key of party %llu: give --key FILE, or keep it as %.200s", id,
			      key);
}

/* Without --key it lies beside the roster, as snet-keygen --net leaves it. */
static int find_key(const char *path, char out[static PATH_MAX], struct snet_error *err)
{
	const char *slash = strrchr(path, '/');
	int n = snprintf(out, PATH_MAX, "%.*s%llu.key", slash ? (int)(slash - path) + 1 : 0,
			 path, (unsigned long long)cli.id);

	if (cli.key)
		return SNET_OK;
	if (n >= PATH_MAX || access(out, F_OK))
		return no_key(path, n < PATH_MAX ? out : path, err);
	cli.key = out;
	return SNET_OK;
}

static int open_net(struct party *p, const char *path, struct snet_error *err)
{
	char key[PATH_MAX];
	int rc = find_key(path, key, err);

	cli.roster = path;
	if (!rc)
		rc = net_init(&p->net, p->run->loop, err);
	if (cli.key == key)
		cli.key = NULL;
	if (rc)
		return rc;
	p->n = (uint32_t)p->net.roster->parties;
	p->self = roster_party(p->net.roster, (uint32_t)cli.id);
	p->at = p->self->address;
	if (p->self->profile == ROSTER_PROFILE_STOFFELNET_0_1)
		p->net.config.crate_only = true;
	if (p->opts->quorum != OPT_NONE && p->opts->quorum > p->n)
		return snet_fail(err, SNET_ECONFIG, "--quorum %u of %u parties",
				 (unsigned)p->opts->quorum, p->n);
	p->members = calloc(p->n, sizeof(*p->members));
	return p->members ? SNET_OK : snet_fail(err, SNET_ENOMEM, "party");
}

static int open_pipe(struct party *p, struct snet_error *err)
{
	struct duct_opts o = { .in = 0, .out = -1, .sink = p->run->out, .in_name = "stdin" };

	if (p->opts->exec)
		return party_exec(p, err);
	return duct_init(&p->duct, p->run->loop, &o, &party_duct_events, p, err);
}

/* In its room first: that is the one its own address names. */
static int open_door(struct party *p, struct snet_error *err)
{
	int fd = -1, rc = ready_listen_fd(&fd, err);

	p->meets = (struct net_meets){
		.net = &p->net, .ice = &p->ice, .events = &party_meet_events, .user = p
	};
	if (!rc)
		rc = ice_opts_get(&p->ice, err);
	if (!rc)
		rc = ice_opts_token(&p->meets.token, err);
	if (!rc && p->at.room[0])
		return net_answer(&p->meets, &p->at, fd, err);
	return rc ? rc : net_listen(&p->net, &p->at, fd, &endpoint_events, p, err);
}

static int open_all(struct party *p, struct snet_error *err)
{
	struct run *r = p->run;
	int rc = open_door(p, err);

	if (!rc)
		rc = party_make_mesh(p, err);
	if (!rc && p->opts->sync)
		rc = party_rounds_init(p, err);
	if (!rc)
		rc = open_pipe(p, err);
	if (rc)
		return rc;
	r->on_drain = on_drain;
	r->on_stats = party_stats;
	r->on_room = party_room;
	r->user = p;
	return SNET_OK;
}

static void start(struct party *p)
{
	if (!p->self->address.room[0]) { /* else when it is joined */
		party_say_listening(p);
		if (p->n == 1 || p->opts->ready_when == PARTY_BOUND)
			party_check_ready(p);
		party_read_on(p);
	}
	snet_timer_set(p->run->loop, &p->waiting, snet_loop_now(p->run->loop) + WAITING_FIRST);
}

static void on_known(const struct snet_error *why, void *user)
{
	struct party *p = user;
	struct snet_error err = { 0 };

	if (p->run->done)
		return; /* told to end meanwhile */
	if (why || open_all(p, &err))
		run_done(p->run, why ? why : &err, OPT_NONE);
	else
		start(p);
}

int party_init(struct party *p, struct run *r, const char *path, const struct party_opts *opts,
	       struct snet_error *err)
{
	int rc;

	*p = (struct party){ .opts = opts, .run = r, .worst_peer = OPT_NONE };
	snet_list_init(&p->clients);
	p->waiting = (struct snet_timer){ .fn = on_waiting, .user = p };
	p->wait_until = cli.wait == SNET_NEVER ? SNET_NEVER : snet_loop_now(r->loop) + cli.wait;
	rc = open_net(p, path, err);
	return rc ? rc : look_up_place(&p->look_up, r->loop, &p->at, on_known, p, err);
}

void party_fini(struct party *p)
{
	if (!p->run)
		return;
	look_up_free(p->look_up);
	snet_timer_stop(p->run->loop, &p->waiting);
	snet_timer_stop(p->run->loop, &p->parting);
	snet_timer_stop(p->run->loop, &p->confirm);
	for (uint32_t i = 0; p->members && i < p->n; i++)
		snet_resolve_free(p->members[i].resolve);
	net_meets_fini(&p->meets);
	ice_opts_fini();
	net_fini(&p->net);
	snet_mesh_free(p->mesh);
	party_rounds_fini(p);
	party_exec_fini(p);
	duct_fini(&p->duct);
	free(p->members);
}
