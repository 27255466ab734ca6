// SPDX-License-Identifier: GPL-2.0-or-later
/* what: ACPI power management of the PIIX4 (function 3): PM1 block, PM timer, GPE0, SMI command port, power off
 *
 * The PM timer is not run: it is computed from guest time when it is read, and so is its overflow bit, which is due at
 * tick `overflow_at`. A host timer is armed only while a guest wants an interrupt for that (TMR_EN), which is hardly
 * ever.
 *
 * There is no system management mode, so a write to the SMI command port does at once what an SMI handler would do:
 * switch between ACPI and legacy mode (SCI_EN). The chip shows APMC_EN as set from reset, by which SeaBIOS
 * sees that it has no handler to install.
 *
 * I1  sci is high exactly while SCI_EN is set and an enabled PM1 or GPE0 status bit is.
 * Sources: Intel 290562 (82371AB), chapter 7 "PM" below; ACPI specification 4.8.3.
 */
#include "dev/pci/piix4_pm.h"

#include <stdlib.h>

#define PMBA 0x40
#define PMREGMISC 0x80
#define SMBBA 0x90
#define PM_SIZE 64
#define PM_TIMER_HZ 3579545 /* ACPI 4.8.3.3 */
#define NS_PER_S 1000000000ull

/* PM1 status and enable (ACPI 4.8.3.1; PM 7.2.1 PMSTS, PMEN) */
#define TMR 0x0001
#define GBL 0x0020
#define PWRBTN 0x0100
#define RTC 0x0400
#define RSM 0x8000
#define PM1_STS_BITS (TMR | GBL | PWRBTN | RTC | RSM)
#define PM1_EN_BITS (TMR | GBL | PWRBTN | RTC)
/* PM1 control */
#define SCI_EN 0x0001
#define SLP_EN 0x2000
#define SLP_TYP(cnt) ((cnt) >> 10 & 7)

struct piix4_pm_state {
	uint64_t overflow_at; /* PM timer tick at which bit 23 next changes */
	uint16_t sts, en, cnt;
	uint8_t gpe_sts[2], gpe_en[2];
	uint8_t smi_cmd, smi_sts;
	uint8_t regs[PM_SIZE]; /* the rest of the PM block: plain memory */
	bool rtc;
	uint8_t pad_[3];
};

struct piix4_pm {
	struct pci_dev pci;
	struct piix4_pm_state s;
	struct piix4_pm_config cfg;
	struct mem_ports pm_ports, gpe_ports, smi_ports;
	struct loop_timer overflow;
};

static uint64_t ticks_now(const struct piix4_pm *pm)
{
	return (uint64_t)((unsigned __int128)loop_now(pm->cfg.loop) * PM_TIMER_HZ / NS_PER_S);
}

static uint64_t tick_time(uint64_t tick)
{
	return (uint64_t)((unsigned __int128)tick * NS_PER_S / PM_TIMER_HZ) + 1;
}

static uint16_t status(const struct piix4_pm *pm)
{
	return pm->s.sts | (ticks_now(pm) >= pm->s.overflow_at ? TMR : 0);
}

bool piix4_pm_wakes(const struct piix4_pm *pm)
{
	return pm->s.sts & pm->s.en & (PWRBTN | RTC);
}

static void update_sci(struct piix4_pm *pm)
{
	uint16_t sts = status(pm);
	bool gpe = (pm->s.gpe_sts[0] & pm->s.gpe_en[0]) | (pm->s.gpe_sts[1] & pm->s.gpe_en[1]);
	bool pm1 = sts & pm->s.en & PM1_EN_BITS;

	wire_set(&pm->cfg.sci, (pm->s.cnt & SCI_EN) && (pm1 || gpe));
	wire_set(&pm->cfg.wake, piix4_pm_wakes(pm));
	if ((pm->s.en & TMR) && !(sts & TMR))
		loop_timer_set(&pm->overflow, tick_time(pm->s.overflow_at));
	else
		loop_timer_cancel(&pm->overflow);
}

static void overflow_fire(void *opaque)
{
	update_sci(opaque);
}

static void ack_status(struct piix4_pm *pm, uint16_t bits)
{
	uint64_t now = ticks_now(pm);

	if ((bits & TMR) && now >= pm->s.overflow_at)
		pm->s.overflow_at = (now | 0x7fffff) + 1;
	pm->s.sts &= (uint16_t)~bits;
	update_sci(pm);
}

