#include "cli/perf_message.h"

#include <string.h>

const char *const perf_test_names[] = { "latency", "rounds", "messages",   "send",
					"receive", "both",   "handshakes", NULL };

static void take_plan(struct snet_reader *r, struct perf_plan *p)
{
	p->test = snet_take_u8(r);
	p->size = snet_take_be32(r);
	p->time_ms = snet_take_be32(r);
	p->parallel = snet_take_be16(r);
	if (p->test >= PERF_TESTS || p->size < PERF_SIZE_MIN || p->size > PERF_SIZE_MAX ||
	    !p->time_ms || p->time_ms > PERF_TIME_MAX || !p->parallel ||
	    p->parallel > PERF_PARALLEL_MAX)
		r->bad = true;
}

static void take_cookie(struct snet_reader *r, uint8_t cookie[PERF_COOKIE])
{
	const uint8_t *p = snet_take(r, PERF_COOKIE);

	if (p)
		memcpy(cookie, p, PERF_COOKIE);
}

static void take_got(struct snet_reader *r, struct perf_got *g)
{
	g->us = snet_take_be64(r);
	g->bytes = snet_take_be64(r);
	g->messages = snet_take_be64(r);
	g->flow_highest = snet_take_be64(r);
	g->flow_messages = snet_take_be64(r);
}

static void take_row(struct snet_reader *r, struct perf_result *row)
{
	uint8_t complete;

	row->from = snet_take_be32(r);
	row->to = snet_take_be32(r);
	take_plan(r, &row->plan);
	row->time_ms = snet_take_be32(r);
	complete = snet_take_u8(r);
	row->complete = complete == 1;
	if (complete > 1)
		r->bad = true;
#define X(name) row->name = snet_take_be64(r);
	PERF_FIGURES(X)
#undef X
}

static void take_refusal(struct snet_reader *r, struct perf_message *m)
{
	m->why = snet_take_u8(r);
	m->left_ms = snet_take_be32(r);
	if (!m->why || m->why >= PERF_WHY_END)
		r->bad = true;
}

static void take_body(struct snet_reader *r, struct perf_message *m)
{
	switch (m->type) {
	case PERF_START:
		m->session = snet_take_be64(r);
		take_plan(r, &m->plan);
		take_cookie(r, m->cookie);
		break;
	case PERF_COOKIE_IS:
		m->session = snet_take_be64(r);
		take_cookie(r, m->cookie);
		break;
	case PERF_ACCEPT:
	case PERF_STOP:
	case PERF_STOPPED:
		m->session = snet_take_be64(r);
		break;
	case PERF_REFUSE:
		m->session = snet_take_be64(r);
		take_refusal(r, m);
		break;
	case PERF_REPORT:
		take_got(r, &m->got);
		break;
	case PERF_ROW:
		take_row(r, &m->row);
		break;
	case PERF_TURN:
		break;
	default:
		r->bad = true;
	}
}

int perf_message_decode(struct perf_message *m, const uint8_t *p, size_t n, size_t total)
{
	struct snet_reader r = snet_reader(p, n);

	memset(m, 0, sizeof(*m));
	m->type = snet_take_u8(&r);
	if (m->type >= PERF_PING && m->type <= PERF_DATA) {
		m->seq = snet_take_be64(&r);
		return r.bad || total < PERF_SIZE_MIN || total > PERF_SIZE_MAX ? SNET_EPROTO
									       : SNET_OK;
	}
	take_body(&r, m);
	return r.bad || snet_left(&r) || total != n ? SNET_EPROTO : SNET_OK;
}

void perf_message_head(uint8_t out[static PERF_HEAD], enum perf_type type, uint64_t seq)
{
	out[0] = (uint8_t)type;
	snet_put_be64(out + 1, seq);
}

/* ---- the other way: into a buffer that holds the longest */

struct writer {
	uint8_t *at;
};

static void put8(struct writer *w, uint8_t v)
{
	*w->at++ = v;
}

static void put32(struct writer *w, uint32_t v)
{
	snet_put_be32(w->at, v);
	w->at += 4;
}

static void put64(struct writer *w, uint64_t v)
{
	snet_put_be64(w->at, v);
	w->at += 8;
}

static void put_plan(struct writer *w, const struct perf_plan *p)
{
	put8(w, (uint8_t)p->test);
	put32(w, p->size);
	put32(w, p->time_ms);
	snet_put_be16(w->at, p->parallel);
	w->at += 2;
}

static void put_cookie(struct writer *w, const uint8_t cookie[PERF_COOKIE])
{
	memcpy(w->at, cookie, PERF_COOKIE);
	w->at += PERF_COOKIE;
}

static void put_got(struct writer *w, const struct perf_got *g)
{
	put64(w, g->us);
	put64(w, g->bytes);
	put64(w, g->messages);
	put64(w, g->flow_highest);
	put64(w, g->flow_messages);
}

static void put_row(struct writer *w, const struct perf_result *row)
{
	put32(w, row->from);
	put32(w, row->to);
	put_plan(w, &row->plan);
	put32(w, row->time_ms);
	put8(w, row->complete);
#define X(name) put64(w, row->name);
	PERF_FIGURES(X)
#undef X
}

size_t perf_message_encode(uint8_t out[static PERF_MESSAGE_MAX], const struct perf_message *m)
{
	struct writer w = { out };

	put8(&w, (uint8_t)m->type);
	if (m->type >= PERF_PING && m->type <= PERF_DATA)
		put64(&w, m->seq);
	else if (m->type == PERF_REPORT)
		put_got(&w, &m->got);
	else if (m->type == PERF_ROW)
		put_row(&w, &m->row);
	else if (m->type != PERF_TURN)
		put64(&w, m->session);
	if (m->type == PERF_START)
		put_plan(&w, &m->plan);
	if (m->type == PERF_START || m->type == PERF_COOKIE_IS)
		put_cookie(&w, m->cookie);
	if (m->type == PERF_REFUSE) {
		put8(&w, (uint8_t)m->why);
		put32(&w, m->left_ms);
	}
	return (size_t)(w.at - out);
}

void perf_result_init(struct perf_result *r, const struct perf_plan *plan)
{
	*r = (struct perf_result){ .from = UINT32_MAX, .to = UINT32_MAX, .plan = *plan };
#define X(name) r->name = PERF_NONE;
	PERF_FIGURES(X)
#undef X
}
