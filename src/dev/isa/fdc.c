// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 82077AA floppy controller: registers, command and result phases, seeks
 *
 *   command bytes --> fifo --all there--> execute --+--> result bytes in fifo (--> read out) --> command phase
 *                                                   +--> data (fdc_data.c), seeks, READ ID: later, with IRQ 6
 *
 * Seeks, resets, READ ID and what fails before the disk is asked end DELAY_NS after they began: an interrupt inside the
 * very OUT that asked for it finds drivers that are not waiting yet.
 *
 * Drives 0 and 1 are always on the cable, with a disk or without; CMOS may not tell of them. An empty drive steps and
 * finds track 0. What needs an address mark (all data commands, READ ID) ends with MA without a disk, with the motor
 * off, and on drives 2 and 3: an 82077AA waits for an index pulse there until it is reset, and not every driver does.
 *
 * I1  phase says who owns the FIFO: the guest writes in FDC_COMMAND, reads in FDC_RESULT, and neither in FDC_EXECUTION.
 * I2  In FDC_COMMAND pos = len is less than the bytes of the command begun; in FDC_RESULT pos < len <= sizeof(fifo).
 * I3  A reset forgets all: commands, pending events, and the transfer under way.
 * I4  The next interrupt ends reset_sense: drivers that sense once after a reset, not for each of the four drives (as
 *     Linux 0.11), would take what is left for the end of their next seek.
 *
 * Source: Intel 82077AA datasheet (290166).
 */
#include <stdlib.h>
#include <string.h>

#include "dev/isa/fdc_int.h"

#define DELAY_NS 300000u

enum {
	PORT_SRA, PORT_SRB, PORT_DOR, PORT_TDR, PORT_MSR, PORT_FIFO, PORT_DIR = 7,
	DOR_NOT_RESET = 0x04, DOR_GATE = 0x08,
	MSR_BUSY = 0x10, MSR_DIO = 0x40, MSR_RQM = 0x80,
	DSR_RESET = 0x80,
	DIR_CHANGED = 0x80,
	ST3_ALWAYS = 0x28, ST3_TRACK0 = 0x10, ST3_PROTECTED = 0x40,
	EVENT_SEEK = 0x01, EVENT_RESET = 0x10, EVENT_READ_ID = 0x20, EVENT_RESULT = 0x40, /* EVENT_SEEK << drive */
	CONFIG_DEFAULT = 0x20, VERSION_82077 = 0x90,
	CMOS_TYPE_1440 = 4, CMOS_TYPE_2880 = 5,
	MAX_TRACK = 83,
};

struct block *fdc_disk(const struct fdc *f, unsigned drive)
{
	return drive < FDC_DRIVES ? f->cfg.disk[drive] : NULL;
}

static bool motor_on(const struct fdc *f, unsigned drive)
{
	return f->s.dor & 0x10u << drive;
}

struct block *fdc_spinning_disk(const struct fdc *f, unsigned drive)
{
	return motor_on(f, drive) ? fdc_disk(f, drive) : NULL;
}

/* --- interrupt and phases --- */

static void update_irq(struct fdc *f)
{
	wire_set(&f->cfg.irq6, f->s.irq && f->s.dor & DOR_GATE);
}

static void set_irq(struct fdc *f, bool on)
{
	f->s.irq = on;
	update_irq(f);
}

/* Something has happened that SENSE INTERRUPT or a result tells of. */
static void interrupt(struct fdc *f)
{
	f->s.reset_sense = 0; /* I4 */
	set_irq(f, true);
}

static void enter_command(struct fdc *f)
{
	f->s.phase = FDC_COMMAND;
	f->s.pos = 0;
	f->s.len = 0;
}

/* Result bytes are in the FIFO; n may be 0. */
static void enter_result(struct fdc *f, unsigned n)
{
	if (!n) {
		enter_command(f);
		return;
	}
	f->s.phase = FDC_RESULT;
	f->s.pos = 0;
	f->s.len = (uint8_t)n;
}

static void result1(struct fdc *f, uint8_t byte)
{
	f->s.fifo[0] = byte;
	enter_result(f, 1);
}

/* --- delayed events --- */

static void later(struct fdc *f, uint8_t event)
{
	f->s.events |= event;
	loop_timer_set(&f->timer, loop_now(f->cfg.loop) + DELAY_NS);
}

