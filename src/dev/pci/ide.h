// SPDX-License-Identifier: GPL-2.0-or-later
/* what: one ATA channel with two drives (disks or ATAPI CD-ROMs) at its legacy ports; the bus master is somebody else
 */
#ifndef DEV_PCI_IDE_H
#define DEV_PCI_IDE_H

#include "base/wire.h"
#include "block/block.h"
#include "mem/mem.h"
#include "state/state.h"

struct ide_channel;

/* Guest memory of one piece of a DMA transfer. */
struct ide_sg {
	struct iovec iov[BLOCK_MAX_IOV];
	gpa_t gpa[BLOCK_MAX_IOV];
	unsigned n;
};

/* What a channel needs of its bus master. */
struct ide_dma {
	void *opaque;
	/* The drive has a DMA command: call ide_dma_go as soon as the bus master is started (also from in here). */
	void (*request)(void *opaque);
	/* The next bytes of the guest's scatter list: at most want, a multiple of unit unless all of want. 0: nothing
	 * usable. */
	uint32_t (*map)(void *opaque, struct ide_sg *sg, uint32_t want, uint32_t unit);
	void (*finish)(void *opaque, bool error);
	/* Serial ATA: there are no ports, all data moves by map, also that of PIO commands, and a command packet is asked
	 * for. NULL: parallel ATA. */
	void (*packet)(void *opaque, uint8_t cdb[12]);
};

struct ide_unit {
	struct block *blk; /* owned by the board; NULL with cdrom: drive without a disc */
	bool cdrom;        /* blk NULL and not cdrom: no drive */
	const char *serial; /* up to 20 characters; NULL: made up from the channel's name */
};

struct ide_config {
	struct mem *mem;
	struct state_set *states;
	const char *name;            /* "ide0" */
	uint16_t cmd_base, ctl_base; /* 0x1f0 and 0x3f6; unused for Serial ATA */
	struct ide_unit unit[2];
	struct wire irq;
	struct wire tray; /* pulsed when the guest has moved a tray */
	struct ide_dma dma;
};

/* Lock held for all of these. Free only after block_close of the drives' images: requests under way write into the
 * channel. */
struct ide_channel *ide_new(const struct ide_config *cfg);
void ide_free(struct ide_channel *ch);
void ide_reset(struct ide_channel *ch);
/* The bus master was started: move data if the drive has a DMA command waiting. */
void ide_dma_go(struct ide_channel *ch);

/* A CD-ROM drive, by hand: put a disc in (NULL: take it out), move the tray whether locked or not, press the button of
 * a locked one, which only tells the guest. The disc that was in may be closed after block_drain. */
void ide_set_disc(struct ide_channel *ch, unsigned unit, struct block *blk);
void ide_set_tray(struct ide_channel *ch, unsigned unit, bool open);
void ide_press_eject(struct ide_channel *ch, unsigned unit);
struct ide_tray { bool open, locked; };
struct ide_tray ide_tray(const struct ide_channel *ch, unsigned unit);

#endif
