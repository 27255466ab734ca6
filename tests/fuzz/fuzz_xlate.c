// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: any bytes as guest code in any mode, decoded, translated and run by the real run loop
 *
 * What counts as a finding, besides a crash or must(): a host fault in translated code that no guest instruction may
 * cause (fault_sig.c ends the process), and what confined.h looks for.
 *
 * A thread ends each run after a millisecond; halted machines and triple faults end theirs at once. The faults'
 * handlers displace libFuzzer's, so the input is kept in the file FUZZ_LAST.
 *
 * Guest-physical layout: 0x0000 real-mode IVT, 0x1000 GDT, 0x2000 IDT, 0x3000 TSS, 0x4000 page tables, 0x10000 code,
 * 0x20000 data and stacks.
 */
#include <pthread.h>
#include <time.h>

#include "confined.h"
#include "fuzz.h"
#include "vcpu/vcpu_int.h"
#include "xlate/xlate_int.h"

enum { RAM = 1 << 20, GDT = 0x1000, IDT = 0x2000, TSS = 0x3000, TABLES = 0x4000, CODE = 0x10000, DATA = 0x20000,
	STACK = 0x28000, MMIO = 0xfe000000 };
/* Selectors of the GDT made below; the data segments follow the code segments of their kind. */
enum { CS64 = 0x08, CS32 = 0x10, CS16 = 0x18, DS = 0x20, CS64U = 0x2b, CS32U = 0x33, CS16U = 0x3b, DSU = 0x43,
	DS16 = 0x48, DOWN = 0x50, TR = 0x58 };
enum mode { REAL, UNREAL, PROT16, PROT32, PAGED32, PAE32, LONG64, COMPAT32, COMPAT16, V86, MODES };

struct target {
	struct loop *loop;
	struct mem *mem;
	struct vcpu *vcpu;
	struct cpu *cpu;
	uint8_t *ram;
	bool windows;
	uint64_t started; /* ns of the host's clock; 0: not running */
};

static uint64_t host_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *stopper(void *opaque)
{
	struct target *t = opaque;

	for (;;) {
		uint64_t since = __atomic_load_n(&t->started, __ATOMIC_SEQ_CST);
		bool halted = __atomic_load_n(&t->vcpu->sleeping, __ATOMIC_SEQ_CST);

		if (since && (halted || host_ns() - since > 1000000))
			vcpu_request_stop(t->vcpu);
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	return NULL;
}

static uint64_t mmio_read(void *opaque, uint64_t off, unsigned size)
{
	return off * 0x9e3779b97f4a7c15ull;
}

static void mmio_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
}

static const struct mem_ops mmio_ops = { .read = mmio_read, .write = mmio_write, .max_size = 8 };

static void on_triple_fault(void *opaque)
{
	vcpu_request_stop(((struct target *)opaque)->vcpu);
}

static struct target *target_new(void)
{
	struct target *t = xalloc(sizeof(*t));
	struct mem_region *mmio = xalloc(sizeof(*mmio));
	struct cpu_model *model;
	struct err err;
	pthread_t thread;

	t->loop = loop_new_stepped();
	t->mem = mem_new(t->loop, RAM, 0xe0000000, &err);
	model = cpuid_model_new(NULL, &err);
	must(t->mem && model);
	*mmio = (struct mem_region){ .name = "fuzz", .base = MMIO, .size = 0x10000, .priority = 1, .ops = &mmio_ops };
	loop_lock(t->loop);
	mem_region_enable(t->mem, mmio);
	loop_unlock(t->loop);
	t->ram = mem_ram_base(t->mem);
	mem_set_a20(t->mem, true);
	t->vcpu = vcpu_new(&(struct vcpu_config){ .engine = &xlate_engine, .mem = t->mem, .loop = t->loop, .model = model,
		.opaque = t,
		.triple_fault = on_triple_fault }, &err);
	must(t->vcpu);
	t->cpu = vcpu_cpu(t->vcpu);
	must(xlate_thread_init(t->vcpu->cpu->engine, &err) == 0);
	must(pthread_create(&thread, NULL, stopper, t) == 0);
	confined_forbid_syscalls(t->vcpu);
	return t;
}

