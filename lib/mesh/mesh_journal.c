#include <string.h>

#include "mesh/mesh_impl.h"

/* What is accepted is in the journal before it is in the outbox; what is taken for good is
 * struck from it. The two number alike. */

static int again(uint32_t party, unsigned stream, uint8_t kind, const struct snet_slice *v,
		 void *user)
{
	struct snet_mesh *mesh = user;

	for (uint32_t i = 0; i < mesh->cfg.n; i++) {
		struct member *m = &mesh->members[i];
		size_t max = m->outbox.max;
		int rc;

		if (mesh->cfg.parties[i].id != party || i == mesh->cfg.self)
			continue;
		m->outbox.max = SIZE_MAX; /* it was accepted once, whatever the queue was */
		rc = snet_outbox_add(&m->outbox, stream, kind, v, v->n ? 1 : 0);
		m->outbox.max = max;
		return rc;
	}
	return SNET_ENOENT;
}

int snet_mesh_journal(struct snet_mesh *mesh, const char *path,
		      struct snet_journal_found *found, struct snet_error *err)
{
	struct snet_journal_owner owner = { .party = mesh->cfg.parties[mesh->cfg.self].id };

	memcpy(owner.roster, mesh->cfg.roster, sizeof(owner.roster));
	return snet_journal_open(&mesh->journal, path, &owner, again, mesh, found, err);
}

/* The payload in one block: *one, the caller's to let go. */
static int gather(struct snet_slice *one, const struct snet_slice *v, size_t n, size_t total)
{
	struct snet_block *b = snet_block_new(total);

	if (!b)
		return SNET_ENOMEM;
	for (size_t i = 0; i < n; i++) {
		memcpy(b->data + b->n, v[i].p, v[i].n);
		b->n += v[i].n;
	}
	*one = (struct snet_slice){ b->data, total, b };
	return SNET_OK;
}

int mesh_journal_add(struct member *m, unsigned stream, uint8_t kind,
		     const struct snet_slice *v, size_t n, size_t total)
{
	struct snet_journal *j = m->mesh->journal;
	uint32_t id = m->mesh->cfg.parties[m->index].id;
	struct snet_slice one = { 0 };
	struct snet_error err = { 0 };
	int rc;

	if (snet_outbox_is_full(&m->outbox))
		return SNET_EAGAIN;
	if (n > SNET_JOURNAL_SLICES) {
		rc = gather(&one, v, n, total);
		if (rc)
			return rc;
		v = &one;
		n = 1;
	}
	rc = snet_journal_add(j, id, stream, kind, v, n, &err);
	if (!rc) {
		rc = snet_outbox_add(&m->outbox, stream, kind, v, n);
		if (rc)
			snet_journal_take_back(j, &err);
	}
	snet_block_free(one.block);
	return rc;
}

/* What cannot be struck now will be with a later one: till then it would be sent twice. */
void mesh_journal_taken(struct member *m, bool anew)
{
	struct snet_journal *j = m->mesh->journal;
	uint32_t id = m->mesh->cfg.parties[m->index].id;
	struct snet_error err = { 0 };

	if (!j)
		return;
	if (anew)
		snet_journal_renewed(j, id);
	for (unsigned i = 0; !anew && i < SNET_RECORD_STREAMS; i++)
		snet_journal_acked(j, id, i, m->outbox.acked[i], &err);
}
