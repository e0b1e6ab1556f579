/* test_clock.c - guest time, deadlines and the order of events. */
#include "mem/clock.h"

#include <check.h>
#include <string.h>

struct bench {
    struct clock clock;
    uint64_t icount;
    unsigned sooner;
    struct event events[4];
    char order[16];
};

static uint64_t bench_icount(void *context)
{
    return ((struct bench *)context)->icount;
}

static void bench_sooner(void *context)
{
    ((struct bench *)context)->sooner++;
}

static struct bench bench;

static void fire_a(void *owner) { strcat(((struct bench *)owner)->order, "a"); }
static void fire_b(void *owner) { strcat(((struct bench *)owner)->order, "b"); }
static void fire_c(void *owner)
{
    struct bench *b = owner;
    strcat(b->order, "c");
    if (strlen(b->order) < 6) {
        event_at(&b->events[2], clock_now(&b->clock)); /* again at once */
        event_at(&b->events[0], 1);                    /* and something overdue */
    }
}

static void setup(void)
{
    memset(&bench, 0, sizeof bench);
    clock_init(&bench.clock, 65536, bench_icount, bench_sooner, &bench);
    event_init(&bench.events[0], &bench.clock, fire_a, &bench);
    event_init(&bench.events[1], &bench.clock, fire_b, &bench);
    event_init(&bench.events[2], &bench.clock, fire_c, &bench);
}

START_TEST(time_follows_instructions_and_skips)
{
    setup();
    bench.icount = 1000;
    ck_assert_uint_eq(clock_now(&bench.clock), 1000);
    clock_skip(&bench.clock, 500);
    ck_assert_uint_eq(clock_now(&bench.clock), 1500);
    clock_set_ratio(&bench.clock, 65536 / 4);
    ck_assert_uint_eq(clock_now(&bench.clock), 1500);
    bench.icount += 7;
    ck_assert_uint_eq(clock_now(&bench.clock), 1501);
    bench.icount += 1;
    ck_assert_uint_eq(clock_now(&bench.clock), 1502);
    clock_skip(&bench.clock, UINT64_MAX);
    ck_assert_uint_gt(clock_now(&bench.clock), UINT64_MAX / 2 - 1);
}
END_TEST

/* The count returned is the smallest after which the deadline is reached, for every ratio and fraction. */
START_TEST(insns_until_is_exact)
{
    static const uint64_t ratios[] = { 1, 3, 1000, 65535, 65536, 65537, 200000, UINT64_C(1) << 32 };

    for (unsigned r = 0; r < sizeof ratios / sizeof ratios[0]; r++) {
        setup();
        clock_set_ratio(&bench.clock, ratios[r]);
        bench.icount = UINT64_C(123456789012);
        for (uint64_t ahead = 1; ahead < 200000; ahead = ahead * 3 + 1) {
            uint64_t deadline = clock_now(&bench.clock) + ahead;
            uint64_t insns = clock_insns_until(&bench.clock, deadline);
            uint64_t start = bench.icount;
            ck_assert_uint_gt(insns, 0);
            bench.icount = start + insns;
            ck_assert_uint_ge(clock_now(&bench.clock), deadline);
            bench.icount = start + insns - 1;
            ck_assert_uint_lt(clock_now(&bench.clock), deadline);
            bench.icount = start + 1;
        }
    }
    ck_assert_uint_eq(clock_insns_until(&bench.clock, 0), 0);
    clock_set_ratio(&bench.clock, 1);
    ck_assert_uint_eq(clock_insns_until(&bench.clock, CLOCK_NEVER), UINT64_C(1) << 40);
}
END_TEST

START_TEST(events_fire_in_order_of_deadline_then_registration)
{
    setup();
    event_at(&bench.events[1], 10);
    event_at(&bench.events[0], 20);
    event_at(&bench.events[2], 20);
    ck_assert_uint_eq(clock_next_deadline(&bench.clock), 10);
    bench.icount = 9;
    clock_run_due(&bench.clock);
    ck_assert_str_eq(bench.order, "");
    bench.icount = 20;
    strcpy(bench.order, "12");
    clock_run_due(&bench.clock);
    ck_assert_str_eq(bench.order, "12bacac"); /* b at 10; a before c at 20; what c arms fires in the same run */
    ck_assert_uint_eq(clock_next_deadline(&bench.clock), CLOCK_NEVER);
    ck_assert(!event_is_armed(&bench.events[0]));
}
END_TEST

START_TEST(a_cancelled_event_does_not_fire)
{
    setup();
    event_at(&bench.events[0], 5);
    event_cancel(&bench.events[0]);
    bench.icount = 10;
    clock_run_due(&bench.clock);
    ck_assert_str_eq(bench.order, "");
}
END_TEST

START_TEST(only_an_earlier_deadline_is_told)
{
    setup();
    event_at(&bench.events[0], 100);
    ck_assert_uint_eq(bench.sooner, 1);
    event_at(&bench.events[1], 200);
    ck_assert_uint_eq(bench.sooner, 1);
    event_at(&bench.events[1], 50);
    ck_assert_uint_eq(bench.sooner, 2);
    event_at(&bench.events[1], 300);
    ck_assert_uint_eq(bench.sooner, 2);
}
END_TEST

START_TEST(mul_div_has_a_wide_intermediate)
{
    ck_assert_uint_eq(mul_div_u64(7, 3, 2), 10);
    ck_assert_uint_eq(mul_div_u64(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    ck_assert_uint_eq(mul_div_u64(UINT64_MAX, 3579545, NS_PER_SECOND), UINT64_C(66030950515326656));
    ck_assert_uint_eq(mul_div_u64(0, 5, 3), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tcase = tcase_create("clock");
    tcase_add_test(tcase, time_follows_instructions_and_skips);
    tcase_add_test(tcase, insns_until_is_exact);
    tcase_add_test(tcase, events_fire_in_order_of_deadline_then_registration);
    tcase_add_test(tcase, a_cancelled_event_does_not_fire);
    tcase_add_test(tcase, only_an_earlier_deadline_is_told);
    tcase_add_test(tcase, mul_div_has_a_wide_intermediate);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
