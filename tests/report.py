# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the outcome of a run of the suite as a table by area: what was checked, what failed, what was skipped and why.

A test is what the suite's last line counts.  The checks inside it are what the test itself printed: assertions of a
guest, cases of the oracle, inputs of a fuzz target, files held to the house rules; a test that prints no number is one.
"""

import re

AREAS = ["instructions", "privileged semantics", "processor", "devices", "virtual machine", "firmware and boots",
         "user interface", "fuzzing", "house rules"]
# How a test's name tells its area, and what the part is called; the first that fits.
BY_NAME = [(re.compile(pattern), area, part) for pattern, area, part in (
    (r"(?:insn-)?oracle", "instructions", "oracle"),
    (r"unit-insn-(.*)", "instructions", r"\1"),
    (r"guest-fuzz.*", "fuzzing", "guests"),
    (r"guest-(.*)-(?:32|64)(?:-windows)?", "privileged semantics", r"\1"),
    (r"unit-(?:cpu|mmu)-(.*)", "processor", r"\1"),
    (r"(?:unit-dev|device)-(.*)", "devices", r"\1"),
    (r"unit-(mem|block|board|state)\b.*", "virtual machine", r"\1"),
    (r"unit-(ui|cli|base)\b.*", "user interface", r"\1"),
    (r"fuzz-(.*)", "fuzzing", r"\1"),
    (r"(style|check-.*)", "house rules", r"\1"))]
# The rest are guests on the whole machine: by the file in tests/boot that holds them.
BY_FILE = {"boot_smp": ("firmware and boots", "several CPUs"), "api_control": ("user interface", "control socket"),
           "image_formats": ("devices", "disk images"), "image_crash": ("devices", "disk images"),
           "boot_testdev": ("devices", "testdev"), "boot_faults": ("privileged semantics", "triple faults, garbage"),
           "boot_oracle": ("instructions", "oracle, an hour"),
           "boot_options": ("user interface", "command line"), "boot_input": ("user interface", "bad input")}
# What a test prints about itself: checks, then (where it says so) how many of them failed.
PRINTED = [re.compile(pattern, re.M) for pattern in (
    r"^(\d+) checks, (\d+) failed",                                   # tests/guest/priv
    r"^(\d+) cases, \d+ instructions: (\d+) mismatches",              # tests/insn
    r"Done (\d+) runs in",                                            # tests/fuzz, libFuzzer's words
    r"^\d+ cases, (\d+) lives: (\d+) failures",                      # tests/guestfuzz
    r"^(\d+) (?:files|objects) checked, (\d+) breaches")]             # tools/check-*.py


def place_of(name, module=""):
    """Area and part of a test."""
    if module in BY_FILE:
        return BY_FILE[module]
    for pattern, area, part in BY_NAME:
        found = pattern.fullmatch(name.split("/")[0])
        if found:
            return area, found.expand(part)
    return "firmware and boots", module.removeprefix("boot_") or name


def checks_in(text):
    """Checks and failed checks that the output of a test tells of, or None."""
    for pattern in PRINTED:
        found = pattern.findall(text or "")
        if found:
            pairs = [pair if isinstance(pair, tuple) else (pair, 0) for pair in found]
            return sum(int(pair[0]) for pair in pairs), sum(int(pair[1]) for pair in pairs)
    return None


class Results:
    """What has been run; prints a line for each test as it ends."""

    def __init__(self):
        self.rows = []          # area, part, outcome, tests, checks, failed checks
        self.failures = []
        self.skips = []

    def count(self, outcome, name, tests=1, output=None, module=""):
        """Adds tests without a line of their own; their checks are what the output tells."""
        checks, bad = checks_in(output) or (0 if outcome == "skipped" else tests, tests if outcome == "failed" else 0)
        self.rows.append((*place_of(name, module), outcome, tests, checks, bad))

    def skip(self, name, why):
        self.skips.append((name, why))

    def add(self, outcome, name, seconds=None, why="", detail="", output=None, module=""):
        self.count(outcome, name, output=output, module=module)
        word = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[outcome]
        time_text = f" ({seconds:.1f} s{detail})" if seconds is not None else ""
        print(f"{word} {name}{time_text}" + (f": {why}" if why else ""), flush=True)
        if outcome == "failed":
            self.failures.append(name)
        if outcome == "skipped":
            self.skip(name, why)

    def total(self, outcome):
        return sum(row[3] for row in self.rows if row[2] == outcome)

    def close(self):
        if self.failures:
            print("failed: " + ", ".join(self.failures))
        counts = {outcome: self.total(outcome) for outcome in ("passed", "failed", "skipped")}
        print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()), flush=True)
        return 0 if counts["passed"] and not counts["failed"] else 1

    def line(self, label, rows):
        passed, failed, skipped = (sum(row[3] for row in rows if row[2] == outcome)
                                   for outcome in ("passed", "failed", "skipped"))
        checks, bad = sum(row[4] for row in rows), sum(row[5] for row in rows)
        return (f"{label:<32}{passed + failed + skipped:>7}{passed:>8}{failed:>8}{skipped:>9}"
                f"{checks:>14,}{bad:>8}")

    def table(self):
        """The whole run as text."""
        head = f"{'area':<32}{'tests':>7}{'passed':>8}{'failed':>8}{'skipped':>9}{'checks':>14}{'failed':>8}"
        lines = [head, "-" * len(head)]
        for area in AREAS:
            rows = [row for row in self.rows if row[0] == area]
            if not rows:
                continue
            lines.append(self.line(area, rows))
            for part in sorted({row[1] for row in rows}):
                lines.append(self.line("  " + part, [row for row in rows if row[1] == part]))
        lines += ["-" * len(head), self.line("all", self.rows), ""]
        lines += [f"skipped  {name}: {why}" for name, why in self.skips]
        lines += [f"failed   {name}" for name in self.failures]
        return "\n".join(lines).rstrip() + "\n"
