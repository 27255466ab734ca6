// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the CPU models by name
 *
 * "host" is what the host has. The others are the same everywhere: old CPUs for old guests, and the psABI's levels for
 * guests that move between hosts. A level holds just its instructions, plus what we emulate and costs nothing.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_int.h"

#define B(n) (1u << (n))
#define PHYS_BITS_MIN 36
#define PHYS_BITS_MAX 52 /* SDM vol 3 4.1.4 */

/* Leaf 1 EDX. VME is missing everywhere: CR4.VME is not implemented. */
#define EDX_486 (B(0)) /* FPU */
#define EDX_P5 (EDX_486 | B(2) | B(3) | B(4) | B(5) | B(7) | B(8) | B(9)) /* DE PSE TSC MSR MCE CX8 APIC */
/* PAE SEP MTRR PGE MCA CMOV PAT PSE36 MMX FXSR SSE */
#define EDX_P3 (EDX_P5 | B(6) | B(11) | B(12) | B(13) | B(14) | B(15) | B(16) | B(17) | B(23) | B(24) | B(25))
#define EDX_64 (EDX_P3 | B(19) | B(26) | B(27)) /* CLFSH SSE2 SS */
/* 0x80000001 EDX */
#define EXT_64 (B(11) | B(20) | B(29)) /* SYSCALL NX LM */
#define EXT_V (EXT_64 | B(26) | B(27)) /* 1G RDTSCP */
/* Leaf 1 ECX */
#define ECX_EMU (B(17) | B(21) | B(24) | B(31)) /* PCID x2APIC TSC-deadline hypervisor */
#define ECX_V2 (B(0) | B(9) | B(13) | B(19) | B(20) | B(23)) /* SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT */
#define ECX_V3 (ECX_V2 | B(12) | B(22) | B(26) | B(28) | B(29)) /* FMA MOVBE XSAVE AVX F16C */
/* Leaf 7 */
#define EBX_EMU (B(0) | B(1) | B(7) | B(10) | B(20)) /* FSGSBASE TSC_ADJUST SMEP INVPCID SMAP */
#define EBX_V3 (B(3) | B(5) | B(8)) /* BMI1 AVX2 BMI2 */
#define EBX_V4 (EBX_V3 | B(16) | B(17) | B(28) | B(30) | B(31)) /* AVX-512 F DQ CD BW VL */
#define ECX7_EMU B(2) /* UMIP */
#define EDX7_EMU (B(26) | B(29)) /* SPEC_CTRL ARCH_CAPABILITIES */

static const struct model_row {
	const char *name, *what, *brand;
	uint32_t signature, max_leaf, max_ext;
	uint8_t phys_bits;
	uint32_t word[CW_COUNT];
	enum cpu_vendor vendor;
} rows[] = {
	{ "486", "Intel 486 DX4: no TSC, no large pages", "", 0x480, 1, 0, 32, { [CW_1_EDX] = EDX_486 } },
	{ "pentium", "Intel Pentium", "", 0x52c, 1, 0, 32, { [CW_1_EDX] = EDX_P5 } },
	{ "pentium3", "Intel Pentium III: PAE, SSE", "", 0x686, 2, 0, 36, { [CW_1_EDX] = EDX_P3 } },
	{ "core2", "Intel Core 2: 64 bits, SSSE3", "Intel(R) Core(TM)2 CPU", 0x6fb, 6, 0x80000008, 36,
	  { [CW_1_EDX] = EDX_64, [CW_1_ECX] = B(0) | B(9) | B(13) | B(31), [CW_81_EDX] = EXT_64, [CW_81_ECX] = B(0) } },
	{ "opteron", "AMD Opteron: 64 bits, SSE3", "AMD Opteron(tm) Processor", 0x40f12, 1, 0x80000008, 40,
	  { [CW_1_EDX] = EDX_64 & ~B(27), [CW_1_ECX] = B(0) | B(13) | B(31), [CW_81_EDX] = EXT_64 | B(27),
	    [CW_81_ECX] = B(0) }, VENDOR_AMD },
	{ "x86-64-v1", "64 bits, SSE2", "ring3 x86-64-v1", 0x6fb, 0x16, 0x80000008, 40,
	  { [CW_1_EDX] = EDX_64, [CW_1_ECX] = ECX_EMU, [CW_7_EBX] = EBX_EMU, [CW_7_ECX] = ECX7_EMU, [CW_7_EDX] = EDX7_EMU,
	    [CW_81_EDX] = EXT_V } },
	{ "x86-64-v2", "v1, SSE4.2, POPCNT, CMPXCHG16B", "ring3 x86-64-v2", 0x106a5, 0x16, 0x80000008, 40,
	  { [CW_1_EDX] = EDX_64, [CW_1_ECX] = ECX_EMU | ECX_V2, [CW_7_EBX] = EBX_EMU, [CW_7_ECX] = ECX7_EMU,
	    [CW_7_EDX] = EDX7_EMU, [CW_81_EDX] = EXT_V, [CW_81_ECX] = B(0) } },
	{ "x86-64-v3", "v2, AVX2, BMI2, FMA, MOVBE", "ring3 x86-64-v3", 0x306c3, 0x16, 0x80000008, 40,
	  { [CW_1_EDX] = EDX_64, [CW_1_ECX] = ECX_EMU | ECX_V3, [CW_7_EBX] = EBX_EMU | EBX_V3, [CW_7_ECX] = ECX7_EMU,
	    [CW_7_EDX] = EDX7_EMU, [CW_81_EDX] = EXT_V, [CW_81_ECX] = B(0) | B(5) } },
	{ "x86-64-v4", "v3, AVX-512 F BW CD DQ VL", "ring3 x86-64-v4", 0x50654, 0x16, 0x80000008, 40,
	  { [CW_1_EDX] = EDX_64, [CW_1_ECX] = ECX_EMU | ECX_V3, [CW_7_EBX] = EBX_EMU | EBX_V4, [CW_7_ECX] = ECX7_EMU,
	    [CW_7_EDX] = EDX7_EMU, [CW_81_EDX] = EXT_V, [CW_81_ECX] = B(0) | B(5) } },
};

