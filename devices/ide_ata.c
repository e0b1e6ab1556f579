/* ide_ata.c - an ATA disk behind one position of an IDE cable.
 *
 * ATA/ATAPI-6 (T13 1410D revision 3b), chapter 8 (commands), 6.2 (CHS addresses), 6.3.4 (power modes); the older commands
 * that BIOSes and DOS drivers use are from ATA-3 (X3.298-1997), DATA SET MANAGEMENT (TRIM) is from ATA8-ACS2 (T13 2015-D).
 *
 * Not implemented: READ/WRITE LONG, FORMAT TRACK, queued DMA, security, Host Protected Area (READ NATIVE MAX answers, SET
 * MAX does not), SMART logs and self-tests, CFA and streaming commands, the standby timer. They abort, as a drive's does
 * that lacks the feature set. A range that leaves the disk is refused before any of it is transferred. */
#include "devices/ide.h"

#include <string.h>

enum {
    CMD_NOP = 0x00,
    CMD_DATA_SET_MANAGEMENT = 0x06,
    CMD_RECALIBRATE = 0x10, /* to 1Fh */
    CMD_READ_SECTORS = 0x20,
    CMD_READ_SECTORS_ONCE = 0x21,
    CMD_READ_SECTORS_EXT = 0x24,
    CMD_READ_DMA_EXT = 0x25,
    CMD_READ_NATIVE_MAX_EXT = 0x27,
    CMD_READ_MULTIPLE_EXT = 0x29,
    CMD_WRITE_SECTORS = 0x30,
    CMD_WRITE_SECTORS_ONCE = 0x31,
    CMD_WRITE_SECTORS_EXT = 0x34,
    CMD_WRITE_DMA_EXT = 0x35,
    CMD_WRITE_MULTIPLE_EXT = 0x39,
    CMD_WRITE_VERIFY = 0x3c,
    CMD_READ_VERIFY = 0x40,
    CMD_READ_VERIFY_ONCE = 0x41,
    CMD_READ_VERIFY_EXT = 0x42,
    CMD_SEEK = 0x70, /* to 7Fh */
    CMD_INITIALIZE_PARAMETERS = 0x91,
    CMD_STANDBY_IMMEDIATE_OLD = 0x94,
    CMD_IDLE_IMMEDIATE_OLD = 0x95,
    CMD_STANDBY_OLD = 0x96,
    CMD_IDLE_OLD = 0x97,
    CMD_CHECK_POWER_OLD = 0x98,
    CMD_SLEEP_OLD = 0x99,
    CMD_PACKET = 0xa0,
    CMD_IDENTIFY_PACKET = 0xa1,
    CMD_SMART = 0xb0,
    CMD_READ_MULTIPLE = 0xc4,
    CMD_WRITE_MULTIPLE = 0xc5,
    CMD_SET_MULTIPLE = 0xc6,
    CMD_READ_DMA = 0xc8,
    CMD_READ_DMA_ONCE = 0xc9,
    CMD_WRITE_DMA = 0xca,
    CMD_WRITE_DMA_ONCE = 0xcb,
    CMD_STANDBY_IMMEDIATE = 0xe0,
    CMD_IDLE_IMMEDIATE = 0xe1,
    CMD_STANDBY = 0xe2,
    CMD_IDLE = 0xe3,
    CMD_CHECK_POWER = 0xe5,
    CMD_SLEEP = 0xe6,
    CMD_FLUSH_CACHE = 0xe7,
    CMD_FLUSH_CACHE_EXT = 0xea,
    CMD_IDENTIFY = 0xec,
    CMD_SET_FEATURES = 0xef,
    CMD_READ_NATIVE_MAX = 0xf8,
};

enum { POWER_STANDBY = 0x00, POWER_IDLE = 0x80, POWER_ACTIVE = 0xff };

enum { DEFAULT_HEADS = 16, DEFAULT_SECTORS = 63, CYLINDERS_MAX = 16383 };

