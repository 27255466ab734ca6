// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the human monitor's info commands
 *
 * Where a command of the control protocol has the facts, its reply is asked for and written out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_int.h"
#include "api/commands.h"
#include "board/panel.h"

static struct json *ask(struct api *api, struct json *(*command)(struct api_call *call, struct json *args))
{
	struct api_call call = { .api = api, .pc = api->pc };
	struct json *none = js_object(), *r = command(&call, none);

	js_free(none);
	must(r);
	return r;
}

static void info_status(struct api *api, unsigned cpu, struct text *t)
{
	struct json *r = ask(api, api_query_status);
	bool running = js_get_bool(r, "running", false);
	const char *status = js_get_str(r, "status", "");

	text_add(t, "VM status: %s", running ? "running" : "paused");
	if (strcmp(status, "running") && strcmp(status, "paused"))
		text_add(t, " (%s)", status);
	text_add(t, "\r\n");
	js_free(r);
}

static void info_name(struct api *api, unsigned cpu, struct text *t)
{
	if (api->name)
		text_add(t, "%s\r\n", api->name);
}

static void info_version(struct api *api, unsigned cpu, struct text *t)
{
	text_add(t, "ring3 " API_VERSION "\r\n");
}

static void info_kvm(struct api *api, unsigned cpu, struct text *t)
{
	text_add(t, "kvm support: not compiled\r\n");
}

static void info_cpus(struct api *api, unsigned cpu, struct text *t)
{
	for (unsigned n = 0; n < pc_cpus(api->pc); n++)
		text_add(t, "%c CPU #%u: thread_id=%d\r\n", n == cpu ? '*' : ' ', n, pc_cpu_thread(api->pc, n));
}

static void info_chardev(struct api *api, unsigned cpu, struct text *t)
{
	struct json *r = ask(api, api_query_chardev);

	for (size_t i = 0; i < js_len(r); i++)
		text_add(t, "%s: filename=%s\r\n", js_get_str(js_at(r, i), "label", ""),
		         js_get_str(js_at(r, i), "filename", ""));
	js_free(r);
}

static void info_block(struct api *api, unsigned cpu, struct text *t)
{
	struct pc_drive drive[PC_DRIVES_MAX];
	unsigned n = pc_drives(api->pc, drive);

	for (unsigned i = 0; i < n; i++) {
		const struct pc_drive *d = &drive[i];

		text_add(t, "%s%s", i ? "\r\n" : "", d->name);
		if (d->path)
			text_add(t, " (#%s): %s (raw%s)\r\n", d->name, d->path, d->readonly ? ", read-only" : "");
		else
			text_add(t, ": [not inserted]\r\n");
		if (d->removable)
			text_add(t, "    Removable device: %slocked, tray %s\r\n", d->locked ? "" : "not ",
			         d->tray_open ? "open" : "closed");
		if (d->path)
			text_add(t, "    Cache mode:       writeback\r\n");
	}
}

static void info_pci(struct api *api, unsigned cpu, struct text *t)
{
	struct json *r = ask(api, api_query_pci), *devices = js_get(js_at(r, 0), "devices");

	for (size_t i = 0; i < js_len(devices); i++) {
		const struct json *d = js_at(devices, i), *id = js_get(d, "id"), *class = js_get(d, "class_info");
		struct json *regions = js_get(d, "regions");

		text_add(t, "  Bus  0, device %3d, function %d:\r\n    %s: PCI device %04x:%04x\r\n",
		         (int)js_get_int(d, "slot", 0), (int)js_get_int(d, "function", 0), js_get_str(class, "desc", "Class"),
		         (unsigned)js_get_int(id, "vendor", 0), (unsigned)js_get_int(id, "device", 0));
		if (js_get_int(d, "irq_pin", 0))
			text_add(t, "      IRQ %d, pin %c\r\n", (int)js_get_int(d, "irq", 0),
			         (char)('A' - 1 + js_get_int(d, "irq_pin", 0)));
		for (size_t k = 0; k < js_len(regions); k++) {
			const struct json *b = js_at(regions, k);
			bool io = !strcmp(js_get_str(b, "type", ""), "io");
			uint64_t at = (uint64_t)js_get_int(b, "address", 0), end = at + (uint64_t)js_get_int(b, "size", 0) - 1;

			text_add(t, "      BAR%d: %s at 0x%0*" PRIx64 " [0x%0*" PRIx64 "].\r\n", (int)js_get_int(b, "bar", 0),
			         io ? "I/O" : js_get_bool(b, "mem_type_64", false) ? "64 bit memory" : "32 bit memory",
			         io ? 4 : 8, at, io ? 4 : 8, end);
		}
	}
	js_free(r);
}

