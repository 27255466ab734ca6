# SPDX-License-Identifier: GPL-2.0-or-later
"""what: a machine is written to a file and goes on from it in another process; what does not fit is refused.

Each machine is a process of its own: the first is saved and ended, the next is started with the same options and
--load.
"""

import random
import re
import time

import archive
import initramfs
from api_control import TURNS, finish, refused, word
from boot_options import wait_for
from cases import QUICK, Skip, case
from machine import QUIT, Failure
from qmp import Qmp, QmpError

ROUNDS = 8
LINUX_ROUNDS = 3
COMPLAINTS = "unstable|lockup|BUG:|WARNING|stall|Oops|I/O error"


def steady(test, image, *options):
    """The guest that notices what it should not, and a client."""
    path = test.folder / "control"
    machine = test.start("--memory", "16M", "--display", "none", "--serial", "none", "--firmware", image,
                         "--debug-exit", "--disk", test.folder / "disk", "--cdrom", test.folder / "cd", "--floppy",
                         test.folder / "floppy", "--control", f"unix:{path}", *options)
    return machine, Qmp(path), path


def prepare(test):
    if test.is_reference:
        raise Skip("the reference machine has a control socket of its own")
    for name, size in ("disk", 1 << 20), ("cd", 1 << 20), ("floppy", 1440 << 10):
        (test.folder / name).write_bytes(bytes(size))
    return test.assemble("steady")


def leave(machine, qmp):
    qmp("quit")
    machine.must_end(QUIT)


@case("suspend-steady", QUICK, 4)
def handed_on(test):
    """Issue 19: a guest that counts ticks, exceptions and the TSC, and stops at the first that is lost, doubled or
    late, is handed on from process to process."""
    image, when, file = prepare(test), random.Random(test.seed), test.folder / "saved"
    machine, qmp, _ = steady(test, image)
    wait_for(test, lambda: word(qmp, TURNS) > 10, 10, "the guest's first turns")
    for _ in range(ROUNDS):
        time.sleep(when.random() * 0.05)
        qmp("stop")
        turns = word(qmp, TURNS)
        qmp("x-ring3-save", filename=str(file))
        leave(machine, qmp)
        machine, qmp, _ = steady(test, image, "--load", file)
        machine.must(word(qmp, TURNS) >= turns, "it did not go on from where it was")
    finish(machine, qmp)
    test.said = f"{ROUNDS} checks"


@case("suspend-refused", QUICK, 5)
def what_does_not_fit(test):
    """Issue 19: a running machine is not saved; a file of other options, of a disk that has changed, cut short, or
    damaged anywhere is refused or makes no more than another guest, and an attempt that fails leaves no file."""
    image, file = prepare(test), test.folder / "saved"
    machine, qmp, path = steady(test, image)
    wait_for(test, lambda: word(qmp, TURNS) > 10, 10, "the guest's first turns")
    test.must("paused" in refused(qmp, "x-ring3-save", filename=str(file)).desc, "a running machine was saved")
    qmp("stop")
    test.must("cannot create" in refused(qmp, "x-ring3-save", filename=str(test.folder / "no" / "x")).desc, "no folder")
    qmp("x-ring3-save", filename=str(file))
    test.must(not file.with_name("saved.part").exists(), "a part is left")
    qmp("x-ring3-load", filename=str(file))
    whole = file.read_bytes()
    damage(test, qmp, whole)
    qmp("x-ring3-load", filename=str(file))
    qmp("cont")
    finish(machine, qmp)
    base = ["run", "--display", "none", "--serial", "none", "--firmware", image, "--debug-exit", "--cdrom",
            test.folder / "cd", "--floppy", test.folder / "floppy", "--load", file, "--timeout", "5"]
    disk = ["--disk", test.folder / "disk"]
    for options, why in ((["--memory", "17M", *disk], "size of ram"), (["--memory", "16M"], "other disks|has not"),
                         (["--memory", "16M", *disk, "--cpus", "2"], "has no 'cpu1|has not"),
                         (["--memory", "16M", *disk, "--cpu", "486"], "--cpu")):
        done = test.ring3(*base, *options)
        test.must(done.returncode == 2 and re.search(why, done.stderr) and done.stderr.count("\n") <= 2,
                  f"{options}: {done.returncode}, {done.stderr}")
    (test.folder / "disk").write_bytes(bytes(1 << 20))
    done = test.ring3(*base, *disk, "--memory", "16M")
    test.must(done.returncode == 2 and "written to" in done.stderr, f"a changed disk: {done.stderr}")
    test.must(not path.exists(), "the socket is left")


