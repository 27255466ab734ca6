// SPDX-License-Identifier: GPL-2.0-or-later
/* what: commands that write guest memory into files of the host: memsave, pmemsave, and the whole machine
 *
 * A file of many gigabytes takes its time, and the machine's thread with it: CPUs, chips and disks go on meanwhile, but
 * other clients wait.
 */
#include <string.h>
#include <unistd.h>

#include "api/api_int.h"
#include "api/commands.h"
#include "mmu/mmu.h"

#define PIECE KIB(64)

size_t api_peek(struct pc *pc, unsigned n, uint64_t gla, void *buf, size_t len)
{
	struct cpu *cpu = pc_look(pc, n);
	uint8_t *out = buf;
	size_t done = 0;

	while (cpu && done < len) {
		size_t part = MIN(len - done, 4096 - (size_t)((gla + done) & 4095));
		gpa_t gpa;

		if (!mmu_peek(cpu, gla + done, &gpa))
			break;
		pc_read_memory(pc, gpa, out + done, part);
		done += part;
	}
	if (cpu)
		pc_look_end(pc);
	return done;
}

/* cpu < 0: physical. */
static int save_piece(struct api *api, int fd, int64_t cpu, uint64_t at, size_t len, struct err *err)
{
	uint8_t buf[PIECE];
	size_t got = len;
	int rc;

	if (cpu < 0)
		pc_read_memory(api->pc, at, buf, len);
	else
		got = api_peek(api->pc, (unsigned)cpu, at, buf, len);
	if (got < len)
		return err_set(err, -EFAULT, "Invalid addr 0x%016llx/size %zu specified", (unsigned long long)(at + got),
		               len - got);
	rc = api_write_all(fd, buf, len);
	return rc ? err_set(err, rc, "An IO error has occurred: %s", strerror(-rc)) : 0;
}

static int save(struct api *api, const struct json *args, int64_t cpu, struct err *err)
{
	uint64_t at = (uint64_t)js_get_int(args, "val", 0), left = (uint64_t)js_get_int(args, "size", 0);
	int fd = api_open_file(api, js_get_str(args, "filename", ""), err), rc = 0;

	if (fd < 0)
		return fd;
	while (left && !rc) {
		size_t n = (size_t)MIN(left, PIECE);

		rc = save_piece(api, fd, cpu, at, n, err);
		at += n;
		left -= n;
	}
	close(fd);
	return rc;
}

/* No file of zeros without end for a size that was a slip. */
static bool size_ok(struct api_call *call, const struct json *args)
{
	int64_t size = js_get_int(args, "size", 0);

	if (size >= 0 && (uint64_t)size <= mem_ram_size(pc_mem(call->pc)) + GIB(4))
		return true;
	api_fail(call, "Parameter 'size' expects at most the size of memory and 4 GiB");
	return false;
}

API_COMMAND(memsave)
{
	int64_t cpu = js_get_int(args, "cpu-index", 0);

	if (cpu < 0 || cpu >= pc_cpus(call->pc))
		return api_fail(call, "Parameter 'cpu-index' expects a CPU number");
	return size_ok(call, args) && !save(call->api, args, cpu, &call->err) ? js_object() : NULL;
}

API_COMMAND(x_ring3_save)
{
	return pc_save(call->pc, js_get_str(args, "filename", ""), &call->err) ? NULL : js_object();
}

API_COMMAND(x_ring3_load)
{
	return pc_load(call->pc, js_get_str(args, "filename", ""), &call->err) ? NULL : js_object();
}

API_COMMAND(pmemsave)
{
	return size_ok(call, args) && !save(call->api, args, -1, &call->err) ? js_object() : NULL;
}
