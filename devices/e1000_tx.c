/* e1000_tx.c - transmission: descriptor list, checksums, segmentation (manual, 3.3 to 3.5).
 *
 * A packet is sent once all of its descriptors are in the list. The list belongs to the guest: nothing in it is trusted, at
 * most a full list is looked at, and after PACKETS_MAX packets an event goes on with the rest. */
#include "devices/e1000.h"

#include <string.h>

enum {
    DESCRIPTOR = 16,
    STATUS_OFFSET = 12, /* of the byte that is written back */
    STATUS_DD = 0x01,

    CMD_EOP = 0x01,
    CMD_IC = 0x04,  /* legacy: insert a checksum */
    CMD_TSE = 0x04, /* data: segment */
    CMD_RS = 0x08,
    CMD_DEXT = 0x20,
    CMD_VLE = 0x40,
    CMD_IDE = 0x80,
    TYPE_CONTEXT = 0,
    TYPE_DATA = 1,
    POPTS_IXSM = 0x01,
    POPTS_TXSM = 0x02,
    TUCMD_TCP = 0x01,
    TUCMD_IP = 0x02, /* IPv4 */

    TCP_FLAGS = 13,
    TCP_FIN = 0x01,
    TCP_PSH = 0x08,

    PACKETS_MAX = 64,
    MORE_NS = 50000,
    DELAY_UNIT_NS = 1024
};

struct descriptor {
    uint64_t address;
    uint32_t size;
    uint8_t command, type, offset, options, start;
    uint16_t special;
    bool is_extended;
};

static void parse(const uint8_t bytes[DESCRIPTOR], struct descriptor *d)
{
    uint32_t low = load_le32(bytes + 8), high = load_le32(bytes + 12);

    d->address = load_le64(bytes);
    d->command = (uint8_t)(low >> 24);
    d->is_extended = (d->command & CMD_DEXT) != 0;
    d->type = (uint8_t)(d->is_extended ? low >> 20 & 0xf : TYPE_DATA);
    d->size = d->is_extended ? low & 0xfffff : low & 0xffff;
    d->offset = (uint8_t)(low >> 16);   /* legacy: CSO */
    d->start = (uint8_t)(high >> 8);    /* legacy: CSS */
    d->options = (uint8_t)(high >> 8);  /* data: POPTS */
    d->special = (uint16_t)(high >> 16);
}

static void take_context(struct e1000 *nic, const uint8_t bytes[DESCRIPTOR])
{
    uint32_t low = load_le32(bytes + 8);
    struct e1000_context context = {.ipcss = bytes[0],
                                    .ipcso = bytes[1],
                                    .ipcse = load_le16(bytes + 2),
                                    .tucss = bytes[4],
                                    .tucso = bytes[5],
                                    .tucse = load_le16(bytes + 6),
                                    .payload = low & 0xfffff,
                                    .command = (uint8_t)(low >> 24),
                                    .header = bytes[13],
                                    .mss = load_le16(bytes + 14)};

    if ((context.command & CMD_TSE) != 0) {
        nic->tso_context = context;
        e1000_count(nic, TSCTC);
    } else {
        nic->context = context;
    }
}

/* ---- one packet ---- */

/* The options of the first data descriptor count for the packet (3.3.7). */
struct packet {
    size_t size;
    bool segments, has_vlan;
    uint8_t options;
    uint16_t vlan;
    /* Legacy checksum. */
    bool inserts;
    uint8_t start, offset;
};

/* A checksum over start..end of the frame, which includes what its field holds, goes into that field. */
static void insert_checksum(uint8_t *frame, size_t size, unsigned start, unsigned offset, unsigned end)
{
    size_t stop = end == 0 || end >= size ? size : end + 1u;

    if (start >= stop || offset + 2u > size) {
        return;
    }
    uint16_t sum = (uint16_t)~nic_sum(0, frame + start, stop - start);
    frame[offset] = (uint8_t)(sum >> 8);
    frame[offset + 1] = (uint8_t)sum;
}

