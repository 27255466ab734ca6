# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the list of boot and guest tests, and what each is handed: a scratch folder, a seed, machines.

A test is a function marked @case; its first line says which promise it guards.  It fails by raising.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import Failure, Machine

TREE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TREE / "tools/guest"))

QUICK, FULL, LONG = "quick", "full", "long"
CASES = []


class Skip(Exception):
    """This host cannot run the test; the text says what is missing."""


class Case:
    def __init__(self, run, name, suite, weight):
        self.run, self.name, self.suite, self.weight = run, name, suite, weight


def case(name, suite=FULL, weight=10):
    """weight: about how many seconds it takes; heavy ones are started first."""
    def add(function):
        CASES.append(Case(function, name, suite, weight))
        return function
    return add


class Context:
    def __init__(self, name, seed, logs):
        self.name, self.seed = name, seed
        self.program = os.path.abspath(os.environ.get("RING3", TREE / "build/ring3"))
        self.is_reference = self.program.endswith("qemu-as-ring3")
        self.slow = float(os.environ.get("RING3_TEST_SLOW", "1"))
        self.logs = logs
        self.folder = Path(tempfile.mkdtemp(prefix="ring3-test-"))
        self.machines = []
        self.env = {}           # besides this process's, for all that is started
        self.said = ""          # output whose counts of checks belong in the report

    def start(self, *args, terminal=False):
        """Starts `ring3 run` with just these arguments, on pipes or in a terminal of its own."""
        log = self.logs / f"{self.name}.{len(self.machines)}.log"
        one = Machine(self.program, list(map(str, args)), log, slow=self.slow, terminal=terminal, env=self.env)
        self.machines.append(one)
        return one

    def terminal(self, verb, *args):
        """Runs another sub-command in a terminal of its own."""
        log = self.logs / f"{self.name}.{len(self.machines)}.log"
        one = Machine(self.program, list(map(str, args)), log, slow=self.slow, terminal=True, verb=verb,
                      env=self.env)
        self.machines.append(one)
        return one

    def machine(self, *args):
        """Starts ring3 with a serial console on pipes and no display."""
        return self.start(*args, "--display", "none", "--serial", "stdio")

    def screen(self, *args):
        """Starts ring3 in a terminal of its own in which the VGA text screen is drawn."""
        return self.start(*args, "--display", "text", terminal=True)

    def ring3(self, *args, timeout=60, stdin=subprocess.DEVNULL):
        """Runs ring3 to its end; returns the finished process."""
        return subprocess.run([self.program, *map(str, args)], stdin=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace", timeout=timeout * self.slow,
                              env=dict(os.environ, **self.env))

    def assemble(self, name, *defines):
        """A flat image of tests/guest/NAME.asm."""
        if not shutil.which("nasm"):
            raise Skip("nasm is missing")
        image = self.folder / f"{name}.bin"
        done = subprocess.run(["nasm", "-f", "bin", "-I", f"{TREE}/tests/guest/", *defines, "-o", image,
                               TREE / f"tests/guest/{name}.asm"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise Failure(f"{name}.asm does not assemble:\n{done.stdout}")
        return image

    def must(self, cond, why):
        if not cond:
            raise Failure(why)

    def close(self):
        for one in self.machines:
            one.close()
        shutil.rmtree(self.folder, ignore_errors=True)
