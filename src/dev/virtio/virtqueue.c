// SPDX-License-Identifier: GPL-2.0-or-later
/* what: split virtqueues: chains taken from the driver, used buffers given back, and who must tell whom
 *
 * Everything in the rings is the guest's and may change under us, so each value is read once, checked, then used:
 *
 * I1  A chain has at most VIRTQ_MAX_SIZE segments, each of them contiguous RAM; loops end by that count.
 * I2  A violation breaks the device (NEEDS_RESET) and takes nothing; ring indices are never trusted beyond the queue's
 *     size.
 * I3  Who writes to guest memory tells mem at once (mem_dma_written), whatever becomes of the request and the device:
 *     there may be code.
 * I4  A queue of the longest chains takes milliseconds, and rings that overlap never end. So a device takes no chain
 *     when its turn is over (VIRTIO_TURN); virtio_again goes on, other timers first.
 * Source: VIRTIO 1.1, 2.6.
 */
#include <string.h>

#include "dev/virtio/virtio_int.h"

#define DESC_NEXT 1
#define DESC_WRITE 2
#define DESC_INDIRECT 4
#define AVAIL_NO_INTERRUPT 1
#define DESC_SIZE 16u

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* The rings of one queue as host pointers: good only while the lock is held. */
struct rings {
	uint8_t *desc, *avail, *used;
};

/* avail_event lies behind the used ring's elements: 2.6.8. */
static unsigned event_at(const struct virtq_state *vq)
{
	return 4 + 8u * vq->size;
}

static bool has_event_idx(const struct virtio_dev *d)
{
	return d->s.driver_features & VIRTIO_F_EVENT_IDX;
}

static uint16_t load16(const uint8_t *p)
{
	return __atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_ACQUIRE);
}

static void store16(uint8_t *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)(void *)p, v, __ATOMIC_RELEASE);
}

static bool map_rings(struct virtio_dev *d, const struct virtq_state *vq, struct rings *r)
{
	if (!vq->enabled || !virtio_running(d))
		return false;
	if ((vq->desc & 15) || (vq->avail & 1) || (vq->used & 3))
		goto bad;
	r->desc = mem_dma_ptr(d->mem, vq->desc, vq->size * DESC_SIZE);
	r->avail = mem_dma_ptr(d->mem, vq->avail, 6 + 2u * vq->size);
	r->used = mem_dma_ptr(d->mem, vq->used, 6 + 8u * vq->size);
	if (r->desc && r->avail && r->used)
		return true;
bad:
	virtio_broken(d, "a ring is not in RAM");
	return false;
}

static struct desc get_desc(const uint8_t *table, unsigned i)
{
	uint8_t copy[DESC_SIZE];

	memcpy(copy, table + (size_t)i * DESC_SIZE, DESC_SIZE);
	return (struct desc){.addr = get_le64(copy), .len = get_le32(copy + 8), .flags = get_le16(copy + 12),
	                     .next = get_le16(copy + 14)};
}

static const char *add_segment(struct virtio_dev *d, struct virtq_elem *e, const struct desc *s)
{
	unsigned n = e->nout + e->nin;
	void *p;

	if (n >= VIRTQ_MAX_SIZE)
		return "a chain is too long or loops";
	if (!(s->flags & DESC_WRITE) && e->nin)
		return "a readable descriptor follows a writable one";
	p = s->len ? mem_dma_ptr(d->mem, s->addr, s->len) : e;
	if (!p)
		return "a descriptor points outside RAM";
	e->iov[n] = (struct iovec){.iov_base = p, .iov_len = s->len};
	e->gpa[n] = s->addr;
	if (s->flags & DESC_WRITE) {
		e->nin++;
		e->in_len += s->len;
	} else {
		e->nout++;
		e->out_len += s->len;
	}
	return NULL;
}

/* Follow a chain in table (of n descriptors) from i; an indirect table may stand only in the ring's own. */
/* NOLINTNEXTLINE(misc-no-recursion): nested says that this is the second and last level */
static const char *walk_chain(struct virtio_dev *d, struct virtq_elem *e, const uint8_t *table, unsigned n, unsigned i,
                              bool nested)
{
	for (unsigned steps = 0; steps <= VIRTQ_MAX_SIZE; steps++) {
		struct desc s;
		const char *bad;

		if (i >= n)
			return "a descriptor index is out of range";
		s = get_desc(table, i);
		if (s.flags & DESC_INDIRECT) {
			const uint8_t *t = NULL;

			if (nested || (s.flags & DESC_NEXT) || !s.len || s.len % DESC_SIZE || s.len > 65536 * DESC_SIZE)
				return "an indirect descriptor is malformed";
			t = mem_dma_ptr(d->mem, s.addr, s.len);
			return t ? walk_chain(d, e, t, s.len / DESC_SIZE, 0, true) : "an indirect table is outside RAM";
		}
		bad = add_segment(d, e, &s);
		if (bad || !(s.flags & DESC_NEXT))
			return bad;
		i = s.next;
	}
	return "a chain is too long or loops";
}

