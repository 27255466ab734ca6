// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the two 8237 DMA controllers of the PC with their page registers */
#ifndef DEV_ISA_DMA_H
#define DEV_ISA_DMA_H

#include "mem/mem.h"
#include "state/state.h"

struct dma;

struct dma_config {
	struct state_set *states; /* may be NULL */
	struct mem *mem;
};

enum dma_dir { DMA_TO_MEMORY, DMA_FROM_MEMORY };

/* All functions: device lock held. */
struct dma *dma_new(const struct dma_config *cfg);
void dma_free(struct dma *dma);
void dma_reset(struct dma *dma);
/* The device on channel (0..7) asks for len bytes. Returns how many were moved: fewer if the channel is masked, set for
 * another direction or reaches terminal count, which then is reported in *tc. A verify transfer moves nothing but
 * counts. */
unsigned dma_transfer(struct dma *dma, unsigned channel, void *buf, unsigned len, enum dma_dir dir, bool *tc);
/* Whether a request on channel would be served now. */
bool dma_ready(const struct dma *dma, unsigned channel);

#endif
