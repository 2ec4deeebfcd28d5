/* io/loop: tasks, timers, descriptors, signals, children, and ways in for other threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "io/child.h"
#include "io/loop.h"
#include "support/torture.h"

#define PATIENCE (120 * SNET_SEC)

static struct snet_loop *loop;
static char said[64]; /* what happened, in order */

static void say(char c)
{
	size_t n = strlen(said);

	assert_true(n + 1 < sizeof(said));
	said[n] = c;
	said[n + 1] = '\0';
}

static void on_patience(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	fail_msg("the loop was not stopped in time; so far: %s", said);
}

/* Runs until something stops the loop; a test that waits for ever fails. */
static void run(void)
{
	struct snet_timer t = { .fn = on_patience };

	assert_int_equal(snet_timer_set(loop, &t, snet_now() + PATIENCE), SNET_OK);
	snet_loop_run(loop);
	snet_timer_stop(loop, &t);
}

static int begin(void **s)
{
	(void)s;
	said[0] = '\0';
	return snet_loop_new(&loop);
}

static int end(void **s)
{
	(void)s;
	snet_loop_free(loop);
	return 0;
}

/* ---- tasks */

struct saying {
	struct snet_task task;
	char what;
	unsigned again; /* how often it defers itself */
	struct snet_task *defers, *cancels;
	bool stops;
};

static void on_saying(struct snet_task *t)
{
	struct saying *s = t->user;

	say(s->what);
	if (s->again) {
		s->again--;
		snet_task_defer(loop, t);
	}
	if (s->defers)
		snet_task_defer(loop, s->defers);
	if (s->cancels)
		snet_task_cancel(s->cancels);
	if (s->stops)
		snet_loop_stop(loop);
}

static void saying(struct saying *s, char what)
{
	*s = (struct saying){ .what = what };
	snet_task_init(&s->task, on_saying, s);
}

static void tasks_run_once_and_in_order(void **state)
{
	struct saying a, b, c;

	(void)state;
	saying(&a, 'a');
	saying(&b, 'b');
	saying(&c, 'c');
	c.stops = true;
	snet_task_defer(loop, &b.task);
	snet_task_defer(loop, &a.task);
	snet_task_defer(loop, &b.task); /* pending already: keeps its place */
	snet_task_defer(loop, &c.task);
	run();
	assert_string_equal(said, "bac");
}

static void what_a_task_defers_runs_in_the_next_turn(void **state)
{
	struct saying a, b;

	(void)state;
	saying(&a, 'a');
	saying(&b, 'b');
	a.again = 2;
	b.again = 3;
	b.stops = true; /* stopping ends the turn, not the tasks of it */
	snet_task_defer(loop, &a.task);
	snet_task_defer(loop, &b.task);
	run();
	assert_string_equal(said, "ab");
	run();
	assert_string_equal(said, "abab");
	b.stops = false;
	a.stops = true;
	run(); /* neither waits: a task is pending */
	assert_string_equal(said, "ababab");
	b.stops = true;
	run();
	assert_string_equal(said, "abababb");
}

static void a_cancelled_task_does_not_run_even_in_the_same_turn(void **state)
{
	struct saying a, b, c;

	(void)state;
	saying(&a, 'a');
	saying(&b, 'b');
	saying(&c, 'c');
	a.cancels = &b.task;
	c.stops = true;
	snet_task_cancel(&c.task); /* was not pending */
	snet_task_defer(loop, &a.task);
	snet_task_defer(loop, &b.task);
	snet_task_defer(loop, &c.task);
	run();
	assert_string_equal(said, "ac");
}

static void a_task_can_defer_an_earlier_one(void **state)
{
	struct saying a, b;

	(void)state;
	saying(&a, 'a');
	saying(&b, 'b');
	b.defers = &a.task;
	snet_task_defer(loop, &a.task);
	snet_task_defer(loop, &b.task);
	a.stops = true;
	run(); /* both belong to this turn */
	assert_string_equal(said, "ab");
	run();
	assert_string_equal(said, "aba");
}

