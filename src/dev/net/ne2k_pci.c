// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the NE2000 as a PCI card, Realtek's RTL8029
 */
#include <stdlib.h>

#include "dev/net/ne2000.h"

struct ne2k_pci {
	struct ne2000 core;
	struct pci_dev pci;
};

static void set_line(void *opaque, int n, bool level)
{
	pci_set_intx(opaque, level);
}

struct ne2k_pci *ne2k_pci_new(const struct card_place *place, const struct net_card_config *card)
{
	struct ne2k_pci *n = xalloc(sizeof(*n));

	n->pci.name = place->name;
	n->pci.opaque = n;
	pci_set_ids(&n->pci, 0x10ec, 0x8029, 0x020000, 0, 0, 0, 1);
	n->pci.bar[0] = (struct pci_bar){ .kind = PCI_BAR_IO, .size = NE2000_PORTS,
		.ports = { .name = place->name, .ops = &ne2000_ops, .opaque = &n->core } };
	if (card->rom)
		n->pci.bar[6] = (struct pci_bar){ .kind = PCI_BAR_ROM, .size = card->rom_size,
			.region = { .name = "ne2k-rom", .host = card->rom } };
	pci_add(place->bus, &n->pci, place->devfn);
	pci_register_state(&n->pci, place->states, place->name);
	ne2000_init(&n->core, card, (struct wire){ set_line, &n->pci, 0 }, place->states, place->name);
	return n;
}

void ne2k_pci_reset(struct ne2k_pci *n)
{
	ne2000_reset(&n->core);
}

void ne2k_pci_free(struct ne2k_pci *n)
{
	if (n)
		ne2000_fini(&n->core);
	free(n);
}
