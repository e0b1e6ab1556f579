/* test_i8254.c - the interval timer seen from its ports, gates and outputs (82C54 datasheet, "Mode definitions"). */
#include "devices/i8254.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>

/* First nanosecond of CLK pulse `tick`. */
static uint64_t tick_ns(uint64_t tick)
{
    return (tick * UINT64_C(1000000000) + I8254_CLOCK_HZ - 1) / I8254_CLOCK_HZ;
}

static void step_to_tick(struct box *box, uint64_t tick)
{
    uint64_t target = tick_ns(tick);

    ck_assert(target >= box_now(box));
    box_step_ns(box, target - box_now(box));
}

static void open_pit(struct box *box)
{
    box_open(box, &i8254_class);
    box_map_ports(box, 0x40, 4, 0);
    for (unsigned n = 0; n < 3; n++) {
        static const char *const gates[] = {"gate0", "gate1", "gate2"};
        box_set(box, gates[n], true);
    }
}

static void program(struct box *box, unsigned counter, unsigned mode, unsigned count)
{
    box_out8(box, 0x43, counter << 6 | 0x30 | mode << 1);
    box_out8(box, 0x40 + counter, count & 0xff);
    box_out8(box, 0x40 + counter, count >> 8);
}

static unsigned latch(struct box *box, unsigned counter)
{
    box_out8(box, 0x43, counter << 6);
    unsigned low = box_in8(box, 0x40 + counter);
    return low | (unsigned)box_in8(box, 0x40 + counter) << 8;
}

START_TEST(mode_0_counts_once)
{
    struct box box;

    open_pit(&box);
    step_to_tick(&box, 100);
    program(&box, 0, 0, 1000);
    ck_assert(!box_irq(&box, "out0"));
    unsigned before = box_rises(&box, "out0");
    step_to_tick(&box, 101); /* loaded by the next pulse */
    ck_assert_uint_eq(latch(&box, 0), 1000);
    step_to_tick(&box, 102);
    ck_assert_uint_eq(latch(&box, 0), 999);
    box_step_ns(&box, tick_ns(1101) - box_now(&box) - 1);
    ck_assert(!box_irq(&box, "out0"));
    box_step_ns(&box, 1);
    ck_assert_msg(box_irq(&box, "out0"), "OUT rises N + 1 pulses after the write");
    ck_assert_uint_eq(latch(&box, 0), 0);
    step_to_tick(&box, 1102);
    ck_assert_uint_eq(latch(&box, 0), 0xffff);
    step_to_tick(&box, 200000);
    ck_assert_uint_eq(box_rises(&box, "out0") - before, 1);
    box_close(&box);
}
END_TEST

START_TEST(mode_0_gate_pauses)
{
    struct box box;

    open_pit(&box);
    program(&box, 2, 0, 100);
    step_to_tick(&box, 31);
    box_set(&box, "gate2", false);
    ck_assert_uint_eq(latch(&box, 2), 70);
    step_to_tick(&box, 1000);
    ck_assert_uint_eq(latch(&box, 2), 70);
    ck_assert(!box_irq(&box, "out2"));
    box_set(&box, "gate2", true);
    step_to_tick(&box, 1069);
    ck_assert(!box_irq(&box, "out2"));
    step_to_tick(&box, 1070);
    ck_assert(box_irq(&box, "out2"));
    box_close(&box);
}
END_TEST

START_TEST(mode_1_one_shot)
{
    struct box box;

    open_pit(&box);
    program(&box, 1, 1, 50);
    step_to_tick(&box, 500);
    ck_assert(box_irq(&box, "out1"));
    box_set(&box, "gate1", false);
    box_set(&box, "gate1", true);
    ck_assert(box_irq(&box, "out1"));
    step_to_tick(&box, 501);
    ck_assert(!box_irq(&box, "out1"));
    step_to_tick(&box, 520);
    box_set(&box, "gate1", false);
    box_set(&box, "gate1", true); /* retriggered: 50 more from 521 */
    ck_assert(!box_irq(&box, "out1"));
    step_to_tick(&box, 570);
    ck_assert(!box_irq(&box, "out1"));
    step_to_tick(&box, 571);
    ck_assert(box_irq(&box, "out1"));
    box_close(&box);
}
END_TEST

