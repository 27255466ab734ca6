// SPDX-License-Identifier: GPL-2.0-or-later
/* what: the MC146818 real-time clock with 256 bytes of CMOS RAM
 *
 * The clock is an offset from guest time, in seconds and a fraction taken from the host's UTC clock when the
 * machine was made: time registers are computed when read and turned into a new offset when written. While
 * SET (register B) is on they are plain bytes. Interrupt flags are brought up to date from the time that has passed
 * whenever somebody looks; a timer runs only while an enabled interrupt is not pending yet.
 *
 * I1  cmos[0..9] and the century byte are stale unless SET is on: time_freeze() fills them.
 * I2  irq8 follows IRQF of register C.
 *
 * Sources: Motorola MC146818 datasheet; PIIX4 datasheet for ports 0x70 to 0x73.
 */
#include "dev/isa/rtc.h"

#include <stdlib.h>
#include <time.h>

#define NS_PER_S 1000000000ull
/* "Update Cycle": UIP is set 244 us before an update that takes 1984 us. */
#define UIP_NS 2228000u
#define CRYSTAL_HZ 32768u

enum {
	REG_SEC, REG_SEC_ALARM, REG_MIN, REG_MIN_ALARM, REG_HOUR, REG_HOUR_ALARM, REG_WDAY, REG_MDAY, REG_MONTH, REG_YEAR,
	REG_A, REG_B, REG_C, REG_D,
	REG_CENTURY = 0x32,
	A_UIP = 0x80, A_RATE = 0x0f,
	B_24H = 0x02, B_BINARY = 0x04, B_UIE = 0x10, B_AIE = 0x20, B_PIE = 0x40, B_SET = 0x80,
	C_UF = 0x10, C_AF = 0x20, C_PF = 0x40, C_IRQF = 0x80,
	D_VRT = 0x80,
	HOUR_PM = 0x80,
	ALARM_ANY = 0xc0,
	INDEX_NMI_MASK = 0x80,
};

struct rtc_state {
	uint64_t base_s;   /* UTC seconds at guest time 0 (two's complement) */
	uint64_t synced;   /* guest time up to which the flags are right */
	uint32_t base_ns;
	uint8_t index, ext_index;
	bool nmi_masked;
	uint8_t pad_[1];
	uint8_t cmos[256];
};

static const char *rtc_check(const void *state)
{
	const struct rtc_state *s = state;

	return s->base_ns >= NS_PER_S ? "RTC fraction of a second out of range" : NULL;
}

static const struct st_field rtc_type_fields[] = {
	ST(struct rtc_state, base_s), ST(struct rtc_state, synced), ST(struct rtc_state, base_ns),
	ST(struct rtc_state, index),
	ST(struct rtc_state, ext_index), ST(struct rtc_state, nmi_masked), ST_ARRAY(struct rtc_state, pad_),
	ST_ARRAY(struct rtc_state, cmos),
};
static ST_TYPE(rtc_type, struct rtc_state, 1, rtc_check);

struct rtc {
	struct rtc_state s;
	struct rtc_config cfg;
	struct loop_timer timer;
	struct mem_ports ports;
};

/* --- time of day --- */

static uint64_t clock_ns(const struct rtc *r, uint64_t now)
{
	return now + r->s.base_ns;
}

static int64_t clock_s(const struct rtc *r, uint64_t now)
{
	return (int64_t)(r->s.base_s + clock_ns(r, now) / NS_PER_S);
}

static uint8_t encode(const struct rtc *r, int v)
{
	unsigned u = (unsigned)((v % 100 + 100) % 100); /* a guest can set the clock to before year 0 */

	return (uint8_t)(r->s.cmos[REG_B] & B_BINARY ? u : (u / 10) << 4 | u % 10);
}

static int decode(const struct rtc *r, uint8_t v)
{
	return r->s.cmos[REG_B] & B_BINARY ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const struct rtc *r, int hour)
{
	if (r->s.cmos[REG_B] & B_24H)
		return encode(r, hour);
	return encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? HOUR_PM : 0);
}

