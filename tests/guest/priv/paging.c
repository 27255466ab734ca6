// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the permission matrix of paging in every mode, A and D bits, error codes, reserved bits, and what may be
 * stale */
#include "guest.h"

#define P 1
#define RW 2
#define US 4
#define A 0x20
#define D 0x40
#define PS 0x80
#define G 0x100
#define NX (1ull << 63)
#define CR0_WP 0x10000
#define CR4_SMEP 0x100000
#define CR4_SMAP 0x200000
SNIPPET(p_read, "pr_at: movb (" DI "), %al");
SNIPPET(p_write, "pw_at: movb %al, (" DI ")");
SNIPPET(p_exec, "pe_at: call *" DI "\npe_back: nop");
SNIPPET(p_rmw, "prmw_at: lock incb (" DI ")");
#ifndef __x86_64__
SNIPPET(cr3_load, "mov %cr3, %eax\ncr3_at: mov %eax, %cr3");
extern char cr3_at[];
#endif
SNIPPET(p_stack, "push " AX);
extern char pr_at[], pw_at[], pe_at[], prmw_at[];

static u8 target[4096] __attribute__((aligned(4096))), other[4096] __attribute__((aligned(4096)));
static int smep, smap, nx;
static int wide;             /* 8-byte entries */
static u64 table[512] __attribute__((aligned(4096)));
static void *pde;
static u8 *large;           /* the entries of large pages */

static u64 get(const void *e)
{
	return wide ? *(const volatile u64 *)e : *(const volatile u32 *)e;
}

static void set(void *e, u64 v)
{
	if (wide)
		*(volatile u64 *)e = v;
	else
		*(volatile u32 *)e = (u32)v;
}

#ifdef __x86_64__
extern u64 boot_pd[], boot_pml4[];
static void mode_on(void)
{
	wide = 1;
	pde = &boot_pd[WINDOW >> 21];
	large = (u8 *)boot_pd;
	WR_CR(3, boot_pml4);
}
#else
static u32 pd2[1024] __attribute__((aligned(4096)));
static u64 pdpt[4] __attribute__((aligned(32))), pd3[4][512] __attribute__((aligned(4096)));

static void mode_on(void)
{
	WR_CR(0, RD_CR(0) & ~0x80000000ul);
	for (unsigned k = 0; k < 1024; k++)
		pd2[k] = k << 22 | 0xe7;
	for (unsigned k = 0; k < 2048; k++)
		pd3[k >> 9][k & 511] = (u64)k << 21 | 0xe7;
	for (unsigned k = 0; k < 4; k++)
		pdpt[k] = (ul)pd3[k] | P;
	pde = wide ? (void *)&pd3[3][0] : (void *)&pd2[WINDOW >> 22];
	large = wide ? (u8 *)pd3 : (u8 *)pd2;
	WR_CR(4, (RD_CR(4) & ~0x20ul) | 0x10 | (wide ? 0x20 : 0));
	WR_CR(3, wide ? (ul)pdpt : (ul)pd2);
	WR_CR(0, RD_CR(0) | 0x80000000);
}
#endif

static void entries(u64 d, u64 t0)
{
	set(pde, (ul)table | d);
	set(table, (ul)target | t0);
	invlpg(WINDOW);
}

static void touch(const void *code, unsigned cpl, unsigned ac)
{
	prepare(code, cpl);
	in.di = WINDOW;
	in.ax = 0xc3;
	in.flags |= ac ? ACF : 0;
	go();
}

enum { READ, WRITE, EXEC };
static char *const codes[] = { p_read, p_write, p_exec };

