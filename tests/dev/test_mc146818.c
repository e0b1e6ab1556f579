/* test_mc146818.c - the real-time clock seen from ports 70h and 71h (MC146818A data sheet). */
#include "devices/mc146818.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>

enum { SECOND = 1000000000 };

static unsigned get(struct box *box, unsigned index)
{
    box_out8(box, 0x70, index);
    return box_in8(box, 0x71);
}

static void put(struct box *box, unsigned index, unsigned value)
{
    box_out8(box, 0x70, index);
    box_out8(box, 0x71, value);
}

static void open_at(struct box *box, uint64_t seconds)
{
    const struct property properties[] = {{.name = "base_seconds", .number = seconds}, {0}};

    box_open_with(box, &mc146818_class, properties);
    box_map_ports(box, 0x70, 2, 0);
}

static void check_time(struct box *box, unsigned century_year, unsigned month_day, unsigned hour_minute, unsigned second)
{
    ck_assert_uint_eq(get(box, 0x32) << 8 | get(box, 9), century_year);
    ck_assert_uint_eq(get(box, 8) << 8 | get(box, 7), month_day);
    ck_assert_uint_eq(get(box, 4) << 8 | get(box, 2), hour_minute);
    ck_assert_uint_eq(get(box, 0), second);
}

START_TEST(starts_at_base)
{
    struct box box;

    open_at(&box, 1709164799); /* 2024-02-28 23:59:59, a Wednesday */
    check_time(&box, 0x2024, 0x0228, 0x2359, 0x59);
    ck_assert_uint_eq(get(&box, 6), 4);
    box_step_ns(&box, SECOND);
    check_time(&box, 0x2024, 0x0229, 0x0000, 0x00);
    ck_assert_uint_eq(get(&box, 6), 5);
    box_step_ns(&box, UINT64_C(86400) * SECOND);
    check_time(&box, 0x2024, 0x0301, 0x0000, 0x00);
    box_close(&box);
}
END_TEST

START_TEST(century_rolls_over)
{
    struct box box;

    open_at(&box, 946684799); /* 1999-12-31 23:59:59 */
    check_time(&box, 0x1999, 0x1231, 0x2359, 0x59);
    box_step_ns(&box, SECOND);
    check_time(&box, 0x2000, 0x0101, 0x0000, 0x00);
    box_close(&box);
}
END_TEST

START_TEST(binary_and_twelve_hours)
{
    struct box box;

    open_at(&box, 0);
    put(&box, 11, 0x84); /* SET, binary, 12 h */
    put(&box, 0, 59);
    put(&box, 2, 59);
    put(&box, 4, 0x80 | 11);
    put(&box, 7, 31);
    put(&box, 8, 12);
    put(&box, 9, 99);
    put(&box, 0x32, 20);
    box_step_ns(&box, UINT64_C(10) * SECOND);
    ck_assert_msg(get(&box, 0) == 59, "SET holds the time");
    put(&box, 11, 0x04);
    box_step_ns(&box, SECOND);
    ck_assert_uint_eq(get(&box, 4), 12); /* midnight is 12 AM */
    ck_assert_uint_eq(get(&box, 7), 1);
    ck_assert_uint_eq(get(&box, 8), 1);
    ck_assert_uint_eq(get(&box, 9), 0);
    ck_assert_uint_eq(get(&box, 0x32), 21);
    box_step_ns(&box, UINT64_C(12) * 3600 * SECOND);
    ck_assert_uint_eq(get(&box, 4), 0x80 | 12);
    box_close(&box);
}
END_TEST

START_TEST(update_in_progress)
{
    struct box box;

    open_at(&box, 100);
    ck_assert_uint_eq(get(&box, 10), 0x26);
    box_step_ns(&box, SECOND - 244001);
    ck_assert_uint_eq(get(&box, 10), 0x26);
    box_step_ns(&box, 1);
    ck_assert_uint_eq(get(&box, 10), 0xa6);
    box_step_ns(&box, 243999);
    ck_assert_uint_eq(get(&box, 10), 0xa6);
    ck_assert_uint_eq(get(&box, 0), 0x40);
    box_step_ns(&box, 1);
    ck_assert_uint_eq(get(&box, 10), 0x26);
    ck_assert_uint_eq(get(&box, 0), 0x41);
    box_close(&box);
}
END_TEST

