// SPDX-License-Identifier: GPL-2.0-or-later
/* what: VDI images (VirtualBox), dynamic and fixed: a header, a map of blocks, blocks in the order they were written
 *
 * The header's count of blocks is raised before a block is written, and blocks found in the map count too: a killed
 * process leaves at most a block that nobody uses, never one that is given away twice.
 * Source: VirtualBox's VDICore.h as described at forums.virtualbox.org/viewtopic.php?t=8046.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "block/block_int.h"

enum {
	SIGNATURE = 0x40, VERSION = 0x44, HEADER_SIZE = 0x48, TYPE = 0x4c, MAP_AT = 0x154, DATA_AT = 0x158,
	SECTOR_SIZE = 0x168, DISK_SIZE = 0x170, BLOCK_SIZE = 0x178, BLOCK_EXTRA = 0x17c, BLOCKS = 0x180, ALLOCATED = 0x184,
	UUID_IMAGE = 0x188, UUID_LAST = 0x198, UUID_LINK = 0x1a8, UUID_PARENT = 0x1b8, HEADER_LEN = 512,
};
#define MAGIC 0xbeda107fu
#define VERSION_1_1 0x00010001u
#define DYNAMIC 1u
#define FIXED 2u
#define NONE 0xffffffffu
#define ZERO 0xfffffffeu
#define BLOCKS_MAX (MIB(64) / 4)
#define BAD(...) err_set(err, -EINVAL, "disk image '%s': " __VA_ARGS__)

struct vdi {
	struct block_image img;
	struct block_sparse sparse;
	uint32_t *map, blocks, allocated, type;
	uint64_t map_at, data_at;
};

static bool vdi_probe(const uint8_t head[BLOCK_PROBE_LEN])
{
	return get_le32(head + SIGNATURE) == MAGIC;
}

static int vdi_find(struct block_sparse *s, uint64_t n, uint64_t *at)
{
	struct vdi *v = CONTAINER_OF(s, struct vdi, sparse);
	uint32_t e = v->map[n];

	*at = e == NONE ? BLOCK_SPARSE_NONE : e == ZERO ? BLOCK_SPARSE_ZERO : v->data_at + (uint64_t)e * s->block_size;
	return 0;
}

static int vdi_place(struct block_sparse *s, uint64_t n, uint64_t *at)
{
	struct vdi *v = CONTAINER_OF(s, struct vdi, sparse);
	uint8_t b[4];
	int rc;

	if (v->allocated >= ZERO)
		return -EFBIG;
	put_le32(b, v->allocated + 1);
	rc = block_file_write(s->file, ALLOCATED, b, sizeof(b));
	if (!rc)
		*at = v->data_at + (uint64_t)v->allocated++ * s->block_size;
	return rc;
}

static int vdi_publish(struct block_sparse *s, uint64_t n, uint64_t at)
{
	struct vdi *v = CONTAINER_OF(s, struct vdi, sparse);
	uint32_t e = (uint32_t)((at - v->data_at) / s->block_size);
	uint8_t b[4];
	int rc;

	put_le32(b, e);
	rc = block_file_write(s->file, v->map_at + n * 4, b, sizeof(b));
	if (!rc)
		v->map[n] = e;
	return rc;
}

static int vdi_read(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	return block_sparse_read(&((struct vdi *)img)->sparse, img, 0, offset, iov, niov);
}

static int vdi_write(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	return block_sparse_write(&((struct vdi *)img)->sparse, img, 0, offset, iov, niov);
}

static int vdi_flush(struct block_image *img)
{
	return block_file_sync(img->file);
}

static int vdi_map(struct block_image *img, uint64_t offset, struct block_extent *x)
{
	return block_sparse_map(&((struct vdi *)img)->sparse, img, offset, x);
}

static void vdi_close(struct block_image *img)
{
	struct vdi *v = (struct vdi *)img;

	block_sparse_fini(&v->sparse);
	block_file_close(img->file);
	free(v->map);
	free(v);
}

static void vdi_info(struct block_image *img, struct block_info *info)
{
	struct vdi *v = (struct vdi *)img;

	info->cluster_size = v->sparse.block_size;
	info->subformat = v->type == FIXED ? "fixed" : "dynamic";
}

/* Every block at its own place, inside what the header says is taken. */
static int vdi_check(struct block_image *img, bool repair, struct block_check *c, struct err *err)
{
	struct vdi *v = (struct vdi *)img;
	uint8_t *seen = try_alloc(v->blocks / 8ull + 1, BLOCKS_MAX), b[4];
	uint32_t used = 0;
	int rc = 0;

	if (!seen)
		return err_set(err, -ENOMEM, "disk image '%s' cannot be checked: no memory", img->path);
	c->clusters = v->blocks;
	for (uint32_t i = 0; i < v->blocks; i++) {
		uint32_t e = v->map[i];
		bool twice;

		if (e >= ZERO)
			continue;
		used++;
		c->allocated++;
		twice = e < v->blocks && seen[e / 8] >> (e % 8) & 1;
		if (e < v->blocks)
			seen[e / 8] |= (uint8_t)(1u << (e % 8));
		if (twice || e >= v->blocks) {
			c->corruptions++;
			if (c->say && c->corruptions < 100)
				c->say(c->opaque, twice ? "two blocks lie at the same place" : "a block lies beyond all places");
		}
	}
	free(seen);
	if (used != v->allocated)
		c->leaks += v->allocated > used ? v->allocated - used : 1;
	if (repair && used == v->allocated) { /* perhaps only the header is behind */
		put_le32(b, v->allocated);
		rc = block_file_write(img->file, ALLOCATED, b, sizeof(b));
	}
	return rc ? err_set(err, rc, "disk image '%s' cannot be written: %s", img->path, strerror(-rc)) : 0;
}