static void one(u64 d, u64 e, unsigned cpl, unsigned kind, unsigned ac)
{
	ul cr0 = RD_CR(0), cr4 = RD_CR(4);
	int user = d & US && e & US, rw = d & RW && e & RW, noexec = (d | e) >> 63;
	int ok = cpl ? user : 1;
	if (kind == WRITE && !rw && (cpl || cr0 & CR0_WP))
		ok = 0;
	if (kind == EXEC && (noexec || (!cpl && user && cr4 & CR4_SMEP)))
		ok = 0;
	if (kind != EXEC && !cpl && user && cr4 & CR4_SMAP && !ac)
		ok = 0;
	int present = d & P && e & P;
	ul fetch = kind == EXEC && ((wide && nx) || cr4 & CR4_SMEP) ? 16 : 0;
	entries(d, e);
	target[0] = 0xc3;
	touch(codes[kind], cpl, ac);
	ok = ok && present;
	if (ok) {
		CHECK("vol 3 4.6 access allowed", t.vec == END);
		CHECK("vol 3 4.8 A set", get(table) & A && get(pde) & A);
		CHECK("vol 3 4.8 D set by writes only", !(get(table) & D) == (kind != WRITE));
	} else {
		CHECK("vol 3 4.6, 4.7 #PF with its error code", t.vec == PF &&
			t.err == (ul)(present | (kind == WRITE) << 1 | (cpl ? 4 : 0)) + fetch);
		CHECK("vol 3 4.7 CR2, IP", t.cr2 == WINDOW && t.r.ip == (kind == EXEC ? WINDOW : (ul)codes[kind]));
		CHECK("vol 3 4.8 D not set by a fault", !(get(table) & D));
	}
}

/* The harness's own pages: the supervisor's while SMEP or SMAP are on, so that it can run; then nothing runs at CPL
 * 3. */
static void set_large(int user)
{
	unsigned n = wide ? 2048 : 1024, size = wide ? 8 : 4;
	for (unsigned k = 0; k < n; k++) {
		u8 *e = large + k * size;
		if (*e & PS)
			*e = user ? *e | US : *e & ~US;
	}
	WR_CR(3, RD_CR(3));
}

static void matrix(void)
{
	ul cr0 = RD_CR(0), cr4 = RD_CR(4);
	for (unsigned wp = 0; wp < 2; wp++) {
		for (unsigned features = 0; features < 4; features++) {
			if ((features & 1 && !smep) || (features & 2 && !smap))
				continue;
			WR_CR(4, cr4);
			set_large(!features);
			WR_CR(0, wp ? cr0 | CR0_WP : cr0 & ~(ul)CR0_WP);
			WR_CR(4, cr4 | (features & 1 ? CR4_SMEP : 0) | (features & 2 ? CR4_SMAP : 0));
			for (unsigned bits = 0; bits < 64; bits++) {
				u64 d = bits & 7, e = bits >> 3;
				for (unsigned x = 0; x < (wide && nx ? 4u : 1u); x++) {
					if (x && (bits & 9) != 9)
						continue;
					for (unsigned kind = 0; kind < 3; kind++) {
						for (unsigned ac = 0; ac < (features & 2 ? 2u : 1u); ac++) {
							stage = wp << 20 | features << 16 | bits << 8 | x << 4 | kind;
							one(d | (x & 1 ? NX : 0), e | (x & 2 ? NX : 0), 0, kind, ac);
							if (!features)
								one(d | (x & 1 ? NX : 0), e | (x & 2 ? NX : 0), 3, kind, ac);
						}
					}
				}
			}
		}
	}
	WR_CR(4, cr4);
	WR_CR(0, cr0);
	set_large(1);
}

static void reserved(void)
{
	u32 r[4];
	cpuid(0x80000008, 0, r);
	unsigned width = r[0] & 0xff;
	if (!wide) {
		return;
	}
	for (unsigned bit = width; bit < 52; bit++) {
		stage = bit;
		entries(7, 7 | 1ull << bit);
		touch(p_read, 0, 0);
		CHECK("vol 3 4.7 reserved bit in a PTE", t.vec == PF && t.err == 9 && t.cr2 == WINDOW);
		entries(7 | 1ull << bit, 7);
		touch(p_write, 3, 0);
		CHECK("vol 3 4.7 reserved bit in a PDE", t.vec == PF && t.err == 15);
		entries(7, 6 | 1ull << bit);
		touch(p_read, 0, 0);
		CHECK("vol 3 4.7 not present: other bits ignored", t.vec == PF && t.err == 0);
	}
	if (!nx) {
		entries(7, 7 | NX);
		touch(p_read, 0, 0);
		CHECK("vol 3 4.1.1 NX reserved while EFER.NXE = 0", t.vec == PF && t.err == 9);
	}
	for (unsigned bit = 13; bit < 21; bit++) {
		set(pde, ((ul)target & ~0x1ffffful) | 0x87 | 1u << bit);
		invlpg(WINDOW);
		touch(p_read, 0, 0);
		CHECK("vol 3 table 4-18 reserved bits of a large page", t.vec == PF && t.err == 9);
	}
}

