// SPDX-License-Identifier: GPL-2.0-or-later
/* what: exceptions in 16-bit protected-mode code with 16-bit stacks (32-bit guest) */
#include "guest.h"

/* 16-bit code and stack at CPL 0 and 3. */
enum { CODE0 = 0x100, STACK0 = 0x108, CODE3 = 0x110 | 3, STACK3 = 0x118 | 3, DATA3 = 0x120 | 3 };
static u8 stacks[2][65536] __attribute__((aligned(16)));
#define C(name, code) SNIPPET_BITS(name, "16", code)
C(c_div, "xor %cx, %cx\n div %cx");
C(c_ud, "ud2");
C(c_int3, "int3");
C(c_into, "mov $0x7f, %al\n inc %al\n into");
C(c_bound, "bound %ax, 0");
C(c_int, "int $0x41");
C(c_gp, "mov $0x1f8, %ax\n mov %ax, %es");
C(c_limit, "mov 0xffff, %ax");
C(c_wide, "movl 0xfffd, %eax");
C(c_ss, "mov %ss:0xffff, %ax");
C(c_push, "push %ax");
C(c_pushl, "pushl %eax");
C(c_call, "call 1f\n1: pop %ax");
C(c_ret, "ret");
C(c_iret, "iret");
C(c_iretl, "iretl");
C(c_enter, "enter $16, $0\n leave");
C(c_pusha, "pusha\n popa");
C(c_jump, "jmp 1f + 0x10000 - 0x10000\n1: nop");
C(c_loop, "mov $0x10002, %ecx\n1: loop 1b");
C(c_nop, "nop");
C(c_jno, "jno 1f\n1: nop");
#define FINE (t.vec == END)

static unsigned cpl_now;
static void ready(const void *code, unsigned cpl)
{
	cpl_now = cpl;
	set_desc(CODE0, (u32)(ul)code, 0xffff, 0x009a);
	set_desc(CODE3 & ~7u, (u32)(ul)code, 0xffff, 0x00fa);
	prepare(0, cpl);
	in.ip = 0;
	in.cs = cpl ? CODE3 : CODE0;
	in.ss = cpl ? STACK3 : STACK0;
	in.sp = 0x800;
	in.ds = cpl ? DATA3 : STACK0;
}

static void go16(const void *code, unsigned cpl)
{
	ready(code, cpl);
	go();
}

/* A fault or trap through a 32-bit gate: the frame lies on the 16-bit stack, or on the inner one. IRET to a 16-bit
 * stack loads SP only, the upper half of ESP is what it was (seen on hardware: espfix in Linux exists for it). */
static int at(unsigned vec, ul err, ul ip)
{
	int same = !cpl_now && t.entry_sp == in.sp - 12 - 4 * t.has_err && t.entry_ss == STACK0;
	int inner = cpl_now && t.entry_sp == (ul)stack0_top - 20 - 4 * t.has_err && (u16)t.r.sp == in.sp && t.r.ss == in.ss;

	return t.vec == vec && t.err == err && t.r.ip == ip && t.r.cs == in.cs && (same || inner);
}

static void exceptions(unsigned cpl)
{
	stage = cpl;
	go16(c_div, cpl);
	CHECK("vol 3 6.15 #DE in 16-bit code", at(DE, 0, 2));
	go16(c_ud, cpl);
	CHECK("vol 3 6.15 #UD in 16-bit code", at(UD, 0, 0));
	go16(c_int3, cpl);
	CHECK("vol 3 6.15 #BP in 16-bit code", at(BP, 0, 1));
	go16(c_into, cpl);
	CHECK("vol 3 6.15 #OF in 16-bit code", at(OF, 0, 5));
	ready(c_bound, cpl);
	*(u16 *)stacks[!!cpl] = 2, *(u16 *)(stacks[!!cpl] + 2) = 4;
	in.ax = 5;
	go();
	CHECK("vol 3 6.15 #BR in 16-bit code: word operands", at(BR, 0, 0));
	in.ax = 0x50004;
	go();
	CHECK("vol 2 BOUND: within", FINE);
	set_gate(0x41, stub_of(0x41), KCS, 0xee, 0);
	go16(c_int, cpl);
	CHECK("vol 3 6.12.1 INT n from 16-bit code", at(0x41, 0, 2));
	go16(c_gp, cpl);
	CHECK("vol 3 6.15 #GP(selector) in 16-bit code", at(GP, 0x1f8, 3));
	go16(c_limit, cpl);
	CHECK("vol 3 5.3 #GP(0): a word at FFFFH of a 64 KiB segment", at(GP, 0, 0));
	go16(c_wide, cpl);
	CHECK("vol 3 5.3 #GP(0): a dword at FFFDH", at(GP, 0, 0));
	go16(c_ss, cpl);
	CHECK("vol 3 5.3 #SS(0): a word at FFFFH of the stack", at(SS, 0, 0));
}

