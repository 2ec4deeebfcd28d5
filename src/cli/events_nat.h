/* Events nat: those of snet-stun and snet-ice: a part of the table in events.h, which says what
 * stands here. */
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
	F("evidence", TEXT, "what was asked and what came, in words")                           \
	E("ice.local", "for the other side: our credentials, a candidate, or that these are all") \
	F("ufrag", TEXT, "?of the credentials; with a candidate: those it belongs to")          \
	F("pwd", TEXT, "?of the credentials")                                                   \
	F("candidate", TEXT, "?as a line of SDP; the fields up to interface say the same")      \
	F("type", TEXT, "?host, srflx, prflx, relay")                                           \
	F("foundation", TEXT, "?")                                                              \
	F("component", UINT, "?")                                                               \
	F("protocol", TEXT, "?udp")                                                             \
	F("priority", UINT, "?")                                                                \
	F("address", TEXT, "?without its port")                                                 \
	F("port", UINT, "?")                                                                    \
	F("related_address", TEXT, "?of all but host candidates: what is behind it")            \
	F("related_port", UINT, "?")                                                            \
	F("server", TEXT, "?that told us of it")                                                \
	F("interface", TEXT, "?its name")                                                       \
	F("end_of_candidates", BOOL, "?true: no more will come")                                \
	F("from", TEXT, "?in a room: the key id of the sender")                                 \
	F("to", TEXT, "?in a room: the key id of whom it is for")                               \
	F("call", TEXT, "?in a room: which attempt to connect it is of")                        \
	E("ice.punch", "for the other side: when both begin to punch")                         \
	F("ufrag", TEXT, "of our credentials")                                                  \
	F("remote_ufrag", TEXT, "of the other side's")                                          \
	F("kind", TEXT, "request, ack")                                                         \
	F("id", TEXT, "16 hexadecimal digits; an ack has that of its request")                  \
	F("target", TEXT, "?where the one who asks expects to be met: a candidate of its")      \
	F("delay_ms", UINT, "?how long after this line the other side begins; 0: it measures")  \
	F("from", TEXT, "?in a room: the key id of the sender")                                 \
	F("to", TEXT, "?in a room: the key id of whom it is for")                               \
	F("call", TEXT, "?in a room: which attempt to connect it is of")                        \
	E("ice.punching", "what is done where NATs step, from now on, with --explain")          \
	F("plan", TEXT, "sweep, draw, hold, help")                                              \
	F("remote", TEXT, "the host that is aimed at, and a port")                              \
	F("ports", UINT, "so many")                                                             \
	F("agreed", BOOL, "the other side begins now, too")                                     \
	F("rtt_us", UINT, "?round trip of the signalling, measured by who has asked")           \
	E("ice.remote", "what is known of the other side")                                      \
	F("ufrag", TEXT, "?its credentials are here")                                           \
	F("candidate", TEXT, "?as it said it")                                                  \
	F("type", TEXT, "?of its candidate")                                                    \
	F("address", TEXT, "?without its port; or a name")                                      \
	F("port", UINT, "?")                                                                    \
	F("priority", UINT, "?")                                                                \
	F("found", TEXT, "?of a candidate: told (by the other side), met (a check came from it)") \
	F("ignored", TEXT, "?why the candidate is not used")                                    \
	F("end_of_candidates", BOOL, "?true: no more will come")                                \
	E("ice.state", "of the agent; again when its role changes")                             \
	F("state", TEXT, "gathering, ... completed, failed; snet-ice(1)")                       \
	F("role", TEXT, "controlling, controlled")                                              \
	F("reason", TEXT, "?as in error")                                                       \
	F("text", TEXT, "?words")                                                               \
	E("ice.check", "what came of a check of a pair, with --explain")                        \
	F("local", TEXT, "our address, as the other side sees it where that is known")          \
	F("local_type", TEXT, "as in ice.local")                                                \
	F("remote", TEXT, "the other side's")                                                   \
	F("remote_type", TEXT, "the same")                                                      \
	F("priority", UINT, "of the pair")                                                      \
	F("result", TEXT, "succeeded, failed")                                                  \
	F("rtt_us", UINT, "?round trip")                                                        \
	F("reason", TEXT, "?as in error")                                                       \
	F("text", TEXT, "?why; or that it nominates the pair")                                  \
	E("ice.selected", "the pair to be used; again when it changes")                         \
	F("local", TEXT, "our address, as the other side sees it")                              \
	F("local_type", TEXT, "as in ice.local")                                                \
	F("base", TEXT, "our address, as this host has it; of a relayed one, the relay's")      \
	F("remote", TEXT, "the other side's")                                                   \
	F("remote_type", TEXT, "the same")                                                      \
	F("path", TEXT, "direct, relay")                                                        \
	F("role", TEXT, "controlling, controlled")                                              \
	F("rtt_us", UINT, "round trip")                                                         \
	F("took_ms", UINT, "since the start")                                                   \
	F("changed", BOOL, "there was another before")
/* clang-format on */

#endif
