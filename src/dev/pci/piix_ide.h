// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the IDE function of the PIIX3 (function 1): two ATA channels at their legacy ports and a bus master for each */
#ifndef DEV_PCI_PIIX_IDE_H
#define DEV_PCI_PIIX_IDE_H

#include "dev/pci/ide.h"
#include "dev/pci/pci.h"

struct piix_ide;

struct piix_ide_config {
	struct mem *mem;
	struct pci_bus *bus;
	struct state_set *states;
	struct ide_unit unit[2][2]; /* [channel][drive] */
	struct wire irq[2];         /* to ISA lines 14 and 15 */
	struct wire tray;           /* pulsed when the guest has moved a drive's tray */
};

/* At 00:01.1. Lock held for all of these. Free only after block_close of the drives' images. */
struct piix_ide *piix_ide_new(const struct piix_ide_config *cfg);
void piix_ide_free(struct piix_ide *ide);
void piix_ide_reset(struct piix_ide *ide);
struct ide_channel *piix_ide_channel(struct piix_ide *ide, unsigned n);

#endif
