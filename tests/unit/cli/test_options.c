// SPDX-License-Identifier: GPL-2.0-or-later
/* what: tests of cli/options.c: what the options mean, and the one line for each that is wrong */
#include "unit.h"

#include <sched.h>
#include <stdio.h>

#include "cli/cli.h"

#define PARSE(o, err, ...) parse(o, err, (char *[]){ __VA_ARGS__, NULL })

static int parse(struct run_options *o, struct err *err, char **argv)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	err->msg[0] = 0;
	return options_parse(o, argc, argv, err);
}

static void defaults_are_what_users_expect(void **state)
{
	/* Issue 2: 1 GiB, COM1 on the terminal unless the terminal shows the screen. */
	struct run_options o;
	struct err err;

	assert_int_equal(PARSE(&o, &err, "--disk", "a.img"), 0);
	assert_int_equal(o.pc.memory, GIB(1));
	assert_int_equal(o.pc.nserials, 1);
	assert_string_equal(o.pc.serial[0], "stdio");
	options_free(&o);
	assert_int_equal(PARSE(&o, &err, "--display", "text"), 0);
	assert_int_equal(o.pc.nserials, 0);
	options_free(&o);
}

static void disks_have_keys(void **state)
{
	/* Issue 2: FILE[,format=raw][,interface=ide|virtio][,readonly][,snapshot], also as --disk=... */
	struct run_options o;
	struct err err;

	assert_int_equal(PARSE(&o, &err, "--disk", "a,interface=virtio,snapshot", "--disk=b,format=raw,readonly"), 0);
	assert_int_equal(o.pc.ndisks, 2);
	assert_string_equal(o.pc.disk[0].path, "a");
	assert_string_equal(o.pc.disk[0].interface, "virtio");
	assert_true(o.pc.disk[0].snapshot && !o.pc.disk[0].readonly);
	assert_string_equal(o.pc.disk[1].path, "b");
	assert_true(o.pc.disk[1].readonly);
	options_free(&o);
}

static void optional_argument_comes_with_equals(void **state)
{
	/* --debug-exit[=PORT]: the next word is not its argument. */
	struct run_options o;
	struct err err;

	assert_int_equal(PARSE(&o, &err, "--debug-exit", "--no-reboot"), 0);
	assert_int_equal(o.pc.debug_exit_port, 0xf4);
	assert_true(o.pc.no_reboot);
	options_free(&o);
	assert_int_equal(PARSE(&o, &err, "--debug-exit=0x501"), 0);
	assert_int_equal(o.pc.debug_exit_port, 0x501);
	options_free(&o);
}