START_TEST(mode_2_divides)
{
    struct box box;

    open_pit(&box);
    program(&box, 0, 2, 10);
    step_to_tick(&box, 1);
    ck_assert_uint_eq(latch(&box, 0), 10);
    step_to_tick(&box, 9);
    ck_assert_uint_eq(latch(&box, 0), 2);
    ck_assert(box_irq(&box, "out0"));
    step_to_tick(&box, 10);
    ck_assert_uint_eq(latch(&box, 0), 1);
    ck_assert_msg(!box_irq(&box, "out0"), "low for the last pulse");
    step_to_tick(&box, 11);
    ck_assert(box_irq(&box, "out0"));
    ck_assert_uint_eq(latch(&box, 0), 10);
    unsigned before = box_rises(&box, "out0");
    step_to_tick(&box, 11 + 10 * 5000);
    ck_assert_uint_eq(box_rises(&box, "out0") - before, 5000);
    /* A new count takes effect after the running period. */
    step_to_tick(&box, 50011 + 3);
    box_out8(&box, 0x40, 20);
    box_out8(&box, 0x40, 0);
    ck_assert_uint_eq(latch(&box, 0), 7);
    step_to_tick(&box, 50011 + 10);
    ck_assert_uint_eq(latch(&box, 0), 20);
    step_to_tick(&box, 50011 + 29);
    ck_assert(!box_irq(&box, "out0"));
    box_close(&box);
}
END_TEST

/* One guest hour at 1000.15 Hz: the number of interrupts is exact, nothing drifts. */
START_TEST(mode_2_does_not_drift)
{
    struct box box;

    open_pit(&box);
    program(&box, 0, 2, 1193);
    unsigned before = box_rises(&box, "out0");
    box_step_ns(&box, UINT64_C(100) * 1000000000);
    ck_assert_uint_eq(box_rises(&box, "out0") - before, (100 * I8254_CLOCK_HZ - 1) / 1193);
    box_close(&box);
}
END_TEST

START_TEST(mode_2_gate_restarts)
{
    struct box box;

    open_pit(&box);
    program(&box, 2, 2, 10);
    step_to_tick(&box, 10);
    ck_assert(!box_irq(&box, "out2"));
    box_set(&box, "gate2", false);
    ck_assert_msg(box_irq(&box, "out2"), "OUT is set high immediately");
    step_to_tick(&box, 100);
    box_set(&box, "gate2", true);
    step_to_tick(&box, 101);
    ck_assert_uint_eq(latch(&box, 2), 10);
    step_to_tick(&box, 110);
    ck_assert(!box_irq(&box, "out2"));
    box_close(&box);
}
END_TEST

START_TEST(mode_3_even_and_odd)
{
    struct box box;

    open_pit(&box);
    program(&box, 0, 3, 8);
    step_to_tick(&box, 1);
    ck_assert_uint_eq(latch(&box, 0), 8);
    step_to_tick(&box, 4);
    ck_assert_uint_eq(latch(&box, 0), 2);
    ck_assert(box_irq(&box, "out0"));
    step_to_tick(&box, 5);
    ck_assert_uint_eq(latch(&box, 0), 8);
    ck_assert(!box_irq(&box, "out0"));
    step_to_tick(&box, 9);
    ck_assert(box_irq(&box, "out0"));
    /* Odd: (N + 1) / 2 high, (N - 1) / 2 low. */
    step_to_tick(&box, 100);
    program(&box, 0, 3, 5);
    step_to_tick(&box, 101);
    ck_assert_uint_eq(latch(&box, 0), 4);
    step_to_tick(&box, 103);
    ck_assert(box_irq(&box, "out0"));
    ck_assert_uint_eq(latch(&box, 0), 0);
    step_to_tick(&box, 104);
    ck_assert(!box_irq(&box, "out0"));
    ck_assert_uint_eq(latch(&box, 0), 4);
    step_to_tick(&box, 106);
    ck_assert(box_irq(&box, "out0"));
    unsigned before = box_rises(&box, "out0");
    step_to_tick(&box, 106 + 5 * 999);
    ck_assert_uint_eq(box_rises(&box, "out0") - before, 999);
    box_close(&box);
}
END_TEST

