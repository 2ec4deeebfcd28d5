/* Sink and source together: what goes into one end of a descriptor comes out of the other. */
#include "cli/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/source.h"
#include "io/loop.h"

static struct bench {
	struct snet_loop *loop;
	struct sink *sink;
	struct source *source;
	uint8_t room[64 << 10];
	struct snet_buf got;
	struct snet_error error;
	int drains, stalls, sink_errors, source_errors, eofs, turns;
	bool free_in_callback, pause_in_callback;
	size_t stop_at;
	struct snet_timer timer;
	struct snet_task task;
} b;

static void on_drain(struct sink *s, void *user)
{
	(void)s, (void)user;
	assert_false(sink_is_full(s));
	b.drains++;
}

static void on_sink_error(struct sink *s, const struct snet_error *err, void *user)
{
	(void)s, (void)user;
	b.sink_errors++;
	b.error = *err;
	snet_loop_stop(b.loop);
}

static void on_stall(struct sink *s, void *user)
{
	(void)user;
	assert_true(sink_is_full(s));
	b.stalls++;
	snet_loop_stop(b.loop);
}

static const struct sink_events sink_events = { on_drain, on_sink_error, on_stall };

static uint8_t *room(size_t *n, void *user)
{
	(void)user;
	*n = sizeof(b.room);
	return b.room;
}

static void on_bytes(size_t n, void *user)
{
	(void)user;
	assert_true(n > 0 && n <= sizeof(b.room));
	assert_int_equal(snet_buf_add(&b.got, b.room, n), SNET_OK);
	if (b.free_in_callback) {
		source_free(b.source);
		b.source = NULL;
		snet_loop_stop(b.loop);
	} else if (b.pause_in_callback) {
		source_pause(b.source);
		snet_loop_stop(b.loop);
	} else if (b.got.n >= b.stop_at) {
		snet_loop_stop(b.loop);
	}
}

static void on_eof(void *user)
{
	(void)user;
	b.eofs++;
	snet_loop_stop(b.loop);
}

static void on_source_error(const struct snet_error *err, void *user)
{
	(void)user;
	b.source_errors++;
	b.error = *err;
	snet_loop_stop(b.loop);
}

static const struct source_events source_events = { room, on_bytes, on_eof, on_source_error };

static void on_late(struct snet_timer *t, snet_time now)
{
	(void)t, (void)now;
	fail_msg("nothing happened for 10 s");
}

static void count_turn(struct snet_task *t)
{
	b.turns++;
	snet_task_defer(b.loop, t);
}

static int set_up(void **state)
{
	(void)state;
	memset(&b, 0, sizeof(b));
	snet_task_init(&b.task, count_turn, NULL);
	b.got = SNET_BUF(256 << 20);
	b.stop_at = SIZE_MAX;
	b.timer.fn = on_late;
	signal(SIGPIPE, SIG_IGN);
	if (snet_loop_new(&b.loop))
		return -1;
	return snet_timer_set(b.loop, &b.timer, snet_now() + 10 * SNET_SEC);
}

static int tear_down(void **state)
{
	(void)state;
	sink_close(b.sink, NULL);
	source_free(b.source);
	snet_task_cancel(&b.task);
	snet_timer_stop(b.loop, &b.timer);
	snet_loop_free(b.loop);
	snet_buf_free(&b.got);
	return 0;
}

static void open_sink(int fd, bool own, size_t max)
{
	struct snet_error err = { 0 };

	if (sink_new(&b.sink, b.loop, fd, own, "stdout", max, &sink_events, NULL, &err))
		fail_msg("%s", err.text);
}

static void open_source(int fd, bool own)
{
	struct snet_error err = { 0 };

	if (source_new(&b.source, b.loop, fd, own, "stdin", &source_events, NULL, &err))
		fail_msg("%s", err.text);
	source_resume(b.source);
}

static int put(const void *p, size_t n)
{
	const struct iovec v = { (void *)p, n };

	return sink_write(b.sink, &v, 1);
}

static void stop_loop(void *arg)
{
	snet_loop_stop(arg);
}

static void one_turn(void)
{
	assert_int_equal(snet_loop_post(b.loop, stop_loop, b.loop), SNET_OK);
	snet_loop_run(b.loop);
}

