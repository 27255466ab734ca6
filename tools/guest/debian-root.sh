#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# what: makes the files of a Debian system with debootstrap, then an ext4 file system of them, without being root.
#
# usage: debian-root.sh MIRROR SUITE CACHE TREE IMAGE OFFSET BLOCKS UUID WORKLOAD GRUBCFG
#
# The whole script runs inside `unshare --user --map-root-user --mount --pid --fork fakeroot` (disk.py starts it
# so).  The user namespace gives chroot and bind mounts; fakeroot remembers the owners and device nodes that one
# user id cannot make, inside the chroot too, where its library is lent at the same path; mke2fs -d then asks
# fakeroot for them.  Where namespaces are forbidden and we are root, the same script runs plainly.
set -eu
mirror=$1 suite=$2 cache=$3 tree=$4 image=$5 offset=$6 blocks=$7 uuid=$8 workload=$9 grubcfg=${10}
packages=linux-image-amd64,initramfs-tools,zstd,systemd-sysv,udev,dbus,e2fsprogs,kmod,login,iproute2
packages=$packages,gcc,libc6-dev,perl,python3,sqlite3,openssl

# A user namespace answers EINVAL to ids it does not map; fakeroot expects EPERM, so it shall not even try.
export FAKEROOTDONTTRYCHOWN=1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
umask 022

mkdir -p "$cache"
debootstrap --foreign --variant=minbase --arch=amd64 --cache-dir="$cache" --include="$packages" \
	"$suite" "$tree" "$mirror"

# fakeroot's library, for the programs in the chroot; the folder is not the package's, so it goes away cleanly.
library=
if [ -n "${FAKEROOTKEY:-}" ]; then
	library=$(dirname "$(find /usr/lib -name 'libfakeroot-sysv.so' | head -n 1)")
	mkdir -p "$tree$library"
	cp -a "$library/." "$tree$library/"
fi

# A small initramfs with the drivers of the machine's disks; it is what GRUB must read through the BIOS.
mkdir -p "$tree/etc/initramfs-tools/conf.d" "$tree/etc/dpkg/dpkg.cfg.d"
echo MODULES=list > "$tree/etc/initramfs-tools/conf.d/ring3"
printf '%s\n' ata_piix ata_generic sd_mod virtio_pci virtio_blk ext4 > "$tree/etc/initramfs-tools/modules"
echo force-unsafe-io > "$tree/etc/dpkg/dpkg.cfg.d/ring3"
echo "UUID=$uuid / ext4 errors=remount-ro 0 1" > "$tree/etc/fstab"

mount_parts() {
	mount --rbind /proc "$tree/proc"
	for node in null zero full random urandom tty; do
		[ -e "$tree/dev/$node" ] && mount --bind "/dev/$node" "$tree/dev/$node"
	done
}
unmount_parts() {
	for node in null zero full random urandom tty proc/sys proc; do
		umount -l "$tree/dev/$node" 2>/dev/null || umount -l "$tree/$node" 2>/dev/null || true
	done
}
mount_parts || echo "no bind mounts here, going on without"
chroot "$tree" /debootstrap/debootstrap --second-stage
mountpoint -q "$tree/proc" || mount_parts || true

echo ring3 > "$tree/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 ring3\n' > "$tree/etc/hosts"
chroot "$tree" passwd -d root
cat "$workload" > "$tree/root/workload.sh"
: > "$tree/etc/machine-id"
mkdir -p "$tree/boot/grub"
cat "$grubcfg" > "$tree/boot/grub/grub.cfg"

# The same programs, run on the host's CPU: what the guest's results must be equal to, byte for byte.
chroot "$tree" sh /root/workload.sh > "$image.expected"

unmount_parts
rm -rf "$tree/var/cache/apt/archives/"*.deb "$tree/var/lib/apt/lists/"* "$tree/tmp/"* "$tree/debootstrap"
[ -z "$library" ] || rm -rf "$tree$library"
mke2fs -q -F -t ext4 -U "$uuid" -L root -d "$tree" -E "offset=$offset" "$image" "$blocks"k
