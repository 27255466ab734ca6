// SPDX-License-Identifier: GPL-2.0-or-later
/* what: who uses each cluster of a qcow2 file: refcounts of 1 to 64 bits, new clusters, freed ones
 *
 * New clusters are the first free ones, taken in runs, so that what the guest writes in sequence lies so. A refcount
 * block that does not exist yet is put into the first free cluster it counts itself. When the refcount table is full, a
 * larger one goes behind everything, with the blocks that count it.
 */
#include <stdlib.h>
#include <string.h>

#include "block/qcow2/qcow2_int.h"

static unsigned block_bits(const struct qcow2 *q) /* log2 of the refcounts in a block */
{
	return q->cluster_bits + 3 - q->refcount_order;
}

uint64_t qcow2_refcount_limit(const struct qcow2 *q)
{
	return q->refcount_order == 6 ? UINT64_MAX >> 1 : (1ull << (1u << q->refcount_order)) - 1;
}

uint64_t qcow2_refcount_get(const struct qcow2 *q, const uint8_t *b, uint64_t i)
{
	unsigned bits = 1u << q->refcount_order, per = 8 / MIN(bits, 8u);

	switch (q->refcount_order) {
	case 6:
		return block_get_be64(b + i * 8);
	case 5:
		return get_be32(b + i * 4);
	case 4:
		return get_be16(b + i * 2);
	default:
		return b[i / per] >> (i % per * bits) & ((1u << bits) - 1);
	}
}

static void put(const struct qcow2 *q, uint8_t *b, uint64_t i, uint64_t v)
{
	unsigned bits = 1u << q->refcount_order, per = 8 / MIN(bits, 8u), shift = (unsigned)(i % per) * bits;
	unsigned mask = ((1u << MIN(bits, 8u)) - 1) << shift;

	switch (q->refcount_order) {
	case 6:
		block_put_be64(b + i * 8, v);
		break;
	case 5:
		put_be32(b + i * 4, (uint32_t)v);
		break;
	case 4:
		put_be16(b + i * 2, (uint16_t)v);
		break;
	default:
		b[i / per] = (uint8_t)((b[i / per] & ~mask) | (v << shift & mask));
	}
}

/* The block that counts cluster; NULL in *t if there is none. */
static int find_block(struct qcow2 *q, uint64_t cluster, struct qcow2_table **t)
{
	uint64_t index = cluster >> block_bits(q), offset;

	*t = NULL;
	if (index >= q->reftable_size)
		return 0;
	offset = q->reftable[index] & ~511ull;
	if (!offset)
		return 0;
	if (offset & (q->cluster_size - 1))
		return qcow2_corrupt(q, "a refcount block is not aligned", offset);
	return qcow2_cache_get(q, &q->refblocks, offset, false, t);
}

int qcow2_refcount(struct qcow2 *q, uint64_t cluster, uint64_t *count)
{
	struct qcow2_table *t;
	int rc = find_block(q, cluster, &t);

	*count = 0;
	if (!rc && t)
		*count = qcow2_refcount_get(q, t->buf, cluster & ((1ull << block_bits(q)) - 1));
	return rc;
}

static void set_in(struct qcow2 *q, struct qcow2_table *t, uint64_t cluster, uint64_t count)
{
	put(q, t->buf, cluster & ((1ull << block_bits(q)) - 1), count);
	qcow2_cache_dirty(&q->refblocks, t);
}

static void reftable_set(struct qcow2 *q, uint32_t index, uint64_t offset)
{
	bool clean = q->reftable_dirty_from >= q->reftable_dirty_to;

	q->reftable[index] = offset;
	q->reftable_dirty_from = clean ? index : MIN(q->reftable_dirty_from, index);
	q->reftable_dirty_to = MAX(q->reftable_dirty_to, index + 1);
}

/* A table twice as large behind everything: [blocks that count this area][table]. Its own area begins where the old
 * table's reach ends, and not before hint, so nothing else can be there. */
