/* Connect envelope: what two connect.h tell each other, as IceCandidates envelopes of the crate
 * (stoffelnet-wire(7)), for those who have a way already: a connection with messages, a file.
 * An envelope is a whole list: credentials, every candidate, and no more will come; of another
 * list, for whoever starts anew, the credentials differ. Or it is a PunchRequest or a PunchAck,
 * for those whose way is fast. Pure, but for hear. */
#ifndef SNET_MESH_CONNECT_ENVELOPE_H
#define SNET_MESH_CONNECT_ENVELOPE_H

#include "mesh/connect.h"

#define SNET_CONNECT_ENVELOPE_MAX 16384 /* bytes of one; more is not looked at */

struct snet_connect_envelope {
	char ufrag[257], pwd[257];
	struct snet_candidate candidates[SNET_REMOTES_MAX];
	size_t n, at; /* at: what next has told, of credentials, candidates, end */
};

/* Takes what was said. SNET_OK: that was the end of the list, or a punch, whose envelope is
 * appended; SNET_EAGAIN: there is more to come. SNET_EPROTO: a line that no connect.h says; or
 * as snet_envelope_encode. e: zeroed at first. */
int snet_connect_envelope_say(struct snet_connect_envelope *e, const struct snet_offer *o,
			      struct snet_buf *out);

/* SNET_EPROTO: no such envelope, or bytes behind it; SNET_ETOOBIG. Candidates above
 * SNET_REMOTES_MAX are left out: no agent takes more. */
int snet_connect_envelope_read(struct snet_connect_envelope *e, const void *p, size_t n,
			       struct snet_error *err);
/* What it says, in order; false: that was all. A candidate for which lines of text have no
 * form, whose foundation is not of RFC 8839 §5.1, is passed over. */
bool snet_connect_envelope_next(struct snet_connect_envelope *e, struct snet_offer *out);

/* SNET_EPROTO: neither PunchRequest nor PunchAck, or bytes behind it; SNET_EPOLICY: a delay
 * above SNET_OFFER_DELAY_MAX. What generation it is of, it does not say. */
int snet_connect_envelope_punch(struct snet_offer *out, const void *p, size_t n);

/* All of it at once. As read, or punch; else as snet_connect_hear of the credentials: a
 * candidate that is refused costs nothing. */
int snet_connect_envelope_hear(struct snet_connect *c, const void *p, size_t n,
			       struct snet_error *err);

#endif
