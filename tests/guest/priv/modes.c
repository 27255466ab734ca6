// SPDX-License-Identifier: GPL-2.0-or-later
/* what: from 32-bit mode (32-bit guest): what CR0, CR4 and EFER take, PDPTE checks, into long mode and back without
 * a reset, LMSW */
#include "guest.h"

SNIPPET(cr0_it, "c0_at: mov %eax, %cr0");
SNIPPET(cr4_it, "c4_at: mov %eax, %cr4");
SNIPPET(cr3_it, "mov %eax, %cr3");
SNIPPET(wrmsr_it, "wm_at: wrmsr");
SNIPPET(lmsw_it, "lmsw %ax\n mov %cr0, %ecx");
SNIPPET(mod_cr, "mc_at: .byte 0x0f, 0x20, 0x01"); /* MOV ECX, CR0 with mod = 00 */
/* PAE, CR3, LME, PG: compatibility mode; 64-bit code; PG off: protected mode. ESI: page tables, EDI: where to note. */
SNIPPET(there_and_back, "mov %cr4, %eax\n mov %eax, %ebp\n or $0x20, %eax\n mov %eax, %cr4\n mov %esi, %cr3\n"
	" mov $0xc0000080, %ecx\n rdmsr\n mov %eax, (%edi)\n or $0x100, %eax\n wrmsr\n rdmsr\n mov %eax, 4(%edi)\n"
	" mov %cr0, %eax\n or $0x80000000, %eax\n mov %eax, %cr0\n mov $0xc0000080, %ecx\n rdmsr\n mov %eax, 8(%edi)\n"
	" mov $-1, %eax\n inc %eax\n mov %eax, 12(%edi)\n ljmp $0x100, $1f\n"
	".code64\n1: mov $0x123456789abcdef0, %r8\n push %r8\n pop %rbx\n shr $32, %rbx\n mov %ebx, 16(%rdi)\n"
		" ljmp *48(%rdi)\n"
	".code32\n.globl back_to_32\nback_to_32: mov %cr0, %eax\n and $0x7fffffff, %eax\n mov %eax, %cr0\n"
		" mov $0xc0000080, %ecx\n rdmsr\n mov %eax, 32(%edi)\n"
	" and $~0x100, %eax\n wrmsr\n rdmsr\n mov %eax, 36(%edi)\n mov %ebp, %cr4\n mov %esp, %edx\n");
extern char back_to_32[], c0_at[], c4_at[], wm_at[], mc_at[];
#define FAULTS(at) (t.vec == GP && t.err == 0 && t.r.ip == (ul)(at))
#define FINE (t.vec == END)
#define EFER 0xc0000080
static u64 pml4[512] __attribute__((aligned(4096))), pdpt[512] __attribute__((aligned(4096))),
	pd4[2048] __attribute__((aligned(4096)));
static u64 pdpte[4] __attribute__((aligned(32))), pds[2048] __attribute__((aligned(4096)));
static u32 pd32[1024] __attribute__((aligned(4096)));
static volatile u32 noted[16];

static int put(const void *code, const void *at, u32 v)
{
	prepare(code, 0);
	in.ax = v;
	go();
	stage = v;
	return FINE ? 1 : FAULTS(at) ? 0 : -1;
}
#define CR0(v) put(cr0_it, c0_at, v)
#define CR4(v) put(cr4_it, c4_at, v)

static int msr(u32 n, u64 v)
{
	prepare(wrmsr_it, 0);
	in.cx = n, in.ax = (u32)v, in.dx = (u32)(v >> 32);
	go();
	return FINE ? 1 : FAULTS(wm_at) ? 0 : -1;
}

static u32 feature(u32 leaf, unsigned reg, unsigned bit)
{
	u32 r[4];
	cpuid(leaf, 0, r);
	return r[reg] >> bit & 1;
}

