#include <stdlib.h>
#include <string.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/party_impl.h"
#include "cli/say.h"
#include "obs/metrics.h"

/* Clients: whoever is let in and is no party. They are connected while they are, nothing is
 * kept for them, and no client is waited for. */

#define CLIENTS_MAX 16384
#define PARTING (3 * SNET_SEC) /* at the end, for those that still speak */

static struct party_client *client_of(struct snet_list *n)
{
	return SNET_OF(n, struct party_client, node);
}

struct party_client *party_client(struct party *p, uint64_t id)
{
	struct party_client *found = NULL;

	for (struct snet_list *n = p->clients.next; n != &p->clients; n = n->next) {
		struct party_client *c = client_of(n);

		if (!c->up || !c->peer || c->unwanted)
			continue;
		if (c->number == id)
			return c;
		if (snet_peer_conn(c->peer)->peer_derived == id)
			found = c;
	}
	return found;
}

static void forget(struct party_client *c)
{
	struct party *p = c->party;

	snet_list_del(&c->node);
	snet_block_free(c->spki.block);
	p->n_clients--;
	p->gone.sent += c->sent;
	p->gone.sent_bytes += c->sent_bytes;
	p->gone.received += c->received;
	p->gone.received_bytes += c->received_bytes;
	if (c->full)
		p->n_full--;
	free(c);
}

/* One that was told everything, and has ended or is not waited for any more, may go. */
static void check(struct party_client *c)
{
	if (c->peer && c->flushed && c->eof)
		snet_peer_close(c->peer, SNET_OK, "done");
}

static void finish(struct party_client *c)
{
	if (c->finished || !c->up || !c->peer)
		return;
	c->finished = true;
	snet_peer_finish(c->peer);
}

/* ---- what it says */

static bool is_crate(const struct party_client *c)
{
	return snet_peer_conn(c->peer)->profile == SNET_PROFILE_STOFFELNET_0_1;
}

static void tell_order(struct party_client *c)
{
	struct snet_buf b = SNET_BUF(SNET_MESSAGE_MAX);
	struct snet_slice s;

	if (c->up && c->peer && is_crate(c) && !snet_mesh_node_list(c->party->mesh, &b)) {
		s = (struct snet_slice){ b.p, b.n, NULL };
		if (snet_peer_send(c->peer, 0, SNET_KIND_DATA, &s, 1))
			snet_peer_close(c->peer, SNET_ENOMEM, "no room for the node list");
	}
	snet_buf_free(&b);
}

/* Its key outlives the connection, to be taken from the order with it. */
static void keep_key(struct party_client *c)
{
	const struct snet_conn *conn = snet_peer_conn(c->peer);
	struct snet_block *b =
		c->party->opts->ordering ? snet_block_new(conn->peer_spki_len) : NULL;

	if (!b)
		return;
	memcpy(b->data, conn->peer_spki, conn->peer_spki_len);
	c->spki = (struct snet_slice){ b->data, conn->peer_spki_len, b };
	if (snet_mesh_client(c->party->mesh, &c->spki, true))
		say_note("client:%u has no place in the order of keys", c->number);
}

static void retire_older(struct party_client *c)
{
	for (struct snet_list *n = c->party->clients.next; n != &c->party->clients;
	     n = n->next) {
		struct party_client *old = client_of(n);

		if (old == c || old->number != c->number || !old->peer)
			continue;
		old->unwanted = true;
		snet_peer_close(old->peer, SNET_ECANCELLED, "the client has come again");
	}
}

static void on_up(struct snet_peer *peer, void *user)
{
	struct party_client *c = user;

	if (snet_peer_role(peer) != SNET_ROLE_CLIENT) {
		c->unwanted = true;
		snet_peer_close(peer, SNET_EDENIED, "not a party of this session");
		return;
	}
	retire_older(c);
	c->up = true;
	party_say_client_up(c);
	keep_key(c);
	tell_order(c);
	if (c->party->stalled)
		snet_peer_pause(peer);
	if (c->party->ended && c->party->n_over >= c->party->n - 1)
		finish(c);
}

static void on_message(struct snet_peer *peer, const struct snet_message *m, void *user)
{
	struct party_client *c = user;
	struct snet_error err;

	(void)peer;
	c->received++;
	c->received_bytes += m->n;
	snet_count(SNET_METRIC_RECEIVED_MESSAGES, 1);
	snet_count(SNET_METRIC_RECEIVED_BYTES, m->n);
	if (!c->party->opts->sync) {
		party_print_client(c->party, c->number, m);
		return;
	}
	snet_fail(&err, SNET_EPROTO, "client:%u: a message of a client is of no round",
		  c->number);
	out_error(&err, OPT_NONE, OPT_NONE, false);
}

static void on_eof(struct snet_peer *peer, void *user)
{
	struct party_client *c = user;

	c->eof = true;
	/* To the crate that is the end of the connection. */
	if (snet_peer_conn(peer)->profile == SNET_PROFILE_STOFFELNET_0_1)
		finish(c);
	check(c);
}

static void on_drain(struct snet_peer *peer, void *user)
{
	struct party_client *c = user;

	(void)peer;
	if (!c->full)
		return;
	c->full = false;
	c->party->n_full--;
	party_read_on(c->party);
}

static void on_flushed(struct snet_peer *peer, void *user)
{
	struct party_client *c = user;

	(void)peer;
	c->flushed = true;
	check(c);
}

