/* stoffelnet_more: what the library has beyond the crate's API, in the same style. The rules of
 * stoffelnet.h hold; include that. */
#ifndef STOFFELNET_MORE_H
#define STOFFELNET_MORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- managers */

/* As manager_new, but a client: it connects to parties, and nobody connects to it. */
void *stoffelnet_manager_new_client(void *runtime, const char *bind_address, uint64_t party_id);
/* As manager_new, with the key and certificate of a PEM file (snet-keygen(1)). */
void *stoffelnet_manager_new_with_identity(void *runtime, const char *bind_address,
					   uint64_t party_id, const char *pem_path);

uint16_t stoffelnet_manager_port(void *manager); /* the one bound; 0: an error */
uint64_t stoffelnet_manager_derived_id(void *manager);
/* Its SubjectPublicKeyInfo; free with stoffelnet_free_bytes. */
int32_t stoffelnet_manager_public_key(void *manager, uint8_t **out_key, size_t *out_len);

/* ---- the agreement on an ordering */

/* [60000] Of the agreements that begin from now on: until all are there, and until they agree.
 */
int32_t stoffelnet_manager_set_consensus_timeout(void *manager, uint64_t milliseconds);
void *stoffelnet_manager_wait_verified_ordering(void *manager); /* NULL: failed */

/* ---- many parties, and clients */

/* These wait for the agreement, where one is expected; STOFFELNET_ERR_CONSENSUS: it failed. */
int32_t stoffelnet_manager_send(void *manager, uint64_t party_id, const uint8_t *data,
				size_t data_len);
/* To every party that is connected, and to oneself. out_count, may be NULL: how many took it.
 */
int32_t stoffelnet_manager_broadcast(void *manager, const uint8_t *data, size_t data_len,
				     size_t *out_count);
int32_t stoffelnet_manager_send_to_client(void *manager, uint64_t client_id,
					  const uint8_t *data, size_t data_len);

/* The next message from anyone, oneself included; as connection_receive_within. */
int32_t stoffelnet_manager_receive_from_any_party(void *manager, int32_t timeout_ms,
						  uint64_t *out_party_id, uint8_t **out_data,
						  size_t *out_len);
int32_t stoffelnet_manager_receive_from_any_client(void *manager, int32_t timeout_ms,
						   uint64_t *out_client_id, uint8_t **out_data,
						   size_t *out_len);
/* The derived ids of the clients that are connected: how many, and room of them in out_ids. */
size_t stoffelnet_manager_clients(void *manager, uint64_t *out_ids, size_t room);
/* As get_connection; an id may also be the place of a client's key among those of all. */
void *stoffelnet_manager_get_client_connection(void *manager, uint64_t client_id);

/* ---- programs with an event loop of their own */

/* Readable while there is a message to receive on any connection of the manager, or an
 * operation without a callback has ended and async_result and async_cancel do not know. The
 * library's: not to be read or closed; good until manager_destroy. Negative: an error. */
int32_t stoffelnet_manager_descriptor(void *manager);

/* timeout_ms: 0 does not wait, a negative one waits for ever. STOFFELNET_ERR_TIMEOUT. */
int32_t stoffelnet_connection_receive_within(void *conn, void *runtime, int32_t timeout_ms,
					     uint8_t **out_data, size_t *out_len);

/* 1: it has ended, and how; 0: it has not. */
int32_t stoffelnet_async_result(void *op, int32_t *out_result);

/* ---- figures */

/* Figures of a connection, or of all that a manager has had. */
typedef struct StoffelStats {
	uint64_t messages_sent, messages_received;
	uint64_t bytes_sent, bytes_received; /* of messages */
	uint64_t queued_bytes;               /* given to the library, and not sent yet */
	uint64_t waiting_bytes;              /* have come, and are not received yet */
	uint64_t rounds;                     /* a message came after one was sent */
	/* Of those that are open now: */
	uint64_t connections;
	uint64_t rtt_us, rtt_min_us; /* of several the largest; the smallest */
	uint64_t packets_lost;       /* UINT64_MAX: not known */
	uint64_t wire_bytes_sent, wire_bytes_received;
} StoffelStats;

/* out_size: sizeof(StoffelStats). */
int32_t stoffelnet_manager_stats(void *manager, StoffelStats *out, size_t out_size);
int32_t stoffelnet_connection_stats(void *conn, StoffelStats *out, size_t out_size);

/* ---- NAT traversal: connections to parties whom no address leads to */

/* [off] Off: leaves all rooms, and closes at once what was connected by them or by exchanges.
 */
int32_t stoffelnet_manager_set_nat_traversal(void *manager, int32_t enabled);
/* "host:port". These, and those for relaying, are asked by rooms and exchanges that are begun
 * later; 8 in all. */
int32_t stoffelnet_manager_add_stun_server(void *manager, const char *address);
/* "turn:host:port?transport=udp", or =tcp, or "turns:host:port". */
int32_t stoffelnet_manager_add_turn_server(void *manager, const char *uri, const char *user,
					   const char *password);

/* Into a room "ice+ws://host:port/name", or ice+wss, of a server as snet-signal(1) is one,
 * where others then find this manager; tries for 30 s. token: NULL, or what the server wants. A
 * node with the address "ice+ws://host:port/name#keyid" is met there: by connect_to_party, for
 * which a room need not be joined before, or when it calls. */
int32_t stoffelnet_manager_join_room(void *manager, const char *url, const char *token);
char *stoffelnet_manager_key_id(void *manager); /* own; free with stoffelnet_free_string */

/* Without a server: each side makes a message for the other, and is given the other's, by
 * whatever way there is; then one, or both, call connect_to_party. Free with
 * stoffelnet_free_bytes. Making one takes up to 1.5 s, if a server is silent. */
int32_t stoffelnet_manager_create_ice_candidates_message(void *manager, uint64_t party_id,
							 uint8_t **out_data, size_t *out_len);
int32_t stoffelnet_manager_process_ice_candidates_message(void *manager, uint64_t party_id,
							  const uint8_t *data, size_t data_len);

#ifdef __cplusplus
}
#endif

#endif
