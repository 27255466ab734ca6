// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the host's own CPUID: which of its features a guest can be given, and how fast its TSC runs
 *
 * An allow-list: a feature bit nobody here has thought about is hidden. "native" bits stand for instructions that the
 * host executes itself for the guest; "emulated" ones are ours to give whatever the host has. Left out because they
 * cannot be virtualized yet: TSX, MPX, PKU, CET, AMX, LA57, SGX, PT, PMU, XSAVES, MONITOR, WAITPKG, ENQCMD, UINTR, key
 * locker; MOVDIR64B, whose second memory operand hides in a register; XSAVEOPT, whose "not modified since XRSTOR"
 * shortcut is tied to a host address, and a bounce buffer's address is that of many guest areas.
 *
 * SPEC_CTRL and ARCH_CAPABILITIES, automatic IBRS on AMD, are given so that a guest chooses these: one MSR write at
 * boot, instead of retpolines, which would defeat every predictor a translator has. What says that a CPU is not
 * vulnerable is given too: see IA32_ARCH_CAPABILITIES in insn/msr.def. TSC_ADJUST and the TSC deadline were Intel's
 * first, but mean the same on any CPU that shows them, and a guest keeps better time with them.
 */
#include <string.h>
#include <time.h>

#include "cpu/cpu_int.h"

#define B(n) (1u << (n))
/* Enough for 1 TiB of RAM and its PCI window. Not the host's 46 or 48: OVMF with a 32-bit PEI (OVMF_CODE_4M.fd) maps
 * all that CPUID announces before it says a word, looking up settings for each gigabyte: 90 s at 48 bits. */
#define PHYS_BITS_DEFAULT 40u

