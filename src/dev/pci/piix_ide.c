// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the IDE function of the PIIX3 (function 1): two ATA channels at their legacy ports and a bus master for each
 *
 * The bus master walks the guest's table of physical regions (PRD) only as far as the next piece of a transfer needs,
 * turning it into an iovec over guest memory. A walk first measures, then commits the cursor, so that a piece can be
 * cut to whole sectors however oddly the guest's regions are cut.
 *
 * I1  The cursor (next, addr, left, last) moves only by what was handed out.
 * The channels always decode their ports, whatever IDETIM says, so that a kernel started without firmware finds them.
 * Sources: Intel 290550 (82371SB) 2.3; "Programming Interface for Bus Master IDE Controller" 1.0 ("BM" below).
 */
#include "dev/pci/piix_ide.h"

#include <stdlib.h>

#define BM_START 0x01 /* command: BM 2.1 */
#define BM_TO_MEMORY 0x08
#define BM_ACTIVE 0x01 /* status: BM 2.2 */
#define BM_ERROR 0x02
#define BM_INTERRUPT 0x04
#define BM_SIMPLEX_CAP 0x60
#define IDETIM 0x40

struct bm_state {
	uint32_t table; /* as the guest wrote it */
	uint32_t next;  /* table entry to be read next */
	uint32_t addr;  /* of what is left of the present region */
	uint32_t left;
	uint8_t command, status;
	bool last;      /* the present region is the table's last */
	bool line;      /* interrupt line of the channel */
};

struct piix_ide_state {
	struct bm_state bm[2];
};

struct bus_master {
	struct piix_ide *ide;
	struct bm_state *s;
	struct ide_channel *channel;
	struct wire irq;
};

struct piix_ide {
	struct pci_dev pci;
	struct piix_ide_state s;
	struct mem *mem;
	struct bus_master bm[2];
};

/* Make `left` of the cursor nonzero, if the table goes on. */
static bool next_region(struct mem *mem, struct bm_state *c)
{
	uint8_t prd[8];

	if (c->left)
		return true;
	if (c->last || !mem_dma_read(mem, c->next, prd, sizeof(prd)))
		return false;
	c->next += sizeof(prd);
	c->addr = get_le32(prd) & ~1u;
	c->left = get_le16(prd + 4) & 0xfffe;
	if (!c->left)
		c->left = 0x10000; /* BM 1.2: 0 means 64 KiB */
	c->last = prd[7] & 0x80;
	return true;
}

/* Move cursor c by up to limit bytes, noting where they are in sg. */
static uint32_t walk(struct mem *mem, struct bm_state *c, struct ide_sg *sg, uint32_t limit)
{
	uint32_t total = 0;

	for (sg->n = 0; total < limit && sg->n < BLOCK_MAX_IOV && next_region(mem, c); sg->n++) {
		uint32_t n = MIN(c->left, limit - total);
		void *p = mem_dma_ptr(mem, c->addr, n);

		if (!p) {
			guest_log("piix_ide: DMA to 0x%x, which is not RAM", c->addr);
			break;
		}
		sg->gpa[sg->n] = c->addr;
		sg->iov[sg->n] = (struct iovec){.iov_base = p, .iov_len = n};
		c->addr += n;
		c->left -= n;
		total += n;
	}
	return total;
}

static uint32_t bm_map(void *opaque, struct ide_sg *sg, uint32_t want, uint32_t unit)
{
	struct bus_master *bm = opaque;
	struct bm_state probe = *bm->s;
	uint32_t n;

	sg->n = 0;
	if (!pci_master_enabled(&bm->ide->pci))
		return 0;
	n = walk(bm->ide->mem, &probe, sg, want);
	if (n != want)
		n -= n % unit;
	/* The guest may have changed the table since: what counts is what this walk hands out. */
	return n && walk(bm->ide->mem, bm->s, sg, n) == n ? n : 0;
}

static void bm_request(void *opaque)
{
	struct bus_master *bm = opaque;

	if (bm->s->command & BM_START)
		ide_dma_go(bm->channel);
}

static void bm_finish(void *opaque, bool error)
{
	struct bus_master *bm = opaque;

	bm->s->status &= (uint8_t)~BM_ACTIVE;
	if (error)
		bm->s->status |= BM_ERROR;
}

static void channel_irq(void *opaque, int n, bool level)
{
	struct bus_master *bm = opaque;

	if (level && !bm->s->line)
		bm->s->status |= BM_INTERRUPT; /* BM 2.2: set by the rising edge of the line */
	bm->s->line = level;
	wire_set(&bm->irq, level);
}

static void write_command(struct bus_master *bm, uint8_t val)
{
	bool started = !(bm->s->command & BM_START) && (val & BM_START);

	bm->s->command = val & (BM_START | BM_TO_MEMORY);
	if (!(val & BM_START)) {
		bm->s->status &= (uint8_t)~BM_ACTIVE;
		return;
	}
	if (!started)
		return;
	bm->s->status |= BM_ACTIVE;
	bm->s->next = bm->s->table;
	bm->s->left = 0;
	bm->s->last = false;
	ide_dma_go(bm->channel);
}

