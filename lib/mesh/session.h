/* Session: what two parties compare when they connect, in a record resume (stoffelnet-wire(7)):
 * whether both speak of the same computation, and whether the other is still the process that
 * was known. The record's session bytes are the sender's incarnation and the one it knows of
 * the other side, 8 bytes each, big endian; 0 for none. Pure. */
#ifndef SNET_MESH_SESSION_H
#define SNET_MESH_SESSION_H

#include "base/bytes.h"
#include "wire/record.h"

#define SNET_SESSION_RECORD_MAX                                                    \
	(2 + SNET_SESSION_BYTES + 2 + SNET_LABEL_MAX + 4 + SNET_DIGEST_BYTES + 1 + \
	 SNET_RECORD_STREAMS * 9) /* bytes of the body */

struct snet_session {
	uint64_t incarnation; /* random, of this process; not 0 */
	const char *label;    /* UTF-8, borrowed; NULL is "" */
	uint32_t n;           /* parties */
	uint8_t roster[SNET_DIGEST_BYTES];
};

/* What the other side's resume says. */
struct snet_session_heard {
	uint64_t incarnation;
	bool is_new; /* not the process that was known, if one was */
	/* The number it expects next, per stream; 1 where a stream is not among them, and they
	 * all are not when it does not know this process. For snet_outbox_rewind. */
	struct snet_record_marks next;
};

/* The body of a resume, appended. known: the incarnation of the other side, 0: none. next: the
 * number expected next from it. SNET_EINVAL: no incarnation, or a label that is no UTF-8 or
 * above SNET_LABEL_MAX; else as snet_buf_add. */
int snet_session_encode(const struct snet_session *s, uint64_t known,
			const struct snet_record_marks *next, struct snet_buf *out);
/* Hears the body of one. SNET_EPROTO: it is none; SNET_ECONFIG: the other side is in another
 * session, and err says what differs. known: as above. */
int snet_session_hear(struct snet_session_heard *heard, const struct snet_session *s,
		      uint64_t known, const void *p, size_t n, struct snet_error *err);

#endif
