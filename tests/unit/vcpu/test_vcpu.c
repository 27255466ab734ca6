// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of a vCPU's life: what others write to its code while it is stopped
 */
#include "unit.h"

#include <time.h>

#include "vcpu/vcpu_int.h"
#include "xlate/xlate.h"

#define CODE 0x1000u
#define RESULT 0x2000u

/* mov ax, n; mov [RESULT], ax; hlt */
static const uint8_t program[] = { 0xb8, 1, 0, 0xa3, RESULT & 0xff, RESULT >> 8, 0xf4 };

static void begin(struct vcpu *v)
{
	struct cpu *cpu = vcpu_cpu(v);
	struct err err;

	for (unsigned s = 0; s < 6; s++)
		cpu_set_seg(cpu, s, 0, 0, 0xffff, s == SEG_CS ? 0x9b : 0x93);
	cpu->s.rip = CODE;
	cpu->s.halted = false;
	assert_int_equal(vcpu_start(v, &err), 0);
	for (unsigned k = 0; k < 5000 && !__atomic_load_n(&v->sleeping, __ATOMIC_SEQ_CST); k++)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static unsigned run(struct vcpu *v, struct mem *mem)
{
	begin(v);
	vcpu_stop(v);
	return get_le16(mem_ram_base(mem) + RESULT);
}

static void code_written_while_stopped(void **state)
{
	/* A machine reset loads the kernel anew, and disks may still write, while the vCPU's thread is gone: what was
	 * translated before does not run when it comes back. */
	struct err err;
	struct loop *loop = loop_new(&err);
	struct mem *mem = mem_new(loop, MIB(1), 0xe0000000, &err);
	struct cpu_model *model = cpuid_model_new(NULL, &err);
	struct vcpu *v = vcpu_new(&(struct vcpu_config){ .engine = &xlate_engine, .mem = mem, .loop = loop,
		.model = model }, &err);

	assert_non_null(v);
	loop_lock(loop);
	mem_dma_write(mem, CODE, program, sizeof(program));
	loop_unlock(loop);
	assert_int_equal(run(v, mem), 1);
	loop_lock(loop);
	mem_dma_write(mem, CODE + 1, "\2", 1);
	loop_unlock(loop);
	assert_int_equal(run(v, mem), 2);
	/* also if it is told of the write and to stop at once */
	begin(v);
	__atomic_fetch_or(&vcpu_cpu(v)->request, (uint32_t)REQ_STOP, __ATOMIC_SEQ_CST);
	loop_lock(loop);
	mem_dma_write(mem, CODE + 1, "\3", 1);
	loop_unlock(loop);
	vcpu_stop(v);
	assert_int_equal(run(v, mem), 3);
	vcpu_free(v);
	free(model);
	mem_free(mem);
	loop_free(loop);
}

static uint32_t asked(struct vcpu *v)
{
	return __atomic_load_n(&vcpu_cpu(v)->request, __ATOMIC_SEQ_CST) & (REQ_RESET | REQ_INIT | REQ_SIPI | REQ_NMI);
}

static void messages(void **state)
{
	/* SDM vol 3 9.4.4: one start-up message is taken after each INIT; what was sent before a reset is gone with it. */
	struct err err;
	struct loop *loop = loop_new(&err);
	struct mem *mem = mem_new(loop, MIB(1), 0xe0000000, &err);
	struct cpu_model *model = cpuid_model_new(NULL, &err);
	struct vcpu *v = vcpu_new(&(struct vcpu_config){ .engine = &xlate_engine, .mem = mem, .loop = loop,
		.model = model, .number = 1 }, &err);

	assert_non_null(v);
	vcpu_sipi(v, 8);
	vcpu_sipi(v, 9);
	assert_int_equal(asked(v), REQ_SIPI);
	assert_int_equal(v->sipi_vector, 8);
	vcpu_init(v);
	assert_int_equal(asked(v), REQ_INIT);
	vcpu_sipi(v, 9);
	assert_int_equal(v->sipi_vector, 9);
	vcpu_nmi(v);
	assert_int_equal(asked(v), REQ_INIT | REQ_SIPI | REQ_NMI);
	vcpu_request_reset(v, false); /* it prevails: runloop.c */
	assert_int_equal(asked(v), REQ_RESET | REQ_INIT);
	vcpu_free(v);
	free(model);
	mem_free(mem);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(code_written_while_stopped), cmocka_unit_test(messages) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
