// SPDX-License-Identifier: GPL-2.0-or-later
/* what: qcow2's internal snapshots: the table of them read and written, made, gone back to, deleted
 *
 * A snapshot is a copy of the L1 table; everything it refers to is counted once more. Each operation writes what it
 * adds, syncs, and only then what it takes away, and meanwhile the image is marked dirty: killed in between it has
 * refcounts that are too high, which the next opening for writing mends.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "block/qcow2/qcow2_int.h"

#define ENTRY_LEN 40u
#define EXTRA_MAX 1024u
#define BAD(...) err_set(err, -EINVAL, "disk image '%s': " __VA_ARGS__)

static void snap_free(struct qcow2_snap *s)
{
	free(s->id);
	free(s->name);
	free(s->extra);
}

void qcow2_snapshots_free(struct qcow2 *q)
{
	for (uint32_t i = 0; i < q->nsnaps; i++)
		snap_free(&q->snap[i]);
	free(q->snap);
	q->snap = NULL;
	q->nsnaps = 0;
}

static char *read_text(struct qcow2 *q, uint64_t at, uint32_t len)
{
	char *text = xalloc(len + 1ull);

	if (block_file_read_padded(q->img.file, at, text, len))
		*text = 0;
	return text;
}

static int load_one(struct qcow2 *q, uint64_t *at, struct qcow2_snap *s, struct err *err)
{
	const char *path = q->img.path;
	uint8_t b[ENTRY_LEN];
	uint32_t id_len, name_len;

	if (block_file_read(q->img.file, *at, b, sizeof(b)))
		return BAD("its snapshot table cannot be read", path);
	s->l1_offset = block_get_be64(b);
	s->l1_size = get_be32(b + 8);
	id_len = get_be16(b + 12);
	name_len = get_be16(b + 14);
	s->seconds = get_be32(b + 16);
	s->nanoseconds = get_be32(b + 20);
	s->vm_clock = block_get_be64(b + 24);
	s->vm_state = get_be32(b + 32);
	s->extra_len = get_be32(b + 36);
	if (s->l1_size > QCOW2_L1_MAX || s->extra_len > EXTRA_MAX || s->l1_offset & (q->cluster_size - 1) ||
	    s->l1_offset > INT64_MAX)
		return BAD("its snapshot table makes no sense", path);
	s->extra = xalloc(EXTRA_MAX);
	if (block_file_read_padded(q->img.file, *at + ENTRY_LEN, s->extra, s->extra_len))
		return BAD("its snapshot table cannot be read", path);
	if (s->extra_len >= 8)
		s->vm_state = block_get_be64(s->extra);
	s->size = s->extra_len >= 16 ? block_get_be64(s->extra + 8) : q->img.size;
	s->id = read_text(q, *at + ENTRY_LEN + s->extra_len, id_len);
	s->name = read_text(q, *at + ENTRY_LEN + s->extra_len + id_len, name_len);
	*at += (ENTRY_LEN + s->extra_len + id_len + name_len + 7) & ~7ull;
	return 0;
}

int qcow2_snapshots_load(struct qcow2 *q, uint32_t n, uint64_t offset, struct err *err)
{
	const char *path = q->img.path;
	uint64_t at = offset;
	int rc = 0;

	if (!n)
		return 0;
	if (n > QCOW2_SNAPSHOTS_MAX || offset & (q->cluster_size - 1) || offset > INT64_MAX || !offset)
		return BAD("its table of %u snapshots cannot be", path, n);
	q->snap = xalloc(n * sizeof(q->snap[0]));
	for (uint32_t i = 0; i < n && !rc; i++) {
		q->nsnaps = i + 1;
		rc = load_one(q, &at, &q->snap[i], err);
	}
	q->snap_table = offset;
	q->snap_table_len = at - offset;
	return rc;
}

static size_t entry_len(const struct qcow2_snap *s)
{
	return (ENTRY_LEN + s->extra_len + strlen(s->id) + strlen(s->name) + 7) & ~(size_t)7;
}

static void put_one(uint8_t *b, const struct qcow2_snap *s)
{
	block_put_be64(b, s->l1_offset);
	put_be32(b + 8, s->l1_size);
	put_be16(b + 12, (uint16_t)strlen(s->id));
	put_be16(b + 14, (uint16_t)strlen(s->name));
	put_be32(b + 16, (uint32_t)s->seconds);
	put_be32(b + 20, s->nanoseconds);
	block_put_be64(b + 24, s->vm_clock);
	put_be32(b + 32, s->extra_len >= 8 ? 0 : (uint32_t)s->vm_state);
	put_be32(b + 36, s->extra_len);
	memcpy(b + ENTRY_LEN, s->extra, s->extra_len);
	memcpy(b + ENTRY_LEN + s->extra_len, s->id, strlen(s->id));
	memcpy(b + ENTRY_LEN + s->extra_len + strlen(s->id), s->name, strlen(s->name));
}

/* A new table in new clusters, then the header; the old one goes after that. */
static int store(struct qcow2 *q)
{
	uint64_t len = 0, offset = 0, old = q->snap_table, old_len = q->snap_table_len, at = 0, clusters;
	uint8_t field[12], *b;
	int rc = 0;

	for (uint32_t i = 0; i < q->nsnaps; i++)
		len += entry_len(&q->snap[i]);
	clusters = (len + q->cluster_size - 1) >> q->cluster_bits;
	b = xalloc(MAX(clusters, 1u) << q->cluster_bits);
	for (uint32_t i = 0; i < q->nsnaps; i++, at += entry_len(&q->snap[i - 1]))
		put_one(b + at, &q->snap[i]);
	if (clusters)
		rc = qcow2_alloc_run(q, clusters, &offset);
	if (!rc)
		rc = qcow2_write_tables(q);
	if (!rc && clusters)
		rc = block_file_write(q->img.file, offset, b, clusters << q->cluster_bits);
	free(b);
	if (!rc)
		rc = block_file_sync(q->img.file);
	put_be32(field, q->nsnaps);
	block_put_be64(field + 4, offset);
	if (!rc)
		rc = block_file_write(q->img.file, H_SNAPSHOTS, field, sizeof(field));
	if (rc)
		return rc;
	q->snap_table = offset;
	q->snap_table_len = len;
	if (old)
		qcow2_free_later(q, old, (old_len + q->cluster_size - 1) >> q->cluster_bits);
	return qcow2_settle(q);
}

