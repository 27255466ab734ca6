// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the port between a card and its network: link, what is kept, lost or delayed, and what offload has to be done
 *
 *   net_send --lost?--> dump --delay?--> deliver --cut, checksums?--> receive() of the other end
 *                                 |__ line (a timer)        |__ refused: the sender keeps it, or `kept` does
 *
 * I1  A frame that was refused is sent again by its sender before any other of that end, so that dump and loss need not
 *     count it twice (end.again).
 * I2  The pieces of a large frame are taken together: when the first is refused, nothing was done; the others, if
 *     refused, are lost as in any switch, and TCP sends them again.
 * I3  `kept` of an end is empty unless that end refused its first frame; net_ready() empties it before the other side
 *     hears of it.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net/net_int.h"

struct net_end {
	struct net_port *port;
	struct net_end *peer;
	const struct net_end_ops *ops;
	void *opaque;
	unsigned takes;
	bool down;
	bool refused;           /* it has been told false, and owes a ready() */
	bool again;             /* I1: of frames this end sends */
	struct net_queue kept;  /* frames for this end */
	struct net_queue line;  /* frames on their way to this end */
	struct loop_timer arrival, soon;
	uint8_t *bounce;        /* two frames: the whole one, a piece */
};

struct net_port {
	struct loop *loop;
	struct net_end card, network;
	struct net_pcap *dump;
	uint32_t loss;
	uint64_t delay_ns, random;
};

