// SPDX-License-Identifier: GPL-2.0-or-later
/* what: from a plan (vendor, signature, feature words) to the leaves of a CPU model
 *
 * One vCPU, so topology says one thread in one core. The time leaves tell guests the TSC's true rate, because
 * calibration on a loaded host goes wrong: 0x15/0x16 for Linux on Intel, 0x40000010 for those that know that
 * convention. AMD's CPUs do not have the former, and no guest on one asks.
 */
#include <string.h>

#include "cpu/cpu_int.h"

#define B(n) (1u << (n))
#define APIC_HZ 1000000000u /* the APIC timer's input clock, which leaf 0x15 calls the crystal */

static struct cpuid_leaf *leaf_new(struct cpu_model *m, uint32_t leaf)
{
	struct cpuid_leaf *l;

	must(m->nleaves < ARRAY_LEN(m->leaf));
	l = &m->leaf[m->nleaves++];
	memset(l, 0, sizeof(*l));
	l->leaf = leaf;
	return l;
}

static void leaf_add(struct cpu_model *m, uint32_t leaf, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	struct cpuid_leaf *l = leaf_new(m, leaf);

	l->eax = eax;
	l->ebx = ebx;
	l->ecx = ecx;
	l->edx = edx;
}

static void leaf_add_sub(struct cpu_model *m, uint32_t leaf, uint32_t sub, const uint32_t out[4])
{
	leaf_add(m, leaf, out[0], out[1], out[2], out[3]);
	m->leaf[m->nleaves - 1].has_sub = true;
	m->leaf[m->nleaves - 1].sub = sub;
}

static bool is_intel(const struct cpuid_plan *plan)
{
	return plan->vendor == VENDOR_INTEL;
}

/* --- caches --- */

enum { CACHE_DATA = 1, CACHE_CODE = 2, CACHE_UNIFIED = 3 };

static void cache_leaf(struct cpu_model *m, uint32_t sub, unsigned type, unsigned level, unsigned ways, unsigned sets)
{
	const uint32_t out[4] = { type | level << 5 | B(8), 63 | (ways - 1) << 22, sets - 1, 0 };

	leaf_add_sub(m, 4, sub, out);
}

static void caches_fixed(struct cpu_model *m, const struct cpuid_plan *plan)
{
	if (plan->max_leaf < 4) {
		leaf_add(m, 2, 0x03020101, 0, 0, 0x0c040882); /* a Pentium III's: SDM vol 2 table 3-12 */
		return;
	}
	leaf_add(m, 2, 0x00feff01, 0, 0, 0xf0); /* see leaf 4; 64-byte prefetch */
	cache_leaf(m, 0, CACHE_DATA, 1, 8, 64);
	cache_leaf(m, 1, CACHE_CODE, 1, 8, 64);
	cache_leaf(m, 2, CACHE_UNIFIED, 2, 16, 1024);
	cache_leaf(m, 3, CACHE_UNIFIED, 3, 16, 16384);
}

static void caches_host(struct cpu_model *m)
{
	uint32_t out[4];

	cpu_host_cpuid(2, 0, out);
	leaf_add(m, 2, out[0], out[1], out[2], out[3]);
	for (uint32_t sub = 0; sub < 5; sub++) {
		cpu_host_cpuid(4, sub, out);
		if (!(out[0] & 0x1f))
			break;
		out[0] &= 0x3fff; /* shared by one thread, one core */
		leaf_add_sub(m, 4, sub, out);
	}
}

/* --- time --- */

/* The best fraction *num / *den of a / b with num <= limit: continued fraction, last convergent that fits. */
static void fraction(uint64_t a, uint64_t b, uint64_t limit, uint32_t *num, uint32_t *den)
{
	uint64_t p0 = 0, q0 = 1, p1 = 1, q1 = 0;

	while (b) {
		uint64_t k = a / b, p = k * p1 + p0, q = k * q1 + q0, rest = a % b;

		if (p > limit || q > UINT32_MAX)
			break;
		p0 = p1, q0 = q1, p1 = p, q1 = q;
		a = b, b = rest;
	}
	*num = (uint32_t)p1;
	*den = (uint32_t)q1;
}

static void time_leaves(struct cpu_model *m)
{
	uint32_t num, den, crystal_khz, mhz = (uint32_t)(m->tsc_hz / 1000000);

	/* Linux computes kHz of the crystal times the numerator in 32 bits, so the numerator must be small; what that
	 * leaves of error (50 ppm at most) goes into the crystal, for the TSC is what guests keep time by. */
	fraction(m->tsc_hz, APIC_HZ, UINT32_MAX / (APIC_HZ / 1000 + 100), &num, &den);
	crystal_khz = (uint32_t)((m->tsc_hz * den / num + 500) / 1000);
	leaf_add(m, 0x15, den, num, crystal_khz * 1000, 0);
	leaf_add(m, 0x16, mhz, mhz, 100, 0);
}

