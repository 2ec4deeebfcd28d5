#include "base/histogram.h"

#define FINE ((size_t)1 << SNET_HISTOGRAM_FINE)

/* Row r holds values of r + FINE's bits: the first FINE of them are the numbers themselves. */
size_t snet_histogram_bucket(uint64_t value)
{
	unsigned shift;

	if (value < FINE)
		return (size_t)value;
	shift = 63u - (unsigned)__builtin_clzll(value) - SNET_HISTOGRAM_FINE;
	return ((size_t)(shift + 1) << SNET_HISTOGRAM_FINE) + (size_t)(value >> shift) - FINE;
}

void snet_histogram_range(size_t bucket, uint64_t *low, uint64_t *high)
{
	unsigned shift;

	if (bucket < FINE) {
		*low = *high = bucket;
		return;
	}
	shift = (unsigned)(bucket >> SNET_HISTOGRAM_FINE) - 1;
	*low = (uint64_t)(FINE + (bucket & (FINE - 1))) << shift;
	*high = *low + (((uint64_t)1 << shift) - 1);
}

static uint64_t middle(size_t bucket)
{
	uint64_t low, high;

	snet_histogram_range(bucket, &low, &high);
	return low + (high - low) / 2;
}

void snet_histogram_add(struct snet_histogram *h, uint64_t value)
{
	if (!h->n || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->n++;
	h->sum += (double)value;
	h->counts[snet_histogram_bucket(value)]++;
}

void snet_histogram_merge(struct snet_histogram *h, const struct snet_histogram *other)
{
	if (!other->n)
		return;
	if (!h->n || other->min < h->min)
		h->min = other->min;
	if (other->max > h->max)
		h->max = other->max;
	h->n += other->n;
	h->sum += other->sum;
	for (size_t i = 0; i < SNET_HISTOGRAM_BUCKETS; i++)
		h->counts[i] += other->counts[i];
}

uint64_t snet_histogram_quantile(const struct snet_histogram *h, double share)
{
	double exact = share * (double)h->n;
	uint64_t rank = exact > 0 ? (uint64_t)exact : 0, seen = 0, value;

	if ((double)rank < exact || !rank)
		rank++; /* upwards: the smallest that does */
	if (!h->n)
		return 0;
	if (rank >= h->n)
		return h->max;
	for (size_t i = snet_histogram_bucket(h->min); i < SNET_HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen < rank)
			continue;
		value = middle(i);
		return value < h->min ? h->min : value > h->max ? h->max : value;
	}
	return h->max;
}

uint64_t snet_histogram_mean(const struct snet_histogram *h)
{
	return h->n ? (uint64_t)(h->sum / (double)h->n) : 0;
}

double snet_histogram_between(const struct snet_histogram *h, double low, double high)
{
	double n = 0;

	for (size_t i = 0; i < SNET_HISTOGRAM_BUCKETS; i++) {
		uint64_t first, last;
		double from, to, begin;

		if (!h->counts[i])
			continue;
		snet_histogram_range(i, &first, &last);
		begin = (double)first;
		from = begin > low ? begin : low;
		to = (double)last + 1 < high ? (double)last + 1 : high;
		if (to > from)
			n += (double)h->counts[i] * (to - from) / ((double)last + 1 - begin);
	}
	return n;
}
