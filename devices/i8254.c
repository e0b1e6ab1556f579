/* i8254.c - programmable interval timer, as in the Intel 82C54 datasheet (October 1994, 231244-006).
 *
 * Registers: 0 to 2 are the counters, 3 the control word. Pins "gate0" to "gate2"; outputs "out0" to "out2". Gates 0
 * and 1 are pulled up and gate 2 is low until they are driven.
 *
 * All counters are functions of the number of the CLK pulse, which is a function of absolute guest time, so nothing
 * drifts: tick = floor(ns * 1193182 / 10^9). A count written between two pulses is loaded by the next one. OUT edges
 * are events at the first nanosecond of their pulse, and are scheduled only for outputs that are wired.
 *
 * Undefined by the datasheet and chosen here: power-on (no counter runs, OUT is high), a count of 1 in modes 2 and 3
 * (illegal: OUT stays high), digits above 9 in BCD counts (they count as their weight), the counting element of modes 1
 * and 5 before the first trigger (it stands still). */
#include "devices/i8254.h"

enum {
    COUNTERS = 3,
    REG_CONTROL = 3,

    CONTROL_BCD = 0x01,
    CONTROL_MODE_SHIFT = 1,
    CONTROL_RW_SHIFT = 4,
    CONTROL_SELECT_SHIFT = 6,
    CONTROL_READ_BACK = 3, /* SC1, SC0 */

    READ_BACK_NO_STATUS = 0x10,
    READ_BACK_NO_COUNT = 0x20,

    RW_LATCH = 0,
    RW_LSB = 1,
    RW_MSB = 2,
    RW_BOTH = 3,

    STATUS_OUT = 0x80,
    STATUS_NULL_COUNT = 0x40,
    STATUS_CONTROL_MASK = 0x3f,
};

/* Mode numbers after the don't-care bits are dropped. */
enum {
    MODE_TERMINAL_COUNT = 0,
    MODE_ONE_SHOT = 1,
    MODE_RATE = 2,
    MODE_SQUARE = 3,
    MODE_SOFTWARE_STROBE = 4,
    MODE_HARDWARE_STROBE = 5,
};

#define TICK_NEVER INT64_MAX

struct i8254;

struct i8254_counter {
    struct event edge;
    struct i8254 *pit;
    int64_t start_tick;
    int64_t elapsed;
    uint32_t count;
    uint32_t next_count;
    uint16_t held_value;
    uint16_t latched_count;
    uint8_t control;
    uint8_t latched_status;
    uint8_t written_lsb;
    bool is_loaded;
    bool is_paused;
    bool is_gate_high;
    bool has_next_count;
    bool is_lsb_written;
    bool is_lsb_read;
    bool is_count_latched;
    bool is_status_latched;
    bool is_msb_latched_next;
};

struct i8254 {
    struct device dev;
    struct irq out[COUNTERS];
    struct i8254_counter counters[COUNTERS];
};

#define S struct i8254_counter
static const struct field i8254_counter_fields[] = {
    FIELD_EVENT(S, edge, "next edge of OUT"),
    WIRED(S, pit, NULL),
    FIELD(S, start_tick, "number of the CLK pulse that loaded the counting element"),
    FIELD(S, elapsed, "pulses counted since then, while the gate holds counting"),
    FIELD(S, count, "count in effect, 1 to 65536"),
    FIELD(S, next_count, "count written, not yet in effect"),
    FIELD(S, held_value, "counting element while it is not loaded"),
    FIELD(S, latched_count, "output latch"),
    FIELD(S, control, "control word, bits 5 to 0: RW, mode, BCD"),
    FIELD(S, latched_status, "status byte of the read-back command"),
    FIELD(S, written_lsb, "low byte of a count of two bytes"),
    FIELD(S, is_loaded, "a count is in effect"),
    FIELD(S, is_paused, "the gate holds counting"),
    FIELD(S, is_gate_high, "GATE input"),
    FIELD(S, has_next_count, "next_count waits for its load"),
    FIELD(S, is_lsb_written, "the next byte written is the MSB"),
    FIELD(S, is_lsb_read, "the next byte read unlatched is the MSB"),
    FIELD(S, is_count_latched, NULL),
    FIELD(S, is_status_latched, NULL),
    FIELD(S, is_msb_latched_next, "the next byte read of the latch is the MSB"),
    FIELD_END,
};
#undef S

#define S struct i8254
static const struct field i8254_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, out, "OUT 0 to OUT 2"),
    FIELD_STRUCT(S, counters, struct i8254_counter, i8254_counter_fields, NULL),
    FIELD_END,
};
#undef S

