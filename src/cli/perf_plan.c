#include <string.h>

#include "base/units.h"
#include "cli/groups.h"
#include "cli/perf.h"

#define SIZES_MAX 16

static int parse_test(enum perf_test *out, const char *name, bool udp, struct snet_error *err)
{
	for (int i = 0; perf_test_names[i]; i++)
		if (!strcmp(perf_test_names[i], name)) {
			*out = (enum perf_test)i;
			return udp && i == PERF_HANDSHAKES
				       ? snet_fail(err, SNET_EINVAL,
						   "--test handshakes: udp:// has none")
				       : SNET_OK;
		}
	return snet_fail(err, SNET_EINVAL,
			 "--test: bad value '%.64s'; latency, rounds, messages, send, receive, "
			 "both or handshakes",
			 name);
}

static int parse_sizes(uint32_t out[SIZES_MAX], const struct opt_list *l,
		       struct snet_error *err)
{
	if (l->n > SIZES_MAX)
		return snet_fail(err, SNET_EINVAL, "--size: more than %d", SIZES_MAX);
	for (size_t i = 0; i < l->n; i++) {
		uint64_t v;

		if (snet_size_parse(&v, l->v[i]) || v < PERF_SIZE_MIN || v > PERF_SIZE_MAX)
			return snet_fail(err, SNET_EINVAL,
					 "--size: bad value '%.64s'; from %d bytes to 16MiB",
					 l->v[i], PERF_SIZE_MIN);
		out[i] = (uint32_t)v;
	}
	return SNET_OK;
}

static int add(struct perf_opts *o, const struct perf_wishes *w, enum perf_test test,
	       uint32_t size, struct snet_error *err)
{
	if (o->n == PERF_PLANS)
		return snet_fail(err, SNET_EINVAL, "more than %d tests, one for each --size",
				 PERF_PLANS);
	o->plans[o->n++] = (struct perf_plan){
		.test = test,
		.size = size,
		.time_ms = (uint32_t)((w->time + w->omit) / SNET_MS),
		.parallel = (uint16_t)w->parallel,
	};
	return SNET_OK;
}

/* Without sizes: what suits the test, of messages several; datagrams only such as most networks
 * take. */
static int add_all(struct perf_opts *o, const struct perf_wishes *w, enum perf_test test,
		   const uint32_t *sizes, bool udp, struct snet_error *err)
{
	static const uint32_t some[] = { 64, 1024, 16384 };
	size_t n = w->sizes.n;
	int rc = SNET_OK;

	if (!n && test == PERF_MESSAGES) {
		sizes = some;
		n = udp ? 2 : 3;
	} else if (!n) {
		return add(o, w, test, 0, err);
	}
	for (size_t i = 0; i < n && !rc; i++)
		rc = add(o, w, test, sizes[i], err);
	return rc;
}

int perf_plan_make(struct perf_opts *o, const struct perf_wishes *w, bool udp,
		   struct snet_error *err)
{
	snet_time longest = (snet_time)PERF_TIME_MAX * SNET_MS;
	uint32_t sizes[SIZES_MAX];
	enum perf_test test = PERF_LATENCY;
	int rc = parse_sizes(sizes, &w->sizes, err);

	o->n = 0;
	if (w->time < SNET_MS || w->time > longest || w->omit > longest ||
	    w->time + w->omit > longest)
		return snet_fail(err, SNET_EINVAL, "--time and --omit: 1ms to 1h together");
	for (size_t i = 0; i < w->tests.n && !rc; i++) {
		rc = parse_test(&test, w->tests.v[i], udp, err);
		if (!rc)
			rc = add_all(o, w, test, sizes, udp, err);
	}
	for (int t = 0; !w->tests.n && t < PERF_TESTS && !rc; t++)
		if (!udp || t != PERF_HANDSHAKES)
			rc = add_all(o, w, (enum perf_test)t, sizes, udp, err);
	return rc;
}

snet_time perf_until(const struct snet_loop *l)
{
	snet_time now = snet_loop_now(l);

	return cli.wait < SNET_NEVER - now ? now + cli.wait : SNET_NEVER;
}
