// SPDX-License-Identifier: GPL-2.0-or-later
/* what: inside qcow2: the image's state, its tables in memory, and who calls whom
 *
 *   qcow2.c (open, header, ops) --> qcow2_io.c (guest data) --> qcow2_map.c (L1, L2) --> qcow2_refcount.c (who uses
 *   a cluster) --> qcow2_cache.c (tables in memory, and the order in which they reach the file)
 *
 * What a killed process or a dead host may leave. Tables are changed in memory and written by qcow2_write_tables(), at
 * a flush, at close, or when the cache is full of changed ones, in this order, with the host's disk synced between:
 *
 *   refcounts of new clusters  ->  entries of the refcount table that find them
 *     ->  L2 tables (whose clusters' data were written before)  ->  the L1 table
 *       ->  and only after that the refcounts of what is no longer used go down
 *
 * O1  No table on disk points to a cluster whose refcount on disk is 0: what is lost at worst are clusters (leaks).
 * O2  No table on disk points to a cluster before that cluster's data or table was written.
 * O3  A cluster is not given to another use before no table on disk points to it: freed ones wait in pending.
 * With lazy refcounts O1 is given up, and the dirty bit in the header says so; opening for writing counts anew.
 * Operations on snapshots set the dirty bit meanwhile too.
 *
 * Locks: lock shared for reading and for writing to clusters that are ours alone; exclusive for all that changes
 * tables. cache_lock inside shared sections, for the caches.
 *
 * Source: QEMU's docs/interop/qcow2.txt.
 */
#ifndef BLOCK_QCOW2_INT_H
#define BLOCK_QCOW2_INT_H

#include "block/block_int.h"

#define QCOW2_MAGIC 0x514649fbu
#define QCOW2_COPIED (1ull << 63) /* refcount is exactly 1 */
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_ZERO 1ull
#define QCOW2_OFFSET 0x00fffffffffffe00ull

enum { QCOW2_DIRTY = 1, QCOW2_CORRUPT = 2, QCOW2_DATA_FILE = 4, QCOW2_COMPRESSION = 8, QCOW2_EXTENDED_L2 = 16 };
#define QCOW2_KNOWN (QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_COMPRESSION | QCOW2_EXTENDED_L2)
enum { QCOW2_LAZY = 1 }; /* compatible features */

enum { /* header fields, big-endian */
	H_VERSION = 4, H_BACKING = 8, H_BACKING_LEN = 16, H_CLUSTER_BITS = 20, H_SIZE = 24, H_CRYPT = 32, H_L1_SIZE = 36,
	H_L1 = 40, H_REFTABLE = 48, H_REFTABLE_CLUSTERS = 56, H_SNAPSHOTS = 60, H_SNAPSHOT_TABLE = 64, H_INCOMPATIBLE = 72,
	H_COMPATIBLE = 80, H_AUTOCLEAR = 88, H_REFCOUNT_ORDER = 96, H_LENGTH = 100, H_COMPRESSION = 104,
	H_V2_LENGTH = 72, H_V3_LENGTH = 104,
};
enum { X_END = 0, X_BACKING_FORMAT = 0xe2792aca, X_FEATURES = 0x6803f857, X_BITMAPS = 0x23852875 };

/* Limits on what a file can make us hold. */
#define QCOW2_L1_MAX (MIB(32) / 8)
#define QCOW2_REFTABLE_MAX (MIB(8) / 8)
#define QCOW2_CACHE_BYTES MIB(8) /* of L2 tables, and as much of refcount blocks */
#define QCOW2_SNAPSHOTS_MAX 4096
#define QCOW2_PENDING 2048

struct qcow2_table {
	uint64_t offset; /* 0: none */
	uint8_t *buf;
	uint64_t used;
	bool dirty;
	int next; /* in its bucket */
};

struct qcow2_cache {
	struct qcow2_table *table;
	int *bucket;
	unsigned n, ndirty;
	uint64_t tick;
};

