/* hpet.c - high precision event timers, as in the IA-PC HPET Specification, revision 1.0a (October 2004).
 *
 * Registers: 1 KiB at FED00000h. One block of three comparators of 64 bits, the first able to be periodic, a main counter of
 * 100 MHz. Outputs "route0" to "route23" (wired to the pins of the I/O APIC), "legacy0" and "legacy1" (in place of IRQ 0 of the
 * timer and IRQ 8 of the clock while LEG_RT_CNF is set) and "legacy", high while that is so. Interrupt messages (FSB) are
 * delivered as writes to memory.
 * Not implemented: nothing of the specification that three comparators can have. */
#include "devices/hpet.h"

enum {
    REG_CAPABILITIES = 0x000,
    REG_CONFIGURATION = 0x010,
    REG_STATUS = 0x020,
    REG_COUNTER = 0x0f0,
    REG_TIMERS = 0x100, /* each 20h */
    TIMER_CONFIGURATION = 0x00,
    TIMER_COMPARATOR = 0x08,
    TIMER_MESSAGE = 0x10,

    TIMERS = 3,
    ROUTES = 24,
    TICK_NS = 10,
    VENDOR = 0x8086,
};
#define TICK_FEMTOSECONDS UINT64_C(10000000)
#define CAPABILITIES (TICK_FEMTOSECONDS << 32 | (uint64_t)VENDOR << 16 | 1u << 15 /* legacy routes */ | 1u << 13 /* 64 bits */ |  \
                      (TIMERS - 1) << 8 | 1 /* revision */)

#define CONF_ENABLE UINT64_C(1)
#define CONF_LEGACY UINT64_C(2)

#define TIMER_LEVEL UINT64_C(0x0002)
#define TIMER_ENABLE UINT64_C(0x0004)
#define TIMER_PERIODIC UINT64_C(0x0008)
#define TIMER_CAN_PERIODIC UINT64_C(0x0010)
#define TIMER_CAN_64 UINT64_C(0x0020)
#define TIMER_SET_VALUE UINT64_C(0x0040)
#define TIMER_32 UINT64_C(0x0100)
#define TIMER_ROUTE_SHIFT 9
#define TIMER_ROUTE UINT64_C(0x3e00)
#define TIMER_MESSAGES UINT64_C(0x4000)
#define TIMER_CAN_MESSAGES UINT64_C(0x8000)
/* I/O APIC pins that a comparator may use: those of no ISA device or PCI line, as QEMU's PC has it (pin 2 is the timer's). */
#define TIMER_ROUTES (UINT64_C(0x00f00000) << 32)

struct hpet;

struct hpet_timer {
    struct event event;
    struct hpet *hpet;
    uint64_t configuration;
    uint64_t comparator;
    uint64_t period;  /* what was written to the comparator last */
    uint64_t message; /* value, and address above it */
    uint32_t number;
    uint8_t pad_[4];
};

struct hpet {
    struct device dev;
    struct irq route[ROUTES];
    struct irq legacy[2];
    struct irq legacy_mode;
    struct hpet_timer timers[TIMERS];
    uint64_t configuration;
    uint64_t status;
    uint64_t counter;  /* at since_ns */
    uint64_t since_ns; /* when it was written or started last */
    uint32_t edges;    /* comparators that have pulled their wire: edges last until the next one, as a PIC wants it */
    uint8_t pad_[4];
};

