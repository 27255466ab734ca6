# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the options of the command line, seen from outside: serial backends, timeout, signals, snapshot, big RAM."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import archive
import disk
import initramfs
from boot_debian import log_in, output
from boot_guests import build
from cases import FULL, QUICK, TREE, Skip, case
from machine import HOST, POWERED_OFF, QUIT, TIMEOUT

GIB = 1 << 30


def hello(test):
    return ["--memory", "64M", "--kernel", test.assemble("hello")]


def digest(path):
    return subprocess.run(["sha256sum", path], stdout=subprocess.PIPE, check=True, text=True).stdout.split()[0]


def wait_for(test, what, seconds, why):
    """Polls until what() is true."""
    until = time.time() + seconds * test.slow
    while not what():
        test.must(time.time() < until, why)
        time.sleep(0.05)


@case("serial-pipe", QUICK, 2)
def serial_pipe(test):
    """--serial stdio on pipes: what is typed comes back, byte for byte, also when much is typed at once."""
    machine = test.machine(*hello(test))
    machine.expect("ring3: hello")
    text = "".join(chr(33 + number % 64) for number in range(2000))
    machine.send(text)
    found, _ = machine.expect(r"((?:<.>){2000})", 30)
    machine.must(found[1] == "".join(f"<{char}>" for char in text), "bytes were lost or changed")
    machine.send("q")
    machine.expect("ring3: halted")


@case("serial-file", QUICK, 2)
def serial_file(test):
    """--serial file:PATH keeps what the guest says; --timeout ends a halted guest with its own status."""
    target = test.folder / "serial.txt"
    done = test.ring3("run", *hello(test), "--serial", f"file:{target}", "--display", "none", "--timeout", 2)
    test.must(done.returncode == TIMEOUT, f"ended with {done.returncode}: {done.stderr}")
    test.must("ring3: hello" in target.read_text(), "the file does not hold what the guest said")


@case("serial-unix", QUICK, 2)
def serial_unix(test):
    """--serial unix:PATH: a client connects to the socket and talks to the guest."""
    path = test.folder / "serial.sock"
    machine = test.start(*hello(test), "--display", "none", "--serial", f"unix:{path}")
    wait_for(test, path.exists, 10, "there is no socket")
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10 * test.slow)
        link.connect(str(path))
        link.sendall(b"az")
        heard = b""
        while b"<a><z>" not in heard:
            data = link.recv(4096)
            machine.must(data, f"the socket was closed after {heard!r}")
            heard += data


HVC_INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /dev
/bin/busybox mount -t devtmpfs dev /dev
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_console; do
	/bin/busybox insmod /$module.ko
