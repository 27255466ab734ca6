// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the oracle itself: runs cases on the host's CPU, in a child that is replaced when a case kills it
 *
 * Every case ends in a trap or a fault: INT3 fills the code region. The signal handler finds the whole state in its
 * frame, stores it and goes straight back to the loop over the batch, without sigreturn. Parent and child share
 * the batch and take turns by a byte through a pipe.
 *
 * FS and GS bases are the case's own until the handler puts the C library's back, so the handler is built without
 * stack protector and touches no thread-local data before.
 */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "native_int.h"
#include "oracle.h"

#define CASE_MS 2000
#define ALT_STACK (128u << 10)
/* IRET to a 16-bit stack leaves bits 16 to 31 of ESP as they are: a frame here makes them what fill_state says. */
#define FRAME_AT (0x7e0000000000ull | ORACLE_ESP_HIGH)

_Static_assert(offsetof(struct native_entry, rip) == NE_RIP, "native_enter.S");
_Static_assert(offsetof(struct native_entry, x) == NE_X, "native_enter.S");
_Static_assert(offsetof(struct native_entry, bases) == NE_BASES, "native_enter.S");

/* A case may write anywhere in the child: what it and its like begin with the child can only read. */
struct given {
	struct ocase c[ORACLE_BATCH];
	uint8_t image[IMAGE_SIZE];
};

/* What the child writes. sum is made when a result is stored: what a later case did to it does not go unnoticed. */
struct shared {
	uint32_t next, count;
	struct ores r[ORACLE_BATCH];
	uint64_t sum[ORACLE_BATCH];
};

struct native {
	struct xlayout l;
	struct given *given;
	struct shared *sh;
	uint8_t *mem; /* the image as one piece, writable; in the child also at its linear addresses */
	int memfd;
	pid_t pid;
	int to, from;
};

/* The child's only: a signal handler has no other way to find them. */
static struct native *nat;
static uint64_t host_fs;

#define OD 0xf3u /* data, DPL 3, accessed */
#define DB SEGA_DB
#define GR SEGA_G
#define LDT(n) ((n) << 3 | 7)

const struct oseg oseg_ldt[OLDT_SIZE] = {
	{ LDT(0), 0, 0, 0 },
	{ LDT(1), 0xfb | DB, CODE_AT, CODE_SIZE - 1 },     /* 32-bit code */
	{ LDT(2), 0xfb, CODE_AT, CODE_SIZE - 1 },          /* 16-bit code */
	{ LDT(3), OD | DB, DATA_AT, 0x1fff },
	{ LDT(4), OD | DB, DATA_AT + 0x800, 0xffff },
	{ LDT(5), OD | DB, STACK_AT, STACK_SIZE - 1 },     /* 32-bit stack */
	{ LDT(6), OD, STACK_AT, STACK_SIZE - 1 },          /* 16-bit stack */
	{ LDT(7), 0xf7 | DB, DATA_AT, 0xfff },             /* expand down: DATA_AT + 0x1000 and up */
	{ LDT(8), 0xf1 | DB, READ_AT, 0xfff },             /* read only */
	{ LDT(9), OD, DATA_AT, 0x1fff },
	{ LDT(10), OD | DB | GR, 0, 0xffffffff },
	{ LDT(11), 0xf7, DATA_AT, 0xfff },                 /* expand down, 64 KiB */
};

