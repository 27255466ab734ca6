// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the host bridge 82441FX: configuration ports, BIOS shadowing, SMRAM window, reset control port
 *
 * Thirteen regions cover 0xc0000-0xfffff, one for each PAM attribute, and let reads, writes or both see through to
 * RAM as the attribute's two bits say; a direction that is off falls to what lies beneath: the board's ROM, or the
 * empty bus, which is a region of its own because RAM has no hole there.
 *
 *   priority  10 SMRAM window   over the VGA at 0xa0000 while SMRAM is open
 *              5 PAM segments   RE: reads from RAM   WE: writes to RAM   neither: not enabled
 *            1-4 ROM            the board's
 *              1 empty bus      0xc0000-0xfffff
 *              0 RAM
 *
 * System management mode is not emulated; only the firmware's view of SMRAM before it is closed is.
 * Port 0xcf9 belongs to the PIIX3 on real boards. It lies in the middle of CONFADDR, so it is decoded here.
 * Sources: Intel 290549 (82441FX), 3.2.18 PAM and 3.2.22 SMRAM; Intel 290550 (82371SB), RCR - Reset Control Register.
 */
#include "dev/pci/i440fx.h"

#include <stdlib.h>

#define PAM_FIRST 0x59
#define PAM_COUNT 13
#define PAM_READ 1
#define PAM_WRITE 2
#define SMRAM 0x72
#define SMRAM_D_OPEN 0x40
#define SMRAM_D_LCK 0x10
#define SMRAM_G_SMRAME 0x08
#define RCR_HARD 2
#define RCR_RESET 4
#define HOLE_PRIORITY 1
#define SHADOW_PRIORITY 5
#define SMRAM_PRIORITY 10

struct i440fx_state {
	uint32_t confaddr;
	uint8_t rcr;
	uint8_t pad_[3];
};

struct i440fx {
	struct pci_dev pci;
	struct i440fx_state s;
	struct i440fx_config cfg;
	struct mem_ports ports;
	struct mem_region hole;
	struct mem_region smram;
	struct mem_region pam[PAM_COUNT];
};

/* PAM0 has one attribute in its high half (0xf0000, 64 KiB); PAM1-6 have two each, 16 KiB apiece from 0xc0000 up. */
static unsigned pam_attribute(const struct i440fx *fx, unsigned i)
{
	unsigned nibble = i + 1;

	return fx->pci.s.config[PAM_FIRST + nibble / 2] >> (nibble & 1) * 4 & 3;
}

static void pam_update(struct i440fx *fx, unsigned i)
{
	struct mem_region *r = &fx->pam[i];
	unsigned attr = pam_attribute(fx, i);
	bool reads = attr & PAM_READ, writes = attr & PAM_WRITE;

	if (r->ram_reads == reads && r->ram_writes == writes)
		return;
	r->ram_reads = reads;
	r->ram_writes = writes;
	if (attr)
		mem_region_enable(fx->cfg.mem, r);
	else
		mem_region_disable(fx->cfg.mem, r);
}

static void smram_update(struct i440fx *fx)
{
	uint8_t v = fx->pci.s.config[SMRAM];
	bool open = (v & (SMRAM_D_OPEN | SMRAM_G_SMRAME)) == (SMRAM_D_OPEN | SMRAM_G_SMRAME);

	if (open && !fx->smram.enabled)
		mem_region_enable(fx->cfg.mem, &fx->smram);
	else if (!open && fx->smram.enabled)
		mem_region_disable(fx->cfg.mem, &fx->smram);
}

static void update_memory(struct i440fx *fx)
{
	for (unsigned i = 0; i < PAM_COUNT; i++)
		pam_update(fx, i);
	smram_update(fx);
}

/* 290549 3.2.22: setting D_LCK clears D_OPEN and makes both read-only until reset. */
static void smram_lock(struct i440fx *fx)
{
	if (!(fx->pci.s.config[SMRAM] & SMRAM_D_LCK))
		return;
	fx->pci.s.config[SMRAM] &= (uint8_t)~SMRAM_D_OPEN;
	fx->pci.wmask[SMRAM] = 0;
}

static void config_written(struct pci_dev *dev, unsigned off, unsigned len)
{
	struct i440fx *fx = dev->opaque;

	if (off + len <= PAM_FIRST || off > SMRAM)
		return;
	smram_lock(fx);
	update_memory(fx);
}

static void write_rcr(struct i440fx *fx, uint8_t val)
{
	bool rising = !(fx->s.rcr & RCR_RESET) && (val & RCR_RESET);

	/* 82371SB, RCR: bit 1 chooses hard reset; bit 2 going from 0 to 1 starts it. */
	fx->s.rcr = val & (RCR_HARD | RCR_RESET);
	if (rising)
		wire_pulse(val & RCR_HARD ? &fx->cfg.reset : &fx->cfg.init);
}

