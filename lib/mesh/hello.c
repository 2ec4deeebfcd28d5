#include "mesh/hello.h"

#include <string.h>
#include <strings.h>

#include "wire/envelope.h"

static const char *const roles[] = {
	[SNET_ROLE_SERVER] = "SERVER", [SNET_ROLE_CLIENT] = "CLIENT"
};

int snet_hello_encode(const struct snet_hello *h, struct snet_buf *out)
{
	const char *role = roles[h->role];
	struct snet_envelope e = { .tag = SNET_ENVELOPE_HANDSHAKE };

	e.handshake.old = true; /* the form with a role */
	e.handshake.role = (struct snet_slice){ (const uint8_t *)role, strlen(role), NULL };
	e.handshake.id = h->id;
	return snet_envelope_encode(&e, out);
}

static bool is_role(const struct snet_slice *s, enum snet_role role)
{
	return s->n == strlen(roles[role]) &&
	       !strncasecmp((const char *)s->p, roles[role], s->n);
}

int snet_hello_decode(struct snet_hello *h, const uint8_t *p, size_t n)
{
	struct snet_envelope e;

	if (snet_envelope_decode(&e, p, n) || e.tag != SNET_ENVELOPE_HANDSHAKE ||
	    !e.handshake.old)
		return SNET_EPROTO;
	if (is_role(&e.handshake.role, SNET_ROLE_CLIENT))
		h->role = SNET_ROLE_CLIENT;
	else if (is_role(&e.handshake.role, SNET_ROLE_SERVER))
		h->role = SNET_ROLE_SERVER;
	else
		return SNET_EPROTO;
	h->id = e.handshake.id;
	return SNET_OK;
}
