#include "emul/draw.h"

#include <math.h>

#define PI 3.14159265358979323846
#define SQRT2 1.41421356237309504880
#define SQRT3 1.73205080756887729353

/* The finaliser of SplitMix64. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t snet_draw(uint64_t seed, enum snet_draw_for what, uint64_t n)
{
	uint64_t stream = mix(seed + 0x9e3779b97f4a7c15 * ((uint64_t)what + 1));

	return mix(stream + 0x9e3779b97f4a7c15 * (n + 1));
}

double snet_draw_unit(uint64_t seed, enum snet_draw_for what, uint64_t n)
{
	/* 53 bits and a half: never 0, never 1 */
	return ((double)(snet_draw(seed, what, n) >> 11) + .5) / 9007199254740992.;
}

/* Box and Muller */
double snet_draw_normal(uint64_t seed, enum snet_draw_for what, uint64_t n)
{
	double u = snet_draw_unit(seed, what, 2 * n), v = snet_draw_unit(seed, what, 2 * n + 1);

	return sqrt(-2 * log(u)) * cos(2 * PI * v);
}

static double quantile(double normal)
{
	return erfc(-normal / SQRT2) / 2;
}

double snet_draw_to_uniform(double normal)
{
	return (2 * quantile(normal) - 1) * SQRT3;
}

double snet_draw_to_pareto(double normal)
{
	/* 1 <= x <= 10 with density as x^-4. The moments of that: */
	static const double tail = 1e-3, mean = 1.4864864864864864, deviation = 0.7021827598252;
	double x = pow(1 - quantile(normal) * (1 - tail), -1. / 3);

	return (x - mean) / deviation;
}
