// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the map of guest-physical memory that boot protocols hand to a kernel */
#ifndef BOARD_E820_H
#define BOARD_E820_H

#include "base/base.h"

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3 };
#define E820_MAX 16

struct e820_entry {
	uint64_t addr, size;
	uint32_t type;
};
struct e820_map {
	struct e820_entry entry[E820_MAX];
	unsigned n;
};

#define E820_EBDA 0x9fc00u  /* the last KiB of conventional memory: extended BIOS data area */
#define E820_BIOS 0xf0000u  /* where guests look for the RSDP and the SMBIOS anchor */

/* tables, tables_size: RAM below 4 GiB that holds ACPI tables. rom_size: bytes of ROM that end at 4 GiB; may be 0. */
void e820_build(struct e820_map *m, uint64_t below4g, uint64_t above4g, uint64_t tables, uint64_t tables_size,
                uint64_t rom_size);

#endif
