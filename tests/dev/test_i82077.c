/* test_i82077.c - the floppy controller from its ports, with a real 8237 beside it and a disk in memory. */
#include "devices/i8237.h"
#include "devices/i82077.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { DISK_SECTORS = 2880 };

static uint8_t *disk;
static struct block_backend medium;
static struct device *dma;

static bool disk_read(void *context, uint64_t sector, uint32_t count, void *bytes)
{
    (void)context;
    memcpy(bytes, disk + sector * 512, (size_t)count * 512);
    return true;
}

static bool disk_write(void *context, uint64_t sector, uint32_t count, const void *bytes)
{
    (void)context;
    memcpy(disk + sector * 512, bytes, (size_t)count * 512);
    return true;
}

static bool disk_flush(void *context)
{
    (void)context;
    return true;
}

/* The chip at 3F0h and a DMA controller at its own ports; out of reset, polling's interrupts taken, drive 0 chosen. */
static void open_fdc(struct box *box)
{
    struct error err = {"", ""};

    disk = calloc(DISK_SECTORS, 512);
    for (uint32_t n = 0; n < DISK_SECTORS * 128; n++) {
        disk[n * 4] = (uint8_t)n;
        disk[n * 4 + 1] = (uint8_t)(n >> 8);
        disk[n * 4 + 2] = (uint8_t)(n >> 16);
    }
    medium = (struct block_backend){NULL, DISK_SECTORS, false, disk_read, disk_write, disk_flush, NULL};
    box_prepare(box);
    struct device surroundings = {.clock = &box->clock, .log = &box->log, .space = box->space, .ports = box->ports};
    dma = device_create(&i8237_class, "dma", &surroundings, NULL, &err);
    ports_add(box->ports, 0x00, 16, 0x00, i8237_class.port_ops, dma, "dma", false);
    ports_add(box->ports, 0x80, 16, 0x80, i8237_class.port_ops, dma, "dma", false);
    const struct property properties[] = {{.name = "dma", .pointer = dma}, {.name = "floppy0", .pointer = &medium}, {.name = NULL}};
    box_install(box, &i82077_class, properties);
    box_map_ports(box, 0x3f0, 6, 0);
    box_map_ports(box, 0x3f7, 1, 7);
}

static void close_fdc(struct box *box)
{
    box_close(box);
    device_destroy(dma);
    free(disk);
}

static void command(struct box *box, const uint8_t *bytes, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        ck_assert_uint_eq(box_in8(box, 0x3f4) & 0xc0, 0x80);
        box_out8(box, 0x3f5, bytes[n]);
    }
}
#define COMMAND(box, ...) command(box, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void results(struct box *box, uint8_t *bytes, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        ck_assert_uint_eq(box_in8(box, 0x3f4) & 0xd0, 0xd0);
        bytes[n] = box_in8(box, 0x3f5);
    }
    ck_assert_msg((box_in8(box, 0x3f4) & 0xd0) == 0x80, "more results than expected");
}

static void start(struct box *box)
{
    uint8_t result[2];

    box_out8(box, 0x3f2, 0x1c);
    box_step_ns(box, 1000000);
    for (unsigned n = 0; n < 4; n++) {
        COMMAND(box, 0x08);
        results(box, result, 2);
        ck_assert_uint_eq(result[0], 0xc0 | n);
    }
    box_out8(box, 0x3f7, 0); /* 500 kbit/s */
    COMMAND(box, 0x03, 0xdf, 0x02);
}

static void seek(struct box *box, unsigned cylinder)
{
    uint8_t result[2];

    COMMAND(box, 0x0f, 0, (uint8_t)cylinder);
    ck_assert_uint_eq(box_in8(box, 0x3f4) & 1, 1);
    box_step_ns(box, 2000000);
    ck_assert(box_irq(box, "irq"));
    COMMAND(box, 0x08);
    ck_assert(!box_irq(box, "irq"));
    results(box, result, 2);
    ck_assert_uint_eq(result[0], 0x20);
    ck_assert_uint_eq(result[1], cylinder);
}

