// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the chips a user may choose, one row each
 *
 * Chips that every machine has are made in pc.c; what a command-line word selects is found here.
 */
#include "board/chips.h"

#include <string.h>

static const struct chip_disk disks[] = {
	{ .name = "ide", .what = "PIIX3 IDE, four drives, known to every guest", .attach = storage_attach_ide },
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
