/* test_ide.c - the PIIX3's IDE function seen from its ports, its interrupt lines and memory (ATA/ATAPI-6, SFF-8020i,
 * "Programming Interface for Bus Master IDE Controller" revision 1.0). */
#include "devices/ide.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { DISK_SECTORS = 4096, CD_BLOCKS = 400, BM_BASE = 0xc000 };
enum { PRIMARY = 0x1f0, SECONDARY = 0x170, CONTROL_OF = 0x206 };
enum { ERROR = 1, FEATURES = 1, COUNT = 2, LOW = 3, MID = 4, HIGH = 5, DEVICE = 6, STATUS = 7, COMMAND = 7 };

/* A disk in memory. */
struct image {
    struct block_backend backend;
    uint8_t *bytes;
    uint64_t failing; /* sector that the host cannot read or write */
    unsigned flushes;
};

static bool image_read(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    struct image *image = context;

    ck_assert(sector < image->backend.sectors && count <= image->backend.sectors - sector);
    if (image->failing >= sector && image->failing - sector < count) {
        return false;
    }
    memcpy(bytes, image->bytes + sector * SECTOR_SIZE, (size_t)count * SECTOR_SIZE);
    return true;
}

static bool image_write(void *context, uint64_t sector, uint32_t count, const void *bytes)
{
    struct image *image = context;

    ck_assert(sector < image->backend.sectors && count <= image->backend.sectors - sector);
    if (image->failing >= sector && image->failing - sector < count) {
        return false;
    }
    memcpy(image->bytes + sector * SECTOR_SIZE, bytes, (size_t)count * SECTOR_SIZE);
    return true;
}

static bool image_flush(void *context)
{
    ((struct image *)context)->flushes++;
    return true;
}

static uint8_t pattern(uint64_t sector, unsigned n)
{
    return (uint8_t)(sector * 7 + n + (n >> 8) * 3);
}

static void image_open(struct image *image, uint64_t sectors)
{
    memset(image, 0, sizeof *image);
    image->bytes = malloc((size_t)sectors * SECTOR_SIZE + 1);
    ck_assert_ptr_nonnull(image->bytes);
    for (uint64_t s = 0; s < sectors; s++) {
        for (unsigned n = 0; n < SECTOR_SIZE; n++) {
            image->bytes[s * SECTOR_SIZE + n] = pattern(s, n);
        }
    }
    image->failing = UINT64_MAX;
    image->backend = (struct block_backend){image, sectors, false, image_read, image_write, image_flush, NULL};
}

/* Disk at primary 0 and 1, CD at secondary 0. */
struct rig {
    struct box box;
    struct image disk[2], cd;
    unsigned base; /* channel that the helpers use */
};

static void open_rig(struct rig *rig, bool has_slave)
{
    struct box *box = &rig->box;

    memset(rig, 0, sizeof *rig);
    image_open(&rig->disk[0], DISK_SECTORS);
    image_open(&rig->disk[1], 64);
    image_open(&rig->cd, CD_BLOCKS * 4);
    const struct property properties[] = {
        {"drive0", 0, NULL, &rig->disk[0].backend},
        {"cd2", 0, NULL, &rig->cd.backend},
        {has_slave ? "drive1" : "nothing", 0, NULL, &rig->disk[1].backend},
        {NULL, 0, NULL, NULL},
    };
    box_open_with(box, &piix3_ide_class, properties);
    box_map_ports(box, 0x1f0, 8, 0x1f0);
    box_map_ports(box, 0x170, 8, 0x170);
    box_map_ports(box, 0x3f6, 1, 0x3f6);
    box_map_ports(box, 0x376, 1, 0x376);
    box_config_write(box, 0x40, 4, 0x80008000);
    box_config_write(box, 0x20, 4, BM_BASE);
    box_config_write(box, 0x04, 2, 5);
    rig->base = PRIMARY;
}

static void close_rig(struct rig *rig)
{
    box_close(&rig->box);
    free(rig->disk[0].bytes);
    free(rig->disk[1].bytes);
    free(rig->cd.bytes);
}

static uint8_t in(struct rig *rig, unsigned reg)
{
    return box_in8(&rig->box, rig->base + reg);
}

static void out(struct rig *rig, unsigned reg, unsigned value)
{
    box_out8(&rig->box, rig->base + reg, value);
}

static const char *wire(const struct rig *rig)
{
    return rig->base == PRIMARY ? "irq14" : "irq15";
}

/* Steps until BSY falls. */
static uint8_t wait(struct rig *rig)
{
    for (unsigned n = 0; n < 10000; n++) {
        uint8_t status = box_in8(&rig->box, rig->base + CONTROL_OF);
        if (!(status & STATUS_BSY)) {
            return status;
        }
        box_step_ns(&rig->box, 5000);
    }
    ck_abort_msg("BSY for 50 ms");
    return 0;
}

static void set_lba28(struct rig *rig, unsigned unit, uint32_t lba, unsigned count)
{
    out(rig, DEVICE, 0xe0 | unit << 4 | lba >> 24);
    out(rig, COUNT, count);
    out(rig, LOW, lba & 0xff);
    out(rig, MID, lba >> 8 & 0xff);
    out(rig, HIGH, lba >> 16 & 0xff);
}

static void set_lba48(struct rig *rig, uint64_t lba, unsigned count)
{
    out(rig, DEVICE, 0xe0);
    out(rig, COUNT, count >> 8);
    out(rig, LOW, lba >> 24 & 0xff);
    out(rig, MID, lba >> 32 & 0xff);
    out(rig, HIGH, lba >> 40 & 0xff);
    out(rig, COUNT, count & 0xff);
    out(rig, LOW, lba & 0xff);
    out(rig, MID, lba >> 8 & 0xff);
    out(rig, HIGH, lba >> 16 & 0xff);
}

static void check_sector(struct rig *rig, uint64_t sector)
{
    for (unsigned n = 0; n < SECTOR_SIZE; n += 2) {
        unsigned expected = pattern(sector, n) | (unsigned)pattern(sector, n + 1) << 8;
        ck_assert_uint_eq(box_in16(&rig->box, rig->base), expected);
    }
}

static unsigned identify_word(const uint8_t *page, unsigned word)
{
    return page[2 * word] | (unsigned)page[2 * word + 1] << 8;
}

static void read_page(struct rig *rig, uint8_t page[SECTOR_SIZE])
{
    for (unsigned n = 0; n < SECTOR_SIZE; n += 4) {
        store_le32(page + n, box_in32(&rig->box, rig->base));
    }
}

/* ---- Bus master ---- */

enum { TABLE = 0x1000, DATA = 0x20000 };

static unsigned bm(const struct rig *rig)
{
    return BM_BASE + (rig->base == PRIMARY ? 0 : 8);
}

static void put_descriptor(struct rig *rig, unsigned n, uint32_t address, unsigned size, bool is_last)
{
    box_write32(&rig->box, TABLE + 8 * n, address);
    box_write32(&rig->box, TABLE + 8 * n + 4, (size & 0xffff) | (is_last ? 0x80000000u : 0));
}

