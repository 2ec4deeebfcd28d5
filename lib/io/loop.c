#include "io/loop_impl.h"

#include <sched.h>
#include <stdlib.h>

#include "base/err.h"

/* A wait that ends before the kernel's next tick costs a virtual machine more than a change of
 * threads does. */
#define LINGER (5 * SNET_MS)
#define VIRTUAL_START (1000 * SNET_SEC) /* not 0: what is subtracted from now is no wrap */

struct snet_io {
	struct ev_io ev;
	struct snet_loop *loop;
	snet_io_fn *fn;
	void *user;
};

struct snet_signal {
	struct ev_signal ev;
	struct snet_loop *loop;
	void (*fn)(int signo, void *user);
	void *user;
};

/* ---- turns */

void loop_run_timers(struct snet_loop *l)
{
	struct snet_timer *t;

	/* Those set on the way with a deadline already past wait for the next turn: nothing may
	 * starve the rest. */
	for (size_t most = l->heap.n;
	     most && (t = snet_heap_first(&l->heap)) && t->deadline <= l->now; most--) {
		snet_heap_del(&l->heap, t);
		l->worked = true;
		t->fn(t, l->now);
	}
}

void loop_run_tasks(struct snet_loop *l)
{
	struct snet_list now;

	if (snet_list_is_empty(&l->tasks))
		return;
	l->worked = true;
	now = l->tasks; /* those deferred from here on belong to the next turn */
	now.next->prev = now.prev->next = &now;
	snet_list_init(&l->tasks);
	while (!snet_list_is_empty(&now)) {
		struct snet_task *t = SNET_OF(now.next, struct snet_task, node);

		snet_list_del(&t->node);
		t->fn(t);
	}
}

/* A shared one sleeps when it can: or nobody could borrow it. */
static bool looks(struct snet_loop *l)
{
	bool worked = l->worked;

	l->worked = false;
	return l->dozes && !l->on_sleep && snet_doze_looks(&l->doze, l->woke, l->now, worked);
}

static void on_prepare(struct ev_loop *ev, struct ev_prepare *w, int revents)
{
	struct snet_loop *l = w->data;
	struct snet_timer *first;

	(void)revents;
	l->now = snet_now();
	loop_run_tasks(l);
	if (!snet_list_is_empty(&l->tasks) || looks(l))
		ev_idle_start(ev, &l->idle);
	else
		ev_idle_stop(ev, &l->idle);
	ev_timer_stop(ev, &l->timer);
	l->changed = false;
	first = snet_heap_first(&l->heap);
	l->alarm = first ? first->deadline : SNET_NEVER;
	/* Who came the last time comes again, most often, and runs what is due by then. */
	if (l->visited && l->alarm > l->now && l->alarm < l->now + LINGER)
		l->alarm = l->now + LINGER;
	l->visited = false;
	if (!first)
		return;
	ev_now_update(ev);
	ev_timer_set(&l->timer, l->alarm > l->now ? (double)(l->alarm - l->now) / 1e9 : 0., 0.);
	ev_timer_start(ev, &l->timer);
}

static void on_check(struct ev_loop *ev, struct ev_check *w, int revents)
{
	struct snet_loop *l = w->data;

	(void)ev, (void)revents;
	l->now = l->woke = snet_now();
}

/* After input: where it is we who were asleep, what came in time is read before anybody is
 * taken for silent. */
static void on_due(struct ev_loop *ev, struct ev_check *w, int revents)
{
	(void)ev, (void)revents;
	loop_run_timers(w->data);
}

static void on_nothing_timer(struct ev_loop *ev, struct ev_timer *w, int revents)
{
	(void)ev, (void)w, (void)revents; /* on_due does the work */
}

/* Called where nothing else is. */
static void on_idle(struct ev_loop *ev, struct ev_idle *w, int revents)
{
	struct snet_loop *l = w->data;
	const struct snet_timer *first = snet_heap_first(&l->heap);

	(void)ev, (void)revents;
	if (l->doze.looking && snet_list_is_empty(&l->tasks) &&
	    (!first || first->deadline > l->now))
		sched_yield();
}

static void on_async(struct ev_loop *ev, struct ev_async *w, int revents)
{
	struct snet_loop *l = w->data;
	struct post *p, *next;

	(void)ev, (void)revents;
	l->worked = true;
	pthread_mutex_lock(&l->lock);
	p = l->posts;
	l->posts = NULL;
	l->posts_end = &l->posts;
	pthread_mutex_unlock(&l->lock);
	for (; p; p = next) {
		next = p->next;
		p->fn(p->arg);
		free(p);
	}
}

static struct snet_loop *born(snet_time now)
{
	struct snet_loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	snet_list_init(&l->tasks);
	l->posts_end = &l->posts;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->back, NULL);
	l->now = now;
	return l;
}

int snet_loop_new(struct snet_loop **out)
{
	struct snet_loop *l = born(snet_now());

	if (!l)
		return SNET_ENOMEM;
	l->ev = ev_loop_new(EVFLAG_AUTO);
	if (!l->ev) {
		snet_loop_free(l);
		return SNET_EIO;
	}
	ev_init(&l->timer, on_nothing_timer);
	ev_prepare_init(&l->prepare, on_prepare);
	ev_check_init(&l->check, on_check);
	ev_set_priority(&l->check, EV_MAXPRI); /* the time first, then what needs it */
	ev_check_init(&l->due, on_due);
	ev_set_priority(&l->due, EV_MINPRI);
	ev_idle_init(&l->idle, on_idle);
	ev_async_init(&l->async, on_async);
	l->prepare.data = l->check.data = l->due.data = l->idle.data = l->async.data = l;
	ev_prepare_start(l->ev, &l->prepare);
	ev_check_start(l->ev, &l->check);
	ev_check_start(l->ev, &l->due);
	ev_async_start(l->ev, &l->async);
	*out = l;
	return SNET_OK;
}

