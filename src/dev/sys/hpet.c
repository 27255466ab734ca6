// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the high precision event timer: main counter, one-shot and periodic comparators, legacy replacement
 *
 * A tick is 10 ns of loop time, so the counter is computed when read. A comparator is armed as the distance from
 * the counter to it, modulo its width. One deliberate difference from hardware: a comparator written with a value
 * that has just passed (up to LATE_TICKS) fires at once instead of after a wrap, because a guest that lost its
 * host CPU between reading the counter and writing the comparator cannot know.
 *
 * Each access, and each expiry, is handled as of one moment, now: were the clock read twice, a comparator could pass in
 * between (the host may take the CPU away there for longer than a period) and its timer would be dead until the
 * counter wraps.
 *
 * I1  While timer[n].armed the interrupt is owed; writes to a timer's registers first fire what is due.
 * I2  line[n] is the level on the wire pin[n]; nothing else drives that wire for timer n.
 *
 * Source: IA-PC HPET Specification 1.0a, chapter 2.
 */
#include "dev/sys/hpet.h"

#include <stdlib.h>

#include "base/bytes.h"

#define TICK_NS 10u
/* Ten seconds. */
#define LATE_TICKS 1000000000u
/* A shorter period gets every n-th tick: 20 us. */
#define MIN_PERIOD 2000u
#define FOREVER (1ull << 56)

enum { GCAP_ID = 0x00, GEN_CONF = 0x10, GINTR_STA = 0x20, MAIN_CNT = 0xf0, TIMER_BASE = 0x100 }; /* table 2 */
enum { TN_CONF = 0x00, TN_CMP = 0x08, TN_FSB = 0x10 };

#define CONF_ENABLE   1ull
#define CONF_LEGACY   2ull

#define TN_LEVEL      0x2ull
#define TN_INT_ENB    0x4ull
#define TN_PERIODIC   0x8ull
#define TN_PER_CAP    0x10ull
#define TN_SIZE_CAP   0x20ull
#define TN_VAL_SET    0x40ull
#define TN_32MODE     0x100ull
#define TN_ROUTE      0x3e00ull
#define TN_WRITABLE   (TN_LEVEL | TN_INT_ENB | TN_PERIODIC | TN_VAL_SET | TN_32MODE | TN_ROUTE)

#define NO_PIN 0xff
#define PIN_LEGACY 32 /* 32 and 33: cfg.legacy */

struct hpet_timer_state {
	uint64_t conf;
	uint64_t cmp;
	uint64_t period;
};

struct hpet_state {
	uint64_t conf;
	uint64_t isr;
	uint64_t counter; /* value at started, or while halted */
	uint64_t started; /* loop ns */
	struct hpet_timer_state t[HPET_TIMERS];
};

struct hpet_timer {
	struct loop_timer timer;
	struct hpet *h;
	unsigned n;
	uint8_t pin;
	bool line;
};

struct hpet {
	struct hpet_state s;
	struct hpet_config cfg;
	struct hpet_timer t[HPET_TIMERS];
	struct mem_region window;
};

/* now: loop time in ns. */
static uint64_t counter(const struct hpet *h, uint64_t now)
{
	if (!(h->s.conf & CONF_ENABLE))
		return h->s.counter;
	return h->s.counter + (now - h->s.started) / TICK_NS;
}

static uint64_t width_mask(const struct hpet_timer_state *t)
{
	return t->conf & TN_32MODE ? 0xffffffff : UINT64_MAX;
}

/* --- interrupt lines --- */

static uint8_t pin_of(const struct hpet *h, unsigned n)
{
	unsigned route = (unsigned)(h->s.t[n].conf & TN_ROUTE) >> 9;

	if ((h->s.conf & CONF_LEGACY) && n < 2)
		return (uint8_t)(PIN_LEGACY + n);
	return h->cfg.route_cap >> route & 1 ? (uint8_t)route : NO_PIN;
}

static bool is_legacy(uint8_t pin)
{
	return pin >= PIN_LEGACY && pin < PIN_LEGACY + 2;
}

