/* Errors: one table, from which every name, message, exit status, FFI
 * code and wire close code comes. */
#ifndef SNET_BASE_ERR_H
#define SNET_BASE_ERR_H

#include <stdint.h>

/* X(name, value, exit status, FFI code, reason in events, words). The close code on the wire
 * (profile snet/1) is -value. */
/* clang-format off */
#define SNET_ERRORS(X)                                                                              \
	X(INVAL    , -1 , USAGE    , INVALID_ADDRESS, "invalid"         , "invalid argument")              \
	X(NOMEM    , -2 , FAILED   , RUNTIME        , "no_memory"       , "out of memory")                 \
	X(AGAIN    , -3 , FAILED   , SEND           , "not_ready"       , "not ready")                     \
	X(IO       , -4 , FAILED   , RUNTIME        , "io"              , "input/output error")            \
	X(CONFIG   , -5 , CONFIG   , INVALID_ADDRESS, "config"          , "bad configuration")             \
	X(KEY      , -6 , CONFIG   , RUNTIME        , "bad_key"         , "unusable key")                  \
	X(BIND     , -7 , REACH    , CONNECTION     , "cannot_bind"     , "cannot bind")                   \
	X(UNREACH  , -8 , REACH    , CONNECTION     , "unreachable"     , "cannot reach")                  \
	X(RESOLVE  , -9 , REACH    , INVALID_ADDRESS, "cannot_resolve"  , "cannot resolve")                \
	X(DENIED   , -10, IDENTITY , CONNECTION     , "identity_refused", "identity refused")              \
	X(LOST     , -11, LOST     , CONNECTION     , "peer_lost"       , "peer lost")                     \
	X(TIMEOUT  , -12, TIMEOUT  , TIMEOUT        , "timeout"         , "timed out")                     \
	X(PROTO    , -13, PROTO    , RECEIVE        , "protocol"        , "protocol error")                \
	X(TOOBIG   , -14, PROTO    , SEND           , "too_big"         , "message too large")             \
	X(TRUNCATED, -15, PROTO    , RECEIVE        , "truncated"       , "truncated")                     \
	X(INTEGRITY, -16, INTEGRITY, RECEIVE        , "integrity"       , "integrity check failed")        \
	X(POLICY   , -17, POLICY   , SEND           , "policy"          , "refused by policy")             \
	X(CLOSED   , -18, LOST     , RECEIVE        , "closed"          , "closed")                        \
	X(NOENT    , -19, FAILED   , PARTY_NOT_FOUND, "no_such_peer"    , "no such peer")                  \
	X(NOSYS    , -20, FAILED   , RUNTIME        , "not_supported"   , "not supported")                 \
	X(CANCELLED, -21, FAILED   , CANCELLED      , "cancelled"       , "cancelled")
/* clang-format on */

#define X(name, value, ...) SNET_E##name = value,
enum snet_code { SNET_OK = 0, SNET_ERRORS(X) };
#undef X

/* Exit status of every program; the meanings stand in snet(7). */
enum snet_exit {
	SNET_EXIT_OK,        /* done */
	SNET_EXIT_FAILED,    /* the answer is no, or another failure */
	SNET_EXIT_USAGE,     /* command line */
	SNET_EXIT_CONFIG,    /* bad configuration, roster or key */
	SNET_EXIT_REACH,     /* cannot bind or reach */
	SNET_EXIT_IDENTITY,  /* peer identity refused */
	SNET_EXIT_LOST,      /* peer lost */
	SNET_EXIT_TIMEOUT,   /* timed out */
	SNET_EXIT_PROTO,     /* protocol or framing error */
	SNET_EXIT_INTEGRITY, /* audit or seal failure */
	SNET_EXIT_POLICY,    /* rate, ban, overflow */
};

/* What went wrong, in words a person can act on. Caller-owned, never allocated. */
struct snet_error {
	int code;
	char text[256];
};

/* Fills err (NULL allowed) and returns code, so that a failure is one statement. */
int snet_fail(struct snet_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

const char *snet_err_name(int code); /* "timeout": lower case, the "reason" of error events */
const char *snet_err_text(int code); /* "timed out" */
enum snet_exit snet_err_exit(int code);

/* Close codes of profile snet/1: 0 for SNET_OK. An unknown code from the wire is SNET_ELOST. */
uint64_t snet_err_to_wire(int code);
int snet_err_from_wire(uint64_t wire);

#endif