#define L(n, a, b, l) { LDT(n), a, b, l }
#define FLAT { 0x2b, OD | DB | GR, 0, 0xffffffff }
const struct oseg oseg_table[O_MODES][6] = {
	[O64] = { [SEG_CS] = { 0x33, 0xfb | SEGA_L | GR, 0, 0xffffffff }, [SEG_SS] = FLAT },
	[O32] = { FLAT, { 0x23, 0xfb | DB | GR, 0, 0xffffffff }, FLAT, FLAT,
		L(7, 0xf7 | DB, DATA_AT, 0xfff), L(8, 0xf1 | DB, READ_AT, 0xfff) },
	[O32S] = { L(4, OD | DB, DATA_AT + 0x800, 0xffff), L(1, 0xfb | DB, CODE_AT, CODE_SIZE - 1),
		L(5, OD | DB, STACK_AT, STACK_SIZE - 1),
		L(3, OD | DB, DATA_AT, 0x1fff), L(7, 0xf7 | DB, DATA_AT, 0xfff), L(8, 0xf1 | DB, READ_AT, 0xfff) },
	[O16] = { L(4, OD | DB, DATA_AT + 0x800, 0xffff), L(2, 0xfb, CODE_AT, CODE_SIZE - 1),
		L(6, OD, STACK_AT, STACK_SIZE - 1),
		L(9, OD, DATA_AT, 0x1fff), L(11, 0xf7, DATA_AT, 0xfff), L(10, OD | DB | GR, 0, 0xffffffff) },
};

static void read_segments(uint16_t *sel)
{
	__asm__ volatile("movw %%es, %0" : "=r"(sel[SEG_ES]));
	__asm__ volatile("movw %%ds, %0" : "=r"(sel[SEG_DS]));
	__asm__ volatile("movw %%fs, %0" : "=r"(sel[SEG_FS]));
	__asm__ volatile("movw %%gs, %0" : "=r"(sel[SEG_GS]));
}

/* arch_prctl(), which needs no FSGSBASE of the host; without the C library, whose thread-local data may be out of
 * reach. */
static inline long base_call(long what, uint64_t arg)
{
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(SYS_arch_prctl), "D"(what), "S"(arg) : "rcx", "r11", "memory");
	return ret;
}

