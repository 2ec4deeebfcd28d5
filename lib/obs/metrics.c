#include "obs/metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obs/encode.h"

uint64_t snet_metrics[SNET_METRIC_COUNT];

static const struct row {
	const char *name, *type, *help;
} rows[] = {
#define X(name, exposed, type, help) { exposed, #type, help },
	SNET_METRICS(X)
#undef X
};

int snet_metrics_text(struct snet_buf *b)
{
	for (size_t i = 0; i < SNET_METRIC_COUNT; i++)
		snet_buf_fmt(b, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", rows[i].name,
			     rows[i].help, rows[i].name, rows[i].type, rows[i].name,
			     (unsigned long long)snet_metrics[i]);
	if (!b->bad)
		return SNET_OK;
	return b->max - b->n < 512 ? SNET_ETOOBIG : SNET_ENOMEM;
}

int snet_metrics_write(const char *path, struct snet_error *err)
{
	struct snet_buf text = SNET_BUF(64 << 10), tmp = SNET_BUF(4 << 10);
	FILE *f = NULL;
	int rc;

	snet_buf_str(&tmp, path);
	snet_buf_add(&tmp, ".tmp", 5);
	rc = snet_metrics_text(&text);
	if (rc || tmp.bad) {
		rc = snet_fail(err, rc ? rc : SNET_EIO, "%s: %s", path,
			       rc ? snet_err_text(rc) : "name too long");
		goto out;
	}
	f = fopen((const char *)tmp.p, "we");
	if (!f || fwrite(text.p, 1, text.n, f) != text.n || fflush(f)) {
		rc = snet_fail(err, SNET_EIO, "%s: %s", (const char *)tmp.p, strerror(errno));
		goto out;
	}
	rc = fclose(f);
	f = NULL;
	if (rc || rename((const char *)tmp.p, path))
		rc = snet_fail(err, SNET_EIO, "%s: %s", path, strerror(errno));
out:
	if (f)
		fclose(f);
	snet_buf_free(&tmp);
	snet_buf_free(&text);
	return rc;
}
