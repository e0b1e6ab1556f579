/* ide_atapi.c - a CD-ROM drive behind one position of an IDE cable.
 *
 * SFF-8020i revision 2.6 (the ATA side and the mandatory commands), ATA/ATAPI-6 9.8 and 9.9 (PACKET protocols), MMC-3
 * (T10 1363D revision 10g: GET CONFIGURATION, READ DISC INFORMATION, READ TOC formats), SPC-2 (sense data, mode pages).
 * A disc is one data track of 2048-byte blocks; more than 80 minutes of them are taken for a DVD-ROM.
 *
 * Not implemented: audio (tracks, PLAY AUDIO), sessions, MODE SELECT, READ DVD STRUCTURE, changers, writing. Raw sectors
 * (READ CD) have synchronisation and header, their error correction bytes are zero. Commands that are not implemented
 * end with ILLEGAL REQUEST, INVALID COMMAND OPERATION CODE. */
#include "devices/ide.h"

#include <string.h>

enum { CMD_PACKET = 0xa0, CMD_IDENTIFY_PACKET = 0xa1, CMD_IDENTIFY = 0xec, CMD_READ_SECTORS = 0x20 };
enum { CMD_NOP = 0x00, CMD_CHECK_POWER = 0xe5, CMD_SLEEP = 0xe6, CMD_FLUSH_CACHE = 0xe7, CMD_SET_FEATURES = 0xef };
enum { CMD_STANDBY_IMMEDIATE = 0xe0, CMD_IDLE_IMMEDIATE = 0xe1, CMD_STANDBY = 0xe2, CMD_IDLE = 0xe3 };

enum { BLOCK_SIZE = 2048, RAW_SIZE = 2352, SECTORS_PER_BLOCK = BLOCK_SIZE / SECTOR_SIZE, CD_BLOCKS_MAX = 80 * 60 * 75 };
enum { FRAMES_PER_SECOND = 75, LEAD_IN_FRAMES = 150 };

/* SPC-2, tables 107 and 108. */
enum { SENSE_NONE = 0, SENSE_NOT_READY = 2, SENSE_MEDIUM_ERROR = 3, SENSE_ILLEGAL_REQUEST = 5, SENSE_UNIT_ATTENTION = 6 };
enum {
    ASC_UNRECOVERED_READ = 0x11,
    ASC_INVALID_OPCODE = 0x20,
    ASC_LBA_OUT_OF_RANGE = 0x21,
    ASC_INVALID_FIELD = 0x24,
    ASC_MEDIUM_CHANGED = 0x28,
    ASC_POWER_ON_RESET = 0x29,
    ASC_NO_MEDIUM = 0x3a,
    ASC_REMOVAL_PREVENTED = 0x53,
    ASC_INVALID_MODE = 0x64,
};
enum { ASCQ_TRAY_CLOSED = 1, ASCQ_TRAY_OPEN = 2, ASCQ_REMOVAL_PREVENTED = 2 };

/* MMC-3, table 90: media class events. */
enum { MEDIA_NO_CHANGE = 0, MEDIA_EJECT_REQUEST = 1, MEDIA_NEW = 2, MEDIA_REMOVAL = 3 };

enum { PROFILE_CD_ROM = 0x0008, PROFILE_DVD_ROM = 0x0010 };

static uint32_t load_be16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t load_be32(const uint8_t *at)
{
    return load_be16(at) << 16 | load_be16(at + 2);
}

static void store_be16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void store_be32(uint8_t *at, uint32_t value)
{
    store_be16(at, value >> 16);
    store_be16(at + 2, value);
}

/* ---- Medium ---- */

static bool has_medium(const struct ide_drive *drive)
{
    return drive->backend != NULL && drive->backend->sectors != 0 && !drive->is_tray_open;
}

/* Blocks on the disc; an incomplete last one counts. At most what 32-bit addresses reach. */
static uint32_t disc_blocks(const struct ide_drive *drive)
{
    if (!has_medium(drive)) {
        return 0;
    }
    uint64_t blocks = (drive->backend->sectors - 1) / SECTORS_PER_BLOCK + 1;
    return blocks < UINT32_MAX ? (uint32_t)blocks : UINT32_MAX;
}

static bool is_dvd(const struct ide_drive *drive)
{
    return disc_blocks(drive) > CD_BLOCKS_MAX;
}

static void put_msf(uint8_t *at, uint32_t block)
{
    uint32_t frames = block + LEAD_IN_FRAMES;

    at[0] = (uint8_t)(frames / FRAMES_PER_SECOND / 60);
    at[1] = (uint8_t)(frames / FRAMES_PER_SECOND % 60);
    at[2] = (uint8_t)(frames % FRAMES_PER_SECOND);
}

