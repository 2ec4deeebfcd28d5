/* Offer: lines of signalling, any bytes. What is understood is printed, and that is understood
 * alike. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "signal/offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_buf b = SNET_BUF(2 * SNET_OFFER_MAX);
	struct snet_offer o, again;
	struct snet_error err;
	int rc = snet_offer_parse(&o, p, n, &err);

	assert(rc == SNET_OK || (rc == SNET_EPROTO && err.code == rc && *err.text));
	if (rc || o.what == SNET_OFFER_OTHER)
		return 0;
	assert(o.what != SNET_OFFER_CANDIDATE || !strncmp(o.candidate, "candidate:", 10));
	assert(o.what == SNET_OFFER_CANDIDATE || !*o.candidate);
	assert(o.what != SNET_OFFER_PUNCH || o.punch.delay_ms <= SNET_OFFER_DELAY_MAX);
	snet_offer_print(&o, &b);
	if (o.what == SNET_OFFER_CREDENTIALS && (!*o.ufrag || !*o.pwd)) { /* half, of SDP */
		assert(b.bad && (*o.ufrag || *o.pwd));
	} else {
		assert(!b.bad && !snet_offer_parse(&again, b.p, b.n, &err));
		assert(o.what == again.what && !strcmp(o.ufrag, again.ufrag) &&
		       !strcmp(o.pwd, again.pwd) && !strcmp(o.candidate, again.candidate));
		assert(!strcmp(o.from, again.from) && !strcmp(o.to, again.to) &&
		       !strcmp(o.call, again.call));
		assert(!strcmp(o.remote_ufrag, again.remote_ufrag) &&
		       o.punch.ack == again.punch.ack && o.punch.id == again.punch.id &&
		       o.punch.delay_ms == again.punch.delay_ms);
		assert(o.punch.target.sa.sa_family == again.punch.target.sa.sa_family);
		assert(o.punch.target.sa.sa_family == AF_UNSPEC ||
		       snet_addr_eq(&o.punch.target, &again.punch.target));
	}
	snet_buf_free(&b);
	return 0;
}
