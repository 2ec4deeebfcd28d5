/* The rows of the events of snet-link; see events.h. */
#ifndef CLI_EVENTS_LINK_H
#define CLI_EVENTS_LINK_H

/* clang-format off */
#define EVENTS_LINK(E, F)                                                            \
	E("link.mapped", "of snet-link: somebody inside has a port outside, or another one")    \
	F("inside", TEXT, "his address")                                                        \
	F("outside", TEXT, "what his packets come from")                                        \
	E("link.changed", "of snet-link: a change was made")                                    \
	F("at_us", UINT, "since the start")                                                     \
	F("line", UINT, "of the schedule, or of stdin")                                         \
	F("live", BOOL, "from stdin")                                                           \
	E("link.verified", "of snet-link --verify: what was asked and what came of it")         \
	F("from", UINT, "of the link from this party")                                          \
	F("to", UINT, "to this one; the same for a round trip")                                 \
	F("what", TEXT, "rtt, delay, jitter, loss, rate")                                       \
	F("asked_us", UINT, "?rtt and delay: the mean; jitter: the deviation")                  \
	F("achieved_us", UINT, "?")                                                             \
	F("p99_error_us", UINT, "?of delay without jitter: 99 of 100 were as near as that")     \
	F("asked_bits", UINT, "?per second, with IP headers")                                   \
	F("achieved_bits", UINT, "?")                                                           \
	F("asked_ppm", UINT, "?of packets")                                                     \
	F("achieved_ppm", UINT, "?")                                                            \
	F("packets", UINT, "measured")                                                          \
	F("ok", BOOL, "as promised")
/* clang-format on */

#endif