/* Four bytes of an address in the form that TIME (MSF) asks for. */
static void put_disc_address(uint8_t *at, uint32_t block, bool is_msf)
{
    if (is_msf) {
        at[0] = 0;
        put_msf(at + 1, block);
    } else {
        store_be32(at, block);
    }
}

static uint8_t to_bcd(uint32_t value)
{
    return (uint8_t)(value / 10 % 10 << 4 | value % 10);
}

/* Reads blocks from drive->next as the host wants them (2048 or 2352 bytes) into `bytes`. */
static bool read_blocks(struct ide_drive *drive, uint32_t count, uint8_t *bytes)
{
    struct block_backend *backend = drive->backend;

    for (uint32_t n = 0; n < count; n++) {
        uint8_t *at = bytes + (size_t)n * drive->block_bytes;
        uint64_t block = drive->next + n;
        uint64_t sector = block * SECTORS_PER_BLOCK;
        if (!has_medium(drive) || block >= disc_blocks(drive)) {
            return false;
        }
        if (drive->block_bytes == RAW_SIZE) {
            memset(at, 0, RAW_SIZE);
            memset(at + 1, 0xff, 10);
            put_msf(at + 12, (uint32_t)block);
            at[12] = to_bcd(at[12]);
            at[13] = to_bcd(at[13]);
            at[14] = to_bcd(at[14]);
            at[15] = 1; /* mode 1 */
            at += 16;
        }
        uint64_t present = backend->sectors - sector;
        if (present < SECTORS_PER_BLOCK) {
            memset(at, 0, BLOCK_SIZE);
        }
        uint32_t sectors = present < SECTORS_PER_BLOCK ? (uint32_t)present : SECTORS_PER_BLOCK;
        if (!backend->read(backend->context, sector, sectors, at)) {
            return false;
        }
    }
    return true;
}

/* ---- Ends of commands ---- */

static void end_command(struct ide_drive *drive, uint8_t error)
{
    drive->count[0] = REASON_COD | REASON_IO;
    ide_complete(drive, error);
}

static void good(struct ide_drive *drive)
{
    drive->sense_key = SENSE_NONE;
    drive->sense_asc = 0;
    drive->sense_ascq = 0;
    end_command(drive, 0);
}

/* CHECK CONDITION: the sense key is in the Error register's high half. */
static void check(struct ide_drive *drive, uint8_t key, uint8_t asc, uint8_t ascq)
{
    drive->sense_key = key;
    drive->sense_asc = asc;
    drive->sense_ascq = ascq;
    end_command(drive, (uint8_t)(key << 4 | (key == SENSE_ILLEGAL_REQUEST ? ERROR_ABRT : 0)));
}

static void invalid_field(struct ide_drive *drive)
{
    check(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_FIELD, 0);
}

static void no_medium(struct ide_drive *drive)
{
    check(drive, SENSE_NOT_READY, ASC_NO_MEDIUM, drive->is_tray_open ? ASCQ_TRAY_OPEN : ASCQ_TRAY_CLOSED);
}

/* ---- Data to the host ---- */

/* Fills an exhausted buffer with the next block. Returns false after ending the command with an error. */
static bool refill(struct ide_drive *drive)
{
    if (drive->position < drive->filled) {
        return true;
    }
    if (!drive->is_medium || drive->left == 0 || !read_blocks(drive, 1, drive->buffer)) {
        check(drive, SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ, 0);
        return false;
    }
    drive->next++;
    drive->left--;
    drive->position = 0;
    drive->filled = drive->block_bytes;
    return true;
}

static uint64_t bytes_left(const struct ide_drive *drive)
{
    uint64_t in_buffer = drive->position < drive->filled ? drive->filled - drive->position : 0;

    return in_buffer + (drive->is_medium ? drive->left * drive->block_bytes : 0);
}

/* Lets the host take what the buffer and this DRQ block have in common. */
static void open_window(struct ide_drive *drive)
{
    uint32_t size = drive->filled - drive->position;

    size = size < drive->drq_left ? size : drive->drq_left;
    drive->end = drive->position + size;
    drive->drq_left -= size;
}

/* 9.8: each DRQ block has an interrupt, and its size in the byte count registers. */
void atapi_next_in(struct ide_drive *drive)
{
    uint64_t left = bytes_left(drive);

    if (left == 0) {
        good(drive);
        return;
    }
    if (!refill(drive)) {
        return;
    }
    uint32_t size = left < drive->byte_limit ? (uint32_t)left : drive->byte_limit;
    drive->drq_left = size;
    drive->lba_mid[0] = (uint8_t)size;
    drive->lba_high[0] = (uint8_t)(size >> 8);
    drive->count[0] = REASON_IO;
    drive->phase = IDE_DATA_IN;
    drive->status = STATUS_DRDY | STATUS_DSC | STATUS_DRQ;
    open_window(drive);
    ide_interrupt(drive);
}

