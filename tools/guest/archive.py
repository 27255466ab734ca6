# SPDX-License-Identifier: GPL-2.0-or-later
"""what: takes packages of any architecture out of Debian's archive, as any user, without touching the host's dpkg.

apt runs on a private root under the cache folder: its own lists, cache and (empty) status file, and one
architecture per root, so an i386 kernel needs no `dpkg --add-architecture`.  Where the archive is, apt on this
host already knows: the Debian targets of its configuration are asked for, never written down here.  A package
that was fetched once is used again without asking the network.
"""

import fcntl
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("RING3_CACHE", TREE / "cache"))
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class FetchError(Exception):
    """A package could not be had; the text says which and why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, **more):
    """Runs a command quietly; its output is in the error when it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", **more)
    if done.returncode:
        raise FetchError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


@contextmanager
def held(name):
    """One maker at a time, so that two test runs can share a cache."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def debian_targets():
    """(URI, suite, component) of every Debian archive that this host's apt is configured for."""
    form = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    lines = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"]).split()
    targets = [tuple(line.split("|")[1:]) for line in lines if line.startswith("Debian|")]
    if not targets:
        raise FetchError("apt knows no Debian archive here; run `apt-get update` (tools/deps.sh does) and try again")
    return list(dict.fromkeys(targets))


def main_archive():
    """URI and suite of the release itself, as debootstrap wants them."""
    for uri, suite, _ in debian_targets():
        if "-" not in suite:
            return uri, suite
    raise FetchError("apt is configured for no plain Debian release, only for updates")


def apt_root(arch):
    """Makes the private root for arch and gives the environment that makes apt use it."""
    root = CACHE / "apt" / arch
    for part in ("state/lists/partial", "cache/archives/partial", "parts"):
        (root / part).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    sources = "".join(f"deb [arch={arch} signed-by={KEYRING}] {uri} {suite} {comp}\n"
                      for uri, suite, comp in debian_targets())
    (root / "sources.list").write_text(sources)
    (root / "apt.conf").write_text(f"""
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::State "{root}/state";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "{root}/parts";
Dir::Etc::preferencesparts "{root}/parts";
Dir::Etc::trustedparts "{root}/parts";
""")
    return dict(os.environ, APT_CONFIG=str(root / "apt.conf"), LC_ALL="C")


def updated(arch):
    """The environment of a private root with package lists, which are fetched again after an hour.

    A list that cannot be had (a mirror in mid-update) is only said: what matters is whether a package is found.
    """
    env = apt_root(arch)
    stamp = CACHE / "apt" / arch / "updated"
    if not stamp.exists() or time.time() - stamp.stat().st_mtime > 3600:
        say(f"  fetching Debian's package lists ({arch})")
        try:
            run(["apt-get", "update"], env=env)
        except FetchError as error:
            lines = [line for line in str(error).splitlines() if line.startswith("E: ")]
            say(f"  (some lists are missing: {lines[0] if lines else error})")
        stamp.touch()
    return env


def depends(name, env):
    """The names a package directly depends on."""
    lines = run(["apt-cache", "depends", "--important", name], env=env).splitlines()
    return [line.split()[-1] for line in lines if line.strip().startswith("Depends:")]


def real_package(name, env):
    """A kernel metapackage stands for the one package it depends on: linux-image-VERSION-FLAVOUR."""
    if not re.fullmatch(r"linux-image-(?!\d+\.).*", name):
        return name
    images = [dep for dep in depends(name, env) if dep.startswith("linux-image-")]
    if len(images) != 1:
        raise FetchError(f"{name} stands for {images}, one kernel package was expected")
    return images[0]


def package(name, arch="amd64"):
    """Path of the .deb that name (or what the kernel metapackage stands for) has in the archive."""
    debs = CACHE / "debs" / arch
    link = debs / f"{name}.deb"
    with held("archive"):
        if link.exists():
            return link
        debs.mkdir(parents=True, exist_ok=True)
        env = updated(arch)
        real = real_package(name, env)
        say(f"  fetching {real} ({arch})")
        before = set(debs.glob("*.deb"))
        run(["apt-get", "download", real], env=env, cwd=debs)
        new = [path for path in set(debs.glob(f"{real}_*.deb")) - before if not path.is_symlink()]
        path = new[0] if new else max(debs.glob(f"{real}_*.deb"), key=os.path.getmtime)
        link.unlink(missing_ok=True)
        link.symlink_to(path.name)
        return link


def unpacked(name, arch="amd64", only=(), folder=None):
    """Folder with a package's files (or, of them, only those that match the tar patterns; folder then tells apart what
    else is wanted of the same package)."""
    where = CACHE / "unpacked" / arch / (folder or name)
    deb = package(name, arch)
    with held("unpack"):
        if where.exists():
            return where
        part = where.with_name(where.name + ".part")
        run(["rm", "-rf", part])
        part.mkdir(parents=True)
        wanted = ["--wildcards", *only] if only else []
        tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
        done = subprocess.run(["tar", "-x", "--no-same-owner", "-C", part, *wanted], stdin=tar.stdout)
        if tar.wait() or done.returncode:
            raise FetchError(f"{deb} cannot be unpacked")
        part.rename(where)
    return where


def modules(name, names, arch="amd64"):
    """Paths of a kernel's modules, in the order of names."""
    folder = unpacked(name, arch, only=[f"./lib/modules/*/{one}.ko" for one in names], folder=f"{name}.{names[-1]}")
    found = {path.stem: path for path in folder.glob("**/*.ko")}
    return [found[one] for one in names]


def kernel(name, arch="amd64"):
    """Path of the vmlinuz of a kernel package."""
    found = sorted(unpacked(name, arch, only=["./boot/*"]).glob("boot/vmlinuz-*"))
    if not found:
        raise FetchError(f"{name} holds no vmlinuz")
    return found[-1]
