# SPDX-License-Identifier: GPL-2.0-or-later
"""what: what SeaBIOS does by its own code: GRUB from CD and floppy, memtest86+ from a disk, two floppy drives."""

import re

import archive
import disk
from cases import FULL, QUICK, case
from machine import ESCAPES, POWERED_OFF

MEMTEST_CFG = """serial --unit=0 --speed=115200
terminal_output serial console
echo "GRUB starts memtest86+"
linux /boot/memtest.bin console=ttyS0,115200
boot
"""


def grub_image(name):
    return archive.unpacked("grub-rescue-pc") / "usr/lib/grub-rescue" / name


def judge_grub(machine, drive):
    """From the menu to the prompt by keyboard, where GRUB must know the drive it came from."""
    machine.expect(r"GNU GRUB +version 2", 60)
    machine.expect(r"for a command-line", 20)
    machine.send("c")
    machine.expect(r"grub>", 20)
    machine.send("echo $root; ls\r")
    machine.expect(rf"grub> echo \$root; ls *\n *\w+ *\n.*\({drive}\)", 30)
    machine.send("hello\r")
    machine.expect(r"Hello World", 30)      # the command's module was read from the medium


@case("grub-cdrom", FULL, 15)
def grub_cdrom(test):
    """Proof 3: the CD image of grub-rescue-pc boots through El Torito to GRUB's prompt."""
    machine = test.screen("--memory", "128M", "--boot", "d", "--cdrom", grub_image("grub-rescue-cdrom.iso"))
    judge_grub(machine, "cd")


@case("grub-floppy", FULL, 15)
def grub_floppy(test):
    """Proof 3: the floppy image of grub-rescue-pc boots through the floppy controller to GRUB's prompt."""
    machine = test.screen("--memory", "128M", "--boot", "a", "--floppy", grub_image("grub-rescue-floppy.img"))
    judge_grub(machine, "fd0")


WAY_OUT = 1         # status (0 << 1) | 1 of the debug port


@case("floppies", QUICK, 15)
def floppies(test):
    """--floppy twice: SeaBIOS, CMOS and equipment byte know both drives, B is read; without a disk its reads end."""
    first, second = test.folder / "a.img", test.folder / "b.img"
    for image, sectors in ((first, test.assemble("floppies").read_bytes()), (second, bytes(512) + b": on B\0")):
        image.write_bytes(sectors.ljust(1440 << 10, b"\0"))
    for drives, told in (([first], r"equipment 2[67] CMOS 40, 07 drives 01 B ends with (?!00)\w\w\r\n"),
                         ([first, second], r"equipment 6[67] CMOS 44, 47 drives 02 B ends with 00: on B\r\n"),
                         ([first, "none"], r"equipment 6[67] CMOS 44, 47 drives 02 B ends with (?!00)\w\w\r\n")):
        options = [word for drive in drives for word in ("--floppy", drive)]
        machine = test.machine("--memory", "64M", "--boot", "a", "--debug-exit", *options)
        machine.expect(told, 30)
        machine.must_end(WAY_OUT)


def memtest_disk():
    program = archive.unpacked("memtest86+") / "boot/memtest86+x64.bin"
    return disk.small("memtest", {"memtest.bin": program}, MEMTEST_CFG)


@case("memtest86", FULL, 200)
def memtest86(test):
    """Proof 3: memtest86+, loaded by GRUB from a disk, completes a pass over 64 MiB without an error."""
    machine = test.machine("--memory", "64M", "--disk", f"{memtest_disk()},snapshot")
    machine.expect(r"GRUB starts memtest86\+", 60)
    machine.expect(r"Memtest86\+", 60)
    machine.expect(r"Pass: *1 +Errors: *\d", 600)
    said = ESCAPES.sub("", machine.text)
    counts = set(re.findall(r"Errors: *(\d+)", said))
    machine.must(counts == {"0"}, f"memtest86+ counted errors: {sorted(counts)}")
