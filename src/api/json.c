// SPDX-License-Identifier: GPL-2.0-or-later
/* what: JSON by jansson, which only this file sees
 *
 * jansson's own limit of depth is 2048 and its parser recurses; what comes from a client is looked at for depth before
 * (server.c), and here again, so that nothing depends on who calls.
 */
#include "api/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *in(const struct json *v)
{
	return (json_t *)(uintptr_t)v;
}

static struct json *out(json_t *v)
{
	must(v);
	return (struct json *)v;
}

static bool too_deep(const char *text, size_t len)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (quoted) {
			i += c == '\\';
			quoted = c != '"';
			continue;
		}
		quoted = c == '"';
		if (c == '{' || c == '[')
			depth++;
		if ((c == '}' || c == ']') && depth)
			depth--;
		if (depth > JS_DEPTH_MAX)
			return true;
	}
	return false;
}

struct json *js_parse(const char *text, size_t len, struct err *err)
{
	json_error_t why;
	json_t *v;

	if (too_deep(text, len)) {
		err_set(err, -EINVAL, "JSON parse error, it is nested more than %d deep", JS_DEPTH_MAX);
		return NULL;
	}
	v = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
	if (!v)
		err_set(err, -EINVAL, "JSON parse error, %s", why.text);
	return (struct json *)v;
}

char *js_print(const struct json *v, bool pretty)
{
	return json_dumps(in(v), JSON_ENCODE_ANY | (pretty ? JSON_INDENT(2) : 0));
}

struct json *js_keep(struct json *v)
{
	json_incref(in(v));
	return v;
}

void js_free(struct json *v)
{
	json_decref(in(v));
}

struct json *js_object(void)
{
	return out(json_object());
}

struct json *js_array(void)
{
	return out(json_array());
}

struct json *js_str(const char *s)
{
	json_t *v = json_string(s);
	char *copy;

	if (v)
		return out(v);
	copy = xstrdup(s);
	for (char *p = copy; *p; p++)
		if (*p & 0x80)
			*p = '?';
	v = json_string(copy);
	free(copy);
	return out(v);
}

struct json *js_int(int64_t n)
{
	return out(json_integer(n));
}

struct json *js_uint(uint64_t n)
{
	return js_int((int64_t)MIN(n, (uint64_t)INT64_MAX));
}

struct json *js_bool(bool b)
{
	return out(json_boolean(b));
}

struct json *js_null(void)
{
	return out(json_null());
}

struct json *js_set(struct json *object, const char *key, struct json *v)
{
	if (v)
		must(!json_object_set_new(in(object), key, in(v)));
	return object;
}

struct json *js_add(struct json *array, struct json *v)
{
	if (v)
		must(!json_array_append_new(in(array), in(v)));
	return array;
}

enum js_kind js_kind(const struct json *v)
{
	switch (json_typeof(in(v))) {
	case JSON_OBJECT: return JS_OBJECT;
	case JSON_ARRAY: return JS_ARRAY;
	case JSON_STRING: return JS_STR;
	case JSON_INTEGER: return JS_INT;
	case JSON_REAL: return JS_NUMBER;
	case JSON_TRUE:
	case JSON_FALSE: return JS_BOOL;
	default: return JS_NULL;
	}
}

struct json *js_get(const struct json *object, const char *key)
{
	return object ? (struct json *)json_object_get(in(object), key) : NULL;
}

struct json *js_at(const struct json *array, size_t i)
{
	return (struct json *)json_array_get(in(array), i);
}

size_t js_len(const struct json *array)
{
	return json_array_size(in(array));
}

const char *js_next_key(struct json *object, const char *last)
{
	void *it = last ? json_object_iter_next(in(object), json_object_iter_at(in(object), last)) :
	                  json_object_iter(in(object));

	return it ? json_object_iter_key(it) : NULL;
}

const char *js_string(const struct json *v)
{
	return json_string_value(in(v));
}

const char *js_get_str(const struct json *object, const char *key, const char *none)
{
	const struct json *v = js_get(object, key);

	return v && js_kind(v) == JS_STR ? json_string_value(in(v)) : none;
}

int64_t js_get_int(const struct json *object, const char *key, int64_t none)
{
	const struct json *v = js_get(object, key);

	return v && js_kind(v) == JS_INT ? json_integer_value(in(v)) : none;
}

bool js_get_bool(const struct json *object, const char *key, bool none)
{
	const struct json *v = js_get(object, key);

	return v && js_kind(v) == JS_BOOL ? json_is_true(in(v)) : none;
}
