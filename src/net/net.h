// SPDX-License-Identifier: GPL-2.0-or-later
/* what: networks: frames, and the port between a card and what it is plugged into, as both of them see it
 *
 *   card --net_send(card end)--> port --receive()--> network        (user, switch, socket, tap)
 *   card <--receive()--- port <--net_send(network end)-- network
 *
 * A frame may be larger than any cable's and its checksum unfinished (struct net_offload, as in VIRTIO 1.1, 5.1.6):
 * what the receiving end cannot take so, the port finishes and cuts on the way (offload.c). So one of 64 KiB travels
 * whole from guest to guest where both can.
 *
 * Who sends is told when the other side cannot take a frame now. A card then keeps it, and so does a network that can;
 * one that cannot wait uses net_send_or_keep(), whose queue is bounded. A network that takes nothing for a second
 * loses frames until it does again. Without a link frames are lost.
 *
 * Everything runs with the device lock held.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <sys/uio.h>

#include "base/base.h"
#include "base/loop.h"

#define NET_MAC_LEN 6
#define NET_HEADER_LEN 14u
/* Header, a VLAN tag, and the largest packet of IP. */
#define NET_FRAME_MAX (NET_HEADER_LEN + 4 + 65535u)
/* Segments a frame may come in: a virtqueue's chain. */
#define NET_SEGMENTS_MAX 256u

enum { NET_CSUM_PARTIAL = 1, NET_CSUM_VALID = 2 };             /* flags */
enum { NET_GSO_NONE = 0, NET_GSO_TCP4 = 1, NET_GSO_TCP6 = 4 }; /* gso */

struct net_offload {
	uint8_t flags;
	uint8_t gso;
	uint16_t gso_size;    /* payload of each segment */
	uint16_t csum_start;  /* with NET_CSUM_PARTIAL: sum from here to the end of the frame... */
	uint16_t csum_offset; /* ...and put it there, counted from csum_start */
};

/* len bytes in niov pieces, borrowed for the call. */
struct net_frame {
	const struct iovec *iov;
	unsigned niov;
	uint32_t len;
	struct net_offload off;
};

/* What an end takes as it is. */
enum { NET_TAKES_PARTIAL = 1, NET_TAKES_TCP4 = 2, NET_TAKES_TCP6 = 4 };

struct net_end_ops {
	/* A frame from the other side. False: not now, and nothing was done; net_ready() says when. */
	bool (*receive)(void *opaque, const struct net_frame *f);
	/* The other side refused a frame, and can take it now. */
	void (*ready)(void *opaque);
	/* The link went up or down; may be NULL. */
	void (*link)(void *opaque, bool up);
};

struct net_end;
struct net_port;

/* dump: a pcap file that is begun, or NULL. loss: of a million frames. */
struct net_port_config {
	const char *dump;
	uint32_t loss;
	uint32_t delay_us;
};
struct net_port *net_port_new(struct loop *loop, const struct net_port_config *cfg, struct err *err);
void net_port_free(struct net_port *port);
struct net_end *net_port_card(struct net_port *port);
struct net_end *net_port_network(struct net_port *port);

/* ops are the caller's and stay. Detach with ops NULL: frames to that end are lost. */
void net_attach(struct net_end *end, const struct net_end_ops *ops, void *opaque);
void net_set_takes(struct net_end *end, unsigned takes);
/* Send to the other end. False: it cannot take the frame now; ready() comes. Malformed frames are taken and lost. */
bool net_send(struct net_end *from, const struct net_frame *f);
/* The same for who cannot wait: it is kept until it can be taken, or lost if too many are. */
void net_send_or_keep(struct net_end *from, const struct net_frame *f);
/* This end can take frames again. */
void net_ready(struct net_end *end);
/* The same in a moment. For cards whose drivers make room while they read, then acknowledge the interrupt of what has
 * come meanwhile: on a cable nothing would have come so soon. */
void net_ready_soon(struct net_end *end);
/* The port's link is up when both its ends are; each is when it is made. */
bool net_link_up(const struct net_end *end);
void net_set_link(struct net_end *end, bool up);
/* Frames under way in this port are lost: the machine was reset. */
void net_port_flush(struct net_port *port);

/* Copies len bytes at skip out of a frame; returns bytes copied. */
size_t net_frame_copy(const struct net_frame *f, size_t skip, void *buf, size_t len);

/* For cards that compute (offload.c). The checksum over [start, end) goes to at, where its first summand may stand. */
void net_checksum(uint8_t *frame, uint32_t start, uint32_t end, uint32_t at);
/* Lengths and the unfinished checksum of a large TCP frame as others expect them. False: it is not one. */
bool net_prepare_large(uint8_t *frame, uint32_t len, const struct net_offload *off);

/* --- networks --- */

enum net_kind { NET_NONE, NET_USER, NET_SOCKET, NET_SWITCH, NET_TAP };

#define NET_FORWARDS_MAX 16

/* hostfwd: a port of the host's leads into the guest. Addresses are IPv4, in network byte order, 0: any or default. */
struct net_hostfwd {
	bool udp;
	uint32_t host_addr, guest_addr;
	uint16_t host_port, guest_port;
};
/* guestfwd: a TCP port of the user network leads to a socket or a command of the host's. */
struct net_guestfwd {
	uint32_t addr;
	uint16_t port;
	bool is_command;
	const char *target;
};

enum net_socket_way { NET_SOCKET_LISTEN, NET_SOCKET_CONNECT, NET_SOCKET_DGRAM };

/* Strings are the caller's and stay. */
struct net_config {
	enum net_kind kind;
	struct net_port_config port;
	/* user */
	bool restricted, no_ipv6;
	const char *tftp, *bootfile, *hostname;
	struct net_hostfwd hostfwd[NET_FORWARDS_MAX];
	unsigned nhostfwd;
	struct net_guestfwd guestfwd[NET_FORWARDS_MAX];
	unsigned nguestfwd;
	uint16_t mtu;          /* 0: 1500 */
	/* socket */
	enum net_socket_way way;
	const char *address, *local; /* unix:PATH, HOST:PORT */
	/* switch, tap */
	const char *name;
	uint16_t vlan;         /* 0: 1; NET_VLAN_TRUNK: all, tagged */
	const char *mirror;    /* a pcap file of all that passes the switch */
	const char *standby;   /* another switch, for when the first is away; NULL: none */
};
#define NET_VLAN_TRUNK 0xffffu

struct net;
/* Open the network behind the port's network end. Lock held. */
struct net *net_open(struct loop *loop, const struct net_config *cfg, struct net_port *port, struct err *err);
void net_close(struct net *net);

/* forward.c: the values of hostfwd= and guestfwd=, split and checked; target points into text. */
int net_parse_hostfwd(const char *text, struct net_hostfwd *f, struct err *err);
int net_parse_guestfwd(const char *text, struct net_guestfwd *f, struct err *err);
int net_check_switch_name(const char *name, struct err *err);

/* Serve the switch: until a signal comes, or, as the process that the first machine has made (with its listener as
 * descriptor NET_SWITCH_FD), until the last machine has left. */
#define NET_SWITCH_FD 3
int net_switch_main(const char *name, bool inherited, struct err *err);

/* "52:54:00:12:34:56"; no group address. */
int net_parse_mac(const char *text, uint8_t mac[NET_MAC_LEN], struct err *err);

#endif
