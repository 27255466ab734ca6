// SPDX-License-Identifier: GPL-2.0-or-later
/* what: port space: a table with one pointer for each of the 65536 ports, and the dispatch of IN and OUT
 *
 * Dispatch holds the device lock, and so does every change. The table costs 512 KiB of
 * address space, of which a PC touches a few pages.
 */
#include <string.h>

#include "mem/mem_int.h"

static bool ports_cover(const struct mem_ports *p, uint32_t port)
{
	return port >= p->base && port - p->base < p->count;
}

/* The newest of those enabled wins. */
static void table_fill(struct mem *mem, uint32_t base, uint32_t count)
{
	for (uint32_t port = base; port < base + count && port < 65536; port++) {
		struct mem_ports *p = mem->ports;

		while (p && !ports_cover(p, port))
			p = p->next;
		__atomic_store_n(&mem->port_table[port], p, __ATOMIC_RELAXED); /* plain.c reads without the lock */
	}
}

static void ports_unlink(struct mem *mem, struct mem_ports *p)
{
	struct mem_ports **at = &mem->ports;

	while (*at && *at != p)
		at = &(*at)->next;
	must(*at == p);
	*at = p->next;
	p->enabled = false;
	table_fill(mem, p->base, p->count);
}

void mem_ports_enable(struct mem *mem, struct mem_ports *p)
{
	if (p->enabled)
		ports_unlink(mem, p);
	p->next = mem->ports;
	mem->ports = p;
	p->enabled = true;
	table_fill(mem, p->base, p->count);
}

void mem_ports_disable(struct mem *mem, struct mem_ports *p)
{
	if (p->enabled)
		ports_unlink(mem, p);
}

/* How many of the size bytes from port on belong to the same device. */
static unsigned ports_run(struct mem *mem, uint32_t port, unsigned size)
{
	unsigned n = 1;

	while (n < size && port + n < 65536 && mem->port_table[port + n] == mem->port_table[port])
		n++;
	return n;
}

uint32_t mem_port_in(struct mem *mem, uint16_t port, unsigned size)
{
	uint8_t buf[4] = { 0xff, 0xff, 0xff, 0xff };

	loop_lock(mem->loop);
	for (unsigned i = 0; i < size && port + i < 65536; ) {
		const struct mem_ports *p = mem->port_table[port + i];
		unsigned n = ports_run(mem, port + i, size - i);

		if (p)
			mem_ops_read(p->ops, p->opaque, port + i - p->base, buf + i, n);
		i += n;
	}
	loop_unlock(mem->loop);
	return size == 4 ? get_le32(buf) : size == 2 ? get_le16(buf) : buf[0];
}

void mem_port_out(struct mem *mem, uint16_t port, uint32_t val, unsigned size)
{
	uint8_t buf[4];

	put_le32(buf, val);
	loop_lock(mem->loop);
	for (unsigned i = 0; i < size && port + i < 65536; ) {
		const struct mem_ports *p = mem->port_table[port + i];
		unsigned n = ports_run(mem, port + i, size - i);

		if (p)
			mem_ops_write(p->ops, p->opaque, port + i - p->base, buf + i, n);
		i += n;
	}
	loop_unlock(mem->loop);
}
