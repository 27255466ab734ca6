# SPDX-License-Identifier: GPL-2.0-or-later
"""what: guests that need another board than Linux on the host's CPU does: no APIC."""

import boot_firmware
from cases import FULL, QUICK, Skip, case


@case("no-apic", QUICK, 2)
def no_apic(test):
    """Issue 14, item 4: a CPU without APIC takes the 8259's interrupts at its INTR pin, and nothing is at FEE00000H."""
    if test.is_reference:
        raise Skip("the reference machine gives its 486 an APIC")
    image = test.assemble("no-apic")
    for cpu, status in ("486", 0x10), ("pentium", 1):
        done = test.ring3("run", "--cpu", cpu, "--memory", "16M", "--display", "none", "--serial", "none",
                          "--firmware", image, "--debug-exit", "--timeout", 20, timeout=30)
        test.must(done.returncode == status << 1 | 1, f"{cpu}: ended with {done.returncode}: {done.stderr[-500:]}")


@case("grub-floppy-486", FULL, 15)
def grub_floppy_486(test):
    """Issue 14, item 4: SeaBIOS, whose disk and timer services wait for interrupts, boots a 486 to GRUB's prompt."""
    image = boot_firmware.grub_image("grub-rescue-floppy.img")
    machine = test.screen("--cpu", "486", "--memory", "64M", "--boot", "a", "--floppy", image)
    boot_firmware.judge_grub(machine, "fd0")
