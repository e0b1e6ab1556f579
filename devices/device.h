/* device.h - what a chip is: a struct, its field rows, its pins and its class.
 *
 * A chip knows its registers, its wires, the clock and the bus; never another chip and never the CPU. The board
 * (machine/) creates the chips of its wiring table, connects their output wires to input pins by name, and maps their
 * ports and regions. Below frontends/ there is no OS header, no thread, no host time and no randomness. */
#ifndef DEVICES_DEVICE_H
#define DEVICES_DEVICE_H

#include "mem/clock.h"
#include "mem/error.h"
#include "mem/log.h"
#include "mem/space.h"
#include "mem/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device;

/* An output wire. A level is a value: set as often as one likes, remembered by the receiver, idempotent. An
 * unconnected wire (sink NULL) is ignored. */
struct irq {
    struct device *sink;
    uint32_t pin; /* input pin number of the sink */
};
void irq_set(const struct irq *irq, bool level);

/* Named groups of input pins: { "ir", 0, 8 } makes "ir0" to "ir7" pins 0 to 7. A single pin has no number: count 0. */
struct pin_group {
    const char *name;
    uint32_t first;
    uint32_t count;
};

/* Named output wires, for the wiring table. count > 1: an array of struct irq, "name0".."nameN". */
struct output {
    const char *name;
    size_t offset; /* of a struct irq in the chip's struct */
    uint32_t count; /* 0: single, no number */
};

/* Host resources and settings a chip is created with, by key; machine/ fills them in. A chip ignores keys it does not
 * know. Strings and pointers must outlive the chip. */
struct property {
    const char *name;
    uint64_t number;
    const char *text;
    void *pointer;
};

/* What all chips share. First member of every chip's struct, named `dev`. All of it is wired. */
struct device {
    const struct device_class *class;
    const char *name; /* instance: "pic0" */
    struct clock *clock;
    struct log *log;
    struct log_channel *channel;
    struct space *space; /* physical memory as bus masters see it */
    struct ports *ports;
};

struct device_class {
    const char *name; /* part number: "i8259" */
    const char *doc;  /* one line */
    size_t size;      /* of the chip's struct */
    const struct field *fields;
    const struct pin_group *inputs;  /* ends with name NULL; NULL for none */
    const struct output *outputs;    /* ends with name NULL; NULL for none */
    const struct port_ops *port_ops; /* NULL when it has no ports */
    const struct region_ops *region_ops; /* NULL when the board maps no region of it */
    /* Called once on a zero-filled struct whose `dev` is set: event_init, allocations. Then reset is called. NULL: nothing. */
    bool (*init)(struct device *dev, const struct property *properties, struct error *err);
    /* Power-on and RESET# state; idempotent. Output wires are set from the new state. */
    void (*reset)(struct device *dev);
    /* Recompute derived fields after state was loaded; must not raise interrupts or arm events. NULL: nothing. */
    void (*loaded)(struct device *dev);
    void (*set_input)(struct device *dev, unsigned pin, bool level); /* NULL when it has no inputs */
    void (*destroy)(struct device *dev);                             /* frees what init allocated; NULL: nothing */
    /* Network chips only: a frame of at least 60 bytes arrives. False when the chip cannot take it now, which has changed
     * nothing; true when it was taken, or ignored as the chip ignores what is not for it. */
    bool (*receive)(struct device *dev, const uint8_t *frame, size_t size);
};

/* Creates a chip in the given surroundings: allocates it, runs init and reset. NULL with `err` set on failure. */
struct device *device_create(const struct device_class *class, const char *name, const struct device *surroundings,
                             const struct property *properties, struct error *err);
void device_destroy(struct device *dev);

/* The property of that name, or NULL. `properties` may be NULL and ends with name NULL. */
const struct property *property_find(const struct property *properties, const char *name);

/* Connects output `output` (by name, such as "int" or "out2") of `source` to input `pin` (by name, such as "ir3") of
 * `sink`. Returns false with `err` set when either does not exist. */
bool device_connect(struct device *source, const char *output, struct device *sink, const char *pin, struct error *err);

/* The rows that describe `struct device` itself; every chip's table starts with DEVICE_FIELDS(S). */
#define DEVICE_FIELDS(S) WIRED(S, dev, "name, clock, log and buses")
/* An output wire (or an array of them) is wired; an event is state with wired parts. */
#define FIELD_EVENT(S, member, doc) FIELD_STRUCT(S, member, struct event, event_fields, doc)

#define device_log(dev, level, ...) log_write((dev)->log, (dev)->channel, level, __VA_ARGS__)

/* Every class there is, ending with NULL; tests walk it. */
extern const struct device_class *const device_classes[];

#endif
