// SPDX-License-Identifier: GPL-2.0-or-later
/* what: x87 and SSE exceptions masked and unmasked, #MF and FERR, #NM, FXSAVE and XSAVE forms, what CR0 and CR4
 * forbid */
#include "guest.h"

SNIPPET(x_div, "fninit\n fnstcw cw\n andw $0xfffb, cw\n fldcw cw\n fld1\n fldz\nxd_at: fdivrp\nxd_next: nop\n"
	"xd_wait: fwait\n nop");
SNIPPET(x_div_masked, "fninit\n fldz\n fld1\n fdivp\n fnstsw %ax");
SNIPPET(x_mf_fld, "fninit\n fnstcw cw\n andw $0xfffb, cw\n fldcw cw\n fldz\n fld1\n fdivp\n nop\nxm_at: fld1");
SNIPPET(x_mf_fnop, "fninit\n fnstcw cw\n andw $0xfffb, cw\n fldcw cw\n fldz\n fld1\n"
  " fdivp\n fnstsw %ax\n mov %eax, %edx\n fnclex\n fld1\n fnstsw %ax");
SNIPPET(x_unmask, "fninit\n fldz\n fld1\n fdivp\n fnstcw cw\n andw $0xfffb, cw\nxu_at: fldcw cw\nxu_next: fwait");
SNIPPET(x_mmx, "fninit\n fldz\n fld1\n fdivp\n fnstcw cw\n andw $0xfffb, cw\n fldcw cw\nxx_at: movd %eax, %mm0");
SNIPPET(x_stack, "fninit\n fstp %st(0)\n fnstsw %ax");
SNIPPET(x_tags, "fninit\n fld1\n movd %eax, %mm1\n fnstenv area\n emms");
SNIPPET(x_where, "fninit\nxo_at: fld1\n mov $1, %eax\n mov $2, %edx\n fnstenv area");
/* How code that does not know where it runs finds out. */
SNIPPET(x_getpc, "fninit\nxg_at: fcmovnb %st, %st\n fnstenv -12(" SP ")\n pop " AX);
SNIPPET(x_mem, "fninit\nxe_at: flds one\n fnclex\n fldcw cw\n fwait\n fnstenv area");
SNIPPET(x_far_off, "mov $100, %ecx\n1: fninit\nxh_at: fld1\n mov %ecx, %eax\n 2: dec %eax\n jnz 2b\n dec %ecx\n"
	" jnz 1b\n fnstenv area");
SNIPPET(x_over, "fninit\n fldz\n mov $xc_at, %edi\nxo_st: fstps (" DI ")\nxc_at: .byte 0x90, 0x90, 0x90, 0x90\n"
	" fnstenv area");
SNIPPET(x_loaded, "fxrstor area\n fxsave area + 512\n fnstenv area + 1024");
SNIPPET(x_plain, "xp_at: fld1");
SNIPPET(x_wait, "xw_at: fwait");
SNIPPET(x_fninit, "xi_at: fninit");
SNIPPET(x_sse, "xs_at: addps %xmm0, %xmm1");
SNIPPET(x_mmxi, "xq_at: paddb %mm0, %mm1");
SNIPPET(x_ldmxcsr, "xl_at: ldmxcsr mxcsr");
SNIPPET(x_fence, "sfence\n lfence\n mfence\n prefetcht0 (%" "esp)\n movnti %eax, area");
SNIPPET(s_div, "ldmxcsr mxcsr\n mov $0x3f800000, %eax\n movd %eax, %xmm0\n xorps %xmm1, %xmm1\n"
	"sd_at: divss %xmm1, %xmm0\nsd_next: stmxcsr mxcsr");
SNIPPET(s_cvt, "ldmxcsr mxcsr\n mov $0x7f800000, %eax\n movd %eax, %xmm0\nsv_at: cvtss2si %xmm0, %eax\n stmxcsr mxcsr");
SNIPPET(s_mem, "ldmxcsr mxcsr\n mov $one, %edi\n xorps %xmm1, %xmm1\nsm_at: divps (" DI "), %xmm1");
SNIPPET(s_align, "mov $area + 8, %edi\nsa_at: movaps %xmm0, (" DI ")");
SNIPPET(s_align_rd, "mov $area + 8, %edi\nsr_at: addps (" DI "), %xmm0");
SNIPPET(fxs, "fx_at: fxsave (" DI ")");
SNIPPET(fxr, "fr_at: fxrstor (" DI ")");
SNIPPET(xsv, "xv_at: xsave (" DI ")");
SNIPPET(xrs, "xr_at: xrstor (" DI ")");
SNIPPET(load_all, "fninit\n fldpi\n mov $0x11111111, %eax\n movd %eax, %xmm3\n mov $area, %edi\n fxsave (" DI ")\n"
  " fninit\n xorps %xmm3, %xmm3\n fxrstor (" DI ")\n movd %xmm3, %ecx\n fstpl area + 512");
