/* ide.h - what the files of the PIIX3's IDE function share: drives, channels and the bus master's engine.
 *
 * piix3_ide.c is the PCI function and its ports, ide_channel.c the task file, device selection, reset and INTRQ of one
 * cable, ide_ata.c a disk, ide_atapi.c a CD-ROM drive and ide_dma.c the bus master. Only piix3_ide_class and
 * piix3_ide_set_medium() are for others. */
#ifndef DEVICES_IDE_H
#define DEVICES_IDE_H

#include "devices/backend.h"
#include "devices/device.h"
#include "devices/pci.h"

/* ATA/ATAPI-6, 7.15 Status register. */
enum {
    STATUS_ERR = 0x01, /* CHK for packet commands */
    STATUS_DRQ = 0x08,
    STATUS_DSC = 0x10, /* SERV for packet commands */
    STATUS_DF = 0x20,
    STATUS_DRDY = 0x40,
    STATUS_BSY = 0x80,
};

/* 7.9 Error register. */
enum { ERROR_ABRT = 0x04, ERROR_IDNF = 0x10, ERROR_UNC = 0x40 };

/* 7.8 Device Control register. */
enum { CONTROL_NIEN = 0x02, CONTROL_SRST = 0x04, CONTROL_HOB = 0x80 };

/* 7.10 Device register. */
enum { DEVICE_HEAD = 0x0f, DEVICE_DEV = 0x10, DEVICE_OBSOLETE = 0xa0, DEVICE_LBA = 0x40 };

/* Interrupt reason, in the Sector Count register of packet commands. */
enum { REASON_COD = 0x01, REASON_IO = 0x02 };

/* Bus Master IDE registers (82371SB, 2.7.1 and 2.7.2). */
enum {
    BM_COMMAND_START = 0x01,
    BM_COMMAND_TO_MEMORY = 0x08,
    BM_STATUS_ACTIVE = 0x01,
    BM_STATUS_ERROR = 0x02,
    BM_STATUS_INTERRUPT = 0x04,
    BM_STATUS_CAPABLE = 0x60, /* drive 0 and 1 set up for DMA by software; read-write, without effect */
};

enum {
    IDE_BUFFER_SIZE = 8192,   /* sixteen sectors: the largest block of READ MULTIPLE */
    IDE_SCRATCH_SIZE = 65536, /* pieces of a DMA transfer; empty between events */
    IDE_MULTIPLE_MAX = IDE_BUFFER_SIZE / SECTOR_SIZE,
};

/* Guest time that things take. Fixed, so that runs are deterministic; of the order of a fast drive with a full cache. */
enum {
    IDE_COMMAND_NS = 5000,    /* command written until the drive has looked at it */
    IDE_BLOCK_NS = 20000,     /* a PIO block is read from or written to the medium */
    IDE_DMA_NS = 15000,       /* before the first byte of a DMA transfer */
    IDE_DMA_NS_PER_BYTE = 10, /* 100 MB/s */
    IDE_RESET_NS = 500000,
};

enum ide_kind { IDE_ABSENT, IDE_ATA, IDE_ATAPI };

/* What a drive is doing. BSY is set in all of them but IDLE, DATA_IN, DATA_OUT and PACKET. */
enum ide_phase {
    IDE_IDLE,
    IDE_COMMAND,  /* the event executes the command */
    IDE_DATA_IN,  /* DRQ: the host reads buffer[position..end) */
    IDE_DATA_OUT, /* DRQ: the host writes buffer[position..end) */
    IDE_NEXT_IN,  /* the event fetches the next block for the host */
    IDE_NEXT_OUT, /* the event stores the block the host has written */
    IDE_DMA,      /* asks for DMA; the event moves the data once the bus master is started */
    IDE_PACKET,   /* DRQ: the host writes a command packet */
    IDE_EXECUTE,  /* the event executes the packet */
    IDE_RESET,    /* the event ends the reset */
    IDE_PHASES
};

