// SPDX-License-Identifier: GPL-2.0-or-later
/* what: MSRs against CPUID: machine check, local APIC and x2APIC with its mode changes, time-stamp counter, MTRRs,
 * counters, and what must not be there */
#include "guest.h"

SNIPPET(rd, "rd_at: rdmsr");
SNIPPET(wr, "wr_at: wrmsr");
SNIPPET(pmc, "pmc_at: rdpmc");
SNIPPET(tscp, "tscp_at: rdtscp");
SNIPPET(rdpid_it, "rp_at: .byte 0xf3, 0x0f, 0xc7, 0xf8"); /* to EAX */
extern char rd_at[], wr_at[], pmc_at[], tscp_at[], rp_at[];
#define FAULTS(at) (t.vec == GP && t.err == 0 && t.r.ip == (ul)(at))
#define FINE (t.vec == END)
#define APIC_BASE 0x1b
#define EN (1u << 11)
#define EXTD (1u << 10)
static volatile u32 *const lapic = (u32 *)0xfee00000;

static u64 now;
static int get(u32 n)
{
	prepare(rd, 0);
	in.cx = n;
	go();
	now = (u64)(u32)t.r.dx << 32 | (u32)t.r.ax;
	stage = n;
	return FINE;
}

static int put(u32 n, u64 v)
{
	prepare(wr, 0);
	in.cx = n, in.ax = (u32)v, in.dx = (ul)(v >> 32);
	go();
	stage = n;
	return FINE;
}
#define NONE(n) (!get(n) && FAULTS(rd_at) && !put(n, 0) && FAULTS(wr_at))
#define REFUSED(n, v) (!put(n, v) && FAULTS(wr_at))

static u32 feature(u32 leaf, unsigned reg, unsigned bit)
{
	u32 r[4];
	cpuid(leaf & 0x80000000, 0, r);
	if (r[0] < leaf || r[0] >> 31 != leaf >> 31) /* such a leaf reads as the last one, vol 2 CPUID */
		return 0;
	cpuid(leaf, 0, r);
	return r[reg] >> bit & 1;
}
enum { EAX, EBX, ECX, EDX };

/* MAXPHYADDR, vol 3 4.1.4 */
static u32 phys_bits(void)
{
	u32 r[4];
	cpuid(0x80000000, 0, r);
	if (r[0] < 0x80000008)
		return feature(1, EDX, 6) ? 36 : 32;
	cpuid(0x80000008, 0, r);
	return r[0] & 0xff;
}

static int amd(void)
{
	u32 r[4];
	cpuid(0, 0, r);
	return r[1] != 0x756e6547;
}

static void machine_check(void)
{
	ul cr4 = RD_CR(4);
	if (feature(1, EDX, 7)) {
		WR_CR(4, cr4 | 0x40);
		CHECK("vol 3 2.5 CR4.MCE", RD_CR(4) & 0x40);
		WR_CR(4, cr4);
	}
	if (!feature(1, EDX, 14)) {
		CHECK("vol 3 15.3 no MCA, no IA32_MCG_CAP", NONE(0x179) && NONE(0x17a) && NONE(0x400));
		return;
	}
	CHECK("vol 3 15.3.1.1 IA32_MCG_CAP", get(0x179));
	unsigned banks = (unsigned)now & 0xff;
	CHECK("vol 3 15.3.1.1 IA32_MCG_CAP is read-only", REFUSED(0x179, now ^ 1));
	CHECK("vol 3 15.3.1.2 IA32_MCG_STATUS: nothing in progress, may be cleared", get(0x17a) && !(now & 4) &&
		put(0x17a, 0));
	for (unsigned k = 0; k < banks; k++) {
		u32 n = 0x400 + 4 * k;
		CHECK("vol 3 15.3.2.1 IA32_MCi_CTL", get(n) && put(n, ~0ull) && put(n, 0));
		CHECK("vol 3 15.3.2.2 IA32_MCi_STATUS: no valid error, may be cleared", get(n + 1) && !(now >> 63) &&
			put(n + 1, 0));
		CHECK("vol 3 15.3.2.2 IA32_MCi_STATUS: writing ones is #GP", REFUSED(n + 1, 1ull << 63) && REFUSED(n + 1, 1));
	}
	CHECK("vol 3 15.3.2 no bank beyond the count", banks >= 28 || (NONE(0x400 + 4 * banks) && NONE(0x401 + 4 * banks)));
}