/* ---- CLK ---- */

static int64_t tick_of_ns(uint64_t ns)
{
    return (int64_t)mul_div_u64(ns, I8254_CLOCK_HZ, NS_PER_SECOND);
}

/* First nanosecond of a CLK pulse. */
static uint64_t ns_of_tick(int64_t tick)
{
    uint64_t ns = mul_div_u64((uint64_t)tick, NS_PER_SECOND, I8254_CLOCK_HZ);

    return tick_of_ns(ns) < tick ? ns + 1 : ns;
}

static int64_t i8254_tick(const struct i8254_counter *c)
{
    return tick_of_ns(clock_now(c->pit->dev.clock));
}

/* ---- One counter: pure functions of its fields and the tick ---- */

static unsigned counter_mode(const struct i8254_counter *c)
{
    unsigned mode = (c->control >> CONTROL_MODE_SHIFT) & 7u;

    return mode > 5 ? mode - 4 : mode; /* 6 and 7 are 2 and 3 */
}

static bool counter_is_periodic(const struct i8254_counter *c)
{
    unsigned mode = counter_mode(c);

    return mode == MODE_RATE || mode == MODE_SQUARE;
}

static bool counter_needs_trigger(const struct i8254_counter *c)
{
    unsigned mode = counter_mode(c);

    return mode == MODE_ONE_SHOT || mode == MODE_HARDWARE_STROBE;
}

static bool counter_is_bcd(const struct i8254_counter *c)
{
    return (c->control & CONTROL_BCD) != 0;
}

/* Pulses since the load, -1 before the load has happened. */
static int64_t counter_elapsed(const struct i8254_counter *c, int64_t tick)
{
    if (c->is_paused) {
        return c->elapsed;
    }
    return tick < c->start_tick ? -1 : tick - c->start_tick;
}

/* Length of mode 3's high part: one pulse longer than the low part for odd counts. */
static int64_t square_high(uint32_t count)
{
    return ((int64_t)count + 1) / 2;
}

/* A count written while a mode 2 or 3 period runs takes effect at its end, in mode 3 already at the end of the half.
 * Brings the fields to `tick`, and keeps start_tick the start of the running period. */
static void counter_advance(struct i8254_counter *c, int64_t tick)
{
    if (!c->is_loaded || c->is_paused || !counter_is_periodic(c)) {
        return;
    }
    int64_t elapsed = counter_elapsed(c, tick);
    if (elapsed < 0) {
        return;
    }
    int64_t boundary = c->count;
    if (c->has_next_count) {
        /* start_tick was brought to the running period when the count was written; `elapsed` holds that moment. */
        if (counter_mode(c) == MODE_SQUARE && c->elapsed < square_high(c->count)) {
            boundary = square_high(c->count);
        }
        if (elapsed < boundary) {
            return;
        }
        bool is_mid = boundary != c->count;
        c->start_tick += boundary - (is_mid ? square_high(c->next_count) : 0);
        c->count = c->next_count;
        c->has_next_count = false;
        elapsed = tick - c->start_tick;
    }
    c->start_tick += elapsed / c->count * c->count;
}

static bool counter_out(const struct i8254_counter *c, int64_t tick)
{
    unsigned mode = counter_mode(c);

    if (!c->is_loaded) {
        return mode != MODE_TERMINAL_COUNT;
    }
    int64_t elapsed = counter_elapsed(c, tick);
    int64_t count = c->count;

    switch (mode) {
    case MODE_TERMINAL_COUNT:
        return elapsed >= count;
    case MODE_ONE_SHOT:
        return elapsed < 0 ? c->elapsed != 0 : elapsed >= count;
    case MODE_RATE:
        return elapsed < 0 || !c->is_gate_high || count == 1 || elapsed % count != count - 1;
    case MODE_SQUARE:
        return elapsed < 0 || !c->is_gate_high || count == 1 || elapsed % count < square_high(c->count);
    default: /* the strobes of modes 4 and 5 */
        return elapsed != count;
    }
}

