/* ide_channel.c - one IDE cable: task file of two drives, device selection, resets, the data port and INTRQ.
 *
 * ATA/ATAPI-6 (T13 1410D revision 3b): chapter 7 (registers), 9.1 to 9.3 (reset), 9.5 to 9.9 (protocols), 9.12 (signature)
 * and 9.16.1 (one device only). Both drives take what is written to the command block; the chosen one answers.
 *
 * Not implemented: overlapped and queued commands, CSEL, the Drive Address register (3F7h belongs to the floppy
 * controller). While the chosen drive is busy, writes to the command block are ignored, except DEVICE RESET. */
#include "devices/ide.h"

enum {
    REG_DATA = 0,
    REG_ERROR = 1, /* Features when written */
    REG_COUNT = 2,
    REG_LBA_LOW = 3,
    REG_LBA_MID = 4,
    REG_LBA_HIGH = 5,
    REG_DEVICE = 6,
    REG_STATUS = 7, /* Command when written */
};

enum { CMD_DEVICE_RESET = 0x08, CMD_EXECUTE_DIAGNOSTIC = 0x90 };

/* What a cable without drives reads: DD7 is pulled down (ATA/ATAPI-6, annex on cabling), the other lines float high. */
enum { FLOATING = 0x7f };

#define S struct ide_drive
static const struct field ide_drive_fields[] = {
    WIRED(S, channel, "its cable"),
    WIRED(S, backend, "disk image"),
    FIELD_EVENT(S, event, "next step of the command under way"),
    WIRED(S, kind, "0 absent, 1 ATA, 2 ATAPI"),
    WIRED(S, unit, "0 to 3"),
    FIELD(S, phase, "what the drive does: enum ide_phase"),
    FIELD(S, command, "last command"),
    FIELD(S, is_intrq, "interrupt pending"),
    FIELD(S, error, "Error register"),
    FIELD(S, status, "Status register"),
    FIELD(S, device, "Device register"),
    FIELD(S, feature, "Features register and its previous content"),
    FIELD(S, count, "Sector Count register and its previous content"),
    FIELD(S, lba_low, "LBA Low register (Sector Number) and its previous content"),
    FIELD(S, lba_mid, "LBA Mid register (Cylinder Low) and its previous content"),
    FIELD(S, lba_high, "LBA High register (Cylinder High) and its previous content"),
    FIELD(S, is_write, "the transfer goes to the drive"),
    FIELD(S, is_medium, "the transfer is of sectors, not of the buffer alone"),
    FIELD(S, block_bytes, "bytes of each CD block for the host"),
    PAD(S, pad1_),
    FIELD(S, next, "next sector or CD block"),
    FIELD(S, left, "sectors or CD blocks left"),
    FIELD(S, position, "next byte of the buffer"),
    FIELD(S, end, "end of what the host may transfer now"),
    FIELD(S, filled, "bytes in the buffer (packet commands)"),
    FIELD(S, drq_left, "bytes of this DRQ block beyond the buffer"),
    FIELD(S, byte_limit, "largest DRQ block the host takes"),
    FIELD(S, heads, "heads of the current translation"),
    FIELD(S, sectors, "sectors per track of the current translation"),
    FIELD(S, multiple, "sectors per block of READ MULTIPLE, 0 disabled"),
    FIELD(S, transfer_mode, "SET FEATURES 03h"),
    FIELD(S, power_mode, "as CHECK POWER MODE answers"),
    FIELD(S, is_asleep, "only a reset wakes it"),
    FIELD(S, is_write_cache_on, NULL),
    FIELD(S, is_look_ahead_on, NULL),
    FIELD(S, is_smart_on, NULL),
    FIELD(S, is_locked, "PREVENT MEDIUM REMOVAL"),
    FIELD(S, is_tray_open, NULL),
    FIELD(S, is_attention, "unit attention to report"),
    FIELD(S, is_dma_packet, "the packet command asked for DMA"),
    FIELD(S, attention_asc, NULL),
    FIELD(S, attention_ascq, NULL),
    FIELD(S, sense_key, NULL),
    FIELD(S, sense_asc, NULL),
    FIELD(S, sense_ascq, NULL),
    FIELD(S, media_event, "media event not yet reported"),
    FIELD(S, packet, "command packet under way"),
    PAD(S, pad2_),
    FIELD(S, buffer, "sector buffer"),
    FIELD_END,
};
#undef S

