// SPDX-License-Identifier: GPL-2.0-or-later
/* what: one ATA channel: registers of two drives, resets, interrupt, and the movement of data by PIO or DMA
 *
 * Only one command runs on a channel at a time, so the transfer (phase, position, buffer, request) belongs to the
 * channel and its parameters are latched when the command starts: what the host writes to the registers later cannot
 * disturb it. PIO reads fetch up to the whole buffer from the medium at once and hand it out in DRQ blocks, because
 * firmware reads kernels sector by sector. DMA goes straight between guest memory and the image.
 *
 *   IDLE --command--> BUSY --refill--> DATA_IN --block read by host--> DATA_IN ... IDLE
 *                          --demand--> DATA_OUT --block written--> BUSY (write) --> DATA_OUT ... IDLE
 *                     DMA_WAIT --ide_dma_go--> BUSY (pieces) ... IDLE
 *
 * I1  buf_pos <= drq_end <= buf_fill <= IDE_BUF_SIZE.
 * I2  While req is with the block layer the phase is BUSY and no command is accepted; a reset then waits for it.
 * Source: ATA/ATAPI-6 (T13 1410D).
 */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "dev/pci/ide_int.h"

#define CONTROL_NIEN 0x02
#define CONTROL_SRST 0x04
#define CONTROL_HOB 0x80
#define DMA_PIECE 0x100000u
#define PACKET_LEN 12
#define CMD_DEVICE_RESET 0x08
#define CMD_DIAGNOSTIC 0x90

static void step(struct ide_channel *ch);

static void update_irq(struct ide_channel *ch)
{
	wire_set(&ch->cfg.irq, ch->s.irq && !(ch->s.control & CONTROL_NIEN));
}

static void raise_irq(struct ide_channel *ch)
{
	ch->s.irq = true;
	update_irq(ch);
}

static void clear_irq(struct ide_channel *ch)
{
	ch->s.irq = false;
	update_irq(ch);
}

static void end_transfer(struct ide_channel *ch)
{
	ch->s.phase = IDE_IDLE;
	ch->s.left = 0;
	ch->s.buf_pos = ch->s.buf_fill = ch->s.drq_end = 0;
}

static void end_dma(struct ide_channel *ch, bool error)
{
	if (ch->s.dma && ch->cfg.dma.finish)
		ch->cfg.dma.finish(ch->cfg.dma.opaque, error);
	ch->s.dma = false;
}

void ide_done(struct ide_channel *ch)
{
	struct ide_drive *d = ide_active(ch);

	end_transfer(ch);
	end_dma(ch, false);
	ch->s.trim = false;
	d->s->error = 0;
	d->s->status = IDE_DRDY | IDE_DSC;
	if (ch->s.packet)
		atapi_done(ch);
	raise_irq(ch);
}

void ide_error(struct ide_channel *ch, uint8_t error)
{
	struct ide_drive *d = ide_active(ch);

	end_transfer(ch);
	end_dma(ch, false);
	d->s->error = error;
	d->s->status = IDE_DRDY | IDE_ERR | (ch->s.packet ? 0 : IDE_DSC);
	if (ch->s.packet)
		d->s->count = 3; /* interrupt reason: status, SFF-8020i 5.10 */
	raise_irq(ch);
}

/* The medium or the memory failed in the middle of a transfer. */
static void transfer_failed(struct ide_channel *ch, uint8_t error)
{
	end_dma(ch, error == IDE_E_ABRT);
	if (ch->s.packet)
		atapi_medium_error(ch);
	else
		ide_error(ch, error);
}

/* --- requests to the block layer --- */

static void request_done(struct block_req *req, int result);

static void submit(struct ide_channel *ch, enum block_op op, struct iovec *iov, unsigned niov)
{
	if (!ide_active(ch)->unit.blk) { /* taken out in the middle of a command */
		ch->flushing = false;
		transfer_failed(ch, IDE_E_UNC);
		return;
	}
	ch->req = (struct block_req){.op = op, .offset = ch->s.offset, .iov = iov, .niov = niov,
	                             .len = op == BLOCK_DISCARD ? ch->trim_len : 0, .done = request_done, .opaque = ch};
	ch->s.phase = IDE_BUSY;
	ide_active(ch)->s->status = IDE_BSY | IDE_DRDY | IDE_DSC;
	ch->inflight = true;
	block_submit(ide_active(ch)->unit.blk, &ch->req);
}