/* Each bit of CR4 can be set if and only if CPUID offers it (vol 3 2.5). */
static void cr4_bits(void)
{
	static const struct { u32 bit, leaf, reg, feature; const char *name; } rows[] = {
		{ 0, 1, 3, 1, "VME" }, { 1, 1, 3, 1, "PVI" }, { 2, 1, 3, 4, "TSD" }, { 3, 1, 3, 2, "DE" },
			{ 4, 1, 3, 3, "PSE" }, { 5, 1, 3, 6, "PAE" },
		{ 6, 1, 3, 7, "MCE" }, { 7, 1, 3, 13, "PGE" }, { 9, 1, 3, 24, "OSFXSR" }, { 10, 1, 3, 25, "OSXMMEXCPT" },
			{ 11, 7, 2, 2, "UMIP" },
		{ 12, 7, 2, 16, "LA57" }, { 13, 1, 2, 5, "VMXE" }, { 14, 1, 2, 6, "SMXE" }, { 16, 7, 1, 0, "FSGSBASE" },
			{ 18, 1, 2, 26, "OSXSAVE" },
		{ 20, 7, 1, 7, "SMEP" }, { 21, 7, 1, 20, "SMAP" }, { 22, 7, 2, 3, "PKE" }, { 23, 7, 2, 7, "CET" },
			{ 24, 7, 2, 31, "PKS" },
	};
	u32 old = RD_CR(4), known = 1 << 8 | 1 << 17 | 1 << 19 | 1 << 25;
	for (unsigned k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		u32 bit = 1u << rows[k].bit;
		int offered = (int)feature(rows[k].leaf, rows[k].reg, rows[k].feature);
		known |= bit;
		int got = CR4(old | bit);
		check("vol 3 2.5 CR4 bit if CPUID has it, else #GP", __FILE__, __LINE__, rows[k].name, got == offered &&
			!(RD_CR(4) & bit) == !(offered || old & bit));
		WR_CR(4, old);
	}
	for (unsigned b = 0; b < 32; b++)
		if (!(known >> b & 1))
			CHECK("vol 2 MOV CR4: reserved bits", CR4(old | 1u << b) == 0 && RD_CR(4) == old);
	CHECK("vol 2 MOV CR4: PCIDE outside long mode", CR4(old | 1u << 17) == 0);
}

static void cr0_bits(void)
{
	u32 old = RD_CR(0);
	CHECK("vol 2 MOV CR0: PG without PE", CR0((old | 0x80000000) & ~1u) == 0);
	CHECK("vol 2 MOV CR0: NW without CD", CR0(old | 0x20000000) == 0);
	CHECK("vol 3 11.5.1 CD alone, CD and NW", CR0(old | 0x40000000) == 1 && CR0(old | 0x60000000) == 1 &&
		CR0(old) == 1);
	CHECK("vol 3 2.5 reserved bits of CR0 are ignored, ET reads 1", CR0((old | 0x1000ffc0) & ~0x10u) == 1 &&
		RD_CR(0) == old);
	for (u32 v = 0; v < 16; v++) {
		WR_CR(0, old & ~0xeu);
		prepare(lmsw_it, 0);
		in.ax = v | 0xfff0;
		go();
		stage = v;
		CHECK("vol 2 LMSW: four bits, PE can be set only", FINE && (u32)t.r.cx == ((old & ~0xeu) | v | 1));
	}
	WR_CR(0, old);
	run(mod_cr, 0);
	CHECK("vol 2 MOV CR: the mod field is ignored", FINE && (u32)t.r.cx == old);
}

static void efer(void)
{
	u64 old = rdmsr(EFER);
	CHECK("vol 3 2.2.1 SCE, NXE, LME if CPUID has them", msr(EFER, 1) == (int)feature(0x80000001, 3, 29) &&
		msr(EFER, 0x800) == (int)feature(0x80000001, 3, 20) &&
	      msr(EFER, 0x100) == (int)feature(0x80000001, 3, 29));
	for (unsigned b = 1; b < 64; b++)
		if (b != 8 && b != 10 && b != 11 && !(b == 21 && feature(0x80000021, 0, 8))) /* AIBRSE: APM vol 2 3.1.7 */
			CHECK("vol 3 2.2.1 reserved bits of EFER", msr(EFER, 1ull << b) == 0);
	msr(EFER, 0x400);
	CHECK("vol 3 2.2.1 LMA cannot be written", !(rdmsr(EFER) & 0x400));
	msr(EFER, old);
}

