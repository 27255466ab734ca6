// SPDX-License-Identifier: GPL-2.0-or-later
/* what: x87 errors reported the PC's way, with CR0.NE = 0: FERR#, IRQ 13, port F0H and IGNNE#
 *
 *   waiting x87 instruction finds an error -> FERR# -> PIIX3 latches IRQ 13; the instruction waits for the interrupt
 *   handler writes port F0H -> IRQ 13 drops; IGNNE# rises if FERR# stands
 *   waiting x87 instruction with IGNNE# -> runs as if no error were pending
 *   FNCLEX, FNINIT, FNSAVE, a load of the status -> FERR# drops, and IGNNE# with it: the next error is reported again
 *
 * The guest's x87 is the host's, which reports every pending error by #MF. So an instruction that ignores them is first
 * refused like any other, and then runs once more, alone, with the exception flags taken out of the status; they are
 * put back behind it, beside those it has raised itself, unless it loaded the whole status (x87_aside is 0 then).
 * Instructions that do not wait are never refused and see the true status.
 *
 * The host does not tell when a guest clears the error either, and an error after that must not be ignored. So while
 * IGNNE# is on the guest is single-stepped, which in handlers is a handful of instructions; a program that lives on
 * with its error runs slowly.
 *
 * Sources: SDM vol 1 8.7.2, appendix D.2.1; Intel 290550 (82371SB) 2.5.5.2: IGNNE# is not asserted unless FERR# is
 * active.
 */
#include "base/bytes.h"
#include "vcpu/vcpu_int.h"

#define FX_SIZE 512
#define FX_FCW 0
#define FX_FSW 2
#define FSW_FLAGS 0x3fu /* SDM vol 1 8.1.3: IE DE ZE OE UE PE; an unmasked one sets ES and B */
#define FSW_ES 0x80u
#define FSW_B 0x8000u

static bool error_stands(struct cpu *cpu)
{
	uint16_t fsw;

	cpu_fpu_load(cpu);
	__asm__ volatile("fnstsw %0" : "=a"(fsw));
	return fsw & FSW_ES;
}

/* Takes exception flags out of the status and puts others in; which were there. FXRSTOR, other than FLDENV, neither
 * waits nor loses the instruction pointer. */
static uint8_t change_flags(struct cpu *cpu, uint8_t out, uint8_t in)
{
	_Alignas(16) uint8_t img[FX_SIZE];
	uint16_t fsw, flags;

	cpu_fpu_load(cpu);
	__asm__ volatile("fxsave64 %0" : "=m"(img));
	fsw = get_le16(img + FX_FSW);
	flags = (fsw & FSW_FLAGS & ~out) | in;
	put_le16(img + FX_FSW, (uint16_t)((fsw & ~(FSW_FLAGS | FSW_ES | FSW_B)) | flags |
					  (flags & ~get_le16(img + FX_FCW) ? FSW_ES | FSW_B : 0)));
	__asm__ volatile("fxrstor64 %0" : : "m"(img));
	return fsw & FSW_FLAGS;
}

void vcpu_ferr_error(struct vcpu *v)
{
	v->ignore_x87 = v->cpu->s.ignne;
	if (v->ignore_x87)
		return;
	v->cpu->s.ferr = true;
	cpu_fpu_park(v->cpu);
	if (v->hooks.ferr)
		v->hooks.ferr(v->hooks.opaque, true);
}

void vcpu_ferr_asked(struct vcpu *v)
{
	struct cpu_state *s = &v->cpu->s;

	s->ferr = s->ferr && error_stands(v->cpu);
	s->ignne = s->ferr;
}

void vcpu_ferr_aside(struct vcpu *v)
{
	v->cpu->x87_aside = change_flags(v->cpu, FSW_FLAGS, 0);
}

void vcpu_ferr_after(struct vcpu *v)
{
	struct cpu *cpu = v->cpu;

	if (cpu->x87_aside)
		change_flags(cpu, 0, cpu->x87_aside);
	cpu->x87_aside = 0;
	if (!error_stands(cpu))
		cpu->s.ferr = cpu->s.ignne = false;
}
