# SPDX-License-Identifier: GPL-2.0-or-later
"""what: guests that go wrong: a triple fault resets, garbage never takes the process down."""

import random
import re
import struct
import sys

from cases import FULL, QUICK, case
from machine import BAD_INPUT, HOST, POWERED_OFF, RESET, STUCK, TIMEOUT, TRIPLE_FAULT

DEBUG_EXIT_1, DEBUG_EXIT_5 = 3, 11
GARBAGE_RUNS = 6
STORM_RUNS, MODULE_SIZE = 4, 2 << 20
# What vcpu_dump() tells: where the guest was, and all sixteen registers.
STATE = re.compile(r"RIP=[0-9a-f]{4}:([0-9a-f]{16}) RFL=[0-9a-f]{8,16} CPL=[0-3].*\n"
                   r"(?:R\w\w?[ ]?=[0-9a-f]{16}[ \n]){16}CR0=[0-9a-f]{8}")
LOADED_AT, INT3 = 0x100000, b"\xcc"


@case("triple-fault-resets", QUICK, 5)
def triple_fault_resets(test):
    """Proof 5: a triple fault resets the machine, and CMOS survives it."""
    machine = test.machine("--memory", "64M", "--debug-exit", "--kernel", test.assemble("triple-fault"))
    for _ in range(3):
        machine.expect("ring3: faulting", 30)
    machine.expect("ring3: resets counted", 30)
    machine.must_end(DEBUG_EXIT_5)


@case("triple-fault-no-reboot", QUICK, 5)
def triple_fault_no_reboot(test):
    """Proof 5: with --no-reboot a triple fault ends ring3 with its documented status and the guest's state."""
    image = test.assemble("triple-fault")
    machine = test.machine("--memory", "64M", "--no-reboot", "--kernel", image)
    machine.expect("ring3: faulting", 30)
    machine.must_end(TRIPLE_FAULT)
    if test.is_reference:
        return
    found = STATE.search(machine.errors.decode())
    machine.must(found, "the guest's state is not reported")
    machine.must(image.read_bytes()[int(found[1], 16) - LOADED_AT:][:1] == INT3, f"RIP is not the INT3's: {found[1]}")
    machine.must(re.search(r"RSP=0{10}200000\b", found[0]), f"RSP is not the guest's: {found[0]}")


@case("reset-reloads-code", QUICK, 5)
def reset_reloads_code(test):
    """Code that a reset has loaded anew runs as it was loaded, whatever was translated before."""
    machine = test.machine("--memory", "64M", "--debug-exit", "--kernel", test.assemble("reload"))
    machine.must_end(DEBUG_EXIT_1)


def multiboot_garbage(rng, folder):
    """A multiboot image whose entry is random bytes, in protected mode without any interrupt table."""
    base, magic, flags = 0x100000, 0x1BADB002, 0x10000
    head = struct.pack("<8I", magic, flags, -(magic + flags) & 0xFFFFFFFF, base, base, 0, 0, base + 32)
    image = folder / "garbage.bin"
    image.write_bytes(head + rng.randbytes(65536))
    return ["--kernel", image]


def boot_sector_garbage(rng, folder):
    """A floppy whose boot sector, and all else, is random bytes: real mode, the BIOS's own interrupt table."""
    image = folder / "garbage.img"
    data = bytearray(rng.randbytes(1440 * 1024))
    data[510:512] = b"\x55\xaa"
    image.write_bytes(data)
    return ["--floppy", image, "--boot", "a"]


@case("garbage", QUICK, 40)
def garbage(test):
    """Proof 5: random bytes as a guest end in a report of the guest's state, never in a crash of ring3."""
    rng = random.Random(test.seed)
    for number in range(GARBAGE_RUNS):
        make = multiboot_garbage if number % 2 else boot_sector_garbage
        source = make(rng, test.folder)
        done = test.ring3("run", "--memory", "64M", "--display", "none", "--serial", "none", "--no-reboot",
                          "--timeout", 5, "--verbose", *source, timeout=60)
        what = f"{make.__name__} {number} of seed {test.seed} ended with {done.returncode}"
        test.must(done.returncode >= 0, f"{what}, killed by a signal: {done.stderr[-1000:]}")
        test.must(done.returncode not in (HOST, BAD_INPUT), f"{what}: {done.stderr[-1000:]}")
        if done.returncode in (TRIPLE_FAULT, TIMEOUT, STUCK):
            test.must(test.is_reference or STATE.search(done.stderr), f"{what}, no state: {done.stderr[-1000:]}")
        else:
            test.must(done.returncode in (0, RESET), what)


def module(rng):
    """Bytes that run further than noise does: pieces of real code with a byte changed here and there, and noise."""
    with open(sys.executable, "rb") as program:
        code = program.read()
    data = bytearray()
    while len(data) < MODULE_SIZE:
        at = rng.randrange(len(code) // 4, len(code) // 2)
        piece = bytearray(code[at:at + rng.randrange(8, 300)])
        for _ in range(len(piece) // 16):
            piece[rng.randrange(len(piece))] = rng.randrange(256)
        data += piece + rng.randbytes(rng.randrange(64))
    return data


@case("garbage-storm", FULL, 40)
def garbage_storm(test):
    """Proof 5: a kernel that runs from one random place of its memory into the next never takes the process down."""
    rng = random.Random(test.seed)
    guest, image = test.assemble("storm"), test.folder / "module.bin"
    for number in range(STORM_RUNS):
        image.write_bytes(module(rng))
        done = test.ring3("run", "--memory", "64M", "--display", "none", "--serial", "stdio", "--timeout", 8,
                          "--kernel", guest, "--initrd", image, timeout=60)
        what = f"storm {number} of seed {test.seed} ended with {done.returncode}: {done.stderr[-1000:]}"
        test.must("storm" in done.stdout, what)
        test.must(done.returncode in (TIMEOUT, STUCK, POWERED_OFF), what)
