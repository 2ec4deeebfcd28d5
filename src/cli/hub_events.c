#include <stdio.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/hub.h"
#include "cli/peer_events.h"
#include "cli/say.h"
#include "crypto/identity.h"

static const char *role_text(enum snet_role role)
{
	return role == SNET_ROLE_CLIENT ? "client" : "server";
}

void hub_say_listening(struct hub *h)
{
	char url[SNET_URL_TEXT], key[SNET_KEYID_TEXT];
	struct snet_addr at = { 0 };

	if (h->meets.n) {
		net_meet_url(&h->meets, url);
	} else {
		h->net.transport->address(h->net.listener, &at);
		net_own_url(&h->net, url);
	}
	snet_keyid_print(snet_identity_keyid(h->net.identity), key);
	out_event("listening", out_text("address", url),
		  out_if(!h->meets.n, out_uint("port", snet_addr_port(&at))),
		  out_text("key", key), out_if(cli.id != OPT_NONE, out_uint("id", cli.id)));
	say_note("listening; the other side runs: snet-send %s%s%s'%s'",
		 cli.format == FORMAT_JSON ? "" : "-f ",
		 cli.format == FORMAT_JSON ? "" : format_names[cli.format],
		 cli.format == FORMAT_JSON ? "" : " ", url);
}

void hub_say_away(struct hub *h, const struct snet_error *err)
{
	char url[SNET_URL_TEXT];

	peer_say_waiting(net_meet_url(&h->meets, url), h->wait_until,
			 snet_loop_now(h->run->loop), err);
}

void hub_say_ready(struct hub *h)
{
	if (h->ready)
		return;
	h->ready = true;
	peer_say_ready(h->net.identity, h->n_up);
}

void hub_say_waiting(struct hub *h)
{
	struct snet_buf who = SNET_BUF(64 << 10);
	const struct mate *last = NULL;

	for (struct snet_list *n = h->mates.next; n != &h->mates; n = n->next) {
		const struct mate *m = SNET_OF(n, const struct mate, node);
		char url[SNET_URL_TEXT];

		if (m->up || !m->target)
			continue;
		if (who.n)
			snet_buf_u8(&who, ' ');
		snet_buf_str(&who, m->name ? m->name : snet_url_print(&m->target->url, url));
		last = m;
	}
	snet_buf_u8(&who, 0);
	if (last && !who.bad)
		peer_say_waiting((const char *)who.p, h->wait_until,
				 snet_loop_now(h->run->loop),
				 last->target->last.code ? &last->target->last : NULL);
	snet_buf_free(&who);
}

void hub_say_up(const struct mate *m)
{
	const struct snet_conn *c = snet_peer_conn(m->peer);
	char at[SNET_ADDR_TEXT], key[SNET_KEYID_TEXT];

	out_event("peer.up", out_uint("peer", m->number), out_text("name", m->name),
		  out_text("address", snet_addr_print(&c->remote, at)),
		  out_text("key", snet_keyid_print(c->peer_key, key)),
		  out_text("role", role_text(c->dialled ? (enum snet_role)cli.role
							: snet_peer_role(m->peer))),
		  out_text("profile", peer_profile(c->profile)),
		  out_bool("dialled", c->dialled));
}

void hub_say_down(const struct mate *m, int code, const char *why, bool by_peer)
{
	const struct snet_conn *c = snet_peer_conn(m->peer);
	char key[SNET_KEYID_TEXT];

	out_event("peer.down", out_uint("peer", m->number),
		  out_text("key", snet_keyid_print(c->peer_key, key)),
		  out_text("reason", snet_err_name(code)), out_text("text", why),
		  out_bool("by_peer", by_peer),
		  peer_counts(m->count.sent_messages, m->count.sent_bytes,
			      m->count.received_messages, m->count.received_bytes));
	if (code)
		say_note("peer %u: %s%s", m->number, by_peer ? "it said: " : "", why);
}

static void stats_of(const struct mate *m)
{
	const struct snet_conn *c = snet_peer_conn(m->peer);
	struct snet_conn_stats s;

	c->transport->stats(c, &s);
	out_event("stats", out_uint("peer", m->number),
		  peer_counts(m->count.sent_messages, m->count.sent_bytes,
			      m->count.received_messages, m->count.received_bytes),
		  out_uint("dropped_messages", m->count.dropped_messages),
		  out_uint("queued_bytes", snet_peer_queued(m->peer)), peer_path(true, s));
}

void hub_stats(void *user)
{
	struct hub *h = user;
	struct mate_counts all = h->gone;

	for (struct snet_list *n = h->mates.next; n != &h->mates; n = n->next) {
		const struct mate *m = SNET_OF(n, const struct mate, node);

		all.sent_messages += m->count.sent_messages;
		all.sent_bytes += m->count.sent_bytes;
		all.received_messages += m->count.received_messages;
		all.received_bytes += m->count.received_bytes;
		all.dropped_messages += m->count.dropped_messages;
		if (m->up && m->peer)
			stats_of(m);
	}
	out_event("stats", out_uint("peers", h->n_up),
		  peer_counts(all.sent_messages, all.sent_bytes, all.received_messages,
			      all.received_bytes),
		  out_uint("dropped_messages", all.dropped_messages));
}
