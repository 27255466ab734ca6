// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 8254 interval timer and the port B register (0x61)
 *
 * Nothing counts here: a counter is the tick at which its count was loaded, and count and OUT are computed
 * from the time that has passed when somebody looks. Only OUT of counter 0 makes events of its own, one for
 * each period: in modes 2, 3 and 4 the wire falls and rises at the reload, since only the rise means anything to an
 * interrupt controller.
 *
 *   write count --> reload --(at once, at the end of the period, or by GATE: per mode)--> count, start
 *
 * I1  elapsed = now - start while running, else frozen.
 * I2  count is 1..65536 once loaded, and never 0.
 *
 * Periods that were missed because the host was busy are made up for, up to OWED_MAX of them, a quarter of a period
 * apart: kernels count ticks while they spin on the TSC to judge their timers. A guest that asks for a period under 20
 * us gets its interrupts 20 us apart: no PC software can handle more, and the I/O thread stays usable.
 *
 * Sources: Intel 8254 datasheet (231164), "Mode Definitions" and "Read-Back Command"; PIIX datasheet, NMISC register.
 */
#include "dev/isa/pit.h"

#include <stdlib.h>

#define NS_PER_S 1000000000ull
#define MIN_EVENT_TICKS 24u /* 20 us */
#define OWED_MAX 250u
#define REFRESH_NS 15085u   /* DRAM refresh request toggles every 15.085 us */

enum {
	CW_BCD = 0x01, CW_MODE_SHIFT = 1, CW_RW_SHIFT = 4, CW_SELECT_SHIFT = 6,
	CW_READ_BACK = 3,
	RB_NO_STATUS = 0x10, RB_NO_COUNT = 0x20,
	RW_LATCH = 0, RW_LSB = 1, RW_MSB = 2, RW_BOTH = 3,
	STATUS_NULL = 0x40, STATUS_OUT = 0x80,
	PORTB_GATE2 = 0x01, PORTB_WRITABLE = 0x0f, PORTB_REFRESH = 0x10, PORTB_OUT2 = 0x20,
};

struct pit_chan {
	uint64_t start, frozen;  /* ticks */
	uint32_t count, reload;  /* of the period under way; written last */
	uint16_t latch;
	uint8_t mode, rw;
	uint8_t write_lsb, status;
	bool bcd, gate, running, loaded, null_count;
	bool write_msb_next, read_msb_next, count_latched, status_latched;
	uint8_t pad_[1];
};

struct pit_state {
	struct pit_chan chan[3];
	uint8_t portb;
	uint8_t pad_[3];
	uint32_t owed; /* periods of counter 0 still to be made up for */
};

static const char *pit_chan_check(const void *state)
{
	const struct pit_chan *c = state;

	if (c->mode > 5 || c->rw > RW_BOTH || c->count < 1 || c->count > 65536 || c->reload < 1 || c->reload > 65536)
		return "8254 counter mode or count out of range";
	return NULL;
}

static const struct st_field pit_chan_type_fields[] = {
	ST(struct pit_chan, start), ST(struct pit_chan, frozen), ST(struct pit_chan, count), ST(struct pit_chan, reload),
	ST(struct pit_chan, latch), ST(struct pit_chan, mode), ST(struct pit_chan, rw), ST(struct pit_chan, write_lsb),
	ST(struct pit_chan, status), ST(struct pit_chan, bcd), ST(struct pit_chan, gate), ST(struct pit_chan, running),
	ST(struct pit_chan, loaded), ST(struct pit_chan, null_count), ST(struct pit_chan, write_msb_next),
	ST(struct pit_chan, read_msb_next), ST(struct pit_chan, count_latched), ST(struct pit_chan, status_latched),
	ST_ARRAY(struct pit_chan, pad_),
};
static ST_TYPE(pit_chan_type, struct pit_chan, 1, pit_chan_check);
static const struct st_field pit_type_fields[] = {
	ST_SUBS(struct pit_state, chan, &pit_chan_type), ST(struct pit_state, portb), ST_ARRAY(struct pit_state, pad_),
	ST(struct pit_state, owed),
};
static ST_TYPE(pit_type, struct pit_state, 1, NULL);

struct pit {
	struct pit_state s;
	struct pit_config cfg;
	struct loop_timer timer;
	uint64_t due;   /* tick the timer is armed for */
	bool making_up; /* armed for a missed period, ahead of the next */
	struct mem_ports ports, portb_ports;
};

