// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the text screen as cells, read out of video RAM the way the CRTC would
 *
 * Geometry comes from the CRTC registers, so 80x25, 80x50, 40x25, 132 columns and whatever a guest invents
 * come out alike. Nothing the guest programs can make the loops long: columns and rows are bounded by 8-bit
 * and 10-bit registers and by the caller's max.
 */
#include "dev/vga/vga_int.h"

#define BLANK 0x0020

static bool text_mode(const struct vga *v)
{
	return !vbe_on(v) && !(v->s.gr[GR_MISC] & 1);
}

static unsigned row_count(const struct vga_state *s)
{
	unsigned height = (s->cr[CR_MAX_SCAN] & 0x1f) + 1u;

	if (s->cr[CR_MAX_SCAN] & 0x80)
		height *= 2;
	return vga_v_disp(s) / height;
}

/* Cursor position as a cell of the screen, or -1: off, or outside what is shown. */
static int cursor_cell(const struct vga_state *s, unsigned cols, unsigned rows)
{
	unsigned pitch = s->cr[CR_OFFSET] * 2u;
	unsigned rel = ((s->cr[CR_CURSOR_HIGH] << 8 | s->cr[CR_CURSOR_LOW]) - vga_start(s)) & 0xffff;

	if ((s->cr[CR_CURSOR_START] & 0x20) || (s->cr[CR_CURSOR_START] & 0x1f) > (s->cr[CR_CURSOR_END] & 0x1f) || !pitch)
		return -1;
	if (rel / pitch >= rows || rel % pitch >= cols)
		return -1;
	return (int)(rel / pitch * cols + rel % pitch);
}

unsigned vga_text_snapshot(void *vga, uint16_t *cells, unsigned max, unsigned *cols, unsigned *rows, int *cursor)
{
	struct vga *v = vga;
	const struct vga_state *s = &v->s;
	unsigned w = s->cr[CR_H_DISP] + 1u, h = row_count(s);
	bool visible = vga_visible(s);

	if (!text_mode(v) || !h)
		return 0;
	w = MIN(w, max);
	h = MIN(h, max / w);
	for (unsigned y = 0; y < h; y++) {
		unsigned addr = vga_start(s) + y * s->cr[CR_OFFSET] * 2u;

		for (unsigned x = 0; x < w; x++)
			cells[y * w + x] = visible ? get_le16(v->vram + ((addr + x) & 0xffff) * 4) : BLANK;
	}
	*cols = w;
	*rows = h;
	*cursor = visible ? cursor_cell(s, w, h) : -1;
	return w * h;
}
