// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what INVLPG, INVPCID, MOV CR3 and MOV CR4 must drop: aliases, large pages, structure caches, globals, other
 * PCIDs; and their #GP rules */
#include "guest.h"

SNIPPET(inv, "inv_at: invpcid (" DI "), " AX);
SNIPPET(inv_reg, "invr_at: .byte 0x66, 0x0f, 0x38, 0x82, 0xc0");
SNIPPET(inv_lock, "invl_at: .byte 0xf0, 0x66, 0x0f, 0x38, 0x82, 0x07");
SNIPPET(inv_no66, "invn_at: .byte 0x0f, 0x38, 0x82, 0x07");
SNIPPET(invlpg_it, "il_at: invlpg (" DI ")");
SNIPPET(cr3_it, "c3_at: mov " AX ", %cr3");
SNIPPET(cr4_it, "c4_at: mov " AX ", %cr4");
SNIPPET(cr0_it, "c0_at: mov " AX ", %cr0");
extern char inv_at[], invr_at[], invl_at[], invn_at[], il_at[], c3_at[], c4_at[], c0_at[];
#define FAULTS(v, at) (t.vec == (v) && t.err == 0 && t.r.ip == (ul)(at))
#define FINE (t.vec == END)
#define PCIDE 0x20000ul
#define PGE 0x80ul
#define NOFLUSH (1ull << 63)
static u8 one[4096] __attribute__((aligned(4096))), two[4096] __attribute__((aligned(4096)));
static struct { u64 pcid, at; } __attribute__((aligned(16))) desc;

static u8 peek(ul at)
{
	return *(volatile u8 *)at;
}

static void code(const void *what, ul ax, unsigned cpl)
{
	prepare(what, cpl);
	in.ax = ax;
	in.di = (ul)&desc;
	go();
}

/* One page at two addresses: each entry is dropped by INVLPG of its own address. */
static void aliases(void)
{
	for (unsigned k = 0; k < 4; k++) {
		map(0, (ul)one, 7), map(1, (ul)one, 7);
		CHECK("two addresses of one page", peek((ul)WIN(0)) == 1 && peek((ul)WIN(1)) == 1);
		*(volatile u8 *)WIN(k & 1) = 5;
		CHECK("vol 3 4.10 a store through one is seen through the other", peek((ul)WIN(~k & 1)) == 5 && one[0] == 5);
		one[0] = 1;
		*pte(0) = (ul)two | 7, *pte(1) = (ul)two | 7;
		invlpg((ul)WIN(0) + k * 1000);
		CHECK("vol 3 4.10.4.1 INVLPG of one alias", peek((ul)WIN(0)) == 2);
		invlpg((ul)WIN(1));
		CHECK("vol 3 4.10.4.1 INVLPG of the other", peek((ul)WIN(1)) == 2);
		*pte(0) = (ul)one | 5;
		invlpg((ul)WIN(0));
		*(volatile u8 *)WIN(1) = 2;
		CHECK("vol 3 4.6 one alias read-only, the other not", peek((ul)WIN(0)) == 1 && two[0] == 2);
	}
}

/* 64-bit and PAE entries map 2 MiB, the others 4 MiB: the window's directory entry as a large page. */
#ifdef __x86_64__
extern u64 boot_pd[], boot_pml4[], boot_pdpt[];
#define PDE (&boot_pd[WINDOW >> 21])
#define LARGE 0x200000ul
#else
#define PDE ((ul *)(RD_CR(3) & ~4095ul) + (WINDOW >> 22))
#define LARGE 0x400000ul
#endif

