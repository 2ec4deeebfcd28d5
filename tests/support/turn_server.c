#undef NDEBUG
#include "support/turn_server.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "crypto/hash.h"

#define PERMISSION (300 * SNET_SEC)
#define CHANNEL (600 * SNET_SEC)
#define REST (300 * SNET_SEC)

void turn_server_init(struct turn_server *s)
{
	memset(s, 0, sizeof(*s));
	s->user = "alice";
	s->password = "secret";
	s->realm = "example.org";
	s->lifetime_s = 600;
	s->data_n = -1;
}

struct ask {
	struct turn_server *s;
	const struct snet_stunmsg *m;
	snet_time now;
	struct snet_stunout o;
	struct snet_stun_key key;
	bool proven;
};

static uint32_t features(const struct turn_server *s)
{
	return (s->sha256 || s->bid_down || s->odd_algorithms ? SNET_STUN_HAS_ALGORITHMS : 0) |
	       (s->userhash ? SNET_STUN_HAS_USERHASH : 0);
}

static void nonce_of(const struct turn_server *s, char out[64])
{
	char prefix[SNET_STUN_NONCE_PREFIX + 1] = "";

	if (features(s))
		snet_stun_nonce_prefix(prefix, features(s));
	snprintf(out, 64, "%snonce-%u", prefix, s->nonce);
}

static void key_of(struct ask *a)
{
	enum snet_stun_algorithm alg = a->s->sha256 ? SNET_STUN_KEY_SHA256 : SNET_STUN_KEY_MD5;

	assert(!snet_stun_key_long(&a->key, alg, a->s->user, a->s->realm, a->s->password));
}

static void begin(struct ask *a, enum snet_stun_class cls)
{
	snet_stunmsg_begin(&a->o, a->o.p, a->o.cap, cls, a->m->method, a->m->id);
}

static size_t finish(struct ask *a)
{
	if (a->proven && !a->s->unsign) {
		if (a->s->forge)
			a->key.p[0] ^= 1;
		snet_stunauth_put(&a->o, a->s->sha256 ? SNET_STUN_SHA256 : SNET_STUN_SHA1,
				  &a->key);
	}
	assert(!a->o.bad);
	return snet_stunmsg_end(&a->o);
}

static size_t error(struct ask *a, int status)
{
	static const uint8_t odd[] = { 0x12, 0x34, 0, 0 };
	char nonce[64];

	begin(a, SNET_STUN_ERROR);
	snet_stunmsg_put_error(&a->o, status, "no");
	if (status == 401 || status == 438) {
		nonce_of(a->s, nonce);
		snet_stunmsg_put_text(&a->o, SNET_STUN_REALM, a->s->realm);
		snet_stunmsg_put_text(&a->o, SNET_STUN_NONCE, nonce);
		if (a->s->odd_algorithms)
			snet_stunmsg_put(&a->o, SNET_STUN_PASSWORD_ALGORITHMS, odd, 4);
		else if (a->s->sha256)
			snet_stun_put_algorithms(&a->o, SNET_STUN_PASSWORD_ALGORITHMS,
						 1 << SNET_STUN_KEY_MD5 |
							 1 << SNET_STUN_KEY_SHA256);
		a->proven = false;
	}
	if (status == 300 && a->s->alternate.sa.sa_family)
		snet_stunmsg_put_addr(&a->o, SNET_STUN_ALTERNATE_SERVER, &a->s->alternate);
	if (status == 420) {
		uint8_t list[2];

		snet_put_be16(list, SNET_STUN_DONT_FRAGMENT);
		snet_stunmsg_put(&a->o, SNET_STUN_UNKNOWN_ATTRIBUTES, list, 2);
	}
	return finish(a);
}

