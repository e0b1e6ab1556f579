/* e1000.c - Intel 82540EM Gigabit Ethernet Controller: registers, interrupts, EEPROM, PHY.
 *
 * PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (317453-005), chapters 3, 5, 11 to 13; the PHY
 * is the Marvell 88E1011 inside. The link comes up at once with the cable; frames take no time on the wire.
 *
 * Interrupts: causes in ICR, enabled by IMS; the wire rises no sooner than ITR after it last rose, and TIDV/TADV and
 * RDTR/RADV hold causes back, all in guest time, so that a burst of frames costs the guest one interrupt.
 * Not implemented: TBI and SerDes, flow control frames, wake-up, management (SMBus, ASF), flash, the packet buffer's memory,
 * PCI power management and message signalled interrupts. */
#include "devices/e1000.h"

#include <stdlib.h>
#include <string.h>

enum { BAR_MEMORY = 0, BAR_PORTS = 2, IO_ADDRESS = 0, IO_DATA = 4, ITR_UNIT_NS = 256 };

enum {
    EECD_SK = 0x01,
    EECD_CS = 0x02,
    EECD_DI = 0x04,
    EECD_DO = 0x08,
    EECD_REQ = 0x40,
    EECD_GNT = 0x80,
    EECD_PRES = 0x100,

    EERD_START = 0x01,
    EERD_DONE = 0x10,

    MDIC_WRITE = 1,
    MDIC_READ = 2,
    MDIC_READY = 1 << 28,
    MDIC_INTERRUPT = 1 << 29,
    MDIC_ERROR = 1 << 30,

    PHY_ADDRESS = 1,
    PHY_CONTROL = 0,
    PHY_STATUS = 1,
    PHY_ID1 = 2,
    PHY_ID2 = 3,
    PHY_ADVERTISE = 4,
    PHY_PARTNER = 5,
    PHY_EXPANSION = 6,
    PHY_1000_CONTROL = 9,
    PHY_1000_STATUS = 10,
    PHY_EXTENDED_STATUS = 15,
    PHY_SPECIFIC_STATUS = 17,
    PHY_CONTROL_RESET = 0x8000,
    PHY_CONTROL_RESTART = 0x0200,
    PHY_STATUS_LINK = 0x0004,
    PHY_STATUS_DONE = 0x0020, /* auto-negotiation */
};

/* ---- counters (13.7) ---- */

void e1000_count(struct e1000 *nic, unsigned offset)
{
    if (REG(nic, offset) != UINT32_MAX) {
        REG(nic, offset)++;
    }
}

void e1000_count_octets(struct e1000 *nic, unsigned offset, uint32_t amount)
{
    uint64_t value = (uint64_t)REG(nic, offset + 4) << 32 | REG(nic, offset);

    value = value > UINT64_MAX - amount ? UINT64_MAX : value + amount;
    REG(nic, offset) = (uint32_t)value;
    REG(nic, offset + 4) = (uint32_t)(value >> 32);
}

void e1000_count_size(struct e1000 *nic, unsigned offset, size_t size)
{
    static const uint16_t limits[5] = {64, 127, 255, 511, 1023};
    unsigned n = 0;

    while (n < 5 && size > limits[n]) {
        n++;
    }
    e1000_count(nic, offset + 4 * n);
}

/* ---- interrupts ---- */

static void update_interrupt(struct e1000 *nic)
{
    bool is_wanted = (REG(nic, ICR) & REG(nic, IMS)) != 0;
    uint64_t now = clock_now(nic->dev.clock);
    uint64_t earliest = nic->raised_ns + (uint64_t)(REG(nic, ITR) & 0xffff) * ITR_UNIT_NS;

    if (!is_wanted) {
        event_cancel(&nic->throttle);
        nic->is_raised = false;
    } else if (!nic->is_raised && (nic->raised_ns == 0 || now >= earliest)) {
        event_cancel(&nic->throttle);
        nic->is_raised = true;
        nic->raised_ns = now;
    } else if (!nic->is_raised) {
        event_at(&nic->throttle, earliest);
    }
    pci_set_intx(&nic->pci, nic->is_raised);
}

