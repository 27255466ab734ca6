// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what a terminal sends, as the keys of a US keyboard that would have typed it (PS/2 set 1)
 *
 * A terminal tells characters, a keyboard tells keys; the guest's keymap is assumed to be US. A key becomes its
 * modifiers' makes, its make and break, and the modifiers' breaks. Escape sequences are those of xterm and of the
 * Linux console; ESC followed by a character is Alt with it, ESC alone is the Escape key. UTF-8 beyond ASCII has no
 * key and is skipped.
 */
#include "ui/ui_int.h"

#include <string.h>

#define ESC 0x1b
#define MOD_SHIFT 1u /* as in xterm's modifier parameter, less one */
#define MOD_ALT   2u
#define MOD_CTRL  4u
#define EXT 0x80u    /* the code goes behind an 0xe0 */

struct key {
	uint8_t code; /* make, with EXT; 0: none */
	uint8_t mods;
};

/* Keys by what they type without and with shift, at the position of their scan code. */
static const char plain_chars[] = "\0\0331234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0\0\0 ";
static const char shift_chars[] = "\0\0!@#$%^&*()_+\0\0QWERTYUIOP{}\0\0ASDFGHJKL:\"~\0|ZXCVBNM<>?";

static uint8_t find(const char *chars, size_t n, uint8_t c)
{
	const char *at = c ? memchr(chars, c, n) : NULL;

	return at ? (uint8_t)(at - chars) : 0;
}

static struct key key_of_char(uint8_t c)
{
	struct key k = {find(plain_chars, sizeof(plain_chars) - 1, c), 0};

	if (k.code || c >= 0x80)
		return k;
	k.code = find(shift_chars, sizeof(shift_chars) - 1, c);
	k.mods = MOD_SHIFT;
	if (k.code)
		return k;
	k.mods = MOD_CTRL;
	if (c == 0x7f)
		return (struct key){0x0e, 0};
	if (c == '\n')
		return (struct key){0x1c, 0};
	if (c >= 1 && c <= 26)
		k.code = find(plain_chars, sizeof(plain_chars) - 1, (char)(c + 'a' - 1));
	else
		k.code = c == 0 ? 0x03 : c == 0x1c ? 0x2b : c == 0x1d ? 0x1b : c == 0x1e ? 0x07 : 0x0c;
	return k;
}

/* Final letters of ESC [ x and ESC O x. */
static uint8_t key_of_letter(uint8_t c)
{
	switch (c) {
	case 'A': return 0x48 | EXT;
	case 'B': return 0x50 | EXT;
	case 'C': return 0x4d | EXT;
	case 'D': return 0x4b | EXT;
	case 'F': return 0x4f | EXT;
	case 'H': return 0x47 | EXT;
	case 'M': return 0x1c;
	case 'P': return 0x3b;
	case 'Q': return 0x3c;
	case 'R': return 0x3d;
	case 'S': return 0x3e;
	case 'Z': return 0x0f;
	default: return 0;
	}
}

/* ESC [ n ~ */
static uint8_t key_of_number(unsigned n)
{
	static const uint8_t codes[25] = {
		[1] = 0x47 | EXT, [2] = 0x52 | EXT, [3] = 0x53 | EXT, [4] = 0x4f | EXT, [5] = 0x49 | EXT, [6] = 0x51 | EXT,
		[7] = 0x47 | EXT, [8] = 0x4f | EXT, [11] = 0x3b, [12] = 0x3c, [13] = 0x3d, [14] = 0x3e, [15] = 0x3f,
		[17] = 0x40, [18] = 0x41, [19] = 0x42, [20] = 0x43, [21] = 0x44, [23] = 0x57, [24] = 0x58,
	};

	return n < ARRAY_LEN(codes) ? codes[n] : 0;
}

/* in starts behind "ESC ["; returns bytes used. */
static unsigned parse_csi(const uint8_t *in, unsigned n, struct key *k)
{
	unsigned param[2] = {0, 0}, which = 0, i = 0;

	if (n >= 2 && in[0] == '[' && in[1] >= 'A' && in[1] <= 'E') { /* Linux console F1-F5 */
		k->code = (uint8_t)(0x3b + in[1] - 'A');
		return 2;
	}
	for (; i < n && (in[i] < 0x40 || in[i] > 0x7e); i++) {
		if (in[i] == ';')
			which = 1;
		else if (in[i] >= '0' && in[i] <= '9' && param[which] < 1000)
			param[which] = param[which] * 10 + in[i] - '0';
	}
	if (i == n)
		return n;
	k->code = in[i] == '~' ? key_of_number(param[0]) : key_of_letter(in[i]);
	k->mods = param[1] ? (param[1] - 1) & 7 : in[i] == 'Z' ? MOD_SHIFT : 0;
	return i + 1;
}

static unsigned parse_key(const uint8_t *in, unsigned n, struct key *k)
{
	if (in[0] != ESC || n == 1) {
		*k = key_of_char(in[0]);
		return 1;
	}
	*k = (struct key){0, 0};
	if (in[1] == '[' && n > 2)
		return 2 + parse_csi(in + 2, n - 2, k);
	if (in[1] == 'O' && n > 2 && key_of_letter(in[2])) {
		k->code = key_of_letter(in[2]);
		return 3;
	}
	if (in[1] == ESC) { /* a second sequence begins: this was the key itself */
		k->code = 0x01;
		return 1;
	}
	*k = key_of_char(in[1]);
	k->mods |= MOD_ALT;
	return 2;
}

static unsigned encode(struct key k, uint8_t *out)
{
	static const struct { uint8_t mod, code; } mods[] = {{MOD_CTRL, 0x1d}, {MOD_ALT, 0x38}, {MOD_SHIFT, 0x2a}};
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_LEN(mods); i++)
		if (k.mods & mods[i].mod)
			out[n++] = mods[i].code;
	for (unsigned brk = 0; brk <= 0x80; brk += 0x80) {
		if (k.code & EXT)
			out[n++] = 0xe0;
		out[n++] = (uint8_t)((k.code & 0x7f) | brk);
	}
	for (unsigned i = ARRAY_LEN(mods); i-- > 0;)
		if (k.mods & mods[i].mod)
			out[n++] = mods[i].code | 0x80;
	return n;
}

unsigned ui_keymap_one(const uint8_t *in, unsigned n, uint8_t codes[UI_KEY_CODES], unsigned *ncodes)
{
	struct key k;
	unsigned used = parse_key(in, n, &k);

	*ncodes = k.code ? encode(k, codes) : 0;
	return used;
}

unsigned ui_keymap_ascii(const uint8_t *in, unsigned n, uint8_t *codes, unsigned max)
{
	unsigned written = 0;

	while (n) {
		uint8_t one[UI_KEY_CODES];
		unsigned len, used = ui_keymap_one(in, n, one, &len);

		if (written + len > max)
			break;
		memcpy(codes + written, one, len);
		written += len;
		in += used;
		n -= used;
	}
	return written;
}