#define LBA28_SECTORS_MAX UINT64_C(0x0fffffff)
#define SCRATCH_SECTORS (IDE_SCRATCH_SIZE / SECTOR_SIZE)

/* ---- Addresses ---- */

static bool is_ext(uint8_t command)
{
    switch (command) {
    case CMD_DATA_SET_MANAGEMENT:
    case CMD_READ_SECTORS_EXT:
    case CMD_READ_DMA_EXT:
    case CMD_READ_NATIVE_MAX_EXT:
    case CMD_READ_MULTIPLE_EXT:
    case CMD_WRITE_SECTORS_EXT:
    case CMD_WRITE_DMA_EXT:
    case CMD_WRITE_MULTIPLE_EXT:
    case CMD_READ_VERIFY_EXT: return true;
    default: return false;
    }
}

/* The address in the task file. Returns false when it is no sector of the current translation. */
static bool get_address(const struct ide_drive *drive, uint64_t *sector)
{
    uint32_t low = (uint32_t)drive->lba_low[0] | (uint32_t)drive->lba_mid[0] << 8 | (uint32_t)drive->lba_high[0] << 16;
    uint32_t head = drive->device & DEVICE_HEAD;

    if (is_ext(drive->command)) {
        uint64_t high =
            (uint64_t)drive->lba_low[1] | (uint64_t)drive->lba_mid[1] << 8 | (uint64_t)drive->lba_high[1] << 16;
        *sector = low | high << 24;
        return true;
    }
    if (drive->device & DEVICE_LBA) {
        *sector = low | head << 24;
        return true;
    }
    uint32_t cylinder = low >> 8;
    uint32_t number = low & 0xff; /* counts from 1 */
    if (number == 0 || number > drive->sectors || head >= drive->heads) {
        return false;
    }
    *sector = ((uint64_t)cylinder * drive->heads + head) * drive->sectors + number - 1;
    return true;
}

/* Puts the address of `sector` into the task file, in the form that the command uses. */
static void put_address(struct ide_drive *drive, uint64_t sector)
{
    uint32_t head = drive->device & DEVICE_HEAD;
    uint32_t low = (uint32_t)sector & 0xffffff;

    if (is_ext(drive->command)) {
        drive->lba_low[1] = (uint8_t)(sector >> 24);
        drive->lba_mid[1] = (uint8_t)(sector >> 32);
        drive->lba_high[1] = (uint8_t)(sector >> 40);
    } else if (drive->device & DEVICE_LBA) {
        head = (uint32_t)(sector >> 24) & DEVICE_HEAD;
    } else {
        uint64_t track = sector / drive->sectors;
        head = (uint32_t)(track % drive->heads) & DEVICE_HEAD;
        low = ((uint32_t)(track / drive->heads) & 0xffff) << 8 | (uint32_t)(sector % drive->sectors + 1);
    }
    drive->lba_low[0] = (uint8_t)low;
    drive->lba_mid[0] = (uint8_t)(low >> 8);
    drive->lba_high[0] = (uint8_t)(low >> 16);
    drive->device = (uint8_t)((drive->device & 0xf0u) | head);
}

/* What a command reports of its progress: the last sector transferred (or the failing one) and the sectors left. */
static void put_progress(struct ide_drive *drive, uint64_t sector)
{
    put_address(drive, sector);
    drive->count[0] = (uint8_t)drive->left;
    drive->count[1] = (uint8_t)(drive->left >> 8);
}

