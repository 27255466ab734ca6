// SPDX-License-Identifier: GPL-2.0-or-later
/* what: NE2000: a DP8390 with its memory, for an ISA card and a PCI card (RTL8029). Lock held for all calls. */
#ifndef DEV_NET_NE2000_H
#define DEV_NET_NE2000_H

#include "base/wire.h"
#include "dev/net/card.h"

#define NE2000_PORTS 32u
#define NE2000_MEMORY 0xc000u /* 32 bytes of PROM at 0, RAM from 4000H to the end */

struct ne2000_state {
	uint8_t cr, isr, imr, dcr, rcr, tcr, rsr, tsr;
	uint8_t pstart, pstop, bnry, tpsr, curr;
	bool looked, unseen;      /* CURR was read since PRX rose; a frame has come since */
	uint8_t pad_[1];
	uint16_t tbcr, rsar, rbcr;
	uint8_t par[NET_MAC_LEN], mar[8];
	uint8_t memory[NE2000_MEMORY];
};

/* The part that both buses' cards have. */
struct ne2000 {
	struct ne2000_state s;
	struct net_end *end;
	struct wire irq;
	uint8_t mac[NET_MAC_LEN];
	bool sending;
};
extern const struct mem_ops ne2000_ops; /* of an opaque struct ne2000 */
void ne2000_init(struct ne2000 *n, const struct net_card_config *card, struct wire irq, struct state_set *states,
                 const char *name);
void ne2000_fini(struct ne2000 *n);
void ne2000_reset(struct ne2000 *n);

/* The card on ISA: line is where it interrupts. */
struct ne2k_isa;
struct ne2k_isa *ne2k_isa_new(struct mem *mem, struct state_set *states, const char *name, uint16_t base,
                              struct wire line, const struct net_card_config *card);
void ne2k_isa_free(struct ne2k_isa *n);
void ne2k_isa_reset(struct ne2k_isa *n);

/* The card on PCI. */
struct ne2k_pci;
struct ne2k_pci *ne2k_pci_new(const struct card_place *place, const struct net_card_config *card);
void ne2k_pci_free(struct ne2k_pci *n);
void ne2k_pci_reset(struct ne2k_pci *n);

#endif
