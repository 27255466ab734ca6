// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the Intel MP table, by which kernels older than ACPI find processors and the IO-APIC */
#ifndef BOARD_MPTABLE_H
#define BOARD_MPTABLE_H

#include "base/base.h"
#include "cpu/cpuid.h"

#define MPTABLE_MAX 4096

struct mptable {
	uint8_t bytes[MPTABLE_MAX]; /* the floating pointer, then the configuration table */
	uint32_t len;
};

struct mptable_config {
	uint32_t at;            /* guest-physical address of bytes[0]; a multiple of 16 */
	struct cpu_topology cpus;
	uint32_t cpu_signature; /* CPUID.1:EAX */
	uint32_t cpu_features;  /* CPUID.1:EDX */
	uint32_t slots;         /* PCI slots with a device, a bit each */
	/* IO-APIC input of pin 0 to 3 (INTA to INTD) of a slot */
	uint8_t (*pci_irq)(unsigned slot, unsigned pin);
};

void mptable_build(struct mptable *t, const struct mptable_config *cfg);

#endif
