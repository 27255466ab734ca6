// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the PCI face of a virtio device: legacy ports, modern structures in memory, interrupts, negotiation
 *
 *   BAR0  I/O      legacy registers, then the device's configuration
 *   BAR1  memory   MSI-X table
 *   BAR4  memory   0x0000 common  0x1000 ISR  0x2000 device configuration  0x3000 notifications, 4 bytes a queue
 *
 * Both faces work on the same struct virtio_state; a driver chooses by what it touches. Notifications are handled in
 * the guest's write itself, so a request reaches its backend without a thread switch. Source: VIRTIO 1.1, 4.1 (PCI
 * transport), 4.1.4.8 and 4.1.4.9 (legacy layout, configuration access capability).
 */
#include <stdio.h>
#include <string.h>

#include "dev/virtio/virtio_int.h"

#define VENDOR 0x1af4
#define ISR_QUEUE 1
#define ISR_CONFIG 2
#define MODERN_BAR 4
#define MODERN_SIZE 0x4000u
#define REGION_SIZE 0x1000u
#define NOTIFY_MULTIPLIER 4
#define LEGACY_BAR_SIZE 128
#define LEGACY_CONFIG 20 /* 24 while MSI-X is enabled */
#define CAP_PCI_CFG 5
#define AGAIN_NS 100000u
#define CAP_PCI_CFG_LEN 20

static void update_intx(struct virtio_dev *d)
{
	pci_set_intx(&d->pci, d->s.isr && !pci_msix_enabled(&d->pci));
}

static void interrupt(struct virtio_dev *d, uint16_t vector, uint8_t isr)
{
	if (pci_msix_enabled(&d->pci)) {
		pci_msix_fire(&d->pci, &d->msix, vector); /* ignores VIRTIO_NO_VECTOR */
		return;
	}
	d->s.isr |= isr;
	update_intx(d);
}

void virtio_notify_guest(struct virtio_dev *d, unsigned q)
{
	if (virtq_wants_interrupt(d, q))
		interrupt(d, d->s.vq[q].vector, ISR_QUEUE);
}

void virtio_broken(struct virtio_dev *d, const char *why)
{
	guest_log("%s: %s; device stopped until it is reset", d->name, why);
	d->s.status |= VIRTIO_STATUS_NEEDS_RESET;
	if (d->s.status & VIRTIO_STATUS_DRIVER_OK) /* 2.1.2: no notification before that */
		interrupt(d, d->s.config_vector, ISR_CONFIG);
}

void virtio_config_changed(struct virtio_dev *d)
{
	d->s.generation++;
	if (d->s.status & VIRTIO_STATUS_DRIVER_OK)
		interrupt(d, d->s.config_vector, ISR_CONFIG);
}

void virtio_reset(struct virtio_dev *d)
{
	d->s = (struct virtio_state){.config_vector = VIRTIO_NO_VECTOR};
	for (unsigned q = 0; q < d->type->nqueues; q++) {
		d->s.vq[q].size = d->type->queue_size;
		d->s.vq[q].vector = VIRTIO_NO_VECTOR;
	}
	d->again_queues = 0;
	loop_timer_cancel(&d->again);
	update_intx(d);
	if (d->type->reset)
		d->type->reset(d->opaque);
}

static void notify(struct virtio_dev *d, uint64_t q)
{
	if (q >= d->type->nqueues || !d->s.vq[q].enabled || !virtio_running(d))
		return;
	if (!pci_master_enabled(&d->pci)) {
		guest_log("%s: notified while it may not reach memory", d->name);
		return;
	}
	d->spent = 0;
	d->type->notify(d->opaque, (unsigned)q);
}

void virtio_again(struct virtio_dev *d, unsigned q)
{
	if (!d->again_queues)
		loop_timer_set(&d->again, loop_now(d->again.loop) + AGAIN_NS);
	d->again_queues |= 1u << q;
}

static void go_on(void *opaque)
{
	struct virtio_dev *d = opaque;
	uint32_t queues = d->again_queues;

	d->again_queues = 0;
	for (unsigned q = 0; q < d->type->nqueues; q++)
		if (queues >> q & 1)
			notify(d, q);
}

