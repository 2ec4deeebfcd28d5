/* mesh/journal: what comes back after a process has ended, wherever it did; against a naive
 * model of what is outstanding. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mesh/journal.h"
#include "support/torture.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIB (1u << 20)

/* What the system does instead, when a test asks for it. */
static struct {
	bool replaced;  /* between open and lock another holder writes the file anew, once */
	bool in_pieces; /* a write takes one byte, and every second is interrupted */
	bool no_cut;    /* a file does not become shorter */
} odd;

static const struct snet_journal_owner me = { 2, "roster of the session" };
static char dir[] = "/tmp/test_journal.XXXXXX", path[64], tmp[64];

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/file", dir);
	snprintf(tmp, sizeof(tmp), "%s/file.tmp", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int remove_file(void **state)
{
	(void)state;
	unlink(path);
	return unlink(tmp) ? 0 : -1; /* nothing leaves one behind */
}

/* ---- the system */

int flock(int fd, int operation)
{
	if (odd.replaced) {
		int other = open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);

		odd.replaced = false;
		assert_true(other >= 0 && !close(other) && !rename(tmp, path));
	}
	return (int)syscall(SYS_flock, fd, operation);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	static bool interrupted;

	if (!odd.in_pieces)
		return pwritev2(fd, v, n, at, 0);
	interrupted = !interrupted;
	if (interrupted) {
		errno = EINTR;
		return -1;
	}
	while (n && !v->iov_len) {
		v++;
		n--;
	}
	return n ? pwrite(fd, v->iov_base, 1, at) : 0;
}

int ftruncate(int fd, off_t n)
{
	char name[32];

	if (odd.no_cut) {
		errno = EIO;
		return -1;
	}
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return truncate(name, n);
}

/* ---- files */

static struct snet_buf load(void)
{
	struct snet_buf b = SNET_BUF(64 * MIB);
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	do {
		uint8_t *p = snet_buf_room(&b, 65536);

		assert_non_null(p);
		n = read(fd, p, 65536);
		assert_true(n >= 0);
		snet_buf_took(&b, (size_t)n);
	} while (n);
	close(fd);
	return b;
}

static void store(const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_true(write(fd, p, n) == (ssize_t)n);
	close(fd);
}

static uint64_t size_of(const char *file)
{
	struct stat st;

	assert_int_equal(stat(file, &st), 0);
	return (uint64_t)st.st_size;
}

/* ---- the journal, and what is handed back: "party/stream/kind payload;" each */

struct heard {
	struct snet_buf text;
	int answer;
	unsigned blocks;
};

static int hear(uint32_t party, unsigned stream, uint8_t kind, const struct snet_slice *v,
		void *user)
{
	struct heard *h = user;

	h->blocks += v->block != NULL;
	snet_buf_fmt(&h->text, "%u/%u/%u ", (unsigned)party, stream, kind);
	snet_buf_add(&h->text, v->p, v->n);
	snet_buf_u8(&h->text, ';');
	return h->text.bad ? SNET_ENOMEM : h->answer;
}

static struct snet_journal *opened(struct heard *h, struct snet_journal_found *found)
{
	struct snet_journal *j = NULL;
	struct snet_error err = { 0 };

	h->text = SNET_BUF(64 * MIB);
	if (snet_journal_open(&j, path, &me, hear, h, found, &err))
		fail_msg("%s", err.text);
	return j;
}

/* What it holds is just this. */
static struct snet_journal *holds(const char *text, size_t n)
{
	struct heard h = { 0 };
	struct snet_journal *j = opened(&h, NULL);

	assert_int_equal(h.text.n, n);
	if (n)
		assert_memory_equal(h.text.p, text, n);
	snet_buf_free(&h.text);
	return j;
}

static struct snet_journal *holding(const char *text)
{
	return holds(text, strlen(text));
}

static void add(struct snet_journal *j, uint32_t party, unsigned stream, const char *text)
{
	struct snet_slice v = { (const uint8_t *)text, strlen(text), NULL };

	assert_int_equal(snet_journal_add(j, party, stream, 32, &v, 1, NULL), SNET_OK);
}

static void acked(struct snet_journal *j, uint32_t party, unsigned stream, uint64_t count)
{
	assert_int_equal(snet_journal_acked(j, party, stream, count, NULL), SNET_OK);
}

/* It is not opened, with this code and a reason that has this in it, and is not changed. */
static void refused(const struct snet_journal_owner *who, int code, const char *why)
{
	struct snet_buf before = load(), after;
	struct snet_journal *j = NULL;
	struct snet_error err = { 0 };
	struct heard h = { .text = SNET_BUF(MIB) };

	assert_int_equal(snet_journal_open(&j, path, who, hear, &h, NULL, &err), code);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, why) || !strstr(err.text, path))
		fail_msg("\"%s\" does not say \"%s\" of %s", err.text, why, path);
	assert_null(j);
	assert_null(h.text.p);
	after = load();
	assert_int_equal(before.n, after.n);
	assert_memory_equal(before.p, after.p, after.n);
	snet_buf_free(&before);
	snet_buf_free(&after);
}

/* ---- the form */

