// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the firmware configuration device: named blobs the board hands to the firmware */
#ifndef DEV_ISA_FWCFG_H
#define DEV_ISA_FWCFG_H

#include "mem/mem.h"
#include "state/state.h"

struct fwcfg;

/* Well-known keys; files get keys from FWCFG_FILE_FIRST on by themselves. */
enum fwcfg_key {
	FWCFG_SIGNATURE = 0x00,
	FWCFG_ID = 0x01,
	FWCFG_RAM_SIZE = 0x03,
	FWCFG_NOGRAPHIC = 0x04,
	FWCFG_NB_CPUS = 0x05,
	FWCFG_MAX_CPUS = 0x0f,
	FWCFG_FILE_DIR = 0x19,
	FWCFG_FILE_FIRST = 0x20,
};

struct fwcfg_config {
	struct loop *loop;
	struct mem *mem;
	struct state_set *states;
};

struct fwcfg *fwcfg_new(const struct fwcfg_config *cfg);
void fwcfg_free(struct fwcfg *f);
void fwcfg_reset(struct fwcfg *f);
/* Add an item by key, or a file; data is copied. Before the machine runs. A name is at most 55 characters and
 * unique. */
void fwcfg_add(struct fwcfg *f, uint16_t key, const void *data, uint32_t len);
void fwcfg_add_file(struct fwcfg *f, const char *name, const void *data, uint32_t len);
/* Contents of a file as the guest sees it, for tests; NULL if there is none. */
const void *fwcfg_find(const struct fwcfg *f, const char *name, uint32_t *len);

#endif