static void start_dma(struct rig *rig, bool is_to_memory)
{
    box_out32(&rig->box, bm(rig) + 4, TABLE);
    box_out8(&rig->box, bm(rig) + 2, 6);
    box_out8(&rig->box, bm(rig), is_to_memory ? 8 : 0);
    box_out8(&rig->box, bm(rig), is_to_memory ? 9 : 1);
}

START_TEST(fields_tile)
{
    size_t where;

    ck_assert_msg(state_tiles(piix3_ide_class.fields, piix3_ide_class.size, &where), "at %zu", where);
    ck_assert_msg(state_tiles(ide_channel_fields, sizeof(struct ide_channel), &where), "channel at %zu", where);
    const struct field *drives = &ide_channel_fields[2];
    ck_assert_str_eq(drives->name, "drives");
    ck_assert_msg(state_tiles(drives->sub, sizeof(struct ide_drive), &where), "drive at %zu", where);
}
END_TEST

/* IDETIM's bit 15 and the command register's I/O bit decide whether a channel decodes. */
START_TEST(disabled_channel_floats)
{
    struct rig rig;

    open_rig(&rig, false);
    ck_assert_uint_eq(box_config_read(&rig.box, 0, 4), 0x70108086);
    ck_assert_uint_eq(box_config_read(&rig.box, 8, 4) >> 8, 0x010180);
    ck_assert_uint_eq(in(&rig, STATUS), 0x50);
    box_config_write(&rig.box, 0x40, 2, 0);
    ck_assert_uint_eq(in(&rig, STATUS), 0xff);
    box_config_write(&rig.box, 0x40, 2, 0x8000);
    box_config_write(&rig.box, 4, 2, 0);
    ck_assert_uint_eq(box_in32(&rig.box, PRIMARY), 0xffffffff);
    close_rig(&rig);
}
END_TEST

START_TEST(identify_device)
{
    struct rig rig;
    uint8_t page[SECTOR_SIZE];
    uint8_t sum = 0;

    open_rig(&rig, false);
    out(&rig, DEVICE, 0xa0);
    out(&rig, COMMAND, 0xec);
    ck_assert_uint_eq(in(&rig, STATUS) & 0x88, STATUS_BSY);
    ck_assert_uint_eq(wait(&rig), 0x58);
    ck_assert(box_irq(&rig.box, "irq14"));
    ck_assert_uint_eq(box_in8(&rig.box, 0x3f6), 0x58);
    ck_assert_msg(box_irq(&rig.box, "irq14"), "Alternate Status must not clear INTRQ");
    ck_assert_uint_eq(in(&rig, STATUS), 0x58);
    ck_assert(!box_irq(&rig.box, "irq14"));
    read_page(&rig, page);
    ck_assert_uint_eq(in(&rig, STATUS), 0x50);
    ck_assert_uint_eq(identify_word(page, 0), 0x40);
    ck_assert_uint_eq(identify_word(page, 60) | identify_word(page, 61) << 16, DISK_SECTORS);
    ck_assert_uint_eq(identify_word(page, 100), DISK_SECTORS);
    ck_assert_uint_eq(identify_word(page, 1), DISK_SECTORS / 1008);
    ck_assert_uint_eq(identify_word(page, 27), 'T' << 8 | 'I');
    ck_assert_uint_eq(identify_word(page, 28), 'C' << 8 | 'K');
    for (unsigned n = 0; n < SECTOR_SIZE; n++) {
        sum = (uint8_t)(sum + page[n]);
    }
    ck_assert_uint_eq(sum, 0);
    close_rig(&rig);
}
END_TEST

START_TEST(pio_read_lba28)
{
    struct rig rig;

    open_rig(&rig, false);
    set_lba28(&rig, 0, 100, 3);
    out(&rig, COMMAND, 0x20);
    for (unsigned n = 0; n < 3; n++) {
        unsigned rises = box_rises(&rig.box, "irq14");
        ck_assert_uint_eq(wait(&rig), 0x58);
        ck_assert_uint_eq(box_rises(&rig.box, "irq14"), rises + (n != 0 || rises == 0));
        ck_assert(box_irq(&rig.box, "irq14"));
        in(&rig, STATUS);
        check_sector(&rig, 100 + n);
    }
    ck_assert_uint_eq(in(&rig, STATUS), 0x50);
    box_step_ns(&rig.box, 1000000);
    ck_assert(!box_irq(&rig.box, "irq14"));
    ck_assert_uint_eq(in(&rig, LOW), 102);
    ck_assert_uint_eq(in(&rig, COUNT), 0);
    ck_assert_uint_eq(box_in16(&rig.box, PRIMARY), 0xffff);
    close_rig(&rig);
}
END_TEST

/* 1:0:1 is sector heads * sectors per track, in the default translation and after INITIALIZE DEVICE PARAMETERS. */
START_TEST(pio_read_chs)
{
    struct rig rig;

    open_rig(&rig, false);
    out(&rig, COUNT, 1);
    out(&rig, LOW, 1);
    out(&rig, MID, 1);
    out(&rig, HIGH, 0);
    out(&rig, DEVICE, 0xa0);
    out(&rig, COMMAND, 0x20);
    ck_assert_uint_eq(wait(&rig), 0x58);
    check_sector(&rig, 1008);
    out(&rig, COUNT, 17);
    out(&rig, DEVICE, 0xa3);
    out(&rig, COMMAND, 0x91);
    ck_assert_uint_eq(wait(&rig), 0x50);
    out(&rig, COUNT, 1);
    out(&rig, LOW, 17);
    out(&rig, MID, 1);
    out(&rig, DEVICE, 0xa1);
    out(&rig, COMMAND, 0x20);
    ck_assert_uint_eq(wait(&rig), 0x58);
    check_sector(&rig, (1 * 4 + 1) * 17 + 16);
    out(&rig, COUNT, 1);
    out(&rig, LOW, 18);
    out(&rig, COMMAND, 0x20);
    ck_assert_uint_eq(wait(&rig), 0x51);
    ck_assert_uint_eq(in(&rig, ERROR), ERROR_IDNF);
    close_rig(&rig);
}
END_TEST

static void write_words(struct rig *rig, unsigned seed, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n += 2) {
        box_out16(&rig->box, rig->base, (seed + n) & 0xffff);
    }
}

static void check_words(const uint8_t *at, unsigned seed, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n += 2) {
        ck_assert_uint_eq(load_le16(at + n), (seed + n) & 0xffff);
    }
}