/* A new count in mode 3 waits for the end of the half. */
START_TEST(mode_3_new_count)
{
    struct box box;

    open_pit(&box);
    program(&box, 0, 3, 100); /* high 1-50, low 51-100 */
    step_to_tick(&box, 20);
    box_out8(&box, 0x40, 20);
    box_out8(&box, 0x40, 0);
    step_to_tick(&box, 50);
    ck_assert(box_irq(&box, "out0"));
    step_to_tick(&box, 51);
    ck_assert(!box_irq(&box, "out0"));
    ck_assert_uint_eq(latch(&box, 0), 20);
    step_to_tick(&box, 60);
    ck_assert(!box_irq(&box, "out0"));
    step_to_tick(&box, 61);
    ck_assert(box_irq(&box, "out0"));
    step_to_tick(&box, 71);
    ck_assert(!box_irq(&box, "out0"));
    box_close(&box);
}
END_TEST

START_TEST(mode_4_and_5_strobe)
{
    struct box box;

    open_pit(&box);
    program(&box, 0, 4, 10);
    step_to_tick(&box, 10);
    ck_assert(box_irq(&box, "out0"));
    step_to_tick(&box, 11);
    ck_assert(!box_irq(&box, "out0"));
    step_to_tick(&box, 12);
    ck_assert(box_irq(&box, "out0"));
    step_to_tick(&box, 200000);
    ck_assert_uint_eq(box_falls(&box, "out0"), 1);
    program(&box, 1, 5, 10);
    step_to_tick(&box, 200100);
    box_set(&box, "gate1", false);
    box_set(&box, "gate1", true);
    step_to_tick(&box, 200110);
    ck_assert(box_irq(&box, "out1"));
    step_to_tick(&box, 200111);
    ck_assert(!box_irq(&box, "out1"));
    step_to_tick(&box, 200112);
    ck_assert(box_irq(&box, "out1"));
    box_close(&box);
}
END_TEST

START_TEST(bcd_counts_decimal)
{
    struct box box;

    open_pit(&box);
    box_out8(&box, 0x43, 0x31); /* mode 0, BCD */
    box_out8(&box, 0x40, 0x00);
    box_out8(&box, 0x40, 0x10); /* 1000 */
    step_to_tick(&box, 2);
    ck_assert_uint_eq(latch(&box, 0), 0x0999);
    step_to_tick(&box, 1001);
    ck_assert(box_irq(&box, "out0"));
    step_to_tick(&box, 1002);
    ck_assert_uint_eq(latch(&box, 0), 0x9999);
    box_out8(&box, 0x43, 0x35);
    box_out8(&box, 0x40, 0x00);
    box_out8(&box, 0x40, 0x00); /* 10000 */
    step_to_tick(&box, 1002 + 1 + 10000);
    ck_assert_uint_eq(latch(&box, 0), 0x0000);
    box_close(&box);
}
END_TEST

START_TEST(access_modes_and_latches)
{
    struct box box;

    open_pit(&box);
    box_out8(&box, 0x43, 0x10); /* LSB only */
    box_out8(&box, 0x40, 0x80);
    step_to_tick(&box, 2);
    ck_assert_uint_eq(box_in8(&box, 0x40), 0x7f);
    box_out8(&box, 0x43, 0x20); /* MSB only */
    box_out8(&box, 0x40, 0x12);
    step_to_tick(&box, 4);
    ck_assert_uint_eq(box_in8(&box, 0x40), 0x11);
    program(&box, 0, 0, 0x1234);
    step_to_tick(&box, 5);
    box_out8(&box, 0x43, 0x00);
    step_to_tick(&box, 100);
    box_out8(&box, 0x43, 0x00); /* ignored: not yet read */
    ck_assert_uint_eq(box_in8(&box, 0x40), 0x34);
    ck_assert_uint_eq(box_in8(&box, 0x40), 0x12);
    ck_assert_uint_eq(box_in8(&box, 0x40), 0x34 - 95 + 256);
    box_close(&box);
}
END_TEST

