// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the translator's own structures: blocks, exits, sites, the cache and the translation under way */
#ifndef XLATE_XLATE_INT_H
#define XLATE_XLATE_INT_H

#include "base/lock.h"
#include "mem/coherence.h"
#include "mem/mem.h"
#include "mmu/mmu.h"
#include "xlate/decode.h"
#include "xlate/emit.h"
#include "xlate/key.h"
#include "xlate/xcpu.h"
#include "xlate/xlate.h"

/* Order of cpu->thunk[]. */
enum xlate_thunk { XT_EXIT_DIRECT, XT_EXIT_INDIRECT, XT_EXIT_PAGE, XT_EXIT_RETURN, XT_HELPER, XT_SLOW, XT_SEGMENT,
	XT_COMMIT, XT_PUSHED, XT_SLOT_OFTEN, XT_LEAVE, XT_NEAR, XT_KEPT = XT_NEAR + 6 };

/* cpu->tmp[] that holds the host offset at which a computed jump left, 0: left another way; of a CALL with what it has
 * pushed, in pairs of bytes, above that. */
#define TMP_LEFT_AT 3
#define LEFT_AT_BITS 28

#define BLOCK_MAX_INSNS 48
#define BLOCK_MAX_EXITS 12
/* What a block may have of cold stubs, map entries, and host bytes, hot and cold: bound.c sees that it has not more. */
#define BLOCK_MAX_SITES 192
#define BLOCK_MAX_MAP 384
#define BLOCK_ROOM (32u << 10)
#define STACK_RUN_MAX 8
/* What is translated stays in the host's memory: the first size of the code cache and its tables keeps a machine at
 * its login prompt below 96 MiB beyond its RAM; CODE_SIZE is what it may grow to (grow.c). */
#define CODE_SIZE_FIRST (38u << 20)
#define TABLES_SIZE_FIRST (40u << 20)
#define CODE_SIZE (4 * CODE_SIZE_FIRST)
_Static_assert(CODE_SIZE <= 1u << LEFT_AT_BITS, "TMP_LEFT_AT");
/* Buffers for single steps, one for each vCPU, at the end. */
#define STEP_SIZE (16u << 10)
#define STEPS_SIZE (MEM_MEMBERS_MAX * STEP_SIZE)
/* Tables of one block, or of a single step. */
#define TABLES_ROOM 65536u
/* What is seldom executed, miss and exit stubs, lies apart from the rest: dense code is what the host's caches hold
 * most of. It gets chunks from the top down, the rest grows from the bottom up. */
#define COLD_CHUNK (512u << 10)
_Static_assert(STEPS_SIZE % COLD_CHUNK == 0, "cold_order()");

/* A way out of a block to a known RIP: the displacement of a jump, or of the LEA of a return, to its stub until it is
 * linked. */
struct xexit {
	struct block *from;
	struct block *to;         /* linked to, or NULL */
	struct xexit *next_in;    /* others linked to the same block */
	uint64_t target;          /* guest RIP */
	uint32_t ks;              /* of its target */
	uint32_t disp_off;        /* where the displacement is, in the code cache */
	uint32_t stub_off;        /* what it points to while unlinked */
	uint32_t poll_off;        /* safe point before the jump, 0: none */
	bool returns;             /* where the RET of a call goes on: comes with its RIP in S0 */
	bool near;                /* the target lies on the page of the jump */
	bool linkable;            /* may be chained */
};

/* Host offset (from the block's start; cold code is further up) at which code for a guest instruction begins, or for an
 * access of it that has its bias elsewhere than the one before. */
struct xmap {
	uint32_t host;
	uint16_t guest : 12, len : 4; /* the instruction, from the block's rip on */
	uint16_t bias : 5;            /* S1 or S2 if that holds the bias of an access in a window, else 0 */
	uint16_t x87_op : 11;         /* opcode of an x87 instruction (x87.c) */
};
_Static_assert(sizeof(struct xmap) == 8 && BLOCK_MAX_INSNS * 15 < 1 << 12, "struct xmap");

/* What a move of the block to another address has to repair, at off from its entry, or from its cold code (move.c). */
enum move {
	MOVE_RIP,    /* 8 bytes that go with RIP, or 4 */
	MOVE_RIP32,
	MOVE_SITE,   /* a pointer to a struct xsite of its own */
	MOVE_HERE,   /* 4 bytes, an offset of its own in the code cache */
	MOVE_ACROSS, /* displacement from hot to cold code or back */
};
struct xmove {
	uint32_t kind : 3, cold : 1, off : 28;
};
#define MOVES_MAX 256

