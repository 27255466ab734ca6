// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the inside of the floppy controller: its state, the transfer under way, and what fdc.c and fdc_data.c share */
#ifndef DEV_ISA_FDC_INT_H
#define DEV_ISA_FDC_INT_H

#include "dev/isa/fdc.h"

enum {
	ST0_DRIVE = 0x03, ST0_HEAD = 0x04, ST0_EC = 0x10, ST0_SE = 0x20, ST0_ABNORMAL = 0x40, ST0_INVALID = 0x80,
	ST0_POLLING = 0xc0,
	ST1_MA = 0x01, ST1_NW = 0x02, ST1_ND = 0x04, ST1_OR = 0x10, ST1_DE = 0x20, ST1_EN = 0x80,
	ST2_DD = 0x20, ST2_WC = 0x10,
	CMD_MT = 0x80, CMD_MASK = 0x1f,
	CMD_READ_TRACK = 0x02, CMD_WRITE = 0x05, CMD_READ = 0x06, CMD_WRITE_DELETED = 0x09, CMD_READ_ID = 0x0a,
	CMD_READ_DELETED = 0x0c, CMD_FORMAT = 0x0d, CMD_VERIFY = 0x16,
	CONFIG_EIS = 0x40, CONFIG_POLL = 0x10,
	SPECIFY_ND = 0x01,
};

enum { FDC_COMMAND, FDC_EXECUTION, FDC_RESULT };

#define FDC_SECTOR 512u
#define FDC_MAX_SPT 36u
#define FDC_CHANNEL 2u

struct fdc_drive_state {
	uint8_t track;
	uint8_t st0;    /* what sense interrupt status will say */
	bool sense;     /* a seek has ended that was not sensed yet */
	bool changed;   /* disk change line; a step with a disk in clears it */
};

struct fdc_state {
	struct fdc_drive_state drive[4];
	uint8_t fifo[16];      /* command bytes, then result bytes */
	uint8_t pos, len, phase;
	uint8_t dor, tdr, rate;
	uint8_t srt_hut, hlt_nd, eot, config, pretrk, perpendicular;
	uint8_t reset_sense;   /* drives not yet sensed after a reset, 4..0 */
	uint8_t events;        /* EVENT_* due when the timer fires */
	bool lock, irq;
};

/* A request to the disk and its buffer. It may outlive a reset, a disk change and the controller itself. */
struct fdc_io {
	struct block_req req;
	struct iovec iov;
	struct fdc *fdc;       /* NULL: it is gone */
	unsigned len;          /* reads: bytes for DMA; beyond the image's end they are zeros */
	bool cancelled;        /* by a reset */
	uint8_t st1;           /* writes: how the command ends if the disk has no objection */
	uint8_t buf[2 * FDC_MAX_SPT * FDC_SECTOR];
};

struct fdc {
	struct fdc_state s;
	struct fdc_config cfg;
	struct loop_timer timer;
	struct mem_ports ports[2];
	struct fdc_io *io;     /* under way, or NULL */
	bool waiting;          /* the command in the FIFO starts when io is done */
	bool starting;         /* its last byte is being written */
};

struct fdc_geometry { uint8_t tracks, spt, rate; };

/* NULL: no disk in the drive (or no drive); and no disk that turns. */
struct block *fdc_disk(const struct fdc *f, unsigned drive);
struct block *fdc_spinning_disk(const struct fdc *f, unsigned drive);
struct fdc_geometry fdc_geometry(const struct block *disk);
/* Begin READ, WRITE, FORMAT, VERIFY or READ ID with the command in the FIFO. Ends in fdc_data_result. */
void fdc_data_start(struct fdc *f);
/* Forget the transfer under way. */
void fdc_data_cancel(struct fdc *f);
/* READ ID, when the "disk has turned". */
void fdc_data_read_id(struct fdc *f);
/* Enter the result phase, at once or soon, with the seven bytes of a data command and interrupt. */
void fdc_data_result(struct fdc *f, uint8_t st0, uint8_t st1, uint8_t st2, const uint8_t chrn[4]);

#endif
