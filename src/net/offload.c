// SPDX-License-Identifier: GPL-2.0-or-later
/* what: unfinished checksums finished, and large TCP frames cut, for who cannot take them as they are
 *
 * A large frame is one TCP segment of up to 64 KiB with the headers of its first piece; each piece gets a copy of the
 * headers with length, identification, sequence number, flags and checksums of its own. Nothing in a frame is believed
 * before its bounds are checked (net_cut_begin), and a frame is cut into NET_CUT_MAX pieces at most.
 * Sources: RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 1071 (the checksum), VIRTIO 1.1, 5.1.6.2.
 */
#include <string.h>

#include "net/net_int.h"

#define ETH_IPV4 0x0800
#define ETH_IPV6 0x86dd
#define ETH_VLAN 0x8100
#define ETH_QINQ 0x88a8
#define IP_TCP 6
#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80
#define SEGMENT_MIN 48u /* as small as any stack's; so the pieces of a frame are few */

/* RFC 1071 1: sums of any word size, in any byte order, fold to the same. */
uint64_t net_sum(const void *p, size_t len, uint64_t sum)
{
	const uint8_t *b = p;
	uint64_t a = 0, c = 0;
	uint32_t w[4];

	for (; len >= 16; len -= 16, b += 16) {
		memcpy(w, b, 16);
		a += (uint64_t)w[0] + w[1];
		c += (uint64_t)w[2] + w[3];
	}
	sum = (sum & 0xffffffff) + (sum >> 32);
	a = (a & 0xffffffff) + (a >> 32) + (c & 0xffffffff) + (c >> 32);
	for (; len >= 2; len -= 2, b += 2)
		a += (uint64_t)b[0] | (uint64_t)b[1] << 8;
	return sum + a + (len ? b[0] : 0);
}

uint16_t net_sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* 0 says in UDP that there is none (RFC 768), and as a sum it is the same as all ones. */
static void put_checksum(uint8_t *at, uint64_t sum)
{
	uint16_t folded = (uint16_t)~net_sum_fold(sum);

	put_le16(at, folded ? folded : 0xffff);
}

void net_checksum(uint8_t *frame, uint32_t start, uint32_t end, uint32_t at)
{
	put_checksum(frame + at, net_sum(frame + start, end - start, 0));
}

bool net_offload_finish(uint8_t *frame, uint32_t len, const struct net_offload *off)
{
	uint32_t at = (uint32_t)off->csum_start + off->csum_offset;

	if (off->csum_start < NET_HEADER_LEN || at + 2 > len)
		return false;
	net_checksum(frame, off->csum_start, len, at);
	return true;
}

/* Where IP begins, and which; 0: it is not IP. */
static uint32_t find_ip(const uint8_t *frame, uint32_t len, bool *v6)
{
	uint32_t at = 12;
	uint16_t type = get_be16(frame + at);

	for (unsigned tags = 0; tags < 2 && (type == ETH_VLAN || type == ETH_QINQ) && at + 6 <= len; tags++) {
		at += 4;
		type = get_be16(frame + at);
	}
	*v6 = type == ETH_IPV6;
	return type == ETH_IPV4 || type == ETH_IPV6 ? at + 2 : 0;
}

static bool find_tcp4(struct net_cut *cut, const uint8_t *ip)
{
	uint32_t header = (ip[0] & 15) * 4u;

	cut->l4 = cut->l3 + header;
	return ip[0] >> 4 == 4 && header >= 20 && ip[9] == IP_TCP && !(get_be16(ip + 6) & 0x3fff);
}

/* Extension headers are left to the driver, which says where TCP begins. */
static bool find_tcp6(struct net_cut *cut, const uint8_t *ip, const struct net_offload *off)
{
	cut->l4 = off->csum_start;
	return ip[0] >> 4 == 6 && cut->l4 >= cut->l3 + 40;
}

