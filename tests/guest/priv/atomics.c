// SPDX-License-Identifier: GPL-2.0-or-later
/* what: locked instructions over the ends of lines and pages, their results, accessed and dirty bits, what LOCK may
 * stand before; A20 outside real mode */
#include "guest.h"

SNIPPET(l_add, "lock addl %eax, (" DI ")");
SNIPPET(l_addw, "lock addw %ax, (" DI ")");
SNIPPET(l_sub, "lock subl %eax, (" DI ")");
SNIPPET(l_and, "lock andl %eax, (" DI ")");
SNIPPET(l_or, "lock orl %eax, (" DI ")");
SNIPPET(l_xor, "lock xorl %eax, (" DI ")");
SNIPPET(l_adc, "stc\n lock adcl %eax, (" DI ")");
SNIPPET(l_sbb, "stc\n lock sbbl %eax, (" DI ")");
SNIPPET(l_inc, "lock incl (" DI ")");
SNIPPET(l_dec, "lock decl (" DI ")");
SNIPPET(l_neg, "lock negl (" DI ")");
SNIPPET(l_not, "lock notl (" DI ")");
SNIPPET(l_xadd, "lock xaddl %eax, (" DI ")");
SNIPPET(l_xchg, "xchgl %eax, (" DI ")");
SNIPPET(l_bts, "lock btsl $31, (" DI ")");
SNIPPET(l_btr, "lock btrl $31, (" DI ")");
SNIPPET(l_btc, "lock btcl $31, (" DI ")");
SNIPPET(l_cmpxchg, "mov %eax, %ecx\n mov $0x89abcdef, %eax\n lock cmpxchgl %ecx, (" DI ")");
SNIPPET(l_cmpxchg_no, "mov %eax, %ecx\n mov $0x11223344, %eax\n lock cmpxchgl %ecx, (" DI ")");
SNIPPET(l_cx8, "mov $0x89abcdef, %eax\n mov $0x01234567, %edx\n mov $0x55555555, %ebx\n mov $0x66666666, %ecx\n"
	" lock cmpxchg8b (" DI ")");
SNIPPET(l_cx8_no, "mov $1, %eax\n mov $2, %edx\n lock cmpxchg8b (" DI ")");
SNIPPET(l_mov, "lm_at: .byte 0xf0; mov %eax, (" DI ")");
SNIPPET(l_load, "ll_at: .byte 0xf0; add (" DI "), %eax");
SNIPPET(l_reg, "lr_at: .byte 0xf0; add %eax, %ecx");
SNIPPET(l_cmp, "lc_at: .byte 0xf0; cmp %eax, (" DI ")");
SNIPPET(l_bt, "lb_at: .byte 0xf0; bt %eax, (" DI ")");
SNIPPET(l_shl, "ls_at: .byte 0xf0; shll $1, (" DI ")");
SNIPPET(l_nop, "ln_at: .byte 0xf0, 0x90");
SNIPPET(l_jmp, "lj_at: .byte 0xf0, 0xeb, 0");
#ifdef __x86_64__
SNIPPET(l_addq, "lock addq %rax, (%rdi)");
SNIPPET(l_cx16, "lx_at: lock cmpxchg16b (%rdi)");
extern char lx_at[];
#endif
#ifndef __x86_64__
/* The keyboard controller's gate and port 92H are ORed. What runs with A20 shut lies below 1 MiB and uses no stack. */
#define KBC(v) "7: in $0x64, %al\n test $2, %al\n jnz 7b\n mov $" v ", %al\n out %al, $0x64\n"
#define SHUT KBC("0xdd") "8: in $0x64, %al\n test $2, %al\n jnz 8b\n in $0x92, %al\n and $0xfc, %al\n out %al, $0x92\n"
#define OPEN "in $0x92, %al\n or $2, %al\n out %al, $0x92\n" KBC("0xdf")
SNIPPET(a20_data, SHUT "movl (%ebx), %ecx\n movl %edx, (%ebx)\n movl %esi, (%edi)\n" OPEN);
/* Jumps a megabyte up, where this same code is while the gate is shut, and back. */
SNIPPET(a20_code, SHUT "lea 1f - a20_code + 0x108000, %ecx\n jmp *%ecx\n1: lea 2f - a20_code + 0x8000, %ecx\n"
	" mov $0x1234, %edx\n jmp *%ecx\n2:" OPEN);
