# SPDX-License-Identifier: GPL-2.0-or-later
"""what: stock Debian kernels with a busybox initramfs: to a shell, through a script, to a clean power-off."""

import hashlib
import random
import re
import time

import archive
import initramfs
from cases import FULL, QUICK, case
from machine import POWERED_OFF

PROMPT = r"guest# "
PIPE_ANSWER = str(sorted((n for n in range(1, 20001) if "7" not in str(n)), reverse=True)[999])
APPEND = "console=ttyS0,115200 panic=-1"


def start(test, kernel, arch, *more):
    return test.machine("--memory", "512M", "--kernel", archive.kernel(kernel, arch), "--initrd",
                        initramfs.build(arch), "--append", APPEND, *more)


def value(machine, key, timeout=60):
    """What proof.sh says for key, and when it came."""
    found, when = machine.expect(rf"ring3: {key}( ([^\r\n]*))?\r?\n", timeout)
    return found.group(2) or "", when


def to_shell(machine):
    machine.expect(r"ring3: up [0-9.]+", 120)
    machine.expect(PROMPT, 20)


def judge_script(machine):
    """Types the script's name and compares what it prints with what the host knows."""
    machine.line("sh /proof.sh")
    value(machine, "kernel")
    date, came = value(machine, "date")
    machine.must(abs(int(date) + 0.5 - came) <= 1.5, f"the guest's date is {date}, the host's was {came:.1f}")
    digest, _ = value(machine, "sum", 120)
    machine.must(digest == initramfs.large_sum(), f"sha256sum of the large file is {digest}")
    machine.must(value(machine, "pipe")[0] == PIPE_ANSWER, "the pipeline gave a wrong result")
    machine.must(value(machine, "mount")[0] == "1 kept", "the tmpfs is not mounted")
    machine.must(value(machine, "unmounted")[0] == "0", "the tmpfs is still mounted")
    jobs, _ = value(machine, "jobs")
    machine.must(re.fullmatch(r"8 [0-9a-f]{32}", jobs), f"background jobs disagree: {jobs}")
    cpu, _ = value(machine, "cpu")
    machine.must(re.match(r"1 +\S", cpu), f"/proc/cpuinfo says: {cpu}")
    errors, _ = value(machine, "errors")
    machine.must(errors == "0", f"the kernel complained {errors} times")
    value(machine, "clocksource")
    _, asleep = value(machine, "sleep")
    _, awake = value(machine, "slept")
    machine.must(4.8 <= awake - asleep <= 6.0, f"sleep 5 took {awake - asleep:.2f} s of the host's time")
    value(machine, "done")
    machine.expect(PROMPT)


def judge_idle(machine):
    """An idle guest costs next to nothing."""
    before, since = machine.cpu_seconds(), time.time()
    time.sleep(3)
    load = (machine.cpu_seconds() - before) / (time.time() - since)
    machine.must(load < 0.25, f"an idle guest uses {load:.0%} of a CPU")


def power_off(machine):
    machine.line("poweroff -f")
    machine.must_end(POWERED_OFF)


def whole_boot(test, kernel, arch):
    machine = start(test, kernel, arch)
    to_shell(machine)
    judge_script(machine)
    judge_idle(machine)
    power_off(machine)


@case("linux-amd64", QUICK, 30)
def linux_amd64(test):
    """Proof 1: linux-image-amd64 to a shell on ttyS0, the script, power-off with status 0."""
    whole_boot(test, "linux-image-amd64", "amd64")


@case("linux-cloud-amd64", FULL, 25)
def linux_cloud_amd64(test):
    """Proof 1: the cloud kernel."""
    whole_boot(test, "linux-image-cloud-amd64", "amd64")


@case("linux-rt-amd64", FULL, 30)
def linux_rt_amd64(test):
    """Proof 1: the real-time kernel."""
    whole_boot(test, "linux-image-rt-amd64", "amd64")


@case("linux-686", FULL, 30)
def linux_686(test):
    """Proof 2: the 32-bit kernel with two-level page tables."""
    whole_boot(test, "linux-image-686", "i386")


