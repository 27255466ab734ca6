// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the Linux x86 boot protocol: a bzImage entered at its 32-bit entry point, without firmware
 *
 * The 32-bit entry serves 32- and 64-bit kernels alike. The kernel's real-mode part never runs: we fill the
 * "zero page" it would have filled, from the setup header in the file and from what we know of the machine.
 * Source: the kernel's Documentation/arch/x86/boot.rst ("boot.rst") and zero-page.rst, cited by field name.
 */
#include "board/kernel_int.h"

#include <stdio.h>
#include <string.h>

/* Offsets in the file's first sectors and in the zero page alike, boot.rst "The Real-Mode Kernel Header". */
enum {
	HDR_SETUP_SECTS = 0x1f1,
	HDR_SYSSIZE = 0x1f4,
	HDR_BOOT_FLAG = 0x1fe,
	HDR_JUMP_LEN = 0x201,
	HDR_MAGIC = 0x202,
	HDR_VERSION = 0x206,
	HDR_LOADER = 0x210,
	HDR_LOADFLAGS = 0x211,
	HDR_CODE32 = 0x214,
	HDR_RAMDISK = 0x218,
	HDR_RAMDISK_SIZE = 0x21c,
	HDR_HEAP_END = 0x224,
	HDR_CMDLINE = 0x228,
	HDR_INITRD_MAX = 0x22c,
	HDR_ALIGN = 0x230,
	HDR_RELOCATABLE = 0x234,
	HDR_XLOADFLAGS = 0x236,
	HDR_CMDLINE_SIZE = 0x238,
	HDR_PREF_ADDRESS = 0x258,
	HDR_INIT_SIZE = 0x260,
	HDR_END = 0x290,
};
/* zero-page.rst */
enum {
	ZP_RSDP = 0x070,
	ZP_ALT_MEM_K = 0x1e0,
	ZP_E820_ENTRIES = 0x1e8,
	ZP_E820_TABLE = 0x2d0,
	ZP_SIZE = 0x1000,
};
#define LOADED_HIGH 1
#define CAN_USE_HEAP 0x80
#define XLF_KERNEL_64 1
#define LOADER_UNDEFINED 0xff

static unsigned version(const struct kernel *k)
{
	return get_le16(k->image.data + HDR_VERSION);
}

static size_t setup_size(const struct kernel *k)
{
	unsigned sects = k->image.data[HDR_SETUP_SECTS];

	return (size_t)(sects ? sects : 4) * 512 + 512;
}

/* Length of the protected-mode code as the header tells it. */
static uint64_t code_size(const struct kernel *k)
{
	return (uint64_t)get_le32(k->image.data + HDR_SYSSIZE) * 16;
}

static int check_command_line(const struct kernel *k, struct err *err)
{
	/* boot.rst, cmdline_size: without the field 255 characters. */
	size_t max = version(k) >= 0x206 ? get_le32(k->image.data + HDR_CMDLINE_SIZE) : 255;

	max = MIN(max, (size_t)KERNEL_CMDLINE_MAX - 1);
	if (strlen(k->append) > max)
		return err_set(err, -EINVAL, "--append has %zu characters, '%s' takes at most %zu", strlen(k->append),
		               k->image.name, max);
	return 0;
}

static int linux_probe(struct kernel *k, struct err *err)
{
	const uint8_t *h = k->image.data;
	unsigned v;

	if (k->image.len < HDR_END || get_le16(h + HDR_BOOT_FLAG) != 0xaa55 || memcmp(h + HDR_MAGIC, "HdrS", 4))
		return 0;
	v = version(k);
	if (v < 0x202 || !(h[HDR_LOADFLAGS] & LOADED_HIGH))
		return err_set(err, -EINVAL, "'%s' is a Linux zImage (boot protocol %u.%02u): only a bzImage can be started",
		               k->image.name, v >> 8, v & 0xff);
	/* The header counts paragraphs; memtest86+ does not pad its file to the last one. */
	if (k->image.len <= setup_size(k) || (v >= 0x204 && k->image.len + 15 < setup_size(k) + code_size(k)))
		return err_set(err, -EINVAL, "'%s' is truncated: its header announces %llu bytes, the file has %zu",
		               k->image.name, setup_size(k) + 0ull + code_size(k), k->image.len);
	snprintf(k->what, sizeof(k->what), "Linux %s-bit (boot protocol %u.%02u)",
	         v >= 0x20c && get_le16(h + HDR_XLOADFLAGS) & XLF_KERNEL_64 ? "64" : "32", v >> 8, v & 0xff);
	return check_command_line(k, err) ? -EINVAL : 1;
}

