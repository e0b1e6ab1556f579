/* debugcon.h - the debug console of Bochs and QEMU. */
#ifndef DEVICES_DEBUGCON_H
#define DEVICES_DEBUGCON_H

#include "devices/device.h"

extern const struct device_class debugcon_class;

#endif
