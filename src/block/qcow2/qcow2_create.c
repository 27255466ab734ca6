// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a new qcow2 image, and the header written again with another backing file
 *
 * A new image is [header][refcount table][one refcount block][L1 table]; everything else comes when it is used.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/qcow2/qcow2_int.h"

static unsigned log2_of(uint32_t v)
{
	return 31u - (unsigned)__builtin_clz(v);
}

static int check_wishes(const struct block_create *c, struct err *err)
{
	uint32_t size = c->cluster_size;

	if (size && (size < 512 || size > MIB(2) || size & (size - 1)))
		return err_set(err, -EINVAL, "clusters of %u bytes cannot be: give a power of two from 512 to 2M", size);
	if (c->refcount_bits && (c->refcount_bits > 64 || c->refcount_bits & (c->refcount_bits - 1)))
		return err_set(err, -EINVAL, "refcounts of %u bits cannot be: give 1, 2, 4, 8, 16, 32 or 64", c->refcount_bits);
	if (c->version && c->version != 2 && c->version != 3)
		return err_set(err, -EINVAL, "qcow version %u is unknown: 2 and 3 are known", c->version);
	if (c->version == 2 && (c->lazy_refcounts || c->zstd || (c->refcount_bits && c->refcount_bits != 16)))
		return err_set(err, -EINVAL, "version 2 has neither lazy refcounts nor zstd, and refcounts of 16 bits only");
	if (c->backing && strlen(c->backing) > 1023)
		return err_set(err, -EINVAL, "the name of the backing file has more than 1023 bytes");
	return 0;
}

static uint32_t put_extension(uint8_t *h, uint32_t at, uint32_t type, const void *data, uint32_t len)
{
	put_be32(h + at, type);
	put_be32(h + at + 4, len);
	memcpy(h + at + 8, data, len);
	return at + 8 + ((len + 7) & ~7u);
}

/* The name of the backing file, and its format, behind the header. */
static int put_backing(uint8_t *h, uint32_t at, uint32_t size, const char *path, const char *format)
{
	uint32_t len = path ? (uint32_t)strlen(path) : 0, flen = path && format ? (uint32_t)strlen(format) : 0;

	if (at + 8 + (flen ? 16 + flen : 0) + len > size)
		return -ENOSPC;
	if (flen)
		at = put_extension(h, at, X_BACKING_FORMAT, format, flen);
	memset(h + at, 0, 8);
	at += 8;
	block_put_be64(h + H_BACKING, len ? at : 0);
	put_be32(h + H_BACKING_LEN, len);
	if (len)
		memcpy(h + at, path, len);
	return 0;
}

struct layout {
	unsigned bits, order;
	uint64_t l1_size, l1_clusters, reftable, block, l1; /* the last three: byte offsets */
};

static int lay_out(const struct block_create *c, struct layout *l, struct err *err)
{
	uint32_t size = c->cluster_size ? c->cluster_size : 65536;
	uint64_t per_l2;

	l->bits = log2_of(size);
	l->order = c->refcount_bits ? log2_of(c->refcount_bits) : 4;
	per_l2 = (uint64_t)size * (size / 8);
	l->l1_size = (c->size + per_l2 - 1) / per_l2;
	if (l->l1_size > QCOW2_L1_MAX)
		return err_set(err, -EFBIG, "with clusters of %u bytes a disk cannot be so large: give larger clusters", size);
	l->l1_clusters = (l->l1_size * 8 + size - 1) / size;
	l->reftable = size;
	l->block = 2ull * size;
	l->l1 = 3ull * size;
	return 0;
}

static void fill_header(uint8_t *h, const struct block_create *c, const struct layout *l)
{
	unsigned version = c->version ? c->version : 3;

	put_be32(h, QCOW2_MAGIC);
	put_be32(h + H_VERSION, version);
	put_be32(h + H_CLUSTER_BITS, l->bits);
	block_put_be64(h + H_SIZE, c->size);
	put_be32(h + H_L1_SIZE, 0);
	block_put_be64(h + H_L1, l->l1);
	block_put_be64(h + H_REFTABLE, l->reftable);
	put_be32(h + H_REFTABLE_CLUSTERS, 1);
	if (version == 2)
		return;
	block_put_be64(h + H_INCOMPATIBLE, c->zstd ? QCOW2_COMPRESSION : 0);
	block_put_be64(h + H_COMPATIBLE, c->lazy_refcounts ? QCOW2_LAZY : 0);
	put_be32(h + H_REFCOUNT_ORDER, l->order);
	put_be32(h + H_LENGTH, 112);
	h[H_COMPRESSION] = c->zstd;
}

