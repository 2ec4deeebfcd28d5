/* Sim: a whole mesh in one process, in virtual time, from one number. Everything that happens
 * is drawn from the seed, so a seed that fails fails again. What must always hold is checked
 * where it happens, by the callbacks of the meshes; the first breach ends the run. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "emul/net.h"
#include "emul/preset.h"
#include "io/loop.h"
#include "mesh/mesh.h"

#define PARTIES_MAX 100
#define STREAMS 4
#define MESSAGE_MAX (200u << 10) /* bytes of the largest message */
#define WHAT 240
#define PORTS 65536

/* From the present process of one party to another party, whichever process that has. */
struct tx {
	uint64_t sent[STREAMS];  /* number of the last accepted */
	uint64_t taken[STREAMS]; /* and of the last that any process of the other has taken */
	uint64_t lost;           /* as on_up told: taken by those only that are gone */
	uint64_t gone[STREAMS];  /* as on_taken told: up to here by those that are gone */
	uint64_t told[STREAMS];  /* and so many after that by the present one */
	bool full;               /* on_room is due */
};

/* What the present process of one party heard from another. */
struct rx {
	unsigned inc;            /* from which process of it; 0: none yet */
	uint64_t first[STREAMS]; /* number of the first message from that one; 0: not known */
	uint64_t got[STREAMS];   /* how many messages */
	uint64_t sure[STREAMS];  /* of them, so many were confirmed */
	uint64_t received;       /* in all, from whichever process */
	uint64_t downs;
	bool up, ended, over, held;
};

struct party {
	struct sim *sim;
	struct snet_mesh *mesh;
	struct snet_endpoint *end;
	struct snet_identity *identity;
	struct snet_timer talk, confirm;
	struct tx *tx; /* n of each */
	struct rx *rx;
	uint32_t index;
	unsigned inc; /* of its process: 1, 2, 3 ... */
	uint16_t port;
	unsigned budget; /* messages it may still send */
	unsigned overs;
	bool alive, paused, dying, finished;
};

enum fault {
	FAULT_CUT,
	FAULT_SEVER,
	FAULT_PARTITION,
	FAULT_ONE_WAY,
	FAULT_PAIR,
	FAULT_SLOW_PATH,
	FAULT_CRASH,
	FAULT_POWER_CUT,
	FAULT_SLOW_READER,
	FAULT_HELD_BACK,
	FAULT_DUPLICATE,
	FAULT_NO_ADDRESS,
	FAULTS
};

/* Drawn once, from the seed. */
struct plan {
	uint32_t n;
	uint32_t among;                   /* so many of them do faults choose */
	snet_time spread;                 /* within which the parties start */
	snet_time window;                 /* within which they talk, and faults begin */
	const struct snet_preset *preset; /* the network; NULL: one of our own */
	snet_time latency; /* of our own, at most; 0: everything crosses at once */
	snet_time longest; /* a fault may last */
	snet_time gap;     /* between bursts, on average */
	unsigned faults, weights[FAULTS];
	size_t queue;
	unsigned large_in; /* one of so many messages is larger than 64 KiB */
	bool finish_early; /* before everything is delivered, and while there are faults */
	bool exit_early;   /* before the others are done */
	bool confirms;     /* messages are acknowledged only some time after they came */
};

/* From one party to another. */
struct way {
	snet_time arrives;     /* what is under way; in the past: nothing */
	uint8_t blocked, slow; /* so many faults do that */
};

struct sim {
	uint64_t seed, random; /* random: the state of our own draws */
	struct plan plan;
	struct snet_loop *loop;
	struct snet_trust *trust;
	struct party *parties;
	snet_time start;
	struct snet_emul_net net;
	struct way *ways;   /* n * n, as the links of net */
	unsigned happening; /* events that are set: starts, faults, heals */
	unsigned strangers; /* connections of FAULT_DUPLICATE */
	unsigned no_address;
	snet_time last_turn;
	unsigned turns, looked; /* turns: since the clock has moved */
	unsigned n_ports;
	struct {
		uint16_t party, inc;
	} ports[PORTS]; /* which process had which */
	uint64_t counts[FAULTS], messages, resent, restarts;
	bool talking, stopping, verbose, failed;
	char what[WHAT];
};

extern const char *const fault_names[FAULTS];

/* ---- sim.c */
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_log(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- fixed.c: in place of what differs from run to run */
uint64_t mix(uint64_t x);
uint64_t draw(struct sim *s);
uint64_t draw_below(struct sim *s, uint64_t n);
bool one_in(struct sim *s, unsigned n);
struct snet_identity *identity_new(uint64_t seed, uint32_t party);
void fixed_random(uint64_t seed); /* snet_random begins anew */

/* ---- world.c: one seed, from its plan to its verdict in s->failed */
void world_run(struct sim *s);
void at(struct sim *s, snet_time in, void (*fn)(struct sim *s, uint64_t arg), uint64_t arg);

/* ---- party.c */
void party_start(struct party *p);
void party_stop(struct party *p);
void party_pause(struct party *p, bool pause);
void party_hold(struct party *p, uint32_t other, bool hold);
void party_finish(struct party *p);

/* ---- traffic.c */
void traffic_start(struct party *p);
void traffic_say(struct party *p, uint32_t to);
void traffic_hear(struct party *p, uint32_t from, const struct snet_message *m);
/* Everything that one's process has sent, the other has, or those before it had. */
bool traffic_has_crossed(struct sim *s, uint32_t from, uint32_t to);
/* The owner of p acknowledges what has come. */
void traffic_confirm(struct party *p, uint32_t from);
/* What on_taken tells of another party. */
void traffic_taken(struct party *p, uint32_t to, const struct snet_record_marks *marks,
		   bool anew);
/* When all has crossed: those before it have taken what on_up said was lost, and no more. */
void traffic_check_lost(struct sim *s, uint32_t from, uint32_t to);
/* The present process is gone: what it took of which no number is known yet. */
void traffic_forget(struct party *p);

/* ---- net.c: what lies between */
void net_begin(struct sim *s);
void net_end(struct sim *s);
void net_block(struct sim *s, uint32_t from, uint32_t to, int by); /* then net_changed */
void net_slow(struct sim *s, uint32_t from, uint32_t to, int by);
void net_changed(void);
struct snet_conn *net_conn(struct party *p, uint32_t to); /* NULL: none */

/* ---- faults.c */
void fault_happen(struct sim *s, uint64_t unused);
void fault_slow_reader(struct party *p);

/* ---- checks.c */
void check_turn(struct sim *s);
/* Everyone is connected, and everything has crossed and was acknowledged. If not, says what. */
bool check_is_settled(struct sim *s, char why[static WHAT]);
bool check_is_over(struct sim *s, char why[static WHAT]);
void check_lost(struct sim *s);

#endif
