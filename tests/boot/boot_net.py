# SPDX-License-Identifier: GPL-2.0-or-later
"""what: guests on networks: address by DHCP, TCP both ways through NAT, the names and limits of the user network."""

import hashlib
import http.server
import os
import random
import shutil
import signal
import socket
import struct
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import archive
import initramfs
import net_initramfs
from cases import FULL, QUICK, TREE, Skip, case
from machine import POWERED_OFF, Machine

PROMPT = r"guest# "
CLOUD = "linux-image-cloud-amd64"


QEMU = TREE / "tools/qemu-as-ring3"


def boot(test, *nets, model="virtio", kernel=CLOUD, address="dhcp", program=None):
    """A machine with these --net, on its way to its shell; of program, another than the one that is tested."""
    words = ["--memory", "256M", "--kernel", archive.kernel(kernel), "--initrd",
             net_initramfs.build(model, kernel), "--append", f"console=ttyS0 quiet rdinit=/net net={address}",
             *(word for net in nets for word in ("--net", net))]
    if not program:
        return test.machine(*words)
    log = test.logs / f"{test.name}.{len(test.machines)}.log"
    other = Machine(program, [*map(str, words), "--display", "none", "--serial", "stdio"], log, slow=test.slow)
    test.machines.append(other)
    return other


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
def web_server(files, address="127.0.0.1"):
    """A server on this host's loopback; yields its port. files: path to bytes."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            data = files.get(self.path)
            self.send_response(200 if data is not None else 404)
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *_):
            pass
    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = Server((address, 0), Handler)
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


def old_card(test, model, driver):
    """DHCP, ping, TCP both ways, with a driver of Debian's full kernel."""
    data = random.Random(test.seed).randbytes(3 << 20)
    port = free_port()
    machine = boot(test, f"user,model={model},hostfwd=tcp:127.0.0.1:{port}-:80", model=driver,
                   kernel="linux-image-amd64")
    machine.expect(r"lease of 10\.0\.2\.15 obtained", 60)
    to_shell(machine)
    machine.line("ip link set eth0 down; ip link set eth0 up; ip route add default via 10.0.2.2")
    machine.line("until ping -c 1 -W 1 10.0.2.2 > /dev/null; do :; done; ping -c 3 -A 10.0.2.2")
    machine.expect(r"3 packets received, 0% packet loss", 20)
    with web_server({"/data": data}) as server:
        fetch(machine, server, data)
        serve(machine, port, 2 << 20, 4711)
    power_off(machine)


@case("net-e1000", QUICK, 10)
def net_e1000(test):
    """The same with an e1000 and Linux's driver for it, after the link was taken down and up."""
    old_card(test, "e1000", "e1000")


@case("net-rtl8139", FULL, 10)
def net_rtl8139(test):
    """The same with an RTL8139, and Linux's 8139too."""
    old_card(test, "rtl8139", "rtl8139")


@case("net-ne2k", FULL, 12)
def net_ne2k(test):
    """The same with an NE2000 on PCI, and Linux's ne2k-pci."""
    old_card(test, "ne2k_pci", "ne2k_pci")


@case("net-pcnet", FULL, 10)
def net_pcnet(test):
    """The same with a PCnet, and Linux's pcnet32."""
    old_card(test, "pcnet", "pcnet")


def network_boot(test, model):
    """SeaBIOS runs the card's ROM; iPXE gets an address and a script by DHCP and TFTP, and kernel and initrd by it."""
    if test.is_reference:
        raise Skip("the reference machine's firmware says nothing on the serial port")
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


@case("net-boot-rtl8139", FULL, 7)
def net_boot_rtl8139(test):
    """PXE boot of a Debian kernel by an RTL8139."""
    network_boot(test, "rtl8139")


@case("net-boot-ne2k", FULL, 10)
def net_boot_ne2k(test):
    """PXE boot of a Debian kernel by an NE2000 on PCI."""
    network_boot(test, "ne2k_pci")


@case("net-boot-pcnet", FULL, 7)
def net_boot_pcnet(test):
    """PXE boot of a Debian kernel by a PCnet."""
    network_boot(test, "pcnet")


@case("net-boot-82545em", FULL, 7)
def net_boot_82545em(test):
    """PXE boot of a Debian kernel by the e1000 for servers."""
    network_boot(test, "e1000-82545em")


def talk(machines, addresses, seed):
    """Each guest pings the other and fetches a file of it."""
    for machine, own in zip(machines, addresses):
        machine.line(f"mkdir -p /www; yes {seed}{own} | head -c 2000000 > /www/data; httpd -p 80 -h /www; echo ready")
        machine.expect("\nready", 20)
    for machine, other in zip(machines, reversed(addresses)):
        machine.line(f"ping -c 3 -A {other}")
        machine.expect(r"3 packets received, 0% packet loss", 20)
        machine.line(f"wget -q -O - http://{other}/data | md5sum")
        want = (f"{seed}{other}\n" * 2000000).encode()[:2000000]
        machine.expect(hashlib.md5(want).hexdigest(), 40)


