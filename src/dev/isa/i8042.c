// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the 8042 keyboard controller
 *
 *   port 0x64 --> command ----------> reply ------------------+
 *   port 0x60 --> parameter, or keyboard --> its queue --translation--> output buffer --> port 0x60, IRQ 1
 *   0xd4, port 0x60 --> mouse --> its queue ----------------------------> output buffer --> port 0x60, IRQ 12
 *
 * I1  The output buffer holds one byte. It is refilled no sooner than GAP_NS after it was read: a real keyboard
 *     needs a millisecond for a byte, and old software reads the same scan code more than once.
 * I2  A device's byte enters the buffer only while its interface is enabled; a controller reply always, over anything
 *     that is there (the real controller overwrites too).
 * I3  IRQ 1 and 12 follow from status and command byte.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard/Auxiliary Device Controller".
 */
#include "dev/isa/i8042.h"

#include <stdlib.h>

#include "dev/isa/ps2_int.h"

#define GAP_NS 200000u

enum {
	STATUS_OBF = 0x01, STATUS_SYS = 0x04, STATUS_CMD = 0x08, STATUS_UNLOCKED = 0x10, STATUS_AUX = 0x20,
	CTR_KBD_INT = 0x01, CTR_AUX_INT = 0x02, CTR_SYS = 0x04, CTR_KBD_OFF = 0x10, CTR_AUX_OFF = 0x20, CTR_XLATE = 0x40,
	OUT_NO_RESET = 0x01, OUT_A20 = 0x02, OUT_KBD_INT = 0x10, OUT_AUX_INT = 0x20, OUT_ALWAYS = 0xcc,
	CMD_READ_RAM = 0x20, CMD_WRITE_RAM = 0x60, CMD_RAM_MASK = 0xe0, CMD_PASSWORD_TEST = 0xa4, CMD_AUX_OFF = 0xa7,
	CMD_AUX_ON = 0xa8, CMD_AUX_TEST = 0xa9, CMD_SELF_TEST = 0xaa, CMD_KBD_TEST = 0xab, CMD_KBD_OFF = 0xad,
	CMD_KBD_ON = 0xae, CMD_READ_INPUT = 0xc0, CMD_READ_OUTPUT = 0xd0, CMD_WRITE_OUTPUT = 0xd1, CMD_WRITE_KBD_OBF = 0xd2,
	CMD_WRITE_AUX_OBF = 0xd3, CMD_WRITE_AUX = 0xd4, CMD_A20_OFF = 0xdd, CMD_A20_ON = 0xdf, CMD_TEST_INPUTS = 0xe0,
	CMD_PULSE = 0xf0,
	NO_PASSWORD = 0xf1, SELF_TEST_OK = 0x55, INPUT_UNLOCKED = 0x80,
	BREAK = 0xf0, RELEASED = 0x80,
};

struct i8042_state {
	struct ps2kbd_state kbd;
	struct ps2mouse_state mouse;
	uint64_t read_at;   /* when the output buffer was last emptied */
	uint8_t ram[32];    /* ram[0] is the command byte */
	uint8_t status, obuf, outport;
	uint8_t expect;     /* command that waits for its parameter, 0: none */
	uint8_t pad_[4];
};

static const struct st_field i8042_type_fields[] = {
	ST_SUB(struct i8042_state, kbd, &ps2kbd_state_type), ST_SUB(struct i8042_state, mouse, &ps2mouse_state_type),
	ST(struct i8042_state, read_at), ST_ARRAY(struct i8042_state, ram), ST(struct i8042_state, status),
	ST(struct i8042_state, obuf), ST(struct i8042_state, outport), ST(struct i8042_state, expect),
	ST_ARRAY(struct i8042_state, pad_),
};
static ST_TYPE(i8042_type, struct i8042_state, 1, NULL);

struct i8042 {
	struct i8042_state s;
	struct i8042_config cfg;
	struct loop_timer timer;
	struct mem_ports data_port, command_port;
};

/* --- the output buffer --- */

static void update_irqs(struct i8042 *k)
{
	uint8_t st = k->s.status, ctr = k->s.ram[0];
	bool full = st & STATUS_OBF, aux = st & STATUS_AUX;

	wire_set(&k->cfg.irq1, full && !aux && ctr & CTR_KBD_INT);
	wire_set(&k->cfg.irq12, full && aux && ctr & CTR_AUX_INT);
}

static void fill(struct i8042 *k, uint8_t byte, bool aux)
{
	/* Lower the line first: the new byte is a new edge. */
	k->s.status &= (uint8_t)~(STATUS_OBF | STATUS_AUX);
	update_irqs(k);
	k->s.obuf = byte;
	k->s.status |= STATUS_OBF | (aux ? STATUS_AUX : 0);
	update_irqs(k);
}

