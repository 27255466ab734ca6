// SPDX-License-Identifier: GPL-2.0-or-later
/* what: does translation work on this host? A few guest instructions in a tiny machine say so
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vcpu/vcpu_int.h"

/* Real mode at 0x1000: sum the numbers 1 to 1000 in AX, store it at 0x2000, halt. */
static const uint8_t program[] = {
	0x31, 0xc0,             /* xor ax, ax */
	0xb9, 0xe8, 0x03,       /* mov cx, 1000 */
	0x01, 0xc8,             /* 1: add ax, cx */
	0xe2, 0xfc,             /* loop 1b */
	0xa3, 0x00, 0x20,       /* mov [0x2000], ax */
	0xf4,                   /* hlt */
};

static bool wait_halted(struct vcpu *v)
{
	for (unsigned k = 0; k < 2000; k++) {
		if (__atomic_load_n(&v->sleeping, __ATOMIC_SEQ_CST))
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	return false;
}

static int run_program(struct vcpu *v, struct mem *mem, struct err *err)
{
	struct cpu *cpu = vcpu_cpu(v);
	memcpy(mem_ram_base(mem) + 0x1000, program, sizeof(program));
	for (unsigned s = 0; s < 6; s++)
		cpu_set_seg(cpu, s, 0, 0, 0xffff, s == SEG_CS ? 0x9b : 0x93);
	cpu->s.rip = 0x1000;
	int rc = vcpu_start(v, err);
	if (rc < 0)
		return rc;
	bool halted = wait_halted(v);
	vcpu_stop(v);
	if (!halted)
		return err_set(err, -EIO, "guest code did not come to an end");
	if (get_le16(mem_ram_base(mem) + 0x2000) != (uint16_t)(1000 * 1001 / 2))
		return err_set(err, -EIO, "guest code computed a wrong result");
	return 0;
}

int vcpu_probe(const struct engine_ops *engine, struct err *err)
{
	int rc = -ENOMEM;
	struct vcpu *v = NULL;
	struct mem *mem = NULL;
	struct cpu_model *model = NULL;
	struct loop *loop = loop_new(err);
	if (loop)
		mem = mem_new(loop, MIB(1), 0xe0000000, err);
	if (mem)
		model = cpuid_model_new(NULL, err);
	if (model)
		v = vcpu_new(&(struct vcpu_config){ .engine = engine, .mem = mem, .loop = loop, .model = model }, err);
	if (v)
		rc = run_program(v, mem, err);
	vcpu_free(v);
	free(model);
	mem_free(mem);
	if (loop)
		loop_free(loop);
	return rc;
}
