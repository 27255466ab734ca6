// SPDX-License-Identifier: GPL-2.0-or-later
/* what: guest data of a qcow2 image: read, written, zeroed, discarded, compressed
 *
 * What lies in clusters that are the image's alone is transferred under the shared lock, by as many threads as come. A
 * write to anything else takes the exclusive lock, gets clusters, puts the whole of them into the file, filled up from
 * what was there, and only then changes the L2 table, in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "block/qcow2/qcow2_int.h"

static int unpack(struct qcow2 *q, uint64_t entry, uint8_t *out)
{
	uint64_t at;
	uint32_t len;
	uint8_t *in;
	int rc;

	qcow2_packed_place(q, entry, &at, &len);
	in = try_alloc(len, MIB(4) + 512);
	if (!in)
		return -ENOMEM;
	rc = block_file_read_padded(q->img.file, at, in, len); /* the last sector may end with the file */
	if (!rc)
		rc = q->zstd ? block_unzstd(in, len, out, q->cluster_size) : block_inflate(in, len, out, q->cluster_size, true);
	free(in);
	return rc;
}

static int read_packed(struct qcow2 *q, uint64_t entry, uint64_t in, const struct iovec *iov, unsigned niov, size_t len)
{
	uint8_t *cluster = try_alloc(q->cluster_size, MIB(2));
	int rc = cluster ? unpack(q, entry, cluster) : -ENOMEM;

	if (!rc)
		block_iov_scatter(iov, niov, cluster + in, len);
	free(cluster);
	return rc;
}

static int read_run(struct qcow2 *q, const struct qcow2_run *run, uint64_t offset, struct iovec *iov, unsigned niov)
{
	switch (run->kind) {
	case QCOW2_NORMAL:
		return block_file_readv_padded(q->img.file, run->host, iov, niov);
	case QCOW2_PACKED:
		return read_packed(q, run->host, offset & (q->cluster_size - 1), iov, niov, (size_t)run->len);
	case QCOW2_NONE:
		return block_backing_readv(&q->img, offset, iov, niov);
	default:
		block_iov_zero(iov, niov);
		return 0;
	}
}

int qcow2_read(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	struct qcow2 *q = (struct qcow2 *)img;
	uint64_t left = block_iov_len(iov, niov);
	struct iovec part[BLOCK_MAX_IOV];
	struct qcow2_run run = {0};
	int rc = 0;

	while (left && !rc) {
		pthread_rwlock_rdlock(&q->lock);
		rc = qcow2_find(q, offset, left, false, &run);
		if (!rc)
			rc = read_run(q, &run, offset, part, block_iov_take(&iov, &niov, run.len, part));
		pthread_rwlock_unlock(&q->lock);
		offset += run.len;
		left -= run.len;
	}
	return rc;
}

/* What the guest sees of one cluster now, from in on. */
static int read_old(struct qcow2 *q, uint64_t entry, uint64_t offset, void *buf, size_t len)
{
	struct iovec iov = {buf, len};
	uint64_t in = offset & (q->cluster_size - 1);
	struct qcow2_run run = {.kind = qcow2_kind_of(q, entry), .len = len, .host = entry};

	if (run.kind == QCOW2_NORMAL)
		run.host = (entry & QCOW2_OFFSET) + in;
	return len ? read_run(q, &run, offset, &iov, 1) : 0;
}

static bool reads_as_zeros(const struct qcow2 *q, uint64_t entry)
{
	enum qcow2_kind kind = qcow2_kind_of(q, entry);

	return kind == QCOW2_ZEROS || kind == QCOW2_ZEROS_PLACED || (kind == QCOW2_NONE && !q->img.backing);
}

