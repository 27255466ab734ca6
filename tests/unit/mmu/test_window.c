// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of windows: where biased addresses may lead, what is mapped there, what makes it go away */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "mmu_unit.h"

#define SLOT_SIZE (1ull << MMU_SLOT_SHIFT)

static int begin(void **state)
{
	setup(state);
	mode_long();
	user(true);
	mmu_window_init(cpu, WINDOW_ALWAYS);
	mmu_window_enter(cpu);
	return 0;
}

static int end(void **state)
{
	mmu_window_fini(cpu);
	return teardown(state);
}

/* What translated code does. */
static uint64_t biased(gla_t gla)
{
	return gla + cpu->mmu->bias[gla >> MMU_SLOT_SHIFT];
}

static bool in_windows(uint64_t at)
{
	const struct mmu_window *w = &cpu->mmu->window[cpu->mmu->ctx];

	for (unsigned k = 0; k < w->n; k++)
		if (at - (uint64_t)w->host[k] < SLOT_SIZE)
			return true;
	return at - (uint64_t)cpu->mmu->window_none < SLOT_SIZE;
}

/* An access by translated code at gla: what the handler says in the end. */
static enum mmu_window_fault touch(gla_t gla, bool write)
{
	uint64_t bias = cpu->mmu->bias[gla >> MMU_SLOT_SHIFT];
	enum mmu_window_fault how = WINDOW_FILLED;

	if (!cpu_canonical(gla + bias))
		how = mmu_window_fault(cpu, false, 0, write, &bias);
	return how == WINDOW_FILLED ? mmu_window_fault(cpu, true, gla + bias, write, &bias) : how;
}

static void check_biases(void)
{
	for (uint64_t slot = 0; slot < MMU_BIASES; slot++) {
		uint64_t first = biased(slot << MMU_SLOT_SHIFT), last = first + SLOT_SIZE - 1;

		if (first >> 47 == 0 || last >> 47 == 0)
			assert_true(in_windows(first) && in_windows(last));
		assert_true(slot < MMU_SLOTS || first >> 47);
	}
}

/* I1: the bias of a slot without a window once was 2^62 alone: 0xc000000000000000 + x reached host address x. */
static void stays_in_windows(void **state)
{
	check_biases();
	map(1, 0x100000 | P | W | U | A | D);
	assert_int_equal(touch(0x1000, false), WINDOW_FILLED);
	assert_int_equal(cpu->mmu->window[cpu->mmu->ctx].n, 1);
	check_biases();
}

/* "rw", "r-", "--" as the host has it mapped there; "" if it is nobody's. Mapped RAM lies at *off of the file. */
static const char *host_has(uint64_t at, uint64_t *off)
{
	static char rights[3];
	unsigned long long first, last, offset;
	char line[512], perms[5];
	FILE *f = fopen("/proc/self/maps", "r");

	assert_non_null(f);
	*rights = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx %4s %llx", &first, &last, perms, &offset) != 4 || at < first || at >= last)
			continue;
		memcpy(rights, perms, 2);
		*off = offset + at - first;
	}
	fclose(f);
	return rights;
}

#define HAS(gla, what) assert_string_equal(host_has(biased(gla), &off), what)
#define FILLED(gla, write) assert_int_equal(touch(gla, write), WINDOW_FILLED)
#define NOT(gla, write) assert_int_equal(touch(gla, write), WINDOW_NOT)
#define GUEST(gla, write) assert_int_equal(touch(gla, write), WINDOW_GUEST)

#define ALL (P | W | U | A | D)
static uint64_t off;

/* I2: writable only what is dirty, allowed and no code; A and D bits are set as the walk's access says. */
static void rights(void **state)
{
	map(1, 0x100000 | P | W | U), map(2, 0x101000 | P | U), map(3, 0x102000 | P | W), map(5, DEVICE | ALL);
	FILLED(0x1008, false);
	HAS(0x1000, "r-");
	assert_int_equal(off, 0x100000);
	assert_int_equal(peek(PT + 8, 8), 0x100000 | P | W | U | A);
	FILLED(0x1ff8, true);
	HAS(0x1000, "rw");
	assert_int_equal(peek(PT + 8, 8), 0x100000 | ALL);
	HAS(0, "--"), HAS(0x2000, "--");
	FILLED(0x2000, false);
	HAS(0x2000, "r-");
	GUEST(0x2000, true), GUEST(0x3000, false), GUEST(0x4000, false), NOT(0x5000, false), NOT(0x5000, true);
	HAS(0x2000, "r-"), HAS(0x3000, "--"), HAS(0x4000, "--"), HAS(0x5000, "--");
	map(6, 0x103000 | ALL);
	mem_code_map(mem)[0x103] = 1;
	FILLED(0x6000, false);
	HAS(0x6000, "r-");
	NOT(0x6000, true);
	FILLED(0x1000, true);
	mmu_protect_code(cpu, 0x100000);
	HAS(0x1000, "--");
}

