// SPDX-License-Identifier: GPL-2.0-or-later
/* what: FXSAVE, XSAVE, FNSTENV, FNSAVE and their loads: run on a buffer by the host, then copied to or from the guest
 *
 * The guest's state is live in the host's registers, so the host's own instruction writes the image. What differs is
 * patched: the x87 pointers are the guest's (s.x87_*, kept by the engine), of which the host's registers hold none.
 *
 * I1  Guest memory is touched before or after the native instruction, never between fpu_live_now() and it: MMIO parks
 *     the FPU.
 * I2  A native load gets only images that cannot fault: MXCSR and header are checked here.
 * Sources: SDM vol 1 8.1.10 (x87 images), 10.5 (FXSAVE), 13.4 to 13.11 (XSAVE).
 */
#include "insn/insn_int.h"
#include "cpu/vendor.h"

#define FX_SIZE 512
#define FX_FOP 6
#define FX_FIP 8
#define FX_FDP 16
#define FX_MXCSR 24
#define FX_XMM 160
#define XS_HEADER 512
#define XS_MIN 576
#define XS_HI16_ZMM 0x80u
#define XCOMP_COMPACT (1ull << 63)
#define MXCSR_VALID 0xffffu
#define MXCSR_INIT 0x1f80u

struct image {
	_Alignas(64) uint8_t b[CPU_BOUNCE];
};

static void fpu_live_now(struct cpu *cpu)
{
	if (!cpu->fpu_live)
		cpu_fpu_load(cpu);
}

static void need_x87_raise(struct cpu *cpu)
{
	if (cpu->s.cr0 & (CR0_EM | CR0_TS))
		cpu_raise(cpu, EXC_NM, 0);
}

static void need_xsave_raise(struct cpu *cpu)
{
	if (!(cpu->s.cr4 & CR4_OSXSAVE))
		raise_ud(cpu);
	if (cpu->s.cr0 & CR0_TS)
		cpu_raise(cpu, EXC_NM, 0);
}

static gla_t aligned_raise(struct cpu *cpu, const struct insn *in, size_t size, unsigned kind, unsigned align)
{
	gla_t gla;

	if (!in->has_mem)
		raise_ud(cpu);
	gla = insn_rm_linear_raise(cpu, in, size, kind);
	if (gla & (align - 1)) {
		insn_align_raise(cpu, gla | 1, 2); /* takes the place of #GP where it is switched on */
		raise_gp0(cpu);
	}
	return gla;
}

/* s.x87_* up to date. fop: what the host says of the opcode. */
static const struct cpu_state *pointers(struct cpu *cpu, uint16_t fop)
{
	if (cpu->x87_at)
		cpu->x87_settle(cpu);
	if (!fop && !cpu_rule(cpu, RULE_X87_OPCODE_ALWAYS))
		cpu->s.x87_op = 0;
	return &cpu->s;
}

/* Selectors read 0 where CPUID.7.EBX[13] says so. */
static uint16_t selector(const struct cpu *cpu, uint16_t sel)
{
	return cpu->model && cpu->model->no_fcs ? 0 : sel;
}

/* In an FXSAVE64 image, as the guest's operand size wants them: SDM vol 1 table 10-2. */
static void put_pointers(struct cpu *cpu, uint8_t *fx, unsigned opsize)
{
	const struct cpu_state *s = pointers(cpu, get_le16(fx + FX_FOP));

	put_le16(fx + FX_FOP, s->x87_op);
	if (opsize == 8) {
		put_le64(fx + FX_FIP, s->x87_ip);
		put_le64(fx + FX_FDP, s->x87_dp);
		return;
	}
	put_le64(fx + FX_FIP, (uint32_t)s->x87_ip | (uint64_t)selector(cpu, s->x87_cs) << 32);
	put_le64(fx + FX_FDP, (uint32_t)s->x87_dp | (uint64_t)selector(cpu, s->x87_ds) << 32);
}

/* Out of one; the host gets none. */
static void take_pointers(struct cpu *cpu, uint8_t *fx, unsigned opsize)
{
	uint64_t ip = get_le64(fx + FX_FIP), dp = get_le64(fx + FX_FDP);
	bool wide = opsize == 8;

	cpu_x87_set(cpu, wide ? ip : (uint32_t)ip, wide ? 0 : (uint16_t)(ip >> 32), get_le16(fx + FX_FOP));
	cpu->s.x87_dp = wide ? dp : (uint32_t)dp;
	cpu->s.x87_ds = wide ? 0 : (uint16_t)(dp >> 32);
	put_le64(fx + FX_FIP, 0);
	put_le64(fx + FX_FDP, 0);
}

