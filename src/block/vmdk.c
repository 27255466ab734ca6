// SPDX-License-Identifier: GPL-2.0-or-later
/* what: VMDK images (VMware): monolithic and split, sparse and flat, streamOptimized to read, chains of parents
 *
 * A child is only right over the very content that its parent had: the parent's content ID (CID) must be the one that
 * the child has noted, and an image that is written gets a new one, once, before the first write.
 *
 * I1  A grain's data are in the file before the entry that finds them, the entry in the redundant table before that in
 *     the first.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "block/vmdk_int.h"

#define GD_MAX (MIB(16) / 4) /* entries of a grain directory */
#define BAD(...) err_set(err, -EINVAL, "disk image '%s': " __VA_ARGS__)

struct vmdk {
	struct block_image img;
	struct vmdk_desc desc;
	uint64_t desc_at; /* where the text lies in img.file */
	bool cid_written;
	pthread_mutex_t cid_lock;
	struct vmdk_extent *extent;
	unsigned nextents;
};

static const char text_magic[] = "# Disk DescriptorFile";

static bool is_text(const uint8_t *head)
{
	return !strncasecmp((const char *)head, text_magic, sizeof(text_magic) - 1);
}

static bool vmdk_probe(const uint8_t head[BLOCK_PROBE_LEN])
{
	return get_le32(head) == VMDK_MAGIC || is_text(head);
}

/* ---- grains of a sparse extent */

static int read_entry(struct vmdk_extent *e, const uint32_t *gd, uint64_t n, uint32_t *entry)
{
	uint64_t table = (uint64_t)gd[n / e->gtes] * 512;
	uint8_t b[4];
	int rc;

	*entry = 0;
	if (!table)
		return 0;
	rc = block_file_read(e->file, table + n % e->gtes * 4, b, sizeof(b));
	if (!rc)
		*entry = get_le32(b);
	return rc;
}

static int sparse_find(struct block_sparse *s, uint64_t n, uint64_t *at)
{
	struct vmdk_extent *e = CONTAINER_OF(s, struct vmdk_extent, sparse);
	uint32_t entry = 0;
	int rc = n / e->gtes < e->ngd ? read_entry(e, e->gd, n, &entry) : -EIO;

	if (entry == 1 && e->flags & VMDK_F_ZERO)
		*at = BLOCK_SPARSE_ZERO;
	else
		*at = entry ? entry * 512ull : BLOCK_SPARSE_NONE;
	return rc;
}

/* An empty grain table at the end of the file, and into the directory. */
static int new_table(struct vmdk_extent *e, uint32_t *gd, uint64_t gd_at, uint64_t index)
{
	uint64_t at = (e->end + 511) & ~511ull, len = e->gtes * 4ull;
	uint8_t b[4];
	int rc;

	if (at / 512 > UINT32_MAX)
		return -EFBIG;
	rc = block_file_zero(e->file, at, len, false);
	if (!rc)
		rc = block_file_write(e->file, at + len - 4, "\0\0\0", 4); /* the file reaches so far */
	put_le32(b, (uint32_t)(at / 512));
	if (!rc)
		rc = block_file_write(e->file, gd_at + index * 4, b, sizeof(b));
	if (rc)
		return rc;
	gd[index] = (uint32_t)(at / 512);
	e->end = at + len;
	return 0;
}

static int sparse_place(struct block_sparse *s, uint64_t n, uint64_t *at)
{
	struct vmdk_extent *e = CONTAINER_OF(s, struct vmdk_extent, sparse);
	uint64_t index = n / e->gtes;
	int rc = 0;

	if (e->rgd && !e->rgd[index])
		rc = new_table(e, e->rgd, e->rgd_at, index);
	if (!rc && !e->gd[index])
		rc = new_table(e, e->gd, e->gd_at, index);
	*at = (e->end + 511) & ~511ull;
	if (!rc && *at / 512 > UINT32_MAX)
		rc = -EFBIG;
	if (!rc)
		e->end = *at + s->block_size;
	return rc;
}