struct block {
	/* what the look-up reads, in one line of the host's cache */
	uint64_t rip;             /* guest RIP of the first instruction */
	struct block *next_hash;
	const uint8_t *host[2];   /* host address of the page it starts on, and of the second one if it crosses */
	uint32_t page_off;        /* of the first byte in its page */
	uint32_t ks;
	uint32_t entry_off;       /* in the code cache, like all offsets */
	uint32_t gate_off, checked_off; /* gates (link.c), 0: none yet */
	uint8_t away;             /* how far into the checked gate it leads away */
	uint16_t live[2];         /* numbers of its pages (live.c), 0: CS is not flat, or no second page */
	uint32_t cs_limit;        /* checked unless CS is flat */
	uint64_t cs_base;
	uint64_t ram[2];          /* RAM offsets of the pages it lies on, UINT64_MAX: not RAM */
	struct block *next_page[2];
	struct xexit *in;         /* exits linked to this block */
	struct xexit *exits;
	struct xmap *map;
	const struct xmove *moves;
	uint32_t host_off, host_len;
	uint32_t cold_off, cold_len;
	uint16_t guest_len, nexits, nmap, ninsns, nmoves;
	bool dead;
	bool movable;             /* may be copied to another address */
	bool window;              /* translated for KEY_WINDOW */
};

/* What a helper call site knows: allocated with its block. */
struct xsite {
	struct insn in;
	uint64_t rip;
	bool ends; /* nothing follows in the block: always leave */
};

/* The gate that a new block is made with (link.c). */
enum gate { GATE_NONE, GATE_PAGE, GATE_CHECKED };

struct code_page {
	struct block *list;
	uint64_t granules; /* 64-byte pieces of the page that hold code */
	bool marked;       /* by this translator; other threads look */
};

/* A compiler's run makes 300,000 blocks. */
#define HASH_BITS 19
#define OFFER_BITS 17
/* Of the samples of blocks that grow.c keeps. */
#define KNOWN_BITS 20

/* Firmware, boot loaders and kernels' decompressors run below, kernels above. */
#define LOADER_END (1ull << 31)
/* One near miss in so many is looked at; it is dear if they came less than so many TSC ticks apart. */
#define NEAR_BUDGET 1024u
#define NEAR_DENSE 300u
#define SLOT_DENSE 10000u
#define FAR_BITS 65536u

/* A linear page of code and the host page behind it (live.c). */
struct vpage {
	gla_t gla;
	const uint8_t *host;
	uint16_t next; /* of its hash chain */
	bool user;
};

/* Numbers of pages whose bytes were set. */
struct live_log {
	unsigned n;
	uint16_t id[4096];
};

/* The code cache and its directory. The vCPUs of a machine have one together: what it holds changes under its lock
 * only (share.c). */
struct cache {
	struct lock lock;
	struct xlate *user[MEM_MEMBERS_MAX];
	unsigned nusers;
	bool shared;                  /* more than one is to come */
	struct xlate *flusher;        /* waits for the others to leave, or NULL */
	uint64_t flushes;
	uint8_t *rw, *rx;             /* the code cache, mapped twice: writable here, executable there */
	int fd;
	int perf_fd;                  /* /tmp/perf-PID.map, -1: none */
	uint32_t used, cold_used;     /* where the next block's code goes */
	uint32_t cold_base, cold_end; /* of the chunk in use */
	uint32_t code_size;           /* of the cache, CODE_SIZE at most */
	struct block **hash;
	struct block **by_host;       /* blocks in order of host_off */
	struct block **offers;        /* hashed by page and offset: the last block of some code (move.c) */
	uint32_t nblocks, cap_blocks;
	struct code_page *pages;      /* by RAM page */
	uint64_t npages;
	uint8_t *arena;               /* blocks, exits, maps, sites: freed together on a flush */
	size_t arena_used;
	uint32_t keys[KS_COUNT];
	unsigned nflat, nother;       /* keyspaces in use from 0 on, and from KS_FLAT on */
	struct vpage *vpages;         /* by number, VPAGES of them, nvpages used */
	unsigned nvpages;
	uint16_t vpage_hash[4096];    /* by linear address */
	uint64_t far[FAR_BITS / 64];  /* hashed: instructions that do not try the near entry */
	uint8_t window_not[4096];     /* hashed: how often an instruction met what windows do not answer */
	bool flush_wanted;
	bool exact_flags;             /* xlate_exact_flags() */
	/* grow.c's: blocks since the last flush, and before it */
	uint64_t known[1u << KNOWN_BITS >> 6], known_before[1u << KNOWN_BITS >> 6];
	uint32_t noted, noted_again;
};

