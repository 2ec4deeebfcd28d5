/* nice_peer: an ICE agent that nobody here wrote, libnice, behind the lines of snet-ice.
 *
 * Prints its ice.local lines and ice.selected, reads the peer's ice.local lines on stdin, and
 * then proves the pair: with --ask it sends the text until the other side answers with it,
 * prints that as "data" and ends; without, it answers every datagram with the same until its
 * input has ended and something was answered. aioice_peer.py has the same options. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <glib-unix.h>
#include <jansson.h>
#include <nice/agent.h>

#define COMPONENT 1
#define AGAIN_MS 100 /* what is asked may be lost */

static const char *const types[] = { "host", "srflx", "prflx", "relay" };

static struct {
	char *role, *stun, *turn, *cred, *bind, *ask;
	gboolean no_trickle, relay, aggressive;
	int timeout;
} opt = { .timeout = 15 };

/* clang-format off */
static const GOptionEntry entries[] = {
	{ "role", 0, 0, G_OPTION_ARG_STRING, &opt.role, "controlling or controlled", "ROLE" },
	{ "no-trickle", 0, 0, G_OPTION_ARG_NONE, &opt.no_trickle, "check when all candidates of both are known", NULL },
	{ "stun", 0, 0, G_OPTION_ARG_STRING, &opt.stun, "", "HOST:PORT" },
	{ "turn", 0, 0, G_OPTION_ARG_STRING, &opt.turn, "", "HOST:PORT" },
	{ "turn-cred-file", 0, 0, G_OPTION_ARG_FILENAME, &opt.cred, "USER:PASSWORD", "FILE" },
	{ "relay", 0, 0, G_OPTION_ARG_NONE, &opt.relay, "relayed candidates alone", NULL },
	{ "bind", 0, 0, G_OPTION_ARG_STRING, &opt.bind, "of this address alone; loopback is not used without", "ADDRESS" },
	{ "ask", 0, 0, G_OPTION_ARG_STRING, &opt.ask, "", "TEXT" },
	{ "aggressive", 0, 0, G_OPTION_ARG_NONE, &opt.aggressive, "nomination", NULL },
	{ "timeout", 0, 0, G_OPTION_ARG_INT, &opt.timeout, "until the end of --ask, else until selected", "SECONDS" },
	{ 0 },
};
/* clang-format on */

static struct {
	NiceAgent *agent;
	guint stream;
	GMainLoop *loop;
	GString *in;
	GSList *remote; /* without trickle, until all are there */
	gint64 began;
	bool selected, answered, ended;
	int status;
} at = { .status = 1 };

static void end(int status)
{
	at.status = status;
	g_main_loop_quit(at.loop);
}

static void fail(const char *why)
{
	fprintf(stderr, "nice_peer: %s\n", why);
	end(1);
}

/* Takes the object over. */
static void say(json_t *line)
{
	if (!line)
		fail("no memory, or text that is not UTF-8");
	else
		json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(line);
}

/* ---- what we are: credentials, candidates, their end */

static void say_credentials(void)
{
	char *ufrag = NULL, *pwd = NULL;

	nice_agent_get_local_credentials(at.agent, at.stream, &ufrag, &pwd);
	say(json_pack("{s:s, s:s, s:s}", "event", "ice.local", "ufrag", ufrag, "pwd", pwd));
	g_free(ufrag);
	g_free(pwd);
}

static void say_candidate(NiceCandidate *c)
{
	char *sdp = nice_agent_generate_local_candidate_sdp(at.agent, c);

	say(json_pack("{s:s, s:s}", "event", "ice.local", "candidate", sdp + strlen("a=")));
	g_free(sdp);
}

static void on_candidate(NiceAgent *agent, NiceCandidate *c, gpointer user)
{
	(void)agent, (void)user;
	if (!opt.no_trickle)
		say_candidate(c);
}

static void on_gathered(NiceAgent *agent, guint stream, gpointer user)
{
	(void)user;
	if (opt.no_trickle) {
		GSList *all = nice_agent_get_local_candidates(agent, stream, COMPONENT);

		say_credentials();
		for (GSList *i = all; i; i = i->next)
			say_candidate(i->data);
		g_slist_free_full(all, (GDestroyNotify)nice_candidate_free);
	}
	say(json_pack("{s:s, s:b}", "event", "ice.local", "end_of_candidates", 1));
}

/* ---- what the other is */

static void check_all(void)
{
	nice_agent_set_remote_candidates(at.agent, at.stream, COMPONENT, at.remote);
	g_slist_free_full(at.remote, (GDestroyNotify)nice_candidate_free);
	at.remote = NULL;
}