static void program_dma(struct box *box, unsigned mode, unsigned address, unsigned size)
{
    box_out8(box, 0x0a, 0x06);
    box_out8(box, 0x0c, 0);
    box_out8(box, 0x04, address & 0xff);
    box_out8(box, 0x04, address >> 8 & 0xff);
    box_out8(box, 0x81, address >> 16);
    box_out8(box, 0x05, (size - 1) & 0xff);
    box_out8(box, 0x05, (size - 1) >> 8);
    box_out8(box, 0x0b, mode);
    box_out8(box, 0x0a, 0x02);
}

/* A reset ends with an interrupt and four times "ready changed"; a fifth SENSE INTERRUPT is invalid. */
START_TEST(reset_reports_four_drives)
{
    struct box box;
    uint8_t result[2];

    open_fdc(&box);
    ck_assert_uint_eq(box_in8(&box, 0x3f4), 0);
    box_out8(&box, 0x3f2, 0x0c);
    box_step_ns(&box, 1000000);
    ck_assert(box_irq(&box, "irq"));
    for (unsigned n = 0; n < 4; n++) {
        COMMAND(&box, 0x08);
        results(&box, result, 2);
        ck_assert_uint_eq(result[0], 0xc0 | n);
        ck_assert(!box_irq(&box, "irq"));
    }
    COMMAND(&box, 0x08);
    results(&box, result, 1);
    ck_assert_uint_eq(result[0], 0x80);
    close_fdc(&box);
}
END_TEST

/* DMA ends a transfer by terminal count; C, H, R tell the sector behind the last one. */
START_TEST(reads_by_dma)
{
    struct box box;
    uint8_t result[7];

    open_fdc(&box);
    start(&box);
    seek(&box, 3);
    program_dma(&box, 0x46, 0x20000, 1024);
    COMMAND(&box, 0xe6, 0x04, 3, 1, 17, 2, 18, 0x1b, 0xff);
    ck_assert_uint_eq(box_in8(&box, 0x3f4) & 0xd0, 0x10);
    box_step_ns(&box, 5000000);
    ck_assert(box_irq(&box, "irq"));
    results(&box, result, 7);
    ck_assert(!box_irq(&box, "irq"));
    const uint8_t expected[7] = {0x00, 0, 0, 4, 0, 1, 2};
    ck_assert_uint_eq(result[0] & 0xfb, expected[0]);
    ck_assert_mem_eq(result + 1, expected + 1, 6);
    unsigned sector = (3 * 2 + 1) * 18 + 16;
    for (unsigned n = 0; n < 1024; n++) {
        ck_assert_uint_eq(box_read8(&box, 0x20000 + n), disk[sector * 512 + n]);
    }
    close_fdc(&box);
}
END_TEST

/* From head 0 to head 1 with MT; without terminal count the end of the cylinder is an abnormal end. */
START_TEST(multi_track_and_end_of_cylinder)
{
    struct box box;
    uint8_t result[7];

    open_fdc(&box);
    start(&box);
    program_dma(&box, 0x46, 0x20000, 36 * 512);
    COMMAND(&box, 0xe6, 0x00, 0, 0, 1, 2, 18, 0x1b, 0xff);
    box_step_ns(&box, 50000000);
    results(&box, result, 7);
    ck_assert_uint_eq(result[0] & 0xc0, 0);
    ck_assert_uint_eq(result[3], 1);
    ck_assert_uint_eq(result[5], 1);
    for (unsigned n = 0; n < 36 * 512; n++) {
        ck_assert_uint_eq(box_read8(&box, 0x20000 + n), disk[n]);
    }
    program_dma(&box, 0x46, 0x20000, 0x10000);
    COMMAND(&box, 0x46, 0x00, 0, 0, 17, 2, 18, 0x1b, 0xff);
    box_step_ns(&box, 50000000);
    results(&box, result, 7);
    ck_assert_uint_eq(result[0] & 0xc0, 0x40);
    ck_assert_uint_eq(result[1], 0x80);
    close_fdc(&box);
}
END_TEST

