// SPDX-License-Identifier: GPL-2.0-or-later
/* what: pieces of an iovec: taken from its front, filled with zeros, copied
 */
#include <string.h>

#include "block/block_int.h"

unsigned block_iov_take(struct iovec **iov, unsigned *niov, uint64_t len, struct iovec *out)
{
	unsigned n = 0;

	while (len && *niov) {
		size_t part = (size_t)MIN(len, (*iov)->iov_len);

		if (part) {
			out[n].iov_base = (*iov)->iov_base;
			out[n++].iov_len = part;
		}
		(*iov)->iov_base = (char *)(*iov)->iov_base + part;
		(*iov)->iov_len -= part;
		len -= part;
		if (!(*iov)->iov_len) {
			(*iov)++;
			(*niov)--;
		}
	}
	return n;
}

void block_iov_advance(struct iovec **iov, unsigned *niov, uint64_t n)
{
	while (*niov && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*niov)--;
	}
	if (!*niov)
		return;
	(*iov)->iov_base = (char *)(*iov)->iov_base + n;
	(*iov)->iov_len -= n;
}

uint64_t block_iov_len(const struct iovec *iov, unsigned niov)
{
	uint64_t len = 0;

	for (unsigned i = 0; i < niov; i++)
		len += iov[i].iov_len;
	return len;
}

void block_iov_zero(const struct iovec *iov, unsigned niov)
{
	for (unsigned i = 0; i < niov; i++)
		memset(iov[i].iov_base, 0, iov[i].iov_len);
}

void block_iov_gather(const struct iovec *iov, unsigned niov, void *buf, size_t len)
{
	uint8_t *to = buf;

	for (unsigned i = 0; i < niov && len; i++) {
		size_t part = MIN(len, iov[i].iov_len);

		memcpy(to, iov[i].iov_base, part);
		to += part;
		len -= part;
	}
}

void block_iov_scatter(const struct iovec *iov, unsigned niov, const void *buf, size_t len)
{
	const uint8_t *from = buf;

	for (unsigned i = 0; i < niov && len; i++) {
		size_t part = MIN(len, iov[i].iov_len);

		memcpy(iov[i].iov_base, from, part);
		from += part;
		len -= part;
	}
}

/* Zeros are what equals itself shifted by sixteen bytes of zeros; memcmp is libc's fastest loop. */
bool block_is_zero(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t head = MIN(len, (size_t)16);

	for (size_t i = 0; i < head; i++)
		if (p[i])
			return false;
	return len == head || !memcmp(p, p + head, len - head);
}