static int count_entry(struct qcow2 *q, uint64_t e, int add)
{
	uint64_t at, first;
	uint32_t len;

	switch (qcow2_kind_of(q, e)) {
	case QCOW2_NORMAL:
	case QCOW2_ZEROS_PLACED:
		return qcow2_refcount_add(q, e & QCOW2_OFFSET, 1, add);
	case QCOW2_PACKED:
		qcow2_packed_place(q, e, &at, &len);
		first = at >> q->cluster_bits;
		return qcow2_refcount_add(q, first << q->cluster_bits, ((at + len - 1) >> q->cluster_bits) - first + 1, add);
	default:
		return 0;
	}
}

/* Everything that this L1 table refers to. */
static int count_tables(struct qcow2 *q, const uint64_t *l1, uint32_t n, int add)
{
	uint8_t *l2 = xalloc(q->cluster_size);
	int rc = 0;

	for (uint32_t i = 0; i < n && !rc; i++) {
		uint64_t at = l1[i] & QCOW2_OFFSET;
		struct qcow2_table *t;

		if (!at)
			continue;
		rc = at & (q->cluster_size - 1) ? -EIO : qcow2_cache_get(q, &q->l2, at, false, &t);
		if (rc)
			break;
		memcpy(l2, t->buf, q->cluster_size);
		for (uint64_t k = 0; k < 1ull << q->l2_bits && !rc; k++)
			rc = count_entry(q, qcow2_entry(q, l2, k), add);
		if (!rc)
			rc = qcow2_refcount_add(q, at, 1, add);
	}
	free(l2);
	return rc;
}