static void data_end(struct fdc *f)
{
	enter_result(f, 7);
	interrupt(f);
}

void fdc_data_result(struct fdc *f, uint8_t st0, uint8_t st1, uint8_t st2, const uint8_t chrn[4])
{
	uint8_t *out = f->s.fifo;

	memmove(&out[3], chrn, 4);
	out[0] = st0;
	out[1] = st1;
	out[2] = st2;
	if (f->starting)
		later(f, EVENT_RESULT);
	else
		data_end(f);
}

static void seek_end(struct fdc *f, unsigned drive)
{
	f->s.drive[drive].sense = true;
	interrupt(f);
}

/* "Drive Polling": all drives seem to have become ready, once. The POLL bit outlives a reset under LOCK only. */
static void reset_end(struct fdc *f)
{
	if (f->s.config & CONFIG_POLL)
		return;
	interrupt(f);
	f->s.reset_sense = 4;
}

static void fire(void *opaque)
{
	struct fdc *f = opaque;
	uint8_t events = f->s.events;

	f->s.events = 0;
	for (unsigned i = 0; i < 4; i++) {
		if (events & EVENT_SEEK << i)
			seek_end(f, i);
	}
	if (events & EVENT_RESET)
		reset_end(f);
	if (events & EVENT_READ_ID)
		fdc_data_read_id(f);
	if (events & EVENT_RESULT)
		data_end(f);
}

/* --- reset --- */

static void internal_reset(struct fdc *f)
{
	fdc_data_cancel(f);
	loop_timer_cancel(&f->timer);
	f->s.events = 0;
	f->s.reset_sense = 0;
	for (unsigned i = 0; i < 4; i++) {
		f->s.drive[i].track = 0;
		f->s.drive[i].sense = false;
	}
	if (!f->s.lock) {
		f->s.config = CONFIG_DEFAULT;
		f->s.pretrk = 0;
	}
	f->s.perpendicular &= 0x3c;
	enter_command(f);
	set_irq(f, false);
}

static void write_dor(struct fdc *f, uint8_t val)
{
	uint8_t old = f->s.dor;

	f->s.dor = val;
	if (old & ~val & DOR_NOT_RESET)
		internal_reset(f);
	else if (val & ~old & DOR_NOT_RESET)
		later(f, EVENT_RESET);
	update_irq(f);
}

static void write_dsr(struct fdc *f, uint8_t val)
{
	f->s.rate = val & 3;
	if (val & DSR_RESET && f->s.dor & DOR_NOT_RESET) {
		internal_reset(f);
		later(f, EVENT_RESET);
	}
}

/* --- commands without data --- */

static void do_seek(struct fdc *f, unsigned track, uint8_t st0)
{
	unsigned drive = f->s.fifo[1] & ST0_DRIVE;
	struct fdc_drive_state *d = &f->s.drive[drive];

	d->track = (uint8_t)MIN(track, MAX_TRACK);
	d->st0 = st0 | ST0_SE | drive | (f->s.fifo[1] & ST0_HEAD);
	if (fdc_disk(f, drive))
		d->changed = false;
	enter_command(f);
	later(f, (uint8_t)(EVENT_SEEK << drive));
}

static void do_recalibrate(struct fdc *f)
{
	bool present = (f->s.fifo[1] & ST0_DRIVE) < FDC_DRIVES;

	f->s.fifo[1] &= ST0_DRIVE;
	/* Without a drive track 0 is never found. */
	do_seek(f, 0, present ? 0 : ST0_ABNORMAL | ST0_EC);
}

static void do_seek_to(struct fdc *f)
{
	do_seek(f, f->s.fifo[2], 0);
}

static void do_relative_seek(struct fdc *f)
{
	unsigned track = f->s.drive[f->s.fifo[1] & ST0_DRIVE].track, step = f->s.fifo[2];

	do_seek(f, f->s.fifo[0] & 0x40 ? track + step : track - MIN(track, step), 0);
}

static void do_sense_interrupt(struct fdc *f)
{
	uint8_t *out = f->s.fifo;
	unsigned n = 0;

	if (f->s.reset_sense) { /* after a reset: one for each drive */
		n = 4u - f->s.reset_sense--;
		out[0] = (uint8_t)(ST0_POLLING | n);
	} else {
		while (n < 4 && !f->s.drive[n].sense)
			n++;
		if (n == 4) {
			result1(f, ST0_INVALID);
			return;
		}
		f->s.drive[n].sense = false;
		out[0] = f->s.drive[n].st0;
	}
	out[1] = f->s.drive[n].track;
	enter_result(f, 2);
	set_irq(f, false);
	for (n = 0; n < 4; n++) {
		if (f->s.drive[n].sense)
			set_irq(f, true);
	}
}

