/* Loop: the only one that knows libev. Timers by deadline, descriptors, signals, work
 * before sleep, and ways in for other threads. One thread runs it; everything but
 * snet_loop_post and snet_loop_borrow belongs to that thread, or to who has borrowed it. */
#ifndef SNET_IO_LOOP_H
#define SNET_IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/list.h"

struct snet_loop;

int snet_loop_new(struct snet_loop **out); /* SNET_ENOMEM, SNET_EIO */
/* NULL is fine. Whatever was attached must be detached before. */
void snet_loop_free(struct snet_loop *l);
void snet_loop_run(struct snet_loop *l); /* returns after snet_loop_stop */
void snet_loop_stop(struct snet_loop *l);
/* From now on it may stay awake where events follow each other closely (io/doze.h), which
 * is for those that somebody waits for. */
void snet_loop_doze(struct snet_loop *l);
/* Read once per turn: use this, not the clock. */
snet_time snet_loop_now(const struct snet_loop *l);

/* ---- virtual time, for tests: timers and tasks only, never run but turned. The clock begins
 * at the same instant in every run, stands still while anything is due, and then jumps to the
 * next deadline. SNET_ENOMEM. */
int snet_loop_new_virtual(struct snet_loop **out);
/* One turn: the pending tasks, then the timers that are due. false: nothing is left that could
 * ever happen. */
bool snet_loop_turn(struct snet_loop *l);

/* ---- timers. Caller's storage, zeroed; fn is called once, at or after the
 * deadline, and may set it again. */
struct snet_timer {
	void (*fn)(struct snet_timer *t, snet_time now);
	void *user;
	snet_time deadline;
	size_t slot; /* place in the heap + 1; 0: not set */
};

/* SNET_NEVER stops it. SNET_ENOMEM. */
int snet_timer_set(struct snet_loop *l, struct snet_timer *t, snet_time deadline);
void snet_timer_stop(struct snet_loop *l, struct snet_timer *t);

/* ---- descriptors. A regular file is always ready. The descriptor stays the caller's. */
enum { SNET_READ = 1, SNET_WRITE = 2 };
struct snet_io;
/* ready: SNET_READ | SNET_WRITE. */
typedef void snet_io_fn(struct snet_io *io, int ready, void *user);

/* Wants nothing yet. */
struct snet_io *snet_io_new(struct snet_loop *l, int fd, snet_io_fn *fn, void *user);
void snet_io_want(struct snet_io *io, int what); /* 0: nothing */
int snet_io_wanted(const struct snet_io *io);
void snet_io_free(struct snet_io *io); /* NULL is fine; allowed in its own callback */

/* ---- signals. */
struct snet_signal;
struct snet_signal *snet_signal_new(struct snet_loop *l, int signo,
				    void (*fn)(int signo, void *user), void *user);
void snet_signal_free(struct snet_signal *s);

/* ---- work before sleep. A task runs once, before the loop waits for events again; what it
 * defers in turn runs in the next turn, which then does not wait. */
struct snet_task {
	struct snet_list node; /* in the loop's queue while pending */
	void (*fn)(struct snet_task *t);
	void *user;
};

void snet_task_init(struct snet_task *t, void (*fn)(struct snet_task *t), void *user);
void snet_task_defer(struct snet_loop *l, struct snet_task *t); /* nothing if pending already */
void snet_task_cancel(struct snet_task *t);

/* From any thread: fn(arg) runs on the loop's thread soon. SNET_ENOMEM. */
int snet_loop_post(struct snet_loop *l, void (*fn)(void *arg), void *arg);

/* ---- another thread in its place, while it sleeps: what that has to do costs no change of
 * threads. */

/* Before it runs: it may be borrowed. on_sleep(user): each time when it goes to sleep, on its
 * thread, but somebody may have borrowed it already: nothing of the loop may be touched. After
 * a sleep in which it was borrowed the next may last 5 ms, though a timer be due sooner. */
void snet_loop_share(struct snet_loop *l, void (*on_sleep)(void *user), void *user);
/* From any thread. True: until snet_loop_give_back, for a moment, the loop is this thread's, as
 * if it were the one that runs it. False: it is not asleep, or somebody else has it. */
bool snet_loop_borrow(struct snet_loop *l);
/* Runs the pending tasks before, and wakes the loop if there is more to do than it knows of
 * when it was to wake up by itself. */
void snet_loop_give_back(struct snet_loop *l);

#endif
