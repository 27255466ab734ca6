// SPDX-License-Identifier: GPL-2.0-or-later
/* what: virtio block device: requests from the queue go to the disk image as they are, without copying
 *
 * A request is a header the driver wrote, data segments, and one status byte the device writes. Data segments become
 * the iovec of a block request as they lie in guest memory. Any number of requests may be under way; each has its own
 * slot, kept for reuse, at most one for each entry of the queue.
 *
 * I1  A slot whose epoch is not the device's belongs to a driver that reset the device: its completion tells that its
 *     segments were written, for the medium's bytes have come all the same, and frees it.
 * Source: VIRTIO 1.1, 5.2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/virtio/virtio_int.h"

#define F_SEG_MAX (1ull << 2)
#define F_GEOMETRY (1ull << 4)
#define F_RO (1ull << 5)
#define F_BLK_SIZE (1ull << 6)
#define F_FLUSH (1ull << 9)
#define F_TOPOLOGY (1ull << 10)
#define F_DISCARD (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)
#define T_IN 0
#define T_OUT 1
#define T_FLUSH 4
#define T_GET_ID 8
#define T_DISCARD 11
#define T_WRITE_ZEROES 13
#define S_OK 0
#define S_IOERR 1
#define S_UNSUPP 2
#define HEADER_LEN 16
#define ID_LEN 20
#define RANGE_LEN 16 /* sector u64, count u32, flags u32 */
#define RANGE_UNMAP 1u
#define RANGE_MAX (1u << 22) /* sectors in one request: 2 GiB */
#define SECTOR 512
#define QUEUE_SIZE VIRTQ_MAX_SIZE

struct slot {
	struct block_req req;
	struct virtio_blk *b;
	struct virtq_elem elem;
	struct iovec iov[VIRTQ_MAX_SIZE];
	uint32_t epoch;
	struct slot *next;
};

struct virtio_blk {
	struct virtio_dev dev;
	struct block *blk;
	char serial[ID_LEN + 1];
	uint32_t epoch;
	struct slot *idle;
};

static struct slot *slot_get(struct virtio_blk *b)
{
	struct slot *s = b->idle;

	if (!s) {
		s = xalloc(sizeof(*s));
		b->dev.spent += (unsigned)sizeof(*s) / 64; /* and touched for the first time */
		s->b = b;
	} else {
		b->idle = s->next;
	}
	s->epoch = b->epoch;
	return s;
}

static void slot_put(struct slot *s)
{
	s->next = s->b->idle;
	s->b->idle = s;
}

/* The status byte is the last writable byte, however the driver cut its buffers. */
static void finish(struct slot *s, uint8_t status)
{
	struct virtio_blk *b = s->b;
	struct virtq_elem *e = &s->elem;

	if (s->epoch == b->epoch) {
		virtq_write(&b->dev, e, e->in_len - 1, &status, 1);
		virtq_push(&b->dev, 0, e, (uint32_t)MIN(e->in_len, UINT32_MAX));
		virtio_notify_guest(&b->dev, 0);
	}
	slot_put(s);
}

static void request_done(struct block_req *req, int result)
{
	struct slot *s = req->opaque;
	struct virtio_blk *b = s->b;
	bool was_full = b->dev.inflight-- == QUEUE_SIZE;

	if (req->op == BLOCK_READ)
		virtq_written(&b->dev, &s->elem, s->elem.in_len - 1);
	finish(s, result ? S_IOERR : S_OK);
	if (was_full)
		virtio_again(&b->dev, 0);
}

/* Segments [first, first + n) without their first skip and beyond len bytes. Returns entries. */
static unsigned slice(const struct iovec *from, unsigned n, uint64_t skip, uint64_t len, struct iovec *to)
{
	unsigned out = 0;

	for (unsigned i = 0; i < n && len; i++) {
		uint64_t part;

		if (skip >= from[i].iov_len) {
			skip -= from[i].iov_len;
			continue;
		}
		part = MIN(from[i].iov_len - skip, len);
		to[out].iov_base = (uint8_t *)from[i].iov_base + skip;
		to[out++].iov_len = part;
		len -= part;
		skip = 0;
	}
	return out;
}

static void submit(struct slot *s, enum block_op op, uint64_t offset, unsigned niov)
{
	s->req = (struct block_req){.op = op, .offset = offset, .iov = s->iov, .niov = niov, .done = request_done,
		.opaque = s};
	s->b->dev.inflight++;
	block_submit(s->b->blk, &s->req);
}

static void transfer(struct slot *s, bool write, uint64_t sector)
{
	const struct virtq_elem *e = &s->elem;
	uint64_t len = write ? e->out_len - HEADER_LEN : e->in_len - 1, size = block_size(s->b->blk);
	unsigned n;

	/* more than all of RAM can only go to the same place again and again */
	if (len % SECTOR || len > size || len > mem_ram_size(s->b->dev.mem) || sector > (size - len) / SECTOR ||
	    (write && block_readonly(s->b->blk))) {
		finish(s, S_IOERR);
		return;
	}
	if (!len) {
		finish(s, S_OK);
		return;
	}
	if (write)
		n = slice(e->iov, e->nout, HEADER_LEN, len, s->iov);
	else
		n = slice(e->iov + e->nout, e->nin, 0, len, s->iov);
	submit(s, write ? BLOCK_WRITE : BLOCK_READ, sector * SECTOR, n);
}

