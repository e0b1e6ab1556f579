/* ns16550.h - input to the serial port. Called by machine/ from the input queue. */
#ifndef DEVICES_NS16550_H
#define DEVICES_NS16550_H

#include "devices/device.h"

extern const struct device_class ns16550_class;

/* True when a received byte would find room and the line is free: one character time has passed since the byte before, and
 * the chip is not in loopback. */
bool ns16550_can_receive(const struct device *dev);

/* Guest time at which the line is free for the next byte, in nanoseconds; may be in the past. */
uint64_t ns16550_receive_ready_ns(const struct device *dev);

/* A character has arrived. Without room it is lost and an overrun error is flagged. */
void ns16550_receive(struct device *dev, uint8_t byte);

/* A break has arrived: a zero with the break and framing error flags. */
void ns16550_receive_break(struct device *dev);

#endif