#define S struct ide_channel
const struct field ide_channel_fields[] = {
    WIRED(S, ide, "the PCI function"),
    WIRED(S, scratch, "empty between events"),
    FIELD_STRUCT(S, drives, struct ide_drive, ide_drive_fields, "device 0 and device 1"),
    WIRED(S, number, "0 primary, 1 secondary"),
    FIELD(S, select, "chosen device"),
    FIELD(S, control, "Device Control register"),
    FIELD(S, is_irq, "interrupt line"),
    FIELD(S, bm_command, "bus master command register"),
    FIELD(S, bm_status, "bus master status register"),
    FIELD(S, is_prd_last, "the descriptor under way ends the table"),
    PAD(S, pad_),
    FIELD(S, prd_table, "descriptor table pointer"),
    FIELD(S, prd_next, "address of the next descriptor"),
    FIELD(S, prd_address, "memory address within the descriptor under way"),
    FIELD(S, prd_left, "bytes left in the descriptor under way"),
    FIELD_END,
};
#undef S

struct device *ide_device(struct ide_drive *drive)
{
    return &drive->channel->ide->dev;
}

static inline struct ide_drive *chosen(struct ide_channel *channel)
{
    return &channel->drives[channel->select & 1];
}

/* INTRQ of the chosen drive, unless nIEN floats it. The bus master remembers its rising edge. */
void ide_update_irq(struct ide_channel *channel)
{
    const struct ide_drive *drive = chosen(channel);
    bool level = drive->kind != IDE_ABSENT && drive->is_intrq && !(channel->control & CONTROL_NIEN);

    if (level && !channel->is_irq) {
        channel->bm_status |= BM_STATUS_INTERRUPT;
    }
    channel->is_irq = level;
    irq_set(channel->number == 0 ? &channel->ide->irq14 : &channel->ide->irq15, level);
}

/* ---- A drive's steps ---- */

void ide_interrupt(struct ide_drive *drive)
{
    drive->is_intrq = true;
    ide_update_irq(drive->channel);
}

void ide_busy(struct ide_drive *drive, enum ide_phase phase, uint64_t delay_ns)
{
    drive->phase = (uint8_t)phase;
    drive->status = (uint8_t)((drive->status & ~(STATUS_DRQ | STATUS_ERR | STATUS_DF)) | STATUS_BSY);
    event_at(&drive->event, clock_now(ide_device(drive)->clock) + delay_ns);
}

void ide_offer(struct ide_drive *drive, enum ide_phase phase, uint32_t size)
{
    drive->phase = (uint8_t)phase;
    drive->position = 0;
    drive->end = size;
    drive->status = STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
}

void ide_forget_transfer(struct ide_drive *drive)
{
    event_cancel(&drive->event);
    drive->phase = IDE_IDLE;
    drive->position = 0;
    drive->end = 0;
    drive->filled = 0;
    drive->drq_left = 0;
    drive->left = 0;
    drive->is_medium = false;
    drive->is_write = false;
}

void ide_complete(struct ide_drive *drive, uint8_t error)
{
    ide_forget_transfer(drive);
    drive->error = error;
    drive->status = STATUS_DRDY | STATUS_DSC | (error != 0 ? STATUS_ERR : 0);
    ide_interrupt(drive);
}

void ide_set_signature(struct ide_drive *drive)
{
    bool is_atapi = drive->kind == IDE_ATAPI;

    drive->count[0] = 1;
    drive->lba_low[0] = 1;
    drive->lba_mid[0] = is_atapi ? 0x14 : 0;
    drive->lba_high[0] = is_atapi ? 0xeb : 0;
    drive->device &= (uint8_t)~DEVICE_HEAD;
}

