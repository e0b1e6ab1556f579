/* test_float_ieee.c - SSE arithmetic on any host: fixed results of every rounding mode and exception, the host's float unit
 * against the integer code, the error bound of the approximations, and the constants of AES and CRC32.
 *
 * tests/insn/test_sse.c compares the same code with a processor, where the host is one. */
#include "cpu/float_ieee.h"
#include "cpu/sse_tables.h"

#include <check.h>
#include <math.h>

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);
static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

enum { ADD, SUB, MUL, DIV, SQRT, MIN, MAX };
enum { NEAREST = 0x1f80, DOWN = 0x3f80, UP = 0x5f80, ZERO = 0x7f80, SET_DAZ = 0x40, SET_FTZ = 0x8000 };
#define QNAN UINT64_C(0xfff8000000000000)
#define INF UINT64_C(0x7ff0000000000000)
#define ONE UINT64_C(0x3ff0000000000000)
#define TINY UINT64_C(0x0010000000000000) /* smallest normal */

/* binary64: operation, MXCSR, operands, result, flags. SDM vol. 1, 4.8.4, 4.9, tables 4-7, 11-1. */
static const struct {
    unsigned operation;
    int mxcsr;
    uint64_t a, b, result;
    uint32_t flags;
} rows[] = {
    { ADD, NEAREST, ONE, ONE, 0x4000000000000000, 0 },
    { ADD, NEAREST, ONE, 0x3ca0000000000000, ONE, IEEE_PE }, /* a tie goes to even */
    { ADD, UP, ONE, 1, 0x3ff0000000000001, IEEE_DE | IEEE_PE },
    { ADD, DOWN, ONE, 1, ONE, IEEE_DE | IEEE_PE },
    { SUB, ZERO, ONE, 1, 0x3fefffffffffffff, IEEE_DE | IEEE_PE },
    { SUB, NEAREST, ONE, ONE, 0, 0 },
    { SUB, DOWN, ONE, ONE, 0x8000000000000000, 0 },
    { SUB, NEAREST, INF, INF, QNAN, IEEE_IE },
    { ADD, NEAREST, INF, 1, INF, IEEE_DE },
    { ADD, NEAREST, 0x7ff0000000000001, ONE, 0x7ff8000000000001, IEEE_IE },
    { ADD, NEAREST, ONE, 0xfff8000000000007, 0xfff8000000000007, 0 },
    { ADD, NEAREST, 0x7ff8000000000005, 0x7ff0000000000001, 0x7ff8000000000005, IEEE_IE }, /* the first NaN */
    { ADD, NEAREST, 0x7ff8000000000005, 1, 0x7ff8000000000005, 0 },                        /* a NaN hides DE */
    { ADD, NEAREST | SET_DAZ, 1, 1, 0, 0 },
    { MUL, NEAREST, 0x7fefffffffffffff, 0x7fefffffffffffff, INF, IEEE_OE | IEEE_PE },
    { MUL, ZERO, 0x7fefffffffffffff, 0xffefffffffffffff, 0xffefffffffffffff, IEEE_OE | IEEE_PE },
    { MUL, NEAREST, 0, INF, QNAN, IEEE_IE },
    { MUL, NEAREST, TINY, 0x3fe0000000000000, 0x0008000000000000, 0 },       /* tiny but exact */
    { MUL, NEAREST, TINY, 0x3fd5555555555555, 0x0005555555555555, IEEE_UE | IEEE_PE },
    { MUL, NEAREST | SET_FTZ, TINY, 0x3fe0000000000000, 0, IEEE_UE | IEEE_PE },
    { MUL, NEAREST, 0x001fffffffffffff, 0x3fe0000000000000, TINY, IEEE_UE | IEEE_PE }, /* tiny before this rounding only */
    { MUL, NEAREST, 0x3fefffffffffffff, 0x0010000000000001, TINY, IEEE_PE }, /* not tiny with an unbounded exponent */
    { DIV, NEAREST, ONE, 0, INF, IEEE_ZE },
    { DIV, NEAREST, 1, 0x8000000000000000, 0xfff0000000000000, IEEE_ZE }, /* ZE goes before DE */
    { DIV, NEAREST, 0, 0, QNAN, IEEE_IE },
    { DIV, UP, ONE, 0x4008000000000000, 0x3fd5555555555556, IEEE_PE },
    { DIV, DOWN, ONE, 0x4008000000000000, 0x3fd5555555555555, IEEE_PE },
    { SQRT, NEAREST, 0, 0x4000000000000000, 0x3ff6a09e667f3bcd, IEEE_PE },
    { SQRT, ZERO, 0, 0x4000000000000000, 0x3ff6a09e667f3bcc, IEEE_PE },
    { SQRT, NEAREST, 0, 0x4022000000000000, 0x4008000000000000, 0 },
    { SQRT, NEAREST, 0, 0x8000000000000000, 0x8000000000000000, 0 },
    { SQRT, NEAREST, 0, 0xbff0000000000000, QNAN, IEEE_IE },
    { MIN, NEAREST, ONE, 0x7ff8000000000001, 0x7ff8000000000001, IEEE_IE }, /* the second operand, as it is */
    { MIN, NEAREST, 0x7ff0000000000001, ONE, ONE, IEEE_IE },
    { MAX, NEAREST, 0, 0x8000000000000000, 0x8000000000000000, 0 },
};

