// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the virtio disk's driver of the device tests (vdisk.h). Section numbers are those of VIRTIO 1.1.
 */
#include "vdisk.h"

#define VIRTIO_BLK 0x10011af4u
#define BARS 0xf8000000u

static void place_bars(struct board *b, unsigned devfn)
{
	bool wide;

	for (unsigned off = 0x10; off < 0x28; off += 4) {
		uint64_t size = board_bar_size(b, devfn, off, &wide);

		if (size && !(board_cfg(b, devfn, off, 4) & 1))
			board_cfg_set(b, devfn, off, BARS + (off - 0x10) * 0x100000, 4);
		if (wide)
			board_cfg_set(b, devfn, off += 4, 0, 4);
	}
	board_cfg_set(b, devfn, 4, 6, 2);
}

void vdisk_find(struct board *b, struct vdisk *d)
{
	vdisk_find_other(b, d, VIRTIO_BLK);
}

void vdisk_find_other(struct board *b, struct vdisk *d, uint32_t id)
{
	*d = (struct vdisk){ .b = b, .devfn = board_find(b, id) };
	place_bars(b, d->devfn);
	for (unsigned at = board_cfg(b, d->devfn, 0x34, 1); at; at = board_cfg(b, d->devfn, at + 1, 1)) {
		unsigned kind = board_cfg(b, d->devfn, at + 3, 1), bar = board_cfg(b, d->devfn, at + 4, 1);
		uint64_t place = BARS + bar * 0x400000ull + board_cfg(b, d->devfn, at + 8, 4);

		if (board_cfg(b, d->devfn, at, 1) != 9)
			continue;
		if (kind == 1)
			d->common = place;
		else if (kind == 2)
			d->notify = place, d->notify_step = board_cfg(b, d->devfn, at + 16, 4);
		else if (kind == 3)
			d->isr = place;
	}
	assert_true(d->common && d->notify && d->isr);
}

unsigned vdisk_status(struct vdisk *d)
{
	return (unsigned)board_read(d->b, d->common + 20, 1);
}

void vdisk_set_status(struct vdisk *d, unsigned status)
{
	board_write(d->b, d->common + 20, status, 1);
}

/* 3.1.1, 4.1.5.1.3 */
void vdisk_prepare(struct vdisk *d, uint64_t features, unsigned size)
{
	struct board *b = d->b;

	vdisk_set_status(d, 0);
	memset(mem_ram_base(b->pc->mem) + VDISK_BASE, 0, VDISK_END - VDISK_BASE);
	d->size = size;
	d->avail = 0;
	vdisk_set_status(d, 3);
	for (unsigned k = 0; k < 2; k++) {
		board_write(b, d->common + 8, k, 4);
		board_write(b, d->common + 12, (features | VDISK_F_VERSION_1) >> 32 * k & 0xffffffff, 4);
	}
	vdisk_set_status(d, 11);
	assert_int_equal(vdisk_status(d), 11);
	board_write(b, d->common + 22, 0, 2);
	board_write(b, d->common + 24, size, 2);
	board_write(b, d->common + 32, VDISK_DESC, 8);
	board_write(b, d->common + 40, VDISK_AVAIL, 8);
	board_write(b, d->common + 48, VDISK_USED, 8);
	board_write(b, d->common + 28, 1, 2);
}

void vdisk_start(struct vdisk *d, uint64_t features, unsigned size)
{
	vdisk_prepare(d, features, size);
	vdisk_set_status(d, 15);
	assert_int_equal(vdisk_status(d), 15);
}

void vdisk_desc(struct vdisk *d, uint64_t table, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
		unsigned next)
{
	board_write(d->b, table + 16 * i, addr, 8);
	board_write(d->b, table + 16 * i + 8, len | (uint64_t)flags << 32 | (uint64_t)next << 48, 8);
}

void vdisk_header(struct vdisk *d, uint32_t type, uint64_t sector)
{
	board_write(d->b, VDISK_HEADER, type, 8);
	board_write(d->b, VDISK_HEADER + 8, sector, 8);
	board_write(d->b, VDISK_STATUS, 0xff, 1);
}

void vdisk_request(struct vdisk *d, uint32_t type, uint64_t sector, uint32_t len)
{
	vdisk_header(d, type, sector);
	vdisk_desc(d, VDISK_DESC, 0, VDISK_HEADER, 16, VDISK_NEXT, 1);
	vdisk_desc(d, VDISK_DESC, 1, VDISK_DATA, len, VDISK_NEXT | (type == VDISK_WRITE ? 0 : VDISK_WRITABLE), 2);
	vdisk_desc(d, VDISK_DESC, 2, VDISK_STATUS, 1, VDISK_WRITABLE, 0);
}

void vdisk_offer(struct vdisk *d, unsigned head)
{
	board_write(d->b, VDISK_AVAIL + 4 + 2 * (d->avail % d->size), head, 2);
	board_write(d->b, VDISK_AVAIL + 2, ++d->avail, 2);
}

/* 4.1.4.4 */
void vdisk_kick(struct vdisk *d)
{
	board_write(d->b, d->notify + (uint64_t)d->notify_step * board_read(d->b, d->common + 30, 2), 0, 2);
}

uint16_t vdisk_used(struct vdisk *d)
{
	return (uint16_t)board_read(d->b, VDISK_USED + 2, 2);
}

uint64_t vdisk_used_elem(struct vdisk *d, unsigned n)
{
	return board_read(d->b, VDISK_USED + 4 + 8 * (n % d->size), 8);
}
