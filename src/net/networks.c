// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the kinds of network there are, one row each
 */
#include <stdlib.h>

#include "net/net_int.h"

static const struct net_backend *const backends[] = {
	[NET_USER] = &net_user,
	[NET_SOCKET] = &net_socket,
	[NET_SWITCH] = &net_switch,
	[NET_TAP] = &net_tap,
};

struct net *net_open(struct loop *loop, const struct net_config *cfg, struct net_port *port, struct err *err)
{
	struct net *net = xalloc(sizeof(*net));

	net->loop = loop;
	net->name = cfg->name;
	net->end = net_port_network(port);
	net->backend = cfg->standby ? &net_team : backends[cfg->kind];
	if (!net->backend->open(net, cfg, err))
		return net;
	net_close(net);
	return NULL;
}

void net_close(struct net *net)
{
	if (!net)
		return;
	net->backend->close(net);
	free(net);
}
