// SPDX-License-Identifier: GPL-2.0-or-later
/* what: disks and drives: images opened, placed on IDE channels or cards, and named in boot order
 *
 * IDE places are given in the order primary master, primary slave, secondary slave, secondary master; the CD-ROM
 * takes the secondary master first, as guests' installers expect it there. Interfaces are rows of chips.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "board/chips.h"
#include "dev/isa/fdc.h"
#include "dev/pci/ahci.h"
#include "dev/pci/piix_ide.h"

#define IDE_PLACES 4

struct storage {
	struct storage_disk disk[PC_DISKS_MAX];
	const struct chip_disk *row[PC_DISKS_MAX];
	unsigned ndisks;
	struct block *cdrom, *floppy[PC_FLOPPIES_MAX];
	char cdrom_path[64];
	struct ide_unit unit[2][2];
	struct piix_ide *ide;
	struct ahci *ahci; /* NULL: no disk is on one */
	unsigned ahci_slot;
	struct fdc *fdc;
	bool with_cdrom;
	unsigned nfloppies;
	char *cdrom_file, *floppy_file[PC_FLOPPIES_MAX]; /* what is in them */
};

static struct block *open_image(struct pc *pc, const char *path, const char *format, bool readonly, bool snapshot,
                                struct err *err)
{
	return block_open(pc->loop, path, &(struct block_opts){ .readonly = readonly, .snapshot = snapshot,
		.format = format }, err);
}

static int open_disk(struct storage *st, struct pc *pc, const struct pc_disk *cfg, struct err *err)
{
	const struct chip_disk *row = chip_disk_find(cfg->interface);
	struct storage_disk *d = &st->disk[st->ndisks];

	if (!row)
		return err_set(err, -EINVAL, "--disk: no interface is called '%s'", cfg->interface);
	d->blk = open_image(pc, cfg->path, cfg->format, cfg->readonly, cfg->snapshot, err);
	if (!d->blk)
		return err_prefix(err, -EINVAL, "--disk");
	d->readonly = cfg->readonly;
	st->row[st->ndisks] = row;
	st->ndisks++;
	return 0;
}

static int open_removables(struct storage *st, struct pc *pc, struct err *err)
{
	if (pc->cfg.cdrom) {
		st->cdrom = open_image(pc, pc->cfg.cdrom, NULL, true, false, err);
		if (!st->cdrom)
			return err_prefix(err, -EINVAL, "--cdrom");
	}
	for (unsigned i = 0; i < pc->cfg.nfloppies; i++) {
		const char *path = pc->cfg.floppy[i];

		if (!path)
			continue;
		/* a file we may not write is a write-protected floppy */
		st->floppy[i] = open_image(pc, path, NULL, access(path, W_OK) != 0, false, err);
		if (!st->floppy[i])
			return err_prefix(err, -EINVAL, "--floppy");
	}
	for (unsigned i = 0; i < PC_FLOPPIES_MAX; i++)
		st->floppy_file[i] = st->floppy[i] ? xstrdup(pc->cfg.floppy[i]) : NULL;
	st->cdrom_file = st->cdrom ? xstrdup(pc->cfg.cdrom) : NULL;
	st->with_cdrom = st->cdrom != NULL;
	st->nfloppies = pc->cfg.nfloppies;
	return 0;
}

struct storage *storage_open(struct pc *pc, struct err *err)
{
	struct storage *st = xalloc(sizeof(*st));
	int ret = 0;

	for (unsigned i = 0; i < pc->cfg.ndisks && !ret; i++)
		ret = open_disk(st, pc, &pc->cfg.disk[i], err);
	if (ret || open_removables(st, pc, err)) {
		storage_close(st);
		storage_free(st);
		return NULL;
	}
	return st;
}

/* Take the first free of the places, given as channel * 2 + unit. */
static int place_ide(struct storage *st, const uint8_t places[IDE_PLACES], struct ide_unit unit, char *path, size_t len,
                     struct err *err)
{
	for (unsigned i = 0; i < IDE_PLACES; i++) {
		struct ide_unit *u = &st->unit[places[i] >> 1][places[i] & 1];

		if (u->blk || u->cdrom)
			continue;
		*u = unit;
		snprintf(path, len, "/pci@i0cf8/ide@1,1/drive@%d/disk@%d", places[i] >> 1, places[i] & 1);
		return 0;
	}
	return err_set(err, -EINVAL, "more than four IDE drives: use ,interface=virtio for further disks");
}

int storage_attach_ide(struct storage *st, struct pc *pc, struct storage_disk *d, struct err *err)
{
	static const uint8_t places[IDE_PLACES] = { 0, 1, 3, 2 };

	return place_ide(st, places, (struct ide_unit){ .blk = d->blk }, d->boot_path, sizeof(d->boot_path), err);
}

