// SPDX-License-Identifier: GPL-2.0-or-later
/* what: user memory that changes under user code: rights, remapping, large pages, A and D bits, code among data,
 * devices, address spaces by PCID, many slots of 1 TiB, addresses that are nobody's
 *
 * ring3 may map user pages where translated code reaches them unchecked (src/mmu/window.c); nothing of that may show.
 */
#include "guest.h"

SNIPPET(rd, "movb (" DI "), %al");
SNIPPET(rd4, "movl (" DI "), %eax");
SNIPPET(wr, "movb %al, (" DI ")");
SNIPPET(wr4, "movl %eax, (" DI ")");
/* A loop with another register for each access. */
SNIPPET(turn, "1: movb (" SI "), %al\n movb %al, (" DI ")\n incb (" DX ")\n dec %ecx\n jnz 1b");
SNIPPET(push3, "push " AX "\n push " DX "\n push " SI);
SNIPPET(pop3, "pop " AX "\n pop " DX "\n pop " SI);
SNIPPET(poping, "pop " AX "\n pop " DX "\n ret");
SNIPPET(call_it, "call 1f\n1: nop");
SNIPPET(rd_sp, "mov (" SP "), " AX);
SNIPPET(bt_it, "bt " AX ", (" DI ")");
/* DI: a function whose result grows by one each time; SI: data of the same page. */
SNIPPET(patching, "mov $100, %ecx\n1: incb 1(" DI ")\n call *" DI "\n add %eax, %ebx\n incl (" SI ")\n"
	"dec %ecx\n jnz 1b");
#define FINE (t.vec == END)
#define FAULTS(error, at) (t.vec == PF && t.err == (error) && t.cr2 == (ul)(at))
#define WORD sizeof(ul)
enum { A = 0x20, D = 0x40 };
static u8 one[4096] __attribute__((aligned(4096))), two[4096] __attribute__((aligned(4096))),
	three[4096] __attribute__((aligned(4096)));

static void user(const void *code, const void *at, ul ax)
{
	prepare(code, 3);
	in.di = (ul)at;
	in.ax = ax;
	go();
}

static int reads(const void *at, u8 what)
{
	user(rd, at, 0);
	return FINE && (u8)t.r.ax == what;
}

static void rights(void)
{
	one[0] = 1, two[0] = 2;
	map(0, (ul)one, 7);
	CHECK("vol 3 4.8 a read sets A alone", reads(WIN(0), 1) && (*pte(0) & (A | D)) == A);
	user(wr, WIN(0) + 9, 9);
	CHECK("vol 3 4.8 a write sets D", FINE && one[9] == 9 && (*pte(0) & (A | D)) == (A | D));
	*pte(0) &= ~(ul)(A | D);
	invlpg((ul)WIN(0));
	CHECK("vol 3 4.8 D again after a read", reads(WIN(0), 1) && (*pte(0) & (A | D)) == A);
	user(wr, WIN(0) + 9, 8);
	CHECK("vol 3 4.8 D again after a write", FINE && (*pte(0) & (A | D)) == (A | D));
	for (unsigned k = 0; k < 8; k++) {
		stage = k;
		map(0, (ul)(k & 1 ? one : two), 7);
		CHECK("vol 3 4.10.4.1 INVLPG: another page", reads(WIN(0), k & 1 ? 1 : 2));
		*pte(0) = (ul)(k & 1 ? two : one) | 7;
		WR_CR(3, RD_CR(3));
		CHECK("vol 3 4.10.4.1 MOV CR3: another page", reads(WIN(0), k & 1 ? 2 : 1));
		user(wr, WIN(0), k & 1 ? 2 : 1);
		map(0, (ul)one, 5);
		user(wr, WIN(0), 0);
		CHECK("vol 3 4.6 read-only", FAULTS(7, WIN(0)) && t.r.ip == (ul)wr && reads(WIN(0), 1));
		map(0, (ul)one, 3);
		user(rd, WIN(0) + 77, 0);
		CHECK("vol 3 4.6 the supervisor's", FAULTS(5, WIN(0) + 77));
		map(0, (ul)one, 6);
		user(wr, WIN(0) + 4095, 0);
		CHECK("vol 3 4.7 not present", FAULTS(6, WIN(0) + 4095) && t.r.ip == (ul)wr);
	}
}

