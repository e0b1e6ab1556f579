/* test_sysctl.c - ports 61h and 92h. */
#include "devices/sysctl.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>

static void open_sysctl(struct box *box)
{
    box_open(box, &sysctl_class);
    box_map_ports(box, 0x61, 1, 0x61);
    box_map_ports(box, 0x92, 1, 0x92);
}

START_TEST(port_b)
{
    struct box box;

    open_sysctl(&box);
    ck_assert_uint_eq(box_in8(&box, 0x61), 0x00);
    box_out8(&box, 0x61, 0xff);
    ck_assert_uint_eq(box_in8(&box, 0x61), 0x0f);
    ck_assert(box_irq(&box, "gate2"));
    ck_assert(!box_irq(&box, "speaker"));
    box_set(&box, "out2", true);
    ck_assert(box_irq(&box, "speaker"));
    ck_assert_uint_eq(box_in8(&box, 0x61), 0x2f);
    box_out8(&box, 0x61, 0x01);
    ck_assert(!box_irq(&box, "speaker"));
    ck_assert_uint_eq(box_in8(&box, 0x61), 0x21);
    box_reset(&box);
    ck_assert(!box_irq(&box, "gate2"));
    ck_assert_uint_eq(box_in8(&box, 0x61), 0x20);
    box_close(&box);
}
END_TEST

START_TEST(refresh_toggles)
{
    struct box box;
    unsigned toggles = 0, last = 0;

    open_sysctl(&box);
    for (unsigned n = 0; n < 15085; n++) {
        box_step_ns(&box, 1000);
        unsigned now = box_in8(&box, 0x61) & 0x10;
        toggles += now != last;
        last = now;
    }
    ck_assert_uint_eq(toggles, 1000);
    box_close(&box);
}
END_TEST

START_TEST(port_a)
{
    struct box box;

    open_sysctl(&box);
    box_out8(&box, 0x92, 0x02);
    ck_assert(box_irq(&box, "a20"));
    ck_assert_uint_eq(box_in8(&box, 0x92), 0x02);
    box_save_load(&box);
    ck_assert_uint_eq(box_in8(&box, 0x92), 0x02);
    box_out8(&box, 0x92, 0x01);
    ck_assert(box_irq(&box, "reset"));
    box_reset(&box);
    ck_assert(!box_irq(&box, "reset"));
    ck_assert(!box_irq(&box, "a20"));
    box_close(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sysctl");
    TCase *tcase = tcase_create("ports");

    tcase_add_test(tcase, port_b);
    tcase_add_test(tcase, refresh_toggles);
    tcase_add_test(tcase, port_a);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
