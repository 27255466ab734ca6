# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the fuzz targets of tests/fuzz, each for a few seconds; their corpora hold what was found before.

Guests out of random numbers (tests/guestfuzz) have a CPU-hour for each mode in the long suite, with a seed of its own
each time; RING3_GUESTFUZZ_CPU sets the seconds.
"""

import os
import shutil
import subprocess

from cases import FULL, LONG, TREE, Skip, case
from machine import Failure


def fuzz_case(target):
    def run(test):
        if not shutil.which("clang"):
            raise Skip("clang is missing")
        if test.is_reference:
            raise Skip("tests ring3's insides")
        build = TREE / "build/test-logs/fuzz"
        done = subprocess.run([TREE / "tests/fuzz/run", "--seconds", "5", "--build", build, target],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=600 * test.slow)
        test.said = done.stdout
        (test.logs / f"{test.name}.log").write_text(done.stdout)
        if done.returncode or "Done " not in done.stdout or "Done 0 runs" in done.stdout:
            raise Failure(done.stdout[-3000:])
    run.__doc__ = f"No input of {target} crashes, hangs, or reaches memory that is not the guest's."
    return run


def guest_case(mode):
    def run(test):
        env = dict(os.environ, GUESTFUZZ_MODE=mode, GUESTFUZZ_CPU=os.environ.get("RING3_GUESTFUZZ_CPU", "3600"))
        done = subprocess.run([TREE / "build/tests/guestfuzz/guestfuzz"], stdin=subprocess.DEVNULL, env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              check=False)
        test.said = done.stdout
        (test.logs / f"{test.name}.log").write_text(done.stdout)
        if done.returncode:
            raise Failure(done.stdout[-3000:])
    run.__doc__ = f"Issue 14: no guest in mode {mode}, whatever it does, ends ring3 or keeps it from stopping."
    return run


for _mode in ("real", "unreal", "prot16", "prot32", "paged32", "pae32", "long64", "compat32", "compat16", "v86",
              "user16", "user32", "userpae", "user64", "usercompat"):
    case(f"guest-fuzz-{_mode}", suite=LONG, weight=3600)(guest_case(_mode))
for _target in ("ahci", "options", "kernel", "image", "devices", "virtio", "net", "wire", "qmp", "state", "xlate",
                "qcow2", "vdi", "vhd", "vhdx", "vmdk"):
    case(f"fuzz-{_target}", suite=FULL, weight=60)(fuzz_case(_target))
