// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the floppy commands that move data
 *
 * A command names its first sector; how many follow, only DMA's terminal count says. So a read fetches all up to the
 * end of the track (both sides with MT) and gives DMA as much as it takes; a write takes from DMA until
 * terminal count and writes that, the last sector filled up with zeros as the 8272 does.
 *
 * I1  f->io is the only request under way. After a reset its completion moves nothing; a command that comes before
 *     it waits for it, so a guest that resets in a loop does not pile up requests.
 * I2  All geometry comes from the disk's size, never from the guest; sector, head and count are checked against it.
 */
#include <stdlib.h>
#include <string.h>

#include "dev/isa/fdc_int.h"

/* CCR data rates: 0 500, 1 300, 2 250, 3 1000 kbit/s */
static const struct { uint16_t kib; struct fdc_geometry geo; } formats[] = {
	{ 160, { 40, 8, 2 } }, { 180, { 40, 9, 2 } }, { 320, { 40, 8, 2 } }, { 360, { 40, 9, 2 } }, { 720, { 80, 9, 2 } },
	{ 1200, { 80, 15, 0 } }, { 1440, { 80, 18, 0 } }, { 1680, { 80, 21, 0 } }, { 1722, { 82, 21, 0 } },
	{ 2880, { 80, 36, 3 } },
};

/* An image of another size is taken for a 1.44M disk; what it lacks reads as zeros. */
struct fdc_geometry fdc_geometry(const struct block *disk)
{
	for (unsigned i = 0; i < ARRAY_LEN(formats); i++) {
		if (block_size(disk) == KIB(formats[i].kib))
			return formats[i].geo;
	}
	return (struct fdc_geometry){ 80, 18, 0 };
}

static uint8_t unit(const struct fdc *f)
{
	return f->s.fifo[1] & (ST0_DRIVE | ST0_HEAD);
}

static void finish(struct fdc *f, uint8_t st0, uint8_t st1, uint8_t st2)
{
	fdc_data_result(f, st0 | unit(f), st1, st2, &f->s.fifo[2]);
}

static void fail(struct fdc *f, uint8_t st1, uint8_t st2)
{
	finish(f, ST0_ABNORMAL, st1, st2);
}

static uint8_t command(const struct fdc *f)
{
	return f->s.fifo[0] & CMD_MASK;
}

static bool is_write(const struct fdc *f)
{
	return command(f) == CMD_WRITE || command(f) == CMD_WRITE_DELETED || command(f) == CMD_FORMAT;
}

/* --- where --- */

/* Sectors from the first to the end of the track, or of the cylinder with MT. 0: there is no such sector. */
static unsigned run_sectors(const struct fdc *f, const struct fdc_geometry *geo)
{
	const uint8_t *c = f->s.fifo;
	unsigned eot = c[6] < geo->spt ? c[6] : geo->spt, first = c[4];

	if (c[3] > 1 || first < 1 || first > eot)
		return 0;
	/* With MT the second side follows, in the image too if the first was read to its end. */
	return eot - first + 1 + (c[0] & CMD_MT && !c[3] && eot == geo->spt ? geo->spt : 0);
}

static uint64_t position(const struct fdc *f, const struct fdc_geometry *geo)
{
	const uint8_t *c = f->s.fifo;
	unsigned sector = command(f) == CMD_FORMAT ? 1 : c[4], head = command(f) == CMD_FORMAT ? unit(f) >> 2 : c[3];

	return (((uint64_t)f->s.drive[unit(f) & 3].track * 2 + head) * geo->spt + sector - 1) * FDC_SECTOR;
}

/* "Result Phase": the sector after the last one moved, in C, H, R of the command. */
static void advance(struct fdc *f, unsigned sectors)
{
	uint8_t *c = f->s.fifo;
	unsigned eot = c[6];

	for (unsigned i = 0; i < sectors; i++) {
		if (c[4] < eot) {
			c[4]++;
			continue;
		}
		c[4] = 1;
		if (!(c[0] & CMD_MT) || c[3] == 1)
			c[2]++;
		if (c[0] & CMD_MT)
			c[3] ^= 1;
	}
}

/* The guest wants to move the data itself. We do not do that: it is an overrun. */
static bool without_dma(const struct fdc *f)
{
	if (!(f->s.hlt_nd & SPECIFY_ND))
		return false;
	guest_log("floppy: transfers without DMA are not supported");
	return true;
}

/* --- the request to the disk --- */

/* What DMA's part of it says about the end of a command. */
static uint8_t end_st1(unsigned moved, bool tc)
{
	if (tc)
		return 0;
	return moved ? ST1_EN : ST1_OR; /* ran off the end of the track; nobody served the request */
}

static unsigned whole_sectors(unsigned bytes)
{
	return (bytes + FDC_SECTOR - 1) / FDC_SECTOR;
}

static void read_done(struct fdc *f, struct fdc_io *io)
{
	bool tc;
	unsigned moved = dma_transfer(f->cfg.dma, FDC_CHANNEL, io->buf, io->len, DMA_TO_MEMORY, &tc);

	advance(f, whole_sectors(moved));
	finish(f, tc ? 0 : ST0_ABNORMAL, end_st1(moved, tc), 0);
}

static void start_waiting(struct fdc *f)
{
	if (!f->waiting)
		return;
	f->waiting = false;
	fdc_data_start(f);
}

static void io_done(struct block_req *req, int result)
{
	struct fdc_io *io = req->opaque;
	struct fdc *f = io->fdc;

	if (f) {
		f->io = NULL;
		if (io->cancelled)
			start_waiting(f);
		else if (result < 0)
			fail(f, ST1_DE, ST2_DD);
		else if (req->op == BLOCK_READ)
			read_done(f, io);
		else
			finish(f, io->st1 ? ST0_ABNORMAL : 0, io->st1, 0);
	}
	free(io);
}

