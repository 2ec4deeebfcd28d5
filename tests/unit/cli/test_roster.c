#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

#include "support/torture.h"
#include "cli/roster.h"
#include "crypto/hash.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" /* 32 bytes of 0 */
#define B "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE" /* of 1 */
#define C "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI" /* of 2 */
#define AT(port) "\"address\":\"quic://127.0.0.1:" #port "\""
#define ZERO "{\"id\":0," AT(9000) ",\"key\":\"" A "\"}"
#define ONE "{\"id\":1," AT(9001) ",\"key\":\"" B "\"}"

static const char whole[] =
	"{\"session\":\"sum of three\",\"profile\":\"stoffelnet-0.1\",\n"
	"\"parties\":[\n"
	"{\"id\":4294967294,\"name\":\"zoe\",\"address\":\"quic://[::1]:9002\",\"key\":\"" C
	"\"},\n"
	"{\"id\":0,\"name\":\"alice\"," AT(
		9000) ",\"profile\":\"snet/1\",\"key\":\"" A "\"}],\n"
		      "\"clients\":[{\"id\":0,\"name\":\"carol\",\"key\":\"" B "\"}]}\n";

static struct roster *parse(const char *text)
{
	struct roster *r = NULL;
	struct snet_error err = { 0 };

	if (roster_parse(&r, text, strlen(text), "r.json", &err))
		fail_msg("%s", err.text);
	return r;
}

static void a_whole_roster_is_read(void **state)
{
	struct roster *r = parse(whole);

	(void)state;
	assert_string_equal(r->session, "sum of three");
	assert_int_equal(r->profile, ROSTER_PROFILE_STOFFELNET_0_1);
	assert_int_equal(r->parties, 2);
	assert_int_equal(r->clients, 1);
	assert_int_equal(r->named, 3);
	assert_string_equal(r->members[0].name, "zoe");
	assert_string_equal(r->members[0].address.host, "::1");
	assert_int_equal(r->members[0].address.port, 9002);
	assert_false(r->members[2].has_address);
	assert_int_equal(r->members[0].profile, ROSTER_PROFILE_ANY);
	assert_int_equal(r->members[1].profile, ROSTER_PROFILE_SNET1);
	/* in order of id, clients last */
	assert_string_equal(r->by_id[0]->name, "alice");
	assert_string_equal(r->by_id[1]->name, "zoe");
	assert_string_equal(r->by_id[2]->name, "carol");
	roster_free(r);
	roster_free(NULL);
}

static void members_are_found_by_id_name_and_key(void **state)
{
	struct roster *r = parse(whole);
	uint8_t b[SNET_KEYID_BYTES], nobody[SNET_KEYID_BYTES] = { 9 };

	(void)state;
	memset(b, 1, sizeof(b));
	assert_string_equal(roster_party(r, 0)->name, "alice");
	assert_string_equal(roster_party(r, ROSTER_ID_MAX)->name, "zoe");
	assert_null(roster_party(r, 1));
	assert_string_equal(roster_client(r, 0)->name, "carol");
	assert_null(roster_client(r, 1));
	assert_ptr_equal(roster_named(r, "zoe"), &r->members[0]);
	assert_null(roster_named(r, "zo"));
	assert_null(roster_named(r, ""));
	assert_ptr_equal(roster_holder(r, b), &r->members[2]);
	assert_null(roster_holder(r, nobody));
	roster_free(r);
}

static void the_least_roster_is_one_party(void **state)
{
	struct roster *r = parse("{\"parties\":[" ZERO "]}");

	(void)state;
	assert_string_equal(r->session, "");
	assert_int_equal(r->profile, ROSTER_PROFILE_ANY);
	assert_null(roster_named(r, ""));
	assert_string_equal(roster_party(r, 0)->name, "");
	roster_free(r);
}

static void a_key_in_the_address_must_be_the_partys(void **state)
{
	struct roster *r = parse("{\"parties\":[{\"id\":0,\"key\":\"" A
				 "\",\"address\":\"quic://h:1#" A "\"}]}");

	(void)state;
	assert_false(roster_party(r, 0)->address.has_key);
	roster_free(r);
}

