/* test_ioapic.c - the I/O APIC between its pins and two local APICs: 82093AA datasheet, 3.2. */
#include "devices/ioapic.h"
#include "devices/lapic.h"
#include "tests/support/check_class.h"

#include <check.h>
#include <string.h>

static struct box box;
static struct apic_bus bus;

static void write_register(unsigned index, uint32_t value)
{
    ioapic_class.region_ops->write(box.dev, 0x00, 4, index);
    ioapic_class.region_ops->write(box.dev, 0x10, 4, value);
}

static uint32_t read_register(unsigned index)
{
    ioapic_class.region_ops->write(box.dev, 0x00, 1, index);
    return ioapic_class.region_ops->read(box.dev, 0x10, 4);
}

static void pin(unsigned number, bool level) { ioapic_class.set_input(box.dev, number, level); }
static int take(unsigned n) { return lapic_acknowledge(bus.locals[n]); }
static void eoi(unsigned n) { lapic_write(bus.locals[n], 0xb0, 4, 0); }

static void open_chip(void)
{
    struct property properties[] = { { .name = "apic_bus", .pointer = &bus }, { .name = NULL } };
    struct error err;

    memset(&bus, 0, sizeof bus);
    box_prepare(&box);
    box_install(&box, &ioapic_class, properties);
    bus.ios[bus.io_count++] = box.dev;
    for (unsigned n = 0; n < 2; n++) {
        struct device surroundings = { .clock = &box.clock, .log = &box.log, .space = box.space, .ports = box.ports };
        struct property local[] = { { .name = "apic_bus", .pointer = &bus }, { .name = "number", .number = n }, { .name = NULL } };
        bus.locals[bus.local_count++] = device_create(&lapic_class, "local", &surroundings, local, &err);
        lapic_write(bus.locals[n], 0xf0, 4, 0x1ff);
    }
}

static void close_chip(void)
{
    device_destroy(bus.locals[0]);
    device_destroy(bus.locals[1]);
    box_close(&box);
}

START_TEST(registers)
{
    check_class(&ioapic_class);
    open_chip();
    ck_assert_uint_eq(read_register(1), 0x00170011);
    write_register(0, 0xffffffff);
    ck_assert_uint_eq(read_register(0), 0x0f000000);
    ck_assert_uint_eq(read_register(0x3e), 0x00010000);
    write_register(0x3e, 0xffffffff);
    ck_assert_uint_eq(read_register(0x3e), 0x0001afff); /* delivery status and remote IRR are read-only */
    write_register(0x3f, 0xffffffff);
    ck_assert_uint_eq(read_register(0x3f), 0xff000000);
    ck_assert_uint_eq(read_register(0x40), 0);
    close_chip();
}
END_TEST

/* An edge is one interrupt; masked it is lost. */
START_TEST(edges)
{
    open_chip();
    write_register(0x15, UINT32_C(1) << 24);
    write_register(0x14, 0x00031);
    pin(2, true);
    ck_assert_int_eq(take(0), LAPIC_NOTHING);
    ck_assert_int_eq(take(1), 0x31);
    eoi(1);
    ck_assert_int_eq(take(1), LAPIC_NOTHING);
    pin(2, false);
    write_register(0x14, 0x10031);
    pin(2, true);
    write_register(0x14, 0x00031);
    ck_assert_int_eq(take(1), LAPIC_NOTHING);
    close_chip();
}
END_TEST

/* A level comes again after EOI for as long as it lasts; masked it waits. */
START_TEST(levels)
{
    open_chip();
    write_register(0x30, 0x18042); /* pin 16 */
    pin(16, true);
    ck_assert_int_eq(take(0), LAPIC_NOTHING);
    write_register(0x30, 0x08042);
    ck_assert_uint_eq(read_register(0x30), 0x0c042); /* remote IRR */
    ck_assert_int_eq(take(0), 0x42);
    ck_assert_int_eq(take(0), LAPIC_NOTHING);
    eoi(0);
    ck_assert_int_eq(take(0), 0x42);
    pin(16, false);
    eoi(0);
    ck_assert_uint_eq(read_register(0x30), 0x08042);
    ck_assert_int_eq(take(0), LAPIC_NOTHING);
    /* Nobody takes it: it is offered again when somebody can. */
    lapic_write(bus.locals[0], 0xf0, 4, 0x0ff);
    pin(16, true);
    ck_assert_uint_eq(read_register(0x30), 0x08042);
    lapic_write(bus.locals[0], 0xf0, 4, 0x1ff);
    ck_assert_int_eq(take(0), 0x42);
    /* Made edge-triggered, it forgets. */
    write_register(0x30, 0x10042);
    write_register(0x30, 0x18042);
    ck_assert_uint_eq(read_register(0x30), 0x18042);
    close_chip();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ioapic");
    TCase *tcase = tcase_create("ioapic");

    tcase_add_test(tcase, registers);
    tcase_add_test(tcase, edges);
    tcase_add_test(tcase, levels);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
