#include "cli/peer_events.h"

#include "cli/ready.h"
#include "cli/say.h"
#include "crypto/identity.h"

const char *peer_profile(enum snet_profile p)
{
	return p == SNET_PROFILE_SNET1 ? "snet/1" : "stoffelnet-0.1";
}

void peer_say_refused(const struct snet_addr *from, int code, const char *why)
{
	char text[SNET_ADDR_TEXT];

	out_event("refused", out_text("address", snet_addr_print(from, text)),
		  out_text("reason", snet_err_name(code)), out_text("text", why));
	say_note("%s: refused: %s", text, why);
}

void peer_say_ready(const struct snet_identity *self, uint32_t n_up)
{
	char key[SNET_KEYID_TEXT];

	out_event("ready", out_uint("peers", n_up),
		  out_text("key", snet_keyid_print(snet_identity_keyid(self), key)));
	ready_say();
}

void peer_say_waiting(const char *who, snet_time until, snet_time now,
		      const struct snet_error *why)
{
	bool ends = until != SNET_NEVER && until > now;

	out_event("waiting", out_text("for", who),
		  out_if(ends, out_uint("left_ms", (until - now) / SNET_MS)),
		  out_text("reason", why ? snet_err_name(why->code) : NULL),
		  out_text("text", why ? why->text : NULL));
	say_note("waiting for %s%s%s", who, why ? ": " : "", why ? why->text : "");
}
