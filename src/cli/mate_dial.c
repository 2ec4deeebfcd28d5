#include <string.h>

#include "cli/groups.h"
#include "cli/hub.h"
#include "cli/say.h"
#include "crypto/hash.h"
#include "io/resolve.h"

/* A mate that is dialled, again and again until it is there or --wait is over. */

/* Worth another attempt: nobody there yet, a name not yet known, a host that is starting. */
static bool may_pass(int code)
{
	return code == SNET_EUNREACH || code == SNET_ETIMEOUT || code == SNET_ELOST ||
	       code == SNET_ERESOLVE || code == SNET_OK;
}

static void give_up(struct mate *m)
{
	struct snet_error err = m->target->last;
	char url[SNET_URL_TEXT];

	snet_fail(&err, err.code ? err.code : SNET_ETIMEOUT, "%s%s%s: %s",
		  m->name ? m->name : "", m->name ? " at " : "",
		  snet_url_print(&m->target->url, url),
		  err.text[0] ? m->target->last.text : "no answer");
	hub_blame(m->hub, &err, m->number); /* also when it was given up on a signal */
	hub_mate_gone(m, &err);
}

static void step(struct mate *m, enum snet_link_event ev);

void mate_failed(struct mate *m, int code, const char *why)
{
	struct snet_url u = m->target->url;
	char url[SNET_URL_TEXT];

	u.has_key = false;
	snet_fail(&m->target->last, code ? code : SNET_EUNREACH, "%s", why);
	say_more("%s: %s", snet_url_print(&u, url), why);
	if (cli.wait && may_pass(code) && m->target->link.state != SNET_LINK_CLOSED &&
	    !m->hub->draining)
		step(m, SNET_LINK_LOST);
	else
		give_up(m);
}

void mate_hang_up(struct mate *m)
{
	struct target *t = m->target;

	if (!t)
		return;
	if (t->call)
		snet_call_leave(t->call);
	t->call = NULL;
	snet_resolve_free(t->resolve);
	t->resolve = NULL;
}

/* ---- dialling */

static int dial_at(struct mate *m, struct snet_endpoint *e, const struct snet_addr *to,
		   struct snet_error *err)
{
	return snet_peer_dial(&m->peer, m->hub->run->loop, e, m->hub->net.transport, to,
			      m->target->url.has_key ? m->target->url.key : NULL,
			      &m->hub->net.peer, &mate_peer_events, m, err);
}

void mate_met(struct mate *m, struct snet_endpoint *e, const struct snet_addr *to)
{
	struct snet_error err = { 0 };

	if (m->peer || !dial_at(m, e, to, &err))
		return;
	mate_hang_up(m);
	mate_failed(m, err.code, err.text);
}

void mate_unmet(struct mate *m, const struct snet_error *err)
{
	m->target->call = NULL;
	if (m->peer)
		return; /* that ends it */
	mate_failed(m, err->code, err->text);
}

/* In a room: mate_met or mate_unmet follows. */
static int call(struct mate *m, struct snet_error *err)
{
	struct target *t = m->target;
	struct snet_meet *meet;
	int rc;

	if (t->call)
		return SNET_OK; /* still under way */
	snet_fail(&t->last, SNET_ETIMEOUT, MATE_UNANSWERED);
	rc = net_meet(&m->hub->meets, &t->url, false, &meet, err);
	return rc ? rc
		  : snet_call_new(&t->call, meet, t->url.has_key ? t->url.key : NULL, m, err);
}

static void dial_next(struct mate *m)
{
	struct target *t = m->target;
	const struct snet_addr *to = &t->host.v[t->host.at++ % t->host.n];
	struct snet_endpoint *e;
	struct snet_error err = { 0 };
	int rc = net_dialler(&m->hub->net, to->sa.sa_family, &e, &err);

	if (!rc)
		rc = dial_at(m, e, to, &err);
	if (rc)
		mate_failed(m, rc, err.text);
}

static void on_resolved(const struct snet_addr *v, size_t n, const struct snet_error *err,
			void *user)
{
	struct mate *m = user;

	m->target->resolve = NULL;
	if (net_host_put(&m->target->host, v, n, err))
		dial_next(m);
	else
		mate_failed(m, err->code, err->text);
}

