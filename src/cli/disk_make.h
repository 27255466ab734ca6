// SPDX-License-Identifier: GPL-2.0-or-later
/* what: options of a new image, which create and convert share
 */
#ifndef CLI_DISK_MAKE_H
#define CLI_DISK_MAKE_H

#include "cli/disk.h"

struct disk_make {
	const char *format, *cluster, *version, *refcount_bits, *compression, *subformat;
	struct block_create c;
};
#define DISK_MAKE_OPTS(m) \
	{"cluster", &(m)->cluster, NULL}, {"version", &(m)->version, NULL}, {"refcount-bits", &(m)->refcount_bits, NULL}, \
	{"compression", &(m)->compression, NULL}, {"subformat", &(m)->subformat, NULL}, \
	{"lazy-refcounts", NULL, &(m)->c.lazy_refcounts}

/* Texts into m->c, once they are parsed. path: of the new image. */
int disk_make_finish(struct disk_make *m, const char *path, struct err *err);

#endif
