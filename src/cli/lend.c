#include "cli/lend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define CHUNK ((size_t)2 << 20) /* bytes: a huge page */
#define PAGE 4096               /* what is left of a chunk below this is left */

static bool huge_pages(void)
{
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	char line[64] = "";
	bool yes;

	if (!f)
		return false;
	yes = fgets(line, sizeof(line), f) && !strstr(line, "[never]");
	fclose(f);
	return yes;
}

void lend_init(struct lend *l, int fd)
{
	struct stat st;

	*l = (struct lend){ .on = !fstat(fd, &st) && S_ISFIFO(st.st_mode) && huge_pages() };
}

void lend_fini(struct lend *l)
{
	if (l->chunk)
		munmap(l->chunk, CHUNK);
	*l = (struct lend){ 0 };
}

/* Aligned, as huge pages must be: twice as much, and the ends given back. */
static uint8_t *map_chunk(void)
{
	uint8_t *p = mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
		*chunk;

	if (p == MAP_FAILED)
		return NULL;
	chunk = p + (CHUNK - (uintptr_t)p % CHUNK) % CHUNK;
	if (chunk > p)
		munmap(p, (size_t)(chunk - p));
	munmap(chunk + CHUNK, (size_t)(p + CHUNK - chunk));
	madvise(chunk, CHUNK, MADV_HUGEPAGE);
	return chunk;
}

static bool renew(struct lend *l)
{
	if (l->chunk && CHUNK - l->at > PAGE)
		return true;
	if (l->chunk)
		munmap(l->chunk, CHUNK);
	l->chunk = map_chunk();
	l->at = 0;
	return l->chunk;
}

static size_t fill(struct lend *l, const struct iovec *v, int n)
{
	size_t total = 0;

	for (; n && l->at + total < CHUNK; n--, v++) {
		size_t k = v->iov_len, room = CHUNK - l->at - total;

		if (k > room)
			k = room;
		if (k)
			memcpy(l->chunk + l->at + total, v->iov_base, k);
		total += k;
	}
	return total;
}

ssize_t lend_writev(struct lend *l, int fd, const struct iovec *v, int n)
{
	struct iovec lent;
	ssize_t k;

	if (!renew(l)) {
		l->on = false;
		errno = ENOSYS;
		return -1;
	}
	lent = (struct iovec){ l->chunk + l->at, fill(l, v, n) };
	k = vmsplice(fd, &lent, 1, SPLICE_F_NONBLOCK);
	if (k > 0) {
		l->at += (size_t)k; /* what was not taken was not lent, and is written over */
	} else if (k < 0 && errno != EAGAIN && errno != EINTR && errno != EPIPE) {
		l->on = false;
		errno = ENOSYS;
	}
	return k;
}
