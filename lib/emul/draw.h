/* Draw: random numbers that are a function of seed, purpose and packet number. What one packet
 * meets depends on no other packet's fate, nor on which other impairments are switched on: the
 * same packets meet the same fate. */
#ifndef SNET_EMUL_DRAW_H
#define SNET_EMUL_DRAW_H

#include <stdint.h>

/* What a number is for: each has a sequence of its own. */
enum snet_draw_for {
	SNET_DRAW_LOSS,
	SNET_DRAW_STATE,
	SNET_DRAW_JITTER,
	SNET_DRAW_DUPLICATE,
	SNET_DRAW_REORDER,
	SNET_DRAW_CORRUPT,
	SNET_DRAW_BIT,
	SNET_DRAW_PORT,
};

/* Any bits: equal arguments, equal result. */
uint64_t snet_draw(uint64_t seed, enum snet_draw_for what, uint64_t n);

/* The same as a number in (0, 1), and as one of a normal distribution of mean 0, deviation 1.
 */
double snet_draw_unit(uint64_t seed, enum snet_draw_for what, uint64_t n);
double snet_draw_normal(uint64_t seed, enum snet_draw_for what, uint64_t n);

/* A normal number as one of another distribution with mean 0 and deviation 1: the quantile of
 * its quantile. Correlation between normal numbers stays correlation. */
double snet_draw_to_uniform(double normal); /* within +-sqrt(3) */
/* Pareto of shape 3, bounded 12 deviations above its mean. Its least is 0.7 below. */
double snet_draw_to_pareto(double normal);

#endif
