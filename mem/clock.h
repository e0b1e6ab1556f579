/* clock.h - guest time and the events that hang on it.
 *
 * Guest time is a 64-bit count of nanoseconds since power-on, an integer function of the instructions retired plus the
 * time skipped in HLT. Nothing here reads the host's clock. Chips derive every counter they have (TSC, PIT, RTC, PM
 * timer) from clock_now(). An event is a deadline in that time; machine/ runs those that are due, in order of deadline
 * and then of registration, at an exact instruction count.
 *
 * The deadline is a state field of the chip that owns the event, so loading a snapshot schedules nothing: the queue is
 * always recomputed from the events that are armed. */
#ifndef MEM_CLOCK_H
#define MEM_CLOCK_H

#include "mem/state.h"

#include <stdbool.h>
#include <stdint.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define CLOCK_NEVER UINT64_MAX

struct clock;
struct event;
typedef void event_fn(void *owner);

struct event {
    uint64_t deadline_ns; /* guest time at which it fires; CLOCK_NEVER when not armed */
    struct clock *clock;  /* wired */
    event_fn *fire;       /* wired */
    void *owner;          /* wired */
};
extern const struct field event_fields[];

enum { CLOCK_EVENTS_MAX = 96 };

/* Instructions to nanoseconds: ns = base_ns + ((icount - base_icount) * ns_per_insn_q16) >> 16. Changing the ratio
 * moves the base to "now", so time never jumps. */
struct clock {
    uint64_t base_icount;
    uint64_t base_ns;
    uint64_t ns_per_insn_q16; /* 16.16 fixed point; 1 ns an instruction is 65536. Range 1 to 2^32 */
    struct event *events[CLOCK_EVENTS_MAX];
    uint32_t event_count;
    /* Exact retired-instruction count, also in the middle of a block; set by machine/. */
    uint64_t (*icount)(void *context);
    /* Called when the earliest deadline may have become earlier, so that a running CPU stops in time. */
    void (*sooner)(void *context);
    void *context;
};
extern const struct field clock_fields[];

/* Sets the ratio to `ns_per_insn_q16` and time to zero. `icount` and `sooner` may be NULL (then time only moves by
 * clock_skip(), which is what device tests do). */
void clock_init(struct clock *clock, uint64_t ns_per_insn_q16, uint64_t (*icount)(void *), void (*sooner)(void *),
                void *context);

/* Guest time in nanoseconds, exact at the current instruction. */
uint64_t clock_now(const struct clock *clock);

/* Moves time forward by `ns` without instructions: HLT, and tests. */
void clock_skip(struct clock *clock, uint64_t ns);

/* From now on an instruction lasts ns_per_insn_q16 / 65536 ns. */
void clock_set_ratio(struct clock *clock, uint64_t ns_per_insn_q16);

/* Instructions after which guest time has reached `deadline_ns`, at least 0, rounded up; at most 2^40. */
uint64_t clock_insns_until(const struct clock *clock, uint64_t deadline_ns);

/* Registers an event, not armed. Call once, in init; the event must outlive the clock. */
void event_init(struct event *event, struct clock *clock, event_fn *fire, void *owner);

/* Arms (or moves) the event to fire at guest time `deadline_ns`; a deadline in the past fires at once, before the next
 * instruction. */
void event_at(struct event *event, uint64_t deadline_ns);
void event_cancel(struct event *event);
static inline bool event_is_armed(const struct event *event) { return event->deadline_ns != CLOCK_NEVER; }

/* Earliest armed deadline, or CLOCK_NEVER. */
uint64_t clock_next_deadline(const struct clock *clock);

/* Fires every event whose deadline is not after now, earliest first, including those that firing arms. */
void clock_run_due(struct clock *clock);

/* a * b / c with a 128-bit intermediate, rounded down; c must not be 0 and the result must fit 64 bits. */
uint64_t mul_div_u64(uint64_t a, uint64_t b, uint64_t c);

#endif
