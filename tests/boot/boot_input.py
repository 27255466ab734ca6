# SPDX-License-Identifier: GPL-2.0-or-later
"""what: bad input gets one clear line on standard error and status 2, and no file is changed."""

import hashlib
import os
import re

import archive
from cases import QUICK, TREE, Skip, case
from machine import BAD_INPUT


def files(folder):
    """Name, size and sum of all that lies in folder."""
    return {path.name: path.is_file() and os.access(path, os.R_OK) and hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.iterdir()}


def prepared(folder):
    """Good and bad files by name."""
    kernel = archive.kernel("linux-image-cloud-amd64").read_bytes()
    contents = {"kernel": kernel, "half": kernel[:len(kernel) // 2], "stub": kernel[:100], "text": b"no kernel\n" * 99,
                "zeros": bytes(1 << 20), "empty": b"", "odd": bytes(1000), "disk": bytes(1 << 20), "locked": bytes(512)}
    names = {name: folder / f"the-{name}" for name in [*contents, "folder", "missing"]}
    for name, data in contents.items():
        names[name].write_bytes(data)
    names["locked"].chmod(0)
    names["folder"].mkdir()
    return names


def lines(name):
    """Command lines that are wrong, and what the complaint must mention: nothing that it says anyway."""
    return [
        (["run", "--kernel", name["missing"]], "the-missing"),
        (["run", "--kernel", name["folder"]], "the-folder"),
        (["run", "--kernel", name["text"]], "the-text"),
        (["run", "--kernel", name["zeros"]], "the-zeros"),
        (["run", "--kernel", name["empty"]], "the-empty"),
        (["run", "--kernel", name["stub"]], "the-stub"),
        (["run", "--kernel", name["half"]], "the-half"),
        (["run", "--kernel", name["locked"]], "the-locked"),
        (["run", "--kernel", name["kernel"], "--initrd", name["missing"]], "the-missing"),
        (["run", "--initrd", name["disk"]], "kernel"),
        (["run", "--append", "quiet"], "kernel"),
        (["run", "--disk", name["missing"]], "the-missing"),
        (["run", "--disk", name["folder"]], "the-folder"),
        (["run", "--disk", name["empty"]], "the-empty"),
        (["run", "--disk", name["odd"]], "the-odd"),
        (["run", "--disk", name["locked"]], "the-locked"),
        (["run", "--disk", f"{name['disk']},interface=scsi"], "scsi"),
        (["run", "--disk", f"{name['disk']},format=qcow9"], "qcow9"),
        (["run", "--disk", f"{name['disk']},wrong"], "wrong"),
        (["run", "--cdrom", name["missing"]], "the-missing"),
        (["run", "--cdrom", name["empty"]], "the-empty"),
        (["run", "--floppy", name["missing"]], "the-missing"),
        (["run", "--floppy", name["odd"]], "the-odd"),
        (["run", "--floppy", name["disk"], "--floppy", name["missing"]], "the-missing"),
        (["run", "--floppy", name["disk"], "--floppy", name["disk"]], "twice"),
        (["run", "--floppy", "none", "--floppy", "none", "--floppy", name["disk"]], "drives"),
        (["run", "--firmware", name["missing"]], "the-missing"),
        (["run", "--firmware", name["odd"]], "the-odd"),
        (["run", "--memory", "0"], "memory"),
        (["run", "--memory", "900T"], "memory"),
        (["run", "--memory", "99999999999999999999G"], "memory"),
        (["run", "--memory", "12Q"], "12Q"),
        (["run", "--memory"], "memory"),
        (["run", "--memory", "-5M"], "memory"),
        (["run", "--cpu", "z80"], "z80"),
        (["run", "--boot", "xyz"], "boot"),
        (["run", "--serial", "carrier-pigeon"], "carrier-pigeon"),
        (["run", "--serial", "file:/nowhere/at/all"], "/nowhere/at/all"),
        (["run", "--console", "none"], "console"),
        (["run", "--console", "stdio", "--serial", "stdio"], "stdio"),
        (["run", "--display", "hologram"], "hologram"),
        (["run", "--debugcon", "e9"], "PORT:FILE"),
        (["run", "--debugcon", "0xe9:/nowhere/at/all"], "/nowhere/at/all"),
        (["run", "--timeout", "soon"], "soon"),
        (["run", "--timeout", "-1"], "timeout"),
        (["run", "--debug-exit=99999"], "99999"),
        (["run", "--frobnicate"], "--frobnicate"),
        (["run", "stray"], "stray"),
        (["fly"], "fly"),
    ]


@case("bad-input", QUICK, 10)
def bad_input(test):
    """Every wrong command line: status 2, one line that names what is wrong, no file changed."""
    if test.is_reference:
        raise Skip("the reference machine has its own messages")
    names = prepared(test.folder)
    before = files(test.folder)
    wrong = []
    for args, word in lines(names):
        done = test.ring3(*args, timeout=20)
        text = " ".join(os.path.basename(str(arg)) for arg in args)
        if done.returncode != BAD_INPUT:
            wrong.append(f"{text}: ended with {done.returncode} {done.stderr[-200:]}")
        elif len(done.stderr.strip().splitlines()) != 1 or done.stdout:
            wrong.append(f"{text}: not one line: {done.stderr!r} {done.stdout[:100]!r}")
        elif word not in done.stderr:
            wrong.append(f"{text}: does not mention {word}: {done.stderr.strip()}")
    test.must(not wrong, "\n    ".join(wrong))
    test.must(files(test.folder) == before, "a file was changed")


@case("help", QUICK, 1)
def help_texts(test):
    """--help and run --help teach: status 0, text on standard output, each option of the command line named."""
    if test.is_reference:
        raise Skip("the reference machine has its own help")
    for args in (["--help"], ["run", "--help"], ["doctor"]):
        done = test.ring3(*args, timeout=60)
        test.must(done.returncode == 0 and len(done.stdout) > 100, f"{args} says {done.stdout[:200]!r}")
    text = test.ring3("run", "--help").stdout
    explained = set(re.findall(r"^  --([a-z-]+)[^a-z-]", text, re.M))
    options = set(re.findall(r'^OPTION\("([a-z-]+)"', (TREE / "src/cli/options.def").read_text(), re.M))
    test.must(len(options) > 20 and options == explained, f"run --help, wrongly: {sorted(options ^ explained)}")
    table = set(re.findall(r"`--([a-z-]+)", (TREE / "README.md").read_text()))
    test.must(options - {"mode"} <= table, f"the README does not tell of {sorted(options - table)}")
