#include "wire/bincode.h"

#include <string.h>

#include "base/utf8.h"

enum { V4, V6 }; /* SocketAddr's variants in serde's order */

bool snet_bincode_bool(struct snet_reader *r)
{
	uint8_t v = snet_take_u8(r);

	if (v > 1)
		r->bad = true;
	return v == 1;
}

uint32_t snet_bincode_enum(struct snet_reader *r, uint32_t n)
{
	uint32_t v = snet_take_le32(r);

	if (v >= n)
		r->bad = true;
	return r->bad ? 0 : v;
}

size_t snet_bincode_count(struct snet_reader *r, size_t least)
{
	uint64_t n = snet_take_le64(r);

	if (n > snet_left(r) / least)
		r->bad = true;
	return r->bad ? 0 : (size_t)n;
}

struct snet_slice snet_bincode_bytes(struct snet_reader *r)
{
	size_t n = snet_bincode_count(r, 1);

	return (struct snet_slice){ snet_take(r, n), n, NULL };
}

struct snet_slice snet_bincode_str(struct snet_reader *r)
{
	struct snet_slice s = snet_bincode_bytes(r);

	if (!r->bad && !snet_utf8_is_valid(s.p, s.n)) {
		r->bad = true;
		s = (struct snet_slice){ 0 };
	}
	return s;
}

void snet_bincode_addr(struct snet_reader *r, struct snet_addr *out)
{
	const uint8_t *host;
	uint32_t variant = snet_bincode_enum(r, V6 + 1);
	uint16_t port;

	*out = (struct snet_addr){ 0 };
	host = snet_take(r,
			 variant == V4 ? sizeof(out->in.sin_addr) : sizeof(out->in6.sin6_addr));
	port = snet_take_le16(r);
	if (r->bad)
		return;
	if (variant == V4) {
		out->in.sin_family = AF_INET;
		memcpy(&out->in.sin_addr, host, sizeof(out->in.sin_addr));
	} else {
		out->in6.sin6_family = AF_INET6;
		memcpy(&out->in6.sin6_addr, host, sizeof(out->in6.sin6_addr));
	}
	snet_addr_set_port(out, port);
}

void snet_bincode_opt_addr(struct snet_reader *r, struct snet_addr *out)
{
	if (snet_bincode_bool(r))
		snet_bincode_addr(r, out);
	else
		*out = (struct snet_addr){ 0 };
}

static int refuse(struct snet_buf *b)
{
	b->bad = true;
	return SNET_EINVAL;
}

int snet_bincode_put_bool(struct snet_buf *b, bool v)
{
	return snet_buf_u8(b, v);
}

int snet_bincode_put_bytes(struct snet_buf *b, const void *p, size_t n)
{
	int rc = snet_buf_le64(b, n);

	return rc ? rc : snet_buf_add(b, p, n);
}

int snet_bincode_put_str(struct snet_buf *b, const void *p, size_t n)
{
	return snet_utf8_is_valid(p, n) ? snet_bincode_put_bytes(b, p, n) : refuse(b);
}

int snet_bincode_put_addr(struct snet_buf *b, const struct snet_addr *a)
{
	const void *host;
	size_t n;
	int rc;

	switch (a->sa.sa_family) {
	case AF_INET:
		host = &a->in.sin_addr;
		n = sizeof(a->in.sin_addr);
		rc = snet_buf_le32(b, V4);
		break;
	case AF_INET6:
		host = &a->in6.sin6_addr;
		n = sizeof(a->in6.sin6_addr);
		rc = snet_buf_le32(b, V6);
		break;
	default:
		return refuse(b);
	}
	if (rc || (rc = snet_buf_add(b, host, n)))
		return rc;
	return snet_buf_le16(b, snet_addr_port(a));
}

int snet_bincode_put_opt_addr(struct snet_buf *b, const struct snet_addr *a)
{
	bool some = a->sa.sa_family != AF_UNSPEC;
	int rc = snet_bincode_put_bool(b, some);

	return rc || !some ? rc : snet_bincode_put_addr(b, a);
}

int snet_bincode_put_keys(struct snet_buf *b, const struct snet_slice *keys, size_t n)
{
	int rc = snet_buf_le64(b, n);

	for (size_t i = 0; !rc && i < n; i++)
		rc = snet_bincode_put_bytes(b, keys[i].p, keys[i].n);
	return rc;
}
