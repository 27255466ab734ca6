// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the VGA as a whole: its place on the buses, construction, reset, state
 *
 *   BAR 0   16 MiB of video RAM, plain memory
 *   BAR 2   4 KiB: ports 0x3c0-0x3df at 0x400, dispi registers at 0x500 (2 bytes each), as Linux' bochs-drm uses them
 *   ROM     the video BIOS
 *
 * The legacy ports and the window at 0xa0000 answer whatever the PCI command register says, as on the boards this
 * follows: the video BIOS runs before anybody has enabled anything.
 */
#include "dev/vga/vga_int.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ROM_MAX (256u << 10)

/* --- ports --- */

static uint64_t port_read(void *opaque, uint64_t off, unsigned size)
{
	return vga_port_read(opaque, (uint16_t)(0x3b0 + off));
}

static void port_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	vga_port_write(opaque, (uint16_t)(0x3b0 + off), (uint8_t)val);
}

static const struct mem_ops port_ops = {.read = port_read, .write = port_write, .max_size = 1};
static const struct mem_ops window_ops = {.read = vga_mem_read, .write = vga_mem_write, .max_size = 8};

/* --- BAR 2 --- */

enum { BAR2_PORTS = 0x400, BAR2_DISPI = 0x500, BAR2_EXT = 0x600 };
#define EXT_LITTLE_ENDIAN 0x1e1e1e1eu

static uint64_t bar2_read(void *opaque, uint64_t off, unsigned size)
{
	struct vga *v = opaque;

	if (off >= BAR2_PORTS && off < BAR2_PORTS + 0x20)
		return vga_port_read(v, (uint16_t)(0x3c0 + off - BAR2_PORTS));
	if (off >= BAR2_DISPI && off < BAR2_DISPI + 2 * VBE_COUNT)
		return vbe_read(v, (uint16_t)((off - BAR2_DISPI) / 2)) >> (off & 1) * 8;
	if (off == BAR2_EXT)
		return 8; /* bytes of extended registers */
	return off == BAR2_EXT + 4 ? EXT_LITTLE_ENDIAN : 0;
}

static void bar2_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct vga *v = opaque;

	if (off >= BAR2_PORTS && off < BAR2_PORTS + 0x20) {
		vga_port_write(v, (uint16_t)(0x3c0 + off - BAR2_PORTS), (uint8_t)val);
		if (size == 2) /* index and data at once, as on the port bus */
			vga_port_write(v, (uint16_t)(0x3c1 + off - BAR2_PORTS), (uint8_t)(val >> 8));
	} else if (off >= BAR2_DISPI && off < BAR2_DISPI + 2 * VBE_COUNT && !(off & 1)) {
		vbe_write(v, (uint16_t)((off - BAR2_DISPI) / 2), (uint16_t)val);
	}
}

static const struct mem_ops bar2_ops = {.read = bar2_read, .write = bar2_write, .max_size = 2};

/* --- construction --- */

static void add_pci(struct vga *v)
{
	struct pci_dev *d = &v->pci;

	d->name = "vga";
	d->opaque = v;
	pci_set_ids(d, 0x1234, 0x1111, 0x030000, 2, 0x1af4, 0x1100, 0);
	d->wmask[0x04] |= 1; /* the legacy ports are I/O space too; SeaBIOS runs no video BIOS on a card without the bit */
	d->bar[0] = (struct pci_bar){
		.kind = PCI_BAR_MEM32, .prefetchable = true, .size = VGA_VRAM_SIZE,
		.region = {.name = "vga-vram", .priority = 1, .host = v->vram, .writable = true},
	};
	d->bar[2] = (struct pci_bar){
		.kind = PCI_BAR_MEM32, .size = 4096,
		.region = {.name = "vga-mmio", .priority = 1, .ops = &bar2_ops, .opaque = v},
	};
	if (v->rom)
		d->bar[6] = (struct pci_bar){
			.kind = PCI_BAR_ROM, .size = v->rom_size,
			.region = {.name = "vga-rom", .priority = 1, .host = v->rom},
		};
	pci_add(v->cfg.pci, d, v->cfg.devfn);
}

static void add_legacy(struct vga *v)
{
	struct mem *mem = v->cfg.mem;

	v->window = (struct mem_region){
		.name = "vga-window", .base = 0xa0000, .size = 0x20000, .priority = 5, .ops = &window_ops, .opaque = v,
	};
	v->direct = (struct mem_region){
		.name = "vga-chain4", .base = 0xa0000, .size = 0x10000, .priority = 6, .host = v->vram, .writable = true,
	};
	v->ports = (struct mem_ports){.name = "vga", .base = 0x3b0, .count = 0x30, .ops = &port_ops, .opaque = v};
	v->dispi = (struct mem_ports){.name = "vbe", .base = 0x1ce, .count = 4, .ops = &vbe_port_ops, .opaque = v};
	if (!mem)
		return;
	mem_region_enable(mem, &v->window);
	mem_ports_enable(mem, &v->ports);
	mem_ports_enable(mem, &v->dispi);
}

