// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the local APIC as MSRs: IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC registers
 *
 * x2APIC registers are the window's, at 0x800 + offset / 16, with strict reserved bits and a 64-bit ICR.
 *
 * Sources: Intel SDM vol 3 11.4.4, 11.5.4.1, 11.12.
 */
#include "dev/sys/lapic_int.h"

static uint32_t off_of(uint32_t msr)
{
	return (msr - MSR_X2APIC_FIRST) << 4;
}

static bool x2_read(struct lapic *l, uint32_t off, uint64_t *val)
{
	uint32_t v;

	switch (off) {
	case APIC_ICR:
		*val = l->s.icr | (uint64_t)l->s.icr_high << 32;
		return true;
	case APIC_APR: case APIC_EOI: case APIC_RRD: case APIC_DFR: case APIC_ICR_HIGH: /* none, or write-only: 11.12.1.2 */
		return false;
	}
	if (!lapic_reg_read(l, off, &v))
		return false;
	*val = v;
	return true;
}

static bool x2_write_icr(struct lapic *l, uint64_t val)
{
	if (val & 0xfff32000)
		return false;
	l->s.icr = (uint32_t)val & 0xccfff;
	l->s.icr_high = (uint32_t)(val >> 32);
	lapic_bus_ipi(l->cfg.bus, l, l->s.icr, l->s.icr_high);
	return true;
}

static bool x2_self_ipi(struct lapic *l, uint64_t val)
{
	if (val > 0xff)
		return false;
	if (val < 16)
		lapic_error(l, ESR_SEND_VECTOR);
	else
		lapic_message(l, LAPIC_FIXED, (uint8_t)val, false);
	return true;
}

/* Which bits of a 32-bit register may be written; 0 with *ok false: the register is read-only or absent. */
static uint32_t x2_writable(const struct lapic *l, uint32_t off, bool *ok)
{
	*ok = true;
	switch (off) {
	case APIC_TPR: return 0xff;
	case APIC_EOI: case APIC_ESR: return 0;
	case APIC_SVR: return SVR_MASK;
	case APIC_INIT_COUNT: return 0xffffffff;
	case APIC_DIVIDE: return 0xb;
	}
	*ok = off >= APIC_LVT && off < APIC_INIT_COUNT;
	return *ok ? lapic_lvt_mask(l, (off - APIC_LVT) >> 4) | LVT_REMOTE_IRR | 0x1000 : 0;
}

static bool x2_write(struct lapic *l, uint32_t off, uint64_t val)
{
	uint32_t mask;
	bool ok;

	if (off == APIC_ICR)
		return x2_write_icr(l, val);
	if (off == APIC_SELF_IPI)
		return x2_self_ipi(l, val);
	mask = x2_writable(l, off, &ok);
	if (!ok || (val & ~(uint64_t)mask))
		return false;
	return lapic_reg_write(l, off, (uint32_t)val);
}

/* SDM vol 3 11.12.5: which of off, xAPIC and x2APIC may follow which. */
static bool base_allowed(const struct lapic *l, uint64_t val)
{
	uint64_t old = l->s.base & (BASE_X2 | BASE_ENABLE), new = val & (BASE_X2 | BASE_ENABLE);

	if (l->cfg.phys_bits && val >> l->cfg.phys_bits) /* 11.4.4: reserved */
		return false;
	if (val & ~(BASE_ADDR | BASE_BSP | BASE_ENABLE | (l->cfg.x2apic ? BASE_X2 : 0)))
		return false;
	if (new == BASE_X2)
		return false;
	if (old == (BASE_X2 | BASE_ENABLE) && new == BASE_ENABLE)
		return false;
	return !(old == 0 && new == (BASE_X2 | BASE_ENABLE));
}

static bool write_base(struct lapic *l, uint64_t val)
{
	uint64_t was = l->s.base;

	if (!base_allowed(l, val))
		return false;
	l->s.base = (val & ~(uint64_t)BASE_BSP) | (was & BASE_BSP);
	if ((was & BASE_ENABLE) && !(val & BASE_ENABLE))
		lapic_init_reset(l); /* 11.4.3: what was set up is lost */
	lapic_bus_map(l->cfg.bus);
	lapic_update(l);
	return true;
}

bool lapic_msr_read(struct lapic *l, uint32_t msr, uint64_t *val)
{
	if (msr == MSR_APIC_BASE) {
		*val = l->s.base;
		return true;
	}
	if (msr == MSR_TSC_DEADLINE) {
		*val = l->s.deadline;
		return l->cfg.tsc_to_ns != NULL;
	}
	return lapic_is_x2(l) && msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST && x2_read(l, off_of(msr), val);
}

bool lapic_msr_write(struct lapic *l, uint32_t msr, uint64_t *val)
{
	if (msr == MSR_TSC_DEADLINE) {
		lapic_timer_set_deadline(l, *val);
		return l->cfg.tsc_to_ns != NULL;
	}
	if (msr == MSR_APIC_BASE)
		return write_base(l, *val);
	return lapic_is_x2(l) && msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST && x2_write(l, off_of(msr), *val);
}