static void close_sink(struct sink *s, void *user)
{
	(void)user;
	assert_int_equal(sink_waiting(s), 0);
	assert_int_equal(sink_close(s, NULL), SNET_OK);
	b.sink = NULL;
}

static void put_pattern(size_t n)
{
	uint8_t *p = malloc(n);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 2654435761u >> 13);
	assert_int_equal(put(p, n), SNET_OK);
	free(p);
}

static void assert_pattern(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != (uint8_t)(i * 2654435761u >> 13))
			fail_msg("byte %zu", i);
}

/* ---- from one end to the other */

static void assert_all_passes(int write_fd, int read_fd)
{
	enum { COUNT = 20000 };

	open_sink(write_fd, true, 4 << 20);
	open_source(read_fd, true);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(put(&i, sizeof(i)), SNET_OK);
	put_pattern(3 << 20);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_int_equal(put(&i, sizeof(i)), SNET_OK);
	assert_true(sink_is_full(b.sink));
	sink_flush_then(b.sink, close_sink, NULL);
	assert_int_equal(put("late", 4), SNET_OK); /* thrown away */
	snet_loop_run(b.loop);
	assert_int_equal(b.eofs, 1);
	assert_int_equal(b.got.n, 2 * COUNT * 4 + (3 << 20));
	for (uint32_t i = 0; i < COUNT; i++) {
		assert_memory_equal(b.got.p + 4 * i, &i, 4);
		assert_memory_equal(b.got.p + 4 * COUNT + (3 << 20) + 4 * i, &i, 4);
	}
	assert_pattern(b.got.p + 4 * COUNT, 3 << 20);
	assert_int_equal(b.drains, 1);
	assert_int_equal(b.sink_errors + b.source_errors, 0);
}

static void pipes_pass_everything_in_order(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_all_passes(fd[1], fd[0]);
}

static void sockets_pass_everything_in_order(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	assert_all_passes(fd[1], fd[0]);
}

/* ---- sink */

static void small_pieces_wait_for_the_end_of_the_turn(void **state)
{
	int fd[2];
	char text[8];

	(void)state;
	assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
	open_sink(fd[1], true, 4096);
	assert_int_equal(put("ab", 2), SNET_OK);
	assert_int_equal(put("c", 1), SNET_OK);
	assert_int_equal(sink_waiting(b.sink), 3);
	assert_int_equal(read(fd[0], text, sizeof(text)), -1);
	open_source(fd[0], true);
	b.stop_at = 3;
	snet_loop_run(b.loop);
	assert_memory_equal(b.got.p, "abc", 3);
	assert_int_equal(sink_waiting(b.sink), 0);
}

static void what_is_built_in_place_arrives(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	open_sink(fd[1], true, 4096);
	snet_buf_str(sink_buf(b.sink), "in ");
	sink_wrote(b.sink);
	snet_buf_str(sink_buf(b.sink), "place");
	sink_wrote(b.sink);
	open_source(fd[0], true);
	b.stop_at = 8;
	snet_loop_run(b.loop);
	assert_memory_equal(b.got.p, "in place", 8);
}

static void a_reader_who_does_not_read_makes_it_full(void **state)
{
	static uint8_t piece[4096];
	int fd[2];
	size_t taken = 0;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	open_sink(fd[1], true, sizeof(piece));
	for (; !sink_is_full(b.sink); taken += sizeof(piece))
		assert_int_equal(put(piece, sizeof(piece)), SNET_OK);
	assert_in_range(taken, SINK_HIGH, SINK_HIGH + (2 << 20));
	assert_in_range(sink_waiting(b.sink), SINK_HIGH, SINK_HIGH + sizeof(piece));
	assert_int_equal(b.drains, 0);
	open_source(fd[0], true);
	b.stop_at = taken;
	snet_loop_run(b.loop);
	assert_int_equal(b.drains, 1);
	assert_false(sink_is_full(b.sink));
}

static void stop_at_time(struct snet_timer *t, snet_time now)
{
	(void)now;
	snet_loop_stop(t->user);
}

static void read_at_time(struct snet_timer *t, snet_time now)
{
	(void)now;
	assert_true(read(*(int *)t->user, b.room, sizeof(b.room)) > 0);
}

/* Who reads a little of it now and then is slow; who reads nothing is told of, once until he
 * does. */