void ide_put_text(uint8_t *words, const char *text, unsigned size)
{
    for (unsigned n = 0; n < size; n++) {
        words[n ^ 1] = *text != '\0' ? (uint8_t)*text++ : (uint8_t)' ';
    }
}

/* End of SRST, DEVICE RESET or EXECUTE DEVICE DIAGNOSTIC: the drive passed its test. */
static void finish_reset(struct ide_drive *drive)
{
    ide_forget_transfer(drive);
    if (drive->kind == IDE_ATA) {
        ata_reset(drive, false);
    } else {
        atapi_reset(drive, false);
    }
    if (drive->command == CMD_EXECUTE_DIAGNOSTIC && drive == &drive->channel->drives[0]) {
        ide_interrupt(drive);
    }
}

static void start_reset(struct ide_drive *drive, uint8_t command)
{
    ide_forget_transfer(drive);
    drive->command = command;
    drive->phase = IDE_RESET;
    drive->status = STATUS_BSY;
    drive->is_intrq = false;
}

void ide_drive_event(void *owner)
{
    struct ide_drive *drive = owner;
    bool is_ata = drive->kind == IDE_ATA;

    if (drive->kind == IDE_ABSENT) {
        return;
    }
    switch (drive->phase) {
    case IDE_COMMAND:
        if (is_ata) {
            ata_execute(drive);
        } else {
            atapi_execute(drive);
        }
        break;
    case IDE_NEXT_IN:
        if (is_ata) {
            ata_next_in(drive);
        } else {
            atapi_next_in(drive);
        }
        break;
    case IDE_NEXT_OUT:
        if (is_ata) {
            ata_next_out(drive);
        } else {
            ide_complete(drive, ERROR_ABRT);
        }
        break;
    case IDE_DMA:
        if (is_ata) {
            ata_dma(drive);
        } else {
            atapi_dma(drive);
        }
        break;
    case IDE_EXECUTE:
        if (is_ata) {
            ide_complete(drive, ERROR_ABRT);
        } else {
            atapi_packet(drive);
        }
        break;
    case IDE_RESET:
        finish_reset(drive);
        break;
    default: break;
    }
}

/* ---- Data port ---- */

/* The host has transferred buffer[0..end). */
static void data_drained(struct ide_drive *drive)
{
    if (drive->phase == IDE_PACKET) {
        ide_busy(drive, IDE_EXECUTE, IDE_BLOCK_NS);
    } else if (drive->phase == IDE_DATA_OUT) {
        ide_busy(drive, IDE_NEXT_OUT, IDE_BLOCK_NS);
    } else if (drive->kind == IDE_ATAPI && drive->command == 0xa0) {
        atapi_drained(drive);
    } else if (drive->is_medium && drive->left != 0) {
        ide_busy(drive, IDE_NEXT_IN, IDE_BLOCK_NS);
    } else {
        ide_forget_transfer(drive);
        drive->status = STATUS_DRDY | STATUS_DSC;
    }
}

/* One cycle on the cable is always of 16 bits; of an odd last byte the high half is padding. */
static uint16_t data_read16(struct ide_drive *drive)
{
    if (drive->phase != IDE_DATA_IN) {
        return 0xffff;
    }
    uint16_t value = load_le16(&drive->buffer[drive->position]);
    drive->position += 2;
    if (drive->position >= drive->end) {
        data_drained(drive);
    }
    return value;
}

static void data_write16(struct ide_drive *drive, uint16_t value)
{
    if (drive->phase != IDE_DATA_OUT && drive->phase != IDE_PACKET) {
        return;
    }
    store_le16(&drive->buffer[drive->position], value);
    drive->position += 2;
    if (drive->position >= drive->end) {
        data_drained(drive);
    }
}

