# SPDX-License-Identifier: GPL-2.0-or-later
"""what: images of every format, made and written here and judged by QEMU, and the other way round."""

import json
import random
import shutil
import subprocess
from pathlib import Path

from cases import LONG, QUICK, TREE, Skip, case
from machine import Failure

DRIVE = TREE / "build/tests/image/image-drive"
QEMU = {"vhd": "vpc"}           # QEMU's names where they are others
MADE_HERE = ("raw", "qcow2", "qcow2 --version 2", "qcow2 --cluster 512", "qcow2 --cluster 2M",
             "qcow2 --refcount-bits 1", "qcow2 --refcount-bits 64", "qcow2 --lazy-refcounts", "vdi",
             "vdi --subformat fixed", "vhd", "vhd --subformat fixed", "vmdk", "vmdk --subformat monolithicFlat",
             "vmdk --subformat twoGbMaxExtentSparse", "vmdk --subformat twoGbMaxExtentFlat")
MADE_THERE = ("raw", "qcow2", "qcow2 -o compat=0.10", "qcow2 -o cluster_size=512", "qcow2 -o cluster_size=2M",
              "qcow2 -o refcount_bits=1", "qcow2 -o refcount_bits=64", "qcow2 -o extended_l2=on",
              "qcow2 -o lazy_refcounts=on", "vmdk", "vmdk -o subformat=monolithicFlat",
              "vmdk -o subformat=twoGbMaxExtentSparse", "vmdk -o subformat=twoGbMaxExtentFlat",
              "vmdk -o zeroed_grain=on", "vdi", "vdi -o static=on", "vpc", "vpc -o subformat=fixed",
              "vpc -o force_size=on", "vhdx", "vhdx -o subformat=fixed", "vhdx -o block_size=1M")
PACKED_HERE = ("qcow2 --compress", "qcow2 --compress --compression zstd", "qcow2 --compress --cluster 512",
               "vmdk --subformat streamOptimized")
PACKED_THERE = ("qcow2 -c", "qcow2 -c -o compression_type=zstd", "qcow2 -c -o extended_l2=on",
                "vmdk -o subformat=streamOptimized")


def needed(test):
    if test.is_reference:
        raise Skip("tests ring3's own images")
    if not shutil.which("qemu-img") or not shutil.which("qemu-io"):
        raise Skip("qemu-img is missing (package qemu-utils)")


