// SPDX-License-Identifier: GPL-2.0-or-later
/* what: vector loads and stores whose disabled elements must not fault: masked moves, gathers, scatters, MASKMOV
 *
 * They move data and compute nothing, so they are carried out on an XSAVE image of the live state: decode the prefix,
 * find the enabled elements, access those, put the image back. The translator sends only these opcodes here:
 *
 *   VEX   0F38 2C 2D 2E 2F (VMASKMOVPS/PD)  8C 8E (VPMASKMOVD/Q)  90-93 (gathers)
 *   EVEX  0F38 90-93 (gathers)  A0-A3 (scatters)  62 63 88-8B (expand, compress)
 *   EVEX  0F 10 11 28 29 6F 7F (VMOVUPS/PD/SS/SD, VMOVAPS/PD, VMOVDQA/DQU)
 *
 * I1  All enabled elements are probed or loaded before the first is stored: a fault leaves nothing behind. (The manual
 *     also allows gathers to keep finished elements; restarting from the beginning is the same to the guest.)
 */
#include "insn/insn_int.h"
#include "cpu/cpuid.h"

#define FX_ST0 32
#define FX_XMM 160
#define XS_HEADER 512
#define ELEMS_MAX 64

struct vimage {
	_Alignas(64) uint8_t b[CPU_BOUNCE];
	uint32_t ymm, zmm, hi16, mask; /* offsets of the components */
	uint64_t have;                 /* components saved */
};

/* A VEX or EVEX prefix, opcode, ModRM and SIB. */
struct vop {
	bool evex, w, zero;
	uint8_t map, pp, op;
	uint8_t reg, vvvv, k;   /* register operand, second source, opmask */
	uint8_t index, scale;   /* VSIB */
	unsigned vlen;
};

/* One element access. */
struct elem {
	uint8_t n;              /* position in the register */
	gla_t at;
};
struct plan {
	unsigned esize;
	unsigned count;         /* elements in the register operand */
	unsigned n;             /* enabled ones */
	struct elem e[ELEMS_MAX];
};

static void live(struct cpu *cpu)
{
	if (!cpu->fpu_live)
		cpu_fpu_load(cpu);
}

static void image_take(struct cpu *cpu, struct vimage *v)
{
	v->have = cpu->s.xcr0;
	v->ymm = cpu->model->component[2].offset;
	if (v->have & 0xe0) {
		v->mask = cpu->model->component[5].offset;
		v->zmm = cpu->model->component[6].offset;
		v->hi16 = cpu->model->component[7].offset;
	}
	zero_bytes(v->b + XS_HEADER, 64);
	live(cpu);
	__asm__ volatile("xsave64 %0" : "+m"(v->b) : "a"((uint32_t)v->have), "d"(0));
}

static void image_put(struct cpu *cpu, struct vimage *v)
{
	/* Every vector component may have been written; data of those in their initial state is valid too. */
	put_le64(v->b + XS_HEADER, get_le64(v->b + XS_HEADER) | (v->have & 0xe6));
	live(cpu);
	__asm__ volatile("xrstor64 %0" : : "m"(v->b), "a"((uint32_t)v->have), "d"(0));
}

/* Byte off of vector register n. */
static uint8_t *vbyte(struct vimage *v, unsigned n, unsigned off)
{
	if (n >= 16)
		return v->b + v->hi16 + 64 * (n - 16) + off;
	if (off < 16)
		return v->b + FX_XMM + 16 * n + off;
	if (off < 32)
		return v->b + v->ymm + 16 * n + off - 16;
	return v->b + v->zmm + 32 * n + off - 32;
}

static uint64_t bytes_get(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1:
		return *p;
	case 2:
		return get_le16(p);
	case 4:
		return get_le32(p);
	}
	return get_le64(p);
}

static void bytes_put(uint8_t *p, uint64_t val, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		*(volatile uint8_t *)(p + i) = (uint8_t)(val >> 8 * i);
}

/* An element never crosses the register's pieces: pieces are 16-byte multiples. */
static uint64_t vget(struct vimage *v, unsigned n, unsigned i, unsigned size)
{
	return bytes_get(vbyte(v, n, i * size), size);
}

