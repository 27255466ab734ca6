# SPDX-License-Identifier: GPL-2.0-or-later
"""what: writers that are killed: what was flushed is there, and the image is sound, at whichever moment it ended."""

import random
import subprocess
import time

from cases import LONG, QUICK, case
from image_formats import DRIVE, needed, ring3, run

KINDS = ("raw", "qcow2", "qcow2 --cluster 512", "qcow2 --cluster 4K --version 2", "qcow2 --lazy-refcounts", "vmdk",
         "vdi")


def look(test, image, kind, log):
    form = kind.split()[0]
    if form != "raw" and "lazy" not in kind:
        ring3(test, "check", image, allowed=(0, 4))     # clusters may leak, no more
    run(DRIVE, "verify", image, form, log)
    if form != "qcow2":
        return
    ring3(test, "check", "--repair", image)
    run("qemu-img", "check", image)
    run(DRIVE, "verify", image, form, log)


def one_death(test, kind, rng, real):
    """A writer that ends before its n-th operation on the host's file, or is killed at some time."""
    form = kind.split()[0]
    image, log = test.folder / f"c.{form}", test.folder / "log"
    ring3(test, "create", "--format", *kind.split(), image, "8M")
    if real:
        command = [DRIVE, "writer", image, form, rng.randrange(1, 1 << 31), 100000, 0]
    else:
        command = [DRIVE, "writer", image, form, rng.randrange(1, 1 << 31), 120, rng.randrange(1, 400)]
    with open(log, "w") as file:
        writer = subprocess.Popen(list(map(str, command)), stdout=file)
        if real:
            time.sleep(rng.random() * 0.15)
            writer.kill()
        writer.wait()
    test.must(writer.returncode in (0, 9, -9), f"the writer ended with {writer.returncode}")
    look(test, image, kind, log)
    image.unlink()


@case("image-killed", QUICK, 8)
def image_killed(test):
    """Issue 16: what was flushed survives kill -9, on every writable table format; at most clusters leak."""
    needed(test)
    rng = random.Random(test.seed)
    for kind in KINDS:
        for n in range(5):
            one_death(test, kind, rng, n % 4 == 3)


@case("image-killed-long", LONG, 900)
def image_killed_long(test):
    """The same three hundred times for each kind."""
    needed(test)
    rng = random.Random(test.seed)
    for kind in KINDS:
        for n in range(300):
            one_death(test, kind, rng, n % 3 == 2)
