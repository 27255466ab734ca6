// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the screen as RGB, in any mode, for screenshots and graphical displays
 *
 * One function a kind of memory layout fills a line of palette indices or colours; the CRTC's counters (start
 * address, offset, line compare, doubled lines) are followed once, in render_vga().
 *
 * I1  A picture is at most 2304 x 1024 in VGA modes (8-bit columns of 9 dots, 10-bit lines) and what VBE fitted
 *     otherwise: the allocation is bounded.
 *
 * Sources: IBM VGA Technical Reference, CRTC and attribute controller; vbe.c for the dispi modes.
 */
#include "dev/vga/vga_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RGB_MAX (4096u * 4096u * 3u)

struct picture {
	const struct vga *v;
	uint8_t *rgb;
	unsigned width, height;
	unsigned repeat;         /* scan lines a line of memory is shown */
	uint8_t colors[256][3];  /* DAC output, 8 bits */
};

static void put_index(struct picture *p, uint8_t *out, uint8_t index)
{
	memcpy(out, p->colors[index & p->v->s.dac_mask], 3);
}

/* Attribute to DAC index: the palette, with bits 7:4 or 7:6 from the colour select register. */
static uint8_t attr_color(const struct vga_state *s, uint8_t nibble)
{
	uint8_t c = s->ar[nibble & 15], select = s->ar[AR_COLOR_SELECT];

	if (s->ar[AR_MODE] & 0x80)
		return (uint8_t)((c & 0x0f) | (select & 0x0f) << 4);
	return (uint8_t)(c | (select & 0x0c) << 4);
}

static const uint8_t *plane_cell(const struct vga *v, unsigned addr)
{
	return v->vram + (addr & 0xffff) * 4;
}

/* --- VGA line kinds: fill width pixels of a scan line that starts at addr; sub: scan line within the row --- */

/* The cursor covers scan lines start to end of its cell. */
static bool cursor_here(const struct vga_state *s, unsigned addr, unsigned sub)
{
	return addr == (unsigned)(s->cr[CR_CURSOR_HIGH] << 8 | s->cr[CR_CURSOR_LOW]) && !(s->cr[CR_CURSOR_START] & 0x20) &&
	       sub >= (s->cr[CR_CURSOR_START] & 0x1fu) && sub <= (s->cr[CR_CURSOR_END] & 0x1fu);
}

/* Sequencer character map select: bits 5,3:2 for attribute bit 3 set, 4,1:0 for clear; tables of 8 KiB, odd ones
 * between. */
static unsigned font_base(const struct vga_state *s, uint8_t attribute)
{
	uint8_t sel = s->seq[SEQ_CHAR_MAP];
	unsigned n = attribute & 8 ? (sel >> 2 & 3) | (sel >> 3 & 4) : (sel & 3) | (sel >> 2 & 4);

	return (n & 3) * 0x4000 + (n & 4) * 0x800;
}

static void text_line(struct picture *p, uint8_t *out, unsigned addr, unsigned sub)
{
	const struct vga_state *s = &p->v->s;
	unsigned dots = s->seq[SEQ_CLOCKING] & 1 ? 8 : 9;
	bool blink = s->ar[AR_MODE] & 8;

	for (unsigned x = 0; x + dots <= p->width; x += dots, addr++, out += dots * 3) {
		const uint8_t *cell = plane_cell(p->v, addr);
		unsigned bits = plane_cell(p->v, font_base(s, cell[1]) + cell[0] * 32u + sub)[2] << 1;
		uint8_t fg = attr_color(s, cell[1] & 15), bg = attr_color(s, cell[1] >> 4 & (blink ? 7 : 15));

		if ((s->ar[AR_MODE] & 4) && (cell[0] & 0xe0) == 0xc0) /* line graphics run into the ninth dot */
			bits |= bits >> 1 & 1;
		if (cursor_here(s, addr & 0xffff, sub))
			bits = 0x1ff;
		for (unsigned i = 0; i < dots; i++)
			put_index(p, out + i * 3, bits >> (8 - i) & 1 ? fg : bg);
	}
}

static void planar_line(struct picture *p, uint8_t *out, unsigned addr, unsigned sub)
{
	const struct vga_state *s = &p->v->s;

	for (unsigned x = 0; x + 8 <= p->width; x += 8, addr++) {
		const uint8_t *cell = plane_cell(p->v, addr);

		for (unsigned i = 0; i < 8; i++, out += 3) {
			unsigned b = 7 - i;
			unsigned c = (cell[0] >> b & 1) | (cell[1] >> b & 1) << 1 | (cell[2] >> b & 1) << 2 |
				(cell[3] >> b & 1) << 3;

			put_index(p, out, attr_color(s, (uint8_t)(c & s->ar[AR_PLANES])));
		}
	}
}

/* Four colours (CGA): two bits a pixel, bytes alternate between planes 0 and 1. */
static void cga_line(struct picture *p, uint8_t *out, unsigned addr, unsigned sub)
{
	const struct vga_state *s = &p->v->s;

	for (unsigned x = 0; x + 8 <= p->width; x += 8, addr++) {
		const uint8_t *cell = plane_cell(p->v, addr);
		unsigned bits = cell[0] << 8 | cell[1];

		for (unsigned i = 0; i < 8; i++, out += 3)
			put_index(p, out, attr_color(s, bits >> (14 - 2 * i) & 3));
	}
}

/* 256 colours: a cell's four planes are four pixels. */
static void chain_line(struct picture *p, uint8_t *out, unsigned addr, unsigned sub)
{
	for (unsigned x = 0; x + 4 <= p->width; x += 4, addr++)
		for (unsigned i = 0; i < 4; i++, out += 3)
			put_index(p, out, plane_cell(p->v, addr)[i]);
}

