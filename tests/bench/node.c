#include "node.h"

#include <string.h>

#include <unistd.h>

#include "bench.h"

void node_open(struct node *n, const struct snet_endpoint_events *ev, void *user)
{
	struct snet_error err = { 0 };
	struct snet_addr at;

	memset(n, 0, sizeof(*n));
	n->quic = snet_transport_find("quic");
	if (!n->quic)
		bench_die("the library has no QUIC");
	if (snet_loop_new(&n->loop) || snet_addr_parse(&at, "127.0.0.1:0"))
		bench_die("cannot make a loop");
	if (snet_identity_new(&n->identity, SNET_KEY_P256, NULL, &err) ||
	    snet_trust_new(&n->trust, &err))
		bench_die("%s", err.text);
	snet_trust_set_insecure(n->trust);
	n->config.identity = n->identity;
	n->config.trust = n->trust;
	if (n->quic->bind(&n->endpoint, n->loop, &at, -1, &n->config, ev, user, &err))
		bench_die("%s", err.text);
}

void node_close(struct node *n)
{
	n->quic->unbind(n->endpoint);
	snet_trust_free(n->trust);
	snet_identity_free(n->identity);
	snet_loop_free(n->loop);
}

struct server {
	const struct snet_endpoint_events *ev;
	int report; /* where the address goes */
};

static void serve(void *arg)
{
	const struct server *s = arg;
	struct snet_addr at;
	struct node n;

	node_open(&n, s->ev, &n);
	n.quic->address(n.endpoint, &at);
	if (write(s->report, &at, sizeof(at)) != sizeof(at))
		bench_die("cannot report the address: %m");
	close(s->report);
	snet_loop_run(n.loop);
	node_close(&n);
}

pid_t node_fork(const struct snet_endpoint_events *ev, struct snet_addr *at)
{
	struct server s = { .ev = ev };
	int fd[2];
	pid_t pid;

	if (pipe(fd))
		bench_die("cannot make a pipe: %m");
	s.report = fd[1];
	pid = bench_fork(1, serve, &s);
	close(fd[1]);
	if (read(fd[0], at, sizeof(*at)) != sizeof(*at))
		bench_die("the server ended before it was ready");
	close(fd[0]);
	return pid;
}
