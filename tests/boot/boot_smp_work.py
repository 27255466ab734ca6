# SPDX-License-Identifier: GPL-2.0-or-later
"""what: four CPUs at work in stock kernels: stress-ng that verifies, code patched while all run, CPUs off and on.

Debian's kernels have no locktorture and no rcutorture (CONFIG_LOCK_TORTURE_TEST and CONFIG_RCU_TORTURE_TEST are not
set), so stress-ng's locks have to do.  RING3_LOOP_SECONDS sets how long the long form works on each part (600).
"""

import os
import time

import archive
import closure
import initramfs
from cases import FULL, LONG, case
from machine import POWERED_OFF

PROMPT = r"guest# "
STRESSORS = ("atomic", "futex", "mutex", "sem", "pipe", "fork", "mmap", "vm", "membarrier")
SPARSE = {"vm": "--vm-bytes 64m", "mmap": "--mmap-bytes 64m"}
BAD = "BUG|Oops|WARNING|rcu.*stall|soft lockup|hung task|not responding|general protection"
# Every function's entry, a dozen static keys and all scheduler events are patched while other CPUs run through them.
PATCHING = """#!/bin/sh
t=/sys/kernel/tracing n=0
mount -t tracefs tracing $t
echo 256 > $t/buffer_size_kb
while [ ! -e /tmp/stop ]; do
	echo function > $t/current_tracer || exit 1
	echo 1 > /proc/sys/kernel/sched_schedstats || exit 1
	echo 1 > $t/events/sched/enable || exit 1
	echo nop > $t/current_tracer || exit 1
	echo 0 > $t/events/sched/enable || exit 1
	echo 0 > /proc/sys/kernel/sched_schedstats || exit 1
	echo function_graph > $t/current_tracer || exit 1
	echo nop > $t/current_tracer || exit 1
	n=$((n + 1))
done
echo "patched $n times, all well"
"""
PLUGGING = """#!/bin/sh
c=/sys/devices/system/cpu/cpu n=0
while [ ! -e /tmp/stop ]; do
	for k in 1 2 3; do
		echo 0 > $c$k/online || exit 1
		echo 1 > $c$k/online || exit 1
	done
	n=$((n + 1))
done
echo "plugged $n times, all well"
"""


def start(test, kernel="linux-image-amd64", cpus=4):
    extra = [*closure.files("stress-ng", ["stress-ng"]), ("patching", PATCHING.encode(), 0o755),
             ("plugging", PLUGGING.encode(), 0o755)]
    image = initramfs.build(demo=True, extra=extra, tag="-stress")
    machine = test.machine("--memory", "1G", "--cpus", cpus, "--kernel", archive.kernel(kernel), "--initrd", image,
                           "--append", "console=ttyS0,115200 panic=-1 quiet")
    machine.expect(PROMPT, 120)
    machine.line("mount -t sysfs sys /sys; mount -t proc proc /proc; mkdir -p /tmp /dev/shm; mount -t tmpfs tmp /tmp; "
                 "mount -t tmpfs shm /dev/shm; cd /tmp; dmesg -n 1; echo ready: $?")
    machine.expect(r"ready: \d")
    return machine


def said(machine, command, pattern, timeout):
    machine.line(command)
    return machine.expect(pattern, timeout)[0]


def stress(machine, name, seconds):
    """Four of them for so long; stress-ng says what it verified and found wrong."""
    command = f"stress-ng --{name} 4 {SPARSE.get(name, '')} --verify --timeout {seconds} 2>&1 | tail -n 20; "
    found = said(machine, f"({command} echo 'stress ended')", r"(?s)stress-ng.*?stress ended\r?\n", 60 + 20 * seconds)
    machine.must("successful run completed" in found[0], f"stress-ng {name} found something wrong")


def judge(machine):
    found = said(machine, f"echo \"bad: $(dmesg | grep -cE '{BAD}').\"", r"bad: (\d+)\.", 30)
    machine.must(found[1] == "0", f"the kernel complained {found[1]} times")


def end(machine):
    judge(machine)
    machine.line("poweroff -f")
    machine.must_end(POWERED_OFF)


def beside(machine, script, least, name, seconds):
    """A script that changes the machine under the work's feet, while stress-ng works."""
    machine.line(f"rm -f /tmp/stop; /{script} > /tmp/told 2>&1 &")
    until, turns = time.time() + seconds, 0
    while not turns or time.time() < until:
        stress(machine, name, max(2, min(30, int(until - time.time()))))
        turns += 1
    found = said(machine, "touch /tmp/stop; wait; cat /tmp/told; echo told: $?",
                 r"(?s)(\w+) (\d+) times, all well.*?told: 0|told: 0", 240)
    machine.must(found[1], f"{script} was refused something")
    machine.must(int(found[2]) >= least, f"{script} came round {found[2]} times")
    machine.forget()
    return int(found[2])


@case("smp-stress", FULL, 90)
def stressed(test):
    """Issue 15, proof 3: stress-ng's stressors of locks, processes and memory on four CPUs, verified."""
    machine = start(test)
    for name in STRESSORS:
        stress(machine, name, 3)
    end(machine)


@case("smp-patching", FULL, 60)
def patching(test):
    """Proof 3: static keys and ftrace switched on and off in a loop while all CPUs run."""
    machine = start(test)
    beside(machine, "patching", 1, "pipe", 10)
    end(machine)


@case("smp-plugging", FULL, 60)
def plugging(test):
    """Proof 3: CPUs go off and come back in a loop while the others work."""
    machine = start(test)
    beside(machine, "plugging", 2, "futex", 10)
    end(machine)


@case("smp-work-long", LONG, 2400)
def long_work(test):
    """Proof 3, long form: each part for ten minutes."""
    seconds = int(float(os.environ.get("RING3_LOOP_SECONDS", "600")))
    machine = start(test)
    for name in STRESSORS:
        stress(machine, name, max(3, seconds // len(STRESSORS)))
    patched = beside(machine, "patching", 1, "mutex", seconds)
    plugged = beside(machine, "plugging", 2, "pipe", seconds)
    test.said = f"patched {patched} times, CPUs off and on {3 * plugged} times"
    print(f"    {test.said}", flush=True)
    end(machine)
