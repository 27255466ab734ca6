# SPDX-License-Identifier: GPL-2.0-or-later
"""what: a Debian program with the shared libraries that it needs, and they need, for an initramfs.

Libraries are looked for in the packages that the one in hand depends on, and only those are fetched that a name is
missing from: a program's dependencies of dependencies are mostly for others.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import archive

LOADER = {"amd64": "lib64/ld-linux-x86-64.so.2", "i386": "lib/ld-linux.so.2"}
FOLDER = {"amd64": "lib/x86_64-linux-gnu", "i386": "lib/i386-linux-gnu"}


def needed(path):
    said = subprocess.run(["readelf", "-d", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+)\]", said)


class Closure:
    def __init__(self, arch="amd64"):
        self.arch, self.libraries = arch, {}

    def _in_package(self, package, soname):
        where = archive.unpacked(package, self.arch)
        folder = FOLDER[self.arch]
        return next((path for path in (where / folder / soname, where / "usr" / folder / soname,
                                       where / LOADER[self.arch] if soname in LOADER[self.arch] else None)
                     if path and path.exists()), None)

    def add(self, package, path):
        """Notes what the file at path, which is of package, needs."""
        missing = [name for name in needed(path) if name not in self.libraries]
        depends = [package, *archive.depends(package, archive.updated(self.arch))] if missing else []
        for soname in missing:
            found = next(((one, at) for one in depends if (at := self._in_package(one, soname))), None)
            if not found:
                raise archive.FetchError(f"{package} needs {soname}, and nothing that it depends on has it")
            self.libraries[soname] = found[1]
            self.add(*found)


def libraries(package, paths, arch):
    """{name: path}; looked for once, since apt takes its time for each package."""
    kept = archive.CACHE / "unpacked" / arch / f"{package}.libraries.json"
    with archive.held("closure"):
        if kept.exists():
            found = json.loads(kept.read_text())
            if found["of"] == paths and all(map(os.path.exists, found["libraries"].values())):
                return {name: Path(path) for name, path in found["libraries"].items()}
        closure = Closure(arch)
        for path in paths:
            closure.add(package, path)
        kept.write_text(json.dumps({"of": paths, "libraries": {n: str(p) for n, p in closure.libraries.items()}}))
    return closure.libraries


def files(package, names, arch="amd64"):
    """[(name in the guest, bytes, mode)] of programs of a package, in /bin, and all that they need."""
    paths = [archive.unpacked(package, arch) / "usr/bin" / name for name in names]
    found = [(f"bin/{path.name}", path.read_bytes(), 0o755) for path in paths]
    needs = libraries(package, list(map(str, paths)), arch)
    loader = Path(LOADER[arch])
    folders = [loader.parent, *(Path(part) for part in ("lib", FOLDER[arch]))]
    found += [(str(folder), None, 0o755) for folder in dict.fromkeys(folders)]
    for soname, path in sorted(needs.items()):
        where = str(loader) if soname == loader.name else f"{FOLDER[arch]}/{soname}"
        found.append((where, path.read_bytes(), 0o755))
    return found
