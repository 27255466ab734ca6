// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of net/port.c: who is told what when frames cannot be taken, links, delay, loss, the pcap file; forwards
 */
#include "frames.h"

#include <unistd.h>

struct side {
	unsigned got, ready, links;
	bool full, up;
	uint32_t last_len;
	struct net_offload off;
	uint8_t last[NET_FRAME_MAX];
};

static struct loop *loop;
static struct net_port *port;
static struct side card, network;

static bool receive(void *opaque, const struct net_frame *f)
{
	struct side *s = opaque;

	if (s->full)
		return false;
	s->got++;
	s->last_len = f->len;
	s->off = f->off;
	net_frame_copy(f, 0, s->last, f->len);
	return true;
}

static void ready(void *opaque)
{
	((struct side *)opaque)->ready++;
}

static void changed(void *opaque, bool up)
{
	struct side *s = opaque;

	s->links++;
	s->up = up;
}

static const struct net_end_ops ops = { receive, ready, changed };

static void begin(const struct net_port_config *cfg)
{
	struct err err;

	memset(&card, 0, sizeof(card));
	memset(&network, 0, sizeof(network));
	loop = loop_new_stepped();
	port = net_port_new(loop, cfg, &err);
	assert_non_null(port);
	net_attach(net_port_card(port), &ops, &card);
	net_attach(net_port_network(port), &ops, &network);
}

static void end(void)
{
	net_port_free(port);
	loop_free(loop);
}

static struct net_frame plain(uint8_t *data, uint32_t len)
{
	static struct iovec iov;

	iov = (struct iovec){ data, len };
	return (struct net_frame){ &iov, 1, len, { 0 } };
}

static uint8_t bytes[NET_FRAME_MAX + 10];

static void refusals(void **state)
{
	/* net.h: a card keeps what is refused and hears when to send it again; nobody hears of what nobody waits for. */
	struct net_frame f = plain(bytes, 60);

	begin(&(struct net_port_config){ 0 });
	assert_true(net_send(net_port_card(port), &f));
	assert_int_equal(network.got, 1);
	net_ready(net_port_network(port));
	assert_int_equal(card.ready, 0);
	network.full = true;
	assert_false(net_send(net_port_card(port), &f));
	network.full = false;
	net_ready(net_port_network(port));
	assert_int_equal(card.ready, 1);
	assert_int_equal(network.got, 1);
	assert_true(net_send(net_port_card(port), &f));
	net_ready(net_port_network(port));
	assert_int_equal(card.ready, 1);
	end();
}

static void kept(void **state)
{
	/* Who cannot wait loses nothing up to the queue's bound, in order, and no frame overtakes. */
	struct net_frame f = plain(bytes, 100);

	begin(&(struct net_port_config){ 0 });
	card.full = true;
	for (unsigned i = 0; i < 2000; i++) {
		bytes[20] = (uint8_t)i;
		bytes[21] = (uint8_t)(i >> 8);
		net_send_or_keep(net_port_network(port), &f);
	}
	card.full = false;
	assert_false(net_send(net_port_network(port), &f));
	assert_int_equal(card.got, 0);
	net_ready(net_port_card(port));
	assert_int_equal(card.got, 1024);
	assert_int_equal(get_le16(card.last + 20), 1023);
	assert_int_equal(network.ready, 1);
	card.full = true;
	f = plain(bytes, 60000);
	for (unsigned i = 0; i < 100; i++)
		net_send_or_keep(net_port_network(port), &f);
	card.full = false;
	card.got = 0;
	net_ready(net_port_card(port));
	assert_int_equal(card.got, (2 << 20) / 60000);
	card.full = true;
	net_send_or_keep(net_port_network(port), &f);
	net_port_flush(port);
	card.full = false;
	card.got = 0;
	net_ready(net_port_card(port));
	assert_int_equal(card.got, 0);
	end();
}

