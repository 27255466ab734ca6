// SPDX-License-Identifier: GPL-2.0-or-later
/* what: hot loops whose code changes: remapped by INVLPG and MOV CR3, rewritten, and the same bytes run in 16, 32
 * and 64 bits by turns */
#include "guest.h"

/* DI: a function in the window; SI: its page table entry; EBP and EDX: the entry's two values. Calls it under each
 * by turns. */
#define TURN(value, flush) "mov " value ", (" SI ")\n" flush "\n call *" DI "\n add %eax, %ebx\n"
SNIPPET(by_invlpg, "mov $200, %ecx\n1: " TURN("%ebp", "invlpg (" DI ")") TURN("%edx",
	"invlpg (" DI ")") "dec %ecx\n jnz 1b");
SNIPPET(by_cr3, "mov $200, %ecx\n1: " TURN("%ebp", "mov %cr3, " AX "\n mov " AX ", %cr3") TURN("%edx",
	"mov %cr3, " AX "\n mov " AX ", %cr3")
	"dec %ecx\n jnz 1b");
SNIPPET(patching, "mov $100, %ecx\n1: incb 1(" DI ")\n call *" DI "\n add %eax, %ebx\n dec %ecx\n jnz 1b");
/* Rewritten between runs of an inner loop that is long enough to be chained. */
SNIPPET(inner, "mov $50, %ecx\n1: mov $100, %edx\n2: add $1, %ebx\ninner_imm = . - 1\n dec %edx\n jnz 2b\n"
	" incb (" DI ")\n dec %ecx\n jnz 1b");
extern char inner_imm[];
/* SI: a function that calls DI and then has a result; DI changes it, one time in four: BP is where, DX what. */
SNIPPET(returning, "mov $100, %ecx\n1: call *" SI "\n add %eax, %ebx\n dec %ecx\n jnz 1b\n jmp 2f\n"
	"patch_caller: test $3, %ecx\n jnz 3f\n incb (" WIDE "bp)\n 3: ret\n"
	"remap_caller: test $3, %ecx\n jnz 3f\n xor " DX ", (" WIDE "bp)\n invlpg (" SI ")\n 3: ret\n2:");
extern char patch_caller[], remap_caller[];
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
	/* a flag set before the jump and used behind it: mov $0 or $0xff, %eax; adc $0, %eax; ret */
	near_end[3900] = 0xf9;
	near_end[3901] = 0xe9;
	*(u32 *)(near_end + 3902) = 4096 + 0x900 - 3906;
	function(fa + 0x900, 0), function(fb + 0x900, 0xff);
	copy(fa + 0x905, "\x83\xd0\x00\xc3", 4), copy(fb + 0x905, "\x83\xd0\x00\xc3", 4);
	alternate(by_cr3, WIN(0) + 3900, 1);
}

/* A function's caller changes before it returns. */
static void returned(void)
{
	map(4, (ul)fa, 7);
	copy(fa, "\xff\xd7", 2), copy(fb, "\xff\xd7", 2); /* call *DI */
	function(fa + 2, 0), function(fb + 2, 0x100);
	prepare(returning, 0);
	in.si = (ul)WIN(4);
	in.di = (ul)patch_caller;
	in.bp = (ul)fa + 3;
	go();
	CHECK("vol 3 11.6 a caller patched before the return", t.vec == END && t.r.bx == 4 * (25 * 26 / 2));
	function(fa + 2, 1);
	prepare(returning, 0);
	in.si = (ul)WIN(4);
	in.di = (ul)remap_caller;
	in.bp = (ul)pte(4);
	in.dx = (ul)fa ^ (ul)fb;
	go();
	CHECK("vol 3 4.10.4.1 a caller remapped before the return", t.vec == END && t.r.bx == 52 * 0x100 + 48);
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
	returned();
	rewritten();
	turns();
}
