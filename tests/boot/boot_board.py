# SPDX-License-Identifier: GPL-2.0-or-later
"""what: guests that need another board than Linux on the host's CPU does: no APIC, UEFI firmware, an MP table, memory
below 1 MiB, resets that are none, sleep."""

import re
import shutil
from pathlib import Path

import archive
import boot_firmware
import disk
import initramfs
from boot_guests import build
from boot_options import HVC_INIT, wait_for
from cases import FULL, QUICK, Skip, case
from machine import POWERED_OFF


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
    image = shutil.copy(boot_firmware.grub_image("grub-rescue-floppy.img"), test.folder)  # another test writes to it
    machine = test.screen("--cpu", "486", "--memory", "64M", "--boot", "a", "--floppy", image)
    boot_firmware.judge_grub(machine, "fd0")


def ovmf(test, name, *options):
    """Starts OVMF's shell, and has it switch the machine off: what it says goes through drivers of its own."""
    # QEMU's -bios takes multiples of 64 KiB only
    firmware = Path("/usr/share/ovmf/OVMF.fd") if test.is_reference else Path("/usr/share/OVMF", name)
    if not firmware.exists():
        raise Skip("the package ovmf is missing")
    machine = test.machine("--firmware", firmware, *options)
    machine.expect(r"UEFI Interactive Shell", 60)
    machine.send("\x1b")
    machine.expect(r"Shell> ", 30)
    machine.line("ver -s")
    machine.expect(r"\d+\.\d+", 20)
    machine.line("memmap")
    found, _ = machine.expect(r"Total Memory: +([\d,]+) MB", 30)
    machine.line("reset -s")
    machine.must_end(POWERED_OFF, 30)
    return int(found[1].replace(",", ""))


@case("ovmf", FULL, 20)
def ovmf_default(test):
    """Issue 14, item 4: OVMF with the default CPU gets to its shell (its 32-bit part mapped 48 bits for minutes)."""
    test.must(900 <= ovmf(test, "OVMF_CODE_4M.fd") <= 1024, "its memory map lacks memory")


@case("ovmf-3g", FULL, 20)
def ovmf_3g(test):
    """Issue 14, item 4: OVMF with 3 GiB of RAM, of which little is left to the PCI window below 4 GiB."""
    test.must(2900 <= ovmf(test, "OVMF_CODE_4M.fd", "--memory", "3G") <= 3072, "its memory map lacks memory")


@case("ovmf-wide", FULL, 20)
def ovmf_wide(test):
    """Issue 14, item 4: phys-bits= reaches CPUID and the page walks: OVMF maps what it is told there is."""
    if test.is_reference:
        raise Skip("the reference machine has another option for that")
    test.must(4900 <= ovmf(test, "OVMF_CODE.fd", "--cpu", "host,phys-bits=44", "--memory", "5G") <= 5120,
              "its memory map lacks memory")


@case("phys-bits", QUICK, 6)
def phys_bits(test):
    """Issue 14, item 4: MTRRs and the APIC's base take as many address bits as phys-bits= puts into CPUID, no more."""
    if test.is_reference:
        raise Skip("the reference machine has another option for that")
    image = build(test, "msr", 64)
    for bits in 36, 52:
        done = test.ring3("run", "--cpu", f"host,phys-bits={bits}", "--memory", "64M", "--display", "none", "--serial",
                          "stdio", "--debug-exit", "--timeout", 50, "--kernel", image, timeout=60)
        test.must(" 0 failed" in done.stdout and done.returncode == 1, f"{bits}: {done.stdout[-2000:]}{done.stderr}")


@case("multiboot-low", QUICK, 3)
def multiboot_low(test):
    """Issue 14, item 4: multiboot images below 1 MiB start; their start information is where they leave room."""
    if test.is_reference:
        raise Skip("the reference machine writes over such images")
    module = test.folder / "module"
    module.write_text("module\n")
    for base, end in (0x7C00, 0x20000), (0x10000, 0x30000), (0x1000, 0x9FC00), (0x3000, 0x9F000), (0x1000, 0x80000):
        image = test.assemble("low", f"-DBASE={base}", f"-DEND={end}")
        done = test.ring3("run", "--memory", "16M", "--display", "none", "--serial", "none", "--kernel", image,
                          "--initrd", module, "--append", "text", "--debug-exit", "--timeout", 20, timeout=30)
        test.must(done.returncode == 0x21, f"{base:x} to {end:x}: check {done.returncode >> 1} failed: {done.stderr}")


@case("mp-table", QUICK, 2)
def mp_table(test):
    """Issue 14, item 4: without firmware there is an MP table too, and none for a CPU without APIC."""
    if test.is_reference:
        raise Skip("the reference machine makes it by firmware, for all its CPUs")
    image = test.assemble("mptable")
    for cpu, status in ("host", 0x11), ("pentium3", 0x11), ("486", 0x10):
        done = test.ring3("run", "--cpu", cpu, "--memory", "16M", "--display", "none", "--serial", "none", "--kernel",
                          image, "--debug-exit", "--timeout", 20, timeout=30)
        test.must(done.returncode == status << 1 | 1, f"{cpu}: ended with {done.returncode}: {done.stderr[-500:]}")


