/* ne2000.c - the NE2000 network card, for the ISA bus (Novell NE2000, 1989, by its drivers and the DP8390D's datasheet) and for
 * PCI (Realtek RTL8029AS, datasheet of January 1997).
 *
 * Both are a DP8390 with packet memory (dp8390.c) at 32 ports: 16 registers, the data port at 10h, reset at 18h.
 * Not implemented: plug and play of the RTL8019, flash and EEPROM writes, the remote boot ROM of the ISA card. */
#include "devices/dp8390.h"

enum { BAR_PORTS = 0 };

/* ---- ISA ---- */

struct ne2000 {
    struct device dev;
    struct irq irq;
    struct dp8390 core;
};

#define S struct ne2000
static const struct field ne2000_fields[] = {
    DEVICE_FIELDS(S),
    WIRED(S, irq, "the IRQ line that the card's jumpers choose"),
    FIELD_STRUCT(S, core, struct dp8390, dp8390_fields, "network interface controller"),
    FIELD_END,
};
#undef S

static const struct output ne2000_outputs[] = {{"irq", offsetof(struct ne2000, irq), 0}, {NULL, 0, 0}};

static uint32_t ne2000_read(void *owner, unsigned reg, unsigned size)
{
    return dp8390_read(&((struct ne2000 *)owner)->core, reg % DP8390_PORTS, size);
}

static void ne2000_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    dp8390_write(&((struct ne2000 *)owner)->core, reg % DP8390_PORTS, size, value);
}

static const struct port_ops ne2000_port_ops = {.read = ne2000_read, .write = ne2000_write, .max_size = 2};

static void ne2000_update(struct device *dev, bool level)
{
    irq_set(&((struct ne2000 *)(void *)dev)->irq, level);
}

static bool ne2000_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct ne2000 *card = (struct ne2000 *)(void *)dev;

    card->core.update = ne2000_update;
    return dp8390_init(&card->core, dev, properties, err);
}

static void ne2000_reset(struct device *dev)
{
    dp8390_reset(&((struct ne2000 *)(void *)dev)->core);
}

static void ne2000_set_input(struct device *dev, unsigned pin, bool level)
{
    struct ne2000 *card = (struct ne2000 *)(void *)dev;

    if (pin == NIC_PIN_LINK) {
        card->core.is_link_up = level;
    }
}

static bool ne2000_receive(struct device *dev, const uint8_t *frame, size_t size)
{
    return dp8390_receive(&((struct ne2000 *)(void *)dev)->core, frame, size);
}

const struct device_class ne2000_class = {
    .name = "ne2000",
    .doc = "NE2000 network card (ISA)",
    .size = sizeof(struct ne2000),
    .fields = ne2000_fields,
    .inputs = nic_inputs,
    .outputs = ne2000_outputs,
    .port_ops = &ne2000_port_ops,
    .init = ne2000_init,
    .reset = ne2000_reset,
    .set_input = ne2000_set_input,
    .receive = ne2000_receive,
};

/* ---- PCI ---- */

struct rtl8029 {
    struct device dev;
    struct pci_function pci;
    struct region rom;
    struct dp8390 core;
};

#define S struct rtl8029
static const struct field rtl8029_fields[] = {
    DEVICE_FIELDS(S),
    FIELD_PCI(S),
    WIRED(S, rom, "option ROM"),
    FIELD_STRUCT(S, core, struct dp8390, dp8390_fields, "network interface controller"),
    FIELD_END,
};
#undef S

static uint32_t rtl8029_read(void *owner, unsigned reg, unsigned size)
{
    return dp8390_read(&((struct rtl8029 *)owner)->core, reg % DP8390_PORTS, size);
}

static void rtl8029_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    dp8390_write(&((struct rtl8029 *)owner)->core, reg % DP8390_PORTS, size, value);
}

static const struct port_ops rtl8029_port_ops = {.read = rtl8029_read, .write = rtl8029_write, .max_size = 4};

static void rtl8029_update(struct device *dev, bool level)
{
    pci_set_intx(&((struct rtl8029 *)(void *)dev)->pci, level);
}

static bool rtl8029_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct rtl8029 *card = (struct rtl8029 *)(void *)dev;

    pci_init(&card->pci, dev, 0x10ec, 0x8029, 0x020000, 0);
    store_le16(&card->pci.config[0x2c], 0x10ec);
    store_le16(&card->pci.config[0x2e], 0x8029);
    pci_set_interrupt_pin(&card->pci, 1);
    pci_set_port_bar(&card->pci, BAR_PORTS, DP8390_PORTS, &rtl8029_port_ops, 0);
    nic_init_rom(&card->pci, &card->rom, properties);
    card->core.update = rtl8029_update;
    return dp8390_init(&card->core, dev, properties, err);
}

static void rtl8029_reset(struct device *dev)
{
    struct rtl8029 *card = (struct rtl8029 *)(void *)dev;

    pci_reset(&card->pci);
    dp8390_reset(&card->core);
}

static void rtl8029_loaded(struct device *dev)
{
    pci_update_bars(&((struct rtl8029 *)(void *)dev)->pci);
}

static void rtl8029_set_input(struct device *dev, unsigned pin, bool level)
{
    struct rtl8029 *card = (struct rtl8029 *)(void *)dev;

    if (pin == NIC_PIN_LINK) {
        card->core.is_link_up = level;
    }
}

static bool rtl8029_receive(struct device *dev, const uint8_t *frame, size_t size)
{
    return dp8390_receive(&((struct rtl8029 *)(void *)dev)->core, frame, size);
}

const struct device_class rtl8029_class = {
    .name = "rtl8029",
    .doc = "NE2000 network card (PCI)",
    .size = sizeof(struct rtl8029),
    .fields = rtl8029_fields,
    .inputs = nic_inputs,
    .port_ops = &rtl8029_port_ops,
    .init = rtl8029_init,
    .reset = rtl8029_reset,
    .loaded = rtl8029_loaded,
    .set_input = rtl8029_set_input,
    .receive = rtl8029_receive,
};
