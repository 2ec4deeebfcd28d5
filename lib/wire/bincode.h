/* Bincode: values as bincode 1.3 writes them by default: little endian, fixed width, u64
 * lengths (the crate's envelopes). Integers are snet_take_le* and snet_buf_le*, an enum is its
 * u32 index. Decoding borrows from the input and sets r->bad on anything Rust would refuse;
 * encoding fails as snet_buf_add does. */
#ifndef SNET_WIRE_BINCODE_H
#define SNET_WIRE_BINCODE_H

#include "base/addr.h"
#include "base/bytes.h"

/* ---- reading. After bad: false, 0, an empty slice, no address. */
bool snet_bincode_bool(struct snet_reader *r); /* 00 or 01 only; also the tag of an Option */
uint32_t snet_bincode_enum(struct snet_reader *r, uint32_t n); /* an index below n */

/* Vec<u8>, and String, which must be UTF-8. No block: good for as long as the input is. */
struct snet_slice snet_bincode_bytes(struct snet_reader *r);
struct snet_slice snet_bincode_str(struct snet_reader *r);

/* The count of a Vec whose elements take at least least bytes each (> 0):
 * never more than can still come. */
size_t snet_bincode_count(struct snet_reader *r, size_t least);

/* SocketAddr: 10 or 22 bytes, without flow and scope. opt: None is AF_UNSPEC. */
void snet_bincode_addr(struct snet_reader *r, struct snet_addr *out);
void snet_bincode_opt_addr(struct snet_reader *r, struct snet_addr *out);

/* ---- writing. SNET_EINVAL (and b->bad): not UTF-8, or not an address. */
int snet_bincode_put_bool(struct snet_buf *b, bool v);
int snet_bincode_put_bytes(struct snet_buf *b, const void *p, size_t n);
int snet_bincode_put_str(struct snet_buf *b, const void *p, size_t n);
int snet_bincode_put_addr(struct snet_buf *b, const struct snet_addr *a);
int snet_bincode_put_opt_addr(struct snet_buf *b, const struct snet_addr *a);

/* Vec<Vec<u8>>: what the crate's list digests are taken over. */
int snet_bincode_put_keys(struct snet_buf *b, const struct snet_slice *keys, size_t n);

#endif
