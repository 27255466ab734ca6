// SPDX-License-Identifier: GPL-2.0-or-later
/* what: RDMSR and WRMSR through the table msr.def
 *
 * A row says which feature brings the register, where it lives and what may be written. What no row names does not
 * exist: #GP, as on hardware, and a guest_log line, because guests probe with fixups but people debug with logs.
 */
#include "insn/insn_int.h"
#include "cpu/vendor.h"

#define MSR_APIC_BASE 0x1b
#define MSR_TSC_DEADLINE 0x6e0

enum msr_need {
	NEED_ANY, NEED_LM, NEED_EFER, NEED_SEP, NEED_RDTSCP, NEED_SPEC_CTRL, NEED_L1D_FLUSH, NEED_ARCH_CAP, NEED_TSC_ADJUST,
	NEED_PRED_CMD, NEED_PAT, NEED_MTRR, NEED_MCA, NEED_INTEL, NEED_AMD,
};
enum { IGNORE, ZERO, NEVER, COMMAND };

struct msr {
	uint32_t number;
	uint16_t count; /* numbers in a row, members in a row; 0: one */
	uint16_t off;   /* in cpu_state; 0: none */
	uint8_t need;
	uint8_t on_write;
	uint64_t value; /* COMMAND: the bits that may be 1 */
	uint64_t (*read)(struct cpu *cpu);
	bool (*write)(struct cpu *cpu, uint64_t val);          /* false: #GP */
	bool (*check)(const struct cpu *cpu, uint64_t val);
	uint64_t (*hidden)(const struct cpu *cpu);             /* bits that read as 0 and stay; NULL: none */
	const char *name;
};

static bool anything(const struct cpu *cpu, uint64_t val)
{
	return true;
}

static bool canonical(const struct cpu *cpu, uint64_t val)
{
	return cpu_canonical(val);
}

static uint64_t upper_hidden(const struct cpu *cpu)
{
	return cpu_rule(cpu, RULE_MSR_UPPER_IGNORED) ? ~(uint64_t)UINT32_MAX : 0;
}

static bool low32(const struct cpu *cpu, uint64_t val)
{
	return !(val & ~upper_hidden(cpu) & ~(uint64_t)UINT32_MAX);
}

static bool sysenter_ok(const struct cpu *cpu, uint64_t val)
{
	return cpu_canonical(val) || upper_hidden(cpu);
}

static bool spec_ctrl_ok(const struct cpu *cpu, uint64_t val)
{
	return !(val & ~7ull); /* IBRS, STIBP, SSBD */
}

/* SDM vol 3 12.12.2: types 0 1 4 5 6 7 are PAT entries. */
static bool pat_ok(const struct cpu *cpu, uint64_t val)
{
	for (unsigned i = 0; i < 64; i += 8)
		if (!(0xf3u >> (val >> i & 7) & 1) || val >> i & 0xf8)
			return false;
	return true;
}

/* SDM vol 3 table 12-8. */
static bool mtrr_type_ok(uint64_t type)
{
	return type < 7 && 0x73u >> type & 1;
}

#define SYSCFG_MTRR_FIX_DRAM_MOD_EN (1u << 19)
#define MTRR_RD_WR_MEM 0x1818181818181818ull

/* AMD: RdMem and WrMem are there for firmware that says so; APM vol 2 7.9.1, PPR MSR0000_0250. Not set on Intel. */
static uint64_t mtrr_hidden(const struct cpu *cpu)
{
	return cpu->s.amd_syscfg & SYSCFG_MTRR_FIX_DRAM_MOD_EN ? 0 : MTRR_RD_WR_MEM;
}

static bool mtrr_types_ok(const struct cpu *cpu, uint64_t val)
{
	val &= ~MTRR_RD_WR_MEM | mtrr_hidden(cpu);
	for (unsigned i = 0; i < 64; i += 8)
		if (!mtrr_type_ok(val >> i & 0xff))
			return false;
	return true;
}

static bool mtrr_def_ok(const struct cpu *cpu, uint64_t val)
{
	return !(val & ~0xcffull) && mtrr_type_ok(val & 0xff);
}