/* End of what the kernel uses before it reads the memory map: init_size bytes at the address it will run at. */
static uint64_t kernel_end(const struct kernel *k)
{
	const uint8_t *h = k->image.data;
	uint64_t loaded = KERNEL_BASE + (k->image.len - setup_size(k));

	if (version(k) < 0x20a)
		return loaded;
	uint64_t pref = get_le64(h + HDR_PREF_ADDRESS), size = get_le32(h + HDR_INIT_SIZE);

	/* a preferred address that makes no sense counts as none */
	return MAX(loaded, (pref < GIB(4) ? MAX(pref, KERNEL_BASE) : KERNEL_BASE) + size);
}

/* As high as the kernel takes it. Returns 0 if there is no room. */
static uint64_t initrd_address(const struct kernel *k, const struct kernel_place *at)
{
	/* boot.rst, initrd_addr_max: the highest byte; 0x37ffffff without the field. */
	uint64_t max = version(k) >= 0x203 ? get_le32(k->image.data + HDR_INITRD_MAX) : 0x37ffffff;
	uint64_t top = MIN(max + 1, at->top), size = k->module[0].len;

	if (size > top || ((top - size) & ~0xfffull) < kernel_end(k))
		return 0;
	return (top - size) & ~0xfffull;
}

/* zero-page.rst, screen_info: text mode 3 on a VGA, or no screen. */
static void put_screen(uint8_t *zp, bool vga_text)
{
	if (!vga_text)
		return;
	zp[0x06] = 3;  /* mode */
	zp[0x07] = 80; /* columns */
	put_le16(zp + 0x0a, 3);
	zp[0x0e] = 25; /* lines */
	zp[0x0f] = 1;  /* VGA */
	put_le16(zp + 0x10, 16);
}

static void put_map(uint8_t *zp, const struct e820_map *map)
{
	zp[ZP_E820_ENTRIES] = (uint8_t)map->n;
	for (unsigned i = 0; i < map->n; i++) {
		uint8_t *e = zp + ZP_E820_TABLE + i * 20;

		put_le64(e, map->entry[i].addr);
		put_le64(e + 8, map->entry[i].size);
		put_le32(e + 16, map->entry[i].type);
	}
}

static void build_zero_page(uint8_t zp[ZP_SIZE], const struct kernel *k, const struct kernel_place *at, uint64_t initrd)
{
	/* boot.rst, "32-bit boot protocol": the header ends at 0x202 plus the byte at 0x201 */
	size_t end = MIN(HDR_MAGIC + (size_t)k->image.data[HDR_JUMP_LEN], (size_t)HDR_END);

	memset(zp, 0, ZP_SIZE);
	memcpy(zp + HDR_SETUP_SECTS, k->image.data + HDR_SETUP_SECTS, end - HDR_SETUP_SECTS);
	zp[HDR_LOADER] = LOADER_UNDEFINED;
	zp[HDR_LOADFLAGS] |= CAN_USE_HEAP;
	put_le16(zp + HDR_HEAP_END, 0xfe00);
	put_le32(zp + HDR_CODE32, KERNEL_BASE);
	put_le32(zp + HDR_CMDLINE, KERNEL_CMDLINE);
	if (initrd) {
		put_le32(zp + HDR_RAMDISK, (uint32_t)initrd);
		put_le32(zp + HDR_RAMDISK_SIZE, (uint32_t)k->module[0].len);
	}
	put_le64(zp + ZP_RSDP, at->rsdp);
	put_le32(zp + ZP_ALT_MEM_K, (uint32_t)((at->top - KERNEL_BASE) >> 10));
	put_screen(zp, at->vga_text);
	put_map(zp, at->map);
}

static int linux_load(const struct kernel *k, const struct kernel_place *at, struct kernel_entry *entry,
                      struct err *err)
{
	uint64_t initrd = 0;
	uint8_t zp[ZP_SIZE];

	if (kernel_end(k) > at->top)
		return kernel_no_room(err, &k->image, kernel_end(k), at->top);
	if (k->nmodules) {
		initrd = initrd_address(k, at);
		if (!initrd)
			return kernel_no_room(err, &k->module[0], kernel_end(k) + k->module[0].len + 4096, at->top);
		kernel_put(at, initrd, k->module[0].data, k->module[0].len);
	}
	build_zero_page(zp, k, at, initrd);
	kernel_put(at, KERNEL_INFO, zp, sizeof(zp));
	kernel_put(at, KERNEL_CMDLINE, k->append, strlen(k->append) + 1);
	kernel_put(at, KERNEL_BASE, k->image.data + setup_size(k), k->image.len - setup_size(k));
	kernel_put_gdt(at, KERNEL_LOW);
	*entry = (struct kernel_entry){ .eip = KERNEL_BASE, .esi = KERNEL_INFO, .esp = KERNEL_INFO, .gdt = KERNEL_LOW };
	return 0;
}

const struct kernel_protocol kernel_linux = { .probe = linux_probe, .load = linux_load };
