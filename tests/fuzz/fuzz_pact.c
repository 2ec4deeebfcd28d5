/* Pact: what a peer may say of when to punch, in any order and at any time. It is waited for no
 * longer than is promised, has us say no more than there is room for, and we begin once. */
#undef NDEBUG
#include <assert.h>

#include "base/bytes.h"
#include "base/err.h"
#include "nat/punch_pact.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define SAID_MAX (SNET_PACT_HEARD + 2 * SNET_PACT_ASKS)

static unsigned said, begun;

static void drive(struct snet_pact *pact, snet_time now)
{
	enum snet_pact_what what;
	struct snet_pact_word w;

	while ((what = snet_pact_step(pact, &w, now))) {
		said += what == SNET_PACT_SAY;
		begun += what != SNET_PACT_SAY;
		assert(w.delay <= SNET_PACT_DELAY_MAX && w.delay % SNET_MS == 0);
	}
	assert(said <= SAID_MAX && begun <= 1 && pact->deadline > now);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_reader r = snet_reader(p, n);
	struct snet_addr at = { 0 };
	struct snet_pact pact;
	snet_time now = SNET_SEC, since = 0;

	said = begun = 0;
	snet_pact_init(&pact);
	while (snet_left(&r) >= 4) {
		uint8_t what = snet_take_u8(&r), id = snet_take_u8(&r);
		uint16_t ms = snet_take_be16(&r);
		struct snet_pact_word w = { what & 1 ? SNET_PACT_ACK : SNET_PACT_REQUEST, id,
					    at, ms * SNET_MS };

		switch (what >> 1 & 3) {
		case 0:
			now += ms * SNET_MS;
			break;
		case 1:
			since = since ? since : now;
			snet_pact_want(&pact, now);
			break;
		case 2:
			if (!snet_pact_ask(&pact, id, &at, now))
				since = since ? since : now;
			break;
		default:
			(void)snet_pact_hear(&pact, &w, now);
		}
		drive(&pact, now);
		assert(!since || begun || now < since + SNET_PACT_WAIT_MAX);
	}
	return 0;
}
