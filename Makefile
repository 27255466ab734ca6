# SPDX-License-Identifier: GPL-2.0-or-later
# what: a thin front over meson and the scripts; see README.md.
#
# `make demo` and `make check` install the Debian packages they miss (tools/deps.sh says which, with sudo where we
# are not root); `make` alone installs nothing and says what is missing.

BUILD = build
NINJA = ninja -C $(BUILD)

all: $(BUILD)/build.ninja
	@$(NINJA)

$(BUILD)/build.ninja:
	@tools/deps.sh check build
	@[ -f $@ ] || meson setup $(BUILD)

demo: deps-demo all
	@tools/demo

check: deps-check all
	@tests/run

check-quick: deps-check all
	@tests/run --suite quick

report: deps-check all
	@tests/run --report

check-long: deps-check all
	@tests/run --suite long

check-sanitize: deps-check
	@tools/sanitize

check-threads: deps-check
	@tools/threads --suite quick

deps-demo:
	@tools/deps.sh install build guest

deps-check:
	@tools/deps.sh install build guest test

bench: deps-check all
	@tools/deps.sh install bench
	@bench/run

clean:
	rm -rf $(BUILD)

distclean: clean
	rm -rf cache

.PHONY: all demo check check-quick check-sanitize check-threads report check-long deps-demo deps-check bench clean distclean