@case("linux-686-pae", FULL, 30)
def linux_686_pae(test):
    """Proof 2: the 32-bit kernel with PAE."""
    whole_boot(test, "linux-image-686-pae", "i386")


@case("linux-ahci", FULL, 30)
def linux_ahci(test):
    """Linux's AHCI driver finds the disk with its queue, reads all of it, writes, flushes and discards."""
    names = ["crc64", "crc64-rocksoft", "crct10dif_common", "crc-t10dif", "t10-pi", "scsi_common", "scsi_mod", "sd_mod",
	         "libata", "libahci", "ahci"]
    extra = [(path.name, path.read_bytes(), 0o644) for path in archive.modules("linux-image-amd64", names)]
    load = "; ".join(f"insmod /{name}" for name, _, _ in extra)
    data = random.Random(f"{test.seed}ahci").randbytes(32 << 20)
    disk = test.folder / "disk.img"
    disk.write_bytes(data)
    image = initramfs.build(demo=True, extra=extra, tag="-ahci")
    machine = test.machine("--memory", "256M", "--kernel", archive.kernel("linux-image-amd64"), "--initrd", image,
                           "--append", "console=ttyS0 quiet", "--disk", f"{disk},format=raw,interface=ahci")
    machine.expect(PROMPT, 120)
    machine.line(f"{load}; sleep 5; md5sum /dev/sda")
    machine.expect(hashlib.md5(data).hexdigest(), 60)
    machine.line("dmesg | grep -c 'NCQ (depth 32)'; echo depth: $(cat /sys/block/sda/device/queue_depth)")
    machine.expect(r"depth: 32", 20)
    machine.line("dd if=/dev/sda of=/dev/sda bs=1M count=4 seek=16 conv=fsync; echo ended: $?")
    machine.expect("ended: 0", 30)
    machine.line("blkdiscard -o 8388608 -l 4194304 /dev/sda; echo discarded: $?")
    machine.expect("discarded: 0", 30)
    power_off(machine)
    want = data[:8 << 20] + bytes(4 << 20) + data[12 << 20:16 << 20] + data[:4 << 20] + data[20 << 20:]
    test.must(disk.read_bytes() == want, "the disk is not what the guest made of it")


@case("linux-floppy", FULL, 20)
def linux_floppy(test):
    """Linux's floppy driver reads drives A and B, writes B, and for a drive without a disk gets its answer at once."""
    extra = [(path.name, path.read_bytes(), 0o644) for path in archive.modules("linux-image-amd64", ["floppy"])]
    image = initramfs.build(demo=True, extra=extra, tag="-floppy")
    disks = [random.Random(f"{test.seed}{drive}").randbytes(1440 << 10) for drive in "AB"]
    for drive, data in zip("AB", disks):
        (test.folder / drive).write_bytes(data)
    for second in (test.folder / "B", "none"):
        machine = test.machine("--memory", "256M", "--kernel", archive.kernel("linux-image-amd64"), "--initrd", image,
                               "--append", "console=ttyS0 quiet", "--floppy", test.folder / "A", "--floppy", second)
        machine.expect(PROMPT, 120)
        machine.line("insmod /floppy.ko; md5sum /dev/fd0")
        machine.expect(hashlib.md5(disks[0]).hexdigest(), 60)
        if second == "none":
            machine.line("time md5sum /dev/fd1; echo ended with $?")
            found, _ = machine.expect(r"No such device[^\n]*\n[^$]*real\s+0m (\d+)[^$]*ended with 1", 60)
            machine.must(int(found[1]) < 5, f"that took {found[1]} s")
        else:
            machine.line("md5sum /dev/fd1; printf R3 | dd of=/dev/fd1 bs=512 seek=9 conv=sync,fsync; echo ended: $?")
            machine.expect(hashlib.md5(disks[1]).hexdigest(), 60)
            machine.expect("ended: 0", 30)
        power_off(machine)
    want = disks[1][:9 * 512] + b"R3".ljust(512, b"\0") + disks[1][10 * 512:]
    test.must((test.folder / "B").read_bytes() == want, "the disk in B is not what the guest made of it")
