/* rtl8139_tx.c - transmission of the RTL8139C (four buffers) and the C+ (descriptor lists with checksums and large send).
 *
 * RTL8139C(L) datasheet 1.4, 5.3 and 5.4; RTL8139C+ datasheet 1.6, 9.2. Of a list at most 64 descriptors are looked at, then
 * an event goes on; nothing in them is trusted. */
#include "devices/rtl8139.h"

#include <string.h>

enum {
    TSD_SIZE = 0x1fff,
    TSD_OWN = 0x2000,
    TSD_TUN = 0x4000,
    TSD_TOK = 0x8000,
    BUFFER_MAX = 1792, /* the transmit FIFO takes no more (5.4) */

    DESCRIPTOR = 16,
    LIST_MAX = 64,
    MORE_NS = 50000,
    CP_SIZE = 0xffff,
    CP_TAG = 1 << 17, /* of the second doubleword: add the VLAN tag */

    IPV4 = 0x0800,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17
};
#define CP_OWN UINT32_C(0x80000000)
#define CP_EOR UINT32_C(0x40000000)
#define CP_FS UINT32_C(0x20000000)
#define CP_LS UINT32_C(0x10000000)
#define CP_LGSEN UINT32_C(0x08000000)
#define CP_IPCS UINT32_C(0x00040000)
#define CP_UDPCS UINT32_C(0x00020000)
#define CP_TCPCS UINT32_C(0x00010000)

static void put_be16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned get_be16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static void emit(struct rtl8139 *nic, const uint8_t *frame, size_t size)
{
    if (size < NIC_HEADER || size > PACKET_MAX) {
        return;
    }
    nic->tally[TALLY_TX]++;
    if ((rtl8139_long(nic, TCR) & TCR_LBK) == TCR_LBK) {
        rtl8139_receive(nic, frame, size);
    } else if (nic->is_link_up) {
        nic_send(nic->sink, frame, size);
    }
}

/* ---- four buffers ---- */

void rtl8139_transmit(struct rtl8139 *nic, unsigned number)
{
    uint8_t *tsd = &nic->regs[TSD0 + 4 * number];
    uint32_t size = load_le32(tsd) & TSD_SIZE;

    if (nic->is_transmitting || (nic->regs[CR] & CR_TE) == 0 || !pci_is_master(&nic->pci)) {
        return;
    }
    nic->is_transmitting = true;
    size = size < BUFFER_MAX ? size : BUFFER_MAX;
    space_read_bytes(nic->dev.space, rtl8139_long(nic, TSAD0 + 4 * number), nic->scratch, size);
    emit(nic, nic->scratch, size);
    store_le32(tsd, load_le32(tsd) | TSD_OWN | TSD_TOK);
    nic->is_transmitting = false;
    rtl8139_interrupt(nic, ISR_TOK);
}

/* ---- descriptor lists ---- */

/* Where the IPv4 packet's parts are; false when it is none, or not whole. */
struct layout {
    uint8_t *ip, *segment;
    size_t ip_header, length; /* bytes of the segment: TCP or UDP header and data */
    unsigned protocol;
};

static bool find_layout(uint8_t *frame, size_t size, struct layout *l)
{
    if (size < NIC_HEADER + 20 || get_be16(frame + 12) != IPV4) {
        return false;
    }
    l->ip = frame + NIC_HEADER;
    l->ip_header = (size_t)(l->ip[0] & 0xf) * 4;
    if (l->ip[0] >> 4 != 4 || l->ip_header < 20 || NIC_HEADER + l->ip_header > size) {
        return false;
    }
    l->protocol = l->ip[9];
    l->segment = l->ip + l->ip_header;
    l->length = size - NIC_HEADER - l->ip_header;
    return true;
}

static void fix_ip(const struct layout *l)
{
    put_be16(l->ip + 10, 0);
    put_be16(l->ip + 10, (uint16_t)~nic_sum(0, l->ip, l->ip_header));
}