static int decode_hour(const struct rtc *r, uint8_t v)
{
	if (r->s.cmos[REG_B] & B_24H)
		return decode(r, v);
	return decode(r, v & (uint8_t)~HOUR_PM) % 12 + (v & HOUR_PM ? 12 : 0);
}

/* Fill the time registers with the time of now. */
static void time_freeze(struct rtc *r, uint64_t now)
{
	uint8_t *c = r->s.cmos;
	time_t t = (time_t)clock_s(r, now);
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		return;
	c[REG_SEC] = encode(r, tm.tm_sec);
	c[REG_MIN] = encode(r, tm.tm_min);
	c[REG_HOUR] = encode_hour(r, tm.tm_hour);
	c[REG_WDAY] = encode(r, tm.tm_wday + 1);
	c[REG_MDAY] = encode(r, tm.tm_mday);
	c[REG_MONTH] = encode(r, tm.tm_mon + 1);
	c[REG_YEAR] = encode(r, tm.tm_year % 100);
	c[REG_CENTURY] = encode(r, (tm.tm_year + 1900) / 100);
}

/* Set the clock to what the time registers say; the fraction of a second goes on. */
static void time_thaw(struct rtc *r, uint64_t now)
{
	const uint8_t *c = r->s.cmos;
	struct tm tm = {
		.tm_sec = decode(r, c[REG_SEC]), .tm_min = decode(r, c[REG_MIN]), .tm_hour = decode_hour(r, c[REG_HOUR]),
		.tm_mday = decode(r, c[REG_MDAY]), .tm_mon = decode(r, c[REG_MONTH]) - 1,
		.tm_year = decode(r, c[REG_CENTURY]) * 100 + decode(r, c[REG_YEAR]) - 1900,
	};

	r->s.base_s = (uint64_t)timegm(&tm) - clock_ns(r, now) / NS_PER_S;
}

/* --- interrupts --- */

static uint64_t period_ns(const struct rtc *r)
{
	unsigned rate = r->s.cmos[REG_A] & A_RATE;

	if (!rate)
		return 0;
	if (rate < 3) /* "Periodic Interrupt Rate": 1 and 2 are 256 and 128 Hz again */
		rate += 7;
	return (NS_PER_S << (rate - 1)) / CRYSTAL_HZ;
}

static bool alarm_matches(uint8_t alarm, int want, int have)
{
	return alarm >= ALARM_ANY || want == have;
}

/* Whether the alarm went off in the seconds (from, to]. All settings repeat within a day. */
static bool alarm_between(const struct rtc *r, int64_t from, int64_t to)
{
	const uint8_t *c = r->s.cmos;
	int sec = decode(r, c[REG_SEC_ALARM]), min = decode(r, c[REG_MIN_ALARM]), hour = decode_hour(r, c[REG_HOUR_ALARM]);

	if (to - from > 86400)
		from = to - 86400;
	for (int64_t t = from + 1; t <= to; t++) {
		int day = (int)((t % 86400 + 86400) % 86400);

		if (alarm_matches(c[REG_SEC_ALARM], sec, day % 60) && alarm_matches(c[REG_MIN_ALARM], min, day / 60 % 60) &&
		    alarm_matches(c[REG_HOUR_ALARM], hour, day / 3600))
			return true;
	}
	return false;
}

static void update_irq(struct rtc *r)
{
	uint8_t *c = r->s.cmos;

	if (c[REG_C] & c[REG_B] & (C_UF | C_AF | C_PF))
		c[REG_C] |= C_IRQF;
	else
		c[REG_C] &= (uint8_t)~C_IRQF;
	wire_set(&r->cfg.irq8, c[REG_C] & C_IRQF);
}

/* Bring the flags up to date. */
static void sync(struct rtc *r, uint64_t now)
{
	uint8_t *c = r->s.cmos;
	uint64_t period = period_ns(r), then = MIN(r->s.synced, now);

	if (period && clock_ns(r, then) / period != clock_ns(r, now) / period)
		c[REG_C] |= C_PF;
	if (!(c[REG_B] & B_SET) && clock_s(r, then) != clock_s(r, now)) {
		c[REG_C] |= C_UF;
		if (!(c[REG_C] & C_AF) && alarm_between(r, clock_s(r, then), clock_s(r, now)))
			c[REG_C] |= C_AF;
	}
	r->s.synced = now;
	update_irq(r);
}