/* One vCPU's translator. */
struct xlate {
	struct cpu *cpu;
	struct mem *mem;
	struct cache *c;
	unsigned number;              /* of the cache's users */
	bool locked;                  /* holds the cache's lock */
	bool inside;                  /* runs, or is about to run, translated code */
	uint64_t seen;                /* flushes that the CPU's keyspace is of */
	uint64_t marked[2];           /* pages marked for the last translation, nmarked of them */
	unsigned nmarked;
	uint64_t nowhere;             /* cpu->minus of a page that is not live */
	struct live_log live_log[MMU_CTX + 1]; /* of each context, and of global pages */
	const void *jc_empty;
	uint64_t near_looked;         /* host TSC at the last look for instructions that miss their near entry */
	/* set by the signal handler */
	bool sig_event;
	uint8_t sig_vector;
	uint32_t sig_error;
	bool sig_retry;               /* a fault that the strict translation of one instruction has to confirm */
	uint64_t sig_window;          /* 0, or where code for windows was when windows had no answer */
	uint64_t sig_probe;           /* 0, or where to go on after a fault that is there to be timed */
	struct block step_block;      /* the block in the step buffer */
	uint8_t *step_tables;         /* what describes it */
	size_t step_used;
	bool crc32, bmi2;             /* host has SSE4.2, BMI2 */
	bool stepping;                /* leave after one instruction, whatever it is */
	struct tr *tr;
	struct dec_isa isa;           /* of the CPU's model */
	struct shapes *shapes;        /* of the instructions decoded so far (shape.c) */
	uint16_t step_op;             /* helper of the last single step, OP_COUNT if none */
};

/* Near entries beside those of the 16 base registers. */
enum { NEAR_ABS = 16, NEAR_FS, NEAR_GS };

/* Access descriptor passed to slow thunks. */
#define DESC_SIZE 0x1fff
#define DESC_WRITE (1u << 13)
#define DESC_LOAD (1u << 14)
#define DESC_SS (1u << 15)
#define DESC_SEG_SHIFT 16 /* 3 bits */
#define DESC_K_SHIFT 19   /* 3 bits: opmask of a masked load, 0: none */
#define DESC_ELEM_SHIFT 22 /* 3 bits: log2 of its element size; with DESC_ANY: of the number of mask bits */
#define DESC_ALIGNED (1u << 25)
#define DESC_WAITS (1u << 26)
#define DESC_ANY (1u << 27)
#define DESC_LOCK (1u << 30) /* read and written as one */
#define DESC_TUPLE_SHIFT 28 /* 2 bits, with DESC_ANY: log2 of the elements in memory */

/* A memory operand of the guest's: [base + index * scale + disp], in a segment, with addresses of adsize bytes; the
 * fields are those of struct insn. */
struct guest_mem {
	uint8_t seg, base, index, scale, adsize;
	int64_t disp;
};

/* Where the host finds it: [base + index * scale + disp], without a base where that is H_NONE. In 64-bit code for
 * windows S1 or S2 is the index, with a bias, and scale 0, as 1. */
struct host_mem {
	unsigned base, index;
	int32_t disp;
	uint8_t scale;
	bool low; /* 32-bit code for windows: the address has 32 bits, the host's GS base is added */
};

struct tr;
/* Emits what instruction d does with the operand at m, once it may. */
typedef void body_fn(struct tr *t, const struct dec *d, const struct host_mem *m);

/* An access of the current instruction to memory. The hot path is made from it, and the cold stub is, later. */
struct access {
	struct guest_mem at;
	uint16_t size;    /* bytes */
	bool load, store;
	uint8_t more;     /* instructions that it is for too: the rest of a run of pushes or pops */
	body_fn *body;    /* emitted behind the check, and again in the cold stub of a store */
};

