// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the translator as an engine (engine/engine.h): its table, and a vCPU made whole
 */
#include "mmu/mmu.h"
#include "xlate/xlate_int.h"

/* The code of windows uses SHRX. */
static bool can(enum engine_mode mode)
{
	return mode != ENGINE_WINDOWS || __builtin_cpu_supports("bmi2");
}

static enum mmu_window_use window_use(enum engine_mode mode)
{
	if (mode == ENGINE_TLB || !can(ENGINE_WINDOWS))
		return WINDOW_NEVER;
	return mode == ENGINE_WINDOWS ? WINDOW_ALWAYS : WINDOW_LATER;
}

static void close_cpu(struct cpu *cpu)
{
	if (!cpu)
		return;
	xlate_free(cpu->engine);
	mmu_window_fini(cpu);
	xlate_arena_free(cpu);
}

static struct cpu *open_cpu(const struct engine_config *cfg, struct err *err)
{
	struct cpu *cpu = xlate_arena_new(err);
	struct xlate *x;

	if (!cpu)
		return NULL;
	cpu->mem = cfg->mem;
	cpu->model = cfg->model;
	cpu_reset(cpu, false);
	mmu_init(cpu);
	mmu_window_init(cpu, window_use(cfg->mode));
	mmu_window_share(cpu, cfg->count);
	x = xlate_new(cpu, cfg->first ? cfg->first->engine : NULL, cfg->count > 1, err);
	if (x && (!cfg->perf_map || cfg->first || xlate_perf_map(x, err) == 0))
		return cpu;
	close_cpu(cpu);
	return NULL;
}

static int thread_begin(struct cpu *cpu, struct err *err)
{
	return xlate_thread_init(cpu->engine, err);
}

static void thread_end(struct cpu *cpu)
{
	xlate_thread_fini(cpu->engine);
}

static void run(struct cpu *cpu)
{
	xlate_run(cpu->engine);
}

static bool step(struct cpu *cpu)
{
	xlate_step(cpu->engine);
	return xlate_stepped_int(cpu->engine);
}

static void sync(struct cpu *cpu)
{
	xlate_sync(cpu->engine);
}

static void flush(struct cpu *cpu)
{
	mmu_flush_all(cpu);
	xlate_flush(cpu->engine);
}

static void drain(struct cpu *cpu)
{
	xlate_drain(cpu->engine);
}

static void withdraw(struct cpu *cpu, uint64_t off)
{
	if (off != UINT64_MAX) {
		mmu_protect_code(cpu, off);
		return;
	}
	for (off = 0; off < mem_ram_size(cpu->mem); off += 4096)
		if (mmu_may_write(cpu, off))
			mmu_protect_code(cpu, off);
}

static void idle(struct cpu *cpu)
{
	xlate_shrink(cpu->engine);
}

static void usage(const struct cpu *cpu, struct engine_usage *u)
{
	xlate_usage(cpu->engine, u);
}

const struct engine_ops xlate_engine = {
	.name = "translate",
	.can = can,
	.open = open_cpu,
	.close = close_cpu,
	.thread_begin = thread_begin,
	.thread_end = thread_end,
	.run = run,
	.step = step,
	.sync = sync,
	.kick = xlate_kick,
	.unkick = xlate_unkick,
	.forget = mmu_flush_all,
	.flush = flush,
	.drain = drain,
	.may_write = mmu_may_write,
	.withdraw = withdraw,
	.tick = mmu_window_tick,
	.idle = idle,
	.usage = usage,
};
