/* The socket under io/udp: options and control messages. Private to lib/io. */
#ifndef SNET_IO_UDP_SOCKET_H
#define SNET_IO_UDP_SOCKET_H

#include "io/udp.h"

#define SNET_UDP_CONTROL 192 /* bytes: room for every control message used below */

struct snet_udp_socket {
	int fd;
	int family;
	bool gso, gro;
	bool wildcard; /* bound to every address: the local one comes with each datagram */
	bool no_mmsg;  /* a sandbox without recvmmsg */
	struct snet_addr bound;
};

int snet_udp_socket_open(struct snet_udp_socket *s, const struct snet_addr *at, int fd,
			 const struct snet_udp_opts *o, struct snet_error *err);

/* Fills m->msg_name and control for one send. name and control are the caller's storage. */
void snet_udp_socket_to(const struct snet_udp_socket *s, struct msghdr *m,
			struct snet_addr *name, uint8_t control[static SNET_UDP_CONTROL],
			const struct snet_path *path, uint8_t ecn, size_t segment);

/* As recvmmsg with MSG_DONTWAIT; *most: how many it could have been, of n: fewer have come when
 * it returns less than that. */
int snet_udp_socket_receive(struct snet_udp_socket *s, struct mmsghdr *m, unsigned n,
			    int *most);

/* Reads control messages of a received one; *segment = 0 when it is a single datagram. */
void snet_udp_socket_from(const struct snet_udp_socket *s, struct msghdr *m,
			  struct snet_path *path, uint8_t *ecn, size_t *segment);

/* As snet_udp_detach. */
int snet_udp_socket_detach(const struct snet_udp_socket *s, const struct snet_addr *remote,
			   int *fd, struct snet_error *err);

/* One entry of the error queue; false when it is empty. *remote is
 * AF_UNSPEC if it names nobody. */
bool snet_udp_socket_error(const struct snet_udp_socket *s, struct snet_addr *remote);

#endif
