// SPDX-License-Identifier: GPL-2.0-or-later
/* what: keys that are pressed for a while, and text that is typed key by key, in the guest's time
 *
 * What send-key and x-ring3-type ask for is queued here and played by a timer of the device world, so that a paused
 * machine's typist pauses as well, and no client waits. The queue is short: a keyboard is no file transfer.
 */
#include <stdlib.h>
#include <string.h>

#include "api/api_int.h"

#define STROKES 4096 /* 1024 characters with shift: two strokes each, and some */
#define CODES 8
#define MS 1000000ull

struct stroke {
	uint8_t codes[CODES], n;
	uint16_t ms; /* before the next */
};

struct typist {
	struct pc *pc;
	struct loop *loop;
	struct loop_timer timer;
	struct stroke queue[STROKES];
	unsigned head, count;
};

/* Lock held. */
static void play(void *opaque)
{
	struct typist *t = opaque;

	while (t->count) {
		const struct stroke *s = &t->queue[t->head];

		pc_key_locked(t->pc, s->codes, s->n);
		t->head = (t->head + 1) % STROKES;
		t->count--;
		if (s->ms) {
			loop_timer_set(&t->timer, loop_now(t->loop) + s->ms * MS);
			return;
		}
	}
}

struct typist *typist_new(struct pc *pc)
{
	struct typist *t = xalloc(sizeof(*t));

	t->pc = pc;
	t->loop = pc_loop(pc);
	loop_timer_init(&t->timer, t->loop, play, t);
	return t;
}

void typist_free(struct typist *t)
{
	if (!t)
		return;
	loop_lock(t->loop);
	loop_timer_cancel(&t->timer);
	loop_unlock(t->loop);
	free(t);
}

bool typist_press(struct typist *t, const uint8_t *codes, unsigned n, unsigned ms)
{
	bool room;

	must(n <= CODES);
	loop_lock(t->loop);
	room = t->count < STROKES;
	if (room) {
		struct stroke *s = &t->queue[(t->head + t->count++) % STROKES];

		memcpy(s->codes, codes, n);
		s->n = (uint8_t)n;
		s->ms = (uint16_t)MIN(ms, UINT16_MAX);
		if (!t->timer.armed)
			loop_timer_set(&t->timer, loop_now(t->loop));
	}
	loop_unlock(t->loop);
	return room;
}

/* Keys by name */

int key_by_name(const char *name)
{
	static const struct { const char *name; int code; } keys[] = {
#define PAUSE KEY_PAUSE
#define KEY(name, code) { name, code },
#include "api/qcode.def"
#undef KEY
	};

	for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
		if (!strcmp(keys[i].name, name))
			return keys[i].code;
	return -1;
}

unsigned key_codes(int key, bool down, uint8_t codes[8])
{
	static const uint8_t pause[] = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 };
	unsigned n = 0;

	if (key == KEY_PAUSE) { /* all of it when pressed */
		memcpy(codes, pause, sizeof(pause));
		return down ? sizeof(pause) : 0;
	}
	if (key >> 8)
		codes[n++] = (uint8_t)(key >> 8);
	codes[n++] = (uint8_t)((key & 0x7f) | (down ? 0 : 0x80));
	return n;
}
