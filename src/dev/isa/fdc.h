// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 82077AA floppy controller with two 3.5" drives for disk images */
#ifndef DEV_ISA_FDC_H
#define DEV_ISA_FDC_H

#include "base/wire.h"
#include "block/block.h"
#include "dev/isa/dma.h"
#include "mem/mem.h"
#include "state/state.h"

#define FDC_DRIVES 2u

struct fdc;

struct fdc_config {
	struct state_set *states;    /* may be NULL */
	struct loop *loop;
	struct mem *mem;             /* may be NULL: no ports */
	struct dma *dma;             /* channel 2 */
	struct wire irq6;
	bool in_cmos[FDC_DRIVES];    /* the drive has a type in CMOS; without, systems take it for missing */
	struct block *disk[FDC_DRIVES]; /* not owned; NULL: empty */
};

/* All functions: device lock held. */
struct fdc *fdc_new(const struct fdc_config *cfg);
void fdc_free(struct fdc *fdc);
void fdc_reset(struct fdc *fdc);
/* Change the disk (NULL: take it out). The old one may be closed once no request is under way: block_close waits. */
void fdc_set_media(struct fdc *fdc, unsigned drive, struct block *disk);
/* Value of CMOS byte 0x10 (drive types). */
uint8_t fdc_cmos_type(const struct fdc *fdc);
/* Port 0x3f0 + reg (1..5, 7). */
uint8_t fdc_read(struct fdc *fdc, unsigned reg);
void fdc_write(struct fdc *fdc, unsigned reg, uint8_t val);

#endif