/* A deferred cold stub: what happens if a jump of the hot path is taken. */
enum cold_kind { COLD_MISS, COLD_RUN, COLD_VECTOR, COLD_SEGMENT, COLD_SLOT, COLD_HELPER, COLD_LOAD_SEG };
struct cold {
	uint8_t kind;
	bool flags_saved;
	uint8_t insn;     /* index into tr->dec */
	uint8_t near;     /* index of the near entry (COLD_SLOT: of wnear), or NEAR_SIZE: none was tried */
	uint8_t bias;     /* COLD_SLOT: the register for it; and that of the address */
	uint8_t address;
	struct access a;  /* of the kinds up to COLD_SEGMENT: what cannot be done in the hot path */
	uint8_t *jump;    /* displacement to patch */
	uint8_t *checked; /* where the hot path goes on with a pointer in S0, flags not yet back */
	uint8_t *resume;  /* where it goes on after all that the stub did */
};

/* What a scratch register holds (homed.c): a homed guest register (10, 11, 14, 15), or nothing, or in S1 or S2 a
 * bias: that of base register k, or of a slot of known addresses. */
enum { SCRATCHES = 3, HOLDS_NOTHING = 0xff, HOLDS_BIAS = 0x100, HOLDS_SLOT = 0x200 };
struct scratch {
	uint16_t holds;
	bool dirty;   /* and its home does not know yet */
	uint8_t used; /* instruction that used it last */
};

/* The most that an instruction may take, or what is left of a block (bound.c). */
struct bound {
	uint16_t hot, cold; /* bytes of host code */
	uint16_t map;
	uint8_t stubs, exits;
};

/* A translation under way. */
struct tr {
	struct xlate *x;
	struct cpu *cpu;
	struct block *b;
	struct emit e;
	/* of the current instruction: what is being emitted, hot or cold, is its (xlate_block_begin_insn) */
	uint32_t key, ks;
	uint64_t rip;
	unsigned i;            /* its index */
	unsigned n;
	bool step;             /* one instruction into the step buffer: strict flags, nothing linked */
	uint32_t live[BLOCK_MAX_INSNS + 1]; /* needed before instruction i */
	struct dec dec[BLOCK_MAX_INSNS];
	uint64_t rips[BLOCK_MAX_INSNS + 1];
	uint32_t keys[BLOCK_MAX_INSNS + 1]; /* before instruction i */
	struct cold cold[BLOCK_MAX_SITES];
	unsigned ncold;
	struct xexit exits[BLOCK_MAX_EXITS];
	unsigned nexits;
	struct xmap map[BLOCK_MAX_MAP];
	unsigned nmap;
	struct xmove moves[MOVES_MAX];
	unsigned nmoves;
	struct bound room;
	bool movable;
	bool loops;            /* the block jumps backwards: what it does is done often */
	struct scratch scratch[SCRATCHES]; /* S0, S1, S2 */
	/* windowed.c: base registers whose bias is in struct cpu at bias_at; by how many bytes they were moved since */
	uint32_t bias_known;
	uint32_t bias_at[NEAR_SIZE];
	int64_t moved[NEAR_SIZE];
};

/* So much is copied ahead at a time, and so much is there for the decoder unless the page ends. */
#define FETCH_PIECE 64u
#define FETCH_AHEAD 32u

/* Guest code from RIP on, as far as one page goes, or two for a crossing instruction: a copy of its bytes (find.c). */
struct fetch {
	const uint8_t *host[2]; /* of the pages; [1] only if the first instruction crosses */
	uint32_t page_off;
	uint64_t ram[2];
	unsigned len;           /* bytes there are */
	unsigned have;          /* of them in copy */
	uint8_t copy[BLOCK_MAX_INSNS * 15 + FETCH_AHEAD + FETCH_PIECE];
	bool crosses, cacheable;
	bool kept;              /* what is made of it stays: its pages are marked */
};

/* find.c: the block for the CPU's state, if it exists and its pages are known to be executable; else NULL. CS flat. */
struct block *xlate_find_known(struct xlate *x);
/* The block for the CPU's state, made if need be; raises guest exceptions of the fetch; FPU parked if made. */
struct block *xlate_find_block(struct xlate *x, enum gate want);
/* Find the page at s.rip. */
void xlate_find_fetch(struct xlate *x, struct fetch *f);
/* What follows is for a block that is to be kept; the bytes at off are wanted next; the first instruction crosses into
 * the next page: append it. FPU parked. */
void xlate_find_keep(struct xlate *x, struct fetch *f);
void xlate_find_more(struct fetch *f, unsigned off);
void xlate_find_second(struct xlate *x, struct fetch *f);

/* block.c, FPU parked by it */
struct block *xlate_block_translate(struct xlate *x, struct fetch *f, enum gate want);
struct block *xlate_block_step(struct xlate *x);

