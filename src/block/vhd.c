// SPDX-License-Identifier: GPL-2.0-or-later
/* what: VHD images (Virtual PC, Hyper-V), fixed and dynamic
 *
 * A fixed one is the disk's bytes and a footer. A dynamic one begins with a copy of the footer, then a header, a table
 * of blocks, and the blocks, each with a bitmap of its sectors before it, then the footer. A new block goes where the
 * footer was; the footer is written behind it first, so that there is always one, besides the copy at the front.
 * A fixed image is never recognized by content: its footer is a place the guest may write to if it is taken as raw.
 * Source: Microsoft, Virtual Hard Disk Image Format Specification, version 1.0.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "block/block_int.h"

enum { /* footer, big-endian */
	F_FEATURES = 8, F_VERSION = 12, F_HEADER = 16, F_TIME = 24, F_CREATOR = 28, F_CREATOR_VERSION = 32, F_HOST = 36,
	F_ORIGINAL = 40, F_SIZE = 48, F_CYLINDERS = 56, F_HEADS = 58, F_SECTORS = 59, F_TYPE = 60, F_SUM = 64, F_UUID = 68,
	FOOTER_LEN = 512,
};
enum { /* dynamic header */
	D_NEXT = 8, D_TABLE = 16, D_VERSION = 24, D_ENTRIES = 28, D_BLOCK = 32, D_SUM = 36, HEADER_LEN = 1024,
};
enum { FIXED = 2, DYNAMIC = 3, DIFFERENCING = 4 };
#define NONE 0xffffffffu
#define ENTRIES_MAX (MIB(64) / 4)
#define SIZE_MAX_VHD (GIB(2040))
#define EPOCH 946684800u /* 2000-01-01 in seconds since 1970 */
#define BAD(...) err_set(err, -EINVAL, "disk image '%s': " __VA_ARGS__)

struct vhd {
	struct block_image img;
	struct block_sparse sparse;
	uint32_t type, *table, entries;
	uint64_t table_at, end; /* end: where the footer is, and the next block comes */
	uint32_t bitmap_len;
	uint8_t footer[FOOTER_LEN];
};

static const char cookie[] = "conectix", header_cookie[] = "cxsparse";

static bool vhd_probe(const uint8_t head[BLOCK_PROBE_LEN])
{
	return !memcmp(head, cookie, 8);
}

/* One's complement of the sum of all bytes but the sum's own. */
static uint32_t sum_of(const uint8_t *b, size_t len, size_t at)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i >= at && i < at + 4 ? 0 : b[i];
	return ~sum;
}

static int vhd_find(struct block_sparse *s, uint64_t n, uint64_t *at)
{
	struct vhd *v = CONTAINER_OF(s, struct vhd, sparse);
	uint32_t e = v->table[n];

	*at = e == NONE ? BLOCK_SPARSE_NONE : e * 512ull + v->bitmap_len;
	return 0;
}

static int vhd_place(struct block_sparse *s, uint64_t n, uint64_t *at)
{
	struct vhd *v = CONTAINER_OF(s, struct vhd, sparse);
	uint64_t place = (v->end + 511) & ~511ull, end = place + v->bitmap_len + s->block_size;
	uint8_t *bitmap;
	int rc;

	if (place / 512 >= NONE)
		return -EFBIG;
	rc = block_file_write(s->file, end, v->footer, FOOTER_LEN);
	if (rc)
		return rc;
	bitmap = xalloc(v->bitmap_len);
	memset(bitmap, 0xff, v->bitmap_len); /* every sector is there */
	rc = block_file_write(s->file, place, bitmap, v->bitmap_len);
	free(bitmap);
	if (rc)
		return rc;
	v->end = end;
	*at = place + v->bitmap_len;
	return 0;
}

