// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the VGA's window at 0xa0000: four planes behind latches, write modes, chain-4, odd/even
 *
 * The planes lie interleaved: byte a of plane p is vram[4 * a + p]. So the latches are one 32-bit load, chain-4 is
 * linear, which makes mode 13h and banked VBE plain memory the vCPU can map, and a text cell is two neighbours.
 * (On hardware chain-4 and odd/even leave holes in the planes; a program would have to write in one mode and look
 * in the other to notice.)
 *
 * Nearly all traffic is one of three kinds, told apart once when a register changes (vga_mem_update), not at
 * each access.
 *
 * I1  Every index into vram is below VGA_VRAM_SIZE: cell() masks it, the fast paths stay within 256 KiB.
 *
 * Source: IBM VGA Technical Reference, "Graphics Controller" and "Sequencer, memory mode".
 */
#include "dev/vga/vga_int.h"

#include <string.h>

/* A bit a plane to a byte a plane. */
static const uint32_t expand[16] = {
	0x00000000, 0x000000ff, 0x0000ff00, 0x0000ffff, 0x00ff0000, 0x00ff00ff, 0x00ffff00, 0x00ffffff,
	0xff000000, 0xff0000ff, 0xff00ff00, 0xff00ffff, 0xffff0000, 0xffff00ff, 0xffffff00, 0xffffffff,
};

static uint32_t cell_load(const struct vga *v, uint32_t addr)
{
	uint32_t val;

	memcpy(&val, v->vram + ((uint64_t)addr * 4 & (VGA_VRAM_SIZE - 1)), 4);
	return val;
}

static void cell_store(struct vga *v, uint32_t addr, uint32_t val)
{
	memcpy(v->vram + ((uint64_t)addr * 4 & (VGA_VRAM_SIZE - 1)), &val, 4);
}

/* --- the graphics controller's data path --- */

static uint32_t with_latch(const struct vga *v, uint32_t data, uint8_t bit_mask)
{
	uint32_t keep = bit_mask * 0x01010101u, latch = v->s.latch;

	switch (v->s.gr[GR_ROTATE] >> 3 & 3) {
	case 1: data &= latch; break;
	case 2: data |= latch; break;
	case 3: data ^= latch; break;
	}
	return (data & keep) | (latch & ~keep);
}

static uint8_t rotate(const struct vga *v, uint8_t val)
{
	unsigned n = v->s.gr[GR_ROTATE] & 7;

	return (uint8_t)(val >> n | val << (8 - n));
}

static uint32_t data_path(const struct vga *v, uint8_t val)
{
	const uint8_t *gr = v->s.gr;
	uint32_t forced = expand[gr[GR_ENABLE_SR]];

	switch (gr[GR_MODE] & 3) {
	case 0:
		return with_latch(v, (rotate(v, val) * 0x01010101u & ~forced) | (expand[gr[GR_SET_RESET]] & forced),
		                  gr[GR_BIT_MASK]);
	case 1:
		return v->s.latch;
	case 2:
		return with_latch(v, expand[val & 15], gr[GR_BIT_MASK]);
	default:
		return with_latch(v, expand[gr[GR_SET_RESET]], rotate(v, val) & gr[GR_BIT_MASK]);
	}
}

/* "Miscellaneous, Chain Odd/Even": the odd maps are selected when A0 is 1, the even ones when it is 0, whatever the
 * sequencer's memory mode (writes) and the graphics mode (reads) say; those two need not agree. */
static bool odd_even_chained(const struct vga_state *s)
{
	return s->gr[GR_MISC] & 2;
}

static bool odd_even_write(const struct vga_state *s)
{
	return !(s->seq[SEQ_MEM_MODE] & 4) || odd_even_chained(s);
}

static bool odd_even_read(const struct vga_state *s)
{
	return s->gr[GR_MODE] & 0x10 || odd_even_chained(s);
}

static void planar_write(struct vga *v, uint32_t off, uint8_t val)
{
	uint8_t mode = v->s.seq[SEQ_MEM_MODE], planes = v->s.seq[SEQ_MAP_MASK];
	uint32_t mask;

	if (mode & 8) { /* chain-4 */
		planes &= 1 << (off & 3);
		off >>= 2;
	} else if (odd_even_write(&v->s)) {
		planes &= off & 1 ? 0xa : 0x5;
		off >>= 1;
	}
	mask = expand[planes];
	cell_store(v, off, (cell_load(v, off) & ~mask) | (data_path(v, val) & mask));
}