def damage(test, qmp, whole):
    """Whatever the file holds, the machine answers afterwards."""
    dice, file = random.Random(test.seed), test.folder / "damaged"
    end = 1024 + int.from_bytes(whole[12:16], "little") # the header and the record
    for turn in range(60):
        data = bytearray(whole[:1 << 20])
        for _ in range(dice.choice((1, 1, 4, 40))):
            data[dice.randrange(min(len(data), end))] = dice.randrange(256)
        with open(file, "wb") as out:
            out.write(data[:dice.randrange(len(data))] if turn % 10 == 0 else data)
            if turn % 10:
                out.truncate(len(whole))
        try:
            qmp("x-ring3-load", filename=str(file))
        except QmpError as error:
            if not error.desc.startswith("cannot load"):
                raise Failure(f"turn {turn}: {error.desc}") from error
        if qmp("query-status")["status"] != "paused":
            raise Failure(f"turn {turn}: the machine is {qmp('query-status')}")


@case("suspend-linux", QUICK, 25)
def linux(test):
    """Issue 19: a Linux of two CPUs that computes and writes a disk goes on in another process, three times over: sums
    are right, the disk holds what was written, its clock follows the wall's, and it complains of nothing."""
    if test.is_reference:
        raise Skip("the reference machine has a control socket of its own")
    path, when, file = test.folder / "control", random.Random(test.seed), test.folder / "saved"
    with open(test.folder / "disk", "wb") as out:
        out.truncate(16 << 20)
    options = ["--memory", "256M", "--cpus", "2", "--kernel", archive.kernel("linux-image-amd64"), "--initrd",
               initramfs.build(demo=True), "--append", "console=ttyS0 quiet panic=-1", "--net", "user", "--disk",
               test.folder / "disk", "--control", f"unix:{path}"]
    machine = test.machine(*options)
    machine.expect("guest#", 60)
    machine.line("mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; echo ready")
    machine.expect(r"\r\nready\r\n", 20)
    machine.line("(n=0; while [ ! -e /stop ]; do n=$((n+1)); seq $n 20000 > /f; seq $n 20000 | cmp - /f || echo WRONG; "
                 "dd if=/f of=/dev/vda seek=$((n%64)) bs=128k conv=fsync 2> /dev/null; echo turn $n; done) &")
    for _ in range(LINUX_ROUNDS):
        machine.expect(r"turn (\d+)\r\n", 30)
        time.sleep(when.random())
        before = time.time()
        done = test.ring3("suspend", f"unix:{path}", file)
        test.must(done.returncode == 0, f"ring3 suspend: {done.stderr}")
        machine.must_end(QUIT)
        machine = test.machine(*options, "--load", file)
        machine.expect(r"turn (\d+)\r\n", 30)
    machine.line("touch /stop; wait; echo stopped")
    machine.expect(r"\r\nstopped\r\n", 30)
    machine.must("\nWRONG" not in machine.text, "a sum was wrong")
    machine.line("hwclock -u -s; echo now $(date +%s)")
    found, _ = machine.expect(r"\r\nnow (\d+)\r\n", 20)
    machine.must(abs(int(found[1]) - time.time()) < 3 * test.slow, f"its clock is {int(found[1]) - time.time()} s off")
    machine.line(f"dmesg | grep -ciE '{COMPLAINTS}'; echo end")
    machine.expect(r"\r\n0\r\nend\r\n", 20)
    machine.line("n=$(dd if=/dev/vda bs=128k count=1 skip=1 2> /dev/null | head -n 1); seq $n 20000 > /f; "
                 "dd if=/dev/vda bs=128k count=1 skip=1 2> /dev/null | head -c $(stat -c %s /f) | cmp - /f; echo same $?")
    machine.expect(r"\r\nsame 0\r\n", 20)
    machine.line("poweroff -f")
    machine.must_end(0)
    test.said = f"{LINUX_ROUNDS} checks, the last in {time.time() - before:.1f} s"