static const struct {
	uint32_t leaf;
	uint8_t sub, reg;
	uint32_t native, emulated;
	uint32_t avx, avx512; /* of the native: need these components in XCR0 */
	uint32_t intel, amd;  /* emulated, for guests on that vendor's CPU */
} words[CW_COUNT] = {
	[CW_1_ECX] = { 1, 0, CPUID_ECX,
		/* SSE3 PCLMUL SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT AES XSAVE AVX F16C RDRAND */
		B(0) | B(1) | B(9) | B(12) | B(13) | B(19) | B(20) | B(22) | B(23) | B(25) | B(26) | B(28) | B(29) | B(30),
		B(17) | B(21) | B(24) | B(31), /* PCID x2APIC TSC-deadline hypervisor */
		B(12) | B(28) | B(29), 0 },
	[CW_1_EDX] = { 1, 0, CPUID_EDX,
		/* FPU TSC CX8 CMOV CLFSH MMX FXSR SSE SSE2 */
		B(0) | B(4) | B(8) | B(15) | B(19) | B(23) | B(24) | B(25) | B(26),
		/* DE PSE MSR PAE MCE APIC SEP MTRR PGE MCA PAT PSE36; SS */
		B(2) | B(3) | B(5) | B(6) | B(7) | B(9) | B(11) | B(12) | B(13) | B(14) | B(16) | B(17), 0, 0, B(27), 0 },
	[CW_7_EBX] = { 7, 0, CPUID_EBX,
		/* BMI1 AVX2 FDP_EXCPTN_ONLY BMI2 ERMS no-FCS-FDS F DQ RDSEED ADX IFMA CLFLUSHOPT CLWB CD SHA BW VL */
		B(3) | B(5) | B(6) | B(8) | B(9) | B(13) | B(16) | B(17) | B(18) | B(19) | B(21) | B(23) | B(24) | B(28) |
			B(29) | B(30) | B(31),
		B(0) | B(1) | B(7) | B(10) | B(20), /* FSGSBASE TSC_ADJUST SMEP INVPCID SMAP */
		B(5), B(16) | B(17) | B(21) | B(28) | B(30) | B(31) },
	[CW_7_ECX] = { 7, 0, CPUID_ECX,
		/* VBMI VBMI2 GFNI VAES VPCLMUL VNNI BITALG VPOPCNTDQ CLDEMOTE MOVDIRI */
		B(1) | B(6) | B(8) | B(9) | B(10) | B(11) | B(12) | B(14) | B(25) | B(27),
		B(2) | B(22), /* UMIP RDPID */
		B(9) | B(10), B(1) | B(6) | B(11) | B(12) | B(14) },
	[CW_7_EDX] = { 7, 0, CPUID_EDX,
		B(4) | B(8) | B(14) | B(23), /* FSRM VP2INTERSECT SERIALIZE FP16 */
		0, 0, B(8) | B(23), B(26) | B(29), 0 }, /* SPEC_CTRL ARCH_CAPABILITIES */
	[CW_71_EAX] = { 7, 1, CPUID_EAX,
		B(4) | B(5) | B(10) | B(11) | B(12), /* AVX-VNNI BF16 FZRM FSRS FSRC */
		0, B(4), B(5) },
	[CW_D1_EAX] = { 0xd, 1, CPUID_EAX, B(1) | B(2), 0, 0, 0 }, /* XSAVEC XGETBV1 */
	[CW_81_ECX] = { 0x80000001, 0, CPUID_ECX,
		/* LAHF LZCNT SSE4A misaligned PREFETCHW XOP FMA4 TBM */
		B(0) | B(5) | B(6) | B(7) | B(8) | B(11) | B(16) | B(21),
		0, B(11) | B(16), 0, 0, B(22) | B(23) }, /* topology extensions, core performance counters */
	[CW_81_EDX] = { 0x80000001, 0, CPUID_EDX,
		B(22) | B(30) | B(31),                  /* MMXEXT 3DNOWEXT 3DNOW */
		B(11) | B(20) | B(26) | B(27) | B(29), 0, 0 }, /* SYSCALL NX 1G RDTSCP LM */
	/* error pointers always; IBPB IBRS STIBP, SSB_NO BTC_NO IBPB_RET */
	[CW_88_EBX] = { 0x80000008, 0, CPUID_EBX, B(2), 0, 0, 0, 0, B(12) | B(14) | B(15) | B(26) | B(29) | B(30) },
	/* FSRS FSRC; LFENCE serializes, null selectors clear the base, automatic IBRS, SRSO_NO */
	[CW_821_EAX] = { 0x80000021, 0, CPUID_EAX, B(10) | B(11), 0, 0, 0, 0, B(2) | B(6) | B(8) | B(29) },
	[CW_821_ECX] = { 0x80000021, 0, CPUID_ECX, 0, 0, 0, 0, 0, B(1) | B(2) }, /* TSA_SQ_NO TSA_L1_NO */
};

static bool leaf_exists(uint32_t leaf)
{
	uint32_t out[4];

	cpu_host_cpuid(leaf & 0x80000000, 0, out);
	return leaf <= out[CPUID_EAX];
}

uint32_t cpuid_native_bits(enum cpuid_word w)
{
	return words[w].native;
}

void cpuid_host_words(uint32_t word[CW_COUNT], enum cpu_vendor vendor)
{
	uint64_t xcr0 = cpu_host_xcr0();

	for (unsigned w = 0; w < CW_COUNT; w++) {
		uint32_t out[4] = { 0 };

		if (leaf_exists(words[w].leaf))
			cpu_host_cpuid(words[w].leaf, words[w].sub, out);
		word[w] = (out[words[w].reg] & words[w].native) | words[w].emulated;
		word[w] |= vendor == VENDOR_AMD ? words[w].amd : words[w].intel;
		if (!(xcr0 & XCR0_AVX))
			word[w] &= ~(words[w].avx | words[w].avx512);
		if ((xcr0 & XCR0_AVX512) != XCR0_AVX512)
			word[w] &= ~words[w].avx512;
	}
	if (!xcr0) {
		word[CW_1_ECX] &= ~B(26);
		word[CW_D1_EAX] = 0;
	}
}

static enum cpu_vendor host_vendor(void)
{
	uint32_t out[4];

