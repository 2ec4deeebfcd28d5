/* pipe-feed: both ends of a pipeline under load, cheap enough not to be what is measured.
 * Feeding lends one prepared buffer to the pipe over and over (vmsplice), 1 MiB at a time: the
 * reader copies it out, as it would a file that is spliced in. Draining a pipe splices it to
 * /dev/null, so that the bytes are counted but never copied or looked at. Programs that wrote
 * and read them would pay more, which is why this is said here. Drain prints one JSON line when
 * its input has ended.
 *
 *   pipe-feed raw BYTES           that many bytes
 *   pipe-feed framed COUNT SIZE   COUNT messages of SIZE bytes, each after its length
 *   pipe-feed json COUNT SIZE     COUNT lines {"data":"<base64 of SIZE bytes>"}
 *   pipe-feed addressed COUNT SIZE TO
 *   pipe-feed json COUNT SIZE TO  to the parties in TO in turn, a digit each
 *   pipe-feed drain [-l]          {"bytes":..,"lines":..,"start_ns":..,"end_ns":..};
 *                                 -l: reads, to count lines too
 *   pipe-feed echo                stdin to stdout, as it comes: cat without its buffer */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bench.h"

enum { CHUNK = 1 << 20 };

/* Best effort: an unprivileged user may be at pipe-user-pages-soft, and stdin need not be a
 * pipe. */
static void enlarge(int fd)
{
	(void)fcntl(fd, F_SETPIPE_SZ, CHUNK);
}

static void write_all(const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t put = write(STDOUT_FILENO, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			bench_die("cannot write: %m");
		p += put;
		n -= (size_t)put;
	}
}

/* p is never written to again: the pipe holds the pages themselves. */
static void lend_all(const uint8_t *p, size_t n)
{
	while (n) {
		struct iovec v = { (void *)(uintptr_t)p, n };
		ssize_t put = vmsplice(STDOUT_FILENO, &v, 1, 0);

		if (put < 0 && errno == EBADF) { /* no pipe */
			write_all(p, n);
			return;
		}
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			bench_die("cannot write: %m");
		p += put;
		n -= (size_t)put;
	}
}

static void *allocated(size_t n)
{
	void *p = malloc(n);

	if (!p)
		bench_die("out of memory");
	return p;
}

/* Something that does not compress and is not all one value. */
static void fill(uint8_t *p, size_t n)
{
	while (n) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0)
			bench_die("no randomness: %m");
		p += got;
		n -= (size_t)got;
	}
}

/* Writes period[0..n) again and again, total bytes in all. */
static void feed(const uint8_t *period, size_t n, uint64_t total)
{
	enlarge(STDOUT_FILENO);
	while (total) {
		size_t part = total < n ? (size_t)total : n;

		lend_all(period, part);
		total -= part;
	}
}

static void feed_raw(uint64_t total)
{
	uint8_t *p = allocated(CHUNK);

	fill(p, CHUNK);
	feed(p, CHUNK, total);
	free(p);
}

static uint8_t *put32(uint8_t *out, size_t v)
{
	for (unsigned i = 0; i < 4; i++)
		*out++ = (uint8_t)(v >> (24 - 8 * i));
	return out;
}

/* to: a digit, or NULL where nobody is named. */
static size_t put_frame(uint8_t *out, const char *to, const uint8_t *body, size_t n)
{
	uint8_t *at = put32(out, to ? n + 4 : n);

	if (to)
		at = put32(at, (size_t)(*to - '0'));
	memcpy(at, body, n);
	return (size_t)(at + n - out);
}

static size_t put_json(uint8_t *out, const char *to, const uint8_t *body, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t *at = out + (to ? sprintf((char *)out, "{\"to\":%c,\"data\":\"", *to)
				: sprintf((char *)out, "{\"data\":\""));

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)body[i] << 16;

		v |= i + 1 < n ? (unsigned)body[i + 1] << 8 : 0;
		v |= i + 2 < n ? body[i + 2] : 0;
		*at++ = (uint8_t)digits[v >> 18];
		*at++ = (uint8_t)digits[v >> 12 & 63];
		*at++ = (uint8_t)(i + 1 < n ? digits[v >> 6 & 63] : '=');
		*at++ = (uint8_t)(i + 2 < n ? digits[v & 63] : '=');
	}
	memcpy(at, "\"}\n", 3);
	return (size_t)(at + 3 - out);
}

