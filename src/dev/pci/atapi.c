// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the packet commands of an ATAPI CD-ROM or DVD-ROM drive, as a table from operation code to handler
 *
 * Every reply is built in the channel's buffer and cut to the allocation length of the packet. Errors are left as
 * sense data, which the next command but REQUEST SENSE forgets. The drive's tray and lock are the only other state.
 * Sources: SFF-8020i (packet protocol over ATA), MMC-3 (commands), SPC-2 (INQUIRY, sense).
 */
#include <string.h>

#include "dev/pci/ide_int.h"

#define SECTOR 2048u
#define SENSE_NOT_READY 2
#define SENSE_MEDIUM_ERROR 3
#define SENSE_ILLEGAL_REQUEST 5
#define ASC_UNRECOVERED_READ 0x11
#define SENSE_UNIT_ATTENTION 6
#define ASC_MEDIUM_CHANGED 0x28
#define ASC_INVALID_OPCODE 0x20
#define ASC_LBA_OUT_OF_RANGE 0x21
#define ASC_INVALID_FIELD 0x24
#define ASC_NO_MEDIUM 0x3a
#define ASC_REMOVAL_PREVENTED 0x53
#define PROFILE_CD_ROM 0x0008
#define PROFILE_DVD_ROM 0x0010
#define CD_MAX_SECTORS (80u * 60 * 75) /* more than 80 minutes: a DVD */
#define MSF_LEADIN 150                 /* LBA 0 is at 00:02:00 */

struct packet_cmd {
	void (*run)(struct ide_channel *ch, const uint8_t *p);
	bool needs_medium;
};

void atapi_identify(struct ide_drive *d, uint8_t *page)
{
	memset(page, 0, 512);
	put_le16(page, 0x85c0); /* ATAPI CD-ROM, removable, DRQ within 50 us, 12-byte packets */
	ide_put_string(page, 10, 10, d->serial);
	ide_put_string(page, 23, 4, "1.0");
	ide_put_string(page, 27, 20, "RING3 DVD-ROM");
	put_le16(page + 48 * 2, 1);
	put_le16(page + 49 * 2, 0x0b00); /* IORDY, LBA, DMA */
	put_le16(page + 53 * 2, 7);
	put_le16(page + 63 * 2, (uint16_t)(0x07 | d->s->mwdma << 8));
	put_le16(page + 64 * 2, 3);
	for (unsigned w = 65; w <= 68; w++)
		put_le16(page + w * 2, 120);
	put_le16(page + 80 * 2, 0x00f0);
	put_le16(page + 82 * 2, 0x4210); /* NOP, DEVICE RESET, PACKET */
	put_le16(page + 83 * 2, 0x4000);
	put_le16(page + 84 * 2, 0x4000);
	put_le16(page + 85 * 2, 0x4210);
	put_le16(page + 87 * 2, 0x4000);
	put_le16(page + 88 * 2, (uint16_t)(0x3f | d->s->udma << 8));
	put_le16(page + 93 * 2, 0x6001);
}

void atapi_done(struct ide_channel *ch)
{
	ide_active(ch)->s->count = 3; /* interrupt reason: status, SFF-8020i 5.10 */
	ide_active(ch)->s->status = IDE_DRDY;
}

static void fail(struct ide_channel *ch, uint8_t key, uint8_t asc)
{
	struct ide_drive_state *d = ide_active(ch)->s;

	d->sense_key = key;
	d->asc = asc;
	d->ascq = 0;
	ide_error(ch, (uint8_t)(key << 4 | IDE_E_ABRT)); /* last: its interrupt may bring the next command */
}

void atapi_medium_error(struct ide_channel *ch)
{
	fail(ch, SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ);
}

static bool has_medium(const struct ide_drive *d)
{
	return d->unit.blk && !d->s->tray_open;
}

static uint32_t disc_sectors(const struct ide_drive *d)
{
	return has_medium(d) ? (uint32_t)MIN(d->sectors / (SECTOR / 512), UINT32_MAX) : 0;
}

static uint32_t byte_limit(const struct ide_channel *ch)
{
	const struct ide_drive_state *d = ch->drive[ch->s.active].s;
	uint32_t limit = (uint32_t)(d->lba[1] | d->lba[2] << 8);

	/* SFF-8020i 5.10.2: 0xffff means 0xfffe; a block that is not the last is even. 0 is undefined. */
	return limit < 2 || limit == 0xffff ? 0xfffe : limit & ~1u;
}

static bool wants_dma(const struct ide_channel *ch)
{
	return ch->drive[ch->s.active].s->feature & 1;
}