/* Decodes the task file into the transfer of the drive. Returns false after aborting the command. */
static bool start_transfer(struct ide_drive *drive, bool is_write)
{
    uint64_t total = drive->backend->sectors;
    uint64_t sector = 0;
    uint32_t count = drive->count[0];

    if (is_ext(drive->command)) {
        count |= (uint32_t)drive->count[1] << 8;
        count = count != 0 ? count : 0x10000;
    } else {
        count = count != 0 ? count : 0x100;
    }
    if (!get_address(drive, &sector) || sector >= total || count > total - sector) {
        ide_complete(drive, ERROR_IDNF);
        return false;
    }
    if (is_write && drive->backend->is_readonly) {
        device_log(ide_device(drive), LOG_GUEST, "drive %u: write to a read-only disk image", drive->unit);
        ide_complete(drive, ERROR_ABRT);
        return false;
    }
    drive->power_mode = POWER_ACTIVE;
    drive->is_medium = true;
    drive->is_write = is_write;
    drive->next = sector;
    drive->left = count;
    return true;
}

/* ---- Medium ---- */

/* Reads or writes `count` sectors at drive->next. On a host error tries again one by one, so that the failing sector is
 * known. Returns how many were transferred. */
static uint32_t transfer(struct ide_drive *drive, uint32_t count, uint8_t *bytes)
{
    struct block_backend *backend = drive->backend;
    uint32_t done = 0;

    if (drive->next >= backend->sectors || count > backend->sectors - drive->next) {
        return 0;
    }
    if (drive->is_write ? backend->write(backend->context, drive->next, count, bytes)
                        : backend->read(backend->context, drive->next, count, bytes)) {
        return count;
    }
    for (; done < count; done++) {
        uint8_t *at = bytes + (size_t)done * SECTOR_SIZE;
        if (!(drive->is_write ? backend->write(backend->context, drive->next + done, 1, at)
                              : backend->read(backend->context, drive->next + done, 1, at))) {
            break;
        }
    }
    return done;
}

static bool flush(struct ide_drive *drive)
{
    struct block_backend *backend = drive->backend;

    return backend->is_readonly || backend->flush == NULL || backend->flush(backend->context);
}

static void finish_transfer(struct ide_drive *drive)
{
    bool is_failed = drive->is_write && !drive->is_write_cache_on && !flush(drive);

    put_progress(drive, drive->next - 1);
    ide_complete(drive, is_failed ? ERROR_ABRT : 0);
}

static void fail_transfer(struct ide_drive *drive)
{
    put_progress(drive, drive->next);
    ide_complete(drive, ERROR_UNC);
}

/* ---- PIO ---- */

static uint32_t block_sectors(const struct ide_drive *drive)
{
    uint32_t sectors = 1;

    switch (drive->command) {
    case CMD_READ_MULTIPLE:
    case CMD_READ_MULTIPLE_EXT:
    case CMD_WRITE_MULTIPLE:
    case CMD_WRITE_MULTIPLE_EXT: sectors = drive->multiple != 0 ? drive->multiple : 1; break;
    default: break;
    }
    return sectors < drive->left ? sectors : (uint32_t)drive->left;
}

void ata_next_in(struct ide_drive *drive)
{
    uint32_t count = block_sectors(drive);
    uint32_t done = transfer(drive, count, drive->buffer);

    drive->next += done;
    drive->left -= done;
    if (done < count || count == 0) {
        fail_transfer(drive);
        return;
    }
    if (drive->left == 0) {
        put_progress(drive, drive->next - 1);
    }
    ide_offer(drive, IDE_DATA_IN, count * SECTOR_SIZE);
    ide_interrupt(drive);
}

void ata_next_out(struct ide_drive *drive)
{
    uint32_t count = drive->end / SECTOR_SIZE;
    uint32_t done = count <= drive->left ? transfer(drive, count, drive->buffer) : 0;

    drive->next += done;
    drive->left -= done;
    if (done < count || count == 0) {
        fail_transfer(drive);
        return;
    }
    if (drive->left == 0) {
        finish_transfer(drive);
        return;
    }
    ide_offer(drive, IDE_DATA_OUT, block_sectors(drive) * SECTOR_SIZE);
    ide_interrupt(drive);
}

