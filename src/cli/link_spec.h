/* Link spec: what a link is to be like, as people write it: keys and values in netem's words,
 * the same as options, in matrix files, in schedules and in live control. And the lines of
 * those files. What is written is checked here, whether it makes sense together by
 * snet_shape_check. */
#ifndef CLI_LINK_SPEC_H
#define CLI_LINK_SPEC_H

#include "emul/net.h"

struct snet_preset;

#define LINK_LINE_MAX 65536 /* bytes of one line of a matrix, a schedule, or live control */

/* key: "delay", "loss-gemodel" or "loss_gemodel" ...; adds to *mask. SNET_EINVAL: err begins
 * with the key. */
int link_spec_set(struct snet_shape_spec *s, unsigned *mask, const char *key, const char *value,
		  struct snet_error *err);

/* Or SNET_EINVAL, with the nearest names. */
int link_preset(const struct snet_preset **out, const char *name, struct snet_error *err);

/* What links are called by: "0>1" one way, "0<>1" both ways, "*" for any party, "all". */
struct link_names {
	/* The index of a party by its id or name; SNET_EMUL_ANY: there is none. */
	uint32_t (*find)(const char *name, size_t n, void *user);
	void *user;
};

/* One line of a matrix: {"link": "0>1", "delay": "20ms", ...}. preset: NULL, or what the keys
 * stand on. SNET_ECONFIG. */
int link_line_matrix(struct snet_change *out, const struct snet_preset **preset, void *line,
		     size_t n, const struct link_names *names, struct snet_error *err);

/* One line of a schedule, or of live control, whose at is optional:
 *	{"at": "5s", "link": "0<>1", "change": {"rate": "1mbit"}}
 *	{"at": "5s", "link": "0>1", "change": "cut"}       restore, rebind, reset
 *	{"at": "9s", "partition": [[0, 1], [2]]}
 * SNET_ECONFIG. */
int link_line_change(struct snet_change *out, bool *has_at, void *line, size_t n,
		     const struct link_names *names, struct snet_error *err);

/* Every line of a file that is not blank: rc of fn ends it, and err gets path and line. */
int link_lines(const char *path, void *text, size_t n,
	       int (*fn)(void *line, size_t n, size_t at, void *user, struct snet_error *err),
	       void *user, struct snet_error *err);

#endif
