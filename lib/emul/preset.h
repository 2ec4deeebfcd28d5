/* Presets: networks by name, as scripts and papers give them. Round trips are split in two
 * halves. Where they come from stands beside each, and in snet-link(1). */
#ifndef SNET_EMUL_PRESET_H
#define SNET_EMUL_PRESET_H

#include "emul/shape.h"

#define SNET_PRESET_PARTIES 4 /* of a measured matrix */

struct snet_preset {
	const char *name;
	struct snet_shape_spec spec;
	/* Measured between parties: round trip in us and rate in Mbit/s from i to j. NULL: all
	 * links alike. */
	const struct snet_preset_matrix *matrix;
	const char *source;
};

extern const struct snet_preset snet_presets[]; /* ends at name == NULL */

const struct snet_preset *snet_preset_find(const char *name); /* NULL: no such */

/* The link from party i to party j, by place in the roster, with the MTU of Ethernet.
 * SNET_EINVAL: the matrix does not reach that far. */
int snet_preset_link(const struct snet_preset *p, size_t i, size_t j,
		     struct snet_shape_spec *out, struct snet_error *err);

/* Names close to what was written, at most n; returns how many. */
size_t snet_preset_near(const char *name, const char **out, size_t n);

#endif