void snet_loop_free(struct snet_loop *l)
{
	if (!l)
		return;
	if (l->ev)
		ev_loop_destroy(l->ev);
	snet_heap_fini(&l->heap);
	for (struct post *p = l->posts, *next; p; p = next) {
		next = p->next;
		free(p);
	}
	pthread_cond_destroy(&l->back);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void snet_loop_run(struct snet_loop *l)
{
	l->now = snet_now();
	ev_run(l->ev, 0);
}

void snet_loop_doze(struct snet_loop *l)
{
	snet_doze_init(&l->doze);
	l->dozes = true;
}

void snet_loop_stop(struct snet_loop *l)
{
	ev_break(l->ev, EVBREAK_ALL);
}

/* ---- virtual time */

int snet_loop_new_virtual(struct snet_loop **out)
{
	*out = born(VIRTUAL_START);
	return *out ? SNET_OK : SNET_ENOMEM;
}

bool snet_loop_turn(struct snet_loop *l)
{
	struct snet_timer *first;
	bool is_busy;

	loop_run_tasks(l);
	is_busy = !snet_list_is_empty(&l->tasks);
	first = snet_heap_first(&l->heap);
	if (!is_busy && !first)
		return false;
	if (!is_busy && first->deadline > l->now)
		l->now = first->deadline;
	loop_run_timers(l);
	return true;
}

snet_time snet_loop_now(const struct snet_loop *l)
{
	return l->now;
}

int snet_loop_post(struct snet_loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = malloc(sizeof(*p));

	if (!p)
		return SNET_ENOMEM;
	*p = (struct post){ NULL, fn, arg };
	pthread_mutex_lock(&l->lock);
	*l->posts_end = p;
	l->posts_end = &p->next;
	pthread_mutex_unlock(&l->lock);
	ev_async_send(l->ev, &l->async);
	return SNET_OK;
}

/* ---- timers */

int snet_timer_set(struct snet_loop *l, struct snet_timer *t, snet_time deadline)
{
	if (deadline == SNET_NEVER) {
		snet_timer_stop(l, t);
		return SNET_OK;
	}
	t->deadline = deadline;
	return snet_heap_put(&l->heap, t);
}

void snet_timer_stop(struct snet_loop *l, struct snet_timer *t)
{
	snet_heap_del(&l->heap, t);
}

/* ---- descriptors */

static void on_io(struct ev_loop *ev, struct ev_io *w, int revents)
{
	struct snet_io *io = w->data;

	(void)ev;
	io->loop->worked = true;
	io->fn(io, (revents & EV_READ ? SNET_READ : 0) | (revents & EV_WRITE ? SNET_WRITE : 0),
	       io->user);
}

struct snet_io *snet_io_new(struct snet_loop *l, int fd, snet_io_fn *fn, void *user)
{
	struct snet_io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	ev_io_init(&io->ev, on_io, fd, 0);
	io->ev.data = io;
	io->loop = l;
	io->fn = fn;
	io->user = user;
	return io;
}

int snet_io_wanted(const struct snet_io *io)
{
	if (!ev_is_active(&io->ev))
		return 0;
	return (io->ev.events & EV_READ ? SNET_READ : 0) |
	       (io->ev.events & EV_WRITE ? SNET_WRITE : 0);
}

void snet_io_want(struct snet_io *io, int what)
{
	if (what == snet_io_wanted(io))
		return;
	io->loop->changed = true;
	ev_io_stop(io->loop->ev, &io->ev);
	if (!what)
		return;
	ev_io_set(&io->ev, io->ev.fd,
		  (what & SNET_READ ? EV_READ : 0) | (what & SNET_WRITE ? EV_WRITE : 0));
	ev_io_start(io->loop->ev, &io->ev);
}

void snet_io_free(struct snet_io *io)
{
	if (!io)
		return;
	ev_io_stop(io->loop->ev, &io->ev);
	free(io);
}

/* ---- signals */

static void on_signal(struct ev_loop *ev, struct ev_signal *w, int revents)
{
	struct snet_signal *s = w->data;

	(void)ev, (void)revents;
	s->loop->worked = true;
	s->fn(w->signum, s->user);
}

struct snet_signal *snet_signal_new(struct snet_loop *l, int signo,
				    void (*fn)(int signo, void *user), void *user)
{
	struct snet_signal *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	ev_signal_init(&s->ev, on_signal, signo);
	s->ev.data = s;
	s->loop = l;
	s->fn = fn;
	s->user = user;
	ev_signal_start(l->ev, &s->ev);
	return s;
}

void snet_signal_free(struct snet_signal *s)
{
	if (!s)
		return;
	ev_signal_stop(s->loop->ev, &s->ev);
	free(s);
}

/* ---- work before sleep */

void snet_task_init(struct snet_task *t, void (*fn)(struct snet_task *t), void *user)
{
	snet_list_init(&t->node);
	t->fn = fn;
	t->user = user;
}

void snet_task_defer(struct snet_loop *l, struct snet_task *t)
{
	if (snet_list_is_empty(&t->node))
		snet_list_add(&l->tasks, &t->node);
}

void snet_task_cancel(struct snet_task *t)
{
	snet_list_del(&t->node);
}
