#include <string.h>

#include "mesh/mesh_impl.h"
#include "mesh/mesh_rival.h"

/* Less than the other side waits for our resume. */
#define UNDECIDED_TIME (8 * SNET_SEC)

/* Who dials anew while there is a connection that is ready has lost that one, if it is the
 * process at its other end: its word is enough. A second process with the same key has to wait
 * until the transport knows that one to be gone, or two of them that both live would take the
 * place from each other for ever. That it says nothing is no proof: it may be busy, paused, or
 * have its window full. */

static void drop(struct member *m, int code, const char *why)
{
	struct channel *ch = m->rival;

	m->rival = NULL; /* while it closes it is nobody's */
	mesh_drop(ch, code, why);
}

static void decide_within(struct member *m, snet_time d)
{
	struct snet_loop *l = m->mesh->cfg.loop;

	if (snet_timer_set(l, &m->doubt, snet_loop_now(l) + d))
		drop(m, SNET_ENOMEM, "out of memory");
}

/* One of which nothing is known may be the first process, that moves: it is not in anybody's
 * way for long. */
void mesh_rival_begin(struct channel *ch)
{
	struct member *m = ch->member;

	if (m->rival && !m->rival->said.n) {
		mesh_drop(ch, SNET_EPOLICY, TIE_BREAKER);
		return;
	}
	mesh_rival_leave(m, SNET_EPOLICY, TIE_BREAKER);
	m->rival = ch;
	m->asked = 0;
	decide_within(m, RESUME_TIME);
}

void mesh_rival_leave(struct member *m, int code, const char *why)
{
	if (m->rival)
		drop(m, code, why);
}

void mesh_on_doubt(struct snet_timer *t, snet_time now)
{
	struct member *m = t->user;

	(void)now;
	if (m->rival && m->rival->said.n)
		drop(m, SNET_EPOLICY,
		     "the process before this one is not known to be gone yet");
	else if (m->rival)
		drop(m, SNET_ETIMEOUT, "no resume in time");
}

static void is_the_same(struct channel *ch, uint8_t type, const uint8_t *body, size_t n)
{
	struct member *m = ch->member;

	m->rival = NULL;
	if (!mesh_is_better(ch, m->current)) {
		mesh_drop(ch, SNET_EPOLICY, TIE_BREAKER);
		mesh_probe(m);
		return;
	}
	mesh_take(ch, m->current);
	mesh_control(ch, type, body, n);
}

/* Where a pause holds back what came on it, it may be over already: its end comes after that.
 */
static bool is_open(const struct channel *ch)
{
	return snet_peer_conn(ch->peer)->open;
}

/* Not while an answer to an earlier question may be on its way. */
static void ask(struct member *m)
{
	if (m->probe.slot || !is_open(m->current))
		return;
	m->asked = mesh_heard(m->current) + 1;
	mesh_say_heartbeat(m->current, false);
}

void mesh_rival_hear(struct channel *ch, uint8_t type, const uint8_t *body, size_t n)
{
	struct member *m = ch->member;
	struct snet_session_heard heard;
	struct snet_error err = { 0 };
	int rc;

	if (type != SNET_RECORD_RESUME || ch->said.n) {
		drop(m, SNET_EPROTO,
		     ch->said.n ? "more before our resume" : "no resume before");
		return;
	}
	rc = snet_session_hear(&heard, &m->mesh->session, m->incarnation, body, n, &err);
	if (!rc && !heard.is_new) {
		is_the_same(ch, type, body, n);
		return;
	}
	ch->said = SNET_BUF(CONTROL_MAX);
	if (!rc && snet_buf_add(&ch->said, body, n))
		rc = snet_fail(&err, SNET_ENOMEM, "out of memory");
	if (rc) {
		drop(m, rc, err.text);
		return;
	}
	ask(m);
	decide_within(m, UNDECIDED_TIME);
}

/* Without the port, which is another each time. */
static const char *host_of(const struct channel *ch, char out[static SNET_ADDR_TEXT])
{
	char *port;

	snet_addr_print(&snet_peer_conn(ch->peer)->remote, out);
	port = strrchr(out, ':');
	if (port)
		*port = '\0';
	return out;
}

void mesh_rival_answered(struct member *m)
{
	char first[SNET_ADDR_TEXT], second[SNET_ADDR_TEXT];
	struct snet_error err;

	if (!m->rival || !m->asked || !is_open(m->current) || mesh_heard(m->current) < m->asked)
		return;
	snet_fail(&err, SNET_ECONFIG,
		  "party %u is there twice: a second process with its key, at %s, is turned "
		  "away; the first is at %s",
		  m->mesh->cfg.parties[m->index].id, host_of(m->rival, second),
		  host_of(m->current, first));
	m->mesh->ev->on_trouble(m->index, &err, m->mesh->user);
	snet_fail(&err, SNET_ECONFIG, "another process with your key is here already, at %s",
		  first);
	drop(m, err.code, err.text);
}

void mesh_rival_take(struct member *m)
{
	struct channel *ch = m->rival;

	if (!ch || m->current || m->over)
		return;
	if (!is_open(ch)) {
		drop(m, SNET_ELOST, "it closed");
		return;
	}
	m->rival = NULL;
	mesh_take(ch, NULL);
	if (ch->said.n)
		mesh_control(ch, SNET_RECORD_RESUME, ch->said.p, ch->said.n);
}
