// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PS/2 mouse, with the wheel of the IntelliMouse when a driver knocks for it
 *
 * Movement is summed up and becomes a packet only when the one before has been read, so a guest that does not
 * look makes no queue grow and later sees one jump to the right place.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Auxiliary Device"; the wheel packet and its knock (sample
 * rates 200, 100, 80) from Microsoft's IntelliMouse description.
 */
#include "dev/isa/ps2_int.h"

enum {
	CMD_SCALING11 = 0xe6, CMD_SCALING21 = 0xe7, CMD_RESOLUTION = 0xe8, CMD_STATUS = 0xe9, CMD_STREAM = 0xea,
	CMD_READ = 0xeb, CMD_UNWRAP = 0xec, CMD_WRAP = 0xee, CMD_REMOTE = 0xf0, CMD_ID = 0xf2, CMD_RATE = 0xf3,
	CMD_ENABLE = 0xf4, CMD_DISABLE = 0xf5, CMD_DEFAULTS = 0xf6, CMD_RESEND = 0xfe, CMD_RESET = 0xff,
	PACKET_ALWAYS = 0x08, PACKET_XSIGN = 0x10, PACKET_YSIGN = 0x20,
	STATUS_SCALING21 = 0x10, STATUS_ENABLED = 0x20, STATUS_REMOTE = 0x40,
	KNOCK_200 = 1, KNOCK_200_100 = 2,
	ID_WHEEL = 3,
};

static const struct st_field ps2mouse_state_type_fields[] = {
	ST_SUB(struct ps2mouse_state, q, &ps2_queue_type), ST(struct ps2mouse_state, dx), ST(struct ps2mouse_state, dy),
	ST(struct ps2mouse_state, dz), ST(struct ps2mouse_state, expect), ST(struct ps2mouse_state, id),
	ST(struct ps2mouse_state, rate), ST(struct ps2mouse_state, knock), ST(struct ps2mouse_state, resolution),
	ST(struct ps2mouse_state, buttons), ST(struct ps2mouse_state, enabled), ST(struct ps2mouse_state, remote),
	ST(struct ps2mouse_state, wrap), ST(struct ps2mouse_state, scaling21), ST(struct ps2mouse_state, moved),
	ST_ARRAY(struct ps2mouse_state, pad_),
};
ST_TYPE(ps2mouse_state_type, struct ps2mouse_state, 1, NULL);

/* Take up to limit from a sum, either way. */
static int take(uint32_t *sum, int limit)
{
	int v = (int)*sum;

	v = v > limit ? limit : v < -limit - 1 ? -limit - 1 : v;
	*sum -= (uint32_t)v;
	return v;
}

static unsigned make_packet(struct ps2mouse_state *m, uint8_t out[4])
{
	int dx = take(&m->dx, 255), dy = take(&m->dy, 255);

	out[0] = (uint8_t)(PACKET_ALWAYS | (m->buttons & 7) | (dx < 0 ? PACKET_XSIGN : 0) | (dy < 0 ? PACKET_YSIGN : 0));
	out[1] = (uint8_t)dx;
	out[2] = (uint8_t)dy;
	out[3] = (uint8_t)take(&m->dz, 7);
	m->moved = m->dx || m->dy || (m->id == ID_WHEEL && m->dz);
	return m->id == ID_WHEEL ? 4 : 3;
}

void ps2mouse_poll(struct ps2mouse_state *m)
{
	uint8_t out[4];

	if (!m->moved || !m->enabled || m->remote || m->wrap || m->q.count)
		return;
	ps2_queue_push(&m->q, out, make_packet(m, out));
}

static uint32_t add_bounded(uint32_t sum, int d)
{
	int64_t v = (int64_t)(int32_t)sum + d;

	return (uint32_t)(int32_t)(v > 100000 ? 100000 : v < -100000 ? -100000 : v);
}

void ps2mouse_move(struct ps2mouse_state *m, int dx, int dy, int dz, uint8_t buttons)
{
	m->dx = add_bounded(m->dx, dx);
	m->dy = add_bounded(m->dy, dy);
	m->dz = add_bounded(m->dz, -dz); /* the wheel counts towards the person */
	m->moved |= dx || dy || dz || m->buttons != buttons;
	m->buttons = buttons;
	ps2mouse_poll(m);
}