int storage_attach_ahci(struct storage *st, struct pc *pc, struct storage_disk *d, struct err *err)
{
	unsigned port;

	if (!st->ahci && pc->next_slot == PC_SLOTS)
		return err_set(err, -EINVAL, "no PCI slot is left for an AHCI controller");
	if (!st->ahci) {
		st->ahci_slot = pc->next_slot++;
		st->ahci = ahci_new(&(struct ahci_config){ .mem = pc->mem, .bus = pc->pci, .states = pc->states,
			.devfn = PC_DEVFN(st->ahci_slot) });
	}
	port = ahci_plug(st->ahci, &(struct ide_unit){ .blk = d->blk });
	if (port == AHCI_PORTS)
		return err_set(err, -EINVAL, "more than six AHCI disks: use ,interface=virtio for further ones");
	snprintf(d->chip_name, sizeof(d->chip_name), "ahci0-hd%u", port);
	snprintf(d->boot_path, sizeof(d->boot_path), "/pci@i0cf8/sata@%x/drive@%x/disk@0", st->ahci_slot, port);
	return 0;
}

static int attach_cdrom(struct storage *st, struct err *err)
{
	static const uint8_t places[IDE_PLACES] = { 2, 3, 1, 0 };

	return place_ide(st, places, (struct ide_unit){ .blk = st->cdrom, .cdrom = true }, st->cdrom_path,
	                 sizeof(st->cdrom_path), err);
}

static void tray_moved(void *opaque, int n, bool level)
{
	if (level)
		pc_nudge(opaque);
}

static void make_controllers(struct storage *st, struct pc *pc)
{
	struct piix_ide_config ide = { .mem = pc->mem, .bus = pc->pci, .states = pc->states };

	memcpy(ide.unit, st->unit, sizeof(ide.unit));
	ide.irq[0] = piix3_irq_input(pc->piix3, 14);
	ide.irq[1] = piix3_irq_input(pc->piix3, 15);
	ide.tray = (struct wire){ tray_moved, pc, 0 };
	st->ide = piix_ide_new(&ide);
	st->fdc = fdc_new(&(struct fdc_config){
		.states = pc->states, .loop = pc->loop, .mem = pc->mem, .dma = pc->dma, .irq6 = piix3_irq_input(pc->piix3, 6),
		.in_cmos = { st->nfloppies > 0, st->nfloppies > 1 }, .disk = { st->floppy[0], st->floppy[1] },
	});
}

int storage_attach(struct storage *st, struct pc *pc, struct err *err)
{
	int ret = st->with_cdrom ? attach_cdrom(st, err) : 0;

	for (unsigned i = 0; i < st->ndisks && !ret; i++)
		ret = st->row[i]->attach(st, pc, &st->disk[i], err);
	if (!ret)
		make_controllers(st, pc);
	return ret;
}

void storage_reset(struct storage *st)
{
	for (unsigned i = 0; i < st->ndisks; i++)
		if (st->row[i]->reset)
			st->row[i]->reset(&st->disk[i]);
	piix_ide_reset(st->ide);
	if (st->ahci)
		ahci_reset(st->ahci);
	fdc_reset(st->fdc);
}

void storage_drain(struct storage *st)
{
	for (unsigned i = 0; i < st->ndisks; i++)
		block_drain(st->disk[i].blk);
	if (st->cdrom)
		block_drain(st->cdrom);
	for (unsigned i = 0; i < PC_FLOPPIES_MAX; i++)
		if (st->floppy[i])
			block_drain(st->floppy[i]);
}

void storage_close(struct storage *st)
{
	if (!st)
		return;
	for (unsigned i = 0; i < st->ndisks; i++)
		block_close(st->disk[i].blk);
	block_close(st->cdrom);
	for (unsigned i = 0; i < PC_FLOPPIES_MAX; i++)
		block_close(st->floppy[i]);
}

void storage_free(struct storage *st)
{
	if (!st)
		return;
	for (unsigned i = 0; i < st->ndisks; i++)
		if (st->row[i]->free)
			st->row[i]->free(&st->disk[i]);
	piix_ide_free(st->ide);
	ahci_free(st->ahci);
	fdc_free(st->fdc);
	free(st->cdrom_file);
	for (unsigned i = 0; i < PC_FLOPPIES_MAX; i++)
		free(st->floppy_file[i]);
	free(st);
}

static void add_path(char *buf, size_t len, const char *path)
{
	size_t n = strlen(buf);

	if (*path && n + strlen(path) + 2 <= len)
		sprintf(buf + n, "%s%s", n ? "\n" : "", path);
}

void storage_boot_order(const struct storage *st, const char *order, char *buf, size_t len)
{
	*buf = 0;
	for (; *order; order++) {
		if (*order == 'a' && st->nfloppies)
			add_path(buf, len, "/pci@i0cf8/isa@1/fdc@03f0/floppy@0");
		else if (*order == 'd')
			add_path(buf, len, st->cdrom_path);
		for (unsigned i = 0; *order == 'c' && i < st->ndisks; i++)
			add_path(buf, len, st->disk[i].boot_path);
	}
}

