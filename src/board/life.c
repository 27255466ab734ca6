// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the machine's life: start, reset, and the ways it ends
 *
 * The caller's thread sits in pc_run(). Chips and signals only say what they want (pc_end_with, pc_ask_reset) and stop
 * the vCPU at its next instruction; this thread then joins it and does the work. So a reset never pulls a chip away
 * under a running guest, nor from inside that chip's own callback.
 *
 *   chip, lock held --pc_ask_reset--> vCPU stops, eventfd --pc_run--> vcpu_stop, chips reset, requests to disks
 *   awaited, kernel reloaded, vcpu_start
 *   PM chip --pc_ask_sleep--> likewise --pc_run--> vcpu_stop; PM chip, key --pc_ask_wake--> chips that had no power
 *   reset, CPU to the firmware or to the waking vector, vcpu_start
 *   who steers the machine from outside (panel.h) is called by this thread, so nothing of this happens meanwhile
 *
 * I1  After pc_end_with() no guest instruction runs any more; the first end wins.
 * I2  What was asked of a disk before a reset has ended before anything of the next start is put into memory.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "board/panel.h"
#include "board/pc_int.h"

/* A machine whose every boot ends in a triple fault within this time, so many times in a row, is going nowhere. */
#define FUTILE_NS 2000000000ull
#define FUTILE_RESETS 10

int pc_start_cpus(struct pc *pc, struct err *err)
{
	int ret = 0;

	for (unsigned k = 0; k < pc->ncpus && !ret; k++)
		ret = vcpu_start(pc->cpu[k].vcpu, err);
	return ret;
}

static void ask_stop(struct pc *pc)
{
	for (unsigned k = 0; k < pc->ncpus; k++)
		vcpu_request_stop(pc->cpu[k].vcpu);
}

void pc_stop_cpus(struct pc *pc)
{
	ask_stop(pc);
	for (unsigned k = 0; k < pc->ncpus; k++)
		vcpu_stop(pc->cpu[k].vcpu);
}

void pc_reset_cpus(struct pc *pc)
{
	uint64_t zero = __builtin_ia32_rdtsc();

	for (unsigned k = 0; k < pc->ncpus; k++) {
		vcpu_tsc_zero(pc->cpu[k].vcpu, zero);
		vcpu_drop_messages(pc->cpu[k].vcpu);
		if (k || !pc->kernel)
			vcpu_request_reset(pc->cpu[k].vcpu, false);
	}
}

