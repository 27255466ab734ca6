// SPDX-License-Identifier: GPL-2.0-or-later
/* what: virtio devices on PCI: block, network card, entropy source, console; made and freed by the board
 *
 * All are transitional: old drivers find them by legacy ids and I/O ports, new ones by capabilities. Lock held for all
 * calls.
 */
#ifndef DEV_VIRTIO_VIRTIO_H
#define DEV_VIRTIO_VIRTIO_H

#include "block/block.h"
#include "dev/net/card.h"
#include "dev/pci/pci.h"
#include "ui/ui.h"

struct virtio_blk;
struct virtio_rng;
struct virtio_console;

/* Where a device sits. */
struct virtio_place {
	struct loop *loop;
	struct mem *mem;
	struct pci_bus *bus;
	struct state_set *states;
	const char *name; /* unique: "virtio-blk0" */
	uint8_t devfn;
};

/* blk is the board's: block_close it before virtio_blk_free, for requests under way write into the device. serial:
 * up to 20 characters, or NULL. */
struct virtio_blk *virtio_blk_new(const struct virtio_place *place, struct block *blk, const char *serial);
void virtio_blk_free(struct virtio_blk *b);
void virtio_blk_reset(struct virtio_blk *b);

/* See dev/net/card.h. */
struct virtio_net;
struct virtio_net *virtio_net_new(const struct virtio_place *place, const struct net_card_config *cfg);
void virtio_net_free(struct virtio_net *n);
void virtio_net_reset(struct virtio_net *n);

struct virtio_rng *virtio_rng_new(const struct virtio_place *place);
void virtio_rng_free(struct virtio_rng *r);
void virtio_rng_reset(struct virtio_rng *r);

/* Attaches itself to the stream, which stays the board's. */
struct virtio_console *virtio_console_new(const struct virtio_place *place, struct ui_stream *stream);
void virtio_console_free(struct virtio_console *c);
void virtio_console_reset(struct virtio_console *c);

#endif
