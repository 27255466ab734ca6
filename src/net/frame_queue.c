// SPDX-License-Identifier: GPL-2.0-or-later
/* what: frames that wait, in order, bounded by number and bytes
 */
#include <stdlib.h>

#include "net/net_int.h"

void net_queue_init(struct net_queue *q)
{
	*q = (struct net_queue){ .tail = &q->head };
}

bool net_queue_put(struct net_queue *q, const struct net_frame *f, uint64_t when)
{
	struct net_queued *e;

	if (q->frames == NET_QUEUE_FRAMES || q->bytes + f->len > NET_QUEUE_BYTES)
		return false;
	e = try_alloc(sizeof(*e) + f->len, sizeof(*e) + NET_FRAME_MAX);
	if (!e)
		return false;
	e->when = when;
	e->off = f->off;
	e->len = (uint32_t)net_frame_copy(f, 0, e->data, f->len);
	*q->tail = e;
	q->tail = &e->next;
	q->frames++;
	q->bytes += e->len;
	return true;
}

void net_queue_drop_first(struct net_queue *q)
{
	struct net_queued *e = q->head;

	q->head = e->next;
	if (!q->head)
		q->tail = &q->head;
	q->frames--;
	q->bytes -= e->len;
	free(e);
}

void net_queue_clear(struct net_queue *q)
{
	while (q->head)
		net_queue_drop_first(q);
}