void atapi_drained(struct ide_drive *drive)
{
    if (drive->drq_left == 0) {
        ide_busy(drive, IDE_NEXT_IN, IDE_BLOCK_NS);
    } else if (refill(drive)) {
        open_window(drive);
    }
}

void atapi_dma(struct ide_drive *drive)
{
    uint8_t *scratch = drive->channel->scratch;

    if (!drive->is_medium) {
        if (drive->filled > drive->position) {
            size_t size = drive->filled - drive->position;
            size_t moved = ide_dma_move(drive, drive->buffer + drive->position, size);
            drive->position += (uint32_t)moved;
            if (moved < size) {
                return;
            }
        }
        good(drive);
        return;
    }
    while (drive->left != 0) {
        uint32_t most = IDE_SCRATCH_SIZE / RAW_SIZE;
        uint32_t count = drive->left < most ? (uint32_t)drive->left : most;
        size_t size = (size_t)count * drive->block_bytes;
        if (!read_blocks(drive, count, scratch)) {
            check(drive, SENSE_MEDIUM_ERROR, ASC_UNRECOVERED_READ, 0);
            return;
        }
        size_t moved = ide_dma_move(drive, scratch, size);
        uint32_t blocks = (uint32_t)(moved / drive->block_bytes);
        drive->next += blocks;
        drive->left -= blocks;
        if (moved < size) {
            return; /* the bus master has no more room: keep asking */
        }
    }
    good(drive);
}

static void send(struct ide_drive *drive)
{
    if (bytes_left(drive) == 0) {
        good(drive);
    } else if (drive->is_dma_packet) {
        ide_dma_request(drive);
    } else {
        ide_busy(drive, IDE_NEXT_IN, IDE_BLOCK_NS);
    }
}

/* Sends buffer[0..size), cut to the allocation length. */
static void reply(struct ide_drive *drive, uint32_t size, uint32_t allocated)
{
    drive->is_medium = false;
    drive->left = 0;
    drive->position = 0;
    drive->filled = size < allocated ? size : allocated;
    send(drive);
}

static void send_blocks(struct ide_drive *drive, uint32_t block, uint32_t count, uint16_t block_bytes)
{
    uint32_t total = disc_blocks(drive);

    if (block >= total || count > total - block) {
        /* Zero blocks at the very end are no error. */
        if (count != 0 || block > total) {
            check(drive, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE, 0);
            return;
        }
    }
    drive->is_medium = true;
    drive->next = block;
    drive->left = count;
    drive->block_bytes = block_bytes;
    drive->position = 0;
    drive->filled = 0;
    send(drive);
}

/* ---- Packet commands. The buffer is zero when they are called. ---- */

static void test_unit_ready(struct ide_drive *drive)
{
    good(drive);
}

static void request_sense(struct ide_drive *drive)
{
    uint8_t *at = drive->buffer;

    if (drive->sense_key == SENSE_NONE && drive->is_attention) {
        drive->sense_key = SENSE_UNIT_ATTENTION;
        drive->sense_asc = drive->attention_asc;
        drive->sense_ascq = drive->attention_ascq;
        drive->is_attention = false;
    }
    at[0] = 0x70;
    at[2] = drive->sense_key;
    at[7] = 10;
    at[12] = drive->sense_asc;
    at[13] = drive->sense_ascq;
    reply(drive, 18, drive->packet[4]);
}

static void put_padded(uint8_t *at, const char *text, unsigned size)
{
    for (unsigned n = 0; n < size; n++) {
        at[n] = *text != '\0' ? (uint8_t)*text++ : (uint8_t)' ';
    }
}

static void inquiry(struct ide_drive *drive)
{
    uint8_t *at = drive->buffer;

    if ((drive->packet[1] & 3) != 0 || drive->packet[2] != 0) {
        invalid_field(drive); /* no vital product data */
        return;
    }
    at[0] = 0x05; /* CD-ROM device */
    at[1] = 0x80; /* removable */
    at[3] = 0x21; /* ATAPI, response format 1 (SFF-8020i) */
    at[4] = 31;
    put_padded(at + 8, "TICK86", 8);
    put_padded(at + 16, "TICK86 CD-ROM", 16);
    put_padded(at + 32, "1.0", 4);
    reply(drive, 36, drive->packet[4]);
}

