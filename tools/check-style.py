#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the house rules that a machine can check: layers, headers alone, head lines, lengths, unique names.

Prints one line per breach and their count, and ends with 1 if there is one.  tools/long.txt lists files and functions
that may be longer, and names that may be used twice, each with its reason.  Lines end at column 120 (a tab counts as
4), but for addresses, .def tables, and lines that are one string: a message stays whole, so that it can be searched.
"""

import concurrent.futures
import os
import re
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
SRC = TREE / "src"
FILE_LINES, FUNCTION_LINES = 800, 80
COLUMNS = 120
SPDX = "SPDX-License-Identifier: GPL-2.0-or-later"
CODE = {".c", ".h", ".S", ".def"}
OWN_FOLDERS = ("src", "tests", "tools", "bench", ".ci")


def listed(name):
    """Lines of a list in tools/, without comments."""
    lines = (TREE / "tools" / name).read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def allowed_rooms():
    return {room: set(rest.split()) | {room} for room, rest in (line.split(":") for line in listed("layers.txt"))}


def room_of(path):
    return path.relative_to(SRC).parts[0]


def check_layers(path, text, allowed):
    room = room_of(path)
    if room not in allowed:
        yield f"room {room} is not in tools/layers.txt"
        return
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not found:
            continue
        other = found[1].split("/")[0]
        if "/" not in found[1] or other not in allowed:
            if not (path.parent / found[1]).exists() and "/" in found[1]:
                yield f"line {number}: \"{found[1]}\" is not in a known room"
        elif other not in allowed[room]:
            yield f"line {number}: {room} may not include {other} (tools/layers.txt)"
        elif found[1].endswith("_int.h") and other != room:
            yield f"line {number}: {found[1]} is private to {other}"


def check_head(path, text):
    lines = text.splitlines()
    lines = lines[1:] if lines and lines[0].startswith("#!") else lines
    if not lines or SPDX not in lines[0]:
        yield "the first line is not the SPDX line"
    if not any("what: " in line for line in lines[1:4]):
        yield "no 'what: one sentence' beneath the SPDX line"


def may_be_long(line):
    """An address, or one string literal with what ends it."""
    return "http" in line or re.fullmatch(r'\s*"([^"\\]|\\.)*"[,;)]*', line)


def check_lengths(path, text, long_names):
    lines = text.splitlines()
    name = str(path.relative_to(TREE))
    if len(lines) > FILE_LINES and name not in long_names:
        yield f"{len(lines)} lines, {FILE_LINES} are the most"
    for number, line in enumerate(lines, 1):
        if len(line.expandtabs(4)) > COLUMNS and not may_be_long(line) and path.suffix != ".def":
            yield f"line {number}: {len(line.expandtabs(4))} columns"
        if line != line.rstrip():
            yield f"line {number}: space at the end"
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{" and path.suffix in (".c", ".h"):
            start = number
        elif line.startswith("}") and start:
            function = re.search(r"(\w+)\(", " ".join(lines[max(0, start - 4):start - 1]).rsplit(";", 1)[-1])
            what = f"{name}:{function[1] if function else '?'}"
            length = number - start - 1
            if length > FUNCTION_LINES and what not in long_names:
                yield f"line {start}: {what.split(':')[1]} has {length} lines, {FUNCTION_LINES} are the most"
            start = None


def check_names(paths, long_names):
    """Base names are unique; a .c and its .h may share one."""
    seen = {}
    for path in paths:
        if path.name in seen and f"name:{path.name}" not in long_names:
            yield f"{path.relative_to(TREE)}: {seen[path.name].relative_to(TREE)} has the same name"
        seen[path.name] = path


def check_header_alone(path):
    done = subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra",
                           "-Wno-unused-parameter", "-I", SRC, "-x", "c", path],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        error = next((line for line in done.stdout.splitlines() if "error" in line), done.stdout[:200])
        yield f"does not compile alone: {error.replace(str(TREE) + '/', '')}"


def own_files():
    """Files of the tree that are ours to check: known to git where there is one, else all."""
    for folder in OWN_FOLDERS:
        for path in sorted((TREE / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def is_script(path):
    if path.suffix in (".py", ".sh"):
        return True
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def judged_files():
    """Our files that have rules: sources, and scripts."""
    for path in own_files():
        if path.suffix in CODE | {".asm", ".inc", ".asl"} or is_script(path):
            yield path


def breaches():
    allowed = allowed_rooms()
    long_names = {line.split()[0] for line in listed("long.txt")}
    code = []
    for path in judged_files():
        in_source = path.is_relative_to(SRC) and path.suffix in CODE
        text = path.read_text(errors="replace")
        checks = [check_head(path, text), check_lengths(path, text, long_names)]
        if in_source:
            code.append(path)
            checks.append(check_layers(path, text, allowed))
        for check in checks:
            for breach in check:
                yield f"{path.relative_to(TREE)}: {breach}"
    yield from check_names(code, long_names)
    for tool in ("source-map.py", "instructions.py", "control-schema.py"):
        if subprocess.run([TREE / "tools" / tool, "--check"]).returncode:
            yield f"tools/{tool}: its page in docs/ is out of date; run it"
    headers = [path for path in code if path.suffix == ".h"]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, found in zip(headers, pool.map(lambda path: list(check_header_alone(path)), headers)):
            for breach in found:
                yield f"{path.relative_to(TREE)}: {breach}"


def main():
    found = list(breaches())
    for breach in found:
        print(breach)
    print(f"{len(list(judged_files()))} files checked, {len(found)} breaches")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