void e1000_interrupt(struct e1000 *nic, uint32_t causes)
{
    REG(nic, ICR) |= causes;
    update_interrupt(nic);
}

static void throttle_over(void *owner)
{
    update_interrupt(owner);
}

static void tx_delay_over(void *owner)
{
    struct e1000 *nic = owner;

    nic->tx_absolute_ns = CLOCK_NEVER;
    e1000_interrupt(nic, ICR_TXDW);
}

static void rx_delay_over(void *owner)
{
    struct e1000 *nic = owner;

    nic->rx_absolute_ns = CLOCK_NEVER;
    e1000_interrupt(nic, ICR_RXT0);
}

static void transmit_more(void *owner)
{
    e1000_transmit(owner);
}

/* ---- EEPROM (5.6) ---- */

static void load_eeprom(struct e1000 *nic)
{
    static const struct {
        uint8_t word;
        uint16_t value;
    } contents[] = {
        {0x04, 0xffff}, /* signature of the OEM */
        {0x08, 0x3030}, {0x09, 0x3030}, /* board number */
        {0x0a, 0x440b}, /* signature; load ids; full duplex */
        {0x0b, 0x001e}, {0x0c, 0x8086}, /* subsystem */
        {0x0d, 0x100e}, {0x0e, 0x8086}, /* device, vendor */
        {0x0f, 0x3040}, /* no flash; PHY takes part */
        {0x21, 0x0602}, {0x22, 0x0002}, {0x24, 0x1000}, /* defined pins, LEDs as after reset */
    };
    uint16_t sum = 0;

    memset(nic->eeprom.words, 0, sizeof nic->eeprom.words);
    for (unsigned n = 0; n < NIC_ADDRESS / 2; n++) {
        nic->eeprom.words[n] = load_le16(&nic->mac[2 * n]);
    }
    for (unsigned n = 0; n < sizeof contents / sizeof contents[0]; n++) {
        nic->eeprom.words[contents[n].word] = contents[n].value;
    }
    for (unsigned n = 0; n < AT93C46_WORDS - 1; n++) {
        sum = (uint16_t)(sum + nic->eeprom.words[n]);
    }
    nic->eeprom.words[AT93C46_WORDS - 1] = (uint16_t)(0xbaba - sum); /* 5.6.35 */
}

static void write_eecd(struct e1000 *nic, uint32_t value)
{
    at93c46_set(&nic->eeprom, (value & EECD_CS) != 0, (value & EECD_SK) != 0, (value & EECD_DI) != 0);
    REG(nic, EECD) = value & (EECD_SK | EECD_CS | EECD_DI | EECD_REQ | 0x30);
}

static uint32_t read_eecd(const struct e1000 *nic)
{
    uint32_t value = nic->regs[EECD / 4];

    return value | EECD_PRES | ((value & EECD_REQ) != 0 ? EECD_GNT : 0) | (nic->eeprom.data_out ? EECD_DO : 0);
}

static void write_eerd(struct e1000 *nic, uint32_t value)
{
    REG(nic, EERD) = value & 0xff00;
    if ((value & EERD_START) != 0) {
        REG(nic, EERD) |= EERD_DONE | (uint32_t)at93c46_word(&nic->eeprom, value >> 8 & 0xff) << 16;
    }
}

/* ---- PHY ---- */