static void tsc(void)
{
	CHECK("vol 3 17.17 IA32_TIME_STAMP_COUNTER", get(0x10));
	u64 before = now;
	CHECK("vol 3 17.17 it runs", get(0x10) && now > before);
	CHECK("vol 3 17.17.3 it can be written", put(0x10, 1ull << 40) && get(0x10) && now >= 1ull << 40 &&
		now < 1ull << 41);
	if (feature(7, EBX, 1)) {
		CHECK("vol 3 17.17.3 IA32_TSC_ADJUST moved as well", get(0x3b));
		u64 adjust = now;
		get(0x10);
		before = now;
		CHECK("vol 3 17.17.3 a write of it moves the counter", put(0x3b, adjust + (1ull << 44)) && get(0x10) &&
			now - before >= 1ull << 44 && now - before < 1ull << 45);
		CHECK("vol 3 17.17.3 and reads back", get(0x3b) && now == adjust + (1ull << 44));
		put(0x3b, 0);
	} else {
		CHECK("vol 3 17.17.3 no IA32_TSC_ADJUST", NONE(0x3b));
	}
	int has_tscp = (int)feature(0x80000001, EDX, 27), has_pid = (int)feature(7, ECX, 22);
	if (has_tscp || has_pid) {
		CHECK("vol 3 17.17.2 IA32_TSC_AUX: 32 bits", put(0xc0000103, 0x12345678) && get(0xc0000103) &&
			now == 0x12345678 && (amd() || REFUSED(0xc0000103, 1ull << 32)));
	} else {
		CHECK("vol 3 17.17.2 no IA32_TSC_AUX", NONE(0xc0000103));
	}
	for (unsigned cpl = 0; cpl < 4; cpl += 3) {
		run(tscp, cpl);
		CHECK("vol 2 RDTSCP", has_tscp ? FINE && (u32)t.r.cx == 0x12345678 : t.vec == UD && t.r.ip == (ul)tscp_at);
		run(rdpid_it, cpl);
		CHECK("vol 2 RDPID", has_pid ? FINE && (u32)t.r.ax == 0x12345678 : t.vec == UD && t.r.ip == (ul)rp_at);
	}
	WR_CR(4, RD_CR(4) | 4);
	run(tscp, 3);
	CHECK("vol 2 RDTSCP: CR4.TSD at CPL 3", has_tscp ? FAULTS(tscp_at) : t.vec == UD);
	WR_CR(4, RD_CR(4) & ~4ul);
	if (feature(1, ECX, 24)) {
		CHECK("vol 3 10.5.4.1 IA32_TSC_DEADLINE: ignored outside its timer mode", put(0x6e0, ~0ull) && get(0x6e0) &&
			now == 0);
		lapic[0xf0 / 4] = 0x1ff;
		lapic[0x320 / 4] = 0x50050; /* masked, deadline mode */
		CHECK("vol 3 10.5.4.1 armed", put(0x6e0, ~0ull >> 1) && get(0x6e0) && now == ~0ull >> 1);
		lapic[0x320 / 4] = 0x10050;
		CHECK("vol 3 10.5.4.1 another mode disarms", get(0x6e0) && now == 0);
	} else {
		CHECK("vol 3 10.5.4.1 no IA32_TSC_DEADLINE", NONE(0x6e0));
	}
}