	cpu_host_cpuid(0, 0, out);
	/* Others than these two follow Intel's layout (Zhaoxin) or AMD's (Hygon). */
	return out[CPUID_EBX] == 0x68747541 || out[CPUID_EBX] == 0x6f677948 ? VENDOR_AMD : VENDOR_INTEL;
}

static void host_brand(char brand[49])
{
	memset(brand, 0, 49);
	if (!leaf_exists(0x80000004))
		return;
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t out[4];

		cpu_host_cpuid(0x80000002 + i, 0, out);
		memcpy(brand + 16 * i, out, 16);
	}
}

void cpuid_host_plan(struct cpuid_plan *plan)
{
	uint32_t out[4];

	memset(plan, 0, sizeof(*plan));
	plan->vendor = host_vendor();
	host_brand(plan->brand);
	cpu_host_cpuid(1, 0, out);
	plan->signature = out[CPUID_EAX] & 0x0fff3fff;
	plan->max_leaf = plan->vendor == VENDOR_AMD ? 0xd : 0x16;
	plan->max_ext = plan->vendor == VENDOR_AMD ? 0x80000021 : 0x80000008;
	cpuid_host_words(plan->word, plan->vendor);
	plan->phys_bits = PHYS_BITS_DEFAULT;
	if (leaf_exists(0x80000008)) {
		cpu_host_cpuid(0x80000008, 0, out);
		plan->phys_bits = (uint8_t)MIN(MAX(out[CPUID_EAX] & 0xff, 36u), PHYS_BITS_DEFAULT);
	}
	plan->host_caches = true;
}

/* --- TSC --- */

#define NS 1000000000ull
#define CALIBRATE_NS 10000000ull

/* A TSC and a clock reading that belong together: of some tries the one with the least time between. */
static void clock_pair(uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < 12; i++) {
		struct timespec ts;
		uint64_t before = cpu_host_tsc(), after;

		clock_gettime(CLOCK_MONOTONIC, &ts);
		after = cpu_host_tsc();
		if (after - before >= best)
			continue;
		best = after - before;
		*tsc = before + best / 2;
		*ns = (uint64_t)ts.tv_sec * NS + (uint64_t)ts.tv_nsec;
	}
}

static uint64_t tsc_by_clock(void)
{
	uint64_t tsc0 = 0, ns0 = 0, tsc1 = 0, ns1 = 0;
	struct timespec nap = { .tv_nsec = CALIBRATE_NS };

	clock_pair(&tsc0, &ns0);
	nanosleep(&nap, NULL);
	clock_pair(&tsc1, &ns1);
	return (uint64_t)((unsigned __int128)(tsc1 - tsc0) * NS / (ns1 - ns0));
}

/* What CPUID claims, or 0: leaf 0x15, or the hypervisor's timing leaf where there is one. */
static uint64_t tsc_by_cpuid(void)
{
	uint32_t out[4];

	if (leaf_exists(0x15)) {
		cpu_host_cpuid(0x15, 0, out);
		if (out[CPUID_EAX] && out[CPUID_EBX] && out[CPUID_ECX])
			return (uint64_t)out[CPUID_ECX] * out[CPUID_EBX] / out[CPUID_EAX];
	}
	cpu_host_cpuid(1, 0, out);
	if (!(out[CPUID_ECX] & B(31)))
		return 0;
	cpu_host_cpuid(0x40000000, 0, out);
	if (out[CPUID_EAX] < 0x40000010 || out[CPUID_EAX] > 0x400000ff)
		return 0;
	cpu_host_cpuid(0x40000010, 0, out);
	return (uint64_t)out[CPUID_EAX] * 1000;
}

/* The clock decides, for it is what guest time is made of; CPUID's number is taken where the clock agrees to within its
 * own error, because it does not jitter from one start to the next. */
uint64_t cpuid_measure_tsc(void)
{
	uint64_t clock = tsc_by_clock(), claim = tsc_by_cpuid();
	uint64_t diff = clock > claim ? clock - claim : claim - clock;

	return claim && diff < clock / 50000 ? claim : clock;
}