START_TEST(pio_write)
{
    struct rig rig;

    open_rig(&rig, false);
    set_lba48(&rig, 7, 2);
    out(&rig, COMMAND, 0x34);
    ck_assert_uint_eq(wait(&rig), 0x58);
    ck_assert_msg(!box_irq(&rig.box, "irq14"), "the first block is asked for without an interrupt");
    write_words(&rig, 1000, 512);
    ck_assert_uint_eq(wait(&rig), 0x58);
    ck_assert(box_irq(&rig.box, "irq14"));
    in(&rig, STATUS);
    write_words(&rig, 5000, 512);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert(box_irq(&rig.box, "irq14"));
    check_words(rig.disk[0].bytes + 7 * 512, 1000, 512);
    check_words(rig.disk[0].bytes + 8 * 512, 5000, 512);
    ck_assert_uint_eq(rig.disk[0].bytes[9 * 512], pattern(9, 0));
    out(&rig, COMMAND, 0xe7);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert_uint_eq(rig.disk[0].flushes, 1);
    close_rig(&rig);
}
END_TEST

START_TEST(multiple)
{
    struct rig rig;

    open_rig(&rig, false);
    out(&rig, DEVICE, 0xe0);
    out(&rig, COUNT, 3);
    out(&rig, COMMAND, 0xc6);
    ck_assert_uint_eq(wait(&rig), 0x51);
    out(&rig, COUNT, 4);
    out(&rig, COMMAND, 0xc6);
    ck_assert_uint_eq(wait(&rig), 0x50);
    set_lba28(&rig, 0, 50, 6); /* a block of four and one of two */
    out(&rig, COMMAND, 0xc4);
    ck_assert_uint_eq(wait(&rig), 0x58);
    for (unsigned n = 0; n < 4; n++) {
        ck_assert_uint_eq(in(&rig, STATUS), 0x58);
        check_sector(&rig, 50 + n);
    }
    ck_assert_uint_eq(in(&rig, STATUS) & STATUS_BSY, STATUS_BSY);
    ck_assert_uint_eq(wait(&rig), 0x58);
    check_sector(&rig, 54);
    check_sector(&rig, 55);
    ck_assert_uint_eq(in(&rig, STATUS), 0x50);
    set_lba28(&rig, 0, 60, 5);
    out(&rig, COMMAND, 0xc5);
    wait(&rig);
    write_words(&rig, 1, 4 * 512);
    ck_assert_uint_eq(wait(&rig), 0x58);
    write_words(&rig, 4 * 512 + 1, 512);
    ck_assert_uint_eq(wait(&rig), 0x50);
    check_words(rig.disk[0].bytes + 60 * 512, 1, 5 * 512);
    out(&rig, COUNT, 0);
    out(&rig, COMMAND, 0xc6);
    ck_assert_uint_eq(wait(&rig), 0x50);
    set_lba28(&rig, 0, 60, 5);
    out(&rig, COMMAND, 0xc4);
    ck_assert_uint_eq(wait(&rig), 0x51);
    close_rig(&rig);
}
END_TEST

START_TEST(out_of_range)
{
    static const struct {
        uint32_t lba;
        unsigned count;
        uint8_t status;
    } rows[] = {{DISK_SECTORS, 1, 0x51},  {DISK_SECTORS - 1, 1, 0x58}, {DISK_SECTORS - 1, 2, 0x51},
                {0x0fffffff, 1, 0x51},    {DISK_SECTORS - 256, 0, 0x58}, {DISK_SECTORS - 255, 0, 0x51}};
    struct rig rig;

    open_rig(&rig, false);
    set_lba28(&rig, 0, rows[_i].lba, rows[_i].count);
    out(&rig, COMMAND, 0x20);
    ck_assert_uint_eq(wait(&rig), rows[_i].status);
    if (rows[_i].status == 0x51) {
        ck_assert_uint_eq(in(&rig, ERROR), ERROR_IDNF);
    }
    close_rig(&rig);
}
END_TEST

START_TEST(host_error_names_the_sector)
{
    struct rig rig;

    open_rig(&rig, false);
    rig.disk[0].failing = 203;
    set_lba28(&rig, 0, 200, 8);
    out(&rig, COMMAND, 0xc4);
    wait(&rig);
    ck_assert_uint_eq(in(&rig, STATUS), 0x51);
    ck_assert_uint_eq(in(&rig, ERROR), ERROR_UNC);
    ck_assert_uint_eq(in(&rig, LOW), 203);
    ck_assert_uint_eq(in(&rig, COUNT), 5);
    put_descriptor(&rig, 0, DATA, 8 * 512, true);
    set_lba28(&rig, 0, 200, 8);
    out(&rig, COMMAND, 0xc8);
    start_dma(&rig, true);
    ck_assert_uint_eq(wait(&rig), 0x51);
    ck_assert_uint_eq(in(&rig, LOW), 203);
    ck_assert_uint_eq(box_read8(&rig.box, DATA + 2 * 512), pattern(202, 0));
    set_lba28(&rig, 0, 200, 8);
    out(&rig, COMMAND, 0xca);
    box_out8(&rig.box, bm(&rig), 0);
    start_dma(&rig, false);
    ck_assert_uint_eq(wait(&rig), 0x51);
    ck_assert_uint_eq(in(&rig, ERROR), ERROR_UNC);
    close_rig(&rig);
}
END_TEST

/* HOB shows the previous content; any write to the command block clears it. */
START_TEST(hob)
{
    struct rig rig;

    open_rig(&rig, false);
    set_lba48(&rig, UINT64_C(0x665544332211), 0x8877);
    ck_assert_uint_eq(in(&rig, LOW), 0x11);
    box_out8(&rig.box, 0x3f6, 0x80);
    ck_assert_uint_eq(in(&rig, COUNT), 0x88);
    ck_assert_uint_eq(in(&rig, LOW), 0x44);
    ck_assert_uint_eq(in(&rig, MID), 0x55);
    ck_assert_uint_eq(in(&rig, HIGH), 0x66);
    out(&rig, DEVICE, 0xe0);
    ck_assert_uint_eq(in(&rig, LOW), 0x11);
    out(&rig, COMMAND, 0x27);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert_uint_eq(in(&rig, LOW) | in(&rig, MID) << 8, DISK_SECTORS - 1);
    close_rig(&rig);
}
END_TEST

START_TEST(nien)
{
    struct rig rig;

    open_rig(&rig, false);
    box_out8(&rig.box, 0x3f6, CONTROL_NIEN);
    out(&rig, COMMAND, 0x10);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert(!box_irq(&rig.box, "irq14"));
    box_out8(&rig.box, 0x3f6, 0);
    ck_assert_msg(box_irq(&rig.box, "irq14"), "still pending");
    in(&rig, STATUS);
    ck_assert(!box_irq(&rig.box, "irq14"));
    close_rig(&rig);
}
END_TEST