static void on_remote_candidate(const char *text)
{
	char *sdp = g_strconcat("a=", text, NULL);
	NiceCandidate *c = nice_agent_parse_remote_candidate_sdp(at.agent, at.stream, sdp);

	g_free(sdp);
	if (!c) {
		fprintf(stderr, "nice_peer: this candidate is not understood: %s\n", text);
		return;
	}
	at.remote = g_slist_append(at.remote, c);
	if (!opt.no_trickle)
		check_all();
}

static void on_line(const char *text)
{
	json_error_t why;
	json_t *line = json_loads(text, 0, &why);
	const char *event = json_string_value(json_object_get(line, "event"));
	const char *ufrag = json_string_value(json_object_get(line, "ufrag"));
	const char *pwd = json_string_value(json_object_get(line, "pwd"));
	const char *candidate = json_string_value(json_object_get(line, "candidate"));

	if (!line) {
		fail(why.text);
	} else if (event && !strcmp(event, "ice.local")) {
		if (ufrag && pwd &&
		    !nice_agent_set_remote_credentials(at.agent, at.stream, ufrag, pwd))
			fail("the other's credentials are refused");
		if (candidate)
			on_remote_candidate(candidate);
		if (json_is_true(json_object_get(line, "end_of_candidates"))) {
			if (opt.no_trickle)
				check_all();
			nice_agent_peer_candidate_gathering_done(at.agent, at.stream);
		}
	}
	json_decref(line);
}

static gboolean on_input(gint fd, GIOCondition condition, gpointer user)
{
	char part[4096], *end_of_line;
	ssize_t n = read(fd, part, sizeof(part));

	(void)condition, (void)user;
	if (n <= 0) {
		at.ended = true;
		if (at.answered)
			end(0);
		return G_SOURCE_REMOVE;
	}
	g_string_append_len(at.in, part, n);
	while ((end_of_line = memchr(at.in->str, '\n', at.in->len))) {
		*end_of_line = '\0';
		on_line(at.in->str);
		g_string_erase(at.in, 0, end_of_line + 1 - at.in->str);
	}
	return G_SOURCE_CONTINUE;
}

/* ---- the pair */

static void send_text(const char *text, guint n)
{
	if (nice_agent_send(at.agent, at.stream, COMPONENT, n, text) != (gint)n)
		fprintf(stderr, "nice_peer: nothing can be sent now\n");
}

static gboolean on_again(gpointer user)
{
	(void)user;
	send_text(opt.ask, strlen(opt.ask));
	return G_SOURCE_CONTINUE;
}

static void on_data(NiceAgent *agent, guint stream, guint component, guint n, gchar *p,
		    gpointer user)
{
	bool is_first = !at.answered;

	(void)agent, (void)stream, (void)component, (void)user;
	at.answered = true;
	if (is_first)
		say(json_pack("{s:s, s:s%}", "event", "data", "text", p, (size_t)n));
	if (!opt.ask)
		send_text(p, n);
	else if (n == strlen(opt.ask) && !memcmp(p, opt.ask, n))
		end(0);
	else
		fail("the answer is not what was asked");
	if (!opt.ask && at.ended)
		end(0);
}

static void text_of(const NiceAddress *a, char out[static 64])
{
	char host[NICE_ADDRESS_STRING_LEN];

	nice_address_to_string(a, host);
	snprintf(out, 64, nice_address_ip_version(a) == 6 ? "[%s]:%u" : "%s:%u", host,
		 nice_address_get_port(a));
}

static void on_selected(NiceAgent *agent, guint stream, guint component, NiceCandidate *l,
			NiceCandidate *r, gpointer user)
{
	char local[64], remote[64];

	(void)agent, (void)stream, (void)component, (void)user;
	text_of(&l->addr, local);
	text_of(&r->addr, remote);
	say(json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "event", "ice.selected", "local", local,
		      "remote", remote, "local_type", types[l->type], "remote_type",
		      types[r->type], "time_us",
		      (json_int_t)(g_get_monotonic_time() - at.began)));
	if (opt.ask && !at.selected) {
		on_again(NULL);
		g_timeout_add(AGAIN_MS, on_again, NULL);
	}
	at.selected = true;
}

/* "failed" is not the end of it: with candidates that come late it goes on. */
static void on_state(NiceAgent *agent, guint stream, guint component, guint state,
		     gpointer user)
{
	(void)agent, (void)stream, (void)component, (void)user;
	say(json_pack("{s:s, s:s}", "event", "ice.state", "state",
		      nice_component_state_to_string(state)));
}

