/* Replays a corpus without libFuzzer: fuzz_X runs every file of tests/fuzz/corpus/X, or those
 * given, and speaks TAP. A crash ends the run, which the harness counts as a failure. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (4u << 20) /* bytes; the largest corpus file is far below */

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* The input lies in a block of exactly its size, so that a
 * sanitizer sees a read past the end. */
static int replay(const char *path)
{
	uint8_t *whole = malloc(INPUT_MAX), *exact = NULL;
	FILE *f = fopen(path, "rb");
	size_t n = 0;
	int rc = -1;

	if (!f || !whole)
		goto out;
	n = fread(whole, 1, INPUT_MAX, f);
	exact = malloc(n ? n : 1);
	if (ferror(f) || n == INPUT_MAX || !exact)
		goto out;
	memcpy(exact, whole, n);
	rc = LLVMFuzzerTestOneInput(exact, n) ? -1 : 0;
out:
	if (f)
		fclose(f);
	free(exact);
	free(whole);
	return rc;
}

static int report(int i, const char *path)
{
	const char *name = strrchr(path, '/');
	int rc = replay(path);

	printf("%s %d - %s\n", rc ? "not ok" : "ok", i, name ? name + 1 : path);
	fflush(stdout);
	return rc;
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int replay_corpus(const char *program)
{
	const char *src = getenv("SNET_SRCDIR");
	struct dirent **files = NULL;
	char dir[2048], path[4096];
	int n, bad = 0;

	if (!strncmp(program, "fuzz_", 5))
		program += 5;
	snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s", src ? src : ".", program);
	n = scandir(dir, &files, visible, alphasort);
	if (n <= 0) {
		printf("1..1\nnot ok 1 - %s: %s\n", dir, n < 0 ? strerror(errno) : "empty");
		return 1;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]->d_name);
		bad += report(i + 1, path) != 0;
		free(files[i]);
	}
	free(files);
	return bad != 0;
}

int main(int argc, char **argv)
{
	int bad = 0;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	if (argc == 1)
		return replay_corpus(program_invocation_short_name);
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++)
		bad += report(i, argv[i]) != 0;
	return bad != 0;
}
