/* The rows of the events of snet-perf; see events.h. */
#ifndef CLI_EVENTS_PERF_H
#define CLI_EVENTS_PERF_H

/* clang-format off */
#define EVENTS_PERF(E, F)                                                                       \
	E("perf.interval", "of snet-perf: what the last --every has brought")                   \
	F("from", UINT, "?of a roster: the party that measures")                                \
	F("to", UINT, "?the other one; absent: all of them")                                    \
	F("test", TEXT, "latency, rounds, messages, send, receive, both, handshakes")           \
	F("size", UINT, "bytes of a message")                                                   \
	F("at_ms", UINT, "since the test began, when this interval ended")                      \
	F("omitted", BOOL, "it does not count in the result, or only its end does")             \
	F("count", UINT, "?round trips, rounds or handshakes")                                  \
	F("p50_ns", UINT, "?of them: half took no longer")                                      \
	F("p99_ns", UINT, "?99 of 100")                                                         \
	F("sent_messages", UINT, "?that the other side got")                                    \
	F("sent_bits_per_s", UINT, "?payload")                                                  \
	F("received_messages", UINT, "?")                                                       \
	F("received_bits_per_s", UINT, "?")                                                     \
	E("perf.result", "of snet-perf: a test is over")                                        \
	F("from", UINT, "?of a roster: the party that measured")                                \
	F("to", UINT, "?the other one; absent: all of them")                                    \
	F("address", TEXT, "?the other side's")                                                 \
	F("transport", TEXT, "quic, tcp, udp")                                                  \
	F("test", TEXT, "as above")                                                             \
	F("size", UINT, "bytes of a message")                                                   \
	F("parallel", UINT, "connections")                                                      \
	F("time_ms", UINT, "measured, without --omit")                                          \
	F("complete", BOOL, "as long as was asked")                                             \
	F("count", UINT, "?round trips, rounds or handshakes")                                  \
	F("per_s", UINT, "?of them")                                                            \
	F("min_ns", UINT, "?")                                                                  \
	F("mean_ns", UINT, "?")                                                                 \
	F("p50_ns", UINT, "?half took no longer")                                               \
	F("p90_ns", UINT, "?")                                                                  \
	F("p99_ns", UINT, "?")                                                                  \
	F("max_ns", UINT, "?")                                                                  \
	F("wire_p50_ns", UINT, "?of udp: as the kernel saw the packets")                        \
	F("wire_p99_ns", UINT, "?")                                                             \
	F("sent_messages_per_s", UINT, "?that the other side got")                              \
	F("sent_bits_per_s", UINT, "?payload")                                                  \
	F("received_messages_per_s", UINT, "?")                                                 \
	F("received_bits_per_s", UINT, "?")                                                     \
	F("lost_messages", UINT, "?of udp")                                                     \
	F("histogram", JSON, "?a list: from ns, to ns, how many")                               \
	E("perf.summary", "of snet-perf: the last word; of a roster, of its worst pair")        \
	F("transport", TEXT, "quic, tcp, udp")                                                  \
	F("address", TEXT, "?the other side's")                                                 \
	F("parties", UINT, "?of a roster")                                                      \
	F("pairs", UINT, "?of it that were measured")                                           \
	F("tests", UINT, "results before this")                                                 \
	F("complete", BOOL, "all of them as long as was asked")                                 \
	F("rtt_p50_ns", UINT, "?")                                                              \
	F("rtt_p90_ns", UINT, "?")                                                              \
	F("rtt_p99_ns", UINT, "?")                                                              \
	F("rtt_max_ns", UINT, "?")                                                              \
	F("rtt_wire_p50_ns", UINT, "?")                                                         \
	F("rounds_per_s", UINT, "?in lockstep, of all parties")                                 \
	F("messages_per_s", UINT, "?of the smallest size")                                     \
	F("send_bits_per_s", UINT, "?one way")                                                  \
	F("receive_bits_per_s", UINT, "?the other way")                                         \
	F("both_send_bits_per_s", UINT, "?both ways at once")                                   \
	F("both_receive_bits_per_s", UINT, "?")                                                 \
	F("handshakes_per_s", UINT, "?")                                                        \
	F("histogram", JSON, "?of the round trips")                                             \
	E("perf.served", "of snet-perf --serve: a test is over")                                \
	F("address", TEXT, "of who asked for it")                                               \
	F("key", TEXT, "?his key id")                                                           \
	F("transport", TEXT, "quic, tcp, udp")                                                  \
	F("test", TEXT, "as above")                                                             \
	F("size", UINT, "bytes of a message")                                                   \
	F("parallel", UINT, "connections")                                                      \
	F("time_ms", UINT, "it took")                                                           \
	F("received_messages", UINT, "of bulk, by this side")                                   \
	F("received_bytes", UINT, "the same")                                                   \
	F("refused", UINT, "who came meanwhile")                                                \
	F("complete", BOOL, "he ended it")
/* clang-format on */

#endif
