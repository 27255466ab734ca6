#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# what: runs the whole programs that bench/run times, in the Debian tree: natively and in the guest
#
# usage: programs.sh NAME...
#
# For each it prints "bench: begin NAME" and "bench: end NAME SUM"; SUM is of the output and must be the same
# everywhere. A short run of the same program comes first, so that no disk is read while the clock runs.
export LC_ALL=C PYTHONHASHSEED=0
cd /root/bench || exit 1

short() {
	case $1 in
	gzip | xz) echo short | $1 | $1 -d ;;
	sha256sum) echo short | sha256sum ;;
	gcc | make)
		echo 'int main(void) { return 0; }' > /tmp/short.c
		gcc -O2 -o /tmp/short /tmp/short.c && make --version ;;
	python3) python3 -c 'import hashlib, json, re, zlib' ;;
	perl) perl -e 'print 1' ;;
	sqlite3) echo 'select 1;' | sqlite3 ;;
	make_j*) echo 'int main(void) { return 0; }' > /tmp/short.c && gcc -O2 -o /tmp/short /tmp/short.c ;;
	openssl_two) openssl dgst -sha512 < part ;;
	xz_two) echo short | xz -T2 ;;
	hackbench) hackbench -g 1 -f 2 -l 1 ;;
	spin) gcc -O2 -pthread -o /tmp/spin spin.c && /tmp/spin 1 ;;
	esac > /dev/null
}

long() {
	case $1 in
	gzip) gzip -6 < data ;;
	xz) xz -6 -T1 -c < part ;;
	sha256sum) cat data data data data data data | sha256sum ;;
	gcc) gcc -O1 -c -o /tmp/big.o big.c && cat /tmp/big.o ;;
	make) rm -rf /tmp/project && cp -r project /tmp/project && make -s -j2 -C /tmp/project && /tmp/project/project ;;
	python3) python3 script.py ;;
	perl) perl script.pl ;;
	sqlite3) rm -f /tmp/base.db && sqlite3 /tmp/base.db < script.sql ;;
	make_j*)
		rm -rf /tmp/project && cp -r project /tmp/project && make -s "-${1#make_}" -C /tmp/project &&
			/tmp/project/project ;;
	openssl_two)
		for job in 1 2; do
			cat data data data data data data | openssl dgst -sha512 > "/tmp/digest.$job" &
		done
		wait
		cat /tmp/digest.[12] ;;
	xz_two) cat part part | xz -6 -T2 --block-size=1MiB -c ;;
	hackbench) hackbench -g 2 -f 10 -l 400 | sed 's/^Time.*/Time/' ;;
	spin) /tmp/spin 300000 ;;
	esac
}

for name; do
	short "$name"
	cat data part > /dev/null
	echo "bench: begin $name"
	long "$name" > /tmp/output
	# the clock stops at the first word; the sum is not the program's business
	printf 'bench: end %s ' "$name"
	cksum < /tmp/output | cut -d' ' -f1
done
