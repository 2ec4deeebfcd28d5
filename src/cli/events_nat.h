/* Events nat: those of snet-stun: a part of the table in events.h, which says what stands here.
 */
#ifndef CLI_EVENTS_NAT_H
#define CLI_EVENTS_NAT_H

/* clang-format off */
#define EVENTS_NAT(E, F)                                                                        \
	E("stun.mapped", "what a STUN server saw this socket as, by snet-stun")                 \
	F("server", TEXT, "as written on the command line")                                     \
	F("address", TEXT, "its address")                                                       \
	F("local", TEXT, "ours")                                                                \
	F("mapped", TEXT, "ours, as the server sees it")                                        \
	F("rtt_us", UINT, "since the first request: exact when requests is 1")                  \
	F("requests", UINT, "sent until the answer came")                                       \
	F("other", TEXT, "?the other address the server offers, RFC 5780")                      \
	E("stun.nat", "what is between this socket and the servers; again when it changes")     \
	F("family", TEXT, "ipv4, ipv6")                                                         \
	F("nat", TEXT, "the verdict, snet-stun(1)")                                             \
	F("local", TEXT, "our address")                                                         \
	F("mapped", TEXT, "?by the first server that answered")                                 \
	F("mapping", TEXT, "on what it depends: endpoint-independent, ..., unknown")            \
	F("filtering", TEXT, "the same")                                                        \
	F("port_preserved", BOOL, "?the mapped port is our own")                                \
	F("hairpin", BOOL, "?our mapped address reaches us from here")                          \
	F("lived_ms", UINT, "?a silent binding was there after so long")                        \
	F("gone_ms", UINT, "?and was not after so long")                                        \
	F("servers", UINT, "that were asked")                                                   \
	F("answered", UINT, "so far")                                                           \
	F("evidence", TEXT, "what was asked and what came, in words")
/* clang-format on */

#endif