uint32_t ide_data_read(struct ide_channel *channel, unsigned size)
{
    struct ide_drive *drive = chosen(channel);

    if (size == 4) {
        if (drive->phase == IDE_DATA_IN && drive->position + 4 < drive->end) {
            uint32_t value = load_le32(&drive->buffer[drive->position]);
            drive->position += 4;
            return value;
        }
        uint32_t low = data_read16(drive);
        return low | (uint32_t)data_read16(drive) << 16;
    }
    uint16_t value = data_read16(drive);
    return size == 1 ? (uint8_t)value : value;
}

void ide_data_write(struct ide_channel *channel, unsigned size, uint32_t value)
{
    struct ide_drive *drive = chosen(channel);

    data_write16(drive, (uint16_t)value);
    if (size == 4) {
        data_write16(drive, (uint16_t)(value >> 16));
    }
}

/* ---- Task file ---- */

/* The drive that answers for the chosen one: itself, device 0 for an absent device 1, or NULL: nobody. */
static struct ide_drive *responder(struct ide_channel *channel)
{
    struct ide_drive *drive = chosen(channel);

    if (drive->kind != IDE_ABSENT) {
        return drive;
    }
    return channel->drives[0].kind != IDE_ABSENT ? &channel->drives[0] : NULL;
}

uint8_t ide_alternate_status(struct ide_channel *channel)
{
    struct ide_drive *drive = responder(channel);

    if (drive == NULL) {
        return FLOATING;
    }
    /* 9.16.1: device 0 answers 00h for device 1. */
    return drive == chosen(channel) ? drive->status : 0;
}

uint8_t ide_register_read(struct ide_channel *channel, unsigned reg)
{
    struct ide_drive *drive = responder(channel);
    unsigned previous = (channel->control & CONTROL_HOB) != 0;

    if (drive == NULL) {
        return FLOATING;
    }
    switch (reg) {
    case REG_ERROR: return drive->error;
    case REG_COUNT: return drive->count[previous];
    case REG_LBA_LOW: return drive->lba_low[previous];
    case REG_LBA_MID: return drive->lba_mid[previous];
    case REG_LBA_HIGH: return drive->lba_high[previous];
    case REG_DEVICE: return drive->device | DEVICE_OBSOLETE;
    case REG_STATUS:
        if (drive == chosen(channel) && drive->is_intrq) {
            drive->is_intrq = false;
            ide_update_irq(channel);
        }
        return ide_alternate_status(channel);
    default: return 0xff;
    }
}

static void put(uint8_t reg[2], uint8_t value)
{
    reg[1] = reg[0];
    reg[0] = value;
}

static void write_command(struct ide_channel *channel, uint8_t command)
{
    struct ide_drive *drive = chosen(channel);

    if (command == CMD_DEVICE_RESET && drive->kind == IDE_ATAPI && drive->phase != IDE_RESET) {
        start_reset(drive, command);
        event_at(&drive->event, clock_now(ide_device(drive)->clock) + IDE_RESET_NS);
        ide_update_irq(channel);
        return;
    }
    if (drive->status & (STATUS_BSY | STATUS_DRQ)) {
        return;
    }
    if (command == CMD_EXECUTE_DIAGNOSTIC) {
        channel->select = 0;
        for (unsigned n = 0; n < 2; n++) {
            struct ide_drive *each = &channel->drives[n];
            if (each->kind != IDE_ABSENT) {
                start_reset(each, command);
                each->device = 0;
                event_at(&each->event, clock_now(ide_device(each)->clock) + IDE_RESET_NS);
            }
        }
        ide_update_irq(channel);
        return;
    }
    if (drive->kind == IDE_ABSENT || drive->is_asleep) {
        return;
    }
    ide_forget_transfer(drive);
    drive->command = command;
    drive->is_intrq = false;
    drive->error = 0;
    ide_update_irq(channel);
    ide_busy(drive, IDE_COMMAND, IDE_COMMAND_NS);
}

