// SPDX-License-Identifier: GPL-2.0-or-later
/* what: network cards: networks opened, cards made and plugged in, their addresses and boot ROMs
 *
 * An address is derived, so that a guest finds the same card at each start: 52:54:00 and 24 bits of a hash of the first
 * disk's path and the card's number. A machine without a disk that it may keep things on has nothing to be known by,
 * and two of them may meet on a switch: it gets another address each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "board/chips.h"

struct network {
	struct network_card card[PC_NETS_MAX];
	unsigned n;
};

/* FNV-1a */
static uint32_t hash(uint32_t sum, const void *p, size_t len)
{
	for (const uint8_t *b = p; len--; b++)
		sum = (sum ^ *b) * 16777619u;
	return sum;
}

static void derive_mac(const struct pc_config *cfg, unsigned number, uint8_t mac[NET_MAC_LEN])
{
	uint32_t sum = hash(2166136261u, &number, sizeof(number));
	char *path = NULL;

	for (unsigned i = 0; i < cfg->ndisks && !path; i++)
		if (!cfg->disk[i].readonly && !cfg->disk[i].snapshot)
			path = realpath(cfg->disk[i].path, NULL);
	if (path)
		sum = hash(sum, path, strlen(path));
	else if (getrandom(&sum, sizeof(sum), 0) < 0)
		sum = (uint32_t)getpid() * 8 + number;
	free(path);
	mac[0] = 0x52;
	mac[1] = 0x54;
	mac[2] = 0x00;
	for (unsigned i = 0; i < 3; i++)
		mac[3 + i] = (uint8_t)(sum >> 8 * i);
}

/* One ROM serves several cards, and the firmware runs it only if it names the card it finds it on. Byte 6 is spare in
 * iPXE's images, and takes what keeps the sum 0. PCI 3.0, 6.3.1.1 and 6.3.1.2. */
static void name_card(uint8_t *rom, size_t len, uint16_t vendor, uint16_t device)
{
	uint32_t at = get_le16(rom + 0x18);

	if (at + 8u > len || memcmp(rom + at, "PCIR", 4))
		return;
	for (unsigned i = 4; i < 8; i++)
		rom[6] = (uint8_t)(rom[6] + rom[at + i]);
	put_le16(rom + at + 4, vendor);
	put_le16(rom + at + 6, device);
	for (unsigned i = 4; i < 8; i++)
		rom[6] = (uint8_t)(rom[6] - rom[at + i]);
}

/* A copy of the file as large as its BAR; without it the card works, but boots nobody. */
static void load_rom(struct pc *pc, struct network_card *c)
{
	struct rom file = { 0 };
	uint32_t size = 4096;
	void *p;

	if (pc->kernel || !c->row->rom || !firmware_load_card(&file, c->row->rom))
		return;
	while (size < file.len)
		size *= 2;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED) {
		c->rom = memcpy(p, file.data, file.len);
		name_card(c->rom, file.len, c->row->vendor, c->row->device);
		c->rom_size = size;
	}
	firmware_free(&file);
}

static int attach(struct pc *pc, struct network_card *c, unsigned number, struct err *err)
{
	const struct pc_net *cfg = &pc->cfg.net[number];
	struct net_card_config card = { .mtu = cfg->net.mtu };

	c->row = chip_card_find(cfg->model);
	c->port = net_port_new(pc->loop, &cfg->net.port, err);
	if (!c->port)
		return -EINVAL;
	c->net = net_open(pc->loop, &cfg->net, c->port, err);
	if (!c->net)
		return -EINVAL;
	if (cfg->has_mac)
		memcpy(card.mac, cfg->mac, NET_MAC_LEN);
	else
		derive_mac(&pc->cfg, number, card.mac);
	load_rom(pc, c);
	card.end = net_port_card(c->port);
	card.rom = c->rom;
	card.rom_size = c->rom_size;
	log_at(LOG_INFO, "network card %u: %s, %02x:%02x:%02x:%02x:%02x:%02x", number, c->row->name, card.mac[0],
	       card.mac[1], card.mac[2], card.mac[3], card.mac[4], card.mac[5]);
	return c->row->attach(pc, c, &card, err);
}

int network_attach(struct pc *pc, struct err *err)
{
	struct network *nw = pc->network = xalloc(sizeof(*nw));

	for (unsigned i = 0; i < pc->cfg.nnets; i++) {
		nw->n++;
		if (attach(pc, &nw->card[i], i, err))
			return err_prefix(err, -EINVAL, "--net");
	}
	return 0;
}

void network_reset(struct network *nw)
{
	for (unsigned i = 0; i < nw->n; i++) {
		net_port_flush(nw->card[i].port);
		nw->card[i].row->reset(&nw->card[i]);
	}
}

void network_free(struct network *nw)
{
	if (!nw)
		return;
	for (unsigned i = 0; i < nw->n; i++) {
		struct network_card *c = &nw->card[i];

		net_close(c->net);
		if (c->chip)
			c->row->free(c);
		net_port_free(c->port);
		if (c->rom)
			munmap(c->rom, c->rom_size);
	}
	free(nw);
}

void network_boot_paths(const struct network *nw, char *buf, size_t len)
{
	size_t n = 0;

	*buf = 0;
	for (unsigned i = 0; i < nw->n; i++)
		if (n + sizeof(nw->card[i].boot_path) + 1 < len && *nw->card[i].boot_path)
			n += (size_t)snprintf(buf + n, len - n, "%s%s", n ? "\n" : "", nw->card[i].boot_path);
}
