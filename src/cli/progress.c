#include "cli/progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/units.h"
#include "cli/say.h"
#include "io/loop.h"
#include "obs/metrics.h"

#define EVERY (500 * SNET_MS)
enum { WIDTH = 72 };

struct progress {
	struct snet_loop *loop;
	struct snet_timer timer;
	snet_time last;
	uint64_t bytes; /* both ways, at last */
	bool terminal, drawn;
};

static struct progress *on_screen; /* there is one terminal */

static void wipe(void)
{
	if (!on_screen || !on_screen->drawn)
		return;
	fprintf(stderr, "\r%*s\r", WIDTH, "");
	on_screen->drawn = false;
}

/* Rounded, for the eye: "12.3 MiB". */
static const char *amount(double n, char out[static 16])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	size_t u = 0;

	for (; n >= 1000 && u + 1 < sizeof(units) / sizeof(units[0]); u++)
		n /= 1024;
	snprintf(out, 16, u ? "%.1f %s" : "%.0f %s", n, units[u]);
	return out;
}

static void draw(struct progress *p, double speed)
{
	char sent[16], received[16], rate[16], line[WIDTH + 1];
	int n = snprintf(line, sizeof(line), "sent %s, received %s, %s/s",
			 amount((double)snet_metrics[SNET_METRIC_SENT_BYTES], sent),
			 amount((double)snet_metrics[SNET_METRIC_RECEIVED_BYTES], received),
			 amount(speed, rate));

	if (!p->terminal) {
		say_note("%s", line);
		return;
	}
	fprintf(stderr, "\r%s%*s", line, WIDTH - n, "");
	p->drawn = true;
}

static void on_timer(struct snet_timer *t, snet_time now)
{
	struct progress *p = t->user;
	uint64_t bytes =
		snet_metrics[SNET_METRIC_SENT_BYTES] + snet_metrics[SNET_METRIC_RECEIVED_BYTES];

	/* The first tick only looks: what is over within a second shows nothing. */
	if (p->bytes && bytes > p->bytes && now > p->last)
		draw(p, (double)(bytes - p->bytes) * 1e9 / (double)(now - p->last));
	p->bytes = bytes;
	p->last = now;
	snet_timer_set(p->loop, t, now + (p->terminal ? EVERY : 2 * EVERY));
}

int progress_new(struct progress **out, struct snet_loop *l)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (!p)
		return SNET_ENOMEM;
	p->loop = l;
	p->terminal = isatty(STDERR_FILENO) == 1;
	p->timer.fn = on_timer;
	p->timer.user = p;
	if (snet_timer_set(l, &p->timer, snet_loop_now(l) + EVERY)) {
		free(p);
		return SNET_ENOMEM;
	}
	on_screen = p;
	say_before(wipe);
	*out = p;
	return SNET_OK;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	wipe();
	say_before(NULL);
	on_screen = NULL;
	snet_timer_stop(p->loop, &p->timer);
	free(p);
}
