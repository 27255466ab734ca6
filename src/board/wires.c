// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PC's wires that chips drive while the guest's vector registers may be live: interrupts, timers, power
 *
 * A vCPU enters the chips of the interrupt system and the timers without parking its FPU state (mem_ops.plain), and
 * asks the APIC for MSRs and vectors likewise; what those lead to has to leave vector registers alone as well. So these
 * functions stand apart from pc.c's others and are compiled with -mgeneral-regs-only.
 */
#include "base/shelter.h"
#include "board/pc_int.h"

void pc_isa_line(void *opaque, int n, bool level)
{
	struct pc *pc = opaque;

	pic_set_irq(pc->pic, n, level);
	ioapic_set_pin(pc->ioapic, n ? n : 2, level);
}

void pc_intr_line(void *opaque, int n, bool level)
{
	struct pc_cpu *c = opaque;

	vcpu_set_intr(c->vcpu, level);
}

void pc_nmi_line(void *opaque, int n, bool level)
{
	struct pc_cpu *c = opaque;

	if (level)
		vcpu_nmi(c->vcpu);
}

void pc_init_line(void *opaque, int n, bool level)
{
	struct pc_cpu *c = opaque;

	if (level)
		vcpu_init(c->vcpu);
}

void pc_sipi_line(void *opaque, int vector, bool level)
{
	struct pc_cpu *c = opaque;

	vcpu_sipi(c->vcpu, (uint8_t)vector);
}

void pc_ignne_line(void *opaque, int n, bool level)
{
	struct pc *pc = opaque;

	(void)n, (void)level;
	if (pc->cpu[0].vcpu)
		vcpu_ask_ignne(pc->cpu[0].vcpu);
}

static void power_off(void *pc)
{
	pc_end_with(pc, PC_POWEROFF);
}

void pc_poweroff_line(void *opaque, int n, bool level)
{
	if (level)
		shelter_call(power_off, opaque);
}

static void suspend(void *pc)
{
	pc_ask_sleep(pc);
}

void pc_suspend_line(void *opaque, int n, bool level)
{
	if (level)
		shelter_call(suspend, opaque);
}

static void wake_up(void *pc)
{
	pc_ask_wake(pc);
}

void pc_wake_line(void *opaque, int n, bool level)
{
	const struct pc *pc = opaque;

	if (level && pc->asleep)
		shelter_call(wake_up, opaque);
}

/* HPET spec 1.0a 2.3.5: in legacy replacement mode PIT and RTC do not reach lines 0 and 8. */
void pc_timer_line(void *opaque, int n, bool level)
{
	struct pc *pc = opaque;

	if (n)
		piix4_pm_set_rtc(pc->pm, 0, level);
	wire_set(n ? &pc->isa_irq8 : &pc->isa_irq0, level && !pc->hpet_legacy);
}

void pc_hpet_legacy_line(void *opaque, int n, bool level)
{
	struct pc *pc = opaque;

	pc->hpet_legacy = level;
	if (level) {
		wire_set(&pc->isa_irq0, false);
		wire_set(&pc->isa_irq8, false);
	}
}

void pc_ioapic_line(void *opaque, int n, bool level)
{
	struct pc *pc = opaque;

	ioapic_set_pin(pc->ioapic, n, level);
}

/* What a vCPU asks of the APIC. Called by its thread, without the lock but for ack. */

uint8_t pc_get_tpr(void *opaque)
{
	struct pc_cpu *c = opaque;

	return lapic_get_tpr(c->lapic);
}

void pc_set_tpr(void *opaque, uint8_t tpr)
{
	struct pc_cpu *c = opaque;

	loop_lock(c->pc->loop);
	lapic_set_tpr(c->lapic, tpr);
	loop_unlock(c->pc->loop);
}

bool pc_apic_rdmsr(void *opaque, uint32_t msr, uint64_t *val)
{
	struct pc_cpu *c = opaque;
	bool ok;

	loop_lock(c->pc->loop);
	ok = lapic_msr_read(c->lapic, msr, val);
	loop_unlock(c->pc->loop);
	return ok;
}

bool pc_apic_wrmsr(void *opaque, uint32_t msr, uint64_t val)
{
	struct pc_cpu *c = opaque;
	bool ok;

	loop_lock(c->pc->loop);
	ok = lapic_msr_write(c->lapic, msr, &val);
	loop_unlock(c->pc->loop);
	return ok;
}

int pc_ack(void *opaque)
{
	struct pc_cpu *c = opaque;

	return c->lapic ? lapic_ack(c->lapic) : pic_ack(c->pc->pic);
}

int pc_extint_ack(void *opaque)
{
	struct pc_cpu *c = opaque;

	return pic_ack(c->pc->pic);
}

uint64_t pc_tsc_to_ns(void *opaque, uint64_t tsc)
{
	struct pc_cpu *c = opaque;

	return vcpu_tsc_to_ns(c->vcpu, tsc);
}
