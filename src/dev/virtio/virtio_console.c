// SPDX-License-Identifier: GPL-2.0-or-later
/* what: virtio console with one port: a byte stream of the host as hvc0 of the guest
 *
 * Output is taken from the transmit queue in the notification itself, a turn's worth (virtqueue.c I4) as long as the
 * stream has room; the rest waits in the queue. Input waits in the host until the driver has given buffers: the stream
 * asks how much fits, and each waiting buffer holds at least one byte.
 * Source: VIRTIO 1.1, 5.3 (without MULTIPORT: queue 0 receives, queue 1 transmits).
 */
#include <stdio.h>
#include <stdlib.h>

#include "dev/virtio/virtio_int.h"

#define RECEIVEQ 0
#define TRANSMITQ 1
#define QUEUE_SIZE 128
#define TX_PIECE 4096
#define TX_MAX (1u << 20) /* of one chain: the rest of a longer one is dropped */

#define RX_CHAINS 16u /* at once: a quarter of a turn at most is looked at for a chain */

struct console_state {
	uint32_t tx_at; /* so much of the first waiting chain of the transmit queue is sent */
};

struct virtio_console {
	struct virtio_dev dev;
	struct console_state s;
	struct ui_stream *stream;
	struct virtq_elem elem;
};

/* False: not all of it yet. */
static bool transmit(struct virtio_console *c)
{
	uint8_t buf[TX_PIECE];

	while (c->s.tx_at < TX_MAX) {
		unsigned room = ui_stream_room(c->stream);
		size_t n = virtq_read(&c->elem, c->s.tx_at, buf, MIN(room, sizeof(buf)));

		if (!room) /* room_again goes on */
			return false;
		if (!n)
			break;
		ui_stream_write(c->stream, buf, (unsigned)n);
		c->s.tx_at += (uint32_t)n;
		c->dev.spent += (unsigned)n / 8;
		if (c->dev.spent >= VIRTIO_TURN) {
			virtio_again(&c->dev, TRANSMITQ);
			return false;
		}
	}
	c->s.tx_at = 0;
	return true;
}

static void room_again(void *opaque)
{
	struct virtio_console *c = opaque;

	virtio_again(&c->dev, TRANSMITQ);
}

static void console_notify(void *opaque, unsigned q)
{
	struct virtio_console *c = opaque;
	bool any = false;

	if (q == RECEIVEQ) {
		ui_stream_ready(c->stream);
		return;
	}
	while (virtq_pop(&c->dev, TRANSMITQ, &c->elem)) {
		if (!transmit(c)) {
			virtq_unpop(&c->dev, TRANSMITQ);
			break;
		}
		virtq_push(&c->dev, TRANSMITQ, &c->elem, 0);
		any = true;
	}
	if (any)
		virtio_notify_guest(&c->dev, TRANSMITQ);
}

static unsigned can_receive(void *opaque)
{
	struct virtio_console *c = opaque;

	return pci_master_enabled(&c->dev.pci) ? MIN(virtq_waiting(&c->dev, RECEIVEQ), RX_CHAINS) : 0;
}

static void receive(void *opaque, const uint8_t *buf, unsigned len)
{
	struct virtio_console *c = opaque;

	c->dev.spent = 0;
	while (len && virtq_pop(&c->dev, RECEIVEQ, &c->elem)) {
		unsigned n = (unsigned)virtq_write(&c->dev, &c->elem, 0, buf, len);

		virtq_push(&c->dev, RECEIVEQ, &c->elem, n);
		buf += n;
		len -= n;
	}
	virtio_notify_guest(&c->dev, RECEIVEQ);
}

static void console_reset(void *opaque)
{
	struct virtio_console *c = opaque;

	c->s = (struct console_state){0};
}

static const struct virtio_type console_type = {
	.device_id = 3,
	.pci_id = 0x1003,
	.class24 = 0x078000,
	.nqueues = 2,
	.queue_size = QUEUE_SIZE,
	.config_len = 12,
	.notify = console_notify,
	.reset = console_reset,
};

static const struct st_field console_state_type_fields[] = {
	ST(struct console_state, tx_at),
};
static ST_TYPE(console_state_type, struct console_state, 1, NULL);

struct virtio_console *virtio_console_new(const struct virtio_place *place, struct ui_stream *stream)
{
	struct virtio_console *c = xalloc(sizeof(*c));
	struct ui_stream_sink sink = {.opaque = c, .can_receive = can_receive, .receive = receive,
		.room = room_again};
	char full[64];

	c->stream = stream;
	virtio_init(&c->dev, &console_type, place, 0, c);
	put_le32(c->dev.config + 4, 1); /* ports */
	snprintf(full, sizeof(full), "%s.port", place->name);
	state_set_add(place->states, full, &console_state_type, &c->s, NULL, NULL);
	ui_stream_attach(stream, &sink);
	return c;
}

void virtio_console_reset(struct virtio_console *c)
{
	virtio_reset(&c->dev);
}

void virtio_console_free(struct virtio_console *c)
{
	const struct ui_stream_sink none = {0};

	if (!c)
		return;
	ui_stream_attach(c->stream, &none);
	virtio_fini(&c->dev);
	free(c);
}
