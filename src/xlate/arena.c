// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the translator's memory: the vCPU's arena, the doubly mapped code cache, the directories
 *
 * The code cache is one memfd mapped twice, writable and executable, never both (DESIGN.md section 3,
 * Isolation). The arena holds the monitor's stack below struct cpu, with a guard page beneath, and behind it the hole
 * where translated code looks for biases of what is no user address.
 */
#include <sys/mman.h>
#include <stdlib.h>
#include <unistd.h>

#include "xlate/shape.h"
#include "xlate/xlate_int.h"

/* Of what describes the code, when there is most. */
#define TABLES_SIZE ((size_t)CODE_SIZE / CODE_SIZE_FIRST * TABLES_SIZE_FIRST)

_Static_assert(offsetof(struct cpu, bias) + sizeof(((struct cpu *)0)->bias) == sizeof(struct cpu) &&
	sizeof(struct cpu) % 4096 == 0, "the hole begins behind the last bias");

static size_t arena_size(void)
{
	return CPU_STACK + sizeof(struct cpu) + CPU_BIAS_HOLE;
}

struct cpu *xlate_arena_new(struct err *err)
{
	uint8_t *p = mmap(NULL, arena_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t used = CPU_STACK + sizeof(struct cpu);
	if (p == MAP_FAILED || mprotect(p + 4096, used - 4096, PROT_READ | PROT_WRITE) < 0) {
		err_set(err, -ENOMEM, "cannot map %zu bytes for a virtual CPU: %s", arena_size(), strerror(errno));
		if (p != MAP_FAILED)
			munmap(p, arena_size());
		return NULL;
	}
	return (struct cpu *)(p + CPU_STACK);
}

void xlate_arena_free(struct cpu *cpu)
{
	if (cpu)
		munmap((uint8_t *)cpu - CPU_STACK, arena_size());
}

static void *map_anon(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* What is looked up at random asks for large pages: the host's TLB holds few small ones. */
static void *map_large(size_t size)
{
	void *p = map_anon(size);
	if (p)
		madvise(p, size, MADV_HUGEPAGE);
	return p;
}

static int map_code(struct xlate *x, struct err *err)
{
	x->fd = memfd_create("ring3-code", MFD_CLOEXEC);
	if (x->fd < 0 || ftruncate(x->fd, CODE_SIZE) < 0)
		return err_set(err, -ENOSYS, "cannot make a memfd for translated code: %s", strerror(errno));
	x->rw = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, x->fd, 0);
	x->rx = mmap(NULL, CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, x->fd, 0);
	if (x->rw == MAP_FAILED || x->rx == MAP_FAILED)
		return err_set(err, -ENOSYS, "this host does not let a process execute from a memfd: %s", strerror(errno));
	return 0;
}

void xlate_shrink(struct xlate *x)
{
	if (x->code_size == CODE_SIZE_FIRST)
		return;
	x->code_size = CODE_SIZE_FIRST;
	xlate_flush(x);
	madvise(x->rw, CODE_SIZE - STEP_SIZE, MADV_REMOVE);
	madvise(x->arena, TABLES_SIZE, MADV_DONTNEED);
}

struct xlate *xlate_new(struct cpu *cpu, struct err *err)
{
	struct xlate *x = xalloc(sizeof(*x));
	x->cpu = cpu;
	x->mem = cpu->mem;
	x->fd = x->perf_fd = -1;
	x->rw = x->rx = MAP_FAILED;
	x->npages = mem_ram_size(cpu->mem) >> 12;
	x->pages = map_anon(x->npages * sizeof(*x->pages));
	x->arena = map_large(TABLES_SIZE);
	x->hash = map_large(sizeof(*x->hash) << HASH_BITS);
	x->offers = map_anon(sizeof(*x->offers) << OFFER_BITS);
	x->vpages = map_anon(VPAGES * sizeof(*x->vpages));
	x->cap_blocks = 1u << 21;
	x->by_host = map_anon(x->cap_blocks * sizeof(*x->by_host));
	x->tr = xalloc(sizeof(*x->tr));
	dec_isa_init(&x->isa, cpu->model);
	x->shapes = xlate_shape_new(&x->isa);
	if (!x->pages || !x->vpages || !x->arena || !x->hash || !x->by_host || !x->offers || !x->shapes) {
		err_set(err, -ENOMEM, "not enough memory for the translator's tables");
		goto fail;
	}
	if (map_code(x, err) < 0)
		goto fail;
	x->code_size = CODE_SIZE_FIRST;
	xlate_cache_begin(x);
	if (getentropy(&x->nowhere, sizeof(x->nowhere)) < 0) {
		err_set(err, -errno, "the host gives no random numbers: %s", strerror(errno));
		goto fail;
	}
	x->nowhere = (x->nowhere & 0x3ffffffffffff000) | 1ull << 62;
	xlate_live_begin(x);
	x->bmi2 = __builtin_cpu_supports("bmi2");
	x->crc32 = __builtin_cpu_supports("sse4.2");
	xlate_attach(x);
	return x;
fail:
	xlate_free(x);
	return NULL;
}

void xlate_free(struct xlate *x)
{
	if (!x)
		return;
	if (x->rw != MAP_FAILED)
		munmap(x->rw, CODE_SIZE);
	if (x->rx != MAP_FAILED)
		munmap(x->rx, CODE_SIZE);
	if (x->fd >= 0)
		close(x->fd);
	if (x->perf_fd >= 0)
		close(x->perf_fd);
	if (x->pages)
		munmap(x->pages, x->npages * sizeof(*x->pages));
	if (x->vpages)
		munmap(x->vpages, VPAGES * sizeof(*x->vpages));
	if (x->arena)
		munmap(x->arena, TABLES_SIZE);
	if (x->hash)
		munmap(x->hash, sizeof(*x->hash) << HASH_BITS);
	if (x->offers)
		munmap(x->offers, sizeof(*x->offers) << OFFER_BITS);
	if (x->by_host)
		munmap(x->by_host, x->cap_blocks * sizeof(*x->by_host));
	xlate_shape_free(x->shapes);
	free(x->tr);
	free(x);
}
