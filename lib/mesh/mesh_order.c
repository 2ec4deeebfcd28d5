#include "crypto/identity.h"
#include "mesh/mesh_impl.h"
#include "mesh/mesh_plain.h"

/* The crate's readiness agreement, driven. Parties of profile snet/1 have compared the roster
 * in their resumes, and have nothing more to say; those of the crate's profile say their
 * digests, first thing on a connection, and are told nothing else before all agree. */

static void turn(struct snet_mesh *mesh);

static snet_time now_of(const struct snet_mesh *mesh)
{
	return snet_loop_now(mesh->cfg.loop);
}

bool mesh_order_holds(const struct snet_mesh *mesh)
{
	return mesh->cfg.order && mesh->order.state != SNET_ORDERING_AGREED;
}

static void say_digest(struct snet_mesh *mesh, const struct snet_ordering_want *want)
{
	struct member *m = &mesh->members[want->party];
	struct snet_slice s = { want->p, want->n, NULL };

	if (!mesh_is_plain(m))
		snet_ordering_input(&mesh->order, want->party, want->p, want->n, now_of(mesh));
	else if (!m->current || snet_peer_send(m->current->peer, 0, SNET_KIND_DATA, &s, 1))
		snet_ordering_unsent(&mesh->order, want->party);
}

static void agreed(struct snet_mesh *mesh)
{
	mesh->ev->on_order(NULL, mesh->cfg.self, mesh->user);
	for (uint32_t i = 0; i < mesh->cfg.n; i++)
		if (i != mesh->cfg.self && mesh_is_plain(&mesh->members[i]))
			mesh_plain_go(&mesh->members[i]);
}

static void refused(struct snet_mesh *mesh, uint32_t party)
{
	mesh->ev->on_order(&mesh->order.why,
			   party == SNET_ORDERING_ANY ? mesh->cfg.self : party, mesh->user);
}

static void turn(struct snet_mesh *mesh)
{
	struct snet_ordering_want want;

	for (;;) {
		if (snet_ordering_next(&mesh->order, now_of(mesh), &want) ||
		    want.verb == SNET_ORDERING_NOTHING)
			break;
		if (want.verb == SNET_ORDERING_SEND)
			say_digest(mesh, &want);
		else if (want.verb == SNET_ORDERING_AGREE)
			agreed(mesh);
		else
			refused(mesh, want.party);
	}
	snet_timer_set(mesh->cfg.loop, &mesh->order_timer, mesh->order.deadline);
}

static void on_order_time(struct snet_timer *t, snet_time now)
{
	(void)now;
	turn(t->user);
}

int mesh_order_init(struct snet_mesh *mesh)
{
	struct snet_ordering_opts o = { .parties = mesh->cfg.n,
					.clients = mesh->cfg.order_clients,
					.self = mesh->cfg.self,
					.wait = mesh->cfg.wait };
	struct snet_slice own = { 0 };
	int rc;

	own.p = snet_identity_spki(mesh->cfg.identity, &own.n);
	rc = snet_ordering_init(&mesh->order, &o, &own, now_of(mesh));
	mesh->order_timer = (struct snet_timer){ .fn = on_order_time, .user = mesh };
	if (!rc)
		turn(mesh);
	return rc;
}

void mesh_order_fini(struct snet_mesh *mesh)
{
	snet_timer_stop(mesh->cfg.loop, &mesh->order_timer);
	snet_ordering_fini(&mesh->order);
}

void mesh_order_up(struct member *m)
{
	const struct snet_conn *c = snet_peer_conn(m->current->peer);
	struct snet_slice key = { c->peer_spki, c->peer_spki_len, NULL };
	int rc;

	if (!m->mesh->cfg.order)
		return;
	rc = snet_ordering_party_up(&m->mesh->order, m->index, &key, mesh_is_plain(m),
				    now_of(m->mesh));
	if (rc)
		mesh_drop(m->current, rc, "no place for it in the order");
	else
		turn(m->mesh);
}

void mesh_order_down(struct member *m)
{
	if (!m->mesh->cfg.order)
		return;
	snet_ordering_party_down(&m->mesh->order, m->index);
	turn(m->mesh);
}

/* true: it was a digest. */
bool mesh_order_input(struct member *m, const struct snet_message *msg)
{
	int rc;

	if (!m->mesh->cfg.order)
		return false;
	rc = snet_ordering_input(&m->mesh->order, m->index, msg->p, msg->n, now_of(m->mesh));
	if (rc == SNET_EAGAIN || rc == SNET_ENOENT)
		return false;
	if (rc == SNET_EPROTO)
		mesh_drop(m->current, rc, "its lists changed after the agreement");
	turn(m->mesh);
	return true;
}

int snet_mesh_client(struct snet_mesh *mesh, const struct snet_slice *key, bool here)
{
	int rc = SNET_OK;

	if (!mesh->cfg.order)
		return SNET_OK;
	if (here)
		rc = snet_ordering_client_up(&mesh->order, key, now_of(mesh));
	else
		snet_ordering_client_gone(&mesh->order, key, now_of(mesh));
	turn(mesh);
	return rc;
}

int snet_mesh_node_list(const struct snet_mesh *mesh, struct snet_buf *out)
{
	return mesh->cfg.order ? snet_ordering_response(&mesh->order, out) : SNET_EAGAIN;
}
