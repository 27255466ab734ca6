# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the control socket: replies by the schema, events, pause, drives, keys, pictures, hostile clients.

The guest is tests/guest/steady.asm, which notices whatever a pause or a look would change, and then ends the machine.
"""

import json
import os
import random
import re
import socket
import statistics
import struct
import subprocess
import threading
import time
import zlib

import archive
import initramfs
from boot_options import wait_for
from cases import QUICK, TREE, Skip, case
from machine import QUIT, RESET, Failure
from qmp import Qmp, QmpError, Schema

WIDTH, HEIGHT = 64, 48
TURNS, TICKS, TSC, NMIS = 0x600, 0x604, 0x610, 0x618


def start(test, *options):
    """The machine with a CD-ROM, a disk and a floppy, and a client."""
    if test.is_reference:
        raise Skip("the reference machine has a control socket of its own")
    image = test.assemble("steady")
    for name, size in ("disk", 1 << 20), ("cd", 1 << 20), ("other", 1 << 19), ("floppy", 1440 << 10):
        (test.folder / name).write_bytes(bytes(size))
    path = test.folder / "control"
    machine = test.start("--memory", "16M", "--display", "none", "--serial", "none", "--firmware", image,
                         "--debug-exit", "--disk", test.folder / "disk", "--cdrom", test.folder / "cd",
                         "--floppy", test.folder / "floppy", "--control", f"unix:{path}", *options)
    return machine, Qmp(path), path


def word(qmp, address, size="w"):
    return int(qmp.hmp(f"xp /1x{size} {address:#x}").split()[1], 16)


def refused(qmp, command, **arguments):
    """The error that the command must end with."""
    try:
        answer = qmp(command, **arguments)
    except QmpError as error:
        return error
    raise Failure(f"{command} {arguments} was not refused: {answer}")


def finish(machine, qmp):
    """The guest is well, and ends when it is told to."""
    before = word(qmp, TURNS)
    machine.must(qmp("query-status")["status"] == "running", "it does not run")
    deadline = time.time() + 10
    while word(qmp, TURNS) == before:
        machine.must(time.time() < deadline, "the guest stands still")
    qmp("quit")
    machine.must(qmp.event("SHUTDOWN")["data"] == {"guest": False, "reason": "host-qmp-quit"}, "SHUTDOWN's data")
    machine.must_end(QUIT)


def calls(test):
    """Arguments for commands that need some, in an order that works."""
    folder = test.folder
    return {
        "qmp_capabilities": None, "quit": None, "getfd": None, "add-fd": None, "remove-fd": None, "closefd": None,
        "system_wakeup": None, "x-ring3-save": None, "x-ring3-load": None, # api_suspend.py
        "send-key": {"keys": [{"type": "qcode", "data": "shift"}, {"type": "number", "data": 30}], "hold-time": 1},
        "input-send-event": {"events": [
            {"type": "rel", "data": {"axis": "x", "value": 3}},
            {"type": "btn", "data": {"button": "left", "down": True}},
            {"type": "key", "data": {"key": {"type": "qcode", "data": "a"}, "down": True}}]},
        "screendump": {"filename": f"{folder}/shot.ppm"},
        "memsave": {"val": 0x600, "size": 64, "filename": f"{folder}/m"},
        "pmemsave": {"val": 0x600, "size": 64, "filename": f"{folder}/p"},
        "human-monitor-command": {"command-line": "info status"},
        "eject": {"device": "floppy0"}, "blockdev-open-tray": {"device": "ide1-cd0"},
        "blockdev-close-tray": {"id": "/machine/ide1-cd0"},
        "blockdev-change-medium": {"device": "ide1-cd0", "filename": f"{folder}/other"},
        "x-ring3-type": {"text": "a"}, "set-action": {"reboot": "reset", "shutdown": "poweroff"},
    }


@case("control-commands", QUICK, 2)
def commands(test):
    """Issue 17: every command answers by the schema that it is declared in, and takes only its arguments."""
    machine, qmp, _ = start(test)
    schema = Schema(qmp("query-qmp-schema"))
    declared = json.loads((TREE / "src/api/commands.json").read_text())
    names = {entry["name"] for entry in qmp("query-commands")}
    test.must(names == set(declared["commands"]) == set(schema.commands), "lists of commands differ")
    test.must({entry["name"] for entry in qmp("query-events")} == set(declared["events"]), "lists of events differ")
    given, wrong = calls(test), []
    for name in declared["commands"]:
        arguments = given.get(name, {})
        if arguments is not None:
            wrong += schema.check_return(name, qmp(name, **arguments))
        for argument in {"nonsense": 1}, {"filename": 1, "device": 1, "keys": 1, "events": 1, "val": "x"}:
            if name not in ("quit", "system_reset"):
                test.must(refused(qmp, name, **argument).kind == "GenericError" or name == "qmp_capabilities",
                          f"{name} takes {argument}")
    test.must(not wrong, "\n".join(wrong))
    for event in qmp.events:
        wrong += schema.check_event(event)
    seen = {event["event"] for event in qmp.events}
    test.must({"STOP", "RESUME", "POWERDOWN", "DEVICE_TRAY_MOVED"} <= seen, f"events seen: {seen}")
    test.must(not wrong, "\n".join(wrong))
    test.said = f"{len(names)} checks"
    qmp("cont")
    finish(machine, qmp)


@case("control-form", QUICK, 1)
def form(test):
    """Negotiation, ids, errors and their classes, messages cut anywhere: as the protocol's specification has it."""
    machine, qmp, path = start(test)
    fresh = Qmp(path, negotiate=False)
    test.must(set(fresh.greeting["QMP"]) == {"version", "capabilities"}, f"greeting {fresh.greeting}")
    error = refused(fresh, "query-status")
    test.must(error.kind == "CommandNotFound" and "qmp_capabilities" in error.desc, str(error))
    fresh("qmp_capabilities", enable=[])
    test.must(refused(fresh, "qmp_capabilities").kind == "CommandNotFound", "negotiated twice")
    test.must(refused(fresh, "no-such-command").kind == "CommandNotFound", "an unknown command's class")
    for text, part in ((b'{"foo": 1}\n', "'foo' is unexpected"), (b"[1]\n", "must be a JSON object"),
                       (b"garbage\n", "JSON parse error"), (b'{"execute": 3}\n', "must be a string"),
                       (b'{"exec-oob": "stop"}\n', "'exec-oob' is unexpected"),
                       (b'{"execute": "stop", "arguments": []}\n', "must be an object"), (b"{}\n", "lacks member")):
        fresh.raw(text)
        answer = fresh.reply()
        test.must(part in answer["error"]["desc"], f"{text}: {answer}")
    text = b'{"execute":"query-name","id":{"a":["}","\\"{"]}}' * 3
    for byte in text:
        fresh.raw(bytes([byte]))
    for _ in range(3):
        answer = fresh.reply()
        test.must(answer == {"return": {}, "id": {"a": ["}", '"{']}}, f"{answer}")
    wrong = Qmp(path, negotiate=False)
    wrong.raw(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n" + b'{"execute":"qmp_capabilities"}{"execute":"quit"}')
    wrong.reply()
    test.must(wrong.message() is None, "what a browser sends is heard to its end")
    finish(machine, qmp)


@case("control-as-qemu", QUICK, 2)
def as_qemu(test):
    """What QEMU has too is as QEMU's own schema describes it: a client made for QEMU finds all that it expects."""
    program = "/usr/bin/qemu-system-x86_64"
    if not os.path.exists(program):
        raise Skip("qemu-system-x86_64 is missing")
    path = test.folder / "qemu"
    with subprocess.Popen([program, "-M", "pc", "-m", "16", "-S", "-display", "none", "-nodefaults",
                           "-qmp", f"unix:{path},server=on,wait=off"], stdin=subprocess.DEVNULL) as qemu:
        try:
            theirs = Schema(Qmp(path)("query-qmp-schema"))
        finally:
            qemu.kill()
    machine, qmp, _ = start(test)
    ours, given, wrong = Schema(qmp("query-qmp-schema")), calls(test), []
    common = [name for name in ours.commands if name in theirs.commands]
    for name in common:
        if given.get(name, {}) is not None:
            wrong += theirs.check_return(name, qmp(name, **given.get(name, {})))
        have, need = (kind.members(kind.commands[name]["arg-type"]) for kind in (ours, theirs))
        wrong += [f"{name}: '{arg}' is no argument here" for arg, (_, optional) in need.items()
                  if arg not in have and not optional]
        wrong += [f"{name}: '{arg}' is required here only" for arg, (_, optional) in have.items()
                  if not optional and (arg not in need or need[arg][1])]
    for event in qmp.events:
        wrong += theirs.check_event(event)
    test.must(len(common) > 30, f"only {common} are QEMU's")
    test.must(not wrong, "\n".join(wrong))
    test.said = f"{len(common)} checks"
    qmp("cont")
    finish(machine, qmp)


@case("control-pause", QUICK, 4)
def pause(test):
    """A paused guest stands still, its clocks too, and goes on as if nothing had been: no interrupt lost, no time."""
    machine, qmp, _ = start(test)
    while word(qmp, TICKS) < 50:
        time.sleep(0.01)
    took = []
    for round_ in range(150):
        since = time.monotonic()
        qmp("stop")
        took.append(time.monotonic() - since)
        if round_ % 50 == 0:
            seen = [qmp.hmp("xp /8xw 0x600"), qmp("x-ring3-engine")["time-ns"]]
            time.sleep(0.05)
            test.must(seen == [qmp.hmp("xp /8xw 0x600"), qmp("x-ring3-engine")["time-ns"]], "it does not stand still")
        qmp("cont")
    # the best of many: a busy host adds its own delays, but no pause that waits for something is ever short
    test.must(min(took) < 0.01 * test.slow, f"a pause takes {min(took) * 1000:.1f} ms")

    def clocks():
        qmp("stop")
        return qmp("x-ring3-engine")["time-ns"], word(qmp, TSC, "g"), word(qmp, TICKS)

    def rates(rest):
        first = clocks()
        time.sleep(rest)
        qmp("cont")
        time.sleep(0.3)
        second = clocks()
        qmp("cont")
        passed = [after - before for before, after in zip(first, second)]
        return passed[1] / passed[0], passed[2] / passed[0] * 1e6
    tsc, ticks = rates(0)
    tsc_rested, ticks_rested = rates(0.4)
    # the guest notes its TSC when the host lets it run; a rest that is not taken off would double it and more
    test.must(abs(tsc_rested / tsc - 1) < 0.5, f"the TSC ran at {tsc} a ns, {tsc_rested} over a pause")
    # on a busy host a tick may find its predecessor unserved, but none comes more often than it should
    test.must(max(ticks, ticks_rested) < 1.02 and ticks_rested > 0.4 * ticks, f"{ticks}, {ticks_rested} ticks a ms")
    test.said = f"a pause takes {statistics.median(took) * 1000:.2f} ms, at most {max(took) * 1000:.2f}"
    finish(machine, qmp)


@case("control-life", QUICK, 3)
def life(test):
    """Reset of a paused machine leaves it paused; one begun with --paused has run nothing; an NMI arrives."""
    machine, qmp, _ = start(test, "--paused")
    test.must(qmp("query-status") == {"status": "paused", "running": False, "singlestep": False}, "not paused")
    test.must(word(qmp, TURNS) == 0 and "EIP=0000fff0" in qmp.hmp("info registers"), "it has run already")
    qmp("cont")
    while not word(qmp, TURNS):
        time.sleep(0.01)
    qmp("stop")
    qmp("system_reset")
    test.must(qmp.event("RESET")["data"] == {"guest": False, "reason": "host-qmp-system-reset"}, "RESET's data")
    time.sleep(0.1)
    test.must(qmp("query-status")["status"] == "paused", "a reset lets a paused machine go")
    test.must("EIP=0000fff0" in qmp.hmp("info registers"), "reset, it has run on")
    qmp("cont")
    qmp.event("RESUME")
    while not word(qmp, TURNS):
        time.sleep(0.01)
    qmp("inject-nmi")
    while not word(qmp, NMIS):
        time.sleep(0.01)
    qmp("set-action", reboot="shutdown")
    qmp("system_reset")
    test.must(qmp.event("SHUTDOWN")["data"] == {"guest": False, "reason": "host-qmp-system-reset"}, "SHUTDOWN's data")
    machine.must_end(RESET)


@case("control-drives", QUICK, 2)
def drives(test):
    """Media are changed as QEMU does, the wrong file changes nothing, and what a drive holds is what it says."""
    machine, qmp, _ = start(test)

    def drive(name):
        return next(entry for entry in qmp("query-block") if entry["device"] == name)
    test.must([entry["device"] for entry in qmp("query-block")] == ["ide0-hd0", "ide1-cd0", "floppy0"], "names")
    error = refused(qmp, "eject", device="ide0-hd0")
    test.must(error.desc == "Device 'ide0-hd0' is not removable", "a disk is ejected")
    test.must(refused(qmp, "eject", device="nope").kind == "DeviceNotFound", "class of an unknown device")
    test.must("exist" in refused(qmp, "blockdev-change-medium", device="ide1-cd0",
                                 filename=f"{test.folder}/missing").desc, "why it cannot be opened")
    test.must(drive("ide1-cd0")["inserted"]["image"]["virtual-size"] == 1 << 20, "a failed change changed it")
    qmp("eject", device="ide1-cd0")
    test.must("inserted" not in drive("ide1-cd0") and drive("ide1-cd0")["tray_open"], "ejected, it is still there")
    test.must(qmp.event("DEVICE_TRAY_MOVED")["data"]["tray-open"] is True, "event of the opened tray")
    qmp("blockdev-change-medium", device="ide1-cd0", filename=f"{test.folder}/other")
    test.must(qmp.event("DEVICE_TRAY_MOVED")["data"]["tray-open"] is False, "event of the closed tray")
    now = drive("ide1-cd0")
    test.must(now["inserted"]["image"]["virtual-size"] == 1 << 19 and not now["tray_open"], f"{now}")
    with open(test.folder / "cd", "rb") as file:
        answer = qmp("add-fd", fds=[file.fileno()], opaque="a CD")
    qmp("blockdev-change-medium", device="ide1-cd0", filename=f"/dev/fdset/{answer['fdset-id']}")
    test.must(drive("ide1-cd0")["inserted"]["image"]["virtual-size"] == 1 << 20, "an image by descriptor")
    test.must(qmp("query-fdsets")[0]["fds"][0]["opaque"] == "a CD", "query-fdsets")
    qmp("remove-fd", fdset_id=answer["fdset-id"])
    qmp.events.clear()
    for _ in range(2):      # the first command is told of the other disc
        qmp("send-key", keys=[{"type": "qcode", "data": "f1"}])
    data = qmp.event("DEVICE_TRAY_MOVED")["data"]
    test.must(data["tray-open"] is True and data["device"] == "ide1-cd0", f"the guest opened the tray: {data}")
    qmp("blockdev-close-tray", device="ide1-cd0")
    test.must(qmp.event("DEVICE_TRAY_MOVED")["data"]["tray-open"] is False, "the tray was closed by hand")
    for _ in range(2):
        qmp("send-key", keys=[{"type": "qcode", "data": "f2"}])
    wait_for(test, lambda: drive("ide1-cd0")["locked"], 10, "the guest did not lock its drive")
    test.must("is locked" in refused(qmp, "eject", device="ide1-cd0").desc, "a locked drive is opened")
    test.must(not drive("ide1-cd0")["tray_open"], "refused, it is open")
    qmp("eject", device="ide1-cd0", force=True)
    test.must(drive("ide1-cd0")["tray_open"], "by force it stays shut")
    test.must("SCM_RIGHTS" in refused(qmp, "getfd", fdname="x").desc, "a descriptor that did not come")
    finish(machine, qmp)


def png_rows(data):
    """(width, height, RGB bytes) of a PNG without filters; checks each chunk's sum."""
    at, packed, head = 8, b"", None
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + size]
        if zlib.crc32(kind + body) != struct.unpack_from(">I", data, at + 8 + size)[0]:
            raise Failure(f"checksum of {kind}")
        head = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else head
        packed += body if kind == b"IDAT" else b""
        at += 12 + size
    width, height = head[:2]
    raw = zlib.decompress(packed)
    lines = [raw[y * (3 * width + 1):(y + 1) * (3 * width + 1)] for y in range(height)]
    if any(line[0] for line in lines) or head[2:] != (8, 2, 0, 0, 0):
        raise Failure("another kind of PNG")
    return width, height, b"".join(line[1:] for line in lines)


