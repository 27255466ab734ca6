// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a block for code that is translated already, at another address: copied and moved, not translated again
 *
 * Each process has the same libraries at addresses of its own, and most run too short a time to pay for translating
 * them. Of the user code that Debian's boot makes blocks of, two thirds lie on pages of RAM, unchanged, for which there
 * was one already.
 *
 *     block there:   gate | code ......... | cold stubs .... | exit stubs      at rip
 *     block here:    gate | copy, repaired | copy, repaired  | exit stubs      at rip + delta, so many pages further
 *
 * Gates and exit stubs are made anew. What else goes by where guest or host code lies is noted as it is emitted: struct
 * xmove. All other decisions of a translation are the same, as the bytes are, and the key.
 *
 * I1  Whatever the translator emits that depends on t->rip, t->rips or t->e.p goes through this file, or is an exit's,
 *     or is what two RIPs have in common that are a number of pages apart; or else it calls xlate_move_never.
 * I2  64-bit code: both RIPs are user addresses amid the same slot; what lies within 2 GiB of them is so too, and takes
 *     the same form. 32-bit code: neither they nor targets of jumps come round the end of 4 GiB, either time.
 * I3  What x->c->offers leads to is not dead, and movable.
 */
#include "xlate/xlate_int.h"

/* From each end of a slot. */
#define MARGIN (1ull << 33)

/* Where one for the same code as b is found; it may be another's. */
static struct block **place(struct xlate *x, const struct block *b)
{
	uint64_t code = (uint64_t)(uintptr_t)b->host[0] + b->page_off + ((uint64_t)b->ks << 48);

	return &x->c->offers[code * 0x9e3779b97f4a7c15ull >> (64 - OFFER_BITS)];
}

static bool same_code(const struct block *a, const struct block *b)
{
	return a->host[0] == b->host[0] && a->page_off == b->page_off && a->ks == b->ks;
}

/* 64-bit code: whatever is within 2 GiB of rip lies in the same slot, whose number may be in the code (windowed.c).
 * 32-bit code: no block at rip comes round the end. */
static bool may_lie(uint32_t key, uint64_t rip)
{
	uint64_t off = rip & ((1ull << MMU_SLOT_SHIFT) - 1);

	if (!key_code64(key))
		return rip >= 65536 && rip < (1ull << 32) - 65536;
	return rip >> 47 == 0 && off >= MARGIN && off < (1ull << MMU_SLOT_SHIFT) - MARGIN;
}

void xlate_move_begin(struct tr *t)
{
	const struct block *b = t->b;
	bool process = t->key & KEY_FLAT_CS && key_view(t->key) == VIEW_USER && (t->key & KEY_SIZE) != 0;

	t->nmoves = 0;
	t->movable = !t->step && process && may_lie(t->key, b->rip);
}

void xlate_move_decoded(struct tr *t, const struct dec *d)
{
	bool jumps = d->cls == DC_CALL || d->cls == DC_JMP || d->cls == DC_JCC || d->cls == DC_LOOP;
	unsigned size = key_code64(t->key) ? 8 : 4;

	/* addresses that are truncated do not go with RIP */
	if ((jumps && d->in.opsize != size) || (d->in.base == INSN_BASE_RIP && d->in.adsize != 8))
		t->movable = false;
}

static void note(struct tr *t, enum move kind, const uint8_t *at)
{
	if (!t->movable)
		return;
	if (t->nmoves == ARRAY_LEN(t->moves)) {
		t->movable = false;
		return;
	}
	uint32_t off = (uint32_t)(at - t->x->c->rw);
	bool cold = off >= t->b->cold_off;
	t->moves[t->nmoves++] = (struct xmove){ .kind = (uint8_t)kind, .cold = cold,
		.off = off - (cold ? t->b->cold_off : t->b->entry_off) };
}

/* The immediate of the MOV that was just emitted: 8 bytes, or it would have to take another form elsewhere. */
static void note_imm(struct tr *t, enum move kind, uint64_t val)
{
	t->movable &= (int64_t)val != (int32_t)val && val > UINT32_MAX;
	note(t, kind, t->e.p - 8);
}

void xlate_move_rip(struct tr *t, unsigned reg, uint64_t val)
{
	emit_mov_imm(&t->e, reg, val);
	if (key_code64(t->key))
		note_imm(t, MOVE_RIP, val);
	else
		note(t, MOVE_RIP32, t->e.p - 4);
}

void xlate_move_never(struct tr *t)
{
	t->movable = false;
}

void xlate_move_imm32(struct tr *t)
{
	note(t, MOVE_RIP32, t->e.p - 4);
}

void xlate_move_site(struct tr *t, unsigned reg, const struct xsite *site)
{
	uint64_t val = (uint64_t)(uintptr_t)site;

	emit_mov_imm(&t->e, reg, val);
	note_imm(t, MOVE_SITE, val);
}

void xlate_move_here(struct tr *t, unsigned reg)
{
	emit_mov_imm(&t->e, reg, (uint64_t)(t->e.p - t->x->c->rw));
	xlate_move_at(t);
}

void xlate_move_at(struct tr *t)
{
	note(t, MOVE_HERE, t->e.p - 4);
}

void xlate_move_patch(struct tr *t, uint8_t *disp, const uint8_t *target)
{
	const uint8_t *cold = t->x->c->rw + t->b->cold_off;

	emit_patch(disp, target);
	if ((disp >= cold) != (target >= cold))
		note(t, MOVE_ACROSS, disp);
}