static void submit_buf(struct ide_channel *ch, enum block_op op, uint32_t len)
{
	ch->iov = (struct iovec){.iov_base = ch->s.buf, .iov_len = len};
	submit(ch, op, &ch->iov, 1);
}

void ide_start_flush(struct ide_channel *ch)
{
	ch->flushing = true;
	submit(ch, BLOCK_FLUSH, NULL, 0);
}

static uint64_t request_bytes(const struct block_req *req)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < req->niov; i++)
		n += req->iov[i].iov_len;
	return n;
}

static void sg_written(struct ide_channel *ch)
{
	for (unsigned i = 0; i < ch->sg.n; i++)
		mem_dma_written(ch->cfg.mem, ch->sg.gpa[i], ch->sg.iov[i].iov_len);
}

static void reset_channel(struct ide_channel *ch);

static void request_done(struct block_req *req, int result)
{
	struct ide_channel *ch = req->opaque;
	uint64_t n = request_bytes(req);
	bool flushing = ch->flushing;

	ch->inflight = false;
	ch->flushing = false;
	if (ch->s.dma && req->op == BLOCK_READ)
		sg_written(ch);
	if (ch->reset_pending) {
		reset_channel(ch);
		return;
	}
	if (result) {
		transfer_failed(ch, req->op == BLOCK_READ ? IDE_E_UNC : IDE_E_ABRT);
		return;
	}
	if (flushing) {
		ide_done(ch);
		return;
	}
	ch->s.offset += n;
	ch->s.left -= n;
	if (req->op == BLOCK_READ && !ch->s.dma)
		ch->s.buf_fill = (uint32_t)n;
	step(ch);
}

/* --- the engine: what comes next in the active transfer --- */

static void present_block(struct ide_channel *ch)
{
	struct ide_drive_state *d = ide_active(ch)->s;
	uint32_t len = MIN(ch->s.drq_max, ch->s.buf_fill - ch->s.buf_pos);

	ch->s.drq_end = ch->s.buf_pos + len;
	ch->s.phase = IDE_DATA_IN;
	if (ch->s.packet) {
		d->lba[1] = (uint8_t)len; /* ATA/ATAPI-6 9.8: byte count, interrupt reason I/O */
		d->lba[2] = (uint8_t)(len >> 8);
		d->count = 2;
	}
	d->status = IDE_DRDY | IDE_DSC | IDE_DRQ;
	raise_irq(ch);
}

static void demand_block(struct ide_channel *ch, bool interrupt)
{
	ch->s.buf_pos = 0;
	ch->s.buf_fill = ch->s.drq_end = (uint32_t)MIN(ch->s.left, ch->s.drq_max);
	ch->s.phase = IDE_DATA_OUT;
	ide_active(ch)->s->status = IDE_DRDY | IDE_DSC | IDE_DRQ;
	if (interrupt)
		raise_irq(ch);
}

static void step_pio_in(struct ide_channel *ch)
{
	if (ch->s.buf_pos < ch->s.buf_fill) {
		present_block(ch);
		return;
	}
	ch->s.buf_pos = ch->s.buf_fill = ch->s.drq_end = 0;
	if (ch->s.left) {
		submit_buf(ch, BLOCK_READ, (uint32_t)MIN(ch->s.left, IDE_BUF_SIZE));
	} else if (ch->s.packet) {
		ide_done(ch);
	} else { /* ATA/ATAPI-6 9.5: no interrupt after the last block */
		end_transfer(ch);
		ide_active(ch)->s->status = IDE_DRDY | IDE_DSC;
	}
}

static void finish_write(struct ide_channel *ch)
{
	if (ide_active(ch)->s->write_cache)
		ide_done(ch);
	else
		ide_start_flush(ch);
}

