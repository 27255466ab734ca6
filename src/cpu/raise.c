// SPDX-License-Identifier: GPL-2.0-or-later
/* what: leaving the current instruction by a guest exception
 *
 * The event goes into the cpu, and control back to the run loop through the compiler's own setjmp: it
 * saves nothing but frame, stack and address, where libc's would save a signal mask's worth. A vector's
 * instruction pointer is the run loop's business: it knows whether s.rip or host_pc says where we were.
 */
#include "base/asan.h"
#include "cpu/cpu.h"

/* Vectors that push an error code: DF TS NP SS GP PF AC, SDM vol 3 table 6-1. */
#define HAS_ERROR \
	(1u << EXC_DF | 1u << EXC_TS | 1u << EXC_NP | 1u << EXC_SS | 1u << EXC_GP | 1u << EXC_PF | 1u << EXC_AC)

#if defined(RING3_ASAN) && !defined(__clang__)
/* What code under AddressSanitizer calls before a call that does not return. It takes the place of the run time's
 * own, which uses vector registers: leave() forgets the frames it jumps over, libc's longjmp is the run time's and
 * does so too, and the other calls that do not return end the process. */
void __asan_handle_no_return(void);

void __asan_handle_no_return(void)
{
}
#endif

/* Helpers of translated code run on the stack below the cpu; the run loop's frames are on the thread's. */
static void forget_frames(const struct cpu *cpu, const void *here)
{
	const uint8_t *top = cpu->below + CPU_RSP;

	if ((uintptr_t)top - (uintptr_t)here < CPU_STACK) {
		asan_forget_frames(here, top);
		here = (const void *)(uintptr_t)cpu->host_rsp;
	}
	/* the buffer's third word is the stack pointer of the function we go to (gcc and clang) */
	asan_forget_frames(here, cpu->unwind[2]);
}

/* A function of its own: the builtin must not be inlined into one that holds the matching setjmp. */
static noreturn __attribute__((noinline)) void leave(struct cpu *cpu)
{
	cpu->event_valid = true;
	forget_frames(cpu, __builtin_frame_address(0));
	__builtin_longjmp(cpu->unwind, 1);
}

static void event_set(struct cpu *cpu, unsigned vector, uint32_t error)
{
	struct cpu_event *ev = &cpu->event;

	ev->vector = (uint8_t)vector;
	ev->has_error = vector < 32 && HAS_ERROR >> vector & 1;
	ev->soft = false;
	ev->ext = false;
	ev->icebp = false;
	ev->error = ev->has_error ? error : 0;
	ev->cr2 = 0;
	ev->dr6 = 0;
}

noreturn void cpu_raise(struct cpu *cpu, unsigned vector, uint32_t error)
{
	event_set(cpu, vector, error);
	leave(cpu);
}

noreturn void cpu_raise_pf(struct cpu *cpu, gla_t gla, uint32_t error)
{
	event_set(cpu, EXC_PF, error);
	cpu->event.cr2 = gla;
	leave(cpu);
}

noreturn void cpu_raise_db(struct cpu *cpu, uint64_t dr6, bool trap)
{
	event_set(cpu, EXC_DB, 0);
	cpu->event.dr6 = dr6;
	if (trap) {
		cpu->s.rip = cpu->next_rip;
		cpu->host_pc = 0;
	}
	leave(cpu);
}