struct ide_channel;

struct ide_drive {
    struct ide_channel *channel;
    struct block_backend *backend; /* NULL for an absent drive; a CD drive without a disc has none or one of 0 sectors */
    struct event event;
    uint8_t kind; /* enum ide_kind, wired */
    uint8_t unit; /* 0 to 3, wired */

    uint8_t phase; /* enum ide_phase */
    uint8_t command;
    bool is_intrq; /* interrupt pending; cleared by reading Status */

    /* Task file; [1] is the previous content that 48-bit commands take as high byte. */
    uint8_t error;
    uint8_t status;
    uint8_t device;
    uint8_t feature[2];
    uint8_t count[2];
    uint8_t lba_low[2];
    uint8_t lba_mid[2];
    uint8_t lba_high[2];

    /* The transfer under way. */
    bool is_write;
    bool is_medium;       /* data comes from the medium block by block, not from `buffer` alone */
    uint16_t block_bytes; /* CD: bytes the host gets for each block */
    uint8_t pad1_[2];
    uint64_t next;        /* sector or CD block to transfer next */
    uint64_t left;        /* sectors or CD blocks left */
    uint32_t position;    /* next byte of the buffer */
    uint32_t end;         /* end of what the host may transfer now; never above IDE_BUFFER_SIZE */
    uint32_t filled;      /* packet commands: bytes in the buffer */
    uint32_t drq_left;    /* packet commands: bytes of this DRQ block that are still to be offered after `end` */
    uint32_t byte_limit;  /* packet commands: largest DRQ block the host takes */

    /* ATA settings. */
    uint8_t heads;
    uint8_t sectors;  /* per track, of the current translation */
    uint8_t multiple; /* sectors per block of READ and WRITE MULTIPLE; 0: not enabled */
    uint8_t transfer_mode; /* as last given to SET FEATURES 03h */
    uint8_t power_mode;    /* as CHECK POWER MODE answers */
    bool is_asleep;
    bool is_write_cache_on;
    bool is_look_ahead_on;
    bool is_smart_on;

    /* CD-ROM drive. */
    bool is_locked;
    bool is_tray_open;
    bool is_attention; /* unit attention to report: asc and ascq as below */
    bool is_dma_packet;
    uint8_t attention_asc;
    uint8_t attention_ascq;
    uint8_t sense_key;
    uint8_t sense_asc;
    uint8_t sense_ascq;
    uint8_t media_event; /* GET EVENT STATUS NOTIFICATION, media class: not yet reported; 0 none */
    uint8_t packet[12];
    uint8_t pad2_[5];

    uint8_t buffer[IDE_BUFFER_SIZE];
};

struct piix3_ide;

struct ide_channel {
    struct piix3_ide *ide;
    uint8_t *scratch; /* IDE_SCRATCH_SIZE bytes, owned; nothing lives in it between events */
    struct ide_drive drives[2];

    uint8_t number; /* wired: 0 primary, 1 secondary */
    uint8_t select; /* drive that the Device register's DEV bit chose */
    uint8_t control;
    bool is_irq; /* the interrupt line */

    uint8_t bm_command;
    uint8_t bm_status;
    bool is_prd_last; /* the descriptor under way has EOT */
    uint8_t pad_[1];
    uint32_t prd_table;   /* as programmed */
    uint32_t prd_next;    /* address of the next descriptor */
    uint32_t prd_address; /* memory of the descriptor under way */
    uint32_t prd_left;    /* bytes left in it */
};

struct piix3_ide {
    struct device dev;
    struct pci_function pci;
    struct irq irq14;
    struct irq irq15;
    struct ide_channel channels[2];
};

extern const struct device_class piix3_ide_class;

/* Puts `medium` into CD drive `drive` (0 to 3), or takes the disc out when it is NULL or has no sectors. The caller owns
 * `medium` and keeps it until it is replaced. A drive that the guest locked refuses (and tells the guest that the button
 * was pressed) unless `is_forced`. Returns false with `err` set. */
