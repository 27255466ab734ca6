# SPDX-License-Identifier: GPL-2.0-or-later
"""what: makes what the whole programs of bench/run work on: text, C sources, scripts; the same bytes each time."""

import random

MIB = 1 << 20
FUNCTIONS, LINES = 400, 25      # of the large C file: 10,000 lines
FILES = 6                      # of the small project

PYTHON = """import hashlib, json, math, re, zlib
words = {}
seed = 7
for i in range(120000):
    seed = seed * 16807 % 2147483647
    words.setdefault(str(seed)[:3], []).append(chr(97 + seed % 26))
text = json.dumps({key: "".join(value) for key, value in sorted(words.items())})
print(len(text), hashlib.sha256(text.encode()).hexdigest(), zlib.crc32(zlib.compress(text.encode(), 6)))
print(sum(len(found) for found in re.findall(r"[b-d][f-h]*[j-n]", text)))
class Node:
    def __init__(self, key):
        self.key, self.left, self.right = key, None, None
def insert(node, key):
    while node:
        side = "left" if key < node.key else "right"
        if getattr(node, side) is None:
            setattr(node, side, Node(key))
            return
        node = getattr(node, side)
root = Node(1 << 30)
for i in range(60000):
    seed = seed * 16807 % 2147483647
    insert(root, seed)
print(seed, sum(math.sqrt(i) * math.sin(i) for i in range(600000)))
"""

PERL = """my (%w, $x);
$x = 7;
for (1 .. 900000) { $x = ($x * 16807) % 2147483647; $w{substr("$x", 0, 3)} .= chr(97 + $x % 26); }
my $s = join ",", map { "$_=" . reverse $w{$_} } sort keys %w;
$s =~ s/([aeiou]+)/\\U$1/g;
my $n = 0;
$n++ while $s =~ /[B-Db-d]\\w[j-n]+/g;
my @sorted = sort { $a <=> $b } map { ($_ * 7919) % 1000003 } 1 .. 400000;
printf "%d %s %d %d\\n", length $s, unpack("%32C*", $s), $n, $sorted[5000];
"""

SQL = """create table t (a integer primary key, b text, c real);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
	insert into t select i, hex(i * 7919 % 100003), i / 7.0 from n;
commit;
create index tb on t (b);
select count(*), sum(c), max(b) from t where b like '%33%3' and a % 7 = 0;
select count(*) from t x join t y on x.b = hex(y.a) where x.a % 3 = 0;
delete from t where a % 3 = 0;
select count(*), avg(length(b)), total(c) from t;
pragma integrity_check;
"""


def text(size, seed):
    """Words with the frequencies of a language, more or less."""
    dice = random.Random(seed)
    words = ["".join(dice.choices("etaoinshrdlucmfwyp", k=dice.randint(2, 9))) for _ in range(4000)]
    weights = [1 / (rank + 2) for rank in range(len(words))]
    chosen = dice.choices(words, weights, k=size // 5)
    return "\n".join(" ".join(chosen[at:at + 12]) for at in range(0, len(chosen), 12))[:size]


def function(name, dice):
    """LINES lines of C that an optimizer has work with."""
    a, b, c = (dice.randint(3, 99) for _ in range(3))
    body = [f"unsigned {name}(unsigned *table, unsigned n)", "{", f"\tunsigned sum = {a}, last = n;",
            "\tfor (unsigned i = 0; i < n; i++) {", f"\t\tunsigned value = table[i % {b}] * {c};",
            "\t\tswitch (value & 7) {"]
    for case in range(6):
        change, shift = dice.choice(["+=", "^=", "-="]), dice.choice([">>", "<<"])
        body.append(f"\t\tcase {case}: sum {change} value {shift} {case + 1}; break;")
    body += ["\t\tdefault: sum = sum * 31 + last;", "\t\t}", "\t\tif (sum > last && value % 3 == 1)",
             f"\t\t\ttable[(i + {a}) % {b}] = sum - last;", "\t\telse if (sum & 1)", "\t\t\tsum = sum / 3 + value;",
             "\t\tlast = value;", "\t}", "\treturn sum ^ last;", "}"]
    return body + [""] * (LINES - len(body))


def source(prefix, count, seed):
    dice = random.Random(seed)
    lines = []
    for number in range(count):
        lines += function(f"{prefix}{number}", dice)
    return "\n".join(lines) + "\n"


def project():
    """{name: text} of a Makefile and its sources."""
    names = [f"part{number}" for number in range(FILES)]
    calls = "".join(f"\tsum += {name}_0(table, 200);\n" for name in names)
    declared = "".join(f"unsigned {name}_0(unsigned *table, unsigned n);\n" for name in names)
    objects = " ".join(f"{name}.o" for name in [*names, "main"])
    return {"Makefile": f"CFLAGS = -O2\nproject: {objects}\n\tgcc -o $@ $^\n",
            "main.c": f"#include <stdio.h>\n{declared}\nint main(void)\n{{\n"
                      f"\tunsigned table[100] = {{1, 2, 3}}, sum = 0;\n{calls}"
                      "\tprintf(\"%u\\n\", sum);\n\treturn 0;\n}\n",
            **{f"{name}.c": source(f"{name}_", 16, name) for name in names}}


# Four threads, one lock: who holds it while the host runs another of them keeps all waiting.
SPIN = """#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_spinlock_t lock;
static unsigned long shared[64];

static void *worker(void *turns)
{
	for (long n = *(long *)turns; n--;) {
		pthread_spin_lock(&lock);
		for (int k = 0; k < 64; k++)
			shared[k]++;
		pthread_spin_unlock(&lock);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long turns = argc > 1 ? atol(argv[1]) : 1;
	pthread_t thread[4];

	pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE);
	for (int k = 0; k < 4; k++)
		pthread_create(&thread[k], NULL, worker, &turns);
	for (int k = 0; k < 4; k++)
		pthread_join(thread[k], NULL);
	printf("%lu\\n", shared[63]);
	return 0;
}
"""


def write(folder):
    """All inputs into folder."""
    (folder / "project").mkdir(parents=True, exist_ok=True)
    (folder / "data").write_text(text(12 * MIB, "data"))
    (folder / "part").write_text(text(1 * MIB, "part"))
    (folder / "big.c").write_text(source("f", FUNCTIONS, "big"))
    (folder / "script.py").write_text(PYTHON)
    (folder / "script.pl").write_text(PERL)
    (folder / "script.sql").write_text(SQL)
    (folder / "spin.c").write_text(SPIN)
    for name, content in project().items():
        (folder / "project" / name).write_text(content)
