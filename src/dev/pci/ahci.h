// SPDX-License-Identifier: GPL-2.0-or-later
/* what: an AHCI 1.3.1 host bus adapter with up to six Serial ATA drives
 */
#ifndef DEV_PCI_AHCI_H
#define DEV_PCI_AHCI_H

#include "dev/pci/ide.h"
#include "dev/pci/pci.h"

struct ahci;

#define AHCI_PORTS 6

struct ahci_config {
	struct mem *mem;
	struct pci_bus *bus;
	struct state_set *states;
	uint8_t devfn;
};

/* Lock held for all of these. Free only after block_close of the drives' images. */
struct ahci *ahci_new(const struct ahci_config *cfg);
/* Plug a drive into the next port, before the machine runs; returns the port's number, or AHCI_PORTS: all are taken. */
unsigned ahci_plug(struct ahci *a, const struct ide_unit *unit);
void ahci_reset(struct ahci *a);
void ahci_free(struct ahci *a);

#endif
