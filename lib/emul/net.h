/* Net: the directed links between parties, and what is done to them while they carry: changes,
 * cuts, partitions, from a schedule or as they come. Pure: the owner reads the schedule and
 * keeps time. Parties go by their index. */
#ifndef SNET_EMUL_NET_H
#define SNET_EMUL_NET_H

#include "emul/shape.h"

#define SNET_EMUL_PARTIES 128
#define SNET_EMUL_CHANGES 100000 /* of a schedule */
#define SNET_EMUL_ANY UINT32_MAX /* every party */

struct snet_emul_link {
	struct snet_shape shape;
	struct snet_shape_spec born; /* what it was like at the start */
	bool cut, apart;             /* by a cut; by a partition */
};

struct snet_emul_net {
	size_t n; /* parties */
	/* n * n, from i to j at i * n + j; the diagonal is not used */
	struct snet_emul_link *links;
};

/* Links that do nothing. seed: all of it. SNET_ENOMEM, SNET_EINVAL. */
int snet_emul_net_init(struct snet_emul_net *e, size_t n, uint64_t seed);
void snet_emul_net_fini(struct snet_emul_net *e);

static inline struct snet_emul_link *snet_emul_link(const struct snet_emul_net *e, size_t from,
						    size_t to)
{
	return &e->links[from * e->n + to];
}

/* Before anything crosses: what the link is like, and what SNET_CHANGE_RESET brings back. */
void snet_emul_link_set(struct snet_emul_link *l, const struct snet_shape_spec *spec);

enum snet_change_what {
	SNET_CHANGE_SET,       /* some of spec */
	SNET_CHANGE_RESET,     /* as it was at the start, and neither cut nor apart */
	SNET_CHANGE_CUT,       /* nothing passes */
	SNET_CHANGE_RESTORE,   /* no longer cut */
	SNET_CHANGE_REBIND,    /* the owner's to do: new source ports */
	SNET_CHANGE_PARTITION, /* links between groups do not pass, all others do */
};

/* What of a spec is meant. */
enum {
	SNET_SPEC_DELAY = 1 << 0,
	SNET_SPEC_JITTER = 1 << 1,
	SNET_SPEC_DISTRIBUTION = 1 << 2,
	SNET_SPEC_CORRELATION = 1 << 3,
	SNET_SPEC_RATE = 1 << 4,
	SNET_SPEC_BURST = 1 << 5,
	SNET_SPEC_LIMIT = 1 << 6,
	SNET_SPEC_LOSS = 1 << 7,
	SNET_SPEC_GEMODEL = 1 << 8,
	SNET_SPEC_DUPLICATE = 1 << 9,
	SNET_SPEC_REORDER = 1 << 10,
	SNET_SPEC_CORRUPT = 1 << 11,
	SNET_SPEC_IN_ORDER = 1 << 12,
	SNET_SPEC_MTU = 1 << 13,
	SNET_SPEC_ALL = (1 << 14) - 1,
};

struct snet_change {
	snet_time at; /* since the start */
	enum snet_change_what what;
	uint32_t from, to; /* or SNET_EMUL_ANY */
	bool both;         /* also from to to from */
	unsigned mask;     /* SET: SNET_SPEC_* */
	struct snet_shape_spec spec;
	uint8_t group[SNET_EMUL_PARTIES]; /* PARTITION: from 1; 0: in none, apart from nobody */
	size_t line;                      /* of the file, for who reads it */
};

/* Puts what mask names of from into to. A rate taken away takes its burst and limit with it;
 * one kind of loss replaces the other. */
void snet_spec_merge(struct snet_shape_spec *to, const struct snet_shape_spec *from,
		     unsigned mask);

/* The next link it is about after *at (0 to begin), or NULL. */
struct snet_emul_link *snet_change_next(const struct snet_emul_net *e,
					const struct snet_change *c, size_t *at);

/* SNET_EINVAL: a link would contradict itself, or no link is meant; nothing was done. */
int snet_emul_apply(struct snet_emul_net *e, const struct snet_change *c,
		    struct snet_error *err);

/* ---- a schedule: changes in order of time. */
struct snet_schedule {
	struct snet_change *v;
	size_t n, cap, next;
};

void snet_schedule_fini(struct snet_schedule *s);
/* SNET_ECONFIG: before the one before it; SNET_ETOOBIG: too many; SNET_ENOMEM. */
int snet_schedule_add(struct snet_schedule *s, const struct snet_change *c,
		      struct snet_error *err);
/* The change that is due now, after so much time; NULL: none. Call until NULL. */
const struct snet_change *snet_schedule_due(struct snet_schedule *s, snet_time elapsed);
snet_time snet_schedule_deadline(const struct snet_schedule *s); /* since the start */

#endif
