// SPDX-License-Identifier: GPL-2.0-or-later
/* what: JSON output of `ring3 disk`; only this file of the room sees jansson
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/disk.h"

#define DEPTH 8

struct disk_json {
	json_t *open[DEPTH];
	unsigned depth;
};

struct disk_json *disk_json_new(bool array)
{
	struct disk_json *j = xalloc(sizeof(*j));

	j->open[0] = array ? json_array() : json_object();
	return j;
}

static void add(struct disk_json *j, const char *key, json_t *value)
{
	json_t *in = j->open[j->depth];

	must(value && !(json_is_array(in) ? json_array_append_new(in, value) : json_object_set_new(in, key, value)));
}

static void open_value(struct disk_json *j, const char *key, json_t *value)
{
	must(j->depth + 1 < DEPTH);
	add(j, key, value);
	j->open[++j->depth] = value;
}

void disk_json_object(struct disk_json *j, const char *key)
{
	open_value(j, key, json_object());
}

void disk_json_array(struct disk_json *j, const char *key)
{
	open_value(j, key, json_array());
}

void disk_json_close(struct disk_json *j)
{
	j->depth--;
}

void disk_json_text(struct disk_json *j, const char *key, const char *value)
{
	json_t *text = json_string(value);

	add(j, key, text ? text : json_string("(not UTF-8)"));
}

void disk_json_number(struct disk_json *j, const char *key, uint64_t value)
{
	add(j, key, json_integer((json_int_t)value));
}

void disk_json_bool(struct disk_json *j, const char *key, bool value)
{
	add(j, key, json_boolean(value));
}

void disk_json_print(struct disk_json *j)
{
	json_dumpf(j->open[0], stdout, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(j->open[0]);
	free(j);
}