void insn_fxsave(struct cpu *cpu, const struct insn *in)
{
	size_t size = cpu_code64(cpu) ? 416 : 288; /* XMM8-15 exist in 64-bit code only */
	struct image img;
	gla_t gla;

	need_x87_raise(cpu);
	gla = aligned_raise(cpu, in, FX_SIZE, MMU_WRITE, 16);
	mmu_probe_raise(cpu, gla, FX_SIZE, MMU_WRITE);
	fpu_live_now(cpu);
	__asm__ volatile("fxsave64 %0" : "=m"(img));
	put_pointers(cpu, img.b, in->opsize);
	mmu_write_raise(cpu, gla, img.b, size, MMU_WRITE);
}

void insn_fxrstor(struct cpu *cpu, const struct insn *in)
{
	size_t size = cpu_code64(cpu) ? 416 : 288;
	struct image img, now;
	gla_t gla;

	need_x87_raise(cpu);
	gla = aligned_raise(cpu, in, FX_SIZE, MMU_READ, 16);
	mmu_read_raise(cpu, gla, img.b, FX_SIZE, MMU_READ);
	if (cpu->s.cr4 & CR4_OSFXSR && get_le32(img.b + FX_MXCSR) & ~MXCSR_VALID)
		raise_gp0(cpu);
	fpu_live_now(cpu);
	__asm__ volatile("fxsave64 %0" : "=m"(now));
	if (!(cpu->s.cr4 & CR4_OSFXSR)) { /* XMM and MXCSR stay: SDM vol 2 "FXRSTOR" */
		size = FX_XMM;
		put_le64(img.b + FX_MXCSR, get_le64(now.b + FX_MXCSR));
	}
	copy_bytes(now.b, img.b, size);
	take_pointers(cpu, now.b, in->opsize);
	__asm__ volatile("fxrstor64 %0" : : "m"(now));
}

/* Where component n lies; end: of those before it in the area. */
static size_t placed(const struct cpu *cpu, unsigned n, size_t end, bool compact)
{
	if (!compact)
		return cpu->model->component[n].offset;
	return cpu->model->component[n].aligned ? (end + 63) & ~(size_t)63 : end;
}

/* Bytes of an XSAVE area that holds the components in mask, which XCR0 has. */
static size_t area_size(const struct cpu *cpu, uint64_t mask, bool compact)
{
	size_t end = XS_MIN;

	for (unsigned n = 2; n < ARRAY_LEN(cpu->model->component); n++)
		if (mask >> n & 1)
			end = MAX(end, placed(cpu, n, end, compact) + cpu->model->component[n].size);
	must(end <= CPU_BOUNCE);
	return end;
}

static uint64_t requested(const struct cpu *cpu)
{
	return ((uint32_t)cpu->s.gpr[RAX] | cpu->s.gpr[RDX] << 32) & cpu->s.xcr0;
}

/* Where component n lies in an area that holds those in mask. */
static size_t component_at(const struct cpu *cpu, uint64_t mask, unsigned n, bool compact)
{
	return placed(cpu, n, area_size(cpu, mask & ((1ull << n) - 1), compact), compact);
}

/* Outside 64-bit code registers 8 to 31 stay where they are in the area, and component 7, which is all of 16 to 31,
 * counts as not in use (SDM vol 1 13.5.2 to 13.5.6, 13.6). */
static void keep_high_registers(const struct cpu *cpu, uint64_t mask, bool compact, const uint8_t *was, uint8_t *img)
{
	static const struct {
		uint8_t n;
		uint16_t skip, len;
	} part[3] = { { 2, 128, 128 }, { 6, 256, 256 }, { 7, 0, 1024 } };

	copy_bytes(img + FX_XMM + 128, was + FX_XMM + 128, 128);
	if (mask & XS_HI16_ZMM)
		img[XS_HEADER] &= (uint8_t)~XS_HI16_ZMM;
	for (unsigned i = 0; i < ARRAY_LEN(part); i++)
		if (mask >> part[i].n & 1) {
			size_t at = component_at(cpu, mask, part[i].n, compact) + part[i].skip;

			copy_bytes(img + at, was + at, part[i].len);
		}
}

