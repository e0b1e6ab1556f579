/* pacer.c - keeps guest time at the wall clock's.
 *
 * -time wall: the guest runs in slices of a few milliseconds. Ahead of the wall clock (it halts, and HLT skips time) the
 * caller sleeps, up to the event that the guest waits for when it halts; behind it, an instruction is made to last longer. That ratio is changed at most ten times a second, by
 * what was measured, and is the only thing the guest could notice. After the host stood still the guest catches up at
 * 1.25 times the wall clock's speed; what is more than ten seconds behind is forgiven.
 *
 * pacer_next() and pacer_ran() are functions of their arguments: the clock is read by the caller. */
#define _DEFAULT_SOURCE
#include "frontends/host/pacer.h"

#include <string.h>
#include <time.h>

enum {
    SLICE_NS = 4000000,          /* host time of one slice, about */
    LEAD_NS = 4000000,           /* how far the guest may be ahead */
    IDLE_NS_MIN = 1000000,       /* a shorter wait for an event is no sleep of its own */
    IDLE_NS_MAX = 250000000,
    INTERVAL_NS = 100000000,     /* between changes of the ratio */
    INTERVAL_INSNS_MIN = 100000,
    SLICE_INSNS_MIN = 20000,
    FAST_INSNS_MIN = 2000,
    START_RATIO = 8,             /* nanoseconds per instruction until it has been measured */
    VIRTUAL_SLICE_NS = 20000000, /* guest time of a slice of an idle guest under -time virtual */
    VIRTUAL_SLICE_INSNS = 2000000
};
#define FORGIVEN_NS UINT64_C(10000000000)
#define RATIO_MIN_Q16 UINT64_C(8192)     /* 1/8 ns */
#define RATIO_MAX_Q16 UINT64_C(65536000) /* 1 us */

uint64_t host_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void pacer_init(struct pacer *pacer, bool is_virtual, uint64_t ratio_q16)
{
    memset(pacer, 0, sizeof *pacer);
    pacer->is_virtual = is_virtual;
    pacer->has_fixed_ratio = is_virtual || ratio_q16 != 0;
    pacer->ratio_q16 = ratio_q16 != 0 ? ratio_q16 : is_virtual ? 65536 : START_RATIO * 65536;
    pacer->host_q16 = START_RATIO * 65536;
}

void pacer_pause(struct pacer *pacer)
{
    pacer->is_started = false;
}

/* Where the guest should be by now. */
static uint64_t target_ns(const struct pacer *pacer, uint64_t wall_ns)
{
    return pacer->guest_base_ns + (wall_ns - pacer->wall_base_ns);
}

static void rebase(struct pacer *pacer, uint64_t wall_ns, uint64_t guest_ns)
{
    pacer->wall_base_ns = wall_ns;
    pacer->guest_base_ns = guest_ns;
    pacer->last_wall_ns = wall_ns;
    pacer->is_started = true;
    pacer->is_idle = false;
}

/* The measured speed makes a busy guest keep pace; a part of what it is behind (or ahead) is corrected on top. */
static void choose_ratio(struct pacer *pacer, int64_t behind_ns, struct pacer_step *step)
{
    uint64_t measured = pacer->interval_wall_ns / (pacer->interval_insns / 65536 + 1);
    if (pacer->interval_insns < UINT64_C(1) << 40) {
        measured = pacer->interval_wall_ns * 65536 / pacer->interval_insns;
    }
    /* Slices shrink with the estimate: one that was too slow (the host was busy elsewhere) must be left quickly. */
    pacer->host_q16 = measured < pacer->host_q16 ? (pacer->host_q16 + measured) / 2 : (pacer->host_q16 * 3 + measured) / 4;
    int64_t correction = behind_ns / 2000000; /* per cent, for half of it within the next... second */
    correction = correction > 25 ? 25 : correction < -25 ? -25 : correction;
    uint64_t ratio = pacer->host_q16 * (uint64_t)(100 + correction) / 100;
    ratio = ratio < RATIO_MIN_Q16 ? RATIO_MIN_Q16 : ratio > RATIO_MAX_Q16 ? RATIO_MAX_Q16 : ratio;
    pacer->interval_wall_ns = pacer->interval_insns = 0;
    /* Differences of less than a hundredth are not worth an input event. */
    uint64_t difference = ratio > pacer->ratio_q16 ? ratio - pacer->ratio_q16 : pacer->ratio_q16 - ratio;
    if (difference > pacer->ratio_q16 / 100) {
        pacer->ratio_q16 = ratio;
        step->sets_ratio = true;
        step->ratio_q16 = ratio;
    }
}