typedef void line_fn(struct picture *p, uint8_t *out, unsigned addr, unsigned sub);

static line_fn *line_kind(struct picture *p)
{
	const struct vga_state *s = &p->v->s;
	unsigned cols = s->cr[CR_H_DISP] + 1u;

	if (!(s->gr[GR_MISC] & 1)) {
		p->width = cols * (s->seq[SEQ_CLOCKING] & 1 ? 8 : 9);
		return text_line;
	}
	p->width = cols * 8;
	if (s->gr[GR_MODE] & 0x40) {
		p->width = cols * 4;
		return chain_line;
	}
	return s->gr[GR_MODE] & 0x20 ? cga_line : planar_line;
}

static void render_vga(struct picture *p, line_fn *line)
{
	const struct vga_state *s = &p->v->s;
	unsigned row_lines = (s->cr[CR_MAX_SCAN] & 0x1f) + 1u, addr = vga_start(s), sub = 0;
	bool interleave = !(s->cr[CR_MODE] & 1); /* CGA: address bit 13 is the scan line's lowest */

	for (unsigned y = 0; y < p->height; y++) {
		unsigned scan = y * p->repeat, at = addr;

		if (interleave && (sub & 1))
			at |= 0x2000 >> (line == cga_line);
		line(p, p->rgb + (size_t)y * p->width * 3, at, sub);
		sub++;
		if (sub >= row_lines) {
			sub = 0;
			addr += s->cr[CR_OFFSET] * 2u;
		}
		if (scan + p->repeat > vga_line_compare(s) && scan <= vga_line_compare(s)) {
			addr = 0;
			sub = 0;
		}
	}
}

/* --- VBE --- */

static void vbe_pixel(struct picture *p, uint8_t *out, const uint8_t *in, unsigned bpp)
{
	unsigned c;

	switch (bpp) {
	case 8:
		put_index(p, out, in[0]);
		return;
	case 15:
		c = get_le16(in);
		out[0] = (uint8_t)((c >> 10 & 31) * 255 / 31);
		out[1] = (uint8_t)((c >> 5 & 31) * 255 / 31);
		out[2] = (uint8_t)((c & 31) * 255 / 31);
		return;
	case 16:
		c = get_le16(in);
		out[0] = (uint8_t)((c >> 11) * 255 / 31);
		out[1] = (uint8_t)((c >> 5 & 63) * 255 / 63);
		out[2] = (uint8_t)((c & 31) * 255 / 31);
		return;
	default:
		out[0] = in[2];
		out[1] = in[1];
		out[2] = in[0];
	}
}

static void render_vbe(struct picture *p)
{
	const struct vga_state *s = &p->v->s;
	unsigned bpp = s->vbe[VBE_BPP], bytes = (bpp + 7) / 8;
	uint32_t pitch = vbe_pitch(p->v);

	for (unsigned y = 0; y < p->height; y++) {
		uint64_t line = (uint64_t)pitch * (y + s->vbe[VBE_Y_OFFSET]);
		uint8_t *out = p->rgb + (size_t)y * p->width * 3;

		if (bpp == 4) {
			planar_line(p, out, (unsigned)line + s->vbe[VBE_X_OFFSET] / 8, 0);
			continue;
		}
		for (unsigned x = 0; x < p->width; x++)
			vbe_pixel(p, out + x * 3, p->v->vram + line + (uint64_t)(x + s->vbe[VBE_X_OFFSET]) * bytes, bpp);
	}
}

/* --- the picture --- */

static void fill_colors(struct picture *p)
{
	const struct vga_state *s = &p->v->s;
	bool wide = s->vbe[VBE_ENABLE] & VBE_8BIT_DAC;

	for (unsigned i = 0; i < 256; i++)
		for (unsigned c = 0; c < 3; c++) {
			uint8_t val = s->palette[i * 3 + c];

			p->colors[i][c] = wide ? val : (uint8_t)(val << 2 | (val >> 4 & 3));
		}
}

uint8_t *vga_render(struct vga *v, unsigned *width, unsigned *height)
{
	struct picture p = {.v = v, .repeat = 1};
	line_fn *line = NULL;

	if (vbe_on(v)) {
		p.width = v->s.vbe[VBE_XRES];
		p.height = v->s.vbe[VBE_YRES];
	} else {
		line = line_kind(&p);
		p.repeat = v->s.cr[CR_MAX_SCAN] & 0x80 ? 2 : 1;
		p.height = MAX(vga_v_disp(&v->s) / p.repeat, 1u);
	}
	p.rgb = try_alloc((size_t)p.width * p.height * 3, RGB_MAX);
	if (!p.rgb)
		return NULL;
	fill_colors(&p);
	if (!line)
		render_vbe(&p);
	else if (vga_visible(&v->s))
		render_vga(&p, line);
	*width = p.width;
	*height = p.height;
	return p.rgb;
}

int vga_screenshot(struct vga *v, const char *path, struct err *err)
{
	unsigned w, h;
	uint8_t *rgb = vga_render(v, &w, &h);
	FILE *f;
	int rc = 0;

	if (!rgb)
		return err_set(err, -ENOMEM, "no memory for a picture of the screen");
	f = fopen(path, "wb");
	if (!f) {
		rc = err_set(err, -errno, "cannot write %s: %s", path, strerror(errno));
		free(rgb);
		return rc;
	}
	fprintf(f, "P6\n%u %u\n255\n", w, h);
	fwrite(rgb, 3, (size_t)w * h, f);
	if (ferror(f) | (fclose(f) != 0))
		rc = err_set(err, -EIO, "cannot write all of %s", path);
	free(rgb);
	return rc;
}