static void read_pio(struct ide_drive *drive)
{
    if (start_transfer(drive, false)) {
        ide_busy(drive, IDE_NEXT_IN, IDE_BLOCK_NS);
    }
}

/* The first block is asked for without an interrupt (9.6 PIO data-out). */
static void write_pio(struct ide_drive *drive)
{
    if (start_transfer(drive, true)) {
        ide_offer(drive, IDE_DATA_OUT, block_sectors(drive) * SECTOR_SIZE);
    }
}

/* ---- DATA SET MANAGEMENT ---- */

/* The medium reads as zeros there afterwards (IDENTIFY word 69: deterministic, zeros). */
static bool discard(struct ide_drive *drive, uint64_t sector, uint32_t count)
{
    static const uint8_t zeros[16 * SECTOR_SIZE];
    struct block_backend *backend = drive->backend;

    if (sector >= backend->sectors || count > backend->sectors - sector) {
        return false;
    }
    if (backend->discard != NULL) {
        return backend->discard(backend->context, sector, count);
    }
    while (count != 0) {
        uint32_t piece = count < 16 ? count : 16;
        if (!backend->write(backend->context, sector, piece, zeros)) {
            return false;
        }
        sector += piece;
        count -= piece;
    }
    return true;
}

/* ATA8-ACS2 7.5.3: blocks of 64 ranges, each of them 48 bits of address and 16 bits of length; length 0 is no range. */
static uint32_t trim(struct ide_drive *drive, uint32_t blocks, const uint8_t *bytes)
{
    for (uint32_t n = 0; n < blocks * (SECTOR_SIZE / 8); n++) {
        uint64_t range = load_le64(bytes + (size_t)n * 8);
        uint32_t count = (uint32_t)(range >> 48);
        if (count != 0 && !discard(drive, range & UINT64_C(0xffffffffffff), count)) {
            return n / (SECTOR_SIZE / 8);
        }
    }
    return blocks;
}

static void data_set_management(struct ide_drive *drive)
{
    uint32_t blocks = (uint32_t)drive->count[0] | (uint32_t)drive->count[1] << 8;

    if (drive->feature[0] != 0x01 || blocks == 0 || drive->backend->is_readonly) {
        ide_complete(drive, ERROR_ABRT);
        return;
    }
    drive->power_mode = POWER_ACTIVE;
    drive->is_medium = true;
    drive->is_write = true;
    drive->next = 0; /* counts blocks of ranges */
    drive->left = blocks;
    ide_dma_request(drive);
}

/* ---- DMA ---- */

/* What DMA brought goes to the medium, or says what to discard. */
static uint32_t take(struct ide_drive *drive, uint32_t count, uint8_t *bytes)
{
    return drive->command == CMD_DATA_SET_MANAGEMENT ? trim(drive, count, bytes) : transfer(drive, count, bytes);
}

void ata_dma(struct ide_drive *drive)
{
    uint8_t *scratch = drive->channel->scratch;

    while (drive->left != 0) {
        uint32_t count = drive->left < SCRATCH_SECTORS ? (uint32_t)drive->left : SCRATCH_SECTORS;
        uint32_t good, moved;
        if (drive->is_write) {
            moved = (uint32_t)(ide_dma_move(drive, scratch, (size_t)count * SECTOR_SIZE) / SECTOR_SIZE);
            good = moved != 0 ? take(drive, moved, scratch) : 0;
        } else {
            good = transfer(drive, count, scratch);
            moved = (uint32_t)(ide_dma_move(drive, scratch, (size_t)good * SECTOR_SIZE) / SECTOR_SIZE);
        }
        uint32_t done = good < moved ? good : moved;
        drive->next += done;
        drive->left -= done;
        if (drive->is_write ? good < moved : good < count && moved == good) {
            if (drive->command == CMD_DATA_SET_MANAGEMENT) {
                ide_complete(drive, ERROR_ABRT);
                return;
            }
            fail_transfer(drive);
            return;
        }
        if (moved < count) {
            return; /* the bus master has no more room or data: keep asking */
        }
    }
    finish_transfer(drive);
}

