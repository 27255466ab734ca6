// SPDX-License-Identifier: GPL-2.0-or-later
/* what: a 93C46 serial EEPROM, 64 words, as network cards keep their address in: read by wiggling its pins */
#ifndef DEV_NET_EEPROM93_H
#define DEV_NET_EEPROM93_H

#include "state/state.h"

#define EEPROM93_WORDS 64u

struct eeprom93_state {
	uint16_t in, out;    /* bits that came, the word that goes */
	uint8_t bits, left;  /* of them */
	uint8_t address;
	bool clock, output;  /* SK, DO */
	uint8_t pad_[1];
};
extern const struct st_type eeprom93_type;

void eeprom93_reset(struct eeprom93_state *s);
/* The pins as they are now. */
void eeprom93_pins(struct eeprom93_state *s, const uint16_t *words, bool select, bool clock, bool data);

#endif
