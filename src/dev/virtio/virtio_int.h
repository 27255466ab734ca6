// SPDX-License-Identifier: GPL-2.0-or-later
/* what: between a virtio device, its queues (virtqueue.c) and its PCI face (virtio_pci.c)
 *
 *   guest --notify--> virtio_pci --type.notify--> device --virtq_pop--> element
 *   device --virtq_push, virtio_notify_guest--> used ring, interrupt
 */
#ifndef DEV_VIRTIO_VIRTIO_INT_H
#define DEV_VIRTIO_VIRTIO_INT_H

#include <sys/uio.h>

#include "dev/virtio/virtio.h"

/* Virtual I/O Device (VIRTIO) 1.1: 2.1 status, 6 reserved feature bits */
#define VIRTIO_STATUS_DRIVER_OK 0x04
#define VIRTIO_STATUS_FEATURES_OK 0x08
#define VIRTIO_STATUS_NEEDS_RESET 0x40
#define VIRTIO_F_ANY_LAYOUT (1ull << 27)
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX (1ull << 29)
#define VIRTIO_F_VERSION_1 (1ull << 32)

#define VIRTIO_MAX_QUEUES 3
#define VIRTQ_MAX_SIZE 256u /* of a queue, and so of a chain: 2.6.5.3.1 */
#define VIRTIO_NO_VECTOR 0xffff
/* What a device does at once, with the lock held: look at so many descriptors, or copy eight times as many bytes. */
#define VIRTIO_TURN 4096u

struct virtq_state {
	uint64_t desc, avail, used; /* guest-physical */
	uint16_t size;
	uint16_t last_avail;        /* next entry of the available ring to be taken */
	uint16_t used_idx;
	uint16_t signalled;         /* used_idx when the driver was last interrupted */
	uint16_t vector;
	bool enabled;
	uint8_t pad_[5];
};

struct virtio_state {
	uint64_t driver_features;
	struct virtq_state vq[VIRTIO_MAX_QUEUES];
	uint32_t device_feature_sel, driver_feature_sel;
	uint16_t queue_sel, config_vector;
	uint8_t status, isr;
	uint8_t generation; /* of the configuration: 4.1.4.3.1 */
	uint8_t pad_[1];
};

struct virtio_dev;

struct virtio_type {
	uint16_t device_id;  /* virtio's: 2 block, 3 console, 4 entropy */
	uint16_t pci_id;     /* transitional */
	uint32_t class24;
	uint16_t nqueues, queue_size;
	uint64_t features;   /* of the device; the transport adds its own */
	uint32_t config_len; /* at most 64 */
	/* A queue has buffers; lock held, bus mastering on. */
	void (*notify)(void *opaque, unsigned q);
	/* The driver gave the device up: forget requests, drop completions still to come. */
	void (*reset)(void *opaque);
	/* The driver's features are settled; may be NULL. */
	void (*negotiated)(void *opaque);
	/* A snapshot was loaded; may be NULL. */
	void (*loaded)(void *opaque);
};

struct virtio_dev {
	struct pci_dev pci;
	struct virtio_state s;
	struct pci_msix_state msix;
	struct mem *mem;
	const char *name;
	const struct virtio_type *type;
	void *opaque;
	uint64_t features;    /* offered */
	uint8_t config[64];   /* device-specific configuration, read-only to the driver */
	unsigned inflight;    /* requests that still may touch guest memory */
	struct loop_timer again; /* armed while the bits of queues that go on are not 0 */
	uint32_t again_queues;
	unsigned spent;       /* of VIRTIO_TURN */
	uint8_t pci_cfg_cap;  /* offset of the capability that reaches BARs through configuration space */
};

/* One chain of descriptors: nout segments the device reads, then nin it writes. */
struct virtq_elem {
	uint16_t head;
	unsigned nout, nin;
	uint64_t out_len, in_len;
	struct iovec iov[VIRTQ_MAX_SIZE];
	gpa_t gpa[VIRTQ_MAX_SIZE];
};

/* virtio_pci.c. feature bits beyond type->features (read-only disk) go to extra. */
void virtio_init(struct virtio_dev *d, const struct virtio_type *type, const struct virtio_place *place,
                 uint64_t extra, void *opaque);
void virtio_fini(struct virtio_dev *d);
void virtio_reset(struct virtio_dev *d);
/* The turn is over, or what was waited for has come: notify() the device of queue q in a moment, timers first. */
void virtio_again(struct virtio_dev *d, unsigned q);
/* Interrupt the driver for queue q if it wants that. */
void virtio_notify_guest(struct virtio_dev *d, unsigned q);
/* d->config changed: tell the driver, if it runs. */
void virtio_config_changed(struct virtio_dev *d);
/* The driver broke the rules: stop until it resets the device. */
void virtio_broken(struct virtio_dev *d, const char *why);

/* May queues be used? 2.1.2: not before DRIVER_OK; 3.1.2: old drivers begin earlier. */
static inline bool virtio_running(const struct virtio_dev *d)
{
	return !(d->s.status & VIRTIO_STATUS_NEEDS_RESET) &&
	       (d->s.status & VIRTIO_STATUS_DRIVER_OK || !(d->s.driver_features & VIRTIO_F_VERSION_1));
}

/* virtqueue.c. Take the next chain; false: none, or the turn is over, or the device is now broken. */
bool virtq_pop(struct virtio_dev *d, unsigned q, struct virtq_elem *e);
/* The chain that was taken last is to be taken again. */
void virtq_unpop(struct virtio_dev *d, unsigned q);
/* The last n of them are. */
void virtq_unpop_many(struct virtio_dev *d, unsigned q, unsigned n);
/* Buffers waiting, without taking any. */
unsigned virtq_waiting(struct virtio_dev *d, unsigned q);
/* Give the chain back, its first `written` device-writable bytes filled: virtq_write did, or virtq_written was told. */
void virtq_push(struct virtio_dev *d, unsigned q, const struct virtq_elem *e, uint32_t written);
/* Give back several at once: each is put down n behind the last one given back, then all are by the count. */
void virtq_put(struct virtio_dev *d, unsigned q, const struct virtq_elem *e, uint32_t written, unsigned n);
void virtq_publish(struct virtio_dev *d, unsigned q, unsigned count);
/* Whether the driver wants an interrupt for what was pushed since the last one. */
bool virtq_wants_interrupt(struct virtio_dev *d, unsigned q);
/* Copy to or from the segments of one direction, starting `skip` bytes in. Returns bytes copied. */
size_t virtq_read(const struct virtq_elem *e, size_t skip, void *buf, size_t len);
size_t virtq_write(struct virtio_dev *d, const struct virtq_elem *e, size_t skip, const void *buf, size_t len);
/* Somebody else has written, or may have, to the first n device-writable bytes. */
void virtq_written(struct virtio_dev *d, const struct virtq_elem *e, uint64_t n);

#endif
