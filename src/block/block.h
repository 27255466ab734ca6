// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a disk image as devices see it: sectors of 512 bytes, read, written and flushed asynchronously
 *
 * A format sits behind block_ops (block_int.h). The work is done by a few worker threads per disk, so neither vCPU nor
 * I/O thread waits for the host's disk. A worker takes the device lock and completes the request itself: going by way
 * of the I/O thread would add a thread switch to each request (95 us between two cores, DESIGN.md section 2).
 *
 * Requests under way at the same time may be done in any order. A flush covers the writes that were completed before
 * it was submitted: they survive whatever becomes of this process.
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <sys/uio.h>

#include "base/base.h"
#include "base/loop.h"

struct block;

/* DISCARD: what the range holds is wanted no longer, and may read as anything the guest once wrote there, or zeros.
 * WRITE_ZEROES: it reads as zeros; its place on the host may go if unmap. */
enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_WRITE_ZEROES };
#define BLOCK_OPS (BLOCK_WRITE_ZEROES + 1)
#define BLOCK_MAX_IOV 256
struct block_req {
	enum block_op op;
	uint64_t offset; /* bytes, multiple of 512 */
	struct iovec *iov; /* the caller's, valid until done; lengths add up to a multiple of 512 */
	unsigned niov;
	uint64_t len; /* of DISCARD and WRITE_ZEROES, which have no iov: bytes, multiple of 512 */
	bool unmap;
	/* result 0 or negative errno. Lock held; a worker of the disk's, or loop_step() in a stepped loop. Never called
	 * from inside block_submit. May submit again. */
	void (*done)(struct block_req *req, int result);
	void *opaque;
	struct block_req *next;
	int result;
};

struct block_opts {
	bool readonly;
	bool snapshot; /* writes go to an unlinked temporary overlay; the image stays untouched */
	const char *format; /* NULL: by content */
	const struct block_fault *fault; /* image.h; for tests */
};
/* Opens an image (locked against a second writer with an OFD lock; readers of readonly images and of backing files
 * share). */
struct block *block_open(struct loop *loop, const char *path, const struct block_opts *opts, struct err *err);
/* Waits for requests under way (their done functions are called), flushes. Before the devices are freed. Lock not
 * held. */
void block_close(struct block *blk);
/* Waits until no request is under way, and none that their done functions submit. Lock not held. */
void block_drain(struct block *blk);
uint64_t block_size(const struct block *blk); /* bytes, a multiple of 512 */
bool block_readonly(const struct block *blk);
/* Name of its format, as --disk format= takes it. */
const char *block_format(const struct block *blk);
/* Lock held. A request beyond the end fails with -EINVAL; a write to a read-only image with -EROFS. */
void block_submit(struct block *blk, struct block_req *req);
/* What the image has been asked for so far, by enum block_op; times are those of the host. Any thread. */
struct block_stats {
	uint64_t ops[BLOCK_OPS], failed[BLOCK_OPS], bytes[BLOCK_OPS], ns[BLOCK_OPS];
	uint64_t highest; /* end of the last byte written */
};
void block_get_stats(struct block *blk, struct block_stats *out);
/* For firmware-time users and tests: waits. Lock not held. */
int block_read_sync(struct block *blk, uint64_t offset, void *buf, size_t len);

#endif
