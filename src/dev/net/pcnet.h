// SPDX-License-Identifier: GPL-2.0-or-later
/* what: AMD PCnet-PCI II (Am79C970A) on PCI. Lock held for all calls. */
#ifndef DEV_NET_PCNET_H
#define DEV_NET_PCNET_H

#include "dev/net/card.h"

struct pcnet;
struct pcnet *pcnet_new(const struct card_place *place, const struct net_card_config *card);
void pcnet_free(struct pcnet *p);
void pcnet_reset(struct pcnet *p);

#endif
