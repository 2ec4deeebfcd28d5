/* handshakes: full mutual handshakes per second over the library's QUIC. Two processes on two
 * processors; one dials, keeps 32 dials in flight, and closes each connection as soon as it is
 * open, that is, as soon as the other end has said that it has authenticated us too. One JSON
 * line, to be held against tls-handshakes.
 *
 *   handshakes [-n HANDSHAKES] [-c IN_FLIGHT] */
#include <stdio.h>

#include <unistd.h>

#include "bench.h"
#include "node.h"

enum { TOO_LATE_S = 120 };

struct dialler {
	struct node node;
	struct snet_addr to;
	struct snet_task refill;
	uint64_t wanted, in_flight_max;
	uint64_t dialled, opened, closed;
	uint64_t begin, end; /* ns: first dial, last open */
};

static void ignore(struct snet_conn *c, void *user)
{
	(void)c;
	(void)user;
}

static void on_data(struct snet_conn *c, unsigned stream, const uint8_t *p, size_t n, bool fin,
		    void *user)
{
	(void)p;
	(void)fin;
	(void)user;
	c->transport->consumed(c, stream, n);
}

/* ---- the end that is dialled */
static void on_served(struct snet_conn *c, int code, const char *why, bool by_peer, void *user)
{
	(void)c;
	(void)by_peer;
	(void)user;
	if (code)
		bench_die("server: %s: %s", snet_err_text(code), why);
}

static const struct snet_conn_events server_events = {
	.on_open = ignore,
	.on_data = on_data,
	.on_drain = ignore,
	.on_flushed = ignore,
	.on_close = on_served,
};

static void on_accept(struct snet_endpoint *e, struct snet_conn *c, void *user)
{
	(void)e;
	c->events = &server_events;
	c->user = user;
}

static void on_refused(struct snet_endpoint *e, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	(void)e;
	(void)from;
	(void)user;
	bench_die("refused: %s: %s", snet_err_text(code), why);
}

/* ---- the end that dials */
static void on_open(struct snet_conn *c, void *user)
{
	struct dialler *d = user;

	d->end = bench_now_ns();
	d->opened++;
	c->transport->close(c, SNET_OK, "done");
	snet_task_defer(d->node.loop, &d->refill);
}

static void on_close(struct snet_conn *c, int code, const char *why, bool by_peer, void *user)
{
	struct dialler *d = user;

	(void)c;
	(void)by_peer;
	d->closed++;
	if (d->closed > d->opened)
		bench_die("after %llu: %s: %s", (unsigned long long)d->opened,
			  snet_err_text(code), why);
	if (d->closed == d->wanted)
		snet_loop_stop(d->node.loop);
}

static const struct snet_conn_events client_events = {
	.on_open = on_open,
	.on_data = on_data,
	.on_drain = ignore,
	.on_flushed = ignore,
	.on_close = on_close,
};

/* Not from on_open, so that no connection is made in the middle of another's packet. */
static void refill(struct snet_task *t)
{
	struct dialler *d = t->user;
	struct snet_error err = { 0 };
	struct snet_conn *c;

	while (d->dialled < d->wanted && d->dialled - d->opened < d->in_flight_max) {
		if (d->node.quic->dial(&c, d->node.endpoint, &d->to, NULL, &client_events, d,
				       &err))
			bench_die("%s", err.text);
		d->dialled++;
	}
}

static void run(struct dialler *d)
{
	static const struct snet_endpoint_events serving = { on_accept, on_refused };
	static const struct snet_endpoint_events dialling = { NULL, on_refused };
	pid_t pid = node_fork(&serving, &d->to);

	bench_pin(0);
	node_open(&d->node, &dialling, NULL);
	snet_task_init(&d->refill, refill, d);
	snet_task_defer(d->node.loop, &d->refill);
	d->begin = bench_now_ns();
	snet_loop_run(d->node.loop);
	snet_task_cancel(&d->refill);
	node_close(&d->node);
	bench_stop(pid);
}

int main(int argc, char **argv)
{
	static struct dialler d = { .wanted = 2000, .in_flight_max = 32 };
	int c;

	while ((c = getopt(argc, argv, "n:c:")) != -1) {
		if (c == 'n')
			d.wanted = bench_number(optarg, "-n");
		else if (c == 'c')
			d.in_flight_max = bench_number(optarg, "-c");
		else
			return 2;
	}
	bench_deadline(TOO_LATE_S);
	run(&d);
	printf("{\"handshakes\":%llu,\"in_flight\":%llu,\"per_second\":%.1f}\n",
	       (unsigned long long)d.wanted, (unsigned long long)d.in_flight_max,
	       (double)d.wanted * 1e9 / (double)(d.end - d.begin));
	return 0;
}
