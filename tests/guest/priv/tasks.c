// SPDX-License-Identifier: GPL-2.0-or-later
/* what: hardware task switches (32-bit guest): JMP, CALL, IRET, task gates, both TSS sizes, errors in the old and
 * the new task */
#include "guest.h"

struct tss32 {
	u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss,
		ds, fs, gs, ldt;
	u16 trap, iomap;
};
struct tss16 {
	u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags, ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
};
#define NEW (FREE)
#define GATE (FREE + 8)
#define BUSY(sel) (gdt[(sel) >> 3] >> 41 & 1)

static struct tss32 two __attribute__((aligned(128)));
static struct tss16 small __attribute__((aligned(128)));
#define ONE ((struct tss32 *)tss)
static struct { u32 off; u16 sel; } __attribute__((packed)) far;
static u8 stack2[4096] __attribute__((aligned(16)));

SNIPPET(jmp_task, "jt_at: ljmp *(%ebx)\njt_next: nop");
SNIPPET(call_task, "mov $0x1234, %ecx\n stc\nct_at: lcall *(%ebx)\nct_next: nop");
SNIPPET(int_task, "it_at: int $0x41\nit_next: nop");
SNIPPET(gp_task, "gt_at: mov %ebx, %fs");
SNIPPET(in_two, "nop");
SNIPPET(two_irets, "inc %eax\n iret\nti_again: inc %eax\n inc %eax\n iret");
SNIPPET_BITS(v86_nop, "16", "nop");
SNIPPET_BITS(v86_int, "16", "int $0x41\nv86_back: inc %bx");
SNIPPET(do_iret, "di_at: iret");
extern char jt_at[], jt_next[], ct_at[], ct_next[], it_at[], it_next[], gt_at[], ti_again[], di_at[];

/* TR back to the first task, whatever happened; both descriptors available but the current one. */
static void reset_tasks(void)
{
	set_desc(NEW, (u32)(ul)&two, 0x67, 0x89);
	set_desc(TSS, (u32)(ul)tss, 0x67, 0x89);
	gdt[GATE >> 3] = (u64)NEW << 16 | (u64)0xe5 << 40;
	asm volatile("ltr %w0" :: "r"(TSS));
	asm volatile("clts");
	fill(&two, 0, sizeof(two));
	two.eip = (u32)(ul)in_two;
	two.cs = KCS;
	two.ss = two.ds = two.es = two.fs = two.gs = KDS;
	two.esp = (u32)(ul)(stack2 + 4096);
	two.eflags = 2;
	two.eax = 0xaaaa, two.ecx = 0xcccc, two.edx = 0xdddd, two.ebx = 0xbbbb, two.esi = 0x51, two.edi = 0xd1,
		two.ebp = 0xb9;
	two.esp0 = (u32)(ul)stack0_top, two.ss0 = KDS;
	two.iomap = 0x68;
	two.cr3 = RD_CR(3);
	ONE->cr3 = RD_CR(3);
	ONE->link = 0x7777;
	set_gate(0x41, stub_of(0x41), KCS, 0xee, 0);
}

static unsigned str(void)
{
	u16 sel;
	asm("str %0" : "=r"(sel));
	return sel;
}

static void run_far(const void *code, unsigned cpl, unsigned sel)
{
	far.off = 0x99999999;
	far.sel = (u16)sel;
	prepare(code, cpl);
	in.bx = (ul)&far;
	go();
}

