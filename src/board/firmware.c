// SPDX-License-Identifier: GPL-2.0-or-later
/* what: ROM images: the system firmware below 4 GiB and option ROMs for cards
 *
 * The firmware is whatever file the user names, or the SeaBIOS of the distribution; ring3 carries none.
 */
#include "board/firmware.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "board/file.h"

#define FIRMWARE_MIN KIB(64)
#define FIRMWARE_STEP KIB(4)
#define FIRMWARE_MAX MIB(16)
#define LOW_MAX KIB(128)
#define OPTION_ROM_MAX MIB(1)
#define ROM_PRIORITY 2 /* under the shadowing of the 82441FX */

static const char *const firmware_paths[] = {
	"/usr/share/seabios/bios-256k.bin",
	"/usr/share/qemu/bios-256k.bin",
	"/usr/local/share/qemu/bios-256k.bin",
	"/usr/share/seabios/bios.bin",
	NULL,
};
static const char *const vga_paths[] = {
	"/usr/share/seabios/vgabios-stdvga.bin",
	"/usr/share/qemu/vgabios-stdvga.bin",
	"/usr/local/share/qemu/vgabios-stdvga.bin",
	NULL,
};

static const char *const card_folders[] = { "/usr/lib/ipxe/qemu", "/usr/share/qemu", "/usr/local/share/qemu" };

static const char *first_readable(const char *const *paths)
{
	while (*paths && access(*paths, R_OK))
		paths++;
	return *paths;
}

static int rom_read(struct rom *rom, const char *path, uint64_t limit, struct err *err)
{
	snprintf(rom->path, sizeof(rom->path), "%s", path);
	return file_read(path, limit, &rom->data, &rom->len, err);
}

int firmware_load(struct rom *rom, const char *path, struct err *err)
{
	int ret;

	if (!path)
		path = first_readable(firmware_paths);
	if (!path)
		return err_set(err, -ENOENT,
		               "no firmware found: install the package 'seabios', or give --firmware FILE or --kernel FILE");
	ret = rom_read(rom, path, FIRMWARE_MAX, err);
	if (!ret && (rom->len < FIRMWARE_MIN || rom->len % FIRMWARE_STEP))
		ret = err_set(err, -EINVAL,
		              "'%s' is no firmware image: its size, %zu bytes, is not 64 KiB or more in steps of 4 KiB", path,
		              rom->len);
	return ret;
}

static void map_at(struct mem_region *r, struct mem *mem, uint64_t end, uint8_t *data, size_t len)
{
	*r = (struct mem_region){ .name = "firmware", .base = end - len, .size = len, .priority = ROM_PRIORITY,
		.host = data };
	mem_region_enable(mem, r);
}

void firmware_map(struct rom *rom, struct mem *mem)
{
	size_t low = rom->len < LOW_MAX ? LOW_MAX / 2 : LOW_MAX;

	map_at(&rom->region, mem, GIB(4), rom->data, rom->len);
	map_at(&rom->low, mem, MIB(1), rom->data + rom->len - low, low);
	if (rom->len <= MIB(1)) /* 290550 (82371SB), XBCS: the aliases at FFEE0000H and FFEF0000H */
		map_at(&rom->alias, mem, GIB(4) - MIB(1), rom->data + rom->len - low, low);
}

bool firmware_load_vga(struct rom *rom)
{
	const char *path = first_readable(vga_paths);

	return path && !rom_read(rom, path, OPTION_ROM_MAX, NULL);
}

bool firmware_load_card(struct rom *rom, const char *name)
{
	char path[128];

	for (unsigned i = 0; i < ARRAY_LEN(card_folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", card_folders[i], name);
		if (!access(path, R_OK))
			return !rom_read(rom, path, OPTION_ROM_MAX, NULL);
	}
	return false;
}

void firmware_free(struct rom *rom)
{
	file_free(rom->data, rom->len);
	*rom = (struct rom){ 0 };
}
