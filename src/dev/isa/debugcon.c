// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the one-port debug console: bytes out, and 0xe9 in so that software can tell it is there */
#include "dev/isa/debugcon.h"

#include <stdlib.h>

#define DEBUGCON_PORT 0xe9u
#define DEBUGCON_PRESENT 0xe9u

struct debugcon {
	struct debugcon_config cfg;
	struct mem_ports ports;
};

static uint64_t io_read(void *opaque, uint64_t off, unsigned size)
{
	return DEBUGCON_PRESENT;
}

static void io_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct debugcon *d = opaque;

	d->cfg.byte(d->cfg.opaque, (uint8_t)val);
}

static const struct mem_ops debugcon_ops = { .read = io_read, .write = io_write, .max_size = 1 };

struct debugcon *debugcon_new(const struct debugcon_config *cfg)
{
	struct debugcon *d = xalloc(sizeof(*d));

	d->cfg = *cfg;
	d->ports = (struct mem_ports){
		.name = "debugcon", .base = cfg->port ? cfg->port : DEBUGCON_PORT, .count = 1, .ops = &debugcon_ops,
		.opaque = d,
	};
	mem_ports_enable(cfg->mem, &d->ports);
	return d;
}

void debugcon_free(struct debugcon *d)
{
	if (!d)
		return;
	mem_ports_disable(d->cfg.mem, &d->ports);
	free(d);
}
