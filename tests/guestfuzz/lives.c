// SPDX-License-Identifier: GPL-2.0-or-later
/* what: one machine that runs guest after guest: a life ends when the guest resets or has had its time
 *
 * It is the whole board with its I/O thread and real time, driven as board/life.c does it. A life begins with the
 * CPU in the handlers' home, not at the reset vector, so that no time is lost on the way to the mode; what an INIT
 * finds at the reset vector is a real-mode program in ROM.
 *
 *   this thread: NMIs, keys, the screen, the end of lives | vCPU: the guest | I/O thread | watch: does the stop work?
 */
#include "guestfuzz.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../fuzz/confined.h"
#include "board/pc_int.h"

#define NS_PER_S 1000000000ull
#define NMI_NS 150000u
/* CPU time of a life; and the most of the clock's, as others may use the CPU, or the guest sleep */
#define LIFE_NS 15000000u
#define LIFE_CLOCK_NS 60000000u
#define STUCK_NS 6000000u /* without an NMI that got through */

struct lives {
	const struct lives_config *cfg;
	struct tally *t;
	struct fuzz_machine m;
	struct guest g;
	unsigned number;      /* of the life */
	uint64_t stopping; /* CPU time of the process when the stop was asked, 0: none is under way */
	uint64_t stopping_at; /* the same on the clock */
	bool over;            /* watch() may end */
};

static uint64_t ns_of(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void pause_ns(uint64_t ns)
{
	clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){ .tv_nsec = (long)ns }, NULL);
}

/* A stop that is not answered: by CPU time, because other work may keep this process waiting. */
static void *watch(void *opaque)
{
	struct lives *l = opaque;

	while (!__atomic_load_n(&l->over, __ATOMIC_SEQ_CST)) {
		uint64_t since = __atomic_load_n(&l->stopping, __ATOMIC_SEQ_CST);
		uint64_t at = __atomic_load_n(&l->stopping_at, __ATOMIC_SEQ_CST);
		bool late = ns_of(CLOCK_PROCESS_CPUTIME_ID) - since > l->cfg->patience * NS_PER_S ||
			ns_of(CLOCK_MONOTONIC) - at > 20 * l->cfg->patience * NS_PER_S;

		if (since && late) {
			struct cpu *cpu = vcpu_cpu(l->m.pc->cpu[0].vcpu);
			unsigned where = cpu->stats.where;
			char state[4096];

			vcpu_dump(l->m.pc->cpu[0].vcpu, state, sizeof(state));
			fprintf(stderr, "hang: no answer to a stop, in %s %u (as it is now: %s)\n",
				where < STATS_OPS ? "helper" : "phase", where < STATS_OPS ? where : where - STATS_OPS, state);
			abort();
		}
		pause_ns(10000000);
	}
	return NULL;
}

static void stop(struct lives *l)
{
	__atomic_store_n(&l->stopping_at, ns_of(CLOCK_MONOTONIC), __ATOMIC_SEQ_CST);
	__atomic_store_n(&l->stopping, ns_of(CLOCK_PROCESS_CPUTIME_ID), __ATOMIC_SEQ_CST);
	vcpu_stop(l->m.pc->cpu[0].vcpu);
	__atomic_store_n(&l->stopping, 0, __ATOMIC_SEQ_CST);
}

/* What board/life.c does before a machine starts again. */
static void power_on(struct lives *l)
{
	struct pc *pc = l->m.pc;

	loop_lock(pc->loop);
	pc->end = PC_RUNNING;
	loop_unlock(pc->loop);
	pc_reset(pc);
}

/* The program in ROM, for INIT: a jump from F000:FFF0 to a block. Disks hold the program, shuffled by sectors. */
static void fill_media(struct lives *l)
{
	struct guest *g = &l->g;
	uint8_t rom[REGION], sector[512];

	memcpy(rom, g->ram + PROGRAM, sizeof(rom));
	rom[0xfff0] = 0xe9;
	put_le16(rom + 0xfff1, (uint16_t)(g->block[0] - 0xfff3));
	memcpy(l->m.pc->firmware.data, rom, MIN(sizeof(rom), l->m.pc->firmware.len));
	for (unsigned k = 0; k < 128; k++) {
		memcpy(sector, g->ram + PROGRAM + 512 * below(&g->r, 128), sizeof(sector));
		must(pwrite(l->m.disk[k & 1].fd, sector, sizeof(sector), 512 * k) == sizeof(sector));
		must(pwrite(l->m.floppy.fd, sector, sizeof(sector), 512 * k) == sizeof(sector));
	}
}

