// SPDX-License-Identifier: GPL-2.0-or-later
/* what: commands that press keys and buttons and move the mouse
 *
 * All of a list is checked before anything of it is pressed.
 */
#include <string.h>

#include "api/api_int.h"
#include "api/commands.h"
#include "ui/ui.h"

#define KEYS_MAX 16    /* together */
#define EVENTS_MAX 256
#define HOLD_MS 100
#define HOLD_MAX 60000
#define TYPE_MS 20
#define TEXT_MAX 1024

static const char *kind_of(const struct json *v)
{
	return v && js_kind(v) == JS_OBJECT ? js_get_str(v, "type", "") : "";
}

/* A KeyValue: the code as key_by_name, -1: told why. */
static int key_value(struct api_call *call, const struct json *v)
{
	const char *kind = kind_of(v), *name = js_get_str(v, "data", NULL);
	int64_t number = js_get_int(v, "data", -1);
	int key;

	if (!strcmp(kind, "number") && number > 0 && number < 0x100)
		return (int)(number & 0x80 ? 0xe000 | (number & 0x7f) : number);
	if (!strcmp(kind, "number")) {
		api_fail(call, "Parameter 'data' expects a key number from 1 to 255");
		return -1;
	}
	if (strcmp(kind, "qcode") || !name) {
		api_fail(call, "A key is {\"type\": \"qcode\", \"data\": NAME} or {\"type\": \"number\", \"data\": CODE}");
		return -1;
	}
	key = key_by_name(name);
	if (key < 0)
		api_fail(call, "Parameter 'data' does not accept value '%.64s'", name);
	return key;
}

bool api_press_keys(struct api *api, const int *key, unsigned n, unsigned ms)
{
	uint8_t codes[8];
	bool ok = true;

	for (unsigned i = 0; i < n; i++) {
		unsigned len = key_codes(key[i], true, codes);

		ok &= typist_press(api->typist, codes, len, i + 1 == n ? ms : 0);
	}
	for (unsigned i = n; i-- > 0;) {
		unsigned len = key_codes(key[i], false, codes);

		ok &= typist_press(api->typist, codes, len, i ? 0 : TYPE_MS);
	}
	return ok;
}

API_COMMAND(send_key)
{
	const struct json *keys = js_get(args, "keys");
	int64_t hold = js_get_int(args, "hold-time", HOLD_MS);
	size_t n = js_len(keys);
	int key[KEYS_MAX];

	if (!n || n > KEYS_MAX)
		return api_fail(call, "Parameter 'keys' expects 1 to %d keys", KEYS_MAX);
	if (hold < 0 || hold > HOLD_MAX)
		return api_fail(call, "Parameter 'hold-time' expects 0 to %d ms", HOLD_MAX);
	for (size_t i = 0; i < n; i++) {
		key[i] = key_value(call, js_at(keys, i));
		if (key[i] < 0)
			return NULL;
	}
	if (!api_press_keys(call->api, key, (unsigned)n, (unsigned)hold))
		return api_fail(call, "Too many keys wait to be pressed");
	return js_object();
}

/* input-send-event */

struct move {
	int dx, dy, dz;
	uint8_t buttons;
};

struct button { const char *name; uint8_t bit; int8_t dz; };

static const struct button *find_button(const char *name)
{
	static const struct button buttons[] = { { "left", 1, 0 }, { "right", 2, 0 }, { "middle", 4, 0 },
		{ "wheel-up", 0, -1 }, { "wheel-down", 0, 1 } };

	for (unsigned i = 0; i < ARRAY_LEN(buttons); i++)
		if (!strcmp(buttons[i].name, name))
			return &buttons[i];
	return NULL;
}

