// SPDX-License-Identifier: GPL-2.0-or-later
/* what: several CPUs on the bare machine: start-up messages, IPIs of all kinds, clocks, then orders, LOCK, patched
 * code
 */
#include "smp.h"

static volatile u32 storm_n;
static struct line tally[MAXCPU][MAXCPU];
#define FROM(n) \
	__attribute__((interrupt)) static void from_##n(struct frame *f) \
	{ \
		(void)f; \
		tally[n][whoami()].v++; \
		mmw(0xb0, 0); \
	}
FROM(0) FROM(1) FROM(2) FROM(3) static volatile u64 missed;
static void storm(unsigned me)
{
	asm volatile("sti");
	gate();
	for (u32 k = 0; k < storm_n; k++) {
		u64 want[MAXCPU];
		for (unsigned c = 0; c < gate_n; c++)
			want[c] = tally[me][c].v + (c != me);
		if (k & 1)
			mmw(0x300, 3 << 18 | 0x4000 | (0x70 + me * 16));
		else
			for (unsigned c = 0; c < gate_n; c++)
				if (c != me)
					ipi(apic_id[c], 0x4000 | (0x70 + me * 16));
		for (unsigned c = 0; c < gate_n; c++) {
			u64 e = tsc() + 8000000000ull;
			while (tally[me][c].v != want[c] && tsc() < e)
				relax();
			if (tally[me][c].v != want[c])
				missed++;
		}
	}
	gate();
	asm volatile("cli");
}
static volatile u64 pings;
static void pong(unsigned me)
{
	u64 seen;
	(void)me;
	for (u32 k = 0; k < storm_n; k++) {
		seen = got[1].v;
		pings++;
		asm volatile("" ::: "memory");
		while (got[1].v == seen)
			asm volatile("sti; hlt; cli" ::: "memory");
	}
}

static volatile u64 last_tsc, back, tscs;
static volatile u32 tlock;
static void clocks(unsigned me)
{
	(void)me;
	gate();
	for (u32 k = 0; k < ROUNDS; k++) {
		while (__atomic_exchange_n(&tlock, 1, __ATOMIC_SEQ_CST))
			relax();
		u64 n = tsc();
		if (n < last_tsc)
			back++;
		last_tsc = n;
		tscs++;
		tlock = 0;
	}
}

extern u8 mark_a[], mark_a_end[];
asm(".pushsection .data\n.code16\n.globl mark_a, mark_a_end\nmark_a: cli\n mov %cs, %ax\n xor %bx, %bx\n mov %bx, "
    "%ds\n"
    "mov %ax, 0x7000\n lock incw 0x7002\n1: testw $1, 0x7004\n jz 3f\n2: hlt\n jmp 2b\n3: lock incw 0x7006\n jmp "
    "1b\nmark_a_end:\n.popsection\n.code64\n");
static void sipis(unsigned ap)
{
	volatile u16 *m = (volatile u16 *)0x7000;
	u64 other = 0, never = 0, k, second = 0;
	copy((void *)0xa000, mark_a, (ul)(mark_a_end - mark_a));
	copy((void *)0xb000, mark_a, (ul)(mark_a_end - mark_a));
	for (k = 0; k < ROUNDS / 20; k++) {
		u16 was = m[1];
		m[0] = 0;
		m[2] = (u16)(k & 1);
		m[3] = 0;
		ipi(apic_id[ap], 0x4500);
		if (k & 2)
			wait_cycles(20000);
		ipi(apic_id[ap], 0x460a);
		ipi(apic_id[ap], 0x460b); /* the second is ignored */
		for (u64 e = tsc() + 400000000ull; m[1] == was && tsc() < e;)
			relax();
		never += m[1] == was;
		other += m[1] != was && m[0] != 0xa00;
		ipi(apic_id[ap], 0x460b); /* and so is one while it runs */
		if (k % 16 == 0) {
			wait_cycles(200000);
			second += (u16)(m[1] - was) != 1 || m[0] != 0xa00;
		}
	}
	note("INIT, SIPI rounds", k);
	note("  never started", never);
	note("  at the second's vector", other);
	note("  again while running", second);
	CHECK("vol 3 8.4.3 second SIPI", !other);
	CHECK("vol 3 8.4.3 starts", !never);
	CHECK("vol 3 8.4.3 running", !second);
}

/* Debug registers are each CPU's own. */
static volatile u64 other_db;
static void dr_peek(unsigned me)
{
	(void)me;
	other_db = RD_DR(0) | (RD_DR(7) & 0xff);
}

static void debug_registers(void)
{
	WR_DR(0, 0x1234);
	WR_DR(7, 0x402);
	begin(1, dr_peek);
	end(1);
	CHECK("vol 3 17.2: each its own", other_db == 0);
	WR_DR(7, 0x400);
}

/* One CPU in x2APIC mode, another in xAPIC mode. */
static volatile u32 apver;
static void read_version(unsigned me)
{
	(void)me;
	apver = mm(0x30);
}

