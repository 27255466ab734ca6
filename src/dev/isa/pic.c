// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the two cascaded 8259A interrupt controllers of the PC
 *
 *   line --edge or level (ELCR)--> IRR --IMR, priority against ISR--> INT --INTA--> ISR --EOI--> gone
 *   slave INT --> line 2 of the master
 *
 * I1  edge holds requests latched by a rising line, until the acknowledge or until the line falls. The INT that such a
 *     line has raised stays all the same, by dropped, and the acknowledge then finds no request: the default input 7 of
 *     "Edge and Level Triggered Modes". So chips here hold their lines up as the hardware's do, and never pulse them.
 *     Level requests are the line itself.
 * I2  After every change update() runs, so the outputs always follow from the state.
 *
 * ICW3 is taken but not used: the PC's cascade is soldered to input 2. 8080 mode (ICW4 bit 0 clear) does
 * not exist on a PC and behaves as 8086 mode.
 *
 * Sources: Intel 8259A datasheet (231468), PIIX datasheet (ELCR).
 */
#include "dev/isa/pic.h"

#include <stdlib.h>

#define CASCADE 2u
#define SPURIOUS 7u

enum {
	ICW1_IC4 = 0x01, ICW1_SNGL = 0x02, ICW1_INIT = 0x10,
	ICW4_AEOI = 0x02, ICW4_SFNM = 0x10,
	OCW2_EOI = 0x20, OCW2_SL = 0x40, OCW2_R = 0x80,
	OCW3_RIS = 0x01, OCW3_RR = 0x02, OCW3_POLL = 0x04, OCW3_SELECT = 0x08, OCW3_SMM = 0x20, OCW3_ESMM = 0x40,
	POLL_PENDING = 0x80,
};

enum { INIT_DONE, INIT_ICW2, INIT_ICW3, INIT_ICW4 };

struct pic_chip {
	uint8_t lines, edge, imr, isr, elcr;
	uint8_t dropped;     /* edges that raised INT and are gone */
	uint8_t vector;      /* ICW2, upper five bits */
	uint8_t lowest;      /* input that has the lowest priority now */
	uint8_t init;        /* INIT_*: which ICW comes next */
	bool want_icw4, single, aeoi, sfnm;
	bool rotate_aeoi, special_mask, read_isr, poll;
};

struct pic_state {
	struct pic_chip chip[2];
};

static const char *pic_chip_check(const void *state)
{
	const struct pic_chip *c = state;

	return c->lowest > 7 || c->init > INIT_ICW4 ? "8259A priority or init step out of range" : NULL;
}

static const struct st_field pic_chip_type_fields[] = {
	ST(struct pic_chip, lines), ST(struct pic_chip, edge), ST(struct pic_chip, imr), ST(struct pic_chip, isr),
	ST(struct pic_chip, elcr), ST(struct pic_chip, dropped), ST(struct pic_chip, vector), ST(struct pic_chip, lowest),
	ST(struct pic_chip, init),
	ST(struct pic_chip, want_icw4), ST(struct pic_chip, single), ST(struct pic_chip, aeoi), ST(struct pic_chip, sfnm),
	ST(struct pic_chip, rotate_aeoi), ST(struct pic_chip, special_mask), ST(struct pic_chip, read_isr),
	ST(struct pic_chip, poll),
};
static ST_TYPE(pic_chip_type, struct pic_chip, 1, pic_chip_check);
static const struct st_field pic_type_fields[] = { ST_SUBS(struct pic_state, chip, &pic_chip_type) };
static ST_TYPE(pic_type, struct pic_state, 1, NULL);

struct pic {
	struct pic_state s;
	struct pic_config cfg;
	bool intr;
	struct mem_ports ports[3];
};

/* PIIX: lines 0, 1, 2, 8 and 13 are always edge triggered. */
static const uint8_t elcr_mask[2] = { 0xf8, 0xde };

static uint8_t requests(const struct pic_chip *c)
{
	return (uint8_t)((c->edge & ~c->elcr) | (c->lines & c->elcr));
}

/* The set bit of highest priority as a distance from the top, 8 if there is none. */
static unsigned rank_of(const struct pic_chip *c, uint8_t bits)
{
	unsigned rank = 0;

	while (rank < 8 && !(bits & 1u << ((c->lowest + 1 + rank) & 7)))
		rank++;
	return rank;
}

static unsigned input_of(const struct pic_chip *c, unsigned rank)
{
	return (c->lowest + 1 + rank) & 7;
}

