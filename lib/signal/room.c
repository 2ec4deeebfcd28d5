#include "signal/room.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "crypto/hash.h"

#define MINUTE (60 * SNET_SEC)

struct snet_kept {
	struct snet_list node; /* in the room, in the order of saying */
	struct snet_member *by;
	size_t n;
	uint8_t bytes[];
};

struct snet_room {
	struct snet_list node, members, kept;
	struct snet_room_about about;
	uint8_t key[SNET_SHA256_BYTES]; /* of the name: maps take short keys */
	char name[SNET_ROOM_NAME_MAX + 1];
};

/* An address, and a bucket of joins: full is joins_per_minute, it fills in a minute. */
struct source {
	struct snet_list node; /* by since */
	uint8_t key[9];
	size_t key_n, members;
	snet_time level, since; /* level: the part of a minute that is in it, at since */
};

struct snet_member {
	struct snet_list node;
	struct snet_room *room;
	struct source *source;
	void *user;
	size_t kept_messages, kept_bytes;
};

struct snet_rooms {
	struct snet_rooms_opts o;
	struct snet_map by_name, by_source;
	struct snet_list rooms, sources;
	size_t members;
};

/* ---- addresses */

static size_t source_key(const struct snet_addr *a, uint8_t key[static 9])
{
	const uint8_t *v6 = a->in6.sin6_addr.s6_addr;
	bool is_v6 = a->sa.sa_family == AF_INET6;

	if (is_v6 && !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
		key[0] = 6;
		memcpy(key + 1, v6, 8); /* what one customer gets at least, RFC 6177 */
		return 9;
	}
	key[0] = 4;
	memcpy(key + 1, is_v6 ? v6 + 12 : (const uint8_t *)&a->in.sin_addr, 4);
	return 5;
}

static void refill(struct source *s, snet_time now)
{
	snet_time passed = now - s->since;

	s->level = passed >= MINUTE - s->level ? MINUTE : s->level + passed;
	s->since = now;
}

static void forget_source(struct snet_rooms *r, struct source *s)
{
	snet_map_del(&r->by_source, s->key, s->key_n);
	snet_list_del(&s->node);
	free(s);
}

/* Those that nobody is in from, and that owe nothing: the list is sorted by since. */
static void forget_sources(struct snet_rooms *r, snet_time now)
{
	for (struct snet_list *n = r->sources.next, *next; n != &r->sources; n = next) {
		struct source *s = SNET_OF(n, struct source, node);

		next = n->next;
		if (now - s->since < MINUTE)
			break;
		refill(s, now);
		snet_list_del(&s->node);
		if (s->members)
			snet_list_add(&r->sources, &s->node);
		else
			forget_source(r, s);
	}
}

static struct source *find_source(struct snet_rooms *r, const struct snet_addr *from)
{
	uint8_t key[9];

	return snet_map_get(&r->by_source, key, source_key(from, key));
}

static struct source *add_source(struct snet_rooms *r, const struct snet_addr *from,
				 snet_time now)
{
	struct source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->key_n = source_key(from, s->key);
	s->level = MINUTE;
	s->since = now;
	snet_list_init(&s->node);
	if (snet_map_put(&r->by_source, s->key, s->key_n, s)) {
		free(s);
		return NULL;
	}
	snet_list_add(&r->sources, &s->node);
	return s;
}

enum snet_room_answer snet_rooms_knock(struct snet_rooms *r, const struct snet_addr *from,
				       snet_time now)
{
	snet_time price = MINUTE / r->o.joins_per_minute;
	struct source *s = find_source(r, from);

	if (!s) {
		forget_sources(r, now);
		if (r->by_source.n >= SNET_ROOM_SOURCES)
			return SNET_ROOM_TOO_OFTEN;
		s = add_source(r, from, now);
	}
	if (!s)
		return SNET_ROOM_NO_MEMORY;
	refill(s, now);
	snet_list_del(&s->node);
	snet_list_add(&r->sources, &s->node);
	if (s->level < price)
		return SNET_ROOM_TOO_OFTEN;
	s->level -= price;
	return SNET_ROOM_WELCOME;
}

/* ---- birth and death */