@case("control-screen", QUICK, 2)
def screen(test):
    """A picture of the screen has each of its dots, as PPM and as PNG, and leads to no file but the one asked for."""
    machine, qmp, _ = start(test)
    while not word(qmp, TURNS):
        time.sleep(0.01)
    expected = b"".join(struct.pack(">I", i * 0x010305 & 0xffffff)[1:] for i in range(WIDTH * HEIGHT))
    qmp("screendump", filename=f"{test.folder}/a.ppm")
    test.must((test.folder / "a.ppm").read_bytes() == b"P6\n64 48\n255\n" + expected, "the PPM differs")
    qmp("screendump", filename=f"{test.folder}/a.png", format="png")
    test.must(png_rows((test.folder / "a.png").read_bytes()) == (WIDTH, HEIGHT, expected), "the PNG differs")
    os.mkfifo(test.folder / "pipe")
    refused(qmp, "screendump", filename=f"{test.folder}/pipe")
    refused(qmp, "screendump", filename=f"{test.folder}/no/such/folder")
    qmp("pmemsave", val=0x600, size=0x20, filename=f"{test.folder}/p")
    qmp("memsave", val=0xf0000, size=0x10000, filename=f"{test.folder}/m")
    test.must(os.path.getsize(test.folder / "p") == 0x20, "size of pmemsave's file")
    test.must((test.folder / "m").read_bytes() == (test.folder / "steady.bin").read_bytes(), "memsave's bytes")
    test.must("Parameter 'size'" in refused(qmp, "pmemsave", val=0, size=1 << 60, filename=f"{test.folder}/p").desc,
              "a file without end")
    finish(machine, qmp)


