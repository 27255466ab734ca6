#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""what: turn a binary file into a C header with one const array: bin2c.py IN OUT NAME"""
import sys

src, dst, name = sys.argv[1:]
data = open(src, 'rb').read()
with open(dst, 'w') as out:
    out.write(f'/* generated */\nstatic const unsigned char {name}[{len(data)}] = {{\n')
    for i in range(0, len(data), 16):
        out.write('\t' + ' '.join(f'{b},' for b in data[i:i + 16]) + '\n')
    out.write('};\n')