bool piix3_ide_set_medium(struct device *dev, unsigned drive, struct block_backend *medium, bool is_forced,
                          struct error *err);
/* Whether drive `drive` is a CD-ROM drive; `*is_locked` and `*is_tray_open` (may be NULL) tell its state. */
bool piix3_ide_is_cd(struct device *dev, unsigned drive, bool *is_locked, bool *is_tray_open);

/* ---- ide_channel.c: one cable ---- */

extern const struct field ide_channel_fields[];

/* Registers 0 to 7 of the command block. Register 0 takes 2 and 4 bytes, all others take one. */
uint32_t ide_data_read(struct ide_channel *channel, unsigned size);
void ide_data_write(struct ide_channel *channel, unsigned size, uint32_t value);
uint8_t ide_register_read(struct ide_channel *channel, unsigned reg);
void ide_register_write(struct ide_channel *channel, unsigned reg, uint8_t value);
uint8_t ide_alternate_status(struct ide_channel *channel);
void ide_control_write(struct ide_channel *channel, uint8_t value);
void ide_channel_reset(struct ide_channel *channel);
/* Puts what a snapshot gave into range. */
void ide_channel_loaded(struct ide_channel *channel);
void ide_update_irq(struct ide_channel *channel);

/* The drive's state machine, used by ide_ata.c and ide_atapi.c. */
void ide_drive_event(void *drive);
/* BSY, and `phase` when the event comes after `delay_ns`. */
void ide_busy(struct ide_drive *drive, enum ide_phase phase, uint64_t delay_ns);
/* Offers buffer[0..size) to the host (DATA_IN) or asks for it (DATA_OUT, PACKET). */
void ide_offer(struct ide_drive *drive, enum ide_phase phase, uint32_t size);
/* Ends the command; `error` 0 is success. Interrupts. */
void ide_complete(struct ide_drive *drive, uint8_t error);
void ide_interrupt(struct ide_drive *drive);
/* 9.12 Signature, after resets and diagnostics. */
void ide_set_signature(struct ide_drive *drive);
/* Sets up the transfer of `drive` as nothing under way, and cancels its event. */
void ide_forget_transfer(struct ide_drive *drive);
struct device *ide_device(struct ide_drive *drive);
/* Text of IDENTIFY data: space padded, two characters a word, first one in the high byte. */
void ide_put_text(uint8_t *words, const char *text, unsigned size);

/* ---- ide_ata.c ---- */

void ata_reset(struct ide_drive *drive, bool is_power_on);
void ata_execute(struct ide_drive *drive);
void ata_next_in(struct ide_drive *drive);
void ata_next_out(struct ide_drive *drive);
void ata_dma(struct ide_drive *drive);

/* ---- ide_atapi.c ---- */

void atapi_reset(struct ide_drive *drive, bool is_power_on);
void atapi_execute(struct ide_drive *drive);
void atapi_packet(struct ide_drive *drive);
/* The host has taken what `position` to `end` held. */
void atapi_drained(struct ide_drive *drive);
void atapi_next_in(struct ide_drive *drive);
void atapi_dma(struct ide_drive *drive);
void atapi_set_medium(struct ide_drive *drive, struct block_backend *medium);
void atapi_eject_request(struct ide_drive *drive);

/* ---- ide_dma.c: the bus master ---- */

extern const struct port_ops ide_bus_master_ops;

/* The drive asks for DMA of what its transfer has left: phase IDE_DMA, and the event follows when the bus master has been
 * started in the right direction. */
void ide_dma_request(struct ide_drive *drive);
/* Moves up to `size` bytes between `bytes` and the memory that the descriptors name, in the direction of the drive's
 * transfer. Returns how many; fewer when the table ended or memory did not answer: the drive then keeps asking. */
size_t ide_dma_move(struct ide_drive *drive, uint8_t *bytes, size_t size);
void ide_dma_reset(struct ide_channel *channel);

#endif
