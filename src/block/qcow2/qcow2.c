// SPDX-License-Identifier: GPL-2.0-or-later
/* what: qcow2 images: the header read and judged, opened, flushed, resized, closed
 *
 * Nothing in the header is believed: sizes are bounded before anything is allocated for them, offsets must be aligned,
 * and features that are not known are refused by the name that the image itself gives them, if it gives one.
 */
#include <stdlib.h>
#include <string.h>

#include "block/qcow2/qcow2_int.h"

int qcow2_write_header_be32(struct qcow2 *q, unsigned at, uint32_t v)
{
	uint8_t b[4];

	put_be32(b, v);
	return block_file_write(q->img.file, at, b, sizeof(b));
}

int qcow2_write_header_be64(struct qcow2 *q, unsigned at, uint64_t v)
{
	uint8_t b[8];

	block_put_be64(b, v);
	return block_file_write(q->img.file, at, b, sizeof(b));
}

int qcow2_corrupt(struct qcow2 *q, const char *what, uint64_t offset)
{
	if (__atomic_exchange_n(&q->broken, true, __ATOMIC_RELAXED))
		return -EIO;
	log_at(LOG_ERROR,
	       "disk image '%s' is corrupt: %s (at 0x%llx of the file); it is not written any more: "
	       "see `ring3 disk check`", q->img.path, what, (unsigned long long)offset);
	if (!q->img.readonly && q->version >= 3)
		qcow2_write_header_be64(q, H_INCOMPATIBLE, q->incompatible | QCOW2_CORRUPT);
	return -EIO;
}

int qcow2_mark_dirty(struct qcow2 *q, bool dirty)
{
	uint64_t bits = dirty ? q->incompatible | QCOW2_DIRTY : q->incompatible & ~(uint64_t)QCOW2_DIRTY;
	int rc;

	if (q->version < 3 || bits == q->incompatible)
		return 0;
	rc = qcow2_write_header_be64(q, H_INCOMPATIBLE, bits);
	if (!rc)
		rc = block_file_sync(q->img.file);
	if (!rc)
		q->incompatible = bits;
	return rc;
}

int qcow2_store_table(struct qcow2 *q, uint64_t offset, const uint64_t *table, uint32_t n)
{
	uint8_t b[4096];
	int rc = 0;

	while (n && !rc) {
		uint32_t part = MIN(n, (uint32_t)sizeof(b) / 8);

		for (uint32_t i = 0; i < part; i++)
			block_put_be64(b + i * 8, table[i]);
		rc = block_file_write(q->img.file, offset, b, part * 8);
		offset += part * 8;
		table += part;
		n -= part;
	}
	return rc;
}

int qcow2_load_l1(struct qcow2 *q, uint64_t offset, uint32_t size, uint64_t **l1)
{
	int rc;

	*l1 = try_alloc(MAX(size, 1u) * 8ull, QCOW2_L1_MAX * 8);
	if (!*l1)
		return -ENOMEM;
	rc = block_file_read(q->img.file, offset, *l1, size * 8ull);
	for (uint32_t i = 0; i < size && !rc; i++)
		(*l1)[i] = block_get_be64((uint8_t *)*l1 + i * 8ull);
	if (rc) {
		free(*l1);
		*l1 = NULL;
	}
	return rc;
}

static bool qcow2_probe(const uint8_t head[BLOCK_PROBE_LEN])
{
	return get_be32(head) == QCOW2_MAGIC;
}

#define BAD(...) err_set(err, -EINVAL, "disk image '%s': " __VA_ARGS__)

static int check_geometry(struct qcow2 *q, const uint8_t *h, struct err *err)
{
	const char *path = q->img.path;

	q->cluster_bits = get_be32(h + H_CLUSTER_BITS);
	if (q->cluster_bits < 9 || q->cluster_bits > 21)
		return BAD("its clusters have 2^%u bytes; 2^9 to 2^21 are allowed", path, q->cluster_bits);
	q->cluster_size = 1u << q->cluster_bits;
	q->refcount_order = q->version >= 3 ? get_be32(h + H_REFCOUNT_ORDER) : 4;
	if (q->refcount_order > 6)
		return BAD("its refcounts have 2^%u bits; 64 are the most", path, q->refcount_order);
	q->img.size = block_get_be64(h + H_SIZE);
	if (q->img.size > INT64_MAX || !q->img.size)
		return BAD("its size of %llu bytes cannot be", path, (unsigned long long)q->img.size);
	q->img.size &= ~511ull;
	q->header_len = q->version >= 3 ? get_be32(h + H_LENGTH) : H_V2_LENGTH;
	if (q->header_len < (q->version >= 3 ? H_V3_LENGTH : H_V2_LENGTH) || q->header_len > q->cluster_size)
		return BAD("its header of %u bytes cannot be", path, q->header_len);
	return 0;
}