/* A near branch at rip has led nowhere: put its stack pointer back and raise its #GP(0). pushed: bytes of a CALL's
 * return address, which may lie over the CALL by now; 0: it is none. */
noreturn void xlate_block_bad_target_raise(struct xlate *x, uint64_t rip, unsigned pushed);

/* xlate.c: what host code at host_pc, of b, belongs to. */
const struct xmap *xlate_map_at(const struct xlate *x, const struct block *b, uint64_t host_pc);
uint64_t xlate_guest_rip(struct xlate *x, uint64_t host_pc); /* 0 if host_pc is not translated code */

/* x87.c: d is done: if it is an x87 instruction, it is the last; its opcode, 0: it is none. */
void xlate_x87_note(struct tr *t, const struct dec *d);
unsigned xlate_x87_opcode(const struct dec *d);
/* Bring s.x87_* up to date, before what cpu->x87_at names goes. */
void xlate_x87_settle(struct cpu *cpu);

/* perfmap.c */
void xlate_perfmap_block(struct xlate *x, const struct block *b);
/* The cache is empty, no translated code is on any stack. Moves x->c->rx. */
void xlate_perfmap_flushed(struct xlate *x);

/* grow.c: a block was translated; the cache is full and about to be flushed; what its tables may take. */
void xlate_grow_note(struct xlate *x, const struct block *b);
void xlate_grow_full(struct xlate *x);
size_t xlate_grow_tables(const struct xlate *x);

/* share.c: the cache's lock; false: it was held by this translator already. Waits away (mem/coherence.h C5), and while
 * another translator flushes. */
bool xlate_lock(struct xlate *x);
void xlate_unlock(struct xlate *x);
/* Lock held: translated code may be entered, until xlate_outside(). */
void xlate_inside(struct xlate *x);
void xlate_outside(struct xlate *x);
/* Lock held, outside: the others leave translated code and stand still; and go on. */
void xlate_stop_others(struct xlate *x);
void xlate_resume_others(struct xlate *x);

/* cache.c */
void *xlate_cache_alloc(struct xlate *x, size_t size);
/* Have room for another block, whatever is in it, if need be by a flush. */
void xlate_cache_make_room(struct xlate *x);
/* All code goes; nothing points to it. */
void xlate_cache_begin(struct xlate *x);
/* The RAM page at off is about to hold translated code: nobody writes to it without telling from now on. FPU parked. */
void xlate_cache_mark(struct xlate *x, uint64_t off);
void xlate_cache_publish(struct xlate *x, struct block *b);
struct block *xlate_cache_at(struct xlate *x, uint64_t host_pc);
void xlate_cache_kill(struct xlate *x, struct block *b);
void xlate_cache_flush(struct xlate *x);
/* After a flush: cpu->key and cpu->ks anew. */
void xlate_cache_refresh_key(struct xlate *x);
void xlate_cache_written(struct xlate *x, uint64_t off, uint64_t len);
uint32_t xlate_cache_hash(uint64_t rip, uint32_t ks);
uint32_t xlate_keyspace(struct xlate *x, uint32_t key);

/* An instruction that meets so often what windows do not answer goes through the TLB for good. */
#define WINDOW_NOT_MAX 8
static inline uint32_t xlate_window_at(uint64_t rip)
{
	return (uint32_t)(rip * 0x9e3779b97f4a7c15ull >> 52);
}

/* Window or not: a page or a slot that changes often are two things. */
static inline uint32_t xlate_far_bit(uint64_t rip, bool window)
{
	return (uint32_t)((rip + window) * 0x9e3779b97f4a7c15ull >> 32) % FAR_BITS;
}

/* live.c: the number of a page, made if need be */
uint16_t xlate_live_number(struct xlate *x, gla_t gla, const uint8_t *host, bool user);
/* No room for the numbers of another block: flush the cache. */
bool xlate_live_full(const struct xlate *x);
/* The current address space has page id, and may execute it. */
void xlate_live_set(struct xlate *x, uint16_t id);
/* No page is live nor has a number: the first time, and again. */
void xlate_live_begin(struct xlate *x);
void xlate_live_reset(struct xlate *x);
void xlate_live_flushed(struct cpu *cpu, enum mmu_flush scope, gla_t gla);