static void large(void)
{
	ul small = (ul)*PDE;
	ul big = LARGE, low = 8 * LARGE, other = 9 * LARGE; /* RAM that nothing else uses */
	for (unsigned k = 0; k < 8; k++)
		*(volatile u8 *)(low + k * (big / 8) + 7) = 0x11, *(volatile u8 *)(other + k * (big / 8) + 7) = 0x22;
	for (unsigned turn = 0; turn < 8; turn++) {
		*PDE = (turn & 1 ? other : low) | 0x87;
		invlpg(WINDOW + turn * (big / 8));
		unsigned good = 0;
		for (unsigned k = 0; k < 8; k++)
			good += peek(WINDOW + k * (big / 8) + 7) == (turn & 1 ? 0x22 : 0x11);
		stage = turn;
		CHECK("vol 3 4.10.4.1 INVLPG of any address drops the whole large page", good == 8);
	}
	*PDE = small; /* from a large page to a table */
	invlpg(WINDOW + 4096);
	map(0, (ul)one, 7);
	CHECK("vol 3 4.10.2.2 a table where a large page was", peek((ul)WIN(0)) == 1);
	/* the structure caches: another table behind the same entry, addresses never touched before */
	static ul table[512 * 8 / sizeof(ul)] __attribute__((aligned(4096)));
	map(40, (ul)one, 7);
	table[41] = (ul)two | 7, table[40] = (ul)two | 7;
	peek((ul)WIN(40));
	*PDE = (ul)table | 7;
	invlpg((ul)WIN(40));
	CHECK("vol 3 4.10.4.1 INVLPG drops structure-cache entries of every address", peek((ul)WIN(40)) == 2 &&
		peek((ul)WIN(41)) == 2);
	*PDE = small;
	WR_CR(3, RD_CR(3));
	/* another size of page by MOV CR3 */
	*PDE = low | 0x87;
	WR_CR(3, RD_CR(3));
	CHECK("vol 3 4.10.4.1 MOV CR3", peek(WINDOW + 7) == 0x11);
	*PDE = small;
	WR_CR(3, RD_CR(3));
}

static void globals(void)
{
	WR_CR(4, RD_CR(4) | PGE);
	map(0, (ul)one, 7 | 0x100), map(1, (ul)one, 7);
	peek((ul)WIN(0)), peek((ul)WIN(1));
	*pte(0) = (ul)two | 7 | 0x100, *pte(1) = (ul)two | 7;
	WR_CR(3, RD_CR(3));
	CHECK("vol 3 4.10.4.1 MOV CR3 drops what is not global", peek((ul)WIN(1)) == 2);
	WR_CR(4, RD_CR(4) ^ PGE);
	CHECK("vol 3 4.10.4.1 a change of CR4.PGE drops all, off", peek((ul)WIN(0)) == 2);
	WR_CR(4, RD_CR(4) | PGE);
	map(0, (ul)one, 7 | 0x100);
	peek((ul)WIN(0));
	*pte(0) = (ul)two | 7 | 0x100;
	invlpg((ul)WIN(0) + 4095);
	CHECK("vol 3 4.10.4.1 INVLPG: global pages too", peek((ul)WIN(0)) == 2);
	WR_CR(4, RD_CR(4) & ~PGE);
}

static void refuses(void)
{
	u32 r[4];
	cpuid(7, 0, r);
	int there = r[1] >> 10 & 1;
	desc.pcid = 0, desc.at = WINDOW;
	if (!there) {
		code(inv, 0, 0);
		CHECK("vol 2 INVPCID: #UD without the feature", FAULTS(UD, inv_at));
		return;
	}
	for (unsigned type = 0; type < 4; type++) {
		stage = type;
		code(inv, type, 0);
		CHECK("vol 2 INVPCID", FINE);
		code(inv, type, 3);
		CHECK("vol 2 INVPCID: CPL 3", FAULTS(GP, inv_at));
		desc.pcid = 1;
		code(inv, type, 0);
		CHECK("vol 2 INVPCID: types 0 and 1 with CR4.PCIDE = 0: PCID must be 0", type < 2 ? FAULTS(GP, inv_at) : FINE);
		for (unsigned bit = 12; bit < 64; bit += 3) {
			desc.pcid = 1ull << bit;
			code(inv, type, 0);
			CHECK("vol 2 INVPCID: bits 63:12 of the descriptor must be 0", FAULTS(GP, inv_at));
		}
		desc.pcid = 0;
	}
	for (unsigned bit = 2; bit < 8 * sizeof(ul); bit++) {
		stage = bit;
		code(inv, 1ul << bit | 1, 0);
		CHECK("vol 2 INVPCID: type above 3", FAULTS(GP, inv_at));
	}
	code(inv_reg, 0, 0);
	CHECK("vol 2 INVPCID: register operand", FAULTS(UD, invr_at));
	code(inv_lock, 0, 0);
	CHECK("vol 2 INVPCID: LOCK", FAULTS(UD, invl_at));
	code(inv_no66, 0, 0);
	CHECK("vol 2 INVPCID: needs 66H", FAULTS(UD, invn_at));
	map(2, 0, 0);
	prepare(inv, 0);
	in.di = (ul)WIN(2);
	go();
	CHECK("vol 2 INVPCID: the descriptor's page is missing", t.vec == PF && t.cr2 == (ul)WIN(2) && t.err == 0);
	prepare(invlpg_it, 3);
	in.di = WINDOW;
	go();
	CHECK("vol 2 INVLPG: CPL 3", FAULTS(GP, il_at));
	prepare(invlpg_it, 0);
	in.di = (ul)WIN(2);
	go();
	CHECK("vol 2 INVLPG: of a page that is not there: no fault", FINE);
#ifdef __x86_64__
	desc.at = 0x800000000000;
	code(inv, 0, 0);
	CHECK("vol 2 INVPCID: type 0, non-canonical address", FAULTS(GP, inv_at));
	code(inv, 1, 0);
	CHECK("vol 2 INVPCID: type 1 does not look at it", FINE);
	prepare(invlpg_it, 0);
	in.di = 0x800000000000;
	go();
	CHECK("vol 2 INVLPG: non-canonical: no operation", FINE);
	desc.at = WINDOW;
	prepare(inv, 0);
	in.di = 0x7ffffffffff8;
	go();
	CHECK("vol 2 INVPCID: descriptor over the end of canonical addresses", t.vec == GP || t.vec == PF);
#endif
}