/* INVLPG takes the page and leaves its neighbours; MOV CR3 takes all; what is unborn or above is ignored. */
static void flushed(void **state)
{
	for (unsigned n = 1; n < 4; n++) {
		map(n, (0x100000 + n * 0x1000) | ALL);
		FILLED(n * 0x1000, true);
	}
	mmu_flush_page(cpu, 0x2123);
	HAS(0x1000, "rw"), HAS(0x2000, "--"), HAS(0x3000, "rw");
	mmu_flush_page(cpu, 0x0000555500000000);
	mmu_flush_page(cpu, 0xffff800000002000);
	HAS(0x1000, "rw");
	assert_true(try_cr3(PML4));
	HAS(0x1000, "--"), HAS(0x3000, "--");
	assert_int_equal(cpu->mmu->window_pages, 0);
}

/* A large page is mapped in one piece, unless code, RAM's end or A20 cut it; INVLPG of any address takes all. */
static void large(void **state)
{
	poke(PD + 8, 0x200000 | ALL | PS, 8);
	poke(PD + 16, 0x800000 | ALL | PS, 8); /* behind the end of RAM */
	poke(PD + 24, 0x400000 | ALL | PS, 8);
	FILLED(0x234567, true);
	HAS(0x400000, "--"), HAS(0x3ff000, "rw");
	assert_int_equal(off, 0x3ff000);
	NOT(0x400000, true);
	mmu_flush_page(cpu, 0x200000);
	HAS(0x3ff000, "--");
	mem_code_map(mem)[0x400] = 1;
	FILLED(0x601000, true);
	HAS(0x601000, "rw"), HAS(0x602000, "--"), HAS(0x600000, "--");
	mem_code_map(mem)[0x400] = 0;
	mem_set_a20(mem, false);
	mmu_flush_all(cpu);
	FILLED(0x301000, true);
	HAS(0x301000, "rw");
	assert_int_equal(off, 0x201000);
	HAS(0x302000, "--");
}

/* The page that the guest's #PF was about is there when its handler has returned: writable if the guest has set D,
 * which nobody else may; not for another address space, nor if it is still not present. */
static void wanted(void **state)
{
	map(1, 0x100000 | ALL);
	FILLED(0x1000, true);
	GUEST(0x2000, true);
	mmu_window_wanted(cpu);
	HAS(0x2000, "--");
	map(2, 0x101000 | ALL);
	mmu_window_wanted(cpu);
	HAS(0x2000, "--");
	mmu_flush_page(cpu, 0x2000);
	map(2, 0);
	GUEST(0x2000, true);
	map(2, 0x101000 | ALL);
	mmu_window_wanted(cpu);
	HAS(0x2000, "rw");
	GUEST(0x3000, true);
	map(3, 0x102000 | P | W | U);
	mmu_window_wanted(cpu);
	HAS(0x3000, "r-");
	assert_int_equal(peek(PT + 8 * 3, 8), 0x102000 | P | W | U | A);
	GUEST(0x4000, true);
	map(4, 0x103000 | ALL);
	cpu->mmu->window_wanted_ctx ^= 1;
	mmu_window_wanted(cpu);
	HAS(0x4000, "--");
}

/* Where a large page was before the last flush, INVLPG of a small one takes that one: xz lost 4 MiB at each. */
static void large_before(void **state)
{
	poke(PD + 8, 0x200000 | ALL | PS, 8);
	FILLED(0x234567, true);
	mmu_flush_nonglobal(cpu);
	poke(PD + 8, MIB(1) | P | W | U, 8);
	poke(MIB(1) + 8 * 5, 0x105000 | ALL, 8), poke(MIB(1) + 8 * 9, 0x109000 | ALL, 8);
	FILLED(0x205000, true), FILLED(0x209000, true);
	mmu_flush_page(cpu, 0x205000);
	HAS(0x205000, "--"), HAS(0x209000, "rw");
}

