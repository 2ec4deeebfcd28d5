/* Encode: bytes as text and back: base64, hex, decimal. Callers bring the room. */
#ifndef SNET_OBS_ENCODE_H
#define SNET_OBS_ENCODE_H

#include <stddef.h>
#include <stdint.h>

/* Standard alphabet with padding, RFC 4648 §4. Writes and returns snet_base64_len(n)
 * characters, no NUL. */
static inline size_t snet_base64_len(size_t n)
{
	return (n + 2) / 3 * 4;
}

size_t snet_base64_encode(uint8_t *out, const void *p, size_t n);

/* Strict: padded, no white space, no stray bits (RFC 4648 §3.5). out: room for n / 4 * 3 bytes;
 * may be p itself. SNET_OK or SNET_EINVAL. */
int snet_base64_decode(uint8_t *out, size_t *out_n, const void *p, size_t n);

size_t snet_hex_encode(uint8_t *out, const void *p, size_t n); /* 2 * n lower case characters */
/* Either case. out: room for n / 2 bytes; may be p itself. SNET_OK or SNET_EINVAL. */
int snet_hex_decode(uint8_t *out, size_t *out_n, const void *p, size_t n);

#define SNET_DECIMAL_MAX 20                    /* digits of UINT64_MAX */
size_t snet_decimal(uint8_t *out, uint64_t v); /* returns the number of digits */

#endif
