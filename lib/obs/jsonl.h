/* Jsonl: writes JSON objects, one per line, into a buffer. No tree, no
 * allocation but the buffer's growth.
 *
 *	snet_json_open(b);
 *	snet_json_words(b, "event", "ready");
 *	snet_json_uint(b, "peers", 3);
 *	snet_json_line(b);
 *
 * A key is a literal that needs no escape; commas come by themselves. Failures leave
 * b->bad, to be looked at once. */
#ifndef SNET_OBS_JSONL_H
#define SNET_OBS_JSONL_H

#include "base/bytes.h"

void snet_json_open(struct snet_buf *b);  /* { */
void snet_json_close(struct snet_buf *b); /* } */
void snet_json_line(struct snet_buf *b);  /* } and newline */
/* "key": what follows is the caller's. */
void snet_json_key(struct snet_buf *b, const char *key);

/* SNET_EINVAL when it is not UTF-8: nothing was written, b is as it was. */
int snet_json_text(struct snet_buf *b, const char *key, const void *p, size_t n);
/* The same for words: broken bytes become U+FFFD. */
void snet_json_words(struct snet_buf *b, const char *key, const char *s);
void snet_json_uint(struct snet_buf *b, const char *key, uint64_t v);
void snet_json_int(struct snet_buf *b, const char *key, int64_t v);
void snet_json_bool(struct snet_buf *b, const char *key, bool v);
void snet_json_base64(struct snet_buf *b, const char *key, const void *p, size_t n);
void snet_json_hex(struct snet_buf *b, const char *key, const void *p, size_t n);
/* JSON already. */
void snet_json_raw(struct snet_buf *b, const char *key, const void *p, size_t n);

/* The string alone, with its quotes. SNET_EINVAL as above. */
int snet_json_string(struct snet_buf *b, const void *p, size_t n);
/* Broken bytes become U+FFFD. */
void snet_json_lossy(struct snet_buf *b, const void *p, size_t n);

#endif