/* ---- from options to an agent at work */

/* "host:port", in place. */
static bool split(char *text, const char **host, guint *port)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		return false;
	*colon = '\0';
	*host = text;
	*port = (guint)atoi(colon + 1);
	return *port > 0 && *port < 65536;
}

static bool use_servers(void)
{
	char *cred = NULL, *pwd;
	const char *host;
	guint port;
	bool ok = false;

	if (opt.stun) {
		if (!split(opt.stun, &host, &port))
			return false;
		g_object_set(at.agent, "stun-server", host, "stun-server-port", port, NULL);
	}
	if (!opt.turn)
		return !opt.relay;
	if (!opt.cred || !g_file_get_contents(opt.cred, &cred, NULL, NULL))
		return false;
	g_strchomp(cred);
	pwd = strchr(cred, ':');
	if (pwd && split(opt.turn, &host, &port)) {
		*pwd++ = '\0';
		ok = nice_agent_set_relay_info(at.agent, at.stream, COMPONENT, host, port, cred,
					       pwd, NICE_RELAY_TYPE_TURN_UDP);
	}
	g_free(cred);
	return ok;
}

static bool begin(void)
{
	NiceAgentOption options = NICE_AGENT_OPTION_CONSENT_FRESHNESS;
	NiceAddress address;

	options |= opt.no_trickle ? 0 : NICE_AGENT_OPTION_ICE_TRICKLE;
	options |= opt.aggressive ? 0 : NICE_AGENT_OPTION_REGULAR_NOMINATION;
	at.agent = nice_agent_new_full(NULL, NICE_COMPATIBILITY_RFC5245, options);
	g_object_set(at.agent, "controlling-mode", !g_strcmp0(opt.role, "controlling"), "upnp",
		     FALSE, "ice-tcp", FALSE, "force-relay", opt.relay, NULL);
	nice_address_init(&address);
	if (opt.bind && (!nice_address_set_from_string(&address, opt.bind) ||
			 !nice_agent_add_local_address(at.agent, &address)))
		return false;
	at.stream = nice_agent_add_stream(at.agent, 1);
	g_signal_connect(at.agent, "new-candidate-full", G_CALLBACK(on_candidate), NULL);
	g_signal_connect(at.agent, "candidate-gathering-done", G_CALLBACK(on_gathered), NULL);
	g_signal_connect(at.agent, "new-selected-pair-full", G_CALLBACK(on_selected), NULL);
	g_signal_connect(at.agent, "component-state-changed", G_CALLBACK(on_state), NULL);
	if (!use_servers())
		return false;
	nice_agent_attach_recv(at.agent, at.stream, COMPONENT, NULL, on_data, NULL);
	if (!opt.no_trickle)
		say_credentials();
	return nice_agent_gather_candidates(at.agent, at.stream);
}

static gboolean on_timeout(gpointer user)
{
	(void)user;
	if (opt.ask || !at.selected)
		fail("out of time");
	return G_SOURCE_REMOVE;
}

static gboolean on_signal(gpointer user)
{
	(void)user;
	end(0);
	return G_SOURCE_REMOVE;
}

static bool read_options(int argc, char **argv)
{
	GOptionContext *context = g_option_context_new("- an ICE agent: libnice");
	GError *why = NULL;
	bool ok;

	g_option_context_add_main_entries(context, entries, NULL);
	ok = g_option_context_parse(context, &argc, &argv, &why) && argc == 1;
	if (!ok)
		fprintf(stderr, "nice_peer: %s\n", why ? why->message : "no operands");
	g_clear_error(&why);
	g_option_context_free(context);
	return ok;
}

int main(int argc, char **argv)
{
	if (!read_options(argc, argv))
		return 2;
	at.began = g_get_monotonic_time();
	at.loop = g_main_loop_new(NULL, FALSE);
	at.in = g_string_new(NULL);
	g_unix_fd_add(STDIN_FILENO, G_IO_IN | G_IO_HUP, on_input, NULL);
	g_unix_signal_add(SIGTERM, on_signal, NULL);
	g_timeout_add_seconds((guint)opt.timeout, on_timeout, NULL);
	if (begin()) {
		g_main_loop_run(at.loop);
	} else {
		fprintf(stderr,
			"nice_peer: an address, a server or its credentials are wrong\n");
		at.status = 2;
	}
	g_slist_free_full(at.remote, (GDestroyNotify)nice_candidate_free);
	g_clear_object(&at.agent);
	g_main_loop_unref(at.loop);
	g_string_free(at.in, TRUE);
	return at.status;
}
