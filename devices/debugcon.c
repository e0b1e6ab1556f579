/* debugcon.c - the debug console that Bochs and QEMU have at port E9h or 402h: a byte written goes to the sink, a read
 * gives E9h, by which a guest knows that it is there (QEMU, docs/system/i386, "-debugcon"; Bochs user manual, "port E9
 * hack"). Property "sink" (pointer to struct byte_sink, may be missing). There is no state. */
#include "devices/debugcon.h"

#include "devices/backend.h"

enum { DEBUGCON_SIGNATURE = 0xe9 };

struct debugcon {
    struct device dev;
    const struct byte_sink *sink;
};

#define S struct debugcon
static const struct field debugcon_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, sink, "where the bytes go"),
    FIELD_END,
};
#undef S

static uint32_t debugcon_read(void *owner, unsigned reg, unsigned size)
{
    (void)owner;
    (void)reg;
    (void)size;
    return DEBUGCON_SIGNATURE;
}

static void debugcon_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    const struct debugcon *console = owner;

    (void)reg;
    (void)size;
    if (console->sink) {
        console->sink->put(console->sink->context, (uint8_t)value);
    }
}

static bool debugcon_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct debugcon *console = (struct debugcon *)dev;
    const struct property *sink = property_find(properties, "sink");

    (void)err;
    console->sink = sink ? sink->pointer : NULL;
    return true;
}

static void debugcon_reset(struct device *dev)
{
    (void)dev;
}

static const struct port_ops debugcon_port_ops = {debugcon_read, debugcon_write, 1};

const struct device_class debugcon_class = {
    .name = "debugcon",
    .doc = "debug console port",
    .size = sizeof(struct debugcon),
    .fields = debugcon_fields,
    .port_ops = &debugcon_port_ops,
    .init = debugcon_init,
    .reset = debugcon_reset,
};
