// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the files of the VGA share: its registers, its derived memory mode, its video RAM */
#ifndef DEV_VGA_VGA_INT_H
#define DEV_VGA_VGA_INT_H

#include "dev/vga/vga.h"

/* Indices into the register files, IBM VGA Technical Reference (1992) chapter 2. */
enum { SEQ_RESET, SEQ_CLOCKING, SEQ_MAP_MASK, SEQ_CHAR_MAP, SEQ_MEM_MODE };
enum { GR_SET_RESET, GR_ENABLE_SR, GR_COMPARE, GR_ROTATE, GR_READ_MAP, GR_MODE, GR_MISC, GR_DONT_CARE, GR_BIT_MASK };
enum {
	CR_H_TOTAL = 0x00, CR_H_DISP = 0x01, CR_V_TOTAL = 0x06, CR_OVERFLOW = 0x07, CR_MAX_SCAN = 0x09,
	CR_CURSOR_START = 0x0a,
	CR_CURSOR_END = 0x0b, CR_START_HIGH = 0x0c, CR_START_LOW = 0x0d, CR_CURSOR_HIGH = 0x0e, CR_CURSOR_LOW = 0x0f,
	CR_V_SYNC_START = 0x10, CR_V_SYNC_END = 0x11, CR_V_DISP = 0x12, CR_OFFSET = 0x13, CR_UNDERLINE = 0x14,
	CR_MODE = 0x17,
	CR_LINE_COMPARE = 0x18, CR_COUNT = 0x19,
};
enum { AR_MODE = 0x10, AR_OVERSCAN = 0x11, AR_PLANES = 0x12, AR_PAN = 0x13, AR_COLOR_SELECT = 0x14, AR_COUNT = 0x15 };

/* Dispi registers: Bochs VBE, ids up to 0xb0c5. */
enum {
	VBE_ID, VBE_XRES, VBE_YRES, VBE_BPP, VBE_ENABLE, VBE_BANK, VBE_VIRT_WIDTH, VBE_VIRT_HEIGHT, VBE_X_OFFSET,
	VBE_Y_OFFSET,
	VBE_VRAM_64K, VBE_COUNT,
};
#define VBE_ENABLED     0x01u
#define VBE_GETCAPS     0x02u
#define VBE_8BIT_DAC    0x20u
#define VBE_NOCLEAR     0x80u

struct vga_state {
	uint32_t latch;
	uint8_t misc;
	uint8_t feature;
	uint8_t seq_index;
	uint8_t gr_index;
	uint8_t cr_index;
	uint8_t ar_index;      /* bit 5: the display takes the palette (palette address source) */
	bool ar_data;          /* flip-flop: the next write to 0x3c0 is data */
	uint8_t seq[8];
	uint8_t gr[16];
	uint8_t cr[32];
	uint8_t ar[32];
	uint8_t dac_mask;
	uint8_t dac_read;
	uint8_t dac_write;
	uint8_t dac_sub;       /* component of the colour under way, 0 to 2 */
	uint8_t dac_state;     /* 0: writing, 3: reading */
	uint8_t dac_cache[3];
	uint8_t palette[768];
	uint8_t vbe_low;       /* first half of a word written to the odd port 0x1cf */
	uint16_t vbe_index;
	uint16_t vbe[VBE_COUNT];
};

/* How an access to the window is served; derived from the registers by vga_mem_update(). */
enum vga_access {
	VGA_PLANAR,   /* everything the sequencer and graphics controller can do */
	VGA_TEXT,     /* character and attribute, nothing in between */
	VGA_LINEAR,   /* chain-4, nothing in between: also mapped as memory */
};

struct vga {
	struct vga_state s;
	struct vga_config cfg;
	uint8_t *vram;
	uint8_t *rom;
	uint32_t rom_size;
	enum vga_access access;
	uint32_t win_base, win_size; /* what of [0xa0000, 0xc0000) answers, relative to 0xa0000; size 0: nothing */
	uint32_t bank;               /* bytes */
	struct mem_region window;    /* all 128 KiB, calls vga_mem_read and vga_mem_write */
	struct mem_region direct;    /* 64 KiB over it while access is VGA_LINEAR */
	struct mem_ports ports;
	struct mem_ports dispi;
	struct pci_dev pci;
};

/* vga_mem.c: recompute access, win_*, bank and map what can be mapped. */
void vga_mem_update(struct vga *v);
/* vga_regs.c */
void vga_regs_reset(struct vga *v);
/* vbe.c */
void vbe_reset(struct vga *v);
bool vbe_on(const struct vga *v);
/* Bytes from one line to the next (of one plane at 4 bits a pixel). */
uint32_t vbe_pitch(const struct vga *v);
extern const struct mem_ops vbe_port_ops;

/* Vertical geometry in scan lines, with the overflow bits put together. */
static inline unsigned vga_v_total(const struct vga_state *s)
{
	return (s->cr[CR_V_TOTAL] | (s->cr[CR_OVERFLOW] & 1) << 8 | (s->cr[CR_OVERFLOW] & 0x20) << 4) + 2u;
}
static inline unsigned vga_v_disp(const struct vga_state *s)
{
	return (s->cr[CR_V_DISP] | (s->cr[CR_OVERFLOW] & 2) << 7 | (s->cr[CR_OVERFLOW] & 0x40) << 3) + 1u;
}
static inline unsigned vga_v_sync(const struct vga_state *s)
{
	return s->cr[CR_V_SYNC_START] | (s->cr[CR_OVERFLOW] & 4) << 6 | (s->cr[CR_OVERFLOW] & 0x80) << 2;
}
static inline unsigned vga_line_compare(const struct vga_state *s)
{
	return s->cr[CR_LINE_COMPARE] | (s->cr[CR_OVERFLOW] & 0x10) << 4 | (s->cr[CR_MAX_SCAN] & 0x40) << 3;
}
static inline unsigned vga_start(const struct vga_state *s)
{
	return s->cr[CR_START_HIGH] << 8 | s->cr[CR_START_LOW];
}
/* The screen shows memory at all. */
static inline bool vga_visible(const struct vga_state *s)
{
	return (s->ar_index & 0x20) && !(s->seq[SEQ_CLOCKING] & 0x20);
}

#endif
