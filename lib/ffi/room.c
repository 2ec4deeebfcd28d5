#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "crypto/allow.h"
#include "crypto/identity.h"
#include "ffi/nat.h"

/* Rooms of signalling servers: whoever is in one may be called there, and calls. */

#define KEEP_ALIVE (15 * SNET_SEC) /* of the connection to the server */
#define UNUSED (2 * SNET_SEC)      /* a room that let nobody in, and that nobody waits for */

struct room {
	struct snet_list node; /* in the manager's */
	struct snet_ffi_manager *m;
	struct snet_url url;
	struct snet_meet *meet;
	struct snet_list joins, calls; /* operations; ours */
	struct snet_timer timer;       /* patience of those who join; then, of the room */
	bool joined, dead, leaving;    /* dead: not let in, and never will be */
	char why[256];
};

/* A call of ours. It is the meet's until on_over, unless it has left. */
struct call {
	struct snet_list node; /* in the room's */
	struct snet_ffi_way way;
	struct room *room;
	struct snet_call *call;
};

static pthread_mutex_t *lock_of(const struct room *r)
{
	return &r->m->rt->lock;
}

/* ---- calls */

/* A room that nobody is in and nobody waits for need not be tried for ever. */
static void look_for_use(struct room *r)
{
	struct snet_loop *l = r->m->rt->loop;

	if (!r->joined && !r->leaving && snet_list_is_empty(&r->calls) &&
	    snet_list_is_empty(&r->joins))
		snet_timer_set(l, &r->timer, snet_loop_now(l) + UNUSED);
}

static void call_free(struct call *c)
{
	snet_list_del(&c->node);
	look_for_use(c->room);
	free(c);
}

/* One with a connection ends by itself when that is gone. */
static void drop(struct snet_ffi_way *w)
{
	struct call *c = SNET_OF(w, struct call, way);

	w->dial = NULL;
	if (w->spent)
		return;
	snet_call_leave(c->call);
	call_free(c);
}

/* To dial on it again would be a race with its end. */
static void begun(struct snet_ffi_way *w)
{
	w->spent = true;
}

static void on_path(struct snet_endpoint *e, const struct snet_addr *to, void *call_user,
		    void *user)
{
	struct room *r = user;
	struct call *c = call_user;

	pthread_mutex_lock(lock_of(r));
	c->way.endpoint = e;
	c->way.to = *to;
	if (c->way.dial)
		snet_ffi_dial_path(c->way.dial);
	pthread_mutex_unlock(lock_of(r));
}

static void on_over(const struct snet_error *err, void *call_user, void *user)
{
	struct room *r = user;
	struct call *c = call_user;
	struct snet_ffi_dial *d;

	pthread_mutex_lock(lock_of(r));
	d = c->way.dial;
	call_free(c);
	if (d)
		snet_ffi_dial_unmet(d, true, err->text);
	pthread_mutex_unlock(lock_of(r));
}

/* ---- the room */

/* Those that have no path will not get one, or have trouble. */
static void tell_calls(struct room *r, const char *why, bool fatal)
{
	struct snet_list *n = r->calls.next, *next;

	for (; n != &r->calls; n = next) {
		struct call *c = SNET_OF(n, struct call, node);
		struct snet_ffi_dial *d = c->way.dial;

		next = n->next;
		if (c->way.endpoint || !d)
			continue;
		snprintf(c->way.why, sizeof(c->way.why), "%s", why);
		if (!fatal)
			continue;
		drop(&c->way);
		snet_ffi_dial_unmet(d, false, why);
	}
}

static void on_joined(const struct snet_meet *meet, void *user)
{
	struct room *r = user;

	(void)meet;
	pthread_mutex_lock(lock_of(r));
	r->joined = true;
	snet_timer_stop(r->m->rt->loop, &r->timer);
	snet_ffi_op_end_all(&r->joins, STOFFELNET_OK, NULL);
	pthread_mutex_unlock(lock_of(r));
}

