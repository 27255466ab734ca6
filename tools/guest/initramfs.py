# SPDX-License-Identifier: GPL-2.0-or-later
"""what: builds the busybox initramfs that the Linux boot tests and `make demo` run.

One static busybox of the guest's architecture, an init that mounts what a shell needs and then gives ttyS0 a
shell with job control, and proof.sh, which prints `ring3: KEY VALUE` lines for the test to judge.  The large
file is pseudo-random so that it neither compresses nor repeats: one wrong byte on the way from the host
through the loader into the guest's RAM changes its sum.
"""

import hashlib
import random

from archive import CACHE, held, unpacked
from newc import Archive

LARGE = 24 << 20

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /root
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp
hostname ring3
export HOME=/root PS1='guest# ' TERM=${TERM:-linux}
cd /root
dmesg -n 1
[ -f /welcome ] && cat /welcome
echo "ring3: up $(cut -d' ' -f1 /proc/uptime)"
case " $(cat /proc/cmdline) " in
*" ring3.reboot "*) reboot -f ;;
*" ring3.poweroff "*) poweroff -f ;;
esac
while true; do
	setsid cttyhack sh
	[ -f /welcome ] && poweroff -f
done
"""

WELCOME = """
  This is a stock Debian kernel under ring3, with busybox around it.
  Look around: uname -a, cat /proc/cpuinfo, dmesg, free, lspci.
  To leave: `poweroff -f` (or exit), or Ctrl-A x at any time.

"""

PROOF = """#!/bin/sh
say() { echo "ring3: $*"; }
say kernel $(uname -r) $(uname -m)
say date $(date +%s)
say sum $(sha256sum < /large | cut -d' ' -f1)
say pipe $(seq 1 20000 | grep -v 7 | sort -rn | head -n 1000 | tail -n 1)
mkdir -p /tmp/a && mount -t tmpfs -o size=8m inner /tmp/a && echo kept > /tmp/a/file
say mount $(grep -c ' /tmp/a tmpfs ' /proc/mounts) $(cat /tmp/a/file)
umount /tmp/a
say unmounted $(ls /tmp/a | wc -l)
for i in 1 2 3 4 5 6 7 8; do (seq 1 3000 | md5sum > /tmp/job.$i) & done
wait
say jobs $(cat /tmp/job.* | sort | uniq -c | tr -s ' ' | cut -d' ' -f2,3)
say cpu $(grep -c '^processor' /proc/cpuinfo) $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2)
bad='BUG:|Oops|WARNING: CPU|unchecked MSR|nobody cared|general protection|Call Trace|soft lockup|rcu_.*stall'
say errors $(dmesg | grep -cE "$bad")
dmesg | grep -E "$bad" | head -n 20
say clocksource $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
say sleep
sleep 5
say slept
say done
"""


def large_file():
    """The file whose sum guest and host must agree on."""
    return random.Random("ring3 large file").randbytes(LARGE)


def large_sum():
    return hashlib.sha256(large_file()).hexdigest()


def build(arch="amd64", demo=False, extra=(), tag=""):
    """Path of the initramfs for arch; extra is a list of (name in the guest, bytes or None for a folder, mode), tag
    then names the file."""
    busybox = unpacked("busybox-static", arch) / "bin/busybox"
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "tmp", "root", "etc"):
        archive.folder(name)
    archive.char_device("dev/console", 5, 1)
    archive.char_device("dev/null", 1, 3, 0o666)
    archive.file("bin/busybox", busybox.read_bytes(), 0o755)
    archive.link("bin/sh", "busybox")
    archive.file("init", INIT.encode(), 0o755)
    if demo:
        archive.file("welcome", WELCOME.encode())
    else:
        archive.file("proof.sh", PROOF.encode(), 0o755)
        archive.file("large", large_file())
    for name, data, mode in extra:
        if data is None:
            archive.folder(name, mode)
        else:
            archive.file(name, data, mode)
    where = CACHE / "initramfs" / f"{'demo' if demo else 'proof'}{tag}-{arch}.cpio"
    with held("initramfs"):
        where.parent.mkdir(parents=True, exist_ok=True)
        data = archive.bytes()
        if not where.exists() or where.read_bytes() != data:
            part = where.with_suffix(".part")
            part.write_bytes(data)
            part.rename(where)
    return where
