#include "cli/words.h"

#include <stdbool.h>

#include "obs/jsonl.h"

static bool is_word(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)p[i] <= 0x20 || (unsigned char)p[i] >= 0x7f || p[i] == '"' ||
		    p[i] == '\\')
			return false;
	return n > 0;
}

void words_tame(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool c1 = p[i] == 0xc2 && i + 1 < n && p[i + 1] >= 0x80 && p[i + 1] < 0xa0;

		if (p[i] >= 0x20 && p[i] != 0x7f && !c1)
			continue;
		p[i] = '?';
		if (c1)
			p[i + 1] = '?';
	}
}

void words_value(struct snet_buf *b, const char *p, size_t n)
{
	size_t start = b->n;

	if (is_word(p, n)) {
		snet_buf_add(b, p, n);
		return;
	}
	snet_json_lossy(b, p, n);
	if (b->n > start)
		words_tame(b->p + start, b->n - start);
}
