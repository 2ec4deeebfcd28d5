#include "nat/stund.h"

#include <string.h>

#define SOFTWARE "stoffelnet"

/* RFC 5780 §7.2: the same bits as in CHANGE-REQUEST. */
#define CHANGE_IP 4u
#define CHANGE_PORT 2u

#define COOKIE_AT 4
#define OLD_MAX 256 /* bytes; of their requests, RFC 3489 §11.2 knows none that is longer */

/* 0, or the error of the answer; what CHANGE-REQUEST asks for needs a second address. */
static int judge(const struct snet_stund *d, struct snet_stunmsg *m)
{
	if (d->n < SNET_STUND_SOCKETS && m->unknown_n < SNET_STUN_UNKNOWN_MAX &&
	    snet_stunmsg_get(m, SNET_STUN_CHANGE_REQUEST, NULL))
		m->unknown[m->unknown_n++] = SNET_STUN_CHANGE_REQUEST;
	if (m->unknown_n)
		return 420;
	/* §7.5: fragments are for nobody but who has asked */
	return snet_stunmsg_get(m, SNET_STUN_PADDING, NULL) &&
			       snet_stunmsg_get(m, SNET_STUN_RESPONSE_PORT, NULL)
		       ? 400
		       : 0;
}

/* Appends the attribute unless the answer would be too long, or the address is every one of
 * this host. */
static void add_addr(struct snet_stunout *o, size_t ceiling, enum snet_stun_attr a,
		     const struct snet_addr *v)
{
	size_t n = 4 + (v->sa.sa_family == AF_INET6 ? 20u : 8u);

	if (o->n + n <= ceiling && !snet_addr_is_any(v))
		snet_stunmsg_put_addr(o, a, v);
}

static void add_text(struct snet_stunout *o, size_t ceiling, const char *s)
{
	if (o->n + 4 + (strlen(s) + 3) / 4 * 4 <= ceiling)
		snet_stunmsg_put_text(o, SNET_STUN_SOFTWARE, s);
}

static void add_padding(struct snet_stunout *o, size_t ceiling, const struct snet_stunmsg *m)
{
	static const uint8_t zeros[SNET_STUND_PADDING_MAX];
	struct snet_slice v;

	if (snet_stunmsg_get(m, SNET_STUN_PADDING, &v) && v.n <= sizeof(zeros) &&
	    o->n + 4 + (v.n + 3) / 4 * 4 <= ceiling)
		snet_stunmsg_put(o, SNET_STUN_PADDING, zeros, v.n);
}

/* The first ones matter most. */
static void write_success(const struct snet_stund *d, struct snet_stunout *o, size_t ceiling,
			  unsigned socket, unsigned via, const struct snet_addr *from)
{
	snet_stunmsg_put_addr(o, SNET_STUN_XOR_MAPPED_ADDRESS, from);
	if (d->n == SNET_STUND_SOCKETS)
		add_addr(o, ceiling, SNET_STUN_OTHER_ADDRESS, &d->at[socket ^ 3]);
	add_addr(o, ceiling, SNET_STUN_RESPONSE_ORIGIN, &d->at[via]);
	add_addr(o, ceiling, SNET_STUN_MAPPED_ADDRESS, from);
	add_text(o, ceiling, SOFTWARE);
}

/* ---- those who ask as RFC 3489 has it: of the id's 16 bytes four stand where others have the
 * cookie. RFC 5389 §12.2: they are echoed, and the address is plain. */

/* As if it had the cookie; b holds the bytes then. */
static bool is_old(struct snet_stunmsg *m, uint8_t b[static OLD_MAX], const uint8_t *p,
		   size_t n)
{
	if (n < SNET_STUN_HEADER || n > OLD_MAX ||
	    snet_get_be32(p + COOKIE_AT) == SNET_STUN_COOKIE)
		return false;
	memcpy(b, p, n);
	snet_put_be32(b + COOKIE_AT, SNET_STUN_COOKIE);
	return !snet_stunmsg_parse(m, b, n) && !m->fingerprint && m->cls == SNET_STUN_REQUEST &&
	       m->method == SNET_STUN_BINDING;
}