done
until [ -c /dev/hvc0 ]; do /bin/busybox sleep 0.1; done
exec /init < /dev/hvc0 > /dev/hvc0 2>&1
"""


@case("console", QUICK, 6)
def virtio_console(test):
    """--console stdio: Linux with console=hvc0 gives a shell there, which takes commands and much typing."""
    names = re.search(r"in (.*); do", HVC_INIT)[1].split()
    extra = [(path.name, path.read_bytes(), 0o644) for path in archive.modules("linux-image-cloud-amd64", names)]
    image = initramfs.build(demo=True, extra=[*extra, ("hvc", HVC_INIT.encode(), 0o755)], tag="-hvc")
    machine = test.start("--memory", "256M", "--kernel", archive.kernel("linux-image-cloud-amd64"), "--initrd", image,
                         "--append", "console=hvc0 quiet rdinit=/hvc", "--display", "none", "--console", "stdio")
    machine.expect(r"guest# ", 60)
    machine.line("tty; echo $((6 * 7))")
    machine.expect(r"\n/dev/hvc0\r\n42\r\n", 20)
    machine.line("seq 100000 | tail -n 60000 | md5sum; for i in $(seq 3000); do echo line $i; done | tail -n 1")
    lines = "".join(f"{number}\n" for number in range(40001, 100001))
    machine.expect(hashlib.md5(lines.encode()).hexdigest(), 20)
    machine.expect(r"line 3000\r\n", 20)
    machine.line("seq 3000")
    machine.expect("".join(rf"{number}\r\n" for number in range(1, 3001)), 20)
    machine.line("poweroff -f")
    machine.must_end(POWERED_OFF)


@case("host-lacks", QUICK, 1)
def host_lacks(test):
    """docs/exit-status.md: what the host lacks (memory, files, threads) ends with 1 and one line, not as bad input."""
    if test.is_reference:
        raise Skip("the reference machine has its own statuses")
    # AddressSanitizer's shadow memory alone takes terabytes of address space
    watched = b"__asan_init" in Path(test.program).read_bytes()
    for limit in ("--nofile=6",) if watched else ("--as=100000000", "--nofile=6"):
        done = subprocess.run(["prlimit", limit, test.program, "run", *map(str, hello(test)), "--display", "none",
                               "--serial", "none", "--timeout", "5"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        test.must(done.returncode == HOST and len(done.stderr.strip().splitlines()) == 1,
                  f"{limit}: ended with {done.returncode}: {done.stderr}")


@case("halted", QUICK, 3)
def halted(test):
    """A guest that halts with interrupts off is reported once, with its state, and goes on to be a machine."""
    if test.is_reference:
        raise Skip("the reference machine does not tell")
    machine = test.machine(*hello(test))
    machine.expect("ring3: hello")
    test.must(b"halted" not in machine.errors, "reported too early")
    machine.send("q")
    wait_for(test, lambda: b"halted for good" in machine.errors, 10, "no report")
    time.sleep(1)
    test.must(machine.errors.count(b"halted for good") == 1 and b"RIP=" in machine.errors, f"{machine.errors}")
    machine.process.send_signal(signal.SIGTERM)
    machine.must_end(QUIT, 10)


def report(text):
    """The seconds of each place and the counts in what --stats says."""
    seconds = {name: float(value) for value, name in re.findall(r"^ +([\d.]+) s +[\d.]+ %  ([^,\n]*)", text, re.M)}
    return seconds, {name: int(value) for value, name in re.findall(r"^ +(\d+) +(\S.*)$", text, re.M)}


@case("stats", QUICK, 5)
def stats(test):
    """--stats: SIGUSR1 and the end tell where time went: at the port that a guest polls, nowhere for a halted one."""
    if test.is_reference:
        raise Skip("the reference machine keeps no such numbers")
    machine = test.machine(*hello(test), "--stats")
    machine.expect("ring3: hello")
    time.sleep(1)
    machine.process.send_signal(signal.SIGUSR1)
    wait_for(test, lambda: b"I/O thread" in machine.errors, 10, "SIGUSR1 brings no report")
    seconds, counts = report(machine.errors.decode())
    busy = seconds["device emulation"] + seconds["helper IN"] + seconds["translated code"]
    machine.must(busy > 0.1 and seconds["idle"] == 0, f"a port is polled, but {seconds}")
    machine.must(counts["port accesses"] > 1000 and counts["blocks translated"] > 3, f"{counts}")
    machine.send("q")
    machine.expect("ring3: halted")
    time.sleep(1)
    machine.process.send_signal(signal.SIGTERM)
    machine.must_end(QUIT, 10)
    machine.readers[1].join(5)
    seconds, counts = report(machine.errors.decode().rpartition("ring3: where")[2])
    machine.must(seconds["idle"] > 0.9 and counts["sleeps in HLT"] == 1,
                 f"halted for a second, but {seconds}, {counts}")


@case("faults-wake-nobody", QUICK, 3)
def faults_wake_nobody(test):
    """The faults by which pages come into windows are the vCPU's alone: while a signalfd was polled, each of some
    thousand woke the main thread (1112 sleeps instead of 11; an eighth of the time that perl took)."""
    if test.is_reference:
        raise Skip("the reference machine has no windows")
    process = subprocess.Popen([test.program, "run", "--memory", "64M", "--mode", "windows", "--display", "none",
                                "--serial", "none", "--debug-exit", "--stats", "--timeout", "50", "--kernel",
                                build(test, "window", 64)], stderr=subprocess.PIPE, text=True)
    with process.stderr:
        _, counts = report(process.stderr.read())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    test.must(process.returncode == 1 and counts["user pages mapped into windows"] > 100, f"{status} {counts}")
    test.must(usage.ru_nvcsw < 200, f"{usage.ru_nvcsw} sleeps")


@case("guessed-bias", QUICK, 3)
def guessed_bias(test):
    """Isolation does not rest on addresses of the host's that a guest cannot know: this one is told where slots without
    a window lead."""
    if test.is_reference:
        raise Skip("the reference machine has no windows")
    process = subprocess.Popen([test.program, "run", "--memory", "64M", "--mode", "windows", "--display", "none",
                                "--serial", "stdio", "--debug-exit", "--stats", "--timeout", "50", "--kernel",
                                build(test, "guess", 64)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    with process.stdin, process.stdout, process.stderr:
        test.must(b"where?" in process.stdout.readline(), "no question")
        guard, slot, none = 4 << 30, 1 << 40, []
        for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
            first, last = (int(end, 16) for end in line.split()[0].split("-"))
            if last - first == slot + 2 * guard:  # AddressSanitizer has larger ones
                none.append(last - slot - guard)
        test.must(len(none) == 1, f"{none}: which?")
        process.stdin.write(none[0].to_bytes(8, "little"))
        said, errors = process.communicate()
    _, counts = report(errors.decode())
    test.must(re.search(rb"\b[1-9]\d* checks, 0 failed", said) and process.returncode == 1, said.decode())
    test.must(counts["faults at host addresses that no bias leads to: a bug of ring3's"] == 0, errors.decode())


@case("perf-map", QUICK, 4)
def perf_map(test):
    """--perf-map: every block has a line for perf, where code is; no address is used twice, also after resets."""
    if test.is_reference:
        raise Skip("the reference machine has no such option")
    machine = test.machine(*hello(test), "--perf-map")
    path = Path(f"/tmp/perf-{machine.process.pid}.map")
    machine.expect("ring3: hello")
    code = [tuple(int(end, 16) for end in line.split()[0].split("-"))
            for line in Path(f"/proc/{machine.process.pid}/maps").read_text().splitlines() if " r-xs " in line]
    blocks = perf_blocks(path)
    machine.must(len(code) == 1 and "/dev/zero" in Path(f"/proc/{machine.process.pid}/maps").read_text(),
                 "the code cache is not what perf takes for anonymous memory")
    machine.must(blocks and all(code[0][0] <= start < end <= code[0][1] for start, end, _ in blocks),
                 f"{code} {blocks[:5]}")
    machine.must(any(name.startswith("guest-kernel:1000") for _, _, name in blocks),
                 f"no block of the guest's: {blocks[:5]}")
    machine.process.send_signal(signal.SIGTERM)
    machine.must_end(QUIT, 10)
    path.unlink()
    machine = test.machine("--memory", "64M", "--firmware", test.assemble("resets"), "--debug-exit", "--perf-map")
    path = Path(f"/tmp/perf-{machine.process.pid}.map")
    machine.must_end(5 << 1 | 1, 60)
    blocks = sorted(perf_blocks(path))
    path.unlink()
    names = [name for _, _, name in blocks]
    machine.must(len(names) > len(set(names)), "the guest was reset, but nothing was translated anew")
    machine.must(all(before[1] <= after[0] for before, after in zip(blocks, blocks[1:])), "an address is used twice")


def perf_blocks(path):
    """[(start, end, name)] of a file that perf reads."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(int(start, 16), int(start, 16) + int(size, 16), name) for start, size, name in lines]


