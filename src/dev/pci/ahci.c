// SPDX-License-Identifier: GPL-2.0-or-later
/* what: an AHCI host bus adapter: registers, command lists, received FISes, interrupts
 *
 * Behind each port is an ATA channel (ide.c) with one drive, which knows all commands but the queued ones and asks for
 * guest memory by ahci_map; its interrupt means that the command has ended. Queued commands go past it (ahci_ncq.c).
 *
 *   PxCI --issue--> ide_fis_command --...--> drive_irq --> D2H FIS, PxCI bit down, the next one
 *              \--> ahci_ncq_start: PxCI bit down at once --...--> ahci_queued_done: SDB FIS, PxSACT bit down
 *
 * I1  While s.slot is not AHCI_IDLE one unqueued command is with the drive, and none is issued.
 * I2  After PxCMD.ST went down, or a reset, nothing is issued until all requests are back; PxCMD.CR (GHC.HR) tells.
 * A work item of the guest is bounded: 32 commands a write of PxCI, BLOCK_MAX_IOV regions a piece of each.
 * Sources: AHCI 1.3.1 (chapter numbers alone are its), SATA 2.6; the ids are those of the ICH9 (Intel 316972).
 */
#include "dev/pci/ahci_int.h"

#include <stdlib.h>
#include <string.h>

#define GHC_HR 1u /* 3.1.2 */
#define GHC_IE 2u
#define GHC_AE 0x80000000u
/* 3.1.1: 64 bits, queueing, CLO, 3 Gbit/s, AHCI only, PIO in several DRQ blocks, 32 slots */
#define CAP (0xc1248000u | (AHCI_SLOTS - 1) << 8)

#define IS_DHRS 1u /* 3.3.5 */
#define IS_PSS 2u
#define IS_SDBS 8u
#define IS_PCS 0x40u
#define IS_TFES 0x40000000u
#define IS_W1C 0xfd8000afu
#define CMD_ST 1u /* 3.3.7 */
#define CMD_SUD 2u
#define CMD_POD 4u
#define CMD_CLO 8u
#define CMD_FRE 0x10u
#define CMD_FR 0x4000u
#define CMD_CR 0x8000u
#define CMD_ATAPI 0x01000000u
#define CMD_WRITABLE 0x07000011u
#define SERR_DIAG_X 0x04000000u
#define SIG_NONE 0xffffffffu

#define FIS_H2D 0x27
#define FIS_D2H 0x34
#define FIS_SDB 0xa1
#define FIS_PIO 0x5f
#define AT_PIO 0x20 /* in the received FIS structure, 4.2.1 */
#define AT_D2H 0x40
#define AT_SDB 0x58

static void issue(struct ahci_port *p);

/* --- interrupts --- */

static bool msi_enabled(const struct ahci *a)
{
	return a->pci.s.config[a->msi + 2] & 1;
}

static void update_irq(struct ahci *a)
{
	pci_set_intx(&a->pci, (a->s.ghc & GHC_IE) && a->s.is && !msi_enabled(a));
}

/* Show the port's causes in IS; a message for each new one. */
static void update_is(struct ahci_port *p, bool news)
{
	struct ahci *a = p->hba;
	const uint8_t *m = a->pci.s.config + a->msi;

	if (p->s->is & p->s->ie) {
		a->s.is |= 1u << p->n;
		if (news && (a->s.ghc & GHC_IE) && msi_enabled(a) && pci_master_enabled(&a->pci))
			pci_bus_send_msi(a->pci.bus, get_le64(m + 4), get_le16(m + 12));
	}
	update_irq(a);
}

static void raise(struct ahci_port *p, uint32_t bits)
{
	p->s->is |= bits;
	update_is(p, bits & p->s->ie);
}

/* --- memory --- */

/* 4.2.3.3: address, reserved, byte count - 1 (even addresses and counts only). */
static bool next_region(struct ahci *a, struct ahci_cursor *c)
{
	uint8_t prd[16];

	if (c->left)
		return true;
	if (!c->n || !mem_dma_read(a->cfg.mem, c->next, prd, sizeof(prd)))
		return false;
	c->n--;
	c->next += sizeof(prd);
	c->addr = get_le64(prd) & ~1ull;
	c->left = (get_le32(prd + 12) & 0x3fffff) | 1;
	c->left++;
	return true;
}

