# SPDX-License-Identifier: GPL-2.0-or-later
"""what: whole programs of a Debian tree, timed natively in a chroot and in guests that have the tree on a disk.

Times are the host's, from one mark on the console to the next.  What a program says is summed up: machines that
disagree did not run the same program.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import archive
import disk
import initramfs
import inputs
from machine import Failure, Machine

HERE = Path(__file__).resolve().parent
NAMES = ["gzip", "xz", "sha256sum", "gcc", "make", "python3", "perl", "sqlite3"]
MODULES = ["virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk",
           "crc32c_generic", "crc16", "mbcache", "jbd2", "ext4"]
LIMIT = 300     # seconds for one program
INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in {' '.join(MODULES)}; do
	/bin/busybox insmod /$module.ko 2>/dev/null
done
/bin/busybox mount -t ext4 -o ro /dev/vda /root || /bin/busybox poweroff -f
/bin/busybox mount -t proc proc /root/proc
/bin/busybox mount -t devtmpfs dev /root/dev
/bin/busybox mount -t tmpfs tmp /root/tmp
names=$(/bin/busybox sed 's/.*programs=//; s/ .*//; s/,/ /g' /proc/cmdline)
/bin/busybox chroot /root /bin/sh /root/bench/programs.sh $names
echo "bench: end of all"
/bin/busybox poweroff -f
"""


def privileged(fakeroot):
    return [word for word in disk.privileged_command() if fakeroot or word != "fakeroot"]


def tree(arch):
    """The Debian tree, made once, with fresh inputs."""
    where = archive.CACHE / "bench" / f"tree-{arch}"
    with archive.held(f"bench-{arch}"):
        if not (where / "usr/bin/hackbench").exists() or (where / "debootstrap").exists():
            archive.say(f"  making the Debian tree for whole programs ({arch}; some minutes, once)")
            subprocess.run(["rm", "-rf", where], check=True)
            cache = archive.CACHE / ("debootstrap" if arch == "amd64" else f"debootstrap-{arch}")
            mirror, suite = archive.main_archive()
            archive.run([*privileged(True), "sh", HERE / "tree.sh", "make", mirror, suite, arch, cache, where])
        target = where / "root/bench"
        if not (target / "script.sql").exists() or Path(inputs.__file__).stat().st_mtime > target.stat().st_mtime:
            target.mkdir(exist_ok=True)
            inputs.write(target)
            os.utime(target)
        (target / "programs.sh").write_bytes((HERE / "programs.sh").read_bytes())
    return where


def image(arch):
    """An ext4 file system of the tree, made anew when the inputs are newer."""
    files, path = tree(arch), archive.CACHE / "bench" / f"programs-{arch}.img"
    newest = max(one.stat().st_mtime for one in (HERE / "programs.sh", files / "root/bench"))
    with archive.held(f"bench-{arch}"):
        if not path.exists() or path.stat().st_mtime < newest:
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            archive.run([*privileged(True), "mke2fs", "-q", "-F", "-t", "ext4", "-d", files, part, "1500m"],
                        env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
            part.rename(path)
    return path


class Programs:
    """Rows of the group "programs"."""

    cpus = 1

    def __init__(self, arch, kernel, names, paths):
        self.names, self.paths = [name for name in NAMES if not names or name in names], paths
        self.sums = {}
        if self.names:
            self.prepare(arch, kernel)

    def prepare(self, arch, kernel):
        self.tree, self.image = tree(arch), image(arch)
        self.kernel = archive.kernel(kernel, arch)
        modules = [(path.name, path.read_bytes(), 0o644) for path in archive.modules(kernel, MODULES, arch)]
        extra = [*modules, ("programs", INIT.encode(), 0o755)]
        self.initrd = initramfs.build(arch, demo=True, extra=extra, tag="-programs")

    def native(self):
        """tree.sh in the shape of a machine: a program that is told to "run"."""
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[-self.cpus:]))
        os.environ["BENCH_PREFIX"] = " ".join(["taskset", "-c", cores, *privileged(False)])
        return self.timed("native", HERE / "tree.sh", [self.tree, "/bin/sh", "/root/bench/programs.sh", *self.names])

    def guest(self, name):
        append = f"console=ttyS0,115200 quiet panic=-1 rdinit=/programs programs={','.join(self.names)} "
        return self.timed(name, self.paths[name], [
            "--memory", "1G", "--kernel", self.kernel, "--initrd", self.initrd, "--append", append, "--disk",
            f"{self.image},interface=virtio,snapshot", "--display", "none", "--serial", "stdio",
            *(["--cpus", self.cpus] if self.cpus > 1 else [])])

    def timed(self, name, program, args):
        marks = []
        with tempfile.NamedTemporaryFile() as log:
            machine = Machine(program, [*map(str, args)], log.name)
            try:
                for _ in self.names:
                    _, begin = machine.expect(r"bench: begin \w+", LIMIT)
                    used = machine.cpu_seconds()
                    found, end = machine.expect(r"bench: end (\w+) ", LIMIT)
                    used = machine.cpu_seconds() - used
                    total, _ = machine.expect(r"(\d+)\r?\n", LIMIT)
                    marks.append((found[1], total[1], end - begin, used))
            except Failure as failure:
                print(f"  {name}: {failure}", file=sys.stderr)
            finally:
                machine.close()
        return self.rows(name, marks)

    def rows(self, machine, marks):
        rows = {}
        for program, total, seconds, used in marks:
            if self.sums.setdefault(program, total) == total:
                rows[program] = ("programs", seconds * 1e9)
                rows[f"{program}, CPU time"] = ("programs_cpu", used * 1e9)
            else:
                print(f"  {machine}: {program} says something else than on the machine before", file=sys.stderr)
        return rows

    def once(self, name):
        if not self.names:
            return {}
        return self.native() if name == "native" else self.guest(name)
