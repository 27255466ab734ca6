// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a switch's forwarding: learn where a frame came from, send it to where its address is, or to all of its VLAN
 *
 *   access port   its frames belong to its VLAN; tags within them are the guests' own business
 *   trunk         frames carry a tag, those of VLAN 1 none
 *
 * Frames pass as they are, large and unfinished; a tag that is put in or taken out moves where the checksum begins.
 * Source: IEEE 802.1Q-2018, 8.6, 9.6.
 */
#include <string.h>

#include "net/switch_int.h"

#define TPID 0x8100
#define TAG_AT 12u
#define TAG_LEN 4u

bool switch_join(struct switch_fabric *s, unsigned port, const void *message, size_t len)
{
	struct switch_head welcome = { .kind = SWITCH_WELCOME, .magic = SWITCH_MAGIC }, h;

	if (len != sizeof(h))
		return false;
	memcpy(&h, message, sizeof(h));
	if (h.kind != SWITCH_HELLO || h.magic != SWITCH_MAGIC || !h.vlan || (h.vlan > 4094 && h.vlan != NET_VLAN_TRUNK))
		return false;
	s->port[port] = (struct switch_port){ .joined = true, .mirror = h.mirror != 0, .vlan = h.vlan };
	s->send(s->opaque, port, &welcome, NULL, 0);
	return true;
}

void switch_leave(struct switch_fabric *s, unsigned port)
{
	s->port[port].joined = false;
	switch_forget(&s->table, (uint16_t)port);
}

/* The frame's VLAN; takes a trunk's tag out, moving the addresses over it. 0: it has none that may be. */
static uint16_t classify(const struct switch_port *p, struct switch_head *h, uint8_t **frame, size_t *len)
{
	uint16_t vlan;

	if (p->vlan != NET_VLAN_TRUNK)
		return p->vlan;
	if (get_be16(*frame + TAG_AT) != TPID)
		return SWITCH_NATIVE;
	if (*len < NET_HEADER_LEN + TAG_LEN)
		return 0;
	vlan = get_be16(*frame + TAG_AT + 2) & 0xfff;
	memmove(*frame + TAG_LEN, *frame, TAG_AT);
	*frame += TAG_LEN;
	*len -= TAG_LEN;
	if (h->off.flags & NET_CSUM_PARTIAL)
		h->off.csum_start = (uint16_t)(h->off.csum_start - TAG_LEN);
	return vlan == 0xfff ? 0 : vlan ? vlan : SWITCH_NATIVE;
}

static void send_to(struct switch_fabric *s, unsigned port, const struct switch_head *head, uint8_t *frame, size_t len,
                    uint16_t vlan)
{
	struct switch_head h = *head;
	uint8_t tag[TAG_LEN];
	struct iovec iov[3] = { { frame, len } };

	if (s->port[port].vlan != NET_VLAN_TRUNK || vlan == SWITCH_NATIVE) {
		s->send(s->opaque, port, &h, iov, 1);
		return;
	}
	if (len + TAG_LEN > NET_FRAME_MAX)
		return;
	put_be16(tag, TPID);
	put_be16(tag + 2, vlan);
	if (h.off.flags & NET_CSUM_PARTIAL)
		h.off.csum_start = (uint16_t)(h.off.csum_start + TAG_LEN);
	iov[0] = (struct iovec){ frame, TAG_AT };
	iov[1] = (struct iovec){ tag, TAG_LEN };
	iov[2] = (struct iovec){ frame + TAG_AT, len - TAG_AT };
	s->send(s->opaque, port, &h, iov, 3);
}

static bool carries(const struct switch_port *p, uint16_t vlan)
{
	return p->joined && (p->vlan == vlan || p->vlan == NET_VLAN_TRUNK);
}

static void mirror(struct switch_fabric *s, const struct switch_head *head, uint8_t *frame, size_t len)
{
	struct switch_head h = *head;
	struct iovec iov = { frame, len };

	h.kind = SWITCH_MIRRORED;
	for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++)
		if (s->port[i].joined && s->port[i].mirror)
			s->send(s->opaque, i, &h, &iov, 1);
}

void switch_forward(struct switch_fabric *s, unsigned port, void *message, size_t len, uint64_t now)
{
	struct switch_head h;
	uint8_t *frame = (uint8_t *)message + sizeof(h);
	uint16_t vlan;
	int to;

	if (len < sizeof(h) + NET_HEADER_LEN || len > SWITCH_MESSAGE_MAX)
		return;
	memcpy(&h, message, sizeof(h));
	len -= sizeof(h);
	if (h.kind != SWITCH_FRAME)
		return;
	mirror(s, &h, frame, len);
	vlan = classify(&s->port[port], &h, &frame, &len);
	if (!vlan)
		return;
	if (!(frame[NET_MAC_LEN] & 1))
		switch_learn(&s->table, frame + NET_MAC_LEN, vlan, (uint16_t)port, now);
	to = frame[0] & 1 ? -1 : switch_find(&s->table, frame, vlan, now);
	for (unsigned i = 0; i < SWITCH_PORTS_MAX; i++)
		if (i != port && (to < 0 || (unsigned)to == i) && carries(&s->port[i], vlan))
			send_to(s, i, &h, frame, len, vlan);
}
