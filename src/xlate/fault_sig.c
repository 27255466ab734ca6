// SPDX-License-Identifier: GPL-2.0-or-later
/* what: host signals that translated code takes: safe points, and exceptions the guest's own instructions raise
 *
 * A fault in translated code happens at a guest instruction whose checks are done, so guest state is that
 * of the instruction's beginning (I1 of block.c): registers are taken from the signal frame, RIP from the block's
 * map. The handler then makes the thread continue in xlate_leave, as if the block had left by itself.
 * A fault anywhere else is a bug of ours and ends the process with a message.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "xlate/xlate_int.h"

#define ALT_STACK (256u << 10)
#define PROBES 8

/* The translator of this thread: a signal handler has no other way to find it. */
static __thread struct xlate *current;
static __thread void *alt_stack;

static void save_registers(struct cpu *cpu, const greg_t *g)
{
	static const struct { uint8_t reg; uint8_t from; } map[] = {
		{ RAX, REG_RAX }, { RCX, REG_RCX }, { RDX, REG_RDX }, { RBX, REG_RBX }, { RSP, REG_R14 }, { RBP, REG_RBP },
		{ RSI, REG_RSI }, { RDI, REG_RDI }, { R8, REG_R8 }, { R9, REG_R9 }, { R12, REG_R12 }, { R13, REG_R13 },
	};
	for (unsigned k = 0; k < ARRAY_LEN(map); k++)
		cpu->s.gpr[map[k].reg] = (uint64_t)g[map[k].from];
	uint64_t f = (uint64_t)g[REG_EFL];
	xcpu(cpu)->host_flags = (f & 0xd7) << 8 | (f >> 11 & 1);
}

/* RIP at which the guest goes on after a safe point. */
static uint64_t poll_target(const struct xlate *x, const struct block *b, uint32_t pc_off, const greg_t *g)
{
	for (unsigned k = 0; k < b->nexits; k++)
		if (b->exits[k].poll_off == pc_off)
			return b->exits[k].target;
	(void)x;
	return (uint64_t)g[REG_R15];
}

/* Where in the code cache, in what block, and what the access had. */
static void tell_code(const greg_t *g)
{
	char buf[256];
	const struct cache *c = current->c;
	uint64_t off = (uint64_t)g[REG_RIP] - (uint64_t)(uintptr_t)c->rx;
	const struct block *b = xlate_cache_at(current, (uint64_t)g[REG_RIP]);
	int n = snprintf(buf, sizeof(buf), "ring3: code +0x%llx, %u blocks, %llu flushes; trap %lld, error 0x%llx, "
	                 "S1 0x%llx, S2 0x%llx; block +0x%x, 0x%x bytes, cold +0x%x%s%s\n", (unsigned long long)off,
	                 c->nblocks, (unsigned long long)c->flushes, g[REG_TRAPNO], (unsigned long long)g[REG_ERR],
	                 (unsigned long long)g[REG_R10], (unsigned long long)g[REG_R11], b ? b->host_off : 0,
	                 b ? b->host_len : 0, b ? b->cold_off : 0, b && b->dead ? ", dead" : "",
	                 b && b->window ? ", windows" : "");

	if (n > 0 && write(2, buf, MIN((size_t)n, sizeof(buf) - 1)) < 0)
		_exit(1);
}

static noreturn void our_fault(int sig, const siginfo_t *si, const greg_t *g)
{
	char buf[256];
	int n = snprintf(buf, sizeof(buf), "ring3: internal error: signal %d at host address 0x%llx, access to %p%s\n", sig,
	                 (unsigned long long)g[REG_RIP], si->si_addr, current ? "" : " (not a vCPU thread)");
	if (n > 0 && write(2, buf, (size_t)MIN((size_t)n, sizeof(buf))) < 0)
		_exit(1);
	if (current)
		tell_code(g);
	signal(sig, SIG_DFL);
	raise(sig);
	_exit(1);
}

/* Exception vectors that a guest's instruction may raise natively. */
static bool is_guest_vector(greg_t trap)
{
	return trap == EXC_DE || trap == EXC_UD || trap == EXC_GP || trap == EXC_MF || trap == EXC_XM || trap == EXC_AC ||
		trap == EXC_SS;
}

/* What the access adds its bias from, and nothing else, is made the bias of a new window: another register, which may
 * hold what the guest likes, might be a guess at what biases look like. */
static enum mmu_window_fault window_fault(struct xlate *x, const struct block *b, const siginfo_t *si, greg_t *g)
{
	unsigned reg = b->nmap ? xlate_map_at(x, b, (uint64_t)g[REG_RIP])->bias : 0;
	uint64_t none = 0, s1 = (uint64_t)g[REG_R10], s2 = (uint64_t)g[REG_R11];
	uint64_t *bias = reg == S1 ? &s1 : reg == S2 ? &s2 : &none;
	enum mmu_window_fault how = mmu_window_fault(x->cpu, g[REG_TRAPNO] == EXC_PF, (uint64_t)(uintptr_t)si->si_addr,
		g[REG_ERR] & 2, bias);
	g[REG_R10] = (greg_t)s1;
	g[REG_R11] = (greg_t)s2;
	return how;
}