static void step_dma_reply(struct ide_channel *ch)
{
	uint32_t n = ch->cfg.dma.map(ch->cfg.dma.opaque, &ch->sg, ch->s.buf_fill, 1), at = 0;

	if (!n) {
		transfer_failed(ch, IDE_E_ABRT);
		return;
	}
	for (unsigned i = 0; i < ch->sg.n; i++) {
		memcpy(ch->sg.iov[i].iov_base, ch->s.buf + at, ch->sg.iov[i].iov_len);
		at += (uint32_t)ch->sg.iov[i].iov_len;
	}
	sg_written(ch);
	ide_done(ch);
}

static bool fetch_ranges(struct ide_channel *ch)
{
	uint32_t want = (uint32_t)ch->s.left, at = 0;

	if (ch->cfg.dma.map(ch->cfg.dma.opaque, &ch->sg, want, 1) != want)
		return false;
	for (unsigned i = 0; i < ch->sg.n; i++) {
		memcpy(ch->s.buf + at, ch->sg.iov[i].iov_base, ch->sg.iov[i].iov_len);
		at += (uint32_t)ch->sg.iov[i].iov_len;
	}
	ch->s.buf_fill = ch->s.drq_end = want;
	ch->s.left = 0;
	return true;
}

/* ACS-2 7.10.3: entries of 48 bits LBA and 16 bits count; count 0 is no range. */
static void step_trim(struct ide_channel *ch)
{
	const struct ide_drive *d = ide_active(ch);

	if (!ch->s.buf_fill && !fetch_ranges(ch)) {
		transfer_failed(ch, IDE_E_ABRT);
		return;
	}
	while (ch->s.buf_pos < ch->s.buf_fill) {
		uint64_t entry = get_le64(ch->s.buf + ch->s.buf_pos), lba = entry & 0xffffffffffffull, count = entry >> 48;

		ch->s.buf_pos += 8;
		if (!count)
			continue;
		if (lba >= d->sectors || count > d->sectors - lba) {
			transfer_failed(ch, IDE_E_IDNF);
			return;
		}
		ch->s.offset = lba * 512;
		ch->trim_len = count * 512;
		submit(ch, BLOCK_DISCARD, NULL, 0);
		return;
	}
	ide_done(ch);
}

static void step_dma(struct ide_channel *ch)
{
	if (ch->s.trim) {
		step_trim(ch);
	} else if (ch->s.buf_fill) {
		step_dma_reply(ch);
	} else if (!ch->s.left) {
		if (ch->s.writing)
			finish_write(ch);
		else
			ide_done(ch);
	} else if (ch->cfg.dma.map(ch->cfg.dma.opaque, &ch->sg, (uint32_t)MIN(ch->s.left, DMA_PIECE), 512)) {
		submit(ch, ch->s.writing ? BLOCK_WRITE : BLOCK_READ, ch->sg.iov, ch->sg.n);
	} else {
		transfer_failed(ch, IDE_E_ABRT);
	}
}

static void step(struct ide_channel *ch)
{
	if (ch->s.dma)
		step_dma(ch);
	else if (!ch->s.writing)
		step_pio_in(ch);
	else if (ch->s.left)
		demand_block(ch, true);
	else
		finish_write(ch);
}

static bool serial(const struct ide_channel *ch)
{
	return ch->cfg.dma.packet;
}

static void go_dma(struct ide_channel *ch)
{
	ch->s.phase = IDE_DMA_WAIT;
	ide_active(ch)->s->status = IDE_BSY | IDE_DRDY | IDE_DSC;
	if (ch->cfg.dma.request)
		ch->cfg.dma.request(ch->cfg.dma.opaque);
}

static void start(struct ide_channel *ch, uint32_t drq_max, bool dma, bool writing)
{
	ch->s.drq_max = MIN(drq_max, IDE_BUF_SIZE);
	ch->s.dma = dma || serial(ch);
	ch->s.writing = writing;
	ch->s.trim = false;
	ch->s.buf_pos = ch->s.drq_end = 0;
	if (!ch->s.dma)
		return;
	go_dma(ch);
}

void ide_start_read(struct ide_channel *ch, uint64_t offset, uint64_t bytes, uint32_t drq_max, bool dma)
{
	ch->s.offset = offset;
	ch->s.left = bytes;
	ch->s.buf_fill = 0;
	start(ch, drq_max, dma, false);
	if (!dma && !serial(ch))
		step(ch);
}