static int sparse_publish(struct block_sparse *s, uint64_t n, uint64_t at)
{
	struct vmdk_extent *e = CONTAINER_OF(s, struct vmdk_extent, sparse);
	uint64_t index = n / e->gtes, in = n % e->gtes * 4;
	uint8_t b[4];
	int rc = 0;

	put_le32(b, (uint32_t)(at / 512));
	if (e->rgd)
		rc = block_file_write(e->file, e->rgd[index] * 512ull + in, b, sizeof(b));
	if (!rc)
		rc = block_file_write(e->file, e->gd[index] * 512ull + in, b, sizeof(b));
	return rc;
}

/* ---- the disk: extents one behind the other */

static struct vmdk_extent *extent_at(struct vmdk *v, uint64_t offset)
{
	unsigned lo = 0, hi = v->nextents;

	while (hi - lo > 1) {
		unsigned mid = (lo + hi) / 2;

		if (offset < v->extent[mid].start)
			hi = mid;
		else
			lo = mid;
	}
	return &v->extent[lo];
}

static int extent_read(struct vmdk_extent *e, struct block_image *img, uint64_t in, struct iovec *iov, unsigned niov)
{
	switch (e->kind) {
	case VMDK_FLAT:
		return block_file_readv(e->file, e->flat_at + in, iov, niov);
	case VMDK_SPARSE:
		return block_sparse_read(&e->sparse, img, e->start, in, iov, niov);
	case VMDK_STREAM:
		return vmdk_stream_read(e, img, in, iov, niov);
	default:
		block_iov_zero(iov, niov);
		return 0;
	}
}

static int extent_write(struct vmdk_extent *e, struct block_image *img, uint64_t in, struct iovec *iov, unsigned niov)
{
	switch (e->kind) {
	case VMDK_FLAT:
		return block_file_writev(e->file, e->flat_at + in, iov, niov);
	case VMDK_SPARSE:
		return block_sparse_write(&e->sparse, img, e->start, in, iov, niov);
	default:
		return -EROFS;
	}
}

static int transfer(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov,
                    int (*one)(struct vmdk_extent *, struct block_image *, uint64_t, struct iovec *, unsigned))
{
	struct vmdk *v = (struct vmdk *)img;
	uint64_t left = block_iov_len(iov, niov);
	struct iovec part[BLOCK_MAX_IOV];
	int rc = 0;

	while (left && !rc) {
		struct vmdk_extent *e = extent_at(v, offset);
		uint64_t len = MIN(left, e->start + e->size - offset);

		rc = one(e, img, offset - e->start, part, block_iov_take(&iov, &niov, len, part));
		offset += len;
		left -= len;
	}
	return rc;
}

static int vmdk_read(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	return transfer(img, offset, iov, niov, extent_read);
}

/* The content is about to be another. */
static int new_cid(struct vmdk *v)
{
	static const char digits[] = "0123456789abcdef";
	char text[8];
	int rc = 0;

	pthread_mutex_lock(&v->cid_lock);
	if (!v->cid_written && v->desc.cid_at) {
		uint32_t cid = v->desc.cid + 1;

		if (getrandom(&cid, sizeof(cid), 0) != sizeof(cid) || cid >= UINT32_MAX - 1)
			cid = v->desc.cid ^ 1;
		for (unsigned i = 0; i < 8; i++)
			text[i] = digits[cid >> (28 - 4 * i) & 15];
		rc = block_file_write(v->img.file, v->desc_at + v->desc.cid_at, text, sizeof(text));
		if (!rc)
			v->desc.cid = cid;
	}
	if (!rc)
		__atomic_store_n(&v->cid_written, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&v->cid_lock);
	return rc;
}

static int vmdk_write(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	struct vmdk *v = (struct vmdk *)img;
	int rc = __atomic_load_n(&v->cid_written, __ATOMIC_ACQUIRE) ? 0 : new_cid(v);

	return rc ? rc : transfer(img, offset, iov, niov, extent_write);
}