/* The input of these that passes mask and priority, or -1. */
static int winner(const struct pic_chip *c, uint8_t inputs, bool master)
{
	uint8_t busy = c->isr;
	unsigned rank = rank_of(c, inputs & (uint8_t)~c->imr);

	if (c->special_mask)
		busy &= (uint8_t)~c->imr;
	if (c->sfnm && master)
		busy &= (uint8_t)~(1u << CASCADE);
	return rank < rank_of(c, busy) ? (int)input_of(c, rank) : -1;
}

/* The input that raises INT, or -1. */
static int asserting(const struct pic_chip *c, bool master)
{
	return winner(c, requests(c) | c->dropped, master);
}

static void chip_line(struct pic_chip *c, unsigned n, bool level, bool master)
{
	uint8_t bit = (uint8_t)(1u << n);

	if (level && !(c->lines & bit))
		c->edge |= bit;
	if (!level && c->edge & ~c->elcr & bit && asserting(c, master) == (int)n)
		c->dropped |= bit;
	c->lines = level ? c->lines | bit : c->lines & (uint8_t)~bit;
	c->edge &= c->lines;
}

static void update(struct pic *p)
{
	struct pic_chip *m = &p->s.chip[0];
	bool intr;

	chip_line(m, CASCADE, asserting(&p->s.chip[1], false) >= 0, true);
	m->dropped &= (uint8_t)~(1u << CASCADE); /* the slave itself holds what it raised */
	intr = asserting(m, true) >= 0;
	if (intr != p->intr) {
		p->intr = intr;
		wire_set(&p->cfg.intr, intr);
	}
}

void pic_set_irq(void *opaque, int irq, bool level)
{
	struct pic *p = opaque;
	struct pic_chip *c = &p->s.chip[irq >> 3 & 1];
	uint8_t bit = (uint8_t)(1u << (irq & 7));

	if (irq < 0 || irq > 15 || irq == (int)CASCADE)
		return;
	if (level && c->dropped & bit) { /* a new request is a new edge of INT, for a local APIC that takes it so */
		c->dropped &= (uint8_t)~bit;
		update(p);
	}
	chip_line(c, irq & 7, level, irq < 8);
	update(p);
}

bool pic_pending(const struct pic *p)
{
	return p->intr;
}

/* --- acknowledge and end of interrupt --- */

/* INTA: the request of highest priority goes into service; -1: there is none any more. */
static int chip_ack(struct pic_chip *c, bool master)
{
	int n = winner(c, requests(c), master);

	c->dropped = 0;
	if (n < 0)
		return n;
	c->edge &= (uint8_t)~(1u << n);
	if (!c->aeoi)
		c->isr |= (uint8_t)(1u << n);
	else if (c->rotate_aeoi)
		c->lowest = (uint8_t)n;
	return n;
}

static int vector_of(const struct pic_chip *c, int n)
{
	return c->vector | (n < 0 ? (int)SPURIOUS : n);
}

int pic_ack(struct pic *p)
{
	struct pic_chip *m = &p->s.chip[0], *s = &p->s.chip[1];
	int n = chip_ack(m, true), vector = vector_of(m, n);

	if (n == (int)CASCADE) {
		vector = vector_of(s, chip_ack(s, false));
		/* INTA lowers the slave's INT; a further request raises it again, which the master sees as an edge. */
		chip_line(m, CASCADE, false, true);
	}
	update(p);
	return vector;
}

static void eoi(struct pic_chip *c, uint8_t ocw2)
{
	unsigned n = ocw2 & 7;

	if (!(ocw2 & OCW2_SL)) {
		/* Under special mask mode a masked level is not what a non-specific EOI ends. */
		unsigned rank = rank_of(c, c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr);

		if (rank == 8)
			return;
		n = input_of(c, rank);
	}
	c->isr &= (uint8_t)~(1u << n);
	if (ocw2 & OCW2_R)
		c->lowest = (uint8_t)n;
}

static void write_ocw1(struct pic_chip *c, uint8_t val)
{
	c->imr = val;
	c->dropped &= (uint8_t)~val;
}

static void write_ocw2(struct pic_chip *c, uint8_t val)
{
	if (val & OCW2_EOI)
		eoi(c, val);
	else if ((val & (OCW2_R | OCW2_SL)) == (OCW2_R | OCW2_SL))
		c->lowest = val & 7;
	else if (!(val & OCW2_SL))
		c->rotate_aeoi = val & OCW2_R;
}

static void write_ocw3(struct pic_chip *c, uint8_t val)
{
	if (val & OCW3_POLL)
		c->poll = true;
	if (val & OCW3_RR)
		c->read_isr = val & OCW3_RIS;
	if (val & OCW3_ESMM)
		c->special_mask = val & OCW3_SMM;
}

/* --- initialisation --- */

