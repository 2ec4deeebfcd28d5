#include "cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/ready.h"
#include "cli/say.h"
#include "cli/sink.h"
#include "obs/metrics.h"

#define METRICS_EVERY (5 * SNET_SEC)

/* ---- before anything else */

/* What is closed would be taken by the next file that is opened. The wrong way round, so that
 * using it is an error and not silence: reading from stdin, writing to stdout. */
static void open_standard(void)
{
	static const int wrong[] = { O_WRONLY, O_RDONLY, O_RDONLY };

	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", wrong[fd]) != fd)
			_exit(SNET_EXIT_FAILED);
}

static void on_nothing(int signo)
{
	(void)signo;
}

/* Not SIG_IGN, which the programs we run would inherit. */
static void ignore(int signo)
{
	struct sigaction sa = { .sa_handler = on_nothing, .sa_flags = SA_RESTART };

	sigaction(signo, &sa, NULL);
}

int run_start(const struct tool *t, int argc, char **argv)
{
	struct snet_error err = { 0 };
	int first;

	open_standard();
	first = opts_parse(t, argc, argv);
	ignore(SIGPIPE);
	ignore(SIGXFSZ);
	if (groups_check(&err) || ready_check(cli.ready_fd, &err))
		opts_misuse(t, "%s", err.text);
	say_open(t->name, cli.verbose, cli.quiet, cli.log_format == LOG_JSON);
	return first;
}

/* ---- signals and timers */

_Noreturn static void end_now(struct run *r)
{
	if (r->on_kill)
		r->on_kill(r->user);
	/* A terminal shared with the shell gets its flags back. */
	sink_close(r->out, NULL);
	_exit(128 + r->signo);
}

static void on_drain_over(struct snet_timer *t, snet_time now)
{
	(void)now;
	end_now(t->user);
}

static void on_stop(int signo, void *user)
{
	struct run *r = user;

	if (r->signo) {
		r->signo = signo;
		end_now(r);
	}
	r->signo = signo;
	ready_stopping();
	snet_timer_set(r->loop, &r->drain, snet_loop_now(r->loop) + RUN_DRAIN);
	if (r->on_drain && !r->done)
		r->on_drain(r->user);
	else
		run_done(r, NULL, OPT_NONE);
}

static void write_stats(struct run *r)
{
	if (r->on_stats && !r->done)
		r->on_stats(r->user);
}

static void write_metrics(const struct run *r)
{
	struct snet_error err = { 0 };

	(void)r;
	if (cli.metrics_file && snet_metrics_write(cli.metrics_file, &err))
		say("%s", err.text);
}

static void on_ask(int signo, void *user)
{
	(void)signo;
	write_stats(user);
	write_metrics(user);
}

static void on_stats_timer(struct snet_timer *t, snet_time now)
{
	struct run *r = t->user;

	write_stats(r);
	snet_timer_set(r->loop, t, now + cli.stats_every);
}

static void on_metrics_timer(struct snet_timer *t, snet_time now)
{
	struct run *r = t->user;

	write_metrics(r);
	snet_timer_set(r->loop, t, now + METRICS_EVERY);
}

/* ---- stdout */

static void on_out_drain(struct sink *s, void *user)
{
	struct run *r = user;

	(void)s;
	if (r->on_room && !r->done)
		r->on_room(r->user);
}

static void on_out_error(struct sink *s, const struct snet_error *err, void *user)
{
	struct run *r = user;

	(void)s;
	if (r->on_out_lost && r->on_out_lost(r->user))
		return;
	if (!r->done)
		run_done(r, err, OPT_NONE);
	else if (!r->status)
		r->status = tool_fail(err); /* the results were lost on their last yard */
}

/* Nothing more can be said there. Also of the parties of --spawn, whose notes nobody hears. */
static void on_out_stall(struct sink *s, void *user)
{
	(void)user;
	if (!cli.quiet)
		say("stdout is not read: %zu bytes wait for whoever should", sink_waiting(s));
}

