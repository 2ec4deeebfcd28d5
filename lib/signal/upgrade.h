/* Upgrade: from HTTP/1.1 to WebSocket, RFC 6455 §4, both sides of it; the addresses that lead
 * to a room. Pure. */
#ifndef SNET_SIGNAL_UPGRADE_H
#define SNET_SIGNAL_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "signal/room.h"

#define SNET_UPGRADE_NONCE 16        /* random bytes that a client sends */
#define SNET_UPGRADE_KEY 25          /* the same as text, and NUL */
#define SNET_UPGRADE_ACCEPT 29       /* what a server makes of it, and NUL */
#define SNET_UPGRADE_HEADER_MAX 8192 /* bytes of a response that are looked at */
#define SNET_SIGNAL_TOKEN_MAX 256    /* characters */

/* ws://host:port/room or wss://; the port may be left out, then it is 80 or 443. */
struct snet_signal_url {
	bool tls;
	char host[256]; /* without brackets */
	uint16_t port;
	char room[SNET_ROOM_NAME_MAX + 1];
};

/* SNET_EINVAL; err says which part is wrong. */
int snet_signal_url_parse(struct snet_signal_url *out, const char *text,
			  struct snet_error *err);

/* What may be a token: RFC 6750 §2.1, b64token, of at most SNET_SIGNAL_TOKEN_MAX. */
bool snet_signal_token_is_good(const char *token, size_t n);

void snet_upgrade_key(char out[static SNET_UPGRADE_KEY],
		      const uint8_t nonce[static SNET_UPGRADE_NONCE]);
/* SNET_EINVAL: no key of 16 bytes; SNET_ENOSYS: no SHA-1 here. */
int snet_upgrade_accept(char out[static SNET_UPGRADE_ACCEPT], const char *key);

/* The client's request. token: NULL for none. Failures leave b->bad. */
void snet_upgrade_request(struct snet_buf *b, const struct snet_signal_url *url,
			  const char *key, const char *token);

struct snet_upgrade_response {
	size_t n; /* of the header with its empty line; what follows is the connection's */
	unsigned status;
	char words[128]; /* behind a refusal: the first line of its body, else its reason */
};

/* What a server answered, from its first byte on. SNET_OK: upgraded; SNET_EAGAIN: more is
 * wanted; SNET_EDENIED: a token (another token) is asked for; SNET_EPOLICY: too many, too
 * often; SNET_EPROTO: anything else that is no upgrade, also more than
 * SNET_UPGRADE_HEADER_MAX. ended: no more will come. */
int snet_upgrade_response_parse(struct snet_upgrade_response *r, const uint8_t *p, size_t n,
				bool ended, const char *accept);

/* What a client asked, as the HTTP server found it; NULL: not there. */
struct snet_upgrade_asked {
	const char *method, *version, *upgrade, *connection, *ws_version, *key;
};

/* 101: it may be upgraded; accept is what to answer. 426: it is no upgrade to WebSocket, or not
 * to version 13; 405, 505; 400: its key is none; 500. */
unsigned snet_upgrade_check(const struct snet_upgrade_asked *a,
			    char accept[static SNET_UPGRADE_ACCEPT]);

#endif