#endif
extern char lm_at[], ll_at[], lr_at[], lc_at[], lb_at[], ls_at[], ln_at[], lj_at[];
#define FINE (t.vec == END)
#define A 0x20
#define D 0x40
#define START 0x0123456789abcdefull
static u8 page0[4096] __attribute__((aligned(4096))), between[4096] __attribute__((aligned(4096))),
	page1[4096] __attribute__((aligned(4096)));

static void put(ul at, u64 v)
{
	for (unsigned k = 0; k < 8; k++)
		*(volatile u8 *)(at + k) = (u8)(v >> 8 * k);
}

static u64 get(ul at)
{
	u64 v = 0;
	for (unsigned k = 8; k--;)
		v = v << 8 | *(volatile u8 *)(at + k);
	return v;
}

/* Operand EAX = 0x10203040 on START; size tells which bytes are touched. */
struct op { char *code; const char *name; unsigned size; u64 want; u32 eax; int zf; };
#define LOW(v) ((START & ~0xffffffffull) | (u32)(v))
#define V 0x89abcdefu
#define X 0x10203040u
#define OP(name, size, want, eax) { name, #name, size, want, eax, -1 }
static const struct op ops[] = {
	OP(l_add, 4, LOW(V + X), X), OP(l_addw, 2, (START & ~0xffffull) | (u16)(V + X), X), OP(l_sub, 4, LOW(V - X), X),
		OP(l_and, 4, LOW(V & X), X),
	OP(l_or, 4, LOW(V | X), X), OP(l_xor, 4, LOW(V ^ X), X), OP(l_adc, 4, LOW(V + X + 1), X),
		OP(l_sbb, 4, LOW(V - X - 1), X),
	OP(l_inc, 4, LOW(V + 1), X), OP(l_dec, 4, LOW(V - 1), X), OP(l_neg, 4, LOW(-V), X), OP(l_not, 4, LOW(~V), X),
		OP(l_xadd, 4, LOW(V + X), V),
	OP(l_xchg, 4, LOW(X), V), OP(l_bts, 4, START, X), OP(l_btr, 4, LOW(V & 0x7fffffff), X),
		OP(l_btc, 4, LOW(V ^ 0x80000000), X),
	{ l_cmpxchg, "l_cmpxchg", 4, LOW(X), V, 1 }, { l_cmpxchg_no, "l_cmpxchg_no", 4, START, V, 0 },
	{ l_cx8, "l_cx8", 8, 0x6666666655555555, V, 1 }, { l_cx8_no, "l_cx8_no", 8, START, V, 0 },
#ifdef __x86_64__
	OP(l_addq, 8, START + X, X),
#endif
};

static void one(const struct op *o, ul at, unsigned cpl, const char *sdm)
{
	put(at, START);
	prepare(o->code, cpl);
	in.di = at;
	in.ax = X;
	go();
	check(sdm, __FILE__, __LINE__, o->name, FINE && get(at) == o->want && (u32)t.r.ax == o->eax &&
		(o->zf < 0 || !(t.r.flags & ZF) == !o->zf));
}

static void fresh(u64 flags0, u64 flags1)
{
	map(0, (ul)page0, flags0);
	map(1, (ul)page1, flags1);
}

static void crossing(void)
{
	for (unsigned k = 0; k < sizeof(ops) / sizeof(*ops); k++) {
		for (unsigned back = 0; back <= 8; back++) {
			for (unsigned cpl = 0; cpl < 4; cpl += 3) {
				stage = back << 4 | cpl;
				fresh(7, 7);
				one(&ops[k], (ul)WIN(0) + 64 - back, cpl, "vol 3 8.1.2.2 over the end of a line");
				one(&ops[k], (ul)WIN(1) - back, cpl, "vol 3 8.1.2.2 over the end of a page, to another that is not "
					"behind it");
			}
		}
		for (unsigned back = 1; back < ops[k].size; back++) {
			fresh(7, 7);
			put((ul)WIN(1) - back, START);
			fresh(7, 7);
			prepare(ops[k].code, 3);
			in.di = (ul)WIN(1) - back, in.ax = X;
			go();
			check("vol 3 4.8 A and D of both pages, also when CMPXCHG does not store", __FILE__, __LINE__, ops[k].name,
			      FINE && (*pte(0) & (A | D)) == (A | D) && (*pte(1) & (A | D)) == (A | D));
			fresh(7, 5);
			prepare(ops[k].code, 3);
			in.di = (ul)WIN(1) - back, in.ax = X;
			go();
			check("vol 3 4.7 second page read-only: #PF as a write, D of the first page clear", __FILE__, __LINE__,
				ops[k].name,
			      t.vec == PF && t.err == 7 && t.cr2 == (ul)WIN(1) && !(*pte(1) & D) &&
				(u32)t.r.ax == (ops[k].code == l_cmpxchg || ops[k].code == l_cx8 ? V :
			      ops[k].code == l_cmpxchg_no ? 0x11223344 : ops[k].code == l_cx8_no ? 1 : X));
		}
	}
	fill(between, 0x77, 4096);
}

