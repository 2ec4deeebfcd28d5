#include "nat/driver.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"
#include "nat/driver_impl.h"

#define GATHER_TIMEOUT (5 * SNET_SEC)
#define KEEPALIVE (15 * SNET_SEC) /* RFC 8445 §5.1.1.4 and §11 */

snet_time ice_now(const struct snet_ice *ice)
{
	return snet_loop_now(ice->loop);
}

void ice_trouble(struct snet_ice *ice, const struct snet_error *err)
{
	if (!ice->dying && ice->ev->on_trouble)
		ice->ev->on_trouble(err, ice->user);
}

struct sock *ice_sock(const struct snet_ice *ice, uint32_t handle)
{
	for (size_t i = 0; i < ice->socks_n; i++)
		if (ice->socks[i]->handle == handle)
			return ice->socks[i];
	return NULL;
}

struct relay *ice_relay(const struct snet_ice *ice, uint32_t handle)
{
	for (size_t i = 0; i < ice->relays_n; i++)
		if (ice->relays[i]->handle == handle)
			return ice->relays[i];
	return NULL;
}

/* ---- the agent's wants */

static void send_wanted(struct snet_ice *ice)
{
	struct snet_agent_packet out;

	while (snet_agent_next(ice->agent, &out)) {
		struct sock *s = ice_sock(ice, out.handle);
		struct relay *r = s ? NULL : ice_relay(ice, out.handle);

		if (s && out.blind && !ice_leads(s, &out.to))
			snet_agent_no_way(ice->agent, out.handle, &out.to, ice_now(ice));
		else if (s)
			ice_sock_send(s, &out.to, out.p, out.n);
		else if (r)
			ice_relay_send(r, &out.to, out.p, out.n);
		else
			ice_punch_send(ice, &out);
	}
}

static void tell_events(struct snet_ice *ice)
{
	bool other = ice_find_way(ice); /* whoever hears of the pair may send on it at once */
	struct snet_agent_event ev;

	while (snet_agent_event(ice->agent, &ev)) {
		ice->ev->on_event(&ev, ice->user);
		other = ice_find_way(ice) || other;
	}
	if (other && (ice->way.sock || ice->way.relay))
		ice->ev->on_writable(ice->user);
}

static snet_time earlier(snet_time a, snet_time b)
{
	return a < b ? a : b;
}

static void arm(struct snet_ice *ice)
{
	snet_time at = snet_agent_deadline(ice->agent);

	at = earlier(at, earlier(ice->keep_at, ice_gather_deadline(ice)));
	at = earlier(at, ice_punch_deadline(ice));
	if (ice->parked)
		at = earlier(at, ice->parked_until);
	if (snet_timer_set(ice->loop, &ice->timer, at))
		ice_soon(ice); /* no memory: look again next turn */
}

void ice_pump(struct snet_ice *ice)
{
	if (ice->dying)
		return;
	if (ice->busy) {
		ice->again = true; /* the one that is under way goes on */
		return;
	}
	if (ice->sending) {
		ice_soon(ice);
		return;
	}
	ice->busy = true;
	do {
		ice->again = false;
		ice_punch_turn(ice, ice_now(ice));
		ice_ask_ways(ice);
		send_wanted(ice);
		tell_events(ice);
		if (ice->gathering)
			ice_gather_step(ice, ice_now(ice));
	} while (ice->again);
	ice->busy = false;
	arm(ice);
}

void ice_soon(struct snet_ice *ice)
{
	if (!ice->dying)
		snet_task_defer(ice->loop, &ice->task);
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct snet_ice *ice = t->user;

	if (ice->parked && now >= ice->parked_until)
		ice_unpark(ice);
	if (now >= ice->keep_at)
		ice_keep_alive(ice);
	if (now >= snet_agent_deadline(ice->agent))
		snet_agent_step(ice->agent, now);
	ice_pump(ice);
}

static void bury(struct snet_ice *ice)
{
	while (!snet_list_is_empty(&ice->relay_graves)) {
		struct relay *r = SNET_OF(ice->relay_graves.next, struct relay, node);

		snet_list_del(&r->node);
		snet_turn_io_free(r->io);
		free(r);
	}
	while (!snet_list_is_empty(&ice->graves)) {
		struct sock *s = SNET_OF(ice->graves.next, struct sock, node);

		snet_list_del(&s->node);
		snet_udp_close(s->udp);
		free(s);
	}
}

