// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of how the translator reads guest code that a device writes to at the same time (xlate/find.c I1 to I4)
 *
 * The device is a signal handler: the page with the code may not be read, so each instruction of the translator's that
 * reads it faults; the handler lets it read, by a single step, and behind it the device writes other code there. So
 * memory changes between any two reads.
 */
#include "unit.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "cpu/cpuid.h"
#include "xlate/xlate_int.h"

#define CODE 0x4000u
#define TRAP_FLAG 0x100

static struct loop *loop;
static struct mem *mem;
static struct cpu_model *model;
static struct cpu *cpu;
static struct xlate *x;

/* 32-bit code in a page of its own: what a device makes of it each time. */
static const uint8_t *program[2];
static uint32_t program_len, program_at;
static unsigned reads, unmarked, told;
static uint64_t told_off;

static void guard(int rights)
{
	must(mprotect(mem_ram_base(mem) + CODE, 8192, rights) == 0);
}

static void on_read(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *u = ctx;
	uint64_t off = (uint64_t)((uint8_t *)si->si_addr - mem_ram_base(mem));

	must(off - CODE < 8192);
	unmarked += !mem_code_map(mem)[off / 4096];
	guard(PROT_READ | PROT_WRITE);
	u->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *u = ctx;

	u->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	reads++;
	mem_dma_write(mem, program_at, program[reads & 1], program_len);
	guard(PROT_NONE);
}

static void hear(void *opaque, uint64_t off, uint64_t len)
{
	told++;
	told_off = off;
}

/* Between cmocka's handlers, which it sets anew for each test. */
static void handle(struct sigaction was[2])
{
	const struct sigaction segv = { .sa_sigaction = on_read, .sa_flags = SA_SIGINFO },
		trap = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	must(sigaction(SIGSEGV, &segv, &was[0]) == 0 && sigaction(SIGTRAP, &trap, &was[1]) == 0);
}

static void unhandle(const struct sigaction was[2])
{
	must(sigaction(SIGSEGV, &was[0], NULL) == 0 && sigaction(SIGTRAP, &was[1], NULL) == 0);
}

static void go_to(uint32_t rip)
{
	cpu->s.rip = rip;
	xcpu(cpu)->key = key_of(cpu);
	xcpu(cpu)->ks = xlate_keyspace(x, xcpu(cpu)->key);
	cpu->mode_dirty = false;
}

static int setup(void **state)
{
	struct err err;

	loop = loop_new_stepped();
	mem = mem_new(loop, MIB(1), 0xe0000000, &err);
	model = cpuid_model_new("x86-64-v2", &err);
	cpu = xlate_arena_new(&err);
	must(mem && model && cpu);
	cpu->mem = mem;
	cpu->model = model;
	cpu->hooks = xalloc(sizeof(*cpu->hooks));
	cpu_reset(cpu, false);
	cpu->s.cr0 |= CR0_PE;
	mmu_init(cpu);
	mmu_window_init(cpu, WINDOW_NEVER);
	x = xlate_new(cpu, NULL, false, &err);
	must(x);
	for (unsigned s = 0; s < 6; s++)
		cpu_set_seg(cpu, s, 8, 0, 0xffffffff, s == SEG_CS ? 0xc09b : 0xc093);
	cpu_derive(cpu);
	mem_add_listener(mem, &(struct mem_listener){ .code_written = hear });
	reads = unmarked = told = 0;
	return 0;
}

static int teardown(void **state)
{
	xlate_free(x);
	mmu_window_fini(cpu);
	free((void *)(uintptr_t)cpu->hooks);
	xlate_arena_free(cpu);
	free(model);
	mem_free(mem);
	loop_free(loop);
	return 0;
}

/* The block at gpa `at`, or a single step, made while the device writes one of the programs after each read. NULL: a
 * guest exception. */
static struct block *translate(uint32_t at, const uint8_t *a, const uint8_t *b, uint32_t len, bool step)
{
	static struct block *made;
	struct sigaction was[2];

	program[0] = a;
	program[1] = b;
	program_at = at;
	program_len = len;
	guard(PROT_READ | PROT_WRITE);
	mem_dma_write(mem, at, a, len);
	go_to(at);
	made = NULL;
	told = 0;
	handle(was);
	guard(PROT_NONE);
	if (!__builtin_setjmp(cpu->unwind))
		made = step ? xlate_block_step(x) : xlate_find_block(x, GATE_NONE);
	guard(PROT_READ | PROT_WRITE);
	unhandle(was);
	cpu_fpu_park(cpu);
	return made;
}

/* mov eax, n; hlt, with n all of one byte, and a program whose bytes are others and whose lengths are, too */
static const uint8_t long_one[16] = { 0xb8, 0x11, 0x11, 0x11, 0x11, 0xf4, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
	0x90, 0x90, 0x90 };
static const uint8_t short_one[16] = { 0xb0, 0x22, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4,
	0xf4, 0xf4, 0xf4 };

/* Is what was decoded one of the programs, as a whole? */
static bool consistent(void)
{
	const struct dec *d = x->tr->dec;

	if (d->in.len == 5)
		return d->in.imm == 0x11111111 && d->opcode == 0xb8;
	return d->in.len == 2 && (uint8_t)d->in.imm == 0x22 && d->opcode == 0xb0;
}

