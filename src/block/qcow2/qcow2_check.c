// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a qcow2 image checked: every reference counted, compared with the refcounts, and mended
 *
 * Counts are kept in memory, four bytes for each cluster of the file, CHECK_MAX at most. References beyond the end of
 * the file or not aligned are reported and not counted. Repair writes the counted numbers; new refcount blocks go
 * behind everything that is in use. It never touches what the tables refer to.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/qcow2/qcow2_int.h"

#define CHECK_MAX MIB(512)
#define SAY_MAX 100

struct count {
	struct qcow2 *q;
	struct block_check *c;
	uint32_t *refs;
	uint8_t *seen; /* L2 tables that this L1 table has referred to: a bit for each cluster of the file */
	uint64_t clusters; /* of the file */
	unsigned said;
	bool repair;
};

static void say(struct count *k, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct count *k, const char *fmt, ...)
{
	char line[200];
	va_list ap;

	if (!k->c->say || k->said++ >= SAY_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	k->c->say(k->c->opaque, line);
}

/* len bytes at offset are in use by what. A last cluster may be shorter than it should. */
static bool refer(struct count *k, uint64_t offset, uint64_t len, const char *what)
{
	uint64_t first = offset >> k->q->cluster_bits, last = (offset + len - 1) >> k->q->cluster_bits;

	if (!len)
		return true;
	if (offset > INT64_MAX || len > INT64_MAX || last >= k->clusters) {
		say(k, "%s at 0x%llx lies beyond the end of the file", what, (unsigned long long)offset);
		k->c->corruptions++;
		return false;
	}
	for (uint64_t c = first; c <= last; c++)
		k->refs[c] += k->refs[c] < UINT32_MAX;
	return true;
}

static bool aligned(struct count *k, uint64_t offset, const char *what)
{
	if (!(offset & (k->q->cluster_size - 1)))
		return true;
	say(k, "%s at 0x%llx is not aligned", what, (unsigned long long)offset);
	k->c->corruptions++;
	return false;
}

static void count_entry(struct count *k, uint64_t e, bool active)
{
	struct qcow2 *q = k->q;
	uint64_t at;
	uint32_t len;

	switch (qcow2_kind_of(q, e)) {
	case QCOW2_PACKED:
		qcow2_packed_place(q, e, &at, &len);
		/* its last sector may lie behind the end of the file, whose last cluster is counted as whole */
		refer(k, at & ~511ull, (len + (at & 511)), "a compressed cluster");
		k->c->compressed += active;
		k->c->allocated += active;
		break;
	case QCOW2_NORMAL:
	case QCOW2_ZEROS_PLACED:
		if (aligned(k, e & QCOW2_OFFSET, "a data cluster"))
			refer(k, e & QCOW2_OFFSET, q->cluster_size, "a data cluster");
		k->c->allocated += active;
		break;
	default:
		break;
	}
}

/* The second time an L1 table refers to it? Then it is not gone into again: tables could point to it without end. */
static bool seen_before(struct count *k, uint64_t at)
{
	uint64_t c = at >> k->q->cluster_bits;
	bool before = k->seen[c / 8] >> (c % 8) & 1;

	k->seen[c / 8] |= (uint8_t)(1u << (c % 8));
	if (before) {
		say(k, "the L2 table at 0x%llx is in use twice", (unsigned long long)at);
		k->c->corruptions++;
	}
	return before;
}

static int count_l1(struct count *k, const uint64_t *l1, uint64_t l1_offset, uint32_t n, bool active)
{
	struct qcow2 *q = k->q;
	uint8_t *l2 = xalloc(q->cluster_size);

	memset(k->seen, 0, k->clusters / 8 + 1);
	if (n)
		refer(k, l1_offset, n * 8ull, "an L1 table");
	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = l1[i] & QCOW2_OFFSET;

		if (!at || !aligned(k, at, "an L2 table") || !refer(k, at, q->cluster_size, "an L2 table") ||
		    seen_before(k, at))
			continue;
		if (block_file_read(q->img.file, at, l2, q->cluster_size)) {
			say(k, "the L2 table at 0x%llx cannot be read", (unsigned long long)at);
			k->c->corruptions++;
			continue;
		}
		for (uint64_t e = 0; e < 1ull << q->l2_bits; e++)
			count_entry(k, qcow2_entry(q, l2, e), active);
	}
	free(l2);
	return 0;
}

