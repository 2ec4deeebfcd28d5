/* Peer events: what a hub and a party say alike of their peers (snet-events(5)). */
#ifndef CLI_PEER_EVENTS_H
#define CLI_PEER_EVENTS_H

#include "cli/out.h"
#include "transport/transport.h"

struct snet_identity;

/* Fields of peer.down and stats. */
#define peer_counts(sent, sent_bytes, received, received_bytes)              \
	out_uint("sent_messages", sent), out_uint("sent_bytes", sent_bytes), \
		out_uint("received_messages", received),                     \
		out_uint("received_bytes", received_bytes)

/* Fields of stats: a struct snet_conn_stats, if there is a connection. */
#define peer_path(there, s)                                                         \
	out_if(there, out_uint("rtt_us", (s).rtt_us)),                              \
		out_if(there, out_uint("rtt_min_us", (s).rtt_min_us)),              \
		out_if(there, out_uint("cwnd_bytes", (s).cwnd)),                    \
		out_if(there, out_uint("in_flight_bytes", (s).in_flight)),          \
		out_if(there, out_uint("wire_sent_bytes", (s).bytes_sent)),         \
		out_if(there, out_uint("wire_received_bytes", (s).bytes_received)), \
		out_if((there) && (s).packets_lost != UINT64_MAX,                   \
		       out_uint("lost_packets", (s).packets_lost)),                 \
		out_if(there, out_uint("mtu_bytes", (s).mtu))

const char *peer_profile(enum snet_profile p);

/* Someone came and was turned away. */
void peer_say_refused(const struct snet_addr *from, int code, const char *why);
/* Also to --ready-fd and the service manager. Say it once. */
void peer_say_ready(const struct snet_identity *self, uint32_t n_up);
/* who: names with spaces between; until: SNET_NEVER, or when it is over; why NULL: not known.
 */
void peer_say_waiting(const char *who, snet_time until, snet_time now,
		      const struct snet_error *why);

#endif
