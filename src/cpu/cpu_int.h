// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the files of cpu/ share: host CPUID, XCR0 components, FPU set-up */
#ifndef CPU_CPU_INT_H
#define CPU_CPU_INT_H

#include "cpu/cpu.h"
#include "cpu/cpuid.h"

/* XSAVE components, SDM vol 1 13.1 */
#define XCR0_X87 (1u << 0)
#define XCR0_SSE (1u << 1)
#define XCR0_AVX (1u << 2)
#define XCR0_ZMM_HI256 (1u << 6)
#define XCR0_AVX512 (7u << 5) /* opmask, ZMM_Hi256, Hi16_ZMM: only together */
#define XCR0_KNOWN (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)

static inline void cpu_host_cpuid(uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	__asm__ volatile("cpuid" : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3]) : "a"(leaf), "c"(sub));
}

static inline uint64_t cpu_host_tsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* Components the host's kernel enabled, of those we know; 0: no XSAVE. */
uint64_t cpu_host_xcr0(void);
bool cpu_host_xsaveopt(void);
/* Decide once how this cpu's FPU state is moved. */
void cpu_fpu_probe(struct cpu *cpu);
/* State after RESET, parked. */
void cpu_fpu_reset(struct cpu *cpu);

/* --- building models (cpuid_*.c) --- */
enum { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* The words of CPUID that hold feature bits. */
enum cpuid_word { CW_1_ECX, CW_1_EDX, CW_7_EBX, CW_7_ECX, CW_7_EDX, CW_71_EAX, CW_D1_EAX, CW_81_ECX, CW_81_EDX,
	CW_88_EBX, CW_821_EAX, CW_821_ECX, CW_COUNT };

/* What a model is made from before leaves are written. */
struct cpuid_plan {
	enum cpu_vendor vendor;
	char brand[49];
	uint32_t signature;          /* leaf 1 EAX */
	uint32_t max_leaf, max_ext;  /* max_ext 0: no extended leaves */
	uint32_t word[CW_COUNT];
	uint8_t phys_bits;
	bool host_caches;            /* leaves 2, 4 and 0x80000005/6 are the host's */
};

/* Features the host has that guests can use, and those of vendor's CPUs that we emulate whatever the host. */
void cpuid_host_words(uint32_t word[CW_COUNT], enum cpu_vendor vendor);
/* Fill the plan of "host". */
void cpuid_host_plan(struct cpuid_plan *plan);
/* Bits of words that stand for instructions the host itself must execute. */
uint32_t cpuid_native_bits(enum cpuid_word w);
uint64_t cpuid_measure_tsc(void);
/* Write the leaves that plan asks for. */
void cpuid_build(struct cpu_model *m, const struct cpuid_plan *plan);

#endif
