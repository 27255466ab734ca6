// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the names of the helpers, apart from the oracle's headers, which have other things of the same names
 */
#include "insn/insn.h"

unsigned ops_count(void);
const char *ops_name(unsigned op);

unsigned ops_count(void)
{
	return OP_COUNT;
}

const char *ops_name(unsigned op)
{
	return insn_table[op].name;
}
