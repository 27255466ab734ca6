// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a 16550A UART between a port range and a byte stream */
#ifndef DEV_ISA_UART_H
#define DEV_ISA_UART_H

#include "base/wire.h"
#include "mem/mem.h"
#include "state/state.h"
#include "ui/ui.h"

struct uart;

struct uart_config {
	struct state_set *states; /* may be NULL */
	const char *name;         /* of the state block: "uart0" */
	struct loop *loop;
	struct mem *mem;          /* may be NULL: no ports */
	uint16_t base;            /* 0x3f8, 0x2f8, 0x3e8, 0x2e8 */
	struct wire irq;
	struct ui_stream *stream; /* not owned; may be NULL: output vanishes */
};

/* All functions: device lock held. Attaches itself to the stream. */
struct uart *uart_new(const struct uart_config *cfg);
void uart_free(struct uart *uart);
void uart_reset(struct uart *uart);
/* Register reg (0..7). */
uint8_t uart_read(struct uart *uart, unsigned reg);
void uart_write(struct uart *uart, unsigned reg, uint8_t val);
/* Bytes from the line, as the stream delivers them. */
unsigned uart_can_receive(void *opaque);
void uart_receive(void *opaque, const uint8_t *buf, unsigned len);

#endif
