// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what every unit test includes: cmocka with the headers it wants before it, and a shorter list macro */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "state/state.h"

static inline void check_coverage(void *ctx, const char *name, const struct st_type *type, void *state)
{
	char buf[200];
	const char *wrong = state_coverage(type, buf, sizeof(buf));

	(void)ctx;
	(void)state;
	if (wrong)
		fail_msg("%s: %s", name, wrong);
}

#endif