def switch_folder():
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base, "ring3") if base else Path(f"/tmp/ring3-{os.geteuid()}")


@case("net-switch", QUICK, 9)
def net_switch(test):
    """--net switch:NAME: two guests ping and fetch files; killed, the switch comes back; it is gone with the last."""
    if test.is_reference:
        raise Skip("the reference machine has no switch")
    name = f"test-{os.getpid()}-{random.randrange(1 << 30)}"
    place = switch_folder() / f"{name}.switch"
    machines = [boot(test, f"switch:{name}", address=f"10.9.0.{number}/24") for number in (1, 2)]
    for machine in machines:
        to_shell(machine)
    talk(machines, ["10.9.0.1", "10.9.0.2"], test.seed)
    servers = server_of(name)
    test.must(len(servers) == 1, f"{len(servers)} processes serve the switch")
    os.kill(servers[0], signal.SIGKILL)
    machines[0].line("until ping -c 1 -W 1 10.9.0.2 > /dev/null; do :; done; echo again")
    machines[0].expect("\nagain", 20)
    for machine in machines:
        test.must(place.exists(), "the switch went too early")
        power_off(machine)
    until = time.time() + 5 * test.slow
    while place.exists() and time.time() < until:
        time.sleep(0.05)
    test.must(not place.exists() and not place.with_name(place.name + ".lock").exists(), "the switch stays")


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def beside_qemu(test, ours, theirs, model="virtio", kernel=CLOUD):
    """A guest of ours and one of QEMU's, on one cable."""
    if not shutil.which("qemu-system-x86_64"):
        raise Skip("qemu-system-x86_64 is missing: tools/deps.sh install bench")
    if test.is_reference:
        raise Skip("both would be the reference machine")
    machines = [boot(test, ours, model=model, kernel=kernel, address="10.9.0.1/24")]
    to_shell(machines[0])
    machines.append(boot(test, theirs, address="10.9.0.2/24", program=QEMU))
    to_shell(machines[1])
    talk(machines, ["10.9.0.1", "10.9.0.2"], test.seed)
    for machine in machines:
        power_off(machine)


@case("net-socket-stream", QUICK, 10)
def net_socket_stream(test):
    """--net socket,listen=: a QEMU guest joins by a Unix stream; both ping and fetch files."""
    path = f"unix:{test.folder}/stream"
    beside_qemu(test, f"socket,listen={path}", f"socket,connect={path}")


@case("net-socket-tcp", FULL, 10)
def net_socket_tcp(test):
    """The same over TCP, with an e1000."""
    address = f"127.0.0.1:{free_port()}"
    beside_qemu(test, f"socket,model=e1000,listen={address}", f"socket,connect={address}", "e1000",
                "linux-image-amd64")


@case("net-socket-dgram", FULL, 10)
def net_socket_dgram(test):
    """The same by datagrams, over Unix sockets and over UDP."""
    one, two = (f"unix:{test.folder}/{side}" for side in "ab")
    beside_qemu(test, f"socket,dgram={two},local={one}", f"socket,dgram={one},local={two}")
    one, two = (f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}" for _ in "ab")
    beside_qemu(test, f"socket,dgram={two},local={one}", f"socket,dgram={one},local={two}")


@case("net-team", FULL, 12)
def net_team(test):
    """standby=: a TCP stream between two guests with two uplinks each goes on when a switch dies, in under 500 ms."""
    if test.is_reference:
        raise Skip("the reference machine has no switch")
    names = [f"test-{os.getpid()}-{random.randrange(1 << 30)}" for _ in range(2)]
    net = f"switch:{names[0]},standby=switch:{names[1]},dump="
    machines = [boot(test, f"{net}{test.folder}/dump{number}", address=f"10.9.0.{number}/24") for number in (1, 2)]
    for machine in machines:
        to_shell(machine)
    machines[1].line("mkdir -p /www; for i in $(seq 45); do cat /bin/busybox; done > /www/data; httpd -p 80 -h /www; "
                     "echo ready")
    machines[1].expect("\nready", 30)
    machines[0].line("wget -q -O - http://10.9.0.2/data | md5sum &")
    machines[0].line("until [ $(cat /sys/class/net/eth0/statistics/rx_bytes) -gt 3000000 ]; do :; done; echo flows")
    machines[0].expect("\nflows", 20)
    killed = time.time()
    os.kill(server_of(names[0])[0], signal.SIGKILL)
    whole = (archive.unpacked("busybox-static") / "bin/busybox").read_bytes() * 45
    machines[0].expect(hashlib.md5(whole).hexdigest(), 60)
    for machine in machines:
        power_off(machine)
    gap, last = longest_gap(test.folder / "dump1")
    test.must(last > killed, "the stream was over before the switch died")
    test.said = f"longest gap {gap:.3f} s, {last - killed:.1f} s of the stream after the cut"
    test.must(gap < 0.5 * test.slow, f"the stream stood still for {gap:.3f} s")


