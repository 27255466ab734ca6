// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what fuzz targets share: reading the input piece by piece, memfds as files, a whole machine without thread
 *
 * One input is one life of whatever is tested, so that every finding can be replayed from its file alone.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* What is left of the input. Beyond its end there are zeros. */
struct input {
	const uint8_t *p;
	size_t left;
};

static inline uint64_t take(struct input *in, unsigned n)
{
	uint8_t b[8] = { 0 };
	size_t have = MIN(in->left, n);

	if (have)
		memcpy(b, in->p, have);
	in->p += have;
	in->left -= have;
	return get_le64(b);
}

/* A file of len bytes that begins with data, and the path it can be opened by. Ends the process if the host has
 * none. */
struct fuzz_file {
	int fd;
	char path[32];
};
void fuzz_file_make(struct fuzz_file *f, const void *data, size_t size, uint64_t len);
void fuzz_file_close(struct fuzz_file *f);

/* Remember the input in the file named by FUZZ_LAST: for targets whose crashes libFuzzer cannot save itself. */
void fuzz_remember(const uint8_t *data, size_t size);

/* A PC of 4 MiB with every chip, time stopped, vCPU not running. */
struct pc;
struct fuzz_machine {
	struct pc *pc;
	struct fuzz_file firmware, disk[2], cdrom, floppy;
};
void fuzz_machine_make(struct fuzz_machine *m);
/* The same with another CPU, mode or clock: memory and drives of cfg are not looked at. Needs board/pc.h. */
struct pc_config;
void fuzz_machine_make_as(struct fuzz_machine *m, struct pc_config cfg);
void fuzz_machine_free(struct fuzz_machine *m);

#endif
