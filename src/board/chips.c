// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the chips a user may choose, one row each
 *
 * Chips that every machine has are made in pc.c; what a command-line word selects is found here.
 */
#include "board/chips.h"

#include <stdio.h>
#include <string.h>

#include "dev/net/e1000.h"
#include "dev/net/ne2000.h"
#include "dev/net/pcnet.h"
#include "dev/net/rtl8139.h"
#include "dev/virtio/virtio.h"

static int attach_virtio(struct storage *st, struct pc *pc, struct storage_disk *d, struct err *err)
{
	unsigned slot = pc->next_slot;

	if (slot == PC_SLOTS)
		return err_set(err, -EINVAL, "no PCI slot is left for another disk");
	pc->next_slot++;
	snprintf(d->chip_name, sizeof(d->chip_name), "virtio-blk%u", slot);
	snprintf(d->boot_path, sizeof(d->boot_path), "/pci@i0cf8/scsi@%x/disk@0,0", slot);
	d->chip = virtio_blk_new(&(struct virtio_place){ pc->loop, pc->mem, pc->pci, pc->states, d->chip_name,
		PC_DEVFN(slot) }, d->blk, NULL);
	return 0;
}

static void reset_virtio(struct storage_disk *d)
{
	virtio_blk_reset(d->chip);
}

static void free_virtio(struct storage_disk *d)
{
	virtio_blk_free(d->chip);
}

static const struct chip_disk disks[] = {
	{ .name = "ide", .what = "PIIX3 IDE, four drives, known to every guest", .attach = storage_attach_ide },
	{ .name = "ahci", .what = "an AHCI controller, six disks, with native command queueing",
		.attach = storage_attach_ahci },
	{ .name = "virtio", .what = "a virtio block device of its own, fastest", .attach = attach_virtio,
		.reset = reset_virtio, .free = free_virtio },
};

const struct chip_disk *chip_disk_find(const char *name)
{
	if (!name)
		return &disks[0];
	for (unsigned i = 0; i < ARRAY_LEN(disks); i++)
		if (!strcmp(disks[i].name, name))
			return &disks[i];
	return NULL;
}

/* The next PCI slot for a card; fills its names. */
static int take_slot(struct pc *pc, struct network_card *c, struct card_place *place, struct err *err)
{
	unsigned slot = pc->next_slot;

	if (slot == PC_SLOTS)
		return err_set(err, -EINVAL, "no PCI slot is left for another card");
	pc->next_slot++;
	snprintf(c->chip_name, sizeof(c->chip_name), "net-%s%u", c->row->name, slot);
	snprintf(c->boot_path, sizeof(c->boot_path), "/pci@i0cf8/ethernet@%x", slot);
	*place = (struct card_place){ pc->loop, pc->mem, pc->pci, pc->states, c->chip_name, PC_DEVFN(slot) };
	return 0;
}

static int attach_virtio_net(struct pc *pc, struct network_card *c, const struct net_card_config *cfg, struct err *err)
{
	struct card_place p;

	if (take_slot(pc, c, &p, err))
		return -EINVAL;
	c->chip = virtio_net_new(&(struct virtio_place){ p.loop, p.mem, p.bus, p.states, p.name, p.devfn }, cfg);
	return 0;
}

static void reset_virtio_net(struct network_card *c)
{
	virtio_net_reset(c->chip);
}

static void free_virtio_net(struct network_card *c)
{
	virtio_net_free(c->chip);
}

static int attach_e1000(struct pc *pc, struct network_card *c, const struct net_card_config *cfg, struct err *err)
{
	struct card_place place;

	if (take_slot(pc, c, &place, err))
		return -EINVAL;
	c->chip = e1000_new(&place, c->row->device, cfg);
	return 0;
}

static void reset_e1000(struct network_card *c)
{
	e1000_reset(c->chip);
}

static void free_e1000(struct network_card *c)
{
	e1000_free(c->chip);
}

static int attach_rtl8139(struct pc *pc, struct network_card *c, const struct net_card_config *cfg, struct err *err)
{
	struct card_place place;

	if (take_slot(pc, c, &place, err))
		return -EINVAL;
	c->chip = rtl8139_new(&place, cfg);
	return 0;
}

static void reset_rtl8139(struct network_card *c)
{
	rtl8139_reset(c->chip);
}

static void free_rtl8139(struct network_card *c)
{
	rtl8139_free(c->chip);
}

