# SPDX-License-Identifier: GPL-2.0-or-later
"""what: stock kernels with several CPUs (docs/smp.md): all of them work, are taken off and on, and switch off."""

import hashlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import archive
import initramfs
from boot_guests import FLAGS, FOLDER, WAY_OUT
from cases import FULL, LONG, QUICK, TREE, Skip, case
from machine import BAD_INPUT, POWERED_OFF

PROMPT = r"guest# "
LINES = 20000
DIGEST = hashlib.md5("".join(f"{n}\n" for n in range(1, LINES + 1)).encode()).hexdigest()
KERNELS = (("linux-image-amd64", "amd64"), ("linux-image-cloud-amd64", "amd64"), ("linux-image-rt-amd64", "amd64"),
           ("linux-image-686", "i386"), ("linux-image-686-pae", "i386"))


def start(test, kernel, arch, cpus):
    machine = test.machine("--memory", "512M", "--cpus", cpus, "--kernel", archive.kernel(kernel, arch), "--initrd",
                           initramfs.build(arch, demo=True), "--append", "console=ttyS0,115200 panic=-1")
    machine.expect(PROMPT, 120)
    machine.line("mount -t sysfs sys /sys; mount -t proc proc /proc; dmesg -n 1; echo ready: $?")
    machine.expect("ready: ")
    return machine


def count(machine, command, timeout=60):
    """The number that a command prints."""
    machine.line(f'echo "it is $( {command})."')
    found, _ = machine.expect(r"it is (\d+)\.\r?\n", timeout)
    return int(found[1])


def judge(machine, cpus, rounds=1):
    """Each CPU is there, takes interrupts and computes what it should; the kernel complains of nothing."""
    machine.must(count(machine, "nproc") == cpus, "not all CPUs are online")
    machine.must(count(machine, "grep -c ^processor /proc/cpuinfo") == cpus, "/proc/cpuinfo tells of other CPUs")
    for _ in range(rounds):
        jobs = 2 * cpus
        work = f"(seq 1 {LINES} | gzip | gunzip | md5sum) & "
        right = count(machine, f"(for i in $(seq {jobs}); do {work}done; wait) | grep -c {DIGEST}", 240)
        machine.must(right == jobs, f"{jobs - right} of {jobs} pipelines gave a wrong digest")
    local = count(machine, "grep LOC: /proc/interrupts | tr -s ' ' '\\n' | grep -c '^[1-9]'")
    machine.must(local == cpus, f"timer interrupts on {local} of {cpus} CPUs")
    complaints = count(machine, "dmesg | grep -cE 'BUG|Oops|WARNING|stall|soft lockup|not responding'")
    machine.must(not complaints, f"the kernel complained {complaints} times")


def power_off(machine):
    machine.line("poweroff -f")
    machine.must_end(POWERED_OFF)


def whole(test, kernel, arch, cpus, rounds=1):
    machine = start(test, kernel, arch, str(cpus))
    judge(machine, cpus, rounds)
    power_off(machine)


@case("smp-two", QUICK, 15)
def two(test):
    """Two CPUs start, share work, and any may switch the machine off."""
    whole(test, "linux-image-cloud-amd64", "amd64", 2)


@case("smp-pae", QUICK, 20)
def pae(test):
    """Four 32-bit CPUs, more than a small host has."""
    whole(test, "linux-image-686-pae", "i386", 4)


@case("smp-offline", QUICK, 25)
def offline(test):
    """INIT and start-up messages again and again: a CPU goes off and comes back while the others work."""
    machine = start(test, "linux-image-amd64", "amd64", "4")
    machine.line(f"while [ ! -e /stop ]; do seq 1 {LINES} | md5sum > /dev/null; done &")
    turns = "for i in $(seq 8); do for n in 1 2 3; do echo 0 > $c$n/online; echo 1 > $c$n/online || exit 1; done; done"
    machine.line(f"c=/sys/devices/system/cpu/cpu; ({turns}); echo turns ended: $?; touch /stop")
    machine.expect("turns ended: 0", 180)
    judge(machine, 4)
    power_off(machine)