SNIPPET(fsave_it, "fninit\n fld1\n fldpi\n fnsave area\n fnstsw %ax\n mov %eax, %edx\n frstor area\n"
	" fstpl area + 512\n fnstsw %ax");
SNIPPET(fsave16, ".byte 0x66\n fnsave area");
extern char xo_at[], xd_at[], xd_next[], xd_wait[], xm_at[], xu_at[], xu_next[], xx_at[], xp_at[], xw_at[], xi_at[],
	xs_at[], xq_at[], xl_at[], xg_at[], xe_at[], xh_at[],
	xo_st[], sd_at[], sd_next[], sv_at[], sm_at[], sa_at[], sr_at[], fx_at[], fr_at[], xv_at[],
	xr_at[];
u16 cw;
u32 mxcsr;
u8 area[4096] __attribute__((aligned(64)));
float one[4] __attribute__((aligned(16)));
#define FAULTS(v, at) (t.vec == (v) && t.err == 0 && t.r.ip == (ul)(at))
#define FINE (t.vec == END)
#define AREA32(n) (*(volatile u32 *)(area + (n)))
#define AREA16(n) (*(volatile u16 *)(area + (n)))
#define AREA64(n) (*(volatile u64 *)(area + (n)))

static void with(const void *code, ul di)
{
	prepare(code, 0);
	in.di = di;
	go();
}

static void on_step(void) {}

/* CPUID.7.EBX[13]: selectors read 0; AMD's CPUs keep the opcode of each instruction, Intel's of none but the one whose
 * unmasked exception waits (APM vol 1 6.2.5, SDM vol 1 8.1.9.1). */
static void last_instruction(void)
{
	u32 vendor[4], r[4], cs = UCS;
	cpuid(0, 0, vendor);
	int amd = vendor[1] == 0x68747541;
	cpuid(7, 0, r);
	if (vendor[0] >= 7 && r[1] >> 13 & 1)
		cs = 0;
	run(x_getpc, 3);
	CHECK("vol 1 8.1.8 FNSTENV tells where the last instruction lies", FINE && (u32)t.r.ax == (u32)(ul)xg_at);
	cw = 0x37f;
	run(x_mem, 3);
	CHECK("vol 1 8.1.8 control instructions and FWAIT leave the pointers alone", FINE && AREA32(12) == (u32)(ul)xe_at &&
		AREA16(16) == cs);
	CHECK("vol 1 8.1.9 the opcode, with the ModRM of the guest", (AREA16(18) == (0x100 | *(u8 *)(xe_at + 1))) == amd);
	run(x_far_off, 3);
	CHECK("vol 1 8.1.8 other instructions, and other blocks, too", FINE && AREA32(12) == (u32)(ul)xh_at);
	run(x_over, 0);
	CHECK("vol 1 8.1.8 a store over code that runs next", t.vec != DF && AREA32(12) == (u32)(ul)xo_st);
	asm volatile("fninit\n fxsave %0" : "=m"(area));
	AREA32(8) = 0x12345678, AREA32(12) = 0x9a, AREA32(16) = 0x76543210, AREA32(20) = 0x23;
	run(x_loaded, 3);
	CHECK("vol 2 FXRSTOR, FXSAVE: pointers come back", FINE && AREA32(512 + 8) == 0x12345678 &&
		AREA32(512 + 16) == 0x76543210 && AREA32(512 + 12) == (cs ? 0x9a : 0) && AREA32(512 + 20) == (cs ? 0x23 : 0));
	CHECK("vol 2 FXRSTOR, FNSTENV", AREA32(1024 + 12) == 0x12345678 && AREA32(1024 + 20) == 0x76543210);
	asm volatile("fninit");
}

