/* Run: what every program does around its own work. Starts it, runs the loop until it is done
 * or told to stop, and turns an error into words, an event and an exit status.
 *
 *	i = run_start(&self, argc, argv);
 *	rc = run_init(&r, &err);
 *	... attach work to r.loop, out_event(...), run_done(&r, ...) somewhere in a callback ...
 *	run_loop(&r);
 *	... detach ...
 *	return run_fini(&r); */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "cli/opts.h"
#include "io/loop.h"

struct sink;

#define RUN_DRAIN (3 * SNET_SEC) /* after the first SIGINT or SIGTERM */

struct run {
	struct snet_loop *loop;
	struct sink *out; /* stdout; events go here in format json */
	/* First SIGINT or SIGTERM: stop taking new work, finish what is in flight, then
	 * run_done. NULL: run_done at once. After RUN_DRAIN, or at the second signal, the
	 * program ends with 128 + signal. */
	void (*on_drain)(void *user);
	/* About to end at once: what must not outlive the program. NULL: nothing. */
	void (*on_kill)(void *user);
	/* SIGUSR1 and --stats-every: write stats events. NULL: nothing. */
	void (*on_stats)(void *user);
	/* stdout was full and is no longer. NULL: nothing. */
	void (*on_room)(void *user);
	/* stdout takes no more. true: that is no loss now, and the program goes on. NULL: it
	 * ends. */
	bool (*on_out_lost)(void *user);
	void *user;

	/* ours */
	struct snet_signal *signals[3];
	struct snet_timer drain, stats, metrics;
	struct progress *progress;
	struct snet_error error;
	uint64_t blame; /* the peer in the last error event */
	int status, signo;
	bool done;
};

/* Parses the command line, checks the groups, opens descriptors 0 to 2 on /dev/null where they
 * are closed, ignores SIGPIPE, opens say. Returns the index of the first operand; does not
 * return when the command line was wrong or a question. */
int run_start(const struct tool *t, int argc, char **argv);

/* Loop, signals, stdout, statistics. The callbacks and user are set by the caller before.
 * SNET_ENOMEM, SNET_EIO. */
int run_init(struct run *r, struct snet_error *err);

/* The work is over, well (err NULL) or not; peer: whom to blame, or OPT_NONE. Only the first
 * call counts. The loop ends once stdout has taken everything. */
void run_done(struct run *r, const struct snet_error *err, uint64_t peer);

/* Runs until run_done has been called and stdout has taken everything. Then the caller detaches
 * its work from the loop, and calls run_fini, which returns the exit status. */
void run_loop(struct run *r);
int run_fini(struct run *r);

#endif