START_TEST(read_back)
{
    struct box box;

    open_pit(&box);
    program(&box, 2, 3, 100);
    box_out8(&box, 0x43, 0xe8); /* status of counter 2 */
    ck_assert_uint_eq(box_in8(&box, 0x42), 0xf6); /* OUT, null count, both bytes, mode 3 */
    step_to_tick(&box, 1);
    box_out8(&box, 0x43, 0xc8); /* status and count */
    step_to_tick(&box, 60);
    ck_assert_uint_eq(box_in8(&box, 0x42), 0xb6);
    ck_assert_uint_eq(box_in8(&box, 0x42), 100);
    ck_assert_uint_eq(box_in8(&box, 0x42), 0);
    box_out8(&box, 0x43, 0xe8);
    ck_assert_uint_eq(box_in8(&box, 0x42), 0x36);
    ck_assert_uint_eq(box_in8(&box, 0x43), 0xff);
    box_close(&box);
}
END_TEST

/* Linux's quick_pit_calibrate: mode 0, reads of low and high byte without latch, MSB counts down. */
START_TEST(linux_tsc_calibration)
{
    struct box box;

    open_pit(&box);
    program(&box, 2, 0, 0xffff);
    box_in8(&box, 0x42);
    box_in8(&box, 0x42);
    for (unsigned expected = 0xff; expected > 0xf0; expected--) {
        unsigned reads = 0, msb;
        do {
            box_step_ns(&box, 2000);
            box_in8(&box, 0x42);
            msb = box_in8(&box, 0x42);
            reads++;
        } while (msb == expected && reads < 1000);
        ck_assert_uint_eq(msb, expected - 1);
        ck_assert_uint_ge(reads, 100);
    }
    ck_assert(!i8254_out(box.dev, 2));
    box_step_ns(&box, 60000000);
    ck_assert(i8254_out(box.dev, 2));
    box_close(&box);
}
END_TEST

START_TEST(hostile_guest)
{
    struct box box;

    open_pit(&box);
    program(&box, 0, 3, 1);
    step_to_tick(&box, 100);
    ck_assert(box_irq(&box, "out0"));
    program(&box, 0, 2, 1);
    box_out8(&box, 0x40, 4);
    box_out8(&box, 0x40, 0);
    step_to_tick(&box, 200);
    ck_assert_uint_ge(box_falls(&box, "out0"), 20);
    for (unsigned n = 0; n < 50000; n++) {
        unsigned value = n * 2654435761u >> 7;
        box_out8(&box, 0x40 + (value & 3), value >> 2 & 0xff);
        box_out32(&box, 0x40, value);
        (void)box_in32(&box, 0x40);
        i8254_class.set_input(box.dev, value >> 10 & 3, value >> 13 & 1);
        box_step_ns(&box, value & 0xfff);
        (void)i8254_out(box.dev, value & 7);
        (void)i8254_frequency(box.dev, value & 7);
    }
    box_close(&box);
}
END_TEST

START_TEST(snapshot_keeps_time)
{
    struct box box;

    open_pit(&box);
    program(&box, 0, 2, 1000);
    step_to_tick(&box, 400);
    box_save_load(&box);
    ck_assert_uint_eq(latch(&box, 0), 601);
    box_reset(&box);
    ck_assert(box_irq(&box, "out0"));
    ck_assert_uint_eq(clock_next_deadline(&box.clock), CLOCK_NEVER);
    box_close(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("i8254");
    TCase *tcase = tcase_create("ports");

    tcase_add_test(tcase, mode_0_counts_once);
    tcase_add_test(tcase, mode_0_gate_pauses);
    tcase_add_test(tcase, mode_1_one_shot);
    tcase_add_test(tcase, mode_2_divides);
    tcase_add_test(tcase, mode_2_does_not_drift);
    tcase_add_test(tcase, mode_2_gate_restarts);
    tcase_add_test(tcase, mode_3_even_and_odd);
    tcase_add_test(tcase, mode_3_new_count);
    tcase_add_test(tcase, mode_4_and_5_strobe);
    tcase_add_test(tcase, bcd_counts_decimal);
    tcase_add_test(tcase, access_modes_and_latches);
    tcase_add_test(tcase, read_back);
    tcase_add_test(tcase, linux_tsc_calibration);
    tcase_add_test(tcase, hostile_guest);
    tcase_add_test(tcase, snapshot_keeps_time);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
