/* lapic.c - the local APIC of a processor, as in Intel SDM vol. 3 (December 2023), chapter 11: xAPIC and x2APIC modes.
 *
 * Registers: the page at IA32_APIC_BASE by lapic_read and lapic_write, MSRs 800h to 8FFh by lapic_read_msr and
 * lapic_write_msr. Pins "lint0" and "lint1". Properties: "apic_bus" (struct apic_bus), "core" (struct lapic_core), "number"
 * (the APIC ID after reset), "is_bootstrap" (number). The timer's clock is 25 MHz.
 *
 * One deviation: after reset LVT LINT0 and LINT1 of the bootstrap processor are not masked but ExtINT and NMI (00000700h, as in
 * QEMU's PC, and 00000400h), so that firmware that knows no APIC gets the interrupts of the 8259s and the NMI.
 *
 * Not implemented: CMCI, EOI-broadcast suppression, remote read, focus processor checking (bit 9 of SVR is kept), the
 * arbitration priority register (reads 0), thermal and performance interrupts (their LVT entries are kept; nothing raises
 * them). */
#include "devices/lapic.h"

#include <string.h>

/* Register numbers: offset in the page divided by 16, which is also the MSR number less 800h. */
enum {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_RRD = 0x0c,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR_LOW = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT_TIMER = 0x32,
    REG_LVT_THERMAL = 0x33,
    REG_LVT_PERFORMANCE = 0x34,
    REG_LVT_LINT0 = 0x35,
    REG_LVT_LINT1 = 0x36,
    REG_LVT_ERROR = 0x37,
    REG_INITIAL_COUNT = 0x38,
    REG_CURRENT_COUNT = 0x39,
    REG_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f, /* x2APIC only */
    REG_COUNT = 0x40,

    LVT_COUNT = 6,
    LVT_TIMER = 0,
    LVT_LINT0 = 3,
    LVT_ERROR = 5,

    VECTOR_WORDS = 8,
    FIRST_LEGAL_VECTOR = 16,

    CLOCK_NS = 40, /* 25 MHz: the crystal of CPUID leaf 15h, as 11.5.4 says */
};

#define VERSION ((LVT_COUNT - 1u) << 16 | 0x14u)

#define LVT_VECTOR UINT32_C(0x000ff)
#define LVT_DELIVERY_SHIFT 8
#define LVT_REMOTE_IRR UINT32_C(0x04000)
#define LVT_LEVEL UINT32_C(0x08000)
#define LVT_MASKED UINT32_C(0x10000)
#define LVT_TIMER_MODE UINT32_C(0x60000)
#define TIMER_ONE_SHOT UINT32_C(0x00000)
#define TIMER_PERIODIC UINT32_C(0x20000)
#define TIMER_DEADLINE UINT32_C(0x40000)

#define SVR_ENABLED UINT32_C(0x100)
#define SVR_WRITABLE UINT32_C(0x3ff)

#define ICR_LOGICAL UINT32_C(0x00800)
#define ICR_ASSERT UINT32_C(0x04000)
#define ICR_LEVEL UINT32_C(0x08000)
#define ICR_SHORTHAND_SHIFT 18
#define ICR_WRITABLE UINT32_C(0x000ccfff)

enum {
    ESR_SEND_ACCEPT = 0x04, /* reserved in what we are; P6 alone */
    ESR_SEND_ILLEGAL = 0x20,
    ESR_RECEIVE_ILLEGAL = 0x40,
    ESR_REGISTER = 0x80,
};

/* Bits of each LVT entry that can be written: timer, thermal, performance, LINT0, LINT1, error (11.5.1). */
static const uint32_t lvt_writable[LVT_COUNT] = { 0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff };

struct lapic {
    struct device dev;
    struct apic_bus *bus;
    struct lapic_core core;
    struct event timer;
    uint64_t base; /* copy of IA32_APIC_BASE: what mode this is in */
    uint64_t tsc_deadline; /* 0: not armed */
    uint64_t count_since_ns; /* the timer had count_from at this time */
    uint32_t count_from;
    uint32_t initial_count;
    uint32_t divide;
    uint32_t id; /* in xAPIC mode: bits 24-31 of the register */
    uint32_t tpr;
    uint32_t ldr;
    uint32_t dfr;
    uint32_t svr;
    uint32_t esr;
    uint32_t errors; /* seen since the ESR was written last */
    uint32_t icr_low;
    uint32_t icr_high;
    uint32_t lvt[LVT_COUNT];
    uint32_t isr[VECTOR_WORDS];
    uint32_t tmr[VECTOR_WORDS];
    uint32_t irr[VECTOR_WORDS];
    uint32_t number;
    uint8_t lints; /* levels */
    bool is_external_pending; /* an ExtINT message */
    bool is_bootstrap;
    bool is_off; /* for good: a processor without APIC */
    uint8_t pad_[8];
};

