// SPDX-License-Identifier: GPL-2.0-or-later
/* what: READ and WRITE FPDMA QUEUED: up to 32 requests with the block layer at once
 *
 * A command goes to the image straight from and to guest memory, in pieces of at most BLOCK_MAX_IOV regions. A write
 * with FUA is followed by a flush, and only then told. What comes back after the port was stopped is not told to the
 * guest; the port keeps PxCMD.CR up until all is back, so the guest knows when its memory is its own again.
 * Source: SATA 2.6 13.6.4 and 13.6.5.
 */
#include "dev/pci/ahci_int.h"

#define PIECE 0x100000u
#define FIS_FUA 0x80
#define CODE_WRITE 0x61

static void next_piece(struct ahci_ncq *q);

static void end(struct ahci_ncq *q, bool error)
{
	struct ahci_port *p = q->port;

	q->busy = false;
	ahci_queued_done(p, q->slot, error);
}

static void piece_done(struct block_req *req, int result)
{
	struct ahci_ncq *q = req->opaque;
	struct ahci_port *p = q->port;

	p->inflight--;
	for (unsigned i = 0; req->op == BLOCK_READ && i < q->sg.n; i++)
		mem_dma_written(p->hba->cfg.mem, q->sg.gpa[i], q->sg.iov[i].iov_len);
	if (p->s->stopping) {
		q->busy = false;
		ahci_settle(p);
	} else if (result) {
		end(q, true);
	} else if (req->op == BLOCK_FLUSH) {
		end(q, false);
	} else {
		next_piece(q);
	}
}

static void submit(struct ahci_ncq *q, enum block_op op, struct iovec *iov, unsigned niov)
{
	q->req = (struct block_req){.op = op, .offset = q->offset, .iov = iov, .niov = niov, .done = piece_done,
		.opaque = q};
	q->port->inflight++;
	block_submit(q->port->blk, &q->req);
}

static void next_piece(struct ahci_ncq *q)
{
	struct ahci *a = q->port->hba;
	uint64_t at = q->offset;
	uint32_t n;

	if (!q->left) {
		if (q->write && (q->fua || !q->port->drive->s.drive[0].write_cache))
			submit(q, BLOCK_FLUSH, NULL, 0);
		else
			end(q, false);
		return;
	}
	n = ahci_map(a, &q->cursor, &q->sg, (uint32_t)MIN(q->left, PIECE), 512);
	if (!n) {
		end(q, true);
		return;
	}
	submit(q, q->write ? BLOCK_WRITE : BLOCK_READ, q->sg.iov, q->sg.n);
	q->offset = at + n;
	q->left -= n;
}

bool ahci_ncq_start(struct ahci_port *p, unsigned slot, const uint8_t fis[20], const struct ahci_cursor *c)
{
	struct ahci_ncq *q = &p->ncq[slot];
	uint64_t lba = fis[4] | (uint64_t)fis[5] << 8 | (uint64_t)fis[6] << 16 | (uint64_t)fis[8] << 24 |
	               (uint64_t)fis[9] << 32 | (uint64_t)fis[10] << 40;
	uint64_t count = fis[3] | (uint64_t)fis[11] << 8, sectors = p->drive->drive[0].sectors;
	bool write = fis[2] == CODE_WRITE;

	count = count ? count : 65536;
	if (q->busy || fis[12] >> 3 != slot || lba >= sectors || count > sectors - lba || (write && block_readonly(p->blk)))
		return false;
	q->cursor = *c;
	q->port = p;
	q->slot = (uint8_t)slot;
	q->offset = lba * 512;
	q->left = count * 512;
	q->write = write;
	q->fua = fis[7] & FIS_FUA;
	q->busy = true;
	next_piece(q);
	return true;
}
