#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/ice_impl.h"
#include "cli/out.h"

static const char *host(const struct snet_addr *a, char out[static SNET_ADDR_TEXT])
{
	char *end;

	snet_addr_print(a, out);
	if (*out == '[') { /* the scope means nothing elsewhere */
		memmove(out, out + 1, strlen(out));
		out[strcspn(out, "%]")] = '\0';
	} else if ((end = strrchr(out, ':'))) {
		*end = '\0';
	}
	return out;
}

static bool is_set(const struct snet_addr *a)
{
	return a->sa.sa_family != AF_UNSPEC;
}

static const char *role_name(bool controlling)
{
	return controlling ? "controlling" : "controlled";
}

/* ---- ours */

void ice_say_credentials(const struct ice *i)
{
	const struct snet_agent *a = snet_ice_agent(i->ice);

	out_event("ice.local", out_text("ufrag", snet_agent_ufrag(a)),
		  out_text("pwd", snet_agent_pwd(a)));
}

void ice_say_local(const struct ice *i, const struct snet_local *l, const char *iface)
{
	const struct snet_candidate *c = &l->c;
	struct snet_sdp_candidate sdp = { .c = *c };
	char line[SNET_SDP_MAX], address[SNET_ADDR_TEXT], related[SNET_ADDR_TEXT],
		server[SNET_ADDR_TEXT];
	bool has_related = is_set(&c->related);

	strcpy(sdp.ufrag, snet_agent_ufrag(snet_ice_agent(i->ice)));
	if (snet_sdp_print(&sdp, line))
		return; /* has no form: nobody could use it */
	out_event("ice.local", out_text("ufrag", sdp.ufrag), out_text("candidate", line),
		  out_text("type", snet_candidate_name(c->type)),
		  out_text("foundation", c->foundation), out_uint("component", c->component),
		  out_text("protocol", "udp"), out_uint("priority", c->priority),
		  out_text("address", host(&c->address, address)),
		  out_uint("port", snet_addr_port(&c->address)),
		  out_text("related_address", has_related ? host(&c->related, related) : NULL),
		  out_if(has_related, out_uint("related_port", snet_addr_port(&c->related))),
		  out_text("server",
			   is_set(&c->server) ? snet_addr_print(&c->server, server) : NULL),
		  out_text("interface", iface && *iface ? iface : NULL));
}

void ice_say_end(void)
{
	out_event("ice.local", out_bool("end_of_candidates", true));
}

void ice_say_punch(const struct ice *i, const struct snet_pact_word *w)
{
	bool asks = w->kind == SNET_PACT_REQUEST;
	char id[SNET_OFFER_ID + 1], target[SNET_ADDR_TEXT];

	snprintf(id, sizeof(id), "%016" PRIx64, w->id);
	out_event("ice.punch", out_text("ufrag", snet_agent_ufrag(snet_ice_agent(i->ice))),
		  out_text("remote_ufrag", i->ufrag),
		  out_text("kind", asks ? "request" : "ack"), out_text("id", id),
		  out_text("target", asks ? snet_addr_print(&w->target, target) : NULL),
		  out_if(asks, out_uint("delay_ms", w->delay / SNET_MS)));
}

/* ---- the other side's */

void ice_say_remote(const struct snet_sdp_candidate *c, const char *text, bool met,
		    const char *ignored)
{
	bool is = is_set(&c->c.address) || *c->name;
	unsigned port = *c->name ? c->port : snet_addr_port(&c->c.address);
	char address[SNET_ADDR_TEXT];

	if (is && !*c->name)
		host(&c->c.address, address);
	out_event("ice.remote", out_text("candidate", text),
		  out_text("type", is ? snet_candidate_name(c->c.type) : NULL),
		  out_text("address", !is        ? NULL
				      : *c->name ? c->name
						 : address),
		  out_if(is, out_uint("port", port)),
		  out_if(is, out_uint("priority", c->c.priority)),
		  out_text("found", met ? "met" : "told"), out_text("ignored", ignored));
}

