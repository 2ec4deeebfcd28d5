/* Events signal: those of snet-signal: a part of the table in events.h, which says what stands
 * here. */
#ifndef CLI_EVENTS_SIGNAL_H
#define CLI_EVENTS_SIGNAL_H

/* clang-format off */
#define EVENTS_SIGNAL(E, F)                                                                     \
	E("signal.joined", "somebody has come into a room of snet-signal, or we have")          \
	F("room", TEXT, "its name")                                                             \
	F("peer", UINT, "?of a server: the number of the member: 1, 2, 3 ... as they come")     \
	F("address", TEXT, "of a server: the member's; of a pipe: the server's")                \
	F("peers", UINT, "?of a server: how many are in the room now")                          \
	E("signal.left", "somebody has left it, or we have")                                    \
	F("room", TEXT, "its name")                                                             \
	F("peer", UINT, "?of a server: the number of the member")                               \
	F("address", TEXT, "as in signal.joined")                                               \
	F("peers", UINT, "?of a server: how many are still in the room")                        \
	F("reason", TEXT, "ok, or as in error")                                                 \
	F("text", TEXT, "?words")
/* clang-format on */

#endif