/* RFC 8489 §9.2.4. Returns a status, 0: proven. */
static int check(struct ask *a)
{
	struct turn_server *s = a->s;
	struct snet_slice v;
	uint8_t hash[32];
	char nonce[64];

	if (!snet_stunmsg_get(a->m, SNET_STUN_INTEGRITY, NULL) &&
	    !snet_stunmsg_get(a->m, SNET_STUN_INTEGRITY_SHA256, NULL))
		return 401;
	assert(snet_stunmsg_get(a->m, SNET_STUN_REALM, &v));
	assert(snet_stunmsg_get(a->m, SNET_STUN_USERNAME, &v) !=
	       snet_stunmsg_get(a->m, SNET_STUN_USERHASH, NULL));
	if (snet_stunmsg_get(a->m, SNET_STUN_USERNAME, &v)) {
		if (v.n != strlen(s->user) || memcmp(v.p, s->user, v.n))
			return 401;
	} else {
		snet_stunmsg_get(a->m, SNET_STUN_USERHASH, &v);
		assert(s->userhash && !snet_stun_userhash(hash, s->user, s->realm));
		if (memcmp(v.p, hash, 32))
			return 401;
		s->saw_userhash = true;
	}
	if (s->sha256)
		assert(snet_stun_algorithms(a->m, SNET_STUN_PASSWORD_ALGORITHM) ==
			       1 << SNET_STUN_KEY_SHA256 &&
		       snet_stun_algorithms(a->m, SNET_STUN_PASSWORD_ALGORITHMS) == 6);
	if (snet_stunauth_check(a->m, s->sha256 ? SNET_STUN_SHA256 : SNET_STUN_SHA1, &a->key))
		return 401;
	s->saw_sha256 = s->sha256;
	a->proven = true;
	if (s->nonce_life && a->now >= s->nonce_since + s->nonce_life) {
		s->nonce++;
		s->nonce_since = a->now;
	}
	nonce_of(s, nonce);
	assert(snet_stunmsg_get(a->m, SNET_STUN_NONCE, &v));
	return v.n == strlen(nonce) && !memcmp(v.p, nonce, v.n) ? 0 : 438;
}

static void put_relayed(struct ask *a, bool v6)
{
	struct snet_addr r;

	assert(!snet_addr_parse(&r, v6 ? "[2001:db8::99]:50000" : "198.51.100.9:50000"));
	snet_stunmsg_put_addr(&a->o, SNET_STUN_XOR_RELAYED_ADDRESS, &r);
}

static size_t allocate(struct ask *a)
{
	struct turn_server *s = a->s;
	bool same = s->allocated && !memcmp(s->id, a->m->id, SNET_STUN_ID), only6, also6;
	struct snet_addr mapped;
	uint64_t n = 0;

	assert(snet_stunmsg_number(a->m, SNET_STUN_REQUESTED_TRANSPORT, &n) && n == 17);
	only6 = snet_stunmsg_number(a->m, SNET_STUN_REQUESTED_ADDRESS_FAMILY, &n) && n == 2;
	also6 = snet_stunmsg_number(a->m, SNET_STUN_ADDITIONAL_ADDRESS_FAMILY, &n) && n == 2;
	assert(!only6 || !also6);
	s->saw_family = only6;
	s->saw_additional = also6;
	s->saw_dont_fragment = snet_stunmsg_get(a->m, SNET_STUN_DONT_FRAGMENT, NULL);
	if (s->saw_dont_fragment && s->no_dont_fragment)
		return error(a, 420);
	if (s->allocated && !same)
		return error(a, 437);
	n = 0;
	snet_stunmsg_number(a->m, SNET_STUN_LIFETIME, &n);
	s->saw_lifetime = (uint32_t)n;
	s->allocated = true;
	s->ends = a->now + s->lifetime_s * SNET_SEC;
	memcpy(s->id, a->m->id, SNET_STUN_ID);
	begin(a, SNET_STUN_SUCCESS);
	if (!only6 && !s->no_ipv4)
		put_relayed(a, s->wrong_family);
	if ((only6 && !s->wrong_family) || also6)
		put_relayed(a, true);
	snet_stunmsg_put_number(&a->o, SNET_STUN_LIFETIME, s->lifetime_s);
	assert(!snet_addr_parse(&mapped, "203.0.113.5:40000"));
	snet_stunmsg_put_addr(&a->o, SNET_STUN_XOR_MAPPED_ADDRESS, &mapped);
	return finish(a);
}

