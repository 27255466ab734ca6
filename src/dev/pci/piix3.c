// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PCI-to-ISA bridge 82371SB (PIIX3), function 0: where interrupt lines meet
 *
 * Every source of an ISA interrupt line, PIRQ or ISA chip, is one bit of `active`; a line is high while any source
 * routed to it is. So several chips may share a line without knowing of each other, and rerouting a PIRQ is a
 * matter of computing the lines again.
 *
 *   PIRQ A-D --pirq_set--> bits 0-3  --route[]--.
 *   ISA chips -input_set-> bits 4-31 --route[]--+--> lines (OR) --> cfg.irq[16]
 *
 * The x87's error line latches IRQ 13 here; the handler's write to port F0H drops it and asks for IGNNE#. Whether FERR#
 * stands, without which there is no IGNNE#, is known to the CPU alone, whose x87 runs on the host's.
 *
 * Sources: Intel 290550 (82371SB), 2.2 PCI to ISA bridge registers, 2.5.5.2 CERR; SDM vol 1 appendix D.2.1.
 */
#include "dev/pci/piix3.h"

#include <stdlib.h>

#include "base/bytes.h"

#define PIRQRC 0x60          /* four route control registers */
#define PIRQRC_DISABLE 0x80
#define NPIRQ 4
#define NSOURCE 32
#define CERR 0xf0            /* 290550 2.5.5.2 coprocessor error register */
#define ROUTABLE 0xdef8      /* 290550 PIRQRC: lines 3-7, 9-12, 14, 15; the others are reserved */

struct piix3_state {
	uint32_t active; /* sources that are high */
	uint16_t lines;  /* level last driven on each line */
	uint8_t pad_[2];
};

struct piix3 {
	struct pci_dev pci;
	struct piix3_state s;
	struct piix3_config cfg;
	uint8_t route[NSOURCE]; /* line of each ISA source */
	unsigned nsource;
	struct mem_ports cerr;
	int ferr;               /* the source that FERR# latches; 0 until it is asked for */
};

static uint16_t pirq_line(const struct piix3 *p, unsigned pirq)
{
	uint8_t rc = p->pci.s.config[PIRQRC + pirq];

	return rc & PIRQRC_DISABLE ? 0 : (uint16_t)(1u << (rc & 15) & ROUTABLE);
}

static void drive(struct piix3 *p, bool all)
{
	uint16_t lines = 0, changed;

	for (unsigned i = 0; i < p->nsource; i++)
		if (p->s.active >> i & 1)
			lines |= i < NPIRQ ? pirq_line(p, i) : (uint16_t)(1u << p->route[i]);
	changed = all ? 0xffff : lines ^ p->s.lines;
	p->s.lines = lines;
	for (unsigned n = 0; n < 16; n++)
		if (changed >> n & 1)
			wire_set(&p->cfg.irq[n], lines >> n & 1);
}

static void source_set(void *opaque, int n, bool level)
{
	struct piix3 *p = opaque;
	uint32_t active = level ? p->s.active | 1u << n : p->s.active & ~(1u << n);

	if (active == p->s.active)
		return;
	p->s.active = active;
	drive(p, false);
}

struct wire piix3_irq_input(struct piix3 *p, unsigned irq)
{
	must(p->nsource < NSOURCE && irq < 16);
	p->route[p->nsource] = (uint8_t)irq;
	return (struct wire){.set = source_set, .opaque = p, .n = (int)p->nsource++};
}

struct wire piix3_ferr_input(struct piix3 *p)
{
	struct wire in = piix3_irq_input(p, 13);

	p->ferr = in.n;
	return in;
}

static void cerr_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct piix3 *p = opaque;

	if (p->ferr)
		source_set(p, p->ferr, false);
	wire_set(&p->cfg.ignne, true);
}

static const struct mem_ops cerr_ops = { .write = cerr_write, .max_size = 1, .plain = true };

static void config_written(struct pci_dev *dev, unsigned off, unsigned len)
{
	if (off < PIRQRC + NPIRQ && off + len > PIRQRC)
		drive(dev->opaque, false);
}

static void loaded(void *opaque)
{
	drive(opaque, true);
}

void piix3_reset(struct piix3 *p)
{
	p->pci.s.config[4] = 7; /* 290550 PCICMD: decoding and mastering for the ISA bus are always on */
	for (unsigned i = 0; i < NPIRQ; i++)
		p->pci.s.config[PIRQRC + i] = PIRQRC_DISABLE;
	if (p->ferr)
		p->s.active &= ~(1u << p->ferr);
	drive(p, false);
}

static const struct st_field piix3_state_type_fields[] = {
	ST(struct piix3_state, active),
	ST(struct piix3_state, lines),
	ST_ARRAY(struct piix3_state, pad_),
};
static ST_TYPE(piix3_state_type, struct piix3_state, 1, NULL);

struct piix3 *piix3_new(const struct piix3_config *cfg)
{
	struct piix3 *p = xalloc(sizeof(*p));
	struct wire pirq[NPIRQ];

	bytes_copy(&p->cfg, cfg, sizeof(p->cfg)); /* no call of memcpy in here */
	p->nsource = NPIRQ;
	p->pci.name = "piix3";
	p->pci.opaque = p;
	p->pci.config_written = config_written;
	pci_set_ids(&p->pci, 0x8086, 0x7000, 0x060100, 0, 0x1af4, 0x1100, 0);
	p->pci.s.config[7] = 2;    /* medium DEVSEL timing */
	p->pci.s.config[0xe] = 0x80; /* multifunction: IDE and power management follow */
	for (unsigned i = 0; i < NPIRQ; i++) {
		p->pci.wmask[PIRQRC + i] = 0x8f;
		pirq[i] = (struct wire){.set = source_set, .opaque = p, .n = (int)i};
	}
	pci_add(cfg->bus, &p->pci, 1 << 3);
	pci_bus_set_intx(cfg->bus, pirq);
	pci_register_state(&p->pci, cfg->states, "piix3");
	state_set_add(cfg->states, "piix3", &piix3_state_type, &p->s, loaded, p);
	p->cerr = (struct mem_ports){ .name = "cerr", .base = CERR, .count = 1, .ops = &cerr_ops, .opaque = p };
	if (cfg->mem)
		mem_ports_enable(cfg->mem, &p->cerr);
	piix3_reset(p);
	return p;
}

void piix3_free(struct piix3 *p)
{
	if (p && p->cfg.mem)
		mem_ports_disable(p->cfg.mem, &p->cerr);
	free(p);
}
