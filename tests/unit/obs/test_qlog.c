#include "obs/qlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"

static const uint8_t id[] = { 0x00, 0xab, 0xff };
static char dir[] = "/tmp/snet-qlog-XXXXXX", client[64], server[64];
static int lines;

static void on_log(enum snet_log_level level, const char *area, const char *line, void *user)
{
	(void)user;
	assert_int_equal(level, SNET_LOG_WARN);
	assert_string_equal(area, "qlog");
	assert_non_null(strstr(line, "00abff_"));
	lines++;
}

static size_t size_of(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t n = 0;

	if (!f)
		return SIZE_MAX;
	while (fgetc(f) != EOF)
		n++;
	fclose(f);
	return n;
}

static int set_up(void **state)
{
	(void)state;
	snet_log_to(on_log, NULL, SNET_LOG_WARN);
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	lines = 0;
	if (!mkdtemp(dir))
		return -1;
	snprintf(client, sizeof(client), "%s/00abff_client.sqlog", dir);
	snprintf(server, sizeof(server), "%s/00abff_server.sqlog", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(client);
	unlink(server);
	rmdir(dir);
	return 0;
}

static void the_file_is_named_and_begins_with_the_first_write(void **state)
{
	struct snet_qlog *c = NULL, *s = NULL;

	(void)state;
	assert_int_equal(snet_qlog_new(&c, dir, id, sizeof(id), false), SNET_OK);
	assert_int_equal(snet_qlog_new(&s, dir, id, sizeof(id), true), SNET_OK);
	assert_int_equal(access(client, F_OK), -1);
	snet_qlog_write(c, "\x1e{}\n", 4, false);
	snet_qlog_write(s, "\x1e{}\n", 4, false);
	snet_qlog_write(c, "\x1e[]\n", 4, true);
	assert_int_equal(size_of(client), 8); /* closed by fin */
	snet_qlog_write(c, "late", 4, false);
	assert_int_equal(size_of(client), 8);
	snet_qlog_free(c);
	snet_qlog_free(s); /* without fin: what is there is kept */
	assert_int_equal(size_of(server), 4);
	assert_int_equal(lines, 0);
}

static void a_log_that_is_there_is_not_overwritten(void **state)
{
	struct snet_qlog *q = NULL;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(snet_qlog_new(&q, dir, id, sizeof(id), false), SNET_OK);
		snet_qlog_write(q, i ? "second" : "one", i ? 6 : 3, true);
		snet_qlog_free(q);
	}
	assert_int_equal(size_of(client), 3);
	assert_int_equal(lines, 1);
}

static void a_directory_that_is_not_there_is_one_line_of_log(void **state)
{
	struct snet_qlog *q = NULL;

	(void)state;
	rmdir(dir);
	assert_int_equal(snet_qlog_new(&q, dir, id, sizeof(id), false), SNET_OK);
	for (int i = 0; i < 3; i++)
		snet_qlog_write(q, "x", 1, false);
	snet_qlog_free(q);
	assert_int_equal(lines, 1);
	snet_qlog_write(NULL, "x", 1, true);
	snet_qlog_free(NULL);
}

static void a_link_in_its_place_is_not_followed(void **state)
{
	static const char text[1024] = "x";
	struct snet_qlog *q = NULL;

	(void)state;
	if (symlink("/dev/full", client))
		skip();
	/* A name in a directory that others may write to is no way out of it. */
	assert_int_equal(snet_qlog_new(&q, dir, id, sizeof(id), false), SNET_OK);
	for (int i = 0; i < 100; i++)
		snet_qlog_write(q, text, sizeof(text), false);
	snet_qlog_free(q);
	assert_int_equal(lines, 1);
}

static void an_id_longer_than_any_is_refused(void **state)
{
	uint8_t long_id[SNET_QLOG_ID_MAX + 1] = { 0 };
	struct snet_qlog *q = NULL;

	(void)state;
	assert_int_equal(snet_qlog_new(&q, dir, long_id, sizeof(long_id), false), SNET_EINVAL);
	assert_null(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_file_is_named_and_begins_with_the_first_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_log_that_is_there_is_not_overwritten, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			a_directory_that_is_not_there_is_one_line_of_log, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_link_in_its_place_is_not_followed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(an_id_longer_than_any_is_refused, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