/* A fault of code that goes through windows. True: what it wants is there now. */
static bool window_filled(struct xlate *x, const struct block *b, const siginfo_t *si, greg_t *g)
{
	uint64_t rip = (uint64_t)g[REG_RIP];
	uint16_t was = stats_enter(&x->cpu->stats, PHASE_MISS);
	enum mmu_window_fault how = window_fault(x, b, si, g);
	x->sig_window = how == WINDOW_FILLED ? 0 : rip;
	stats_resume(&x->cpu->stats, was);
	return how == WINDOW_FILLED;
}

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;
	greg_t *g = uc->uc_mcontext.gregs;
	struct xlate *x = current;
	if (x && x->sig_probe) {
		g[REG_RIP] = (greg_t)x->sig_probe;
		x->sig_probe = 0;
		return;
	}
	struct block *b = x ? xlate_cache_at(x, (uint64_t)g[REG_RIP]) : NULL;
	bool poll = b && g[REG_TRAPNO] == EXC_PF && si->si_addr == NULL && g[REG_R10] == 0;
	/* #SS: base RBP at an address that is not canonical */
	bool address = g[REG_TRAPNO] == EXC_PF || g[REG_TRAPNO] == EXC_GP || g[REG_TRAPNO] == EXC_SS;
	bool window = b && b->window && !poll && address;
	if (!b || (!poll && !window && !is_guest_vector(g[REG_TRAPNO])))
		our_fault(sig, si, g);
	if (window && window_filled(x, b, si, g))
		return;
	struct cpu *cpu = x->cpu;
	save_registers(cpu, g);
	if (poll) {
		cpu->stats.count[STAT_EXIT_POLL]++;
		cpu->s.rip = poll_target(x, b, (uint32_t)((uint64_t)g[REG_RIP] - (uint64_t)(uintptr_t)x->c->rx), g);
	} else {
		cpu->s.rip = xlate_guest_rip(x, (uint64_t)g[REG_RIP]);
		/* An unused near entry may have let a non-canonical address pass: one strict step tells #GP from #SS. It also
		 * knows all that windows do not. */
		x->sig_retry = window || (g[REG_TRAPNO] == EXC_GP && b != &x->step_block);
		x->sig_event = !x->sig_retry;
		cpu->stats.count[STAT_FAULTS] += x->sig_event;
		x->sig_vector = (uint8_t)g[REG_TRAPNO];
		x->sig_error = 0;
	}
	g[REG_RSP] = (greg_t)(uintptr_t)cpu + CPU_RSP;
	g[REG_RIP] = (greg_t)(uintptr_t)xlate_leave;
}

/* TSC ticks of a fault that a window answers, without the answer: 4000 to 40000, by host. The mean of a few, unless
 * another process came between. */
static uint64_t signal_ticks(struct xlate *x)
{
	uint64_t least = UINT64_MAX, sum = 0;
	for (unsigned k = 0; k < PROBES; k++) {
		uint64_t from = __builtin_ia32_rdtsc();
		__asm__ volatile("leaq 1f(%%rip), %%rax\n\tmovq %%rax, %0\n\tmovb (%1), %%al\n1:"
		                 : "=m"(x->sig_probe) : "r"(x->cpu->mmu->window_none) : "rax", "memory");
		from = __builtin_ia32_rdtsc() - from;
		least = MIN(least, from);
		sum += from;
	}
	return MIN(sum / PROBES, 2 * least);
}

int xlate_thread_init(struct xlate *x, struct err *err)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	void *p = mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t ss = { .ss_sp = p, .ss_size = ALT_STACK };
	if (p == MAP_FAILED || sigaltstack(&ss, NULL) < 0)
		return err_set(err, -errno, "cannot set up a signal stack");
	alt_stack = p;
	current = x;
	mmu_window_thread(x->cpu);
	for (unsigned k = 0; k < ARRAY_LEN(sigs); k++)
		if (sigaction(sigs[k], &sa, NULL) < 0)
			return err_set(err, -errno, "cannot handle signal %d", sigs[k]);
	if (x->cpu->mmu->window_use != WINDOW_NEVER)
		x->cpu->mmu->signal_ticks = signal_ticks(x);
	return 0;
}

void xlate_thread_fini(struct xlate *x)
{
	stack_t ss = { .ss_flags = SS_DISABLE };
	if (current != x)
		return;
	current = NULL;
	sigaltstack(&ss, NULL);
	munmap(alt_stack, ALT_STACK);
}
