/* STUN messages. What is read is written again from what the readers say, and reads the same.
 */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "nat/stun.h"
#include "nat/stunauth.h"
#include "nat/stund.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static uint8_t out[SNET_STUN_HEADER + 65536];

/* Copies the first attribute of the type, by the reader that fits it. */
static void copy(const struct snet_stunmsg *m, struct snet_stunout *o, enum snet_stun_attr a)
{
	struct snet_slice v;
	struct snet_addr addr;
	uint64_t number;

	if (a == SNET_STUN_FINGERPRINT || !snet_stunmsg_get(m, a, &v))
		return;
	assert(v.p >= m->p + SNET_STUN_HEADER + 4 && v.p + v.n <= m->p + m->n);
	if (snet_stunmsg_number(m, a, &number))
		snet_stunmsg_put_number(o, a, number);
	else if (snet_stunmsg_addr(m, a, &addr))
		snet_stunmsg_put_addr(o, a, &addr);
	else
		snet_stunmsg_put(o, a, v.p, v.n);
}

static void compare(const struct snet_stunmsg *m, const struct snet_stunmsg *again,
		    enum snet_stun_attr a)
{
	struct snet_addr one, two;
	uint64_t x, y;
	bool is_addr = snet_stunmsg_addr(m, a, &one), is_number = snet_stunmsg_number(m, a, &x);

	assert(snet_stunmsg_addr(again, a, &two) == is_addr);
	assert(!is_addr || snet_addr_eq(&one, &two));
	if (a != SNET_STUN_FINGERPRINT)
		assert(snet_stunmsg_number(again, a, &y) == is_number &&
		       (!is_number || x == y));
}

/* Who has no cookie gets none; else it is an answer like others. */
static int read_answer(struct snet_stunmsg *m, struct snet_stund_answer *a, const uint8_t *p)
{
	assert(a->n >= SNET_STUN_HEADER && !memcmp(a->p + 4, p + 4, 16));
	snet_put_be32(a->p + 4, SNET_STUN_COOKIE);
	return snet_stunmsg_parse(m, a->p, a->n);
}

/* A server answers with STUN, and not with more than three times as much. */
static void serve(const uint8_t *p, size_t n)
{
	static const char *const at[] = { "192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1",
					  "192.0.2.2:2", "[2001:db8::1]:9" };
	static struct snet_addr addr[5];
	struct snet_stunmsg m;

	for (size_t i = 0; i < 5 && !addr[i].sa.sa_family; i++)
		snet_addr_parse(&addr[i], at[i]);
	for (unsigned i = 0; i < 4; i++) {
		struct snet_stund d = { .n = i < 2 ? 1 : 4 };
		struct snet_stund_answer a;

		memcpy(d.at, addr, sizeof(d.at));
		if (!snet_stund_take(&d, 0, &addr[i % 2 ? 4 : 0], p, n, &a))
			continue;
		assert(a.n <= SNET_STUND_TIMES * n && a.via < d.n);
		assert(!read_answer(&m, &a, p));
		assert(m.cls == SNET_STUN_SUCCESS || m.cls == SNET_STUN_ERROR);
	}
}

/* A client who waits for just this answer, of each kind. */
static void take(const uint8_t *p, size_t n)
{
	for (unsigned kind = 0; kind < 2 && n >= SNET_STUN_HEADER; kind++) {
		struct snet_stun s;
		struct snet_stun_ask ask = { .loops = kind };
		const struct snet_stun_ask *due;
		struct snet_stun_answer a;
		uint8_t b[SNET_STUN_ASK_MAX];

		snet_stun_init(&s, NULL);
		snet_addr_parse(&ask.to, "192.0.2.1:1");
		assert(!snet_stun_ask(&s, &ask, p + 8, 0));
		assert(snet_stun_send(&s, 0, b, &due));
		if (!snet_stun_take(&s, 0, &ask.to, p, n, 1, &a))
			assert(a.rtt == 1 && snet_stun_deadline(&s) == SNET_NEVER);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_stunmsg m, again;
	struct snet_stun_key k = { .p = "key", .n = 3 };
	struct snet_stunout o;
	struct snet_slice v;
	uint16_t code;
	uint8_t b;

	serve(p, n);
	take(p, n);
	if (snet_stunmsg_parse(&m, p, n))
		return 0;
	assert(snet_stunmsg_size(p) == n && m.end <= n);
	snet_stunmsg_begin(&o, out, sizeof(out), m.cls, m.method, m.id);
#define X(name, ...) copy(&m, &o, SNET_STUN_##name);
	SNET_STUN_ATTRIBUTES(X)
#undef X
	/* Longer only by the padding that RESPONSE-PORT may lack: still below the ceiling. */
	assert(!o.bad || n > 65000);
	snet_stunmsg_error(&m, &v);
	snet_stunmsg_address_error(&m, &b);
	snet_stunmsg_icmp(&m, &b, &code);
	snet_stun_algorithms(&m, SNET_STUN_PASSWORD_ALGORITHMS);
	if (snet_stunmsg_get(&m, SNET_STUN_NONCE, &v))
		snet_stun_nonce_features(&v);
	snet_stunauth_check(&m, SNET_STUN_SHA1, &k);
	snet_stunauth_check(&m, SNET_STUN_SHA256, &k);
	/* In the table's order what was after an integrity may come before it, and vice
	 * versa: compare only what neither end. */
	if (!snet_stunmsg_end(&o) || m.integrity || m.integrity_sha256)
		return 0;
	assert(!snet_stunmsg_parse(&again, o.p, o.n));
	assert(again.cls == m.cls && again.method == m.method && !memcmp(again.id, m.id, 12));
#define X(name, ...) compare(&m, &again, SNET_STUN_##name);
	SNET_STUN_ATTRIBUTES(X)
#undef X
	return 0;
}