/* Guest time of the next multiple of step on the clock. */
static uint64_t next_multiple(const struct rtc *r, uint64_t now, uint64_t step)
{
	return now + step - clock_ns(r, now) % step;
}

static void arm(struct rtc *r, uint64_t now)
{
	uint8_t b = r->s.cmos[REG_B];
	uint64_t when = UINT64_MAX, period = period_ns(r);

	if (!(r->s.cmos[REG_C] & C_IRQF)) {
		if (b & B_PIE && period)
			when = next_multiple(r, now, period);
		if (b & (B_UIE | B_AIE) && !(b & B_SET))
			when = MIN(when, next_multiple(r, now, NS_PER_S));
	}
	if (when == UINT64_MAX)
		loop_timer_cancel(&r->timer);
	else
		loop_timer_set(&r->timer, when);
}

static void fire(void *opaque)
{
	struct rtc *r = opaque;
	uint64_t now = loop_now(r->cfg.loop);

	sync(r, now);
	arm(r, now);
}

/* --- registers --- */

static bool is_time(uint8_t index)
{
	return index == REG_CENTURY || (index <= REG_YEAR && index != REG_SEC_ALARM && index != REG_MIN_ALARM &&
					index != REG_HOUR_ALARM);
}

static uint8_t read_c(struct rtc *r, uint64_t now)
{
	uint8_t val;

	sync(r, now);
	val = r->s.cmos[REG_C];
	r->s.cmos[REG_C] = 0;
	update_irq(r);
	arm(r, now);
	return val;
}

static uint8_t reg_read(struct rtc *r, uint8_t index)
{
	uint64_t now = loop_now(r->cfg.loop);
	bool running = !(r->s.cmos[REG_B] & B_SET);

	if (index == REG_C)
		return read_c(r, now);
	if (index == REG_D)
		return D_VRT;
	if (index == REG_A && running && clock_ns(r, now) % NS_PER_S >= NS_PER_S - UIP_NS)
		return r->s.cmos[REG_A] | A_UIP;
	if (is_time(index) && running)
		time_freeze(r, now);
	return r->s.cmos[index];
}

static void write_b(struct rtc *r, uint8_t val, uint64_t now)
{
	uint8_t old = r->s.cmos[REG_B];

	if (val & B_SET) {
		if (!(old & B_SET))
			time_freeze(r, now);
		val &= (uint8_t)~B_UIE; /* "SET: ... clears the UIE bit" */
	}
	r->s.cmos[REG_B] = val;
	if (old & ~val & B_SET)
		time_thaw(r, now);
}

static void reg_write(struct rtc *r, uint8_t index, uint8_t val)
{
	uint64_t now = loop_now(r->cfg.loop);

	if (index == REG_C || index == REG_D)
		return;
	if (index > REG_D && index != REG_CENTURY) {
		r->s.cmos[index] = val;
		return;
	}
	sync(r, now);
	if (index == REG_B) {
		write_b(r, val, now);
	} else if (is_time(index) && !(r->s.cmos[REG_B] & B_SET)) {
		time_freeze(r, now);
		r->s.cmos[index] = val;
		time_thaw(r, now);
	} else {
		r->s.cmos[index] = index == REG_A ? val & (uint8_t)~A_UIP : val;
	}
	update_irq(r);
	arm(r, now);
}

uint8_t rtc_read(struct rtc *r, unsigned reg)
{
	if (reg == 1)
		return reg_read(r, r->s.index);
	if (reg == 3)
		return r->s.cmos[128 + r->s.ext_index];
	return reg == 2 ? r->s.ext_index : 0xff; /* the index at 0x70 is write-only */
}