static void do_sense_drive(struct fdc *f)
{
	unsigned drive = f->s.fifo[1] & ST0_DRIVE;
	struct block *disk = fdc_disk(f, drive);
	uint8_t st3 = ST3_ALWAYS | (f->s.fifo[1] & (ST0_DRIVE | ST0_HEAD));

	if (drive < FDC_DRIVES && f->s.drive[drive].track == 0)
		st3 |= ST3_TRACK0;
	if (disk && block_readonly(disk))
		st3 |= ST3_PROTECTED;
	result1(f, st3);
}

static void do_specify(struct fdc *f)
{
	f->s.srt_hut = f->s.fifo[1];
	f->s.hlt_nd = f->s.fifo[2];
	enter_command(f);
}

static void do_configure(struct fdc *f)
{
	f->s.config = f->s.fifo[2];
	f->s.pretrk = f->s.fifo[3];
	enter_command(f);
}

static void do_perpendicular(struct fdc *f)
{
	uint8_t val = f->s.fifo[1];

	f->s.perpendicular = val & 0x80 ? val & 0x7f : (f->s.perpendicular & 0x3c) | (val & 3);
	enter_command(f);
}

static void do_lock(struct fdc *f)
{
	f->s.lock = f->s.fifo[0] & CMD_MT;
	result1(f, f->s.lock ? 0x10 : 0);
}

static void do_version(struct fdc *f)
{
	result1(f, VERSION_82077);
}

static void do_dumpreg(struct fdc *f)
{
	const struct fdc_state *s = &f->s;
	const uint8_t out[10] = {
		s->drive[0].track, s->drive[1].track, s->drive[2].track, s->drive[3].track, s->srt_hut, s->hlt_nd, s->eot,
		(uint8_t)((s->lock ? 0x80 : 0) | s->perpendicular), s->config, s->pretrk,
	};

	memcpy(f->s.fifo, out, sizeof(out));
	enter_result(f, sizeof(out));
}

static void do_read_id(struct fdc *f)
{
	f->s.phase = FDC_EXECUTION;
	later(f, EVENT_READ_ID);
}

static void do_data(struct fdc *f)
{
	f->s.phase = FDC_EXECUTION;
	f->starting = true;
	fdc_data_start(f);
	f->starting = false;
}

/* --- the command table --- */

struct command {
	uint8_t code, mask;
	uint8_t bytes; /* with the command byte */
	void (*run)(struct fdc *f);
};

static const struct command commands[] = {
	{ 0x02, 0x9f, 9, do_data },            /* READ TRACK */
	{ 0x03, 0xff, 3, do_specify },
	{ 0x04, 0xff, 2, do_sense_drive },
	{ 0x05, 0x3f, 9, do_data },            /* WRITE DATA */
	{ 0x06, 0x1f, 9, do_data },            /* READ DATA */
	{ 0x07, 0xff, 2, do_recalibrate },
	{ 0x08, 0xff, 1, do_sense_interrupt },
	{ 0x09, 0x3f, 9, do_data },            /* WRITE DELETED DATA */
	{ 0x0a, 0xbf, 2, do_read_id },
	{ 0x0c, 0x1f, 9, do_data },            /* READ DELETED DATA */
	{ 0x0d, 0xbf, 6, do_data },            /* FORMAT TRACK */
	{ 0x0e, 0xff, 1, do_dumpreg },
	{ 0x0f, 0xff, 3, do_seek_to },
	{ 0x10, 0xff, 1, do_version },
	{ 0x12, 0xff, 2, do_perpendicular },
	{ 0x13, 0xff, 4, do_configure },
	{ 0x14, 0x7f, 1, do_lock },
	{ 0x16, 0x1f, 9, do_data },            /* VERIFY */
	{ 0x8f, 0xbf, 3, do_relative_seek },
};

static const struct command *find_command(uint8_t code)
{
	for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
		if ((code & commands[i].mask) == commands[i].code)
			return &commands[i];
	}
	return NULL;
}

