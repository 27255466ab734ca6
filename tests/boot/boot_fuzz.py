# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the fuzz targets of tests/fuzz, each for a few seconds; their corpora hold what was found before."""

import shutil
import subprocess

from cases import FULL, TREE, Skip, case
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
        if done.returncode:
            raise Failure(done.stdout[-3000:])
    run.__doc__ = f"No input of {target} crashes, hangs, or reaches memory that is not the guest's."
    return run


for _target in ("options", "kernel", "image", "devices", "virtio", "xlate"):
    case(f"fuzz-{_target}", suite=FULL, weight=60)(fuzz_case(_target))
