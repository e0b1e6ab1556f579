/* clock.c - guest time and its events; see clock.h. */
#include "mem/clock.h"

#include "mem/error.h"

#include <string.h>

enum { RATIO_SHIFT = 16 };
#define INSNS_MAX (UINT64_C(1) << 40)
#define TIME_MAX (UINT64_MAX / 2)
#define RATIO_MAX (UINT64_C(1) << 32)

const struct field event_fields[] = {
    FIELD(struct event, deadline_ns, "guest time in nanoseconds; all ones when not armed"),
    WIRED(struct event, clock, NULL),
    WIRED(struct event, fire, NULL),
    WIRED(struct event, owner, NULL),
    FIELD_END,
};

/* The last row takes everything from `events` to the end, whatever padding the host puts in between. */
const struct field clock_fields[] = {
    FIELD(struct clock, base_icount, "instruction count at base_ns"),
    FIELD(struct clock, base_ns, "guest time at base_icount"),
    FIELD(struct clock, ns_per_insn_q16, "nanoseconds an instruction, 16.16 fixed point"),
    { "events", "registered events and the owner's functions", offsetof(struct clock, events),
      sizeof(struct clock) - offsetof(struct clock, events), 0, FIELD_KIND_WIRED, NULL },
    FIELD_END,
};

#if defined(__SIZEOF_INT128__)
__extension__ typedef unsigned __int128 uint128;

uint64_t mul_div_u64(uint64_t a, uint64_t b, uint64_t c)
{
    BUG_ON(c == 0);
    if (b == 0 || a <= UINT64_MAX / b) {
        return a * b / c;
    }
    return (uint64_t)((uint128)a * b / c);
}
#else
uint64_t mul_div_u64(uint64_t a, uint64_t b, uint64_t c)
{
    BUG_ON(c == 0);
    if (b == 0 || a <= UINT64_MAX / b) {
        return a * b / c;
    }
    /* 64 x 64 -> 128 by halves, then 128 / 64 one bit at a time. */
    uint64_t low = (a & 0xffffffff) * (b & 0xffffffff);
    uint64_t mid1 = (a >> 32) * (b & 0xffffffff);
    uint64_t mid2 = (a & 0xffffffff) * (b >> 32);
    uint64_t carry = ((low >> 32) + (mid1 & 0xffffffff) + (mid2 & 0xffffffff)) >> 32;
    uint64_t hi = (a >> 32) * (b >> 32) + (mid1 >> 32) + (mid2 >> 32) + carry;
    uint64_t lo = low + (mid1 << 32) + (mid2 << 32);
    uint64_t quotient = 0;
    uint64_t rest = hi % c;

    for (int bit = 63; bit >= 0; bit--) {
        bool overflow = (rest >> 63) != 0;
        rest = rest << 1 | (lo >> bit & 1);
        if (overflow || rest >= c) {
            rest -= c;
            quotient |= UINT64_C(1) << bit;
        }
    }
    return quotient;
}
#endif

static uint64_t insns_now(const struct clock *clock)
{
    return clock->icount != NULL ? clock->icount(clock->context) : clock->base_icount;
}

static void call_sooner(const struct clock *clock)
{
    if (clock->sooner != NULL) {
        clock->sooner(clock->context);
    }
}

void clock_init(struct clock *clock, uint64_t ns_per_insn_q16, uint64_t (*icount)(void *), void (*sooner)(void *),
                void *context)
{
    BUG_ON(ns_per_insn_q16 == 0 || ns_per_insn_q16 > RATIO_MAX);
    memset(clock, 0, sizeof *clock);
    clock->ns_per_insn_q16 = ns_per_insn_q16;
    clock->icount = icount;
    clock->sooner = sooner;
    clock->context = context;
    clock->base_icount = icount != NULL ? icount(context) : 0;
}

uint64_t clock_now(const struct clock *clock)
{
    uint64_t insns = insns_now(clock) - clock->base_icount;

    /* (insns * ratio) >> 16 without the 128-bit product; exact, because the high part is a multiple of 2^16. */
    return clock->base_ns + (insns >> RATIO_SHIFT) * clock->ns_per_insn_q16 +
           (((insns & 0xffff) * clock->ns_per_insn_q16) >> RATIO_SHIFT);
}

void clock_skip(struct clock *clock, uint64_t ns)
{
    /* 292 years is the end of time; half the range is left, so that deadlines after it do not wrap. */
    clock->base_ns = ns < TIME_MAX && clock->base_ns < TIME_MAX - ns ? clock->base_ns + ns : TIME_MAX;
    call_sooner(clock);
}

void clock_set_ratio(struct clock *clock, uint64_t ns_per_insn_q16)
{
    uint64_t now = clock_now(clock);

    BUG_ON(ns_per_insn_q16 == 0 || ns_per_insn_q16 > RATIO_MAX);
    clock->base_icount = insns_now(clock);
    clock->base_ns = now;
    clock->ns_per_insn_q16 = ns_per_insn_q16;
    call_sooner(clock);
}

uint64_t clock_insns_until(const struct clock *clock, uint64_t deadline_ns)
{
    uint64_t now = clock_now(clock);
    uint64_t ratio = clock->ns_per_insn_q16;

    if (deadline_ns <= now) {
        return 0;
    }
    if (deadline_ns - now >= ratio << 24) { /* 2^40 instructions of ratio / 2^16 ns */
        return INSNS_MAX;
    }
    /* The smallest total with floor(total * ratio / 2^16) >= span is span * 2^16 / ratio rounded up. */
    uint64_t span = deadline_ns - clock->base_ns;
    uint64_t total = mul_div_u64(span, UINT64_C(1) << RATIO_SHIFT, ratio);
    if ((span << RATIO_SHIFT) - total * ratio != 0) { /* the remainder is below ratio, so modulo 2^64 is enough */
        total++;
    }
    uint64_t insns = total - (insns_now(clock) - clock->base_icount);
    return insns < INSNS_MAX ? insns : INSNS_MAX;
}

void event_init(struct event *event, struct clock *clock, event_fn *fire, void *owner)
{
    BUG_ON(clock->event_count == CLOCK_EVENTS_MAX);
    event->deadline_ns = CLOCK_NEVER;
    event->clock = clock;
    event->fire = fire;
    event->owner = owner;
    clock->events[clock->event_count++] = event;
}

void event_at(struct event *event, uint64_t deadline_ns)
{
    uint64_t earliest = clock_next_deadline(event->clock);

    event->deadline_ns = deadline_ns;
    if (deadline_ns < earliest) {
        call_sooner(event->clock);
    }
}

void event_cancel(struct event *event)
{
    event->deadline_ns = CLOCK_NEVER;
}

/* The armed event that fires first; registration order decides between equal deadlines. */
static struct event *first_event(const struct clock *clock)
{
    struct event *first = NULL;
    uint64_t deadline = CLOCK_NEVER;

    for (uint32_t i = 0; i < clock->event_count; i++) {
        if (clock->events[i]->deadline_ns < deadline) {
            first = clock->events[i];
            deadline = first->deadline_ns;
        }
    }
    return first;
}

uint64_t clock_next_deadline(const struct clock *clock)
{
    const struct event *first = first_event(clock);

    return first != NULL ? first->deadline_ns : CLOCK_NEVER;
}

void clock_run_due(struct clock *clock)
{
    struct event *event;

    while ((event = first_event(clock)) != NULL && event->deadline_ns <= clock_now(clock)) {
        event->deadline_ns = CLOCK_NEVER;
        event->fire(event->owner);
    }
}