static void prevent_allow(struct ide_drive *drive)
{
    drive->is_locked = (drive->packet[4] & 1) != 0;
    good(drive);
}

static void start_stop(struct ide_drive *drive)
{
    bool is_start = (drive->packet[4] & 1) != 0;
    bool is_load_eject = (drive->packet[4] & 2) != 0;

    if (!is_load_eject) {
        good(drive);
        return;
    }
    if (!is_start) {
        if (drive->is_locked) {
            check(drive, SENSE_ILLEGAL_REQUEST, ASC_REMOVAL_PREVENTED, ASCQ_REMOVAL_PREVENTED);
            return;
        }
        if (has_medium(drive)) {
            drive->media_event = MEDIA_REMOVAL;
        }
        drive->is_tray_open = true;
    } else if (drive->is_tray_open) {
        atapi_set_medium(drive, drive->backend);
    }
    good(drive);
}

static void read_capacity(struct ide_drive *drive)
{
    store_be32(drive->buffer, disc_blocks(drive) - 1);
    store_be32(drive->buffer + 4, BLOCK_SIZE);
    reply(drive, 8, 8);
}

static void read_10(struct ide_drive *drive)
{
    send_blocks(drive, load_be32(drive->packet + 2), load_be16(drive->packet + 7), BLOCK_SIZE);
}

static void read_12(struct ide_drive *drive)
{
    send_blocks(drive, load_be32(drive->packet + 2), load_be32(drive->packet + 6), BLOCK_SIZE);
}

/* READ CD (BEh) and READ CD MSF (B9h): user data, or everything but subchannels. */
static void read_cd_range(struct ide_drive *drive, uint32_t block, uint32_t count)
{
    uint8_t type = drive->packet[1] >> 2 & 7;

    if ((type != 0 && type != 2) || (drive->packet[10] & 7) != 0) { /* any or mode 1; no subchannels */
        check(drive, SENSE_ILLEGAL_REQUEST, type == 0 || type == 2 ? ASC_INVALID_FIELD : ASC_INVALID_MODE, 0);
        return;
    }
    switch (drive->packet[9] & 0xf8) {
    case 0x00: good(drive); break;
    case 0x10: send_blocks(drive, block, count, BLOCK_SIZE); break;
    case 0xf8: send_blocks(drive, block, count, RAW_SIZE); break;
    default: invalid_field(drive); break;
    }
}

static void read_cd(struct ide_drive *drive)
{
    read_cd_range(drive, load_be32(drive->packet + 2),
                  (uint32_t)drive->packet[6] << 16 | load_be16(drive->packet + 7));
}

static uint32_t from_msf(const uint8_t *at)
{
    return ((uint32_t)at[0] * 60 + at[1]) * FRAMES_PER_SECOND + at[2];
}

static void read_cd_msf(struct ide_drive *drive)
{
    uint32_t start = from_msf(drive->packet + 3);
    uint32_t end = from_msf(drive->packet + 6);

    if (start < LEAD_IN_FRAMES || end < start) {
        invalid_field(drive);
        return;
    }
    read_cd_range(drive, start - LEAD_IN_FRAMES, end - start);
}

static void seek_10(struct ide_drive *drive)
{
    if (load_be32(drive->packet + 2) >= disc_blocks(drive)) {
        check(drive, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE, 0);
        return;
    }
    good(drive);
}

/* One row of the full table of contents: session, ADR/control, TNO, point, MSF, zero, PMSF. */
static void put_full_toc_row(uint8_t *at, uint8_t point, const uint8_t *pmsf)
{
    at[0] = 1;
    at[1] = 0x14;
    at[3] = point;
    memcpy(at + 8, pmsf, 3);
}

static uint32_t full_toc(const struct ide_drive *drive, uint8_t *at)
{
    static const uint8_t one[3] = {1, 0, 0};
    uint8_t msf[3];

    at[2] = 1;
    at[3] = 1;
    put_full_toc_row(at + 4, 0xa0, one);
    put_full_toc_row(at + 15, 0xa1, one);
    put_msf(msf, disc_blocks(drive));
    put_full_toc_row(at + 26, 0xa2, msf);
    put_msf(msf, 0);
    put_full_toc_row(at + 37, 1, msf);
    return 48;
}

static uint32_t put_toc_row(uint8_t *at, uint8_t track, uint32_t block, bool is_msf)
{
    at[1] = 0x14; /* Q mode 1, data track */
    at[2] = track;
    put_disc_address(at + 4, block, is_msf);
    return 8;
}

