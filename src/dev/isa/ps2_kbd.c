// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PS/2 keyboard: commands, and scan codes of set 1 and 2
 *
 * The person's keys arrive as set 1 codes, because that is what PC software calls them. The keyboard speaks
 * set 2 unless told otherwise and the controller normally translates that back: one table serves both ways.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboards (101- and 102-key)" and "Keyboard/Auxiliary
 * Device Controller", scan code translation.
 */
#include "dev/isa/ps2_int.h"

enum {
	CMD_LEDS = 0xed, CMD_ECHO = 0xee, CMD_SCAN_SET = 0xf0, CMD_ID = 0xf2, CMD_RATE = 0xf3, CMD_ENABLE = 0xf4,
	CMD_DISABLE = 0xf5, CMD_DEFAULTS = 0xf6, CMD_KEY_TYPES_FIRST = 0xf7, CMD_KEY_TYPES_LAST = 0xfd, CMD_RESEND = 0xfe,
	CMD_RESET = 0xff,
	ID_LOW = 0xab, ID_HIGH = 0x83,
	RATE_DEFAULT = 0x2b,
	BREAK = 0xf0, EXTENDED = 0xe0, EXTENDED1 = 0xe1,
	SET1_RELEASE = 0x80,
};

static const char *ps2kbd_check(const void *state)
{
	const struct ps2kbd_state *k = state;

	return k->scan_set < 1 || k->scan_set > 2 ? "keyboard scan code set out of range" : NULL;
}

static const struct st_field ps2kbd_state_type_fields[] = {
	ST_SUB(struct ps2kbd_state, q, &ps2_queue_type), ST(struct ps2kbd_state, expect), ST(struct ps2kbd_state, scan_set),
	ST(struct ps2kbd_state, leds), ST(struct ps2kbd_state, rate), ST(struct ps2kbd_state, scanning),
	ST_ARRAY(struct ps2kbd_state, pad_),
};
ST_TYPE(ps2kbd_state_type, struct ps2kbd_state, 1, ps2kbd_check);

/* Index: set 2 code. 0x83 (F7) and 0x84 (Alt-SysRq) are handled apart. */
static const uint8_t set2_to_set1[128] = {
	0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
	0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
	0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
	0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
	0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
	0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
	0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
	0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

uint8_t ps2kbd_translate(uint8_t set2)
{
	if (set2 == 0x83)
		return 0x41;
	if (set2 == 0x84)
		return 0x54;
	return set2 < 128 ? set2_to_set1[set2] : set2;
}

static uint8_t set1_to_set2(uint8_t make)
{
	if (make == 0x41)
		return 0x83;
	if (make == 0x54)
		return 0x84;
	for (unsigned i = 1; i < 128; i++) {
		if (set2_to_set1[i] == make)
			return (uint8_t)i;
	}
	return 0;
}

/* One set 1 code at most gives a break prefix and a code. */
static unsigned convert(uint8_t code, uint8_t out[2])
{
	unsigned n = 0;

	if (code == EXTENDED || code == EXTENDED1) {
		out[0] = code;
		return 1;
	}
	if (code & SET1_RELEASE)
		out[n++] = BREAK;
	out[n++] = set1_to_set2(code & (uint8_t)~SET1_RELEASE);
	return n;
}

void ps2kbd_key(struct ps2kbd_state *k, const uint8_t *set1, unsigned n)
{
	uint8_t out[8];
	unsigned len = 0;

	if (!k->scanning)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (len > sizeof(out) - 2) /* nothing but prefixes */
			len = 0;
		if (k->scan_set == 1)
			out[len++] = set1[i];
		else
			len += convert(set1[i], out + len);
		/* A prefix and its code stay together, so that a full queue drops whole keys. */
		if (set1[i] == EXTENDED || set1[i] == EXTENDED1)
			continue;
		if (!ps2_queue_push(&k->q, out, len))
			return;
		len = 0;
	}
}

static void defaults(struct ps2kbd_state *k)
{
	k->q.count = 0;
	k->scan_set = 2;
	k->rate = RATE_DEFAULT;
	k->leds = 0;
	k->scanning = true;
}

void ps2kbd_reset(struct ps2kbd_state *k)
{
	ps2_queue_clear(&k->q);
	k->expect = 0;
	defaults(k);
}

static void scan_set(struct ps2kbd_state *k, uint8_t set)
{
	if (set > 2) {
		ps2_queue_reply(&k->q, PS2_RESEND);
		return;
	}
	ps2_queue_reply(&k->q, PS2_ACK);
	if (set == 0)
		ps2_queue_reply(&k->q, k->scan_set);
	else
		k->scan_set = set;
}

static void parameter(struct ps2kbd_state *k, uint8_t byte)
{
	uint8_t cmd = k->expect;

	k->expect = 0;
	if (cmd == CMD_SCAN_SET) {
		scan_set(k, byte);
		return;
	}
	if (cmd == CMD_LEDS)
		k->leds = byte & 7;
	else
		k->rate = byte & 0x7f;
	ps2_queue_reply(&k->q, PS2_ACK);
}

static void reply_id(struct ps2kbd_state *k)
{
	ps2_queue_reply(&k->q, PS2_ACK);
	ps2_queue_reply(&k->q, ID_LOW);
	ps2_queue_reply(&k->q, ID_HIGH);
}

static void command(struct ps2kbd_state *k, uint8_t cmd)
{
	switch (cmd) {
	case CMD_ECHO:
		ps2_queue_reply(&k->q, CMD_ECHO);
		return;
	case CMD_ID:
		reply_id(k);
		return;
	case CMD_RESEND:
		ps2_queue_reply(&k->q, k->q.last);
		return;
	case CMD_RESET:
		defaults(k);
		ps2_queue_reply(&k->q, PS2_ACK);
		ps2_queue_reply(&k->q, PS2_BAT_OK);
		return;
	case CMD_LEDS:
	case CMD_SCAN_SET:
	case CMD_RATE:
		k->expect = cmd;
		break;
	case CMD_ENABLE:
		k->q.count = 0;
		k->scanning = true;
		break;
	case CMD_DISABLE:
	case CMD_DEFAULTS:
		defaults(k);
		k->scanning = cmd == CMD_DEFAULTS;
		break;
	default:
		if (cmd < CMD_KEY_TYPES_FIRST || cmd > CMD_KEY_TYPES_LAST) {
			ps2_queue_reply(&k->q, PS2_RESEND);
			return;
		}
	}
	ps2_queue_reply(&k->q, PS2_ACK);
}

void ps2kbd_command(struct ps2kbd_state *k, uint8_t byte)
{
	ps2_queue_drop_replies(&k->q);
	if (k->expect && byte < CMD_LEDS) {
		parameter(k, byte);
		return;
	}
	k->expect = 0; /* a command instead of the parameter */
	command(k, byte);
}
