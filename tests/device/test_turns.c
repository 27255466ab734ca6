// SPDX-License-Identifier: GPL-2.0-or-later
/* what: device tests: what a guest asks for in one request is done in turns, and timers come in between
 *
 * Whoever works under the lock of the device world holds up all timers. So each turn has a bound, in what is done
 * rather than in time: src/dev/virtio/virtqueue.c I4, src/dev/isa/fwcfg.c.
 */
#include "vdisk.h"

#define VIRTIO_RNG 0x10051af4u
#define QUEUE 256u
#define TURN_NS (100 * US)

static unsigned fired;

static void fire(void *opaque)
{
	fired++;
}

/* From a notification on to the last of n chains: at most `most` a turn, and the timers of others in between. */
static void in_turns(struct vdisk *d, unsigned n, unsigned most)
{
	struct loop_timer other;
	unsigned turns = 1, before = 0, now;

	loop_timer_init(&other, d->b->pc->loop, fire, NULL);
	fired = 0;
	vdisk_kick(d);
	for (; (now = vdisk_used(d)) < n; turns++) {
		assert_in_range(now - before, 1, most);
		before = now;
		loop_timer_set(&other, loop_now(d->b->pc->loop) + TURN_NS / 2);
		board_step(d->b, TURN_NS / 2);
		assert_int_equal(fired, turns);
		assert_int_equal(vdisk_used(d), now);
		board_step(d->b, TURN_NS / 2);
	}
	assert_in_range(now - before, 1, most);
	assert_true(turns >= n / most);
	for (unsigned k = 0; k < n; k++)
		assert_int_equal(vdisk_used_elem(d, k) & 0xffffffff, 0);
}

/* A queue full of the longest chains. Those that the disk does not know end at once, without a disk's time. */
static void disk(void **state)
{
	struct vdisk d;

	vdisk_find(*state, &d);
	vdisk_start(&d, VDISK_F_INDIRECT, QUEUE);
	vdisk_header(&d, VDISK_NO_SUCH, 0);
	vdisk_desc(&d, VDISK_DESC, 0, VDISK_TABLE, 256 * 16, VDISK_INDIRECT, 0);
	vdisk_desc(&d, VDISK_TABLE, 0, VDISK_HEADER, 16, VDISK_NEXT, 1);
	for (unsigned k = 1; k < 255; k++)
		vdisk_desc(&d, VDISK_TABLE, k, VDISK_DATA, 2, VDISK_NEXT | VDISK_WRITABLE, k + 1);
	vdisk_desc(&d, VDISK_TABLE, 255, VDISK_STATUS, 1, VDISK_WRITABLE, 0);
	for (unsigned k = 0; k < QUEUE; k++)
		vdisk_offer(&d, 0);
	in_turns(&d, QUEUE, 4096 / 257 + 1);
}

/* As many random bytes as there can be for one notification. */
static void rng(void **state)
{
	struct vdisk d;

	vdisk_find_other(*state, &d, VIRTIO_RNG);
	vdisk_start(&d, 0, 64);
	vdisk_desc(&d, VDISK_DESC, 0, VDISK_DATA, 4096, VDISK_WRITABLE, 0);
	for (unsigned k = 0; k < 64; k++)
		vdisk_offer(&d, 0);
	in_turns(&d, 64, 4);
}

/* A driver that gives the device up between two turns: nothing more is done for it. */
static void reset(void **state)
{
	struct vdisk d;

	vdisk_find_other(*state, &d, VIRTIO_RNG);
	vdisk_start(&d, 0, 64);
	vdisk_desc(&d, VDISK_DESC, 0, VDISK_DATA, 4096, VDISK_WRITABLE, 0);
	for (unsigned k = 0; k < 64; k++)
		vdisk_offer(&d, 0);
	vdisk_kick(&d);
	vdisk_set_status(&d, 0);
	memset(mem_ram_base(d.b->pc->mem) + VDISK_DATA, 0, 4096);
	board_step(d.b, 100 * MS);
	assert_int_equal(vdisk_used(&d), 4);
	for (unsigned k = 0; k < 4096; k++)
		assert_int_equal(board_read(d.b, VDISK_DATA + k, 1), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, board_setup, board_teardown)
int main(void)
{
	const struct CMUnitTest tests[] = { T(disk), T(rng), T(reset) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
