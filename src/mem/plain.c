// SPDX-License-Identifier: GPL-2.0-or-later
/* what: port and MMIO accesses of the vCPU that need not park the guest's FPU state
 *
 * Saving and restoring vector state takes three times as long as reading a timer, so chips whose callbacks use no
 * vector registers say so (struct mem_ops, plain), and a vCPU asks here first. What is not answered here (another
 * device, an access that has to be cut up) goes the long way: park, then mem_read, mem_port_in and so on.
 *
 * Nobody's ports are read and written without the lock: an entry of the table changes in one store, and an access that
 * races with a chip's coming or going may see either.
 */
#include "mem/mem_int.h"

static bool fits(const struct mem_ops *ops, uint64_t off, unsigned size)
{
	return ops && ops->plain && size <= mem_ops_max(ops) && !(off & (size - 1));
}

static struct mem_ports *port_owner(const struct mem *mem, uint32_t port)
{
	return __atomic_load_n(&mem->port_table[port], __ATOMIC_RELAXED);
}

static bool nobodys(const struct mem *mem, uint32_t port, unsigned size)
{
	for (unsigned i = 0; i < size && port + i < 65536; i++)
		if (port_owner(mem, port + i))
			return false;
	return true;
}

/* The one device that a port access is for, if it is a plain one. Lock held. */
static const struct mem_ports *plain_owner(const struct mem *mem, uint16_t port, unsigned size)
{
	const struct mem_ports *p = port_owner(mem, port);

	if (!p || port + size > 65536u || !fits(p->ops, port - p->base, size))
		return NULL;
	for (unsigned i = 1; i < size; i++)
		if (port_owner(mem, port + i) != p)
			return NULL;
	return p;
}

bool mem_plain_in(struct mem *mem, uint16_t port, unsigned size, uint32_t *val)
{
	const struct mem_ports *p;

	*val = UINT32_MAX >> (32 - 8 * size);
	if (nobodys(mem, port, size))
		return true;
	loop_lock(mem->loop);
	p = plain_owner(mem, port, size);
	if (p && p->ops->read)
		*val &= (uint32_t)p->ops->read(p->opaque, port - p->base, size);
	loop_unlock(mem->loop);
	return p;
}

bool mem_plain_out(struct mem *mem, uint16_t port, uint32_t val, unsigned size)
{
	const struct mem_ports *p;

	if (nobodys(mem, port, size))
		return true;
	loop_lock(mem->loop);
	p = plain_owner(mem, port, size);
	if (p && p->ops->write)
		p->ops->write(p->opaque, port - p->base, val & (UINT32_MAX >> (32 - 8 * size)), size);
	loop_unlock(mem->loop);
	return p;
}

/* Does a device that is plain answer at [gpa, gpa + size), all of it? Lock held: the map stands still. */
static const struct mem_region *plain_region(struct mem *mem, gpa_t gpa, unsigned size, bool write)
{
	const struct mem_range *r = mem_map_device(mem, gpa);
	const struct mem_region *io;

	if (!r || r->end - gpa < size || (write ? r->write : r->read))
		return NULL;
	io = write ? r->write_io : r->read_io;
	return io && fits(io->ops, gpa - io->base, size) ? io : NULL;
}

bool mem_plain_read(struct mem *mem, gpa_t gpa, unsigned size, uint64_t *val)
{
	const struct mem_region *io;

	loop_lock(mem->loop);
	io = plain_region(mem, gpa, size, false);
	*val = UINT64_MAX;
	if (io && io->ops->read)
		*val = io->ops->read(io->opaque, gpa - io->base, size);
	loop_unlock(mem->loop);
	return io;
}

bool mem_plain_write(struct mem *mem, gpa_t gpa, uint64_t val, unsigned size)
{
	const struct mem_region *io;

	loop_lock(mem->loop);
	io = plain_region(mem, gpa, size, true);
	if (io && io->ops->write)
		io->ops->write(io->opaque, gpa - io->base, val & (UINT64_MAX >> (64 - 8 * size)), size);
	loop_unlock(mem->loop);
	return io;
}