void rtc_write(struct rtc *r, unsigned reg, uint8_t val)
{
	switch (reg) {
	case 0:
		r->s.index = val & 0x7f;
		r->s.nmi_masked = val & INDEX_NMI_MASK;
		wire_set(&r->cfg.nmi_mask, r->s.nmi_masked);
		break;
	case 1:
		reg_write(r, r->s.index, val);
		break;
	case 2:
		r->s.ext_index = val & 0x7f;
		break;
	default:
		r->s.cmos[128 + r->s.ext_index] = val;
	}
}

void rtc_set_cmos(struct rtc *r, uint8_t index, uint8_t val)
{
	if (index > REG_D)
		r->s.cmos[index] = val;
}

uint8_t rtc_cmos(const struct rtc *r, uint8_t index)
{
	return r->s.cmos[index];
}

/* --- joining --- */

static uint64_t io_read(void *opaque, uint64_t off, unsigned size)
{
	return rtc_read(opaque, (unsigned)off);
}

static void io_write(void *opaque, uint64_t off, uint64_t val, unsigned size)
{
	rtc_write(opaque, (unsigned)off, (uint8_t)val);
}

static const struct mem_ops rtc_ops = { .read = io_read, .write = io_write, .max_size = 1 };

/* "RESET": clears the interrupt enables and flags, leaves time, RAM and divider alone. */
void rtc_reset(struct rtc *r)
{
	uint64_t now = loop_now(r->cfg.loop);

	if (r->s.cmos[REG_B] & B_SET) /* a guest that died while setting the clock */
		write_b(r, r->s.cmos[REG_B] & (uint8_t)~B_SET, now);
	r->s.cmos[REG_B] &= (uint8_t)~(B_PIE | B_AIE | B_UIE);
	r->s.cmos[REG_C] = 0;
	r->s.index = 0;
	r->s.nmi_masked = false;
	r->s.synced = now;
	wire_set(&r->cfg.nmi_mask, false);
	update_irq(r);
	arm(r, now);
}

static void rtc_loaded(void *opaque)
{
	struct rtc *r = opaque;

	r->s.index &= 0x7f;
	r->s.ext_index &= 0x7f;
	update_irq(r);
	arm(r, loop_now(r->cfg.loop));
}

void rtc_put_on(struct rtc *r, uint64_t ns)
{
	uint64_t sum = r->s.base_ns + ns % NS_PER_S;

	r->s.base_s += ns / NS_PER_S + sum / NS_PER_S;
	r->s.base_ns = (uint32_t)(sum % NS_PER_S);
}

static void set_base(struct rtc *r)
{
	struct timespec ts = { .tv_sec = (time_t)r->cfg.utc };
	uint64_t now = r->cfg.utc ? 0 : loop_now(r->cfg.loop), ns;

	if (!r->cfg.utc)
		clock_gettime(CLOCK_REALTIME, &ts);
	ns = (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec - now;
	r->s.base_s = ns / NS_PER_S;
	r->s.base_ns = (uint32_t)(ns % NS_PER_S);
}

struct rtc *rtc_new(const struct rtc_config *cfg)
{
	struct rtc *r = xalloc(sizeof(*r));

	r->cfg = *cfg;
	loop_timer_init(&r->timer, cfg->loop, fire, r);
	r->ports = (struct mem_ports){ .name = "rtc", .base = 0x70, .count = 4, .ops = &rtc_ops, .opaque = r };
	if (cfg->mem)
		mem_ports_enable(cfg->mem, &r->ports);
	if (cfg->states)
		state_set_add(cfg->states, "rtc", &rtc_type, &r->s, rtc_loaded, r);
	set_base(r);
	r->s.cmos[REG_A] = 0x26; /* 32768 Hz crystal, 1024 Hz periodic rate */
	r->s.cmos[REG_B] = B_24H;
	rtc_reset(r);
	return r;
}

void rtc_free(struct rtc *r)
{
	if (!r)
		return;
	loop_timer_cancel(&r->timer);
	if (r->cfg.mem)
		mem_ports_disable(r->cfg.mem, &r->ports);
	free(r);
}
