#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/hash.h"
#include "io/netwatch.h"
#include "mesh/meet_impl.h"

#define JOIN_TIMEOUT (10 * SNET_SEC) /* of one address of the server */
#define REPEAT_EVERY (10 * SNET_SEC)

static void step(struct snet_meet *m, enum snet_link_event ev);

/* ---- lines */

void meet_send(struct snet_meet *m, const struct snet_offer *o)
{
	struct snet_buf line = SNET_BUF(SNET_OFFER_MAX);
	int rc;

	if (!m->joined)
		return; /* said again when it is joined */
	snet_offer_print(o, &line);
	rc = line.bad ? SNET_ENOMEM : snet_signal_client_send(m->client, line.p, line.n);
	if (rc)
		snet_log(SNET_LOG_WARN, "meet", "not said: %s", snet_err_text(rc));
	snet_buf_free(&line);
}

static void on_message(const uint8_t *p, size_t n, void *user)
{
	struct snet_meet *m = user;
	struct snet_error err = { 0 };
	struct snet_offer o;

	if (snet_offer_parse(&o, p, n, &err)) {
		snet_log(SNET_LOG_INFO, "meet", "a line in the room: %s", err.text);
		return;
	}
	if (o.what == SNET_OFFER_OTHER || !o.call[0] || (o.to[0] && strcmp(o.to, m->name) != 0))
		return;
	/* After a connection that was lost, the room may say our own words again; whatever else
	 * is from our key is from one who has it, too, and names whom it answers. */
	if (!strcmp(o.from, m->name) && !o.to[0] && meet_call_is_ours(m, o.call))
		return;
	meet_hear(m, &o);
}

static void repeat(struct snet_meet *m, bool all)
{
	for (struct snet_list *n = m->calls.next; n != &m->calls; n = n->next) {
		struct snet_call *c = SNET_OF(n, struct snet_call, node);

		if ((all && !c->has_path) || !snet_connect_has_heard(c->connect))
			snet_connect_repeat(c->connect);
	}
}

/* Whoever was not there to hear it may be now. */
static void on_repeat(struct snet_timer *t, snet_time now)
{
	struct snet_meet *m = t->user;

	snet_timer_set(m->loop, t, now + REPEAT_EVERY);
	repeat(m, false);
}

/* ---- the server */

static void on_joined(void *user)
{
	struct snet_meet *m = user;

	m->joined = true;
	step(m, SNET_LINK_OPENED);
	snet_timer_set(m->loop, &m->repeat, snet_loop_now(m->loop) + REPEAT_EVERY);
	repeat(m, true);
	if (!m->was_joined) {
		m->was_joined = true;
		m->ev->on_joined(m, m->user);
	}
}

static bool may_pass(const struct snet_meet *m, int code)
{
	return m->was_joined ? code != SNET_EDENIED
			     : code == SNET_EUNREACH || code == SNET_ERESOLVE ||
				       code == SNET_ETIMEOUT || code == SNET_ELOST;
}

static void dial(struct snet_meet *m);

static void failed(struct snet_meet *m, const struct snet_error *err)
{
	bool fatal = !may_pass(m, err->code);

	m->joined = false;
	snet_timer_stop(m->loop, &m->repeat);
	if (!fatal && m->at < m->n_addrs && m->link.state == SNET_LINK_DIALING) {
		dial(m);
		return;
	}
	step(m, fatal ? SNET_LINK_CLOSE : SNET_LINK_LOST);
	m->ev->on_trouble(m, err, fatal, m->user);
}

/* The connection may be of an address that is gone; nothing would tell for long. */
static void on_network(void *user)
{
	struct snet_meet *m = user;
	struct snet_error err = { 0 };
	struct snet_addr local;

	if (!m->client || !m->joined)
		return;
	snet_signal_client_local(m->client, &local);
	if (snet_addr_is_loopback(&local) || snet_netwatch_is_ours(&local))
		return;
	snet_signal_client_free(m->client);
	m->client = NULL;
	m->at = m->n_addrs;
	snet_fail(&err, SNET_ELOST, "the address we had to the signalling server is gone");
	failed(m, &err);
}

static void on_close(const struct snet_error *why, void *user)
{
	struct snet_meet *m = user;
	struct snet_error err = *why;

	snet_signal_client_free(m->client);
	m->client = NULL;
	if (!err.code)
		snet_fail(&err, SNET_ELOST, "the signalling server has closed the room");
	failed(m, &err);
}

static void on_room(void *user)
{
	(void)user;
}