/* The checksum of TCP or UDP, `offset` into it, over pseudo header and `length` bytes. */
static void fix_segment(const struct layout *l, size_t length, size_t offset)
{
    uint32_t pseudo = nic_sum(0, l->ip + 12, 8) + l->protocol + (uint32_t)length;

    put_be16(l->segment + offset, 0);
    unsigned sum = (uint16_t)~nic_sum(pseudo, l->segment, length);
    put_be16(l->segment + offset, sum == 0 && l->protocol == PROTOCOL_UDP ? 0xffff : sum);
}

static void fix_checksums(uint8_t *frame, size_t size, uint32_t control)
{
    struct layout l;

    if ((control & (CP_IPCS | CP_UDPCS | CP_TCPCS)) == 0 || !find_layout(frame, size, &l)) {
        return;
    }
    size_t total = get_be16(l.ip + 2);
    size_t length = total > l.ip_header && total - l.ip_header < l.length ? total - l.ip_header : l.length;
    if ((control & CP_TCPCS) != 0 && l.protocol == PROTOCOL_TCP && length >= 20) {
        fix_segment(&l, length, 16);
    } else if ((control & CP_UDPCS) != 0 && l.protocol == PROTOCOL_UDP && length >= 8) {
        fix_segment(&l, length, 6);
    }
    if ((control & CP_IPCS) != 0) {
        fix_ip(&l);
    }
}

static void emit_tagged(struct rtl8139 *nic, const uint8_t *frame, size_t size, uint32_t vlan)
{
    uint8_t tagged[PACKET_MAX];

    if ((vlan & CP_TAG) == 0 || size < NIC_HEADER || size > PACKET_MAX - 4) {
        emit(nic, frame, size);
        return;
    }
    memcpy(tagged, frame, 12);
    put_be16(tagged + 12, 0x8100);
    put_be16(tagged + 14, (vlan & 0xff) << 8 | (vlan >> 8 & 0xff)); /* the descriptor holds it as it is sent */
    memcpy(tagged + 16, frame + 12, size - 12);
    emit(nic, tagged, size + 4);
}

/* Large send (9.2.1): segments of MSS bytes, each with headers of its own. */
static void send_large(struct rtl8139 *nic, uint8_t *data, size_t size, uint32_t control, uint32_t vlan)
{
    struct layout l, part;
    uint8_t frame[4096];
    size_t mss = control >> 16 & 0x7ff;

    if (!find_layout(data, size, &l) || l.protocol != PROTOCOL_TCP || l.length < 20 || mss == 0) {
        return;
    }
    size_t tcp_header = (size_t)(l.segment[12] >> 4) * 4;
    size_t header = NIC_HEADER + l.ip_header + tcp_header;
    if (tcp_header < 20 || tcp_header > l.length) {
        return;
    }
    size_t total = l.length - tcp_header;
    uint32_t sequence = get_be16(l.segment + 4) << 16 | get_be16(l.segment + 6);
    unsigned identification = get_be16(l.ip + 4);
    for (size_t done = 0, number = 0; done < total || number == 0; number++) {
        size_t payload = total - done < mss ? total - done : mss;
        memcpy(frame, data, header);
        memcpy(frame + header, data + header + done, payload);
        if (!find_layout(frame, header + payload, &part)) {
            return;
        }
        put_be16(part.ip + 2, (unsigned)(header + payload - NIC_HEADER));
        put_be16(part.ip + 4, (unsigned)(identification + number));
        put_be16(part.segment + 4, (unsigned)((sequence + done) >> 16));
        put_be16(part.segment + 6, (unsigned)(sequence + done));
        if (done + payload < total) {
            part.segment[13] = (uint8_t)(part.segment[13] & ~0x09); /* FIN and PSH are the last one's */
        }
        fix_segment(&part, part.length, 16);
        fix_ip(&part);
        emit_tagged(nic, frame, header + payload, vlan);
        done += payload;
    }
}

