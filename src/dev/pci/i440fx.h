// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the host bridge 82441FX: configuration ports, BIOS shadowing, SMRAM window, reset control port */
#ifndef DEV_PCI_I440FX_H
#define DEV_PCI_I440FX_H

#include "base/wire.h"
#include "dev/pci/pci.h"

struct i440fx;

struct i440fx_config {
	struct mem *mem;
	struct pci_bus *bus;
	struct state_set *states;
	struct wire reset; /* pulsed by a write to port 0xcf9 that asks for a hard reset */
	struct wire init;  /* likewise of the CPU alone */
};

/* At 00:00.0 of the bus. The board lays the system ROM below 1 MiB at priority 1 to 4 (RAM has 0, shadowing 5).
 * Lock held for all of these. */
struct i440fx *i440fx_new(const struct i440fx_config *cfg);
void i440fx_free(struct i440fx *fx);
/* The chip's own registers, after pci_bus_reset; awoken: from S3, over which it kept RAM and how ROM is shadowed. */
void i440fx_reset(struct i440fx *fx, bool awoken);

#endif