/* ---- timers */

struct ring {
	struct snet_timer timer;
	char what;
	unsigned again;
	snet_time every, last;
	bool stops;
};

static void on_ring(struct snet_timer *t, snet_time now)
{
	struct ring *r = t->user;
	bool last = !r->again;

	assert_true(now >= t->deadline);
	assert_true(now == snet_loop_now(loop));
	assert_int_equal(t->slot, 0);
	say(r->what);
	r->last = now;
	if (r->again) {
		r->again--;
		snet_timer_set(loop, t, now + r->every);
	}
	if (r->stops && last)
		snet_loop_stop(loop);
}

static void ring(struct ring *r, char what, snet_time in)
{
	*r = (struct ring){ .what = what };
	r->timer = (struct snet_timer){ .fn = on_ring, .user = r };
	assert_int_equal(snet_timer_set(loop, &r->timer, snet_now() + in), SNET_OK);
}

static void timers_ring_in_order_never_early(void **state)
{
	struct ring a, b, c;
	snet_time began = snet_now();

	(void)state;
	ring(&a, 'a', 9 * SNET_MS);
	ring(&b, 'b', 3 * SNET_MS);
	ring(&c, 'c', 6 * SNET_MS);
	a.stops = true;
	run();
	assert_string_equal(said, "bca");
	assert_true(snet_now() - began >= 9 * SNET_MS);
}

static void a_timer_set_again_moves_and_a_stopped_one_is_silent(void **state)
{
	struct ring a, b, c, d;

	(void)state;
	ring(&a, 'a', SNET_MS);
	ring(&b, 'b', 2 * SNET_MS);
	ring(&c, 'c', 3 * SNET_MS);
	ring(&d, 'd', 4 * SNET_MS);
	snet_timer_set(loop, &a.timer, snet_now() + 6 * SNET_MS);
	snet_timer_set(loop, &b.timer, SNET_NEVER);
	snet_timer_stop(loop, &c.timer);
	snet_timer_stop(loop, &c.timer);
	a.stops = true;
	run();
	assert_string_equal(said, "da");
}

static void a_timer_may_set_itself_again(void **state)
{
	struct ring a;

	(void)state;
	ring(&a, 'a', 0);
	a.again = 3;
	a.every = SNET_MS;
	a.stops = true;
	run();
	assert_string_equal(said, "aaaa");
}

static void a_timer_that_is_always_due_starves_nobody(void **state)
{
	struct ring a;
	struct saying b;

	(void)state;
	ring(&a, 'a', 0);
	a.again = ~0u; /* due again at once, for ever */
	saying(&b, 'b');
	b.again = 3;
	snet_task_defer(loop, &b.task);
	while (strchr(said, 'b') == strrchr(said, 'b') && strlen(said) < 20) {
		struct ring stop;

		ring(&stop, '.', 0);
		stop.stops = true;
		run();
	}
	assert_non_null(strchr(said, 'a'));
	assert_true(strchr(said, 'b') != strrchr(said, 'b'));
	snet_timer_stop(loop, &a.timer);
	snet_task_cancel(&b.task);
}

/* ---- virtual time */

static int begin_virtual(void **s)
{
	(void)s;
	said[0] = '\0';
	return snet_loop_new_virtual(&loop);
}

static void virtual_ring(struct ring *r, char what, snet_time in)
{
	*r = (struct ring){ .what = what };
	r->timer = (struct snet_timer){ .fn = on_ring, .user = r };
	assert_int_equal(snet_timer_set(loop, &r->timer, snet_loop_now(loop) + in), SNET_OK);
}