static int vhd_publish(struct block_sparse *s, uint64_t n, uint64_t at)
{
	struct vhd *v = CONTAINER_OF(s, struct vhd, sparse);
	uint32_t e = (uint32_t)((at - v->bitmap_len) / 512);
	uint8_t b[4];
	int rc;

	put_be32(b, e);
	rc = block_file_write(s->file, v->table_at + n * 4, b, sizeof(b));
	if (!rc)
		v->table[n] = e;
	return rc;
}

static int vhd_read(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	struct vhd *v = (struct vhd *)img;

	if (v->type == FIXED)
		return block_file_readv(img->file, offset, iov, niov);
	return block_sparse_read(&v->sparse, img, 0, offset, iov, niov);
}

static int vhd_write(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	struct vhd *v = (struct vhd *)img;

	if (v->type == FIXED)
		return block_file_writev(img->file, offset, iov, niov);
	return block_sparse_write(&v->sparse, img, 0, offset, iov, niov);
}

static int vhd_flush(struct block_image *img)
{
	return block_file_sync(img->file);
}

static int vhd_map(struct block_image *img, uint64_t offset, struct block_extent *x)
{
	struct vhd *v = (struct vhd *)img;
	bool hole;
	int rc;

	if (v->type != FIXED)
		return block_sparse_map(&v->sparse, img, offset, x);
	rc = block_file_extent(img->file, offset, x->len, &x->len, &hole);
	x->zero = hole;
	x->has_offset = !hole;
	x->offset = offset;
	return rc;
}

static void vhd_close(struct block_image *img)
{
	struct vhd *v = (struct vhd *)img;

	block_sparse_fini(&v->sparse);
	block_file_close(img->file);
	free(v->table);
	free(v);
}

static void vhd_info(struct block_image *img, struct block_info *info)
{
	struct vhd *v = (struct vhd *)img;

	info->subformat = v->type == FIXED ? "fixed" : "dynamic";
	info->cluster_size = v->type == FIXED ? 0 : v->sparse.block_size;
}

static const struct block_ops vhd_ops = {.name = "vhd", .parallel = true, .read = vhd_read, .write = vhd_write,
	.flush = vhd_flush, .close = vhd_close, .map = vhd_map, .info = vhd_info};

static bool footer_good(const uint8_t *f)
{
	return vhd_probe(f) && get_be32(f + F_SUM) == sum_of(f, FOOTER_LEN, F_SUM);
}

static int read_footer(struct vhd *v, uint64_t file_size, struct err *err)
{
	const char *path = v->img.path;
	int rc = -EIO;

	if (file_size >= FOOTER_LEN)
		rc = block_file_read(v->img.file, file_size - FOOTER_LEN, v->footer, FOOTER_LEN);
	if (rc || !footer_good(v->footer)) {
		rc = block_file_read_padded(v->img.file, 0, v->footer, FOOTER_LEN);
		if (rc || !footer_good(v->footer))
			return BAD("it is no VHD image: neither end has a good footer", path);
	}
	v->type = get_be32(v->footer + F_TYPE);
	v->img.size = block_get_be64(v->footer + F_SIZE) & ~511ull;
	if (v->type == DIFFERENCING)
		return BAD("it is the difference to another VHD image, which is not supported; merge it first", path);
	if (v->type != FIXED && v->type != DYNAMIC)
		return BAD("it is a VHD image of type %u; fixed (2) and dynamic (3) are supported", path, v->type);
	if (!v->img.size || v->img.size > SIZE_MAX_VHD)
		return BAD("its size of %llu bytes cannot be", path, (unsigned long long)v->img.size);
	if (v->type == FIXED && v->img.size > file_size - FOOTER_LEN)
		return BAD("it is shorter than its footer says", path);
	return 0;
}

