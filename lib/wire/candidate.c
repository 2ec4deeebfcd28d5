#include "wire/candidate.h"

#include <string.h>

#include "wire/bincode.h"

#define UDP 0 /* the only variant of the crate's protocol enum */

static const char *const names[] = { "host", "srflx", "prflx", "relay" };

#define TYPES (sizeof(names) / sizeof(names[0]))

const char *snet_candidate_name(enum snet_candidate_type type)
{
	return type < TYPES ? names[type] : "?";
}

int snet_candidate_encode(const struct snet_candidate *c, struct snet_buf *out)
{
	size_t n = strnlen(c->foundation, sizeof(c->foundation)), was = out->n;
	int rc = SNET_EINVAL;

	if (n <= SNET_FOUNDATION_MAX && c->type < TYPES &&
	    !(rc = snet_bincode_put_str(out, c->foundation, n)) &&
	    !(rc = snet_buf_le32(out, c->component)) && !(rc = snet_buf_le32(out, UDP)) &&
	    !(rc = snet_buf_le32(out, c->priority)) &&
	    !(rc = snet_bincode_put_addr(out, &c->address)) &&
	    !(rc = snet_buf_le32(out, c->type)) &&
	    !(rc = snet_bincode_put_opt_addr(out, &c->related)))
		rc = snet_bincode_put_opt_addr(out, &c->server);
	if (rc) {
		out->n = was;
		out->bad = true;
	}
	return rc;
}

void snet_candidate_take(struct snet_reader *r, struct snet_candidate *out)
{
	struct snet_slice foundation = snet_bincode_str(r);

	*out = (struct snet_candidate){ 0 };
	if (foundation.n > SNET_FOUNDATION_MAX ||
	    (foundation.n && memchr(foundation.p, '\0', foundation.n)))
		r->bad = true;
	else if (foundation.n)
		memcpy(out->foundation, foundation.p, foundation.n);
	out->component = snet_take_le32(r);
	snet_bincode_enum(r, UDP + 1);
	out->priority = snet_take_le32(r);
	snet_bincode_addr(r, &out->address);
	out->type = (enum snet_candidate_type)snet_bincode_enum(r, TYPES);
	snet_bincode_opt_addr(r, &out->related);
	snet_bincode_opt_addr(r, &out->server);
	if (r->bad)
		*out = (struct snet_candidate){ 0 };
}

int snet_candidate_decode(struct snet_candidate *out, const void *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);

	snet_candidate_take(&r, out);
	return r.bad || snet_left(&r) ? SNET_EPROTO : SNET_OK;
}
