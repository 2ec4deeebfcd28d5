#include "cli/duct.h"

#include "cli/groups.h"

/* Items that were read already come before new bytes; hold stops both. */
static void run_items(struct duct *d)
{
	struct input_message m;
	struct snet_error err;
	bool any = false;
	int rc;

	while (!d->held && !d->ended) {
		rc = input_next(d->input, &m, &err);
		if (rc > 0) {
			any = true;
			d->ev->on_item(d, &m, d->user);
			continue;
		}
		if (!rc)
			break;
		d->ev->on_bad(d, &err, input_line(d->input), input_is_broken(d->input),
			      d->user);
		if (input_is_broken(d->input))
			d->eof = true;
		if (d->eof && input_is_broken(d->input))
			break;
	}
	if (any && d->ev && d->ev->on_rest)
		d->ev->on_rest(d, d->user);
	if (d->held || d->ended || !d->eof)
		return;
	d->ended = true;
	source_pause(d->source);
	d->ev->on_end(d, d->user);
}

static uint8_t *on_source_room(size_t *n, void *user)
{
	struct duct *d = user;

	return input_room(d->input, n);
}

static void on_bytes(size_t n, void *user)
{
	struct duct *d = user;

	input_took(d->input, n);
	run_items(d);
}

static void on_eof(void *user)
{
	struct duct *d = user;

	input_end(d->input);
	d->eof = true;
	run_items(d);
}

static void on_source_error(const struct snet_error *err, void *user)
{
	struct duct *d = user;

	d->ev->on_bad(d, err, 0, true, d->user);
	on_eof(d);
}

static const struct source_events source_events = { on_source_room, on_bytes, on_eof,
						    on_source_error };

static void on_drain(struct sink *s, void *user)
{
	struct duct *d = user;

	(void)s;
	d->ev->on_room(d, d->user);
}

static void on_sink_error(struct sink *s, const struct snet_error *err, void *user)
{
	struct duct *d = user;

	(void)s;
	d->ev->on_broken(d, err, d->user);
}

static void on_sink_stall(struct sink *s, void *user)
{
	struct duct *d = user;

	if (d->ev->on_stall)
		d->ev->on_stall(d, sink_waiting(s), d->user);
}

static const struct sink_events sink_events = { on_drain, on_sink_error, on_sink_stall };

int duct_init(struct duct *d, struct snet_loop *l, const struct duct_opts *o,
	      const struct duct_events *ev, void *user, struct snet_error *err)
{
	struct input_opts in = { .format = (enum format)cli.format,
				 .max_message = (uint32_t)cli.max_message,
				 .kind = cli.kind,
				 .stream = (unsigned)cli.stream };
	int rc = SNET_OK;

	*d = (struct duct){ .ev = ev, .user = user, .held = true, .sink = o->sink };
	if (o->in >= 0) {
		rc = input_new(&d->input, &in);
		if (!rc)
			rc = source_new(&d->source, l, o->in, o->own, o->in_name,
					&source_events, d, err);
	}
	if (!rc && o->out >= 0) {
		rc = sink_new(&d->sink, l, o->out, o->own, o->out_name,
			      output_room_max((uint32_t)cli.max_message), &sink_events, d, err);
		d->own_sink = !rc;
	}
	if (rc) {
		duct_fini(d);
		return rc;
	}
	output_init(&d->out, d->sink, (enum format)cli.format, (enum payload)cli.payload,
		    cli.human);
	return SNET_OK;
}

void duct_fini(struct duct *d)
{
	source_free(d->source);
	input_free(d->input);
	if (d->own_sink)
		sink_close(d->sink, NULL);
	*d = (struct duct){ .ended = true };
}

void duct_go(struct duct *d)
{
	if (!d->held || !d->source)
		return;
	d->held = false;
	run_items(d);
	if (!d->held && !d->ended)
		source_resume(d->source);
}

void duct_hold(struct duct *d)
{
	if (d->held || !d->source)
		return;
	d->held = d->waited = true;
	source_pause(d->source);
}

bool duct_waited(struct duct *d)
{
	bool waited = d->held || d->waited;

	d->waited = false;
	return waited;
}

static void on_flushed(struct sink *s, void *user)
{
	struct duct *d = user;

	d->sink = NULL;
	d->own_sink = false;
	sink_close(s, NULL);
}

void duct_close_sink(struct duct *d)
{
	if (d->own_sink)
		sink_flush_then(d->sink, on_flushed, d);
}
