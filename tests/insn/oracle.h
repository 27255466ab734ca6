// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the instruction oracle's parts: a case, what came of it, and the two machines that run it
 *
 * A case is up to ORACLE_INSNS instructions with all the state they start from. It runs natively in a child process
 * and through the engine, with memory at the same linear addresses, CPL 3 and the same segments; then all that
 * the instructions could change is compared.
 *
 *     gen_case -> struct ocase -> native_run (child process) -> struct ores \
 *                              -> engine_run (step, block)   -> struct ores  > check_compare -> report
 *
 * Linear memory, the rest is a hole:  CODE 2 pages rwx | DATA 3 pages rw | READ 1 page r | STACK 2 pages rw
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <string.h>

#include "base/base.h"
#include "cpu/cpu.h"

#define CODE_AT 0x10000000ull
#define DATA_AT 0x20000000ull
#define READ_AT 0x20004000ull
#define STACK_AT 0x21000000ull
#define CODE_SIZE 0x2000u
#define DATA_SIZE 0x3000u
#define READ_SIZE 0x1000u
#define STACK_SIZE 0x2000u
/* Offsets in the image of all of it. */
#define CODE_OFF 0u
#define DATA_OFF CODE_SIZE
#define READ_OFF (DATA_OFF + DATA_SIZE)
#define STACK_OFF (READ_OFF + READ_SIZE)
#define IMAGE_SIZE (STACK_OFF + STACK_SIZE)

#define ORACLE_ESP_HIGH 0x5a5a0000u /* upper half of ESP with a 16-bit stack */
#define X_SIZE 2816 /* XSAVE area, AMX left out */
#define ORACLE_INSNS 30
#define ORACLE_ROUNDS 100 /* of a loop */
#define ORACLE_MNEMONICS 2048
#define ORACLE_BATCH 64

/* 64-bit; 32-bit flat; 32-bit with segments that are not flat; 16-bit protected mode. */
enum omode { O64, O32, O32S, O16, O_MODES };

/* What an instruction's encoding belongs to, and where memory operands lie: for the count of what has been checked. */
enum ogroup { OG_ONE, OG_X87, OG_0F, OG_0F38, OG_0F3A, OG_VEX, OG_EVEX, OG_UNDEFINED, OG_COUNT };
enum oplace { OP_ALIGNED, OP_UNALIGNED, OP_CROSS, OP_SECOND, OP_FIRST, OP_READ, OP_CODE, OP_STACK, OP_EDGE, OP_HOLE,
	OP_COUNT };

struct ocase {
	uint32_t mode;
	uint32_t off;          /* of the first instruction, in CODE */
	uint32_t len, n;
	uint32_t undef;        /* arithmetic flags that the manual leaves undefined at the end */
	uint32_t places;       /* bits of enum oplace */
	bool over;             /* the stack lies over the code, so what reads flags is not known beforehand */
	bool loop;             /* the last instruction goes back to the first */
	uint32_t skip;         /* bit k: the instruction before k is a Jcc that goes over k */
	uint16_t start[ORACLE_INSNS + 1];
	uint16_t mnemonic[ORACLE_INSNS]; /* Zydis's number */
	uint8_t group[ORACLE_INSNS];
	uint8_t code[ORACLE_INSNS * 15];
	uint64_t gpr[16], rflags, fs_base, gs_base;
	uint32_t poke_off, poke_len; /* bytes of this case's own in the image: frames and far pointers */
	uint8_t poke[40];
	_Alignas(64) uint8_t x[X_SIZE];
};

enum ostatus { OS_NONE, OS_OK, OS_DIED, OS_HUNG, OS_ASTRAY /* at host memory that is not the guest's */,
	OS_OVERWRITTEN /* a later case wrote over the CPU's answer */ };

struct ores {
	uint32_t status;       /* enum ostatus */
	uint32_t vector, error;
	uint64_t cr2;
	uint64_t gpr[16], rip, rflags, fs_base, gs_base;
	uint16_t sel[6];
	_Alignas(64) uint8_t x[X_SIZE];
	uint8_t mem[IMAGE_SIZE];
};

/* Segments of the modes, the same in the child's LDT and the guest's. lim is in bytes. */
struct oseg {
	uint16_t sel;
	uint16_t attr; /* as cpu_seg.attr; 0: null */
	uint32_t base, lim;
};
extern const struct oseg oseg_table[O_MODES][6];
#define OLDT_SIZE 12
extern const struct oseg oseg_ldt[OLDT_SIZE];