/* --- time --- */

static uint64_t ns_to_ticks(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * PIT_HZ / NS_PER_S);
}

static uint64_t now_ticks(const struct pit *p)
{
	return ns_to_ticks(loop_now(p->cfg.loop));
}

/* The first nanosecond at which now_ticks() gives tick. */
static uint64_t tick_to_ns(uint64_t tick)
{
	return (uint64_t)(((unsigned __int128)tick * NS_PER_S + PIT_HZ - 1) / PIT_HZ);
}

static bool periodic(const struct pit_chan *c)
{
	return c->mode == 2 || c->mode == 3;
}

static uint64_t elapsed(const struct pit_chan *c, uint64_t now)
{
	if (!c->running)
		return c->frozen;
	return now > c->start ? now - c->start : 0;
}

/* Move start to the period under way. A count written meanwhile takes effect when the first period ends (modes 2 and
 * 3). */
static void roll(struct pit_chan *c, uint64_t now)
{
	uint64_t d = elapsed(c, now);

	if (!periodic(c) || !c->running || d < c->count)
		return;
	if (c->count != c->reload) {
		c->start += c->count;
		d -= c->count;
		c->count = c->reload;
	}
	c->null_count = false;
	c->start += d / c->count * c->count; /* NOLINT(clang-analyzer-core.DivideZero): I2 */
}

static void chan_load(struct pit_chan *c, uint64_t now)
{
	c->count = c->reload;
	c->loaded = true;
	c->null_count = false;
	c->start = now + 1; /* the load takes one clock */
	c->frozen = 0;
}

static void chan_stop(struct pit_chan *c, uint64_t now)
{
	c->frozen = elapsed(c, now);
	c->running = false;
}

static void chan_resume(struct pit_chan *c, uint64_t now)
{
	c->start = now - MIN(now, c->frozen);
	c->running = true;
}

/* --- what can be seen --- */

static bool chan_out(const struct pit_chan *c, uint64_t now)
{
	uint64_t d = elapsed(c, now);

	switch (c->mode) {
	case 0:
		return c->loaded && d >= c->count;
	case 1:
		return !c->running || d >= c->count;
	case 2:
		return !c->running || d % c->count != c->count - 1;
	case 3:
		return !c->running || d % c->count < (c->count + 1) / 2;
	default:
		return !c->running || d != c->count;
	}
}

static uint16_t to_bcd(uint32_t v)
{
	v %= 10000;
	return (uint16_t)(v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10);
}

static uint32_t from_bcd(uint16_t v)
{
	return (v >> 12) * 1000u + (v >> 8 & 15) * 100u + (v >> 4 & 15) * 10u + (v & 15);
}

/* Mode 3 counts down by two, twice in a period. */
static uint32_t square_count(const struct pit_chan *c, uint64_t d)
{
	uint32_t phase = (uint32_t)(d % c->count), high = (c->count + 1) / 2;

	return (c->count & ~1u) - 2 * (phase < high ? phase : phase - high);
}

static uint16_t chan_count(const struct pit_chan *c, uint64_t now)
{
	uint64_t d = elapsed(c, now);
	uint32_t modulus = c->bcd ? 10000 : 65536, v;

	if (c->mode == 3)
		v = square_count(c, d);
	else if (c->mode == 2)
		v = c->count - (uint32_t)(d % c->count);
	else
		v = c->count + modulus - (uint32_t)(d % modulus);
	return c->bcd ? to_bcd(v) : (uint16_t)v;
}

/* --- OUT of counter 0 --- */

/* Elapsed ticks of the next event after d, or 0. */
static uint64_t next_event(const struct pit_chan *c, uint64_t d)
{
	if (!c->running)
		return 0;
	if (periodic(c))
		return (d + (c->count < MIN_EVENT_TICKS ? MIN_EVENT_TICKS : 0)) / c->count * c->count + c->count;
	return (c->mode == 0 || c->mode == 4) && d < c->count ? c->count : 0;
}

static void arm(struct pit *p)
{
	struct pit_chan *c = &p->s.chan[0];
	uint64_t now = now_ticks(p), event, soon = now + MAX(c->count / 4, MIN_EVENT_TICKS);

	roll(c, now);
	event = next_event(c, elapsed(c, now));
	if (!event) {
		loop_timer_cancel(&p->timer);
		return;
	}
	p->due = c->start + event;
	p->making_up = p->s.owed && soon < p->due;
	if (p->making_up)
		p->due = soon;
	loop_timer_set(&p->timer, tick_to_ns(p->due));
}

