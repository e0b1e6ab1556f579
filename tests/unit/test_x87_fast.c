/* test_x87_fast.c - the written-out x87 arithmetic (cpu/x87_fast.c) against the general one (cpu/float80.c): where it takes a
 * case, result, PE and C1 must be the same; and it must take the usual cases, or it is of no use. */
#include "cpu/x87.h"

#include <check.h>
#include <stdlib.h>

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);
static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}
static unsigned below(unsigned n) { return (unsigned)((random64() >> 33) % n); }

/* Near 1, near the limits, anything; with few bits set at times, so that ties and exact results happen. */
static struct float80 operand(void)
{
    static const unsigned ends[] = { 0, 1, 2, 0x7ffd, 0x7ffe, 0x7fff };
    unsigned exp = below(4) ? 0x3fff - 40 + below(80) : below(2) ? ends[below(6)] : below(0x8000);
    uint64_t mantissa = random64();

    switch (below(4)) {
    case 0:
        mantissa &= ~UINT64_C(0) << below(64);
        break;
    case 1:
        mantissa |= ~UINT64_C(0) >> below(64);
        break;
    default:
        break;
    }
    if (below(16)) {
        mantissa |= UINT64_C(1) << 63;
    }
    return (struct float80){ mantissa, (uint16_t)(exp | (below(2) ? 0x8000 : 0)) };
}

typedef bool fast_fn(struct cpu *cpu, unsigned dest, struct float80 a, struct float80 b);
typedef struct float80 general_fn(struct fpu_env *env, struct float80 a, struct float80 b);

START_TEST(same_bits)
{
    static const struct { fast_fn *fast; general_fn *general; } pairs[] = {
        { x87_fast_add, f80_add }, { x87_fast_multiply, f80_mul }, { x87_fast_divide, f80_div }
    };
    static const uint16_t controls[] = { 0x37f, 0x37f, 0x37f, 0x27f, 0x07f, 0x77f, 0xb7f, 0xf7f, 0x35f, 0x340 };
    struct cpu *cpu = calloc(1, sizeof *cpu);
    unsigned taken = 0, tries = 0;

    ck_assert_ptr_nonnull(cpu);
    for (unsigned n = 0; n < 300000; n++) {
        struct float80 a = operand(), b = operand();
        struct fpu_env env = FPU_ENV_INIT(controls[below(10)]);
        cpu->fpu.control = env.control;
        cpu->fpu.status = (uint16_t)(random64() & (X87_CODES | FPU_IE));
        cpu->fpu.mantissa[3] = 1;
        unsigned status = cpu->fpu.status;
        tries += env.control == 0x37f || env.control == 0x27f;
        if (!pairs[_i].fast(cpu, 3, a, b)) {
            ck_assert_uint_eq(cpu->fpu.mantissa[3], 1);
            ck_assert_uint_eq(cpu->fpu.status, status);
            continue;
        }
        taken++;
        struct float80 result = pairs[_i].general(&env, a, b);
        ck_assert_uint_eq(cpu->fpu.mantissa[3], result.mantissa);
        ck_assert_uint_eq(cpu->fpu.sign_exp[3], result.sign_exp);
        ck_assert_uint_eq(cpu->fpu.status, (status & ~(unsigned)X87_C1) | env.exceptions | (env.rounded_up ? X87_C1 : 0));
    }
    ck_assert_uint_gt(taken, tries / 2);
    free(cpu);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("x87_fast");
    TCase *tcase = tcase_create("arithmetic");

    tcase_set_timeout(tcase, 0);
    tcase_add_loop_test(tcase, same_bits, 0, 3);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
