// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a 93C46 serial EEPROM, 64 words, read by wiggling its pins
 *
 * A start bit and two bits of operation, six of address, most significant first, each taken at a rising clock; then a
 * zero, the word, and behind it the next. Only READ is known: nothing writes here.
 * Source: data sheets of the 93C46, "READ".
 */
#include "dev/net/eeprom93.h"

#define COMMAND_BITS 9
#define COMMAND_READ 6u

void eeprom93_reset(struct eeprom93_state *s)
{
	*s = (struct eeprom93_state){ .output = true };
}

static void begin_word(struct eeprom93_state *s, const uint16_t *words, uint8_t address)
{
	s->address = address & (EEPROM93_WORDS - 1);
	s->out = words[s->address];
	s->left = 16;
}

static void clock_in(struct eeprom93_state *s, const uint16_t *words, bool data)
{
	if (s->bits < COMMAND_BITS) {
		if (!s->bits && !data)
			return; /* no start bit yet */
		s->in = (uint16_t)(s->in << 1 | data);
		if (++s->bits == COMMAND_BITS && s->in >> 6 == COMMAND_READ) {
			begin_word(s, words, (uint8_t)s->in);
			s->output = false;
		}
	} else if (s->left) {
		s->output = s->out >> 15;
		s->out = (uint16_t)(s->out << 1);
		if (!--s->left)
			begin_word(s, words, s->address + 1);
	}
}

void eeprom93_pins(struct eeprom93_state *s, const uint16_t *words, bool select, bool clock, bool data)
{
	bool rises = clock && !s->clock;

	if (!select)
		eeprom93_reset(s);
	else if (rises)
		clock_in(s, words, data);
	s->clock = clock;
}

static const char *check(const void *state)
{
	const struct eeprom93_state *s = state;

	return s->address >= EEPROM93_WORDS ? "an EEPROM's address is out of range" : NULL;
}

static const struct st_field eeprom93_type_fields[] = {
	ST(struct eeprom93_state, in), ST(struct eeprom93_state, out), ST(struct eeprom93_state, bits),
	ST(struct eeprom93_state, left), ST(struct eeprom93_state, address), ST(struct eeprom93_state, clock),
	ST(struct eeprom93_state, output), ST_ARRAY(struct eeprom93_state, pad_),
};
ST_TYPE(eeprom93_type, struct eeprom93_state, 1, check);
