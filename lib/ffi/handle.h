/* Handle: what stands behind the pointers of the public API. Everything is counted, so that it
 * may be released in any order; one lock per runtime guards all that belongs to it. Functions
 * that want the lock held say "locked"; those with "loop" run on the loop's thread, or on one
 * in its place (snet_ffi_visit). Callbacks of the program run with no lock held, and only in
 * service(), on the loop's thread. */
#ifndef SNET_FFI_HANDLE_H
#define SNET_FFI_HANDLE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "ffi/stoffelnet.h"
#include "io/loop.h"
#include "mesh/peer.h"

#define SNET_FFI_INBOX (8u << 20)    /* bytes: above it the peer is paused */
#define SNET_FFI_OUTBOX (1u << 20)   /* bytes: above it senders wait */
#define SNET_FFI_AT_ONCE (64u << 10) /* bytes: more is sent beside who hands it over */
#define SNET_FFI_MESSAGE_COST 64u    /* bytes an empty message counts for */
#define SNET_FFI_BACKLOG 256u        /* incoming connections nobody has accepted */
#define SNET_FFI_NODES 65536u        /* in a node list */
#define SNET_FFI_PARTIES 2048u       /* that can agree; as many clients */
#define SNET_FFI_NO_SEAT UINT32_MAX
/* For what is queued when a connection is closed: since the peer took some of it; in all. */
#define SNET_FFI_LINGER (3 * SNET_SEC)
#define SNET_FFI_LINGER_MOST (60 * SNET_SEC)

struct snet_ffi_runtime {
	atomic_uint refs;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a job is done, a manager or a link has ended */
	pthread_t thread;
	struct snet_loop *loop;
	struct snet_task task;                        /* service, on the loop's thread */
	struct snet_list jobs, done, dirty, managers; /* calls; operations; links */
	struct snet_list ended;                       /* operations whose threads sleep still */
	struct snet_ffi_op *running;                  /* its callback is being called */
	bool woken, dead, stopped;
};

enum snet_ffi_op_state { SNET_FFI_PENDING, SNET_FFI_DONE, SNET_FFI_OVER };
struct snet_ffi_op {
	struct snet_list node; /* where it waits, then in the runtime's done or ended */
	atomic_uint refs;
	struct snet_ffi_runtime *rt;
	struct snet_ffi_manager *m; /* held by those that are async; NULL */
	enum snet_ffi_op_state state;
	bool async, unclaimed; /* unclaimed: ended, without a callback, and nobody knows */
	int32_t result;
	char why[256];
	uint64_t id;                  /* connect, accept, receive from any: the party */
	struct snet_ffi_message *msg; /* being sent; or received */
	struct snet_ffi_link *link;   /* held: of a receive */
	sem_t told;                   /* who waits, unless async */
	bool is_told;                 /* it was, or is just now, posted */
	StoffelConnectCallback on_result;
	StoffelReceiveCallback on_data;
	void *user;
};

struct snet_ffi_message {
	struct snet_list node;
	struct snet_ffi_op *op; /* who waits for it to go out */
	size_t n;
	uint8_t *data;            /* received: its own */
	struct snet_block *block; /* to be sent */
};

/* Of a link; and a manager's sum over those that are gone. */
struct snet_ffi_counts {
	uint64_t sent, received, sent_bytes, received_bytes, rounds;
};

