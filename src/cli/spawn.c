#include "cli/spawn_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/groups.h"
#include "cli/out.h"
#include "cli/sink.h"

#define END_TIME (3 * SNET_SEC)  /* from SIGTERM to SIGKILL */
#define LAST_TIME (1 * SNET_SEC) /* from SIGKILL to going without them */
#define FAILED 1

/* ---- processes */

static void set_number(const char *name, unsigned long n)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", n);
	setenv(name, text, 1);
}

/* In the child. What this process is started for may not outlive it. */
static void settle(pid_t parent, int in, int out, int err)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(FAILED);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
}

_Noreturn static void be_party(struct net_of *s, uint32_t i, int (*party)(const char *))
{
	char key[PATH_MAX], roster[PATH_MAX];

	/* The socket the others know it by, as in socket activation. */
	dup2(s->places[i].socket, 3);
	close_range(4, ~0u, 0);
	set_number("LISTEN_FDS", 1);
	set_number("LISTEN_PID", (unsigned long)getpid());
	snprintf(key, sizeof(key), "%s/%u.key", s->dir, i);
	cli.key = key;
	cli.id = i;
	exit(party(spawn_roster(s, i, roster)));
}

_Noreturn static void be_program(struct net_of *s, uint32_t i, char *const argv[])
{
	char roster[PATH_MAX];
	int error;

	setpgid(0, 0); /* so that what it starts ends with it */
	signal(SIGPIPE, SIG_DFL);
	set_number("SNET_PARTY", i);
	set_number("SNET_PARTIES", s->n);
	setenv("SNET_ROSTER", spawn_roster(s, i, roster), 1);
	execvp(argv[0], argv);
	error = errno; /* saying it may change it */
	fprintf(stderr, "%s: %s\n", argv[0], strerror(error));
	_exit(error == ENOENT ? 127 : 126);
}

static int start_place(struct place *p, char *const argv[], int (*party)(const char *),
		       struct snet_error *err)
{
	int heard[2], said[2], words[2];
	pid_t self = getpid();

	if (pipe2(heard, O_CLOEXEC) || pipe2(said, O_CLOEXEC) || pipe2(words, O_CLOEXEC))
		return snet_fail(err, SNET_EIO, "--spawn: %s", strerror(errno));
	p->err = words[0];
	p->spill = heard[0];
	p->pid[PARTY] = fork();
	if (!p->pid[PARTY]) {
		settle(self, said[0], heard[1], words[1]);
		be_party(p->net, p->i, party);
	}
	p->pid[PROGRAM] = fork();
	if (!p->pid[PROGRAM]) {
		settle(self, heard[0], said[1], words[1]);
		be_program(p->net, p->i, argv);
	}
	if (p->pid[PROGRAM] > 0) {
		p->group = p->pid[PROGRAM];
		setpgid(p->group, p->group); /* whichever of us is first */
	}
	close(heard[1]);
	close(said[0]);
	close(said[1]);
	close(words[1]);
	if (p->pid[PARTY] < 0 || p->pid[PROGRAM] < 0)
		return snet_fail(err, SNET_EIO, "--spawn: fork: %s", strerror(errno));
	p->net->running += 2;
	p->net->open++;
	return SNET_OK;
}

static void signal_all(struct net_of *s, int signo)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct place *p = &s->places[i];

		if (p->pid[PARTY] > 0)
			kill(p->pid[PARTY], signo);
		if (p->group)
			kill(-p->group, signo);
	}
}

static void end_all(struct net_of *s, int status)
{
	if (s->ending)
		return;
	s->ending = true;
	s->status = status;
	signal_all(s, SIGTERM);
	snet_timer_set(s->loop, &s->kill, snet_loop_now(s->loop) + END_TIME);
}

static void on_all_said(struct sink *words, void *user)
{
	struct net_of *s = user;

	(void)words;
	snet_loop_stop(s->loop);
}

static void check_over(struct net_of *s)
{
	if (s->running || s->open || s->flushing)
		return;
	s->flushing = true;
	sink_flush_then(s->words, on_all_said, s);
}

/* ---- what they say and how they end */

