/* e1000_rx.c - reception: filters, VLAN tags, checksums, descriptor list (manual, 3.2).
 *
 * A frame for which the list has no room is refused, so that the sender waits: the missed packet counter stays 0. */
#include "devices/e1000.h"

#include <string.h>

enum {
    DESCRIPTOR = 16,
    STATUS_DD = 0x01,
    STATUS_EOP = 0x02,
    STATUS_IXSM = 0x04, /* ignore the checksum bits */
    STATUS_VP = 0x08,
    STATUS_TCPCS = 0x20,
    STATUS_IPCS = 0x40,
    STATUS_PIF = 0x80, /* passed an inexact filter */
    ERROR_TCPE = 0x20,
    ERROR_IPE = 0x40,

    ETHERTYPE_IPV4 = 0x0800,
    PROTOCOL_TCP = 6,
    PROTOCOL_UDP = 17,

    FRAME_MAX = 16384,
    DELAY_UNIT_NS = 1024
};

static unsigned get_be16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* ---- filters (3.2.1) ---- */

static bool passes_address(struct e1000 *nic, const uint8_t *frame, uint8_t *status)
{
    uint32_t low = load_le32(frame), high = load_le16(frame + 4), control = REG(nic, RCTL);

    if (nic_is_broadcast(frame)) {
        return (control & RCTL_BAM) != 0;
    }
    for (unsigned n = RAL; n < RA_END; n += 8) {
        if ((REG(nic, n + 4) & UINT32_C(0x80000000)) != 0 && REG(nic, n) == low && (REG(nic, n + 4) & 0xffff) == high) {
            return true;
        }
    }
    if (!nic_is_group(frame)) {
        return (control & RCTL_UPE) != 0;
    }
    if ((control & RCTL_MPE) != 0) {
        return true;
    }
    static const uint8_t shifts[4] = {4, 3, 2, 0}; /* RCTL.MO: address bits 47-36, 46-35, 45-34, 43-32 */
    uint32_t index = high >> shifts[control >> 12 & 3] & 0xfff;
    *status |= STATUS_PIF;
    return (REG(nic, MTA + 4 * (index >> 5)) >> (index & 31) & 1) != 0;
}

static bool is_tagged(struct e1000 *nic, const uint8_t *frame, size_t size)
{
    return size >= NIC_HEADER + 4 && get_be16(frame + 12) == (REG(nic, VET) & 0xffff);
}

static bool passes_vlan(struct e1000 *nic, const uint8_t *frame, size_t size)
{
    if ((REG(nic, RCTL) & RCTL_VFE) == 0 || !is_tagged(nic, frame, size)) {
        return true;
    }
    unsigned id = get_be16(frame + 14) & 0xfff;
    return (REG(nic, VFTA + 4 * (id >> 5)) >> (id & 31) & 1) != 0;
}

/* ---- checksums (3.2.9) ---- */

static void check_ipv4(struct e1000 *nic, const uint8_t *ip, size_t size, uint8_t *status, uint8_t *errors)
{
    size_t header = size >= 20 ? (size_t)(ip[0] & 0xf) * 4 : 0;
    size_t total = size >= 20 ? get_be16(ip + 2) : 0;

    if (header < 20 || ip[0] >> 4 != 4 || total < header || total > size) {
        *status |= STATUS_IXSM;
        return;
    }
    if ((REG(nic, RXCSUM) & RXCSUM_IPOFL) != 0) {
        *status |= STATUS_IPCS;
        *errors |= nic_sum(0, ip, header) != 0xffff ? ERROR_IPE : 0;
    }
    unsigned protocol = ip[9];
    const uint8_t *segment = ip + header;
    size_t length = total - header;
    bool is_fragment = (get_be16(ip + 6) & 0x3fff) != 0;
    bool is_tcp = protocol == PROTOCOL_TCP && length >= 20;
    bool is_udp = protocol == PROTOCOL_UDP && length >= 8 && get_be16(segment + 6) != 0;
    if ((REG(nic, RXCSUM) & RXCSUM_TUOFL) != 0 && !is_fragment && (is_tcp || is_udp)) {
        uint32_t pseudo = nic_sum(0, ip + 12, 8) + protocol + (uint32_t)length;
        *status |= STATUS_TCPCS;
        *errors |= nic_sum(pseudo, segment, length) != 0xffff ? ERROR_TCPE : 0;
    }
    if ((*status & (STATUS_IPCS | STATUS_TCPCS)) == 0) {
        *status |= STATUS_IXSM;
    }
}

