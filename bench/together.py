# SPDX-License-Identifier: GPL-2.0-or-later
"""what: whole programs that have several CPUs: two against one, and four on a host of two against two.

The programs are programs.sh's, the tree is that of programs.py.  Natively a machine of N CPUs is N of the host's cores,
as far as it has so many.
"""

from programs import Programs

SETS = {1: ["make_j2", "openssl_two", "xz_two"],
        2: ["make_j2", "openssl_two", "xz_two", "make_j4", "hackbench", "spin"],
        4: ["make_j4", "hackbench", "spin"]}


class Together(Programs):
    """Rows of the group "together"."""

    def __init__(self, arch, kernel, names, paths):
        super().__init__(arch, kernel, ["none"], paths)
        self.sets = {cpus: [one for one in every if not names or one in names] for cpus, every in SETS.items()}
        if any(self.sets.values()):
            self.prepare(arch, kernel)

    def once(self, name):
        found = {}
        for self.cpus, self.names in self.sets.items():
            for row, (group, value) in super().once(name).items():
                if group == "programs":
                    found[f"{row}, {self.cpus} CPU{'s' if self.cpus > 1 else ''}"] = ("together", value)
        return found
