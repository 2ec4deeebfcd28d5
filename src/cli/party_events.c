#include <string.h>

#include "cli/groups.h"
#include "cli/party_impl.h"
#include "cli/peer_events.h"
#include "cli/say.h"
#include "crypto/identity.h"

static const char *const states[] = {
	[SNET_MESH_CONNECTING] = "connecting",     [SNET_MESH_CONNECTED] = "connected",
	[SNET_MESH_CLOSING] = "closing",           [SNET_MESH_CLOSED] = "closed",
	[SNET_MESH_DISCONNECTED] = "disconnected",
};

void party_say_listening(struct party *p)
{
	char url[SNET_URL_TEXT], key[SNET_KEYID_TEXT];
	bool room = p->self->address.room[0];
	struct snet_addr at = { 0 };

	if (room) {
		net_meet_url(&p->meets, url);
	} else {
		p->net.transport->address(p->net.listener, &at);
		net_own_url(&p->net, url);
	}
	snet_keyid_print(snet_identity_keyid(p->net.identity), key);
	out_event("listening", out_text("address", url),
		  out_if(!room, out_uint("port", snet_addr_port(&at))), out_text("key", key),
		  out_uint("id", p->self->id));
	say_note("party %u of %u, at %s", p->self->id, p->n, url);
}

void party_say_ready(struct party *p)
{
	if (p->ready)
		return;
	p->ready = true;
	snet_loop_doze(p->run->loop); /* not before: handshakes do not come the sooner for it */
	peer_say_ready(p->net.identity, p->n_up);
}

void party_say_waiting(struct party *p)
{
	struct snet_buf who = SNET_BUF(64 << 10);
	const struct snet_error *why = NULL;

	for (uint32_t i = 0; i < p->n; i++) {
		const struct party_member *m = &p->members[i];

		if (m->who == p->self || m->over || snet_mesh_is_up(p->mesh, i))
			continue;
		if (who.n)
			snet_buf_u8(&who, ' ');
		if (m->who->name[0])
			snet_buf_str(&who, m->who->name);
		else
			snet_buf_fmt(&who, "%u", m->who->id);
		if (m->last.code)
			why = &m->last;
	}
	snet_buf_u8(&who, 0);
	if (who.n > 1 && !who.bad)
		peer_say_waiting((const char *)who.p, p->ready ? SNET_NEVER : p->wait_until,
				 snet_loop_now(p->run->loop), why);
	snet_buf_free(&who);
}

void party_say_up(struct party *p, uint32_t i, bool anew, uint64_t lost)
{
	const struct snet_conn *c = snet_peer_conn(snet_mesh_peer(p->mesh, i));
	const struct roster_member *who = p->members[i].who;
	char at[SNET_ADDR_TEXT], key[SNET_KEYID_TEXT];

	out_event("peer.up", out_uint("peer", who->id),
		  out_text("name", who->name[0] ? who->name : NULL),
		  out_text("address", snet_addr_print(&c->remote, at)),
		  out_text("key", snet_keyid_print(c->peer_key, key)),
		  out_text("role", "server"), out_text("profile", peer_profile(c->profile)),
		  out_bool("dialled", c->dialled), out_bool("anew", anew),
		  out_if(lost, out_uint("missed_messages", lost)));
}

void party_say_down(struct party *p, uint32_t i, int code, const char *why, bool by_peer)
{
	const struct roster_member *who = p->members[i].who;
	char key[SNET_KEYID_TEXT];
	struct snet_mesh_stats s;

	snet_mesh_stats(p->mesh, i, &s);
	out_event("peer.down", out_uint("peer", who->id),
		  out_text("key", snet_keyid_print(who->key, key)),
		  out_text("reason", snet_err_name(code)), out_text("text", why),
		  out_bool("by_peer", by_peer),
		  peer_counts(s.sent, s.sent_bytes, s.received, s.received_bytes),
		  out_text("state", states[s.state]));
	if (code)
		say_note("party %u: %s%s", who->id, by_peer ? "it said: " : "", why);
}

/* Of --exec: stdout has its own words. */
void party_say_stalled(struct party *p, size_t waiting)
{
	out_event("stalled", out_uint("id", p->self->id), out_uint("waiting_bytes", waiting),
		  out_bool("held", p->duct.held));
	say_note("the program of party %u reads nothing: %zu bytes wait for it%s", p->self->id,
		 waiting, p->self_waits ? ", and what it prints waits, too" : "");
}

