// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of the page walk: formats, permissions, error codes, reserved bits, A and D bits */
#include "mmu_unit.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };

static gpa_t to;

static void flat(void **state)
{
	/* Without paging a linear address is a physical one of 32 bits; A20 off clears bit 20. */
	assert_true(try_translate(0x123456, MMU_READ, &to));
	assert_int_equal(to, 0x123456);
	assert_true(try_translate(0x100001234, MMU_READ, &to));
	assert_int_equal(to, 0x1234);
	mem_set_a20(mem, false);
	mmu_flush_all(cpu);
	assert_true(try_translate(0x123456, MMU_READ, &to));
	assert_int_equal(to, 0x023456);
}

static void two_level(void **state)
{
	/* SDM vol 3 4.3: 4 KiB pages through two levels; 4 MiB only with CR4.PSE; PSE-36 takes bits 39:32 from 20:13. */
	cpu->s.cr0 = CR0_PE | CR0_PG;
	cpu->s.cr3 = 0x10000;
	cpu_derive(cpu);
	poke(0x10000 + 4 * 1, 0x11000 | P | W, 4);
	poke(0x11000 + 4 * 2, 0x5000 | P, 4);
	assert_true(try_translate(0x402345, MMU_READ, &to));
	assert_int_equal(to, 0x5345);
	assert_true(peek(0x10004, 4) & A && peek(0x11008, 4) & A);
	assert_false(peek(0x11008, 4) & D);
	expect_pf(try_translate(0x403000, MMU_WRITE, &to), 0x403000, PF_W);
	poke(0x10000 + 4 * 3, 0x400000 | 3 << 13 | P | W | PS, 4);
	expect_pf(try_translate(0xc00000, MMU_READ, &to), 0xc00000, 0); /* PS ignored: a table of zeros at 0x406000 */
	cpu->s.cr4 = CR4_PSE;
	assert_true(try_translate(0xc12345, MMU_READ, &to));
	assert_int_equal(to, 0x300412345);
	assert_true(peek(0x1000c, 4) & A);
	poke(0x1000c, 0x400000 | 1 << 21 | P | PS, 4); /* bit 21 is reserved */
	expect_pf(try_translate(0xc00000, MMU_READ, &to), 0xc00000, PF_P | PF_RSVD);
	model.phys_bits = 32; /* no PSE-36: 20:13 are reserved too */
	poke(0x1000c, 0x400000 | 1 << 13 | P | PS, 4);
	expect_pf(try_translate(0xc00000, MMU_READ, &to), 0xc00000, PF_P | PF_RSVD);
}

static void pae(void **state)
{
	/* SDM vol 3 4.4: PDPTEs come from CR3's load and not from memory later; bad ones are #GP without effect. */
	cpu->s.cr0 = CR0_PE | CR0_PG;
	cpu->s.cr4 = CR4_PAE;
	cpu_derive(cpu);
	poke(0x10020, PD | P, 8);
	poke(0x10028, 0, 8);
	assert_true(try_cr3(0x10020));
	poke(0x10020, 0, 8);
	poke(PD, PT | P | W, 8);
	poke(PT, 0x7000 | P, 8);
	poke(PD + 8, 0x600000 | P | W | PS, 8);
	assert_true(try_translate(0x123, MMU_READ, &to));
	assert_int_equal(to, 0x7123);
	assert_true(try_translate(0x2abcde, MMU_WRITE, &to));
	assert_int_equal(to, 0x6abcde);
	assert_int_equal(peek(PD + 8, 8) & (A | D), A | D);
	expect_pf(try_translate(0x40000000, MMU_READ, &to), 0x40000000, 0);
	poke(PT + 8, 0x8000 | P | 1ull << 62, 8);
	expect_pf(try_translate(0x1000, MMU_READ, &to), 0x1000, PF_P | PF_RSVD);
	poke(PT + 8, 0x8000 | P | NX, 8); /* NXE is off: bit 63 is reserved */
	expect_pf(try_translate(0x1000, MMU_READ, &to), 0x1000, PF_P | PF_RSVD);
	poke(0x10040, PD | P | W, 8); /* W is reserved in a PDPTE */
	expect_fault(try_cr3(0x10040), EXC_GP);
	assert_int_equal(cpu->s.cr3, 0x10020);
	assert_int_equal(cpu->s.pdpte[0], PD | P);
}