static void vset(struct vimage *v, unsigned n, unsigned i, uint64_t val, unsigned size)
{
	bytes_put(vbyte(v, n, i * size), val, size);
}

/* Bits from byte off of register n on become 0. */
static void vzero_from(struct vimage *v, unsigned n, unsigned off)
{
	unsigned end = v->have & 0xe0 ? 64 : 32;

	for (; off < end; off++)
		*(volatile uint8_t *)vbyte(v, n, off) = 0;
}

static uint64_t kget(const struct vimage *v, unsigned k)
{
	return get_le64(v->b + v->mask + 8 * k);
}

/* REX too: before another prefix it means nothing (SDM vol 2 2.2.1), but 64-bit code may hold it. */
static bool is_prefix(uint8_t b)
{
	return (b & 0xf0) == 0x40 || b == 0x2e || b == 0x36 || b == 0x3e || b == 0x26 || b == 0x64 || b == 0x65 ||
	       b == 0x67;
}

/* SDM vol 2 2.3.5 to 2.3.12 (VEX, VSIB), 2.7 (EVEX). */
static bool vop_decode(const struct insn *in, struct vop *v)
{
	const uint8_t *p = in->raw;
	unsigned r, x, vp = 0;

	while (is_prefix(*p) && p < in->raw + 10)
		p++;
	*v = (struct vop){ .map = 1 };
	if (*p == 0xc5) {
		r = !(p[1] & 0x80);
		x = 0;
		v->vvvv = ~(p[1] >> 3) & 15;
		v->vlen = 16u << (p[1] >> 2 & 1);
		v->pp = p[1] & 3;
		p += 2;
	} else if (*p == 0xc4) {
		r = !(p[1] & 0x80);
		x = !(p[1] & 0x40);
		v->map = p[1] & 0x1f;
		v->w = p[2] & 0x80;
		v->vvvv = ~(p[2] >> 3) & 15;
		v->vlen = 16u << (p[2] >> 2 & 1);
		v->pp = p[2] & 3;
		p += 3;
	} else if (*p == 0x62) {
		r = !(p[1] & 0x80) + 2u * !(p[1] & 0x10);
		x = !(p[1] & 0x40);
		vp = !(p[3] & 8);
		v->evex = true;
		v->map = p[1] & 7;
		v->w = p[2] & 0x80;
		v->vvvv = (uint8_t)((~(p[2] >> 3) & 15) | vp << 4);
		v->pp = p[2] & 3;
		v->vlen = 16u << (p[3] >> 5 & 3);
		v->zero = p[3] & 0x80;
		v->k = p[3] & 7;
		p += 4;
	} else {
		return false;
	}
	v->op = p[0];
	v->reg = (uint8_t)((p[1] >> 3 & 7) | (r & 1) << 3 | (r & 2) << 3);
	v->index = (uint8_t)((p[2] >> 3 & 7) | x << 3 | vp << 4);
	v->scale = (uint8_t)(1u << (p[2] >> 6));
	return v->vlen <= 64;
}

/* Outside 64-bit mode only registers 0 to 7 exist and the bits that would name others are ignored or fixed. */
static void vop_clip(const struct cpu *cpu, struct vop *v)
{
	if (cpu_code64(cpu))
		return;
	v->reg &= 7;
	v->vvvv &= 7;
	v->index &= 7;
}

/* Bit i of the result: is element i enabled? */
static uint64_t vex_mask(struct vimage *v, unsigned n, unsigned esize, unsigned count)
{
	uint64_t m = 0;

	for (unsigned i = 0; i < count; i++)
		m |= (vget(v, n, i, esize) >> (8 * esize - 1)) << i;
	return m;
}

static uint64_t evex_mask(const struct vimage *v, unsigned k)
{
	return k ? kget(v, k) : UINT64_MAX;
}

static gla_t elem_linear_raise(struct cpu *cpu, const struct insn *in, uint64_t off, unsigned size, unsigned kind)
{
	return insn_seg_linear_raise(cpu, in->seg, off & size_mask(in->adsize), size, kind);
}

/* Byte at of an operand whose first has the effective address ea: only the first is cut to the address size, what
 * lies beyond 64 KiB is beyond the limit (SDM vol 3 6.3), where 4 GiB end linear addresses do. */
