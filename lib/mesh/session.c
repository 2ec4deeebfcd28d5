#include "mesh/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_LABEL 64 /* bytes of a label in an error; both fit its text */
#define SHOWN_DIGEST 8 /* bytes of a digest */

static struct snet_slice label_of(const struct snet_session *s)
{
	const char *label = s->label ? s->label : "";

	return (struct snet_slice){ (const uint8_t *)label, strlen(label), NULL };
}

int snet_session_encode(const struct snet_session *s, uint64_t known,
			const struct snet_record_marks *next, struct snet_buf *out)
{
	struct snet_record_resume v = {
		.version = SNET_RECORD_VERSION, .label = label_of(s), .n = s->n, .next = *next
	};

	if (!s->incarnation)
		return SNET_EINVAL;
	snet_put_be64(v.session, s->incarnation);
	snet_put_be64(v.session + 8, known);
	memcpy(v.roster, s->roster, sizeof(v.roster));
	return snet_record_encode_resume(&v, out);
}

/* ---- who disagrees, about what */

/* A label is a stranger's bytes: only what can be printed is shown. */
static const char *shown(char out[static SHOWN_LABEL + 1], const struct snet_slice *label)
{
	size_t n = label->n < SHOWN_LABEL ? label->n : SHOWN_LABEL;

	for (size_t i = 0; i < n; i++)
		out[i] = label->p[i] >= 0x20 && label->p[i] < 0x7f ? (char)label->p[i] : '?';
	out[n] = '\0';
	return out;
}

static const char *hex(char out[static 2 * SHOWN_DIGEST + 1], const uint8_t *digest)
{
	for (size_t i = 0; i < SHOWN_DIGEST; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
	return out;
}

static bool is_same(const struct snet_slice *a, const struct snet_slice *b)
{
	return a->n == b->n && !memcmp(a->p, b->p, a->n);
}

static int other_label(const struct snet_slice *here, const struct snet_slice *there,
		       struct snet_error *err)
{
	char a[SHOWN_LABEL + 1], b[SHOWN_LABEL + 1];
	size_t same = 0;

	if (strcmp(shown(a, here), shown(b, there)))
		return snet_fail(err, SNET_ECONFIG, "session '%s' here, '%s' there", a, b);
	/* What differs is not to be seen: say where it is. */
	while (same < here->n && same < there->n && here->p[same] == there->p[same])
		same++;
	return snet_fail(err, SNET_ECONFIG,
			 "session '%s' here, '%s' there: %zu and %zu bytes, not the same after "
			 "%zu",
			 a, b, here->n, there->n, same);
}

static int compare(const struct snet_session *s, const struct snet_record_resume *v,
		   struct snet_error *err)
{
	struct snet_slice label = label_of(s);
	char a[2 * SHOWN_DIGEST + 1], b[2 * SHOWN_DIGEST + 1];

	if (!is_same(&label, &v->label))
		return other_label(&label, &v->label, err);
	if (s->n != v->n)
		return snet_fail(err, SNET_ECONFIG,
				 "%" PRIu32 " parties here, %" PRIu32 " there", s->n, v->n);
	if (memcmp(s->roster, v->roster, sizeof(v->roster)) != 0)
		return snet_fail(err, SNET_ECONFIG,
				 "another roster (digest %s.. here, %s.. there)",
				 hex(a, s->roster), hex(b, v->roster));
	return SNET_OK;
}

int snet_session_hear(struct snet_session_heard *heard, const struct snet_session *s,
		      uint64_t known, const void *p, size_t n, struct snet_error *err)
{
	struct snet_reader r = snet_reader(p, n);
	uint16_t version = snet_take_be16(&r);
	struct snet_record_resume v;
	int rc;

	/* First: what follows it may have another shape in another version. */
	if (!r.bad && version != SNET_RECORD_VERSION)
		return snet_fail(err, SNET_ECONFIG, "version %u of the protocol there, %d here",
				 (unsigned)version, SNET_RECORD_VERSION);
	if (snet_record_decode_resume(&v, p, n) || !snet_get_be64(v.session))
		return snet_fail(err, SNET_EPROTO, "not a record resume");
	rc = compare(s, &v, err);
	if (rc)
		return rc;
	*heard = (struct snet_session_heard){ .incarnation = snet_get_be64(v.session) };
	heard->is_new = heard->incarnation != known;
	/* Else what it expects next was said about a process that came before this one. */
	if (snet_get_be64(v.session + 8) == s->incarnation)
		heard->next = v.next;
	return SNET_OK;
}