static void mtrrs(void)
{
	if (!feature(1, EDX, 12)) {
		CHECK("vol 3 11.11.1 no MTRRs", NONE(0xfe) && NONE(0x2ff) && NONE(0x200));
		return;
	}
	CHECK("vol 3 11.11.1 IA32_MTRRCAP: read-only", get(0xfe) && REFUSED(0xfe, now));
	get(0xfe);
	unsigned pairs = (unsigned)now & 0xff;
	u64 beyond = 1ull << phys_bits();
	for (unsigned k = 0; k < pairs; k++) {
		u32 n = 0x200 + 2 * k;
		CHECK("vol 3 11.11.2.3 PHYSBASE, PHYSMASK", put(n, 0x80000000 | 6) && get(n) && now == (0x80000000 | 6) &&
			put(n + 1, 0x80000800) && get(n + 1) && now == 0x80000800);
		CHECK("vol 3 11.11.2.3 reserved types and bits", REFUSED(n, 2) && REFUSED(n, 3) && REFUSED(n, 7) &&
		      REFUSED(n, 0x100) && REFUSED(n, beyond) && REFUSED(n + 1, beyond | 0x800) && REFUSED(n + 1, 1));
		CHECK("vol 3 11.11.2.3", put(n, 0) && put(n + 1, 0));
	}
	CHECK("vol 3 11.11.2.3 no pair beyond the count", pairs > 10 || (NONE(0x200 + 2 * pairs) &&
		NONE(0x201 + 2 * pairs)));
	get(0x2ff);
	u64 def = now;
	CHECK("vol 3 11.11.2.1 IA32_MTRR_DEF_TYPE", put(0x2ff, 0xc06) && get(0x2ff) && now == 0xc06 &&
		REFUSED(0x2ff, 0x100) && REFUSED(0x2ff, 2) && put(0x2ff, def));
	static const u16 fixed[] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f };
	for (unsigned k = 0; k < sizeof(fixed) / 2; k++) {
		get(fixed[k]);
		u64 old = now;
		CHECK("vol 3 11.11.2.2 fixed ranges", put(fixed[k], 0x0006050401000605) && get(fixed[k]) &&
			now == 0x0006050401000605 && REFUSED(fixed[k], 0x0600000000000200) && put(fixed[k], old));
	}
}

/* What CPUID does not offer is not there. */
static void absent(void)
{
	u32 r[4];
	if (!feature(1, ECX, 5))
		CHECK("vol 4 no VMX, no VMX registers", NONE(0x480) && NONE(0x481) && NONE(0x48b));
	if (!(feature(0x80000001, ECX, 2)))
		CHECK("no SVM, no VM_HSAVE_PA", NONE(0xc0010117));
	cpuid(0xd, 1, r);
	if (!feature(1, ECX, 26) || !(r[0] >> 3 & 1))
		CHECK("vol 1 13.2 no XSAVES, no IA32_XSS", NONE(0xda0));
	if (!feature(7, EDX, 26) && !feature(0x80000008, EBX, 14))
		CHECK("vol 4 no IA32_SPEC_CTRL", NONE(0x48));
	if (!feature(7, EDX, 29))
		CHECK("vol 4 no IA32_ARCH_CAPABILITIES", NONE(0x10a));
	if (!feature(7, ECX, 5))
		CHECK("vol 4 no WAITPKG, no IA32_UMWAIT_CONTROL", NONE(0xe1));
	if (!feature(7, ECX, 7))
		CHECK("vol 4 no CET, no IA32_U_CET", NONE(0x6a0) && NONE(0x6a2));
	if (!feature(7, ECX, 31))
		CHECK("vol 4 no PKS, no IA32_PKRS", NONE(0x6e1));
	if (!feature(0x80000001, EDX, 29))
		CHECK("vol 4 no long mode, no LSTAR", NONE(0xc0000082) && NONE(0xc0000102));
	cpuid(0, 0, r);
	u32 max = r[0];
	cpuid(0xa, 0, r);
	if (max < 0xa || !(r[0] & 0xff))
		CHECK("vol 3 18.2 no architectural counters", NONE(0x186) && NONE(0x38f) && NONE(0xc1) && NONE(0x309));
	for (unsigned cpl = 0; cpl < 4; cpl += 3) {
		prepare(pmc, cpl);
		in.cx = 0x12345;
		go();
		CHECK("vol 2 RDPMC: no such counter", FAULTS(pmc_at));
	}
	static const u32 none[] = { 0x2, 0x13, 0x40000000, 0x7fffffff, 0x80000000, 0xc0000000, 0xc0000085, 0xc0000104,
		0xdeadbeef, 0xffffffff };
	for (unsigned k = 0; k < sizeof(none) / sizeof(*none); k++)
		CHECK("vol 2 RDMSR, WRMSR: no such register", NONE(none[k]));
	for (u32 n = 0xe00; n < 0x1000; n += 7)
		CHECK("vol 2 RDMSR, WRMSR: no such register", NONE(n));
}