static int attach_ne2k_pci(struct pc *pc, struct network_card *c, const struct net_card_config *cfg, struct err *err)
{
	struct card_place place;

	if (take_slot(pc, c, &place, err))
		return -EINVAL;
	c->chip = ne2k_pci_new(&place, cfg);
	return 0;
}

static void reset_ne2k_pci(struct network_card *c)
{
	ne2k_pci_reset(c->chip);
}

static void free_ne2k_pci(struct network_card *c)
{
	ne2k_pci_free(c->chip);
}

/* Where drivers look first, and where a second one is looked for. */
static int attach_ne2k_isa(struct pc *pc, struct network_card *c, const struct net_card_config *cfg, struct err *err)
{
	static const struct { uint16_t base; uint8_t line; } places[] = { { 0x300, 9 }, { 0x320, 10 } };
	unsigned n = pc->isa_cards;

	if (n == ARRAY_LEN(places))
		return err_set(err, -EINVAL, "more than %zu cards of model ne2k_isa", ARRAY_LEN(places));
	pc->isa_cards++;
	snprintf(c->chip_name, sizeof(c->chip_name), "net-ne2k_isa%u", n);
	c->chip = ne2k_isa_new(pc->mem, pc->states, c->chip_name, places[n].base,
	                       piix3_irq_input(pc->piix3, places[n].line), cfg);
	return 0;
}

static void reset_ne2k_isa(struct network_card *c)
{
	ne2k_isa_reset(c->chip);
}

static void free_ne2k_isa(struct network_card *c)
{
	ne2k_isa_free(c->chip);
}

static int attach_pcnet(struct pc *pc, struct network_card *c, const struct net_card_config *cfg, struct err *err)
{
	struct card_place place;

	if (take_slot(pc, c, &place, err))
		return -EINVAL;
	c->chip = pcnet_new(&place, cfg);
	return 0;
}

static void reset_pcnet(struct network_card *c)
{
	pcnet_reset(c->chip);
}

static void free_pcnet(struct network_card *c)
{
	pcnet_free(c->chip);
}

static const struct chip_card cards[] = {
	{ .name = "virtio", .what = "a virtio network card, fastest", .vendor = 0x1af4, .device = 0x1000,
		.rom = "pxe-virtio.rom", .attach = attach_virtio_net, .reset = reset_virtio_net, .free = free_virtio_net },
	{ .name = "e1000", .what = "Intel 82540EM, known to most guests", .vendor = 0x8086, .device = E1000_82540EM,
		.rom = "pxe-e1000.rom", .attach = attach_e1000, .reset = reset_e1000, .free = free_e1000 },
	{ .name = "e1000-82545em", .what = "Intel 82545EM, for servers", .vendor = 0x8086, .device = E1000_82545EM,
		.rom = "pxe-e1000.rom", .attach = attach_e1000, .reset = reset_e1000, .free = free_e1000 },
	{ .name = "rtl8139", .what = "Realtek RTL8139C, for guests of around 2000", .vendor = 0x10ec, .device = 0x8139,
		.rom = "pxe-rtl8139.rom", .attach = attach_rtl8139, .reset = reset_rtl8139, .free = free_rtl8139 },
	{ .name = "pcnet", .what = "AMD PCnet-PCI II, for guests of the 1990s", .vendor = 0x1022, .device = 0x2000,
		.rom = "pxe-pcnet.rom", .attach = attach_pcnet, .reset = reset_pcnet, .free = free_pcnet },
	{ .name = "ne2k_pci", .what = "Realtek RTL8029, an NE2000 on PCI", .vendor = 0x10ec, .device = 0x8029,
		.rom = "pxe-ne2k_pci.rom", .attach = attach_ne2k_pci, .reset = reset_ne2k_pci, .free = free_ne2k_pci },
	{ .name = "ne2k_isa", .what = "NE2000 on ISA, at 300H with IRQ 9", .attach = attach_ne2k_isa,
		.reset = reset_ne2k_isa, .free = free_ne2k_isa },
};

const struct chip_card *chip_card_find(const char *name)
{
	if (!name)
		return &cards[0];
	for (unsigned i = 0; i < ARRAY_LEN(cards); i++)
		if (!strcmp(cards[i].name, name))
			return &cards[i];
	return NULL;
}

const char *pc_card_models(void)
{
	return "virtio, e1000, e1000-82545em, rtl8139, pcnet, ne2k_pci, ne2k_isa";
}

bool pc_card_model_known(const char *name)
{
	return chip_card_find(name) != NULL;
}

bool pc_disk_interface_known(const char *name)
{
	return chip_disk_find(name) != NULL;
}