START_TEST(writes_and_formats)
{
    struct box box;
    uint8_t result[7];

    open_fdc(&box);
    start(&box);
    for (unsigned n = 0; n < 512; n++) {
        box_write8(&box, 0x30000 + n, n * 5 & 0xff);
    }
    program_dma(&box, 0x4a, 0x30000, 512);
    COMMAND(&box, 0x45, 0x00, 0, 0, 5, 2, 18, 0x1b, 0xff);
    box_step_ns(&box, 5000000);
    results(&box, result, 7);
    ck_assert_uint_eq(result[0] & 0xc0, 0);
    ck_assert_uint_eq(disk[4 * 512 + 7], 35);
    ck_assert_uint_eq(disk[5 * 512 + 4] | disk[5 * 512 + 5] << 8, 5 * 128 + 1);
    for (unsigned n = 0; n < 18; n++) { /* C H R N of each sector */
        box_write8(&box, 0x30000 + n * 4, 0);
        box_write8(&box, 0x30001 + n * 4, 1);
        box_write8(&box, 0x30002 + n * 4, n + 1);
        box_write8(&box, 0x30003 + n * 4, 2);
    }
    program_dma(&box, 0x4a, 0x30000, 72);
    COMMAND(&box, 0x4d, 0x04, 2, 18, 0x54, 0xf6);
    box_step_ns(&box, 20000000);
    results(&box, result, 7);
    ck_assert_uint_eq(result[0] & 0xc0, 0);
    ck_assert_uint_eq(disk[18 * 512], 0xf6);
    ck_assert_uint_eq(disk[36 * 512 - 1], 0xf6);
    ck_assert_uint_ne(disk[36 * 512 + 4], 0xf6);
    medium.is_readonly = true;
    program_dma(&box, 0x4a, 0x30000, 512);
    COMMAND(&box, 0x45, 0x00, 0, 0, 5, 2, 18, 0x1b, 0xff);
    box_step_ns(&box, 5000000);
    results(&box, result, 7);
    ck_assert_uint_eq(result[0] & 0xc0, 0x40);
    ck_assert_uint_eq(result[1], 0x02);
    close_fdc(&box);
}
END_TEST

/* Without DMA each byte goes through the FIFO. */
START_TEST(programmed_io)
{
    struct box box;
    uint8_t result[7];

    open_fdc(&box);
    start(&box);
    COMMAND(&box, 0x03, 0xdf, 0x03);
    COMMAND(&box, 0x46, 0x00, 0, 0, 18, 2, 18, 0x1b, 0xff);
    box_step_ns(&box, 5000000);
    ck_assert(box_irq(&box, "irq"));
    for (unsigned n = 0; n < 512; n++) {
        ck_assert_uint_eq(box_in8(&box, 0x3f4), 0xf0);
        ck_assert_uint_eq(box_in8(&box, 0x3f5), disk[17 * 512 + n]);
    }
    results(&box, result, 7); /* end of cylinder: there is no terminal count here */
    ck_assert_uint_eq(result[1], 0x80);
    COMMAND(&box, 0x45, 0x00, 0, 0, 2, 2, 2, 0x1b, 0xff);
    box_step_ns(&box, 5000000);
    for (unsigned n = 0; n < 512; n++) {
        ck_assert_uint_eq(box_in8(&box, 0x3f4), 0xb0);
        box_out8(&box, 0x3f5, 0x77);
    }
    results(&box, result, 7);
    ck_assert_uint_eq(disk[512], 0x77);
    ck_assert_uint_eq(disk[1023], 0x77);
    close_fdc(&box);
}
END_TEST

/* Another data rate, another cylinder, a sector that is not there. */
START_TEST(what_is_not_found)
{
    struct box box;
    uint8_t result[7];

    open_fdc(&box);
    start(&box);
    program_dma(&box, 0x46, 0x20000, 512);
    box_out8(&box, 0x3f7, 2);
    COMMAND(&box, 0x4a, 0x00);
    box_step_ns(&box, 5000000);
    results(&box, result, 7);
    ck_assert_uint_eq(result[1], 0x01);
    box_out8(&box, 0x3f7, 0);
    COMMAND(&box, 0x4a, 0x00);
    box_step_ns(&box, 5000000);
    results(&box, result, 7);
    ck_assert_uint_eq(result[0] & 0xc0, 0);
    ck_assert_uint_eq(result[6], 2);
    COMMAND(&box, 0x46, 0x00, 9, 0, 1, 2, 18, 0x1b, 0xff);
    box_step_ns(&box, 5000000);
    results(&box, result, 7);
    ck_assert_uint_eq(result[1], 0x04);
    ck_assert_uint_eq(result[2], 0x10);
    COMMAND(&box, 0x46, 0x00, 0, 0, 19, 2, 19, 0x1b, 0xff);
    box_step_ns(&box, 5000000);
    results(&box, result, 7);
    ck_assert_uint_eq(result[1], 0x04);
    close_fdc(&box);
}
END_TEST

