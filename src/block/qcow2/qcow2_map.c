// SPDX-License-Identifier: GPL-2.0-or-later
/* what: where qcow2 keeps each guest cluster: the L1 and L2 tables, read in runs, changed one table at a time
 *
 * An L2 table that a snapshot shares is copied before it changes; the copy's clusters keep their refcounts, for the
 * table they came from still refers to them too. Images with extended L2 entries (32 subclusters in each) are read
 * only.
 */
#include <string.h>

#include "block/qcow2/qcow2_int.h"

uint64_t qcow2_entry(const struct qcow2 *q, const uint8_t *l2, uint64_t index)
{
	return block_get_be64(l2 + index * q->l2_entry);
}

enum qcow2_kind qcow2_kind_of(const struct qcow2 *q, uint64_t e)
{
	if (e & QCOW2_COMPRESSED)
		return QCOW2_PACKED;
	if (e & QCOW2_ZERO && q->version >= 3 && !(q->incompatible & QCOW2_EXTENDED_L2))
		return e & QCOW2_OFFSET ? QCOW2_ZEROS_PLACED : QCOW2_ZEROS;
	return e & QCOW2_OFFSET ? QCOW2_NORMAL : QCOW2_NONE;
}

/* Subclusters (extended L2): the entry's second half has a bit each for allocated and, 32 higher, reads as zeros. */
static int subcluster_run(struct qcow2 *q, const uint8_t *l2, uint64_t index, uint64_t in, struct qcow2_run *run)
{
	uint64_t e = qcow2_entry(q, l2, index), bits = block_get_be64(l2 + index * 16 + 8), len = 0;
	uint32_t sub = q->cluster_size / 32;
	enum qcow2_kind kind = QCOW2_NONE;

	if (e & QCOW2_COMPRESSED) {
		run->kind = QCOW2_PACKED;
		run->host = e;
		run->len = MIN(run->len, q->cluster_size - in);
		return 0;
	}
	for (uint32_t i = (uint32_t)(in / sub); i < 32; i++) {
		bool zero = bits >> (32 + i) & 1, placed = bits >> i & 1;
		enum qcow2_kind k = zero ? QCOW2_ZEROS : placed ? QCOW2_NORMAL : QCOW2_NONE;

		if (len && k != kind)
			break;
		kind = k;
		len = (i + 1ull) * sub - in;
	}
	if (kind == QCOW2_NORMAL && (!(e & QCOW2_OFFSET) || e & QCOW2_OFFSET & (q->cluster_size - 1)))
		return qcow2_corrupt(q, "a data cluster is not aligned", e & QCOW2_OFFSET);
	run->kind = kind;
	run->host = (e & QCOW2_OFFSET) + in;
	run->len = MIN(run->len, len);
	return 0;
}

/* Entries that continue the first one: same kind, and one behind the other in the file. */
static int plain_run(struct qcow2 *q, const uint8_t *l2, uint64_t index, uint64_t in, struct qcow2_run *run)
{
	uint64_t first = qcow2_entry(q, l2, index), n = 1, host = first & QCOW2_OFFSET;
	uint64_t most = (in + run->len + q->cluster_size - 1) >> q->cluster_bits;
	bool placed;

	run->kind = qcow2_kind_of(q, first);
	run->copied = first & QCOW2_COPIED;
	placed = run->kind == QCOW2_NORMAL || run->kind == QCOW2_ZEROS_PLACED;
	if (placed && host & (q->cluster_size - 1))
		return qcow2_corrupt(q, "a data cluster is not aligned", host);
	if (run->kind == QCOW2_PACKED)
		most = 1;
	for (; n < most; n++) {
		uint64_t e = qcow2_entry(q, l2, index + n);

		if (qcow2_kind_of(q, e) != run->kind || (placed && (e & QCOW2_OFFSET) != host + (n << q->cluster_bits)) ||
		    (e & QCOW2_COPIED) != (first & QCOW2_COPIED))
			break;
	}
	run->host = run->kind == QCOW2_PACKED ? first : placed ? host + in : 0;
	run->len = MIN(run->len, (n << q->cluster_bits) - in);
	return 0;
}