static uint32_t walk(struct ahci *a, struct ahci_cursor *c, struct ide_sg *sg, uint32_t limit)
{
	uint32_t total = 0;

	for (sg->n = 0; total < limit && sg->n < BLOCK_MAX_IOV && next_region(a, c); sg->n++) {
		uint32_t n = MIN(c->left, limit - total);
		void *host = mem_dma_ptr(a->cfg.mem, c->addr, n);

		if (!host) {
			guest_log("ahci: DMA to 0x%llx, which is not RAM", (unsigned long long)c->addr);
			break;
		}
		sg->gpa[sg->n] = c->addr;
		sg->iov[sg->n] = (struct iovec){.iov_base = host, .iov_len = n};
		c->addr += n;
		c->left -= n;
		total += n;
	}
	return total;
}

uint32_t ahci_map(struct ahci *a, struct ahci_cursor *c, struct ide_sg *sg, uint32_t want, uint32_t unit)
{
	struct ahci_cursor probe = *c;
	uint32_t n;

	sg->n = 0;
	if (!pci_master_enabled(&a->pci))
		return 0;
	n = walk(a, &probe, sg, want);
	if (n != want)
		n -= n % unit;
	/* Another CPU may have changed the table since: what counts is what this walk hands out. */
	return n && walk(a, c, sg, n) == n ? n : 0;
}

static void post_fis(struct ahci_port *p, unsigned at, const uint8_t *fis, size_t len)
{
	if ((p->s->cmd & CMD_FRE) && pci_master_enabled(&p->hba->pci))
		mem_dma_write(p->hba->cfg.mem, p->s->fb + at, fis, len);
}

/* --- the drive's side of a command --- */

static bool is_pio_in(uint8_t code)
{
	return code == 0x20 || code == 0x21 || code == 0x24 || code == 0x29 || code == 0xa0 || code == 0xa1 ||
	       code == 0xc4 || code == 0xec;
}

static void post_registers(struct ahci_port *p)
{
	uint8_t fis[20] = { FIS_D2H, 0x40 };
	bool error;

	ide_fis_registers(p->drive, fis);
	error = fis[2] & IDE_ERR;
	p->s->tfd = fis[2] | (uint32_t)fis[3] << 8;
	if (is_pio_in(p->s->code) && !error) { /* drivers look for the end of such commands here: E_Status */
		fis[0] = FIS_PIO;
		fis[1] = 0x60;
		fis[15] = fis[2];
		put_le16(fis + 16, (uint16_t)p->s->moved);
		post_fis(p, AT_PIO, fis, sizeof(fis));
		memset(fis + 14, 0, 6);
		fis[0] = FIS_D2H;
		fis[1] = 0x40;
	}
	post_fis(p, AT_D2H, fis, sizeof(fis));
	raise(p, IS_DHRS | (error ? IS_TFES : 0));
}

/* The command with the drive has ended. */
static void command_done(struct ahci_port *p)
{
	uint8_t count[4];
	unsigned slot = p->s->slot;

	p->s->slot = AHCI_IDLE;
	put_le32(count, p->s->moved);
	if (pci_master_enabled(&p->hba->pci))
		mem_dma_write(p->hba->cfg.mem, p->s->clb + slot * 32 + 4, count, 4);
	if (!(p->drive->s.drive[0].status & IDE_ERR))
		p->s->ci &= ~(1u << slot); /* 6.2.2.1: after an error it stays, and tells which */
	post_registers(p);
	issue(p);
}

/* High: a command has ended. Low: maybe a reset has. */
static void drive_irq(void *opaque, int n, bool level)
{
	struct ahci_port *p = opaque;

	if (!level) {
		ahci_settle(p);
	} else if (p->s->slot != AHCI_IDLE && !p->s->stopping) {
		p->drive->s.irq = false;
		command_done(p);
	}
}

static void drive_request(void *opaque)
{
	struct ahci_port *p = opaque;

	ide_dma_go(p->drive);
}

static uint32_t drive_map(void *opaque, struct ide_sg *sg, uint32_t want, uint32_t unit)
{
	struct ahci_port *p = opaque;
	uint32_t n = ahci_map(p->hba, &p->s->cursor, sg, want, unit);

	p->s->moved += n;
	return n;
}