static size_t refresh(struct ask *a)
{
	struct turn_server *s = a->s;
	uint64_t n = s->lifetime_s;

	if (snet_stunmsg_number(a->m, SNET_STUN_LIFETIME, &n) && n)
		n = s->lifetime_s;
	s->saw_lifetime = (uint32_t)n;
	s->ends = a->now + n * SNET_SEC;
	s->allocated = n;
	begin(a, SNET_STUN_SUCCESS);
	snet_stunmsg_put_number(&a->o, SNET_STUN_LIFETIME, n);
	return finish(a);
}

static struct turn_server_grant *find(struct turn_server_grant *g, size_t n,
				      const struct snet_addr *peer)
{
	for (size_t i = 0; i < n; i++)
		if (snet_addr_eq(&g[i].peer, peer))
			return &g[i];
	return NULL;
}

static void permit(struct turn_server *s, const struct snet_addr *peer, snet_time now)
{
	struct snet_addr ip = *peer;
	struct turn_server_grant *g;

	snet_addr_set_port(&ip, 0);
	g = find(s->perm, s->perm_n, &ip);
	if (!g) {
		assert(s->perm_n < TURN_SERVER_GRANTS);
		g = &s->perm[s->perm_n++];
		g->peer = ip;
	}
	g->ends = now + PERMISSION;
}

static size_t create_permission(struct ask *a)
{
	struct snet_addr peer;

	assert(snet_stunmsg_addr(a->m, SNET_STUN_XOR_PEER_ADDRESS, &peer));
	permit(a->s, &peer, a->now);
	begin(a, SNET_STUN_SUCCESS);
	return finish(a);
}

/* §12: a number is one peer's until five minutes after it has expired; a peer's is one. */
static size_t channel_bind(struct ask *a)
{
	struct turn_server *s = a->s;
	struct turn_server_grant *g;
	struct snet_addr peer;
	uint64_t number;

	assert(snet_stunmsg_addr(a->m, SNET_STUN_XOR_PEER_ADDRESS, &peer));
	assert(snet_stunmsg_number(a->m, SNET_STUN_CHANNEL_NUMBER, &number));
	assert(number >= 0x4000 && number <= 0x4fff);
	g = find(s->channel, s->channel_n, &peer);
	assert(!g || g->number == number || a->now >= g->ends + REST);
	for (size_t i = 0; i < s->channel_n; i++)
		assert(s->channel[i].number != number ||
		       snet_addr_eq(&s->channel[i].peer, &peer) ||
		       a->now >= s->channel[i].ends + REST);
	if (!g) {
		assert(s->channel_n < TURN_SERVER_GRANTS);
		g = &s->channel[s->channel_n++];
	}
	*g = (struct turn_server_grant){ peer, (uint16_t)number, a->now + CHANNEL };
	permit(s, &peer, a->now);
	begin(a, SNET_STUN_SUCCESS);
	return finish(a);
}

/* ---- data */

static void take(struct turn_server *s, const struct snet_addr *to, const uint8_t *p, size_t n,
		 bool by_channel, snet_time now)
{
	struct snet_addr ip = *to;
	struct turn_server_grant *g;

	snet_addr_set_port(&ip, 0);
	g = find(s->perm, s->perm_n, &ip);
	if (!s->allocated || !g || now >= g->ends)
		return;
	assert(n <= sizeof(s->data));
	memcpy(s->data, p, n);
	s->data_n = (long)n;
	s->to = *to;
	s->datas++;
	s->by_channel = by_channel;
}

static void take_channel(struct turn_server *s, const uint8_t *p, size_t n, snet_time now)
{
	unsigned number = (unsigned)(p[0] << 8 | p[1]);
	size_t len = (size_t)(p[2] << 8 | p[3]);

	assert(n >= 4 + len && n <= 4 + ((len + 3) & ~(size_t)3));
	assert(!s->stream || n == 4 + ((len + 3) & ~(size_t)3));
	for (size_t i = 0; i < s->channel_n; i++)
		if (s->channel[i].number == number && now < s->channel[i].ends) {
			take(s, &s->channel[i].peer, p + 4, len, true, now);
			return;
		}
	assert(!"data for a channel that is not bound");
}

