// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the map of guest-physical memory that boot protocols hand to a kernel
 *
 * Needed only when a kernel is started without firmware; firmware makes its own map from RAM sizes. Entries are in
 * rising order and do not overlap (ACPI 6.5, 15.1 allows less, old kernels like it so).
 */
#include "board/e820.h"

static void add(struct e820_map *m, uint64_t start, uint64_t end, enum e820_type type)
{
	if (start >= end)
		return;
	must(m->n < E820_MAX);
	m->entry[m->n++] = (struct e820_entry){ start, end - start, type };
}

void e820_build(struct e820_map *m, uint64_t below4g, uint64_t above4g, uint64_t tables, uint64_t tables_size,
                uint64_t rom_size)
{
	m->n = 0;
	add(m, 0, E820_EBDA, E820_RAM);
	add(m, E820_EBDA, 0xa0000, E820_RESERVED);
	add(m, E820_BIOS, 0x100000, E820_RESERVED);
	add(m, 0x100000, tables, E820_RAM);
	add(m, tables, tables + tables_size, E820_ACPI);
	add(m, tables + tables_size, below4g, E820_RAM);
	add(m, 0xfec00000, 0xfec01000, E820_RESERVED); /* IO-APIC */
	add(m, 0xfee00000, 0xfee01000, E820_RESERVED); /* local APIC */
	add(m, GIB(4) - rom_size, GIB(4), E820_RESERVED);
	add(m, GIB(4), GIB(4) + above4g, E820_RAM);
}
