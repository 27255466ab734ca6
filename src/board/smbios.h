// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the SMBIOS tables that name this machine to the guest */
#ifndef BOARD_SMBIOS_H
#define BOARD_SMBIOS_H

#include "base/base.h"
#include "cpu/cpuid.h"

#define SMBIOS_MAX 2048
#define SMBIOS_ANCHOR_SIZE 31

struct smbios_tables {
	uint8_t anchor[SMBIOS_ANCHOR_SIZE]; /* checksums are right for the address given to smbios_build() */
	uint8_t tables[SMBIOS_MAX];
	uint32_t len;
};

struct smbios_config {
	uint64_t ram_size;
	uint64_t ram_below4g;
	struct cpu_topology cpus;
	uint32_t cpu_signature; /* CPUID.1:EAX */
	uint32_t cpu_features;  /* CPUID.1:EDX */
	uint32_t tables_at;     /* guest-physical; the firmware changes it to its own */
};

void smbios_build(struct smbios_tables *t, const struct smbios_config *cfg);

#endif
