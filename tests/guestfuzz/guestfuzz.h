// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the guest fuzzer's parts: a guest written from random numbers, the machine that runs it, and the tally
 *
 * A guest is written so that it runs on after its faults. Every vector leads to a handler that mostly goes home: it
 * takes the next of FRAMES frames, loads all registers and segments from it, and IRETs to the start of a block of
 * random code.
 *
 *     block (random code, any mode) --exception, interrupt, NMI--> stub of the vector --> home --frame--> block
 *
 * Guest-physical layout, identity-mapped where there is paging, and mapped again elsewhere:
 *   0x1000 GDT | 0x2000 IDT | 0x3000 TSSs and LDT | 0x8000 TSS with its I/O bitmap | 0x10000 page tables
 *   0x20000 stubs, home, frames | 0x30000 stacks of CPL 0 | 0x40000 program | 0x50000 data | 0x60000 stacks
 *   0x70000 rings and lists of devices | 0x100000 more program, for A20
 */
#ifndef GUESTFUZZ_H
#define GUESTFUZZ_H

#include "../fuzz/fuzz.h"
#include "../insn/gen_int.h"
#include "vcpu/vcpu.h"

enum { GDT = 0x1000, IDT = 0x2000, TSS_FAULT = 0x3000, TSS_OLD = 0x3100, TSS_OTHER = 0x3200, LDT = 0x3400,
	TSS = 0x8000, TABLES = 0x10000, STUBS = 0x20000, HOME = 0x22000, FAULT_ENTRY = 0x22100, FRAMES_AT = 0x28000,
	COUNTER = 0x2f000, STACK0 = 0x3e000, PROGRAM = 0x40000, DATA = 0x50000, STACK = 0x68000, LISTS = 0x70000,
	HIGH = 0x100000, REGION = 0x10000 };
#define GUEST_RAM MIB(4)
#define FRAMES 64u
#define FRAME_SIZE 256u
#define BLOCKS 40u

/* What the program runs in; the handlers run at CPL 0 in what it implies. */
enum gmode { M_REAL, M_UNREAL, M_PROT16, M_PROT32, M_PAGED32, M_PAE32, M_LONG64, M_COMPAT32, M_COMPAT16, M_V86,
	M_USER16, M_USER32, M_USERPAE, M_USER64, M_USERCOMPAT, M_COUNT };

struct gmode_facts {
	const char *name;
	uint8_t bits, kbits; /* of the program's code, and of the handlers' */
	uint8_t cpl;
	bool paged, pae, lng, v86;
	uint16_t cs;         /* the program's selector, 0: real mode or V86 */
	uint16_t kcs;
};
extern const struct gmode_facts gmode_facts[M_COUNT];

/* Selectors of the GDT that tables.c makes. */
enum { CS64 = 0x08, CS32 = 0x10, CS16 = 0x18, DS32 = 0x20, CS64U = 0x2b, CS32U = 0x33, CS16U = 0x3b, DS32U = 0x43,
	DS16 = 0x48, DOWN = 0x50, TR = 0x58, GATE = 0x68, LDTR = 0x78, TR_FAULT = 0x88, TR_OLD = 0x98, TASK_GATE = 0xa8,
	CONFORMING = 0xb0, ABSENT = 0xb8, EXEC_ONLY = 0xc0, READ_ONLY = 0xc8, TR_OTHER = 0xd0, DS16U = 0xe3, KCS16 = 0xe8,
	KCS32 = 0xf0, KSS16 = 0xf8, KDS = 0x100, DOWN16 = 0x108, GDT_ENTRIES = 64 };

struct known;
struct guest {
	struct rng r;
	struct gen gen;              /* for encode_bytes and its decoders */
	const struct gmode_facts *m;
	enum gmode mode;
	const struct cpu_model *model;
	uint8_t *ram;
	uint64_t alias;              /* the program's linear address less its physical one */
	uint32_t cs_base, ds_base;
	bool flat;
	unsigned focus;              /* kind of fragment that comes most often, or KINDS */
	const struct known *known;   /* or NULL */
	uint32_t block[BLOCKS];      /* offsets in the program */
};

