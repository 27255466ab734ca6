// SPDX-License-Identifier: GPL-2.0-or-later
/* what: between the parts of a switch: what goes over its sockets, the table of addresses, forwarding
 *
 * A machine is joined by a Unix socket that keeps messages apart (SOCK_SEQPACKET). Each is a header and what belongs to
 * it; numbers are the host's, for both ends are one host's.
 */
#ifndef NET_SWITCH_INT_H
#define NET_SWITCH_INT_H

#include "net/net_int.h"

#define SWITCH_PORTS_MAX 64
#define SWITCH_NATIVE 1u      /* the VLAN of who says nothing, untagged on trunks */
#define SWITCH_MAGIC 0x31775333u
#define SWITCH_NAME_MAX 32

enum { SWITCH_HELLO = 1, SWITCH_WELCOME, SWITCH_FRAME, SWITCH_MIRRORED };

struct switch_head {
	uint8_t kind;
	uint8_t mirror;        /* hello: send me a copy of everything */
	uint16_t vlan;         /* hello; NET_VLAN_TRUNK */
	struct net_offload off;
	uint32_t magic;        /* hello, welcome */
};
#define SWITCH_MESSAGE_MAX (sizeof(struct switch_head) + NET_FRAME_MAX)

/* --- switch_table.c: which port an address was last seen at, bounded and ageing --- */

#define SWITCH_SETS 256u
#define SWITCH_WAYS 4u
#define SWITCH_AGE_MS 300000u /* IEEE 802.1Q 8.8.3: the recommended default */
struct switch_entry {
	uint8_t mac[NET_MAC_LEN];
	uint16_t vlan;         /* 0: free */
	uint16_t port;
	uint64_t seen;
};
struct switch_table {
	struct switch_entry entry[SWITCH_SETS][SWITCH_WAYS];
};
void switch_learn(struct switch_table *t, const uint8_t *mac, uint16_t vlan, uint16_t port, uint64_t now_ms);
/* The port, or -1. */
int switch_find(struct switch_table *t, const uint8_t *mac, uint16_t vlan, uint64_t now_ms);
void switch_forget(struct switch_table *t, uint16_t port);

/* --- switch_forward.c: where frames go --- */

struct switch_port {
	bool joined, mirror;
	uint16_t vlan;
};
struct switch_fabric {
	struct switch_port port[SWITCH_PORTS_MAX];
	struct switch_table table;
	/* One message for a port: header, then iov. */
	void (*send)(void *opaque, unsigned port, const struct switch_head *head, const struct iovec *iov, unsigned niov);
	void *opaque;
};
/* A hello. False: it is not one, and the port does not join. */
bool switch_join(struct switch_fabric *s, unsigned port, const void *message, size_t len);
void switch_leave(struct switch_fabric *s, unsigned port);
/* A message from a joined port; what is no frame is dropped. */
void switch_forward(struct switch_fabric *s, unsigned port, void *message, size_t len, uint64_t now_ms);

/* --- switch_server.c --- */

/* Serve until the last machine has left (once one has come), or with lasting until a signal. path: of the socket, to be
 * removed; its lock is path with ".lock" behind. */
int switch_serve(int listener, const char *path, bool lasting);

/* --- switch_place.c: names, folders, locks --- */

/* The folder's and the socket's path of a switch; makes the folder. */
int switch_path(const char *name, char *path, size_t len, struct err *err);
/* The lock that is held by who makes or ends a switch: a descriptor to close, -EAGAIN: taken, or an error. */
int switch_lock(const char *path, struct err *err);
/* A socket connected to the switch at path; -ENOENT: there is none. */
int switch_connect(const char *path, struct err *err);
int switch_listen(const char *path, struct err *err);

#endif
