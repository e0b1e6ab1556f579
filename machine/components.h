/* components.h - the parts of a machine that have state, in one fixed order. */
#ifndef MACHINE_COMPONENTS_H
#define MACHINE_COMPONENTS_H

#include "machine/tick86_travel.h"

/* A part as it is, for loading and copying; its state may be written. False past the last. */
struct component {
    const char *name;
    const struct field *fields;
    void *state;
    size_t size;
    struct device *chip; /* NULL: not a chip */
};
bool component_at(struct tick86 *machine, unsigned n, struct component *component);
unsigned component_count(struct tick86 *machine);
/* Recomputes what is derived, after the states of all were written. */
void components_loaded(struct tick86 *machine);

#endif
