// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the Ctrl-A escape of terminals that belong to the guest
 *
 * In a raw terminal every key goes to the guest, so one byte must be ours. Ctrl-A is what people know from
 * other monitors. The same bytes mean the same from a pipe, so that a script can quit a machine as well.
 */
#include "ui/ui_int.h"

#define CTRL_A 0x01

const char ui_escape_help[] = "Ctrl-A h       this help\r\n"
			      "Ctrl-A x       quit: turn the machine off\r\n"
			      "Ctrl-A p       press the power button\r\n"
			      "Ctrl-A b       send a break\r\n"
			      "Ctrl-A Ctrl-A  send Ctrl-A\r\n";

/* Returns whether c itself goes to the guest. */
static bool command(struct ui_escape *e, uint8_t c)
{
	switch (c) {
	case CTRL_A:
		return true;
	case 'x':
	case 'X':
		if (e->user.quit)
			e->user.quit(e->user.opaque);
		return false;
	case 'p':
	case 'P':
		if (e->user.power)
			e->user.power(e->user.opaque);
		return false;
	case 'h':
	case '?':
		if (e->help)
			e->help(e->help_opaque);
		return false;
	default:
		return false;
	}
}

unsigned ui_escape_filter(struct ui_escape *e, uint8_t *buf, unsigned len)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < len; i++) {
		if (e->pending) {
			e->pending = false;
			if (command(e, buf[i]))
				buf[kept++] = buf[i];
		} else if (buf[i] == CTRL_A) {
			e->pending = true;
		} else {
			buf[kept++] = buf[i];
		}
	}
	return kept;
}
