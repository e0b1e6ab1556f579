/* hpet.h - high precision event timers. */
#ifndef DEVICES_HPET_H
#define DEVICES_HPET_H

#include "devices/device.h"

extern const struct device_class hpet_class;

#define HPET_BASE UINT32_C(0xfed00000)
enum { HPET_SIZE = 0x400 };
/* What its capability register says in the low half: the ACPI table repeats it. */
#define HPET_ID UINT32_C(0x8086a201)

#endif