/* clang-format off */
static const struct {
	const char *name, *text, *want;
} wrong[] = {
	{ "nothing", "", "r.json:1: " },
	{ "not JSON", "{\n\"parties\": oops}", "r.json:2: " },
	{ "a list", "[]", "r.json: want an object" },
	{ "two at once", "{} {}", "r.json:1: " },
	{ "no parties", "{}", "r.json: no \"parties\"" },
	{ "zero parties", "{\"parties\":[]}", "r.json: no \"parties\"" },
	{ "parties is no list", "{\n\"parties\":{}}", "r.json:2: parties: want a list" },
	{ "unknown key", "{\"session\":\"parties\",\n\n\"partys\":[" ZERO "]}", "r.json:3: unknown key \"partys\"" },
	{ "key twice", "{\"parties\":[" ZERO "],\n\"parties\":[" ZERO "]}", "r.json:2: duplicate object key" },
	{ "session too long", "{\"session\":\"12345678901234567890123456789012345678901234567890123456789012345\","
	  "\"parties\":[" ZERO "]}", "r.json:1: session: want a string of 1 to 64" },
	{ "session with a newline", "{\"session\":\"a\\nb\",\"parties\":[" ZERO "]}", "r.json:1: session: " },
	{ "session is a number", "{\"session\":7,\"parties\":[" ZERO "]}", "r.json:1: session: " },
	{ "another profile", "{\"profile\":\"snet/2\",\"parties\":[" ZERO "]}", "r.json:1: profile: want \"snet/1\"" },
	{ "another profile of a party", "{\"parties\":[\n{\"id\":0,\"profile\":\"x\"}]}",
	  "r.json:2: parties[0]: profile: want \"snet/1\"" },
	{ "member is no object", "{\"parties\":[\n" ZERO ",\n5]}", "r.json:3: parties[1]: want an object" },
	{ "typo in a member", "{\"parties\":[\n" ZERO ",\n{\"id\":1,\"adress\":\"x\"}]}",
	  "r.json:3: parties[1]: unknown key \"adress\"" },
	{ "no id", "{\"parties\":[{" AT(1) ",\"key\":\"" A "\"}]}", "r.json:1: parties[0]: no \"id\"" },
	{ "no key", "{\"parties\":[{\"id\":0," AT(1) "}]}", "r.json:1: parties[0]: no \"key\"" },
	{ "no address", "{\"parties\":[{\"id\":0,\"key\":\"" A "\"}]}", "r.json:1: parties[0]: no \"address\"" },
	{ "client without key", "{\"parties\":[" ZERO "],\n\"clients\":[\n{\"id\":0}]}", "r.json:3: clients[0]: no \"key\"" },
	{ "negative id", "{\"parties\":[{\"id\":-1," AT(1) ",\"key\":\"" A "\"}]}", "r.json:1: parties[0]: id: want" },
	{ "id of everyone", "{\"parties\":[{\"id\":4294967295," AT(1) ",\"key\":\"" A "\"}]}",
	  "r.json:1: parties[0]: id: want a whole number from 0 to 4294967294" },
	{ "id too large for JSON", "{\"parties\":[{\"id\":99999999999999999999," AT(1) ",\"key\":\"" A "\"}]}", "r.json:1: " },
	{ "broken id", "{\"parties\":[{\"id\":1.0," AT(1) ",\"key\":\"" A "\"}]}", "r.json:1: parties[0]: id: want" },
	{ "short key", "{\"parties\":[{\"id\":0," AT(1) ",\"key\":\"AAAA\"}]}", "r.json:1: parties[0]: key: want" },
	{ "key is null", "{\"parties\":[{\"id\":0," AT(1) ",\"key\":null}]}", "r.json:1: parties[0]: key: want" },
	{ "bad address", "{\"parties\":[{\"id\":0,\"address\":\"quic://h\",\"key\":\"" A "\"}]}",
	  "r.json:1: parties[0]: address 'quic://h': port" },
	{ "address without host", "{\"parties\":[{\"id\":0,\"address\":\"quic://:9000\",\"key\":\"" A "\"}]}",
	  "r.json:1: parties[0]: address 'quic://:9000': nobody" },
	{ "address with port 0", "{\"parties\":[{\"id\":0," AT(0) ",\"key\":\"" A "\"}]}",
	  "r.json:1: parties[0]: address 'quic://127.0.0.1:0': nobody" },
	{ "another key in the address", "{\"parties\":[{\"id\":0,\"address\":\"quic://h:1#" B "\",\"key\":\"" A "\"}]}",
	  "r.json:1: parties[0]: the address names another key" },
	{ "name with an escape", "{\"parties\":[{\"id\":0,\"name\":\"\\u001b[2J\"," AT(1) ",\"key\":\"" A "\"}]}",
	  "r.json:1: parties[0]: name: want" },
	{ "empty name", "{\"parties\":[{\"id\":0,\"name\":\"\"," AT(1) ",\"key\":\"" A "\"}]}", "r.json:1: parties[0]: name: want" },
	{ "same id", "{\"parties\":[\n" ONE ",\n" ZERO ",\n{\"id\":1," AT(9002) ",\"key\":\"" C "\"}]}",
	  "r.json:4: parties[2]: the same id as parties[0]" },
	{ "same key", "{\"parties\":[\n" ONE ",\n" ZERO "],\"clients\":[\n{\"id\":1,\"key\":\"" B "\"}]}",
	  "r.json:4: clients[0]: the same key as parties[0]" },
	{ "same name", "{\"parties\":[\n{\"id\":3,\"name\":\"x\"," AT(9000) ",\"key\":\"" A "\"}],\n"
	  "\"clients\":[\n{\"id\":1,\"name\":\"x\",\"key\":\"" B "\"}]}", "r.json:4: clients[0]: the same name as parties[0]" },
};
/* clang-format on */

