// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the chips a user may choose, one row each */
#ifndef BOARD_CHIPS_H
#define BOARD_CHIPS_H

#include "board/pc_int.h"
#include "dev/net/card.h"

/* A disk that has been opened and waits for its controller. */
struct storage_disk {
	struct block *blk;
	bool readonly;
	char boot_path[64]; /* the firmware's name for it */
	void *chip;         /* the row's: its own controller, if it has one */
	char chip_name[24];
};

/* Ways to connect a disk. The first row is the default. */
struct chip_disk {
	const char *name, *what;
	/* Connect; fills boot_path. Lock held. */
	int (*attach)(struct storage *st, struct pc *pc, struct storage_disk *d, struct err *err);
	void (*reset)(struct storage_disk *d); /* NULL: the controller is shared and does it */
	void (*free)(struct storage_disk *d);
};
const struct chip_disk *chip_disk_find(const char *name); /* NULL name: the default */

/* A network card and what it is plugged into. */
struct network_card {
	const struct chip_card *row;
	struct net_port *port;
	struct net *net;
	uint8_t *rom;
	uint32_t rom_size;
	char boot_path[64]; /* the firmware's name for it */
	char chip_name[24];
	void *chip;
};

/* Models of network cards. The first row is the default. */
struct chip_card {
	const char *name, *what;
	uint16_t vendor, device; /* PCI's */
	const char *rom; /* file of the package ipxe-qemu; NULL: none */
	/* Make it; fills chip and boot_path. Lock held. */
	int (*attach)(struct pc *pc, struct network_card *c, const struct net_card_config *cfg, struct err *err);
	void (*reset)(struct network_card *c);
	void (*free)(struct network_card *c);
};
const struct chip_card *chip_card_find(const char *name); /* NULL name: the default */

/* storage.c: a place on the IDE channels, a port of the AHCI controller. */
int storage_attach_ide(struct storage *st, struct pc *pc, struct storage_disk *d, struct err *err);
int storage_attach_ahci(struct storage *st, struct pc *pc, struct storage_disk *d, struct err *err);

#endif
