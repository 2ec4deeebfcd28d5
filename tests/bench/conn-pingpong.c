/* conn-pingpong: a round trip over the library's connections, without programs and pipes around
 * them. Two processes on two processors; one message at a time on stream 0, echoed by the other
 * end. One JSON line: p50 and p99 in microseconds, to be held against udp-pingpong.
 *
 *   conn-pingpong [-n ROUNDS] [-s BYTES] */
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "bench.h"
#include "node.h"

enum { BYTES_MAX = 65536, TOO_LATE_S = 120 };

/* ---- both ends */
static void transmit(struct snet_conn *c, const uint8_t *p, size_t n)
{
	const struct snet_slice s = { .p = p, .n = n };
	int rc = c->transport->send(c, 0, &s, 1);

	if (rc)
		bench_die("cannot send: %s", snet_err_text(rc));
}

static void ignore(struct snet_conn *c, void *user)
{
	(void)c;
	(void)user;
}

/* ---- the end that answers */
static void on_echo_data(struct snet_conn *c, unsigned stream, const uint8_t *p, size_t n,
			 bool fin, void *user)
{
	(void)fin;
	(void)user;
	if (n)
		transmit(c, p, n);
	c->transport->consumed(c, stream, n);
}

static void on_echo_close(struct snet_conn *c, int code, const char *why, bool by_peer,
			  void *user)
{
	struct node *n = user;

	(void)c;
	(void)by_peer;
	if (code)
		bench_die("echo: %s", why);
	snet_loop_stop(n->loop);
}

static const struct snet_conn_events echo_events = {
	.on_open = ignore,
	.on_data = on_echo_data,
	.on_drain = ignore,
	.on_flushed = ignore,
	.on_close = on_echo_close,
};

static void on_accept(struct snet_endpoint *e, struct snet_conn *c, void *user)
{
	(void)e;
	c->events = &echo_events;
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

/* ---- the end that asks */
struct ping {
	struct node node;
	uint64_t *ns, begin;
	size_t rounds, bytes, done, have;
	uint8_t message[BYTES_MAX];
};

static void next(struct ping *p, struct snet_conn *c)
{
	p->have = 0;
	p->begin = bench_now_ns();
	transmit(c, p->message, p->bytes);
}

static void on_ping_open(struct snet_conn *c, void *user)
{
	next(user, c);
}

static void on_ping_data(struct snet_conn *c, unsigned stream, const uint8_t *data, size_t n,
			 bool fin, void *user)
{
	struct ping *p = user;

	(void)data;
	if (fin)
		bench_die("the echo ended early");
	p->have += n;
	c->transport->consumed(c, stream, n);
	if (p->have < p->bytes)
		return;
	if (p->done >= BENCH_WARM_UP)
		p->ns[p->done - BENCH_WARM_UP] = bench_now_ns() - p->begin;
	if (++p->done < BENCH_WARM_UP + p->rounds)
		next(p, c);
	else
		c->transport->close(c, SNET_OK, "done");
}

static void on_ping_close(struct snet_conn *c, int code, const char *why, bool by_peer,
			  void *user)
{
	struct ping *p = user;

	(void)c;
	(void)by_peer;
	if (p->done < BENCH_WARM_UP + p->rounds)
		bench_die("after %zu rounds: %s: %s", p->done, snet_err_text(code), why);
	snet_loop_stop(p->node.loop);
}

static const struct snet_conn_events ping_events = {
	.on_open = on_ping_open,
	.on_data = on_ping_data,
	.on_drain = ignore,
	.on_flushed = ignore,
	.on_close = on_ping_close,
};

static void run(struct ping *p)
{
	static const struct snet_endpoint_events serving = { on_accept, on_refused };
	static const struct snet_endpoint_events dialling = { NULL, on_refused };
	struct snet_error err = { 0 };
	struct snet_addr at;
	struct snet_conn *c;
	pid_t pid = node_fork(&serving, &at);

	bench_pin(0);
	node_open(&p->node, &dialling, NULL);
	if (p->node.quic->dial(&c, p->node.endpoint, &at, NULL, &ping_events, p, &err))
		bench_die("%s", err.text);
	snet_loop_run(p->node.loop);
	node_close(&p->node);
	bench_stop(pid);
}

int main(int argc, char **argv)
{
	static struct ping p = { .rounds = 20000, .bytes = 64 };
	int c;

	while ((c = getopt(argc, argv, "n:s:")) != -1) {
		if (c == 'n')
			p.rounds = bench_number(optarg, "-n");
		else if (c == 's')
			p.bytes = bench_number(optarg, "-s");
		else
			return 2;
	}
	if (p.bytes > BYTES_MAX)
		bench_die("-s: at most %d", BYTES_MAX);
	p.ns = calloc(p.rounds, sizeof(*p.ns));
	if (!p.ns)
		bench_die("out of memory");
	memset(p.message, 'x', sizeof(p.message));
	bench_deadline(TOO_LATE_S);
	run(&p);
	bench_print_rounds(p.ns, p.rounds, p.bytes);
	free(p.ns);
	return 0;
}