static void on_trouble(const struct snet_meet *meet, const struct snet_error *err, bool fatal,
		       void *user)
{
	struct room *r = user;

	(void)meet;
	snet_log(SNET_LOG_INFO, "ffi", "room %s: %s", r->url.room, err->text);
	pthread_mutex_lock(lock_of(r));
	snprintf(r->why, sizeof(r->why), "%s", err->text);
	tell_calls(r, err->text, fatal);
	if (fatal) {
		r->dead = true;
		snet_timer_stop(r->m->rt->loop, &r->timer);
		snet_ffi_op_end_all(&r->joins, STOFFELNET_ERR_CONNECTION, err->text);
		look_for_use(r);
	}
	pthread_mutex_unlock(lock_of(r));
}

/* Only a word so far: QUIC looks at the key itself. */
static bool wants(const uint8_t key[SNET_KEYID_BYTES], void *user)
{
	const struct snet_trust *t = ((struct room *)user)->m->trust;

	return snet_trust_is_insecure(t) || snet_trust_name(t, key);
}

static void on_accept(struct snet_conn *c, void *user)
{
	snet_ffi_manager_take(((struct room *)user)->m, c, NULL);
}

static void on_refused(const struct snet_addr *from, int code, const char *why, void *user)
{
	(void)user;
	snet_ffi_endpoint_events.on_refused(NULL, from, code, why, NULL);
}

static void on_ice(const struct snet_agent_event *ev, const uint8_t *key, void *user)
{
	(void)key, (void)user;
	snet_ffi_nat_say(ev);
}

static void on_note(const struct snet_error *err, void *user)
{
	on_trouble(((struct room *)user)->meet, err, false, user);
}

static const struct snet_meet_events meet_events = {
	.on_joined = on_joined,
	.on_trouble = on_trouble,
	.wants = wants,
	.on_path = on_path,
	.on_over = on_over,
	.on_accept = on_accept,
	.on_refused = on_refused,
	.on_ice = on_ice,
	.on_note = on_note,
};

/* ---- life. Locked, but drops the lock. */

static void room_free(struct room *r)
{
	struct snet_ffi_manager *m = r->m;

	r->leaving = true;
	snet_list_del(&r->node);
	m->nat.n_rooms--;
	snet_timer_stop(m->rt->loop, &r->timer);
	snet_ffi_op_end_all(&r->joins, STOFFELNET_ERR_CONNECTION, "the room was left");
	for (struct snet_list *n = r->calls.next; n != &r->calls; n = n->next) {
		struct snet_ffi_way *w = &SNET_OF(n, struct call, node)->way;

		if (w->dial)
			snet_ffi_dial_unmet(w->dial, false, "the room was left");
		w->dial = NULL;
	}
	pthread_mutex_unlock(&m->rt->lock);
	snet_meet_free(r->meet);
	pthread_mutex_lock(&m->rt->lock);
	while (!snet_list_is_empty(&r->calls))
		call_free(SNET_OF(r->calls.next, struct call, node));
	free(r);
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct room *r = t->user;
	struct snet_ffi_runtime *rt = r->m->rt;

	(void)now;
	pthread_mutex_lock(&rt->lock);
	snet_ffi_op_end_all(&r->joins, STOFFELNET_ERR_CONNECTION,
			    r->why[0] ? r->why : "the signalling server does not answer");
	if (snet_list_is_empty(&r->calls) && !r->joined)
		room_free(r);
	pthread_mutex_unlock(&rt->lock);
}

static bool is_same(const struct snet_url *a, const struct snet_url *b)
{
	return !strcmp(a->scheme, b->scheme) && !strcmp(a->host, b->host) &&
	       a->port == b->port && !strcmp(a->room, b->room);
}

/* One that let nobody in has nobody in it: the next who asks may have another token. */
static struct room *find(struct snet_ffi_manager *m, const struct snet_url *u)
{
	struct snet_list *n = m->nat.rooms.next;

	while (n != &m->nat.rooms) {
		struct room *r = SNET_OF(n, struct room, node);

		n = n->next;
		if (is_same(&r->url, u) && !r->dead)
			return r;
		if (r->dead && !r->joined) {
			room_free(r);
			n = m->nat.rooms.next;
		}
	}
	return NULL;
}