/* The descriptor of that number, in the list at `base`. */
static uint64_t list_at(const struct rtl8139 *nic, unsigned list)
{
    unsigned reg = list == 0 ? TNPDS : THPDS;
    uint64_t base = rtl8139_long(nic, reg) & ~UINT32_C(0xff);

    base |= (uint64_t)rtl8139_long(nic, reg + 4) << 32;
    return base + (uint64_t)nic->tx_descriptor[list] * DESCRIPTOR;
}

static void send_packet(struct rtl8139 *nic, size_t size, uint32_t control, uint32_t vlan)
{
    if ((control & CP_LGSEN) != 0) {
        send_large(nic, nic->scratch, size, control, vlan);
    } else {
        fix_checksums(nic->scratch, size, control);
        emit_tagged(nic, nic->scratch, size, vlan);
    }
}

/* Whether the packet that begins at the next descriptor is there up to its last one. */
static bool is_whole(struct rtl8139 *nic, unsigned list)
{
    uint32_t start = nic->tx_descriptor[list];
    bool is_last = false;

    for (unsigned n = 0; n < LIST_MAX && !is_last; n++) {
        uint32_t control = (uint32_t)space_read(nic->dev.space, list_at(nic, list), 4);
        if ((control & CP_OWN) == 0) {
            break;
        }
        is_last = (control & CP_LS) != 0;
        nic->tx_descriptor[list] = (control & CP_EOR) != 0 || nic->tx_descriptor[list] + 1 >= LIST_MAX
                                       ? 0
                                       : nic->tx_descriptor[list] + 1;
    }
    nic->tx_descriptor[list] = start;
    return is_last;
}

/* One packet. Its first descriptor tells what is to be done with it. */
static void take_packet(struct rtl8139 *nic, unsigned list)
{
    size_t size = 0;
    uint32_t first = 0, vlan = 0;

    for (unsigned n = 0; n < LIST_MAX; n++) {
        uint64_t at = list_at(nic, list);
        uint8_t bytes[DESCRIPTOR];
        space_read_bytes(nic->dev.space, at, bytes, sizeof bytes);
        uint32_t control = load_le32(bytes);
        size_t piece = control & CP_SIZE;
        if (n == 0) {
            first = control;
            vlan = load_le32(bytes + 4);
        }
        piece = piece < RTL8139_SCRATCH - size ? piece : RTL8139_SCRATCH - size;
        space_read_bytes(nic->dev.space, load_le64(bytes + 8), nic->scratch + size, piece);
        size += piece;
        space_write(nic->dev.space, at, 4, control & (CP_EOR | CP_FS | CP_LS | CP_SIZE));
        nic->tx_descriptor[list] =
            (control & CP_EOR) != 0 || nic->tx_descriptor[list] + 1 >= LIST_MAX ? 0 : nic->tx_descriptor[list] + 1;
        if ((control & CP_LS) != 0) {
            break;
        }
    }
    send_packet(nic, size, first, vlan);
}

void rtl8139_transmit_list(struct rtl8139 *nic, unsigned list)
{
    unsigned packets = 0;

    if (nic->is_transmitting || (nic->regs[CR] & CR_TE) == 0 || (rtl8139_word(nic, CPCR) & CPCR_TX) == 0 ||
        !pci_is_master(&nic->pci)) {
        return;
    }
    nic->is_transmitting = true;
    for (; packets < LIST_MAX && is_whole(nic, list); packets++) {
        take_packet(nic, list);
    }
    nic->is_transmitting = false;
    if (packets == LIST_MAX) { /* perhaps there is more */
        event_at(&nic->tx_more, clock_now(nic->dev.clock) + MORE_NS);
    }
    if (packets != 0) {
        rtl8139_interrupt(nic, ISR_TOK | ISR_TDU);
    }
}
