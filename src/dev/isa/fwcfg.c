// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the firmware configuration device (fw_cfg): a selector port, a data port and a DMA doorbell
 *
 * SeaBIOS and OVMF find RAM size, ACPI and SMBIOS tables and the boot order here. The interface is the one
 * of QEMU's docs/specs/fw_cfg.rst ("spec" below): the guest writes a key to port 0x510 and reads the item
 * byte by byte from 0x511, or gives the address of a descriptor to port 0x514. Items are fixed while the
 * machine runs and read-only, so that the state is some numbers.
 *
 * A guest may ask for 4 GiB. DMA_TURN bytes are moved in the write to the port, as nearly all requests need no more;
 * what is left follows in turns, by a timer, between other timers. The control field tells the guest when all is done,
 * as the interface has it.
 */
#include "dev/isa/fwcfg.h"

#include <stdlib.h>
#include <string.h>

/* spec, "Register Locations" (x86) */
enum { PORT_SELECTOR = 0, PORT_DATA = 1, PORT_DMA = 4, PORT_COUNT = 12, PORT_BASE = 0x510 };
/* spec, "Revision / feature bitmap" */
enum { ID_TRADITIONAL = 1, ID_DMA = 2 };
/* spec, "Guest-side DMA Interface": control bits */
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

#define FILES_MAX 32
#define KEYS_LOW FWCFG_FILE_FIRST
#define NAME_SIZE 56 /* spec, "File Directory" */
#define DIR_ENTRY 64
#define DMA_TURN KIB(128)
#define DMA_TURN_NS 200000u

struct fwcfg_state {
	uint64_t dma_addr; /* of the descriptor, as the guest writes it */
	uint64_t dma_desc; /* of the one that is carried out, */
	uint64_t dma_to;   /* where its next byte goes, */
	uint32_t dma_left; /* and how many are left; 0: there is none */
	uint32_t offset;
	uint16_t key;
	uint8_t pad_[6];
};
static const struct st_field fwcfg_state_type_fields[] = {
	ST(struct fwcfg_state, dma_addr), ST(struct fwcfg_state, dma_desc), ST(struct fwcfg_state, dma_to),
	ST(struct fwcfg_state, dma_left), ST(struct fwcfg_state, offset), ST(struct fwcfg_state, key),
	ST_ARRAY(struct fwcfg_state, pad_),
};
static ST_TYPE(fwcfg_state_type, struct fwcfg_state, 1, NULL);

struct item {
	uint8_t *data;
	uint32_t len;
};

struct fwcfg {
	struct fwcfg_state s;
	struct loop *loop;
	struct loop_timer timer; /* armed while dma_left */
	struct mem *mem;
	struct mem_ports ports;
	struct item items[KEYS_LOW + FILES_MAX];
	char names[FILES_MAX][NAME_SIZE];
	unsigned nfiles;
};

static const struct item *selected(const struct fwcfg *f)
{
	static const struct item none;

	/* Bits 14 and 15 choose write access and architecture-local keys (spec, "Selector (Control) Register"); we have
	 * neither. */
	return f->s.key < ARRAY_LEN(f->items) ? &f->items[f->s.key] : &none;
}

static void select_key(struct fwcfg *f, uint16_t key)
{
	f->s.key = key;
	f->s.offset = 0;
}

static uint8_t next_byte(struct fwcfg *f)
{
	const struct item *it = selected(f);

	return f->s.offset < it->len ? it->data[f->s.offset++] : 0;
}

/* Copy len bytes of the item to the guest; beyond the item's end the guest gets zeros. Bounded by len pieces of 4
 * KiB. */
static bool dma_read_item(struct fwcfg *f, uint64_t addr, uint32_t len)
{
	static const uint8_t zeros[4096];
	const struct item *it = selected(f);
	uint32_t have = it->len - MIN(it->len, f->s.offset), n = MIN(len, have);

	if (n && !mem_dma_write(f->mem, addr, it->data + f->s.offset, n))
		return false;
	f->s.offset += n;
	for (addr += n, len -= n; len; addr += n, len -= n) {
		n = MIN(len, (uint32_t)sizeof(zeros));
		if (!mem_dma_write(f->mem, addr, zeros, n))
			return false;
	}
	return true;
}

static void dma_end(struct fwcfg *f, bool ok)
{
	uint8_t status[4];

	f->s.dma_left = 0;
	put_le32(status, ok ? 0 : __builtin_bswap32(DMA_ERROR));
	mem_dma_write(f->mem, f->s.dma_desc, status, sizeof(status));
}

static void dma_turn(void *opaque)
{
	struct fwcfg *f = opaque;
	uint32_t n = MIN(f->s.dma_left, (uint32_t)DMA_TURN);
	bool ok = dma_read_item(f, f->s.dma_to, n);

	f->s.dma_to += n;
	f->s.dma_left -= n;
	if (ok && f->s.dma_left)
		loop_timer_set(&f->timer, loop_now(f->loop) + DMA_TURN_NS);
	else
		dma_end(f, ok);
}

static void dma_run(struct fwcfg *f)
{
	uint64_t desc = f->s.dma_addr;
	uint8_t raw[16];
	uint32_t control, len;

	f->s.dma_addr = 0;
	if (f->s.dma_left) {
		guest_log("fw_cfg: DMA is asked for while another is under way");
		return;
	}
	if (!mem_dma_read(f->mem, desc, raw, sizeof(raw))) {
		guest_log("fw_cfg: DMA descriptor at %#llx is not in RAM", (unsigned long long)desc);
		return;
	}
	control = get_be32(raw);
	len = get_be32(raw + 4);
	f->s.dma_desc = desc;
	f->s.dma_to = (uint64_t)get_be32(raw + 8) << 32 | get_be32(raw + 12);
	if (control & DMA_SELECT)
		select_key(f, (uint16_t)(control >> 16));
	if (control & DMA_READ) {
		f->s.dma_left = len;
		dma_turn(f);
		return;
	}
	if (control & DMA_SKIP && !(control & DMA_WRITE))
		f->s.offset += MIN(len, selected(f)->len - MIN(selected(f)->len, f->s.offset));
	dma_end(f, !(control & DMA_WRITE)); /* no item is writable */
}

