/* test_piix3.c - interrupt routing of the PCI to ISA bridge (82371SB data sheet; QEMU's pc board for the swizzle). */
#include "devices/piix3.h"
#include "tests/support/check_class.h"

#include <check.h>
#include <stdio.h>

static struct box box;

static void setup(void)
{
    box_open(&box, &piix3_class);
}

static void teardown(void)
{
    box_close(&box);
}

static void pin(unsigned slot, unsigned intx, bool level)
{
    char name[16];

    snprintf(name, sizeof name, "pirq%u", piix3_pin(slot, intx));
    box_set(&box, name, level);
}

START_TEST(is_an_isa_bridge_with_functions)
{
    ck_assert_uint_eq(box_config_read(&box, 0, 4), 0x70008086);
    ck_assert_uint_eq(box_config_read(&box, 8, 4), 0x06010000);
    ck_assert_uint_eq(box_config_read(&box, 0x0e, 1), 0x80);
    ck_assert_uint_eq(box_config_read(&box, 0x60, 4), 0x80808080);
    check_class(&piix3_class);
}
END_TEST

/* INTA# of slot s pulls PIRQ (s - 1) modulo 4. */
START_TEST(slots_are_swizzled)
{
    box_config_write(&box, 0x60, 4, 0x0c0b0a05); /* A: 5, B: 10, C: 11, D: 12 */
    for (unsigned slot = 1; slot < 32; slot++) {
        for (unsigned intx = 0; intx < 4; intx++) {
            static const char *const irqs[] = { "irq5", "irq10", "irq11", "irq12" };
            pin(slot, intx, true);
            for (unsigned i = 0; i < 4; i++) {
                ck_assert_int_eq(box_irq(&box, irqs[i]), i == (slot - 1 + intx) % 4);
            }
            pin(slot, intx, false);
        }
    }
}
END_TEST

START_TEST(shared_lines_are_ored)
{
    box_config_write(&box, 0x60, 1, 0x0b);
    box_config_write(&box, 0x62, 1, 0x0b);
    pin(1, 0, true); /* PIRQA */
    pin(5, 0, true); /* PIRQA */
    pin(3, 0, true); /* PIRQC */
    ck_assert(box_irq(&box, "irq11"));
    pin(1, 0, false);
    pin(3, 0, false);
    ck_assert(box_irq(&box, "irq11"));
    pin(5, 0, false);
    ck_assert(!box_irq(&box, "irq11"));
    ck_assert_uint_eq(box_rises(&box, "irq11"), 1);
}
END_TEST

START_TEST(routing_may_change_while_a_line_is_high)
{
    pin(1, 0, true);
    ck_assert(!box_irq(&box, "irq10")); /* disabled after reset */
    box_config_write(&box, 0x60, 1, 0x0a);
    ck_assert(box_irq(&box, "irq10"));
    box_config_write(&box, 0x60, 1, 0x05);
    ck_assert(!box_irq(&box, "irq10"));
    ck_assert(box_irq(&box, "irq5"));
    box_config_write(&box, 0x60, 1, 0x85);
    ck_assert(!box_irq(&box, "irq5"));
}
END_TEST

START_TEST(reserved_irqs_are_not_reached)
{
    static const uint8_t reserved[] = { 0, 1, 2, 8, 13 };

    pin(1, 0, true);
    for (unsigned i = 0; i < sizeof reserved; i++) {
        char name[8];
        box_config_write(&box, 0x60, 1, reserved[i]);
        snprintf(name, sizeof name, "irq%u", reserved[i]);
        ck_assert(!box_irq(&box, name));
    }
}
END_TEST

START_TEST(isa_lines_pass_and_share)
{
    box_config_write(&box, 0x60, 1, 9);
    box_set(&box, "isa0", true);
    ck_assert(box_irq(&box, "irq0"));
    box_set(&box, "isa0", false);
    ck_assert(!box_irq(&box, "irq0"));
    box_set(&box, "isa9", true);
    pin(1, 0, true);
    box_set(&box, "isa9", false);
    ck_assert(box_irq(&box, "irq9"));
    pin(1, 0, false);
    ck_assert(!box_irq(&box, "irq9"));
}
END_TEST

START_TEST(reset_disables_routing)
{
    box_config_write(&box, 0x60, 1, 0x0a);
    pin(1, 0, true);
    box_save_load(&box);
    ck_assert(box_irq(&box, "irq10"));
    box_reset(&box);
    ck_assert(!box_irq(&box, "irq10"));
    ck_assert_uint_eq(box_config_read(&box, 0x60, 1), 0x80);
}
END_TEST

/* FERR# raises IRQ 13 once; port F0h lowers it and raises IGNNE# until FERR# falls (2.5.5.2). */
START_TEST(coprocessor_errors)
{
    box_map_ports(&box, 0xf0, 1, 0);
    box_out8(&box, 0xf0, 0);
    ck_assert(!box_irq(&box, "ignne"));
    box_set(&box, "ferr", true);
    ck_assert(box_irq(&box, "irq13") && !box_irq(&box, "ignne"));
    box_out8(&box, 0xf0, 0);
    ck_assert(!box_irq(&box, "irq13") && box_irq(&box, "ignne"));
    box_set(&box, "ferr", true); /* no rise */
    ck_assert(!box_irq(&box, "irq13"));
    box_set(&box, "ferr", false);
    ck_assert(!box_irq(&box, "ignne"));
    box_set(&box, "ferr", true);
    box_set(&box, "ferr", false); /* the request stays until the port is written */
    ck_assert(box_irq(&box, "irq13"));
    box_save_load(&box);
    box_out8(&box, 0xf0, 0);
    ck_assert(!box_irq(&box, "irq13") && !box_irq(&box, "ignne"));
    ck_assert_uint_eq(box_in8(&box, 0xf0), 0xff);
    box_set(&box, "ferr", true);
    box_reset(&box);
    ck_assert(!box_irq(&box, "irq13") && !box_irq(&box, "ignne"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("piix3");
    TCase *tcase = tcase_create("piix3");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, is_an_isa_bridge_with_functions);
    tcase_add_test(tcase, slots_are_swizzled);
    tcase_add_test(tcase, shared_lines_are_ored);
    tcase_add_test(tcase, routing_may_change_while_a_line_is_high);
    tcase_add_test(tcase, reserved_irqs_are_not_reached);
    tcase_add_test(tcase, isa_lines_pass_and_share);
    tcase_add_test(tcase, reset_disables_routing);
    tcase_add_test(tcase, coprocessor_errors);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