/* ---- the list ---- */

static uint64_t list_base(struct e1000 *nic)
{
    return (uint64_t)REG(nic, RDBAH) << 32 | (REG(nic, RDBAL) & ~UINT32_C(15));
}

static uint32_t list_length(struct e1000 *nic)
{
    return (REG(nic, RDLEN) & 0xfff80) / DESCRIPTOR;
}

static uint32_t free_descriptors(struct e1000 *nic)
{
    uint32_t head = REG(nic, RDH), tail = REG(nic, RDT);

    return tail >= head ? tail - head : list_length(nic) - head + tail;
}

/* RCTL.BSIZE, BSEX (13.4.22). */
static size_t buffer_size(struct e1000 *nic)
{
    unsigned shift = REG(nic, RCTL) >> 16 & 3;

    if ((REG(nic, RCTL) & RCTL_BSEX) != 0) {
        return shift == 0 ? 2048 : (size_t)32768 >> shift;
    }
    return (size_t)2048 >> shift;
}

struct arrival {
    const uint8_t *bytes; /* without tag */
    size_t size;          /* with FCS if that is kept */
    size_t frame_size;    /* without */
    uint8_t fcs[NIC_FCS];
    uint8_t status, errors;
    uint16_t checksum, vlan;
};

/* Bytes from `offset` on of the frame and its FCS go to guest memory. */
static void store(struct e1000 *nic, const struct arrival *arrival, size_t offset, uint64_t address, size_t size)
{
    size_t piece = offset < arrival->frame_size ? arrival->frame_size - offset : 0;

    piece = piece < size ? piece : size;
    space_write_bytes(nic->dev.space, address, arrival->bytes + offset, piece);
    if (piece < size) {
        space_write_bytes(nic->dev.space, address + piece, arrival->fcs + (offset + piece - arrival->frame_size),
                          size - piece);
    }
}

static void fill_list(struct e1000 *nic, const struct arrival *arrival, size_t buffer)
{
    for (size_t offset = 0; offset < arrival->size;) {
        uint32_t length = list_length(nic), head = REG(nic, RDH);
        uint64_t at = list_base(nic) + (uint64_t)head * DESCRIPTOR;
        size_t piece = arrival->size - offset < buffer ? arrival->size - offset : buffer;
        uint64_t address = space_read(nic->dev.space, at, 8);
        uint8_t descriptor[8] = {0};
        bool is_last = offset + piece == arrival->size;
        if (address != 0) {
            store(nic, arrival, offset, address, piece);
        } /* a null pointer is a descriptor to be skipped (3.2.3) */
        store_le16(descriptor, (uint16_t)piece);
        store_le16(descriptor + 2, arrival->checksum);
        descriptor[4] = (uint8_t)(arrival->status | STATUS_DD | (is_last ? STATUS_EOP : 0));
        descriptor[5] = is_last ? arrival->errors : 0;
        store_le16(descriptor + 6, arrival->vlan);
        space_write_bytes(nic->dev.space, at + 8, descriptor, sizeof descriptor);
        REG(nic, RDH) = head + 1 >= length ? 0 : head + 1;
        offset += piece;
    }
}

/* Frames of a burst that no delay keeps back share an interrupt, as the guest has no time to react in between. */
static void raise(struct e1000 *nic, size_t size)
{
    static const uint8_t shares[4] = {1, 2, 3, 0}; /* RCTL.RDMTS: below a half, quarter, eighth of the list */
    uint32_t causes = 0;
    unsigned share = shares[REG(nic, RCTL) >> 8 & 3];
    uint64_t now = clock_now(nic->dev.clock), delay = (uint64_t)(REG(nic, RDTR) & 0xffff) * DELAY_UNIT_NS;

    if (share != 0 && free_descriptors(nic) <= list_length(nic) >> share) {
        causes |= ICR_RXDMT0;
    }
    if (size <= (REG(nic, RSRPD) & 0xfff)) {
        causes |= ICR_SRPD;
    }
    if (delay == 0) {
        causes |= ICR_RXT0;
    } else {
        uint64_t at = now + delay;
        if (REG(nic, RADV) != 0) {
            if (nic->rx_absolute_ns == CLOCK_NEVER) {
                nic->rx_absolute_ns = now + (uint64_t)(REG(nic, RADV) & 0xffff) * DELAY_UNIT_NS;
            }
            at = at < nic->rx_absolute_ns ? at : nic->rx_absolute_ns;
        }
        event_at(&nic->rx_delay, at);
    }
    if (causes != 0) {
        e1000_interrupt(nic, causes);
    }
}