static uint64_t compute(unsigned operation, struct ieee_env *env, uint64_t a, uint64_t b)
{
    switch (operation) {
    case ADD:
        return f64_add(env, a, b);
    case SUB:
        return f64_sub(env, a, b);
    case MUL:
        return f64_mul(env, a, b);
    case DIV:
        return f64_div(env, a, b);
    case SQRT:
        return f64_sqrt(env, b);
    case MIN:
        return f64_min(env, a, b);
    default:
        return f64_max(env, a, b);
    }
}

START_TEST(fixed_results)
{
    struct ieee_env env = { (uint32_t)rows[_i].mxcsr, 0 };
    uint64_t result = compute(rows[_i].operation, &env, rows[_i].a, rows[_i].b);

    ck_assert_msg(result == rows[_i].result, "row %d: result %016llx", _i, (unsigned long long)result);
    ck_assert_msg(env.flags == rows[_i].flags, "row %d: flags %02x", _i, (unsigned)env.flags);
}
END_TEST

START_TEST(conversions)
{
    struct ieee_env env = { NEAREST, 0 };

    ck_assert_uint_eq(f64_to_i32(&env, 0x4004000000000000, IEEE_NEAREST), 2); /* 2.5 */
    ck_assert_uint_eq(env.flags, IEEE_PE);
    ck_assert_uint_eq(f64_to_i32(&env, 0xc004000000000000, IEEE_DOWN), (uint32_t)-3);
    env.flags = 0;
    ck_assert_uint_eq(f64_to_i32(&env, 0x41e0000000000000, IEEE_NEAREST), 0x80000000u); /* 2^31 */
    ck_assert_uint_eq(env.flags, IEEE_IE);
    env.flags = 0;
    ck_assert_uint_eq(f64_to_i32(&env, 0xc1e0000000000000, IEEE_NEAREST), 0x80000000u); /* -2^31 fits */
    ck_assert_uint_eq(env.flags, 0);
    ck_assert_uint_eq(f64_to_i64(&env, 0xc3e0000000000000, IEEE_NEAREST), UINT64_C(1) << 63);
    ck_assert_uint_eq(env.flags, 0);
    ck_assert_uint_eq(f64_to_f32(&env, 0x36a0000000000000), 1); /* the smallest denormal */
    ck_assert_uint_eq(env.flags, 0);
    ck_assert_uint_eq(f64_to_f32(&env, 0x3690000000000000), 0); /* half of it */
    ck_assert_uint_eq(env.flags, IEEE_UE | IEEE_PE);
    env.flags = 0;
    ck_assert_uint_eq(f32_to_f64(&env, 1), 0x36a0000000000000);
    ck_assert_uint_eq(env.flags, IEEE_DE);
    env.flags = 0;
    ck_assert_uint_eq(f32_to_f64(&env, 0xff800001), 0xfff8000020000000);
    ck_assert_uint_eq(env.flags, IEEE_IE);
    env.flags = 0;
    ck_assert_uint_eq(f32_from_i64(&env, 0x1000001), 0x4b800000);
    ck_assert_uint_eq(env.flags, IEEE_PE);
    ck_assert_uint_eq(f64_from_i64(&env, INT64_MIN), 0xc3e0000000000000);
    env.flags = 0;
    ck_assert_uint_eq(f64_round(&env, 0xbfe0000000000000, IEEE_UP, true), 0x8000000000000000); /* -0.5 */
    ck_assert_uint_eq(env.flags, 0);
    ck_assert_uint_eq(f32_round(&env, 0x3fc00000, IEEE_NEAREST, false), 0x40000000); /* 1.5 */
    ck_assert_uint_eq(env.flags, IEEE_PE);
}
END_TEST

