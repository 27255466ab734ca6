// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a CPU on a bench: RAM with GDT, IDT, TSS and page tables, and a way to run one helper and catch its
 * exception */
#ifndef INSN_BENCH_H
#define INSN_BENCH_H

#include "unit.h"

#include "base/loop.h"
#include "cpu/cpuid.h"
#include "insn/insn.h"
#include "soft_cpu.h"

#define INSN(name, fn, flags) insn_fn fn;
#include "insn/insn.def"
#undef INSN

enum {
	GDT = 0x1000, IDT = 0x2000, TSS = 0x3000, TSS2 = 0x3800, PML4 = 0x10000, STACK0 = 0x8000, STACK3 = 0x9000,
	DATA = 0xa000,
	HOLE = 0xe00000, /* not mapped in long mode */
	CS32 = 0x08, DS32 = 0x10, UCS32 = 0x18, UDS32 = 0x20, TR = 0x28, CS64 = 0x38, UCS64 = 0x40, LDT = 0x48, GATE = 0x50,
	TR2 = 0x60, TASK = 0x68, CONF = 0x70, NPDATA = 0x78, RODATA = 0x80, XCODE = 0x88, UCS16 = 0x90, SS16 = 0x98,
	GDT_END = 0xa0,
};

struct bench {
	struct loop *loop;
	struct mem *mem;
	struct cpu *cpu;
	struct cpu_model *model;
	uint8_t *ram;
};

static inline void put_desc(struct bench *b, unsigned sel, uint32_t base, uint32_t limit, unsigned attr)
{
	uint64_t d = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)(attr & 0xf0ff) << 40 |
		     (uint64_t)(limit & 0xf0000) << 32 | (uint64_t)(base >> 24) << 56;

	put_le64(b->ram + GDT + sel, d);
}

/* Call, interrupt, trap and task gates: SDM vol 3 figures 5-8, 6-2. */
static inline void put_gate(struct bench *b, uint32_t at, unsigned sel, uint32_t off, unsigned type, unsigned dpl,
                            unsigned params)
{
	put_le64(b->ram + at, (off & 0xffff) | (uint64_t)sel << 16 | (uint64_t)params << 32 |
		 (uint64_t)(0x80 | dpl << 5 | type) << 40 | (uint64_t)(off >> 16) << 48);
}

static inline void put_gate64(struct bench *b, unsigned vector, uint64_t off, unsigned type, unsigned dpl, unsigned ist)
{
	put_gate(b, IDT + 16 * vector, CS64, (uint32_t)off, type, dpl, ist);
	put_le64(b->ram + IDT + 16 * vector + 8, off >> 32);
}

static inline void bench_tables(struct bench *b)
{
	put_desc(b, CS32, 0, 0xfffff, 0xc09a);
	put_desc(b, DS32, 0, 0xfffff, 0xc092);
	put_desc(b, UCS32, 0, 0xfffff, 0xc0fa);
	put_desc(b, UDS32, 0, 0xfffff, 0xc0f2);
	put_desc(b, TR, TSS, 0x7ff, 0x0089);
	put_desc(b, CS64, 0, 0xfffff, 0xa09a);
	put_desc(b, UCS64, 0, 0xfffff, 0xa0fa);
	put_desc(b, LDT, 0x4000, 0xff, 0x0082);
	put_desc(b, TR2, TSS2, 0x67, 0x0089);
	put_desc(b, CONF, 0, 0xfffff, 0xc09e);
	put_desc(b, NPDATA, 0, 0xfffff, 0xc072);
	put_desc(b, RODATA, 0, 0xfffff, 0xc0f0);
	put_desc(b, XCODE, 0, 0xfffff, 0xc0f8);
	put_desc(b, UCS16, 0, 0xffff, 0x00fa);
	put_desc(b, SS16, 0, 0xffff, 0x0092);
	put_gate(b, GDT + TASK, TR2, 0, 5, 3, 0);
	for (unsigned i = 0; i < 7; i++) /* 2 MiB pages, user, writable */
		put_le64(b->ram + PML4 + 0x2000 + 8 * i, i * MIB(2) | 0x87);
	put_le64(b->ram + PML4, (PML4 + 0x1000) | 7);
	put_le64(b->ram + PML4 + 0x1000, (PML4 + 0x2000) | 7);
	put_le32(b->ram + TSS + 4, STACK0);  /* ESP0; the low half of RSP0 is at the same place */
	put_le32(b->ram + TSS + 8, DS32);
}

