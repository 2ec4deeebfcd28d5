/* The rows of the event "stats"; see events.h. */
#ifndef CLI_EVENTS_STATS_H
#define CLI_EVENTS_STATS_H

/* clang-format off */
#define EVENTS_STATS(E, F)                                                            \
	E("stats", "counters, on SIGUSR1 and every --stats-every; one for all, one per peer")   \
	F("peer", UINT, "?of this peer; absent: of the program")                                \
	F("peers", UINT, "?connected peers, of the program")                                    \
	F("client", UINT, "?of this client of a mesh")                                          \
	F("clients", UINT, "?of a mesh: connected clients")                                     \
	F("from", UINT, "?of snet-link: of the link from this party")                           \
	F("to", UINT, "?to this one; without both: of all links")                               \
	F("offered_packets", UINT, "?that came to the link")                                    \
	F("offered_bytes", UINT, "?with IP headers")                                            \
	F("delivered_packets", UINT, "?that passed, or are still under way")                    \
	F("delivered_bytes", UINT, "?with IP headers")                                          \
	F("sent_messages", UINT, "?handed to the transport")                                    \
	F("sent_bytes", UINT, "?payload")                                                       \
	F("received_messages", UINT, "?")                                                       \
	F("received_bytes", UINT, "?payload")                                                   \
	F("dropped_messages", UINT, "?by --overflow drop")                                      \
	F("queued_bytes", UINT, "?sent, not acknowledged")                                      \
	F("rtt_us", UINT, "?smoothed round trip")                                               \
	F("rtt_min_us", UINT, "?")                                                              \
	F("cwnd_bytes", UINT, "?congestion window")                                             \
	F("in_flight_bytes", UINT, "?")                                                         \
	F("wire_sent_bytes", UINT, "?UDP payload")                                              \
	F("wire_received_bytes", UINT, "?UDP payload")                                          \
	F("lost_packets", UINT, "?")                                                            \
	F("mtu_bytes", UINT, "?UDP payload in use")                                             \
	F("resent_messages", UINT, "?of a mesh: sent again after a connection was lost")        \
	F("reconnects", UINT, "?of a mesh: connections lost")                                   \
	F("rounds", UINT, "?of a mesh: times that sending turned to receiving or back")         \
	F("state", TEXT, "?of a party: connecting, connected, closing, closed, disconnected")   \
	F("queue_dropped_packets", UINT, "?of a link: that found its queue full")               \
	F("cut_packets", UINT, "?that came while it was down")                                  \
	F("oversize_packets", UINT, "?larger than its MTU")                                     \
	F("duplicated_packets", UINT, "?")                                                      \
	F("reordered_packets", UINT, "?that skipped the delay")                                 \
	F("corrupted_packets", UINT, "?")                                                       \
	F("backlog_bytes", UINT, "?waiting for the rate")                                       \
	F("down", BOOL, "?nothing passes it")                                                   \
	F("in_flight_packets", UINT, "?of all links: under way now")                            \
	F("overrun_packets", UINT, "?that came faster than they were read")                     \
	F("untaken_packets", UINT, "?that no socket took in the end")                           \
	F("overflow_packets", UINT, "?dropped for want of memory or ports")                     \
	F("filtered_packets", UINT, "?that a NAT did not let in")                               \
	F("late_max_us", UINT, "?the latest delivery behind its time since the last stats")
/* clang-format on */

#endif
