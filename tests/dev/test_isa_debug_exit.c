/* test_isa_debug_exit.c - the port that ends the emulator. */
#include "devices/isa_debug_exit.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>

START_TEST(value_is_kept)
{
    struct box box;

    box_open(&box, &isa_debug_exit_class);
    box_map_ports(&box, 0x501, 4, 0);
    ck_assert(!box_irq(&box, "exit"));
    ck_assert_uint_eq(box_in8(&box, 0x501), 0);
    ck_assert(!box_irq(&box, "exit"));
    box_out8(&box, 0x501, 0x31);
    ck_assert(box_irq(&box, "exit"));
    ck_assert_uint_eq(isa_debug_exit_value(box.dev), 0x31);
    box_save_load(&box);
    ck_assert_uint_eq(isa_debug_exit_value(box.dev), 0x31);
    box_out32(&box, 0x501, 0x12345678);
    ck_assert_uint_eq(isa_debug_exit_value(box.dev), 0x12345678);
    box_out16(&box, 0x501, 0x1234);
    ck_assert_uint_eq(isa_debug_exit_value(box.dev), 0x1234);
    box_reset(&box);
    ck_assert(!box_irq(&box, "exit"));
    box_close(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("isa_debug_exit");
    TCase *tcase = tcase_create("ports");

    tcase_add_test(tcase, value_is_kept);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
