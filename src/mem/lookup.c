// SPDX-License-Identifier: GPL-2.0-or-later
/* what: looking things up in guest-physical space: what the page walk and the TLB ask, many times a millisecond
 *
 * Compiled with -mgeneral-regs-only like mmu/, which calls these functions while the guest's vector registers are
 * live; so no libc in here. Most look-ups are for the one big range of RAM: it is tried before the search.
 */
#include "mem/mem_int.h"

uint8_t *mem_ram_base(const struct mem *mem)
{
	return mem->ram;
}

uint64_t mem_ram_size(const struct mem *mem)
{
	return mem->size;
}

uint8_t *mem_code_map(struct mem *mem)
{
	return mem->code;
}

uint64_t mem_ram_offset(const struct mem *mem, gpa_t gpa)
{
	if (gpa < mem->below4g)
		return gpa;
	if (gpa >= MEM_4G && gpa - MEM_4G < mem->size - mem->below4g)
		return gpa - MEM_4G + mem->below4g;
	return UINT64_MAX;
}

bool mem_a20(const struct mem *mem)
{
	return atomic_load_explicit(&mem->a20, memory_order_relaxed);
}

static gpa_t start_of(const struct mem_range *r)
{
	return __atomic_load_n(&r->start, __ATOMIC_RELAXED);
}

static gpa_t end_of(const struct mem_range *r)
{
	return __atomic_load_n(&r->end, __ATOMIC_RELAXED);
}

/* The first range that ends beyond gpa, or n. Bounded even in a map that is being rewritten. */
static uint32_t map_search(const struct mem_range *range, uint32_t n, uint32_t hint, gpa_t gpa)
{
	uint32_t lo = 0, hi = n;

	if (hint < n && gpa >= start_of(&range[hint]) && gpa < end_of(&range[hint]))
		return hint;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (end_of(&range[mid]) > gpa)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

/* Member by member: who looks for a range while others are made takes none of it twice, and throws away what does not
 * fit together (mem_map_find). */
void mem_range_copy(struct mem_range *out, const struct mem_range *r)
{
#define COPY(m) __atomic_store_n(&out->m, __atomic_load_n(&r->m, __ATOMIC_RELAXED), __ATOMIC_RELAXED)
	COPY(start);
	COPY(end);
	COPY(read);
	COPY(write);
	COPY(read_io);
	COPY(write_io);
	COPY(dirty);
	COPY(dirty_base);
	COPY(read_ram);
	COPY(write_ram);
#undef COPY
}

static void range_gap(struct mem_range *out, gpa_t start, gpa_t end)
{
	const struct mem_range gap = { .start = start, .end = end };

	mem_range_copy(out, &gap);
}

void mem_map_find(struct mem *mem, gpa_t gpa, struct mem_range *out)
{
	uint32_t gen;

	do {
		struct mem_map *map;
		struct mem_range *range;
		uint32_t i, n, hint;

		gen = atomic_load_explicit(&mem->gen, memory_order_acquire);
		map = &mem->maps[gen & 1];
		/* In this order: a new n is never used with storage that is too small for it. */
		n = atomic_load_explicit(&map->n, memory_order_acquire);
		hint = atomic_load_explicit(&map->hint, memory_order_relaxed);
		range = atomic_load_explicit(&map->range, memory_order_acquire);
		i = map_search(range, n, hint, gpa);
		if (i == n)
			range_gap(out, gpa, UINT64_MAX);
		else if (start_of(&range[i]) > gpa)
			range_gap(out, gpa, start_of(&range[i]));
		else
			mem_range_copy(out, &range[i]);
		atomic_thread_fence(memory_order_acquire);
	} while (atomic_load_explicit(&mem->gen, memory_order_relaxed) != gen);
}

const struct mem_range *mem_map_device(struct mem *mem, gpa_t gpa)
{
	struct mem_map *map = &mem->maps[atomic_load_explicit(&mem->gen, memory_order_relaxed) & 1];
	uint32_t n = atomic_load_explicit(&map->n, memory_order_relaxed);
	const struct mem_range *range = atomic_load_explicit(&map->range, memory_order_relaxed);
	uint32_t i = map_search(range, n, map->device, gpa);

	if (i == n || range[i].start > gpa || !(range[i].read_io || range[i].write_io))
		return NULL;
	map->device = i;
	return &range[i];
}

void mem_lookup(struct mem *mem, gpa_t gpa, struct mem_page *out)
{
	gpa_t page = gpa & ~(gpa_t)(MEM_PAGE - 1);
	struct mem_range r;
	uint64_t off;

	mem_map_find(mem, page, &r);
	out->read = out->write = NULL;
	out->is_ram = out->logged = false;
	if (r.start > page || r.end - page < MEM_PAGE)
		return;
	off = page - r.start;
	if (r.read) {
		out->read = r.read + off;
		out->is_ram = r.read_ram;
	}
	out->logged = r.dirty != NULL;
	/* Writes to memory that is not what is read there must pass mem_write, which looks after translated code. */
	if (r.write && r.write == r.read && !out->logged)
		out->write = r.write + off;
}