void xlate_move_jcc_to(struct tr *t, int cc, const uint8_t *target)
{
	xlate_move_patch(t, emit_jcc(&t->e, cc), target);
}

void xlate_move_end(struct tr *t)
{
	struct block *b = t->b;

	if (!t->movable || b->host[1] || b->ram[0] == UINT64_MAX)
		return;
	b->movable = true;
	b->nmoves = (uint16_t)t->nmoves;
	b->moves = memcpy(xlate_cache_alloc(t->x, sizeof(t->moves[0]) * t->nmoves), t->moves,
		sizeof(t->moves[0]) * t->nmoves);
}

void xlate_move_offer(struct xlate *x, struct block *b)
{
	if (b->movable)
		*place(x, b) = b;
}

void xlate_move_drop(struct xlate *x, const struct block *b)
{
	struct block **p = place(x, b);

	/* not only b: if it dies for what it does, another must not come back as b */
	if (*p && same_code(*p, b))
		*p = NULL;
}

/* A move under way: how far each part goes. */
struct move_by {
	const struct block *from;
	uint64_t rip;
	uint32_t hot, cold; /* modulo 2^32 */
};

static uint32_t offset_of(const struct block *b, const struct xmove *what)
{
	return what->off + (what->cold ? b->cold_off : b->entry_off);
}

static uint32_t by(const struct move_by *m, uint32_t off)
{
	return off >= m->from->cold_off ? m->cold : m->hot;
}

/* Do targets in 32-bit code lie on the same side of jumps? */
static bool same_sides(const struct block *from, uint64_t delta)
{
	for (unsigned k = 0; k < from->nexits; k++)
		if ((from->exits[k].target + delta) >> 32)
			return false;
	return true;
}

const struct block *xlate_move_find(struct xlate *x, const struct block *b)
{
	const struct block *from = *place(x, b);
	uint32_t key = x->c->keys[b->ks];

	if (!from || !same_code(from, b) || !may_lie(key, b->rip))
		return NULL;
	if (!key_code64(key))
		return same_sides(from, b->rip - from->rip) ? from : NULL;
	return from->rip >> MMU_SLOT_SHIFT == b->rip >> MMU_SLOT_SHIFT ? from : NULL;
}

static uint64_t moved_site(struct xlate *x, uint64_t was, uint64_t delta)
{
	struct xsite *site = xlate_cache_alloc(x, sizeof(*site));

	*site = *(const struct xsite *)(uintptr_t)was;
	site->rip += delta;
	return (uint64_t)(uintptr_t)site;
}

static void repair(struct xlate *x, const struct move_by *m, const struct block *b, const struct xmove *what)
{
	uint32_t here = what->cold ? m->cold : m->hot, there = what->cold ? m->hot : m->cold;
	uint8_t *p = x->c->rw + offset_of(b, what);

	switch ((enum move)what->kind) {
	case MOVE_RIP: put_le64(p, get_le64(p) + m->rip); break;
	case MOVE_RIP32: put_le32(p, get_le32(p) + (uint32_t)m->rip); break;
	case MOVE_SITE: put_le64(p, moved_site(x, get_le64(p), m->rip)); break;
	case MOVE_HERE: put_le32(p, get_le32(p) + here); break;
	case MOVE_ACROSS: put_le32(p, get_le32(p) + there - here); break;
	}
}

static void copy_exits(struct xlate *x, const struct move_by *m, struct block *b)
{
	b->nexits = m->from->nexits;
	b->exits = xlate_cache_alloc(x, sizeof(struct xexit) * (b->nexits + 1u));
	for (unsigned k = 0; k < b->nexits; k++) {
		struct xexit *ex = &b->exits[k];
		*ex = m->from->exits[k];
		ex->to = NULL;
		ex->next_in = NULL;
		ex->target += m->rip;
		ex->disp_off += by(m, ex->disp_off);
		ex->poll_off += ex->poll_off ? by(m, ex->poll_off) : 0;
	}
}

static void copy_map(struct xlate *x, const struct move_by *m, struct block *b)
{
	const struct block *from = m->from;

	b->nmap = from->nmap;
	b->map = xlate_cache_alloc(x, sizeof(*b->map) * b->nmap);
	for (unsigned k = 0; k < b->nmap; k++) {
		b->map[k] = from->map[k];
		b->map[k].host += from->host_off + by(m, from->host_off + from->map[k].host) - b->host_off;
	}
}

void xlate_move(struct xlate *x, struct block *b, const struct block *from, struct emit *e)
{
	struct move_by m = { from, b->rip - from->rip, b->entry_off - from->entry_off, b->cold_off - from->cold_off };
	uint32_t end = from->host_off + from->host_len;
	uint32_t cold_end = from->nexits ? from->exits[0].stub_off : from->cold_off + from->cold_len;
	memcpy(x->c->rw + b->entry_off, x->c->rw + from->entry_off, end - from->entry_off);
	memcpy(x->c->rw + b->cold_off, x->c->rw + from->cold_off, cold_end - from->cold_off);
	for (unsigned k = 0; k < from->nmoves; k++)
		repair(x, &m, b, &from->moves[k]);
	copy_exits(x, &m, b);
	copy_map(x, &m, b);
	b->host_len = end + m.hot - b->host_off;
	b->guest_len = from->guest_len;
	b->ninsns = from->ninsns;
	b->movable = true;
	b->nmoves = from->nmoves;
	b->moves = from->moves;
	e->p = x->c->rw + (uint32_t)(cold_end + m.cold);
}