/* Tick of the first change of OUT after `tick`. The caller has advanced the counter. */
static int64_t counter_next_edge(const struct i8254_counter *c, int64_t tick)
{
    if (!c->is_loaded || c->is_paused) {
        return TICK_NEVER;
    }
    int64_t elapsed = counter_elapsed(c, tick);
    int64_t count = c->count;
    int64_t period = 0, edge;

    switch (counter_mode(c)) {
    case MODE_TERMINAL_COUNT:
        edge = elapsed < count ? count : TICK_NEVER;
        break;
    case MODE_ONE_SHOT:
        edge = elapsed < 0 ? 0 : elapsed < count ? count : TICK_NEVER;
        break;
    case MODE_RATE:
    case MODE_SQUARE:
        if (count == 1) {
            /* OUT stays high; a new count still has to be taken over. */
            edge = c->has_next_count ? (elapsed < 0 ? 1 : elapsed + 1) : TICK_NEVER;
            break;
        }
        elapsed = elapsed < 0 ? 0 : elapsed;
        period = elapsed / count * count;
        edge = counter_mode(c) == MODE_RATE ? count - 1 : square_high(c->count);
        edge = period + (elapsed - period < edge ? edge : count);
        break;
    default:
        edge = elapsed < count ? count : elapsed == count ? count + 1 : TICK_NEVER;
        break;
    }
    return edge == TICK_NEVER ? TICK_NEVER : c->start_tick + edge;
}

/* Counting element as the guest reads it: binary or four BCD digits. */
static uint16_t counter_value(const struct i8254_counter *c, int64_t tick)
{
    int64_t elapsed = counter_elapsed(c, tick);

    if (!c->is_loaded || elapsed < 0) {
        return c->held_value;
    }
    int64_t modulus = counter_is_bcd(c) ? 10000 : 65536;
    int64_t count = c->count, value;

    if (count == 1 && counter_is_periodic(c)) {
        value = 1;
    } else if (counter_mode(c) == MODE_RATE) {
        value = count - elapsed % count;
    } else if (counter_mode(c) == MODE_SQUARE) {
        /* Counts down by two from the even part of the count, twice a period. */
        int64_t in_half = elapsed % count;
        if (in_half >= square_high(c->count)) {
            in_half -= square_high(c->count);
        }
        value = (count & ~INT64_C(1)) - 2 * in_half;
    } else {
        value = (count - elapsed) % modulus;
        value = value < 0 ? value + modulus : value;
    }
    unsigned v = (unsigned)(value % modulus);
    if (counter_is_bcd(c)) {
        v = v / 1000 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 | v % 10;
    }
    return (uint16_t)v;
}

static bool counter_is_null(const struct i8254_counter *c, int64_t tick)
{
    return !c->is_loaded || c->has_next_count || counter_elapsed(c, tick) < 0;
}

/* ---- Behaviour ---- */

/* OUT is a function of state and time; called after every change and at every edge. */
static void counter_update(struct i8254_counter *c)
{
    struct i8254 *pit = c->pit;
    const struct irq *out = &pit->out[c - pit->counters];
    int64_t tick = i8254_tick(c);

    counter_advance(c, tick);
    int64_t edge = out->sink ? counter_next_edge(c, tick) : TICK_NEVER;
    if (edge == TICK_NEVER) {
        event_cancel(&c->edge);
    } else {
        event_at(&c->edge, ns_of_tick(edge));
    }
    irq_set(out, counter_out(c, tick));
}

static void counter_edge(void *owner)
{
    counter_update(owner);
}

/* Loads the counting element at the next CLK pulse. */
static void counter_load(struct i8254_counter *c, uint32_t count, int64_t tick)
{
    c->held_value = counter_value(c, tick);
    c->count = count;
    c->has_next_count = false;
    c->is_loaded = true;
    c->start_tick = tick + 1;
    c->is_paused = !c->is_gate_high && !counter_needs_trigger(c);
    c->elapsed = 0;
}

static uint32_t counter_decode(const struct i8254_counter *c, uint16_t written)
{
    if (!counter_is_bcd(c)) {
        return written ? written : 65536u;
    }
    uint32_t count = (written >> 12) * 1000u + (written >> 8 & 15u) * 100u + (written >> 4 & 15u) * 10u +
                     (written & 15u);
    count %= 10000u;
    return count ? count : 10000u;
}

/* A complete count was written. */
static void counter_write_count(struct i8254_counter *c, uint16_t written)
{
    int64_t tick = i8254_tick(c);
    uint32_t count = counter_decode(c, written);

    counter_advance(c, tick);
    if (counter_needs_trigger(c)) {
        c->next_count = count;
        c->has_next_count = true;
    } else if (counter_is_periodic(c) && c->is_loaded && !c->is_paused && tick >= c->start_tick) {
        c->next_count = count;
        c->has_next_count = true;
        c->elapsed = tick - c->start_tick;
    } else {
        counter_load(c, count, tick);
    }
    counter_update(c);
}