static void drive_packet(void *opaque, uint8_t cdb[12])
{
	struct ahci_port *p = opaque;

	if (!mem_dma_read(p->hba->cfg.mem, p->s->table + 0x40, cdb, 12))
		memset(cdb, 0, 12);
}

void ahci_queued_done(struct ahci_port *p, unsigned slot, bool error)
{
	uint8_t fis[8] = { FIS_SDB, 0x40 };

	fis[2] = error ? 0x41 : 0x40;
	fis[3] = error ? IDE_E_ABRT : 0;
	p->s->tfd = (p->s->tfd & 0x88) | fis[2] | (uint32_t)fis[3] << 8;
	if (!error) {
		put_le32(fis + 4, 1u << slot);
		p->s->sact &= ~(1u << slot);
	}
	post_fis(p, AT_SDB, fis, sizeof(fis));
	raise(p, IS_SDBS | (error ? IS_TFES : 0));
}

/* --- command list --- */

static void soft_reset_fis(struct ahci_port *p, unsigned slot, uint8_t control)
{
	bool was = p->s->srst;

	p->s->srst = control & 4;
	p->s->ci &= ~(1u << slot);
	if (!was || p->s->srst)
		return;
	ide_soft_reset(p->drive);
	p->s->code = 0;
	post_registers(p);
}

static void reject(struct ahci_port *p, const char *why)
{
	guest_log("ahci: port %u: %s", p->n, why);
	p->s->tfd = IDE_DRDY | IDE_ERR | IDE_E_ABRT << 8;
	raise(p, IS_TFES);
}

static void run(struct ahci_port *p, unsigned slot, const uint8_t fis[20], const struct ahci_cursor *c, uint64_t table)
{
	if ((fis[2] == 0x60 || fis[2] == 0x61) && p->ncq) {
		p->s->ci &= ~(1u << slot);
		if (!(p->s->sact & 1u << slot) || !ahci_ncq_start(p, slot, fis, c))
			ahci_queued_done(p, slot, true);
		return;
	}
	p->s->slot = (uint8_t)slot;
	p->s->code = fis[2];
	p->s->cursor = *c;
	p->s->table = table;
	p->s->moved = 0;
	p->s->tfd = IDE_BSY | IDE_DRDY;
	ide_fis_command(p->drive, fis);
	if (fis[2] == 8 && p->s->slot == slot) /* DEVICE RESET ends without an interrupt */
		command_done(p);
}

/* 4.2.2: one header, its table's command FIS, which SeaBIOS says has four dwords. */
static void start(struct ahci_port *p, unsigned slot)
{
	uint8_t head[32], fis[20];
	uint64_t table;
	struct ahci_cursor c = {0};

	if (!pci_master_enabled(&p->hba->pci) ||
	    !mem_dma_read(p->hba->cfg.mem, p->s->clb + slot * 32, head, sizeof(head))) {
		reject(p, "the command list is not in RAM");
		return;
	}
	table = get_le64(head + 8) & ~127ull;
	if ((head[0] & 31) < 2 || !mem_dma_read(p->hba->cfg.mem, table, fis, sizeof(fis)) || fis[0] != FIS_H2D ||
	    (fis[1] & 15)) {
		reject(p, "no command FIS for this port");
		return;
	}
	c.next = table + 0x80;
	c.n = get_le16(head + 2);
	if (fis[1] & 0x80)
		run(p, slot, fis, &c, table);
	else
		soft_reset_fis(p, slot, fis[15]);
}

static void issue(struct ahci_port *p)
{
	if (p->issuing)
		return;
	p->issuing = true;
	while (p->s->ci && (p->s->cmd & CMD_ST) && p->s->slot == AHCI_IDLE && !p->s->stopping && !(p->s->tfd & IDE_ERR))
		start(p, (unsigned)__builtin_ctz(p->s->ci));
	p->issuing = false;
}

/* --- stopping and resets --- */

static void link_up(struct ahci_port *p)
{
	uint8_t fis[20] = {0};

	ide_fis_registers(p->drive, fis);
	p->s->sig = fis[12] | (uint32_t)fis[4] << 8 | (uint32_t)fis[5] << 16 | (uint32_t)fis[6] << 24;
	p->s->tfd = (fis[2] ? fis[2] : IDE_DRDY) | (uint32_t)fis[3] << 8;
	p->s->serr |= SERR_DIAG_X;
}

