#include "emul/net.h"

#include <stdlib.h>

#include "emul/draw.h"

int snet_emul_net_init(struct snet_emul_net *e, size_t n, uint64_t seed)
{
	static const struct snet_shape_spec nothing;

	if (n < 2 || n > SNET_EMUL_PARTIES)
		return SNET_EINVAL;
	*e = (struct snet_emul_net){ n, calloc(n * n, sizeof(*e->links)) };
	if (!e->links)
		return SNET_ENOMEM;
	for (size_t k = 0; k < n * n; k++) {
		/* By the parties alone: a larger net changes no link of a smaller one. */
		uint64_t pair = (uint64_t)(k / n) << 32 | k % n;

		snet_shape_init(&e->links[k].shape, &nothing,
				snet_draw(seed, SNET_DRAW_STATE, pair));
	}
	return SNET_OK;
}

void snet_emul_net_fini(struct snet_emul_net *e)
{
	free(e->links);
	*e = (struct snet_emul_net){ 0 };
}

void snet_emul_link_set(struct snet_emul_link *l, const struct snet_shape_spec *spec)
{
	l->born = *spec;
	snet_shape_change(&l->shape, spec);
}

void snet_spec_merge(struct snet_shape_spec *to, const struct snet_shape_spec *from,
		     unsigned mask)
{
	if (mask & SNET_SPEC_DELAY)
		to->delay = from->delay;
	if (mask & SNET_SPEC_JITTER)
		to->jitter = from->jitter;
	if (mask & SNET_SPEC_DISTRIBUTION)
		to->distribution = from->distribution;
	if (mask & SNET_SPEC_CORRELATION)
		to->correlation = from->correlation;
	if (mask & SNET_SPEC_RATE) {
		to->rate = from->rate;
		if (!to->rate)
			to->burst = to->limit_bytes = to->limit_time = 0;
	}
	if (mask & SNET_SPEC_BURST)
		to->burst = from->burst;
	if (mask & SNET_SPEC_LIMIT) {
		to->limit_bytes = from->limit_bytes;
		to->limit_time = from->limit_time;
	}
	if (mask & SNET_SPEC_LOSS) {
		to->loss = from->loss;
		to->gemodel = false;
	}
	if (mask & SNET_SPEC_GEMODEL) {
		to->gemodel = from->gemodel;
		to->ge_p = from->ge_p;
		to->ge_r = from->ge_r;
		to->ge_bad = from->ge_bad;
		to->ge_good = from->ge_good;
		to->loss = mask & SNET_SPEC_LOSS ? from->loss : 0;
	}
	if (mask & SNET_SPEC_DUPLICATE)
		to->duplicate = from->duplicate;
	if (mask & SNET_SPEC_REORDER)
		to->reorder = from->reorder;
	if (mask & SNET_SPEC_CORRUPT)
		to->corrupt = from->corrupt;
	if (mask & SNET_SPEC_MTU)
		to->mtu = from->mtu;
	if (mask & SNET_SPEC_IN_ORDER)
		to->in_order = from->in_order;
}

/* ---- changes */

static bool is_meant(const struct snet_change *c, size_t from, size_t to)
{
	if (from == to)
		return false;
	if (c->what == SNET_CHANGE_PARTITION)
		return true;
	if ((c->from == SNET_EMUL_ANY || c->from == from) &&
	    (c->to == SNET_EMUL_ANY || c->to == to))
		return true;
	return c->both && (c->from == SNET_EMUL_ANY || c->from == to) &&
	       (c->to == SNET_EMUL_ANY || c->to == from);
}

struct snet_emul_link *snet_change_next(const struct snet_emul_net *e,
					const struct snet_change *c, size_t *at)
{
	while (*at < e->n * e->n) {
		size_t k = (*at)++;

		if (is_meant(c, k / e->n, k % e->n))
			return &e->links[k];
	}
	return NULL;
}

static int check(const struct snet_emul_net *e, const struct snet_change *c,
		 struct snet_error *err)
{
	const struct snet_emul_link *l;
	size_t at = 0, found = 0;

	while ((l = snet_change_next(e, c, &at))) {
		struct snet_shape_spec spec = l->shape.spec;
		int rc;

		found++;
		if (c->what != SNET_CHANGE_SET)
			continue;
		snet_spec_merge(&spec, &c->spec, c->mask);
		rc = snet_shape_check(&spec, err);
		if (rc)
			return rc;
	}
	return found ? SNET_OK : snet_fail(err, SNET_EINVAL, "there is no such link");
}

static void apply(struct snet_emul_net *e, const struct snet_change *c, size_t k)
{
	struct snet_emul_link *l = &e->links[k];
	uint8_t a = c->group[k / e->n], b = c->group[k % e->n];
	struct snet_shape_spec spec = l->shape.spec;

	switch (c->what) {
	case SNET_CHANGE_SET:
		snet_spec_merge(&spec, &c->spec, c->mask);
		snet_shape_change(&l->shape, &spec);
		break;
	case SNET_CHANGE_RESET:
		snet_shape_change(&l->shape, &l->born);
		l->cut = l->apart = false;
		break;
	case SNET_CHANGE_CUT:
		l->cut = true;
		break;
	case SNET_CHANGE_RESTORE:
		l->cut = false;
		break;
	case SNET_CHANGE_PARTITION:
		l->apart = a && b && a != b;
		break;
	case SNET_CHANGE_REBIND:
		break;
	}
	l->shape.down = l->cut || l->apart;
}

int snet_emul_apply(struct snet_emul_net *e, const struct snet_change *c,
		    struct snet_error *err)
{
	const struct snet_emul_link *l;
	size_t at = 0;
	int rc = check(e, c, err);

	if (rc)
		return rc;
	while ((l = snet_change_next(e, c, &at)))
		apply(e, c, (size_t)(l - e->links));
	return SNET_OK;
}

/* ---- the schedule */

void snet_schedule_fini(struct snet_schedule *s)
{
	free(s->v);
	*s = (struct snet_schedule){ 0 };
}

int snet_schedule_add(struct snet_schedule *s, const struct snet_change *c,
		      struct snet_error *err)
{
	struct snet_change *v;
	size_t cap = s->cap ? 2 * s->cap : 16;

	if (s->n && c->at < s->v[s->n - 1].at)
		return snet_fail(err, SNET_ECONFIG,
				 "the schedule goes back in time: line %zu is later",
				 s->v[s->n - 1].line);
	if (s->n == SNET_EMUL_CHANGES)
		return snet_fail(err, SNET_ETOOBIG, "more than %d changes", SNET_EMUL_CHANGES);
	if (s->n == s->cap) {
		v = realloc(s->v, cap * sizeof(*v));
		if (!v)
			return snet_fail(err, SNET_ENOMEM, "%s", snet_err_text(SNET_ENOMEM));
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n++] = *c;
	return SNET_OK;
}

const struct snet_change *snet_schedule_due(struct snet_schedule *s, snet_time elapsed)
{
	return s->next < s->n && s->v[s->next].at <= elapsed ? &s->v[s->next++] : NULL;
}

snet_time snet_schedule_deadline(const struct snet_schedule *s)
{
	return s->next < s->n ? s->v[s->next].at : SNET_NEVER;
}
