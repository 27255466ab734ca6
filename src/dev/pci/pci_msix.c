// SPDX-License-Identifier: GPL-2.0-or-later
/* what: MSI-X: the vector table, the pending bits and the messages of one PCI function
 *
 * A vector that fires while masked (its own bit, the function mask, or bus mastering off) is remembered in its pending
 * bit and sent when the mask goes away, so that no completion is lost while an operating system moves an interrupt.
 *
 * I1  pending has bits only for vectors below msix_nvec.
 * Source: PCI Local Bus Specification 3.0, 6.8.2.
 */
#include <string.h>

#include "dev/pci/pci.h"

#define CONTROL_ENABLE 0x8000
#define CONTROL_FUNCTION_MASK 0x4000
#define ENTRY_SIZE 16

static uint16_t control(const struct pci_dev *dev)
{
	return get_le16(dev->s.config + dev->msix_cap + 2);
}

static uint32_t pba_offset(unsigned nvec)
{
	return (nvec * ENTRY_SIZE + 2047u) & ~2047u;
}

static bool masked(const struct pci_dev *dev, const struct pci_msix_state *ms, unsigned vec)
{
	return (control(dev) & CONTROL_FUNCTION_MASK) || (ms->table[vec * ENTRY_SIZE + 12] & 1) || !pci_master_enabled(dev);
}

static void send(struct pci_dev *dev, struct pci_msix_state *ms, unsigned vec)
{
	const uint8_t *e = ms->table + vec * ENTRY_SIZE;

	ms->pending &= ~(1ull << vec);
	pci_bus_send_msi(dev->bus, get_le64(e), get_le32(e + 8));
}

bool pci_msix_enabled(const struct pci_dev *dev)
{
	return dev->msix && (control(dev) & CONTROL_ENABLE);
}

void pci_msix_fire(struct pci_dev *dev, struct pci_msix_state *ms, unsigned vec)
{
	if (vec >= dev->msix_nvec || !pci_msix_enabled(dev))
		return;
	if (masked(dev, ms, vec))
		ms->pending |= 1ull << vec;
	else
		send(dev, ms, vec);
}

void pci_msix_unmasked(struct pci_dev *dev)
{
	struct pci_msix_state *ms = dev->msix;

	if (!pci_msix_enabled(dev))
		return;
	for (unsigned v = 0; v < dev->msix_nvec; v++)
		if ((ms->pending >> v & 1) && !masked(dev, ms, v))
			send(dev, ms, v);
}

uint64_t pci_msix_read(struct pci_dev *dev, struct pci_msix_state *ms, uint64_t off, unsigned size)
{
	uint64_t at = off - dev->msix_table_off, pba = pba_offset(dev->msix_nvec);
	uint8_t pending[8];
	uint64_t val = 0;

	if (off < dev->msix_table_off || size > 8)
		return 0;
	put_le64(pending, ms->pending);
	for (unsigned i = 0; i < size; i++, at++) {
		uint8_t b = 0;

		if (at < dev->msix_nvec * ENTRY_SIZE)
			b = ms->table[at];
		else if (at >= pba && at < pba + sizeof(pending))
			b = pending[at - pba];
		val |= (uint64_t)b << i * 8;
	}
	return val;
}

void pci_msix_write(struct pci_dev *dev, struct pci_msix_state *ms, uint64_t off, uint64_t val, unsigned size)
{
	uint64_t at = off - dev->msix_table_off;

	/* 6.8.2: only aligned DWORD and QWORD accesses are defined; the PBA is read-only. */
	if (off < dev->msix_table_off || (size != 4 && size != 8) || at % size || at >= dev->msix_nvec * ENTRY_SIZE)
		return;
	put_le32(ms->table + at, (uint32_t)val);
	if (size == 8)
		put_le32(ms->table + at + 4, (uint32_t)(val >> 32));
	pci_msix_unmasked(dev);
}

void pci_msix_init(struct pci_dev *dev, struct pci_msix_state *ms, unsigned nvec, unsigned bar_no, uint32_t table_off)
{
	uint8_t cap = pci_add_cap(dev, 0x11, 12);

	must(nvec && nvec <= sizeof(ms->table) / ENTRY_SIZE && !(table_off & 7));
	put_le16(dev->s.config + cap + 2, (uint16_t)(nvec - 1));
	put_le32(dev->s.config + cap + 4, table_off | bar_no);
	put_le32(dev->s.config + cap + 8, (table_off + pba_offset(nvec)) | bar_no);
	dev->wmask[cap + 3] = 0xc0;
	dev->msix = ms;
	dev->msix_cap = cap;
	dev->msix_nvec = (uint16_t)nvec;
	dev->msix_table_off = table_off;
	for (unsigned v = 0; v < nvec; v++)
		ms->table[v * ENTRY_SIZE + 12] = 1;
}

static const struct st_field pci_msix_state_type_fields[] = {
	ST_ARRAY(struct pci_msix_state, table),
	ST(struct pci_msix_state, pending),
};
ST_TYPE(pci_msix_state_type, struct pci_msix_state, 1, NULL);