/* A page for each register of a loop; one of them goes away or becomes read-only between its runs. */
static void loops(void)
{
	fill(one, 1, 4096), fill(two, 2, 4096), fill(three, 3, 4096);
	for (unsigned k = 0; k < 9; k++) {
		map(0, (ul)one, 7), map(1, (ul)two, 7), map(2, (ul)three, 7);
		if (k % 3 == 1)
			map(k / 3, 0, 0);
		if (k % 3 == 2)
			map(k / 3, (ul)three, 5);
		stage = k;
		three[3] = 3;
		prepare(turn, 3);
		in.si = (ul)WIN(0) + 1, in.di = (ul)WIN(1) + 2, in.dx = (ul)WIN(2) + 3, in.cx = 20;
		go();
		if (k % 3 == 0 || k == 2)
			CHECK("vol 3 4.6 a loop over three pages", FINE && three[3] == 23 && (k == 2 || two[2] == 1));
		else
			CHECK("vol 3 4.7 the loop's first turn faults", FAULTS(k % 3 == 1 ? (k == 1 ? 4 : 6) : 7,
				WIN(k / 3) + k / 3 + 1) && t.r.cx == 20 && three[3] == 3);
	}
}

/* The stack leaves page 1 for page 0, which is not there or read-only: registers are those of the instruction. */
static void stacks(void)
{
	for (unsigned ro = 0; ro < 2; ro++) {
		for (unsigned room = 0; room < 3; room++) {
			fill(two, 0x55, 4096);
			map(0, (ul)one, ro ? 5 : 0), map(1, (ul)two, 7);
			stage = ro * 10 + room;
			prepare(push3, 3);
			in.ax = 0x1111, in.dx = 0x2222, in.si = 0x3333;
			in.sp = (ul)WIN(1) + room * WORD;
			go();
			CHECK("vol 3 6.5 a push into a page that may not be written", FAULTS(ro ? 7 : 6, WIN(1) - WORD) &&
				t.r.sp == (ul)WIN(1));
			prepare(call_it, 3);
			in.sp = (ul)WIN(1) + 2;
			go();
			CHECK("vol 3 6.5 a call whose address crosses", t.vec == PF && t.r.ip == (ul)call_it && t.r.sp == in.sp &&
				two[0] == (room ? two[0] : 0x55));
			fill(one, 0, 4096);
			map(0, (ul)one, 7), map(1, 0, 0);
			prepare(room & 1 ? pop3 : poping, 3);
			in.ax = 0x1111, in.dx = 0x2222;
			in.sp = (ul)WIN(1) - room * WORD;
			go();
			CHECK("vol 3 6.5 a pop from a page that is not there", FAULTS(4, WIN(1)) && t.r.sp == (ul)WIN(1) &&
				t.r.ax == (room ? 0 : 0x1111) && t.r.dx == (room == 2 ? 0 : 0x2222));
		}
	}
}

static void code_among_data(void)
{
	for (unsigned k = 0; k < 3; k++) {
		map(0, (ul)one, 7), map(1, (ul)one, 7);
		fill(one, 0, 4096);
		user(wr, WIN(0) + 2000, 1); /* the page is written before there is code */
		copy(one + 64, "\xb8\0\0\0\0\xc3", 6);
		prepare(patching, 3);
		in.di = (ul)WIN(0) + 64;
		in.si = (ul)WIN(k & 1) + 2048;
		go();
		CHECK("vol 3 11.6 user code rewritten among data", FINE && t.r.bx == 100 * 101 / 2 &&
			*(u32 *)(one + 2048) == 100);
	}
}

/* 64-bit entries map 2 MiB, 32-bit ones 4 MiB: the window's directory entry as a large page. */
#ifdef __x86_64__
extern u64 boot_pd[], boot_pml4[];
#define PDE (&boot_pd[WINDOW >> 21])
#define LARGE 0x200000ul
#else
#define PDE ((ul *)(RD_CR(3) & ~4095ul) + (WINDOW >> 22))
#define LARGE 0x400000ul
#endif

