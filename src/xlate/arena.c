// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the translator's memory: the vCPU's arena, the doubly mapped code cache, the directories
 *
 * The code cache is one memfd mapped twice, writable and executable, never both (DESIGN.md section 3,
 * Isolation). The arena holds the monitor's stack below struct xcpu, with a guard page beneath, and behind it the hole
 * where translated code looks for biases of what is no user address.
 */
#include <sys/mman.h>
#include <stdlib.h>
#include <unistd.h>

#include "xlate/shape.h"
#include "xlate/xlate_int.h"

/* Of what describes the code, when there is most. */
#define TABLES_SIZE ((size_t)CODE_SIZE / CODE_SIZE_FIRST * TABLES_SIZE_FIRST)

_Static_assert(offsetof(struct xcpu, m.bias) + sizeof(((struct xcpu *)0)->m.bias) == sizeof(struct xcpu) &&
	sizeof(struct xcpu) % 4096 == 0, "the hole begins behind the last bias");

static size_t arena_size(void)
{
	return CPU_STACK + sizeof(struct xcpu) + MMU_BIAS_HOLE;
}

struct cpu *xlate_arena_new(struct err *err)
{
	uint8_t *p = mmap(NULL, arena_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t used = CPU_STACK + sizeof(struct xcpu);
	struct xcpu *xc;

	if (p == MAP_FAILED || mprotect(p + 4096, used - 4096, PROT_READ | PROT_WRITE) < 0) {
		err_set(err, -ENOMEM, "cannot map %zu bytes for a virtual CPU: %s", arena_size(), strerror(errno));
		if (p != MAP_FAILED)
			munmap(p, arena_size());
		return NULL;
	}
	xc = (struct xcpu *)(p + CPU_STACK);
	xc->c.mmu = &xc->m;
	return &xc->c;
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

static int map_code(struct cache *c, struct err *err)
{
	c->fd = memfd_create("ring3-code", MFD_CLOEXEC);
	if (c->fd < 0 || ftruncate(c->fd, CODE_SIZE) < 0)
		return err_set(err, -ENOSYS, "cannot make a memfd for translated code: %s", strerror(errno));
	c->rw = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	c->rx = mmap(NULL, CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED, c->fd, 0);
	if (c->rw == MAP_FAILED || c->rx == MAP_FAILED)
		return err_set(err, -ENOSYS, "this host does not let a process execute from a memfd: %s", strerror(errno));
	return 0;
}

/* Do the other vCPUs sleep? */
static bool others_sleep(const struct xlate *x)
{
	for (unsigned k = 0; k < x->c->nusers; k++) {
		const struct xlate *o = x->c->user[k];

		if (o != x && !__atomic_load_n(&o->cpu->member->away, __ATOMIC_SEQ_CST))
			return false;
	}
	return true;
}

void xlate_shrink(struct xlate *x)
{
	if (x->c->code_size == CODE_SIZE_FIRST || !others_sleep(x))
		return;
	bool begun = xlate_lock(x);
	x->c->code_size = CODE_SIZE_FIRST;
	xlate_flush(x);
	madvise(x->c->rw, CODE_SIZE - STEPS_SIZE, MADV_REMOVE);
	madvise(x->c->arena, TABLES_SIZE, MADV_DONTNEED);
	if (begun)
		xlate_unlock(x);
}

static void cache_free(struct cache *c)
{
	if (c->rw != MAP_FAILED)
		munmap(c->rw, CODE_SIZE);
	if (c->rx != MAP_FAILED)
		munmap(c->rx, CODE_SIZE);
	if (c->fd >= 0)
		close(c->fd);
	if (c->perf_fd >= 0)
		close(c->perf_fd);
	if (c->pages)
		munmap(c->pages, c->npages * sizeof(*c->pages));
	if (c->vpages)
		munmap(c->vpages, VPAGES * sizeof(*c->vpages));
	if (c->arena)
		munmap(c->arena, TABLES_SIZE);
	if (c->hash)
		munmap(c->hash, sizeof(*c->hash) << HASH_BITS);
	if (c->offers)
		munmap(c->offers, sizeof(*c->offers) << OFFER_BITS);
	if (c->by_host)
		munmap(c->by_host, c->cap_blocks * sizeof(*c->by_host));
	free(c);
}

static struct cache *cache_new(struct mem *mem, bool shared, struct err *err)
{
	struct cache *c = xalloc(sizeof(*c));

	c->shared = shared;
	c->fd = c->perf_fd = -1;
	c->rw = c->rx = MAP_FAILED;
	c->npages = mem_ram_size(mem) >> 12;
	c->pages = map_anon(c->npages * sizeof(*c->pages));
	c->arena = map_large(TABLES_SIZE);
	c->hash = map_large(sizeof(*c->hash) << HASH_BITS);
	c->offers = map_anon(sizeof(*c->offers) << OFFER_BITS);
	c->vpages = map_anon(VPAGES * sizeof(*c->vpages));
	c->cap_blocks = 1u << 21;
	c->by_host = map_anon(c->cap_blocks * sizeof(*c->by_host));
	c->code_size = CODE_SIZE_FIRST;
	if (!c->pages || !c->vpages || !c->arena || !c->hash || !c->by_host || !c->offers) {
		err_set(err, -ENOMEM, "not enough memory for the translator's tables");
		goto fail;
	}
	if (map_code(c, err) == 0)
		return c;
fail:
	cache_free(c);
	return NULL;
}

struct xlate *xlate_new(struct cpu *cpu, struct xlate *with, bool shared, struct err *err)
{
	struct xlate *x = xalloc(sizeof(*x));
	x->cpu = cpu;
	x->mem = cpu->mem;
	x->c = with ? with->c : cache_new(cpu->mem, shared, err);
	if (!x->c)
		goto fail;
	x->number = x->c->nusers;
	x->c->user[x->c->nusers++] = x;
	x->tr = xalloc(sizeof(*x->tr));
	x->step_tables = xalloc(TABLES_ROOM);
	dec_isa_init(&x->isa, cpu->model);
	x->shapes = xlate_shape_new(&x->isa);
	if (!x->shapes) {
		err_set(err, -ENOMEM, "not enough memory for the translator's tables");
		goto fail;
	}
	if (!with)
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
	for (uint32_t ks = 0; with && ks < x->c->nflat; ks++)
		xlate_link_clear(x, ks);
	return x;
fail:
	xlate_free(x);
	return NULL;
}

void xlate_free(struct xlate *x)
{
	if (!x)
		return;
	if (x->c && x->c->nusers) /* the last one that came: see xlate_new() */
		x->c->nusers--;
	if (x->c && !x->c->nusers)
		cache_free(x->c);
	if (x->shapes)
		xlate_shape_free(x->shapes);
	free(x->step_tables);
	free(x->tr);
	free(x);
}
