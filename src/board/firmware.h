// SPDX-License-Identifier: GPL-2.0-or-later
/* what: ROM images: the system firmware below 4 GiB and option ROMs for cards */
#ifndef BOARD_FIRMWARE_H
#define BOARD_FIRMWARE_H

#include "mem/mem.h"

struct rom {
	uint8_t *data; /* page aligned */
	size_t len;
	char path[256];
	struct mem_region region, low, alias; /* below 4 GiB, 1 MiB, and 1 MiB further down than 4 GiB */
};

/* path NULL: the first SeaBIOS found where distributions put it. 64 KiB to 16 MiB in steps of 4 KiB. */
int firmware_load(struct rom *rom, const char *path, struct err *err);
/* Map it so that it ends at 4 GiB, and its last 128 KiB, or 64 if it has no more, so that they end at 1 MiB; and
 * those again where the reset vector is with A20 closed, unless it is so large that it lies there. Lock held. */
void firmware_map(struct rom *rom, struct mem *mem);
/* The stock VGA BIOS; missing is no error: rom stays empty and false comes back. */
bool firmware_load_vga(struct rom *rom);
/* A network card's boot ROM, by its file name in the package ipxe-qemu; missing is no error either. */
bool firmware_load_card(struct rom *rom, const char *name);
void firmware_free(struct rom *rom);

#endif