struct by_base { uint64_t base, size; const char *name; int priority; };

static int by_base(const void *pa, const void *pb)
{
	const struct by_base *a = pa, *b = pb;

	return a->base < b->base ? -1 : a->base > b->base;
}

static void put_sorted(struct text *t, struct by_base *row, unsigned n, int width)
{
	qsort(row, n, sizeof(*row), by_base);
	for (unsigned i = 0; i < n; i++)
		text_add(t, "  %0*" PRIx64 "-%0*" PRIx64 " (prio %d): %s\r\n", width, row[i].base, width,
		         row[i].base + row[i].size - 1, row[i].priority, row[i].name);
}

static void info_mtree(struct api *api, unsigned cpu, struct text *t)
{
	const struct mem *mem = pc_mem(api->pc);
	struct by_base row[256];
	unsigned n = 0;

	row[n++] = (struct by_base){ 0, mem_ram_below4g(mem), "ram-below-4g", 0 };
	if (mem_ram_above4g(mem))
		row[n++] = (struct by_base){ GIB(4), mem_ram_above4g(mem), "ram-above-4g", 0 };
	loop_lock(pc_loop(api->pc));
	for (const struct mem_region *r = mem_regions(mem); r && n < ARRAY_LEN(row); r = r->next)
		row[n++] = (struct by_base){ r->base, r->size, r->name, r->priority };
	text_add(t, "memory\r\n");
	put_sorted(t, row, n, 16);
	n = 0;
	for (const struct mem_ports *p = mem_port_list(mem); p && n < ARRAY_LEN(row); p = p->next)
		row[n++] = (struct by_base){ p->base, p->count, p->name, 0 };
	loop_unlock(pc_loop(api->pc));
	text_add(t, "I/O\r\n");
	put_sorted(t, row, n, 4);
}

/* The declared state of the interrupt controllers. */
static void info_pic(struct api *api, unsigned cpu, struct text *t)
{
	static const char *const chips[] = { "pic", "ioapic", "lapic0", "lapic" };

	for (unsigned i = 0; i < ARRAY_LEN(chips); i++) {
		struct json *state = state_json(api, chips[i]);
		char *line = state ? js_print(state, false) : NULL;

		if (line)
			text_add(t, "%s: %s\r\n", chips[i], line);
		free(line);
		js_free(state);
	}
}

static void info_mem(struct api *api, unsigned cpu, struct text *t)
{
	hmp_pages(api, cpu, true, t);
}

static void info_tlb(struct api *api, unsigned cpu, struct text *t)
{
	hmp_pages(api, cpu, false, t);
}

static void info_registers(struct api *api, unsigned cpu, struct text *t)
{
	hmp_registers(api, cpu, t);
}

void hmp_info(struct api *api, const char *what, unsigned cpu, struct text *t)
{
	static const struct { const char *name; void (*run)(struct api *api, unsigned cpu, struct text *t); } infos[] = {
		{ "status", info_status }, { "name", info_name }, { "version", info_version }, { "kvm", info_kvm },
		{ "cpus", info_cpus }, { "chardev", info_chardev }, { "block", info_block }, { "pci", info_pci },
		{ "mtree", info_mtree }, { "pic", info_pic }, { "mem", info_mem }, { "tlb", info_tlb },
		{ "registers", info_registers },
	};

	for (unsigned i = 0; i < ARRAY_LEN(infos); i++)
		if (!strcmp(infos[i].name, what)) {
			infos[i].run(api, cpu, t);
			return;
		}
	text_add(t, "unknown command: 'info %.64s'\r\n", what);
}