static int grow_reftable(struct qcow2 *q)
{
	uint64_t per_block = 1ull << block_bits(q), index = MAX(q->reftable_size, (q->hint + per_block - 1) / per_block);
	uint64_t first = index << block_bits(q);
	uint64_t want = MAX((uint64_t)q->reftable_size * 2, q->reftable_size + 16ull), blocks = 1, clusters;
	uint64_t old = q->reftable_offset;
	uint64_t old_clusters = (q->reftable_size * 8ull + q->cluster_size - 1) >> q->cluster_bits;
	uint64_t *table;
	int rc = 0;

	clusters = (want * 8 + q->cluster_size - 1) >> q->cluster_bits;
	while (blocks * per_block < blocks + clusters)
		blocks++;
	want = MAX(want, index + blocks);
	clusters = (want * 8 + q->cluster_size - 1) >> q->cluster_bits;
	want = (clusters << q->cluster_bits) / 8;
	if (want > QCOW2_REFTABLE_MAX || first + blocks + clusters > (uint64_t)INT64_MAX >> q->cluster_bits)
		return -EFBIG;
	table = try_alloc(want * 8, QCOW2_REFTABLE_MAX * 8);
	if (!table)
		return -ENOMEM;
	memcpy(table, q->reftable, q->reftable_size * 8ull);
	for (uint64_t b = 0; b < blocks && !rc; b++) {
		struct qcow2_table *t;

		table[index + b] = (first + b) << q->cluster_bits;
		rc = qcow2_cache_get(q, &q->refblocks, (first + b) << q->cluster_bits, true, &t);
		for (uint64_t c = b * per_block; !rc && c < MIN((b + 1) * per_block, blocks + clusters); c++)
			set_in(q, t, first + c, 1);
	}
	if (!rc)
		rc = qcow2_write_tables(q);
	if (!rc)
		rc = qcow2_store_table(q, (first + blocks) << q->cluster_bits, table, (uint32_t)want);
	if (!rc)
		rc = block_file_sync(q->img.file);
	if (!rc) {
		uint8_t field[12];

		block_put_be64(field, (first + blocks) << q->cluster_bits);
		put_be32(field + 8, (uint32_t)clusters);
		rc = block_file_write(q->img.file, H_REFTABLE, field, sizeof(field)); /* both fields in one write */
	}
	if (rc) {
		free(table);
		return rc;
	}
	free(q->reftable);
	q->reftable = table;
	q->reftable_size = (uint32_t)want;
	q->reftable_offset = (first + blocks) << q->cluster_bits;
	q->fresh = MAX(q->fresh, (first + blocks + clusters) << q->cluster_bits);
	qcow2_free_later(q, old, old_clusters);
	return 0;
}

/* The block that counts cluster, which is free; if there is none, it is made, at cluster itself. */
static int make_block(struct qcow2 *q, uint64_t cluster, struct qcow2_table **t)
{
	uint32_t index;
	int rc = 0;

	while (!rc && cluster >> block_bits(q) >= q->reftable_size)
		rc = grow_reftable(q);
	if (!rc)
		rc = find_block(q, cluster, t);
	if (rc || *t)
		return rc;
	index = (uint32_t)(cluster >> block_bits(q));
	if (qcow2_is_metadata(q, cluster << q->cluster_bits, q->cluster_size))
		return qcow2_corrupt(q, "a cluster in use has no refcount block", cluster << q->cluster_bits);
	rc = qcow2_cache_get(q, &q->refblocks, cluster << q->cluster_bits, true, t);
	if (rc)
		return rc;
	qcow2_cache_dirty(&q->refblocks, *t);
	reftable_set(q, index, cluster << q->cluster_bits);
	set_in(q, *t, cluster, 1);
	q->fresh = MAX(q->fresh, (cluster + 1) << q->cluster_bits);
	return 0;
}

/* A block for a cluster that is in use already, so it goes elsewhere: repair, which has set hint behind all that is. */
static int make_block_apart(struct qcow2 *q, uint64_t cluster, struct qcow2_table **t)
{
	uint64_t place, got;
	int rc = 0;

	while (!rc && cluster >> block_bits(q) >= q->reftable_size)
		rc = grow_reftable(q);
	if (!rc)
		rc = find_block(q, cluster, t); /* growing may have made it, and so may qcow2_alloc */
	if (rc || *t)
		return rc;
	rc = qcow2_alloc(q, 1, &place, &got);
	if (!rc)
		rc = find_block(q, cluster, t);
	if (rc || *t)
		return rc;
	rc = qcow2_cache_get(q, &q->refblocks, place, true, t);
	if (rc)
		return rc;
	qcow2_cache_dirty(&q->refblocks, *t);
	reftable_set(q, (uint32_t)(cluster >> block_bits(q)), place);
	return 0;
}