/* [what was before][data][what was behind], in whole clusters, in one write to host. */
static int write_whole(struct qcow2 *q, uint64_t host, uint64_t offset, const uint64_t entry[2], bool fresh,
                       const struct iovec *data, unsigned ndata, uint64_t len)
{
	size_t head = offset & (q->cluster_size - 1), tail = -(head + len) & (q->cluster_size - 1);
	struct iovec iov[BLOCK_MAX_IOV + 2];
	uint8_t *buf;
	unsigned n = 0;
	int rc;

	if (fresh && reads_as_zeros(q, entry[0]))
		host += head, head = 0;
	if (fresh && reads_as_zeros(q, entry[1]))
		tail = 0;
	buf = try_alloc(head + tail + 1, 2 * MIB(2));
	if (!buf)
		return -ENOMEM;
	rc = read_old(q, entry[0], offset & ~(uint64_t)(q->cluster_size - 1), buf, head);
	if (!rc)
		rc = read_old(q, entry[1], offset + len, buf + head, tail);
	if (!rc) {
		if (head)
			iov[n++] = (struct iovec){buf, head};
		memcpy(iov + n, data, ndata * sizeof(iov[0]));
		n += ndata;
		if (tail)
			iov[n++] = (struct iovec){buf + head, tail};
		rc = block_file_writev(q->img.file, host, iov, n);
	}
	free(buf);
	return rc;
}

/* Can the cluster be written where it is? */
static bool is_ours(const struct qcow2 *q, uint64_t e)
{
	return e & QCOW2_COPIED && qcow2_kind_of(q, e) == QCOW2_NORMAL;
}

/* Clusters for what begins at offset, up to len bytes; what they replace is freed. *len: what was done. */
static int write_new(struct qcow2 *q, uint64_t offset, uint64_t *len, struct iovec **iov, unsigned *niov)
{
	uint64_t index = offset >> q->cluster_bits & ((1ull << q->l2_bits) - 1), in = offset & (q->cluster_size - 1);
	uint64_t want = (in + *len + q->cluster_size - 1) >> q->cluster_bits, n = 0, host, entry[2];
	uint64_t fresh = q->fresh;
	struct iovec part[BLOCK_MAX_IOV];
	struct qcow2_table *t;
	unsigned npart;
	bool placed;
	int rc = qcow2_own_l2(q, offset, &t);

	if (rc)
		return rc;
	want = MIN(want, (1ull << q->l2_bits) - index);
	while (n < want && !is_ours(q, qcow2_entry(q, t->buf, index + n)))
		n++;
	entry[0] = qcow2_entry(q, t->buf, index);
	placed = n && entry[0] & QCOW2_COPIED && qcow2_kind_of(q, entry[0]) == QCOW2_ZEROS_PLACED;
	if (!n) { /* has become ours meanwhile */
		*len = MIN(*len, q->cluster_size - in);
		npart = block_iov_take(iov, niov, *len, part);
		return block_file_writev(q->img.file, (entry[0] & QCOW2_OFFSET) + in, part, npart);
	}
	if (placed) {
		host = entry[0] & QCOW2_OFFSET;
		n = 1;
		if (host & (q->cluster_size - 1) || qcow2_is_metadata(q, host, q->cluster_size))
			return qcow2_corrupt(q, "a data cluster lies over a table", host);
	} else {
		rc = qcow2_alloc(q, n, &host, &n);
		if (rc)
			return rc;
	}
	*len = MIN(*len, (n << q->cluster_bits) - in);
	entry[1] = qcow2_entry(q, t->buf, index + n - 1);
	npart = block_iov_take(iov, niov, *len, part);
	rc = write_whole(q, host, offset, entry, host >= fresh, part, npart, *len);
	q->data_unsynced = true;
	for (uint64_t i = 0; i < n; i++) {
		if (rc) {
			if (!placed)
				qcow2_refcount_set(q, (host >> q->cluster_bits) + i, 0);
			continue;
		}
		if (!placed)
			qcow2_free_entry(q, qcow2_entry(q, t->buf, index + i));
		qcow2_set_entry(q, t, index + i, (host + (i << q->cluster_bits)) | QCOW2_COPIED);
	}
	if (rc && !placed)
		q->hint = MIN(q->hint, host >> q->cluster_bits);
	return rc;
}

/* Room in the list of freed clusters for one table's worth. Exclusive lock. */
static int make_room(struct qcow2 *q)
{
	return q->npending > QCOW2_PENDING / 2 ? qcow2_settle(q) : 0;
}