static void write_control(struct piix4_pm *pm, uint16_t val)
{
	pm->s.cnt = val & 0x1c07 & ~SLP_EN; /* SLP_EN reads as 0 */
	if (val & SLP_EN) {
		if (SLP_TYP(val) == PIIX4_PM_SLP_TYP_S5)
			wire_pulse(&pm->cfg.poweroff);
		else if (SLP_TYP(val) == PIIX4_PM_SLP_TYP_S3)
			wire_pulse(&pm->cfg.suspend);
		else
			guest_log("piix4_pm: sleep type %u is not offered and ignored", SLP_TYP(val));
	}
	update_sci(pm);
}

static uint64_t pm_read(void *opaque, uint64_t off, unsigned size)
{
	struct piix4_pm *pm = opaque;
	uint8_t buf[PM_SIZE + 8] = {0};

	for (unsigned i = 0; i < PM_SIZE; i++)
		buf[i] = pm->s.regs[i];
	put_le16(buf + 0, status(pm));
	put_le16(buf + 2, pm->s.en);
	put_le16(buf + 4, pm->s.cnt);
	put_le32(buf + 8, (uint32_t)ticks_now(pm) & 0xffffff);
	return get_le64(buf + (off & (PM_SIZE - 1))) & (~0ull >> (64 - size * 8));
}

static uint16_t merge16(uint16_t old, uint64_t off, uint64_t val, unsigned size)
{
	unsigned shift = (off & 1) * 8;
	uint16_t mask = (uint16_t)((size > 1 ? 0xffff : 0xff) << shift);

	return (uint16_t)((old & ~mask) | ((val << shift) & mask));
}

/* NOLINTNEXTLINE(misc-no-recursion): once, with half the size */
static void pm_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct piix4_pm *pm = opaque;

	if (size == 4 && off < 8) { /* a dword is two registers */
		pm_write(pm, off, val & 0xffff, 2);
		pm_write(pm, off + 2, val >> 16, 2);
		return;
	}
	switch (off & ~1ull) {
	case 0:
		ack_status(pm, merge16(0, off, val, size) & PM1_STS_BITS);
		break;
	case 2:
		pm->s.en = merge16(pm->s.en, off, val, size) & PM1_EN_BITS;
		update_sci(pm);
		break;
	case 4:
		write_control(pm, merge16(pm->s.cnt, off, val, size));
		break;
	case 6: case 8: case 10: /* reserved, and the timer is read-only */
		break;
	default:
		for (unsigned i = 0; i < size && off + i < PM_SIZE; i++)
			pm->s.regs[off + i] = (uint8_t)(val >> i * 8);
	}
}

static const struct mem_ops pm_ops = {.read = pm_read, .write = pm_write, .max_size = 4, .plain = true};

static uint64_t gpe_read(void *opaque, uint64_t off, unsigned size)
{
	const struct piix4_pm *pm = opaque;

	return off < 2 ? pm->s.gpe_sts[off] : pm->s.gpe_en[off & 1];
}

static void gpe_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct piix4_pm *pm = opaque;

	if (off < 2)
		pm->s.gpe_sts[off] &= (uint8_t)~val;
	else
		pm->s.gpe_en[off & 1] = (uint8_t)val;
	update_sci(pm);
}

static const struct mem_ops gpe_ops = {.read = gpe_read, .write = gpe_write, .max_size = 1, .plain = true};

static uint64_t smi_read(void *opaque, uint64_t off, unsigned size)
{
	const struct piix4_pm *pm = opaque;

	return off ? pm->s.smi_sts : pm->s.smi_cmd;
}

static void smi_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct piix4_pm *pm = opaque;

	if (off) {
		pm->s.smi_sts = (uint8_t)val;
		return;
	}
	pm->s.smi_cmd = (uint8_t)val;
	if (val == PIIX4_PM_ACPI_ENABLE)
		pm->s.cnt |= SCI_EN;
	else if (val == PIIX4_PM_ACPI_DISABLE)
		pm->s.cnt &= (uint16_t)~SCI_EN;
	update_sci(pm);
}

static const struct mem_ops smi_ops = {.read = smi_read, .write = smi_write, .max_size = 1, .plain = true};

/* PM 7.1: PMBA bits 15:6 and PMIOSE, bit 0 of PMREGMISC. */
static void update_mapping(struct piix4_pm *pm)
{
	uint16_t base = get_le16(pm->pci.s.config + PMBA) & 0xffc0;
	bool on = (pm->pci.s.config[PMREGMISC] & 1) && base;

	if (pm->pm_ports.enabled && (!on || pm->pm_ports.base != base))
		mem_ports_disable(pm->cfg.mem, &pm->pm_ports);
	if (!on || pm->pm_ports.enabled)
		return;
	pm->pm_ports.base = base;
	mem_ports_enable(pm->cfg.mem, &pm->pm_ports);
}

static void config_written(struct pci_dev *dev, unsigned off, unsigned len)
{
	update_mapping(dev->opaque);
}

static void loaded(void *opaque)
{
	update_mapping(opaque);
	update_sci(opaque);
}