START_TEST(reset_in_mid_transfer)
{
    struct rig rig;

    open_rig(&rig, true);
    set_lba28(&rig, 1, 3, 2);
    out(&rig, COMMAND, 0x20);
    ck_assert_uint_eq(wait(&rig), 0x58);
    box_in16(&rig.box, PRIMARY);
    box_out8(&rig.box, 0x3f6, CONTROL_SRST);
    ck_assert(!box_irq(&rig.box, "irq14"));
    box_step_ns(&rig.box, 10000000);
    ck_assert_uint_eq(in(&rig, STATUS), STATUS_BSY);
    box_out8(&rig.box, 0x3f6, 0);
    ck_assert_uint_eq(in(&rig, STATUS), STATUS_BSY);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert_msg(!box_irq(&rig.box, "irq14"), "a software reset does not interrupt");
    for (unsigned unit = 0; unit < 2; unit++) {
        out(&rig, DEVICE, 0xa0 | unit << 4);
        ck_assert_uint_eq(in(&rig, STATUS), 0x50);
        ck_assert_uint_eq(in(&rig, ERROR), 1);
        ck_assert_uint_eq(in(&rig, COUNT), 1);
        ck_assert_uint_eq(in(&rig, LOW), 1);
        ck_assert_uint_eq(in(&rig, MID) | in(&rig, HIGH), 0);
    }
    set_lba28(&rig, 1, 3, 1);
    out(&rig, COMMAND, 0x20);
    ck_assert_uint_eq(wait(&rig), 0x58);
    check_sector(&rig, 3);
    box_reset(&rig.box);
    ck_assert(!box_irq(&rig.box, "irq14"));
    close_rig(&rig);
}
END_TEST

START_TEST(execute_diagnostic)
{
    struct rig rig;

    open_rig(&rig, true);
    out(&rig, DEVICE, 0xb0);
    out(&rig, COMMAND, 0x90);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert(box_irq(&rig.box, "irq14"));
    ck_assert_uint_eq(in(&rig, ERROR), 1);
    ck_assert_uint_eq(in(&rig, DEVICE), 0xa0);
    close_rig(&rig);
}
END_TEST

/* 9.16.1: device 0 answers for an absent device 1, with status 0 and without taking commands. */
START_TEST(absent_slave)
{
    struct rig rig;

    open_rig(&rig, false);
    out(&rig, DEVICE, 0xb0);
    ck_assert_uint_eq(in(&rig, STATUS), 0);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3f6), 0);
    out(&rig, COMMAND, 0xec);
    box_step_ns(&rig.box, 1000000);
    ck_assert_uint_eq(in(&rig, STATUS), 0);
    ck_assert(!box_irq(&rig.box, "irq14"));
    out(&rig, DEVICE, 0xa0);
    ck_assert_uint_eq(in(&rig, STATUS), 0x50);
    close_rig(&rig);
}
END_TEST

START_TEST(absent_channel)
{
    struct box box;

    box_open(&box, &piix3_ide_class);
    box_map_ports(&box, 0x1f0, 8, 0x1f0);
    box_map_ports(&box, 0x3f6, 1, 0x3f6);
    box_config_write(&box, 0x40, 4, 0x80008000);
    box_config_write(&box, 4, 2, 5);
    ck_assert_uint_eq(box_in8(&box, 0x1f7) & STATUS_BSY, 0);
    box_out8(&box, 0x1f2, 0x55);
    ck_assert_uint_ne(box_in8(&box, 0x1f2), 0x55);
    box_out8(&box, 0x3f6, 4);
    box_out8(&box, 0x3f6, 0);
    box_out8(&box, 0x1f7, 0x90);
    box_step_ns(&box, 10000000);
    ck_assert_uint_eq(box_in8(&box, 0x1f7) & STATUS_BSY, 0);
    ck_assert(!box_irq(&box, "irq14"));
    box_close(&box);
}
END_TEST

START_TEST(small_commands)
{
    static const struct {
        uint8_t command, feature, count, status, count_after;
    } rows[] = {
        {0x00, 0, 5, 0x51, 5},       {0x08, 0, 5, 0x51, 5},     {0x40, 0, 8, 0x50, 0},     {0x70, 0, 1, 0x50, 1},
        {0xe5, 0, 1, 0x50, 0xff},    {0xe3, 0, 1, 0x50, 1},     {0xef, 0x03, 0x22, 0x50, 0x22},
        {0xef, 0x03, 0x27, 0x51, 0x27}, {0xef, 0x02, 0, 0x50, 0}, {0xef, 0x99, 0, 0x51, 0}, {0xa1, 0, 1, 0x51, 1},
        {0x50, 0, 1, 0x51, 1},       {0xb0, 0xd8, 0, 0x51, 0},  {0xf8, 0, 1, 0x50, 1},     {0xea, 0, 1, 0x50, 1},
        {0xc8, 0, 1, 0x80, 1},
    };
    struct rig rig;

    open_rig(&rig, false);
    set_lba28(&rig, 0, 0, rows[_i].count);
    out(&rig, FEATURES, rows[_i].feature);
    out(&rig, COMMAND, rows[_i].command);
    box_step_ns(&rig.box, 200000);
    ck_assert_uint_eq(box_in8(&rig.box, 0x3f6) & ~(rows[_i].status == 0x80 ? 0x50u : 0), rows[_i].status);
    ck_assert_uint_eq(in(&rig, COUNT), rows[_i].count_after);
    close_rig(&rig);
}
END_TEST

/* SMART RETURN STATUS leaves the key when all is well; SLEEP ends with a reset only. */
START_TEST(smart_and_sleep)
{
    struct rig rig;

    open_rig(&rig, false);
    set_lba28(&rig, 0, 0xc24f00, 0);
    out(&rig, FEATURES, 0xda);
    out(&rig, COMMAND, 0xb0);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert_uint_eq(in(&rig, MID), 0x4f);
    ck_assert_uint_eq(in(&rig, HIGH), 0xc2);
    out(&rig, FEATURES, 0xd0);
    out(&rig, COMMAND, 0xb0);
    ck_assert_uint_eq(wait(&rig), 0x58);
    for (unsigned n = 0; n < 256; n++) {
        box_in16(&rig.box, PRIMARY);
    }
    out(&rig, COMMAND, 0xe6);
    ck_assert_uint_eq(wait(&rig), 0x50);
    in(&rig, STATUS);
    out(&rig, COMMAND, 0xec);
    box_step_ns(&rig.box, 1000000);
    ck_assert_uint_eq(in(&rig, STATUS), 0x50);
    ck_assert(!box_irq(&rig.box, "irq14"));
    box_out8(&rig.box, 0x3f6, 4);
    box_out8(&rig.box, 0x3f6, 0);
    wait(&rig);
    out(&rig, COMMAND, 0xec);
    ck_assert_uint_eq(wait(&rig), 0x58);
    close_rig(&rig);
}
END_TEST