/* The rule that lets the host compute: it must never show. */
START_TEST(host_and_integers_agree)
{
    for (unsigned n = 0; n < 60000; n++) {
        uint64_t a = random64(), b = random64();
        if (n & 1) { /* near each other, and products near the limits */
            b = (a & ~(UINT64_C(0xff) << 52)) | (b & UINT64_C(0xff) << 52) | (b & 0xfffff);
        }
        struct ieee_env fast = { NEAREST | IEEE_PE, 0 }, slow = fast;
        ck_assert(!IEEE_HOST || ieee_is_settled(fast.mxcsr));
#define AGREE(bits, name)                                                                                              \
    ck_assert_uint_eq(f##bits##_##name(&fast, (uint##bits##_t)a, (uint##bits##_t)b),                                   \
                      f##bits##_##name##_exact(&slow, (uint##bits##_t)a, (uint##bits##_t)b))
        AGREE(64, add);
        AGREE(64, sub);
        AGREE(64, mul);
        AGREE(64, div);
        AGREE(32, add);
        AGREE(32, sub);
        AGREE(32, mul);
        AGREE(32, div);
        /* PE is set in MXCSR and may be left out. */
        ck_assert_uint_eq(fast.flags | IEEE_PE, slow.flags | IEEE_PE);
    }
}
END_TEST

static double value_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
}

/* SDM vol. 2, RCPPS and RSQRTPS: relative error at most 1.5 * 2^-12. */
START_TEST(approximations)
{
    const double bound = 1.5 / 4096;

    for (unsigned n = 0; n < 60000; n++) {
        uint32_t a = ((uint32_t)random64() & 0x807fffff) | (1 + (uint32_t)(random64() >> 40) % 251) << 23;
        double x = value_of(a), reciprocal = value_of(f32_reciprocal(a));
        ck_assert_msg(fabs(reciprocal * x - 1) <= bound, "rcp %08x", (unsigned)a);
        a &= 0x7fffffff;
        ck_assert_msg(fabs(value_of(f32_reciprocal_sqrt(a)) * sqrt(value_of(a)) - 1) <= bound, "rsqrt %08x", (unsigned)a);
    }
    ck_assert_uint_eq(f32_reciprocal(0x3f800000), 0x3f800000);
    ck_assert_uint_eq(f32_reciprocal(0x80000001), 0xff800000);
    ck_assert_uint_eq(f32_reciprocal(0xff800000), 0x80000000);
    ck_assert_uint_eq(f32_reciprocal(0x7f7fffff), 0); /* tiny results are zeros */
    ck_assert_uint_eq(f32_reciprocal(0x7f800001), 0x7fc00001);
    ck_assert_uint_eq(f32_reciprocal_sqrt(0x40800000), 0x3f000000);
    ck_assert_uint_eq(f32_reciprocal_sqrt(0xbf800000), 0xffc00000);
    ck_assert_uint_eq(f32_reciprocal_sqrt(0x80000000), 0xff800000);
    ck_assert_uint_eq(f32_reciprocal_sqrt(0x7f800000), 0);
}
END_TEST

/* Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1: FIPS 197, 4.2. */
static unsigned field_multiply(unsigned a, unsigned b)
{
    unsigned product = 0;

    for (; b; b >>= 1) {
        product ^= b & 1 ? a : 0;
        a = a << 1 ^ (a & 0x80 ? 0x11b : 0);
    }
    return product;
}

START_TEST(tables)
{
    for (unsigned x = 0; x < 256; x++) {
        unsigned inverse = 0, substituted = 0x63;
        for (unsigned y = 1; y < 256; y++) {
            inverse = field_multiply(x, y) == 1 ? y : inverse;
        }
        for (unsigned k = 0; k < 5; k++) {
            substituted ^= (inverse << k | inverse >> (8 - k)) & 0xff;
        }
        ck_assert_uint_eq(aes_sbox[x], substituted);
        ck_assert_uint_eq(aes_inverse_sbox[substituted], x);
        ck_assert_uint_eq(aes_mix[x], field_multiply(substituted, 2) | substituted << 8 | substituted << 16 |
                                          field_multiply(substituted, 3) << 24);
        ck_assert_uint_eq(aes_inverse_mix[x], field_multiply(x, 14) | field_multiply(x, 9) << 8 |
                                                  field_multiply(x, 13) << 16 | field_multiply(x, 11) << 24);
        uint32_t crc = x;
        for (unsigned k = 0; k < 8; k++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        }
        ck_assert_uint_eq(crc32c_table[x], crc);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("float_ieee");
    TCase *tcase = tcase_create("arithmetic");

    tcase_set_timeout(tcase, 0);
    tcase_add_loop_test(tcase, fixed_results, 0, (int)(sizeof rows / sizeof *rows));
    tcase_add_test(tcase, conversions);
    tcase_add_test(tcase, host_and_integers_agree);
    tcase_add_test(tcase, approximations);
    tcase_add_test(tcase, tables);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
