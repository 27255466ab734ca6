# SPDX-License-Identifier: GPL-2.0-or-later
"""what: an installed Debian: SeaBIOS, GRUB, kernel, systemd, login, real programs, clean shutdown."""

import os
import re
import subprocess
import time
from pathlib import Path

import disk
from cases import FULL, case
from machine import POWERED_OFF, Failure

PROMPT = r"root@ring3:~# "


def log_in(machine):
    machine.expect(r"Linux version", 120)
    machine.expect(r"ring3 login:", 300)
    machine.line("root")
    machine.expect(PROMPT, 90)
    machine.line("stty cols 300; bind 'set enable-bracketed-paste off'")
    machine.expect(PROMPT)


def output(machine, command, timeout=60):
    """What command prints (marks are split so that the echo of the command line does not match)."""
    machine.line(f"echo '=BE''GIN='; {command}; echo '=E''ND='")
    machine.expect(r"=BEGIN=\r?\n")
    found, _ = machine.expect(r"(?s)(.*?)\r?\n?=END=", timeout)
    return re.sub(r"\x1b\[\?2004[hl]", "", found.group(1)).replace("\r", "")


def check_file_system(test, image):
    offset = disk.FIRST * disk.SECTOR
    done = subprocess.run(["e2fsck", "-f", "-n", f"{image}?offset={offset}"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
    test.must(done.returncode == 0, f"e2fsck finds:\n{done.stdout}")


def boot_and_shut_down(test, interface, driver):
    image = test.folder / "debian.img"
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", disk.build(), image], check=True)
    machine = test.machine("--memory", "1G", "--disk", f"{image},interface={interface}")
    log_in(machine)
    machine.must(driver in output(machine, "ls -l /sys/block/?da"), f"the disk is not {driver}'s")
    machine.must(output(machine, "systemctl is-system-running --wait", 180).strip() in ("running", "degraded"),
                 "systemd is not up")
    output(machine, "dd if=/dev/urandom of=/root/noise bs=1M count=24 && sync", 120)
    output(machine, "sha256sum < /root/noise > /root/sum", 120)
    output(machine, "echo 3 > /proc/sys/vm/drop_caches")
    machine.must("same" in output(machine, "sha256sum < /root/noise | cmp - /root/sum && echo same", 120),
                 "what was written to the disk reads back otherwise")
    errors = output(machine, "dmesg -l err,crit,alert,emerg | grep -iE 'ata[0-9]|vd[a-z]|ext4|I/O error'").strip()
    machine.must(errors == "", f"the kernel logged disk errors: {errors}")
    machine.line("systemctl poweroff")
    machine.must_end(POWERED_OFF, 120)
    check_file_system(test, image)


@case("debian-ide", FULL, 80)
def debian_ide(test):
    """Proof 3: a Debian disk with GRUB over IDE to a login prompt, and a shutdown that leaves a clean file system."""
    boot_and_shut_down(test, "ide", "ata")


@case("debian-virtio", FULL, 80)
def debian_virtio(test):
    """Proof 3: the same over virtio-blk."""
    boot_and_shut_down(test, "virtio", "virtio")


def boot_converted(test, kind, interface):
    """The disk in another format, as the backing file of an overlay, which takes what the guest writes."""
    base, top = test.folder / f"debian.{kind}", test.folder / f"top.{kind}"
    for words in (("convert", disk.build(), base), ("create", "--backing", base.name, top)):
        done = test.ring3("disk", *words, timeout=120)
        test.must(done.returncode == 0, f"ring3 disk {words[0]}: {done.stderr}")
    before = base.stat().st_mtime_ns
    machine = test.machine("--memory", "1G", "--disk", f"{top},interface={interface}")
    log_in(machine)
    output(machine, "dd if=/dev/urandom of=/root/noise bs=1M count=24 && sync && fstrim -v / || true", 120)
    output(machine, "sha256sum < /root/noise > /root/sum; sync; echo 3 > /proc/sys/vm/drop_caches", 120)
    machine.must("same" in output(machine, "sha256sum < /root/noise | cmp - /root/sum && echo same", 120),
                 "what was written to the disk reads back otherwise")
    errors = output(machine, "dmesg -l err,crit,alert,emerg | grep -iE 'ata[0-9]|vd[a-z]|ext4|I/O error'").strip()
    machine.must(errors == "", f"the kernel logged disk errors: {errors}")
    machine.line("systemctl poweroff")
    machine.must_end(POWERED_OFF, 120)
    test.must(base.stat().st_mtime_ns == before, "the backing file was written to")
    done = test.ring3("disk", "check", top)
    test.must(done.returncode == 0, f"the image is not sound after the guest: {done.stdout}")
    flat = test.folder / "flat.img"
    test.must(test.ring3("disk", "convert", top, flat, timeout=120).returncode == 0, "converting it back failed")
    check_file_system(test, flat)


@case("debian-qcow2", FULL, 60)
def debian_qcow2(test):
    """Issue 16: a qcow2 overlay over a qcow2 disk boots to its login, is written and trimmed over virtio."""
    boot_converted(test, "qcow2", "virtio")


@case("debian-vmdk", FULL, 60)
def debian_vmdk(test):
    """Issue 16: a VMDK child over its parent, the same over IDE."""
    boot_converted(test, "vmdk", "ide")


def code_cache(machine):
    """MiB of the host's memory that the code cache has."""
    maps = Path(f"/proc/{machine.process.pid}/smaps").read_text()
    return sum(int(kb) for kb in re.findall(r"memfd:ring3-code.*\n(?:\w+:.*\n)*?Pss: +(\d+) kB", maps)) / 1024


def memory_comes_back(test, machine):
    """The code cache grows while a compiler runs; an idle machine gives that back (src/xlate/grow.c)."""
    for _ in range(100):
        if code_cache(machine) < 40:
            return
        time.sleep(0.3 * test.slow)
    raise Failure(f"{code_cache(machine):.0f} MiB of code cache in an idle machine")


@case("debian-results", FULL, 120)
def debian_results(test):
    """Proof 4: openssl, gcc, perl, python3 and sqlite3 give byte for byte what they give on the host."""
    machine = test.machine("--memory", "1G", "--disk", f"{disk.build()},interface=virtio,snapshot")
    log_in(machine)
    got = output(machine, "sh /root/workload.sh 2>&1", 600).splitlines()
    busy = code_cache(machine)
    with open(disk.build().with_suffix(".expected")) as expected:
        wanted = expected.read().splitlines()
    wrong = [f"expected {want}\n    got      {have}" for want, have in zip(wanted, got) if want != have]
    test.must(not wrong, f"{len(wrong)} results differ:\n    " + "\n    ".join(wrong[:10]))
    test.must(len(got) == len(wanted), f"{len(got)} lines instead of {len(wanted)}")
    if not test.is_reference:
        test.must(busy > 40, f"{busy:.0f} MiB of code cache in a busy machine")
        memory_comes_back(test, machine)
    machine.line("systemctl poweroff")
    machine.must_end(POWERED_OFF, 120)
