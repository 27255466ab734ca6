// SPDX-License-Identifier: GPL-2.0-or-later
/* what: brim.c's translations under any mode key, whether a CPU could have it or not */
#include "brim.h"
#include "xlate/xlate_int.h"

static uint32_t key_from(uint32_t bits, unsigned size)
{
	uint32_t flat = KEY_FLAT_CS | KEY_FLAT_DS | KEY_FLAT_ES | KEY_FLAT_SS, off = KEY_X87_OFF | KEY_WAIT_OFF |
		KEY_SSE_OFF | KEY_AVX_OFF | KEY_AVX512_OFF;
	uint32_t key = (bits & (flat | KEY_STACK32 | KEY_ALIGN | KEY_WINDOW | KEY_RING0 | KEY_SMAP | KEY_REAL)) | size;
	key |= bits >> 20 & 3 ? 0 : bits & off;
	key |= (bits >> 24) % VIEW_COUNT << KEY_VIEW_SHIFT;
	if (size != 0)
		key &= ~(uint32_t)KEY_REAL;
	if (size == 2)
		key |= flat | KEY_STACK32;
	if (key & KEY_ALIGN || size == 0) /* key.c: no windows then */
		key &= ~(uint32_t)KEY_WINDOW;
	return key;
}

static void set_key(struct xlate *x, uint32_t key)
{
	struct cpu *cpu = x->cpu;
	for (unsigned k = 0; k < 2; k++) {
		xcpu(cpu)->key = key;
		xcpu(cpu)->ks = xlate_keyspace(x, key);
		if (!x->c->flush_wanted)
			break;
		xlate_cache_flush(x);
	}
	cpu->mode_dirty = false;
}

static void note(const struct tr *t, const struct block *b, struct brim *most)
{
	most->hot = MAX(most->hot, b->host_len);
	most->cold = MAX(most->cold, b->cold_len);
	most->stubs = MAX(most->stubs, t->ncold);
	most->map = MAX(most->map, t->nmap);
	most->exits = MAX(most->exits, t->nexits);
	most->insns = MAX(most->insns, t->n);
	most->cut += t->n && t->n < BLOCK_MAX_INSNS && !xlate_block_ends(&t->dec[t->n - 1]);
}

bool brim_translate(struct xlate *x, uint32_t bits, unsigned size, struct brim *most)
{
	struct cpu *cpu = x->cpu;
	if (__builtin_setjmp(cpu->unwind))
		return false;
	set_key(x, key_from(bits, size));
	note(x->tr, xlate_find_block(x, (enum gate)(bits >> 26 & 1 ? GATE_CHECKED : GATE_PAGE)), most);
	xlate_block_step(x);
	return true;
}