/* --- leaves --- */

static void vendor_leaf(struct cpu_model *m, uint32_t leaf, uint32_t max)
{
	static const char *const names[] = { [VENDOR_INTEL] = "GenuineIntel", [VENDOR_AMD] = "AuthenticAMD" };
	const char *name = names[m->vendor];

	leaf_add(m, leaf, max, get_le32(name), get_le32(name + 8), get_le32(name + 4));
}

static void basic_leaves(struct cpu_model *m, const struct cpuid_plan *plan)
{
	const uint32_t *w = plan->word;

	vendor_leaf(m, 0, plan->max_leaf);
	/* CLFLUSH 64 bytes, one thread, APIC ID 0 */
	leaf_add(m, 1, plan->signature, 8u << 8 | 1u << 16, w[CW_1_ECX], w[CW_1_EDX]);
	if (plan->max_leaf < 2)
		return;
	if (is_intel(plan) && plan->host_caches)
		caches_host(m);
	else if (is_intel(plan))
		caches_fixed(m, plan); /* AMD: 0x80000005, 0x80000006, 0x8000001d */
	if (plan->max_leaf >= 6)
		leaf_add(m, 6, B(2), 0, 0, 0); /* ARAT: the APIC timer never stops */
	if (plan->max_leaf >= 7) {
		const uint32_t sub0[4] = { 1, w[CW_7_EBX], w[CW_7_ECX], w[CW_7_EDX] };
		const uint32_t sub1[4] = { w[CW_71_EAX] };

		leaf_add_sub(m, 7, 0, sub0);
		leaf_add_sub(m, 7, 1, sub1);
	}
	if (plan->max_leaf >= 0xb) {
		/* SDM vol 2: level type 1 is SMT, 2 is core */
		const uint32_t smt[4] = { 0, 1, 1u << 8, 0 }, core[4] = { 0, 1, 2u << 8 | 1, 0 };

		leaf_add_sub(m, 0xb, 0, smt);
		leaf_add_sub(m, 0xb, 1, core);
	}
	if (plan->max_leaf >= 0x16)
		time_leaves(m);
}

static uint64_t plan_xcr0(const struct cpuid_plan *plan)
{
	uint64_t xcr0 = XCR0_X87 | XCR0_SSE;

	if (!(plan->word[CW_1_ECX] & B(26)))
		return 0;
	if (plan->word[CW_1_ECX] & B(28))
		xcr0 |= XCR0_AVX;
	if (plan->word[CW_7_EBX] & B(16))
		xcr0 |= XCR0_AVX512;
	return xcr0;
}

/* Sizes and offsets of the components are the host's: its XSAVE writes the areas. EBX is filled in when asked. */
static void xsave_leaves(struct cpu_model *m, const struct cpuid_plan *plan)
{
	uint32_t max = 576, sub1[4] = { plan->word[CW_D1_EAX] };
	uint32_t comp[32][4];

	if (!m->xcr0_valid)
		return;
	for (unsigned i = 2; i < 32; i++) {
		if (!(m->xcr0_valid >> i & 1))
			continue;
		cpu_host_cpuid(0xd, i, comp[i]);
		comp[i][CPUID_ECX] &= 2; /* alignment in the compacted format; never a supervisor component */
		comp[i][CPUID_EDX] = 0;
		max = MAX(max, comp[i][CPUID_EAX] + comp[i][CPUID_EBX]);
	}
	leaf_add_sub(m, 0xd, 0, (uint32_t[4]){ (uint32_t)m->xcr0_valid, max, max, 0 });
	leaf_add_sub(m, 0xd, 1, sub1);
	for (unsigned i = 2; i < 32; i++) {
		if (m->xcr0_valid >> i & 1)
			leaf_add_sub(m, 0xd, i, comp[i]);
	}
}

/* Ways by the number that stands for them: APM vol 3 "CPUID", Fn8000_0006; 0: that leaf does not say. */
static unsigned ways_of(unsigned code)
{
	static const uint8_t ways[16] = { [1] = 1, [2] = 2, [3] = 3, [4] = 4, [5] = 6, [6] = 8, [8] = 16, [10] = 32,
		[11] = 48, [12] = 64, [13] = 96, [14] = 128 };

	return ways[code];
}