void net_ignore_sigpipe(void)
{
	struct sigaction sa;

	if (!sigaction(SIGPIPE, NULL, &sa) && sa.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

size_t net_frame_copy(const struct net_frame *f, size_t skip, void *buf, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < f->niov && done < len; i++) {
		size_t from = MIN(skip, f->iov[i].iov_len), n = MIN(f->iov[i].iov_len - from, len - done);

		skip -= from;
		if (n)
			memcpy((uint8_t *)buf + done, (uint8_t *)f->iov[i].iov_base + from, n);
		done += n;
	}
	return done;
}

/* --- what the other end cannot take as it is --- */

static bool pass(struct net_end *to, const struct net_frame *f)
{
	return !to->ops || to->ops->receive(to->opaque, f);
}

static bool pass_bytes(struct net_end *to, uint8_t *data, uint32_t len, struct net_offload off)
{
	struct iovec iov = { data, len };

	return pass(to, &(struct net_frame){ &iov, 1, len, off });
}

static bool pass_pieces(struct net_end *to, const struct net_cut *cut)
{
	const struct net_offload valid = { .flags = NET_CSUM_VALID };
	uint8_t *piece = to->bounce + NET_FRAME_MAX;

	for (unsigned i = 0, n = net_cut_count(cut); i < n; i++) {
		uint32_t len = net_cut_segment(cut, to->bounce, i, piece);

		if (!pass_bytes(to, piece, len, valid))
			return i > 0; /* I2 */
	}
	return true;
}

static bool takes_large(const struct net_end *to, uint8_t gso)
{
	return to->takes & (gso == NET_GSO_TCP4 ? NET_TAKES_TCP4 : NET_TAKES_TCP6);
}

static bool pass_finished(struct net_end *to, const struct net_frame *f)
{
	struct net_offload off = f->off;
	struct net_cut cut;

	if (!to->bounce)
		to->bounce = try_alloc(2 * NET_FRAME_MAX, SIZE_MAX);
	if (!to->bounce)
		return true;
	net_frame_copy(f, 0, to->bounce, f->len);
	if (!off.gso) {
		if (!net_offload_finish(to->bounce, f->len, &off))
			return true;
		return pass_bytes(to, to->bounce, f->len, (struct net_offload){ .flags = NET_CSUM_VALID });
	}
	if (!net_cut_begin(&cut, to->bounce, f->len, &off)) {
		guest_log("a large frame that is no TCP segment with a good header was sent");
		return true;
	}
	if (!takes_large(to, off.gso))
		return pass_pieces(to, &cut);
	net_cut_whole(&cut, to->bounce);
	off.flags = NET_CSUM_VALID;
	return pass_bytes(to, to->bounce, f->len, off);
}

static bool deliver(struct net_end *to, const struct net_frame *f)
{
	bool plain = !(f->off.flags & NET_CSUM_PARTIAL) || to->takes & NET_TAKES_PARTIAL;

	if (f->off.gso && !takes_large(to, f->off.gso))
		plain = false;
	if (plain ? pass(to, f) : pass_finished(to, f))
		return true;
	to->refused = true;
	return false;
}

/* --- frames kept and delayed --- */

static bool deliver_queued(struct net_end *to, const struct net_queued *e)
{
	struct iovec iov = { (void *)(uintptr_t)e->data, e->len };

	return deliver(to, &(struct net_frame){ &iov, 1, e->len, e->off });
}

static void deliver_or_keep(struct net_end *to, const struct net_frame *f)
{
	if (to->kept.head || !deliver(to, f))
		net_queue_put(&to->kept, f, 0);
}

/* A timer is the vCPU's business too, so it is not kept for long. */
#define ARRIVALS_MAX 64

static void arrive(void *opaque)
{
	struct net_end *to = opaque;
	uint64_t now = loop_now(to->port->loop);

	for (unsigned n = 0; n < ARRIVALS_MAX && to->line.head && to->line.head->when <= now; n++) {
		const struct net_queued *e = to->line.head;
		struct iovec iov = { (void *)(uintptr_t)e->data, e->len };

		deliver_or_keep(to, &(struct net_frame){ &iov, 1, e->len, e->off });
		net_queue_drop_first(&to->line);
	}
	if (to->line.head)
		loop_timer_set(&to->arrival, to->line.head->when);
}

static void delay(struct net_end *to, const struct net_frame *f)
{
	uint64_t when = loop_now(to->port->loop) + to->port->delay_ns;

	if (net_queue_put(&to->line, f, when) && !to->arrival.armed)
		loop_timer_set(&to->arrival, to->line.head->when);
}

/* xorshift64: nobody has to be unable to guess it. */
static bool is_lost(struct net_port *port)
{
	port->random ^= port->random << 13;
	port->random ^= port->random >> 7;
	port->random ^= port->random << 17;
	return port->random % 1000000 < port->loss;
}

/* What happens to each frame once. False: it goes no further. */
static bool enters(struct net_end *from, const struct net_frame *f)
{
	struct net_port *port = from->port;

	if (f->len < NET_HEADER_LEN || f->len > NET_FRAME_MAX || f->niov > NET_SEGMENTS_MAX || !net_link_up(from))
		return false;
	if (from->again)
		return true;
	if (port->loss && is_lost(port))
		return false;
	net_pcap_write(port->dump, f);
	return true;
}

bool net_send(struct net_end *from, const struct net_frame *f)
{
	struct net_end *to = from->peer;

	if (!enters(from, f))
		return true;
	if (from->port->delay_ns) {
		delay(to, f);
		return true;
	}
	from->again = to->kept.head || !deliver(to, f);
	to->refused |= from->again; /* I3 */
	return !from->again;
}

void net_send_or_keep(struct net_end *from, const struct net_frame *f)
{
	if (!enters(from, f))
		return;
	if (from->port->delay_ns)
		delay(from->peer, f);
	else
		deliver_or_keep(from->peer, f);
}

void net_ready(struct net_end *end)
{
	if (!end->refused)
		return;
	end->refused = false;
	while (end->kept.head && deliver_queued(end, end->kept.head))
		net_queue_drop_first(&end->kept);
	if (!end->kept.head && end->peer->ops && end->peer->ops->ready)
		end->peer->ops->ready(end->peer->opaque);
}

#define SOON_NS 20000u

static void soon_over(void *opaque)
{
	net_ready(opaque);
}

void net_ready_soon(struct net_end *end)
{
	if (end->refused && !end->soon.armed)
		loop_timer_set(&end->soon, loop_now(end->port->loop) + SOON_NS);
}

/* --- life --- */

struct net_end *net_port_card(struct net_port *port)
{
	return &port->card;
}

struct net_end *net_port_network(struct net_port *port)
{
	return &port->network;
}

void net_attach(struct net_end *end, const struct net_end_ops *ops, void *opaque)
{
	end->ops = ops;
	end->opaque = opaque;
	end->takes = 0;
}

void net_set_takes(struct net_end *end, unsigned takes)
{
	end->takes = takes;
}

bool net_link_up(const struct net_end *end)
{
	return !end->down && !end->peer->down;
}

void net_set_link(struct net_end *end, bool up)
{
	bool was = net_link_up(end);
	struct net_end *const both[2] = { end, end->peer };

	end->down = !up;
	for (unsigned i = 0; i < 2 && net_link_up(end) != was; i++)
		if (both[i]->ops && both[i]->ops->link)
			both[i]->ops->link(both[i]->opaque, !was);
}

static void init_end(struct net_port *port, struct net_end *end, struct net_end *peer)
{
	end->port = port;
	end->peer = peer;
	net_queue_init(&end->kept);
	net_queue_init(&end->line);
	loop_timer_init(&end->arrival, port->loop, arrive, end);
	loop_timer_init(&end->soon, port->loop, soon_over, end);
}

struct net_port *net_port_new(struct loop *loop, const struct net_port_config *cfg, struct err *err)
{
	struct net_port *port = xalloc(sizeof(*port));

	port->loop = loop;
	port->loss = cfg->loss;
	port->delay_ns = cfg->delay_us * 1000ull;
	if (getrandom(&port->random, sizeof(port->random), GRND_NONBLOCK) < 0 || !port->random)
		port->random = 1;
	init_end(port, &port->card, &port->network);
	init_end(port, &port->network, &port->card);
	if (cfg->dump)
		port->dump = net_pcap_new(cfg->dump, err);
	if (!cfg->dump || port->dump)
		return port;
	net_port_free(port);
	return NULL;
}

static void flush_end(struct net_end *end)
{
	loop_timer_cancel(&end->arrival);
	loop_timer_cancel(&end->soon);
	net_queue_clear(&end->kept);
	net_queue_clear(&end->line);
	end->again = false;
}

void net_port_flush(struct net_port *port)
{
	flush_end(&port->card);
	flush_end(&port->network);
}

void net_port_free(struct net_port *port)
{
	if (!port)
		return;
	net_port_flush(port);
	free(port->card.bounce);
	free(port->network.bounce);
	net_pcap_free(port->dump);
	free(port);
}
