// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what a vCPU and the world say to each other: kicks, sleep, interrupts, time
 *
 * Chips call this from within port and MMIO accesses that leave the guest's vector registers live, so it is compiled
 * with -mgeneral-regs-only and calls the kernel only.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "vcpu/vcpu_int.h"

#define NS_PER_S 1000000000ull

static long futex(uint32_t *word, int op, uint32_t val)
{
	return syscall(SYS_futex, word, op, val, NULL, NULL, 0);
}

static void kick(struct vcpu *v)
{
	v->engine->kick(v->cpu);
	if (__atomic_exchange_n(&v->sleeping, 0, __ATOMIC_SEQ_CST))
		futex(&v->sleeping, FUTEX_WAKE_PRIVATE, 1);
}

void vcpu_request(struct vcpu *v, uint32_t bits)
{
	__atomic_fetch_or(&v->cpu->request, bits, __ATOMIC_SEQ_CST);
	kick(v);
}

static bool something_to_do(const struct cpu *cpu)
{
	if (cpu->s.wait_sipi)
		return __atomic_load_n(&cpu->request, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&cpu->request, __ATOMIC_SEQ_CST) || (cpu->s.nmi_pending && !cpu->s.nmi_blocked) ||
	       (__atomic_load_n(&cpu->intr, __ATOMIC_SEQ_CST) && cpu->s.rflags & FL_IF);
}

static void tell_halted(struct vcpu *v)
{
	if (v->cpu->s.wait_sipi || v->cpu->s.rflags & FL_IF || !v->cfg.halted || something_to_do(v->cpu))
		return;
	loop_lock(v->cfg.loop);
	v->cfg.halted(v->cfg.opaque);
	loop_unlock(v->cfg.loop);
}

/* Until there is something to do, or an alarm. */
static void doze(struct vcpu *v)
{
	vcpu_stats_sleep(v, true);
	__atomic_store_n(&v->sleeping, 1, __ATOMIC_SEQ_CST);
	while (!something_to_do(v->cpu) && __atomic_load_n(&v->sleeping, __ATOMIC_SEQ_CST))
		futex(&v->sleeping, FUTEX_WAIT_PRIVATE, 1);
	__atomic_store_n(&v->sleeping, 0, __ATOMIC_SEQ_CST);
	vcpu_stats_sleep(v, false);
}

/* The ticket to stand for; 0: there is none, or the thread is to end. */
static uint32_t stand_ticket(struct vcpu *v)
{
	uint32_t ticket = __atomic_load_n(&v->stand, __ATOMIC_SEQ_CST);

	return __atomic_load_n(&v->cpu->request, __ATOMIC_SEQ_CST) & REQ_STOP ? 0 : ticket;
}