/* Code in a large page, behind which another frame comes: INVLPG of any of its addresses is enough. */
static void large_code(void)
{
	enum { FRAME = 16 << 20, AT = 0x5000 };
	for (unsigned k = 0; k < 6; k++) {
		ul frame = FRAME + (k & 1) * FRAME;
		u8 *code = (u8 *)frame + AT;
		code[0] = 0xb0, code[1] = (u8)(1 + (k & 1)), code[2] = 0xc3; /* mov al, 1 or 2; ret */
		set(pde, frame | 0x87);
		invlpg(WINDOW + (k < 4 ? 0x123000 : AT));
		for (unsigned j = 0; j < 3; j++) {
			prepare(p_exec, 3);
			in.di = WINDOW + AT;
			go();
			CHECK("vol 3 4.10.4.1 INVLPG of a large page's other address: code", t.vec == END &&
				(u8)t.r.ax == 1 + (k & 1));
		}
	}
}

static void stale(void)
{
	target[0] = 0x11, other[0] = 0x22;
	entries(7, 0);
	touch(p_read, 3, 0);
	CHECK("vol 3 4.10.2.3 not present", t.vec == PF);
	set(table, (ul)target | 7);
	touch(p_read, 3, 0);
	CHECK("vol 3 4.10.2.3 non-present entries are never cached: no INVLPG needed", t.vec == END && (u8)t.r.ax == 0x11);
	set(table, (ul)other | 7);
	invlpg(WINDOW + 0xfff);
	touch(p_read, 3, 0);
	CHECK("vol 3 4.10.4.1 INVLPG: any address of the page", t.vec == END && (u8)t.r.ax == 0x22);
	set(table, (ul)target | 7);
	WR_CR(3, RD_CR(3));
	touch(p_read, 3, 0);
	CHECK("vol 3 4.10.4.1 MOV CR3", t.vec == END && (u8)t.r.ax == 0x11);
	WR_CR(4, RD_CR(4) | 0x80);
	entries(7, 7 | G);
	touch(p_read, 3, 0);
	set(table, (ul)other | 7 | G);
	invlpg(WINDOW);
	touch(p_read, 3, 0);
	CHECK("vol 3 4.10.4.1 INVLPG drops global pages", (u8)t.r.ax == 0x22);
	set(table, (ul)target | 7 | G);
	WR_CR(4, RD_CR(4) & ~0x80ul);
	touch(p_read, 3, 0);
	CHECK("vol 3 4.10.4.1 CR4.PGE drops all", (u8)t.r.ax == 0x11);
	/* A and D again after they are cleared and flushed; D at the first write though a read came first */
	entries(7, 7);
	touch(p_read, 0, 0);
	CHECK("vol 3 4.8", (get(table) & (A | D)) == A);
	touch(p_write, 0, 0);
	CHECK("vol 3 4.8 D with the read translation cached", (get(table) & (A | D)) == (A | D));
	set(table, (ul)target | 7);
	invlpg(WINDOW);
	touch(p_rmw, 3, 0);
	CHECK("vol 3 4.8 read-modify-write", (get(table) & (A | D)) == (A | D));
	entries(7, 5);
	touch(p_rmw, 3, 0);
	CHECK("vol 3 4.7 read-modify-write faults as a write", t.vec == PF && t.err == 7);
	/* permission taken away */
	entries(7, 7);
	touch(p_write, 3, 0);
	set(table, (ul)target | 5);
	invlpg(WINDOW);
	touch(p_write, 3, 0);
	CHECK("vol 3 4.10.4.1 write permission gone after INVLPG", t.vec == PF && t.err == 7);
	/* CR0.WP changes at once */
	WR_CR(0, RD_CR(0) | CR0_WP);
	touch(p_write, 0, 0);
	CHECK("vol 3 2.5 WP on", t.vec == PF && t.err == 3);
	WR_CR(0, RD_CR(0) & ~(ul)CR0_WP);
	touch(p_write, 0, 0);
	CHECK("vol 3 2.5 WP off", t.vec == END);
	/* a large page where small ones were */
	set(pde, ((ul)target & (wide ? ~0x1ffffful : ~0x3ffffful)) | 0x87);
	invlpg(WINDOW);
	touch(p_read, 3, 0);
	CHECK("vol 3 4.10.2.2 large page", t.vec == END && get(pde) & A && !(get(pde) & D));
	/* a page fault's two halves: an access over the end of a present page */
	entries(7, 7);
	set(wide ? (u8 *)table + 8 : (u8 *)table + 4, 0);
	invlpg(WINDOW + 4096);
	prepare(p_stack, 3);
	in.sp = WINDOW + 4096 + 1;
	go();
	CHECK("vol 3 4.7 CR2 of an access over two pages: the one that faults", t.vec == PF && t.cr2 == WINDOW + 4096 &&
		t.err == 6 && t.r.sp == WINDOW + 4097);
}

