#include "base/clock.h"

#include <stdio.h>
#include <time.h>

snet_time snet_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (snet_time)t.tv_sec * SNET_SEC + (snet_time)t.tv_nsec;
}

uint64_t snet_wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void snet_wall_text(uint64_t wall_us, char out[static 28])
{
	time_t sec = (time_t)(wall_us / 1000000);
	struct tm tm;
	char date[20];

	if (!gmtime_r(&sec, &tm) || !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm))
		date[0] = '\0';
	snprintf(out, 28, "%s.%06uZ", date, (unsigned)(wall_us % 1000000));
}
