// SPDX-License-Identifier: GPL-2.0-or-later
/* what: guest RAM: one memfd, mapped once, used only as touched
 *
 * A memfd rather than anonymous memory, so that every rung of the memory ladder and other processes can
 * map any page of it again. MAP_NORESERVE on both mappings: a guest may be promised more than it touches.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem/mem_int.h"

/* The host gives a process 2^47 bytes; the guest may have a quarter, the rest is for the rungs. */
#define RAM_LIMIT (1ull << 45)

static int ram_map(struct mem *mem, struct err *err)
{
	mem->fd = memfd_create("ring3-ram", MFD_CLOEXEC);
	if (mem->fd < 0)
		return err_set(err, -errno, "cannot make a memfd for guest RAM: %s", strerror(errno));
	if (ftruncate(mem->fd, (off_t)mem->size) < 0)
		return err_set(err, -errno, "the host refuses %llu MiB of guest RAM: %s",
			       (unsigned long long)(mem->size >> 20), strerror(errno));
	mem->ram = mmap(NULL, mem->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, mem->fd, 0);
	if (mem->ram == MAP_FAILED)
		return err_set(err, -errno, "cannot map %llu MiB of guest RAM: %s",
			       (unsigned long long)(mem->size >> 20), strerror(errno));
	mem->code = mmap(NULL, mem->size / MEM_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);
	if (mem->code == MAP_FAILED)
		return err_set(err, -errno, "cannot map the page table of guest RAM: %s", strerror(errno));
	return 0;
}

struct mem *mem_new(struct loop *loop, uint64_t size, gpa_t lowmax, struct err *err)
{
	struct mem *mem;

	if (!size || size % MEM_PAGE || size > RAM_LIMIT) {
		err_set(err, -EINVAL, "guest RAM must be a multiple of 4 KiB between 4 KiB and %llu GiB",
			RAM_LIMIT >> 30);
		return NULL;
	}
	must(lowmax <= MEM_4G && lowmax % MEM_PAGE == 0);
	mem = xalloc(sizeof(*mem));
	mem->loop = loop;
	mem->size = size;
	mem->below4g = MIN(size, lowmax);
	mem->fd = -1;
	mem->ram = MAP_FAILED;
	mem->code = MAP_FAILED;
	mem->a20 = true;
	mem->port_table = xalloc(65536 * sizeof(mem->port_table[0]));
	if (ram_map(mem, err) < 0) {
		mem_free(mem);
		return NULL;
	}
	mem_map_rebuild(mem);
	return mem;
}

void mem_free(struct mem *mem)
{
	if (!mem)
		return;
	mem_map_free(mem);
	if (mem->code != MAP_FAILED)
		munmap(mem->code, mem->size / MEM_PAGE);
	if (mem->ram != MAP_FAILED)
		munmap(mem->ram, mem->size);
	if (mem->fd >= 0)
		close(mem->fd);
	free(mem->port_table);
	free(mem);
}

uint64_t mem_ram_below4g(const struct mem *mem)
{
	return mem->below4g;
}

uint64_t mem_ram_above4g(const struct mem *mem)
{
	return mem->size - mem->below4g;
}

int mem_ram_fd(const struct mem *mem)
{
	return mem->fd;
}

void mem_add_listener(struct mem *mem, const struct mem_listener *l)
{
	must(mem->nlisteners < MEM_LISTENERS_MAX);
	mem->listener[mem->nlisteners++] = *l;
}

void mem_changed(struct mem *mem)
{
	for (unsigned k = 0; k < mem->nlisteners; k++)
		if (mem->listener[k].changed)
			mem->listener[k].changed(mem->listener[k].opaque);
}

void mem_set_a20(struct mem *mem, bool on)
{
	if (atomic_exchange(&mem->a20, on) != on)
		mem_changed(mem);
}
