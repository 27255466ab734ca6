// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the addresses a switch has seen, and at which port: 256 sets of four, the longest unseen goes
 *
 * A machine that makes up addresses can push out others' that share their sets; those frames then go to all ports until
 * they are seen again, as in any switch.
 */
#include <string.h>

#include "net/switch_int.h"

static struct switch_entry *set_of(struct switch_table *t, const uint8_t *mac, uint16_t vlan)
{
	uint32_t h = get_le32(mac + 2) * 0x9e3779b1u ^ (uint32_t)get_le16(mac) << 7 ^ vlan * 0x85ebca6bu;

	return t->entry[(h ^ h >> 15) & (SWITCH_SETS - 1)];
}

static bool is_at(const struct switch_entry *e, const uint8_t *mac, uint16_t vlan)
{
	return e->vlan == vlan && !memcmp(e->mac, mac, NET_MAC_LEN);
}

void switch_learn(struct switch_table *t, const uint8_t *mac, uint16_t vlan, uint16_t port, uint64_t now)
{
	struct switch_entry *set = set_of(t, mac, vlan), *e = set;

	for (unsigned i = 0; i < SWITCH_WAYS; i++) {
		if (is_at(&set[i], mac, vlan)) {
			e = &set[i];
			break;
		}
		if (!set[i].vlan || (e->vlan && set[i].seen < e->seen))
			e = &set[i];
	}
	*e = (struct switch_entry){ .vlan = vlan, .port = port, .seen = now };
	memcpy(e->mac, mac, NET_MAC_LEN);
}

int switch_find(struct switch_table *t, const uint8_t *mac, uint16_t vlan, uint64_t now)
{
	const struct switch_entry *set = set_of(t, mac, vlan);

	for (unsigned i = 0; i < SWITCH_WAYS; i++)
		if (is_at(&set[i], mac, vlan))
			return now - set[i].seen < SWITCH_AGE_MS ? set[i].port : -1;
	return -1;
}

void switch_forget(struct switch_table *t, uint16_t port)
{
	struct switch_entry *e = t->entry[0];

	for (unsigned i = 0; i < SWITCH_SETS * SWITCH_WAYS; i++)
		if (e[i].port == port)
			e[i].vlan = 0;
}
