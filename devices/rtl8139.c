/* rtl8139.c - Realtek RTL8139C and RTL8139C+ Fast Ethernet controllers: registers, timer, EEPROM, interrupts.
 *
 * RTL8139C(L) datasheet 1.4 (2002), RTL8139C(L)+ datasheet 1.6 (2003). The link is 100 Mb/s, full duplex, and up with the cable;
 * frames take no time on the wire. In loopback the C+ list uses the scratch buffer that the frame comes from: see receive_list.
 * Not implemented: early receive and transmit, flow control, wake-up, CardBus function registers, boot flash writes, power
 * management; counters of errors on the wire stay 0.
 *
 * Property "plus" (number): 1 is an RTL8139C+ (revision 20h), 0 an RTL8139C (revision 10h). */
#include "devices/rtl8139.h"

#include <stdlib.h>
#include <string.h>

enum { BAR_PORTS = 0, BAR_MEMORY = 1 };

enum {
    EEM_MASK = 0xc0,
    EEM_LOAD = 0x40,
    EEM_PROGRAM = 0x80,
    EEM_CONFIG = 0xc0,
    EE_CS = 0x08,
    EE_SK = 0x04,
    EE_DI = 0x02,
    EE_DO = 0x01,

    TPPOLL_HIGH = 0x80,
    TPPOLL_NORMAL = 0x40,
    TPPOLL_SWINT = 0x01,
    ISR_SWINT = 0x0100,
    DTCCR_DUMP = 0x08,
    DTCCR_BYTES = 64,
    TCR_WRITABLE = 0x03ff07f0 /* without the version */
};

/* The timer runs with the PCI clock, 33 MHz. */
#define TICKS UINT64_C(33)
#define TICKS_NS UINT64_C(1000)

/* ---- interrupts ---- */

static void update_interrupt(struct rtl8139 *nic)
{
    pci_set_intx(&nic->pci, (rtl8139_word(nic, ISR) & rtl8139_word(nic, IMR)) != 0);
}

void rtl8139_interrupt(struct rtl8139 *nic, unsigned causes)
{
    store_le16(&nic->regs[ISR], (uint16_t)(rtl8139_word(nic, ISR) | causes));
    update_interrupt(nic);
}

/* ---- timer ---- */

static uint32_t timer_count(const struct rtl8139 *nic)
{
    return (uint32_t)mul_div_u64(clock_now(nic->dev.clock) - nic->timer_base_ns, TICKS, TICKS_NS);
}

/* The interrupt comes when TCTR equals TIMERINT, 0 being never (5.19); that is again after 2^32 ticks. */
static void arm_timer(struct rtl8139 *nic)
{
    uint32_t target = rtl8139_long(nic, TIMERINT);
    uint32_t left = target - timer_count(nic);

    if (target == 0) {
        event_cancel(&nic->timer);
        return;
    }
    event_at(&nic->timer, clock_now(nic->dev.clock) + (left != 0 ? left : UINT64_C(1) << 32) * TICKS_NS / TICKS + 1);
}

static void timer_fires(void *owner)
{
    struct rtl8139 *nic = owner;

    rtl8139_interrupt(nic, ISR_TIMEOUT);
    arm_timer(nic);
}

/* ---- EEPROM ---- */

static void load_eeprom(struct rtl8139 *nic)
{
    static const uint16_t head[6] = {0x8129, 0x10ec, 0x8139, 0x10ec, 0x8139, 0x4020};

    memset(nic->eeprom.words, 0, sizeof nic->eeprom.words);
    memcpy(nic->eeprom.words, head, sizeof head);
    nic->eeprom.words[6] = 0xe512;
    for (unsigned n = 0; n < NIC_ADDRESS / 2; n++) {
        nic->eeprom.words[7 + n] = load_le16(&nic->mac[2 * n]);
    }
}

