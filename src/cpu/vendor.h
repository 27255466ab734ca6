// SPDX-License-Identifier: GPL-2.0-or-later
/* what: does the guest's CPU do what CPUs of one vendor do? The rules are in vendor.def */
#ifndef CPU_VENDOR_H
#define CPU_VENDOR_H

#include "cpu/cpuid.h"

enum vendor_rule {
#define VENDOR_RULE(name, whose) RULE_##name,
#include "cpu/vendor.def"
#undef VENDOR_RULE
};

static inline bool vendor_rule(bool amd, enum vendor_rule rule)
{
	static const uint8_t whose[] = {
#define VENDOR_RULE(name, whose) VENDOR_##whose,
#include "cpu/vendor.def"
#undef VENDOR_RULE
	};

	return amd == (whose[rule] == VENDOR_AMD);
}

static inline bool cpu_rule(const struct cpu *cpu, enum vendor_rule rule)
{
	return vendor_rule(cpu_is_amd(cpu), rule);
}

#endif
