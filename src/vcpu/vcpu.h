// SPDX-License-Identifier: GPL-2.0-or-later
/* what: one virtual CPU as the board sees it: a thread, interrupt inputs, reset, stop
 */
#ifndef VCPU_VCPU_H
#define VCPU_VCPU_H

#include "base/base.h"
#include "base/loop.h"
#include "base/wire.h"
#include "cpu/cpuid.h"
#include "engine/engine.h"
#include "mem/mem.h"
#include "state/state.h"

struct vcpu;

struct vcpu_config {
	const struct engine_ops *engine; /* what runs its code */
	struct mem *mem;
	struct loop *loop;
	const struct cpu_model *model;
	const struct cpu_hooks *hooks; /* APIC's side; copied */
	struct state_set *states;
	struct vcpu *first;     /* the machine's first one, which must live longer; NULL: this is it */
	unsigned number, count; /* of this CPU, from 0 on, and how many there are; count 0: 1 */
	uint64_t tsc_zero; /* 0, or see vcpu_tsc_zero() */
	void *opaque;
	/* Take the vector of the interrupt to deliver (PIC/APIC acknowledge); -1: spurious, none. Called by the vCPU thread
	 * with the device lock held; leaves vector registers alone. */
	int (*ack)(void *opaque);
	/* Triple fault; device lock held. The board resets or stops the machine (by vcpu_request_reset or
	 * vcpu_request_stop). */
	void (*triple_fault)(void *opaque);
	/* The CPU goes to sleep in HLT with interrupts off: NMI, INIT and reset can wake it, no interrupt. Device lock
	 * held, by the vCPU thread; may be NULL. */
	void (*halted)(void *opaque);
	bool stats;    /* take samples, for vcpu_stats() */
	bool perf_map; /* name translated code for Linux perf */
	enum engine_mode mode;
	unsigned pin;  /* 0, or 1 and the number of the host's core that the thread is kept to */
};

struct vcpu *vcpu_new(const struct vcpu_config *cfg, struct err *err);
void vcpu_free(struct vcpu *v);
/* Start the thread; the CPU begins at the reset vector, or at what vcpu_cpu(v)->s says when a loader set it up. */
int vcpu_start(struct vcpu *v, struct err *err);
/* Ask the thread to end and join it. Not from the vCPU thread. Lock not held. */
void vcpu_stop(struct vcpu *v);

/* Interrupt request level (INTR pin, PIC or APIC). Any thread. */
void vcpu_set_intr(struct vcpu *v, bool level);
void vcpu_nmi(struct vcpu *v);
/* Port F0H was written: IGNNE#, if FERR# stands after the present instruction. Any thread. */
void vcpu_ask_ignne(struct vcpu *v);
/* Reset (or INIT) before the next instruction. Any thread, also from device callbacks of the vCPU thread itself. When
 * hard, on_reset of the board ran already. */
void vcpu_request_reset(struct vcpu *v, bool init);
/* NMIs and start-up messages sent before a reset are gone with it. For who resets it by other means. */
void vcpu_drop_messages(struct vcpu *v);
/* INIT: the CPU resets; unless it is number 0, it then waits for a start-up message, which lets it begin in real mode
 * at vector << 12 (SDM vol 3 9.4.4). Any thread. */
void vcpu_init(struct vcpu *v);
void vcpu_sipi(struct vcpu *v, uint8_t vector);
/* Number of the vCPU whose thread calls; 0 for other threads. */
unsigned vcpu_current(void);
/* Does the CPU sleep in a way that no interrupt ends? A guess unless its thread does not run. */
bool vcpu_is_halted(const struct vcpu *v);
/* Drop what was derived from a guest-physical page (translated code, TLB entries) before the next instruction. Any
 * thread. */
void vcpu_forget_page(struct vcpu *v, gpa_t page);
/* Stand still at an instruction boundary until vcpu_go(), with whatever was about to be delivered: ask all vCPUs, then
 * wait for each. One that has no thread stands already, and one that is started meanwhile stands before its first
 * instruction. Requests are served when it goes on, but for REQ_STOP. By one thread; lock not held. */
void vcpu_ask_stand(struct vcpu *v);
void vcpu_wait_stand(struct vcpu *v);
void vcpu_go(struct vcpu *v);
/* Fill the blocks of its state, which are all that is needed to go on in another process. While it stands. */
void vcpu_save(struct vcpu *v);
/* The guest's TSC goes back by so many ticks: those while it stood. While it stands. */
void vcpu_tsc_back(struct vcpu *v, uint64_t ticks);
/* Make the vCPU thread stop running guest code for good (power off); does not join. */
void vcpu_request_stop(struct vcpu *v);
/* The architectural state; only while the thread does not run guest code. */
struct cpu *vcpu_cpu(struct vcpu *v);
/* The host's TSC at which the guest's is 0 after a reset: the same for all CPUs of a machine. Not running. */
void vcpu_tsc_zero(struct vcpu *v, uint64_t tsc);
/* For the APIC's deadline timer: ns of loop time at which the guest's TSC reaches tsc. */
uint64_t vcpu_tsc_to_ns(struct vcpu *v, uint64_t tsc);
/* The host's id of its thread; 0: there is none. */
int vcpu_thread_id(const struct vcpu *v);
/* One-line and full dumps of the guest's state to buf, for error reports. */
void vcpu_dump(struct vcpu *v, char *buf, size_t len);
/* Where its time went and how often it did what, many lines of text; times only if the configuration asked for them.
 * Any thread. */
void vcpu_stats(const struct vcpu *v, char *buf, size_t len);
/* Can this host run guest code? Runs a few guest instructions. For `ring3 doctor`. */
int vcpu_probe(const struct engine_ops *engine, struct err *err);

#endif