static void nets_have_keys(void **state)
{
	/* Issue 16: --net KIND[,model=..][,mac=..][,hostfwd=..]..., repeated; what is wrong is named, and what is known. */
	static const struct { const char *net, *says; } bad[] = {
		{ "usr", "there is no network 'usr'" }, { "user,modl=virtio", "'modl' is unknown for user" },
		{ "user,model=tulip", "model 'tulip' is unknown: virtio, e1000" }, { "user,mac=1", "like 52:54:00:12:34:56" },
		{ "user,mac=01:00:5e:00:00:01", "group" }, { "user,restrict=1", "takes no value" },
		{ "user,tftp", "needs a value" },
		{ "user,tftp=", "needs a value" }, { "user,mtu=100", "576 to 65520" }, { "user,mtu=1500x", "576 to 65520" },
		{ "user,loss=101", "give percent" }, { "user,loss=x", "give percent" }, { "user,delay=-1", "milliseconds" },
		{ "user,hostfwd=tcp:22", "is no forward" }, { "user,guestfwd=tcp:10.0.2.9:1-x", "leads nowhere" },
		{ "socket", "connect=, listen= and dgram=" }, { "socket,connect=x", "unix:PATH or HOST:PORT" },
		{ "socket,connect=:0", "unix:PATH or HOST:PORT" }, { "socket,listen=unix:", "unix:PATH or HOST:PORT" },
		{ "socket,connect=:1,listen=:2", "exclude each other" }, { "socket,dgram=:1", "need each other" },
		{ "socket,connect=:1,local=:2", "need each other" }, { "socket,connect=:1,tftp=a", "unknown for socket" },
		{ "switch", "give user, switch:NAME" }, { "switch:", "no name of a switch" }, { "switch:../a", "no name" },
		{ "switch:.a", "no name" }, { "switch:a,vlan=4095", "1 to 4094, or trunk" }, { "switch:a,vlan=x", "or trunk" },
		{ "switch:a,standby=b", "no switch" }, { "switch:a,standby=switch:a", "the same switch" },
		{ "tap,name=a/b", "no name of a device" }, { "user,bootfile=a", "tftp=DIR" },
		{ "none,model=e1000", "unknown for none" }, { "user,", "'' is unknown" },
	};
	struct run_options o;
	struct err err;

	assert_int_equal(PARSE(&o, &err, "--net",
	                       "user,model=e1000,mac=52:54:00:00:00:01,hostfwd=tcp::1-:2,hostfwd=udp::1-:2",
	                       "--net", "none",
	                       "--net=user,restrict,loss=0.5,delay=1.5,mtu=9000,dump=a"), 0);
	assert_int_equal(o.pc.nnets, 2);
	assert_string_equal(o.pc.net[0].model, "e1000");
	assert_int_equal(o.pc.net[0].net.nhostfwd, 2);
	assert_true(o.pc.net[0].has_mac && o.pc.net[0].mac[5] == 1 && !o.pc.net[1].has_mac);
	assert_true(o.pc.net[1].net.restricted && !o.pc.net[1].net.nhostfwd);
	assert_int_equal(o.pc.net[1].net.port.loss, 5000);
	assert_int_equal(o.pc.net[1].net.port.delay_us, 1500);
	options_free(&o);
	assert_int_equal(PARSE(&o, &err, "--net", "socket,dgram=[::1]:5,local=:6",
	                       "--net", "switch:lab-1,vlan=trunk,mirror=m", "--net", "socket,connect=unix:/a"), 0);
	assert_true(o.pc.net[0].net.way == NET_SOCKET_DGRAM && o.pc.net[2].net.way == NET_SOCKET_CONNECT);
	assert_string_equal(o.pc.net[1].net.name, "lab-1");
	assert_int_equal(o.pc.net[1].net.vlan, NET_VLAN_TRUNK);
	options_free(&o);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_not_equal(PARSE(&o, &err, "--net", (char *)(uintptr_t)bad[i].net), 0);
		if (!strstr(err.msg, bad[i].says) || strncmp(err.msg, "--net: ", 7))
			fail_msg("%s: %s", bad[i].net, err.msg);
		options_free(&o);
	}
	assert_int_not_equal(PARSE(&o, &err, "--net", "user,mac=52:54:00:00:00:01", "--net",
	                           "user,mac=52:54:00:00:00:01"), 0);
	options_free(&o);
}

static void debugcon_has_port_and_file(void **state)
{
	/* --debugcon PORT:FILE: the port in any base C knows, a file that may hold colons. */
	static const char *const bad[] = { "0xe9", "0xe9:", ":a", "x:a", "0:a", "0x10000:a", "-1:a" };
	struct run_options o;
	struct err err;

	assert_int_equal(PARSE(&o, &err, "--debugcon", "0xe9:a:b", "--test-device"), 0);
	assert_int_equal(o.pc.debugcon_port, 0xe9);
	assert_string_equal(o.pc.debugcon, "a:b");
	assert_true(o.pc.test_device);
	options_free(&o);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_not_equal(PARSE(&o, &err, "--debugcon", (char *)bad[i]), 0);
		options_free(&o);
	}
}

static void console_takes_one_stream(void **state)
{
	/* --console WHERE: like --serial but never none; nothing has two owners, and COM1 leaves the terminal to it. */
	struct run_options o;
	struct err err;

	assert_int_equal(PARSE(&o, &err, "--console", "unix:a"), 0);
	assert_string_equal(o.pc.console, "unix:a");
	assert_string_equal(o.pc.serial[0], "stdio");
	options_free(&o);
	assert_int_equal(PARSE(&o, &err, "--console", "stdio"), 0);
	assert_int_equal(o.pc.nserials, 0);
	options_free(&o);
	assert_int_equal(PARSE(&o, &err, "--console", "pty", "--serial", "pty"), 0);
	options_free(&o);
	assert_int_not_equal(PARSE(&o, &err, "--console", "none"), 0);
	options_free(&o);
	assert_int_not_equal(PARSE(&o, &err, "--console", "file:a", "--serial", "file:a"), 0);
	assert_non_null(strstr(err.msg, "cannot share"));
	options_free(&o);
	assert_int_not_equal(PARSE(&o, &err, "--console", "stdio", "--display", "text"), 0);
	options_free(&o);
}

