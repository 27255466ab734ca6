# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the rows of the guest program, timed by itself: natively, and as the init of a guest."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import archive
from machine import Failure, Machine
from newc import Archive

TREE = Path(__file__).resolve().parents[1]
WORK = archive.CACHE / "bench"
DISK_SIZE = 64 << 20
KERNELS = {"amd64": "linux-image-amd64", "i386": "linux-image-686-pae"}
FLAGS = ["-O2", "-msse2", "-mfpmath=sse", "-std=gnu17", "-Wall", "-Wextra", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64",
         "-static", "-pthread"]
MODULES = ["virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci_modern_dev",
           "virtio/virtio_pci", "block/virtio_blk"]
LINE = re.compile(r"bench: (\w+) ([\d.]+) (\w+)")
MODES = ("tlb", "windows")   # ring3 in one mode, beside automatic
LIMIT = 900     # seconds for one run of all rows


def build(arch):
    """The guest program; rebuilt each time, it takes a second."""
    WORK.mkdir(parents=True, exist_ok=True)
    program = WORK / f"bench-{arch}"
    sources = sorted(map(str, (TREE / "bench/guest").glob("*.c")))
    subprocess.run(["gcc", *FLAGS, *(["-m32"] if arch == "i386" else []), "-o", program, *sources, "-lm"], check=True)
    return program


def drivers(arch):
    """The kernel's virtio-blk drivers, in the order in which they must be loaded."""
    kept = WORK / f"modules-{arch}"
    if not kept.exists():
        part = kept.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        package = archive.package(KERNELS[arch], arch)
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpacker:
            subprocess.run(["tar", "-x", "-C", part, "--wildcards", "--transform", "s,.*/,,",
                            *(f"*/drivers/{module}.ko" for module in MODULES)], stdin=unpacker.stdout, check=True)
        part.rename(kept)
    return [kept / (Path(module).name + ".ko") for module in MODULES]


def initramfs(arch, program):
    kernel = archive.kernel(KERNELS[arch], arch)
    cpio = Archive()
    for name in ("dev", "proc", "tmp"):
        cpio.folder(name)
    cpio.char_device("dev/console", 5, 1)
    cpio.file("init", program.read_bytes(), 0o755)
    for number, module in enumerate(drivers(arch)):
        cpio.file(f"module.{number:02}", module.read_bytes())
    path = WORK / f"bench-{arch}.cpio"
    path.write_bytes(cpio.bytes())
    return kernel, path


def disk():
    path = WORK / "disk.img"
    if not path.exists() or path.stat().st_size != DISK_SIZE:
        path.write_bytes(os.urandom(1 << 20) * (DISK_SIZE >> 20))
    return path


class Rows:
    """Rows of the guest program (bench/guest): groups "kernel", "integer", "vector", "device", "boot"."""

    more = []       # options of the guest program
    cpus = 1

    def __init__(self, options, paths):
        self.paths = paths
        self.program = build(options.arch)
        self.kernel, self.initrd = initramfs(options.arch, self.program)
        self.disk = disk()
        self.args = [*self.more, "--ms", str(options.ms)] + (["--rows", options.rows] if options.rows else [])

    def native(self):
        pinned = ["taskset", "-c", str(max(os.sched_getaffinity(0)))] if self.cpus == 1 else []
        said = subprocess.run([*pinned, self.program, "--native", *self.args, "--disk", self.disk],
                              stdout=subprocess.PIPE, text=True, timeout=LIMIT)
        return said.stdout, {}

    def guest(self, name):
        append = "console=ttyS0,115200 quiet panic=-1 iomem=relaxed -- " + " ".join([*self.args, "--disk", "/dev/vda"])
        args = ["--memory", "512M", "--kernel", self.kernel, "--initrd", self.initrd, "--append", append,
                "--disk", f"{self.disk},interface=virtio,snapshot", "--display", "none", "--serial", "stdio",
                *(["--mode", name] if name in MODES else []), *(["--cpus", str(self.cpus)] if self.cpus > 1 else [])]
        with tempfile.NamedTemporaryFile() as log:
            machine = Machine(self.paths[name], [*map(str, args)], log.name)
            try:
                _, init = machine.expect("bench: init", 120)
                machine.expect("bench: end", LIMIT)
            except Failure as failure:
                print(f"  {name}: {failure}", file=sys.stderr)
                return machine.text, {}
            finally:
                machine.close()
        return machine.text, {"boot_wall": ("boot", (init - machine.started) * 1e9)} if self.cpus == 1 else {}

    def once(self, name):
        """{row: (group, nanoseconds)} of one run of one machine."""
        text, rows = self.native() if name == "native" else self.guest(name)
        for line in text.replace("\r", "").split("\n"):
            if found := LINE.search(line):
                if self.cpus > 1 and found.group(3) == "boot":
                    continue
                rows[found.group(1)] = (found.group(3), float(found.group(2)))
            elif line.startswith("#") or " failed " in line:
                print(f"  {name}: {line}", file=sys.stderr)
        return rows


class Smp(Rows):
    """Rows of bench/guest/smp.c, with two CPUs."""
    more = ["--smp"]
    cpus = 2
