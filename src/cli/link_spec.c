#include "cli/link_spec.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "emul/preset.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* NULL: taken; else what is wanted. */
typedef const char *take_fn(struct snet_shape_spec *s, const char *v);

/* "12.5%" to .125. The end of it; NULL: it is none. */
static const char *percent(double *out, const char *v)
{
	double whole = 0, scale = 1;
	size_t n = strspn(v, "0123456789");
	bool any = n > 0 && n < 10;

	for (; any && n; n--)
		whole = whole * 10 + (*v++ - '0');
	if (any && *v == '.') {
		n = strspn(++v, "0123456789");
		any = n > 0 && n < 16;
		for (; any && n; n--)
			whole += (*v++ - '0') * (scale /= 10);
	}
	*out = whole / 100;
	return any && *v == '%' && whole <= 100 ? v + 1 : NULL;
}

static const char *share(double *out, const char *v)
{
	const char *end = percent(out, v);

	return end && !*end ? NULL : "a share from 0% to 100%, with its %";
}

static const char *duration(snet_time *out, const char *v)
{
	return snet_duration_parse(out, v) || *out > SNET_DELAY_MAX
		       ? "a duration up to 1h such as 20ms"
		       : NULL;
}

static const char *take_delay(struct snet_shape_spec *s, const char *v)
{
	return duration(&s->delay, v);
}

static const char *take_rtt(struct snet_shape_spec *s, const char *v)
{
	const char *why = duration(&s->delay, v);

	s->delay /= 2;
	return why;
}

static const char *take_jitter(struct snet_shape_spec *s, const char *v)
{
	return duration(&s->jitter, v);
}

static const char *take_distribution(struct snet_shape_spec *s, const char *v)
{
	static const char *const names[] = { "uniform", "normal", "pareto" };

	for (size_t i = 0; i < COUNT(names); i++) {
		if (!strcmp(names[i], v)) {
			s->distribution = (enum snet_jitter)i;
			return NULL;
		}
	}
	return "uniform, normal or pareto";
}

static const char *take_correlation(struct snet_shape_spec *s, const char *v)
{
	return share(&s->correlation, v);
}

static const char *take_rate(struct snet_shape_spec *s, const char *v)
{
	return snet_rate_parse(&s->rate, v) ? "a rate such as 10mbit or 5MB/s, or 0" : NULL;
}

static const char *take_burst(struct snet_shape_spec *s, const char *v)
{
	return snet_size_parse(&s->burst, v) ? "a size such as 32k" : NULL;
}

static const char *take_limit(struct snet_shape_spec *s, const char *v)
{
	s->limit_bytes = s->limit_time = 0;
	if (strcmp(v, "0") && !snet_size_parse(&s->limit_bytes, v))
		return NULL;
	s->limit_bytes = 0;
	return snet_duration_parse(&s->limit_time, v) || !s->limit_time
		       ? "a size such as 64k, or a time such as 50ms"
		       : NULL;
}

static const char *take_loss(struct snet_shape_spec *s, const char *v)
{
	return share(&s->loss, v);
}

/* p[,r[,loss in bad[,loss in good]]], as netem has them: p, r, 1-h, 1-k. */
static const char *take_gemodel(struct snet_shape_spec *s, const char *v)
{
	static const char want[] = "p,r,bad,good, shares with their %; the first will do";
	double x[4] = { 0, 0, 1, 0 };
	size_t n = 0;

	do {
		v = percent(&x[n++], v);
	} while (v && *v == ',' && n < COUNT(x) && v++);
	if (!v || *v)
		return want;
	s->gemodel = true;
	s->ge_p = x[0];
	s->ge_r = n > 1 ? x[1] : 1 - x[0];
	s->ge_bad = x[2];
	s->ge_good = x[3];
	return NULL;
}

static const char *take_duplicate(struct snet_shape_spec *s, const char *v)
{
	return share(&s->duplicate, v);
}

static const char *take_reorder(struct snet_shape_spec *s, const char *v)
{
	return share(&s->reorder, v);
}

