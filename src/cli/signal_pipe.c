#include "cli/signal_pipe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/duct.h"
#include "cli/groups.h"
#include "cli/net.h"
#include "cli/out.h"
#include "cli/ready.h"
#include "cli/run.h"
#include "obs/metrics.h"
#include "signal/client.h"
#include "signal/tokens.h"

#define AGAIN_FIRST (50 * SNET_MS) /* between attempts; doubled up to the next */
#define AGAIN_MOST SNET_SEC

struct signal_pipe {
	struct run *run;
	struct snet_signal_url url;
	const char *text; /* as the person wrote it */
	char token[SNET_SIGNAL_TOKEN_MAX + 1];
	struct net_host host;
	struct snet_resolve *resolve; /* the server's name is being looked up; NULL */
	struct snet_timer again;
	snet_time deadline, pause;
	struct snet_signal_client *client;
	struct duct duct;
	struct snet_buf line; /* one that came in pieces */
	bool waited, joined, leaving;
	uint64_t bad, came;
};

/* ---- the end */

static void finish(struct signal_pipe *p, const struct snet_error *why)
{
	struct snet_error err = { 0 };

	snet_timer_stop(p->run->loop, &p->again);
	snet_resolve_free(p->resolve);
	p->resolve = NULL;
	duct_hold(&p->duct);
	if (p->joined)
		out_event("signal.left", out_text("room", p->url.room),
			  out_text("address", p->text),
			  out_text("reason", why->code ? snet_err_name(why->code) : "ok"),
			  out_text("text", why->code ? why->text : NULL));
	if (why->code) {
		run_done(p->run, why, OPT_NONE);
	} else if (p->bad) {
		snet_fail(&err, SNET_EPROTO, "lines that were not sent: %" PRIu64, p->bad);
		run_done(p->run, &err, OPT_NONE);
	} else {
		run_done(p->run, NULL, OPT_NONE);
	}
}

static void leave(struct signal_pipe *p)
{
	duct_hold(&p->duct);
	p->leaving = true;
	if (p->client)
		snet_signal_client_leave(p->client);
}

/* ---- from stdin to the room */

static const uint8_t *whole(struct signal_pipe *p, const struct input_message *m)
{
	if (m->n == 1)
		return m->v[0].p;
	p->line.n = 0;
	for (size_t i = 0; i < m->n; i++)
		snet_buf_add(&p->line, m->v[i].p, m->v[i].n);
	if (p->line.bad)
		return NULL;
	return p->line.p ? p->line.p : (const uint8_t *)"";
}

