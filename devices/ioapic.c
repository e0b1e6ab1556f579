/* ioapic.c - I/O advanced programmable interrupt controller, as in the Intel 82093AA datasheet (May 1996, 290566-001).
 *
 * Registers: two windows at FEC00000h, the index at 00h and the data at 10h. Pins "intin0" to "intin23". An input pin's level
 * here means "asserted"; the polarity bit is kept and read back, and which voltage that is does not matter. Property
 * "apic_bus" (pointer to struct apic_bus).
 * Not implemented: the arbitration on the three-wire APIC bus (messages arrive at once, so the delivery status is always
 * idle), and the APIC base address relocation by PIIX3's APICBASE register. */
#include "devices/ioapic.h"

#include "devices/apic_bus.h"

enum {
    WINDOW_SELECT = 0x00,
    WINDOW_DATA = 0x10,

    REG_ID = 0,
    REG_VERSION = 1,
    REG_ARBITRATION = 2,
    REG_TABLE = 0x10,

    VERSION = 0x11,
};
/* Redirection table entry, 3.2.4. */
#define RTE_VECTOR UINT64_C(0xff)
#define RTE_DELIVERY_SHIFT 8
#define RTE_LOGICAL (UINT64_C(1) << 11)
#define RTE_REMOTE_IRR (UINT64_C(1) << 14)
#define RTE_LEVEL (UINT64_C(1) << 15)
#define RTE_MASKED (UINT64_C(1) << 16)
#define RTE_DESTINATION_SHIFT 56
#define RTE_WRITABLE UINT64_C(0xff0000000001afff)

struct ioapic {
    struct device dev;
    struct apic_bus *bus;
    uint64_t table[IOAPIC_PINS];
    uint32_t inputs;
    uint8_t select;
    uint8_t id;
    uint8_t pad_[2];
};

#define S struct ioapic
static const struct field ioapic_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, bus, NULL),
    FIELD(S, table, "redirection table"),
    FIELD(S, inputs, "asserted inputs"),
    FIELD(S, select, "I/O register select"),
    FIELD(S, id, "bits 24-27 of the ID register"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static struct ioapic *ioapic_of(struct device *dev)
{
    return (struct ioapic *)(void *)dev;
}

/* Level triggering exists for fixed and lowest-priority delivery alone: table 4, "Trigger Mode", with SMI, NMI, INIT and
 * ExtINT "must be programmed as edge". */
static bool is_level(uint64_t entry)
{
    unsigned delivery = (unsigned)(entry >> RTE_DELIVERY_SHIFT) & 7;

    return (entry & RTE_LEVEL) != 0 && (delivery == APIC_FIXED || delivery == APIC_LOWEST_PRIORITY);
}

static bool send(const struct ioapic *apic, uint64_t entry)
{
    uint32_t destination = (uint32_t)(entry >> RTE_DESTINATION_SHIFT);
    struct apic_message message = { .destination = destination,
                                    .vector = (uint8_t)entry,
                                    .delivery = (uint8_t)(entry >> RTE_DELIVERY_SHIFT & 7),
                                    .is_logical = (entry & RTE_LOGICAL) != 0,
                                    .is_level = is_level(entry) };

    if (!message.is_logical && destination == 0xff) {
        message.destination = APIC_BROADCAST;
    }
    return apic->bus != NULL && apic_bus_send(apic->bus, &message);
}

/* Sends a level-triggered interrupt that is due. Remote IRR is set first: taking it may lead back here. */
static void offer_level(struct ioapic *apic, unsigned pin)
{
    uint64_t *entry = &apic->table[pin];

    if ((apic->inputs >> pin & 1) == 0 || !is_level(*entry) || (*entry & (RTE_MASKED | RTE_REMOTE_IRR)) != 0) {
        return;
    }
    *entry |= RTE_REMOTE_IRR;
    if (!send(apic, *entry)) {
        *entry &= ~RTE_REMOTE_IRR;
    }
}

static void ioapic_set_input(struct device *dev, unsigned pin, bool level)
{
    struct ioapic *apic = ioapic_of(dev);
    uint32_t bit = UINT32_C(1) << pin;
    bool has_risen = level && (apic->inputs & bit) == 0;

    apic->inputs = level ? apic->inputs | bit : apic->inputs & ~bit;
    if (!has_risen) {
        return;
    }
    if (is_level(apic->table[pin])) {
        offer_level(apic, pin);
    } else if ((apic->table[pin] & RTE_MASKED) == 0) { /* 3.2.4, "Interrupt Mask": masked edges are lost */
        send(apic, apic->table[pin]);
    }
}

void ioapic_eoi(struct device *dev, uint8_t vector)
{
    struct ioapic *apic = ioapic_of(dev);

    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        uint64_t *entry = &apic->table[pin];
        if ((*entry & RTE_REMOTE_IRR) != 0 && (*entry & RTE_VECTOR) == vector) {
            *entry &= ~RTE_REMOTE_IRR;
            offer_level(apic, pin);
        }
    }
}