static const char *take_corrupt(struct snet_shape_spec *s, const char *v)
{
	return share(&s->corrupt, v);
}

static const char *take_mtu(struct snet_shape_spec *s, const char *v)
{
	uint64_t n;

	if (snet_size_parse(&n, v) || n > SNET_MTU_MAX || (n && n < SNET_MTU_MIN))
		return "0 or a size from 576 to 65535";
	s->mtu = (uint32_t)n;
	return NULL;
}

static const char *take_in_order(struct snet_shape_spec *s, const char *v)
{
	s->in_order = !strcmp(v, "yes");
	return s->in_order || !strcmp(v, "no") ? NULL : "yes or no";
}

static const struct key {
	const char *name;
	unsigned bit;
	take_fn *take;
} keys[] = {
	{ "delay", SNET_SPEC_DELAY, take_delay },
	{ "rtt", SNET_SPEC_DELAY, take_rtt },
	{ "jitter", SNET_SPEC_JITTER, take_jitter },
	{ "distribution", SNET_SPEC_DISTRIBUTION, take_distribution },
	{ "correlation", SNET_SPEC_CORRELATION, take_correlation },
	{ "rate", SNET_SPEC_RATE, take_rate },
	{ "burst", SNET_SPEC_BURST, take_burst },
	{ "limit", SNET_SPEC_LIMIT, take_limit },
	{ "loss", SNET_SPEC_LOSS, take_loss },
	{ "loss-gemodel", SNET_SPEC_GEMODEL, take_gemodel },
	{ "duplicate", SNET_SPEC_DUPLICATE, take_duplicate },
	{ "reorder", SNET_SPEC_REORDER, take_reorder },
	{ "corrupt", SNET_SPEC_CORRUPT, take_corrupt },
	{ "mtu", SNET_SPEC_MTU, take_mtu },
	{ "in-order", SNET_SPEC_IN_ORDER, take_in_order },
};

static bool is_key(const char *name, const char *written)
{
	for (; *name && (*name == *written || (*name == '-' && *written == '_')); name++)
		written++;
	return !*name && !*written;
}

int link_spec_set(struct snet_shape_spec *s, unsigned *mask, const char *key, const char *value,
		  struct snet_error *err)
{
	char clear[2 * SNET_UNITS_TEXT];
	const char *want;

	for (size_t i = 0; i < COUNT(keys); i++) {
		if (!is_key(keys[i].name, key))
			continue;
		if (*mask & keys[i].bit)
			return snet_fail(err, SNET_EINVAL, "%s: given twice%s", keys[i].name,
					 keys[i].bit == SNET_SPEC_DELAY
						 ? ": delay is one way, rtt both"
						 : "");
		*mask |= keys[i].bit;
		want = keys[i].take(s, value);
		if (!want)
			return SNET_OK;
		if (keys[i].take == take_rate && snet_rate_ambiguous(value, clear))
			return snet_fail(err, SNET_EINVAL,
					 "rate: '%.16s' is ambiguous, bits to some and bytes "
					 "to tc: write %s",
					 value, clear);
		return snet_fail(err, SNET_EINVAL, "%s: bad value '%.64s'; %s", keys[i].name,
				 value, want);
	}
	return snet_fail(err, SNET_EINVAL, "unknown key \"%.64s\"", key);
}

int link_preset(const struct snet_preset **out, const char *name, struct snet_error *err)
{
	const char *near[4];
	char list[128] = "";
	size_t n, at = 0;

	*out = snet_preset_find(name);
	if (*out)
		return SNET_OK;
	n = snet_preset_near(name, near, COUNT(near));
	for (size_t i = 0; i < n && at < sizeof(list) - 1; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s", i ? ", " : "",
				       near[i]);
	return snet_fail(err, SNET_EINVAL, "preset: there is no '%.40s'%s%s", name,
			 n ? "; near to it: " : "; snet-link --list-presets says what there is",
			 list);
}
