// SPDX-License-Identifier: GPL-2.0-or-later
/* what: frames in a stream of bytes, each behind its length: 32 bits, most significant byte first
 *
 * That is how QEMU's stream and socket networks do it. Nothing else can be told from the stream, so a length that no
 * frame can have is the end of it.
 */
#include <string.h>

#include "net/net_int.h"

uint8_t *net_framer_room(struct net_framer *r, size_t *len)
{
	if (r->at) {
		memmove(r->buf, r->buf + r->at, r->have - r->at);
		r->have -= r->at;
		r->at = 0;
	}
	*len = sizeof(r->buf) - r->have;
	return r->buf + r->have;
}

void net_framer_add(struct net_framer *r, size_t len)
{
	r->have += len;
}

int net_framer_next(struct net_framer *r, uint8_t **data, uint32_t *len)
{
	size_t have = r->have - r->at;

	if (have < NET_FRAMER_HEAD)
		return 0;
	*len = get_be32(r->buf + r->at);
	if (*len > NET_FRAME_MAX)
		return -EPROTO;
	*data = r->buf + r->at + NET_FRAMER_HEAD;
	return have - NET_FRAMER_HEAD >= *len;
}

void net_framer_drop(struct net_framer *r)
{
	r->at += NET_FRAMER_HEAD + get_be32(r->buf + r->at);
}