static void x87(void)
{
	run(x_div_masked, 3);
	CHECK("vol 1 8.5.3 masked: flag only", FINE && (t.r.ax & 0x80ff) == 4);
	run(x_div, 3);
	CHECK("vol 1 8.6 unmasked: #MF at the next waiting instruction", FAULTS(MF, xd_wait) && t.r.flags & RF);
	run(x_mf_fld, 3);
	CHECK("vol 1 8.6 #MF at FLD", FAULTS(MF, xm_at));
	run(x_mf_fnop, 3);
	CHECK("vol 1 8.6 FNSTSW and FNCLEX do not wait", FINE && t.r.dx & 0x80 && t.r.dx & 0x8000 && !(t.r.ax & 0x80ff));
	run(x_unmask, 3);
	CHECK("vol 1 8.6 unmasking what is pending", FAULTS(MF, xu_next));
	run(x_mmx, 3);
	CHECK("vol 1 9.6.3 MMX instructions wait as well", FAULTS(MF, xx_at));
	run(x_stack, 3);
	CHECK("vol 1 8.5.1.1 stack underflow", FINE && (t.r.ax & 0x241) == 0x41);
	run(x_tags, 3);
	unsigned empty = 0;
	for (unsigned k = 0; k < 16; k += 2)
		empty += (AREA16(8) >> k & 3) == 3;
	CHECK("vol 1 9.5.1 an MMX write leaves no tag empty, TOP 0", FINE && !empty && !(AREA16(4) & 0x3800));
	for (unsigned traps = 0; traps < 2; traps++) {
		hook[DB] = on_step;
		prepare(x_where, 3);
		in.flags |= traps * TF;
		go();
		hook[DB] = 0;
		CHECK("vol 1 8.1.8 the instruction pointer, with and without single steps", FINE &&
			AREA32(12) == (u32)(ul)xo_at);
	}
	last_instruction();
	run(fsave_it, 3);
	CHECK("vol 2 FNSAVE initializes, FRSTOR restores", FINE && (t.r.dx & 0xffff) == 0 &&
		AREA64(512) == 0x400921fb54442d18 && (t.r.ax & 0x3800) == 0x3800);
	CHECK("vol 2 FNSAVE image: control, status, tag", AREA16(0) == 0x37f && AREA16(4) == 0x3000 && AREA16(8) == 0x0fff);
	asm volatile("fninit");
	/* CR0.NE = 0: FERR through IRQ 13 (vol 1 8.7.2), no #MF */
	outb(0x20, 0x11), outb(0x21, 0x50), outb(0x21, 4), outb(0x21, 1), outb(0x21, 0xfb);
	outb(0xa0, 0x11), outb(0xa1, 0x58), outb(0xa1, 2), outb(0xa1, 1), outb(0xa1, 0xdf);
	WR_CR(0, RD_CR(0) & ~0x20ul);
	for (unsigned k = 0; k < 3; k++) {
		prepare(x_div, k & 1 ? 3 : 0);
		in.flags |= IF;
		go();
		CHECK("vol 1 8.7.2 NE = 0: IRQ 13 at the waiting instruction", t.vec == 0x5d && t.r.ip == (ul)xd_wait);
		outb(0xa0, 0x0b);
		CHECK("IRQ 13 in service", inb(0xa0) == 0x20);
		outb(0xf0, 0);
		asm volatile("fnclex");
		outb(0xa0, 0x20), outb(0x20, 0x20);
	}
	WR_CR(0, RD_CR(0) | 0x20);
	outb(0x21, 0xff), outb(0xa1, 0xff);
}

static void not_available(void)
{
	ul cr0 = RD_CR(0), cr4 = RD_CR(4);
	static const struct { char *code; const char *name; int em, ts, mpts, osfxsr; } list[] = {
		/* vector with EM, with TS, with MP and TS, without OSFXSR; vol 3 table 9-3, 13.1 */
		{ x_plain, "FLD1", NM, NM, NM, END }, { x_wait, "FWAIT", END, END, NM, END }, { x_fninit, "FNINIT", NM, NM,
			NM, END },
		{ x_sse, "ADDPS", UD, NM, NM, UD }, { x_mmxi, "PADDB", UD, NM, NM, END }, { x_ldmxcsr, "LDMXCSR", UD, NM, NM,
			UD },
		{ x_fence, "fences", END, END, END, END },
	};
	mxcsr = 0x1f80;
	for (unsigned k = 0; k < sizeof(list) / sizeof(*list); k++) {
		stage = k;
		WR_CR(0, (cr0 | 4) & ~2ul);
		run(list[k].code, 3);
		check("vol 3 table 9-3 CR0.EM", __FILE__, __LINE__, list[k].name, t.vec == (ul)list[k].em);
		WR_CR(0, (cr0 | 8) & ~2ul);
		run(list[k].code, 3);
		check("vol 3 table 9-3 CR0.TS", __FILE__, __LINE__, list[k].name, t.vec == (ul)list[k].ts);
		WR_CR(0, cr0 | 8 | 2);
		run(list[k].code, 0);
		check("vol 3 table 9-3 CR0.TS and MP", __FILE__, __LINE__, list[k].name, t.vec == (ul)list[k].mpts);
		WR_CR(0, cr0);
		WR_CR(4, cr4 & ~0x200ul);
		run(list[k].code, 3);
		check("vol 3 13.1.3 CR4.OSFXSR = 0", __FILE__, __LINE__, list[k].name, t.vec == (ul)list[k].osfxsr);
		WR_CR(4, cr4);
		run(list[k].code, 3);
		check("vol 3 13.1 available", __FILE__, __LINE__, list[k].name, FINE);
	}
	WR_CR(0, cr0 | 8);
	with(fxs, (ul)area);
	CHECK("vol 2 FXSAVE: #NM", FAULTS(NM, fx_at));
	asm volatile("clts");
}

