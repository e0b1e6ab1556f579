/* test_hpet.c - the high precision event timers: IA-PC HPET Specification 1.0a, 2.3. */
#include "devices/hpet.h"
#include "tests/support/check_class.h"

#include <check.h>

static struct box box;

static void write32(unsigned offset, uint32_t value) { hpet_class.region_ops->write(box.dev, offset, 4, value); }
static uint32_t read32(unsigned offset) { return hpet_class.region_ops->read(box.dev, offset, 4); }
static void write64(unsigned offset, uint64_t value)
{
    write32(offset, (uint32_t)value);
    write32(offset + 4, (uint32_t)(value >> 32));
}

START_TEST(identity)
{
    check_class(&hpet_class);
    box_open(&box, &hpet_class);
    ck_assert_uint_eq(read32(0), HPET_ID);
    ck_assert_uint_eq(read32(4), 10000000); /* femtoseconds */
    ck_assert_uint_eq(read32(0x100) & 0x8030, 0x8030);
    ck_assert_uint_eq(read32(0x120) & 0x8030, 0x8020); /* only the first is periodic */
    box_close(&box);
}
END_TEST

START_TEST(counter_runs_while_enabled)
{
    box_open(&box, &hpet_class);
    box_step_ns(&box, 1000);
    ck_assert_uint_eq(read32(0xf0), 0);
    write32(0x10, 1);
    box_step_ns(&box, 1000);
    ck_assert_uint_eq(read32(0xf0), 100);
    write32(0x10, 0);
    box_step_ns(&box, 1000);
    ck_assert_uint_eq(read32(0xf0), 100);
    write64(0xf0, UINT64_C(0xfffffffff));
    write32(0x10, 1);
    box_step_ns(&box, 10);
    ck_assert_uint_eq(read32(0xf4), 0x10);
    box_close(&box);
}
END_TEST

/* Edge-triggered, on a pin of the I/O APIC and in place of IRQ 0. */
START_TEST(one_shot)
{
    box_open(&box, &hpet_class);
    write64(0x128, 50);
    write32(0x120, 20u << 9 | 4);
    ck_assert_uint_eq(read32(0x120) >> 9 & 31, 20);
    write32(0x120, 3u << 9 | 4); /* not a pin it has */
    ck_assert_uint_eq(read32(0x120) >> 9 & 31, 20);
    write32(0x10, 1);
    box_step_ns(&box, 499);
    ck_assert(!box_irq(&box, "route20"));
    box_step_ns(&box, 1);
    ck_assert(box_irq(&box, "route20"));
    write64(0x108, 200);
    write32(0x100, 4);
    write32(0x10, 3);
    ck_assert(box_irq(&box, "legacy_mode"));
    box_step_ns(&box, 1500);
    ck_assert(box_irq(&box, "legacy0"));
    ck_assert_uint_eq(read32(0x20), 0); /* edges leave no status */
    box_close(&box);
}
END_TEST

START_TEST(periodic)
{
    box_open(&box, &hpet_class);
    write32(0x100, 0x4c | 0x100 | 21u << 9); /* enabled, periodic, set value, 32 bits */
    write32(0x108, 100);
    write32(0x108, 30); /* the period alone */
    write32(0x10, 1);
    box_step_ns(&box, 1000);
    ck_assert_uint_eq(box_rises(&box, "route21"), 1);
    ck_assert_uint_eq(read32(0x108), 130);
    box_step_ns(&box, 900);
    ck_assert_uint_eq(box_rises(&box, "route21"), 4);
    ck_assert_uint_eq(read32(0x108), 220);
    box_close(&box);
}
END_TEST

START_TEST(level_lasts_until_cleared)
{
    box_open(&box, &hpet_class);
    write64(0x148, 10);
    write32(0x140, 22u << 9 | 6);
    write32(0x10, 1);
    box_step_ns(&box, 100);
    ck_assert(box_irq(&box, "route22"));
    ck_assert_uint_eq(read32(0x20), 4);
    write32(0x20, 3);
    ck_assert(box_irq(&box, "route22"));
    write32(0x20, 4);
    ck_assert(!box_irq(&box, "route22"));
    box_close(&box);
}
END_TEST

/* 2.3.9.2.4: the value goes to the address. */
START_TEST(messages)
{
    box_open(&box, &hpet_class);
    write64(0x130, UINT64_C(0x1000) << 32 | 0xabcd);
    write64(0x128, 10);
    write32(0x120, 0x4004);
    write32(0x10, 1);
    box_step_ns(&box, 100);
    ck_assert_uint_eq(space_read(box.space, 0x1000, 4), 0xabcd);
    box_close(&box);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hpet");
    TCase *tcase = tcase_create("hpet");

    tcase_add_test(tcase, identity);
    tcase_add_test(tcase, counter_runs_while_enabled);
    tcase_add_test(tcase, one_shot);
    tcase_add_test(tcase, periodic);
    tcase_add_test(tcase, level_lasts_until_cleared);
    tcase_add_test(tcase, messages);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
