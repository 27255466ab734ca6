// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what old network cards share: the hash over addresses
 */
#include "dev/net/card.h"

const uint8_t card_broadcast[NET_MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

uint32_t card_crc(const uint8_t *mac)
{
	uint32_t crc = 0xffffffff;

	for (unsigned i = 0; i < NET_MAC_LEN; i++) {
		crc ^= mac[i];
		for (unsigned k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

uint32_t card_crc_turned(const uint8_t *mac)
{
	uint32_t crc = card_crc(mac), turned = 0;

	for (unsigned k = 0; k < 32; k++)
		turned |= (crc >> k & 1) << (31 - k);
	return turned;
}