static void what_was_not_meant_is_no_entry(void **state)
{
	static const struct snet_journal_entry lawful[] = {
		{ SNET_JOURNAL_MESSAGE, 0, 0, 0, 0, 0 },
		{ SNET_JOURNAL_MESSAGE, 15, 255, UINT32_MAX, SNET_JOURNAL_MESSAGE_MAX, 7 },
		{ SNET_JOURNAL_ACKED, 15, 0, 9, UINT64_MAX, 0 },
	};
	static const struct snet_journal_entry unlawful[] = {
		{ (enum snet_journal_type)0, 0, 0, 0, 1, 0 },
		{ (enum snet_journal_type)3, 0, 0, 0, 1, 0 },
		{ SNET_JOURNAL_MESSAGE, 16, 0, 0, 0, 0 },
		{ SNET_JOURNAL_MESSAGE, 0, 0, 0, SNET_JOURNAL_MESSAGE_MAX + 1ull, 0 },
		{ SNET_JOURNAL_ACKED, 0, 0, 0, 0, 0 },
		{ SNET_JOURNAL_ACKED, 0, 32, 0, 1, 0 },
		{ SNET_JOURNAL_ACKED, 0, 0, 0, 1, 1 },
	};
	uint8_t p[SNET_JOURNAL_HEAD];
	struct snet_journal_entry e;

	(void)state;
	for (size_t i = 0; i < LEN(lawful); i++) {
		snet_journal_encode(p, &lawful[i]);
		assert_int_equal(snet_journal_decode(&e, p), SNET_OK);
		assert_int_equal(e.type, lawful[i].type);
		assert_int_equal(e.stream, lawful[i].stream);
		assert_int_equal(e.kind, lawful[i].kind);
		assert_int_equal(e.party, lawful[i].party);
		assert_true(e.n == lawful[i].n && e.check == lawful[i].check);
		for (size_t k = 0; k < 8 * sizeof(p); k++) {
			p[k / 8] ^= 1u << k % 8;
			assert_int_equal(snet_journal_decode(&e, p), SNET_EINTEGRITY);
			p[k / 8] ^= 1u << k % 8;
		}
	}
	for (size_t i = 0; i < LEN(unlawful); i++) {
		snet_journal_encode(p, &unlawful[i]);
		assert_int_equal(snet_journal_decode(&e, p), SNET_EINTEGRITY);
	}
}

static void a_byte_that_means_nothing_is_zero(void **state)
{
	static const struct snet_journal_entry e = { SNET_JOURNAL_MESSAGE };
	uint8_t p[SNET_JOURNAL_HEAD], hash[SNET_BLAKE3_BYTES];
	struct snet_journal_entry back;

	(void)state;
	snet_journal_encode(p, &e);
	assert_int_equal(snet_journal_decode(&back, p), SNET_OK);
	p[3] = 1;
	snet_blake3(hash, p, sizeof(p) - 4);
	memcpy(p + sizeof(p) - 4, hash, 4);
	assert_int_equal(snet_journal_decode(&back, p), SNET_EINTEGRITY);
}

/* ---- what comes back */

static void what_was_not_acknowledged_comes_back_in_order(void **state)
{
	struct snet_journal *j = holding("");

	(void)state;
	add(j, 7, 0, "a");
	add(j, 1, 0, "b");
	add(j, 7, 3, "c");
	add(j, 7, 0, "d");
	add(j, 1, 0, "");
	assert_int_equal(snet_journal_outstanding(j), 5);
	acked(j, 7, 0, 1);
	acked(j, 7, 3, 0);
	assert_int_equal(snet_journal_outstanding(j), 4);
	assert_int_equal(snet_journal_size(j), size_of(path));
	snet_journal_close(j);
	snet_journal_close(holding("1/0/32 b;7/3/32 c;7/0/32 d;1/0/32 ;"));
	snet_journal_close(holding("1/0/32 b;7/3/32 c;7/0/32 d;1/0/32 ;"));
}

static void what_comes_back_is_numbered_from_1(void **state)
{
	struct snet_journal *j = holding("");

	(void)state;
	for (int i = 0; i < 4; i++)
		add(j, 0, 0, (const char *[]){ "a", "b", "c", "d" }[i]);
	acked(j, 0, 0, 2);
	snet_journal_close(j);
	j = holding("0/0/32 c;0/0/32 d;");
	add(j, 0, 0, "e");
	acked(j, 0, 0, 1);
	acked(j, 0, 0, 2);
	snet_journal_close(j);
	j = holding("0/0/32 e;");
	acked(j, 0, 0, 1);
	snet_journal_close(j);
	snet_journal_close(holding(""));
}

static void a_party_that_begins_anew_is_numbered_from_1(void **state)
{
	struct snet_journal *j = holding("");

	(void)state;
	add(j, 0, 0, "a");
	add(j, 0, 0, "b");
	add(j, 0, 5, "c");
	add(j, 1, 0, "x");
	add(j, 1, 0, "y");
	acked(j, 0, 0, 1);
	acked(j, 0, 5, 1);
	acked(j, 1, 0, 1);
	snet_journal_renewed(j, 0);
	snet_journal_renewed(j, 99); /* nothing was ever written to it */
	add(j, 0, 0, "d");
	acked(j, 0, 0, 1); /* b */
	acked(j, 1, 0, 1); /* still x */
	snet_journal_close(j);
	snet_journal_close(holding("1/0/32 y;0/0/32 d;"));
}