static int vmdk_flush(struct block_image *img)
{
	struct vmdk *v = (struct vmdk *)img;
	int rc = block_file_sync(img->file);

	for (unsigned i = 0; i < v->nextents && !rc; i++)
		if (v->extent[i].own_file)
			rc = block_file_sync(v->extent[i].file);
	return rc;
}

static int vmdk_write_compressed(struct block_image *img, uint64_t offset, const void *buf, size_t len)
{
	struct vmdk *v = (struct vmdk *)img;
	struct vmdk_extent *e = v->extent;

	if (v->nextents != 1 || e->kind != VMDK_STREAM || !e->fresh)
		return -EOPNOTSUPP;
	return vmdk_stream_write(e, offset, buf, len);
}

static int vmdk_map(struct block_image *img, uint64_t offset, struct block_extent *x)
{
	struct vmdk_extent *e = extent_at((struct vmdk *)img, offset);
	uint64_t in = offset - e->start, at = 0;
	bool hole;
	int rc = 0;

	x->len = MIN(x->len, e->size - in);
	if (e->kind == VMDK_SPARSE)
		return block_sparse_map(&e->sparse, img, in, x);
	if (e->kind == VMDK_FLAT) {
		rc = block_file_extent(e->file, e->flat_at + in, x->len, &x->len, &hole);
		x->zero = hole;
	} else if (e->kind == VMDK_ZERO) {
		x->zero = true;
	} else {
		rc = vmdk_stream_find(e, in / e->sparse.block_size, &at);
		x->len = MIN(x->len, e->sparse.block_size - in % e->sparse.block_size);
		x->allocated = at;
		x->compressed = at > BLOCK_SPARSE_ZERO;
		x->zero = at == BLOCK_SPARSE_ZERO || (!at && !img->backing);
	}
	return rc;
}

static void vmdk_close(struct block_image *img)
{
	struct vmdk *v = (struct vmdk *)img;

	for (unsigned i = 0; i < v->nextents; i++) {
		struct vmdk_extent *e = &v->extent[i];
		int rc = e->fresh ? vmdk_stream_finish(e) : 0;

		if (rc)
			log_at(LOG_WARN, "disk image '%s' could not be finished: %s", img->path, strerror(-rc));
		block_sparse_fini(&e->sparse);
		if (e->own_file)
			block_file_close(e->file);
		free(e->gd);
		free(e->rgd);
		free(e->entry);
	}
	free(v->extent);
	vmdk_desc_free(&v->desc);
	pthread_mutex_destroy(&v->cid_lock);
	block_file_close(img->file);
	free(v);
}

static void vmdk_info(struct block_image *img, struct block_info *info)
{
	struct vmdk *v = (struct vmdk *)img;
	struct stat st;

	info->subformat = v->desc.create_type;
	for (unsigned i = 0; i < v->nextents; i++) {
		struct vmdk_extent *e = &v->extent[i];

		if (e->kind == VMDK_SPARSE || e->kind == VMDK_STREAM)
			info->cluster_size = e->sparse.block_size;
		if (e->own_file && !fstat(e->file->fd, &st))
			info->host_size += (uint64_t)st.st_blocks * 512;
	}
	if (v->desc.parent && v->desc.parent_cid != UINT32_MAX) {
		memcpy(info->backing, v->desc.parent, MIN(strlen(v->desc.parent), sizeof(info->backing) - 1));
		memcpy(info->backing_format, "vmdk", 5);
	}
}

/* Every grain inside its file. */
static int vmdk_check(struct block_image *img, bool repair, struct block_check *c, struct err *err)
{
	struct vmdk *v = (struct vmdk *)img;
	uint64_t size, at;
	int rc = 0;

	for (unsigned i = 0; i < v->nextents && !rc; i++) {
		struct vmdk_extent *e = &v->extent[i];

		if (e->kind != VMDK_SPARSE && e->kind != VMDK_STREAM)
			continue;
		rc = block_file_size(e->file, &size);
		for (uint64_t n = 0; !rc && n < (e->size + e->sparse.block_size - 1) / e->sparse.block_size; n++) {
			int bad = e->kind == VMDK_SPARSE ? sparse_find(&e->sparse, n, &at) : vmdk_stream_find(e, n, &at);

			c->clusters++;
			c->allocated += !bad && at > BLOCK_SPARSE_ZERO;
			if (!bad && at < size)
				continue;
			c->corruptions++;
			if (c->say && c->corruptions < 100)
				c->say(c->opaque, "a grain lies beyond the end of the file, or its table cannot be read");
		}
	}
	return rc ? err_set(err, rc, "disk image '%s' cannot be checked: %s", img->path, strerror(-rc)) : 0;
}