static void what_is_wrong_is_named_with_file_line_and_party(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct roster *r = NULL;
		struct snet_error err = { 0 };

		print_message("# %s\n", wrong[i].name);
		assert_int_equal(
			roster_parse(&r, wrong[i].text, strlen(wrong[i].text), "r.json", &err),
			SNET_ECONFIG);
		assert_null(r);
		if (strncmp(err.text, wrong[i].want, strlen(wrong[i].want)))
			fail_msg("\"%s\" is not \"%s...\"", err.text, wrong[i].want);
	}
}

static void a_file_that_is_not_there_is_named(void **state)
{
	struct roster *r = NULL;
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(roster_load(&r, "/nonexistent/roster", &err), SNET_ECONFIG);
	assert_non_null(strstr(err.text, "/nonexistent/roster"));
	assert_int_equal(roster_load(&r, "/dev/zero", &err), SNET_ECONFIG); /* has no end */
	assert_non_null(strstr(err.text, "longer than"));
}

static void what_is_written_is_read_again(void **state)
{
	char path[] = "/tmp/snet-roster.XXXXXX";
	struct roster *r = parse(whole), *again = NULL;
	struct snet_error err = { 0 };

	(void)state;
	assert_true(close(mkstemp(path)) == 0);
	assert_int_equal(roster_save(r, path, false, &err), SNET_EIO); /* it exists */
	assert_int_equal(roster_save(r, path, true, &err), SNET_OK);
	assert_int_equal(roster_load(&again, path, &err), SNET_OK);
	assert_string_equal(again->session, r->session);
	assert_int_equal(again->profile, r->profile);
	assert_int_equal(again->parties, r->parties);
	assert_int_equal(again->clients, r->clients);
	for (size_t i = 0; i < r->parties + r->clients; i++) {
		assert_int_equal(again->members[i].id, r->members[i].id);
		assert_int_equal(again->members[i].client, r->members[i].client);
		assert_string_equal(again->members[i].name, r->members[i].name);
		assert_int_equal(again->members[i].profile, r->members[i].profile);
		assert_string_equal(again->members[i].address.host, r->members[i].address.host);
		assert_memory_equal(again->members[i].key, r->members[i].key, SNET_KEYID_BYTES);
	}
	roster_free(again);
	assert_int_equal(unlink(path), 0);
	roster_free(r);
}

