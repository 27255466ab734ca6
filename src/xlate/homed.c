// SPDX-License-Identifier: GPL-2.0-or-later
/* what: what the three scratch registers hold from one instruction of a block to the next
 *
 * Guest R10, R11, R14 and R15 live in struct cpu. One that came to a scratch register stays there as long as nothing
 * else needs it, and goes home only before an instruction that may fault, leave the block or call C: a run of
 * arithmetic works in host registers. So does the bias of a window (windowed.c), which S1 or S2 holds for the next
 * access through the same base register.
 *
 * I1  Whoever writes to a scratch register says so first (xlate_homed_take), and afterwards what it holds now, if it is
 *     worth keeping.
 * I2  A value is dirty only between two instructions that can neither fault nor leave (xlate_homed_before); a bias may
 *     be dirty longer, as it is no state of the guest's.
 * I3  What holds nothing is not dirty.
 * I4  Nothing is held where code is entered, and where cold stubs resume that have called C.
 */
#include "xlate/xlate_int.h"

static const uint8_t host_of[SCRATCHES] = { S0, S1, S2 };

static unsigned number(unsigned host)
{
	return host == S0 ? 0 : host == S1 ? 1 : 2;
}

void xlate_homed_begin(struct tr *t)
{
	for (unsigned k = 0; k < SCRATCHES; k++)
		t->scratch[k] = (struct scratch){ .holds = HOLDS_NOTHING };
}

static void send_home(struct tr *t, unsigned k)
{
	struct scratch *s = &t->scratch[k];
	if (!s->dirty)
		return;
	must(s->holds != HOLDS_NOTHING);
	if (s->holds < HOLDS_BIAS)
		emit_st_cpu(&t->e, 8, s->holds * 8u, host_of[k]);
	else
		xlate_window_keep(t, s->holds - HOLDS_BIAS, host_of[k]);
	s->dirty = false;
}

void xlate_homed_flush(struct tr *t)
{
	for (unsigned k = 0; k < SCRATCHES; k++)
		if (t->scratch[k].holds < HOLDS_BIAS)
			send_home(t, k);
}

void xlate_homed_forget(struct tr *t)
{
	for (unsigned k = 0; k < SCRATCHES; k++)
		send_home(t, k);
	xlate_homed_begin(t);
}

void xlate_homed_take(struct tr *t, unsigned host)
{
	send_home(t, number(host));
	t->scratch[number(host)].holds = HOLDS_NOTHING;
}

unsigned xlate_homed_find(struct tr *t, unsigned what)
{
	for (unsigned k = 0; k < SCRATCHES; k++)
		if (t->scratch[k].holds == what) {
			t->scratch[k].used = (uint8_t)t->i;
			return host_of[k];
		}
	return H_NONE;
}

void xlate_homed_holds(struct tr *t, unsigned host, unsigned what, bool dirty)
{
	for (unsigned k = 0; k < SCRATCHES; k++)
		if (t->scratch[k].holds == what)
			t->scratch[k] = (struct scratch){ .holds = HOLDS_NOTHING };
	t->scratch[number(host)] = (struct scratch){ .holds = (uint16_t)what, .dirty = dirty, .used = (uint8_t)t->i };
}

bool xlate_homed_idle(const struct tr *t, unsigned host)
{
	return t->scratch[number(host)].holds == HOLDS_NOTHING;
}

static unsigned least(const struct tr *t, uint32_t of)
{
	static const uint8_t order[SCRATCHES] = { 2, 0, 1 }; /* S1 is where biases mostly are */
	unsigned best = SCRATCHES;
	for (unsigned j = 0; j < SCRATCHES; j++) {
		unsigned k = order[j];
		if (!(of >> host_of[k] & 1))
			continue;
		if (t->scratch[k].holds == HOLDS_NOTHING)
			return host_of[k];
		if (best == SCRATCHES || t->scratch[k].used < t->scratch[best].used)
			best = k;
	}
	must(best < SCRATCHES);
	return host_of[best];
}

unsigned xlate_homed_free(struct tr *t, uint32_t used)
{
	unsigned host = least(t, ~used);
	xlate_homed_take(t, host);
	return host;
}

uint32_t xlate_homed_used(const struct host_mem *m)
{
	return (m->base == H_NONE ? 0 : 1u << m->base) | (m->index == H_NONE ? 0 : 1u << m->index);
}

/* Nothing that can raise an exception. */
static bool quiet(const struct dec *d)
{
	bool reaches = d->in.has_mem && d->cls != DC_NOP && d->cls != DC_LEA;
	return d->facts & F_QUIET && !reaches && !d->lock;
}

bool xlate_homed_through(const struct dec *d)
{
	switch (d->cls) {
	case DC_NOP: case DC_LEA: case DC_COPY: case DC_PUSH: case DC_POP: case DC_JCC: case DC_STRING:
		return true;
	default:
		return false;
	}
}

void xlate_homed_before(struct tr *t, const struct dec *d)
{
	if (!xlate_homed_through(d) && d->cls != DC_RET && d->cls != DC_CALL)
		xlate_homed_forget(t);
	else if (!quiet(d))
		xlate_homed_flush(t);
}

void xlate_homed_after(struct tr *t, const struct dec *d)
{
	if (!xlate_homed_through(d))
		xlate_homed_begin(t);
}