@case("smp-topology", QUICK, 20)
def topology(test):
    """Two sockets of one core of two threads: what CPUID, MADT and SMBIOS say agrees for Linux."""
    machine = start(test, "linux-image-cloud-amd64", "amd64", "4,sockets=2,cores=1,threads=2")
    where = "/sys/devices/system/cpu/cpu"
    for cpu, package, siblings in ((0, 0, "0-1"), (1, 0, "0-1"), (2, 1, "2-3"), (3, 1, "2-3")):
        machine.line(f'echo "cpu{cpu}: $(cat {where}{cpu}/topology/physical_package_id) '
                     f'$(cat {where}{cpu}/topology/thread_siblings_list)."')
        machine.expect(rf"cpu{cpu}: {package} {siblings}\.\r?\n", 30)
    power_off(machine)


@case("smp-options", QUICK, 2)
def options(test):
    """What cannot be is refused in one line."""
    for wrong, line in (("0", "'0' is no number of CPUs from 1 to 64"), ("65", "no number of CPUs"),
                        ("x", "no number of CPUs"), ("4,sockets=3", "are not 4 CPUs"),
                        ("4,books=2", "'books' is unknown"), ("4,cores=0", "cores=0 is no number")):
        machine = test.machine("--cpus", wrong)
        machine.must_end(BAD_INPUT)
        right = line.encode() in machine.errors and machine.errors.count(b"\n") == 1
        machine.must(right, f"--cpus {wrong} says no such thing")


def cores_of(machine):
    """{name of a thread: the host's cores that it may run on}, of the virtual CPUs."""
    found = {}
    for status in Path(f"/proc/{machine.process.pid}/task").glob("*/status"):
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        if fields["Name"].strip().startswith("vcpu"):
            found[fields["Name"].strip()] = fields["Cpus_allowed_list"].strip()
    return found


@case("smp-pin", QUICK, 3)
def pinned(test):
    """--pin keeps each CPU's thread on its core, in turn; a core that there is not is refused."""
    own = sorted(os.sched_getaffinity(0))
    for words, wanted in ((f"{own[-1]},{own[0]}", [own[-1], own[0], own[-1]]), ("auto", (own * 3)[:3])):
        machine = test.machine("--cpus", "3", "--pin", words, "--timeout", "60")
        until = time.time() + 20 * test.slow
        while len(cores_of(machine)) < 3 and time.time() < until:
            time.sleep(0.05)
        found = cores_of(machine)
        machine.must(found == {f"vcpu{n}": str(core) for n, core in enumerate(wanted)}, f"--pin {words}: {found}")
        machine.close()
    machine = test.machine("--pin", "1023")
    machine.must_end(BAD_INPUT)
    machine.must(b"core 1023 is none" in machine.errors, "--pin 1023 is not refused")


@case("smp-idle", FULL, 60)
def idle(test):
    """Eight CPUs that sleep cost the host under 2 % of a core."""
    machine = start(test, "linux-image-amd64", "amd64", "8")
    machine.must(count(machine, "nproc") == 8, "not all CPUs are online")
    time.sleep(5)
    before, since = machine.cpu_seconds(), time.time()
    time.sleep(30)
    share = (machine.cpu_seconds() - before) / (time.time() - since)
    test.said = f"eight idle CPUs: {share:.2%} of a core"
    print(f"    {test.said}", flush=True)
    machine.must(share < 0.02, f"eight idle CPUs use {share:.1%} of a core")
    power_off(machine)


for _kernel, _arch in KERNELS:
    for _cpus in (2, 8):
        @case(f"smp-{_kernel.removeprefix('linux-image-')}-{_cpus}", FULL if _cpus == 2 else LONG, 30)
        def boots(test, kernel=_kernel, arch=_arch, cpus=_cpus):
            """Every kernel of Debian's, with two CPUs and with more than the host has."""
            whole(test, kernel, arch, cpus, 3)