/* The change line is up after a change until a step pulse with a disk in. */
START_TEST(disk_change)
{
    struct box box;
    struct error err = {"", ""};
    struct block_backend odd = medium;

    open_fdc(&box);
    start(&box);
    ck_assert_uint_eq(box_in8(&box, 0x3f7), 0x80);
    seek(&box, 1);
    ck_assert_uint_eq(box_in8(&box, 0x3f7), 0);
    ck_assert(i82077_set_medium(box.dev, 0, NULL, &err));
    ck_assert_uint_eq(box_in8(&box, 0x3f7), 0x80);
    seek(&box, 2);
    ck_assert_msg(box_in8(&box, 0x3f7) == 0x80, "no disk, no step resets it");
    ck_assert(i82077_set_medium(box.dev, 0, &medium, &err));
    seek(&box, 1);
    ck_assert_uint_eq(box_in8(&box, 0x3f7), 0);
    odd.sectors = 1000;
    ck_assert(!i82077_set_medium(box.dev, 0, &odd, &err));
    ck_assert(!i82077_set_medium(box.dev, 1, &medium, &err));
    ck_assert(err.hint[0] != '\0');
    close_fdc(&box);
}
END_TEST

/* Drivers tell controllers apart by these (Linux, drivers/block/floppy.c, get_fdc_version, by behaviour). */
START_TEST(identification)
{
    struct box box;
    uint8_t result[10];

    open_fdc(&box);
    start(&box);
    COMMAND(&box, 0x10);
    results(&box, result, 1);
    ck_assert_uint_eq(result[0], 0x90);
    COMMAND(&box, 0x13, 0, 0x57, 0);
    COMMAND(&box, 0x94);
    results(&box, result, 1);
    ck_assert_uint_eq(result[0], 0x10);
    COMMAND(&box, 0x0e);
    results(&box, result, 10);
    ck_assert_uint_eq(result[4], 0xdf);
    ck_assert_uint_eq(result[7], 0x80);
    ck_assert_uint_eq(result[8], 0x57);
    box_out8(&box, 0x3f4, 0x80);
    box_step_ns(&box, 1000000);
    ck_assert_msg(!box_irq(&box, "irq"), "polling is off");
    COMMAND(&box, 0x0e);
    results(&box, result, 10);
    ck_assert_msg(result[8] == 0x57, "LOCK keeps it");
    COMMAND(&box, 0x14);
    results(&box, result, 1);
    COMMAND(&box, 0x18);
    results(&box, result, 1);
    ck_assert_uint_eq(result[0], 0x80);
    COMMAND(&box, 0x04, 0);
    results(&box, result, 1);
    ck_assert_uint_eq(result[0], 0x38);
    COMMAND(&box, 0x07, 1); /* no such drive */
    box_step_ns(&box, 2000000);
    COMMAND(&box, 0x08);
    results(&box, result, 2);
    ck_assert_uint_eq(result[0], 0x71);
    close_fdc(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("i82077");
    TCase *tc = tcase_create("i82077");

    tcase_add_test(tc, reset_reports_four_drives);
    tcase_add_test(tc, reads_by_dma);
    tcase_add_test(tc, multi_track_and_end_of_cylinder);
    tcase_add_test(tc, writes_and_formats);
    tcase_add_test(tc, programmed_io);
    tcase_add_test(tc, what_is_not_found);
    tcase_add_test(tc, disk_change);
    tcase_add_test(tc, identification);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
