#include "nat/turn_impl.h"

#include <string.h>

#include "crypto/hash.h"

/* RFC 8489 §6.2.1: seven sendings, each wait twice the last, then 16 of the first. */
#define SENDINGS 7
#define LAST_WAIT 16
#define RELIABLE_WAIT (39500 * SNET_MS) /* §6.2.2: Ti, as long as all of that takes */
#define UDP 17                          /* REQUESTED-TRANSPORT: the protocol's number */

/* From the seed, one after the other: nobody who lacks it can tell the next. */
void turn_new_id(struct snet_turn *t, uint8_t id[static SNET_STUN_ID])
{
	uint8_t from[SNET_TURN_SEED + 8], hash[SNET_BLAKE3_BYTES];

	memcpy(from, t->seed, SNET_TURN_SEED);
	snet_put_be64(from + SNET_TURN_SEED, t->serial++);
	snet_blake3(hash, from, sizeof(from));
	memcpy(id, hash, SNET_STUN_ID);
	snet_wipe(from, sizeof(from));
}

static void renew(struct snet_turn *t, struct turn_x *x, snet_time now)
{
	turn_new_id(t, x->id);
	x->active = true;
	x->forged = false;
	x->sent = 0;
	x->due = now;
	x->wait = t->o.rto;
	t->stale_deadline = true;
}

void turn_x_begin(struct snet_turn *t, struct turn_x *x, enum turn_ask ask, size_t index,
		  snet_time now)
{
	*x = (struct turn_x){ .ask = ask, .index = index };
	renew(t, x, now);
}

bool turn_x_again(struct snet_turn *t, struct turn_x *x, snet_time now)
{
	if (++x->tries > TURN_TRIES)
		return false;
	renew(t, x, now);
	return true;
}

void turn_x_end(struct snet_turn *t, struct turn_x *x)
{
	x->active = false;
	t->stale_deadline = true;
}

struct turn_x *turn_x_at(struct snet_turn *t, size_t i)
{
	if (!i)
		return &t->x;
	if (--i < t->perm_n)
		return &t->perm[i].x;
	i -= t->perm_n;
	return i < t->channel_n ? &t->channel[i].x : NULL;
}

struct turn_x *turn_x_find(struct snet_turn *t, const uint8_t id[static SNET_STUN_ID])
{
	struct turn_x *x;

	for (size_t i = 0; (x = turn_x_at(t, i)); i++)
		if (x->active && x->sent && !memcmp(x->id, id, SNET_STUN_ID))
			return x;
	return NULL;
}

bool turn_x_is_over(const struct snet_turn *t, const struct turn_x *x)
{
	return x->sent >= (t->o.stream ? 1 : SENDINGS);
}

static void schedule(struct snet_turn *t, struct turn_x *x, snet_time now)
{
	x->sent++;
	t->stale_deadline = true;
	if (t->o.stream) {
		x->due = now + RELIABLE_WAIT;
	} else if (x->sent == SENDINGS) {
		x->due = now + LAST_WAIT * t->o.rto;
	} else {
		x->due = now + x->wait;
		x->wait *= 2;
	}
	if (x->sent > 1)
		t->counts.sent_again++;
}

uint16_t turn_channel_number(const struct snet_turn *t, size_t index)
{
	return (uint16_t)(TURN_CHANNEL_MIN + (t->first_channel + index) % TURN_CHANNEL_N);
}

/* ---- the five requests */

static void put_allocate(const struct snet_turn *t, struct snet_stunout *o)
{
	snet_stunmsg_put_number(o, SNET_STUN_REQUESTED_TRANSPORT, UDP);
	if (t->o.lifetime_s)
		snet_stunmsg_put_number(o, SNET_STUN_LIFETIME, t->o.lifetime_s);
	/* RFC 8656 §7.1: not both, and IPv4 is what a server gives that is not asked. */
	if (t->o.families == SNET_TURN_IPV6)
		snet_stunmsg_put_number(o, SNET_STUN_REQUESTED_ADDRESS_FAMILY, 2);
	else if (t->o.families & SNET_TURN_IPV6)
		snet_stunmsg_put_number(o, SNET_STUN_ADDITIONAL_ADDRESS_FAMILY, 2);
	if (t->dont_fragment)
		snet_stunmsg_put(o, SNET_STUN_DONT_FRAGMENT, NULL, 0);
}

static void put_body(const struct snet_turn *t, const struct turn_x *x, struct snet_stunout *o)
{
	switch (x->ask) {
	case TURN_ALLOCATE:
		put_allocate(t, o);
		break;
	case TURN_REFRESH:
		if (t->o.lifetime_s)
			snet_stunmsg_put_number(o, SNET_STUN_LIFETIME, t->o.lifetime_s);
		break;
	case TURN_RELEASE:
		snet_stunmsg_put_number(o, SNET_STUN_LIFETIME, 0);
		break;
	case TURN_PERMIT:
		snet_stunmsg_put_addr(o, SNET_STUN_XOR_PEER_ADDRESS, &t->perm[x->index].peer);
		break;
	case TURN_BIND:
		snet_stunmsg_put_number(o, SNET_STUN_CHANNEL_NUMBER,
					turn_channel_number(t, x->index));
		snet_stunmsg_put_addr(o, SNET_STUN_XOR_PEER_ADDRESS,
				      &t->channel[x->index].peer);
		break;
	}
}

/* A request that is sent again says the same, but for a nonce that another one's answer has
 * brought meanwhile. */
size_t turn_x_write(struct snet_turn *t, struct turn_x *x, uint8_t *p, size_t cap,
		    snet_time now)
{
	static const uint16_t methods[] = {
		[TURN_ALLOCATE] = SNET_STUN_ALLOCATE,
		[TURN_REFRESH] = SNET_STUN_REFRESH,
		[TURN_RELEASE] = SNET_STUN_REFRESH,
		[TURN_BIND] = SNET_STUN_CHANNEL_BIND,
		[TURN_PERMIT] = SNET_STUN_CREATE_PERMISSION,
	};
	struct snet_stunout o;

	snet_stunmsg_begin(&o, p, cap, SNET_STUN_REQUEST, methods[x->ask], x->id);
	put_body(t, x, &o);
	x->proven = t->auth.known;
	if (x->proven)
		turn_auth_put(t, &o);
	schedule(t, x, now);
	return snet_stunmsg_end(&o);
}
