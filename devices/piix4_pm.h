/* piix4_pm.h - the power management function's class; see piix4_pm.c for its pins and registers. */
#ifndef DEVICES_PIIX4_PM_H
#define DEVICES_PIIX4_PM_H

#include "devices/device.h"

extern const struct device_class piix4_pm_class;

/* Numbers of port registers, for the wiring table; the other two blocks map themselves as the guest programs them. */
enum {
    PIIX4_PM_REG_APM = 0x50,  /* ports B2h and B3h */
    PIIX4_PM_REG_GPE0 = 0x60, /* 4 ports at AFE0h */
};

#endif
