// SPDX-License-Identifier: GPL-2.0-or-later
/* what: inside the block room: the host file, what a format offers, and pieces that formats share
 *
 *   block.c (queue) --> image.c (checks, chain) --> a format's block_ops --> hostfile.c (host file)
 *
 * A format is a struct that begins with block_image and a table of block_ops. It sees requests that were checked
 * against its size, and reads and writes its container only by block_file_*, so that tests can fail or cut any of them.
 */
#ifndef BLOCK_BLOCK_INT_H
#define BLOCK_BLOCK_INT_H

#include <pthread.h>
#include <sys/types.h>

#include "block/block.h"
#include "block/image.h"

/* ---- hostfile.c: a file of the host, locked while open; all of it may be called by several threads at once */

struct block_file {
	int fd;
	char *path;
	bool readonly;
	bool is_device;
	bool no_sync;
	dev_t dev;
	ino_t ino;
	const struct block_fault *fault;
};

/* Opens a regular file or block device and locks it: a writer excludes all others, readers share. */
struct block_file *block_file_open(const char *path, bool readonly, const struct block_fault *fault, struct err *err);
/* Makes a new file (-EEXIST if there is one), locked for writing. */
struct block_file *block_file_create(const char *path, struct err *err);
void block_file_close(struct block_file *f);
int block_file_size(const struct block_file *f, uint64_t *size);
/* All of iov at offset; iov is consumed. A read beyond the end is -EIO, or gives zeros (_padded). */
int block_file_readv(struct block_file *f, uint64_t offset, struct iovec *iov, unsigned niov);
int block_file_readv_padded(struct block_file *f, uint64_t offset, struct iovec *iov, unsigned niov);
int block_file_writev(struct block_file *f, uint64_t offset, struct iovec *iov, unsigned niov);
int block_file_read(struct block_file *f, uint64_t offset, void *buf, size_t len);
int block_file_read_padded(struct block_file *f, uint64_t offset, void *buf, size_t len);
int block_file_write(struct block_file *f, uint64_t offset, const void *buf, size_t len);
int block_file_sync(struct block_file *f);
int block_file_truncate(struct block_file *f, uint64_t size);
/* Gives the range back to the host where it can; what is read there afterwards is zeros if it returns 0. */
int block_file_punch(struct block_file *f, uint64_t offset, uint64_t len);
/* The range reads as zeros afterwards; punch: it need not keep its place on the host. */
int block_file_zero(struct block_file *f, uint64_t offset, uint64_t len, bool punch);
/* How far from offset on, at most len, the file is all data or all hole. */
int block_file_extent(struct block_file *f, uint64_t offset, uint64_t len, uint64_t *run, bool *hole);

/* ---- what a format offers. 0 or negative errno, never a short count; iov may be modified */

struct block_image {
	const struct block_ops *ops;
	uint64_t size; /* bytes, a multiple of 512 */
	bool readonly;
	unsigned depth; /* of the chain beneath */
	struct block_file *file; /* of the format's, closed by it */
	struct block_image *backing; /* what shows where this holds nothing; closed by image.c */
	pthread_mutex_t serial; /* held around each operation of a format that is not parallel */
	char *path;
};

struct block_ops {
	const char *name;
	bool parallel; /* several threads may be inside at once; else image.c sees to it that they are not */
	int (*read)(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov);
	int (*write)(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov);
	int (*flush)(struct block_image *img);
	void (*close)(struct block_image *img); /* flushes what a clean end needs; frees img */
	/* The rest may be NULL. discard: hint only. zero: NULL or -EOPNOTSUPP: zeros are written. */
	int (*discard)(struct block_image *img, uint64_t offset, uint64_t len);
	int (*zero)(struct block_image *img, uint64_t offset, uint64_t len, bool unmap);
	/* NULL: all is data. Fills x for a run that begins at offset; x->len is at most what it was. */
	int (*map)(struct block_image *img, uint64_t offset, struct block_extent *x);
	int (*write_compressed)(struct block_image *img, uint64_t offset, const void *buf, size_t len);
	void (*info)(struct block_image *img, struct block_info *info);
	int (*check)(struct block_image *img, bool repair, struct block_check *c, struct err *err);
	int (*resize)(struct block_image *img, uint64_t size, struct err *err);
	int (*set_backing)(struct block_image *img, const char *path, const char *format, struct err *err);
	int (*drop)(struct block_image *img); /* all data goes: the backing file shows */
	const struct block_snapshot_ops *snapshots;
};

struct block_snapshot_ops {
	int (*list)(struct block_image *img, void (*each)(void *opaque, const struct block_snapshot *), void *opaque);
	int (*create)(struct block_image *img, const char *name, struct err *err);
	int (*apply)(struct block_image *img, const char *name, struct err *err);
	int (*remove)(struct block_image *img, const char *name, struct err *err);
};