def hammer(test, rounds):
    """tests/guest/hammer.c, in the guest's user mode on two CPUs: LOCK wherever the operand lies, orders of stores and
    loads, code that the other CPU patches."""
    program = test.folder / "hammer"
    command = ["gcc", "-O2", "-D_GNU_SOURCE", "-static", "-pthread", "-o", program, TREE / "tests/guest/hammer.c"]
    subprocess.run(command, check=True)
    image = initramfs.build(demo=True, extra=[("hammer", program.read_bytes(), 0o755)], tag="-hammer")
    machine = test.machine("--memory", "256M", "--cpus", "2", "--kernel", archive.kernel("linux-image-cloud-amd64"),
                           "--initrd", image, "--append", "console=ttyS0,115200 panic=-1 quiet")
    machine.expect(PROMPT, 120)
    machine.line(f"/hammer {rounds}")
    machine.expect("hammer: end", 600)
    machine.must("WRONG" not in machine.text, "see above")
    machine.must(machine.text.count(" right") == 19, "not all was tried")
    power_off(machine)


def bare(test, cpus, rounds, mode=None, seconds=50):
    """tests/guest/smp on the bare machine; the lines it says and how many checks it made."""
    if test.is_reference:
        raise Skip("its clock is the TSC's of ring3")
    if not shutil.which("objcopy"):
        raise Skip("objcopy is missing")
    elf, image = test.folder / "smp.elf", test.folder / "smp.bin"
    sources = sorted((TREE / "tests/guest/smp").glob("*.c"))
    for command in (["gcc", "-m64", *FLAGS, f"-DCPUS={cpus}", f"-DROUNDS={rounds}", "-o", elf, "start.S", "lib.c",
                     *sources], ["objcopy", "-O", "binary", elf, image]):
        done = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        test.must(not done.returncode, f"it does not build:\n{done.stdout}")
    done = test.ring3("run", "--memory", "64M", "--cpus", cpus, "--display", "none", "--serial", "stdio",
                      "--debug-exit", "--no-reboot", "--timeout", int(seconds * test.slow),
                      *(["--mode", mode] if mode else []),
                      "--kernel", image, timeout=seconds + 10)
    (test.logs / f"{test.name}.log").write_text(done.stdout + done.stderr)
    test.said = done.stdout.replace("\r", "")
    found = re.search(r"(\d+) checks, (\d+) failed", done.stdout)
    test.must(found and found[2] == "0" and done.returncode == WAY_OUT, (done.stdout + done.stderr)[-3000:])
    return test.said


@case("smp-bare-two", QUICK, 3)
def bare_two(test):
    """Issue 15: orders of memory, LOCK, shootdowns, patched code, IPIs and start-up messages between two CPUs."""
    bare(test, 2, 4000)


@case("smp-bare-two-windows", QUICK, 3)
def bare_windows(test):
    """The same with user memory in windows from the start."""
    bare(test, 2, 2000, "windows")


@case("smp-bare-four", QUICK, 3)
def bare_four(test):
    """The same with four CPUs, which take turns where the host has fewer."""
    bare(test, 4, 400, seconds=300)


@case("smp-bare-long", LONG, 3600)
def bare_long(test):
    """The same again and again for RING3_LITMUS_SECONDS (an hour), with counts."""
    until, runs, buffered = time.time() + float(os.environ.get("RING3_LITMUS_SECONDS", "3600")), 0, 0
    while time.time() < until:
        said = bare(test, 2, 200000, ("tlb", "windows", None)[runs % 3], seconds=900)
        buffered += int(re.search(r"SB relaxed \(allowed\) (\d+)", said)[1])
        runs += 1
    test.must(buffered or os.cpu_count() < 2, "no store was ever buffered, so what is forbidden could not be seen")
    test.said += f"\n{runs} runs of 200000 rounds"


@case("smp-hammer", QUICK, 20)
def hammer_quick(test):
    """In short."""
    hammer(test, 20000)


@case("smp-hammer-long", LONG, 600)
def hammer_long(test):
    """Millions of rounds."""
    hammer(test, 2000000)