static void on_down(struct snet_peer *peer, int code, const char *why, bool by_peer, void *user)
{
	struct party_client *c = user;
	struct party *p = c->party;
	char text[SNET_ADDR_TEXT];

	if (code == SNET_OK && snet_peer_undelivered(peer)) {
		code = SNET_ELOST;
		why = "it closed before it took everything";
	}
	if (c->spki.block)
		snet_mesh_client(p->mesh, &c->spki, false);
	if (c->up) {
		party_say_client_down(c, code, why, by_peer);
	} else {
		out_event("refused",
			  out_text("address",
				   snet_addr_print(&snet_peer_conn(peer)->remote, text)),
			  out_text("reason", snet_err_name(code)), out_text("text", why));
	}
	forget(c);
	party_read_on(p);
	party_exec_check(p);
	party_check_over(p);
}

static const struct snet_peer_events events = { on_up,    on_message, on_eof,
						on_drain, on_flushed, on_down };

/* ---- coming */

/* A listed one has its own number, others the next above those, and the same while they are
 * here. */
static uint32_t number_of(struct party *p, const struct roster_member *who,
			  const uint8_t key[static SNET_KEYID_BYTES])
{
	if (who)
		return who->id;
	for (struct snet_list *n = p->clients.next; n != &p->clients; n = n->next)
		if (client_of(n)->peer && !memcmp(snet_peer_conn(client_of(n)->peer)->peer_key,
						  key, SNET_KEYID_BYTES))
			return client_of(n)->number;
	for (size_t i = 0; i < p->net.roster->clients; i++) {
		uint32_t id = p->net.roster->members[p->net.roster->parties + i].id;

		if (p->next_client <= id)
			p->next_client = id + 1;
	}
	return p->next_client++;
}

static bool is_done(const struct party *p)
{
	return p->done || p->parting.fn;
}

void party_accept_client(struct party *p, struct snet_conn *conn)
{
	const struct roster_member *who = roster_holder(p->net.roster, conn->peer_key);
	struct party_client *c =
		is_done(p) || p->n_clients == CLIENTS_MAX ? NULL : calloc(1, sizeof(*c));

	if (!c) {
		conn->transport->close(conn, is_done(p) ? SNET_ECLOSED : SNET_EPOLICY,
				       is_done(p) ? "this party is done" : "too many clients");
		return;
	}
	c->party = p;
	c->number = number_of(p, who, conn->peer_key);
	c->name = who ? who->name : snet_trust_name(p->net.trust, conn->peer_key);
	if (c->name && !c->name[0])
		c->name = NULL;
	snet_list_add(&p->clients, &c->node);
	p->n_clients++;
	if (snet_peer_accept(&c->peer, p->run->loop, conn, &p->net.peer, &events, c))
		forget(c);
}

/* ---- sending */

void party_client_send(struct party_client *c, const struct input_message *msg)
{
	struct party *p = c->party;
	struct snet_error err;
	int rc;

	if (c->item == p->item) /* named twice is meant once */
		return;
	c->item = p->item;
	rc = snet_peer_send(c->peer, msg->stream, msg->kind, msg->v, msg->n);
	if (!rc) {
		c->sent++;
		c->sent_bytes += msg->total;
		snet_count(SNET_METRIC_SENT_MESSAGES, 1);
		snet_count(SNET_METRIC_SENT_BYTES, msg->total);
		if (cli.overflow == OVERFLOW_BLOCK && !c->full &&
		    !snet_peer_can_send(c->peer)) {
			c->full = true;
			p->n_full++;
		}
	} else if (rc == SNET_EAGAIN && cli.overflow == OVERFLOW_DROP) {
		party_dropped(&c->dropped, "client", c->number);
	} else if (rc == SNET_EAGAIN) {
		snet_peer_close(c->peer, SNET_EPOLICY, "its queue is full (--overflow)");
	} else if (rc != SNET_ECLOSED) { /* that was told */
		snet_fail(&err, rc, "message %llu to client:%u: %s",
			  (unsigned long long)msg->line, c->number, snet_err_text(rc));
		party_bad_item(p, &err, msg->line);
	}
}

/* ---- all of them */

static void each(struct party *p, void (*fn)(struct party_client *c))
{
	for (struct snet_list *n = p->clients.next, *after; n != &p->clients; n = after) {
		after = n->next;
		fn(client_of(n));
	}
}

void party_clients_told(struct party *p)
{
	each(p, tell_order);
}

static void pause_one(struct party_client *c)
{
	if (c->peer && c->party->stalled)
		snet_peer_pause(c->peer);
	else if (c->peer)
		snet_peer_resume(c->peer);
}

void party_clients_pause(struct party *p)
{
	each(p, pause_one);
}

static void stop_waiting(struct party_client *c)
{
	c->eof = true;
	if (c->up)
		check(c);
	else if (c->peer)
		snet_peer_close(c->peer, SNET_ECLOSED, "this party is done");
}

static void on_parting(struct snet_timer *t, snet_time now)
{
	(void)now;
	each(t->user, stop_waiting);
}

void party_clients_finish(struct party *p)
{
	each(p, finish);
	if (p->parting.fn)
		return;
	p->parting = (struct snet_timer){ .fn = on_parting, .user = p };
	snet_timer_set(p->run->loop, &p->parting, snet_loop_now(p->run->loop) + PARTING);
}