static uint8_t next_key_byte(struct i8042 *k)
{
	struct ps2_queue *q = &k->s.kbd.q;
	uint8_t byte = ps2_queue_pop(q), released = 0;

	if (!(k->s.ram[0] & CTR_XLATE))
		return byte;
	if (byte == BREAK && !ps2_queue_empty(q)) {
		released = RELEASED;
		byte = ps2_queue_pop(q);
	}
	return ps2kbd_translate(byte) | released;
}

static void pump(void *opaque)
{
	struct i8042 *k = opaque;
	uint8_t ctr = k->s.ram[0];
	uint64_t due = k->s.read_at + GAP_NS;
	bool key, aux;

	if (!(ctr & CTR_AUX_OFF))
		ps2mouse_poll(&k->s.mouse);
	key = !(ctr & CTR_KBD_OFF) && !ps2_queue_empty(&k->s.kbd.q);
	aux = !(ctr & CTR_AUX_OFF) && !ps2_queue_empty(&k->s.mouse.q);
	if (k->s.status & STATUS_OBF || (!key && !aux))
		return;
	if (loop_now(k->cfg.loop) < due)
		loop_timer_set(&k->timer, due);
	else if (key)
		fill(k, next_key_byte(k), false);
	else
		fill(k, ps2_queue_pop(&k->s.mouse.q), true);
}

uint8_t i8042_read_data(struct i8042 *k)
{
	uint8_t byte = k->s.obuf;

	if (k->s.status & STATUS_OBF) {
		k->s.status &= (uint8_t)~(STATUS_OBF | STATUS_AUX);
		k->s.read_at = loop_now(k->cfg.loop);
		update_irqs(k);
		pump(k);
	}
	return byte;
}

uint8_t i8042_read_status(struct i8042 *k)
{
	return k->s.status | STATUS_UNLOCKED | (k->s.ram[0] & CTR_SYS ? STATUS_SYS : 0);
}

/* --- the output port --- */

static void set_outport(struct i8042 *k, uint8_t val)
{
	k->s.outport = val & (OUT_NO_RESET | OUT_A20);
	wire_set(&k->cfg.a20, val & OUT_A20);
	if (!(val & OUT_NO_RESET)) {
		k->s.outport |= OUT_NO_RESET;
		wire_pulse(&k->cfg.reset);
	}
}

static uint8_t read_outport(const struct i8042 *k)
{
	uint8_t st = k->s.status, val = k->s.outport | OUT_ALWAYS;

	if (st & STATUS_OBF)
		val |= st & STATUS_AUX ? OUT_AUX_INT : OUT_KBD_INT;
	return val;
}

/* --- commands --- */

static void set_ctr(struct i8042 *k, uint8_t val)
{
	k->s.ram[0] = val;
	update_irqs(k);
	pump(k);
}

static bool simple_command(struct i8042 *k, uint8_t cmd)
{
	uint8_t ctr = k->s.ram[0];

	switch (cmd) {
	case CMD_AUX_OFF:
		set_ctr(k, ctr | CTR_AUX_OFF);
		break;
	case CMD_AUX_ON:
		set_ctr(k, ctr & (uint8_t)~CTR_AUX_OFF);
		break;
	case CMD_KBD_OFF:
		set_ctr(k, ctr | CTR_KBD_OFF);
		break;
	case CMD_KBD_ON:
		set_ctr(k, ctr & (uint8_t)~CTR_KBD_OFF);
		break;
	case CMD_A20_OFF:
		set_outport(k, k->s.outport & (uint8_t)~OUT_A20);
		break;
	case CMD_A20_ON:
		set_outport(k, k->s.outport | OUT_A20);
		break;
	case CMD_WRITE_OUTPUT:
	case CMD_WRITE_KBD_OBF:
	case CMD_WRITE_AUX_OBF:
	case CMD_WRITE_AUX:
		k->s.expect = cmd;
		break;
	default:
		return false;
	}
	return true;
}

/* What a command answers, or -1. */
static int reply_to(struct i8042 *k, uint8_t cmd)
{
	switch (cmd) {
	case CMD_PASSWORD_TEST:
		return NO_PASSWORD;
	case CMD_SELF_TEST:
		k->s.ram[0] |= CTR_SYS;
		return SELF_TEST_OK;
	case CMD_AUX_TEST:
	case CMD_KBD_TEST:
	case CMD_TEST_INPUTS:
		return 0;
	case CMD_READ_INPUT:
		return INPUT_UNLOCKED;
	case CMD_READ_OUTPUT:
		return read_outport(k);
	default:
		return (cmd & CMD_RAM_MASK) == CMD_READ_RAM ? k->s.ram[cmd & 31] : -1;
	}
}