static const struct block_ops vmdk_ops = {.name = "vmdk", .parallel = true, .read = vmdk_read, .write = vmdk_write,
	.flush = vmdk_flush, .close = vmdk_close, .map = vmdk_map, .write_compressed = vmdk_write_compressed,
	.info = vmdk_info, .check = vmdk_check};

/* ---- opening */

static int read_directory(struct vmdk_extent *e, uint64_t at, uint32_t **gd)
{
	int rc;

	*gd = try_alloc(e->ngd * 4ull + 4, GD_MAX * 4 + 4);
	rc = *gd ? block_file_read(e->file, at, *gd, e->ngd * 4ull) : -ENOMEM;
	for (uint32_t i = 0; i < e->ngd && !rc; i++)
		(*gd)[i] = get_le32((uint8_t *)*gd + i * 4ull);
	return rc;
}

static int read_tables(struct vmdk_extent *e, const uint8_t *h, const char *path, struct err *err)
{
	uint64_t per_table = (uint64_t)e->gtes * e->sparse.block_size, n = (e->size + per_table - 1) / per_table;
	bool redundant = e->flags & VMDK_F_REDUNDANT && e->kind == VMDK_SPARSE;
	int rc;

	e->gd_at = get_le64(h + V_GD) * 512;
	e->rgd_at = get_le64(h + V_RGD) * 512;
	if (n > GD_MAX || get_le64(h + V_GD) > INT64_MAX / 512 || get_le64(h + V_RGD) > INT64_MAX / 512)
		return BAD("its grain directory of %llu entries cannot be", path, (unsigned long long)n);
	e->ngd = (uint32_t)n;
	rc = read_directory(e, e->gd_at, &e->gd);
	if (!rc && redundant)
		rc = read_directory(e, e->rgd_at, &e->rgd);
	if (rc)
		return BAD("its grain directory cannot be read: %s", path, strerror(-rc));
	return 0;
}

/* A stream's header may leave it to the footer, two sectors before the end, to say where the directory is. */
static int read_footer(struct vmdk_extent *e, uint8_t *h, const char *path, bool readonly, struct err *err)
{
	uint64_t overhead = get_le64(h + V_OVERHEAD);
	uint8_t mark[512];

	if (!readonly && overhead < INT64_MAX / 512 && e->end == overhead * 512) { /* just made by vmdk_create */
		e->ngd = 0;
		e->fresh = true;
		e->entry = try_alloc((e->size / e->sparse.block_size + 1) * 4, MIB(64));
		return e->entry ? 0 : BAD("a stream for so large a disk takes too much memory", path);
	}
	if (e->end < 4 * 512 || block_file_read(e->file, e->end - 3 * 512, mark, 512) ||
	    get_le32(mark + 12) != VMDK_MARK_FOOTER || block_file_read(e->file, e->end - 2 * 512, h, 512) ||
	    get_le32(h) != VMDK_MAGIC || get_le64(h + V_GD) == VMDK_AT_END)
		return BAD("it is a stream whose end is missing: it was not copied whole", path);
	return 0;
}