static void store_registers(struct ores *r, const greg_t *g)
{
	static const uint8_t map[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
	for (unsigned k = 0; k < 16; k++)
		r->gpr[k] = (uint64_t)g[map[k]];
	r->rip = (uint64_t)g[REG_RIP];
	r->rflags = (uint64_t)g[REG_EFL];
	r->vector = (uint32_t)g[REG_TRAPNO];
	r->error = (uint32_t)g[REG_ERR];
	r->cr2 = (uint64_t)g[REG_CR2];
	r->sel[SEG_CS] = (uint16_t)g[REG_CSGSFS];
	r->sel[SEG_SS] = (uint16_t)(g[REG_CSGSFS] >> 48);
}

static uint64_t sum_of(const struct ores *r)
{
	const uint8_t *p = (const uint8_t *)r;
	uint64_t sum = 0, word;
	_Static_assert(sizeof(*r) % sizeof(word) == 0, "to its end");
	for (size_t k = 0; k < sizeof(*r); k += sizeof(word)) {
		memcpy(&word, p + k, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
	}
	return sum;
}

static __attribute__((no_stack_protector)) void on_trap(int sig, siginfo_t *si, void *ctx)
{
	uint16_t sel[6];
	uint64_t fs, gs;
	/* alignment checks and NT of the case are not for this code */
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\tpushfq\n\tandl $~0x44000, (%%rsp)\n\tpopfq\n\t"
			 "leaq 128(%%rsp), %%rsp" : : : "memory", "cc");
	base_call(ARCH_GET_FS, (uint64_t)(uintptr_t)&fs);
	base_call(ARCH_GET_GS, (uint64_t)(uintptr_t)&gs);
	read_segments(sel);
	__asm__ volatile("movw %w0, %%fs; movw %w0, %%gs; movw %w0, %%ds; movw %w0, %%es" : : "r"(0));
	base_call(ARCH_SET_FS, host_fs);
	const ucontext_t *uc = ctx;
	struct shared *sh = nat->sh;
	if (sh->next >= sh->count)
		_exit(2);
	struct ores *r = &sh->r[sh->next];
	memcpy(r->sel, sel, sizeof(sel));
	store_registers(r, uc->uc_mcontext.gregs);
	r->fs_base = fs;
	r->gs_base = gs;
	memcpy(r->x, uc->uc_mcontext.fpregs, X_SIZE);
	memcpy(r->mem, nat->mem, IMAGE_SIZE);
	r->status = OS_OK;
	sh->sum[sh->next] = sum_of(r);
	native_leave();
}

/* Not inlined: nothing of the caller's may live in registers of the case. */
static __attribute__((noinline)) void run_case(struct native *n, const struct ocase *c)
{
	const struct oseg *seg = oseg_table[c->mode];
	struct native_entry e = { .rflags = c->rflags | FL_IF | FL_FIXED, .fs_base = c->fs_base, .gs_base = c->gs_base,
		.xmask = n->l.mask, .x = c->x, .bases = omode64(c->mode), .cs = seg[SEG_CS].sel, .ss = seg[SEG_SS].sel,
		.rsp = c->gpr[RSP], .frame = c->mode == O16 ? FRAME_AT + 0x800 : 0 };
	memcpy(e.gpr, c->gpr, sizeof(e.gpr));
	for (unsigned k = 0; k < 6; k++)
		e.sel[k] = seg[k].sel;
	e.rip = CODE_AT + c->off - seg[SEG_CS].base;
	memcpy(n->mem, n->given->image, IMAGE_SIZE);
	ocase_place(c, n->mem);
	native_enter(&e);
}

unsigned native_cpu(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		for (unsigned k = 0; k < CPU_SETSIZE; k++)
			if (CPU_ISSET(k, &set))
				return k;
	return 0;
}

static void pin(void)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(native_cpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void set_ldt(void)
{
	for (unsigned k = 1; k < OLDT_SIZE; k++) {
		const struct oseg *s = &oseg_ldt[k];
		bool code = s->attr & SEGA_CODE;
		struct user_desc d = { .entry_number = k, .base_addr = s->base,
			.limit = s->attr & SEGA_G ? s->lim >> 12 : s->lim,
			.seg_32bit = !!(s->attr & DB), .contents = code ? 2 : s->attr & SEGA_E ? 1 : 0,
			.read_exec_only = !(s->attr & SEGA_W), .limit_in_pages = !!(s->attr & SEGA_G) };
		if (syscall(SYS_modify_ldt, 0x11, &d, sizeof(d)) != 0)
			_exit(3);
	}
}

/* The parent's windows may lie there: not this child's affair. */
static void map_frame(void)
{
	void *p = mmap((void *)(uintptr_t)FRAME_AT, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		-1, 0);
	if (p == MAP_FAILED)
		_exit(5);
}

static void map_at(uint64_t at, size_t size, uint32_t off, int prot)
{
	void *p = mmap((void *)(uintptr_t)at, size, prot, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, nat->memfd, off);
	if (p != (void *)(uintptr_t)at)
		_exit(4);
}

/* Cases write to their own code and may make a SYSCALL of it, with anything in RAX. They lie below 4 GiB, this program
 * does not. */
static void forbid_syscalls(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ ARRAY_LEN(f), f }));
}

static void child_setup(struct native *n)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	struct sigaction sa = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	stack_t ss = { .ss_sp = malloc(ALT_STACK), .ss_size = ALT_STACK };
	nat = n;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	base_call(ARCH_GET_FS, (uint64_t)(uintptr_t)&host_fs);
	must(!mprotect(n->given, sizeof(*n->given), PROT_READ));
	map_at(CODE_AT, CODE_SIZE, CODE_OFF, PROT_READ | PROT_WRITE | PROT_EXEC);
	map_at(DATA_AT, DATA_SIZE, DATA_OFF, PROT_READ | PROT_WRITE);
	map_at(READ_AT, READ_SIZE, READ_OFF, PROT_READ);
	map_at(STACK_AT, STACK_SIZE, STACK_OFF, PROT_READ | PROT_WRITE);
	map_frame();
	pin();
	set_ldt();
	sigaltstack(&ss, NULL);
	for (unsigned k = 0; k < ARRAY_LEN(sigs); k++)
		sigaction(sigs[k], &sa, NULL);
	forbid_syscalls();
}