static void put_be16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned get_be16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* A finished frame leaves, with its VLAN tag in place. */
static void emit(struct e1000 *nic, const uint8_t *frame, size_t size, const struct packet *packet)
{
    uint8_t tagged[PACKET_MAX];

    if (size < NIC_HEADER || size > PACKET_MAX - 4 || ((REG(nic, RCTL) & RCTL_LPE) == 0 && size > NIC_FRAME_MAX + 4)) {
        return;
    }
    bool adds_tag = packet->has_vlan && (REG(nic, CTRL) & CTRL_VME) != 0;
    bool pads = size + (adds_tag ? 4 : 0) < NIC_FRAME_MIN && (REG(nic, TCTL) & TCTL_PSP) != 0;
    if (adds_tag || pads) {
        size_t head = adds_tag ? 12 : 0;
        memcpy(tagged, frame, head);
        if (adds_tag) {
            put_be16(tagged + 12, REG(nic, VET) & 0xffff);
            put_be16(tagged + 14, packet->vlan);
            head += 4;
        }
        memcpy(tagged + head, frame + (adds_tag ? 12 : 0), size - (adds_tag ? 12 : 0));
        size += adds_tag ? 4 : 0;
        if (pads) {
            memset(tagged + size, 0, NIC_FRAME_MIN - size);
            size = NIC_FRAME_MIN;
        }
        frame = tagged;
    }
    e1000_count(nic, GPTC);
    e1000_count(nic, TPT);
    e1000_count_octets(nic, GOTCL, (uint32_t)size + NIC_FCS);
    e1000_count_octets(nic, TOTL, (uint32_t)size + NIC_FCS);
    e1000_count_size(nic, PTC64, size + NIC_FCS);
    if (nic_is_group(frame)) {
        e1000_count(nic, nic_is_broadcast(frame) ? BPTC : MPTC);
    }
    if ((REG(nic, RCTL) & RCTL_LBM) != 0) {
        e1000_receive(nic, frame, size);
    } else if (nic->is_link_up) {
        nic_send(nic->sink, frame, size);
    }
}

static void send_plain(struct e1000 *nic, uint8_t *frame, const struct packet *packet)
{
    const struct e1000_context *c = &nic->context;

    if (packet->inserts) {
        insert_checksum(frame, packet->size, packet->start, packet->offset, 0);
    }
    if ((packet->options & POPTS_TXSM) != 0) {
        insert_checksum(frame, packet->size, c->tucss, c->tucso, c->tucse);
    }
    if ((packet->options & POPTS_IXSM) != 0) {
        insert_checksum(frame, packet->size, c->ipcss, c->ipcso, c->ipcse);
    }
    emit(nic, frame, packet->size, packet);
}

/* Makes the headers at `frame` those of segment `number`, which carries `payload` bytes from `done` on (3.5.9). */
static void fix_headers(const struct e1000_context *c, const struct packet *packet, uint8_t *frame, unsigned number,
                        uint32_t done, size_t payload, bool is_last)
{
    size_t size = c->header + payload;
    uint8_t *ip = frame + c->ipcss, *tcp = frame + c->tucss;

    if ((c->command & TUCMD_IP) != 0) {
        if (c->ipcss + 20u <= c->header) {
            put_be16(ip + 2, (unsigned)(size - c->ipcss));
            put_be16(ip + 4, get_be16(ip + 4) + number);
        }
    } else if (c->ipcss + 40u <= c->header) {
        put_be16(ip + 4, (unsigned)(size - c->ipcss - 40u));
    }
    if ((c->command & TUCMD_TCP) != 0) {
        if (c->tucss + 20u <= c->header) {
            uint32_t sequence = (get_be16(tcp + 4) << 16 | get_be16(tcp + 6)) + done;
            put_be16(tcp + 4, sequence >> 16);
            put_be16(tcp + 6, sequence);
            if (!is_last) {
                tcp[TCP_FLAGS] = (uint8_t)(tcp[TCP_FLAGS] & ~(TCP_FIN | TCP_PSH));
            }
        }
    } else if (c->tucss + 8u <= c->header) {
        put_be16(tcp + 4, (unsigned)(size - c->tucss)); /* UDP */
    }
    if ((packet->options & POPTS_TXSM) != 0) {
        if (c->tucso + 2u <= c->header && c->tucss <= size) { /* the field holds the pseudo header's sum, without the length */
            uint32_t sum = get_be16(frame + c->tucso) + (uint32_t)(size - c->tucss);
            sum = (sum & 0xffff) + (sum >> 16);
            put_be16(frame + c->tucso, (sum & 0xffff) + (sum >> 16));
        }
        insert_checksum(frame, size, c->tucss, c->tucso, c->tucse);
    }
    if ((packet->options & POPTS_IXSM) != 0) {
        insert_checksum(frame, size, c->ipcss, c->ipcso, c->ipcse);
    }
}

