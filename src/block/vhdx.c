// SPDX-License-Identifier: GPL-2.0-or-later
/* what: VHDX images (Hyper-V), for reading
 *
 * The block table is not kept in memory: an entry is read when it is needed, from the host's page cache. An image whose
 * log was not replayed is refused: its tables are not what they will be.
 * Source: Microsoft, [MS-VHDX] Virtual Hard Disk v2 File Format.
 */
#include <stdlib.h>
#include <string.h>

#include "block/block_int.h"

#define HEADER_AT(i) KIB(64 + 64 * (i))
#define REGIONS_AT(i) KIB(192 + 64 * (i))
enum { H_SEQUENCE = 8, H_LOG_GUID = 48, H_LOG_VERSION = 64, H_VERSION = 66, HEADER_LEN = 4096, TABLE_LEN = 65536 };
enum { ABSENT = 0, UNDEFINED = 1, ZEROS = 2, UNMAPPED = 3, PRESENT = 6, PARTIAL = 7 }; /* 2.5.1.1 */
#define BAD(...) err_set(err, -EINVAL, "disk image '%s': " __VA_ARGS__)

struct vhdx {
	struct block_image img;
	uint64_t bat, bat_len, meta, meta_len;
	uint32_t block, sector;
	uint64_t ratio; /* blocks between two entries that are sector bitmaps */
};

static bool vhdx_probe(const uint8_t head[BLOCK_PROBE_LEN])
{
	return !memcmp(head, "vhdxfile", 8);
}

/* CRC-32C, reflected, as 2.2 wants it. */
static uint32_t crc32c(const uint8_t *b, size_t len)
{
	uint32_t table[256], crc = ~0u;

	for (uint32_t i = 0; i < 256; i++) {
		table[i] = i;
		for (unsigned k = 0; k < 8; k++)
			table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82f63b78u : 0);
	}
	for (size_t i = 0; i < len; i++)
		crc = crc >> 8 ^ table[(crc ^ b[i]) & 255];
	return ~crc;
}

static bool sum_good(uint8_t *b, size_t len)
{
	uint32_t sum = get_le32(b + 4);

	put_le32(b + 4, 0);
	return crc32c(b, len) == sum;
}

static int read_headers(struct vhdx *v, struct err *err)
{
	const char *path = v->img.path;
	uint8_t h[HEADER_LEN], best[HEADER_LEN];
	bool found = false;

	for (unsigned i = 0; i < 2; i++) {
		if (block_file_read(v->img.file, HEADER_AT(i), h, sizeof(h)) || memcmp(h, "head", 4) || !sum_good(h, sizeof(h)))
			continue;
		if (!found || get_le64(h + H_SEQUENCE) > get_le64(best + H_SEQUENCE))
			memcpy(best, h, sizeof(h));
		found = true;
	}
	if (!found)
		return BAD("both of its headers are damaged", path);
	if (get_le16(best + H_VERSION) != 1)
		return BAD("it is VHDX version %u; 1 is supported", path, get_le16(best + H_VERSION));
	if (!block_is_zero(best + H_LOG_GUID, 16))
		return BAD("it was not closed: its log has to be replayed first, by Hyper-V or `qemu-img check -r all`", path);
	return 0;
}

static const uint8_t bat_guid[16] = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd,
                                     0x4a, 0x08};
static const uint8_t metadata_guid[16] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05,
                                          0x0f, 0x88, 0x6e};

static int read_regions(struct vhdx *v, struct err *err)
{
	const char *path = v->img.path;
	uint8_t *t = xalloc(TABLE_LEN), *e;
	bool good = false;

	for (unsigned i = 0; i < 2 && !good; i++)
		good = !block_file_read(v->img.file, REGIONS_AT(i), t, TABLE_LEN) && !memcmp(t, "regi", 4) &&
		       sum_good(t, TABLE_LEN);
	for (uint32_t i = 0; good && i < MIN(get_le32(t + 8), 2047u); i++) {
		e = t + 16 + i * 32;
		if (!memcmp(e, bat_guid, 16)) {
			v->bat = get_le64(e + 16);
			v->bat_len = get_le32(e + 24);
		} else if (!memcmp(e, metadata_guid, 16)) {
			v->meta = get_le64(e + 16);
			v->meta_len = get_le32(e + 24);
		} else if (get_le32(e + 28) & 1) {
			good = false;
		}
	}
	free(t);
	if (!good || v->bat < MIB(1) || v->meta < MIB(1) || v->bat > INT64_MAX || v->meta > INT64_MAX ||
	    v->meta_len < TABLE_LEN)
		return BAD("its table of regions is damaged, or needs what is not supported", path);
	return 0;
}

enum item { PARAMETERS, DISK_SIZE, SECTOR, PARENT, NITEMS };
static const uint8_t item_guid[NITEMS][16] = {
	[PARAMETERS] = {0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b},
	[DISK_SIZE] = {0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8},
	[SECTOR] = {0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f},
	[PARENT] = {0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c},
};

static void take_item(struct vhdx *v, enum item item, uint64_t at, bool *differs)
{
	uint8_t b[8] = {0};

	if (block_file_read(v->img.file, at, b, item == SECTOR ? 4 : 8))
		return;
	if (item == PARAMETERS) {
		v->block = get_le32(b);
		*differs = get_le32(b + 4) & 2;
	} else if (item == DISK_SIZE) {
		v->img.size = get_le64(b);
	} else if (item == SECTOR) {
		v->sector = get_le32(b);
	}
}

