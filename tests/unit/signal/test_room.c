/* signal/room: who may come in, who gets what, what is kept, and when a room is over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "signal/room.h"
#include "support/torture.h"

static const uint8_t secret[16] = { 1 };
static struct snet_rooms *rooms;
static snet_time now;

static struct snet_addr addr(const char *text)
{
	struct snet_addr a;

	assert_int_equal(snet_addr_parse(&a, text), SNET_OK);
	return a;
}

static void begin(size_t max_rooms, size_t max_members, size_t keep)
{
	const struct snet_rooms_opts o = {
		.max_rooms = max_rooms,
		.max_members = max_members,
		.per_address = 4,
		.joins_per_minute = 6,
		.keep_bytes = keep,
		.ttl = 10 * SNET_SEC,
	};

	now = 5 * SNET_SEC;
	assert_int_equal(snet_rooms_new(&rooms, &o, secret), SNET_OK);
}

static int teardown(void **state)
{
	(void)state;
	snet_rooms_free(rooms);
	rooms = NULL;
	return 0;
}

/* Each name has an address of its own. */
static enum snet_room_answer try(struct snet_member **m, const char *room, const char *name)
{
	char text[] = "192.0.2.0:1";
	struct snet_addr from;
	enum snet_room_answer a;

	text[8] = (char)('0' + *name % 10);
	from = addr(text);
	a = snet_rooms_knock(rooms, &from, now);
	return a ? a : snet_rooms_join(rooms, room, &from, (void *)name, now, m);
}

static struct snet_member *join(const char *room, const char *name)
{
	struct snet_member *m = NULL;

	assert_int_equal(try(&m, room, name), SNET_ROOM_WELCOME);
	return m;
}

/* The names of those who hear a member, one letter each. */
static void assert_heard(const struct snet_member *m, const char *names)
{
	struct snet_member *at = NULL;
	char heard[16] = "";

	while ((at = snet_member_next(m, at)))
		strcat(heard, snet_member_user(at));
	assert_string_equal(heard, names);
}

static void assert_replayed(const struct snet_member *m, const char *words)
{
	const struct snet_kept *at = NULL;
	const uint8_t *p;
	char all[64] = "";
	size_t n;

	while (snet_member_replay(m, &at, &p, &n))
		strncat(all, (const char *)p, n);
	assert_string_equal(all, words);
}

static void say(struct snet_member *m, const char *words)
{
	assert_int_equal(snet_rooms_say(rooms, m, words, strlen(words), now), SNET_OK);
}

/* ---- who gets what */

static void others_of_the_room_hear_and_nobody_else(void **state)
{
	struct snet_member *a, *b, *c;

	(void)state;
	begin(8, 8, 100);
	a = join("r", "a");
	assert_heard(a, "");
	b = join("r", "b");
	c = join("q", "c");
	join("r", "d");
	assert_heard(a, "bd");
	assert_heard(b, "ad");
	assert_heard(c, "");
	snet_rooms_leave(rooms, a, now);
	assert_heard(b, "d");
	assert_int_equal(snet_rooms_members(rooms), 3);
	assert_int_equal(snet_rooms_count(rooms), 2);
}

static void late_comers_hear_what_was_said_by_those_who_are_there(void **state)
{
	struct snet_member *a, *b, *late;

	(void)state;
	begin(8, 8, 100);
	a = join("r", "a");
	b = join("r", "b");
	say(a, "1");
	say(b, "2");
	say(a, "3");
	late = join("r", "c");
	assert_replayed(late, "123");
	assert_replayed(a, "2"); /* not its own */
	snet_rooms_leave(rooms, a, now);
	assert_replayed(join("r", "d"), "2");
	snet_rooms_leave(rooms, b, now);
	assert_replayed(late, "");
}

static void the_last_one_to_leave_takes_the_room_with_it(void **state)
{
	struct snet_member *a;

	(void)state;
	begin(8, 8, 100);
	a = join("r", "a");
	say(a, "old");
	snet_rooms_leave(rooms, a, now);
	assert_int_equal(snet_rooms_count(rooms), 0);
	assert_replayed(join("r", "b"), "");
}

static void what_is_kept_is_bounded_for_each_and_the_first_words_stay(void **state)
{
	struct snet_room_about about;
	struct snet_member *a, *b;

	(void)state;
	begin(8, 8, 4);
	a = join("r", "a");
	b = join("r", "b");
	say(a, "abc");
	say(a, "de"); /* does not fit */
	say(a, "f");
	say(a, "g");
	say(b, "xyz"); /* has a ceiling of its own */
	assert_replayed(join("r", "c"), "abcfxyz");
	snet_member_about(a, &about);
	assert_int_equal(about.kept_bytes, 7);
	assert_int_equal(about.kept_messages, 3);
	assert_int_equal(about.messages, 5);
	snet_rooms_leave(rooms, a, now);
	snet_member_about(b, &about);
	assert_int_equal(about.kept_bytes, 3);
}