/* Reads of the DMA register give its signature, "QEMU CFG", big-endian as all of this interface. */
static uint64_t dma_signature(unsigned off, unsigned size)
{
	static const uint8_t sig[8] = "QEMU CFG";
	uint64_t v = 0;

	for (unsigned i = 0; i < size && off + i < sizeof(sig); i++)
		v |= (uint64_t)sig[off + i] << 8 * i;
	return v;
}

static uint64_t fwcfg_read(void *opaque, uint64_t off, unsigned size)
{
	struct fwcfg *f = opaque;

	if (off >= PORT_DMA)
		return dma_signature((unsigned)off - PORT_DMA, size);
	if (off == PORT_DATA && size == 1)
		return next_byte(f);
	return (1ull << 8 * size) - 1;
}

static void fwcfg_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct fwcfg *f = opaque;

	if (off == PORT_SELECTOR && size == 2) {
		select_key(f, (uint16_t)val);
	} else if (off == PORT_DMA && size == 4) {
		f->s.dma_addr = (uint64_t)__builtin_bswap32((uint32_t)val) << 32;
	} else if (off == PORT_DMA + 4 && size == 4) {
		f->s.dma_addr = (f->s.dma_addr & 0xffffffff00000000) | __builtin_bswap32((uint32_t)val);
		dma_run(f);
	}
}

static const struct mem_ops fwcfg_ops = { .read = fwcfg_read, .write = fwcfg_write, .max_size = 4 };

static void set_item(struct fwcfg *f, unsigned index, const void *data, uint32_t len)
{
	struct item *it = &f->items[index];

	free(it->data);
	it->data = xalloc(len ? len : 1);
	memcpy(it->data, data, len);
	it->len = len;
}

void fwcfg_add(struct fwcfg *f, uint16_t key, const void *data, uint32_t len)
{
	must(key < KEYS_LOW);
	set_item(f, key, data, len);
}

/* spec, "File Directory": big-endian count, then size, key, reserved, name of each. */
static void rebuild_dir(struct fwcfg *f)
{
	uint8_t dir[4 + FILES_MAX * DIR_ENTRY] = { 0 };

	put_be32(dir, f->nfiles);
	for (unsigned i = 0; i < f->nfiles; i++) {
		uint8_t *e = dir + 4 + i * DIR_ENTRY;

		put_be32(e, f->items[FWCFG_FILE_FIRST + i].len);
		put_be16(e + 4, (uint16_t)(FWCFG_FILE_FIRST + i));
		memcpy(e + 8, f->names[i], NAME_SIZE);
	}
	set_item(f, FWCFG_FILE_DIR, dir, 4 + f->nfiles * DIR_ENTRY);
}

void fwcfg_add_file(struct fwcfg *f, const char *name, const void *data, uint32_t len)
{
	must(f->nfiles < FILES_MAX && strlen(name) < NAME_SIZE && !fwcfg_find(f, name, NULL));
	memcpy(f->names[f->nfiles], name, strlen(name) + 1);
	set_item(f, FWCFG_FILE_FIRST + f->nfiles, data, len);
	f->nfiles++;
	rebuild_dir(f);
}

const void *fwcfg_find(const struct fwcfg *f, const char *name, uint32_t *len)
{
	for (unsigned i = 0; i < f->nfiles; i++) {
		if (strcmp(f->names[i], name))
			continue;
		if (len)
			*len = f->items[FWCFG_FILE_FIRST + i].len;
		return f->items[FWCFG_FILE_FIRST + i].data;
	}
	return NULL;
}

void fwcfg_reset(struct fwcfg *f)
{
	f->s = (struct fwcfg_state){ 0 };
	loop_timer_cancel(&f->timer);
}

static void loaded(void *opaque)
{
	struct fwcfg *f = opaque;

	loop_timer_cancel(&f->timer);
	if (f->s.dma_left)
		loop_timer_set(&f->timer, loop_now(f->loop));
}

struct fwcfg *fwcfg_new(const struct fwcfg_config *cfg)
{
	static const uint8_t id[4] = { ID_TRADITIONAL | ID_DMA };
	struct fwcfg *f = xalloc(sizeof(*f));

	f->loop = cfg->loop;
	f->mem = cfg->mem;
	loop_timer_init(&f->timer, cfg->loop, dma_turn, f);
	f->ports = (struct mem_ports){ .name = "fw_cfg", .base = PORT_BASE, .count = PORT_COUNT, .ops = &fwcfg_ops,
		.opaque = f };
	fwcfg_add(f, FWCFG_SIGNATURE, "QEMU", 4);
	fwcfg_add(f, FWCFG_ID, id, sizeof(id));
	rebuild_dir(f);
	state_set_add(cfg->states, "fwcfg", &fwcfg_state_type, &f->s, loaded, f);
	mem_ports_enable(cfg->mem, &f->ports);
	return f;
}

void fwcfg_free(struct fwcfg *f)
{
	if (!f)
		return;
	mem_ports_disable(f->mem, &f->ports);
	loop_timer_cancel(&f->timer);
	for (unsigned i = 0; i < ARRAY_LEN(f->items); i++)
		free(f->items[i].data);
	free(f);
}
