# SPDX-License-Identifier: GPL-2.0-or-later
"""what: Xen by multiboot with Debian's kernel as dom0: a kernel that runs at CPL 3, in the upper half."""

import gzip
import re

import archive
import initramfs
from cases import FULL, case
from machine import POWERED_OFF

# Xen's idle loop waits for interrupts behind STI some 1500 times a boot. When windows were tried for dom0's kernel
# there were seven million.
STEPS = 20000


@case("xen-dom0", FULL, 20)
def xen_dom0(test):
    """Issue 14, chapter 3: dom0 boots to a shell, powers the machine off, and is not stepped on the way."""
    packed = archive.unpacked("xen-hypervisor-4.17-amd64") / "boot/xen-4.17-amd64.gz"
    xen = test.folder / "xen"
    xen.write_bytes(gzip.decompress(packed.read_bytes()))
    modules = f"{archive.kernel('linux-image-amd64')} console=hvc0,{initramfs.build('amd64')}"
    more = [] if test.is_reference else ["--stats"]
    machine = test.machine("--memory", "768M", "--kernel", xen, "--initrd", modules, "--append",
                           "com1=115200,8n1 console=com1 dom0_mem=512M", *more)
    machine.expect("Xen version 4.17", 30)
    machine.expect(r"ring3: up [0-9.]+", 120)
    machine.expect("guest# ", 20)
    machine.line("poweroff -f")
    machine.must_end(POWERED_OFF, 60)
    if test.is_reference:
        return
    machine.readers[1].join(5)
    found = re.search(r"(\d+)  instructions translated and run singly", machine.errors.decode())
    machine.must(found and int(found[1]) <= STEPS, f"stepped, {STEPS} allowed: {machine.errors.decode()[-3000:]}")