static void put_gdt(uint8_t *ram)
{
	static const uint64_t gdt[] = {
		0, 0x00af9b000000ffff, 0x00cf9b000000ffff, 0x000f9b000000ffff, 0x00cf93000000ffff, 0x00affb000000ffff,
		0x00cffb000000ffff, 0x000ffb000000ffff, 0x00cff3000000ffff, 0x0000930000007fff, 0x00cf970200000001,
		0x00008b0030000067, 0, 0x0000ec0000100000 | CODE,
	};

	for (unsigned k = 0; k < ARRAY_LEN(gdt); k++)
		put_le64(ram + GDT + k * 8, gdt[k]);
}

/* Every gate leads back into the code, at another place each. gate: type byte. */
static void put_idt(uint8_t *ram, bool wide, uint16_t cs)
{
	for (unsigned v = 0; v < 256; v++) {
		uint64_t at = CODE + (v & 31) * 16;
		uint64_t gate = (at & 0xffff) | (uint64_t)cs << 16 | (uint64_t)(v & 1 ? 0xee : 0x8f) << 40 | (at >> 16) << 48;

		put_le64(ram + IDT + v * (wide ? 16 : 8), gate);
		if (wide)
			put_le64(ram + IDT + v * 16 + 8, 0);
		put_le16(ram + v * 4, (uint16_t)((v & 31) * 16));
		put_le16(ram + v * 4 + 2, CODE >> 4);
		if (v == 127 && wide)
			break; /* the IDT is one page */
	}
}

/* Identity, first 2 MiB in 4 KiB pages; the rest is not there but for a large page over the MMIO window. */
static void put_tables(uint8_t *ram, enum mode mode)
{
	bool legacy = mode == PAGED32 || mode == V86;
	uint32_t step = legacy ? 4 : 8, pt = TABLES + 0x4000;

	for (unsigned k = 0; k < RAM >> 12; k++) {
		uint64_t e = (uint64_t)k << 12 | (k % 32 == 31 ? 0 : k % 32 == 30 ? 5 : k % 32 == 29 ? 3 : 7);
		if (legacy)
			put_le32(ram + pt + k * step, (uint32_t)e);
		else
			put_le64(ram + pt + k * step, e);
	}
	if (legacy) {
		put_le32(ram + TABLES, pt | 7);
		put_le32(ram + TABLES + (MMIO >> 22) * 4, (MMIO & 0xffc00000) | 0x87);
		return;
	}
	/* more slots of 1 TiB than an address space has windows */
	for (unsigned k = 0; k < (mode == PAE32 ? 1 : 12); k++)
		put_le64(ram + TABLES + k * 23 * 8, (TABLES + 0x1000) | 7);
	uint32_t pdpt = mode == PAE32 ? TABLES : TABLES + 0x1000;
	uint32_t present = mode == PAE32 ? 1 : 7;
	put_le64(ram + pdpt, (TABLES + 0x2000) | present);
	put_le64(ram + pdpt + 24, (TABLES + 0x3000) | present);
	put_le64(ram + TABLES + 0x2000, pt | 7);
	put_le64(ram + TABLES + 0x3000 + (MMIO >> 21 & 511) * 8, (MMIO & 0xffe00000) | 0x87);
}

static void put_tss(uint8_t *ram, bool wide)
{
	memset(ram + TSS, 0, 0x68);
	put_le32(ram + TSS + 4, STACK);
	if (!wide)
		put_le32(ram + TSS + 8, DS);
	put_le16(ram + TSS + 0x66, 0x68);
}

