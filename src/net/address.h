// SPDX-License-Identifier: GPL-2.0-or-later
/* what: addresses of sockets as users write them, unix:PATH or HOST:PORT, and sockets made from them */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <sys/socket.h>

#include "base/base.h"

struct net_address {
	struct sockaddr_storage addr;
	socklen_t len;
	const char *text; /* the caller's */
};

/* By its form alone. */
int net_check_address(const char *text, struct err *err);
/* Looks names up, which may take a while. passive: to listen at. */
int net_find_address(struct net_address *a, const char *text, bool stream, bool passive, struct err *err);
/* A socket that does not block, bound (and listening), or connected or about to be. type: SOCK_STREAM, SOCK_DGRAM. The
 * descriptor or a negative errno. */
int net_bind(const struct net_address *a, int type, struct err *err);
int net_connect(const struct net_address *a, int type, struct err *err);
/* Removes the socket's file. */
void net_unbind(const struct net_address *a);

#endif
