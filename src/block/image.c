// SPDX-License-Identifier: GPL-2.0-or-later
/* what: images opened by content or by name, their chains of backing files, and what every format shares
 *
 * A format is asked for by name or recognized by the first bytes of the file. What has no known magic is raw, but such
 * a guess must never be used up by the guest: it could write another format's header to its first sector, and the next
 * opening would believe it, backing file and all. raw.c refuses that write unless the user said raw.
 *
 * I1  A chain has at most BLOCK_CHAIN_MAX images, and no file twice.
 * I2  What is below the top is opened read-only, with the readers' lock.
 */
#include "block/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "block/block_int.h"

static const struct block_format *const formats[] = {&block_qcow2, &block_vmdk, &block_vhdx, &block_vdi, &block_vhd,
                                                     &block_raw};
#define FORMAT_NAMES "raw, qcow2, vmdk, vdi, vhd and vhdx"

static const struct block_format *find_format(const char *name)
{
	for (unsigned i = 0; i < ARRAY_LEN(formats); i++)
		if (!strcmp(name, formats[i]->name) || (formats[i]->alias && !strcmp(name, formats[i]->alias)))
			return formats[i];
	return NULL;
}

const struct block_format *block_format_find(const char *name, struct err *err)
{
	const struct block_format *f = find_format(name);

	if (!f)
		err_set(err, -EINVAL, "unknown format '%s': " FORMAT_NAMES " are known", name);
	return f;
}

bool block_format_known(const char *name)
{
	return find_format(name);
}

const char *block_format_names(void)
{
	return FORMAT_NAMES;
}

bool block_format_can_back(const char *name)
{
	const struct block_format *f = find_format(name);

	return f && f->can_back;
}

bool block_format_can_compress(const char *name)
{
	const struct block_format *f = find_format(name);

	return f && f->can_compress;
}

const struct block_format *block_format_probe(const uint8_t head[BLOCK_PROBE_LEN])
{
	for (unsigned i = 0; i < ARRAY_LEN(formats); i++)
		if (formats[i]->probe && formats[i]->probe(head))
			return formats[i];
	return NULL;
}

void block_image_init(struct block_image *img, const struct block_ops *ops, const struct block_opening *o)
{
	img->ops = ops;
	img->readonly = o->opts->readonly;
	img->file = o->file;
	img->path = xstrdup(o->path);
	must(pthread_mutex_init(&img->serial, NULL) == 0);
}

char *block_path_beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	size_t folder = slash && *name != '/' ? (size_t)(slash + 1 - path) : 0, len = strlen(name);
	char *whole = xalloc(folder + len + 1);

	memcpy(whole, path, folder);
	memcpy(whole + folder, name, len);
	return whole;
}

/* Does the user's chain come back to itself? */
static int check_chain(const struct block_opening *o, struct err *err)
{
	struct stat here, up;

	if (o->depth >= BLOCK_CHAIN_MAX)
		return err_set(err, -ELOOP, "disk image '%s': its chain of backing files is longer than %d", o->path,
		               BLOCK_CHAIN_MAX);
	if (stat(o->path, &here))
		return 0; /* opening says it */
	for (const struct block_opening *above = o->above; above; above = above->above)
		if (!stat(above->path, &up) && up.st_dev == here.st_dev && up.st_ino == here.st_ino)
			return err_set(err, -ELOOP, "disk image '%s' is its own backing file, by way of its chain", o->path);
	return 0;
}

static const struct block_format *choose_format(struct block_opening *o, struct err *err)
{
	static const char qed[] = "QED";
	uint8_t head[BLOCK_PROBE_LEN] = {0};
	const struct block_format *format;

	if (o->opts->format)
		return block_format_find(o->opts->format, err);
	if (block_file_read_padded(o->file, 0, head, sizeof(head)))
		return &block_raw; /* reading reports it, if it matters */
	if (!memcmp(head, qed, sizeof(qed))) {
		err_set(err, -EINVAL,
		        "disk image '%s' is a QED image, a format that is not supported; convert it with qemu-img, or say "
		        "'format=raw' if its very bytes are meant", o->path);
		return NULL;
	}
	format = block_format_probe(head);
	o->guessed = !format;
	return format ? format : &block_raw;
}

static struct block_image *open_level(struct block_opening *o, struct err *err)
{
	const struct block_format *format;

	if (check_chain(o, err))
		return NULL;
	o->file = block_file_open(o->path, o->opts->readonly, o->opts->fault, err);
	if (!o->file)
		return NULL;
	o->file->no_sync = o->opts->no_sync;
	format = choose_format(o, err);
	if (!format) {
		block_file_close(o->file);
		return NULL;
	}
	return format->open(o, err);
}

struct block_image *block_image_open(const char *path, const struct block_image_opts *opts, struct err *err)
{
	struct block_opening o = {.path = path, .opts = opts};