#define S struct hpet_timer
static const struct field hpet_timer_fields[] = {
    FIELD_EVENT(S, event, "the comparator matches"),
    WIRED(S, hpet, NULL),
    FIELD(S, configuration, NULL),
    FIELD(S, comparator, NULL),
    FIELD(S, period, "added to the comparator at each match"),
    FIELD(S, message, "interrupt message: value, address above it"),
    WIRED(S, number, NULL),
    PAD(S, pad_),
    FIELD_END,
};
#undef S
#define S struct hpet
static const struct field hpet_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, route, "to the I/O APIC"),
    WIRED(S, legacy, "in place of IRQ 0 and IRQ 8"),
    WIRED(S, legacy_mode, "high while the two are in use"),
    FIELD_STRUCT(S, timers, struct hpet_timer, hpet_timer_fields, "comparators"),
    FIELD(S, configuration, NULL),
    FIELD(S, status, "level-triggered interrupts that are active"),
    FIELD(S, counter, "main counter at since_ns"),
    FIELD(S, since_ns, NULL),
    FIELD(S, edges, "edge-triggered comparators whose wire is high"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static struct hpet *hpet_of(struct device *dev)
{
    return (struct hpet *)(void *)dev;
}

static bool is_running(const struct hpet *hpet)
{
    return (hpet->configuration & CONF_ENABLE) != 0;
}

static uint64_t counter_now(const struct hpet *hpet)
{
    return is_running(hpet) ? hpet->counter + (clock_now(hpet->dev.clock) - hpet->since_ns) / TICK_NS : hpet->counter;
}

static bool is_32bit(const struct hpet_timer *timer)
{
    return (timer->configuration & TIMER_32) != 0;
}

/* ---- interrupts ---- */

static bool may_interrupt(const struct hpet_timer *timer)
{
    return (timer->configuration & TIMER_ENABLE) != 0 && is_running(timer->hpet);
}

/* A level-triggered comparator holds its wire while its status bit is set (2.3.5); what else it may have pulled is let go. */
static void update_wires(struct hpet *hpet)
{
    uint32_t routes = 0, legacy = 0;

    for (unsigned n = 0; n < TIMERS; n++) {
        const struct hpet_timer *timer = &hpet->timers[n];
        uint64_t pulls = (timer->configuration & TIMER_LEVEL) != 0 ? hpet->status : hpet->edges;
        if ((pulls >> n & 1) == 0 || !may_interrupt(timer) || (timer->configuration & TIMER_MESSAGES) != 0) {
            continue;
        }
        if ((hpet->configuration & CONF_LEGACY) != 0 && n < 2) {
            legacy |= 1u << n;
        } else {
            routes |= UINT32_C(1) << ((timer->configuration & TIMER_ROUTE) >> TIMER_ROUTE_SHIFT);
        }
    }
    for (unsigned n = 0; n < ROUTES; n++) {
        irq_set(&hpet->route[n], (routes >> n & 1) != 0);
    }
    irq_set(&hpet->legacy[0], (legacy & 1) != 0);
    irq_set(&hpet->legacy[1], (legacy & 2) != 0);
    irq_set(&hpet->legacy_mode, (hpet->configuration & CONF_LEGACY) != 0);
}

static void interrupt(struct hpet_timer *timer)
{
    struct hpet *hpet = timer->hpet;

    if ((timer->configuration & TIMER_LEVEL) != 0) {
        hpet->status |= UINT64_C(1) << timer->number; /* also when the interrupt is not enabled: 2.3.5 */
        if ((timer->configuration & TIMER_MESSAGES) == 0) {
            update_wires(hpet);
            return;
        }
    }
    if (!may_interrupt(timer)) {
        return;
    }
    if ((timer->configuration & TIMER_MESSAGES) != 0) {
        space_write(hpet->dev.space, timer->message >> 32, 4, (uint32_t)timer->message);
        return;
    }
    hpet->edges &= ~(UINT32_C(1) << timer->number);
    update_wires(hpet);
    hpet->edges |= UINT32_C(1) << timer->number;
    update_wires(hpet);
}

/* ---- comparators ---- */

static void cancel(struct hpet_timer *timer)
{
    event_cancel(&timer->event);
}

/* When the counter reaches the comparator: it compares for equality, so a value that is behind waits for the counter to come
 * round. Interrupts that are disabled need no event unless the comparator is to move or a status bit to be set. */
static void arm(struct hpet_timer *timer)
{
    const struct hpet *hpet = timer->hpet;
    uint64_t now = clock_now(hpet->dev.clock);
    uint64_t distance = timer->comparator - counter_now(hpet);

    if (!is_running(hpet) || (timer->configuration & (TIMER_ENABLE | TIMER_LEVEL | TIMER_PERIODIC)) == 0) {
        cancel(timer);
        return;
    }
    if (is_32bit(timer)) {
        distance &= UINT32_MAX;
        distance = distance != 0 ? distance : UINT64_C(1) << 32;
    }
    uint64_t into_tick = (now - hpet->since_ns) % TICK_NS;
    if (distance == 0 || distance > (CLOCK_NEVER - 1 - now) / TICK_NS) {
        cancel(timer); /* in some thousand years */
        return;
    }
    uint64_t when = now - into_tick + distance * TICK_NS;
    if (when != timer->event.deadline_ns) {
        event_at(&timer->event, when);
    }
}

/* Steps over all matches up to now: with a period below what an instruction takes they come together. */
static void advance(struct hpet_timer *timer)
{
    uint64_t mask = is_32bit(timer) ? UINT32_MAX : UINT64_MAX;
    uint64_t behind = (counter_now(timer->hpet) - timer->comparator) & mask;

    if ((timer->configuration & TIMER_PERIODIC) != 0 && (timer->period & mask) != 0) {
        uint64_t period = timer->period & mask;
        timer->comparator = (timer->comparator + (behind / period + 1) * period) & mask;
    }
}

static void match(void *owner)
{
    struct hpet_timer *timer = owner;

    advance(timer);
    arm(timer);
    interrupt(timer);
}

static void arm_all(struct hpet *hpet)
{
    for (unsigned n = 0; n < TIMERS; n++) {
        arm(&hpet->timers[n]);
    }
}

/* ---- registers ---- */

static void write_configuration(struct hpet *hpet, uint64_t value)
{
    uint64_t now = counter_now(hpet);

    hpet->counter = now; /* stopping holds it, starting goes on from there */
    hpet->since_ns = clock_now(hpet->dev.clock);
    hpet->configuration = value & (CONF_ENABLE | CONF_LEGACY);
    arm_all(hpet);
    update_wires(hpet);
}

static void write_counter(struct hpet *hpet, uint64_t value)
{
    hpet->counter = value;
    hpet->since_ns = clock_now(hpet->dev.clock);
    arm_all(hpet);
}

static void write_timer_configuration(struct hpet_timer *timer, uint64_t value)
{
    bool can_be_periodic = timer->number == 0;
    uint64_t writable = TIMER_LEVEL | TIMER_ENABLE | (can_be_periodic ? TIMER_PERIODIC | TIMER_SET_VALUE : 0) | TIMER_32 |
                        TIMER_ROUTE | TIMER_MESSAGES;
    uint64_t route = (value & TIMER_ROUTE) >> TIMER_ROUTE_SHIFT;

    if ((TIMER_ROUTES >> 32 >> route & 1) == 0) { /* "the value read back will not match": 2.3.8 */
        value = (value & ~TIMER_ROUTE) | (timer->configuration & TIMER_ROUTE);
    }
    timer->configuration = (timer->configuration & ~writable) | (value & writable);
    timer->hpet->edges &= ~(UINT32_C(1) << timer->number);
    if (is_32bit(timer)) {
        timer->comparator &= UINT32_MAX;
        timer->period &= UINT32_MAX;
    }
    arm(timer);
    update_wires(timer->hpet);
}

/* `mask` tells which half is written. Of a periodic comparator the accumulator changes only after SET_VALUE (2.3.9.2.2). */
static void write_comparator(struct hpet_timer *timer, uint64_t value, uint64_t mask)
{
    bool is_periodic = (timer->configuration & TIMER_PERIODIC) != 0;

    if (is_32bit(timer)) {
        value &= UINT32_MAX;
        mask &= UINT32_MAX;
        if (mask == 0) {
            return;
        }
    }
    if (!is_periodic || (timer->configuration & TIMER_SET_VALUE) != 0) {
        timer->comparator = (timer->comparator & ~mask) | (value & mask);
    }
    if (is_periodic) {
        timer->period = (timer->period & ~mask) | (value & mask);
    }
    timer->configuration &= ~TIMER_SET_VALUE;
    arm(timer);
}

static uint64_t read_timer(const struct hpet_timer *timer, unsigned reg)
{
    switch (reg) {
    case TIMER_CONFIGURATION:
        return timer->configuration;
    case TIMER_COMPARATOR:
        return timer->comparator;
    case TIMER_MESSAGE:
        return timer->message;
    default:
        return 0;
    }
}

static uint64_t read_register(const struct hpet *hpet, unsigned reg)
{
    unsigned number = (reg - REG_TIMERS) / 0x20;

    switch (reg) {
    case REG_CAPABILITIES:
        return CAPABILITIES;
    case REG_CONFIGURATION:
        return hpet->configuration;
    case REG_STATUS:
        return hpet->status;
    case REG_COUNTER:
        return counter_now(hpet);
    default:
        return reg >= REG_TIMERS && number < TIMERS ? read_timer(&hpet->timers[number], reg % 0x20) : 0;
    }
}

static void write_register(struct hpet *hpet, unsigned reg, uint64_t value, uint64_t mask)
{
    uint64_t merged = (read_register(hpet, reg) & ~mask) | (value & mask);
    unsigned number = (reg - REG_TIMERS) / 0x20;

    if (reg == REG_CONFIGURATION) {
        write_configuration(hpet, merged);
    } else if (reg == REG_STATUS) {
        hpet->status &= ~(value & mask); /* a 1 clears */
        update_wires(hpet);
    } else if (reg == REG_COUNTER) {
        write_counter(hpet, merged);
    } else if (reg >= REG_TIMERS && number < TIMERS) {
        struct hpet_timer *timer = &hpet->timers[number];
        switch (reg % 0x20) {
        case TIMER_CONFIGURATION:
            write_timer_configuration(timer, merged);
            break;
        case TIMER_COMPARATOR:
            write_comparator(timer, value, mask);
            break;
        case TIMER_MESSAGE:
            timer->message = merged;
            break;
        default:
            break;
        }
    }
}

/* Accesses of 64 bits come in halves. "Software should not read the 64-bit counter in halves" while it runs: what the second
 * half shows is of its own time. */
static uint32_t hpet_read(void *owner, uint64_t offset, unsigned size)
{
    (void)size;
    return (uint32_t)(read_register(owner, (unsigned)offset & ~7u) >> 8 * (offset & 7));
}

static void hpet_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    unsigned shift = 8 * (offset & 7);
    uint64_t mask = size >= 4 ? UINT32_MAX : (UINT64_C(1) << 8 * size) - 1;

    write_register(owner, (unsigned)offset & ~7u, (uint64_t)value << shift, mask << shift);
}