@case("control-keys", QUICK, 2)
def keys(test):
    """Keys reach the guest in the order asked for, released in reverse; text as a US keyboard types it."""
    machine, qmp, _ = start(test)
    while not word(qmp, TURNS):
        time.sleep(0.01)
    qmp("send-key", keys=[{"type": "qcode", "data": name} for name in ("ctrl", "alt", "delete")], hold_time=20)
    expected = "1d 38 e0 53 e0 d3 b8 9d"
    arrived(test, qmp, expected)
    qmp("x-ring3-type", text="aB\n")
    expected += " 1e 9e 2a 30 b0 aa 1c 9c"
    arrived(test, qmp, expected)
    qmp.hmp("sendkey pgup")
    expected += " e0 49 e0 c9"
    arrived(test, qmp, expected)
    error = refused(qmp, "send-key", keys=[{"type": "qcode", "data": "a"}, {"type": "qcode", "data": "zz"}])
    test.must("does not accept value 'zz'" in error.desc, str(error))
    refused(qmp, "input-send-event", events=[{"type": "key", "data": {"key": {"type": "qcode", "data": "a"},
                                                                      "down": True}}, {"type": "abs", "data": {}}])
    time.sleep(0.1)
    arrived(test, qmp, expected)
    finish(machine, qmp)


