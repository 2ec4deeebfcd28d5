#include "obs/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void every_metric_has_help_type_and_value(void **state)
{
	struct snet_buf b = SNET_BUF(64 << 10);
	const char *text;

	(void)state;
	snet_gauge(SNET_METRIC_PEERS, 3);
	snet_count(SNET_METRIC_SENT_BYTES, 40);
	snet_count(SNET_METRIC_SENT_BYTES, 2);
	assert_int_equal(snet_metrics_text(&b), SNET_OK);
	assert_int_equal(snet_buf_u8(&b, 0), SNET_OK);
	text = (const char *)b.p;
	assert_non_null(strstr(
		text,
		"# HELP snet_peers Connected peers\n# TYPE snet_peers gauge\nsnet_peers 3\n"));
	assert_non_null(strstr(
		text, "# TYPE snet_sent_bytes_total counter\nsnet_sent_bytes_total 42\n"));
	snet_buf_free(&b);
}

/* Prometheus: one prefix, counters and only they end in _total, lower case. */
static void names_follow_the_rules_of_prometheus(void **state)
{
	struct snet_buf b = SNET_BUF(64 << 10);
	char name[128], type[16], *line, *rest = NULL;
	unsigned n = 0;

	(void)state;
	assert_int_equal(snet_metrics_text(&b), SNET_OK);
	snet_buf_u8(&b, 0);
	for (line = strtok_r((char *)b.p, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		size_t len;

		if (sscanf(line, "# TYPE %127s %15s", name, type) != 2)
			continue;
		n++;
		len = strlen(name);
		assert_memory_equal(name, "snet_", 5);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), len);
		assert_int_equal(!strcmp(type, "counter"),
				 len > 6 && !strcmp(name + len - 6, "_total"));
	}
	assert_int_equal(n, SNET_METRIC_COUNT);
	snet_buf_free(&b);
}

static void a_buffer_too_small_is_said(void **state)
{
	struct snet_buf b = SNET_BUF(100);

	(void)state;
	assert_int_equal(snet_metrics_text(&b), SNET_ETOOBIG);
	snet_buf_free(&b);
}

static void the_file_is_whole_and_replaced(void **state)
{
	char dir[] = "/tmp/snet-metrics-XXXXXX", path[64], tmp[80], text[4096];
	struct snet_error err;
	FILE *f;
	size_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/m", dir);
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	for (int i = 0; i < 2; i++)
		assert_int_equal(snet_metrics_write(path, &err), SNET_OK);
	assert_int_equal(access(tmp, F_OK), -1);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	assert_memory_equal(text, "# HELP snet_peers ", 18);
	assert_int_equal(text[n - 1], '\n');
	unlink(path);
	rmdir(dir);
	assert_int_equal(snet_metrics_write(path, &err), SNET_EIO);
	assert_non_null(strstr(err.text, dir));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_metric_has_help_type_and_value),
		cmocka_unit_test(names_follow_the_rules_of_prometheus),
		cmocka_unit_test(a_buffer_too_small_is_said),
		cmocka_unit_test(the_file_is_whole_and_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
