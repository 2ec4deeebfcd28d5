/* Duct: messages in and out of two descriptors: stdin and stdout of this program, or of one it
 * runs for a peer. */
#ifndef CLI_DUCT_H
#define CLI_DUCT_H

#include "cli/input.h"
#include "cli/output.h"
#include "cli/sink.h"
#include "cli/source.h"

struct duct;

struct duct_events {
	/* One message to be sent. */
	void (*on_item)(struct duct *d, const struct input_message *m, void *user);
	/* A bad item, or a broken descriptor. last: nothing more
	 * can be read; on_end follows. */
	void (*on_bad)(struct duct *d, const struct snet_error *err, uint64_t line, bool last,
		       void *user);
	void (*on_end)(struct duct *d, void *user);  /* end of input, after the last item */
	void (*on_room)(struct duct *d, void *user); /* the sink was full and is no longer */
	/* The sink takes no more. */
	void (*on_broken)(struct duct *d, const struct snet_error *err, void *user);
	/* After one or more on_item: no more now. NULL allowed. */
	void (*on_rest)(struct duct *d, void *user);
	/* As sink_events.on_stall; so many bytes wait. NULL allowed. */
	void (*on_stall)(struct duct *d, size_t waiting, void *user);
};

struct duct {
	struct source *source; /* NULL: no input */
	struct input *input;
	struct sink *sink;
	struct output out;
	const struct duct_events *ev;
	void *user;
	bool own_sink, held, ended, eof;
	bool waited; /* was held since duct_waited was asked */
};

/* in: a descriptor to read, or -1; out: one to write, or -1 with sink, which
 * stays the caller's. own: the descriptors are this duct's to close. Born
 * held: duct_go starts reading. */
struct duct_opts {
	int in, out;
	struct sink *sink;
	bool own;
	const char *in_name, *out_name;
};

int duct_init(struct duct *d, struct snet_loop *l, const struct duct_opts *o,
	      const struct duct_events *ev, void *user, struct snet_error *err);
void duct_fini(struct duct *d);
void duct_go(struct duct *d);         /* read and hand on items */
void duct_hold(struct duct *d);       /* not even one more item, also from within on_item */
bool duct_waited(struct duct *d);     /* it is held, or was since this was asked last */
void duct_close_sink(struct duct *d); /* end of output, once what waits has been written */

#endif