static void switches(unsigned sel)
{
	reset_tasks();
	run_far(jmp_task, 0, sel);
	CHECK("vol 3 7.3 JMP: registers of the new task", t.vec == END && t.r.ax == 0xaaaa && t.r.cx == 0xcccc &&
		t.r.dx == 0xdddd && t.r.bx == 0xbbbb &&
	      t.r.si == 0x51 && t.r.di == 0xd1 && t.r.bp == 0xb9 && t.r.sp == (ul)(stack2 + 4096));
	CHECK("vol 3 7.3 JMP: flags from the TSS", t.r.flags == 2);
	CHECK("vol 3 table 7-2 busy bits", !BUSY(TSS) && BUSY(NEW) && str() == NEW);
	CHECK("vol 3 table 7-2 JMP: back link untouched", two.link == 0 && !(t.r.flags & NT));
	CHECK("vol 3 7.3 CR0.TS", RD_CR(0) & 8);
	CHECK("vol 3 7.3 old state saved, EIP behind the JMP", ONE->eip == (ul)jt_next && ONE->ebx == (ul)&far &&
		ONE->cs == KCS && ONE->esp == in.sp);
	reset_tasks();
	two.eip = (u32)(ul)two_irets;
	ONE->cr3 = RD_CR(3);
	run_far(call_task, 0, sel);
	CHECK("vol 3 7.4 CALL, IRET back", t.vec == END && t.r.ip == (ul)call_task_end + 2 && t.r.cx == 0x1234 &&
		t.r.flags & CF && str() == TSS);
	CHECK("vol 3 7.4 back link", two.link == TSS);
	CHECK("vol 3 7.3 the new task's state saved at its IRET", two.eax == 0xaaab && two.eip == (ul)ti_again &&
		!(two.eflags & NT));
	CHECK("vol 3 table 7-2 after IRET", BUSY(TSS) && !BUSY(NEW));
	CHECK("vol 3 7.3 TS again", RD_CR(0) & 8);
	run_far(call_task, 0, sel);
	CHECK("vol 3 7.4 resumed where it left", t.vec == END && two.eax == 0xaaad);
	reset_tasks();
	two.eip = (u32)(ul)in_two;
	run_far(call_task, 0, sel);
	CHECK("vol 3 7.4 NT in the nested task; both busy", t.vec == END && t.r.flags & NT && BUSY(TSS) && BUSY(NEW) &&
		two.link == TSS);
	reset_tasks();
	two.cs = UCS32, two.ss = two.ds = two.es = two.fs = two.gs = UDS;
	two.esp = (u32)(ul)ustack_top - 64;
	two.eflags = 2 | IF | IOPL3 | ACF | ID | 0x8d5;
	run_far(jmp_task, 0, sel);
	CHECK("vol 3 7.3 into a CPL 3 task", t.vec == END && t.r.cs == UCS32 && t.r.ss == UDS &&
		t.r.flags == two.eflags && t.r.ds == UDS && t.entry_sp == (ul)stack0_top - 20);
}

static void interrupts(void)
{
	reset_tasks();
	two.eip = (u32)(ul)two_irets;
	*(u64 *)(idt + 0x41 * 8) = (u64)NEW << 16 | (u64)0xe5 << 40;
	run(int_task, 3);
	CHECK("vol 3 6.12.2 INT through a task gate and IRET", t.vec == END && two.eax == 0xaaab &&
		t.r.ip == (ul)int_task_end + 2 && t.r.cs == UCS32 && two.link == TSS);
	CHECK("vol 3 6.12.2 saved EIP behind INT", ONE->eip == (ul)it_next && ONE->cs == UCS32);
	*(u64 *)(idt + 0x41 * 8) = (u64)NEW << 16 | (u64)0x85 << 40;
	run(int_task, 3);
	CHECK("vol 3 6.12.2 task gate DPL < CPL", t.vec == GP && t.err == 0x41 * 8 + 2);
	reset_tasks();
	/* #GP with its error code on the new task's stack */
	u64 old;
	copy(&old, idt + GP * 8, 8);
	*(u64 *)(idt + GP * 8) = (u64)NEW << 16 | (u64)0x85 << 40;
	prepare(gp_task, 3);
	in.bx = 0x1f8;
	go();
	CHECK("vol 3 6.13, 6.12.2 error code on the new task's stack", t.vec == END && t.r.sp == (ul)(stack2 + 4092) &&
		*(u32 *)(stack2 + 4092) == 0x1f8 && str() == NEW);
	CHECK("vol 3 6.12.2 saved state of the fault: RF set, EIP at it", ONE->eip == (ul)gt_at && ONE->eflags & RF &&
		ONE->ebx == 0x1f8);
	copy(idt + GP * 8, &old, 8);
	/* a double fault from a bad inner stack reaches a task gate (vol 3 6.15, #DF) */
	copy(&old, idt + DF * 8, 8);
	reset_tasks();
	*(u64 *)(idt + DF * 8) = (u64)NEW << 16 | (u64)0x85 << 40;
	*(u32 *)(tss + 8) = 0;
	run(int_task, 3);
	set_tss_sp0((ul)stack0_top);
	CHECK("vol 3 6.15 #DF: bad SS0, task gate works", t.vec == END && str() == NEW && *(u32 *)(stack2 + 4092) == 0);
	CHECK("vol 3 6.15 #DF: saved state of the interrupted program", ONE->cs == UCS32 && ONE->eip == (ul)it_at);
	copy(idt + DF * 8, &old, 8);
}

