# SPDX-License-Identifier: GPL-2.0-or-later
"""what: guests on networks: address by DHCP, TCP both ways through NAT, the names and limits of the user network."""

import hashlib
import http.server
import random
import re
import socket
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import archive
import initramfs
import net_initramfs
from cases import FULL, QUICK, Skip, case
from machine import POWERED_OFF

PROMPT = r"guest# "
CLOUD = "linux-image-cloud-amd64"


def boot(test, *nets, model="virtio", kernel=CLOUD, address="dhcp", more=()):
    """A machine with these --net, at its shell."""
    if test.is_reference:
        raise Skip("the reference machine has no --net")
    words = [word for net in nets for word in ("--net", net)]
    machine = test.machine("--memory", "256M", "--kernel", archive.kernel(kernel), "--initrd",
                           net_initramfs.build(model, kernel, more), "--append",
                           f"console=ttyS0 quiet rdinit=/net net={address}", *words)
    return machine


def to_shell(machine):
    machine.expect(PROMPT, 60)
    return machine


def power_off(machine):
    machine.line("poweroff -f")
    machine.must_end(POWERED_OFF)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def web_server(files):
    """A server on this host's loopback; yields its port. files: path to bytes."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            data = files.get(self.path)
            self.send_response(200 if data is not None else 404)
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetch(machine, port, data):
    """The guest fetches a file of this host's loopback, whole."""
    machine.line(f"wget -q -O - http://10.0.2.2:{port}/data | md5sum")
    machine.expect(hashlib.md5(data).hexdigest(), 60)


def serve(machine, port, length, seed):
    """The host fetches a file of the guest's by a forwarded port, whole."""
    machine.line(f"mkdir -p /www; yes {seed} | head -c {length} > /www/data; httpd -p 80 -h /www; echo ready")
    machine.expect("\nready", 20)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/data", timeout=60) as answer:
        got = answer.read()
    want = (f"{seed}\n" * (length // (len(str(seed)) + 1) + 1)).encode()[:length]
    machine.must(got == want, f"the host got {len(got)} bytes, or others")


@case("net-user", QUICK, 8)
def net_user(test):
    """--net user with virtio: DHCP, ping of the gateway, TCP both ways with checksums compared, an unreachable port."""
    data = random.Random(test.seed).randbytes(3 << 20)
    port = free_port()
    machine = boot(test, f"user,hostfwd=tcp:127.0.0.1:{port}-:80")
    machine.expect(r"lease of 10\.0\.2\.15 obtained", 60)
    to_shell(machine)
    machine.line("ping -c 3 -A 10.0.2.2")
    machine.expect(r"3 packets received, 0% packet loss", 20)
    with web_server({"/data": data}) as server:
        fetch(machine, server, data)
        serve(machine, port, 2 << 20, 4711)
    machine.line(f"nc -w 5 10.0.2.2 {server} < /dev/null; echo refused: $?")
    machine.expect("refused: 1", 20)
    power_off(machine)


@case("net-e1000", QUICK, 10)
def net_e1000(test):
    """The same with an e1000 and Linux's driver for it, after the link was taken down and up."""
    data = random.Random(test.seed).randbytes(3 << 20)
    port = free_port()
    machine = boot(test, f"user,model=e1000,hostfwd=tcp:127.0.0.1:{port}-:80", model="e1000",
                   kernel="linux-image-amd64")
    machine.expect(r"lease of 10\.0\.2\.15 obtained", 60)
    to_shell(machine)
    machine.line("ip link set eth0 down; ip link set eth0 up; ip route add default via 10.0.2.2; ping -c 3 -A 10.0.2.2")
    machine.expect(r"3 packets received, 0% packet loss", 20)
    with web_server({"/data": data}) as server:
        fetch(machine, server, data)
        serve(machine, port, 2 << 20, 4711)
    power_off(machine)


def network_boot(test, model):
    """SeaBIOS runs the card's ROM; iPXE gets an address and a script by DHCP and TFTP, and kernel and initrd by it."""
    if test.is_reference:
        raise Skip("the reference machine has no --net")
    if not any(Path(folder, "pxe-virtio.rom").exists() for folder in ("/usr/lib/ipxe/qemu", "/usr/share/qemu")):
        raise Skip("ipxe-qemu is missing")
    served = test.folder / "tftp"
    served.mkdir()
    (served / "vmlinuz").symlink_to(archive.kernel(CLOUD))
    (served / "initrd").symlink_to(initramfs.build(demo=True))
    script = ["#!ipxe", "kernel vmlinuz console=ttyS0 quiet ring3.poweroff", "initrd initrd", "boot", ""]
    (served / "boot.ipxe").write_text("\n".join(script))
    machine = test.machine("--memory", "256M", "--boot", "n", "--net",
                           f"user,model={model},tftp={served},bootfile=boot.ipxe")
    machine.expect(r"net0: 10\.0\.2\.15/255\.255\.255\.0", 60)
    machine.expect(r"ring3: up", 60)
    machine.must_end(POWERED_OFF)


@case("net-boot-virtio", QUICK, 7)
def net_boot_virtio(test):
    """PXE boot of a Debian kernel by a virtio card."""
    network_boot(test, "virtio")


@case("net-boot-e1000", FULL, 7)
def net_boot_e1000(test):
    """PXE boot of a Debian kernel by an e1000."""
    network_boot(test, "e1000")


@case("net-boot-82545em", FULL, 7)
def net_boot_82545em(test):
    """PXE boot of a Debian kernel by the e1000 for servers."""
    network_boot(test, "e1000-82545em")