/* SDM vol 3 4.10.4.1: INVLPG drops global translations whatever the PCID; windows of the other contexts kept theirs. */
static void global_elsewhere(void **state)
{
	uint64_t first;

	cpu->s.cr4 |= CR4_PCIDE | CR4_PGE;
	mmu_flush_all(cpu);
	map(1, 0x100000 | ALL | G);
	FILLED(0x1000, true);
	first = biased(0x1000);
	assert_true(try_cr3(PML4 | 1));
	map(1, 0x101000 | ALL | G);
	mmu_flush_page(cpu, 0x1000);
	assert_string_equal(host_has(first, &off), "--");
	assert_true(try_cr3(PML4 | 1ull << 63));
	assert_string_equal(host_has(first, &off), "--");
}

/* I3: the supervisor's windows of one context, the user's of another: MOV CR3 between them once went unnoticed, and
 * supervisor pages came to lie in the user's windows. */
static void views(void **state)
{
	cpu->s.cr4 |= CR4_PCIDE;
	map(1, 0x100000 | P | W | A | D), map(2, 0x101000 | ALL);
	cpu->mmu->window[cpu->mmu->ctx].on = true;
	FILLED(0x2000, true);
	assert_true(try_cr3(PML4 | 1));
	user(false);
	mmu_window_enter(cpu);
	cpu->mmu->window[cpu->mmu->ctx].on = true;
	FILLED(0x1000, true);
	cpu->mode_dirty = false;
	assert_true(mmu_window_on(cpu));
	assert_true(try_cr3(PML4 | 1ull << 63));
	assert_true(cpu->mode_dirty && !mmu_window_on(cpu));
	NOT(0x1000, false);
	HAS(0x1000, "--"), HAS(0x2000, "rw");
	assert_true(try_cr3(PML4 | 1 | 1ull << 63));
	HAS(0x1000, "rw");
	user(true);
	mmu_window_enter(cpu);
	HAS(0x1000, "--");
	GUEST(0x1000, false);
}

/* While there are data breakpoints no code is for windows, and nothing comes into them. */
static void watched(void **state)
{
	map(1, 0x100000 | ALL);
	assert_true(mmu_window_on(cpu));
	cpu->s.dr[7] = 1;
	assert_false(mmu_window_on(cpu));
	NOT(0x1000, false);
}

/* Each slot's first entry leads to the same page tables. */
static gla_t in_slot(unsigned slot)
{
	poke(PML4 + 8 * slot, PDPT | P | W | U | A, 8);
	return (gla_t)slot << 39 | 0x1000;
}

/* No more slots than there are; after a flush others may have them. */
static void slots(void **state)
{
	map(1, 0x100000 | ALL);
	for (unsigned k = 0; k < 20; k++)
		assert_int_equal(touch(in_slot(k * 13), true), k < WINDOW_SLOTS ? WINDOW_FILLED : WINDOW_NOT);
	check_biases();
	HAS(in_slot(13), "rw");
	assert_true(try_cr3(PML4));
	check_biases();
	for (unsigned k = 20; k-- > 12;)
		FILLED(in_slot(k * 13 % 256), true);
	NOT(in_slot(1), true);
}

static void ticks(unsigned n)
{
	while (n-- > 0)
		mmu_window_tick(cpu);
}

/* The host's own limit of mappings is never met. Who runs into ours leaves the block, as other biases that it holds may
 * be of windows that are gone. */
static void many_pages(void **state)
{
	static const unsigned room = 25000;

	for (unsigned n = 0; n < room; n++) {
		gla_t gla = (gla_t)n * 0x2000 + GIB(1);

		poke(PDPT + 8, MIB(1) | P | W | U, 8);
		poke(MIB(1) + 8 * (gla >> 21 & 511), (MIB(1) + 0x1000 + 0x1000 * (gla >> 21 & 511)) | P | W | U, 8);
		poke(MIB(1) + 0x1000 + (gla - GIB(1)) / 0x1000 * 8, 0x100000 | P | W | U, 8);
		if (n == 20000) {
			assert_int_equal(touch(gla, false), WINDOW_GUEST);
			assert_false(mmu_window_on(cpu)); /* for a while, although they are on from the start */
			ticks(24);
			assert_false(mmu_window_on(cpu));
			ticks(1);
			assert_true(mmu_window_on(cpu));
		}
		FILLED(gla, false);
		assert_in_range(cpu->mmu->window_pages, 1, 20000);
	}
	assert_int_equal(cpu->mmu->window_pages, room - 20000);
}