static const struct cpuid_model_name names[] = {
	{ "host", "the host's CPU, less what cannot be virtualized (default; also \"max\")" },
	{ "486", "Intel 486 DX4: no TSC, no large pages" },
	{ "pentium", "Intel Pentium" },
	{ "pentium3", "Intel Pentium III: PAE, SSE" },
	{ "core2", "Intel Core 2: 64 bits, SSSE3" },
	{ "opteron", "AMD Opteron: 64 bits, SSE3" },
	{ "x86-64-v1", "64 bits, SSE2" },
	{ "x86-64-v2", "v1, SSE4.2, POPCNT, CMPXCHG16B" },
	{ "x86-64-v3", "v2, AVX2, BMI2, FMA, MOVBE" },
	{ "x86-64-v4", "v3, AVX-512 F BW CD DQ VL" },
	{ NULL, NULL },
};

const struct cpuid_model_name *cpuid_model_names(void)
{
	return names;
}

static bool is_host(const char *name)
{
	return !strcmp(name, "host") || !strcmp(name, "max");
}

static const struct model_row *row_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	}
	return NULL;
}

/* Instructions of the model that the host cannot execute. */
static int row_check(const struct model_row *row, struct err *err)
{
	static const char *const where[CW_COUNT] = { "1:ECX", "1:EDX", "7:EBX", "7:ECX", "7:EDX", "7.1:EAX", "0xd.1:EAX",
						     "0x80000001:ECX", "0x80000001:EDX", "0x80000008:EBX",
						     "0x80000021:EAX", "0x80000021:ECX" };
	uint32_t word[CW_COUNT];

	cpuid_host_words(word, VENDOR_INTEL);
	for (unsigned w = 0; w < CW_COUNT; w++) {
		uint32_t lacks = row->word[w] & cpuid_native_bits(w) & ~word[w];

		if (lacks)
			return err_set(err, -ENOTSUP, "the host lacks instructions of CPU model %s (CPUID %s bits 0x%x)",
				       row->name, where[w], lacks);
	}
	return 0;
}

static void row_plan(const struct model_row *row, struct cpuid_plan *plan)
{
	struct cpuid_plan host;

	cpuid_host_plan(&host);
	memset(plan, 0, sizeof(*plan));
	plan->vendor = row->vendor;
	memcpy(plan->brand, row->brand, strlen(row->brand));
	plan->signature = row->signature;
	plan->max_leaf = row->max_leaf;
	plan->max_ext = row->max_ext;
	memcpy(plan->word, row->word, sizeof(plan->word));
	plan->phys_bits = MIN(row->phys_bits, host.phys_bits);
}

/* SDM vol 3 4.1.4: without CPUID.80000008H the width is fixed, 36 bits with PAE and 32 else; AMD APM vol 3 likewise. */
static int set_phys_bits(const char *text, struct cpuid_plan *plan, struct err *err)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (!isdigit((unsigned char)*text) || *end || n < PHYS_BITS_MIN || n > PHYS_BITS_MAX)
		return err_set(err, -EINVAL, "phys-bits=%.40s: give a number from %d to %d", text, PHYS_BITS_MIN,
			       PHYS_BITS_MAX);
	if (plan->max_ext < 0x80000008)
		return err_set(err, -EINVAL, "phys-bits: this CPU model has a fixed width of %u bits", plan->phys_bits);
	plan->phys_bits = (uint8_t)n;
	return 0;
}

/* What follows the model's name. */
static int set_properties(char *list, struct cpuid_plan *plan, struct err *err)
{
	char *property;

	while ((property = strsep(&list, ","))) {
		if (strncmp(property, "phys-bits=", 10))
			return err_set(err, -EINVAL, "CPU property \"%.40s\" is unknown: only phys-bits=N is known", property);
		if (set_phys_bits(property + 10, plan, err))
			return -EINVAL;
	}
	return 0;
}

static int plan_make(const char *name, struct cpuid_plan *plan, struct err *err)
{
	const struct model_row *row;
	int ret;

	if (is_host(name)) {
		cpuid_host_plan(plan);
		return 0;
	}
	row = row_find(name);
	if (!row)
		return err_set(err, -EINVAL,
		               "no CPU model \"%.40s\"; there are host, 486, pentium, pentium3, core2, opteron, x86-64-v1 to v4",
			       name);
	ret = row_check(row, err);
	if (ret < 0)
		return ret;
	row_plan(row, plan);
	return 0;
}

struct cpu_model *cpuid_model_new(const char *spec, struct err *err)
{
	char *copy = xstrdup(spec ? spec : "host"), *properties = copy, *name = strsep(&properties, ",");
	struct cpu_model *m = NULL;
	struct cpuid_plan plan;

	if (plan_make(name, &plan, err) < 0 || set_properties(properties, &plan, err) < 0)
		goto out;
	m = xalloc(sizeof(*m));
	m->name = is_host(name) ? "host" : row_find(name)->name;
	m->tsc_hz = cpuid_measure_tsc();
	m->topology = (struct cpu_topology){ 1, 1, 1 };
	cpuid_build(m, &plan);
out:
	free(copy);
	return m;
}