/* In one piece: lines of several parties do not mix. */
static void say_line(struct place *p)
{
	struct snet_buf *b = sink_buf(p->net->words);

	snet_buf_fmt(b, "%u: %.*s\n", p->i, (int)p->n, p->line);
	b->bad = false; /* no memory for it: that line is lost */
	sink_wrote(p->net->words);
	p->n = 0;
}

/* Whoever does not read our stderr holds up those who write there, and nobody else. */
static void listen_on(struct net_of *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->places[i].err_io)
			snet_io_want(s->places[i].err_io,
				     sink_is_full(s->words) ? 0 : SNET_READ);
}

static void on_words_room(struct sink *words, void *user)
{
	(void)words;
	listen_on(user);
}

static const struct sink_events words_events = { on_words_room, NULL };

static void on_words(struct snet_io *io, int ready, void *user)
{
	struct place *p = user;
	char buf[4096];
	ssize_t n = read(p->err, buf, sizeof(buf));

	(void)ready;
	for (ssize_t k = 0; k < n; k++) {
		if (buf[k] != '\n')
			p->line[p->n++] = buf[k];
		if (buf[k] == '\n' || p->n == LINE)
			say_line(p);
	}
	if (sink_is_full(p->net->words))
		listen_on(p->net);
	if (n > 0 || (n < 0 && errno == EINTR))
		return;
	if (p->n)
		say_line(p);
	snet_io_free(io);
	p->err_io = NULL;
	p->net->open--;
	check_over(p->net);
}

static void on_spill(struct snet_io *io, int ready, void *user)
{
	struct place *p = user;
	char buf[65536];
	ssize_t n = read(p->spill, buf, sizeof(buf));

	(void)ready;
	if (n > 0 || (n < 0 && errno == EINTR))
		return;
	snet_io_free(io);
	p->spill_io = NULL;
}

static void on_exit_of(int pid, int status, void *user)
{
	struct place *p = user;
	int which = p->pid[PARTY] == pid ? PARTY : PROGRAM;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	struct snet_error err;

	p->pid[which] = 0;
	p->watch[which] = NULL;
	p->net->running--;
	if (code && !p->net->ending) {
		snet_fail(&err, SNET_EIO, "party %u: %s ended with %s %d", p->i,
			  which == PARTY ? "it" : "its program",
			  WIFEXITED(status) ? "status" : "signal",
			  WIFEXITED(status) ? code : WTERMSIG(status));
		out_error(&err, p->i, OPT_NONE, true);
	}
	if (code)
		end_all(p->net, code);
	/* What it has started ends with it: it may hold its output open for ever. */
	if (which == PROGRAM)
		kill(-p->group, SIGTERM);
	/* It has heard enough: that is its right, and no reason for its party to stop. */
	if (which == PROGRAM && !p->spill_io) {
		p->spill_io = snet_io_new(p->net->loop, p->spill, on_spill, p);
		if (p->spill_io)
			snet_io_want(p->spill_io, SNET_READ);
	}
	check_over(p->net);
}

static void on_link_exit(int pid, int status, void *user)
{
	struct net_of *s = user;
	struct snet_error err;

	(void)pid, (void)status;
	s->link_watch = NULL;
	s->link.pid = 0;
	if (s->ending || !s->running)
		return;
	snet_fail(&err, SNET_EIO, "--link: snet-link has ended");
	out_error(&err, OPT_NONE, OPT_NONE, true);
	end_all(s, FAILED);
}

/* Who is killed is waited for as well, but neither whoever else holds their stderr nor whoever
 * does not read ours holds us for long. */
static void on_kill(struct snet_timer *t, snet_time now)
{
	struct net_of *s = t->user;

	if (s->killed) {
		snet_loop_stop(s->loop);
		return;
	}
	s->killed = true;
	signal_all(s, SIGKILL);
	snet_timer_set(s->loop, t, now + LAST_TIME);
}

/* The first one asks, the second does not. */
static void on_signal(int signo, void *user)
{
	struct net_of *s = user;

	if (!s->ending) {
		end_all(s, 128 + signo);
		return;
	}
	signal_all(s, SIGKILL);
	spawn_remove_files(s);
	_exit(128 + signo);
}