/* Memory as a case finds it. */
static inline void ocase_place(const struct ocase *c, uint8_t *image)
{
	must(c->poke_off + c->poke_len <= IMAGE_SIZE && c->off + c->len <= CODE_SIZE);
	memcpy(image + c->poke_off, c->poke, c->poke_len);
	memcpy(image + c->off, c->code, c->len);
}

static inline bool omode64(unsigned mode)
{
	return mode == O64;
}

struct rng {
	uint64_t s;
};
static inline uint64_t rnd(struct rng *r)
{
	/* splitmix64 */
	uint64_t z = (r->s += 0x9e3779b97f4a7c15ull);
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
static inline uint32_t below(struct rng *r, uint32_t n)
{
	return (uint32_t)((rnd(r) >> 32) * n >> 32);
}
static inline bool chance(struct rng *r, unsigned percent)
{
	return below(r, 100) < percent;
}

/* Where the XSAVE components are on this host, and which the oracle uses. */
struct xlayout {
	uint64_t mask;
	uint32_t off[8], size[8];
};
void xlayout_read(struct xlayout *l);

/* gen.c */
struct gen;
/* only: NULL, or the one mnemonic to generate; segments: also code that is not 64-bit, and whatever looks at a
 * descriptor. */
struct gen *gen_new(const struct xlayout *l, const char *only, bool segments);
void gen_free(struct gen *g);
/* Begin the walk of every opcode map somewhere. */
void gen_seek(struct gen *g, struct rng *r);
/* Fill image and c; insns: how many at most. */
void gen_image(struct rng *r, uint8_t *image);
void gen_case(struct gen *g, struct rng *r, const uint8_t *image, unsigned insns, struct ocase *c);
/* Has the case made one of its instructions, by writing over it, one that cannot be compared? mem: as it is
 * afterwards. */
bool gen_turned(const struct gen *g, const struct ocase *oc, const uint8_t *mem);
/* c->undef anew, if undef are undefined before; false if an instruction reads flags that are undefined. */
bool gen_reckon_undefined(const struct gen *g, struct ocase *c, uint32_t undef);

/* fill.c */
/* A selector, mostly one that can be loaded. */
uint16_t fill_selector(struct rng *r);
void fill_state(struct rng *r, const struct xlayout *l, struct ocase *c);

/* native.c */
struct native;
/* Has the host what the oracle needs? */
bool native_possible(void);
/* Does it run code that is not 64-bit, and load segments of an LDT? */
bool native_segments(void);
/* The one CPU that the child runs on. */
unsigned native_cpu(void);
struct native *native_new(const struct xlayout *l);
void native_free(struct native *n);
/* Where cases, their memory and their results go; shared with the child. */
struct ocase *native_cases(struct native *n);
uint8_t *native_image(struct native *n);
const struct ores *native_results(struct native *n);
void native_run(struct native *n, unsigned count);

/* engine.c */
struct engine;
struct engine *engine_new(const struct xlayout *l);
void engine_free(struct engine *e);
void engine_run(struct engine *e, const struct ocase *c, const uint8_t *image, bool step, struct ores *r);
/* Map code again: for 64-bit code so far up (amid a slot of windows: mmu/window.c), and further by that; for 32-bit
 * code further by that. */
#define ENGINE_AGAIN 0x7e8000000000ull
#define ENGINE_FURTHER 0x140000000ull
#define ENGINE_FURTHER32 0x80000000ull
void engine_map_again(struct engine *e);
/* c is in memory, and its first instruction the next, at up. What was translated is gone. */
struct xlate *engine_load(struct engine *e, const struct ocase *c, const uint8_t *image, uint64_t up);

/* check.c: NULL if equal, else what differs in one word */
const char *check_compare(const struct ocase *c, const struct xlayout *l, const struct ores *native,
	const struct ores *engine, bool step);
void check_print(const struct ocase *c, const struct xlayout *l, const uint8_t *image, const struct ores *native,
	const struct ores *engine);
/* Zydis: mnemonic of instruction i, for counting. */
const char *check_mnemonic(const struct ocase *c, unsigned i);
/* Instruction that lies at rip, or n. */
unsigned check_insn_at(const struct ocase *c, uint64_t rip);

#endif
