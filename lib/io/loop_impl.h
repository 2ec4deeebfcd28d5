/* Private to io/loop*.c. */
#ifndef SNET_IO_LOOP_IMPL_H
#define SNET_IO_LOOP_IMPL_H

#include <ev.h>
#include <pthread.h>

#include "io/doze.h"
#include "io/heap.h"
#include "io/loop.h"

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

enum tenure { AWAKE, ASLEEP, BORROWED };

struct snet_loop {
	struct ev_loop *ev; /* NULL: the time is virtual */
	struct ev_timer timer;
	struct ev_prepare prepare;
	struct ev_check check, due; /* before what is ready, which wants the time; and after */
	struct ev_idle idle; /* while tasks are pending, or it dozes: the loop does not wait */
	struct ev_async async;
	struct snet_heap heap;
	struct snet_list tasks;
	snet_time now;
	struct snet_doze doze;
	bool dozes, worked; /* if it may; and something was done since it waited */
	snet_time woke;
	snet_time alarm;      /* when it wakes by itself */
	bool changed;         /* what descriptors are wanted for, since it looked */
	pthread_mutex_t lock; /* of all that follows: what other threads touch */
	struct post *posts, **posts_end;
	enum tenure tenure;
	bool wanted;         /* its own thread waits for it */
	bool visited;        /* it was borrowed since it went to sleep last */
	pthread_cond_t back; /* it was given back, and is wanted */
	void (*on_sleep)(void *user);
	void *user;
};

/* Those that are due; what they add waits for the next turn. */
void loop_run_timers(struct snet_loop *l);
void loop_run_tasks(struct snet_loop *l);

#endif
