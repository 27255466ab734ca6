// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the Bochs VBE extension ("dispi"): modes beyond VGA with a linear frame buffer
 *
 * Registers are free to write while the extension is off; what does not fit video RAM is trimmed when it is
 * switched on and at each write while it is on, so that everything behind it may trust them:
 *
 * I1  While vbe_on(): 8 <= XRES <= VIRT_WIDTH, VIRT_HEIGHT * pitch <= VRAM, YRES <= VIRT_HEIGHT,
 *     offsets keep the screen within the virtual one, BANK * 64 KiB < VRAM.
 *
 * Switching on also sets the VGA registers that a program which knows only VGA would set for such a mode; the
 * video BIOS relies on chain-4 and the window at 0xa0000 for banked access.
 *
 * Source: Bochs, "VBE Display Interface" description (ids 0xb0c0 to 0xb0c5).
 */
#include "dev/vga/vga_int.h"

#include <string.h>
#include <sys/mman.h>

#define MAX_XRES 4096u
#define MAX_YRES 4096u
#define ID_FIRST 0xb0c0u
#define ID_LAST 0xb0c5u

bool vbe_on(const struct vga *v)
{
	return v->s.vbe[VBE_ENABLE] & VBE_ENABLED;
}

static uint32_t pitch_of(const struct vga_state *s, uint32_t width)
{
	return s->vbe[VBE_BPP] == 4 ? width / 8 : width * ((s->vbe[VBE_BPP] + 7u) / 8);
}

uint32_t vbe_pitch(const struct vga *v)
{
	return pitch_of(&v->s, v->s.vbe[VBE_VIRT_WIDTH]);
}

static bool bpp_known(uint16_t bpp)
{
	return bpp == 4 || bpp == 8 || bpp == 15 || bpp == 16 || bpp == 24 || bpp == 32;
}

/* Establish I1. */
static void fit(struct vga *v)
{
	uint16_t *r = v->s.vbe;
	uint32_t room = VGA_VRAM_SIZE, lines;

	if (!bpp_known(r[VBE_BPP]))
		r[VBE_BPP] = 8;
	if (r[VBE_BPP] == 4)
		room /= 4; /* of each plane */
	r[VBE_XRES] = (uint16_t)MAX(MIN(r[VBE_XRES], MAX_XRES) & ~7u, 8u);
	r[VBE_VIRT_WIDTH] = (uint16_t)MAX(MIN(r[VBE_VIRT_WIDTH], 4 * MAX_XRES) & ~7u, r[VBE_XRES]);
	lines = MIN(room / vbe_pitch(v), 0xffffu);
	r[VBE_VIRT_HEIGHT] = (uint16_t)lines;
	r[VBE_YRES] = (uint16_t)MAX(MIN(MIN(r[VBE_YRES], MAX_YRES), lines), 1u);
	r[VBE_X_OFFSET] = (uint16_t)MIN(r[VBE_X_OFFSET], r[VBE_VIRT_WIDTH] - r[VBE_XRES]);
	r[VBE_Y_OFFSET] = (uint16_t)MIN(r[VBE_Y_OFFSET], r[VBE_VIRT_HEIGHT] - r[VBE_YRES]);
}

/* The VGA registers of a graphics mode with the window at 0xa0000. */
static void set_vga_mode(struct vga *v)
{
	struct vga_state *s = &v->s;
	unsigned lines = s->vbe[VBE_YRES] - 1u;

	s->gr[GR_MISC] = (s->gr[GR_MISC] & ~0x0c) | 0x05;
	s->misc |= 0x02;
	s->cr[CR_MODE] |= 3;
	s->cr[CR_OFFSET] = (uint8_t)(vbe_pitch(v) >> 3);
	s->cr[CR_H_DISP] = (uint8_t)((s->vbe[VBE_XRES] >> 3) - 1);
	s->cr[CR_V_DISP] = (uint8_t)lines;
	s->cr[CR_OVERFLOW] = (uint8_t)((s->cr[CR_OVERFLOW] & ~0x42) | (lines >> 7 & 2) | (lines >> 3 & 0x40) | 0x10);
	s->cr[CR_LINE_COMPARE] = 0xff; /* no split screen */
	s->cr[CR_MAX_SCAN] = (s->cr[CR_MAX_SCAN] & ~0x9f) | 0x40;
	if (s->vbe[VBE_BPP] == 4) {
		s->seq[SEQ_MEM_MODE] = (s->seq[SEQ_MEM_MODE] & ~8) | 6;
		s->gr[GR_MODE] &= ~0x60;
	} else {
		s->seq[SEQ_MEM_MODE] |= 0x0e;
		s->seq[SEQ_MAP_MASK] |= 0x0f;
		s->gr[GR_MODE] = (s->gr[GR_MODE] & ~0x60) | 0x40;
	}
}