/* link.c: emit the gate; the block's entry is to follow */
void xlate_gate_checked(struct xlate *x, struct emit *e, struct block *b);
void xlate_gate_page(struct xlate *x, struct emit *e, struct block *b);
void xlate_link_chain(struct xlate *x, struct xexit *ex, struct block *to);
void xlate_link_unchain(struct xlate *x, struct xexit *ex);
void xlate_link_jc_fill(struct xlate *x, struct block *b);
/* Nobody gets to b through a jump or return cache any more. */
void xlate_link_drop(struct xlate *x, struct block *b);
/* Empty the jump cache and the return cache of a keyspace. */
void xlate_link_clear(struct xlate *x, uint32_t ks);
_Static_assert(JC_BITS == 16, "control.c takes the low word of the sum");
static inline unsigned xlate_jc_slot(const struct xlate *x, uint64_t rip)
{
	uint64_t sum = 0;
	if (!x->crc32)
		return rip & 0xff;
	__asm__("crc32q %1, %0" : "+r"(sum) : "r"(rip));
	return sum & (JC_SIZE - 1);
}

static inline unsigned xlate_rc_slot(const struct xlate *x, uint64_t rip)
{
	return rip & (x->bmi2 ? RC_SIZE - 1 : 0xff);
}

/* lower.c: memory operands */
/* The one of d. */
struct guest_mem xlate_lower_operand(const struct dec *d);
/* All checks of a, its body behind them, and a note of the cold stub. */
void xlate_lower_access(struct tr *t, const struct access *a);
/* The same of a load of size bytes from the operand of d. */
void xlate_lower_read(struct tr *t, const struct dec *d, unsigned size, body_fn *body);
/* The same of a, through the TLB, if S0 holds the effective address already. */
void xlate_lower_checked(struct tr *t, const struct access *a);
/* A host instruction on m, more bytes further up: as emit_op_mem. */
void xlate_lower_op(struct tr *t, const struct host_mem *m, unsigned width, unsigned opcode, unsigned reg,
	int32_t more);
/* Prefixes of an instruction on m, first of all. */
void xlate_lower_prefix(struct tr *t, const struct host_mem *m);
/* dst = what is at m, zero-extended. */
void xlate_lower_load(struct tr *t, const struct host_mem *m, unsigned width, unsigned dst);
/* The register that m is mostly made from, or NEAR_FS, NEAR_GS or NEAR_ABS: selects the near entry. */
unsigned xlate_lower_base(const struct guest_mem *m);
/* Effective address (segment offset) of m into S0; S1 is scratch. */
void xlate_lower_ea(struct tr *t, const struct guest_mem *m);
/* The same into host register dst, width 4 or 8: its low bytes, zero-extended. S0 and S1 are scratch. */
void xlate_lower_ea_to(struct tr *t, const struct guest_mem *m, unsigned dst, unsigned width);
/* Is the effective address a constant? */
bool xlate_lower_fixed(const struct tr *t, const struct guest_mem *m, uint64_t *ea);
/* Host code from here on belongs to the current instruction. */
void xlate_lower_map(struct tr *t);
void xlate_lower_cold(struct tr *t);
/* Host register that holds guest register g, loading a homed one into scratch. */
unsigned xlate_lower_reg(struct tr *t, unsigned g, unsigned scratch);
bool xlate_lower_homed(unsigned g);
unsigned xlate_lower_host(unsigned g);
/* saved: flags are in AX where the stub begins. Its jump and resume are for the caller to fill. */
struct cold *xlate_lower_new_cold(struct tr *t, enum cold_kind kind, bool saved);
uint32_t xlate_lower_seg_base(unsigned seg);

/* Has the instruction missed its near entry often? */
bool xlate_lower_far(const struct tr *t);

/* windowed.c: *m = what a reaches, in a window: false if it is not for windows. S0, S1 clobbered, flags kept unless
 * nobody needs them. */
bool xlate_window_operand(struct tr *t, const struct access *a, struct host_mem *m);
/* Does d leave register k (or NEAR_FS, NEAR_GS) as it is but for adding *by? No in doubt. */
bool xlate_window_adds(const struct dec *d, unsigned k, int64_t *by);
/* What instruction d has done to base registers; an access through the TLB, which may have called C. */
void xlate_window_passed(struct tr *t, const struct dec *d);
void xlate_window_forget(struct tr *t);
void xlate_window_slot_stub(struct tr *t, const struct cold *c);

/* The bias of base register k is about to leave host register: to where the next access finds it, if there is one. */
void xlate_window_keep(struct tr *t, unsigned k, unsigned host);

