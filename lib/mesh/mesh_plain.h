/* Private to mesh/mesh*.c: parties of the crate's profile. */
#ifndef SNET_MESH_MESH_PLAIN_H
#define SNET_MESH_MESH_PLAIN_H

#include "mesh/mesh_impl.h"

void mesh_plain_up(struct channel *ch);
void mesh_plain_message(struct channel *ch, const struct snet_message *msg);
void mesh_plain_go(struct member *m);    /* the order is agreed on */
void mesh_plain_ended(struct member *m); /* it sends no more */
void mesh_plain_pump(struct member *m);
/* What a close means: the crate has code 0 for all of them. */
int mesh_plain_code(const struct channel *ch, int code, const char *why, bool by_peer);
bool mesh_plain_lost(const struct member *m, struct snet_peer *p); /* something, with it */
void mesh_plain_due(struct member *m);                             /* its ack timer */

#endif
