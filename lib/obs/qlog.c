#include "obs/qlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "obs/encode.h"

struct snet_qlog {
	FILE *file;
	bool done; /* finished or given up: nothing more is written */
	char path[];
};

int snet_qlog_new(struct snet_qlog **out, const char *dir, const uint8_t *id, size_t n,
		  bool server)
{
	size_t dir_n = strlen(dir);
	struct snet_qlog *q;
	char *at;

	if (n > SNET_QLOG_ID_MAX)
		return SNET_EINVAL;
	q = calloc(1, sizeof(*q) + dir_n + 1 + 2 * n + sizeof("_server.sqlog"));
	if (!q)
		return SNET_ENOMEM;
	at = q->path;
	memcpy(at, dir, dir_n);
	at += dir_n;
	*at++ = '/';
	at += snet_hex_encode((uint8_t *)at, id, n);
	strcpy(at, server ? "_server.sqlog" : "_client.sqlog");
	*out = q;
	return SNET_OK;
}

static void give_up(struct snet_qlog *q)
{
	snet_log(SNET_LOG_WARN, "qlog", "%s: %s: no log of this connection", q->path,
		 strerror(errno));
	if (q->file)
		fclose(q->file);
	q->file = NULL;
	q->done = true;
}

/* A stranger picks the connection id, and with it the name: O_EXCL keeps one
 * from replacing another's log. */
static void open_file(struct snet_qlog *q)
{
	int fd = open(q->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);

	q->file = fd < 0 ? NULL : fdopen(fd, "w");
	if (q->file)
		return;
	give_up(q);
	if (fd >= 0)
		close(fd);
}

void snet_qlog_write(struct snet_qlog *q, const void *p, size_t n, bool fin)
{
	if (!q || q->done)
		return;
	if (!q->file)
		open_file(q);
	if (!q->file)
		return;
	if (fwrite(p, 1, n, q->file) != n) {
		give_up(q);
		return;
	}
	if (!fin)
		return;
	if (fflush(q->file)) {
		give_up(q);
		return;
	}
	fclose(q->file);
	q->file = NULL;
	q->done = true;
}

void snet_qlog_free(struct snet_qlog *q)
{
	/* Never finished: what is there is kept. */
	if (q && q->file && fclose(q->file))
		snet_log(SNET_LOG_WARN, "qlog", "%s: %s", q->path, strerror(errno));
	free(q);
}