/* CONFADDR: enable, bus, devfn, register (290549 3.1.1). */
static unsigned config_offset(const struct i440fx *fx, uint64_t off)
{
	return (fx->s.confaddr & 0xfc) | (off & 3);
}

static uint64_t port_read(void *opaque, uint64_t off, unsigned size)
{
	struct i440fx *fx = opaque;
	uint32_t a = fx->s.confaddr;

	if (off == 0 && size == 4)
		return a;
	if (off == 1 && size == 1)
		return fx->s.rcr;
	if (off < 4 || !(a & 0x80000000) || (off & 3) + size > 4)
		return 0xffffffff;
	return pci_config_read(fx->cfg.bus, (uint8_t)(a >> 16), (uint8_t)(a >> 8), config_offset(fx, off), size);
}

static void port_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct i440fx *fx = opaque;
	uint32_t a = fx->s.confaddr;

	if (off == 0 && size == 4)
		fx->s.confaddr = (uint32_t)val & 0x80fffffc;
	else if (off == 1 && size == 1)
		write_rcr(fx, (uint8_t)val);
	else if (off >= 4 && (a & 0x80000000) && (off & 3) + size <= 4)
		pci_config_write(fx->cfg.bus, (uint8_t)(a >> 16), (uint8_t)(a >> 8), config_offset(fx, off), (uint32_t)val,
		                 size);
}

static const struct mem_ops port_ops = {.read = port_read, .write = port_write, .max_size = 4};

static void init_regions(struct i440fx *fx)
{
	static const struct mem_ops nothing = {0};

	for (unsigned i = 0; i < PAM_COUNT; i++)
		fx->pam[i] = (struct mem_region){.name = "pam", .base = i ? 0xc0000 + (i - 1) * 0x4000 : 0xf0000,
		                                 .size = i ? 0x4000 : 0x10000, .priority = SHADOW_PRIORITY};
	fx->smram = (struct mem_region){.name = "smram", .base = 0xa0000, .size = 0x20000, .priority = SMRAM_PRIORITY,
	                                .ram_reads = true, .ram_writes = true};
	fx->hole = (struct mem_region){.name = "bus", .base = 0xc0000, .size = 0x40000, .priority = HOLE_PRIORITY,
	                               .ops = &nothing};
	mem_region_enable(fx->cfg.mem, &fx->hole);
}

static void loaded(void *opaque)
{
	struct i440fx *fx = opaque;

	fx->pci.wmask[SMRAM] = fx->pci.s.config[SMRAM] & SMRAM_D_LCK ? 0 : 0x78;
	update_memory(fx);
}

void i440fx_reset(struct i440fx *fx, bool awoken)
{
	fx->s = (struct i440fx_state){0};
	fx->pci.s.config[4] = 6; /* 290549 PCICMD: memory access and bus master are always on */
	if (awoken)
		return;
	for (unsigned i = 0; i < 7; i++)
		fx->pci.s.config[PAM_FIRST + i] = 0;
	fx->pci.s.config[SMRAM] = 0x02; /* C_BASE_SEG: 0xa0000, read-only */
	fx->pci.wmask[SMRAM] = 0x78;
	update_memory(fx);
}

static const struct st_field i440fx_state_type_fields[] = {
	ST(struct i440fx_state, confaddr),
	ST(struct i440fx_state, rcr),
	ST_ARRAY(struct i440fx_state, pad_),
};
static ST_TYPE(i440fx_state_type, struct i440fx_state, 1, NULL);

struct i440fx *i440fx_new(const struct i440fx_config *cfg)
{
	struct i440fx *fx = xalloc(sizeof(*fx));

	fx->cfg = *cfg;
	fx->pci.name = "i440fx";
	fx->pci.opaque = fx;
	fx->pci.config_written = config_written;
	/* QEMU's subsystem ids: by these SeaBIOS knows that fw_cfg describes the machine. */
	pci_set_ids(&fx->pci, 0x8086, 0x1237, 0x060000, 2, 0x1af4, 0x1100, 0);
	fx->pci.wmask[PAM_FIRST] = 0x30;
	for (unsigned i = 1; i < 7; i++)
		fx->pci.wmask[PAM_FIRST + i] = 0x33;
	init_regions(fx);
	fx->ports = (struct mem_ports){.name = "pci-config", .base = 0xcf8, .count = 8, .ops = &port_ops, .opaque = fx};
	pci_add(cfg->bus, &fx->pci, 0);
	pci_register_state(&fx->pci, cfg->states, "i440fx");
	state_set_add(cfg->states, "i440fx", &i440fx_state_type, &fx->s, loaded, fx);
	mem_ports_enable(cfg->mem, &fx->ports);
	i440fx_reset(fx, false);
	return fx;
}

void i440fx_free(struct i440fx *fx)
{
	free(fx);
}
