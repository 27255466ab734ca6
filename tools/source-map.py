#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""what: writes docs/source-map.md, one line for each source file, out of the `what:` lines of the files themselves."""

import re
import sys

from page import TREE, deliver

KINDS = {".c", ".h", ".S", ".def", ".asl", ".py", ".sh"}
ROOMS = "base state cpu mem mmu insn xlate vcpu block ui net dev board api cli".split()


def what(path):
    """The first sentence behind `what:`, joined over its lines."""
    text = "\n".join(path.read_text(errors="replace").splitlines()[:12])
    found = re.search(r"what: (.*?)(?:\n\s*(?:\*|#|;)?\s*\n|\*/|\"\"\"|\n(?!\s*[*#;\w ]))", text + "\n\n", re.S)
    if not found:
        return "?"
    return re.sub(r"\s*\n\s*(?:\*|#|;)?\s*", " ", found[1]).strip()


def section(folder, title):
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in KINDS and "__pycache__" not in path.parts]
    if not files:
        return
    yield f"\n## {title}\n"
    for path in files:
        yield f"- `{path.relative_to(TREE)}`: {what(path)}"


def main():
    lines = ["<!-- written by tools/source-map.py; do not edit -->", "# Source map",
             "\nRooms from the bottom up; a room includes only rooms above it in this list (tools/layers.txt)."]
    for room in ROOMS:
        lines += section(TREE / "src" / room, f"src/{room}")
    for folder in ("tests/boot", "tools", "bench"):
        lines += section(TREE / folder, folder)
    return deliver("source-map.md", lines)


if __name__ == "__main__":
    sys.exit(main())
