/* dp8390.c - National Semiconductor DP8390D/NS32490D Network Interface Controller (July 1995), as NE2000 boards use it: 16 KiB
 * of packet memory at 4000h, the station address PROM at 0, remote DMA through a data port.
 *
 * The remote DMA address wraps from PSTOP to PSTART while it reads the ring. Frames are transmitted as soon as they are
 * told, and take no time on the wire; there are no collisions. A frame that does not fit into the ring is refused, so that
 * the sender waits: the overflow interrupt does not occur.
 * Not implemented: Send Packet command, byte order select, the FIFO register and what loopback leaves in it; the counters of
 * the network's errors stay 0. */
#include "devices/dp8390.h"

#include <string.h>

enum {
    CR_STP = 0x01, /* stop */
    CR_STA = 0x02, /* start */
    CR_TXP = 0x04, /* transmit packet */
    CR_RD0 = 0x08, /* remote read */
    CR_RD1 = 0x10, /* remote write */
    CR_RD2 = 0x20, /* abort or complete remote DMA */
    CR_PAGE_SHIFT = 6,

    ISR_PRX = 0x01, /* packet received */
    ISR_PTX = 0x02, /* packet transmitted */
    ISR_RDC = 0x40, /* remote DMA complete */
    ISR_RST = 0x80, /* in reset */

    DCR_WTS = 0x01, /* word transfers */

    TCR_LOOPBACK = 0x06,

    TSR_PTX = 0x01,

    RCR_AR = 0x02,  /* accept runts */
    RCR_AB = 0x04,  /* accept broadcast */
    RCR_AM = 0x08,  /* accept multicast */
    RCR_PRO = 0x10, /* accept all physical addresses */
    RCR_MON = 0x20, /* monitor: nothing is kept */

    RSR_PRX = 0x01,
    RSR_PHY = 0x20, /* group address */
    RSR_DIS = 0x40, /* receiver disabled */

    RING_HEADER = 4,
    RING_PAGE = 256,

    FRAME_NS = 67200 /* 64 bytes, preamble and gap at 10 Mb/s */
};

#define S struct dp8390
const struct field dp8390_fields[] = {
    WIRED(S, device, "the board"),
    WIRED(S, sink, "the network"),
    WIRED(S, update, "its interrupt wire"),
    WIRED(S, prom, "station address, each byte twice"),
    FIELD_EVENT(S, remind, "the ring was left full"),
    FIELD(S, remote_address, "CRDA"),
    FIELD(S, remote_count, "RBCR, counted down"),
    FIELD(S, remote_start, "RSAR"),
    FIELD(S, transmit_count, "TBCR"),
    FIELD(S, command, "CR"),
    FIELD(S, page_start, "PSTART"),
    FIELD(S, page_stop, "PSTOP"),
    FIELD(S, boundary, "BNRY"),
    FIELD(S, current, "CURR"),
    FIELD(S, transmit_page, "TPSR"),
    FIELD(S, transmit_status, "TSR"),
    FIELD(S, receive_status, "RSR"),
    FIELD(S, interrupt_status, "ISR"),
    FIELD(S, interrupt_mask, "IMR"),
    FIELD(S, data_configuration, "DCR"),
    FIELD(S, transmit_configuration, "TCR"),
    FIELD(S, receive_configuration, "RCR"),
    FIELD(S, collisions, "NCR"),
    FIELD(S, counters, "CNTR0 to CNTR2"),
    FIELD(S, address, "PAR0 to PAR5"),
    FIELD(S, multicast, "MAR0 to MAR7"),
    FIELD(S, is_link_up, "the cable is plugged in"),
    FIELD(S, ram, "packet memory"),
    PAD(S, pad_),
    FIELD_END,
};
#undef S

static void update_interrupt(struct dp8390 *chip)
{
    chip->update(chip->device, (chip->interrupt_status & chip->interrupt_mask & 0x7f) != 0);
}

/* ---- memory ---- */

/* Byte of the board's address space: PROM, packet memory, or nothing. */
static uint8_t *memory_at(struct dp8390 *chip, uint16_t address)
{
    if (address >= DP8390_RAM && address < DP8390_RAM + DP8390_RAM_SIZE) {
        return &chip->ram[address - DP8390_RAM];
    }
    return NULL;
}