void ide_start_write(struct ide_channel *ch, uint64_t offset, uint64_t bytes, uint32_t drq_max, bool dma)
{
	ch->s.offset = offset;
	ch->s.left = bytes;
	ch->s.buf_fill = 0;
	start(ch, drq_max, dma, true);
	if (!dma && !serial(ch))
		demand_block(ch, false); /* ATA/ATAPI-6 9.6: no interrupt before the first block */
}

void ide_start_reply(struct ide_channel *ch, uint32_t len, uint32_t drq_max, bool dma)
{
	ch->s.left = 0;
	ch->s.buf_fill = len;
	start(ch, drq_max, dma, false);
	if (!dma && !serial(ch))
		step(ch);
}

void ide_start_trim(struct ide_channel *ch, uint32_t bytes)
{
	ch->s.left = bytes;
	ch->s.buf_pos = ch->s.buf_fill = ch->s.drq_end = 0;
	ch->s.dma = ch->s.trim = ch->s.writing = true;
	go_dma(ch);
}

void ide_start_packet(struct ide_channel *ch)
{
	struct ide_drive_state *d = ide_active(ch)->s;

	ch->s.packet = true;
	ch->s.phase = IDE_PACKET;
	ch->s.buf_pos = 0;
	ch->s.buf_fill = ch->s.drq_end = PACKET_LEN;
	d->count = 1; /* interrupt reason: command packet, to the device */
	d->status = IDE_DRDY | IDE_DSC | IDE_DRQ;
	if (!serial(ch))
		return;
	ch->cfg.dma.packet(ch->cfg.dma.opaque, ch->s.buf);
	ch->s.phase = IDE_BUSY;
	d->status = IDE_BSY | IDE_DRDY | IDE_DSC;
	atapi_packet(ch);
}

void ide_dma_go(struct ide_channel *ch)
{
	if (ch->s.phase == IDE_DMA_WAIT)
		step(ch);
}

/* --- the data port --- */

static uint64_t data_read(struct ide_channel *ch, unsigned size)
{
	uint64_t val = 0;

	if (ch->s.phase != IDE_DATA_IN || ch->s.selected != ch->s.active)
		return 0;
	for (unsigned i = 0; i < size && ch->s.buf_pos < ch->s.drq_end; i++)
		val |= (uint64_t)ch->s.buf[ch->s.buf_pos++] << i * 8;
	if (ch->s.buf_pos == ch->s.drq_end)
		step(ch);
	return val;
}

static void data_write(struct ide_channel *ch, uint64_t val, unsigned size)
{
	bool packet = ch->s.phase == IDE_PACKET;

	if ((ch->s.phase != IDE_DATA_OUT && !packet) || ch->s.selected != ch->s.active)
		return;
	for (unsigned i = 0; i < size && ch->s.buf_pos < ch->s.drq_end; i++)
		ch->s.buf[ch->s.buf_pos++] = (uint8_t)(val >> i * 8);
	if (ch->s.buf_pos < ch->s.drq_end)
		return;
	if (!packet) {
		submit_buf(ch, BLOCK_WRITE, ch->s.buf_fill);
		return;
	}
	ch->s.phase = IDE_BUSY;
	ide_active(ch)->s->status = IDE_BSY | IDE_DRDY | IDE_DSC;
	atapi_packet(ch);
}

/* --- resets --- */

void ide_set_signature(struct ide_drive *d)
{
	static const uint8_t disk[3] = {1, 0, 0}, packet[3] = {1, 0x14, 0xeb};

	if (!d->present)
		return;
	d->s->count = 1;
	memcpy(d->s->lba, d->unit.cdrom ? packet : disk, 3);
	d->s->hob_count = d->s->hob_feature = 0;
	memset(d->s->hob_lba, 0, 3);
	d->s->device = 0xa0;
	d->s->error = 1; /* diagnostic passed */
	d->s->status = d->unit.cdrom ? 0 : IDE_DRDY | IDE_DSC;
}