/* ---- class ---- */

static void hpet_reset(struct device *dev)
{
    struct hpet *hpet = hpet_of(dev);

    hpet->configuration = hpet->status = hpet->counter = 0;
    hpet->edges = 0;
    hpet->since_ns = clock_now(dev->clock);
    for (unsigned n = 0; n < TIMERS; n++) {
        struct hpet_timer *timer = &hpet->timers[n];
        timer->configuration = TIMER_ROUTES | TIMER_CAN_64 | TIMER_CAN_MESSAGES | (n == 0 ? TIMER_CAN_PERIODIC : 0);
        timer->comparator = UINT64_MAX;
        timer->period = timer->message = 0;
        cancel(timer);
    }
    update_wires(hpet);
}

static bool hpet_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct hpet *hpet = hpet_of(dev);

    (void)properties;
    (void)err;
    for (unsigned n = 0; n < TIMERS; n++) {
        hpet->timers[n].hpet = hpet;
        hpet->timers[n].number = n;
        event_init(&hpet->timers[n].event, dev->clock, match, &hpet->timers[n]);
    }
    return true;
}

static const struct output hpet_outputs[] = {
    { "route", offsetof(struct hpet, route), ROUTES },
    { "legacy", offsetof(struct hpet, legacy), 2 },
    { "legacy_mode", offsetof(struct hpet, legacy_mode), 0 },
    { NULL, 0, 0 },
};
static const struct region_ops hpet_region_ops = { .read = hpet_read, .write = hpet_write, .max_size = 4 };

const struct device_class hpet_class = {
    .name = "hpet",
    .doc = "high precision event timers",
    .size = sizeof(struct hpet),
    .fields = hpet_fields,
    .outputs = hpet_outputs,
    .region_ops = &hpet_region_ops,
    .init = hpet_init,
    .reset = hpet_reset,
};