static void virtual_time_jumps_to_the_next_deadline(void **state)
{
	snet_time start = snet_loop_now(loop);
	struct ring a, b, c;

	(void)state;
	assert_false(snet_loop_turn(loop)); /* nothing will ever happen */
	virtual_ring(&a, 'a', 9 * 3600 * SNET_SEC);
	virtual_ring(&b, 'b', 3 * SNET_MS);
	virtual_ring(&c, 'c', 3 * SNET_MS);
	assert_true(snet_loop_turn(loop));
	assert_int_equal(snet_loop_now(loop) - start, 3 * SNET_MS);
	assert_int_equal(strlen(said), 2);
	assert_true(snet_loop_turn(loop));
	assert_int_equal(said[2], 'a');
	assert_int_equal(a.last, snet_loop_now(loop));
	assert_int_equal(snet_loop_now(loop) - start, 9 * 3600 * SNET_SEC);
	assert_false(snet_loop_turn(loop));
	assert_int_equal(snet_loop_now(loop) - start, 9 * 3600 * SNET_SEC);
}

static void virtual_time_stands_still_while_tasks_are_pending(void **state)
{
	snet_time start = snet_loop_now(loop);
	struct saying a;
	struct ring b, due;

	(void)state;
	saying(&a, 'a');
	a.again = 2;
	snet_task_defer(loop, &a.task);
	virtual_ring(&b, 'b', SNET_MS);
	virtual_ring(&due, 'd', 0);
	assert_true(snet_loop_turn(loop)); /* what is due does not wait for the tasks */
	assert_string_equal(said, "ad");
	assert_true(snet_loop_turn(loop));
	assert_string_equal(said, "ada");
	assert_int_equal(snet_loop_now(loop), start);
	assert_true(snet_loop_turn(loop));
	assert_string_equal(said, "adaab");
	assert_int_equal(snet_loop_now(loop) - start, SNET_MS);
}

static void two_virtual_clocks_begin_alike(void **state)
{
	struct snet_loop *other;

	(void)state;
	assert_int_equal(snet_loop_new_virtual(&other), SNET_OK);
	assert_int_equal(snet_loop_now(other), snet_loop_now(loop));
	snet_loop_free(other);
}

/* ---- descriptors */

struct watch {
	struct snet_io *io;
	int fd;
	bool frees, stops;
	char got[32];
	int ready;
	unsigned calls;
};

static void on_watch(struct snet_io *io, int ready, void *user)
{
	struct watch *w = user;
	ssize_t n;

	assert_ptr_equal(io, w->io);
	w->ready |= ready;
	w->calls++;
	if (ready & SNET_READ) {
		n = read(w->fd, w->got, sizeof(w->got) - 1);
		w->got[n > 0 ? n : 0] = '\0';
	}
	if (w->frees) {
		snet_io_free(io);
		w->io = NULL;
	}
	if (w->stops)
		snet_loop_stop(loop);
}

static void a_readable_descriptor_says_so_while_it_is_wanted(void **state)
{
	struct watch w = { .stops = true };
	struct ring stop;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	w.fd = fds[0];
	w.io = snet_io_new(loop, fds[0], on_watch, &w);
	assert_non_null(w.io);
	assert_int_equal(snet_io_wanted(w.io), 0);
	assert_int_equal(write(fds[1], "one", 3), 3);
	ring(&stop, '.', 2 * SNET_MS); /* wants nothing yet */
	stop.stops = true;
	run();
	assert_int_equal(w.calls, 0);

	snet_io_want(w.io, SNET_READ);
	assert_int_equal(snet_io_wanted(w.io), SNET_READ);
	run();
	assert_string_equal(w.got, "one");
	assert_int_equal(w.ready, SNET_READ);

	snet_io_want(w.io, 0);
	assert_int_equal(snet_io_wanted(w.io), 0);
	assert_int_equal(write(fds[1], "two", 3), 3);
	ring(&stop, '.', 2 * SNET_MS);
	stop.stops = true;
	run();
	assert_int_equal(w.calls, 1);
	snet_io_free(w.io);
	close(fds[0]);
	close(fds[1]);
}

