// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the flat map: overlapping regions of differing priority made into one sorted array
 *
 * A vCPU looks here on every TLB miss, so a look-up is a binary search without a lock; changes are rare
 * (PAM, BARs) but the guest decides how many there are, so they must not leave memory behind.
 *
 *   gen 4: maps[0] in use   rebuild writes maps[1], then gen = 5: maps[1] in use   ...
 *
 * I1  maps[gen & 1] is never written (lookup.c reads it). A reader that sees the same gen before and after its look-up
 *     used a
 *     map that was whole; else it looks again.
 * I2  Storage a reader may still look at is never freed before mem_free: when a map outgrows its storage
 *     the old one is retired. It at least doubles each time, so there are few.
 *
 * Each direction is resolved on its own: a region that lets writes through to RAM but says nothing about
 * reads leaves these to the region beneath (PAM: write to the shadow while reading the ROM).
 */
#include <stdlib.h>
#include <string.h>

#include "mem/mem_int.h"

/* Where an access in one direction goes. */
struct target {
	uint8_t *host;
	struct mem_region *region; /* NULL: RAM or nothing */
	bool ram;
};

static struct target target_ram(struct mem *mem, gpa_t gpa)
{
	uint64_t off = mem_ram_offset(mem, gpa);

	if (off == UINT64_MAX)
		return (struct target){ 0 };
	return (struct target){ .host = mem->ram + off, .ram = true };
}

static bool region_covers(const struct mem_region *r, gpa_t gpa)
{
	return gpa >= r->base && gpa - r->base < r->size;
}

/* A see-through region has an opinion only on the directions it names. */
static bool region_silent(const struct mem_region *r)
{
	return !r->host && !r->ops && (r->ram_reads || r->ram_writes);
}

static struct target resolve(struct mem *mem, gpa_t gpa, bool write)
{
	for (struct mem_region *r = mem->regions; r; r = r->next) {
		if (r->priority < 0 && mem_ram_offset(mem, gpa) != UINT64_MAX)
			break;
		if (!region_covers(r, gpa))
			continue;
		if (r->host && (!write || r->writable))
			return (struct target){ .host = r->host + (gpa - r->base), .region = r };
		if (!r->host && (write ? r->ram_writes : r->ram_reads))
			return target_ram(mem, gpa);
		if (!region_silent(r))
			return (struct target){ .region = r };
	}
	return target_ram(mem, gpa);
}

static struct mem_range range_make(struct mem *mem, gpa_t start, gpa_t end)
{
	struct target rd = resolve(mem, start, false), wr = resolve(mem, start, true);
	struct mem_range r = {
		.start = start, .end = end,
		.read = rd.host, .write = wr.host,
		.read_io = rd.host ? NULL : rd.region, .write_io = wr.host ? NULL : wr.region,
		.read_ram = rd.ram, .write_ram = wr.ram,
	};

	if (wr.host && wr.region) {
		r.dirty = wr.region->dirty;
		r.dirty_base = wr.region->base;
	}
	return r;
}

static bool range_empty(const struct mem_range *r)
{
	return !r->read && !r->write && !r->read_io && !r->write_io;
}

static bool continues(const uint8_t *a, const uint8_t *b, uint64_t len)
{
	return a ? b == a + len : !b;
}

static bool range_extends(const struct mem_range *a, const struct mem_range *b)
{
	uint64_t len = a->end - a->start;

	return a->end == b->start && continues(a->read, b->read, len) && continues(a->write, b->write, len) &&
	       a->read_io == b->read_io && a->write_io == b->write_io && a->dirty == b->dirty &&
	       a->dirty_base == b->dirty_base && a->read_ram == b->read_ram && a->write_ram == b->write_ram;
}

static int edge_order(const void *a, const void *b)
{
	gpa_t x = *(const gpa_t *)a, y = *(const gpa_t *)b;

	return (x > y) - (x < y);
}

