#include "signal/offer.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "obs/jsonl.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const char ice_chars[] = LETTERS "+/"; /* RFC 8839 §5.4 */
#define NUMBER_MAX 1000000                    /* of generations */

static const char base64url[] = LETTERS "-_"; /* key ids, names of calls */
static const char candidate_prefix[] = "candidate:";

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* n characters of text, all of them among chars (NULL: any), fit into max and a NUL. */
static int copy(char *out, size_t max, const char *text, size_t n, const char *chars,
		const char *name, struct snet_error *err)
{
	if (!n)
		return snet_fail(err, SNET_EPROTO, "%s: it is empty", name);
	if (n > max)
		return snet_fail(err, SNET_EPROTO, "%s: longer than %zu characters", name, max);
	memcpy(out, text, n);
	out[n] = '\0';
	if (strlen(out) != n || (chars && strspn(out, chars) != n))
		return snet_fail(err, SNET_EPROTO, "%s: a character that cannot be in it",
				 name);
	return SNET_OK;
}

/* "candidate:..." of "a=candidate:...", too, which some put into their JSON. */
static int copy_candidate(struct snet_offer *o, const char *text, size_t n,
			  struct snet_error *err)
{
	if (n >= 2 && !memcmp(text, "a=", 2))
		text += 2, n -= 2;
	if (n < strlen(candidate_prefix) || !begins(text, candidate_prefix))
		return snet_fail(err, SNET_EPROTO, "candidate: it does not begin with '%s'",
				 candidate_prefix);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return snet_fail(err, SNET_EPROTO, "candidate: a control character");
	return copy(o->candidate, sizeof(o->candidate) - 1, text, n, NULL, "candidate", err);
}

/* ---- JSON. A field that is null is as good as not there: browsers write it so. */

static const json_t *field(const json_t *j, const char *name)
{
	const json_t *v = json_object_get(j, name);

	return json_is_null(v) ? NULL : v;
}

/* out stays as it is when there is no such field. */
static int take(const json_t *j, const char *name, const char *chars, char *out, size_t max,
		struct snet_error *err)
{
	const json_t *v = field(j, name);

	if (!v)
		return SNET_OK;
	if (!json_is_string(v))
		return snet_fail(err, SNET_EPROTO, "%s: not a string", name);
	return copy(out, max, json_string_value(v), json_string_length(v), chars, name, err);
}

static int take_number(const json_t *j, const char *name, uint32_t *out, struct snet_error *err)
{
	const json_t *v = field(j, name);
	double d = json_number_value(v);

	if (!v)
		return SNET_OK;
	if (!json_is_number(v) || !(d >= 0 && d <= NUMBER_MAX) || d != (double)(uint32_t)d)
		return snet_fail(err, SNET_EPROTO, "%s: not a number from 0 to %d", name,
				 NUMBER_MAX);
	*out = (uint32_t)d;
	return SNET_OK;
}

static int take_names(const json_t *j, struct snet_offer *o, struct snet_error *err)
{
	char also[sizeof(o->ufrag)] = "";
	int rc = take(j, "ufrag", ice_chars, o->ufrag, sizeof(o->ufrag) - 1, err);

	if (!rc)
		rc = take(j, "usernameFragment", ice_chars, also, sizeof(also) - 1, err);
	if (!rc && *also && *o->ufrag && strcmp(also, o->ufrag) != 0)
		rc = snet_fail(err, SNET_EPROTO, "usernameFragment: ufrag is another");
	if (!rc && *also)
		memcpy(o->ufrag, also, sizeof(o->ufrag));
	if (!rc)
		rc = take(j, "pwd", ice_chars, o->pwd, sizeof(o->pwd) - 1, err);
	if (!rc)
		rc = take(j, "from", base64url, o->from, sizeof(o->from) - 1, err);
	if (!rc)
		rc = take(j, "to", base64url, o->to, sizeof(o->to) - 1, err);
	if (!rc)
		rc = take(j, "call", base64url, o->call, sizeof(o->call) - 1, err);
	if (!rc)
		rc = take_number(j, "generation", &o->generation, err);
	return rc ? rc : take_number(j, "answers", &o->answers, err);
}