START_TEST(dma_read_and_write)
{
    struct rig rig;

    open_rig(&rig, false);
    put_descriptor(&rig, 0, DATA, 1000, false);
    put_descriptor(&rig, 1, DATA + 0x3000, 8 * 512 - 1000, true);
    set_lba28(&rig, 0, 40, 8);
    out(&rig, COMMAND, 0xc8);
    start_dma(&rig, true);
    ck_assert_uint_eq(box_in8(&rig.box, bm(&rig) + 2) & 7, 1);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert(box_irq(&rig.box, "irq14"));
    ck_assert_uint_eq(box_in8(&rig.box, bm(&rig) + 2) & 7, 4);
    box_out8(&rig.box, bm(&rig), 0);
    box_out8(&rig.box, bm(&rig) + 2, 4);
    ck_assert_uint_eq(box_in8(&rig.box, bm(&rig) + 2) & 7, 0);
    for (unsigned n = 0; n < 8 * 512; n++) {
        unsigned at = n < 1000 ? DATA + n : DATA + 0x3000 + n - 1000;
        ck_assert_uint_eq(box_read8(&rig.box, at), pattern(40 + n / 512, n % 512));
    }
    in(&rig, STATUS);
    set_lba48(&rig, 1000, 8);
    out(&rig, COMMAND, 0x35);
    box_step_ns(&rig.box, 1000000);
    ck_assert_uint_eq(in(&rig, STATUS) & STATUS_BSY, STATUS_BSY); /* waits for the bus master */
    start_dma(&rig, false);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert_mem_eq(rig.disk[0].bytes + 1000 * 512, rig.disk[0].bytes + 40 * 512, 8 * 512);
    close_rig(&rig);
}
END_TEST

/* ATA8-ACS2 7.5.3: the ranges of a block read as zeros, their neighbours stay; a range that leaves the disk aborts. */
START_TEST(trim)
{
    static const struct {
        uint64_t sector;
        uint16_t count;
    } ranges[] = {{10, 3}, {0, 0}, {700, 40}, {DISK_SECTORS - 1, 1}};
    struct rig rig;
    uint8_t page[512];

    open_rig(&rig, false);
    out(&rig, COMMAND, 0xec);
    wait(&rig);
    read_page(&rig, page);
    ck_assert_uint_eq(identify_word(page, 169), 1);
    ck_assert_uint_eq(identify_word(page, 69) & 0x4020, 0x4020);
    for (unsigned n = 0; n < 512; n++) {
        box_write8(&rig.box, DATA + n, 0);
    }
    for (unsigned n = 0; n < 4; n++) {
        box_write32(&rig.box, DATA + n * 8, (uint32_t)ranges[n].sector);
        box_write32(&rig.box, DATA + n * 8 + 4, (uint32_t)ranges[n].count << 16);
    }
    put_descriptor(&rig, 0, DATA, 512, true);
    for (unsigned round = 0; round < 2; round++) {
        out(&rig, FEATURES, 0);
        out(&rig, FEATURES, 1);
        set_lba48(&rig, 0, 1);
        out(&rig, COMMAND, 0x06);
        start_dma(&rig, false);
        ck_assert_uint_eq(wait(&rig), round == 0 ? 0x50 : 0x51);
        box_out8(&rig.box, bm(&rig), 0);
        box_write32(&rig.box, DATA + 3 * 8 + 4, 2u << 16); /* the next: one sector too many */
    }
    ck_assert_uint_eq(in(&rig, ERROR) & 4, 4);
    for (uint64_t s = 0; s < DISK_SECTORS; s++) {
        bool is_zero = false;
        for (unsigned n = 0; n < 4; n++) {
            is_zero = is_zero || (s >= ranges[n].sector && s < ranges[n].sector + ranges[n].count);
        }
        for (unsigned n = 0; n < 512; n++) {
            ck_assert_uint_eq(rig.disk[0].bytes[s * 512 + n], is_zero ? 0 : pattern(s, n));
        }
    }
    out(&rig, FEATURES, 0); /* no other function */
    out(&rig, FEATURES, 2);
    out(&rig, COMMAND, 0x06);
    ck_assert_uint_eq(wait(&rig), 0x51);
    close_rig(&rig);
}
END_TEST

/* Descriptors longer than the transfer: interrupt with Active still set. Shorter: Active falls, no interrupt. */
START_TEST(dma_sizes_differ)
{
    struct rig rig;

    open_rig(&rig, false);
    put_descriptor(&rig, 0, DATA, 0, true); /* 64 KiB */
    set_lba28(&rig, 0, 0, 2);
    out(&rig, COMMAND, 0xc8);
    start_dma(&rig, true);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert_uint_eq(box_in8(&rig.box, bm(&rig) + 2) & 7, 5);
    box_out8(&rig.box, bm(&rig), 8);
    ck_assert_uint_eq(box_in8(&rig.box, bm(&rig) + 2) & 7, 4);
    in(&rig, STATUS);
    put_descriptor(&rig, 0, DATA, 512, true);
    out(&rig, COUNT, 2);
    out(&rig, COMMAND, 0xc8);
    start_dma(&rig, true);
    box_step_ns(&rig.box, 1000000);
    ck_assert_uint_eq(box_in8(&rig.box, bm(&rig) + 2) & 7, 0);
    ck_assert_uint_eq(in(&rig, STATUS) & STATUS_BSY, STATUS_BSY);
    ck_assert(!box_irq(&rig.box, "irq14"));
    start_dma(&rig, true); /* the rest */
    box_out8(&rig.box, bm(&rig), 8);
    start_dma(&rig, true);
    ck_assert_uint_eq(wait(&rig), 0x50);
    close_rig(&rig);
}
END_TEST

/* Nobody at the table, nobody at the data, or no permission to be master: error bit, and a reset helps. */
START_TEST(dma_error)
{
    struct rig rig;

    open_rig(&rig, false);
    put_descriptor(&rig, 0, _i == 1 ? 0xe0000000 : DATA, 512, true);
    if (_i == 2) {
        box_config_write(&rig.box, 4, 2, 1);
    }
    set_lba28(&rig, 0, 0, 1);
    out(&rig, COMMAND, 0xc8);
    box_out32(&rig.box, bm(&rig) + 4, _i == 0 ? 0xfffffffc : TABLE);
    box_out8(&rig.box, bm(&rig), 9);
    box_step_ns(&rig.box, 1000000);
    ck_assert_uint_eq(box_in8(&rig.box, bm(&rig) + 2) & 7, 2);
    box_out8(&rig.box, 0x3f6, 4);
    box_out8(&rig.box, 0x3f6, 0);
    ck_assert_uint_eq(wait(&rig), 0x50);
    close_rig(&rig);
}
END_TEST

/* A table without end stays within its 64 KiB. */
START_TEST(dma_endless_table)
{
    struct rig rig;

    open_rig(&rig, false);
    for (unsigned n = 0; n < 8192; n++) {
        box_write32(&rig.box, 0x10000 + 8 * n, 0x100000);
        box_write32(&rig.box, 0x10000 + 8 * n + 4, 2);
    }
    set_lba28(&rig, 0, 0, 64); /* twice as much as the table takes */
    out(&rig, COMMAND, 0xc8);
    box_out32(&rig.box, bm(&rig) + 4, 0x10000);
    box_out8(&rig.box, bm(&rig), 9);
    box_step_ns(&rig.box, 10000000);
    ck_assert_uint_eq(box_in8(&rig.box, bm(&rig) + 2) & 7, 2);
    ck_assert_uint_eq(in(&rig, STATUS) & STATUS_BSY, STATUS_BSY);
    close_rig(&rig);
}
END_TEST

/* ---- ATAPI ---- */

