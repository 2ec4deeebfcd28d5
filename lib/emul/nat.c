#include "emul/nat.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "emul/draw.h"

void snet_nat_init(struct snet_nat *n, const struct snet_nat_opts *o, uint64_t seed,
		   const uint8_t secret[static 16])
{
	*n = (struct snet_nat){ .opts = *o, .seed = seed, .next = o->port_min };
	snet_map_init(&n->map, secret);
	snet_list_init(&n->idle);
}

void snet_nat_fini(struct snet_nat *n)
{
	while (n->n)
		snet_nat_drop(n, snet_nat_idlest(n));
	snet_map_fini(&n->map);
}

/* ---- mappings */

static size_t put_address(uint8_t *p, const struct snet_addr *a, enum snet_nat_dependence how)
{
	size_t n = 0;

	if (how == SNET_NAT_ENDPOINT)
		return 0;
	p[n++] = (uint8_t)a->sa.sa_family;
	if (a->sa.sa_family == AF_INET) {
		memcpy(p + n, &a->in.sin_addr, 4);
		n += 4;
	} else {
		memcpy(p + n, &a->in6.sin6_addr, 16);
		n += 16;
	}
	if (how == SNET_NAT_ADDRESS_PORT) {
		snet_put_be16(p + n, snet_addr_port(a));
		n += 2;
	}
	return n;
}

/* What a mapping goes by, too long for a map as it is: two hashes of it. */
static void key_of(const struct snet_nat *n, uint8_t key[static 16],
		   const struct snet_addr *inside, const struct snet_addr *remote)
{
	uint8_t text[40];
	size_t len = put_address(text, inside, SNET_NAT_ADDRESS_PORT);

	len += put_address(text + len, remote, n->opts.mapping);
	snet_put_be64(key, snet_siphash(n->map.k0, n->map.k1, text, len));
	snet_put_be64(key + 8, snet_siphash(~n->map.k0, n->map.k1, text, len));
}

static uint16_t pick_port(struct snet_nat *n, const struct snet_nat_mapping *m)
{
	uint32_t span = (uint32_t)n->opts.port_max - n->opts.port_min + 1;
	uint16_t port;

	switch (n->opts.ports) {
	case SNET_NAT_ANY_PORT:
		return 0;
	case SNET_NAT_RANDOM:
		return (uint16_t)(n->opts.port_min +
				  snet_draw(n->seed, SNET_DRAW_PORT, n->drawn++) % span);
	case SNET_NAT_PRESERVE:
		if (!m->tries)
			return snet_addr_port(&m->inside);
		break;
	case SNET_NAT_SEQUENTIAL:
		break;
	}
	port = n->next;
	n->next = port == n->opts.port_max ? n->opts.port_min : (uint16_t)(port + 1);
	return port;
}

int snet_nat_next_port(struct snet_nat *n, struct snet_nat_mapping *m)
{
	uint32_t span = (uint32_t)n->opts.port_max - n->opts.port_min + 1;

	if (m->tries++ > span)
		return SNET_EINVAL;
	m->port = pick_port(n, m);
	return SNET_OK;
}

static struct snet_nat_mapping *new_mapping(struct snet_nat *n, const uint8_t key[static 16],
					    const struct snet_addr *inside,
					    const struct snet_addr *remote)
{
	struct snet_nat_mapping *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	if (snet_map_put(&n->map, key, sizeof(m->key), m)) {
		free(m);
		return NULL;
	}
	memcpy(m->key, key, sizeof(m->key));
	m->inside = *inside;
	m->remote = *remote;
	m->port = pick_port(n, m);
	snet_list_init(&m->node);
	n->n++;
	return m;
}

void snet_nat_drop(struct snet_nat *n, struct snet_nat_mapping *m)
{
	snet_map_del(&n->map, m->key, sizeof(m->key));
	snet_list_del(&m->node);
	n->n--;
	free(m->permits);
	free(m);
}

/* ---- filters */

static bool is_same(const struct snet_addr *a, const struct snet_addr *b,
		    enum snet_nat_dependence how)
{
	uint8_t x[20], y[20];
	size_t n = put_address(x, a, how);

	return n == put_address(y, b, how) && !memcmp(x, y, n);
}

/* By whole address: what the filter compares of it is its own matter. */
static int permit(struct snet_nat_mapping *m, const struct snet_addr *remote, snet_time until)
{
	struct snet_nat_permit *oldest = m->permits, *grown;

	for (size_t i = 0; i < m->n; i++) {
		if (snet_addr_eq(&m->permits[i].remote, remote)) {
			m->permits[i].until = until;
			return SNET_OK;
		}
		if (m->permits[i].until < oldest->until)
			oldest = &m->permits[i];
	}
	if (m->n == SNET_NAT_PERMITS) {
		*oldest = (struct snet_nat_permit){ *remote, until };
		return SNET_OK;
	}
	if (m->n == m->cap) {
		grown = realloc(m->permits, (2 * m->cap + 1) * sizeof(*grown));
		if (!grown)
			return SNET_ENOMEM;
		m->permits = grown;
		m->cap = 2 * m->cap + 1;
	}
	m->permits[m->n++] = (struct snet_nat_permit){ *remote, until };
	return SNET_OK;
}

bool snet_nat_in(const struct snet_nat *n, const struct snet_nat_mapping *m,
		 const struct snet_addr *remote, snet_time now)
{
	if (m->until <= now)
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (m->permits[i].until > now &&
		    is_same(&m->permits[i].remote, remote, n->opts.filtering))
			return true;
	return false;
}

/* ---- out */

int snet_nat_out(struct snet_nat *n, const struct snet_addr *inside,
		 const struct snet_addr *remote, snet_time now, struct snet_nat_mapping **out,
		 bool *fresh)
{
	snet_time until =
		n->opts.lifetime >= SNET_NEVER - now ? SNET_NEVER : now + n->opts.lifetime;
	struct snet_nat_mapping *m;
	uint8_t key[16];

	*fresh = false;
	key_of(n, key, inside, remote);
	m = snet_map_get(&n->map, key, sizeof(key));
	if (m && m->until <= now) {
		*out = m;
		return SNET_ECLOSED;
	}
	if (!m && n->n == SNET_NAT_MAPPINGS)
		return SNET_EAGAIN;
	if (!m) {
		m = new_mapping(n, key, inside, remote);
		if (!m)
			return SNET_ENOMEM;
		*fresh = true;
	}
	if (permit(m, remote, until)) {
		if (*fresh)
			snet_nat_drop(n, m);
		return SNET_ENOMEM;
	}
	m->until = until;
	snet_list_del(&m->node);
	snet_list_add(&n->idle, &m->node);
	*out = m;
	return SNET_OK;
}

struct snet_nat_mapping *snet_nat_idlest(const struct snet_nat *n)
{
	if (snet_list_is_empty(&n->idle))
		return NULL;
	return SNET_OF(n->idle.next, struct snet_nat_mapping, node);
}

snet_time snet_nat_deadline(const struct snet_nat *n)
{
	const struct snet_nat_mapping *m = snet_nat_idlest(n);

	return m ? m->until : SNET_NEVER;
}