static void count_refblocks(struct count *k)
{
	struct qcow2 *q = k->q;

	refer(k, q->reftable_offset, q->reftable_size * 8ull, "the refcount table");
	for (uint32_t i = 0; i < q->reftable_size; i++) {
		uint64_t at = q->reftable[i] & ~511ull;

		if (!at)
			continue;
		if (aligned(k, at, "a refcount block") && refer(k, at, q->cluster_size, "a refcount block"))
			continue;
		if (k->repair) { /* its counts are made anew */
			q->reftable[i] = 0;
			q->reftable_dirty_from = 0;
			q->reftable_dirty_to = q->reftable_size;
			k->c->fixed_corruptions++;
		}
	}
}

static int count_all(struct count *k)
{
	struct qcow2 *q = k->q;
	int rc = 0;

	refer(k, 0, q->cluster_size, "the header");
	count_l1(k, q->l1, q->l1_offset, q->l1_size, true);
	if (q->nsnaps)
		refer(k, q->snap_table, q->snap_table_len, "the snapshot table");
	for (uint32_t i = 0; i < q->nsnaps && !rc; i++) {
		uint64_t *l1;

		rc = qcow2_load_l1(q, q->snap[i].l1_offset, q->snap[i].l1_size, &l1);
		if (rc == -ENOMEM)
			return rc;
		if (rc) {
			say(k, "the L1 table of snapshot '%s' cannot be read", q->snap[i].name);
			k->c->corruptions++;
			rc = 0;
			continue;
		}
		rc = count_l1(k, l1, q->snap[i].l1_offset, q->snap[i].l1_size, false);
		free(l1);
	}
	count_refblocks(k);
	return rc;
}

static int compare(struct count *k, uint64_t cluster)
{
	uint64_t want = MIN(k->refs[cluster], qcow2_refcount_limit(k->q)), have = 0;
	int rc = qcow2_refcount(k->q, cluster, &have);

	if (rc || have == want)
		return rc;
	say(k, "cluster %llu is used %llu times, its refcount is %llu%s", (unsigned long long)cluster,
	    (unsigned long long)want, (unsigned long long)have, have > want ? " (leak)" : "");
	if (have > want)
		k->c->leaks++;
	else
		k->c->corruptions++;
	if (!k->repair)
		return 0;
	rc = qcow2_refcount_set(k->q, cluster, want);
	if (!rc && have > want)
		k->c->fixed_leaks++;
	else if (!rc)
		k->c->fixed_corruptions++;
	return rc;
}

static bool copied_should_be(struct qcow2 *q, uint64_t offset)
{
	uint64_t count = 0;

	return !qcow2_refcount(q, offset >> q->cluster_bits, &count) && count == 1;
}

/* Flags of the active tables that contradict the refcounts; set right if mend. */
static int check_copied(struct qcow2 *q, bool mend, uint64_t *wrong)
{
	int rc = 0;

	for (uint32_t i = 0; i < q->l1_size && !rc; i++) {
		uint64_t at = q->l1[i] & QCOW2_OFFSET, new;
		struct qcow2_table *t;

		if (!at || at & (q->cluster_size - 1))
			continue;
		new = at | (copied_should_be(q, at) ? QCOW2_COPIED : 0);
		if ((q->l1[i] ^ new) & QCOW2_COPIED) {
			++*wrong;
			if (mend) {
				q->l1[i] = new;
				q->l1_dirty_from = 0;
				q->l1_dirty_to = q->l1_size;
			}
		}
		if (qcow2_cache_get(q, &q->l2, at, false, &t))
			continue;
		for (uint64_t k = 0; k < 1ull << q->l2_bits && !rc; k++) {
			uint64_t e = qcow2_entry(q, t->buf, k);
			enum qcow2_kind kind = qcow2_kind_of(q, e);

			if ((kind != QCOW2_NORMAL && kind != QCOW2_ZEROS_PLACED) || e & QCOW2_OFFSET & (q->cluster_size - 1))
				continue;
			new = (e & ~QCOW2_COPIED) | (copied_should_be(q, e & QCOW2_OFFSET) ? QCOW2_COPIED : 0);
			*wrong += new != e;
			if (new != e && mend)
				qcow2_set_entry(q, t, k, new);
		}
	}
	return rc;
}

