/* Perf message: what the two sides of snet-perf say to each other, one message per frame or
 * datagram. Pure.
 *
 *	client                       server
 *	START session, plan     ->
 *	                        <-   ACCEPT session, or REFUSE why
 *	PING seq, filler        ->                              latency
 *	                        <-   PONG seq, filler
 *	ROUND seq, filler       ->                              rounds: both are in the same one
 *	                        <-   ROUND seq, filler
 *	DATA seq, filler        ->   (or <-, or both)           the rest
 *	                        <-   REPORT figures
 *	STOP session            ->
 *	                        <-   STOPPED session
 *
 * Over UDP a START from an address that has not proven to be there is answered by COOKIE, which
 * is smaller, and comes again with it; and whoever asks asks again until there is an answer. */
#ifndef CLI_PERF_MESSAGE_H
#define CLI_PERF_MESSAGE_H

#include "base/bytes.h"

#define PERF_COOKIE 16
#define PERF_SIZE_MIN 16             /* bytes of a message with filler */
#define PERF_SIZE_MAX (16u << 20)    /* the same */
#define PERF_TIME_MAX (3600u * 1000) /* ms of one test */
#define PERF_PARALLEL_MAX 64         /* connections of one test */
#define PERF_MESSAGE_MAX 160         /* bytes without filler */
#define PERF_NONE UINT64_MAX         /* a figure that there is not */

enum perf_test {
	PERF_LATENCY,
	PERF_ROUNDS,
	PERF_MESSAGES,
	PERF_SEND,
	PERF_RECEIVE,
	PERF_BOTH,
	PERF_HANDSHAKES,
	PERF_TESTS
};

extern const char *const perf_test_names[]; /* in order of the enum; ends at NULL */

/* What is asked of a server. */
struct perf_plan {
	enum perf_test test;
	uint32_t size;     /* bytes of a message, PERF_SIZE_MIN to PERF_SIZE_MAX */
	uint32_t time_ms;  /* all of it, 1 to PERF_TIME_MAX */
	uint16_t parallel; /* connections, 1 to PERF_PARALLEL_MAX */
};

/* First bytes are such that UDP takes them for QUIC's class, RFC 9443 §3. */
enum perf_type {
	PERF_START = 0x50,
	PERF_COOKIE_IS,
	PERF_ACCEPT,
	PERF_REFUSE,
	PERF_PING,
	PERF_PONG,
	PERF_ROUND,
	PERF_LAST_ROUND,
	PERF_DATA,
	PERF_REPORT,
	PERF_STOP,
	PERF_STOPPED,
	PERF_TURN, /* between parties of a roster: now you */
	PERF_ROW,  /* what one of them has measured */
	PERF_TYPE_END
};

enum perf_why { PERF_BUSY = 1, PERF_TOO_MUCH, PERF_WHY_END };

/* What a receiver has got of a test so far; flow: of this connection alone. */
struct perf_got {
	uint64_t us; /* since it accepted */
	uint64_t bytes, messages;
	uint64_t flow_highest, flow_messages; /* highest: the largest seq of DATA, plus 1 */
};

/* The figures of a result that are numbers, PERF_NONE where there is none. */
/* clang-format off */
#define PERF_FIGURES(X) X(count) X(per_s) X(min_ns) X(mean_ns) X(p50_ns) X(p90_ns) X(p99_ns)    \
	X(max_ns) X(wire_p50_ns) X(wire_p99_ns) X(sent_messages_per_s) X(sent_bits_per_s)       \
	X(received_messages_per_s) X(received_bits_per_s) X(lost_messages)
/* clang-format on */

struct perf_result {
	uint32_t from, to; /* parties; UINT32_MAX: there is no roster */
	struct perf_plan plan;
	uint32_t time_ms; /* that was measured */
	bool complete;
#define X(name) uint64_t name;
	PERF_FIGURES(X)
#undef X
};

struct perf_message {
	enum perf_type type;
	uint64_t session;            /* START to REFUSE, STOP, STOPPED */
	struct perf_plan plan;       /* START */
	uint8_t cookie[PERF_COOKIE]; /* START, COOKIE_IS */
	enum perf_why why;           /* REFUSE */
	uint32_t left_ms;            /* REFUSE: until it is worth asking again; 0: never */
	uint64_t seq;                /* PING to DATA */
	struct perf_got got;         /* REPORT */
	struct perf_result row;      /* ROW */
};

/* n: how much of it is there, total: how long it is; they differ only for messages with filler.
 * SNET_EPROTO: not one of these, or out of range. */
int perf_message_decode(struct perf_message *m, const uint8_t *p, size_t n, size_t total);
/* Returns the length, without filler. */
size_t perf_message_encode(uint8_t out[static PERF_MESSAGE_MAX], const struct perf_message *m);
/* The beginning of one with filler. */
#define PERF_HEAD 9
void perf_message_head(uint8_t out[static PERF_HEAD], enum perf_type type, uint64_t seq);

/* A result in which nothing was measured yet. */
void perf_result_init(struct perf_result *r, const struct perf_plan *plan);

#endif
