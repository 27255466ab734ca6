// SPDX-License-Identifier: GPL-2.0-or-later
/* what: bring the chips to the state in which firmware hands them to a kernel */
#ifndef BOARD_HANDOVER_H
#define BOARD_HANDOVER_H

#include "mem/mem.h"

/* For kernels started without firmware. pci_low: start of free addresses below 4 GiB. Uses ports only, as firmware
 * would. Lock not held. */
void handover_init(struct mem *mem, uint32_t pci_low, bool vga_text);
/* The ISA interrupt that it steers pin 0 to 3 (INTA to INTD) of a slot to. */
uint8_t handover_pci_irq(unsigned slot, unsigned pin);

#endif
