// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the argument of --net: the kind of network, then keys, each of which only some kinds know
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"
#include "net/address.h"

#define BIT(kind) (1u << (kind))
#define ANY_CARD (BIT(NET_USER) | BIT(NET_SOCKET) | BIT(NET_SWITCH) | BIT(NET_TAP))
#define MTU_MIN 576
#define MTU_MAX 65520

struct net_key {
	const char *name;
	unsigned kinds;
	bool alone;         /* it takes no value */
	int (*set)(struct pc_net *n, const char *value, struct err *err);
};

/* A number with up to three decimals, times 1000. */
static bool parse_thousandths(const char *text, const char *unit, uint32_t max, uint32_t *val)
{
	char *end;
	double d = strtod(text, &end);

	if (!isdigit((unsigned char)*text) || (strcmp(end, unit) && *end) || !(d >= 0) || d > max)
		return false;
	*val = (uint32_t)(d * 1000 + 0.5);
	return true;
}

static int parse_number(const char *value, unsigned min, unsigned max, uint16_t *out)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (!isdigit((unsigned char)*value) || *end || n < min || n > max)
		return -EINVAL;
	*out = (uint16_t)n;
	return 0;
}

static int set_model(struct pc_net *n, const char *value, struct err *err)
{
	if (!pc_card_model_known(value))
		return err_set(err, -EINVAL, "model '%s' is unknown: %s are known", value, pc_card_models());
	n->model = value;
	return 0;
}

static int set_mac(struct pc_net *n, const char *value, struct err *err)
{
	n->has_mac = true;
	return net_parse_mac(value, n->mac, err);
}

static int set_dump(struct pc_net *n, const char *value, struct err *err)
{
	n->net.port.dump = value;
	return 0;
}

static int set_loss(struct pc_net *n, const char *value, struct err *err)
{
	if (!parse_thousandths(value, "%", 100, &n->net.port.loss))
		return err_set(err, -EINVAL, "loss '%s' is no share: give percent, like 0.5", value);
	n->net.port.loss *= 10;
	return 0;
}

static int set_delay(struct pc_net *n, const char *value, struct err *err)
{
	if (!parse_thousandths(value, "ms", 60000, &n->net.port.delay_us))
		return err_set(err, -EINVAL, "delay '%s' is no time: give milliseconds up to 60000, like 20 or 0.5", value);
	return 0;
}

static int set_restrict(struct pc_net *n, const char *value, struct err *err)
{
	n->net.restricted = true;
	return 0;
}

static int set_no_ipv6(struct pc_net *n, const char *value, struct err *err)
{
	n->net.no_ipv6 = true;
	return 0;
}

static int set_tftp(struct pc_net *n, const char *value, struct err *err)
{
	n->net.tftp = value;
	return 0;
}

static int set_bootfile(struct pc_net *n, const char *value, struct err *err)
{
	if (strlen(value) > 127) /* RFC 2131 2: the field "file" */
		return err_set(err, -EINVAL, "bootfile '%s' is longer than the 127 bytes that DHCP has room for", value);
	n->net.bootfile = value;
	return 0;
}

static int set_hostname(struct pc_net *n, const char *value, struct err *err)
{
	if (strlen(value) > 32)
		return err_set(err, -EINVAL, "hostname '%s' is longer than 32 bytes", value);
	n->net.hostname = value;
	return 0;
}

static int set_hostfwd(struct pc_net *n, const char *value, struct err *err)
{
	if (n->net.nhostfwd == NET_FORWARDS_MAX)
		return err_set(err, -EINVAL, "more than %d hostfwd", NET_FORWARDS_MAX);
	return net_parse_hostfwd(value, &n->net.hostfwd[n->net.nhostfwd++], err);
}

static int set_guestfwd(struct pc_net *n, const char *value, struct err *err)
{
	if (n->net.nguestfwd == NET_FORWARDS_MAX)
		return err_set(err, -EINVAL, "more than %d guestfwd", NET_FORWARDS_MAX);
	return net_parse_guestfwd(value, &n->net.guestfwd[n->net.nguestfwd++], err);
}

static int set_mtu(struct pc_net *n, const char *value, struct err *err)
{
	if (parse_number(value, MTU_MIN, MTU_MAX, &n->net.mtu))
		return err_set(err, -EINVAL, "mtu '%s' is out of range: %d to %d", value, MTU_MIN, MTU_MAX);
	return 0;
}

static int set_way(struct pc_net *n, enum net_socket_way way, const char *value, struct err *err)
{
	if (n->net.address)
		return err_set(err, -EINVAL, "connect, listen and dgram exclude each other");
	n->net.way = way;
	n->net.address = value;
	return net_check_address(value, err);
}

static int set_connect(struct pc_net *n, const char *value, struct err *err)
{
	return set_way(n, NET_SOCKET_CONNECT, value, err);
}

static int set_listen(struct pc_net *n, const char *value, struct err *err)
{
	return set_way(n, NET_SOCKET_LISTEN, value, err);
}

static int set_dgram(struct pc_net *n, const char *value, struct err *err)
{
	return set_way(n, NET_SOCKET_DGRAM, value, err);
}

static int set_local(struct pc_net *n, const char *value, struct err *err)
{
	n->net.local = value;
	return net_check_address(value, err);
}

static int set_vlan(struct pc_net *n, const char *value, struct err *err)
{
	if (!strcmp(value, "trunk"))
		n->net.vlan = NET_VLAN_TRUNK;
	else if (parse_number(value, 1, 4094, &n->net.vlan))
		return err_set(err, -EINVAL, "vlan '%s' is unknown: give a number from 1 to 4094, or trunk", value);
	return 0;
}