static uint8_t memory_read(struct dp8390 *chip, uint16_t address)
{
    const uint8_t *at = memory_at(chip, address);

    return at != NULL ? *at : address < DP8390_PROM ? chip->prom[address] : 0xff;
}

static void memory_write(struct dp8390 *chip, uint16_t address, uint8_t value)
{
    uint8_t *at = memory_at(chip, address);

    if (at != NULL) {
        *at = value;
    }
}

/* ---- remote DMA ---- */

static void remote_advance(struct dp8390 *chip, unsigned bytes)
{
    chip->remote_address = (uint16_t)(chip->remote_address + bytes);
    if (chip->remote_address == chip->page_stop << 8) {
        chip->remote_address = (uint16_t)(chip->page_start << 8);
    }
    if (chip->remote_count <= bytes) {
        chip->remote_count = 0;
        chip->interrupt_status |= ISR_RDC;
        update_interrupt(chip);
    } else {
        chip->remote_count = (uint16_t)(chip->remote_count - bytes);
    }
}

/* The whole transfer is in packet memory and crosses neither its end nor PSTOP: the usual case, without a look at each byte. */
static uint8_t *plain_word(struct dp8390 *chip, unsigned size)
{
    unsigned address = chip->remote_address;
    unsigned stop = (unsigned)chip->page_stop << 8;

    if (chip->remote_count <= size || address < DP8390_RAM || address + size > DP8390_RAM + DP8390_RAM_SIZE ||
        (address < stop && address + size >= stop)) {
        return NULL;
    }
    chip->remote_address = (uint16_t)(address + size);
    chip->remote_count = (uint16_t)(chip->remote_count - size);
    return &chip->ram[address - DP8390_RAM];
}

