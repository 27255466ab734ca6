// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: files given to --kernel and --initrd: bzImage, multiboot (ELF and with addresses), modules
 *
 * What is accepted is placed in RAM, too: whatever the headers say, nothing may land outside the room it was given.
 */
#include <stdio.h>

#include "board/kernel.h"
#include "fuzz.h"

#define TOP (MIB(8) - KIB(128))

static void place(const struct kernel *k, struct mem *mem, const struct e820_map *map)
{
	struct kernel_place at = { .map = map, .top = TOP, .rsdp = 0xf0000, .vga_text = true };
	struct kernel_entry entry;
	struct err err;
	int dry = kernel_load(k, &at, &entry, &err), wet;

	at.mem = mem;
	wet = kernel_load(k, &at, &entry, &err);
	must(dry == wet);
	must(get_le64(mem_ram_base(mem) + TOP) == 0x5a5a5a5a5a5a5a5a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	unsigned how = (unsigned)take(&in, 1);
	uint64_t stretch = (take(&in, 1) & 31) * KIB(8);
	struct fuzz_file file;
	struct e820_map map = { 0 };
	char modules[128];
	struct err err;

	fuzz_file_make(&file, in.p, in.left, in.left + stretch);
	snprintf(modules, sizeof(modules), "%s a b,%s", file.path, file.path);
	struct kernel_config cfg = { file.path, how & 1 ? modules : how & 2 ? file.path : NULL,
		how & 4 ? "console=ttyS0" : NULL };
	struct kernel *k = kernel_open(&cfg, &err);

	if (k) {
		struct loop *loop = loop_new_stepped();
		struct mem *mem = mem_new(loop, MIB(8), 0xe0000000, &err);

		must(mem);
		memset(mem_ram_base(mem) + TOP, 0x5a, 8);
		e820_build(&map, MIB(8), 0, TOP, MIB(8) - TOP, 0);
		place(k, mem, &map);
		mem_free(mem);
		loop_free(loop);
	}
	kernel_free(k);
	fuzz_file_close(&file);
	return 0;
}
