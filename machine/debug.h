/* debug.h - what the files machine/debug*.c share. */
#ifndef MACHINE_DEBUG_H
#define MACHINE_DEBUG_H

#include "cpu/debug.h"
#include "machine/machine.h"
#include "machine/tick86_debug.h"

enum { DEBUG_OBSERVERS = 8 };

/* A breakpoint in its list, with what only we need. */
struct debug_point {
    struct tick86_breakpoint point;
    uint8_t *condition; /* owned; point.condition leads here */
    bool is_met;        /* in the instruction that is being executed; the condition is judged after it */
    struct tick86_debug_event met;
};

struct debug_key {
    uint64_t address;
    size_t at; /* index into points */
};

struct debug {
    struct tick86 *machine;
    struct cpu_debug hooks;
    struct debug_point *points;
    size_t point_count, point_capacity;
    /* BREAK_CODE points by address, for each space; made anew when the points have changed. */
    struct debug_key *keys[2];
    size_t key_count[2];
    int last_id;
    bool has_changed; /* the hooks do not follow points and observers yet */
    bool has_event;   /* the machine is to stop */
    bool has_met;     /* some point is */
    struct tick86_debug_event event;
    bool stops_at_triple, has_shown_triple;
    /* No breakpoint is met here: the machine stands on it and is told to go on. */
    struct {
        bool is_on;
        uint64_t icount, linear;
    } skips[TICK86_CPUS_MAX];
    /* tick86_step: until this processor has that count. */
    const struct cpu *step_cpu; /* NULL: no step */
    uint64_t step_icount;
    struct tick86_observer observers[DEBUG_OBSERVERS];
    unsigned observer_count;
    const char *modes[TICK86_CPUS_MAX]; /* as last seen */
    const uint16_t *register_numbers;
    unsigned register_count;
};

/* Frees machine->debug. */
void debug_destroy(struct tick86 *machine);
/* For tick86_run: before the machine runs, and whether it is to stop. */
void debug_before_run(struct tick86 *machine);
bool debug_take_stop(struct tick86 *machine);
/* A step: how many of the instructions the chosen processor may execute now, and whether it is done. */
uint64_t debug_limit(const struct tick86 *machine, uint64_t count);
bool debug_step_is_done(const struct tick86 *machine);

/* The effects of a debugger's inputs: machine/input.c. */
bool debug_poke(struct tick86 *machine, unsigned cpu, enum tick86_space space, uint64_t address, const uint8_t *bytes,
                size_t size);
bool debug_write_register(struct tick86 *machine, unsigned cpu, const uint8_t *bytes, size_t size);
void debug_hold_off(struct tick86 *machine, unsigned cpu);
/* The past has had its inputs: nothing can be written then. */
bool debug_may_write(const struct tick86 *machine);

/* The processor with that number; the first one when there is no such. */
struct cpu *debug_cpu(const struct tick86 *machine, unsigned cpu);
unsigned debug_cpu_number(const struct tick86 *machine, const struct cpu *cpu);
/* Linear addresses have 32 bits outside of 64-bit code. */
uint64_t debug_linear(const struct cpu *cpu, uint64_t rip);

#endif
