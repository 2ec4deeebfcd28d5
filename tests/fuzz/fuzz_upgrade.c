/* What a stranger answers to our request for a WebSocket, and what a person or a client may
 * write for addresses, keys, tokens and rooms. A longer answer never goes back to "more is
 * wanted". */
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "signal/message.h"
#include "signal/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void as_response(const uint8_t *p, size_t n)
{
	static const char accept[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
	struct snet_upgrade_response r, longer;
	int rc = snet_upgrade_response_parse(&r, p, n, false, accept);

	assert(r.n <= n && strlen(r.words) < sizeof(r.words));
	assert(rc || r.status == 101);
	if (n && rc == SNET_EAGAIN)
		assert(snet_upgrade_response_parse(&longer, p, n, true, accept) != SNET_EAGAIN);
	if (n && !rc)
		assert(snet_upgrade_response_parse(&longer, p, r.n, false, accept) == SNET_OK &&
		       longer.n == r.n);
}

static void as_text(const char *text)
{
	struct snet_upgrade_asked a = { "GET", "HTTP/1.1", text, text, "13", text };
	char accept[SNET_UPGRADE_ACCEPT];
	struct snet_error err = { 0 };
	struct snet_signal_url u;
	struct snet_buf b = SNET_BUF(4096);

	snet_upgrade_check(&a, accept);
	if (!snet_signal_url_parse(&u, text, &err)) {
		assert(u.port && u.host[0] && snet_room_name_is_good(u.room));
		snet_upgrade_request(&b, &u, "key", NULL);
		assert(!b.bad && b.n > 4 && !memcmp(b.p + b.n - 4, "\r\n\r\n", 4));
		for (size_t i = 0; i + 4 < b.n; i++)
			assert(memcmp(b.p + i, "\r\n\r\n", 4) != 0);
	} else {
		assert(err.text[0]);
	}
	snet_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text = malloc(n + 1);

	assert(text);
	if (n)
		memcpy(text, p, n);
	text[n] = 0;
	as_response(p, n);
	as_text(text);
	snet_signal_token_is_good(text, n);
	snet_signal_message_is_good(p, n);
	free(text);
	return 0;
}