struct pacer_step pacer_catch_up(struct pacer *pacer, uint64_t wall_ns, uint64_t guest_ns)
{
    struct pacer_step step = {0};

    if (pacer->is_started && target_ns(pacer, wall_ns) > guest_ns &&
        target_ns(pacer, wall_ns) - guest_ns <= FORGIVEN_NS) {
        pacer->last_wall_ns = wall_ns;
        step.runs = true;
        step.until_ns = target_ns(pacer, wall_ns);
        step.max_insns = (uint64_t)SLICE_NS * 65536 / pacer->host_q16 + 1000;
    }
    return step;
}

struct pacer_step pacer_next(struct pacer *pacer, uint64_t wall_ns, uint64_t guest_ns, uint64_t idle_until_ns)
{
    struct pacer_step step = {0};

    if (pacer->is_virtual) {
        step.runs = true;
        step.until_ns = guest_ns + VIRTUAL_SLICE_NS;
        step.max_insns = VIRTUAL_SLICE_INSNS;
        return step;
    }
    if (!pacer->is_started || (guest_ns < target_ns(pacer, wall_ns) &&
                               target_ns(pacer, wall_ns) - guest_ns > FORGIVEN_NS)) {
        rebase(pacer, wall_ns, guest_ns);
    }
    uint64_t target = target_ns(pacer, wall_ns);
    if (idle_until_ns > guest_ns && idle_until_ns >= target + IDLE_NS_MIN) {
        uint64_t wait = idle_until_ns - target;
        step.sleep_ns = wait < IDLE_NS_MAX ? wait : IDLE_NS_MAX;
        step.is_idle = pacer->is_idle = true;
        pacer->last_wall_ns = wall_ns;
        return step;
    }
    if (guest_ns >= target + LEAD_NS / 2) {
        step.sleep_ns = guest_ns - target;
        pacer->last_wall_ns = wall_ns;
        return step;
    }
    uint64_t passed = wall_ns - pacer->last_wall_ns;
    uint64_t gentle = guest_ns + (passed < FORGIVEN_NS ? passed : FORGIVEN_NS) * 5 / 4 + LEAD_NS;
    pacer->last_wall_ns = wall_ns;
    if (passed > 20 * (uint64_t)SLICE_NS && !pacer->is_idle) { /* the host stood still: not all of it at once */
        gentle = guest_ns + 2 * (uint64_t)LEAD_NS;
    }
    pacer->is_idle = false;
    step.runs = true;
    step.until_ns = target + LEAD_NS < gentle ? target + LEAD_NS : gentle;
    step.max_insns = (uint64_t)SLICE_NS * 65536 / pacer->host_q16 + 1000;
    if (!pacer->has_fixed_ratio && wall_ns - pacer->chosen_wall_ns >= INTERVAL_NS) {
        if (pacer->interval_insns >= INTERVAL_INSNS_MIN) {
            pacer->chosen_wall_ns = wall_ns;
            choose_ratio(pacer, (int64_t)(target - guest_ns), &step);
        } else if (pacer->interval_wall_ns >= INTERVAL_NS) {
            pacer->interval_wall_ns = pacer->interval_insns = 0;
        }
    }
    return step;
}

void pacer_ran(struct pacer *pacer, uint64_t took_ns, uint64_t insns)
{
    /* A guest that halts most of the time says nothing about the host's speed, unless it is higher than believed. */
    bool is_faster = insns >= FAST_INSNS_MIN && took_ns * 65536 / insns < pacer->host_q16;

    if (insns >= SLICE_INSNS_MIN || is_faster) {
        pacer->interval_wall_ns += took_ns;
        pacer->interval_insns += insns;
    }
}
