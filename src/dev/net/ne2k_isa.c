// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the NE2000 as an ISA card: its ports and its line are where its jumpers are
 */
#include <stdlib.h>

#include "dev/net/ne2000.h"
#include "mem/mem.h"

struct ne2k_isa {
	struct ne2000 core;
	struct mem_ports ports;
};

struct ne2k_isa *ne2k_isa_new(struct mem *mem, struct state_set *states, const char *name, uint16_t base,
                              struct wire line, const struct net_card_config *card)
{
	struct ne2k_isa *n = xalloc(sizeof(*n));

	ne2000_init(&n->core, card, line, states, name);
	n->ports = (struct mem_ports){ .name = name, .base = base, .count = NE2000_PORTS, .ops = &ne2000_ops,
		.opaque = &n->core };
	mem_ports_enable(mem, &n->ports);
	return n;
}

void ne2k_isa_reset(struct ne2k_isa *n)
{
	ne2000_reset(&n->core);
}

void ne2k_isa_free(struct ne2k_isa *n)
{
	if (n)
		ne2000_fini(&n->core);
	free(n);
}
