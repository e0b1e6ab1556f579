/* debug.c - breakpoints of every kind, single steps and observers; see tick86_debug.h.
 *
 * Breakpoints are kept here. Those on code are looked up when a block that starts at one's page offset is entered, those on
 * data when a page that holds one is accessed; cpu/debug.h tells how both come about. What is found becomes the machine's
 * debug event, at which tick86_run stops. A breakpoint with a condition that is met in the middle of an instruction is
 * judged after it: the machine comes out of the processor, looks, and goes on where it was. */
#include "machine/debug.h"

#include <stdlib.h>
#include <string.h>

enum { CONDITION_MAX = 65536 };

/* ---- processors ---- */

struct cpu *debug_cpu(const struct tick86 *machine, unsigned cpu)
{
    return machine->cpus[cpu < machine->cpu_count ? cpu : 0];
}

unsigned debug_cpu_number(const struct tick86 *machine, const struct cpu *cpu)
{
    for (unsigned n = 1; n < machine->cpu_count; n++) {
        if (machine->cpus[n] == cpu) {
            return n;
        }
    }
    return 0;
}

/* ---- the event ---- */

static bool condition_holds(const struct debug *debug, const struct tick86_breakpoint *point, unsigned cpu)
{
    uint64_t value;

    if (point->condition == NULL) {
        return true;
    }
    return !tick86_expression_run(debug->machine, cpu, point->condition, point->condition_size, &value) || value != 0;
}

/* Whether the point, which was met, is to stop the machine. */
static bool counts_as_stop(struct debug *debug, struct tick86_breakpoint *point, unsigned cpu)
{
    point->tests++;
    if (!condition_holds(debug, point, cpu)) {
        return false;
    }
    point->hits++;
    if (point->ignore != 0) {
        point->ignore--;
        return false;
    }
    return true;
}

static void set_event(struct debug *debug, const struct tick86_debug_event *event)
{
    if (!debug->has_event) {
        debug->event = *event;
        debug->has_event = true;
    }
}

/* A point was met in the middle of an instruction of `cpu`, after which the machine stops or judges the condition. */
static void meet(struct debug *debug, struct cpu *cpu, struct debug_point *point, const struct tick86_debug_event *event)
{
    if (point->point.condition != NULL) {
        point->met = *event;
        point->is_met = debug->has_met = true;
    } else if (counts_as_stop(debug, &point->point, event->cpu)) {
        set_event(debug, event);
    } else {
        return;
    }
    cpu_debug_stop(cpu);
}

static struct debug_point *find_point(const struct debug *debug, int id)
{
    for (size_t n = 0; debug != NULL && n < debug->point_count; n++) {
        if (debug->points[n].point.id == id) {
            return &debug->points[n];
        }
    }
    return NULL;
}

static bool serves(const struct tick86_breakpoint *point, enum tick86_break_kind kind, unsigned cpu)
{
    return point->kind == kind && !point->is_disabled && (point->cpu < 0 || (unsigned)point->cpu == cpu);
}

/* ---- code ---- */

static int compare_keys(const void *a, const void *b)
{
    const struct debug_key *left = a, *right = b;

    if (left->address != right->address) {
        return left->address < right->address ? -1 : 1;
    }
    return left->at < right->at ? -1 : left->at > right->at;
}

