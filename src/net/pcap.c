// SPDX-License-Identifier: GPL-2.0-or-later
/* what: frames written to a pcap file, for tcpdump and Wireshark
 *
 * One write for each frame, so that the file is whole whenever somebody reads it. A frame is written as it passes: a
 * large one in one piece, an unfinished checksum unfinished. If the host cannot take one, the file ends before it.
 * Source: the pcap file format, draft-ietf-opsawg-pcap (nanosecond variant, LINKTYPE_ETHERNET).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/net_int.h"

struct net_pcap {
	int fd;
};

struct net_pcap *net_pcap_new(const char *path, struct err *err)
{
	/* magic, version 2.4, two zeros, longest frame, Ethernet */
	static const uint32_t head[6] = { 0xa1b23c4d, 0x00040002, 0, 0, 262144, 1 };
	struct net_pcap *p = xalloc(sizeof(*p));

	p->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (p->fd >= 0 && write(p->fd, head, sizeof(head)) == sizeof(head))
		return p;
	err_set(err, -errno, "cannot write '%s': %s", path, strerror(errno));
	net_pcap_free(p);
	return NULL;
}

void net_pcap_free(struct net_pcap *p)
{
	if (p && p->fd >= 0)
		close(p->fd);
	free(p);
}

static void give_up(struct net_pcap *p, off_t good)
{
	log_at(LOG_WARN, "a pcap file cannot be written any more (%s) and ends here", strerror(errno));
	if (ftruncate(p->fd, good) < 0)
		errno = 0; /* a pipe */
	close(p->fd);
	p->fd = -1;
}

void net_pcap_write(struct net_pcap *p, const struct net_frame *f)
{
	struct iovec iov[NET_SEGMENTS_MAX + 1];
	struct timespec now;
	uint32_t head[4];
	off_t at;

	if (!p || p->fd < 0 || f->niov > NET_SEGMENTS_MAX)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	head[0] = (uint32_t)now.tv_sec;
	head[1] = (uint32_t)now.tv_nsec;
	head[2] = head[3] = f->len;
	iov[0] = (struct iovec){ head, sizeof(head) };
	memcpy(iov + 1, f->iov, f->niov * sizeof(*iov));
	at = lseek(p->fd, 0, SEEK_CUR);
	if (writev(p->fd, iov, (int)f->niov + 1) != (ssize_t)(sizeof(head) + f->len))
		give_up(p, at);
}