/* The refcounts of the four first areas. Written with L1 size 0 so that this opens; the table grows then, with the
 * code that grows tables. */
static int write_skeleton(struct block_file *f, const struct block_create *c, const struct layout *l)
{
	uint32_t size = 1u << l->bits;
	uint8_t *buf = xalloc(size * 3ull);
	struct qcow2 q = {.refcount_order = l->order};
	int rc;

	fill_header(buf, c, l);
	rc = put_backing(buf, c->version == 2 ? H_V2_LENGTH : 112, size, c->backing, c->backing_format);
	block_put_be64(buf + size, l->block);
	for (unsigned i = 0; i < 4; i++) {
		unsigned width = 1u << q.refcount_order;

		if (width >= 8)
			buf[size * 2ull + (i + 1) * (width / 8) - 1] = 1;
		else
			buf[size * 2ull + i * width / 8] |= (uint8_t)(1u << (i * width % 8));
	}
	if (!rc)
		rc = block_file_write(f, 0, buf, size * 3ull);
	free(buf);
	return rc;
}

/* Sizes that one L1 cluster cannot hold, and the whole size, are reached by growing. */
static int grow(const char *path, const struct block_create *c, const struct layout *l, struct err *err)
{
	struct block_image_opts opts = {.format = "qcow2", .no_backing = true, .repair = true};
	struct block_image *img = block_image_open(path, &opts, err);
	int rc;

	if (!img)
		return -EIO;
	rc = qcow2_grow_l1((struct qcow2 *)img, (uint32_t)l->l1_size);
	if (!rc)
		rc = block_image_flush(img);
	if (!rc)
		rc = qcow2_write_header_be64((struct qcow2 *)img, H_SIZE, c->size);
	block_image_close(img);
	return rc ? err_set(err, rc, "'%s' cannot be written: %s", path, strerror(-rc)) : 0;
}

int qcow2_create(const char *path, const struct block_create *c, struct err *err)
{
	struct layout l = {0};
	struct block_file *f;
	struct block_create first = *c;
	uint64_t in_one;
	bool large;
	int rc;

	if (check_wishes(c, err) || lay_out(c, &l, err))
		return -EINVAL;
	in_one = (1ull << l.bits) / 8;
	large = l.l1_size > in_one;
	f = block_file_create(path, err);
	if (!f)
		return -EIO;
	if (large)
		first.size = in_one << (2 * l.bits - 3);
	rc = write_skeleton(f, &first, &l);
	if (!rc) {
		uint8_t b[4];

		put_be32(b, (uint32_t)MIN(l.l1_size, in_one));
		rc = block_file_write(f, H_L1_SIZE, b, sizeof(b));
	}
	if (!rc)
		rc = block_file_truncate(f, 4ull << l.bits); /* an L1 table of zeros */
	block_file_close(f);
	if (rc)
		err_set(err, rc, "'%s' cannot be written: %s", path, strerror(-rc));
	if (!rc && large)
		rc = grow(path, c, &l, err);
	if (rc)
		unlink(path);
	return rc;
}

/* Extensions but for the backing file's format, moved to the front of out. Returns where they end. */
static uint32_t keep_extensions(const struct qcow2 *q, const uint8_t *h, uint8_t *out)
{
	uint32_t at = q->header_len, to = q->header_len;

	while (at + 8 <= q->cluster_size) {
		uint32_t type = get_be32(h + at), len = get_be32(h + at + 4);

		if (type == X_END || len > q->cluster_size - at - 8)
			break;
		if (type != X_BACKING_FORMAT)
			to = put_extension(out, to, type, h + at + 8, len);
		at += 8 + ((len + 7) & ~7u);
	}
	return to;
}

int qcow2_set_backing(struct block_image *img, const char *path, const char *format, struct err *err)
{
	struct qcow2 *q = (struct qcow2 *)img;
	uint8_t *h, *out;
	int rc;

	if (path && (!*path || strlen(path) > 1023))
		return err_set(err, -EINVAL, "the name of the backing file must have 1 to 1023 bytes");
	h = xalloc(q->cluster_size * 2ull);
	out = h + q->cluster_size;
	rc = qcow2_settle(q);
	if (!rc)
		rc = block_file_read_padded(img->file, 0, h, q->cluster_size);
	if (!rc) {
		memcpy(out, h, q->header_len);
		rc = put_backing(out, keep_extensions(q, h, out), q->cluster_size, path, format);
	}
	if (!rc)
		rc = block_file_write(img->file, 0, out, q->cluster_size);
	if (!rc)
		rc = block_file_sync(img->file);
	free(h);
	return rc ? err_set(err, rc, "disk image '%s': its header cannot be written: %s", img->path, strerror(-rc)) : 0;
}
