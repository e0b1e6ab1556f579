/* serial_input.h - the far end of a serial line: bytes typed by the user, waiting for their time on the wire. */
#ifndef MACHINE_SERIAL_INPUT_H
#define MACHINE_SERIAL_INPUT_H

#include "devices/device.h"

extern const struct device_class serial_input_class;

enum { SERIAL_INPUT_BYTES = 65536 };

/* Queues bytes to be sent; returns how many fitted. */
size_t serial_input_put(struct device *dev, const uint8_t *bytes, size_t size);
size_t serial_input_room(const struct device *dev);

#endif
