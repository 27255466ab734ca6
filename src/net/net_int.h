// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the files of the net room share: offload, queues of frames, pcap, and the form of a backend */
#ifndef NET_NET_INT_H
#define NET_NET_INT_H

#include "net/net.h"

/* --- offload.c --- */

/* The Internet checksum's sum, not folded, of bytes that begin at an even place. */
uint64_t net_sum(const void *p, size_t len, uint64_t sum);
uint16_t net_sum_fold(uint64_t sum);
/* Finish what NET_CSUM_PARTIAL asks for, in place. False: it points outside the frame. */
bool net_offload_finish(uint8_t *frame, uint32_t len, const struct net_offload *off);

/* A large TCP frame, looked into: where its headers end, and whether it can be cut. */
struct net_cut {
	uint32_t l3, l4, payload; /* offsets */
	uint32_t len, size;       /* of the frame; of a segment's payload */
	bool v6;
};
bool net_cut_begin(struct net_cut *cut, const uint8_t *frame, uint32_t len, const struct net_offload *off);
unsigned net_cut_count(const struct net_cut *cut);
/* Segment i into out (headers and size bytes), checksums finished; returns its length. */
uint32_t net_cut_segment(const struct net_cut *cut, const uint8_t *frame, unsigned i, uint8_t *out);
/* The checksums of a large frame, which stays in one piece. */
void net_cut_whole(const struct net_cut *cut, uint8_t *frame);

/* --- frame_queue.c: frames waiting, bounded --- */

struct net_queued {
	struct net_queued *next;
	uint64_t when;
	struct net_offload off;
	uint32_t len;
	uint8_t data[];
};
struct net_queue {
	struct net_queued *head, **tail;
	unsigned frames;
	size_t bytes;
};
#define NET_QUEUE_FRAMES 1024u
#define NET_QUEUE_BYTES MIB(2)
void net_queue_init(struct net_queue *q);
/* Copies it. False: there is no room, or no memory. */
bool net_queue_put(struct net_queue *q, const struct net_frame *f, uint64_t when);
void net_queue_drop_first(struct net_queue *q);
void net_queue_clear(struct net_queue *q);

/* --- framer.c: QEMU's framing of a stream --- */

#define NET_FRAMER_HEAD 4u
struct net_framer {
	size_t at, have; /* in buf: the next frame, and the end of what came */
	uint8_t buf[2 * (NET_FRAMER_HEAD + NET_FRAME_MAX)];
};
/* Where bytes may be put, never 0 of them after all whole frames were dropped; then tell how many. */
uint8_t *net_framer_room(struct net_framer *r, size_t *len);
void net_framer_add(struct net_framer *r, size_t len);
/* 1: a frame of len bytes at data; 0: it is not whole yet; -EPROTO: there cannot be one. */
int net_framer_next(struct net_framer *r, uint8_t **data, uint32_t *len);
void net_framer_drop(struct net_framer *r);

/* --- reassemble.c: fragments of IPv4 --- */

struct net_fragments;
struct net_fragments *net_fragments_new(void);
void net_fragments_free(struct net_fragments *fr);
bool net_is_fragment(const uint8_t *frame, uint32_t len);
/* Takes a fragment in. The whole datagram as a frame if it was the last one missing, until net_fragments_done. */
uint8_t *net_fragments_add(struct net_fragments *fr, const uint8_t *frame, uint32_t len, uint64_t now, uint32_t *whole);
void net_fragments_done(struct net_fragments *fr, const uint8_t *frame);

/* --- pcap.c --- */

struct net_pcap;
struct net_pcap *net_pcap_new(const char *path, struct err *err);
void net_pcap_free(struct net_pcap *p);
void net_pcap_write(struct net_pcap *p, const struct net_frame *f);

/* --- backends --- */

struct net_backend {
	/* Fills net->priv. */
	int (*open)(struct net *net, const struct net_config *cfg, struct err *err);
	void (*close)(struct net *net); /* also half-open ones, priv may be NULL */
};
extern const struct net_backend net_user, net_socket, net_switch, net_tap, net_team;

struct net {
	const struct net_backend *backend;
	struct loop *loop;
	struct net_end *end; /* the port's network end */
	const char *name;    /* as in the configuration */
	void *priv;
};

/* Writing to a peer that went away is an error, not the end of the process. */
void net_ignore_sigpipe(void);

#endif