void party_say_client_up(const struct party_client *c)
{
	const struct snet_conn *conn = snet_peer_conn(c->peer);
	char at[SNET_ADDR_TEXT], key[SNET_KEYID_TEXT];

	out_event("peer.up", out_uint("client", c->number), out_text("name", c->name),
		  out_text("address", snet_addr_print(&conn->remote, at)),
		  out_text("key", snet_keyid_print(conn->peer_key, key)),
		  out_text("role", "client"), out_text("profile", peer_profile(conn->profile)),
		  out_bool("dialled", false));
}

void party_say_client_down(const struct party_client *c, int code, const char *why,
			   bool by_peer)
{
	char key[SNET_KEYID_TEXT];

	out_event("peer.down", out_uint("client", c->number),
		  out_text("key", snet_keyid_print(snet_peer_conn(c->peer)->peer_key, key)),
		  out_text("reason", snet_err_name(code)), out_text("text", why),
		  out_bool("by_peer", by_peer),
		  peer_counts(c->sent, c->sent_bytes, c->received, c->received_bytes));
	if (code)
		say_note("client:%u: %s%s", c->number, by_peer ? "it said: " : "", why);
}

static void stats_of_conn(struct snet_peer *peer, struct snet_conn_stats *s)
{
	*s = (struct snet_conn_stats){ .packets_lost = UINT64_MAX };
	if (peer && snet_peer_conn(peer)->open)
		snet_peer_conn(peer)->transport->stats(snet_peer_conn(peer), s);
}

static void add(struct snet_mesh_stats *all, const struct snet_mesh_stats *m)
{
	all->sent += m->sent;
	all->sent_bytes += m->sent_bytes;
	all->received += m->received;
	all->received_bytes += m->received_bytes;
	all->resent += m->resent;
	all->reconnects += m->reconnects;
}

static void stats_of(struct party *p, uint32_t i, struct snet_mesh_stats *all)
{
	struct snet_peer *peer = snet_mesh_peer(p->mesh, i);
	struct snet_conn_stats s;
	struct snet_mesh_stats m;
	bool there = peer && snet_peer_conn(peer)->open;

	snet_mesh_stats(p->mesh, i, &m);
	add(all, &m);
	stats_of_conn(peer, &s);
	out_event("stats", out_uint("peer", p->members[i].who->id),
		  peer_counts(m.sent, m.sent_bytes, m.received, m.received_bytes),
		  out_uint("dropped_messages", p->members[i].dropped),
		  out_uint("queued_bytes", m.queued), peer_path(there, s),
		  out_uint("resent_messages", m.resent), out_uint("reconnects", m.reconnects),
		  out_uint("rounds", m.rounds), out_text("state", states[m.state]));
}

static void stats_of_client(const struct party_client *c, struct snet_mesh_stats *all)
{
	const struct snet_mesh_stats m = { .sent = c->sent,
					   .sent_bytes = c->sent_bytes,
					   .received = c->received,
					   .received_bytes = c->received_bytes };
	struct snet_conn_stats s;

	add(all, &m);
	stats_of_conn(c->peer, &s);
	out_event("stats", out_uint("client", c->number),
		  peer_counts(c->sent, c->sent_bytes, c->received, c->received_bytes),
		  out_uint("dropped_messages", c->dropped),
		  out_if(c->peer, out_uint("rtt_us", s.rtt_us)));
}

void party_stats(void *user)
{
	struct party *p = user;
	struct snet_mesh_stats all = p->gone;
	uint64_t dropped = 0, rounds = snet_mesh_rounds(p->mesh);

	for (uint32_t i = 0; i < p->n; i++) {
		if (p->members[i].who == p->self)
			continue;
		stats_of(p, i, &all);
		dropped += p->members[i].dropped;
	}
	for (struct snet_list *n = p->clients.next; n != &p->clients; n = n->next) {
		stats_of_client(SNET_OF(n, struct party_client, node), &all);
		dropped += SNET_OF(n, struct party_client, node)->dropped;
	}
	out_event("stats", out_uint("peers", p->n_up), out_uint("clients", p->n_clients),
		  peer_counts(all.sent + p->own_sent, all.sent_bytes + p->own_bytes,
			      all.received + p->own_sent, all.received_bytes + p->own_bytes),
		  out_uint("dropped_messages", dropped),
		  out_uint("resent_messages", all.resent),
		  out_uint("reconnects", all.reconnects), out_uint("rounds", rounds));
}
