#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""what: writes docs/instructions.md, the table of instruction facts as a page, out of src/xlate/policy.def."""

import re
import sys
from collections import defaultdict

from page import TREE, deliver

TABLE = TREE / "src/xlate/policy.def"
ROW = re.compile(r'INSN\((\w+), (\w+), (\w+), "(.*?)", ([^,]*), ([^,]*), ([^,]*), ([^,]*), ([^,]*), ([^,]*)\)$')
COPY = re.compile(r'COPY\((\w+), "(.*?)", ([^,]*)\)$')
HEAD = """<!-- written by tools/instructions.py; do not edit -->
# Instructions

What the translator knows of each instruction, from `src/xlate/policy.def`, whose head says what the columns mean;
the facts are those of `src/xlate/facts.h`. An instruction that is not here is #UD. Which of them a guest has goes
by its CPU model (`src/xlate/isa.def`). `tests/insn/facts.c` holds the table against the decoder library on every
encoding, the oracle (`oracle.md`) against the CPU. Used by: the classes of `decode.c`; what is dead of the flags
(`block.c`); which values stay in scratch registers, and which biases of windows (`homed.c`, `windowed.c`); guest
registers used where they lie (`copy.c`); which bytes may differ in instructions of one shape (`shape.c`); x87
pointers (`x87.c`); the flags that the oracle does not compare.

Class `COPY` is an instruction that the host's CPU carries out, `HELPER` one that C does; others have a lowering of
their own. Operands: r read, w written, m both, "." neither a general register nor memory, a word for each number of
operands.
"""


def cell(text):
    if text == "0":
        return ""
    text = text.replace(" | ", " ")
    return text.replace("F_", "").lower() if "F_" in text else text


def parse(line):
    """Section title, or the cells of a row, or nothing."""
    if line.startswith("// --- "):
        return line[7:]
    if found := ROW.match(line):
        name, cls, helper, operands, *rest = found.groups()
        how = f"{cls} {helper}" if cls == "HELPER" else cls
        return [name, how, operands] + [cell(text) for text in rest]
    if found := COPY.match(line):
        name, operands, facts = found.groups()
        return [name, "COPY", operands, "", "", "", "", "", cell(facts)]
    if line and not line.startswith("//"):
        sys.exit(f"{TABLE}: what is this: {line}")
    return None


def table(rows):
    yield "\n| instruction | class | operands | uses | changes | tests | sets | undefined | facts |"
    yield "|" + "---|" * 9
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def plain(rows):
    """Copies without flags: those that have operands and facts alike on a line."""
    alike = defaultdict(list)
    for row in rows:
        alike[row[2], row[8]].append(row[0])
    if alike:
        yield "\nCopied, of general registers their operands alone, no flags:\n"
    for (operands, facts), names in sorted(alike.items()):
        what = f"`{operands}`" if operands else "no operand of either kind"
        yield f"- {what}{', ' + facts if facts else ''}: {' '.join(names)}"


def main():
    lines, title, rows = [HEAD.rstrip()], None, []

    def flush():
        if not title:
            return
        copies = [row for row in rows if row[1] == "COPY" and not any(row[3:8])]
        others = [row for row in rows if row not in copies]
        lines.append(f"\n## {title[0].upper() + title[1:]}")
        lines.extend(table(others) if others else [])
        lines.extend(plain(copies))

    for line in TABLE.read_text().splitlines():
        found = parse(line)
        if isinstance(found, str):
            flush()
            title, rows = found, []
        elif found:
            rows.append(found)
    flush()
    return deliver("instructions.md", lines)


if __name__ == "__main__":
    sys.exit(main())