/* bound.c: an empty block; does d, the next instruction, still fit? */
void xlate_bound_begin(struct tr *t);
bool xlate_bound_take(struct tr *t, const struct dec *d);
/* Instructions first to end - 1 have taken so many bytes of hot code; the block is complete. */
void xlate_bound_check(const struct tr *t, unsigned first, unsigned end, uint32_t hot);
void xlate_bound_check_block(const struct tr *t);

/* homed.c: what scratch registers hold */
/* Nothing is held. */
void xlate_homed_begin(struct tr *t);
/* Guest registers go home, and may stay; everything goes. */
void xlate_homed_flush(struct tr *t);
void xlate_homed_forget(struct tr *t);
/* Host scratch register is about to be written. */
void xlate_homed_take(struct tr *t, unsigned host);
/* The scratch register that holds it, or H_NONE. */
unsigned xlate_homed_find(struct tr *t, unsigned what);
/* It holds this now, no other does. dirty: newer than in struct cpu. */
void xlate_homed_holds(struct tr *t, unsigned host, unsigned what, bool dirty);
bool xlate_homed_idle(const struct tr *t, unsigned host);
/* A scratch register that is not among the host registers in the bits of used, taken; those of m. */
unsigned xlate_homed_free(struct tr *t, uint32_t used);
uint32_t xlate_homed_used(const struct host_mem *m);
/* Do scratch registers, and biases in struct cpu, hold what they did behind d? Not where d may call C. */
bool xlate_homed_through(const struct dec *d);
/* Around each instruction. */
void xlate_homed_before(struct tr *t, const struct dec *d);
void xlate_homed_after(struct tr *t, const struct dec *d);

/* system.c: d, the next instruction, was decoded as a helper's: may it be DC_SYSTEM? t->key becomes that behind it. */
void xlate_system_choose(struct tr *t, struct dec *d);
/* t->key and t->ks = those of instruction i. */
void xlate_system_mode(struct tr *t, unsigned i);
void xlate_system(struct tr *t, const struct dec *d);
void xlate_system_stub(struct tr *t, const struct cold *c);
/* The helper does the current instruction if struct cpu has a bit of mask at off. */
void xlate_system_unless(struct tr *t, uint32_t off, uint32_t mask);

/* movs.c: may d, decoded as a helper's, be DC_STRING? Does it access memory through register k alone, and which ones
 * does it add opsize to? */
bool xlate_movs_does(const struct dec *d);
bool xlate_movs_goes_by(const struct dec *d, unsigned k);
uint16_t xlate_movs_advances(const struct dec *d);
void xlate_movs(struct tr *t, const struct dec *d);

/* move.c: a translation begins, an instruction was decoded; it is complete, and published */
void xlate_move_begin(struct tr *t);
void xlate_move_decoded(struct tr *t, const struct dec *d);
void xlate_move_end(struct tr *t);
void xlate_move_offer(struct xlate *x, struct block *b);
/* b is dead: what is found for its code from now on is made anew. */
void xlate_move_drop(struct xlate *x, const struct block *b);
/* A block for the code at b, whose identity is set, or NULL; b made from it, from the entry to the exit stubs. FPU
 * parked. */
const struct block *xlate_move_find(struct xlate *x, const struct block *b);
void xlate_move(struct xlate *x, struct block *b, const struct block *from, struct emit *e);
/* Host reg = a value that goes with RIP; a helper's site; where this is in the code cache. What was just emitted ends
 * in such a value of 32-bit code. */
void xlate_move_rip(struct tr *t, unsigned reg, uint64_t val);
void xlate_move_imm32(struct tr *t);
/* Something else depends on RIP. */
void xlate_move_never(struct tr *t);
void xlate_move_site(struct tr *t, unsigned reg, const struct xsite *site);
void xlate_move_here(struct tr *t, unsigned reg);
void xlate_move_at(struct tr *t); /* the same of an offset that was just emitted */
/* emit_patch and emit_jcc_to between hot and cold code, or within either. */
void xlate_move_patch(struct tr *t, uint8_t *disp, const uint8_t *target);
void xlate_move_jcc_to(struct tr *t, int cc, const uint8_t *target);

/* copy.c: the same instruction with mapped registers; m: its memory operand, or NULL. A body, too. */
body_fn xlate_copy;

