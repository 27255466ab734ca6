// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what every network card is made with: its end of a port, its address, its boot ROM; and what old ones share
 */
#ifndef DEV_NET_CARD_H
#define DEV_NET_CARD_H

#include "dev/pci/pci.h"
#include "net/net.h"

/* Everything is the caller's and outlives the card. Cards detach themselves from the port when they are freed. */
struct net_card_config {
	struct net_end *end;
	uint8_t mac[NET_MAC_LEN];
	uint16_t mtu;          /* of the network, 0: 1500; for cards that can tell the driver */
	uint8_t *rom;          /* expansion ROM, page aligned; NULL: none */
	uint32_t rom_size;     /* a power of two */
};

/* Where a card on PCI sits. */
struct card_place {
	struct loop *loop;
	struct mem *mem;
	struct pci_bus *bus;
	struct state_set *states;
	const char *name;      /* unique; the caller's */
	uint8_t devfn;
};

/* Shortest frame on Ethernet, and longest without a tag; without the check sequence. */
#define CARD_FRAME_MIN 60u
#define CARD_FRAME_MAX 1514u
#define CARD_FCS_LEN 4u

extern const uint8_t card_broadcast[NET_MAC_LEN];
/* IEEE 802.3 3.2.9: the check sequence's polynomial over an address. Cards take six bits of it, from one end or, with
 * the bits turned round, from the other. */
uint32_t card_crc(const uint8_t *mac);
uint32_t card_crc_turned(const uint8_t *mac);

#endif
