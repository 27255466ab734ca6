// SPDX-License-Identifier: GPL-2.0-or-later
/* what: reads and writes of guest-physical space, by the CPU's slow path and by devices' DMA
 *
 * An access is cut where the map changes. Memory is copied at once, in one load or store if it is a
 * naturally aligned 1, 2, 4 or 8 bytes, because guests rely on that being atomic; what is left is device registers:
 * there the CPU takes the device lock and looks again, since the map may have changed while it waited.
 */
#include <string.h>

#include "mem/mem_int.h"

static void copy_atomic(void *to, const void *from, size_t len)
{
	if (((uintptr_t)to | (uintptr_t)from) & (len - 1)) {
		memcpy(to, from, len);
		return;
	}
	switch (len) {
	case 1:
		*(volatile uint8_t *)to = *(const volatile uint8_t *)from;
		break;
	case 2:
		*(volatile uint16_t *)to = *(const volatile uint16_t *)from;
		break;
	case 4:
		*(volatile uint32_t *)to = *(const volatile uint32_t *)from;
		break;
	case 8:
		*(volatile uint64_t *)to = *(const volatile uint64_t *)from;
		break;
	default:
		memcpy(to, from, len);
	}
}

/* The caller's buffer may be unaligned; the guest's side decides about atomicity. */
static void guest_load(void *to, const uint8_t *guest, size_t len)
{
	uint64_t tmp;

	if (len > sizeof(tmp)) {
		memcpy(to, guest, len);
		return;
	}
	copy_atomic(&tmp, guest, len);
	memcpy(to, &tmp, len);
}

static void guest_store(uint8_t *guest, const void *from, size_t len)
{
	uint64_t tmp = 0;

	if (len > sizeof(tmp)) {
		memcpy(guest, from, len);
		return;
	}
	memcpy(&tmp, from, len);
	copy_atomic(guest, &tmp, len);
}

static unsigned piece(uint64_t off, size_t len, unsigned max)
{
	unsigned size = max;

	while (size > len || (off & (size - 1)))
		size >>= 1;
	return size;
}

void mem_ops_read(const struct mem_ops *ops, void *opaque, uint64_t off, uint8_t *buf, size_t len)
{
	if (!ops || !ops->read) {
		memset(buf, 0xff, len);
		return;
	}
	while (len) {
		unsigned size = piece(off, len, mem_ops_max(ops));
		uint64_t val = ops->read(opaque, off, size);

		memcpy(buf, &val, size);
		off += size;
		buf += size;
		len -= size;
	}
}

void mem_ops_write(const struct mem_ops *ops, void *opaque, uint64_t off, const uint8_t *buf, size_t len)
{
	if (!ops || !ops->write)
		return;
	while (len) {
		unsigned size = piece(off, len, mem_ops_max(ops));
		uint64_t val = 0;

		memcpy(&val, buf, size);
		ops->write(opaque, off, val, size);
		off += size;
		buf += size;
		len -= size;
	}
}

/* Is there code on pages [first, last]? Looked at eight by eight: a disk may have written all of RAM. */
static bool any_code(const struct mem *mem, uint64_t first, uint64_t last)
{
	while (first <= last) {
		if (first % 8 == 0 && last - first >= 7 && !*(const volatile uint64_t *)(const void *)&mem->code[first])
			first += 8;
		else if (*(const volatile uint8_t *)&mem->code[first])
			return true;
		else
			first++;
	}
	return false;
}

/* The fence: who marks a page does so before its first look at the bytes (xlate/find.c), so either it sees what was
 * stored here, or the mark is seen here. */
static void code_check(struct mem *mem, uint64_t off, uint64_t len)
{
	if (!len)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!any_code(mem, off / MEM_PAGE, (off + len - 1) / MEM_PAGE))
		return;
	mem_code_tell(mem, off, len);
	for (unsigned k = 0; k < mem->nlisteners; k++)
		if (mem->listener[k].code_written)
			mem->listener[k].code_written(mem->listener[k].opaque, off, len);
}

/* After len bytes at gpa, all in r, were stored. */
static void range_written(struct mem *mem, const struct mem_range *r, gpa_t gpa, size_t len)
{
	if (r->write_ram)
		code_check(mem, (uint64_t)(r->write - mem->ram) + (gpa - r->start), len);
	if (!r->dirty)
		return;
	for (uint64_t page = (gpa - r->dirty_base) / MEM_PAGE; page <= (gpa + len - 1 - r->dirty_base) / MEM_PAGE; page++)
		r->dirty[page] = 1;
}