static uint8_t send_packet(struct rig *rig, const uint8_t packet[12], unsigned limit, bool is_dma)
{
    out(rig, DEVICE, 0xa0);
    out(rig, FEATURES, is_dma);
    out(rig, MID, limit & 0xff);
    out(rig, HIGH, limit >> 8);
    out(rig, COMMAND, 0xa0);
    ck_assert_uint_eq(wait(rig) & 0x89, STATUS_DRQ);
    ck_assert_uint_eq(in(rig, COUNT), REASON_COD);
    for (unsigned n = 0; n < 12; n += 2) {
        box_out16(&rig->box, rig->base, packet[n] | (unsigned)packet[n + 1] << 8);
    }
    return is_dma ? 0 : wait(rig);
}

/* Takes all data of the command; returns how much, and the final status. */
static unsigned receive(struct rig *rig, uint8_t *bytes, unsigned most, unsigned limit)
{
    unsigned done = 0;

    while (wait(rig) & STATUS_DRQ) {
        unsigned size = in(rig, MID) | (unsigned)in(rig, HIGH) << 8;
        ck_assert(box_irq(&rig->box, wire(rig)));
        in(rig, STATUS);
        ck_assert_uint_eq(in(rig, COUNT), REASON_IO);
        ck_assert_uint_ge(limit, size);
        for (unsigned n = 0; n < size; n += 2) {
            unsigned value = box_in16(&rig->box, rig->base);
            ck_assert_uint_lt(done, most);
            bytes[done++] = (uint8_t)value;
            if (n + 1 < size) {
                bytes[done++] = (uint8_t)(value >> 8);
            }
        }
    }
    ck_assert(box_irq(&rig->box, wire(rig)));
    ck_assert_uint_eq(in(rig, COUNT), REASON_IO | REASON_COD);
    return done;
}

/* Clears the unit attention of power-on. */
static void ready_cd(struct rig *rig)
{
    static const uint8_t test_unit_ready[12] = {0};

    rig->base = SECONDARY;
    ck_assert_uint_eq(send_packet(rig, test_unit_ready, 0, false), 0x51);
    ck_assert_uint_eq(in(rig, ERROR) >> 4, 6);
    ck_assert_uint_eq(send_packet(rig, test_unit_ready, 0, false), 0x50);
}

static void expect_sense(struct rig *rig, unsigned key, unsigned asc)
{
    static const uint8_t request_sense[12] = {3, 0, 0, 0, 18};
    uint8_t bytes[32];

    send_packet(rig, request_sense, 0xfffe, false);
    ck_assert_uint_eq(receive(rig, bytes, sizeof bytes, 0xfffe), 18);
    ck_assert_uint_eq(bytes[2], key);
    ck_assert_uint_eq(bytes[12], asc);
}

START_TEST(atapi_signature_and_identify)
{
    struct rig rig;
    uint8_t page[SECTOR_SIZE];

    open_rig(&rig, false);
    rig.base = SECONDARY;
    ck_assert_uint_eq(in(&rig, STATUS), 0);
    ck_assert_uint_eq(in(&rig, MID) | in(&rig, HIGH) << 8, 0xeb14);
    out(&rig, MID, 0);
    out(&rig, HIGH, 0);
    out(&rig, COMMAND, 0xec);
    ck_assert_uint_eq(wait(&rig), 0x51);
    ck_assert_uint_eq(in(&rig, ERROR), ERROR_ABRT);
    ck_assert_uint_eq(in(&rig, MID) | in(&rig, HIGH) << 8, 0xeb14);
    out(&rig, COMMAND, 0xa1);
    ck_assert_uint_eq(wait(&rig), 0x58);
    read_page(&rig, page);
    ck_assert_uint_eq(identify_word(page, 0), 0x85c0);
    out(&rig, COMMAND, 0x08); /* DEVICE RESET */
    ck_assert_uint_eq(in(&rig, STATUS), STATUS_BSY);
    ck_assert_uint_eq(wait(&rig), 0);
    ck_assert_uint_eq(in(&rig, MID) | in(&rig, HIGH) << 8, 0xeb14);
    close_rig(&rig);
}
END_TEST

START_TEST(atapi_inquiry_and_sense)
{
    static const uint8_t inquiry[12] = {0x12, 0, 0, 0, 96};
    static const uint8_t short_inquiry[12] = {0x12, 0, 0, 0, 5};
    static const uint8_t no_such[12] = {0xff};
    struct rig rig;
    uint8_t bytes[128];

    open_rig(&rig, false);
    ready_cd(&rig);
    send_packet(&rig, inquiry, 0xffff, false);
    ck_assert_uint_eq(receive(&rig, bytes, sizeof bytes, 0xfffe), 36);
    ck_assert_uint_eq(bytes[0], 5);
    ck_assert_mem_eq(bytes + 16, "TICK86 CD-ROM   ", 16);
    send_packet(&rig, short_inquiry, 0xffff, false);
    ck_assert_uint_eq(receive(&rig, bytes, sizeof bytes, 0xfffe), 5);
    ck_assert_uint_eq(send_packet(&rig, no_such, 0xffff, false), 0x51);
    ck_assert_uint_eq(in(&rig, ERROR) >> 4, 5);
    expect_sense(&rig, 5, 0x20);
    expect_sense(&rig, 0, 0);
    close_rig(&rig);
}
END_TEST

/* READ(10) by PIO, for limits smaller than, equal to and larger than a block. */
START_TEST(atapi_read_pio)
{
    static const unsigned limits[] = {512, 2048, 2050, 3000, 0x8001, 0xffff, 0};
    static const uint8_t read_10[12] = {0x28, 0, 0, 0, 0, 10, 0, 0, 20};
    struct rig rig;
    unsigned limit = limits[_i] != 0 ? limits[_i] : 0xfffe;
    uint8_t *bytes = malloc(65536);

    open_rig(&rig, false);
    ready_cd(&rig);
    send_packet(&rig, read_10, limits[_i], false);
    ck_assert_uint_eq(receive(&rig, bytes, 65536, limit), 20 * 2048);
    ck_assert_mem_eq(bytes, rig.cd.bytes + 10 * 2048, 20 * 2048);
    ck_assert_uint_eq(in(&rig, STATUS), 0x50);
    free(bytes);
    close_rig(&rig);
}
END_TEST

START_TEST(atapi_read_dma)
{
    static const uint8_t read_12[12] = {0xa8, 0, 0, 0, 0, 100, 0, 0, 0, 40};
    static const uint8_t capacity[12] = {0x25};
    struct rig rig;

    open_rig(&rig, false);
    ready_cd(&rig);
    put_descriptor(&rig, 0, DATA, 0, false);
    put_descriptor(&rig, 1, DATA + 0x10000, 40 * 2048 - 0x10000, true);
    send_packet(&rig, read_12, 0, true);
    start_dma(&rig, true);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert(box_irq(&rig.box, "irq15"));
    ck_assert_uint_eq(box_in8(&rig.box, bm(&rig) + 2) & 7, 4);
    for (unsigned n = 0; n < 40 * 2048; n += 4) {
        ck_assert_uint_eq(box_read32(&rig.box, DATA + n), load_le32(rig.cd.bytes + 100 * 2048 + n));
    }
    box_out8(&rig.box, bm(&rig), 0);
    put_descriptor(&rig, 0, DATA, 8, true);
    send_packet(&rig, capacity, 8, true);
    start_dma(&rig, true);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert_uint_eq(box_read8(&rig.box, DATA + 2), (CD_BLOCKS - 1) >> 8);
    ck_assert_uint_eq(box_read8(&rig.box, DATA + 6), 8);
    close_rig(&rig);
}
END_TEST