static const struct {
	uint64_t cr0, cr4, efer;
	uint16_t cs, cs_user;
} modes[MODES] = {
	[REAL] = { CR0_ET, 0, 0, 0, 0 },
	[UNREAL] = { CR0_ET, 0, 0, 0, 0 },
	[PROT16] = { CR0_ET | CR0_PE, 0, 0, CS16, CS16U },
	[PROT32] = { CR0_ET | CR0_PE, 0, 0, CS32, CS32U },
	[PAGED32] = { CR0_ET | CR0_PE | CR0_PG, CR4_PSE, 0, CS32, CS32U },
	[PAE32] = { CR0_ET | CR0_PE | CR0_PG, CR4_PAE, EFER_NXE, CS32, CS32U },
	[LONG64] = { CR0_ET | CR0_PE | CR0_PG, CR4_PAE, EFER_LME | EFER_LMA | EFER_SCE | EFER_NXE, CS64, CS64U },
	[COMPAT32] = { CR0_ET | CR0_PE | CR0_PG, CR4_PAE, EFER_LME | EFER_LMA | EFER_SCE, CS32, CS32U },
	[COMPAT16] = { CR0_ET | CR0_PE | CR0_PG, CR4_PAE, EFER_LME | EFER_LMA, CS16, CS16U },
	[V86] = { CR0_ET | CR0_PE | CR0_PG, CR4_PSE, 0, 0, 0 },
};

static void load(struct cpu *cpu, const uint8_t *ram, unsigned n, uint16_t sel)
{
	uint64_t d = get_le64(ram + GDT + (sel & 0xf8));
	uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000)),
		base = (uint32_t)((d >> 16 & 0xffffff) | (d >> 56 << 24));

	cpu_set_seg(cpu, n, sel, base, d >> 55 & 1 ? limit << 12 | 0xfff : limit, (uint16_t)(d >> 40 & 0xf0ff));
}

static void set_segments(struct target *t, enum mode mode, bool user)
{
	struct cpu *cpu = t->cpu;

	for (unsigned n = 0; n < 6; n++) {
		uint16_t real = n == SEG_CS ? CODE >> 4 : DATA >> 4;
		if (mode == REAL || mode == UNREAL || mode == V86)
			cpu_set_seg(cpu, n, real, (uint64_t)real << 4, mode == UNREAL && n != SEG_CS ? 0xffffffff : 0xffff,
			            (uint16_t)(SEGA_P | SEGA_S | SEGA_W | SEGA_A | (mode == V86 ? SEGA_DPL : 0)));
		else if (n == SEG_CS)
			load(cpu, t->ram, n, user ? modes[mode].cs_user : modes[mode].cs);
		else
			load(cpu, t->ram, n, user ? DSU : n == SEG_FS ? DOWN : n == SEG_GS ? DS16 : DS);
	}
	cpu->s.tr = (struct cpu_seg){ TSS, 0x67, TR, 0x8b };
	cpu->s.ldtr = (struct cpu_seg){ 0, 0, 0, 0x82 };
}

