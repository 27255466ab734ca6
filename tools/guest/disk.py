# SPDX-License-Identifier: GPL-2.0-or-later
"""what: makes bootable raw disks without root: partition table, GRUB's i386-pc core, one ext4 partition.

GRUB's own installer wants a block device.  What it would write is little: boot.img in the first sector (its
sector number of the core is 1 already), and the core that grub-mkimage links right behind it, in the gap
before the first partition, whose own list of blocks starts at sector 2 already.
"""

import os
import shutil
import struct
import subprocess
import tempfile
import uuid
from pathlib import Path

from archive import CACHE, FetchError, held, main_archive, run, say, unpacked

SECTOR = 512
FIRST = 2048                    # first sector of the partition, as partitioning tools have it
LINUX = 0x83
MODULES = ("biosdisk part_msdos ext2 linux linux16 serial terminal search search_fs_uuid normal configfile echo "
           "halt reboot ls cat test minicmd").split()
HERE = Path(__file__).resolve().parent


def partition_table(sectors):
    """The four entries of an MBR with one active Linux partition (CHS fields say 'use LBA')."""
    chs = b"\xfe\xff\xff"
    entry = b"\x80" + chs + bytes([LINUX]) + chs + struct.pack("<II", FIRST, sectors - FIRST)
    return entry + bytes(48) + b"\x55\xaa"


def grub_core():
    grub = unpacked("grub-pc-bin") / "usr/lib/grub/i386-pc"
    with tempfile.TemporaryDirectory() as folder:
        core = Path(folder) / "core.img"
        run(["grub-mkimage", "-d", grub, "-O", "i386-pc", "-p", "(hd0,msdos1)/boot/grub", "-o", core, *MODULES])
        return (grub / "boot.img").read_bytes(), core.read_bytes()


def install_grub(image, sectors):
    boot, core = grub_core()
    if len(core) > (FIRST - 1) * SECTOR:
        raise FetchError("GRUB's core does not fit before the first partition")
    with open(image, "r+b") as disk:
        disk.write(boot[:440] + b"R3V1" + b"\0\0" + partition_table(sectors))
        disk.write(core)


def empty(image, sectors):
    image.parent.mkdir(parents=True, exist_ok=True)
    with open(image, "wb") as disk:
        disk.truncate(sectors * SECTOR)


def small(name, files, config, size=32 << 20):
    """A disk that holds just GRUB, its grub.cfg, and files (name in the disk: path on the host)."""
    image = CACHE / "disks" / f"{name}.img"
    sectors = size // SECTOR
    with held("disks"), tempfile.TemporaryDirectory() as folder:
        part = image.with_suffix(".part")
        root = Path(folder)
        (root / "boot/grub").mkdir(parents=True)
        (root / "boot/grub/grub.cfg").write_text(config)
        for target, source in files.items():
            shutil.copy(source, root / "boot" / target)
        empty(part, sectors)
        run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={FIRST * SECTOR},root_owner=0:0", "-d", root, part,
             f"{(sectors - FIRST) // 2}k"], env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
        install_grub(part, sectors)
        part.rename(image)
    return image


GRUB_CFG = """serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
set timeout=0
menuentry "Debian" {{
	search --no-floppy --fs-uuid --set=root {uuid}
	linux /vmlinuz root=UUID={uuid} ro console=ttyS0,115200 net.ifnames=0
	initrd /initrd.img
}}
"""


def namespaces_allowed():
    return subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "true"],
                          stderr=subprocess.DEVNULL).returncode == 0


def privileged_command():
    """What debian-root.sh must be run in; see there."""
    if namespaces_allowed() and os.getuid() != 0:
        return ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "fakeroot"]
    if os.getuid() == 0:
        plain = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], stderr=subprocess.DEVNULL)
        return [] if plain.returncode else ["unshare", "--mount", "--pid", "--fork"]
    raise FetchError("this host forbids user namespaces, and we are not root: the Debian tree cannot be made")


def build(size=2 << 30):
    """Path of the Debian disk; beside it lies NAME.expected, the workload's output on the host's own CPU."""
    image = CACHE / "disks" / "debian.img"
    with held("debian"):
        if image.exists():
            return image
        say("  making the Debian disk (debootstrap; some minutes, once)")
        part = image.with_suffix(".part")
        sectors = size // SECTOR
        empty(part, sectors)
        name = str(uuid.uuid4())
        mirror, suite = main_archive()
        scratch = Path(tempfile.mkdtemp(prefix="tree-", dir=CACHE))
        scratch.chmod(0o755)
        tree = scratch / "root"
        (scratch / "grub.cfg").write_text(GRUB_CFG.format(uuid=name))
        try:
            with open(CACHE / "disks" / "debian.log", "w") as log:
                done = subprocess.run(
                    [*privileged_command(), "sh", HERE / "debian-root.sh", mirror, suite, CACHE / "debootstrap", tree,
                     part, str(FIRST * SECTOR), str((sectors - FIRST) // 2), name, HERE / "workload.sh",
                     scratch / "grub.cfg"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            if done.returncode:
                tail = Path(log.name).read_text(errors="replace")[-3000:]
                raise FetchError(f"the Debian tree could not be made, see {log.name}:\n{tail}")
            install_grub(part, sectors)
            Path(f"{part}.expected").rename(image.with_suffix(".expected"))
            part.rename(image)
        finally:
            subprocess.run(["chmod", "-R", "u+rwX", scratch], stderr=subprocess.DEVNULL)
            shutil.rmtree(scratch, ignore_errors=True)
    return image
