/* test_pacer.c - guest time against a made-up wall clock and a made-up guest. */
#include "frontends/host/pacer.h"

#include <check.h>
#include <stdlib.h>

#define MS UINT64_C(1000000)

/* A host of a given speed with a guest that is busy for a part of its time. */
struct world {
    struct pacer pacer;
    uint64_t wall_ns, guest_ns;
    uint64_t host_ns_per_insn_q16; /* the host's true speed */
    unsigned busy_percent;
    uint64_t slept_ns;
    unsigned steps;
};

static void world_step(struct world *world)
{
    struct pacer_step step = pacer_next(&world->pacer, world->wall_ns, world->guest_ns, 0);

    world->steps++;
    if (!step.runs) {
        ck_assert_uint_gt(step.sleep_ns, 0);
        world->wall_ns += step.sleep_ns;
        world->slept_ns += step.sleep_ns;
        return;
    }
    uint64_t ratio = world->pacer.ratio_q16;
    ck_assert_uint_ge(step.until_ns, world->guest_ns);
    uint64_t span = step.until_ns - world->guest_ns;
    uint64_t insns = span * world->busy_percent / 100 * 65536 / ratio;
    if (insns > step.max_insns) { /* the budget ends first */
        insns = step.max_insns;
        span = insns * ratio / 65536 * 100 / world->busy_percent;
    }
    uint64_t took = insns * world->host_ns_per_insn_q16 / 65536 + 2000;
    world->guest_ns += span;
    world->wall_ns += took;
    pacer_ran(&world->pacer, took, insns);
}

static void world_open(struct world *world, unsigned busy_percent, uint64_t host_ns)
{
    *world = (struct world){.wall_ns = 1234567, .host_ns_per_insn_q16 = host_ns * 65536, .busy_percent = busy_percent};
    pacer_init(&world->pacer, false, 0);
}

/* Guest and wall clock stay together, whatever the host's speed and the guest's load. */
START_TEST(guest_follows_the_wall_clock)
{
    static const unsigned loads[] = {100, 50, 2, 0}, speeds[] = {1, 4, 20, 100};
    struct world world;

    world_open(&world, loads[_i / 4], speeds[_i % 4]);
    while (world.wall_ns < 3000 * MS) {
        world_step(&world);
    }
    uint64_t wall = world.wall_ns, guest = world.guest_ns;
    while (world.wall_ns < 13000 * MS) {
        world_step(&world);
    }
    int64_t drift = (int64_t)(world.guest_ns - guest) - (int64_t)(world.wall_ns - wall);
    ck_assert_msg(llabs(drift) < (int64_t)(150 * MS), "load %u %%, %u ns: drift %lld ms in 10 s", loads[_i / 4],
                  speeds[_i % 4], (long long)(drift / (int64_t)MS));
}
END_TEST

/* An idle guest costs next to nothing. */
START_TEST(idle_guest_sleeps)
{
    struct world world;

    world_open(&world, 1, 5);
    while (world.wall_ns < 5000 * MS) {
        world_step(&world);
    }
    ck_assert_uint_gt(world.slept_ns, 4500 * MS);
    ck_assert_uint_lt(world.steps, 5 * 1200);
}
END_TEST

/* After the host stood still the guest does not jump, but catches up. */
START_TEST(stall_is_caught_up_gently)
{
    struct world world;

    world_open(&world, 10, 5);
    while (world.wall_ns < 2000 * MS) {
        world_step(&world);
    }
    world.wall_ns += 2000 * MS;
    uint64_t guest = world.guest_ns, wall = world.wall_ns;
    world_step(&world);
    ck_assert_uint_lt(world.guest_ns - guest, 50 * MS);
    while (world.wall_ns < wall + 15000 * MS) {
        world_step(&world);
    }
    ck_assert_uint_gt(world.guest_ns - guest, 14800 * MS);
}
END_TEST

/* A host that was slow for a while (busy elsewhere, or the guest moved data by REP INS) is believed to be fast again. The guest
 * may not be kept at a crawl: slices grow short with the belief, and short slices once were not measured at all. */
START_TEST(slow_phase_is_forgotten)
{
    struct world world;

    world_open(&world, 100, 400);
    while (world.wall_ns < 8000 * MS) {
        world_step(&world);
    }
    ck_assert_uint_gt(world.pacer.ratio_q16, 100 * 65536);
    world.host_ns_per_insn_q16 = 2 * 65536;
    while (world.wall_ns < 12000 * MS) {
        world_step(&world);
    }
    ck_assert_msg(world.pacer.ratio_q16 < 6 * 65536, "still %.1f ns per instruction on a host of 2",
                  (double)world.pacer.ratio_q16 / 65536);
}
END_TEST

/* A guest that wakes every 40 ms costs a wake-up each; a key in between finds it at the wall clock's time. */
START_TEST(halting_guest_sleeps_to_its_next_event)
{
    struct pacer pacer;
    uint64_t wall = 77, guest = 0, event = 40 * MS;
    unsigned sleeps = 0;

    pacer_init(&pacer, false, 0);
    while (wall < 2000 * MS) {
        struct pacer_step step = pacer_next(&pacer, wall, guest, guest < event ? event : 0);
        if (step.runs) {
            ck_assert_uint_ge(step.until_ns, guest);
            guest = step.until_ns;
            event += guest >= event ? 40 * MS : 0;
            wall += 1000;
            continue;
        }
        sleeps++;
        wall += sleeps % 7 == 3 ? step.sleep_ns / 2 : step.sleep_ns; /* a key now and then */
        step = pacer_catch_up(&pacer, wall, guest);
        if (step.runs) {
            ck_assert_uint_le(step.until_ns, wall - 77);
            guest = step.until_ns;
            ck_assert_uint_ge(guest + 5 * MS, wall);
            event += guest >= event ? 40 * MS : 0;
        }
    }
    ck_assert_uint_le(sleeps, 2000 / 40 * 5 / 4);
    ck_assert_uint_ge(guest + 5 * MS, wall);
    ck_assert_uint_ge(wall + 5 * MS, guest);
}
END_TEST

START_TEST(virtual_time_never_sleeps_nor_changes)
{
    struct pacer pacer;

    pacer_init(&pacer, true, 0);
    ck_assert_uint_eq(pacer.ratio_q16, 65536);
    for (uint64_t n = 0; n < 1000; n++) {
        struct pacer_step step = pacer_next(&pacer, n * 7 * MS, n * 500 * MS, 0);
        ck_assert(step.runs && !step.sets_ratio);
        pacer_ran(&pacer, 100 * MS, 1000000);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pacer");
    TCase *tests = tcase_create("pacer");

    tcase_add_loop_test(tests, guest_follows_the_wall_clock, 0, 16);
    tcase_add_test(tests, idle_guest_sleeps);
    tcase_add_test(tests, stall_is_caught_up_gently);
    tcase_add_test(tests, slow_phase_is_forgotten);
    tcase_add_test(tests, halting_guest_sleeps_to_its_next_event);
    tcase_add_test(tests, virtual_time_never_sleeps_nor_changes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
