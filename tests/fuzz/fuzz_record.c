/* Records: a type byte and a body. What decode takes, encode writes. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Reads the body and, when that works, writes it: false when there is no body to write. */
static bool cross(const struct snet_record *rec, struct snet_buf *out)
{
	struct snet_record_resume resume;
	struct snet_record_forward forward;
	struct snet_record_marks marks;
	struct snet_record_bye bye;

	switch (rec->type) {
	case SNET_RECORD_RESUME:
		return !snet_record_decode_resume(&resume, rec->body, rec->n) &&
		       !snet_record_encode_resume(&resume, out);
	case SNET_RECORD_ACK:
		return !snet_record_decode_ack(&marks, rec->body, rec->n) &&
		       !snet_record_encode_ack(&marks, out);
	case SNET_RECORD_BYE:
	case SNET_RECORD_ERROR:
		return !snet_record_decode_bye(&bye, rec->body, rec->n) &&
		       !snet_record_encode_bye(&bye, out);
	case SNET_RECORD_FORWARD:
		return !snet_record_decode_forward(&forward, rec->body, rec->n) &&
		       !snet_record_encode_forward(&forward, out);
	default:
		return false;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct snet_buf out = SNET_BUF(n);
	struct snet_record rec;

	if (snet_record_decode(&rec, p, n))
		return 0;
	assert(snet_record_head(rec.type, rec.zstd) == p[0]);
	assert(rec.n == n - 1 && rec.body == p + 1);
	assert(snet_record_number(snet_record_name(rec.type)) == (int)rec.type);
	if (cross(&rec, &out))
		assert(out.n == rec.n && !memcmp(out.p, rec.body, rec.n));
	assert(!out.bad); /* whatever can be read can be written */
	snet_buf_free(&out);
	return 0;
}