/* One event: checked, and with move not NULL carried out or added to the move. False: told why. */
static bool button_event(struct api_call *call, const struct json *data, struct move *move)
{
	const struct button *b = find_button(js_get_str(data, "button", ""));
	bool down = js_get_bool(data, "down", false);

	if (!b || !js_get(data, "down")) {
		api_fail(call, "A button event has 'down', and 'button': left, middle, right, wheel-up or wheel-down");
		return false;
	}
	if (!move)
		return true;
	move->buttons = (uint8_t)(down ? move->buttons | b->bit : move->buttons & ~b->bit);
	move->dz += down ? b->dz : 0;
	return true;
}

static bool move_event(struct api_call *call, const struct json *data, struct move *move)
{
	const char *axis = js_get_str(data, "axis", "");
	int64_t value = js_get_int(data, "value", INT64_MAX);

	if ((strcmp(axis, "x") && strcmp(axis, "y")) || value > 32767 || value < -32768) {
		api_fail(call, "A move event has 'axis', x or y, and 'value', from -32768 to 32767");
		return false;
	}
	if (move)
		*(*axis == 'x' ? &move->dx : &move->dy) += (int)(*axis == 'x' ? value : -value);
	return true;
}

static bool key_event(struct api_call *call, const struct json *data, bool act)
{
	int key = key_value(call, js_get(data, "key"));
	uint8_t codes[8];

	if (key < 0)
		return false;
	if (!js_get(data, "down")) {
		api_fail(call, "Parameter 'down' is missing");
		return false;
	}
	if (act)
		pc_key(call->pc, codes, key_codes(key, js_get_bool(data, "down", false), codes));
	return true;
}

static bool one_event(struct api_call *call, const struct json *e, struct move *move)
{
	const char *kind = kind_of(e);
	const struct json *data = js_get(e, "data");

	if (!data || js_kind(data) != JS_OBJECT)
		api_fail(call, "An event has 'type' and an object 'data'");
	else if (!strcmp(kind, "key"))
		return key_event(call, data, move != NULL);
	else if (!strcmp(kind, "btn"))
		return button_event(call, data, move);
	else if (!strcmp(kind, "rel"))
		return move_event(call, data, move);
	else if (!strcmp(kind, "abs"))
		api_fail(call, "Input handler not found for event type abs");
	else
		api_fail(call, "Parameter 'type' does not accept value '%.64s'", kind);
	return false;
}

API_COMMAND(input_send_event)
{
	const struct json *events = js_get(args, "events");
	struct move move = { .buttons = call->api->buttons };
	size_t n = js_len(events);

	if (n > EVENTS_MAX)
		return api_fail(call, "Parameter 'events' expects at most %d events", EVENTS_MAX);
	for (size_t i = 0; i < n; i++)
		if (!one_event(call, js_at(events, i), NULL))
			return NULL;
	for (size_t i = 0; i < n; i++)
		must(one_event(call, js_at(events, i), &move));
	if (move.dx || move.dy || move.dz || move.buttons != call->api->buttons)
		pc_mouse(call->pc, move.dx, move.dy, move.dz, move.buttons);
	call->api->buttons = move.buttons;
	return js_object();
}

API_COMMAND(x_ring3_type)
{
	const char *text = js_get_str(args, "text", "");
	size_t len = strlen(text);

	if (len > TEXT_MAX)
		return api_fail(call, "Parameter 'text' expects at most %d characters", TEXT_MAX);
	for (const char *p = text; *p; p++)
		if ((uint8_t)*p >= 0x7f || ((uint8_t)*p < ' ' && !strchr("\n\t\r\b\033", *p)))
			return api_fail(call, "Parameter 'text' expects characters of a US keyboard");
	for (const char *p = text; *p; p++) {
		uint8_t codes[16];
		unsigned n = ui_keymap_ascii((const uint8_t *)p, 1, codes, sizeof(codes));

		if (!typist_press(call->api->typist, codes, MIN(n, 8u), TYPE_MS))
			return api_fail(call, "Too many keys wait to be pressed");
	}
	return js_int((int64_t)len * TYPE_MS);
}
