// SPDX-License-Identifier: GPL-2.0-or-later
/* what: declared state as bytes that carry their own schema, and back
 *
 *     record := block...                    block  := name schema u32-length data
 *     schema := name u16-version u16-fields (name u8-kind u32-count [schema])...
 *     name   := u8-length bytes             data   := the fields in the schema's order, packed
 *
 * All little-endian. Fields are found by name, so their order and place in the struct may change; a field that our
 * tables have since a later version than the record's keeps what it has. Everything else that differs is refused, and
 * nothing is changed before all of it was read and checked: a record may come from anybody.
 */
#ifndef STATE_RECORD_H
#define STATE_RECORD_H

#include "state/state.h"

/* All blocks, malloc()ed; never fails. */
uint8_t *state_record(const struct state_set *set, size_t *len);
/* -EINVAL: the record is damaged, or of a machine with other chips than set's: nothing has changed. 0: all blocks are
 * as recorded, and state_set_loaded() is to be called when what they rest on (clock, memory) is as well. */
int state_restore(struct state_set *set, const uint8_t *record, size_t len, struct err *err);
/* Run what every chip does after its state was loaded, in order of registration. */
void state_set_loaded(struct state_set *set);

#endif