static noreturn void child(struct native *n, int in, int out)
{
	char b;
	child_setup(n);
	while (read(in, &b, 1) == 1) {
		for (; n->sh->next < n->sh->count; n->sh->next++)
			run_case(n, &n->given->c[n->sh->next]);
		if (write(out, &b, 1) != 1)
			break;
	}
	_exit(0);
}

static void start(struct native *n)
{
	int a[2], b[2];
	must(pipe(a) == 0 && pipe(b) == 0);
	fflush(NULL);
	n->pid = fork();
	must(n->pid >= 0);
	if (n->pid == 0) {
		close(a[1]);
		close(b[0]);
		child(n, a[0], b[1]);
	}
	close(a[0]);
	close(b[1]);
	n->to = a[1];
	n->from = b[0];
}

static void stop(struct native *n)
{
	if (n->pid <= 0)
		return;
	kill(n->pid, SIGKILL);
	waitpid(n->pid, NULL, 0);
	close(n->to);
	close(n->from);
	n->pid = 0;
}

/* Wait for the batch. What the case at fault became, if the child does not come to its end. */
static enum ostatus await(struct native *n)
{
	char b = 0;
	if (write(n->to, &b, 1) != 1)
		return OS_DIED;
	for (;;) {
		uint32_t at = __atomic_load_n(&n->sh->next, __ATOMIC_RELAXED);
		struct pollfd p = { .fd = n->from, .events = POLLIN };
		if (poll(&p, 1, CASE_MS) > 0)
			return read(n->from, &b, 1) == 1 ? OS_OK : OS_DIED;
		if (at == __atomic_load_n(&n->sh->next, __ATOMIC_RELAXED))
			return OS_HUNG;
	}
}

void native_run(struct native *n, unsigned count)
{
	n->sh->next = 0;
	n->sh->count = count;
	for (unsigned k = 0; k < count; k++)
		n->sh->r[k].status = OS_NONE;
	while (n->sh->next < count) {
		if (!n->pid)
			start(n);
		enum ostatus st = await(n);
		if (st == OS_OK)
			continue;
		stop(n);
		if (n->sh->next < count) /* it may have done all and not said so in time */
			n->sh->r[n->sh->next++].status = st;
	}
	for (unsigned k = 0; k < count; k++)
		if (n->sh->r[k].status == OS_OK && n->sh->sum[k] != sum_of(&n->sh->r[k]))
			n->sh->r[k].status = OS_OVERWRITTEN;
}

bool native_possible(void)
{
	return __builtin_cpu_supports("avx");
}

/* A Linux under a hypervisor that runs 64-bit user code only takes an LDT and never loads it. */
static noreturn void try_ldt(void)
{
	bool readable;
	set_ldt();
	__asm__ volatile("verr %w1" : "=@ccz"(readable) : "r"((uint32_t)LDT(3)));
	_exit(!readable);
}

bool native_segments(void)
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	must(pid >= 0);
	if (pid == 0)
		try_ldt();
	must(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

struct native *native_new(const struct xlayout *l)
{
	struct native *n = xalloc(sizeof(*n));
	signal(SIGPIPE, SIG_IGN);
	n->l = *l;
	n->memfd = memfd_create("oracle", MFD_CLOEXEC);
	must(n->memfd >= 0 && ftruncate(n->memfd, IMAGE_SIZE) == 0);
	n->mem = mmap(NULL, IMAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, n->memfd, 0);
	n->sh = mmap(NULL, sizeof(*n->sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	n->given = mmap(NULL, sizeof(*n->given), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(n->mem != MAP_FAILED && n->sh != MAP_FAILED && n->given != MAP_FAILED);
	return n;
}

void native_free(struct native *n)
{
	stop(n);
	munmap(n->sh, sizeof(*n->sh));
	munmap(n->given, sizeof(*n->given));
	munmap(n->mem, IMAGE_SIZE);
	close(n->memfd);
	free(n);
}

struct ocase *native_cases(struct native *n)
{
	return n->given->c;
}

uint8_t *native_image(struct native *n)
{
	return n->given->image;
}

const struct ores *native_results(struct native *n)
{
	return n->sh->r;
}