static int open_sparse(struct vmdk_extent *e, const char *path, bool readonly, struct err *err)
{
	uint64_t grain, capacity;
	uint8_t h[512];
	int rc;

	if (block_file_read(e->file, 0, h, sizeof(h)) || get_le32(h) != VMDK_MAGIC)
		return BAD("it is no sparse VMDK extent", path);
	if (get_le32(h + V_VERSION) < 1 || get_le32(h + V_VERSION) > 3)
		return BAD("it is a sparse VMDK extent of version %u; 1 to 3 are supported", path, get_le32(h + V_VERSION));
	e->flags = get_le32(h + V_FLAGS);
	grain = get_le64(h + V_GRAIN);
	e->gtes = get_le32(h + V_GTES);
	capacity = get_le64(h + V_CAPACITY);
	if (grain < 8 || grain > MIB(16) / 512 || grain & (grain - 1) || !e->gtes || e->gtes > 4096)
		return BAD("its grains of %llu sectors in tables of %u are not supported", path, (unsigned long long)grain,
		           e->gtes);
	if (!capacity || capacity > INT64_MAX / 512)
		return BAD("its capacity of %llu sectors cannot be", path, (unsigned long long)capacity);
	e->sparse.block_size = (uint32_t)grain * 512;
	if (!e->size)
		e->size = capacity * 512;
	if (e->size > capacity * 512)
		return BAD("it is smaller than its descriptor says", path);
	e->sparse.size = e->size;
	rc = block_file_size(e->file, &e->end);
	if (rc)
		return BAD("%s", path, strerror(-rc));
	if (e->flags & VMDK_F_COMPRESSED) {
		e->kind = VMDK_STREAM;
		if (get_le16(h + V_COMPRESSION) != 1)
			return BAD("its grains are compressed in the unknown way %u", path, get_le16(h + V_COMPRESSION));
	}
	if (get_le64(h + V_GD) == VMDK_AT_END)
		rc = read_footer(e, h, path, readonly, err);
	if (!rc && !readonly && e->kind == VMDK_STREAM && !e->fresh)
		rc = BAD("streamOptimized images can only be read; add ',readonly' or ',snapshot', or convert it", path);
	return rc || e->fresh ? rc : read_tables(e, h, path, err);
}

static void extent_init(struct vmdk *v, struct vmdk_extent *e)
{
	e->img = &v->img;
	block_sparse_init(&e->sparse, e->file, VMDK_GRAIN, 0);
	e->sparse.find = sparse_find;
	e->sparse.place = sparse_place;
	e->sparse.publish = sparse_publish;
}

static int open_flat(struct vmdk_extent *e, const char *path, struct err *err)
{
	uint64_t size;
	int rc = block_file_size(e->file, &size);

	if (rc || e->flat_at > size || e->size > size - e->flat_at)
		return BAD("it is shorter than its descriptor says", path);
	return 0;
}

static int open_extent(struct vmdk *v, const struct vmdk_line *l, const struct block_opening *o, struct err *err)
{
	struct vmdk_extent *e = &v->extent[v->nextents];
	char *path;
	int rc = 0;

	e->kind = l->kind;
	e->start = v->img.size;
	e->size = l->size;
	e->flat_at = l->flat_at;
	if (l->size > (uint64_t)INT64_MAX - v->img.size)
		return err_set(err, -EINVAL, "disk image '%s' is too large", o->path);
	path = block_path_beside(o->path, l->name);
	if (l->kind != VMDK_ZERO) {
		e->file = block_file_open(path, o->opts->readonly, o->opts->fault, err);
		e->own_file = true;
	}
	extent_init(v, e);
	v->nextents++;
	v->img.size += l->size;
	if (l->kind != VMDK_ZERO && !e->file)
		rc = -EINVAL;
	else if (l->kind == VMDK_SPARSE)
		rc = open_sparse(e, path, o->opts->readonly, err);
	else if (l->kind == VMDK_FLAT)
		rc = open_flat(e, path, err);
	if (!rc && e->kind == VMDK_STREAM)
		rc = err_set(err, -EINVAL, "disk image '%s': its extent '%s' is a stream, which cannot be", o->path, l->name);
	free(path);
	return rc;
}

