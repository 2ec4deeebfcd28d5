#include <string.h>

#include "mesh/mesh_impl.h"
#include "mesh/mesh_rival.h"

/* A second time, as what comes may have been under way for long. */
#define ASK_TIMES 2

/* Who dials anew while there is a connection that is ready has lost that one, if it is the
 * process at its other end: its word is enough. A second process with the same key has to wait
 * until that one is known to be gone, or two of them that both live would take the place from
 * each other for ever. */

void mesh_rival_begin(struct channel *ch)
{
	struct member *m = ch->member;
	struct snet_loop *l = m->mesh->cfg.loop;

	if (m->rival) /* the later of two, as always */
		mesh_drop(m->rival, SNET_EPOLICY, TIE_BREAKER);
	m->rival = ch;
	m->asked = 0;
	if (snet_timer_set(l, &m->doubt, snet_loop_now(l) + RESUME_TIME))
		mesh_drop(ch, SNET_ENOMEM, "out of memory");
}

void mesh_on_doubt(struct snet_timer *t, snet_time now)
{
	struct member *m = t->user;

	(void)now;
	if (m->rival && !m->rival->said.n)
		mesh_drop(m->rival, SNET_ETIMEOUT, "no resume in time");
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

void mesh_rival_hear(struct channel *ch, uint8_t type, const uint8_t *body, size_t n)
{
	struct member *m = ch->member;
	struct snet_session_heard heard;
	struct snet_error err = { 0 };
	int rc;

	if (type != SNET_RECORD_RESUME || ch->said.n) {
		mesh_drop(ch, SNET_EPROTO,
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
	if (rc)
		mesh_drop(ch, rc, err.text);
	else
		mesh_rival_ask(m);
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

static void refuse(struct member *m)
{
	char first[SNET_ADDR_TEXT], second[SNET_ADDR_TEXT];
	struct snet_error err;

	snet_fail(&err, SNET_ECONFIG,
		  "party %u is there twice: a second process with its key, at %s, is turned "
		  "away; the first is at %s",
		  m->mesh->cfg.parties[m->index].id, host_of(m->rival, second),
		  host_of(m->current, first));
	m->mesh->ev->on_trouble(m->index, &err, m->mesh->user);
	snet_fail(&err, SNET_ECONFIG, "another process with your key is here already, at %s",
		  first);
	mesh_drop(m->rival, err.code, err.text);
	m->rival = NULL;
}

/* Where a pause holds back what came on it, it may be over already: its end comes after that.
 */
static bool is_open(const struct channel *ch)
{
	return snet_peer_conn(ch->peer)->open;
}

/* Not while an answer to an earlier question may be on its way. */
void mesh_rival_ask(struct member *m)
{
	if (!m->rival || !m->rival->said.n || m->probe.slot || !is_open(m->current))
		return;
	if (m->asked++ < ASK_TIMES)
		mesh_probe(m);
	else
		refuse(m); /* it is alive, and too busy to answer */
}

void mesh_rival_answered(struct member *m)
{
	if (m->rival && m->asked && is_open(m->current) && mesh_was_heard(m))
		refuse(m);
}

void mesh_rival_take(struct member *m)
{
	struct channel *ch = m->rival;

	if (!ch || m->current || m->over)
		return;
	m->rival = NULL;
	mesh_take(ch, NULL);
	if (ch->said.n)
		mesh_control(ch, SNET_RECORD_RESUME, ch->said.p, ch->said.n);
}