/* §12.2 again: what asks for another way back is not understood any more. */
static void disown(struct snet_stunmsg *m)
{
	static const uint16_t types[] = { SNET_STUN_CHANGE_REQUEST, SNET_STUN_PADDING,
					  SNET_STUN_RESPONSE_PORT };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (m->unknown_n < SNET_STUN_UNKNOWN_MAX && snet_stunmsg_get(m, types[i], NULL))
			m->unknown[m->unknown_n++] = types[i];
	/* RFC 3489 §11.2.9, as lengths are multiples of four there: one is said twice. */
	if (m->unknown_n % 2) {
		m->unknown[m->unknown_n] = m->unknown[m->unknown_n - 1];
		m->unknown_n++;
	}
}

static bool answer_old(struct snet_stund *d, unsigned socket, const struct snet_addr *from,
		       struct snet_stunmsg *m, const uint8_t *p, size_t n,
		       struct snet_stund_answer *out)
{
	struct snet_stunout o;
	bool refused;

	disown(m);
	refused = m->unknown_n;
	snet_stunmsg_begin(&o, out->p, sizeof(out->p),
			   refused ? SNET_STUN_ERROR : SNET_STUN_SUCCESS, SNET_STUN_BINDING,
			   m->id);
	snet_put_be32(out->p + COOKIE_AT, snet_get_be32(p + COOKIE_AT));
	if (refused) {
		snet_stunmsg_put_error(&o, 420, "Unknown Attribute   "); /* padded by spaces */
		snet_stunmsg_put_unknown(&o, m);
	} else {
		snet_stunmsg_put_addr(&o, SNET_STUN_MAPPED_ADDRESS, from);
	}
	out->via = socket;
	out->to = *from;
	out->n = snet_stunmsg_end(&o);
	if (!out->n || out->n > n * SNET_STUND_TIMES) {
		d->dropped++;
		return false;
	}
	refused ? d->refused++ : d->answered++;
	return true;
}

/* ---- all */

bool snet_stund_take(struct snet_stund *d, unsigned socket, const struct snet_addr *from,
		     const uint8_t *p, size_t n, struct snet_stund_answer *out)
{
	struct snet_stunmsg m;
	struct snet_stunout o;
	uint64_t change = 0, port = 0;
	size_t most = n * SNET_STUND_TIMES, ceiling;
	uint8_t old[OLD_MAX];
	int error;

	if (snet_addr_port(from) && is_old(&m, old, p, n))
		return answer_old(d, socket, from, &m, p, n, out);
	if (snet_stunmsg_parse(&m, p, n) || m.cls != SNET_STUN_REQUEST ||
	    m.method != SNET_STUN_BINDING || !snet_addr_port(from)) {
		d->dropped++;
		return false;
	}
	most = most < sizeof(out->p) ? most : sizeof(out->p);
	ceiling = most - (m.fingerprint ? 8 : 0);
	error = judge(d, &m);
	snet_stunmsg_begin(&o, out->p, sizeof(out->p),
			   error ? SNET_STUN_ERROR : SNET_STUN_SUCCESS, SNET_STUN_BINDING,
			   m.id);
	out->via = socket;
	out->to = *from;
	if (!error) {
		snet_stunmsg_number(&m, SNET_STUN_CHANGE_REQUEST, &change);
		if (snet_stunmsg_number(&m, SNET_STUN_RESPONSE_PORT, &port) && port)
			snet_addr_set_port(&out->to, (uint16_t)port);
		out->via ^= (change & CHANGE_IP ? 2u : 0) | (change & CHANGE_PORT ? 1u : 0);
		write_success(d, &o, ceiling, socket, out->via, from);
		add_padding(&o, ceiling, &m);
	} else if (error == 400) {
		snet_stunmsg_put_error(&o, error, "Bad Request");
	} else {
		snet_stunmsg_put_error(&o, error, "Unknown Attribute");
		snet_stunmsg_put_unknown(&o, &m);
	}
	if (m.fingerprint)
		snet_stunmsg_put_fingerprint(&o);
	out->n = snet_stunmsg_end(&o);
	if (!out->n || out->n > most) {
		d->dropped++;
		return false;
	}
	error ? d->refused++ : d->answered++;
	return true;
}