static size_t range_clip(const struct mem_range *r, gpa_t gpa, size_t len)
{
	/* ends are exclusive, so the last byte of all lies in no range: it is a gap of one byte, not of none */
	uint64_t left = MAX(r->end - gpa, 1u);

	return left < len ? (size_t)left : len;
}

static void io_read(struct mem *mem, gpa_t gpa, uint8_t *buf, size_t len)
{
	struct mem_range r;

	loop_lock(mem->loop);
	for (; len; ) {
		size_t n;

		mem_map_find(mem, gpa, &r);
		n = range_clip(&r, gpa, len);
		if (r.read)
			guest_load(buf, r.read + (gpa - r.start), n);
		else if (r.read_io)
			mem_ops_read(r.read_io->ops, r.read_io->opaque, gpa - r.read_io->base, buf, n);
		else
			memset(buf, 0xff, n);
		gpa += n;
		buf += n;
		len -= n;
	}
	loop_unlock(mem->loop);
}

static void io_write(struct mem *mem, gpa_t gpa, const uint8_t *buf, size_t len)
{
	struct mem_range r;

	loop_lock(mem->loop);
	for (; len; ) {
		size_t n;

		mem_map_find(mem, gpa, &r);
		n = range_clip(&r, gpa, len);
		if (r.write) {
			guest_store(r.write + (gpa - r.start), buf, n);
			range_written(mem, &r, gpa, n);
		} else if (r.write_io) {
			mem_ops_write(r.write_io->ops, r.write_io->opaque, gpa - r.write_io->base, buf, n);
		}
		gpa += n;
		buf += n;
		len -= n;
	}
	loop_unlock(mem->loop);
}

void mem_read(struct mem *mem, gpa_t gpa, void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len) {
		struct mem_range r;
		size_t n;

		mem_map_find(mem, gpa, &r);
		n = range_clip(&r, gpa, len);
		if (r.read)
			guest_load(to, r.read + (gpa - r.start), n);
		else if (r.read_io)
			io_read(mem, gpa, to, n);
		else
			memset(to, 0xff, n);
		gpa += n;
		to += n;
		len -= n;
	}
}

void mem_write(struct mem *mem, gpa_t gpa, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	while (len) {
		struct mem_range r;
		size_t n;

		mem_map_find(mem, gpa, &r);
		n = range_clip(&r, gpa, len);
		if (r.write) {
			guest_store(r.write + (gpa - r.start), from, n);
			range_written(mem, &r, gpa, n);
		} else if (r.write_io) {
			io_write(mem, gpa, from, n);
		}
		gpa += n;
		from += n;
		len -= n;
	}
}

/* --- DMA --- */

bool mem_dma_read(struct mem *mem, gpa_t gpa, void *buf, size_t len)
{
	uint8_t *to = buf;
	bool all = true;

	while (len) {
		struct mem_range r;
		size_t n;

		mem_map_find(mem, gpa, &r);
		n = range_clip(&r, gpa, len);
		if (r.read) {
			guest_load(to, r.read + (gpa - r.start), n);
		} else {
			memset(to, 0xff, n);
			all = false;
		}
		gpa += n;
		to += n;
		len -= n;
	}
	return all;
}

bool mem_dma_write(struct mem *mem, gpa_t gpa, const void *buf, size_t len)
{
	const uint8_t *from = buf;
	bool all = true;

	while (len) {
		struct mem_range r;
		size_t n;

		mem_map_find(mem, gpa, &r);
		n = range_clip(&r, gpa, len);
		if (r.write) {
			guest_store(r.write + (gpa - r.start), from, n);
			range_written(mem, &r, gpa, n);
		} else {
			all = false;
		}
		gpa += n;
		from += n;
		len -= n;
	}
	return all;
}

void *mem_dma_ptr(struct mem *mem, gpa_t gpa, size_t len)
{
	struct mem_range r;

	mem_map_find(mem, gpa, &r);
	if (!r.read_ram || !r.write_ram || r.read != r.write || r.end - gpa < len)
		return NULL;
	return r.read + (gpa - r.start);
}

void mem_dma_written(struct mem *mem, gpa_t gpa, size_t len)
{
	uint64_t off = mem_ram_offset(mem, gpa);

	if (off != UINT64_MAX && len <= mem->size - off)
		code_check(mem, off, len);
}