/* INVLPG at the limit takes everything. */
static void cut_at_limit(void **state)
{
	map(1, 0x100000 | ALL), map(2, 0x101000 | ALL);
	FILLED(0x1000, true), FILLED(0x2000, true);
	for (unsigned n = 2; n < 20000; n++)
		mmu_flush_page(cpu, 0x2000);
	HAS(0x1000, "rw");
	mmu_flush_page(cpu, 0x2000);
	HAS(0x1000, "--"), HAS(0x2000, "--");
	assert_int_equal(cpu->mmu->window_pages, 0);
}

static int begin_later(void **state)
{
	begin(state);
	mmu_window_fini(cpu);
	memset(cpu->mmu->window, 0, sizeof(cpu->mmu->window));
	mmu_window_init(cpu, WINDOW_LATER);
	map(1, 0x100000 | ALL);
	return 0;
}

static void flush(uint64_t cr3, bool on)
{
	assert_true(try_cr3(cr3));
	assert_int_equal(mmu_window_on(cpu), on);
}

#define ON_AFTER(n, cr3) (ticks(n), flush(cr3, true))
#define OFF_AFTER(n, cr3) (ticks(n), flush(cr3, false))

static uint64_t cpu_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* As if the last flush had been some minutes ago; right now. */
#define LONG_AGO() (cpu->mmu->window[cpu->mmu->ctx].since -= 1ull << 40)
#define NOW() (cpu->mmu->window[cpu->mmu->ctx].since = cpu_time(), cpu->mmu->window[cpu->mmu->ctx].cost += model.tsc_hz)

/* A flush leaves windows on, without pages, if those cost little of the time since the last one. */
static void late_flush(void **state)
{
	ticks(3);
	assert_false(mmu_window_on(cpu));
	ticks(1);
	assert_true(mmu_window_on(cpu));
	FILLED(0x1000, true);
	HAS(0x1000, "rw");
	LONG_AGO();
	flush(PML4, true);
	HAS(0x1000, "--");
	assert_int_equal(cpu->mmu->window_pages, 0);
	flush(PML4, true); /* no page was mapped */
}

/* An address space whose pages cost more is without for a while, longer each time, until another one comes. */
static void soon_flush(void **state)
{
	const unsigned enough[] = { 3, 3 << 3, 3 << 6, 3 << 9, 3 << 9 };

	for (unsigned i = 0; i < ARRAY_LEN(enough); i++) {
		ticks(enough[i]);
		assert_false(mmu_window_on(cpu));
		ticks(1);
		for (unsigned k = 0; mmu_window_on(cpu) && k < 10; k++) { /* the host may take the CPU away in between */
			FILLED(0x1000, true);
			NOW();
			assert_true(try_cr3(PML4));
			HAS(0x1000, "--");
		}
		assert_false(mmu_window_on(cpu));
	}
	flush(0x14000, false);
	flush(PML4, false);
	ON_AFTER(4, PML4);
}

/* What many pages cost is looked at while they are mapped: who never flushes pays no more than others. */
static void dear(void **state)
{
	unsigned n = 0;

	ticks(4);
	map(2, 0x101000 | ALL);
	cpu->mmu->signal_ticks = model.tsc_hz / 100;
	cpu->mmu->window[cpu->mmu->ctx].pages = 1;
	while (mmu_window_on(cpu) && n++ < 100) {
		enum mmu_window_fault how = touch(0x1000 + n % 2 * 0x1000, false);

		assert_int_equal(how, mmu_window_on(cpu) ? WINDOW_FILLED : WINDOW_GUEST);
	}
	assert_in_range(n, 2, 40);
	assert_int_equal(cpu->stats.count[STAT_WINDOW_ENDS], 1);
	cpu->mmu->signal_ticks = 0;
	OFF_AFTER(24, PML4);
	ON_AFTER(1, PML4);
}