static void choose_places(struct guest *g)
{
	static const uint64_t low[] = { 0x80000000 - PROGRAM, 0xc0000000, 0xffff0000 - PROGRAM, 0xbfff0000 - PROGRAM },
		high[] = { 0x8000000000, 0x7fffffff0000 - PROGRAM, 0xffff800000000000 - PROGRAM, 0xffffffff80000000,
			0xffff880000000000, 0xffffffffffff0000 - PROGRAM, 0x10000000000, 0xffff0000 - PROGRAM, 0x240000000,
			0x7fc0000000 };
	struct rng *r = &g->r;
	uint64_t where;

	g->alias = 0;
	if (g->m->paged && g->m->bits == 64 && chance(r, 60))
		g->alias = high[below(r, ARRAY_LEN(high))];
	else if (g->m->paged && g->m->cs && g->m->bits == 32 && chance(r, 40))
		g->alias = low[below(r, ARRAY_LEN(low))];
	where = PROGRAM + g->alias;
	g->flat = chance(r, 55) || g->m->bits == 64;
	g->cs_base = g->ds_base = 0;
	if (g->m->bits == 16)
		g->cs_base = PROGRAM;
	else if (!g->flat) {
		g->cs_base = (uint32_t)where - (chance(r, 70) ? below(r, 0x4000) : (uint32_t)rnd(r) & 0xfffffff0);
		g->ds_base = chance(r, 50) ? below(r, 0x40) * 0x100 :
			chance(r, 50) ? below(r, 0x40000) : (uint32_t)rnd(r) & 0xfffffff0;
	}
}

/* Every other life has one of the directed pieces in most of its blocks; of the rest many have much of one kind. */
static void choose_focus(struct lives *l)
{
	struct guest *g = &l->g;
	const struct known *k = &known_list[l->number / 2 % known_count];

	g->known = l->number & 1 && k->modes >> g->mode & 1 ? k : NULL;
	g->focus = !g->known && chance(&g->r, 50) ? below(&g->r, KINDS) : KINDS;
	l->number++;
}

static void write_guest(struct lives *l, struct rng *r)
{
	struct guest *g = &l->g;
	struct code c = { .base = g->ram + PROGRAM, .bits = g->m->bits };
	struct pc *pc = l->m.pc;

	g->r.s = rnd(r);
	for (unsigned k = 0; k < ARRAY_LEN(g->gen.turn); k++)
		g->gen.turn[k] = (uint32_t)rnd(&g->r);
	choose_focus(l);
	memset(g->ram, 0, HIGH + 2 * REGION);
	choose_places(g);
	program_write(g, &c);
	memcpy(g->ram + HIGH + REGION, g->ram + PROGRAM, REGION);
	for (unsigned k = 0; k < REGION; k += 8)
		put_le64(g->ram + DATA + k, chance(&g->r, 70) ? program_value(g) : rnd(&g->r));
	handlers_write(g);
	tables_write(g);
	devices_prepare(g, pc);
	fill_media(l);
	tables_set_cpu(g, vcpu_cpu(pc->cpu[0].vcpu));
	loop_lock(pc->loop);
	mem_dma_written(pc->mem, 0, GUEST_RAM);
	loop_unlock(pc->loop);
	if (chance(&g->r, 4)) /* through the reset vector */
		vcpu_request_reset(pc->cpu[0].vcpu, false);
}

static void look_at_screen(struct pc *pc)
{
	static uint16_t cells[200 * 100];
	unsigned cols, rows;
	int cursor;

	loop_lock(pc->loop);
	vga_text_snapshot(pc->vga, cells, ARRAY_LEN(cells), &cols, &rows, &cursor);
	loop_unlock(pc->loop);
}

static void press_key(struct pc *pc, struct rng *r)
{
	uint8_t codes[2] = { (uint8_t)(rnd(r) & 0x7f), (uint8_t)(rnd(r) | 0x80) };

	loop_lock(pc->loop);
	i8042_key(pc->i8042, codes, 2);
	loop_unlock(pc->loop);
}

static bool over(struct pc *pc)
{
	uint64_t count;
	bool ended;

	loop_lock(pc->loop);
	ended = pc->end != PC_RUNNING || pc->reset_wanted;
	loop_unlock(pc->loop);
	if (read(pc->wake_fd, &count, sizeof(count)) < 0 && !ended)
		return false;
	return ended;
}

/* Until the guest or its time ends. An NMI is what every guest comes home by, wherever it is stuck; one whose NMIs
 * stay blocked runs astray for good. */
