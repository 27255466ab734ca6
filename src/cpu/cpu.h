// SPDX-License-Identifier: GPL-2.0-or-later
/* what: struct cpu: the whole architectural state of one vCPU, and the exceptions that leave the engine
 *
 * struct cpu_state is what a snapshot holds. struct cpu adds what the engine derives from it. Translated
 * code runs with host RSP == &cpu, so the hot members sit at small positive offsets, and the monitor's
 * stack, CPU_STACK bytes, grows down from the struct's own address (xlate/arena.c).
 *
 * I1  Between helpers guest registers, arithmetic flags and FPU state live in the host's registers. Inside
 *     every C function that gets a struct cpu *, s.gpr, s.rip and s.rflags are complete and current; the
 *     FPU and vector state is in the host's registers while fpu_live, else in fpu.
 * I2  C code reachable while fpu_live is compiled with -mgeneral-regs-only. Before it calls anything else
 *     (devices that are not plain, see mem.h; libc) it calls cpu_fpu_park().
 * I3  Whoever changes anything that mode keys depend on (segments, CR0, CR4, EFER, CPL, VM, AC, XCR0)
 *     sets mode_dirty.
 */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "base/base.h"
#include "base/stats.h"
#include "state/state.h"

typedef uint64_t gla_t; /* guest linear address */