static gla_t row_linear_raise(struct cpu *cpu, const struct insn *in, uint64_t ea, unsigned at, unsigned size,
                              unsigned kind)
{
	uint64_t off = (ea & size_mask(in->adsize)) + at;

	return insn_seg_linear_raise(cpu, in->seg, cpu_code64(cpu) ? off : (uint32_t)off, size, kind);
}

static void plan_add(struct plan *p, unsigned n, gla_t at)
{
	p->e[p->n++] = (struct elem){ (uint8_t)n, at };
}

/* Elements side by side from the operand's address on; packed: disabled ones take no room (expand, compress). */
static void plan_row_raise(struct cpu *cpu, const struct insn *in, struct plan *p, uint64_t mask, bool packed,
                           unsigned kind)
{
	uint64_t ea = insn_ea(cpu, in);

	for (unsigned i = 0; i < p->count; i++)
		if (mask >> i & 1)
			plan_add(p, i, row_linear_raise(cpu, in, ea, (packed ? p->n : i) * p->esize, p->esize, kind));
}

static uint64_t vsib_base(const struct cpu *cpu, const struct insn *in)
{
	return (uint64_t)in->disp + (in->base < 16 ? cpu->s.gpr[in->base] : 0);
}

static void plan_vsib_raise(struct cpu *cpu, const struct insn *in, const struct vop *v, struct vimage *img,
                            struct plan *p,
			    uint64_t mask, unsigned kind)
{
	unsigned isize = v->op & 1 ? 8 : 4;
	uint64_t base = vsib_base(cpu, in);

	p->n = 0;
	p->esize = v->w ? 8 : 4;
	p->count = v->vlen / MAX(isize, p->esize);
	for (unsigned i = 0; i < p->count; i++) {
		uint64_t idx = vget(img, v->index, i, isize);

		if (isize == 4)
			idx = (uint64_t)(int64_t)(int32_t)idx;
		if (mask >> i & 1)
			plan_add(p, i, elem_linear_raise(cpu, in, base + idx * v->scale, p->esize, kind));
	}
}

/* Loads all, then writes the register: elements not enabled keep their value or become 0. */
static void run_load_raise(struct cpu *cpu, const struct vop *v, struct vimage *img, const struct plan *p, bool zero)
{
	uint64_t val[ELEMS_MAX];

	for (unsigned i = 0; i < p->n; i++)
		val[i] = mmu_load_raise(cpu, p->e[i].at, p->esize, MMU_READ);
	if (zero)
		vzero_from(img, v->reg, 0);
	for (unsigned i = 0; i < p->n; i++)
		vset(img, v->reg, p->e[i].n, val[i], p->esize);
	vzero_from(img, v->reg, p->count * p->esize);
}

static void run_store_raise(struct cpu *cpu, const struct vop *v, struct vimage *img, const struct plan *p)
{
	for (unsigned i = 0; i < p->n; i++)
		mmu_probe_raise(cpu, p->e[i].at, p->esize, MMU_WRITE);
	for (unsigned i = 0; i < p->n; i++)
		mmu_store_raise(cpu, p->e[i].at, vget(img, v->reg, p->e[i].n, p->esize), p->esize, MMU_WRITE);
}

/* VMASKMOV, VPMASKMOV: the mask is the sign bit of vvvv's elements; a load zeroes the others. */
static void vex_maskmov_raise(struct cpu *cpu, const struct insn *in, const struct vop *v, struct vimage *img)
{
	bool store = v->op == 0x2e || v->op == 0x2f || v->op == 0x8e;
	struct plan p;
	uint64_t mask;

	p.n = 0;
	p.esize = v->op >= 0x80 ? (v->w ? 8 : 4) : v->op & 1 ? 8 : 4;
	p.count = v->vlen / p.esize;
	mask = vex_mask(img, v->vvvv, p.esize, p.count);
	plan_row_raise(cpu, in, &p, mask, false, store ? MMU_WRITE : MMU_READ);
	if (store) {
		run_store_raise(cpu, v, img, &p);
		return;
	}
	run_load_raise(cpu, v, img, &p, true);
	image_put(cpu, img);
}

