// SPDX-License-Identifier: GPL-2.0-or-later
/* what: CPU models: what CPUID answers and which control bits and MSRs exist, derived once from the host
 *
 * CPUID itself costs 12 us under a hypervisor, so it is executed at start only, for the leaves we keep.
 */
#ifndef CPU_CPUID_H
#define CPU_CPUID_H

#include "cpu/cpu.h"

struct cpuid_leaf {
	uint32_t leaf, sub;
	bool has_sub;
	uint32_t eax, ebx, ecx, edx;
};
/* Whose manual rules where Intel and AMD differ. */
enum cpu_vendor { VENDOR_INTEL, VENDOR_AMD };

/* CPUs are numbered thread by thread, core by core, socket by socket. All 0: one. */
struct cpu_topology {
	unsigned sockets, cores, threads; /* cores of a socket, threads of a core */
};

struct cpu_model {
	const char *name;
	struct cpu_topology topology;
	enum cpu_vendor vendor;
	struct cpuid_leaf leaf[64];
	unsigned nleaves;
	uint64_t cr4_valid;   /* bits a guest may set */
	uint64_t xcr0_valid;  /* 0: no XSAVE */
	uint64_t efer_valid;
	bool apic, long_mode, nx, pcid, invpcid, smap, x2apic, tsc_deadline, rdtscp, rdpid, fsgsbase, umip, page1g, pse,
		pae, pge, sysenter, cmpxchg16b, xsave, avx, avx512,
		no_fcs; /* x87 selectors read 0 */
	/* CPUID.0DH: components of XSAVE areas, and EAX of sub-leaf 1 */
	struct { uint32_t size, offset; bool aligned; } component[8];
	uint32_t xsave_forms;
	unsigned phys_bits;   /* MAXPHYADDR */
	uint64_t tsc_hz;
};

static inline bool cpu_is_amd(const struct cpu *cpu)
{
	return cpu->model && cpu->model->vendor == VENDOR_AMD;
}

/* spec: NULL or "host" (the host less what cannot be virtualized), "x86-64-v1".."x86-64-v4", "486", "pentium",
 * "pentium3", "core2", "opteron", "max" = host. Behind it may stand ",phys-bits=N". Refuses models with features the
 * host lacks. Caller frees with free(). */
struct cpu_model *cpuid_model_new(const char *spec, struct err *err);
/* The leaves that tell of topology say so from now on. A model is made for one CPU. */
void cpuid_set_topology(struct cpu_model *m, const struct cpu_topology *t);
unsigned cpuid_count(const struct cpu_topology *t);
/* APIC ID of CPU number n: fields of whole bits for socket, core and thread (SDM vol 3 9.9.1). Below 255 for up to 64
 * CPUs. */
unsigned cpuid_apic_id(const struct cpu_topology *t, unsigned n);
/* NULL-terminated list of names with one-line descriptions, for --help. */
struct cpuid_model_name { const char *name, *what; };
const struct cpuid_model_name *cpuid_model_names(void);
/* Is this bit of what CPUID answers set (reg: 0 to 3, EAX to EDX)? Without the bits that go by the CPU's state. */
bool cpuid_offers(const struct cpu_model *m, uint32_t leaf, uint32_t sub, unsigned reg, unsigned bit);
/* Answer CPUID, dynamic bits (OSXSAVE, APIC enable, XSAVE size of XCR0, OSPKE...) included. */
void cpuid_answer(const struct cpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4]);

#endif
