/* What crossed, as a capture: raw IP with headers made up for it, one record per packet at the
 * moment it was delivered. Times in nanoseconds. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "cli/link_impl.h"

#define MAGIC_NS 0xa1b23c4du
#define LINKTYPE_RAW 101
#define SNAP 65535u

struct link_pcap {
	FILE *f;
	char path[256];
};

static void put_native(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v)); /* the magic tells readers whose order it is */
}

int link_pcap_open(struct link *l, const char *path, struct snet_error *err)
{
	struct link_pcap *p = calloc(1, sizeof(*p));
	uint8_t head[24] = { 0 };

	if (!p)
		return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
	p->f = fopen(path, "we");
	if (!p->f) {
		free(p);
		return snet_fail(err, SNET_EIO, "%s: %s", path, strerror(errno));
	}
	snprintf(p->path, sizeof(p->path), "%s", path);
	put_native(head, MAGIC_NS);
	memcpy(head + 4, (const uint16_t[]){ 2, 4 }, 4); /* version 2.4 */
	put_native(head + 16, SNAP);
	put_native(head + 20, LINKTYPE_RAW);
	fwrite(head, sizeof(head), 1, p->f);
	l->pcap = p;
	return SNET_OK;
}

int link_pcap_close(struct link_pcap *p, struct snet_error *err)
{
	int rc = SNET_OK;

	if (!p)
		return rc;
	if (ferror(p->f) | fclose(p->f))
		rc = snet_fail(err, SNET_EIO, "%s: the capture is not whole", p->path);
	free(p);
	return rc;
}

/* ---- checksums, RFC 1071 */

static uint32_t sum(uint32_t s, const uint8_t *p, size_t n)
{
	for (; n > 1; p += 2, n -= 2)
		s += (uint32_t)p[0] << 8 | p[1];
	return n ? s + ((uint32_t)p[0] << 8) : s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)~s;
}

static void six(uint8_t out[static 16], const struct snet_addr *a)
{
	if (a->sa.sa_family == AF_INET6) {
		memcpy(out, &a->in6.sin6_addr, 16);
		return;
	}
	memset(out, 0, 10);
	out[10] = out[11] = 0xff;
	memcpy(out + 12, &a->in.sin_addr, 4);
}

/* Writes the IP header for n bytes of protocol; returns its length. */
static size_t ip_header(uint8_t *h, const struct snet_addr *from, const struct snet_addr *to,
			uint8_t protocol, size_t n)
{
	if (from->sa.sa_family == AF_INET && to->sa.sa_family == AF_INET) {
		memset(h, 0, 20);
		h[0] = 0x45;
		snet_put_be16(h + 2, (uint16_t)(20 + n));
		h[8] = 64;
		h[9] = protocol;
		memcpy(h + 12, &from->in.sin_addr, 4);
		memcpy(h + 16, &to->in.sin_addr, 4);
		snet_put_be16(h + 10, fold(sum(0, h, 20)));
		return 20;
	}
	memset(h, 0, 8);
	h[0] = 0x60;
	snet_put_be16(h + 4, (uint16_t)n);
	h[6] = protocol;
	h[7] = 64;
	six(h + 8, from);
	six(h + 24, to);
	return 40;
}

/* Of header and payload of a protocol over either IP: the pseudo-header has addresses, length
 * and protocol. */
static uint16_t checksum(const uint8_t *ip, size_t ip_n, uint8_t protocol, const uint8_t *h,
			 size_t h_n, const uint8_t *data, size_t n)
{
	uint32_t s = ip_n == 20 ? sum(0, ip + 12, 8) : sum(0, ip + 8, 32);
	uint16_t folded;

	s += (uint32_t)(h_n + n) + protocol;
	folded = fold(sum(sum(s, h, h_n), data, n));
	return folded ? folded : 0xffff;
}

static void record(struct link_pcap *p, const uint8_t *h, size_t h_n, const uint8_t *data,
		   size_t n)
{
	struct timespec now;
	uint8_t head[16];

	clock_gettime(CLOCK_REALTIME, &now);
	put_native(head, (uint32_t)now.tv_sec);
	put_native(head + 4, (uint32_t)now.tv_nsec);
	put_native(head + 8, (uint32_t)(h_n + n));
	put_native(head + 12, (uint32_t)(h_n + n));
	fwrite(head, sizeof(head), 1, p->f);
	fwrite(h, h_n, 1, p->f);
	if (n)
		fwrite(data, 1, n, p->f);
}

void link_pcap_udp(struct link_pcap *p, const struct snet_addr *from,
		   const struct snet_addr *to, const uint8_t *data, size_t n)
{
	uint8_t h[48], *udp;
	size_t ip_n;

	if (n + 48 > SNAP)
		n = SNAP - 48;
	ip_n = ip_header(h, from, to, IPPROTO_UDP, 8 + n);
	udp = h + ip_n;
	memset(udp, 0, 8);
	snet_put_be16(udp, snet_addr_port(from));
	snet_put_be16(udp + 2, snet_addr_port(to));
	snet_put_be16(udp + 4, (uint16_t)(8 + n));
	snet_put_be16(udp + 6, checksum(h, ip_n, IPPROTO_UDP, udp, 8, data, n));
	record(p, h, ip_n + 8, data, n);
}

void link_pcap_tcp(struct link_pcap *p, const struct snet_addr *from,
		   const struct snet_addr *to, uint32_t seq, uint32_t ack, bool fin,
		   const uint8_t *data, size_t n)
{
	uint8_t h[60], *tcp;
	size_t ip_n = ip_header(h, from, to, IPPROTO_TCP, 20 + n);

	tcp = h + ip_n;
	memset(tcp, 0, 20);
	snet_put_be16(tcp, snet_addr_port(from));
	snet_put_be16(tcp + 2, snet_addr_port(to));
	snet_put_be32(tcp + 4, seq);
	snet_put_be32(tcp + 8, ack);
	tcp[12] = 5 << 4;
	tcp[13] = fin ? 0x11 : 0x18; /* FIN or PSH, and ACK */
	snet_put_be16(tcp + 14, 0xffff);
	snet_put_be16(tcp + 16, checksum(h, ip_n, IPPROTO_TCP, tcp, 20, data, n));
	record(p, h, ip_n + 20, data, n);
}
