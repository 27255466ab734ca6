// SPDX-License-Identifier: GPL-2.0-or-later
/* what: system control port A (0x92)
 *
 * The keyboard controller drives the same gate. Boards differ in how they join the two; here whoever wrote
 * last wins, so that software which knows only one of the ways can switch the gate both on and off.
 */
#include "dev/isa/port92.h"

#include <stdlib.h>

enum { PORT92_RESET = 0x01, PORT92_A20 = 0x02 };

struct port92_state {
	uint8_t val;
};

static const struct st_field port92_type_fields[] = { ST(struct port92_state, val) };
static ST_TYPE(port92_type, struct port92_state, 1, NULL);

struct port92 {
	struct port92_state s;
	struct port92_config cfg;
	struct mem_ports ports;
};

uint8_t port92_read(struct port92 *p)
{
	return p->s.val;
}

void port92_write(struct port92 *p, uint8_t val)
{
	uint8_t changed = p->s.val ^ val;

	p->s.val = val;
	if (changed & PORT92_A20)
		wire_set(&p->cfg.a20, val & PORT92_A20);
	if (changed & val & PORT92_RESET)
		wire_pulse(&p->cfg.reset);
}

static uint64_t io_read(void *opaque, uint64_t off, unsigned size)
{
	return port92_read(opaque);
}

static void io_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	port92_write(opaque, (uint8_t)val);
}

static const struct mem_ops port92_ops = { .read = io_read, .write = io_write, .max_size = 1 };

/* The gate itself is opened by the keyboard controller's reset: as on a board that has run its power-on code. */
void port92_reset(struct port92 *p)
{
	p->s.val = PORT92_A20;
}

struct port92 *port92_new(const struct port92_config *cfg)
{
	struct port92 *p = xalloc(sizeof(*p));

	p->cfg = *cfg;
	p->ports = (struct mem_ports){ .name = "port92", .base = 0x92, .count = 1, .ops = &port92_ops, .opaque = p };
	if (cfg->mem)
		mem_ports_enable(cfg->mem, &p->ports);
	if (cfg->states)
		state_set_add(cfg->states, "port92", &port92_type, &p->s, NULL, NULL);
	port92_reset(p);
	return p;
}

void port92_free(struct port92 *p)
{
	if (!p)
		return;
	if (p->cfg.mem)
		mem_ports_disable(p->cfg.mem, &p->ports);
	free(p);
}