/* The candidate; an empty one, and null, is the end of them: RTCPeerConnection's icecandidate
 * event says it so. */
static int take_candidate(const json_t *j, struct snet_offer *o, bool *ends,
			  struct snet_error *err)
{
	const json_t *v = json_object_get(j, "candidate"), *end = field(j, "end_of_candidates");

	if (end && !json_is_boolean(end))
		return snet_fail(err, SNET_EPROTO, "end_of_candidates: neither true nor false");
	if (v && !json_is_string(v) && !json_is_null(v))
		return snet_fail(err, SNET_EPROTO, "candidate: not a string");
	*ends = json_is_true(end) || (v && !json_string_length(v));
	return v && json_string_length(v)
		       ? copy_candidate(o, json_string_value(v), json_string_length(v), err)
		       : SNET_OK;
}

/* Exactly one of the three things a line can say. */
static int decide(struct snet_offer *o, bool ends, bool is_ours, struct snet_error *err)
{
	int said = !!*o->pwd + !!*o->candidate + ends;

	if (said > 1)
		return snet_fail(err, SNET_EPROTO,
				 "more than one of pwd, candidate and the "
				 "end of candidates");
	if (*o->pwd && !*o->ufrag)
		return snet_fail(err, SNET_EPROTO, "pwd: there is no ufrag");
	if (!said && *o->ufrag)
		return snet_fail(err, SNET_EPROTO, "ufrag: there is no pwd");
	if (!said && is_ours)
		return snet_fail(err, SNET_EPROTO, "ice.local: it says nothing");
	o->what = *o->pwd         ? SNET_OFFER_CREDENTIALS
		  : *o->candidate ? SNET_OFFER_CANDIDATE
		  : ends          ? SNET_OFFER_END
				  : SNET_OFFER_OTHER;
	return SNET_OK;
}

static bool is_text(const json_t *v, const char *text)
{
	return json_string_length(v) == strlen(text) && !strcmp(json_string_value(v), text);
}

static int take_id(const json_t *j, struct snet_offer_punch *p, struct snet_error *err)
{
	char hex[SNET_OFFER_ID + 1] = "";
	int rc = take(j, "id", "0123456789abcdef", hex, SNET_OFFER_ID, err);

	if (!rc && strlen(hex) != SNET_OFFER_ID)
		rc = snet_fail(err, SNET_EPROTO, "id: not %d characters", SNET_OFFER_ID);
	for (size_t i = 0; !rc && i < SNET_OFFER_ID; i++)
		p->id = p->id << 4 |
			(uint64_t)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
	return rc;
}

/* A scope means nothing elsewhere. */
static bool has_form(const struct snet_addr *a)
{
	return (a->sa.sa_family == AF_INET || a->sa.sa_family == AF_INET6) &&
	       snet_addr_port(a) && !(a->sa.sa_family == AF_INET6 && a->in6.sin6_scope_id);
}

static int take_request(const json_t *j, struct snet_offer_punch *p, struct snet_error *err)
{
	char target[SNET_ADDR_TEXT] = "";
	int rc = take(j, "target", NULL, target, sizeof(target) - 1, err);

	if (!rc && (snet_addr_parse(&p->target, target) || !has_form(&p->target)))
		rc = snet_fail(err, SNET_EPROTO, "target: not an address and a port");
	if (!rc && !field(j, "delay_ms"))
		rc = snet_fail(err, SNET_EPROTO, "delay_ms: it is missing");
	if (!rc)
		rc = take_number(j, "delay_ms", &p->delay_ms, err);
	if (!rc && p->delay_ms > SNET_OFFER_DELAY_MAX)
		rc = snet_fail(err, SNET_EPROTO, "delay_ms: more than %d",
			       SNET_OFFER_DELAY_MAX);
	return rc;
}

