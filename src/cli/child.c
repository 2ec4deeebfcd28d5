#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/groups.h"
#include "cli/hub.h"
#include "cli/out.h"
#include "cli/program.h"
#include "cli/say.h"
#include "io/child.h"

/* --exec: a program per peer, in the manner of UCSPI: what the peer sends is its stdin, what it
 * prints goes to the peer, and the environment says who the peer is. */

struct child {
	struct snet_list node;
	struct hub *hub;
	struct mate *mate; /* NULL: the peer is gone */
	struct duct duct;
	struct snet_child *watch;
	struct program_limit limit; /* from when its peer is gone */
	uint32_t number;
	pid_t pid;
	int status;
	bool ended, silent; /* the program has ended; its output is read */
	bool stalled;
};

static void maybe_over(struct child *c)
{
	struct hub *h = c->hub;

	if (c->mate) {
		mate_check(c->mate);
		return;
	}
	if (!c->ended)
		return;
	program_limit_stop(&c->limit);
	snet_list_del(&c->node);
	duct_fini(&c->duct);
	free(c);
	hub_check(h);
}

bool child_is_over(const struct child *c, int *status)
{
	if (status)
		*status = c->status;
	return c->ended && c->silent;
}

/* ---- its output, to the peer */

static void on_item(struct duct *d, const struct input_message *msg, void *user)
{
	struct child *c = user;

	if (!c->mate || !c->mate->peer)
		return;
	mate_send(c->mate, msg);
	if (c->mate->full)
		duct_hold(d);
}

static void on_bad(struct duct *d, const struct snet_error *err, uint64_t line, bool last,
		   void *user)
{
	struct child *c = user;

	(void)d, (void)last;
	out_error(err, c->number, line ? line : OPT_NONE, false);
	hub_blame(c->hub, err, c->number);
}

static void on_end(struct duct *d, void *user)
{
	struct child *c = user;

	(void)d;
	c->silent = true;
	if (c->mate)
		mate_finish(c->mate);
	maybe_over(c);
}

static void on_room(struct duct *d, void *user)
{
	struct child *c = user;

	(void)d;
	c->stalled = false;
	if (c->mate)
		mate_pause(c->mate, false);
}

/* It reads no more: that is its right. */
static void on_broken(struct duct *d, const struct snet_error *err, void *user)
{
	(void)err;
	on_room(d, user);
}

static void on_stall(struct duct *d, size_t waiting, void *user)
{
	struct child *c = user;

	(void)d;
	out_event("stalled", out_uint("peer", c->number), out_uint("waiting_bytes", waiting),
		  out_bool("held", c->duct.held));
	say_note("the program for peer %u reads nothing: %zu bytes wait for it", c->number,
		 waiting);
}

static const struct duct_events duct_events = { .on_item = on_item,
						.on_bad = on_bad,
						.on_end = on_end,
						.on_room = on_room,
						.on_broken = on_broken,
						.on_stall = on_stall };

/* ---- its end */

static void on_child_exit(int pid, int status, void *user)
{
	struct child *c = user;

	(void)pid;
	c->watch = NULL;
	c->ended = true;
	c->status = status;
	out_event("exit", out_uint("peer", c->number),
		  out_if(WIFEXITED(status), out_uint("status", (uint64_t)WEXITSTATUS(status))),
		  out_if(WIFSIGNALED(status), out_uint("signal", (uint64_t)WTERMSIG(status))));
	if (!c->silent && !c->mate) {
		c->silent = true;
		duct_fini(&c->duct);
	}
	program_limit_ended(&c->limit, c->silent);
	maybe_over(c);
}

static void on_silence(void *user)
{
	struct child *c = user;

	if (c->silent)
		return;
	if (duct_waited(&c->duct)) { /* its peer is slow: that is none of its silence */
		program_limit_set(&c->limit);
		return;
	}
	duct_hold(&c->duct);
	c->silent = true;
	if (c->mate)
		mate_finish(c->mate);
	maybe_over(c);
}

/* ---- its beginning */

static int start_program(struct program *program, const struct mate *m, struct snet_error *err)
{
	const struct snet_conn *conn = snet_peer_conn(m->peer);
	char key[SNET_KEYID_TEXT], remote[SNET_ADDR_TEXT], local[SNET_URL_TEXT], number[16];
	bool client = snet_peer_role(m->peer) == SNET_ROLE_CLIENT;
	int rc;

	snprintf(number, sizeof(number), "%u", m->number);
	/* Nobody else says who the peer is. */
	char *own[] = {
		program_variable("SNET_PEER", number),
		program_variable("SNET_PEER_KEY", snet_keyid_print(conn->peer_key, key)),
		program_variable("SNET_PEER_ADDRESS", snet_addr_print(&conn->remote, remote)),
		program_variable("SNET_PEER_ROLE", client ? "client" : "server"),
		program_variable("SNET_PEER_NAME", m->name ? m->name : ""),
		program_variable("SNET_LOCAL_ADDRESS", net_meet_url(&m->hub->meets, local)),
	};

	rc = program_start(program, m->hub->exec, own, sizeof(own) / sizeof(*own), err);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		free(own[i]);
	return rc;
}

int child_start(struct mate *m, struct snet_error *err)
{
	struct hub *h = m->hub;
	struct child *c = calloc(1, sizeof(*c));
	struct program program;
	struct duct_opts o = { .own = true,
			       .in_name = "output of the program",
			       .out_name = "input of the program" };
	int rc = c ? start_program(&program, m, err) : snet_fail(err, SNET_ENOMEM, "--exec");

	if (rc) {
		free(c);
		return rc;
	}
	c->hub = h;
	c->mate = m;
	c->number = m->number;
	c->pid = program.pid;
	program_limit_init(&c->limit, h->run->loop, c->pid, on_silence, c);
	o.in = program.from;
	o.out = program.to;
	rc = duct_init(&c->duct, h->run->loop, &o, &duct_events, c, err);
	c->watch = rc ? NULL : snet_child_new(h->run->loop, c->pid, on_child_exit, c);
	if (!c->watch) {
		program_kill(&program);
		duct_fini(&c->duct);
		free(c);
		return rc ? rc : snet_fail(err, SNET_ENOMEM, "--exec");
	}
	snet_list_add(&h->children, &c->node);
	m->child = c;
	duct_go(&c->duct);
	return SNET_OK;
}

/* ---- what the peer does */

void child_message(struct child *c, const struct snet_message *msg)
{
	if (!c->duct.sink || sink_is_broken(c->duct.sink))
		return;
	if (output_message(&c->duct.out, c->number, msg) && !sink_is_broken(c->duct.sink)) {
		snet_peer_close(c->mate->peer, SNET_ENOMEM, "no memory for its message");
		return;
	}
	if (sink_is_full(c->duct.sink) && !c->stalled) {
		c->stalled = true;
		mate_pause(c->mate, true);
	}
}

void child_room(struct child *c)
{
	if (!c->silent)
		duct_go(&c->duct);
}

void child_peer_eof(struct child *c)
{
	duct_close_sink(&c->duct);
}

void child_peer_gone(struct child *c)
{
	c->mate = NULL;
	duct_close_sink(&c->duct);
	if (!c->ended)
		program_limit_set(&c->limit);
	maybe_over(c);
}

void child_stop_all(struct hub *h, int signo)
{
	for (struct snet_list *n = h->children.next; n != &h->children; n = n->next) {
		struct child *c = SNET_OF(n, struct child, node);

		if (!c->ended)
			kill(-c->pid, signo);
	}
}