static void send_segments(struct e1000 *nic, uint8_t *data, const struct packet *packet)
{
    const struct e1000_context *c = &nic->tso_context;
    uint8_t frame[PACKET_MAX];
    uint32_t total = (uint32_t)packet->size;

    if (c->header == 0 || c->header > total || c->mss == 0 || c->header + (size_t)c->mss > PACKET_MAX) {
        return;
    }
    total -= c->header;
    total = total < c->payload ? total : c->payload;
    uint32_t done = 0;
    for (unsigned number = 0; done < total || number == 0; number++) {
        uint32_t payload = total - done < c->mss ? total - done : c->mss;
        memcpy(frame, data, c->header);
        memcpy(frame + c->header, data + c->header + done, payload);
        fix_headers(c, packet, frame, number, done, payload, done + payload >= total);
        emit(nic, frame, c->header + payload, packet);
        done += payload;
    }
}

/* ---- the list ---- */

static uint64_t list_base(struct e1000 *nic)
{
    return (uint64_t)REG(nic, TDBAH) << 32 | (REG(nic, TDBAL) & ~UINT32_C(15));
}

static uint32_t list_length(struct e1000 *nic)
{
    return (REG(nic, TDLEN) & 0xfff80) / DESCRIPTOR;
}

/* Gathers the packet whose first data descriptor is at *at. False when its end is not in the list yet. `*at` moves behind it. */
static bool gather(struct e1000 *nic, uint32_t *at, struct packet *packet)
{
    uint32_t length = list_length(nic), tail = REG(nic, TDT);
    bool is_first = true;

    memset(packet, 0, sizeof *packet);
    for (uint32_t n = 0; n < length && *at != tail; n++) {
        uint8_t bytes[DESCRIPTOR];
        struct descriptor d;
        space_read_bytes(nic->dev.space, list_base(nic) + (uint64_t)*at * DESCRIPTOR, bytes, sizeof bytes);
        parse(bytes, &d);
        *at = *at + 1 >= length ? 0 : *at + 1;
        if (d.is_extended && d.type != TYPE_DATA) {
            continue; /* a context in the middle of a packet counts for nothing */
        }
        if (is_first) {
            packet->segments = d.is_extended && (d.command & CMD_TSE) != 0;
            packet->options = d.is_extended ? d.options : 0;
            is_first = false;
        }
        if (d.size > E1000_SCRATCH - packet->size) {
            d.size = (uint32_t)(E1000_SCRATCH - packet->size); /* longer than any packet: cut off */
        }
        space_read_bytes(nic->dev.space, d.address, nic->scratch + packet->size, d.size);
        packet->size += d.size;
        if ((d.command & CMD_EOP) != 0) {
            packet->has_vlan = (d.command & CMD_VLE) != 0;
            packet->vlan = d.special;
            packet->inserts = !d.is_extended && (d.command & CMD_IC) != 0;
            packet->start = d.start;
            packet->offset = d.offset;
            return true;
        }
    }
    return false;
}

/* Descriptors from TDH up to `end` are done: contexts are kept, status is written where it was asked for. Returns the
 * interrupts that are due: bit 0 now, bit 1 after the delay. */