static int read_header(struct vhd *v, struct err *err)
{
	const char *path = v->img.path;
	uint64_t at = block_get_be64(v->footer + F_HEADER);
	uint8_t h[HEADER_LEN];
	uint32_t block;

	if (at > INT64_MAX || block_file_read(v->img.file, at, h, sizeof(h)) || memcmp(h, header_cookie, 8) ||
	    get_be32(h + D_SUM) != sum_of(h, HEADER_LEN, D_SUM))
		return BAD("its header is damaged", path);
	v->table_at = block_get_be64(h + D_TABLE);
	v->entries = get_be32(h + D_ENTRIES);
	block = get_be32(h + D_BLOCK);
	if (block < 512 || block & (block - 1) || block > MIB(64))
		return BAD("its blocks of %u bytes are not supported", path, block);
	if (v->entries > ENTRIES_MAX || v->img.size > (uint64_t)v->entries * block || v->table_at > INT64_MAX)
		return BAD("its table of %u blocks does not fit its size", path, v->entries);
	if (v->table_at < FOOTER_LEN)
		return BAD("its table lies over its footer", path);
	v->sparse.block_size = block;
	v->sparse.size = v->img.size;
	v->bitmap_len = (block / 512 / 8 + 511) & ~511u;
	return 0;
}

static int read_table(struct vhd *v, uint64_t file_size, struct err *err)
{
	const char *path = v->img.path;
	uint64_t after = v->table_at + ((v->entries * 4ull + 511) & ~511ull);
	int rc;

	v->table = try_alloc(v->entries * 4ull + 4, ENTRIES_MAX * 4 + 4);
	rc = v->table ? block_file_read(v->img.file, v->table_at, v->table, v->entries * 4ull) : -ENOMEM;
	if (rc)
		return BAD("its table of blocks cannot be read: %s", path, strerror(-rc));
	v->end = MAX(after, block_get_be64(v->footer + F_HEADER) + HEADER_LEN);
	for (uint32_t i = 0; i < v->entries; i++) {
		uint32_t e = get_be32((uint8_t *)v->table + i * 4ull);
		uint64_t at = e * 512ull;

		v->table[i] = e;
		if (e == NONE)
			continue;
		if (at < after || at > file_size)
			return BAD("a block lies outside of where blocks are", path);
		v->end = MAX(v->end, at + v->bitmap_len + v->sparse.block_size);
	}
	return 0;
}

static struct block_image *vhd_open(const struct block_opening *o, struct err *err)
{
	struct vhd *v = xalloc(sizeof(*v));
	uint64_t size = 0;
	int rc;

	block_image_init(&v->img, &vhd_ops, o);
	block_sparse_init(&v->sparse, o->file, 0, 0);
	v->sparse.find = vhd_find;
	v->sparse.place = vhd_place;
	v->sparse.publish = vhd_publish;
	rc = block_file_size(o->file, &size);
	if (rc)
		err_set(err, rc, "disk image '%s': %s", o->path, strerror(-rc));
	if (!rc)
		rc = read_footer(v, size, err);
	if (!rc && v->type == DYNAMIC)
		rc = read_header(v, err);
	if (!rc && v->type == DYNAMIC)
		rc = read_table(v, size, err);
	if (rc) {
		block_image_close(&v->img);
		return NULL;
	}
	return &v->img;
}

/* Appendix of the specification: the geometry for a size. */
static void put_geometry(uint8_t *f, uint64_t sectors)
{
	uint32_t heads, spt, cylinder_heads;

	sectors = MIN(sectors, 65535ull * 16 * 255);
	if (sectors >= 65535ull * 16 * 63) {
		spt = 255;
		heads = 16;
		cylinder_heads = (uint32_t)(sectors / spt);
	} else {
		spt = 17;
		cylinder_heads = (uint32_t)(sectors / spt);
		heads = MAX((cylinder_heads + 1023) / 1024, 4u);
		if (cylinder_heads >= heads * 1024 || heads > 16) {
			spt = 31;
			heads = 16;
			cylinder_heads = (uint32_t)(sectors / spt);
		}
		if (cylinder_heads >= heads * 1024) {
			spt = 63;
			heads = 16;
			cylinder_heads = (uint32_t)(sectors / spt);
		}
	}
	put_be16(f + F_CYLINDERS, (uint16_t)(cylinder_heads / heads));
	f[F_HEADS] = (uint8_t)heads;
	f[F_SECTORS] = (uint8_t)spt;
}