static void fire(void *opaque)
{
	struct pit *p = opaque;
	const struct pit_chan *c = &p->s.chan[0];
	uint64_t late = now_ticks(p) - p->due;

	if (p->making_up)
		p->s.owed--;
	if (periodic(c))
		p->s.owed = (uint32_t)MIN(p->s.owed + late / c->count, OWED_MAX);
	if (c->mode != 0)
		wire_set(&p->cfg.irq0, false);
	wire_set(&p->cfg.irq0, true);
	arm(p);
}

/* Counter 0 was written to. The one-clock pulse at the end of a period is fire()'s alone. */
static void out0_changed(struct pit *p)
{
	struct pit_chan *c = &p->s.chan[0];

	p->s.owed = 0;
	wire_set(&p->cfg.irq0, c->mode != 0 || chan_out(c, now_ticks(p)));
	arm(p);
}

/* --- writes --- */

static void count_written(struct pit_chan *c, uint16_t val, uint64_t now)
{
	uint32_t n = c->bcd ? from_bcd(val) : val;

	roll(c, now);
	c->reload = n ? n : c->bcd ? 10000 : 65536;
	c->null_count = true;
	if (c->mode == 1 || c->mode == 5) /* by GATE only */
		return;
	if (periodic(c) && c->running)
		return;
	chan_load(c, now);
	c->running = c->gate;
}

static void write_count(struct pit *p, unsigned n, uint8_t val)
{
	struct pit_chan *c = &p->s.chan[n];
	uint64_t now = now_ticks(p);

	if (c->rw == RW_LSB) {
		count_written(c, val, now);
	} else if (c->rw == RW_MSB) {
		count_written(c, (uint16_t)(val << 8), now);
	} else if (!c->write_msb_next) {
		c->write_lsb = val;
		c->write_msb_next = true;
		if (c->mode == 0) { /* the first byte stops the count and lowers OUT */
			chan_stop(c, now);
			c->loaded = false;
		}
	} else {
		c->write_msb_next = false;
		count_written(c, (uint16_t)(val << 8 | c->write_lsb), now);
	}
	if (n == 0)
		out0_changed(p);
}

static void latch_count(struct pit_chan *c, uint64_t now)
{
	if (c->count_latched)
		return;
	roll(c, now);
	c->latch = chan_count(c, now);
	c->count_latched = true;
}

static void latch_status(struct pit_chan *c, uint64_t now)
{
	if (c->status_latched)
		return;
	roll(c, now);
	c->status = (uint8_t)((chan_out(c, now) ? STATUS_OUT : 0) | (c->null_count ? STATUS_NULL : 0) |
			      c->rw << CW_RW_SHIFT | c->mode << CW_MODE_SHIFT | (c->bcd ? CW_BCD : 0));
	c->status_latched = true;
}

static void read_back(struct pit *p, uint8_t val)
{
	uint64_t now = now_ticks(p);

	for (unsigned n = 0; n < 3; n++) {
		if (!(val & 2u << n))
			continue;
		if (!(val & RB_NO_COUNT))
			latch_count(&p->s.chan[n], now);
		if (!(val & RB_NO_STATUS))
			latch_status(&p->s.chan[n], now);
	}
}

static void write_control(struct pit *p, uint8_t val)
{
	unsigned n = val >> CW_SELECT_SHIFT;
	struct pit_chan *c;
	uint64_t now = now_ticks(p);
	bool gate;

	if (n == CW_READ_BACK) {
		read_back(p, val);
		return;
	}
	c = &p->s.chan[n];
	if ((val >> CW_RW_SHIFT & 3) == RW_LATCH) {
		latch_count(c, now);
		return;
	}
	gate = c->gate;
	*c = (struct pit_chan){
		.gate = gate, .count = c->count, .reload = c->reload, .null_count = true,
		.rw = val >> CW_RW_SHIFT & 3, .mode = val >> CW_MODE_SHIFT & 7, .bcd = val & CW_BCD,
	};
	if (c->mode > 5) /* 6 and 7 are 2 and 3: the upper bit is not decoded */
		c->mode -= 4;
	if (n == 0)
		out0_changed(p);
}

void pit_write(struct pit *p, unsigned reg, uint8_t val)
{
	if (reg == 3)
		write_control(p, val);
	else if (reg < 3)
		write_count(p, reg, val);
}