static void reset_phy(struct e1000 *nic)
{
    static const struct {
        uint8_t reg;
        uint16_t value;
    } values[] = {
        {PHY_CONTROL, 0x1140},      {PHY_STATUS, 0x7949},    {PHY_ID1, 0x0141},          {PHY_ID2, 0x0c20},
        {PHY_ADVERTISE, 0x0de1},    {PHY_PARTNER, 0xcde1},   {PHY_EXPANSION, 0x000f},    {7, 0x2001},
        {PHY_1000_CONTROL, 0x0e00}, {PHY_1000_STATUS, 0x7c00}, {PHY_EXTENDED_STATUS, 0x3000}, {16, 0x0068},
        {20, 0x0d60},
    };

    memset(nic->phy, 0, sizeof nic->phy);
    for (unsigned n = 0; n < sizeof values / sizeof values[0]; n++) {
        nic->phy[values[n].reg] = values[n].value;
    }
}

static uint16_t read_phy(struct e1000 *nic, unsigned reg)
{
    bool is_up = nic->is_link_up;

    switch (reg) {
    case PHY_STATUS: return (uint16_t)(nic->phy[PHY_STATUS] | (is_up ? PHY_STATUS_LINK | PHY_STATUS_DONE : 0));
    case PHY_PARTNER:
    case PHY_1000_STATUS: return is_up ? nic->phy[reg] : 0;
    case PHY_SPECIFIC_STATUS: return is_up ? 0xac00 : 0; /* 1000 Mb/s, full duplex, resolved, link */
    default: return nic->phy[reg];
    }
}

static void write_phy(struct e1000 *nic, unsigned reg, uint16_t value)
{
    switch (reg) {
    case PHY_CONTROL:
        if ((value & PHY_CONTROL_RESET) != 0) {
            reset_phy(nic);
            return;
        }
        nic->phy[PHY_CONTROL] = value & (uint16_t)~PHY_CONTROL_RESTART;
        if ((value & PHY_CONTROL_RESTART) != 0) {
            e1000_interrupt(nic, ICR_LSC);
        }
        break;
    case PHY_STATUS:
    case PHY_ID1:
    case PHY_ID2:
    case PHY_PARTNER:
    case PHY_EXPANSION:
    case PHY_1000_STATUS:
    case PHY_EXTENDED_STATUS:
    case PHY_SPECIFIC_STATUS: break; /* for reading */
    default: nic->phy[reg] = value; break;
    }
}

static void write_mdic(struct e1000 *nic, uint32_t value)
{
    unsigned reg = value >> 16 & 0x1f, address = value >> 21 & 0x1f, operation = value >> 26 & 3;
    uint32_t result = value & ~UINT32_C(0x50000000);

    if (address != PHY_ADDRESS) {
        result |= MDIC_ERROR;
    } else if (operation == MDIC_READ) {
        result = (result & 0xffff0000) | read_phy(nic, reg);
    } else if (operation == MDIC_WRITE) {
        write_phy(nic, reg, (uint16_t)value);
    } else {
        result |= MDIC_ERROR;
    }
    REG(nic, MDIC) = result | MDIC_READY;
    if ((value & MDIC_INTERRUPT) != 0) {
        e1000_interrupt(nic, ICR_MDAC);
    }
}

/* ---- link and reset ---- */

static void update_link(struct e1000 *nic)
{
    bool is_up = nic->is_link_up;

    REG(nic, STATUS) = STATUS_FD | STATUS_SPEED_1000 | (is_up ? STATUS_LU : 0);
}

/* CTRL.RST: all but PCI configuration, and what the EEPROM gives again. */
static void reset_mac(struct e1000 *nic)
{
    event_cancel(&nic->throttle);
    event_cancel(&nic->tx_delay);
    event_cancel(&nic->rx_delay);
    event_cancel(&nic->tx_more);
    nic->raised_ns = 0;
    nic->tx_absolute_ns = nic->rx_absolute_ns = CLOCK_NEVER;
    memset(nic->regs, 0, sizeof nic->regs);
    memset(&nic->context, 0, sizeof nic->context);
    memset(&nic->tso_context, 0, sizeof nic->tso_context);
    REG(nic, CTRL) = 0x00000201 | CTRL_SLU;
    REG(nic, LEDCTL) = 0x07068302;
    REG(nic, PBA) = 0x00100030;
    REG(nic, TXCW) = 0x0000c000;
    REG(nic, TCTL) = 0;
    REG(nic, TIPG) = 0x00602008;
    REG(nic, RAL) = (uint32_t)at93c46_word(&nic->eeprom, 0) | (uint32_t)at93c46_word(&nic->eeprom, 1) << 16;
    REG(nic, RAH) = at93c46_word(&nic->eeprom, 2) | UINT32_C(0x80000000);
    update_link(nic);
    nic->is_raised = false;
    pci_set_intx(&nic->pci, false);
}

