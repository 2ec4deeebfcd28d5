#include "io/route.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NUMBER 1 /* of the question: each has a socket of its own */

struct question {
	struct nlmsghdr head;
	struct rtmsg route;
	uint8_t attributes[96]; /* two addresses, a protocol, two ports */
};

static void put(struct question *q, unsigned short type, const void *p, size_t n)
{
	struct rtattr a = { .rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(n) };
	uint8_t *at = (uint8_t *)q + NLMSG_ALIGN(q->head.nlmsg_len);

	memcpy(at, &a, sizeof(a));
	memcpy(at + RTA_LENGTH(0), p, n);
	q->head.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->head.nlmsg_len) + RTA_ALIGN(a.rta_len));
}

static void put_end(struct question *q, const struct snet_addr *a, unsigned short address,
		    unsigned short port)
{
	uint16_t number = htons(snet_addr_port(a));

	if (a->sa.sa_family == AF_INET6)
		put(q, address, &a->in6.sin6_addr, sizeof(a->in6.sin6_addr));
	else
		put(q, address, &a->in.sin_addr, sizeof(a->in.sin_addr));
	if (number)
		put(q, port, &number, sizeof(number));
}

static void write_question(struct question *q, const struct snet_addr *from,
			   const struct snet_addr *to)
{
	uint8_t udp = IPPROTO_UDP;
	unsigned char bits = to->sa.sa_family == AF_INET6 ? 128 : 32;

	*q = (struct question){
		.head = { .nlmsg_len = NLMSG_LENGTH(sizeof(q->route)),
			  .nlmsg_type = RTM_GETROUTE,
			  .nlmsg_flags = NLM_F_REQUEST,
			  .nlmsg_seq = NUMBER },
		.route = { .rtm_family = (unsigned char)to->sa.sa_family,
			   .rtm_src_len = bits,
			   .rtm_dst_len = bits },
	};
	put_end(q, to, RTA_DST, RTA_DPORT);
	put_end(q, from, RTA_SRC, RTA_SPORT);
	put(q, RTA_IP_PROTO, &udp, sizeof(udp));
}

static int read_route(const uint8_t *p, size_t n, unsigned *iface)
{
	struct rtmsg route;
	uint32_t index;

	if (n < NLMSG_ALIGN(sizeof(route)))
		return SNET_ENOSYS;
	memcpy(&route, p, sizeof(route));
	if (route.rtm_type == RTN_UNREACHABLE || route.rtm_type == RTN_PROHIBIT ||
	    route.rtm_type == RTN_BLACKHOLE)
		return SNET_EUNREACH;
	*iface = 0;
	if (route.rtm_type != RTN_UNICAST)
		return SNET_OK;
	for (size_t at = NLMSG_ALIGN(sizeof(route)), whole; n - at >= sizeof(struct rtattr);
	     at += whole) {
		struct rtattr a;

		memcpy(&a, p + at, sizeof(a));
		whole = RTA_ALIGN(a.rta_len);
		if (a.rta_len < sizeof(a) || a.rta_len > n - at)
			break;
		if (a.rta_type == RTA_OIF && a.rta_len == RTA_LENGTH(sizeof(index))) {
			memcpy(&index, p + at + RTA_LENGTH(0), sizeof(index));
			*iface = index;
			return SNET_OK;
		}
		if (whole > n - at)
			break;
	}
	return SNET_ENOSYS;
}

int snet_route_read(const void *p, size_t n, unsigned number, unsigned *iface)
{
	const uint8_t *b = p;
	struct nlmsghdr head;
	int32_t error;

	if (n < NLMSG_HDRLEN)
		return SNET_ENOSYS;
	memcpy(&head, b, sizeof(head));
	if (head.nlmsg_len < NLMSG_HDRLEN || head.nlmsg_len > n || head.nlmsg_seq != number)
		return SNET_ENOSYS;
	b += NLMSG_HDRLEN;
	n = head.nlmsg_len - NLMSG_HDRLEN;
	if (head.nlmsg_type == RTM_NEWROUTE)
		return read_route(b, n, iface);
	if (head.nlmsg_type != NLMSG_ERROR || n < sizeof(error))
		return SNET_ENOSYS;
	memcpy(&error, b, sizeof(error));
	/* Of a blackhole it says EINVAL, as of what it does not understand: no answer. */
	return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EACCES
		       ? SNET_EUNREACH
		       : SNET_ENOSYS;
}

int snet_route_ask(const struct snet_addr *from, const struct snet_addr *to, unsigned *iface)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct question q;
	uint8_t answer[2048];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int rc = SNET_ENOSYS;
	ssize_t n;

	if (fd < 0)
		return rc;
	write_question(&q, from, to);
	/* The answer is there when sendto returns. */
	if (sendto(fd, &q, q.head.nlmsg_len, MSG_DONTWAIT, (struct sockaddr *)&kernel,
		   sizeof(kernel)) == (ssize_t)q.head.nlmsg_len &&
	    (n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT)) > 0)
		rc = snet_route_read(answer, (size_t)n, NUMBER, iface);
	close(fd);
	return rc;
}