static struct virtq_state *selected(struct virtio_dev *d)
{
	return d->s.queue_sel < d->type->nqueues ? &d->s.vq[d->s.queue_sel] : NULL;
}

/* --- registers both faces have --- */

static uint8_t read_isr(struct virtio_dev *d)
{
	uint8_t isr = d->s.isr;

	d->s.isr = 0;
	update_intx(d);
	return isr;
}

static uint8_t read_status(const struct virtio_dev *d)
{
	/* 2.4.1: a reset is over, and reads as 0, only when nothing of before touches memory any more. */
	return !d->s.status && d->inflight ? VIRTIO_STATUS_NEEDS_RESET : d->s.status;
}

static void write_status(struct virtio_dev *d, uint8_t val, bool modern)
{
	uint8_t keep = d->s.status & VIRTIO_STATUS_NEEDS_RESET, begins = val & ~d->s.status & VIRTIO_STATUS_DRIVER_OK;

	if (!val) {
		virtio_reset(d);
		return;
	}
	if (modern && (val & VIRTIO_STATUS_FEATURES_OK) && !(d->s.driver_features & VIRTIO_F_VERSION_1))
		val &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	d->s.status = val | keep;
	if (begins && d->type->negotiated)
		d->type->negotiated(d->opaque);
	if (!pci_master_enabled(&d->pci))
		return;
	for (unsigned q = 0; begins && q < d->type->nqueues; q++) /* for what was offered before */
		notify(d, q);
}

static void set_features(struct virtio_dev *d, unsigned word, uint32_t val)
{
	uint64_t mask = 0xffffffffull << word * 32;

	if (word > 1 || (d->s.status & VIRTIO_STATUS_FEATURES_OK))
		return;
	d->s.driver_features = ((d->s.driver_features & ~mask) | (uint64_t)val << word * 32) & d->features;
}

/* 4.1.5.1.2.1: reading back "no vector" tells the driver that this one does not exist. */
static uint16_t checked_vector(const struct virtio_dev *d, uint64_t val)
{
	return val < d->pci.msix_nvec ? (uint16_t)val : VIRTIO_NO_VECTOR;
}

static uint64_t read_config(const struct virtio_dev *d, uint64_t off, unsigned size)
{
	uint64_t val = 0;

	for (unsigned i = 0; i < size && off + i < d->type->config_len; i++)
		val |= (uint64_t)d->config[off + i] << i * 8;
	return val;
}

/* --- legacy face --- */

static unsigned legacy_config(const struct virtio_dev *d)
{
	return pci_msix_enabled(&d->pci) ? LEGACY_CONFIG + 4 : LEGACY_CONFIG;
}

static uint64_t legacy_read(void *opaque, uint64_t off, unsigned size)
{
	struct virtio_dev *d = opaque;
	struct virtq_state *vq = selected(d);

	if (off >= legacy_config(d))
		return read_config(d, off - legacy_config(d), size);
	switch (off) {
	case 0:
		return (uint32_t)d->features;
	case 4:
		return (uint32_t)d->s.driver_features;
	case 8:
		return vq && vq->enabled ? (uint32_t)(vq->desc >> 12) : 0;
	case 12:
		return vq ? vq->size : 0;
	case 14:
		return d->s.queue_sel;
	case 18:
		return read_status(d);
	case 19:
		return read_isr(d);
	case 20:
		return d->s.config_vector;
	case 22:
		return vq ? vq->vector : VIRTIO_NO_VECTOR;
	}
	return 0;
}

/* 2.6.2: the legacy layout is one block of pages. */
static void legacy_set_pfn(struct virtio_dev *d, struct virtq_state *vq, uint32_t pfn)
{
	uint16_t vector = vq->vector;

	*vq = (struct virtq_state){.size = d->type->queue_size, .vector = vector};
	if (!pfn)
		return;
	vq->desc = (uint64_t)pfn << 12;
	vq->avail = vq->desc + 16u * vq->size;
	vq->used = (vq->avail + 6 + 2u * vq->size + 4095) & ~4095ull;
	vq->enabled = true;
}