static void stack(unsigned cpl)
{
	u8 *s = stacks[!!cpl];
	stage = cpl;
	ready(c_push, cpl);
	in.sp = 0xabcd0800, in.ax = 0x12345678;
	go();
	/* at CPL 0 the harness came here on this stack: SP of ESP counts, the rest stays */
	CHECK("vol 1 6.2.3 16-bit PUSH on a 16-bit stack: SP only", FINE && *(u16 *)(s + 0x7fe) == 0x5678);
	ready(c_pushl, cpl);
	in.ax = 0x12345678;
	go();
	CHECK("vol 1 6.2.3 32-bit PUSH on a 16-bit stack", FINE && *(u32 *)(s + 0x7fc) == 0x12345678);
	ready(c_pushl, cpl);
	in.sp = 2;
	if (cpl) { /* at CPL 0 nothing could be delivered here */
		go();
		CHECK("vol 3 5.3 32-bit PUSH across the wrap of a 16-bit stack: #SS(0)", at(SS, 0, 0));
		ready(c_push, cpl);
		in.sp = 0, in.ax = 0x4321;
		go();
		CHECK("vol 1 6.2.3 16-bit PUSH at 0 wraps to FFFEH", FINE && (u16)t.r.sp == 0xfffe &&
			*(u16 *)(s + 0xfffe) == 0x4321);
	}
	go16(c_call, cpl);
	CHECK("vol 2 CALL: a word", FINE && (u16)t.r.ax == 3);
	ready(c_ret, cpl);
	*(u32 *)(s + 0x800) = 0xdead0001;
	go();
	CHECK("vol 2 RET: IP of 16 bits", FINE && t.r.ip == 3);
	go16(c_enter, cpl);
	CHECK("vol 2 ENTER, LEAVE", FINE);
	go16(c_pusha, cpl);
	CHECK("vol 2 PUSHA, POPA", FINE);
	go16(c_loop, cpl);
	CHECK("vol 2 LOOP: CX in 16-bit code", FINE && t.r.cx == 0x10000);
	go16(c_jump, cpl);
	CHECK("vol 2 JMP: IP of 16 bits", FINE);
}

/* IRET with word and dword frames, to the same and to an outer level. */
static void returns(void)
{
	u16 *w = (u16 *)(stacks[0] + 0x800);
	u32 *d = (u32 *)w;
	for (unsigned cpl = 0; cpl < 4; cpl += 3) {
		stage = cpl;
		ready(c_iret, 0);
		w[0] = (u16)(c_iret_end - c_iret), w[1] = cpl ? CODE3 : CODE0, w[2] = 2 | CF | IF, w[3] = 0x900, w[4] = STACK3;
		go();
		CHECK("vol 2 IRET: word frame", FINE && t.r.cs == (cpl ? (ul)CODE3 : CODE0) && t.r.flags == (2 | CF | IF) &&
			(!cpl || ((u16)t.r.sp == 0x900 && t.r.ss == STACK3)));
		ready(c_iretl, 0);
		d[0] = (u32)(c_iretl_end - c_iretl), d[1] = cpl ? CODE3 : CODE0, d[2] = 2 | ZF | ID, d[3] = 0x900,
			d[4] = STACK3;
		go();
		CHECK("vol 2 IRETD: dword frame", FINE && t.r.cs == (cpl ? (ul)CODE3 : CODE0) &&
			t.r.flags == (2 | ZF | ID) && (!cpl || ((u16)t.r.sp == 0x900 && t.r.ss == STACK3)));
	}
	ready(c_iretl, 0);
	d[0] = 0x10000, d[1] = CODE3, d[2] = 2, d[3] = 0x900, d[4] = STACK3;
	go();
	CHECK("vol 2 IRETD: EIP beyond the limit: #GP(0)", t.vec == GP && t.err == 0);
	ready(c_nop, 3);
	in.ip = 0xffff;
	*(u8 *)(c_nop + 0xffff) = 0x90;
	go();
	CHECK("vol 3 5.3 IP runs beyond the limit: #GP(0)", t.vec == GP && t.err == 0);
	for (unsigned of = 0; of < 2; of++) { /* found by the oracle: the target is what follows */
		ready(c_jno, 0);
		set_desc(CODE0, (u32)(ul)c_jno, 1, 0x009a);
		in.flags |= of * OFL;
		go();
		CHECK("vol 2 Jcc to the next instruction, beyond the limit: the jump's #GP if taken", t.vec == GP && !t.err &&
		      t.r.ip == (of ? 2 : 0));
	}
}

void guest_main(void)
{
	set_desc(STACK0, (u32)(ul)stacks[0], 0xffff, 0x0092);
	set_desc(STACK3 & ~7u, (u32)(ul)stacks[1], 0xffff, 0x00f2);
	set_desc(DATA3 & ~7u, (u32)(ul)stacks[1], 0xffff, 0x00f2);
	for (unsigned cpl = 0; cpl < 4; cpl += 3) {
		exceptions(cpl);
		stack(cpl);
	}
	returns();
}
