// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the device that kernel test suites expect of a PC monitor: latch, interrupt lines, a page to forget, spare MMIO
 *
 * The programming interface is that of QEMU's pc-testdev, for which kvm-unit-tests are written (docs/test-devices.md
 * has it in full). The same latch answers at two places: at 0xe0 an access is one whole of its width, at 0xe8 it
 * reaches the device byte by byte, as from a bus of eight bits; a guest must not see a difference.
 *
 *   0x00e0-0x00e3  latch            0x00e8-0x00eb  latch by bytes     0x2000-0x2017  level of interrupt line n
 *   0x00e4-0x00e7  page to forget   0xff000000     64 KiB of MMIO that reads as written
 *
 * The value written at 0xe4 is a guest-physical address: the tests use it to make the next access go through a slow
 * path.
 */
#include "dev/isa/testdev.h"

#include <stdlib.h>
#include <string.h>

#define LATCH_PORT 0xe0
#define FORGET_PORT 0xe4
#define BYTES_PORT 0xe8
#define LINES_PORT 0x2000
#define MMIO_BASE 0xff000000u
#define MMIO_SIZE KIB(64)
#define MMIO_PRIORITY 3 /* over firmware of 16 MiB, which begins there too */

struct testdev_state {
	uint8_t latch[4];
	bool high[TESTDEV_LINES]; /* as last written */
	uint8_t mmio[MMIO_SIZE];
};

static const struct st_field testdev_type_fields[] = {
	ST_ARRAY(struct testdev_state, latch),
	ST_ARRAY(struct testdev_state, high),
	ST_ARRAY(struct testdev_state, mmio),
};
static ST_TYPE(testdev_type, struct testdev_state, 1, NULL);

struct testdev {
	struct testdev_state s;
	struct testdev_config cfg;
	struct mem_ports latch, forget, bytes, lines;
	struct mem_region mmio;
};

/* Little-endian pieces of a buffer; mem keeps off + size within the range. */
static uint64_t get(const uint8_t *from, unsigned size)
{
	uint64_t val = 0;

	memcpy(&val, from, size);
	return val;
}

static uint64_t latch_read(void *opaque, uint64_t off, unsigned size)
{
	struct testdev *t = opaque;

	return get(t->s.latch + off, size);
}

static void latch_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct testdev *t = opaque;

	memcpy(t->s.latch + off, &val, size);
}

static uint64_t nothing_read(void *opaque, uint64_t off, unsigned size)
{
	return 0;
}

static void forget_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct testdev *t = opaque;

	if (off || size != 4)
		guest_log("test device: a write of %u bytes to port %#x is ignored: it takes 4 at %#x", size,
		          (unsigned)(FORGET_PORT + off), FORGET_PORT);
	else if (t->cfg.forget)
		t->cfg.forget(t->cfg.opaque, val & ~0xfffull);
}

static void line_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct testdev *t = opaque;

	t->s.high[off] = val & 1;
	wire_set(&t->cfg.line[off], val & 1);
}

static uint64_t mmio_read(void *opaque, uint64_t off, unsigned size)
{
	struct testdev *t = opaque;

	return get(t->s.mmio + off, size);
}

static void mmio_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct testdev *t = opaque;

	memcpy(t->s.mmio + off, &val, size);
}

static const struct mem_ops latch_ops = { .read = latch_read, .write = latch_write, .max_size = 4 };
static const struct mem_ops bytes_ops = { .read = latch_read, .write = latch_write, .max_size = 1 };
static const struct mem_ops forget_ops = { .read = nothing_read, .write = forget_write, .max_size = 4 };
static const struct mem_ops line_ops = { .read = nothing_read, .write = line_write, .max_size = 1 };
static const struct mem_ops mmio_ops = { .read = mmio_read, .write = mmio_write, .max_size = 8 };

void testdev_reset(struct testdev *t)
{
	for (unsigned n = 0; n < TESTDEV_LINES; n++)
		if (t->s.high[n])
			wire_set(&t->cfg.line[n], false);
	memset(&t->s, 0, sizeof(t->s));
}

static void ports(struct testdev *t, struct mem_ports *p, uint16_t base, uint16_t count, const struct mem_ops *ops)
{
	*p = (struct mem_ports){ .name = "testdev", .base = base, .count = count, .ops = ops, .opaque = t };
	mem_ports_enable(t->cfg.mem, p);
}

struct testdev *testdev_new(const struct testdev_config *cfg)
{
	struct testdev *t = xalloc(sizeof(*t));

	t->cfg = *cfg;
	ports(t, &t->latch, LATCH_PORT, 4, &latch_ops);
	ports(t, &t->forget, FORGET_PORT, 4, &forget_ops);
	ports(t, &t->bytes, BYTES_PORT, 4, &bytes_ops);
	ports(t, &t->lines, LINES_PORT, TESTDEV_LINES, &line_ops);
	t->mmio = (struct mem_region){
		.name = "testdev", .base = MMIO_BASE, .size = MMIO_SIZE, .priority = MMIO_PRIORITY, .ops = &mmio_ops,
		.opaque = t,
	};
	mem_region_enable(cfg->mem, &t->mmio);
	if (cfg->states)
		state_set_add(cfg->states, "testdev", &testdev_type, &t->s, NULL, NULL);
	return t;
}

void testdev_free(struct testdev *t)
{
	if (!t)
		return;
	mem_ports_disable(t->cfg.mem, &t->latch);
	mem_ports_disable(t->cfg.mem, &t->forget);
	mem_ports_disable(t->cfg.mem, &t->bytes);
	mem_ports_disable(t->cfg.mem, &t->lines);
	mem_region_disable(t->cfg.mem, &t->mmio);
	free(t);
}
