/* cpu_pins.c - the processor's socket as a chip: wires come in, and become calls of the processor or requests to whoever
 * runs the machine.
 *
 * Inputs: "intr", "nmi"; "a20_kbc" and "a20_fast", of which one is enough to let address line 20 pass (PIIX3, 82371SB,
 * 2.5.5.2, "A20M#"); "reset0" to "reset3", "poweroff" and "debug_exit", whose rises are remembered until the machine
 * takes them; "ignne"; "smi". Outputs "powerbtn", "ferr" and "extint". Property "machine" (pointer to struct tick86).
 * Not implemented: STPCLK#, INIT# apart from RESET#. */
#include "machine/cpu_pins.h"

#include "machine/machine.h"
#include "machine/processors.h"

enum {
    PIN_INTR,
    PIN_NMI,
    PIN_A20_KBC,
    PIN_A20_FAST,
    PIN_POWEROFF,
    PIN_DEBUG_EXIT,
    PIN_IGNNE,
    PIN_SMI,
    PIN_RESET, /* and the three after it */
    RESET_PINS = 4
};

struct cpu_pins {
    struct device dev;
    struct tick86 *machine;
    struct irq powerbtn;
    struct irq ferr;
    struct irq extint;
    uint32_t levels;   /* bit n: pin n is high */
    uint32_t requests; /* enum pins_request */
};

#define S struct cpu_pins
static const struct field cpu_pins_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, machine, "the processors"),
    WIRED(S, powerbtn, "power button"),
    WIRED(S, ferr, "coprocessor error"),
    WIRED(S, extint, "INTR, for the I/O APIC"),
    FIELD(S, levels, "INTR, NMI, A20 of 8042 and port 92h, power off, debug exit, IGNNE#, four resets"),
    FIELD(S, requests, "1 debug exit, 2 power off, 4 reset; not taken yet"),
    FIELD_END,
};
#undef S

static void ask(struct cpu_pins *pins, enum pins_request request)
{
    pins->requests |= request;
    cpu_request_stop(pins->machine->cpu);
}

static void cpu_pins_set_input(struct device *dev, unsigned pin, bool level)
{
    struct cpu_pins *pins = (struct cpu_pins *)(void *)dev;
    uint32_t bit = UINT32_C(1) << pin;
    bool has_risen = level && (pins->levels & bit) == 0;

    pins->levels = level ? pins->levels | bit : pins->levels & ~bit;
    switch (pin) {
    case PIN_INTR:
        processors_set_intr(pins->machine, level);
        irq_set(&pins->extint, level);
        break;
    case PIN_NMI:
        processors_set_nmi(pins->machine, level);
        break;
    case PIN_A20_KBC:
    case PIN_A20_FAST:
        for (unsigned n = 0; n < pins->machine->cpu_count; n++) {
            cpu_set_a20(pins->machine->cpus[n], (pins->levels & (1u << PIN_A20_KBC | 1u << PIN_A20_FAST)) != 0);
        }
        break;
    case PIN_IGNNE:
        cpu_set_ignne(pins->machine->cpus[0], level);
        break;
    case PIN_SMI: /* as on QEMU's board, the first processor's alone: SeaBIOS moves no other SMBASE */
        if (has_risen) {
            cpu_set_smi(pins->machine->cpus[0]);
        }
        break;
    case PIN_POWEROFF:
        if (has_risen) {
            ask(pins, REQUEST_POWEROFF);
        }
        break;
    case PIN_DEBUG_EXIT:
        if (has_risen) {
            ask(pins, REQUEST_DEBUG_EXIT);
        }
        break;
    default:
        if (has_risen) {
            ask(pins, REQUEST_RESET);
        }
        break;
    }
}

/* The levels are the other chips' business: each drives its wire anew in its own reset. */
static void cpu_pins_reset(struct device *dev)
{
    struct cpu_pins *pins = (struct cpu_pins *)(void *)dev;

    pins->requests = 0;
    irq_set(&pins->powerbtn, false);
    irq_set(&pins->ferr, false); /* the processor is reset with the board */
}

static bool cpu_pins_init(struct device *dev, const struct property *properties, struct error *err)
{
    const struct property *machine = property_find(properties, "machine");

    if (machine == NULL || machine->pointer == NULL) {
        return error_set(err, "%s: there is no processor", dev->name);
    }
    ((struct cpu_pins *)(void *)dev)->machine = machine->pointer;
    return true;
}

unsigned cpu_pins_requests(const struct device *dev)
{
    return ((const struct cpu_pins *)(const void *)dev)->requests;
}

void cpu_pins_take(struct device *dev, unsigned requests)
{
    ((struct cpu_pins *)(void *)dev)->requests &= ~(uint32_t)requests;
}

void cpu_pins_press_power(struct device *dev)
{
    const struct cpu_pins *pins = (const struct cpu_pins *)(const void *)dev;

    irq_set(&pins->powerbtn, true);
    irq_set(&pins->powerbtn, false);
}

void cpu_pins_drive_ferr(struct device *dev, bool level)
{
    irq_set(&((struct cpu_pins *)(void *)dev)->ferr, level);
}

void cpu_pins_pulse_nmi(struct device *dev)
{
    const struct cpu_pins *pins = (const struct cpu_pins *)(const void *)dev;

    processors_set_nmi(pins->machine, false);
    processors_set_nmi(pins->machine, true);
    processors_set_nmi(pins->machine, (pins->levels >> PIN_NMI & 1) != 0);
}

static const struct pin_group cpu_pins_inputs[] = {
    { "intr", PIN_INTR, 0 },
    { "nmi", PIN_NMI, 0 },
    { "a20_kbc", PIN_A20_KBC, 0 },
    { "a20_fast", PIN_A20_FAST, 0 },
    { "poweroff", PIN_POWEROFF, 0 },
    { "debug_exit", PIN_DEBUG_EXIT, 0 },
    { "ignne", PIN_IGNNE, 0 },
    { "smi", PIN_SMI, 0 },
    { "reset", PIN_RESET, RESET_PINS },
    { NULL, 0, 0 },
};
static const struct output cpu_pins_outputs[] = {
    { "powerbtn", offsetof(struct cpu_pins, powerbtn), 0 },
    { "ferr", offsetof(struct cpu_pins, ferr), 0 },
    { "extint", offsetof(struct cpu_pins, extint), 0 },
    { NULL, 0, 0 },
};

const struct device_class cpu_pins_class = {
    .name = "cpu_pins",
    .doc = "wires of the processor and of the case",
    .size = sizeof(struct cpu_pins),
    .fields = cpu_pins_fields,
    .inputs = cpu_pins_inputs,
    .outputs = cpu_pins_outputs,
    .init = cpu_pins_init,
    .reset = cpu_pins_reset,
    .set_input = cpu_pins_set_input,
};