static void links(void **state)
{
	struct net_frame f = plain(bytes, 60);

	begin(&(struct net_port_config){ 0 });
	assert_true(net_link_up(net_port_card(port)));
	net_set_link(net_port_network(port), false);
	assert_true(card.links == 1 && !card.up && network.links == 1);
	net_set_link(net_port_card(port), false);
	net_set_link(net_port_network(port), true);
	assert_int_equal(card.links, 1);
	assert_false(net_link_up(net_port_card(port)));
	assert_true(net_send(net_port_card(port), &f));
	assert_int_equal(network.got, 0);
	net_set_link(net_port_card(port), true);
	assert_true(card.links == 2 && card.up);
	assert_true(net_send(net_port_card(port), &f));
	assert_int_equal(network.got, 1);
	end();
}

static void offloads(void **state)
{
	/* What the other end cannot take arrives finished and in pieces, what it can as it was. */
	uint32_t len = make_tcp(bytes, false, 0, 5000);
	struct net_frame f = plain(bytes, len);

	begin(&(struct net_port_config){ 0 });
	f.off = (struct net_offload){ NET_CSUM_PARTIAL, NET_GSO_TCP4, 1000, 34, 16 };
	assert_true(net_send(net_port_card(port), &f));
	assert_int_equal(network.got, 5);
	assert_int_equal(network.off.flags, NET_CSUM_VALID);
	assert_int_equal(network.off.gso, 0);
	must_be_whole(network.last, network.last_len, false, 0);
	net_set_takes(net_port_network(port), NET_TAKES_TCP4);
	assert_true(net_send(net_port_card(port), &f));
	assert_int_equal(network.got, 6);
	assert_int_equal(network.last_len, len);
	must_be_whole(network.last, len, false, 0);
	net_set_takes(net_port_network(port), NET_TAKES_TCP4 | NET_TAKES_PARTIAL);
	assert_true(net_send(net_port_card(port), &f));
	assert_int_equal(network.off.flags, NET_CSUM_PARTIAL);
	assert_memory_equal(network.last, bytes, len);
	network.full = true;
	net_set_takes(net_port_network(port), 0);
	assert_false(net_send(net_port_card(port), &f));
	network.full = false;
	f.off.csum_offset = 60000;
	f.off.gso = 0;
	network.got = 0;
	assert_true(net_send(net_port_card(port), &f)); /* points outside itself: lost */
	assert_int_equal(network.got, 0);
	end();
}

static void sizes(void **state)
{
	static const uint32_t bad[] = { 0, 13, NET_FRAME_MAX + 1 };

	begin(&(struct net_port_config){ 0 });
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct net_frame f = plain(bytes, bad[i]);

		assert_true(net_send(net_port_card(port), &f));
		net_send_or_keep(net_port_network(port), &f);
	}
	assert_int_equal(network.got + card.got, 0);
	end();
}

static void delays(void **state)
{
	struct net_frame f = plain(bytes, 60);

	begin(&(struct net_port_config){ .delay_us = 5000 });
	assert_true(net_send(net_port_card(port), &f));
	loop_step(loop, 3000000);
	net_send_or_keep(net_port_network(port), &f);
	assert_int_equal(network.got, 0);
	loop_step(loop, 2000000);
	assert_true(network.got == 1 && card.got == 0);
	loop_step(loop, 3000000);
	assert_int_equal(card.got, 1);
	for (unsigned i = 0; i < 1000; i++)
		net_send(net_port_card(port), &f);
	loop_step(loop, 6000000);
	assert_int_equal(network.got, 1001);
	end();
}

static void losses(void **state)
{
	/* A share, within what chance allows: 20 % of 10000 is 2000 with a deviation of 40. */
	struct net_frame f = plain(bytes, 60);

	begin(&(struct net_port_config){ .loss = 200000 });
	for (unsigned i = 0; i < 10000; i++)
		net_send(net_port_card(port), &f);
	assert_in_range(network.got, 7700, 8300);
	end();
	begin(&(struct net_port_config){ .loss = 1000000 });
	for (unsigned i = 0; i < 100; i++)
		net_send(net_port_card(port), &f);
	assert_int_equal(network.got, 0);
	end();
}

