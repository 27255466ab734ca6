// SPDX-License-Identifier: GPL-2.0-or-later
/* what: hot loops whose code changes: remapped by INVLPG and MOV CR3, rewritten, and the same bytes run in 16, 32
 * and 64 bits by turns */
#include "guest.h"

#ifdef __x86_64__
#define DI "%rdi"
#define SI "%rsi"
#define AREG "%rax"
#else
#define DI "%edi"
#define SI "%esi"
#define AREG "%eax"
#endif
/* DI: a function in the window; SI: its page table entry; EBP and EDX: the entry's two values. Calls it under each
 * by turns. */
#define TURN(value, flush) "mov " value ", (" SI ")\n" flush "\n call *" DI "\n add %eax, %ebx\n"
SNIPPET(by_invlpg, "mov $200, %ecx\n1: " TURN("%ebp", "invlpg (" DI ")") TURN("%edx",
	"invlpg (" DI ")") "dec %ecx\n jnz 1b");
SNIPPET(by_cr3, "mov $200, %ecx\n1: " TURN("%ebp", "mov %cr3, " AREG "\n mov " AREG ", %cr3") TURN("%edx",
	"mov %cr3, " AREG "\n mov " AREG ", %cr3")
	"dec %ecx\n jnz 1b");
SNIPPET(patching, "mov $100, %ecx\n1: incb 1(" DI ")\n call *" DI "\n add %eax, %ebx\n dec %ecx\n jnz 1b");
/* Rewritten between runs of an inner loop that is long enough to be chained. */
SNIPPET(inner, "mov $50, %ecx\n1: mov $100, %edx\n2: add $1, %ebx\ninner_imm = . - 1\n dec %edx\n jnz 2b\n"
	" incb (" DI ")\n dec %ecx\n jnz 1b");
extern char inner_imm[];
asm(".pushsection .text\nbytes: .byte 0x40, 0xb8, 1, 0, 0x90, 0x90, 0x90, 0xcd, 0x40\n.popsection");
extern u8 bytes[];
static u8 fa[4096] __attribute__((aligned(4096))), fb[4096] __attribute__((aligned(4096))),
	near_end[4096] __attribute__((aligned(4096)));

static void function(u8 *p, u32 result)
{
	*p++ = 0xb8;
	copy(p, &result, 4);
	p[4] = 0xc3;
}

static void alternate(const void *code, u8 *entry, unsigned page)
{
	prepare(code, 0);
	in.di = (ul)entry;
	in.si = (ul)pte(page);
	in.bp = (ul)fa | 7, in.dx = (ul)fb | 7;
	go();
	CHECK("vol 3 4.10.4.1 each call finds the code mapped now", t.vec == END && t.r.bx == 200 * 0x101);
}

static void remapped(void)
{
	function(fa, 1), function(fb, 0x100);
	function(fa + 0x800, 1), function(fb + 0x800, 0x100);
	map(0, (ul)near_end, 7), map(1, (ul)fa, 7), map(2, (ul)fa, 7);
	for (unsigned k = 0; k < 2; k++) {
		alternate(by_invlpg, WIN(2), 2);
		alternate(by_cr3, WIN(2), 2);
		alternate(by_invlpg, WIN(2) + 0x800, 2);
	}
	/* through a jump from the page before, and by falling over the page's end */
	near_end[4000] = 0xe9;
	*(u32 *)(near_end + 4001) = 4096 - 4005;
	fill(near_end + 4090, 0x90, 6);
	alternate(by_cr3, WIN(0) + 4000, 1);
	alternate(by_cr3, WIN(0) + 4090, 1);
}

static void rewritten(void)
{
	function(fa, 0);
	prepare(patching, 0);
	in.di = (ul)fa;
	go();
	CHECK("vol 3 11.6 a callee patched before each call", t.vec == END && t.r.bx == 100 * 101 / 2);
	map(3, (ul)fa, 7);
	function(fa, 0);
	prepare(inner, 0);
	in.di = (ul)inner_imm;
	go();
	CHECK("vol 3 11.6 a hot inner loop patched by the outer one", t.vec == END && t.r.bx == 100 * (50 * 51 / 2));
}

static void turns(void)
{
	set_desc(FREE, (u32)(ul)bytes, 0xffff, 0x009a);
	set_desc(FREE + 8, (u32)(ul)bytes, 0xffff, 0x409a);
	for (unsigned k = 0; k < 6; k++) {
		prepare(bytes, 0);
		in.cs = KCS32;
		go();
		CHECK("vol 3 3.4.5 32-bit code", t.vec == END && (u32)t.r.ax == 0x90900001);
		prepare(0, 0);
		in.cs = FREE;
		in.ax = 0x55550000;
		go();
		CHECK("vol 3 3.4.5 16-bit code", t.vec == END && (u32)t.r.ax == 0x55550001 && t.r.ip == 9);
		prepare(0, 0);
		in.cs = FREE + 8;
		go();
		CHECK("vol 3 3.4.5 32-bit code with a base", t.vec == END && (u32)t.r.ax == 0x90900001 && t.r.ip == 9);
		run(bytes, k & 1 ? 3 : 0);
		CHECK("vol 1 3.2.1 the guest's own width", t.vec == END && (u32)t.r.ax == 0x90900001);
	}
}

void guest_main(void)
{
	paging_on();
	remapped();
	rewritten();
	turns();
}
