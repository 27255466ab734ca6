// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the seam between a virtual CPU and what runs its code: a table of functions for each kind of engine
 *
 * vcpu holds the architectural state between calls (struct cpu, complete and current), decides what is delivered, and
 * knows no engine by name: the board hands it one of these tables. An engine makes its vCPUs' struct cpu, so that what
 * it needs of its own may lie beside it, and may be left for another one at any instruction boundary.
 *
 * All functions are called by the vCPU's thread, or while it has none, unless they say otherwise.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "cpu/cpu.h"

/* How guest memory is reached by translated code. */
enum engine_mode {
	ENGINE_AUTOMATIC, /* as pays */
	ENGINE_WINDOWS,   /* user code through windows from the start (mmu/window.c) */
	ENGINE_TLB,       /* all through the software TLB */
};

struct engine_config {
	struct mem *mem;
	const struct cpu_model *model;
	struct cpu *first; /* another vCPU of the machine, of the same kind, that lives longer; NULL: this is the first */
	unsigned count;    /* of the machine's vCPUs */
	enum engine_mode mode;
	bool perf_map;     /* name what is translated for Linux perf */
};

/* Bytes of the code cache and of what describes it: in use, and there. */
struct engine_usage {
	uint64_t code, code_size, meta, meta_size;
};

struct engine_ops {
	const char *name;
	/* Can this host do that? Any thread. */
	bool (*can)(enum engine_mode mode);
	/* A vCPU in the state after RESET, with mem and model set; hooks and numbers are the caller's to set before it
	 * runs. NULL and err on failure. */
	struct cpu *(*open)(const struct engine_config *cfg, struct err *err);
	void (*close)(struct cpu *cpu);
	/* Around everything that the vCPU's thread does: signals, what is each thread's own. */
	int (*thread_begin)(struct cpu *cpu, struct err *err);
	void (*thread_end)(struct cpu *cpu);

	/* Run guest code from s.rip until something asks for the run loop; leaves by cpu->unwind on guest exceptions, and
	 * sync() comes next. */
	void (*run)(struct cpu *cpu);
	/* Exactly one instruction, with exact flags; leaves as run() does. True: it was an INT n, INT3, INTO or INT1,
	 * whose delivery clears TF. */
	bool (*step)(struct cpu *cpu);
	/* Make s.rip, s.rflags and s.gpr those of the faulting instruction. */
	void (*sync)(struct cpu *cpu);
	/* Run is to end soon: any thread, signal handlers too; say why before. And it need not any more: look at what kicks
	 * were for afterwards. */
	void (*kick)(struct cpu *cpu);
	void (*unkick)(struct cpu *cpu);

	/* Forget what was derived from page tables and the memory map; and from guest code, too. FPU parked. */
	void (*forget)(struct cpu *cpu);
	void (*flush)(struct cpu *cpu);
	/* Drop what was made of guest code that others have written (mem/coherence.h C4). FPU parked. */
	void (*drain)(struct cpu *cpu);
	/* May code that runs write to the page of RAM at off without asking? And no more from now on; off UINT64_MAX: to
	 * none. As a member of mem/coherence.h. */
	bool (*may_write)(const struct cpu *cpu, uint64_t off);
	void (*withdraw)(struct cpu *cpu, uint64_t off);
	/* An interrupt came while user code ran: a time to look whether what is done pays. */
	void (*tick)(struct cpu *cpu);
	/* The guest idles: give memory back. */
	void (*idle)(struct cpu *cpu);
	/* Any thread. */
	void (*usage)(const struct cpu *cpu, struct engine_usage *u);
};

#endif
