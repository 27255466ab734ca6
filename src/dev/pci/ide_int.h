// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what ide.c (registers, data transfer), ide_ata.c (disk commands) and atapi.c (CD-ROM commands) share
 *
 *   command write --> ide_ata_command / atapi_packet --> one of ide_done, ide_error,
 *                     ide_start_read, ide_start_write (medium), ide_start_reply (bytes already in s.buf)
 *   and ide.c moves the data by PIO blocks or by DMA, and ends the command.
 */
#ifndef DEV_PCI_IDE_INT_H
#define DEV_PCI_IDE_INT_H

#include "dev/pci/ide.h"

#define IDE_BUF_SIZE 65536u
#define IDE_MAX_MULTIPLE 16u

/* Status (ATA/ATAPI-6 7.15.6) and error (7.9) registers */
#define IDE_BSY 0x80
#define IDE_DRDY 0x40
#define IDE_DF 0x20
#define IDE_DSC 0x10
#define IDE_DRQ 0x08
#define IDE_ERR 0x01
#define IDE_E_UNC 0x40
#define IDE_E_IDNF 0x10
#define IDE_E_ABRT 0x04

struct ide_drive_state {
	uint8_t feature, count, lba[3];
	uint8_t hob_feature, hob_count, hob_lba[3]; /* previous contents, for 48-bit commands */
	uint8_t device, status, error;
	uint8_t multiple;      /* sectors a DRQ block of READ/WRITE MULTIPLE; 0: not set */
	uint8_t mwdma, udma;   /* selected mode bit, as in the upper byte of IDENTIFY words 63 and 88 */
	bool write_cache;
	uint8_t heads, sectors; /* current CHS translation */
	uint8_t sense_key, asc, ascq;
	bool locked, tray_open, media_event;
	bool eject_event; /* the button was pressed while locked */
	bool attention;   /* another disc: the next command but three is told */
	uint8_t pad_[1];
};

enum ide_phase { IDE_IDLE, IDE_DATA_IN, IDE_DATA_OUT, IDE_PACKET, IDE_DMA_WAIT, IDE_BUSY };

struct ide_channel_state {
	struct ide_drive_state drive[2];
	uint64_t offset;  /* on the medium, bytes */
	uint64_t left;    /* bytes still to move between medium and buffer or memory */
	uint32_t buf_pos, buf_fill;
	uint32_t drq_end; /* end of the present DRQ block in buf */
	uint32_t drq_max;
	uint8_t control;
	uint8_t selected;
	uint8_t active;   /* drive whose command is being carried out */
	uint8_t phase;    /* enum ide_phase */
	bool irq;
	bool dma;         /* the command moves data by DMA */
	bool writing;
	bool packet;      /* the command is PACKET: byte counts, interrupt reasons, sense */
	bool trim;        /* the command's data are ranges to discard */
	uint8_t pad_[7];
	uint8_t buf[IDE_BUF_SIZE];
};

struct ide_drive {
	struct ide_drive_state *s;
	struct ide_unit unit;
	bool present;
	uint64_t sectors; /* of 512 bytes */
	char serial[21];
};

struct ide_channel {
	struct ide_channel_state s;
	struct ide_config cfg;
	struct ide_drive drive[2];
	struct mem_ports cmd_ports, ctl_ports;
	struct block_req req;
	struct iovec iov;
	struct ide_sg sg;
	uint64_t trim_len;  /* of the range being discarded */
	bool inflight;      /* req is with the block layer */
	bool reset_pending; /* to be reset when req comes back */
	bool flushing;      /* req is a flush, the last step of the command */
};

static inline struct ide_drive *ide_active(struct ide_channel *ch)
{
	return &ch->drive[ch->s.active];
}

/* End the active drive's command, interrupting the host. */
void ide_done(struct ide_channel *ch);
void ide_error(struct ide_channel *ch, uint8_t error);
/* Transfer between host and medium: bytes at offset, in DRQ blocks of at most drq_max bytes, or by DMA. */
void ide_start_read(struct ide_channel *ch, uint64_t offset, uint64_t bytes, uint32_t drq_max, bool dma);
void ide_start_write(struct ide_channel *ch, uint64_t offset, uint64_t bytes, uint32_t drq_max, bool dma);
/* Send the first len bytes of s.buf to the host. */
void ide_start_reply(struct ide_channel *ch, uint32_t len, uint32_t drq_max, bool dma);
/* Take 12 bytes of command packet, then call atapi_packet. */
void ide_start_packet(struct ide_channel *ch);
/* Take bytes (at most IDE_BUF_SIZE) of ranges by DMA, discard them one after another. */
void ide_start_trim(struct ide_channel *ch, uint32_t bytes);
/* Flush the medium, then end the command. */
void ide_start_flush(struct ide_channel *ch);
/* Serial ATA: a register FIS that carries a command; the device answers by its interrupt. */
void ide_fis_command(struct ide_channel *ch, const uint8_t fis[20]);
/* The task file as a register FIS of the device shows it, from its byte 2 (status) to byte 15. */
void ide_fis_registers(const struct ide_channel *ch, uint8_t fis[20]);
/* End what is under way, without a word to the guest; waits for a request (inflight), then lowers the interrupt. */
void ide_soft_reset(struct ide_channel *ch);
/* Signature and default register contents (ATA/ATAPI-6 9.12). */
void ide_set_signature(struct ide_drive *d);

void ide_ata_command(struct ide_channel *ch, uint8_t cmd);
/* Values that survive a software reset but not a power cycle. */
void ide_ata_power_on(struct ide_drive *d);

/* The 12 bytes are in s.buf. */
void atapi_packet(struct ide_channel *ch);
void atapi_identify(struct ide_drive *d, uint8_t *page);
/* ide.c's end of an ATAPI command: interrupt reason, status, sense. */
void atapi_done(struct ide_channel *ch);
void atapi_medium_error(struct ide_channel *ch);

/* ATA strings: space padded, bytes swapped in each word (ATA/ATAPI-6 8.15.8). */
void ide_put_string(uint8_t *page, unsigned word, unsigned words, const char *text);

#endif