#define S struct lapic
static const struct field lapic_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, bus, NULL),
    WIRED(S, core, "the processor"),
    FIELD_EVENT(S, timer, "the timer expires"),
    FIELD(S, base, "copy of IA32_APIC_BASE"),
    FIELD(S, tsc_deadline, "IA32_TSC_DEADLINE; 0 when not armed"),
    FIELD(S, count_since_ns, "guest time at which the timer had count_from"),
    FIELD(S, count_from, NULL),
    FIELD(S, initial_count, NULL),
    FIELD(S, divide, "divide configuration"),
    FIELD(S, id, "xAPIC ID"),
    FIELD(S, tpr, "task priority"),
    FIELD(S, ldr, "logical destination"),
    FIELD(S, dfr, "destination format"),
    FIELD(S, svr, "spurious interrupt vector"),
    FIELD(S, esr, "error status as last latched"),
    FIELD(S, errors, "errors since then"),
    FIELD(S, icr_low, "interrupt command"),
    FIELD(S, icr_high, "its destination"),
    FIELD(S, lvt, "timer, thermal, performance, LINT0, LINT1, error"),
    FIELD(S, isr, "in service, from vector 0"),
    FIELD(S, tmr, "trigger mode, 1 is level"),
    FIELD(S, irr, "requested"),
    WIRED(S, number, "APIC ID after reset"),
    FIELD(S, lints, "levels of LINT0 and LINT1"),
    FIELD(S, is_external_pending, "an ExtINT message was not acknowledged yet"),
    WIRED(S, is_bootstrap, NULL),
    WIRED(S, is_off, NULL),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static struct lapic *lapic_of(struct device *dev)
{
    return (struct lapic *)(void *)dev;
}

static const struct lapic *lapic_of_const(const struct device *dev)
{
    return (const struct lapic *)(const void *)dev;
}

/* ---- modes ---- */

static bool is_on(const struct lapic *apic)
{
    return (apic->base & LAPIC_BASE_ENABLE) != 0;
}

static bool is_x2apic(const struct lapic *apic)
{
    return (apic->base & (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC)) == (LAPIC_BASE_ENABLE | LAPIC_BASE_X2APIC);
}

/* Software enable, 11.4.7.2: without it nothing but INIT, NMI, SMI and start-up messages is taken. */
static bool is_enabled(const struct lapic *apic)
{
    return is_on(apic) && (apic->svr & SVR_ENABLED) != 0;
}

static uint32_t id_of(const struct lapic *apic)
{
    return is_x2apic(apic) ? apic->number : apic->id;
}

/* 11.12.10.2: derived from the ID. */
static uint32_t x2apic_ldr(const struct lapic *apic)
{
    return apic->number >> 4 << 16 | UINT32_C(1) << (apic->number & 15);
}

/* ---- vectors ---- */

static bool vector_get(const uint32_t *words, unsigned vector)
{
    return (words[vector / 32] >> vector % 32 & 1) != 0;
}

static void vector_set(uint32_t *words, unsigned vector, bool value)
{
    uint32_t bit = UINT32_C(1) << vector % 32;

    words[vector / 32] = value ? words[vector / 32] | bit : words[vector / 32] & ~bit;
}

/* The highest vector, or -1. */
static int highest(const uint32_t *words)
{
    for (int word = VECTOR_WORDS - 1; word >= 0; word--) {
        if (words[word] != 0) {
            int bit = 31;
            while ((words[word] >> bit & 1) == 0) {
                bit--;
            }
            return word * 32 + bit;
        }
    }
    return -1;
}

/* 11.8.3.1. */
static unsigned ppr(const struct lapic *apic)
{
    int in_service = highest(apic->isr);
    unsigned service_class = in_service < 0 ? 0 : (unsigned)in_service & 0xf0;

    return (apic->tpr & 0xf0) >= service_class ? apic->tpr & 0xff : service_class;
}

/* The vector that may interrupt the processor now, or -1. */
static int deliverable(const struct lapic *apic)
{
    int request = highest(apic->irr);

    return request >= 0 && is_enabled(apic) && ((unsigned)request & 0xf0) > (ppr(apic) & 0xf0) ? request : -1;
}

static bool lint_is_external(const struct lapic *apic, unsigned lint)
{
    uint32_t entry = apic->lvt[LVT_LINT0 + lint];

    return (entry & LVT_MASKED) == 0 && (entry >> LVT_DELIVERY_SHIFT & 7) == APIC_EXTINT;
}