static uint8_t planar_read(struct vga *v, uint32_t off)
{
	const uint8_t *gr = v->s.gr;
	unsigned plane = gr[GR_READ_MAP];
	uint32_t diff;

	if (v->s.seq[SEQ_MEM_MODE] & 8) {
		plane = off & 3;
		off >>= 2;
	} else if (odd_even_read(&v->s)) {
		plane = (plane & 2) | (off & 1);
		off >>= 1;
	}
	v->s.latch = cell_load(v, off);
	if (!(gr[GR_MODE] & 8))
		return (uint8_t)(v->s.latch >> (plane * 8));
	diff = (v->s.latch ^ expand[gr[GR_COMPARE]]) & expand[gr[GR_DONT_CARE]];
	diff |= diff >> 16;
	return (uint8_t)~(diff | diff >> 8);
}

/* --- the window --- */

/* Where in vram byte off of the window is, in the two fast modes. */
static uint32_t fast_index(const struct vga *v, uint32_t off)
{
	return v->access == VGA_TEXT ? (off & ~1u) << 1 | (off & 1) : (off + v->bank) & (VGA_VRAM_SIZE - 1);
}

static void byte_write(struct vga *v, uint32_t off, uint8_t val)
{
	if (off - v->win_base >= v->win_size)
		return;
	off -= v->win_base;
	if (v->access == VGA_PLANAR)
		planar_write(v, off + v->bank, val);
	else
		v->vram[fast_index(v, off)] = val;
}

static uint8_t byte_read(struct vga *v, uint32_t off)
{
	if (off - v->win_base >= v->win_size)
		return 0xff;
	off -= v->win_base;
	return v->access == VGA_PLANAR ? planar_read(v, off + v->bank) : v->vram[fast_index(v, off)];
}

/* An aligned word of a text screen: one character with its attribute. */
static bool text_word(const struct vga *v, uint64_t off, unsigned size)
{
	return v->access == VGA_TEXT && size == 2 && !(off & 1) && off - v->win_base < v->win_size;
}

void vga_mem_write(void *vga, uint64_t off, uint64_t val, unsigned size)
{
	struct vga *v = vga;

	if (text_word(v, off, size)) {
		put_le16(v->vram + (off - v->win_base) * 2, (uint16_t)val);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		byte_write(v, (uint32_t)off + i, (uint8_t)(val >> (i * 8)));
}

uint64_t vga_mem_read(void *vga, uint64_t off, unsigned size)
{
	struct vga *v = vga;
	uint64_t val = 0;

	if (text_word(v, off, size))
		return get_le16(v->vram + (off - v->win_base) * 2);
	for (unsigned i = 0; i < size; i++)
		val |= (uint64_t)byte_read(v, (uint32_t)off + i) << (i * 8);
	return val;
}

/* --- the derived mode --- */

/* What the CPU writes is what memory gets. */
static bool plain_data(const struct vga_state *s)
{
	return !(s->gr[GR_MODE] & 0x0b) && !s->gr[GR_ENABLE_SR] && !s->gr[GR_ROTATE] && s->gr[GR_BIT_MASK] == 0xff;
}

static enum vga_access access_mode(const struct vga_state *s)
{
	uint8_t mode = s->seq[SEQ_MEM_MODE], planes = s->seq[SEQ_MAP_MASK];

	if (!plain_data(s))
		return VGA_PLANAR;
	if ((mode & 8) && planes == 0xf)
		return VGA_LINEAR;
	if (!(mode & 8) && odd_even_write(s) && odd_even_read(s) && planes == 3 && !(s->gr[GR_READ_MAP] & 2))
		return VGA_TEXT;
	return VGA_PLANAR;
}

static void map_direct(struct vga *v)
{
	bool want = v->access == VGA_LINEAR && v->win_base == 0 && v->win_size >= 0x10000;
	uint8_t *host = v->vram + v->bank;

	if (!v->cfg.mem || (want == v->direct.enabled && (!want || host == v->direct.host)))
		return;
	if (v->direct.enabled)
		mem_region_disable(v->cfg.mem, &v->direct);
	v->direct.host = host;
	if (want)
		mem_region_enable(v->cfg.mem, &v->direct);
}

void vga_mem_update(struct vga *v)
{
	static const struct { uint32_t base, size; } windows[4] = { /* graphics controller, miscellaneous, bits 3:2 */
		{0, 0x20000}, {0, 0x10000}, {0x10000, 0x8000}, {0x18000, 0x8000},
	};
	unsigned n = v->s.gr[GR_MISC] >> 2 & 3;

	v->access = access_mode(&v->s);
	v->win_base = windows[n].base;
	v->win_size = v->s.misc & 2 ? windows[n].size : 0;
	v->bank = vbe_on(v) ? (uint32_t)v->s.vbe[VBE_BANK] << 16 : 0;
	map_direct(v);
}
