// SPDX-License-Identifier: GPL-2.0-or-later
/* what: Realtek RTL8139C Fast Ethernet controller on PCI. Lock held for all calls. */
#ifndef DEV_NET_RTL8139_H
#define DEV_NET_RTL8139_H

#include "dev/net/card.h"

struct rtl8139;
struct rtl8139 *rtl8139_new(const struct card_place *place, const struct net_card_config *card);
void rtl8139_free(struct rtl8139 *r);
void rtl8139_reset(struct rtl8139 *r);

#endif