START_TEST(atapi_bad_reads)
{
    static const uint8_t beyond[12] = {0x28, 0, 0, 0, 1, 0x90, 0, 0, 1};
    static const uint8_t across[12] = {0xa8, 0, 0, 0, 1, 0x80, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t fine[12] = {0x28, 0, 0, 0, 0, 1, 0, 0, 1};
    struct rig rig;

    open_rig(&rig, false);
    ready_cd(&rig);
    ck_assert_uint_eq(send_packet(&rig, beyond, 0xfffe, false), 0x51);
    expect_sense(&rig, 5, 0x21);
    ck_assert_uint_eq(send_packet(&rig, across, 0xfffe, false), 0x51);
    expect_sense(&rig, 5, 0x21);
    rig.cd.failing = 5;
    ck_assert_uint_eq(send_packet(&rig, fine, 0xfffe, false), 0x51);
    expect_sense(&rig, 3, 0x11);
    close_rig(&rig);
}
END_TEST

/* Command, and what the reply must have at three places. */
START_TEST(atapi_replies)
{
    static const struct {
        uint8_t packet[12];
        unsigned size;
        uint8_t at[3][2];
    } rows[] = {
        {{0x43, 0, 0, 0, 0, 0, 0, 3, 0}, 20, {{1, 18}, {6, 1}, {14, 0xaa}}},            /* TOC, LBA */
        {{0x43, 2, 0, 0, 0, 0, 0xaa, 3, 0}, 12, {{1, 10}, {9, 0}, {10, 7}}},            /* lead-out 0:7:25 */
        {{0x43, 0, 1, 0, 0, 0, 0, 3, 0}, 12, {{1, 10}, {3, 1}, {6, 1}}},                /* session */
        {{0x43, 0, 0, 0, 0, 0, 0, 3, 0, 0x80}, 48, {{1, 46}, {7, 0xa0}, {40, 1}}},      /* full TOC, old form */
        {{0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255}, 28, {{1, 26}, {2, 1}, {8, 0x2a}}},        /* capabilities */
        {{0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255}, 60, {{1, 58}, {8, 1}, {40, 0x2a}}},       /* all pages */
        {{0x1a, 0, 0x2a, 0, 255}, 24, {{0, 23}, {1, 1}, {4, 0x2a}}},
        {{0x46, 0, 0, 0, 0, 0, 0, 1, 0}, 56, {{3, 52}, {7, 8}, {11, 8}}},               /* profile: CD-ROM */
        {{0x46, 2, 0, 3, 0, 0, 0, 1, 0}, 16, {{3, 12}, {9, 3}, {10, 3}}},
        {{0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8}, 8, {{2, 4}, {4, 2}, {5, 2}}},               /* new medium */
        {{0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8}, 8, {{1, 0}, {2, 0}, {5, 0}}},
        {{0x51, 0, 0, 0, 0, 0, 0, 0, 34}, 34, {{1, 32}, {2, 0x0e}, {3, 1}}},
        {{0x42, 2, 0x40, 1, 0, 0, 0, 0, 16}, 16, {{1, 0x15}, {3, 12}, {4, 1}}},
        {{0xbe, 0, 0, 0, 0, 16, 0, 0, 1, 0xf8}, 2352, {{1, 0xff}, {14, 0x16}, {15, 1}}}, /* 0:2:16 */
        {{0xbe, 0, 0, 0, 0, 16, 0, 0, 1, 0x10}, 2048, {{0, 0xc0}, {1, 0xc1}, {2, 0xc2}}},
        {{0xb9, 0, 0, 0, 2, 16, 0, 2, 17, 0x10}, 2048, {{0, 0xc0}, {1, 0xc1}, {2, 0xc2}}},
    };
    struct rig rig;
    uint8_t bytes[4096];

    open_rig(&rig, false);
    ready_cd(&rig);
    send_packet(&rig, rows[_i].packet, 0xfffe, false);
    ck_assert_uint_eq(receive(&rig, bytes, sizeof bytes, 0xfffe), rows[_i].size);
    for (unsigned n = 0; n < 3; n++) {
        ck_assert_msg(bytes[rows[_i].at[n][0]] == rows[_i].at[n][1], "byte %u is 0x%02x", rows[_i].at[n][0],
                      bytes[rows[_i].at[n][0]]);
    }
    close_rig(&rig);
}
END_TEST

START_TEST(atapi_media_change)
{
    static const uint8_t lock[12] = {0x1e, 0, 0, 0, 1};
    static const uint8_t unlock[12] = {0x1e};
    static const uint8_t eject[12] = {0x1b, 0, 0, 0, 2};
    static const uint8_t load[12] = {0x1b, 0, 0, 0, 3};
    static const uint8_t ready[12] = {0};
    struct rig rig;
    struct error err;
    bool is_locked, is_open;

    open_rig(&rig, false);
    ready_cd(&rig);
    ck_assert_uint_eq(send_packet(&rig, lock, 0, false), 0x50);
    ck_assert(piix3_ide_is_cd(rig.box.dev, 2, &is_locked, &is_open) && is_locked && !is_open);
    ck_assert(!piix3_ide_set_medium(rig.box.dev, 2, NULL, false, &err));
    ck_assert(!piix3_ide_set_medium(rig.box.dev, 0, NULL, false, &err));
    ck_assert_uint_eq(send_packet(&rig, eject, 0, false), 0x51);
    expect_sense(&rig, 5, 0x53);
    ck_assert_uint_eq(send_packet(&rig, unlock, 0, false), 0x50);
    ck_assert_uint_eq(send_packet(&rig, eject, 0, false), 0x50);
    ck_assert_uint_eq(send_packet(&rig, ready, 0, false), 0x51);
    expect_sense(&rig, 2, 0x3a);
    ck_assert_uint_eq(send_packet(&rig, load, 0, false), 0x50);
    ck_assert_uint_eq(send_packet(&rig, ready, 0, false), 0x51);
    expect_sense(&rig, 6, 0x28);
    ck_assert_uint_eq(send_packet(&rig, ready, 0, false), 0x50);
    ck_assert(piix3_ide_set_medium(rig.box.dev, 2, NULL, false, &err));
    ck_assert_uint_eq(send_packet(&rig, ready, 0, false), 0x51);
    expect_sense(&rig, 2, 0x3a);
    ck_assert(piix3_ide_set_medium(rig.box.dev, 2, &rig.disk[0].backend, false, &err));
    ck_assert_uint_eq(send_packet(&rig, ready, 0, false), 0x51);
    expect_sense(&rig, 6, 0x28);
    close_rig(&rig);
}
END_TEST

/* Saving and loading in the middle of a block, before an event and while the bus master waits changes nothing. */
START_TEST(snapshot_in_mid_transfer)
{
    static const uint8_t read_10[12] = {0x28, 0, 0, 0, 0, 10, 0, 0, 2};
    struct rig rig;
    uint8_t bytes[4096];

    open_rig(&rig, false);
    ready_cd(&rig);
    send_packet(&rig, read_10, 2050, false);
    in(&rig, STATUS);
    for (unsigned n = 0; n < 4096; n += 2) {
        if (n % 100 == 0) {
            box_save_load(&rig.box);
        }
        if (n == 2050) {
            box_save_load(&rig.box);
            wait(&rig);
            in(&rig, STATUS);
        }
        store_le16(bytes + n, box_in16(&rig.box, SECONDARY));
    }
    ck_assert_mem_eq(bytes, rig.cd.bytes + 10 * 2048, 4096);
    rig.base = PRIMARY;
    put_descriptor(&rig, 0, DATA, 1024, true);
    set_lba28(&rig, 0, 5, 2);
    out(&rig, COMMAND, 0xc8);
    box_step_ns(&rig.box, 10000);
    box_save_load(&rig.box);
    start_dma(&rig, true);
    box_save_load(&rig.box);
    ck_assert_uint_eq(wait(&rig), 0x50);
    ck_assert_uint_eq(box_read8(&rig.box, DATA + 512), pattern(6, 0));
    close_rig(&rig);
}
END_TEST

static uint32_t random32(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 32);
}