static bool mtrr_base_ok(const struct cpu *cpu, uint64_t val)
{
	return !(val >> cpu->model->phys_bits) && !(val & 0xf00) && mtrr_type_ok(val & 0xff);
}

static bool mtrr_mask_ok(const struct cpu *cpu, uint64_t val)
{
	return !(val >> cpu->model->phys_bits) && !(val & 0x7ff);
}

static uint64_t rd_fs_base(struct cpu *cpu)
{
	return cpu->s.seg[SEG_FS].base;
}

static bool wr_fs_base(struct cpu *cpu, uint64_t val)
{
	if (!cpu_canonical(val))
		return false;
	cpu->s.seg[SEG_FS].base = val;
	return true;
}

static uint64_t rd_gs_base(struct cpu *cpu)
{
	return cpu->s.seg[SEG_GS].base;
}

static bool wr_gs_base(struct cpu *cpu, uint64_t val)
{
	if (!cpu_canonical(val))
		return false;
	cpu->s.seg[SEG_GS].base = val;
	return true;
}

static uint64_t rd_tsc(struct cpu *cpu)
{
	return __builtin_ia32_rdtsc() + cpu->s.tsc_offset;
}

/* Writing the TSC moves TSC_ADJUST by the same amount: SDM vol 3 18.17.3. */
static bool wr_tsc(struct cpu *cpu, uint64_t val)
{
	uint64_t delta = val - rd_tsc(cpu);

	cpu->s.tsc_offset += delta;
	cpu->s.tsc_adjust += delta;
	return true;
}

static uint64_t rd_tsc_adjust(struct cpu *cpu)
{
	return cpu->s.tsc_adjust;
}

static bool wr_tsc_adjust(struct cpu *cpu, uint64_t val)
{
	cpu->s.tsc_offset += val - cpu->s.tsc_adjust;
	cpu->s.tsc_adjust = val;
	return true;
}

static uint64_t rd_efer(struct cpu *cpu)
{
	return cpu->s.efer;
}

static bool wr_efer(struct cpu *cpu, uint64_t val)
{
	uint64_t changed = (cpu->s.efer ^ val) & ~(uint64_t)EFER_LMA;

	if (val & ~(cpu->model->efer_valid | EFER_LMA))
		return false;
	if (changed & EFER_LME && cpu->s.cr0 & CR0_PG)
		return false;
	cpu->s.efer = (val & ~(uint64_t)EFER_LMA) | (cpu->s.efer & EFER_LMA);
	if (changed & EFER_NXE)
		mmu_flush_all(cpu);
	cpu->mode_dirty = true;
	return true;
}

/* Maximum non-turbo ratio in bits 15:8, of 100 MHz: SDM vol 4 table 2-20. */
static uint64_t rd_platform_info(struct cpu *cpu)
{
	return (cpu->model->tsc_hz / 100000000 & 0xff) << 8;
}

/* The same, for one to eight active cores. */
static uint64_t rd_turbo_ratio(struct cpu *cpu)
{
	return (cpu->model->tsc_hz / 100000000 & 0xff) * 0x0101010101010101;
}

static bool wr_never(struct cpu *cpu, uint64_t val)
{
	return false;
}

static bool wr_ignored(struct cpu *cpu, uint64_t val)
{
	return true;
}

static const struct cpuid_leaf *model_leaf(const struct cpu_model *m, uint32_t leaf)
{
	static const struct cpuid_leaf none = { 0 };

	for (unsigned i = 0; i < m->nleaves; i++)
		if (m->leaf[i].leaf == leaf && m->leaf[i].sub == 0)
			return &m->leaf[i];
	return &none;
}

/* Eight of the brand string's characters. */
static uint64_t brand(const struct cpu *cpu, unsigned n)
{
	const struct cpuid_leaf *l = model_leaf(cpu->model, 0x80000002 + n / 2);

	return n & 1 ? l->ecx | (uint64_t)l->edx << 32 : l->eax | (uint64_t)l->ebx << 32;
}

