// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the VGA's port registers: sequencer, CRTC, graphics and attribute controllers, DAC, status
 *
 * Ports are bytes; index and data written as one word are split by mem. Bits a register does not have read as 0.
 * The retrace bits are computed from the clock and the CRTC's own timing, so that programs which wait for
 * retrace run at the speed their mode has.
 *
 * Sources: IBM VGA Technical Reference (1992); FreeVGA's register descriptions.
 */
#include "dev/vga/vga_int.h"

#include <string.h>

static const uint8_t seq_mask[8] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0};
static const uint8_t gr_mask[16] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff};
static const uint8_t ar_mask[32] = {
	0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f,
	0x0f, 0x0f,
};

/* --- sequencer and graphics controller --- */

static void seq_write(struct vga *v, uint8_t val)
{
	unsigned n = v->s.seq_index & 7;

	v->s.seq[n] = val & seq_mask[n];
	if (n == SEQ_MAP_MASK || n == SEQ_MEM_MODE)
		vga_mem_update(v);
}

static void gr_write(struct vga *v, uint8_t val)
{
	unsigned n = v->s.gr_index & 15;

	v->s.gr[n] = val & gr_mask[n];
	if (n != GR_SET_RESET && n != GR_COMPARE && n != GR_DONT_CARE)
		vga_mem_update(v);
}

/* --- CRTC --- */

/* "Vertical retrace end, bit 7: protect registers 0-7"; the line compare bit in the overflow register stays
 * writable. */
static void cr_write(struct vga *v, uint8_t val)
{
	unsigned n = v->s.cr_index;

	if (n >= CR_COUNT)
		return;
	if (n <= CR_OVERFLOW && (v->s.cr[CR_V_SYNC_END] & 0x80)) {
		if (n == CR_OVERFLOW)
			v->s.cr[n] = (v->s.cr[n] & ~0x10) | (val & 0x10);
		return;
	}
	v->s.cr[n] = val;
}

static uint8_t cr_read(const struct vga *v)
{
	return v->s.cr_index < CR_COUNT ? v->s.cr[v->s.cr_index] : 0;
}

/* --- attribute controller --- */

static void ar_write(struct vga *v, uint8_t val)
{
	unsigned n = v->s.ar_index & 31;

	v->s.ar_data = !v->s.ar_data;
	if (v->s.ar_data)
		v->s.ar_index = val & 0x3f;
	else
		v->s.ar[n] = val & ar_mask[n];
}

/* --- DAC --- */

static void dac_data_write(struct vga *v, uint8_t val)
{
	struct vga_state *s = &v->s;

	s->dac_cache[s->dac_sub] = s->vbe[VBE_ENABLE] & VBE_8BIT_DAC ? val : val & 0x3f;
	if (++s->dac_sub < 3)
		return;
	memcpy(&s->palette[s->dac_write * 3], s->dac_cache, 3);
	s->dac_sub = 0;
	s->dac_write++;
}

static uint8_t dac_data_read(struct vga *v)
{
	struct vga_state *s = &v->s;
	uint8_t val = s->palette[s->dac_read * 3 + s->dac_sub];

	if (++s->dac_sub == 3) {
		s->dac_sub = 0;
		s->dac_read++;
	}
	return val;
}

static void dac_index(struct vga *v, uint8_t val, bool reading)
{
	if (reading)
		v->s.dac_read = val;
	else
		v->s.dac_write = val;
	v->s.dac_sub = 0;
	v->s.dac_state = reading ? 3 : 0;
}

/* --- status --- */

/* Time of one scan line in ns. Misc output bits 3:2 choose the dot clock, sequencer register 1 its divider and
 * width. */
static uint64_t line_ns(const struct vga_state *s)
{
	uint64_t dots = (uint64_t)(s->cr[CR_H_TOTAL] + 5) * (s->seq[SEQ_CLOCKING] & 1 ? 8 : 9);
	uint64_t khz = s->misc & 0x0c ? 28322 : 25175;

	if (s->seq[SEQ_CLOCKING] & 8)
		dots *= 2;
	return dots * 1000000 / khz;
}

