# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the instruction oracle for an hour, with a seed of its own each time

The quick suite runs the same program for seconds and always on the same seed.  RING3_ORACLE_SECONDS sets how long,
ORACLE_SEED repeats a run; tests/insn/README.md says what else there is.
"""

import os
import re
import subprocess

from cases import LONG, TREE, Skip, case
from machine import Failure

SKIPPED = 77


@case("oracle", LONG, 3600)
def oracle_long(test):
    """Issue 3: every instruction as the CPU has it, in random cases for an hour, without one mismatch."""
    seconds = os.environ.get("RING3_ORACLE_SECONDS", "3600")
    log = test.logs / "oracle.log"
    with open(log, "w", encoding="utf-8") as out:
        done = subprocess.run([TREE / "build/tests/insn/oracle"], stdin=subprocess.DEVNULL, stdout=out,
                              stderr=subprocess.STDOUT, env=dict(os.environ, ORACLE_SECONDS=seconds), check=False)
    said = test.said = log.read_text(encoding="utf-8", errors="replace")
    if done.returncode == SKIPPED:
        raise Skip(said.strip())
    last = said.strip().splitlines()[-1] if said.strip() else "it said nothing"
    if done.returncode or not re.search(r": 0 mismatches, 0 crashes", last):
        raise Failure(f"{last}; see {log}")
    print(said[said.find("cases by mode"):].rstrip(), flush=True)