void ioapic_retry(struct device *dev)
{
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        offer_level(ioapic_of(dev), pin);
    }
}

/* An entry that becomes edge-triggered forgets that an interrupt was in service: how drivers for chips without an EOI register
 * get rid of it. */
static void write_entry(struct ioapic *apic, unsigned pin, uint64_t value)
{
    uint64_t *entry = &apic->table[pin];

    *entry = (value & RTE_WRITABLE) | (*entry & RTE_REMOTE_IRR);
    if (!is_level(*entry)) {
        *entry &= ~RTE_REMOTE_IRR;
    }
    offer_level(apic, pin);
}

static uint32_t read_register(const struct ioapic *apic)
{
    unsigned pin = (unsigned)(apic->select - REG_TABLE) / 2;

    switch (apic->select) {
    case REG_ID:
    case REG_ARBITRATION:
        return (uint32_t)apic->id << 24;
    case REG_VERSION:
        return (IOAPIC_PINS - 1) << 16 | VERSION;
    default:
        if (apic->select < REG_TABLE || pin >= IOAPIC_PINS) {
            return 0;
        }
        return (uint32_t)(apic->table[pin] >> (apic->select % 2 != 0 ? 32 : 0));
    }
}

static void write_register(struct ioapic *apic, uint32_t value)
{
    unsigned pin = (unsigned)(apic->select - REG_TABLE) / 2;

    if (apic->select == REG_ID) {
        apic->id = value >> 24 & 0x0f;
    } else if (apic->select >= REG_TABLE && pin < IOAPIC_PINS) {
        uint64_t entry = apic->table[pin];
        if (apic->select % 2 != 0) {
            entry = (entry & UINT32_MAX) | (uint64_t)value << 32;
        } else {
            entry = (entry & ~(uint64_t)UINT32_MAX) | value;
        }
        write_entry(apic, pin, entry);
    }
}

/* "These registers must be accessed as 32 bits" (3.0); narrower accesses reach the byte that they would on the bus. */
static uint32_t ioapic_read(void *owner, uint64_t offset, unsigned size)
{
    struct ioapic *apic = owner;
    uint32_t value = 0;

    (void)size;
    if ((offset & ~UINT64_C(3)) == WINDOW_SELECT) {
        value = apic->select;
    } else if ((offset & ~UINT64_C(3)) == WINDOW_DATA) {
        value = read_register(apic);
    }
    return value >> 8 * (offset & 3);
}

static void ioapic_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    struct ioapic *apic = owner;

    if (offset == WINDOW_SELECT) {
        apic->select = (uint8_t)value;
    } else if (offset == WINDOW_DATA && size == 4) {
        write_register(apic, value);
    } else {
        device_log(&apic->dev, LOG_GUEST, "write of %u bytes at 0x%03x", size, (unsigned)offset);
    }
}

/* 3.2.4: all entries masked. */
static void ioapic_reset(struct device *dev)
{
    struct ioapic *apic = ioapic_of(dev);

    apic->select = apic->id = 0;
    for (unsigned pin = 0; pin < IOAPIC_PINS; pin++) {
        apic->table[pin] = RTE_MASKED;
    }
}

static const struct region_ops ioapic_region_ops = { .read = ioapic_read, .write = ioapic_write, .max_size = 4 };

static bool ioapic_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct ioapic *apic = ioapic_of(dev);
    const struct property *bus = property_find(properties, "apic_bus");

    (void)err;
    apic->bus = bus != NULL ? bus->pointer : NULL;
    return true;
}

static const struct pin_group ioapic_inputs[] = { { "intin", 0, IOAPIC_PINS }, { NULL, 0, 0 } };

const struct device_class ioapic_class = {
    .name = "82093aa",
    .doc = "I/O APIC",
    .size = sizeof(struct ioapic),
    .fields = ioapic_fields,
    .inputs = ioapic_inputs,
    .region_ops = &ioapic_region_ops,
    .init = ioapic_init,
    .reset = ioapic_reset,
    .set_input = ioapic_set_input,
};