def arrived(test, qmp, expected):
    """The bytes that the keyboard has sent so far."""
    want, deadline = expected.split(), time.time() + 10
    while time.time() < deadline:
        dump = qmp.hmp(f"xp /{len(want) + 1}xb 0x700")
        got = [byte[2:] for line in dump.splitlines() for byte in line.split()[1:]]
        if int(got[0], 16) >= len(want):
            break
        time.sleep(0.02)
    test.must(got[1:] == want and int(got[0], 16) == len(want), f"the keyboard sent {got}, expected {want}")


@case("control-hostile", QUICK, 5)
def hostile(test):
    """No client, whatever it sends or leaves unread, ends the machine, keeps others waiting or costs much memory."""
    machine, qmp, path = start(test)
    private = machine.footprint()[0]
    silent = [Qmp(path) for _ in range(3)]
    for one in silent:      # ask for much, read nothing
        one.socket.setblocking(False)
        try:
            while True:
                one.raw(b'{"execute":"query-qmp-schema"}' * 50)
        except OSError:
            pass
    deep = Qmp(path)
    deep.raw(b"[" * 1000 + b"]" * 1000)
    test.must("nested" in deep.reply()["error"]["desc"], "depth")
    deep.raw(b"{" * 70000)
    test.must("longer" in (deep.message() or {"error": {"desc": "longer"}})["error"]["desc"], "length")
    test.must(deep.message() is None, "a message without end is heard to its end")
    for text in b"\xff" * 100, bytes(range(256)) * 20, b'{"execute":"' + b"\\u0000" * 9 + b'"}\n', b'"' * 9999:
        one = Qmp(path)
        one.raw(text)
        one.close()
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(60)]
    for one in crowd:
        one.setblocking(False)
        one.connect_ex(str(path))
    since = time.monotonic()
    for _ in range(50):
        qmp("query-status")
    test.must(time.monotonic() - since < 2 * test.slow, "others wait for the hostile")
    for one in crowd:
        one.close()
    with open("/dev/null", "rb") as null:
        for _ in range(50):
            qmp.raw(b" ", [null.fileno()] * 3)
    time.sleep(0.2)
    grown, files = machine.footprint()
    test.must(grown - private < 24 << 20, f"{grown - private} bytes more than before")
    test.must(files < 80, f"{files} files are open")
    for one in silent:
        one.close()
    flood = threading.Thread(target=flooded, args=(path,))
    flood.start()
    before = word(qmp, TICKS)
    time.sleep(0.5)
    ticks = word(qmp, TICKS) - before
    flood.join()
    test.must(ticks > 200 / test.slow, f"{ticks} ticks in half a second beside a client in a hurry")
    finish(machine, qmp)