/* Software reset and the end of a hardware reset; may have to wait for a request under way (I2). */
static void reset_channel(struct ide_channel *ch)
{
	ch->reset_pending = ch->inflight;
	for (unsigned i = 0; i < 2; i++) {
		if (ch->drive[i].present && ch->inflight)
			ch->s.drive[i].status = IDE_BSY;
	}
	if (ch->inflight)
		return;
	end_transfer(ch);
	ch->s.dma = ch->s.trim = false;
	ch->s.selected = ch->s.active = 0;
	ch->s.irq = false;
	for (unsigned i = 0; i < 2; i++) {
		ide_set_signature(&ch->drive[i]);
		if (ch->drive[i].present && (ch->s.control & CONTROL_SRST))
			ch->s.drive[i].status = IDE_BSY;
	}
	update_irq(ch);
}

static void device_reset(struct ide_channel *ch)
{
	if (ch->inflight) {
		ch->reset_pending = true;
		return;
	}
	end_transfer(ch);
	ch->s.dma = ch->s.trim = false;
	ide_set_signature(&ch->drive[ch->s.selected]);
	ch->s.drive[ch->s.selected].device |= (uint8_t)(ch->s.selected << 4);
}

static void diagnostic(struct ide_channel *ch)
{
	ch->s.selected = 0; /* ATA/ATAPI-6 8.11: both drives answer, drive 0 stays selected */
	ch->s.active = 0;
	for (unsigned i = 0; i < 2; i++)
		ide_set_signature(&ch->drive[i]);
	if (ch->drive[0].present || ch->drive[1].present)
		raise_irq(ch);
}

/* --- the registers --- */

/* ATA/ATAPI-6 9.16.1: alone on its channel, device 0 answers for device 1: a disk with its own registers but for
 * status, which reads 0; a PACKET device with 0 everywhere. */
static uint8_t reg_read(struct ide_channel *ch, unsigned reg)
{
	const struct ide_drive *d = &ch->drive[ch->s.selected];
	bool hob = ch->s.control & CONTROL_HOB;

	if (!d->present && reg != 7 && !ch->drive[0].unit.cdrom)
		d = &ch->drive[0];
	if (!d->present)
		return 0;
	switch (reg) {
	case 1:
		return d->s->error;
	case 2:
		return hob ? d->s->hob_count : d->s->count;
	case 3: case 4: case 5:
		return hob ? d->s->hob_lba[reg - 3] : d->s->lba[reg - 3];
	case 6:
		return d->s->device;
	case 7:
		clear_irq(ch);
		return d->s->status;
	}
	return 0;
}

static void command(struct ide_channel *ch, uint8_t cmd)
{
	struct ide_drive *d = &ch->drive[ch->s.selected];

	if (!d->present && cmd != CMD_DIAGNOSTIC)
		return;
	if (cmd == CMD_DEVICE_RESET && d->unit.cdrom) {
		device_reset(ch);
		return;
	}
	if (ch->s.phase != IDE_IDLE || (ch->s.control & CONTROL_SRST)) {
		guest_log("%s: command 0x%02x while another is under way", ch->cfg.name, cmd);
		return;
	}
	clear_irq(ch);
	if (cmd == CMD_DIAGNOSTIC) {
		diagnostic(ch);
		return;
	}
	ch->s.active = ch->s.selected;
	ch->s.dma = ch->s.packet = false;
	ide_ata_command(ch, cmd);
}

static void write_both(struct ide_channel *ch, unsigned reg, uint8_t val)
{
	for (unsigned i = 0; i < 2; i++) {
		struct ide_drive_state *d = &ch->s.drive[i];

		switch (reg) {
		case 1:
			d->hob_feature = d->feature;
			d->feature = val;
			break;
		case 2:
			d->hob_count = d->count;
			d->count = val;
			break;
		case 3: case 4: case 5:
			d->hob_lba[reg - 3] = d->lba[reg - 3];
			d->lba[reg - 3] = val;
			break;
		case 6:
			d->device = val | 0xa0;
			break;
		}
	}
}

static void reg_write(struct ide_channel *ch, unsigned reg, uint8_t val)
{
	ch->s.control &= (uint8_t)~CONTROL_HOB; /* ATA/ATAPI-6 6.20 */
	if (reg == 7) {
		command(ch, val);
		return;
	}
	write_both(ch, reg, val);
	if (reg == 6)
		ch->s.selected = val >> 4 & 1;
}

