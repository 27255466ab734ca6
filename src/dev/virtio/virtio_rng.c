// SPDX-License-Identifier: GPL-2.0-or-later
/* what: virtio entropy source: fills the driver's buffers from the host's random number generator
 *
 * Source: VIRTIO 1.1, 5.4. A buffer may be filled in part, so one request costs at most RNG_MAX bytes of time under the
 * lock; making a byte takes as long as copying several.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "dev/virtio/virtio_int.h"

#define RNG_MAX 4096
#define QUEUE_SIZE 64

struct virtio_rng {
	struct virtio_dev dev;
	struct virtq_elem elem;
};

static void rng_notify(void *opaque, unsigned q)
{
	struct virtio_rng *r = opaque;
	uint8_t buf[RNG_MAX];
	bool any = false;

	while (virtq_pop(&r->dev, q, &r->elem)) {
		size_t want = (size_t)MIN(r->elem.in_len, sizeof(buf));
		ssize_t n = getrandom(buf, want, 0);

		if (n < 0)
			n = 0; /* interrupted: the driver asks again */
		virtq_write(&r->dev, &r->elem, 0, buf, (size_t)n);
		virtq_push(&r->dev, q, &r->elem, (uint32_t)n);
		r->dev.spent += (unsigned)n / 4;
		any = true;
	}
	if (any)
		virtio_notify_guest(&r->dev, q);
}

static const struct virtio_type rng_type = {
	.device_id = 4,
	.pci_id = 0x1005,
	.class24 = 0x00ff00,
	.nqueues = 1,
	.queue_size = QUEUE_SIZE,
	.notify = rng_notify,
};

struct virtio_rng *virtio_rng_new(const struct virtio_place *place)
{
	struct virtio_rng *r = xalloc(sizeof(*r));

	virtio_init(&r->dev, &rng_type, place, 0, r);
	return r;
}

void virtio_rng_reset(struct virtio_rng *r)
{
	virtio_reset(&r->dev);
}

void virtio_rng_free(struct virtio_rng *r)
{
	if (!r)
		return;
	virtio_fini(&r->dev);
	free(r);
}
