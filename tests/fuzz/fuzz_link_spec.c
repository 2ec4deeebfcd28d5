/* "key value" of a link: read or refused in words; what is read is within its bounds or refused
 * by the check of the whole, and a rate that is printed is read again as the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/units.h"
#include "cli/link_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char text[256], rate[SNET_UNITS_TEXT], *value;
	struct snet_shape_spec s = { 0 };
	struct snet_error err = { 0 };
	struct snet_shape shape;
	unsigned mask = 0;
	uint64_t again;
	int rc;

	if (n >= sizeof(text))
		return 0;
	memcpy(text, p, n);
	text[n] = 0;
	value = strchr(text, ' ');
	if (!value)
		return 0;
	*value++ = 0;
	rc = link_spec_set(&s, &mask, text, value, &err);
	assert(rc == SNET_OK || (rc == SNET_EINVAL && err.text[0]));
	if (rc)
		return 0;
	assert(mask);
	if (mask & SNET_SPEC_RATE) {
		assert(!snet_rate_parse(&again, snet_rate_print(s.rate, rate)));
		assert(again == s.rate);
	}
	if (snet_shape_check(&s, &err))
		return 0;
	snet_shape_init(&shape, &s, 1);
	for (snet_time now = 0; now < 100; now++) {
		struct snet_shape_fate f = snet_shape_push(&shape, 1000, now);

		assert(f.fate != SNET_FATE_DELIVER || f.when >= now);
	}
	return 0;
}