static int check_tables(struct qcow2 *q, const uint8_t *h, struct err *err)
{
	const char *path = q->img.path;
	uint64_t need, clusters = get_be32(h + H_REFTABLE_CLUSTERS);
	unsigned shift;

	q->l2_entry = q->incompatible & QCOW2_EXTENDED_L2 ? 16 : 8;
	q->l2_bits = q->cluster_bits - (q->l2_entry == 16 ? 4 : 3);
	shift = q->cluster_bits + q->l2_bits;
	need = (q->img.size + (1ull << shift) - 1) >> shift;
	q->l1_size = get_be32(h + H_L1_SIZE);
	q->l1_offset = block_get_be64(h + H_L1);
	if (q->l1_size > QCOW2_L1_MAX || need > QCOW2_L1_MAX)
		return BAD("its L1 table of %u entries is too large", path, q->l1_size);
	if (q->l1_size < need)
		return BAD("its L1 table has %u entries, %llu are needed", path, q->l1_size, (unsigned long long)need);
	q->reftable_offset = block_get_be64(h + H_REFTABLE);
	if (clusters << q->cluster_bits > QCOW2_REFTABLE_MAX * 8 || !clusters)
		return BAD("its refcount table of %llu clusters cannot be", path, (unsigned long long)clusters);
	q->reftable_size = (uint32_t)((clusters << q->cluster_bits) / 8);
	if ((q->l1_offset | q->reftable_offset) & (q->cluster_size - 1) || (q->l1_offset | q->reftable_offset) > INT64_MAX)
		return BAD("its tables are not aligned", path);
	if (q->l1_offset < q->cluster_size || q->reftable_offset < q->cluster_size)
		return BAD("its tables lie over its header", path);
	return 0;
}

struct feature_name {
	uint64_t missing;
	char name[47];
};

static void read_extension(struct qcow2 *q, uint32_t type, const uint8_t *data, uint32_t len, struct feature_name *f)
{
	if (type == X_BACKING_FORMAT && !q->backing_format) {
		q->backing_format = xalloc(len + 1ull);
		memcpy(q->backing_format, data, len);
	} else if (type == X_BITMAPS) {
		q->has_bitmaps = true;
	} else if (type == X_FEATURES) {
		for (uint32_t i = 0; i + 48 <= len; i += 48)
			if (data[i] == 0 && data[i + 1] < 64 && f->missing >> data[i + 1] & 1)
				memcpy(f->name, data + i + 2, 46);
	}
}

static int read_extensions(struct qcow2 *q, const uint8_t *h, uint32_t end, struct feature_name *f, struct err *err)
{
	const char *path = q->img.path;
	uint32_t at = q->header_len;

	while (at + 8 <= end) {
		uint32_t type = get_be32(h + at), len = get_be32(h + at + 4);

		if (type == X_END)
			return 0;
		if (len > end - at - 8)
			return BAD("its header extension 0x%x is longer than its header", path, type);
		read_extension(q, type, h + at + 8, len, f);
		at += 8 + ((len + 7) & ~7u);
	}
	return 0;
}

static int check_features(struct qcow2 *q, struct feature_name *f, struct err *err)
{
	const char *path = q->img.path;

	if (q->incompatible & QCOW2_DATA_FILE)
		return BAD("its data lie in a file beside it, which is not supported; convert it with qemu-img", path);
	if (f->missing)
		return BAD("it uses a feature that is not supported: %s%s", path, *f->name ? f->name : "bit ",
		           *f->name ? "" : (char[]){'0' + (char)(__builtin_ctzll(f->missing) / 10),
		                                     '0' + (char)(__builtin_ctzll(f->missing) % 10), 0});
	if (q->incompatible & QCOW2_EXTENDED_L2 && !q->img.readonly)
		return BAD("it has extended L2 entries, which can only be read; add ',readonly' or ',snapshot', or convert it",
		           path);
	if (q->incompatible & QCOW2_EXTENDED_L2 && q->cluster_bits < 14)
		return BAD("extended L2 entries need clusters of 16K at least", path);
	return 0;
}