static void dumps(void **state)
{
	/* A pcap file: each frame once, also one that had to be sent twice; none that was lost for want of a link. */
	char path[] = "/tmp/ring3-pcap-XXXXXX";
	uint8_t file[1000];
	struct net_frame f;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	begin(&(struct net_port_config){ .dump = path });
	f = plain(bytes, 60);
	network.full = true;
	assert_false(net_send(net_port_card(port), &f));
	network.full = false;
	assert_true(net_send(net_port_card(port), &f));
	f = plain(bytes, 100);
	net_send_or_keep(net_port_network(port), &f);
	net_set_link(net_port_card(port), false);
	net_send_or_keep(net_port_network(port), &f);
	assert_int_equal(pread(fd, file, sizeof(file), 0), 24 + 16 + 60 + 16 + 100);
	assert_int_equal(get_le32(file), 0xa1b23c4d);
	assert_int_equal(get_le32(file + 20), 1);
	assert_int_equal(get_le32(file + 24 + 8), 60);
	assert_int_equal(get_le32(file + 24 + 16 + 60 + 12), 100);
	end();
	close(fd);
	unlink(path);
}

static void forwards(void **state)
{
	static const char *const bad[] = { "", "tcp", "tcp:22", "tcp:1-2", "tcp::22-:", "tcp::0-:22", "tcp::65536-:22",
		"sctp::1-:2", "tcp:999.1.1.1:1-:2", "tcp::1-:2x", "tcp::1-:2-:3", "tcp:: 1-:2", "tcp::1-10.0.2:2" };
	static const char *const bad_guest[] = { "tcp:10.0.2.9:80", "tcp:10.0.2.9:80-", "tcp:10.0.2.9:80-cmd:",
		"udp:10.0.2.9:80-cmd:cat", "tcp::80-cmd:cat", "tcp:10.0.2.9:80-tcp:1", "cmd:cat" };
	struct net_guestfwd g;
	struct net_hostfwd h;
	uint8_t mac[6];
	struct err err;

	assert_int_equal(net_parse_hostfwd("tcp:127.0.0.1:2222-:22", &h, &err), 0);
	assert_true(!h.udp && h.host_port == 2222 && h.guest_port == 22 && !h.guest_addr);
	assert_int_equal(get_be32(&h.host_addr), 0x7f000001);
	assert_int_equal(net_parse_hostfwd("udp::53-10.0.2.16:54", &h, &err), 0);
	assert_true(h.udp && !h.host_addr && get_be32(&h.guest_addr) == 0x0a000210);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_not_equal(net_parse_hostfwd(bad[i], &h, &err), 0);
		assert_non_null(strstr(err.msg, "tcp:127.0.0.1:2222-:22"));
	}
	assert_int_equal(net_parse_guestfwd("tcp:10.0.2.100:80-cmd:nc -U a-b", &g, &err), 0);
	assert_string_equal(g.target, "nc -U a-b");
	assert_true(g.is_command && g.port == 80);
	assert_int_equal(net_parse_guestfwd("tcp:10.0.2.100:80-unix:/a:b", &g, &err), 0);
	assert_string_equal(g.target, "/a:b");
	for (unsigned i = 0; i < ARRAY_LEN(bad_guest); i++)
		assert_int_not_equal(net_parse_guestfwd(bad_guest[i], &g, &err), 0);
	assert_int_equal(net_parse_mac("52:54:00:aB:cd:0e", mac, &err), 0);
	assert_int_equal(mac[3], 0xab);
	assert_int_not_equal(net_parse_mac("52:54:00:12:34", mac, &err), 0);
	assert_int_not_equal(net_parse_mac("52:54:00:12:34:56:78", mac, &err), 0);
	assert_int_not_equal(net_parse_mac("53:54:00:12:34:56", mac, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals), cmocka_unit_test(kept), cmocka_unit_test(links), cmocka_unit_test(offloads),
		cmocka_unit_test(sizes), cmocka_unit_test(delays), cmocka_unit_test(losses), cmocka_unit_test(dumps),
		cmocka_unit_test(forwards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