static void count(struct e1000 *nic, const uint8_t *frame, size_t size)
{
    e1000_count(nic, GPRC);
    e1000_count(nic, TPR);
    e1000_count_octets(nic, GORCL, (uint32_t)size + NIC_FCS);
    e1000_count_octets(nic, TORL, (uint32_t)size + NIC_FCS);
    e1000_count_size(nic, PRC64, size + NIC_FCS);
    if (nic_is_group(frame)) {
        e1000_count(nic, nic_is_broadcast(frame) ? BPRC : MPRC);
    }
}

bool e1000_receive(struct e1000 *nic, const uint8_t *frame, size_t size)
{
    struct arrival arrival = {.bytes = frame, .frame_size = size};
    uint8_t untagged[FRAME_MAX];
    size_t limit = (REG(nic, RCTL) & RCTL_LPE) != 0 ? FRAME_MAX : NIC_FRAME_MAX + 4;
    bool is_loopback = (REG(nic, RCTL) & RCTL_LBM) != 0;

    if ((REG(nic, RCTL) & RCTL_EN) == 0 || !pci_is_master(&nic->pci) || nic->is_receiving ||
        (!is_loopback && (REG(nic, STATUS) & STATUS_LU) == 0) || is_loopback != nic->is_transmitting) {
        return true;
    }
    if (size > limit) {
        e1000_count(nic, ROC);
        return true;
    }
    if (!passes_address(nic, frame, &arrival.status) || !passes_vlan(nic, frame, size)) {
        return true;
    }
    uint32_t length = list_length(nic);
    size_t buffer = buffer_size(nic);
    size_t whole = size + ((REG(nic, RCTL) & RCTL_SECRC) != 0 ? 0 : NIC_FCS);
    if (REG(nic, RDH) >= length || REG(nic, RDT) >= length || (whole + buffer - 1) / buffer >= length) {
        return true; /* no list, or one in which such a frame has never room */
    }
    if (free_descriptors(nic) < (whole + buffer - 1) / buffer) {
        return is_loopback;
    }
    nic->is_receiving = true;
    if ((REG(nic, CTRL) & CTRL_VME) != 0 && is_tagged(nic, frame, size)) {
        memcpy(untagged, frame, 12);
        memcpy(untagged + 12, frame + 16, size - 16);
        arrival.bytes = untagged;
        arrival.frame_size = size - 4;
        arrival.vlan = (uint16_t)get_be16(frame + 14);
        arrival.status |= STATUS_VP;
    }
    arrival.size = arrival.frame_size + (whole - size);
    if (whole != size) {
        store_le32(arrival.fcs, nic_crc32(0, frame, size));
    }
    unsigned start = REG(nic, RXCSUM) & 0xff;
    if (start < arrival.frame_size) { /* the packet checksum: a plain sum from PCSS to the end */
        uint16_t sum = nic_sum(0, arrival.bytes + start, arrival.frame_size - start);
        arrival.checksum = (uint16_t)(sum >> 8 | sum << 8);
    }
    if (get_be16(arrival.bytes + 12) == ETHERTYPE_IPV4) {
        check_ipv4(nic, arrival.bytes + NIC_HEADER, arrival.frame_size - NIC_HEADER, &arrival.status, &arrival.errors);
    } else {
        arrival.status |= STATUS_IXSM;
    }
    fill_list(nic, &arrival, buffer);
    nic->is_receiving = false;
    count(nic, frame, size);
    raise(nic, size);
    return true;
}