static int read_backing_name(struct qcow2 *q, const uint8_t *h, struct err *err)
{
	const char *path = q->img.path;
	uint64_t at = block_get_be64(h + H_BACKING);
	uint32_t len = get_be32(h + H_BACKING_LEN);

	if (!at)
		return 0;
	if (len > 1023 || !len || at > q->cluster_size || len > q->cluster_size - at)
		return BAD("the name of its backing file lies beyond its header", path);
	q->backing = xalloc(len + 1);
	memcpy(q->backing, h + at, len);
	if (strlen(q->backing) != len)
		return BAD("the name of its backing file has a zero byte in it", path);
	return 0;
}

/* h: the first cluster of the file, as far as there is one. */
static int read_header(struct qcow2 *q, const uint8_t *h, struct err *err)
{
	const char *path = q->img.path;
	struct feature_name f = {0};
	uint64_t backing = block_get_be64(h + H_BACKING);
	uint32_t end;

	q->version = get_be32(h + H_VERSION);
	if (get_be32(h) != QCOW2_MAGIC)
		return BAD("it is no qcow2 image: its first bytes are not QFI\\xfb", path);
	if (q->version != 2 && q->version != 3)
		return BAD("it is qcow version %u; 2 and 3 are supported", path, q->version);
	if (check_geometry(q, h, err))
		return -EINVAL;
	if (get_be32(h + H_CRYPT))
		return BAD("it is encrypted, which is not supported", path);
	if (q->version >= 3) {
		q->incompatible = block_get_be64(h + H_INCOMPATIBLE);
		q->compatible = block_get_be64(h + H_COMPATIBLE);
		q->autoclear = block_get_be64(h + H_AUTOCLEAR);
		if (q->header_len > H_COMPRESSION)
			q->zstd = h[H_COMPRESSION] == 1;
		if (q->header_len > H_COMPRESSION && h[H_COMPRESSION] > 1)
			return BAD("its clusters are compressed in the unknown way %u; 0 (zlib) and 1 (zstd) are known", path,
			           h[H_COMPRESSION]);
	}
	q->lazy = q->compatible & QCOW2_LAZY;
	f.missing = q->incompatible & ~(uint64_t)(QCOW2_KNOWN | QCOW2_DATA_FILE);
	end = backing && backing < q->cluster_size ? (uint32_t)backing : q->cluster_size;
	if (read_extensions(q, h, end, &f, err) || check_features(q, &f, err) || read_backing_name(q, h, err))
		return -EINVAL;
	return check_tables(q, h, err);
}

static int load_tables(struct qcow2 *q, struct err *err)
{
	const char *path = q->img.path;
	uint64_t size;
	int rc = block_file_size(q->img.file, &size);

	if (!rc)
		rc = qcow2_load_l1(q, q->l1_offset, q->l1_size, &q->l1);
	if (rc)
		return BAD("its L1 table cannot be read: %s", path, strerror(-rc));
	rc = qcow2_load_l1(q, q->reftable_offset, q->reftable_size, &q->reftable);
	if (rc)
		return BAD("its refcount table cannot be read: %s", path, strerror(-rc));
	q->fresh = (size + q->cluster_size - 1) & ~(uint64_t)(q->cluster_size - 1);
	q->spare = xalloc(q->cluster_size);
	qcow2_cache_init(q, &q->l2);
	qcow2_cache_init(q, &q->refblocks);
	return 0;
}

/* Marks of trouble, when it is to be written. */
static int prepare_writing(struct qcow2 *q, const struct block_image_opts *opts, struct err *err)
{
	const char *path = q->img.path;
	struct block_check c = {0};
	int rc;

	q->uncounted = q->incompatible & QCOW2_DIRTY;
	if (opts->repair)
		return 0;
	if (q->incompatible & QCOW2_CORRUPT)
		return BAD("it is marked as corrupt; `ring3 disk check --repair` may mend it, and reading it is possible",
		           path);
	if (q->incompatible & QCOW2_DIRTY) {
		log_at(LOG_INFO, "disk image '%s' was not closed: its refcounts are counted anew", path);
		rc = qcow2_check(&q->img, true, &c, err);
		if (rc || c.corruptions > c.fixed_corruptions)
			return rc ? rc : BAD("it was not closed, and is damaged; see `ring3 disk check`", path);
	}
	if (q->autoclear && q->version >= 3) { /* what those features keep is not kept by us */
		rc = qcow2_write_header_be64(q, H_AUTOCLEAR, 0);
		if (rc)
			return BAD("its header cannot be written: %s", path, strerror(-rc));
		q->autoclear = 0;
	}
	return 0;
}