	return open_level(&o, err);
}

static int check_backing_name(const struct block_opening *o, const char *name, struct err *err)
{
	const char *colon = strchr(name, ':'), *slash = strchr(name, '/');

	if (!*name)
		return err_set(err, -EINVAL, "disk image '%s': the name of its backing file is empty", o->path);
	if (colon && (!slash || colon < slash))
		return err_set(err, -EINVAL,
		               "disk image '%s': its backing file is '%s', which is no file of this host; only files are "
		               "supported", o->path, name);
	return 0;
}

int block_backing_open(struct block_image *img, const struct block_opening *o, const char *name, const char *format,
                       struct err *err)
{
	struct block_image_opts opts = {.format = format && *format ? format : NULL, .readonly = true,
	                                .fault = o->opts->fault};
	struct block_opening below = {.opts = &opts, .depth = o->depth + 1, .above = o};
	char *path;

	if (o->opts->no_backing)
		return 0;
	if (check_backing_name(o, name, err))
		return -EINVAL;
	path = block_path_beside(o->path, name);
	below.path = path;
	img->backing = open_level(&below, err);
	free(path);
	if (!img->backing)
		return err_prefix(err, -EINVAL, "backing file of '%s'", o->path);
	img->depth = img->backing->depth + 1;
	return 0;
}

void block_image_close(struct block_image *img)
{
	while (img) {
		struct block_image *below = img->backing;
		char *path = img->path;

		pthread_mutex_destroy(&img->serial);
		img->ops->close(img);
		free(path);
		img = below;
	}
}

static void enter(struct block_image *img)
{
	if (!img->ops->parallel)
		pthread_mutex_lock(&img->serial);
}

static void leave(struct block_image *img)
{
	if (!img->ops->parallel)
		pthread_mutex_unlock(&img->serial);
}

int block_image_readv(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	int rc;

	enter(img);
	rc = img->ops->read(img, offset, iov, niov);
	leave(img);
	return rc;
}

int block_image_writev(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	int rc;

	if (img->readonly || !img->ops->write)
		return -EROFS;
	enter(img);
	rc = img->ops->write(img, offset, iov, niov);
	leave(img);
	return rc;
}

int block_backing_readv(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	uint64_t len = block_iov_len(iov, niov), size = img->backing ? img->backing->size : 0;
	uint64_t there = offset < size ? MIN(len, size - offset) : 0;
	struct iovec part[BLOCK_MAX_IOV];
	unsigned n;
	int rc = 0;

	n = block_iov_take(&iov, &niov, there, part);
	block_iov_zero(iov, niov);
	if (there)
		rc = block_image_readv(img->backing, offset, part, n);
	return rc;
}

int block_backing_read(struct block_image *img, uint64_t offset, void *buf, size_t len)
{
	struct iovec iov = {buf, len};

	return block_backing_readv(img, offset, &iov, 1);
}

static int check_range(const struct block_image *img, uint64_t offset, uint64_t len)
{
	return offset % 512 || len % 512 || len > img->size || offset > img->size - len ? -EINVAL : 0;
}

int block_image_read(struct block_image *img, uint64_t offset, void *buf, uint64_t len)
{
	struct iovec iov = {buf, len};
	int rc = check_range(img, offset, len);

	return rc ? rc : block_image_readv(img, offset, &iov, 1);
}

int block_image_write(struct block_image *img, uint64_t offset, const void *buf, uint64_t len)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};
	int rc = check_range(img, offset, len);

	return rc ? rc : block_image_writev(img, offset, &iov, 1);
}

static int write_zeros(struct block_image *img, uint64_t offset, uint64_t len)
{
	static const uint8_t zeros[65536];
	int rc = 0;

	while (len && !rc) {
		uint64_t part = MIN(len, sizeof(zeros));

		rc = block_image_write(img, offset, zeros, part);
		offset += part;
		len -= part;
	}
	return rc;
}

int block_image_zero(struct block_image *img, uint64_t offset, uint64_t len, bool unmap)
{
	int rc = check_range(img, offset, len);

	if (rc || !len)
		return rc;
	if (img->readonly)
		return -EROFS;
	rc = -EOPNOTSUPP;
	if (img->ops->zero) {
		enter(img);
		rc = img->ops->zero(img, offset, len, unmap);
		leave(img);
	}
	return rc == -EOPNOTSUPP ? write_zeros(img, offset, len) : rc;
}

int block_image_discard(struct block_image *img, uint64_t offset, uint64_t len)
{
	int rc = check_range(img, offset, len);

	if (rc || !len)
		return rc;
	if (img->readonly)
		return -EROFS;
	if (!img->ops->discard)
		return 0;
	enter(img);
	rc = img->ops->discard(img, offset, len);
	leave(img);
	return rc == -EOPNOTSUPP ? 0 : rc;
}

