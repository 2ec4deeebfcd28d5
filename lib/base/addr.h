/* Addr: a socket address as a value, and the addresses people write (snet(7), ADDRESSES). */
#ifndef SNET_BASE_ADDR_H
#define SNET_BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* family AF_UNSPEC: no address. */
struct snet_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
};

#define SNET_ADDR_TEXT 64   /* "[ffff:...:255.255.255.255%4294967295]:65535" and NUL */
#define SNET_KEYID_BYTES 32 /* SHA-256 of a SubjectPublicKeyInfo */
#define SNET_KEYID_TEXT 44  /* base64url without padding, and NUL */

socklen_t snet_addr_len(const struct snet_addr *a);
uint16_t snet_addr_port(const struct snet_addr *a);
void snet_addr_set_port(struct snet_addr *a, uint16_t port);
/* Family, host, port, and the scope of a link-local one. */
bool snet_addr_eq(const struct snet_addr *a, const struct snet_addr *b);
bool snet_addr_is_any(const struct snet_addr *a); /* 0.0.0.0 or :: */
/* ::ffff:192.0.2.1, which an IPv6 socket says for IPv4 (RFC 4291 §2.5.5.2), becomes 192.0.2.1.
 */
void snet_addr_unmap(struct snet_addr *a);

/* Numeric "192.0.2.1:9000", "[2001:db8::1]:9000",
 * "[fe80::1%2]:9000". Fails with SNET_EINVAL. */
int snet_addr_parse(struct snet_addr *out, const char *text);
/* Returns out. */
const char *snet_addr_print(const struct snet_addr *a, char out[static SNET_ADDR_TEXT]);

/* Key ids as text: 43 characters of base64url. Parse refuses anything else (SNET_EINVAL), also
 * a last character with stray bits. */
int snet_keyid_parse(uint8_t out[static SNET_KEYID_BYTES], const char *text);
const char *snet_keyid_print(const uint8_t id[static SNET_KEYID_BYTES],
			     char out[static SNET_KEYID_TEXT]);

#define SNET_ROOM_MAX 64 /* characters of the name of a room */

/* What a person writes: scheme "://" host ":" port [ "/" room ] [ "#" keyid ], or host:port
 * alone, which means quic. Schemes that begin with "ice+" have a room, and no others; "srv" has
 * no port: its host is the name of a service, RFC 2782. */
struct snet_url {
	char scheme[12];
	char host[256];               /* without brackets; "" = every address, for listening */
	uint16_t port;                /* of srv: 0 */
	char room[SNET_ROOM_MAX + 1]; /* "": none */
	bool has_key;
	uint8_t key[SNET_KEYID_BYTES];
};

/* Fails with SNET_EINVAL; err says which part is wrong, and names the text. */
int snet_url_parse(struct snet_url *out, const char *text, struct snet_error *err);

/* Prints into out, truncating never: 12 + 3 + 258 + 6 + 65 + 44 bytes fit in SNET_URL_TEXT. */
#define SNET_URL_TEXT 400
const char *snet_url_print(const struct snet_url *u, char out[static SNET_URL_TEXT]);

#endif