static int qcow2_flush(struct block_image *img)
{
	struct qcow2 *q = (struct qcow2 *)img;
	bool quiet;
	int rc;

	pthread_rwlock_rdlock(&q->lock);
	quiet = !q->l2.ndirty && !q->refblocks.ndirty && !q->npending && q->l1_dirty_from >= q->l1_dirty_to;
	pthread_rwlock_unlock(&q->lock);
	if (quiet)
		return block_file_sync(img->file);
	pthread_rwlock_wrlock(&q->lock);
	rc = qcow2_settle(q);
	pthread_rwlock_unlock(&q->lock);
	return rc;
}

static void qcow2_free(struct qcow2 *q)
{
	qcow2_snapshots_free(q);
	qcow2_cache_fini(&q->l2);
	qcow2_cache_fini(&q->refblocks);
	pthread_rwlock_destroy(&q->lock);
	pthread_mutex_destroy(&q->cache_lock);
	block_file_close(q->img.file);
	free(q->l1);
	free(q->reftable);
	free(q->spare);
	free(q->backing);
	free(q->backing_format);
	free(q);
}

static void qcow2_close(struct block_image *img)
{
	struct qcow2 *q = (struct qcow2 *)img;
	int rc = 0;

	if (!img->readonly && !q->broken) {
		rc = qcow2_settle(q);
		if (!rc)
			rc = qcow2_write_tables(q); /* what was freed */
		if (!rc && q->incompatible & QCOW2_DIRTY)
			rc = block_file_sync(img->file);
		if (!rc && !q->uncounted)
			rc = qcow2_mark_dirty(q, false);
	}
	if (rc)
		log_at(LOG_WARN, "disk image '%s' could not be closed well: %s", img->path, strerror(-rc));
	qcow2_free(q);
}

static void qcow2_info(struct block_image *img, struct block_info *info)
{
	struct qcow2 *q = (struct qcow2 *)img;

	info->cluster_size = q->cluster_size;
	info->version = q->version;
	info->refcount_bits = 1u << q->refcount_order;
	info->compression = q->zstd ? "zstd" : "zlib";
	info->lazy_refcounts = q->lazy;
	info->extended_l2 = q->incompatible & QCOW2_EXTENDED_L2;
	info->dirty = q->incompatible & QCOW2_DIRTY;
	info->corrupt = q->broken || q->incompatible & QCOW2_CORRUPT;
	if (q->backing)
		memcpy(info->backing, q->backing, MIN(strlen(q->backing), sizeof(info->backing) - 1));
	if (q->backing_format)
		memcpy(info->backing_format, q->backing_format,
		       MIN(strlen(q->backing_format), sizeof(info->backing_format) - 1));
}

int qcow2_grow_l1(struct qcow2 *q, uint32_t size)
{
	uint64_t *l1, n = (size * 8ull + q->cluster_size - 1) >> q->cluster_bits, offset, old = q->l1_offset;
	uint64_t old_n = (q->l1_size * 8ull + q->cluster_size - 1) >> q->cluster_bits;
	uint8_t field[12];
	int rc;

	if (size <= q->l1_size)
		return 0;
	l1 = try_alloc(size * 8ull, QCOW2_L1_MAX * 8);
	if (!l1)
		return -EFBIG;
	memcpy(l1, q->l1, q->l1_size * 8ull);
	rc = qcow2_alloc_run(q, n, &offset);
	if (!rc)
		rc = qcow2_write_tables(q);
	if (!rc)
		rc = qcow2_store_table(q, offset, l1, size);
	if (!rc && size % (q->cluster_size / 8)) /* nothing old may lie behind it */
		rc = block_file_zero(q->img.file, offset + size * 8ull, (n << q->cluster_bits) - size * 8ull, false);
	if (!rc)
		rc = block_file_sync(q->img.file);
	put_be32(field, size);
	block_put_be64(field + 4, offset);
	if (!rc)
		rc = block_file_write(q->img.file, H_L1_SIZE, field, sizeof(field));
	if (rc) {
		free(l1);
		return rc;
	}
	free(q->l1);
	q->l1 = l1;
	q->l1_size = size;
	q->l1_offset = offset;
	if (old_n)
		qcow2_free_later(q, old, old_n);
	return 0;
}

