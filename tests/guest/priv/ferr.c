// SPDX-License-Identifier: GPL-2.0-or-later
/* what: x87 errors the PC's way, CR0.NE = 0: FERR# and IRQ 13, port F0H and IGNNE# (SDM vol 1 8.7.2 and D.2;
 * Intel 290550 2.5.5.2), with the handlers DOS programs have */
#include "guest.h"

#define ERROR "fld1\n fldz\n fdivrp\n" /* one divided by zero: ZE, and nothing else changes, as it is unmasked */
#define UNMASK "fninit\n fnstcw cw\n andw $0xfffa, cw\n fldcw cw\n" /* ZM and IM */
#define IGNORED UNMASK ERROR "fwait\n" /* by a handler that only writes to the port */
#define AGAIN ERROR "fwait\n fnclex"
#define SEEN "fnstsw %ax\n movzwl %ax, %edx\n"
#define ZE_STANDS(ax) (((ax) & 0x80bf) == 0x8084) /* ES, B, ZE, no other flag */
SNIPPET(go_on, UNMASK ERROR "nop\n fld1\n" SEEN "fstcw cw\n fstpl num\n fnstsw %ax\n fnclex\n" AGAIN);
SNIPPET(waits, IGNORED "fwait\n" SEEN "fnclex\n fnstsw %ax");
SNIPPET(own_error, IGNORED "fld1\n fchs\n fsqrt\n" SEEN "fstps num");
SNIPPET(two, IGNORED "fnclex\n" AGAIN);
SNIPPET(by_init, IGNORED "fninit\n" UNMASK AGAIN);
SNIPPET(by_save, IGNORED "fnsave area\n" UNMASK AGAIN);
SNIPPET(by_fldenv, UNMASK "fnstenv area\n fldcw cw\n" ERROR "fwait\n fldenv area\n" SEEN "fldcw cw\n" AGAIN);
SNIPPET(by_frstor, UNMASK "fnsave area\n fldcw cw\n" ERROR "fwait\n frstor area\n" SEEN "fldcw cw\n" AGAIN);
SNIPPET(by_fxrstor, UNMASK "fxsave area\n" ERROR "fwait\n fxrstor area\n" SEEN AGAIN);
SNIPPET(by_mask, IGNORED "orw $0x3f, cw\n fldcw cw\n" SEEN "fnclex\n" UNMASK AGAIN);
SNIPPET(at_fldenv, "fninit\n fnstenv area\n" UNMASK ERROR "nop\nfl_at: fldenv area");
SNIPPET(mmx, IGNORED "mov $0x1234567, %eax\n movd %eax, %mm3\n movd %mm3, %edx\n fnstsw %ax");
SNIPPET(faulty, IGNORED "mov $1, %eax\n ror $1, " AX "\nff_at: flds %fs:(" AX ")");
SNIPPET(ne_later, IGNORED "mov %cr0, " AX "\n or $0x20, %al\n mov " AX ", %cr0\nfn_at: fld1");
SNIPPET(early, "out %al, $0xf0\n" UNMASK AGAIN);
SNIPPET(late, IGNORED "fnclex\n out %al, $0xf0\n" AGAIN);
SNIPPET(tf, IGNORED "pushf\n orl $0x100, (%" "esp)\n popf\n fld1\n fstp %st\n fwait\n nop");
SNIPPET(breakpoint, IGNORED "fninit\n" IGNORED "fb_at: fld1\n fld1");
extern char fl_at[], ff_at[], fn_at[], fb_at[];
u16 cw, left; /* status word at a run's end */
u8 area[512] __attribute__((aligned(64)));
u64 num;
#define FINE (t.vec == END)
#define IRQ13 0x5d

/* What the handler does. */
static enum { OUT_ONLY, CLEAR_FIRST, OUT_THEN_CLEAR } way;
static unsigned irqs, only_first, steps, in_service;
static ul dbs[8];

static void on_irq13(void)
{
	outb(0xa0, 0x0b);
	in_service += inb(0xa0) == 0x20;
	irqs++;
	if (way == CLEAR_FIRST)
		asm volatile("fnclex");
	outb(0xf0, 0);
	if (way == OUT_THEN_CLEAR || (only_first && irqs > 1))
		asm volatile("fnclex");
	outb(0xa0, 0x20), outb(0x20, 0x20);
}

static void on_db(void)
{
	dbs[steps++ & 7] = RD_DR(6);
	if (RD_DR(6) & 15)
		((ul *)t.entry_sp)[2] |= RF; /* on with the instruction, SDM vol 3 17.3.1.1 */
	if (steps > 40)
		WR_DR(7, 0x400);
	WR_DR(6, 0xffff0ff0);
}

/* Runs code with IRQ 13 open; t.r.ax and t.r.dx as at its end. */
static void errors(const void *code, int how)
{
	way = how;
	irqs = in_service = steps = 0;
	prepare(code, 0);
	in.flags |= IF;
#ifndef __x86_64__
	in.fs = 0;
#endif
	go();
	asm volatile("fnstsw %0\n fnclex\n fninit" : "=m"(left));
	check("IRQ 13 is in service each time", __FILE__, __LINE__, "in_service == irqs", in_service == irqs);
}