/* ---- Commands without data ---- */

static void read_verify(struct ide_drive *drive)
{
    if (!start_transfer(drive, false)) {
        return;
    }
    drive->next += drive->left;
    drive->left = 0;
    finish_transfer(drive);
}

static void seek(struct ide_drive *drive)
{
    uint64_t sector;

    ide_complete(drive, get_address(drive, &sector) && sector < drive->backend->sectors ? 0 : ERROR_IDNF);
}

static void read_native_max(struct ide_drive *drive)
{
    uint64_t last = drive->backend->sectors - 1;

    if (!is_ext(drive->command) && last > LBA28_SECTORS_MAX - 1) {
        last = LBA28_SECTORS_MAX - 1;
    }
    put_address(drive, last);
    ide_complete(drive, 0);
}

/* 8.16 of ATA-5: sectors per track in Sector Count, largest head in Device. */
static void initialize_parameters(struct ide_drive *drive)
{
    if (drive->count[0] == 0) {
        ide_complete(drive, ERROR_ABRT);
        return;
    }
    drive->sectors = drive->count[0];
    drive->heads = (uint8_t)((drive->device & DEVICE_HEAD) + 1);
    ide_complete(drive, 0);
}

static void set_multiple(struct ide_drive *drive)
{
    uint8_t count = drive->count[0];

    if (count > IDE_MULTIPLE_MAX || (count & (count - 1)) != 0) {
        ide_complete(drive, ERROR_ABRT);
        return;
    }
    drive->multiple = count;
    ide_complete(drive, 0);
}

/* Transfer modes in Sector Count: type in bits 7:3, mode in bits 2:0. */
static bool is_transfer_mode(uint8_t mode)
{
    switch (mode >> 3) {
    case 0: return mode <= 1;          /* default PIO, with or without IORDY */
    case 1: return (mode & 7) <= 4;    /* PIO flow control */
    case 4: return (mode & 7) <= 2;    /* multiword DMA */
    case 8: return (mode & 7) <= 5;    /* Ultra DMA */
    default: return false;
    }
}

static void set_features(struct ide_drive *drive)
{
    uint8_t error = 0;

    switch (drive->feature[0]) {
    case 0x02: drive->is_write_cache_on = true; break;
    case 0x82:
        drive->is_write_cache_on = false;
        error = flush(drive) ? 0 : ERROR_ABRT;
        break;
    case 0x03:
        if (is_transfer_mode(drive->count[0])) {
            drive->transfer_mode = drive->count[0];
        } else {
            error = ERROR_ABRT;
        }
        break;
    case 0xaa: drive->is_look_ahead_on = true; break;
    case 0x55: drive->is_look_ahead_on = false; break;
    case 0x66: /* keep settings over a software reset, which they are anyway */
    case 0xcc: break;
    default: error = ERROR_ABRT; break;
    }
    ide_complete(drive, error);
}

static void power(struct ide_drive *drive, uint8_t mode)
{
    drive->power_mode = mode;
    ide_complete(drive, 0);
}

/* ---- IDENTIFY DEVICE and SMART: pages of 512 bytes ---- */

static void put_word(uint8_t *page, unsigned word, uint32_t value)
{
    store_le16(page + 2 * word, (uint16_t)value);
}

static void send_page(struct ide_drive *drive)
{
    drive->is_medium = false;
    ide_offer(drive, IDE_DATA_IN, SECTOR_SIZE);
    ide_interrupt(drive);
}

/* Words 63 and 88: supported modes and, one byte up, the chosen one. */
static uint32_t modes(const struct ide_drive *drive, uint32_t supported, uint8_t type)
{
    return supported | ((drive->transfer_mode >> 3) == type ? UINT32_C(0x100) << (drive->transfer_mode & 7) : 0);
}

