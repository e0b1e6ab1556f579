/* ide_dma.c - the bus master of one IDE channel: registers, descriptor table and data movement.
 *
 * Intel 82371FB/82371SB (PIIX/PIIX3) datasheet, 290550-002, 2.7 and 3.5, and "Programming Interface for Bus Master IDE
 * Controller", revision 1.0 (1994). A drive that asks for DMA gets an event once the bus master is started, and all of its
 * data moves at that event. Descriptors are the guest's: nothing in them is trusted, a table may not leave its 64 KiB.
 *
 * Not implemented: FIFO and bus timing; a transfer that is stopped before its event has moved nothing; a drive whose
 * descriptors run out in the middle of a sector offers that sector again. */
#include "devices/ide.h"

enum {
    BM_COMMAND = 0,
    BM_STATUS = 2,
    BM_TABLE = 4, /* four bytes */
    BM_CHANNEL = 8, /* registers of each channel */
};

enum { PRD_SIZE = 8, PRD_TABLE_MAX = 0x10000 };
#define PRD_EOT UINT32_C(0x80000000)

static uint64_t bytes_left(const struct ide_drive *drive)
{
    if (!drive->is_medium) {
        return drive->filled - drive->position;
    }
    return drive->left * (drive->kind == IDE_ATA ? SECTOR_SIZE : drive->block_bytes);
}

/* Lets the event of a drive that asks for DMA follow, if the engine runs in its direction. */
static void arrange(struct ide_drive *drive)
{
    const struct ide_channel *channel = drive->channel;
    bool is_to_memory = (channel->bm_command & BM_COMMAND_TO_MEMORY) != 0;

    if (drive->kind == IDE_ABSENT || drive->phase != IDE_DMA || event_is_armed(&drive->event) ||
        !(channel->bm_status & BM_STATUS_ACTIVE)) {
        return;
    }
    if (is_to_memory == drive->is_write) {
        device_log(ide_device(drive), LOG_GUEST, "bus master %u runs against the direction of command 0x%02x",
                   channel->number, drive->command);
        return;
    }
    event_at(&drive->event, clock_now(ide_device(drive)->clock) + IDE_DMA_NS + bytes_left(drive) * IDE_DMA_NS_PER_BYTE);
}

void ide_dma_request(struct ide_drive *drive)
{
    event_cancel(&drive->event);
    drive->phase = IDE_DMA;
    drive->status = (uint8_t)((drive->status & ~STATUS_DRQ) | STATUS_BSY);
    arrange(drive);
}

/* ---- Descriptors ---- */

static void abort_transfer(struct ide_channel *channel)
{
    channel->bm_status = (uint8_t)((channel->bm_status & ~BM_STATUS_ACTIVE) | BM_STATUS_ERROR);
}

/* Whether something answers at that address. Nobody does when the function may not be master. */
static bool is_answered(struct ide_channel *channel, uint32_t address)
{
    return pci_is_master(&channel->ide->pci) && space_lookup(channel->ide->dev.space, address, NULL) != NULL;
}

/* Fetches the next descriptor into prd_address and prd_left. */
static bool fetch_descriptor(struct ide_channel *channel)
{
    struct space *space = channel->ide->dev.space;
    uint32_t at = channel->prd_next;

    if (!is_answered(channel, at) || at - (channel->prd_table & ~UINT32_C(0xffff)) >= PRD_TABLE_MAX) {
        abort_transfer(channel);
        return false;
    }
    uint32_t base = (uint32_t)space_read(space, at, 4);
    uint32_t control = (uint32_t)space_read(space, at + 4, 4);
    uint32_t size = control & 0xfffe;
    channel->prd_address = base & ~UINT32_C(1);
    channel->prd_left = size != 0 ? size : 0x10000;
    channel->is_prd_last = (control & PRD_EOT) != 0;
    channel->prd_next = at + PRD_SIZE;
    return true;
}