def flooded(path):
    one = Qmp(path)
    until = time.time() + 0.6
    while time.time() < until:
        one("query-block")
    one.close()


@case("control-tools", QUICK, 3)
def tools(test):
    """ring3 ps, ctl and their like find a machine by its name, and end with a status that tells."""
    if test.is_reference:
        raise Skip("ring3's own tools")
    test.env["XDG_RUNTIME_DIR"] = str(test.folder)
    machine, qmp, _ = start(test, "--name", "one")
    while not word(qmp, TURNS):
        time.sleep(0.01)

    def good(*words):
        done = test.ring3(*words)
        test.must(done.returncode == 0, f"{words}: {done.returncode}, {done.stderr}")
        return done.stdout

    def bad(part, *words):
        done = test.ring3(*words)
        test.must(done.returncode in (1, 2) and part in done.stderr and done.stderr.count("\n") == 1,
                  f"{words}: {done.returncode}, {done.stderr}, not '{part}'")
    test.must(re.search(rf"^one +{machine.process.pid} running", good("ps"), re.M), "ps")
    test.must(oct(os.stat(test.folder / "ring3").st_mode)[-3:] == "700", "the folder is open to others")
    test.must(oct(os.stat(test.folder / "ring3/one.sock").st_mode)[-3:] == "600", "the socket is open to others")
    test.must(json.loads(good("ctl", "one", "query-name")) == {"name": "one"}, "ctl NAME")
    test.must(json.loads(good("ctl", "query-name")) == {"name": "one"}, "the only machine")
    test.must("EIP" in good("ctl", f"{test.folder}/control", "human-monitor-command",
                            "command-line=info registers"), "ctl SOCKET")
    good("pause", "one")
    test.must(json.loads(good("ctl", "query-status"))["status"] == "paused", "pause")
    good("resume", "one")
    good("screenshot", "one", f"{test.folder}/shot.png")
    test.must(png_rows((test.folder / "shot.png").read_bytes())[:2] == (WIDTH, HEIGHT), "screenshot")
    good("type", "one", "a")
    good("key", "one", "ctrl-a")
    arrived(test, qmp, "1e 9e 1d 1e 9e 9d")
    for words in ("ctl",), ("ps",), ("stop",), ("screenshot",), ("type",), ("key",), ("reset",):
        test.must("usage" in good(*words, "--help"), f"{words} --help")
    test.must("query-status" in good("ctl", "--commands").split(), "completion")
    bad("nobody", "pause", "nobody")
    bad("nosuch", "ctl", "one", "nosuch")
    bad("whole number", "ctl", "one", "memsave", "val=x", "size=1", "filename=x")
    bad("takes no", "ctl", "one", "stop", "x=1")
    bad("zz", "key", "one", "zz")
    bad("in use", "run", "--name", "one", "--memory", "16M", "--serial", "none")
    bad("loopback", "run", "--control", "tcp:10.0.0.1:5000", "--serial", "none", "--memory", "16M")
    bad("no name", "run", "--name", "../x")
    bad("--paused", "run", "--paused")
    good("stop", "one")
    machine.must_end(QUIT)
    test.must(not (test.folder / "ring3/one.sock").exists(), "its socket stays behind")
    test.must(len(good("ps").splitlines()) == 1, "ps lists it still")


