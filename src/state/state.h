// SPDX-License-Identifier: GPL-2.0-or-later
/* what: declared state: tables that name every byte of a struct, walked to save, load, reset and inspect
 *
 * I1  Every byte of a struct declared by ST_TYPE belongs to exactly one field (padding is explicit).
 * I2  Fields are u8 u16 u32 u64 bool, byte arrays, arrays of these, or sub-structs: no pointers, no enums, no int.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include "base/base.h"

enum st_kind { ST_U8, ST_U16, ST_U32, ST_U64, ST_BOOL, ST_STRUCT };

struct st_type;
struct st_field {
	const char *name;
	uint32_t offset;
	uint32_t size;  /* of one element */
	uint32_t count; /* elements; 1 for a scalar */
	enum st_kind kind;
	uint16_t since; /* version that introduced it */
	const struct st_type *sub;
};
struct st_type {
	const char *name;
	uint32_t size;
	uint16_t version;
	uint16_t nfields;
	const struct st_field *fields;
	/* Bound what a hostile snapshot may hold; return NULL if fine, else what is wrong. May be NULL. */
	const char *(*check)(const void *state);
};

#define ST_KIND_OF(x) _Generic((x), uint8_t: ST_U8, uint16_t: ST_U16, uint32_t: ST_U32, uint64_t: ST_U64, bool: ST_BOOL)
#define ST_AT(T, m) (((T *)0)->m)
/* A scalar member. */
#define ST(T, m) { #m, offsetof(T, m), sizeof(ST_AT(T, m)), 1, ST_KIND_OF(ST_AT(T, m)), 1, NULL }
/* An array of scalars; explicit padding too. */
#define ST_ARRAY(T, m) \
	{ #m, offsetof(T, m), sizeof(ST_AT(T, m)[0]), sizeof(ST_AT(T, m)) / sizeof(ST_AT(T, m)[0]), \
	  ST_KIND_OF(ST_AT(T, m)[0]), 1, NULL }
/* A sub-struct, and an array of sub-structs, described by *type. */
#define ST_SUB(T, m, type) { #m, offsetof(T, m), sizeof(ST_AT(T, m)), 1, ST_STRUCT, 1, (type) }
#define ST_SUBS(T, m, type) \
	{ #m, offsetof(T, m), sizeof(ST_AT(T, m)[0]), sizeof(ST_AT(T, m)) / sizeof(ST_AT(T, m)[0]), ST_STRUCT, 1, (type) }
#define ST_TYPE(id, T, ver, checkfn) \
	const struct st_type id = { #T, sizeof(T), ver, ARRAY_LEN(id##_fields), id##_fields, checkfn }

/* NULL if every byte is in exactly one field, else a message in buf ("byte 73 of pit_state is in 0 fields"). */
const char *state_coverage(const struct st_type *type, char *buf, size_t len);

/* Every chip registers its state block here by name; save, load, inspect and tests walk the registry. */
struct state_set;
struct state_set *state_set_new(void);
void state_set_free(struct state_set *set);
/* name is copied and must be unique ("uart0"). loaded (may be NULL) runs after all blocks were loaded. */
void state_set_add(struct state_set *set, const char *name, const struct st_type *type, void *state,
                   void (*loaded)(void *opaque), void *opaque);
/* Call visit for every block, in order of registration. */
void state_set_each(struct state_set *set, void (*visit)(void *ctx, const char *name, const struct st_type *type,
                                                         void *state), void *ctx);

#endif
