// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 82093AA I/O APIC: 24 interrupt inputs routed to local APICs */
#ifndef DEV_SYS_IOAPIC_H
#define DEV_SYS_IOAPIC_H

#include "base/wire.h"
#include "dev/sys/lapic.h"
#include "mem/mem.h"
#include "state/state.h"

#define IOAPIC_PINS 24u
#define IOAPIC_DEFAULT_BASE 0xfec00000u

struct ioapic;

struct ioapic_config {
	struct state_set *set;     /* may be NULL */
	struct mem *mem;           /* may be NULL: no window */
	gpa_t base;                /* 0: IOAPIC_DEFAULT_BASE */
	uint8_t id;                /* after reset */
	bool eoi_register;         /* version 0x20 with an EOI register at 0x40, as ICH2 and later have */
	struct lapic_bus *bus;
};

/* Makes itself the bus's EOI listener. All functions: device lock held. */
struct ioapic *ioapic_new(const struct ioapic_config *cfg);
void ioapic_free(struct ioapic *io);
void ioapic_reset(struct ioapic *io);
/* Level of input pin n (asserted or not, whatever the polarity); fits a wire. */
void ioapic_set_pin(void *ioapic, int n, bool level);
/* Can an input wake a CPU that has interrupts off? */
bool ioapic_wakes(const struct ioapic *io);
/* A local APIC finished vector. */
void ioapic_eoi(void *ioapic, uint8_t vector);
/* The window, for tests. */
uint32_t ioapic_mmio_read(struct ioapic *io, uint32_t off);
void ioapic_mmio_write(struct ioapic *io, uint32_t off, uint32_t val);

#endif
