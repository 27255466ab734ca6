// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the VGA with Bochs VBE extensions on PCI (1234:1111), as the stdvga video BIOS expects it */
#ifndef DEV_VGA_VGA_H
#define DEV_VGA_VGA_H

#include "base/loop.h"
#include "dev/pci/pci.h"
#include "mem/mem.h"
#include "state/state.h"

#define VGA_VRAM_SIZE (16u << 20)

struct vga;

struct vga_config {
	struct loop *loop;
	struct state_set *set;   /* may be NULL */
	struct mem *mem;         /* ports and the window at 0xa0000; may be NULL in tests */
	struct pci_bus *pci;     /* may be NULL: plain VGA */
	uint8_t devfn;
	const void *rom;         /* the video BIOS, copied; may be NULL */
	uint32_t rom_size;       /* at most 256 KiB */
};

/* NULL with err if the host has no memory. All functions: device lock held. */
struct vga *vga_new(const struct vga_config *cfg, struct err *err);
void vga_free(struct vga *v);
void vga_reset(struct vga *v);

/* Ports 0x3b0-0x3df, for tests. */
uint8_t vga_port_read(struct vga *v, uint16_t port);
void vga_port_write(struct vga *v, uint16_t port, uint8_t val);
/* Dispi registers by index. */
uint16_t vbe_read(struct vga *v, uint16_t index);
void vbe_write(struct vga *v, uint16_t index, uint16_t val);
/* The window; off 0 is 0xa0000. size 1 to 8. */
uint64_t vga_mem_read(void *vga, uint64_t off, unsigned size);
void vga_mem_write(void *vga, uint64_t off, uint64_t val, unsigned size);
uint8_t *vga_vram(struct vga *v);

/* The text screen, as struct ui_text_source wants it. 0 cells in graphics modes. */
unsigned vga_text_snapshot(void *vga, uint16_t *cells, unsigned max, unsigned *cols, unsigned *rows, int *cursor);

/* The screen as 24-bit RGB in any mode. Sets the size; returns malloc()ed width * height * 3 bytes, or NULL (blank,
 * no memory). */
uint8_t *vga_render(struct vga *v, unsigned *width, unsigned *height);
/* The same into a PPM file. 0 or negative errno. */
int vga_screenshot(struct vga *v, const char *path, struct err *err);

#endif
