/* i8259.h - the INTA side of the interrupt controller, which ports and wires do not show. */
#ifndef DEVICES_I8259_H
#define DEVICES_I8259_H

#include "devices/device.h"

extern const struct device_class i8259_class;

/* The processor's two INTA cycles: acknowledges the request of highest priority and returns its vector. `slave` is the
 * controller whose "int" is wired to an input of `master` that ICW3 names, or NULL. Where no request is left
 * the spurious vector of IR7 is returned and nothing is put in service (8259A datasheet, "Interrupt Sequence"). */
uint8_t i8259_acknowledge(struct device *master, struct device *slave);

/* Tells whether INT is asserted; the same as the level of the output wire "int". */
bool i8259_int_level(const struct device *dev);

#endif
