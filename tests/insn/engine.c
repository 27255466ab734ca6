// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the engine under test: a vCPU without machine, in long mode at CPL 3, memory mapped as in the native child
 *
 * The IDT is empty: INT n ends in #GP with the vector in its error code, which is how the closing INT3 is known.
 */
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "cpu/cpuid.h"
#include "mem/mem.h"
#include "mmu/mmu.h"
#include "oracle.h"
#include "xlate/xlate.h"

enum { RAM = 8 << 20, IMAGE_GPA = 0x100000, PML4 = 0x10000, PDPT = 0x11000, PDPT_HIGH = 0x12000, PD = 0x13000,
	PD_HIGH = 0x14000, PT = 0x20000, PT_HIGH = 0x15000, PDPT_AGAIN = 0x16000, GDT = 0x8000, LDT_GPA = 0x9000,
	TABLES_END = 0x30000 };
/* Linear address of the tables: not below, where the child has nothing. */
#define TABLES_GLA 0xffff800000000000ull
#define DR6_BS (1u << 14)
#define STEPS_MAX (400 + ORACLE_INSNS * ORACLE_ROUNDS)

struct engine {
	struct xlayout l;
	struct loop *loop;
	struct mem *mem;
	struct cpu_model *model;
	struct cpu *cpu;
	struct xlate *x;
	uint8_t *ram;
	struct cpu_hooks hooks;
	uint16_t ldt; /* selector, as SLDT tells it on this host */
};

#define PTE_USER 7ull
#define PTE_RO 5ull
#define PTE_NX (1ull << 63)

static void map_pages(struct engine *e, uint64_t gla, uint32_t size, uint32_t gpa, uint64_t bits)
{
	unsigned dir = gla >> 21 & 0x1ff, giga = gla >> 30 & 3;
	must(giga == 0);
	uint32_t pt = PT + (dir >> 7 | (dir & 8)) * 4096; /* differs for 0x80, 0x100 and 0x108 */
	put_le64(e->ram + PD + dir * 8, pt | PTE_USER);
	for (uint32_t o = 0; o < size; o += 4096)
		put_le64(e->ram + pt + ((gla + o) >> 12 & 0x1ff) * 8, (gpa + o) | bits);
}

static void make_tables(struct engine *e)
{
	put_le64(e->ram + PML4, PDPT | PTE_USER);
	put_le64(e->ram + PML4 + 256 * 8, PDPT_HIGH | PTE_USER);
	put_le64(e->ram + PDPT, PD | PTE_USER);
	put_le64(e->ram + PDPT_HIGH, PD_HIGH | PTE_USER);
	put_le64(e->ram + PD_HIGH, PT_HIGH | PTE_USER);
	put_le64(e->ram + PT_HIGH + 8 * 8, GDT | 3);
	put_le64(e->ram + PT_HIGH + 9 * 8, LDT_GPA | 3);
	map_pages(e, CODE_AT, CODE_SIZE, IMAGE_GPA + CODE_OFF, PTE_USER);
	map_pages(e, DATA_AT, DATA_SIZE, IMAGE_GPA + DATA_OFF, PTE_USER | PTE_NX);
	map_pages(e, READ_AT, READ_SIZE, IMAGE_GPA + READ_OFF, PTE_RO | PTE_NX);
	map_pages(e, STACK_AT, STACK_SIZE, IMAGE_GPA + STACK_OFF, PTE_USER | PTE_NX);
}

void engine_map_again(struct engine *e)
{
	put_le64(e->ram + PML4 + (ENGINE_AGAIN >> 39) * 8, PDPT_AGAIN | PTE_USER);
	for (unsigned k = 0; k < 2; k++)
		put_le64(e->ram + PDPT_AGAIN + k * (ENGINE_FURTHER >> 30) * 8, PD | PTE_USER);
	put_le64(e->ram + PDPT + (ENGINE_FURTHER32 >> 30) * 8, PD | PTE_USER);
}

static void put_desc(uint8_t *at, const struct oseg *s)
{
	uint32_t lim = s->attr & SEGA_G ? s->lim >> 12 : s->lim;
	put_le64(at, (lim & 0xffff) | (uint64_t)(s->base & 0xffffff) << 16 | (uint64_t)(s->attr & 0xf0ff) << 40 |
	         (uint64_t)(lim & 0xf0000) << 32 | (uint64_t)(s->base >> 24) << 56);
}

