/* Crc32: the checksum of ISO 3309 (V.42, PNG, gzip), which STUN's FINGERPRINT is made of. */
#ifndef SNET_BASE_CRC32_H
#define SNET_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Of these bytes after those that gave crc; 0 to begin with. */
uint32_t snet_crc32(uint32_t crc, const void *p, size_t n);

#endif
