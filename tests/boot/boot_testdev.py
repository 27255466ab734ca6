# SPDX-License-Identifier: GPL-2.0-or-later
"""what: the devices that kernel test suites expect, used by tiny guests as docs/test-devices.md promises."""

from cases import QUICK, case


@case("test-device", QUICK, 1)
def test_device(test):
    """Issue 3, item 4: latch, MMIO, lines, page, debug ports, fw_cfg; multiboot's command line and modules."""
    one, two, said = test.folder / "one", test.folder / "two", test.folder / "debug.txt"
    one.write_text("first\n")
    two.write_text("second\n")
    image = test.assemble("testdev", *["-DREFERENCE"] * test.is_reference)
    done = test.ring3("run", "--memory", "64M", "--display", "none", "--serial", "stdio", "--kernel", image,
                      "--append", "a=1  b", "--initrd", f"{one} x y,{two}", "--test-device", "--debug-exit",
                      "--debugcon", f"0x1e9:{said}", "--timeout", 20, timeout=30)
    words = [line[1:-1] for line in done.stdout.splitlines()]
    test.must(words == [f"{image} a=1  b", f"{one} x y", "first", str(two), "second"], f"the guest was told {words}")
    test.must(done.returncode == (0x1234 << 1 | 1) & 255, f"check {done.returncode >> 1} failed: {done.stderr}")
    test.must(said.read_bytes() == b"debug\0\xff\n", f"the debug console's file holds {said.read_bytes()}")


@case("firmware-sizes", QUICK, 2)
def firmware_sizes(test):
    """Issue 3, item 4: --firmware maps 64 KiB to 16 MiB below 4 GiB and the last 128 KiB (or 64) below 1 MiB."""
    for size in (64, 128, 192, 256, 4096) if test.is_reference else (64, 100, 128, 192, 256, 4096, 16384):
        image = test.assemble("firmware", f"-DSIZE={size << 10}")
        done = test.ring3("run", "--memory", "16M", "--display", "none", "--serial", "none", "--firmware", image,
                          "--debug-exit", "--timeout", 20, timeout=30)
        test.must(done.returncode == 0x21, f"{size} KiB: ended with {done.returncode}: {done.stderr[-500:]}")