static int take_punch(const json_t *j, struct snet_offer *o, struct snet_error *err)
{
	const json_t *kind = field(j, "kind");
	int rc = take_names(j, o, err);

	if (!rc)
		rc = take(j, "remote_ufrag", ice_chars, o->remote_ufrag,
			  sizeof(o->remote_ufrag) - 1, err);
	if (!rc && (!*o->ufrag || !*o->remote_ufrag))
		rc = snet_fail(err, SNET_EPROTO, "%s: it is missing",
			       *o->ufrag ? "remote_ufrag" : "ufrag");
	if (!rc && *o->pwd)
		rc = snet_fail(err, SNET_EPROTO, "pwd: not of a punch");
	if (!rc && !is_text(kind, "request") && !is_text(kind, "ack"))
		rc = snet_fail(err, SNET_EPROTO, "kind: neither request nor ack");
	o->what = SNET_OFFER_PUNCH;
	o->punch.ack = !rc && is_text(kind, "ack");
	if (!rc)
		rc = take_id(j, &o->punch, err);
	return rc || o->punch.ack ? rc : take_request(j, &o->punch, err);
}

static int read_object(struct snet_offer *o, const json_t *j, struct snet_error *err)
{
	const json_t *event = json_object_get(j, "event");
	bool ends = false;
	int rc;

	if (!json_is_object(j))
		return snet_fail(err, SNET_EPROTO, "not a JSON object");
	if (event && !json_is_string(event))
		return snet_fail(err, SNET_EPROTO, "event: not a string");
	if (event && is_text(event, "ice.punch"))
		return take_punch(j, o, err);
	if (event && !is_text(event, "ice.local"))
		return SNET_OK;
	rc = take_candidate(j, o, &ends, err);
	if (!rc)
		rc = take_names(j, o, err);
	return rc ? rc : decide(o, ends, event, err);
}

static int parse_json(struct snet_offer *o, const char *text, size_t n, struct snet_error *err)
{
	/* What other events hold is not for us to judge: large numbers, NULs. */
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
	json_error_t why;
	json_t *j = json_loadb(text, n, flags, &why);
	int rc;

	if (!j)
		return json_error_code(&why) == json_error_out_of_memory
			       ? snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM))
			       : snet_fail(err, SNET_EPROTO, "not a JSON object: %.120s",
					   why.text);
	rc = read_object(o, j, err);
	json_decref(j);
	return rc;
}

/* ---- attributes of SDP, and what other lines it has: "v=0" */

static int parse_sdp(struct snet_offer *o, const char *text, size_t n, struct snet_error *err)
{
	static const char ufrag[] = "ice-ufrag:", pwd[] = "ice-pwd:";
	bool is_sdp = n >= 2 && text[0] >= 'a' && text[0] <= 'z' && text[1] == '=';
	bool is_attribute = is_sdp && text[0] == 'a';

	if (is_attribute)
		text += 2, n -= 2;
	if (is_sdp && !is_attribute)
		return SNET_OK;
	if (begins(text, candidate_prefix)) {
		o->what = SNET_OFFER_CANDIDATE;
		return copy_candidate(o, text, n, err);
	}
	if (begins(text, ufrag) || begins(text, pwd)) {
		bool is_ufrag = begins(text, ufrag);
		size_t k = is_ufrag ? strlen(ufrag) : strlen(pwd);

		o->what = SNET_OFFER_CREDENTIALS;
		return copy(is_ufrag ? o->ufrag : o->pwd, sizeof(o->pwd) - 1, text + k, n - k,
			    ice_chars, is_ufrag ? "ice-ufrag" : "ice-pwd", err);
	}
	if (!strcmp(text, "end-of-candidates"))
		o->what = SNET_OFFER_END;
	else if (!is_attribute)
		return snet_fail(err, SNET_EPROTO, "neither a JSON object nor a line of SDP");
	return SNET_OK;
}

