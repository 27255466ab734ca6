// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PS/2 keyboard and mouse, as the keyboard controller drives them: bytes in, bytes out through a queue */
#ifndef DEV_ISA_PS2_INT_H
#define DEV_ISA_PS2_INT_H

#include "state/state.h"

enum { PS2_ACK = 0xfa, PS2_BAT_OK = 0xaa, PS2_RESEND = 0xfe };

#define PS2_REPLIES 16u
#define PS2_DATA 2048u

/* What a device has to say: replies to commands go before keys and movements. */
struct ps2_queue {
	uint8_t reply[PS2_REPLIES];
	uint8_t reply_head, reply_count;
	uint16_t head, count;
	uint8_t last; /* for the resend command */
	uint8_t pad_[1];
	uint8_t data[PS2_DATA];
};
extern const struct st_type ps2_queue_type;

bool ps2_queue_empty(const struct ps2_queue *q);
uint8_t ps2_queue_pop(struct ps2_queue *q);
/* A device never owes more replies than fit: a command drops those of the one before it. */
void ps2_queue_reply(struct ps2_queue *q, uint8_t byte);
void ps2_queue_drop_replies(struct ps2_queue *q);
/* All n bytes or, if there is no room, none. */
bool ps2_queue_push(struct ps2_queue *q, const uint8_t *bytes, unsigned n);
void ps2_queue_clear(struct ps2_queue *q);

struct ps2kbd_state {
	struct ps2_queue q;
	uint8_t expect; /* command that waits for its parameter, 0: none */
	uint8_t scan_set, leds, rate;
	bool scanning;
	uint8_t pad_[3];
};
extern const struct st_type ps2kbd_state_type;

void ps2kbd_reset(struct ps2kbd_state *k);
void ps2kbd_command(struct ps2kbd_state *k, uint8_t byte);
/* Keys as set 1 codes. */
void ps2kbd_key(struct ps2kbd_state *k, const uint8_t *set1, unsigned n);
/* What the controller's translation makes of a set 2 code (without its 0xf0). */
uint8_t ps2kbd_translate(uint8_t set2);

struct ps2mouse_state {
	struct ps2_queue q;
	uint32_t dx, dy, dz; /* not yet reported, two's complement */
	uint8_t expect;
	uint8_t id;          /* 0: three buttons, 3: wheel */
	uint8_t rate, knock; /* last two rates: 200, 100, 80 turns the wheel on */
	uint8_t resolution, buttons;
	bool enabled, remote, wrap, scaling21, moved;
	uint8_t pad_[1];
};
extern const struct st_type ps2mouse_state_type;

void ps2mouse_reset(struct ps2mouse_state *m);
void ps2mouse_command(struct ps2mouse_state *m, uint8_t byte);
void ps2mouse_move(struct ps2mouse_state *m, int dx, int dy, int dz, uint8_t buttons);
/* Make a packet of what has moved since the last, if the last one is gone. */
void ps2mouse_poll(struct ps2mouse_state *m);

#endif