static void sse(void)
{
	ul cr4 = RD_CR(4);
	mxcsr = 0x1f80;
	run(s_div, 3);
	CHECK("vol 1 11.5.2 masked: flag ZE", FINE && mxcsr == 0x1f84);
	mxcsr = 0x1d80;
	run(s_div, 3);
	CHECK("vol 1 11.5.3 unmasked: #XM, fault", FAULTS(XM, sd_at));
	mxcsr = 0x1f00;
	run(s_cvt, 3);
	CHECK("vol 1 11.5.2.1 invalid: #XM", FAULTS(XM, sv_at));
	mxcsr = 0x1f00;
	one[0] = one[1] = one[2] = one[3] = 0;
	run(s_mem, 3);
	CHECK("vol 1 11.5.3 with a memory operand", FAULTS(XM, sm_at));
	WR_CR(4, cr4 & ~0x400ul);
	mxcsr = 0x1d80;
	run(s_div, 3);
	CHECK("vol 3 2.5 CR4.OSXMMEXCPT = 0: #UD", FAULTS(UD, sd_at));
	WR_CR(4, cr4);
	mxcsr = 0x10000;
	run(x_ldmxcsr, 3);
	CHECK("vol 2 LDMXCSR: reserved bit", FAULTS(GP, xl_at));
	run(s_align, 3);
	CHECK("vol 2 MOVAPS: alignment", FAULTS(GP, sa_at));
	run(s_align_rd, 3);
	CHECK("vol 2 ADDPS: alignment of a memory operand", FAULTS(GP, sr_at));
	mxcsr = 0x1f80;
	run(x_ldmxcsr, 3);
}

static void saves(void)
{
	fill(area, 0xee, sizeof(area));
	run(load_all, 3);
	CHECK("vol 2 FXSAVE, FXRSTOR", FINE && t.r.cx == 0x11111111 && AREA64(512) == 0x400921fb54442d18);
	CHECK("vol 2 FXSAVE image: FCW, FTW abridged, MXCSR", AREA16(0) == 0x37f && area[4] == 0x80 &&
		AREA32(24) == 0x1f80);
	CHECK("vol 2 FXSAVE leaves 464 to 511 alone", area[464] == 0xee && area[511] == 0xee);
	with(fxs, (ul)area + 8);
	CHECK("vol 2 FXSAVE: alignment", FAULTS(GP, fx_at));
	AREA32(24) = 0x80000000;
	with(fxr, (ul)area);
	CHECK("vol 2 FXRSTOR: reserved MXCSR bit", FAULTS(GP, fr_at));
	AREA32(24) = 0x1f80;
	with(fxr, (ul)area);
	CHECK("vol 2 FXRSTOR", FINE);
	with(xsv, (ul)area);
	CHECK("vol 2 XSAVE without CR4.OSXSAVE", FAULTS(UD, xv_at));
	u32 r[4];
	cpuid(1, 0, r);
	if (!(r[2] >> 26 & 1))
		return;
	WR_CR(4, RD_CR(4) | 0x40000);
	asm volatile("xsetbv" :: "c"(0), "a"(3), "d"(0));
	fill(area, 0, sizeof(area));
	prepare(xsv, 3);
	in.di = (ul)area, in.ax = 7;
	go();
	CHECK("vol 1 13.7 XSAVE: XSTATE_BV within XCR0", FINE && !(AREA64(512) & ~3ull));
	prepare(xsv, 3);
	in.di = (ul)area + 32, in.ax = 3;
	go();
	CHECK("vol 1 13.7 XSAVE: 64-byte alignment", FAULTS(GP, xv_at));
	AREA64(512) = 1ull << 20;
	prepare(xrs, 3);
	in.di = (ul)area, in.ax = 3;
	go();
	CHECK("vol 1 13.8 XRSTOR: XSTATE_BV beyond XCR0", FAULTS(GP, xr_at));
	AREA64(512) = 3, AREA64(520) = 1;
	go();
	CHECK("vol 1 13.8 XRSTOR: XCOMP_BV of the standard form", FAULTS(GP, xr_at));
	AREA64(520) = 0, AREA32(24) = 0xffff0000;
	go();
	CHECK("vol 1 13.8 XRSTOR: reserved MXCSR bit", FAULTS(GP, xr_at));
	AREA32(24) = 0x1f80;
	go();
	CHECK("vol 1 13.8 XRSTOR", FINE);
	WR_CR(0, RD_CR(0) | 8);
	go();
	CHECK("vol 1 13.8 XRSTOR: #NM", FAULTS(NM, xr_at));
	asm volatile("clts");
}

void guest_main(void)
{
	x87();
	not_available();
	sse();
	saves();
}
