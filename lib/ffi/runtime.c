#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "ffi/manager.h"

_Thread_local struct snet_ffi_runtime *snet_ffi_here;
static _Thread_local const struct snet_ffi_runtime *guest_of;

/* A call into the loop's thread, on the stack of who waits for it. */
struct job {
	struct snet_list node;
	void (*fn)(void *arg);
	void *arg;
	bool done, failed;
};

struct snet_ffi_runtime *snet_ffi_runtime_hold(struct snet_ffi_runtime *rt)
{
	atomic_fetch_add(&rt->refs, 1);
	return rt;
}

void snet_ffi_runtime_free(struct snet_ffi_runtime *rt)
{
	if (!rt || atomic_fetch_sub(&rt->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&rt->lock);
	pthread_cond_destroy(&rt->changed);
	free(rt);
}

/* ---- what the loop's thread does when it is woken */

static void run_jobs(struct snet_ffi_runtime *rt)
{
	while (!snet_list_is_empty(&rt->jobs)) {
		struct job *j = SNET_OF(rt->jobs.next, struct job, node);

		snet_list_del(&j->node);
		if (rt->stopped) {
			j->failed = true;
		} else {
			pthread_mutex_unlock(&rt->lock);
			j->fn(j->arg);
			pthread_mutex_lock(&rt->lock);
		}
		j->done = true;
		pthread_cond_broadcast(&rt->changed);
	}
}

static void serve_managers(struct snet_ffi_runtime *rt)
{
	struct snet_list *n = rt->managers.next;

	while (n != &rt->managers) {
		struct snet_ffi_manager *m = SNET_OF(n, struct snet_ffi_manager, node);

		atomic_fetch_add(&m->refs, 1);
		snet_ffi_manager_serve(m);
		/* Only this thread takes managers out: those that are there stay. */
		n = m->gone ? rt->managers.next : n->next;
		snet_ffi_manager_free(m);
	}
}

static void serve_links(struct snet_ffi_runtime *rt)
{
	while (!snet_list_is_empty(&rt->dirty)) {
		struct snet_ffi_link *l = SNET_OF(rt->dirty.next, struct snet_ffi_link, dirty);

		snet_list_del(&l->dirty);
		snet_ffi_link_serve(l);
		snet_ffi_link_free(l);
	}
}

/* Only those that are done by now: a callback may ask for more, and nothing may starve. */
static void run_callbacks(struct snet_ffi_runtime *rt)
{
	struct snet_list now = rt->done;

	if (snet_list_is_empty(&rt->done))
		return;
	now.next->prev = now.prev->next = &now;
	snet_list_init(&rt->done);
	while (!snet_list_is_empty(&now)) {
		struct snet_ffi_op *op = SNET_OF(now.next, struct snet_ffi_op, node);

		snet_list_del(&op->node);
		op->state = SNET_FFI_OVER;
		rt->running = op;
		pthread_mutex_unlock(&rt->lock);
		snet_ffi_op_run(op);
		pthread_mutex_lock(&rt->lock);
		rt->running = NULL;
		pthread_cond_broadcast(&rt->changed);
		snet_ffi_op_free(op);
	}
}

static void service(struct snet_ffi_runtime *rt)
{
	pthread_mutex_lock(&rt->lock);
	rt->woken = false;
	run_jobs(rt);
	serve_managers(rt);
	serve_links(rt);
	if (!snet_list_is_empty(&rt->done))
		snet_ffi_op_tell(rt); /* a callback may take its time, or wait for them */
	run_callbacks(rt);
	if (rt->dead && snet_list_is_empty(&rt->managers) && snet_list_is_empty(&rt->done) &&
	    snet_list_is_empty(&rt->jobs))
		snet_loop_stop(rt->loop);
	else if (rt->dead && snet_list_is_empty(&rt->managers))
		snet_task_defer(rt->loop, &rt->task);
	pthread_mutex_unlock(&rt->lock);
}

static void on_post(void *arg)
{
	service(arg);
}

/* Callbacks are the loop's thread's: a guest leaves them to it. */
static void on_task(struct snet_task *t)
{
	struct snet_ffi_runtime *rt = t->user;

	if (guest_of == rt)
		snet_task_defer(rt->loop, t);
	else
		service(rt);
}

/* Only now: a thread that is woken sooner may want the loop, and would find it awake. */
static void on_sleep(void *user)
{
	struct snet_ffi_runtime *rt = user;

	pthread_mutex_lock(&rt->lock);
	snet_ffi_op_tell(rt);
	pthread_mutex_unlock(&rt->lock);
}

bool snet_ffi_is_guest(const struct snet_ffi_runtime *rt)
{
	return guest_of == rt;
}

bool snet_ffi_is_inside(const struct snet_ffi_runtime *rt)
{
	return snet_ffi_here == rt || guest_of == rt;
}

int snet_ffi_wake(struct snet_ffi_runtime *rt)
{
	int rc = SNET_OK;

	if (rt->stopped)
		return SNET_ECLOSED;
	if (snet_ffi_is_inside(rt))
		snet_task_defer(rt->loop, &rt->task);
	else if (!rt->woken)
		rc = snet_loop_post(rt->loop, on_post, rt);
	if (!rc && !snet_ffi_is_inside(rt))
		rt->woken = true;
	return rc;
}

bool snet_ffi_visit(struct snet_ffi_runtime *rt)
{
	if (rt->stopped || !snet_loop_borrow(rt->loop))
		return false;
	guest_of = rt;
	return true;
}

void snet_ffi_leave(struct snet_ffi_runtime *rt)
{
	serve_links(rt);
	pthread_mutex_unlock(&rt->lock);
	snet_loop_give_back(rt->loop);
	guest_of = NULL;
	pthread_mutex_lock(&rt->lock);
	snet_ffi_op_tell(rt);
}

/* For an end, which cannot fail: until there is memory. */
void snet_ffi_wake_surely(struct snet_ffi_runtime *rt)
{
	while (snet_ffi_wake(rt) == SNET_ENOMEM) {
		pthread_mutex_unlock(&rt->lock);
		sched_yield();
		pthread_mutex_lock(&rt->lock);
	}
}

void snet_ffi_mark(struct snet_ffi_link *l)
{
	if (!snet_list_is_empty(&l->dirty))
		return;
	atomic_fetch_add(&l->refs, 1);
	snet_list_add(&l->rt->dirty, &l->dirty);
}

int32_t snet_ffi_may_wait(void)
{
	if (!snet_ffi_here)
		return STOFFELNET_OK;
	return snet_ffi_fail(STOFFELNET_ERR_RUNTIME,
			     "a call that waits was made from a callback: it would wait for "
			     "itself; use the _async functions");
}

int32_t snet_ffi_call(struct snet_ffi_runtime *rt, void (*fn)(void *arg), void *arg)
{
	struct job j = { .fn = fn, .arg = arg };
	int rc;

	if (snet_ffi_here == rt) {
		fn(arg);
		return STOFFELNET_OK;
	}
	if (snet_ffi_may_wait()) /* two runtimes could wait for each other */
		return STOFFELNET_ERR_RUNTIME;
	snet_list_init(&j.node);
	pthread_mutex_lock(&rt->lock);
	rc = rt->dead ? SNET_ECLOSED : snet_ffi_wake(rt);
	if (!rc)
		snet_list_add(&rt->jobs, &j.node);
	while (!rc && !j.done)
		pthread_cond_wait(&rt->changed, &rt->lock);
	pthread_mutex_unlock(&rt->lock);
	if (rc == SNET_ENOMEM)
		return snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "out of memory");
	if (rc || j.failed)
		return snet_ffi_fail(STOFFELNET_ERR_RUNTIME, "the runtime has been destroyed");
	return STOFFELNET_OK;
}

