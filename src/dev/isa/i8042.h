// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 8042 keyboard controller with a PS/2 keyboard and a PS/2 mouse behind it */
#ifndef DEV_ISA_I8042_H
#define DEV_ISA_I8042_H

#include "base/wire.h"
#include "mem/mem.h"
#include "state/state.h"

struct i8042;

struct i8042_config {
	struct state_set *states; /* may be NULL */
	struct loop *loop;
	struct mem *mem;          /* may be NULL: no ports */
	struct wire irq1, irq12;
	struct wire a20;          /* told on every write of the output port */
	struct wire reset;        /* pulsed */
};

/* All functions: device lock held. */
struct i8042 *i8042_new(const struct i8042_config *cfg);
void i8042_free(struct i8042 *kbc);
void i8042_reset(struct i8042 *kbc);
/* Keys as the person pressed them: set 1 make and break codes, 0xe0 prefixes included. Dropped when the keyboard's
 * buffer is full. */
void i8042_key(struct i8042 *kbc, const uint8_t *set1codes, unsigned n);
/* Mouse movement (right, up) and buttons (bit 0 left, 1 right, 2 middle). */
void i8042_mouse(struct i8042 *kbc, int dx, int dy, int dz, uint8_t buttons);
/* Ports 0x60 (data) and 0x64 (status, command). */
uint8_t i8042_read_data(struct i8042 *kbc);
uint8_t i8042_read_status(struct i8042 *kbc);
void i8042_write_data(struct i8042 *kbc, uint8_t val);
void i8042_write_command(struct i8042 *kbc, uint8_t cmd);

#endif