static bool is_blank(const uint8_t *p, size_t n)
{
	while (n && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++, n--;
	return !n;
}

static void on_bad(struct duct *d, const struct snet_error *err, uint64_t line, bool last,
		   void *user)
{
	struct signal_pipe *p = user;

	(void)d, (void)last;
	p->bad++;
	snet_count(SNET_METRIC_BAD_INPUT, 1);
	out_error(err, OPT_NONE, line ? line : OPT_NONE, false);
}

static void on_item(struct duct *d, const struct input_message *m, void *user)
{
	struct signal_pipe *p = user;
	struct snet_error err = { 0 };
	const uint8_t *line = whole(p, m);
	int rc = SNET_ENOMEM;

	if (line && is_blank(line, m->total))
		return;
	if (line)
		rc = snet_signal_client_send(p->client, line, m->total);
	if (rc) {
		snet_fail(&err, rc == SNET_EINVAL ? SNET_EPROTO : rc, "line %" PRIu64 ": %s",
			  m->line, rc == SNET_EINVAL ? "not a JSON object" : snet_err_text(rc));
		on_bad(d, &err, m->line, false, p);
		return;
	}
	snet_count(SNET_METRIC_SENT_MESSAGES, 1);
	snet_count(SNET_METRIC_SENT_BYTES, m->total);
	if (snet_signal_client_is_full(p->client))
		duct_hold(d);
}

static void on_end(struct duct *d, void *user)
{
	(void)d;
	if (!cli.keep_open)
		leave(user);
}

static void on_nothing(struct duct *d, void *user)
{
	(void)d, (void)user; /* stdout is the run's */
}

static const struct duct_events duct_events = { on_item, on_bad, on_end, on_nothing, NULL };

/* ---- from the room to stdout */

/* A newline inside is white space between tokens, since JSON has none in strings: a message
 * stays a line. */
static void on_message(const uint8_t *bytes, size_t n, void *user)
{
	struct signal_pipe *p = user;
	struct snet_buf *b;
	uint8_t *to;

	if (p->came >= cli.count)
		return;
	b = sink_buf(p->run->out);
	to = snet_buf_room(b, n + 1);
	if (to) {
		for (size_t i = 0; i < n; i++)
			to[i] = bytes[i] == '\n' || bytes[i] == '\r' ? ' ' : bytes[i];
		to[n] = '\n';
		snet_buf_took(b, n + 1);
	} else {
		struct snet_error err = { 0 };

		b->bad = false;
		snet_fail(&err, SNET_ENOMEM, "a message is lost: out of memory");
		out_error(&err, OPT_NONE, OPT_NONE, false);
	}
	sink_wrote(p->run->out);
	snet_count(SNET_METRIC_RECEIVED_MESSAGES, 1);
	snet_count(SNET_METRIC_RECEIVED_BYTES, n);
	if (++p->came >= cli.count)
		leave(p);
	else if (sink_is_full(p->run->out))
		snet_signal_client_pause(p->client, true);
}

void signal_pipe_room(struct signal_pipe *p)
{
	if (p->client)
		snet_signal_client_pause(p->client, false);
}

/* ---- getting there */

static void dial(struct signal_pipe *p);

static void on_joined(void *user)
{
	struct signal_pipe *p = user;

	p->joined = true;
	ready_say();
	out_event("signal.joined", out_text("room", p->url.room), out_text("address", p->text));
	if (p->leaving)
		leave(p);
	else
		duct_go(&p->duct);
}

static void on_room(void *user)
{
	struct signal_pipe *p = user;

	duct_go(&p->duct);
}

static bool may_pass(int code)
{
	return code == SNET_EUNREACH || code == SNET_ERESOLVE || code == SNET_ETIMEOUT ||
	       code == SNET_ELOST;
}

/* This address is none; the next one, or all of them later. */
static void failed(struct signal_pipe *p, const struct snet_error *why)
{
	snet_time now = snet_loop_now(p->run->loop);

	if (p->leaving || !may_pass(why->code)) {
		finish(p, why);
		return;
	}
	if (p->host.at < p->host.n) {
		dial(p);
		return;
	}
	if (now >= p->deadline) {
		finish(p, why);
		return;
	}
	if (!p->waited)
		out_event("waiting", out_text("for", p->text),
			  out_if(p->deadline != SNET_NEVER,
				 out_uint("left_ms", (p->deadline - now) / SNET_MS)),
			  out_text("reason", snet_err_name(why->code)),
			  out_text("text", why->text));
	p->waited = true;
	snet_timer_set(p->run->loop, &p->again,
		       now + p->pause < p->deadline ? now + p->pause : p->deadline);
	p->pause = 2 * p->pause < AGAIN_MOST ? 2 * p->pause : AGAIN_MOST;
}

static void on_close(const struct snet_error *why, void *user)
{
	struct signal_pipe *p = user;
	struct snet_error err = *why;

	snet_signal_client_free(p->client);
	p->client = NULL;
	if (p->joined)
		finish(p, &err);
	else
		failed(p, &err);
}

static const struct snet_signal_client_events client_events = { on_joined, on_message, on_room,
								on_close };

static void dial(struct signal_pipe *p)
{
	const struct snet_signal_client_opts o = {
		.url = &p->url,
		.token = p->token[0] ? p->token : NULL,
		.ca = cli.ca,
		.max_message = (size_t)cli.max_message,
		.timeout = cli.timeout,
		.keep_alive = cli.keep_alive,
	};
	struct snet_error err = { 0 };

	snet_count(SNET_METRIC_DIALLED, 1);
	if (snet_signal_client_new(&p->client, p->run->loop, &p->host.v[p->host.at++], &o,
				   &client_events, p, &err))
		failed(p, &err);
}

static void on_resolved(const struct snet_addr *v, size_t n, const struct snet_error *err,
			void *user)
{
	struct signal_pipe *p = user;

	p->resolve = NULL;
	if (err) {
		failed(p, err);
		return;
	}
	net_host_put(&p->host, v, n, NULL);
	dial(p);
}

static void start(struct signal_pipe *p)
{
	struct snet_url host = { .port = p->url.port };
	struct snet_error err = { 0 };

	memcpy(host.host, p->url.host, sizeof(host.host));
	p->host.n = p->host.at = 0;
	if (net_look_up(&p->resolve, p->run->loop, &host, on_resolved, p, &err))
		failed(p, &err);
}

static void on_again(struct snet_timer *t, snet_time now)
{
	(void)now;
	start(t->user);
}

/* ---- birth and death */

int signal_pipe_new(struct signal_pipe **out, struct run *run, const char *url,
		    const char *token_file, struct snet_error *err)
{
	struct signal_pipe *p = calloc(1, sizeof(*p));
	struct duct_opts o = { .in = cli.recv_only ? -1 : STDIN_FILENO,
			       .out = -1,
			       .sink = run->out,
			       .in_name = "stdin",
			       .out_name = "stdout" };
	snet_time now = snet_loop_now(run->loop);
	int rc;

	if (!p)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	p->run = run;
	p->text = url;
	p->line = SNET_BUF((size_t)cli.max_message);
	p->again = (struct snet_timer){ .fn = on_again, .user = p };
	p->pause = AGAIN_FIRST;
	p->deadline = cli.wait < SNET_NEVER - now ? now + cli.wait : SNET_NEVER;
	rc = snet_signal_url_parse(&p->url, url, err);
	if (!rc && token_file)
		rc = snet_token_read(p->token, token_file, err);
	if (!rc) {
		rc = duct_init(&p->duct, run->loop, &o, &duct_events, p, err);
		if (rc && !err->text[0])
			snet_fail(err, rc, "%s", snet_err_text(rc));
	}
	if (rc) {
		signal_pipe_free(p);
		return rc;
	}
	*out = p;
	start(p);
	return SNET_OK;
}

void signal_pipe_drain(struct signal_pipe *p)
{
	static const struct snet_error ok = { 0 };

	if (p->joined)
		leave(p);
	else
		finish(p, &ok);
}

void signal_pipe_stats(const struct signal_pipe *p)
{
	(void)p;
	out_event("stats", out_uint("sent_messages", snet_metrics[SNET_METRIC_SENT_MESSAGES]),
		  out_uint("sent_bytes", snet_metrics[SNET_METRIC_SENT_BYTES]),
		  out_uint("received_messages", snet_metrics[SNET_METRIC_RECEIVED_MESSAGES]),
		  out_uint("received_bytes", snet_metrics[SNET_METRIC_RECEIVED_BYTES]));
}

void signal_pipe_free(struct signal_pipe *p)
{
	if (!p)
		return;
	snet_timer_stop(p->run->loop, &p->again);
	snet_resolve_free(p->resolve);
	snet_signal_client_free(p->client);
	duct_fini(&p->duct);
	snet_buf_free(&p->line);
	snet_wipe(p->token, sizeof(p->token));
	free(p);
}
