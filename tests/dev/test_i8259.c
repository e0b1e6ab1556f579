/* test_i8259.c - the interrupt controller seen from its ports, pins and INTA cycles (8259A datasheet, PIIX3 ELCR). */
#include "devices/i8259.h"
#include "tests/support/box.h"

#include <check.h>
#include <stdlib.h>

static void open_with_icw4(struct box *box, unsigned icw1, unsigned icw4)
{
    static const struct property master[] = {{.name = "is_master", .number = 1}, {0}};

    box_open_with(box, &i8259_class, master);
    box_map_ports(box, 0x20, 2, 0);
    box_map_ports(box, 0x4d0, 1, 4);
    box_out8(box, 0x20, icw1);
    box_out8(box, 0x21, 0x08);
    box_out8(box, 0x21, 0x04);
    box_out8(box, 0x21, icw4);
    box_out8(box, 0x21, 0x00);
}

static void open_master(struct box *box)
{
    open_with_icw4(box, 0x11, 0x01);
}

START_TEST(edge_requests_once)
{
    struct box box;

    open_master(&box);
    ck_assert(!box_irq(&box, "int"));
    box_set(&box, "ir3", true);
    ck_assert(box_irq(&box, "int"));
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x08);
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x0b);
    ck_assert(!box_irq(&box, "int"));
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x00);
    box_out8(&box, 0x20, 0x0b);
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x08);
    box_out8(&box, 0x20, 0x20);
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x00);
    ck_assert_msg(!box_irq(&box, "int"), "a high level alone is no edge");
    box_set(&box, "ir3", false);
    box_set(&box, "ir3", true);
    ck_assert(box_irq(&box, "int"));
    box_close(&box);
}
END_TEST

/* "If the IR input goes low before this time a DEFAULT IR7 will occur", without an ISR bit. */
START_TEST(withdrawn_request_is_spurious)
{
    struct box box;

    open_master(&box);
    box_set(&box, "ir1", true);
    box_set(&box, "ir1", false);
    ck_assert(!box_irq(&box, "int"));
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x0f);
    box_out8(&box, 0x20, 0x0b);
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x00);
    box_close(&box);
}
END_TEST

START_TEST(priorities_nest)
{
    struct box box;

    open_master(&box);
    box_set(&box, "ir4", true);
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x0c);
    box_set(&box, "ir6", true);
    ck_assert(!box_irq(&box, "int"));
    box_set(&box, "ir0", true);
    ck_assert(box_irq(&box, "int"));
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x08);
    box_out8(&box, 0x20, 0x20); /* ends IR0, the highest */
    ck_assert(!box_irq(&box, "int"));
    box_out8(&box, 0x20, 0x64); /* specific, IR4 */
    ck_assert(box_irq(&box, "int"));
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x0e);
    box_close(&box);
}
END_TEST

START_TEST(rotation_moves_the_lowest)
{
    struct box box;

    open_master(&box);
    box_out8(&box, 0x20, 0xc3); /* IR3 lowest, IR4 highest */
    box_set(&box, "ir0", true);
    box_set(&box, "ir4", true);
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x0c);
    box_out8(&box, 0x20, 0xa0); /* rotate on non-specific EOI: IR4 lowest */
    box_set(&box, "ir4", false);
    box_set(&box, "ir4", true);
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x08);
    box_out8(&box, 0x20, 0xe0); /* rotate on specific EOI, IR0 */
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x0c);
    box_close(&box);
}
END_TEST

START_TEST(automatic_eoi)
{
    struct box box;

    open_with_icw4(&box, 0x11, 0x03);
    box_out8(&box, 0x20, 0x80);
    box_set(&box, "ir5", true);
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x0d);
    box_out8(&box, 0x20, 0x0b);
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x00);
    box_set(&box, "ir6", true);
    box_set(&box, "ir0", true);
    ck_assert_msg(i8259_acknowledge(box.dev, NULL) == 0x0e, "rotated: IR6 follows IR5");
    box_close(&box);
}
END_TEST