static int read_metadata(struct vhdx *v, struct err *err)
{
	const char *path = v->img.path;
	uint8_t *t = xalloc(TABLE_LEN);
	bool differs = false, good;

	good = !block_file_read(v->img.file, v->meta, t, TABLE_LEN) && !memcmp(t, "metadata", 8);
	for (uint32_t i = 0; good && i < MIN(get_le16(t + 10), 2047u); i++) {
		const uint8_t *e = t + 32 + i * 32;
		uint32_t at = get_le32(e + 16);

		for (unsigned k = 0; k < NITEMS; k++)
			if (!memcmp(e, item_guid[k], 16) && at >= TABLE_LEN && at <= v->meta_len - 8)
				take_item(v, (enum item)k, v->meta + at, &differs);
	}
	free(t);
	if (!good)
		return BAD("its metadata are damaged", path);
	if (differs)
		return BAD("it is the difference to another VHDX image, which is not supported; merge it first", path);
	if (v->block < MIB(1) || v->block > MIB(256) || v->block & (v->block - 1) ||
	    (v->sector != 512 && v->sector != 4096))
		return BAD("its blocks of %u bytes and sectors of %u cannot be", path, v->block, v->sector);
	v->img.size &= ~511ull;
	if (!v->img.size || v->img.size > GIB(65536))
		return BAD("its size of %llu bytes cannot be", path, (unsigned long long)v->img.size);
	v->ratio = (8388608ull * v->sector) / v->block;
	if ((v->img.size + v->block - 1) / v->block * 8 > v->bat_len)
		return BAD("its table of blocks is too short", path);
	return 0;
}

/* Where block n lies; 0: zeros. 2.5.1: a bitmap's entry follows each ratio blocks. */
static int find_block(struct vhdx *v, uint64_t n, uint64_t *at)
{
	uint64_t index = n + n / v->ratio, e;
	uint8_t b[8];
	int rc;

	if (index >= v->bat_len / 8)
		return -EIO;
	rc = block_file_read(v->img.file, v->bat + index * 8, b, sizeof(b));
	if (rc)
		return rc;
	e = get_le64(b);
	switch (e & 7) {
	case ABSENT:
	case UNDEFINED:
	case ZEROS:
	case UNMAPPED:
		*at = 0;
		return 0;
	case PRESENT:
		*at = e & ~0xfffffull;
		return *at >= MIB(1) && *at <= INT64_MAX ? 0 : -EIO;
	default:
		return -EIO;
	}
}

static int vhdx_read(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	struct vhdx *v = (struct vhdx *)img;
	uint64_t left = block_iov_len(iov, niov), at;
	struct iovec part[BLOCK_MAX_IOV];
	int rc = 0;

	while (left && !rc) {
		uint64_t len = MIN(left, v->block - offset % v->block);
		unsigned n = block_iov_take(&iov, &niov, len, part);

		rc = find_block(v, offset / v->block, &at);
		if (!rc && at)
			rc = block_file_readv_padded(img->file, at + offset % v->block, part, n);
		else if (!rc)
			block_iov_zero(part, n);
		offset += len;
		left -= len;
	}
	return rc;
}

static int vhdx_map(struct block_image *img, uint64_t offset, struct block_extent *x)
{
	struct vhdx *v = (struct vhdx *)img;
	uint64_t at = 0;
	int rc = find_block(v, offset / v->block, &at);

	x->len = MIN(x->len, v->block - offset % v->block);
	x->zero = !at;
	x->has_offset = at;
	x->offset = at ? at + offset % v->block : 0;
	return rc;
}

static int vhdx_flush(struct block_image *img)
{
	return 0;
}

static void vhdx_close(struct block_image *img)
{
	block_file_close(img->file);
	free(img);
}

static void vhdx_info(struct block_image *img, struct block_info *info)
{
	info->cluster_size = ((struct vhdx *)img)->block;
}

static const struct block_ops vhdx_ops = {.name = "vhdx", .parallel = true, .read = vhdx_read, .flush = vhdx_flush,
	.close = vhdx_close, .map = vhdx_map, .info = vhdx_info};

static struct block_image *vhdx_open(const struct block_opening *o, struct err *err)
{
	struct vhdx *v = xalloc(sizeof(*v));
	const char *path = o->path;
	uint8_t head[BLOCK_PROBE_LEN] = {0};
	int rc = 0;

	block_image_init(&v->img, &vhdx_ops, o);
	if (block_file_read_padded(o->file, 0, head, sizeof(head)) || !vhdx_probe(head))
		rc = BAD("it is no VHDX image", path);
	else if (!o->opts->readonly)
		rc = BAD("VHDX images can only be read; add ',readonly' or ',snapshot', or convert it", path);
	if (rc || read_headers(v, err) || read_regions(v, err) || read_metadata(v, err)) {
		block_image_close(&v->img);
		return NULL;
	}
	return &v->img;
}

const struct block_format block_vhdx = {.name = "vhdx", .probe = vhdx_probe, .open = vhdx_open};