#ifdef __x86_64__
static u64 pml4b[512] __attribute__((aligned(4096))), pdptb[512] __attribute__((aligned(4096))),
	pdb[512] __attribute__((aligned(4096))), ptb[512] __attribute__((aligned(4096)));
extern u64 boot_pdpt[];

static u8 at_window(void)
{
	return *(volatile u8 *)WINDOW;
}

static void invpcid(ul type, ul pcid, ul at)
{
	struct { u64 pcid, at; } d = { pcid, at };
	asm volatile("invpcid %0, %1" :: "m"(d), "r"(type) : "memory");
}

static void pcids(void)
{
	u32 r[4];
	cpuid(1, 0, r);
	if (!(r[2] >> 17 & 1))
		return;
	entries(7, 7);
	target[0] = 0x11, other[0] = 0x22;
	copy(pml4b, boot_pml4, 4096);
	copy(pdptb, boot_pdpt, 4096);
	copy(pdb, boot_pd + 3 * 512, 4096);
	pml4b[0] = (ul)pdptb | 7, pdptb[3] = (ul)pdb | 7, pdb[0] = (ul)ptb | 7, ptb[0] = (ul)other | 7;
	WR_CR(4, RD_CR(4) | 0x20000);
	WR_CR(3, (ul)boot_pml4 | 1);
	CHECK("vol 3 4.10.1 PCID 1", at_window() == 0x11);
	WR_CR(3, (ul)pml4b | 2);
	CHECK("vol 3 4.10.1 PCID 2", at_window() == 0x22);
	WR_CR(3, (ul)boot_pml4 | 1 | 1ull << 63);
	CHECK("vol 3 4.10.4.1 back without a flush", at_window() == 0x11);
	WR_CR(3, (ul)pml4b | 2 | 1ull << 63);
	CHECK("vol 3 4.10.4.1 and again", at_window() == 0x22);
	ptb[0] = (ul)target | 7;
	WR_CR(3, (ul)pml4b | 2);
	CHECK("vol 3 4.10.4.1 MOV CR3 with bit 63 clear flushes its PCID", at_window() == 0x11);
	ptb[0] = (ul)other | 7;
	invlpg(WINDOW);
	CHECK("vol 3 4.10.4.1 INVLPG, current PCID", at_window() == 0x22);
	/* change PCID 2's page while PCID 1 is current, and invalidate in each of the ways that reach it */
	cpuid(7, 0, r);
	for (unsigned type = 0; type < 4 && r[1] >> 10 & 1; type++) {
		WR_CR(3, (ul)pml4b | 2 | 1ull << 63);
		at_window();
		WR_CR(3, (ul)boot_pml4 | 1 | 1ull << 63);
		at_window();
		ptb[0] = (type & 1 ? (ul)other : (ul)target) | 7;
		invpcid(type, type < 2 ? 2 : 0, WINDOW);
		WR_CR(3, (ul)pml4b | 2 | 1ull << 63);
		stage = type;
		CHECK("vol 2 INVPCID reaches another PCID", at_window() == (type & 1 ? 0x22 : 0x11));
	}
	CHECK("vol 2 MOV CR: bit 63 reads 0", RD_CR(3) == ((ul)pml4b | 2));
	WR_CR(3, boot_pml4);
	WR_CR(4, RD_CR(4) & ~0x20000ul);
}