static void vex_gather_raise(struct cpu *cpu, const struct insn *in, const struct vop *v, struct vimage *img)
{
	unsigned esize = v->w ? 8 : 4;
	struct plan p;
	uint64_t mask;

	if (v->reg == v->index || v->reg == v->vvvv || v->index == v->vvvv)
		raise_ud(cpu);
	mask = vex_mask(img, v->vvvv, esize, v->vlen / MAX(esize, v->op & 1 ? 8u : 4u));
	plan_vsib_raise(cpu, in, v, img, &p, mask, MMU_READ);
	run_load_raise(cpu, v, img, &p, false);
	vzero_from(img, v->vvvv, 0);
	image_put(cpu, img);
}

/* Gathers and scatters clear their opmask as they go: SDM vol 2 "VPGATHERDD". */
static void evex_vsib_raise(struct cpu *cpu, const struct insn *in, const struct vop *v, struct vimage *img)
{
	bool store = v->op >= 0xa0;
	struct plan p;

	if (!v->k || v->zero || (!store && v->reg == v->index))
		raise_ud(cpu);
	plan_vsib_raise(cpu, in, v, img, &p, kget(img, v->k), store ? MMU_WRITE : MMU_READ);
	if (store)
		run_store_raise(cpu, v, img, &p);
	else
		run_load_raise(cpu, v, img, &p, false);
	bytes_put(img->b + img->mask + 8 * v->k, 0, 8);
	image_put(cpu, img);
}

static void evex_row_raise(struct cpu *cpu, const struct insn *in, const struct vop *v, struct vimage *img,
                           struct plan *p,
			   bool store, bool packed)
{
	uint64_t mask = evex_mask(img, v->k);
	bool scalar = p->count == 1;

	if (store && v->zero)
		raise_ud(cpu);
	plan_row_raise(cpu, in, p, mask, packed, store ? MMU_WRITE : MMU_READ);
	if (store) {
		run_store_raise(cpu, v, img, p);
		return;
	}
	run_load_raise(cpu, v, img, p, v->zero || (scalar && p->n));
	image_put(cpu, img);
}

/* VMOVUPS/UPD/SS/SD 10 11, VMOVAPS/APD 28 29, VMOVDQA32/64 and VMOVDQU8..64 6F 7F. */
static void evex_move_raise(struct cpu *cpu, const struct insn *in, const struct vop *v, struct vimage *img)
{
	bool store = v->op == 0x11 || v->op == 0x29 || v->op == 0x7f, integer = v->op == 0x6f || v->op == 0x7f;
	bool scalar = !integer && v->pp >= 2, aligned = v->op == 0x28 || v->op == 0x29 || (integer && v->pp == 1);
	struct plan p;
	gla_t gla;

	p.n = 0;
	if (integer && v->pp == 3)
		p.esize = v->w ? 2 : 1;
	else if (integer)
		p.esize = v->w ? 8 : 4;
	else
		p.esize = v->pp & 1 ? 8 : 4; /* 66: PD, F2 (pp 3): SD */
	p.count = scalar ? 1 : v->vlen / p.esize;
	/* nothing to move, nothing to align */
	if (aligned && evex_mask(img, v->k) & (p.count < 64 ? (1ull << p.count) - 1 : UINT64_MAX)) {
		gla = insn_ea(cpu, in) + (cpu_code64(cpu) && in->seg < SEG_FS ? 0 : cpu->s.seg[in->seg].base);
		if (gla & (v->vlen - 1))
			raise_gp0(cpu);
	}
	evex_row_raise(cpu, in, v, img, &p, store, false);
}

/* Expand 62 88 89, compress 63 8A 8B. */
static void evex_pack_raise(struct cpu *cpu, const struct insn *in, const struct vop *v, struct vimage *img)
{
	bool store = v->op == 0x63 || v->op == 0x8a || v->op == 0x8b, small = v->op == 0x62 || v->op == 0x63;
	struct plan p;

	p.n = 0;
	p.esize = small ? (v->w ? 2 : 1) : (v->w ? 8 : 4);
	p.count = v->vlen / p.esize;
	evex_row_raise(cpu, in, v, img, &p, store, true);
}

