/* test_x87_mpfr.c - the x87 transcendental instructions against GNU MPFR, which is used by this test alone: random and hard
 * operands, the four rounding modes, error in units of the last place of the result. SDM vol. 1, 8.3.10: less than 1 ulp.
 *
 * The reference has 1024 bits for reduction and 256 for the result; what MPFR gives exactly is compared exactly.
 * X87_CASES=N in the environment sets the number of operands for each function. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cpu/float80.h"

#include <check.h>
#include <mpfr.h>
#include <stdio.h>
#include <stdlib.h>

enum { PRECISION = 256, FUNCTIONS = 8 };

static uint64_t random_state = UINT64_C(0x243f6a8885a308d3);
static uint64_t random64(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
static unsigned below(unsigned n) { return (unsigned)((random64() >> 32) * n >> 32); }

/* A number of exponent `low` to `high`, often with a significand of few bits or near a power of two. */
static struct float80 random_number(int low, int high)
{
    uint64_t mantissa = random64();

    switch (below(6)) {
    case 0:
        mantissa = 0;
        break;
    case 1:
        mantissa = ~UINT64_C(0) << below(64);
        break;
    case 2:
        mantissa = UINT64_C(1) << below(63);
        break;
    default:
        break;
    }
    int exponent = low + (int)below((unsigned)(high - low + 1));
    return (struct float80){ mantissa | UINT64_C(1) << 63, (uint16_t)((exponent + 16383) | (int)(random64() & 1) << 15) };
}

static void to_mpfr(mpfr_t out, struct float80 a)
{
    int exponent = a.sign_exp & 0x7fff;

    mpfr_set_uj_2exp(out, a.mantissa, (exponent ? exponent : 1) - 16383 - 63, MPFR_RNDN);
    if (a.sign_exp & 0x8000) {
        mpfr_neg(out, out, MPFR_RNDN);
    }
}

/* Operands next to a multiple of pi/2, where FSIN and its kin need most of pi. */
static struct float80 near_pole(void)
{
    mpfr_t x;
    struct float80 out;

    mpfr_init2(x, 256);
    mpfr_const_pi(x, MPFR_RNDN);
    mpfr_mul_2si(x, x, -1, MPFR_RNDN);
    mpfr_mul_ui(x, x, 1 + (unsigned long)(random64() >> (1 + below(62))), MPFR_RNDN);
    mpfr_prec_round(x, 64, below(2) ? MPFR_RNDU : MPFR_RNDD);
    mpz_t z;
    mpz_init(z);
    long exponent = (long)mpfr_get_z_2exp(z, x);
    out = (struct float80){ (uint64_t)mpz_get_ui(z), (uint16_t)(exponent + 16383 + 63) };
    mpz_clear(z);
    mpfr_clear(x);
    return (out.sign_exp & 0x7fff) < 16383 + 63 ? out : random_number(-4, 4);
}

enum function { TWO_XM1, YL2X, YL2XP1, PATAN, SIN, COS, SINCOS, PTAN };
static const char *const names[FUNCTIONS] = { "f2xm1", "fyl2x", "fyl2xp1", "fpatan", "fsin", "fcos", "fsincos", "fptan" };

static void choose(enum function which, struct float80 *x, struct float80 *y)
{
    *y = random_number(-40, 40);
    switch (which) {
    case TWO_XM1:
        *x = random_number(-70, -1);
        break;
    case YL2X:
        *x = below(3) ? random_number(-100, 100) : random_number(-1, 0); /* near 1 the logarithm is small */
        if (!below(3)) {
            *x = (struct float80){ UINT64_C(1) << 63 | random64() >> (1 + below(63)), 16383 };
        } else if (!below(3)) {
            *x = (struct float80){ ~(random64() >> (1 + below(63))), 16382 };
        }
        x->sign_exp &= 0x7fff;
        break;
    case YL2XP1:
        *x = random_number(-70, -2);
        if (!(x->sign_exp >> 15) && (x->sign_exp & 0x7fff) == 16381) {
            x->mantissa = UINT64_C(1) << 63 | (x->mantissa >> 4 & UINT64_C(0x07ffffffffffffff));
        } else if ((x->sign_exp & 0x7fff) == 16381) {
            x->sign_exp--;
        }
        break;
    case PATAN:
        *x = below(2) ? random_number(-40, 40) : (struct float80){ random64() | UINT64_C(1) << 63, y->sign_exp };
        break;
    default:
        *x = below(3) ? random_number(-70, 62) : near_pole();
        break;
    }
}

