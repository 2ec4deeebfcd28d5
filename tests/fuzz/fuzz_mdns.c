/* DNS messages. What is read is within the ceilings; and as a message is read to its last byte
 * or not at all, a shorter and a longer one say nothing. */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "io/dnsmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(const uint8_t *p, size_t n, const char *name)
{
	struct snet_dns_answers a;
	uint8_t *other, ask[SNET_DNS_ASK_MAX];

	if (snet_dnsmsg_read(&a, p, n, name)) {
		assert(!a.addrs_n && !a.targets_n);
		return;
	}
	assert(a.addrs_n <= SNET_DNS_ADDRS && a.targets_n <= SNET_DNS_TARGETS);
	for (size_t i = 0; i < a.addrs_n; i++)
		assert(snet_addr_len(&a.addrs[i]) && !snet_addr_port(&a.addrs[i]));
	for (size_t i = 0; i < a.targets_n; i++) {
		const char *host = a.targets[i].host;

		assert(memchr(host, '\0', sizeof(a.targets[i].host)));
		/* What was a name is one again. */
		assert(!*host || snet_dnsmsg_ask(ask, host, AF_UNSPEC));
	}
	other = malloc(n + 1);
	if (!other)
		return;
	memcpy(other, p, n);
	other[n] = 0;
	assert(snet_dnsmsg_read(&a, other, n + 1, name));
	assert(snet_dnsmsg_read(&a, other, n - 1, name));
	free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n > 65535)
		return 0;
	check(p, n, "a.local");
	check(p, n, NULL);
	return 0;
}
