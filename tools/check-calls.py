#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""what: no libc string function in code that runs while the guest's vector registers are live

Usage: check-calls.py LIBRARY...   (static libraries built with -mgeneral-regs-only)
Compilers turn struct copies and loops into calls to memcpy and friends, whose vector code would clobber guest state.
Objects that only run while a machine is being made may call them. Of the sanitizers' run time only what ends the
process may be called, what runs before main(), and the one function that cpu/raise.c replaces.
"""
import re
import subprocess
import sys

FORBIDDEN = re.compile(r'^(mem(cpy|set|move|cmp|chr)|str\w+|bzero|'
                       r'__ubsan_\w+|__asan_(?!report_|init|version_|register_|unregister_|handle_no_return$)\w+)$')
ALLOWED_OBJECTS = {'cpuid_host.c', 'cpuid_models.c', 'cpuid_build.c'}


def bad_calls(lib):
    obj = ''
    for line in subprocess.run(['nm', '-u', lib], capture_output=True, text=True, check=True).stdout.splitlines():
        if line.endswith('.o:'):
            obj = re.search(r'([^/]+)\.o:$', line).group(1)
        elif line.split()[-1:] and FORBIDDEN.match(line.split()[-1]) and obj not in ALLOWED_OBJECTS:
            yield f'{lib}: {obj} calls {line.split()[-1]}'


def objects(lib):
    return len(subprocess.run(['ar', 't', lib], capture_output=True, text=True, check=True).stdout.splitlines())


found = [text for lib in sys.argv[1:] for text in bad_calls(lib)]
print('\n'.join([*found, f'{sum(map(objects, sys.argv[1:]))} objects checked, {len(found)} breaches']))
sys.exit(1 if found else 0)