static unsigned write_back(struct e1000 *nic, uint32_t end)
{
    unsigned wanted = 0;
    uint32_t length = list_length(nic);

    for (uint32_t n = 0; n < length && REG(nic, TDH) != end; n++) {
        uint64_t at = list_base(nic) + (uint64_t)REG(nic, TDH) * DESCRIPTOR;
        uint8_t command = (uint8_t)space_read(nic->dev.space, at + 11, 1);
        if ((command & CMD_RS) != 0) {
            uint8_t status = (uint8_t)space_read(nic->dev.space, at + STATUS_OFFSET, 1);
            space_write(nic->dev.space, at + STATUS_OFFSET, 1, status | STATUS_DD);
            wanted |= (command & CMD_IDE) != 0 && REG(nic, TIDV) != 0 ? 2 : 1;
        }
        REG(nic, TDH) = REG(nic, TDH) + 1 >= length ? 0 : REG(nic, TDH) + 1;
    }
    return wanted;
}

static void delay_interrupt(struct e1000 *nic)
{
    uint64_t now = clock_now(nic->dev.clock);
    uint64_t at = now + (uint64_t)(REG(nic, TIDV) & 0xffff) * DELAY_UNIT_NS;

    if (REG(nic, TADV) != 0) {
        if (nic->tx_absolute_ns == CLOCK_NEVER) {
            nic->tx_absolute_ns = now + (uint64_t)(REG(nic, TADV) & 0xffff) * DELAY_UNIT_NS;
        }
        at = at < nic->tx_absolute_ns ? at : nic->tx_absolute_ns;
    }
    event_at(&nic->tx_delay, at);
}

/* Contexts at the head of the list are packets of no frame. */
static bool take_contexts(struct e1000 *nic, unsigned *wanted)
{
    uint32_t length = list_length(nic);

    for (uint32_t n = 0; n < length && REG(nic, TDH) != REG(nic, TDT); n++) {
        uint8_t bytes[DESCRIPTOR];
        struct descriptor d;
        space_read_bytes(nic->dev.space, list_base(nic) + (uint64_t)REG(nic, TDH) * DESCRIPTOR, bytes, sizeof bytes);
        parse(bytes, &d);
        if (!d.is_extended || d.type == TYPE_DATA) {
            return true;
        }
        take_context(nic, bytes);
        *wanted |= write_back(nic, REG(nic, TDH) + 1 >= length ? 0 : REG(nic, TDH) + 1);
    }
    return false;
}

void e1000_transmit(struct e1000 *nic)
{
    unsigned wanted = 0, packets = 0;
    uint32_t length = list_length(nic);

    if (nic->is_transmitting || (REG(nic, TCTL) & TCTL_EN) == 0 || !pci_is_master(&nic->pci)) {
        return;
    }
    if (REG(nic, TDH) >= length || REG(nic, TDT) >= length) {
        if (length != 0 && REG(nic, TDH) != REG(nic, TDT)) {
            device_log(&nic->dev, LOG_GUEST, "transmit list of %u descriptors, head %u, tail %u", length, REG(nic, TDH),
                       REG(nic, TDT));
        }
        return;
    }
    nic->is_transmitting = true;
    for (; take_contexts(nic, &wanted) && packets < PACKETS_MAX; packets++) {
        struct packet packet;
        uint32_t at = REG(nic, TDH);
        if (!gather(nic, &at, &packet)) {
            break;
        }
        if (packet.segments) {
            send_segments(nic, nic->scratch, &packet);
        } else {
            send_plain(nic, nic->scratch, &packet);
        }
        wanted |= write_back(nic, at);
        if (REG(nic, TDH) >= list_length(nic) || REG(nic, TDT) >= list_length(nic)) {
            break; /* a descriptor pointed at our registers */
        }
    }
    nic->is_transmitting = false;
    if (packets == PACKETS_MAX) {
        event_at(&nic->tx_more, clock_now(nic->dev.clock) + MORE_NS);
    }
    if ((wanted & 2) != 0) {
        delay_interrupt(nic);
    }
    uint32_t causes = ((wanted & 1) != 0 ? ICR_TXDW : 0) | (REG(nic, TDH) == REG(nic, TDT) && packets != 0 ? ICR_TXQE : 0);
    if (causes != 0) {
        e1000_interrupt(nic, causes);
    }
}
