/* Link impl: what the parts of src/cli/link_*.c say to each other. */
#ifndef CLI_LINK_IMPL_H
#define CLI_LINK_IMPL_H

#include "cli/link.h"
#include "cli/link_spec.h"

#define LINK_DOORS_MAX 1024       /* strangers one party may be shown */
#define LINK_QUEUE_MAX (1u << 30) /* bytes under way, all links together */
#define LINK_TCP_MAX 4096         /* connections */

/* Where packets leave, and come: a door or a port outside. Lives until the last packet to it is
 * gone. */
struct link_hop {
	struct link *l;
	struct snet_dgram *d; /* NULL: closed */
	unsigned refs;
	void (*take)(struct link_hop *hop, const struct snet_path *path, uint8_t ecn,
		     uint8_t *p, size_t n, size_t segment);
};

/* Something under way: a datagram, or a segment of a stream. */
struct link_item {
	struct snet_parcel due;
	const struct link_item_ops *ops;
};

struct link_item_ops {
	void (*deliver)(struct link *l, struct link_item *i); /* takes it over */
	void (*drop)(struct link *l, struct link_item *i);
};

/* ---- link.c: the net, time and what is under way */
/* When what comes now was here: by the kernel's stamp, or one reading of the clock for a batch.
 */
snet_time link_now(struct link *l);
/* One datagram from party to party; p: until link_flush. */
void link_offer(struct link *l, size_t from, size_t to, struct link_hop *hop,
		const struct snet_path *path, const struct snet_addr *sender, uint8_t ecn,
		uint8_t *p, size_t n);
void link_flush(struct link *l); /* what was offered and is due goes out */
void link_on_batch(void *link);  /* the end of a batch of the hub */
/* Under way from now on, counted as n bytes. SNET_ENOMEM: not taken. */
int link_put(struct link *l, struct link_item *i, snet_time when, size_t n);
void link_arm(struct link *l); /* after something was put, outside of a batch */
void link_hop_free(struct link_hop *hop);
/* The names in control, matrix and schedule. */
struct link_names link_names(struct link *l);
/* Applies a change; rebinds what it says. */
int link_apply(struct link *l, const struct snet_change *c, struct snet_error *err);

/* ---- link_verify.c */
void link_verify_fini(struct link *l);

/* ---- link_capacity.c */
/* SNET_ECONFIG: that is more than this machine carries. Measured once, when first needed. */
int link_check_rate(struct link *l, uint64_t rate, struct snet_error *err);
int link_check_rates(struct link *l, struct snet_error *err); /* of all links as they are */

/* ---- link_setup.c: what each link is like, from options, presets and matrix */
int link_setup(struct link *l, struct snet_error *err);
/* An operand such as "udp://127.0.0.1:9000". SNET_EINVAL. */
int link_parse(struct snet_url *out, const char *text, bool passive, struct snet_error *err);
bool link_is_tcp(const struct snet_url *u);
/* The address of one whose host is numeric; or empty, if passive. */
int link_address(const struct snet_url *u, bool passive, struct snet_addr *out,
		 struct snet_error *err);

/* All that --listen, --to or the roster name, as l->urls. SNET_EINVAL, SNET_ECONFIG. */
int link_plain_urls(struct link *l, size_t *n, struct snet_error *err);
/* The doors of --listen and --to, and the address of --nat-at. */
int link_plain_doors(struct link *l, struct snet_error *err);
int link_outside(struct link *l, struct snet_addr *out, struct snet_error *err);

/* ---- link_udp.c: sockets */
int link_sides_open(struct link *l, struct snet_error *err);
void link_sides_close(struct link *l);
void link_rebind(struct link *l, size_t from, size_t to);
uint64_t link_overruns(const struct link *l);
/* A door for what from sends to target, which is party to. at: where; its real address comes
 * back in it. */
int link_door_open(struct link *l, size_t from, size_t to, struct snet_addr *at,
		   const struct snet_addr *target, struct snet_error *err);

/* ---- link_roster.c */
int link_roster_urls(struct link *l, size_t *n, struct snet_error *err);
int link_roster_doors(struct link *l, struct snet_error *err);

/* ---- link_tcp.c: byte streams, as segments */
/* A port for what from sends to target, which is party to. at: as above. */
int link_tcp_open(struct link *l, size_t from, size_t to, struct snet_addr *at,
		  const struct snet_addr *target, struct snet_error *err);
void link_tcp_fini(struct link *l);
void link_tcp_accept_again(struct link *l); /* where there were too few descriptors */

/* ---- link_control.c: schedule and stdin */
int link_control_open(struct link *l, struct snet_error *err);
int link_control_check(struct link *l, struct snet_error *err); /* the rates, as above */
void link_control_start(struct link *l);
void link_control_fini(struct link *l);
void link_control_due(struct link *l, snet_time now);
snet_time link_control_deadline(const struct link *l);

/* ---- link_pcap.c */
int link_pcap_open(struct link *l, const char *path, struct snet_error *err);
void link_pcap_udp(struct link_pcap *p, const struct snet_addr *from,
		   const struct snet_addr *to, const uint8_t *data, size_t n);
void link_pcap_tcp(struct link_pcap *p, const struct snet_addr *from,
		   const struct snet_addr *to, uint32_t seq, uint32_t ack, bool fin,
		   const uint8_t *data, size_t n);
int link_pcap_close(struct link_pcap *p, struct snet_error *err);

#endif
