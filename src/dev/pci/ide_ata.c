// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the commands of an ATA disk, as a table from command code to handler
 *
 * Handlers check everything the host asked for, then hand over to the transfer engine in ide.c or end the command.
 * A command whose row does not fit the kind of drive is aborted, as is one without a row.
 * Source: ATA/ATAPI-6 (T13 1410D), chapter 8.
 */
#include <string.h>

#include "dev/pci/ide_int.h"

#define LBA28_LIMIT 0x0fffffffull
#define CHS_HEADS 16
#define CHS_SECTORS 63
#define CHS_MAX_CYLINDERS 16383
#define TRIM_BLOCKS 8 /* of 64 ranges each, in one command */

struct ata_cmd {
	void (*run)(struct ide_channel *ch, const struct ata_cmd *c);
	uint8_t drives; /* DISK, CDROM */
	uint8_t flags;
};
#define DISK 1
#define CDROM 2
#define EXT 1      /* 48-bit registers */
#define WRITE 2
#define DMA 4
#define MULTIPLE 8 /* DRQ blocks of the size set by SET MULTIPLE MODE */

static uint16_t cylinders(const struct ide_drive *d, unsigned heads, unsigned sectors)
{
	uint64_t per = (uint64_t)heads * sectors;

	return per ? (uint16_t)MIN(MAX(d->sectors / per, 1), CHS_MAX_CYLINDERS) : 0;
}

void ide_put_string(uint8_t *page, unsigned word, unsigned words, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < words * 2; i++)
		page[(word * 2 + i) ^ 1] = i < len ? (uint8_t)text[i] : ' ';
}

static void put_word(uint8_t *page, unsigned word, unsigned val)
{
	put_le16(page + word * 2, (uint16_t)val);
}

/* Words 49 and up that say what a disk can do (ATA/ATAPI-6 8.15, table 27). */
static void identify_features(const struct ide_drive *d, uint8_t *page)
{
	put_word(page, 47, 0x8000 | IDE_MAX_MULTIPLE);
	put_word(page, 48, 1);
	put_word(page, 49, 0x0b00); /* IORDY, LBA, DMA */
	put_word(page, 50, 0x4000);
	put_word(page, 51, 0x0200);
	put_word(page, 53, 7);
	put_word(page, 59, d->s->multiple ? 0x100u | d->s->multiple : 0);
	put_word(page, 63, 0x07 | d->s->mwdma << 8);
	put_word(page, 64, 3); /* PIO modes 3 and 4 */
	for (unsigned w = 65; w <= 68; w++)
		put_word(page, w, 120);
	put_word(page, 80, 0x00f0); /* ATA-4 to ATA/ATAPI-7 */
	put_word(page, 82, 0x4020); /* NOP, write cache */
	put_word(page, 83, 0x7400); /* FLUSH CACHE and EXT, 48-bit */
	put_word(page, 84, 0x4000);
	put_word(page, 85, 0x4000 | (d->s->write_cache ? 0x20 : 0));
	put_word(page, 86, 0x3400);
	put_word(page, 87, 0x4000);
	put_word(page, 88, 0x3f | d->s->udma << 8);
	put_word(page, 93, 0x6001); /* 80-conductor cable */
	put_word(page, 105, TRIM_BLOCKS);
	put_word(page, 169, 1); /* DATA SET MANAGEMENT with TRIM */
}

/* Words of Serial ATA (SATA 2.6 13.2.1): queue depth 32, both speeds, native queueing; no cable to tell of. */
static void identify_serial(uint8_t *page)
{
	put_word(page, 75, 31);
	put_word(page, 76, 0x0106);
	put_word(page, 93, 0);
}

static void identify_page(const struct ide_drive *d, uint8_t *page)
{
	uint32_t lba28 = (uint32_t)MIN(d->sectors, LBA28_LIMIT);
	uint32_t chs = (uint32_t)cylinders(d, d->s->heads, d->s->sectors) * d->s->heads * d->s->sectors;

	memset(page, 0, 512);
	put_word(page, 0, 0x0040); /* fixed drive */
	put_word(page, 1, cylinders(d, CHS_HEADS, CHS_SECTORS));
	put_word(page, 3, CHS_HEADS);
	put_word(page, 6, CHS_SECTORS);
	ide_put_string(page, 10, 10, d->serial);
	ide_put_string(page, 23, 4, "1.0");
	ide_put_string(page, 27, 20, "RING3 HARDDISK");
	identify_features(d, page);
	put_word(page, 54, cylinders(d, d->s->heads, d->s->sectors));
	put_word(page, 55, d->s->heads);
	put_word(page, 56, d->s->sectors);
	put_le32(page + 57 * 2, chs);
	put_le32(page + 60 * 2, lba28);
	put_le64(page + 100 * 2, d->sectors);
}