/* In word mode each access of the local bus moves two bytes, of which a byte access sees the lower. */
static uint32_t data_read(struct dp8390 *chip, unsigned size)
{
    bool is_wide = (chip->data_configuration & DCR_WTS) != 0;
    uint32_t value = 0;

    if (is_wide && size != 1) {
        const uint8_t *at = plain_word(chip, size);
        if (at != NULL) {
            return size == 2 ? load_le16(at) : load_le32(at);
        }
    }
    for (unsigned n = 0; n < size; n += is_wide ? 2 : 1) {
        uint32_t word = memory_read(chip, chip->remote_address);
        if (is_wide) {
            word |= (uint32_t)memory_read(chip, (uint16_t)(chip->remote_address + 1)) << 8;
        }
        value |= word << 8 * n;
        remote_advance(chip, is_wide ? 2 : 1);
    }
    return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

static void data_write(struct dp8390 *chip, unsigned size, uint32_t value)
{
    bool is_wide = (chip->data_configuration & DCR_WTS) != 0;

    if (chip->remote_count == 0) {
        return;
    }
    if (is_wide && size != 1) {
        uint8_t *at = plain_word(chip, size);
        if (at != NULL) {
            if (size == 2) {
                store_le16(at, (uint16_t)value);
            } else {
                store_le32(at, value);
            }
            return;
        }
    }
    for (unsigned n = 0; n < size && chip->remote_count != 0; n += is_wide ? 2 : 1) {
        memory_write(chip, chip->remote_address, (uint8_t)(value >> 8 * n));
        if (is_wide) {
            memory_write(chip, (uint16_t)(chip->remote_address + 1), (uint8_t)(value >> 8 * n >> 8));
        }
        remote_advance(chip, is_wide ? 2 : 1);
    }
}

/* ---- receiving ---- */

static bool is_running(const struct dp8390 *chip)
{
    return (chip->command & (CR_STP | CR_STA)) == CR_STA && chip->page_start < chip->page_stop;
}

static bool is_wanted(const struct dp8390 *chip, const uint8_t *destination)
{
    uint8_t accept = chip->receive_configuration;

    if (nic_is_broadcast(destination)) {
        return (accept & RCR_AB) != 0;
    }
    if (nic_is_group(destination)) {
        unsigned index = nic_multicast_index(destination);
        return (accept & RCR_AM) != 0 && (chip->multicast[index / 8] >> index % 8 & 1) != 0;
    }
    return (accept & RCR_PRO) != 0 || memcmp(destination, chip->address, NIC_ADDRESS) == 0;
}

/* Whole pages from CURR up to, but not into, the page of BNRY. */
static unsigned free_pages(const struct dp8390 *chip)
{
    unsigned size = (unsigned)chip->page_stop - chip->page_start;

    if (chip->current == chip->boundary) {
        return size;
    }
    return (size + chip->boundary - chip->current) % size;
}

/* Copies to the ring, from `page` on and round from PSTOP to PSTART. */
static void ring_write(struct dp8390 *chip, uint16_t *address, const uint8_t *bytes, size_t size)
{
    while (size != 0) {
        unsigned stop = (unsigned)chip->page_stop << 8;
        size_t piece = stop - *address;
        uint8_t *at = memory_at(chip, *address);
        piece = piece < size ? piece : size;
        if (at != NULL) {
            size_t room = (size_t)(chip->ram + DP8390_RAM_SIZE - at);
            memcpy(at, bytes, piece < room ? piece : room);
        }
        *address = (uint16_t)(*address + piece);
        if (*address == stop) {
            *address = (uint16_t)(chip->page_start << 8);
        }
        bytes += piece;
        size -= piece;
    }
}

bool dp8390_receive(struct dp8390 *chip, const uint8_t *frame, size_t size)
{
    uint8_t header[RING_HEADER], fcs[NIC_FCS];

    if (!chip->is_link_up || !is_running(chip) || size > NIC_FRAME_MAX + 4 || !is_wanted(chip, frame) ||
        (chip->receive_configuration & RCR_MON) != 0 || (chip->transmit_configuration & TCR_LOOPBACK) != 0) {
        return true;
    }
    if (chip->current < chip->page_start || chip->current >= chip->page_stop || chip->boundary < chip->page_start ||
        chip->boundary >= chip->page_stop) {
        return true; /* no ring */
    }
    unsigned pages = (unsigned)(RING_HEADER + size + NIC_FCS + RING_PAGE - 1) / RING_PAGE;
    unsigned length = (unsigned)chip->page_stop - chip->page_start;
    if (pages >= length) {
        return true; /* will never fit */
    }
    if (pages >= free_pages(chip)) {
        return false;
    }
    unsigned next = chip->current + pages;
    if (next >= chip->page_stop) {
        next -= length;
    }
    chip->receive_status = (uint8_t)(RSR_PRX | (nic_is_group(frame) ? RSR_PHY : 0));
    header[0] = chip->receive_status;
    header[1] = (uint8_t)next;
    store_le16(&header[2], (uint16_t)(size + NIC_FCS));
    store_le32(fcs, nic_crc32(0, frame, size));
    uint16_t address = (uint16_t)(chip->current << 8);
    ring_write(chip, &address, header, sizeof header);
    ring_write(chip, &address, frame, size);
    ring_write(chip, &address, fcs, sizeof fcs);
    chip->current = (uint8_t)next;
    chip->interrupt_status |= ISR_PRX;
    update_interrupt(chip);
    return true;
}

/* ---- transmitting ---- */

static void transmit(struct dp8390 *chip)
{
    unsigned start = (unsigned)chip->transmit_page << 8;
    unsigned size = chip->transmit_count;

    /* The address counter of local DMA stays within the board's memory. */
    if (start >= DP8390_RAM && start + size <= DP8390_RAM + DP8390_RAM_SIZE && size >= NIC_HEADER &&
        size <= NIC_FRAME_MAX + 4 && (chip->transmit_configuration & TCR_LOOPBACK) == 0 && chip->is_link_up) {
        nic_send(chip->sink, &chip->ram[start - DP8390_RAM], size);
    }
    chip->command &= (uint8_t)~CR_TXP;
    chip->transmit_status = TSR_PTX;
    chip->interrupt_status |= ISR_PTX;
    update_interrupt(chip);
}

/* ---- registers ---- */

static void write_command(struct dp8390 *chip, uint8_t value)
{
    chip->command = value;
    if ((value & CR_STP) != 0) {
        chip->command &= (uint8_t)~CR_TXP;
        chip->interrupt_status |= ISR_RST;
        return;
    }
    chip->interrupt_status &= (uint8_t)~ISR_RST;
    if ((value & (CR_RD0 | CR_RD1)) != 0 && (value & CR_RD2) == 0) {
        chip->remote_address = chip->remote_start;
        if (chip->remote_count == 0) {
            chip->interrupt_status |= ISR_RDC;
            update_interrupt(chip);
        }
    }
    if ((value & CR_TXP) != 0) {
        transmit(chip);
    }
    nic_ready(chip->sink);
}

static uint8_t read_page_0(const struct dp8390 *chip, unsigned reg)
{
    switch (reg) {
    case 0x1: return (uint8_t)chip->remote_address; /* CLDA: the local address counter is not kept */
    case 0x2: return (uint8_t)(chip->remote_address >> 8);
    case 0x3: return chip->boundary;
    case 0x4: return chip->transmit_status;
    case 0x5: return chip->collisions;
    case 0x7: return chip->interrupt_status;
    case 0x8: return (uint8_t)chip->remote_address;
    case 0x9: return (uint8_t)(chip->remote_address >> 8);
    case 0xa: return 0x50; /* RTL8029: 8029ID0, "P" */
    case 0xb: return 0x43; /* 8029ID1, "C" */
    case 0xc: return chip->receive_status;
    case 0xd:
    case 0xe:
    case 0xf: return chip->counters[reg - 0xd];
    default: return 0;
    }
}

static uint8_t read_page_2(const struct dp8390 *chip, unsigned reg)
{
    switch (reg) {
    case 0x1: return chip->page_start;
    case 0x2: return chip->page_stop;
    case 0x4: return chip->transmit_page;
    case 0xc: return (uint8_t)(chip->receive_configuration | 0xc0);
    case 0xd: return (uint8_t)(chip->transmit_configuration | 0xe0);
    case 0xe: return (uint8_t)(chip->data_configuration | 0x80);
    case 0xf: return (uint8_t)(chip->interrupt_mask | 0x80);
    default: return 0;
    }
}

/* RTL8029AS, page 3: the medium is 10BASE-T, full duplex. The EEPROM cannot be written. */
static uint8_t read_page_3(unsigned reg)
{
    switch (reg) {
    case 0x5: return 0x40; /* CONFIG2: PL1-0 10BASE-T with link test */
    case 0x6: return 0x40; /* CONFIG3: FUDUP */
    default: return 0;
    }
}

static uint8_t register_read(struct dp8390 *chip, unsigned reg)
{
    if (reg == 0) {
        return chip->command;
    }
    switch (chip->command >> CR_PAGE_SHIFT) {
    case 0: return read_page_0(chip, reg);
    case 1: return reg <= NIC_ADDRESS ? chip->address[reg - 1] : reg == 7 ? chip->current : chip->multicast[reg - 8];
    case 2: return read_page_2(chip, reg);
    default: return read_page_3(reg);
    }
}

/* A sender waits for room. On the wire the next frame would come and raise an interrupt, PRX or OVW; as this one does not, PRX
 * rises again when the ring was left full: drivers acknowledge it behind the last frame they mean to take. */
static bool is_full(const struct dp8390 *chip)
{
    enum { FRAME_PAGES = 6 };

    return is_running(chip) && chip->current >= chip->page_start && chip->current < chip->page_stop &&
           chip->boundary >= chip->page_start && chip->boundary < chip->page_stop && free_pages(chip) <= FRAME_PAGES &&
           chip->page_stop - chip->page_start > FRAME_PAGES;
}

static void remind(void *owner)
{
    struct dp8390 *chip = owner;

    if (is_full(chip)) {
        chip->interrupt_status |= ISR_PRX;
        update_interrupt(chip);
    }
}

static void write_page_0(struct dp8390 *chip, unsigned reg, uint8_t value)
{
    switch (reg) {
    case 0x1: chip->page_start = value; break;
    case 0x2: chip->page_stop = value; break;
    case 0x3: chip->boundary = value; nic_ready(chip->sink); break;
    case 0x4: chip->transmit_page = value; break;
    case 0x5: chip->transmit_count = (uint16_t)((chip->transmit_count & 0xff00) | value); break;
    case 0x6: chip->transmit_count = (uint16_t)((chip->transmit_count & 0xff) | value << 8); break;
    case 0x7:
        chip->interrupt_status &= (uint8_t)~(value & 0x7f);
        if ((value & ISR_PRX) != 0 && is_full(chip)) {
            event_at(&chip->remind, clock_now(chip->device->clock) + FRAME_NS);
        }
        update_interrupt(chip);
        break;
    case 0x8: chip->remote_start = (uint16_t)((chip->remote_start & 0xff00) | value); break;
    case 0x9: chip->remote_start = (uint16_t)((chip->remote_start & 0xff) | value << 8); break;
    case 0xa: chip->remote_count = (uint16_t)((chip->remote_count & 0xff00) | value); break;
    case 0xb: chip->remote_count = (uint16_t)((chip->remote_count & 0xff) | value << 8); break;
    case 0xc: chip->receive_configuration = value & 0x3f; break;
    case 0xd: chip->transmit_configuration = value & 0x1f; nic_ready(chip->sink); break;
    case 0xe: chip->data_configuration = value & 0x7f; break;
    case 0xf:
        chip->interrupt_mask = value & 0x7f;
        update_interrupt(chip);
        break;
    default: break;
    }
}

static void register_write(struct dp8390 *chip, unsigned reg, uint8_t value)
{
    unsigned page = chip->command >> CR_PAGE_SHIFT;

    if (reg == 0) {
        write_command(chip, value);
    } else if (page == 0) {
        write_page_0(chip, reg, value);
    } else if (page == 1 && reg <= NIC_ADDRESS) {
        chip->address[reg - 1] = value;
    } else if (page == 1 && reg == 7) {
        chip->current = value;
    } else if (page == 1) {
        chip->multicast[reg - 8] = value;
    } /* page 2 is for reading; of page 3 the drivers write nothing that matters here */
}

uint32_t dp8390_read(struct dp8390 *chip, unsigned reg, unsigned size)
{
    uint32_t value = 0;

    if (reg >= DP8390_DATA && reg < DP8390_RESET) {
        return data_read(chip, size);
    }
    for (unsigned n = 0; n < size && n < 4; n++) {
        uint8_t byte = 0;
        if (reg + n < DP8390_REGISTERS) {
            byte = register_read(chip, reg + n);
        } else if (reg + n >= DP8390_RESET) {
            dp8390_reset(chip);
        }
        value |= (uint32_t)byte << 8 * n;
    }
    return value;
}

void dp8390_write(struct dp8390 *chip, unsigned reg, unsigned size, uint32_t value)
{
    if (reg >= DP8390_DATA && reg < DP8390_RESET) {
        data_write(chip, size, value);
        return;
    }
    for (unsigned n = 0; n < size && n < 4 && reg + n < DP8390_REGISTERS; n++) {
        register_write(chip, reg + n, (uint8_t)(value >> 8 * n));
    } /* a write to the reset port ends the reset that the read began */
}

/* ---- creation ---- */

bool dp8390_init(struct dp8390 *chip, struct device *dev, const struct property *properties, struct error *err)
{
    uint8_t mac[NIC_ADDRESS];

    chip->device = dev;
    event_init(&chip->remind, dev->clock, remind, chip);
    if (!nic_init(dev, properties, &chip->sink, mac, err)) {
        return false;
    }
    for (unsigned n = 0; n < DP8390_PROM / 2; n++) {
        uint8_t byte = n < NIC_ADDRESS ? mac[n] : n >= 14 ? 0x57 : 0; /* "WW" marks a board of 16 bits */
        chip->prom[2 * n] = chip->prom[2 * n + 1] = byte;
    }
    return true;
}

/* RESET# stops the chip; packet memory and most registers keep what they had (datasheet, 7.0 "Initialization"). Ours start
 * from zero, so that equal runs are equal; the station address is the PROM's, as boards that boot from ROM expect. */
void dp8390_reset(struct dp8390 *chip)
{
    event_cancel(&chip->remind);
    chip->remote_address = chip->remote_count = chip->remote_start = chip->transmit_count = 0;
    chip->command = CR_STP | CR_RD2;
    chip->page_start = chip->page_stop = chip->boundary = chip->current = chip->transmit_page = 0;
    chip->transmit_status = chip->receive_status = 0;
    chip->interrupt_status = ISR_RST;
    chip->interrupt_mask = 0;
    chip->data_configuration = 0x04;
    chip->transmit_configuration = chip->receive_configuration = chip->collisions = 0;
    memset(chip->counters, 0, sizeof chip->counters);
    memset(chip->multicast, 0, sizeof chip->multicast);
    for (unsigned n = 0; n < NIC_ADDRESS; n++) {
        chip->address[n] = chip->prom[2 * n];
    }
    update_interrupt(chip);
}