/* Sub-leaves of the form of Intel's leaf 4: APM vol 3 "CPUID", Fn8000_001D. */
static uint32_t cache_leaf_amd(struct cpu_model *m, uint32_t sub, unsigned type, unsigned level, uint32_t kib,
                               unsigned ways)
{
	const uint32_t out[4] = { type | level << 5 | B(8), 63 | (ways - 1) << 22, kib * 1024 / 64 / MAX(ways, 1u) - 1, 0 };

	if (!kib || !ways)
		return sub;
	leaf_add_sub(m, 0x8000001d, sub, out);
	return sub + 1;
}

/* The caches of leaves 0x80000005 and 0x80000006, which say the same in another way; one core with one thread. */
static void topology_amd(struct cpu_model *m, const uint32_t l1[4], const uint32_t l2[4])
{
	const uint32_t none[4] = { 0 };
	uint32_t sub = 0;
	unsigned l3_ways = ways_of(l2[CPUID_EDX] >> 12 & 15);

	sub = cache_leaf_amd(m, sub, CACHE_DATA, 1, l1[CPUID_ECX] >> 24, l1[CPUID_ECX] >> 16 & 0xff);
	sub = cache_leaf_amd(m, sub, CACHE_CODE, 1, l1[CPUID_EDX] >> 24, l1[CPUID_EDX] >> 16 & 0xff);
	sub = cache_leaf_amd(m, sub, CACHE_UNIFIED, 2, l2[CPUID_ECX] >> 16, ways_of(l2[CPUID_ECX] >> 12 & 15));
	sub = cache_leaf_amd(m, sub, CACHE_UNIFIED, 3, (l2[CPUID_EDX] >> 18) * 512, l3_ways ? l3_ways : 16);
	leaf_add_sub(m, 0x8000001d, sub, none);
	leaf_add(m, 0x8000001e, 0, 0, 0, 0); /* APIC ID, core and node 0 */
}

static void leaves_amd(struct cpu_model *m, const struct cpuid_plan *plan, const uint32_t l1[4], const uint32_t l2[4])
{
	uint32_t out[4] = { 0 };

	topology_amd(m, l1, l2);
	if (plan->host_caches)
		cpu_host_cpuid(0x8000001a, 0, out); /* hints: how wide vectors are computed */
	leaf_add(m, 0x8000001a, out[CPUID_EAX] & 0xf, 0, 0, 0);
	leaf_add(m, 0x80000021, plan->word[CW_821_EAX], 0, plan->word[CW_821_ECX], 0);
}

static void extended_leaves(struct cpu_model *m, const struct cpuid_plan *plan)
{
	/* AMD repeats these bits of leaf 1 EDX: APM vol 3 "Fn8000_0001_EDX" */
	const uint32_t amd_copy = 0x0183f3ff;
	uint32_t edx = plan->word[CW_81_EDX], out5[4] = { 0 }, out6[4] = { 0, 0, 0x01006040, 0 };
	static const uint32_t opteron5[4] = { 0xff08ff08, 0xff20ff20, 0x40020140, 0x40020140 }, opteron6 = 0x04008140;

	if (!plan->max_ext)
		return;
	if (!is_intel(plan))
		edx |= plan->word[CW_1_EDX] & amd_copy;
	vendor_leaf(m, 0x80000000, plan->max_ext);
	leaf_add(m, 0x80000001, is_intel(plan) ? 0 : plan->signature, 0, plan->word[CW_81_ECX], edx);
	for (uint32_t i = 0; i < 3; i++) {
		const char *b = plan->brand + 16 * i;

		leaf_add(m, 0x80000002 + i, get_le32(b), get_le32(b + 4), get_le32(b + 8), get_le32(b + 12));
	}
	if (plan->host_caches) {
		cpu_host_cpuid(0x80000005, 0, out5);
		cpu_host_cpuid(0x80000006, 0, out6);
	} else if (!is_intel(plan)) {
		memcpy(out5, opteron5, sizeof(out5)); /* 64 KiB each; 1 MiB, 16 ways */
		out6[CPUID_ECX] = opteron6;
	}
	leaf_add(m, 0x80000005, out5[0], out5[1], out5[2], out5[3]);
	leaf_add(m, 0x80000006, out6[0], out6[1], out6[2], out6[3]);
	leaf_add(m, 0x80000007, 0, 0, 0, B(8)); /* invariant TSC */
	leaf_add(m, 0x80000008, plan->phys_bits | 48u << 8, plan->word[CW_88_EBX], 0, 0);
	if (plan->max_ext >= 0x80000021)
		leaves_amd(m, plan, out5, out6);
}

static void hypervisor_leaves(struct cpu_model *m, const struct cpuid_plan *plan)
{
	static const char signature[] = "ring3 VMM   ";

	if (!(plan->word[CW_1_ECX] & B(31)))
		return;
	leaf_add(m, 0x40000000, 0x40000010, get_le32(signature), get_le32(signature + 4), get_le32(signature + 8));
	leaf_add(m, 0x40000010, (uint32_t)(m->tsc_hz / 1000), APIC_HZ / 1000, 0, 0);
}