static void both_directions_are_told_apart(void **state)
{
	struct watch w = { .stops = true };
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	w.fd = fds[0];
	w.io = snet_io_new(loop, fds[0], on_watch, &w);
	snet_io_want(w.io, SNET_READ | SNET_WRITE);
	assert_int_equal(snet_io_wanted(w.io), SNET_READ | SNET_WRITE);
	run();
	assert_int_equal(w.ready, SNET_WRITE);
	assert_int_equal(write(fds[1], "x", 1), 1);
	w.ready = 0;
	run();
	assert_int_equal(w.ready, SNET_READ | SNET_WRITE);
	snet_io_free(w.io);
	close(fds[0]);
	close(fds[1]);
}

static void a_watch_may_free_itself(void **state)
{
	struct watch w = { .stops = true, .frees = true };
	struct ring stop;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	w.fd = fds[0];
	w.io = snet_io_new(loop, fds[0], on_watch, &w);
	snet_io_want(w.io, SNET_READ);
	assert_int_equal(write(fds[1], "xy", 2), 2);
	run();
	assert_null(w.io);
	assert_int_equal(write(fds[1], "z", 1), 1);
	ring(&stop, '.', 2 * SNET_MS);
	stop.stops = true;
	run();
	assert_int_equal(w.calls, 1);
	snet_io_free(NULL);
	close(fds[0]);
	close(fds[1]);
}

static void say_read(struct snet_io *io, int ready, void *user)
{
	char c;

	(void)io, (void)ready;
	assert_int_equal(read(*(int *)user, &c, 1), 1);
	say('r');
}

/* Or whoever was asleep would take others for silent whose words have waited. */
static void what_waits_is_read_before_a_timer_that_is_due(void **state)
{
	struct snet_io *io;
	struct ring late;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	io = snet_io_new(loop, fds[0], say_read, &fds[0]);
	snet_io_want(io, SNET_READ);
	ring(&late, 't', 0);
	late.stops = true;
	assert_int_equal(write(fds[1], "x", 1), 1);
	run();
	assert_string_equal(said, "rt");
	snet_io_free(io);
	close(fds[0]);
	close(fds[1]);
}

static void the_end_of_a_pipe_is_readable(void **state)
{
	struct watch w = { .stops = true, .got = "unread" };
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	close(fds[1]);
	w.fd = fds[0];
	w.io = snet_io_new(loop, fds[0], on_watch, &w);
	snet_io_want(w.io, SNET_READ);
	run();
	assert_string_equal(w.got, "");
	snet_io_free(w.io);
	close(fds[0]);
}

static void a_regular_file_is_always_ready(void **state)
{
	char name[] = "/tmp/snet-test-loop-XXXXXX";
	struct watch w = { .stops = true };
	int fd = mkstemp(name);

	(void)state;
	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(write(fd, "text", 4), 4);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	w.fd = fd;
	w.io = snet_io_new(loop, fd, on_watch, &w);
	snet_io_want(w.io, SNET_READ);
	run();
	assert_string_equal(w.got, "text");
	run(); /* at its end, too */
	assert_string_equal(w.got, "");
	snet_io_want(w.io, SNET_WRITE);
	w.ready = 0;
	run();
	assert_int_equal(w.ready, SNET_WRITE);
	snet_io_free(w.io);
	close(fd);
}

/* ---- signals and children */

static void on_signal(int signo, void *user)
{
	*(int *)user = signo;
	snet_loop_stop(loop);
}

static void a_signal_arrives_as_an_event(void **state)
{
	int got = 0;
	struct snet_signal *s = snet_signal_new(loop, SIGUSR1, on_signal, &got);

	(void)state;
	assert_non_null(s);
	raise(SIGUSR1);
	assert_int_equal(got, 0); /* not in the handler */
	run();
	assert_int_equal(got, SIGUSR1);
	snet_signal_free(s);
	snet_signal_free(NULL);
}

