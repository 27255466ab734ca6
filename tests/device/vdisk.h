// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a driver of the board's virtio disk, found by discovery, with one queue whose rings tests may spoil
 */
#ifndef VDISK_TEST_H
#define VDISK_TEST_H

#include "board.h"

/* Where its parts lie in guest RAM; nothing else between VDISK_BASE and VDISK_END. */
#define VDISK_BASE 0x100000u
#define VDISK_DESC 0x100000u
#define VDISK_AVAIL 0x101000u
#define VDISK_USED 0x102000u
#define VDISK_TABLE 0x104000u /* an indirect table, 512 descriptors */
#define VDISK_HEADER 0x108000u
#define VDISK_STATUS 0x108100u
#define VDISK_DATA 0x110000u
#define VDISK_END 0x120000u

/* VIRTIO 1.1, 2.6.5, 6, 5.2.6 */
enum { VDISK_NEXT = 1, VDISK_WRITABLE = 2, VDISK_INDIRECT = 4 };
enum { VDISK_READ = 0, VDISK_WRITE = 1, VDISK_NO_SUCH = 99 };
#define VDISK_F_INDIRECT (1ull << 28)
#define VDISK_F_EVENT_IDX (1ull << 29)
#define VDISK_F_VERSION_1 (1ull << 32)
#define VDISK_NEEDS_RESET 0x40u

struct vdisk {
	struct board *b;
	unsigned devfn;
	uint64_t common, notify, isr;
	uint32_t notify_step;
	unsigned size;  /* of the queue */
	uint16_t avail; /* the available index */
};

/* Its structures by their capabilities (4.1.4); its memory BARs go to 0xf8000000. */
void vdisk_find(struct board *b, struct vdisk *d);
/* The same for another virtio device with one queue, by its PCI ids. */
void vdisk_find_other(struct board *b, struct vdisk *d, uint32_t id);
/* From reset to DRIVER_OK, with empty rings. VERSION_1 is always taken. */
void vdisk_start(struct vdisk *d, uint64_t features, unsigned size);
/* The same but for DRIVER_OK. */
void vdisk_prepare(struct vdisk *d, uint64_t features, unsigned size);
unsigned vdisk_status(struct vdisk *d);
void vdisk_set_status(struct vdisk *d, unsigned status);
/* Descriptor i of a table. */
void vdisk_desc(struct vdisk *d, uint64_t table, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
		unsigned next);
/* Header of a request, and 0xff where its status goes. */
void vdisk_header(struct vdisk *d, uint32_t type, uint64_t sector);
/* Descriptors 0 to 2: header, data, status. */
void vdisk_request(struct vdisk *d, uint32_t type, uint64_t sector, uint32_t len);
/* A chain by its head into the available ring. */
void vdisk_offer(struct vdisk *d, unsigned head);
void vdisk_kick(struct vdisk *d);
/* The used index; element n of the used ring, length above head. */
uint16_t vdisk_used(struct vdisk *d);
uint64_t vdisk_used_elem(struct vdisk *d, unsigned n);

#endif