#ifdef __x86_64__
static u64 pml4b[512] __attribute__((aligned(4096))), pdptb[512] __attribute__((aligned(4096))),
	pdb[512] __attribute__((aligned(4096))), ptb[512] __attribute__((aligned(4096)));
#define A_IS(v) (peek((ul)WIN(0)) == (v))
#define G_IS(v) (peek((ul)WIN(1)) == (v))

static void to_one(u64 how)
{
	WR_CR(3, (ul)boot_pml4 | 1 | how);
}

static void to_two(u64 how)
{
	WR_CR(3, (ul)pml4b | 2 | how);
}

static void entries_two(const u8 *page)
{
	ptb[0] = (ul)page | 7;
	ptb[1] = (ul)page | 7 | 0x100;
}

/* Space 2's page changes while space 1 is current. */
static void change_from_one(const u8 *page)
{
	to_two(NOFLUSH);
	peek((ul)WIN(0));
	to_one(NOFLUSH);
	entries_two(page);
}

static void spaces(void)
{
	u32 r[4];
	cpuid(1, 0, r);
	if (!(r[2] >> 17 & 1)) {
		code(cr4_it, RD_CR(4) | PCIDE, 0);
		CHECK("vol 3 2.5 CR4.PCIDE without the feature", FAULTS(GP, c4_at));
		return;
	}
	map(0, (ul)one, 7), map(1, (ul)one, 7);
	code(cr3_it, RD_CR(3) | NOFLUSH, 0);
	CHECK("vol 2 MOV CR3: bit 63 with CR4.PCIDE = 0", FAULTS(GP, c3_at));
	copy(pml4b, boot_pml4, 4096), copy(pdptb, boot_pdpt, 4096), copy(pdb, boot_pd + 3 * 512, 4096);
	pml4b[0] = (ul)pdptb | 7, pdptb[3] = (ul)pdb | 7, pdb[0] = (ul)ptb | 7;
	entries_two(two);
	WR_CR(4, RD_CR(4) | PCIDE);
	CHECK("vol 3 2.5 CR4.PCIDE reads 1; CR3's low bits are a PCID, not PWT and PCD", RD_CR(4) & PCIDE);
	WR_CR(3, (ul)boot_pml4 | 0x18);
	CHECK("vol 3 4.10.1 PCID 18H", RD_CR(3) == ((ul)boot_pml4 | 0x18));
	code(cr0_it, RD_CR(0) & ~0x80000000ul, 0);
	CHECK("vol 2 MOV CR0: PG off while CR4.PCIDE = 1", FAULTS(GP, c0_at));
	to_one(0), peek((ul)WIN(0));
	to_two(0);
	CHECK("vol 3 4.10.1 each PCID its own", A_IS(2));
	to_one(NOFLUSH);
	CHECK("vol 3 4.10.1 each PCID its own", A_IS(1));
	/* two roots, one PCID: MOV CR3 without bit 63 drops what the PCID had */
	WR_CR(3, (ul)pml4b | 1);
	CHECK("vol 3 4.10.4.1 another root with the same PCID, flushed", A_IS(2));
	to_one(0);
	CHECK("vol 3 4.10.4.1 and back", A_IS(1));
	/* INVLPG: the current PCID and globals */
	to_two(NOFLUSH), peek((ul)WIN(0));
	ptb[0] = (ul)one | 7;
	invlpg((ul)WIN(0));
	CHECK("vol 3 4.10.4.1 INVLPG: the current PCID", A_IS(1));
	entries_two(two);
	to_two(0);
	to_one(NOFLUSH);
	desc.pcid = 2, desc.at = (ul)WIN(0);
	static const u8 *const pages[] = { one, two };
	for (unsigned k = 0; k < 8; k++) {
		unsigned type = k & 3;
		stage = k;
		change_from_one(pages[k & 1]);
		code(inv, type, 0);
		CHECK("vol 2 INVPCID", FINE);
		CHECK("vol 2 INVPCID: the current space goes on", A_IS(1));
		to_two(NOFLUSH);
		CHECK("vol 2 INVPCID reaches the space that is not current", A_IS((k & 1) + 1));
	}
}