static const struct block_ops vdi_ops = {.name = "vdi", .parallel = true, .read = vdi_read, .write = vdi_write,
	.flush = vdi_flush, .close = vdi_close, .map = vdi_map, .info = vdi_info, .check = vdi_check};

static int read_header(struct vdi *v, struct err *err)
{
	const char *path = v->img.path;
	uint8_t h[HEADER_LEN];
	uint32_t block;

	if (block_file_read(v->img.file, 0, h, sizeof(h)))
		return BAD("its header cannot be read", path);
	if (!vdi_probe(h))
		return BAD("it is no VDI image", path);
	if (get_le32(h + VERSION) != VERSION_1_1)
		return BAD("it is VDI version %u.%u; 1.1 is supported", path, get_le16(h + VERSION + 2), get_le16(h + VERSION));
	v->type = get_le32(h + TYPE);
	if (v->type != DYNAMIC && v->type != FIXED)
		return BAD("it is a VDI image of type %u; dynamic (1) and fixed (2) are supported", path, v->type);
	if (!block_is_zero(h + UUID_PARENT, 16))
		return BAD("it is the difference to another VDI image, which is not supported", path);
	block = get_le32(h + BLOCK_SIZE);
	v->map_at = get_le32(h + MAP_AT);
	v->data_at = get_le32(h + DATA_AT);
	v->blocks = get_le32(h + BLOCKS);
	v->allocated = get_le32(h + ALLOCATED);
	v->img.size = get_le64(h + DISK_SIZE) & ~511ull;
	if (get_le32(h + SECTOR_SIZE) != 512 || get_le32(h + BLOCK_EXTRA) || block < 512 || block & (block - 1) ||
	    block > MIB(64))
		return BAD("its blocks of %u bytes are not supported", path, block);
	if (v->blocks > BLOCKS_MAX || !v->img.size || v->img.size > (uint64_t)v->blocks * block)
		return BAD("its size of %llu bytes does not fit its %u blocks", path, (unsigned long long)v->img.size,
		           v->blocks);
	if (v->map_at < HEADER_LEN || v->map_at % 512 || v->data_at % 512 || v->data_at < v->map_at + v->blocks * 4ull)
		return BAD("its tables overlap", path);
	v->sparse.block_size = block;
	v->sparse.size = v->img.size;
	return 0;
}

