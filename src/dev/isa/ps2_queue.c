// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the output queue of a PS/2 device */
#include "dev/isa/ps2_int.h"

#include <string.h>

static const char *ps2_queue_check(const void *state)
{
	const struct ps2_queue *q = state;

	if (q->reply_head >= PS2_REPLIES || q->reply_count > PS2_REPLIES || q->head >= PS2_DATA || q->count > PS2_DATA)
		return "PS/2 queue out of range";
	return NULL;
}

static const struct st_field ps2_queue_type_fields[] = {
	ST_ARRAY(struct ps2_queue, reply), ST(struct ps2_queue, reply_head), ST(struct ps2_queue, reply_count),
	ST(struct ps2_queue, head), ST(struct ps2_queue, count), ST(struct ps2_queue, last),
	ST_ARRAY(struct ps2_queue, pad_),
	ST_ARRAY(struct ps2_queue, data),
};
ST_TYPE(ps2_queue_type, struct ps2_queue, 1, ps2_queue_check);

bool ps2_queue_empty(const struct ps2_queue *q)
{
	return !q->reply_count && !q->count;
}

uint8_t ps2_queue_pop(struct ps2_queue *q)
{
	if (q->reply_count) {
		q->last = q->reply[q->reply_head];
		q->reply_head = (q->reply_head + 1) % PS2_REPLIES;
		q->reply_count--;
	} else if (q->count) {
		q->last = q->data[q->head];
		q->head = (uint16_t)((q->head + 1) % PS2_DATA);
		q->count--;
	}
	return q->last;
}

void ps2_queue_reply(struct ps2_queue *q, uint8_t byte)
{
	if (q->reply_count < PS2_REPLIES)
		q->reply[(q->reply_head + q->reply_count++) % PS2_REPLIES] = byte;
}

void ps2_queue_drop_replies(struct ps2_queue *q)
{
	q->reply_count = 0;
}

bool ps2_queue_push(struct ps2_queue *q, const uint8_t *bytes, unsigned n)
{
	if (n > PS2_DATA - q->count)
		return false;
	for (unsigned i = 0; i < n; i++)
		q->data[(q->head + q->count++) % PS2_DATA] = bytes[i];
	return true;
}

void ps2_queue_clear(struct ps2_queue *q)
{
	memset(q, 0, sizeof(*q));
}