static void shared(void)
{
	/* globals: types 0 and 1 keep them, 3 may keep them, 2 drops them */
	WR_CR(4, RD_CR(4) | PGE);
	entries_two(two);
	to_two(0);
	CHECK("a global page of space 2", G_IS(2));
	ptb[1] = (ul)one | 7 | 0x100;
	code(inv, 2, 0);
	CHECK("vol 2 INVPCID type 2: globals too", G_IS(1));
	ptb[1] = (ul)two | 7 | 0x100;
	invlpg((ul)WIN(1));
	CHECK("vol 3 4.10.4.1 INVLPG: globals of any PCID", G_IS(2));
	ptb[1] = (ul)one | 7 | 0x100;
	WR_CR(4, RD_CR(4) & ~PGE);
	CHECK("vol 3 4.10.4.1 CR4.PGE: all PCIDs, globals", G_IS(1));
	/* a global page is seen with every PCID until dropped */
	WR_CR(4, RD_CR(4) | PGE);
	*pte(1) = (ul)one | 7 | 0x100, ptb[1] = (ul)two | 7;
	to_one(0), invlpg((ul)WIN(1));
	to_two(0), invlpg((ul)WIN(1));
	CHECK("vol 3 4.10.2.4 not global in this space, dropped: its own", G_IS(2));
	WR_CR(4, RD_CR(4) & ~PGE);
	/* 4096 spaces, more than any table has room for */
	unsigned good = 0;
	for (unsigned k = 3; k < 4096; k += 13) {
		WR_CR(3, (k & 1 ? (ul)pml4b : (ul)boot_pml4) | k);
		peek((ul)WIN(0));
	}
	for (unsigned k = 3; k < 4096; k += 13) {
		WR_CR(3, (k & 1 ? (ul)pml4b : (ul)boot_pml4) | k | NOFLUSH);
		good += A_IS(k & 1 ? 2 : 1);
	}
	CHECK("vol 3 4.10.1 hundreds of PCIDs, each finds its own page", good == 315);
	/* leaving: PCIDE off drops all of it and needs nothing of CR3 */
	to_two(NOFLUSH), peek((ul)WIN(0));
	entries_two(one);
	WR_CR(4, RD_CR(4) & ~PCIDE);
	CHECK("vol 3 4.10.4.1 CR4.PCIDE 1 to 0 drops all", A_IS(1));
	code(cr4_it, RD_CR(4) | PCIDE, 0);
	CHECK("vol 2 MOV CR4: PCIDE with CR3[11:0] not 0", FAULTS(GP, c4_at));
	WR_CR(3, boot_pml4);
}

/* --- what many PCIDs keep, as data and as code --- */

#define LAST 20 /* PCIDs from 2 on have space 2's tables */
#define PLACE 5 /* window page with one of three pages of code there: mov eax, 1..3; ret */
static u8 page_of_code[3][4096] __attribute__((aligned(4096)));

