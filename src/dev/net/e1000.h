// SPDX-License-Identifier: GPL-2.0-or-later
/* what: Intel 8254x Gigabit Ethernet controllers on PCI: 82540EM and 82545EM
 *
 * Lock held for all calls.
 */
#ifndef DEV_NET_E1000_H
#define DEV_NET_E1000_H

#include "dev/net/card.h"

#define E1000_82540EM 0x100e
#define E1000_82545EM 0x100f

struct e1000;
/* device: one of the two. */
struct e1000 *e1000_new(const struct card_place *place, uint16_t device, const struct net_card_config *card);
void e1000_free(struct e1000 *e);
void e1000_reset(struct e1000 *e);

#endif
