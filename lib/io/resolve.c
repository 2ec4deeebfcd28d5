#include "io/resolve.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/loop.h"
#include "io/mdns.h"
#include "io/resolve_dns.h"
#include "io/resolve_order.h"

#define TIMEOUT (5 * SNET_SEC)
/* Of the timeout: how long the first server asked has, so that others have their turn. */
#define PATIENCE_PART 5
/* For the other family, once there is an address: a server, or a host on the link, that never
 * answers for one of the two is not waited for. After RFC 8305 §3, but longer: what comes
 * later is not told. */
#define GRACE_DNS (300 * SNET_MS)
#define GRACE_MDNS (50 * SNET_MS)
#define HOST_MAX 256    /* with NUL */
#define SERVERS_MAX 512 /* with NUL */

enum stage { START, HOSTS, ASKED, OVER };

struct snet_resolve {
	enum stage stage;
	struct snet_loop *loop;
	char host[HOST_MAX], servers[SERVERS_MAX];
	uint16_t port;
	int family;
	snet_time timeout;
	snet_resolve_fn *done; /* one of these two */
	snet_resolve_srv_fn *srv_done;
	void *user;
	struct snet_task task;
	struct snet_timer timer; /* the end: of patience, or of grace */
	struct snet_dns *dns;
	struct snet_mdns *mdns;
	unsigned open; /* questions that c-ares has not ended */
	bool has_grace;
	struct snet_addr v[SNET_RESOLVE_ORDER_MAX];
	size_t n, of_family[2]; /* of IPv4, IPv6 */
	struct snet_dns_answers *srv;
	struct snet_error failure; /* why not, when nothing is found */
};

/* ---- the end */

static void destroy(struct snet_resolve *r)
{
	snet_task_cancel(&r->task);
	snet_timer_stop(r->loop, &r->timer);
	snet_dns_free(r->dns);
	snet_mdns_free(r->mdns);
	free(r->srv);
	free(r);
}

/* Those over the ceiling go, the last of the greater family first. */
static void trim(struct snet_resolve *r)
{
	while (r->n > SNET_RESOLVE_MAX) {
		int greater = r->of_family[1] > r->of_family[0];
		size_t at = r->n - 1;

		while ((r->v[at].sa.sa_family == AF_INET6) != greater)
			at--;
		memmove(&r->v[at], &r->v[at + 1], (--r->n - at) * sizeof(*r->v));
		r->of_family[greater]--;
	}
}

/* Greater is worse. */
static int compare_targets(const void *x, const void *y)
{
	const struct snet_dns_target *a = x, *b = y;
	int d = a->priority - b->priority;

	if (!d)
		d = b->weight - a->weight;
	if (!d)
		d = strcasecmp(a->host, b->host);
	return d ? d : a->port - b->port;
}

static void tell_targets(struct snet_resolve *r, const struct snet_error *err)
{
	struct snet_dns_target *v = r->srv->targets;
	size_t n = err ? 0 : r->srv->targets_n;

	qsort(v, n, sizeof(*v), compare_targets);
	r->srv_done(n ? v : NULL, n, err, r->user);
}

static void fail(struct snet_resolve *r, int code, const char *why)
{
	snet_fail(&r->failure, code, "%.160s: %s", r->host, why); /* the reason has room */
}

static bool is_found(const struct snet_resolve *r)
{
	return r->srv_done ? r->srv->targets_n > 0 : r->n > 0;
}

static void finish(struct snet_resolve *r)
{
	const struct snet_error *err = NULL;

	if (!is_found(r)) {
		err = &r->failure;
		if (!err->code)
			fail(r, SNET_ERESOLVE, "no address");
	}
	r->stage = OVER; /* from here on nobody but this function frees it */
	if (r->srv_done) {
		tell_targets(r, err);
	} else {
		snet_resolve_order(r->v, err ? 0 : r->n);
		trim(r);
		r->done(err ? NULL : r->v, err ? 0 : r->n, err, r->user);
	}
	destroy(r);
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct snet_resolve *r = t->user;

	(void)now;
	fail(r, SNET_ETIMEOUT,
	     r->mdns ? "nobody on the link answers to that name" : "no name server answers");
	finish(r);
}

/* ---- what is found */