int qcow2_write(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	struct qcow2 *q = (struct qcow2 *)img;
	uint64_t left = block_iov_len(iov, niov);
	struct iovec part[BLOCK_MAX_IOV];
	struct qcow2_run run = {0};
	int rc = 0;

	while (left && !rc) {
		bool in_place;

		pthread_rwlock_rdlock(&q->lock);
		rc = __atomic_load_n(&q->broken, __ATOMIC_RELAXED) ? -EIO : qcow2_find(q, offset, left, true, &run);
		in_place = !rc && run.kind == QCOW2_NORMAL && run.copied;
		if (in_place)
			rc = block_file_writev(img->file, run.host, part, block_iov_take(&iov, &niov, run.len, part));
		pthread_rwlock_unlock(&q->lock);
		if (!rc && !in_place) {
			run.len = MIN(left, 256ull << q->cluster_bits);
			pthread_rwlock_wrlock(&q->lock);
			rc = make_room(q);
			if (!rc)
				rc = write_new(q, offset, &run.len, &iov, &niov);
			pthread_rwlock_unlock(&q->lock);
		}
		offset += run.len;
		left -= run.len;
	}
	return rc;
}

static int set_whole(struct qcow2 *q, uint64_t offset, uint64_t n, uint64_t (*becomes)(const struct qcow2 *, uint64_t))
{
	int rc = 0;

	while (n && !rc) {
		uint64_t index = offset >> q->cluster_bits & ((1ull << q->l2_bits) - 1);
		uint64_t part = MIN(MIN(n, 128u), (1ull << q->l2_bits) - index);
		uint64_t l1 = offset >> (q->cluster_bits + q->l2_bits);
		struct qcow2_table *t;

		rc = make_room(q);
		if (!rc && l1 < q->l1_size && !(q->l1[l1] & QCOW2_OFFSET) && becomes(q, 0) == 0) {
			part = MIN(n, (1ull << q->l2_bits) - index); /* no table, and none needed */
		} else if (!rc) {
			rc = qcow2_own_l2(q, offset, &t);
			for (uint64_t i = 0; i < part && !rc; i++) {
				uint64_t old = qcow2_entry(q, t->buf, index + i), new = becomes(q, old);

				if (new == old)
					continue;
				if (!(new & QCOW2_OFFSET))
					qcow2_free_entry(q, old);
				qcow2_set_entry(q, t, index + i, new);
			}
		}
		offset += part << q->cluster_bits;
		n -= part;
	}
	return rc;
}

static uint64_t to_nothing(const struct qcow2 *q, uint64_t e)
{
	return 0;
}

/* Gives its cluster up; nothing below may show. */
static uint64_t to_unmapped(const struct qcow2 *q, uint64_t e)
{
	if (!e && !q->img.backing)
		return 0;
	return q->version >= 3 ? QCOW2_ZERO : q->img.backing ? e : 0;
}

/* Keeps its cluster, if it is one of its own. */
static uint64_t to_zeros(const struct qcow2 *q, uint64_t e)
{
	enum qcow2_kind kind = qcow2_kind_of(q, e);

	if ((kind == QCOW2_NORMAL || kind == QCOW2_ZEROS_PLACED) && e & QCOW2_COPIED && q->version >= 3)
		return e | QCOW2_ZERO;
	return to_unmapped(q, e);
}

/* The whole clusters of a range; the disk's end may lie in one. */
static bool whole_clusters(const struct qcow2 *q, uint64_t offset, uint64_t len, uint64_t *from, uint64_t *to)
{
	*from = (offset + q->cluster_size - 1) & ~(uint64_t)(q->cluster_size - 1);
	*to = offset + len;
	if (*to != q->img.size)
		*to &= ~(uint64_t)(q->cluster_size - 1);
	return *from < *to;
}

static int change(struct qcow2 *q, uint64_t from, uint64_t to, uint64_t (*becomes)(const struct qcow2 *, uint64_t))
{
	int rc;

	pthread_rwlock_wrlock(&q->lock);
	rc = __atomic_load_n(&q->broken, __ATOMIC_RELAXED) ? -EIO : 0;
	if (!rc)
		rc = set_whole(q, from, (to - from + q->cluster_size - 1) >> q->cluster_bits, becomes);
	pthread_rwlock_unlock(&q->lock);
	return rc;
}

int qcow2_discard(struct block_image *img, uint64_t offset, uint64_t len)
{
	struct qcow2 *q = (struct qcow2 *)img;
	uint64_t from, to;

	if (!whole_clusters(q, offset, len, &from, &to))
		return 0;
	return change(q, from, to, to_unmapped);
}