static void write_9346(struct rtl8139 *nic, uint8_t value)
{
    if ((value & EEM_MASK) == EEM_LOAD) { /* auto-load: the address comes from the EEPROM again; then normal mode */
        for (unsigned n = 0; n < NIC_ADDRESS / 2; n++) {
            store_le16(&nic->regs[IDR0 + 2 * n], at93c46_word(&nic->eeprom, 7 + n));
        }
        value = 0;
    }
    if ((value & EEM_MASK) == EEM_PROGRAM) {
        at93c46_set(&nic->eeprom, (value & EE_CS) != 0, (value & EE_SK) != 0, (value & EE_DI) != 0);
    }
    nic->regs[CR9346] = value & (EEM_MASK | EE_CS | EE_SK | EE_DI);
}

/* ---- reset ---- */

/* CR.RST: transmitter, receiver and FIFOs; addresses and configuration stay (5.7). */
static void soft_reset(struct rtl8139 *nic)
{
    memset(&nic->regs[TSD0], 0, 32);
    for (unsigned n = 0; n < 4; n++) {
        store_le32(&nic->regs[TSD0 + 4 * n], 0x2000); /* OWN: nothing to send */
    }
    nic->regs[CR] = CR_BUFE;
    store_le16(&nic->regs[CAPR], 0xfff0);
    store_le16(&nic->regs[CBR], 0);
    store_le16(&nic->regs[IMR], 0);
    store_le16(&nic->regs[ISR], 0);
    store_le32(&nic->regs[TCR], nic->is_plus ? 0x74800000 : 0x74000000);
    store_le32(&nic->regs[RCR], 0);
    store_le32(&nic->regs[RBSTART], 0);
    store_le32(&nic->regs[TIMERINT], 0);
    store_le16(&nic->regs[CPCR], 0);
    nic->tx_descriptor[0] = nic->tx_descriptor[1] = nic->rx_descriptor = 0;
    nic->timer_base_ns = clock_now(nic->dev.clock);
    event_cancel(&nic->timer);
    event_cancel(&nic->tx_more);
    update_interrupt(nic);
}

static void rtl8139_reset(struct device *dev)
{
    struct rtl8139 *nic = (struct rtl8139 *)(void *)dev;

    pci_reset(&nic->pci);
    memset(nic->regs, 0, sizeof nic->regs);
    memset(nic->tally, 0, sizeof nic->tally);
    at93c46_reset(&nic->eeprom);
    write_9346(nic, EEM_LOAD);
    nic->regs[CONFIG1] = 0x0c; /* memory and I/O are mapped */
    nic->regs[CONFIG3] = 0x01;
    store_le16(&nic->regs[BMCR], 0x3100); /* 100 Mb/s, auto-negotiation, full duplex */
    store_le16(&nic->regs[ANAR], 0x05e1);
    soft_reset(nic);
    nic->timer_base_ns = 0;
}

/* ---- registers ---- */

static uint8_t tsad_summary(const struct rtl8139 *nic, unsigned half)
{
    unsigned low = 0, high = 0;

    for (unsigned n = 0; n < 4; n++) {
        uint32_t tsd = rtl8139_long(nic, TSD0 + 4 * n);
        low |= (tsd >> 13 & 1) << n | (tsd >> 30 & 1) << (n + 4);  /* OWN, TABT */
        high |= (tsd >> 14 & 1) << n | (tsd >> 15 & 1) << (n + 4); /* TUN, TOK */
    }
    return (uint8_t)(half == 0 ? low : high);
}

static bool is_list_mode(const struct rtl8139 *nic)
{
    return nic->is_plus && (rtl8139_word(nic, CPCR) & CPCR_TX) != 0;
}

static uint16_t link_word(const struct rtl8139 *nic, unsigned reg)
{
    switch (reg) {
    case BMSR: return nic->is_link_up ? 0x782d : 0x7809;
    case ANLPAR: return nic->is_link_up ? 0x45e1 : 0;
    default: return nic->is_link_up ? 0x0001 : 0; /* ANER: the partner negotiates */
    }
}