static inline int bench_setup(void **state)
{
	struct bench *b = xalloc(sizeof(*b));

	b->loop = loop_new_stepped();
	b->mem = mem_new(b->loop, MIB(16), 0xe0000000, NULL);
	b->ram = mem_ram_base(b->mem);
	b->model = cpuid_model_new(NULL, NULL);
	b->cpu = soft_cpu_new();
	b->cpu->mem = b->mem;
	b->cpu->model = b->model;
	mem_set_a20(b->mem, true);
	mmu_init(b->cpu);
	cpu_reset(b->cpu, false);
	bench_tables(b);
	*state = b;
	return 0;
}

static inline int bench_teardown(void **state)
{
	struct bench *b = *state;

	cpu_fpu_park(b->cpu);
	free(b->cpu);
	free(b->model);
	mem_free(b->mem);
	loop_free(b->loop);
	free(b);
	return 0;
}

static inline void load_seg(struct bench *b, unsigned n, unsigned sel)
{
	uint64_t d = get_le64(b->ram + GDT + (sel & 0xfff8));
	uint16_t attr = d >> 40 & 0xf0ff;
	uint32_t limit = (d & 0xffff) | (d >> 32 & 0xf0000);

	cpu_set_seg(b->cpu, n, (uint16_t)sel, (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000),
		    attr & SEGA_G ? limit << 12 | 0xfff : limit, attr | SEGA_A);
}

static inline void set_cpl(struct bench *b, unsigned cs, unsigned ss)
{
	load_seg(b, SEG_CS, cs);
	if (ss & ~3u)
		load_seg(b, SEG_SS, ss);
	else
		cpu_set_seg(b->cpu, SEG_SS, (uint16_t)ss, 0, 0, SEGA_NULL);
	b->cpu->s.cpl = cs & 3;
	b->cpu->view = cpu_view_now(b->cpu);
}

/* 32-bit protected mode without paging, CPL 0, flat. */
static inline void go_protected(struct bench *b)
{
	struct cpu_state *s = &b->cpu->s;

	s->cr0 = CR0_PE | CR0_ET | CR0_NE;
	s->gdt_base = GDT;
	s->gdt_limit = GDT_END - 1;
	s->idt_base = IDT;
	s->idt_limit = 0x7ff;
	s->tr = (struct cpu_seg){ TSS, 0x7ff, TR, 0x008b };
	s->ldtr = (struct cpu_seg){ 0, 0, 0, SEGA_NULL };
	set_cpl(b, CS32, DS32);
	load_seg(b, SEG_DS, DS32);
	load_seg(b, SEG_ES, DS32);
	load_seg(b, SEG_FS, DS32);
	load_seg(b, SEG_GS, DS32);
	s->gpr[RSP] = STACK0;
	s->rip = 0x7000;
	s->rflags = FL_FIXED;
	cpu_derive(b->cpu);
}

static inline void go_long(struct bench *b)
{
	struct cpu_state *s = &b->cpu->s;

	go_protected(b);
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME | EFER_LMA | EFER_SCE;
	s->cr3 = PML4;
	s->cr0 |= CR0_PG | CR0_WP;
	s->idt_limit = 0xfff;
	set_cpl(b, CS64, DS32);
	cpu_derive(b->cpu);
	mmu_flush_all(b->cpu);
}

static inline void go_vm86(struct bench *b, unsigned iopl)
{
	struct cpu_state *s = &b->cpu->s;

	go_protected(b);
	s->rflags |= FL_VM | iopl << 12;
	s->cpl = 3;
	for (unsigned i = 0; i < 6; i++)
		cpu_set_seg_real(b->cpu, i, (uint16_t)(0x100 * (i + 1)));
	s->gpr[RSP] = 0x800;
	s->rip = 0x50;
	cpu_derive(b->cpu);
}

/* Runs fn; false: a guest exception, in cpu->event. */
static __attribute__((noinline, unused)) bool run(struct bench *b, insn_fn *fn, const struct insn *in)
{
	if (__builtin_setjmp(b->cpu->unwind))
		return false;
	b->cpu->next_rip = b->cpu->s.rip + in->len;
	fn(b->cpu, in);
	return true;
}

static __attribute__((noinline, unused)) bool deliver(struct bench *b, const struct cpu_event *ev)
{
	if (__builtin_setjmp(b->cpu->unwind))
		return false;
	insn_deliver_raise(b->cpu, ev);
	return true;
}

static inline void assert_raised(struct bench *b, unsigned vector, uint32_t error)
{
	assert_int_equal(b->cpu->event.vector, vector);
	assert_int_equal(b->cpu->event.error, error);
}

#define BENCH_TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

#endif
