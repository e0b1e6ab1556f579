/* test_log.c - channels, levels and the sink; errors with hints. */
#include "mem/log.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static char seen[256];
static unsigned seen_count;

static void sink(void *context, const char *channel, enum log_level level, const char *text)
{
    ck_assert_ptr_eq(context, &seen_count);
    snprintf(seen, sizeof seen, "%s %d %s", channel, (int)level, text);
    seen_count++;
}

START_TEST(levels_decide_what_passes)
{
    struct log log;
    log_init(&log, sink, &seen_count, LOG_GUEST);
    struct log_channel *pic = log_channel(&log, "pic");

    seen_count = 0;
    log_write(&log, pic, LOG_TRACE, "no");
    ck_assert_uint_eq(seen_count, 0);
    log_write(&log, pic, LOG_GUEST, "port 0x%02x", 0x20u);
    ck_assert_str_eq(seen, "pic 1 port 0x20");
    ck_assert(log_knows(&log, "pic") && log_knows(&log, "all") && !log_knows(&log, "pit"));
    log_set_level(&log, "pic", LOG_ERROR);
    log_write(&log, pic, LOG_GUEST, "counted only");
    ck_assert_uint_eq(seen_count, 1);
    ck_assert_uint_eq(pic->guest_messages, 2);
    log_set_level(&log, "all", LOG_TRACE);
    log_write(&log, pic, LOG_TRACE, "yes");
    ck_assert_uint_eq(seen_count, 2);
    ck_assert_uint_eq(log_channel(&log, "new")->level, LOG_TRACE);
}
END_TEST

START_TEST(channels_are_found_again_and_never_run_out)
{
    struct log log;
    char name[16];

    log_init(&log, NULL, NULL, LOG_TRACE);
    struct log_channel *first = log_channel(&log, "a-name-that-is-longer-than-the-table-holds");
    ck_assert_ptr_eq(log_channel(&log, "a-name-that-is-longer-than-the-table-holds"), first);
    for (unsigned i = 0; i < 2 * LOG_CHANNELS_MAX; i++) {
        snprintf(name, sizeof name, "c%u", i);
        ck_assert_ptr_nonnull(log_channel(&log, name));
    }
    ck_assert_uint_eq(log.channel_count, LOG_CHANNELS_MAX);
    log_write(&log, first, LOG_ERROR, "dropped: no sink");
    log_write(NULL, NULL, LOG_ERROR, "dropped: no log");
}
END_TEST

START_TEST(errors_carry_a_hint)
{
    struct error err;

    ck_assert(!error_set(&err, "cannot open '%s'", "x"));
    ck_assert_str_eq(err.message, "cannot open 'x'");
    ck_assert_str_eq(err.hint, "");
    ck_assert(!error_hint(&err, "try %d", 3));
    ck_assert_str_eq(err.hint, "try 3");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");
    tcase_add_test(tcase, levels_decide_what_passes);
    tcase_add_test(tcase, channels_are_found_again_and_never_run_out);
    tcase_add_test(tcase, errors_carry_a_hint);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
