/* apic_bus.c - routing of interrupt messages; see apic_bus.h. */
#include "devices/apic_bus.h"

#include "devices/ioapic.h"
#include "devices/lapic.h"

/* The local APIC among `candidates` whose processor has the lowest priority, or -1. The lowest number decides between
 * equals: what the APICs of P6 processors arbitrate for is not visible to programs. */
static int lowest_priority(const struct apic_bus *bus, uint32_t candidates)
{
    unsigned best_priority = UINT32_MAX;
    int best = -1;

    for (unsigned n = 0; n < bus->local_count; n++) {
        if ((candidates >> n & 1) != 0 && lapic_takes_interrupts(bus->locals[n])) {
            unsigned priority = lapic_priority(bus->locals[n]);
            if (priority < best_priority) {
                best_priority = priority;
                best = (int)n;
            }
        }
    }
    return best;
}

bool apic_bus_send_to(const struct apic_bus *bus, uint32_t locals, const struct apic_message *message)
{
    bool is_taken = false;

    if (message->delivery == APIC_LOWEST_PRIORITY) {
        int one = lowest_priority(bus, locals);
        return one >= 0 && lapic_deliver(bus->locals[one], message);
    }
    for (unsigned n = 0; n < bus->local_count; n++) {
        if ((locals >> n & 1) != 0) {
            is_taken = lapic_deliver(bus->locals[n], message) || is_taken;
        }
    }
    return is_taken;
}

bool apic_bus_send(const struct apic_bus *bus, const struct apic_message *message)
{
    uint32_t matches = 0;

    for (unsigned n = 0; n < bus->local_count; n++) {
        if (lapic_matches(bus->locals[n], message)) {
            matches |= UINT32_C(1) << n;
        }
    }
    return apic_bus_send_to(bus, matches, message);
}

void apic_bus_eoi(const struct apic_bus *bus, uint8_t vector)
{
    for (unsigned n = 0; n < bus->io_count; n++) {
        ioapic_eoi(bus->ios[n], vector);
    }
}

void apic_bus_retry(const struct apic_bus *bus)
{
    for (unsigned n = 0; n < bus->io_count; n++) {
        ioapic_retry(bus->ios[n]);
    }
}

/* 11.11.1 and 11.11.2. The redirection hint asks for one processor; with a logical destination that is the one of lowest
 * priority, whatever the delivery mode. */
bool apic_bus_msi(const struct apic_bus *bus, uint64_t address, uint32_t data)
{
    enum { ADDRESS_LOGICAL = 1 << 2, ADDRESS_HINT = 1 << 3, DATA_LEVEL = 1 << 15 };
    uint32_t destination = (uint32_t)(address >> 12) & 0xff;
    struct apic_message message = { .destination = destination,
                                    .vector = (uint8_t)data,
                                    .delivery = (uint8_t)(data >> 8 & 7),
                                    .is_logical = (address & ADDRESS_LOGICAL) != 0,
                                    .is_level = (data & DATA_LEVEL) != 0 };

    if (!message.is_logical && destination == 0xff) {
        message.destination = APIC_BROADCAST;
    }
    if ((address & ADDRESS_HINT) != 0 && message.is_logical && message.delivery == APIC_FIXED) {
        message.delivery = APIC_LOWEST_PRIORITY;
    }
    return apic_bus_send(bus, &message);
}