static int write_zeros(struct block_image *img, uint64_t offset, uint64_t len)
{
	static const uint8_t zeros[65536];
	int rc = 0;

	while (len && !rc) {
		struct iovec iov = {(void *)(uintptr_t)zeros, (size_t)MIN(len, sizeof(zeros))};
		uint64_t part = iov.iov_len;

		rc = qcow2_write(img, offset, &iov, 1);
		offset += part;
		len -= part;
	}
	return rc;
}

int qcow2_zero(struct block_image *img, uint64_t offset, uint64_t len, bool unmap)
{
	struct qcow2 *q = (struct qcow2 *)img;
	uint64_t from, to;
	int rc;

	if (!whole_clusters(q, offset, len, &from, &to) || (q->version < 3 && img->backing))
		return write_zeros(img, offset, len);
	rc = change(q, from, to, q->version < 3 || unmap ? to_unmapped : to_zeros);
	if (!rc)
		rc = write_zeros(img, offset, from - offset);
	if (!rc)
		rc = write_zeros(img, to, offset + len - to);
	return rc;
}

int qcow2_drop(struct block_image *img)
{
	struct qcow2 *q = (struct qcow2 *)img;

	return change(q, 0, img->size, to_nothing);
}

static size_t pack(struct qcow2 *q, const void *buf, uint8_t *out)
{
	if (q->zstd)
		return block_zstd(buf, q->cluster_size, out, q->cluster_size - 1);
	return block_deflate(buf, q->cluster_size, out, q->cluster_size - 1, true, 12);
}

static int put_packed(struct qcow2 *q, uint64_t offset, const uint8_t *data, uint32_t len)
{
	uint64_t index = offset >> q->cluster_bits & ((1ull << q->l2_bits) - 1), at, sectors;
	struct qcow2_table *t;
	int rc = make_room(q);

	if (!rc)
		rc = qcow2_own_l2(q, offset, &t);
	if (!rc)
		rc = qcow2_alloc_bytes(q, len, &at);
	if (!rc)
		rc = block_file_write(q->img.file, at, data, len);
	if (rc)
		return rc;
	q->data_unsynced = true;
	q->fresh = MAX(q->fresh, (at + len + q->cluster_size - 1) & ~(uint64_t)(q->cluster_size - 1));
	sectors = (at + len - 1) / 512 - at / 512;
	qcow2_free_entry(q, qcow2_entry(q, t->buf, index));
	qcow2_set_entry(q, t, index, QCOW2_COMPRESSED | sectors << (62 - (q->cluster_bits - 8)) | at);
	return 0;
}

int qcow2_write_compressed(struct block_image *img, uint64_t offset, const void *buf, size_t len)
{
	struct qcow2 *q = (struct qcow2 *)img;
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	uint8_t *whole = try_alloc(q->cluster_size * 2ull, MIB(4)), *out = whole + q->cluster_size;
	size_t n;
	int rc;

	if (!whole)
		return -ENOMEM;
	if (offset & (q->cluster_size - 1) || len > q->cluster_size || img->readonly) {
		free(whole);
		return -EINVAL;
	}
	memcpy(whole, buf, len); /* the disk's last cluster may be short */
	n = pack(q, whole, out);
	if (n) {
		pthread_rwlock_wrlock(&q->lock);
		rc = __atomic_load_n(&q->broken, __ATOMIC_RELAXED) ? -EIO : put_packed(q, offset, out, (uint32_t)n);
		pthread_rwlock_unlock(&q->lock);
	} else {
		rc = qcow2_write(img, offset, &iov, 1);
	}
	free(whole);
	return rc;
}

int qcow2_map(struct block_image *img, uint64_t offset, struct block_extent *x)
{
	struct qcow2 *q = (struct qcow2 *)img;
	struct qcow2_run run = {0};
	int rc;

	pthread_rwlock_rdlock(&q->lock);
	rc = qcow2_find(q, offset, x->len, false, &run);
	pthread_rwlock_unlock(&q->lock);
	x->len = run.len;
	x->allocated = run.kind != QCOW2_NONE;
	x->zero = run.kind == QCOW2_ZEROS || run.kind == QCOW2_ZEROS_PLACED || (run.kind == QCOW2_NONE && !img->backing);
	x->compressed = run.kind == QCOW2_PACKED;
	x->has_offset = run.kind == QCOW2_NORMAL || run.kind == QCOW2_ZEROS_PLACED;
	x->offset = x->has_offset ? run.host : 0;
	return rc;
}