static void take_send(struct turn_server *s, const struct snet_stunmsg *m, snet_time now)
{
	struct snet_addr peer;
	struct snet_slice v;

	assert(m->method == SNET_STUN_SEND);
	assert(snet_stunmsg_addr(m, SNET_STUN_XOR_PEER_ADDRESS, &peer));
	assert(snet_stunmsg_get(m, SNET_STUN_DATA, &v));
	s->saw_dont_fragment = snet_stunmsg_get(m, SNET_STUN_DONT_FRAGMENT, NULL);
	take(s, &peer, v.p, v.n, false, now);
}

size_t turn_server_data(struct turn_server *s, const struct snet_addr *peer, const void *p,
			size_t n, snet_time now, uint8_t *out, size_t cap)
{
	static const uint8_t id[SNET_STUN_ID] = "indication.";
	struct snet_addr ip = *peer;
	struct turn_server_grant *g;
	struct snet_stunout o;
	size_t whole = s->stream ? (n + 3) & ~(size_t)3 : n;

	snet_addr_set_port(&ip, 0);
	g = find(s->perm, s->perm_n, &ip);
	if (!g || now >= g->ends)
		return 0;
	g = find(s->channel, s->channel_n, peer);
	if (g && now < g->ends) {
		assert(4 + whole <= cap);
		memset(out, 0, 4 + whole);
		snet_put_be16(out, g->number);
		snet_put_be16(out + 2, (uint16_t)n);
		memcpy(out + 4, p, n);
		return 4 + whole;
	}
	snet_stunmsg_begin(&o, out, cap, SNET_STUN_INDICATION, SNET_STUN_DATA_INDICATION, id);
	snet_stunmsg_put_addr(&o, SNET_STUN_XOR_PEER_ADDRESS, peer);
	snet_stunmsg_put(&o, SNET_STUN_DATA, p, n);
	return snet_stunmsg_end(&o);
}

/* ---- requests */

static size_t answer(struct ask *a)
{
	struct turn_server *s = a->s;
	unsigned method = a->m->method;

	if (s->times[method]) {
		s->times[method]--;
		return error(a, s->fail[method]);
	}
	if (method == SNET_STUN_ALLOCATE)
		return allocate(a);
	if (!s->allocated || a->now >= s->ends) {
		s->allocated = false;
		return error(a, 437);
	}
	if (method == SNET_STUN_REFRESH)
		return refresh(a);
	if (method == SNET_STUN_CREATE_PERMISSION)
		return create_permission(a);
	assert(method == SNET_STUN_CHANNEL_BIND);
	return channel_bind(a);
}

size_t turn_server_input(struct turn_server *s, const uint8_t *p, size_t n, snet_time now,
			 uint8_t *out, size_t cap)
{
	struct snet_stunmsg m;
	struct ask a = { .s = s, .m = &m, .now = now, .o = { .p = out, .cap = cap } };
	int status;

	if (p[0] >> 6 == 1) {
		take_channel(s, p, n, now);
		return 0;
	}
	assert(!snet_stunmsg_parse(&m, p, n) && !m.unknown_n);
	if (m.cls == SNET_STUN_INDICATION) {
		take_send(s, &m, now);
		return 0;
	}
	assert(m.cls == SNET_STUN_REQUEST && m.method < 16);
	s->seen[m.method]++;
	key_of(&a);
	if (s->moved && m.method == SNET_STUN_ALLOCATE) {
		s->moved = false;
		s->nonce++;
	}
	if (!s->open) {
		if (s->times[m.method] && s->fail[m.method] == 300) {
			s->times[m.method]--;
			s->moved = true;
			return error(&a, 300);
		}
		status = check(&a);
		if (status)
			return error(&a, status);
	}
	return answer(&a);
}
