#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "cli/groups.h"
#include "cli/ice_impl.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/run.h"
#include "cli/sink.h"
#include "cli/source.h"
#include "mesh/connect_punch.h"
#include "obs/metrics.h"

/* What the other side says, as it comes on stdin. Nothing in it ends the program: a line that
 * is no good is said, and the next one may be. */

static void bad_line(struct ice *i, int code, const char *why)
{
	uint64_t line = input_line(i->input);
	struct snet_error err;

	snet_count(SNET_METRIC_BAD_INPUT, 1);
	snet_fail(&err, code, "line %" PRIu64 ": %.200s", line, why);
	out_error(&err, OPT_NONE, line, false);
}

/* ---- credentials */

/* Of SDP they come in two lines. True: they are whole. */
static bool make_whole(struct ice *i, struct snet_offer *o)
{
	if (!*o->ufrag)
		memcpy(o->ufrag, i->half.ufrag, sizeof(o->ufrag));
	if (!*o->pwd)
		memcpy(o->pwd, i->half.pwd, sizeof(o->pwd));
	i->half = *o;
	if (!*o->ufrag || !*o->pwd)
		return false;
	snet_wipe(&i->half, sizeof(i->half));
	return true;
}

static void take_credentials(struct ice *i, struct snet_offer *o)
{
	int rc;

	if (!make_whole(i, o))
		return;
	if (!strcmp(o->ufrag, snet_agent_ufrag(snet_ice_agent(i->ice)))) {
		bad_line(i, SNET_EPROTO, "these are our own credentials, come back");
		return;
	}
	rc = snet_ice_set_remote(i->ice, o->ufrag, o->pwd);
	if (rc == SNET_EINVAL)
		bad_line(i, SNET_EPROTO,
			 i->has_remote ? "other credentials than before, of somebody else or "
					 "of another run: not used"
				       : "ufrag has 4 to 256 characters, pwd 22 to 256");
	else if (rc && rc != SNET_ECLOSED)
		bad_line(i, rc, snet_err_text(rc));
	if (rc || i->has_remote)
		return;
	i->has_remote = true;
	memcpy(i->ufrag, o->ufrag, sizeof(i->ufrag));
	snet_timer_stop(i->run->loop, &i->wait);
	out_event("ice.remote", out_text("ufrag", i->ufrag));
}

/* ---- candidates */

static bool is_stale(const struct ice *i, const char *ufrag)
{
	return i->has_remote && *ufrag && strcmp(ufrag, i->ufrag) != 0;
}

static void too_many(struct ice *i)
{
	if (!i->refused_many)
		bad_line(i, SNET_EPOLICY,
			 "more candidates than anybody needs: this one, and those that follow, "
			 "are not used");
	i->refused_many = true;
}

static void take_candidate(struct ice *i, const struct snet_offer *o)
{
	struct snet_sdp_candidate c;
	struct snet_error err = { 0 };
	int rc = snet_sdp_parse(&c, o->candidate, &err);
	const char *ignored = NULL;

	if (rc == SNET_EPROTO) {
		bad_line(i, rc, err.text);
		return;
	}
	if (rc)
		ignored = err.text;
	else if (is_stale(i, o->ufrag) || is_stale(i, c.ufrag))
		ignored = "it belongs to other credentials";
	if (!ignored) {
		rc = snet_ice_add_remote(i->ice, &c);
		if (rc == SNET_ETOOBIG) {
			too_many(i);
			return;
		}
		if (rc == SNET_EAGAIN || rc == SNET_ECLOSED) /* known; too late */
			return;
		if (rc == SNET_EPOLICY) /* NULL: this host, which we do not offer */
			ignored = snet_candidate_refusal(&c.c.address, false);
		else if (rc == SNET_ENOSYS)
			ignored = "it is of another component";
		else if (rc)
			ignored = snet_err_text(rc);
	}
	ice_say_remote(&c, o->candidate, false, ignored);
}

static void take_end(struct ice *i)
{
	if (i->remote_ended)
		return;
	i->remote_ended = true;
	snet_ice_end_remote(i->ice);
	out_event("ice.remote", out_bool("end_of_candidates", true));
}

/* Of another generation, too late, or twice: it happens. */
static void take_punch(struct ice *i, const struct snet_offer *o)
{
	if (i->has_remote && snet_connect_punch_hear(i->ice, i->ufrag, o) == SNET_EPOLICY)
		bad_line(i, SNET_EPOLICY,
			 "a punch that we have no part in: its target is none of the other "
			 "side's candidates, or it is too much");
}

