/* Room: who is in which room, who may come in, and what is kept for those who come later. Pure:
 * connections, tokens and JSON are the owner's business.
 *
 * A room begins with its first member and ends with its last. What a member says is kept while
 * it is there, up to a ceiling of its own, the earliest first: an agent's credentials and first
 * candidates come at the beginning, and are worth nothing once it has gone. */
#ifndef SNET_SIGNAL_ROOM_H
#define SNET_SIGNAL_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"

#define SNET_ROOM_NAME_MAX 64   /* characters */
#define SNET_ROOM_SOURCES 65536 /* addresses that are remembered; more are not let in */
#define SNET_ROOM_KEPT_MAX 1024 /* messages of one member */

struct snet_rooms;
struct snet_member;

struct snet_rooms_opts {
	size_t max_rooms, max_members; /* members: of one room */
	size_t per_address;            /* members from one address, at a time */
	unsigned joins_per_minute;     /* of one address; so many at once, too */
	size_t keep_bytes;             /* of one member, for those who come later */
	snet_time ttl; /* a room in which nobody has come or spoken for so long is over */
};

enum snet_room_answer {
	SNET_ROOM_WELCOME,
	SNET_ROOM_BAD_NAME,
	SNET_ROOM_TOO_OFTEN,       /* joins_per_minute */
	SNET_ROOM_ADDRESS_IS_FULL, /* per_address */
	SNET_ROOM_TOO_MANY_ROOMS,
	SNET_ROOM_IS_FULL,
	SNET_ROOM_NO_MEMORY,
};

struct snet_room_about {
	const char *name;
	size_t members, kept_messages, kept_bytes;
	uint64_t messages;    /* said in it */
	snet_time born, last; /* last: somebody came or spoke */
};

/* secret: 16 random bytes. SNET_ENOMEM. */
int snet_rooms_new(struct snet_rooms **out, const struct snet_rooms_opts *o,
		   const uint8_t secret[static 16]);
void snet_rooms_free(struct snet_rooms *r); /* members, too; NULL is fine */

/* One unreserved word (RFC 3986 §2.3) of at most SNET_ROOM_NAME_MAX characters. */
bool snet_room_name_is_good(const char *name);

/* Counts an attempt from there, before anything else is looked at: guessing tokens is one, too.
 * IPv6 addresses count by their /64, mapped ones as IPv4. SNET_ROOM_WELCOME: go on. */
enum snet_room_answer snet_rooms_knock(struct snet_rooms *r, const struct snet_addr *from,
				       snet_time now);

/* from: where snet_rooms_knock let it in. user: the owner's, for snet_member_user. */
enum snet_room_answer snet_rooms_join(struct snet_rooms *r, const char *room,
				      const struct snet_addr *from, void *user, snet_time now,
				      struct snet_member **out);
/* Frees the member; what it said is forgotten, and its room when it was the last. */
void snet_rooms_leave(struct snet_rooms *r, struct snet_member *m, snet_time now);

/* The member says something, which is kept if there is room for it. The bytes go to the others:
 * snet_member_next. SNET_ENOMEM: it could not be kept. */
int snet_rooms_say(struct snet_rooms *r, struct snet_member *m, const void *p, size_t n,
		   snet_time now);

/* The others of a member's room, in the order they came: NULL to begin, NULL at the end. */
struct snet_member *snet_member_next(const struct snet_member *m,
				     const struct snet_member *after);
void *snet_member_user(const struct snet_member *m);
void snet_member_about(const struct snet_member *m, struct snet_room_about *about);

/* What the others have said, in the order they said it: *at NULL to begin; false at the end.
 * Good until anything else is called. */
struct snet_kept;
bool snet_member_replay(const struct snet_member *m, const struct snet_kept **at,
			const uint8_t **p, size_t *n);

/* A member of a room that is over, to be sent away, one at a time; NULL: none. Also forgets
 * addresses whose time has come. Call at the deadline. */
struct snet_member *snet_rooms_expired(struct snet_rooms *r, snet_time now);
snet_time snet_rooms_deadline(const struct snet_rooms *r);

/* Rooms in the order they began: *at NULL to begin; false at the end. */
struct snet_room;
bool snet_rooms_next(const struct snet_rooms *r, const struct snet_room **at,
		     struct snet_room_about *about);
size_t snet_rooms_count(const struct snet_rooms *r);
size_t snet_rooms_members(const struct snet_rooms *r);

#endif
