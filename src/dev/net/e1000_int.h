// SPDX-License-Identifier: GPL-2.0-or-later
/* what: between the parts of the 8254x: registers (e1000.c), EEPROM and PHY (e1000_phy.c), rings (_tx.c, _rx.c)
 *
 * "SDM" here is Intel's PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (8254x).
 */
#ifndef DEV_NET_E1000_INT_H
#define DEV_NET_E1000_INT_H

#include "dev/net/e1000.h"
#include "dev/net/eeprom93.h"

/* SDM 13.2, table 13-2: name, offset, bits that software writes, value at reset. In order of offset. */
#define E1000_REGS(R) \
	R(CTRL, 0x0000, 0xffffffff, 0x00000a01) R(STATUS, 0x0008, 0, 0x00000080) R(EECD, 0x0010, 0, 0) \
	R(EERD, 0x0014, 0, 0) R(CTRL_EXT, 0x0018, 0xffffffff, 0) R(MDIC, 0x0020, 0, 0) \
	R(FCAL, 0x0028, 0xffffffff, 0) R(FCAH, 0x002c, 0xffff, 0) R(FCT, 0x0030, 0xffff, 0) \
	R(VET, 0x0038, 0xffff, 0x8100) R(ICR, 0x00c0, 0, 0) R(ITR, 0x00c4, 0xffff, 0) R(ICS, 0x00c8, 0, 0) \
	R(IMS, 0x00d0, 0, 0) R(IMC, 0x00d8, 0, 0) R(RCTL, 0x0100, 0xffffffff, 0) R(FCTTV, 0x0170, 0xffff, 0) \
	R(TXCW, 0x0178, 0xffffffff, 0) R(RXCW, 0x0180, 0, 0) R(TCTL, 0x0400, 0xffffffff, 0) \
	R(TIPG, 0x0410, 0x3fffffff, 0) R(AIFS, 0x0458, 0xffff, 0) R(LEDCTL, 0x0e00, 0xffffffff, 0x07068302) \
	R(PBA, 0x1000, 0xffff, 0x00100030) R(FCRTL, 0x2160, 0xffffffff, 0) R(FCRTH, 0x2168, 0xffffffff, 0) \
	R(RDBAL, 0x2800, 0xfffffff0, 0) R(RDBAH, 0x2804, 0xffffffff, 0) R(RDLEN, 0x2808, 0x000fff80, 0) \
	R(RDH, 0x2810, 0xffff, 0) R(RDT, 0x2818, 0xffff, 0) R(RDTR, 0x2820, 0xffff, 0) \
	R(RXDCTL, 0x2828, 0xffffffff, 0x00010000) R(RADV, 0x282c, 0xffff, 0) R(RSRPD, 0x2c00, 0xfff, 0) \
	R(TDBAL, 0x3800, 0xfffffff0, 0) R(TDBAH, 0x3804, 0xffffffff, 0) R(TDLEN, 0x3808, 0x000fff80, 0) \
	R(TDH, 0x3810, 0xffff, 0) R(TDT, 0x3818, 0xffff, 0) R(TIDV, 0x3820, 0xffff, 0) \
	R(TXDCTL, 0x3828, 0xffffffff, 0) R(TADV, 0x382c, 0xffff, 0) R(TSPMT, 0x3830, 0xffffffff, 0x01000400) \
	R(RXCSUM, 0x5000, 0x7ff, 0) R(WUC, 0x5800, 0xffffffff, 0) R(WUFC, 0x5808, 0xffffffff, 0) \
	R(WUS, 0x5810, 0, 0) R(MANC, 0x5820, 0xffffffff, 0)
#define ONE_NAME(name, at, mask, reset) E1000_##name,
enum e1000_reg { E1000_REGS(ONE_NAME) E1000_NREGS };
#undef ONE_NAME