def uptimes(machine, qmp):
    """By the guest's clock and by the machine's."""
    machine.line("cat /proc/uptime")
    found, _ = machine.expect(r"\r\n([\d.]+) [\d.]+\r\n", 20)
    return float(found[1]), qmp("x-ring3-engine")["time-ns"] / 1e9


@case("control-linux", QUICK, 12)
def linux(test):
    """A Linux that is paused again and again while it boots keeps its time and complains of nothing; it sleeps, is
    woken, switches itself off and waits for a reset, each with its event."""
    if test.is_reference:
        raise Skip("the reference machine has a control socket of its own")
    path, pauses = test.folder / "control", random.Random(test.seed)
    machine = test.machine("--memory", "256M", "--kernel", archive.kernel("linux-image-cloud-amd64"), "--initrd",
                           initramfs.build(demo=True), "--append", "console=ttyS0 quiet no_console_suspend",
                           "--control", f"unix:{path}")
    qmp, rested = Qmp(path), 0
    while "guest#" not in machine.text:
        qmp("stop")
        rest = pauses.random() * 0.01
        time.sleep(rest)
        rested += rest
        qmp("cont")
        time.sleep(pauses.random() * 0.01)
    machine.expect("guest#", 30)
    before = uptimes(machine, qmp)
    for _ in range(60):
        qmp("stop")
        time.sleep(0.02)
        qmp("cont")
    guest, own = (after - was for was, after in zip(before, uptimes(machine, qmp)))
    test.must(abs(guest - own) < 0.4 * test.slow, f"the guest's clock went {guest} s, its machine's {own} s")
    machine.line("dmesg | grep -ciE 'unstable|lockup|BUG:|WARNING|stall'; echo end")
    machine.expect(r"\r\n0\r\nend\r\n", 20)
    qmp.events.clear()
    machine.line("echo mem > /sys/power/state; echo back $?")
    qmp.event("SUSPEND", 30)
    test.must(qmp("query-status")["status"] == "suspended", "status of a sleeper")
    qmp("stop")
    qmp("cont")
    qmp("system_wakeup")
    qmp.event("WAKEUP")
    machine.expect(r"\r\nback 0\r\n", 30)
    qmp("set-action", shutdown="pause")
    machine.line("poweroff -f")
    test.must(qmp.event("SHUTDOWN", 30)["data"] == {"guest": True, "reason": "guest-shutdown"}, "SHUTDOWN's data")
    qmp.event("STOP")
    test.must(qmp("query-status")["status"] == "shutdown", "status of one that is off")
    test.must("required" in refused(qmp, "cont").desc, "it goes on without a reset")
    qmp("system_reset")
    qmp.event("RESET")
    qmp("cont")
    machine.expect("guest#", 60)
    qmp("quit")
    machine.must_end(QUIT)
    test.said = f"{rested:.2f} s of rest while it booted"


