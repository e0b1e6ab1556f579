/* piix3.c - PCI to ISA bridge: Intel 82371SB PIIX3 (April 1997, 290550-002), function 0.
 *
 * Inputs: "pirq0" to "pirq127" are the INTx wires of the PCI slots, number slot * 4 + intx (INTA# is 0); they are swizzled
 * onto PIRQA-PIRQD as (slot - 1 + intx) modulo 4, as on QEMU's pc board, which SeaBIOS and our ACPI tables know. "isa0" to
 * "isa15" are the IRQ lines of the ISA bus. Outputs "irq0" to "irq15" go to the interrupt controllers: each is the OR of
 * its ISA line and of the PIRQs that registers 60h-63h route to it, so chips whose IRQ may be shared (the SCI on 9) are
 * wired to "isaN" here and not to the controller itself.
 *
 * Coprocessor errors (2.5.5.2, "FERR#", "IGNNE#"): a rise of input "ferr" raises IRQ 13; a write to port F0h lowers it again
 * and raises output "ignne", which falls with "ferr". Bit 5 of XBCS (4Eh) would have to enable that; it is not looked at, as
 * SeaBIOS leaves it clear.
 *
 * Not implemented here: what other chips of the board are (interrupt and DMA controllers, timers, ports 61h, 92h and
 * CF9h, IDE); X-bus chip selects, motherboard interrupts and DMA routing, SMI control: those registers are kept without effect. */
#include "devices/piix3.h"

#include "devices/pci.h"

#include <string.h>

enum {
    SLOT_PINS = 128,
    ISA_LINES = 16,

    CONFIG_PIRQRC = 0x60, /* A to D: 60h to 63h */
    PIRQ_DISABLED = 0x80,
    PIRQ_IRQ = 0x0f,
    PIRQ_LINES = 4,

    PIN_FERR = SLOT_PINS + ISA_LINES,
    PIN_HPET, /* and the next: in place of IRQ 0 and 8 */
    PIN_HPET_LEGACY = PIN_HPET + 2,
    IRQ_FERR = 13,
};

/* IRQs a PIRQ may be routed to: not 0, 1, 2, 8 and 13. */
#define ROUTABLE_IRQS UINT32_C(0xdef8)

struct piix3 {
    struct device dev;
    struct pci_function pci;
    struct irq irq[ISA_LINES];
    struct irq apic[ISA_LINES + PIRQ_LINES];
    struct irq ignne;
    uint32_t slot_levels[SLOT_PINS / 32];
    uint16_t isa_levels;
    bool ferr_level;
    bool has_ferr_irq;
    bool ignne_level;
    bool is_hpet_legacy;
    uint8_t hpet_levels;
    uint8_t pad_;
};