/* The first key for the address; NULL when there is none. */
static const struct debug_key *find_key(const struct debug *debug, enum tick86_space space, uint64_t address)
{
    const struct debug_key *keys = debug->keys[space];
    size_t low = 0, high = debug->key_count[space];

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (keys[middle].address < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < debug->key_count[space] && keys[low].address == address ? &keys[low] : NULL;
}

static bool look_at_code(struct debug *debug, struct cpu *cpu, unsigned number, enum tick86_space space,
                         uint64_t address, uint64_t linear, uint64_t physical)
{
    const struct debug_key *key = find_key(debug, space, address);
    const struct debug_key *end = debug->keys[space] + debug->key_count[space];
    bool stops = false;

    (void)cpu;
    for (; key != NULL && key < end && key->address == address; key++) {
        struct tick86_breakpoint *point = &debug->points[key->at].point;
        if (serves(point, BREAK_CODE, number) && counts_as_stop(debug, point, number)) {
            set_event(debug, &(struct tick86_debug_event){ .kind = BREAK_CODE, .id = point->id, .cpu = number,
                                                           .address = linear, .physical = physical, .from = linear });
            stops = true;
        }
    }
    return stops;
}

/* Where the processor stands now no breakpoint is met. */
static void skip(struct debug *debug, unsigned number)
{
    const struct cpu *cpu = debug_cpu(debug->machine, number);

    debug->skips[number].is_on = true;
    debug->skips[number].linear = debug_linear(cpu, cpu->rip);
    debug->skips[number].icount = cpu_icount(cpu);
}

static bool on_code(void *context, struct cpu *cpu, uint64_t linear)
{
    struct debug *debug = context;
    unsigned number = debug_cpu_number(debug->machine, cpu);
    phys_addr physical = 0;
    bool stops = false;

    if (debug->skips[number].is_on && debug->skips[number].linear == linear &&
        debug->skips[number].icount == cpu_icount(cpu)) {
        return false;
    }
    if (debug->has_event) {
        return true; /* what is to stop the machine has been found */
    }
    bool is_mapped = debug->key_count[SPACE_PHYSICAL] != 0 && cpu_translate_debug(cpu, linear, &physical);
    if (debug->key_count[SPACE_LINEAR] != 0) {
        stops = look_at_code(debug, cpu, number, SPACE_LINEAR, linear, linear, physical);
    }
    if (is_mapped) {
        stops |= look_at_code(debug, cpu, number, SPACE_PHYSICAL, physical, linear, physical);
    }
    if (stops) {
        skip(debug, number);
    }
    return stops;
}

void tick86_debug_resume(struct tick86 *machine)
{
    struct debug *debug = machine->debug;

    for (unsigned n = 0; debug != NULL && n < machine->cpu_count; n++) {
        skip(debug, n);
    }
}

/* ---- data ---- */

static bool overlaps(uint64_t start, uint64_t length, uint64_t address, uint64_t size)
{
    return address - start < length || start - address < size;
}

static bool on_is_watched(void *context, uint64_t linear_page, phys_addr physical_page)
{
    const struct debug *debug = context;

    for (size_t n = 0; n < debug->point_count; n++) {
        const struct tick86_breakpoint *point = &debug->points[n].point;
        if (point->kind == BREAK_DATA && !point->is_disabled &&
            overlaps(point->address, point->length, point->space == SPACE_LINEAR ? linear_page : physical_page,
                     GUEST_PAGE_SIZE)) {
            return true;
        }
    }
    return false;
}

static uint64_t instruction_of(const struct cpu *cpu)
{
    /* cpu->rip is right for slow instructions; a plain access has only noted its record. */
    struct cpu *mutable = (struct cpu *)(uintptr_t)cpu;

    if (cpu->current != NULL) {
        cpu_sync(mutable, cpu->current);
    }
    return debug_linear(cpu, cpu->rip);
}

static void on_access(void *context, struct cpu *cpu, uint64_t linear, phys_addr physical, unsigned size,
                      bool is_write, uint64_t value)
{
    struct debug *debug = context;
    unsigned number = debug_cpu_number(debug->machine, cpu);

    for (unsigned n = 0; n < debug->observer_count; n++) {
        const struct tick86_observer *o = &debug->observers[n];
        if (o->memory != NULL) {
            o->memory(o->context, number, linear, physical, size, is_write, value);
        }
    }
    for (size_t n = 0; n < debug->point_count; n++) {
        struct tick86_breakpoint *point = &debug->points[n].point;
        uint64_t address = point->space == SPACE_LINEAR ? linear : physical;
        if (serves(point, BREAK_DATA, number) && (point->access & (is_write ? BREAK_WRITE : BREAK_READ)) &&
            overlaps(point->address, point->length, address, size)) {
            /* Report an address that the point covers. */
            uint64_t shown = address < point->address ? point->address : address;
            meet(debug, cpu, &debug->points[n],
                 &(struct tick86_debug_event){ .kind = BREAK_DATA, .id = point->id, .cpu = number, .address = shown,
                                               .physical = physical + (shown - address), .value = value,
                                               .from = instruction_of(cpu), .size = size, .is_write = is_write });
        }
    }
}

/* ---- ports, interrupts, registers, modes ---- */

static void on_port(void *context, struct cpu *cpu, uint16_t port, unsigned size, bool is_write, uint32_t value)
{
    struct debug *debug = context;
    unsigned number = debug_cpu_number(debug->machine, cpu);

    for (unsigned n = 0; n < debug->observer_count; n++) {
        const struct tick86_observer *o = &debug->observers[n];
        if (o->port != NULL) {
            o->port(o->context, number, port, size, is_write, value);
        }
    }
    for (size_t n = 0; n < debug->point_count; n++) {
        struct tick86_breakpoint *point = &debug->points[n].point;
        if (serves(point, BREAK_PORT, number) && (point->access & (is_write ? BREAK_WRITE : BREAK_READ)) &&
            overlaps(point->address, point->length, port, size)) {
            meet(debug, cpu, &debug->points[n],
                 &(struct tick86_debug_event){ .kind = BREAK_PORT, .id = point->id, .cpu = number, .address = port,
                                               .value = value, .from = instruction_of(cpu), .size = size,
                                               .is_write = is_write });
        }
    }
}

static unsigned kind_of_interrupt(const struct debug_interrupt *interrupt)
{
    switch ((enum interrupt_kind)interrupt->kind) {
    case INTERRUPT_EXTERNAL:
        return BREAK_EXTERNAL;
    case INTERRUPT_SOFTWARE:
    case INTERRUPT_SOFTWARE_EXCEPTION:
        return BREAK_SOFTWARE;
    default:
        return BREAK_EXCEPTION;
    }
}

static void on_interrupt(void *context, struct cpu *cpu, const struct debug_interrupt *interrupt)
{
    struct debug *debug = context;
    unsigned number = debug_cpu_number(debug->machine, cpu), kind = kind_of_interrupt(interrupt);
    struct tick86_interrupt shown = { debug_linear(cpu, interrupt->return_rip), interrupt->error, interrupt->vector,
                                      kind, interrupt->has_error };

    for (unsigned n = 0; n < debug->observer_count; n++) {
        const struct tick86_observer *o = &debug->observers[n];
        if (o->interrupt != NULL) {
            o->interrupt(o->context, number, &shown);
        }
    }
    for (size_t n = 0; n < debug->point_count; n++) {
        struct tick86_breakpoint *point = &debug->points[n].point;
        if (serves(point, BREAK_INTERRUPT, number) && (point->access & kind) &&
            (point->address == BREAK_ANY || point->address == interrupt->vector)) {
            meet(debug, cpu, &debug->points[n],
                 &(struct tick86_debug_event){ .kind = BREAK_INTERRUPT, .id = point->id, .cpu = number,
                                               .address = interrupt->vector, .value = interrupt->error,
                                               .from = shown.return_pc });
        }
    }
}

static void on_written(void *context, struct cpu *cpu, enum debug_register which, uint32_t index, uint64_t value)
{
    struct debug *debug = context;
    unsigned number = debug_cpu_number(debug->machine, cpu);
    enum tick86_break_kind kind = which == DEBUG_MSR ? BREAK_MSR : BREAK_CR;

    for (unsigned n = 0; n < debug->observer_count; n++) {
        const struct tick86_observer *o = &debug->observers[n];
        if (o->written != NULL) {
            o->written(o->context, number, which == DEBUG_MSR, index, value);
        }
    }
    for (size_t n = 0; n < debug->point_count; n++) {
        struct tick86_breakpoint *point = &debug->points[n].point;
        if (serves(point, kind, number) && (point->address == BREAK_ANY || point->address == index)) {
            meet(debug, cpu, &debug->points[n],
                 &(struct tick86_debug_event){ .kind = kind, .id = point->id, .cpu = number, .address = index,
                                               .value = value, .from = debug_linear(cpu, cpu->rip), .is_write = true });
        }
    }
}

static void on_mode(void *context, struct cpu *cpu)
{
    struct debug *debug = context;
    unsigned number = debug_cpu_number(debug->machine, cpu);
    const char *mode = tick86_mode_name(debug->machine, number), *before = debug->modes[number];

    debug->modes[number] = mode;
    if (before == NULL || before == mode || strcmp(before, mode) == 0) {
        return;
    }
    for (unsigned n = 0; n < debug->observer_count; n++) {
        const struct tick86_observer *o = &debug->observers[n];
        if (o->mode != NULL) {
            o->mode(o->context, number);
        }
    }
    for (size_t n = 0; n < debug->point_count; n++) {
        struct tick86_breakpoint *point = &debug->points[n].point;
        if (serves(point, BREAK_MODE, number)) {
            meet(debug, cpu, &debug->points[n], &(struct tick86_debug_event){ .kind = BREAK_MODE, .id = point->id, .cpu = number });
        }
    }
}

/* ---- for observers alone ---- */

static bool on_insn(void *context, struct cpu *cpu, uint64_t linear)
{
    struct debug *debug = context;
    unsigned number = debug_cpu_number(debug->machine, cpu);

    for (unsigned n = 0; n < debug->observer_count; n++) {
        const struct tick86_observer *o = &debug->observers[n];
        if (o->insn != NULL) {
            o->insn(o->context, number, linear, (unsigned)(cpu->next_rip - cpu->rip) & 15);
        }
    }
    return false;
}

static void on_block(void *context, struct cpu *cpu, uint64_t linear, unsigned insns, unsigned bytes)
{
    struct debug *debug = context;
    unsigned number = debug_cpu_number(debug->machine, cpu);

    for (unsigned n = 0; n < debug->observer_count; n++) {
        const struct tick86_observer *o = &debug->observers[n];
        if (o->block != NULL) {
            o->block(o->context, number, linear, insns, bytes);
        }
    }
}

static void on_walked(void *context, struct cpu *cpu, const struct debug_walk *walk)
{
    struct debug *debug = context;
    unsigned number = debug_cpu_number(debug->machine, cpu);

    for (unsigned n = 0; walk != NULL && n < debug->observer_count; n++) {
        const struct tick86_observer *o = &debug->observers[n];
        if (o->walk != NULL) {
            o->walk(o->context, number, walk->linear, walk->physical, walk->kind, walk->is_user, walk->is_fault);
        }
    }
}

/* ---- the list ---- */

static struct debug *debug_of(struct tick86 *machine)
{
    if (machine->debug == NULL) {
        struct debug *debug = calloc(1, sizeof *debug);
        if (debug != NULL) {
            debug->machine = machine;
            debug->hooks = (struct cpu_debug){ .context = debug, .code = on_code, .insn = on_insn, .block = on_block,
                                               .is_watched = on_is_watched, .access = on_access, .port = on_port,
                                               .interrupt = on_interrupt, .written = on_written, .mode = on_mode,
                                               .walked = on_walked };
            machine->debug = debug;
        }
    }
    return machine->debug;
}

void debug_destroy(struct tick86 *machine)
{
    struct debug *debug = machine->debug;

    if (debug != NULL) {
        for (size_t n = 0; n < debug->point_count; n++) {
            free(debug->points[n].condition);
        }
        free(debug->points);
        free(debug->keys[0]);
        free(debug->keys[1]);
        free(debug);
        machine->debug = NULL;
    }
}

static bool check_point(const struct tick86_breakpoint *point, struct error *err)
{
    if ((point->kind == BREAK_DATA || point->kind == BREAK_PORT) &&
        (point->length == 0 || (point->access & (BREAK_READ | BREAK_WRITE)) == 0)) {
        return error_set(err, "a watchpoint needs a length and a kind of access");
    }
    if (point->kind == BREAK_INTERRUPT && point->access == 0) {
        return error_set(err, "a breakpoint on interrupts needs a kind of interrupt");
    }
    if (point->condition_size > CONDITION_MAX) {
        return error_set(err, "the condition of a breakpoint is longer than %d bytes", CONDITION_MAX);
    }
    return true;
}

int tick86_break_add(struct tick86 *machine, const struct tick86_breakpoint *point, struct error *err)
{
    struct debug *debug = debug_of(machine);
    uint8_t *condition = NULL;

    if (!check_point(point, err)) {
        return 0;
    }
    if (debug != NULL && debug->point_count == debug->point_capacity) {
        size_t capacity = debug->point_capacity * 2 + 16;
        struct debug_point *points = realloc(debug->points, capacity * sizeof *points);
        if (points != NULL) {
            debug->points = points;
            debug->point_capacity = capacity;
        }
    }
    if (point->condition != NULL && point->condition_size != 0) {
        condition = malloc(point->condition_size);
    }
    if (debug == NULL || debug->point_count == debug->point_capacity ||
        (point->condition != NULL && point->condition_size != 0 && condition == NULL)) {
        free(condition);
        error_set(err, "out of memory for a breakpoint");
        return 0;
    }
    struct debug_point *new = &debug->points[debug->point_count++];
    *new = (struct debug_point){ .point = *point, .condition = condition };
    if (condition != NULL) {
        memcpy(condition, point->condition, point->condition_size);
    }
    new->point.condition = condition;
    new->point.id = ++debug->last_id;
    new->point.hits = new->point.tests = 0;
    debug->has_changed = true;
    return new->point.id;
}

bool tick86_break_remove(struct tick86 *machine, int id)
{
    struct debug *debug = machine->debug;
    struct debug_point *point = find_point(debug, id);

    if (point == NULL) {
        return false;
    }
    size_t at = (size_t)(point - debug->points);
    free(point->condition);
    memmove(point, point + 1, (debug->point_count - at - 1) * sizeof *point);
    debug->point_count--;
    debug->has_changed = true;
    return true;
}

bool tick86_break_enable(struct tick86 *machine, int id, bool is_enabled)
{
    struct debug *debug = machine->debug;
    struct debug_point *point = find_point(debug, id);

    if (point != NULL) {
        point->point.is_disabled = !is_enabled;
        debug->has_changed = true;
    }
    return point != NULL;
}

bool tick86_break_get(const struct tick86 *machine, size_t n, struct tick86_breakpoint *point)
{
    const struct debug *debug = machine->debug;

    if (debug == NULL || n >= debug->point_count) {
        return false;
    }
    *point = debug->points[n].point;
    return true;
}

void tick86_break_registers(struct tick86 *machine, const uint16_t *numbers, unsigned count)
{
    struct debug *debug = debug_of(machine);

    if (debug != NULL) {
        debug->register_numbers = numbers;
        debug->register_count = numbers != NULL ? count : 0;
    }
}

bool tick86_observe(struct tick86 *machine, const struct tick86_observer *observer)
{
    struct debug *debug = debug_of(machine);

    if (debug == NULL || debug->observer_count == DEBUG_OBSERVERS) {
        return false;
    }
    debug->observers[debug->observer_count++] = *observer;
    debug->has_changed = true;
    return true;
}

void tick86_unobserve(struct tick86 *machine, const void *context)
{
    struct debug *debug = machine->debug;

    for (unsigned n = 0; debug != NULL && n < debug->observer_count;) {
        if (debug->observers[n].context == context) {
            debug->observers[n] = debug->observers[--debug->observer_count];
            debug->has_changed = true;
        } else {
            n++;
        }
    }
}

/* ---- from the list to the hooks ---- */

static uint32_t events_of_point(const struct tick86_breakpoint *point)
{
    switch (point->kind) {
    case BREAK_CODE:
        return DEBUG_CODE;
    case BREAK_DATA:
        return DEBUG_DATA;
    case BREAK_PORT:
        return DEBUG_PORT;
    case BREAK_INTERRUPT:
        return DEBUG_INTERRUPT;
    case BREAK_CR:
    case BREAK_MSR:
        return DEBUG_REGISTER;
    case BREAK_MODE:
        return DEBUG_MODE;
    default:
        return 0;
    }
}

static uint32_t events_of_observer(const struct tick86_observer *o)
{
    return (o->block != NULL ? DEBUG_BLOCK : 0u) | (o->insn != NULL ? DEBUG_INSN : 0u) |
           (o->memory != NULL ? DEBUG_MEMORY : 0u) | (o->port != NULL ? DEBUG_PORT : 0u) |
           (o->interrupt != NULL ? DEBUG_INTERRUPT : 0u) | (o->written != NULL ? DEBUG_REGISTER : 0u) |
           (o->mode != NULL ? DEBUG_MODE : 0u) | (o->walk != NULL ? DEBUG_TLB : 0u);
}

static void index_points(struct debug *debug, enum tick86_space space)
{
    struct debug_key *keys = realloc(debug->keys[space], (debug->point_count + 1) * sizeof *keys);

    debug->key_count[space] = 0;
    BUG_ON(keys == NULL); /* a few bytes a breakpoint */
    debug->keys[space] = keys;
    for (size_t n = 0; n < debug->point_count; n++) {
        const struct tick86_breakpoint *point = &debug->points[n].point;
        if (point->kind == BREAK_CODE && point->space == space && !point->is_disabled) {
            keys[debug->key_count[space]++] = (struct debug_key){ point->address, n };
            uint64_t offset = point->address & (GUEST_PAGE_SIZE - 1);
            debug->hooks.stops[offset / 64] |= UINT64_C(1) << (offset % 64);
        }
    }
    qsort(keys, debug->key_count[space], sizeof *keys, compare_keys);
}

static void follow_changes(struct debug *debug)
{
    struct cpu_debug *hooks = &debug->hooks;
    struct cpu_debug before = *hooks;
    bool has_data = (before.events & DEBUG_DATA) != 0;

    debug->has_changed = false;
    debug->stops_at_triple = false;
    hooks->events = 0;
    memset(hooks->stops, 0, sizeof hooks->stops);
    for (size_t n = 0; n < debug->point_count; n++) {
        const struct tick86_breakpoint *point = &debug->points[n].point;
        if (!point->is_disabled) {
            hooks->events |= events_of_point(point);
            debug->stops_at_triple |= point->kind == BREAK_TRIPLE;
        }
    }
    for (unsigned n = 0; n < debug->observer_count; n++) {
        hooks->events |= events_of_observer(&debug->observers[n]);
    }
    index_points(debug, SPACE_LINEAR);
    index_points(debug, SPACE_PHYSICAL);
    /* gdb takes its breakpoints out at each stop and puts them in again: that alone changes nothing. */
    has_data |= (hooks->events & DEBUG_DATA) != 0;
    if (hooks->events == before.events && memcmp(hooks->stops, before.stops, sizeof before.stops) == 0 && !has_data) {
        return;
    }
    for (unsigned n = 0; n < debug->machine->cpu_count; n++) {
        struct cpu *cpu = debug_cpu(debug->machine, n);
        cpu_debug_attach(cpu, hooks->events != 0 ? hooks : NULL);
        debug->modes[n] = tick86_mode_name(debug->machine, n);
    }
}

void debug_before_run(struct tick86 *machine)
{
    struct debug *debug = machine->debug;

    if (debug->has_changed) {
        follow_changes(debug);
    }
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        if (debug->skips[n].icount != cpu_icount(machine->cpus[n])) {
            debug->skips[n].is_on = false; /* the machine went on, or back */
        }
    }
    debug->has_event = false;
}