static void empty_messages_are_bounded_too(void **state)
{
	struct snet_room_about about;
	struct snet_member *a;

	(void)state;
	begin(8, 8, 4);
	a = join("r", "a");
	for (int i = 0; i < SNET_ROOM_KEPT_MAX + 10; i++)
		say(a, "");
	snet_member_about(a, &about);
	assert_int_equal(about.kept_messages, SNET_ROOM_KEPT_MAX);
}

static void nothing_is_kept_where_nothing_is_to_be_kept(void **state)
{
	struct snet_member *a;

	(void)state;
	begin(8, 8, 0);
	a = join("r", "a");
	say(a, "abc");
	say(a, "");
	assert_replayed(join("r", "b"), "");
}

/* ---- who may come in */

static void names_of_rooms(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} cases[] = {
		{ "r", true },
		{ "Az09-._~", true },
		{ "...", true },
		{ "0123456789012345678901234567890123456789012345678901234567890123", true },
		{ "01234567890123456789012345678901234567890123456789012345678901234", false },
		{ "", false },
		{ ".", false },
		{ "..", false },
		{ "a/b", false },
		{ "a b", false },
		{ "<b>", false },
		{ "a%62", false },
		{ "\xc3\xa4", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(snet_room_name_is_good(cases[i].name), cases[i].good);
}

static void full_rooms_and_full_servers_refuse(void **state)
{
	struct snet_member *m = NULL, *a;

	(void)state;
	begin(2, 2, 0);
	a = join("r", "a");
	join("r", "b");
	assert_int_equal(try(&m, "r", "c"), SNET_ROOM_IS_FULL);
	join("q", "c");
	assert_int_equal(try(&m, "p", "d"), SNET_ROOM_TOO_MANY_ROOMS);
	assert_int_equal(try(&m, "a b", "d"), SNET_ROOM_BAD_NAME);
	assert_null(m);
	snet_rooms_leave(rooms, a, now);
	join("r", "d");
	assert_int_equal(snet_rooms_members(rooms), 3);
}

static void an_address_has_so_many_members_at_most(void **state)
{
	struct snet_member *m[4], *more = NULL;

	(void)state;
	begin(8, 8, 0);
	for (int i = 0; i < 4; i++)
		m[i] = join("r", "a");
	assert_int_equal(try(&more, "q", "a"), SNET_ROOM_ADDRESS_IS_FULL);
	join("q", "b");
	snet_rooms_leave(rooms, m[0], now);
	join("q", "a");
}

static void an_address_knocks_so_often_at_most(void **state)
{
	struct snet_addr from = addr("192.0.2.9:1"), other = addr("192.0.2.8:1");

	(void)state;
	begin(8, 8, 0);
	for (int i = 0; i < 6; i++) {
		snet_addr_set_port(&from, (uint16_t)(1000 + i));
		assert_int_equal(snet_rooms_knock(rooms, &from, now), SNET_ROOM_WELCOME);
	}
	assert_int_equal(snet_rooms_knock(rooms, &from, now), SNET_ROOM_TOO_OFTEN);
	assert_int_equal(snet_rooms_knock(rooms, &other, now), SNET_ROOM_WELCOME);
	now += 10 * SNET_SEC - 1; /* a sixth of a minute, nearly */
	assert_int_equal(snet_rooms_knock(rooms, &from, now), SNET_ROOM_TOO_OFTEN);
	now += 1;
	assert_int_equal(snet_rooms_knock(rooms, &from, now), SNET_ROOM_WELCOME);
	assert_int_equal(snet_rooms_knock(rooms, &from, now), SNET_ROOM_TOO_OFTEN);
	now += 600 * SNET_SEC; /* no more than six are saved up */
	for (int i = 0; i < 6; i++)
		assert_int_equal(snet_rooms_knock(rooms, &from, now), SNET_ROOM_WELCOME);
	assert_int_equal(snet_rooms_knock(rooms, &from, now), SNET_ROOM_TOO_OFTEN);
}

static void which_addresses_are_one(void **state)
{
	static const struct {
		const char *a, *b;
		bool one;
	} cases[] = {
		{ "192.0.2.1:1", "192.0.2.1:2", true },
		{ "192.0.2.1:1", "192.0.2.2:1", false },
		{ "192.0.2.1:1", "[::ffff:192.0.2.1]:1", true },
		{ "[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1", true },
		{ "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct snet_addr a = addr(cases[i].a), b = addr(cases[i].b);

		begin(8, 8, 0);
		for (int k = 0; k < 6; k++)
			assert_int_equal(snet_rooms_knock(rooms, &a, now), SNET_ROOM_WELCOME);
		assert_int_equal(snet_rooms_knock(rooms, &b, now) == SNET_ROOM_TOO_OFTEN,
				 cases[i].one);
		teardown(NULL);
	}
}

static void addresses_are_forgotten_and_bounded(void **state)
{
	struct snet_addr from = addr("10.0.0.0:1");

	(void)state;
	begin(8, 8, 0);
	for (uint32_t i = 0; i < SNET_ROOM_SOURCES; i++) {
		from.in.sin_addr.s_addr = htonl(0x0a000000 + i);
		assert_int_equal(snet_rooms_knock(rooms, &from, now), SNET_ROOM_WELCOME);
	}
	from = addr("192.0.2.1:1");
	assert_int_equal(snet_rooms_knock(rooms, &from, now), SNET_ROOM_TOO_OFTEN);
	now += 61 * SNET_SEC;
	assert_int_equal(snet_rooms_knock(rooms, &from, now), SNET_ROOM_WELCOME);
}

/* ---- time */

static void a_silent_room_is_over_and_a_lively_one_is_not(void **state)
{
	struct snet_member *a, *b, *gone;

	(void)state;
	begin(8, 8, 0);
	assert_true(snet_rooms_deadline(rooms) == SNET_NEVER);
	a = join("r", "a");
	b = join("q", "b");
	assert_true(snet_rooms_deadline(rooms) == now + 10 * SNET_SEC);
	now += 9 * SNET_SEC;
	say(a, "still here");
	assert_null(snet_rooms_expired(rooms, now));
	now += SNET_SEC;
	gone = snet_rooms_expired(rooms, now);
	assert_ptr_equal(gone, b);
	snet_rooms_leave(rooms, gone, now);
	assert_null(snet_rooms_expired(rooms, now));
	assert_true(snet_rooms_deadline(rooms) == now + 9 * SNET_SEC);
}

static void rooms_are_listed_in_the_order_they_began(void **state)
{
	const struct snet_room *at = NULL;
	struct snet_room_about r;

	(void)state;
	begin(8, 8, 0);
	join("one", "a");
	now += SNET_SEC;
	join("two", "b");
	join("one", "c");
	assert_true(snet_rooms_next(rooms, &at, &r));
	assert_string_equal(r.name, "one");
	assert_int_equal(r.members, 2);
	assert_true(r.last - r.born == SNET_SEC);
	assert_true(snet_rooms_next(rooms, &at, &r));
	assert_string_equal(r.name, "two");
	assert_false(snet_rooms_next(rooms, &at, &r));
}

static int life(void *user)
{
	const struct snet_rooms_opts o = { 8, 8, 8, 60, 100, SNET_SEC };
	struct snet_addr from = addr("192.0.2.1:1");
	struct snet_rooms *r = NULL;
	struct snet_member *m;
	enum snet_room_answer a;
	int rc = snet_rooms_new(&r, &o, secret);

	(void)user;
	if (rc)
		return rc;
	a = snet_rooms_knock(r, &from, 0);
	if (!a)
		a = snet_rooms_join(r, "r", &from, NULL, 0, &m);
	rc = a ? SNET_ENOMEM : snet_rooms_say(r, m, "{}", 2, 0);
	snet_rooms_free(r);
	return rc;
}

static void no_memory_is_survived(void **state)
{
	(void)state;
	assert_true(torture(life, NULL) >= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(others_of_the_room_hear_and_nobody_else, teardown),
		cmocka_unit_test_teardown(late_comers_hear_what_was_said_by_those_who_are_there,
					  teardown),
		cmocka_unit_test_teardown(the_last_one_to_leave_takes_the_room_with_it,
					  teardown),
		cmocka_unit_test_teardown(
			what_is_kept_is_bounded_for_each_and_the_first_words_stay, teardown),
		cmocka_unit_test_teardown(empty_messages_are_bounded_too, teardown),
		cmocka_unit_test_teardown(nothing_is_kept_where_nothing_is_to_be_kept,
					  teardown),
		cmocka_unit_test(names_of_rooms),
		cmocka_unit_test_teardown(full_rooms_and_full_servers_refuse, teardown),
		cmocka_unit_test_teardown(an_address_has_so_many_members_at_most, teardown),
		cmocka_unit_test_teardown(an_address_knocks_so_often_at_most, teardown),
		cmocka_unit_test(which_addresses_are_one),
		cmocka_unit_test_teardown(addresses_are_forgotten_and_bounded, teardown),
		cmocka_unit_test_teardown(a_silent_room_is_over_and_a_lively_one_is_not,
					  teardown),
		cmocka_unit_test_teardown(rooms_are_listed_in_the_order_they_began, teardown),
		cmocka_unit_test(no_memory_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