int snet_rooms_new(struct snet_rooms **out, const struct snet_rooms_opts *o,
		   const uint8_t secret[static 16])
{
	struct snet_rooms *r = calloc(1, sizeof(*r));

	if (!r)
		return SNET_ENOMEM;
	r->o = *o;
	snet_map_init(&r->by_name, secret);
	snet_map_init(&r->by_source, secret);
	snet_list_init(&r->rooms);
	snet_list_init(&r->sources);
	*out = r;
	return SNET_OK;
}

static void forget_room(struct snet_rooms *r, struct snet_room *room)
{
	snet_map_del(&r->by_name, room->key, sizeof(room->key));
	snet_list_del(&room->node);
	free(room);
}

static struct snet_room *add_room(struct snet_rooms *r, const char *name, const uint8_t *key,
				  snet_time now)
{
	struct snet_room *room = calloc(1, sizeof(*room));

	if (!room)
		return NULL;
	memcpy(room->key, key, sizeof(room->key));
	memcpy(room->name, name, strlen(name) + 1);
	room->about.name = room->name;
	room->about.born = now;
	snet_list_init(&room->node);
	snet_list_init(&room->members);
	snet_list_init(&room->kept);
	if (snet_map_put(&r->by_name, room->key, sizeof(room->key), room)) {
		free(room);
		return NULL;
	}
	snet_list_add(&r->rooms, &room->node);
	return room;
}

void snet_rooms_free(struct snet_rooms *r)
{
	if (!r)
		return;
	while (!snet_list_is_empty(&r->rooms)) {
		struct snet_room *room = SNET_OF(r->rooms.next, struct snet_room, node);

		snet_rooms_leave(r, SNET_OF(room->members.next, struct snet_member, node), 0);
	}
	while (!snet_list_is_empty(&r->sources))
		forget_source(r, SNET_OF(r->sources.next, struct source, node));
	snet_map_fini(&r->by_name);
	snet_map_fini(&r->by_source);
	free(r);
}

/* ---- coming and going */

bool snet_room_name_is_good(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				"0123456789-._~");

	return n && n <= SNET_ROOM_NAME_MAX && !name[n] && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

static enum snet_room_answer may_join(const struct snet_rooms *r, const struct snet_room *room,
				      const struct source *s)
{
	if (!s)
		return SNET_ROOM_TOO_OFTEN; /* has not knocked */
	if (s->members >= r->o.per_address)
		return SNET_ROOM_ADDRESS_IS_FULL;
	if (!room && r->by_name.n >= r->o.max_rooms)
		return SNET_ROOM_TOO_MANY_ROOMS;
	if (room && room->about.members >= r->o.max_members)
		return SNET_ROOM_IS_FULL;
	return SNET_ROOM_WELCOME;
}

enum snet_room_answer snet_rooms_join(struct snet_rooms *r, const char *name,
				      const struct snet_addr *from, void *user, snet_time now,
				      struct snet_member **out)
{
	struct source *s = find_source(r, from);
	uint8_t key[SNET_SHA256_BYTES];
	struct snet_member *m;
	enum snet_room_answer a;
	struct snet_room *room;

	if (!snet_room_name_is_good(name))
		return SNET_ROOM_BAD_NAME;
	if (snet_sha256(key, name, strlen(name)))
		return SNET_ROOM_NO_MEMORY;
	room = snet_map_get(&r->by_name, key, sizeof(key));
	a = may_join(r, room, s);
	if (a)
		return a;
	m = calloc(1, sizeof(*m));
	if (m && !room)
		room = add_room(r, name, key, now);
	if (!m || !room) {
		free(m);
		return SNET_ROOM_NO_MEMORY;
	}
	m->room = room;
	m->source = s;
	m->user = user;
	s->members++;
	r->members++;
	room->about.members++;
	room->about.last = now;
	snet_list_init(&m->node);
	snet_list_add(&room->members, &m->node);
	*out = m;
	return SNET_ROOM_WELCOME;
}

static void forget(struct snet_room *room, struct snet_kept *k)
{
	room->about.kept_messages--;
	room->about.kept_bytes -= k->n;
	snet_list_del(&k->node);
	free(k);
}