static void write_fifo(struct fdc *f, uint8_t val)
{
	const struct command *cmd;

	if (f->s.phase != FDC_COMMAND || !(f->s.dor & DOR_NOT_RESET) || f->s.pos >= sizeof(f->s.fifo))
		return;
	f->s.fifo[f->s.pos++] = val;
	f->s.len = f->s.pos;
	cmd = find_command(f->s.fifo[0]);
	if (!cmd)
		result1(f, ST0_INVALID);
	else if (f->s.pos == cmd->bytes)
		cmd->run(f);
}

static uint8_t read_fifo(struct fdc *f)
{
	uint8_t val;

	if (f->s.phase != FDC_RESULT || f->s.pos >= f->s.len)
		return 0;
	if (f->s.pos == 0 && f->s.len == 7) /* the interrupt of a data command ends with its first result byte */
		set_irq(f, false);
	val = f->s.fifo[f->s.pos++];
	if (f->s.pos == f->s.len)
		enter_command(f);
	return val;
}

/* --- registers --- */

static uint8_t read_msr(const struct fdc *f)
{
	uint8_t seeking = f->s.events & 0x0f;

	if (!(f->s.dor & DOR_NOT_RESET) || f->s.events & EVENT_RESET)
		return 0;
	switch (f->s.phase) {
	case FDC_EXECUTION:
		return seeking | MSR_BUSY;
	case FDC_RESULT:
		return seeking | MSR_RQM | MSR_DIO | MSR_BUSY;
	default:
		return seeking | MSR_RQM | (f->s.pos ? MSR_BUSY : 0);
	}
}

static uint8_t read_dir(const struct fdc *f)
{
	unsigned drive = f->s.dor & 3;

	/* Only a selected drive whose motor runs drives the line. */
	if (drive >= FDC_DRIVES || !motor_on(f, drive))
		return 0;
	return f->s.drive[drive].changed || !fdc_disk(f, drive) ? DIR_CHANGED : 0;
}

uint8_t fdc_read(struct fdc *f, unsigned reg)
{
	switch (reg) {
	case PORT_DOR:
		return f->s.dor;
	case PORT_TDR:
		return f->s.tdr;
	case PORT_MSR:
		return read_msr(f);
	case PORT_FIFO:
		return read_fifo(f);
	case PORT_DIR:
		return read_dir(f);
	default:
		return 0xff; /* SRA and SRB exist in PS/2 mode only */
	}
}

void fdc_write(struct fdc *f, unsigned reg, uint8_t val)
{
	switch (reg) {
	case PORT_DOR:
		write_dor(f, val);
		break;
	case PORT_TDR:
		f->s.tdr = val & 3;
		break;
	case PORT_MSR:
		write_dsr(f, val);
		break;
	case PORT_FIFO:
		write_fifo(f, val);
		break;
	case PORT_DIR: /* CCR */
		f->s.rate = val & 3;
		break;
	default:
		break;
	}
}

/* --- joining --- */

void fdc_set_media(struct fdc *f, unsigned drive, struct block *disk)
{
	must(drive < FDC_DRIVES);
	f->cfg.disk[drive] = disk;
	f->s.drive[drive].changed = true;
}

static unsigned cmos_type(const struct fdc *f, unsigned drive)
{
	const struct block *disk = fdc_disk(f, drive);

	if (!f->cfg.in_cmos[drive])
		return 0;
	return disk && fdc_geometry(disk).spt == FDC_MAX_SPT ? CMOS_TYPE_2880 : CMOS_TYPE_1440;
}

uint8_t fdc_cmos_type(const struct fdc *f)
{
	return (uint8_t)(cmos_type(f, 0) << 4 | cmos_type(f, 1));
}

static uint64_t io_read(void *opaque, uint64_t off, unsigned size)
{
	return fdc_read(opaque, (unsigned)off);
}

static void io_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	fdc_write(opaque, (unsigned)off, (uint8_t)val);
}

static uint64_t dir_read(void *opaque, uint64_t off, unsigned size)
{
	return fdc_read(opaque, PORT_DIR);
}

static void ccr_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	fdc_write(opaque, PORT_DIR, (uint8_t)val);
}

static const struct mem_ops fdc_ops = { .read = io_read, .write = io_write, .max_size = 1 };
static const struct mem_ops dir_ops = { .read = dir_read, .write = ccr_write, .max_size = 1 };