/* READ TOC/PMA/ATIP. The format was in the control byte's high bits before MMC put it in byte 2. */
static void read_toc(struct ide_drive *drive)
{
    uint8_t *at = drive->buffer;
    bool is_msf = (drive->packet[1] & 2) != 0;
    uint8_t format = drive->packet[2] & 0x0f;
    uint8_t start = drive->packet[6];
    uint32_t size = 4;

    if (format == 0) {
        format = drive->packet[9] >> 6;
    }
    at[2] = 1;
    at[3] = 1;
    switch (format) {
    case 0:
        if (start > 1 && start != 0xaa) {
            invalid_field(drive);
            return;
        }
        if (start <= 1) {
            size += put_toc_row(at + size, 1, 0, is_msf);
        }
        size += put_toc_row(at + size, 0xaa, disc_blocks(drive), is_msf);
        break;
    case 1: size += put_toc_row(at + size, 1, 0, is_msf); break;
    case 2: size = full_toc(drive, at); break;
    default: invalid_field(drive); return;
    }
    store_be16(at, size - 2);
    reply(drive, size, load_be16(drive->packet + 7));
}

/* READ SUB-CHANNEL: no audio has been played. */
static void read_subchannel(struct ide_drive *drive)
{
    uint8_t *at = drive->buffer;
    bool is_msf = (drive->packet[1] & 2) != 0;
    uint32_t size = 4;

    at[1] = 0x15; /* no current audio status */
    if (drive->packet[2] & 0x40) {
        at[4] = drive->packet[3];
        switch (drive->packet[3]) {
        case 1:
            at[5] = 0x14;
            at[6] = 1;
            at[7] = 1;
            put_disc_address(at + 8, 0, is_msf);
            put_disc_address(at + 12, 0, is_msf);
            size = 16;
            break;
        case 2:
        case 3: size = 24; break; /* no catalogue number, no ISRC */
        default: invalid_field(drive); return;
        }
        store_be16(at + 2, size - 4);
    }
    reply(drive, size, load_be16(drive->packet + 7));
}

/* READ HEADER: the block is one of mode 1. */
static void read_header(struct ide_drive *drive)
{
    uint32_t block = load_be32(drive->packet + 2);

    if (block >= disc_blocks(drive)) {
        check(drive, SENSE_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE, 0);
        return;
    }
    drive->buffer[0] = 1;
    put_disc_address(drive->buffer + 4, block, (drive->packet[1] & 2) != 0);
    reply(drive, 8, load_be16(drive->packet + 7));
}

static void read_disc_information(struct ide_drive *drive)
{
    uint8_t *at = drive->buffer;

    if ((drive->packet[1] & 7) != 0) {
        invalid_field(drive);
        return;
    }
    at[1] = 32;
    at[2] = 0x0e; /* last session complete, disc finalised */
    at[3] = 1;
    at[4] = 1;
    at[5] = 1;
    at[6] = 1;
    at[7] = 0x20; /* unrestricted use */
    memset(at + 16, 0xff, 8);
    reply(drive, 34, load_be16(drive->packet + 7));
}

static void mechanism_status(struct ide_drive *drive)
{
    drive->buffer[1] = drive->is_tray_open ? 0x10 : 0;
    drive->buffer[5] = 0; /* no changer slots */
    reply(drive, 8, load_be16(drive->packet + 8));
}

/* ---- Mode pages ---- */

static uint32_t page_error_recovery(uint8_t *at)
{
    at[0] = 0x01;
    at[1] = 6;
    at[3] = 5; /* retries */
    return 8;
}

static uint32_t page_cd_parameters(uint8_t *at)
{
    at[0] = 0x0d;
    at[1] = 6;
    at[5] = 60;
    at[7] = FRAMES_PER_SECOND;
    return 8;
}

static uint32_t page_audio(uint8_t *at)
{
    at[0] = 0x0e;
    at[1] = 14;
    at[2] = 4;
    at[7] = FRAMES_PER_SECOND;
    at[8] = 1;
    at[9] = 0xff;
    at[10] = 2;
    at[11] = 0xff;
    return 16;
}

static uint32_t page_capabilities(const struct ide_drive *drive, uint8_t *at)
{
    at[0] = 0x2a;
    at[1] = 18;
    at[2] = 0x3b; /* reads CD-R, CD-RW, DVD-ROM and packets */
    at[4] = 0x70; /* multi-session, mode 2 forms 1 and 2 */
    at[6] = (uint8_t)(0x29 | (drive->is_locked ? 0x02 : 0)); /* tray; can lock and eject */
    store_be16(at + 8, 706);  /* largest speed in kB/s: 4 x */
    store_be16(at + 10, 2);   /* volume levels */
    store_be16(at + 12, 512); /* buffer in KiB */
    store_be16(at + 14, 706);
    return 20;
}