/* ---- life */

static int watch(struct net_of *s, struct snet_error *err)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct place *p = &s->places[i];

		p->err_io = snet_io_new(s->loop, p->err, on_words, p);
		for (int k = PARTY; k <= PROGRAM; k++)
			p->watch[k] = snet_child_new(s->loop, p->pid[k], on_exit_of, p);
		if (!p->err_io || !p->watch[PARTY] || !p->watch[PROGRAM])
			return snet_fail(err, SNET_ENOMEM, "--spawn");
		snet_io_want(p->err_io, SNET_READ);
	}
	if (s->link.pid)
		s->link_watch = snet_child_new(s->loop, s->link.pid, on_link_exit, s);
	return SNET_OK;
}

static void unwatch(struct net_of *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct place *p = &s->places[i];

		snet_io_free(p->err_io);
		snet_io_free(p->spill_io);
		snet_child_free(p->watch[PARTY]);
		snet_child_free(p->watch[PROGRAM]);
	}
	snet_child_free(s->link_watch);
}

static int supervise(struct net_of *s, struct snet_error *err)
{
	struct snet_signal *signals[3] = { NULL };
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	int rc = snet_loop_new(&s->loop);

	if (rc)
		return snet_fail(err, rc, "--spawn");
	s->kill = (struct snet_timer){ .fn = on_kill, .user = s };
	rc = sink_new(&s->words, s->loop, STDERR_FILENO, false, "stderr", LINE + 16,
		      &words_events, s, err);
	if (rc) {
		snet_loop_free(s->loop);
		return rc;
	}
	for (int i = 0; i < 3; i++)
		signals[i] = snet_signal_new(s->loop, numbers[i], on_signal, s);
	rc = watch(s, err);
	if (!rc)
		snet_loop_run(s->loop);
	snet_timer_stop(s->loop, &s->kill);
	for (int i = 0; i < 3; i++)
		snet_signal_free(signals[i]);
	unwatch(s);
	sink_close(s->words, NULL);
	snet_loop_free(s->loop);
	return rc ? rc : s->status;
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int start_all(struct net_of *s, const char *preset, char *const argv[],
		     int (*party)(const char *), struct snet_error *err)
{
	int rc = SNET_OK;

	for (uint32_t i = 0; !rc && i < s->n; i++) {
		s->places[i].socket = spawn_bind();
		if (s->places[i].socket < 0)
			rc = snet_fail(err, SNET_EBIND, "127.0.0.1: %s", strerror(errno));
	}
	if (!rc)
		rc = spawn_make_files(s, err);
	if (!rc && preset)
		rc = spawn_link_start(&s->link, preset, s->dir, err);
	for (uint32_t i = 0; !rc && i < s->n; i++)
		rc = start_place(&s->places[i], argv, party, err);
	for (uint32_t i = 0; i < s->n; i++)
		close_if(s->places[i].socket);
	return rc;
}

int spawn_all(uint32_t n, const char *preset, char *const argv[],
	      int (*party)(const char *roster), struct snet_error *err)
{
	struct net_of s = { .n = n };
	const char *tmp = getenv("TMPDIR");
	int rc;

	s.places = calloc(n, sizeof(*s.places));
	if (!s.places)
		return snet_fail(err, SNET_ENOMEM, "--spawn");
	for (uint32_t i = 0; i < n; i++)
		s.places[i] = (struct place){
			.net = &s, .i = i, .socket = -1, .err = -1, .spill = -1
		};
	snprintf(s.dir, sizeof(s.dir), "%s/snet-party.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(s.dir)) {
		rc = snet_fail(err, SNET_EIO, "%s: %s", s.dir, strerror(errno));
	} else {
		rc = start_all(&s, preset, argv, party, err);
		if (!rc)
			rc = supervise(&s, err);
		signal_all(&s, SIGKILL); /* whatever they have left behind */
		spawn_link_end(&s.link);
		spawn_remove_files(&s);
	}
	for (uint32_t i = 0; i < n; i++) {
		close_if(s.places[i].err);
		close_if(s.places[i].spill);
	}
	free(s.places);
	return rc;
}
