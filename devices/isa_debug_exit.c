/* isa_debug_exit.c - QEMU's isa-debug-exit: a value v written to its ports (501h by default, four of them) ends the
 * emulator with status (v << 1) | 1 (QEMU, hw/misc/debugexit.c, by behaviour). Reads give 0, as QEMU's do.
 *
 * Registers 0 to 3 are one 32-bit latch; output "exit" rises with the write and stays until RESET. */
#include "devices/isa_debug_exit.h"

struct isa_debug_exit {
    struct device dev;
    struct irq exit;
    uint32_t value;
    bool is_exiting;
    uint8_t pad_[3];
};

#define S struct isa_debug_exit
static const struct field isa_debug_exit_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, exit, "asks the machine to end"),
    FIELD(S, value, "value written"),
    FIELD(S, is_exiting, "a value was written"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static uint32_t isa_debug_exit_read(void *owner, unsigned reg, unsigned size)
{
    (void)owner;
    (void)reg;
    (void)size;
    return 0;
}

static void isa_debug_exit_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct isa_debug_exit *chip = owner;

    (void)reg;
    chip->value = size == 1 ? value & 0xffu : size == 2 ? value & 0xffffu : value;
    chip->is_exiting = true;
    irq_set(&chip->exit, true);
}

uint32_t isa_debug_exit_value(const struct device *dev)
{
    return ((const struct isa_debug_exit *)dev)->value;
}

static void isa_debug_exit_reset(struct device *dev)
{
    struct isa_debug_exit *chip = (struct isa_debug_exit *)dev;

    chip->value = 0;
    chip->is_exiting = false;
    irq_set(&chip->exit, false);
}

static const struct output isa_debug_exit_outputs[] = {
    {"exit", offsetof(struct isa_debug_exit, exit), 0},
    {NULL, 0, 0},
};
static const struct port_ops isa_debug_exit_port_ops = {isa_debug_exit_read, isa_debug_exit_write, 4};

const struct device_class isa_debug_exit_class = {
    .name = "isa-debug-exit",
    .doc = "lets the guest end the emulator",
    .size = sizeof(struct isa_debug_exit),
    .fields = isa_debug_exit_fields,
    .outputs = isa_debug_exit_outputs,
    .port_ops = &isa_debug_exit_port_ops,
    .reset = isa_debug_exit_reset,
};
