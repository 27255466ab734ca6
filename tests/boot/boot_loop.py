# SPDX-License-Identifier: GPL-2.0-or-later
"""what: guests booted again and again: no failed boot, no growth of memory or of open files.

Two ways, since they leak in different places: fresh processes one after the other, and one process whose guest
resets itself.  RING3_LOOP_SECONDS sets how long; `make check-long` says an hour.
"""

import os
import time

import archive
import initramfs
from cases import FULL, LONG, case
from machine import POWERED_OFF

SPARE = 8 << 20         # bytes that the footprint may differ from one boot to the next


def args(word):
    return ["--memory", "256M", "--kernel", archive.kernel("linux-image-cloud-amd64"),
            "--initrd", initramfs.build(demo=True), "--append", f"console=ttyS0 quiet panic=-1 {word}"]


def one_boot(test):
    """A whole boot in a fresh process; its footprint at the moment the guest is up."""
    machine = test.machine(*args("ring3.poweroff"))
    machine.expect("ring3: up", 120)
    size = machine.footprint()
    machine.must_end(POWERED_OFF, 60)
    machine.close()
    test.machines.remove(machine)
    return size


def judge_growth(test, sizes):
    """The last boots must be no larger than the first, but for what differs by chance."""
    part = max(1, len(sizes) // 3)
    early, late = max(size for size, _ in sizes[1:1 + part]), min(size for size, _ in sizes[-part:])
    test.must(late <= early * 1.1 + SPARE, f"memory grew from {early} to {late} bytes in {len(sizes)} boots")
    # a machine that is already on its way out has closed some: not the first, nor any one, but the most of them counts
    most = max(files for _, files in sizes[:-1])
    test.must(sizes[-1][1] <= most, f"open files grew from {most} to {sizes[-1][1]}")


def boots(test, seconds, least, boot):
    """Boots for so long, and until so many were measured: a machine that is ending already has no size."""
    number, sizes, until = 0, [], time.time() + seconds
    while len(sizes) < least or time.time() < until:
        number += 1
        size = boot()
        if size:
            sizes.append(size)
        test.must(number < 10 * least or 2 * len(sizes) > number, f"only {len(sizes)} of {number} could be measured")
    judge_growth(test, sizes)
    return number


def fresh_processes(test, seconds, least):
    return boots(test, seconds, least, lambda: one_boot(test))


def resets(test, seconds, least):
    machine = test.machine(*args("ring3.reboot"))

    def boot():
        machine.expect("ring3: up", 120)
        machine.forget()
        return machine.footprint()
    return boots(test, seconds, least, boot)


@case("boot-loop-short", FULL, 45)
def loop_short(test):
    """Proof 6, short form: a few boots each way."""
    fresh_processes(test, 0, 3)
    resets(test, 0, 5)


@case("boot-loop", LONG, 3600)
def loop_long(test):
    """Proof 6: an hour of boots, half of it each way."""
    seconds = float(os.environ.get("RING3_LOOP_SECONDS", "3600")) / 2
    number = fresh_processes(test, seconds, 3) + resets(test, seconds, 3)
    print(f"    {number} boots", flush=True)
