#include "cli/signal_serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/look_up.h"
#include "cli/net.h"
#include "cli/out.h"
#include "cli/ready.h"
#include "cli/run.h"
#include "cli/say.h"
#include "obs/metrics.h"

struct signal_serve {
	struct run *run;
	struct snet_url url;
	struct look_up *look_up;
	struct snet_signal_server_opts opts;
	struct snet_signal_server *server; /* NULL: not yet */
};

/* ---- what happens */

static void on_joined(const struct snet_signal_peer *p, void *user)
{
	char from[SNET_ADDR_TEXT];

	(void)user;
	out_event("signal.joined", out_text("room", p->room), out_uint("peer", p->number),
		  out_text("address", snet_addr_print(&p->from, from)),
		  out_uint("peers", p->members));
}

static void on_left(const struct snet_signal_peer *p, const struct snet_error *why, void *user)
{
	char from[SNET_ADDR_TEXT];

	(void)user;
	out_event("signal.left", out_text("room", p->room), out_uint("peer", p->number),
		  out_text("address", snet_addr_print(&p->from, from)),
		  out_uint("peers", p->members),
		  out_text("reason", why->code ? snet_err_name(why->code) : "ok"),
		  out_text("text", why->text));
}

static void on_refused(const struct snet_addr *from, const struct snet_error *why, void *user)
{
	char text[SNET_ADDR_TEXT];

	(void)user;
	out_event("refused", out_text("address", snet_addr_print(from, text)),
		  out_text("reason", snet_err_name(why->code)), out_text("text", why->text));
}

static void on_drained(void *user)
{
	struct signal_serve *s = user;

	run_done(s->run, NULL, OPT_NONE);
}

static const struct snet_signal_server_events events = { on_joined, on_left, on_refused,
							 on_drained };

/* ---- where */

/* Like net_listen: "every address" is one IPv6 socket, where the kernel has IPv6. */
static int open_at(struct signal_serve *s, struct snet_error *err)
{
	const struct snet_url *url = &s->url;
	struct snet_addr *at = &s->opts.at;
	int rc;

	if (url->host[0] && !net_numeric(url, at))
		return snet_fail(err, SNET_ERESOLVE, "%s: no address to listen at", url->host);
	if (!url->host[0] && !cli.only_ipv4) {
		*at = (struct snet_addr){ .in6 = { .sin6_family = AF_INET6 } };
		snet_addr_set_port(at, url->port);
		rc = snet_signal_server_new(&s->server, s->run->loop, &s->opts, &events, s,
					    err);
		if (!rc || rc != SNET_EBIND || cli.only_ipv6)
			return rc;
	}
	if (!url->host[0]) {
		*at = (struct snet_addr){ .in = { .sin_family = AF_INET } };
		snet_addr_set_port(at, url->port);
	}
	return snet_signal_server_new(&s->server, s->run->loop, &s->opts, &events, s, err);
}

static int parse(const char *text, bool tls, struct snet_url *url, struct snet_error *err)
{
	const char *scheme = tls ? "wss://" : "ws://", *at = text;
	int rc;

	if (!strncmp(text, scheme, strlen(scheme)))
		at += strlen(scheme);
	if (strstr(at, "://"))
		return snet_fail(err, SNET_EINVAL, "--listen: %.128s: want host:port%s", text,
				 tls ? "" : "; wss:// wants --cert and --key");
	rc = snet_url_parse(url, at, err);
	if (!rc && url->has_key)
		rc = snet_fail(err, SNET_EINVAL, "--listen: %.128s: there are no key ids here",
			       text);
	return rc;
}

static void say_listening(const struct signal_serve *s)
{
	bool tls = s->opts.cert;
	char at[SNET_ADDR_TEXT], text[SNET_ADDR_TEXT + 8];
	struct snet_addr a;

	snet_signal_server_address(s->server, &a);
	if (snet_addr_is_any(&a))
		net_usable(&a, cli.only_ipv6 ? AF_INET6 : AF_INET);
	snprintf(text, sizeof(text), "%s://%s", tls ? "wss" : "ws", snet_addr_print(&a, at));
	out_event("listening", out_text("address", text), out_uint("port", snet_addr_port(&a)));
	say_note("listening; the other side runs: snet-signal %s/ROOM", text);
}

/* ---- birth and death */

static void on_known(const struct snet_error *why, void *user)
{
	struct signal_serve *s = user;
	struct snet_error err = { 0 };

	if (s->run->done)
		return; /* told to end meanwhile */
	if (why || open_at(s, &err)) {
		run_done(s->run, why ? why : &err, OPT_NONE);
		return;
	}
	say_listening(s);
	ready_say();
}

int signal_serve_new(struct signal_serve **out, struct run *run, const char *at,
		     const struct snet_signal_server_opts *o, struct snet_error *err)
{
	struct signal_serve *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return snet_fail(err, SNET_ENOMEM, "server");
	s->run = run;
	s->opts = *o;
	rc = parse(at, o->cert != NULL, &s->url, err);
	if (!rc)
		rc = look_up_new(&s->look_up, run->loop, &s->url, 1, on_known, s, err);
	if (rc) {
		signal_serve_free(s);
		return rc;
	}
	*out = s;
	return SNET_OK;
}

void signal_serve_drain(struct signal_serve *s)
{
	if (s->server)
		snet_signal_server_drain(s->server);
	else
		run_done(s->run, NULL, OPT_NONE);
}

void signal_serve_stats(const struct signal_serve *s)
{
	size_t members = s->server ? snet_signal_server_members(s->server) : 0;

	out_event("stats", out_uint("peers", members),
		  out_uint("sent_messages", snet_metrics[SNET_METRIC_SENT_MESSAGES]),
		  out_uint("sent_bytes", snet_metrics[SNET_METRIC_SENT_BYTES]),
		  out_uint("received_messages", snet_metrics[SNET_METRIC_RECEIVED_MESSAGES]),
		  out_uint("received_bytes", snet_metrics[SNET_METRIC_RECEIVED_BYTES]),
		  out_uint("dropped_messages", snet_metrics[SNET_METRIC_DROPPED_MESSAGES]));
}

void signal_serve_free(struct signal_serve *s)
{
	if (!s)
		return;
	look_up_free(s->look_up);
	snet_signal_server_free(s->server);
	free(s);
}
