// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the two 8237 DMA controllers of the PC with their page registers
 *
 * Devices push and pull whole buffers instead of raising DREQ for each byte: bus timing is invisible to the guest,
 * address, count and terminal count come out the same. Software requests and memory-to-memory transfers do nothing
 * (the PC wires neither). Channels 0 to 3 do not insist on channel 4 being set up as the cascade.
 *
 * I1  A transfer never leaves its 64 KiB page (128 KiB for the 16-bit channels): the address counter wraps.
 *
 * Sources: Intel 8237A datasheet (231466); IBM PC/AT Technical Reference for the page registers.
 */
#include "dev/isa/dma.h"

#include <stdlib.h>
#include <string.h>

enum {
	REG_STATUS_COMMAND = 8, REG_REQUEST, REG_MASK_ONE, REG_MODE, REG_CLEAR_FLIPFLOP, REG_MASTER_CLEAR, REG_CLEAR_MASK,
	REG_MASK_ALL,
	COMMAND_DISABLE = 0x04,
	MODE_TYPE = 0x0c, MODE_TO_MEMORY = 0x04, MODE_FROM_MEMORY = 0x08, MODE_AUTOINIT = 0x10, MODE_DOWN = 0x20,
	MASK_SET = 0x04,
	CASCADE = 4,
};

#define DOWN_PIECE 4096u /* of a transfer that counts down, in one access to memory */

struct dma_chan {
	uint16_t base_addr, base_count, addr, count;
	uint8_t mode;
	uint8_t pad_[1];
};

struct dma_ctrl {
	struct dma_chan chan[4];
	uint8_t command, status, mask;
	bool flipflop;
};

struct dma_state {
	struct dma_ctrl ctrl[2];
	uint8_t page[16]; /* ports 0x80 to 0x8f; those of no channel are plain latches */
};

static const struct st_field dma_chan_type_fields[] = {
	ST(struct dma_chan, base_addr), ST(struct dma_chan, base_count), ST(struct dma_chan, addr),
	ST(struct dma_chan, count),
	ST(struct dma_chan, mode), ST_ARRAY(struct dma_chan, pad_),
};
static ST_TYPE(dma_chan_type, struct dma_chan, 1, NULL);
static const struct st_field dma_ctrl_type_fields[] = {
	ST_SUBS(struct dma_ctrl, chan, &dma_chan_type), ST(struct dma_ctrl, command), ST(struct dma_ctrl, status),
	ST(struct dma_ctrl, mask), ST(struct dma_ctrl, flipflop),
};
static ST_TYPE(dma_ctrl_type, struct dma_ctrl, 1, NULL);
static const struct st_field dma_type_fields[] = {
	ST_SUBS(struct dma_state, ctrl, &dma_ctrl_type), ST_ARRAY(struct dma_state, page),
};
static ST_TYPE(dma_type, struct dma_state, 1, NULL);

struct dma {
	struct dma_state s;
	struct dma_config cfg;
	struct mem_ports ports[3];
};

/* --- registers of one controller --- */

static void ctrl_reset(struct dma_ctrl *c)
{
	c->command = 0;
	c->status = 0;
	c->flipflop = false;
	c->mask = 0x0f;
}

static uint8_t read_half(struct dma_ctrl *c, uint16_t val)
{
	c->flipflop = !c->flipflop;
	return (uint8_t)(c->flipflop ? val : val >> 8);
}

static uint16_t write_half(const struct dma_ctrl *c, uint16_t old, uint8_t val)
{
	return (uint16_t)(c->flipflop ? (old & 0x00ff) | val << 8 : (old & 0xff00) | val);
}

static void write_chan(struct dma_ctrl *c, unsigned reg, uint8_t val)
{
	struct dma_chan *ch = &c->chan[reg >> 1];

	if (reg & 1)
		ch->count = ch->base_count = write_half(c, ch->base_count, val);
	else
		ch->addr = ch->base_addr = write_half(c, ch->base_addr, val);
	c->flipflop = !c->flipflop;
}