#define S struct piix3
static const struct field piix3_fields[] = {
    DEVICE_FIELDS(S),
    FIELD_PCI(S),
    WIRED(S, irq, "to the interrupt controllers"),
    WIRED(S, apic, "to the I/O APIC: the same, and PIRQA to PIRQD"),
    WIRED(S, ignne, "to the processor"),
    FIELD(S, slot_levels, "INTx wires, bit slot * 4 + intx"),
    FIELD(S, isa_levels, "ISA IRQ lines"),
    FIELD(S, ferr_level, "coprocessor error"),
    FIELD(S, has_ferr_irq, "IRQ 13, until port F0h is written"),
    FIELD(S, ignne_level, "port F0h was written, the error is still there"),
    FIELD(S, is_hpet_legacy, "the HPET has IRQ 0 and 8"),
    FIELD(S, hpet_levels, "its wires for them"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

/* Registers that are kept, and their values after reset (2.2, "PCI configuration registers"). */
static const struct kept_register {
    uint8_t offset, writable, reset;
} kept_registers[] = {
    { 0x4c, 0xff, 0x4d }, { 0x4e, 0xff, 0x03 }, { 0x4f, 0x01, 0x00 }, { 0x60, 0x8f, 0x80 }, { 0x61, 0x8f, 0x80 },
    { 0x62, 0x8f, 0x80 }, { 0x63, 0x8f, 0x80 }, { 0x69, 0xfe, 0x02 }, { 0x6a, 0xff, 0x00 }, { 0x6b, 0xff, 0x00 },
    { 0x70, 0xef, 0x80 }, { 0x76, 0x8f, 0x0c }, { 0x77, 0x8f, 0x0c }, { 0x78, 0xff, 0x02 }, { 0x79, 0xff, 0x00 },
    { 0x80, 0x7f, 0x00 }, { 0x82, 0x0f, 0x00 }, { 0xa0, 0x1f, 0x08 }, { 0xa2, 0xff, 0x00 }, { 0xa3, 0xff, 0x00 },
    { 0xa4, 0xff, 0x00 }, { 0xa5, 0xff, 0x00 }, { 0xa6, 0xff, 0x00 }, { 0xa7, 0xff, 0x00 }, { 0xa8, 0xff, 0x0f },
    { 0xaa, 0xff, 0x00 }, { 0xab, 0xff, 0x00 }, { 0xac, 0xff, 0x00 }, { 0xae, 0xff, 0x00 },
};

/* Levels of PIRQA to PIRQD: pin slot * 4 + intx pulls line (slot - 1 + intx) modulo 4. */
static unsigned pirq_levels(const struct piix3 *isa)
{
    unsigned levels = 0;

    for (unsigned slot = 0; slot < SLOT_PINS / 4; slot++) {
        unsigned pins = isa->slot_levels[slot / 8] >> 4 * (slot % 8) & 0xf;
        unsigned turn = (slot + 3) % 4;
        levels |= pins << turn | pins >> (4 - turn);
    }
    return levels & 0xf;
}

/* The outputs: ISA lines and routed PIRQs together. */
static uint32_t irq_levels(const struct piix3 *isa)
{
    uint32_t isa_levels = isa->isa_levels;

    if (isa->is_hpet_legacy) {
        isa_levels = (isa_levels & ~UINT32_C(0x101)) | (isa->hpet_levels & 1u) | (isa->hpet_levels & 2u) << 7;
    }
    uint32_t levels = isa_levels | (isa->has_ferr_irq ? UINT32_C(1) << IRQ_FERR : 0);
    unsigned pirqs = pirq_levels(isa);

    for (unsigned line = 0; line < PIRQ_LINES; line++) {
        uint8_t route = isa->pci.config[CONFIG_PIRQRC + line];
        if ((pirqs >> line & 1) != 0 && (route & PIRQ_DISABLED) == 0) {
            levels |= UINT32_C(1) << (route & PIRQ_IRQ) & ROUTABLE_IRQS;
        }
    }
    return levels;
}

static void piix3_update(struct piix3 *isa, uint32_t irqs)
{
    uint32_t levels = irq_levels(isa);

    for (unsigned i = 0; i < ISA_LINES; i++) {
        if ((irqs >> i & 1) != 0) {
            irq_set(&isa->irq[i], (levels >> i & 1) != 0);
            irq_set(&isa->apic[i], (levels >> i & 1) != 0);
        }
    }
}

static void update_pirqs(const struct piix3 *isa)
{
    unsigned pirqs = pirq_levels(isa);

    for (unsigned line = 0; line < PIRQ_LINES; line++) {
        irq_set(&isa->apic[ISA_LINES + line], (pirqs >> line & 1) != 0);
    }
}

static void update_ferr(struct piix3 *isa)
{
    piix3_update(isa, UINT32_C(1) << IRQ_FERR);
    irq_set(&isa->ignne, isa->ignne_level);
}

static void set_ferr(struct piix3 *isa, bool level)
{
    isa->has_ferr_irq |= level && !isa->ferr_level;
    isa->ignne_level &= level;
    isa->ferr_level = level;
    update_ferr(isa);
}

/* Port F0h; it reads all ones. */
static uint32_t piix3_read(void *owner, unsigned reg, unsigned size)
{
    (void)owner;
    (void)reg;
    (void)size;
    return 0xff;
}

static void piix3_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct piix3 *isa = owner;

    (void)reg;
    (void)size;
    (void)value;
    isa->has_ferr_irq = false;
    isa->ignne_level = isa->ferr_level;
    update_ferr(isa);
}

static void piix3_set_input(struct device *dev, unsigned pin, bool level)
{
    struct piix3 *isa = (struct piix3 *)(void *)dev;

    if (pin < SLOT_PINS) {
        uint32_t bit = UINT32_C(1) << pin % 32;
        uint32_t *levels = &isa->slot_levels[pin / 32];
        *levels = level ? *levels | bit : *levels & ~bit;
        piix3_update(isa, ROUTABLE_IRQS);
        update_pirqs(isa);
    } else if (pin < SLOT_PINS + ISA_LINES) {
        uint32_t bit = UINT32_C(1) << (pin - SLOT_PINS);
        isa->isa_levels = (uint16_t)(level ? isa->isa_levels | bit : isa->isa_levels & ~bit);
        piix3_update(isa, bit);
    } else if (pin == PIN_FERR) {
        set_ferr(isa, level);
    } else if (pin >= PIN_HPET && pin < PIN_HPET_LEGACY) {
        uint8_t bit = (uint8_t)(1u << (pin - PIN_HPET));
        isa->hpet_levels = (uint8_t)(level ? isa->hpet_levels | bit : isa->hpet_levels & ~bit);
        piix3_update(isa, 0x101);
    } else if (pin == PIN_HPET_LEGACY) {
        isa->is_hpet_legacy = level;
        piix3_update(isa, 0x101);
    }
}

static void piix3_config_written(struct device *dev, unsigned offset, unsigned size)
{
    (void)offset;
    (void)size;
    piix3_update((struct piix3 *)(void *)dev, ROUTABLE_IRQS);
}

static bool piix3_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct piix3 *isa = (struct piix3 *)(void *)dev;
    struct pci_function *pci = &isa->pci;

    (void)properties;
    (void)err;
    pci_init(pci, dev, 0x8086, 0x7000, 0x060100, 0);
    pci->config[0x0e] = 0x80; /* multi-function */
    store_le16(&pci->writable[4], 0x0108);
    pci->config_written = piix3_config_written;
    for (size_t i = 0; i < sizeof kept_registers / sizeof kept_registers[0]; i++) {
        pci->writable[kept_registers[i].offset] = kept_registers[i].writable;
    }
    return true;
}