static void on_task(struct snet_task *t)
{
	struct snet_ice *ice = t->user;

	bury(ice);
	if (ice->begin) {
		ice->begin = false;
		ice_gather(ice);
	}
	ice_pump(ice);
}

/* ---- birth */

static const char *copied(const char *s, bool *bad)
{
	char *c = s ? strdup(s) : NULL;

	*bad = *bad || (s && !c);
	return c;
}

static void copy_filter(struct snet_candidate_filter *f, bool *bad)
{
	for (size_t i = 0; i < SNET_FILTER_NAMES; i++) {
		f->only[i] = i < f->only_n ? copied(f->only[i], bad) : NULL;
		f->without[i] = i < f->without_n ? copied(f->without[i], bad) : NULL;
	}
}

static void copy_server(struct snet_ice *ice, struct server *to,
			const struct snet_ice_server *from, bool *bad)
{
	const struct snet_ice_opts *o = &ice->o;

	*to = (struct server){ .ice = ice,
			       .host = (char *)copied(from->host, bad),
			       .ca = (char *)copied(from->ca, bad),
			       .port = from->port,
			       .over = from->cred ? from->over : SNET_TURN_UDP };
	if (from->cred && o->path != SNET_ICE_DIRECT &&
	    snet_filter_has_type(&o->filter, SNET_CANDIDATE_RELAY)) {
		to->use = SERVER_TURN;
		to->cred = *from->cred;
	} else if (o->path != SNET_ICE_RELAY && to->over == SNET_TURN_UDP &&
		   snet_filter_has_type(&o->filter, SNET_CANDIDATE_SRFLX)) {
		to->use = SERVER_STUN; /* TURN servers answer, too: RFC 8656 §2 */
	}
}

static struct snet_agent_config config_of(const struct snet_ice_opts *o)
{
	struct snet_agent_config c = o->agent, d = snet_agent_defaults;

	c.check_retries = c.check_retries ? c.check_retries : d.check_retries;
	c.check_timeout = c.check_timeout ? c.check_timeout : d.check_timeout;
	c.check_pace = c.check_pace ? c.check_pace : d.check_pace;
	c.overall_timeout = c.overall_timeout ? c.overall_timeout : d.overall_timeout;
	c.patience = c.patience ? c.patience : d.patience;
	c.consent_every = c.consent_every ? c.consent_every : d.consent_every;
	c.consent_timeout = c.consent_timeout ? c.consent_timeout : d.consent_timeout;
	return c;
}

static int check_opts(const struct snet_ice_opts *o, struct snet_error *err)
{
	if (o->servers_n > SNET_ICE_SERVERS)
		return snet_fail(err, SNET_EINVAL, "ICE: at most %d servers", SNET_ICE_SERVERS);
	if (o->filter.only_n > SNET_FILTER_NAMES || o->filter.without_n > SNET_FILTER_NAMES)
		return snet_fail(err, SNET_EINVAL, "ICE: at most %d names of interfaces",
				 SNET_FILTER_NAMES);
	for (size_t i = 0; i < o->servers_n; i++)
		if (!o->servers[i].host || !*o->servers[i].host || !o->servers[i].port)
			return snet_fail(err, SNET_EINVAL,
					 "ICE: a server without a name or a port");
	if (o->path == SNET_ICE_RELAY &&
	    !snet_filter_has_type(&o->filter, SNET_CANDIDATE_RELAY))
		return snet_fail(err, SNET_EINVAL,
				 "ICE: relayed candidates alone, and those left out");
	return SNET_OK;
}

static int make_agent(struct snet_ice *ice, struct snet_error *err)
{
	struct snet_agent_config config = config_of(&ice->o);
	uint8_t random[SNET_AGENT_RANDOM];
	int rc = snet_random(random, sizeof(random));

	if (rc)
		return snet_fail(err, rc, "no random bytes");
	rc = snet_agent_new(&ice->agent, &config, random, err);
	snet_wipe(random, sizeof(random));
	return rc;
}