static void errors(void)
{
	reset_tasks();
	gdt[NEW >> 3] |= 2ull << 40;
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 7.3 busy: #GP(sel)", t.vec == GP && t.err == NEW && t.r.ip == (ul)jt_at && str() == TSS);
	reset_tasks();
	gdt[NEW >> 3] &= ~(0x80ull << 40);
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 7.3 not present: #NP(sel)", t.vec == NP && t.err == NEW && t.r.ip == (ul)jt_at);
	run_far(jmp_task, 0, GATE);
	CHECK("vol 3 7.3 the same by gate", t.vec == NP && t.err == NEW);
	reset_tasks();
	set_desc(NEW, (u32)(ul)&two, 0x66, 0x89);
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 7.3 limit < 67H: #TS(sel) in the old task", t.vec == TS && t.err == NEW && str() == TSS);
	reset_tasks();
	run_far(jmp_task, 3, NEW | 3);
	CHECK("vol 3 7.3 TSS DPL < CPL", t.vec == GP && t.err == NEW);
	run_far(jmp_task, 3, GATE | 3);
	CHECK("vol 3 7.2.5 gate DPL 3: allowed", t.vec == END && str() == NEW);
	reset_tasks();
	gdt[GATE >> 3] = (u64)0x4 << 16 | (u64)0xe5 << 40;
	run_far(jmp_task, 0, GATE);
	CHECK("vol 2 JMP: gate's selector in the LDT", t.vec == GP && t.err == 4);
	reset_tasks();
	/* from here on in the new task: its context, its TR (vol 3 7.3 step 12 and after) */
	two.cs = 0x1f8;
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 table 7-1 CS beyond the GDT: #TS(CS) in the new task", t.vec == TS && t.err == 0x1f8 &&
		str() == NEW && t.r.ip == (ul)in_two && t.r.ax == 0xaaaa);
	reset_tasks();
	two.cs = UCS32, two.ss = 0; /* at CPL 3, so that the fault finds a stack */
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 table 7-1 null SS", t.vec == TS && t.err == 0 && str() == NEW);
	reset_tasks();
	two.ds = KCS + 0x100;
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 table 7-1 DS beyond the GDT", t.vec == TS && t.err == KCS + 0x100 && str() == NEW);
	reset_tasks();
	two.cs = UCS32, two.ss = UDS, two.ldt = KDS; /* the LDT comes before SS: at CPL 3 again */
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 table 7-1 LDT not an LDT", t.vec == TS && t.err == KDS && str() == NEW);
	reset_tasks();
	set_desc(FREE + 16, 0, 0xfffff, 0xc012);
	two.es = FREE + 16;
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 table 7-1 ES not present: #NP", t.vec == NP && t.err == FREE + 16 && str() == NEW);
	reset_tasks();
	two.trap = 1;
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 17.3.1.5 T flag: #DB before the first instruction, DR6.BT", t.vec == DB && t.dr6 == 0xffff8ff0 &&
		t.r.ip == (ul)in_two && str() == NEW);
	reset_tasks();
	two.eflags |= TF;
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 17.3.1.4 TF of the new task: its first instruction runs", t.vec == DB && t.r.ip == (ul)in_two + 1);
	reset_tasks();
	prepare(do_iret, 0);
	in.flags |= NT;
	ONE->link = NEW;
	go();
	CHECK("vol 3 7.3 IRET to a TSS that is not busy", t.vec == TS && t.err == NEW && str() == TSS);
	prepare(do_iret, 0);
	in.flags |= NT;
	ONE->link = KDS;
	go();
	CHECK("vol 3 7.3 IRET: back link not a TSS", t.vec == TS && t.err == KDS);
	reset_tasks();
	WR_DR(7, 0x400 | 0x55);
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 17.2.4 L bits cleared by a task switch", (RD_DR(7) & 0xff) == 0);
	reset_tasks();
	WR_DR(0, 0x10);
	WR_DR(7, 0x400 | 0xaa);
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 17.2.4 G bits stay", (RD_DR(7) & 0xff) == 0xaa);
	WR_DR(7, 0x400);
	reset_tasks();
}

