/* rtl8139_rx.c - reception of the RTL8139C (a ring buffer) and the C+ (descriptors with checksums and VLAN tags).
 *
 * RTL8139C(L) datasheet 1.4, 5.6 and 8.2; RTL8139C+ datasheet 1.6, 9.3. A frame for which there is no room is refused, so that
 * the sender waits: the overflow interrupts do not occur. */
#include "devices/rtl8139.h"

#include <string.h>

enum {
    HEADER = 4,
    STATUS_ROK = 0x0001,
    STATUS_BAR = 0x2000,
    STATUS_PAM = 0x4000,
    STATUS_MAR = 0x8000,
    RING_UNIT = 8192,
    CAPR_OFFSET = 16, /* CAPR is behind the read pointer by that */

    DESCRIPTOR = 16,
    LIST_MAX = 64,
    CP_SIZE = 0x1fff,
    CP_TAVA = 1 << 16, /* of the second doubleword */
    CP_MAR = 1 << 26,
    CP_PAM = 1 << 25,
    CP_BAR = 1 << 24,
    CP_PID_TCP = 1 << 16,
    CP_PID_UDP = 2 << 16,
    CP_PID_IP = 3 << 16,
    CP_IPF = 1 << 15,
    CP_UDPF = 1 << 14,
    CP_TCPF = 1 << 13
};
#define CP_OWN UINT32_C(0x80000000)
#define CP_EOR UINT32_C(0x40000000)
#define CP_FS UINT32_C(0x20000000)
#define CP_LS UINT32_C(0x10000000)

static unsigned get_be16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* RCR's filters. `*kind` is STATUS_BAR, PAM or MAR. */
static bool is_wanted(const struct rtl8139 *nic, const uint8_t *frame, unsigned *kind)
{
    uint32_t accept = rtl8139_long(nic, RCR);

    if (nic_is_broadcast(frame)) {
        *kind = STATUS_BAR;
        return (accept & (RCR_AB | RCR_AAP)) != 0;
    }
    if (nic_is_group(frame)) {
        unsigned index = nic_multicast_index(frame);
        *kind = STATUS_MAR;
        return (accept & RCR_AAP) != 0 ||
               ((accept & RCR_AM) != 0 && (nic->regs[MAR0 + index / 8] >> index % 8 & 1) != 0);
    }
    bool is_own = memcmp(frame, &nic->regs[IDR0], NIC_ADDRESS) == 0;
    *kind = is_own ? STATUS_PAM : 0;
    return (accept & RCR_AAP) != 0 || (is_own && (accept & RCR_APM) != 0);
}

static void count(struct rtl8139 *nic, unsigned kind)
{
    nic->tally[TALLY_RX]++;
    nic->tally[kind == STATUS_BAR   ? TALLY_RX_BROADCAST
               : kind == STATUS_MAR ? TALLY_RX_MULTICAST
                                    : TALLY_RX_UNICAST]++;
}

/* ---- the ring ---- */

static void ring_write(struct rtl8139 *nic, uint32_t *offset, uint32_t size, bool wraps, const void *bytes, size_t count_)
{
    const uint8_t *from = bytes;
    size_t piece = wraps && *offset + count_ > size ? size - *offset : count_;

    space_write_bytes(nic->dev.space, (uint64_t)rtl8139_long(nic, RBSTART) + *offset, from, piece);
    *offset += (uint32_t)piece;
    if (piece < count_) {
        space_write_bytes(nic->dev.space, rtl8139_long(nic, RBSTART), from + piece, count_ - piece);
        *offset = (uint32_t)(count_ - piece);
    }
}

bool rtl8139_is_ring_full(const struct rtl8139 *nic)
{
    uint32_t size = (uint32_t)RING_UNIT << (rtl8139_long(nic, RCR) >> 11 & 3);
    uint32_t read = (rtl8139_word(nic, CAPR) + (uint32_t)CAPR_OFFSET) % size;
    uint32_t room = (read + size - rtl8139_word(nic, CBR) % size) % size;

    return (nic->regs[CR] & CR_RE) != 0 && !(nic->is_plus && (rtl8139_word(nic, CPCR) & CPCR_RX) != 0) && room != 0 &&
           room <= HEADER + NIC_FRAME_MAX + NIC_FCS + 3;
}