static void reset_port_registers(struct ahci_port *p)
{
	bool stopping = p->s->stopping;

	*p->s = (struct ahci_port_state){ .cmd = CMD_SUD | CMD_POD, .tfd = 0x7f, .sig = SIG_NONE, .slot = AHCI_IDLE };
	p->s->stopping = stopping;
}

/* The drive's signature, once all of before is back and the link is not held in reset. */
static void come_up(struct ahci_port *p)
{
	if (p->s->stopping || (p->s->sctl & 15) == 1 || p->s->sig != SIG_NONE)
		return;
	link_up(p);
	p->s->code = 0;
	post_registers(p);
}

void ahci_settle(struct ahci_port *p)
{
	struct ahci *a = p->hba;

	if (!p->s->stopping || p->inflight || p->drive->inflight)
		return;
	p->s->stopping = false;
	if (!(p->s->cmd & CMD_ST))
		p->s->cmd &= ~CMD_CR;
	come_up(p);
	for (unsigned i = 0; i < a->nports; i++)
		if (a->port[i].s->stopping)
			return;
	a->s.ghc &= ~GHC_HR;
	issue(p);
}

/* Forget all commands; requests under way are waited for (I2). */
static void stop(struct ahci_port *p)
{
	p->s->ci = p->s->sact = 0;
	p->s->slot = AHCI_IDLE;
	p->s->srst = false;
	p->s->stopping = true;
	if (p->drive->s.phase != IDE_IDLE)
		ide_soft_reset(p->drive);
	ahci_settle(p);
}

static void reset_hba(struct ahci *a)
{
	a->s.ghc = GHC_AE | GHC_HR;
	a->s.is = 0;
	for (unsigned i = 0; i < a->nports; i++) {
		a->port[i].s->stopping = true;
		reset_port_registers(&a->port[i]);
	}
	for (unsigned i = 0; i < a->nports; i++) /* whose interrupt line goes down with it: ahci_settle */
		ide_reset(a->port[i].drive);
	if (!a->nports)
		a->s.ghc &= ~GHC_HR;
	update_irq(a);
}

void ahci_reset(struct ahci *a)
{
	reset_hba(a);
}

/* --- registers --- */

static void write_cmd(struct ahci_port *p, uint32_t val)
{
	uint32_t old = p->s->cmd;
	bool started = (val & CMD_ST) && !(old & CMD_ST);

	if (started && p->s->stopping)
		val &= ~CMD_ST; /* 10.3.1: only with CR down */
	p->s->cmd = (old & ~CMD_WRITABLE & ~CMD_FR) | (val & CMD_WRITABLE) | (val & CMD_FRE ? CMD_FR : 0);
	if ((val & CMD_CLO) && !(p->s->cmd & CMD_ST))
		p->s->tfd &= ~(uint32_t)(IDE_BSY | IDE_DRQ);
	if (started && (p->s->cmd & CMD_ST)) {
		p->s->cmd |= CMD_CR;
		p->s->tfd &= ~(uint32_t)IDE_ERR;
		issue(p);
	} else if ((old & CMD_ST) && !(val & CMD_ST)) {
		stop(p);
	}
}

/* 10.4.2: DET 1 holds the link in reset, and 0 after it lets the drive come back. */
static void write_sctl(struct ahci_port *p, uint32_t val)
{
	bool was = (p->s->sctl & 15) == 1, now = (val & 15) == 1;

	p->s->sctl = val & 0xfff;
	if (now && !was) {
		stop(p);
		ide_reset(p->drive);
		p->s->tfd = 0x7f;
		p->s->sig = SIG_NONE;
	} else if (was && !now) {
		come_up(p);
	}
}

static uint32_t port_read(const struct ahci_port *p, unsigned reg)
{
	const struct ahci_port_state *s = p->s;

	switch (reg) {
	case 0x00: return (uint32_t)s->clb;
	case 0x04: return (uint32_t)(s->clb >> 32);
	case 0x08: return (uint32_t)s->fb;
	case 0x0c: return (uint32_t)(s->fb >> 32);
	case 0x10: return s->is | (s->serr & SERR_DIAG_X ? IS_PCS : 0);
	case 0x14: return s->ie;
	case 0x18: return s->cmd | (p->drive->drive[0].unit.cdrom ? CMD_ATAPI : 0);
	case 0x20: return s->tfd;
	case 0x24: return s->sig;
	case 0x28: return (s->sctl & 15) == 1 ? 0 : 0x123;
	case 0x2c: return s->sctl;
	case 0x30: return s->serr;
	case 0x34: return s->sact;
	case 0x38: return s->ci;
	}
	return 0;
}