/* The area is read first, so that what the instruction leaves alone stays. */
static void xsave_raise(struct cpu *cpu, const struct insn *in, bool compact)
{
	uint64_t mask = requested(cpu);
	uint32_t lo = (uint32_t)mask, hi = (uint32_t)(mask >> 32);
	struct image img, was;
	size_t size;
	gla_t gla;

	need_xsave_raise(cpu);
	size = area_size(cpu, mask, compact);
	gla = aligned_raise(cpu, in, size, MMU_WRITE, 64);
	mmu_probe_raise(cpu, gla, size, MMU_WRITE);
	mmu_read_raise(cpu, gla, img.b, size, MMU_READ);
	if (!cpu_code64(cpu))
		copy_bytes(was.b, img.b, size);
	fpu_live_now(cpu);
	if (compact)
		__asm__ volatile("xsavec64 %0" : "+m"(img) : "a"(lo), "d"(hi));
	else
		__asm__ volatile("xsave64 %0" : "+m"(img) : "a"(lo), "d"(hi));
	if (mask & 1 && (!compact || img.b[XS_HEADER] & 1)) /* XSAVEC leaves out what is in its initial state */
		put_pointers(cpu, img.b, in->opsize);
	if (!cpu_code64(cpu))
		keep_high_registers(cpu, mask, compact, was.b, img.b);
	mmu_write_raise(cpu, gla, img.b, size, MMU_WRITE);
}

void insn_xsave(struct cpu *cpu, const struct insn *in)
{
	xsave_raise(cpu, in, false);
}

enum { FORM_XSAVEOPT, FORM_XSAVEC }; /* bits of CPUID.(EAX=0DH,ECX=1):EAX, SDM vol 1 13.2 */

static bool has_form(const struct cpu *cpu, unsigned bit)
{
	return cpu->model->xsave_forms >> bit & 1;
}

/* The modified optimization goes by the host address of the last XRSTOR, which is our buffer: save everything
 * instead. */
void insn_xsaveopt(struct cpu *cpu, const struct insn *in)
{
	if (!has_form(cpu, FORM_XSAVEOPT))
		raise_ud(cpu);
	xsave_raise(cpu, in, false);
}

void insn_xsavec(struct cpu *cpu, const struct insn *in)
{
	if (!has_form(cpu, FORM_XSAVEC))
		raise_ud(cpu);
	xsave_raise(cpu, in, true);
}

/* SDM vol 1 13.8.1, 13.8.2: what XRSTOR refuses. */
static bool header_ok(const struct cpu *cpu, const uint8_t *h, bool compact)
{
	uint64_t bv = get_le64(h), comp = get_le64(h + 8) & ~XCOMP_COMPACT, rest = get_le64(h + 16);

	if (!compact)
		return !(bv & ~cpu->s.xcr0) && !comp && !rest;
	for (unsigned i = 24; i < 64; i += 8)
		rest |= get_le64(h + i);
	return has_form(cpu, FORM_XSAVEC) && !(comp & ~cpu->s.xcr0) && !(bv & ~comp) && !rest;
}

static void check_mxcsr_raise(struct cpu *cpu, uint8_t *img, uint64_t mask, bool compact)
{
	bool used = mask & 6 && (!compact || get_le64(img + XS_HEADER) & 2);

	if (!used)
		put_le32(img + FX_MXCSR, MXCSR_INIT);
	else if (get_le32(img + FX_MXCSR) & ~MXCSR_VALID)
		raise_gp0(cpu);
}

void insn_xrstor(struct cpu *cpu, const struct insn *in)
{
	uint64_t mask = requested(cpu);
	struct image img;
	bool compact;
	size_t size;
	gla_t gla;

	need_xsave_raise(cpu);
	gla = aligned_raise(cpu, in, XS_MIN, MMU_READ, 64);
	mmu_read_raise(cpu, gla, img.b, XS_MIN, MMU_READ);
	compact = get_le64(img.b + XS_HEADER + 8) & XCOMP_COMPACT;
	if (!header_ok(cpu, img.b + XS_HEADER, compact))
		raise_gp0(cpu);
	check_mxcsr_raise(cpu, img.b, mask, compact);
	size = area_size(cpu, compact ? get_le64(img.b + XS_HEADER + 8) & ~XCOMP_COMPACT : mask, compact);
	if (size > XS_MIN) {
		insn_rm_linear_raise(cpu, in, size, MMU_READ);
		mmu_read_raise(cpu, gla + XS_MIN, img.b + XS_MIN, size - XS_MIN, MMU_READ);
	}
	if (mask & 1 && get_le64(img.b + XS_HEADER) & 1)
		take_pointers(cpu, img.b, in->opsize);
	else if (mask & 1)
		cpu_x87_set(cpu, 0, 0, 0);
	fpu_live_now(cpu);
	__asm__ volatile("xrstor64 %0" : : "m"(img), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32)));
}

