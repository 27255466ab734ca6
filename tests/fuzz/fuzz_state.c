// SPDX-License-Identifier: GPL-2.0-or-later
/* what: fuzz target: the record of a machine's state with bytes of it changed, and the machine that it makes
 *
 * The input: how many changes, each where (four bytes) and to what (one); then, if the record was taken, accesses of
 * ports and device memory and steps of time, as a guest would make them.
 */
#include <stdlib.h>

#include "board/pc_int.h"
#include "fuzz.h"
#include "state/record.h"

#define CHANGES_MAX 64
#define ACTS_MAX 200
#define STEP_NS 3000000u

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	log_set_level(LOG_ERROR);
	return 0;
}

static void act(struct pc *pc, struct input *in)
{
	unsigned what = (unsigned)take(in, 1), size = 1u << (what >> 4 & 3) % 3;
	uint64_t at = take(in, 4), val = take(in, 4);

	switch (what & 3) {
	case 0:
		mem_port_out(pc->mem, (uint16_t)at, (uint32_t)val, size);
		break;
	case 1:
		mem_port_in(pc->mem, (uint16_t)at, size);
		break;
	case 2:
		mem_write(pc->mem, at | 0xf0000000, &val, size);
		break;
	default:
		loop_step(pc->loop, val % STEP_NS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct fuzz_machine m;
	size_t len;
	uint8_t *rec;

	fuzz_machine_make(&m);
	rec = state_record(m.pc->states, &len);
	for (unsigned n = (unsigned)take(&in, 1) % CHANGES_MAX; n; n--) {
		size_t at = take(&in, 4) % len;

		rec[at] = (uint8_t)take(&in, 1);
	}
	if (!state_restore(m.pc->states, rec, len, NULL)) {
		loop_lock(m.pc->loop);
		state_set_loaded(m.pc->states);
		loop_unlock(m.pc->loop);
		for (unsigned n = 0; n < ACTS_MAX && in.left; n++)
			act(m.pc, &in);
	}
	free(rec);
	fuzz_machine_free(&m);
	return 0;
}