static void a_reader_who_reads_nothing_is_told_of_once(void **state)
{
	static uint8_t piece[64 << 10];
	snet_time start = snet_now();
	int fd[2];
	struct snet_timer later = { .fn = read_at_time, .user = &fd[0] };

	(void)state;
	assert_int_equal(pipe(fd), 0);
	open_sink(fd[1], true, sizeof(piece));
	while (sink_waiting(b.sink) < 2 * SINK_HIGH)
		assert_int_equal(put(piece, sizeof(piece)), SNET_OK);
	snet_timer_set(b.loop, &later, start + SINK_STALL / 2);
	snet_loop_run(b.loop);
	assert_int_equal(b.stalls, 1);
	assert_true(snet_now() >= start + 3 * SINK_STALL / 2);
	later = (struct snet_timer){ .fn = stop_at_time, .user = b.loop };
	snet_timer_set(b.loop, &later, snet_now() + 5 * SINK_STALL / 4);
	snet_loop_run(b.loop);
	assert_int_equal(b.stalls, 1);
	assert_true(read(fd[0], b.room, sizeof(b.room)) > 0);
	snet_loop_run(b.loop);
	assert_int_equal(b.stalls, 2);
	assert_int_equal(b.drains, 0);
	close(fd[0]);
}

static void there_is_a_ceiling(void **state)
{
	static uint8_t piece[4096];
	int fd[2], rc = SNET_OK;
	size_t taken = 0;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	open_sink(fd[1], true, sizeof(piece));
	for (; !rc && taken < 64 << 20; taken += sizeof(piece))
		rc = put(piece, sizeof(piece));
	assert_true(rc == SNET_ETOOBIG);
	assert_true(sink_waiting(b.sink) <= 3 * SINK_HIGH + sizeof(piece));
	close(fd[0]);
}

static void a_reader_who_is_gone_is_one_error(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	close(fd[0]);
	open_sink(fd[1], true, 4096);
	assert_int_equal(put("x", 1), SNET_OK);
	snet_loop_run(b.loop);
	assert_int_equal(b.sink_errors, 1);
	assert_int_equal(b.error.code, SNET_EIO);
	assert_string_equal(b.error.text, "stdout: Broken pipe");
	assert_true(sink_is_broken(b.sink));
	assert_int_equal(put("x", 1), SNET_EIO);
	snet_buf_str(sink_buf(b.sink), "x");
	sink_wrote(b.sink);
	assert_int_equal(sink_waiting(b.sink), 0);
	sink_flush_then(b.sink, close_sink, NULL);
	one_turn();
	assert_null(b.sink);
	assert_int_equal(b.sink_errors, 1);
}

static void a_full_disk_is_an_error_in_words(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	if (fd < 0)
		skip();
	open_sink(fd, true, 4096);
	assert_int_equal(put("x", 1), SNET_OK);
	snet_loop_run(b.loop);
	assert_int_equal(b.sink_errors, 1);
	assert_string_equal(b.error.text, "stdout: No space left on device");
}

static void a_descriptor_for_reading_is_an_error(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	open_sink(fd, true, 4096);
	put_pattern(4096);
	snet_loop_run(b.loop);
	assert_int_equal(b.sink_errors, 1);
	assert_string_equal(b.error.text, "stdout: Bad file descriptor");
}

static void a_directory_is_refused(void **state)
{
	int fd = open("/", O_RDONLY | O_CLOEXEC);
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(
		sink_new(&b.sink, b.loop, fd, true, "stdout", 1, &sink_events, NULL, &err),
		SNET_EIO);
	assert_string_equal(err.text, "stdout: Is a directory");
	assert_int_equal(
		source_new(&b.source, b.loop, 987, false, "stdin", &source_events, NULL, &err),
		SNET_EIO);
	assert_string_equal(err.text, "stdin: Bad file descriptor");
	close(fd);
}

/* ---- what others see of a descriptor that is shared */