static uint8_t read_byte(const struct rtl8139 *nic, unsigned reg)
{
    switch (reg) {
    case TCTR:
    case TCTR + 1:
    case TCTR + 2:
    case TCTR + 3: return (uint8_t)(timer_count(nic) >> 8 * (reg - TCTR));
    case CR9346: return (uint8_t)(nic->regs[CR9346] | (nic->eeprom.data_out ? EE_DO : 0));
    case MSR: return nic->is_link_up ? 0x00 : 0x04; /* LINKB; 100 Mb/s */
    case TSAD:
    case TSAD + 1: return is_list_mode(nic) ? 0 : tsad_summary(nic, reg - TSAD);
    case BMSR:
    case ANLPAR:
    case ANER: return (uint8_t)link_word(nic, reg);
    case BMSR + 1:
    case ANLPAR + 1:
    case ANER + 1: return (uint8_t)(link_word(nic, reg - 1) >> 8);
    case TPPOLL: return 0;
    default: return nic->is_plus || reg < CPCR ? nic->regs[reg] : 0;
    }
}

static uint32_t read_register(void *owner, unsigned reg, unsigned size)
{
    uint32_t value = 0;

    for (unsigned n = 0; n < size && n < 4; n++) {
        value |= (uint32_t)read_byte(owner, (reg + n) % RTL8139_SPAN) << 8 * n;
    }
    return value;
}

static void write_cr(struct rtl8139 *nic, uint8_t value)
{
    uint8_t old = nic->regs[CR];

    if ((value & CR_RST) != 0) {
        soft_reset(nic);
        nic_ready(nic->sink);
        return;
    }
    nic->regs[CR] = (uint8_t)((value & (CR_RE | CR_TE)) | (old & CR_BUFE));
    if ((value & ~old & CR_RE) != 0) {
        store_le16(&nic->regs[CBR], 0);
        nic->regs[CR] |= CR_BUFE;
        nic->rx_descriptor = 0;
    }
    if ((value & ~old & CR_TE) != 0) {
        nic->tx_descriptor[0] = nic->tx_descriptor[1] = 0;
    }
    nic_ready(nic->sink);
}

/* The read pointer moves on; the buffer is empty when it reaches the write pointer. */
static void write_capr(struct rtl8139 *nic, uint16_t value)
{
    uint32_t size = UINT32_C(8192) << (rtl8139_long(nic, RCR) >> 11 & 3);

    store_le16(&nic->regs[CAPR], value);
    if ((value + UINT32_C(16)) % size == rtl8139_word(nic, CBR) % size) {
        nic->regs[CR] |= CR_BUFE;
    }
    nic_ready(nic->sink);
}

/* DTCCR: the tally counters go to memory (C+, 6.3). */
static void dump_tally(struct rtl8139 *nic)
{
    static const uint8_t sizes[RTL8139_COUNTERS] = {8, 8, 8, 4, 2, 2, 4, 4, 8, 8, 4, 2, 2};
    static const uint8_t counters[RTL8139_COUNTERS] = {TALLY_TX, TALLY_RX, 2, 3, 4, 5, 6, 7, TALLY_RX_UNICAST,
                                                       TALLY_RX_BROADCAST, TALLY_RX_MULTICAST, 12, 8};
    uint8_t bytes[DTCCR_BYTES] = {0};
    size_t at = 0;
    uint64_t address = (uint64_t)rtl8139_long(nic, DTCCR + 4) << 32 | (rtl8139_long(nic, DTCCR) & ~UINT32_C(0x3f));

    for (unsigned n = 0; n < RTL8139_COUNTERS; n++) {
        for (unsigned byte = 0; byte < sizes[n]; byte++) {
            bytes[at++] = (uint8_t)(nic->tally[counters[n]] >> 8 * byte);
        }
    }
    if (pci_is_master(&nic->pci)) {
        space_write_bytes(nic->dev.space, address, bytes, sizeof bytes);
    }
    nic->regs[DTCCR] &= (uint8_t)~DTCCR_DUMP;
}

