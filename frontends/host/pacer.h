/* pacer.h - how guest time follows the wall clock: how far to run, how long to sleep, how long an instruction lasts. */
#ifndef FRONTENDS_HOST_PACER_H
#define FRONTENDS_HOST_PACER_H

#include <stdbool.h>
#include <stdint.h>

struct pacer {
    bool is_virtual;        /* -time virtual: never sleeps, never changes the ratio */
    bool has_fixed_ratio;   /* -time wall,ratio=: sleeps, but leaves the ratio alone */
    bool is_started;
    bool is_idle;           /* the last step slept towards an event of the guest's */
    uint64_t ratio_q16;     /* in force */
    uint64_t wall_base_ns;  /* host time that stands for guest time guest_base_ns */
    uint64_t guest_base_ns;
    uint64_t last_wall_ns;  /* at the end of the last slice */
    /* Since the ratio was last looked at. */
    uint64_t interval_wall_ns;
    uint64_t interval_insns;
    uint64_t chosen_wall_ns; /* when that was */
    uint64_t host_q16;      /* measured: host nanoseconds per instruction, 16.16 */
};

/* What to do next: with a slice, run until guest time `until_ns` or `max_insns`; otherwise sleep. */
struct pacer_step {
    bool runs;
    bool is_idle;   /* sleeps towards an event: take pacer_catch_up's step before any input */
    uint64_t until_ns;
    uint64_t max_insns;
    uint64_t sleep_ns;
    bool sets_ratio; /* call tick86_set_ratio(ratio_q16) before the slice */
    uint64_t ratio_q16;
};

/* `ratio_q16`: the machine's ratio at the start (0: one nanosecond). */
void pacer_init(struct pacer *pacer, bool is_virtual, uint64_t ratio_q16);
/* The time spent stopped (monitor) does not count: the next step starts afresh. */
void pacer_pause(struct pacer *pacer);
/* `idle_until_ns`: the guest halts until then (tick86_idle_until_ns), 0 when it does not. */
struct pacer_step pacer_next(struct pacer *pacer, uint64_t wall_ns, uint64_t guest_ns, uint64_t idle_until_ns);
/* After an idle sleep, which input may have cut short: lets a halting guest's time come to now. */
struct pacer_step pacer_catch_up(struct pacer *pacer, uint64_t wall_ns, uint64_t guest_ns);
/* Reports a slice: host time it took and instructions it retired. */
void pacer_ran(struct pacer *pacer, uint64_t took_ns, uint64_t insns);

/* The host's monotonic clock. */
uint64_t host_now_ns(void);

#endif
