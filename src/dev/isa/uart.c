// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a 16550A UART between a port range and a byte stream
 *
 * The line is infinitely fast: a byte written to THR is gone at once, so the transmitter is empty and a guest that
 * prints does not wait, unless the host reads more slowly than it prints and the stream's megabyte is full. Input is
 * not paced either, but never overruns: the stream asks how many bytes fit. Only the character timeout keeps the
 * programmed baud rate, because drivers rely on it coming late.
 *
 *   THR --> ui_stream_write       stream --> uart_receive --> rx[16] --> RBR
 *
 * I1  thri is set whenever THR became empty after the last IIR read or THR write; on a write the line falls and
 *     rises again, so that an edge-triggered controller sees each one.
 * I2  waits is set from a THR write that filled the stream until there is room again: then THR becomes empty.
 * I3  The interrupt reaches the bus whenever loopback is off, whatever OUT2 says (update_irq() tells why).
 *
 * Source: National PC16550D datasheet (TL/C/8652).
 */
#include "dev/isa/uart.h"

#include <stdlib.h>

#define FIFO_SIZE 16u
#define CLOCK_HZ 1843200u
#define NS_PER_S 1000000000ull

enum {
	REG_DATA, REG_IER, REG_IIR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR,
	IER_RDA = 0x01, IER_THRE = 0x02, IER_RLS = 0x04, IER_MSR = 0x08,
	IIR_NONE = 0x01, IIR_MSR = 0x00, IIR_THRE = 0x02, IIR_RDA = 0x04, IIR_RLS = 0x06, IIR_TIMEOUT = 0x0c,
	IIR_FIFO = 0xc0,
	FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_KEPT = 0xc9,
	LCR_STOP = 0x04, LCR_PARITY = 0x08, LCR_DLAB = 0x80,
	MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10,
	LSR_DR = 0x01, LSR_OE = 0x02, LSR_ERRORS = 0x1e, LSR_THRE = 0x20, LSR_TEMT = 0x40,
	MSR_TERI = 0x04, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_LINES = 0xf0, MSR_DELTAS = 0x0f,
};

struct uart_state {
	uint8_t rx[FIFO_SIZE];
	uint8_t rx_head, rx_count;
	uint8_t ier, fcr, lcr, mcr, lsr, msr, scr;
	bool thri, timeout, waits;
	uint16_t divisor;
};

static const char *uart_check(const void *state)
{
	const struct uart_state *s = state;

	return s->rx_head >= FIFO_SIZE || s->rx_count > FIFO_SIZE ? "UART receive FIFO out of range" : NULL;
}

static const struct st_field uart_type_fields[] = {
	ST_ARRAY(struct uart_state, rx), ST(struct uart_state, rx_head), ST(struct uart_state, rx_count),
	ST(struct uart_state, ier), ST(struct uart_state, fcr), ST(struct uart_state, lcr), ST(struct uart_state, mcr),
	ST(struct uart_state, lsr), ST(struct uart_state, msr), ST(struct uart_state, scr), ST(struct uart_state, thri),
	ST(struct uart_state, timeout), ST(struct uart_state, waits), ST(struct uart_state, divisor),
};
static ST_TYPE(uart_type, struct uart_state, 1, uart_check);

struct uart {
	struct uart_state s;
	struct uart_config cfg;
	struct loop_timer timer; /* character timeout */
	struct mem_ports ports;
};

/* --- interrupts --- */

static bool fifo_on(const struct uart *u)
{
	return u->s.fcr & FCR_ENABLE;
}

static unsigned trigger(const struct uart *u)
{
	static const uint8_t level[4] = { 1, 4, 8, 14 };

	return fifo_on(u) ? level[u->s.fcr >> 6] : 1;
}

/* "Interrupt Control Functions": the highest that is enabled and pending. */
static uint8_t pending(const struct uart *u)
{
	const struct uart_state *s = &u->s;

	if (s->ier & IER_RLS && s->lsr & LSR_ERRORS)
		return IIR_RLS;
	if (s->ier & IER_RDA && s->rx_count >= trigger(u))
		return IIR_RDA;
	if (s->ier & IER_RDA && s->timeout)
		return IIR_TIMEOUT;
	if (s->ier & IER_THRE && s->thri)
		return IIR_THRE;
	if (s->ier & IER_MSR && s->msr & MSR_DELTAS)
		return IIR_MSR;
	return IIR_NONE;
}

static void update_irq(struct uart *u)
{
	/* PC cards gate the line with OUT2, a buffer on the card and no part of the chip; clones and other monitors have no
	 * such gate, and small systems never set OUT2. A system that does wants the interrupt as well: who wants none
	 * clears IER. In loopback the outputs are inactive on every board. */
	wire_set(&u->cfg.irq, !(u->s.mcr & MCR_LOOP) && pending(u) != IIR_NONE);
}

/* --- receiver --- */

