/* Events: one table of everything a program says on stdout, from which out.c checks what it
 * writes, --list-events prints, and snet-events(5) is checked. Fields are only ever added. */
#ifndef CLI_EVENTS_H
#define CLI_EVENTS_H

#include <stddef.h>

#include "cli/events_link.h"
#include "cli/events_nat.h"
#include "cli/events_perf.h"
#include "cli/events_signal.h"
#include "cli/events_stats.h"

/* TEXT: a string. UINT: 0 to 2^64 - 1. BOOL. DATA: base64, HEX, JSON: only as payloads.
 * E(event, words) begins an event, F(name, type, words) is a field of it, in the order of
 * writing. A field whose words begin with '?' may be absent. Units stand in the name. */
/* clang-format off */
#define EVENTS(E, F)                                                                            \
	E("listening", "bound: peers may come")                                                 \
	F("address", TEXT, "to be given to the other side: scheme, host, real port, key id")    \
	F("port", UINT, "?the real port; a room has none")                                                        \
	F("to", UINT, "?of snet-link: the party it leads to")                                   \
	F("key", TEXT, "?own key id; snet-stun has none")                                       \
	F("id", UINT, "?own party id")                                                          \
	E("waiting", "not all peers are there yet; dialling goes on")                           \
	F("for", TEXT, "the addresses or names waited for, separated by spaces")                \
	F("left_ms", UINT, "?time until --wait is over")                                        \
	F("reason", TEXT, "?why the last attempt came to nothing")                              \
	F("text", TEXT, "?the same in words")                                                   \
	E("ready", "everything asked for on the command line is in place")                      \
	F("peers", UINT, "how many peers are connected")                                        \
	F("key", TEXT, "?own key id")                                                           \
	E("peer.up", "a peer is connected and known")                                           \
	F("peer", UINT, "?its number: the party id where there is one")                          \
	F("client", UINT, "?in place of peer: the number of a client of a mesh")                \
	F("name", TEXT, "?its name in roster or allow file")                                    \
	F("address", TEXT, "its address")                                                       \
	F("key", TEXT, "its key id")                                                            \
	F("role", TEXT, "of the side that dialled: server, client")                             \
	F("profile", TEXT, "of the wire: snet/1, stoffelnet-0.1")                               \
	F("dialled", BOOL, "this side dialled")                                                 \
	F("anew", BOOL, "?of a mesh: another process than before, or the first")                \
	F("missed_messages", UINT, "?that only the process before it has taken")                \
	E("peer.closing", "of a mesh: a party sends no more")                                   \
	F("peer", UINT, "its number")                                                           \
	E("peer.down", "a peer is gone")                                                        \
	F("peer", UINT, "?its number")                                                           \
	F("client", UINT, "?in place of peer")                                                  \
	F("key", TEXT, "?its key id")                                                           \
	F("reason", TEXT, "ok, or as in error")                                                 \
	F("text", TEXT, "?words")                                                               \
	F("by_peer", BOOL, "?the peer closed")                                                  \
	F("sent_messages", UINT, "to it")                                                       \
	F("sent_bytes", UINT, "payload")                                                        \
	F("received_messages", UINT, "from it")                                                 \
	F("received_bytes", UINT, "payload")                                                    \
	F("state", TEXT, "?of a mesh: closed or disconnected")                                  \
	E("message", "one message from a peer")                                                 \
	F("from", UINT, "?the peer's number")                                                   \
	F("client", UINT, "?in place of from: the number of a client of a mesh")                \
	F("seq", UINT, "1, 2, 3 ... per peer and stream")                                       \
	F("stream", UINT, "?when it is not 0")                                                  \
	F("kind", TEXT, "name of the record type, its number where it has no name")             \
	F("data", DATA, "?the payload; one of these four, by --payload")                        \
	F("text", TEXT, "?")                                                                    \
	F("hex", HEX, "?")                                                                      \
	F("json", JSON, "?")                                                                    \
	E("round", "the messages of one round, with --sync of snet-party")                      \
	F("round", UINT, "1, 2, 3 ...")                                                         \
	F("messages", JSON, "a list, by party: from, kind and payload as in message")           \
	F("missing", JSON, "a list of the parties that have none in it")                        \
	E("refused", "a stranger came to nothing: handshake or hello")                                  \
	F("address", TEXT, "the stranger's")                                                    \
	F("reason", TEXT, "as in error")                                                        \
	F("text", TEXT, "words")                                                                \
	E("exit", "a program run by --exec has ended")                                          \
	F("peer", UINT, "?the peer it was run for")                                             \
	F("status", UINT, "?exit status")                                                       \
	F("signal", UINT, "?the signal that ended it")                                          \
	E("stalled", "a program run by --exec reads nothing, and more than a pipe holds waits for it") \
	F("peer", UINT, "?the peer it was run for")                                             \
	F("id", UINT, "?own party id")                                                          \
	F("waiting_bytes", UINT, "that have come for it")                                       \
	F("held", BOOL, "what it prints is not read now, either")                            \
	E("key", "an identity, by snet-keygen")                                                 \
	F("key", TEXT, "key id")                                                                \
	F("derived_id", TEXT, "the Rust crate's id of this key, decimal")                       \
	F("algorithm", TEXT, "ecdsa-p256, ed25519 ...")                                         \
	F("name", TEXT, "?common name in the certificate")                                      \
	F("file", TEXT, "?where it is kept")                                                    \
	F("id", UINT, "?party id")                                                              \
	F("address", TEXT, "?of the party, with key id")                                        \
	E("roster", "a roster file was written, by snet-keygen")                                \
	F("file", TEXT, "where")                                                                \
	F("parties", UINT, "how many")                                                          \
	EVENTS_STATS(E, F)                                                                      \
	EVENTS_NAT(E, F)                                                                        \
	EVENTS_SIGNAL(E, F)                                                                     \
	EVENTS_LINK(E, F)                                                                       \
	EVENTS_PERF(E, F)                                                                       \
	E("error", "something failed; the last line of a run that fails")                       \
	F("code", UINT, "the exit status it leads to, snet(7)")                                 \
	F("reason", TEXT, "one word")                                                           \
	F("text", TEXT, "words")                                                                \
	F("peer", UINT, "?the peer to blame")                                                   \
	F("line", UINT, "?of the input")                                                        \
	F("fatal", BOOL, "the program ends")
/* clang-format on */

enum event_type { EVENT_TEXT, EVENT_UINT, EVENT_BOOL, EVENT_DATA, EVENT_HEX, EVENT_JSON };

/* field NULL: the row that begins an event; event NULL: a field of the event above. */
struct event_row {
	const char *event, *field;
	enum event_type type;
	const char *words;
};

extern const struct event_row event_rows[];
extern const size_t event_row_count;

/* The row that begins the event; NULL: no such event. */
const struct event_row *event_find(const char *event);
/* The field's row; NULL: the event has no such field. begin: from event_find. */
const struct event_row *event_field(const struct event_row *begin, const char *field);

void events_print_list(void); /* "event field type" per line */

#endif