/* An interrupt of the 8259s; switched off altogether, LINT0 is INTR (11.4.3). */
static bool has_external(const struct lapic *apic)
{
    if (!is_on(apic)) {
        return (apic->lints & 1) != 0;
    }
    return apic->is_external_pending || ((apic->lints & 1) != 0 && lint_is_external(apic, 0)) ||
           ((apic->lints & 2) != 0 && lint_is_external(apic, 1));
}

static void update_intr(const struct lapic *apic)
{
    if (apic->core.set_intr != NULL) {
        apic->core.set_intr(apic->core.context, deliverable(apic) >= 0 || has_external(apic));
    }
}

static void call_nmi(const struct lapic *apic)
{
    if (apic->core.nmi != NULL) {
        apic->core.nmi(apic->core.context);
    }
}

static void call_smi(const struct lapic *apic)
{
    if (apic->core.smi != NULL) {
        apic->core.smi(apic->core.context);
    }
}

/* ---- errors ---- */

static bool request(struct lapic *apic, unsigned vector, bool is_level);

/* 11.5.3: kept until the ESR is written; an interrupt each time. */
static void report_error(struct lapic *apic, uint32_t error)
{
    uint32_t entry = apic->lvt[LVT_ERROR];
    bool is_new = (apic->errors & error) == 0;

    apic->errors |= error;
    if (is_new && (entry & LVT_MASKED) == 0 && (entry & LVT_VECTOR) >= FIRST_LEGAL_VECTOR) {
        request(apic, entry & LVT_VECTOR, false);
    }
}

/* Puts a vector into the IRR. */
static bool request(struct lapic *apic, unsigned vector, bool is_level)
{
    if (!is_enabled(apic)) {
        return false;
    }
    if (vector < FIRST_LEGAL_VECTOR) {
        report_error(apic, ESR_RECEIVE_ILLEGAL);
        return true;
    }
    vector_set(apic->irr, vector, true);
    vector_set(apic->tmr, vector, is_level);
    update_intr(apic);
    return true;
}

/* ---- reset ---- */

static void timer_arm(struct lapic *apic);

/* 11.4.7.1 and 11.4.7.3: after INIT all but the ID is as after power-up. */
static void set_initial_state(struct lapic *apic)
{
    apic->tpr = 0;
    apic->ldr = 0;
    apic->dfr = UINT32_MAX;
    apic->svr = 0xff;
    apic->esr = apic->errors = 0;
    apic->icr_low = apic->icr_high = 0;
    for (unsigned n = 0; n < LVT_COUNT; n++) {
        apic->lvt[n] = LVT_MASKED;
    }
    if (apic->is_bootstrap) {
        apic->lvt[LVT_LINT0] = (uint32_t)APIC_EXTINT << LVT_DELIVERY_SHIFT;
        apic->lvt[LVT_LINT0 + 1] = (uint32_t)APIC_NMI << LVT_DELIVERY_SHIFT;
    }
    memset(apic->isr, 0, sizeof apic->isr);
    memset(apic->tmr, 0, sizeof apic->tmr);
    memset(apic->irr, 0, sizeof apic->irr);
    apic->is_external_pending = false;
    apic->tsc_deadline = apic->count_since_ns = 0;
    apic->count_from = apic->initial_count = apic->divide = 0;
    timer_arm(apic);
    update_intr(apic);
}

static void lapic_reset(struct device *dev)
{
    struct lapic *apic = lapic_of(dev);

    apic->base = UINT64_C(0xfee00000) | (apic->is_off ? 0 : LAPIC_BASE_ENABLE) | (apic->is_bootstrap ? 0x100 : 0);
    apic->id = apic->number & 0xff;
    set_initial_state(apic);
}

/* ---- timer: 11.5.4 ---- */

static uint32_t timer_mode(const struct lapic *apic)
{
    return apic->lvt[LVT_TIMER] & LVT_TIMER_MODE;
}

/* Nanoseconds of one count: the clock divided by 1, 2, 4 ... 128 (figure 11-10). */
static uint64_t timer_tick_ns(const struct lapic *apic)
{
    unsigned value = (apic->divide & 3) | (apic->divide >> 1 & 4);

    return (uint64_t)CLOCK_NS << ((value + 1) & 7);
}

static uint32_t current_count(const struct lapic *apic)
{
    if (timer_mode(apic) == TIMER_DEADLINE || apic->initial_count == 0) {
        return 0;
    }
    uint64_t ticks = (clock_now(apic->dev.clock) - apic->count_since_ns) / timer_tick_ns(apic);
    if (ticks < apic->count_from) {
        return (uint32_t)(apic->count_from - ticks);
    }
    if (timer_mode(apic) != TIMER_PERIODIC) {
        return 0;
    }
    return apic->initial_count - (uint32_t)((ticks - apic->count_from) % apic->initial_count);
}