static pid_t child(int status, int wait_fd)
{
	pid_t pid = fork();
	char c;

	assert_true(pid >= 0);
	if (pid)
		return pid;
	if (wait_fd >= 0 && read(wait_fd, &c, 1) < 0)
		status = 99;
	_exit(status);
}

static void on_child(int pid, int status, void *user)
{
	((int *)user)[0] = pid;
	((int *)user)[1] = status;
	((int *)user)[2]++;
	snet_loop_stop(loop);
}

static void the_end_of_a_child_is_told_once_with_its_status(void **state)
{
	int got[3] = { 0 }, fds[2];
	struct snet_child *c;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = child(7, fds[0]); /* lives until it is told */
	c = snet_child_new(loop, pid, on_child, got);
	assert_non_null(c);
	assert_int_equal(write(fds[1], "x", 1), 1);
	run();
	assert_int_equal(got[0], pid);
	assert_true(WIFEXITED(got[1]));
	assert_int_equal(WEXITSTATUS(got[1]), 7);
	assert_int_equal(got[2], 1);

	pid = child(0, fds[0]);
	c = snet_child_new(loop, pid, on_child, got);
	assert_non_null(c);
	kill(pid, SIGKILL);
	run();
	assert_int_equal(got[0], pid);
	assert_true(WIFSIGNALED(got[1]));
	assert_int_equal(WTERMSIG(got[1]), SIGKILL);
	close(fds[0]);
	close(fds[1]);
}

static void a_child_that_is_no_longer_watched_is_not_told(void **state)
{
	int got[3] = { 0 }, status;
	pid_t pid = child(3, -1);
	struct snet_child *c = snet_child_new(loop, pid, on_child, got);
	struct ring stop;

	(void)state;
	assert_non_null(c);
	snet_child_free(c);
	snet_child_free(NULL);
	ring(&stop, '.', 2 * SNET_MS);
	stop.stops = true;
	run();
	assert_int_equal(got[2], 0);
	assert_int_equal(waitpid(pid, &status, 0), pid); /* and is still ours to wait for */
	assert_int_equal(WEXITSTATUS(status), 3);
}

static void a_child_that_is_not_ours_is_refused(void **state)
{
	pid_t pid = child(0, -1);
	int got[3], status;

	(void)state;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_null(snet_child_new(loop, pid, on_child, got));
}

/* ---- from other threads */

#define POSTS 1000

static unsigned posted;

static void on_post(void *arg)
{
	assert_int_equal((uintptr_t)arg, posted); /* in order */
	if (++posted == POSTS)
		snet_loop_stop(loop);
}

static void *poster(void *arg)
{
	(void)arg;
	for (uintptr_t i = 0; i < POSTS; i++)
		if (snet_loop_post(loop, on_post, (void *)i))
			return "out of memory";
	return NULL;
}

static void posts_from_another_thread_run_here_in_order(void **state)
{
	pthread_t t;
	void *failed;

	(void)state;
	posted = 0;
	assert_int_equal(pthread_create(&t, NULL, poster, NULL), 0);
	run(); /* it has nothing else to wake up for */
	assert_int_equal(pthread_join(t, &failed), 0);
	assert_null(failed);
	assert_int_equal(posted, POSTS);
}

static void what_was_posted_and_never_ran_is_freed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(snet_loop_post(loop, on_post, NULL), SNET_OK);
	/* LeakSanitizer looks */
}

/* ---- borrowed while it sleeps */

static sem_t asleep;
static atomic_uint naps;

static void on_sleep(void *user)
{
	(void)user;
	atomic_fetch_add(&naps, 1);
	sem_post(&asleep);
}