static void an_acknowledgement_of_what_there_is_not_changes_nothing(void **state)
{
	struct snet_journal *j = holding("");
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(snet_journal_acked(j, 0, 0, 1, &err), SNET_EINVAL);
	acked(j, 0, 0, 0);
	add(j, 0, 0, "a");
	add(j, 0, 0, "b");
	acked(j, 0, 0, 1);
	assert_int_equal(snet_journal_acked(j, 0, 0, 3, &err), SNET_EINVAL);
	assert_int_equal(snet_journal_acked(j, 0, 0, 0, &err), SNET_EINVAL);
	assert_int_equal(snet_journal_acked(j, 0, 1, 1, &err), SNET_EINVAL);
	assert_int_equal(snet_journal_acked(j, 0, 16, 1, &err), SNET_EINVAL);
	snet_journal_close(j);
	snet_journal_close(holding("0/0/32 b;"));
}

static void slices_make_one_message_and_large_ones_have_a_block(void **state)
{
	static uint8_t large[200000];
	struct snet_slice v[] = { { (const uint8_t *)"ab", 2, NULL },
				  { NULL, 0, NULL },
				  { large, sizeof(large), NULL },
				  { (const uint8_t *)"z", 1, NULL } };
	struct snet_journal *j = holding("");
	struct snet_journal_found found;
	struct heard h = { 0 };

	(void)state;
	memset(large, 'x', sizeof(large));
	assert_int_equal(snet_journal_add(j, 0, 0, 1, v, LEN(v), NULL), SNET_OK);
	assert_int_equal(snet_journal_add(j, 0, 0, 2, v, 2, NULL), SNET_OK);
	assert_int_equal(snet_journal_add(j, 0, 0, 3, NULL, 0, NULL), SNET_OK);
	snet_journal_close(j);
	j = opened(&h, &found);
	assert_int_equal(h.blocks, 1);
	assert_int_equal(found.messages, 3);
	assert_int_equal(found.bytes, sizeof(large) + 5);
	assert_int_equal(found.cut, 0);
	assert_int_equal(h.text.n, 7 + sizeof(large) + 3 + 9 + 7);
	assert_memory_equal(h.text.p, "0/0/1 abx", 9);
	assert_memory_equal(h.text.p + 8, large, sizeof(large));
	assert_memory_equal(h.text.p + 8 + sizeof(large), "z;0/0/2 ab;0/0/3 ;", 18);
	snet_buf_free(&h.text);
	snet_journal_close(j);
}

static void what_has_no_form_is_not_added(void **state)
{
	struct snet_slice many[SNET_JOURNAL_SLICES + 1] = { 0 };
	struct snet_slice huge[] = { { (const uint8_t *)"", SNET_JOURNAL_MESSAGE_MAX, NULL },
				     { (const uint8_t *)"", 1, NULL } };
	struct snet_journal *j = holding("");

	(void)state;
	assert_int_equal(snet_journal_add(j, 0, 16, 32, many, 1, NULL), SNET_EINVAL);
	assert_int_equal(snet_journal_add(j, 0, 0, 32, many, LEN(many), NULL), SNET_EINVAL);
	assert_int_equal(snet_journal_add(j, 0, 0, 32, huge, 2, NULL), SNET_ETOOBIG);
	for (uint32_t i = SNET_JOURNAL_PARTIES; i-- > 0;)
		add(j, 3 * i, 0, "");
	assert_int_equal(snet_journal_add(j, 1, 0, 32, many, 1, NULL), SNET_EINVAL);
	assert_int_equal(snet_journal_outstanding(j), SNET_JOURNAL_PARTIES);
	for (uint32_t i = 0; i < SNET_JOURNAL_PARTIES; i++)
		acked(j, 3 * i, 0, 1);
	snet_journal_close(j);
	snet_journal_close(holding(""));
}

static void the_last_message_is_taken_back(void **state)
{
	struct snet_journal *j = holding("");
	struct snet_error err = { 0 };

	(void)state;
	assert_int_equal(snet_journal_take_back(j, &err), SNET_EINVAL);
	add(j, 0, 0, "a");
	add(j, 0, 1, "b");
	assert_int_equal(snet_journal_take_back(j, &err), SNET_OK);
	assert_int_equal(snet_journal_take_back(j, &err), SNET_EINVAL);
	assert_int_equal(snet_journal_acked(j, 0, 1, 1, NULL), SNET_EINVAL);
	add(j, 0, 0, "c");
	acked(j, 0, 0, 1);
	assert_int_equal(snet_journal_take_back(j, &err), SNET_EINVAL);
	snet_journal_close(j);
	snet_journal_close(holding("0/0/32 c;"));
}

static void who_cannot_take_it_back_ends_open_and_loses_nothing(void **state)
{
	struct heard h = { .text = SNET_BUF(MIB), .answer = SNET_EAGAIN };
	struct snet_error err = { 0 };
	struct snet_journal *j = holding("");

	(void)state;
	add(j, 0, 0, "a");
	add(j, 0, 0, "b");
	snet_journal_close(j);
	assert_int_equal(snet_journal_open(&j, path, &me, hear, &h, NULL, &err), SNET_EAGAIN);
	assert_non_null(strstr(err.text, "cannot hand back message 1: not ready"));
	snet_buf_free(&h.text);
	snet_journal_close(holding("0/0/32 a;0/0/32 b;"));
}