static void set_state(struct target *t, struct input *in)
{
	uint8_t first = (uint8_t)take(in, 1);
	enum mode mode = first % MODES;
	unsigned bits = (unsigned)take(in, 1), more = (unsigned)take(in, 1);
	struct cpu_state *s = &t->cpu->s;
	bool segmented = mode != REAL && mode != UNREAL, user = mode == V86 || (segmented && bits & 1);
	uint64_t seed = take(in, 2);

	t->windows = first >= 128;
	t->cpu->mmu->window_use = t->windows ? WINDOW_ALWAYS : WINDOW_LATER;
	put_gdt(t->ram);
	put_idt(t->ram, modes[mode].efer & EFER_LMA, modes[mode].efer & EFER_LMA ? CS64 : mode == PROT16 ? CS16 : CS32);
	put_tss(t->ram, modes[mode].efer & EFER_LMA);
	put_tables(t->ram, mode);
	cpu_reset(t->cpu, false);
	s->cr0 = modes[mode].cr0 | (bits & 2 ? CR0_NE | CR0_MP : 0) | (bits & 4 ? CR0_WP | CR0_AM : 0) |
		(bits & 8 ? CR0_TS : 0);
	s->cr4 = modes[mode].cr4 | (bits & 16 ? CR4_OSFXSR | CR4_OSXMMEXCPT : 0) |
		(bits & 32 ? CR4_VME | CR4_PVI | CR4_DE : 0) |
	         (bits & 64 ? CR4_OSXSAVE | CR4_FSGSBASE : 0) | (bits & 128 ? CR4_SMEP | CR4_SMAP | CR4_PGE : 0);
	s->cr4 &= t->cpu->model->cr4_valid;
	s->efer = modes[mode].efer;
	s->cr3 = TABLES;
	if (mode == PAE32)
		must(mmu_load_pdptes(t->cpu, TABLES));
	s->xcr0 = more & 1 ? t->cpu->model->xcr0_valid : 1;
	s->gdt_base = GDT;
	s->gdt_limit = 14 * 8 - 1;
	s->idt_base = mode == REAL || mode == UNREAL ? 0 : IDT;
	s->idt_limit = mode == REAL || mode == UNREAL ? 0x3ff : 0x7ff;
	s->lstar = s->cstar = CODE + 0x100;
	s->star = (uint64_t)CS32 << 32 | (uint64_t)CS32U << 48;
	s->sysenter_cs = CS32;
	s->sysenter_eip = CODE + 0x80;
	s->sysenter_esp = STACK;
	s->cpl = user ? 3 : 0;
	s->rflags = FL_FIXED | (more & 2 ? FL_TF : 0) | (more & 4 ? FL_IF : 0) | (more & 8 ? FL_IOPL : 0) |
		(more & 16 ? FL_DF : 0) |
	            (more & 32 ? FL_AC : 0) | (mode == V86 ? FL_VM : 0);
	set_segments(t, mode, user);
	if (more & 64) {
		s->dr[0] = CODE + (seed & 31);
		s->dr[1] = DATA + 0x40;
		s->dr[7] = 0x00d00405;
	}
	for (unsigned k = 0; k < 16; k++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		s->gpr[k] = k == RSP ? (segmented && mode != V86 ? STACK : 0x8000) :
		            seed >> 60 < 10 ? DATA + (seed >> 32 & 0xfff) : seed >> (seed >> 58);
	}
	if (more & 128)
		s->gpr[seed >> 60] = MMIO + (seed >> 32 & 0xff);
	s->rip = mode == REAL || mode == UNREAL || mode == V86 ? 0 : CODE;
	cpu_derive(t->cpu);
}

static void run(struct target *t, const uint8_t *code, size_t len)
{
	t->vcpu->have_event = t->vcpu->delivering = false;
	mmu_flush_all(t->cpu);
	xlate_flush(t->vcpu->cpu->engine);
	t->cpu->mmu->window[t->cpu->mmu->ctx].on = t->windows; /* supervisor code, too */
	t->cpu->mmu->window[t->cpu->mmu->ctx].view = t->cpu->view;
	memset(t->cpu->fpu, 0, 24);
	put_le16(t->cpu->fpu, 0x37f);
	put_le32(t->cpu->fpu + 24, 0x1f80);
	memcpy(t->ram + CODE, code, len);
	__atomic_store_n(&t->cpu->request, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&t->started, host_ns(), __ATOMIC_SEQ_CST);
	vcpu_loop(t->vcpu);
	__atomic_store_n(&t->started, 0, __ATOMIC_SEQ_CST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct target *t;
	struct input in = { data, size };

	if (!t)
		t = target_new();
	fuzz_remember(data, size);
	memset(t->ram, 0, RAM);
	set_state(t, &in);
	run(t, in.p, MIN(in.left, 4096));
	confined_check(t->cpu, t->mem);
	return 0;
}