static void write_tsd(struct rtl8139 *nic, unsigned reg, uint32_t value)
{
    if (is_list_mode(nic)) {
        store_le32(&nic->regs[reg], value);
        if (reg == DTCCR && (value & DTCCR_DUMP) != 0) {
            dump_tally(nic);
        }
        return;
    }
    store_le32(&nic->regs[reg], value & 0x003f3fff);
    if ((value & 0x2000) == 0) {
        rtl8139_transmit(nic, (reg - TSD0) / 4);
    }
}

static void write_long(struct rtl8139 *nic, unsigned reg, uint32_t value)
{
    switch (reg) {
    case TCR: store_le32(&nic->regs[TCR], (value & TCR_WRITABLE) | (rtl8139_long(nic, TCR) & 0x7cc00000)); break;
    case RCR:
        store_le32(&nic->regs[RCR], value & 0x0fffffff);
        nic_ready(nic->sink);
        break;
    case TCTR:
        nic->timer_base_ns = clock_now(nic->dev.clock);
        arm_timer(nic);
        break;
    case TIMERINT:
        store_le32(&nic->regs[TIMERINT], value);
        arm_timer(nic);
        break;
    case MPC: store_le32(&nic->regs[MPC], 0); break;
    case TNPDS:
        store_le32(&nic->regs[reg], value);
        nic->tx_descriptor[0] = 0;
        break;
    case THPDS:
        store_le32(&nic->regs[reg], value);
        nic->tx_descriptor[1] = 0;
        break;
    case RDSAR:
        store_le32(&nic->regs[reg], value);
        nic->rx_descriptor = 0;
        nic_ready(nic->sink);
        break;
    default:
        if (reg >= TSD0 && reg < TSAD0) {
            write_tsd(nic, reg, value);
        } else {
            store_le32(&nic->regs[reg], value);
        }
        break;
    }
}

static void write_word(struct rtl8139 *nic, unsigned reg, uint16_t value)
{
    switch (reg) {
    case CAPR: write_capr(nic, value); break;
    case IMR:
        store_le16(&nic->regs[IMR], value);
        update_interrupt(nic);
        nic_ready(nic->sink); /* C+: descriptors come back without a word; drivers enable interrupts afterwards */
        break;
    case ISR:
        if (rtl8139_is_ring_full(nic)) {
            value &= (uint16_t)~ISR_ROK; /* the sender waits, so that no further frame would raise it: see dp8390.c */
        }
        store_le16(&nic->regs[ISR], rtl8139_word(nic, ISR) & (uint16_t)~value);
        update_interrupt(nic);
        nic_ready(nic->sink);
        break;
    case BMCR:
        if ((value & 0x0200) != 0) {
            rtl8139_interrupt(nic, ISR_LINK); /* negotiated again at once */
        }
        store_le16(&nic->regs[BMCR], (value & 0x8000) != 0 ? 0x3100 : value & 0x3100);
        break;
    case CBR:
    case BMSR:
    case ANLPAR:
    case ANER:
    case TSAD: break; /* for reading */
    case CPCR:
        store_le16(&nic->regs[CPCR], nic->is_plus ? value & 0x007b : 0);
        break;
    default: store_le16(&nic->regs[reg], value); break;
    }
}