/* SATA 2.6 10.3.4 */
void ide_fis_command(struct ide_channel *ch, const uint8_t fis[20])
{
	static const uint8_t at[][2] = { {1, 11}, {1, 3}, {2, 13}, {2, 12}, {3, 8}, {3, 4}, {4, 9}, {4, 5}, {5, 10},
		{5, 6} };

	for (unsigned i = 0; i < ARRAY_LEN(at); i++)
		reg_write(ch, at[i][0], fis[at[i][1]]);
	reg_write(ch, 6, fis[7] & 0xef);
	command(ch, fis[2]);
}

/* SATA 2.6 10.3.5 */
void ide_fis_registers(const struct ide_channel *ch, uint8_t fis[20])
{
	const struct ide_drive_state *d = &ch->s.drive[0];

	fis[2] = d->status;
	fis[3] = d->error;
	memcpy(fis + 4, d->lba, 3);
	fis[7] = d->device;
	memcpy(fis + 8, d->hob_lba, 3);
	fis[12] = d->count;
	fis[13] = d->hob_count;
}

void ide_soft_reset(struct ide_channel *ch)
{
	reset_channel(ch);
}

static uint64_t cmd_read(void *opaque, uint64_t off, unsigned size)
{
	struct ide_channel *ch = opaque;
	uint64_t val = 0;

	if (off == 0)
		return data_read(ch, size);
	for (unsigned i = 0; i < size; i++)
		val |= (uint64_t)reg_read(ch, (unsigned)off + i) << i * 8;
	return val;
}

static void cmd_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct ide_channel *ch = opaque;

	if (off == 0)
		data_write(ch, val, size);
	for (unsigned i = 0; off && i < size; i++)
		reg_write(ch, (unsigned)off + i, (uint8_t)(val >> i * 8));
}

static const struct mem_ops cmd_ops = {.read = cmd_read, .write = cmd_write, .max_size = 4};

/* Alternate status: like status, but the interrupt stays. */
static uint64_t ctl_read(void *opaque, uint64_t off, unsigned size)
{
	const struct ide_channel *ch = opaque;

	return ch->drive[ch->s.selected].present ? ch->s.drive[ch->s.selected].status : 0;
}

static void ctl_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct ide_channel *ch = opaque;
	uint8_t old = ch->s.control;

	ch->s.control = val & (CONTROL_NIEN | CONTROL_SRST | CONTROL_HOB);
	if ((old ^ val) & CONTROL_SRST)
		reset_channel(ch);
	update_irq(ch);
}

static const struct mem_ops ctl_ops = {.read = ctl_read, .write = ctl_write, .max_size = 1};

/* --- life --- */

/* A snapshot is made with nothing under way (I2); what one claims to be under way without an image to do it on ends
 * here. */
static void loaded(void *opaque)
{
	struct ide_channel *ch = opaque;

	if (ch->s.phase != IDE_IDLE && (ch->s.phase == IDE_BUSY || !ide_active(ch)->unit.blk))
		reset_channel(ch);
	update_irq(ch);
}

static const char *check_channel(const void *state)
{
	const struct ide_channel_state *s = state;

	if (s->selected > 1 || s->active > 1 || s->phase > IDE_BUSY)
		return "drive or phase out of range";
	if (s->buf_pos > s->drq_end || s->drq_end > s->buf_fill || s->buf_fill > IDE_BUF_SIZE || s->drq_max > IDE_BUF_SIZE)
		return "buffer position out of range";
	return NULL;
}

static const struct st_field ide_drive_type_fields[] = {
	ST(struct ide_drive_state, feature), ST(struct ide_drive_state, count), ST_ARRAY(struct ide_drive_state, lba),
	ST(struct ide_drive_state, hob_feature), ST(struct ide_drive_state, hob_count),
	ST_ARRAY(struct ide_drive_state, hob_lba), ST(struct ide_drive_state, device), ST(struct ide_drive_state, status),
	ST(struct ide_drive_state, error), ST(struct ide_drive_state, multiple), ST(struct ide_drive_state, mwdma),
	ST(struct ide_drive_state, udma), ST(struct ide_drive_state, write_cache), ST(struct ide_drive_state, heads),
	ST(struct ide_drive_state, sectors), ST(struct ide_drive_state, sense_key), ST(struct ide_drive_state, asc),
	ST(struct ide_drive_state, ascq), ST(struct ide_drive_state, locked), ST(struct ide_drive_state, tray_open),
	ST(struct ide_drive_state, media_event), ST(struct ide_drive_state, eject_event),
	ST(struct ide_drive_state, attention), ST_ARRAY(struct ide_drive_state, pad_),
};
static ST_TYPE(ide_drive_type, struct ide_drive_state, 1, NULL);