typedef size_t put_fn(uint8_t *out, const char *to, const uint8_t *body, size_t n);

/* The period: as many different messages as make up about one write, at least one, and as many
 * for each party. All are equally long. */
static void feed_messages(put_fn *put, uint64_t count, size_t size, const char *to)
{
	size_t each = to ? strlen(to) : 1, room = each * (2 * size + 64);
	size_t in_period = 0, length = 0;
	uint8_t *body = allocated(size), *p = allocated(CHUNK + room);

	if (to && (!*to || strspn(to, "0123456789") != each || count % each))
		bench_die("TO: digits, and COUNT a multiple of how many");
	while (!in_period || in_period % each || (length < CHUNK && in_period < count)) {
		fill(body, size);
		length += put(p + length, to ? to + in_period % each : NULL, body, size);
		in_period++;
	}
	feed(p, length, count * (length / in_period));
	free(body);
	free(p);
}

struct tally {
	uint64_t bytes, lines, start_ns, end_ns;
};

static void drain_lines(struct tally *t)
{
	uint8_t *p = allocated(CHUNK);
	ssize_t got;

	while ((got = read(STDIN_FILENO, p, CHUNK)) != 0) {
		if (got < 0)
			bench_die("cannot read: %m");
		if (!t->bytes)
			t->start_ns = bench_now_ns();
		t->bytes += (uint64_t)got;
		for (const uint8_t *at = p; (at = memchr(at, '\n', (size_t)(p + got - at)));
		     at++)
			t->lines++;
		t->end_ns = bench_now_ns();
	}
	free(p);
}

static void drain_pipe(struct tally *t)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ssize_t got;

	if (null < 0)
		bench_die("cannot open /dev/null: %m");
	while ((got = splice(STDIN_FILENO, NULL, null, NULL, CHUNK, SPLICE_F_MOVE)) != 0) {
		if (got < 0)
			bench_die("cannot splice (is stdin a pipe?): %m");
		if (!t->bytes)
			t->start_ns = bench_now_ns();
		t->bytes += (uint64_t)got;
		t->end_ns = bench_now_ns();
	}
	close(null);
}

static void drain(int count_lines)
{
	struct tally t = { 0 };

	enlarge(STDIN_FILENO);
	if (count_lines)
		drain_lines(&t);
	else
		drain_pipe(&t);
	printf("{\"bytes\":%llu,\"lines\":%llu,\"start_ns\":%llu,\"end_ns\":%llu}\n",
	       (unsigned long long)t.bytes, (unsigned long long)t.lines,
	       (unsigned long long)t.start_ns, (unsigned long long)t.end_ns);
}

static void echo(void)
{
	static uint8_t p[65536];
	ssize_t got;

	while ((got = read(STDIN_FILENO, p, sizeof(p))) != 0) {
		if (got < 0)
			bench_die("cannot read: %m");
		write_all(p, (size_t)got);
	}
}

static int usage(void)
{
	bench_die("usage: raw BYTES | framed COUNT SIZE | addressed COUNT SIZE TO | "
		  "json COUNT SIZE [TO] | drain [-l] | echo");
}

static int feed_as(put_fn *put, char **argv, const char *to)
{
	feed_messages(put, bench_number(argv[0], "COUNT"), bench_number(argv[1], "SIZE"), to);
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "framed") && argc == 4)
		return feed_as(put_frame, argv + 2, NULL);
	if (!strcmp(mode, "addressed") && argc == 5)
		return feed_as(put_frame, argv + 2, argv[4]);
	if (!strcmp(mode, "json") && (argc == 4 || argc == 5))
		return feed_as(put_json, argv + 2, argv[4]);
	if (!strcmp(mode, "raw") && argc == 3)
		feed_raw(bench_number(argv[2], "BYTES"));
	else if (!strcmp(mode, "drain") && argc == 2)
		drain(0);
	else if (!strcmp(mode, "drain") && argc == 3 && !strcmp(argv[2], "-l"))
		drain(1);
	else if (!strcmp(mode, "echo") && argc == 2)
		echo();
	else
		return usage();
	return 0;
}
