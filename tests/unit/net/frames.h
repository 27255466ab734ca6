// SPDX-License-Identifier: GPL-2.0-or-later
/* what: frames for network tests: TCP segments with headers, and checksums the slow way
 */
#ifndef TESTS_FRAMES_H
#define TESTS_FRAMES_H

#include "unit.h"

#include "net/net.h"

/* RFC 1071, a byte pair at a time. */
static inline uint32_t slow_sum(const uint8_t *p, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Ethernet, tags of 802.1Q, IP, TCP with twelve bytes of options, then len bytes that count. Returns its length. */
static inline uint32_t make_tcp(uint8_t *f, bool v6, unsigned tags, uint32_t len)
{
	static const uint8_t macs[12] = { 0x52, 0x54, 0, 1, 2, 3, 0x52, 0x54, 0, 4, 5, 6 };
	uint32_t at = 12, tcp, ip;

	memset(f, 0, 200);
	memcpy(f, macs, 12);
	for (unsigned i = 0; i < tags; i++, at += 4)
		put_be32(f + at, 0x81000007);
	put_be16(f + at, v6 ? 0x86dd : 0x0800);
	ip = at + 2;
	tcp = ip + (v6 ? 40 : 20);
	if (v6) {
		f[ip] = 0x60;
		put_be16(f + ip + 4, (uint16_t)(32 + len));
		f[ip + 6] = 6;
		f[ip + 7] = 64;
		for (unsigned i = 8; i < 40; i++)
			f[ip + i] = (uint8_t)(i * 5);
	} else {
		f[ip] = 0x45;
		put_be16(f + ip + 2, (uint16_t)(52 + len));
		put_be16(f + ip + 4, 0xfffe);
		f[ip + 8] = 64;
		f[ip + 9] = 6;
		put_be32(f + ip + 12, 0x0a00020f);
		put_be32(f + ip + 16, 0x0a000202);
	}
	put_be32(f + tcp, 0x12340050);
	put_be32(f + tcp + 4, 0xfffffff0);
	f[tcp + 12] = 0x80;
	f[tcp + 13] = 0x99; /* CWR, ACK, PSH, FIN */
	for (uint32_t i = 0; i < len; i++)
		f[tcp + 32 + i] = (uint8_t)(i * 7 + (i >> 8));
	return tcp + 32 + len;
}

/* Are IP's length and checksum, and TCP's checksum right? */
static inline void must_be_whole(const uint8_t *f, uint32_t len, bool v6, unsigned tags)
{
	uint32_t ip = 14 + 4 * tags, tcp = ip + (v6 ? 40 : 20), sum;

	if (v6) {
		assert_int_equal(get_be16(f + ip + 4), len - tcp);
		sum = slow_sum(f + ip + 8, 32, 6 + len - tcp);
	} else {
		assert_int_equal(get_be16(f + ip + 2), len - ip);
		assert_int_equal(slow_sum(f + ip, 20, 0), 0xffff);
		sum = slow_sum(f + ip + 12, 8, 6 + len - tcp);
	}
	assert_int_equal(slow_sum(f + tcp, len - tcp, sum), 0xffff);
}

#endif