static unsigned depth(const struct uart *u)
{
	return fifo_on(u) ? FIFO_SIZE : 1;
}

static uint64_t char_ns(const struct uart *u)
{
	unsigned bits = 7 + (u->s.lcr & 3) + !!(u->s.lcr & LCR_STOP) + !!(u->s.lcr & LCR_PARITY);
	uint64_t divisor = u->s.divisor ? u->s.divisor : 65536;

	return bits * divisor * 16 * NS_PER_S / CLOCK_HZ;
}

/* "FIFO Timeout Interrupt": four character times after the last byte came or was read, if any is left. */
static void timeout_restart(struct uart *u)
{
	u->s.timeout = false;
	if (fifo_on(u) && u->s.rx_count)
		loop_timer_set(&u->timer, loop_now(u->cfg.loop) + 4 * char_ns(u));
	else
		loop_timer_cancel(&u->timer);
}

static void timeout_fire(void *opaque)
{
	struct uart *u = opaque;

	u->s.timeout = true;
	update_irq(u);
}

static void rx_push(struct uart *u, uint8_t byte)
{
	struct uart_state *s = &u->s;

	if (s->rx_count >= depth(u)) {
		s->lsr |= LSR_OE;
		if (fifo_on(u)) /* the FIFO keeps its bytes, a lone RBR is overwritten */
			return;
		s->rx_count = 0;
	}
	s->rx[(s->rx_head + s->rx_count++) % FIFO_SIZE] = byte;
}

unsigned uart_can_receive(void *opaque)
{
	struct uart *u = opaque;

	if (u->s.mcr & MCR_LOOP || u->s.rx_count >= depth(u))
		return 0;
	return depth(u) - u->s.rx_count;
}

void uart_receive(void *opaque, const uint8_t *buf, unsigned len)
{
	struct uart *u = opaque;

	if (u->s.mcr & MCR_LOOP)
		return;
	for (unsigned i = 0; i < len; i++)
		rx_push(u, buf[i]);
	timeout_restart(u);
	update_irq(u);
}

static void room_again(struct uart *u)
{
	if (u->cfg.stream && uart_can_receive(u))
		ui_stream_ready(u->cfg.stream);
}

static void rx_clear(struct uart *u)
{
	u->s.rx_head = 0;
	u->s.rx_count = 0;
	timeout_restart(u);
}

static uint8_t read_rbr(struct uart *u)
{
	struct uart_state *s = &u->s;
	uint8_t byte = s->rx[s->rx_head];

	if (!s->rx_count)
		return byte;
	s->rx_head = (s->rx_head + 1) % FIFO_SIZE;
	s->rx_count--;
	timeout_restart(u);
	update_irq(u);
	if (!s->rx_count)
		room_again(u);
	return byte;
}

/* --- transmitter --- */

static void write_thr(struct uart *u, uint8_t byte)
{
	u->s.thri = false;
	update_irq(u);
	if (u->s.mcr & MCR_LOOP) {
		rx_push(u, byte);
		timeout_restart(u);
	} else if (u->cfg.stream) {
		ui_stream_write(u->cfg.stream, &byte, 1);
		u->s.waits = !ui_stream_room(u->cfg.stream);
	}
	u->s.thri = !u->s.waits;
	update_irq(u);
}

static void room_to_send(void *opaque)
{
	struct uart *u = opaque;

	if (!u->s.waits)
		return;
	u->s.waits = false;
	u->s.thri = true;
	update_irq(u);
}

/* --- modem lines --- */