static uint8_t ctrl_read(struct dma_ctrl *c, unsigned reg)
{
	uint8_t val;

	if (reg < 8)
		return read_half(c, reg & 1 ? c->chan[reg >> 1].count : c->chan[reg >> 1].addr);
	switch (reg) {
	case REG_STATUS_COMMAND:
		val = c->status;
		c->status &= 0xf0; /* reading clears the terminal count bits */
		return val;
	case REG_MASK_ALL:
		return c->mask | 0xf0;
	default:
		return 0;
	}
}

static void ctrl_write(struct dma_ctrl *c, unsigned reg, uint8_t val)
{
	uint8_t bit = (uint8_t)(1u << (val & 3));

	switch (reg) {
	case REG_STATUS_COMMAND:
		c->command = val;
		break;
	case REG_MASK_ONE:
		c->mask = val & MASK_SET ? c->mask | bit : c->mask & (uint8_t)~bit;
		break;
	case REG_MODE:
		c->chan[val & 3].mode = val;
		break;
	case REG_CLEAR_FLIPFLOP:
		c->flipflop = false;
		break;
	case REG_MASTER_CLEAR:
		ctrl_reset(c);
		break;
	case REG_CLEAR_MASK:
		c->mask = 0;
		break;
	case REG_MASK_ALL:
		c->mask = val & 0x0f;
		break;
	default:
		if (reg < 8)
			write_chan(c, reg, val);
	}
}

/* --- transfers --- */

bool dma_ready(const struct dma *d, unsigned channel)
{
	const struct dma_ctrl *c;

	if (channel > 7 || channel == CASCADE)
		return false;
	c = &d->s.ctrl[channel >> 2];
	return !(c->command & COMMAND_DISABLE) && !(c->mask & 1u << (channel & 3));
}

static gpa_t address(const struct dma *d, unsigned channel)
{
	static const uint8_t page_of[8] = { 7, 3, 1, 2, 15, 11, 9, 10 };
	gpa_t page = d->s.page[page_of[channel]];
	uint16_t addr = d->s.ctrl[channel >> 2].chan[channel & 3].addr;

	return channel < 4 ? page << 16 | addr : (page & 0xfe) << 16 | (gpa_t)addr << 1;
}

static void move(struct dma *d, gpa_t gpa, uint8_t *buf, unsigned len, uint8_t type)
{
	if (type == MODE_TO_MEMORY)
		mem_dma_write(d->cfg.mem, gpa, buf, len);
	else if (type == MODE_FROM_MEMORY)
		mem_dma_read(d->cfg.mem, gpa, buf, len);
}

/* n units, the last first: bytes, or words. */
static void reverse(uint8_t *to, const uint8_t *from, unsigned n, bool words)
{
	for (unsigned i = 0; i < n; i++) {
		if (words)
			put_le16(to + 2 * i, get_le16(from + 2 * (n - 1 - i)));
		else
			to[i] = from[n - 1 - i];
	}
}

/* The same for a channel whose address counts down from the present one. */
static void move_down(struct dma *d, unsigned channel, uint8_t *buf, unsigned n, uint8_t type)
{
	unsigned shift = channel >> 2;
	gpa_t first = address(d, channel) - ((gpa_t)(n - 1) << shift);
	uint8_t turned[DOWN_PIECE];

	reverse(turned, buf, n, shift);
	move(d, first, turned, n << shift, type);
	if (type == MODE_FROM_MEMORY)
		reverse(buf, turned, n, shift);
}

static void terminal_count(struct dma_ctrl *c, unsigned n)
{
	struct dma_chan *ch = &c->chan[n];

	c->status |= (uint8_t)(1u << n);
	if (ch->mode & MODE_AUTOINIT) {
		ch->addr = ch->base_addr;
		ch->count = ch->base_count;
	} else {
		c->mask |= (uint8_t)(1u << n);
	}
}

