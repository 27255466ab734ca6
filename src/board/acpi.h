// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PC's ACPI tables, and the script that puts them into guest RAM */
#ifndef BOARD_ACPI_H
#define BOARD_ACPI_H

#include "base/base.h"
#include "cpu/cpuid.h"

/* Sizes of the buffers; tables must() fit. */
#define ACPI_TABLES_MAX 8192
#define ACPI_SCRIPT_MAX 32
#define ACPI_RSDP_SIZE 36

/* What the MADT says, for the MP table that must agree with it. */
#define ACPI_IOAPIC_BASE 0xfec00000u
#define ACPI_LAPIC_BASE 0xfee00000u
/* IO-APIC inputs 5, 9, 10, 11, where the SCI and the PIRQs may go: level, active high */
#define ACPI_LEVEL_IRQS 0x0e20u

/* One command of the firmware's table loader; 128 bytes, as the firmware reads it. */
struct acpi_command {
	uint8_t bytes[128];
};

struct acpi_tables {
	uint8_t tables[ACPI_TABLES_MAX];
	uint32_t len;
	uint8_t rsdp[ACPI_RSDP_SIZE];
	struct acpi_command script[ACPI_SCRIPT_MAX];
	uint32_t ncommands;
};

struct acpi_config {
	uint32_t pci_low;  /* start of the PCI memory window: end of RAM below 4 GiB */
	struct cpu_topology cpus;
	bool apic;         /* the CPUs have local APICs: else there is no MADT */
	bool floppy;
	uint16_t pm_base;  /* ports of the power management function */
	uint8_t smi_cmd;   /* port that switches ACPI mode on and off; 0: always on */
	uint8_t acpi_enable, acpi_disable;
};

/* Build the tables with pointers that are offsets still, and the script that turns them into addresses. */
void acpi_build(struct acpi_tables *t, const struct acpi_config *cfg);
/* Run the script as the firmware would, for tables that will be at guest-physical tables_at (a multiple of 64). */
void acpi_relocate(struct acpi_tables *t, uint32_t tables_at);

#endif