/* Loopback ties the outputs to the inputs; otherwise a peer is always there and ready. */
static uint8_t modem_lines(const struct uart *u)
{
	uint8_t mcr = u->s.mcr;

	if (!(mcr & MCR_LOOP))
		return MSR_DCD | MSR_DSR | MSR_CTS;
	return (uint8_t)((mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) | (mcr & MCR_OUT1 ? MSR_RI : 0) |
			 (mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void modem_changed(struct uart *u)
{
	uint8_t now = modem_lines(u), changed = (u->s.msr ^ now) & MSR_LINES, deltas = changed >> 4;

	if (now & MSR_RI) /* only its trailing edge counts */
		deltas &= (uint8_t)~MSR_TERI;
	u->s.msr = now | (u->s.msr & MSR_DELTAS) | deltas;
}

/* --- registers --- */

static uint8_t read_iir(struct uart *u)
{
	uint8_t iir = pending(u);

	if (iir == IIR_THRE) {
		u->s.thri = false;
		update_irq(u);
	}
	return iir | (fifo_on(u) ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct uart *u)
{
	uint8_t lsr = u->s.lsr | (u->s.waits ? 0 : LSR_THRE | LSR_TEMT) | (u->s.rx_count ? LSR_DR : 0);

	if (u->s.lsr & LSR_ERRORS) {
		u->s.lsr = 0;
		update_irq(u);
	}
	return lsr;
}

static uint8_t read_msr(struct uart *u)
{
	uint8_t msr = u->s.msr;

	u->s.msr &= MSR_LINES;
	update_irq(u);
	return msr;
}

static void write_ier(struct uart *u, uint8_t val)
{
	/* THR is empty: enabling its interrupt raises it at once. */
	if (val & ~u->s.ier & IER_THRE && !u->s.waits)
		u->s.thri = true;
	u->s.ier = val & 0x0f;
	update_irq(u);
}

static void write_fcr(struct uart *u, uint8_t val)
{
	bool toggled = (val ^ u->s.fcr) & FCR_ENABLE;

	u->s.fcr = val & FCR_ENABLE ? val & FCR_KEPT : 0;
	if (toggled || val & FCR_CLEAR_RX)
		rx_clear(u);
	update_irq(u);
	room_again(u);
}

static void write_mcr(struct uart *u, uint8_t val)
{
	bool left_loop = u->s.mcr & ~val & MCR_LOOP;

	u->s.mcr = val & 0x1f;
	modem_changed(u);
	update_irq(u);
	if (left_loop)
		room_again(u);
}

static bool dlab(const struct uart *u)
{
	return u->s.lcr & LCR_DLAB;
}

uint8_t uart_read(struct uart *u, unsigned reg)
{
	switch (reg) {
	case REG_DATA:
		return dlab(u) ? (uint8_t)u->s.divisor : read_rbr(u);
	case REG_IER:
		return dlab(u) ? (uint8_t)(u->s.divisor >> 8) : u->s.ier;
	case REG_IIR:
		return read_iir(u);
	case REG_LCR:
		return u->s.lcr;
	case REG_MCR:
		return u->s.mcr;
	case REG_LSR:
		return read_lsr(u);
	case REG_MSR:
		return read_msr(u);
	default:
		return u->s.scr;
	}
}

void uart_write(struct uart *u, unsigned reg, uint8_t val)
{
	switch (reg) {
	case REG_DATA:
		if (dlab(u))
			u->s.divisor = (uint16_t)((u->s.divisor & 0xff00) | val);
		else
			write_thr(u, val);
		break;
	case REG_IER:
		if (dlab(u))
			u->s.divisor = (uint16_t)((u->s.divisor & 0x00ff) | val << 8);
		else
			write_ier(u, val);
		break;
	case REG_IIR:
		write_fcr(u, val);
		break;
	case REG_LCR:
		u->s.lcr = val;
		break;
	case REG_MCR:
		write_mcr(u, val);
		break;
	case REG_SCR:
		u->s.scr = val;
		break;
	default: /* LSR and MSR: factory test and read-only */
		break;
	}
}

/* --- joining --- */

static uint64_t io_read(void *opaque, uint64_t off, unsigned size)
{
	return uart_read(opaque, (unsigned)off);
}

static void io_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	uart_write(opaque, (unsigned)off, (uint8_t)val);
}

static const struct mem_ops uart_ops = { .read = io_read, .write = io_write, .max_size = 1 };

void uart_reset(struct uart *u)
{
	uint8_t scr = u->s.scr;

	u->s = (struct uart_state){ .scr = scr, .divisor = 12, .msr = MSR_DCD | MSR_DSR | MSR_CTS };
	loop_timer_cancel(&u->timer);
	update_irq(u);
	room_again(u);
}

static void uart_loaded(void *opaque)
{
	struct uart *u = opaque;
	bool timeout = u->s.timeout;

	timeout_restart(u);
	u->s.timeout = timeout;
	if (!u->cfg.stream || ui_stream_room(u->cfg.stream))
		room_to_send(u);
	update_irq(u);
}

struct uart *uart_new(const struct uart_config *cfg)
{
	struct uart *u = xalloc(sizeof(*u));

	u->cfg = *cfg;
	loop_timer_init(&u->timer, cfg->loop, timeout_fire, u);
	u->ports = (struct mem_ports){ .name = cfg->name, .base = cfg->base, .count = 8, .ops = &uart_ops, .opaque = u };
	if (cfg->mem)
		mem_ports_enable(cfg->mem, &u->ports);
	if (cfg->states)
		state_set_add(cfg->states, cfg->name, &uart_type, &u->s, uart_loaded, u);
	uart_reset(u);
	if (cfg->stream) {
		const struct ui_stream_sink sink = { .opaque = u, .can_receive = uart_can_receive, .receive = uart_receive,
			.room = room_to_send };

		ui_stream_attach(cfg->stream, &sink);
	}
	return u;
}

void uart_free(struct uart *u)
{
	if (!u)
		return;
	if (u->cfg.stream) {
		const struct ui_stream_sink none = { 0 };

		ui_stream_attach(u->cfg.stream, &none);
	}
	loop_timer_cancel(&u->timer);
	if (u->cfg.mem)
		mem_ports_disable(u->cfg.mem, &u->ports);
	free(u);
}