static void counter_write(struct i8254_counter *c, uint8_t byte)
{
    switch (c->control >> CONTROL_RW_SHIFT & 3u) {
    case RW_LSB:
        counter_write_count(c, byte);
        return;
    case RW_MSB:
        counter_write_count(c, (uint16_t)(byte << 8));
        return;
    case RW_BOTH:
        break;
    default:
        return; /* no control word yet */
    }
    if (c->is_lsb_written) {
        c->is_lsb_written = false;
        counter_write_count(c, (uint16_t)(byte << 8 | c->written_lsb));
        return;
    }
    c->written_lsb = byte;
    c->is_lsb_written = true;
    if (counter_mode(c) == MODE_TERMINAL_COUNT) {
        /* "Writing the first byte disables counting. OUT is set low immediately." */
        c->held_value = counter_value(c, i8254_tick(c));
        c->is_loaded = false;
        counter_update(c);
    }
}

static void counter_write_control(struct i8254_counter *c, uint8_t control)
{
    int64_t tick = i8254_tick(c);

    counter_advance(c, tick);
    c->held_value = counter_value(c, tick);
    c->control = control & STATUS_CONTROL_MASK;
    c->is_loaded = false;
    c->is_paused = false;
    c->has_next_count = false;
    c->is_lsb_written = false;
    c->is_lsb_read = false;
    c->is_count_latched = false;
    c->is_status_latched = false;
    c->is_msb_latched_next = false;
    c->elapsed = 0;
    counter_update(c);
}

/* A count that is latched stays until it is read, further latch commands are ignored. */
static void counter_latch_count(struct i8254_counter *c)
{
    if (c->is_count_latched) {
        return;
    }
    int64_t tick = i8254_tick(c);
    counter_advance(c, tick);
    c->latched_count = counter_value(c, tick);
    c->is_count_latched = true;
    c->is_msb_latched_next = (c->control >> CONTROL_RW_SHIFT & 3) == RW_MSB;
}

static void counter_latch_status(struct i8254_counter *c)
{
    if (c->is_status_latched) {
        return;
    }
    int64_t tick = i8254_tick(c);
    counter_advance(c, tick);
    c->latched_status = (uint8_t)(c->control | (counter_out(c, tick) ? STATUS_OUT : 0) |
                                  (counter_is_null(c, tick) ? STATUS_NULL_COUNT : 0));
    c->is_status_latched = true;
}

static uint8_t counter_read(struct i8254_counter *c)
{
    unsigned rw = c->control >> CONTROL_RW_SHIFT & 3u;

    if (c->is_status_latched) {
        c->is_status_latched = false;
        return c->latched_status;
    }
    if (c->is_count_latched) {
        if (rw == RW_BOTH && !c->is_msb_latched_next) {
            c->is_msb_latched_next = true;
            return (uint8_t)c->latched_count;
        }
        c->is_count_latched = false;
        return (uint8_t)(c->is_msb_latched_next ? c->latched_count >> 8 : c->latched_count);
    }
    int64_t tick = i8254_tick(c);
    counter_advance(c, tick);
    uint16_t value = counter_value(c, tick);
    bool is_msb = rw == RW_MSB || (rw == RW_BOTH && c->is_lsb_read);
    if (rw == RW_BOTH) {
        c->is_lsb_read = !c->is_lsb_read;
    }
    return (uint8_t)(is_msb ? value >> 8 : value);
}

/* 82C54 datasheet, "Gate pin operations summary". */
static void counter_set_gate(struct i8254_counter *c, bool level)
{
    if (c->is_gate_high == level) {
        return;
    }
    int64_t tick = i8254_tick(c);
    counter_advance(c, tick);

    if (counter_needs_trigger(c)) {
        c->is_gate_high = level;
        if (level && (c->is_loaded || c->has_next_count)) {
            bool was_high = counter_out(c, tick);
            counter_load(c, c->has_next_count ? c->next_count : c->count, tick);
            c->elapsed = was_high; /* OUT of mode 1 until the pulse that loads */
        }
    } else if (!level) {
        if (c->is_loaded && !c->is_paused) {
            int64_t elapsed = counter_elapsed(c, tick);
            c->elapsed = elapsed < 0 ? 0 : elapsed;
            c->is_paused = true;
        }
        c->is_gate_high = false;
    } else {
        c->is_gate_high = true;
        if (c->is_loaded && counter_is_periodic(c)) {
            counter_load(c, c->has_next_count ? c->next_count : c->count, tick);
        } else if (c->is_loaded) {
            c->start_tick = tick - c->elapsed;
            c->is_paused = false;
        }
    }
    counter_update(c);
}