static int set_standby(struct pc_net *n, const char *value, struct err *err)
{
	if (strncmp(value, "switch:", 7))
		return err_set(err, -EINVAL, "standby '%s' is no switch: give switch:NAME", value);
	n->net.standby = value + 7;
	if (!strcmp(n->net.standby, n->net.name))
		return err_set(err, -EINVAL, "standby is the same switch: give another");
	return net_check_switch_name(n->net.standby, err);
}

static int set_name(struct pc_net *n, const char *value, struct err *err)
{
	if (strlen(value) > 15 || strpbrk(value, "/ "))
		return err_set(err, -EINVAL, "name '%s' is no name of a device: up to 15 letters, like tap0", value);
	n->net.name = value;
	return 0;
}

static int set_mirror(struct pc_net *n, const char *value, struct err *err)
{
	n->net.mirror = value;
	return 0;
}

static const struct net_key keys[] = {
	{ "model", ANY_CARD, false, set_model },
	{ "mac", ANY_CARD, false, set_mac },
	{ "dump", ANY_CARD, false, set_dump },
	{ "loss", ANY_CARD, false, set_loss },
	{ "delay", ANY_CARD, false, set_delay },
	{ "mtu", ANY_CARD, false, set_mtu },
	{ "hostfwd", BIT(NET_USER), false, set_hostfwd },
	{ "guestfwd", BIT(NET_USER), false, set_guestfwd },
	{ "tftp", BIT(NET_USER), false, set_tftp },
	{ "bootfile", BIT(NET_USER), false, set_bootfile },
	{ "hostname", BIT(NET_USER), false, set_hostname },
	{ "restrict", BIT(NET_USER), true, set_restrict },
	{ "noipv6", BIT(NET_USER), true, set_no_ipv6 },
	{ "connect", BIT(NET_SOCKET), false, set_connect },
	{ "listen", BIT(NET_SOCKET), false, set_listen },
	{ "dgram", BIT(NET_SOCKET), false, set_dgram },
	{ "local", BIT(NET_SOCKET), false, set_local },
	{ "vlan", BIT(NET_SWITCH), false, set_vlan },
	{ "mirror", BIT(NET_SWITCH), false, set_mirror },
	{ "standby", BIT(NET_SWITCH), false, set_standby },
	{ "name", BIT(NET_TAP), false, set_name },
};

static int unknown_key(enum net_kind kind, const char *kind_name, const char *key, struct err *err)
{
	char known[200] = "";

	for (unsigned i = 0; i < ARRAY_LEN(keys); i++)
		if (keys[i].kinds & BIT(kind))
			snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s", *known ? ", " : "", keys[i].name);
	return err_set(err, -EINVAL, "'%s' is unknown for %s: %s are known", key, kind_name, *known ? known : "no keys");
}

static int set_key(struct pc_net *n, const char *kind_name, char *key, struct err *err)
{
	char *value = strchr(key, '=');

	if (value)
		*value++ = 0;
	for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
		const struct net_key *k = &keys[i];

		if (strcmp(k->name, key) || !(k->kinds & BIT(n->net.kind)))
			continue;
		if (k->alone && value)
			return err_set(err, -EINVAL, "'%s' takes no value", key);
		if (!k->alone && (!value || !*value))
			return err_set(err, -EINVAL, "'%s' needs a value: %s=...", key, key);
		return k->set(n, value, err);
	}
	return unknown_key(n->net.kind, kind_name, key, err);
}

static const struct { const char *name; enum net_kind kind; } kinds[] = {
	{ "none", NET_NONE }, { "user", NET_USER }, { "socket", NET_SOCKET },
	{ "tap", NET_TAP },
};

static int parse_kind(struct pc_net *n, const char *text, struct err *err)
{
	if (!strncmp(text, "switch:", 7)) {
		n->net.kind = NET_SWITCH;
		n->net.name = text + 7;
		return net_check_switch_name(text + 7, err);
	}
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!strcmp(kinds[i].name, text)) {
			n->net.kind = kinds[i].kind;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "there is no network '%s': give user, switch:NAME, socket, tap or none", text);
}

/* What only the whole can tell. */
static int check(const struct run_options *o, const struct pc_net *n, struct err *err)
{
	if (n->net.bootfile && !n->net.tftp && strncmp(n->net.bootfile, "http", 4))
		return err_set(err, -EINVAL, "bootfile names a file of a TFTP server: give tftp=DIR too");
	if (n->net.kind == NET_SOCKET && !n->net.address)
		return err_set(err, -EINVAL, "socket needs one of connect=, listen= and dgram=, with unix:PATH or HOST:PORT");
	if (n->net.address && (n->net.way == NET_SOCKET_DGRAM) != (n->net.local != NULL))
		return err_set(err, -EINVAL, "dgram=, the peer's address, and local=, ours, need each other");
	for (unsigned i = 0; i < o->pc.nnets; i++)
		if (n->has_mac && o->pc.net[i].has_mac && !memcmp(n->mac, o->pc.net[i].mac, NET_MAC_LEN))
			return err_set(err, -EINVAL, "two cards cannot have the same mac");
	return 0;
}

int options_net(struct run_options *o, char *spec, struct err *err)
{
	struct pc_net *n = &o->pc.net[o->pc.nnets];
	const char *kind = strsep(&spec, ",");
	char *key;

	if (o->pc.nnets == PC_NETS_MAX)
		return err_set(err, -EINVAL, "more than %d cards", PC_NETS_MAX);
	*n = (struct pc_net){ .net = { .kind = NET_NONE } };
	if (parse_kind(n, kind, err))
		return -EINVAL;
	while ((key = strsep(&spec, ",")))
		if (set_key(n, kind, key, err))
			return -EINVAL;
	if (check(o, n, err))
		return -EINVAL;
	if (n->net.kind != NET_NONE)
		o->pc.nnets++;
	return 0;
}
