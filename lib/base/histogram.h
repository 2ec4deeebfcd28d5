/* Histogram: how often which value came, in logarithmic buckets: exact below 128, from there on
 * 128 buckets for each doubling. Fixed in size, whatever comes; quantiles are within 1 %. */
#ifndef SNET_BASE_HISTOGRAM_H
#define SNET_BASE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNET_HISTOGRAM_FINE 7 /* 1 << this: buckets of one doubling */
#define SNET_HISTOGRAM_BUCKETS ((64 - SNET_HISTOGRAM_FINE + 1) << SNET_HISTOGRAM_FINE)

/* All zero is one that is empty. 58 KiB: not for a stack. */
struct snet_histogram {
	uint64_t n;        /* values */
	uint64_t min, max; /* of them, exact; of none both are 0 */
	double sum;
	uint64_t counts[SNET_HISTOGRAM_BUCKETS];
};

void snet_histogram_add(struct snet_histogram *h, uint64_t value);
/* h has what both had. */
void snet_histogram_merge(struct snet_histogram *h, const struct snet_histogram *other);
/* share in [0, 1]: the smallest value that at least so many do not exceed, by its bucket's
 * middle, never outside of [min, max]; 0 of none. */
uint64_t snet_histogram_quantile(const struct snet_histogram *h, double share);
uint64_t snet_histogram_mean(const struct snet_histogram *h); /* 0 of none */

/* The values of a bucket: *low to *high, inclusive. */
void snet_histogram_range(size_t bucket, uint64_t *low, uint64_t *high);
size_t snet_histogram_bucket(uint64_t value);
/* How many values are in [low, high): of a bucket that lies there in part, as large a part. */
double snet_histogram_between(const struct snet_histogram *h, double low, double high);

#endif
