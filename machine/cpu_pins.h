/* cpu_pins.h - where the board's wires meet the processor and the machine's user. */
#ifndef MACHINE_CPU_PINS_H
#define MACHINE_CPU_PINS_H

#include "devices/device.h"

extern const struct device_class cpu_pins_class;

/* What the chips have asked the machine for since it was last taken. Bits, most urgent lowest. */
enum pins_request { REQUEST_DEBUG_EXIT = 1, REQUEST_POWEROFF = 2, REQUEST_RESET = 4 };

/* Requests that have not been taken, as REQUEST_ bits. */
unsigned cpu_pins_requests(const struct device *dev);
/* Forgets some. */
void cpu_pins_take(struct device *dev, unsigned requests);

/* A press of the power button. */
void cpu_pins_press_power(struct device *dev);
/* The processor's FERR# output. */
void cpu_pins_drive_ferr(struct device *dev, bool level);
/* A pulse on NMI. Port 70h's mask does not hold it off: it is what the user has when nothing else works. */
void cpu_pins_pulse_nmi(struct device *dev);

#endif