/* ---- stopping ---- */

/* A triple fault stops once, where asked for, before the caller of tick86_run is told of it. */
static void look_for_triple_fault(struct debug *debug)
{
    for (unsigned n = 0; n < debug->machine->cpu_count; n++) {
        struct cpu *cpu = debug_cpu(debug->machine, n);
        if (cpu->halted_state != CPU_SHUTDOWN) {
            debug->has_shown_triple = false;
            continue;
        }
        for (size_t k = 0; !debug->has_shown_triple && k < debug->point_count; k++) {
            struct tick86_breakpoint *point = &debug->points[k].point;
            if (serves(point, BREAK_TRIPLE, n) && counts_as_stop(debug, point, n)) {
                set_event(debug, &(struct tick86_debug_event){ .kind = BREAK_TRIPLE, .id = point->id, .cpu = n,
                                                               .from = debug_linear(cpu, cpu->rip) });
                debug->has_shown_triple = true;
            }
        }
    }
}

bool debug_take_stop(struct tick86 *machine)
{
    struct debug *debug = machine->debug;

    for (size_t n = 0; debug->has_met && n < debug->point_count; n++) {
        struct debug_point *point = &debug->points[n];
        if (point->is_met && counts_as_stop(debug, &point->point, point->met.cpu)) {
            set_event(debug, &point->met);
        }
        point->is_met = false;
    }
    debug->has_met = false;
    if (debug->stops_at_triple) {
        look_for_triple_fault(debug);
    }
    if (!debug->has_event) {
        return false;
    }
    struct debug_point *point = find_point(debug, debug->event.id);
    if (point != NULL && point->point.is_temporary) {
        tick86_break_remove(machine, debug->event.id);
    }
    return true;
}

const struct tick86_debug_event *tick86_debug_event(const struct tick86 *machine)
{
    return machine->debug != NULL && machine->debug->has_event ? &machine->debug->event : NULL;
}

/* ---- steps ---- */

uint64_t debug_limit(const struct tick86 *machine, uint64_t count)
{
    const struct debug *debug = machine->debug;

    return debug->step_cpu == machine->cpu && count > 1 ? 1 : count;
}

bool debug_step_is_done(const struct tick86 *machine)
{
    const struct debug *debug = machine->debug;

    return debug->step_cpu != NULL && cpu_icount(debug->step_cpu) >= debug->step_icount;
}

enum tick86_stop tick86_step(struct tick86 *machine, unsigned cpu, uint64_t until_ns)
{
    struct debug *debug = debug_of(machine);

    if (debug == NULL) {
        return tick86_run(machine, until_ns, 1);
    }
    tick86_debug_resume(machine);
    debug->step_cpu = debug_cpu(machine, cpu);
    debug->step_icount = cpu_icount(debug->step_cpu) + 1;
    enum tick86_stop stop = tick86_run(machine, until_ns, UINT64_MAX);
    debug->step_cpu = NULL;
    return stop;
}
