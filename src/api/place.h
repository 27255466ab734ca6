// SPDX-License-Identifier: GPL-2.0-or-later
/* what: addresses of control sockets: listening on one, reaching one */
#ifndef API_PLACE_H
#define API_PLACE_H

#include "base/base.h"

/* "unix:PATH" or "tcp:127.0.0.1:PORT". The descriptor, or negative. *remove: what to unlink at the end, to be freed;
 * NULL: nothing. */
int api_listen(const char *where, char **remove, struct err *err);
/* The same addresses. Blocking. */
int api_connect(const char *where, struct err *err);

#endif
