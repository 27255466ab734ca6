// SPDX-License-Identifier: GPL-2.0-or-later
/* what: qcow2's L2 tables and refcount blocks in memory, and the order in which they are written
 *
 * Changed tables stay here until a flush, so that a sequence of allocations writes each table once, and their order on
 * disk (O1 to O3 of qcow2_int.h) is decided in one place. A cache full of changed tables is written whole.
 */
#include <stdlib.h>
#include <string.h>

#include "block/qcow2/qcow2_int.h"

int qcow2_cache_init(struct qcow2 *q, struct qcow2_cache *c)
{
	c->n = (unsigned)MIN(MAX(QCOW2_CACHE_BYTES >> q->cluster_bits, 4u), 512u);
	c->table = xalloc(c->n * sizeof(c->table[0]));
	c->bucket = xalloc(c->n * sizeof(c->bucket[0]));
	for (unsigned i = 0; i < c->n; i++)
		c->bucket[i] = -1;
	return 0;
}

void qcow2_cache_fini(struct qcow2_cache *c)
{
	for (unsigned i = 0; i < c->n && c->table; i++)
		free(c->table[i].buf);
	free(c->table);
	free(c->bucket);
	memset(c, 0, sizeof(*c));
}

static int *bucket_of(const struct qcow2_cache *c, uint64_t offset)
{
	return &c->bucket[(offset >> 9) * 0x9e3779b97f4a7c15ull / (1ull << 32) % c->n];
}

static struct qcow2_table *find(const struct qcow2_cache *c, uint64_t offset)
{
	for (int i = *bucket_of(c, offset); i >= 0; i = c->table[i].next)
		if (c->table[i].offset == offset)
			return &c->table[i];
	return NULL;
}

bool qcow2_cache_has(const struct qcow2_cache *c, uint64_t offset)
{
	return find(c, offset);
}

static void unlink_table(struct qcow2_cache *c, struct qcow2_table *t)
{
	int *at = bucket_of(c, t->offset), me = (int)(t - c->table);

	while (*at != me)
		at = &c->table[*at].next;
	*at = t->next;
	if (t->dirty) /* readers evict too, clean ones: they must not write to ndirty */
		c->ndirty--;
	t->dirty = false;
	t->offset = 0;
}

/* The clean one that was used longest ago, or a free one; NULL: all are dirty. */
static struct qcow2_table *victim(struct qcow2_cache *c)
{
	struct qcow2_table *best = NULL;

	for (unsigned i = 0; i < c->n; i++) {
		struct qcow2_table *t = &c->table[i];

		if (!t->offset)
			return t;
		if (!t->dirty && (!best || t->used < best->used))
			best = t;
	}
	return best;
}

static int fill(struct qcow2 *q, struct qcow2_cache *c, struct qcow2_table *t, uint64_t offset, bool is_new)
{
	int *bucket, rc = 0;

	if (t->offset)
		unlink_table(c, t);
	if (!t->buf)
		t->buf = try_alloc(q->cluster_size, MIB(2));
	if (!t->buf)
		return -ENOMEM;
	if (is_new)
		memset(t->buf, 0, q->cluster_size);
	else
		rc = block_file_read(q->img.file, offset, t->buf, q->cluster_size);
	if (rc)
		return rc;
	bucket = bucket_of(c, offset);
	t->offset = offset;
	t->next = *bucket;
	*bucket = (int)(t - c->table);
	return 0;
}

int qcow2_cache_get(struct qcow2 *q, struct qcow2_cache *c, uint64_t offset, bool is_new, struct qcow2_table **out)
{
	struct qcow2_table *t = find(c, offset);
	int rc = 0;

	if (t && is_new)
		memset(t->buf, 0, q->cluster_size);
	if (!t) {
		t = victim(c);
		if (!t) {
			rc = qcow2_write_tables(q);
			t = rc ? NULL : victim(c);
		}
		if (!t)
			return rc ? rc : -EIO;
		rc = fill(q, c, t, offset, is_new);
		if (rc)
			return rc;
	}
	t->used = ++c->tick;
	*out = t;
	return 0;
}

int qcow2_cache_peek(struct qcow2 *q, struct qcow2_cache *c, uint64_t offset, const uint8_t **buf)
{
	struct qcow2_table *t = find(c, offset);
	int rc = 0;

	if (!t) {
		t = victim(c);
		if (!t) {
			*buf = q->spare;
			return block_file_read(q->img.file, offset, q->spare, q->cluster_size);
		}
		rc = fill(q, c, t, offset, false);
		if (rc)
			return rc;
	}
	t->used = ++c->tick;
	*buf = t->buf;
	return 0;
}

void qcow2_cache_dirty(struct qcow2_cache *c, struct qcow2_table *t)
{
	c->ndirty += !t->dirty;
	t->dirty = true;
}

void qcow2_cache_drop(struct qcow2_cache *c, uint64_t offset)
{
	struct qcow2_table *t = find(c, offset);

	if (t)
		unlink_table(c, t);
}

void qcow2_cache_forget(struct qcow2_cache *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->table[i].offset)
			unlink_table(c, &c->table[i]);
}

static int write_cache(struct qcow2 *q, struct qcow2_cache *c)
{
	for (unsigned i = 0; i < c->n && c->ndirty; i++) {
		struct qcow2_table *t = &c->table[i];
		int rc = t->dirty ? block_file_write(q->img.file, t->offset, t->buf, q->cluster_size) : 0;

		if (rc)
			return rc;
		c->ndirty -= t->dirty;
		t->dirty = false;
	}
	return 0;
}

static int write_range(struct qcow2 *q, uint64_t offset, const uint64_t *table, uint32_t *from, uint32_t *to)
{
	int rc = 0;

	if (*from < *to)
		rc = qcow2_store_table(q, offset + *from * 8ull, table + *from, *to - *from);
	if (!rc)
		*from = *to = 0;
	return rc;
}

static int write_refcounts(struct qcow2 *q)
{
	bool first = q->refblocks.ndirty || q->data_unsynced, table = q->reftable_dirty_from < q->reftable_dirty_to;
	int rc = write_cache(q, &q->refblocks);

	if (!rc && (table || (q->l2.ndirty && first && !q->lazy)))
		rc = block_file_sync(q->img.file);
	if (!rc && table) {
		rc = write_range(q, q->reftable_offset, q->reftable, &q->reftable_dirty_from, &q->reftable_dirty_to);
		if (!rc)
			rc = block_file_sync(q->img.file);
	}
	if (!rc)
		q->data_unsynced = false;
	return rc;
}

int qcow2_write_tables(struct qcow2 *q)
{
	bool l1 = q->l1_dirty_from < q->l1_dirty_to, tables = q->l2.ndirty;
	int rc = write_refcounts(q);

	if (!rc)
		rc = write_cache(q, &q->l2);
	if (!rc && l1 && tables)
		rc = block_file_sync(q->img.file);
	if (!rc && l1)
		rc = write_range(q, q->l1_offset, q->l1, &q->l1_dirty_from, &q->l1_dirty_to);
	return rc;
}

int qcow2_settle(struct qcow2 *q)
{
	int rc = qcow2_write_tables(q);

	if (!rc)
		rc = block_file_sync(q->img.file);
	if (!rc)
		q->data_unsynced = false;
	if (!rc && q->npending)
		rc = qcow2_release_pending(q);
	return rc;
}