static int open_split(struct vmdk *v, const struct block_opening *o, struct err *err)
{
	char *text = xalloc(VMDK_DESC_MAX + 1);
	uint64_t size = 0;
	int rc = block_file_size(o->file, &size);

	if (!rc)
		rc = block_file_read_padded(o->file, 0, text, VMDK_DESC_MAX);
	if (rc || size > VMDK_DESC_MAX)
		rc = err_set(err, -EINVAL, "disk image '%s': its descriptor cannot be read, or is too long", o->path);
	if (!rc)
		rc = vmdk_desc_parse(o->path, text, strlen(text), &v->desc, err);
	free(text);
	if (rc)
		return rc;
	v->extent = xalloc(v->desc.nlines * sizeof(v->extent[0]));
	for (unsigned i = 0; i < v->desc.nlines && !rc; i++)
		rc = open_extent(v, &v->desc.line[i], o, err);
	return rc;
}

static int open_monolithic(struct vmdk *v, const uint8_t *h, const struct block_opening *o, struct err *err)
{
	uint64_t at = get_le64(h + V_DESC), len = get_le64(h + V_DESC_LEN);
	const char *path = o->path;
	char *text;
	int rc;

	if (!at || !len || at > INT64_MAX / 512)
		return BAD("it has no descriptor: it is a part of a split image; give the file that names its parts", path);
	len = MIN(len * (len < VMDK_DESC_MAX ? 512 : 1), VMDK_DESC_MAX);
	text = xalloc(len + 1);
	v->desc_at = at * 512;
	rc = block_file_read_padded(o->file, v->desc_at, text, len);
	if (!rc)
		rc = vmdk_desc_parse(o->path, text, strlen(text), &v->desc, err);
	else
		err_set(err, rc, "disk image '%s': its descriptor cannot be read: %s", o->path, strerror(-rc));
	free(text);
	if (rc)
		return rc;
	v->extent = xalloc(sizeof(v->extent[0]));
	v->nextents = 1;
	v->extent->kind = VMDK_SPARSE;
	v->extent->file = o->file;
	extent_init(v, v->extent);
	rc = open_sparse(v->extent, o->path, o->opts->readonly, err);
	v->img.size = v->extent->size;
	return rc;
}

int vmdk_cid_of(struct block_image *img, uint32_t *cid)
{
	if (img->ops != &vmdk_ops)
		return -EINVAL;
	*cid = ((struct vmdk *)img)->desc.cid;
	return 0;
}

static int open_parent(struct vmdk *v, const struct block_opening *o, struct err *err)
{
	uint32_t cid;
	int rc;

	if (v->desc.parent_cid == UINT32_MAX || o->opts->no_backing)
		return 0;
	if (!v->desc.parent)
		return err_set(err, -EINVAL, "disk image '%s' has a parent, but does not say which", o->path);
	rc = block_backing_open(&v->img, o, v->desc.parent, "vmdk", err);
	if (rc || vmdk_cid_of(v->img.backing, &cid))
		return rc ? rc : -EINVAL;
	if (cid != v->desc.parent_cid)
		return err_set(err, -EINVAL,
		               "disk image '%s': its parent '%s' was changed since (its content ID is %08x, not %08x): the two do "
		               "not belong together any more", o->path, v->desc.parent, cid, v->desc.parent_cid);
	return 0;
}

static struct block_image *vmdk_open(const struct block_opening *o, struct err *err)
{
	struct vmdk *v = xalloc(sizeof(*v));
	uint8_t head[BLOCK_PROBE_LEN] = {0};
	int rc;

	block_image_init(&v->img, &vmdk_ops, o);
	must(pthread_mutex_init(&v->cid_lock, NULL) == 0);
	rc = block_file_read_padded(o->file, 0, head, sizeof(head));
	if (rc || !vmdk_probe(head))
		rc = err_set(err, -EINVAL, "disk image '%s': it is no VMDK image", o->path);
	else
		rc = is_text(head) ? open_split(v, o, err) : open_monolithic(v, head, o, err);
	if (!rc)
		rc = open_parent(v, o, err);
	if (rc) {
		block_image_close(&v->img);
		return NULL;
	}
	return &v->img;
}

const struct block_format block_vmdk = {.name = "vmdk", .probe = vmdk_probe, .open = vmdk_open,
	.create = vmdk_create, .can_back = true, .can_compress = true};