void fdc_data_cancel(struct fdc *f)
{
	f->waiting = false;
	if (f->io)
		f->io->cancelled = true;
}

static void submit(struct fdc *f, struct fdc_io *io, struct block *disk, uint64_t pos, unsigned len)
{
	io->fdc = f;
	io->iov = (struct iovec){ .iov_base = io->buf, .iov_len = len };
	io->req = (struct block_req){
		.op = is_write(f) ? BLOCK_WRITE : BLOCK_READ, .offset = pos, .iov = &io->iov, .niov = 1, .done = io_done,
		.opaque = io,
	};
	f->io = io;
	block_submit(disk, &io->req);
}

static void start_read(struct fdc *f, struct block *disk, uint64_t pos, unsigned sectors)
{
	struct fdc_io *io = xalloc(sizeof(*io));
	uint64_t size = block_size(disk), there = pos < size ? size - pos : 0;

	io->len = sectors * FDC_SECTOR;
	if (there) {
		submit(f, io, disk, pos, (unsigned)MIN(there, io->len));
		return;
	}
	read_done(f, io); /* all zeros */
	free(io);
}

static void start_write(struct fdc *f, struct block *disk, uint64_t pos, unsigned sectors)
{
	struct fdc_io *io = xalloc(sizeof(*io));
	unsigned moved, len;
	bool tc;

	moved = dma_transfer(f->cfg.dma, FDC_CHANNEL, io->buf, sectors * FDC_SECTOR, DMA_FROM_MEMORY, &tc);
	len = whole_sectors(moved) * FDC_SECTOR;
	if (!moved || pos + len > block_size(disk)) {
		fail(f, moved ? ST1_ND : ST1_OR, 0);
		free(io);
		return;
	}
	io->st1 = end_st1(moved, tc);
	advance(f, whole_sectors(moved));
	submit(f, io, disk, pos, len);
}

/* FORMAT TRACK: the identifications DMA brings are those of an ordinary track; only the filler matters. */
static void start_format(struct fdc *f, struct block *disk, const struct fdc_geometry *geo)
{
	unsigned sectors = f->s.fifo[3];
	uint8_t filler = f->s.fifo[5], ids[4 * FDC_MAX_SPT];
	uint64_t pos = position(f, geo);
	struct fdc_io *io;
	bool tc;

	if (f->s.fifo[2] != 2 || sectors < 1 || sectors > geo->spt || pos + sectors * FDC_SECTOR > block_size(disk)) {
		fail(f, ST1_ND, 0);
		return;
	}
	if (without_dma(f) || !dma_transfer(f->cfg.dma, FDC_CHANNEL, ids, 4 * sectors, DMA_FROM_MEMORY, &tc)) {
		fail(f, ST1_OR, 0);
		return;
	}
	io = xalloc(sizeof(*io));
	memset(io->buf, filler, sectors * FDC_SECTOR);
	submit(f, io, disk, pos, sectors * FDC_SECTOR);
}

/* --- commands --- */

/* Whether the heads find anything they can read under this data rate. */
static bool readable(const struct fdc *f, const struct block *disk)
{
	struct fdc_geometry geo;

	if (!disk)
		return false;
	geo = fdc_geometry(disk);
	return geo.rate == (f->s.rate & 3) && f->s.drive[unit(f) & 3].track < geo.tracks;
}

void fdc_data_read_id(struct fdc *f)
{
	uint8_t *c = f->s.fifo, chrn[4] = { f->s.drive[unit(f) & 3].track, unit(f) >> 2, 1, 2 };

	memcpy(&c[2], chrn, sizeof(chrn));
	if (readable(f, fdc_spinning_disk(f, unit(f) & 3)))
		finish(f, 0, 0, 0);
	else
		fail(f, ST1_MA, 0);
}

static void start_rw(struct fdc *f, struct block *disk, const struct fdc_geometry *geo)
{
	uint8_t *c = f->s.fifo;
	struct fdc_drive_state *d = &f->s.drive[unit(f) & 3];
	unsigned sectors;

	f->s.eot = c[6];
	if (f->s.config & CONFIG_EIS)
		d->track = MIN(c[2], geo->tracks);
	if (command(f) == CMD_READ_TRACK)
		c[4] = 1;
	sectors = run_sectors(f, geo);
	if (c[5] != 2 || c[2] != d->track || !sectors) {
		fail(f, ST1_ND, c[2] != d->track ? ST2_WC : 0);
	} else if (command(f) == CMD_VERIFY) {
		advance(f, sectors);
		finish(f, 0, 0, 0);
	} else if (without_dma(f)) {
		fail(f, ST1_OR, 0);
	} else if (is_write(f)) {
		start_write(f, disk, position(f, geo), sectors);
	} else {
		start_read(f, disk, position(f, geo), sectors);
	}
}

void fdc_data_start(struct fdc *f)
{
	struct block *disk = fdc_spinning_disk(f, unit(f) & 3);
	struct fdc_geometry geo;

	if (f->io) {
		f->waiting = true;
		return;
	}
	if (!readable(f, disk)) {
		fail(f, ST1_MA, 0);
		return;
	}
	geo = fdc_geometry(disk);
	if (is_write(f) && block_readonly(disk))
		fail(f, ST1_NW, 0);
	else if (command(f) == CMD_FORMAT)
		start_format(f, disk, &geo);
	else
		start_rw(f, disk, &geo);
}