/* What the command addresses, or false if that is not on the disk (then the error is IDNF). */
static bool address(const struct ide_drive *d, bool ext, uint64_t *lba, uint32_t *count)
{
	const struct ide_drive_state *r = d->s;

	*count = r->count;
	if (ext) {
		*count |= (uint32_t)r->hob_count << 8;
		*count = *count ? *count : 65536;
		*lba = r->lba[0] | (uint64_t)r->lba[1] << 8 | (uint64_t)r->lba[2] << 16 | (uint64_t)r->hob_lba[0] << 24 |
		       (uint64_t)r->hob_lba[1] << 32 | (uint64_t)r->hob_lba[2] << 40;
	} else {
		*count = *count ? *count : 256;
		*lba = r->lba[0] | (uint64_t)r->lba[1] << 8 | (uint64_t)r->lba[2] << 16 | (uint64_t)(r->device & 15) << 24;
		if (!(r->device & 0x40)) { /* CHS: sectors count from 1 */
			if (!r->lba[0] || r->lba[0] > r->sectors || (r->device & 15) >= r->heads)
				return false;
			*lba = ((uint64_t)(r->lba[1] | r->lba[2] << 8) * r->heads + (r->device & 15)) * r->sectors + r->lba[0] - 1;
		}
	}
	return *lba < d->sectors && *count <= d->sectors - *lba;
}

static void run_transfer(struct ide_channel *ch, const struct ata_cmd *c)
{
	struct ide_drive *d = ide_active(ch);
	uint32_t count, drq = c->flags & MULTIPLE ? d->s->multiple * 512u : 512;
	uint64_t lba;

	if (!drq) {
		ide_error(ch, IDE_E_ABRT);
	} else if (!address(d, c->flags & EXT, &lba, &count)) {
		ide_error(ch, IDE_E_IDNF);
	} else if (!(c->flags & WRITE)) {
		ide_start_read(ch, lba * 512, (uint64_t)count * 512, drq, c->flags & DMA);
	} else if (block_readonly(d->unit.blk)) {
		ide_error(ch, IDE_E_ABRT);
	} else {
		ide_start_write(ch, lba * 512, (uint64_t)count * 512, drq, c->flags & DMA);
	}
}

static void run_verify(struct ide_channel *ch, const struct ata_cmd *c)
{
	uint32_t count;
	uint64_t lba;

	if (address(ide_active(ch), c->flags & EXT, &lba, &count))
		ide_done(ch);
	else
		ide_error(ch, IDE_E_IDNF);
}

static void run_identify(struct ide_channel *ch, const struct ata_cmd *c)
{
	struct ide_drive *d = ide_active(ch);

	if (d->unit.cdrom) { /* ATA/ATAPI-6 8.15.5.2: a packet device shows its signature and aborts */
		ide_set_signature(d);
		d->s->device |= (uint8_t)(ch->s.active << 4);
		ide_error(ch, IDE_E_ABRT);
		return;
	}
	identify_page(d, ch->s.buf);
	if (ch->cfg.dma.packet)
		identify_serial(ch->s.buf);
	ide_start_reply(ch, 512, 512, false);
}

static void run_identify_packet(struct ide_channel *ch, const struct ata_cmd *c)
{
	atapi_identify(ide_active(ch), ch->s.buf);
	ide_start_reply(ch, 512, 512, false);
}

static void run_packet(struct ide_channel *ch, const struct ata_cmd *c)
{
	if (ide_active(ch)->s->feature & 2) /* overlapped */
		ide_error(ch, IDE_E_ABRT);
	else
		ide_start_packet(ch);
}

/* ACS-2 7.10 */
static void run_trim(struct ide_channel *ch, const struct ata_cmd *c)
{
	const struct ide_drive *d = ide_active(ch);
	unsigned blocks = d->s->count | (unsigned)d->s->hob_count << 8;

	if (!(d->s->feature & 1) || !blocks || blocks > TRIM_BLOCKS || block_readonly(d->unit.blk))
		ide_error(ch, IDE_E_ABRT);
	else
		ide_start_trim(ch, blocks * 512);
}

static void run_nothing(struct ide_channel *ch, const struct ata_cmd *c)
{
	ide_done(ch);
}

static void run_flush(struct ide_channel *ch, const struct ata_cmd *c)
{
	ide_start_flush(ch);
}

static void run_init_params(struct ide_channel *ch, const struct ata_cmd *c)
{
	struct ide_drive_state *r = ide_active(ch)->s;

	if (!r->count || r->count > CHS_SECTORS) {
		ide_error(ch, IDE_E_ABRT);
		return;
	}
	r->sectors = r->count;
	r->heads = (r->device & 15) + 1;
	ide_done(ch);
}

static void run_set_multiple(struct ide_channel *ch, const struct ata_cmd *c)
{
	struct ide_drive_state *r = ide_active(ch)->s;

	if (r->count > IDE_MAX_MULTIPLE || (r->count & (r->count - 1))) {
		ide_error(ch, IDE_E_ABRT);
		return;
	}
	r->multiple = r->count;
	ide_done(ch);
}

static void run_native_max(struct ide_channel *ch, const struct ata_cmd *c)
{
	struct ide_drive *d = ide_active(ch);
	uint64_t last = d->sectors - 1;

	if (!(c->flags & EXT)) {
		last = MIN(last, LBA28_LIMIT - 1);
		d->s->device = (uint8_t)((d->s->device & 0xf0) | (last >> 24 & 15));
	}
	for (unsigned i = 0; i < 3; i++) {
		d->s->lba[i] = (uint8_t)(last >> i * 8);
		d->s->hob_lba[i] = (uint8_t)(last >> (i + 3) * 8);
	}
	ide_done(ch);
}

