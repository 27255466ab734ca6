// SPDX-License-Identifier: GPL-2.0-or-later
/* what: records of declared state: written, read, checked, put in place
 *
 * Reading is bounded whatever the bytes say: names lie in the record, a schema has at most FIELDS_MAX fields in all and
 * DEPTH_MAX levels, and data never outgrows what our own tables have room for.
 */
#include "state/record.h"

#include <stdlib.h>
#include <string.h>

#include "state/set_int.h"

#define FIELDS_MAX 4096
#define DEPTH_MAX 8

/* --- out --- */

struct out {
	uint8_t *buf;
	size_t len, cap;
};

static uint8_t *room(struct out *o, size_t n)
{
	if (o->cap - o->len < n) {
		o->cap = 2 * o->cap + n + 4096;
		o->buf = realloc(o->buf, o->cap);
		must(o->buf != NULL);
	}
	o->len += n;
	return o->buf + o->len - n;
}

static void put(struct out *o, uint64_t val, unsigned size)
{
	uint8_t *p = room(o, size);

	for (unsigned i = 0; i < size; i++)
		p[i] = (uint8_t)(val >> 8 * i);
}

static void put_name(struct out *o, const char *name)
{
	size_t n = strlen(name);

	must(n && n <= UINT8_MAX);
	put(o, n, 1);
	memcpy(room(o, n), name, n);
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as our own tables nest structs */
static void put_schema(struct out *o, const struct st_type *type)
{
	put_name(o, type->name);
	put(o, type->version, 2);
	put(o, type->nfields, 2);
	for (unsigned i = 0; i < type->nfields; i++) {
		const struct st_field *f = &type->fields[i];

		put_name(o, f->name);
		put(o, f->kind, 1);
		put(o, f->count, 4);
		if (f->kind == ST_STRUCT)
			put_schema(o, f->sub);
	}
}

static uint64_t load_scalar(const uint8_t *p, unsigned size)
{
	uint64_t val = 0;

	memcpy(&val, p, size); /* the host is little-endian, as the record is */
	return val;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as our own tables nest structs */
static void put_data(struct out *o, const struct st_type *type, const uint8_t *state)
{
	for (unsigned i = 0; i < type->nfields; i++) {
		const struct st_field *f = &type->fields[i];

		for (uint32_t k = 0; k < f->count; k++) {
			const uint8_t *at = state + f->offset + (size_t)k * f->size;

			if (f->kind == ST_STRUCT)
				put_data(o, f->sub, at);
			else
				put(o, load_scalar(at, f->size), f->size);
		}
	}
}

uint8_t *state_record(const struct state_set *set, size_t *len)
{
	struct out o = { 0 };

	for (size_t i = 0; i < set->n; i++) {
		const struct block *b = &set->blocks[i];
		size_t before;

		put_name(&o, b->name);
		put_schema(&o, b->type);
		put(&o, 0, 4);
		before = o.len;
		put_data(&o, b->type, b->state);
		put_le32(o.buf + before - 4, (uint32_t)(o.len - before));
	}
	*len = o.len;
	return o.buf;
}

/* --- in --- */

struct in {
	const uint8_t *p, *end;
	struct err *err;
	unsigned fields; /* of the schema under way */
	const char *block;
};

/* A type as the record has it: fields in a row, those of sub-structs behind a pointer. */
struct rfield {
	char name[UINT8_MAX + 1];
	uint8_t kind;
	uint32_t count;
	struct rtype *sub;
};
struct rtype {
	uint16_t version, nfields;
	struct rfield *field;
};

static int damaged(const struct in *in)
{
	return err_set(in->err, -EINVAL, "the record of the machine's state is damaged%s%s", in->block ? ", at " : "",
	               in->block ? in->block : "");
}

static int get(struct in *in, uint64_t *val, unsigned size)
{
	*val = 0;
	if ((size_t)(in->end - in->p) < size)
		return damaged(in);
	*val = load_scalar(in->p, size);
	in->p += size;
	return 0;
}

static int get_name(struct in *in, char name[UINT8_MAX + 1])
{
	uint64_t n;

	if (get(in, &n, 1))
		return -EINVAL;
	if (!n || (size_t)(in->end - in->p) < n || memchr(in->p, 0, n))
		return damaged(in);
	memcpy(name, in->p, n);
	name[n] = 0;
	in->p += n;
	return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX */
static void free_type(struct rtype *t)
{
	if (!t)
		return;
	for (unsigned i = 0; t->field && i < t->nfields; i++)
		free_type(t->field[i].sub);
	free(t->field);
	free(t);
}

static struct rtype *get_type(struct in *in, unsigned depth);

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX */
static int get_field(struct in *in, struct rfield *f, unsigned depth)
{
	uint64_t kind, count;

	if (get_name(in, f->name) || get(in, &kind, 1) || get(in, &count, 4))
		return -EINVAL;
	if (kind > ST_STRUCT)
		return damaged(in);
	f->kind = (uint8_t)kind;
	f->count = (uint32_t)count;
	if (kind != ST_STRUCT)
		return 0;
	f->sub = get_type(in, depth + 1);
	return f->sub ? 0 : -EINVAL;
}

/* NOLINTNEXTLINE(misc-no-recursion): DEPTH_MAX */
static struct rtype *get_type(struct in *in, unsigned depth)
{
	char name[UINT8_MAX + 1]; /* for people; types are told apart by their fields */
	uint64_t version, n;
	struct rtype *t;

	if (get_name(in, name) || get(in, &version, 2) || get(in, &n, 2))
		return NULL;
	in->fields += (unsigned)n;
	if (depth > DEPTH_MAX || in->fields > FIELDS_MAX) {
		damaged(in);
		return NULL;
	}
	t = xalloc(sizeof(*t));
	t->version = (uint16_t)version;
	t->nfields = (uint16_t)n;
	t->field = xalloc((n + 1) * sizeof(*t->field));
	for (unsigned i = 0; i < n; i++) {
		if (get_field(in, &t->field[i], depth)) {
			free_type(t);
			return NULL;
		}
	}
	return t;
}

static const struct st_field *field_named(const struct st_type *type, const char *name)
{
	for (unsigned i = 0; i < type->nfields; i++)
		if (!strcmp(type->fields[i].name, name))
			return &type->fields[i];
	return NULL;
}

static const struct rfield *recorded(const struct rtype *t, const char *name)
{
	for (unsigned i = 0; i < t->nfields; i++)
		if (!strcmp(t->field[i].name, name))
			return &t->field[i];
	return NULL;
}

/* Is every field of ours that is as old as the record in it, once? */
static int complete(const struct in *in, const struct st_type *type, const struct rtype *t)
{
	for (unsigned i = 0; i < t->nfields; i++)
		if (recorded(t, t->field[i].name) != &t->field[i])
			return damaged(in);
	for (unsigned i = 0; i < type->nfields; i++)
		if (type->fields[i].since <= t->version && !recorded(t, type->fields[i].name))
			return err_set(in->err, -EINVAL, "the record of '%s' lacks '%s'", in->block, type->fields[i].name);
	return 0;
}

static int get_scalar(struct in *in, const struct st_field *f, uint8_t *at)
{
	uint64_t val;

	if (get(in, &val, f->size))
		return -EINVAL;
	if (f->kind == ST_BOOL && val > 1)
		return damaged(in);
	memcpy(at, &val, f->size);
	return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as our own tables nest structs */
static int get_data(struct in *in, const struct st_type *type, const struct rtype *t, uint8_t *state)
{
	if (complete(in, type, t))
		return -EINVAL;
	for (unsigned i = 0; i < t->nfields; i++) {
		const struct rfield *r = &t->field[i];
		const struct st_field *f = field_named(type, r->name);

		if (!f || f->kind != r->kind || f->count != r->count)
			return err_set(in->err, -EINVAL, "'%s' has '%s' otherwise than this ring3 knows it", in->block, r->name);
		for (uint32_t k = 0; k < f->count; k++) {
			uint8_t *at = state + f->offset + (size_t)k * f->size;

			if (f->kind == ST_STRUCT ? get_data(in, f->sub, r->sub, at) : get_scalar(in, f, at))
				return -EINVAL;
		}
	}
	return 0;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as our own tables nest structs */
static const char *check(const struct st_type *type, const uint8_t *state)
{
	const char *wrong = NULL;

	for (unsigned i = 0; i < type->nfields && !wrong; i++) {
		const struct st_field *f = &type->fields[i];

		for (uint32_t k = 0; f->kind == ST_STRUCT && k < f->count && !wrong; k++)
			wrong = check(f->sub, state + f->offset + (size_t)k * f->size);
	}
	return wrong || !type->check ? wrong : type->check(state);
}

static size_t block_named(const struct state_set *set, const char *name)
{
	size_t i = 0;

	while (i < set->n && strcmp(set->blocks[i].name, name))
		i++;
	return i;
}

/* One block into new[its number], which nothing has been read into yet. */
static int get_block(struct in *in, const struct state_set *set, uint8_t **new)
{
	char name[UINT8_MAX + 1];
	struct rtype *t;
	const char *wrong;
	uint64_t len;
	size_t at;
	int rc;

	in->block = NULL;
	in->fields = 0;
	if (get_name(in, name))
		return -EINVAL;
	at = block_named(set, name);
	if (at == set->n)
		return err_set(in->err, -EINVAL, "the recorded machine has '%s', this one has not: give the options it ran "
		               "with", name);
	in->block = set->blocks[at].name;
	if (new[at])
		return damaged(in);
	t = get_type(in, 0);
	if (!t)
		return -EINVAL;
	new[at] = xalloc(set->blocks[at].type->size);
	memcpy(new[at], set->blocks[at].state, set->blocks[at].type->size);
	rc = get(in, &len, 4);
	if (!rc && len > (size_t)(in->end - in->p))
		rc = damaged(in);
	if (!rc) {
		struct in data = *in;

		data.end = in->p + len;
		rc = get_data(&data, set->blocks[at].type, t, new[at]);
		if (!rc && data.p != data.end)
			rc = damaged(in);
		in->p += len;
	}
	free_type(t);
	if (rc)
		return rc;
	wrong = check(set->blocks[at].type, new[at]);
	return wrong ? err_set(in->err, -EINVAL, "the record of '%s' cannot be: %s", in->block, wrong) : 0;
}

static int get_all(struct in *in, const struct state_set *set, uint8_t **new)
{
	while (in->p < in->end)
		if (get_block(in, set, new))
			return -EINVAL;
	for (size_t i = 0; i < set->n; i++)
		if (!new[i])
			return err_set(in->err, -EINVAL, "the recorded machine has no '%s': give the options it ran with",
			               set->blocks[i].name);
	return 0;
}

int state_restore(struct state_set *set, const uint8_t *record, size_t len, struct err *err)
{
	struct in in = { .p = record, .end = record + len, .err = err };
	uint8_t **new = xalloc((set->n + 1) * sizeof(*new));
	int rc = get_all(&in, set, new);

	for (size_t i = 0; i < set->n; i++) {
		if (!rc)
			memcpy(set->blocks[i].state, new[i], set->blocks[i].type->size);
		free(new[i]);
	}
	free(new);
	return rc;
}

void state_set_loaded(struct state_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->blocks[i].loaded)
			set->blocks[i].loaded(set->blocks[i].opaque);
}