static void write_byte(struct rtl8139 *nic, unsigned reg, uint8_t value)
{
    switch (reg) {
    case CR: write_cr(nic, value); break;
    case CR9346: write_9346(nic, value); break;
    case CONFIG0:
    case MSR:
    case RERID: break;
    case CONFIG1:
    case CONFIG3:
    case CONFIG4:
    case CONFIG5:
        if ((nic->regs[CR9346] & EEM_MASK) == EEM_CONFIG) {
            nic->regs[reg] = value;
        }
        break;
    case TPPOLL:
        if (nic->is_plus && (value & TPPOLL_SWINT) != 0) {
            rtl8139_interrupt(nic, ISR_SWINT);
        }
        if ((value & TPPOLL_HIGH) != 0 && nic->is_plus) {
            rtl8139_transmit_list(nic, 1);
        }
        if ((value & TPPOLL_NORMAL) != 0 && nic->is_plus) {
            rtl8139_transmit_list(nic, 0);
        }
        break;
    default:
        if (reg < TPPOLL || (reg >= CPCR && reg <= ETTHR)) { /* there is nothing elsewhere: drivers tell chips apart by that */
            nic->regs[reg] = value;
        }
        break;
    }
}

static bool is_long(unsigned reg)
{
    return (reg >= TSD0 && reg < RBSTART + 4) || (reg >= TCR && reg < CR9346) || (reg >= TIMERINT && reg < MSR) ||
           (reg >= RDSAR && reg < RDSAR + 8);
}

static bool is_word(unsigned reg)
{
    return (reg >= CAPR && reg < TCR) || (reg >= TSAD && reg < CSCR) || (reg >= CPCR && reg < CPCR + 2);
}

/* An access is taken apart into the registers it covers; a part of one leaves the rest as it was. */
static void write_register(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct rtl8139 *nic = owner;

    reg %= RTL8139_SPAN;
    for (unsigned done = 0; done < size && reg + done < RTL8139_SPAN;) {
        unsigned at = reg + done, width = is_long(at) ? 4 : is_word(at) ? 2 : 1, start = at & ~(width - 1);
        unsigned piece = start + width - at < size - done ? start + width - at : size - done;
        uint32_t whole = width == 4 ? rtl8139_long(nic, start) : width == 2 ? rtl8139_word(nic, start) : 0;
        if (start == ISR && width == 2) {
            whole = 0; /* ones clear */
        }
        for (unsigned n = 0; n < piece; n++) {
            unsigned shift = 8 * (at - start + n);
            whole = (whole & ~(UINT32_C(0xff) << shift)) | (value >> 8 * (done + n) & 0xff) << shift;
        }
        if (width == 4) {
            write_long(nic, start, whole);
        } else if (width == 2) {
            write_word(nic, start, (uint16_t)whole);
        } else {
            write_byte(nic, start, (uint8_t)whole);
        }
        done += piece;
    }
}

static uint32_t mmio_read(void *owner, uint64_t offset, unsigned size)
{
    return read_register(owner, (unsigned)offset, size);
}

static void mmio_write(void *owner, uint64_t offset, unsigned size, uint32_t value)
{
    write_register(owner, (unsigned)offset, size, value);
}

static const struct port_ops rtl8139_port_ops = {.read = read_register, .write = write_register, .max_size = 4};
static const struct region_ops mmio_ops = {.read = mmio_read, .write = mmio_write, .max_size = 4};

/* ---- class ---- */

