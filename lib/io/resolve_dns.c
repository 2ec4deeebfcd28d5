#include "io/resolve_dns.h"

#include <stdlib.h>
#include <string.h>

/* What c-ares deprecates since 1.28 has successors that 1.18 (Debian 12) lacks. */
#define CARES_NO_DEPRECATED
#include <ares.h>

#include "io/loop.h"

#define CLASS_IN 1
#define UDP_MAX 1232 /* bytes of an answer that fit any path: what is longer comes by TCP */

/* A socket of c-ares'. */
struct watch {
	struct watch *next;
	struct snet_dns *dns;
	struct snet_io *io;
	ares_socket_t fd;
};

struct snet_dns {
	struct snet_loop *loop;
	ares_channel channel;
	struct watch *watches;
	struct snet_timer timer;
	const struct snet_dns_events *ev;
	void *user;
	bool is_silent; /* c-ares' last words on being destroyed are for nobody */
};

/* ---- sockets and time */

static void set_timer(struct snet_dns *d)
{
	struct timeval tv;
	snet_time wait;

	if (!ares_timeout(d->channel, NULL, &tv)) {
		snet_timer_stop(d->loop, &d->timer);
		return;
	}
	wait = (snet_time)tv.tv_sec * SNET_SEC + (snet_time)tv.tv_usec * SNET_US;
	/* Without it a silent server is not given up: the owner's own deadline remains. */
	snet_timer_set(d->loop, &d->timer, snet_now() + wait);
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct snet_dns *d = t->user;

	(void)now;
	ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(d);
}

static void on_ready(struct snet_io *io, int ready, void *user)
{
	struct watch *w = user;
	struct snet_dns *d = w->dns; /* w may go meanwhile */
	ares_socket_t fd = w->fd;

	(void)io;
	ares_process_fd(d->channel, ready & SNET_READ ? fd : ARES_SOCKET_BAD,
			ready & SNET_WRITE ? fd : ARES_SOCKET_BAD);
	set_timer(d);
}

static struct watch *new_watch(struct snet_dns *d, ares_socket_t fd)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->io = snet_io_new(d->loop, fd, on_ready, w);
	if (!w->io) {
		free(w);
		return NULL;
	}
	w->fd = fd;
	w->dns = d;
	w->next = d->watches;
	return d->watches = w;
}

static void drop_watch(struct watch **at)
{
	struct watch *w = *at;

	*at = w->next;
	snet_io_free(w->io);
	free(w);
}

/* Neither: c-ares is about to close it. */
static void on_socket(void *user, ares_socket_t fd, int readable, int writable)
{
	struct snet_dns *d = user;
	struct watch **at = &d->watches, *w;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	if (!readable && !writable) {
		if (*at)
			drop_watch(at);
		return;
	}
	w = *at ? *at : new_watch(d, fd);
	/* Without memory the answer is not heard: as if it had been lost on the way. */
	if (w)
		snet_io_want(w->io, (readable ? SNET_READ : 0) | (writable ? SNET_WRITE : 0));
}

/* ---- answers */

static void end(struct snet_dns *d, int status)
{
	int code = SNET_ERESOLVE;

	if (status == ARES_SUCCESS)
		code = SNET_OK;
	else if (status == ARES_ENOMEM)
		code = SNET_ENOMEM;
	else if (status == ARES_ETIMEOUT)
		code = SNET_ETIMEOUT;
	d->ev->on_end(code,
		      code == SNET_ETIMEOUT ? "no name server answers" : ares_strerror(status),
		      d->user);
}

static void on_addresses(void *user, int status, int timeouts, struct ares_addrinfo *res)
{
	struct snet_dns *d = user;
	struct ares_addrinfo_node *node = res ? res->nodes : NULL;
	struct snet_addr a;

	(void)timeouts;
	for (; node && !d->is_silent; node = node->ai_next) {
		if (node->ai_addrlen > sizeof(a))
			continue;
		memset(&a, 0, sizeof(a));
		memcpy(&a, node->ai_addr, node->ai_addrlen);
		d->ev->on_address(&a, d->user);
	}
	if (res)
		ares_freeaddrinfo(res);
	if (!d->is_silent)
		end(d, status);
}

static void on_message(void *user, int status, int timeouts, unsigned char *p, int n)
{
	struct snet_dns *d = user;

	(void)timeouts;
	if (d->is_silent)
		return;
	if (status == ARES_SUCCESS)
		d->ev->on_reply(p, (size_t)n, d->user);
	end(d, status);
}

/* ---- questions */

void snet_dns_ask(struct snet_dns *d, const char *host, int family)
{
	/* The order is ours: it takes both families together. Later versions of c-ares (1.34
	 * does) read no hosts file at all where the variable may name one and does not. */
	struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT | (getenv("CARES_HOSTS") ? ARES_AI_ENVHOSTS : 0),
		.ai_family = family,
		.ai_socktype = SOCK_DGRAM,
	};

	ares_getaddrinfo(d->channel, host, NULL, &hints, on_addresses, d);
	set_timer(d);
}

void snet_dns_search(struct snet_dns *d, const char *name, int type)
{
	ares_search(d->channel, name, CLASS_IN, type, on_message, d);
	set_timer(d);
}

/* ---- birth and death */

static int open_channel(struct snet_dns *d, const struct snet_dns_opts *o)
{
	char lookups[] = { o->hosts ? 'f' : 'b', '\0' };
	struct ares_options a = {
		.flags = ARES_FLAG_EDNS,
		.ednspsz = UDP_MAX,
		.timeout = (int)(o->patience / SNET_MS),
		.lookups = lookups,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = d,
	};
	int rc = ares_init_options(&d->channel, &a,
				   ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB |
					   ARES_OPT_LOOKUPS |
					   (o->patience ? ARES_OPT_TIMEOUTMS : 0));

	if (rc)
		return rc == ARES_ENOMEM ? SNET_ENOMEM : SNET_EIO;
	if (!o->servers || o->hosts)
		return SNET_OK;
	rc = ares_set_servers_ports_csv(d->channel, o->servers);
	return !rc ? SNET_OK : rc == ARES_ENOMEM ? SNET_ENOMEM : SNET_EINVAL;
}

int snet_dns_new(struct snet_dns **out, struct snet_loop *l, const struct snet_dns_opts *o,
		 const struct snet_dns_events *ev, void *user)
{
	struct snet_dns *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return SNET_ENOMEM;
	d->loop = l;
	d->ev = ev;
	d->user = user;
	d->timer = (struct snet_timer){ .fn = on_timer, .user = d };
	rc = open_channel(d, o);
	if (rc) {
		snet_dns_free(d);
		return rc;
	}
	*out = d;
	return SNET_OK;
}

void snet_dns_free(struct snet_dns *d)
{
	if (!d)
		return;
	d->is_silent = true;
	if (d->channel)
		ares_destroy(d->channel);
	while (d->watches)
		drop_watch(&d->watches);
	snet_timer_stop(d->loop, &d->timer);
	free(d);
}
