// SPDX-License-Identifier: GPL-2.0-or-later
/* what: how many sockets, cores and threads a CPU model tells of
 *
 * Sources: SDM vol 2 "CPUID", leaves 1, 4 and 0BH; SDM vol 3 9.9; APM vol 3 "CPUID", Fn0000_0001, Fn8000_0001,
 * Fn8000_0008, Fn8000_001D and 1E.
 */
#include "cpu/cpu_int.h"

/* Bits that number n things. */
static unsigned width(unsigned n)
{
	return n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0;
}

unsigned cpuid_count(const struct cpu_topology *t)
{
	return MAX(t->sockets, 1u) * MAX(t->cores, 1u) * MAX(t->threads, 1u);
}

unsigned cpuid_apic_id(const struct cpu_topology *t, unsigned n)
{
	unsigned threads = MAX(t->threads, 1u), cores = MAX(t->cores, 1u);
	unsigned core = n / threads % cores, socket = n / threads / cores;

	return (socket << width(cores) | core) << width(threads) | n % threads;
}

/* Caches of levels 1 and 2 are a core's, those above a socket's: bits 25 to 14 say by how many IDs they are shared. */
static void share_cache(struct cpuid_leaf *l, unsigned smt, unsigned all)
{
	unsigned level = l->eax >> 5 & 7;

	if (l->eax & 0x1f)
		l->eax = (l->eax & ~(0xfffu << 14)) | ((1u << (level > 2 ? all : smt)) - 1) << 14;
}

static void set_leaf(struct cpuid_leaf *l, const struct cpu_topology *t, bool amd)
{
	unsigned smt = width(t->threads), all = smt + width(t->cores), many = t->cores * t->threads;

	switch (l->leaf) {
	case 1:
		l->ebx = (l->ebx & 0xff00ffff) | (many > 1 ? 1u << all : 1u) << 16;
		l->edx |= (uint32_t)(many > 1) << 28; /* HTT */
		break;
	case 4:
		share_cache(l, smt, all);
		if (l->eax & 0x1f)
			l->eax = (l->eax & 0x3ffffff) | ((1u << width(t->cores)) - 1) << 26;
		break;
	case 0xb:
		l->eax = l->sub ? all : smt;
		l->ebx = l->sub ? many : t->threads;
		break;
	case 0x80000001:
		l->ecx |= (uint32_t)(amd && many > 1) << 1; /* CmpLegacy */
		break;
	case 0x80000008:
		l->ecx = amd ? (many - 1) | all << 12 : 0;
		break;
	case 0x8000001d:
		share_cache(l, smt, all);
		break;
	case 0x8000001e:
		l->ebx = (t->threads - 1) << 8;
		break;
	}
}

void cpuid_set_topology(struct cpu_model *m, const struct cpu_topology *t)
{
	m->topology = (struct cpu_topology){ MAX(t->sockets, 1u), MAX(t->cores, 1u), MAX(t->threads, 1u) };
	for (unsigned i = 0; cpuid_count(&m->topology) > 1 && i < m->nleaves; i++)
		set_leaf(&m->leaf[i], &m->topology, m->vendor == VENDOR_AMD);
}