static void handlers(void)
{
	only_first = 1;
	errors(go_on, OUT_ONLY);
	CHECK("vol 1 8.7.2 IGNNE#: FLD behind the error goes on", FINE && ZE_STANDS(t.r.dx) && irqs == 2);
	CHECK("vol 1 8.1.3 FLD moved TOP", (t.r.dx & 0x3800) == 0x2800);
	CHECK("vol 1 8.1.3 FSTP moved it back", (t.r.ax & 0x3800) == 0x3000);
	CHECK("vol 1 8.7.2 FSTCW and FSTP store; flags stand until FNCLEX", cw == 0x37a && num == 0x3ff0000000000000 &&
		ZE_STANDS(t.r.ax));
	only_first = 0;
	errors(waits, OUT_ONLY);
	CHECK("vol 1 8.7.2 one interrupt while IGNNE# stands", FINE && irqs == 1 && ZE_STANDS(t.r.dx));
	CHECK("vol 2 FNCLEX", !(t.r.ax & 0x80bf));
	errors(two, OUT_THEN_CLEAR);
	CHECK("290550 2.5.5.2 FERR# falls by FNCLEX: the next error interrupts", FINE && irqs == 2);
	errors(two, CLEAR_FIRST);
	CHECK("290550 2.5.5.2 no IGNNE# for an error cleared before the write", FINE && irqs == 2);
	errors(early, OUT_THEN_CLEAR);
	CHECK("290550 2.5.5.2 no IGNNE# without FERR#", FINE && irqs == 1);
	errors(late, OUT_ONLY);
	CHECK("290550 2.5.5.2 nor behind the error", FINE && irqs == 2);
}

/* Ways to get rid of the error behind a handler that only wrote to the port: the next one interrupts again. */
static void ends(void)
{
	static const struct { char *code; const char *name; int status; } list[] = {
		{ two, "FNCLEX", 0 }, { by_init, "FNINIT", 0 }, { by_save, "FNSAVE", 0 }, { by_fldenv, "FLDENV", 1 },
		{ by_frstor, "FRSTOR", 1 }, { by_fxrstor, "FXRSTOR", 1 }, { by_mask, "FLDCW that masks it", 0 },
	};
	for (unsigned k = 0; k < sizeof(list) / sizeof(*list); k++) {
		errors(list[k].code, OUT_ONLY);
		check("vol 1 8.7.2, D.2: ends the error", __FILE__, __LINE__, list[k].name, FINE && irqs == 2);
		if (list[k].status)
			check("vol 1 8.1.3 the status as loaded", __FILE__, __LINE__, list[k].name, !(t.r.dx & 0x80bf));
	}
	CHECK("vol 1 8.1.3 FLDCW keeps the flag and drops ES", (t.r.dx & 0x80bf) == 4);
	prepare(at_fldenv, 0);
	hook[IRQ13] = 0;
	in.flags |= IF;
	go();
	outb(0xf0, 0);
	CHECK("vol 1 8.7.2 FLDENV waits", t.vec == IRQ13 && t.r.ip == (ul)fl_at);
	outb(0xa0, 0x20), outb(0x20, 0x20);
	asm volatile("fnclex\n fninit");
	hook[IRQ13] = on_irq13;
}

/* What an instruction does that ignores the error of another. */
static void ignoring(void)
{
	errors(own_error, OUT_ONLY);
	CHECK("vol 1 8.5.1.2 its own unmasked error leaves the operand alone", FINE && (u32)num == 0xbf800000);
	CHECK("vol 1 8.1.3 its flag joins the other", (t.r.dx & 0x80bf) == 0x8085 && irqs == 1);
	errors(mmx, OUT_ONLY);
	CHECK("vol 1 9.6.3 MMX goes on", FINE && t.r.dx == 0x1234567 && ZE_STANDS(t.r.ax) && !(t.r.ax & 0x3800));
	errors(faulty, OUT_ONLY);
	CHECK("vol 3 6.15 its operand's fault", t.vec == GP && t.r.ip == (ul)ff_at && irqs == 1 && ZE_STANDS(left));
	errors(ne_later, OUT_ONLY);
	CHECK("vol 1 8.7.1 IGNNE# counts only while NE = 0", t.vec == MF && t.r.ip == (ul)fn_at && irqs == 1);
	WR_CR(0, RD_CR(0) & ~0x20ul);
}

static void debugging(void)
{
	hook[DB] = on_db;
	errors(tf, OUT_ONLY);
	CHECK("vol 3 17.3.1.4 a trap behind each instruction that goes on", FINE && steps == 4 && irqs == 1);
	WR_DR(0, fb_at);
	WR_DR(7, 0x402);
	errors(breakpoint, OUT_ONLY);
	WR_DR(7, 0x400);
	CHECK("vol 3 17.3.1.1 an instruction breakpoint on it hits once", FINE && steps == 1 && dbs[0] & 1 && irqs == 2);
	hook[DB] = 0;
}

void guest_main(void)
{
	outb(0x20, 0x11), outb(0x21, 0x50), outb(0x21, 4), outb(0x21, 1), outb(0x21, 0xfb);
	outb(0xa0, 0x11), outb(0xa1, 0x58), outb(0xa1, 2), outb(0xa1, 1), outb(0xa1, 0xdf);
	hook[IRQ13] = on_irq13;
	WR_CR(0, (RD_CR(0) & ~0x2cul) | 2);
	WR_CR(4, RD_CR(4) | 0x200);
	handlers();
	ends();
	ignoring();
	debugging();
}