static const struct st_field ide_channel_type_fields[] = {
	ST_SUBS(struct ide_channel_state, drive, &ide_drive_type), ST(struct ide_channel_state, offset),
	ST(struct ide_channel_state, left), ST(struct ide_channel_state, buf_pos), ST(struct ide_channel_state, buf_fill),
	ST(struct ide_channel_state, drq_end), ST(struct ide_channel_state, drq_max),
	ST(struct ide_channel_state, control), ST(struct ide_channel_state, selected),
	ST(struct ide_channel_state, active), ST(struct ide_channel_state, phase), ST(struct ide_channel_state, irq),
	ST(struct ide_channel_state, dma), ST(struct ide_channel_state, writing), ST(struct ide_channel_state, packet),
	ST(struct ide_channel_state, trim), ST_ARRAY(struct ide_channel_state, pad_),
	ST_ARRAY(struct ide_channel_state, buf),
};
static ST_TYPE(ide_channel_type, struct ide_channel_state, 1, check_channel);

static void init_drive(struct ide_channel *ch, unsigned i)
{
	struct ide_drive *d = &ch->drive[i];

	d->s = &ch->s.drive[i];
	d->unit = ch->cfg.unit[i];
	d->present = d->unit.blk || d->unit.cdrom;
	d->sectors = d->unit.blk ? block_size(d->unit.blk) / 512 : 0;
	if (d->unit.serial)
		snprintf(d->serial, sizeof(d->serial), "%s", d->unit.serial);
	else
		snprintf(d->serial, sizeof(d->serial), "R3-%s-%u", ch->cfg.name, i);
}

void ide_reset(struct ide_channel *ch)
{
	ch->s.control = 0;
	for (unsigned i = 0; i < 2; i++)
		ide_ata_power_on(&ch->drive[i]);
	reset_channel(ch);
}

struct ide_channel *ide_new(const struct ide_config *cfg)
{
	struct ide_channel *ch = xalloc(sizeof(*ch));

	ch->cfg = *cfg;
	for (unsigned i = 0; i < 2; i++)
		init_drive(ch, i);
	ch->cmd_ports = (struct mem_ports){.name = cfg->name, .base = cfg->cmd_base, .count = 8, .ops = &cmd_ops,
		.opaque = ch};
	ch->ctl_ports = (struct mem_ports){.name = cfg->name, .base = cfg->ctl_base, .count = 1, .ops = &ctl_ops,
		.opaque = ch};
	if (!serial(ch)) {
		mem_ports_enable(cfg->mem, &ch->cmd_ports);
		mem_ports_enable(cfg->mem, &ch->ctl_ports);
	}
	state_set_add(cfg->states, cfg->name, &ide_channel_type, &ch->s, loaded, ch);
	ide_reset(ch);
	return ch;
}

void ide_set_disc(struct ide_channel *ch, unsigned unit, struct block *blk)
{
	struct ide_drive *d = &ch->drive[unit];

	must(d->unit.cdrom);
	d->unit.blk = blk;
	d->sectors = blk ? block_size(blk) / 512 : 0;
	d->s->media_event = d->s->attention = true;
}

void ide_set_tray(struct ide_channel *ch, unsigned unit, bool open)
{
	struct ide_drive_state *s = ch->drive[unit].s;

	if (s->tray_open == open)
		return;
	s->tray_open = open;
	s->locked = s->locked && !open;
	s->media_event = s->attention = true;
}

void ide_press_eject(struct ide_channel *ch, unsigned unit)
{
	ch->drive[unit].s->eject_event = true;
}

struct ide_tray ide_tray(const struct ide_channel *ch, unsigned unit)
{
	const struct ide_drive_state *s = ch->drive[unit].s;

	return (struct ide_tray){.open = s->tray_open, .locked = s->locked};
}

void ide_free(struct ide_channel *ch)
{
	free(ch);
}