static void nothing_is_written_that_would_not_be_read(void **state)
{
	struct roster_member twice[2] = {
		{ .id = 1,
		  .has_address = true,
		  .address = { .scheme = "quic", .host = "h", .port = 1 },
		  .key = { 1 } },
		{ .id = 1,
		  .has_address = true,
		  .address = { .scheme = "quic", .host = "h", .port = 2 },
		  .key = { 2 } },
	};
	struct roster r = { .members = twice, .parties = 2 };
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(roster_save(&r, "/tmp/snet-roster-never", true, &err), SNET_ECONFIG);
	assert_int_equal(access("/tmp/snet-roster-never", F_OK), -1);
}

static void everyone_in_the_roster_is_let_in(void **state)
{
	struct roster *r = parse(whole);
	struct snet_trust *t = NULL;

	(void)state;
	assert_int_equal(snet_trust_new(&t, NULL), SNET_OK);
	assert_int_equal(roster_allow(r, t, NULL), SNET_OK);
	assert_string_equal(snet_trust_name(t, r->members[0].key), "zoe");
	assert_string_equal(snet_trust_name(t, r->members[2].key), "carol");
	snet_trust_free(t);
	roster_free(r);
}

/* Sorting and looking up do not depend on how many there are. */
static void a_thousand_parties_are_read(void **state)
{
	struct snet_buf b = SNET_BUF(1 << 20);
	struct roster_member m = { .has_address = true,
				   .address = { .scheme = "quic", .host = "host", .port = 1 } };
	struct snet_error err = { 0 };
	struct roster *r = NULL;

	(void)state;
	snet_buf_str(&b, "{\"parties\":[");
	for (uint32_t i = 0; i < 1000; i++) {
		m.id = 7919 * i % 1000;
		snet_put_be32(m.key, m.id);
		snprintf(m.name, sizeof(m.name), "p%u", m.id);
		snet_buf_str(&b, i ? ",\n" : "");
		roster_print_member(&b, &m);
	}
	snet_buf_str(&b, "]}");
	assert_false(b.bad);
	assert_int_equal(roster_parse(&r, b.p, b.n, "r.json", &err), SNET_OK);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(r->by_id[i]->id, i);
		assert_ptr_equal(roster_party(r, i), r->by_id[i]);
		assert_ptr_equal(roster_holder(r, r->by_id[i]->key), r->by_id[i]);
		assert_ptr_equal(roster_named(r, r->by_id[i]->name), r->by_id[i]);
	}
	roster_free(r);
	snet_buf_free(&b);
}

static int plan(struct roster *r, size_t n, const char *const *at, size_t at_n,
		const char *prefix, struct snet_error *err)
{
	return roster_plan(r, n, at, at_n, prefix, "label", err);
}

static void one_address_is_the_first_of_many(void **state)
{
	static const char *const one[] = { "quic://[::1]:65533" }, *const each[] = { "a:1",
										     "b:1",
										     "c:7" };
	struct roster r;

	(void)state;
	assert_int_equal(plan(&r, 3, one, 1, "p", NULL), SNET_OK);
	assert_string_equal(r.session, "label");
	assert_int_equal(r.parties, 3);
	assert_int_equal(r.members[2].id, 2);
	assert_string_equal(r.members[2].name, "p-2");
	assert_string_equal(r.members[2].address.host, "::1");
	assert_int_equal(r.members[2].address.port, 65535);
	roster_unplan(&r);
	assert_int_equal(plan(&r, 3, each, 3, "p", NULL), SNET_OK);
	assert_string_equal(r.members[2].address.host, "c");
	assert_int_equal(r.members[2].address.port, 7);
	roster_unplan(&r);
}

/* Steps of one made here: the files are left in dir. */
static void make_steps(struct roster *r, const char *dir, struct snet_slice *keys,
		       struct snet_identity **who)
{
	char path[PATH_MAX];
	struct snet_error err = { 0 };