void snet_rooms_leave(struct snet_rooms *r, struct snet_member *m, snet_time now)
{
	struct snet_room *room = m->room;

	(void)now;
	for (struct snet_list *n = room->kept.next, *next; n != &room->kept; n = next) {
		struct snet_kept *k = SNET_OF(n, struct snet_kept, node);

		next = n->next;
		if (k->by == m)
			forget(room, k);
	}
	snet_list_del(&m->node);
	m->source->members--;
	r->members--;
	if (!--room->about.members)
		forget_room(r, room);
	free(m);
}

/* ---- saying, and being told */

int snet_rooms_say(struct snet_rooms *r, struct snet_member *m, const void *p, size_t n,
		   snet_time now)
{
	struct snet_room *room = m->room;
	struct snet_kept *k;

	room->about.messages++;
	room->about.last = now;
	if (n > r->o.keep_bytes || m->kept_bytes > r->o.keep_bytes - n ||
	    m->kept_messages >= SNET_ROOM_KEPT_MAX || !r->o.keep_bytes)
		return SNET_OK;
	k = malloc(sizeof(*k) + n);
	if (!k)
		return SNET_ENOMEM;
	k->by = m;
	k->n = n;
	if (n)
		memcpy(k->bytes, p, n);
	snet_list_init(&k->node);
	snet_list_add(&room->kept, &k->node);
	m->kept_messages++;
	m->kept_bytes += n;
	room->about.kept_messages++;
	room->about.kept_bytes += n;
	return SNET_OK;
}

struct snet_member *snet_member_next(const struct snet_member *m,
				     const struct snet_member *after)
{
	struct snet_list *n = after ? after->node.next : m->room->members.next;

	if (n == &m->node)
		n = n->next;
	return n == &m->room->members ? NULL : SNET_OF(n, struct snet_member, node);
}

void *snet_member_user(const struct snet_member *m)
{
	return m->user;
}

void snet_member_about(const struct snet_member *m, struct snet_room_about *about)
{
	*about = m->room->about;
}

bool snet_member_replay(const struct snet_member *m, const struct snet_kept **at,
			const uint8_t **p, size_t *n)
{
	struct snet_list *l = *at ? (*at)->node.next : m->room->kept.next;

	for (; l != &m->room->kept; l = l->next) {
		const struct snet_kept *k = SNET_OF(l, struct snet_kept, node);

		if (k->by == m)
			continue;
		*at = k;
		*p = k->bytes;
		*n = k->n;
		return true;
	}
	return false;
}

/* ---- time */

static snet_time room_deadline(const struct snet_rooms *r, const struct snet_room *room)
{
	return r->o.ttl > SNET_NEVER - room->about.last ? SNET_NEVER
							: room->about.last + r->o.ttl;
}

struct snet_member *snet_rooms_expired(struct snet_rooms *r, snet_time now)
{
	forget_sources(r, now);
	for (struct snet_list *n = r->rooms.next; n != &r->rooms; n = n->next) {
		struct snet_room *room = SNET_OF(n, struct snet_room, node);

		if (room_deadline(r, room) <= now)
			return SNET_OF(room->members.next, struct snet_member, node);
	}
	return NULL;
}

snet_time snet_rooms_deadline(const struct snet_rooms *r)
{
	snet_time first = SNET_NEVER;

	for (struct snet_list *n = r->rooms.next; n != &r->rooms; n = n->next) {
		snet_time d = room_deadline(r, SNET_OF(n, struct snet_room, node));

		first = d < first ? d : first;
	}
	return first;
}

bool snet_rooms_next(const struct snet_rooms *r, const struct snet_room **at,
		     struct snet_room_about *about)
{
	struct snet_list *n = *at ? (*at)->node.next : r->rooms.next;

	if (n == &r->rooms)
		return false;
	*at = SNET_OF(n, struct snet_room, node);
	*about = (*at)->about;
	return true;
}

size_t snet_rooms_count(const struct snet_rooms *r)
{
	return r->by_name.n;
}

size_t snet_rooms_members(const struct snet_rooms *r)
{
	return r->members;
}
