#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""what: from src/api/commands.json, the one schema of the control socket: its C tables, and docs/control-commands.md.

  tools/control-schema.py [--check]         writes the page
  tools/control-schema.py SCHEMA KEYS OUT   writes the tables: for the build
"""

import json
import re
import sys
from pathlib import Path

from page import TREE, deliver

BUILTIN = {"str": "string", "int": "int", "number": "number", "bool": "boolean", "any": "value", "null": "null"}
KINDS = {"str": "API_STR", "int": "API_INT", "number": "API_NUMBER", "bool": "API_BOOL", "any": "API_ANY"}


def load(schema, keys):
    """The schema, with the names of keys filled in."""
    data = json.loads(Path(schema).read_text())
    names = re.findall(r'\bKEY\("(\w+)",', Path(keys).read_text())
    for kind in data["types"].values():
        if kind.get("enum") == "QCODES":
            kind["enum"] = names
    for command in data["commands"].values():
        command.setdefault("args", {})
    return data


def type_name(kind):
    return f"[{kind[0]}]" if isinstance(kind, list) else kind


def members(struct):
    for name, kind in struct.items():
        entry = {"name": name.lstrip("*"), "type": type_name(kind)}
        yield {**entry, "default": None} if name.startswith("*") else entry


def introspection(data):
    """What query-qmp-schema answers."""
    found = [{"name": name, "meta-type": "builtin", "json-type": kind} for name, kind in BUILTIN.items()]
    found.append({"name": "q_empty", "meta-type": "object", "members": []})
    arrays = set()

    def see(struct):
        arrays.update(kind[0] for kind in struct.values() if isinstance(kind, list))

    for name, kind in data["types"].items():
        if "enum" in kind:
            found.append({"name": name, "meta-type": "enum", "values": kind["enum"],
                          "members": [{"name": value} for value in kind["enum"]]})
        elif "struct" in kind:
            see(kind["struct"])
            found.append({"name": name, "meta-type": "object", "members": list(members(kind["struct"]))})
        else:
            union = kind["union"]
            found.append({"name": name, "meta-type": "object", "tag": union["tag"],
                          "members": [{"name": union["tag"], "type": union["tag-type"]}],
                          "variants": [{"case": case, "type": of} for case, of in union["variants"].items()]})

    def arguments(of, name, struct):
        see(struct)
        if not struct:
            return "q_empty"
        found.append({"name": f"q_obj_{name}-arg", "meta-type": "object", "members": list(members(struct))})
        return f"q_obj_{name}-arg"

    for name, command in data["commands"].items():
        returns = command.get("returns")
        if isinstance(returns, list):
            arrays.add(returns[0])
        found.append({"name": name, "meta-type": "command", "arg-type": arguments("command", name, command["args"]),
                      "ret-type": type_name(returns) if returns else "q_empty", "allow-oob": False})
    for name, event in data["events"].items():
        found.append({"name": name, "meta-type": "event", "arg-type": arguments("event", name, event.get("data", {}))})
    found += [{"name": f"[{of}]", "meta-type": "array", "element-type": of} for of in sorted(arrays)]
    return found


def c_string(text):
    return json.dumps(text, ensure_ascii=True).replace("??", "?\\?")


def kind_of(data, kind):
    """API_x, and the name of the table of values of an enumeration."""
    if isinstance(kind, list):
        return "API_ARRAY", None
    if kind in KINDS:
        return KINDS[kind], None
    return ("API_STR", f"values_{kind}") if "enum" in data["types"][kind] else ("API_OBJECT", None)


def identifier(name):
    return re.sub(r"\W", "_", name)


def tables(data):
    """The C source."""
    yield "/* written by tools/control-schema.py from commands.json */"
    yield '#include "api/api_int.h"\n\n#include "api/commands.h"\n'
    used = {kind for command in data["commands"].values() for kind in command["args"].values() if isinstance(kind, str)}
    for name, kind in data["types"].items():
        if "enum" in kind and name in used:
            yield f"static const char *const values_{name}[] = {{ {', '.join(map(c_string, kind['enum']))}, NULL }};"
    for name, command in data["commands"].items():
        if not command["args"]:
            continue
        yield f"static const struct api_arg args_{identifier(name)}[] = {{"
        for arg, kind in command["args"].items():
            what, values = kind_of(data, kind)
            optional = "true" if arg.startswith("*") else "false"
            yield f"\t{{ {c_string(arg.lstrip('*'))}, {what}, {optional}, {values or 'NULL'} }},"
        yield "};"
    yield "const struct api_command api_commands[] = {"
    for name, command in data["commands"].items():
        args = f"args_{identifier(name)}" if command["args"] else "NULL"
        row = [c_string(name), c_string(command["doc"]), f"api_{identifier(name)}", args, str(len(command["args"]))]
        yield f"\t{{ {', '.join(row)} }},"
    yield "};\nconst unsigned api_ncommands = ARRAY_LEN(api_commands);"
    yield f"const char *const api_events[] = {{ {', '.join(map(c_string, data['events']))}, NULL }};"
    text = json.dumps(introspection(data), separators=(",", ":"))
    yield "const char api_schema[] ="
    for at in range(0, len(text), 100):
        yield "\t" + c_string(text[at:at + 100])
    yield ";"


def shown(kind):
    return f"list of `{kind[0]}`" if isinstance(kind, list) else f"`{kind}`"


def listing(struct):
    return ", ".join(f"`{name.lstrip('*')}`{' (optional)' if name[0] == '*' else ''}: {shown(kind)}"
                     for name, kind in struct.items()) or "none"


def page(data):
    yield "<!-- written by tools/control-schema.py from src/api/commands.json; do not edit -->"
    yield "# Commands of the control socket"
    yield "\nHow to use them: [control.md](control.md). Replies without a type are an empty object.\n"
    yield "| command | what it does | arguments | returns |\n| --- | --- | --- | --- |"
    for name, command in data["commands"].items():
        returns = shown(command["returns"]) if "returns" in command else ""
        yield f"| `{name}` | {command['doc']} | {listing(command['args'])} | {returns} |"
    yield "\n## Events\n\n| event | when | data |\n| --- | --- | --- |"
    for name, event in data["events"].items():
        yield f"| `{name}` | {event['doc']} | {listing(event.get('data', {}))} |"
    yield "\n## Types\n\n| type | what it is |\n| --- | --- |"
    for name, kind in data["types"].items():
        if "enum" in kind:
            yield f"| `{name}` | one of {', '.join(f'`{value}`' for value in kind['enum'])} |"
        elif "struct" in kind:
            yield f"| `{name}` | {listing(kind['struct'])} |"
        else:
            union = kind["union"]
            cases = ", ".join(f"`{case}`: the members of `{of}`" for case, of in union["variants"].items())
            yield f"| `{name}` | `{union['tag']}`: `{union['tag-type']}`, and with it {cases} |"


def main():
    if len(sys.argv) == 4:
        Path(sys.argv[3]).write_text("\n".join(tables(load(*sys.argv[1:3]))) + "\n")
        return 0
    return deliver("control-commands.md", page(load(TREE / "src/api/commands.json", TREE / "src/api/qcode.def")))


if __name__ == "__main__":
    sys.exit(main())