/* Registers that are commands: nothing to read, reserved bits are refused. */
static void commands(void)
{
	int amd_ibpb = (int)feature(0x80000008, EBX, 12);
	if (feature(7, EDX, 26) || amd_ibpb)
		CHECK("vol 4 IA32_PRED_CMD: write-only, IBPB alone; APM vol 2 3.2.9", !get(0x49) && FAULTS(rd_at) &&
			put(0x49, 1) && put(0x49, 0) && REFUSED(0x49, 2) && REFUSED(0x49, 1ull << 32));
	else
		CHECK("vol 4 no IBPB, no IA32_PRED_CMD", NONE(0x49));
	if (feature(7, EDX, 28))
		CHECK("vol 4 IA32_FLUSH_CMD: write-only, L1D_FLUSH alone", !get(0x10b) && FAULTS(rd_at) &&
			put(0x10b, 1) && put(0x10b, 0) && REFUSED(0x10b, 2) && REFUSED(0x10b, 1ull << 32));
	else
		CHECK("vol 4 no L1D_FLUSH, no IA32_FLUSH_CMD", NONE(0x10b));
}

/* RdMem and WrMem of fixed MTRRs are there while SYSCFG says so (APM vol 2 7.9.1, PPR MSR0000_0250). */
static void fixed_dram(void)
{
	enum { SYSCFG = 0xc0010010, MOD_EN = 1 << 19, DRAM_EN = 1 << 18, FIX = 0x26f };
	const u64 both = 0x1e1e1e1e1e1e1e1e, types = 0x0606060606060606;
	get(FIX);
	u64 old = now;
	CHECK("APM vol 2 7.9.1 MtrrFixDramModEn = 0: no RdMem, WrMem", put(SYSCFG, DRAM_EN) && put(FIX, types) &&
		REFUSED(FIX, both) && REFUSED(FIX, 8) && get(FIX) && now == types);
	CHECK("APM vol 2 7.9.1 MtrrFixDramModEn = 1: they can be written", put(SYSCFG, DRAM_EN | MOD_EN) && get(SYSCFG) &&
		now == (DRAM_EN | MOD_EN) && put(FIX, both) && get(FIX) && now == both && REFUSED(FIX, 0x20));
	CHECK("APM vol 2 7.9.1 hidden: read as 0, a write leaves them", put(SYSCFG, DRAM_EN) && get(FIX) && now == types &&
		put(FIX, 0) && put(SYSCFG, MOD_EN) && get(FIX) && now == (both & ~types));
	put(FIX, old);
	put(SYSCFG, 0);
}

static void counters(void)
{
	for (u32 k = 0; k < 12; k++) {
		u64 v = 0x123400000000 + k;
		CHECK("APM vol 2 13.2.1 a counter holds what is written", put(0xc0010200 + k, v) && get(0xc0010200 + k) &&
			now == v);
		u32 old = (k & 1 ? 0xc0010004 : 0xc0010000) + k / 2;
		if (k < 8)
			CHECK("APM vol 2 13.2.1 the first four have two numbers", get(old) && now == v && put(old, k) &&
				get(0xc0010200 + k) && now == k);
	}
	ul cr4 = RD_CR(4);
	put(0xc0010203, 0xabcd12345678);
	for (unsigned k = 0; k < 3; k++) {
		WR_CR(4, k == 2 ? cr4 | 0x100 : cr4 & ~0x100ul);
		prepare(pmc, k ? 3 : 0);
		in.cx = 1;
		go();
		stage = k;
		CHECK("APM vol 3 RDPMC: at CPL 0 or with CR4.PCE", k == 1 ? FAULTS(pmc_at) : FINE &&
			(u32)t.r.ax == 0x12345678 && (u32)t.r.dx == 0xabcd);
	}
	WR_CR(4, cr4);
	prepare(pmc, 0);
	in.cx = 6;
	go();
	CHECK("APM vol 3 RDPMC: six counters", FAULTS(pmc_at));
}