/* Linux's selectors, so that moves from segment registers give the same. */
static void make_descriptors(struct engine *e)
{
	put_desc(e->ram + GDT + 0x20, &oseg_table[O32][SEG_CS]);
	put_desc(e->ram + GDT + 0x28, &oseg_table[O32][SEG_SS]);
	put_desc(e->ram + GDT + 0x30, &oseg_table[O64][SEG_CS]);
	/* Linux has the number of the CPU in its limit */
	put_desc(e->ram + GDT + 0x78, &(struct oseg){ 0x7b, 0xf5 | SEGA_DB, 0, native_cpu() });
	for (unsigned k = 1; k < OLDT_SIZE; k++)
		put_desc(e->ram + LDT_GPA + k * 8, &oseg_ldt[k]);
}

struct engine *engine_new(const struct xlayout *l)
{
	const char *mode = getenv("RING3_MODE");
	struct err err;
	struct engine *e = xalloc(sizeof(*e));
	e->l = *l;
	e->ldt = native_segments() ? 0x50 : 0;
	e->loop = loop_new_stepped();
	e->mem = mem_new(e->loop, RAM, 0xe0000000, &err);
	e->model = cpuid_model_new(NULL, &err);
	e->cpu = xlate_arena_new(&err);
	must(e->mem && e->model && e->cpu);
	e->ram = mem_ram_base(e->mem);
	mem_set_a20(e->mem, true);
	e->cpu->mem = e->mem;
	e->cpu->model = e->model;
	e->cpu->hooks = &e->hooks;
	cpu_reset(e->cpu, false);
	mmu_init(e->cpu);
	mmu_window_init(e->cpu, mode && !strcmp(mode, "windows") ? WINDOW_ALWAYS : WINDOW_NEVER);
	e->x = xlate_new(e->cpu, NULL, false, &err);
	must(e->x && xlate_thread_init(e->x, &err) == 0);
	make_tables(e);
	make_descriptors(e);
	return e;
}

void engine_free(struct engine *e)
{
	xlate_thread_fini(e->x);
	xlate_free(e->x);
	mmu_window_fini(e->cpu);
	xlate_arena_free(e->cpu);
	free(e->model);
	mem_free(e->mem);
	loop_free(e->loop);
	free(e);
}

static void load_state(struct engine *e, const struct ocase *c, uint64_t up)
{
	struct cpu_state *s = &e->cpu->s;
	s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	s->cr3 = PML4;
	s->cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_FSGSBASE;
	s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	s->xcr0 = e->l.mask;
	s->gdt_base = TABLES_GLA + GDT;
	s->gdt_limit = 0x7f;
	s->idt_limit = 0;
	s->ldtr = (struct cpu_seg){ TABLES_GLA + LDT_GPA, OLDT_SIZE * 8 - 1, e->ldt, 0x82 };
	s->tr = (struct cpu_seg){ TABLES_GLA, 0, 0x40, 0x8b };
	s->cpl = 3;
	s->pending_dbg = 0;
	s->halted = s->int_shadow = s->shadow_ss = false;
	for (unsigned k = 0; k < 6; k++) {
		const struct oseg *g = &oseg_table[c->mode][k];
		cpu_set_seg(e->cpu, k, g->sel, g->base, g->lim, g->sel ? g->attr : SEGA_NULL);
	}
	if (omode64(c->mode)) {
		s->seg[SEG_FS].base = c->fs_base;
		s->seg[SEG_GS].base = c->gs_base;
	}
	memcpy(s->gpr, c->gpr, sizeof(s->gpr));
	s->rflags = c->rflags | FL_IF | FL_FIXED;
	s->rip = up + CODE_AT + c->off - oseg_table[c->mode][SEG_CS].base;
	cpu_derive(e->cpu);
	e->cpu->event_valid = false;
	e->cpu->bounce_exit = false;
	e->cpu->host_pc = 0;
}

/* What the run loop does about TF (SDM vol 3 17.3.1.4): single steps, and after each the trap unless a load of SS puts
 * it off. */
