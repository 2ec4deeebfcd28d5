/* A roster: read or refused, and everyone in one that is read can be found again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cli/roster.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct roster *r = NULL;
	struct snet_error err = { 0 };
	int rc = roster_parse(&r, p, n, "roster", &err);

	assert(rc == SNET_OK || rc == SNET_ECONFIG);
	assert(rc ? !r && !strncmp(err.text, "roster", 6) : r && r->parties);
	for (size_t i = 0; r && i < r->parties + r->clients; i++) {
		const struct roster_member *m = &r->members[i];

		assert((m->client ? roster_client(r, m->id) : roster_party(r, m->id)) == m);
		assert(roster_holder(r, m->key) == m);
		assert(!*m->name || roster_named(r, m->name) == m);
	}
	roster_free(r);
	return 0;
}
