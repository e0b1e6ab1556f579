/* saved_state.c - the whole machine as a stream of named fields, and its parts.
 *
 *   for each component: u8 name length | name | the rows of state_save
 *   u8 0
 *
 * Names are those of the board's table. The stream is the same on every host. */
#include "machine/components.h"

#include "machine/machine.h"
#include "machine/media.h"

#include <string.h>

#define S struct machine_run
const struct field machine_run_fields[] = {
    FIELD(S, dead_since_ns, "since when nothing can wake the processor; all ones: it lives"),
    FIELD_END,
};
#undef S

enum { FIXED_COMPONENTS = 3 };

bool component_at(struct tick86 *machine, unsigned n, struct component *component)
{
    static const char *const cpu_names[] = { "cpu0",  "cpu1",  "cpu2",  "cpu3",  "cpu4",  "cpu5",  "cpu6",  "cpu7",
                                             "cpu8",  "cpu9",  "cpu10", "cpu11", "cpu12", "cpu13", "cpu14", "cpu15",
                                             "cpu16", "cpu17", "cpu18", "cpu19", "cpu20", "cpu21", "cpu22", "cpu23",
                                             "cpu24", "cpu25", "cpu26", "cpu27", "cpu28", "cpu29", "cpu30", "cpu31" };
    unsigned cpus = machine->cpu_count;

    BUG_ON(cpus > sizeof cpu_names / sizeof cpu_names[0]);
    if (n < cpus) {
        *component = (struct component){ cpu_names[n], cpu_fields, machine->cpus[n], sizeof(struct cpu), NULL };
        return true;
    }
    n -= cpus;
    if (n == 0) {
        *component = (struct component){ "clock", clock_fields, &machine->clock, sizeof machine->clock, NULL };
        return true;
    }
    if (n == 1) {
        *component = (struct component){ "machine", machine_run_fields, &machine->run, sizeof machine->run, NULL };
        return true;
    }
    if (n == 2) {
        *component = (struct component){ "schedule", schedule_fields, &machine->schedule, sizeof machine->schedule, NULL };
        return true;
    }
    n -= FIXED_COMPONENTS;
    for (unsigned chip = 0; chip < PC_CHIPS; chip++) {
        struct device *dev = machine->chips[chip];
        if (dev != NULL && n-- == 0) {
            *component = (struct component){ dev->name, dev->class->fields, dev, dev->class->size, dev };
            return true;
        }
    }
    return false;
}

unsigned component_count(struct tick86 *machine)
{
    struct component component;
    unsigned count = 0;

    while (component_at(machine, count, &component)) {
        count++;
    }
    return count;
}

void components_loaded(struct tick86 *machine)
{
    struct component component;

    space_begin(machine->space);
    for (unsigned n = 0; component_at(machine, n, &component); n++) {
        if (component.chip != NULL && component.chip->class->loaded != NULL) {
            component.chip->class->loaded(component.chip);
        }
    }
    space_commit(machine->space);
    machine_loaded(machine);
}

bool tick86_save(const struct tick86 *machine, struct state_stream *stream)
{
    struct tick86 *unchanged = (struct tick86 *)(uintptr_t)machine; /* it is only read */
    struct component component;

    for (unsigned n = 0; component_at(unchanged, n, &component); n++) {
        size_t length = strlen(component.name);
        state_stream_put_number(stream, length, 1);
        state_stream_put(stream, component.name, length);
        state_save(stream, component.fields, component.state);
    }
    state_stream_put_number(stream, 0, 1);
    return !stream->failed;
}

static bool find_component(struct tick86 *machine, const char *name, struct component *component)
{
    for (unsigned n = 0; component_at(machine, n, component); n++) {
        if (strcmp(component->name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool tick86_load(struct tick86 *machine, struct state_stream *stream, struct error *err)
{
    struct component component;
    struct error why = { "", "" };
    uint64_t is_loaded[4] = { 0 };

    machine_reset(machine); /* fields that the stream does not have */
    for (;;) {
        char name[256];
        size_t length = (size_t)state_stream_take_number(stream, 1);
        const uint8_t *bytes = state_stream_take(stream, length);
        if (stream->failed) {
            return error_set(err, "the saved state ends too early");
        }
        if (length == 0) {
            break;
        }
        memcpy(name, bytes, length);
        name[length] = '\0';
        if (!find_component(machine, name, &component)) {
            error_set(err, "the saved state has a component '%.60s', which this machine has not", name);
            return error_hint(err, "give the machine the same devices, or use a newer tick86");
        }
        if (!state_load(stream, component.fields, component.state, &why)) {
            error_set(err, "%.60s: %.300s", name, why.message);
            return error_hint(err, "the file is of another version of tick86, or damaged");
        }
        for (unsigned n = 0; n < 256; n++) {
            struct component one;
            if (!component_at(machine, n, &one)) {
                break;
            }
            if (one.state == component.state) {
                is_loaded[n / 64] |= UINT64_C(1) << n % 64;
            }
        }
    }
    for (unsigned n = 0; component_at(machine, n, &component); n++) {
        if (n < 256 && (is_loaded[n / 64] >> n % 64 & 1) == 0) {
            error_set(err, "the saved state has no component '%s', which this machine has", component.name);
            return error_hint(err, "give the machine the same devices as the one that was saved");
        }
    }
    components_loaded(machine);
    return true;
}

bool tick86_memory(const struct tick86 *machine, unsigned n, struct tick86_memory *out)
{
    const struct memory *memory = n == 0 ? &machine->ram : n == 1 ? &machine->vram : NULL;

    if (memory == NULL) {
        return false;
    }
    *out = (struct tick86_memory){ memory->name, memory->host, memory->size };
    return true;
}

void tick86_memory_changed(struct tick86 *machine)
{
    dirty_replaced(machine);
    machine_loaded(machine);
}

bool tick86_component(struct tick86 *machine, unsigned n, struct tick86_component *out)
{
    struct component component;

    if (!component_at(machine, n, &component)) {
        return false;
    }
    *out = (struct tick86_component){ component.name, component.fields, component.state };
    if (component.fields == cpu_fields) {
        machine_canonical_cpu(component.state, &machine->cpu_scratch);
        out->state = &machine->cpu_scratch;
    }
    return true;
}
