// SPDX-License-Identifier: GPL-2.0-or-later
/* what: one PCI bus: configuration space, BARs, INTx routing, as its devices and the host bridge see it
 *
 * A PCI function embeds struct pci_dev (its state block holds the 256 bytes of configuration space). The
 * bus owns BAR decoding: when the guest moves or enables a BAR, the bus maps the function's mem_region or
 * mem_ports there. Everything runs with the device lock held.
 */
#ifndef DEV_PCI_PCI_H
#define DEV_PCI_PCI_H

#include "base/wire.h"
#include "mem/mem.h"
#include "state/state.h"

struct pci_bus;
struct pci_dev;

struct pci_dev_state {
	uint8_t config[256];
};
extern const struct st_type pci_dev_state_type;

enum pci_bar_kind { PCI_BAR_NONE, PCI_BAR_IO, PCI_BAR_MEM32, PCI_BAR_MEM64, PCI_BAR_ROM };
struct pci_bar {
	enum pci_bar_kind kind;
	bool prefetchable;
	uint32_t size;             /* power of two; I/O >= 4, memory >= 4096 (>= 16 allowed by the spec, rounded up here) */
	/* memory and ROM: fill name, ops, opaque, host... before pci_add; base and size are the bus's */
	struct mem_region region;
	struct mem_ports ports;    /* I/O: likewise */
};

struct pci_dev {
	struct pci_dev_state s;
	const char *name;
	uint8_t devfn;
	struct pci_bus *bus;
	struct pci_bar bar[7];      /* 6 = expansion ROM */
	uint8_t wmask[256];         /* guest-writable bits of config; pci_add fills the standard header's */
	uint8_t w1cmask[256];       /* write-1-to-clear bits */
	/* After config bytes [off, off+len) changed by a guest write; may be NULL. */
	void (*config_written)(struct pci_dev *dev, unsigned off, unsigned len);
	/* Before the guest reads config bytes [off, off+len): refresh bytes that are not memory; may be NULL. */
	void (*config_reading)(struct pci_dev *dev, unsigned off, unsigned len);
	void *opaque;
	bool intx; /* level last given to pci_set_intx */
	struct pci_msix_state *msix; /* set by pci_msix_init */
	uint32_t msix_table_off;
	uint16_t msix_nvec;
	uint8_t msix_cap;
	uint8_t next_cap;            /* where pci_add_cap puts the next one; 0: at 0x40 */
	struct pci_dev *next;
};

/* intx[0..3]: the four PIRQ inputs of the south bridge; slot s pin p (0=A) drives intx[(s + p - 1) & 3] as on i440FX
 * boards. NULL: not connected yet (the south bridge is itself on this bus and connects itself with
 * pci_bus_set_intx). */
struct pci_bus *pci_bus_new(struct mem *mem, const struct wire intx[4]);
void pci_bus_set_intx(struct pci_bus *bus, const struct wire intx[4]);
struct mem *pci_bus_mem(const struct pci_bus *bus);
void pci_bus_free(struct pci_bus *bus);
/* The bus only forgets its functions: their owners free them after it, or without it. Fill in ids (vendor, device,
 * class are in s.config already), BARs and interrupt pin before. */
void pci_add(struct pci_bus *bus, struct pci_dev *dev, uint8_t devfn);
/* Reset all functions' command and BAR registers to power-on values and unmap. */
void pci_bus_reset(struct pci_bus *bus);
/* The function after dev in the order of their numbers, NULL: the first; NULL: there is none. */
const struct pci_dev *pci_next(const struct pci_bus *bus, const struct pci_dev *dev);
void pci_set_intx(struct pci_dev *dev, bool level);
/* Memory of the function may be reached by its DMA only while the bus master bit is set. */
bool pci_master_enabled(const struct pci_dev *dev);
/* Register the function's configuration space as "<name>.pci". */
void pci_register_state(struct pci_dev *dev, struct state_set *states, const char *name);
/* Convenience for constructors: ids and class into config space. class24: 0xccsspp. pin: 0 none, 1 = INTA. */
void pci_set_ids(struct pci_dev *dev, uint16_t vendor, uint16_t device, uint32_t class24, uint8_t rev,
                 uint16_t subvendor, uint16_t subdevice, uint8_t pin);
/* Add a capability of len bytes (header included); returns its offset. Body is zero and read-only until the caller
 * sets wmask. */
uint8_t pci_add_cap(struct pci_dev *dev, uint8_t id, uint8_t len);
/* Configuration access by the host bridge (size 1, 2, 4; aligned by the caller). Absent functions read all ones. */
uint32_t pci_config_read(struct pci_bus *bus, uint8_t busno, uint8_t devfn, unsigned off, unsigned size);
void pci_config_write(struct pci_bus *bus, uint8_t busno, uint8_t devfn, unsigned off, uint32_t val, unsigned size);
/* After a snapshot load: map BARs as config space says. */
void pci_bus_loaded(struct pci_bus *bus);
/* MSI-X. table and PBA live in BAR bar_no at table_off (n vectors of 16 bytes, PBA behind, rounded up to 2 KiB). The
 * bus handles table accesses if the device calls pci_msix_read/write for offsets in it. Messages are written as DMA
 * dwords to the message sink. */
struct pci_msix_state {
	uint8_t table[64 * 16];
	uint64_t pending;
};
extern const struct st_type pci_msix_state_type;
void pci_msix_init(struct pci_dev *dev, struct pci_msix_state *ms, unsigned nvec, unsigned bar_no, uint32_t table_off);
uint64_t pci_msix_read(struct pci_dev *dev, struct pci_msix_state *ms, uint64_t off, unsigned size);
void pci_msix_write(struct pci_dev *dev, struct pci_msix_state *ms, uint64_t off, uint64_t val, unsigned size);
bool pci_msix_enabled(const struct pci_dev *dev);
void pci_msix_fire(struct pci_dev *dev, struct pci_msix_state *ms, unsigned vec);
/* The function's mask or bus master bit changed: send what is pending and no longer masked. */
void pci_msix_unmasked(struct pci_dev *dev);
void pci_bus_send_msi(struct pci_bus *bus, uint64_t addr, uint32_t data);
/* Where MSI messages go (the local APIC's message decoder); set by the board. */
void pci_bus_set_msi_sink(struct pci_bus *bus, void (*msi)(void *opaque, uint64_t addr, uint32_t data), void *opaque);

#endif