/* ---- whose it is */

static void another_session_or_party_is_refused_by_name(void **state)
{
	struct snet_journal_owner other = me;
	struct snet_journal *j = holding("");
	struct snet_buf b;

	(void)state;
	add(j, 0, 0, "a");
	snet_journal_close(j);
	other.party = 3;
	refused(&other, SNET_ECONFIG, "the journal of party 2, not of party 3");
	other.roster[0] = 'R';
	refused(&other, SNET_ECONFIG,
		"the journal of another session (roster digest 526f73746572206f.. here, "
		"726f73746572206f.. there)");
	b = load();
	b.p[20] ^= 1;
	store(b.p, b.n);
	refused(&me, SNET_EINTEGRITY, "damaged at byte 0");
	snet_buf_free(&b);
}

static void another_version_is_refused(void **state)
{
	uint8_t p[SNET_JOURNAL_HEADER], hash[SNET_BLAKE3_BYTES];

	(void)state;
	snet_journal_header(p, &me);
	p[11] = 2;
	snet_blake3(hash, p, sizeof(p) - 4);
	memcpy(p + sizeof(p) - 4, hash, 4);
	store(p, sizeof(p));
	refused(&me, SNET_ECONFIG, "a journal of version 2, not 1");
}

static void what_is_no_journal_is_left_alone(void **state)
{
	static const char letter[] =
		"Dear all, this is a letter, and it is longer than a header "
		"of 52 bytes.";

	(void)state;
	for (size_t n = 1; n < sizeof(letter); n++) {
		store(letter, n);
		refused(&me, SNET_ECONFIG, "not a journal");
	}
}

static void what_is_no_file_is_refused(void **state)
{
	static const struct {
		const char *path;
		int code;
	} cases[] = { { "/dev/full", SNET_ECONFIG },
		      { "/dev/null", SNET_ECONFIG },
		      { "/tmp", SNET_EIO },
		      { "/nowhere/file", SNET_EIO } };
	struct snet_journal *j = NULL;

	(void)state;
	for (size_t i = 0; i < LEN(cases); i++) {
		struct snet_error err = { 0 };

		assert_int_equal(
			snet_journal_open(&j, cases[i].path, &me, hear, NULL, NULL, &err),
			cases[i].code);
		assert_non_null(strstr(err.text, cases[i].path));
	}
}

static void two_do_not_share_it(void **state)
{
	struct snet_journal *j = holding("");

	(void)state;
	refused(&me, SNET_ECONFIG, "in use by another process");
	add(j, 0, 0, "a");
	snet_journal_close(j);
	snet_journal_close(holding("0/0/32 a;"));
}

