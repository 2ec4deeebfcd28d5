/* Sdp: candidate lines, any text. What is understood is printed, and that is understood alike.
 */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "nat/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_sdp_candidate c, again;
	char *line = malloc(n + 1), out[SNET_SDP_MAX], twice[SNET_SDP_MAX];
	struct snet_error err;
	int rc;

	assert(line);
	if (n)
		memcpy(line, p, n);
	line[n] = '\0';
	rc = snet_sdp_parse(&c, line, &err);
	assert(rc == SNET_OK || rc == SNET_EPROTO || rc == SNET_ENOSYS);
	assert(!rc || (err.code == rc && *err.text));
	if (!rc) {
		assert(c.c.component && c.c.priority && c.port);
		assert(*c.name || snet_addr_port(&c.c.address) == c.port);
		assert(!snet_sdp_print(&c, out));
		assert(!snet_sdp_parse(&again, out, NULL) && !snet_sdp_print(&again, twice));
		assert(!strcmp(out, twice));
		assert(snet_addr_eq(&c.c.address, &again.c.address));
		assert(!strcmp(c.name, again.name) && !strcmp(c.ufrag, again.ufrag));
	}
	free(line);
	return 0;
}