void pc_nudge(struct pc *pc)
{
	uint64_t one = 1;

	/* a full counter wakes as well */
	if (write(pc->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void wake(struct pc *pc)
{
	ask_stop(pc);
	pc_nudge(pc);
}

void pc_end_with(struct pc *pc, enum pc_end end)
{
	if (pc->end != PC_RUNNING)
		return;
	pc->end = end;
	wake(pc);
}

void pc_ask_reset(struct pc *pc, bool triple_fault)
{
	if (pc->cfg.no_reboot) {
		pc_end_with(pc, triple_fault ? PC_TRIPLE_FAULT : PC_RESET);
		return;
	}
	pc->reset_wanted = true;
	pc->reset_is_triple = triple_fault;
	wake(pc);
}

void pc_ask_sleep(struct pc *pc)
{
	pc->sleep_wanted = true;
	wake(pc);
}

void pc_ask_wake(struct pc *pc)
{
	if (!pc->asleep)
		return;
	pc->wake_wanted = true;
	wake(pc);
}

/* IBM PC/AT technical reference, shutdown byte: how the BIOS goes on when it finds that the CPU was reset. */
#define CMOS_SHUTDOWN 0x0f
enum { SHUTDOWN_EOI_JUMP = 0x05, SHUTDOWN_FIRST = 0x09, SHUTDOWN_JUMP = 0x0a, SHUTDOWN_LAST = 0x0c,
	SHUTDOWN_S3 = 0xfe };
#define SHUTDOWN_POINTER 0x467

/* Memory and chips stay as they are then. The local APIC too: nobody would open it for the 8259 pair again. */
static bool goes_on(const struct pc *pc)
{
	uint8_t code = rtc_cmos(pc->rtc, CMOS_SHUTDOWN);

	if (pc->kernel)
		return code == SHUTDOWN_EOI_JUMP || code == SHUTDOWN_JUMP;
	return code == SHUTDOWN_EOI_JUMP || (code >= SHUTDOWN_FIRST && code <= SHUTDOWN_LAST);
}

void pc_ask_cpu_reset(struct pc *pc, bool triple_fault)
{
	if (!goes_on(pc)) {
		pc_ask_reset(pc, triple_fault);
		return;
	}
	pc->go_on_wanted = pc->kernel != NULL;
	if (pc->go_on_wanted)
		wake(pc);
	for (unsigned k = 0; k < pc->ncpus && !pc->go_on_wanted; k++)
		vcpu_init(pc->cpu[k].vcpu);
}

/* The whole state once; a guest that does it again and again gets a line each time. */
static void report_triple_fault(struct pc *pc)
{
	uint64_t now = loop_now(pc->loop);
	char state[4096] = "";

	if (!pc->futile_resets)
		vcpu_dump(pc->cpu[pc->faulted].vcpu, state, sizeof(state));
	log_at(LOG_WARN, "the guest's CPU shut down by a triple fault; the machine resets%s%s", *state ? "\n" : "", state);
	pc->futile_resets = now - pc->reset_at < FUTILE_NS ? pc->futile_resets + 1 : 0;
}

/* Not an end: the user may still want to look at the screen, and a guest may halt so on purpose. Messages that devices
 * could send by MSI in NMI mode are left out of account; nobody does. */
void pc_report_halted(struct pc *pc)
{
	char state[4096];

	for (unsigned k = 0; k < pc->ncpus; k++) {
		const struct pc_cpu *c = &pc->cpu[k];

		if (pc->halt_reported || !vcpu_is_halted(c->vcpu) ||
		    (c->lapic && (lapic_wakes(c->lapic) || ioapic_wakes(pc->ioapic))))
			return;
	}
	pc->halt_reported = true;
	vcpu_dump(pc->cpu[0].vcpu, state, sizeof(state));
	log_at(LOG_WARN, "the guest's CPU is halted for good: interrupts are off and nothing can send it an NMI\n%s",
	       state);
}

/* Chips first: then what a request's end leads to is nothing, be it one piece of a transfer of many. */
void pc_reset(struct pc *pc)
{
	loop_lock(pc->loop);
	pc->reset_wanted = pc->go_on_wanted = pc->sleep_wanted = pc->halt_reported = false;
	pc->asleep = pc->wake_wanted = pc->off = false;
	pc_reset_chips(pc);
	loop_unlock(pc->loop);
	storage_drain(pc->storage);
}

/* vCPU joined. */
static int do_reset(struct pc *pc, struct err *err)
{
	int ret = 0;

	if (pc->reset_is_triple)
		report_triple_fault(pc);
	else
		pc->futile_resets = 0;
	if (pc->futile_resets >= FUTILE_RESETS) {
		pc->end = PC_STUCK;
		return 0;
	}
	log_at(LOG_INFO, "machine reset");
	pc_tell(pc, PC_EVENT_RESET, &(struct pc_news){ .guest = !pc->reset_pressed,
		.reason = pc->reset_pressed ? "host-qmp-system-reset" : "guest-reset" });
	pc->reset_pressed = false;
	pc->resets++;
	pc_reset(pc);
	pc->reset_at = loop_now(pc->loop);
	pc_reset_cpus(pc);
	if (pc->kernel)
		ret = guestinfo_start_kernel(pc, err);
	return ret ? ret : pc_start_cpus(pc, err);
}

/* vCPU joined. What firmware would do after the CPU's reset. */
static int do_go_on(struct pc *pc, struct err *err)
{
	uint8_t pointer[4] = { 0 }, code;

	loop_lock(pc->loop);
	pc->go_on_wanted = false;
	code = rtc_cmos(pc->rtc, CMOS_SHUTDOWN);
	rtc_set_cmos(pc->rtc, CMOS_SHUTDOWN, 0);
	mem_dma_read(pc->mem, SHUTDOWN_POINTER, pointer, sizeof(pointer));
	loop_unlock(pc->loop);
	if (code == SHUTDOWN_EOI_JUMP) {
		mem_port_out(pc->mem, 0xa0, 0x20, 1);
		mem_port_out(pc->mem, 0x20, 0x20, 1);
	}
	for (unsigned k = 0; k < pc->ncpus; k++) {
		vcpu_drop_messages(pc->cpu[k].vcpu);
		cpu_reset(vcpu_cpu(pc->cpu[k].vcpu), true);
	}
	guestinfo_start_real(pc, get_le16(pointer + 2), get_le16(pointer));
	return pc_start_cpus(pc, err);
}

/* vCPU joined. The shutdown byte tells SeaBIOS and OVMF, which do not ask the chipset. */
static void do_sleep(struct pc *pc)
{
	log_at(LOG_INFO, "the guest sleeps (ACPI S3)");
	loop_lock(pc->loop);
	pc->sleep_wanted = false;
	pc->asleep = true;
	if (!pc->kernel)
		rtc_set_cmos(pc->rtc, CMOS_SHUTDOWN, SHUTDOWN_S3);
	if (piix4_pm_wakes(pc->pm))
		pc_ask_wake(pc);
	loop_unlock(pc->loop);
	pc_tell(pc, PC_EVENT_SUSPEND, NULL);
}

/* vCPU joined. */
static int do_wake(struct pc *pc, struct err *err)
{
	log_at(LOG_INFO, "the guest wakes up");
	pc_tell(pc, PC_EVENT_WAKEUP, NULL);
	loop_lock(pc->loop);
	pc->asleep = pc->wake_wanted = false;
	pc_wake_chips(pc);
	loop_unlock(pc->loop);
	storage_drain(pc->storage);
	pc_reset_cpus(pc);
	if (pc->kernel && !guestinfo_wake_kernel(pc)) {
		loop_lock(pc->loop);
		pc_ask_reset(pc, false);
		loop_unlock(pc->loop);
		return 0;
	}
	return pc_start_cpus(pc, err);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void pc_write_stats(struct pc *pc, char *buf, size_t len)
{
	size_t n = 0;

	for (unsigned k = 0; k < pc->ncpus && n + 32 < len; k++) {
		if (pc->ncpus > 1)
			n += (size_t)snprintf(buf + n, len - n, "ring3: CPU %u\n", k);
		vcpu_stats(pc->cpu[k].vcpu, buf + n, len - n);
		n = strlen(buf);
	}
	snprintf(buf + n, len - n, "ring3: the I/O thread used %.3f s of CPU time\n", (double)loop_cpu_ns(pc->loop) / 1e9);
}

static void tell_stats(struct pc *pc)
{
	char text[PC_STATS_LEN];
	uint64_t count;

	if (read(pc->cfg.stats_fd, &count, sizeof(count)) < 0)
		return;
	pc_write_stats(pc, text, sizeof(text));
	pc->cfg.tell(text);
}

/* Wait until something is wanted or the time is up; turn time and signals into ends. */
static void wait_for_event(struct pc *pc, uint64_t deadline)
{
	struct pollfd fds[4] = { { .fd = pc->wake_fd, .events = POLLIN }, { .fd = pc->cfg.quit_fd, .events = POLLIN },
	                         { .fd = pc->cfg.stats ? pc->cfg.stats_fd : -1, .events = POLLIN },
	                         { .fd = pc->service.fd, .events = POLLIN } };
	uint64_t now = now_ms(), count;
	int timeout = !deadline ? -1 : deadline <= now ? 0 : (int)MIN(deadline - now, 60000);

	poll(fds, ARRAY_LEN(fds), timeout);
	if (fds[2].revents & POLLIN)
		tell_stats(pc);
	loop_lock(pc->loop);
	if (fds[1].revents & POLLIN)
		pc_end_with(pc, PC_SIGNALLED);
	if (deadline && now_ms() >= deadline)
		pc_end_with(pc, PC_TIMEOUT);
	loop_unlock(pc->loop);
	if (fds[0].revents & POLLIN && read(pc->wake_fd, &count, sizeof(count)) < 0)
		return;
	pc_look_at_tray(pc);
	if (fds[3].revents)
		pc->service.ready(pc->service.opaque);
}

enum want { WANT_NOTHING, WANT_END, WANT_RESET, WANT_GO_ON, WANT_SLEEP, WANT_WAKE };

static enum want wanted(struct pc *pc)
{
	enum want want;

	loop_lock(pc->loop);
	want = pc->end != PC_RUNNING ? WANT_END : pc->reset_wanted ? WANT_RESET : pc->go_on_wanted ? WANT_GO_ON :
	       pc->sleep_wanted ? WANT_SLEEP : pc->wake_wanted ? WANT_WAKE : WANT_NOTHING;
	loop_unlock(pc->loop);
	return want;
}

static int do_what(struct pc *pc, enum want want, struct err *err)
{
	switch (want) {
	case WANT_RESET:
		return do_reset(pc, err);
	case WANT_GO_ON:
		return do_go_on(pc, err);
	case WANT_SLEEP:
		do_sleep(pc);
		return 0;
	case WANT_WAKE:
		return do_wake(pc, err);
	default:
		return 0;
	}
}

/* The guest switched itself off, but the user wants to look at the machine first. vCPU joined. */
static bool stays_off(struct pc *pc)
{
	if (pc->end != PC_POWEROFF || !pc->off_pauses)
		return false;
	pc->end = PC_RUNNING;
	pc_tell(pc, PC_EVENT_SHUTDOWN, &(struct pc_news){ .guest = true, .reason = "guest-shutdown" });
	pc_pause(pc);
	pc->off = true;
	return true;
}

/* vCPU joined. What is done to a paused machine is done in running time, and it stands again before the guest's first
 * instruction. */
static int serve(struct pc *pc, enum want want, struct err *err)
{
	bool stood = pc->paused && want != WANT_END;
	int ret;

	if (want == WANT_END && stays_off(pc))
		return 0;
	if (stood)
		pc_clock_go(pc);
	ret = do_what(pc, want, err);
	if (stood)
		pc_clock_stand(pc);
	return ret;
}

static bool ended(struct pc *pc)
{
	bool yes;

	loop_lock(pc->loop);
	yes = pc->end != PC_RUNNING;
	loop_unlock(pc->loop);
	return yes;
}

static int run_until_end(struct pc *pc, struct err *err)
{
	uint64_t deadline = pc->cfg.timeout_ms ? now_ms() + pc->cfg.timeout_ms : 0;
	int ret = 0;

	while (!ended(pc) && !ret) {
		enum want want;

		wait_for_event(pc, deadline);
		want = wanted(pc);
		if (want == WANT_NOTHING)
			continue;
		pc_stop_cpus(pc);
		ret = serve(pc, want, err);
	}
	return ret;
}

static void tell_end(struct pc *pc)
{
	static const struct pc_news news[] = {
		[PC_RUNNING] = { false, "host-error", NULL, false }, [PC_POWEROFF] = { true, "guest-shutdown", NULL, false },
		[PC_RESET] = { true, "guest-reset", NULL, false }, [PC_TRIPLE_FAULT] = { true, "guest-reset", NULL, false },
		[PC_TIMEOUT] = { false, "host-signal", NULL, false }, [PC_QUIT] = { false, "host-ui", NULL, false },
		[PC_SIGNALLED] = { false, "host-signal", NULL, false },
		[PC_DEBUG_EXIT] = { true, "guest-shutdown", NULL, false }, [PC_STUCK] = { true, "guest-panic", NULL, false },
	};
	struct pc_news what = news[pc->end];

	if (pc->end == PC_RESET && pc->reset_pressed)
		what = (struct pc_news){ .reason = "host-qmp-system-reset" };
	if (pc->quit_asked)
		what.reason = "host-qmp-quit";
	pc_tell(pc, PC_EVENT_SHUTDOWN, &what);
}

static int begin(struct pc *pc, struct err *err)
{
	bool stand = pc->cfg.paused || pc->cfg.load;
	int ret = loop_start(pc->loop, err);

	if (ret)
		return ret;
	if (stand)
		pc_ask_stand(pc);
	ret = pc_start_cpus(pc, err);
	if (ret || !stand)
		return ret;
	pc->standing = 1;
	pc->paused = true;
	pc_clock_stand(pc);
	if (pc->cfg.load)
		ret = pc_load(pc, pc->cfg.load, err);
	return ret || pc->cfg.paused ? ret : pc_resume(pc, err);
}

int pc_run(struct pc *pc, struct pc_result *result, struct err *err)
{
	int ret;

	*result = (struct pc_result){ 0 };
	ret = begin(pc, err);
	if (!ret)
		ret = run_until_end(pc, err);
	pc_stop_cpus(pc);
	tell_end(pc);
	result->end = pc->end;
	result->code = pc->exit_code;
	result->resets = pc->resets;
	vcpu_dump(pc->cpu[pc->faulted].vcpu, result->state, sizeof(result->state));
	if (pc->cfg.stats)
		pc_write_stats(pc, result->stats, sizeof(result->stats));
	loop_stop(pc->loop);
	return ret;
}

void pc_describe(const struct pc *pc)
{
	log_at(LOG_INFO, "engine: binary translation, software TLB");
	log_at(LOG_INFO, "cpu: %s", pc->model->name);
	log_at(LOG_INFO, "memory: %llu MiB", (unsigned long long)(mem_ram_size(pc->mem) >> 20));
	if (pc->kernel)
		log_at(LOG_INFO, "kernel: %s, %s", pc->cfg.kernel, kernel_what(pc->kernel));
	else
		log_at(LOG_INFO, "firmware: %s", pc->firmware.path);
}