static void pdptes(void)
{
	u32 cr0 = RD_CR(0), cr4 = RD_CR(4);
	for (unsigned k = 0; k < 1024; k++)
		pd32[k] = k << 22 | 0xe7;
	for (unsigned k = 0; k < 2048; k++)
		pds[k] = (u64)k << 21 | 0xe7;
	for (unsigned k = 0; k < 4; k++)
		pdpte[k] = (ul)&pds[512 * k] | 1;
	WR_CR(4, cr4 | 0x10);
	WR_CR(3, pd32);
	WR_CR(0, cr0 | 0x80000000);
	CHECK("vol 3 4.4.1 PAE on with paging on loads PDPTEs: the directory's first entries have reserved bits: #GP",
		CR4(RD_CR(4) | 0x20) == 0 && !(RD_CR(4) & 0x20));
	CHECK("vol 2 MOV CR0: PE off while PG is on", CR0(RD_CR(0) & ~1u) == 0 && RD_CR(0) == (cr0 | 0x80000000));
	CHECK("vol 3 9.8.5 EFER.LME with paging on", msr(EFER, rdmsr(EFER) | 0x100) == 0);
	WR_CR(0, cr0);
	WR_CR(4, cr4 | 0x20);
	WR_CR(3, pdpte);
	for (unsigned k = 0; k < 4; k++) {
		u64 keep = pdpte[k];
		static const u8 bad[] = { 1, 2, 5, 6, 7, 8, 63 };
		for (unsigned b = 0; b < sizeof(bad); b++) {
			pdpte[k] = keep | 1ull << bad[b];
			CHECK("vol 3 4.4.1 reserved bit of a PDPTE: #GP at MOV CR0 that turns paging on",
				CR0(cr0 | 0x80000000) == 0 && RD_CR(0) == cr0);
			pdpte[k] = (keep | 1ull << bad[b]) & ~1ull;
			CHECK("vol 3 4.4.1 not present: not looked at", k < 2 || CR0(cr0 | 0x80000000) == 1);
			WR_CR(0, cr0);
		}
		pdpte[k] = keep;
	}
	CHECK("vol 3 4.4.1", CR0(cr0 | 0x80000000) == 1);
	prepare(cr3_it, 0);
	in.ax = (ul)pdpte | 0x18; /* PWT, PCD */
	go();
	CHECK("vol 3 4.4.1", FINE);
	WR_CR(0, cr0);
	WR_CR(4, cr4);
}

static void long_mode(void)
{
	if (!feature(0x80000001, 3, 29))
		return;
	u32 cr0 = RD_CR(0), cr4 = RD_CR(4);
	for (unsigned k = 0; k < 2048; k++)
		pd4[k] = (u64)k << 21 | 0xe7;
	for (unsigned k = 0; k < 4; k++)
		pdpt[k] = (ul)&pd4[512 * k] | 7;
	pml4[0] = (ul)pdpt | 7;
	wrmsr(EFER, rdmsr(EFER) | 0x100);
	CHECK("vol 3 9.8.5 LME alone changes nothing: LMA clear", !(rdmsr(EFER) & 0x400));
	WR_CR(3, pml4);
	CHECK("vol 3 9.8.5 PG with LME but without PAE", CR0(cr0 | 0x80000000) == 0);
	WR_CR(4, cr4 | 0x20);
	/* TR with a 16-bit TSS, CS with L set: vol 3 9.8.5, vol 2 MOV CR */
	set_desc(0x120, (u32)(ul)tss, 0x67, 0x81);
	asm volatile("ltr %w0" :: "r"(0x120));
	CHECK("vol 3 9.8.5.3 16-bit TSS", CR0(cr0 | 0x80000000) == 0);
	set_desc(TSS, (u32)(ul)tss, 0x67, 0x89);
	asm volatile("ltr %w0" :: "r"(TSS));
	set_desc(0x110, 0, 0xfffff, 0xe09a);
	prepare(cr0_it, 0);
	in.cs = 0x110, in.ax = cr0 | 0x80000000;
	go();
	CHECK("vol 2 MOV CR0: CS.L set while entering", FAULTS(c0_at));
	wrmsr(EFER, rdmsr(EFER) & ~0x100ull);
	WR_CR(4, cr4);
	set_desc(0x100, 0, 0xfffff, 0xa09a);
	for (unsigned turn = 0; turn < 3; turn++) {
		for (unsigned k = 0; k < 16; k++)
			noted[k] = 0xee;
		noted[12] = (ul)back_to_32, noted[13] = KCS;
		prepare(there_and_back, 0);
		in.si = (ul)pml4, in.di = (ul)noted;
		go();
		stage = turn;
		CHECK("vol 3 9.8.5 into long mode and back", FINE && t.r.cs == KCS && t.r.sp == in.sp && RD_CR(4) == cr4 &&
			RD_CR(0) == cr0);
		CHECK("vol 3 9.8.5 LMA follows PG", !(noted[1] & 0x400) && (noted[1] & 0x100) &&
			(noted[2] & 0x500) == 0x500 && (noted[8] & 0x500) == 0x100 && !(noted[9] & 0x500));
		CHECK("vol 1 3.2.1 compatibility mode, then 64-bit code", noted[3] == 0 && noted[4] == 0x12345678);
		CHECK("vol 3 9.8.5.4 32-bit code as before", CR0(cr0) == 1);
	}
}

void guest_main(void)
{
	cr0_bits();
	cr4_bits();
	efer();
	pdptes();
	long_mode();
}
