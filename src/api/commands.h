// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the functions behind the commands of commands.json: each takes checked arguments and returns its reply */
#ifndef API_COMMANDS_H
#define API_COMMANDS_H

struct api_call;
struct json;

#define API_COMMAND(name) struct json *api_##name(struct api_call *call, struct json *args)
API_COMMAND(qmp_capabilities);
API_COMMAND(query_version);
API_COMMAND(query_commands);
API_COMMAND(query_events);
API_COMMAND(query_qmp_schema);
API_COMMAND(query_name);
API_COMMAND(query_uuid);
API_COMMAND(query_kvm);
API_COMMAND(query_status);
API_COMMAND(stop);
API_COMMAND(cont);
API_COMMAND(quit);
API_COMMAND(system_reset);
API_COMMAND(system_powerdown);
API_COMMAND(system_wakeup);
API_COMMAND(inject_nmi);
API_COMMAND(set_action);
API_COMMAND(query_cpus_fast);
API_COMMAND(query_block);
API_COMMAND(query_blockstats);
API_COMMAND(query_chardev);
API_COMMAND(query_pci);
API_COMMAND(query_vnc);
API_COMMAND(query_mice);
API_COMMAND(send_key);
API_COMMAND(input_send_event);
API_COMMAND(screendump);
API_COMMAND(memsave);
API_COMMAND(pmemsave);
API_COMMAND(human_monitor_command);
API_COMMAND(eject);
API_COMMAND(blockdev_open_tray);
API_COMMAND(blockdev_close_tray);
API_COMMAND(blockdev_change_medium);
API_COMMAND(getfd);
API_COMMAND(closefd);
API_COMMAND(add_fd);
API_COMMAND(remove_fd);
API_COMMAND(query_fdsets);
API_COMMAND(x_ring3_stats);
API_COMMAND(x_ring3_engine);
API_COMMAND(x_ring3_load);
API_COMMAND(x_ring3_save);
API_COMMAND(x_ring3_state);
API_COMMAND(x_ring3_type);

#endif
