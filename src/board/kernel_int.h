// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what kernel.c shares with the two boot protocols */
#ifndef BOARD_KERNEL_INT_H
#define BOARD_KERNEL_INT_H

#include "board/kernel.h"

struct kernel_file {
	char *name;   /* the user's word for messages; of a module: its whole command line */
	uint8_t *data;
	size_t len;
};
#define KERNEL_MODULES_MAX 64

struct kernel {
	struct kernel_file image;
	struct kernel_file module[KERNEL_MODULES_MAX]; /* Linux: at most one, the initrd */
	unsigned nmodules;
	char *append;
	const struct kernel_protocol *protocol;
	char what[64];
};

struct kernel_protocol {
	/* Is image one of ours? If it is, and something is wrong with it, fill err and return negative; 0: not ours; 1:
	 * ours. */
	int (*probe)(struct kernel *k, struct err *err);
	int (*load)(const struct kernel *k, const struct kernel_place *at, struct kernel_entry *entry, struct err *err);
	bool many_modules;
};
extern const struct kernel_protocol kernel_linux, kernel_multiboot;

/* Copy to guest RAM; must() be RAM, which the caller has checked against at->top. */
void kernel_put(const struct kernel_place *at, uint64_t gpa, const void *data, size_t len);
void kernel_put_zeros(const struct kernel_place *at, uint64_t gpa, uint64_t len);
/* The GDT that struct kernel_entry tells of. */
void kernel_put_gdt(const struct kernel_place *at, uint32_t gpa);
/* "which does not fit below X: give more --memory" */
int kernel_no_room(struct err *err, const struct kernel_file *f, uint64_t need, uint64_t top);

#endif