	for (size_t i = 0; i <= r->parties; i++) {
		assert_int_equal(
			roster_make(r, i, dir, SNET_KEY_P256, false, path, &who[i], &err),
			SNET_OK);
		unlink(path);
		if (i == r->parties)
			return;
		assert_string_equal(snet_identity_name(who[i]), r->members[i].name);
		assert_memory_equal(snet_identity_keyid(who[i]), r->members[i].key,
				    SNET_KEYID_BYTES);
		keys[i].p = snet_identity_spki(who[i], &keys[i].n);
	}
}

static void parties_are_numbered_by_their_public_keys(void **state)
{
	enum { N = 6 }; /* one time in 720 chance would do it */
	static const char *const one[] = { "h:1" };
	char dir[] = "/tmp/test_roster.XXXXXX";
	struct snet_identity *who[N + 1] = { NULL };
	struct snet_slice keys[N];
	struct roster r;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(plan(&r, N, one, 1, "p", NULL), SNET_OK);
	make_steps(&r, dir, keys, who);
	assert_null(who[N]);
	for (size_t i = 1; i < N; i++)
		assert_true(snet_key_compare(&keys[i - 1], &keys[i]) < 0);
	for (size_t i = 0; i < N; i++)
		snet_identity_free(who[i]);
	roster_unplan(&r);
	assert_int_equal(rmdir(dir), 0);
}

static void a_plan_that_cannot_be_is_refused(void **state)
{
	static const char *const at[] = { "h:65534", "h:0", ":9", ("h:9#" A), "nonsense" };
	char prefix[SNET_NAME_MAX + 1] = { 0 };
	struct snet_error err = { 0 };
	struct roster r;

	(void)state;
	/* There is no port 65536. */
	assert_int_equal(plan(&r, 3, at, 1, "p", &err), SNET_EINVAL);
	assert_non_null(strstr(err.text, "65536"));
	assert_int_equal(plan(&r, 3, at, 2, "p", &err), SNET_EINVAL);
	for (size_t i = 1; i < COUNT(at); i++)
		assert_int_equal(plan(&r, 1, at + i, 1, "p", &err), SNET_EINVAL);
	memset(prefix, 'x', SNET_NAME_MAX - 1);
	assert_int_equal(plan(&r, 1, at, 1, prefix, &err), SNET_EINVAL);
	prefix[SNET_NAME_MAX - 2] = '\0';
	assert_int_equal(plan(&r, 1, at, 1, prefix, &err), SNET_OK);
	roster_unplan(&r);
	assert_int_equal(roster_plan(&r, 1, at, 1, "p", "a\nb", &err), SNET_EINVAL);
	assert_int_equal(roster_plan(&r, 1, at, 1, "p", NULL, &err), SNET_OK);
	roster_unplan(&r);
}

static int parse_and_write(void *user)
{
	struct roster *r = NULL;
	int rc = roster_parse(&r, whole, strlen(whole), "r.json", NULL);

	if (!rc)
		rc = roster_save(r, user, true, NULL);
	roster_free(r);
	return rc;
}

static void no_memory_is_an_error(void **state)
{
	char path[] = "/tmp/snet-roster.XXXXXX";

	(void)state;
	assert_true(close(mkstemp(path)) == 0);
	assert_true(torture(parse_and_write, path) > 0);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_roster_is_read),
		cmocka_unit_test(members_are_found_by_id_name_and_key),
		cmocka_unit_test(the_least_roster_is_one_party),
		cmocka_unit_test(a_key_in_the_address_must_be_the_partys),
		cmocka_unit_test(what_is_wrong_is_named_with_file_line_and_party),
		cmocka_unit_test(a_file_that_is_not_there_is_named),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(nothing_is_written_that_would_not_be_read),
		cmocka_unit_test(everyone_in_the_roster_is_let_in),
		cmocka_unit_test(a_thousand_parties_are_read),
		cmocka_unit_test(one_address_is_the_first_of_many),
		cmocka_unit_test(parties_are_numbered_by_their_public_keys),
		cmocka_unit_test(a_plan_that_cannot_be_is_refused),
		cmocka_unit_test(no_memory_is_an_error),
	};

	return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
