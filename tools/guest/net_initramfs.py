# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the initramfs of the network tests: busybox, the drivers of a card, and a shell once eth0 is up.

The kernel's command line says how eth0 gets its address: net=dhcp, net=ADDRESS/BITS, or nothing: it has none.
"""

import archive
import initramfs

VIRTIO = ["virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"]
DRIVERS = {
    "virtio": [*VIRTIO, "failover", "net_failover", "virtio_net"],
    "e1000": ["e1000"],
    "rtl8139": ["mii", "8139too"],
    "ne2k_pci": ["8390", "ne2k-pci"],
    "pcnet": ["mii", "pcnet32"],
}

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /etc
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in %s; do insmod /$module.ko; done
ip link set lo up
ip link set eth0 up
for word in $(cat /proc/cmdline); do
	case $word in
	net=dhcp) udhcpc -i eth0 -s /udhcpc -n -q -t 10 -T 1 | grep lease ;;
	net=*) ip address add ${word#net=} dev eth0; echo "net: ${word#net=}" ;;
	esac
done
umount /sys /proc
exec /init
"""

DHCP = """#!/bin/busybox sh
[ $1 = bound ] || exit 0
ip address add $ip/$mask dev eth0
ip route add default via $router
echo nameserver $dns > /etc/resolv.conf
"""


def build(model="virtio", kernel="linux-image-cloud-amd64", more=(), tag=""):
    """Path of the initramfs for a card's model with this kernel; more and tag: as initramfs.build has extra and tag."""
    names = DRIVERS[model]
    extra = [(path.name, path.read_bytes(), 0o644) for path in archive.modules(kernel, names)]
    extra += [("net", (INIT % " ".join(names)).encode(), 0o755), ("udhcpc", DHCP.encode(), 0o755), *more]
    return initramfs.build(demo=True, extra=extra, tag=f"-net-{model}{tag}")