/* Medium type codes of SFF-8020i, table 71. */
static uint8_t medium_type(const struct ide_drive *drive)
{
    if (drive->is_tray_open) {
        return 0x71;
    }
    return has_medium(drive) ? 0x01 : 0x70;
}

static void mode_sense(struct ide_drive *drive, uint32_t header, uint32_t allocated)
{
    uint8_t *at = drive->buffer;
    uint8_t page = drive->packet[2] & 0x3f;
    uint32_t size = header;

    if (drive->packet[2] >> 6 == 3) {
        check(drive, SENSE_ILLEGAL_REQUEST, 0x39, 0); /* saving parameters not supported */
        return;
    }
    if (page == 0x01 || page == 0x3f) {
        size += page_error_recovery(at + size);
    }
    if (page == 0x0d || page == 0x3f) {
        size += page_cd_parameters(at + size);
    }
    if (page == 0x0e || page == 0x3f) {
        size += page_audio(at + size);
    }
    if (page == 0x2a || page == 0x3f) {
        size += page_capabilities(drive, at + size);
    }
    if (size == header) {
        invalid_field(drive);
        return;
    }
    if (drive->packet[2] >> 6 == 1) {
        for (uint32_t n = header, length; n < size; n += length) {
            length = at[n + 1] + 2u; /* changeable values: nothing is */
            memset(at + n + 2, 0, length - 2);
        }
    }
    if (header == 8) {
        store_be16(at, size - 2);
        at[2] = medium_type(drive);
    } else {
        at[0] = (uint8_t)(size - 1);
        at[1] = medium_type(drive);
    }
    reply(drive, size, allocated);
}

static void mode_sense_6(struct ide_drive *drive)
{
    mode_sense(drive, 4, drive->packet[4]);
}

static void mode_sense_10(struct ide_drive *drive)
{
    mode_sense(drive, 8, load_be16(drive->packet + 7));
}

/* ---- MMC features and events ---- */

struct feature {
    uint16_t code;
    uint8_t version_flags; /* version << 2 | persistent << 1 */
    bool needs_disc;       /* current only while a disc is in */
    uint8_t length;
    uint8_t data[8];
};

static const struct feature features[] = {
    {0x0001, 0x03, false, 4, {0, 0, 0, 2}},              /* core: ATAPI */
    {0x0003, 0x03, false, 4, {0x29, 0, 0, 0}},           /* removable medium: tray, eject, lock */
    {0x0010, 0x00, true, 8, {0, 0, 8, 0, 0, 1, 0, 0}},   /* random readable: 2048-byte blocks, blocking 1 */
    {0x001e, 0x00, true, 4, {0, 0, 0, 0}},               /* CD read */
};

static uint32_t put_profiles(const struct ide_drive *drive, uint8_t *at)
{
    at[2] = 0x03;
    at[3] = 8;
    store_be16(at + 4, PROFILE_DVD_ROM);
    at[6] = has_medium(drive) && is_dvd(drive);
    store_be16(at + 8, PROFILE_CD_ROM);
    at[10] = has_medium(drive) && !is_dvd(drive);
    return 12;
}

static void get_configuration(struct ide_drive *drive)
{
    uint8_t *at = drive->buffer;
    uint8_t request = drive->packet[1] & 3;
    uint32_t start = load_be16(drive->packet + 2);
    uint32_t size = 8;

    if (request == 3) {
        invalid_field(drive);
        return;
    }
    if (has_medium(drive)) {
        store_be16(at + 6, is_dvd(drive) ? PROFILE_DVD_ROM : PROFILE_CD_ROM);
    }
    if (start == 0) {
        size += put_profiles(drive, at + size);
    }
    for (unsigned n = 0; n < sizeof features / sizeof features[0]; n++) {
        const struct feature *row = &features[n];
        bool is_current = !row->needs_disc || (has_medium(drive) && (row->code != 0x001e || !is_dvd(drive)));
        if (request == 2 ? row->code != start : row->code < start || (request == 1 && !is_current)) {
            continue;
        }
        store_be16(at + size, row->code);
        at[size + 2] = (uint8_t)(row->version_flags | (is_current ? 1 : 0));
        at[size + 3] = row->length;
        memcpy(at + size + 4, row->data, row->length);
        size += 4u + row->length;
    }
    store_be32(at, size - 4);
    reply(drive, size, load_be16(drive->packet + 7));
}