static void others_may_not_read_it(void **state)
{
	struct stat st;

	(void)state;
	umask(0);
	snet_journal_close(holding(""));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_file_that_was_replaced_before_the_lock_came_is_not_used(void **state)
{
	struct snet_journal *j;

	(void)state;
	odd.replaced = true;
	j = holding("");
	assert_false(odd.replaced);
	add(j, 0, 0, "a");
	assert_int_equal(size_of(path), snet_journal_size(j));
	snet_journal_close(j);
	snet_journal_close(holding("0/0/32 a;"));
}

/* ---- where a process ended */

/* Some entries of every sort; after each, how long the file was and what was outstanding. */
static size_t history(uint64_t at[16], const char *out[16])
{
	static const struct {
		uint32_t party;
		unsigned stream, acked;
		const char *text, *out;
	} steps[] = {
		{ 0, 0, 1, "a", "0/0/32 a;" },
		{ 5, 1, 1, "bcdefgh", "0/0/32 a;5/1/32 bcdefgh;" },
		{ 0, 0, 1, "", "0/0/32 a;5/1/32 bcdefgh;0/0/32 ;" },
		{ 0, 0, 1, NULL, "5/1/32 bcdefgh;0/0/32 ;" },
		{ 0, 0, 1, "ijklmnopqrstuvwxyz",
		  "5/1/32 bcdefgh;0/0/32 ;0/0/32 ijklmnopqrstuvwxyz;" },
		{ 5, 1, 1, NULL, "0/0/32 ;0/0/32 ijklmnopqrstuvwxyz;" },
		{ 0, 0, 3, NULL, "" },
		{ 5, 1, 1, "z", "5/1/32 z;" },
	};
	struct snet_journal *j = holding("");

	at[0] = snet_journal_size(j);
	out[0] = "";
	for (size_t i = 0; i < LEN(steps); i++) {
		if (steps[i].text)
			add(j, steps[i].party, steps[i].stream, steps[i].text);
		else
			acked(j, steps[i].party, steps[i].stream, steps[i].acked);
		at[i + 1] = snet_journal_size(j);
		out[i + 1] = steps[i].out;
	}
	snet_journal_close(j);
	return LEN(steps) + 1;
}

static void a_file_that_was_cut_anywhere_holds_what_was_whole(void **state)
{
	const char *text[16];
	uint64_t at[16];
	size_t n = history(at, text), step = 0;
	struct snet_buf b = load();

	(void)state;
	assert_int_equal(b.n, at[n - 1]);
	for (size_t cut = 0; cut <= b.n; cut++) {
		struct snet_journal_found found;
		struct heard h = { 0 };
		struct snet_journal *j;

		store(b.p, cut);
		while (step + 1 < n && at[step + 1] <= cut)
			step++;
		j = opened(&h, &found);
		assert_int_equal(h.text.n, strlen(text[step]));
		assert_memory_equal(h.text.p ? h.text.p : (uint8_t *)"", text[step], h.text.n);
		assert_int_equal(found.cut, cut > at[0] ? cut - at[step] : 0);
		assert_int_equal(size_of(path), at[step]);
		snet_buf_free(&h.text);
		add(j, 5, 1, "more");
		snet_journal_close(j);
		h = (struct heard){ 0 };
		j = opened(&h, &found);
		assert_int_equal(found.cut, 0);
		assert_int_equal(h.text.n, strlen(text[step]) + 12);
		snet_buf_free(&h.text);
		snet_journal_close(j);
	}
	snet_buf_free(&b);
}

static void damage_anywhere_is_refused_with_its_place(void **state)
{
	const char *text[16];
	uint64_t at[16];
	size_t n = history(at, text), step = 0;
	struct snet_buf b = load();

	(void)state;
	for (size_t i = SNET_JOURNAL_HEADER; i < b.n; i++) {
		char why[64];

		while (step + 1 < n && at[step + 1] <= i)
			step++;
		snprintf(why, sizeof(why),
			 "damaged at byte %llu:", (unsigned long long)at[step]);
		b.p[i] ^= 1u << i % 8;
		store(b.p, b.n);
		b.p[i] ^= 1u << i % 8;
		refused(&me, SNET_EINTEGRITY, why);
	}
	snet_buf_free(&b);
}

static void more_acknowledged_than_sent_is_damage(void **state)
{
	struct snet_journal_entry e = { SNET_JOURNAL_ACKED, 0, 0, 4, 1 };
	uint8_t p[SNET_JOURNAL_HEADER + SNET_JOURNAL_HEAD];

	(void)state;
	snet_journal_header(p, &me);
	snet_journal_encode(p + SNET_JOURNAL_HEADER, &e);
	store(p, sizeof(p));
	refused(&me, SNET_EINTEGRITY, "damaged at byte 52: more acknowledged than sent");
}

/* Runs fn in a process that is killed by the kernel when a file grows past `limit`; returns
 * whether it was. */
static bool killed_at(rlim_t limit, void (*fn)(void))
{
	struct rlimit none = { 0, 0 }, cap = { limit, limit };
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGXFSZ, SIG_DFL);
		setrlimit(RLIMIT_CORE, &none);
		setrlimit(RLIMIT_FSIZE, &cap);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	else
		assert_int_equal(WTERMSIG(status), SIGXFSZ);
	return WIFSIGNALED(status);
}

static int ignore(uint32_t party, unsigned stream, uint8_t kind, const struct snet_slice *v,
		  void *user)
{
	(void)party, (void)stream, (void)kind, (void)v, (void)user;
	return SNET_OK;
}

static void open_and_add_two(void)
{
	struct snet_slice v[] = { { (const uint8_t *)"one", 3, NULL },
				  { (const uint8_t *)" two", 4, NULL } };
	struct snet_journal *j = NULL;

	if (snet_journal_open(&j, path, &me, ignore, NULL, NULL, NULL) ||
	    snet_journal_add(j, 1, 0, 32, v, 2, NULL) ||
	    snet_journal_add(j, 1, 0, 32, v, 1, NULL) || snet_journal_acked(j, 1, 0, 1, NULL))
		_exit(1);
	snet_journal_close(j);
}

static void a_process_killed_in_the_middle_of_any_write_leaves_what_was_whole(void **state)
{
	static const struct {
		rlim_t from;
		const char *text;
	} want[] = { { 0, "" },
		     { 52 + 24 + 7, "1/0/32 one two;" },
		     { 52 + 24 + 7 + 24 + 3, "1/0/32 one two;1/0/32 one;" },
		     { 52 + 24 + 7 + 24 + 3 + 24, "1/0/32 one;" } };
	size_t step = 0;

	(void)state;
	for (rlim_t k = 0; step + 1 < LEN(want); k++) {
		if (k == want[step + 1].from)
			step++;
		unlink(path);
		assert_int_equal(killed_at(k, open_and_add_two), step + 1 < LEN(want));
		assert_int_equal(size_of(path), k);
		snet_journal_close(holding(want[step].text));
	}
}

/* ---- a full disk */

