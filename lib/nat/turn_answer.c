/* Turn: what the server's answers mean, RFC 8656 §7.4, §8.3, §10.3 and §12.3. */
#include <stdio.h>
#include <string.h>

#include "nat/turn_impl.h"

/* clang-format off */
static const struct {
	int status, code;
	const char *words;
} statuses[] = {
	{ 400, SNET_EPROTO , "the server finds the request malformed" },
	{ 401, SNET_EDENIED, "the server does not accept this user and password" },
	{ 403, SNET_EPOLICY, "the server forbids it" },
	{ 420, SNET_ENOSYS , "the server lacks an option that was asked for" },
	{ 437, SNET_EAGAIN , "the server has, or has not, an allocation for this port already" },
	{ 438, SNET_EPROTO , "the server finds every nonce stale that it gives" },
	{ 440, SNET_ENOSYS , "the server relays no addresses of this family" },
	{ 441, SNET_EDENIED, "these credentials are not those the allocation was made with" },
	{ 442, SNET_ENOSYS , "the server does not relay over this transport" },
	{ 443, SNET_EINVAL , "the peer's address is of another family than the relayed one" },
	{ 486, SNET_EPOLICY, "this user has as many allocations as the server allows" },
	{ 500, SNET_EUNREACH, "the server has an error of its own" },
	{ 508, SNET_EUNREACH, "the server is full" },
};
/* clang-format on */

/* What a stranger writes is shown as far as it is plain text. */
static void quote(char *out, size_t cap, const struct snet_slice *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n && n + 1 < cap; i++)
		out[n++] = s->p[i] >= ' ' && s->p[i] < 0x7f ? (char)s->p[i] : '?';
	out[n] = '\0';
}

static void explain(struct snet_error *why, int status, const struct snet_stunmsg *m)
{
	struct snet_slice reason = { 0 };
	char text[100];

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (statuses[i].status == status) {
			snet_fail(why, statuses[i].code, "%s (%d)", statuses[i].words, status);
			return;
		}
	}
	snet_stunmsg_error(m, &reason);
	quote(text, sizeof(text), &reason);
	snet_fail(why, SNET_EPROTO, "the server refuses (%d): %s", status, text);
}

/* What was asked is not to be had. */
static void fail(struct snet_turn *t, struct turn_x *x, int status,
		 const struct snet_error *why, snet_time now)
{
	enum turn_ask ask = x->ask;

	turn_x_end(t, x);
	if (ask == TURN_RELEASE) /* then it is gone, or will be */
		turn_close(t, t->leave_why.code, 0, "%s", t->leave_why.text);
	else if (ask == TURN_ALLOCATE && t->leave)
		turn_close(t, SNET_OK, 0, "released");
	else if (ask == TURN_ALLOCATE)
		turn_close(t, why->code, status, "%s", why->text);
	else if (status == 437)
		turn_close(t, SNET_ELOST, status, "the server has lost the allocation (437)");
	else if (ask == TURN_REFRESH)
		t->renew = now + TURN_AGAIN; /* until it expires */
	else
		turn_grant_refused(t, x, status, why, now);
}

void turn_no_answer(struct snet_turn *t, struct turn_x *x, int code, snet_time now)
{
	struct snet_error why;

	snet_fail(&why, code,
		  code == SNET_EINTEGRITY ? "what answered could not prove to be the server"
					  : "the server does not answer");
	fail(t, x, 0, &why, now);
}

void turn_challenged(struct snet_turn *t, struct turn_x *x, const struct snet_stunmsg *m,
		     snet_time now)
{
	int status = snet_stunmsg_error(m, NULL);
	int rc = turn_auth_challenge(t, m, status == 401 && x->proven);
	struct snet_error why;

	if (!rc && turn_x_again(t, x, now))
		return;
	explain(&why, status, m);
	if (rc == SNET_EDENIED && status == 401 && !x->proven)
		snet_fail(&why, rc, "the server's realm is not the one the password is for");
	else if (rc == SNET_EINTEGRITY)
		snet_fail(&why, rc,
			  "the server's password algorithms were taken out on the way");
	else if (rc && rc != SNET_EDENIED)
		snet_fail(&why, rc, "the server asks for credentials in a way not understood");
	fail(t, x, status, &why, now);
}

/* ---- of an allocation */

/* A quarter before the end, but a minute at least; of a short life, half. */
static void set_lifetime(struct snet_turn *t, uint32_t s, snet_time now)
{
	uint32_t in = s >= 240 ? s / 4 * 3 : s >= 120 ? s - 60 : s / 2;

	t->lifetime_s = s;
	t->ends = now + s * SNET_SEC;
	t->renew = now + (in ? in : 1) * SNET_SEC;
	t->stale_deadline = true;
}