static void legacy_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct virtio_dev *d = opaque;
	struct virtq_state *vq = selected(d);

	if (off >= legacy_config(d))
		return; /* no device here has writable configuration */
	switch (off) {
	case 4:
		set_features(d, 0, (uint32_t)val);
		break;
	case 8:
		if (vq)
			legacy_set_pfn(d, vq, (uint32_t)val);
		break;
	case 14:
		d->s.queue_sel = (uint16_t)val;
		break;
	case 16:
		notify(d, val);
		break;
	case 18:
		write_status(d, (uint8_t)val, false);
		break;
	case 20:
		d->s.config_vector = checked_vector(d, val);
		break;
	case 22:
		if (vq)
			vq->vector = checked_vector(d, val);
		break;
	}
}

static const struct mem_ops legacy_ops = {.read = legacy_read, .write = legacy_write, .max_size = 4};

/* --- modern face --- */

static uint32_t feature_word(uint64_t features, uint32_t sel)
{
	return sel < 2 ? (uint32_t)(features >> sel * 32) : 0;
}

/* 4.1.4.3 struct virtio_pci_common_cfg as it reads now; offsets are the struct's. */
static void common_image(const struct virtio_dev *d, uint8_t *c)
{
	static const struct virtq_state absent;
	bool there = d->s.queue_sel < d->type->nqueues;
	const struct virtq_state *vq = there ? &d->s.vq[d->s.queue_sel] : &absent;

	put_le32(c + 0, d->s.device_feature_sel);
	put_le32(c + 4, feature_word(d->features, d->s.device_feature_sel));
	put_le32(c + 8, d->s.driver_feature_sel);
	put_le32(c + 12, feature_word(d->s.driver_features, d->s.driver_feature_sel));
	put_le16(c + 16, d->s.config_vector);
	put_le16(c + 18, d->type->nqueues);
	c[20] = read_status(d);
	c[21] = d->s.generation;
	put_le16(c + 22, d->s.queue_sel);
	put_le16(c + 24, vq->size);
	put_le16(c + 26, there ? vq->vector : VIRTIO_NO_VECTOR);
	put_le16(c + 28, vq->enabled);
	put_le16(c + 30, there ? d->s.queue_sel : 0);
	put_le64(c + 32, vq->desc);
	put_le64(c + 40, vq->avail);
	put_le64(c + 48, vq->used);
}

static void set_half(uint64_t *reg, bool high, uint64_t val)
{
	unsigned shift = high ? 32 : 0;

	*reg = (*reg & ~(0xffffffffull << shift)) | (val & 0xffffffff) << shift;
}

static void queue_write(struct virtio_dev *d, struct virtq_state *vq, uint64_t off, uint64_t val)
{
	if (off == 26)
		vq->vector = checked_vector(d, val);
	if (vq->enabled) /* 4.1.4.3.2: the rest is fixed until reset */
		return;
	switch (off) {
	case 24:
		if (val && val <= d->type->queue_size && !(val & (val - 1)))
			vq->size = (uint16_t)val;
		break;
	case 28:
		vq->enabled = val & 1;
		break;
	case 32: case 36:
		set_half(&vq->desc, off == 36, val);
		break;
	case 40: case 44:
		set_half(&vq->avail, off == 44, val);
		break;
	case 48: case 52:
		set_half(&vq->used, off == 52, val);
		break;
	}
}

static void common_write(struct virtio_dev *d, uint64_t off, uint64_t val)
{
	struct virtq_state *vq = selected(d);

	switch (off) {
	case 0:
		d->s.device_feature_sel = (uint32_t)val;
		break;
	case 8:
		d->s.driver_feature_sel = (uint32_t)val;
		break;
	case 12:
		if (d->s.driver_feature_sel < 2)
			set_features(d, d->s.driver_feature_sel, (uint32_t)val);
		break;
	case 16:
		d->s.config_vector = checked_vector(d, val);
		break;
	case 20:
		write_status(d, (uint8_t)val, true);
		break;
	case 22:
		d->s.queue_sel = (uint16_t)val;
		break;
	default:
		if (vq)
			queue_write(d, vq, off, val);
	}
}

