// SPDX-License-Identifier: GPL-2.0-or-later
/* what: struct vcpu, for the run loop and the thread around it
 *
 * A kick: a request (or the intr level) is stored, then the engine told to leave guest code at its next safe point. A
 * halted vCPU sleeps on `sleeping`, a futex.
 */
#ifndef VCPU_VCPU_INT_H
#define VCPU_VCPU_INT_H

#include <pthread.h>
#include <time.h>

#include "insn/insn.h"
#include "mem/coherence.h"
#include "vcpu/vcpu.h"

#define VCPU_ENDED UINT32_MAX

/* boundary.c: declared, and filled when the machine is saved */
struct vcpu_saved {
	uint64_t next_rip, cr2, dr6;
	uint32_t error, request;
	uint8_t vector, sipi_vector;
	bool have_event, has_error, soft, ext, icebp, ignore_x87, sipi_open;
	uint8_t pad_[7];
};

struct vcpu {
	struct vcpu_config cfg;
	struct cpu_hooks hooks;
	struct cpu *cpu;
	const struct engine_ops *engine;
	pthread_t thread;
	timer_t sampler;        /* while stats.sampling */
	timer_t alarm;          /* while keeper */
	bool keeper;            /* the thread runs the loop's timers */
	bool started, joined;
	int tid;
	struct cpu_event event; /* being delivered or to be delivered */
	bool have_event;
	bool delivering;        /* an exception now comes from the delivery of event */
	bool ignore_x87;        /* the next instruction runs as if no x87 error were pending */
	uint32_t sleeping;      /* futex: 1 while the thread waits in HLT, or stands */
	uint32_t ticket;        /* of who asked it to stand last */
	uint32_t stand;         /* that while it is to stand, else 0 */
	uint32_t stands;        /* futex: the ticket it stood for last, or VCPU_ENDED */
	uint64_t since, slept;  /* ns of guest time: a second or more is looked at, and the part of it spent in HLT */
	bool sipi_open;         /* a start-up message would be taken */
	uint8_t sipi_vector;    /* of REQ_SIPI */
	struct mem_member member;
	struct vcpu_saved saved;
};

/* loop.c: run until asked to stop. */
void vcpu_loop(struct vcpu *v);

/* kick.c: a request, and a kick so that it is seen; any thread */
void vcpu_request(struct vcpu *v, uint32_t bits);

/* kick.c: services for the loop that call the world outside. */
void vcpu_sleep(struct vcpu *v);
int vcpu_ack(struct vcpu *v);
/* kick.c: while others want it to stand, and nobody asks for the thread's end */
void vcpu_stand(struct vcpu *v);
/* kick.c: the thread will run no more */
void vcpu_ended(struct vcpu *v);
/* vcpu.c: likewise; they park the FPU. */
void vcpu_triple_fault(struct vcpu *v);
void vcpu_drain_code(struct vcpu *v);


/* boundary.c: the blocks of this vCPU */
void vcpu_register_state(struct vcpu *v, struct state_set *states);

/* ferr.c: x87 errors with CR0.NE = 0. A waiting instruction found one pending; the guest asked for IGNNE#; flags aside
 * before an instruction that ignores them; after one instruction, or its exception, while IGNNE# is on */
void vcpu_ferr_error(struct vcpu *v);
void vcpu_ferr_asked(struct vcpu *v);
void vcpu_ferr_aside(struct vcpu *v);
void vcpu_ferr_after(struct vcpu *v);

/* alarm_sig.c: by the vCPU's thread, at its beginning and end */
void vcpu_alarm_begin(struct vcpu *v);
void vcpu_alarm_end(struct vcpu *v);
/* kick.c: fits loop_set_keeper */
void vcpu_alarm(void *opaque, uint64_t when);

/* stats.c: by the vCPU's thread, at its beginning and end, and around a sleep */
void vcpu_stats_thread_begin(struct vcpu *v);
void vcpu_stats_thread_end(struct vcpu *v);
void vcpu_stats_sleep(struct vcpu *v, bool asleep);
/* sample_sig.c: the timer that takes samples of the calling thread */
int vcpu_sample_start(struct vcpu *v, struct err *err);
void vcpu_sample_stop(struct vcpu *v);

#endif
