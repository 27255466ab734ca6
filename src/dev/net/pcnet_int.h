// SPDX-License-Identifier: GPL-2.0-or-later
/* what: between the PCnet's registers (pcnet.c) and its rings (pcnet_ring.c)
 *
 * "DS" here is AMD's data sheet of the Am79C970A.
 */
#ifndef DEV_NET_PCNET_INT_H
#define DEV_NET_PCNET_INT_H

#include "dev/net/pcnet.h"

#define PCNET_CSRS 128
#define PCNET_BCRS 32
/* Descriptors looked at in one go. */
#define PCNET_TURN 512u

/* DS, CSR0 */
#define CSR0_INIT 0x0001
#define CSR0_STRT 0x0002
#define CSR0_STOP 0x0004
#define CSR0_TDMD 0x0008
#define CSR0_TXON 0x0010
#define CSR0_RXON 0x0020
#define CSR0_IENA 0x0040
#define CSR0_INTR 0x0080
#define CSR0_IDON 0x0100
#define CSR0_TINT 0x0200
#define CSR0_RINT 0x0400
#define CSR0_CAUSES 0x7f00 /* those that are cleared by writing ones; ERR is their summary */
enum { CSR_STATUS, CSR_IADRL, CSR_IADRH, CSR_MASK, CSR_LADRF = 8, CSR_PADR = 12, CSR_MODE = 15, CSR_RX_BASE = 24,
	CSR_TX_BASE = 30, CSR_STYLE = 58, CSR_RX_LEN = 76, CSR_TX_LEN = 78, CSR_CHIP = 88 };
#define MODE_DRX 0x0001
#define MODE_DTX 0x0002
#define MODE_DRCVPA 0x2000
#define MODE_DRCVBC 0x4000
#define MODE_PROM 0x8000

struct pcnet_state {
	uint16_t csr[PCNET_CSRS], bcr[PCNET_BCRS];
	uint32_t rx_base, tx_base;   /* rings */
	uint32_t rx_len, tx_len;     /* descriptors; powers of two up to 512, or 0 */
	uint32_t rx_at, tx_at;       /* the next ones */
	uint8_t rap;
	bool dwio;                   /* registers are 32 bits wide */
	uint8_t pad_[2];
};

struct pcnet {
	struct pci_dev pci;
	struct pcnet_state s;
	struct loop *loop;
	struct mem *mem;
	struct net_end *end;
	uint8_t prom[16];
	struct loop_timer poll;
	bool sending;
	uint8_t frame[CARD_FRAME_MAX + 4 + CARD_FCS_LEN];
};

/* pcnet.c */
void pcnet_cause(struct pcnet *p, uint16_t bits);
/* Look again in a moment: a driver gives receive buffers without telling. */
void pcnet_poll_soon(struct pcnet *p);

/* pcnet_ring.c */
void pcnet_read_init_block(struct pcnet *p);
void pcnet_transmit(struct pcnet *p);
bool pcnet_receive(void *opaque, const struct net_frame *f);

#endif
