/* test_piix4_pm.c - power management from its ports (82371AB data sheet, chapter 7; ACPI Specification, 4.8). */
#include "devices/piix4_pm.h"
#include "tests/support/check_class.h"

#include <check.h>

enum { PM = 0x600, SMB = 0x700, GPE = 0xafe0 };

static struct box box;

/* As SeaBIOS sets it up. */
static void setup(void)
{
    box_open(&box, &piix4_pm_class);
    box_map_ports(&box, 0xb2, 2, PIIX4_PM_REG_APM);
    box_map_ports(&box, GPE, 4, PIIX4_PM_REG_GPE0);
    box_config_write(&box, 0x40, 4, PM | 1);
    box_config_write(&box, 0x80, 1, 1);
    box_config_write(&box, 0x90, 4, SMB | 1);
    box_config_write(&box, 0xd2, 1, 9);
}

static void teardown(void)
{
    box_close(&box);
}

START_TEST(blocks_answer_where_they_are_put)
{
    ck_assert_uint_eq(box_config_read(&box, 0, 4), 0x71138086);
    ck_assert_uint_eq(box_config_read(&box, 0x40, 4), PM | 1);
    ck_assert_uint_eq(box_in16(&box, PM), 0);
    box_config_write(&box, 0x40, 4, 0xb000);
    ck_assert_uint_eq(box_in16(&box, PM), 0xffff);
    ck_assert_uint_eq(box_in16(&box, 0xb000), 0);
    box_config_write(&box, 0x80, 1, 0);
    ck_assert_uint_eq(box_in16(&box, 0xb000), 0xffff);
    check_class(&piix4_pm_class);
}
END_TEST

START_TEST(timer_counts_3579545_a_second_in_24_bits)
{
    uint32_t start = box_in32(&box, PM + 8);

    box_step_ns(&box, NS_PER_SECOND);
    ck_assert_uint_eq(box_in32(&box, PM + 8) - start, 3579545);
    box_step_ns(&box, 4 * NS_PER_SECOND);
    ck_assert_uint_eq(box_in32(&box, PM + 8), (5 * UINT32_C(3579545)) & 0xffffff);
    ck_assert_uint_eq(box_in8(&box, PM + 9), (5 * UINT32_C(3579545)) >> 8 & 0xff);
}
END_TEST

/* TMR_STS is set whenever bit 23 changes; SCI follows TMR_EN and SCI_EN. */
START_TEST(timer_overflow_raises_sci)
{
    uint64_t half = UINT64_C(0x800000) * NS_PER_SECOND / 3579545;

    box_out16(&box, PM + 2, 1);
    box_out8(&box, 0xb2, 0xf1);
    ck_assert_uint_eq(box_in16(&box, PM + 4), 1);
    box_step_ns(&box, half - 1000);
    ck_assert_uint_eq(box_in16(&box, PM), 0);
    ck_assert(!box_irq(&box, "sci"));
    box_step_ns(&box, 2000);
    ck_assert_uint_eq(box_in16(&box, PM), 1);
    ck_assert_uint_eq(box_in32(&box, PM + 8) >> 23, 1);
    ck_assert(box_irq(&box, "sci"));
    box_out16(&box, PM, 1);
    ck_assert_uint_eq(box_in16(&box, PM), 0);
    ck_assert(!box_irq(&box, "sci"));
    box_step_ns(&box, half);
    ck_assert_uint_eq(box_in32(&box, PM + 8) >> 23, 0);
    ck_assert(box_irq(&box, "sci"));
    box_out8(&box, 0xb2, 0xf0);
    ck_assert(!box_irq(&box, "sci"));
    ck_assert_uint_eq(box_in8(&box, 0xb2), 0xf0);
}
END_TEST

START_TEST(power_button_is_an_event)
{
    box_out8(&box, 0xb2, 0xf1);
    box_out16(&box, PM + 2, 0x0100);
    box_set(&box, "powerbtn", true);
    ck_assert(box_irq(&box, "sci"));
    ck_assert_uint_eq(box_in16(&box, PM), 0x0100);
    box_out8(&box, PM + 1, 0x01);
    ck_assert(!box_irq(&box, "sci")); /* held down: one event */
    box_set(&box, "powerbtn", false);
    ck_assert(!box_irq(&box, "sci"));
    box_set(&box, "powerbtn", true);
    ck_assert(box_irq(&box, "sci"));
}
END_TEST

