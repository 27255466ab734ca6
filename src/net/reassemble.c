// SPDX-License-Identifier: GPL-2.0-or-later
/* what: IPv4 datagrams put together out of their fragments, before libslirp sees them
 *
 * libslirp 4.7 keeps fragments in lists that live in the packets themselves, and some overlaps make it write through
 * pointers made of a guest's data (tests/fuzz/corpus/wire/fragments). So it gets whole datagrams only. Fragments may
 * come in any order; each byte may come once: an overlap ends the datagram (as RFC 5722 has it for IPv6).
 *
 * I1  At most SLOTS datagrams are kept, each for TIMEOUT_NS: the oldest goes first.
 * I2  A slot's bitmap has a bit for each 8 bytes that have come; `last` is 0 until the end is known.
 * Source: RFC 791, 3.2.
 */
#include <stdlib.h>
#include <string.h>

#include "net/net_int.h"

#define SLOTS 8
#define TIMEOUT_NS 30000000000ull
#define UNITS 8192u         /* of 8 bytes, in the longest datagram */
#define DATA_MAX 65515u
#define IP_AT NET_HEADER_LEN
#define IP_LEN 20u          /* options of the first fragment are left out */
#define MORE 0x2000

struct slot {
	uint64_t since;             /* 0: free */
	uint8_t key[11];            /* addresses, identification, protocol */
	uint32_t have, last;        /* units that have come; bytes of the whole */
	uint8_t map[UNITS / 8];
	uint8_t *frame;             /* Ethernet and IP header, data */
};

struct net_fragments {
	struct slot slot[SLOTS];
};

struct net_fragments *net_fragments_new(void)
{
	return xalloc(sizeof(struct net_fragments));
}

static void forget(struct slot *s)
{
	free(s->frame);
	*s = (struct slot){ 0 };
}

void net_fragments_free(struct net_fragments *fr)
{
	for (unsigned i = 0; fr && i < SLOTS; i++)
		forget(&fr->slot[i]);
	free(fr);
}

bool net_is_fragment(const uint8_t *frame, uint32_t len)
{
	return len >= IP_AT + IP_LEN && get_be16(frame + 12) == 0x0800 && get_be16(frame + IP_AT + 6) & 0x3fff;
}

static struct slot *find(struct net_fragments *fr, const uint8_t *key, uint64_t now)
{
	struct slot *oldest = fr->slot;

	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &fr->slot[i];

		if (s->since && now > s->since + TIMEOUT_NS)
			forget(s);
		if (s->since && !memcmp(s->key, key, sizeof(s->key)))
			return s;
		if (s->since < oldest->since)
			oldest = s;
	}
	forget(oldest);
	oldest->frame = try_alloc(IP_AT + IP_LEN + DATA_MAX, SIZE_MAX);
	if (!oldest->frame)
		return NULL;
	oldest->since = now + 1;
	memcpy(oldest->key, key, sizeof(oldest->key));
	return oldest;
}

/* Marks units [first, first + n). False: one of them was there. */
static bool mark(struct slot *s, uint32_t first, uint32_t n)
{
	for (uint32_t u = first; u < first + n; u++)
		if (s->map[u / 8] >> u % 8 & 1)
			return false;
	for (uint32_t u = first; u < first + n; u++)
		s->map[u / 8] |= (uint8_t)(1 << u % 8);
	s->have += n;
	return true;
}

static uint8_t *finish(struct slot *s, uint32_t *len)
{
	uint8_t *ip = s->frame + IP_AT;

	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)(IP_LEN + s->last));
	put_be16(ip + 6, 0);
	put_be16(ip + 10, 0);
	net_checksum(s->frame, IP_AT, IP_AT + IP_LEN, IP_AT + 10);
	*len = IP_AT + IP_LEN + s->last;
	return s->frame;
}

uint8_t *net_fragments_add(struct net_fragments *fr, const uint8_t *frame, uint32_t len, uint64_t now, uint32_t *whole)
{
	const uint8_t *ip = frame + IP_AT;
	uint32_t header = (ip[0] & 15) * 4u, total = get_be16(ip + 2), at = (get_be16(ip + 6) & 0x1fff) * 8u, n;
	bool more = get_be16(ip + 6) & MORE;
	uint8_t key[11];
	struct slot *s;

	if (ip[0] >> 4 != 4 || header < IP_LEN || total <= header || total > len - IP_AT ||
	    net_sum_fold(net_sum(ip, header, 0)) != 0xffff)
		return NULL;
	n = total - header;
	if (at + n > DATA_MAX || (more && n % 8))
		return NULL;
	memcpy(key, ip + 12, 8);
	memcpy(key + 8, ip + 4, 2);
	key[10] = ip[9];
	s = find(fr, key, now);
	if (!s)
		return NULL;
	if (!mark(s, at / 8, (n + 7) / 8) || (!more && s->last) || (s->last && at + n > s->last)) {
		forget(s);
		return NULL;
	}
	memcpy(s->frame + IP_AT + IP_LEN + at, ip + header, n);
	if (!at || !s->frame[12])
		memcpy(s->frame, frame, IP_AT + IP_LEN);
	if (!more)
		s->last = at + n;
	return s->last && s->have == (s->last + 7) / 8 ? finish(s, whole) : NULL;
}

void net_fragments_done(struct net_fragments *fr, const uint8_t *frame)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (fr->slot[i].frame == frame)
			forget(&fr->slot[i]);
}