#define RD_BRAND(n) static uint64_t rd_brand##n(struct cpu *cpu) { return brand(cpu, n); }
RD_BRAND(0) RD_BRAND(1) RD_BRAND(2) RD_BRAND(3) RD_BRAND(4) RD_BRAND(5)

/* Writing these two changes what CPUID says; a guest that takes a feature away so leaves it alone by itself. */
static uint64_t rd_features(struct cpu *cpu)
{
	const struct cpuid_leaf *l = model_leaf(cpu->model, 1);

	return l->edx | (uint64_t)l->ecx << 32;
}

static uint64_t rd_ext_features(struct cpu *cpu)
{
	const struct cpuid_leaf *l = model_leaf(cpu->model, 0x80000001);

	return l->edx | (uint64_t)l->ecx << 32;
}

static const struct msr msrs[] = {
#define MSR_RW(num, nm, needs, rd, wr) { .number = num, .name = #nm, .need = NEED_##needs, .read = rd, .write = wr },
#define MSR_FIELD(num, nm, needs, member, chk) \
	{ .number = num, .name = #nm, .need = NEED_##needs, .off = offsetof(struct cpu_state, member), .check = chk },
#define MSR_FIELDS(num, n, nm, needs, member, chk) \
	{ .number = num, .count = n, .name = #nm, .need = NEED_##needs, .off = offsetof(struct cpu_state, member), \
	  .check = chk },
#define MSR_HIDING(num, n, nm, needs, member, chk, hid) \
	{ .number = num, .count = n, .name = #nm, .need = NEED_##needs, .off = offsetof(struct cpu_state, member), \
	  .check = chk, .hidden = hid },
#define MSR_CONST(num, nm, needs, val, wr) \
	{ .number = num, .name = #nm, .need = NEED_##needs, .value = val, .on_write = wr },
#define MSR_CONSTS(num, n, nm, needs, val, wr) \
	{ .number = num, .count = n, .name = #nm, .need = NEED_##needs, .value = val, .on_write = wr },
#define MSR_COMMAND(num, nm, needs, bits) \
	{ .number = num, .name = #nm, .need = NEED_##needs, .value = bits, .on_write = COMMAND },
#include "insn/msr.def"
#undef MSR_RW
#undef MSR_FIELD
#undef MSR_FIELDS
#undef MSR_HIDING
#undef MSR_COMMAND
#undef MSR_CONST
#undef MSR_CONSTS
};

/* CPUID bits: SDM vol 2 "CPUID", tables 3-8 to 3-11; APM vol 3 appendix E. */
static bool msr_there(const struct cpu *cpu, unsigned need)
{
	const struct cpu_model *m = cpu->model;

	switch (need) {
	case NEED_LM:
		return m->long_mode;
	case NEED_EFER:
		return m->efer_valid != 0;
	case NEED_SEP:
		return m->sysenter;
	case NEED_RDTSCP:
		return m->rdtscp || model_leaf(m, 7)->ecx >> 22 & 1;
	case NEED_SPEC_CTRL:
		return cpu_is_amd(cpu) ? model_leaf(m, 0x80000008)->ebx >> 14 & 1 : model_leaf(m, 7)->edx >> 26 & 1;
	case NEED_PRED_CMD:
		return cpu_is_amd(cpu) ? model_leaf(m, 0x80000008)->ebx >> 12 & 1 : model_leaf(m, 7)->edx >> 26 & 1;
	case NEED_L1D_FLUSH:
		return model_leaf(m, 7)->edx >> 28 & 1;
	case NEED_ARCH_CAP:
		return model_leaf(m, 7)->edx >> 29 & 1;
	case NEED_TSC_ADJUST:
		return model_leaf(m, 7)->ebx >> 1 & 1;
	case NEED_PAT:
		return model_leaf(m, 1)->edx >> 16 & 1;
	case NEED_MTRR:
		return model_leaf(m, 1)->edx >> 12 & 1;
	case NEED_MCA:
		return model_leaf(m, 1)->edx >> 14 & 1;
	case NEED_INTEL:
		return !cpu_is_amd(cpu);
	case NEED_AMD:
		return cpu_is_amd(cpu);
	}
	return true;
}

static const struct msr *msr_find(const struct cpu *cpu, uint32_t number)
{
	for (unsigned i = 0; i < ARRAY_LEN(msrs); i++)
		if (number - msrs[i].number < MAX(msrs[i].count, 1) && msr_there(cpu, msrs[i].need))
			return &msrs[i];
	return NULL;
}

static bool msr_is_apics(uint32_t number)
{
	return number == MSR_APIC_BASE || number == MSR_TSC_DEADLINE || (number >= 0x800 && number <= 0x8ff);
}

static uint64_t *msr_member(struct cpu *cpu, const struct msr *m, uint32_t number)
{
	return (uint64_t *)((uint8_t *)&cpu->s + m->off) + (number - m->number);
}

static uint64_t msr_hidden(const struct cpu *cpu, const struct msr *m)
{
	return m->hidden ? m->hidden(cpu) : 0;
}

bool msr_read(struct cpu *cpu, uint32_t number, uint64_t *val)
{
	const struct msr *m;

	if (msr_is_apics(number)) {
		stats_enter(&cpu->stats, PHASE_DEVICE);
		return cpu->hooks && cpu->hooks->apic_rdmsr && cpu->hooks->apic_rdmsr(cpu->hooks->opaque, number, val);
	}
	m = msr_find(cpu, number);
	if (!m || m->on_write == COMMAND)
		return false;
	*val = m->read ? m->read(cpu) : m->off ? *msr_member(cpu, m, number) & ~msr_hidden(cpu, m) : m->value;
	return true;
}

/* A write of a register that keeps nothing; false: #GP. */
static bool written_ok(const struct msr *m, uint64_t val)
{
	switch (m->on_write) {
	case ZERO:
		return val == 0;
	case COMMAND:
		return !(val & ~m->value);
	default:
		return m->on_write == IGNORE;
	}
}

bool msr_write(struct cpu *cpu, uint32_t number, uint64_t val)
{
	const struct msr *m;
	uint64_t *to, hidden;

	if (msr_is_apics(number)) {
		stats_enter(&cpu->stats, PHASE_DEVICE);
		if (number == MSR_APIC_BASE) /* moves the APIC's window */
			cpu_fpu_park(cpu);
		return cpu->hooks && cpu->hooks->apic_wrmsr && cpu->hooks->apic_wrmsr(cpu->hooks->opaque, number, val);
	}
	m = msr_find(cpu, number);
	if (!m)
		return false;
	if (m->write)
		return m->write(cpu, val);
	if (!m->off)
		return written_ok(m, val);
	if (!m->check(cpu, val))
		return false;
	to = msr_member(cpu, m, number);
	hidden = msr_hidden(cpu, m);
	*to = (*to & hidden) | (val & ~hidden);
	return true;
}

/* RDMSR came with the Pentium: CPUID.1.EDX[5]. */
static void need_msr_raise(struct cpu *cpu)
{
	if (!(model_leaf(cpu->model, 1)->edx >> 5 & 1))
		raise_ud(cpu);
	need_cpl0_raise(cpu);
}

static noreturn void refuse_raise(struct cpu *cpu, const char *what, uint32_t number, uint64_t val)
{
	cpu_fpu_park(cpu);
	guest_log("%s of MSR %#x (%#llx) refused", what, number, (unsigned long long)val);
	raise_gp0(cpu);
}

void insn_rdmsr(struct cpu *cpu, const struct insn *in)
{
	uint32_t number = (uint32_t)cpu->s.gpr[RCX];
	uint64_t val;

	need_msr_raise(cpu);
	if (!msr_read(cpu, number, &val))
		refuse_raise(cpu, "read", number, 0);
	cpu->s.gpr[RAX] = (uint32_t)val;
	cpu->s.gpr[RDX] = val >> 32;
}

void insn_wrmsr(struct cpu *cpu, const struct insn *in)
{
	uint32_t number = (uint32_t)cpu->s.gpr[RCX];
	uint64_t val = (uint32_t)cpu->s.gpr[RAX] | cpu->s.gpr[RDX] << 32;

	need_msr_raise(cpu);
	if (!msr_write(cpu, number, val))
		refuse_raise(cpu, "write", number, val);
}
