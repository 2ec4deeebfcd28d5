/* Turn: long-term credentials, RFC 8489 §9.2. */
#include "nat/turn_impl.h"

#include <string.h>

/* §9.2.5: what the nonce promises and the message lacks was taken out on the way. */
static int take_algorithms(struct turn_auth *a, const struct snet_stunmsg *m, uint32_t features)
{
	struct snet_slice raw;
	uint32_t known;

	if (!snet_stunmsg_get(m, SNET_STUN_PASSWORD_ALGORITHMS, &raw))
		return features & SNET_STUN_HAS_ALGORITHMS ? SNET_EINTEGRITY : SNET_OK;
	known = snet_stun_algorithms(m, SNET_STUN_PASSWORD_ALGORITHMS);
	if (raw.n > sizeof(a->algorithms))
		return SNET_EPROTO;
	if (!known)
		return SNET_ENOSYS;
	memcpy(a->algorithms, raw.p, raw.n);
	a->algorithms_n = raw.n;
	a->sha256 = known & 1u << SNET_STUN_KEY_SHA256;
	return SNET_OK;
}

static int take_names(struct snet_turn *t, struct turn_auth *a, const struct snet_stunmsg *m)
{
	struct snet_slice realm, nonce;

	if (!snet_stunmsg_get(m, SNET_STUN_REALM, &realm) ||
	    !snet_stunmsg_get(m, SNET_STUN_NONCE, &nonce))
		return SNET_EPROTO;
	if (realm.n > SNET_STUN_TEXT_MAX || nonce.n > sizeof(a->nonce) ||
	    memchr(realm.p, '\0', realm.n))
		return SNET_EPROTO;
	memcpy(a->realm, realm.p, realm.n);
	memcpy(a->nonce, nonce.p, nonce.n);
	a->nonce_n = nonce.n;
	a->anonymous =
		t->o.userhash && snet_stun_nonce_features(&nonce) & SNET_STUN_HAS_USERHASH;
	if (t->realm && strcmp(t->realm, a->realm))
		return SNET_EDENIED;
	return take_algorithms(a, m, snet_stun_nonce_features(&nonce));
}

static int make_key(const struct snet_turn *t, struct turn_auth *a)
{
	int rc = snet_stun_key_long(&a->key,
				    a->sha256 ? SNET_STUN_KEY_SHA256 : SNET_STUN_KEY_MD5,
				    t->user, a->realm, t->password);

	if (!rc && a->anonymous)
		rc = snet_stun_userhash(a->userhash, t->user, a->realm);
	return rc;
}

static bool is_same(const struct turn_auth *a, const struct turn_auth *b)
{
	return !strcmp(a->realm, b->realm) && a->sha256 == b->sha256 &&
	       a->anonymous == b->anonymous && a->algorithms_n == b->algorithms_n;
}

int turn_auth_challenge(struct snet_turn *t, const struct snet_stunmsg *m, bool refused)
{
	struct turn_auth a = { .known = true };
	int rc = take_names(t, &a, m);

	/* §9.2.5: not again with the same, which would be refused again. */
	if (!rc && refused && t->auth.known && is_same(&a, &t->auth))
		rc = SNET_EDENIED;
	if (!rc)
		rc = make_key(t, &a);
	if (!rc)
		t->auth = a;
	snet_wipe(&a, sizeof(a));
	return rc;
}

void turn_auth_put(const struct snet_turn *t, struct snet_stunout *o)
{
	const struct turn_auth *a = &t->auth;

	if (a->anonymous)
		snet_stunmsg_put(o, SNET_STUN_USERHASH, a->userhash, sizeof(a->userhash));
	else
		snet_stunmsg_put_text(o, SNET_STUN_USERNAME, t->user);
	snet_stunmsg_put_text(o, SNET_STUN_REALM, a->realm);
	snet_stunmsg_put(o, SNET_STUN_NONCE, a->nonce, a->nonce_n);
	if (a->algorithms_n) {
		snet_stunmsg_put(o, SNET_STUN_PASSWORD_ALGORITHMS, a->algorithms,
				 a->algorithms_n);
		snet_stun_put_algorithms(
			o, SNET_STUN_PASSWORD_ALGORITHM,
			1u << (a->sha256 ? SNET_STUN_KEY_SHA256 : SNET_STUN_KEY_MD5));
	}
	snet_stunauth_put(o, a->algorithms_n ? SNET_STUN_SHA256 : SNET_STUN_SHA1, &a->key);
}

/* A server that speaks of algorithms proves itself by the new attribute only. */
bool turn_auth_is_proven(const struct snet_turn *t, const struct snet_stunmsg *m)
{
	return !snet_stunauth_check(m, t->auth.algorithms_n ? SNET_STUN_SHA256 : SNET_STUN_SHA1,
				    &t->auth.key);
}