static void drive(struct hpet *h, uint8_t pin, bool level)
{
	if (is_legacy(pin))
		wire_set(&h->cfg.legacy[pin - PIN_LEGACY], level);
	else if (pin < 32)
		wire_set(&h->cfg.irq[pin], level);
}

static void update_line(struct hpet_timer *t)
{
	struct hpet *h = t->h;
	uint64_t conf = h->s.t[t->n].conf;
	uint8_t pin = pin_of(h, t->n);
	bool up = conf & TN_LEVEL ? h->s.isr >> t->n & 1 : t->line && is_legacy(pin), level = up && (conf & TN_INT_ENB);

	if (t->line && (!level || pin != t->pin))
		drive(h, t->pin, false);
	if (level && (!t->line || pin != t->pin))
		drive(h, pin, true);
	t->line = level;
	t->pin = pin;
}

/* An edge: a pulse. On lines 0 and 8 it lasts until the next one, because an 8259 wants the line up until it is
 * acknowledged. */
static void interrupt(struct hpet_timer *t)
{
	struct hpet *h = t->h;
	uint64_t conf = h->s.t[t->n].conf;
	uint8_t pin = pin_of(h, t->n);

	if (conf & TN_LEVEL) {
		h->s.isr |= 1ull << t->n;
		update_line(t);
	} else if (conf & TN_INT_ENB) {
		drive(h, pin, false);
		drive(h, pin, true);
		t->pin = pin;
		t->line = is_legacy(pin);
		if (!t->line)
			drive(h, pin, false);
	}
}

/* --- comparators --- */

/* Move a periodic comparator past the counter. */
static void advance(struct hpet_timer_state *s, uint64_t count)
{
	uint64_t mask = width_mask(s), late = (count - s->cmp) & mask;

	/* More than half the range behind is ahead. */
	if (s->period && late <= mask / 2)
		s->cmp = (s->cmp + (late / s->period + 1) * s->period) & mask;
}

/* fresh: the comparator was written just now. */
static void arm(struct hpet_timer *t, uint64_t now, bool fresh)
{
	struct hpet *h = t->h;
	struct hpet_timer_state *s = &h->s.t[t->n];
	uint64_t mask = width_mask(s), count = counter(h, now) & mask, ahead;

	if (!(h->s.conf & CONF_ENABLE) || !(s->conf & (TN_INT_ENB | TN_LEVEL)) || ((s->conf & TN_PERIODIC) && !s->period)) {
		loop_timer_cancel(&t->timer);
		return;
	}
	ahead = (s->cmp - count) & mask;
	if (fresh && s->cmp <= count && count - s->cmp <= LATE_TICKS) /* all ones is never just past */
		ahead = 0;
	else if (ahead == 0)
		ahead = mask; /* it matched already */
	if ((s->conf & TN_PERIODIC) && s->period < MIN_PERIOD)
		ahead = MAX(ahead, MIN_PERIOD);
	if (ahead > FOREVER)
		loop_timer_cancel(&t->timer);
	else
		loop_timer_set(&t->timer, now + ahead * TICK_NS);
}

static void fire_at(struct hpet_timer *t, uint64_t now)
{
	struct hpet_timer_state *s = &t->h->s.t[t->n];

	loop_timer_cancel(&t->timer);
	if (s->conf & TN_PERIODIC)
		advance(s, counter(t->h, now));
	interrupt(t);
	arm(t, now, false);
}

static void fire(void *opaque)
{
	struct hpet_timer *t = opaque;

	fire_at(t, loop_now(t->h->cfg.loop));
}

static void fire_if_due(struct hpet_timer *t, uint64_t now)
{
	if (t->timer.armed && t->timer.when <= now)
		fire_at(t, now);
}

static void arm_all(struct hpet *h, uint64_t now)
{
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		arm(&h->t[n], now, false);
}

/* --- registers --- */

static uint64_t merge(uint64_t old, uint64_t val, uint64_t mask)
{
	return (old & ~mask) | (val & mask);
}