START_TEST(mask_and_special_mask)
{
    struct box box;

    open_master(&box);
    box_out8(&box, 0x21, 0x02);
    ck_assert_uint_eq(box_in8(&box, 0x21), 0x02);
    box_set(&box, "ir1", true);
    ck_assert(!box_irq(&box, "int"));
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x02);
    box_out8(&box, 0x21, 0x00);
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x09);
    box_set(&box, "ir5", true);
    ck_assert(!box_irq(&box, "int"));
    box_out8(&box, 0x21, 0x02);
    ck_assert(!box_irq(&box, "int"));
    box_out8(&box, 0x20, 0x68); /* set special mask */
    ck_assert(box_irq(&box, "int"));
    box_out8(&box, 0x20, 0x20); /* leaves the masked ISR bit alone */
    box_out8(&box, 0x20, 0x0b);
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x02);
    box_close(&box);
}
END_TEST

START_TEST(poll_acknowledges)
{
    struct box box;

    open_master(&box);
    box_out8(&box, 0x20, 0x0c);
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x00);
    box_set(&box, "ir6", true);
    box_out8(&box, 0x20, 0x0c);
    ck_assert_uint_eq(box_in8(&box, 0x21), 0x86);
    ck_assert(!box_irq(&box, "int"));
    box_out8(&box, 0x20, 0x0b);
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x40);
    ck_assert_uint_eq(box_in8(&box, 0x21), 0x00);
    box_close(&box);
}
END_TEST

START_TEST(elcr_makes_levels)
{
    struct box box;

    open_master(&box);
    box_out8(&box, 0x4d0, 0xff);
    ck_assert_uint_eq(box_in8(&box, 0x4d0), 0xf8);
    box_set(&box, "ir5", true);
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x0d);
    box_out8(&box, 0x20, 0x20);
    ck_assert_msg(box_irq(&box, "int"), "the level still asks");
    box_set(&box, "ir5", false);
    ck_assert(!box_irq(&box, "int"));
    box_close(&box);
}
END_TEST

START_TEST(ltim_rules_without_elcr)
{
    static const struct property plain[] = {{.name = "is_master", .number = 1}, {.name = "has_elcr", .number = 0}, {0}};
    struct box box;

    box_open_with(&box, &i8259_class, plain);
    box_map_ports(&box, 0x20, 2, 0);
    box_out8(&box, 0x20, 0x1b); /* single, level, ICW4 */
    box_out8(&box, 0x21, 0x40);
    box_out8(&box, 0x21, 0x01);
    box_set(&box, "ir0", true);
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x40);
    box_out8(&box, 0x20, 0x20);
    ck_assert(box_irq(&box, "int"));
    box_close(&box);
}
END_TEST

/* ICW1 resets the edge sense: an input that is high must fall and rise again. */
START_TEST(icw1_forgets_edges)
{
    struct box box;

    open_master(&box);
    box_set(&box, "ir2", true);
    box_out8(&box, 0x20, 0x11);
    ck_assert(!box_irq(&box, "int"));
    box_out8(&box, 0x21, 0x20);
    box_out8(&box, 0x21, 0x04);
    box_set(&box, "ir7", true);
    ck_assert_msg(!box_irq(&box, "int"), "quiet before ICW4");
    box_out8(&box, 0x21, 0x01);
    ck_assert(box_irq(&box, "int"));
    ck_assert_uint_eq(box_in8(&box, 0x20), 0x80);
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x27);
    box_close(&box);
}
END_TEST

/* Linux's probe_8259A: the mask register keeps what is written. */
START_TEST(mask_register_probe)
{
    struct box box;

    open_master(&box);
    for (unsigned value = 0; value < 256; value++) {
        box_out8(&box, 0x21, value);
        ck_assert_uint_eq(box_in8(&box, 0x21), value);
    }
    box_close(&box);
}
END_TEST