/* Runs guest in another thread once the loop sleeps; what it returns is what went wrong. */
static void run_with(void *(*guest)(void *arg), void *arg)
{
	pthread_t t;
	void *failed;

	sem_init(&asleep, 0, 0);
	atomic_store(&naps, 0);
	snet_loop_share(loop, on_sleep, NULL);
	assert_false(snet_loop_borrow(loop)); /* it does not sleep: it does not run */
	assert_int_equal(pthread_create(&t, NULL, guest, arg), 0);
	run();
	assert_int_equal(pthread_join(t, &failed), 0);
	if (failed)
		fail_msg("%s", (char *)failed);
	sem_destroy(&asleep);
}

/* false: it did not come to sleep. */
static bool borrow(void)
{
	sem_wait(&asleep);
	for (int i = 0; i < 10000; i++) {
		if (snet_loop_borrow(loop))
			return true;
		sched_yield();
	}
	return false;
}

struct chore {
	struct snet_task task;
	unsigned left;                /* how often it defers itself */
	pthread_t guest, first, last; /* who borrows; who runs it, first and last */
};

static void on_chore(struct snet_task *t)
{
	struct chore *c = t->user;

	say('c');
	if (strlen(said) == 1)
		c->first = pthread_self();
	c->last = pthread_self();
	if (c->left--)
		snet_task_defer(loop, t);
	else
		snet_loop_stop(loop);
}

static void *do_chores(void *arg)
{
	struct chore *c = arg;

	if (!borrow())
		return "a loop that sleeps could not be borrowed";
	if (snet_loop_borrow(loop))
		return "it was borrowed twice";
	c->guest = pthread_self();
	snet_task_init(&c->task, on_chore, c);
	snet_task_defer(loop, &c->task);
	snet_loop_give_back(loop);
	return NULL;
}

static void who_borrows_a_loop_runs_its_tasks_and_leaves_it_the_rest(void **state)
{
	struct chore c = { .left = 20 };

	(void)state;
	run_with(do_chores, &c);
	assert_int_equal(strlen(said), 21);
	assert_true(pthread_equal(c.first, c.guest));
	assert_true(pthread_equal(c.last, pthread_self()));
}

static void on_awake(struct snet_timer *t, snet_time now)
{
	(void)now;
	*(bool *)t->user = snet_loop_borrow(loop);
	snet_loop_stop(loop);
}

static void *set_timer(void *arg)
{
	struct snet_timer *t = arg;

	if (!borrow())
		return "a loop that sleeps could not be borrowed";
	if (snet_timer_set(loop, t, snet_loop_now(loop) + 5 * SNET_MS))
		return "out of memory";
	snet_loop_give_back(loop);
	return NULL;
}

static void a_loop_that_sleeps_longer_is_woken_for_a_timer(void **state)
{
	bool got_it = true;
	struct snet_timer t = { .fn = on_awake, .user = &got_it };

	(void)state;
	run_with(set_timer, &t);
	assert_false(got_it); /* while it was awake */
}

static void *move_timers(void *arg)
{
	struct snet_timer *t = arg, *much_later = t + 1;

	if (!borrow())
		return "a loop that sleeps could not be borrowed";
	snet_loop_give_back(loop);
	for (unsigned i = 0; i < 100; i++) {
		while (!snet_loop_borrow(loop))
			sched_yield();
		if (snet_timer_set(loop, much_later, snet_loop_now(loop) + (2 + i) * PATIENCE))
			return "out of memory";
		snet_loop_give_back(loop);
	}
	while (!snet_loop_borrow(loop))
		sched_yield();
	if (snet_timer_set(loop, t, snet_loop_now(loop)))
		return "out of memory";
	snet_loop_give_back(loop);
	return NULL;
}

static void a_timer_that_can_wait_does_not_wake_a_loop(void **state)
{
	bool got_it = true;
	struct snet_timer t[2] = { { .fn = on_awake, .user = &got_it }, { .fn = on_patience } };

	(void)state;
	run_with(move_timers, t);
	snet_timer_stop(loop, &t[1]);
	assert_true(atomic_load(&naps) < 10);
}

