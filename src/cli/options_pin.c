// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the argument of --pin: which of the host's cores each virtual CPU's thread is kept to
 *
 * "auto", or cores and ranges of cores like 0,2-3, which the CPUs take in turn, beginning again when there are more
 * CPUs than cores. Only cores that this process may use are taken: a thread can be on no other.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static int add(struct pc_pin *pin, unsigned core, struct err *err)
{
	if (pin->n == PC_CPUS_MAX)
		return err_set(err, -EINVAL, "there are more than %d cores: a machine has no more CPUs", PC_CPUS_MAX);
	pin->core[pin->n++] = (uint16_t)core;
	return 0;
}

static int add_allowed(struct pc_pin *pin, const cpu_set_t *allowed)
{
	for (unsigned core = 0; core < CPU_SETSIZE && pin->n < PC_CPUS_MAX; core++)
		if (CPU_ISSET(core, allowed))
			pin->core[pin->n++] = (uint16_t)core;
	return 0;
}

/* The number at *s, which then points behind it; negative: there is none. */
static int number(const char **s)
{
	char *end;
	unsigned long n;

	if (**s < '0' || **s > '9')
		return -EINVAL;
	n = strtoul(*s, &end, 10);
	*s = end;
	return n < CPU_SETSIZE ? (int)n : CPU_SETSIZE;
}

/* N or N-M at *s */
static int add_range(struct pc_pin *pin, const char **s, const cpu_set_t *allowed, struct err *err)
{
	int first = number(s), last = first;

	if (first >= 0 && **s == '-') {
		++*s;
		last = number(s);
	}
	if (first < 0 || last < first || (**s && **s != ','))
		return err_set(err, -EINVAL, "a list of the host's cores is wanted, like 0,1 or 2-5, or auto");
	for (; first <= last; first++) {
		if (first >= CPU_SETSIZE || !CPU_ISSET((unsigned)first, allowed))
			return err_set(err, -EINVAL, "core %d is none that this process may use: see Cpus_allowed_list in "
			               "/proc/self/status", first);
		if (add(pin, (unsigned)first, err))
			return -EINVAL;
	}
	return 0;
}

int options_pin(struct run_options *o, const char *arg, struct err *err)
{
	struct pc_pin *pin = &o->pc.pin;
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return err_set(err, -errno, "this host does not say which cores there are: %s", strerror(errno));
	if (!strcmp(arg, "auto"))
		return add_allowed(pin, &allowed);
	for (;; arg++) {
		if (add_range(pin, &arg, &allowed, err))
			return -EINVAL;
		if (!*arg)
			return 0;
	}
}