START_TEST(update_ended_interrupt)
{
    struct box box;

    open_at(&box, 0);
    (void)get(&box, 12);
    put(&box, 11, 0x12);
    box_step_ns(&box, SECOND - 1);
    ck_assert(!box_irq(&box, "irq"));
    box_step_ns(&box, 1);
    ck_assert(box_irq(&box, "irq"));
    ck_assert_uint_eq(get(&box, 12) & 0x90, 0x90);
    ck_assert_msg(!box_irq(&box, "irq"), "reading register C acknowledges");
    ck_assert_uint_eq(get(&box, 12), 0x00);
    put(&box, 11, 0x92);
    ck_assert_msg(get(&box, 11) == 0x82, "SET clears UIE");
    box_close(&box);
}
END_TEST

START_TEST(alarm_interrupt)
{
    struct box box;

    open_at(&box, 0);
    put(&box, 5, 0x00);
    put(&box, 3, 0x02);
    put(&box, 1, 0x05);
    put(&box, 11, 0x22);
    box_step_ns(&box, UINT64_C(124) * SECOND);
    ck_assert(!box_irq(&box, "irq"));
    box_step_ns(&box, SECOND);
    ck_assert(box_irq(&box, "irq"));
    ck_assert_uint_eq(get(&box, 12) & 0xa0, 0xa0);
    put(&box, 5, 0xff);
    put(&box, 3, 0xff);
    put(&box, 1, 0x10);
    unsigned before = box_rises(&box, "irq");
    for (unsigned n = 0; n < 240; n++) {
        box_step_ns(&box, SECOND);
        (void)get(&box, 12);
    }
    ck_assert_uint_eq(box_rises(&box, "irq") - before, 4);
    box_close(&box);
}
END_TEST

/* Rates 3 to 15 are 8192 Hz to 2 Hz; 1 and 2 are 256 and 128 Hz; the number in ten seconds is exact. */
START_TEST(periodic_interrupt)
{
    struct box box;
    unsigned rate = (unsigned)_i, hz = rate <= 2 ? 512u >> rate : 65536u >> rate;

    open_at(&box, 0);
    put(&box, 10, 0x20 | rate);
    put(&box, 11, 0x42);
    (void)get(&box, 12);
    unsigned count = 0;
    for (uint64_t ns = 0; ns < UINT64_C(2) * SECOND; ns += 50000) {
        box_step_ns(&box, 50000);
        if (box_irq(&box, "irq")) {
            ck_assert_uint_eq(get(&box, 12) & 0xc0, 0xc0);
            count++;
        }
    }
    ck_assert_uint_eq(count, 2 * hz);
    box_close(&box);
}
END_TEST

/* PF is set without PIE as well: some programs poll it. */
START_TEST(periodic_flag_polled)
{
    struct box box;

    open_at(&box, 0);
    (void)get(&box, 12);
    box_step_ns(&box, 970000);
    ck_assert_uint_eq(get(&box, 12) & 0x40, 0);
    box_step_ns(&box, 10000);
    ck_assert_uint_eq(get(&box, 12), 0x40);
    ck_assert(!box_irq(&box, "irq"));
    box_close(&box);
}
END_TEST

START_TEST(divider_reset)
{
    struct box box;

    open_at(&box, 0);
    put(&box, 10, 0x76);
    box_step_ns(&box, UINT64_C(10) * SECOND);
    ck_assert_uint_eq(get(&box, 0), 0);
    put(&box, 10, 0x26);
    box_step_ns(&box, SECOND / 2 - 1);
    ck_assert_uint_eq(get(&box, 0), 0);
    box_step_ns(&box, 1);
    ck_assert_msg(get(&box, 0) == 1, "half a second after the divider's release");
    box_close(&box);
}
END_TEST