/* The x87 environment, whatever format it comes in: SDM vol 1 figures 8-9 to 8-12. */
struct env {
	uint16_t fcw, fsw, ftw, fop, fcs, fds;
	uint32_t fip, fdp; /* linear where the format is that of real mode */
};

static bool real_format(const struct cpu *cpu)
{
	return !cpu_protected(cpu);
}

static size_t env_size(const struct insn *in)
{
	return in->opsize == 2 ? 14 : 28;
}

/* A pointer in real mode's formats: its low 16 bits, then those above over the opcode, or over 0. */
static void put_real(uint8_t *out, unsigned size, uint32_t at, uint16_t op)
{
	put_le16(out, (uint16_t)at);
	if (size == 2)
		put_le16(out + 2, (uint16_t)(op | (at >> 4 & 0xf000)));
	else
		put_le32(out + 4, op | (at >> 4 & 0xffff000));
}

static uint32_t take_real(const uint8_t *in, unsigned size)
{
	if (size == 2)
		return get_le16(in) | (uint32_t)(get_le16(in + 2) & 0xf000) << 4;
	return get_le16(in) | (get_le32(in + 4) & 0xffff000) << 4;
}

static void put_env16(bool real, const struct env *e, uint8_t *out)
{
	put_le16(out, e->fcw);
	put_le16(out + 2, e->fsw);
	put_le16(out + 4, e->ftw);
	if (real) {
		put_real(out + 6, 2, e->fip, e->fop);
		put_real(out + 10, 2, e->fdp, 0);
		return;
	}
	put_le16(out + 6, (uint16_t)e->fip);
	put_le16(out + 8, e->fcs);
	put_le16(out + 10, (uint16_t)e->fdp);
	put_le16(out + 12, e->fds);
}

/* Reserved halves of the 32-bit formats read as ones. */
static void put_env32(bool real, const struct env *e, uint8_t *out)
{
	put_le32(out, 0xffff0000 | e->fcw);
	put_le32(out + 4, 0xffff0000 | e->fsw);
	put_le32(out + 8, 0xffff0000 | e->ftw);
	if (real) {
		put_real(out + 12, 4, e->fip, e->fop);
		put_real(out + 20, 4, e->fdp, 0);
		return;
	}
	put_le32(out + 12, e->fip);
	put_le32(out + 16, e->fcs | (uint32_t)e->fop << 16);
	put_le32(out + 20, e->fdp);
	put_le32(out + 24, 0xffff0000 | e->fds);
}

static void env_put(const struct cpu *cpu, const struct insn *in, const struct env *e, uint8_t *out)
{
	zero_bytes(out, 28);
	if (in->opsize == 2)
		put_env16(real_format(cpu), e, out);
	else
		put_env32(real_format(cpu), e, out);
}

/* The pointers of an image, from 6 or 12 bytes on. */
static void env_pointers(struct cpu *cpu, const uint8_t *p, unsigned size)
{
	bool real = real_format(cpu);

	if (real && size == 2) {
		cpu_x87_set(cpu, take_real(p, 2), 0, get_le16(p + 2));
		cpu->s.x87_dp = take_real(p + 4, 2);
	} else if (real) {
		cpu_x87_set(cpu, take_real(p, 4), 0, get_le16(p + 4));
		cpu->s.x87_dp = take_real(p + 8, 4);
	} else if (size == 2) {
		cpu_x87_set(cpu, get_le16(p), get_le16(p + 2), 0);
		cpu->s.x87_dp = get_le16(p + 4);
		cpu->s.x87_ds = get_le16(p + 6);
	} else {
		cpu_x87_set(cpu, get_le32(p), get_le16(p + 4), get_le16(p + 6));
		cpu->s.x87_dp = get_le32(p + 8);
		cpu->s.x87_ds = get_le16(p + 12);
	}
}

