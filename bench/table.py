# SPDX-License-Identifier: GPL-2.0-or-later
"""what: medians, ratios and geometric means of what bench/run measured, as tables; and what was aimed at.

A row's value is in nanoseconds, but for the groups named in UNITS.
"""

import math
import statistics

UNITS = {"footprint": "", "engine": ""}
GROUPS = {"kernel": "kernel", "integer": "integer user code", "vector": "floating point, SIMD, x87, crypto",
          "smp": "two CPUs", "together": "programs on several CPUs", "device": "devices",
          "programs": "whole programs", "programs_cpu": "whole programs, CPU time",
          "boot": "boots", "boot_cpu": "boots, CPU time", "footprint": "footprint (memory in MiB)",
          "engine": "ring3 itself, booted to login"}
NATIVE, TCG = "ring3/native", "tcg/ring3"
# What is aimed at: a group's mean, its worst row, or a row by name; which figure of it; at most or at least what.
TARGETS = [
    ("integer", "mean", NATIVE, "<=", 1.6), ("integer", "worst", NATIVE, "<=", 3), ("integer", "mean", TCG, ">=", 3),
    ("integer", "worst", TCG, ">=", 1), ("vector", "mean", NATIVE, "<=", 2), ("vector", "mean", TCG, ">=", 8),
    ("vector", "worst", TCG, ">=", 1), ("kernel", "mean", NATIVE, "<=", 5), ("kernel", "mean", TCG, ">=", 3),
    ("kernel", "worst", TCG, ">=", 1), ("syscall", "row", "ring3", "<=", 300), ("fork_wait", "row", NATIVE, "<=", 7),
    ("fault_fresh", "row", "ring3", "<=", 6e3), ("pipe_round_trip", "row", "ring3", "<=", 25e3),
    ("boot_kernel", "row", "ring3", "<=", 1.5e9), ("boot_wall", "row", TCG, ">=", 2),
    ("installer-amd64", "row", "ring3", "<=", 12e9), ("programs", "mean", TCG, ">=", 4),
    ("memory beyond guest RAM at login", "row", "ring3", "<=", 96),
    ("idle at login, % of a core", "row", "ring3", "<=", 1),
]


# What several CPUs do against fewer: the row with fewer, that with more, how many times the work is aimed at.
SCALING = [
    ("smp_work_one", "smp_work_two", 1.9), ("smp_faults_one", "smp_faults_threads", 1.6),
    ("smp_faults_one", "smp_faults_processes", 1.9), ("make_j2, 1 CPU", "make_j2, 2 CPUs", 1.8),
    ("openssl_two, 1 CPU", "openssl_two, 2 CPUs", 1.95), ("xz_two, 1 CPU", "xz_two, 2 CPUs", 1.9),
    # more CPUs than cores, on a host of two: who holds a lock may be the one that has no core
    ("make_j4, 2 CPUs", "make_j4, 4 CPUs", 0.85), ("hackbench, 2 CPUs", "hackbench, 4 CPUs", 0.85),
    ("spin, 2 CPUs", "spin, 4 CPUs", 0.85),
]


def readable(value, group=""):
    if value is None:
        return "-"
    if group in UNITS:
        return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} ns"


def ratio(top, bottom):
    return top / bottom if top and bottom else None


def geometric_mean(values):
    values = [value for value in values if value]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def cell(value):
    return f"{value:.2f}" if value else "-"


def summary(results):
    """[{row, group, a median per machine, two ratios}], groups together, rows in the order in which they came."""
    names = {}
    for runs in results.values():
        for rows in runs:
            for row, (group, _) in rows.items():
                names.setdefault(row, group)
    table = []
    for row, group in sorted(names.items(), key=lambda pair: list(GROUPS).index(pair[1])):
        line = {"row": row, "group": group}
        for machine, runs in results.items():
            values = [rows[row][1] for rows in runs if row in rows]
            line[machine] = statistics.median(values) if values else None
        line[NATIVE] = ratio(line.get("ring3"), line.get("native"))
        line[TCG] = ratio(line.get("tcg"), line.get("ring3"))
        table.append(line)
    return table


def printed_rows(table):
    lines = ["| row | native | ring3 | TCG | ring3 / native | TCG / ring3 |", "| --- | --- | --- | --- | --- | --- |"]
    for group in dict.fromkeys(line["group"] for line in table):
        rows = [line for line in table if line["group"] == group]
        for line in rows:
            times = " | ".join(readable(line.get(machine), group) for machine in ("native", "ring3", "tcg"))
            lines.append(f"| {line['row']} | {times} | {cell(line[NATIVE])} | {cell(line[TCG])} |")
        if group not in UNITS:
            means = " | ".join(cell(geometric_mean(line[key] for line in rows)) for key in (NATIVE, TCG))
            lines.append(f"| **{GROUPS[group]}: geometric mean** | | | | **{means.replace(' | ', '** | **')}** |")
    return lines


def figure(table, what, kind, key):
    """(value, whose) that a target speaks of."""
    lines = [line for line in table if what in (line["row"], line["group"]) and line.get(key)]
    if not lines:
        return None, None
    if kind == "mean":
        return geometric_mean(line[key] for line in lines), None
    worst = (max if key == NATIVE else min)(lines, key=lambda line: line[key])
    return worst[key], worst["row"] if kind == "worst" else None


def printed_targets(table):
    lines = ["| aim | wanted | measured | |", "| --- | --- | --- | --- |"]
    for what, kind, key, relation, limit in TARGETS:
        value, row = figure(table, what, kind, key)
        if value is None:
            continue
        met = value <= limit if relation == "<=" else value >= limit
        group = next((line["group"] for line in table if line["row"] == what), "")
        told = [readable(one, group) if key == "ring3" else cell(one) for one in (limit, value)]
        name = GROUPS.get(what, what) + {"mean": ", geometric mean", "worst": ", worst row", "row": ""}[kind]
        unit = "" if key == "ring3" else {NATIVE: " ring3 / native", TCG: " TCG / ring3"}[key]
        which = f" ({row})" if row else ""
        lines.append(f"| {name}{unit} | {relation} {told[0]} | {told[1]}{which} | {'met' if met else 'short'} |")
    return lines


def printed_modes(table):
    """What automatic costs against the better of the modes that there are figures of."""
    lines = ["| row | automatic | tlb | windows | automatic / better |", "| --- | --- | --- | --- | --- |"]
    for line in table:
        one = [line[mode] for mode in ("tlb", "windows") if line.get(mode)]
        if one and line.get("ring3"):
            times = " | ".join(readable(line.get(mode), line["group"]) for mode in ("ring3", "tlb", "windows"))
            lines.append(f"| {line['row']} | {times} | {cell(line['ring3'] / min(one))} |")
    return ["", *lines] if len(lines) > 2 else []


def printed_scaling(table):
    """How many times the work of the fewer CPUs is done."""
    lines = ["| work | against | aim | native | ring3 | TCG |", "| --- | --- | --- | --- | --- | --- |"]
    rows = {line["row"]: line for line in table}
    for fewer, more, aim in SCALING:
        if fewer in rows and more in rows:
            cells = (cell(ratio(rows[fewer].get(one), rows[more].get(one))) for one in ("native", "ring3", "tcg"))
            lines.append(f"| {more} | {fewer} | {aim} | {' | '.join(cells)} |")
    return ["", *lines] if len(lines) > 2 else []


def printed(table):
    return "\n".join([*printed_rows(table), *printed_modes(table), *printed_scaling(table), "",
                      *printed_targets(table)])