struct qcow2_snap {
	uint64_t l1_offset, seconds, vm_clock, vm_state, size;
	uint32_t l1_size, nanoseconds;
	char *id, *name;
	uint8_t *extra; /* as it was found */
	uint32_t extra_len;
};

struct qcow2 {
	struct block_image img;
	pthread_rwlock_t lock;
	pthread_mutex_t cache_lock;
	unsigned version, cluster_bits, l2_bits, l2_entry, refcount_order, header_len;
	uint32_t cluster_size;
	uint64_t incompatible, compatible, autoclear;
	bool zstd, has_bitmaps, lazy;
	bool uncounted; /* was dirty when opened, and the refcounts were not counted anew: stays so */
	bool broken; /* marked as corrupt by us: no writes any more */

	uint64_t l1_offset, *l1; /* host byte order */
	uint32_t l1_size;
	uint32_t l1_dirty_from, l1_dirty_to;
	uint64_t reftable_offset, *reftable;
	uint32_t reftable_size; /* entries */
	uint32_t reftable_dirty_from, reftable_dirty_to;
	struct qcow2_cache l2, refblocks;
	uint8_t *spare; /* a cluster, cache_lock */
	uint64_t hint;  /* no free cluster lies before it */
	uint64_t fresh; /* from here on the file has never been written: zeros */
	bool data_unsynced;

	struct { uint64_t offset, n; } pending[QCOW2_PENDING]; /* to be counted down after the next sync */
	unsigned npending;

	uint64_t compressed_at; /* where the next compressed cluster may go, inside a cluster; 0: nowhere */

	struct qcow2_snap *snap;
	uint32_t nsnaps;
	uint64_t snap_table, snap_table_len;
	char *backing, *backing_format;
};

/* A run of guest clusters of one kind. */
enum qcow2_kind { QCOW2_NONE, QCOW2_NORMAL, QCOW2_ZEROS, QCOW2_ZEROS_PLACED, QCOW2_PACKED };
struct qcow2_run {
	enum qcow2_kind kind;
	uint64_t host;  /* NORMAL, ZEROS_PLACED: of the first byte; PACKED: the entry */
	uint64_t len;
	bool copied;
};

/* qcow2_cache.c */
int qcow2_cache_init(struct qcow2 *q, struct qcow2_cache *c);
void qcow2_cache_fini(struct qcow2_cache *c);
/* The table at offset, from the file unless it is new. Stays valid until the next one is asked of this cache. */
int qcow2_cache_get(struct qcow2 *q, struct qcow2_cache *c, uint64_t offset, bool is_new, struct qcow2_table **t);
/* For readers: never writes; q->spare if there is no room. cache_lock held. */
int qcow2_cache_peek(struct qcow2 *q, struct qcow2_cache *c, uint64_t offset, const uint8_t **buf);
bool qcow2_cache_has(const struct qcow2_cache *c, uint64_t offset);
void qcow2_cache_dirty(struct qcow2_cache *c, struct qcow2_table *t);
void qcow2_cache_drop(struct qcow2_cache *c, uint64_t offset);
void qcow2_cache_forget(struct qcow2_cache *c);
/* Everything changed goes to the file in the order above. */
int qcow2_write_tables(struct qcow2 *q);
/* The same, the disk synced, pending clusters freed. */
int qcow2_settle(struct qcow2 *q);

