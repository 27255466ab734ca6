// SPDX-License-Identifier: GPL-2.0-or-later
/* what: answering CPUID from the model's table, with the few bits that follow the CPU's state
 *
 * Reachable from translated code, so no libc here. Leaves beyond the last answer as the last does, or with zeros
 * (CPUID_ZERO_BEYOND in vendor.def).
 */
#include "cpu/cpu_int.h"
#include "cpu/vendor.h"

#define EXT_BASE 0x80000000u
#define HV_BASE 0x40000000u
#define MISC_ENABLE_LIMIT_CPUID (1u << 22)

static const struct cpuid_leaf *leaf_find(const struct cpu_model *m, uint32_t leaf, uint32_t sub)
{
	for (unsigned i = 0; i < m->nleaves; i++) {
		if (m->leaf[i].leaf == leaf && (!m->leaf[i].has_sub || m->leaf[i].sub == sub))
			return &m->leaf[i];
	}
	return NULL;
}

static uint32_t leaf_max(const struct cpu_model *m, uint32_t base)
{
	const struct cpuid_leaf *l = leaf_find(m, base, 0);

	return l ? l->eax : 0;
}

/* The leaf that answers for leaf; where none does, one that no model has. */
static uint32_t leaf_clamp(const struct cpu *cpu, uint32_t leaf)
{
	const struct cpu_model *m = cpu->model;
	uint32_t base = leaf & 0xffff0000;
	uint32_t max = leaf_max(m, 0);

	if ((base == EXT_BASE || base == HV_BASE) && leaf <= leaf_max(m, base))
		return leaf;
	if (cpu->s.misc_enable & MISC_ENABLE_LIMIT_CPUID && max > 3)
		max = 3;
	if (base == 0 && leaf <= max)
		return leaf;
	return cpu_rule(cpu, RULE_CPUID_ZERO_BEYOND) ? UINT32_MAX : max;
}

/* Where the area ends in the standard (compact = false) and compacted format: SDM vol 1 13.4.3. */
static uint32_t xsave_size(const struct cpu_model *m, uint64_t xcr0, bool compact)
{
	uint32_t size = 576;

	for (unsigned i = 2; i < 32; i++) {
		const struct cpuid_leaf *l = xcr0 >> i & 1 ? leaf_find(m, 0xd, i) : NULL;

		if (!l)
			continue;
		if (compact)
			size = (l->ecx & 2 ? (size + 63) & ~63u : size) + l->eax;
		else
			size = MAX(size, l->ebx + l->eax);
	}
	return size;
}

bool cpuid_offers(const struct cpu_model *m, uint32_t leaf, uint32_t sub, unsigned reg, unsigned bit)
{
	const struct cpuid_leaf *l = leaf_find(m, leaf, sub);
	const uint32_t out[4] = { l ? l->eax : 0, l ? l->ebx : 0, l ? l->ecx : 0, l ? l->edx : 0 };

	return out[reg] >> bit & 1;
}

static void set_bit(uint32_t *word, unsigned bit, bool on)
{
	*word = (*word & ~(1u << bit)) | (uint32_t)on << bit;
}

static void answer_dynamic(const struct cpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	const struct cpu_model *m = cpu->model;

	switch (leaf) {
	case 1:
		out[CPUID_EBX] |= (uint32_t)cpu->apic_id << 24;
		set_bit(&out[CPUID_ECX], 27, cpu->s.cr4 & CR4_OSXSAVE);
		break;
	case 0xb:
		out[CPUID_EDX] = cpu->apic_id;
		break;
	case EXT_BASE + 0x1e:
		out[CPUID_EAX] = cpu->apic_id;
		out[CPUID_EBX] |= cpu->number / m->topology.threads % m->topology.cores;
		out[CPUID_ECX] = cpu->number / m->topology.threads / m->topology.cores;
		break;
	case 0xd:
		if (sub == 0 && m->xcr0_valid)
			out[CPUID_EBX] = xsave_size(m, cpu->s.xcr0, false);
		else if (sub == 1 && out[CPUID_EAX] & 2)
			out[CPUID_EBX] = xsave_size(m, cpu->s.xcr0, true);
		break;
	case EXT_BASE + 1:
		if (cpu_rule(cpu, RULE_CPUID_SYSCALL_64) && !cpu_code64(cpu))
			set_bit(&out[CPUID_EDX], 11, false);
		break;
	}
}

void cpuid_answer(const struct cpu *cpu, uint32_t leaf, uint32_t sub, uint32_t out[4])
{
	const struct cpuid_leaf *l;

	leaf = leaf_clamp(cpu, leaf);
	l = leaf_find(cpu->model, leaf, sub);
	out[0] = out[1] = out[2] = out[3] = 0;
	if (!l) {
		if (leaf == 0xb) { /* SDM: ECX[7:0] always gives the input back, EDX the x2APIC ID */
			out[CPUID_ECX] = sub & 0xff;
			out[CPUID_EDX] = cpu->apic_id;
		}
		return;
	}
	out[CPUID_EAX] = l->eax;
	out[CPUID_EBX] = l->ebx;
	out[CPUID_ECX] = l->ecx;
	out[CPUID_EDX] = l->edx;
	answer_dynamic(cpu, leaf, sub, out);
}