int snet_offer_parse(struct snet_offer *out, const void *p, size_t n, struct snet_error *err)
{
	struct snet_offer o = { .what = SNET_OFFER_OTHER };
	char line[SNET_OFFER_MAX + 1];
	const char *at = line;
	int rc;

	*out = o;
	if (n > SNET_OFFER_MAX)
		return snet_fail(err, SNET_EPROTO, "longer than %d bytes", SNET_OFFER_MAX);
	if (n)
		memcpy(line, p, n);
	while (n && line[n - 1] && strchr("\r\n\t ", line[n - 1]))
		n--;
	line[n] = '\0';
	if (strlen(line) != n || !snet_utf8_is_valid(line, n))
		return snet_fail(err, SNET_EPROTO, "not text in UTF-8");
	at += strspn(at, " \t");
	n -= (size_t)(at - line);
	rc = *at == '{' || *at == '[' ? parse_json(&o, at, n, err) : parse_sdp(&o, at, n, err);
	if (!rc)
		*out = o;
	snet_wipe(line, sizeof(line));
	snet_wipe(&o, sizeof(o));
	return rc;
}

/* ---- printing */

static void add(struct snet_buf *b, const char *name, const char *text)
{
	if (*text)
		snet_json_words(b, name, text);
}

static void add_punch(struct snet_buf *b, const struct snet_offer *o)
{
	char id[SNET_OFFER_ID + 1], target[SNET_ADDR_TEXT];

	snprintf(id, sizeof(id), "%016" PRIx64, (uint64_t)o->punch.id);
	add(b, "remote_ufrag", o->remote_ufrag);
	snet_json_words(b, "kind", o->punch.ack ? "ack" : "request");
	snet_json_words(b, "id", id);
	if (o->punch.ack)
		return;
	snet_json_words(b, "target", snet_addr_print(&o->punch.target, target));
	snet_json_uint(b, "delay_ms", o->punch.delay_ms);
}

static bool is_printable(const struct snet_offer *o)
{
	switch (o->what) {
	case SNET_OFFER_CREDENTIALS:
		return *o->ufrag && *o->pwd;
	case SNET_OFFER_CANDIDATE:
		return *o->candidate;
	case SNET_OFFER_END:
		return true;
	case SNET_OFFER_PUNCH:
		return *o->ufrag && *o->remote_ufrag &&
		       (o->punch.ack || (has_form(&o->punch.target) &&
					 o->punch.delay_ms <= SNET_OFFER_DELAY_MAX));
	case SNET_OFFER_OTHER:
		break;
	}
	return false;
}

void snet_offer_print(const struct snet_offer *o, struct snet_buf *b)
{
	if (!is_printable(o)) {
		b->bad = true; /* it would not be understood */
		return;
	}
	snet_json_open(b);
	snet_json_words(b, "event", o->what == SNET_OFFER_PUNCH ? "ice.punch" : "ice.local");
	add(b, "ufrag", o->ufrag);
	if (o->what == SNET_OFFER_PUNCH)
		add_punch(b, o);
	if (o->what == SNET_OFFER_CREDENTIALS)
		add(b, "pwd", o->pwd);
	if (o->what == SNET_OFFER_CREDENTIALS && o->generation) {
		snet_json_uint(b, "generation", o->generation);
		snet_json_uint(b, "answers", o->answers);
	}
	if (o->what == SNET_OFFER_CANDIDATE)
		add(b, "candidate", o->candidate);
	if (o->what == SNET_OFFER_END)
		snet_json_bool(b, "end_of_candidates", true);
	add(b, "from", o->from);
	add(b, "to", o->to);
	add(b, "call", o->call);
	snet_json_close(b);
}
