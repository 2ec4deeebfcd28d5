#include "cli/stun_host.h"

#include <stdlib.h>
#include <string.h>

#include "cli/net.h"
#include "cli/out.h"

#define PATIENCE (2 * SNET_SEC) /* with name servers: those that are known wait so long */

/* Where the host ends, and where the port begins; NULL: nowhere. */
static int split(const char *at, const char **host, size_t *n, const char **port)
{
	const char *colon = strrchr(at, ':'), *close;

	*host = at;
	*port = NULL;
	if (*at == '[') {
		close = strchr(at, ']');
		if (!close || (close[1] && close[1] != ':'))
			return SNET_EINVAL;
		*host = at + 1;
		*n = (size_t)(close - at - 1);
		*port = close[1] ? close + 2 : NULL;
		return SNET_OK;
	}
	if (colon && colon == strchr(at, ':')) /* more than one: a bare IPv6 address */
		*port = colon + 1;
	*n = *port ? (size_t)(colon - at) : strlen(at);
	return SNET_OK;
}

int stun_host_parse(struct snet_url *out, const char *text, uint16_t port, bool passive,
		    struct snet_error *err)
{
	const char *at = strncmp(text, "stun:", 5) ? text : text + 5, *host, *digits;
	struct snet_url u = { .port = port };
	size_t host_n = 0;
	int rc = split(at, &host, &host_n, &digits);

	if (!rc && digits) {
		char *end = NULL;
		unsigned long v = *digits >= '0' && *digits <= '9' ? strtoul(digits, &end, 10)
								   : UINT16_MAX + 1ul;

		rc = v > UINT16_MAX || *end || (!v && !passive) ? SNET_EINVAL : SNET_OK;
		u.port = (uint16_t)v;
	}
	if (rc || host_n >= sizeof(u.host) || (!host_n && !passive))
		return snet_fail(err, SNET_EINVAL,
				 "%.128s: want a host, host:port or [ipv6]:port", text);
	memcpy(u.host, host, host_n);
	*out = u;
	return SNET_OK;
}

int stun_host(const char *text, uint16_t port, bool passive, struct snet_addr out[NET_ADDRS],
	      size_t *n, struct snet_error *err)
{
	struct snet_url u;
	int rc = stun_host_parse(&u, text, port, passive, err);

	return rc ? rc : net_resolve(&u, passive, out, n, err);
}

/* ---- together */

static void settled(struct stun_names *s)
{
	if (!--s->open)
		snet_timer_set(s->loop, &s->timer, snet_loop_now(s->loop));
}

static void give_up(struct stun_name *name, const struct snet_error *err)
{
	name->resolve = NULL;
	name->n_addrs = 0;
	out_error(err, OPT_NONE, OPT_NONE, false);
	settled(name->all);
}

static void on_resolved(const struct snet_addr *v, size_t n, const struct snet_error *err,
			void *user)
{
	struct stun_name *name = user;

	if (err) {
		give_up(name, err);
		return;
	}
	name->resolve = NULL;
	name->n_addrs = n < NET_ADDRS ? n : NET_ADDRS;
	memcpy(name->addrs, v, name->n_addrs * sizeof(*v));
	settled(name->all);
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct stun_names *s = t->user;

	(void)now;
	for (unsigned i = 0; i < s->n; i++) {
		struct snet_error err;

		if (!s->v[i].resolve)
			continue;
		snet_fail(&err, SNET_ETIMEOUT, "%s: its name is not known within %d s",
			  s->v[i].url.host, (int)(PATIENCE / SNET_SEC));
		snet_resolve_free(s->v[i].resolve);
		give_up(&s->v[i], &err);
	}
	snet_timer_stop(s->loop, t);
	s->on_over(s->user);
}

int stun_names_add(struct stun_names *s, const char *text, struct snet_error *err)
{
	struct stun_name *name = &s->v[s->n];
	int rc = stun_host_parse(&name->url, text, STUN_PORT, false, err);

	if (rc)
		return rc;
	name->all = s;
	name->text = text;
	s->n++;
	return SNET_OK;
}

static void look_up(struct stun_name *name)
{
	struct snet_error err = { 0 };

	if (net_numeric(&name->url, &name->addrs[0])) {
		name->n_addrs = 1;
		settled(name->all);
	} else if (net_look_up(&name->resolve, name->all->loop, &name->url, on_resolved, name,
			       &err)) {
		give_up(name, &err);
	}
}

void stun_names_look_up(struct stun_names *s, struct snet_loop *l, void (*on_over)(void *user),
			void *user)
{
	s->loop = l;
	s->on_over = on_over;
	s->user = user;
	s->timer = (struct snet_timer){ .fn = on_timer, .user = s };
	s->open = s->n;
	snet_timer_set(l, &s->timer, snet_loop_now(l) + PATIENCE);
	for (unsigned i = 0; i < s->n; i++)
		look_up(&s->v[i]);
}

void stun_names_fini(struct stun_names *s)
{
	if (s->loop)
		snet_timer_stop(s->loop, &s->timer);
	for (unsigned i = 0; i < s->n; i++)
		snet_resolve_free(s->v[i].resolve);
}
