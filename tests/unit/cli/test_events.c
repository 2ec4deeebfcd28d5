#include "cli/events.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/out.h"

static void names_are_well_formed_and_given_once(void **state)
{
	const struct event_row *begin = NULL;

	(void)state;
	for (size_t i = 0; i < event_row_count; i++) {
		const struct event_row *r = &event_rows[i];

		if (r->event) {
			begin = r;
			assert_int_equal(strspn(r->event, "abcdefghijklmnopqrstuvwxyz."),
					 strlen(r->event));
			assert_ptr_equal(event_find(r->event), r); /* the first of its name */
			assert_true(*r->words);
		} else {
			assert_int_equal(
				strspn(r->field, "abcdefghijklmnopqrstuvwxyz_0123456789"),
				strlen(r->field));
			assert_ptr_equal(event_field(begin, r->field), r);
			assert_string_not_equal(r->field, "event");
		}
	}
}

static void the_events_of_the_design_are_there(void **state)
{
	static const char *const names[] = { "listening", "waiting", "ready", "peer.up",
					     "peer.down", "message", "stats", "error",
					     "exit",      "key" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_non_null(event_find(names[i]));
	assert_null(event_find("nonsense"));
	assert_null(event_field(event_find("ready"), "nonsense"));
	assert_null(event_field(event_find("ready"), "address")); /* of another event */
}

static void an_event_is_one_json_line_in_the_order_of_the_table(void **state)
{
	struct snet_buf b = SNET_BUF(4096);
	json_t *o;

	(void)state;
	out_render(&b, false, "listening",
		   OUT_FIELDS(out_text("address", "quic://[::1]:9#\"k\""),
			      out_uint("port", 65535), out_text("key", NULL),
			      out_if(false, out_uint("id", 1))));
	assert_int_equal(b.p[b.n - 1], '\n');
	b.p[b.n - 1] = 0;
	assert_string_equal((char *)b.p, "{\"event\":\"listening\",\"address\":\"quic://"
					 "[::1]:9#\\\"k\\\"\",\"port\":65535}");
	o = json_loads((char *)b.p, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	json_decref(o);
	snet_buf_free(&b);
}

static void words_are_for_people_and_tame(void **state)
{
	struct snet_buf b = SNET_BUF(4096);

	(void)state;
	out_render(&b, true, "peer.down",
		   OUT_FIELDS(out_uint("peer", 3), out_text("reason", "ok"),
			      out_text("text", "by\x1b[2J e\x7f"), out_bool("by_peer", true),
			      out_uint("sent_messages", 0)));
	snet_buf_u8(&b, 0);
	assert_string_equal((char *)b.p, "peer.down peer=3 reason=ok text=\"by\\u001b[2J e?\" "
					 "by_peer=yes sent_messages=0\n");
	snet_buf_free(&b);
}

static void unknown_event(struct snet_buf *b)
{
	out_render(b, false, "nonsense", OUT_FIELDS(out_uint("port", 1)));
}

static void unknown_field(struct snet_buf *b)
{
	out_render(b, false, "ready", OUT_FIELDS(out_uint("port", 1)));
}

static void wrong_type(struct snet_buf *b)
{
	out_render(b, false, "listening", OUT_FIELDS(out_text("port", "1")));
}

static void wrong_order(struct snet_buf *b)
{
	out_render(b, false, "listening",
		   OUT_FIELDS(out_uint("port", 1), out_text("address", "x")));
}

static void what_the_table_does_not_know_aborts(void **state)
{
	void (*const wrong[])(struct snet_buf *) = { unknown_event, unknown_field, wrong_type,
						     wrong_order };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		int status = 0;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid) {
			struct snet_buf b = SNET_BUF(4096);

			signal(SIGABRT, SIG_DFL);
			close(STDERR_FILENO);
			wrong[i](&b);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_well_formed_and_given_once),
		cmocka_unit_test(the_events_of_the_design_are_there),
		cmocka_unit_test(an_event_is_one_json_line_in_the_order_of_the_table),
		cmocka_unit_test(words_are_for_people_and_tame),
		cmocka_unit_test(what_the_table_does_not_know_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
