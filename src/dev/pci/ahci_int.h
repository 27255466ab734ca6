// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what ahci.c (registers, command lists, received FISes) and ahci_ncq.c (queued commands) share
 */
#ifndef DEV_PCI_AHCI_INT_H
#define DEV_PCI_AHCI_INT_H

#include "dev/pci/ahci.h"
#include "dev/pci/ide_int.h"

#define AHCI_SLOTS 32u
#define AHCI_IDLE 32u /* ahci_port_state.slot: no command is with the drive */

/* Where a command's data go: what of its PRD table has not been used (AHCI 4.2.3.3). */
struct ahci_cursor {
	uint64_t next; /* entry to be read next */
	uint64_t addr; /* of what is left of the present region */
	uint32_t left;
	uint32_t n;    /* entries from next on */
};

struct ahci_port_state {
	struct ahci_cursor cursor; /* of the command with the drive */
	uint64_t table;            /* that command's table */
	uint64_t clb, fb;
	uint32_t is, ie, cmd, tfd, sig, sctl, serr, sact, ci;
	uint32_t moved; /* bytes */
	uint8_t slot, code; /* the command with the drive: header and code */
	bool srst;          /* between the two FISes of a software reset */
	bool stopping;      /* requests under way must end before CR, or HR, goes down */
	uint8_t pad_[4];
};

struct ahci_state {
	struct ahci_port_state port[AHCI_PORTS];
	uint32_t ghc, is;
};

/* A queued command. */
struct ahci_ncq {
	struct block_req req;
	struct ide_sg sg;
	struct ahci_cursor cursor;
	struct ahci_port *port;
	uint64_t offset, left;
	uint8_t slot;
	bool busy, write, fua;
};

struct ahci_port {
	struct ahci *hba;
	struct ahci_port_state *s;
	unsigned n;
	struct ide_channel *drive;
	struct block *blk;
	struct ahci_ncq *ncq; /* AHCI_SLOTS of them */
	unsigned inflight;    /* of ncq */
	bool issuing;
};

struct ahci {
	struct pci_dev pci;
	struct ahci_state s;
	struct ahci_config cfg;
	struct ahci_port port[AHCI_PORTS];
	unsigned nports;
	uint8_t msi;
};

/* Guest memory of the next bytes: at most want, a multiple of unit unless all of want; 0: nothing usable. */
uint32_t ahci_map(struct ahci *a, struct ahci_cursor *c, struct ide_sg *sg, uint32_t want, uint32_t unit);
/* The queued command of a slot has ended: tell the guest by a Set Device Bits FIS. */
void ahci_queued_done(struct ahci_port *p, unsigned slot, bool error);
/* A request has come back: go on with stopping, if nothing else is under way. */
void ahci_settle(struct ahci_port *p);

/* Start a READ or WRITE FPDMA QUEUED; the FIS has been checked to be one. False: its parameters are wrong. */
bool ahci_ncq_start(struct ahci_port *p, unsigned slot, const uint8_t fis[20], const struct ahci_cursor *c);

#endif