/* len bytes of reply are in the buffer; the host has room for alloc. */
static void reply(struct ide_channel *ch, uint32_t len, uint32_t alloc)
{
	if (alloc < len)
		len = alloc;
	if (len)
		ide_start_reply(ch, len, byte_limit(ch), wants_dma(ch));
	else
		ide_done(ch);
}

static uint8_t *clear_reply(struct ide_channel *ch)
{
	memset(ch->s.buf, 0, 1024);
	return ch->s.buf;
}

static void cmd_nothing(struct ide_channel *ch, const uint8_t *p)
{
	ide_done(ch);
}

static void cmd_inquiry(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t alloc = p[4], evpd = p[1] & 1;
	uint8_t *r = clear_reply(ch);

	if (evpd) {
		fail(ch, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
		return;
	}
	r[0] = 5;    /* CD-ROM */
	r[1] = 0x80; /* removable */
	r[3] = 0x21; /* ATAPI, response format 1: SFF-8020i 10.8.1 */
	r[4] = 31;
	memcpy(r + 8, "RING3   DVD-ROM         1.0 ", 28);
	reply(ch, 36, alloc);
}

static void cmd_request_sense(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive_state *d = ide_active(ch)->s;
	uint8_t alloc = p[4];
	uint8_t *r = clear_reply(ch);

	r[0] = 0x70;
	r[2] = d->sense_key;
	r[7] = 10;
	r[12] = d->asc;
	r[13] = d->ascq;
	d->sense_key = d->asc = d->ascq = 0;
	reply(ch, 18, alloc);
}

static void cmd_read_capacity(struct ide_channel *ch, const uint8_t *p)
{
	uint8_t *r = clear_reply(ch);

	put_be32(r, disc_sectors(ide_active(ch)) - 1);
	put_be32(r + 4, SECTOR);
	reply(ch, 8, 8);
}

static void read_sectors(struct ide_channel *ch, uint32_t lba, uint32_t count)
{
	uint32_t total = disc_sectors(ide_active(ch)), limit = byte_limit(ch);

	if (limit >= SECTOR)
		limit -= limit % SECTOR;
	if (lba > total || count > total - lba)
		fail(ch, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	else if (!count)
		ide_done(ch);
	else
		ide_start_read(ch, (uint64_t)lba * SECTOR, (uint64_t)count * SECTOR, limit, wants_dma(ch));
}

static void cmd_read10(struct ide_channel *ch, const uint8_t *p)
{
	read_sectors(ch, get_be32(p + 2), get_be16(p + 7));
}

static void cmd_read12(struct ide_channel *ch, const uint8_t *p)
{
	read_sectors(ch, get_be32(p + 2), get_be32(p + 6));
}

/* MMC-3 6.15: byte 9 chooses what of a sector is wanted; a data disc image has user data only. */
static void cmd_read_cd(struct ide_channel *ch, const uint8_t *p)
{
	uint32_t count = (uint32_t)p[6] << 16 | get_be16(p + 7);

	if (!(p[9] & 0xf8))
		ide_done(ch);
	else if ((p[9] & 0xf8) == 0x10)
		read_sectors(ch, get_be32(p + 2), count);
	else
		fail(ch, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
}

static void put_address(uint8_t *to, uint32_t lba, bool msf)
{
	uint32_t f = lba + MSF_LEADIN;

	if (!msf) {
		put_be32(to, lba);
		return;
	}
	to[0] = 0;
	to[1] = (uint8_t)(f / 75 / 60);
	to[2] = (uint8_t)(f / 75 % 60);
	to[3] = (uint8_t)(f % 75);
}

/* Format 0: one data track and the lead-out (MMC-3 6.25.3.2). */
static uint32_t toc_tracks(uint8_t *r, uint32_t sectors, uint8_t start, bool msf)
{
	uint32_t len = 4;

	r[2] = r[3] = 1;
	if (start <= 1) {
		r[len + 1] = 0x14;
		r[len + 2] = 1;
		put_address(r + len + 4, 0, msf);
		len += 8;
	}
	r[len + 1] = 0x16;
	r[len + 2] = 0xaa;
	put_address(r + len + 4, sectors, msf);
	return len + 8;
}

static uint32_t toc_session(uint8_t *r, bool msf)
{
	r[2] = r[3] = 1;
	r[5] = 0x14;
	r[6] = 1;
	put_address(r + 8, 0, msf);
	return 12;
}

/* Format 2: full TOC, points A0, A1, A2 and the track; addresses are always MSF. */
static uint32_t toc_full(uint8_t *r, uint32_t sectors)
{
	static const uint8_t point[4] = {0xa0, 0xa1, 0xa2, 1};

	r[2] = r[3] = 1;
	for (unsigned i = 0; i < 4; i++) {
		uint8_t *e = r + 4 + i * 11;

		e[0] = 1;
		e[1] = 0x14;
		e[3] = point[i];
		if (i < 2)
			e[8] = 1; /* first and last track number */
		else
			put_address(e + 7, i == 2 ? sectors : 0, true);
	}
	return 4 + 4 * 11;
}

static void cmd_read_toc(struct ide_channel *ch, const uint8_t *p)
{
	uint32_t sectors = disc_sectors(ide_active(ch)), len = 0;
	uint8_t format = p[2] & 15 ? p[2] & 15 : p[9] >> 6; /* SFF-8020i keeps the format in byte 9 */
	uint8_t start = p[6];
	uint16_t alloc = get_be16(p + 7);
	bool msf = p[1] & 2;
	uint8_t *r = clear_reply(ch);

	if (format == 0 && (start <= 1 || start == 0xaa))
		len = toc_tracks(r, sectors, start, msf);
	else if (format == 1)
		len = toc_session(r, msf);
	else if (format == 2)
		len = toc_full(r, sectors);
	if (!len) {
		fail(ch, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
		return;
	}
	put_be16(r, (uint16_t)(len - 2));
	reply(ch, len, alloc);
}

/* MMC-3 annex, MM capabilities and mechanical status page */
static uint32_t page_capabilities(const struct ide_drive *d, uint8_t *r)
{
	r[0] = 0x2a;
	r[1] = 18;
	r[2] = 0x3b;                         /* reads CD-R, CD-RW, DVD-ROM, DVD-R */
	r[4] = 0x70;                         /* multisession, mode 2 forms */
	r[6] = 0x29 | (d->s->locked ? 2 : 0); /* tray, can eject, can lock */
	put_be16(r + 8, 706 * 4);            /* kB/s */
	put_be16(r + 12, 512);               /* buffer, KiB */
	put_be16(r + 14, 706 * 4);
	return 20;
}

static uint32_t page_error_recovery(uint8_t *r)
{
	r[0] = 0x01;
	r[1] = 6;
	r[3] = 5; /* retries */
	return 8;
}

static void cmd_mode_sense(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ide_active(ch);
	uint8_t page = p[2] & 0x3f, control = p[2] >> 6;
	uint16_t alloc = get_be16(p + 7);
	uint8_t *r = clear_reply(ch);
	uint32_t len = 8;

	if (control == 3 || (page != 0x01 && page != 0x2a && page != 0x3f)) { /* no saved values */
		fail(ch, SENSE_ILLEGAL_REQUEST, control == 3 ? 0x39 : ASC_INVALID_FIELD);
		return;
	}
	if (page == 0x01 || page == 0x3f)
		len += page_error_recovery(r + len);
	if (page == 0x2a || page == 0x3f)
		len += page_capabilities(d, r + len);
	put_be16(r, (uint16_t)(len - 2));
	r[2] = has_medium(d) ? 0x01 : 0x70; /* medium type: 120 mm data disc, or none */
	reply(ch, len, alloc);
}

static uint32_t put_feature(uint8_t *r, uint16_t code, uint8_t flags, const uint8_t *data, uint8_t len)
{
	put_be16(r, code);
	r[2] = flags; /* version << 2 | persistent << 1 | current */
	r[3] = len;
	memcpy(r + 4, data, len);
	return 4u + len;
}

static void cmd_get_configuration(struct ide_channel *ch, const uint8_t *p)
{
	static const uint8_t core[8] = {0, 0, 0, 2, 1}, removable[4] = {0x29}, cd_read[4] = {0}, none[1] = {0};
	uint32_t sectors = disc_sectors(ide_active(ch));
	bool dvd = sectors > CD_MAX_SECTORS, cd = sectors && !dvd;
	const uint8_t profiles[8] = {0, PROFILE_DVD_ROM, dvd, 0, 0, PROFILE_CD_ROM, cd, 0};
	uint16_t alloc = get_be16(p + 7);
	uint8_t *r = clear_reply(ch);
	uint32_t len = 8;

	if ((p[1] & 3) == 3) {
		fail(ch, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
		return;
	}
	len += put_feature(r + len, 0x0000, 0x03, profiles, 8);
	len += put_feature(r + len, 0x0001, 0x07, core, 8);
	len += put_feature(r + len, 0x0003, 0x03, removable, 4);
	len += put_feature(r + len, 0x001e, cd, cd_read, 4);
	len += put_feature(r + len, 0x001f, dvd, none, 0);
	put_be32(r, len - 4);
	put_be16(r + 6, dvd ? PROFILE_DVD_ROM : cd ? PROFILE_CD_ROM : 0);
	reply(ch, len, alloc);
}

static void cmd_get_event(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive *d = ide_active(ch);
	bool polled = p[1] & 1, media = p[4] & 0x10;
	uint16_t alloc = get_be16(p + 7);
	uint8_t *r = clear_reply(ch);

	if (!polled) { /* asynchronous notification is not offered */
		fail(ch, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD);
		return;
	}
	r[3] = 0x10; /* supported: media */
	if (!media) {
		put_be16(r, 2);
		r[2] = 0x80; /* no event of a supported class asked for */
		reply(ch, 4, alloc);
		return;
	}
	put_be16(r, 6);
	r[2] = 4;
	/* MMC-3 table 89: eject request, new media, media removal */
	r[4] = d->s->eject_event ? 1 : d->s->media_event ? (has_medium(d) ? 2 : 3) : 0;
	r[5] = (uint8_t)((has_medium(d) ? 2 : 0) | (d->s->tray_open ? 1 : 0));
	if (!d->s->eject_event)
		d->s->media_event = false;
	d->s->eject_event = false;
	reply(ch, 8, alloc);
}

static void cmd_start_stop(struct ide_channel *ch, const uint8_t *p)
{
	struct ide_drive_state *d = ide_active(ch)->s;
	bool load_eject = p[4] & 2, open = !(p[4] & 1);

	if (load_eject && open && d->locked) {
		fail(ch, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED);
		return;
	}
	if (load_eject && d->tray_open != open) {
		d->tray_open = open;
		d->media_event = true;
		wire_pulse(&ch->cfg.tray);
	}
	ide_done(ch);
}

static void cmd_prevent_allow(struct ide_channel *ch, const uint8_t *p)
{
	ide_active(ch)->s->locked = p[4] & 1;
	ide_done(ch);
}

static void cmd_mechanism_status(struct ide_channel *ch, const uint8_t *p)
{
	uint16_t alloc = get_be16(p + 8);
	uint8_t *r = clear_reply(ch);

	r[1] = ide_active(ch)->s->tray_open ? 0x10 : 0; /* door open */
	r[5] = 1; /* one slot, no slot tables */
	reply(ch, 8, alloc);
}

static void cmd_read_disc_info(struct ide_channel *ch, const uint8_t *p)
{
	uint16_t alloc = get_be16(p + 7);
	uint8_t *r = clear_reply(ch);

	put_be16(r, 32);
	r[2] = 0x0e; /* last session complete, disc finalized */
	r[3] = r[4] = r[5] = r[6] = 1;
	r[7] = 0x20;
	reply(ch, 34, alloc);
}

static const struct packet_cmd commands[256] = {
	[0x00] = {cmd_nothing, true}, /* TEST UNIT READY */
	[0x03] = {cmd_request_sense, false},
	[0x12] = {cmd_inquiry, false},
	[0x1b] = {cmd_start_stop, false},
	[0x1e] = {cmd_prevent_allow, false},
	[0x25] = {cmd_read_capacity, true},
	[0x28] = {cmd_read10, true},
	[0x2b] = {cmd_nothing, true}, /* SEEK */
	[0x35] = {cmd_nothing, false}, /* SYNCHRONIZE CACHE */
	[0x43] = {cmd_read_toc, true},
	[0x46] = {cmd_get_configuration, false},
	[0x4a] = {cmd_get_event, false},
	[0x51] = {cmd_read_disc_info, true},
	[0x5a] = {cmd_mode_sense, false},
	[0xa8] = {cmd_read12, true},
	[0xbb] = {cmd_nothing, false}, /* SET CD SPEED */
	[0xbd] = {cmd_mechanism_status, false},
	[0xbe] = {cmd_read_cd, true},
};

/* SPC-2 5.8.5.2: which commands are carried out although there is something to be told first; GET EVENT STATUS
 * NOTIFICATION besides (MMC-3 6.6). */
static bool ignores_attention(uint8_t op)
{
	return op == 0x03 || op == 0x12 || op == 0x4a;
}

void atapi_packet(struct ide_channel *ch)
{
	struct ide_drive *d = ide_active(ch);
	const struct packet_cmd *c = &commands[ch->s.buf[0]];
	uint8_t packet[12];

	memcpy(packet, ch->s.buf, sizeof(packet)); /* the reply is built where the packet is */
	if (packet[0] != 0x03)
		d->s->sense_key = d->s->asc = d->s->ascq = 0;
	if (!c->run) {
		fail(ch, SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
	} else if (d->s->attention && !ignores_attention(packet[0])) {
		d->s->attention = false;
		fail(ch, SENSE_UNIT_ATTENTION, ASC_MEDIUM_CHANGED);
	} else if (c->needs_medium && !has_medium(d)) {
		fail(ch, SENSE_NOT_READY, ASC_NO_MEDIUM);
	} else {
		c->run(ch, packet);
	}
}