/* GET EVENT STATUS NOTIFICATION, polled. Only the media class has events. */
static void get_event_status(struct ide_drive *drive)
{
    uint8_t *at = drive->buffer;
    uint32_t size = 4;

    if (!(drive->packet[1] & 1)) {
        invalid_field(drive); /* asynchronous notification is not supported */
        return;
    }
    at[3] = 0x10;
    if (drive->packet[4] & 0x10) {
        at[2] = 0x04;
        at[4] = drive->media_event;
        at[5] = (uint8_t)((drive->is_tray_open ? 1 : 0) | (has_medium(drive) ? 2 : 0));
        drive->media_event = MEDIA_NO_CHANGE;
        size = 8;
    } else {
        at[2] = 0x80; /* no class that was asked for */
    }
    store_be16(at, size - 2);
    reply(drive, size, load_be16(drive->packet + 7));
}

/* ---- Dispatch ---- */

struct packet_command {
    uint8_t opcode;
    bool needs_disc;
    bool ignores_attention; /* executed although a unit attention is pending, which stays */
    void (*execute)(struct ide_drive *drive);
};

static const struct packet_command packet_commands[] = {
    {0x00, true, false, test_unit_ready},
    {0x03, false, true, request_sense},
    {0x12, false, true, inquiry},
    {0x1a, false, false, mode_sense_6},
    {0x1b, false, false, start_stop},
    {0x1e, false, false, prevent_allow},
    {0x25, true, false, read_capacity},
    {0x28, true, false, read_10},
    {0x2b, true, false, seek_10},
    {0x42, true, false, read_subchannel},
    {0x43, true, false, read_toc},
    {0x44, true, false, read_header},
    {0x46, false, true, get_configuration},
    {0x4a, false, true, get_event_status},
    {0x51, true, false, read_disc_information},
    {0x5a, false, false, mode_sense_10},
    {0xa8, true, false, read_12},
    {0xb9, true, false, read_cd_msf},
    {0xbb, false, false, good}, /* SET CD SPEED: as fast as it is */
    {0xbd, false, false, mechanism_status},
    {0xbe, true, false, read_cd},
};

void atapi_packet(struct ide_drive *drive)
{
    const struct packet_command *row = NULL;

    memcpy(drive->packet, drive->buffer, sizeof drive->packet);
    memset(drive->buffer, 0, sizeof drive->buffer);
    for (unsigned n = 0; n < sizeof packet_commands / sizeof packet_commands[0]; n++) {
        if (packet_commands[n].opcode == drive->packet[0]) {
            row = &packet_commands[n];
        }
    }
    if (row == NULL) {
        device_log(ide_device(drive), LOG_GUEST, "drive %u: packet command 0x%02x is not implemented", drive->unit,
                   drive->packet[0]);
        check(drive, SENSE_ILLEGAL_REQUEST, ASC_INVALID_OPCODE, 0);
    } else if (drive->is_attention && !row->ignores_attention) {
        drive->is_attention = false;
        check(drive, SENSE_UNIT_ATTENTION, drive->attention_asc, drive->attention_ascq);
    } else if (row->needs_disc && !has_medium(drive)) {
        no_medium(drive);
    } else {
        row->execute(drive);
    }
}

/* ---- ATA commands of a packet device ---- */

static void put_word(uint8_t *page, unsigned word, uint32_t value)
{
    store_le16(page + 2 * word, (uint16_t)value);
}

static uint32_t modes(const struct ide_drive *drive, uint32_t supported, uint8_t type)
{
    return supported | ((drive->transfer_mode >> 3) == type ? UINT32_C(0x100) << (drive->transfer_mode & 7) : 0);
}

static void identify_packet(struct ide_drive *drive)
{
    uint8_t *page = drive->buffer;
    char serial[] = "TICK86-CD0";

    serial[9] = (char)('0' + drive->unit);
    memset(page, 0, SECTOR_SIZE);
    put_word(page, 0, 0x85c0); /* ATAPI CD-ROM, removable, DRQ within 50 us without interrupt, 12-byte packets */
    ide_put_text(page + 2 * 10, serial, 20);
    put_word(page, 20, 3);
    put_word(page, 21, 512);
    put_word(page, 22, 4);
    ide_put_text(page + 2 * 23, "1.0", 8);
    ide_put_text(page + 2 * 27, "TICK86 CD-ROM", 40);
    put_word(page, 48, 1);
    put_word(page, 49, 0x0f00); /* IORDY, LBA, DMA */
    put_word(page, 51, 0x0200);
    put_word(page, 52, 0x0200);
    put_word(page, 53, 0x0006);
    put_word(page, 63, modes(drive, 0x07, 4));
    put_word(page, 64, 0x0003);
    put_word(page, 65, 120);
    put_word(page, 66, 120);
    put_word(page, 67, 180);
    put_word(page, 68, 120);
    put_word(page, 71, 30); /* typical times in us: packet to release, SERVICE to BSY clear */
    put_word(page, 72, 30);
    put_word(page, 80, 0x007e);
    put_word(page, 82, 0x4210); /* NOP, DEVICE RESET, PACKET */
    put_word(page, 83, 0x4000);
    put_word(page, 84, 0x4000);
    put_word(page, 85, 0x4210);
    put_word(page, 87, 0x4000);
    put_word(page, 88, modes(drive, 0x3f, 8));
    put_word(page, 93, (drive->unit & 1) == 0 ? 0x600b : 0x6d00);
    drive->is_medium = false;
    ide_offer(drive, IDE_DATA_IN, SECTOR_SIZE);
    ide_interrupt(drive);
}