/* block.c: what is emitted next is instruction i, hot or cold: the place in the block, and what is held before it. */
void xlate_block_begin_insn(struct tr *t, unsigned i);
/* Does control never go on behind d? */
bool xlate_block_ends(const struct dec *d);
/* Lower the current instruction, alone. */
void xlate_block_lower(struct tr *t);

/* stack.c, control.c: instructions with a lowering of their own; and calls of helpers */
void xlate_insn_push(struct tr *t, const struct dec *d);
void xlate_insn_pop(struct tr *t, const struct dec *d);
/* A run of pushes, or of pops and a RET, from the current instruction on: how many it did, 0 if there is no run. */
unsigned xlate_insn_stack_run(struct tr *t);
void xlate_insn_leave(struct tr *t, const struct dec *d);
void xlate_insn_lea(struct tr *t, const struct dec *d);
void xlate_insn_bt(struct tr *t, const struct dec *d);
void xlate_insn_helper(struct tr *t, const struct dec *d);
void xlate_insn_ret(struct tr *t, const struct dec *d);
void xlate_insn_call(struct tr *t, const struct dec *d);
void xlate_insn_jmp(struct tr *t, const struct dec *d);
void xlate_insn_jcc(struct tr *t, const struct dec *d);
void xlate_insn_loop(struct tr *t, const struct dec *d);
/* Leave for the RIP in S0 that a RET has popped, or for a known one. */
void xlate_exit_return_to(struct tr *t);
void xlate_exit_to(struct tr *t, uint64_t target);
/* Move the stack pointer by n, in its address size. Clobbers S1. */
void xlate_stack_add(struct tr *t, int32_t n);
/* Access size bytes of what d pushes, opsize below the stack pointer, or pops. The pointer is the body's to move. */
void xlate_stack_push(struct tr *t, const struct dec *d, unsigned size, body_fn *body);
void xlate_stack_pop(struct tr *t, const struct dec *d, unsigned size, body_fn *body);
/* A body: cpu->tmp[0] = what is at m, opsize bytes. And back: m = as much of it. */
body_fn xlate_stack_to_tmp;
void xlate_stack_from_tmp(struct tr *t, const struct host_mem *m, unsigned width);
/* Store imm to m, more bytes further up. */
void xlate_stack_imm(struct tr *t, const struct host_mem *m, unsigned width, uint64_t imm, int32_t more);

/* xlate.c: make the CPU call this translator; tell its stats where translated code is */
void xlate_attach(struct xlate *x);
void xlate_stats_code(struct xlate *x);

/* entry.S */
void *xlate_enter(struct cpu *cpu, const void *code);
void xlate_exit_direct(void);
void xlate_exit_indirect(void);
void xlate_exit_page(void);
void xlate_exit_return(void);
void xlate_jc_empty(void);
void xlate_leave(void);
void xlate_thunk_helper(void);
void xlate_thunk_slow(void);
void xlate_thunk_segment(void);
void xlate_thunk_commit(void);
void xlate_thunk_pushed(void);
void xlate_thunk_slot_often(void);
/* by view and direction */
void xlate_near_0(void);
void xlate_near_1(void);
void xlate_near_2(void);
void xlate_near_3(void);
void xlate_near_4(void);
void xlate_near_5(void);
void xlate_kept_es(void);
void xlate_kept_ds(void);
void xlate_kept_fs(void);
void xlate_kept_gs(void);
void xlate_gates_end(void);
/* called from it */
/* NULL: go on behind the call; else where to: a checked entry (S0 = RIP), or xlate_leave. */
/* A jump cache did not hold s.rip: the entry that does, or xlate_leave. */
const void *xlate_dispatch(struct cpu *cpu);
/* The same when a page was not live, not the jump cache's fault. */
const void *xlate_dispatch_page(struct cpu *cpu);
/* A RET came to the place that a call has for it, and that is not chained. */
const void *xlate_dispatch_return(struct cpu *cpu, struct xexit *ex);
void xlate_near_often(struct cpu *cpu, uint64_t host_pc);
const void *xlate_helper(struct cpu *cpu, const struct xsite *site);
void *xlate_slow(struct cpu *cpu, gla_t gla, uint32_t desc);
uint64_t xlate_segment(struct cpu *cpu, uint64_t off, uint32_t desc);
int xlate_commit(struct cpu *cpu, uint64_t next_rip);
void xlate_pushed(struct cpu *cpu);

static inline const uint8_t *xlate_rx(const struct xlate *x, uint32_t off)
{
	return x->c->rx + off;
}

#endif