/* When the count reaches zero next, after now. */
static uint64_t next_expiry(const struct lapic *apic)
{
    uint64_t now = clock_now(apic->dev.clock);
    uint64_t tick = timer_tick_ns(apic);
    uint64_t first = apic->count_since_ns + apic->count_from * tick;

    if (apic->initial_count == 0) {
        return CLOCK_NEVER;
    }
    if (first > now) {
        return first;
    }
    if (timer_mode(apic) != TIMER_PERIODIC) {
        return CLOCK_NEVER;
    }
    uint64_t period = apic->initial_count * tick;
    return first + ((now - first) / period + 1) * period;
}

/* A masked timer counts but needs no event. */
static void timer_arm(struct lapic *apic)
{
    uint64_t when = CLOCK_NEVER;

    if (timer_mode(apic) == TIMER_DEADLINE) {
        if (apic->tsc_deadline != 0 && apic->core.tsc_to_ns != NULL) {
            when = apic->core.tsc_to_ns(apic->core.context, apic->tsc_deadline);
        }
    } else if ((apic->lvt[LVT_TIMER] & LVT_MASKED) == 0) {
        when = next_expiry(apic);
    }
    if (when == CLOCK_NEVER) {
        event_cancel(&apic->timer);
    } else if (when != apic->timer.deadline_ns) {
        event_at(&apic->timer, when);
    }
}

static void timer_fire(void *owner)
{
    struct lapic *apic = owner;
    uint32_t entry = apic->lvt[LVT_TIMER];

    if (timer_mode(apic) == TIMER_DEADLINE) {
        apic->tsc_deadline = 0; /* disarmed: 11.5.4.1 */
    }
    timer_arm(apic);
    if ((entry & LVT_MASKED) == 0) {
        request(apic, entry & LVT_VECTOR, false);
    }
}

/* Freezes the count at what it is, before what it depends on changes. */
static void timer_hold(struct lapic *apic)
{
    apic->count_from = current_count(apic);
    apic->count_since_ns = clock_now(apic->dev.clock);
}

static void write_initial_count(struct lapic *apic, uint32_t value)
{
    if (timer_mode(apic) == TIMER_DEADLINE) {
        return;
    }
    apic->initial_count = apic->count_from = value;
    apic->count_since_ns = clock_now(apic->dev.clock);
    timer_arm(apic);
}

static void write_divide(struct lapic *apic, uint32_t value)
{
    timer_hold(apic);
    apic->divide = value & 0x0b;
    timer_arm(apic);
}

/* Between the deadline mode and the others both timers are disarmed. */
static void write_lvt_timer(struct lapic *apic, uint32_t value)
{
    if (((value ^ apic->lvt[LVT_TIMER]) & TIMER_DEADLINE) != 0) {
        apic->initial_count = apic->count_from = 0;
        apic->tsc_deadline = 0;
    } else {
        timer_hold(apic);
    }
    apic->lvt[LVT_TIMER] = value;
    timer_arm(apic);
}

uint64_t lapic_deadline(const struct device *dev)
{
    const struct lapic *apic = lapic_of_const(dev);

    return timer_mode(apic) == TIMER_DEADLINE ? apic->tsc_deadline : 0;
}

void lapic_set_deadline(struct device *dev, uint64_t tsc)
{
    struct lapic *apic = lapic_of(dev);

    if (timer_mode(apic) == TIMER_DEADLINE) {
        apic->tsc_deadline = tsc;
        timer_arm(apic);
    }
}

void lapic_tsc_changed(struct device *dev)
{
    timer_arm(lapic_of(dev));
}

/* ---- local interrupts: 11.5.1 ---- */

/* A level-triggered fixed interrupt on LINT0 or LINT1. */
static void offer_lint(struct lapic *apic, unsigned lint)
{
    uint32_t *entry = &apic->lvt[LVT_LINT0 + lint];

    if ((*entry & (LVT_MASKED | LVT_LEVEL | LVT_REMOTE_IRR)) == LVT_LEVEL && (apic->lints >> lint & 1) != 0 &&
        (*entry >> LVT_DELIVERY_SHIFT & 7) == APIC_FIXED && is_enabled(apic)) {
        *entry |= LVT_REMOTE_IRR;
        request(apic, *entry & LVT_VECTOR, true);
    }
}