static uint8_t reg_read(const struct bus_master *bm, unsigned reg)
{
	switch (reg) {
	case 0:
		return bm->s->command;
	case 2:
		return bm->s->status;
	case 4: case 5: case 6: case 7:
		return (uint8_t)(bm->s->table >> (reg - 4) * 8);
	}
	return 0;
}

static void reg_write(struct bus_master *bm, unsigned reg, uint8_t val)
{
	unsigned shift = (reg & 3) * 8;

	switch (reg) {
	case 0:
		write_command(bm, val);
		break;
	case 2:
		bm->s->status = (uint8_t)((bm->s->status & ~BM_SIMPLEX_CAP) | (val & BM_SIMPLEX_CAP)) &
		                (uint8_t)~(val & (BM_ERROR | BM_INTERRUPT));
		break;
	case 4: case 5: case 6: case 7:
		bm->s->table = ((bm->s->table & ~(0xffu << shift)) | (uint32_t)val << shift) & ~3u;
		break;
	}
}

static uint64_t bar_read(void *opaque, uint64_t off, unsigned size)
{
	const struct piix_ide *ide = opaque;
	uint64_t val = 0;

	for (unsigned i = 0; i < size; i++, off++)
		val |= (uint64_t)reg_read(&ide->bm[off >> 3 & 1], off & 7) << i * 8;
	return val;
}

static void bar_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct piix_ide *ide = opaque;

	for (unsigned i = 0; i < size; i++, off++)
		reg_write(&ide->bm[off >> 3 & 1], off & 7, (uint8_t)(val >> i * 8));
}

static const struct mem_ops bar_ops = {.read = bar_read, .write = bar_write, .max_size = 4};

static const struct st_field bm_type_fields[] = {
	ST(struct bm_state, table), ST(struct bm_state, next), ST(struct bm_state, addr), ST(struct bm_state, left),
	ST(struct bm_state, command), ST(struct bm_state, status), ST(struct bm_state, last), ST(struct bm_state, line),
};
static ST_TYPE(bm_type, struct bm_state, 1, NULL);
static const struct st_field piix_ide_type_fields[] = {
	ST_SUBS(struct piix_ide_state, bm, &bm_type),
};
static ST_TYPE(piix_ide_type, struct piix_ide_state, 1, NULL);

void piix_ide_reset(struct piix_ide *ide)
{
	for (unsigned i = 0; i < 2; i++) {
		put_le16(ide->pci.s.config + IDETIM + i * 2, 0x8000);
		ide->s.bm[i] = (struct bm_state){0};
		ide_reset(ide->bm[i].channel);
	}
}

static void init_pci(struct piix_ide *ide)
{
	struct pci_dev *d = &ide->pci;

	d->name = "piix_ide";
	d->opaque = ide;
	/* Programming interface 0x80: legacy ports, bus master capable. */
	pci_set_ids(d, 0x8086, 0x7010, 0x010180, 0, 0x1af4, 0x1100, 0);
	d->s.config[6] = 0x80; /* fast back-to-back */
	d->s.config[7] = 0x02; /* medium DEVSEL timing */
	d->bar[4].kind = PCI_BAR_IO;
	d->bar[4].size = 16;
	d->bar[4].ports = (struct mem_ports){.name = "bmide", .ops = &bar_ops, .opaque = ide};
	for (unsigned i = 0; i < 5; i++) /* IDETIM twice, SIDETIM */
		d->wmask[IDETIM + i] = 0xff;
}

static void init_channel(struct piix_ide *ide, const struct piix_ide_config *cfg, unsigned i)
{
	struct bus_master *bm = &ide->bm[i];
	struct ide_config c = {
		.mem = cfg->mem, .states = cfg->states,
		.name = i ? "ide1" : "ide0",
		.cmd_base = i ? 0x170 : 0x1f0, .ctl_base = i ? 0x376 : 0x3f6,
		.unit = {cfg->unit[i][0], cfg->unit[i][1]},
		.irq = {.set = channel_irq, .opaque = bm},
		.tray = cfg->tray,
		.dma = {.opaque = bm, .request = bm_request, .map = bm_map, .finish = bm_finish},
	};

	bm->ide = ide;
	bm->s = &ide->s.bm[i];
	bm->irq = cfg->irq[i];
	bm->channel = ide_new(&c);
}

struct piix_ide *piix_ide_new(const struct piix_ide_config *cfg)
{
	struct piix_ide *ide = xalloc(sizeof(*ide));

	ide->mem = cfg->mem;
	init_pci(ide);
	pci_add(cfg->bus, &ide->pci, (1 << 3) | 1);
	pci_register_state(&ide->pci, cfg->states, "piix_ide");
	state_set_add(cfg->states, "piix_ide", &piix_ide_type, &ide->s, NULL, NULL);
	for (unsigned i = 0; i < 2; i++)
		init_channel(ide, cfg, i);
	piix_ide_reset(ide);
	return ide;
}

struct ide_channel *piix_ide_channel(struct piix_ide *ide, unsigned n)
{
	return ide->bm[n].channel;
}

void piix_ide_free(struct piix_ide *ide)
{
	if (!ide)
		return;
	for (unsigned i = 0; i < 2; i++)
		ide_free(ide->bm[i].channel);
	free(ide);
}