/* 5.2.6.2: one range a request, as the configuration says. */
static void range(struct slot *s, bool zeroes)
{
	struct block *blk = s->b->blk;
	uint8_t r[RANGE_LEN];
	uint64_t sector, size = block_size(blk) / SECTOR;
	uint32_t count, flags;

	if (s->elem.out_len != HEADER_LEN + RANGE_LEN || virtq_read(&s->elem, HEADER_LEN, r, RANGE_LEN) != RANGE_LEN) {
		finish(s, S_IOERR);
		return;
	}
	sector = get_le64(r);
	count = get_le32(r + 8);
	flags = get_le32(r + 12);
	if (flags & ~(zeroes ? RANGE_UNMAP : 0)) {
		finish(s, S_UNSUPP);
		return;
	}
	if (!count || count > RANGE_MAX || count > size || sector > size - count || block_readonly(blk)) {
		finish(s, S_IOERR);
		return;
	}
	s->req = (struct block_req){.op = zeroes ? BLOCK_WRITE_ZEROES : BLOCK_DISCARD, .offset = sector * SECTOR,
		.len = (uint64_t)count * SECTOR, .unmap = flags & RANGE_UNMAP, .done = request_done, .opaque = s};
	s->b->dev.inflight++;
	block_submit(blk, &s->req);
}

static void get_id(struct slot *s)
{
	char id[ID_LEN] = {0};

	memcpy(id, s->b->serial, strlen(s->b->serial));
	if (s->elem.in_len - 1 < ID_LEN) {
		finish(s, S_IOERR);
		return;
	}
	virtq_write(&s->b->dev, &s->elem, 0, id, ID_LEN);
	finish(s, S_OK);
}

static void start(struct slot *s)
{
	uint8_t header[HEADER_LEN];

	if (!s->elem.in_len || virtq_read(&s->elem, 0, header, HEADER_LEN) != HEADER_LEN) {
		virtio_broken(&s->b->dev, "a block request without header or status byte");
		slot_put(s);
		return;
	}
	switch (get_le32(header)) {
	case T_IN:
		transfer(s, false, get_le64(header + 8));
		break;
	case T_OUT:
		transfer(s, true, get_le64(header + 8));
		break;
	case T_FLUSH:
		submit(s, BLOCK_FLUSH, 0, 0);
		break;
	case T_GET_ID:
		get_id(s);
		break;
	case T_DISCARD:
	case T_WRITE_ZEROES:
		range(s, get_le32(header) == T_WRITE_ZEROES);
		break;
	default:
		finish(s, S_UNSUPP);
	}
}

static void blk_notify(void *opaque, unsigned q)
{
	struct virtio_blk *b = opaque;

	/* Only entries used twice, or requests of before a reset, can make this stop early; request_done resumes it. */
	while (b->dev.inflight < QUEUE_SIZE) {
		struct slot *s = slot_get(b);

		if (!virtq_pop(&b->dev, q, &s->elem)) {
			slot_put(s);
			break;
		}
		start(s);
	}
}

static void blk_reset(void *opaque)
{
	struct virtio_blk *b = opaque;

	b->epoch++;
}

static const struct virtio_type blk_type = {
	.device_id = 2,
	.pci_id = 0x1001,
	.class24 = 0x010000,
	.nqueues = 1,
	.queue_size = QUEUE_SIZE,
	.features = F_SEG_MAX | F_GEOMETRY | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY,
	.config_len = 60,
	.notify = blk_notify,
	.reset = blk_reset,
};

/* 5.2.4 struct virtio_blk_config */
static void init_config(struct virtio_blk *b)
{
	uint64_t sectors = block_size(b->blk) / SECTOR;
	uint8_t *c = b->dev.config;

	put_le64(c + 0, sectors);
	put_le32(c + 12, QUEUE_SIZE - 2); /* segments, beside header and status */
	put_le16(c + 16, (uint16_t)MIN(sectors / (16 * 63), 65535));
	c[18] = 16;
	c[19] = 63;
	put_le32(c + 20, SECTOR);
	c[24] = 3; /* physical block: 2^3 sectors, the host's page */
	put_le16(c + 26, 1);
	c[32] = 1; /* write-back */
	put_le16(c + 34, 1); /* queues */
	put_le32(c + 36, RANGE_MAX); /* discard: sectors, ranges, alignment */
	put_le32(c + 40, 1);
	put_le32(c + 44, 8);
	put_le32(c + 48, RANGE_MAX); /* write zeroes: sectors, ranges, may unmap */
	put_le32(c + 52, 1);
	c[56] = 1;
}

struct virtio_blk *virtio_blk_new(const struct virtio_place *place, struct block *blk, const char *serial)
{
	struct virtio_blk *b = xalloc(sizeof(*b));

	b->blk = blk;
	snprintf(b->serial, sizeof(b->serial), "%s", serial ? serial : place->name);
	virtio_init(&b->dev, &blk_type, place, block_readonly(blk) ? F_RO : F_DISCARD | F_WRITE_ZEROES, b);
	init_config(b);
	return b;
}

void virtio_blk_reset(struct virtio_blk *b)
{
	virtio_reset(&b->dev);
}

void virtio_blk_free(struct virtio_blk *b)
{
	if (!b)
		return;
	virtio_fini(&b->dev);
	while (b->idle) {
		struct slot *s = b->idle;

		b->idle = s->next;
		free(s);
	}
	free(b);
}