static void identify_geometry(const struct ide_drive *drive, uint8_t *page)
{
    uint64_t total = drive->backend->sectors;
    uint64_t cylinders = total / (DEFAULT_HEADS * DEFAULT_SECTORS);
    uint64_t current = total / ((uint32_t)drive->heads * drive->sectors);

    cylinders = cylinders == 0 ? 1 : cylinders > CYLINDERS_MAX ? CYLINDERS_MAX : cylinders;
    current = current == 0 ? 1 : current > 0xffff ? 0xffff : current;
    if (drive->heads == DEFAULT_HEADS && drive->sectors == DEFAULT_SECTORS) {
        current = cylinders;
    }
    put_word(page, 1, (uint32_t)cylinders);
    put_word(page, 3, DEFAULT_HEADS);
    put_word(page, 4, DEFAULT_SECTORS * SECTOR_SIZE);
    put_word(page, 5, SECTOR_SIZE);
    put_word(page, 6, DEFAULT_SECTORS);
    put_word(page, 54, (uint32_t)current);
    put_word(page, 55, drive->heads);
    put_word(page, 56, drive->sectors);
    store_le32(page + 2 * 57, (uint32_t)current * drive->heads * drive->sectors);
    store_le32(page + 2 * 60, (uint32_t)(total < LBA28_SECTORS_MAX ? total : LBA28_SECTORS_MAX));
    store_le64(page + 2 * 100, total);
}

static void identify(struct ide_drive *drive)
{
    uint8_t *page = drive->buffer;
    char serial[] = "TICK86-HD0";
    uint32_t features = 0x0020 | 0x0040 | 0x0008 | 0x0001; /* write cache, look-ahead, power management, SMART */
    uint8_t sum = 0;

    serial[9] = (char)('0' + drive->unit);
    memset(page, 0, SECTOR_SIZE);
    put_word(page, 0, 0x0040); /* fixed disk */
    identify_geometry(drive, page);
    ide_put_text(page + 2 * 10, serial, 20);
    put_word(page, 20, 3);
    put_word(page, 21, IDE_BUFFER_SIZE / SECTOR_SIZE);
    put_word(page, 22, 4);
    ide_put_text(page + 2 * 23, "1.0", 8);
    ide_put_text(page + 2 * 27, "TICK86 HARDDISK", 40);
    put_word(page, 47, 0x8000 | IDE_MULTIPLE_MAX);
    put_word(page, 48, 1);      /* 32-bit accesses to the data port */
    put_word(page, 49, 0x0f00); /* IORDY, IORDY may be disabled, LBA, DMA */
    put_word(page, 50, 0x4000);
    put_word(page, 51, 0x0200);
    put_word(page, 52, 0x0200);
    put_word(page, 53, 0x0007);
    put_word(page, 59, drive->multiple != 0 ? 0x0100u | drive->multiple : 0);
    put_word(page, 63, modes(drive, 0x07, 4));
    put_word(page, 64, 0x0003); /* PIO 3 and 4 */
    for (unsigned word = 65; word <= 68; word++) {
        put_word(page, word, 120);
    }
    put_word(page, 69, 0x4020); /* what is discarded reads as zeros */
    put_word(page, 80, 0x00fe); /* ATA-1 to ATA/ATAPI-7: guests look for TRIM from 7 on */
    put_word(page, 82, 0x4000 | features); /* NOP */
    put_word(page, 83, 0x4000 | 0x3400);   /* FLUSH CACHE (EXT), 48-bit addresses */
    put_word(page, 84, 0x4000);
    put_word(page, 85, 0x4008u | (drive->is_write_cache_on ? 0x20u : 0) | (drive->is_look_ahead_on ? 0x40u : 0) |
                           (drive->is_smart_on ? 1u : 0));
    put_word(page, 86, 0x3400);
    put_word(page, 87, 0x4000);
    put_word(page, 88, modes(drive, 0x3f, 8));
    put_word(page, 93, (drive->unit & 1) == 0 ? 0x600b : 0x6d00); /* 80-conductor cable, jumpers set the number */
    put_word(page, 105, 1); /* blocks of ranges for DATA SET MANAGEMENT */
    put_word(page, 169, 1); /* TRIM */
    put_word(page, 255, 0xa5);
    for (unsigned n = 0; n < SECTOR_SIZE - 1; n++) {
        sum = (uint8_t)(sum + page[n]);
    }
    page[SECTOR_SIZE - 1] = (uint8_t)-sum;
    send_page(drive);
}