START_TEST(memory_and_ports)
{
    struct box box;

    open_at(&box, 0);
    for (unsigned n = 14; n < 128; n++) {
        if (n != 0x32) {
            put(&box, n, n ^ 0x55);
        }
    }
    box_reset(&box);
    for (unsigned n = 14; n < 128; n++) {
        ck_assert_uint_eq(get(&box, n), n == 0x32 ? 0x19u : n ^ 0x55);
    }
    ck_assert_uint_eq(get(&box, 13), 0x80);
    ck_assert_uint_eq(box_in8(&box, 0x70), 0xff);
    box_out8(&box, 0x70, 0x8d);
    ck_assert(box_irq(&box, "nmi_mask"));
    ck_assert_uint_eq(box_in8(&box, 0x71), 0x80);
    box_out8(&box, 0x70, 0x0d);
    ck_assert(!box_irq(&box, "nmi_mask"));
    box_close(&box);
}
END_TEST

START_TEST(pc_config)
{
    static const struct mc146818_pc_config config = {
        .ram_below_4g_bytes = UINT64_C(3) << 30,
        .ram_above_4g_bytes = UINT64_C(5) << 30,
        .cpus = 4,
        .boot_order = "dc",
        .floppies = {FLOPPY_1440K, FLOPPY_NONE},
        .disks = {{true, 1023, 16, 63, TRANSLATION_LBA}},
    };
    struct box box;

    open_at(&box, 0);
    mc146818_set_pc_config(box.dev, &config);
    ck_assert_uint_eq(get(&box, 0x15) | get(&box, 0x16) << 8, 640);
    ck_assert_uint_eq(get(&box, 0x30) | get(&box, 0x31) << 8, 0xffff);
    ck_assert_uint_eq(get(&box, 0x34) | get(&box, 0x35) << 8, (3072 - 16) * 16);
    ck_assert_uint_eq(get(&box, 0x5b) | get(&box, 0x5c) << 8 | get(&box, 0x5d) << 16, 5 * 16384);
    ck_assert_uint_eq(get(&box, 0x5f), 3);
    ck_assert_uint_eq(get(&box, 0x3d), 0x23);
    ck_assert_uint_eq(get(&box, 0x38), 0x00);
    ck_assert_uint_eq(get(&box, 0x10), 0x40);
    ck_assert_uint_eq(get(&box, 0x14), 0x07);
    ck_assert_uint_eq(get(&box, 0x12), 0xf0);
    ck_assert_uint_eq(get(&box, 0x39), 0x01);
    ck_assert_uint_eq(get(&box, 0x19), 47);
    ck_assert_uint_eq(get(&box, 0x1b) | get(&box, 0x1c) << 8, 1023);
    ck_assert_uint_eq(get(&box, 0x20), 0xc8);
    ck_assert_uint_eq(get(&box, 0x23), 63);
    box_close(&box);
}
END_TEST

START_TEST(hostile_and_snapshot)
{
    struct box box;

    open_at(&box, 1234567890);
    box_step_ns(&box, 300000000);
    box_save_load(&box);
    box_step_ns(&box, 700000000);
    check_time(&box, 0x2009, 0x0213, 0x2331, 0x31);
    for (unsigned n = 0; n < 50000; n++) {
        unsigned value = n * 2654435761u >> 9;
        put(&box, value & 15, value >> 4 & 0xff);
        (void)get(&box, value >> 12 & 0x7f);
        (void)box_in32(&box, 0x70);
        box_out32(&box, 0x70, value);
        box_step_ns(&box, (value & 0xff) << 20);
    }
    box_close(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mc146818");
    TCase *tcase = tcase_create("ports");

    tcase_add_test(tcase, starts_at_base);
    tcase_add_test(tcase, century_rolls_over);
    tcase_add_test(tcase, binary_and_twelve_hours);
    tcase_add_test(tcase, update_in_progress);
    tcase_add_test(tcase, update_ended_interrupt);
    tcase_add_test(tcase, alarm_interrupt);
    tcase_add_loop_test(tcase, periodic_interrupt, 1, 16);
    tcase_add_test(tcase, periodic_flag_polled);
    tcase_add_test(tcase, divider_reset);
    tcase_add_test(tcase, memory_and_ports);
    tcase_add_test(tcase, pc_config);
    tcase_add_test(tcase, hostile_and_snapshot);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
