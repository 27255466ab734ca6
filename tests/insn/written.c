// SPDX-License-Identifier: GPL-2.0-or-later
/* what: whether the CPU writes no general register but those that the translator takes an instruction to write
 *
 * Rule guarded: I1 of src/xlate/windowed.c. Accesses share what was looked up for their base register as long as it
 * stays, or moves by a constant; a write that goes unnoticed leads them out of the guest's memory.
 */
#include <stdlib.h>

#include "cpu/cpuid.h"
#include "written.h"
#include "xlate/shape.h"
#include "xlate/xlate_int.h"

#define KEY_CODE64 2 /* of KEY_SIZE; and nothing switched off */

const char *written_check(struct written *w, const uint8_t *code, unsigned len, const uint64_t before[16],
	const uint64_t after[16])
{
	struct dec d;
	static struct dec_isa isa;
	if (!w->shapes) {
		struct err err;
		struct cpu_model *host = cpuid_model_new(NULL, &err);
		must(host);
		dec_isa_init(&isa, host);
		w->shapes = xlate_shape_new(&isa);
		free(host);
	}
	must(w->shapes);
	if (xlate_shape_decode(w->shapes, &d, KEY_CODE64, false, code, len) != DEC_OK)
		return NULL;
	for (unsigned k = 0; k < 16; k++) {
		uint64_t by = after[k] - before[k];
		int64_t said;
		if (!xlate_window_adds(&d, k, &said)) /* helpers may do what they like: CMPS and SCAS do not name RSI and RDI */
			continue;
		if (by != (uint64_t)said)
			return d.gpr_wr >> k & 1 ? "moves a register otherwise" : "writes a register not named";
		w->moved += said != 0;
	}
	return NULL;
}