/* --- what follows from the features --- */

static bool has(const struct cpuid_plan *plan, enum cpuid_word w, unsigned bit)
{
	return plan->word[w] >> bit & 1;
}

static void set_flags(struct cpu_model *m, const struct cpuid_plan *plan)
{
	m->apic = has(plan, CW_1_EDX, 9);
	m->long_mode = has(plan, CW_81_EDX, 29);
	m->nx = has(plan, CW_81_EDX, 20);
	m->rdtscp = has(plan, CW_81_EDX, 27);
	m->page1g = has(plan, CW_81_EDX, 26);
	m->pcid = has(plan, CW_1_ECX, 17);
	m->x2apic = has(plan, CW_1_ECX, 21);
	m->tsc_deadline = has(plan, CW_1_ECX, 24);
	m->cmpxchg16b = has(plan, CW_1_ECX, 13);
	m->xsave = has(plan, CW_1_ECX, 26);
	m->avx = has(plan, CW_1_ECX, 28);
	m->avx512 = has(plan, CW_7_EBX, 16);
	m->invpcid = has(plan, CW_7_EBX, 10);
	m->smap = has(plan, CW_7_EBX, 20);
	m->fsgsbase = has(plan, CW_7_EBX, 0);
	m->no_fcs = has(plan, CW_7_EBX, 13);
	m->rdpid = has(plan, CW_7_ECX, 22);
	m->umip = has(plan, CW_7_ECX, 2);
	m->pse = has(plan, CW_1_EDX, 3);
	m->pae = has(plan, CW_1_EDX, 6);
	m->pge = has(plan, CW_1_EDX, 13);
	m->sysenter = has(plan, CW_1_EDX, 11);
	m->phys_bits = plan->phys_bits;
	m->vendor = plan->vendor;
}

/* Which feature brings which bit of CR4: SDM vol 3 2.5. */
static uint64_t cr4_of(const struct cpuid_plan *plan)
{
	static const struct { uint32_t cr4; uint8_t word, bit; } rows[] = {
		{ CR4_TSD, CW_1_EDX, 4 }, { CR4_DE, CW_1_EDX, 2 }, { CR4_PSE, CW_1_EDX, 3 }, { CR4_PAE, CW_1_EDX, 6 },
		{ CR4_MCE, CW_1_EDX, 7 }, { CR4_PGE, CW_1_EDX, 13 }, { CR4_PCE, CW_1_EDX, 23 }, { CR4_OSFXSR, CW_1_EDX, 24 },
		{ CR4_OSXMMEXCPT, CW_1_EDX, 25 }, { CR4_UMIP, CW_7_ECX, 2 }, { CR4_FSGSBASE, CW_7_EBX, 0 },
		{ CR4_PCIDE, CW_1_ECX, 17 }, { CR4_OSXSAVE, CW_1_ECX, 26 }, { CR4_SMEP, CW_7_EBX, 7 },
		{ CR4_SMAP, CW_7_EBX, 20 },
	};
	uint64_t valid = 0;

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		if (has(plan, rows[i].word, rows[i].bit))
			valid |= rows[i].cr4;
	}
	return valid;
}

/* XSAVE asks each time. */
static void note_xsave(struct cpu_model *m)
{
	for (unsigned i = 0; i < m->nleaves; i++) {
		const struct cpuid_leaf *l = &m->leaf[i];

		if (l->leaf != 0xd)
			continue;
		if (l->sub == 1)
			m->xsave_forms = l->eax;
		if (l->sub > 1 && l->sub < ARRAY_LEN(m->component)) {
			m->component[l->sub].size = l->eax;
			m->component[l->sub].offset = l->ebx;
			m->component[l->sub].aligned = l->ecx >> 1 & 1;
		}
	}
}

void cpuid_build(struct cpu_model *m, const struct cpuid_plan *plan)
{
	set_flags(m, plan);
	m->cr4_valid = cr4_of(plan);
	m->xcr0_valid = plan_xcr0(plan);
	m->efer_valid = (has(plan, CW_81_EDX, 11) ? EFER_SCE : 0) | (m->nx ? EFER_NXE : 0) |
			(m->long_mode ? EFER_LME | EFER_LMA : 0) | (has(plan, CW_821_EAX, 8) ? EFER_AIBRSE : 0);
	basic_leaves(m, plan);
	if (plan->max_leaf >= 0xd)
		xsave_leaves(m, plan);
	note_xsave(m);
	extended_leaves(m, plan);
	hypervisor_leaves(m, plan);
}