static void lint_rises(struct lapic *apic, unsigned lint)
{
    uint32_t entry = apic->lvt[LVT_LINT0 + lint];

    if (!is_on(apic)) { /* INTR and NMI: 11.4.3 */
        if (lint == 1) {
            call_nmi(apic);
        }
        return;
    }
    if ((entry & LVT_MASKED) != 0) {
        return;
    }
    switch (entry >> LVT_DELIVERY_SHIFT & 7) {
    case APIC_FIXED:
        if ((entry & LVT_LEVEL) == 0) {
            request(apic, entry & LVT_VECTOR, false);
        }
        break;
    case APIC_NMI:
        call_nmi(apic);
        break;
    case APIC_SMI:
        call_smi(apic);
        break;
    case APIC_INIT:
        set_initial_state(apic);
        if (apic->core.init != NULL) {
            apic->core.init(apic->core.context);
        }
        break;
    default:
        break;
    }
}

static void lapic_set_input(struct device *dev, unsigned pin, bool level)
{
    struct lapic *apic = lapic_of(dev);
    uint8_t bit = (uint8_t)(1u << pin);
    bool has_risen = level && (apic->lints & bit) == 0;

    apic->lints = (uint8_t)(level ? apic->lints | bit : apic->lints & ~bit);
    if (has_risen) {
        lint_rises(apic, pin);
    }
    offer_lint(apic, pin);
    update_intr(apic);
}

static void write_lvt(struct lapic *apic, unsigned n, uint32_t value)
{
    uint32_t kept = apic->lvt[n] & LVT_REMOTE_IRR;

    value &= lvt_writable[n];
    if (!is_enabled(apic)) {
        value |= LVT_MASKED; /* 11.4.7.2: cannot be cleared */
    }
    if (n == LVT_TIMER) {
        write_lvt_timer(apic, value);
        return;
    }
    apic->lvt[n] = value | ((value & LVT_LEVEL) != 0 ? kept : 0);
    if (n == LVT_LINT0 || n == LVT_LINT0 + 1) {
        offer_lint(apic, n - LVT_LINT0);
    }
    update_intr(apic);
}

static void write_svr(struct lapic *apic, uint32_t value)
{
    bool was_enabled = (apic->svr & SVR_ENABLED) != 0;

    apic->svr = value & SVR_WRITABLE;
    if ((apic->svr & SVR_ENABLED) == 0) {
        for (unsigned n = 0; n < LVT_COUNT; n++) {
            write_lvt(apic, n, apic->lvt[n] | LVT_MASKED);
        }
    } else if (!was_enabled && apic->bus != NULL) {
        apic_bus_retry(apic->bus);
    }
    update_intr(apic);
}

static void write_eoi(struct lapic *apic)
{
    int vector = highest(apic->isr);

    if (vector < 0) {
        return;
    }
    vector_set(apic->isr, (unsigned)vector, false);
    if (vector_get(apic->tmr, (unsigned)vector)) {
        for (unsigned lint = 0; lint < LAPIC_LINTS; lint++) {
            uint32_t *entry = &apic->lvt[LVT_LINT0 + lint];
            if ((*entry & LVT_REMOTE_IRR) != 0 && (*entry & LVT_VECTOR) == (unsigned)vector) {
                *entry &= ~LVT_REMOTE_IRR;
                offer_lint(apic, lint);
            }
        }
        if (apic->bus != NULL) {
            apic_bus_eoi(apic->bus, (uint8_t)vector);
        }
    }
    update_intr(apic);
}

/* ---- messages ---- */

bool lapic_takes_interrupts(const struct device *dev)
{
    return is_enabled(lapic_of_const(dev));
}

unsigned lapic_priority(const struct device *dev)
{
    return ppr(lapic_of_const(dev));
}

/* 11.6.2.2 and 11.12.10.2. */
static bool matches_logical(const struct lapic *apic, const struct apic_message *message)
{
    uint32_t wanted = message->destination;

    if (is_x2apic(apic)) {
        uint32_t ldr = x2apic_ldr(apic);
        return wanted >> 16 == ldr >> 16 && (wanted & ldr & 0xffff) != 0;
    }
    if (message->is_from_x2apic && wanted > 0xff) {
        return false;
    }
    uint32_t ldr = apic->ldr >> 24;
    if (apic->dfr >> 28 == 0xf) {
        return (wanted & ldr) != 0;
    }
    if (apic->dfr >> 28 == 0) { /* clusters of four; cluster 15 is all */
        return (wanted >> 4 == 0xf || wanted >> 4 == ldr >> 4) && (wanted & ldr & 0xf) != 0;
    }
    return false;
}

bool lapic_matches(const struct device *dev, const struct apic_message *message)
{
    const struct lapic *apic = lapic_of_const(dev);

    if (!is_on(apic)) {
        return false;
    }
    if (message->destination == APIC_BROADCAST) {
        return true;
    }
    return message->is_logical ? matches_logical(apic, message) : message->destination == id_of(apic);
}