int qcow2_resize(struct block_image *img, uint64_t size, struct err *err)
{
	struct qcow2 *q = (struct qcow2 *)img;
	unsigned shift = q->cluster_bits + q->l2_bits;
	uint64_t need = (size + (1ull << shift) - 1) >> shift, old = img->size;
	int rc = 0;

	if (need > QCOW2_L1_MAX)
		return err_set(err, -EFBIG, "disk image '%s': with clusters of %u bytes it cannot become so large", img->path,
		               q->cluster_size);
	if (size < old && q->nsnaps)
		return err_set(err, -EINVAL, "disk image '%s' has snapshots: delete them before it can shrink", img->path);
	if (size < old)
		rc = qcow2_zero(img, size, old - size, true);
	if (!rc && size > old && old % q->cluster_size) { /* what lies behind the old end shows now */
		uint64_t end = MIN(size, (old + q->cluster_size - 1) & ~(uint64_t)(q->cluster_size - 1));

		img->size = size;
		rc = qcow2_zero(img, old, end - old, false);
		img->size = old;
	}
	if (!rc)
		rc = qcow2_grow_l1(q, (uint32_t)need);
	if (!rc)
		rc = qcow2_settle(q);
	if (!rc)
		rc = qcow2_write_header_be64(q, H_SIZE, size);
	if (rc)
		return err_set(err, rc, "disk image '%s' cannot get another size: %s", img->path, strerror(-rc));
	img->size = size;
	return 0;
}

static const struct block_ops qcow2_ops = {.name = "qcow2", .parallel = true, .read = qcow2_read,
	.write = qcow2_write, .flush = qcow2_flush, .close = qcow2_close, .discard = qcow2_discard, .zero = qcow2_zero,
	.map = qcow2_map, .write_compressed = qcow2_write_compressed, .info = qcow2_info, .check = qcow2_check,
	.resize = qcow2_resize, .set_backing = qcow2_set_backing, .drop = qcow2_drop,
	.snapshots = &qcow2_snapshot_ops};

static int read_all(struct qcow2 *q, const struct block_opening *o, struct err *err)
{
	uint8_t first[H_V2_LENGTH], *h = NULL;
	int rc = block_file_read_padded(q->img.file, 0, first, sizeof(first));
	size_t len = 1u << MAX(MIN(get_be32(first + H_CLUSTER_BITS), 21u), 9u); /* check_geometry judges it */

	if (!rc)
		h = try_alloc(len, MIB(2));
	if (!rc)
		rc = h ? block_file_read_padded(q->img.file, 0, h, len) : -ENOMEM;

	if (rc)
		err_set(err, rc, "disk image '%s' cannot be read: %s", o->path, strerror(-rc));
	else
		rc = read_header(q, h, err);
	if (!rc)
		rc = load_tables(q, err);
	if (!rc)
		rc = qcow2_snapshots_load(q, get_be32(h + H_SNAPSHOTS), block_get_be64(h + H_SNAPSHOT_TABLE), err);
	if (!rc && q->backing)
		rc = block_backing_open(&q->img, o, q->backing, q->backing_format, err);
	if (!rc && !q->img.readonly)
		rc = prepare_writing(q, o->opts, err);
	free(h);
	return rc;
}

static struct block_image *qcow2_open(const struct block_opening *o, struct err *err)
{
	struct qcow2 *q = xalloc(sizeof(*q));

	block_image_init(&q->img, &qcow2_ops, o);
	must(pthread_rwlock_init(&q->lock, NULL) == 0 && pthread_mutex_init(&q->cache_lock, NULL) == 0);
	if (read_all(q, o, err)) {
		q->broken = true; /* nothing more goes to the file */
		block_image_close(&q->img);
		return NULL;
	}
	return &q->img;
}

const struct block_format block_qcow2 = {.name = "qcow2", .probe = qcow2_probe, .open = qcow2_open,
	.create = qcow2_create, .can_back = true, .can_compress = true};