static void on_wanted(struct snet_io *io, int ready, void *user)
{
	(void)user;
	assert_int_equal(ready, SNET_WRITE);
	snet_io_want(io, 0);
	snet_loop_stop(loop);
}

static void *want(void *io)
{
	if (!borrow())
		return "a loop that sleeps could not be borrowed";
	snet_io_want(io, SNET_WRITE);
	snet_loop_give_back(loop);
	return NULL;
}

static void a_loop_looks_at_what_was_wanted_while_it_slept(void **state)
{
	struct snet_io *io;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	io = snet_io_new(loop, fd[1], on_wanted, NULL);
	run_with(want, io);
	snet_io_free(io);
	close(fd[0]);
	close(fd[1]);
}

#define RINGS 20

static atomic_bool enough;

static void on_ring_again(struct snet_timer *t, snet_time now)
{
	if (++*(unsigned *)t->user < RINGS)
		snet_timer_set(loop, t, now + SNET_MS);
	else
		snet_loop_stop(loop);
}

static void *borrow_for_ever(void *got)
{
	while (!atomic_load(&enough)) {
		if (!snet_loop_borrow(loop))
			continue;
		++*(unsigned *)got;
		snet_loop_give_back(loop);
	}
	return NULL;
}

static void *two_who_borrow(void *arg)
{
	unsigned *got = arg;
	pthread_t other;

	if (pthread_create(&other, NULL, borrow_for_ever, &got[1]))
		return "no thread";
	borrow_for_ever(&got[0]);
	pthread_join(other, NULL);
	return NULL;
}

static void those_who_borrow_a_loop_all_the_time_do_not_keep_it(void **state)
{
	unsigned rings = 0, got[2] = { 0 };
	struct snet_timer t = { .fn = on_ring_again, .user = &rings };
	pthread_t guests;

	(void)state;
	sem_init(&asleep, 0, 0);
	atomic_store(&enough, false);
	snet_loop_share(loop, on_sleep, NULL);
	snet_timer_set(loop, &t, snet_now());
	assert_int_equal(pthread_create(&guests, NULL, two_who_borrow, got), 0);
	run();
	atomic_store(&enough, true);
	pthread_join(guests, NULL);
	assert_int_equal(rings, RINGS);
	assert_true(got[0] + got[1] > 0);
	sem_destroy(&asleep);
}

/* ---- */

static int make(void *user)
{
	struct snet_loop *l = NULL;
	struct snet_timer t = { .fn = on_patience };
	int rc = snet_loop_new(&l);

	(void)user;
	if (!rc)
		rc = snet_timer_set(l, &t, snet_now() + PATIENCE);
	if (!rc)
		rc = snet_loop_post(l, on_post, NULL);
	if (!rc) {
		struct snet_io *io = snet_io_new(l, 0, on_watch, NULL);

		rc = io ? SNET_OK : SNET_ENOMEM;
		snet_io_free(io);
	}
	if (!rc) {
		struct snet_signal *s = snet_signal_new(l, SIGUSR2, on_signal, NULL);

		rc = s ? SNET_OK : SNET_ENOMEM;
		snet_signal_free(s);
	}
	if (!rc) {
		struct snet_child *c = snet_child_new(l, getpid(), on_child, NULL);

		rc = c ? SNET_OK : SNET_ENOMEM;
		snet_child_free(c);
	}
	snet_loop_free(l);
	l = NULL;
	if (!rc)
		rc = snet_loop_new_virtual(&l);
	snet_loop_free(l);
	return rc;
}

static void out_of_memory_is_an_error_everywhere(void **state)
{
	(void)state;
	torture(make, NULL);
	snet_loop_free(NULL);
}

/* ---- a loop that may doze */