/* Move n units (bytes, or words on the upper controller) that need no wrap in the middle. */
static void run(struct dma *d, unsigned channel, uint8_t *buf, unsigned n)
{
	struct dma_chan *ch = &d->s.ctrl[channel >> 2].chan[channel & 3];
	unsigned shift = channel >> 2;

	if (ch->mode & MODE_DOWN)
		move_down(d, channel, buf, n, ch->mode & MODE_TYPE);
	else
		move(d, address(d, channel), buf, n << shift, ch->mode & MODE_TYPE);
	ch->addr = (uint16_t)(ch->mode & MODE_DOWN ? ch->addr - n : ch->addr + n);
	ch->count = (uint16_t)(ch->count - n); /* wraps to 0xffff at terminal count */
}

unsigned dma_transfer(struct dma *d, unsigned channel, void *buf, unsigned len, enum dma_dir dir, bool *tc)
{
	struct dma_ctrl *c = &d->s.ctrl[channel >> 2 & 1];
	struct dma_chan *ch = &c->chan[channel & 3];
	unsigned shift = channel >> 2, units = len >> shift, done = 0;
	uint8_t want = dir == DMA_TO_MEMORY ? MODE_TO_MEMORY : MODE_FROM_MEMORY;

	*tc = false;
	if (!dma_ready(d, channel) || (ch->mode & MODE_TYPE && (ch->mode & MODE_TYPE) != want))
		return 0;
	while (done < units && !*tc) {
		unsigned left = ch->count + 1u, n = MIN(units - done, left);

		n = ch->mode & MODE_DOWN ? MIN(MIN(n, DOWN_PIECE >> shift), ch->addr + 1u) : MIN(n, 0x10000u - ch->addr);
		run(d, channel, (uint8_t *)buf + (done << shift), n);
		done += n;
		*tc = n == left;
	}
	if (*tc)
		terminal_count(c, channel & 3);
	return done << shift;
}

/* --- joining --- */

static uint64_t low_read(void *opaque, uint64_t off, unsigned size)
{
	struct dma *d = opaque;

	return ctrl_read(&d->s.ctrl[0], (unsigned)off);
}

static void low_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct dma *d = opaque;

	ctrl_write(&d->s.ctrl[0], (unsigned)off, (uint8_t)val);
}

static uint64_t high_read(void *opaque, uint64_t off, unsigned size)
{
	struct dma *d = opaque;

	return ctrl_read(&d->s.ctrl[1], (unsigned)off >> 1);
}

static void high_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct dma *d = opaque;

	ctrl_write(&d->s.ctrl[1], (unsigned)off >> 1, (uint8_t)val);
}

static uint64_t page_read(void *opaque, uint64_t off, unsigned size)
{
	struct dma *d = opaque;

	return d->s.page[off & 15];
}

static void page_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct dma *d = opaque;

	d->s.page[off & 15] = (uint8_t)val;
}

static const struct mem_ops dma_ops[3] = {
	{ .read = low_read, .write = low_write, .max_size = 1, .plain = true },
	{ .read = high_read, .write = high_write, .max_size = 1, .plain = true },
	{ .read = page_read, .write = page_write, .max_size = 1, .plain = true },
};
static const struct { uint16_t base, count; } dma_ranges[3] = { { 0x00, 16 }, { 0xc0, 32 }, { 0x80, 16 } };

void dma_reset(struct dma *d)
{
	d->s = (struct dma_state){ 0 };
	ctrl_reset(&d->s.ctrl[0]);
	ctrl_reset(&d->s.ctrl[1]);
}

struct dma *dma_new(const struct dma_config *cfg)
{
	struct dma *d = xalloc(sizeof(*d));

	d->cfg = *cfg;
	for (unsigned i = 0; i < 3; i++) {
		d->ports[i] = (struct mem_ports){
			.name = "dma", .base = dma_ranges[i].base, .count = dma_ranges[i].count, .ops = &dma_ops[i], .opaque = d,
		};
		mem_ports_enable(cfg->mem, &d->ports[i]);
	}
	if (cfg->states)
		state_set_add(cfg->states, "dma", &dma_type, &d->s, NULL, NULL);
	dma_reset(d);
	return d;
}

void dma_free(struct dma *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < 3; i++)
		mem_ports_disable(d->cfg.mem, &d->ports[i]);
	free(d);
}