static void write_code(volatile u8 *at, u8 result)
{
	static const u8 text[6] = { 0xb8, 0, 0, 0, 0, 0xc3 };
	for (unsigned k = 0; k < sizeof(text); k++)
		at[k] = k == 1 ? result : text[k];
}

static void place(unsigned which, u64 flags)
{
	ptb[PLACE] = (ul)page_of_code[which - 1] | 7 | flags;
}

static void to(unsigned pcid, u64 how)
{
	WR_CR(3, (ul)pml4b | pcid | how);
}

/* What PLACE gives, read and called: 1, 2, 3, or 0 if the two differ. */
static unsigned what(void)
{
	unsigned read = peek((ul)WIN(PLACE) + 1), called = ((unsigned (*)(void))WIN(PLACE))();
	return read == called ? read : 0;
}

/* All PCIDs to last have entries for `before`; then the table says `after`, and space 1 is current. */
static void old_and_new(unsigned last, unsigned before, unsigned after)
{
	place(before, 0);
	for (unsigned pcid = 2; pcid <= last; pcid++)
		to(pcid, 0), what();
	to_one(NOFLUSH);
	place(after, 0);
}

static void by_type(void)
{
	for (unsigned k = 0; k < 16; k++) {
		unsigned type = k & 3, named = 2 + k % 3, before = 1 + k % 3, after = 1 + (k + 1) % 3;
		stage = k;
		old_and_new(4, before, after);
		desc.pcid = named, desc.at = (ul)WIN(PLACE) + 123;
		code(inv, type, 0);
		for (unsigned pcid = 4; pcid >= 2; pcid--) {
			to(pcid, NOFLUSH);
			unsigned now = what();
			if (type >= 2 || pcid == named)
				CHECK("vol 2 INVPCID: what each type drops of three PCIDs", now == after);
			else /* read and call may differ: each may be kept or not */
				CHECK("vol 2 INVPCID: the others' may stay, no third appears", now == after || now == before || !now);
			to(pcid, 0);
			CHECK("vol 3 4.10.4.1 MOV CR3 without bit 63: the PCID's are gone", what() == after);
		}
	}
	to_one(0);
}

static void without_bit63(void)
{
	unsigned good = 0;
	old_and_new(LAST, 1, 2);
	for (unsigned pcid = 2; pcid <= LAST; pcid++)
		to(pcid, 0), good += what() == 2;
	CHECK("vol 3 4.10.4.1 MOV CR3 without bit 63, each of 19 PCIDs", good == LAST - 1);
	for (unsigned type = 2; type < 4; type++) {
		old_and_new(LAST, 2, 3);
		code(inv, type, 0);
		for (unsigned pcid = 2; pcid <= LAST; pcid++)
			to(pcid, NOFLUSH), good += what() == 3;
		CHECK("vol 2 INVPCID types 2 and 3: each of 19 PCIDs", good == (LAST - 1) * type);
	}
	/* only the one that is loaded: the others must still be told */
	old_and_new(6, 3, 1);
	to(4, 0);
	CHECK("vol 3 4.10.4.1 MOV CR3 without bit 63", what() == 1);
	for (unsigned pcid = 2; pcid <= 6; pcid++) {
		to_one(NOFLUSH);
		desc.pcid = pcid;
		code(inv, 1, 0);
		to(pcid, NOFLUSH);
		CHECK("vol 2 INVPCID type 1, one PCID after the other", what() == 1);
	}
	/* dropped, filled again, left and met again */
	for (unsigned k = 0; k < 6; k++) {
		to(2, k & 1 ? NOFLUSH : 0), what();
		place(1 + k % 3, 0);
		invlpg((ul)WIN(PLACE));
		to(3, NOFLUSH);
		to(2, NOFLUSH);
		CHECK("vol 3 4.10.4.1 what INVLPG dropped is not back with its PCID", what() == 1 + k % 3);
	}
	to_one(0);
}