static void attend(struct lives *l, struct rng *r)
{
	struct pc *pc = l->m.pc;
	const uint64_t *nmis = &vcpu_cpu(pc->cpu[0].vcpu)->stats.count[STAT_NMIS];
	uint64_t now = ns_of(CLOCK_PROCESS_CPUTIME_ID), end = now + LIFE_NS, stuck = now + STUCK_NS, seen = *nmis;
	uint64_t late = ns_of(CLOCK_MONOTONIC) + LIFE_CLOCK_NS;

	for (; now < MIN(end, stuck) && ns_of(CLOCK_MONOTONIC) < late && !over(pc);
		now = ns_of(CLOCK_PROCESS_CPUTIME_ID)) {
		uint64_t before = ns_of(CLOCK_MONOTONIC), waited, got = __atomic_load_n(nmis, __ATOMIC_RELAXED);

		stuck = got != seen ? now + STUCK_NS : stuck;
		seen = got;

		if (chance(r, 80))
			vcpu_nmi(pc->cpu[0].vcpu);
		if (chance(r, 5))
			press_key(pc, r);
		if (chance(r, 3))
			look_at_screen(pc);
		loop_lock(pc->loop);
		loop_unlock(pc->loop);
		waited = (ns_of(CLOCK_MONOTONIC) - before) / 1000;
		l->t->longest_wait_us = MAX(l->t->longest_wait_us, waited);
		struct pollfd fd = { .fd = pc->wake_fd, .events = POLLIN };
		ppoll(&fd, 1, &(struct timespec){ .tv_nsec = NMI_NS }, NULL);
	}
}

static void live(struct lives *l, struct rng *r)
{
	struct pc *pc = l->m.pc;
	struct err err;

	write_guest(l, r);
	must(vcpu_start(pc->cpu[0].vcpu, &err) == 0);
	attend(l, r);
	stop(l);
	l->t->lives++;
	l->t->ends[pc->reset_wanted ? (pc->reset_is_triple ? PC_TRIPLE_FAULT : PC_RESET) : pc->end]++;
	confined_check(vcpu_cpu(pc->cpu[0].vcpu), pc->mem);
}

static void count(struct lives *l)
{
	const struct stats *st = &vcpu_cpu(l->m.pc->cpu[0].vcpu)->stats;

	for (unsigned k = 0; k < STAT_COUNT; k++)
		l->t->count[k] += st->count[k];
	for (unsigned k = 0; k < STATS_OPS; k++)
		l->t->calls[k] += st->calls[k];
	l->t->cases++;
}

/* CPUs that have what the mode wants; "host" where this host lacks what a name promises. */
static const char *choose_cpu(const struct lives_config *cfg, struct rng *r)
{
	static const char *const old[] = { "host", "486", "pentium", "pentium3", "x86-64-v1", "core2" };
	static const char *const young[] = { "host", "host", "host", "x86-64-v1", "x86-64-v3", "core2" };
	const struct gmode_facts *m = &gmode_facts[cfg->mode];
	const char *name = m->pae || chance(r, 50) ? young[below(r, ARRAY_LEN(young))] : old[below(r, ARRAY_LEN(old))];
	struct err err;
	struct cpu_model *model = cpuid_model_new(name, &err);

	if (!model)
		return "host";
	free(model);
	return name;
}

static void dump(void *opaque)
{
	struct lives *l = opaque;
	char state[4096];

	vcpu_dump(l->m.pc->cpu[0].vcpu, state, sizeof(state));
	fprintf(stderr, "%s\n", state);
}

static void make(struct lives *l, struct rng *r)
{
	struct guest *g = &l->g;
	struct err err;

	fuzz_machine_make_as(&l->m, (struct pc_config){ .cpu = choose_cpu(l->cfg, r), .mode = l->cfg->engine });
	must_set_dump(dump, l);
	g->mode = l->cfg->mode;
	g->m = &gmode_facts[g->mode];
	g->model = l->m.pc->model;
	g->ram = mem_ram_base(l->m.pc->mem);
	g->gen.l.mask = g->model->avx512 ? 0xe0 : 0; /* encode_group draws EVEX */
	ZydisDecoderInit(&g->gen.dec[O64], ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisDecoderInit(&g->gen.dec[O32], ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&g->gen.dec[O16], ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
	must(loop_start(l->m.pc->loop, &err) == 0);
}

void lives_run(const struct lives_config *cfg, struct tally *t)
{
	struct lives l = { .cfg = cfg, .t = t };
	struct rng r = { cfg->seed };

	l.number = below(&r, 2 * known_count);
	uint64_t until = ns_of(CLOCK_MONOTONIC) + 5 * cfg->ms * 1000000ull;
	pthread_t watcher;

	make(&l, &r);
	must(pthread_create(&watcher, NULL, watch, &l) == 0);
	confined_forbid_syscalls(l.m.pc->cpu[0].vcpu);
	do {
		live(&l, &r);
		power_on(&l);
	} while (ns_of(CLOCK_PROCESS_CPUTIME_ID) < cfg->ms * 1000000ull && ns_of(CLOCK_MONOTONIC) < until);
	count(&l);
	__atomic_store_n(&l.over, true, __ATOMIC_SEQ_CST);
	pthread_join(watcher, NULL);
	fuzz_machine_free(&l.m);
	t->cpu_us += ns_of(CLOCK_PROCESS_CPUTIME_ID) / 1000;
}