static void on_address(const struct snet_addr *a, void *user)
{
	struct snet_resolve *r = user;
	bool is_v6 = a->sa.sa_family == AF_INET6;
	struct snet_addr x = *a;

	if ((!is_v6 && x.sa.sa_family != AF_INET) ||
	    (r->family != AF_UNSPEC && r->family != x.sa.sa_family) ||
	    r->of_family[is_v6] == SNET_RESOLVE_MAX)
		return;
	snet_addr_set_port(&x, r->port);
	for (size_t i = 0; i < r->n; i++)
		if (snet_addr_eq(&x, &r->v[i]))
			return;
	r->v[r->n++] = x;
	r->of_family[is_v6]++;
	snet_task_defer(r->loop, &r->task);
}

static void on_reply(const uint8_t *p, size_t n, void *user)
{
	struct snet_resolve *r = user;
	struct snet_dns_answers *srv = r->srv;
	size_t k = 0;

	if (snet_dnsmsg_read(srv, p, n, NULL)) {
		fail(r, SNET_ERESOLVE, "a broken answer");
		return;
	}
	for (size_t i = 0; i < srv->targets_n; i++)
		if (srv->targets[i].host[0]) /* else ".": it does not exist, RFC 2782 */
			srv->targets[k++] = srv->targets[i];
	if (!k)
		fail(r, SNET_ERESOLVE,
		     srv->targets_n ? "the service is said not to exist" : "no such service");
	srv->targets_n = k;
}

static void on_end(int code, const char *why, void *user)
{
	struct snet_resolve *r = user;

	r->open--;
	/* That nothing was heard says more than that there is nothing of the other family. */
	if (code && (!r->failure.code || code == SNET_ETIMEOUT))
		fail(r, code, why);
	snet_task_defer(r->loop, &r->task);
}

static const struct snet_dns_events dns_events = { on_address, on_reply, on_end };

/* ---- asking */

/* Also when that is of no use. */
static bool is_numeric(struct snet_resolve *r)
{
	struct snet_addr a = { 0 };
	char copy[HOST_MAX], *scope;

	if (inet_pton(AF_INET, r->host, &a.in.sin_addr) == 1) {
		a.sa.sa_family = AF_INET;
	} else {
		strcpy(copy, r->host);
		scope = strchr(copy, '%');
		if (scope)
			*scope++ = '\0';
		if (inet_pton(AF_INET6, copy, &a.in6.sin6_addr) != 1)
			return false;
		a.sa.sa_family = AF_INET6;
		if (scope) {
			a.in6.sin6_scope_id = if_nametoindex(scope);
			if (!a.in6.sin6_scope_id &&
			    strspn(scope, "0123456789") == strlen(scope))
				a.in6.sin6_scope_id = (uint32_t)strtoul(scope, NULL, 10);
			if (!a.in6.sin6_scope_id) {
				fail(r, SNET_ERESOLVE, "no such interface");
				return true;
			}
		}
	}
	on_address(&a, r);
	if (!r->n)
		fail(r, SNET_ERESOLVE,
		     r->family == AF_INET ? "not an IPv4 address" : "not an IPv6 address");
	return true;
}

/* Two labels, the second one "local", RFC 6762 §3. */
static bool is_mdns(const char *host)
{
	const char *dot = strchr(host, '.');

	return dot && dot != host &&
	       (!strcasecmp(dot, ".local") || !strcasecmp(dot, ".local."));
}

static int give_up(struct snet_resolve *r, const char *why)
{
	fail(r, SNET_ERESOLVE, why);
	return 1;
}

static int ask(struct snet_resolve *r, bool hosts)
{
	struct snet_dns_opts o = {
		.hosts = hosts,
		.servers = r->servers[0] ? r->servers : NULL,
		.patience = r->timeout / PATIENCE_PART,
	};
	int rc;

	snet_dns_free(r->dns);
	r->dns = NULL;
	rc = snet_dns_new(&r->dns, r->loop, &o, &dns_events, r);
	if (rc == SNET_EINVAL)
		return give_up(r, "the name servers to ask are not addresses");
	if (rc)
		return rc;
	/* Counted first: the answer may be there at once. */
	r->open = !hosts && !r->srv_done && r->family == AF_UNSPEC ? 2 : 1;
	if (r->srv_done) {
		snet_dns_search(r->dns, r->host, SNET_DNS_SRV);
	} else if (r->open == 1) {
		snet_dns_ask(r->dns, r->host, r->family);
	} else { /* apart, so that the one does not wait for the other */
		snet_dns_ask(r->dns, r->host, AF_INET6);
		snet_dns_ask(r->dns, r->host, AF_INET);
	}
	return SNET_OK;
}