static void floppies_fill_two_drives(void **state)
{
	/* --floppy names the disk of the next drive, A first; none is a drive without one; there is no third. */
	struct run_options o;
	struct err err;

	assert_int_equal(PARSE(&o, &err, "--floppy", "a.img"), 0);
	assert_int_equal(o.pc.nfloppies, 1);
	assert_string_equal(o.pc.floppy[0], "a.img");
	options_free(&o);
	assert_int_equal(PARSE(&o, &err, "--floppy", "none", "--floppy", "b.img"), 0);
	assert_int_equal(o.pc.nfloppies, 2);
	assert_null(o.pc.floppy[0]);
	assert_string_equal(o.pc.floppy[1], "b.img");
	options_free(&o);
	assert_int_not_equal(PARSE(&o, &err, "--floppy", "a", "--floppy", "b", "--floppy", "c"), 0);
	assert_non_null(strstr(err.msg, "A and B"));
	options_free(&o);
}

static void pinning_names_cores(void **state)
{
	/* Issue 15: --pin takes cores, ranges of them and auto, and only those that there are. */
	static const char *const bad[] = { "", "x", "0,", ",0", "0-", "-1", "1-0", "0x0", "0,99999999999", "autos", "0;0" };
	struct run_options o;
	struct err err;
	cpu_set_t own;
	unsigned core = 0;
	char text[64];

	assert_int_equal(sched_getaffinity(0, sizeof(own), &own), 0);
	while (!CPU_ISSET(core, &own))
		core++;
	snprintf(text, sizeof(text), "%u,%u-%u,%u", core, core, core, core);
	assert_int_equal(PARSE(&o, &err, "--pin", text), 0);
	assert_int_equal(o.pc.pin.n, 3);
	assert_int_equal(o.pc.pin.core[2], core);
	options_free(&o);
	assert_int_equal(PARSE(&o, &err, "--pin", "auto"), 0);
	assert_int_equal(o.pc.pin.n, MIN(CPU_COUNT(&own), PC_CPUS_MAX));
	assert_int_equal(o.pc.pin.core[0], core);
	options_free(&o);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_not_equal(PARSE(&o, &err, "--pin", (char *)bad[i]), 0);
		options_free(&o);
	}
	snprintf(text, sizeof(text), "%d", CPU_SETSIZE);
	assert_int_not_equal(PARSE(&o, &err, "--pin", text), 0);
	options_free(&o);
}

static void sizes_have_units(void **state)
{
	/* A size is a number with K, M, G or T; anything else is told, nothing overflows. */
	static const struct { const char *text; uint64_t size; } good[] = {
		{ "64K", KIB(64) }, { "512M", MIB(512) }, { "2g", GIB(2) }, { "1GiB", GIB(1) }, { "1T", GIB(1024) },
	};
	static const char *const bad[] = { "512", "M", "-1G", "1X", "1Mx", "99999999999999T", "1.5G", " 1G",
		"99999999999999999999G" };
	struct err err;
	uint64_t size;

	for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(options_parse_size(good[i].text, &size, &err), 0);
		assert_int_equal(size, good[i].size);
	}
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_not_equal(options_parse_size(bad[i], &size, &err), 0);
}

static void wrong_options_are_told(void **state)
{
	/* Issue 2: one clear line that names the option and what would be right. */
	static const struct { char *argv[5]; const char *says; } cases[] = {
		{ { "--memroy", "1G" }, "--memory" },
		{ { "--xyzzy" }, "--help" },
		{ { "--memory" }, "--memory SIZE" },
		{ { "--memory", "0" }, "too small" },
		{ { "--memory", "9999T" }, "more than this host has" },
		{ { "--no-reboot=yes" }, "no argument" },
		{ { "--boot", "x" }, "floppy" },
		{ { "--disk", "a,interface=scsi" }, "virtio" },
		{ { "--disk", "a", "--disk", "a" }, "twice" },
		{ { "--kernel", "a", "--kernel", "b" }, "twice" },
		{ { "--floppy", "a", "--floppy", "a" }, "twice" },
		{ { "--initrd", "a" }, "--kernel" },
		{ { "--serial", "tcp:1" }, "unix:PATH" },
		{ { "--timeout", "soon" }, "seconds" },
		{ { "a.img" }, "--disk" },
	};
	struct run_options o;
	struct err err;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_not_equal(parse(&o, &err, (char **)cases[i].argv), 0);
		assert_non_null(strstr(err.msg, cases[i].says));
		assert_null(strchr(err.msg, '\n'));
		options_free(&o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_what_users_expect),
		cmocka_unit_test(disks_have_keys),
		cmocka_unit_test(optional_argument_comes_with_equals),
		cmocka_unit_test(nets_have_keys), cmocka_unit_test(debugcon_has_port_and_file),
		cmocka_unit_test(console_takes_one_stream),
		cmocka_unit_test(floppies_fill_two_drives),
		cmocka_unit_test(pinning_names_cores),
		cmocka_unit_test(sizes_have_units),
		cmocka_unit_test(wrong_options_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