bool lapic_deliver(struct device *dev, const struct apic_message *message)
{
    struct lapic *apic = lapic_of(dev);
    const struct lapic_core *core = &apic->core;

    if (!is_on(apic)) {
        return false;
    }
    switch (message->delivery) {
    case APIC_FIXED:
    case APIC_LOWEST_PRIORITY:
        return request(apic, message->vector, message->is_level);
    case APIC_SMI:
        call_smi(apic);
        return true;
    case APIC_NMI:
        call_nmi(apic);
        return true;
    case APIC_INIT:
        set_initial_state(apic);
        if (core->init != NULL) {
            core->init(core->context);
        }
        return true;
    case APIC_STARTUP:
        if (core->start != NULL) {
            core->start(core->context, message->vector);
        }
        return true;
    case APIC_EXTINT:
        apic->is_external_pending = true;
        update_intr(apic);
        return true;
    default:
        return false;
    }
}

int lapic_acknowledge(struct device *dev)
{
    struct lapic *apic = lapic_of(dev);
    int vector = deliverable(apic);

    if (vector >= 0) {
        vector_set(apic->irr, (unsigned)vector, false);
        vector_set(apic->isr, (unsigned)vector, true);
        update_intr(apic);
        return vector;
    }
    if (!has_external(apic)) {
        return LAPIC_NOTHING;
    }
    apic->is_external_pending = false;
    update_intr(apic);
    return LAPIC_EXTERNAL;
}

/* Bits of the message that the interrupt command describes (11.6.1, tables 11-3 and 11-4). Combinations that the tables call
 * invalid are sent as what they say. */
static void send_ipi(struct lapic *apic, uint32_t low, uint32_t destination)
{
    enum { TO_DESTINATION, TO_SELF, TO_ALL, TO_OTHERS };
    unsigned shorthand = low >> ICR_SHORTHAND_SHIFT & 3;
    struct apic_message message = { .destination = destination,
                                    .vector = (uint8_t)low,
                                    .delivery = (uint8_t)(low >> LVT_DELIVERY_SHIFT & 7),
                                    .is_logical = (low & ICR_LOGICAL) != 0,
                                    .is_from_x2apic = is_x2apic(apic) };

    if (message.delivery == APIC_INIT && (low & (ICR_ASSERT | ICR_LEVEL)) == ICR_LEVEL) {
        return; /* INIT level de-assert only synchronised arbitration IDs, and later processors ignore it */
    }
    if ((message.delivery == APIC_FIXED || message.delivery == APIC_LOWEST_PRIORITY) &&
        message.vector < FIRST_LEGAL_VECTOR) {
        report_error(apic, ESR_SEND_ILLEGAL);
        return;
    }
    if (message.delivery == APIC_REMOTE_READ || message.delivery == APIC_EXTINT || apic->bus == NULL) {
        return;
    }
    uint32_t self = UINT32_C(1) << apic->number, all = 0;
    for (unsigned n = 0; n < apic->bus->local_count; n++) {
        all |= UINT32_C(1) << n;
    }
    switch (shorthand) {
    case TO_SELF:
        apic_bus_send_to(apic->bus, self, &message);
        break;
    case TO_ALL:
        apic_bus_send_to(apic->bus, all, &message);
        break;
    case TO_OTHERS:
        apic_bus_send_to(apic->bus, all & ~self, &message);
        break;
    default:
        apic_bus_send(apic->bus, &message);
        break;
    }
}

static void write_icr_low(struct lapic *apic, uint32_t value)
{
    uint32_t destination = apic->icr_high >> 24;

    apic->icr_low = value & ICR_WRITABLE;
    send_ipi(apic, apic->icr_low, destination == 0xff && (value & ICR_LOGICAL) == 0 ? APIC_BROADCAST : destination);
}

/* ---- registers ---- */

static void write_tpr(struct lapic *apic, uint32_t value)
{
    apic->tpr = value & 0xff;
    update_intr(apic);
}

unsigned lapic_cr8(const struct device *dev)
{
    return lapic_of_const(dev)->tpr >> 4;
}

void lapic_set_cr8(struct device *dev, unsigned value)
{
    write_tpr(lapic_of(dev), (value & 15) << 4);
}