static bool receive_ring(struct rtl8139 *nic, const uint8_t *frame, size_t frame_size, unsigned kind)
{
    uint32_t size = (uint32_t)RING_UNIT << (rtl8139_long(nic, RCR) >> 11 & 3);
    bool wraps = (rtl8139_long(nic, RCR) & RCR_WRAP) == 0 || size == 65536;
    uint32_t write = rtl8139_word(nic, CBR) % size;
    uint32_t read = (rtl8139_word(nic, CAPR) + (uint32_t)CAPR_OFFSET) % size;
    uint32_t room = (read + size - write) % size;
    uint32_t wanted = (uint32_t)(HEADER + frame_size + NIC_FCS + 3) & ~3u;
    uint8_t header[HEADER], fcs[NIC_FCS];

    if (wanted >= size) {
        return true;
    }
    if (room != 0 && wanted >= room) { /* room 0: empty */
        return false;
    }
    store_le16(header, (uint16_t)(STATUS_ROK | kind));
    store_le16(header + 2, (uint16_t)(frame_size + NIC_FCS));
    store_le32(fcs, nic_crc32(0, frame, frame_size));
    ring_write(nic, &write, size, wraps, header, sizeof header);
    ring_write(nic, &write, size, wraps, frame, frame_size);
    ring_write(nic, &write, size, wraps, fcs, sizeof fcs);
    store_le16(&nic->regs[CBR], (uint16_t)(((write + 3) & ~3u) % size));
    nic->regs[CR] &= (uint8_t)~CR_BUFE;
    return true;
}

/* ---- descriptors ---- */

static uint64_t list_at(const struct rtl8139 *nic, uint32_t number)
{
    uint64_t base = rtl8139_long(nic, RDSAR) & ~UINT32_C(0xff);

    return (base | (uint64_t)rtl8139_long(nic, RDSAR + 4) << 32) + (uint64_t)number * DESCRIPTOR;
}

static uint32_t next_number(uint32_t number, uint32_t control)
{
    return (control & CP_EOR) != 0 || number + 1 >= LIST_MAX ? 0 : number + 1;
}

/* Whether the descriptors that the chip owns take `size` bytes. */
static bool has_room(struct rtl8139 *nic, size_t size)
{
    uint32_t number = nic->rx_descriptor;
    size_t room = 0;

    for (unsigned n = 0; n < LIST_MAX && room < size; n++) {
        uint32_t control = (uint32_t)space_read(nic->dev.space, list_at(nic, number), 4);
        if ((control & CP_OWN) == 0) {
            return false;
        }
        room += control & CP_SIZE;
        number = next_number(number, control);
    }
    return room >= size;
}

/* The bits that tell protocol and failed checksums (9.3.2). */
static uint32_t checksum_bits(const uint8_t *frame, size_t size)
{
    const uint8_t *ip = frame + NIC_HEADER;

    if (get_be16(frame + 12) != 0x0800 || size < NIC_HEADER + 20 || ip[0] >> 4 != 4) {
        return 0;
    }
    size_t header = (size_t)(ip[0] & 0xf) * 4, total = get_be16(ip + 2);
    if (header < 20 || total < header || total > size - NIC_HEADER) {
        return 0;
    }
    uint32_t bits = nic_sum(0, ip, header) != 0xffff ? CP_PID_IP | CP_IPF : CP_PID_IP;
    size_t length = total - header;
    bool is_tcp = ip[9] == 6 && length >= 20, is_udp = ip[9] == 17 && length >= 8;
    if ((get_be16(ip + 6) & 0x3fff) != 0 || (!is_tcp && !is_udp)) {
        return bits;
    }
    uint32_t pseudo = nic_sum(0, ip + 12, 8) + ip[9] + (uint32_t)length;
    bool is_good = (is_udp && get_be16(ip + header + 6) == 0) || nic_sum(pseudo, ip + header, length) == 0xffff;
    bits = (bits & ~(uint32_t)CP_PID_IP) | (uint32_t)(is_tcp ? CP_PID_TCP : CP_PID_UDP);
    return is_good ? bits : bits | (uint32_t)(is_tcp ? CP_TCPF : CP_UDPF);
}