int qcow2_refcount_set(struct qcow2 *q, uint64_t cluster, uint64_t count)
{
	struct qcow2_table *t;
	int rc = find_block(q, cluster, &t);

	if (!rc && !t && !count)
		return 0;
	if (!rc && !t)
		rc = make_block_apart(q, cluster, &t);
	if (rc)
		return rc;
	set_in(q, t, cluster, count);
	return 0;
}

/* Nobody uses the cluster any more. */
static void gone(struct qcow2 *q, uint64_t cluster)
{
	uint64_t offset = cluster << q->cluster_bits;

	q->hint = MIN(q->hint, cluster);
	q->fresh = MAX(q->fresh, offset + q->cluster_size);
	qcow2_cache_drop(&q->l2, offset);
	qcow2_cache_drop(&q->refblocks, offset);
	if (q->compressed_at >> q->cluster_bits == cluster)
		q->compressed_at = 0;
	block_file_punch(q->img.file, offset, q->cluster_size); /* a hint to the host */
}

int qcow2_refcount_add(struct qcow2 *q, uint64_t offset, uint64_t n, int add)
{
	for (uint64_t c = offset >> q->cluster_bits; n; n--, c++) {
		struct qcow2_table *t;
		uint64_t count;
		int rc = find_block(q, c, &t);

		if (rc)
			return rc;
		count = t ? qcow2_refcount_get(q, t->buf, c & ((1ull << block_bits(q)) - 1)) : 0;
		if (!t || (add < 0 && !count))
			return qcow2_corrupt(q, "a cluster in use has the refcount 0", c << q->cluster_bits);
		if (add > 0 && count >= qcow2_refcount_limit(q))
			return -EOVERFLOW;
		count = add > 0 ? count + 1 : count - 1;
		set_in(q, t, c, count);
		if (!count)
			gone(q, c);
	}
	return 0;
}

/* Is it free? If its block is missing, it is made, at this very cluster: then not any more. */
static int try_cluster(struct qcow2 *q, uint64_t cluster, bool make, bool *is_free)
{
	struct qcow2_table *t;
	int rc = find_block(q, cluster, &t);

	*is_free = false;
	if (rc || (!t && !make))
		return rc;
	if (!t)
		return make_block(q, cluster, &t);
	if (qcow2_refcount_get(q, t->buf, cluster & ((1ull << block_bits(q)) - 1)))
		return 0;
	if (qcow2_is_metadata(q, cluster << q->cluster_bits, q->cluster_size))
		return qcow2_corrupt(q, "a cluster in use has the refcount 0", cluster << q->cluster_bits);
	set_in(q, t, cluster, 1);
	*is_free = true;
	return 0;
}

int qcow2_alloc(struct qcow2 *q, uint64_t n, uint64_t *offset, uint64_t *got)
{
	uint64_t c = q->hint, run = 0;
	bool took = false;
	int rc = 0;

	if (q->lazy && !(q->incompatible & QCOW2_DIRTY))
		rc = qcow2_mark_dirty(q, true);
	while (!rc && !took) {
		if (c >= (uint64_t)INT64_MAX >> q->cluster_bits)
			return -EFBIG;
		rc = try_cluster(q, c, true, &took);
		c += !took;
	}
	for (run = 1; !rc && took && run < n; run += took)
		rc = try_cluster(q, c + run, false, &took);
	if (rc && run <= 1)
		return rc;
	q->hint = c + run;
	*offset = c << q->cluster_bits;
	*got = run;
	q->fresh = MAX(q->fresh, *offset + (run << q->cluster_bits));
	return 0;
}

/* Refcount blocks, where they are missing, for clusters first to last, the new ones from cluster at on. */
static int make_blocks(struct qcow2 *q, uint64_t first, uint64_t last, uint64_t at, uint64_t *made)
{
	int rc = 0;

	*made = 0;
	for (uint64_t i = first >> block_bits(q); i <= last >> block_bits(q) && !rc; i++) {
		uint64_t offset = (at + *made) << q->cluster_bits;
		struct qcow2_table *t;

		if (q->reftable[i] & ~511ull)
			continue;
		rc = qcow2_cache_get(q, &q->refblocks, offset, true, &t);
		if (rc)
			break;
		qcow2_cache_dirty(&q->refblocks, t);
		reftable_set(q, (uint32_t)i, offset);
		++*made;
	}
	return rc;
}