static void say_stands(struct vcpu *v, uint32_t ticket)
{
	__atomic_store_n(&v->stands, ticket, __ATOMIC_SEQ_CST);
	futex(&v->stands, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

/* The ticket tells the answers apart: who asks again at once would else take that of a thread about to go on. */
void vcpu_stand(struct vcpu *v)
{
	uint32_t ticket;

	cpu_fpu_park(v->cpu);
	vcpu_stats_sleep(v, true);
	mem_member_away(&v->member);
	while ((ticket = stand_ticket(v))) {
		say_stands(v, ticket);
		__atomic_store_n(&v->sleeping, 1, __ATOMIC_SEQ_CST);
		if (stand_ticket(v) == ticket)
			futex(&v->sleeping, FUTEX_WAIT_PRIVATE, 1);
	}
	__atomic_store_n(&v->sleeping, 0, __ATOMIC_SEQ_CST);
	mem_member_back(&v->member);
	vcpu_stats_sleep(v, false);
}

void vcpu_ended(struct vcpu *v)
{
	say_stands(v, VCPU_ENDED);
}

void vcpu_ask_stand(struct vcpu *v)
{
	v->ticket = v->ticket % (VCPU_ENDED - 1) + 1;
	__atomic_store_n(&v->stand, v->ticket, __ATOMIC_SEQ_CST);
	vcpu_request(v, REQ_STAND);
}

void vcpu_wait_stand(struct vcpu *v)
{
	uint32_t seen = 0;

	while (v->started && !v->joined && seen != v->ticket && seen != VCPU_ENDED) {
		seen = __atomic_load_n(&v->stands, __ATOMIC_SEQ_CST);
		if (seen != v->ticket && seen != VCPU_ENDED)
			futex(&v->stands, FUTEX_WAIT_PRIVATE, seen);
	}
}

void vcpu_go(struct vcpu *v)
{
	__atomic_store_n(&v->stand, 0, __ATOMIC_SEQ_CST);
	kick(v);
}

void vcpu_tsc_back(struct vcpu *v, uint64_t ticks)
{
	v->cpu->s.tsc_offset -= ticks;
}

/* Is there nothing to do but to look after the timers? */
static bool take_alarm(struct vcpu *v)
{
	uint32_t only = REQ_TIMERS;

	return __atomic_compare_exchange_n(&v->cpu->request, &only, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* A vCPU that slept nine tenths of the last second or longer is idle. */
static void note_sleep(struct vcpu *v, uint64_t began)
{
	uint64_t now = loop_now(v->cfg.loop), looked_at = now - v->since;

	v->slept += now - began;
	if (looked_at < NS_PER_S)
		return;
	if (v->slept > looked_at / 10 * 9)
		v->engine->idle(v->cpu);
	v->since = now;
	v->slept = 0;
}

void vcpu_sleep(struct vcpu *v)
{
	uint64_t began = loop_now(v->cfg.loop);

	cpu_fpu_park(v->cpu);
	tell_halted(v);
	v->cpu->stats.count[STAT_SLEEPS]++;
	mem_member_away(&v->member);
	for (doze(v); take_alarm(v); doze(v))
		loop_keep_timers(v->cfg.loop);
	mem_member_back(&v->member);
	note_sleep(v, began);
}

/* The loop's alarm (loop_set_keeper), from within chips. */
void vcpu_alarm(void *opaque, uint64_t when)
{
	struct vcpu *v = opaque;
	uint64_t now = loop_now(v->cfg.loop), in = when > now ? when - now : 0;
	struct itimerspec ts = { .it_value = { .tv_sec = (time_t)(in / NS_PER_S), .tv_nsec = (long)(in % NS_PER_S) } };

	if (when == UINT64_MAX)
		ts = (struct itimerspec){ 0 };
	else if (in < LOOP_NEAR_NS) {
		vcpu_request(v, REQ_TIMERS);
		return;
	}
	must(timer_settime(v->alarm, 0, &ts, NULL) == 0);
}

int vcpu_ack(struct vcpu *v)
{
	stats_enter(&v->cpu->stats, PHASE_DEVICE);
	loop_lock(v->cfg.loop);
	int vector = v->cfg.ack ? v->cfg.ack(v->cfg.opaque) : -1;
	loop_unlock(v->cfg.loop);
	return vector;
}

void vcpu_set_intr(struct vcpu *v, bool level)
{
	__atomic_store_n(&v->cpu->intr, level, __ATOMIC_SEQ_CST);
	if (level)
		kick(v);
}

void vcpu_nmi(struct vcpu *v)
{
	vcpu_request(v, REQ_NMI);
}

void vcpu_ask_ignne(struct vcpu *v)
{
	vcpu_request(v, REQ_IGNNE);
}

void vcpu_drop_messages(struct vcpu *v)
{
	__atomic_fetch_and(&v->cpu->request, ~(uint32_t)(REQ_SIPI | REQ_NMI), __ATOMIC_SEQ_CST);
	__atomic_store_n(&v->sipi_open, v->cfg.number != 0, __ATOMIC_SEQ_CST);
}

void vcpu_request_reset(struct vcpu *v, bool init)
{
	vcpu_drop_messages(v);
	vcpu_request(v, init ? REQ_INIT : REQ_RESET);
}

/* Of an INIT and a start-up message that come one after the other before the thread looks, both count; a message before
 * the INIT does not. */
void vcpu_init(struct vcpu *v)
{
	vcpu_request_reset(v, true);
}

/* The first after an INIT is taken, those behind it are not, though the thread may not have looked at the first yet:
 * SDM vol 3 9.4.4. */
void vcpu_sipi(struct vcpu *v, uint8_t vector)
{
	if (!__atomic_exchange_n(&v->sipi_open, false, __ATOMIC_SEQ_CST))
		return;
	__atomic_store_n(&v->sipi_vector, vector, __ATOMIC_SEQ_CST);
	vcpu_request(v, REQ_SIPI);
}

void vcpu_request_stop(struct vcpu *v)
{
	vcpu_request(v, REQ_STOP);
}

static uint64_t host_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

uint64_t vcpu_tsc_to_ns(struct vcpu *v, uint64_t tsc)
{
	uint64_t now = host_tsc() + v->cpu->s.tsc_offset;
	uint64_t ns = loop_now(v->cfg.loop);
	if ((int64_t)(tsc - now) <= 0)
		return ns;
	unsigned __int128 d = (unsigned __int128)(tsc - now) * 1000000000u / v->cfg.model->tsc_hz;
	return d > INT64_MAX / 2 ? INT64_MAX / 2 : ns + (uint64_t)d;
}