static const struct sink_events out_events = { on_out_drain, on_out_error, on_out_stall };

static void on_flushed(struct sink *s, void *user)
{
	struct run *r = user;

	(void)s;
	snet_loop_stop(r->loop);
}

/* ---- the run */

static enum out_mode mode(void)
{
	if (cli.format != FORMAT_JSON)
		return OUT_STDERR;
	return cli.human ? OUT_WORDS : OUT_JSON;
}

static int begin(struct run *r, struct snet_error *err)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGUSR1 };
	bool terminal = isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) != 1 && !cli.quiet;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		r->signals[i] = snet_signal_new(r->loop, signals[i],
						signals[i] == SIGUSR1 ? on_ask : on_stop, r);
		if (!r->signals[i])
			return SNET_ENOMEM;
	}
	if (cli.stats_every && cli.stats_every != SNET_NEVER &&
	    snet_timer_set(r->loop, &r->stats, snet_loop_now(r->loop) + cli.stats_every))
		return SNET_ENOMEM;
	if (cli.metrics_file) {
		int rc = snet_metrics_write(cli.metrics_file, err); /* a bad path is said now */

		if (rc)
			return rc;
		if (snet_timer_set(r->loop, &r->metrics,
				   snet_loop_now(r->loop) + METRICS_EVERY))
			return SNET_ENOMEM;
	}
	return cli.progress || terminal ? progress_new(&r->progress, r->loop) : SNET_OK;
}

int run_init(struct run *r, struct snet_error *err)
{
	int rc = snet_loop_new(&r->loop);

	r->drain = (struct snet_timer){ .fn = on_drain_over, .user = r };
	r->stats = (struct snet_timer){ .fn = on_stats_timer, .user = r };
	r->metrics = (struct snet_timer){ .fn = on_metrics_timer, .user = r };
	if (rc)
		return snet_fail(err, rc, "%s", snet_err_text(rc));
	rc = sink_new(&r->out, r->loop, STDOUT_FILENO, false, "stdout",
		      output_room_max(cli.max_message), &out_events, r, err);
	if (rc)
		goto out;
	out_open(r->out, mode());
	err->text[0] = 0;
	rc = begin(r, err);
	if (rc && !err->text[0])
		snet_fail(err, rc, "%s", snet_err_text(rc));
out:
	if (rc) {
		cli.metrics_file = NULL; /* it may be what is wrong; nothing has been counted */
		run_fini(r);
	}
	return rc;
}

void run_done(struct run *r, const struct snet_error *err, uint64_t peer)
{
	if (r->done)
		return;
	r->done = true;
	progress_free(r->progress);
	r->progress = NULL;
	if (err) {
		r->status = (int)snet_err_exit(err->code);
		out_error(err, peer, OPT_NONE, true);
	}
	/* Nothing stands behind the error. A reader of stdout who
	 * takes his time is waited for. */
	sink_flush_then(r->out, on_flushed, r);
	out_open(NULL, OUT_STDERR);
}

void run_loop(struct run *r)
{
	snet_loop_run(r->loop);
}

int run_fini(struct run *r)
{
	struct snet_error err = { 0 };

	progress_free(r->progress);
	for (size_t i = 0; i < sizeof(r->signals) / sizeof(r->signals[0]); i++)
		snet_signal_free(r->signals[i]);
	out_open(NULL, OUT_STDERR);
	if (r->loop) {
		snet_timer_stop(r->loop, &r->drain);
		snet_timer_stop(r->loop, &r->stats);
		snet_timer_stop(r->loop, &r->metrics);
	}
	write_metrics(r);
	if (sink_close(r->out, &err) && !r->status)
		r->status = tool_fail(&err);
	snet_loop_free(r->loop);
	r->loop = NULL;
	r->out = NULL;
	r->progress = NULL;
	return r->status;
}