START_TEST(soft_off_switches_off)
{
    box_out16(&box, PM + 4, 0x2401); /* S3: not implemented, and says so */
    ck_assert(!box_irq(&box, "poweroff"));
    ck_assert_uint_eq(box.log_count, 1);
    box_out16(&box, PM + 4, 0x0001);
    ck_assert(!box_irq(&box, "poweroff"));
    box_out16(&box, PM + 4, 0x2001);
    ck_assert(box_irq(&box, "poweroff"));
    ck_assert_uint_eq(box_in16(&box, PM + 4), 0x0001); /* SLP_EN reads 0 */
    box_reset(&box);
    ck_assert(!box_irq(&box, "poweroff"));
}
END_TEST

START_TEST(general_purpose_events_are_bytes)
{
    box_out8(&box, 0xb2, 0xf1);
    box_out8(&box, GPE + 2, 0x05);
    ck_assert_uint_eq(box_in32(&box, GPE), 0x00050000);
    box_out8(&box, GPE, 0xff);
    ck_assert_uint_eq(box_in32(&box, GPE), 0x00050000);
}
END_TEST

/* What Linux's i2c_piix4 does: clear, start, poll; the answer is "no device". */
START_TEST(smbus_has_no_devices)
{
    ck_assert_uint_eq(box_in8(&box, SMB), 0);
    box_out8(&box, SMB + 4, 0xa1);
    box_out8(&box, SMB + 2, 0x44);
    ck_assert_uint_eq(box_in8(&box, SMB), 0x04);
    ck_assert_uint_eq(box_in8(&box, SMB + 2), 0x04);
    box_out8(&box, SMB, 0x04);
    ck_assert_uint_eq(box_in8(&box, SMB), 0);
    ck_assert_uint_eq(box_in8(&box, SMB + 4), 0xa1);
}
END_TEST

START_TEST(state_survives_in_mid_flight)
{
    box_out8(&box, 0xb2, 0xf1);
    box_out8(&box, 0xb3, 0x42);
    box_out16(&box, PM + 2, 0x0101);
    box_step_ns(&box, NS_PER_SECOND);
    box_save_load(&box);
    ck_assert_uint_eq(box_in8(&box, 0xb3), 0x42);
    ck_assert_uint_eq(box_in32(&box, PM), 0x01010000);
    box_step_ns(&box, 2 * NS_PER_SECOND);
    ck_assert(box_irq(&box, "sci"));
    check_save_load(&box, NULL);
}
END_TEST

START_TEST(reset_unmaps)
{
    box_reset(&box);
    ck_assert_uint_eq(box_in16(&box, PM), 0xffff);
    ck_assert_uint_eq(box_in8(&box, SMB), 0xff);
}
END_TEST

/* DEVACTB, APMC_EN: a write to port B2h is an SMI, one to B3h is not. */
START_TEST(apm_raises_smi)
{
    box_out8(&box, 0xb2, 0x12);
    ck_assert_uint_eq(box_rises(&box, "smi"), 0);
    box_config_write(&box, 0x5b, 1, 2);
    box_out8(&box, 0xb3, 0x01);
    ck_assert_uint_eq(box_rises(&box, "smi"), 0);
    box_out8(&box, 0xb2, 0x12);
    ck_assert_uint_eq(box_rises(&box, "smi"), 1);
    ck_assert(!box_irq(&box, "smi"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("piix4_pm");
    TCase *tcase = tcase_create("piix4_pm");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, blocks_answer_where_they_are_put);
    tcase_add_test(tcase, apm_raises_smi);
    tcase_add_test(tcase, timer_counts_3579545_a_second_in_24_bits);
    tcase_add_test(tcase, timer_overflow_raises_sci);
    tcase_add_test(tcase, power_button_is_an_event);
    tcase_add_test(tcase, soft_off_switches_off);
    tcase_add_test(tcase, general_purpose_events_are_bytes);
    tcase_add_test(tcase, smbus_has_no_devices);
    tcase_add_test(tcase, state_survives_in_mid_flight);
    tcase_add_test(tcase, reset_unmaps);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
