# A thin front over meson; see README.md.