static void forget_motion(struct ps2mouse_state *m)
{
	m->q.count = 0;
	m->dx = m->dy = m->dz = 0;
	m->moved = false;
}

static void defaults(struct ps2mouse_state *m)
{
	forget_motion(m);
	m->rate = 100;
	m->resolution = 2;
	m->scaling21 = false;
	m->remote = false;
	m->enabled = false;
	m->wrap = false;
}

void ps2mouse_reset(struct ps2mouse_state *m)
{
	ps2_queue_clear(&m->q);
	m->expect = 0;
	m->id = 0;
	m->knock = 0;
	m->buttons = 0;
	defaults(m);
}

static void reply_status(struct ps2mouse_state *m)
{
	/* "Status Request": buttons come in another order than in packets: left 4, middle 2, right 1 */
	uint8_t buttons = (uint8_t)((m->buttons & 1) << 2 | (m->buttons & 4) >> 1 | (m->buttons & 2) >> 1);

	ps2_queue_reply(&m->q, (uint8_t)(buttons | (m->scaling21 ? STATUS_SCALING21 : 0) |
	                                 (m->enabled ? STATUS_ENABLED : 0) |
					 (m->remote ? STATUS_REMOTE : 0)));
	ps2_queue_reply(&m->q, m->resolution);
	ps2_queue_reply(&m->q, m->rate);
}

static void reply_packet(struct ps2mouse_state *m)
{
	uint8_t out[4];
	unsigned n = make_packet(m, out);

	for (unsigned i = 0; i < n; i++)
		ps2_queue_reply(&m->q, out[i]);
}

static void set_rate(struct ps2mouse_state *m, uint8_t rate)
{
	if (rate == 80 && m->knock == KNOCK_200_100)
		m->id = ID_WHEEL;
	m->knock = rate == 200 ? KNOCK_200 : rate == 100 && m->knock == KNOCK_200 ? KNOCK_200_100 : 0;
	m->rate = rate;
}

static bool simple_command(struct ps2mouse_state *m, uint8_t cmd)
{
	switch (cmd) {
	case CMD_SCALING11:
	case CMD_SCALING21:
		m->scaling21 = cmd == CMD_SCALING21;
		break;
	case CMD_STREAM:
	case CMD_REMOTE:
		m->remote = cmd == CMD_REMOTE;
		forget_motion(m);
		break;
	case CMD_WRAP:
	case CMD_UNWRAP:
		m->wrap = cmd == CMD_WRAP;
		break;
	case CMD_ENABLE:
	case CMD_DISABLE:
		m->enabled = cmd == CMD_ENABLE;
		forget_motion(m);
		break;
	case CMD_RESOLUTION:
	case CMD_RATE:
		m->expect = cmd;
		break;
	case CMD_DEFAULTS:
		defaults(m);
		break;
	default:
		return false;
	}
	return true;
}

static void command(struct ps2mouse_state *m, uint8_t cmd)
{
	if (simple_command(m, cmd)) {
		ps2_queue_reply(&m->q, PS2_ACK);
		return;
	}
	if (cmd == CMD_RESEND) {
		ps2_queue_reply(&m->q, m->q.last);
		return;
	}
	if (cmd != CMD_STATUS && cmd != CMD_READ && cmd != CMD_ID && cmd != CMD_RESET) {
		ps2_queue_reply(&m->q, PS2_RESEND);
		return;
	}
	ps2_queue_reply(&m->q, PS2_ACK);
	if (cmd == CMD_STATUS)
		reply_status(m);
	else if (cmd == CMD_READ)
		reply_packet(m);
	else if (cmd == CMD_ID)
		ps2_queue_reply(&m->q, m->id);
	else {
		defaults(m);
		m->id = 0;
		m->knock = 0;
		ps2_queue_reply(&m->q, PS2_BAT_OK);
		ps2_queue_reply(&m->q, m->id);
	}
}

void ps2mouse_command(struct ps2mouse_state *m, uint8_t byte)
{
	ps2_queue_drop_replies(&m->q);
	if (m->wrap && byte != CMD_UNWRAP && byte != CMD_RESET) {
		ps2_queue_reply(&m->q, byte);
		return;
	}
	if (!m->expect) {
		command(m, byte);
		return;
	}
	if (m->expect == CMD_RATE)
		set_rate(m, byte);
	else
		m->resolution = byte & 3;
	m->expect = 0;
	ps2_queue_reply(&m->q, PS2_ACK);
}