/* ---- life */

static void *run(void *arg)
{
	struct snet_ffi_runtime *rt = arg;

	snet_ffi_here = rt;
	snet_loop_run(rt->loop);
	pthread_mutex_lock(&rt->lock);
	rt->stopped = true;
	run_jobs(rt);
	serve_links(rt);
	snet_ffi_op_tell(rt);
	run_callbacks(rt);
	pthread_mutex_unlock(&rt->lock);
	snet_task_cancel(&rt->task);
	snet_loop_free(rt->loop);
	snet_ffi_runtime_free(rt);
	return NULL;
}

/* Signals are the program's: none is for this thread. */
static int start(struct snet_ffi_runtime *rt)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&rt->thread, NULL, run, rt);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

void *stoffelnet_runtime_new(void)
{
	struct snet_ffi_runtime *rt = calloc(1, sizeof(*rt));
	int rc = rt ? snet_loop_new(&rt->loop) : SNET_ENOMEM;

	if (rc) {
		free(rt);
		snet_ffi_fail(0, "Failed to create runtime: %s", snet_err_text(rc));
		return NULL;
	}
	atomic_init(&rt->refs, 2); /* the handle and the thread */
	pthread_mutex_init(&rt->lock, NULL);
	pthread_cond_init(&rt->changed, NULL);
	snet_task_init(&rt->task, on_task, rt);
	snet_list_init(&rt->jobs);
	snet_list_init(&rt->done);
	snet_list_init(&rt->ended);
	snet_list_init(&rt->dirty);
	snet_list_init(&rt->managers);
	snet_loop_share(rt->loop, on_sleep, rt);
	rc = start(rt);
	if (rc) {
		snet_ffi_fail(0, "Failed to create runtime: %s", strerror(rc));
		snet_loop_free(rt->loop);
		atomic_store(&rt->refs, 1);
		snet_ffi_runtime_free(rt);
		return NULL;
	}
	return rt;
}

void stoffelnet_runtime_destroy(void *runtime)
{
	struct snet_ffi_runtime *rt = runtime;
	pthread_t thread;

	if (!rt)
		return;
	thread = rt->thread;
	pthread_mutex_lock(&rt->lock);
	rt->dead = true;
	for (struct snet_list *n = rt->managers.next; n != &rt->managers; n = n->next)
		SNET_OF(n, struct snet_ffi_manager, node)->closing = true;
	snet_ffi_wake_surely(rt);
	pthread_mutex_unlock(&rt->lock);
	/* A callback cannot wait for its own thread: that one ends by itself. Nor for another
	 * runtime's, which may be waiting for this one. */
	if (snet_ffi_here)
		pthread_detach(thread);
	else
		pthread_join(thread, NULL);
	snet_ffi_runtime_free(rt);
}
