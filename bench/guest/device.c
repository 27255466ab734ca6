// SPDX-License-Identifier: GPL-2.0-or-later
/* what: rows that measure interrupts and devices. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define HPET 0xfed00000         /* IA-PC HPET 1.0a: main counter at offset F0h */

/* The shortest sleep there is: sets a timer, idles, wakes by its interrupt. */
static uint64_t run_sleep(uint64_t n)
{
	struct timespec shortest = {0, 1};

	while (n--)
		nanosleep(&shortest, NULL);
	return 0;
}

static volatile uint64_t ticks;

static void count_tick(int number)
{
	(void)number;
	ticks++;
}

static __attribute__((noinline)) uint64_t spin(uint64_t until_ticks, uint64_t until_spins)
{
	uint64_t spins = 0;

	while (ticks < until_ticks && spins < until_spins)
		spins++;
	return spins;
}

/* What an interval timer of 10 kHz takes from a program that computes: the interrupt and its signal. */
static uint64_t run_tick(uint64_t n)
{
	struct itimerval every = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
	uint64_t start = now_ns(), spins = 100000000, free_ns, loaded_ns, done;

	ticks = 0;
	keep(spin(1, spins));
	free_ns = now_ns() - start;
	signal(SIGALRM, count_tick);
	start = now_ns();
	setitimer(ITIMER_REAL, &every, NULL);
	done = spin(n, UINT64_MAX);
	loaded_ns = now_ns() - start;
	setitimer(ITIMER_REAL, &never, NULL);
	free_ns = (uint64_t)((double)done * (double)free_ns / (double)spins);
	if (loaded_ns <= free_ns) { /* the host was busier with others before: no figure */
		errno = EBUSY;
		fail("timer_tick");
	}
	return loaded_ns - free_ns;
}

static uint64_t port_reads(uint64_t n, unsigned short port)
{
	if (iopl(3))
		fail("iopl");
	while (n--)
		keep(inb(port));
	return 0;
}

static uint64_t run_port_80(uint64_t n)
{
	return port_reads(n, 0x80);
}

static uint64_t run_port_61(uint64_t n)
{
	return port_reads(n, 0x61);
}

/* Needs the kernel's iomem=relaxed. */
static uint64_t run_mmio(uint64_t n)
{
	int file = open("/dev/mem", O_RDWR | O_SYNC);
	volatile uint32_t *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, HPET);
	uint64_t start;

	if (file < 0 || at == MAP_FAILED)
		fail("/dev/mem");
	start = now_ns();
	while (n--)
		keep(at[0xf0 / 4]);
	start = now_ns() - start;
	munmap((void *)at, 4096);
	close(file);
	return start;
}

static bool has_disk(void)
{
	return disk_file();
}

static uint64_t disk_reads(uint64_t n, size_t size, bool random)
{
	int file = open(disk_file(), O_RDONLY | O_DIRECT);
	static uint32_t seed = 1;       /* goes on in the next slice */
	uint64_t places, start;
	void *data;

	if (file < 0)
		file = open(disk_file(), O_RDONLY);
	places = (uint64_t)lseek(file, 0, SEEK_END) / size;
	if (file < 0 || !places || posix_memalign(&data, 4096, size))
		fail(disk_file());
	start = now_ns();
	for (uint64_t i = 0; i < n; i++) {
		uint64_t place = (random ? next_random(&seed) : i) % places;

		if (pread(file, data, size, (off_t)(place * size)) != (ssize_t)size)
			fail("read");
	}
	start = now_ns() - start;
	free(data);
	close(file);
	return start;
}

static uint64_t run_disk_sequential(uint64_t n)
{
	return disk_reads(n, 128 << 10, false);
}

static uint64_t run_disk_random(uint64_t n)
{
	return disk_reads(n, 4 << 10, true);
}

const struct row device_rows[] = {
	{"nanosleep", "device", run_sleep, NULL},
	{"timer_tick", "device", run_tick, NULL},
	{"port_80", "device", run_port_80, in_guest},
	{"port_61", "device", run_port_61, in_guest},
	{"mmio_hpet", "device", run_mmio, in_guest},
	{"disk_sequential_128k", "device", run_disk_sequential, has_disk},
	{"disk_random_4k", "device", run_disk_random, has_disk},
	{0},
};
