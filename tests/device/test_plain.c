// SPDX-License-Identifier: GPL-2.0-or-later
/* what: device tests: chips that say they are plain (mem.h) leave x87, vector and mask registers as they are
 *
 * Each access is made with random contents in all of them, in real time with the I/O thread running. A library call or
 * a wire into code that uses a vector register shows as a byte that changed. Log lines are on: they need a shelter.
 */
#include "board.h"

#include <stdlib.h>

#include "cpu/cpuid.h"
#include "poke.h"

#define X2APIC_ON 0xc00

static void fill(struct cpu *cpu)
{
	uint8_t *p = cpu->fpu;

	for (unsigned n = 0; n < cpu->fpu_size; n++)
		p[n] = (uint8_t)rand();
	memset(p, 0, 32); /* FIP and FDP are kept for pending errors only, by some CPUs */
	put_le16(p, 0x37f);
	p[4] = 0xff;
	put_le32(p + 24, 0x1f80);
	put_le32(p + 28, 0xffff);
	for (unsigned r = 0; r < 8; r++)
		memset(p + 32 + 16 * r + 10, 0, 6);
	memset(p + 416, 0, 96);
	memset(p + 512, 0, 64);
	if (cpu->fpu_size > 512)
		put_le64(p + 512, cpu->host_xcr0);
}

/* True: the chip took it. Fails the test if a register changed. */
static bool try_poke(struct board *b, struct poke p)
{
	struct cpu *cpu = vcpu_cpu(b->pc->cpu[0].vcpu);
	static uint8_t before[sizeof(cpu->fpu)];
	bool done;

	p.ack = pc_ack;
	p.opaque = b->pc->loop;
	memcpy(before, cpu->fpu, sizeof(before));
	done = poke(cpu, &p);
	if (memcmp(before, cpu->fpu, sizeof(before)))
		fail_msg("access %u, %u bytes at %#llx, value %#llx: registers changed", p.what, p.size,
		         (unsigned long long)p.at, (unsigned long long)p.val);
	return done;
}

static uint64_t value(void)
{
	uint64_t r = (uint64_t)rand() << 33 ^ (uint64_t)rand() << 16 ^ (uint64_t)rand();

	return rand() % 3 ? r & 0xff : r;
}

static void start(struct board *b)
{
	struct cpu *cpu = vcpu_cpu(b->pc->cpu[0].vcpu);

	srand(1);
	log_set_level(LOG_INFO);
	cpu_fpu_park(cpu);
	fill(cpu);
	/* what the CPU itself makes of the pattern is what is compared with */
	poke(cpu, &(struct poke){ .what = POKE_NOTHING });
}

/* Every port, each size, with random values; those of chips often. */
static void ports(void **state)
{
	struct board *b = *state;
	unsigned taken = 0;

	start(b);
	loop_lock(b->pc->loop);
	piix4_pm_map(b->pc->pm);
	loop_unlock(b->pc->loop);
	for (unsigned port = 0; port < 65536; port++) {
		bool owned = port < 0x100 || (port >= 0x4d0 && port < 0x4d2) ||
		             (port >= PIIX4_PM_BASE && port < PIIX4_PM_BASE + 64);

		for (unsigned n = 0; n < (owned ? 300 : 2); n++) {
			enum poke_what what = rand() & 1 ? POKE_IN : POKE_OUT;

			taken += try_poke(b, (struct poke){ what, 1u << rand() % 3, port, value(), NULL, NULL });
		}
	}
	assert_true(taken > 60000);
	assert_int_equal(b->pc->end, PC_POWEROFF); /* was among them */
	log_set_level(LOG_WARN);
}

/* Chips that guests ask often are plain. */
static void which(void **state)
{
	struct board *b = *state;
	static const uint16_t port[] = { 0x20, 0x21, 0x40, 0x43, 0x61, 0x80, 0xa0, 0xa1, 0x4d0, 0x64 + 0x8000 };
	static const uint64_t window[] = { LAPIC + 0x30, IOAPIC, IOAPIC + 0x10, HPET + 0xf0 };

	start(b);
	for (unsigned n = 0; n < ARRAY_LEN(port); n++)
		assert_true(try_poke(b, (struct poke){ POKE_IN, 1, port[n], 0, NULL, NULL }));
	for (unsigned n = 0; n < ARRAY_LEN(window); n++)
		assert_true(try_poke(b, (struct poke){ POKE_READ, 4, window[n], 0, NULL, NULL }));
	/* and some are not: RTC, keyboard controller, PCI */
	assert_false(try_poke(b, (struct poke){ POKE_IN, 1, 0x71, 0, NULL, NULL }));
	assert_false(try_poke(b, (struct poke){ POKE_IN, 1, 0x64, 0, NULL, NULL }));
	assert_false(try_poke(b, (struct poke){ POKE_IN, 4, 0xcfc, 0, NULL, NULL }));
	log_set_level(LOG_WARN);
}

static void windows(void **state)
{
	struct board *b = *state;
	static const uint64_t base[] = { LAPIC, IOAPIC, HPET };
	unsigned taken = 0;

	start(b);
	for (unsigned n = 0; n < 60000; n++) {
		uint64_t at = base[rand() % 3] + (uint64_t)(rand() % 0x400);

		taken += try_poke(b, (struct poke){ rand() & 1 ? POKE_READ : POKE_WRITE, 1u << rand() % 4,
			rand() % 8 ? at & ~15ull : at, value(), NULL, NULL });
		if (n % 16 == 0)
			try_poke(b, (struct poke){ POKE_ACK, 0, 0, 0, NULL, NULL });
	}
	assert_true(taken > 40000); /* accesses that cross a register's end are not */
	log_set_level(LOG_WARN);
}

/* The APIC's MSRs, and CR8. */
static void msrs(void **state)
{
	struct board *b = *state;
	struct cpu *cpu = vcpu_cpu(b->pc->cpu[0].vcpu);
	unsigned taken = 0;

	start(b);
	assert_true(cpu->hooks->apic_wrmsr(cpu->hooks->opaque, 0x1b, LAPIC | X2APIC_ON | 0x100));
	for (unsigned n = 0; n < 60000; n++) {
		uint32_t msr = rand() % 16 ? 0x800 + (uint32_t)rand() % 0x40 : 0x6e0;

		taken += try_poke(b, (struct poke){ rand() & 1 ? POKE_RDMSR : POKE_WRMSR, 0, msr,
			msr == 0x6e0 ? __builtin_ia32_rdtsc() + value() * 1000 : value(), NULL, NULL });
		assert_true(try_poke(b, (struct poke){ POKE_TPR, 0, 0, value(), NULL, NULL }));
		if (n % 16 == 0)
			try_poke(b, (struct poke){ POKE_ACK, 0, 0, 0, NULL, NULL });
	}
	assert_true(taken > 20000); /* half of them is no MSR that can be read, or written so */
	log_set_level(LOG_WARN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(which, board_setup_live, board_teardown),
		cmocka_unit_test_setup_teardown(ports, board_setup_live, board_teardown),
		cmocka_unit_test_setup_teardown(windows, board_setup_live, board_teardown),
		cmocka_unit_test_setup_teardown(msrs, board_setup_live, board_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