static void take_relayed(struct snet_turn *t, const struct snet_stunmsg *m)
{
	struct snet_slice v;
	struct snet_addr a;
	size_t at = 0;

	while (snet_stunmsg_next(m, SNET_STUN_XOR_RELAYED_ADDRESS, &at, &v)) {
		bool v6;

		if (!snet_stunmsg_addr_of(m, SNET_STUN_XOR_RELAYED_ADDRESS, &v, &a))
			continue;
		v6 = a.sa.sa_family == AF_INET6;
		if (t->o.families & (v6 ? SNET_TURN_IPV6 : SNET_TURN_IPV4) &&
		    !t->relayed[v6].sa.sa_family)
			t->relayed[v6] = a;
	}
}

static void allocated(struct snet_turn *t, const struct snet_stunmsg *m, snet_time now)
{
	uint64_t s = 0;

	turn_x_end(t, &t->x);
	take_relayed(t, m);
	snet_stunmsg_addr(m, SNET_STUN_XOR_MAPPED_ADDRESS, &t->mapped);
	snet_stunmsg_number(m, SNET_STUN_LIFETIME, &s);
	if (t->leave) {
		turn_leave(t, SNET_OK, "released", now);
	} else if (!s || (!t->relayed[0].sa.sa_family && !t->relayed[1].sa.sa_family)) {
		/* §7.3: what cannot be used is given back. */
		turn_leave(t, SNET_EPROTO, "the server's allocation is not what was asked for",
			   now);
	} else {
		t->state = TURN_ALLOCATED;
		set_lifetime(t, (uint32_t)s, now);
		t->now = (struct snet_turn_event){
			.what = SNET_TURN_ALLOCATED,
			.relayed = { t->relayed[0], t->relayed[1] },
			.mapped = t->mapped,
			.lifetime_s = t->lifetime_s,
			.dont_fragment = t->dont_fragment,
		};
		turn_grants_start(t, now);
	}
}

static void refreshed(struct snet_turn *t, const struct snet_stunmsg *m, snet_time now)
{
	uint64_t s = 0;

	turn_x_end(t, &t->x);
	if (snet_stunmsg_number(m, SNET_STUN_LIFETIME, &s) && s)
		set_lifetime(t, (uint32_t)s, now);
	else
		turn_close(t, SNET_ELOST, 0, "the server has ended the allocation");
}

/* RFC 8489 §10: the other server must not be one that was asked already. */
static void redirected(struct snet_turn *t, const struct snet_stunmsg *m)
{
	struct snet_addr to;
	bool circle = false;

	turn_x_end(t, &t->x);
	if (!snet_stunmsg_addr(m, SNET_STUN_ALTERNATE_SERVER, &to)) {
		turn_close(t, SNET_EPROTO, 300, "the server names no other one (300)");
		return;
	}
	if (t->tried_n < SNET_TURN_REDIRECTS)
		t->tried[t->tried_n++] = t->o.server;
	else
		circle = true;
	for (size_t i = 0; i < t->tried_n; i++)
		circle = circle || snet_addr_eq(&to, &t->tried[i]);
	if (circle) {
		turn_close(t, SNET_EUNREACH, 300,
			   "servers send each other's clients round (300)");
		return;
	}
	t->o.server = to;
	t->auth = (struct turn_auth){ 0 };
	t->state = TURN_IDLE;
	t->now = (struct snet_turn_event){ .what = SNET_TURN_REDIRECTED, .peer = to };
	if (t->leave)
		turn_close(t, SNET_OK, 0, "released");
}

/* RFC 8656 §7.4: a server that cannot keep datagrams whole is asked again without. */
static bool lacks_dont_fragment(struct snet_turn *t, const struct snet_stunmsg *m)
{
	struct snet_slice list;
	struct snet_reader r;

	if (!t->dont_fragment || !snet_stunmsg_get(m, SNET_STUN_UNKNOWN_ATTRIBUTES, &list))
		return false;
	r = snet_reader(list.p, list.n);
	while (snet_left(&r) >= 2)
		if (snet_take_be16(&r) == SNET_STUN_DONT_FRAGMENT)
			return true;
	return false;
}

static void refused(struct snet_turn *t, struct turn_x *x, const struct snet_stunmsg *m,
		    snet_time now)
{
	int status = snet_stunmsg_error(m, NULL);
	struct snet_error why;

	if (status == 300 && x->ask == TURN_ALLOCATE) {
		redirected(t, m);
		return;
	}
	if (status == 420 && x->ask == TURN_ALLOCATE && lacks_dont_fragment(t, m)) {
		t->dont_fragment = false;
		if (turn_x_again(t, x, now))
			return;
	}
	explain(&why, status, m);
	fail(t, x, status, &why, now);
}

void turn_answer(struct snet_turn *t, struct turn_x *x, const struct snet_stunmsg *m,
		 snet_time now)
{
	if (m->cls == SNET_STUN_ERROR) {
		refused(t, x, m, now);
		return;
	}
	switch (x->ask) {
	case TURN_ALLOCATE:
		allocated(t, m, now);
		break;
	case TURN_REFRESH:
		refreshed(t, m, now);
		break;
	case TURN_RELEASE:
		turn_close(t, t->leave_why.code, 0, "%s", t->leave_why.text);
		break;
	case TURN_PERMIT:
	case TURN_BIND:
		turn_grant_answer(t, x, now);
		break;
	}
}