/* Code under way: at base + at, which must stay below end. */
struct code {
	uint8_t *base;
	uint32_t at, end;
	unsigned bits;
};

/* assemble.c: bytes, and the few instructions that all modes need */
void code_bytes(struct code *c, const void *p, unsigned n);
void code_u(struct code *c, uint64_t v, unsigned size);
#define CODE(c, ...) code_bytes(c, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))
/* Operand-size, address-size prefix where the size (2 or 4) is not the mode's own. */
void code_opsize(struct code *c, unsigned size);
void code_adsize(struct code *c, unsigned size);
void code_set(struct code *c, unsigned reg, uint64_t v);
/* MOV to segment register; clobbers AX. */
void code_set_seg(struct code *c, unsigned seg, uint16_t sel);
void code_out(struct code *c, uint16_t port, uint32_t v, unsigned size);
void code_in(struct code *c, uint16_t port, unsigned size);
/* Store v at DS:[addr]; clobbers EBX, EAX. */
void code_store(struct code *c, uint64_t addr, uint32_t v, unsigned size);
/* JMP or CALL (opcode e9, e8) to an offset of the same code. */
void code_near(struct code *c, uint8_t opcode, uint32_t to);

/* tables.c: descriptor tables, TSSs, page tables, vectors; and the CPU at home's door */
void tables_write(struct guest *g);
void tables_set_cpu(struct guest *g, struct cpu *cpu);
/* handlers.c: stubs of the vectors, home, frames */
void handlers_write(struct guest *g);

/* program.c: blocks of random code */
void program_write(struct guest *g, struct code *c);
/* A number that may mean something: an address in the program's data segment, mostly. */
uint64_t program_value(struct guest *g);
uint16_t program_selector(struct guest *g);
/* Linear address of something, less the base of the program's segments. */
uint64_t program_data(const struct guest *g, uint64_t linear);
uint64_t program_flags(struct guest *g);

/* fragments.c: pieces of programs by kind; private.c and devices.c hold some of them */
enum kind { K_RANDOM, K_SET, K_CONTROL, K_MSR, K_SYSTEM, K_FAR, K_SEGMENT, K_STRING, K_PORT, K_DEVICE, K_DMA,
	K_MODIFY, K_STACK, K_FLOW, K_FLAGS, K_HALT, K_BRIM, K_KNOWN, KINDS };
void fragment(struct guest *g, struct code *c, enum kind k);
extern const char *const fragment_names[KINDS];
void fragment_control(struct guest *g, struct code *c);
void fragment_msr(struct guest *g, struct code *c);
void fragment_system(struct guest *g, struct code *c);
void fragment_far(struct guest *g, struct code *c);
void fragment_segment(struct guest *g, struct code *c);
void fragment_flags(struct guest *g, struct code *c);
void fragment_port(struct guest *g, struct code *c);
void fragment_device(struct guest *g, struct code *c);
void fragment_dma(struct guest *g, struct code *c);
/* One drawn instruction, its bytes whole. */
unsigned fragment_draw(struct guest *g, struct code *c, uint8_t *b);

/* devices.c: chips as the guest finds them. vCPU not running, lock not held. */
void devices_prepare(struct guest *g, struct pc *pc);

/* known.c: what has ended a monitor, or might */
struct known {
	const char *name;
	uint32_t modes; /* bits of enum gmode */
	void (*write)(struct guest *g, struct code *c);
};
extern const struct known known_list[];
extern const unsigned known_count;

/* ops.c: how many helpers there are, and their names */
unsigned ops_count(void);
const char *ops_name(unsigned op);

/* lives.c: run one guest after another on one machine */
struct tally {
	uint64_t cases, lives, ends[16], cpu_us, longest_wait_us;
	uint64_t count[STAT_COUNT], calls[STATS_OPS];
};
struct lives_config {
	uint64_t seed;
	enum gmode mode;
	enum engine_mode engine;
	unsigned ms;     /* of CPU time for all lives of the case */
	unsigned patience; /* seconds of CPU time to answer a stop in */
};
/* Ends the process by abort() when the monitor does what it must not. */
void lives_run(const struct lives_config *cfg, struct tally *t);

#endif