/* Input levels are their sources' and stay. */
static void piix3_reset(struct device *dev)
{
    struct piix3 *isa = (struct piix3 *)(void *)dev;

    pci_reset(&isa->pci);
    store_le16(&isa->pci.config[4], 0x0007); /* ports, memory and bus master hardwired on */
    store_le16(&isa->pci.config[6], 0x0200);
    for (size_t i = 0; i < sizeof kept_registers / sizeof kept_registers[0]; i++) {
        isa->pci.config[kept_registers[i].offset] = kept_registers[i].reset;
    }
    isa->has_ferr_irq = isa->ignne_level = false;
    piix3_update(isa, 0xffff);
    update_pirqs(isa);
    update_ferr(isa);
}

static const struct pin_group piix3_inputs[] = {
    { "pirq", 0, SLOT_PINS },
    { "isa", SLOT_PINS, ISA_LINES },
    { "ferr", PIN_FERR, 0 },
    { "hpet", PIN_HPET, 2 },
    { "hpet_legacy", PIN_HPET_LEGACY, 0 },
    { NULL, 0, 0 },
};
static const struct output piix3_outputs[] = {
    { "irq", offsetof(struct piix3, irq), ISA_LINES },
    { "apic", offsetof(struct piix3, apic), ISA_LINES + PIRQ_LINES },
    { "ignne", offsetof(struct piix3, ignne), 0 },
    { NULL, 0, 0 },
};
static const struct port_ops piix3_port_ops = { piix3_read, piix3_write, 1 };

const struct device_class piix3_class = {
    .name = "piix3",
    .doc = "PCI to ISA bridge, interrupt routing",
    .size = sizeof(struct piix3),
    .fields = piix3_fields,
    .inputs = piix3_inputs,
    .outputs = piix3_outputs,
    .port_ops = &piix3_port_ops,
    .init = piix3_init,
    .reset = piix3_reset,
    .set_input = piix3_set_input,
};
