// SPDX-License-Identifier: GPL-2.0-or-later
/* what: guest-physical space and port space: what is at this address, and access to it
 *
 * RAM is one memfd, contiguous in guest-physical order: bytes [0, below4g) at 0, the rest at 4 GiB.
 * Everything else is a region laid over it; of overlapping regions the one with the higher priority
 * wins, of equals the one enabled last. The resulting map is flat and page-granular for RAM and ROM,
 * byte-granular for MMIO.
 *
 * Threads: the map is changed with the device lock held; changing it tells the listener, which makes
 * the vCPU drop its TLB before it next looks. MMIO and port dispatch hold the device lock.
 */
#ifndef MEM_MEM_H
#define MEM_MEM_H

#include "base/base.h"
#include "base/loop.h"

typedef uint64_t gpa_t;

struct mem;

/* size: bytes, a multiple of 4096. lowmax: end of RAM below 4 GiB at most (0xe0000000: the PCI hole above it). */
struct mem *mem_new(struct loop *loop, uint64_t size, gpa_t lowmax, struct err *err);
void mem_free(struct mem *mem);
uint64_t mem_ram_size(const struct mem *mem);
/* Bytes of RAM below and above 4 GiB. */
uint64_t mem_ram_below4g(const struct mem *mem);
uint64_t mem_ram_above4g(const struct mem *mem);
int mem_ram_fd(const struct mem *mem);
uint8_t *mem_ram_base(const struct mem *mem);

/* Device callbacks. off is relative to the region's start. size is 1, 2, 4 or 8 and within [min, max] of the
 * ops: mem splits larger accesses and, for smaller ones, passes them on as they are. Lock held. */
struct mem_ops {
	uint64_t (*read)(void *opaque, uint64_t off, unsigned size);
	void (*write)(void *opaque, uint64_t off, uint64_t val, unsigned size);
	uint8_t max_size; /* largest access the device takes; 0 means 4 */
	/* Neither callback, nor what it may call through wires and timers, uses x87 or vector registers: it comes from
	 * objects built with -mgeneral-regs-only, which tools/check-calls.py looks into. */
	bool plain;
};

/* A region, embedded in its owner; mem keeps it in its list while enabled. */
struct mem_region {
	const char *name;
	gpa_t base;
	uint64_t size;
	int priority;               /* RAM itself is 0; MMIO over RAM (VGA at 0xa0000, LAPIC) takes 1 and more */
	const struct mem_ops *ops;  /* MMIO reads and writes, or writes to ROM (may be NULL: ignored) */
	void *opaque;
	uint8_t *host;              /* not NULL: reads come from here (ROM, video RAM); page aligned */
	bool writable;              /* with host: writes go there as well (video RAM) */
	bool ram_reads, ram_writes; /* see through to RAM for this direction (PAM shadowing); with host NULL */
	/* optional, one byte a page of a writable host region: set to 1 by every write path that is not a TLB hit */
	uint8_t *dirty;
	bool enabled;
	struct mem_region *next;
};
/* Enable, move or disable. The region must have been filled in. Lock held. */
void mem_region_enable(struct mem *mem, struct mem_region *r);
void mem_region_disable(struct mem *mem, struct mem_region *r);
void mem_region_move(struct mem *mem, struct mem_region *r, gpa_t base);
/* The machine is going: take all regions and ports away at once, so that their owners may be freed in any order. The
 * vCPU has ended. Lock held. */
void mem_detach_all(struct mem *mem);

/* Those enabled, and their ports: a list by next, in no order. Lock held. */
const struct mem_region *mem_regions(const struct mem *mem);
const struct mem_ports *mem_port_list(const struct mem *mem);