static int begin(struct qcow2 *q)
{
	int rc = qcow2_settle(q);

	if (!rc)
		rc = qcow2_write_tables(q);
	return rc ? rc : qcow2_mark_dirty(q, true);
}

static int end(struct qcow2 *q, int rc, const char *what, struct err *err)
{
	if (!rc)
		rc = qcow2_mend_copied(q);
	if (!rc)
		rc = qcow2_settle(q);
	if (!rc)
		rc = qcow2_write_tables(q);
	if (!rc && !q->lazy)
		rc = qcow2_mark_dirty(q, false);
	if (rc)
		q->uncounted = true;
	if (rc == -EOVERFLOW)
		return err_set(err, rc, "disk image '%s': its refcounts of %u bits are too narrow for one more snapshot",
		               q->img.path, 1u << q->refcount_order);
	return rc ? err_set(err, rc, "disk image '%s': the snapshot could not be %s: %s", q->img.path, what,
	                    strerror(-rc)) : 0;
}

static struct qcow2_snap *find(struct qcow2 *q, const char *name, struct err *err)
{
	for (unsigned by_id = 0; by_id < 2; by_id++)
		for (uint32_t i = 0; i < q->nsnaps; i++)
			if (!strcmp(by_id ? q->snap[i].id : q->snap[i].name, name))
				return &q->snap[i];
	err_set(err, -ENOENT, "disk image '%s' has no snapshot '%s'; `ring3 disk snapshot list` tells which", q->img.path,
	        name);
	return NULL;
}

static uint64_t l1_clusters(const struct qcow2 *q, uint32_t n)
{
	return (n * 8ull + q->cluster_size - 1) >> q->cluster_bits;
}

/* The new one at the end of the list, its L1 table not yet written. */
static struct qcow2_snap *append(struct qcow2 *q, const char *name)
{
	struct qcow2_snap *list = xalloc((q->nsnaps + 1) * sizeof(*list)), *s;
	unsigned long last = 0;
	struct timespec now;
	char id[24] = {0};
	unsigned n = sizeof(id) - 1;

	for (uint32_t i = 0; i < q->nsnaps; i++)
		last = MAX(last, MIN(strtoul(q->snap[i].id, NULL, 10), 4000000000ul));
	if (q->nsnaps)
		memcpy(list, q->snap, q->nsnaps * sizeof(*list));
	free(q->snap);
	q->snap = list;
	s = &list[q->nsnaps++];
	for (last++; last; last /= 10)
		id[--n] = (char)('0' + last % 10);
	clock_gettime(CLOCK_REALTIME, &now);
	s->id = xstrdup(id + n);
	s->name = xstrdup(name);
	s->seconds = (uint64_t)now.tv_sec;
	s->nanoseconds = (uint32_t)now.tv_nsec;
	s->size = q->img.size;
	s->l1_size = q->l1_size;
	s->extra = xalloc(EXTRA_MAX);
	s->extra_len = 16;
	block_put_be64(s->extra + 8, s->size);
	return s;
}

static int create(struct block_image *img, const char *name, struct err *err)
{
	struct qcow2 *q = (struct qcow2 *)img;
	uint64_t *copy;
	struct qcow2_snap *s;
	int rc;

	if (!*name || strlen(name) > 255)
		return err_set(err, -EINVAL, "a snapshot's name must have 1 to 255 bytes");
	for (uint32_t i = 0; i < q->nsnaps; i++)
		if (!strcmp(q->snap[i].name, name))
			return err_set(err, -EEXIST, "disk image '%s' has a snapshot '%s' already", img->path, name);
	if (q->nsnaps >= QCOW2_SNAPSHOTS_MAX)
		return err_set(err, -ENOSPC, "disk image '%s' has %u snapshots; more cannot be", img->path, q->nsnaps);
	copy = try_alloc(MAX(q->l1_size, 1u) * 8ull, QCOW2_L1_MAX * 8);
	rc = copy ? begin(q) : -ENOMEM;
	if (!rc)
		rc = count_tables(q, q->l1, q->l1_size, 1);
	if (rc) { /* what was counted is too high now; the dirty mark stays, and the next opening mends it */
		free(copy);
		q->uncounted = true;
		return end(q, rc, "made", err);
	}
	s = append(q, name);
	for (uint32_t i = 0; i < q->l1_size; i++)
		copy[i] = q->l1[i] & ~QCOW2_COPIED;
	rc = q->l1_size ? qcow2_alloc_run(q, l1_clusters(q, q->l1_size), &s->l1_offset) : 0;
	if (!rc)
		rc = qcow2_mend_copied(q);
	if (!rc)
		rc = qcow2_settle(q);
	if (!rc)
		rc = qcow2_store_table(q, s->l1_offset, copy, q->l1_size);
	free(copy);
	if (!rc)
		rc = store(q);
	return end(q, rc, "made", err);
}