static void write_conf(struct hpet *h, uint64_t val, uint64_t now)
{
	uint64_t changed = (h->s.conf ^ val) & (CONF_ENABLE | CONF_LEGACY);

	if (changed & CONF_ENABLE) {
		for (unsigned n = 0; n < HPET_TIMERS; n++)
			fire_if_due(&h->t[n], now);
		h->s.counter = counter(h, now);
		h->s.started = now;
	}
	h->s.conf = val & (CONF_ENABLE | CONF_LEGACY);
	if (changed & CONF_LEGACY) {
		wire_set(&h->cfg.legacy_on, val & CONF_LEGACY);
		for (unsigned n = 0; n < HPET_TIMERS; n++)
			update_line(&h->t[n]);
	}
	if (changed & CONF_ENABLE)
		arm_all(h, now);
}

static void write_counter(struct hpet *h, uint64_t val, uint64_t mask, uint64_t now)
{
	h->s.counter = merge(counter(h, now), val, mask);
	h->s.started = now;
	arm_all(h, now);
}

static void write_tn_conf(struct hpet_timer *t, uint64_t val, uint64_t mask, uint64_t now)
{
	struct hpet_timer_state *s = &t->h->s.t[t->n];

	fire_if_due(t, now);
	s->conf = merge(s->conf, val, mask & TN_WRITABLE);
	if (s->conf & TN_32MODE) { /* 2.3.8: the upper halves are then fixed at 0 */
		s->cmp = (uint32_t)s->cmp;
		s->period = (uint32_t)s->period;
	}
	if (!(s->conf & TN_LEVEL))
		t->h->s.isr &= ~(1ull << t->n);
	update_line(t);
	arm(t, now, false);
}

/* 2.3.9.2.2: in periodic mode a write sets the period, and with VAL_SET the comparator as well; VAL_SET clears
 * itself. */
static void write_tn_cmp(struct hpet_timer *t, uint64_t val, uint64_t mask, uint64_t now)
{
	struct hpet_timer_state *s = &t->h->s.t[t->n];

	fire_if_due(t, now);
	mask &= width_mask(s);
	if (!(s->conf & TN_PERIODIC) || (s->conf & TN_VAL_SET))
		s->cmp = merge(s->cmp, val, mask);
	if (s->conf & TN_PERIODIC)
		s->period = merge(s->period, val, mask);
	if (mask == width_mask(s) || mask >> 32)
		s->conf &= ~TN_VAL_SET;
	arm(t, now, true);
}

static void write_timer(struct hpet *h, uint64_t off, uint64_t val, uint64_t mask, uint64_t now)
{
	unsigned n = (unsigned)(off - TIMER_BASE) / 0x20;

	if (n >= HPET_TIMERS)
		return;
	if ((off & 0x18) == TN_CONF)
		write_tn_conf(&h->t[n], val, mask, now);
	else if ((off & 0x18) == TN_CMP)
		write_tn_cmp(&h->t[n], val, mask, now);
}

void hpet_mmio_write(struct hpet *h, uint64_t off, uint64_t val, unsigned size)
{
	unsigned shift = (off & 7) * 8;
	uint64_t mask = (size >= 8 ? UINT64_MAX : (1ull << (size * 8)) - 1) << shift;
	uint64_t now = loop_now(h->cfg.loop);

	val <<= shift;
	off &= ~7ull;
	switch (off) {
	case GEN_CONF:
		write_conf(h, merge(h->s.conf, val, mask), now);
		return;
	case GINTR_STA:
		h->s.isr &= ~(val & mask);
		for (unsigned n = 0; n < HPET_TIMERS; n++)
			update_line(&h->t[n]);
		return;
	case MAIN_CNT:
		write_counter(h, val, mask, now);
		return;
	}
	if (off >= TIMER_BASE)
		write_timer(h, off, val, mask, now);
}