/* What one page of guest-physical space is. A NULL pointer in a direction means: use mem_read/mem_write. */
struct mem_page {
	uint8_t *read;  /* host address of the page for reads and execution */
	uint8_t *write; /* for writes */
	bool is_ram;    /* backed by the memfd (so it has a code_map entry) */
	bool logged;    /* region has a dirty map: writes must be seen, never cache write */
};
/* gpa: any byte of the page. Takes no lock (readers tolerate a concurrent change: they are told by the listener). */
void mem_lookup(struct mem *mem, gpa_t gpa, struct mem_page *out);

/* CPU access to whatever is there, len 1..4096, may cross pages and regions; unmapped reads give 0xff, unmapped
 * writes vanish. mem_write marks code (below). Takes the device lock for MMIO. Must not be called with it held. */
void mem_read(struct mem *mem, gpa_t gpa, void *buf, size_t len);
void mem_write(struct mem *mem, gpa_t gpa, const void *buf, size_t len);

/* The same for one naturally aligned access of 1, 2, 4 or 8 bytes to a device whose ops are plain; false, and nothing
 * was done: it is not one. Leaves vector registers alone. */
bool mem_plain_read(struct mem *mem, gpa_t gpa, unsigned size, uint64_t *val);
bool mem_plain_write(struct mem *mem, gpa_t gpa, uint64_t val, unsigned size);

/* DMA by a device: RAM and ROM/video RAM only (never MMIO); returns false if any byte was not memory (reads
 * of those bytes give 0xff). Lock held by the caller. len any. */
bool mem_dma_read(struct mem *mem, gpa_t gpa, void *buf, size_t len);
bool mem_dma_write(struct mem *mem, gpa_t gpa, const void *buf, size_t len);
/* Host address of [gpa, gpa+len) if it is contiguous RAM, else NULL. The caller must call mem_dma_written for what
 * it wrote. */
void *mem_dma_ptr(struct mem *mem, gpa_t gpa, size_t len);
void mem_dma_written(struct mem *mem, gpa_t gpa, size_t len);

/* Port space. size 1, 2 or 4; a wider access to byte-wide ports is split by mem (max_size of the ops). Unmapped: all
 * ones. */
struct mem_ports {
	const char *name;
	uint16_t base;
	uint16_t count;
	const struct mem_ops *ops;
	void *opaque;
	bool enabled;
	struct mem_ports *next;
};
void mem_ports_enable(struct mem *mem, struct mem_ports *p);
void mem_ports_disable(struct mem *mem, struct mem_ports *p);
/* By the vCPU; take the device lock. */
uint32_t mem_port_in(struct mem *mem, uint16_t port, unsigned size);
void mem_port_out(struct mem *mem, uint16_t port, uint32_t val, unsigned size);
/* The same for ports of one device whose ops are plain, or of none; false, and nothing was done: they are not. Leave
 * vector registers alone. */
bool mem_plain_in(struct mem *mem, uint16_t port, unsigned size, uint32_t *val);
bool mem_plain_out(struct mem *mem, uint16_t port, uint32_t val, unsigned size);

/* A20 gate: while off, bit 20 of every CPU physical address reads as 0 (applied by mmu, kept here). Tells the
 * listener. */
void mem_set_a20(struct mem *mem, bool on);
bool mem_a20(const struct mem *mem);

/* One byte for each RAM page, nonzero: it holds translated code (coherence.h). Index: byte offset into RAM / 4096. */
uint8_t *mem_code_map(struct mem *mem);
/* RAM offset of a gpa in RAM, or UINT64_MAX. */
uint64_t mem_ram_offset(const struct mem *mem, gpa_t gpa);

#define MEM_LISTENERS_MAX 65u
struct mem_listener {
	void *opaque;
	/* The map or A20 changed. Any thread, lock held; must only set a request and kick. */
	void (*changed)(void *opaque);
	/* A device wrote RAM pages that hold translated code. [off, off+len) are RAM offsets. Any thread. For who is no
	 * member (coherence.h). */
	void (*code_written)(void *opaque, uint64_t off, uint64_t len);
};
/* While the machine is made. */
void mem_add_listener(struct mem *mem, const struct mem_listener *l);

#endif