int snet_ice_new(struct snet_ice **out, struct snet_loop *l, const struct snet_ice_opts *o,
		 const struct snet_ice_events *ev, void *user, struct snet_error *err)
{
	struct snet_ice *ice;
	bool bad = false;
	int rc = check_opts(o, err);

	*out = NULL;
	if (rc)
		return rc;
	ice = calloc(1, sizeof(*ice));
	if (!ice)
		return snet_fail(err, SNET_ENOMEM, "ICE");
	ice->loop = l;
	ice->ev = ev;
	ice->user = user;
	ice->o = *o;
	ice->parked_until = ice->keep_at = SNET_NEVER;
	ice_punch_init(ice);
	if (!ice->o.keepalive)
		ice->o.keepalive = KEEPALIVE;
	if (!ice->o.gather_timeout)
		ice->o.gather_timeout = GATHER_TIMEOUT;
	ice->timer = (struct snet_timer){ .fn = on_timer, .user = ice };
	snet_task_init(&ice->task, on_task, ice);
	snet_list_init(&ice->graves);
	snet_list_init(&ice->relay_graves);
	snet_list_init(&ice->lookups);
	copy_filter(&ice->o.filter, &bad);
	for (size_t i = 0; i < o->servers_n; i++)
		copy_server(ice, &ice->servers[i], &o->servers[i], &bad);
	rc = bad ? snet_fail(err, SNET_ENOMEM, "ICE") : make_agent(ice, err);
	if (rc) {
		snet_ice_free(ice);
		return rc;
	}
	snet_agent_start(ice->agent, ice_now(ice));
	ice->begin = true;
	ice_soon(ice);
	*out = ice;
	return SNET_OK;
}

/* ---- death */

/* No socket, no allocation, no question is left. */
static void drop_all(struct snet_ice *ice)
{
	ice->begin = ice->gathering = false;
	ice->keep_at = SNET_NEVER;
	for (size_t i = 0; i < ice->o.servers_n; i++) {
		snet_resolve_free(ice->servers[i].lookup);
		ice->servers[i].lookup = NULL;
	}
	ice_forget_remote(ice);
	ice_punch_end(ice);
	while (ice->socks_n)
		ice_remove_sock(ice, ice->socks[0]);
	ice->way = (struct way){ 0 };
	ice->parked = 0;
}

void snet_ice_free(struct snet_ice *ice)
{
	if (!ice)
		return;
	ice->dying = true;
	drop_all(ice);
	bury(ice);
	snet_timer_stop(ice->loop, &ice->timer);
	snet_task_cancel(&ice->task);
	snet_agent_free(ice->agent);
	for (size_t i = 0; i < ice->o.servers_n; i++) {
		free(ice->servers[i].host);
		free(ice->servers[i].ca);
	}
	for (size_t i = 0; i < SNET_FILTER_NAMES; i++) {
		free((char *)ice->o.filter.only[i]);
		free((char *)ice->o.filter.without[i]);
	}
	snet_wipe(ice, sizeof(*ice));
	free(ice);
}

int snet_ice_detach(struct snet_ice *ice, int *fd, struct snet_error *err)
{
	int rc;

	ice_find_way(ice);
	if (ice->way.relay)
		return snet_fail(err, SNET_ENOSYS,
				 "the selected pair is relayed, and has no socket of its own");
	if (!ice->way.sock)
		return snet_fail(err, SNET_ENOENT, "no pair is selected");
	rc = snet_udp_detach(ice->way.sock->udp, &ice->way.to, fd, err);
	if (rc)
		return rc;
	snet_agent_close(ice->agent);
	drop_all(ice);
	ice_soon(ice);
	return SNET_OK;
}

/* ---- once more */

int snet_ice_restart(struct snet_ice *ice, struct snet_error *err)
{
	uint8_t random[SNET_AGENT_RANDOM];
	int rc = snet_random(random, sizeof(random));

	if (rc)
		return snet_fail(err, rc, "no random bytes");
	ice_forget_permits(ice);
	rc = snet_agent_restart(ice->agent, random, ice_now(ice));
	snet_wipe(random, sizeof(random));
	if (rc)
		return snet_fail(err, rc, "ICE has ended");
	ice_forget_remote(ice);
	ice_punch_renew(ice);
	ice->told_n = 0;
	ice->routes.asked = 0;
	ice->gathering = false;
	ice->begin = true;
	ice_soon(ice);
	return SNET_OK;
}

const struct snet_agent *snet_ice_agent(const struct snet_ice *ice)
{
	return ice->agent;
}