/* Registers that every AMD CPU of the last decade has, and kernels read and write without looking whether they can. */
static void of_amd(void)
{
	static const u32 held[] = { 0, 0xc0010015, 0xc0010016, 0xc0010017, 0xc0010018, 0xc0010019, 0xc001001a, 0xc001001d,
		0xc001001f, 0xc0011020, 0xc0011021, 0xc0011022, 0xc0011029 };
	static const u32 there[] = { 1, 0x2a, 0x8b, 0x179, 0x1d9, 0x1db, 0xc0010022, 0xc0010055, 0xc0010058, 0xc0010061,
		0xc0010062, 0xc0010063, 0xc0010064, 0xc001006b, 0xc0010071, 0xc0010074, 0xc0010111, 0xc0010112, 0xc0010113,
		0xc0010114, 0xc0010140, 0xc0010141, 0xc0011004, 0xc0011005, 0xc001102a };
	static const u32 intels[] = { 0x17, 0x3a, 0x79, 0xcd, 0xce, 0x10a, 0x140, 0x198, 0x19c, 0x1a0, 0x1a2, 0x1fc };
	u32 r[4];
	for (unsigned k = 0; k < sizeof(held) / sizeof(*held); k++) {
		get(held[k]);
		u64 old = now;
		CHECK("APM vol 2 appendix A: holds what is written", put(held[k], old ^ 0x4000) && get(held[k]) &&
			now == (old ^ 0x4000) && put(held[k], old));
	}
	for (unsigned k = 0; k < sizeof(there) / sizeof(*there); k++)
		CHECK("APM vol 2 appendix A: can be read, and written as it was", get(there[k]) &&
			(there[k] == 0x179 || put(there[k], now)));
	for (unsigned k = 0; k < sizeof(intels) / sizeof(*intels); k++)
		CHECK("SDM vol 4: Intel's alone", NONE(intels[k]));
	CHECK("APM vol 2 appendix A PATCH_LOADER: write-only", !get(0xc0010020) && FAULTS(rd_at) && put(0xc0010020, 0));
	CHECK("APM vol 2 appendix A DE_CFG: LFENCE serializes", get(0xc0011029) && now & 2);
	CHECK("APM vol 2 appendix A HWCR: the TSC runs as P0 does", get(0xc0010015) && now >> 24 & 1);
	cpuid(0x80000003, 0, r);
	CHECK("PPR MSRC001_0030: the name string", get(0xc0010032) && now == (r[0] | (u64)r[1] << 32));
	cpuid(1, 0, r);
	CHECK("PPR MSRC001_1004: CPUID's bits", get(0xc0011004) && (u32)now == r[3]);
	if (feature(0x80000021, EAX, 8))
		CHECK("APM vol 2 3.1.7 EFER.AIBRSE", get(0xc0000080) && put(0xc0000080, now | 1 << 21) && get(0xc0000080) &&
			now >> 21 & 1 && put(0xc0000080, now & ~(1ull << 21)));
	counters();
	fixed_dram();
	static const u32 narrow[] = { 0x175, 0x176, 0xc0000084, 0xc0000103 };
	for (unsigned k = 0; k < sizeof(narrow) / sizeof(*narrow); k++)
		if (k < 2 || feature(0x80000001, EDX, 29))
			CHECK("APM vol 2 6.1, 3.2.7 upper halves are ignored", put(narrow[k], 0x800012345678) && get(narrow[k]) &&
				now == 0x12345678 && put(narrow[k], 0));
}

static void of_intel(void)
{
	static const u32 there[] = { 0, 1, 0x17, 0x2a, 0x8b, 0x1a0, 0x1d9 };
	for (unsigned k = 0; k < sizeof(there) / sizeof(*there); k++)
		CHECK("vol 4 table 2-2: can be read", get(there[k]));
	CHECK("vol 4 IA32_BIOS_UPDT_TRIG: write-only", !get(0x79) && FAULTS(rd_at) && put(0x79, 0));
	CHECK("AMD's alone", NONE(0xc0010010) && NONE(0xc0010200) && NONE(0xc0011029));
	CHECK("vol 3 11.11.2.2 no RdMem, WrMem", REFUSED(0x26f, 0x1e));
}

static void vendors(void)
{
	if (amd())
		of_amd();
	else
		of_intel();
}

static void apic_base(void)
{
	if (!feature(1, EDX, 9))
		return;
	CHECK("vol 3 10.4.4 IA32_APIC_BASE: at its place, enabled, bootstrap processor", get(APIC_BASE) &&
		now == (0xfee00000 | EN | 0x100));
	u64 base = now;
	CHECK("vol 3 10.4.4 reserved bits", REFUSED(APIC_BASE, base | 1) && REFUSED(APIC_BASE, base | 0x200) &&
		REFUSED(APIC_BASE, base | 1ull << phys_bits()));
	lapic[0xf0 / 4] = 0x1ff;
	lapic[0x80 / 4] = 0x30;
	CHECK("vol 3 10.4.3 switched off", put(APIC_BASE, base & ~(u64)EN) && get(APIC_BASE) && !(now & EN));
	CHECK("vol 3 10.4.3 CPUID.1:EDX.APIC follows", !feature(1, EDX, 9));
	CHECK("vol 3 10.12.5 off to x2APIC directly is #GP", REFUSED(APIC_BASE, base | EXTD));
	CHECK("vol 3 10.12.5 nor without EN", REFUSED(APIC_BASE, (base & ~(u64)EN) | EXTD));
	CHECK("vol 3 10.4.3 on again", put(APIC_BASE, base) && feature(1, EDX, 9));
	CHECK("vol 3 10.4.7.1 its registers are those of a reset", lapic[0x80 / 4] == 0 && lapic[0xf0 / 4] == 0xff &&
		lapic[0x320 / 4] == 0x10000);
	CHECK("vol 3 10.12.1.2 x2APIC registers are not there in xAPIC mode", !get(0x802) && FAULTS(rd_at) &&
		REFUSED(0x808, 0));
}