/* A 16-bit TSS: words; code below 64 KiB of a segment based at the snippet. */
static void sixteen(void)
{
	reset_tasks();
	fill(&small, 0, sizeof(small));
	set_desc(NEW, (u32)(ul)&small, 0x2b, 0x81);
	set_desc(FREE + 16, (u32)(ul)in_two, 0xffff, 0x409a);
	set_desc(FREE + 24, (u32)(ul)stack2, 0xffff, 0x0092);
	small.ip = 0, small.cs = FREE + 16, small.ss = FREE + 24, small.ds = KDS, small.es = KDS, small.sp = 0x1000,
		small.flags = 2 | CF;
	small.ax = 0x1111, small.bx = 0x2222;
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 7.6 16-bit TSS", t.vec == END && (u16)t.r.ax == 0x1111 && (u16)t.r.bx == 0x2222 &&
		t.r.cs == FREE + 16 && t.r.ip == 3 && t.r.flags & CF && t.r.fs == 0 && t.r.gs == 0);
	reset_tasks();
	set_desc(NEW, (u32)(ul)&small, 0x2a, 0x81);
	run_far(jmp_task, 0, NEW);
	CHECK("vol 3 7.6 limit < 2BH", t.vec == TS && t.err == NEW);
	reset_tasks();
}

/* Virtual-8086 mode entered by a task switch, and left by one and entered again by its IRET (vol 3 20.2.5, 20.3.2). */
static void virtual_8086(void)
{
	u8 *code = (u8 *)0x8000;
	asm("" : "+r"(code));
	copy(code, v86_nop, 16);
	for (unsigned k = 0; k < 2; k++) {
		reset_tasks();
		two.eflags = 2 | VM | IOPL3 | CF;
		two.eip = 0, two.cs = 0x800, two.ss = 0x900, two.esp = 0x700;
		two.ds = 0x1234, two.es = 0x2345, two.fs = 0x3456, two.gs = 0xffff;
		run_far(jmp_task, 0, k ? GATE : NEW);
		CHECK("vol 3 20.2.5 a task switch enters virtual-8086 mode: EFLAGS.VM of the TSS", t.vec == END &&
			t.r.flags == (2 | VM | IOPL3 | CF) && t.r.cs == 0x800 && t.r.ip == 3 && str() == NEW);
		CHECK("vol 3 20.2.5 selectors are taken as segments, stack too", t.r.ds == 0x1234 && t.r.es == 0x2345 &&
			t.r.fs == 0x3456 && t.r.gs == 0xffff && t.r.ss == 0x900 && t.r.sp == 0x700);
	}
	copy(code, v86_int, 16);
	reset_tasks();
	two.eip = (u32)(ul)two_irets;
	*(u64 *)(idt + 0x41 * 8) = (u64)NEW << 16 | (u64)0xe5 << 40;
	prepare(0, 3);
	in.flags = 2 | VM | IOPL3 | ZF;
	in.cs = 0x800, in.ss = 0x900, in.sp = 0x700, in.ds = 0x4321, in.es = 0x5432, in.fs = 0x6543, in.gs = 0x7654,
		in.bx = 6;
	go();
	CHECK("vol 3 20.3.2 INT through a task gate saves the virtual-8086 task", ONE->eflags == (2 | VM | IOPL3 | ZF) &&
		ONE->cs == 0x800 &&
	      ONE->eip == 2 && ONE->ds == 0x4321 && ONE->gs == 0x7654 && ONE->esp == 0x700);
	CHECK("vol 3 20.3.2 and IRET goes back into it", t.vec == END && t.r.flags & VM && t.r.bx == 7 &&
		t.r.cs == 0x800 && t.r.ds == 0x4321 && t.r.fs == 0x6543 && str() == TSS && two.eax == 0xaaab);
	reset_tasks();
}

void guest_main(void)
{
	virtual_8086();
	switches(NEW);
	switches(GATE);
	interrupts();
	errors();
	sixteen();
}