@case("mp-table-linux", FULL, 10)
def mp_table_linux(test):
    """Issue 14, item 4: Linux without ACPI finds the IO-APIC by the MP table, and PCI interrupts reach it there."""
    names = re.search(r"in (.*); do", HVC_INIT)[1].split()
    extra = [(path.name, path.read_bytes(), 0o644) for path in archive.modules("linux-image-amd64", names)]
    image = initramfs.build(demo=True, extra=[*extra, ("hvc", HVC_INIT.encode(), 0o755)], tag="-mp")
    machine = test.start("--memory", "256M", "--kernel", archive.kernel("linux-image-amd64"), "--initrd", image,
                         "--append", "console=hvc0 quiet rdinit=/hvc acpi=off pci=nomsi", "--display", "none",
                         "--console", "stdio")
    machine.expect(r"guest# ", 60)
    machine.line("dmesg | grep -c 'MultiProcessor Specification v1.4'; cat /proc/interrupts")
    machine.expect(r"\n1\r\n", 20)
    machine.expect(r" 1: +[1-9]\d* +IO-APIC +1-edge +i8042", 20)   # no timer: Linux may do without the PIT
    machine.expect(r"IO-APIC +1[01]-(fasteoi|level) +virtio", 20)


@case("warm-reset", QUICK, 3)
def warm_reset(test):
    """Issue 14, item 4: with CMOS shutdown code 0AH or 05H each way to reset the CPU goes on at 40:67, all else as it
    was, by SeaBIOS and without firmware; with code 0 the whole machine is reset."""
    if test.is_reference:
        raise Skip("the reference machine always resets the whole machine")
    for start, define in ("--floppy", "-DFLOPPY"), ("--kernel", "-DMULTIBOOT"):
        done = test.ring3("run", "--memory", "16M", "--display", "none", "--serial", "none", start,
                          test.assemble("warm", define), "--debug-exit", "--timeout", 20, timeout=30)
        test.must(done.returncode == 0x21, f"{start}: ended with {done.returncode >> 1:#x}: {done.stderr[-500:]}")


SLEEP_CFG = """serial --unit=0 --speed=115200
terminal_output serial console
linux /boot/vmlinuz console=ttyS0 quiet no_console_suspend
initrd /boot/initrd
boot
"""


def sleep_and_wake(machine):
    """`mem` and back by the clock's alarm: memory, time and devices are as before, and the kernel has no complaint."""
    machine.expect(r"guest# ", 120)
    machine.line("seq 200000 | md5sum > /tmp/before; cat /sys/power/mem_sleep")
    machine.expect(r"\[deep\]", 20)
    _, asleep = machine.expect(r"guest# ", 20)
    machine.line("date +%s; echo +5 > /sys/class/rtc/rtc0/wakealarm; echo mem > /sys/power/state; echo back $?")
    machine.expect(r"\r\nback 0\r\n", 60)
    machine.must(b"the guest sleeps" in machine.errors and b"the guest wakes up" in machine.errors, "it did not sleep")
    machine.line("seq 200000 | md5sum | cmp - /tmp/before && echo kept")
    _, awake = machine.expect(r"\nkept\r\n", 20)
    machine.must(awake - asleep > 4, "woken before the alarm")
    machine.line("date +now=%s")
    found, came = machine.expect(r"now=(\d+)", 20)
    machine.must(abs(int(found[1]) + 0.5 - came) < 3, f"the guest's date is {found[1]}, the host's {came:.0f}")
    machine.line("sleep 1; dmesg | grep -cE 'BUG:|WARNING|nobody cared|failed to (resume|suspend)'; echo end")
    found, _ = machine.expect(r"\n(\d+)\r\nend", 20)
    machine.must(found[1] == "0", f"the kernel complained {found[1]} times")


@case("sleep", QUICK, 15)
def sleep(test):
    """Issue 14, item 4: ACPI S3 without firmware: Linux suspends to RAM; the clock's alarm wakes it, then the power
    button."""
    if test.is_reference:
        raise Skip("the reference machine needs its firmware for that")
    machine = test.machine("--memory", "256M", "--verbose", "--kernel", archive.kernel("linux-image-cloud-amd64"),
                           "--initrd", initramfs.build(demo=True), "--append", "console=ttyS0 quiet no_console_suspend")
    sleep_and_wake(machine)
    machine.line("echo mem > /sys/power/state; echo again $?")
    wait_for(test, lambda: machine.errors.count(b"the guest sleeps") == 2, 30, "it did not sleep again")
    machine.send("\x01p")
    machine.expect(r"\r\nagain 0\r\n", 60)
    machine.line("poweroff -f")
    machine.must_end(POWERED_OFF)


@case("sleep-firmware", FULL, 25)
def sleep_firmware(test):
    """Issue 14, item 4: ACPI S3 with SeaBIOS, which finds the waking vector itself."""
    if test.is_reference:
        raise Skip("the reference machine does not tell")
    files = {"vmlinuz": archive.kernel("linux-image-amd64"), "initrd": initramfs.build(demo=True)}
    image = disk.small("sleep", files, SLEEP_CFG)
    machine = test.machine("--memory", "256M", "--verbose", "--disk", f"{image},snapshot")
    sleep_and_wake(machine)
    machine.line("poweroff -f")
    machine.must_end(POWERED_OFF)


@case("sleep-key", FULL, 12)
def sleep_key(test):
    """Issue 14, item 4: a key wakes a machine that sleeps, whose screen shows what it showed."""
    if test.is_reference:
        raise Skip("the reference machine does not tell")
    machine = test.screen("--memory", "256M", "--verbose", "--kernel", archive.kernel("linux-image-amd64"), "--initrd",
                          initramfs.build(demo=True), "--append", "console=tty0 quiet")
    machine.expect(r"guest#", 60)
    machine.line("echo mem > /sys/power/state; echo back $?")
    wait_for(test, lambda: b"the guest sleeps" in machine.errors, 30, "it did not sleep")
    machine.send("a")
    machine.expect(r"stock Debian kernel(.|\n)*\nback 0", 30)
