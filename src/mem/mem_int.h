// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the inside of struct mem: the RAM file, the list of regions, the flat map and the port table */
#ifndef MEM_MEM_INT_H
#define MEM_MEM_INT_H

#include <stdatomic.h>

#include "base/lock.h"
#include "mem/coherence.h"
#include "mem/mem.h"

#define MEM_PAGE 4096u
#define MEM_4G 0x100000000ull

/* One stretch of the flat map: the same thing in both directions from start up to end. */
struct mem_range {
	gpa_t start, end;            /* end exclusive */
	uint8_t *read, *write;       /* host address of start in that direction, or NULL */
	struct mem_region *read_io;  /* with read NULL: who answers; NULL: nobody (0xff) */
	struct mem_region *write_io; /* likewise */
	uint8_t *dirty;              /* dirty bytes of the region that takes the writes, for its base */
	gpa_t dirty_base;
	bool read_ram, write_ram;
};

/* By relaxed loads and stores. */
void mem_range_copy(struct mem_range *out, const struct mem_range *r);

/* Sorted, without overlaps; gaps are unmapped. */
struct mem_map {
	struct mem_range *_Atomic range;
	_Atomic uint32_t n;
	_Atomic uint32_t hint; /* index of the largest range of RAM */
	uint32_t device;       /* index of the range mem_map_device() found last; under the lock */
	uint32_t cap;
};

#define MEM_MAX_RETIRED 32

struct mem {
	struct loop *loop;
	uint64_t size, below4g;
	int fd;
	uint8_t *ram;
	uint8_t *code;               /* a byte for each RAM page: how many keep translations of it */
	struct lock code_lock;       /* coherence.c's, as those below */
	struct mem_member *member[MEM_MEMBERS_MAX];
	unsigned nmembers;
	struct mem_member *alone;
	struct mem_told told[MEM_TOLD_MAX];
	unsigned ntold;
	struct mem_region *regions;  /* highest priority first, of equals the newest first */
	/* The map in use is maps[gen & 1]; see map.c. */
	struct mem_map maps[2];
	_Atomic uint32_t gen;
	void *retired[MEM_MAX_RETIRED];
	unsigned nretired;
	struct mem_ports *ports;     /* newest first */
	struct mem_ports **port_table;
	_Atomic bool a20;
	struct mem_listener listener[MEM_LISTENERS_MAX];
	unsigned nlisteners;
};

/* The map or A20 changed. */
void mem_changed(struct mem *mem);
/* Rebuild the flat map from the regions and tell the listener. Lock held. */
void mem_map_rebuild(struct mem *mem);
void mem_map_free(struct mem *mem);
/* The range of device registers that holds gpa, NULL if it is something else. Lock held while it is used. */
const struct mem_range *mem_map_device(struct mem *mem, gpa_t gpa);
/* Copy the range that holds gpa to *out; if there is none, an unmapped range up to the next one. No lock needed. */
void mem_map_find(struct mem *mem, gpa_t gpa, struct mem_range *out);
static inline unsigned mem_ops_max(const struct mem_ops *ops)
{
	return ops->max_size ? ops->max_size : 4;
}
/* One device access after another for len bytes at off, naturally aligned. Lock held. */
void mem_ops_read(const struct mem_ops *ops, void *opaque, uint64_t off, uint8_t *buf, size_t len);
void mem_ops_write(const struct mem_ops *ops, void *opaque, uint64_t off, const uint8_t *buf, size_t len);

#endif
