/* piix3.h - the ISA bridge's class; see piix3.c for its pins. */
#ifndef DEVICES_PIIX3_H
#define DEVICES_PIIX3_H

#include "devices/device.h"

extern const struct device_class piix3_class;

/* Number of the input pin "pirqN" for the INTx wire of a PCI slot: intx 0 is INTA#. */
static inline unsigned piix3_pin(unsigned slot, unsigned intx)
{
    return slot * 4 + intx;
}

#endif