static bool is_gather(uint8_t op)
{
	return op >= 0x90 && op <= 0x93;
}

static bool is_vex_maskmov(uint8_t op)
{
	return (op >= 0x2c && op <= 0x2f) || op == 0x8c || op == 0x8e;
}

static bool is_move(uint8_t op)
{
	return op == 0x10 || op == 0x11 || op == 0x28 || op == 0x29 || op == 0x6f || op == 0x7f;
}

bool insn_vector_mem_does(const struct insn *in)
{
	struct vop v;

	if (!vop_decode(in, &v))
		return false;
	if (!v.evex)
		return v.map == 2 && (is_vex_maskmov(v.op) || is_gather(v.op));
	if (v.map == 1)
		return is_move(v.op);
	return v.map == 2 && (is_gather(v.op) || (v.op >= 0xa0 && v.op <= 0xa3) || v.op == 0x62 || v.op == 0x63 ||
			      (v.op >= 0x88 && v.op <= 0x8b));
}

static noreturn void refuse_raise(struct cpu *cpu, const struct vop *v)
{
	cpu_fpu_park(cpu);
	guest_log("masked vector access of map %u opcode %#x at a page's end is not supported", v->map, v->op);
	raise_ud(cpu);
}

static void run_raise(struct cpu *cpu, const struct insn *in, const struct vop *v, struct vimage *img)
{
	if (!v->evex && v->map == 2 && is_vex_maskmov(v->op))
		vex_maskmov_raise(cpu, in, v, img);
	else if (!v->evex && v->map == 2 && is_gather(v->op))
		vex_gather_raise(cpu, in, v, img);
	else if (v->evex && v->map == 2 && (is_gather(v->op) || (v->op >= 0xa0 && v->op <= 0xa3)))
		evex_vsib_raise(cpu, in, v, img);
	else if (v->evex && v->map == 2 && (v->op == 0x62 || v->op == 0x63 || (v->op >= 0x88 && v->op <= 0x8b)))
		evex_pack_raise(cpu, in, v, img);
	else if (v->evex && v->map == 1 && is_move(v->op))
		evex_move_raise(cpu, in, v, img);
	else
		refuse_raise(cpu, v);
}

void insn_vector_mem(struct cpu *cpu, const struct insn *in)
{
	struct vimage img;
	struct vop v;

	if (!cpu_protected(cpu) || !(cpu->s.cr4 & CR4_OSXSAVE) || (cpu->s.xcr0 & 6) != 6 || !vop_decode(in, &v))
		raise_ud(cpu);
	if (v.evex && (cpu->s.xcr0 & 0xe0) != 0xe0)
		raise_ud(cpu);
	if (cpu->s.cr0 & CR0_TS)
		cpu_raise(cpu, EXC_NM, 0);
	vop_clip(cpu, &v);
	image_take(cpu, &img);
	run_raise(cpu, in, &v, &img);
}

/* MASKMOVQ works on MMX registers: the form without 66 and VEX. */
static bool maskmov_is_mmx(const struct insn *in)
{
	for (unsigned i = 0; i < 14; i++) {
		if (in->raw[i] == 0x66 || in->raw[i] == 0xc5 || in->raw[i] == 0xc4)
			return false;
		if (in->raw[i] == 0x0f)
			return true;
	}
	return true;
}

static void need_maskmov_raise(struct cpu *cpu, bool mmx)
{
	if (cpu->s.cr0 & CR0_EM || (!mmx && !(cpu->s.cr4 & CR4_OSFXSR)))
		raise_ud(cpu);
	if (cpu->s.cr0 & CR0_TS)
		cpu_raise(cpu, EXC_NM, 0);
}

/* Go to MMX state (TOP 0, all valid) as the instruction would: the image then has MMn at ST(n). A read leaves the
 * registers' upper parts. */
static void enter_mmx_raise(struct cpu *cpu)
{
	uint64_t scratch;
	uint16_t fsw;

	__asm__ volatile("fnstsw %0" : "=a"(fsw));
	if (fsw & 0x80) /* an unmasked exception waits: the host's own #MF must not hit us here */
		cpu_raise(cpu, EXC_MF, 0);
	__asm__ volatile("movq %%mm0, %0" : "=r"(scratch) : : "memory");
}