/* The host takes pages back and gives zeros for them when they are touched again: sixteen megabytes would take
 * milliseconds, with the lock held, and the guest may draw as soon as this is done. */
static void clear_screen(struct vga *v)
{
	uint32_t len = MIN(vbe_pitch(v) * v->s.vbe[VBE_YRES] * (v->s.vbe[VBE_BPP] == 4 ? 4 : 1), VGA_VRAM_SIZE);
	uint32_t pages = len & ~4095u;

	if (madvise(v->vram, pages, MADV_DONTNEED))
		pages = 0;
	memset(v->vram + pages, 0, len - pages);
}

static void write_enable(struct vga *v, uint16_t val)
{
	uint16_t *r = v->s.vbe;
	bool was_on = vbe_on(v);

	r[VBE_ENABLE] = val & (VBE_ENABLED | VBE_GETCAPS | VBE_8BIT_DAC | 0x40 | VBE_NOCLEAR);
	if (vbe_on(v) && !was_on) {
		r[VBE_VIRT_WIDTH] = r[VBE_X_OFFSET] = r[VBE_Y_OFFSET] = r[VBE_BANK] = 0;
		fit(v);
		set_vga_mode(v);
		if (!(val & VBE_NOCLEAR))
			clear_screen(v);
	} else if (!vbe_on(v)) {
		r[VBE_BANK] = 0;
	}
	vga_mem_update(v);
}

void vbe_write(struct vga *v, uint16_t index, uint16_t val)
{
	uint16_t *r = v->s.vbe;

	switch (index) {
	case VBE_ID:
		if (val >= ID_FIRST && val <= ID_LAST)
			r[VBE_ID] = val;
		return;
	case VBE_ENABLE:
		write_enable(v, val);
		return;
	case VBE_BANK:
		r[VBE_BANK] = val & (VGA_VRAM_SIZE / 65536 - 1);
		vga_mem_update(v);
		return;
	case VBE_XRES: case VBE_YRES: case VBE_BPP: case VBE_VIRT_WIDTH: case VBE_X_OFFSET: case VBE_Y_OFFSET:
		r[index] = val;
		break;
	default:
		return;
	}
	if (!vbe_on(v))
		return;
	fit(v);
	set_vga_mode(v);
	vga_mem_update(v);
}

uint16_t vbe_read(struct vga *v, uint16_t index)
{
	if (index >= VBE_COUNT)
		return 0;
	if (v->s.vbe[VBE_ENABLE] & VBE_GETCAPS) {
		switch (index) {
		case VBE_XRES: return MAX_XRES;
		case VBE_YRES: return MAX_YRES;
		case VBE_BPP: return 32;
		}
	}
	return v->s.vbe[index];
}

void vbe_reset(struct vga *v)
{
	memset(v->s.vbe, 0, sizeof(v->s.vbe));
	v->s.vbe_index = 0;
	v->s.vbe[VBE_ID] = ID_LAST;
	v->s.vbe[VBE_VRAM_64K] = VGA_VRAM_SIZE / 65536;
}

/* Ports: 0x1ce index, 0x1cf or 0x1d0 data, 16 bits wide. A word at the odd port 0x1cf comes as two bytes (off 1,
 * then 2). */
static uint64_t port_read(void *opaque, uint64_t off, unsigned size)
{
	struct vga *v = opaque;
	uint16_t val = off == 0 ? v->s.vbe_index : vbe_read(v, v->s.vbe_index);

	return off == 2 && size == 1 ? val >> 8 : val;
}

static void port_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct vga *v = opaque;

	if (off == 0)
		v->s.vbe_index = (uint16_t)val;
	else if (size == 2)
		vbe_write(v, v->s.vbe_index, (uint16_t)val);
	else if (off == 1)
		v->s.vbe_low = (uint8_t)val;
	else
		vbe_write(v, v->s.vbe_index, (uint16_t)(val << 8 | v->s.vbe_low));
}

const struct mem_ops vbe_port_ops = {.read = port_read, .write = port_write, .max_size = 2};
