// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the binary translator: guest code in, safe host code out, cached, run until something needs C
 */
#ifndef XLATE_XLATE_H
#define XLATE_XLATE_H

#include "engine/engine.h"

struct xlate;

/* The translator behind the seam. */
extern const struct engine_ops xlate_engine;

/* cpu must outlive it and must lie in an arena made by xlate_arena_new (its stack lies below it). */
/* with: the translator of another vCPU of the machine, whose code cache is shared; it must live longer. shared: there
 * will be such. A member of mem/coherence.h, if shared. */
struct xlate *xlate_new(struct cpu *cpu, struct xlate *with, bool shared, struct err *err);
void xlate_free(struct xlate *x);
/* Name translated code for Linux perf from now on; before anything was translated. */
int xlate_perf_map(struct xlate *x, struct err *err);
/* One mapping that holds a monitor stack and, above it, struct xcpu (zeroed). NULL and err on failure. */
struct cpu *xlate_arena_new(struct err *err);
void xlate_arena_free(struct cpu *cpu);

/* Run guest code from s until something asks for the run loop: a kick, a block-ending helper, or a mode change. Leaves
 * by cpu->unwind on guest exceptions. The thread must have called xlate_thread_init. */
void xlate_run(struct xlate *x);
/* Run exactly one guest instruction at s.rip (flags exact, nothing chained). */
void xlate_step(struct xlate *x);
/* Arithmetic flags are exact at each instruction from now on, whether the code behind it needs them or not: costs about
 * what they save. For tests of code that writes over itself. */
void xlate_exact_flags(struct xlate *x, bool on);
/* Was the instruction last stepped an INT n, INT3, INTO, INT1 (their delivery clears TF, so no trap follows)? */
bool xlate_stepped_int(const struct xlate *x);
/* After a guest exception unwound: make s.rip, s.rflags (arithmetic part) and s.gpr those of the faulting instruction.
 * */
void xlate_sync(struct xlate *x);
/* Drop every translation. A changed memory map does not ask for it: blocks are known by the host page of their bytes.
 * */
void xlate_flush(struct xlate *x);
/* The guest idles: a cache that has grown forgets what is in it and gives its memory back. Not from translated code. */
void xlate_shrink(struct xlate *x);
/* RAM [off, off+len) was written from outside the vCPU: drop translations of it. */
void xlate_invalidate(struct xlate *x, uint64_t off, uint64_t len);
/* Drop translations of what devices have written (mem/coherence.h C4). FPU parked. */
void xlate_drain(struct xlate *x);
/* Translated code is to leave at its next safe point: any thread, signal handlers too; and need not any more: the
 * vCPU's thread only. */
void xlate_kick(struct cpu *cpu);
void xlate_unkick(struct cpu *cpu);
void xlate_usage(const struct xlate *x, struct engine_usage *u);

/* Signal handling of the calling thread, for faults of translated code. */
int xlate_thread_init(struct xlate *x, struct err *err);
void xlate_thread_fini(struct xlate *x);

#endif
