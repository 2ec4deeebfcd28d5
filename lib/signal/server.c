#include "signal/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "signal/server_http.h"
#include "signal/server_impl.h"

#define PEM_MAX (1 << 20)      /* bytes */
#define HTTP_MEMORY (16 << 10) /* bytes of a connection before its upgrade */
#define HTTP_SECONDS 10        /* of silence before its upgrade */
#define OWN_DESCRIPTORS 32
#define DESCRIPTORS_OF_TLS 3 /* the socket, and the pair that stands for it */
#define BACKLOG 512

/* ---- the daemon and the loop */

static void plan(struct snet_signal_server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(s->http, &ms) == MHD_YES)
		snet_timer_set(s->loop, &s->http_timer, snet_loop_now(s->loop) + ms * SNET_MS);
	else
		snet_timer_stop(s->loop, &s->http_timer);
}

static void run(struct snet_signal_server *s)
{
	MHD_run(s->http);
	plan(s);
}

static void on_ready(struct snet_io *io, int ready, void *user)
{
	(void)io, (void)ready;
	run(user);
}

static void on_http_timer(struct snet_timer *t, snet_time now)
{
	(void)now;
	run(t->user);
}

static void on_http_task(struct snet_task *t)
{
	run(t->user);
}

static void on_log(void *user, const char *fmt, va_list args)
	__attribute__((format(printf, 2, 0)));
static void on_log(void *user, const char *fmt, va_list args)
{
	char line[256];
	int n;

	(void)user;
	if (!snet_log_on(SNET_LOG_DEBUG))
		return;
	n = vsnprintf(line, sizeof(line), fmt, args);
	if (n < 0)
		return;
	line[strcspn(line, "\n")] = 0;
	snet_log(SNET_LOG_DEBUG, "http", "%s", line);
}

/* ---- rooms whose time is over */

static void on_rooms_timer(struct snet_timer *t, snet_time now)
{
	struct snet_signal_server *s = t->user;
	struct snet_member *m;

	while ((m = snet_rooms_expired(s->rooms, now)))
		snet_signal_peer_leave(snet_member_user(m), SNET_ECLOSED, SNET_WS_GOING_AWAY,
				       "nothing was said for too long");
	snet_timer_set(s->loop, t, snet_rooms_deadline(s->rooms));
}

/* ---- birth */

static int open_socket(int *out, struct snet_addr *at, struct snet_error *err)
{
	bool is_v6 = at->sa.sa_family == AF_INET6;
	int fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, only = !snet_addr_is_any(at);
	socklen_t n = sizeof(*at);
	char text[SNET_ADDR_TEXT];

	if (fd < 0)
		return snet_fail(err, errno == EAFNOSUPPORT ? SNET_EBIND : SNET_EIO,
				 "socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (is_v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	if (bind(fd, &at->sa, snet_addr_len(at)) || listen(fd, BACKLOG) ||
	    getsockname(fd, &at->sa, &n)) {
		int e = errno;

		close(fd);
		return snet_fail(err, SNET_EBIND, "%s: %s", snet_addr_print(at, text),
				 strerror(e));
	}
	*out = fd;
	return SNET_OK;
}

/* The daemon takes text that ends. */
static int read_pem(struct snet_buf *b, const char *path, bool secret, struct snet_error *err)
{
	int rc = path ? snet_file_read(b, path, secret, SNET_EKEY, err) : SNET_OK;

	if (!rc && snet_buf_u8(b, 0))
		rc = snet_fail(err, SNET_ENOMEM, "%s", path ? path : "TLS");
	return rc;
}

static unsigned connections(const struct snet_signal_server *s)
{
	struct rlimit most = { .rlim_cur = 1024 };
	unsigned n;

	getrlimit(RLIMIT_NOFILE, &most);
	n = most.rlim_cur > 1 << 20 ? 1 << 20 : (unsigned)most.rlim_cur;
	n = n > 2 * OWN_DESCRIPTORS ? n - OWN_DESCRIPTORS : OWN_DESCRIPTORS;
	return s->o.cert ? n / DESCRIPTORS_OF_TLS : n;
}