#define PINGS 3000
#define QUIET (200 * SNET_MS)

static unsigned pings, rings;
static snet_time cpu;

static snet_time cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (snet_time)t.tv_sec * SNET_SEC + (snet_time)t.tv_nsec;
}

static void on_quiet_over(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	cpu = cpu_time() - cpu;
	snet_loop_stop(loop);
}

static void on_each_ms(struct snet_timer *t, snet_time now)
{
	rings++;
	snet_timer_set(loop, t, now + SNET_MS);
}

static struct snet_timer quiet = { .fn = on_quiet_over }, each_ms = { .fn = on_each_ms };

/* Every byte is followed by the next at once, until there are no more. */
static void on_ping(struct snet_io *io, int ready, void *user)
{
	const int *fd = user;
	char c;

	(void)io, (void)ready;
	assert_int_equal(read(fd[0], &c, 1), 1);
	if (++pings < PINGS) {
		assert_int_equal(write(fd[1], &c, 1), 1);
		return;
	}
	snet_timer_stop(loop, &each_ms);
	cpu = cpu_time();
	snet_timer_set(loop, &quiet, snet_now() + QUIET);
}

static void who_dozes_wakes_for_all_and_sleeps_when_nothing_comes(void **state)
{
	struct snet_io *io;
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	io = snet_io_new(loop, fd[0], on_ping, fd);
	snet_io_want(io, SNET_READ);
	snet_loop_doze(loop);
	assert_int_equal(write(fd[1], "x", 1), 1);
	snet_timer_set(loop, &each_ms, snet_now());
	run();
	assert_int_equal(pings, PINGS);
	assert_true(rings >= 1);
	assert_true(cpu < QUIET / 2);
	snet_io_free(io);
	close(fd[0]);
	close(fd[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define VIRTUAL(name) cmocka_unit_test_setup_teardown(name, begin_virtual, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(tasks_run_once_and_in_order),
		TEST(what_a_task_defers_runs_in_the_next_turn),
		TEST(a_cancelled_task_does_not_run_even_in_the_same_turn),
		TEST(a_task_can_defer_an_earlier_one),
		TEST(timers_ring_in_order_never_early),
		TEST(a_timer_set_again_moves_and_a_stopped_one_is_silent),
		TEST(a_timer_may_set_itself_again),
		TEST(a_timer_that_is_always_due_starves_nobody),
		VIRTUAL(virtual_time_jumps_to_the_next_deadline),
		VIRTUAL(virtual_time_stands_still_while_tasks_are_pending),
		VIRTUAL(two_virtual_clocks_begin_alike),
		TEST(a_readable_descriptor_says_so_while_it_is_wanted),
		TEST(both_directions_are_told_apart),
		TEST(a_watch_may_free_itself),
		TEST(what_waits_is_read_before_a_timer_that_is_due),
		TEST(the_end_of_a_pipe_is_readable),
		TEST(a_regular_file_is_always_ready),
		TEST(a_signal_arrives_as_an_event),
		TEST(the_end_of_a_child_is_told_once_with_its_status),
		TEST(a_child_that_is_no_longer_watched_is_not_told),
		TEST(a_child_that_is_not_ours_is_refused),
		TEST(posts_from_another_thread_run_here_in_order),
		TEST(what_was_posted_and_never_ran_is_freed),
		TEST(who_borrows_a_loop_runs_its_tasks_and_leaves_it_the_rest),
		TEST(a_loop_that_sleeps_longer_is_woken_for_a_timer),
		TEST(a_timer_that_can_wait_does_not_wake_a_loop),
		TEST(a_loop_looks_at_what_was_wanted_while_it_slept),
		TEST(those_who_borrow_a_loop_all_the_time_do_not_keep_it),
		TEST(who_dozes_wakes_for_all_and_sleeps_when_nothing_comes),
		cmocka_unit_test(out_of_memory_is_an_error_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