static bool is_nonblocking(int fd)
{
	return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

static void shared_pipes_stay_blocking_for_the_others(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	open_sink(fd[1], false, 4096);
	open_source(fd[0], false);
	assert_false(is_nonblocking(fd[0]));
	assert_false(is_nonblocking(fd[1]));
	put_pattern(4096);
	b.stop_at = 4096;
	snet_loop_run(b.loop);
	assert_pattern(b.got.p, 4096);
	sink_close(b.sink, NULL);
	b.sink = NULL;
	assert_int_equal(write(fd[1], "x", 1), 1); /* still open: it was not ours */
	close(fd[0]);
	close(fd[1]);
}

/* A fifo without readers cannot be opened anew: its flags are changed, and given back. */
static void flags_that_were_changed_are_given_back(void **state)
{
	char dir[] = "/tmp/snet-sink-XXXXXX", path[64];
	int reader, fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	fd = open(path, O_WRONLY);
	assert_true(reader >= 0 && fd >= 0);
	close(reader);
	open_sink(fd, false, 4096);
	assert_true(is_nonblocking(fd));
	sink_close(b.sink, NULL);
	b.sink = NULL;
	assert_false(is_nonblocking(fd));
	close(fd);
	unlink(path);
	rmdir(dir);
}

/* ---- source */

static void files_and_devices_are_read_to_their_end(void **state)
{
	FILE *f = tmpfile();
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_non_null(f);
	for (int i = 0; i < 300000; i++)
		fputc(i & 0x7f, f);
	rewind(f);
	fseek(f, 1000, SEEK_SET); /* where others left it is where we begin */
	fflush(f);
	lseek(fileno(f), 1000, SEEK_SET);
	open_source(fileno(f), false);
	snet_loop_run(b.loop);
	assert_int_equal(b.eofs, 1);
	assert_int_equal(b.got.n, 299000);
	assert_int_equal(b.got.p[0], 1000 & 0x7f);
	assert_true(source_is_done(b.source));
	source_resume(b.source); /* nothing */
	source_free(b.source);
	fclose(f);
	open_source(null, true);
	snet_loop_run(b.loop);
	assert_int_equal(b.eofs, 2);
	assert_int_equal(b.got.n, 299000);
}

static void a_large_file_leaves_turns_to_others(void **state)
{
	FILE *f = tmpfile();

	(void)state;
	assert_non_null(f);
	assert_int_equal(ftruncate(fileno(f), 8 * SOURCE_TURN), 0);
	open_source(fileno(f), false);
	snet_task_defer(b.loop, &b.task);
	snet_loop_run(b.loop);
	assert_int_equal(b.got.n, 8 * SOURCE_TURN);
	assert_true(b.turns >= 8);
	fclose(f);
}

static void a_paused_source_reads_nothing_until_resumed(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], "abc", 3), 3);
	open_source(fd[0], true);
	b.pause_in_callback = true;
	snet_loop_run(b.loop);
	assert_int_equal(b.got.n, 3);
	assert_int_equal(write(fd[1], "def", 3), 3);
	close(fd[1]);
	one_turn();
	assert_int_equal(b.got.n, 3);
	b.pause_in_callback = false;
	source_resume(b.source);
	snet_loop_run(b.loop);
	assert_int_equal(b.got.n, 6);
	assert_int_equal(b.eofs, 1);
}

static void a_source_may_be_freed_in_its_callback(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], b.room, 4096), 4096);
	open_source(fd[0], true);
	b.free_in_callback = true;
	snet_loop_run(b.loop);
	assert_null(b.source);
	close(fd[1]);
}

static void a_descriptor_for_writing_cannot_be_read(void **state)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	open_source(fd, true);
	snet_loop_run(b.loop);
	assert_int_equal(b.source_errors, 1);
	assert_int_equal(b.eofs, 0);
	assert_string_equal(b.error.text, "stdin: Bad file descriptor");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pipes_pass_everything_in_order),
		T(sockets_pass_everything_in_order),
		T(small_pieces_wait_for_the_end_of_the_turn),
		T(what_is_built_in_place_arrives),
		T(a_reader_who_does_not_read_makes_it_full),
		T(a_reader_who_reads_nothing_is_told_of_once),
		T(there_is_a_ceiling),
		T(a_reader_who_is_gone_is_one_error),
		T(a_full_disk_is_an_error_in_words),
		T(a_descriptor_for_reading_is_an_error),
		T(a_directory_is_refused),
		T(shared_pipes_stay_blocking_for_the_others),
		T(flags_that_were_changed_are_given_back),
		T(files_and_devices_are_read_to_their_end),
		T(a_large_file_leaves_turns_to_others),
		T(a_paused_source_reads_nothing_until_resumed),
		T(a_source_may_be_freed_in_its_callback),
		T(a_descriptor_for_writing_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
