#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""what: no libc string function in code that runs while the guest's vector registers are live

Usage: check-calls.py LIBRARY... --plain LIBRARY...   (static libraries built with -mgeneral-regs-only)
Compilers turn struct copies and loops into calls to memcpy and friends, whose vector code would clobber guest state.
Objects that only run while a machine is being made may call them. Of the sanitizers' run time only what ends the
process may be called, what runs before main(), and the one function that cpu/raise.c replaces.

Chips (--plain) are the other way round: most of libc and of our own rooms is out of their reach, so what they call must
be in the libraries named, or listed here. What goes through wires and timers no symbol shows: the device test `plain`
looks whether registers stay as they are.
"""
import re
import subprocess
import sys

FORBIDDEN = re.compile(r'^(mem(cpy|set|move|cmp|chr)|str\w+|bzero|'
                       r'__ubsan_\w+|__asan_(?!report_|init|version_|register_|unregister_|handle_no_return$)\w+)$')
ALLOWED_OBJECTS = {'cpuid_host.c', 'cpuid_models.c', 'cpuid_build.c'}

# the kernel's services and integer arithmetic; what ends the process; compilers' own
SYSTEM = re.compile(r'^(syscall|clock_gettime|timerfd_settime|__errno_location|__u?divti3|must_failed|'
                    r'_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__asan_\w+|__sancov\w+|__sanitizer_cov_\w+|'
                    r'__(start|stop)___sancov\w+)$')
# while a machine is made, reset or taken apart, or in PCI's configuration space: then the FPU is parked
SELDOM = re.compile(r'^(xalloc|free|snprintf|state_set_add|mem_ports_(en|dis)able|mem_region_(en|dis)able|'
                    r'mem_region_move|pci_(add|set_ids|register_state|bus_set_intx))$')
# by object: in a shelter (base/shelter.h), or called by devices that are not plain
ELSEWHERE = {'log.c': {'snprintf', 'vsnprintf', 'write', 'poll'},
             'wires.c': {'pc_end_with', 'pc_ask_sleep', 'pc_ask_wake'},
             'dma.c': {'mem_dma_read', 'mem_dma_write'}}


def symbols(lib, *flags):
    """(object, symbol) of each undefined or defined one."""
    obj = ''
    for line in subprocess.run(['nm', *flags, lib], capture_output=True, text=True, check=True).stdout.splitlines():
        if line.endswith('.o:'):
            obj = re.search(r'([^/]+)\.o:$', line).group(1)
        elif line.split():
            yield obj, line.split()[-1]


def bad_calls(lib):
    for obj, name in symbols(lib, '-u'):
        if FORBIDDEN.match(name) and obj not in ALLOWED_OBJECTS:
            yield f'{lib}: {obj} calls {name}'


def unknown_calls(lib, known):
    for obj, name in symbols(lib, '-u'):
        elsewhere = ELSEWHERE.get(re.sub(r'^(isa|pci|sys)_', '', obj), set())
        if not (name in known or name in elsewhere or SYSTEM.match(name) or SELDOM.match(name)):
            yield f'{lib}: {obj} calls {name}, of which nothing is known'


def objects(lib):
    return len(subprocess.run(['ar', 't', lib], capture_output=True, text=True, check=True).stdout.splitlines())


at = sys.argv.index('--plain') if '--plain' in sys.argv else len(sys.argv)
hot, plain = sys.argv[1:at], sys.argv[at + 1:]
defined = {name for lib in hot + plain for _, name in symbols(lib, '--defined-only', '-g')}
found = [text for lib in hot + plain for text in bad_calls(lib)]
found += [text for lib in plain for text in unknown_calls(lib, defined)]
print('\n'.join([*found, f'{sum(map(objects, hot + plain))} objects checked, {len(found)} breaches']))
sys.exit(1 if found else 0)