void insn_maskmov(struct cpu *cpu, const struct insn *in)
{
	bool mmx = maskmov_is_mmx(in);
	unsigned len = mmx ? 8 : 16, at = mmx ? FX_ST0 : FX_XMM;
	struct vimage img;
	uint8_t *src, *mask;
	gla_t gla[16];

	need_maskmov_raise(cpu, mmx);
	live(cpu);
	if (mmx)
		enter_mmx_raise(cpu);
	__asm__ volatile("fxsave64 %0" : "+m"(img.b));
	src = img.b + at + 16 * (mmx ? in->reg & 7 : in->reg);
	mask = img.b + at + 16 * (mmx ? in->rm & 7 : in->rm);
	/* Segment and canonical checks are those of the whole operand, paging's of the bytes that are on. CPUs store
	 * halves, and look at the second one first: its address wraps by itself at 64 KiB (seen: 16-bit address FFFBH puts
	 * byte 15 at 0AH). */
	for (unsigned i = len; i; i -= 8)
		insn_align_raise(cpu, insn_seg_linear_raise(cpu, in->seg, (cpu->s.gpr[RDI] + i - 8) & size_mask(in->adsize), 8,
		                                            MMU_WRITE), 8);
	for (unsigned i = 0; i < len; i++) {
		if (!(mask[i] & 0x80))
			continue;
		gla[i] = row_linear_raise(cpu, in, cpu->s.gpr[RDI] + (i & 8), i & 7, 1, MMU_WRITE);
		mmu_probe_raise(cpu, gla[i], 1, MMU_WRITE);
	}
	for (unsigned i = 0; i < len; i++)
		if (mask[i] & 0x80)
			mmu_store_raise(cpu, gla[i], src[i], 1, MMU_WRITE);
}

static uint64_t opmask(unsigned k)
{
	uint64_t m;

	switch (k) {
	case 1: __asm__("kmovq %%k1, %0" : "=r"(m)); break;
	case 2: __asm__("kmovq %%k2, %0" : "=r"(m)); break;
	case 3: __asm__("kmovq %%k3, %0" : "=r"(m)); break;
	case 4: __asm__("kmovq %%k4, %0" : "=r"(m)); break;
	case 5: __asm__("kmovq %%k5, %0" : "=r"(m)); break;
	case 6: __asm__("kmovq %%k6, %0" : "=r"(m)); break;
	default: __asm__("kmovq %%k7, %0" : "=r"(m)); break;
	}
	return m;
}

/* Probe the first enabled element that touches bytes [from, to) of the operand; false: there is none. */
static bool probe_enabled_raise(struct cpu *cpu, gla_t gla, uint64_t mask, unsigned esize, unsigned from, unsigned to,
                                unsigned kind)
{
	for (unsigned i = from / esize; i * esize < to; i++) {
		if (!(mask >> i & 1))
			continue;
		mmu_probe_raise(cpu, gla + i * esize, esize, kind);
		return true;
	}
	return false;
}

uint64_t insn_vector_mask(struct cpu *cpu, unsigned bits, unsigned k)
{
	live(cpu);
	return opmask(k) & (bits < 64 ? (1ull << bits) - 1 : UINT64_MAX);
}

/* A page whose elements are all off is not looked at. What the pointer says of it is not accessed: the host
 * suppresses those faults too. */
void *insn_vector_operand_raise(struct cpu *cpu, gla_t gla, uint32_t size, unsigned esize, uint64_t mask, unsigned kind)
{
	unsigned first = (unsigned)MIN(size, 4096 - (gla & 4095));
	bool low = probe_enabled_raise(cpu, gla, mask, esize, 0, first, kind);
	bool high = first < size && probe_enabled_raise(cpu, gla, mask, esize, first, size, kind);

	if (low && high)
		return mmu_slow_raise(cpu, gla, size, kind, true);
	if (low)
		return mmu_slow_raise(cpu, gla, first, kind, true);
	if (high)
		return (uint8_t *)mmu_slow_raise(cpu, gla + first, size - first, kind, true) - first;
	cpu->bounce_len = 0;
	return cpu->bounce;
}
