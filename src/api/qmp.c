// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the QEMU Machine Protocol: greeting, negotiation, commands with checked arguments, errors, events
 *
 * commands.json says which commands there are and what they take; tables made from it (tools/control-schema.py) drive
 * this file. Here the outer form is checked, and of arguments the kind; what is inside lists is the command's to check.
 *
 * Source: QEMU Machine Protocol Specification (docs/interop/qmp-spec of QEMU); error texts as a QEMU 7.2 answered.
 */
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include "api/api_int.h"
#include "api/commands.h"

const struct api_command *api_command_find(const char *name)
{
	for (unsigned i = 0; i < api_ncommands; i++)
		if (!strcmp(api_commands[i].name, name))
			return &api_commands[i];
	return NULL;
}

struct json *api_fail_class(struct api_call *call, const char *class, const char *fmt, ...)
{
	va_list ap;

	call->class = class;
	va_start(ap, fmt);
	vsnprintf(call->err.msg, sizeof(call->err.msg), fmt, ap);
	va_end(ap);
	return NULL;
}

struct json *api_fail(struct api_call *call, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(call->err.msg, sizeof(call->err.msg), fmt, ap);
	va_end(ap);
	return NULL;
}

/* Arguments */

static bool right_kind(enum api_kind want, enum js_kind is)
{
	switch (want) {
	case API_STR: return is == JS_STR;
	case API_INT: return is == JS_INT;
	case API_NUMBER: return is == JS_INT || is == JS_NUMBER;
	case API_BOOL: return is == JS_BOOL;
	case API_ARRAY: return is == JS_ARRAY;
	case API_OBJECT: return is == JS_OBJECT;
	case API_ANY: break;
	}
	return true;
}

static bool has_value(const char *const *values, const char *value)
{
	for (; *values; values++)
		if (!strcmp(*values, value))
			return true;
	return false;
}

static bool check_arg(struct api_call *call, const struct api_arg *arg, struct json *args)
{
	static const char *const kinds[] = { "string", "integer", "number", "boolean", "array", "object", "value" };
	const struct json *v = js_get(args, arg->name);

	if (!v && arg->optional)
		return true;
	if (!v) {
		api_fail(call, "Parameter '%s' is missing", arg->name);
		return false;
	}
	if (!right_kind(arg->kind, js_kind(v))) {
		api_fail(call, "Invalid parameter type for '%s', expected: %s", arg->name, kinds[arg->kind]);
		return false;
	}
	if (arg->values && !has_value(arg->values, js_get_str(args, arg->name, ""))) {
		api_fail(call, "Parameter '%s' does not accept value '%.64s'", arg->name, js_get_str(args, arg->name, ""));
		return false;
	}
	return true;
}

static bool is_arg(const struct api_command *cmd, const char *key)
{
	for (unsigned i = 0; i < cmd->nargs; i++)
		if (!strcmp(cmd->args[i].name, key))
			return true;
	return false;
}

static bool check_args(struct api_call *call, const struct api_command *cmd, struct json *args)
{
	for (unsigned i = 0; i < cmd->nargs; i++)
		if (!check_arg(call, &cmd->args[i], args))
			return false;
	for (const char *key = js_next_key(args, NULL); key; key = js_next_key(args, key))
		if (!is_arg(cmd, key)) {
			api_fail(call, "Parameter '%.64s' is unexpected", key);
			return false;
		}
	return true;
}

/* Messages */

static struct json *version(void)
{
	struct json *triple = js_object();

	js_set(triple, "major", js_int(7));
	js_set(triple, "minor", js_int(2));
	js_set(triple, "micro", js_int(0));
	return js_set(js_set(js_object(), "qemu", triple), "package", js_str("ring3 " API_VERSION));
}

API_COMMAND(query_version)
{
	return version();
}

void qmp_greet(struct api_client *c)
{
	struct json *qmp = js_set(js_set(js_object(), "version", version()), "capabilities", js_array());

	api_send(c, js_set(js_object(), "QMP", qmp));
}