static const struct snet_signal_client_events client_events = { on_joined, on_message, on_room,
								on_close };

static void dial(struct snet_meet *m)
{
	const struct snet_signal_client_opts o = {
		.url = &m->opts.url,
		.token = m->token[0] ? m->token : NULL,
		.ca = m->ca,
		.max_message = SNET_OFFER_MAX,
		.timeout = JOIN_TIMEOUT,
		.keep_alive = m->opts.keep_alive,
	};
	struct snet_error err = { 0 };

	if (snet_signal_client_new(&m->client, m->loop, &m->addrs[m->at++], &o, &client_events,
				   m, &err))
		failed(m, &err);
}

static void on_resolved(const struct snet_addr *v, size_t n, const struct snet_error *err,
			void *user)
{
	struct snet_meet *m = user;

	m->resolve = NULL;
	if (err) {
		failed(m, err);
		return;
	}
	memcpy(m->addrs, v, n * sizeof(*v));
	m->n_addrs = n;
	dial(m);
}

static void look_up(struct snet_meet *m)
{
	const struct snet_resolve_opts o = { .host = m->opts.url.host,
					     .port = m->opts.url.port,
					     .family = AF_UNSPEC };
	struct snet_error err = { 0 };

	m->n_addrs = m->at = 0;
	if (snet_resolve_new(&m->resolve, m->loop, &o, on_resolved, m, &err))
		failed(m, &err);
}

static void step(struct snet_meet *m, enum snet_link_event ev)
{
	uint32_t random = 0;

	snet_random(&random, sizeof(random));
	switch (snet_link_step(&m->link, ev, snet_loop_now(m->loop), random)) {
	case SNET_LINK_DIAL:
		snet_timer_set(m->loop, &m->timer, m->link.deadline);
		look_up(m);
		return;
	case SNET_LINK_HANGUP: /* the client and the resolver have their own time */
	case SNET_LINK_GIVE_UP:
	case SNET_LINK_NOTHING:
		break;
	}
	snet_timer_set(m->loop, &m->timer, m->link.deadline);
}

static void on_link_timer(struct snet_timer *t, snet_time now)
{
	struct snet_meet *m = t->user;

	(void)now;
	step(m, m->link.state == SNET_LINK_DOWN ? SNET_LINK_START : SNET_LINK_DUE);
}

/* ---- life */

int snet_meet_new(struct snet_meet **out, struct snet_loop *l, const struct snet_meet_opts *o,
		  const struct snet_meet_events *ev, void *user, struct snet_error *err)
{
	struct snet_meet *m = calloc(1, sizeof(*m));
	int rc;

	if (m && o->ca)
		m->ca = strdup(o->ca);
	if (!m || (o->ca && !m->ca)) {
		free(m);
		return snet_fail(err, SNET_ENOMEM, "room");
	}
	m->loop = l;
	m->opts = *o;
	if (o->token)
		strncat(m->token, o->token, SNET_SIGNAL_TOKEN_MAX);
	memcpy(m->key, o->key, sizeof(m->key));
	snet_keyid_print(m->key, m->name);
	rc = meet_draw(m->mark, MEET_MARK);
	m->ev = ev;
	m->user = user;
	snet_list_init(&m->calls);
	m->timer = (struct snet_timer){ .fn = on_link_timer, .user = m };
	m->repeat = (struct snet_timer){ .fn = on_repeat, .user = m };
	snet_link_init(&m->link, SNET_NEVER, SNET_NEVER);
	if (!rc)
		rc = snet_timer_set(l, &m->timer, snet_loop_now(l));
	if (rc) {
		snet_meet_free(m);
		return snet_fail(err, rc, "room: %s", snet_err_text(rc));
	}
	if (snet_netwatch_new(&m->netwatch, l, on_network, m, err))
		snet_log(SNET_LOG_INFO, "meet", "no rtnetlink: addresses are not watched");
	*out = m;
	return SNET_OK;
}

void snet_meet_free(struct snet_meet *m)
{
	if (!m)
		return;
	m->joined = false;
	while (!snet_list_is_empty(&m->calls))
		meet_call_free(SNET_OF(m->calls.next, struct snet_call, node));
	snet_timer_stop(m->loop, &m->timer);
	snet_timer_stop(m->loop, &m->repeat);
	snet_netwatch_free(m->netwatch);
	snet_resolve_free(m->resolve);
	snet_signal_client_free(m->client);
	snet_wipe(m->token, sizeof(m->token));
	free(m->ca);
	free(m);
}