static uint64_t modern_read(void *opaque, uint64_t off, unsigned size)
{
	struct virtio_dev *d = opaque;
	uint8_t common[64] = {0};
	uint64_t at = off % REGION_SIZE;

	switch (off / REGION_SIZE) {
	case 0:
		if (at + size > sizeof(common))
			return 0;
		common_image(d, common);
		return get_le64(common + (at & ~7ull)) >> (at & 7) * 8 & (~0ull >> (64 - size * 8));
	case 1:
		return at ? 0 : read_isr(d);
	case 2:
		return read_config(d, at, size);
	}
	return 0;
}

static void modern_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct virtio_dev *d = opaque;

	if (off / REGION_SIZE == 0)
		common_write(d, off, val);
	else if (off / REGION_SIZE == 3)
		notify(d, off % REGION_SIZE / NOTIFY_MULTIPLIER);
}

static const struct mem_ops modern_ops = {.read = modern_read, .write = modern_write, .max_size = 4};

static uint64_t msix_read(void *opaque, uint64_t off, unsigned size)
{
	struct virtio_dev *d = opaque;

	return pci_msix_read(&d->pci, &d->msix, off, size);
}

static void msix_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	struct virtio_dev *d = opaque;

	pci_msix_write(&d->pci, &d->msix, off, val, size);
}

static const struct mem_ops msix_ops = {.read = msix_read, .write = msix_write, .max_size = 8};

/* --- BAR4 through configuration space (4.1.4.9) --- */

static bool pci_cfg_window(const struct virtio_dev *d, uint32_t *off, uint32_t *len)
{
	const uint8_t *cap = d->pci.s.config + d->pci_cfg_cap;

	*off = get_le32(cap + 8);
	*len = get_le32(cap + 12);
	return cap[4] == MODERN_BAR && (*len == 1 || *len == 2 || *len == 4) && !(*off % *len) &&
	       *off <= MODERN_SIZE - *len;
}

static void config_reading(struct pci_dev *dev, unsigned at, unsigned size)
{
	struct virtio_dev *d = dev->opaque;
	unsigned data = d->pci_cfg_cap + 16u;
	uint32_t off, len;

	if (at < data + 4 && at + size > data && pci_cfg_window(d, &off, &len))
		put_le32(dev->s.config + data, (uint32_t)modern_read(d, off, len));
}

static void config_written(struct pci_dev *dev, unsigned at, unsigned size)
{
	struct virtio_dev *d = dev->opaque;
	unsigned data = d->pci_cfg_cap + 16u;
	uint32_t off, len;

	update_intx(d); /* MSI-X may have been switched */
	if (at < data + 4 && at + size > data && pci_cfg_window(d, &off, &len))
		modern_write(d, off, get_le32(dev->s.config + data) & (~0u >> (32 - len * 8)), len);
}

/* --- life --- */

static uint8_t add_cap(struct virtio_dev *d, uint8_t type, uint32_t off, uint32_t len, uint8_t size)
{
	uint8_t at = pci_add_cap(&d->pci, 0x09, size);
	uint8_t *cap = d->pci.s.config + at;

	cap[2] = size;
	cap[3] = type;
	cap[4] = MODERN_BAR;
	put_le32(cap + 8, off);
	put_le32(cap + 12, len);
	return at;
}

static void add_caps(struct virtio_dev *d)
{
	uint8_t at;

	add_cap(d, 1, 0, REGION_SIZE, 16);
	add_cap(d, 3, REGION_SIZE, REGION_SIZE, 16);
	add_cap(d, 4, 2 * REGION_SIZE, REGION_SIZE, 16);
	at = add_cap(d, 2, 3 * REGION_SIZE, REGION_SIZE, 20);
	put_le32(d->pci.s.config + at + 16, NOTIFY_MULTIPLIER);
	d->pci_cfg_cap = add_cap(d, CAP_PCI_CFG, 0, 0, CAP_PCI_CFG_LEN);
	d->pci.s.config[d->pci_cfg_cap + 4] = 0;
	d->pci.wmask[d->pci_cfg_cap + 4] = 0xff;
	memset(d->pci.wmask + d->pci_cfg_cap + 8, 0xff, 12);
}