static void run_check_power(struct ide_channel *ch, const struct ata_cmd *c)
{
	ide_active(ch)->s->count = 0xff; /* active or idle */
	ide_done(ch);
}

/* ATA/ATAPI-6 8.46.3 table 44 */
static bool set_transfer_mode(struct ide_drive_state *r, uint8_t mode)
{
	if (mode < 2 || (mode >> 3 == 1 && (mode & 7) <= 4)) { /* PIO */
		r->mwdma = r->udma = 0;
		return true;
	}
	if (mode >> 3 == 4 && (mode & 7) <= 2) {
		r->mwdma = (uint8_t)(1u << (mode & 7));
		r->udma = 0;
		return true;
	}
	if (mode >> 3 == 8 && (mode & 7) <= 5) {
		r->udma = (uint8_t)(1u << (mode & 7));
		r->mwdma = 0;
		return true;
	}
	return false;
}

static void run_set_features(struct ide_channel *ch, const struct ata_cmd *c)
{
	struct ide_drive_state *r = ide_active(ch)->s;
	bool ok = true;

	switch (r->feature) {
	case 0x02:
		r->write_cache = true;
		break;
	case 0x82: /* what was acknowledged so far becomes safe too */
		r->write_cache = false;
		if (ide_active(ch)->unit.blk) {
			ide_start_flush(ch);
			return;
		}
		break;
	case 0x03:
		ok = set_transfer_mode(r, r->count);
		break;
	case 0x55: case 0xaa: case 0x66: case 0xcc: /* look-ahead, defaults after reset: no difference here */
		break;
	default:
		ok = false;
	}
	if (ok)
		ide_done(ch);
	else
		ide_error(ch, IDE_E_ABRT);
}

static const struct ata_cmd commands[256] = {
	[0x06] = {run_trim, DISK, EXT | DMA}, /* DATA SET MANAGEMENT */
	[0x10 ... 0x1f] = {run_nothing, DISK, 0}, /* RECALIBRATE */
	[0x20 ... 0x21] = {run_transfer, DISK, 0},
	[0x24] = {run_transfer, DISK, EXT},
	[0x25] = {run_transfer, DISK, EXT | DMA},
	[0x27] = {run_native_max, DISK, EXT},
	[0x29] = {run_transfer, DISK, EXT | MULTIPLE},
	[0x30 ... 0x31] = {run_transfer, DISK, WRITE},
	[0x34] = {run_transfer, DISK, EXT | WRITE},
	[0x35] = {run_transfer, DISK, EXT | WRITE | DMA},
	[0x39] = {run_transfer, DISK, EXT | WRITE | MULTIPLE},
	[0x40 ... 0x41] = {run_verify, DISK, 0},
	[0x42] = {run_verify, DISK, EXT},
	[0x70 ... 0x7f] = {run_nothing, DISK, 0}, /* SEEK */
	[0x91] = {run_init_params, DISK, 0},
	[0x94 ... 0x97] = {run_nothing, DISK | CDROM, 0}, /* power modes, old codes */
	[0x98] = {run_check_power, DISK | CDROM, 0},
	[0x99] = {run_nothing, DISK | CDROM, 0},
	[0xa0] = {run_packet, CDROM, 0},
	[0xa1] = {run_identify_packet, CDROM, 0},
	[0xc4] = {run_transfer, DISK, MULTIPLE},
	[0xc5] = {run_transfer, DISK, WRITE | MULTIPLE},
	[0xc6] = {run_set_multiple, DISK, 0},
	[0xc8 ... 0xc9] = {run_transfer, DISK, DMA},
	[0xca ... 0xcb] = {run_transfer, DISK, WRITE | DMA},
	[0xe0 ... 0xe3] = {run_nothing, DISK | CDROM, 0}, /* STANDBY, IDLE */
	[0xe5] = {run_check_power, DISK | CDROM, 0},
	[0xe6] = {run_nothing, DISK | CDROM, 0}, /* SLEEP */
	[0xe7] = {run_flush, DISK, 0},
	[0xea] = {run_flush, DISK, EXT},
	[0xec] = {run_identify, DISK | CDROM, 0},
	[0xef] = {run_set_features, DISK | CDROM, 0},
	[0xf8] = {run_native_max, DISK, 0},
};

void ide_ata_command(struct ide_channel *ch, uint8_t cmd)
{
	const struct ata_cmd *c = &commands[cmd];

	if (c->run && (c->drives & (ide_active(ch)->unit.cdrom ? CDROM : DISK)))
		c->run(ch, c);
	else
		ide_error(ch, IDE_E_ABRT);
}

void ide_ata_power_on(struct ide_drive *d)
{
	*d->s = (struct ide_drive_state){.write_cache = true, .heads = CHS_HEADS, .sectors = CHS_SECTORS};
}