static int enter(struct room *r, const char *token, struct snet_error *err)
{
	struct snet_ffi_manager *m = r->m;
	struct snet_meet_opts o = {
		.url = { .tls = !strcmp(r->url.scheme, "ice+wss"), .port = r->url.port },
		.token = token,
		.key = snet_identity_keyid(m->identity),
		.connect = snet_ffi_nat_opts(m),
		.answers = m->role == SNET_ROLE_SERVER,
		.keep_alive = KEEP_ALIVE,
	};

	memcpy(o.url.host, r->url.host, sizeof(o.url.host));
	memcpy(o.url.room, r->url.room, sizeof(r->url.room));
	return snet_meet_new(&r->meet, m->rt->loop, &o, &meet_events, r, err);
}

static int get(struct room **out, struct snet_ffi_manager *m, const struct snet_url *u,
	       const char *token, struct snet_error *err)
{
	struct room *r = find(m, u);
	int rc;

	*out = r;
	if (r)
		return SNET_OK;
	if (!m->nat.on || m->closing)
		return snet_fail(err, SNET_EPOLICY, "NAT traversal is switched off");
	if (m->nat.n_rooms >= SNET_FFI_ROOMS)
		return snet_fail(err, SNET_EPOLICY, "more than %u rooms", SNET_FFI_ROOMS);
	r = calloc(1, sizeof(*r));
	if (!r)
		return snet_fail(err, SNET_ENOMEM, "out of memory");
	r->m = m;
	r->url = *u;
	r->timer = (struct snet_timer){ .fn = on_timer, .user = r };
	snet_list_init(&r->joins);
	snet_list_init(&r->calls);
	rc = enter(r, token, err);
	if (rc) {
		free(r);
		return rc;
	}
	snet_list_add(&m->nat.rooms, &r->node);
	m->nat.n_rooms++;
	*out = r;
	return SNET_OK;
}

void snet_ffi_room_join(struct snet_ffi_manager *m, const struct snet_url *u, const char *token,
			struct snet_ffi_op *op)
{
	struct snet_loop *l = m->rt->loop;
	struct snet_error err = { 0 };
	struct room *r;

	if (get(&r, m, u, token, &err))
		snet_ffi_op_end(op, STOFFELNET_ERR_CONNECTION, err.text);
	else if (r->joined)
		snet_ffi_op_end(op, STOFFELNET_OK, NULL);
	else if (snet_list_is_empty(&r->joins) &&
		 snet_timer_set(l, &r->timer, snet_loop_now(l) + SNET_FFI_PATIENCE))
		snet_ffi_op_end(op, STOFFELNET_ERR_RUNTIME, "out of memory");
	else
		snet_list_add(&r->joins, &op->node);
}

int snet_ffi_room_call(struct snet_ffi_way **out, struct snet_ffi_manager *m,
		       const struct snet_url *u, struct snet_error *err)
{
	struct room *r;
	struct call *c;
	int rc = get(&r, m, u, NULL, err);

	if (rc)
		return rc;
	c = calloc(1, sizeof(*c));
	if (!c)
		return snet_fail(err, SNET_ENOMEM, "out of memory");
	c->room = r;
	c->way = (struct snet_ffi_way){ .begun = begun, .drop = drop };
	c->way.key = u->has_key ? u->key : NULL;
	snprintf(c->way.why, sizeof(c->way.why), "%s",
		 r->joined || !r->why[0] ? "nobody has answered in the room" : r->why);
	snet_list_add(&r->calls, &c->node);
	pthread_mutex_unlock(&m->rt->lock);
	rc = snet_call_new(&c->call, r->meet, c->way.key, c, err);
	pthread_mutex_lock(&m->rt->lock);
	if (rc)
		call_free(c);
	else
		*out = &c->way;
	return rc;
}

void snet_ffi_rooms_stop(struct snet_ffi_manager *m, const char *why)
{
	for (struct snet_list *n = m->nat.rooms.next; n != &m->nat.rooms; n = n->next)
		snet_ffi_op_end_all(&SNET_OF(n, struct room, node)->joins,
				    STOFFELNET_ERR_CONNECTION, why);
}

void snet_ffi_rooms_leave(struct snet_ffi_manager *m)
{
	while (!snet_list_is_empty(&m->nat.rooms))
		room_free(SNET_OF(m->nat.rooms.next, struct room, node));
}