/* Input status 1: bit 0 the beam is outside the display area, bit 3 in vertical retrace. */
static uint8_t status1(struct vga *v)
{
	const struct vga_state *s = &v->s;
	uint64_t line = line_ns(s), pos = loop_now(v->cfg.loop) % (line * vga_v_total(s));
	unsigned y = (unsigned)(pos / line), x = (unsigned)(pos % line);
	unsigned sync = vga_v_sync(s), sync_len = (s->cr[CR_V_SYNC_END] - sync) & 15;
	bool blank = y >= vga_v_disp(s) || x >= line * (s->cr[CR_H_DISP] + 1u) / (s->cr[CR_H_TOTAL] + 5u);

	v->s.ar_data = false;
	if (y - sync < MAX(sync_len, 1u))
		return 0x09;
	return blank ? 0x01 : 0x00;
}

/* The CRTC answers at 0x3dx or 0x3bx, as misc output bit 0 says. */
static bool other_base(const struct vga *v, uint16_t port)
{
	if (port >= 0x3c0 && port < 0x3d0)
		return false;
	return (port >= 0x3d0) != (v->s.misc & 1);
}

uint8_t vga_port_read(struct vga *v, uint16_t port)
{
	const struct vga_state *s = &v->s;

	if (other_base(v, port))
		return 0xff;
	switch (port) {
	case 0x3c0: return s->ar_index;
	case 0x3c1: return s->ar[s->ar_index & 31];
	case 0x3c2: return 0x10; /* input status 0: a colour monitor loads the DAC */
	case 0x3c3: return 1;
	case 0x3c4: return s->seq_index;
	case 0x3c5: return s->seq[s->seq_index & 7];
	case 0x3c6: return s->dac_mask;
	case 0x3c7: return s->dac_state;
	case 0x3c8: return s->dac_write;
	case 0x3c9: return dac_data_read(v);
	case 0x3ca: return s->feature;
	case 0x3cc: return s->misc;
	case 0x3ce: return s->gr_index;
	case 0x3cf: return s->gr[s->gr_index & 15];
	case 0x3b4:
	case 0x3d4: return s->cr_index;
	case 0x3b5:
	case 0x3d5: return cr_read(v);
	case 0x3ba:
	case 0x3da: return status1(v);
	default: return 0xff;
	}
}

void vga_port_write(struct vga *v, uint16_t port, uint8_t val)
{
	struct vga_state *s = &v->s;

	if (other_base(v, port))
		return;
	switch (port) {
	case 0x3c0:
	case 0x3c1: ar_write(v, val); break;
	case 0x3c2: s->misc = val & 0xef; vga_mem_update(v); break;
	case 0x3c4: s->seq_index = val & 7; break;
	case 0x3c5: seq_write(v, val); break;
	case 0x3c6: s->dac_mask = val; break;
	case 0x3c7: dac_index(v, val, true); break;
	case 0x3c8: dac_index(v, val, false); break;
	case 0x3c9: dac_data_write(v, val); break;
	case 0x3ce: s->gr_index = val & 15; break;
	case 0x3cf: gr_write(v, val); break;
	case 0x3b4:
	case 0x3d4: s->cr_index = val; break;
	case 0x3b5:
	case 0x3d5: cr_write(v, val); break;
	case 0x3ba:
	case 0x3da: s->feature = val & 0x10; break;
	}
}

void vga_regs_reset(struct vga *v)
{
	memset(&v->s, 0, sizeof(v->s));
	v->s.dac_mask = 0xff;
	v->s.gr[GR_BIT_MASK] = 0xff;
	v->s.misc = 0x01; /* colour addresses, so that a probe finds the CRTC; the window off until the BIOS opens it */
}
