/* vmmouse.h - what the board asks of the absolute pointing device. */
#ifndef MACHINE_VMMOUSE_H
#define MACHINE_VMMOUSE_H

#include "devices/device.h"

extern const struct device_class vmmouse_class;

/* True when the guest's driver has asked for absolute packets: movement belongs here and not to the PS/2 mouse. */
bool vmmouse_is_absolute(const struct device *dev);
/* True when the guest's driver listens here at all. */
bool vmmouse_is_enabled(const struct device *dev);
/* A place, 0 to FFFFh from left to right and from top to bottom. Buttons as in i8042_mouse. */
void vmmouse_point(struct device *dev, unsigned x, unsigned y, int dz, unsigned buttons);
void vmmouse_move(struct device *dev, int dx, int dy, int dz, unsigned buttons);

#endif
