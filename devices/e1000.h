/* e1000.h - what the files of the 82540EM share: registers by the manual's names and offsets, and the chip. */
#ifndef DEVICES_E1000_H
#define DEVICES_E1000_H

#include "devices/at93c46.h"
#include "devices/nic.h"

enum { E1000_SPAN = 0x6000, E1000_BAR = 0x20000, E1000_PORTS = 64, E1000_SCRATCH = 0x10000 + 512, E1000_PHY_REGISTERS = 32 };

/* Offsets (PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, table 13-2). */
enum {
    CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, CTRL_EXT = 0x0018, MDIC = 0x0020, FCAL = 0x0028,
    FCAH = 0x002c, FCT = 0x0030, VET = 0x0038, ICR = 0x00c0, ITR = 0x00c4, ICS = 0x00c8, IMS = 0x00d0, IMC = 0x00d8,
    RCTL = 0x0100, FCTTV = 0x0170, TXCW = 0x0178, RXCW = 0x0180, TCTL = 0x0400, TIPG = 0x0410, AIT = 0x0458,
    LEDCTL = 0x0e00, PBA = 0x1000, FCRTL = 0x2160, FCRTH = 0x2168, RDBAL = 0x2800, RDBAH = 0x2804, RDLEN = 0x2808,
    RDH = 0x2810, RDT = 0x2818, RDTR = 0x2820, RXDCTL = 0x2828, RADV = 0x282c, RSRPD = 0x2c00, TDBAL = 0x3800,
    TDBAH = 0x3804, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, TIDV = 0x3820, TXDCTL = 0x3828, TADV = 0x382c,
    TSPMT = 0x3830, STATISTICS = 0x4000, PRC64 = 0x405c, GPRC = 0x4074, BPRC = 0x4078, MPRC = 0x407c, GPTC = 0x4080,
    GORCL = 0x4088, GOTCL = 0x4090, ROC = 0x40ac, TORL = 0x40c0, TOTL = 0x40c8, TPR = 0x40d0, TPT = 0x40d4,
    PTC64 = 0x40d8, MPTC = 0x40f0, BPTC = 0x40f4, TSCTC = 0x40f8, STATISTICS_END = 0x4100, RXCSUM = 0x5000,
    MTA = 0x5200, RAL = 0x5400, RAH = 0x5404, RA_END = 0x5480, VFTA = 0x5600, VFTA_END = 0x5800, WUC = 0x5800
};

enum {
    CTRL_FD = 0x1, CTRL_SLU = 0x40, CTRL_RST = 1 << 26, CTRL_VME = 1 << 30,
    STATUS_FD = 0x1, STATUS_LU = 0x2, STATUS_SPEED_1000 = 0x280,

    ICR_TXDW = 0x01, ICR_TXQE = 0x02, ICR_LSC = 0x04, ICR_RXDMT0 = 0x10, ICR_RXT0 = 0x80, ICR_MDAC = 0x200,
    ICR_SRPD = 0x10000,

    RCTL_EN = 0x2, RCTL_UPE = 0x8, RCTL_MPE = 0x10, RCTL_LPE = 0x20, RCTL_LBM = 0xc0, RCTL_BAM = 0x8000,
    RCTL_VFE = 1 << 18, RCTL_BSEX = 1 << 25, RCTL_SECRC = 1 << 26,
    TCTL_EN = 0x2, TCTL_PSP = 0x8,
    RXCSUM_IPOFL = 0x100, RXCSUM_TUOFL = 0x200
};

/* The last context descriptor (3.3.6). */
struct e1000_context {
    uint8_t ipcss, ipcso, tucss, tucso; /* start and offset of the checksums */
    uint16_t ipcse, tucse;              /* where they end; 0: with the packet */
    uint32_t payload;
    uint16_t mss;
    uint8_t header;
    uint8_t command; /* TUCMD */
};

struct e1000 {
    struct device dev;
    struct pci_function pci;
    struct packet_sink *sink;
    struct region mmio, rom;
    uint8_t *scratch; /* a frame under construction */
    uint8_t mac[NIC_ADDRESS];
    bool is_transmitting, is_receiving; /* in the middle of it: a descriptor may point at our own registers */
    struct event throttle; /* the wire may rise again */
    struct event tx_delay, rx_delay; /* TIDV and RDTR run out */
    struct event tx_more;  /* the rest of a long list */
    uint64_t raised_ns;    /* when the wire last rose */
    uint64_t tx_absolute_ns, rx_absolute_ns; /* TADV and RADV run out; CLOCK_NEVER when they do not run */
    uint32_t regs[E1000_SPAN / 4];
    struct e1000_context context, tso_context; /* of plain packets; of those to be segmented */
    uint16_t phy[E1000_PHY_REGISTERS];
    struct at93c46 eeprom;
    uint32_t io_address;
    bool is_link_up;  /* the cable */
    bool is_raised;   /* INTA# */
    uint8_t pad_[6];
};

static inline uint32_t *e1000_reg(struct e1000 *nic, unsigned offset) { return &nic->regs[offset / 4]; }
#define REG(nic, offset) (*e1000_reg(nic, offset))

/* Interrupt causes, and the wire after a change of ICR, IMS or ITR. */
void e1000_interrupt(struct e1000 *nic, uint32_t causes);
/* Adds one to a counter of 32 bits, or `amount` to one of 64, which stop at their maximum. */
void e1000_count(struct e1000 *nic, unsigned offset);
void e1000_count_octets(struct e1000 *nic, unsigned offset, uint32_t amount);
/* Counts a frame by its size, FCS included: `offset` is PRC64 or PTC64. */
void e1000_count_size(struct e1000 *nic, unsigned offset, size_t size);

void e1000_transmit(struct e1000 *nic);
bool e1000_receive(struct e1000 *nic, const uint8_t *frame, size_t size);

#endif