static void write_ctrl(struct e1000 *nic, uint32_t value)
{
    if ((value & CTRL_RST) != 0) {
        reset_mac(nic);
        reset_phy(nic);
        return;
    }
    if ((value & UINT32_C(0x80000000)) != 0) { /* PHY_RST */
        reset_phy(nic);
    }
    REG(nic, CTRL) = value & UINT32_C(0x7bffffff);
}

/* ---- registers ---- */

static bool is_statistic(unsigned offset)
{
    return offset >= STATISTICS && offset < STATISTICS_END;
}

/* Of the two halves of an octet counter, reading the upper clears both. */
static bool is_lower_half(unsigned offset)
{
    return offset == GORCL || offset == GOTCL || offset == TORL || offset == TOTL;
}

static uint32_t read_register(struct e1000 *nic, unsigned offset)
{
    uint32_t value;

    if (offset >= E1000_SPAN) {
        return 0;
    }
    value = REG(nic, offset);
    if (is_statistic(offset)) {
        if (!is_lower_half(offset)) {
            REG(nic, offset) = 0;
        }
        if (is_lower_half(offset - 4)) {
            REG(nic, offset - 4) = 0;
        }
        return value;
    }
    switch (offset) {
    case ICR: /* reading clears it (13.4.17) */
        REG(nic, ICR) = 0;
        update_interrupt(nic);
        return (value & REG(nic, IMS)) != 0 ? value | UINT32_C(0x80000000) : value;
    case EECD: return read_eecd(nic);
    case IMC: return 0;
    case ICS: return 0;
    default: return value;
    }
}

static void write_register(struct e1000 *nic, unsigned offset, uint32_t value)
{
    if (offset >= E1000_SPAN || is_statistic(offset)) {
        return;
    }
    switch (offset) {
    case CTRL:
    case CTRL + 4: write_ctrl(nic, value); break; /* the second is an alias */
    case STATUS: break;
    case EECD: write_eecd(nic, value); break;
    case EERD: write_eerd(nic, value); break;
    case MDIC: write_mdic(nic, value); break;
    case ICR: /* writing ones clears */
        REG(nic, ICR) &= ~value;
        update_interrupt(nic);
        break;
    case ICS: e1000_interrupt(nic, value & 0x1ffff); break;
    case IMS:
        REG(nic, IMS) |= value & 0x1ffff;
        update_interrupt(nic);
        break;
    case IMC:
        REG(nic, IMS) &= ~value;
        update_interrupt(nic);
        break;
    case ITR:
        REG(nic, ITR) = value & 0xffff;
        update_interrupt(nic);
        break;
    case RCTL:
        REG(nic, RCTL) = value;
        nic_ready(nic->sink);
        break;
    case RDT:
        REG(nic, RDT) = value & 0xffff;
        nic_ready(nic->sink);
        break;
    case RDTR: /* FPD: what is delayed comes now */
        REG(nic, RDTR) = value & 0xffff;
        if ((value & UINT32_C(0x80000000)) != 0 && event_is_armed(&nic->rx_delay)) {
            event_cancel(&nic->rx_delay);
            rx_delay_over(nic);
        }
        break;
    case TIDV:
        REG(nic, TIDV) = value & 0xffff;
        if ((value & UINT32_C(0x80000000)) != 0 && event_is_armed(&nic->tx_delay)) {
            event_cancel(&nic->tx_delay);
            tx_delay_over(nic);
        }
        break;
    case RDH:
    case TDH: REG(nic, offset) = value & 0xffff; break;
    case RDLEN:
    case TDLEN: REG(nic, offset) = value & 0xfff80; break;
    case RDBAL:
    case TDBAL: REG(nic, offset) = value & ~UINT32_C(15); break;
    case TCTL:
        REG(nic, TCTL) = value;
        e1000_transmit(nic);
        break;
    case TDT:
        REG(nic, TDT) = value & 0xffff;
        e1000_transmit(nic);
        break;
    default: REG(nic, offset) = value; break;
    }
}