/* Attributes: number, flags, value, worst, threshold. All is well with this disk. */
static const uint8_t smart_attributes[][5] = {
    {1, 0x03, 100, 100, 6},   /* raw read error rate */
    {3, 0x03, 100, 100, 1},   /* spin-up time */
    {4, 0x02, 100, 100, 20},  /* start/stop count */
    {5, 0x03, 100, 100, 36},  /* reallocated sectors */
    {9, 0x03, 100, 100, 1},   /* power-on hours */
    {12, 0x02, 100, 100, 0},  /* power cycles */
};

static void smart_page(struct ide_drive *drive, bool is_thresholds)
{
    uint8_t *page = drive->buffer;
    uint8_t sum = 0;

    memset(page, 0, SECTOR_SIZE);
    page[0] = 0x10;
    for (unsigned n = 0; n < sizeof smart_attributes / sizeof smart_attributes[0]; n++) {
        uint8_t *at = page + 2 + (size_t)12 * n;
        at[0] = smart_attributes[n][0];
        if (is_thresholds) {
            at[1] = smart_attributes[n][4];
        } else {
            at[1] = smart_attributes[n][1];
            at[3] = smart_attributes[n][2];
            at[4] = smart_attributes[n][3];
        }
    }
    if (!is_thresholds) {
        put_word(page, 184, 0x0003); /* saves attributes by itself (byte 368) */
    }
    for (unsigned n = 0; n < SECTOR_SIZE - 1; n++) {
        sum = (uint8_t)(sum + page[n]);
    }
    page[SECTOR_SIZE - 1] = (uint8_t)-sum;
    send_page(drive);
}

static void smart(struct ide_drive *drive)
{
    uint8_t function = drive->feature[0];
    bool is_key = drive->lba_mid[0] == 0x4f && drive->lba_high[0] == 0xc2;

    if (!is_key || (!drive->is_smart_on && function != 0xd8)) {
        ide_complete(drive, ERROR_ABRT);
        return;
    }
    switch (function) {
    case 0xd0: smart_page(drive, false); break;
    case 0xd1: smart_page(drive, true); break;
    case 0xd8: drive->is_smart_on = true; ide_complete(drive, 0); break;
    case 0xd9: drive->is_smart_on = false; ide_complete(drive, 0); break;
    case 0xd2: /* attribute autosave */
    case 0xd3: /* save attributes */
    case 0xda: /* RETURN STATUS: the key unchanged is "not failing" */ ide_complete(drive, 0); break;
    default: ide_complete(drive, ERROR_ABRT); break;
    }
}

/* ---- Dispatch ---- */

static void execute_other(struct ide_drive *drive)
{
    uint8_t command = drive->command;

    if ((command & 0xf0) == CMD_RECALIBRATE) {
        ide_complete(drive, 0);
    } else if ((command & 0xf0) == CMD_SEEK) {
        seek(drive);
    } else {
        if (command != CMD_NOP && command != CMD_PACKET && command != CMD_IDENTIFY_PACKET) {
            device_log(ide_device(drive), LOG_GUEST, "drive %u: ATA command 0x%02x is not implemented", drive->unit,
                       command);
        }
        ide_complete(drive, ERROR_ABRT);
    }
}

