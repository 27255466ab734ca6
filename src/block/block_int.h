// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what a format or a layer over it (snapshot overlay) offers to block.c */
#ifndef BLOCK_BLOCK_INT_H
#define BLOCK_BLOCK_INT_H

#include "block/block.h"

/* One image, or one layer over another. All calls come from one thread at a time; offset and length were checked
 * against size and are multiples of 512; iov may be modified. They return 0 or negative errno, never a short count. */
struct block_image {
	const struct block_ops *ops;
	uint64_t size;
};

struct block_ops {
	int (*read)(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov);
	int (*write)(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov);
	int (*flush)(struct block_image *img);
	void (*close)(struct block_image *img);
};

/* path's bytes are the disk's. exact_format: the user said raw, so do not look for signatures of other formats. */
struct block_image *block_raw_open(const char *path, bool readonly, bool exact_format, struct err *err);
/* Sends writes to a temporary file and reads to whoever was written last. Owns base from success on. */
struct block_image *block_overlay_open(struct block_image *base, struct err *err);

/* Transfer all of iov at offset; consumes iov. A read beyond the end is -EIO. */
int block_pread_full(int fd, uint64_t offset, struct iovec *iov, unsigned niov);
int block_pwrite_full(int fd, uint64_t offset, struct iovec *iov, unsigned niov);

#endif