@case("control-console", QUICK, 4)
def console(test):
    """ring3 console attaches to the guest's serial console, leaves by Ctrl-A d, and comes again."""
    if test.is_reference:
        raise Skip("ring3's own tool")
    test.env["XDG_RUNTIME_DIR"] = str(test.folder)
    machine = test.start("--memory", "256M", "--kernel", archive.kernel("linux-image-cloud-amd64"), "--initrd",
                         initramfs.build(demo=True), "--append", "console=ttyS0 quiet", "--name", "two",
                         "--serial", "attach", "--display", "none")
    Qmp(test.folder / "ring3/two.sock").close()
    for round_ in range(2):
        attached = test.terminal("console", "two")
        if round_:
            wait_for(test, lambda one=attached: b"attached" in one.errors, 20, "it is not attached")
        else:
            attached.expect("guest#", 60)
        attached.line(f"echo round $((4{round_} + 1))")
        attached.expect(f"round 4{round_ + 1}", 60)
        attached.send("\x01d")
        attached.must_end(0)
    piped = test.ring3("console", "two")
    test.must(piped.returncode == 0, f"without input: {piped.stderr}")
    good = test.ring3("stop", "two")
    test.must(good.returncode == 0, good.stderr)
    machine.must_end(QUIT)
    test.must(not (test.folder / "ring3/two.tty").exists(), "the console's socket stays behind")
