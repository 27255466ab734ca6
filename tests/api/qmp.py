# SPDX-License-Identifier: GPL-2.0-or-later
"""what: a client of the QEMU Machine Protocol for tests, and the check of a reply against an introspected schema."""

import array
import json
import socket
import time

from machine import Failure


class QmpError(Exception):
    """The server's error reply."""

    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.kind, self.desc = error["class"], error["desc"]


class Qmp:
    """One connection. Events are kept in order of arrival."""

    def __init__(self, path, timeout=20, negotiate=True):
        deadline = time.time() + timeout
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            try:
                self.socket.connect(str(path))
                break
            except OSError:
                self.socket.close()
                if time.time() > deadline:
                    raise
                time.sleep(0.02)
        self.buffer, self.events = b"", []
        self.greeting = self.message()
        if negotiate:
            self("qmp_capabilities")

    def close(self):
        self.socket.close()

    def raw(self, data, fds=()):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], ancillary)

    def message(self):
        """The next message, None at the end."""
        while b"\n" not in self.buffer:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:     # it was closed before all that was sent was read
                data = b""
            if not data:
                return None
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def reply(self):
        while True:
            message = self.message()
            if message is None:
                raise Failure("the control socket was closed instead of an answer")
            if "event" not in message:
                return message
            self.events.append(message)

    def __call__(self, command, fds=(), **arguments):
        arguments = {name.replace("_", "-"): value for name, value in arguments.items()}
        request = {"execute": command, "id": f"{command}-{len(self.events)}"}
        if arguments:
            request["arguments"] = arguments
        self.raw(json.dumps(request).encode() + b"\n", fds)
        message = self.reply()
        if message.get("id") != request["id"]:
            raise Failure(f"the answer to {request} has another id: {message}")
        if "error" in message:
            raise QmpError(message["error"])
        return message["return"]

    def hmp(self, line):
        return self("human-monitor-command", command_line=line)

    def event(self, name, timeout=20):
        """Waits for an event of that name, behind those returned before; the ones in between are dropped."""
        deadline = time.time() + timeout
        while time.time() < deadline:
            while self.events:
                found = self.events.pop(0)
                if found["event"] == name:
                    return found
            message = self.message()
            if message is None:
                break
            self.events.append(message)
        raise Failure(f"no event {name}")


class Schema:
    """What query-qmp-schema answered, QEMU's or ring3's."""

    def __init__(self, entries):
        self.types = {entry["name"]: entry for entry in entries if entry["meta-type"] not in ("command", "event")}
        self.commands = {entry["name"]: entry for entry in entries if entry["meta-type"] == "command"}
        self.events = {entry["name"]: entry for entry in entries if entry["meta-type"] == "event"}

    def members(self, name):
        """name: (type, is it optional) of a type's members."""
        return {member["name"]: (member["type"], "default" in member) for member in self.types[name]["members"]}

    def check(self, name, value, where, extra=False):
        """Complaints about a value of that type. extra: members that the type does not have are fine."""
        kind = self.types[name]
        if kind["meta-type"] == "builtin":
            yield from check_builtin(kind["json-type"], value, where)
        elif kind["meta-type"] == "enum":
            if value not in (kind.get("values") or [member["name"] for member in kind["members"]]):
                yield f"{where}: '{value}' is no value of {name}"
        elif kind["meta-type"] == "array":
            for at, element in enumerate(value if isinstance(value, list) else []):
                yield from self.check(kind["element-type"], element, f"{where}[{at}]", extra)
            if not isinstance(value, list):
                yield f"{where}: {value!r} is no list"
        elif kind["meta-type"] == "alternate":
            found = [list(self.check(member["type"], value, where, extra)) for member in kind["members"]]
            yield from () if any(not complaints for complaints in found) else found[0]
        else:
            yield from self.check_object(kind, value, where, extra)

    def check_object(self, kind, value, where, extra):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no object"
            return
        members = self.members(kind["name"])
        for variant in kind.get("variants", ()):
            if variant["case"] == value.get(kind["tag"]):
                members.update(self.members(variant["type"]))
        for member, (of, optional) in members.items():
            if member in value:
                yield from self.check(of, value[member], f"{where}.{member}", extra)
            elif not optional:
                yield f"{where}: '{member}' is missing"
        if not extra:
            yield from (f"{where}: there should be no '{member}'" for member in value if member not in members)

    def check_return(self, command, value, extra=False):
        return list(self.check(self.commands[command]["ret-type"], value, command, extra))

    def check_event(self, event, extra=False):
        name = event["event"]
        complaints = list(self.check(self.events[name]["arg-type"], event.get("data", {}), name, extra))
        stamp = event["timestamp"]
        if set(stamp) != {"seconds", "microseconds"} or abs(stamp["seconds"] - time.time()) > 3600:
            complaints.append(f"{name}: timestamp {stamp}")
        return complaints


def check_builtin(kind, value, where):
    kinds = {"string": str, "int": int, "number": (int, float), "boolean": bool, "null": type(None), "value": object}
    if not isinstance(value, kinds[kind]) or (kind in ("int", "number") and isinstance(value, bool)):
        yield f"{where}: {value!r} is no {kind}"
