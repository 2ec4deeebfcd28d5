#include "cli/look_up.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "cli/net.h"
#include "cli/ready.h"
#include "io/loop.h"

#define AT_ONCE 16 /* questions */

struct question {
	struct look_up *all;
	struct snet_url *url; /* NULL: none */
	struct snet_resolve *resolve;
};

struct look_up {
	struct snet_loop *loop;
	struct snet_url *v;
	size_t n, next, open; /* next: to be looked at; open: questions */
	struct question questions[AT_ONCE];
	struct snet_task over;
	struct snet_error error;
	look_up_fn *done;
	void *user;
};

static void advance(struct look_up *u);

static void fail(struct look_up *u, const struct snet_error *err)
{
	if (!u->error.code)
		u->error = *err;
	u->next = u->n;
}

static void forget(struct look_up *u)
{
	for (size_t i = 0; i < AT_ONCE; i++) {
		snet_resolve_free(u->questions[i].resolve);
		u->questions[i].resolve = NULL;
	}
}

static void on_over(struct snet_task *t)
{
	struct look_up *u = t->user;
	struct snet_error err = u->error; /* it may free what it is of */

	forget(u);
	u->done(err.code ? &err : NULL, u->user);
}

/* The address as a host: with the scope of a link-local one. */
static int put(struct snet_url *url, const struct snet_addr *a, struct snet_error *err)
{
	int rc = getnameinfo(&a->sa, snet_addr_len(a), url->host, sizeof(url->host), NULL, 0,
			     NI_NUMERICHOST);

	return rc ? snet_fail(err, SNET_ERESOLVE, "%s", gai_strerror(rc)) : SNET_OK;
}

static void on_resolved(const struct snet_addr *v, size_t n, const struct snet_error *err,
			void *user)
{
	struct question *q = user;
	struct look_up *u = q->all;
	struct snet_error bad = { 0 };

	(void)n; /* at least one */
	q->resolve = NULL;
	u->open--;
	if (err)
		fail(u, err);
	else if (put(q->url, &v[0], &bad))
		fail(u, &bad);
	q->url = NULL;
	advance(u);
}

static bool is_known(const struct snet_url *url)
{
	struct snet_addr a;

	return !url->host[0] || net_numeric(url, &a);
}

/* As many questions as there may be; the end, when there is none left. */
static void advance(struct look_up *u)
{
	struct snet_error err = { 0 };

	for (size_t i = 0; i < AT_ONCE; i++) {
		struct question *q = &u->questions[i];

		while (u->next < u->n && is_known(&u->v[u->next]))
			u->next++;
		if (u->next == u->n)
			break;
		if (q->url)
			continue;
		q->url = &u->v[u->next++];
		if (net_look_up(&q->resolve, u->loop, q->url, on_resolved, q, &err)) {
			q->url = NULL;
			fail(u, &err);
			break;
		}
		u->open++;
	}
	if (u->next == u->n && (!u->open || u->error.code))
		snet_task_defer(u->loop, &u->over);
}

int look_up_new(struct look_up **out, struct snet_loop *l, struct snet_url *v, size_t n,
		look_up_fn *done, void *user, struct snet_error *err)
{
	struct look_up *u = calloc(1, sizeof(*u));

	if (!u)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	u->loop = l;
	u->v = v;
	u->n = n;
	u->done = done;
	u->user = user;
	for (size_t i = 0; i < AT_ONCE; i++)
		u->questions[i].all = u;
	snet_task_init(&u->over, on_over, u);
	advance(u);
	*out = u;
	return SNET_OK;
}

int look_up_place(struct look_up **out, struct snet_loop *l, struct snet_url *at,
		  look_up_fn *done, void *user, struct snet_error *err)
{
	bool binds = !strcmp(at->scheme, "quic") && !ready_has_listen_fd();

	return look_up_new(out, l, at, binds ? 1 : 0, done, user, err);
}

void look_up_free(struct look_up *u)
{
	if (!u)
		return;
	forget(u);
	snet_task_cancel(&u->over);
	free(u);
}