/* When all addresses have had their turn the name is looked up again: it may have moved. */
static int look_up(struct mate *m, struct snet_error *err)
{
	struct target *t = m->target;

	if (net_host_numeric(&t->host, &t->url)) {
		dial_next(m);
		return SNET_OK;
	}
	if (!t->last.code)
		snet_fail(&t->last, SNET_ETIMEOUT, "its name is being looked up");
	return net_look_up(&t->resolve, m->hub->run->loop, &t->url, on_resolved, m, err);
}

static struct mate *undialled(struct hub *h)
{
	for (struct snet_list *n = h->mates.next; n != &h->mates; n = n->next) {
		struct mate *m = SNET_OF(n, struct mate, node);

		if (!m->target->begun)
			return m;
	}
	return NULL;
}

static void dial(struct mate *m);

static void become(struct mate *m, const struct snet_dns_target *to)
{
	struct snet_url *u = &m->target->url;

	strcpy(u->scheme, "quic");
	memcpy(u->host, to->host, sizeof(to->host));
	u->port = to->port;
}

/* Each target of a service is a peer: this one, and others. All of them first: an attempt that
 * fails at once may take the others with it. */
static void on_targets(const struct snet_dns_target *v, size_t n, const struct snet_error *err,
		       void *user)
{
	struct mate *m = user, *other;
	struct hub *h = m->hub;

	m->target->resolve = NULL;
	if (err) {
		mate_failed(m, err->code, err->text);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		other = mate_new(h, h->next_number, &m->target->url);
		if (!other) {
			mate_failed(m, SNET_ENOMEM, snet_err_text(SNET_ENOMEM));
			return;
		}
		h->next_number++;
		become(other, &v[i]);
	}
	become(m, &v[0]);
	m->target->last.code = SNET_OK;
	dial(m);
	while ((other = undialled(h)))
		mate_dial(other);
}

/* The targets of a service. */
static int seek(struct mate *m, struct snet_error *err)
{
	struct target *t = m->target;

	if (t->resolve)
		return SNET_OK;
	if (!t->last.code)
		snet_fail(&t->last, SNET_ETIMEOUT, "the service is being looked up");
	return net_look_up_srv(&t->resolve, m->hub->run->loop, &t->url, on_targets, m, err);
}

static void dial(struct mate *m)
{
	struct target *t = m->target;
	struct snet_error err = { 0 };
	int rc = SNET_OK;

	if (t->url.room[0])
		rc = call(m, &err);
	else if (!strcmp(t->url.scheme, "srv"))
		rc = seek(m, &err);
	else if (t->host.at < t->host.n)
		dial_next(m);
	else if (!t->resolve)
		rc = look_up(m, &err);
	if (rc)
		mate_failed(m, rc, err.text);
}

static void step(struct mate *m, enum snet_link_event ev)
{
	struct snet_loop *l = m->hub->run->loop;
	uint32_t random = 0;

	snet_random(&random, sizeof(random));
	switch (snet_link_step(&m->target->link, ev, snet_loop_now(l), random)) {
	case SNET_LINK_DIAL:
		snet_timer_set(l, &m->target->timer, m->target->link.deadline);
		dial(m);
		return;
	case SNET_LINK_HANGUP:
		if (m->peer)
			snet_peer_close(m->peer, SNET_ETIMEOUT, "no answer in time");
		break;
	case SNET_LINK_GIVE_UP:
		if (m->peer) /* on_down ends it */
			snet_peer_close(m->peer, SNET_ETIMEOUT, "no answer in time");
		else
			give_up(m);
		return;
	case SNET_LINK_NOTHING:
		break;
	}
	snet_timer_set(l, &m->target->timer, m->target->link.deadline);
}

void mate_on_timer(struct snet_timer *t, snet_time now)
{
	struct mate *m = t->user;

	(void)now;
	if (!m->up)
		step(m, SNET_LINK_DUE);
}

void mate_dial(struct mate *m)
{
	/* In a room an attempt is until somebody answers. */
	snet_time once = m->target->url.room[0] && cli.wait
				 ? cli.wait
				 : m->hub->net.config.handshake_timeout;

	m->target->begun = true;

	/* --wait 0 is one attempt, and that has its own time. */
	snet_link_init(&m->target->link,
		       cli.wait ? m->hub->wait_until : m->hub->wait_until + once, once);
	step(m, SNET_LINK_START);
}