/* ---- how it goes */

void ice_say_state(const struct snet_agent_event *ev)
{
	out_event("ice.state", out_text("state", snet_agent_state_name(ev->state)),
		  out_text("role", role_name(ev->controlling)),
		  out_text("reason", ev->code ? snet_err_name(ev->code) : NULL),
		  out_text("text", ev->why));
}

void ice_say_check(const struct snet_agent_event *ev)
{
	char local[SNET_ADDR_TEXT], remote[SNET_ADDR_TEXT];

	out_event("ice.check", out_text("local", snet_addr_print(&ev->local.c.address, local)),
		  out_text("local_type", snet_candidate_name(ev->local.c.type)),
		  out_text("remote", snet_addr_print(&ev->remote.address, remote)),
		  out_text("remote_type", snet_candidate_name(ev->remote.type)),
		  out_uint("priority", ev->priority),
		  out_text("result", ev->ok ? "succeeded" : "failed"),
		  out_if(ev->ok, out_uint("rtt_us", ev->rtt / SNET_US)),
		  out_text("reason", ev->code ? snet_err_name(ev->code) : NULL),
		  out_text("text", ev->why));
}

void ice_say_punching(const struct snet_ice_punching *p)
{
	char to[SNET_ADDR_TEXT];

	out_event("ice.punching", out_text("plan", p->plan),
		  out_text("remote", snet_addr_print(&p->to, to)), out_uint("ports", p->ports),
		  out_bool("agreed", p->agreed),
		  out_if(p->rtt, out_uint("rtt_us", p->rtt / SNET_US)));
}

/* A relay of the other side may have been met before it was told of. */
bool ice_is_relayed(const struct ice *i, const struct snet_agent_event *ev)
{
	const struct snet_checklist *l = snet_agent_checklist(snet_ice_agent(i->ice));

	if (ev->local.c.type == SNET_CANDIDATE_RELAY || ev->remote.type == SNET_CANDIDATE_RELAY)
		return true;
	for (size_t k = 0; k < l->remotes_n; k++)
		if (l->remotes[k].c.type == SNET_CANDIDATE_RELAY &&
		    snet_addr_eq(&l->remotes[k].c.address, &ev->remote.address))
			return true;
	return false;
}

void ice_say_selected(const struct snet_agent_event *ev)
{
	char local[SNET_ADDR_TEXT], base[SNET_ADDR_TEXT], remote[SNET_ADDR_TEXT];
	const char *local_type = snet_candidate_name(ev->local.c.type);
	const char *remote_type = snet_candidate_name(ev->remote.type);
	bool relay = ev->local.c.type == SNET_CANDIDATE_RELAY ||
		     ev->remote.type == SNET_CANDIDATE_RELAY;

	snet_addr_print(&ev->local.c.address, local);
	snet_addr_print(&ev->remote.address, remote);
	out_event("ice.selected", out_text("local", local), out_text("local_type", local_type),
		  out_text("base", snet_addr_print(&ev->local.base, base)),
		  out_text("remote", remote), out_text("remote_type", remote_type),
		  out_text("path", relay ? "relay" : "direct"),
		  out_text("role", role_name(ev->controlling)),
		  out_uint("rtt_us", ev->rtt / SNET_US),
		  out_uint("took_ms", ev->took / SNET_MS), out_bool("changed", ev->changed));
	say_more("%s (%s) to %s (%s): round trip %.1f ms", local, local_type, remote,
		 remote_type, (double)ev->rtt / (double)SNET_MS);
}

void ice_say_lost(const struct ice *i, const struct snet_agent_event *ev)
{
	const struct ice_traffic *t = &i->traffic;

	out_event("peer.down", out_text("reason", snet_err_name(ev->code)),
		  out_text("text", ev->why), out_uint("sent_messages", t->sent),
		  out_uint("sent_bytes", t->sent_bytes),
		  out_uint("received_messages", t->received),
		  out_uint("received_bytes", t->received_bytes));
}
