#include "io/doze.h"

#define SHORT (200 * SNET_US) /* a sleep that was not worth it; and the longest look */
#define MUCH (20 * SNET_US)   /* of work at a time: more comes together the later one looks */
/* Somebody else had the processor, who would not have had it, had the loop slept. */
#define HOGGED (1 * SNET_MS)
#define ALONE (10 * SNET_US) /* a look no longer than this: nobody else had a turn */
#define SPIN (60 * SNET_US)  /* longer than waking up takes, and as long as a round trip */
#define PAUSE_MIN 8
#define PAUSE_MAX 4096

void snet_doze_init(struct snet_doze *d)
{
	*d = (struct snet_doze){ .pause = PAUSE_MIN, .next = PAUSE_MIN };
}

static void in_vain(struct snet_doze *d, snet_time after)
{
	d->looking = false;
	d->hits = 0;
	d->pause = d->next;
	d->next *= after > HOGGED ? 8 : 2;
	if (d->next > PAUSE_MAX)
		d->next = PAUSE_MAX;
}

/* As many hits as the pause was long, and the next is half of it: of all looks at most one in
 * so many is in vain. */
static void hit(struct snet_doze *d)
{
	if (++d->hits < d->next)
		return;
	d->hits = 0;
	if (d->next > PAUSE_MIN)
		d->next /= 2;
}

static void has_come(struct snet_doze *d, snet_time after)
{
	if (d->looking && after > SHORT)
		in_vain(d, after);
	else if (d->looking)
		hit(d);
	else if (after > SHORT)
		d->pause = d->pause > PAUSE_MIN ? d->pause : PAUSE_MIN;
	else if (d->pause)
		d->pause--;
}

bool snet_doze_looks(struct snet_doze *d, snet_time woke, snet_time now, bool worked)
{
	if (d->looking && now - d->last < ALONE)
		d->spun += now - d->last;
	d->last = now;
	if (worked) {
		d->spun = 0;
		has_come(d, woke > d->since ? woke - d->since : 0);
		d->since = now;
		d->looking = !d->pause && now - woke < MUCH;
	} else if (d->looking && (d->spun > SPIN || now - d->since > SHORT)) {
		in_vain(d, now - d->since);
	}
	return d->looking;
}
