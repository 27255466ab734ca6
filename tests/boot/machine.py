# SPDX-License-Identifier: GPL-2.0-or-later
"""what: runs ring3 and talks to its serial console: send a line, expect a pattern, judge how it ended.

A reader thread notes when each byte came, so that tests can judge the guest's clock by the host's.  Everything
the guest said is kept in a log file for whoever has to find out why a test failed.
"""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time

from screen import Screen

# The exit statuses, as in src/cli/cli.h and docs/exit-status.md.
POWERED_OFF, HOST, BAD_INPUT, RESET, TRIPLE_FAULT, TIMEOUT, QUIT, STUCK = range(8)
FATAL = re.compile(r"Kernel panic[^\r\n]*|end Kernel panic|System halted")
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>78])")


class Failure(Exception):
    """The machine did not do what the test expects."""


class Machine:
    def __init__(self, program, args, log, slow=1.0, terminal=False, verb="run", env=None):
        self.log = open(log, "wb")
        self.slow = slow
        self.text = ""
        self.at = 0
        self.arrivals = []
        self.errors = b""
        self.screen = None
        self.news = threading.Condition()
        self.started = time.time()
        self.open = True
        command = [program, verb, *args]
        env = dict(os.environ, **env or {})
        if terminal:
            self._start_in_terminal(command, env)
        else:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, start_new_session=True, env=env)
            self.keys, self.console = self.process.stdin, self.process.stdout
        self.readers = [threading.Thread(target=self._read_console, daemon=True),
                        threading.Thread(target=self._read_errors, daemon=True)]
        for reader in self.readers:
            reader.start()

    def _start_in_terminal(self, command, env):
        """A terminal of 50 lines by 100 columns; patterns are then looked for in what its screen shows."""
        self.screen = Screen(50, 100)
        terminal, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 100, 0, 0))
        self.process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=subprocess.PIPE,
                                        start_new_session=True, env=dict(env, TERM="xterm"))
        os.close(inner)
        self.keys = os.fdopen(terminal, "wb", buffering=0)
        self.console = os.fdopen(os.dup(terminal), "rb", buffering=0)

    def _read_some(self):
        try:
            return os.read(self.console.fileno(), 65536)
        except OSError:         # a terminal whose other side is closed
            return b""

    def _read_console(self):
        while data := self._read_some():
            self.log.write(data)
            self.log.flush()
            with self.news:
                if self.screen:
                    self.screen.feed(data)
                    self.text = self.screen.text()
                else:
                    self.text += data.decode("latin-1")
                    self.arrivals.append((len(self.text), time.time()))
                self.news.notify_all()
        with self.news:
            self.open = False
            self.news.notify_all()

    def _read_errors(self):
        while data := os.read(self.process.stderr.fileno(), 65536):
            self.errors += data

    def _arrival(self, end):
        """When the byte before position end came."""
        for length, when in self.arrivals:
            if length >= end:
                return when
        return time.time()

    def _failed(self, why):
        lines = ESCAPES.sub("", self.text).replace("\r", "").split("\n")
        lines = [line for line in lines if line.strip()][-25:]
        tail = "\n".join("    | " + line[:160] for line in lines)
        errors = self.errors.decode(errors="replace")[-2000:].strip()
        raise Failure(f"{why}\n{tail}" + (f"\n  standard error: {errors}" if errors else ""))

    def expect(self, pattern, timeout=60):
        """Waits for pattern behind what was matched before; returns (match, time of arrival)."""
        deadline = time.time() + timeout * self.slow
        wanted = re.compile(pattern)
        with self.news:
            while True:
                found = wanted.search(self.text, self.at)
                if found:
                    self.at = 0 if self.screen else found.end()
                    return found, self._arrival(found.end())
                fatal = FATAL.search(self.text, self.at)
                if fatal:
                    self._failed(f"'{fatal.group()}' while waiting for '{pattern}'")
                left = deadline - time.time()
                if left <= 0 or not self.open:
                    why = f"no '{pattern}' within {timeout * self.slow:.0f} s" if self.open else \
                        f"ring3 ended before '{pattern}'"
                    break
                self.news.wait(left)
        if not self.open:
            self.readers[1].join(2)
        self._failed(why)

    def forget(self):
        """Drops what was read so far, for tests that run for hours."""
        with self.news:
            self.text = self.text[self.at:]
            self.at = 0
            self.arrivals = [(len(self.text), time.time())]

    def send(self, text):
        try:
            self.keys.write(text.encode())
            self.keys.flush()
        except BrokenPipeError:
            self._failed("ring3 ended while it was typed to")

    def line(self, text):
        self.send(text + "\r")

    def wait(self, timeout=30):
        """The exit status; a status below 0 is the signal that killed ring3."""
        try:
            status = self.process.wait(timeout * self.slow)
        except subprocess.TimeoutExpired:
            self._failed(f"ring3 still runs after {timeout * self.slow:.0f} s")
        for reader in self.readers:
            reader.join(5)
        return status

    def must_end(self, status, timeout=30):
        got = self.wait(timeout)
        if got != status:
            self._failed(f"ring3 ended with {got}, expected {status}")

    def must(self, cond, why):
        if not cond:
            self._failed(why)

    def family(self):
        """Process ids of ring3 and its children."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children") as children:
                        todo += [int(child) for child in children.read().split()]
            except OSError:
                pass
        return found

    def cpu_seconds(self):
        """CPU time used so far, by ring3 and its children, those that have ended included."""
        total = 0
        for pid in self.family():
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        return total

    def footprint(self):
        """(resident private bytes, so without guest RAM, which is shared; open files), with children, or None."""
        private = files = 0
        for pid in self.family():
            try:
                with open(f"/proc/{pid}/status") as status:
                    found = re.search(r"RssAnon:\s+(\d+)", status.read())
                files += len(os.listdir(f"/proc/{pid}/fd"))
            except OSError:
                found = None
            if not found:
                return None     # it is ending: nothing left to measure
            private += int(found.group(1)) * 1024
        return private, files

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for reader in self.readers:
            reader.join(5)
        for stream in (self.keys, self.console, self.process.stderr, self.log):
            try:
                stream.close()
            except OSError:
                pass