/* ---- what else it may say: that it has chosen, and so has heard our last answer */

static void take_address(char out[static SNET_ADDR_TEXT], const json_t *j, const char *name)
{
	const char *text = json_string_value(json_object_get(j, name));

	snprintf(out, SNET_ADDR_TEXT, "%s", text ? text : "");
}

static void take_selected(struct ice *i, const uint8_t *p, size_t n)
{
	const char *event;
	json_t *j;

	if (!memmem(p, n, "\"ice.selected\"", 14))
		return;
	j = json_loadb((const char *)p, n, JSON_DECODE_INT_AS_REAL, NULL);
	event = json_string_value(json_object_get(j, "event"));
	if (event && !strcmp(event, "ice.selected")) {
		i->peer_selected = true;
		take_address(i->peer_local, j, "local");
		take_address(i->peer_remote, j, "remote");
	}
	json_decref(j);
}

static bool is_blank(const uint8_t *p, size_t n)
{
	while (n && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++, n--;
	return !n;
}

static void on_line(struct ice *i, const uint8_t *p, size_t n)
{
	struct snet_error err = { 0 };
	struct snet_offer o;
	int rc = is_blank(p, n) ? SNET_EAGAIN : snet_offer_parse(&o, p, n, &err);

	if (rc == SNET_EAGAIN)
		return;
	if (rc)
		bad_line(i, rc, err.text);
	else if (!i->ice || *o.to) /* for somebody else: we have no key id */
		return;
	else if (o.what == SNET_OFFER_CREDENTIALS)
		take_credentials(i, &o);
	else if (o.what == SNET_OFFER_CANDIDATE)
		take_candidate(i, &o);
	else if (o.what == SNET_OFFER_END)
		take_end(i);
	else if (o.what == SNET_OFFER_PUNCH)
		take_punch(i, &o);
	else if (i->has_remote)
		take_selected(i, p, n);
	snet_wipe(&o, sizeof(o));
	ice_check_over(i);
}

/* ---- stdin */

static void at_end(struct ice *i)
{
	i->eof = true;
	snet_wipe(&i->half, sizeof(i->half));
	/* What it has not said by now it will not say. */
	if (i->ice && i->has_remote)
		take_end(i);
	ice_check_over(i);
}

static void run_lines(struct ice *i)
{
	struct input_message m;
	struct snet_error err;
	int rc = 1;

	while (!i->held && rc) {
		rc = input_next(i->input, &m, &err);
		if (rc > 0) { /* a line is short, and comes in one piece */
			on_line(i, m.n ? m.v[0].p : (const uint8_t *)"", m.n ? m.v[0].n : 0);
		} else if (rc < 0) {
			snet_count(SNET_METRIC_BAD_INPUT, 1);
			out_error(&err, OPT_NONE, input_line(i->input), false);
		}
		/* Whoever feeds us faster than our own lines are read has to wait. */
		if (sink_is_full(i->run->out))
			i->held = true;
	}
	if (!i->held && source_is_done(i->source) && !i->eof)
		at_end(i);
	if (i->held)
		source_pause(i->source);
}

static uint8_t *on_room(size_t *n, void *user)
{
	struct ice *i = user;

	return input_room(i->input, n);
}

static void on_bytes(size_t n, void *user)
{
	struct ice *i = user;

	input_took(i->input, n);
	run_lines(i);
}

static void on_eof(void *user)
{
	struct ice *i = user;

	input_end(i->input);
	run_lines(i);
}

static void on_error(const struct snet_error *err, void *user)
{
	out_error(err, OPT_NONE, OPT_NONE, false);
	on_eof(user);
}

static const struct source_events events = { on_room, on_bytes, on_eof, on_error };

int ice_input_new(struct ice *i, struct snet_error *err)
{
	const struct input_opts o = { .format = FORMAT_LINES, .max_message = SNET_OFFER_MAX };
	int rc = input_new(&i->input, &o);

	if (rc)
		return snet_fail(err, rc, "%s", snet_err_text(rc));
	i->held = true;
	return source_new(&i->source, i->run->loop, STDIN_FILENO, false, "stdin", &events, i,
			  err);
}

void ice_input_go(struct ice *i)
{
	if (!i->held)
		return;
	i->held = false;
	run_lines(i);
	if (!i->held)
		source_resume(i->source);
}

void ice_input_fini(struct ice *i)
{
	source_free(i->source);
	input_free(i->input);
	snet_wipe(&i->half, sizeof(i->half));
}