/* 100000 accesses of any width to any register, with likely commands and packets among them. */
START_TEST(random_accesses)
{
    static const uint8_t commands[] = {0x08, 0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x90, 0x91, 0xa0, 0xa0,
                                       0xa0, 0xa1, 0xb0, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xe7, 0xec, 0xef, 0xa0, 0xa0};
    static const uint8_t opcodes[] = {0x00, 0x03, 0x12, 0x1a, 0x1b, 0x25, 0x28, 0x42, 0x43, 0x46,
                                      0x4a, 0x51, 0x5a, 0xa8, 0xb9, 0xbd, 0xbe, 0x28, 0x28, 0xa8};
    struct rig rig;
    uint64_t seed = 86 + (uint64_t)_i;

    open_rig(&rig, _i & 1);
    for (unsigned n = 0; n < 100000; n++) {
        uint32_t r = random32(&seed), value = random32(&seed);
        unsigned width = 1u << r % 3;
        unsigned bases[] = {0x1f0, 0x170, 0x1f0, 0x170, BM_BASE};
        unsigned base = bases[r / 4 % 5];
        unsigned port = base + (r >> 8) % (base == BM_BASE ? 16 : 8);
        if ((r >> 12) % 16 == 0) {
            port = (base & 0x80 ? 0x3f6 : 0x376);
            value &= (r >> 20) % 8 == 0 ? 0xff : 0x82;
            width = 1;
        }
        switch ((r >> 16) % 8) {
        case 0:
        case 1: width == 1 ? box_in8(&rig.box, port) : width == 2 ? box_in16(&rig.box, port) : box_in32(&rig.box, port); break;
        case 2:
            box_out8(&rig.box, base == BM_BASE ? 0x177 : base + 7, commands[value % sizeof commands]);
            break;
        case 3: box_step_ns(&rig.box, value % 200000); break;
        case 4:
            if (base == BM_BASE) {
                box_out32(&rig.box, BM_BASE + 4 + (value & 8), value >> 8 & 0x1ffffc);
                box_out8(&rig.box, BM_BASE + (value & 8), 9 - (value >> 4 & 8));
            } else {
                unsigned opcode = opcodes[value % sizeof opcodes];
                bool is_small = (value >> 9) % 4 != 0;
                box_out16(&rig.box, base, opcode | (value & 0x300));
                for (unsigned k = 0; k < 5; k++) {
                    box_out16(&rig.box, base, is_small ? (k == 1 || k >= 3 ? random32(&seed) & 0x300 : 0) : random32(&seed) & 0xffff);
                }
            }
            break;
        case 5: {
            unsigned count = value % 5000;
            for (unsigned k = 0; k < count && (r >> 24) % 2; k++) {
                box_in16(&rig.box, base == BM_BASE ? 0x1f0 : base);
            }
            break;
        }
        default:
            if (width == 1) {
                box_out8(&rig.box, port, value & 0xff);
            } else if (width == 2) {
                box_out16(&rig.box, port, value & 0xffff);
            } else {
                box_out32(&rig.box, port, value);
            }
            break;
        }
        if (n % 5000 == 0) {
            box_save_load(&rig.box);
        }
    }
    for (unsigned channel = 0; channel < 2; channel++) {
        rig.base = channel ? SECONDARY : PRIMARY;
        box_out8(&rig.box, rig.base + CONTROL_OF, 4);
        box_out8(&rig.box, rig.base + CONTROL_OF, 0);
        ck_assert_uint_eq(wait(&rig), channel ? 0 : 0x50);
    }
    close_rig(&rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ide");
    TCase *tc = tcase_create("ata");

    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, fields_tile);
    tcase_add_test(tc, disabled_channel_floats);
    tcase_add_test(tc, identify_device);
    tcase_add_test(tc, pio_read_lba28);
    tcase_add_test(tc, pio_read_chs);
    tcase_add_test(tc, pio_write);
    tcase_add_test(tc, multiple);
    tcase_add_loop_test(tc, out_of_range, 0, 6);
    tcase_add_test(tc, host_error_names_the_sector);
    tcase_add_test(tc, hob);
    tcase_add_test(tc, nien);
    tcase_add_test(tc, reset_in_mid_transfer);
    tcase_add_test(tc, execute_diagnostic);
    tcase_add_test(tc, absent_slave);
    tcase_add_test(tc, absent_channel);
    tcase_add_loop_test(tc, small_commands, 0, 16);
    tcase_add_test(tc, smart_and_sleep);
    tcase_add_test(tc, dma_read_and_write);
    tcase_add_test(tc, trim);
    tcase_add_test(tc, dma_sizes_differ);
    tcase_add_loop_test(tc, dma_error, 0, 3);
    tcase_add_test(tc, dma_endless_table);
    tcase_add_test(tc, atapi_signature_and_identify);
    tcase_add_test(tc, atapi_inquiry_and_sense);
    tcase_add_loop_test(tc, atapi_read_pio, 0, 7);
    tcase_add_test(tc, atapi_read_dma);
    tcase_add_test(tc, atapi_bad_reads);
    tcase_add_loop_test(tc, atapi_replies, 0, 16);
    tcase_add_test(tc, atapi_media_change);
    tcase_add_test(tc, snapshot_in_mid_transfer);
    tcase_add_loop_test(tc, random_accesses, 0, 4);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
