// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the Intel MP table, by which kernels older than ACPI find processors and the IO-APIC
 *
 * Needed only when a kernel is started without firmware; SeaBIOS makes its own. It says what board/acpi.c says in the
 * MADT and the DSDT: ISA interrupts at the IO-APIC inputs of their numbers but for the timer at 2, PCI interrupts at
 * those of the ISA interrupts that they are steered to, LINT0 for the 8259 pair, LINT1 for NMI.
 * Source: Intel 242016, MultiProcessor Specification 1.4, by section.
 */
#include "board/mptable.h"

#include <string.h>

#include "board/acpi.h"

/* 4.3: entry types; 4.3.4 and 4.3.5: interrupt types and flags (polarity, trigger mode; 0: as usual on the bus) */
enum { PROCESSOR = 0, BUS = 1, IOAPIC = 2, IO_INTERRUPT = 3, LOCAL_INTERRUPT = 4 };
enum { TYPE_INT = 0, TYPE_NMI = 1, TYPE_EXTINT = 3 };
enum { AS_THE_BUS = 0, ACTIVE_HIGH_LEVEL = 1 | 3 << 2 };
enum { BUS_PCI = 0, BUS_ISA = 1 };

#define POINTER_SIZE 16
#define HEADER_SIZE 44
#define SPEC_REVISION 4
#define LAPIC_VERSION 0x14
#define IOAPIC_VERSION 0x11
#define IOAPIC_ID 0
#define ALL_LAPICS 0xff

static uint8_t *add(struct mptable *t, uint8_t type, uint32_t len)
{
	uint8_t *e = t->bytes + t->len, *count = t->bytes + POINTER_SIZE + 34;

	must(len <= MPTABLE_MAX - t->len);
	t->len += len;
	e[0] = type;
	put_le16(count, (uint16_t)(get_le16(count) + 1));
	return e;
}

/* 4.3.1 */
static void add_processors(struct mptable *t, const struct mptable_config *cfg)
{
	enum { ENABLED = 1, BOOTSTRAP = 2 };

	for (unsigned i = 0; i < cpuid_count(&cfg->cpus); i++) {
		uint8_t *e = add(t, PROCESSOR, 20);

		e[1] = (uint8_t)cpuid_apic_id(&cfg->cpus, i);
		e[2] = LAPIC_VERSION;
		e[3] = ENABLED | (i ? 0 : BOOTSTRAP);
		put_le32(e + 4, cfg->cpu_signature & 0xfff);
		put_le32(e + 8, cfg->cpu_features);
	}
}

/* 4.3.2 */
static void add_bus(struct mptable *t, uint8_t id, const char *type)
{
	uint8_t *e = add(t, BUS, 8);

	e[1] = id;
	memcpy(e + 2, type, 6);
}

/* 4.3.3 */
static void add_ioapic(struct mptable *t)
{
	uint8_t *e = add(t, IOAPIC, 8);

	e[1] = IOAPIC_ID;
	e[2] = IOAPIC_VERSION;
	e[3] = 1;
	put_le32(e + 4, ACPI_IOAPIC_BASE);
}

/* 4.3.4 and 4.3.5 */
static void add_interrupt(struct mptable *t, uint8_t entry, uint8_t type, uint16_t flags, uint8_t bus, uint8_t irq,
                          uint8_t apic, uint8_t input)
{
	uint8_t *e = add(t, entry, 8);

	e[1] = type;
	put_le16(e + 2, flags);
	e[4] = bus;
	e[5] = irq;
	e[6] = apic;
	e[7] = input;
}

/* 4.3.4, D.3: a PCI interrupt is named by slot and pin. Returns the inputs in use. */
static uint32_t add_pci_interrupts(struct mptable *t, const struct mptable_config *cfg)
{
	uint32_t used = 0;

	for (unsigned slot = 0; slot < 32; slot++)
		for (unsigned pin = 0; pin < 4 && cfg->slots >> slot & 1; pin++) {
			uint8_t input = cfg->pci_irq(slot, pin);

			add_interrupt(t, IO_INTERRUPT, TYPE_INT, ACTIVE_HIGH_LEVEL, BUS_PCI, (uint8_t)(slot << 2 | pin), IOAPIC_ID,
			              input);
			used |= 1u << input;
		}
	return used;
}

static void add_isa_interrupts(struct mptable *t, uint32_t used)
{
	for (unsigned irq = 0; irq < 16; irq++) {
		if (irq == 2 || used >> irq & 1)
			continue;
		add_interrupt(t, IO_INTERRUPT, TYPE_INT, ACPI_LEVEL_IRQS >> irq & 1 ? ACTIVE_HIGH_LEVEL : AS_THE_BUS, BUS_ISA,
		              (uint8_t)irq, IOAPIC_ID, (uint8_t)(irq ? irq : 2));
	}
}

/* The byte at off, 0 so far, makes len bytes at p add up to 0. */
static void checksum(uint8_t *p, uint32_t len, uint32_t off)
{
	uint8_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	p[off] = (uint8_t)-sum;
}

void mptable_build(struct mptable *t, const struct mptable_config *cfg)
{
	uint8_t *pointer = t->bytes, *table = t->bytes + POINTER_SIZE;

	memset(t, 0, sizeof(*t));
	t->len = POINTER_SIZE + HEADER_SIZE;
	add_processors(t, cfg);
	add_bus(t, BUS_PCI, "PCI   ");
	add_bus(t, BUS_ISA, "ISA   ");
	add_ioapic(t);
	add_isa_interrupts(t, add_pci_interrupts(t, cfg));
	add_interrupt(t, LOCAL_INTERRUPT, TYPE_EXTINT, AS_THE_BUS, BUS_ISA, 0, 0, 0);
	add_interrupt(t, LOCAL_INTERRUPT, TYPE_NMI, AS_THE_BUS, BUS_ISA, 0, ALL_LAPICS, 1);
	memcpy(table, "PCMP", 4); /* 4.2 */
	put_le16(table + 4, (uint16_t)(t->len - POINTER_SIZE));
	table[6] = SPEC_REVISION;
	memcpy(table + 8, "RING3   RING3PC     ", 20);
	put_le32(table + 36, ACPI_LAPIC_BASE);
	checksum(table, t->len - POINTER_SIZE, 7);
	memcpy(pointer, "_MP_", 4); /* 4.1; feature byte 1 is 0: there is a table; byte 2: no IMCR */
	put_le32(pointer + 4, cfg->at + POINTER_SIZE);
	pointer[8] = POINTER_SIZE / 16;
	pointer[9] = SPEC_REVISION;
	checksum(pointer, POINTER_SIZE, 10);
}