int block_image_flush(struct block_image *img)
{
	int rc;

	if (img->readonly)
		return 0;
	enter(img);
	rc = img->ops->flush(img);
	leave(img);
	return rc;
}

int block_image_write_compressed(struct block_image *img, uint64_t offset, const void *buf, size_t len)
{
	int rc = check_range(img, offset, 0);

	if (rc || offset >= img->size || !img->ops->write_compressed)
		return rc ? rc : -EOPNOTSUPP;
	enter(img);
	rc = img->ops->write_compressed(img, offset, buf, len);
	leave(img);
	return rc;
}

int block_image_map(struct block_image *img, uint64_t offset, uint64_t len, struct block_extent *x)
{
	int rc = check_range(img, offset, len);

	*x = (struct block_extent){.len = len, .allocated = true};
	if (rc || !len || !img->ops->map)
		return rc;
	enter(img);
	rc = img->ops->map(img, offset, x);
	leave(img);
	return rc;
}

int block_image_map_deep(struct block_image *img, uint64_t offset, uint64_t len, struct block_extent *x)
{
	unsigned depth = 0;

	for (;;) {
		int rc = block_image_map(img, offset, len, x);

		x->depth = depth;
		if (rc || x->allocated)
			return rc;
		len = x->len;
		img = img->backing;
		if (!img || offset >= img->size) {
			x->zero = true;
			return 0;
		}
		len = MIN(len, img->size - offset);
		depth++;
	}
}

uint64_t block_image_size(const struct block_image *img)
{
	return img->size;
}

const char *block_image_format(const struct block_image *img)
{
	return img->ops->name;
}

struct block_image *block_image_backing(const struct block_image *img)
{
	return img->backing;
}

const char *block_image_path(const struct block_image *img)
{
	return img->path;
}

void block_image_info(struct block_image *img, struct block_info *info)
{
	struct stat st;

	memset(info, 0, sizeof(*info));
	info->format = img->ops->name;
	info->size = img->size;
	if (img->file && !fstat(img->file->fd, &st))
		info->host_size = (uint64_t)st.st_blocks * 512;
	if (img->ops->info)
		img->ops->info(img, info);
}

static int unsupported(struct block_image *img, const char *what, struct err *err)
{
	return err_set(err, -EOPNOTSUPP, "disk image '%s' is %s, which has no %s", img->path, img->ops->name, what);
}

int block_image_check(struct block_image *img, bool repair, struct block_check *c, struct err *err)
{
	if (!img->ops->check)
		return unsupported(img, "tables to check", err);
	return img->ops->check(img, repair, c, err);
}

int block_image_resize(struct block_image *img, uint64_t size, struct err *err)
{
	if (!size || size % 512 || size > INT64_MAX)
		return err_set(err, -EINVAL, "a disk of %llu bytes cannot be: give a multiple of 512",
		               (unsigned long long)size);
	if (!img->ops->resize)
		return unsupported(img, "way to resize; convert it to a new image", err);
	return img->ops->resize(img, size, err);
}

int block_image_set_backing(struct block_image *img, const char *path, const char *format, struct err *err)
{
	if (!img->ops->set_backing)
		return unsupported(img, "backing file that could be changed", err);
	return img->ops->set_backing(img, path, format, err);
}

int block_image_drop(struct block_image *img)
{
	return img->ops->drop ? img->ops->drop(img) : -EOPNOTSUPP;
}

int block_image_snapshots(struct block_image *img, void (*each)(void *opaque, const struct block_snapshot *),
                          void *opaque)
{
	return img->ops->snapshots ? img->ops->snapshots->list(img, each, opaque) : 0;
}

int block_image_snapshot_create(struct block_image *img, const char *name, struct err *err)
{
	return img->ops->snapshots ? img->ops->snapshots->create(img, name, err) : unsupported(img, "snapshots", err);
}

int block_image_snapshot_apply(struct block_image *img, const char *name, struct err *err)
{
	return img->ops->snapshots ? img->ops->snapshots->apply(img, name, err) : unsupported(img, "snapshots", err);
}

int block_image_snapshot_remove(struct block_image *img, const char *name, struct err *err)
{
	return img->ops->snapshots ? img->ops->snapshots->remove(img, name, err) : unsupported(img, "snapshots", err);
}

int block_create(const char *path, const struct block_create *c, struct err *err)
{
	const struct block_format *f = block_format_find(c->format, err);

	if (!f)
		return -EINVAL;
	if (!f->create)
		return err_set(err, -EINVAL, "images in format %s can be read but not made", f->name);
	if (!c->size || c->size % 512 || c->size > INT64_MAX)
		return err_set(err, -EINVAL, "a disk of %llu bytes cannot be made: give a multiple of 512",
		               (unsigned long long)c->size);
	if (c->backing && !f->can_back)
		return err_set(err, -EINVAL, "format %s has no backing files", f->name);
	return f->create(path, c, err);
}
