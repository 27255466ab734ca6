# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the privileged-semantics guests of tests/guest/priv: each counts its own checks and must fail none."""

import re
import shutil
import subprocess

from cases import FULL, QUICK, TREE, Skip, case
from machine import Failure

FOLDER = TREE / "tests/guest/priv"
FLAGS = """-std=gnu17 -O1 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie -no-pie -nostdlib -static -mno-red-zone
-mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none
-Wl,--build-id=none -Wl,-N -Wl,--no-warn-rwx-segments -Wl,-z,noexecstack -T guest.ld""".split()
WAY_OUT = 1         # status (0 << 1) | 1 of the debug port
# Name, widths.
GUESTS = [("exceptions", (32, 64)), ("smc", (32, 64)), ("debug", (32, 64)), ("paging", (32, 64)), ("segments", (32,)),
          ("tasks", (32,)), ("vm86", (32,)), ("real", (32,)),
          ("vector", (32, 64)), ("atomics", (32, 64)), ("gates", (32,)), ("modes", (32,)),
          ("msr", (32, 64)), ("pcid", (32, 64)), ("fenv", (32,)), ("code16", (32,)), ("boundary", (32, 64)),
          ("sys", (64,)), ("fpu", (32, 64)), ("ferr", (32, 64)), ("faults", (32, 64)), ("hot", (32, 64)),
          ("wake", (32, 64)), ("kick", (32, 64)), ("window", (32, 64)), ("grow", (32, 64)), ("bias", (64,)),
          ("flags", (32, 64)), ("kept", (32, 64)), ("over", (32, 64)), ("outer", (32, 64))]

# Those that run much at CPL 3: also with user memory in windows from the start.
USER = ("exceptions", "smc", "debug", "paging", "atomics", "pcid", "fpu", "vector", "boundary", "faults", "window",
        "bias", "over", "outer")

# Loads that once were stepped for ever (issue 14): the most steps they may take, the memory they need.
CLIFFS = (32, 64)
CLIFF_STEPS, CLIFF_MEMORY = 4000, "192M"

# The same on CPUs that have less than the host's, and on the other vendor's: name, width, model.
MODELS = [("msr", 64, "core2"), ("msr", 32, "pentium3"), ("msr", 64, "opteron"), ("msr", 64, "x86-64-v3"),
          ("sys", 64, "opteron"), ("sys", 64, "x86-64-v3"), ("vector", 64, "x86-64-v3"),
          ("boundary", 64, "opteron"), ("boundary", 64, "x86-64-v3")]
NO_X2APIC = ("core2", "pentium3", "opteron")


def build(test, name, bits):
    """A flat multiboot image of NAME.c with the harness."""
    for tool in ("gcc", "objcopy"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is missing")
    elf, image = test.folder / f"{name}.elf", test.folder / f"{name}.bin"
    for command in (["gcc", f"-m{bits}", *FLAGS, "-o", elf, "start.S", "lib.c", f"{name}.c"],
                    ["objcopy", "-O", "binary", elf, image]):
        done = subprocess.run(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Failure(f"{name} for {bits} bits does not build:\n{done.stdout}")
    return image


def differences(case_name):
    """The checks that are known to fail on the reference machine; raises Skip where it does not live to its end."""
    texts = set()
    for line in (FOLDER / "reference.txt").read_text().splitlines():
        found = re.match(rf"{case_name}([:!]) (.*)", line)
        if found and found[1] == "!":
            raise Skip(found[2])
        if found:
            texts.add(found[2])
    return texts


def compare(test, name, said):
    """On the reference machine: what fails must be listed, what is listed must fail."""
    failed, listed = set(re.findall(r"^FAILED [^\[]*\[(.*?)\] ", said, re.M)), differences(name)
    new, gone = sorted(failed - listed), sorted(listed - failed)
    test.must(not new and not gone, f"not in reference.txt: {new}; in it, but passed: {gone}")


def guest(name, bits, model=None, mode=None, memory="64M", steps=None):
    def run(test):
        if test.is_reference and (model or mode):
            raise Skip("models and modes are ring3's")
        if test.is_reference:
            differences(f"{name}-{bits}")
        done = test.ring3("run", "--memory", memory, "--display", "none", "--serial", "stdio", "--debug-exit",
                          "--no-reboot", "--timeout", 50, *([] if test.is_reference else ["--stats"]),
                          *(["--cpu", model] if model else []), *(["--mode", mode] if mode else []), "--kernel",
                          build(test, name, bits), timeout=60)
        (test.logs / f"{test.name}.log").write_text(done.stdout + done.stderr)
        test.said = done.stdout.replace("\r", "")
        found = re.search(r"(\d+) checks, (\d+) failed", done.stdout)
        test.must(found, f"ended with {done.returncode} before its last line: {(done.stdout + done.stderr)[-2000:]}")
        if test.is_reference:
            compare(test, f"{name}-{bits}", test.said)
            return
        test.must(name != "msr" or ("no x2APIC" in test.said) == (model in NO_X2APIC), f"x2APIC of {model or 'host'}")
        astray = re.search(r"(\d+).*no bias leads to", done.stderr)
        test.must(astray and astray[1] == "0", f"accesses of translated code went astray: {done.stderr[-3000:]}")
        stepped = re.search(r"(\d+)  instructions translated and run singly", done.stderr)
        test.must(steps is None or int(stepped[1]) <= steps, f"single steps, {steps} allowed: {done.stderr[-3000:]}")
        test.must(int(found[1]) > 0 and found[2] == "0" and done.returncode == WAY_OUT, done.stdout[-3000:])
    run.__doc__ = (f"Issue 3, item 2: {name} in {bits}-bit mode on {model or 'this'} CPU behaves as the manual says, "
                   f"mode {mode or 'as set'}.")
    return run


for guest_name, widths in GUESTS:
    for width in widths:
        case(f"guest-{guest_name}-{width}", QUICK, 3)(guest(guest_name, width))
        if guest_name in USER:
            case(f"guest-{guest_name}-{width}-windows", QUICK, 3)(guest(guest_name, width, mode="windows"))
for width in CLIFFS:
    for way in (None, "windows"):
        case(f"guest-cliffs-{width}" + (f"-{way}" if way else ""), FULL if way else QUICK, 3)(
            guest("cliffs", width, mode=way, memory=CLIFF_MEMORY, steps=CLIFF_STEPS))
for guest_name, width, cpu in MODELS:
    case(f"guest-{guest_name}-{width}-{cpu}", QUICK, 3)(guest(guest_name, width, cpu))