static void four_level(void **state)
{
	/* SDM vol 3 4.5: 4 KiB, 2 MiB and 1 GiB pages, non-canonical addresses fault as the segment says. */
	mode_long();
	map(3, 0x9000 | P);
	assert_true(try_translate(0x3abc, MMU_READ, &to));
	assert_int_equal(to, 0x9abc);
	poke(PD + 8, 0x400000 | P | W | PS, 8);
	assert_true(try_translate(0x3fffff, MMU_READ, &to));
	assert_int_equal(to, 0x5fffff);
	poke(PDPT + 8, 0x80000000 | P | PS, 8);
	assert_true(try_translate(0x76543210, MMU_READ, &to));
	assert_int_equal(to, 0xb6543210);
	poke(PML4 + 8 * 511, PDPT | P, 8);
	assert_true(try_translate(0xffffff8000003abc, MMU_READ, &to));
	assert_int_equal(to, 0x9abc);
	expect_fault(try_translate(0x800000000000, MMU_READ, &to), EXC_GP);
	expect_fault(try_translate(0x800000000000, MMU_READ | MMU_SS, &to), EXC_SS);
}

static void reserved(void **state)
{
	/* Reserved bits of each entry type in 4-level paging, SDM vol 3 table 4-15 and on: P and RSVD in the code. */
	mode_long();
	map(0, 0x9000 | P | 1ull << 46);
	expect_pf(try_translate(0, MMU_READ, &to), 0, PF_P | PF_RSVD);
	map(0, 0x9000 | P | 1ull << 52); /* ignored */
	assert_true(try_translate(0, MMU_READ, &to));
	poke(PD + 8, 0x400000 | 1 << 13 | P | PS, 8);
	expect_pf(try_translate(0x200000, MMU_READ, &to), 0x200000, PF_P | PF_RSVD);
	poke(PDPT + 8, 1 << 29 | P | PS, 8);
	expect_pf(try_translate(0x40000000, MMU_WRITE, &to), 0x40000000, PF_P | PF_W | PF_RSVD);
	model.page1g = false;
	poke(PDPT + 8, P | PS, 8);
	expect_pf(try_translate(0x40000000, MMU_READ, &to), 0x40000000, PF_P | PF_RSVD);
	poke(PML4 + 8, PDPT | P | PS, 8);
	expect_pf(try_translate(1ull << 39, MMU_READ, &to), 1ull << 39, PF_P | PF_RSVD);
	map(0, 0x9000 | NX); /* not present: nothing else counts */
	expect_pf(try_translate(0, MMU_READ, &to), 0, 0);
	cpu->s.efer &= ~(uint64_t)EFER_NXE;
	mmu_flush_all(cpu); /* as WRMSR does */
	map(0, 0x9000 | P | NX);
	expect_pf(try_translate(0, MMU_READ, &to), 0, PF_P | PF_RSVD);
}

/* Access to a page of given rights: 0 allowed, else the error code + 1. */
static uint32_t outcome(uint64_t pte, bool is_user, unsigned kind)
{
	mmu_flush_all(cpu);
	map(0, 0x9000 | P | pte);
	user(is_user);
	return try_translate(0x10, kind, &to) ? 0 : cpu->event.error + 1;
}

static void matrix(void **state)
{
	/* SDM vol 3 4.6.1: every right against every access, computed the other way round. */
	mode_long();
	for (unsigned i = 0; i < 1 << 9; i++) {
		bool pw = i & 1, pu = i & 2, pnx = i & 4, wp = i & 8, smep = i & 16, smap = i & 32, ac = i & 64,
		is_user = i & 128;
		bool nxe = i & 256;

		cpu->s.cr0 = CR0_PE | CR0_PG | (wp ? CR0_WP : 0);
		cpu->s.cr4 = CR4_PAE | (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0);
		cpu->s.rflags = ac ? FL_FIXED | FL_AC : FL_FIXED;
		cpu->s.efer = EFER_LME | EFER_LMA | (nxe ? EFER_NXE : 0);
		for (unsigned k = 0; k < 5; k++) {
			static const unsigned kinds[] = { MMU_READ, MMU_WRITE, MMU_EXEC, MMU_SYS | MMU_READ, MMU_SYS | MMU_WRITE };
			unsigned kind = kinds[k];
			bool u = is_user && !(kind & MMU_SYS), w = kind & MMU_WRITE, x = kind & MMU_EXEC;
			bool ok = u ? pu && (!w || pw) : !w || pw || !wp;
			uint32_t error = PF_P | (w ? PF_W : 0) | (u ? PF_U : 0);

			if (x)
				ok = ok && !(pnx && nxe) && !(!u && pu && smep);
			else if (!u && pu && smap && (!ac || kind & MMU_SYS))
				ok = false;
			if (x && (nxe || smep))
				error |= PF_I;
			if (pnx && !nxe) {
				ok = false;
				error |= PF_RSVD;
			}
			assert_int_equal(outcome((pw ? W : 0) | (pu ? U : 0) | (pnx ? NX : 0), is_user, kind), ok ? 0 : error + 1);
		}
	}
}