#define S struct rtl8139
static const struct field rtl8139_fields[] = {
    DEVICE_FIELDS(S),
    FIELD_PCI(S),
    WIRED(S, sink, "the network"),
    WIRED(S, mmio, "BAR 1"),
    WIRED(S, rom, "option ROM"),
    WIRED(S, scratch, "a frame under construction"),
    WIRED(S, mac, "the address that the EEPROM is made with"),
    WIRED(S, is_plus, "an RTL8139C+"),
    DERIVED(S, is_transmitting, "within an instruction"),
    DERIVED(S, is_receiving, "within an instruction"),
    PAD(S, pad_flags_),
    FIELD_EVENT(S, timer, "TIMERINT"),
    FIELD_EVENT(S, tx_more, "the rest of a list"),
    FIELD(S, timer_base_ns, "when TCTR was 0"),
    FIELD(S, tally, "tally counters"),
    FIELD(S, regs, "registers by offset"),
    FIELD(S, tx_descriptor, "next of the normal and the high priority list"),
    FIELD(S, rx_descriptor, "next of the receive list"),
    FIELD_STRUCT(S, eeprom, struct at93c46, at93c46_fields, "EEPROM"),
    FIELD(S, is_link_up, "the cable is plugged in"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static void transmit_more(void *owner)
{
    rtl8139_transmit_list(owner, 1);
    rtl8139_transmit_list(owner, 0);
}

static bool rtl8139_init(struct device *dev, const struct property *properties, struct error *err)
{
    struct rtl8139 *nic = (struct rtl8139 *)(void *)dev;
    struct pci_function *pci = &nic->pci;
    const struct property *plus = property_find(properties, "plus");

    nic->is_plus = plus == NULL || plus->number != 0;
    pci_init(pci, dev, 0x10ec, 0x8139, 0x020000, nic->is_plus ? 0x20 : 0x10);
    store_le16(&pci->config[0x2c], 0x10ec);
    store_le16(&pci->config[0x2e], 0x8139);
    pci->config[0x3e] = 0x20; /* minimum grant, maximum latency: as in the EEPROM */
    pci->config[0x3f] = 0x40;
    pci_set_interrupt_pin(pci, 1);
    pci_set_port_bar(pci, BAR_PORTS, RTL8139_SPAN, &rtl8139_port_ops, 0);
    nic->mmio = (struct region){.name = dev->name, .kind = REGION_IO, .size = RTL8139_SPAN, .ops = &mmio_ops, .owner = nic};
    pci_set_memory_bar(pci, BAR_MEMORY, &nic->mmio, false);
    nic_init_rom(pci, &nic->rom, properties);
    event_init(&nic->timer, dev->clock, timer_fires, nic);
    event_init(&nic->tx_more, dev->clock, transmit_more, nic);
    nic->scratch = malloc(RTL8139_SCRATCH);
    if (nic->scratch == NULL) {
        return error_set(err, "cannot create %s: out of memory", dev->name);
    }
    if (!nic_init(dev, properties, &nic->sink, nic->mac, err)) {
        return false;
    }
    load_eeprom(nic);
    return true;
}

static void rtl8139_destroy(struct device *dev)
{
    free(((struct rtl8139 *)(void *)dev)->scratch);
}

static void rtl8139_loaded(struct device *dev)
{
    struct rtl8139 *nic = (struct rtl8139 *)(void *)dev;

    nic->is_transmitting = nic->is_receiving = false;
    nic->tx_descriptor[0] %= 64;
    nic->tx_descriptor[1] %= 64;
    nic->rx_descriptor %= 64;
    pci_update_bars(&nic->pci);
}

static void rtl8139_set_input(struct device *dev, unsigned pin, bool level)
{
    struct rtl8139 *nic = (struct rtl8139 *)(void *)dev;

    if (pin == NIC_PIN_LINK && nic->is_link_up != level) {
        nic->is_link_up = level;
        rtl8139_interrupt(nic, ISR_LINK);
    }
}

static bool receive(struct device *dev, const uint8_t *frame, size_t size)
{
    return rtl8139_receive((struct rtl8139 *)(void *)dev, frame, size);
}

const struct device_class rtl8139_class = {
    .name = "rtl8139",
    .doc = "Realtek RTL8139 fast Ethernet card",
    .size = sizeof(struct rtl8139),
    .fields = rtl8139_fields,
    .inputs = nic_inputs,
    .port_ops = &rtl8139_port_ops,
    .region_ops = &mmio_ops,
    .init = rtl8139_init,
    .reset = rtl8139_reset,
    .loaded = rtl8139_loaded,
    .set_input = rtl8139_set_input,
    .destroy = rtl8139_destroy,
    .receive = receive,
};
