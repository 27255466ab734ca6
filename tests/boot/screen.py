# SPDX-License-Identifier: GPL-2.0-or-later
"""what: as much of a terminal as is needed to read what --display text (or QEMU's curses) draws.

Text is drawn there piece by piece with cursor movements, so that only the finished screen can be searched.
Control sequences: ECMA-48 and xterm's ctlseqs; colours and modes are skipped.
"""

import codecs
import re

SEQUENCE = re.compile(r"\x1b(?:\[([0-9;?]*)([@-~])|[()]([A-Za-z0-9])|[=>78cM]|\][^\x07]*\x07)")
PARTIAL = re.compile(r"\x1b(?:\[[0-9;?]*|[()]|\][^\x07]*)?$")


class Screen:
    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.last = " "
        self.rest = ""
        self.decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.cells)

    def feed(self, data):
        text = self.rest + self.decode(data)
        self.rest = ""
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                self._put(text[at])
                at += 1
                continue
            found = SEQUENCE.match(text, at)
            if found:
                if found[2]:
                    self._control([int(n) if n.isdigit() else 0 for n in found[1].lstrip("?").split(";")], found[2])
                at = found.end()
            elif PARTIAL.match(text, at):
                self.rest = text[at:]
                break
            else:
                at += 1

    def _put(self, char):
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._down()
        elif char == "\b":
            self.column = max(0, self.column - 1)
        elif char == "\t":
            self.column = min(self.columns - 1, self.column // 8 * 8 + 8)
        elif char >= " ":
            if self.column == self.columns:
                self.column = 0
                self._down()
            self.cells[self.row][self.column] = self.last = char
            self.column += 1

    def _down(self):
        if self.row < self.rows - 1:
            self.row += 1
        else:
            self.cells = self.cells[1:] + [[" "] * self.columns]

    def _blank(self, row, start, end):
        for column in range(start, min(end, self.columns)):
            self.cells[row][column] = " "

    def _erase_screen(self, how):
        above, below = (how in (1, 2, 3)), (how in (0, 2, 3))
        for row in range(self.rows):
            if (row < self.row and above) or (row > self.row and below):
                self._blank(row, 0, self.columns)
        self._erase_line(how)

    def _erase_line(self, how):
        start, end = (self.column if how == 0 else 0), (self.column + 1 if how == 1 else self.columns)
        self._blank(self.row, start, end)

    def _control(self, numbers, final):
        first = numbers[0]
        count = max(1, first)
        moves = {"A": (-count, 0), "B": (count, 0), "C": (0, count), "D": (0, -count)}
        if final in "Hf":
            self.row, self.column = count - 1, max(1, numbers[1] if len(numbers) > 1 else 1) - 1
        elif final in moves:
            self.row, self.column = self.row + moves[final][0], self.column + moves[final][1]
        elif final == "d":
            self.row = count - 1
        elif final == "G":
            self.column = count - 1
        elif final == "J":
            self._erase_screen(first)
        elif final == "K":
            self._erase_line(first)
        elif final == "X":
            self._blank(self.row, self.column, self.column + count)
        elif final == "b":
            for _ in range(count):
                self._put(self.last)
        elif final == "P":
            line = self.cells[self.row]
            self.cells[self.row] = (line[:self.column] + line[self.column + count:] + [" "] * count)[:self.columns]
        elif final == "@":
            line = self.cells[self.row]
            self.cells[self.row] = (line[:self.column] + [" "] * count + line[self.column:])[:self.columns]
        self.row = min(max(self.row, 0), self.rows - 1)
        self.column = min(max(self.column, 0), self.columns - 1)
