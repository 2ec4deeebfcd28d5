/* Private to mesh/mesh*.c: a connection that comes while another counts. Of the same process?
 */
#ifndef SNET_MESH_MESH_RIVAL_H
#define SNET_MESH_MESH_RIVAL_H

#include "mesh/mesh_impl.h"

void mesh_rival_begin(struct channel *ch);
void mesh_rival_hear(struct channel *ch, uint8_t type, const uint8_t *body, size_t n);
/* If there is one: */
void mesh_rival_answered(struct member *m); /* the current is alive */
void mesh_rival_take(struct member *m);     /* it is gone */
void mesh_rival_leave(struct member *m, int code, const char *why);
void mesh_on_doubt(struct snet_timer *t, snet_time now);

#endif