/* seabios src/block.c: bytes 0x39 and 0x3a hold two bits of CHS translation a drive, 0 none, 1 LBA. */
void storage_fill_cmos(const struct storage *st, struct rtc *rtc)
{
	uint8_t translation = 0;

	for (unsigned i = 0; i < IDE_PLACES; i++) {
		const struct ide_unit *u = &st->unit[i >> 1][i & 1];

		if (u->blk && !u->cdrom && block_size(u->blk) > 1024ull * 16 * 63 * 512)
			translation |= (uint8_t)(1 << 2 * i);
	}
	rtc_set_cmos(rtc, 0x39, translation);
	rtc_set_cmos(rtc, 0x10, fdc_cmos_type(st->fdc));
}

/* The panel's view */

/* Channel and unit of an IDE drive; the CD-ROM is the one that is none of the disks. False: it is no IDE drive. */
static bool find_ide(const struct storage *st, const struct block *disk, unsigned *channel, unsigned *unit)
{
	for (unsigned i = 0; i < IDE_PLACES; i++) {
		const struct ide_unit *u = &st->unit[i >> 1][i & 1];

		if (disk ? u->blk != disk || u->cdrom : !u->cdrom)
			continue;
		*channel = i >> 1;
		*unit = i & 1;
		return true;
	}
	return false;
}

static void fill_image(struct pc_drive *d, struct block *blk, const char *path)
{
	d->path = blk ? path : NULL;
	if (!blk)
		return;
	d->format = block_format(blk);
	d->size = block_size(blk);
	d->readonly = block_readonly(blk);
	block_get_stats(blk, &d->stats);
}

static void list_disk(const struct storage *st, const struct pc *pc, unsigned i, struct pc_drive *d)
{
	unsigned channel, unit, nvirtio = 0;

	for (unsigned k = 0; k < i; k++)
		nvirtio += st->disk[k].chip != NULL;
	*d = (struct pc_drive){ .snapshot = pc->cfg.disk[i].snapshot };
	if (find_ide(st, st->disk[i].blk, &channel, &unit))
		snprintf(d->name, sizeof(d->name), "ide%u-hd%u", channel, unit);
	else if (st->disk[i].chip)
		snprintf(d->name, sizeof(d->name), "virtio%u", nvirtio);
	else
		snprintf(d->name, sizeof(d->name), "%s", st->disk[i].chip_name);
	fill_image(d, st->disk[i].blk, pc->cfg.disk[i].path);
}

static void list_cdrom(const struct storage *st, struct pc_drive *d)
{
	unsigned channel = 0, unit = 0;
	struct ide_tray tray;

	must(find_ide(st, NULL, &channel, &unit));
	tray = ide_tray(piix_ide_channel(st->ide, channel), unit);
	*d = (struct pc_drive){ .removable = true, .has_tray = true, .readonly = true, .locked = tray.locked,
		.tray_open = tray.open };
	snprintf(d->name, sizeof(d->name), "ide%u-cd%u", channel, unit);
	fill_image(d, st->cdrom, st->cdrom_file);
}

unsigned storage_list(const struct storage *st, const struct pc *pc, struct pc_drive drive[PC_DRIVES_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; i < st->ndisks; i++)
		list_disk(st, pc, i, &drive[n++]);
	if (st->with_cdrom)
		list_cdrom(st, &drive[n++]);
	for (unsigned i = 0; i < st->nfloppies; i++) {
		drive[n] = (struct pc_drive){ .removable = true };
		snprintf(drive[n].name, sizeof(drive[n].name), "floppy%u", i);
		fill_image(&drive[n++], st->floppy[i], st->floppy_file[i]);
	}
	return n;
}

void storage_move_tray(struct storage *st, bool open)
{
	unsigned channel = 0, unit = 0;

	if (find_ide(st, NULL, &channel, &unit))
		ide_set_tray(piix_ide_channel(st->ide, channel), unit, open);
}

void storage_press_eject(struct storage *st)
{
	unsigned channel = 0, unit = 0;

	if (find_ide(st, NULL, &channel, &unit))
		ide_press_eject(piix_ide_channel(st->ide, channel), unit);
}

/* Requests under way end on the old medium, which goes when they have. */
void storage_put(struct storage *st, struct pc *pc, const char *name, struct block *blk, const char *path)
{
	unsigned drive = strncmp(name, "floppy", 6) ? PC_FLOPPIES_MAX : (unsigned)(name[6] - '0'), channel = 0, unit = 0;
	struct block **at = drive < PC_FLOPPIES_MAX ? &st->floppy[drive] : &st->cdrom, *old = *at;
	char **file = drive < PC_FLOPPIES_MAX ? &st->floppy_file[drive] : &st->cdrom_file;

	loop_lock(pc->loop);
	*at = blk;
	if (drive < PC_FLOPPIES_MAX)
		fdc_set_media(st->fdc, drive, blk);
	else if (find_ide(st, NULL, &channel, &unit))
		ide_set_disc(piix_ide_channel(st->ide, channel), unit, blk);
	free(*file);
	*file = path ? xstrdup(path) : NULL;
	loop_unlock(pc->loop);
	block_close(old);
}