enum cpu_reg { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
enum cpu_segno { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

/* RFLAGS, SDM vol 1 3.4.3 */
#define FL_CF (1u << 0)
#define FL_FIXED (1u << 1)
#define FL_PF (1u << 2)
#define FL_AF (1u << 4)
#define FL_ZF (1u << 6)
#define FL_SF (1u << 7)
#define FL_TF (1u << 8)
#define FL_IF (1u << 9)
#define FL_DF (1u << 10)
#define FL_OF (1u << 11)
#define FL_IOPL (3u << 12)
#define FL_NT (1u << 14)
#define FL_RF (1u << 16)
#define FL_VM (1u << 17)
#define FL_AC (1u << 18)
#define FL_VIF (1u << 19)
#define FL_VIP (1u << 20)
#define FL_ID (1u << 21)
#define FL_ARITH (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

/* CR0, CR4, EFER: SDM vol 3 2.5, 2.2.1 */
#define CR0_PE (1u << 0)
#define CR0_MP (1u << 1)
#define CR0_EM (1u << 2)
#define CR0_TS (1u << 3)
#define CR0_ET (1u << 4)
#define CR0_NE (1u << 5)
#define CR0_WP (1u << 16)
#define CR0_AM (1u << 18)
#define CR0_NW (1u << 29)
#define CR0_CD (1u << 30)
#define CR0_PG (1u << 31)
#define CR4_VME (1u << 0)
#define CR4_PVI (1u << 1)
#define CR4_TSD (1u << 2)
#define CR4_DE (1u << 3)
#define CR4_PSE (1u << 4)
#define CR4_PAE (1u << 5)
#define CR4_MCE (1u << 6)
#define CR4_PGE (1u << 7)
#define CR4_PCE (1u << 8)
#define CR4_OSFXSR (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP (1u << 11)
#define CR4_FSGSBASE (1u << 16)
#define CR4_PCIDE (1u << 17)
#define CR4_OSXSAVE (1u << 18)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define EFER_SCE (1u << 0)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define EFER_NXE (1u << 11)
#define EFER_AIBRSE (1u << 21) /* AMD: APM vol 2 3.1.7 */

/* Vectors, SDM vol 3 table 6-1 */
enum cpu_vector {
	EXC_DE = 0, EXC_DB = 1, EXC_NMI = 2, EXC_BP = 3, EXC_OF = 4, EXC_BR = 5, EXC_UD = 6, EXC_NM = 7, EXC_DF = 8,
	EXC_TS = 10, EXC_NP = 11, EXC_SS = 12, EXC_GP = 13, EXC_PF = 14, EXC_MF = 16, EXC_AC = 17, EXC_MC = 18, EXC_XM = 19,
};

/* Segment attributes: bits 8-15 and 20-23 of the descriptor's second dword, shifted right by 8. */
#define SEGA_TYPE 0x000f
#define SEGA_A 0x0001
#define SEGA_W 0x0002 /* data: writable; code: readable */
#define SEGA_E 0x0004 /* data: expand down; code: conforming */
#define SEGA_CODE 0x0008
#define SEGA_S 0x0010
#define SEGA_DPL 0x0060
#define SEGA_P 0x0080
#define SEGA_NULL 0x0100 /* ours: loaded with a null selector, unusable */
#define SEGA_AVL 0x1000
#define SEGA_L 0x2000
#define SEGA_DB 0x4000
#define SEGA_G 0x8000

struct cpu_seg {
	uint64_t base;
	uint32_t limit; /* in bytes, already scaled by G */
	uint16_t sel;
	uint16_t attr;
};

struct cpu_state {
	uint64_t gpr[16];
	uint64_t rip;
	uint64_t rflags; /* arithmetic flags are stale while translated code runs */
	struct cpu_seg seg[6];
	struct cpu_seg ldtr, tr;
	uint64_t gdt_base, idt_base;
	uint32_t gdt_limit, idt_limit;
	uint64_t cr0, cr2, cr3, cr4, xcr0;
	uint64_t dr[8];
	uint64_t efer, star, lstar, cstar, fmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t tsc_aux, tsc_adjust, tsc_offset; /* guest TSC = host TSC + tsc_offset */
	uint64_t pat, misc_enable, mtrr_def_type;
	uint64_t mtrr_phys[16]; /* base0 mask0 ... base7 mask7 */
	uint64_t mtrr_fix[11];
	uint64_t amd_ls_mca[2], amd_perf[12], amd_syscfg, amd_hwcr, amd_iorr[4], amd_top_mem[2], amd_nb_cfg,
		amd_mmio_cfg;
	uint64_t amd_core_cfg[16]; /* C001_1020 and on; insn/msr.def */
	uint64_t pdpte[4];      /* PAE paging: loaded by MOV CR3, SDM vol 3 4.4.1 */
	uint64_t spec_ctrl;
	uint8_t cpl;
	bool halted;
	bool int_shadow;        /* STI, MOV SS: no interrupt before the next instruction ends */
	bool nmi_blocked;
	bool nmi_pending;
	bool shadow_ss;         /* the shadow comes from MOV SS/POP SS: holds off #DB as well */
	bool ferr;              /* FERR#: an x87 error was reported with CR0.NE = 0, and stands as far as we saw */
	bool ignne;             /* IGNNE#: such errors are ignored, SDM vol 1 8.7.2 */
	uint64_t pending_dbg;   /* DR6 bits of a #DB that waits for the instruction boundary */
	/* The last x87 instruction and its operand, SDM vol 1 8.1.8 and 8.1.9; cpu->x87_at may know of a later one. The
	 * operand is known only as far as a guest has loaded it. */
	uint64_t x87_ip, x87_dp;
	uint16_t x87_cs, x87_ds, x87_op;
	bool wait_sipi;         /* an application processor after RESET or INIT: SDM vol 3 9.4.3 */
	uint8_t pad_;
};
extern const struct st_type cpu_state_type;

/* Privilege views of a linear address. AC: supervisor with SMAP lifted by EFLAGS.AC, or SMAP off. */
enum cpu_view { VIEW_USER, VIEW_SUP, VIEW_SUP_AC, VIEW_COUNT };
enum cpu_rw { TLB_READ, TLB_WRITE, TLB_RW_COUNT };

/* The descriptor that a data segment register was loaded with last, at CPL 0 from the GDT: while GDTR and the
 * descriptor are the same, loading the selector again at CPL 0 gives the same segment. */
struct cpu_kept {
	uint64_t gdt_base;
	uint64_t page, off; /* where the descriptor is: linear address of its page, offset in that */
	uint64_t raw;       /* it, accessed */
	struct cpu_seg seg;
	uint64_t rmax, wmax;
	uint32_t gdt_limit;
	uint32_t slot;      /* offset of the page's entry in a TLB */
};

/* A checked access: the one or two pages it touches. host: NULL where mem_read and mem_write must do it. */
struct cpu_span {
	unsigned n;
	struct {
		uint64_t gpa;
		uint8_t *host;
		uint32_t len;
		bool code; /* for writes: the page holds translated code */
	} part[2];
};

/* An exception or interrupt on its way to delivery. */
struct cpu_event {
	uint8_t vector;
	bool has_error;
	bool soft;     /* INT n, INT3, INTO: gate DPL is checked, return address is next_rip */
	bool ext;      /* external or NMI: EXT bit of nested error codes */
	bool icebp;    /* INT1 */
	uint32_t error;
	uint64_t cr2;  /* #PF */
	uint64_t dr6;  /* #DB: bits to set */
};

struct cpu;
/* What the machine around gives a vCPU. Functions take the device lock themselves, and leave vector registers alone but
 * for writes of IA32_APIC_BASE and ferr, which are called with the FPU parked. */
struct cpu_hooks {
	void *opaque;
	uint8_t (*get_tpr)(void *opaque);             /* CR8 */
	void (*set_tpr)(void *opaque, uint8_t tpr);
	/* APIC-owned MSRs: IA32_APIC_BASE, TSC_DEADLINE, 0x800-0x8ff. False: no such MSR or bad value, #GP. */
	bool (*apic_rdmsr)(void *opaque, uint32_t msr, uint64_t *val);
	bool (*apic_wrmsr)(void *opaque, uint32_t msr, uint64_t val);
	/* FERR# (x87 errors with CR0.NE = 0) goes to IRQ13. */
	void (*ferr)(void *opaque, bool level);
};

struct cpu_model; /* CPUID policy, cpuid.h */
struct mem;
struct mem_member; /* mem/coherence.h */

/* Bounce buffer for accesses without a host address: crossing pages, MMIO, code pages. Big enough for XSAVE areas. */
#define CPU_BOUNCE 4096
/* The monitor's stack below struct cpu. */
#define CPU_STACK ((size_t)1 << 20)

/* In translated code RSP is so far into struct cpu: its low six bits are 40, and the slot of an address takes one SHRX
 * by RSP (xlate/windowed.c). */
#define CPU_RSP 40
struct mmu; /* mmu/soft.h */

struct cpu {
	uint8_t below[CPU_RSP];  /* the top of the monitor's stack */
	struct cpu_state s;      /* gpr[] first */
	uint64_t next_rip;       /* helpers: RIP to continue at */
	uint64_t tmp[4];         /* what an engine hands a helper, and its own */
	uint64_t host_pc;        /* host return address in translated code of the running helper; 0: s.rip is right */
	uint64_t host_rsp;       /* the run loop's stack pointer while an engine's code runs */
	uint32_t bounce_len;     /* 0: the access went straight to memory */
	bool bounce_exit;        /* the write hit translated code: leave after this instruction */
	uint8_t pad_[3];
	uint64_t bounce_gla;
	struct cpu_kept kept[6]; /* ES, DS, FS, GS */
	uint64_t rmax[6];        /* highest offset + 1 that reads of the segment may reach; 0: always check in C */
	uint64_t wmax[6];
	/* ---- members above are at offsets known to xlate/entry.S (xlate/offsets.h) ---- */
	/* mode */
	bool mode_dirty;
	bool fpu_live;
	uint8_t x87_aside;       /* exception flags kept out of the x87 status while one instruction ignores them */
	uint8_t view;            /* enum cpu_view of data accesses now */
	uint8_t passed;          /* see cpu_shadow_pass(); 2: a shadow of SS */
	uint64_t passed_rip;
	/* leaving by exception */
	struct cpu_event event;
	bool event_valid;
	void *unwind[5];         /* __builtin_setjmp buffer of the run loop */
	/* requests from other threads; set request bits, then kick. By __atomic builtins only: clang has them for no
	 * _Atomic */
	uint32_t request;
	bool intr;               /* level of the interrupt request from PIC or APIC */
	const struct cpu_hooks *hooks;
	struct mem *mem;
	struct mem_member *member; /* NULL: the only one that keeps translations of mem */
	unsigned number, apic_id;  /* of this CPU in the machine */
	uint64_t spin_at;          /* host TSC at the last PAUSE, and how many came close together */
	uint32_t spin_turns;
	uint64_t tsc_zero;         /* host TSC at which the guest's is 0 after RESET; 0: then */
	const struct cpu_model *model;
	/* What the engine has noted of the last x87 instruction, not 0 if s.x87_ip is of an earlier one; and how that is
	 * made up for. */
	uint64_t x87_at;
	void (*x87_settle)(struct cpu *cpu);
	void *engine;            /* its own */
	struct mmu *mmu;         /* software translation of addresses */
	void *vcpu;              /* struct vcpu * */
	uint32_t fpu_size;       /* bytes of fpu used by XSAVE with all host components the guest may have */
	uint64_t host_xcr0;      /* components saved and loaded */
	bool fpu_opt;            /* XSAVEOPT */
	struct cpu_span span;    /* where the bounce buffer belongs */
	_Alignas(64) uint8_t bounce[CPU_BOUNCE];
	_Alignas(64) uint8_t fpu[CPU_BOUNCE]; /* XSAVE area while !fpu_live */
	struct stats stats;
};

/* cpu->x87_at: s.x87_cs is right already; FNINIT has cleared it all. */
#define CPU_X87_HAS_CS (1ull << 32)
#define CPU_X87_CLEARED UINT64_MAX

/* Request bits. */
enum { REQ_FLUSH = 1, REQ_CODE = 2, REQ_NMI = 4, REQ_RESET = 8, REQ_STOP = 16, REQ_STAND = 32, REQ_IGNNE = 64,
       REQ_TIMERS = 128, REQ_SIPI = 256, REQ_INIT = 512 };

/* Power-on state after RESET (SDM vol 3 table 9-1) or INIT. Keeps hooks, model and engine members. */
void cpu_reset(struct cpu *cpu, bool init);

/* Leave the current instruction by an exception at s.rip. Longjmps to the run loop. error is used for vectors that
 * push one. */
noreturn void cpu_raise(struct cpu *cpu, unsigned vector, uint32_t error);
/* #PF at linear address gla. */
noreturn void cpu_raise_pf(struct cpu *cpu, gla_t gla, uint32_t error);
/* #DB as a fault or trap with DR6 bits; a trap's RIP is next_rip (cpu_raise_db sets s.rip = next_rip first when
 * trap). */
noreturn void cpu_raise_db(struct cpu *cpu, uint64_t dr6, bool trap);

/* Install a segment's hidden part, derive rmax and wmax, set mode_dirty. */
void cpu_set_seg(struct cpu *cpu, unsigned n, uint16_t sel, uint64_t base, uint32_t limit, uint16_t attr);
/* Real-mode and virtual-8086 load: base = sel << 4; in real mode limit and attributes stay (unreal mode), VM86 sets
 * 64 KiB, DPL 3. */
void cpu_set_seg_real(struct cpu *cpu, unsigned n, uint16_t sel);
/* Recompute rmax, wmax, view after s was replaced; sets mode_dirty. */
void cpu_derive(struct cpu *cpu);
/* Enum cpu_view for data accesses at the current CPL, SMAP and AC. */
uint8_t cpu_view_now(const struct cpu *cpu);

static inline bool cpu_protected(const struct cpu *cpu)
{
	return cpu->s.cr0 & CR0_PE && !(cpu->s.rflags & FL_VM);
}
static inline bool cpu_long_mode(const struct cpu *cpu)
{
	return cpu->s.efer & EFER_LMA;
}
static inline bool cpu_code64(const struct cpu *cpu)
{
	return cpu_long_mode(cpu) && cpu->s.seg[SEG_CS].attr & SEGA_L;
}
static inline bool cpu_canonical(gla_t gla)
{
	return (uint64_t)((int64_t)(gla << 16) >> 16) == gla;
}
/* Nothing waits that the interrupt shadow would hold off, so the next instruction, at s.rip, runs without. Should
 * something come before it has run, cpu_shadow_recall() brings the shadow back: an interrupt between STI and HLT would
 * not wake the CPU. */
static inline void cpu_shadow_pass(struct cpu *cpu)
{
	if (cpu->s.int_shadow) {
		cpu->passed = cpu->s.shadow_ss ? 2 : 1;
		cpu->passed_rip = cpu->s.rip;
		cpu->s.int_shadow = cpu->s.shadow_ss = false;
	} else if (cpu->passed_rip != cpu->s.rip) {
		cpu->passed = 0;
	}
}
static inline void cpu_shadow_recall(struct cpu *cpu)
{
	if (cpu->passed && cpu->passed_rip == cpu->s.rip) {
		cpu->s.int_shadow = true;
		cpu->s.shadow_ss = cpu->passed == 2;
	}
	cpu->passed = 0;
}
/* CS is about to change: the last x87 instruction had the one there is now. */
static inline void cpu_x87_keep_cs(struct cpu *cpu)
{
	if (!cpu->x87_at || cpu->x87_at & CPU_X87_HAS_CS)
		return;
	cpu->s.x87_cs = cpu->s.seg[SEG_CS].sel;
	cpu->x87_at |= CPU_X87_HAS_CS;
}
/* There is no last x87 instruction, or a guest has loaded this one, without an operand. */
static inline void cpu_x87_set(struct cpu *cpu, uint64_t ip, uint16_t cs, uint16_t op)
{
	cpu->x87_at = 0;
	cpu->s.x87_ip = ip;
	cpu->s.x87_cs = cs;
	cpu->s.x87_op = op & 0x7ff;
	cpu->s.x87_dp = cpu->s.x87_ds = 0;
}
static inline unsigned cpu_iopl(const struct cpu *cpu)
{
	return cpu->s.rflags >> 12 & 3;
}

/* Bring FPU and vector state to memory (cpu->fpu) if it lives in the host's registers. Cheap when parked already.
 * Also sets the host's own MXCSR and x87 control word to C's defaults. */
void cpu_fpu_park(struct cpu *cpu);
/* Bring it back; the engine calls it before entering translated code. */
void cpu_fpu_load(struct cpu *cpu);
/* The area came from outside: make it one that can be loaded. Parked. */
void cpu_fpu_tame(struct cpu *cpu);

#endif
