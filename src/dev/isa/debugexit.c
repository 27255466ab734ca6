// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a port with which a test guest ends the machine
 *
 * Four consecutive ports, so that OUT of any width reaches the device as one write.
 */
#include "dev/isa/debugexit.h"

#include <stdlib.h>

struct debugexit {
	struct debugexit_config cfg;
	struct mem_ports ports;
};

static void io_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct debugexit *d = opaque;

	d->cfg.exit(d->cfg.opaque, (uint32_t)val << 1 | 1);
}

static const struct mem_ops debugexit_ops = { .write = io_write, .max_size = 4 };

struct debugexit *debugexit_new(const struct debugexit_config *cfg)
{
	struct debugexit *d = xalloc(sizeof(*d));

	d->cfg = *cfg;
	d->ports = (struct mem_ports){ .name = "debugexit", .base = cfg->port, .count = 4, .ops = &debugexit_ops,
		.opaque = d };
	mem_ports_enable(cfg->mem, &d->ports);
	return d;
}

void debugexit_free(struct debugexit *d)
{
	if (!d)
		return;
	mem_ports_disable(d->cfg.mem, &d->ports);
	free(d);
}
