#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# what: says which Debian packages are missing, or installs them: tools/deps.sh check|install SET...
#
# Sets: build (the program), guest (fetching and packing guests), test (what the tests run besides), bench (QEMU).
set -eu

build="gcc libc6-dev pkg-config meson ninja-build libzydis-dev libslirp-dev libjansson-dev zlib1g-dev libzstd-dev"
build="$build acpica-tools seabios ipxe-qemu"
guest="python3 apt dpkg tar ca-certificates debian-archive-keyring"
test="clang libclang-rt-14-dev clang-tidy cppcheck libcmocka-dev nasm debootstrap fakeroot e2fsprogs grub-common"
test="$test util-linux mount openssl wget ovmf qemu-utils"
bench="qemu-system-x86 iperf3"

usage() {
	echo "usage: tools/deps.sh check|install build|guest|test|bench..." >&2
	exit 2
}

[ $# -ge 2 ] || usage
verb=$1
shift
wanted=
for set in "$@"; do
	case $set in
	build) wanted="$wanted $build" ;;
	guest) wanted="$wanted $guest" ;;
	test) wanted="$wanted $test" ;;
	bench) wanted="$wanted $bench" ;;
	*) usage ;;
	esac
done

missing=
for package in $wanted; do
	dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
		missing="$missing $package"
done

lists_there() {
	[ -n "$(apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages' 'Origin: Debian' |
		xargs -r ls 2>/dev/null)" ]
}

case $verb in
check)
	[ -z "$missing" ] && exit 0
	echo "These Debian packages are missing:$missing" >&2
	echo "Install them with: apt-get install --no-install-recommends$missing" >&2
	exit 1
	;;
install)
	as_root=
	[ "$(id -u)" = 0 ] || as_root=sudo
	if [ -z "$missing" ] && lists_there; then
		exit 0
	fi
	if [ -n "$as_root" ] && ! command -v sudo > /dev/null; then
		echo "Not root and no sudo here; as root, run:" \
			"apt-get update && apt-get install --no-install-recommends$missing" >&2
		exit 1
	fi
	echo "Installing Debian packages${as_root:+ (with sudo)}:${missing:- none, only their lists}"
	$as_root apt-get -q update
	[ -z "$missing" ] ||
		$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends $missing
	;;
*)
	usage
	;;
esac