void fdc_reset(struct fdc *f)
{
	f->s.lock = false;
	f->s.dor = 0;
	f->s.rate = 2; /* 250 kbit/s after a hardware reset */
	f->s.tdr = 0;
	f->s.perpendicular = 0;
	internal_reset(f);
	for (unsigned i = 0; i < 4; i++)
		f->s.drive[i].changed = true;
}

/* I1, I2: whether the FIFO holds what the phase says. */
static bool fifo_fits(const struct fdc_state *s)
{
	const struct command *cmd = find_command(s->fifo[0]);

	switch (s->phase) {
	case FDC_COMMAND:
		return s->pos == s->len && (!s->pos || (cmd && s->pos < cmd->bytes));
	case FDC_EXECUTION:
		if (s->events & EVENT_RESULT)
			return true;
		return cmd && (cmd->run == do_data || cmd->run == do_read_id) && s->pos == cmd->bytes && s->len == s->pos;
	case FDC_RESULT:
		return s->pos < s->len && s->len <= sizeof(s->fifo);
	default:
		return false;
	}
}

static const char *fdc_check(const void *state)
{
	const struct fdc_state *s = state;

	return !fifo_fits(s) || s->reset_sense > 4 ? "floppy controller phase or FIFO out of range" : NULL;
}

static const struct st_field fdc_drive_type_fields[] = {
	ST(struct fdc_drive_state, track), ST(struct fdc_drive_state, st0), ST(struct fdc_drive_state, sense),
	ST(struct fdc_drive_state, changed),
};
static ST_TYPE(fdc_drive_type, struct fdc_drive_state, 1, NULL);
static const struct st_field fdc_type_fields[] = {
	ST_SUBS(struct fdc_state, drive, &fdc_drive_type), ST_ARRAY(struct fdc_state, fifo), ST(struct fdc_state, pos),
	ST(struct fdc_state, len), ST(struct fdc_state, phase), ST(struct fdc_state, dor), ST(struct fdc_state, tdr),
	ST(struct fdc_state, rate), ST(struct fdc_state, srt_hut), ST(struct fdc_state, hlt_nd), ST(struct fdc_state, eot),
	ST(struct fdc_state, config), ST(struct fdc_state, pretrk), ST(struct fdc_state, perpendicular),
	ST(struct fdc_state, reset_sense), ST(struct fdc_state, events), ST(struct fdc_state, lock),
	ST(struct fdc_state, irq),
};
static ST_TYPE(fdc_type, struct fdc_state, 1, fdc_check);

/* A transfer is not part of the state: its command ends with an error, and the driver asks again. */
static void fdc_loaded(void *opaque)
{
	struct fdc *f = opaque;

	fdc_data_cancel(f);
	if (f->s.phase == FDC_EXECUTION && !(f->s.events & (EVENT_READ_ID | EVENT_RESULT)))
		fdc_data_result(f, ST0_ABNORMAL | (f->s.fifo[1] & 7), ST1_OR, 0, &f->s.fifo[2]);
	if (f->s.events)
		later(f, 0);
	update_irq(f);
}

struct fdc *fdc_new(const struct fdc_config *cfg)
{
	struct fdc *f = xalloc(sizeof(*f));

	f->cfg = *cfg;
	loop_timer_init(&f->timer, cfg->loop, fire, f);
	f->ports[0] = (struct mem_ports){ .name = "fdc", .base = 0x3f0, .count = 6, .ops = &fdc_ops, .opaque = f };
	f->ports[1] = (struct mem_ports){ .name = "fdc", .base = 0x3f7, .count = 1, .ops = &dir_ops, .opaque = f };
	for (unsigned i = 0; i < 2 && cfg->mem; i++)
		mem_ports_enable(cfg->mem, &f->ports[i]);
	if (cfg->states)
		state_set_add(cfg->states, "fdc", &fdc_type, &f->s, fdc_loaded, f);
	fdc_reset(f);
	return f;
}

void fdc_free(struct fdc *f)
{
	if (!f)
		return;
	if (f->io)
		f->io->fdc = NULL;
	loop_timer_cancel(&f->timer);
	for (unsigned i = 0; i < 2 && f->cfg.mem; i++)
		mem_ports_disable(f->cfg.mem, &f->ports[i]);
	free(f);
}
