/* Addresses, urls and key ids as text: what is understood is printed so
 * that it is understood alike. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "base/addr.h"

#define TEXT_MAX 1024

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void url(const char *text)
{
	char printed[SNET_URL_TEXT], again[SNET_URL_TEXT];
	struct snet_error err = { 0 };
	struct snet_url a, b;

	if (snet_url_parse(&a, text, &err)) {
		assert(err.code == SNET_EINVAL && strncmp(err.text, "address '", 9) == 0);
		return;
	}
	assert(!err.code);
	assert(!snet_url_parse(&b, snet_url_print(&a, printed), NULL));
	assert(!memcmp(&a, &b, sizeof(a)));
	assert(!strcmp(snet_url_print(&b, again), printed));
}

static void addr(const char *text)
{
	char printed[SNET_ADDR_TEXT];
	struct snet_addr a, b;

	if (snet_addr_parse(&a, text))
		return;
	assert(snet_addr_len(&a));
	assert(!snet_addr_parse(&b, snet_addr_print(&a, printed)));
	assert(snet_addr_eq(&a, &b));
	assert(!snet_url_parse(&(struct snet_url){ 0 }, printed, NULL));
}

static void keyid(const char *text)
{
	uint8_t id[SNET_KEYID_BYTES];
	char printed[SNET_KEYID_TEXT];

	if (!snet_keyid_parse(id, text))
		assert(!strcmp(snet_keyid_print(id, printed), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char text[TEXT_MAX];

	if (n >= sizeof(text))
		return 0;
	memcpy(text, p, n);
	text[n] = '\0';
	url(text);
	addr(text);
	keyid(text);
	return 0;
}
