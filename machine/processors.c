/* processors.c - creation of processors and local APICs, and the calls between them; see processors.h. */
#include "machine/processors.h"

#include "devices/i440fx.h"
#include "devices/i8259.h"
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "machine/cpu_pins.h"
#include "machine/machine.h"

#include <stdio.h>

#define MSI_BASE UINT32_C(0xfee00000)
#define MSI_SIZE UINT32_C(0x100000)

enum { MSI_PRIORITY = 1, LINT_INTR = 0, LINT_NMI = 1 };

static struct device *lapic_at(const struct tick86 *machine, unsigned number)
{
    return machine->chips[PC_LAPIC0 + number];
}

static struct device *lapic_behind(void *context)
{
    const struct processor *processor = context;

    return lapic_at(processor->machine, processor->number);
}

static struct cpu *cpu_behind(void *context)
{
    const struct processor *processor = context;

    return processor->machine->cpus[processor->number];
}

/* ---- from the processor to the board ---- */

static int acknowledge(void *context)
{
    const struct processor *processor = context;
    struct tick86 *machine = processor->machine;
    int vector = lapic_acknowledge(lapic_behind(context));

    if (vector != LAPIC_EXTERNAL) {
        return vector;
    }
    return i8259_acknowledge(machine->chips[PC_PIC0], machine->chips[PC_PIC1]);
}

/* A board has one FERR# line, that of the first processor (MultiProcessor Specification 1.4, 3.6.1). */
static void drive_ferr(void *context, bool level)
{
    const struct processor *processor = context;

    if (processor->number == 0) {
        cpu_pins_drive_ferr(processor->machine->chips[PC_PINS], level);
    }
}

static bool smram(void *context, phys_addr address, struct memory **memory, uint64_t *offset)
{
    const struct processor *processor = context;

    return i440fx_smram(processor->machine->chips[PC_HOST_BRIDGE], address, memory, offset);
}

/* PAUSE. */
static void spin(void *context)
{
    const struct processor *processor = context;

    schedule_end_turn(processor->machine);
}

static uint64_t apic_read(void *context, unsigned offset, unsigned size)
{
    return lapic_read(lapic_behind(context), offset, size);
}

static void apic_write(void *context, unsigned offset, unsigned size, uint64_t value)
{
    lapic_write(lapic_behind(context), offset, size, value);
}

static bool apic_read_msr(void *context, unsigned index, uint64_t *value)
{
    return lapic_read_msr(lapic_behind(context), index, value);
}

static bool apic_write_msr(void *context, unsigned index, uint64_t value)
{
    return lapic_write_msr(lapic_behind(context), index, value);
}

static bool apic_set_base(void *context, uint64_t base)
{
    return lapic_set_base(lapic_behind(context), base);
}

static uint64_t apic_deadline(void *context)
{
    return lapic_deadline(lapic_behind(context));
}

static void apic_set_deadline(void *context, uint64_t tsc)
{
    lapic_set_deadline(lapic_behind(context), tsc);
}

static void apic_tsc_changed(void *context)
{
    lapic_tsc_changed(lapic_behind(context));
}

static unsigned apic_cr8(void *context)
{
    return lapic_cr8(lapic_behind(context));
}

static void apic_set_cr8(void *context, unsigned value)
{
    lapic_set_cr8(lapic_behind(context), value);
}

static const struct cpu_apic cpu_apic = {
    .read = apic_read,
    .write = apic_write,
    .read_msr = apic_read_msr,
    .write_msr = apic_write_msr,
    .set_base = apic_set_base,
    .deadline = apic_deadline,
    .set_deadline = apic_set_deadline,
    .tsc_changed = apic_tsc_changed,
    .cr8 = apic_cr8,
    .set_cr8 = apic_set_cr8,
};

/* ---- from the local APIC to the processor ---- */

static void core_set_intr(void *context, bool level)
{
    cpu_set_intr(cpu_behind(context), level);
}

static void core_nmi(void *context)
{
    cpu_set_nmi(cpu_behind(context), true);
    cpu_set_nmi(cpu_behind(context), false);
}

static void core_smi(void *context)
{
    cpu_set_smi(cpu_behind(context));
}

/* A processor that resets itself does so after the instruction; the others are between two. */
static void core_init(void *context)
{
    const struct processor *processor = context;
    struct tick86 *machine = processor->machine;
    struct cpu *cpu = cpu_behind(context);

    if (cpu == machine->cpu && machine->is_running) {
        cpu_request_init(cpu);
    } else {
        cpu_reset(cpu, true);
    }
}

