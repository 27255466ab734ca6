// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the chips a user may choose, one row each
 *
 * Chips that every machine has are made in pc.c; what a command-line word selects is found here.
 */
#include "board/chips.h"

#include <stdio.h>
#include <string.h>

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

bool pc_disk_interface_known(const char *name)
{
	return chip_disk_find(name) != NULL;
}