static void limit_files(rlim_t n)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = n;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void a_full_disk_is_an_error_and_leaves_the_file_as_it_was(void **state)
{
	struct snet_slice v = { (const uint8_t *)"0123456789", 10, NULL };
	struct snet_journal *j = holding("");
	struct snet_error err = { 0 };
	uint64_t before;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	add(j, 0, 0, "a");
	add(j, 0, 0, "b");
	before = size_of(path);
	for (rlim_t room = 0; room < SNET_JOURNAL_HEAD + 10; room++) {
		limit_files(before + room);
		assert_int_equal(snet_journal_add(j, 1, 0, 32, &v, 1, &err), SNET_EIO);
		assert_non_null(strstr(err.text, "cannot write: File too large"));
		assert_non_null(strstr(err.text, path));
		assert_int_equal(size_of(path), before);
		assert_int_equal(snet_journal_outstanding(j), 2);
	}
	limit_files(before);
	assert_int_equal(snet_journal_acked(j, 0, 0, 1, &err), SNET_EIO);
	assert_int_equal(snet_journal_outstanding(j), 2);
	limit_files(RLIM_INFINITY);
	add(j, 1, 0, "c");
	snet_journal_close(j);
	j = holding("0/0/32 a;0/0/32 b;1/0/32 c;");
	acked(j, 0, 0, 2);
	limit_files(size_of(path));
	acked(j, 1, 0, 1); /* the last: an empty file says so */
	assert_int_equal(size_of(path), SNET_JOURNAL_HEADER);
	limit_files(RLIM_INFINITY);
	signal(SIGXFSZ, SIG_DFL);
	snet_journal_close(j);
	snet_journal_close(holding(""));
}

static void what_cannot_be_cut_off_is_before_the_next_is_written(void **state)
{
	struct snet_slice v = { (const uint8_t *)"0123456789", 10, NULL };
	struct snet_journal *j = holding("");
	struct snet_error err = { 0 };

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	limit_files(SNET_JOURNAL_HEADER + 30);
	odd.no_cut = true;
	assert_int_equal(snet_journal_add(j, 0, 0, 32, &v, 1, &err), SNET_EIO);
	limit_files(RLIM_INFINITY);
	assert_int_equal(size_of(path), SNET_JOURNAL_HEADER + 30);
	assert_int_equal(snet_journal_add(j, 0, 0, 32, NULL, 0, &err), SNET_EIO);
	assert_non_null(strstr(err.text, "cannot cut off what was written in part"));
	odd.no_cut = false;
	assert_int_equal(snet_journal_add(j, 0, 0, 32, NULL, 0, &err), SNET_OK);
	odd.no_cut = true;
	assert_int_equal(snet_journal_take_back(j, &err), SNET_EIO);
	odd.no_cut = false;
	signal(SIGXFSZ, SIG_DFL);
	snet_journal_close(j);
	snet_journal_close(holding("0/0/32 ;"));
}

static void writes_may_be_taken_in_pieces(void **state)
{
	struct snet_slice v[] = { { (const uint8_t *)"one", 3, NULL },
				  { NULL, 0, NULL },
				  { (const uint8_t *)" two", 4, NULL } };
	struct snet_journal *j;

	(void)state;
	odd.in_pieces = true;
	j = holding("");
	assert_int_equal(snet_journal_add(j, 0, 0, 32, v, LEN(v), NULL), SNET_OK);
	add(j, 0, 0, "three");
	acked(j, 0, 0, 1);
	add(j, 0, 0, "four");
	odd.in_pieces = false;
	snet_journal_close(j);
	snet_journal_close(holding("0/0/32 three;0/0/32 four;"));
}

/* ---- writing anew */

static char kib[1025];

/* One message stays, n of a KiB each were taken. */
static struct snet_journal *with_dead(const char *text, unsigned n)
{
	struct snet_journal *j = holding("");

	memset(kib, 'k', sizeof(kib) - 1);
	add(j, 9, 0, text);
	for (unsigned i = 0; i < n; i++)
		add(j, 1, 0, kib);
	acked(j, 1, 0, n);
	return j;
}

static void a_file_with_nothing_outstanding_is_emptied(void **state)
{
	struct snet_journal *j = with_dead("a", 900);
	uint64_t before = size_of(path);

	(void)state;
	acked(j, 9, 0, 1);
	assert_true(size_of(path) > before); /* not worth it yet */
	for (unsigned i = 0; i < 200; i++)
		add(j, 1, 0, kib);
	acked(j, 1, 0, 1100);
	assert_int_equal(size_of(path), SNET_JOURNAL_HEADER);
	assert_int_equal(snet_journal_take_back(j, NULL), SNET_EINVAL);
	add(j, 1, 0, "b");
	snet_journal_close(j);
	snet_journal_close(holding("1/0/32 b;"));
}

static void a_file_of_mostly_taken_messages_is_written_anew(void **state)
{
	struct snet_journal *j = with_dead("a", 1100);

	(void)state;
	assert_int_equal(size_of(path), SNET_JOURNAL_HEADER + SNET_JOURNAL_HEAD + 1);
	assert_int_equal(snet_journal_size(j), size_of(path));
	refused(&me, SNET_ECONFIG, "in use by another process"); /* the new one, too */
	add(j, 9, 0, "b");
	add(j, 1, 0, "c");
	acked(j, 9, 0, 1);
	snet_journal_close(j);
	snet_journal_close(holding("9/0/32 b;1/0/32 c;"));
}

static void traffic_that_never_rests_keeps_it_bounded(void **state)
{
	struct snet_journal *j = holding("");

	(void)state;
	memset(kib, 'k', sizeof(kib) - 1);
	for (unsigned i = 0; i < 100; i++)
		add(j, i % 3, i % 2, kib);
	for (unsigned i = 0; i < 5000; i++) {
		add(j, i % 3, 2, kib);
		add(j, i % 3, 2, "");
		acked(j, i % 3, 2, 2ull * (i / 3) + 1);
		assert_true(size_of(path) < 100 * 1100 + MIB + 3 * 1100);
	}
	assert_int_equal(snet_journal_outstanding(j), 103);
	snet_journal_close(j);
}

