// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 8254x's EEPROM, read by wiggling pins or by a register, and its PHY, a Marvell 88E1011
 *
 * Sources: SDM 5.3 (access), 5.6 (the words), 13.4.3, 13.4.4, 13.4.7; IEEE 802.3 22.2.4.
 */
#include "dev/net/e1000_int.h"

#define EECD_SK 0x01u
#define EECD_CS 0x02u
#define EECD_DI 0x04u
#define EECD_DO 0x08u
#define EECD_PINS 0x37u /* with FWE */
#define EECD_REQ 0x40u
#define EECD_GNT 0x80u
#define EECD_PRES 0x100u
#define CHECKSUM 0xbaba

#define MDIC_READ 0x08000000u
#define MDIC_WRITE 0x04000000u
#define MDIC_READY 0x10000000u
#define MDIC_INTERRUPT 0x20000000u
#define MDIC_ERROR 0x40000000u
#define PHY_ADDRESS 1
enum { PHY_CONTROL, PHY_STATUS, PHY_ID1, PHY_ID2, PHY_ADVERTISE, PHY_PARTNER, PHY_EXPANSION, PHY_GCONTROL = 9,
	PHY_GSTATUS, PHY_EXTENDED = 15, PHY_SPECIFIC, PHY_SPECIFIC_STATUS, PHY_SPECIFIC_EXT = 20 };

void e1000_eeprom_init(struct e1000 *e, uint16_t device, const uint8_t *mac)
{
	uint16_t *w = e->eeprom, sum = 0;

	for (unsigned i = 0; i < 3; i++)
		w[i] = get_le16(mac + 2 * i);
	w[0x0a] = 0x4408;  /* Initialization Control 1: ids are in the words that follow */
	w[0x0b] = 0x001e;  /* subsystem */
	w[0x0c] = 0x8086;
	w[0x0d] = device;
	w[0x0e] = 0x8086;
	w[0x0f] = 0x3040;  /* Initialization Control 2 */
	w[0x21] = 0x7061;
	for (unsigned i = 0; i < EEPROM93_WORDS - 1; i++)
		sum = (uint16_t)(sum + w[i]);
	w[EEPROM93_WORDS - 1] = (uint16_t)(CHECKSUM - sum);
}

uint32_t e1000_eecd_read(const struct e1000 *e)
{
	uint32_t val = e->s.reg[E1000_EECD] | EECD_PRES;

	if (val & EECD_REQ)
		val |= EECD_GNT;
	return val | (e->s.eeprom.output ? EECD_DO : 0);
}

void e1000_eecd_write(struct e1000 *e, uint32_t val)
{
	e->s.reg[E1000_EECD] = val & (EECD_PINS | EECD_REQ);
	eeprom93_pins(&e->s.eeprom, e->eeprom, val & EECD_CS, val & EECD_SK, val & EECD_DI);
}

/* START, DONE, address, data: SDM 13.4.4 */
uint32_t e1000_eerd(const struct e1000 *e, uint32_t val)
{
	uint32_t at = val >> 8 & 0xff;

	if (!(val & 1))
		return val & 0xff00;
	return (uint32_t)(at < EEPROM93_WORDS ? e->eeprom[at] : 0xffff) << 16 | (val & 0xff00) | 0x10;
}

void e1000_phy_reset(struct e1000 *e)
{
	uint16_t *p = e->s.phy;

	for (unsigned i = 0; i < ARRAY_LEN(e->s.phy); i++)
		p[i] = 0;
	p[PHY_CONTROL] = 0x1140;      /* auto-negotiation, 1000 Mb/s, full duplex */
	p[PHY_ID1] = 0x0141;
	p[PHY_ID2] = 0x0c20;
	p[PHY_ADVERTISE] = 0x0de1;
	p[PHY_PARTNER] = 0x4de1;
	p[PHY_EXPANSION] = 0x0001;
	p[PHY_GCONTROL] = 0x0e00;
	p[PHY_GSTATUS] = 0x3c00;
	p[PHY_EXTENDED] = 0x3000;
	p[PHY_SPECIFIC] = 0x0360;
	p[PHY_SPECIFIC_EXT] = 0x0d60;
}

static uint16_t phy_read(const struct e1000 *e, unsigned reg)
{
	bool up = net_link_up(e->end);

	switch (reg) {
	case PHY_STATUS: /* abilities; negotiation complete, link */
		return (uint16_t)(0x7949 | (up ? 0x24 : 0));
	case PHY_PARTNER: case PHY_GSTATUS:
		return up ? e->s.phy[reg] : 0;
	case PHY_SPECIFIC_STATUS: /* 1000 Mb/s, full duplex, resolved, link */
		return up ? 0xac00 : 0x8000;
	}
	return e->s.phy[reg];
}

static void phy_write(struct e1000 *e, unsigned reg, uint16_t val)
{
	if (reg == PHY_CONTROL) {
		if (val & 0x8000)
			e1000_phy_reset(e);
		else
			e->s.phy[reg] = val & (uint16_t)~0x0200; /* a negotiation ends at once */
		if (val & 0x8200)
			e1000_cause(e, ICR_LSC);
		return;
	}
	if (reg == PHY_ADVERTISE || reg == PHY_GCONTROL || reg >= PHY_SPECIFIC)
		e->s.phy[reg] = val;
}

uint32_t e1000_mdic(struct e1000 *e, uint32_t val)
{
	unsigned reg = val >> 16 & 31, phy = val >> 21 & 31;
	uint32_t out = val & 0x2fffffff;

	if (phy != PHY_ADDRESS)
		out |= MDIC_ERROR;
	else if (val & MDIC_READ)
		out = (out & 0xffff0000) | phy_read(e, reg);
	else if (val & MDIC_WRITE)
		phy_write(e, reg, (uint16_t)val);
	if (val & MDIC_INTERRUPT)
		e1000_cause(e, ICR_MDAC);
	return out | MDIC_READY;
}