static void upper_levels(void **state)
{
	/* Rights are those that all levels grant. */
	mode_long();
	map(0, 0x9000 | P | W | U);
	poke(PD, PT | P | U, 8);
	expect_pf(try_translate(0, MMU_WRITE, &to), 0, PF_P | PF_W);
	poke(PD, PT | P | W, 8);
	user(true);
	expect_pf(try_translate(0, MMU_READ, &to), 0, PF_P | PF_U);
	user(false);
	poke(PML4, PDPT | P | W | U | NX, 8);
	expect_pf(try_translate(0, MMU_EXEC, &to), 0, PF_P | PF_I);
}

static void accessed_dirty(void **state)
{
	/* A on every level and D on the leaf when used, and nothing on a fault. */
	mode_long();
	map(0, 0x9000 | P);
	expect_pf(try_translate(0, MMU_WRITE, &to), 0, PF_P | PF_W);
	assert_false(peek(PT, 8) & (A | D));
	assert_false(peek(PML4, 8) & A);
	assert_true(try_translate(0, MMU_READ, &to));
	assert_int_equal(peek(PT, 8), 0x9000 | P | A);
	assert_int_equal(peek(PML4, 8), PDPT | P | W | U | A);
	assert_int_equal(peek(PDPT, 8) & peek(PD, 8) & (A | D), A);
	map(0, 0x9000 | P | W);
	assert_true(try_translate(0, MMU_WRITE, &to));
	assert_int_equal(peek(PT, 8), 0x9000 | P | W | A | D);
	assert_true(mmu_peek(cpu, 0x5, &to));
	assert_int_equal(to, 0x9005);
	map(1, 0xa000 | P);
	assert_true(mmu_peek(cpu, 0x1000, &to));
	assert_false(peek(PT + 8, 8) & A);
	assert_false(mmu_peek(cpu, 0x2000, &to));
}

/* A device that changes a page table entry between the walk's read and its compare-and-exchange: the table may not be
 * written to, so that faults; behind it, a single step later, it may not again. */
#define CHANGES 40u
#define TRAP_FLAG 0x100
static uint64_t *entry; /* the device's view of it */
static unsigned changes;

static void table_rights(int rights)
{
	must(mprotect(mem_ram_base(mem) + PT, 4096, rights) == 0);
}

static void on_write(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *u = ctx;

	*entry = (0x100000 + changes++ * 4096ull) | P | W;
	table_rights(PROT_READ | PROT_WRITE);
	if (changes < CHANGES)
		u->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *u = ctx;

	u->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
	table_rights(PROT_READ);
}

static void changed_meanwhile(void **state)
{
	/* SDM vol 3 4.8: an access uses, and marks, the entry that is there; never one that went 16 times. */
	struct sigaction segv = { .sa_sigaction = on_write, .sa_flags = SA_SIGINFO }, trap = segv, was[2];
	uint8_t *view = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mem_ram_fd(mem), PT);
	bool ok;

	assert_true(view != MAP_FAILED);
	trap.sa_sigaction = on_step;
	mode_long();
	map(3, 0x7000 | P | W);
	entry = (uint64_t *)(view + 8 * 3);
	changes = 0;
	must(sigaction(SIGSEGV, &segv, &was[0]) == 0 && sigaction(SIGTRAP, &trap, &was[1]) == 0);
	table_rights(PROT_READ);
	ok = try_translate(0x3123, MMU_WRITE, &to);
	table_rights(PROT_READ | PROT_WRITE);
	must(sigaction(SIGSEGV, &was[0], NULL) == 0 && sigaction(SIGTRAP, &was[1], NULL) == 0);
	assert_true(ok);
	assert_int_equal(changes, CHANGES);
	assert_int_equal(peek(PT + 8 * 3, 8), (0x100000 + (CHANGES - 1) * 4096) | P | W | A | D);
	assert_int_equal(to, 0x100123 + (CHANGES - 1) * 4096);
	munmap(view, 4096);
}

static void tables_nowhere(void **state)
{
	/* Paging structures where no memory is read as all ones: reserved bits fault, nothing crashes. */
	mode_long();
	poke(PD, 0x3000000000 | P | W, 8);
	expect_pf(try_translate(0, MMU_READ, &to), 0, PF_P | PF_RSVD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(flat, setup, teardown),
		cmocka_unit_test_setup_teardown(two_level, setup, teardown),
		cmocka_unit_test_setup_teardown(pae, setup, teardown),
		cmocka_unit_test_setup_teardown(four_level, setup, teardown),
		cmocka_unit_test_setup_teardown(reserved, setup, teardown),
		cmocka_unit_test_setup_teardown(matrix, setup, teardown),
		cmocka_unit_test_setup_teardown(upper_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(accessed_dirty, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(tables_nowhere, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
