#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# what: makes the Debian tree whose programs bench/run times, or runs one command in it natively
#
# usage: tree.sh make MIRROR SUITE ARCH CACHE TREE
#        tree.sh run TREE COMMAND...            with $BENCH_PREFIX before it, which brings the namespaces
#
# Started in the namespaces that disk.py chooses (tools/guest/debian-root.sh tells why fakeroot), so its mounts go away
# with it. The guest gets the same files on a disk.
set -eu
export FAKEROOTDONTTRYCHOWN=1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 022

mount_parts() {
	mount --rbind /proc "$tree/proc" || true
	for node in null zero full random urandom tty; do
		[ -e "$tree/dev/$node" ] || : > "$tree/dev/$node"
		mount --bind "/dev/$node" "$tree/dev/$node" || true
	done
}

make_tree() {
	mirror=$1 suite=$2 arch=$3 cache=$4 tree=$5
	mkdir -p "$cache"
	debootstrap --foreign --variant=minbase --arch="$arch" --cache-dir="$cache" \
		--include=gcc,libc6-dev,make,openssl,perl,python3,rt-tests,sqlite3,xz-utils "$suite" "$tree" "$mirror"
	if [ -n "${FAKEROOTKEY:-}" ]; then
		library=$(dirname "$(find /usr/lib -name 'libfakeroot-sysv.so' | head -n 1)")
		mkdir -p "$tree$library"
		cp -a "$library/." "$tree$library/"
	fi
	mount_parts
	chroot "$tree" /debootstrap/debootstrap --second-stage
	rm -rf "$tree/var/cache/apt/archives/"*.deb "$tree/var/lib/apt/lists/"* "$tree/debootstrap"
}

run_in_tree() {
	tree=$1
	shift
	mount_parts 2> /dev/null
	mount -t tmpfs tmp "$tree/tmp" || true
	exec chroot "$tree" "$@"
}

what=$1
shift
case $what in
make) make_tree "$@" ;;
run)
	if [ -n "${BENCH_PREFIX:-}" ]; then
		prefix=$BENCH_PREFIX
		unset BENCH_PREFIX
		exec $prefix "$0" run "$@"
	fi
	run_in_tree "$@" ;;
esac