static int find_locked(struct qcow2 *q, uint64_t offset, bool writing, struct qcow2_run *run)
{
	uint64_t l1 = offset >> (q->cluster_bits + q->l2_bits), l2_len = 1ull << (q->cluster_bits + q->l2_bits), table;
	uint64_t index = offset >> q->cluster_bits & ((1ull << q->l2_bits) - 1), in = offset & (q->cluster_size - 1);
	const uint8_t *l2;
	int rc;

	run->kind = QCOW2_NONE;
	run->len = MIN(run->len, l2_len - (offset & (l2_len - 1)));
	table = l1 < q->l1_size ? q->l1[l1] & QCOW2_OFFSET : 0;
	if (!table)
		return 0;
	if (table & (q->cluster_size - 1))
		return qcow2_corrupt(q, "an L2 table is not aligned", table);
	rc = qcow2_cache_peek(q, &q->l2, table, &l2);
	if (rc)
		return rc;
	rc = q->incompatible & QCOW2_EXTENDED_L2 ? subcluster_run(q, l2, index, in, run) : plain_run(q, l2, index, in, run);
	if (rc || !writing || run->kind != QCOW2_NORMAL || !run->copied)
		return rc;
	if (run->host > q->fresh || run->len > q->fresh - run->host)
		return qcow2_corrupt(q, "a data cluster lies beyond the end of the file", run->host);
	if (qcow2_is_metadata(q, run->host, run->len))
		return qcow2_corrupt(q, "a data cluster lies over a table", run->host);
	return 0;
}

int qcow2_find(struct qcow2 *q, uint64_t offset, uint64_t len, bool writing, struct qcow2_run *run)
{
	int rc;

	*run = (struct qcow2_run){.len = len};
	pthread_mutex_lock(&q->cache_lock);
	rc = find_locked(q, offset, writing, run);
	pthread_mutex_unlock(&q->cache_lock);
	return rc;
}

static void set_l1(struct qcow2 *q, uint32_t index, uint64_t entry)
{
	bool clean = q->l1_dirty_from >= q->l1_dirty_to;

	q->l1[index] = entry;
	q->l1_dirty_from = clean ? index : MIN(q->l1_dirty_from, index);
	q->l1_dirty_to = MAX(q->l1_dirty_to, index + 1);
}

int qcow2_own_l2(struct qcow2 *q, uint64_t offset, struct qcow2_table **t)
{
	uint64_t l1 = offset >> (q->cluster_bits + q->l2_bits), old, place, got;
	struct qcow2_table *from = NULL;
	int rc;

	if (l1 >= q->l1_size)
		return -EIO;
	old = q->l1[l1] & QCOW2_OFFSET;
	if (old & (q->cluster_size - 1))
		return qcow2_corrupt(q, "an L2 table is not aligned", old);
	if (old && old < q->cluster_size)
		return qcow2_corrupt(q, "an L2 table lies over the header", old);
	if (old && q->l1[l1] & QCOW2_COPIED)
		return qcow2_cache_get(q, &q->l2, old, false, t);
	rc = qcow2_alloc(q, 1, &place, &got);
	if (!rc)
		rc = qcow2_cache_get(q, &q->l2, place, true, t);
	if (!rc && old) {
		rc = block_file_read(q->img.file, old, (*t)->buf, q->cluster_size);
		pthread_mutex_lock(&q->cache_lock);
		if (qcow2_cache_has(&q->l2, old) && !qcow2_cache_get(q, &q->l2, old, false, &from))
			memcpy((*t)->buf, from->buf, q->cluster_size);
		pthread_mutex_unlock(&q->cache_lock);
	}
	if (rc) {
		qcow2_cache_drop(&q->l2, place);
		return rc;
	}
	qcow2_cache_dirty(&q->l2, *t);
	set_l1(q, (uint32_t)l1, place | QCOW2_COPIED);
	if (old)
		qcow2_free_later(q, old, 1);
	return 0;
}

void qcow2_set_entry(struct qcow2 *q, struct qcow2_table *t, uint64_t index, uint64_t entry)
{
	block_put_be64(t->buf + index * q->l2_entry, entry);
	qcow2_cache_dirty(&q->l2, t);
}

void qcow2_free_entry(struct qcow2 *q, uint64_t e)
{
	uint64_t at;
	uint32_t len;

	switch (qcow2_kind_of(q, e)) {
	case QCOW2_NORMAL:
	case QCOW2_ZEROS_PLACED:
		qcow2_free_later(q, e & QCOW2_OFFSET, 1);
		break;
	case QCOW2_PACKED:
		qcow2_packed_place(q, e, &at, &len);
		for (uint64_t c = at >> q->cluster_bits; c <= (at + len - 1) >> q->cluster_bits; c++)
			qcow2_free_later(q, c << q->cluster_bits, 1);
		break;
	default:
		break;
	}
}