static void set_features(struct ide_drive *drive)
{
    uint8_t mode = drive->count[0];
    bool is_mode = mode <= 1 || (mode >> 3 == 1 && (mode & 7) <= 4) || (mode >> 3 == 4 && (mode & 7) <= 2) ||
                   (mode >> 3 == 8 && (mode & 7) <= 5);

    if (drive->feature[0] == 0x03 && is_mode) {
        drive->transfer_mode = mode;
    } else if (drive->feature[0] != 0x66 && drive->feature[0] != 0xcc) {
        ide_complete(drive, ERROR_ABRT);
        return;
    }
    ide_complete(drive, 0);
}

/* PACKET: the drive asks for the packet without an interrupt. The byte count limit is taken to be even (SFF-8020i, 5.4). */
static void start_packet(struct ide_drive *drive)
{
    uint32_t limit = (uint32_t)drive->lba_mid[0] | (uint32_t)drive->lba_high[0] << 8;

    limit &= 0xfffe;
    drive->byte_limit = limit != 0 ? limit : 0xfffe;
    drive->is_dma_packet = (drive->feature[0] & 1) != 0;
    drive->count[0] = REASON_COD;
    ide_offer(drive, IDE_PACKET, sizeof drive->packet);
}

void atapi_execute(struct ide_drive *drive)
{
    switch (drive->command) {
    case CMD_PACKET: start_packet(drive); break;
    case CMD_IDENTIFY_PACKET: identify_packet(drive); break;
    case CMD_SET_FEATURES: set_features(drive); break;
    case CMD_IDENTIFY:
    case CMD_READ_SECTORS:
        /* A host that takes it for a disk sees from the signature that it is none. */
        ide_set_signature(drive);
        ide_complete(drive, ERROR_ABRT);
        break;
    case CMD_CHECK_POWER:
        drive->count[0] = 0xff;
        ide_complete(drive, 0);
        break;
    case CMD_STANDBY_IMMEDIATE:
    case CMD_IDLE_IMMEDIATE:
    case CMD_STANDBY:
    case CMD_IDLE:
    case CMD_FLUSH_CACHE: ide_complete(drive, 0); break;
    case CMD_SLEEP:
        drive->is_asleep = true;
        ide_complete(drive, 0);
        break;
    case CMD_NOP:
    default: ide_complete(drive, ERROR_ABRT); break;
    }
}

void atapi_reset(struct ide_drive *drive, bool is_power_on)
{
    ide_set_signature(drive);
    drive->error = 0x01;
    drive->status = 0; /* 9.12: a packet device shows no DRDY after a reset */
    drive->is_asleep = false;
    drive->sense_key = SENSE_NONE;
    drive->sense_asc = 0;
    drive->sense_ascq = 0;
    if (is_power_on) {
        drive->transfer_mode = 0x0c;
        drive->is_locked = false;
        drive->is_tray_open = false;
        drive->is_attention = true;
        drive->attention_asc = ASC_POWER_ON_RESET;
        drive->attention_ascq = 0;
        drive->media_event = has_medium(drive) ? MEDIA_NEW : MEDIA_NO_CHANGE;
    }
}

/* The tray closes over `medium`, which may be none. */
void atapi_set_medium(struct ide_drive *drive, struct block_backend *medium)
{
    bool had_medium = has_medium(drive);

    drive->backend = medium;
    drive->is_tray_open = false;
    if (has_medium(drive)) {
        drive->media_event = MEDIA_NEW;
        drive->is_attention = true;
        drive->attention_asc = ASC_MEDIUM_CHANGED;
        drive->attention_ascq = 0;
    } else if (had_medium) {
        drive->media_event = MEDIA_REMOVAL;
    }
}

void atapi_eject_request(struct ide_drive *drive)
{
    drive->media_event = MEDIA_EJECT_REQUEST;
}