static void port_write(struct ahci_port *p, unsigned reg, uint32_t val)
{
	struct ahci_port_state *s = p->s;

	switch (reg) {
	case 0x00: s->clb = (s->clb & ~0xffffffffull) | (val & ~1023u); break;
	case 0x04: s->clb = (uint32_t)s->clb | (uint64_t)val << 32; break;
	case 0x08: s->fb = (s->fb & ~0xffffffffull) | (val & ~255u); break;
	case 0x0c: s->fb = (uint32_t)s->fb | (uint64_t)val << 32; break;
	case 0x10: s->is &= ~(val & IS_W1C); update_is(p, false); break;
	case 0x14: s->ie = val & (IS_W1C | IS_PCS | 0x00400010u); update_is(p, true); break;
	case 0x18: write_cmd(p, val); break;
	case 0x2c: write_sctl(p, val); break;
	case 0x30: s->serr &= ~val; break;
	case 0x34: if (s->cmd & CMD_ST) s->sact |= val; break;
	case 0x38: if (s->cmd & CMD_ST) { s->ci |= val; issue(p); } break;
	}
}

static uint32_t reg_read(const struct ahci *a, unsigned reg)
{
	switch (reg) {
	case 0x00: return (CAP) | (MAX(a->nports, 1) - 1);
	case 0x04: return a->s.ghc;
	case 0x08: return a->s.is;
	case 0x0c: return (1u << a->nports) - 1;
	case 0x10: return 0x00010301;
	}
	return 0;
}

static void reg_write(struct ahci *a, unsigned reg, uint32_t val)
{
	if (reg == 0x04) {
		a->s.ghc = (a->s.ghc & ~GHC_IE) | (val & GHC_IE);
		if (val & GHC_HR)
			reset_hba(a);
		for (unsigned i = 0; i < a->nports; i++)
			update_is(&a->port[i], true);
	} else if (reg == 0x08) {
		a->s.is &= ~val;
		for (unsigned i = 0; i < a->nports; i++) /* 10.7.2.1: what is still there shows again */
			update_is(&a->port[i], val >> i & 1);
		update_irq(a);
	}
}

static uint64_t bar_read(void *opaque, uint64_t off, unsigned size)
{
	const struct ahci *a = opaque;
	unsigned n = (unsigned)(off - 0x100) / 0x80, reg = (unsigned)off & ~3u;
	uint32_t val = off < 0x100 ? reg_read(a, reg) : n < a->nports ? port_read(&a->port[n], reg & 0x7f) : 0;

	return val >> (off & 3) * 8;
}

/* 3: registers are written as dwords. */
static void bar_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct ahci *a = opaque;
	unsigned n = (unsigned)(off - 0x100) / 0x80;

	if (size != 4 || (off & 3))
		return;
	if (off < 0x100)
		reg_write(a, (unsigned)off, (uint32_t)val);
	else if (n < a->nports)
		port_write(&a->port[n], (unsigned)off & 0x7f, (uint32_t)val);
}

static const struct mem_ops bar_ops = {.read = bar_read, .write = bar_write, .max_size = 4};

/* --- life --- */

static const struct st_field cursor_type_fields[] = {
	ST(struct ahci_cursor, next), ST(struct ahci_cursor, addr), ST(struct ahci_cursor, left), ST(struct ahci_cursor, n),
};
static ST_TYPE(cursor_type, struct ahci_cursor, 1, NULL);
static const struct st_field port_type_fields[] = {
	ST_SUB(struct ahci_port_state, cursor, &cursor_type), ST(struct ahci_port_state, table),
	ST(struct ahci_port_state, clb), ST(struct ahci_port_state, fb), ST(struct ahci_port_state, is),
	ST(struct ahci_port_state, ie), ST(struct ahci_port_state, cmd), ST(struct ahci_port_state, tfd),
	ST(struct ahci_port_state, sig), ST(struct ahci_port_state, sctl), ST(struct ahci_port_state, serr),
	ST(struct ahci_port_state, sact), ST(struct ahci_port_state, ci), ST(struct ahci_port_state, moved),
	ST(struct ahci_port_state, slot), ST(struct ahci_port_state, code), ST(struct ahci_port_state, srst),
	ST(struct ahci_port_state, stopping), ST_ARRAY(struct ahci_port_state, pad_),
};
static ST_TYPE(port_type, struct ahci_port_state, 1, NULL);
static const struct st_field ahci_type_fields[] = {
	ST_SUBS(struct ahci_state, port, &port_type), ST(struct ahci_state, ghc), ST(struct ahci_state, is),
};