/* Live x87 state into native FNSTENV or FNSAVE form in raw (108 bytes) and e; clears what the instruction clears. */
static void env_take(struct cpu *cpu, bool save, struct env *e, uint8_t *raw)
{
	const struct cpu_state *ps;
	struct image fx;

	fpu_live_now(cpu);
	__asm__ volatile("fxsave64 %0" : "=m"(fx));
	if (save)
		__asm__ volatile("fnsave %0" : "=m"(*(uint8_t (*)[108])raw));
	else
		__asm__ volatile("fnstenv %0" : "=m"(*(uint8_t (*)[28])raw));
	e->fcw = get_le16(raw);
	e->fsw = get_le16(raw + 4);
	e->ftw = get_le16(raw + 8);
	ps = pointers(cpu, get_le16(fx.b + FX_FOP));
	e->fop = ps->x87_op;
	e->fip = (uint32_t)ps->x87_ip;
	e->fdp = (uint32_t)ps->x87_dp;
	e->fcs = selector(cpu, ps->x87_cs);
	e->fds = selector(cpu, ps->x87_ds);
	if (real_format(cpu)) { /* a pointer that has no selector was loaded as a linear one */
		e->fip += (uint32_t)ps->x87_cs << 4;
		e->fdp += (uint32_t)ps->x87_ds << 4;
	}
	if (save)
		cpu_x87_set(cpu, 0, 0, 0);
}

static void env_store_raise(struct cpu *cpu, const struct insn *in, bool save)
{
	size_t esize = env_size(in), size = esize + (save ? 80 : 0);
	uint8_t raw[108], out[108];
	struct env e;
	gla_t gla;

	need_x87_raise(cpu);
	gla = aligned_raise(cpu, in, size, MMU_WRITE, 1);
	insn_align_raise(cpu, gla, in->opsize == 2 ? 2 : 4);
	mmu_probe_raise(cpu, gla, size, MMU_WRITE);
	env_take(cpu, save, &e, raw);
	env_put(cpu, in, &e, out);
	if (save)
		copy_bytes(out + esize, raw + 28, 80);
	mmu_write_raise(cpu, gla, out, size, MMU_WRITE);
}

void insn_fnstenv(struct cpu *cpu, const struct insn *in)
{
	env_store_raise(cpu, in, false);
}

void insn_fnsave(struct cpu *cpu, const struct insn *in)
{
	env_store_raise(cpu, in, true);
}

/* FLDENV and FRSTOR are waiting instructions: an unmasked exception that is pending comes first (SDM vol 1 8.7). */
static void wait_x87_raise(struct cpu *cpu)
{
	uint16_t fsw;

	fpu_live_now(cpu);
	__asm__ volatile("fnstsw %0" : "=a"(fsw));
	if (fsw & 0x80)
		cpu_raise(cpu, EXC_MF, 0);
}

static void env_load_raise(struct cpu *cpu, const struct insn *in, bool rstor)
{
	size_t esize = env_size(in), size = esize + (rstor ? 80 : 0), step = in->opsize == 2 ? 2 : 4;
	uint8_t img[108], raw[108];
	gla_t gla;

	need_x87_raise(cpu);
	wait_x87_raise(cpu);
	gla = aligned_raise(cpu, in, size, MMU_READ, 1);
	insn_align_raise(cpu, gla, step);
	mmu_read_raise(cpu, gla, img, size, MMU_READ);
	zero_bytes(raw, 28);
	put_le16(raw, get_le16(img));
	put_le16(raw + 4, get_le16(img + step));
	put_le16(raw + 8, get_le16(img + 2 * step));
	env_pointers(cpu, img + 3 * step, step);
	fpu_live_now(cpu);
	cpu->x87_aside = 0; /* the whole status comes from the image */
	if (!rstor) {
		__asm__ volatile("fnclex\n\tfldenv %0" : : "m"(*(uint8_t (*)[28])raw));
		return;
	}
	copy_bytes(raw + 28, img + esize, 80);
	__asm__ volatile("fnclex\n\tfrstor %0" : : "m"(*(uint8_t (*)[108])raw));
}

void insn_fldenv(struct cpu *cpu, const struct insn *in)
{
	env_load_raise(cpu, in, false);
}

void insn_frstor(struct cpu *cpu, const struct insn *in)
{
	env_load_raise(cpu, in, true);
}