static int read_map(struct vdi *v, struct err *err)
{
	const char *path = v->img.path;
	int rc;

	v->map = try_alloc(v->blocks * 4ull, BLOCKS_MAX * 4);
	rc = v->map ? block_file_read(v->img.file, v->map_at, v->map, v->blocks * 4ull) : -ENOMEM;
	if (rc)
		return BAD("its map of blocks cannot be read: %s", path, strerror(-rc));
	for (uint32_t i = 0; i < v->blocks; i++) {
		v->map[i] = get_le32((uint8_t *)v->map + i * 4ull);
		if (v->map[i] < ZERO)
			v->allocated = MAX(v->allocated, v->map[i] + 1);
	}
	return 0;
}

static struct block_image *vdi_open(const struct block_opening *o, struct err *err)
{
	struct vdi *v = xalloc(sizeof(*v));

	block_image_init(&v->img, &vdi_ops, o);
	block_sparse_init(&v->sparse, o->file, 0, 0);
	v->sparse.find = vdi_find;
	v->sparse.place = vdi_place;
	v->sparse.publish = vdi_publish;
	if (read_header(v, err) || read_map(v, err)) {
		block_image_close(&v->img);
		return NULL;
	}
	return &v->img;
}

static void fill_header(uint8_t *h, const struct block_create *c, uint32_t block, uint32_t blocks, bool fixed)
{
	static const char text[] = "<<< disk image made by ring3 >>>\n";

	memcpy(h, text, sizeof(text) - 1);
	put_le32(h + SIGNATURE, MAGIC);
	put_le32(h + VERSION, VERSION_1_1);
	put_le32(h + HEADER_SIZE, 0x190);
	put_le32(h + TYPE, fixed ? FIXED : DYNAMIC);
	put_le32(h + MAP_AT, 512);
	put_le32(h + DATA_AT, (uint32_t)((512 + blocks * 4ull + 511) & ~511ull));
	put_le32(h + SECTOR_SIZE, 512);
	put_le64(h + DISK_SIZE, c->size);
	put_le32(h + BLOCK_SIZE, block);
	put_le32(h + BLOCKS, blocks);
	put_le32(h + ALLOCATED, fixed ? blocks : 0);
	if (getrandom(h + UUID_IMAGE, 16, 0) != 16 || getrandom(h + UUID_LAST, 16, 0) != 16)
		put_le64(h + UUID_IMAGE, c->size);
}

static int vdi_create(const char *path, const struct block_create *c, struct err *err)
{
	uint32_t block = c->cluster_size ? c->cluster_size : (uint32_t)MIB(1);
	uint64_t blocks = (c->size + block - 1) / block, len = (512 + blocks * 4 + 511) & ~511ull;
	bool fixed = c->subformat && !strcmp(c->subformat, "fixed");
	struct block_file *f;
	uint8_t *buf;
	int rc;

	if (c->subformat && !fixed && strcmp(c->subformat, "dynamic"))
		return err_set(err, -EINVAL, "VDI images are dynamic or fixed, not '%s'", c->subformat);
	if (block < 4096 || block & (block - 1) || block > MIB(64))
		return err_set(err, -EINVAL, "blocks of %u bytes cannot be: give a power of two from 4K to 64M", block);
	if (blocks > BLOCKS_MAX)
		return err_set(err, -EFBIG, "with blocks of %u bytes a VDI image cannot be so large", block);
	f = block_file_create(path, err);
	if (!f)
		return -EIO;
	buf = xalloc(len);
	fill_header(buf, c, block, (uint32_t)blocks, fixed);
	for (uint64_t i = 0; i < blocks; i++)
		put_le32(buf + 512 + i * 4, fixed ? (uint32_t)i : NONE);
	rc = block_file_write(f, 0, buf, len);
	if (!rc && fixed)
		rc = block_file_truncate(f, len + blocks * block);
	free(buf);
	block_file_close(f);
	if (rc)
		unlink(path);
	return rc ? err_set(err, rc, "'%s' cannot be written: %s", path, strerror(-rc)) : 0;
}

const struct block_format block_vdi = {.name = "vdi", .probe = vdi_probe, .open = vdi_open, .create = vdi_create};
