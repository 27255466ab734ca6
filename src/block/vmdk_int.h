// SPDX-License-Identifier: GPL-2.0-or-later
/* what: inside VMDK: the descriptor's text, the extents it names, the sparse extent's header
 *
 * A VMDK image is a descriptor (a text) and extents. The text may lie in the one sparse extent (monolithicSparse,
 * streamOptimized) or be a file of its own beside the extents. Extents are flat files, or sparse: a grain directory,
 * grain tables, and grains of 64 KiB.
 * Source: VMware, Virtual Disk Format 5.0 Technical Note.
 */
#ifndef BLOCK_VMDK_INT_H
#define BLOCK_VMDK_INT_H

#include "block/block_int.h"

#define VMDK_MAGIC 0x564d444bu /* "KDMV" */
#define VMDK_AT_END UINT64_MAX
enum { /* sparse extent header, little-endian; offsets of things are in sectors */
	V_VERSION = 4, V_FLAGS = 8, V_CAPACITY = 12, V_GRAIN = 20, V_DESC = 28, V_DESC_LEN = 36, V_GTES = 44, V_RGD = 48,
	V_GD = 56, V_OVERHEAD = 64, V_UNCLEAN = 72, V_NEWLINES = 73, V_COMPRESSION = 77, V_HEADER_LEN = 512,
};
enum {
	VMDK_F_NEWLINES = 1, VMDK_F_REDUNDANT = 2, VMDK_F_ZERO = 4, VMDK_F_COMPRESSED = 0x10000,
	VMDK_F_MARKERS = 0x20000,
};
enum { VMDK_MARK_END = 0, VMDK_MARK_GT = 1, VMDK_MARK_GD = 2, VMDK_MARK_FOOTER = 3 };
#define VMDK_GTES 512u
#define VMDK_GRAIN 65536u
#define VMDK_DESC_SECTORS 20u
#define VMDK_DESC_MAX 65536u
#define VMDK_EXTENTS_MAX 512u
#define VMDK_SPLIT (2047ull << 20) /* bytes in each extent of a split image */

enum vmdk_kind { VMDK_FLAT, VMDK_SPARSE, VMDK_STREAM, VMDK_ZERO };

struct vmdk_line { /* of the descriptor */
	enum vmdk_kind kind;
	uint64_t size; /* bytes */
	uint64_t flat_at;
	char *name;
};

struct vmdk_desc {
	char *text; /* as it is in the file, zero at its end */
	uint32_t cid, parent_cid;
	size_t cid_at; /* of its eight digits in the text; 0: not eight */
	char *create_type, *parent;
	struct vmdk_line *line;
	unsigned nlines;
};

struct vmdk_extent {
	struct block_image *img;
	enum vmdk_kind kind;
	uint64_t start, size, flat_at;
	struct block_file *file;
	bool own_file;
	struct block_sparse sparse;
	uint32_t flags, gtes, ngd, *gd, *rgd;
	uint64_t gd_at, rgd_at, end; /* end: of the file, where the next grain goes */
	/* a stream being written: all entries are here until it is closed */
	bool fresh;
	uint32_t *entry;
};

/* vmdk_descriptor.c */
int vmdk_desc_parse(const char *path, const char *text, size_t len, struct vmdk_desc *d, struct err *err);
void vmdk_desc_free(struct vmdk_desc *d);

/* vmdk_stream.c: grains behind one another, compressed, the tables at the end */
int vmdk_stream_find(struct vmdk_extent *e, uint64_t n, uint64_t *at);
int vmdk_stream_read(struct vmdk_extent *e, struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov);
int vmdk_stream_write(struct vmdk_extent *e, uint64_t offset, const void *buf, size_t len);
/* The tables, the footer and the end mark. */
int vmdk_stream_finish(struct vmdk_extent *e);

/* vmdk_create.c */
int vmdk_create(const char *path, const struct block_create *c, struct err *err);

/* vmdk.c */
/* The content ID of an image, for a child's descriptor. */
int vmdk_cid_of(struct block_image *img, uint32_t *cid);

#endif
