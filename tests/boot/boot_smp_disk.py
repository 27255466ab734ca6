# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the installed Debian with several CPUs: lscpu, a parallel build, and boots again and again under host load.

RING3_ROUNDS sets how many boots smp-disk-rounds makes (100); it says how many failed, and goes on after one.
"""

import os
import subprocess
import sys
from contextlib import contextmanager

import disk
from boot_debian import log_in, output
from cases import FULL, LONG, case
from machine import POWERED_OFF, Failure

PARTS = 12
# One file a unit: what -j4 does by make, here by xargs, whose exit status tells of any that failed.
BUILD = ("mkdir -p /tmp/build; cd /tmp/build; for n in $(seq {parts}); do "
         "echo \"#include <stdio.h>\nint f$n(int a) {{ for (int i = 0; i < a; i++) a ^= a * $n + i % 7; "
         "switch (a & 7) {{ case 1: return a / $n; case 2: puts(\\\"$n\\\"); break; case 5: return a % 9; }} "
         "return a - $n; }}\" > part$n.c; done; "
         "seq {parts} | xargs -P {jobs} -I% gcc -O2 -g0 -c -o part%.o part%.c && cat part*.o | sha256sum; rm -f *.o")


def start(test, cpus, interface="virtio"):
    return test.machine("--memory", "1G", "--cpus", cpus, "--disk", f"{disk.build()},interface={interface},snapshot")


def shut_down(machine):
    machine.line("systemctl poweroff")
    machine.must_end(POWERED_OFF, 240)


def judge_lscpu(machine, cpus):
    """lscpu reads CPUID, /sys and /proc, and folds them."""
    said = dict(line.split(":", 1) for line in output(machine, "LC_ALL=C lscpu").splitlines() if ":" in line)
    said = {key.strip(): value.strip() for key, value in said.items()}
    wanted = {"CPU(s)": str(cpus), "On-line CPU(s) list": f"0-{cpus - 1}" if cpus > 1 else "0", "Socket(s)": "1",
              "Core(s) per socket": str(cpus), "Thread(s) per core": "1"}
    wrong = {key: said.get(key) for key, value in wanted.items() if said.get(key) != value}
    machine.must(not wrong, f"lscpu says {wrong}, not {wanted}")
    machine.must(output(machine, "nproc; grep -c ^processor /proc/cpuinfo").split() == [str(cpus)] * 2,
                 "nproc and /proc/cpuinfo tell of other CPUs")


def judge_kernel(machine):
    bad = output(machine, "dmesg | grep -E 'BUG|Oops|WARNING|rcu.*stall|soft lockup|hung task|not responding'").strip()
    machine.must(bad == "", f"the kernel complained: {bad}")


@case("smp-disk", FULL, 120)
def four(test):
    """Issue 15, proofs 1 and 3: Debian's disk with 4 CPUs to its login; a build by four jobs makes the objects that one
    job makes; it shuts down."""
    machine = start(test, 4)
    log_in(machine)
    judge_lscpu(machine, 4)
    sums = [output(machine, BUILD.format(parts=PARTS, jobs=jobs), 300).split() for jobs in (4, 1, 4)]
    machine.must(len(sums[0]) == 2 and sums[0] == sums[1] == sums[2], f"the objects differ: {sums}")
    judge_kernel(machine)
    shut_down(machine)


for _cpus in (1, 2, 8):
    @case(f"smp-disk-lscpu-{_cpus}", LONG, 60)
    def counts(test, cpus=_cpus):
        """Proof 1: lscpu, nproc and /proc/cpuinfo agree with --cpus."""
        machine = start(test, cpus)
        log_in(machine)
        judge_lscpu(machine, cpus)
        shut_down(machine)


@contextmanager
def busy_host():
    """A process for each core of the host that computes: more is wanted than there is."""
    work = [sys.executable, "-c", "while True: pass"]
    crowd = [subprocess.Popen(["nice", *work]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for one in crowd:
            one.kill()
            one.wait()


def one_round(test):
    machine = start(test, 4)
    try:
        log_in(machine)
        judge_kernel(machine)
        shut_down(machine)
    finally:
        machine.close()
        test.machines.remove(machine)


@case("smp-disk-rounds", LONG, 3600)
def rounds(test):
    """Proof 1: so many boots of the disk with 4 CPUs to the login and down again, under host load: none fails."""
    number, failed = int(os.environ.get("RING3_ROUNDS", "100")), []
    with busy_host():
        for turn in range(1, number + 1):
            try:
                one_round(test)
            except Failure as failure:
                failed.append(f"round {turn}: {failure}")
                print(f"    {failed[-1]}", flush=True)
            print(f"    {turn} of {number} rounds, {len(failed)} failed", flush=True)
    test.must(not failed, f"{len(failed)} of {number} rounds failed:\n" + "\n".join(failed))