int qcow2_mend_copied(struct qcow2 *q)
{
	uint64_t wrong = 0;

	return check_copied(q, true, &wrong);
}

static int compare_all(struct count *k)
{
	struct qcow2 *q = k->q;
	uint64_t wrong = 0;
	int rc = 0;

	q->hint = k->clusters; /* what repair needs goes behind everything */
	for (uint64_t c = 0; c < k->clusters && !rc; c++)
		rc = compare(k, c);
	if (k->repair)
		q->hint = 0;
	if (!rc)
		rc = check_copied(q, k->repair, &wrong);
	if (wrong)
		say(k, "%llu flags say wrongly whether a cluster is used once", (unsigned long long)wrong);
	k->c->corruptions += wrong;
	if (k->repair)
		k->c->fixed_corruptions += wrong;
	return rc;
}

/* Everything in the file is right now: so says the header. */
static int mark_mended(struct qcow2 *q, const struct block_check *c)
{
	int rc = qcow2_settle(q);

	if (rc || c->corruptions > c->fixed_corruptions)
		return rc;
	__atomic_store_n(&q->broken, false, __ATOMIC_RELAXED);
	q->uncounted = false;
	if (q->version < 3 || !(q->incompatible & (QCOW2_DIRTY | QCOW2_CORRUPT)))
		return 0;
	q->incompatible &= ~(uint64_t)(QCOW2_DIRTY | QCOW2_CORRUPT);
	return qcow2_write_header_be64(q, H_INCOMPATIBLE, q->incompatible);
}

int qcow2_check(struct block_image *img, bool repair, struct block_check *c, struct err *err)
{
	struct qcow2 *q = (struct qcow2 *)img;
	struct count k = {.q = q, .c = c, .repair = repair};
	uint64_t size;
	int rc = block_file_size(img->file, &size);

	if (!rc && repair && q->has_bitmaps)
		return err_set(err, -EINVAL,
		               "disk image '%s' has dirty bitmaps, whose clusters are not known here: remove them with qemu-img "
		               "before it is repaired", img->path);
	if (!rc && !img->readonly)
		rc = qcow2_write_tables(q);
	k.clusters = (size + q->cluster_size - 1) >> q->cluster_bits;
	c->clusters = (img->size + q->cluster_size - 1) >> q->cluster_bits;
	k.refs = rc ? NULL : try_alloc((k.clusters + 1) * sizeof(k.refs[0]), CHECK_MAX);
	k.seen = k.refs ? try_alloc(k.clusters / 8 + 1, CHECK_MAX) : NULL;
	if (!rc && !k.seen)
		free(k.refs);
	if (!rc && !k.seen)
		return err_set(err, -ENOMEM,
		               "disk image '%s' has %llu clusters: checking them takes more than %llu MiB of memory",
		               img->path, (unsigned long long)k.clusters, (unsigned long long)(CHECK_MAX >> 20));
	if (!rc)
		rc = count_all(&k);
	if (!rc)
		rc = compare_all(&k);
	if (!rc && q->has_bitmaps) /* not counted here */
		c->leaks = 0;
	if (!rc && repair)
		rc = mark_mended(q, c);
	free(k.refs);
	free(k.seen);
	return rc ? err_set(err, rc, "disk image '%s' cannot be checked: %s", img->path, strerror(-rc)) : 0;
}