/* qcow2_refcount.c; exclusive lock */
int qcow2_refcount(struct qcow2 *q, uint64_t cluster, uint64_t *count);
int qcow2_refcount_set(struct qcow2 *q, uint64_t cluster, uint64_t count);
/* count += add (or -= 1 if add < 0) for n clusters from offset on. Into zero: hole punched, caches forget. */
int qcow2_refcount_add(struct qcow2 *q, uint64_t offset, uint64_t n, int add);
/* Up to n clusters in a row, at least one. */
int qcow2_alloc(struct qcow2 *q, uint64_t n, uint64_t *offset, uint64_t *got);
/* Exactly n in a row. */
int qcow2_alloc_run(struct qcow2 *q, uint64_t n, uint64_t *offset);
void qcow2_free_later(struct qcow2 *q, uint64_t offset, uint64_t n);
int qcow2_release_pending(struct qcow2 *q);
/* Bytes for a compressed cluster, inside clusters counted for it. */
int qcow2_alloc_bytes(struct qcow2 *q, uint32_t len, uint64_t *offset);
/* Where the host clusters of a compressed entry begin and how many they are. */
void qcow2_packed_place(const struct qcow2 *q, uint64_t entry, uint64_t *offset, uint32_t *len);
/* Does the range touch the header, a table, or a cached block? cache_lock held or lock exclusive. */
bool qcow2_is_metadata(const struct qcow2 *q, uint64_t offset, uint64_t len);
uint64_t qcow2_refcount_get(const struct qcow2 *q, const uint8_t *block, uint64_t index);
uint64_t qcow2_refcount_limit(const struct qcow2 *q);

/* qcow2_map.c */
uint64_t qcow2_entry(const struct qcow2 *q, const uint8_t *l2, uint64_t index);
enum qcow2_kind qcow2_kind_of(const struct qcow2 *q, uint64_t entry);
/* What lies at offset; lock shared or exclusive. writing: a run that is metadata is an error and marks the image. */
int qcow2_find(struct qcow2 *q, uint64_t offset, uint64_t len, bool writing, struct qcow2_run *run);
/* The L2 table for offset, ours alone. Exclusive lock. */
int qcow2_own_l2(struct qcow2 *q, uint64_t offset, struct qcow2_table **t);
void qcow2_set_entry(struct qcow2 *q, struct qcow2_table *t, uint64_t index, uint64_t entry);
/* What entry referred to is no longer wanted. */
void qcow2_free_entry(struct qcow2 *q, uint64_t entry);

/* qcow2_io.c */
int qcow2_read(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov);
int qcow2_write(struct block_image *img, uint64_t offset, struct iovec *iov, unsigned niov);
int qcow2_discard(struct block_image *img, uint64_t offset, uint64_t len);
int qcow2_zero(struct block_image *img, uint64_t offset, uint64_t len, bool unmap);
int qcow2_write_compressed(struct block_image *img, uint64_t offset, const void *buf, size_t len);
int qcow2_drop(struct block_image *img);
int qcow2_map(struct block_image *img, uint64_t offset, struct block_extent *x);

/* qcow2.c */
/* The image contradicts itself: says so once, marks it, and refuses writes from now on. Returns -EIO. */
int qcow2_corrupt(struct qcow2 *q, const char *what, uint64_t offset);
int qcow2_write_header_be32(struct qcow2 *q, unsigned at, uint32_t v);
int qcow2_write_header_be64(struct qcow2 *q, unsigned at, uint64_t v);
int qcow2_mark_dirty(struct qcow2 *q, bool dirty);
int qcow2_load_l1(struct qcow2 *q, uint64_t offset, uint32_t size, uint64_t **l1);
int qcow2_store_table(struct qcow2 *q, uint64_t offset, const uint64_t *table, uint32_t n);
int qcow2_resize(struct block_image *img, uint64_t size, struct err *err);
int qcow2_grow_l1(struct qcow2 *q, uint32_t size);

/* qcow2_snapshot.c */
int qcow2_snapshots_load(struct qcow2 *q, uint32_t n, uint64_t offset, struct err *err);
void qcow2_snapshots_free(struct qcow2 *q);
extern const struct block_snapshot_ops qcow2_snapshot_ops;

/* qcow2_check.c */
int qcow2_check(struct block_image *img, bool repair, struct block_check *c, struct err *err);
/* The COPIED flags of the active tables as the refcounts are. */
int qcow2_mend_copied(struct qcow2 *q);

/* qcow2_create.c */
int qcow2_create(const char *path, const struct block_create *c, struct err *err);
int qcow2_set_backing(struct block_image *img, const char *path, const char *format, struct err *err);

#endif
