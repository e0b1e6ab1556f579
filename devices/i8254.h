/* i8254.h - what boards and tests may ask of the interval timer besides its ports and pins. */
#ifndef DEVICES_I8254_H
#define DEVICES_I8254_H

#include "devices/device.h"

extern const struct device_class i8254_class;

/* Frequency of all three CLK inputs, in Hz. */
#define I8254_CLOCK_HZ UINT64_C(1193182)

/* Level of OUT `counter` (0 to 2) now, at this guest time. */
bool i8254_out(struct device *dev, unsigned counter);

/* Frequency at which OUT `counter` oscillates in modes 2 and 3, in Hz, 0 when it stands still; for sound output. */
uint32_t i8254_frequency(struct device *dev, unsigned counter);

#endif