/* Registers are 32 bits wide; narrower accesses see a part of one, and writes of a part keep the rest of it (13.2). */
static uint32_t mmio_read(void *owner, uint64_t offset, unsigned size)
{
    unsigned shift = 8 * ((unsigned)offset & 3);
    uint32_t value = read_register(owner, (unsigned)offset & (E1000_BAR - 4)) >> shift;

    return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

static void mmio_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    struct e1000 *nic = owner;
    unsigned at = (unsigned)offset & (E1000_BAR - 4);

    if (size != 4 && at < E1000_SPAN) {
        unsigned shift = 8 * ((unsigned)offset & 3);
        uint32_t mask = ((1u << 8 * size) - 1) << shift;
        value = (REG(nic, at) & ~mask) | (value << shift & mask);
    }
    write_register(nic, at, value);
}

static const struct region_ops mmio_ops = {.read = mmio_read, .write = mmio_write, .max_size = 4};

/* IOADDR and IODATA (13.3). */
static uint32_t port_read(void *owner, unsigned reg, unsigned size)
{
    struct e1000 *nic = owner;
    uint32_t value = 0;

    if ((reg & ~3u) == IO_ADDRESS) {
        value = nic->io_address;
    } else if (reg == IO_DATA && size == 4) {
        value = read_register(nic, nic->io_address & (E1000_BAR - 4));
    }
    value >>= 8 * (reg & 3);
    return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

static void port_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct e1000 *nic = owner;

    if (size != 4) {
        return; /* only doublewords are allowed */
    }
    if (reg == IO_ADDRESS) {
        nic->io_address = value;
    } else if (reg == IO_DATA) {
        write_register(nic, nic->io_address & (E1000_BAR - 4), value);
    }
}

static const struct port_ops e1000_port_ops = {.read = port_read, .write = port_write, .max_size = 4};

/* ---- class ---- */

#define C struct e1000_context
static const struct field context_fields[] = {
    FIELD(C, ipcss, NULL),
    FIELD(C, ipcso, NULL),
    FIELD(C, tucss, NULL),
    FIELD(C, tucso, NULL),
    FIELD(C, ipcse, NULL),
    FIELD(C, tucse, NULL),
    FIELD(C, payload, "PAYLEN"),
    FIELD(C, mss, NULL),
    FIELD(C, header, "HDRLEN"),
    FIELD(C, command, "TUCMD"),
    FIELD_END,
};
#undef C