static void reference(enum function which, struct float80 x, struct float80 y, mpfr_t out, mpfr_t second)
{
    mpfr_t a, b, c;

    mpfr_inits2(1200, a, b, c, (mpfr_ptr)0);
    to_mpfr(a, x);
    to_mpfr(b, y);
    switch (which) {
    case TWO_XM1:
        mpfr_const_log2(c, MPFR_RNDN);
        mpfr_mul(a, a, c, MPFR_RNDN);
        mpfr_expm1(out, a, MPFR_RNDN);
        break;
    case YL2X:
        mpfr_log2(a, a, MPFR_RNDN);
        mpfr_mul(out, a, b, MPFR_RNDN);
        break;
    case YL2XP1:
        mpfr_log1p(a, a, MPFR_RNDN);
        mpfr_const_log2(c, MPFR_RNDN);
        mpfr_div(a, a, c, MPFR_RNDN);
        mpfr_mul(out, a, b, MPFR_RNDN);
        break;
    case PATAN:
        mpfr_atan2(out, b, a, MPFR_RNDN);
        break;
    case SIN:
        mpfr_sin(out, a, MPFR_RNDN);
        break;
    case COS:
        mpfr_cos(out, a, MPFR_RNDN);
        break;
    case SINCOS:
        mpfr_sin_cos(out, second, a, MPFR_RNDN);
        break;
    case PTAN:
        mpfr_tan(out, a, MPFR_RNDN);
        break;
    }
    mpfr_clears(a, b, c, (mpfr_ptr)0);
}

static struct float80 compute(enum function which, struct fpu_env *env, struct float80 x, struct float80 y, struct float80 *second)
{
    struct float80 out = { 0, 0 };

    switch (which) {
    case TWO_XM1:
        return f80_2xm1(env, x);
    case YL2X:
        return f80_yl2x(env, y, x);
    case YL2XP1:
        return f80_yl2xp1(env, y, x);
    case PATAN:
        return f80_patan(env, y, x);
    case SIN:
        ck_assert(f80_sin(env, x, &out));
        break;
    case COS:
        ck_assert(f80_cos(env, x, &out));
        break;
    case SINCOS:
        ck_assert(f80_sincos(env, x, &out, second));
        break;
    case PTAN:
        ck_assert(f80_ptan(env, x, &out, second));
        break;
    }
    return out;
}

/* Distance from the true value in units of the result's last place; with `is_right` whether it is the correctly rounded one. */
static double error_ulps(struct float80 result, const mpfr_t truth, unsigned rounding, bool *is_right)
{
    static const mpfr_rnd_t modes[4] = { MPFR_RNDN, MPFR_RNDD, MPFR_RNDU, MPFR_RNDZ };
    int exponent = result.sign_exp & 0x7fff;
    mpfr_t r, rounded;

    mpfr_inits2(PRECISION, r, rounded, (mpfr_ptr)0);
    to_mpfr(r, result);
    mpfr_set(rounded, truth, MPFR_RNDN);
    mpfr_prec_round(rounded, 64, modes[rounding]);
    *is_right = mpfr_equal_p(rounded, r) != 0;
    mpfr_sub(r, r, truth, MPFR_RNDN);
    mpfr_mul_2si(r, r, -((exponent ? exponent : 1) - 16383 - 63), MPFR_RNDN);
    double ulps = mpfr_get_d(r, MPFR_RNDA);
    mpfr_clears(r, rounded, (mpfr_ptr)0);
    return ulps < 0 ? -ulps : ulps;
}

START_TEST(within_one_ulp)
{
    enum function which = (enum function)_i;
    const char *setting = getenv("X87_CASES");
    unsigned long cases = setting ? strtoul(setting, NULL, 0) : 3000, wrong = 0;
    double worst = 0;
    mpfr_t truth, second_truth;

    mpfr_inits2(PRECISION, truth, second_truth, (mpfr_ptr)0);
    for (unsigned long n = 0; n < cases; n++) {
        struct float80 x, y, second = { 0, 0 };
        unsigned rounding = (unsigned)n & 3;
        bool is_right;
        choose(which, &x, &y);
        struct fpu_env env = FPU_ENV_INIT((uint16_t)(0x33f | 0x40 | rounding << 10));
        struct float80 result = compute(which, &env, x, y, &second);
        reference(which, x, y, truth, second_truth);
        double ulps = error_ulps(result, truth, rounding, &is_right);
        wrong += !is_right;
        if (which == SINCOS) {
            double other = error_ulps(second, second_truth, rounding, &is_right);
            wrong += !is_right;
            ulps = other > ulps ? other : ulps;
        }
        worst = ulps > worst ? ulps : worst;
        ck_assert_msg(ulps <= 1, "%s of %04x.%016llx, %04x.%016llx: %04x.%016llx is %g ulp off, rounding %u", names[which], x.sign_exp,
                      (unsigned long long)x.mantissa, y.sign_exp, (unsigned long long)y.mantissa, result.sign_exp,
                      (unsigned long long)result.mantissa, ulps, rounding);
    }
    printf("%-8s %lu operands, at most %.6f ulp, %lu not correctly rounded\n", names[which], cases, worst, wrong);
    fflush(stdout);
    ck_assert_uint_eq(wrong, 0);
    mpfr_clears(truth, second_truth, (mpfr_ptr)0);
    mpfr_free_cache();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("x87_mpfr");
    TCase *tcase = tcase_create("functions");
    tcase_set_timeout(tcase, 36000);
    tcase_add_loop_test(tcase, within_one_ulp, 0, FUNCTIONS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