static void init_bars(struct virtio_dev *d)
{
	d->pci.bar[0].kind = PCI_BAR_IO;
	d->pci.bar[0].size = LEGACY_BAR_SIZE;
	d->pci.bar[0].ports = (struct mem_ports){.name = d->name, .ops = &legacy_ops, .opaque = d};
	d->pci.bar[1].kind = PCI_BAR_MEM32;
	d->pci.bar[1].size = 4096;
	d->pci.bar[1].region = (struct mem_region){.name = d->name, .ops = &msix_ops, .opaque = d};
	d->pci.bar[MODERN_BAR].kind = PCI_BAR_MEM64;
	d->pci.bar[MODERN_BAR].prefetchable = true;
	d->pci.bar[MODERN_BAR].size = MODERN_SIZE;
	d->pci.bar[MODERN_BAR].region = (struct mem_region){.name = d->name, .ops = &modern_ops, .opaque = d};
}

static const char *check_state(const void *state)
{
	const struct virtio_state *s = state;

	for (unsigned q = 0; q < VIRTIO_MAX_QUEUES; q++) {
		uint16_t size = s->vq[q].size;

		if (size > VIRTQ_MAX_SIZE || (size & (size - 1)) || (s->vq[q].enabled && !size))
			return "queue size out of range";
	}
	return NULL;
}

static const struct st_field virtq_type_fields[] = {
	ST(struct virtq_state, desc), ST(struct virtq_state, avail), ST(struct virtq_state, used),
	ST(struct virtq_state, size), ST(struct virtq_state, last_avail), ST(struct virtq_state, used_idx),
	ST(struct virtq_state, signalled), ST(struct virtq_state, vector), ST(struct virtq_state, enabled),
	ST_ARRAY(struct virtq_state, pad_),
};
static ST_TYPE(virtq_type, struct virtq_state, 1, NULL);
static const struct st_field virtio_state_type_fields[] = {
	ST(struct virtio_state, driver_features), ST_SUBS(struct virtio_state, vq, &virtq_type),
	ST(struct virtio_state, device_feature_sel), ST(struct virtio_state, driver_feature_sel),
	ST(struct virtio_state, queue_sel), ST(struct virtio_state, config_vector), ST(struct virtio_state, status),
	ST(struct virtio_state, isr), ST(struct virtio_state, generation), ST_ARRAY(struct virtio_state, pad_),
};
static ST_TYPE(virtio_state_type, struct virtio_state, 1, check_state);

/* What was left for another turn is not in the state: each queue is looked at. */
static void loaded(void *opaque)
{
	struct virtio_dev *d = opaque;

	update_intx(d);
	for (unsigned q = 0; q < d->type->nqueues; q++)
		if (d->s.vq[q].enabled)
			virtio_again(d, q);
	if (d->type->loaded)
		d->type->loaded(d->opaque);
}

static void register_state(struct virtio_dev *d, struct state_set *states)
{
	char full[64];

	pci_register_state(&d->pci, states, d->name);
	snprintf(full, sizeof(full), "%s.msix", d->name);
	state_set_add(states, full, &pci_msix_state_type, &d->msix, NULL, NULL);
	state_set_add(states, d->name, &virtio_state_type, &d->s, loaded, d);
}

void virtio_init(struct virtio_dev *d, const struct virtio_type *type, const struct virtio_place *place,
                 uint64_t extra, void *opaque)
{
	must(type->nqueues <= VIRTIO_MAX_QUEUES && type->queue_size <= VIRTQ_MAX_SIZE &&
	     type->config_len <= sizeof(d->config));
	loop_timer_init(&d->again, place->loop, go_on, d);
	d->mem = place->mem;
	d->name = place->name;
	d->type = type;
	d->opaque = opaque;
	d->features = type->features | extra | VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
	              VIRTIO_F_VERSION_1;
	d->pci.name = place->name;
	d->pci.opaque = d;
	d->pci.config_reading = config_reading;
	d->pci.config_written = config_written;
	pci_set_ids(&d->pci, VENDOR, type->pci_id, type->class24, 0, VENDOR, type->device_id, 1);
	init_bars(d);
	add_caps(d);
	pci_msix_init(&d->pci, &d->msix, type->nqueues + 1u, 1, 0);
	pci_add(place->bus, &d->pci, place->devfn);
	register_state(d, place->states);
	virtio_reset(d);
}

void virtio_fini(struct virtio_dev *d)
{
	loop_timer_cancel(&d->again);
}