static void top_levels(void)
{
	copy(pml4b, boot_pml4, 4096);
	copy(pdptb, boot_pdpt, 4096);
	pml4b[0] = (ul)pdptb | 7;
	entries(7, 7);
	WR_CR(3, pml4b);
	pml4b[1] = (ul)pdptb | 7 | PS;
	prepare(p_read, 0);
	in.di = WINDOW + (1ull << 39);
	go();
	CHECK("vol 3 table 4-15 PS reserved in a PML4E", t.vec == PF && t.err == 9);
	pml4b[1] = (ul)pdptb | 3;
	touch(p_read, 3, 0);
	prepare(p_read, 3);
	in.di = WINDOW + (1ull << 39);
	go();
	CHECK("vol 3 4.6 U/S of every level counts: PML4E", t.vec == PF && t.err == 5);
	pml4b[1] = (ul)pdptb | 5;
	invlpg(WINDOW + (1ull << 39));
	prepare(p_write, 3);
	in.di = WINDOW + (1ull << 39);
	go();
	CHECK("vol 3 4.6 R/W of every level counts: PML4E", t.vec == PF && t.err == 7);
	pdptb[3] &= ~4ull;
	WR_CR(3, pml4b);
	touch(p_read, 3, 0);
	CHECK("vol 3 4.6 PDPTE", t.vec == PF && t.err == 5);
	CHECK("vol 3 4.8 A in every level", pml4b[0] & A && pdptb[0] & A);
	WR_CR(3, boot_pml4);
}
#else
static void pae_loads(void)
{
	/* PDPTEs are loaded by MOV CR3 and checked then (vol 3 4.4.1) */
	u64 old = pdpt[2];
	pdpt[2] = old | 2;
	run(cr3_load, 0);
	CHECK("vol 3 4.4.1 reserved bit in a PDPTE: #GP at MOV CR3", t.vec == GP && t.err == 0 && t.r.ip == (ul)cr3_at);
	pdpt[2] = old;
	run(cr3_load, 0);
	CHECK("vol 3 4.4.1", t.vec == END);
	u64 old3 = pdpt[3];
	entries(7, 7);
	pdpt[3] = 0;
	touch(p_read, 0, 0);
	CHECK("vol 3 4.4.1 PDPTEs are registers: memory is not looked at before the next MOV CR3", t.vec == END);
	WR_CR(3, RD_CR(3));
	touch(p_read, 0, 0);
	CHECK("vol 3 4.4.1 PDPTE not present", t.vec == PF && t.err == 0);
	pdpt[3] = old3;
	WR_CR(3, RD_CR(3));
}
#endif

static void features(void)
{
	u32 r[4];
	cpuid(7, 0, r);
	smep = r[1] >> 7 & 1;
	smap = r[1] >> 20 & 1;
}

void guest_main(void)
{
	u32 r[4];
	features();
	cpuid(0x80000001, 0, r);
#ifdef __x86_64__
	mode_on();
	WR_CR(0, RD_CR(0) & ~(ul)CR0_WP);
	reserved();
	matrix();
	if (r[3] >> 20 & 1) {
		wrmsr(0xc0000080, rdmsr(0xc0000080) | 1 << 11);
		nx = 1;
		matrix();
	}
	stale();
	large_code();
	top_levels();
	pcids();
#else
	int has_nx = r[3] >> 20 & 1;
	mode_on();
	matrix();
	stale();
	large_code();
	wide = 1;
	mode_on();
	reserved();
	matrix();
	stale();
	large_code();
	pae_loads();
	if (has_nx) {
		wrmsr(0xc0000080, rdmsr(0xc0000080) | 1 << 11);
		nx = 1;
		matrix();
	}
#endif
}
