// SPDX-License-Identifier: GPL-2.0-or-later
/* what: --perf-map: a line in /tmp/perf-PID.map for every block, so that Linux perf can name translated code
 *
 * perf reads "START SIZE name" in hexadecimal when it reports, and only for samples in anonymous executable
 * memory; a memfd is a file to it. So with --perf-map the cache is shared anonymous memory instead, mapped a second
 * time by mremap with an old size of 0 (mremap(2)).
 *
 * The format knows no time: an address used twice would give the samples of the old block to the new one. So a flush
 * moves the executable mapping to addresses never used before, and the old ones stay reserved.
 *
 * I1  No address of the file is ever given to another block.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xlate/xlate_int.h"

/* Another executable view of the cache, at addresses of its own. */
static uint8_t *new_view(struct xlate *x)
{
	uint8_t *p = mremap(x->c->rw, 0, CODE_SIZE, MREMAP_MAYMOVE);

	if (p == MAP_FAILED)
		return NULL;
	if (mprotect(p, CODE_SIZE, PROT_READ | PROT_EXEC) < 0) {
		munmap(p, CODE_SIZE);
		return NULL;
	}
	return p;
}

static int map_anonymous(struct xlate *x, struct err *err)
{
	uint8_t *rw = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *rx;

	if (rw == MAP_FAILED)
		return err_set(err, -ENOMEM, "--perf-map: cannot map the code cache: %s", strerror(errno));
	munmap(x->c->rw, CODE_SIZE);
	x->c->rw = rw;
	rx = new_view(x);
	if (!rx)
		return err_set(err, -ENOSYS, "--perf-map: this host does not let a process execute shared memory: %s",
			strerror(errno));
	munmap(x->c->rx, CODE_SIZE);
	x->c->rx = rx;
	xlate_stats_code(x);
	return 0;
}

int xlate_perf_map(struct xlate *x, struct err *err)
{
	char path[64];

	must(!x->c->nblocks);
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	unlink(path); /* of a process that had this number before */
	x->c->perf_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (x->c->perf_fd < 0)
		return err_set(err, -errno, "--perf-map: cannot make %s: %s", path, strerror(errno));
	return map_anonymous(x, err);
}

/* What cannot be written is not named. */
void xlate_perfmap_block(struct xlate *x, const struct block *b)
{
	const char *mode = x->cpu->s.cpl == 3 ? "user" : "kernel";
	unsigned long long gla = b->rip + b->cs_base;
	char line[160];
	int n;

	if (x->c->perf_fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%llx %x guest-%s:%llx\n", (unsigned long long)(uintptr_t)xlate_rx(x, b->host_off),
		b->host_len,
	             mode, gla);
	if (b->cold_len)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%llx %x guest-%s-miss:%llx\n",
		              (unsigned long long)(uintptr_t)xlate_rx(x, b->cold_off), b->cold_len, mode, gla);
	if (write(x->c->perf_fd, line, (size_t)n) < 0)
		return;
}

void xlate_perfmap_flushed(struct xlate *x)
{
	uint8_t *rx;

	if (x->c->perf_fd < 0)
		return;
	rx = new_view(x);
	if (!rx) {
		log_at(LOG_WARN, "--perf-map: no address space is left; blocks made from now on are not named");
		close(x->c->perf_fd);
		x->c->perf_fd = -1;
		return;
	}
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
	must(mmap(x->c->rx, CODE_SIZE, PROT_NONE, flags, -1, 0) != MAP_FAILED);
	x->c->rx = rx;
	xlate_stats_code(x);
}
