/* schedule.h - which processor runs when.
 *
 * All processors share one host thread and one guest clock. Each in turn has a quantum of guest time; a turn also ends when its
 * processor halts or executes PAUSE in a spin loop. Nothing in this depends on anything but the guest and the seed, so a run
 * with several processors is as repeatable as one with a single one. Time is skipped only when all of them are idle.
 *
 * The count of the machine is the sum over its processors. `machine->cpu` is the one whose turn it is. */
#ifndef MACHINE_SCHEDULE_H
#define MACHINE_SCHEDULE_H

#include "mem/state.h"

#include <stdbool.h>
#include <stdint.h>

struct tick86;

struct schedule {
    uint64_t turn_end_ns;   /* guest time at which the turn is over */
    uint64_t random;        /* state of the sequence that chooses lengths and order; 0: equal turns, in order */
    uint64_t others_icount; /* retired by all processors but the running one; derived */
    uint32_t running;       /* index of machine->cpu */
    bool is_turn_over;      /* PAUSE, or a start-up message: the next one, if any, may run now */
    uint8_t pad_[3];
};
extern const struct field schedule_fields[];

/* `seed` 0: equal turns in order; others vary both. Call when the processors exist. */
void schedule_init(struct tick86 *machine, uint64_t seed);
/* RESET#: the first processor has the turn. */
void schedule_reset(struct tick86 *machine);
/* Recomputes what is derived, and machine->cpu, from `running`. */
void schedule_loaded(struct tick86 *machine);

/* Instructions that all processors together have retired; exact in the middle of an instruction. */
uint64_t machine_icount(const struct tick86 *machine);

/* Makes machine->cpu the processor that has to run now; false when all are idle. */
bool schedule_pick(struct tick86 *machine);
/* True when no processor has anything to do. */
bool schedule_is_idle(const struct tick86 *machine);
/* Ends the running processor's turn after the current instruction if there is another one. */
void schedule_end_turn(struct tick86 *machine);
/* Guest time until which the chosen processor may run: CLOCK_NEVER when it is alone. */
uint64_t schedule_turn_end(const struct tick86 *machine);
/* Makes another processor the running one at once; only outside of a run. */
void schedule_switch(struct tick86 *machine, unsigned number);

#endif
