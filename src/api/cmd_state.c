// SPDX-License-Identifier: GPL-2.0-or-later
/* what: commands that look into chips: the functions on the PCI bus, and any chip's declared state
 */
#include <stdio.h>
#include <string.h>

#include "api/api_int.h"
#include "api/commands.h"

/* PCI */

static const char *class_name(unsigned class)
{
	static const struct { uint16_t class; const char *name; } names[] = {
		{ 0x0100, "SCSI controller" }, { 0x0101, "IDE controller" }, { 0x0200, "Ethernet controller" },
		{ 0x0300, "VGA controller" }, { 0x0600, "Host bridge" }, { 0x0601, "ISA bridge" }, { 0x0680, "Bridge" },
		{ 0x0780, "Communication controller" }, { 0x00ff, "Class 255" }, { 0x0c03, "USB controller" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].class == class)
			return names[i].name;
	return NULL;
}

static struct json *region(const struct pci_dev *d, unsigned i)
{
	const struct pci_bar *bar = &d->bar[i];
	const uint8_t *reg = d->s.config + (i == 6 ? 0x30 : 0x10 + 4 * i);
	bool io = bar->kind == PCI_BAR_IO, wide = bar->kind == PCI_BAR_MEM64;
	uint64_t at = wide ? get_le64(reg) : get_le32(reg);
	struct json *r = js_object();

	js_set(r, "bar", js_int(i));
	js_set(r, "type", js_str(io ? "io" : "memory"));
	js_set(r, "address", js_uint(at & ~(uint64_t)(bar->size - 1)));
	js_set(r, "size", js_uint(bar->size));
	if (!io) {
		js_set(r, "prefetch", js_bool(bar->prefetchable));
		js_set(r, "mem_type_64", js_bool(wide));
	}
	return r;
}

static struct json *ids(const uint8_t *config)
{
	struct json *id = js_object();

	js_set(js_set(id, "vendor", js_int(get_le16(config))), "device", js_int(get_le16(config + 2)));
	if (get_le16(config + 0x2c))
		js_set(js_set(id, "subsystem-vendor", js_int(get_le16(config + 0x2c))), "subsystem",
		       js_int(get_le16(config + 0x2e)));
	return id;
}

static struct json *function(const struct pci_dev *d)
{
	const uint8_t *config = d->s.config;
	unsigned class = get_le16(config + 10);
	struct json *f = js_object(), *regions = js_array(), *info = js_set(js_object(), "class", js_int(class));

	js_set(info, "desc", class_name(class) ? js_str(class_name(class)) : NULL);
	for (unsigned i = 0; i < ARRAY_LEN(d->bar); i++)
		if (d->bar[i].kind != PCI_BAR_NONE)
			js_add(regions, region(d, i));
	js_set(js_set(js_set(f, "bus", js_int(0)), "slot", js_int(d->devfn >> 3)), "function", js_int(d->devfn & 7));
	js_set(js_set(js_set(f, "class_info", info), "id", ids(config)), "irq_pin", js_int(config[0x3d]));
	js_set(f, "irq", config[0x3d] ? js_int(config[0x3c]) : NULL);
	return js_set(js_set(f, "qdev_id", js_str("")), "regions", regions);
}

API_COMMAND(query_pci)
{
	struct json *devices = js_array();

	loop_lock(pc_loop(call->pc));
	for (const struct pci_dev *d = pci_next(pc_pci(call->pc), NULL); d; d = pci_next(pc_pci(call->pc), d))
		js_add(devices, function(d));
	loop_unlock(pc_loop(call->pc));
	return js_add(js_array(), js_set(js_set(js_object(), "bus", js_int(0)), "devices", devices));
}

/* Declared state */

static struct json *block(const struct st_type *type, const uint8_t *state);

/* What JSON's readers take for a number, else its digits. */
static struct json *word(uint64_t v)
{
	char text[20];

	if (v <= INT64_MAX)
		return js_uint(v);
	snprintf(text, sizeof(text), "0x%016llx", (unsigned long long)v);
	return js_str(text);
}

static struct json *element(const struct st_field *f, const uint8_t *at)
{
	switch (f->kind) {
	case ST_U8: return js_int(*at);
	case ST_U16: return js_int(get_le16(at));
	case ST_U32: return js_int(get_le32(at));
	case ST_U64: return word(get_le64(at));
	case ST_BOOL: return js_bool(*at);
	case ST_STRUCT: break;
	}
	return block(f->sub, at);
}

/* A run of bytes is a string of hexadecimal digits, as far as it can be looked at. */
static struct json *bytes(const struct st_field *f, const uint8_t *at)
{
	char text[2 * 1024 + 4];
	unsigned n = MIN(f->count, 1024u);

	for (unsigned i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", at[i]);
	if (n < f->count)
		strcpy(text + 2 * n, "...");
	return js_str(text);
}

static struct json *field(const struct st_field *f, const uint8_t *state)
{
	const uint8_t *at = state + f->offset;
	struct json *all;

	if (f->count == 1)
		return element(f, at);
	if (f->kind == ST_U8)
		return bytes(f, at);
	all = js_array();
	for (unsigned i = 0; i < MIN(f->count, 1024u); i++)
		js_add(all, element(f, at + (size_t)i * f->size));
	return all;
}

static struct json *block(const struct st_type *type, const uint8_t *state)
{
	struct json *b = js_object();

	for (unsigned i = 0; i < type->nfields; i++)
		if (strncmp(type->fields[i].name, "pad", 3))
			js_set(b, type->fields[i].name, field(&type->fields[i], state));
	return b;
}

struct search {
	const char *name; /* NULL: all names */
	struct json *found;
};

static void visit(void *ctx, const char *name, const struct st_type *type, void *state)
{
	struct search *s = ctx;

	if (!s->name)
		js_add(s->found, js_str(name));
	else if (!strcmp(s->name, name) && !s->found)
		s->found = block(type, state);
}

/* CPUs stand meanwhile: theirs is state too. */
static struct json *find(struct pc *pc, struct search s)
{
	must(pc_look(pc, 0));
	loop_lock(pc_loop(pc));
	state_set_each(pc_states(pc), visit, &s);
	loop_unlock(pc_loop(pc));
	pc_look_end(pc);
	return s.found;
}

struct json *state_json(struct api *api, const char *name)
{
	return find(api->pc, (struct search){ name, NULL });
}

API_COMMAND(x_ring3_state)
{
	const char *name = js_get_str(args, "name", NULL);
	struct json *found = find(call->pc, (struct search){ name, name ? NULL : js_array() });

	return found ? found : api_fail_class(call, "DeviceNotFound", "Nothing here declares state as '%.64s'", name);
}
