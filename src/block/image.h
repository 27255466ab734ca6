// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a disk image as tools see it: opened with its chain, read and written at once, checked, changed
 *
 * Devices go by block.h, which queues requests to such an image. Everything here waits; it may be called by several
 * threads for one image, but for close, resize, check and the snapshot operations.
 */
#ifndef BLOCK_IMAGE_H
#define BLOCK_IMAGE_H

#include <sys/uio.h>

#include "base/base.h"

struct block_image;

/* For tests: asked before each operation on a host file; a negative errno makes it fail. */
enum block_fault_op { BLOCK_FAULT_READ, BLOCK_FAULT_WRITE, BLOCK_FAULT_SYNC, BLOCK_FAULT_ZERO, BLOCK_FAULT_SIZE };
struct block_fault {
	int (*at)(void *opaque, enum block_fault_op op, uint64_t offset, uint64_t len);
	void *opaque;
};

#define BLOCK_CHAIN_MAX 64 /* images over one another */

struct block_image_opts {
	const char *format; /* NULL: by content */
	bool readonly;
	bool no_backing;    /* what is below is not wanted: zeros show */
	bool repair;        /* to be checked: opened for writing though it is marked as damaged */
	bool no_sync;       /* for a copy that can be made again: nothing waits for the host's disk */
	const struct block_fault *fault;
};
struct block_image *block_image_open(const char *path, const struct block_image_opts *opts, struct err *err);
/* Flushes; NULL is fine. */
void block_image_close(struct block_image *img);

uint64_t block_image_size(const struct block_image *img);
/* "raw", "qcow2", ... */
const char *block_image_format(const struct block_image *img);
struct block_image *block_image_backing(const struct block_image *img);
const char *block_image_path(const struct block_image *img);
int block_image_read(struct block_image *img, uint64_t offset, void *buf, uint64_t len);
int block_image_write(struct block_image *img, uint64_t offset, const void *buf, uint64_t len);
/* The range reads as zeros afterwards; unmap: its place may go back to the host. */
int block_image_zero(struct block_image *img, uint64_t offset, uint64_t len, bool unmap);
int block_image_discard(struct block_image *img, uint64_t offset, uint64_t len);
int block_image_flush(struct block_image *img);
/* One cluster (block_info.cluster_size), compressed; -EOPNOTSUPP where the format has no such thing. */
int block_image_write_compressed(struct block_image *img, uint64_t offset, const void *buf, size_t len);

struct block_extent {
	uint64_t len;
	bool allocated;   /* by this image; else the backing file shows, or zeros if there is none */
	bool zero;        /* reads as zeros, as far as the tables say */
	bool compressed;
	bool has_offset;
	uint64_t offset;  /* in the image's file */
	unsigned depth;   /* 0: this image; 1: its backing file ... (block_image_map_deep) */
};
/* A run of one kind from offset on, at most len long, by this image's own tables. */
int block_image_map(struct block_image *img, uint64_t offset, uint64_t len, struct block_extent *x);
/* The same through the chain. */
int block_image_map_deep(struct block_image *img, uint64_t offset, uint64_t len, struct block_extent *x);

struct block_info {
	const char *format;
	uint64_t size, host_size; /* host_size: what the file takes on the host's disk */
	uint32_t cluster_size;
	char backing[1024], backing_format[16];
	unsigned version;         /* qcow2: 2, 3 */
	unsigned refcount_bits;
	const char *subformat, *compression;
	bool lazy_refcounts, extended_l2, dirty, corrupt;
};
void block_image_info(struct block_image *img, struct block_info *info);

struct block_check {
	uint64_t corruptions, leaks, fixed_corruptions, fixed_leaks;
	uint64_t clusters, allocated, compressed;
	void (*say)(void *opaque, const char *line); /* one for each finding, up to a hundred; NULL: none */
	void *opaque;
};
/* -EOPNOTSUPP: the format has nothing to check. What is found is no error of the call. */
int block_image_check(struct block_image *img, bool repair, struct block_check *c, struct err *err);
int block_image_resize(struct block_image *img, uint64_t size, struct err *err);
/* What the header says of the backing file; path NULL: none. The image must be opened again to see it. */
int block_image_set_backing(struct block_image *img, const char *path, const char *format, struct err *err);
/* All own data go, the backing file shows everywhere. */
int block_image_drop(struct block_image *img);

struct block_snapshot {
	const char *id, *name;
	uint64_t seconds, size, vm_state;
};
int block_image_snapshots(struct block_image *img, void (*each)(void *opaque, const struct block_snapshot *),
                          void *opaque);
int block_image_snapshot_create(struct block_image *img, const char *name, struct err *err);
int block_image_snapshot_apply(struct block_image *img, const char *name, struct err *err);
int block_image_snapshot_remove(struct block_image *img, const char *name, struct err *err);

/* A new image; a file that exists is an error. */
struct block_create {
	const char *format;
	uint64_t size;
	const char *backing, *backing_format; /* backing is kept as given: relative to the new image's folder */
	const char *subformat;                /* VMDK, VHD, VDI */
	unsigned version;                     /* qcow2: 2 or 3 (0: 3) */
	uint32_t cluster_size;                /* 0: the format's default */
	unsigned refcount_bits;               /* 0: 16 */
	bool lazy_refcounts, zstd;
};
int block_create(const char *path, const struct block_create *c, struct err *err);
bool block_format_known(const char *name);
/* "raw, qcow2, ..." */
const char *block_format_names(void);
/* May a new image of this format have a backing file, compressed clusters? */
bool block_format_can_back(const char *name);
bool block_format_can_compress(const char *name);
/* Nothing but zeros? */
bool block_is_zero(const void *buf, size_t len);

#endif