/* Statistics, 0x4000 to 0x40ff, cleared by reading: SDM 13.7. Those that are counted. */
#define E1000_NSTATS 64
enum { STAT_GPRC = 0x74 / 4, STAT_GPTC = 0x80 / 4, STAT_GORCL = 0x88 / 4, STAT_GOTCL = 0x90 / 4,
	STAT_TPR = 0xd0 / 4, STAT_TPT = 0xd4 / 4 };

/* SDM 13.4.1, 13.4.2, 13.4.17, 13.4.22, 13.4.33 */
#define CTRL_SLU 0x00000040u
#define CTRL_RST 0x04000000u
#define CTRL_VME 0x40000000u
#define CTRL_PHY_RST 0x80000000u
#define STATUS_FD 0x01u
#define STATUS_LU 0x02u
#define STATUS_1000 0x80u
#define ICR_TXDW 0x0001u
#define ICR_TXQE 0x0002u
#define ICR_LSC 0x0004u
#define ICR_RXDMT0 0x0010u
#define ICR_RXT0 0x0080u
#define ICR_MDAC 0x0200u
#define RCTL_EN 0x02u
#define RCTL_UPE 0x08u
#define RCTL_MPE 0x10u
#define RCTL_LPE 0x20u
#define RCTL_BAM 0x8000u
#define RCTL_VFE 0x00040000u
#define RCTL_BSEX 0x02000000u
#define RCTL_SECRC 0x04000000u
#define TCTL_EN 0x02u
#define TCTL_PSP 0x08u

#define E1000_DESC 16u
#define E1000_LONGEST 16384u /* frame that is received, with its check sequence */
#define E1000_RAS 16     /* addresses that are compared whole */
/* What the card does at once, with the lock held: descriptors, or 32 times as many bytes. */
#define E1000_TURN 4096u

struct e1000_state {
	uint64_t interrupted;  /* when the line last rose */
	uint32_t reg[E1000_NREGS];
	uint32_t ims;
	uint32_t mta[128], vfta[128], ra[2 * E1000_RAS], stats[E1000_NSTATS];
	uint32_t context[4];   /* the last context descriptor */
	uint32_t io_address;
	uint16_t phy[32];
	struct eeprom93_state eeprom;
	bool tx_dropping;      /* the packet at TDH is too large: to its end it is dropped */
	bool line;
	bool rx_delayed, tx_delayed; /* their causes come when the timers ring */
	uint8_t pad_[6];
};

struct e1000 {
	struct pci_dev pci;
	struct e1000_state s;
	struct mem *mem;
	struct loop *loop;
	struct net_end *end;
	const char *name;
	uint16_t eeprom[EEPROM93_WORDS];
	struct loop_timer throttle, rx_delay, tx_delay, tx_again;
	uint8_t frame[NET_FRAME_MAX];     /* on its way out */
	uint8_t received[E1000_LONGEST];
	bool sending;
};

/* e1000.c */
void e1000_cause(struct e1000 *e, uint32_t bits);
/* Number of descriptors in a ring by its length register. */
static inline uint32_t e1000_ring(const struct e1000 *e, enum e1000_reg len)
{
	return e->s.reg[len] / E1000_DESC;
}

/* e1000_phy.c */
void e1000_eeprom_init(struct e1000 *e, uint16_t device, const uint8_t *mac);
uint32_t e1000_eecd_read(const struct e1000 *e);
void e1000_eecd_write(struct e1000 *e, uint32_t val);
uint32_t e1000_eerd(const struct e1000 *e, uint32_t val);
void e1000_phy_reset(struct e1000 *e);
/* MDIC as it reads after val was written. */
uint32_t e1000_mdic(struct e1000 *e, uint32_t val);

/* e1000_tx.c: send what is in the ring, as much as a turn holds. */
void e1000_transmit(struct e1000 *e);

/* e1000_rx.c */
bool e1000_receive(void *opaque, const struct net_frame *f);

#endif