static void alignment(void)
{
	WR_CR(0, RD_CR(0) | 0x40000);
	fresh(7, 7);
	for (unsigned k = 0; k < sizeof(ops) / sizeof(*ops); k++) {
		put((ul)WIN(0) + 61, START);
		prepare(ops[k].code, 3);
		in.di = (ul)WIN(0) + 61, in.ax = X;
		in.flags |= ACF;
		go();
		check("vol 3 6.15 #AC", __FILE__, __LINE__, ops[k].name, t.vec == AC && t.err == 0 &&
			get((ul)WIN(0) + 61) == START);
	}
	WR_CR(0, RD_CR(0) & ~0x40000ul);
#ifdef __x86_64__
	for (unsigned off = 0; off < 16; off++) {
		prepare(l_cx16, 3);
		in.di = (ul)WIN(0) + 64 + off;
		go();
		CHECK("vol 2 CMPXCHG16B: #GP(0) unless aligned to 16", off ? t.vec == GP && t.err == 0 &&
			t.r.ip == (ul)lx_at : FINE);
	}
#endif
}

static void forbidden(void)
{
	static const struct { char *code, *at; const char *name; } list[] = {
		{ l_mov, lm_at, "MOV" }, { l_load, ll_at, "ADD from memory" }, { l_reg, lr_at, "ADD to a register" },
			{ l_cmp, lc_at, "CMP" },
		{ l_bt, lb_at, "BT" }, { l_shl, ls_at, "SHL" }, { l_nop, ln_at, "NOP" }, { l_jmp, lj_at, "JMP" },
	};
	for (unsigned k = 0; k < sizeof(list) / sizeof(*list); k++) {
		put((ul)WIN(0), START);
		prepare(list[k].code, 3);
		in.di = (ul)WIN(0);
		go();
		check("vol 2 LOCK: #UD before what may not have it", __FILE__, __LINE__, list[k].name, t.vec == UD &&
			t.r.ip == (ul)list[k].at && get((ul)WIN(0)) == START);
	}
}

#ifndef __x86_64__
static u8 *low(ul at)
{
	asm("" : "+r"(at));
	return (u8 *)at;
}

/* Without paging, for the page tables would be masked as well. */
static void a20(void)
{
	volatile u32 *high = (u32 *)low(0x1300000), *masked = (u32 *)low(0x1200000);
	for (unsigned k = 0; k < 3; k++) {
		*high = 0xaaaa, *masked = 0xbbbb, masked[1] = 0;
		copy(low(0x8000), a20_data, 128);
		prepare(low(0x8000), 0);
		in.bx = (ul)high, in.dx = 0xcccc, in.di = (ul)(masked + 1), in.si = 0xeeee;
		go();
		CHECK("A20 shut in protected mode: bit 20 of every address is 0: loads", FINE && t.r.cx == 0xbbbb);
		CHECK("A20 shut in protected mode: stores; even megabytes are as ever", *high == 0xaaaa &&
			*masked == 0xcccc && masked[1] == 0xeeee);
		copy(low(0x8000), a20_code, 128);
		run(low(0x8000), 0);
		CHECK("A20 shut: fetches too", FINE && t.r.dx == 0x1234);
	}
}
#endif

void guest_main(void)
{
#ifndef __x86_64__
	a20();
#endif
	paging_on();
	crossing();
	alignment();
	forbidden();
}