static void large(void)
{
	ul small = (ul)*PDE, low = 8 * LARGE;
	for (unsigned k = 0; k < 4; k++) {
		*(volatile u8 *)(low + 5) = 0x11, *(volatile u8 *)(low + LARGE - 1) = 0x22;
		stage = k;
		*PDE = low | 0x87;
		if (k & 1)
			WR_CR(3, RD_CR(3));
		else
			invlpg(WINDOW), invlpg(WINDOW + LARGE - 1);
		CHECK("vol 3 4.10.2.2 a large page where a table was", reads((void *)(WINDOW + 5), 0x11) &&
			reads((void *)(WINDOW + LARGE - 1), 0x22) && (*PDE & (A | D)) == A);
		user(wr, (void *)(WINDOW + LARGE - 1), 0x33);
		CHECK("vol 3 4.8 D of a large page", FINE && (*PDE & (A | D)) == (A | D));
		*PDE = low | 0x85;
		invlpg(WINDOW);
		user(wr, (void *)(WINDOW + LARGE - 1), 0x44);
		CHECK("vol 3 4.6 a large page is read-only", FAULTS(7, WINDOW + LARGE - 1));
		*PDE = small;
		invlpg(WINDOW + 4096);
		map(0, (ul)two, 7);
		two[5] = 0x77;
		CHECK("vol 3 4.10.2.2 a table where a large page was", reads(WIN(0) + 5, 0x77));
	}
}

static void devices(void)
{
	volatile u32 *version = (u32 *)0xfee00030, *priority = (u32 *)0xfee00080;
	u32 is = *version;
	map(0, 0xfee00000, 0x1f);
	for (unsigned k = 0; k < 20; k++) {
		user(rd4, WIN(0) + 0x30, 0);
		CHECK("vol 3 10.4.8 a device's registers read by user code", FINE && (u32)t.r.ax == is);
		user(wr4, WIN(0) + 0x80, k);
		CHECK("vol 3 10.8.3.1 a device's register written by user code", FINE && *priority == k);
	}
	*priority = 0;
	map(0, (ul)one, 7);
	one[0x30] = 0x99;
	CHECK("vol 3 4.10.4.1 RAM where a device was", reads(WIN(0) + 0x30, 0x99));
}

static void globals(void)
{
	WR_CR(4, RD_CR(4) | 0x80);
	one[0] = 1, two[0] = 2;
	map(0, (ul)one, 7 | 0x100);
	CHECK("a global user page", reads(WIN(0), 1));
	map(0, (ul)two, 7 | 0x100);
	CHECK("vol 3 4.10.4.1 INVLPG of a global user page", reads(WIN(0), 2));
	*pte(0) = (ul)one | 7 | 0x100;
	WR_CR(4, RD_CR(4) & ~0x80ul);
	CHECK("vol 3 4.10.4.1 CR4.PGE drops a global user page", reads(WIN(0), 1));
}

#ifdef __x86_64__
#define PCIDE 0x20000ul
#define NOFLUSH (1ull << 63)
extern u64 boot_pdpt[];
enum { SPACES = 10 };
/* Per space: PML4, PDPT, PD of the window's GiB, page table. */
static u64 tables[SPACES][4][512] __attribute__((aligned(4096)));
static u8 of_space[SPACES][4096] __attribute__((aligned(4096)));

static void make_space(unsigned k)
{
	copy(tables[k][0], boot_pml4, 4096), copy(tables[k][1], boot_pdpt, 4096);
	copy(tables[k][2], boot_pd + 3 * 512, 4096);
	tables[k][0][0] = (ul)tables[k][1] | 7;
	tables[k][1][3] = (ul)tables[k][2] | 7;
	tables[k][2][WINDOW >> 21 & 511] = (ul)tables[k][3] | 7;
	tables[k][3][0] = (ul)of_space[k] | 7 | (k & 1 ? 0x100 : 0); /* odd: a global page, which CR4.PGE = 0 ignores */
	of_space[k][0] = (u8)(k + 1);
	copy(of_space[k] + 64, "\xb8\0\0\0\0\xc3", 6); /* mov $n, %eax; ret */
	of_space[k][65] = (u8)(0x80 + k);
}
SNIPPET(call_di, "call *" DI);

static void go_space(unsigned k, u64 keep)
{
	WR_CR(3, (ul)tables[k][0] | (k + 1) | keep);
}