API_COMMAND(qmp_capabilities)
{
	const struct json *enable = js_get(args, "enable");

	if (call->client->ready)
		return api_fail_class(call, "CommandNotFound",
		                      "Capabilities negotiation is already complete, command ignored");
	if (enable && js_len(enable))
		return api_fail(call, "Capability %s not available", js_kind(js_at(enable, 0)) == JS_STR ? "oob" : "?");
	call->client->ready = true;
	return js_object();
}

API_COMMAND(query_commands)
{
	struct json *all = js_array();

	for (unsigned i = 0; i < api_ncommands; i++)
		js_add(all, js_set(js_object(), "name", js_str(api_commands[i].name)));
	return all;
}

API_COMMAND(query_events)
{
	struct json *all = js_array();

	for (const char *const *e = api_events; *e; e++)
		js_add(all, js_set(js_object(), "name", js_str(*e)));
	return all;
}

API_COMMAND(query_qmp_schema)
{
	struct json *all = js_parse(api_schema, strlen(api_schema), &call->err);

	must(all);
	return all;
}

static struct json *run(struct api_call *call, const char *name, struct json *args)
{
	const struct api_command *cmd = api_command_find(name);

	if (!call->client->ready && strcmp(name, "qmp_capabilities"))
		return api_fail_class(call, "CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'");
	if (!cmd)
		return api_fail_class(call, "CommandNotFound", "The command %.64s has not been found", name);
	return check_args(call, cmd, args) ? cmd->run(call, args) : NULL;
}

/* The outer form: "execute", "arguments", "id" and nothing else. */
static struct json *execute(struct api_call *call, struct json *msg)
{
	const struct json *name = js_get(msg, "execute");
	struct json *args = js_get(msg, "arguments"), *none, *ret;

	for (const char *key = js_next_key(msg, NULL); key; key = js_next_key(msg, key))
		if (strcmp(key, "execute") && strcmp(key, "arguments") && strcmp(key, "id"))
			return api_fail(call, "QMP input member '%.64s' is unexpected", key);
	if (!name)
		return api_fail(call, "QMP input lacks member 'execute'");
	if (js_kind(name) != JS_STR)
		return api_fail(call, "QMP input member 'execute' must be a string");
	if (args && js_kind(args) != JS_OBJECT)
		return api_fail(call, "QMP input member 'arguments' must be an object");
	none = args ? NULL : js_object();
	ret = run(call, js_get_str(msg, "execute", ""), args ? args : none);
	js_free(none);
	return ret;
}

static struct json *error(const struct api_call *call)
{
	struct json *e = js_object();

	js_set(e, "class", js_str(call->class ? call->class : "GenericError"));
	return js_set(e, "desc", js_str(call->err.msg));
}

static void reply(struct api_call *call, struct json *msg, struct json *ret)
{
	struct json *r = js_object();
	struct json *id = msg && js_kind(msg) == JS_OBJECT ? js_get(msg, "id") : NULL;

	if (ret)
		js_set(r, "return", ret);
	else
		js_set(r, "error", error(call));
	if (id)
		js_set(r, "id", js_keep(id));
	api_send(call->client, r);
}

void qmp_message(struct api_client *c, const char *text, size_t len)
{
	struct api_call call = { .api = c->api, .pc = c->api->pc, .client = c };
	struct json *msg = js_parse(text, len, &call.err), *ret = NULL;

	if (msg && js_kind(msg) != JS_OBJECT)
		api_fail(&call, "QMP input must be a JSON object");
	else if (msg)
		ret = execute(&call, msg);
	reply(&call, msg, ret);
	/* What a browser can be made to send to a port of this host begins otherwise. */
	c->dead |= !msg && !c->ready;
	js_free(msg);
}

static struct json *timestamp(void)
{
	struct timeval tv;
	struct json *t = js_object();

	gettimeofday(&tv, NULL);
	js_set(t, "seconds", js_int(tv.tv_sec));
	return js_set(t, "microseconds", js_int(tv.tv_usec));
}

void qmp_event(struct api *api, const char *name, struct json *data)
{
	struct json *e = js_set(js_object(), "timestamp", timestamp());

	js_set(js_set(e, "event", js_str(name)), "data", data);
	for (unsigned i = 0; i < API_CLIENTS; i++)
		if (api->client[i] && api->client[i]->ready)
			api_send(api->client[i], js_keep(e));
	js_free(e);
}