void ide_register_write(struct ide_channel *channel, unsigned reg, uint8_t value)
{
    channel->control &= (uint8_t)~CONTROL_HOB;
    if (reg == REG_STATUS) {
        write_command(channel, value);
        return;
    }
    if (chosen(channel)->status & STATUS_BSY) {
        return;
    }
    for (unsigned n = 0; n < 2; n++) {
        struct ide_drive *drive = &channel->drives[n];
        if (drive->kind == IDE_ABSENT || (drive->status & STATUS_BSY)) {
            continue;
        }
        switch (reg) {
        case REG_ERROR: put(drive->feature, value); break;
        case REG_COUNT: put(drive->count, value); break;
        case REG_LBA_LOW: put(drive->lba_low, value); break;
        case REG_LBA_MID: put(drive->lba_mid, value); break;
        case REG_LBA_HIGH: put(drive->lba_high, value); break;
        case REG_DEVICE: drive->device = value; break;
        default: break;
        }
    }
    if (reg == REG_DEVICE) {
        channel->select = (value & DEVICE_DEV) != 0;
        ide_update_irq(channel);
    }
}

/* 9.2 Software reset: both drives are busy from SRST on, and test themselves once it is cleared. */
void ide_control_write(struct ide_channel *channel, uint8_t value)
{
    bool was_reset = (channel->control & CONTROL_SRST) != 0;
    bool is_reset = (value & CONTROL_SRST) != 0;

    channel->control = value & (CONTROL_NIEN | CONTROL_SRST | CONTROL_HOB);
    if (is_reset != was_reset) {
        channel->select = 0;
        for (unsigned n = 0; n < 2; n++) {
            struct ide_drive *drive = &channel->drives[n];
            if (drive->kind == IDE_ABSENT) {
                continue;
            }
            start_reset(drive, 0);
            drive->device = 0;
            if (was_reset) {
                event_at(&drive->event, clock_now(ide_device(drive)->clock) + IDE_RESET_NS);
            }
        }
    }
    ide_update_irq(channel);
}

/* RESET#. The drives are ready at once: firmware starts after they have spun up. */
void ide_channel_reset(struct ide_channel *channel)
{
    channel->select = 0;
    channel->control = 0;
    channel->is_irq = false;
    for (unsigned n = 0; n < 2; n++) {
        struct ide_drive *drive = &channel->drives[n];
        ide_forget_transfer(drive);
        drive->command = 0;
        drive->is_intrq = false;
        drive->device = 0;
        drive->heads = 16;
        drive->sectors = 63;
        drive->block_bytes = 2048;
        drive->byte_limit = 0xfffe;
        for (unsigned k = 0; k < 2; k++) {
            drive->feature[k] = 0;
            drive->count[k] = 0;
            drive->lba_low[k] = 0;
            drive->lba_mid[k] = 0;
            drive->lba_high[k] = 0;
        }
        if (drive->kind == IDE_ATA) {
            ata_reset(drive, true);
        } else if (drive->kind == IDE_ATAPI) {
            atapi_reset(drive, true);
        }
    }
    ide_dma_reset(channel);
    ide_update_irq(channel);
}

void ide_channel_loaded(struct ide_channel *channel)
{
    channel->select &= 1;
    for (unsigned n = 0; n < 2; n++) {
        struct ide_drive *drive = &channel->drives[n];
        if (drive->phase >= IDE_PHASES || drive->kind == IDE_ABSENT) {
            drive->phase = IDE_IDLE;
        }
        if (drive->end > IDE_BUFFER_SIZE || drive->filled > IDE_BUFFER_SIZE || (drive->position & 1) != 0 ||
            (drive->position >= drive->end &&
             (drive->phase == IDE_DATA_IN || drive->phase == IDE_DATA_OUT || drive->phase == IDE_PACKET))) {
            drive->position = 0;
            drive->end = SECTOR_SIZE;
            drive->filled = 0;
        }
        if (drive->block_bytes < 2048 || drive->block_bytes > 2352 || drive->byte_limit < 2) {
            drive->block_bytes = 2048;
            drive->byte_limit = 0xfffe;
        }
        if (drive->multiple > IDE_MULTIPLE_MAX || drive->heads == 0 || drive->sectors == 0) {
            drive->multiple = 0;
            drive->heads = 16;
            drive->sectors = 63;
        }
    }
}
