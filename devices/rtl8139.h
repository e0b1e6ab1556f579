/* rtl8139.h - what the files of the RTL8139 share: registers by the datasheet's names, and the chip. */
#ifndef DEVICES_RTL8139_H
#define DEVICES_RTL8139_H

#include "devices/at93c46.h"
#include "devices/nic.h"

enum { RTL8139_SPAN = 256, RTL8139_SCRATCH = 0x10000 + 512, RTL8139_COUNTERS = 13 };

enum {
    IDR0 = 0x00, MAR0 = 0x08, TSD0 = 0x10, TSAD0 = 0x20, RBSTART = 0x30, CR = 0x37, CAPR = 0x38, CBR = 0x3a, IMR = 0x3c,
    ISR = 0x3e, TCR = 0x40, RCR = 0x44, TCTR = 0x48, MPC = 0x4c, CR9346 = 0x50, CONFIG0 = 0x51, CONFIG1 = 0x52,
    TIMERINT = 0x54, MSR = 0x58, CONFIG3 = 0x59, CONFIG4 = 0x5a, MULINT = 0x5c, RERID = 0x5e, TSAD = 0x60, BMCR = 0x62,
    BMSR = 0x64, ANAR = 0x66, ANLPAR = 0x68, ANER = 0x6a, CSCR = 0x74, CONFIG5 = 0xd8, TPPOLL = 0xd9, CPCR = 0xe0,
    RDSAR = 0xe4, ETTHR = 0xec,
    /* C+ mode has these where TSD0 and TSAD0 are. */
    DTCCR = 0x10, TNPDS = 0x20, THPDS = 0x28
};

enum {
    CR_BUFE = 0x01, CR_TE = 0x04, CR_RE = 0x08, CR_RST = 0x10,
    ISR_ROK = 0x0001, ISR_TOK = 0x0004, ISR_LINK = 0x0020, ISR_TDU = 0x0080, ISR_TIMEOUT = 0x4000,
    RCR_AAP = 0x01, RCR_APM = 0x02, RCR_AM = 0x04, RCR_AB = 0x08, RCR_WRAP = 0x80,
    TCR_LBK = 0x60000,
    CPCR_TX = 0x01, CPCR_RX = 0x02, CPCR_DAC = 0x10, CPCR_RXCHKSUM = 0x20, CPCR_RXVLAN = 0x40
};

/* Tally counters, in the order of their dump (8139C+, 6.3); all but the first two and some of the errors count. */
enum { TALLY_TX = 0, TALLY_RX = 1, TALLY_RX_UNICAST = 9, TALLY_RX_BROADCAST = 10, TALLY_RX_MULTICAST = 11 };

struct rtl8139 {
    struct device dev;
    struct pci_function pci;
    struct packet_sink *sink;
    struct region mmio, rom;
    uint8_t *scratch; /* a frame under construction */
    uint8_t mac[NIC_ADDRESS];
    bool is_plus; /* an RTL8139C+, else an RTL8139C */
    bool is_transmitting, is_receiving; /* in the middle of it: a descriptor may point at our own registers */
    uint8_t pad_flags_[7];
    struct event timer;   /* TIMERINT */
    struct event tx_more; /* the rest of a list */
    uint64_t timer_base_ns; /* when TCTR was 0 */
    uint64_t tally[RTL8139_COUNTERS];
    uint8_t regs[RTL8139_SPAN];
    uint32_t tx_descriptor[2], rx_descriptor; /* the next ones; of the normal and the high priority list */
    struct at93c46 eeprom;
    bool is_link_up; /* the cable */
    uint8_t pad_[7];
};

static inline uint16_t rtl8139_word(const struct rtl8139 *nic, unsigned reg) { return load_le16(&nic->regs[reg]); }
static inline uint32_t rtl8139_long(const struct rtl8139 *nic, unsigned reg) { return load_le32(&nic->regs[reg]); }

void rtl8139_interrupt(struct rtl8139 *nic, unsigned causes);

/* TSD `number` was written with OWN clear. */
void rtl8139_transmit(struct rtl8139 *nic, unsigned number);
/* TPPOLL: the descriptors of list 0 (normal) or 1 (high priority). */
void rtl8139_transmit_list(struct rtl8139 *nic, unsigned list);
/* The ring has no room for a frame of full size. */
bool rtl8139_is_ring_full(const struct rtl8139 *nic);
bool rtl8139_receive(struct rtl8139 *nic, const uint8_t *frame, size_t size);

#endif