size_t ide_dma_move(struct ide_drive *drive, uint8_t *bytes, size_t size)
{
    struct ide_channel *channel = drive->channel;
    struct space *space = channel->ide->dev.space;
    size_t done = 0;

    while (done < size && (channel->bm_status & BM_STATUS_ACTIVE)) {
        if (channel->prd_left == 0 && !fetch_descriptor(channel)) {
            break;
        }
        uint32_t piece = GUEST_PAGE_SIZE - (channel->prd_address & (GUEST_PAGE_SIZE - 1));
        piece = piece < channel->prd_left ? piece : channel->prd_left;
        piece = piece < size - done ? piece : (uint32_t)(size - done);
        if (!is_answered(channel, channel->prd_address)) {
            abort_transfer(channel);
            break;
        }
        if (drive->is_write) {
            space_read_bytes(space, channel->prd_address, bytes + done, piece);
        } else {
            space_write_bytes(space, channel->prd_address, bytes + done, piece);
        }
        done += piece;
        channel->prd_address += piece;
        channel->prd_left -= piece;
        if (channel->prd_left == 0 && channel->is_prd_last) {
            channel->bm_status &= (uint8_t)~BM_STATUS_ACTIVE;
        }
    }
    return done;
}

void ide_dma_reset(struct ide_channel *channel)
{
    channel->bm_command = 0;
    channel->bm_status = 0;
    channel->is_prd_last = false;
    channel->prd_table = 0;
    channel->prd_next = 0;
    channel->prd_address = 0;
    channel->prd_left = 0;
}

/* ---- Registers ---- */

static void write_command(struct ide_channel *channel, uint8_t value)
{
    bool was_started = (channel->bm_command & BM_COMMAND_START) != 0;
    bool is_started = (value & BM_COMMAND_START) != 0;

    channel->bm_command = value & (BM_COMMAND_START | BM_COMMAND_TO_MEMORY);
    if (is_started && !was_started) {
        channel->bm_status |= BM_STATUS_ACTIVE;
        channel->prd_next = channel->prd_table;
        channel->prd_left = 0;
        channel->is_prd_last = false;
        arrange(&channel->drives[0]);
        arrange(&channel->drives[1]);
    } else if (!is_started && was_started) {
        channel->bm_status &= (uint8_t)~BM_STATUS_ACTIVE;
        for (unsigned n = 0; n < 2; n++) {
            if (channel->drives[n].kind != IDE_ABSENT && channel->drives[n].phase == IDE_DMA) {
                event_cancel(&channel->drives[n].event);
            }
        }
    }
}

static uint32_t bus_master_read(void *owner, unsigned reg, unsigned size)
{
    struct piix3_ide *ide = owner;
    struct ide_channel *channel = &ide->channels[(reg & BM_CHANNEL) != 0];

    (void)size;
    switch (reg & 7) {
    case BM_COMMAND: return channel->bm_command;
    case BM_STATUS: return channel->bm_status;
    case BM_TABLE: return channel->prd_table & 0xff;
    case BM_TABLE + 1: return channel->prd_table >> 8 & 0xff;
    case BM_TABLE + 2: return channel->prd_table >> 16 & 0xff;
    case BM_TABLE + 3: return channel->prd_table >> 24 & 0xff;
    default: return 0;
    }
}

static void bus_master_write(void *owner, unsigned reg, unsigned size, uint32_t value)
{
    struct piix3_ide *ide = owner;
    struct ide_channel *channel = &ide->channels[(reg & BM_CHANNEL) != 0];
    unsigned shift = 8 * (reg & 3);

    (void)size;
    value &= 0xff;
    switch (reg & 7) {
    case BM_COMMAND: write_command(channel, (uint8_t)value); break;
    case BM_STATUS:
        channel->bm_status = (uint8_t)((channel->bm_status & ~(value & (BM_STATUS_ERROR | BM_STATUS_INTERRUPT)) &
                                        ~(uint32_t)BM_STATUS_CAPABLE) |
                                       (value & BM_STATUS_CAPABLE));
        break;
    case BM_TABLE:
    case BM_TABLE + 1:
    case BM_TABLE + 2:
    case BM_TABLE + 3:
        channel->prd_table = (channel->prd_table & ~(UINT32_C(0xff) << shift)) | value << shift;
        channel->prd_table &= ~UINT32_C(3);
        break;
    default: break;
    }
}

/* One byte at a time: a wider access is split, lowest register first. */
const struct port_ops ide_bus_master_ops = {
    .read = bus_master_read,
    .write = bus_master_write,
    .max_size = 1,
};
