// SPDX-License-Identifier: GPL-2.0-or-later
/* what: device tests: a machine reset while disks read: nothing of before lands in the memory of the next start
 *
 * The disks are slow: preadv(), which src/block reads with, is this file's, and waits until the gate is opened.
 */
#include "vdisk.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PIIX3_IDE 0x70108086u
#define BM 0xc000u
#define PRD 0x200000u
#define DATA 0x210000u
#define SECTORS 4u

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool shut;
static unsigned begun, ended;

ssize_t preadv(int fd, const struct iovec *iov, int n, off_t at)
{
	ssize_t got;

	pthread_mutex_lock(&gate);
	begun++;
	pthread_cond_broadcast(&moved);
	while (shut)
		pthread_cond_wait(&moved, &gate);
	pthread_mutex_unlock(&gate);
	got = syscall(SYS_preadv, fd, iov, n, at, 0L);
	pthread_mutex_lock(&gate);
	ended++;
	pthread_mutex_unlock(&gate);
	return got;
}

static void wait_begun(unsigned n)
{
	pthread_mutex_lock(&gate);
	while (begun < n)
		pthread_cond_wait(&moved, &gate);
	pthread_mutex_unlock(&gate);
}

/* Opens the gate when the reset has had time to end, had it not waited. */
static void *open_later(void *opaque)
{
	nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	pthread_mutex_lock(&gate);
	shut = false;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&gate);
	return NULL;
}

static void shut_gate(void)
{
	pthread_mutex_lock(&gate);
	shut = true;
	begun = ended = 0;
	pthread_mutex_unlock(&gate);
}

/* Reset, and the next machine's memory: what is there now stays. */
static void reset_and_look(struct board *b, unsigned requests, uint64_t at, unsigned len)
{
	uint8_t *ram = mem_ram_base(b->pc->mem) + at;
	unsigned asked, done;
	pthread_t opener;

	wait_begun(1);
	assert_int_equal(pthread_create(&opener, NULL, open_later, NULL), 0);
	pc_reset(b->pc);
	memset(ram, 0x77, len);
	pthread_mutex_lock(&gate);
	asked = begun;
	done = ended;
	pthread_mutex_unlock(&gate);
	pthread_join(opener, NULL);
	assert_int_equal(asked, requests); /* what a transfer had still to come went with the reset */
	assert_int_equal(done, requests);
	storage_drain(b->pc->storage);
	for (unsigned k = 0; k < len; k++)
		assert_int_equal(ram[k], 0x77);
}

static void start_bus_master(struct board *b)
{
	unsigned ide = board_find(b, PIIX3_IDE);

	board_cfg_set(b, ide, 0x20, BM, 4);
	board_cfg_set(b, ide, 4, 5, 2);
	for (unsigned k = 0; k < 300; k++) { /* more regions than one request to the disk takes */
		board_write(b, PRD + 8 * k, DATA + 2 * k, 4);
		board_write(b, PRD + 8 * k + 4, k == 299 ? 0x80000000 + 512 * SECTORS : 2, 4);
	}
	board_out(b, BM + 4, PRD, 4);
	board_out(b, BM, 9, 1);
}

/* READ DMA of several pieces: the first is under way, the others never come; then the channel works again. */
static void ide(void **state)
{
	static const uint8_t read_dma[6] = { SECTORS, 20, 0, 0, 0xe0, 0xc8 };
	struct board *b = *state;

	start_bus_master(b);
	shut_gate();
	for (unsigned k = 0; k < sizeof(read_dma); k++)
		board_out(b, 0x1f2 + k, read_dma[k], 1);
	reset_and_look(b, 1, DATA, 512 * (SECTORS + 2));
	assert_int_equal(board_in(b, 0x3f6, 1), 0x50);
	start_bus_master(b);
	for (unsigned k = 0; k < sizeof(read_dma); k++)
		board_out(b, 0x1f2 + k, read_dma[k], 1);
	storage_drain(b->pc->storage);
	assert_int_equal(board_in(b, 0x3f6, 1) & 0x89, 0);
	assert_int_equal(board_read(b, DATA, 4), 0x15151515);
}

/* The same for a virtio disk, which has several requests under way. */
static void virtio(void **state)
{
	struct board *b = *state;
	struct vdisk d;

	vdisk_find(b, &d);
	vdisk_start(&d, 0, 8);
	vdisk_request(&d, VDISK_READ, 3, 512 * SECTORS);
	shut_gate();
	vdisk_offer(&d, 0);
	vdisk_offer(&d, 0);
	vdisk_kick(&d);
	assert_int_equal(vdisk_used(&d), 0);
	reset_and_look(b, 2, VDISK_DATA, 512 * SECTORS);
	vdisk_find(b, &d);
	vdisk_start(&d, 0, 8);
	vdisk_request(&d, VDISK_READ, 3, 512 * SECTORS);
	vdisk_offer(&d, 0);
	vdisk_kick(&d);
	storage_drain(b->pc->storage);
	assert_int_equal(vdisk_used(&d), 1);
	assert_int_equal(board_read(b, VDISK_DATA, 4), 0x04040404);
}

#define T(name) cmocka_unit_test_setup_teardown(name, board_setup_live, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = { T(ide), T(virtio) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
