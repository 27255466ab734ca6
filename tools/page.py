# SPDX-License-Identifier: GPL-2.0-or-later
"""what: how a tool that makes a page of docs/ ends: it writes the page, or with --check looks if that is so."""

import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]


def deliver(name, lines):
    text = "\n".join(lines) + "\n"
    target = TREE / "docs" / name
    if sys.argv[1:] == ["--check"]:
        return 0 if target.exists() and target.read_text() == text else 1
    target.write_text(text)
    return 0
