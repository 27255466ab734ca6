// SPDX-License-Identifier: GPL-2.0-or-later
/* what: kernels started without firmware: files read, recognised and placed in guest RAM */
#ifndef BOARD_KERNEL_H
#define BOARD_KERNEL_H

#include "board/e820.h"
#include "mem/mem.h"

struct kernel;

struct kernel_config {
	const char *kernel;
	const char *initrd; /* NULL: none. Multiboot: "FILE args,FILE args" */
	const char *append; /* NULL: empty */
};

/* What the machine offers to a kernel that is about to be placed. */
struct kernel_place {
	struct mem *mem; /* NULL: a dry run */
	const struct e820_map *map;
	uint64_t top;    /* first byte below 4 GiB that the kernel may not be given: ACPI tables or end of RAM */
	uint32_t rsdp;   /* guest-physical address of the ACPI root pointer */
	bool vga_text;   /* the VGA shows text mode 3 */
};

/* Registers at the kernel's first instruction: flat 32-bit protected mode, no paging, interrupts off; and where its GDT
 * lies: null, null, code 0x10, data 0x18. */
struct kernel_entry {
	uint32_t eip, eax, ebx, esi, esp, gdt;
};
#define KERNEL_GDT_LIMIT 31

/* Low memory used for hand-over structures, unless a multiboot image lies there; kernels copy what they want to
 * keep. */
enum {
	KERNEL_LOW = 0x1000,   /* nothing below: interrupt vectors, BIOS data area */
	KERNEL_INFO = 0x10000, /* zero page or multiboot information */
	KERNEL_CMDLINE = 0x20000,
	KERNEL_CMDLINE_MAX = 0x10000,
	KERNEL_BASE = 0x100000,
};

/* Read and check the files. A file that is no kernel, cut short, or beyond what its boot protocol allows is refused. */
struct kernel *kernel_open(const struct kernel_config *cfg, struct err *err);
void kernel_free(struct kernel *k);
/* Copy everything to its place; again after each reset. Lock held, vCPU not running. With at->mem NULL: only tell
 * whether it fits. */
int kernel_load(const struct kernel *k, const struct kernel_place *at, struct kernel_entry *entry, struct err *err);
/* "Linux 64-bit (boot protocol 2.15)", for --verbose. */
const char *kernel_what(const struct kernel *k);

#endif
