# SPDX-License-Identifier: GPL-2.0-or-later
"""what: an installed Debian on the user network: DHCP, DNS, apt-get through NAT, ssh from the host by a forward.

The guest is told where Debian is by what this host's apt says: its mirror, its proxies, and whether dates count.
Nothing of that stands here.  The disk is a snapshot, so what apt installs is gone with the machine.
"""

import re
import shutil
import subprocess

import disk
from archive import debian_targets
from boot_debian import log_in, output
from boot_net import free_port
from cases import LONG, Skip, case
from machine import POWERED_OFF

NETWORK = r"[Match]\nName=eth0\n[Network]\nDHCP=yes\n"
TOLD = re.compile(r'^(Acquire::(?:https?::Proxy(?:::\S+)?|Check-Valid-Until|Check-Date)) "([^"]*)";$', re.M)
LOOPBACK = re.compile(r"//(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?=[:/]|$)")


def apt_settings():
    """apt.conf for the guest: a proxy on this host's loopback is at the gateway, seen from inside."""
    dump = subprocess.run(["apt-config", "dump"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [f'{name} "{LOOPBACK.sub("//10.0.2.2", value)}";' for name, value in TOLD.findall(dump) if value]


def write_file(machine, path, lines):
    """The guest's file has these lines."""
    words = " ".join("'" + line.replace("'", "'\\''") + "'" for line in lines)
    output(machine, f"printf '%s\\n' {words} > {path}")


def connect(machine):
    """An address by DHCP, the way out, and the name server, as libslirp gives them."""
    output(machine, f"printf '{NETWORK}' > /etc/systemd/network/eth0.network; systemctl restart systemd-networkd", 60)
    address = output(machine, "/lib/systemd/systemd-networkd-wait-online -i eth0:routable --timeout=60; "
                     "ip -4 -o addr show eth0; ip route show default", 90)
    machine.must("10.0.2.15/24" in address and "via 10.0.2.2" in address, f"no address by DHCP: {address}")
    output(machine, "rm -f /etc/resolv.conf; echo nameserver 10.0.2.3 > /etc/resolv.conf")


def install(machine, package):
    """apt-get update and install, with this host's sources and settings."""
    write_file(machine, "/etc/apt/sources.list", [f"deb {uri} {suite} {part}" for uri, suite, part in debian_targets()])
    write_file(machine, "/etc/apt/apt.conf.d/90host", ['Acquire::Languages "none";', *apt_settings()])
    said = output(machine, "apt-get -q update 2>&1 | tail -n 5; echo status ${PIPESTATUS[0]}", 400)
    machine.must("status 0" in said and not re.search(r"^[WE]:", said, re.M), f"apt-get update: {said}")
    said = output(machine, "DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "
                  f"{package} 2>&1 | tail -n 12; echo status ${{PIPESTATUS[0]}}", 500)
    machine.must("status 0" in said, f"apt-get install {package}: {said}")


def ssh(test, port, key, command, data=None):
    """What command says, run in the guest as root through the forwarded port."""
    done = subprocess.run(["ssh", "-F", "none", "-i", key, "-p", str(port), "-o", "BatchMode=yes",
                           "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={test.folder}/known",
                           "-o", "ConnectTimeout=30", "root@127.0.0.1", command], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=120 * test.slow)
    test.must(done.returncode == 0, f"ssh ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout


@case("debian-apt", LONG, 240)
def debian_apt(test):
    """In a Debian guest on --net user: DHCP, DNS, apt-get update, openssh-server installed, and ssh into it."""
    if not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        raise Skip("ssh is missing: openssh-client")
    port, key = free_port(), test.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    machine = test.machine("--memory", "1G", "--disk", f"{disk.build()},interface=virtio,snapshot",
                           "--net", f"user,hostfwd=tcp:127.0.0.1:{port}-:22")
    log_in(machine)
    connect(machine)
    found = output(machine, "getent hosts deb.debian.org; echo status $?", 60)
    machine.must("status 0" in found or apt_settings(), f"DNS finds no name: {found}")
    install(machine, "openssh-server")
    write_file(machine, "/root/key.pub", [key.with_suffix(".pub").read_text().strip()])
    output(machine, "install -D -m 600 /root/key.pub /root/.ssh/authorized_keys; systemctl start ssh", 120)
    test.must(ssh(test, port, key, "hostname").strip() == b"ring3", "another machine answers")
    data = (f"{test.seed}\n" * 200000).encode()
    test.must(ssh(test, port, key, "cat", data) == data, "what went through ssh and back is not what came out")
    machine.line("systemctl poweroff")
    machine.must_end(POWERED_OFF, 120)
