/* ioapic.h - the I/O APIC as the interrupt bus sees it. */
#ifndef DEVICES_IOAPIC_H
#define DEVICES_IOAPIC_H

#include "devices/device.h"

extern const struct device_class ioapic_class;

enum { IOAPIC_PINS = 24 };
#define IOAPIC_BASE UINT32_C(0xfec00000)

/* A local APIC has finished with this vector. */
void ioapic_eoi(struct device *dev, uint8_t vector);
/* Offers level-triggered interrupts again that no local APIC took. */
void ioapic_retry(struct device *dev);

#endif
