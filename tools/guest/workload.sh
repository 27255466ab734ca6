#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# what: computations whose every output byte is fixed; run in the Debian tree on the host and again in the guest.
export LC_ALL=C PYTHONHASHSEED=0
dir=$(mktemp -d) && cd "$dir" || exit 1

perl -e 'my $x = 12345; for (1 .. 500000) { $x = ($x * 1103515245 + 12345) & 0x7fffffff; print pack("N", $x); }' > data
for digest in md5 sha1 sha224 sha256 sha384 sha512 sha512-256 sha3-224 sha3-256 sha3-384 sha3-512 shake128 shake256 \
	blake2b512 blake2s256 ripemd160 sm3; do
	echo "openssl $digest $(openssl dgst -$digest < data 2>&1 | sed 's/.*= *//')"
done
for cipher in aes-128-cbc aes-256-ctr aes-192-ecb chacha20 camellia-256-cbc aria-128-cbc des-ede3-cbc; do
	echo "openssl $cipher $(openssl enc -$cipher -K 00112233445566778899aabbccddeeff0011223344556677 \
		-iv 000102030405060708090a0b0c0d0e0f -in data 2>/dev/null | sha256sum)"
done

cat > prog.c <<'END'
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node { struct node *left, *right; uint32_t key; };

static struct node *insert(struct node *at, uint32_t key)
{
	if (!at) {
		at = calloc(1, sizeof(*at));
		at->key = key;
	} else if (key < at->key) {
		at->left = insert(at->left, key);
	} else {
		at->right = insert(at->right, key);
	}
	return at;
}

static unsigned depth(const struct node *at)
{
	unsigned l = at ? depth(at->left) : 0, r = at ? depth(at->right) : 0;
	return at ? 1 + (l > r ? l : r) : 0;
}

int main(void)
{
	struct node *root = NULL;
	double sum = 0, m[32][32];
	long double ext = 0;
	float f = 0;
	uint32_t x = 1;
	for (int i = 0; i < 100000; i++) {
		x = x * 1664525 + 1013904223;
		root = insert(root, x >> 4);
		sum += sin(x) * sqrt(i) / (1 + fabs(cos(i)));
		ext = ext * 0.999L + (long double)x / 3;
		f = f * 0.5f + (float)x;
	}
	for (int i = 0; i < 32; i++)
		for (int j = 0; j < 32; j++)
			m[i][j] = exp(-(double)(i * j) / 100);
	for (int n = 0; n < 32; n++)
		for (int i = 0; i < 32; i++)
			for (int j = 0; j < 32; j++)
				m[i][j] = fma(m[i][n], m[n][j], m[j][i]) / 8;
	printf("%u %.17g %.20Lg %.9g %.17g %lld\n", depth(root), sum, ext, f, m[7][9], llround(sum));
	return 0;
}
END
for level in 0 1 2 3 s; do
	gcc -O$level -S -o prog.s prog.c && gcc -O$level -o prog prog.c -lm
	echo "gcc -O$level $(sha256sum < prog.s) $(sha256sum < prog) $(./prog)"
done
gcc -O2 -mavx2 -mfma -S -o prog.s prog.c && echo "gcc avx2 $(sha256sum < prog.s)"

perl -e 'my %w; my $x = 7;
	for (1 .. 60000) { $x = ($x * 16807) % 2147483647; $w{substr("$x", 0, 3)} .= chr(97 + $x % 26); }
	my $s = join ",", map { "$_=" . reverse $w{$_} } sort keys %w; $s =~ s/([aeiou]+)/\U$1/g;
	printf "%d %s %.15g\n", length $s, unpack("%32C*", $s), atan2(1, 3) ** 7.3;' | sed 's/^/perl /'

python3 - <<'END'
import hashlib, json, math, re, sqlite3, zlib
n = math.factorial(2000) ** 3 // (3 ** 5000 + 1)
text = json.dumps({str(i): [math.sin(i), math.exp(i / 50), i ** 0.3] for i in range(4000)})
print("python", hashlib.sha256(str(pow(7, n, 10 ** 40)).encode()).hexdigest(), n.bit_length())
print("python", hashlib.blake2b(text.encode()).hexdigest()[:40], zlib.crc32(zlib.compress(text.encode(), 9)))
backwards = hashlib.sha3_256(text[::-1].encode()).hexdigest()
print("python", sum(len(m) for m in re.findall(r"\d+\.(\d+?)0", text)), backwards)
base = sqlite3.connect(":memory:")
base.execute("create table t (a integer primary key, b real)")
base.executemany("insert into t values (?, ?)", ((i, math.cos(i)) for i in range(5000)))
print("python", *base.execute("select count(*), sum(b), max(b) from t where a % 7 = 3").fetchone())
END

sqlite3 base.db <<'END'
create table t (a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
	insert into t select i, hex(i * 7919), i / 7.0 from n;
create index tb on t (b);
select 'sqlite', count(*), sum(c), max(b), group_concat(a) from t where b like '%33%3' and a % 7 = 0;
delete from t where a % 3 = 0;
vacuum;
select 'sqlite', count(*), avg(length(b)), total(c) from t;
pragma integrity_check;
END
echo "sqlite file $(sha256sum < base.db | cut -c1-64)"
echo "find $(find /usr/lib/python3 /usr/share/perl -type f | sort | xargs cat | sha256sum)"
cd / && rm -rf "$dir"