static uint64_t read_timer(struct hpet *h, uint64_t off)
{
	unsigned n = (unsigned)(off - TIMER_BASE) / 0x20;

	if (n >= HPET_TIMERS)
		return 0;
	switch (off & 0x18) {
	case TN_CONF:
		return h->s.t[n].conf | TN_PER_CAP | TN_SIZE_CAP | (uint64_t)h->cfg.route_cap << 32;
	case TN_CMP:
		return h->s.t[n].cmp;
	default:
		return 0;
	}
}

static uint64_t read_reg(struct hpet *h, uint64_t off)
{
	switch (off) {
	case MAIN_CNT:
		return counter(h, loop_now(h->cfg.loop));
	case GCAP_ID:
		return HPET_ID | (uint64_t)TICK_NS * 1000000 << 32; /* period in femtoseconds */
	case GEN_CONF:
		return h->s.conf;
	case GINTR_STA:
		return h->s.isr;
	}
	return off >= TIMER_BASE ? read_timer(h, off) : 0;
}

uint64_t hpet_mmio_read(struct hpet *h, uint64_t off, unsigned size)
{
	return read_reg(h, off & ~7ull) >> ((off & 7) * 8);
}

static uint64_t window_read(void *opaque, uint64_t off, unsigned size)
{
	return hpet_mmio_read(opaque, off, size);
}

static void window_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	hpet_mmio_write(opaque, off, val, size);
}

static const struct mem_ops window_ops = {.read = window_read, .write = window_write, .max_size = 8, .plain = true};

void hpet_reset(struct hpet *h)
{
	bool legacy = h->s.conf & CONF_LEGACY;

	bytes_fill(&h->s, 0, sizeof(h->s));
	if (legacy)
		wire_set(&h->cfg.legacy_on, false);
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		h->s.t[n].cmp = UINT64_MAX;
		loop_timer_cancel(&h->t[n].timer);
		update_line(&h->t[n]);
	}
}

static const struct st_field hpet_timer_type_fields[] = {
	ST(struct hpet_timer_state, conf), ST(struct hpet_timer_state, cmp), ST(struct hpet_timer_state, period),
};
static ST_TYPE(hpet_timer_type, struct hpet_timer_state, 1, NULL);
static const struct st_field hpet_type_fields[] = {
	ST(struct hpet_state, conf), ST(struct hpet_state, isr), ST(struct hpet_state, counter),
	ST(struct hpet_state, started), ST_SUBS(struct hpet_state, t, &hpet_timer_type),
};
static ST_TYPE(hpet_type, struct hpet_state, 1, NULL);

static void hpet_loaded(void *opaque)
{
	struct hpet *h = opaque;

	wire_set(&h->cfg.legacy_on, h->s.conf & CONF_LEGACY);
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		update_line(&h->t[n]);
	arm_all(h, loop_now(h->cfg.loop));
}

struct hpet *hpet_new(const struct hpet_config *cfg)
{
	struct hpet *h = xalloc(sizeof(*h));

	bytes_copy(&h->cfg, cfg, sizeof(h->cfg)); /* no call of memcpy in here */
	h->window = (struct mem_region){
		.name = "hpet", .base = cfg->base ? cfg->base : HPET_DEFAULT_BASE, .size = 0x400, .priority = 10,
		.ops = &window_ops, .opaque = h,
	};
	for (unsigned n = 0; n < HPET_TIMERS; n++) {
		h->t[n].h = h;
		h->t[n].n = n;
		h->t[n].pin = NO_PIN;
		loop_timer_init(&h->t[n].timer, cfg->loop, fire, &h->t[n]);
	}
	hpet_reset(h);
	if (cfg->mem)
		mem_region_enable(cfg->mem, &h->window);
	if (cfg->set)
		state_set_add(cfg->set, "hpet", &hpet_type, &h->s, hpet_loaded, h);
	return h;
}

void hpet_free(struct hpet *h)
{
	if (!h)
		return;
	for (unsigned n = 0; n < HPET_TIMERS; n++)
		loop_timer_cancel(&h->t[n].timer);
	if (h->window.enabled)
		mem_region_disable(h->cfg.mem, &h->window);
	free(h);
}