static bool receive_list(struct rtl8139 *nic, const uint8_t *frame, size_t frame_size, unsigned kind)
{
    uint8_t *bytes = nic->scratch;
    uint32_t vlan = 0, status = kind == STATUS_BAR ? CP_BAR : kind == STATUS_MAR ? CP_MAR : kind == STATUS_PAM ? CP_PAM : 0;
    size_t size = frame_size;

    if (!has_room(nic, frame_size + NIC_FCS)) {
        return false;
    }
    if ((rtl8139_word(nic, CPCR) & CPCR_RXVLAN) != 0 && frame_size >= NIC_HEADER + 4 && get_be16(frame + 12) == 0x8100) {
        vlan = CP_TAVA | load_le16(frame + 14);
        memmove(bytes, frame, 12); /* in loopback the frame is already there */
        memmove(bytes + 12, frame + 16, frame_size - 16);
        size -= 4;
    } else {
        memmove(bytes, frame, frame_size);
    }
    if ((rtl8139_word(nic, CPCR) & CPCR_RXCHKSUM) != 0) {
        status |= checksum_bits(bytes, size);
    }
    store_le32(bytes + size, nic_crc32(0, frame, frame_size));
    size += NIC_FCS;
    for (size_t done = 0; done < size;) {
        uint64_t at = list_at(nic, nic->rx_descriptor);
        uint8_t descriptor[DESCRIPTOR];
        space_read_bytes(nic->dev.space, at, descriptor, sizeof descriptor);
        uint32_t control = load_le32(descriptor);
        size_t room = control & CP_SIZE;
        size_t piece = room < size - done ? room : size - done;
        if ((control & CP_OWN) == 0) {
            break; /* overwritten by what we stored: the guest points into its own list */
        }
        space_write_bytes(nic->dev.space, load_le64(descriptor + 8), bytes + done, piece);
        bool is_last = done + piece == size;
        store_le32(descriptor, (control & CP_EOR) | status | (done == 0 ? CP_FS : 0) | (is_last ? CP_LS | (uint32_t)size : (uint32_t)piece));
        store_le32(descriptor + 4, vlan);
        space_write_bytes(nic->dev.space, at, descriptor, 8);
        nic->rx_descriptor = next_number(nic->rx_descriptor, control);
        done += piece;
        if (piece == 0 && room == 0) {
            break; /* a buffer of no bytes would never end */
        }
    }
    return true;
}

bool rtl8139_receive(struct rtl8139 *nic, const uint8_t *frame, size_t size)
{
    unsigned kind = 0;
    bool is_loopback = (rtl8139_long(nic, TCR) & TCR_LBK) == TCR_LBK;
    bool is_list = nic->is_plus && (rtl8139_word(nic, CPCR) & CPCR_RX) != 0;

    if ((nic->regs[CR] & CR_RE) == 0 || !pci_is_master(&nic->pci) || nic->is_receiving || (!is_loopback && !nic->is_link_up) ||
        is_loopback != nic->is_transmitting || size > NIC_FRAME_MAX + 4 || !is_wanted(nic, frame, &kind)) {
        return true;
    }
    nic->is_receiving = true;
    bool is_taken = is_list ? receive_list(nic, frame, size, kind) : receive_ring(nic, frame, size, kind);
    nic->is_receiving = false;
    if (is_taken) {
        count(nic, kind);
        rtl8139_interrupt(nic, ISR_ROK);
    }
    return is_taken || is_loopback;
}