/* What is known while an image is opened. */
struct block_opening {
	const char *path;
	const struct block_image_opts *opts;
	unsigned depth;
	struct block_file *file; /* the format's from the call on, also if it fails; NULL: it opens its own files */
	bool guessed;            /* raw because no magic was found */
	const struct block_opening *above; /* the image this is the backing file of */
};

/* A format by name and by what a file begins with. */
#define BLOCK_PROBE_LEN 512
struct block_format {
	const char *name;
	const char *alias; /* QEMU's name, if another */
	bool (*probe)(const uint8_t head[BLOCK_PROBE_LEN]);
	struct block_image *(*open)(const struct block_opening *o, struct err *err);
	int (*create)(const char *path, const struct block_create *c, struct err *err);
	bool can_back, can_compress;
};
extern const struct block_format block_raw, block_qcow2, block_vmdk, block_vdi, block_vhd, block_vhdx;
const struct block_format *block_format_find(const char *name, struct err *err);
/* What these first bytes of a file say it is; NULL: nothing known. */
const struct block_format *block_format_probe(const uint8_t head[BLOCK_PROBE_LEN]);

/* Initializes the common part. */
void block_image_init(struct block_image *img, const struct block_ops *ops, const struct block_opening *o);
/* Opens what an image names as its backing file, relative to the image's folder. */
int block_backing_open(struct block_image *img, const struct block_opening *o, const char *name, const char *format,
                       struct err *err);
/* The backing file's bytes; zeros where it ends, or there is none. iov is consumed. */
int block_backing_readv(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov);
int block_backing_read(struct block_image *img, uint64_t offset, void *buf, size_t len);
/* The folder of path and name, in one string of the caller's; an absolute name as it is. */
char *block_path_beside(const char *path, const char *name);

int block_image_readv(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov);
int block_image_writev(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov);

/* Sends writes to a temporary file and reads to whoever was written last. Owns base from success on. */
struct block_image *block_overlay_open(struct block_image *base, struct err *err);

/* ---- iov.c */

/* The first len bytes of iov into out (room for BLOCK_MAX_IOV), and iov moved past them. Returns entries of out. */
unsigned block_iov_take(struct iovec **iov, unsigned *niov, uint64_t len, struct iovec *out);
/* Drop n bytes from the front. */
void block_iov_advance(struct iovec **iov, unsigned *niov, uint64_t n);
uint64_t block_iov_len(const struct iovec *iov, unsigned niov);
void block_iov_zero(const struct iovec *iov, unsigned niov);
void block_iov_gather(const struct iovec *iov, unsigned niov, void *buf, size_t len);
void block_iov_scatter(const struct iovec *iov, unsigned niov, const void *buf, size_t len);

/* ---- sparse.c: formats that are a table of blocks, each unallocated or somewhere in the file (VDI, VHD, VMDK) */

enum { BLOCK_SPARSE_NONE = 0, BLOCK_SPARSE_ZERO = 1 }; /* no block lies at these offsets */
struct block_sparse {
	struct block_file *file;
	uint32_t block_size;
	uint64_t size; /* what this part of the disk holds */
	uint64_t end;  /* of the file: a block beyond it is no place to write to */
	pthread_rwlock_t lock; /* shared: transfers to and from blocks; exclusive: blocks come */
	/* Where block n lies, or one of the two above. Lock held. */
	int (*find)(struct block_sparse *s, uint64_t n, uint64_t *at);
	/* A place for block n, not yet in the table; then, when its data are there, into the table. Exclusive lock. */
	int (*place)(struct block_sparse *s, uint64_t n, uint64_t *at);
	int (*publish)(struct block_sparse *s, uint64_t n, uint64_t at);
};
void block_sparse_init(struct block_sparse *s, struct block_file *file, uint32_t block_size, uint64_t size);
void block_sparse_fini(struct block_sparse *s);
/* base: where this part begins on the disk of img, whose backing file shows through. */
int block_sparse_read(struct block_sparse *s, struct block_image *img, uint64_t base, uint64_t offset,
                      struct iovec *iov, unsigned niov);
int block_sparse_write(struct block_sparse *s, struct block_image *img, uint64_t base, uint64_t offset,
                       struct iovec *iov, unsigned niov);
int block_sparse_map(struct block_sparse *s, struct block_image *img, uint64_t offset, struct block_extent *x);

/* ---- zlib.c, zstd.c: one file for each library. Sizes known; anything else is -EIO */

/* raw: without zlib's header (qcow2), else with (VMDK). out is filled to its end, or fails. */
int block_inflate(const void *in, size_t n, void *out, size_t size, bool raw);
/* Returns the length in out, or 0 if it does not fit. window_bits: 12 for qcow2. */
size_t block_deflate(const void *in, size_t n, void *out, size_t size, bool raw, int window_bits);
int block_unzstd(const void *in, size_t n, void *out, size_t size);
size_t block_zstd(const void *in, size_t n, void *out, size_t size);

static inline uint64_t block_get_be64(const void *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32((const uint8_t *)p + 4);
}
static inline void block_put_be64(void *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32((uint8_t *)p + 4, (uint32_t)v);
}

#endif