static void i8254_write_control(struct i8254 *pit, uint8_t value)
{
    unsigned select = value >> CONTROL_SELECT_SHIFT;

    if (select == CONTROL_READ_BACK) {
        for (unsigned n = 0; n < COUNTERS; n++) {
            if (!(value & (2u << n))) {
                continue;
            }
            if (!(value & READ_BACK_NO_COUNT)) {
                counter_latch_count(&pit->counters[n]);
            }
            if (!(value & READ_BACK_NO_STATUS)) {
                counter_latch_status(&pit->counters[n]);
            }
        }
    } else if ((value >> CONTROL_RW_SHIFT & 3) == RW_LATCH) {
        counter_latch_count(&pit->counters[select]);
    } else {
        counter_write_control(&pit->counters[select], value);
    }
}

static void i8254_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct i8254 *pit = owner;

    (void)size;
    if (reg == REG_CONTROL) {
        i8254_write_control(pit, (uint8_t)value);
    } else if (reg < COUNTERS) {
        counter_write(&pit->counters[reg], (uint8_t)value);
    }
}

static uint32_t i8254_read(void *owner, unsigned reg, unsigned size)
{
    struct i8254 *pit = owner;

    (void)size;
    return reg < COUNTERS ? counter_read(&pit->counters[reg]) : 0xff; /* the control word cannot be read */
}

bool i8254_out(struct device *dev, unsigned counter)
{
    struct i8254_counter *c = &((struct i8254 *)dev)->counters[counter % COUNTERS];
    int64_t tick = i8254_tick(c);

    counter_advance(c, tick);
    return counter_out(c, tick);
}

uint32_t i8254_frequency(struct device *dev, unsigned counter)
{
    struct i8254_counter *c = &((struct i8254 *)dev)->counters[counter % COUNTERS];

    counter_advance(c, i8254_tick(c));
    if (!c->is_loaded || c->is_paused || !counter_is_periodic(c) || c->count < 2) {
        return 0;
    }
    return (uint32_t)(I8254_CLOCK_HZ / c->count);
}

static void i8254_set_input(struct device *dev, unsigned pin, bool level)
{
    if (pin < COUNTERS) {
        counter_set_gate(&((struct i8254 *)dev)->counters[pin], level);
    }
}

static bool i8254_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct i8254 *pit = (struct i8254 *)dev;

    (void)properties;
    (void)err;
    for (unsigned n = 0; n < COUNTERS; n++) {
        struct i8254_counter *c = &pit->counters[n];
        c->pit = pit;
        c->is_gate_high = n != 2;
        event_init(&c->edge, dev->clock, counter_edge, c);
    }
    return true;
}

static void i8254_reset(struct device *dev)
{
    struct i8254 *pit = (struct i8254 *)dev;

    for (unsigned n = 0; n < COUNTERS; n++) {
        struct i8254_counter *c = &pit->counters[n];
        c->start_tick = 0;
        c->count = 0;
        c->next_count = 0;
        c->latched_count = 0;
        c->latched_status = 0;
        c->written_lsb = 0;
        c->is_loaded = false;
        counter_write_control(c, RW_BOTH << CONTROL_RW_SHIFT | MODE_SQUARE << CONTROL_MODE_SHIFT);
        c->held_value = 0;
    }
}

/* A count of 0 would not be one: a damaged snapshot must not divide by it. */
static void i8254_loaded(struct device *dev)
{
    struct i8254 *pit = (struct i8254 *)dev;

    for (unsigned n = 0; n < COUNTERS; n++) {
        struct i8254_counter *c = &pit->counters[n];
        c->is_loaded = c->is_loaded && c->count >= 1 && c->count <= 65536;
        c->has_next_count = c->has_next_count && c->next_count >= 1 && c->next_count <= 65536;
    }
}

static const struct pin_group i8254_inputs[] = {{"gate", 0, COUNTERS}, {NULL, 0, 0}};
static const struct output i8254_outputs[] = {{"out", offsetof(struct i8254, out), COUNTERS}, {NULL, 0, 0}};
static const struct port_ops i8254_port_ops = {i8254_read, i8254_write, 1};

const struct device_class i8254_class = {
    .name = "i8254",
    .doc = "programmable interval timer (Intel 82C54)",
    .size = sizeof(struct i8254),
    .fields = i8254_fields,
    .inputs = i8254_inputs,
    .outputs = i8254_outputs,
    .port_ops = &i8254_port_ops,
    .init = i8254_init,
    .reset = i8254_reset,
    .loaded = i8254_loaded,
    .set_input = i8254_set_input,
};
