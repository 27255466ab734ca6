// SPDX-License-Identifier: GPL-2.0-or-later
/* what: raw images: the file's bytes are the disk's bytes
 *
 * An image that is raw only because nothing was recognized must stay unrecognizable: a guest that writes a qcow2 header
 * to its first sector would else choose what the next opening reads, any file of the host as its backing file. Such
 * a write fails. The sector is judged in a copy, which is then what is written: guest memory may change meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "block/block_int.h"

struct raw {
	struct block_image img;
	bool guessed;
	bool told;
};

static int raw_read(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	return block_file_readv(img->file, offset, iov, niov);
}

static int write_first_sector(struct raw *raw, const struct iovec *iov, unsigned niov)
{
	uint8_t head[BLOCK_PROBE_LEN];
	const struct block_format *format;

	block_iov_gather(iov, niov, head, sizeof(head));
	format = block_format_probe(head);
	if (!format)
		return block_file_write(raw->img.file, 0, head, sizeof(head));
	if (!raw->told)
		log_at(LOG_ERROR,
		       "disk image '%s' is taken to be raw, and the guest writes a %s header into it: refused, for the next "
		       "start would believe it; say format=raw if the guest may", raw->img.path, format->name);
	raw->told = true;
	return -EIO;
}

static int raw_write(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov)
{
	struct raw *raw = (struct raw *)img;
	struct iovec first[BLOCK_MAX_IOV];

	if (raw->guessed && !offset && niov) {
		unsigned n = block_iov_take(&iov, &niov, BLOCK_PROBE_LEN, first);
		int rc = n ? write_first_sector(raw, first, n) : 0;

		if (rc)
			return rc;
		offset = BLOCK_PROBE_LEN;
	}
	return block_file_writev(img->file, offset, iov, niov);
}

static int raw_flush(struct block_image *img)
{
	return block_file_sync(img->file);
}

static void raw_close(struct block_image *img)
{
	block_file_close(img->file);
	free(img);
}

static int raw_discard(struct block_image *img, uint64_t offset, uint64_t len)
{
	block_file_punch(img->file, offset, len); /* a hint: what the host cannot do is not done */
	return 0;
}

static int raw_zero(struct block_image *img, uint64_t offset, uint64_t len, bool unmap)
{
	return block_file_zero(img->file, offset, len, unmap);
}

static int raw_map(struct block_image *img, uint64_t offset, struct block_extent *x)
{
	bool hole;
	int rc = block_file_extent(img->file, offset, x->len, &x->len, &hole);

	x->zero = hole;
	x->offset = offset;
	x->has_offset = !hole;
	return rc;
}

static int raw_resize(struct block_image *img, uint64_t size, struct err *err)
{
	int rc = img->file->is_device ? -EINVAL : block_file_truncate(img->file, size);

	if (rc)
		return err_set(err, rc, "disk image '%s' cannot get another size: %s", img->path, strerror(-rc));
	img->size = size;
	return 0;
}

static const struct block_ops raw_ops = {.name = "raw", .parallel = true, .read = raw_read, .write = raw_write,
	.flush = raw_flush, .close = raw_close, .discard = raw_discard, .zero = raw_zero, .map = raw_map,
	.resize = raw_resize};

static int check_size(const char *path, uint64_t size, struct err *err)
{
	if (!size)
		return err_set(err, -EINVAL, "disk image '%s' is empty; it must hold at least one sector of 512 bytes", path);
	if (size % 512)
		return err_set(err, -EINVAL,
		               "disk image '%s' has %llu bytes, not a multiple of 512: it is truncated or not a raw disk image",
		               path, (unsigned long long)size);
	return 0;
}

static struct block_image *raw_open(const struct block_opening *o, struct err *err)
{
	uint64_t size = 0;
	struct raw *raw;
	int rc = block_file_size(o->file, &size);

	if (rc)
		err_set(err, rc, "disk image '%s': its size cannot be read: %s", o->path, strerror(-rc));
	if (rc || check_size(o->path, size, err)) {
		block_file_close(o->file);
		return NULL;
	}
	raw = xalloc(sizeof(*raw));
	block_image_init(&raw->img, &raw_ops, o);
	raw->img.size = size;
	raw->guessed = o->guessed;
	return &raw->img;
}

static int raw_create(const char *path, const struct block_create *c, struct err *err)
{
	struct block_file *f = block_file_create(path, err);
	int rc;

	if (!f)
		return -EIO;
	rc = block_file_truncate(f, c->size);
	block_file_close(f);
	if (rc)
		err_set(err, rc, "'%s' cannot get %llu bytes: %s", path, (unsigned long long)c->size, strerror(-rc));
	return rc;
}

const struct block_format block_raw = {.name = "raw", .open = raw_open, .create = raw_create};