void i8042_write_command(struct i8042 *k, uint8_t cmd)
{
	int reply;

	k->s.status |= STATUS_CMD;
	k->s.expect = 0;
	if (simple_command(k, cmd))
		return;
	if ((cmd & CMD_RAM_MASK) == CMD_WRITE_RAM) {
		k->s.expect = cmd;
		return;
	}
	if (cmd >= CMD_PULSE) { /* the low four bits say which lines not to pulse; line 0 is reset */
		if (!(cmd & OUT_NO_RESET))
			wire_pulse(&k->cfg.reset);
		return;
	}
	reply = reply_to(k, cmd);
	if (reply >= 0)
		fill(k, (uint8_t)reply, false);
	else
		guest_log("keyboard controller: unknown command 0x%02x", cmd);
}

static void parameter(struct i8042 *k, uint8_t cmd, uint8_t val)
{
	switch (cmd) {
	case CMD_WRITE_OUTPUT:
		set_outport(k, val);
		break;
	case CMD_WRITE_KBD_OBF:
		fill(k, val, false);
		break;
	case CMD_WRITE_AUX_OBF:
		fill(k, val, true);
		break;
	case CMD_WRITE_AUX:
		ps2mouse_command(&k->s.mouse, val);
		k->s.ram[0] &= (uint8_t)~CTR_AUX_OFF; /* sending starts the device's clock */
		pump(k);
		break;
	default:
		if (cmd == CMD_WRITE_RAM)
			set_ctr(k, val);
		else
			k->s.ram[cmd & 31] = val;
	}
}

void i8042_write_data(struct i8042 *k, uint8_t val)
{
	uint8_t cmd = k->s.expect;

	k->s.status &= (uint8_t)~STATUS_CMD;
	k->s.expect = 0;
	if (cmd) {
		parameter(k, cmd, val);
		return;
	}
	ps2kbd_command(&k->s.kbd, val);
	k->s.ram[0] &= (uint8_t)~CTR_KBD_OFF;
	pump(k);
}

/* --- the person --- */

void i8042_key(struct i8042 *k, const uint8_t *set1codes, unsigned n)
{
	ps2kbd_key(&k->s.kbd, set1codes, n);
	pump(k);
}

void i8042_mouse(struct i8042 *k, int dx, int dy, int dz, uint8_t buttons)
{
	ps2mouse_move(&k->s.mouse, dx, dy, dz, buttons);
	pump(k);
}

/* --- joining --- */

static uint64_t data_read(void *opaque, uint64_t off, unsigned size)
{
	return i8042_read_data(opaque);
}

static void data_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	i8042_write_data(opaque, (uint8_t)val);
}

static uint64_t command_read(void *opaque, uint64_t off, unsigned size)
{
	return i8042_read_status(opaque);
}

static void command_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	i8042_write_command(opaque, (uint8_t)val);
}

static const struct mem_ops data_ops = { .read = data_read, .write = data_write, .max_size = 1 };
static const struct mem_ops command_ops = { .read = command_read, .write = command_write, .max_size = 1 };

/* The state a PC's own firmware would leave for one that does not look: translation on, keyboard on, mouse off. */
void i8042_reset(struct i8042 *k)
{
	k->s = (struct i8042_state){ .ram = { CTR_XLATE | CTR_KBD_INT | CTR_AUX_OFF }, .outport = OUT_NO_RESET | OUT_A20 };
	ps2kbd_reset(&k->s.kbd);
	ps2mouse_reset(&k->s.mouse);
	loop_timer_cancel(&k->timer);
	update_irqs(k);
	wire_set(&k->cfg.a20, true);
}

static void i8042_loaded(void *opaque)
{
	struct i8042 *k = opaque;

	update_irqs(k);
	wire_set(&k->cfg.a20, k->s.outport & OUT_A20);
	pump(k);
}

struct i8042 *i8042_new(const struct i8042_config *cfg)
{
	struct i8042 *k = xalloc(sizeof(*k));

	k->cfg = *cfg;
	loop_timer_init(&k->timer, cfg->loop, pump, k);
	k->data_port = (struct mem_ports){ .name = "i8042", .base = 0x60, .count = 1, .ops = &data_ops, .opaque = k };
	k->command_port = (struct mem_ports){ .name = "i8042", .base = 0x64, .count = 1, .ops = &command_ops, .opaque = k };
	if (cfg->mem) {
		mem_ports_enable(cfg->mem, &k->data_port);
		mem_ports_enable(cfg->mem, &k->command_port);
	}
	if (cfg->states)
		state_set_add(cfg->states, "i8042", &i8042_type, &k->s, i8042_loaded, k);
	i8042_reset(k);
	return k;
}

void i8042_free(struct i8042 *k)
{
	if (!k)
		return;
	loop_timer_cancel(&k->timer);
	if (k->cfg.mem) {
		mem_ports_disable(k->cfg.mem, &k->data_port);
		mem_ports_disable(k->cfg.mem, &k->command_port);
	}
	free(k);
}
