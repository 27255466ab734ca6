// SPDX-License-Identifier: GPL-2.0-or-later
/* what: `ring3 doctor`: which execution engines this host allows and why, by trying them
 *
 * Nothing is concluded from the presence of a file: translation is tried by running guest code, the double mapping of
 * the code cache by executing from one. /dev/kvm is looked at closely because it often lies: some hosts offer a KVM in
 * software that only runs modified guests, and then CPUID shows neither VMX nor SVM.
 */
#include <cpuid.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/cli.h"
#include "vcpu/vcpu.h"

static void say(bool good, const char *what, const char *why)
{
	printf("  %-4s %-22s %s\n", good ? "yes" : "no", what, why);
}

/* Host CPU features the translator uses when present; SDM vol 2A, CPUID leaf 7. */
static void report_cpu(void)
{
	unsigned a, b = 0, c, d, max = __get_cpuid_max(0, NULL);
	bool windows = pc_engine()->can(ENGINE_WINDOWS);
	char name[49] = { 0 };

	for (unsigned i = 0; i < 3; i++)
		__get_cpuid(0x80000002 + i, (unsigned *)(name + 16 * i), (unsigned *)(name + 16 * i + 4),
		            (unsigned *)(name + 16 * i + 8),
		            (unsigned *)(name + 16 * i + 12));
	printf("Host CPU: %s\n", name + strspn(name, " "));
	if (max >= 7)
		__get_cpuid_count(7, 0, &a, &b, &c, &d);
	say(b & bit_BMI2, "BMI2", b & bit_BMI2 ? "returns through a cache of 1024 slots" :
	    "user code runs slower: Intel has it since 2013, AMD since 2015");
	say(b & bit_AVX2, "AVX2", b & bit_AVX2 ? "guests may use it" : "guests will not see it");
	say(b & bit_AVX512F, "AVX-512", b & bit_AVX512F ? "guests may use it" : "guests will not see it");
	say(windows, "windows", windows ? "user memory is reached without checks" :
	    "user code runs slower: they need BMI2");
}

/* The code cache is one memory seen twice: written here, executed there. Try it with `mov eax, 42; ret`. */
static bool try_double_mapping(const char **why)
{
	static const uint8_t code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };
	int fd = memfd_create("ring3-doctor", MFD_CLOEXEC), got = 0;
	void *w, *x;

	*why = "memfd_create fails on this host";
	if (fd < 0)
		return false;
	w = ftruncate(fd, 4096) ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	x = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	*why = "the host forbids executable mappings of a memfd (a security policy?)";
	if (w != MAP_FAILED && x != MAP_FAILED) {
		memcpy(w, code, sizeof(code));
		got = ((int (*)(void))x)();
	}
	if (w != MAP_FAILED)
		munmap(w, 4096);
	if (x != MAP_FAILED)
		munmap(x, 4096);
	close(fd);
	if (got == 42)
		*why = "one memory, writable here and executable there";
	return got == 42;
}

static bool report_translation(void)
{
	struct err err = { "" };
	const char *why;
	bool mapping = try_double_mapping(&why), ok;

	printf("\nBinary translation (the engine ring3 uses):\n");
	say(mapping, "write-xor-execute", why);
	ok = mapping && !vcpu_probe(pc_engine(), &err);
	say(ok, "runs guest code", ok ? "a few guest instructions gave what they should" : mapping ? err.msg : "not tried");
	return ok;
}

static void report_kvm(void)
{
	unsigned a = 0, b, c = 0, d, c1 = 0;
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), version;
	char why[160];
	bool hw;

	__get_cpuid(1, &a, &b, &c, &d);
	__get_cpuid(0x80000001, &a, &b, &c1, &d);
	hw = (c & 1u << 5) || (c1 & 1u << 2); /* SDM vol 2A CPUID.1:ECX[5]; APM vol 3 8000_0001h ECX[2], SVM */
	printf("\nKVM (not used yet: ring3 translates everywhere):\n");
	if (fd < 0) {
		snprintf(why, sizeof(why), "/dev/kvm cannot be opened: %s", strerror(errno));
		say(false, "/dev/kvm", why);
	} else {
		version = ioctl(fd, KVM_GET_API_VERSION, 0);
		snprintf(why, sizeof(why), "opened, API version %d", version);
		say(version == KVM_API_VERSION, "/dev/kvm", why);
		close(fd);
	}
	say(hw, "VMX or SVM in CPUID", hw ? "the CPU offers hardware virtualization here"
	                                  : "no hardware virtualization in this (virtual) CPU; "
	                                    "a /dev/kvm here would be software for modified guests");
}

static void report_memory(void)
{
	struct rlimit as, file;
	char why[160];

	printf("\nLimits:\n");
	getrlimit(RLIMIT_AS, &as);
	getrlimit(RLIMIT_FSIZE, &file);
	snprintf(why, sizeof(why), as.rlim_cur == RLIM_INFINITY ? "unlimited" : "%llu MiB (ulimit -v)",
	         (unsigned long long)as.rlim_cur >> 20);
	say(as.rlim_cur == RLIM_INFINITY || as.rlim_cur > GIB(4), "address space", why);
	snprintf(why, sizeof(why), file.rlim_cur == RLIM_INFINITY ? "unlimited" :
	         "%llu MiB (ulimit -f): guest RAM is a file in memory",
	         (unsigned long long)file.rlim_cur >> 20);
	say(file.rlim_cur == RLIM_INFINITY || file.rlim_cur > GIB(2), "file size", why);
}

int cmd_doctor(int argc, char **argv)
{
	bool ok;

	if (argc) {
		fprintf(stderr, "ring3: doctor takes no arguments, not '%s'\n", argv[0]);
		return EXIT_BAD_INPUT;
	}
	report_cpu();
	ok = report_translation();
	report_kvm();
	report_memory();
	if (ok)
		printf("\n"
		       "Guests run on this host, by binary translation. Expect user-mode code at roughly a third of native speed\n"
		       "up to native speed, depending on how much it touches memory; Linux boots in seconds.\n");
	else
		printf("\nGuests do not run on this host: see the lines with \"no\" above.\n");
	return ok ? 0 : EXIT_HOST;
}