/* The creator is given as Windows: other programs then take the size from the footer, not from its geometry. */
static void fill_footer(uint8_t *f, uint64_t size, bool fixed)
{
	memcpy(f, cookie, 8);
	put_be32(f + F_FEATURES, 2);
	put_be32(f + F_VERSION, 0x00010000);
	block_put_be64(f + F_HEADER, fixed ? UINT64_MAX : FOOTER_LEN);
	put_be32(f + F_TIME, (uint32_t)time(NULL) - EPOCH);
	memcpy(f + F_CREATOR, "win ", 4);
	put_be32(f + F_CREATOR_VERSION, 0x000a0000);
	memcpy(f + F_HOST, "Wi2k", 4);
	block_put_be64(f + F_ORIGINAL, size);
	block_put_be64(f + F_SIZE, size);
	put_geometry(f, size / 512);
	put_be32(f + F_TYPE, fixed ? FIXED : DYNAMIC);
	if (getrandom(f + F_UUID, 16, 0) != 16)
		block_put_be64(f + F_UUID, size);
	put_be32(f + F_SUM, sum_of(f, FOOTER_LEN, F_SUM));
}

static int write_dynamic(struct block_file *f, const uint8_t *footer, uint64_t size, uint32_t block)
{
	uint32_t entries = (uint32_t)((size + block - 1) / block);
	uint64_t table = FOOTER_LEN + HEADER_LEN, end = table + ((entries * 4ull + 511) & ~511ull);
	uint8_t *buf = xalloc(end + FOOTER_LEN), *h = buf + FOOTER_LEN;
	int rc;

	memcpy(buf, footer, FOOTER_LEN);
	memcpy(h, header_cookie, 8);
	block_put_be64(h + D_NEXT, UINT64_MAX);
	block_put_be64(h + D_TABLE, table);
	put_be32(h + D_VERSION, 0x00010000);
	put_be32(h + D_ENTRIES, entries);
	put_be32(h + D_BLOCK, block);
	put_be32(h + D_SUM, sum_of(h, HEADER_LEN, D_SUM));
	memset(buf + table, 0xff, end - table);
	memcpy(buf + end, footer, FOOTER_LEN);
	rc = block_file_write(f, 0, buf, end + FOOTER_LEN);
	free(buf);
	return rc;
}

static int vhd_create(const char *path, const struct block_create *c, struct err *err)
{
	bool fixed = c->subformat && !strcmp(c->subformat, "fixed");
	uint32_t block = c->cluster_size ? c->cluster_size : (uint32_t)MIB(2);
	uint8_t footer[FOOTER_LEN] = {0};
	struct block_file *f;
	int rc;

	if (c->subformat && !fixed && strcmp(c->subformat, "dynamic"))
		return err_set(err, -EINVAL, "VHD images are dynamic or fixed, not '%s'", c->subformat);
	if (c->size > SIZE_MAX_VHD)
		return err_set(err, -EFBIG, "a VHD image can have 2040G at most");
	if (block < 4096 || block & (block - 1) || block > MIB(64))
		return err_set(err, -EINVAL, "blocks of %u bytes cannot be: give a power of two from 4K to 64M", block);
	if (c->size / block > ENTRIES_MAX)
		return err_set(err, -EFBIG, "with blocks of %u bytes a VHD image cannot be so large", block);
	f = block_file_create(path, err);
	if (!f)
		return -EIO;
	fill_footer(footer, c->size, fixed);
	rc = fixed ? block_file_write(f, c->size, footer, FOOTER_LEN) : write_dynamic(f, footer, c->size, block);
	block_file_close(f);
	if (rc)
		unlink(path);
	return rc ? err_set(err, rc, "'%s' cannot be written: %s", path, strerror(-rc)) : 0;
}

const struct block_format block_vhd = {.name = "vhd", .alias = "vpc", .probe = vhd_probe, .open = vhd_open,
	.create = vhd_create};