/* False where there is no register. */
static bool read_register(const struct lapic *apic, unsigned reg, uint32_t *value)
{
    switch (reg) {
    case REG_ID:
        *value = is_x2apic(apic) ? apic->number : apic->id << 24;
        return true;
    case REG_VERSION:
        *value = VERSION;
        return true;
    case REG_TPR:
        *value = apic->tpr;
        return true;
    case REG_PPR:
        *value = ppr(apic);
        return true;
    case REG_LDR:
        *value = is_x2apic(apic) ? x2apic_ldr(apic) : apic->ldr;
        return true;
    case REG_SVR:
        *value = apic->svr;
        return true;
    case REG_ESR:
        *value = apic->esr;
        return true;
    case REG_ICR_LOW:
        *value = apic->icr_low;
        return true;
    case REG_INITIAL_COUNT:
        *value = apic->initial_count;
        return true;
    case REG_CURRENT_COUNT:
        *value = current_count(apic);
        return true;
    case REG_DIVIDE:
        *value = apic->divide;
        return true;
    default:
        break;
    }
    if (reg >= REG_ISR && reg < REG_ISR + VECTOR_WORDS) {
        *value = apic->isr[reg - REG_ISR];
    } else if (reg >= REG_TMR && reg < REG_TMR + VECTOR_WORDS) {
        *value = apic->tmr[reg - REG_TMR];
    } else if (reg >= REG_IRR && reg < REG_IRR + VECTOR_WORDS) {
        *value = apic->irr[reg - REG_IRR];
    } else if (reg >= REG_LVT_TIMER && reg < REG_LVT_TIMER + LVT_COUNT) {
        *value = apic->lvt[reg - REG_LVT_TIMER];
    } else {
        return false;
    }
    return true;
}

/* The registers that can be written in both modes. False where there is none. */
static bool write_register(struct lapic *apic, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_TPR:
        write_tpr(apic, value);
        return true;
    case REG_EOI:
        write_eoi(apic);
        return true;
    case REG_SVR:
        write_svr(apic, value);
        return true;
    case REG_ESR:
        apic->esr = apic->errors;
        apic->errors = 0;
        return true;
    case REG_INITIAL_COUNT:
        write_initial_count(apic, value);
        return true;
    case REG_DIVIDE:
        write_divide(apic, value);
        return true;
    default:
        if (reg >= REG_LVT_TIMER && reg < REG_LVT_TIMER + LVT_COUNT) {
            write_lvt(apic, reg - REG_LVT_TIMER, value);
            return true;
        }
        return false;
    }
}

static uint32_t read_mmio(struct lapic *apic, unsigned reg)
{
    uint32_t value = 0;

    switch (reg) {
    case REG_APR:
    case REG_RRD:
    case REG_EOI:
        return 0;
    case REG_DFR:
        return apic->dfr;
    case REG_ICR_HIGH:
        return apic->icr_high;
    default:
        if (!read_register(apic, reg, &value)) {
            report_error(apic, ESR_REGISTER);
        }
        return value;
    }
}

static void write_mmio(struct lapic *apic, unsigned reg, uint32_t value)
{
    switch (reg) {
    case REG_ID:
        apic->id = value >> 24;
        break;
    case REG_LDR:
        apic->ldr = value & UINT32_C(0xff000000);
        break;
    case REG_DFR:
        apic->dfr = value | UINT32_C(0x0fffffff);
        break;
    case REG_ICR_HIGH:
        apic->icr_high = value & UINT32_C(0xff000000);
        break;
    case REG_ICR_LOW:
        write_icr_low(apic, value);
        break;
    default:
        if (!write_register(apic, reg, value)) {
            uint32_t unused;
            if (!read_register(apic, reg, &unused)) {
                report_error(apic, ESR_REGISTER);
            }
        }
        break;
    }
}

/* "Registers must be accessed with aligned 32-bit loads and stores" (11.4.1.1). What other accesses do is undefined: here
 * loads see the bytes and stores that are not of a register's first doubleword are ignored. */
uint64_t lapic_read(struct device *dev, unsigned offset, unsigned size)
{
    struct lapic *apic = lapic_of(dev);
    unsigned in_register = offset & 15;

    (void)size;
    if (in_register >= 4 || offset >= GUEST_PAGE_SIZE || !is_on(apic)) {
        return 0;
    }
    return offset / 16 < REG_COUNT ? read_mmio(apic, offset / 16) >> 8 * in_register : 0;
}

void lapic_write(struct device *dev, unsigned offset, unsigned size, uint64_t value)
{
    if ((offset & 15) == 0 && size >= 4 && offset / 16 < REG_COUNT && is_on(lapic_of(dev))) {
        write_mmio(lapic_of(dev), offset / 16, (uint32_t)value);
    } else {
        device_log(dev, LOG_GUEST, "write of %u bytes at 0x%03x", size, offset);
    }
}

