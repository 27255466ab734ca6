// SPDX-License-Identifier: GPL-2.0-or-later
/* what: JSON values for the control protocol: bounded parsing, building, looking into
 *
 * Values are counted: who gets one from a function that makes or parses it owns it; js_set and js_add take what they
 * are given, NULL is passed over.
 */
#ifndef API_JSON_H
#define API_JSON_H

#include "base/base.h"

#define JS_DEPTH_MAX 64

struct json;

/* A whole text, an object or any other value; NULL: it is none, and err says why. Depth is at most JS_DEPTH_MAX. */
struct json *js_parse(const char *text, size_t len, struct err *err);
/* One line, to be freed; NULL: no memory. */
char *js_print(const struct json *v, bool pretty);
struct json *js_keep(struct json *v);
void js_free(struct json *v);

struct json *js_object(void);
struct json *js_array(void);
struct json *js_str(const char *s); /* bytes that are no UTF-8 are replaced */
struct json *js_int(int64_t n);
struct json *js_uint(uint64_t n);   /* beyond INT64_MAX: INT64_MAX */
struct json *js_bool(bool b);
struct json *js_null(void);
/* Return the object or array. */
struct json *js_set(struct json *object, const char *key, struct json *v);
struct json *js_add(struct json *array, struct json *v);

enum js_kind { JS_OBJECT, JS_ARRAY, JS_STR, JS_INT, JS_NUMBER, JS_BOOL, JS_NULL };
enum js_kind js_kind(const struct json *v);
/* Borrowed; NULL: there is none. */
struct json *js_get(const struct json *object, const char *key);
struct json *js_at(const struct json *array, size_t i);
size_t js_len(const struct json *array);
/* The key after the last one, NULL: the first. NULL: there is none. */
const char *js_next_key(struct json *object, const char *last);
/* NULL: it is no string. */
const char *js_string(const struct json *v);
/* What is there under key if it has that kind, else the default. */
const char *js_get_str(const struct json *object, const char *key, const char *none);
int64_t js_get_int(const struct json *object, const char *key, int64_t none);
bool js_get_bool(const struct json *object, const char *key, bool none);

#endif
