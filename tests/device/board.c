// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the harness of the device tests (board.h)
 */
#include "board.h"

#include <sys/mman.h>
#include <unistd.h>

static int drive(uint64_t size)
{
	int fd = memfd_create("drive", MFD_CLOEXEC);
	uint8_t sector[512];

	assert_true(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	for (uint64_t n = 0; n < size / 512; n++) {
		memset(sector, (int)(n + 1) & 0xff, sizeof(sector));
		assert_int_equal(pwrite(fd, sector, 512, (off_t)(n * 512)), 512);
	}
	return fd;
}

static int setup(void **state, const char *cpu, bool stepped)
{
	static const uint64_t size[FILES] = { KIB(64), KIB(64), KIB(64), KIB(80), KIB(1440) };
	struct board *b = xalloc(sizeof(*b));
	char path[FILES][40];
	struct pc_config cfg = {
		.memory = MIB(16), .cpu = cpu, .ndisks = 2, .stepped = stepped, .nserials = 1, .quit_fd = -1,
	};
	struct err err = { "" };

	for (unsigned n = 0; n < FILES; n++) {
		b->fd[n] = drive(size[n]);
		snprintf(path[n], sizeof(path[n]), "/proc/self/fd/%d", b->fd[n]);
	}
	cfg.firmware = path[FILE_FIRMWARE];
	cfg.disk[0] = (struct pc_disk){ .path = path[FILE_IDE], .format = "raw", .interface = "ide" };
	cfg.disk[1] = (struct pc_disk){ .path = path[FILE_VIRTIO], .format = "raw", .interface = "virtio" };
	cfg.cdrom = path[FILE_CDROM];
	cfg.floppy[0] = path[FILE_FLOPPY];
	cfg.nfloppies = 1;
	cfg.serial[0] = "none";
	b->pc = pc_new(&cfg, &err);
	if (!b->pc)
		fail_msg("%s", err.msg);
	*state = b;
	return 0;
}

int board_setup(void **state)
{
	return setup(state, "x86-64-v2", true);
}

int board_setup_live(void **state)
{
	struct board *b;

	setup(state, "host", false);
	b = *state;
	return loop_start(b->pc->loop, NULL);
}

int board_teardown(void **state)
{
	struct board *b = *state;

	pc_free(b->pc);
	for (unsigned n = 0; n < FILES; n++)
		close(b->fd[n]);
	free(b);
	return 0;
}

uint32_t board_in(struct board *b, unsigned port, unsigned size)
{
	return mem_port_in(b->pc->mem, (uint16_t)port, size);
}

void board_out(struct board *b, unsigned port, uint32_t val, unsigned size)
{
	mem_port_out(b->pc->mem, (uint16_t)port, val, size);
}

uint64_t board_read(struct board *b, uint64_t gpa, unsigned size)
{
	uint64_t val = 0;

	mem_read(b->pc->mem, gpa, &val, size);
	return val;
}

void board_write(struct board *b, uint64_t gpa, uint64_t val, unsigned size)
{
	mem_write(b->pc->mem, gpa, &val, size);
}

uint32_t board_cfg(struct board *b, unsigned devfn, unsigned off, unsigned size)
{
	board_out(b, 0xcf8, 0x80000000 | devfn << 8 | (off & 0xfc), 4);
	return board_in(b, 0xcfc + (off & 3), size);
}

void board_cfg_set(struct board *b, unsigned devfn, unsigned off, uint32_t val, unsigned size)
{
	board_out(b, 0xcf8, 0x80000000 | devfn << 8 | (off & 0xfc), 4);
	board_out(b, 0xcfc + (off & 3), val, size);
}

unsigned board_find(struct board *b, uint32_t id)
{
	unsigned devfn = 0;

	while (devfn < 256 && board_cfg(b, devfn, 0, 4) != id)
		devfn++;
	assert_int_not_equal(devfn, 256);
	return devfn;
}

void board_step(struct board *b, uint64_t ns)
{
	loop_step(b->pc->loop, ns);
}

bool board_intr(struct board *b)
{
	return vcpu_cpu(b->pc->cpu[0].vcpu)->intr;
}

bool board_wait(struct board *b, uint64_t ns)
{
	const uint64_t step = 10 * US;

	for (uint64_t done = 0; done < ns && !board_intr(b); done += step)
		board_step(b, step);
	return board_intr(b);
}

int board_ack(struct board *b)
{
	int vector;

	loop_lock(b->pc->loop);
	vector = pc_ack(&b->pc->cpu[0]);
	loop_unlock(b->pc->loop);
	return vector;
}

void board_start_pics(struct board *b)
{
	static const uint8_t words[][2] = { { 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 }, { 0x21, 1 }, { 0x21, 0xff },
		{ 0xa0, 0x11 }, { 0xa1, 0x28 }, { 0xa1, 2 }, { 0xa1, 1 }, { 0xa1, 0xff } };

	for (unsigned n = 0; n < ARRAY_LEN(words); n++)
		board_out(b, words[n][0], words[n][1], 1);
	board_write(b, LAPIC + 0xf0, 0x1ff, 4);
	board_write(b, LAPIC + 0x350, 0x700, 4);
}

void board_unmask(struct board *b, uint16_t lines)
{
	board_out(b, 0x21, (uint8_t)~(lines | (lines >> 8 ? 4 : 0)), 1);
	board_out(b, 0xa1, (uint8_t)~(lines >> 8), 1);
}

void board_eoi(struct board *b, int vector)
{
	if (vector >= 0x28)
		board_out(b, 0xa0, 0x20, 1);
	board_out(b, 0x20, 0x20, 1);
}

void board_ioapic(struct board *b, unsigned pin, uint64_t entry)
{
	board_write(b, IOAPIC, 0x10 + 2 * pin + 1, 4);
	board_write(b, IOAPIC + 0x10, entry >> 32, 4);
	board_write(b, IOAPIC, 0x10 + 2 * pin, 4);
	board_write(b, IOAPIC + 0x10, (uint32_t)entry, 4);
}

uint64_t board_bar_size(struct board *b, unsigned devfn, unsigned off, bool *wide)
{
	uint32_t old = board_cfg(b, devfn, off, 4), low, high = 0xffffffffu, old_high;

	board_cfg_set(b, devfn, off, 0xffffffffu, 4);
	low = board_cfg(b, devfn, off, 4);
	board_cfg_set(b, devfn, off, old, 4);
	assert_int_equal(board_cfg(b, devfn, off, 4), old);
	*wide = !(low & 1) && (low & 6) == 4;
	if (*wide) {
		old_high = board_cfg(b, devfn, off + 4, 4);
		board_cfg_set(b, devfn, off + 4, 0xffffffffu, 4);
		high = board_cfg(b, devfn, off + 4, 4);
		board_cfg_set(b, devfn, off + 4, old_high, 4);
	}
	if (!low)
		return 0;
	if (low & 1) /* upper half of an I/O BAR may be fixed at 0 */
		return (uint16_t)~(low & 0xfffc) + 1u;
	return ~((uint64_t)high << 32 | (low & ~15u)) + 1;
}

void board_route(struct board *b, unsigned line)
{
	unsigned isa = board_find(b, 0x70008086);

	for (unsigned k = 0; k < 4; k++)
		board_cfg_set(b, isa, 0x60 + k, line, 1);
	board_out(b, 0x4d1, 1u << (line - 8), 1);
}