@case("signals", QUICK, 2)
def signals(test):
    """SIGTERM ends the machine in order, with its documented status."""
    machine = test.machine(*hello(test))
    machine.expect("ring3: hello")
    machine.process.send_signal(signal.SIGTERM)
    if not test.is_reference:
        machine.must_end(QUIT, 10)


@case("nohup", QUICK, 2)
def nohup(test):
    """A machine that nohup started does not end with its terminal; a stop and SIGTERM are for it as ever."""
    if test.is_reference:
        raise Skip("the reference machine ends")
    process = subprocess.Popen(["sh", "-c", 'trap "" HUP; exec "$0" "$@"', test.program, "run", "--display", "none",
                                "--serial", "stdio", "--timeout", "50", *hello(test)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    with process.stdout, process.stdin:
        process.stdout.readline()
        for number in signal.SIGHUP, signal.SIGSTOP, signal.SIGCONT:
            process.send_signal(number)
            time.sleep(0.2)
        test.must(process.poll() is None, f"ended with {process.returncode}")
        process.send_signal(signal.SIGTERM)
        test.must(process.wait(10) == QUIT, f"ended with {process.returncode}")


@case("escape", QUICK, 2)
def escape(test):
    """In a terminal Ctrl-A h lists the keys and Ctrl-A x quits."""
    if test.is_reference:
        raise Skip("the reference machine has other keys")
    machine = test.start(*hello(test), terminal=True)
    machine.expect("ring3: hello")
    machine.send("k\x01h")
    machine.expect(r"<k>")
    machine.expect(r"(?i)ctrl-a x")
    machine.send("\x01x")
    machine.must_end(QUIT, 10)


@case("demo", QUICK, 8)
def demo(test):
    """`make demo`: to the shell and off; quit by Ctrl-A x it ends with 0, so make reports no error; else it fails."""
    if test.is_reference:
        raise Skip("the reference machine's Ctrl-A x is not ring3's")
    for program, word, ends in ((test.program, ["--check"], True), ("/bin/false", [], False)):
        done = subprocess.run([TREE / "tools/demo", *word], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300 * test.slow,
                              env=dict(os.environ, RING3=program))
        test.must((done.returncode == 0) == ends, f"{program}: ended with {done.returncode}: {done.stdout[-2000:]}")


@case("snapshot", FULL, 30)
def snapshot(test):
    """,snapshot: a guest that writes to its disk and reads back what it wrote leaves the image as it was."""
    image = test.folder / "debian.img"
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", disk.build(), image], check=True)
    before = digest(image)
    machine = test.machine("--memory", "512M", "--disk", f"{image},interface=virtio,snapshot")
    log_in(machine)
    output(machine, "dd if=/dev/urandom of=/root/noise bs=1M count=16 && sync", 120)
    output(machine, "sha256sum < /root/noise > /root/sum")
    output(machine, "echo 3 > /proc/sys/vm/drop_caches")
    machine.must("same" in output(machine, "sha256sum < /root/noise | cmp - /root/sum && echo same", 60),
                 "what was written reads back otherwise")
    machine.line("systemctl poweroff")
    machine.must_end(POWERED_OFF, 120)
    test.must(digest(image) == before, "the image was changed")


def shared_memory(machine):
    """Resident bytes of guest RAM."""
    with open(f"/proc/{machine.process.pid}/status") as status:
        return int(re.search(r"RssShmem:\s+(\d+)", status.read()).group(1)) * 1024


@case("big-memory", FULL, 15)
def big_memory(test):
    """16 GiB of guest RAM: the guest sees them, and the host gives only what is touched."""
    free = int(re.search(r"MemAvailable:\s+(\d+)", open("/proc/meminfo").read()).group(1)) * 1024
    size = 16 if free > 17 * GIB else 6
    if free < 7 * GIB:
        raise Skip("less than 7 GiB of memory are free here")
    machine = test.machine("--memory", f"{size}G", "--kernel", archive.kernel("linux-image-cloud-amd64"), "--initrd",
                           initramfs.build(demo=True), "--append", "console=ttyS0 quiet")
    machine.expect(r"guest# ", 120)
    machine.line("grep MemTotal /proc/meminfo")
    found, _ = machine.expect(r"MemTotal: +(\d+) kB", 20)
    machine.must(int(found[1]) * 1024 > 0.95 * size * GIB, f"the guest sees {found[1]} kB of {size} GiB")
    if not test.is_reference:
        used = shared_memory(machine)
        machine.must(used < 0.1 * size * GIB, f"{used >> 20} MiB of the host's memory are used by an idle guest")
    machine.line("dd if=/dev/zero of=/tmp/a bs=1M count=512 2>/dev/null")
    machine.line("cp /tmp/a /tmp/b; cmp /tmp/a /tmp/b && echo same")
    machine.expect(r"\nsame", 60)
    machine.line("poweroff -f")
    machine.must_end(POWERED_OFF)


# Named CPU models, each with a kernel that fits it.
MODELS = [("x86-64-v2", "linux-image-cloud-amd64", "amd64"), ("x86-64-v3", "linux-image-cloud-amd64", "amd64"),
          ("x86-64-v4", "linux-image-cloud-amd64", "amd64"), ("pentium3", "linux-image-686", "i386")]


def cpu_model(model, kernel, arch):
    def run(test):
        if test.is_reference:
            raise Skip("the reference machine names its models otherwise")
        test.must(model in test.ring3("run", "--help").stdout, f"run --help does not list the CPU model {model}")
        tried = test.ring3("run", "--cpu", model, "--memory", "32M", "--display", "none", "--serial", "none",
                           "--timeout", 1)
        refusal = re.search(r"the host lacks instructions.*", tried.stderr)
        if refusal:
            raise Skip(refusal[0])
        machine = test.machine("--cpu", model, "--memory", "256M", "--kernel", archive.kernel(kernel, arch), "--initrd",
                               initramfs.build(arch, demo=True), "--append", "console=ttyS0 quiet ring3.poweroff")
        machine.expect("ring3: up", 120)
        machine.must_end(POWERED_OFF, 60)
    run.__doc__ = f"The CPU model {model} boots a kernel, or is refused where the host lacks its instructions."
    return run


for cpu, kernel_package, architecture in MODELS:
    case(f"cpu-models-{cpu}", FULL, 12)(cpu_model(cpu, kernel_package, architecture))
