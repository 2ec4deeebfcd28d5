/* Metrics: the counters of a process, in one table, and their text exposition (Prometheus,
 * version 0.0.4). Whoever moves something counts it; one thread. */
#ifndef SNET_OBS_METRICS_H
#define SNET_OBS_METRICS_H

#include "base/bytes.h"

/* X(name, exposed as, type, help). Base units; counters end in _total. */
/* clang-format off */
#define SNET_METRICS(X)                                                                                        \
	X(PEERS,             "snet_peers",                         gauge,   "Connected peers")                 \
	X(SENT_MESSAGES,     "snet_sent_messages_total",           counter, "Messages given to peers")         \
	X(SENT_BYTES,        "snet_sent_bytes_total",              counter, "Payload bytes given to peers")    \
	X(RECEIVED_MESSAGES, "snet_received_messages_total",       counter, "Messages from peers")             \
	X(RECEIVED_BYTES,    "snet_received_bytes_total",          counter, "Payload bytes from peers")        \
	X(DROPPED_MESSAGES,  "snet_dropped_messages_total",        counter, "Messages dropped by overflow")    \
	X(BAD_INPUT,         "snet_input_errors_total",            counter, "Items of input that were bad")    \
	X(ACCEPTED,          "snet_connections_accepted_total",    counter, "Connections from strangers")      \
	X(DIALLED,           "snet_connections_dialled_total",     counter, "Attempts to dial")                \
	X(REFUSED,           "snet_connections_refused_total",     counter, "Handshakes that came to nothing") \
	X(LOST,              "snet_connections_lost_total",        counter, "Connections that ended in error")
/* clang-format on */

#define X(name, ...) SNET_METRIC_##name,
enum snet_metric { SNET_METRICS(X) SNET_METRIC_COUNT };
#undef X

extern uint64_t snet_metrics[SNET_METRIC_COUNT];

/* Several loops in one process (the C API's runtimes) may miss each other's counts; no more
 * than that: plain loads and stores, as costs nothing. */
static inline void snet_count(enum snet_metric m, uint64_t n)
{
	__atomic_store_n(&snet_metrics[m],
			 __atomic_load_n(&snet_metrics[m], __ATOMIC_RELAXED) + n,
			 __ATOMIC_RELAXED);
}

static inline void snet_gauge(enum snet_metric m, uint64_t v)
{
	__atomic_store_n(&snet_metrics[m], v, __ATOMIC_RELAXED);
}

/* Appends the whole exposition. SNET_OK, SNET_ETOOBIG, SNET_ENOMEM. */
int snet_metrics_text(struct snet_buf *b);
/* The same to a file, by way of path.tmp and rename, so that a
 * reader never sees half. SNET_EIO. */
int snet_metrics_write(const char *path, struct snet_error *err);

#endif
