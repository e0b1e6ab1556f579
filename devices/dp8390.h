/* dp8390.h - the network controller of NE2000 boards: National DP8390D, with its 16 KiB of packet memory and its PROM. */
#ifndef DEVICES_DP8390_H
#define DEVICES_DP8390_H

#include "devices/nic.h"

enum {
    DP8390_REGISTERS = 16,
    DP8390_DATA = 0x10,  /* to 17h: the remote DMA port */
    DP8390_RESET = 0x18, /* to 1Fh */
    DP8390_PORTS = 0x20,
    DP8390_PROM = 32,
    DP8390_RAM = 0x4000,     /* also where it starts */
    DP8390_RAM_SIZE = 0x4000,
    DP8390_MULTICAST = 8
};

struct dp8390 {
    struct device *device;     /* wired */
    struct packet_sink *sink;  /* wired */
    void (*update)(struct device *dev, bool level); /* wired: the interrupt output changes */
    uint8_t prom[DP8390_PROM]; /* wired: 16 bytes, each twice */
    struct event remind; /* PRX again, as the ring was left full */
    /* Registers by the datasheet's names. */
    uint16_t remote_address; /* CRDA */
    uint16_t remote_count;   /* RBCR */
    uint16_t remote_start;   /* RSAR */
    uint16_t transmit_count; /* TBCR */
    uint8_t command;         /* CR */
    uint8_t page_start, page_stop, boundary, current; /* PSTART, PSTOP, BNRY, CURR */
    uint8_t transmit_page;   /* TPSR */
    uint8_t transmit_status; /* TSR */
    uint8_t receive_status;  /* RSR */
    uint8_t interrupt_status, interrupt_mask;         /* ISR, IMR */
    uint8_t data_configuration;                       /* DCR */
    uint8_t transmit_configuration, receive_configuration; /* TCR, RCR */
    uint8_t collisions;      /* NCR */
    uint8_t counters[3];     /* CNTR0 to CNTR2 */
    uint8_t address[NIC_ADDRESS]; /* PAR */
    uint8_t multicast[DP8390_MULTICAST]; /* MAR */
    bool is_link_up;
    uint8_t ram[DP8390_RAM_SIZE];
    uint8_t pad_[8];
};
extern const struct field dp8390_fields[];

/* `dp8390->prom` gets the station address; the rest of the struct is zero. */
bool dp8390_init(struct dp8390 *chip, struct device *dev, const struct property *properties, struct error *err);
void dp8390_reset(struct dp8390 *chip);
/* Accesses of 1 byte to registers and reset, of 1, 2 or 4 bytes to the data port. */
uint32_t dp8390_read(struct dp8390 *chip, unsigned reg, unsigned size);
void dp8390_write(struct dp8390 *chip, unsigned reg, unsigned size, uint32_t value);
bool dp8390_receive(struct dp8390 *chip, const uint8_t *frame, size_t size);

#endif
