/* stoffelnet: the public C API of libstoffelnet, stoffelnet(3). Messages between the parties of
 * a computation, over QUIC. Every name begins with stoffelnet_ and keeps its meaning once
 * released.
 *
 * Any function may be called from any thread. Those that wait fail with STOFFELNET_ERR_RUNTIME
 * when called from a callback; callbacks run on the runtime's own thread. Every handle is
 * released once, by its own function, in any order. Strings are UTF-8; addresses numeric, with
 * a port: 127.0.0.1:9000, [::1]:9000. */
#ifndef STOFFELNET_H
#define STOFFELNET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
#define STOFFELNET_OK                    0
#define STOFFELNET_ERR_NULL_POINTER    (-1)
#define STOFFELNET_ERR_INVALID_ADDRESS (-2)
#define STOFFELNET_ERR_CONNECTION      (-3)
#define STOFFELNET_ERR_SEND            (-4)
#define STOFFELNET_ERR_RECEIVE         (-5)
#define STOFFELNET_ERR_TIMEOUT         (-6)
#define STOFFELNET_ERR_PARTY_NOT_FOUND (-7)
#define STOFFELNET_ERR_RUNTIME         (-8)
#define STOFFELNET_ERR_INVALID_UTF8    (-9)
#define STOFFELNET_ERR_CANCELLED       (-10)
#define STOFFELNET_ERR_CONSENSUS       (-11)

#define STOFFELNET_STATE_CONNECTED    0
#define STOFFELNET_STATE_CLOSING      1
#define STOFFELNET_STATE_CLOSED       2
#define STOFFELNET_STATE_DISCONNECTED 3
/* clang-format on */

typedef void *StoffelRuntimeHandle, *StoffelTokioRuntimeHandle; /* one and the same */
typedef void *StoffelNodeHandle, *StoffelNetworkManagerHandle, *StoffelPeerConnectionHandle;
typedef void *StoffelAsyncOpHandle, *StoffelVerifiedOrderingHandle;

typedef void (*StoffelConnectCallback)(int32_t result, void *user_data);
typedef void (*StoffelReceiveCallback)(int32_t result, const uint8_t *data, size_t len,
				       void *user_data);
typedef void (*StoffelSendCallback)(int32_t result, void *user_data);

/* The version of the library in use, "0.1.0"; static. */
const char *stoffelnet_version(void);

/* Of this thread, or NULL; good until the thread's next error. Success does not clear it. */
const char *stoffelnet_last_error(void);
void stoffelnet_clear_error(void);

/* A runtime is one thread with an event loop. NULL: an error. */
void *stoffelnet_runtime_new(void);
void stoffelnet_runtime_destroy(void *runtime); /* what still uses it then fails */

/* A node: an address and a party id. NULL: an error. */
void *stoffelnet_node_new(const char *address, uint64_t party_id);
void *stoffelnet_node_new_random_id(const char *address);
void stoffelnet_node_destroy(void *node);
char *stoffelnet_node_address(void *node); /* free with stoffelnet_free_string */
uint64_t stoffelnet_node_party_id(void *node);

/* A manager listens at once, with a key of its own. NULL: an error. */
void *stoffelnet_manager_new(void *runtime, const char *bind_address, uint64_t party_id);
void stoffelnet_manager_destroy(void *manager); /* sends what is queued */
int32_t stoffelnet_manager_add_node(void *manager, const char *address, uint64_t party_id);
/* Keys are SubjectPublicKeyInfo, DER. Without any, every key is accepted. */
int32_t stoffelnet_manager_add_allowed_certificate_public_key(void *manager, const uint8_t *key,
							      size_t key_len);
int32_t stoffelnet_manager_clear_allowed_certificate_public_keys(void *manager);
/* Tries for 30 s. A party that is connected already stays so. */
int32_t stoffelnet_manager_connect_to_party(void *manager, uint64_t party_id);
void *stoffelnet_manager_connect_to_party_async(void *manager, uint64_t party_id,
						StoffelConnectCallback callback,
						void *user_data);
/* The next incoming connection: the party's id, or else its derived id. Waits for ever. */
int32_t stoffelnet_manager_accept_connection(void *manager, uint64_t *out_party_id);
/* A party id of a node, or a derived id; the own id is a loopback. Release with
 * connection_destroy. */
void *stoffelnet_manager_get_connection(void *manager, uint64_t party_id);
int32_t stoffelnet_manager_is_party_connected(void *manager, uint64_t party_id); /* 1, 0 */
/* How many there must be, this one included; one of the two is enough. Call it before anyone
 * connects. The parties then agree on who they are; after a failure it begins again. */
int32_t stoffelnet_manager_set_expected_parties(void *manager, size_t count);
int32_t stoffelnet_manager_set_expected_clients(void *manager, size_t count);
void *stoffelnet_manager_get_verified_ordering(void *manager); /* NULL: not yet, or failed */
/* One message each. Sending waits while the peer does not read; receiving waits for ever. The
 * runtime: any live one. */
int32_t stoffelnet_connection_send(void *conn, void *runtime, const uint8_t *data,
				   size_t data_len);
/* Free with stoffelnet_free_bytes; an empty message is NULL, 0. */
int32_t stoffelnet_connection_receive(void *conn, void *runtime, uint8_t **out_data,
				      size_t *out_len);
void *stoffelnet_connection_send_async(void *conn, void *runtime, const uint8_t *data,
				       size_t data_len, StoffelSendCallback callback,
				       void *user_data); /* data: copied */
void *stoffelnet_connection_receive_async(void *conn, void *runtime,
					  StoffelReceiveCallback callback, void *user_data);
/* Releases an operation, done or not. When it returns, the callback does not run and will not.
 * Always 0. */
int32_t stoffelnet_async_cancel(void *op);
int32_t stoffelnet_connection_state(void *conn, void *runtime);
int32_t stoffelnet_connection_is_connected(void *conn, void *runtime); /* 1, 0 */
void stoffelnet_connection_close(void *conn, void *runtime);
void stoffelnet_connection_destroy(void *conn); /* the handle: the connection stays open */

void stoffelnet_free_bytes(uint8_t *data, size_t len);
void stoffelnet_free_string(char *str);

/* An ordering that all parties agree on: their keys, by party id. */
size_t stoffelnet_ordering_node_count(void *ordering);
size_t stoffelnet_ordering_client_count(void *ordering);
/* Free with stoffelnet_free_bytes. */
int32_t stoffelnet_ordering_node_key(void *ordering, size_t party_id, uint8_t **out_key,
				     size_t *out_len);
int32_t stoffelnet_ordering_client_key(void *ordering, size_t client_id, uint8_t **out_key,
				       size_t *out_len);
void stoffelnet_ordering_destroy(void *ordering);
/* For a client: receives the node list from each connection; all must say the same. */
void *stoffelnet_verify_node_ordering(void *const *conn_handles, size_t count, void *runtime);

#ifdef __cplusplus
}
#endif

#include "stoffelnet_more.h"

#endif
