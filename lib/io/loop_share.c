#include "io/loop_impl.h"

/* Another thread in the place of the loop's own. */

#define GUEST_TURNS 3 /* of who has borrowed a loop; then it is woken */

/* What libev calls around its wait. With tasks pending there is none. */
static void on_release(struct ev_loop *ev)
{
	struct snet_loop *l = ev_userdata(ev);

	pthread_mutex_lock(&l->lock);
	if (snet_list_is_empty(&l->tasks))
		l->tenure = ASLEEP;
	pthread_mutex_unlock(&l->lock);
	l->on_sleep(l->user);
}

/* Who is waited for gets it next: those who borrow it again and again cannot keep it. */
static void on_acquire(struct ev_loop *ev)
{
	struct snet_loop *l = ev_userdata(ev);

	pthread_mutex_lock(&l->lock);
	l->wanted = true;
	while (l->tenure == BORROWED)
		pthread_cond_wait(&l->back, &l->lock);
	l->wanted = false;
	l->tenure = AWAKE;
	pthread_mutex_unlock(&l->lock);
}

void snet_loop_share(struct snet_loop *l, void (*on_sleep)(void *user), void *user)
{
	l->on_sleep = on_sleep;
	l->user = user;
	ev_set_userdata(l->ev, l);
	ev_set_loop_release_cb(l->ev, on_release, on_acquire);
}

bool snet_loop_borrow(struct snet_loop *l)
{
	bool yes;

	pthread_mutex_lock(&l->lock);
	yes = l->tenure == ASLEEP && !l->wanted;
	if (yes) {
		l->tenure = BORROWED;
		l->visited = true;
		l->now = snet_now();
	}
	pthread_mutex_unlock(&l->lock);
	return yes;
}

void snet_loop_give_back(struct snet_loop *l)
{
	const struct snet_timer *first;

	for (int turns = 0; turns < GUEST_TURNS && !snet_list_is_empty(&l->tasks); turns++) {
		loop_run_tasks(l);
		l->now = snet_now(); /* sending takes longer, most often, than its pace wants */
		loop_run_timers(l);
	}
	first = snet_heap_first(&l->heap);
	if (!snet_list_is_empty(&l->tasks) || l->changed ||
	    (first && first->deadline < l->alarm))
		ev_async_send(l->ev, &l->async);
	pthread_mutex_lock(&l->lock); /* the last that may be touched of it */
	l->tenure = ASLEEP;
	if (l->wanted)
		pthread_cond_signal(&l->back);
	pthread_mutex_unlock(&l->lock);
}
