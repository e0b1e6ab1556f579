/* lapic.h - the local APIC as its processor and the interrupt bus see it. */
#ifndef DEVICES_LAPIC_H
#define DEVICES_LAPIC_H

#include "devices/apic_bus.h"

extern const struct device_class lapic_class;

/* What it does to its processor. */
struct lapic_core {
    void *context;
    void (*set_intr)(void *context, bool level);
    void (*nmi)(void *context);
    void (*smi)(void *context);
    void (*init)(void *context); /* INIT#; the APIC resets itself */
    void (*start)(void *context, uint8_t vector);
    uint64_t (*tsc_to_ns)(void *context, uint64_t tsc); /* guest time at which the time-stamp counter has this value */
};

/* IA32_APIC_BASE: what chooses the mode. */
#define LAPIC_BASE_X2APIC UINT64_C(0x400)
#define LAPIC_BASE_ENABLE UINT64_C(0x800)

enum { LAPIC_LINTS = 2, LAPIC_NOTHING = -1, LAPIC_EXTERNAL = -2 };

/* Registers as the processor reaches them: `offset` in the page of 4 KiB; 1, 2, 4 or 8 bytes. */
uint64_t lapic_read(struct device *dev, unsigned offset, unsigned size);
void lapic_write(struct device *dev, unsigned offset, unsigned size, uint64_t value);
/* x2APIC: MSR 800h + index. False: #GP. */
bool lapic_read_msr(struct device *dev, unsigned index, uint64_t *value);
bool lapic_write_msr(struct device *dev, unsigned index, uint64_t value);
/* IA32_APIC_BASE was written. False, and nothing changes: the transition is not allowed (11.12.5). */
bool lapic_set_base(struct device *dev, uint64_t base);
/* IA32_TSC_DEADLINE. */
uint64_t lapic_deadline(const struct device *dev);
void lapic_set_deadline(struct device *dev, uint64_t tsc);
/* The processor's time-stamp counter was written. */
void lapic_tsc_changed(struct device *dev);
/* Bits 7 to 4 of the task priority, which CR8 is. */
unsigned lapic_cr8(const struct device *dev);
void lapic_set_cr8(struct device *dev, unsigned value);

/* The processor takes an interrupt: the vector; LAPIC_EXTERNAL: it is the 8259s' and they give the vector; LAPIC_NOTHING. */
int lapic_acknowledge(struct device *dev);

/* ---- for the bus ---- */

bool lapic_matches(const struct device *dev, const struct apic_message *message);
bool lapic_deliver(struct device *dev, const struct apic_message *message);
bool lapic_takes_interrupts(const struct device *dev);
unsigned lapic_priority(const struct device *dev);

#endif