/* Two controllers as on the board: slave's INT on the master's IR2. */
START_TEST(cascade)
{
    static const unsigned slave_init[] = {0x70, 0x02, 0x01, 0x00};
    struct box box;
    struct error err;

    open_master(&box);
    struct device surroundings = *box.dev;
    struct device *slave = device_create(&i8259_class, "pic1", &surroundings, NULL, &err);
    ck_assert_ptr_nonnull(slave);
    ck_assert(device_connect(slave, "int", box.dev, "ir2", &err));
    const struct port_ops *ops = i8259_class.port_ops;
    ops->write(slave, 0, 1, 0x11);
    for (unsigned n = 0; n < 4; n++) {
        ops->write(slave, 1, 1, slave_init[n]);
    }
    i8259_class.set_input(slave, 4, true); /* IRQ 12 */
    ck_assert(box_irq(&box, "int"));
    i8259_class.set_input(slave, 0, true); /* IRQ 8 before the INTA */
    ck_assert_uint_eq(i8259_acknowledge(box.dev, slave), 0x70);
    ck_assert(!box_irq(&box, "int"));
    ops->write(slave, 0, 1, 0x20);
    box_out8(&box, 0x20, 0x20);
    ck_assert_msg(box_irq(&box, "int"), "IRQ 12 still waits");
    /* Withdrawn between the INTA cycles of the master and the slave: spurious IRQ 15 needs an EOI at the master. */
    ck_assert_uint_eq(i8259_acknowledge(box.dev, slave), 0x74);
    ops->write(slave, 0, 1, 0x20);
    box_out8(&box, 0x20, 0x20);
    ck_assert(!box_irq(&box, "int"));
    /* An input of the slave that is masked after the request makes the master's request go away. */
    i8259_class.set_input(slave, 6, true);
    ck_assert(box_irq(&box, "int"));
    ops->write(slave, 1, 1, 0xff);
    ck_assert(!box_irq(&box, "int"));
    ck_assert_uint_eq(i8259_acknowledge(box.dev, slave), 0x0f);
    device_destroy(slave);
    box_close(&box);
}
END_TEST

/* Special fully nested mode: a slave in service may interrupt itself with a higher request. */
START_TEST(special_fully_nested)
{
    struct box box;

    open_with_icw4(&box, 0x11, 0x11);
    box_set(&box, "ir2", true);
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x0a);
    box_set(&box, "ir2", false);
    box_set(&box, "ir2", true);
    ck_assert(box_irq(&box, "int"));
    box_set(&box, "ir2", false);
    box_set(&box, "ir3", true);
    ck_assert(!box_irq(&box, "int"));
    box_close(&box);
}
END_TEST

START_TEST(survives_reset_and_snapshot)
{
    struct box box;

    open_master(&box);
    box_set(&box, "ir3", true);
    box_save_load(&box);
    ck_assert(i8259_int_level(box.dev));
    ck_assert_uint_eq(i8259_acknowledge(box.dev, NULL), 0x0b);
    box_reset(&box);
    ck_assert(!box_irq(&box, "int"));
    for (unsigned n = 0; n < 20000; n++) {
        unsigned value = n * 2654435761u >> 13;
        box_out8(&box, 0x20 + (value & 1), value >> 1 & 0xff);
        box_out32(&box, 0x20, value);
        (void)box_in16(&box, 0x20);
        i8259_class.set_input(box.dev, value >> 9 & 7, value >> 12 & 1);
        (void)i8259_acknowledge(box.dev, NULL);
    }
    box_close(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("i8259");
    TCase *tcase = tcase_create("ports");

    tcase_add_test(tcase, edge_requests_once);
    tcase_add_test(tcase, withdrawn_request_is_spurious);
    tcase_add_test(tcase, priorities_nest);
    tcase_add_test(tcase, rotation_moves_the_lowest);
    tcase_add_test(tcase, automatic_eoi);
    tcase_add_test(tcase, mask_and_special_mask);
    tcase_add_test(tcase, poll_acknowledges);
    tcase_add_test(tcase, elcr_makes_levels);
    tcase_add_test(tcase, ltim_rules_without_elcr);
    tcase_add_test(tcase, icw1_forgets_edges);
    tcase_add_test(tcase, mask_register_probe);
    tcase_add_test(tcase, cascade);
    tcase_add_test(tcase, special_fully_nested);
    tcase_add_test(tcase, survives_reset_and_snapshot);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
