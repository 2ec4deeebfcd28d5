/* Link: packets of real sockets through an emulated net (lib/emul). A party's packets to
 * another come in by a door, an address of ours that stands for the other, and leave by a port
 * outside, as by a NAT; what comes back to that port leaves by the door. Party 0 is whoever
 * dials in, parties 1 ... are what --to names; with --roster the parties are the roster's. */
#ifndef CLI_LINK_H
#define CLI_LINK_H

#include "cli/opts.h"
#include "cli/roster.h"
#include "cli/run.h"
#include "emul/nat.h"
#include "emul/net.h"
#include "emul/pending.h"
#include "io/dgram.h"

struct link_opts {
	struct opt_list listen, to;
	const char *roster, *out, *matrix, *schedule, *pcap, *preset;
	const char *keys[16]; /* values of the link's keys, in order of link_keys */
	uint64_t seed;
	bool force, control;
	struct snet_nat_opts nat;
	const char *nat_at; /* address outside */
	bool in_order;
};

/* "delay", "rtt" ... as the files have them too; ends at NULL */
extern const char *const link_keys[];

struct link;

struct link_packet;
struct link_side; /* all of one party's doors, and its NAT */
struct link_tcp;
struct link_control;
struct link_pcap;

struct look_up;

struct link {
	struct run *run;
	struct snet_loop *loop;
	const struct link_opts *opts;
	struct roster *roster; /* NULL: none */
	struct snet_emul_net net;
	snet_time start;
	snet_time now;   /* of the batch; 0: not read yet */
	bool first;      /* it has asked to go before other programs */
	bool behind;     /* and may not */
	double capacity; /* bits per second that this machine carries; 0: not measured yet */

	/* under way */
	struct snet_pending pending;
	uint64_t queued_bytes;
	int timer_fd;
	struct snet_io *timer;
	snet_time armed;

	/* to be sent before the batch is over */
	struct snet_dgram_out out[SNET_DGRAM_BATCH];
	size_t n_out;
	struct link_packet *done;

	struct snet_dgram_hub *hub;
	struct link_side *sides; /* one per party */
	struct snet_timer sweep; /* of mappings nobody uses */
	struct link_tcp *tcp;
	struct link_control *control;
	struct link_pcap *pcap;

	uint64_t untaken, filtered, overflowed;
	snet_time late_most;

	/* Of --listen and then --to, or of the parties: hosts numeric once looked up. */
	struct snet_url *urls;
	struct look_up *look_up;
};

/* What the options say of the links; opens no socket yet. After a failure too: link_fini. */
int link_init(struct link *l, struct run *run, const struct link_opts *o,
	      struct snet_error *err);
/* Names, doors, capture, schedule; then all is ready and said to be so. What fails after the
 * return ends the run. */
int link_start(struct link *l, struct snet_error *err);
/* Instead: measures its own links for so long, and ends the run with the verdict. */
int link_verify(struct link *l, snet_time time, struct snet_error *err);
void link_say_stats(struct link *l);
int link_stop(struct link *l,
	      struct snet_error *err); /* SNET_EIO: a capture that is not whole */
void link_fini(struct link *l);

#endif