void ata_execute(struct ide_drive *drive)
{
    switch (drive->command) {
    case CMD_READ_SECTORS:
    case CMD_READ_SECTORS_ONCE:
    case CMD_READ_SECTORS_EXT: read_pio(drive); break;
    case CMD_WRITE_SECTORS:
    case CMD_WRITE_SECTORS_ONCE:
    case CMD_WRITE_VERIFY:
    case CMD_WRITE_SECTORS_EXT: write_pio(drive); break;
    case CMD_READ_MULTIPLE:
    case CMD_READ_MULTIPLE_EXT:
    case CMD_WRITE_MULTIPLE:
    case CMD_WRITE_MULTIPLE_EXT:
        if (drive->multiple == 0) {
            ide_complete(drive, ERROR_ABRT);
        } else if (drive->command == CMD_READ_MULTIPLE || drive->command == CMD_READ_MULTIPLE_EXT) {
            read_pio(drive);
        } else {
            write_pio(drive);
        }
        break;
    case CMD_READ_DMA:
    case CMD_READ_DMA_ONCE:
    case CMD_READ_DMA_EXT:
        if (start_transfer(drive, false)) {
            ide_dma_request(drive);
        }
        break;
    case CMD_WRITE_DMA:
    case CMD_WRITE_DMA_ONCE:
    case CMD_WRITE_DMA_EXT:
        if (start_transfer(drive, true)) {
            ide_dma_request(drive);
        }
        break;
    case CMD_DATA_SET_MANAGEMENT: data_set_management(drive); break;
    case CMD_READ_VERIFY:
    case CMD_READ_VERIFY_ONCE:
    case CMD_READ_VERIFY_EXT: read_verify(drive); break;
    case CMD_READ_NATIVE_MAX:
    case CMD_READ_NATIVE_MAX_EXT: read_native_max(drive); break;
    case CMD_INITIALIZE_PARAMETERS: initialize_parameters(drive); break;
    case CMD_SET_MULTIPLE: set_multiple(drive); break;
    case CMD_SET_FEATURES: set_features(drive); break;
    case CMD_FLUSH_CACHE:
    case CMD_FLUSH_CACHE_EXT: ide_complete(drive, flush(drive) ? 0 : ERROR_ABRT); break;
    case CMD_STANDBY:
    case CMD_STANDBY_OLD:
    case CMD_STANDBY_IMMEDIATE:
    case CMD_STANDBY_IMMEDIATE_OLD: power(drive, POWER_STANDBY); break;
    case CMD_IDLE:
    case CMD_IDLE_OLD:
    case CMD_IDLE_IMMEDIATE:
    case CMD_IDLE_IMMEDIATE_OLD: power(drive, POWER_IDLE); break;
    case CMD_SLEEP:
    case CMD_SLEEP_OLD:
        drive->is_asleep = true;
        power(drive, POWER_STANDBY);
        break;
    case CMD_CHECK_POWER:
    case CMD_CHECK_POWER_OLD:
        drive->count[0] = drive->power_mode;
        ide_complete(drive, 0);
        break;
    case CMD_SMART: smart(drive); break;
    case CMD_IDENTIFY: identify(drive); break;
    default: execute_other(drive); break;
    }
}

/* 9.1 Power-on, 9.2 software reset: settings survive the latter. */
void ata_reset(struct ide_drive *drive, bool is_power_on)
{
    ide_set_signature(drive);
    drive->error = 0x01; /* diagnostic code: passed */
    drive->status = STATUS_DRDY | STATUS_DSC;
    drive->is_asleep = false;
    drive->power_mode = POWER_ACTIVE;
    if (is_power_on) {
        drive->heads = DEFAULT_HEADS;
        drive->sectors = DEFAULT_SECTORS;
        drive->multiple = IDE_MULTIPLE_MAX;
        drive->transfer_mode = 0x0c; /* PIO 4 */
        drive->is_write_cache_on = true;
        drive->is_look_ahead_on = true;
        drive->is_smart_on = true;
    }
}