bool lapic_read_msr(struct device *dev, unsigned index, uint64_t *value)
{
    const struct lapic *apic = lapic_of(dev);
    uint32_t low = 0;

    if (!is_x2apic(apic)) {
        return false;
    }
    if (index == REG_ICR_LOW) {
        *value = (uint64_t)apic->icr_high << 32 | apic->icr_low;
        return true;
    }
    if (!read_register(apic, index, &low)) {
        return false;
    }
    *value = low;
    return true;
}

/* 11.12.1.2 and table 11-6: reserved bits and registers that cannot be written are #GP. */
bool lapic_write_msr(struct device *dev, unsigned index, uint64_t value)
{
    struct lapic *apic = lapic_of(dev);
    uint32_t low = (uint32_t)value;
    bool is_narrow = value <= UINT32_MAX;

    if (!is_x2apic(apic)) {
        return false;
    }
    switch (index) {
    case REG_ICR_LOW:
        if ((low & ~ICR_WRITABLE) != 0) {
            return false;
        }
        apic->icr_high = (uint32_t)(value >> 32);
        apic->icr_low = low;
        send_ipi(apic, low, apic->icr_high);
        return true;
    case REG_SELF_IPI:
        if (value > 0xff) {
            return false;
        }
        send_ipi(apic, low | UINT32_C(1) << ICR_SHORTHAND_SHIFT, 0);
        return true;
    case REG_EOI:
    case REG_ESR:
        return value == 0 && write_register(apic, index, 0);
    case REG_TPR:
        return value <= 0xff && write_register(apic, index, low);
    case REG_SVR:
        return value <= SVR_WRITABLE && write_register(apic, index, low);
    case REG_DIVIDE:
        return (value & ~UINT64_C(0x0b)) == 0 && write_register(apic, index, low);
    default:
        if (is_narrow && index >= REG_LVT_TIMER && index < REG_LVT_TIMER + LVT_COUNT &&
            (low & ~(lvt_writable[index - REG_LVT_TIMER] | LVT_REMOTE_IRR | UINT32_C(0x1000))) != 0) {
            return false;
        }
        return is_narrow && write_register(apic, index, low);
    }
}

bool lapic_set_base(struct device *dev, uint64_t base)
{
    struct lapic *apic = lapic_of(dev);
    bool was_on = is_on(apic), was_x2apic = is_x2apic(apic);
    bool on = (base & LAPIC_BASE_ENABLE) != 0, x2apic = (base & LAPIC_BASE_X2APIC) != 0;

    if ((x2apic && !on) || (x2apic && !was_on) || (was_x2apic && on && !x2apic)) {
        return false;
    }
    apic->base = base;
    if (!on && was_on) {
        set_initial_state(apic); /* 11.4.3: as after a reset */
        apic->id = apic->number & 0xff;
    }
    if (x2apic && !was_x2apic) {
        apic->icr_high = 0; /* table 11-7 keeps the rest */
    }
    update_intr(apic);
    return true;
}

/* ---- class ---- */

static uint32_t region_read(void *owner, uint64_t offset, unsigned size)
{
    return (uint32_t)lapic_read(owner, (unsigned)offset, size);
}

static void region_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    lapic_write(owner, (unsigned)offset, size, value);
}

static bool lapic_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct lapic *apic = lapic_of(dev);
    const struct property *bus = property_find(properties, "apic_bus");
    const struct property *core = property_find(properties, "core");
    const struct property *number = property_find(properties, "number");
    const struct property *is_bootstrap = property_find(properties, "is_bootstrap");
    const struct property *is_off = property_find(properties, "is_off");

    (void)err;
    apic->bus = bus != NULL ? bus->pointer : NULL;
    if (core != NULL && core->pointer != NULL) {
        apic->core = *(const struct lapic_core *)core->pointer;
    }
    apic->number = number != NULL ? (uint32_t)number->number % APIC_BUS_LOCALS : 0;
    apic->is_bootstrap = is_bootstrap != NULL && is_bootstrap->number != 0;
    apic->is_off = is_off != NULL && is_off->number != 0;
    event_init(&apic->timer, dev->clock, timer_fire, apic);
    return true;
}

static const struct pin_group lapic_inputs[] = { { "lint", 0, LAPIC_LINTS }, { NULL, 0, 0 } };
static const struct region_ops lapic_region_ops = { .read = region_read, .write = region_write, .max_size = 4 };

const struct device_class lapic_class = {
    .name = "lapic",
    .doc = "local APIC",
    .size = sizeof(struct lapic),
    .fields = lapic_fields,
    .inputs = lapic_inputs,
    .region_ops = &lapic_region_ops,
    .init = lapic_init,
    .reset = lapic_reset,
    .set_input = lapic_set_input,
};
