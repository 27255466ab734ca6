# SPDX-License-Identifier: GPL-2.0-or-later
"""what: whole boots: from the start of the process to a line on the console; at the login prompt memory and idling too.

Both machines get the same guests by the same command line (tools/qemu-as-ring3 translates it).
"""

import re
import signal
import sys
import tempfile
import time

import archive
import disk
import initramfs
from machine import Failure, Machine

INSTALLER = "debian-installer-12-netboot-"
RAM = re.compile(r"memfd:(ring3-ram|memory-backend)")    # of ring3 and of QEMU
SETTLE, IDLE = 10, 60           # seconds: of systemd's jobs a minute holds as many as any


def linux(kernel, arch="amd64"):
    return ["--memory", "512M", "--kernel", archive.kernel(kernel, arch), "--initrd", initramfs.build(arch, demo=True),
            "--append", "console=ttyS0,115200 panic=-1"]


def debian(interface):
    return ["--memory", "1G", "--disk", f"{disk.build()},interface={interface},snapshot"]


def installer(arch):
    package = INSTALLER + arch      # for all architectures, so any has it
    images = archive.unpacked(package, only=["*/text/debian-installer/*"])
    images = images / f"usr/lib/debian-installer/images/12/{arch}/text/debian-installer/{arch}"
    return ["--memory", "1G", "--kernel", images / "linux", "--initrd", images / "initrd.gz",
            "--append", "console=ttyS0,115200 --- quiet"]


SHELL, LOGIN, DIALOG = r"guest# ", r"ring3 login: ", r"Select a language"
# name: architecture, what is booted, its arguments, the line that ends the clock
BOOTS = {
    "amd64": ("amd64", "Linux amd64 kernel to busybox shell", lambda: linux("linux-image-amd64"), SHELL),
    "cloud": ("amd64", "Linux cloud-amd64 kernel to busybox shell", lambda: linux("linux-image-cloud-amd64"), SHELL),
    "rt": ("amd64", "Linux rt-amd64 kernel to busybox shell", lambda: linux("linux-image-rt-amd64"), SHELL),
    "686": ("i386", "Linux 686 kernel to busybox shell", lambda: linux("linux-image-686", "i386"), SHELL),
    "686-pae": ("i386", "Linux 686-pae kernel to busybox shell", lambda: linux("linux-image-686-pae", "i386"), SHELL),
    "debian-ide": ("amd64", "SeaBIOS, GRUB, Debian with systemd from IDE to login", lambda: debian("ide"), LOGIN),
    "debian-virtio": ("amd64", "the same from virtio-blk", lambda: debian("virtio"), LOGIN),
    "installer-amd64": ("amd64", "Debian's installer to its first dialog", lambda: installer("amd64"), DIALOG),
    "installer-i386": ("i386", "the same, i386", lambda: installer("i386"), DIALOG),
}
# those that bench/run takes
ROWS = {"amd64": ["debian-virtio", "installer-amd64"], "i386": ["686-pae", "installer-i386"]}


def start(program, name, log, more=()):
    _, _, make, until = BOOTS[name]
    machine = Machine(program, [*map(str, make()), "--display", "none", "--serial", "stdio", *more], log)
    try:
        _, when = machine.expect(until, 300)
    except Failure:
        machine.close()
        raise
    return machine, when - machine.started


def seconds(program, name, log):
    """From the start to the line, or None if it did not come."""
    try:
        machine, took = start(program, name, log)
    except Failure as failure:
        print(f"    {failure}", file=sys.stderr)
        return None
    machine.close()
    return took


def beyond_ram(machine):
    """Bytes of the host's memory in use by the process that has guest RAM, without that; what is mapped twice, once."""
    for pid in machine.family():
        total, has_ram = 0, False
        with open(f"/proc/{pid}/smaps") as maps:
            for line in maps:
                if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                    is_ram = bool(RAM.search(line))
                    has_ram |= is_ram
                elif not is_ram and line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        if has_ram:
            return total
    raise Failure("no process has guest RAM")


def engine_rows(machine):
    """What ring3 --stats says of itself."""
    machine.process.send_signal(signal.SIGUSR1)
    until = time.time() + 10
    while b"I/O thread" not in machine.errors and time.time() < until:
        time.sleep(0.1)
    text = machine.errors.decode(errors="replace")
    rows = {}
    for value, what in re.findall(r"^ +[\d.]+ s +([\d.]+) %  ([^,\n]+)$", text, re.M):
        if not what.startswith("helper"):
            rows[f"login, share: {what.strip()}"] = ("engine", float(value))
    for value, what in re.findall(r"^ {3,}(\d+)  (.+)$", text, re.M):
        rows[f"login, count: {what.strip()}"] = ("engine", float(value))
    return rows


class Boots:
    """Rows of the groups "boot", "footprint" and "engine"."""

    def __init__(self, arch, names, paths):
        self.names, self.paths = [name for name in ROWS[arch] if not names or name in names], paths

    def once(self, name):
        if name == "native":
            return {}
        rows = {}
        for boot in self.names:
            with tempfile.NamedTemporaryFile() as log:
                try:
                    machine, took = start(self.paths[name], boot, log.name, [])
                except Failure as failure:
                    print(f"  {name}: {failure}", file=sys.stderr)
                    continue
                try:
                    rows[boot] = ("boot", took * 1e9)
                    rows[f"{boot}, CPU time"] = ("boot_cpu", machine.cpu_seconds() * 1e9)
                    if boot == "debian-virtio":
                        rows |= self.at_login(machine)
                finally:
                    machine.close()
                if boot == "debian-virtio" and name == "ring3":
                    rows |= self.counted(name, boot, log.name)
        return rows

    def counted(self, name, boot, log):
        """Another boot: the samples of --stats cost CPU time."""
        try:
            machine, _ = start(self.paths[name], boot, log, ["--stats"])
        except Failure as failure:
            print(f"  {name} --stats: {failure}", file=sys.stderr)
            return {}
        try:
            return engine_rows(machine)
        finally:
            machine.close()

    def at_login(self, machine):
        rows = {"memory beyond guest RAM when the login prompt appears": ("footprint", beyond_ram(machine) / (1 << 20))}
        time.sleep(SETTLE)
        rows["memory beyond guest RAM at login"] = ("footprint", beyond_ram(machine) / (1 << 20))
        before = machine.cpu_seconds()
        time.sleep(IDLE)
        rows["idle at login, % of a core"] = ("footprint", 100 * (machine.cpu_seconds() - before) / IDLE)
        return rows