static int start_http(struct snet_signal_server *s, int fd, const struct snet_buf *cert,
		      const struct snet_buf *key, struct snet_error *err)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, cert->p },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, key->p },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem most[] = {
		{ MHD_OPTION_CONNECTION_LIMIT, (intptr_t)connections(s), NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_MEMORY, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, HTTP_SECONDS, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};

	s->http = MHD_start_daemon(s->o.cert ? flags | MHD_USE_TLS : flags, 0, NULL, NULL,
				   snet_signal_http_on_request, s, MHD_OPTION_EXTERNAL_LOGGER,
				   on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_ARRAY,
				   most, MHD_OPTION_ARRAY, s->o.cert ? tls : tls + 2,
				   MHD_OPTION_NOTIFY_COMPLETED, snet_signal_http_on_completed,
				   s, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
	if (s->http)
		return SNET_OK;
	if (s->o.cert)
		return snet_fail(err, SNET_EKEY,
				 "%s, %s: no certificate with its key, both as PEM", s->o.cert,
				 s->o.key);
	return snet_fail(err, SNET_EIO, "the HTTP server does not start");
}

static int attach(struct snet_signal_server *s, struct snet_error *err)
{
	const union MHD_DaemonInfo *i = MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_EPOLL_FD);

	s->io = i ? snet_io_new(s->loop, i->epoll_fd, on_ready, s) : NULL;
	if (!s->io)
		return snet_fail(err, SNET_ENOMEM, "signalling");
	snet_io_want(s->io, SNET_READ);
	plan(s);
	return SNET_OK;
}

static int open_http(struct snet_signal_server *s, struct snet_error *err)
{
	struct snet_buf cert = SNET_BUF(PEM_MAX), key = SNET_BUF(PEM_MAX);
	int fd = -1, rc = read_pem(&cert, s->o.cert, false, err);

	if (!rc)
		rc = read_pem(&key, s->o.key, true, err);
	if (!rc)
		rc = open_socket(&fd, &s->o.at, err);
	if (!rc)
		rc = start_http(s, fd, &cert, &key, err);
	if (rc && fd >= 0)
		close(fd);
	snet_buf_free(&cert);
	snet_buf_wipe(&key);
	return rc ? rc : attach(s, err);
}

int snet_signal_server_new(struct snet_signal_server **out, struct snet_loop *l,
			   const struct snet_signal_server_opts *o,
			   const struct snet_signal_server_events *ev, void *user,
			   struct snet_error *err)
{
	struct snet_signal_server *s = calloc(1, sizeof(*s));
	uint8_t secret[16];
	int rc;

	if (!s)
		return snet_fail(err, SNET_ENOMEM, "signalling");
	s->loop = l;
	s->o = *o;
	s->ev = ev;
	s->user = user;
	s->born = snet_loop_now(l);
	snet_list_init(&s->peers);
	snet_task_init(&s->http_task, on_http_task, s);
	s->http_timer = (struct snet_timer){ .fn = on_http_timer, .user = s };
	s->rooms_timer = (struct snet_timer){ .fn = on_rooms_timer, .user = s };
	rc = snet_random(secret, sizeof(secret));
	if (!rc)
		rc = snet_rooms_new(&s->rooms, &o->rooms, secret);
	if (rc)
		snet_fail(err, rc, "signalling: %s", snet_err_text(rc));
	if (!rc && o->token_file)
		rc = snet_tokens_load(&s->tokens, o->token_file, err);
	if (!rc)
		rc = open_http(s, err);
	s->o.cert = s->o.key = s->o.token_file = NULL;
	if (rc)
		snet_signal_server_free(s);
	else
		*out = s;
	return rc;
}

/* ---- death */

void snet_signal_server_drain(struct snet_signal_server *s)
{
	MHD_socket fd;

	if (s->draining)
		return;
	s->draining = true;
	fd = MHD_quiesce_daemon(s->http);
	if (fd != MHD_INVALID_SOCKET)
		close(fd);
	for (struct snet_list *n = s->peers.next; n != &s->peers; n = n->next)
		snet_signal_peer_leave(SNET_OF(n, struct peer, node), SNET_ECLOSED,
				       SNET_WS_GOING_AWAY, "the server ends");
	if (snet_list_is_empty(&s->peers)) {
		s->drained = true;
		s->ev->on_drained(s->user);
	}
}

void snet_signal_server_free(struct snet_signal_server *s)
{
	if (!s)
		return;
	s->draining = s->drained = true; /* nobody is told any more */
	while (!snet_list_is_empty(&s->peers))
		snet_signal_peer_free(SNET_OF(s->peers.next, struct peer, node));
	snet_io_free(s->io);
	if (s->http) {
		MHD_run(s->http); /* lets go of what was upgraded */
		MHD_stop_daemon(s->http);
	}
	snet_timer_stop(s->loop, &s->http_timer);
	snet_timer_stop(s->loop, &s->rooms_timer);
	snet_task_cancel(&s->http_task);
	snet_rooms_free(s->rooms);
	snet_tokens_fini(&s->tokens);
	free(s);
}

/* ---- what is asked of it */

void snet_signal_server_address(const struct snet_signal_server *s, struct snet_addr *at)
{
	*at = s->o.at;
}

size_t snet_signal_server_rooms(const struct snet_signal_server *s)
{
	return snet_rooms_count(s->rooms);
}

size_t snet_signal_server_members(const struct snet_signal_server *s)
{
	return snet_rooms_members(s->rooms);
}
