/* What the files of party share; nobody else includes it. */
#ifndef CLI_PARTY_IMPL_H
#define CLI_PARTY_IMPL_H

#include "cli/party.h"

/* ---- party.c, for the others */
/* The first one counts, for the exit status. */
void party_blame(struct party *p, const struct snet_error *err, uint64_t peer);
/* The work is over, well (err NULL) or not. */
void party_done(struct party *p, const struct snet_error *err, uint64_t peer);
void party_check_over(struct party *p);
void party_check_ready(struct party *p);
void party_accept(struct party *p, struct snet_conn *c); /* whoever comes */
uint32_t party_quorum(const struct party *p);

/* ---- party_send.c: from stdin to parties and clients */
extern const struct duct_events party_duct_events;
void party_read_on(struct party *p); /* if nothing is in the way */
void party_end_input(struct party *p);
void party_bad_item(struct party *p, const struct snet_error *err, uint64_t line);
void party_dropped(uint64_t *count, const char *what, uint64_t id);
/* A message to stdout. from: as output_message. */
void party_print(struct party *p, uint32_t from, const struct snet_message *m);
void party_confirm_soon(struct party *p);
void party_print_client(struct party *p, uint32_t number, const struct snet_message *m);
void party_stall(struct party *p); /* pauses everyone, if stdout is full */
void party_room(void *user);       /* stdout takes more again */

/* ---- party_mesh.c: what the mesh tells */
int party_make_mesh(struct party *p, struct snet_error *err);

/* ---- party_meet.c: parties in rooms */
extern const struct snet_meet_events party_meet_events;
/* SNET_EAGAIN: not yet. */
int party_meet_address(struct party *p, struct party_member *m, struct snet_endpoint **from,
		       struct snet_addr *to, struct snet_error *err);

/* ---- party_clients.c */
void party_accept_client(struct party *p, struct snet_conn *c);
/* NULL: there is none of this number, or else with this transport id. */
struct party_client *party_client(struct party *p, uint64_t id);
void party_client_send(struct party_client *c, const struct input_message *msg);
void party_clients_pause(struct party *p);  /* or resume, as stalled says */
void party_clients_told(struct party *p);   /* the crate's, of the order agreed on */
void party_clients_finish(struct party *p); /* all else is over */

/* ---- party_rounds.c: --sync */
#define PARTY_SILENT 0 /* a kind: this party has told the others, and itself nothing */
int party_rounds_init(struct party *p, struct snet_error *err);
void party_rounds_fini(struct party *p);
/* A message of the party at index i, self included, is its message of the round. */
void party_rounds_put(struct party *p, uint32_t i, uint8_t kind, const struct snet_slice *v);
void party_rounds_sent(struct party *p); /* an item of stdin has gone to whom it was for */
/* This party is not waited for any more; what it has said counts. */
void party_rounds_without(struct party *p, uint32_t i);
void party_rounds_with(struct party *p, uint32_t i); /* it is back */
void party_rounds_check(struct party *p, bool now);  /* can one still be complete? */
void party_rounds_turn(struct party *p);             /* print what is complete */

/* ---- party_exec.c: --exec */
int party_exec(struct party *p, struct snet_error *err);
void party_exec_fini(struct party *p);
void party_exec_stop(void *user); /* whoever is interrupted interrupts the program */
void party_exec_end(struct party *p);
void party_exec_check(struct party *p); /* is there anything left to come for it? */

/* ---- party_events.c */
void party_say_listening(struct party *p);
void party_say_waiting(struct party *p);
void party_say_ready(struct party *p);
void party_say_up(struct party *p, uint32_t i, bool anew, uint64_t lost);
void party_say_down(struct party *p, uint32_t i, int code, const char *why, bool by_peer);
void party_say_stalled(struct party *p, size_t waiting);
void party_say_client_up(const struct party_client *c);
void party_say_client_down(const struct party_client *c, int code, const char *why,
			   bool by_peer);
void party_stats(void *user);

#endif