/* Code and data at the same addresses in ten address spaces, by turns. */
static void spaces(void)
{
	u32 r[4];
	cpuid(1, 0, r);
	if (!(r[2] >> 17 & 1))
		return;
	ul home = RD_CR(3);
	for (unsigned k = 0; k < SPACES; k++)
		make_space(k);
	WR_CR(4, RD_CR(4) | PCIDE);
	for (unsigned n = 0; n < 100; n++) {
		unsigned k = n * 7 % (n < 50 ? 3 : SPACES);
		stage = n;
		go_space(k, n < SPACES ? 0 : NOFLUSH);
		CHECK("vol 3 4.10.1 each PCID has its own data", reads(WIN(0), (u8)(k + 1)));
		user(call_di, WIN(0) + 64, 0);
		CHECK("vol 3 4.10.1 each PCID has its own code", FINE && t.r.ax == 0x80 + k);
		user(wr, WIN(0) + 8, n);
		CHECK("vol 3 4.10.1 a write goes to its own page", FINE && of_space[k][8] == n);
	}
	go_space(0, NOFLUSH), CHECK("PCID 1", reads(WIN(0), 1));
	tables[0][3][0] = (ul)of_space[1] | 5;
	go_space(1, NOFLUSH), invlpg((ul)WIN(0)), CHECK("PCID 2", reads(WIN(0), 2));
	go_space(0, 0);
	CHECK("vol 3 4.10.4.1 MOV CR3 without bit 63", reads(WIN(0), 2));
	user(wr, WIN(0), 0);
	CHECK("vol 3 4.10.4.1 MOV CR3 without bit 63: read-only", FAULTS(7, WIN(0)));
	WR_CR(3, home & ~4095ul);
	WR_CR(4, RD_CR(4) & ~PCIDE);
	WR_CR(3, home);
}

/* More slots than windows; then the same low bits under each combination of bits 47 to 63 that is worth a try. */
static void slots(void)
{
	for (unsigned k = 1; k < 256; k += 5)
		boot_pml4[k] = boot_pml4[0];
	for (unsigned turn = 0; turn < 2; turn++) {
		for (unsigned k = 1; k < 256; k += 5) {
			stage = k;
			one[0] = (u8)k;
			map(0, (ul)one, 7);
			CHECK("vol 3 4.5.4 each PML4 entry", reads((u8 *)((u64)k << 39 | WINDOW), (u8)k));
			user(wr, (u8 *)((u64)k << 39 | WINDOW), k + 1);
			CHECK("vol 3 4.5.4 each PML4 entry, write", FINE && one[0] == (u8)(k + 1));
		}
	}
	for (unsigned k = 1; k < 256; k += 5) /* all at once, no flush between */
		CHECK("vol 3 4.5.4 PML4 entries by turns", reads((u8 *)((u64)k << 39 | WINDOW), one[0]));
	for (unsigned high = 1; high < 1u << 17; high += high < 64 || high > 0x1ffc0 ? 1 : high % 64 ? 1009 : 64) {
		for (unsigned slot = 0; slot < 256; slot += 51) {
			u64 at = (u64)high << 47 | (u64)slot << 39 | WINDOW;
			stage = high;
			user(rd, (void *)at, 0);
			if (high == 0x1ffff)
				CHECK("vol 3 4.7 the kernel's half is not there", FAULTS(4, at));
			else
				CHECK("vol 1 3.3.7.1 not canonical", t.vec == GP && t.err == 0 && t.r.ip == (ul)rd);
		}
		prepare(rd_sp, 3);
		in.sp = (u64)high << 47 | WINDOW;
		go();
		CHECK("vol 1 3.3.7.1 a stack that is not canonical", high == 0x1ffff ? t.vec == PF : t.vec == SS && t.err == 0);
	}
	user(bt_it, (void *)0x4000000000000000, (1ul << 63) + 8 * WINDOW);
	CHECK("vol 2 BT a bit offset that leads out of the hole", t.vec == GP);
	boot_pml4[511] = boot_pml4[0];
	boot_pml4[256] = boot_pml4[0] & ~4ull;
	WR_CR(3, RD_CR(3));
	CHECK("vol 3 4.5.4 user pages above the hole", reads((void *)(0xffffff8000000000 | WINDOW), one[0]));
	user(wr, (void *)(0xffff800000000000 | WINDOW), 0);
	CHECK("vol 3 4.6 supervisor pages above the hole", FAULTS(7, 0xffff800000000000 | WINDOW));
	fill(boot_pml4 + 1, 0, 511 * 8);
	WR_CR(3, RD_CR(3));
}
#endif

void guest_main(void)
{
	paging_on();
	rights();
	loops();
	stacks();
	code_among_data();
	large();
	devices();
	globals();
#ifdef __x86_64__
	spaces();
	slots();
#endif
}
