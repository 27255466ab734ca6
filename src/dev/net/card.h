// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what every network card is made with: its end of a port, its address, its boot ROM
 */
#ifndef DEV_NET_CARD_H
#define DEV_NET_CARD_H

#include "net/net.h"

/* Everything is the caller's and outlives the card. Cards detach themselves from the port when they are freed. */
struct net_card_config {
	struct net_end *end;
	uint8_t mac[NET_MAC_LEN];
	uint16_t mtu;          /* of the network, 0: 1500; for cards that can tell the driver */
	uint8_t *rom;          /* expansion ROM, page aligned; NULL: none */
	uint32_t rom_size;     /* a power of two */
};

#endif
