// SPDX-License-Identifier: GPL-2.0-or-later
/* what: reading and writing of images that are a table of blocks: VDI, dynamic VHD, sparse VMDK
 *
 * The format says where a block lies and gives a place to a new one; this does the rest. A block comes whole: what the
 * write does not cover is filled from below, so that a table entry always stands for a complete block.
 *
 * I1  A block's data are in the file before its table entry is, and its place is taken before both: a process killed
 *     between leaves at most a place that nobody uses.
 * I2  Data are written to a block under the shared lock only if it has a place; places are given under the exclusive.
 */
#include <stdlib.h>
#include <string.h>

#include "block/block_int.h"

void block_sparse_init(struct block_sparse *s, struct block_file *file, uint32_t block_size, uint64_t size)
{
	s->file = file;
	s->block_size = block_size;
	s->size = size;
	s->end = 0;
	if (file && block_file_size(file, &s->end))
		s->end = 0;
	must(pthread_rwlock_init(&s->lock, NULL) == 0);
}

void block_sparse_fini(struct block_sparse *s)
{
	pthread_rwlock_destroy(&s->lock);
}

static int read_part(struct block_sparse *s, struct block_image *img, uint64_t base, uint64_t offset,
                     struct iovec *iov, unsigned niov)
{
	uint64_t at = 0;
	int rc;

	pthread_rwlock_rdlock(&s->lock);
	rc = s->find(s, offset / s->block_size, &at);
	if (!rc && at > BLOCK_SPARSE_ZERO)
		rc = block_file_readv_padded(s->file, at + offset % s->block_size, iov, niov);
	pthread_rwlock_unlock(&s->lock);
	if (!rc && at == BLOCK_SPARSE_ZERO)
		block_iov_zero(iov, niov);
	else if (!rc && at == BLOCK_SPARSE_NONE)
		rc = block_backing_readv(img, base + offset, iov, niov);
	return rc;
}

int block_sparse_read(struct block_sparse *s, struct block_image *img, uint64_t base, uint64_t offset,
                      struct iovec *iov, unsigned niov)
{
	struct iovec part[BLOCK_MAX_IOV];
	uint64_t left = block_iov_len(iov, niov);
	int rc = 0;

	while (left && !rc) {
		uint64_t len = MIN(left, s->block_size - offset % s->block_size);
		unsigned n = block_iov_take(&iov, &niov, len, part);

		rc = read_part(s, img, base, offset, part, n);
		offset += len;
		left -= len;
	}
	return rc;
}

/* The block with what is below it, and the write's data over that. */
static int new_block(struct block_sparse *s, struct block_image *img, uint64_t base, uint64_t offset, bool zero,
                     struct iovec *iov, unsigned niov)
{
	uint64_t n = offset / s->block_size, at = 0;
	size_t in = offset % s->block_size, len = block_iov_len(iov, niov);
	uint8_t *buf = try_alloc(s->block_size, MIB(64));
	int rc = 0;

	if (!buf)
		return -ENOMEM;
	if (img->backing && !zero && len != s->block_size)
		rc = block_backing_read(img, base + n * s->block_size, buf, s->block_size);
	block_iov_gather(iov, niov, buf + in, len);
	if (!rc)
		rc = s->place(s, n, &at);
	if (!rc)
		rc = block_file_write(s->file, at, buf, s->block_size);
	if (!rc)
		rc = s->publish(s, n, at);
	s->end = MAX(s->end, at + 1);
	free(buf);
	return rc;
}

static int write_placed(struct block_sparse *s, uint64_t at, uint64_t in, struct iovec *iov, unsigned niov)
{
	return at >= s->end ? -EIO : block_file_writev(s->file, at + in, iov, niov);
}

static int write_part(struct block_sparse *s, struct block_image *img, uint64_t base, uint64_t offset,
                      struct iovec *iov, unsigned niov)
{
	uint64_t at = 0;
	int rc;

	pthread_rwlock_rdlock(&s->lock);
	rc = s->find(s, offset / s->block_size, &at);
	if (!rc && at > BLOCK_SPARSE_ZERO)
		rc = write_placed(s, at, offset % s->block_size, iov, niov);
	pthread_rwlock_unlock(&s->lock);
	if (rc || at > BLOCK_SPARSE_ZERO)
		return rc;
	pthread_rwlock_wrlock(&s->lock);
	rc = s->find(s, offset / s->block_size, &at); /* another thread may have made it */
	if (!rc && at > BLOCK_SPARSE_ZERO)
		rc = write_placed(s, at, offset % s->block_size, iov, niov);
	else if (!rc)
		rc = new_block(s, img, base, offset, at == BLOCK_SPARSE_ZERO, iov, niov);
	pthread_rwlock_unlock(&s->lock);
	return rc;
}

int block_sparse_write(struct block_sparse *s, struct block_image *img, uint64_t base, uint64_t offset,
                       struct iovec *iov, unsigned niov)
{
	struct iovec part[BLOCK_MAX_IOV];
	uint64_t left = block_iov_len(iov, niov);
	int rc = 0;

	while (left && !rc) {
		uint64_t len = MIN(left, s->block_size - offset % s->block_size);
		unsigned n = block_iov_take(&iov, &niov, len, part);

		rc = write_part(s, img, base, offset, part, n);
		offset += len;
		left -= len;
	}
	return rc;
}

int block_sparse_map(struct block_sparse *s, struct block_image *img, uint64_t offset, struct block_extent *x)
{
	uint64_t at = 0, next = 0, run = s->block_size - offset % s->block_size;
	int rc;

	pthread_rwlock_rdlock(&s->lock);
	rc = s->find(s, offset / s->block_size, &at);
	while (!rc && run < x->len) {
		rc = s->find(s, (offset + run) / s->block_size, &next);
		if (rc || next != (at > BLOCK_SPARSE_ZERO ? at + offset % s->block_size + run : at))
			break;
		run += s->block_size;
	}
	pthread_rwlock_unlock(&s->lock);
	x->len = MIN(x->len, run);
	x->allocated = at != BLOCK_SPARSE_NONE;
	x->zero = at == BLOCK_SPARSE_ZERO || (at == BLOCK_SPARSE_NONE && !img->backing);
	x->has_offset = at > BLOCK_SPARSE_ZERO;
	x->offset = x->has_offset ? at + offset % s->block_size : 0;
	return rc;
}