static bool turn(struct engine *e, bool step)
{
	struct cpu *cpu = e->cpu;
	bool tf = cpu->s.rflags & FL_TF;
	cpu->s.int_shadow = cpu->s.shadow_ss = false;
	cpu->s.rflags &= ~(uint64_t)FL_RF;
	if (step || tf)
		xlate_step(e->x);
	else
		xlate_run(e->x);
	if (tf && !xlate_stepped_int(e->x))
		cpu->s.pending_dbg |= DR6_BS;
	if (!cpu->s.pending_dbg || cpu->s.shadow_ss)
		return false;
	cpu_fpu_park(cpu); /* this file may use vector registers */
	cpu->event = (struct cpu_event){ .vector = EXC_DB };
	return true;
}

static __attribute__((noinline)) bool run(struct engine *e, bool step)
{
	if (__builtin_setjmp(e->cpu->unwind))
		return true;
	for (unsigned k = 0; k < STEPS_MAX; k++)
		if (turn(e, step))
			return true;
	return false;
}

/* Of an INT1, INT3, INTO or INT n with its prefixes, at off in the code as it is now. */
static unsigned trap_length(const uint8_t *code, uint64_t off)
{
	for (unsigned n = 1; n <= 15 && off < CODE_SIZE; n++, off++)
		if (code[off] == 0xf1 || (code[off] >= 0xcc && code[off] <= 0xce))
			return n + (code[off] == 0xcd);
	return 1;
}

static void store_event(struct engine *e, const struct ocase *c, struct ores *r)
{
	const struct cpu_event *ev = &e->cpu->event;
	uint64_t off = r->rip + oseg_table[c->mode][SEG_CS].base - CODE_AT;
	unsigned length = trap_length(e->ram + IMAGE_GPA + CODE_OFF, off);
	r->vector = ev->vector;
	r->error = ev->error;
	r->cr2 = ev->cr2;
	if (ev->vector == EXC_GP && ev->error == EXC_DB * 8 + 3) { /* INT1 */
		r->vector = EXC_DB;
		r->error = 0;
		r->rip += length;
	}
	/* INT3, and INTO: the vector is in the error code; as traps they point behind the instruction */
	if (ev->vector == EXC_GP && (ev->error == EXC_BP * 8 + 2 || ev->error == EXC_OF * 8 + 2)) {
		r->vector = ev->error >> 3;
		r->error = 0;
		r->rip += length;
	}
}

struct xlate *engine_load(struct engine *e, const struct ocase *c, const uint8_t *image, uint64_t up)
{
	cpu_fpu_park(e->cpu);
	memcpy(e->ram + IMAGE_GPA, image, IMAGE_SIZE);
	ocase_place(c, e->ram + IMAGE_GPA);
	xlate_invalidate(e->x, IMAGE_GPA + CODE_OFF, CODE_SIZE);
	load_state(e, c, up);
	memcpy(e->cpu->fpu, c->x, X_SIZE);
	cpu_x87_set(e->cpu, 0, 0, 0);
	return e->x;
}

void engine_run(struct engine *e, const struct ocase *c, const uint8_t *image, bool step, struct ores *r)
{
	struct cpu *cpu = e->cpu;
	engine_load(e, c, image, 0);
	/* half of the time every access misses the TLB, else none that the last case made */
	if (c->gpr[0] & 1)
		mmu_flush_all(cpu);
	xlate_exact_flags(e->x, c->over);
	bool ended = run(e, step);
	xlate_sync(e->x);
	cpu_fpu_park(cpu);
	r->status = cpu->stats.count[STAT_ASTRAY] ? OS_ASTRAY : ended ? OS_OK : OS_HUNG;
	cpu->stats.count[STAT_ASTRAY] = 0;
	memcpy(r->gpr, cpu->s.gpr, sizeof(r->gpr));
	r->rip = cpu->s.rip;
	r->rflags = cpu->s.rflags;
	r->fs_base = cpu->s.seg[SEG_FS].base;
	r->gs_base = cpu->s.seg[SEG_GS].base;
	for (unsigned k = 0; k < 6; k++)
		r->sel[k] = cpu->s.seg[k].sel;
	memcpy(r->x, cpu->fpu, X_SIZE);
	memcpy(r->mem, e->ram + IMAGE_GPA, IMAGE_SIZE);
	store_event(e, c, r);
}