/* The dearer the host's signals, the longer an address space waits, up to ten times. */
static void dear_signals(void **state)
{
	cpu->mmu->signal_ticks = 30000;
	OFF_AFTER(15, PML4);
	ON_AFTER(1, PML4);
	cpu->mmu->signal_ticks = 1u << 30;
	flush(0x14000, false);
	OFF_AFTER(30, 0x14000);
	ON_AFTER(1, 0x14000);
}

/* A kernel that runs at CPL 3, in the upper half, gets none for its time. */
static void kernels_at_cpl3(void **state)
{
	cpu->s.rip = 0xffff800000000000;
	OFF_AFTER(100, PML4);
	cpu->s.rip = 0x1000;
	OFF_AFTER(3, PML4);
	ON_AFTER(1, PML4);
}

static void misses(unsigned n)
{
	while (n-- > 0)
		mmu_window_missed(cpu);
}

/* A loader has its windows until it has met what is no RAM 64 times; then it has to miss twice as often. */
static void loaders(void **state)
{
	user(false);
	for (unsigned n = 64; n <= 256; n *= 2) {
		misses(n - 1);
		assert_false(mmu_window_on(cpu));
		misses(1);
		assert_true(mmu_window_on(cpu));
		for (unsigned k = 0; k < 63; k++)
			mmu_window_refused(cpu);
		assert_true(mmu_window_on(cpu));
		mmu_window_refused(cpu);
		assert_false(mmu_window_on(cpu));
	}
}

/* Only for the same CR3, in the context it is about, and never over a flush of everything. */
static void late_flush_of_others(void **state)
{
	ON_AFTER(4, PML4);
	OFF_AFTER(2, 0x14000);
	OFF_AFTER(0, PML4);
	ON_AFTER(4, PML4);
	ticks(4);
	mmu_flush_all(cpu);
	assert_false(mmu_window_on(cpu));
	cpu->s.cr4 |= CR4_PCIDE;
	ON_AFTER(4, PML4);
	OFF_AFTER(4, PML4 | 1);
	ON_AFTER(4, PML4 | 1);
	flush(PML4 | 1ull << 63, true); /* neither kept nor flushed: another context's */
	flush(PML4 | 1 | 1ull << 63, true);
	assert_true(try_invpcid(1, 0, 0));
	OFF_AFTER(0, PML4 | 1ull << 63);
}

/* What the host refuses is not for windows, and leaves no hole in which something else could come to lie. */
static void refused(void **state)
{
	struct rlimit had, none = { 0 };
	int null = open("/dev/null", O_RDWR), fd = mem_ram_fd(mem), keep = dup(fd);

	map(1, 0x100000 | ALL), map(2, 0x101000 | ALL);
	getrlimit(RLIMIT_AS, &had);
	none.rlim_max = had.rlim_max;
	setrlimit(RLIMIT_AS, &none);
	enum mmu_window_fault how = touch(0x1000, true);
	setrlimit(RLIMIT_AS, &had);
	assert_int_equal(how, WINDOW_NOT);
	FILLED(0x1000, true);
	dup2(null, fd);
	NOT(0x2000, true);
	HAS(0x1000, "--"), HAS(0x2000, "--");
	dup2(keep, fd);
	FILLED(0x2000, true);
	close(null), close(keep);
}

/* Bits for pages that were mapped writable are forgotten with the pages, so that no later translation pays for them. */
static void written_forgotten(void **state)
{
	map(1, 0x100000 | ALL);
	FILLED(0x1000, true);
	assert_int_equal(cpu->mmu->window_written[0x100 / 8], 1);
	mmu_flush_all(cpu);
	assert_int_equal(cpu->mmu->window_written[0x100 / 8], 0);
}

/* What a block compares slots with must not match before there is a window: its bias would lead anywhere. */
static void nothing_near(void **state)
{
	for (unsigned k = 0; k < NEAR_SIZE; k++)
		assert_int_equal(cpu->mmu->wnear[k].slot, UINT64_MAX);
	map(1, 0x100000 | ALL);
	for (unsigned k = 0; k < NEAR_SIZE; k++)
		cpu->mmu->wnear[k] = (struct mmu_wnear){ .slot = 0, .bias = cpu->mmu->bias[0] };
	FILLED(0x1000, true);
	for (unsigned k = 0; k < NEAR_SIZE; k++)
		assert_int_equal(cpu->mmu->wnear[k].slot, UINT64_MAX);
}