static void what_cannot_be_written_anew_goes_on_as_it_is(void **state)
{
	struct snet_journal *j = with_dead("a", 10);

	(void)state;
	assert_int_equal(mkdir(tmp, 0700), 0);
	for (unsigned i = 0; i < 1100; i++)
		add(j, 1, 0, kib);
	acked(j, 1, 0, 1110);
	assert_true(size_of(path) > MIB);
	add(j, 1, 0, "b");
	assert_int_equal(rmdir(tmp), 0);
	snet_journal_close(j);
	snet_journal_close(holding("9/0/32 a;1/0/32 b;"));
	assert_true(size_of(path) < 1000);
}

static void open_only(void)
{
	struct snet_journal *j = NULL;

	if (snet_journal_open(&j, path, &me, ignore, NULL, NULL, NULL))
		_exit(1);
	snet_journal_close(j);
}

static const char three[] = "9/0/32 first;9/0/32 second;9/0/32 third;";

/* Holds three, and so much else that the next open writes it anew. */
static struct snet_buf due(void)
{
	struct snet_journal *j = with_dead("first", 10);

	assert_int_equal(mkdir(tmp, 0700), 0); /* so that it is not done already */
	add(j, 9, 0, "second");
	for (unsigned i = 0; i < 1100; i++)
		add(j, 1, 0, kib);
	add(j, 9, 0, "third");
	acked(j, 1, 0, 1110);
	snet_journal_close(j);
	assert_int_equal(rmdir(tmp), 0);
	return load();
}

static void a_process_killed_while_it_writes_anew_loses_nothing(void **state)
{
	struct snet_buf big = due();
	uint64_t k = 0;

	(void)state;
	while (killed_at(k, open_only)) {
		assert_int_equal(size_of(path), big.n);
		assert_int_equal(size_of(tmp), k++);
		if (k % 16 && k > SNET_JOURNAL_HEADER) /* the next finds what this one left */
			continue;
		snet_journal_close(holding(three));
		assert_int_equal(access(tmp, F_OK), -1);
		store(big.p, big.n);
	}
	assert_int_equal(k, SNET_JOURNAL_HEADER + 3 * SNET_JOURNAL_HEAD + 16);
	assert_int_equal(size_of(path), k);
	snet_journal_close(holding(three));
	snet_buf_free(&big);
}

static void a_disk_with_no_room_to_write_it_anew_loses_nothing(void **state)
{
	struct snet_buf big = due();

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	for (rlim_t k = 0; k < SNET_JOURNAL_HEADER + 3 * SNET_JOURNAL_HEAD + 16; k += 13) {
		limit_files(k);
		snet_journal_close(holding(three));
		limit_files(RLIM_INFINITY);
		assert_int_equal(size_of(path), big.n);
		assert_int_equal(access(tmp, F_OK), -1);
	}
	signal(SIGXFSZ, SIG_DFL);
	snet_journal_close(holding(three));
	assert_true(size_of(path) < 1000);
	snet_buf_free(&big);
}

static void a_link_stays_one_when_the_file_is_written_anew(void **state)
{
	char real[64];
	struct stat st;

	(void)state;
	snprintf(real, sizeof(real), "%s/real", dir);
	assert_int_equal(symlink(real, path), 0);
	snet_journal_close(with_dead("a", 1100));
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(size_of(real), SNET_JOURNAL_HEADER + SNET_JOURNAL_HEAD + 1);
	snet_journal_close(holding("9/0/32 a;"));
	assert_int_equal(unlink(real), 0);
}

/* ---- against the model */

struct model {
	struct {
		uint32_t party;
		unsigned stream, text, size;
		bool live;
	} m[4000];
	size_t n;
	uint64_t acked[4][SNET_RECORD_STREAMS], live[4][SNET_RECORD_STREAMS];
};