static void x2apic(void)
{
	wrmsr(0x1b, rdmsr(0x1b) | 0x400);
	begin(2, read_version);
	end(2);
	note("xAPIC of CPU 2 while CPU 0 is in x2APIC mode, version", apver & 0xff);
	CHECK("vol 3 10.12.1: each its own", (apver & 0xff) == 0x14 || (apver & 0xff) == 0x15);
}

/* Until CPU c has taken one more than was. */
static void take_one(volatile u64 *count, u64 was)
{
	for (u64 e = tsc() + 4000000000ull; *count == was && tsc() < e;)
		relax();
}

static void shorthands(void)
{
	u64 was = got[0].v;

	asm volatile("sti");
	for (unsigned k = 0; k < 100; k++)
		mmw(0x300, 3 << 18 | 0x4000 | 1 << 8 | 0x70); /* lowest priority, all but self */
	wait_cycles(1000000);
	CHECK("vol 3 10.6.1: all but self, lowest priority", got[0].v == was);
	for (unsigned k = 0; k < 100; k++) {
		mmw(0x300, 1 << 18 | 0x4000 | 0x50);
		take_one(&got[0].v, was + k);
	}
	mmw(0x300, 2 << 18 | 0x4000 | 0x50);
	wait_cycles(1000000);
	CHECK("vol 3 10.6.1: self, all", got[0].v == was + 101);
	asm volatile("cli");
}

static void set_logical(unsigned me)
{
	mmw(0xe0, 0xffffffff); /* flat model */
	mmw(0xd0, 1u << (24 + me));
}

/* Let what is pending come. */
static void drain(unsigned me)
{
	(void)me;
	gate();
	asm volatile("sti; nop; nop");
	wait_cycles(100000);
	asm volatile("cli");
	gate();
}

static void logical(unsigned n)
{
	u64 was[MAXCPU];

	all(n, set_logical);
	for (u32 mask = 1; mask < 1u << n; mask++) {
		all(n, drain);
		for (unsigned c = 0; c < n; c++)
			was[c] = got[c].v;
		ipi(mask, 0x4850);
		all(n, drain);
		for (unsigned c = 0; c < n; c++)
			CHECK("vol 3 10.6.2.2: flat logical", got[c].v == was[c] + (mask >> c & 1));
	}
	all(n, drain);
	was[0] = 0;
	for (unsigned c = 0; c < n; c++)
		was[0] += got[c].v;
	ipi((1u << n) - 1, 0x4950); /* lowest priority: one of them */
	all(n, drain);
	for (unsigned c = 0; c < n; c++)
		was[0] -= got[c].v;
	CHECK("vol 3 10.6.2.4: lowest priority", was[0] == (u64)-1);
}

static void nmi_each(unsigned n)
{
	for (unsigned c = 1; c < n; c++) {
		u64 was = nmis[c].v;

		ipi(apic_id[c], 0x4400);
		take_one(&nmis[c].v, was);
		CHECK("vol 3 10.6.1: NMI", nmis[c].v == was + 1);
	}
}

static void wakes(void)
{
	u64 since;

	storm_n = ROUNDS / 20;
	pings = 0;
	begin(1, pong);
	since = tsc();
	for (u32 k = 0; k < storm_n; k++) {
		u64 was = got[1].v;

		while (pings != k + 1)
			relax();
		ipi(apic_id[1], 0x4050);
		while (got[1].v == was)
			relax();
	}
	end(1);
	note("HLT wakes, cycles each", (tsc() - since) / storm_n);
}

static void storms(unsigned n)
{
	u64 sum = 0;

	storm_n = ROUNDS / 20;
	set_gate(0x70, from_0, KCS, 0x8e, 0);
	set_gate(0x80, from_1, KCS, 0x8e, 0);
	set_gate(0x90, from_2, KCS, 0x8e, 0);
	set_gate(0xa0, from_3, KCS, 0x8e, 0);
	all(n, storm);
	for (unsigned a = 0; a < n; a++)
		for (unsigned b = 0; b < n; b++)
			sum += tally[a][b].v;
	note("storm: IPIs", sum);
	CHECK("vol 3 10.8: none lost, none twice", !missed && sum == (u64)n * (n - 1) * storm_n);
	for (unsigned v = 0x70; v < 0xb0; v++)
		set_gate(v, on_ipi, KCS, 0x8e, 0);
}

void guest_main(void)
{
	paging_on();
	for (unsigned v = 0x50; v < 0xa0; v++)
		set_gate(v, on_ipi, KCS, 0x8e, 0);
	set_gate(2, on_nmi, KCS, 0x8e, 0);
	CHECK("vol 3 8.4: all start", start_aps(CPUS));
	if (ready != CPUS - 1) {
		note("ready", ready);
		finish();
	}
	note("CPUs", CPUS);
	wait_cycles(1000000);
	shorthands();
	nmi_each(CPUS);
	all(CPUS, drain); /* what came while interrupts were off */
	logical(CPUS);
	wakes();
	storms(CPUS);
	debug_registers();
	all(CPUS, clocks);
	note("TSC readings", tscs);
	note("  backwards", back);
	CHECK("vol 3 17.17: TSCs agree", !back);
	orders(CPUS);
	locked();
	patches(CPUS);
	sipis(1);
	if (CPUS > 2)
		x2apic();
}
