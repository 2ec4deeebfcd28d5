/* Bincode: how many values, what they are, then their bytes. What is read without fault is
 * written back alike. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "wire/bincode.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void cross(struct snet_reader *r, uint8_t kind, struct snet_buf *out)
{
	struct snet_slice s;
	struct snet_addr a;
	size_t count;

	switch (kind % 7) {
	case 0:
		snet_bincode_put_bool(out, snet_bincode_bool(r));
		break;
	case 1:
		snet_buf_le32(out, snet_bincode_enum(r, 3));
		break;
	case 2:
		s = snet_bincode_bytes(r);
		snet_bincode_put_bytes(out, s.p, s.n);
		break;
	case 3:
		s = snet_bincode_str(r);
		assert(r->bad || !snet_bincode_put_str(out, s.p, s.n));
		break;
	case 4:
		count = snet_bincode_count(r, 8);
		assert(count <= snet_left(r) / 8);
		snet_buf_le64(out, count);
		break;
	case 5:
		snet_bincode_addr(r, &a);
		assert(r->bad || !snet_bincode_put_addr(out, &a));
		break;
	case 6:
		snet_bincode_opt_addr(r, &a);
		assert(r->bad || !snet_bincode_put_opt_addr(out, &a));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_buf out = SNET_BUF(n + 8);
	struct snet_reader r = snet_reader(p, n), kinds;
	size_t k = snet_take_u8(&r);
	const uint8_t *start = snet_take(&r, k);

	if (r.bad)
		return 0;
	kinds = snet_reader(start, k);
	start = r.at;
	while (snet_left(&kinds) && !r.bad) {
		size_t was = out.n;

		cross(&r, snet_take_u8(&kinds), &out);
		if (r.bad)
			out.n = was;
	}
	assert(r.bad || (size_t)(r.at - start) == out.n);
	assert(!out.n || !memcmp(start, out.p, out.n));
	snet_buf_free(&out);
	return 0;
}
