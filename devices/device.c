/* device.c - creation, wiring and properties of chips; see device.h. */
#include "devices/device.h"

#include <stdlib.h>
#include <string.h>

void irq_set(const struct irq *irq, bool level)
{
    if (irq->sink != NULL && irq->sink->class->set_input != NULL) {
        irq->sink->class->set_input(irq->sink, irq->pin, level);
    }
}

/* Takes the chip's events off the clock: those whose storage or owner lies inside its struct. */
static void forget_events(struct device *dev)
{
    struct clock *clock = dev->clock;
    uintptr_t start = (uintptr_t)dev;
    uint32_t kept = 0;

    for (uint32_t i = 0; clock != NULL && i < clock->event_count; i++) {
        uintptr_t at = (uintptr_t)clock->events[i];
        if (at < start || at - start >= dev->class->size) {
            clock->events[kept++] = clock->events[i];
        }
    }
    if (clock != NULL) {
        clock->event_count = kept;
    }
}

struct device *device_create(const struct device_class *class, const char *name, const struct device *surroundings,
                             const struct property *properties, struct error *err)
{
    struct device *dev;

    BUG_ON(class->size < sizeof *dev);
    dev = calloc(1, class->size);
    if (dev == NULL) {
        error_set(err, "out of memory for %s", name);
        return NULL;
    }
    dev->class = class;
    dev->name = name;
    dev->clock = surroundings->clock;
    dev->log = surroundings->log;
    dev->channel = dev->log != NULL ? log_channel(dev->log, class->name) : NULL;
    dev->space = surroundings->space;
    dev->ports = surroundings->ports;
    if (class->init != NULL && !class->init(dev, properties, err)) {
        device_destroy(dev); /* a class's destroy copes with an init that stopped half-way */
        return NULL;
    }
    if (class->reset != NULL) {
        class->reset(dev);
    }
    return dev;
}

void device_destroy(struct device *dev)
{
    if (dev == NULL) {
        return;
    }
    if (dev->class->destroy != NULL) {
        dev->class->destroy(dev);
    }
    forget_events(dev);
    free(dev);
}

const struct property *property_find(const struct property *properties, const char *name)
{
    for (const struct property *p = properties; p != NULL && p->name != NULL; p++) {
        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }
    return NULL;
}

/* Whether `wanted` is `name` alone (count 0) or `name` and a decimal number below `count`; `*index` is the number. */
static bool name_matches(const char *wanted, const char *name, uint32_t count, uint32_t *index)
{
    size_t size = strlen(name);
    const char *digit = wanted + size;

    *index = 0;
    if (strncmp(wanted, name, size) != 0) {
        return false;
    }
    if (count == 0 || *digit == '\0') {
        return count == 0 && *digit == '\0';
    }
    if (digit[0] == '0' && digit[1] != '\0') {
        return false;
    }
    for (; *digit >= '0' && *digit <= '9' && *index < count; digit++) {
        *index = *index * 10 + (uint32_t)(*digit - '0');
    }
    return *digit == '\0' && *index < count;
}

static struct irq *find_output(struct device *dev, const char *name)
{
    uint32_t index;

    for (const struct output *o = dev->class->outputs; o != NULL && o->name != NULL; o++) {
        if (name_matches(name, o->name, o->count, &index)) {
            return (struct irq *)(void *)((char *)dev + o->offset) + index;
        }
    }
    return NULL;
}

static bool find_pin(const struct device *dev, const char *name, uint32_t *pin)
{
    uint32_t index;

    for (const struct pin_group *g = dev->class->inputs; g != NULL && g->name != NULL; g++) {
        if (name_matches(name, g->name, g->count, &index)) {
            *pin = g->first + index;
            return true;
        }
    }
    return false;
}

bool device_connect(struct device *source, const char *output, struct device *sink, const char *pin, struct error *err)
{
    struct irq *irq = find_output(source, output);
    uint32_t number;

    if (irq == NULL) {
        return error_set(err, "chip %s (%s) has no output '%s'", source->name, source->class->name, output);
    }
    if (!find_pin(sink, pin, &number)) {
        return error_set(err, "chip %s (%s) has no input '%s'", sink->name, sink->class->name, pin);
    }
    if (irq->sink != NULL) {
        return error_set(err, "output '%s' of %s is already connected to %s", output, source->name, irq->sink->name);
    }
    irq->sink = sink;
    irq->pin = number;
    return true;
}
