#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/party_impl.h"
#include "io/child.h"

/* --exec: one program is this party: what it prints goes to the others, what they send is its
 * stdin. */

#define LAST_TIME 1000 /* ms that a program has to end, when its party does */

static void on_silence(void *user)
{
	struct party *p = user;

	/* What it has said already is not read while others are away, or slow: that is none of
	 * its silence. */
	if (!p->ended && duct_waited(&p->duct)) {
		program_limit_set(&p->program_limit);
		return;
	}
	duct_hold(&p->duct);
	party_end_input(p);
}

/* A program that fails fails as its party: the others must not take it for done. */
static void on_exit_of(int pid, int status, void *user)
{
	struct party *p = user;
	struct snet_error err;
	bool failed;

	(void)pid;
	p->watch = NULL;
	p->runs = false;
	if (!p->done)
		p->program_status =
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	out_event("exit",
		  out_if(WIFEXITED(status), out_uint("status", (uint64_t)WEXITSTATUS(status))),
		  out_if(WIFSIGNALED(status), out_uint("signal", (uint64_t)WTERMSIG(status))));
	failed = p->program_status && !p->run->signo;
	program_limit_ended(&p->program_limit, p->ended || failed);
	if (failed) {
		snet_fail(&err, SNET_EIO, "the program ended with %s %d",
			  WIFEXITED(status) ? "status" : "signal",
			  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		party_done(p, &err, OPT_NONE);
		return;
	}
	party_check_over(p);
}

static bool all_silent(const struct party *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->members[i].who != p->self && !p->members[i].ended && !p->members[i].over)
			return false;
	return true;
}

/* When no party and no client may send any more its stdin ends. */
void party_exec_check(struct party *p)
{
	if (p->opts->exec && !p->n_clients && !p->round && all_silent(p))
		duct_close_sink(&p->duct);
}

/* All else is over: it may end by itself, for a while. */
void party_exec_end(struct party *p)
{
	if (p->runs)
		program_limit_set(&p->program_limit);
}

static int start(struct party *p, struct snet_error *err)
{
	char local[SNET_URL_TEXT], id[16], n[16];
	int rc;

	snprintf(id, sizeof(id), "%u", p->self->id);
	snprintf(n, sizeof(n), "%u", p->n);
	char *own[] = {
		program_variable("SNET_PARTY", id),
		program_variable("SNET_PARTIES", n),
		program_variable("SNET_ROSTER", cli.roster),
		program_variable("SNET_LOCAL_ADDRESS", net_meet_url(&p->meets, local)),
	};

	rc = program_start(&p->program, p->opts->exec, own, sizeof(own) / sizeof(*own), err);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		free(own[i]);
	return rc;
}

void party_exec_stop(void *user)
{
	struct party *p = user;

	if (p->runs)
		kill(-p->program.pid, SIGTERM);
}

int party_exec(struct party *p, struct snet_error *err)
{
	struct duct_opts o = { .own = true,
			       .in_name = "output of the program",
			       .out_name = "input of the program" };
	int rc = start(p, err);

	if (rc)
		return rc;
	o.in = p->program.from;
	o.out = p->program.to;
	rc = duct_init(&p->duct, p->run->loop, &o, &party_duct_events, p, err);
	if (!rc)
		p->watch = snet_child_new(p->run->loop, p->program.pid, on_exit_of, p);
	if (!p->watch) {
		program_kill(&p->program);
		return rc ? rc : snet_fail(err, SNET_ENOMEM, "--exec");
	}
	p->runs = true;
	program_limit_init(&p->program_limit, p->run->loop, p->program.pid, on_silence, p);
	p->run->on_kill = party_exec_stop;
	return SNET_OK;
}

void party_exec_fini(struct party *p)
{
	if (!p->opts || !p->opts->exec)
		return;
	program_limit_stop(&p->program_limit);
	if (!p->runs)
		return;
	snet_child_free(p->watch);
	program_end(&p->program, LAST_TIME);
}
