/* idle: holds connections open and does nothing with them, so that someone else can look at
 * what they cost the listener. Prints {"open":N} when all have said hello, closes them when
 * stdin ends. A connection lost in between ends it.
 *
 *   idle [-n CONNECTIONS] ADDRESS          ADDRESS: 127.0.0.1:9000 */
#include <stdio.h>
#include <stdlib.h>

#include <unistd.h>

#include "bench.h"
#include "mesh/peer.h"
#include "node.h"

enum { IN_FLIGHT = 32, TOO_LATE_S = 300 };

struct holder {
	struct node node;
	struct snet_addr to;
	struct snet_task refill;
	struct snet_io *in;
	struct snet_peer **peers;
	size_t wanted, dialled, up, down;
	bool closing;
};

static void on_up(struct snet_peer *p, void *user)
{
	struct holder *h = user;

	(void)p;
	if (++h->up == h->wanted) {
		printf("{\"open\":%zu}\n", h->up);
		fflush(stdout);
	}
	snet_task_defer(h->node.loop, &h->refill);
}

static void on_message(struct snet_peer *p, const struct snet_message *m, void *user)
{
	(void)p;
	(void)m;
	(void)user;
}

static void ignore(struct snet_peer *p, void *user)
{
	(void)p;
	(void)user;
}

static void on_down(struct snet_peer *p, int code, const char *why, bool by_peer, void *user)
{
	struct holder *h = user;

	(void)p;
	(void)by_peer;
	if (!h->closing)
		bench_die("with %zu open: %s: %s", h->up, snet_err_text(code), why);
	if (++h->down == h->wanted)
		snet_loop_stop(h->node.loop);
}

static const struct snet_peer_events events = {
	.on_up = on_up,
	.on_message = on_message,
	.on_eof = ignore,
	.on_drain = ignore,
	.on_flushed = ignore,
	.on_down = on_down,
};

static void refill(struct snet_task *t)
{
	struct holder *h = t->user;
	const struct node *n = &h->node;
	struct snet_peer_opts opts = { .id = snet_identity_derived(n->identity) };
	struct snet_error err = { 0 };

	while (h->dialled < h->wanted && h->dialled - h->up < IN_FLIGHT) {
		if (snet_peer_dial(&h->peers[h->dialled], n->loop, n->endpoint, n->quic, &h->to,
				   NULL, &opts, &events, h, &err))
			bench_die("%s", err.text);
		h->dialled++;
	}
}

static void on_stdin(struct snet_io *io, int ready, void *user)
{
	struct holder *h = user;
	char p[64];

	(void)ready;
	if (read(STDIN_FILENO, p, sizeof(p)) > 0)
		return;
	snet_io_want(io, 0);
	if (h->up < h->wanted)
		bench_die("stdin ended with %zu of %zu open", h->up, h->wanted);
	h->closing = true;
	for (size_t i = 0; i < h->wanted; i++)
		snet_peer_close(h->peers[i], SNET_OK, "done");
}

static void on_refused(struct snet_endpoint *e, const struct snet_addr *from, int code,
		       const char *why, void *user)
{
	(void)e;
	(void)from;
	(void)user;
	bench_die("refused: %s: %s", snet_err_text(code), why);
}

static void run(struct holder *h)
{
	static const struct snet_endpoint_events dialling = { NULL, on_refused };

	node_open(&h->node, &dialling, NULL);
	h->in = snet_io_new(h->node.loop, STDIN_FILENO, on_stdin, h);
	if (!h->in)
		bench_die("cannot watch stdin");
	snet_io_want(h->in, SNET_READ);
	snet_task_init(&h->refill, refill, h);
	snet_task_defer(h->node.loop, &h->refill);
	snet_loop_run(h->node.loop);
	snet_task_cancel(&h->refill);
	snet_io_free(h->in);
	node_close(&h->node);
}

int main(int argc, char **argv)
{
	static struct holder h = { .wanted = 1000 };
	int c;

	while ((c = getopt(argc, argv, "n:")) != -1) {
		if (c != 'n')
			return 2;
		h.wanted = bench_number(optarg, "-n");
	}
	if (optind + 1 != argc || snet_addr_parse(&h.to, argv[optind]))
		bench_die("usage: [-n CONNECTIONS] ADDRESS, for example 127.0.0.1:9000");
	h.peers = calloc(h.wanted, sizeof(struct snet_peer *));
	if (!h.peers)
		bench_die("out of memory");
	bench_deadline(TOO_LATE_S);
	run(&h);
	free(h.peers);
	return 0;
}