static void *map_zeroed(size_t size, struct err *err)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p != MAP_FAILED)
		return p;
	err_set(err, -errno, "cannot get %zu KiB of video memory: %s", size >> 10, strerror(errno));
	return NULL;
}

static int load_rom(struct vga *v, struct err *err)
{
	uint32_t size = 4096;

	if (!v->cfg.rom)
		return 0;
	if (v->cfg.rom_size > ROM_MAX)
		return err_set(err, -EFBIG, "the video BIOS is larger than %u KiB", ROM_MAX >> 10);
	while (size < v->cfg.rom_size)
		size *= 2;
	v->rom = map_zeroed(size, err);
	if (!v->rom)
		return -ENOMEM;
	v->rom_size = size;
	memcpy(v->rom, v->cfg.rom, v->cfg.rom_size);
	v->cfg.rom = NULL;
	return 0;
}

void vga_reset(struct vga *v)
{
	vga_regs_reset(v);
	vbe_reset(v);
	vga_mem_update(v);
}

static const struct st_field vga_type_fields[] = {
	ST(struct vga_state, latch), ST(struct vga_state, misc), ST(struct vga_state, feature),
	ST(struct vga_state, seq_index),
	ST(struct vga_state, gr_index), ST(struct vga_state, cr_index), ST(struct vga_state, ar_index),
	ST(struct vga_state, ar_data), ST_ARRAY(struct vga_state, seq), ST_ARRAY(struct vga_state, gr),
	ST_ARRAY(struct vga_state, cr), ST_ARRAY(struct vga_state, ar), ST(struct vga_state, dac_mask),
	ST(struct vga_state, dac_read), ST(struct vga_state, dac_write), ST(struct vga_state, dac_sub),
	ST(struct vga_state, dac_state), ST_ARRAY(struct vga_state, dac_cache), ST_ARRAY(struct vga_state, palette),
	ST(struct vga_state, vbe_index), ST_ARRAY(struct vga_state, vbe), ST(struct vga_state, vbe_low),
};

static const char *vga_check(const void *state)
{
	const struct vga_state *s = state;

	if (s->dac_sub > 2)
		return "colour component beyond blue";
	if ((s->gr[GR_SET_RESET] | s->gr[GR_ENABLE_SR] | s->gr[GR_COMPARE] | s->gr[GR_DONT_CARE] |
	     s->seq[SEQ_MAP_MASK]) > 15)
		return "more than four planes";
	if (s->gr[GR_READ_MAP] > 3)
		return "read plane beyond 3";
	return s->vbe[VBE_BANK] >= VGA_VRAM_SIZE / 65536 ? "bank beyond video memory" : NULL;
}

static ST_TYPE(vga_type, struct vga_state, 1, vga_check);

/* A snapshot may hold any mode: let the dispi registers be fitted as a guest's write would. */
static void vga_loaded(void *opaque)
{
	struct vga *v = opaque;

	if (vbe_on(v))
		vbe_write(v, VBE_XRES, v->s.vbe[VBE_XRES]);
	vga_mem_update(v);
}

struct vga *vga_new(const struct vga_config *cfg, struct err *err)
{
	struct vga *v = xalloc(sizeof(*v));

	v->cfg = *cfg;
	v->vram = map_zeroed(VGA_VRAM_SIZE, err);
	if (!v->vram || load_rom(v, err) < 0)
		goto fail;
	add_legacy(v);
	if (cfg->pci)
		add_pci(v);
	vga_reset(v);
	if (cfg->set)
		state_set_add(cfg->set, "vga", &vga_type, &v->s, vga_loaded, v);
	if (cfg->set && cfg->pci)
		pci_register_state(&v->pci, cfg->set, "vga");
	return v;
fail:
	vga_free(v);
	return NULL;
}

void vga_free(struct vga *v)
{
	if (!v)
		return;
	if (v->direct.enabled)
		mem_region_disable(v->cfg.mem, &v->direct);
	if (v->window.enabled)
		mem_region_disable(v->cfg.mem, &v->window);
	if (v->ports.enabled)
		mem_ports_disable(v->cfg.mem, &v->ports);
	if (v->dispi.enabled)
		mem_ports_disable(v->cfg.mem, &v->dispi);
	if (v->vram)
		munmap(v->vram, VGA_VRAM_SIZE);
	if (v->rom)
		munmap(v->rom, v->rom_size);
	free(v);
}

uint8_t *vga_vram(struct vga *v)
{
	return v->vram;
}