def server_of(name):
    """Processes that serve a switch."""
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline")
            if f"--inherited\0{name}\0".encode() in read(path)]


def longest_gap(path):
    """The longest time in a pcap file without a large frame, from the first to the last of them; when the last came."""
    data, at, times = path.read_bytes(), 24, []
    while at < len(data):
        seconds, nanoseconds, length = struct.unpack_from("<III", data, at)
        at += 16 + length
        if length > 1000:
            times.append(seconds + nanoseconds / 1e9)
    return max(after - before for before, after in zip(times, times[1:])), times[-1]


@case("net-ipv6", FULL, 8)
def net_ipv6(test):
    """--net user over IPv6: an address by router advertisement, ping of the gateway, TCP to the host's loopback."""
    data = random.Random(test.seed).randbytes(1 << 20)
    machine = to_shell(boot(test, "user"))
    machine.line("until ping6 -c 1 -W 1 fec0::2 > /dev/null; do :; done; ping6 -c 3 fec0::2")
    machine.expect(r"3 packets received, 0% packet loss", 40)
    with web_server({"/data": data}, "::1") as server:
        machine.line(f"wget -q -O - http://[fec0::2]:{server}/data | md5sum")
        machine.expect(hashlib.md5(data).hexdigest(), 60)
    power_off(machine)


@case("net-restrict", FULL, 8)
def net_restrict(test):
    """restrict: nothing of the host's is reached but by guestfwd=, and hostfwd= still leads in."""
    port = free_port()
    place = test.folder / "service"
    with socket.socket(socket.AF_UNIX) as service, web_server({"/data": b"secret"}) as server:
        service.bind(str(place))
        os.chmod(place, 0o666)
        service.listen()
        machine = to_shell(boot(test, f"user,restrict,hostfwd=tcp:127.0.0.1:{port}-:80,"
                                f"guestfwd=tcp:10.0.2.100:7-unix:{place}"))
        machine.line(f"timeout 3 wget -q -O - http://10.0.2.2:{server}/data; echo ended $?")
        said, _ = machine.expect(r"[^$]*\nended \d+", 40)
        machine.must("secret" not in said[0].partition("echo")[2], "the guest reached the host")
        machine.line("nc 10.0.2.100 7 < /proc/version")
        link, _ = service.accept()
        with link:
            link.settimeout(20 * test.slow)
            test.must(link.recv(5) == b"Linux", "the service hears something else")
            link.sendall(b"heard you\n")
            machine.expect("\nheard you", 20)
        machine.send("\x03")
        serve(machine, port, 100000, 5)
        power_off(machine)


@case("net-errors", QUICK, 1)
def net_errors(test):
    """What --net cannot have is one line that says which and why, and nothing is left behind."""
    if test.is_reference:
        raise Skip("the reference machine has its own messages")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        bad = {f"user,hostfwd=tcp:127.0.0.1:{port}-:22": "cannot listen on TCP port 127.0.0.1:",
               "user,tftp=/nonexistent": "tftp: cannot open", "user,tftp=/proc/version": "is no folder",
               "user,guestfwd=tcp:10.0.2.2:1-cmd:true": "guestfwd: 10.0.2.2 port 1",
               f"socket,connect=127.0.0.1:{free_port()}": "cannot connect",
               f"socket,listen=127.0.0.1:{port}": "cannot listen at",
               f"socket,connect=unix:{test.folder}/none": "cannot connect", "user,dump=/nonexistent/a": "cannot write"}
        for net, says in bad.items():
            done = test.ring3("run", *hello(test), "--display", "none", "--serial", "none", "--timeout", 2,
                              "--net", net)
            test.must(done.returncode in (1, 2) and says in done.stderr and len(done.stderr.strip().splitlines()) == 1,
                      f"{net}: ended with {done.returncode}: {done.stderr}")


def hello(test):
    return ["--memory", "64M", "--kernel", test.assemble("hello")]


@case("net-reset", FULL, 12)
def net_reset(test):
    """A guest that resets while data flows finds its card as new: DHCP, and a file comes whole."""
    data = random.Random(test.seed).randbytes(2 << 20)
    for model, kernel in (("virtio", CLOUD), ("e1000", "linux-image-amd64")):
        machine = to_shell(boot(test, f"user,model={model}", model=model, kernel=kernel))
        with web_server({"/data": data}) as server:
            machine.line(f"(while true; do wget -q -O /dev/null http://10.0.2.2:{server}/data; done) & sleep 1; reboot -f")
            machine.expect(r"lease of 10\.0\.2\.15 obtained", 60)
            to_shell(machine)
            fetch(machine, server, data)
        power_off(machine)