void piix4_pm_power_button(struct piix4_pm *pm)
{
	pm->s.sts |= PWRBTN;
	update_sci(pm);
}

void piix4_pm_set_rtc(void *opaque, int n, bool level)
{
	struct piix4_pm *pm = opaque;

	if (level && !pm->s.rtc)
		pm->s.sts |= RTC;
	pm->s.rtc = level;
	update_sci(pm);
}

void piix4_pm_woken(struct piix4_pm *pm)
{
	pm->s.sts |= RSM;
	update_sci(pm);
}

void piix4_pm_map(struct piix4_pm *pm)
{
	put_le32(pm->pci.s.config + PMBA, PIIX4_PM_BASE | 1);
	pm->pci.s.config[PMREGMISC] = 1;
	pm->pci.s.config[0x3c] = PIIX4_PM_SCI_IRQ;
	update_mapping(pm);
}

void piix4_pm_reset(struct piix4_pm *pm)
{
	uint8_t *c = pm->pci.s.config;

	pm->s = (struct piix4_pm_state){ .rtc = pm->s.rtc };
	pm->s.overflow_at = (ticks_now(pm) | 0x7fffff) + 1;
	put_le32(c + PMBA, 1);
	c[0x5b] = 0x02; /* DEVACTB bit 25, APMC_EN: the SMI command port works and needs no handler */
	c[PMREGMISC] = 0;
	put_le32(c + SMBBA, 1);
	c[0xd2] = 0;
	update_mapping(pm);
	update_sci(pm);
}

static void init_pci(struct piix4_pm *pm)
{
	struct pci_dev *d = &pm->pci;

	d->name = "piix4_pm";
	d->opaque = pm;
	d->config_written = config_written;
	pci_set_ids(d, 0x8086, 0x7113, 0x068000, 3, 0x1af4, 0x1100, 1);
	d->s.config[7] = 2; /* medium DEVSEL timing; nothing else in the status register */
	put_le16(d->wmask + PMBA, 0xffc0);
	for (unsigned i = 0x44; i < 0x80; i++)
		d->wmask[i] = 0xff; /* activity, resource and timer controls: memory to us */
	d->wmask[PMREGMISC] = 0x01;
	put_le16(d->wmask + SMBBA, 0xfff0);
	d->wmask[0xd2] = 0x0f;
	/* No BARs, but the ports obey the command register's first bit on the chip: let it be set. */
	d->wmask[4] = 0x01;
}

static const struct st_field piix4_pm_state_type_fields[] = {
	ST(struct piix4_pm_state, overflow_at),
	ST(struct piix4_pm_state, sts),
	ST(struct piix4_pm_state, en),
	ST(struct piix4_pm_state, cnt),
	ST_ARRAY(struct piix4_pm_state, gpe_sts),
	ST_ARRAY(struct piix4_pm_state, gpe_en),
	ST(struct piix4_pm_state, smi_cmd),
	ST(struct piix4_pm_state, smi_sts),
	ST_ARRAY(struct piix4_pm_state, regs),
	ST(struct piix4_pm_state, rtc),
	ST_ARRAY(struct piix4_pm_state, pad_),
};
static ST_TYPE(piix4_pm_state_type, struct piix4_pm_state, 1, NULL);

struct piix4_pm *piix4_pm_new(const struct piix4_pm_config *cfg)
{
	struct piix4_pm *pm = xalloc(sizeof(*pm));

	pm->cfg = *cfg;
	init_pci(pm);
	loop_timer_init(&pm->overflow, cfg->loop, overflow_fire, pm);
	pm->pm_ports = (struct mem_ports){.name = "pm", .count = PM_SIZE, .ops = &pm_ops, .opaque = pm};
	pm->gpe_ports =
		(struct mem_ports){.name = "gpe0", .base = PIIX4_PM_GPE0, .count = 4, .ops = &gpe_ops, .opaque = pm};
	pm->smi_ports =
		(struct mem_ports){.name = "apm", .base = PIIX4_PM_SMI_CMD, .count = 2, .ops = &smi_ops, .opaque = pm};
	pci_add(cfg->bus, &pm->pci, (1 << 3) | 3);
	pci_register_state(&pm->pci, cfg->states, "piix4_pm");
	state_set_add(cfg->states, "piix4_pm", &piix4_pm_state_type, &pm->s, loaded, pm);
	mem_ports_enable(cfg->mem, &pm->gpe_ports);
	mem_ports_enable(cfg->mem, &pm->smi_ports);
	piix4_pm_reset(pm);
	return pm;
}

void piix4_pm_free(struct piix4_pm *pm)
{
	if (!pm)
		return;
	loop_timer_cancel(&pm->overflow);
	free(pm);
}