static uint32_t dice(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void model_add(struct model *m, struct snet_journal *j, uint32_t *seed)
{
	uint32_t party = dice(seed) % 4;
	unsigned stream = dice(seed) % 3 * 7, size = dice(seed) % 20 ? 4 : 30000;
	char text[30001];

	memset(text, 'm', size);
	snprintf(text, 5, "%04u", (unsigned)m->n);
	text[4] = size > 4 ? 'm' : 0;
	text[size] = 0;
	add(j, party, stream, text);
	m->m[m->n].party = party;
	m->m[m->n].stream = stream;
	m->m[m->n].text = (unsigned)m->n;
	m->m[m->n].size = size;
	m->m[m->n++].live = true;
	m->live[party][stream]++;
}

static void model_acked(struct model *m, struct snet_journal *j, uint32_t *seed)
{
	uint32_t party = dice(seed) % 4;
	unsigned stream = dice(seed) % 3 * 7;
	uint64_t k = dice(seed) % (m->live[party][stream] + 1);

	m->live[party][stream] -= k;
	m->acked[party][stream] += k;
	acked(j, party, stream, m->acked[party][stream]);
	for (size_t i = 0; i < m->n && k; i++) {
		if (!m->m[i].live || m->m[i].party != party || m->m[i].stream != stream)
			continue;
		m->m[i].live = false;
		k--;
	}
}

static struct snet_journal *model_reopen(struct model *m, struct snet_journal *j)
{
	struct snet_buf b = SNET_BUF(64 * MIB);

	snet_journal_close(j);
	memset(m->acked, 0, sizeof(m->acked));
	for (size_t i = 0; i < m->n; i++) {
		if (!m->m[i].live)
			continue;
		snet_buf_fmt(&b, "%u/%u/32 %04u", (unsigned)m->m[i].party, m->m[i].stream,
			     m->m[i].text);
		for (unsigned k = 4; k < m->m[i].size; k++)
			snet_buf_u8(&b, 'm');
		snet_buf_u8(&b, ';');
	}
	assert_false(b.bad);
	j = holds((char *)b.p, b.n);
	snet_buf_free(&b);
	return j;
}

static void it_holds_what_a_naive_model_holds(void **state)
{
	static struct model m;

	(void)state;
	for (uint32_t round = 1; round <= 4; round++) {
		struct snet_journal *j = holding("");
		uint32_t seed = round;

		memset(&m, 0, sizeof(m));
		while (m.n < LEN(m.m)) {
			uint32_t what = dice(&seed) % 400;

			if (!what) {
				j = model_reopen(&m, j);
			} else if (what < 4) {
				memset(m.acked[what], 0, sizeof(m.acked[what]));
				snet_journal_renewed(j, what);
			} else if (what < 40) {
				model_acked(&m, j, &seed);
			} else {
				model_add(&m, j, &seed);
			}
		}
		snet_journal_close(model_reopen(&m, j));
		unlink(path);
	}
}

/* ---- memory */

static int use(void *user)
{
	struct heard h = { .text = SNET_BUF(MIB) };
	struct snet_slice v = { (const uint8_t *)kib, 1024, NULL };
	struct snet_journal *j = NULL;
	struct snet_error err = { 0 };
	int rc = snet_journal_open(&j, path, &me, hear, &h, NULL, &err);

	(void)user;
	assert_int_equal(rc, err.code);
	for (uint32_t i = 0; !rc && i < 20; i++) {
		uint64_t before = snet_journal_outstanding(j);

		rc = snet_journal_add(j, i, 0, 32, &v, 1, NULL);
		assert_int_equal(snet_journal_outstanding(j), before + !rc);
		assert_int_equal(snet_journal_size(j), size_of(path));
	}
	snet_buf_free(&h.text);
	snet_journal_close(j);
	return rc;
}

static void without_memory_nothing_is_lost(void **state)
{
	static char large[20001];
	struct snet_journal *j = holding("");
	struct heard h = { 0 };

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	add(j, 7, 0, large);
	add(j, 7, 0, "a");
	snet_journal_close(j);
	assert_true(torture(use, NULL) > 5);
	j = opened(&h, NULL);
	assert_int_equal(h.blocks, 1);
	assert_memory_equal(h.text.p + 7, large, sizeof(large) - 1);
	assert_memory_equal(h.text.p + 7 + sizeof(large) - 1, ";7/0/32 a;", 10);
	snet_buf_free(&h.text);
	snet_journal_close(j);
}

#define TEST(fn) cmocka_unit_test_teardown(fn, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_not_meant_is_no_entry),
		cmocka_unit_test(a_byte_that_means_nothing_is_zero),
		TEST(what_was_not_acknowledged_comes_back_in_order),
		TEST(what_comes_back_is_numbered_from_1),
		TEST(a_party_that_begins_anew_is_numbered_from_1),
		TEST(an_acknowledgement_of_what_there_is_not_changes_nothing),
		TEST(slices_make_one_message_and_large_ones_have_a_block),
		TEST(what_has_no_form_is_not_added),
		TEST(the_last_message_is_taken_back),
		TEST(who_cannot_take_it_back_ends_open_and_loses_nothing),
		TEST(another_session_or_party_is_refused_by_name),
		TEST(another_version_is_refused),
		TEST(what_is_no_journal_is_left_alone),
		cmocka_unit_test(what_is_no_file_is_refused),
		TEST(two_do_not_share_it),
		TEST(others_may_not_read_it),
		TEST(a_file_that_was_replaced_before_the_lock_came_is_not_used),
		TEST(a_file_that_was_cut_anywhere_holds_what_was_whole),
		TEST(damage_anywhere_is_refused_with_its_place),
		TEST(more_acknowledged_than_sent_is_damage),
		TEST(a_process_killed_in_the_middle_of_any_write_leaves_what_was_whole),
		TEST(a_full_disk_is_an_error_and_leaves_the_file_as_it_was),
		TEST(what_cannot_be_cut_off_is_before_the_next_is_written),
		TEST(writes_may_be_taken_in_pieces),
		TEST(a_file_with_nothing_outstanding_is_emptied),
		TEST(a_file_of_mostly_taken_messages_is_written_anew),
		TEST(traffic_that_never_rests_keeps_it_bounded),
		TEST(what_cannot_be_written_anew_goes_on_as_it_is),
		TEST(a_process_killed_while_it_writes_anew_loses_nothing),
		TEST(a_disk_with_no_room_to_write_it_anew_loses_nothing),
		TEST(a_link_stays_one_when_the_file_is_written_anew),
		TEST(it_holds_what_a_naive_model_holds),
		TEST(without_memory_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
