// SPDX-License-Identifier: GPL-2.0-or-later
/* what: commands about the machine as a whole: its state and name, pause, reset, power; CPUs, consoles, mice
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api_int.h"
#include "api/commands.h"

API_COMMAND(query_name)
{
	return js_set(js_object(), "name", call->api->name ? js_str(call->api->name) : NULL);
}

API_COMMAND(query_uuid)
{
	return js_set(js_object(), "UUID", js_str("00000000-0000-0000-0000-000000000000"));
}

API_COMMAND(query_kvm)
{
	return js_set(js_set(js_object(), "enabled", js_bool(false)), "present", js_bool(false));
}

API_COMMAND(query_status)
{
	static const char *const states[] = {
		[PC_STATE_RUNNING] = "running", [PC_STATE_PAUSED] = "paused", [PC_STATE_SUSPENDED] = "suspended",
		[PC_STATE_SHUTDOWN] = "shutdown",
	};
	enum pc_state state = pc_state(call->pc);
	struct json *r = js_set(js_object(), "status", js_str(states[state]));

	js_set(r, "singlestep", js_bool(false));
	return js_set(r, "running", js_bool(state == PC_STATE_RUNNING));
}

API_COMMAND(stop)
{
	pc_pause(call->pc);
	return js_object();
}

API_COMMAND(cont)
{
	return pc_resume(call->pc, &call->err) ? NULL : js_object();
}

API_COMMAND(quit)
{
	pc_quit(call->pc);
	return js_object();
}

API_COMMAND(system_reset)
{
	pc_press_reset(call->pc);
	return js_object();
}

API_COMMAND(system_powerdown)
{
	pc_press_power(call->pc);
	return js_object();
}

API_COMMAND(system_wakeup)
{
	if (pc_state(call->pc) != PC_STATE_SUSPENDED)
		return api_fail(call, "Unable to wake up: guest is not in suspended state");
	pc_wake(call->pc);
	return js_object();
}

API_COMMAND(inject_nmi)
{
	pc_nmi(call->pc);
	return js_object();
}

API_COMMAND(set_action)
{
	const char *reboot = js_get_str(args, "reboot", NULL), *off = js_get_str(args, "shutdown", NULL);

	if (reboot)
		pc_set_reboot_ends(call->pc, !strcmp(reboot, "shutdown"));
	if (off)
		pc_set_off_pauses(call->pc, !strcmp(off, "pause"));
	return js_object();
}

static struct json *cpu_info(const struct pc *pc, unsigned n)
{
	const struct cpu_topology *t = &pc_configured(pc)->cpus;
	unsigned cores = MAX(t->cores, 1u), threads = MAX(t->threads, 1u);
	struct json *c = js_object(), *props = js_object();

	js_set(props, "socket-id", js_int(n / threads / cores));
	js_set(js_set(props, "core-id", js_int(n / threads % cores)), "thread-id", js_int(n % threads));
	js_set(c, "cpu-index", js_int(n));
	js_set(c, "qom-path", js_str("/machine/cpu"));
	js_set(c, "thread-id", js_int(pc_cpu_thread(pc, n)));
	js_set(c, "props", props);
	return js_set(c, "target", js_str("x86_64"));
}

API_COMMAND(query_cpus_fast)
{
	struct json *all = js_array();

	for (unsigned n = 0; n < pc_cpus(call->pc); n++)
		js_add(all, cpu_info(call->pc, n));
	return all;
}

static void add_chardev(struct json *all, const char *label, unsigned n, const char *where)
{
	char name[32];
	struct json *c = js_object();

	snprintf(name, sizeof(name), "%s%u", label, n);
	js_set(js_set(c, "label", js_str(name)), "filename", js_str(where));
	js_add(all, js_set(c, "frontend-open", js_bool(true)));
}

API_COMMAND(query_chardev)
{
	const struct pc_config *cfg = pc_configured(call->pc);
	struct json *all = js_array();

	for (unsigned n = 0; n < cfg->nserials; n++)
		if (strcmp(cfg->serial[n], "none"))
			add_chardev(all, "serial", n, cfg->serial[n]);
	if (cfg->console)
		add_chardev(all, "console", 0, cfg->console);
	return all;
}

API_COMMAND(query_vnc)
{
	return js_set(js_object(), "enabled", js_bool(false));
}

API_COMMAND(query_mice)
{
	struct json *m = js_object();

	js_set(m, "name", js_str("PS/2 Mouse"));
	js_set(m, "index", js_int(0));
	js_set(m, "current", js_bool(true));
	js_set(m, "absolute", js_bool(false));
	return js_add(js_array(), m);
}

API_COMMAND(x_ring3_stats)
{
	char text[PC_STATS_LEN];

	pc_stats(call->pc, text, sizeof(text));
	return js_str(text);
}

API_COMMAND(x_ring3_engine)
{
	static const char *const modes[] = { "automatic", "windows", "tlb" };
	const struct pc_config *cfg = pc_configured(call->pc);
	struct json *e = js_object();

	js_set(e, "pid", js_int(getpid()));
	js_set(e, "version", js_str(API_VERSION));
	js_set(e, "name", js_str("binary translation"));
	js_set(e, "mode", js_str(modes[cfg->mode]));
	js_set(e, "cpu", js_str(pc_model_name(call->pc)));
	js_set(e, "memory", js_uint(mem_ram_size(pc_mem(call->pc))));
	return js_set(e, "time-ns", js_uint(loop_now(pc_loop(call->pc))));
}
