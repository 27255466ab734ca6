// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PCI-to-ISA bridge 82371SB (PIIX3), function 0: where interrupt lines meet */
#ifndef DEV_PCI_PIIX3_H
#define DEV_PCI_PIIX3_H

#include "base/wire.h"
#include "dev/pci/pci.h"

struct piix3;

struct piix3_config {
	struct pci_bus *bus;
	struct state_set *states;
	struct mem *mem;         /* for port F0H; may be NULL */
	/* The 16 ISA interrupt lines. The board fans each out to the PICs and to the IO-APIC (input n; line 0 to input
	 * 2). */
	struct wire irq[16];
	struct wire ignne;       /* goes high at each write to port F0H; the CPU drops IGNNE# with FERR# */
};

/* At 00:01.0; connects itself to the bus's INTx lines. Lock held for all of these. */
struct piix3 *piix3_new(const struct piix3_config *cfg);
void piix3_free(struct piix3 *p);
void piix3_reset(struct piix3 *p);
/* A new input of ISA line irq: lines are the OR of their inputs and of the PIRQs routed to them. At most 28 inputs
 * in all. */
struct wire piix3_irq_input(struct piix3 *p, unsigned irq);
/* FERR#: a high level latches IRQ 13 until the guest writes to port F0H. Once at most. */
struct wire piix3_ferr_input(struct piix3 *p);

#endif