static void pcide_off_and_on(void)
{
	old_and_new(9, 1, 2);
	WR_CR(3, boot_pml4);
	WR_CR(4, RD_CR(4) & ~PCIDE);
	WR_CR(3, pml4b);
	CHECK("vol 3 4.10.4.1 CR4.PCIDE 1 to 0 drops all", what() == 2);
	place(3, 0);
	WR_CR(3, pml4b);
	CHECK("vol 3 4.10.4.1 MOV CR3 with CR4.PCIDE = 0", what() == 3);
	WR_CR(4, RD_CR(4) | PCIDE);
	unsigned good = 0;
	for (unsigned pcid = 9; pcid >= 2; pcid--)
		to(pcid, NOFLUSH), good += what() == 3;
	CHECK("vol 3 4.10.4.1 nor does any PCID have its old ones when it is 1 again", good == 8);
	to_one(0);
}

/* A page that one PCID has written to becomes code of another: later writes through the first one's entry change it. */
static void written_and_run(void)
{
	map(PLACE, (ul)page_of_code[0], 7);
	for (unsigned k = 0; k < 6; k++) {
		u8 result = (u8)(10 + k);
		stage = k;
		place(1, 0);
		to_one(k ? NOFLUSH : 0);
		write_code(WIN(PLACE), result);
		to(2, k ? NOFLUSH : 0);
		CHECK("vol 3 8.1.3 code written under another PCID", what() == result);
		to_one(NOFLUSH);
		WIN(PLACE)[1] = (u8)(result + 50);
		CHECK("vol 3 8.1.3 seen by the writer", what() == result + 50u);
		to(2, NOFLUSH);
		CHECK("vol 3 8.1.3 and by the other one, where it was translated before", what() == result + 50u);
	}
	write_code(page_of_code[0], 1);
}

static void across(void)
{
	WR_CR(4, RD_CR(4) | PGE);
	for (unsigned k = 0; k < 3; k++) { /* a global page, dropped under another PCID */
		stage = k;
		place(1, 0x100);
		to(2, 0), invlpg((ul)WIN(PLACE));
		CHECK("a global page", what() == 1);
		to(3, NOFLUSH);
		CHECK("vol 3 4.10.2.4 global: the same with another PCID", what() == 1);
		place(2, 0x100);
		if (k == 0)
			invlpg((ul)WIN(PLACE));
		else if (k == 1)
			code(inv, 2, 0);
		else
			WR_CR(4, RD_CR(4) & ~PGE);
		WR_CR(4, RD_CR(4) | PGE);
		CHECK("vol 3 4.10.4.1 global pages dropped", what() == 2);
		to(2, NOFLUSH);
		CHECK("vol 3 4.10.4.1 and with the PCID that saw it first", what() == 2);
	}
	WR_CR(4, RD_CR(4) & ~PGE);
	/* a large page: another PCID's entries for it go with its own flush */
	u64 small = pdb[0];
	ul low = 8 * LARGE;
	for (unsigned k = 0; k < 4; k++) {
		stage = k;
		*(volatile u8 *)(low + PLACE * 4096) = 0x33;
		pdb[0] = low | 0x87;
		to(3, 0);
		CHECK("vol 3 4.10.2.2 a large page", peek((ul)WIN(PLACE)) == 0x33);
		to_one(NOFLUSH);
		pdb[0] = small;
		desc.pcid = 3;
		if (k < 2)
			code(inv, 1 + 2 * (k & 1), 0);
		to(3, k < 2 ? NOFLUSH : 0);
		CHECK("vol 3 4.10.4.1 a table where another PCID's large page was", what() == 2);
	}
	to_one(0);
}

static void kept(void)
{
	for (unsigned k = 0; k < 3; k++)
		write_code(page_of_code[k], (u8)(k + 1));
	WR_CR(4, RD_CR(4) | PCIDE);
	to_one(0);
	by_type();
	without_bit63();
	pcide_off_and_on();
	written_and_run();
	across();
	WR_CR(3, boot_pml4);
	WR_CR(4, RD_CR(4) & ~PCIDE);
}
#else
static void shared(void)
{
}

static void kept(void)
{
}

static void spaces(void)
{
	code(cr4_it, RD_CR(4) | PCIDE, 0);
	CHECK("vol 2 MOV CR4: PCIDE outside long mode", FAULTS(GP, c4_at));
}
#endif

void guest_main(void)
{
	paging_on();
	fill(one, 1, 4096), fill(two, 2, 4096);
	aliases();
	large();
	globals();
	refuses();
	spaces();
	if (RD_CR(4) & PCIDE) {
		shared();
		kept();
	}
}
