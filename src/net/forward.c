// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what users write about networks: forwards and MAC addresses, read and checked
 *
 *   hostfwd   tcp:127.0.0.1:2222-:22        [tcp|udp]:[host address]:host port-[guest address]:guest port
 *   guestfwd  tcp:10.0.2.100:80-cmd:nc x 80 [tcp]:address:port-cmd:COMMAND or unix:PATH
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "net/net_int.h"

#define HOSTFWD_FORM "give it as tcp:127.0.0.1:2222-:22"
#define GUESTFWD_FORM "give it as tcp:10.0.2.100:80-unix:PATH or -cmd:COMMAND"

/* "ADDRESS:PORT" of n bytes, the address may be empty. */
static bool parse_place(const char *text, size_t n, uint32_t *addr, uint16_t *port)
{
	char copy[64], *colon, *end;
	struct in_addr in = { 0 };
	unsigned long val;

	if (n >= sizeof(copy))
		return false;
	memcpy(copy, text, n);
	copy[n] = 0;
	colon = strrchr(copy, ':');
	if (!colon || !isdigit((unsigned char)colon[1]))
		return false;
	*colon = 0;
	val = strtoul(colon + 1, &end, 10);
	if (*end || !val || val > 65535 || (*copy && inet_pton(AF_INET, copy, &in) != 1))
		return false;
	*addr = in.s_addr;
	*port = (uint16_t)val;
	return true;
}

/* Skips "tcp:" or "udp:"; a bare ':' is TCP. NULL: neither. */
static const char *parse_protocol(const char *text, bool *udp)
{
	*udp = !strncmp(text, "udp:", 4);
	if (*udp || !strncmp(text, "tcp:", 4))
		return text + 4;
	return *text == ':' ? text + 1 : NULL;
}

int net_parse_hostfwd(const char *text, struct net_hostfwd *f, struct err *err)
{
	const char *rest, *dash;

	*f = (struct net_hostfwd){ 0 };
	rest = parse_protocol(text, &f->udp);
	dash = rest ? strchr(rest, '-') : NULL;
	if (!dash || !parse_place(rest, (size_t)(dash - rest), &f->host_addr, &f->host_port) ||
	    !parse_place(dash + 1, strlen(dash + 1), &f->guest_addr, &f->guest_port))
		return err_set(err, -EINVAL, "'%s' is no forward: " HOSTFWD_FORM, text);
	return 0;
}

int net_parse_guestfwd(const char *text, struct net_guestfwd *f, struct err *err)
{
	const char *rest, *dash;
	bool udp;

	*f = (struct net_guestfwd){ 0 };
	rest = parse_protocol(text, &udp);
	dash = rest && !udp ? strchr(rest, '-') : NULL;
	if (!dash || !parse_place(rest, (size_t)(dash - rest), &f->addr, &f->port) || !f->addr)
		return err_set(err, -EINVAL, "'%s' is no forward: " GUESTFWD_FORM, text);
	f->is_command = !strncmp(dash + 1, "cmd:", 4);
	if (!f->is_command && strncmp(dash + 1, "unix:", 5))
		return err_set(err, -EINVAL, "'%s' leads nowhere: " GUESTFWD_FORM, text);
	f->target = strchr(dash + 1, ':') + 1;
	return *f->target ? 0 : err_set(err, -EINVAL, "'%s' leads nowhere: " GUESTFWD_FORM, text);
}

int net_parse_mac(const char *text, uint8_t mac[NET_MAC_LEN], struct err *err)
{
	const char *p = text;
	bool good = strlen(text) == 3 * NET_MAC_LEN - 1;

	for (unsigned i = 0; i < NET_MAC_LEN && good; i++, p += 3) {
		good = isxdigit((unsigned char)p[0]) && isxdigit((unsigned char)p[1]) && p[2] == (i == 5 ? 0 : ':');
		mac[i] = (uint8_t)strtoul(p, NULL, 16);
	}
	if (!good)
		return err_set(err, -EINVAL, "'%s' is no MAC address: give six bytes, like 52:54:00:12:34:56", text);
	if (mac[0] & 1)
		return err_set(err, -EINVAL, "'%s' is a group's address: the first byte of a card's is even", text);
	return 0;
}