static const char *check_ahci(const void *state)
{
	const struct ahci_state *s = state;

	for (unsigned i = 0; i < AHCI_PORTS; i++)
		if (s->port[i].slot > AHCI_IDLE || s->port[i].cursor.left > 0x400000 || s->port[i].cursor.n > 0xffff)
			return "slot or region out of range";
	return NULL;
}
static ST_TYPE(ahci_type, struct ahci_state, 1, check_ahci);

/* A snapshot is made with no request under way. */
static void loaded(void *opaque)
{
	struct ahci *a = opaque;

	for (unsigned i = 0; i < a->nports; i++) {
		struct ahci_port *p = &a->port[i];

		if (p->s->slot != AHCI_IDLE && p->drive->s.phase == IDE_IDLE)
			p->s->slot = AHCI_IDLE;
		ahci_settle(p);
	}
	update_irq(a);
}

static void init_pci(struct ahci *a)
{
	struct pci_dev *d = &a->pci;

	d->name = "ahci";
	d->opaque = a;
	pci_set_ids(d, 0x8086, 0x2922, 0x010601, 2, 0x1af4, 0x1100, 1);
	d->bar[5].kind = PCI_BAR_MEM32;
	d->bar[5].size = 0x1000;
	d->bar[5].region = (struct mem_region){.name = "ahci", .ops = &bar_ops, .opaque = a};
	a->msi = pci_add_cap(d, 5, 14); /* PCI 3.0 6.8.1: MSI, 64-bit address, one message */
	d->s.config[a->msi + 2] = 0x80;
	d->wmask[a->msi + 2] = 1;
	memset(d->wmask + a->msi + 4, 0xff, 10);
	d->wmask[a->msi + 4] = 0xfc;
}

struct ahci *ahci_new(const struct ahci_config *cfg)
{
	struct ahci *a = xalloc(sizeof(*a));

	a->cfg = *cfg;
	init_pci(a);
	pci_add(cfg->bus, &a->pci, cfg->devfn);
	pci_register_state(&a->pci, cfg->states, "ahci");
	for (unsigned i = 0; i < AHCI_PORTS; i++)
		a->s.port[i].slot = AHCI_IDLE;
	state_set_add(cfg->states, "ahci", &ahci_type, &a->s, loaded, a);
	reset_hba(a);
	return a;
}

unsigned ahci_plug(struct ahci *a, const struct ide_unit *unit)
{
	static const char *const names[AHCI_PORTS] = { "sata0", "sata1", "sata2", "sata3", "sata4", "sata5" };
	struct ahci_port *p = &a->port[a->nports];

	if (a->nports == AHCI_PORTS)
		return AHCI_PORTS;
	*p = (struct ahci_port){.hba = a, .s = &a->s.port[a->nports], .n = a->nports, .blk = unit->blk};
	p->s->slot = AHCI_IDLE;
	p->drive = ide_new(&(struct ide_config){
		.mem = a->cfg.mem, .states = a->cfg.states, .name = names[p->n], .unit = { *unit },
		.irq = { drive_irq, p, 0 },
		.dma = { .opaque = p, .request = drive_request, .map = drive_map, .packet = drive_packet },
	});
	if (!unit->cdrom)
		p->ncq = xalloc(AHCI_SLOTS * sizeof(*p->ncq));
	reset_port_registers(p);
	come_up(p);
	return a->nports++;
}

void ahci_free(struct ahci *a)
{
	if (!a)
		return;
	for (unsigned i = 0; i < a->nports; i++) {
		free(a->port[i].ncq);
		ide_free(a->port[i].drive);
	}
	free(a);
}