/* How many chains wait; tells the driver, if asked to, that it must notify of the next one. */
static unsigned waiting(struct virtio_dev *d, struct virtq_state *vq, const struct rings *r)
{
	uint16_t n = (uint16_t)(load16(r->avail + 2) - vq->last_avail);

	if (!n && has_event_idx(d)) { /* 2.6.7.2: then look again, it may have added one before it saw this */
		store16(r->used + event_at(vq), vq->last_avail);
		mem_dma_written(d->mem, vq->used + event_at(vq), 2);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		n = (uint16_t)(load16(r->avail + 2) - vq->last_avail);
	}
	if (n <= vq->size)
		return n;
	virtio_broken(d, "the available index ran ahead");
	return 0;
}

unsigned virtq_waiting(struct virtio_dev *d, unsigned q)
{
	struct rings r;

	return map_rings(d, &d->s.vq[q], &r) ? waiting(d, &d->s.vq[q], &r) : 0;
}

bool virtq_pop(struct virtio_dev *d, unsigned q, struct virtq_elem *e)
{
	struct virtq_state *vq = &d->s.vq[q];
	const char *bad;
	struct rings r;

	if (!map_rings(d, vq, &r) || !waiting(d, vq, &r))
		return false;
	if (d->spent >= VIRTIO_TURN) {
		virtio_again(d, q);
		return false;
	}
	e->head = load16(r.avail + 4 + 2u * (vq->last_avail & (vq->size - 1u)));
	e->nout = e->nin = 0;
	e->out_len = e->in_len = 0;
	bad = walk_chain(d, e, r.desc, vq->size, e->head, false);
	if (bad) {
		virtio_broken(d, bad);
		return false;
	}
	vq->last_avail++;
	d->spent += 1 + e->nout + e->nin;
	return true;
}

void virtq_unpop(struct virtio_dev *d, unsigned q)
{
	d->s.vq[q].last_avail--;
}

void virtq_unpop_many(struct virtio_dev *d, unsigned q, unsigned n)
{
	d->s.vq[q].last_avail = (uint16_t)(d->s.vq[q].last_avail - n);
}

void virtq_written(struct virtio_dev *d, const struct virtq_elem *e, uint64_t n)
{
	for (unsigned i = e->nout; i < e->nout + e->nin && n; i++) {
		uint64_t part = MIN(n, e->iov[i].iov_len);

		if (part)
			mem_dma_written(d->mem, e->gpa[i], part);
		n -= part;
	}
}

void virtq_put(struct virtio_dev *d, unsigned q, const struct virtq_elem *e, uint32_t written, unsigned n)
{
	struct virtq_state *vq = &d->s.vq[q];
	struct rings r;
	unsigned at = 4 + 8u * ((vq->used_idx + n) & (vq->size - 1u));

	if (!map_rings(d, vq, &r))
		return;
	put_le32(r.used + at, e->head);
	put_le32(r.used + at + 4, written);
	mem_dma_written(d->mem, vq->used + at, 8);
}

void virtq_publish(struct virtio_dev *d, unsigned q, unsigned count)
{
	struct virtq_state *vq = &d->s.vq[q];
	struct rings r;

	if (!map_rings(d, vq, &r))
		return;
	vq->used_idx = (uint16_t)(vq->used_idx + count);
	store16(r.used + 2, vq->used_idx);
	mem_dma_written(d->mem, vq->used + 2, 2);
}

void virtq_push(struct virtio_dev *d, unsigned q, const struct virtq_elem *e, uint32_t written)
{
	virtq_put(d, q, e, written, 0);
	virtq_publish(d, q, 1);
}

bool virtq_wants_interrupt(struct virtio_dev *d, unsigned q)
{
	struct virtq_state *vq = &d->s.vq[q];
	uint16_t old = vq->signalled, event;
	struct rings r;

	if (!map_rings(d, vq, &r))
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* the used index before what the driver asks for */
	if (!has_event_idx(d))
		return !(load16(r.avail) & AVAIL_NO_INTERRUPT);
	vq->signalled = vq->used_idx;
	event = load16(r.avail + 4 + 2u * vq->size);
	/* 2.6.7.1: interrupt if the index passed used_event since the last time */
	return (uint16_t)(vq->used_idx - event - 1) < (uint16_t)(vq->used_idx - old);
}

/* The part of segment i that lies skip bytes in and has at most len; skip goes on to the next one. */
static size_t part_of(const struct iovec *iov, size_t *skip, size_t len, uint8_t **at)
{
	size_t from = MIN(*skip, iov->iov_len);

	*skip -= from;
	*at = (uint8_t *)iov->iov_base + from;
	return MIN(iov->iov_len - from, len);
}

size_t virtq_read(const struct virtq_elem *e, size_t skip, void *buf, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < e->nout && done < len; i++) {
		uint8_t *at;
		size_t n = part_of(&e->iov[i], &skip, len - done, &at);

		memcpy((uint8_t *)buf + done, at, n);
		done += n;
	}
	return done;
}

size_t virtq_write(struct virtio_dev *d, const struct virtq_elem *e, size_t skip, const void *buf, size_t len)
{
	size_t done = 0;

	for (unsigned i = e->nout; i < e->nout + e->nin && done < len; i++) {
		uint8_t *at;
		size_t n = part_of(&e->iov[i], &skip, len - done, &at);

		if (!n)
			continue;
		memcpy(at, (const uint8_t *)buf + done, n);
		mem_dma_written(d->mem, e->gpa[i] + (uint64_t)(at - (uint8_t *)e->iov[i].iov_base), n);
		done += n;
	}
	return done;
}
