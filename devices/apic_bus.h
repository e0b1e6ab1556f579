/* apic_bus.h - what joins local APICs, I/O APICs and message signalled interrupts: interrupt messages.
 *
 * Intel SDM vol. 3 (December 2023), 11.6 (interprocessor interrupts), 11.10.6 (EOI broadcast), 11.11 (message signalled
 * interrupts). Like a PCI bus, it is part of the board and no chip: it has no state. Messages arrive at once. */
#ifndef DEVICES_APIC_BUS_H
#define DEVICES_APIC_BUS_H

#include "devices/device.h"

/* Delivery modes, as in ICR, LVT, redirection table and MSI data. */
enum apic_delivery {
    APIC_FIXED = 0,
    APIC_LOWEST_PRIORITY = 1,
    APIC_SMI = 2,
    APIC_REMOTE_READ = 3,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_STARTUP = 6,
    APIC_EXTINT = 7
};

#define APIC_BROADCAST UINT32_MAX

struct apic_message {
    uint32_t destination; /* APIC_BROADCAST, or an ID, or a logical address */
    uint8_t vector;
    uint8_t delivery; /* enum apic_delivery */
    bool is_logical;
    bool is_level;
    bool is_from_x2apic; /* a logical address of 32 bits */
};

enum { APIC_BUS_LOCALS = 32, APIC_BUS_IOS = 2 };

struct apic_bus {
    struct device *locals[APIC_BUS_LOCALS];
    struct device *ios[APIC_BUS_IOS];
    unsigned local_count, io_count;
};

/* Hands a message to whom it is meant for. False when nobody took it. */
bool apic_bus_send(const struct apic_bus *bus, const struct apic_message *message);
/* The same to one or more APICs by number, for shorthands: bit n is local APIC n. */
bool apic_bus_send_to(const struct apic_bus *bus, uint32_t locals, const struct apic_message *message);
/* A local APIC finished a level-triggered interrupt. */
void apic_bus_eoi(const struct apic_bus *bus, uint8_t vector);
/* A local APIC takes interrupts now: I/O APICs offer again what nobody took. */
void apic_bus_retry(const struct apic_bus *bus);
/* A doubleword that a bus master or a chip wrote to FEExxxxxh. */
bool apic_bus_msi(const struct apic_bus *bus, uint64_t address, uint32_t data);

#endif