static void write_icw1(struct pic_chip *c, uint8_t val)
{
	uint8_t lines = c->lines, elcr = c->elcr, vector = c->vector;

	*c = (struct pic_chip){ .lines = lines, .elcr = elcr, .vector = vector, .lowest = 7, .init = INIT_ICW2 };
	c->want_icw4 = val & ICW1_IC4;
	c->single = val & ICW1_SNGL;
}

static void write_icw(struct pic_chip *c, uint8_t val)
{
	switch (c->init) {
	case INIT_ICW2:
		c->vector = val & 0xf8;
		c->init = !c->single ? INIT_ICW3 : c->want_icw4 ? INIT_ICW4 : INIT_DONE;
		break;
	case INIT_ICW3:
		c->init = c->want_icw4 ? INIT_ICW4 : INIT_DONE;
		break;
	default:
		c->aeoi = val & ICW4_AEOI;
		c->sfnm = val & ICW4_SFNM;
		c->init = INIT_DONE;
	}
}

/* --- registers --- */

static void chip_write(struct pic_chip *c, unsigned a0, uint8_t val)
{
	if (a0 && c->init != INIT_DONE)
		write_icw(c, val);
	else if (a0)
		write_ocw1(c, val);
	else if (val & ICW1_INIT)
		write_icw1(c, val);
	else if (val & OCW3_SELECT)
		write_ocw3(c, val);
	else
		write_ocw2(c, val);
}

static uint8_t chip_poll(struct pic_chip *c, bool master)
{
	int n = chip_ack(c, master);

	c->poll = false;
	return n < 0 ? SPURIOUS : (uint8_t)(POLL_PENDING | n);
}

static uint8_t chip_read(struct pic_chip *c, unsigned a0, bool master)
{
	if (c->poll)
		return chip_poll(c, master);
	if (a0)
		return c->imr;
	return c->read_isr ? c->isr : requests(c);
}

static uint64_t io_read(struct pic *p, unsigned chip, uint64_t a0)
{
	uint8_t val = chip_read(&p->s.chip[chip], (unsigned)a0, chip == 0);

	update(p);
	return val;
}

static void io_write(struct pic *p, unsigned chip, uint64_t a0, uint64_t val)
{
	chip_write(&p->s.chip[chip], (unsigned)a0, (uint8_t)val);
	update(p);
}

static uint64_t master_read(void *opaque, uint64_t off, unsigned size)
{
	return io_read(opaque, 0, off);
}

static void master_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	io_write(opaque, 0, off, val);
}

static uint64_t slave_read(void *opaque, uint64_t off, unsigned size)
{
	return io_read(opaque, 1, off);
}

static void slave_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	io_write(opaque, 1, off, val);
}

static uint64_t elcr_read(void *opaque, uint64_t off, unsigned size)
{
	struct pic *p = opaque;

	return p->s.chip[off & 1].elcr;
}

static void elcr_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct pic *p = opaque;

	p->s.chip[off & 1].elcr = (uint8_t)val & elcr_mask[off & 1];
	update(p);
}

static const struct mem_ops pic_ops[3] = {
	{ .read = master_read, .write = master_write, .max_size = 1, .plain = true },
	{ .read = slave_read, .write = slave_write, .max_size = 1, .plain = true },
	{ .read = elcr_read, .write = elcr_write, .max_size = 1, .plain = true },
};
static const uint16_t pic_base[3] = { 0x20, 0xa0, 0x4d0 };

void pic_reset(struct pic *p)
{
	for (unsigned i = 0; i < 2; i++)
		p->s.chip[i] = (struct pic_chip){ .lines = p->s.chip[i].lines, .lowest = 7 };
	update(p);
}

static void pic_loaded(void *opaque)
{
	struct pic *p = opaque;

	p->intr = asserting(&p->s.chip[0], true) >= 0;
	wire_set(&p->cfg.intr, p->intr);
}

struct pic *pic_new(const struct pic_config *cfg)
{
	struct pic *p = xalloc(sizeof(*p));

	p->cfg = *cfg;
	for (unsigned i = 0; i < 3; i++) {
		p->ports[i] = (struct mem_ports){ .name = "pic", .base = pic_base[i], .count = 2, .ops = &pic_ops[i],
			.opaque = p };
		if (cfg->mem)
			mem_ports_enable(cfg->mem, &p->ports[i]);
	}
	if (cfg->states)
		state_set_add(cfg->states, "pic", &pic_type, &p->s, pic_loaded, p);
	pic_reset(p);
	return p;
}

void pic_free(struct pic *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < 3 && p->cfg.mem; i++)
		mem_ports_disable(p->cfg.mem, &p->ports[i]);
	free(p);
}