def run(*command, allowed=(0,)):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", timeout=300)
    if done.returncode not in allowed:
        raise Failure(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def ring3(test, *words, allowed=(0,)):
    return run(test.program, "disk", *words, allowed=allowed)


def judge(test, image, kind, model):
    """Both programs find image sound, and equal to model, a raw file."""
    run("qemu-img", "compare", "-f", "raw", "-F", QEMU.get(kind, kind), model, image)
    ring3(test, "compare", "--format-a", "raw", "--format-b", "vhd" if kind == "vpc" else kind, model, image)
    if kind in ("qcow2", "vmdk", "vdi", "vhdx"):
        run("qemu-img", "check", "-f", kind, image)
    if kind in ("qcow2", "vmdk", "vdi"):
        ring3(test, "check", image)


def qemu_writes(test, image, kind, model, size, rng, count):
    """qemu-io writes, zeroes and discards at random, in image and model."""
    script, same = [], []
    for _ in range(count):
        length = rng.choice((512, 4096, 65536, 200704))
        at = rng.randrange(0, (size - length) // 512) * 512
        if rng.random() < 0.75:
            line = f"write -P {rng.randrange(1, 256)} {at} {length}"
        else:
            line = f"write -z{rng.choice(('', ' -u'))} {at} {length}"
        script.append(line)
        same.append(line.replace(" -u", ""))
    for path, form, lines in ((image, kind, script), (model, "raw", same)):
        command = ["qemu-io", "-f", form, path]
        for line in lines:
            command += ["-c", line]
        said = run(*command)
        if "failed" in said:
            raise Failure(said[-1000:])


def made_here(test, kinds, size, ops):
    needed(test)
    rng = random.Random(test.seed)
    for number, kind in enumerate(kinds):
        form = kind.split()[0]
        image, model = test.folder / f"{number}.{form}", test.folder / "model"
        ring3(test, "create", "--format", *kind.split(), image, size)
        run(DRIVE, "random", image, form, model, rng.randrange(1, 1 << 31), ops, rng.choice((1, 3)))
        judge(test, image, form, model)
        qemu_writes(test, image, QEMU.get(form, form), model, size, rng, 20)
        judge(test, image, form, model)
        run(DRIVE, "random", image, form, model, rng.randrange(1, 1 << 31), ops // 4, 1)
        judge(test, image, form, model)
        for path in test.folder.glob("*"):
            path.unlink()
    test.said = f"{len(kinds)} kinds of image, {ops} requests each"


def made_there(test, kinds, size, ops):
    needed(test)
    rng = random.Random(test.seed)
    for number, kind in enumerate(kinds):
        form, *options = kind.split()
        here = "vhd" if form == "vpc" else form
        image, model = test.folder / f"{number}.{form}", test.folder / "model"
        run("qemu-img", "create", "-f", form, *options, image, size)
        with open(model, "wb") as file:
            file.truncate(json.loads(run("qemu-img", "info", "-f", form, "--output=json", image))["virtual-size"])
        qemu_writes(test, image, form, model, size, rng, 12)
        ring3(test, "compare", "--format-a", "raw", "--format-b", here, model, image)
        if form != "vhdx" and "extended_l2=on" not in kind:
            run(DRIVE, "random", image, here, model, rng.randrange(1, 1 << 31), ops, 2)
            judge(test, image, form, model)
        for path in test.folder.glob("*"):
            path.unlink()
    test.said = f"{len(kinds)} kinds of image"


def packed(test, size):
    """Compressed images, both ways."""
    needed(test)
    rng = random.Random(test.seed)
    model = test.folder / "model.img"
    with open(model, "wb") as file:
        file.truncate(size)
        for _ in range(40):
            file.seek(rng.randrange(0, size - 70000) // 512 * 512)
            file.write(rng.randbytes(3000) + bytes(66000))
    for kind in PACKED_HERE:
        form = kind.split()[0]
        image = test.folder / f"packed.{form}"
        ring3(test, "convert", "--to", *kind.split(), model, image)
        judge(test, image, form, model)
        image.unlink()
    for kind in PACKED_THERE:
        form, *options = kind.split()
        image = test.folder / f"packed.{form}"
        run("qemu-img", "convert", "-O", form, *options, model, image)
        ring3(test, "compare", "--format-a", "raw", model, image)
        image.unlink()


@case("image-made-here", QUICK, 10)
def image_made_here(test):
    """Issue 16: images made and randomly written here pass qemu-img check and compare; QEMU's writes read right."""
    made_here(test, MADE_HERE, 12 << 20, 250)


@case("image-made-there", QUICK, 12)
def image_made_there(test):
    """Issue 16: images made and written by QEMU, in every format and layout, read right here."""
    made_there(test, MADE_THERE, 12 << 20, 100)


@case("image-packed", QUICK, 4)
def image_packed(test):
    """Issue 16: zlib and zstd clusters and streamOptimized grains, written and read, both ways."""
    packed(test, 16 << 20)


@case("image-long", LONG, 600)
def image_long(test):
    """The same at length: a larger disk, thousands of requests, several threads."""
    for _ in range(5):
        made_here(test, MADE_HERE, 300 << 20, 20000)
        made_there(test, MADE_THERE, 300 << 20, 5000)
        packed(test, 200 << 20)


@case("image-chain", QUICK, 5)
def image_chain(test):
    """Issue 16: overlays over raw, qcow2 and VMDK, committed and rebased, hold what they should, for QEMU too."""
    needed(test)
    rng = random.Random(test.seed)
    for base_kind, kind in (("raw", "qcow2"), ("qcow2", "qcow2"), ("vmdk", "vmdk")):
        base, top, model, other = (test.folder / name for name in ("base", "top", "model", "other"))
        ring3(test, "create", "--format", base_kind, base, 16 << 20)
        run(DRIVE, "random", base, base_kind, model, rng.randrange(1, 1 << 31), 200, 1)
        ring3(test, "convert", "--to", base_kind, "--from", base_kind, base, other)
        ring3(test, "create", "--format", kind, "--backing", "base", "--backing-format", base_kind, top)
        judge(test, top, kind, model)
        shutil.copy(model, test.folder / "below")
        run(DRIVE, "random", top, kind, model, rng.randrange(1, 1 << 31), 100, 1)
        judge(test, top, kind, model)
        said = ring3(test, "info", "--json", top)
        test.must(json.loads(said)["backing-filename"] == "base", f"info does not name the backing file: {said}")
        qemu_writes(test, top, kind, model, 16 << 20, rng, 20)
        judge(test, top, kind, model)
        if kind == "qcow2":
            ring3(test, "rebase", "--backing", "other", "--backing-format", base_kind, top)
            judge(test, top, kind, model)
            ring3(test, "commit", top)
            judge(test, top, kind, model)
            judge(test, other, base_kind, model)
            ring3(test, "rebase", "--backing", "none", top)
            other.unlink()
            judge(test, top, kind, model)
        else:
            run(DRIVE, "random", base, base_kind, test.folder / "below", 1, 20, 1)
            said = ring3(test, "map", top, allowed=(2,))
            test.must("content ID" in said, f"a changed parent is not noticed: {said}")
        for path in test.folder.glob("*"):
            path.unlink()


@case("image-snapshots", QUICK, 4)
def image_snapshots(test):
    """Issue 16: internal snapshots made here are QEMU's to apply, and the other way round; nothing leaks."""
    needed(test)
    rng = random.Random(test.seed)
    for options in ((), ("--cluster", "4K"), ("--version", "2")):
        image, models = test.folder / "s.qcow2", {}
        ring3(test, "create", *options, image, 8 << 20)
        for name in ("one", "two", "three"):
            now = test.folder / "now"
            ring3(test, "convert", "--to", "raw", image, now)
            run("qemu-io", "-f", "qcow2", image, "-c", f"write -P {rng.randrange(1, 255)} {rng.randrange(90) << 16} 1M")
            now.unlink()
            model = test.folder / name
            ring3(test, "convert", "--to", "raw", image, model)
            models[name] = model
            if name == "two":
                run("qemu-img", "snapshot", "-c", name, image)
            else:
                ring3(test, "snapshot", "create", image, name)
            run("qemu-img", "check", image)
        listed = [s["name"] for s in json.loads(ring3(test, "snapshot", "list", "--json", image))]
        test.must(listed == ["one", "two", "three"], f"the list is {listed}")
        for name in ("two", "one", "three"):
            if rng.random() < 0.5:
                ring3(test, "snapshot", "apply", image, name)
            else:
                run("qemu-img", "snapshot", "-a", name, image)
            judge(test, image, "qcow2", models[name])
            run("qemu-io", "-f", "qcow2", image, "-c", f"write -P 7 {rng.randrange(90) << 16} 2M")
        ring3(test, "snapshot", "delete", image, "two")
        run("qemu-img", "check", image)
        run("qemu-img", "snapshot", "-d", "one", image)
        ring3(test, "snapshot", "delete", image, "three")
        test.must("no errors" in ring3(test, "check", image), "the image is not sound at the end")
        for path in test.folder.glob("*"):
            path.unlink()


@case("image-resize", QUICK, 3)
def image_resize(test):
    """Issue 16: images grow and shrink; what shows behind the old end is zeros, and the tables stay sound."""
    needed(test)
    for options in ((), ("--cluster", "512"), ("--refcount-bits", "1")):
        image = test.folder / "r.qcow2"
        ring3(test, "create", "--format", "qcow2", *options, image, "1000K")
        run(DRIVE, "random", image, "qcow2", test.folder / "model", test.seed.split("-")[0], 50, 1)
        ring3(test, "resize", image, "+90M")
        with open(test.folder / "model", "r+b") as file:
            file.truncate((1000 << 10) + (90 << 20))
        judge(test, image, "qcow2", test.folder / "model")
        said = ring3(test, "resize", image, "500K", allowed=(2,))
        test.must("--shrink" in said, f"shrinking is not warned about: {said}")
        ring3(test, "resize", "--shrink", image, "500K")
        with open(test.folder / "model", "r+b") as file:
            file.truncate(500 << 10)
        judge(test, image, "qcow2", test.folder / "model")
        for path in test.folder.glob("*"):
            path.unlink()


@case("image-command-line", QUICK, 2)
def image_command_line(test):
    """Issue 16: `ring3 disk` says in one line what is wrong, and ends with the status of docs/disks.md."""
    needed(test)
    disk, raw = test.folder / "d.qcow2", test.folder / "d.img"
    for words, status, says in (
            ((), 2, "a command is missing"), (("creat",), 2, "unknown command"),
            (("create", disk), 2, "a size is missing"),
            (("create", disk, "10"), 2, "multiple of 512"), (("create", disk, "1X"), 2, "unit"),
            (("create", disk, "10M", "x"), 2, "too many"),
            (("create", "--cluster", "3K", disk, "10M"), 2, "power of two"),
            (("create", "--format", "vhdx", disk, "10M"), 2, "not made"),
            (("create", "--backing", "nothing", disk), 2, "does not exist"),
            (("create", "--version", "2", "--compression", "zstd", disk, "1M"), 2, "version 2"),
            (("info", disk), 2, "does not exist"), (("create", disk, "10M"), 0, ""), (("create", raw, "10M"), 0, ""),
            (("create", disk, "10M"), 2, "exists"), (("convert", disk, raw), 2, "exists"),
            (("compare", disk, raw), 0, "same"),
            (("check", raw), 2, "no tables to check"), (("commit", disk), 2, "no backing file"),
            (("snapshot", "apply", disk, "x"), 2, "no snapshot"), (("resize", raw, "1M"), 2, "--shrink"),
            (("info", "--format", "vmdk", disk), 2, "no VMDK image"),
            (("map", "--nonsense", disk), 2, "unknown option"),
            (("check", disk), 0, "no errors")):
        done = test.ring3("disk", *words)
        said = done.stdout + done.stderr
        test.must(done.returncode == status and says in said,
                  f"{words}: ended with {done.returncode}, not {status}, and said: {said}")
        test.must(status == 0 or said.count("\n") == 1, f"{words}: more than one line: {said}")
    run("qemu-io", "-f", "raw", raw, "-c", "write -P 1 5M 512")
    said = ring3(test, "compare", disk, raw, allowed=(3,))
    test.must("5242880" in said, f"the first difference is elsewhere: {said}")
    with open(disk, "r+b") as file:                         # the L1 table has no refcount any more
        file.seek(2 << 16)
        file.write(bytes(8))
    ring3(test, "check", disk, allowed=(3,))
    test.must("mended" in ring3(test, "check", "--repair", disk), "it is not mended")
    ring3(test, "check", disk)
    run("qemu-img", "check", disk)
    for words in (("info", disk), ("map", disk), ("check", disk), ("snapshot", "list", disk)):
        json.loads(ring3(test, *words, "--json"))
