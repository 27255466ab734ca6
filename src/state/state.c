// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the registry of declared state blocks, and the proof that a table names every byte once
 *
 * The set keeps pointers, not copies: it must go before the chips it names do, or at least not be walked after.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/set_int.h"

static unsigned fields_at(const struct st_type *type, uint32_t byte)
{
	unsigned hits = 0;

	for (unsigned i = 0; i < type->nfields; i++) {
		const struct st_field *f = &type->fields[i];

		if (byte >= f->offset && byte - f->offset < (uint64_t)f->size * f->count)
			hits++;
	}
	return hits;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as our own tables nest structs */
static const char *field_wrong(const struct st_type *type, const struct st_field *f, char *buf, size_t len)
{
	static const uint8_t size_of[] = {
		[ST_U8] = 1, [ST_U16] = 2, [ST_U32] = 4, [ST_U64] = 8, [ST_BOOL] = sizeof(bool),
	};

	if (f->offset + (uint64_t)f->size * f->count > type->size)
		snprintf(buf, len, "field %s of %s reaches beyond the struct", f->name, type->name);
	else if (f->kind == ST_STRUCT && (!f->sub || f->sub->size != f->size))
		snprintf(buf, len, "field %s of %s has a sub-type of another size", f->name, type->name);
	else if (f->kind != ST_STRUCT && f->size != size_of[f->kind])
		snprintf(buf, len, "field %s of %s has a size its kind does not have", f->name, type->name);
	else if (f->since > type->version)
		snprintf(buf, len, "field %s of %s is newer than its type", f->name, type->name);
	else
		return f->kind == ST_STRUCT ? state_coverage(f->sub, buf, len) : NULL;
	return buf;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as our own tables nest structs */
const char *state_coverage(const struct st_type *type, char *buf, size_t len)
{
	for (unsigned i = 0; i < type->nfields; i++) {
		const char *wrong = field_wrong(type, &type->fields[i], buf, len);

		if (wrong)
			return wrong;
	}
	for (uint32_t byte = 0; byte < type->size; byte++) {
		unsigned hits = fields_at(type, byte);

		if (hits != 1) {
			snprintf(buf, len, "byte %u of %s is in %u fields", byte, type->name, hits);
			return buf;
		}
	}
	return NULL;
}

struct state_set *state_set_new(void)
{
	return xalloc(sizeof(struct state_set));
}

void state_set_free(struct state_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n; i++)
		free(set->blocks[i].name);
	free(set->blocks);
	free(set);
}

void state_set_add(struct state_set *set, const char *name, const struct st_type *type, void *state,
		   void (*loaded)(void *opaque), void *opaque)
{
	for (size_t i = 0; i < set->n; i++)
		must(strcmp(set->blocks[i].name, name) != 0);
	if (set->n == set->cap) {
		set->cap = set->cap ? 2 * set->cap : 32;
		set->blocks = realloc(set->blocks, set->cap * sizeof(set->blocks[0]));
		must(set->blocks != NULL);
	}
	set->blocks[set->n++] = (struct block){ xstrdup(name), type, state, loaded, opaque };
}

void state_set_each(struct state_set *set,
		    void (*visit)(void *ctx, const char *name, const struct st_type *type, void *state), void *ctx)
{
	for (size_t i = 0; i < set->n; i++)
		visit(ctx, set->blocks[i].name, set->blocks[i].type, set->blocks[i].state);
}