static void x2apic(void)
{
	get(APIC_BASE);
	u64 base = now;
	if (!feature(1, ECX, 21)) {
		say("no x2APIC\n");
		CHECK("vol 3 10.12.1 no x2APIC: EXTD is reserved", REFUSED(APIC_BASE, base | EXTD));
		for (u32 n = 0x800; n < 0x900; n++)
			CHECK("vol 3 10.12.1 no x2APIC: no registers", NONE(n));
		return;
	}
	u32 version = lapic[0x30 / 4];
	CHECK("vol 3 10.12.1 into x2APIC mode", put(APIC_BASE, base | EXTD) && get(APIC_BASE) && now == (base | EXTD));
	CHECK("vol 3 10.12.5 back to xAPIC mode directly is #GP", REFUSED(APIC_BASE, base));
	CHECK("vol 3 10.12.5.1 ID and logical ID", get(0x802) && now == 0 && get(0x80d) && now == 1);
	CHECK("vol 3 table 10-6 version", get(0x803) && (u32)now == version);
	static const u16 rdonly[] = { 0x802, 0x803, 0x80a, 0x80d, 0x810, 0x817, 0x818, 0x820, 0x827, 0x839 };
	for (unsigned k = 0; k < sizeof(rdonly) / 2; k++)
		CHECK("vol 3 table 10-6 read-only", get(rdonly[k]) && REFUSED(rdonly[k], 0));
	static const u16 missing[] = { 0x800, 0x801, 0x804, 0x807, 0x809, 0x80c, 0x80e, 0x829, 0x831, 0x83a, 0x83d,
		0x840, 0x8ff };
	for (unsigned k = 0; k < sizeof(missing) / 2; k++)
		CHECK("vol 3 table 10-6 reserved: #GP", NONE(missing[k]));
	CHECK("vol 3 table 10-6 EOI and self-IPI are write-only", !get(0x80b) && FAULTS(rd_at) && !get(0x83f) &&
		FAULTS(rd_at));
	CHECK("vol 3 table 10-6 EOI of anything but 0", REFUSED(0x80b, 1) && put(0x80b, 0));
	static const struct { u16 n; u32 ok; u64 bad; } list[] = {
		{ 0x808, 0xff, 0x100 }, { 0x80f, 0x1ff, 0x10000 }, { 0x832, 0x10050, 0x80000 }, { 0x835, 0x187d0, 0x80000 },
		{ 0x837, 0x10050, 0x20000 }, { 0x838, 0, 1ull << 32 }, { 0x83e, 0xb, 0x10 },
	};
	for (unsigned k = 0; k < sizeof(list) / sizeof(*list); k++)
		CHECK("vol 3 10.12.1.2 reserved bits are #GP", put(list[k].n, list[k].ok) &&
			REFUSED(list[k].n, list[k].bad) && REFUSED(list[k].n, list[k].ok | 1ull << 40));
	put(0x808, 0);
	put(0x80f, 0x1ff);
	CHECK("vol 3 10.12.11 self-IPI: pending", put(0x83f, 0x55) && get(0x822) && now == 1u << 21);
	CHECK("vol 3 10.12.9 ICR is one 64-bit register", put(0x830, 0x0000000000040066) && get(0x830) && get(0x823) &&
		now == 1u << 6);
	CHECK("vol 3 10.12.5 x2APIC to off, to xAPIC", put(APIC_BASE, base & ~(u64)EN) && !get(0x802) &&
		put(APIC_BASE, base) && lapic[0x20 / 4] == 0);
	CHECK("vol 3 10.12.5 all gone with it", lapic[0x220 / 4] == 0 && lapic[0x230 / 4] == 0);
}

void guest_main(void)
{
	machine_check();
	tsc();
	mtrrs();
	absent();
	commands();
	vendors();
	apic_base();
	x2apic();
}