/* All addresses where something begins or ends, sorted. The caller frees. */
static gpa_t *edges_collect(struct mem *mem, size_t *count)
{
	size_t n = 4, i = 0;
	gpa_t *edge;

	for (struct mem_region *r = mem->regions; r; r = r->next)
		n += 2;
	edge = xalloc(n * sizeof(*edge));
	edge[i++] = 0;
	edge[i++] = mem->below4g;
	edge[i++] = MEM_4G;
	edge[i++] = MEM_4G + mem_ram_above4g(mem);
	for (struct mem_region *r = mem->regions; r; r = r->next) {
		edge[i++] = r->base;
		edge[i++] = r->size > UINT64_MAX - r->base ? UINT64_MAX : r->base + r->size; /* a 64-bit BAR at the very top */
	}
	qsort(edge, n, sizeof(*edge), edge_order);
	*count = n;
	return edge;
}

static struct mem_range *map_reserve(struct mem *mem, struct mem_map *map, size_t n)
{
	struct mem_range *range = atomic_load(&map->range);

	if (n <= map->cap)
		return range;
	if (range) {
		must(mem->nretired < MEM_MAX_RETIRED);
		mem->retired[mem->nretired++] = range;
	}
	map->cap = MAX((uint32_t)n, map->cap ? 2 * map->cap : 64);
	range = xalloc(map->cap * sizeof(*range));
	atomic_store(&map->range, range);
	return range;
}

/* The range most look-ups fall into. */
static uint32_t largest(const struct mem_range *range, uint32_t n)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < n; i++) {
		if (range[i].read_ram && range[i].end - range[i].start > range[best].end - range[best].start)
			best = i;
	}
	return best;
}

void mem_map_rebuild(struct mem *mem)
{
	uint32_t gen = atomic_load(&mem->gen);
	struct mem_map *map = &mem->maps[(gen + 1) & 1];
	size_t nedges;
	gpa_t *edge = edges_collect(mem, &nedges);
	struct mem_range *range = map_reserve(mem, map, nedges);
	uint32_t n = 0;

	for (size_t i = 0; i + 1 < nedges; i++) {
		struct mem_range r;

		if (edge[i] == edge[i + 1])
			continue;
		r = range_make(mem, edge[i], edge[i + 1]);
		if (range_empty(&r))
			continue;
		if (n && range_extends(&range[n - 1], &r))
			__atomic_store_n(&range[n - 1].end, r.end, __ATOMIC_RELAXED);
		else
			mem_range_copy(&range[n++], &r);
	}
	map->hint = largest(range, n);
	atomic_store(&map->n, n);
	free(edge);
	atomic_store(&mem->gen, gen + 1);
	mem_changed(mem);
}

void mem_map_free(struct mem *mem)
{
	for (unsigned i = 0; i < mem->nretired; i++)
		free(mem->retired[i]);
	free(atomic_load(&mem->maps[0].range));
	free(atomic_load(&mem->maps[1].range));
}

/* --- the regions --- */

static void region_insert(struct mem *mem, struct mem_region *r)
{
	struct mem_region **at = &mem->regions;

	while (*at && (*at)->priority > r->priority)
		at = &(*at)->next;
	r->next = *at;
	*at = r;
	r->enabled = true;
}

static void region_remove(struct mem *mem, struct mem_region *r)
{
	struct mem_region **at = &mem->regions;

	while (*at && *at != r)
		at = &(*at)->next;
	must(*at == r);
	*at = r->next;
	r->enabled = false;
}

void mem_region_enable(struct mem *mem, struct mem_region *r)
{
	must((uintptr_t)r->host % MEM_PAGE == 0);
	if (r->enabled)
		region_remove(mem, r);
	region_insert(mem, r);
	mem_map_rebuild(mem);
}

void mem_region_disable(struct mem *mem, struct mem_region *r)
{
	if (!r->enabled)
		return;
	region_remove(mem, r);
	mem_map_rebuild(mem);
}

void mem_region_move(struct mem *mem, struct mem_region *r, gpa_t base)
{
	if (!r->enabled || r->base == base) {
		r->base = base;
		return;
	}
	region_remove(mem, r);
	r->base = base;
	mem_region_enable(mem, r);
}

void mem_detach_all(struct mem *mem)
{
	while (mem->regions) {
		struct mem_region *r = mem->regions;

		mem->regions = r->next;
		r->next = NULL;
		r->enabled = false;
	}
	mem_map_rebuild(mem);
	while (mem->ports)
		mem_ports_disable(mem, mem->ports);
}

const struct mem_region *mem_regions(const struct mem *mem)
{
	return mem->regions;
}

const struct mem_ports *mem_port_list(const struct mem *mem)
{
	return mem->ports;
}