bool net_cut_begin(struct net_cut *cut, const uint8_t *frame, uint32_t len, const struct net_offload *off)
{
	if (len < NET_HEADER_LEN + 40 || len > NET_FRAME_MAX)
		return false;
	cut->l3 = find_ip(frame, len, &cut->v6);
	if (!cut->l3 || cut->l3 + 40 > len || cut->v6 != (off->gso == NET_GSO_TCP6))
		return false;
	if (!(cut->v6 ? find_tcp6(cut, frame + cut->l3, off) : find_tcp4(cut, frame + cut->l3)) || cut->l4 + 20 > len)
		return false;
	cut->payload = cut->l4 + (frame[cut->l4 + 12] >> 4) * 4u;
	cut->len = len;
	cut->size = off->gso_size;
	return cut->payload >= cut->l4 + 20 && cut->payload <= len && cut->size >= SEGMENT_MIN && len - cut->l3 <= 65535;
}

unsigned net_cut_count(const struct net_cut *cut)
{
	uint32_t n = cut->len - cut->payload;

	return n ? (n + cut->size - 1) / cut->size : 1;
}

/* Lengths, and checksums but TCP's, whose pseudo-header is summed up. */
static uint64_t begin_headers(const struct net_cut *cut, uint8_t *frame, uint32_t len)
{
	uint8_t *ip = frame + cut->l3;
	uint32_t tcp_len = len - cut->l4;
	uint8_t pseudo[4] = { 0, IP_TCP, (uint8_t)(tcp_len >> 8), (uint8_t)tcp_len };

	if (cut->v6) {
		put_be16(ip + 4, (uint16_t)(len - cut->l3 - 40));
		return net_sum(pseudo, 4, net_sum(ip + 8, 32, 0));
	}
	put_be16(ip + 2, (uint16_t)(len - cut->l3));
	put_le16(ip + 10, 0);
	put_le16(ip + 10, (uint16_t)~net_sum_fold(net_sum(ip, cut->l4 - cut->l3, 0)));
	return net_sum(pseudo, 4, net_sum(ip + 12, 8, 0));
}

static void finish_headers(const struct net_cut *cut, uint8_t *frame, uint32_t len)
{
	uint64_t sum = begin_headers(cut, frame, len);
	uint8_t *tcp = frame + cut->l4;

	put_le16(tcp + 16, 0);
	put_checksum(tcp + 16, net_sum(tcp, len - cut->l4, sum));
}

bool net_prepare_large(uint8_t *frame, uint32_t len, const struct net_offload *off)
{
	struct net_cut cut;

	if (!net_cut_begin(&cut, frame, len, off) || cut.l4 != off->csum_start)
		return false;
	put_le16(frame + cut.l4 + 16, net_sum_fold(begin_headers(&cut, frame, len)));
	return true;
}

uint32_t net_cut_segment(const struct net_cut *cut, const uint8_t *frame, unsigned i, uint8_t *out)
{
	uint32_t at = i * cut->size, rest = cut->len - cut->payload - at, n = MIN(rest, cut->size);
	uint8_t *ip = out + cut->l3, *tcp = out + cut->l4;

	memcpy(out, frame, cut->payload);
	memcpy(out + cut->payload, frame + cut->payload + at, n);
	if (!cut->v6)
		put_be16(ip + 4, (uint16_t)(get_be16(ip + 4) + i));
	put_be32(tcp + 4, get_be32(tcp + 4) + at);
	if (i)
		tcp[13] &= (uint8_t)~TCP_CWR; /* RFC 3168 6.1.2: once for each reduction */
	if (n != rest)
		tcp[13] &= (uint8_t)~(TCP_FIN | TCP_PSH);
	finish_headers(cut, out, cut->payload + n);
	return cut->payload + n;
}

void net_cut_whole(const struct net_cut *cut, uint8_t *frame)
{
	finish_headers(cut, frame, cut->len);
}
