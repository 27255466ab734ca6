// SPDX-License-Identifier: GPL-2.0-or-later
/* what: virtio console with one port: a byte stream of the host as hvc0 of the guest
 *
 * Output is taken from the transmit queue in the notification itself. Input waits in the host until the driver has
 * given buffers: the stream asks how much fits, and each waiting buffer holds at least one byte.
 * Source: VIRTIO 1.1, 5.3 (without MULTIPORT: queue 0 receives, queue 1 transmits).
 */
#include <stdlib.h>

#include "dev/virtio/virtio_int.h"

#define RECEIVEQ 0
#define TRANSMITQ 1
#define QUEUE_SIZE 128
#define TX_PIECE 4096
#define TX_MAX (1u << 20) /* of one chain: the rest of a longer one is dropped */

struct virtio_console {
	struct virtio_dev dev;
	struct ui_stream *stream;
	struct virtq_elem elem;
};

static void transmit(struct virtio_console *c)
{
	uint8_t buf[TX_PIECE];
	size_t n;

	for (size_t at = 0; at < TX_MAX && (n = virtq_read(&c->elem, at, buf, sizeof(buf))); at += n)
		ui_stream_write(c->stream, buf, (unsigned)n);
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
		transmit(c);
		virtq_push(&c->dev, TRANSMITQ, &c->elem, 0);
		any = true;
	}
	if (any)
		virtio_notify_guest(&c->dev, TRANSMITQ);
}

static unsigned can_receive(void *opaque)
{
	struct virtio_console *c = opaque;

	return pci_master_enabled(&c->dev.pci) ? virtq_waiting(&c->dev, RECEIVEQ) : 0;
}

static void receive(void *opaque, const uint8_t *buf, unsigned len)
{
	struct virtio_console *c = opaque;

	while (len && virtq_pop(&c->dev, RECEIVEQ, &c->elem)) {
		unsigned n = (unsigned)virtq_write(&c->dev, &c->elem, 0, buf, len);

		virtq_push(&c->dev, RECEIVEQ, &c->elem, n);
		buf += n;
		len -= n;
	}
	virtio_notify_guest(&c->dev, RECEIVEQ);
}

static const struct virtio_type console_type = {
	.device_id = 3,
	.pci_id = 0x1003,
	.class24 = 0x078000,
	.nqueues = 2,
	.queue_size = QUEUE_SIZE,
	.config_len = 12,
	.notify = console_notify,
};

struct virtio_console *virtio_console_new(const struct virtio_place *place, struct ui_stream *stream)
{
	struct virtio_console *c = xalloc(sizeof(*c));
	struct ui_stream_sink sink = {.opaque = c, .can_receive = can_receive, .receive = receive};

	c->stream = stream;
	virtio_init(&c->dev, &console_type, place, 0, c);
	put_le32(c->dev.config + 4, 1); /* ports */
	ui_stream_attach(stream, &sink);
	return c;
}

void virtio_console_reset(struct virtio_console *c)
{
	virtio_reset(&c->dev);
}

void virtio_console_free(struct virtio_console *c)
{
	free(c);
}