/* --- reads --- */

uint8_t pit_read(struct pit *p, unsigned reg)
{
	struct pit_chan *c;
	uint16_t val;
	bool msb;

	if (reg > 2)
		return 0xff; /* the control word cannot be read */
	c = &p->s.chan[reg];
	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	roll(c, now_ticks(p));
	val = c->count_latched ? c->latch : chan_count(c, now_ticks(p));
	msb = c->rw == RW_MSB || (c->rw == RW_BOTH && c->read_msb_next);
	if (c->rw == RW_BOTH)
		c->read_msb_next = !msb;
	if (c->rw != RW_BOTH || msb)
		c->count_latched = false;
	return (uint8_t)(msb ? val >> 8 : val);
}

/* --- port B --- */

static void gate_rise(struct pit_chan *c, uint64_t now)
{
	if (c->mode == 0 || c->mode == 4) {
		if (c->loaded)
			chan_resume(c, now);
		return;
	}
	if (periodic(c) && !c->loaded) /* no count yet */
		return;
	chan_load(c, now);
	c->running = true;
}

static void set_gate(struct pit_chan *c, bool gate, uint64_t now)
{
	if (gate == c->gate)
		return;
	roll(c, now);
	c->gate = gate;
	if (gate)
		gate_rise(c, now);
	else if (c->mode != 1 && c->mode != 5)
		chan_stop(c, now);
}

uint8_t pit_portb_read(struct pit *p)
{
	uint64_t ns = loop_now(p->cfg.loop), now = ns_to_ticks(ns); /* the clock once: it is half of the access */
	uint8_t val = p->s.portb;

	roll(&p->s.chan[2], now);
	if (chan_out(&p->s.chan[2], now))
		val |= PORTB_OUT2;
	if (ns / REFRESH_NS & 1)
		val |= PORTB_REFRESH;
	return val;
}

void pit_portb_write(struct pit *p, uint8_t val)
{
	p->s.portb = val & PORTB_WRITABLE;
	set_gate(&p->s.chan[2], val & PORTB_GATE2, now_ticks(p));
}

/* --- joining --- */

static uint64_t io_read(void *opaque, uint64_t off, unsigned size)
{
	return pit_read(opaque, (unsigned)off);
}

static void io_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	pit_write(opaque, (unsigned)off, (uint8_t)val);
}

static uint64_t portb_read(void *opaque, uint64_t off, unsigned size)
{
	return pit_portb_read(opaque);
}

static void portb_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	pit_portb_write(opaque, (uint8_t)val);
}

static const struct mem_ops pit_ops = { .read = io_read, .write = io_write, .max_size = 1, .plain = true };
static const struct mem_ops portb_ops = { .read = portb_read, .write = portb_write, .max_size = 1, .plain = true };

/* The datasheet leaves power-on undefined; mode 3 with the longest count is what a BIOS expects to replace. */
void pit_reset(struct pit *p)
{
	for (unsigned n = 0; n < 3; n++)
		p->s.chan[n] = (struct pit_chan){ .mode = 3, .rw = RW_BOTH, .gate = n != 2, .count = 65536, .reload = 65536 };
	p->s.portb = 0;
	out0_changed(p);
}

static void pit_loaded(void *opaque)
{
	arm(opaque);
}

struct pit *pit_new(const struct pit_config *cfg)
{
	struct pit *p = xalloc(sizeof(*p));

	p->cfg = *cfg;
	loop_timer_init(&p->timer, cfg->loop, fire, p);
	p->ports = (struct mem_ports){ .name = "pit", .base = 0x40, .count = 4, .ops = &pit_ops, .opaque = p };
	p->portb_ports = (struct mem_ports){ .name = "portb", .base = 0x61, .count = 1, .ops = &portb_ops, .opaque = p };
	if (cfg->mem) {
		mem_ports_enable(cfg->mem, &p->ports);
		mem_ports_enable(cfg->mem, &p->portb_ports);
	}
	if (cfg->states)
		state_set_add(cfg->states, "pit", &pit_type, &p->s, pit_loaded, p);
	pit_reset(p);
	return p;
}

void pit_free(struct pit *p)
{
	if (!p)
		return;
	loop_timer_cancel(&p->timer);
	if (p->cfg.mem) {
		mem_ports_disable(p->cfg.mem, &p->ports);
		mem_ports_disable(p->cfg.mem, &p->portb_ports);
	}
	free(p);
}
