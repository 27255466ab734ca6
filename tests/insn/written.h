// SPDX-License-Identifier: GPL-2.0-or-later
/* what: written.c apart from oracle.h, whose names are the engine's too */
#ifndef WRITTEN_H
#define WRITTEN_H

#include <stdint.h>

struct shapes;
struct written {
	struct shapes *shapes;
	uint64_t moved; /* constants that were added to a register, as the translator takes them */
};
/* The registers before and after a 64-bit instruction on the CPU: NULL, or what the translator is wrong about. */
const char *written_check(struct written *w, const uint8_t *code, unsigned len, const uint64_t before[16],
	const uint64_t after[16]);

#endif