static int apply(struct block_image *img, const char *name, struct err *err)
{
	struct qcow2 *q = (struct qcow2 *)img;
	struct qcow2_snap *s = find(q, name, err);
	uint64_t *l1 = NULL, *old = NULL;
	uint32_t old_size = q->l1_size;
	int rc;

	if (!s)
		return -ENOENT;
	rc = begin(q);
	if (!rc)
		rc = qcow2_load_l1(q, s->l1_offset, s->l1_size, &l1);
	if (!rc)
		rc = count_tables(q, l1, s->l1_size, 1);
	if (!rc)
		rc = qcow2_grow_l1(q, s->l1_size);
	if (!rc)
		rc = qcow2_settle(q);
	if (!rc) {
		old = xalloc(MAX(old_size, 1u) * 8ull);
		memcpy(old, q->l1, old_size * 8ull);
		for (uint32_t i = 0; i < q->l1_size; i++)
			q->l1[i] = i < s->l1_size ? l1[i] & ~QCOW2_COPIED : 0;
		q->l1_dirty_from = 0;
		q->l1_dirty_to = q->l1_size;
		rc = qcow2_settle(q);
	}
	if (!rc && s->size != img->size && !(s->size % 512) && s->size &&
	    s->size <= (uint64_t)q->l1_size << (q->cluster_bits + q->l2_bits)) {
		rc = qcow2_write_header_be64(q, H_SIZE, s->size);
		img->size = s->size;
	}
	if (!rc)
		rc = count_tables(q, old, old_size, -1);
	free(old);
	free(l1);
	return end(q, rc, "applied", err);
}

static int drop(struct block_image *img, const char *name, struct err *err)
{
	struct qcow2 *q = (struct qcow2 *)img;
	struct qcow2_snap *s = find(q, name, err), gone;
	uint64_t *l1 = NULL;
	int rc;

	if (!s)
		return -ENOENT;
	rc = begin(q);
	if (!rc)
		rc = qcow2_load_l1(q, s->l1_offset, s->l1_size, &l1);
	if (rc)
		return end(q, rc, "deleted", err);
	gone = *s;
	memmove(s, s + 1, (size_t)(q->snap + --q->nsnaps - s) * sizeof(*s));
	rc = store(q);
	if (!rc)
		rc = count_tables(q, l1, gone.l1_size, -1);
	if (!rc && gone.l1_size)
		rc = qcow2_refcount_add(q, gone.l1_offset, l1_clusters(q, gone.l1_size), -1);
	snap_free(&gone);
	free(l1);
	return end(q, rc, "deleted", err);
}

static int list(struct block_image *img, void (*each)(void *opaque, const struct block_snapshot *), void *opaque)
{
	struct qcow2 *q = (struct qcow2 *)img;

	for (uint32_t i = 0; i < q->nsnaps; i++) {
		struct qcow2_snap *s = &q->snap[i];

		each(opaque, &(struct block_snapshot){.id = s->id, .name = s->name, .seconds = s->seconds, .size = s->size,
			.vm_state = s->vm_state});
	}
	return 0;
}

const struct block_snapshot_ops qcow2_snapshot_ops = {.list = list, .create = create, .apply = apply, .remove = drop};