static void core_start(void *context, uint8_t vector)
{
    cpu_start(cpu_behind(context), vector);
}

static uint64_t core_tsc_to_ns(void *context, uint64_t tsc)
{
    return cpu_tsc_to_ns(cpu_behind(context), tsc);
}

/* ---- creation ---- */

bool processors_create(struct tick86 *machine, const struct tick86_config *config, struct error *err)
{
    unsigned count = config->cpus != 0 ? config->cpus : 1;
    struct cpu_model model;

    if (!cpu_model_parse(config->cpu_model, &model, err)) {
        return false;
    }
    if (count > 1 && !model_has(&model, FEATURE_APIC)) {
        error_set(err, "the processor model '%s' has no APIC, so there can be only one", model.name);
        return error_hint(err, "leave -smp out, or choose another -cpu");
    }
    for (unsigned n = 0; n < count; n++) {
        machine->processors[n] = (struct processor){ .machine = machine, .number = n };
        struct cpu_board board = { .context = &machine->processors[n],
                                   .acknowledge = acknowledge,
                                   .ferr = drive_ferr,
                                   .spin = count > 1 ? spin : NULL,
                                   .is_application = n != 0,
                                   .model = &model,
                                   .apic = &cpu_apic,
                                   .smram = smram,
                                   .number = n,
                                   .processor_count = count,
                                   .space = machine->space,
                                   .ports = machine->ports,
                                   .clock = &machine->clock,
                                   .log = &machine->log };
        struct cpu *cpu = cpu_create(&board, config->use_block_cache, err);
        if (cpu == NULL) {
            return false;
        }
        machine->cpus[machine->cpu_count++] = cpu;
        cpu_seed_random(cpu, config->random_seed + n * UINT64_C(0x9e3779b97f4a7c15));
        cpu_join(cpu, machine->cpus[0]);
    }
    schedule_init(machine, config->schedule_seed);
    return true;
}

bool processors_create_apics(struct tick86 *machine, const struct device *surroundings, struct error *err)
{
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        struct lapic_core core = { .context = &machine->processors[n],
                                   .set_intr = core_set_intr,
                                   .nmi = core_nmi,
                                   .smi = core_smi,
                                   .init = core_init,
                                   .start = core_start,
                                   .tsc_to_ns = core_tsc_to_ns };
        struct property properties[] = { { .name = "apic_bus", .pointer = &machine->apic_bus },
                                         { .name = "core", .pointer = &core },
                                         { .name = "number", .number = n },
                                         { .name = "is_bootstrap", .number = n == 0 },
                                         { .name = "is_off", .number = !model_has(&machine->cpus[n]->model, FEATURE_APIC) },
                                         { .name = NULL } };
        char *name = machine->processors[n].apic_name;
        snprintf(name, sizeof machine->processors[n].apic_name, "lapic%u", n);
        struct device *dev = device_create(&lapic_class, name, surroundings, properties, err);
        if (dev == NULL) {
            return false;
        }
        machine->chips[PC_LAPIC0 + n] = dev;
        machine->apic_bus.locals[machine->apic_bus.local_count++] = dev;
    }
    return true;
}

static void msi_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    const struct tick86 *machine = owner;

    if (size == 4) {
        apic_bus_msi(&machine->apic_bus, MSI_BASE + offset, value);
    }
}

static const struct region_ops msi_ops = { .write = msi_write, .max_size = 4 };

void processors_connect(struct tick86 *machine)
{
    machine->apic_bus.ios[machine->apic_bus.io_count++] = machine->chips[PC_IOAPIC];
    machine->msi = (struct region){
        .name = "msi", .kind = REGION_IO, .size = MSI_SIZE, .ops = &msi_ops, .owner = machine
    };
    space_add(machine->space, &machine->msi, MSI_BASE, MSI_PRIORITY, true);
}

void processors_destroy(struct tick86 *machine)
{
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        cpu_destroy(machine->cpus[n]);
    }
}

/* ---- wires ---- */

static void set_lint(struct tick86 *machine, unsigned lint, bool level)
{
    for (unsigned n = 0; n < machine->cpu_count; n++) {
        struct device *dev = lapic_at(machine, n);
        if (dev != NULL) {
            dev->class->set_input(dev, lint, level);
        }
    }
}

void processors_set_intr(struct tick86 *machine, bool level)
{
    set_lint(machine, LINT_INTR, level);
}

void processors_set_nmi(struct tick86 *machine, bool level)
{
    set_lint(machine, LINT_NMI, level);
}
