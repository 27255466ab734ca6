// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a CPU on 8 MiB of RAM for the tests of mmu/: page tables by hand, accesses that may fault */
#ifndef MMU_UNIT_H
#define MMU_UNIT_H

#include "unit.h"

#include "cpu/cpuid.h"
#include "soft_cpu.h"

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define NX (1ull << 63)

static struct loop *loop;
static struct mem *mem;
static struct cpu *cpu;
static struct cpu_model model;
static struct mem_region device;
static uint64_t device_last, device_reads;

static uint64_t device_read(void *opaque, uint64_t off, unsigned size)
{
	device_reads++;
	return 0x1111111111111111ull * (off + 1);
}

static void device_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	device_last = val;
}

static const struct mem_ops device_ops = { .read = device_read, .write = device_write, .max_size = 8 };

#define DEVICE 0xe0000000u

static __attribute__((unused)) int setup(void **state)
{
	loop = loop_new_stepped();
	mem = mem_new(loop, MIB(8), 0xe0000000, NULL);
	cpu = soft_cpu_new();
	model = (struct cpu_model){ .phys_bits = 46, .page1g = true, .long_mode = true, .nx = true, .xcr0_valid = 7,
		.tsc_hz = 2000000000 };
	cpu->model = &model;
	cpu->mem = mem;
	cpu_reset(cpu, false);
	mmu_init(cpu);
	device = (struct mem_region){ .name = "dev", .base = DEVICE, .size = 8192, .priority = 1, .ops = &device_ops };
	mem_region_enable(mem, &device);
	device_last = device_reads = 0;
	return 0;
}

static int teardown(void **state)
{
	free(cpu);
	mem_free(mem);
	loop_free(loop);
	return 0;
}

static inline void poke(gpa_t gpa, uint64_t val, unsigned size)
{
	memcpy(mem_ram_base(mem) + gpa, &val, size);
}

static inline uint64_t peek(gpa_t gpa, unsigned size)
{
	uint64_t val = 0;

	memcpy(&val, mem_ram_base(mem) + gpa, size);
	return val;
}

static inline void user(bool on)
{
	cpu->s.cpl = on ? 3 : 0;
	cpu_derive(cpu);
}

/* Tables at fixed places: PML4 0x10000, PDPT 0x11000, PD 0x12000, PT 0x13000, all permissive. */
enum { PML4 = 0x10000, PDPT = 0x11000, PD = 0x12000, PT = 0x13000 };

static inline void mode_long(void)
{
	poke(PML4, PDPT | P | W | U, 8);
	poke(PDPT, PD | P | W | U, 8);
	poke(PD, PT | P | W | U, 8);
	cpu->s.cr0 = CR0_PE | CR0_PG | CR0_WP;
	cpu->s.cr4 = CR4_PAE;
	cpu->s.efer = EFER_LME | EFER_LMA | EFER_NXE;
	cpu->s.cr3 = PML4;
	cpu_derive(cpu);
}

/* Map page n (4 KiB) of the first 2 MiB. */
static inline void map(unsigned n, uint64_t pte)
{
	poke(PT + 8 * n, pte, 8);
}

static __attribute__((noinline, unused)) bool try_load(gla_t gla, unsigned size, unsigned kind, uint64_t *val)
{
	if (__builtin_setjmp(cpu->unwind))
		return false;
	*val = mmu_load_raise(cpu, gla, size, kind);
	return true;
}

static __attribute__((noinline, unused)) bool try_store(gla_t gla, uint64_t val, unsigned size, unsigned kind)
{
	if (__builtin_setjmp(cpu->unwind))
		return false;
	mmu_store_raise(cpu, gla, val, size, kind);
	return true;
}

static __attribute__((noinline, unused)) bool try_translate(gla_t gla, unsigned kind, gpa_t *gpa)
{
	if (__builtin_setjmp(cpu->unwind))
		return false;
	*gpa = mmu_translate_raise(cpu, gla, kind);
	return true;
}

static __attribute__((noinline, unused)) void *try_slow(gla_t gla, uint32_t size, unsigned kind, bool load)
{
	if (__builtin_setjmp(cpu->unwind))
		return NULL;
	return mmu_slow_raise(cpu, gla, size, kind, load);
}

static __attribute__((noinline, unused)) bool try_cr3(uint64_t val)
{
	if (__builtin_setjmp(cpu->unwind))
		return false;
	mmu_set_cr3_raise(cpu, val);
	return true;
}

static __attribute__((noinline, unused)) bool try_invpcid(uint64_t type, uint64_t pcid, gla_t gla)
{
	if (__builtin_setjmp(cpu->unwind))
		return false;
	mmu_invpcid_raise(cpu, type, pcid, gla);
	return true;
}

/* The access must end in #PF with this code and address. */
static inline void expect_pf(bool ok, gla_t cr2, uint32_t error)
{
	assert_false(ok);
	assert_int_equal(cpu->event.vector, EXC_PF);
	assert_int_equal(cpu->event.error, error);
	assert_int_equal(cpu->event.cr2, cr2);
}

static inline void expect_fault(bool ok, unsigned vector)
{
	assert_false(ok);
	assert_int_equal(cpu->event.vector, vector);
	assert_int_equal(cpu->event.error, 0);
}

static inline bool cached(unsigned view, unsigned rw, gla_t gla)
{
	const struct mmu_tlbe *e = &cpu->mmu->tlb[view][rw][gla >> 12 & (TLB_SIZE - 1)];

	return gla - e->tag <= 4095;
}

#endif