static int ask_network(struct snet_resolve *r)
{
	int rc;

	r->stage = ASKED;
	r->failure = (struct snet_error){ 0 };
	if (r->srv_done || !is_mdns(r->host))
		return ask(r, false);
	rc = snet_mdns_new(&r->mdns, r->loop, r->host, r->family, on_address, r, NULL);
	return rc == SNET_EINVAL ? give_up(r, "no such name can be") : rc;
}

static int grant_grace(struct snet_resolve *r)
{
	snet_time end = snet_loop_now(r->loop) + (r->mdns ? GRACE_MDNS : GRACE_DNS);

	if (r->has_grace || end > r->timer.deadline)
		return SNET_OK;
	r->has_grace = true;
	return snet_timer_set(r->loop, &r->timer, end);
}

/* Whether all that was asked for is there. */
static bool is_complete(const struct snet_resolve *r)
{
	if (!r->mdns)
		return !r->open;
	return r->family == AF_UNSPEC ? r->of_family[0] && r->of_family[1] : r->n > 0;
}

/* The time begins here: the loop may not have turned for long. */
static int start(struct snet_resolve *r)
{
	int rc = snet_timer_set(r->loop, &r->timer, snet_loop_now(r->loop) + r->timeout);

	if (rc)
		return rc;
	if (r->srv_done)
		return ask_network(r);
	if (is_numeric(r))
		return 1;
	r->stage = HOSTS;
	rc = ask(r, true); /* reads a file, and has ended when it returns */
	if (rc)
		return rc;
	return r->n ? 1 : ask_network(r);
}

/* 0: to be called again when there is news; 1: over; or an error. */
static int step(struct snet_resolve *r)
{
	if (r->stage == START)
		return start(r);
	if (r->stage != ASKED)
		return 0;
	if (is_complete(r))
		return 1;
	return is_found(r) ? grant_grace(r) : 0;
}

static void on_task(struct snet_task *t)
{
	struct snet_resolve *r = t->user;
	int rc = step(r);

	if (rc < 0)
		fail(r, rc, snet_err_text(rc));
	if (rc)
		finish(r);
}

/* ---- birth and death */

static bool is_text(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

static int begin(struct snet_resolve **out, struct snet_loop *l,
		 const struct snet_resolve_opts *o, struct snet_error *err)
{
	const char *servers = o->servers ? o->servers : getenv("SNET_DNS");
	struct snet_resolve *r;

	if (!o->host || !*o->host)
		return snet_fail(err, SNET_EINVAL, "no host to resolve");
	if (strlen(o->host) >= HOST_MAX || !is_text(o->host) ||
	    (servers && strlen(servers) >= SERVERS_MAX))
		return snet_fail(err, SNET_EINVAL, "what is to be resolved cannot be a name");
	r = calloc(1, sizeof(*r));
	if (!r)
		return snet_fail(err, SNET_ENOMEM, "%s", o->host);
	r->loop = l;
	strcpy(r->host, o->host);
	strcpy(r->servers, servers ? servers : "");
	r->port = o->port;
	r->family = o->family;
	r->timeout = o->timeout ? o->timeout : TIMEOUT;
	snet_task_init(&r->task, on_task, r);
	r->timer = (struct snet_timer){ .fn = on_timer, .user = r };
	snet_task_defer(l, &r->task);
	*out = r;
	return SNET_OK;
}

int snet_resolve_new(struct snet_resolve **out, struct snet_loop *l,
		     const struct snet_resolve_opts *o, snet_resolve_fn *done, void *user,
		     struct snet_error *err)
{
	int rc = begin(out, l, o, err);

	if (rc)
		return rc;
	(*out)->done = done;
	(*out)->user = user;
	return SNET_OK;
}

int snet_resolve_srv(struct snet_resolve **out, struct snet_loop *l,
		     const struct snet_resolve_opts *o, snet_resolve_srv_fn *done, void *user,
		     struct snet_error *err)
{
	struct snet_dns_answers *srv = calloc(1, sizeof(*srv));
	int rc = srv ? begin(out, l, o, err) : snet_fail(err, SNET_ENOMEM, "SRV");

	if (rc) {
		free(srv);
		return rc;
	}
	(*out)->srv = srv;
	(*out)->srv_done = done;
	(*out)->user = user;
	return SNET_OK;
}

void snet_resolve_free(struct snet_resolve *r)
{
	if (r && r->stage != OVER)
		destroy(r);
}