/* Code may hold the bias of a slot from before it had a window: it gets the new one, once. */
static void bias_of_old(void **state)
{
	uint64_t old[2] = { cpu->mmu->bias[0], cpu->mmu->bias[MMU_SLOTS - 1] }, bias;

	map(1, 0x100000 | ALL);
	FILLED(0x1000, true);
	bias = old[0];
	assert_int_equal(mmu_window_fault(cpu, false, 0, true, &bias), WINDOW_FILLED);
	assert_int_equal(bias, cpu->mmu->bias[0]);
	assert_int_equal(mmu_window_fault(cpu, false, 0, true, &bias), WINDOW_GUEST);
	bias = old[1];
	assert_int_equal(mmu_window_fault(cpu, false, 0, true, &bias), WINDOW_FILLED);
	assert_int_equal(bias, cpu->mmu->bias[MMU_SLOTS - 1]);
	assert_int_not_equal(bias, old[1]);
}

/* What is no user address has a bias that never becomes a window's, or none: the look-up faults in the hole. */
static void no_users(void **state)
{
	uint64_t hole = (uint64_t)(cpu->mmu->bias + MMU_BIASES), bias = cpu->mmu->bias[MMU_SLOTS];

	assert_int_equal(mmu_window_fault(cpu, false, 0, false, &bias), WINDOW_GUEST);
	assert_int_equal(bias, cpu->mmu->bias[MMU_SLOTS]);
	assert_int_equal(mmu_window_fault(cpu, true, hole, false, &bias), WINDOW_GUEST);
	assert_int_equal(mmu_window_fault(cpu, true, hole + MMU_BIAS_HOLE - 1, false, &bias), WINDOW_GUEST);
	assert_int_equal(cpu->stats.count[STAT_ASTRAY], 0);
}

/* Nothing else of the process may come to lie where a displacement leads to from a window, nor from window_none. */
static void guarded(void **state)
{
	map(1, 0x100000 | ALL);
	FILLED(0x1000, true);
	uint8_t *const windows[] = { cpu->mmu->window[cpu->mmu->ctx].host[0], cpu->mmu->window_none };
	for (unsigned k = 0; k < ARRAY_LEN(windows); k++) {
		uint8_t *const at[] = { windows[k] - WINDOW_GUARD, windows[k] - 4096, windows[k] + SLOT_SIZE,
			windows[k] + SLOT_SIZE + WINDOW_GUARD - 4096 };
		for (unsigned j = 0; j < ARRAY_LEN(at); j++) {
			int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
			void *p = mmap(at[j], 4096, PROT_READ, flags, -1, 0);
			assert_ptr_equal(p, MAP_FAILED);
			assert_int_equal(errno, EEXIST);
			uint64_t bias = 0;
			assert_int_equal(mmu_window_fault(cpu, true, (uint64_t)at[j], true, &bias), WINDOW_NOT);
		}
	}
}

/* Every address that is no user's, and every bias that is none of ours, is the guest's own affair. */
static void not_canonical(void **state)
{
	static const uint64_t at[] = { 0, 1ull << 47, 1ull << 62, 3ull << 62, ~0ull, 1ull << 63, 0xffff800000000000 };

	for (unsigned k = 0; k < ARRAY_LEN(at); k++) {
		uint64_t bias = at[k];

		assert_int_equal(mmu_window_fault(cpu, false, 0, true, &bias), WINDOW_GUEST);
		assert_int_equal(bias, at[k]);
	}
	assert_int_equal(cpu->mmu->window[cpu->mmu->ctx].n, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define T_LATER(name) cmocka_unit_test_setup_teardown(name, begin_later, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(stays_in_windows), T(not_canonical), T(bias_of_old), T(no_users), T(nothing_near), T(guarded),
		T(rights), T(flushed), T(large), T(large_before), T(wanted), T(global_elsewhere), T(views),
		T(watched), T(slots), T(many_pages), T(cut_at_limit), T(refused), T(written_forgotten),
		T_LATER(late_flush), T_LATER(soon_flush), T_LATER(late_flush_of_others),
		T_LATER(dear), T_LATER(dear_signals), T_LATER(kernels_at_cpl3), T_LATER(loaders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