/* A party this side is connected to, over one connection, or for a moment two. */
struct snet_ffi_link {
	struct snet_list node, dirty; /* in the manager's links; in the runtime's dirty */
	atomic_uint refs;
	struct snet_ffi_runtime *rt;
	struct snet_ffi_manager *m; /* NULL once it is gone */
	int state;                  /* STOFFELNET_STATE_* */
	bool loopback, client, eof, paused, finishing;
	bool readable;  /* counted in the manager's */
	bool sent_last; /* the last message went out, and did not come in */
	uint8_t key[SNET_KEYID_BYTES];
	uint64_t derived;
	uint8_t *spki; /* own */
	size_t spki_len;
	uint32_t seat; /* in the agreement; SNET_FFI_NO_SEAT */
	uint8_t *said; /* own; the last digest it said, or NULL */
	struct snet_ffi_counts counts;
	struct snet_addr remote;
	struct snet_list wires;
	struct snet_ffi_wire *out, *then; /* sends now; sends once out has said it all */
	struct snet_list inbox, outbox, receivers;
	size_t inbox_bytes, outbox_bytes;
	struct snet_timer linger;
	size_t left;    /* at the last look: bytes not acknowledged, the outbox too */
	unsigned vain;  /* looks at which it was not less than at the one before */
	snet_time over; /* when it ends at the latest */
	char why[200];
};

struct snet_ffi_manager;
struct snet_ffi_wire;

/* ---- errors, of this thread. Returns code. */
int32_t snet_ffi_fail(int32_t code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "Null what", "Invalid UTF-8 in what" ... as the thread's error. */
int32_t snet_ffi_parse(struct snet_addr *out, const char *text, const char *what);
uint8_t *snet_ffi_copy(const void *p, size_t n); /* for stoffelnet_free_bytes; NULL: an error */

/* ---- runtime */
extern _Thread_local struct snet_ffi_runtime *snet_ffi_here; /* whose loop this thread is */
struct snet_ffi_runtime *snet_ffi_runtime_hold(struct snet_ffi_runtime *rt);
void snet_ffi_runtime_free(struct snet_ffi_runtime *rt);
/* Locked. The loop will serve what is to be done. SNET_ENOMEM, SNET_ECLOSED: call it before
 * anything is changed. */
int snet_ffi_wake(struct snet_ffi_runtime *rt);
void snet_ffi_wake_surely(
	struct snet_ffi_runtime *rt); /* locked; may drop the lock for a while */
/* Locked. True: the loop sleeps, and this thread is in its place until snet_ffi_leave, where
 * what was handed over meanwhile goes out. Nothing is to be woken for that. */
bool snet_ffi_visit(struct snet_ffi_runtime *rt);
void snet_ffi_leave(struct snet_ffi_runtime *rt); /* locked, but drops the lock for a while */
bool snet_ffi_is_guest(const struct snet_ffi_runtime *rt);  /* this thread, between the two */
bool snet_ffi_is_inside(const struct snet_ffi_runtime *rt); /* so, or it is the loop's own */
/* Runs fn(arg) on the loop's thread, not locked, and waits for it. STOFFELNET_ERR_RUNTIME. */
int32_t snet_ffi_call(struct snet_ffi_runtime *rt, void (*fn)(void *arg), void *arg);
/* May this thread wait? STOFFELNET_ERR_RUNTIME: it is a callback's. */
int32_t snet_ffi_may_wait(void);
void snet_ffi_mark(struct snet_ffi_link *l); /* locked: the link has work for the loop */

/* ---- operations, op.c. All locked but new, init and free. */
struct snet_ffi_op *snet_ffi_op_new(struct snet_ffi_runtime *rt, void *user); /* async */
void snet_ffi_op_init(struct snet_ffi_op *op, struct snet_ffi_runtime *rt);   /* to wait for */
void snet_ffi_op_free(struct snet_ffi_op *op);
void snet_ffi_op_end(struct snet_ffi_op *op, int32_t result, const char *why);
/* Every one in the list. */
void snet_ffi_op_end_all(struct snet_list *ops, int32_t result, const char *why);
/* Locked, but drops the lock for a while: wakes the threads whose operations have ended. */
void snet_ffi_op_tell(struct snet_ffi_runtime *rt);
/* timeout_ms: negative for ever. Sets the thread's error; STOFFELNET_ERR_TIMEOUT. */
int32_t snet_ffi_op_wait(struct snet_ffi_op *op, int32_t timeout_ms);
void snet_ffi_op_run(struct snet_ffi_op *op); /* loop, not locked: the callback */

#endif
