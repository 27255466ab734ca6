// SPDX-License-Identifier: GPL-2.0-or-later
/* what: decoding with a memory of the shapes of instructions seen before */
#ifndef XLATE_SHAPE_H
#define XLATE_SHAPE_H

#include "xlate/decode.h"

struct shapes;

/* One translator's, for a CPU with isa, which stays; 0.5 MiB, touched as it fills. NULL: no memory. */
struct shapes *xlate_shape_new(const struct dec_isa *isa);
void xlate_shape_free(struct shapes *s);
/* The same answer as dec_decode, byte by byte if it is DEC_OK. */
enum dec_status xlate_shape_decode(struct shapes *s, struct dec *d, uint32_t mode, bool real, const uint8_t *bytes,
	unsigned len);
/* How many answers came from memory. */
uint64_t xlate_shape_hits(const struct shapes *s);

#endif