#define S struct e1000
static const struct field e1000_fields[] = {
    DEVICE_FIELDS(S),
    FIELD_PCI(S),
    WIRED(S, sink, "the network"),
    WIRED(S, mmio, "BAR 0"),
    WIRED(S, rom, "option ROM"),
    WIRED(S, scratch, "a frame under construction"),
    WIRED(S, mac, "the address that the EEPROM is made with"),
    DERIVED(S, is_transmitting, "within an instruction"),
    DERIVED(S, is_receiving, "within an instruction"),
    FIELD_EVENT(S, throttle, "ITR lets the wire rise"),
    FIELD_EVENT(S, tx_delay, "TIDV"),
    FIELD_EVENT(S, rx_delay, "RDTR"),
    FIELD_EVENT(S, tx_more, "the rest of a long list"),
    FIELD(S, raised_ns, "when the wire last rose"),
    FIELD(S, tx_absolute_ns, "TADV"),
    FIELD(S, rx_absolute_ns, "RADV"),
    FIELD(S, regs, "by offset / 4"),
    FIELD_STRUCT(S, context, struct e1000_context, context_fields, "for plain packets"),
    FIELD_STRUCT(S, tso_context, struct e1000_context, context_fields, "for packets to be segmented"),
    FIELD(S, phy, "PHY registers"),
    FIELD_STRUCT(S, eeprom, struct at93c46, at93c46_fields, "EEPROM"),
    FIELD(S, io_address, "IOADDR"),
    FIELD(S, is_link_up, "the cable is plugged in"),
    FIELD(S, is_raised, "INTA#"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static bool e1000_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct e1000 *nic = (struct e1000 *)(void *)dev;
    struct pci_function *pci = &nic->pci;

    pci_init(pci, dev, 0x8086, 0x100e, 0x020000, 2);
    store_le16(&pci->config[0x2c], 0x8086);
    store_le16(&pci->config[0x2e], 0x001e);
    pci->config[0x3e] = 0xff; /* minimum grant */
    pci_set_interrupt_pin(pci, 1);
    nic->mmio = (struct region){.name = dev->name, .kind = REGION_IO, .size = E1000_BAR, .ops = &mmio_ops, .owner = nic};
    pci_set_memory_bar(pci, BAR_MEMORY, &nic->mmio, false);
    pci_set_port_bar(pci, BAR_PORTS, E1000_PORTS, &e1000_port_ops, 0);
    nic_init_rom(pci, &nic->rom, properties);
    event_init(&nic->throttle, dev->clock, throttle_over, nic);
    event_init(&nic->tx_delay, dev->clock, tx_delay_over, nic);
    event_init(&nic->rx_delay, dev->clock, rx_delay_over, nic);
    event_init(&nic->tx_more, dev->clock, transmit_more, nic);
    nic->scratch = malloc(E1000_SCRATCH);
    if (nic->scratch == NULL) {
        return error_set(err, "cannot create %s: out of memory", dev->name);
    }
    if (!nic_init(dev, properties, &nic->sink, nic->mac, err)) {
        return false;
    }
    load_eeprom(nic);
    return true;
}

static void e1000_destroy(struct device *dev)
{
    free(((struct e1000 *)(void *)dev)->scratch);
}

/* RESET# resets all but the EEPROM's contents. */
static void e1000_reset(struct device *dev)
{
    struct e1000 *nic = (struct e1000 *)(void *)dev;

    pci_reset(&nic->pci);
    at93c46_reset(&nic->eeprom);
    nic->io_address = 0;
    reset_mac(nic);
    reset_phy(nic);
}

static void e1000_loaded(struct device *dev)
{
    struct e1000 *nic = (struct e1000 *)(void *)dev;

    nic->is_transmitting = nic->is_receiving = false;
    pci_update_bars(&nic->pci);
}

static void e1000_set_input(struct device *dev, unsigned pin, bool level)
{
    struct e1000 *nic = (struct e1000 *)(void *)dev;

    if (pin == NIC_PIN_LINK && nic->is_link_up != level) {
        nic->is_link_up = level;
        update_link(nic);
        e1000_interrupt(nic, ICR_LSC);
    }
}

static bool receive(struct device *dev, const uint8_t *frame, size_t size)
{
    return e1000_receive((struct e1000 *)(void *)dev, frame, size);
}

const struct device_class e1000_class = {
    .name = "e1000",
    .doc = "Intel 82540EM gigabit network card",
    .size = sizeof(struct e1000),
    .fields = e1000_fields,
    .inputs = nic_inputs,
    .port_ops = &e1000_port_ops,
    .region_ops = &mmio_ops,
    .init = e1000_init,
    .reset = e1000_reset,
    .loaded = e1000_loaded,
    .set_input = e1000_set_input,
    .destroy = e1000_destroy,
    .receive = receive,
};