static void one_read(void **state)
{
	/* I2: length, opcode and immediate come from one read, whoever writes meanwhile; shapes known before or not. */
	for (unsigned k = 0; k < 6; k++) {
		struct block *b = translate(CODE + 64 * k, long_one, short_one, 16, false);

		assert_non_null(b);
		assert_true(consistent());
		assert_true(reads > 0);
		assert_int_equal(b->guest_len, x->tr->dec[0].in.len + 1);
	}
	for (unsigned k = 0; k < 6; k++) {
		assert_non_null(translate(CODE + 1024 + 64 * k, short_one, long_one, 16, true));
		assert_true(consistent());
	}
}

static void marked_first(void **state)
{
	/* I1, I3: no byte is read of a page without a mark, so what is written behind the read is told, and kills the
	 * block, which is published by then. */
	struct block *b = translate(CODE, long_one, short_one, 16, false);

	assert_non_null(b);
	assert_int_equal(unmarked, 0);
	assert_true(told > 0);
	assert_int_equal(told_off, CODE);
	assert_false(b->dead);
	xlate_invalidate(x, told_off, 16);
	assert_true(b->dead);
	assert_int_equal(mem_code_map(mem)[CODE / 4096], 0);
}

static void crossing(void **state)
{
	/* The same for an instruction that crosses pages: both are marked, and it is decoded from one copy. Either page's
	 * being written kills it. */
	uint32_t at = CODE + 4096 - 3;

	for (unsigned page = 0; page < 2; page++) {
		struct block *b = translate(at, long_one, long_one, 16, false);

		assert_non_null(b);
		assert_int_equal(unmarked, 0);
		assert_true(consistent());
		assert_int_equal(b->guest_len, 5);
		for (unsigned k = 0; k < 2; k++)
			assert_int_equal(mem_code_map(mem)[CODE / 4096 + k], 1);
		xlate_invalidate(x, page ? CODE + 4096 : at, 1);
		assert_true(b->dead);
		for (unsigned k = 0; k < 2; k++)
			xlate_invalidate(x, CODE + 4096 * k, 4096);
	}
}

static void mark_without_block(void **state)
{
	/* cache.c I2: a translation that ends in a guest exception leaves no mark beyond the next one. */
	static const uint8_t too_long[16] = { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		0x66, 0x66, 0x66 };

	assert_null(translate(CODE, too_long, too_long, 16, false));
	assert_int_equal(cpu->event.vector, EXC_GP);
	assert_int_equal(mem_code_map(mem)[CODE / 4096], 1);
	assert_non_null(translate(CODE + 4096, long_one, long_one, 16, false));
	assert_int_equal(mem_code_map(mem)[CODE / 4096], 0);
	assert_int_equal(mem_code_map(mem)[CODE / 4096 + 1], 1);
}

static void steps_mark_nothing(void **state)
{
	/* A single step keeps nothing, so its page stays writable. */
	assert_non_null(translate(CODE, long_one, long_one, 16, true));
	assert_int_equal(mem_code_map(mem)[CODE / 4096], 0);
}

static void long_block(void **state)
{
	/* Copied piece by piece, as far as the block goes: as many of the longest instructions as a block holds, and none
	 * of the page's other bytes for a short one. */
	static const uint8_t nop15[15] = { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x0f, 0x1f, 0x84, 0, 1, 2, 3, 4 };
	static uint8_t code[BLOCK_MAX_INSNS * 15 + 1];
	struct block *b;

	for (unsigned k = 0; k < BLOCK_MAX_INSNS; k++)
		memcpy(code + 15 * k, nop15, 15);
	code[BLOCK_MAX_INSNS * 15] = 0xf4;
	b = translate(CODE + 1, code, code, sizeof(code), false);
	assert_non_null(b);
	assert_int_equal(b->ninsns, BLOCK_MAX_INSNS);
	assert_int_equal(b->guest_len, BLOCK_MAX_INSNS * 15);
	reads = 0;
	assert_non_null(translate(CODE + 2048, short_one, short_one, 16, false));
	assert_in_range(reads, 1, 2 * FETCH_PIECE / 8);
}

static void video_ram(void **state)
{
	/* I4: memory whose writers tell nobody, or nobody but the screen: no block is kept of it; of ROM there is. */
	static uint8_t dirty[1];
	struct mem_region vram = { .name = "vram", .base = 0xf0000000, .size = 4096, .priority = 1 };

	vram.host = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(vram.host != MAP_FAILED);
	memcpy(vram.host, long_one, sizeof(long_one));
	for (unsigned kind = 0; kind < 3; kind++) {
		vram.writable = kind > 0;
		vram.dirty = kind > 1 ? dirty : NULL;
		loop_lock(loop);
		mem_region_enable(mem, &vram);
		loop_unlock(loop);
		mmu_flush_all(cpu);
		xlate_flush(x);
		go_to(0xf0000000);
		assert_int_equal(xlate_find_block(x, GATE_NONE) == &x->step_block, vram.writable);
		assert_true(consistent());
		cpu_fpu_park(cpu);
		loop_lock(loop);
		mem_region_disable(mem, &vram);
		loop_unlock(loop);
	}
	munmap(vram.host, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(one_read), T(marked_first), T(crossing), T(mark_without_block), T(steps_mark_nothing), T(long_block),
		T(video_ram),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
