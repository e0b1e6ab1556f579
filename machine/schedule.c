/* schedule.c - processors taking turns; see schedule.h. */
#include "machine/schedule.h"

#include "machine/machine.h"

/* A turn lasts as long as an interrupt takes to reach a processor at worst, and a switch costs the host some hundred
 * instructions: 20 microseconds lose less than one per cent. */
enum { QUANTUM_NS = 20000, SHORTEST_LOG2 = 4, LONGEST_LOG2 = 18 };

#define S struct schedule
const struct field schedule_fields[] = {
    FIELD(S, turn_end_ns, "guest time at which the turn is over"),
    FIELD(S, random, "of lengths and order of turns; 0: equal turns in order"),
    DERIVED(S, others_icount, NULL),
    FIELD(S, running, "processor that has the turn"),
    FIELD(S, is_turn_over, "by PAUSE"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

/* Xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" (2016). */
static uint64_t next_random(struct schedule *schedule)
{
    uint64_t x = schedule->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    schedule->random = x;
    return x * UINT64_C(0x2545f4914f6cdd1d) >> 32;
}

/* Lengths from a few instructions to a quarter of a millisecond, each order of magnitude as likely as the others: races show
 * at some of them and work gets done at others. */
static uint64_t turn_ns(struct schedule *schedule)
{
    if (schedule->random == 0) {
        return QUANTUM_NS;
    }
    unsigned log2 = SHORTEST_LOG2 + (unsigned)(next_random(schedule) % (LONGEST_LOG2 - SHORTEST_LOG2));
    return (UINT64_C(1) << log2) + next_random(schedule) % (UINT64_C(1) << log2);
}


void schedule_switch(struct tick86 *machine, unsigned number)
{
    struct schedule *schedule = &machine->schedule;
    struct cpu *next = machine->cpus[number];

    if (next != machine->cpu) {
        schedule->others_icount += cpu_icount(machine->cpu) - cpu_icount(next);
        machine->cpu = next;
        schedule->running = number;
    }
}

static void start_turn(struct tick86 *machine, unsigned number)
{
    schedule_switch(machine, number);
    machine->schedule.turn_end_ns = clock_now(&machine->clock) + turn_ns(&machine->schedule);
    machine->schedule.is_turn_over = false;
}

/* The next processor in order that can run, the running one last. With a seed, the order starts anywhere. */
static bool find_next(struct tick86 *machine, unsigned *number)
{
    struct schedule *schedule = &machine->schedule;
    unsigned count = machine->cpu_count;
    unsigned start = schedule->random != 0 ? (unsigned)(next_random(schedule) % count) : schedule->running + 1;

    for (unsigned n = 0; n < count; n++) {
        unsigned candidate = (start + n) % count;
        if (!cpu_is_idle(machine->cpus[candidate])) {
            *number = candidate;
            return true;
        }
    }
    return false;
}

bool schedule_pick(struct tick86 *machine)
{
    unsigned next;

    if (machine->cpu_count == 1) {
        return !cpu_is_idle(machine->cpu);
    }
    if (!machine->schedule.is_turn_over && clock_now(&machine->clock) < machine->schedule.turn_end_ns &&
        !cpu_is_idle(machine->cpu)) {
        return true;
    }
    if (!find_next(machine, &next)) {
        return false;
    }
    start_turn(machine, next);
    return true;
}

bool schedule_is_idle(const struct tick86 *machine)
{
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        if (!cpu_is_idle(machine->cpus[n])) {
            return false;
        }
    }
    return true;
}

void schedule_end_turn(struct tick86 *machine)
{
    if (machine->cpu_count > 1) {
        machine->schedule.is_turn_over = true;
        cpu_request_stop(machine->cpu);
    }
}

uint64_t schedule_turn_end(const struct tick86 *machine)
{
    return machine->cpu_count > 1 ? machine->schedule.turn_end_ns : CLOCK_NEVER;
}

uint64_t machine_icount(const struct tick86 *machine)
{
    return machine->schedule.others_icount + cpu_icount(machine->cpu);
}

void schedule_init(struct tick86 *machine, uint64_t seed)
{
    /* Neighbouring seeds must not give neighbouring sequences. */
    machine->schedule = (struct schedule){ .random = seed != 0 ? seed * UINT64_C(0x9e3779b97f4a7c15) : 0 };
    schedule_loaded(machine);
}

void schedule_reset(struct tick86 *machine)
{
    schedule_switch(machine, 0);
    machine->schedule.is_turn_over = false;
    machine->schedule.turn_end_ns = 0;
}

void schedule_loaded(struct tick86 *machine)
{
    struct schedule *schedule = &machine->schedule;

    schedule->running %= machine->cpu_count;
    schedule->others_icount = 0;
    machine->cpu = machine->cpus[schedule->running];
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        if (n != schedule->running) {
            schedule->others_icount += cpu_icount(machine->cpus[n]);
        }
    }
}