/* Behind everything: [the blocks that count this area, as far as they are missing][n clusters in a row]. */
static int alloc_far(struct qcow2 *q, uint64_t n, uint64_t *offset)
{
	uint64_t blocks = (n >> block_bits(q)) + 3, first, made = 0;
	int rc = 0;

	for (;;) {
		first = MAX(q->fresh >> q->cluster_bits, q->hint);
		if (rc || (first + blocks + n) >> block_bits(q) < q->reftable_size)
			break;
		rc = grow_reftable(q); /* which takes clusters behind everything too */
	}
	if (!rc)
		rc = make_blocks(q, first, first + blocks + n, first, &made);
	for (uint64_t i = 0; i < made && !rc; i++)
		rc = qcow2_refcount_set(q, first + i, 1);
	for (uint64_t i = 0; i < n && !rc; i++)
		rc = qcow2_refcount_set(q, first + blocks + i, 1);
	q->fresh = MAX(q->fresh, (first + blocks + n) << q->cluster_bits);
	*offset = (first + blocks) << q->cluster_bits;
	return rc;
}

int qcow2_alloc_run(struct qcow2 *q, uint64_t n, uint64_t *offset)
{
	uint64_t hint = q->hint, got;
	int rc = qcow2_alloc(q, n, offset, &got);

	if (rc || got == n)
		return rc;
	for (uint64_t i = 0; i < got && !rc; i++)
		rc = qcow2_refcount_set(q, (*offset >> q->cluster_bits) + i, 0);
	q->hint = MIN(hint, q->hint);
	return rc ? rc : alloc_far(q, n, offset);
}

void qcow2_free_later(struct qcow2 *q, uint64_t offset, uint64_t n)
{
	if (q->npending && q->pending[q->npending - 1].offset +
	    (q->pending[q->npending - 1].n << q->cluster_bits) == offset) {
		q->pending[q->npending - 1].n += n;
	} else if (q->npending < QCOW2_PENDING) {
		q->pending[q->npending].offset = offset;
		q->pending[q->npending++].n = n;
	} /* else it leaks: callers settle before the list is full */
}

int qcow2_release_pending(struct qcow2 *q)
{
	int rc = 0;

	for (unsigned i = 0; i < q->npending && !rc; i++)
		rc = qcow2_refcount_add(q, q->pending[i].offset, q->pending[i].n, -1);
	q->npending = 0;
	return rc;
}

void qcow2_packed_place(const struct qcow2 *q, uint64_t entry, uint64_t *offset, uint32_t *len)
{
	unsigned x = 62 - (q->cluster_bits - 8);

	*offset = entry & ((1ull << x) - 1);
	*len = (uint32_t)(((entry & ~(QCOW2_COPIED | QCOW2_COMPRESSED)) >> x) + 1) * 512 - (*offset & 511);
}

int qcow2_alloc_bytes(struct qcow2 *q, uint32_t len, uint64_t *offset)
{
	uint64_t at = q->compressed_at, last, place, got;
	bool more, took = false;
	int rc = 0;

	last = at ? (at + len - 1) >> q->cluster_bits : 0;
	more = at && last != at >> q->cluster_bits;
	if (more)
		rc = try_cluster(q, last, false, &took);
	if (rc)
		return rc;
	if (at && (!more || took)) {
		rc = qcow2_refcount_add(q, at & ~(uint64_t)(q->cluster_size - 1), 1, 1);
		if (!rc) {
			*offset = at;
			q->compressed_at = (at + len) & (q->cluster_size - 1) ? at + len : 0;
			return 0;
		}
		if (took)
			qcow2_refcount_set(q, last, 0);
		if (rc != -EOVERFLOW)
			return rc;
	}
	rc = qcow2_alloc(q, 1, &place, &got);
	if (rc)
		return rc;
	*offset = place;
	q->compressed_at = len & (q->cluster_size - 1) ? place + len : 0;
	return 0;
}

static bool meets(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return a < b + blen && b < a + alen;
}

bool qcow2_is_metadata(const struct qcow2 *q, uint64_t offset, uint64_t len)
{
	if (offset < q->cluster_size || meets(offset, len, q->l1_offset, q->l1_size * 8ull) ||
	    meets(offset, len, q->reftable_offset, q->reftable_size * 8ull) ||
	    meets(offset, len, q->snap_table, q->snap_table_len))
		return true;
	for (uint64_t at = offset & ~(uint64_t)(q->cluster_size - 1); at < offset + len; at += q->cluster_size)
		if (qcow2_cache_has(&q->l2, at) || qcow2_cache_has(&q->refblocks, at))
			return true;
	return false;
}
