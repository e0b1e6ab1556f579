/* float80_trans.c - the x87 transcendental instructions, with 128-bit significands inside.
 *
 * Documents: Intel SDM vol. 1, 8.3.5 to 8.3.10; vol. 2A: F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN,
 * FSIN, FCOS, FSINCOS, with their tables of special operands; vol. 1, appendix D.
 *
 * Method: every function is reduced to x * P(z), where P is a power series evaluated in 128-bit
 * fixed point and x is known to 128 bits, so the relative error before the one final rounding is
 * below 2^-120: by estimate the
 * correctly rounded result but for one operand in some 2^56, in every
 * rounding mode, and the same on every host.
 *
 * Choices:
 *  - FSIN, FCOS, FSINCOS, FPTAN reduce with 320 bits of 2/pi, ample for all |x| < 2^63.
 * The hardware measured (AMD EPYC) has about 66 bits of pi, so near multiples of pi and for large
 * operands its results differ (they are the worse ones).
 *  - Operands for which the manual leaves the result undefined: F2XM1 outside -1 to 1 returns its
 * operand; FYL2XP1 at and below -1 goes on as FYL2X does at and below 0, above its range it is
 * computed all the same. */
#include "cpu/float80.h"

#include "cpu/float80_internal.h"

#include <stddef.h>

/* The tables were computed with mpmath, at 1200 bits, and rounded to nearest. */

/* clang-format off */

/* 1 / n!, in units of 2^-127. */
static const struct u128 inverse_factorial[] = {
    { UINT64_C(0x8000000000000000), UINT64_C(0x0000000000000000) }, /* 0 */
    { UINT64_C(0x8000000000000000), UINT64_C(0x0000000000000000) }, /* 1 */
    { UINT64_C(0x4000000000000000), UINT64_C(0x0000000000000000) }, /* 2 */
    { UINT64_C(0x1555555555555555), UINT64_C(0x5555555555555555) }, /* 3 */
    { UINT64_C(0x0555555555555555), UINT64_C(0x5555555555555555) }, /* 4 */
    { UINT64_C(0x0111111111111111), UINT64_C(0x1111111111111111) }, /* 5 */
    { UINT64_C(0x002d82d82d82d82d), UINT64_C(0x82d82d82d82d82d8) }, /* 6 */
    { UINT64_C(0x0006806806806806), UINT64_C(0x8068068068068068) }, /* 7 */
    { UINT64_C(0x0000d00d00d00d00), UINT64_C(0xd00d00d00d00d00d) }, /* 8 */
    { UINT64_C(0x0000171de3a556c7), UINT64_C(0x338faac1c88e5001) }, /* 9 */
    { UINT64_C(0x0000024fc9f6ef13), UINT64_C(0xeb8e5de02da7d4cd) }, /* 10 */
    { UINT64_C(0x00000035cc8acfea), UINT64_C(0x89c71fce8fc97070) }, /* 11 */
    { UINT64_C(0x000000047bb63bfe), UINT64_C(0x3625ed5136a61eb4) }, /* 12 */
    { UINT64_C(0x000000005849184e), UINT64_C(0xa1b425f28e0cc749) }, /* 13 */
    { UINT64_C(0x00000000064e5d2a), UINT64_C(0x301f27482eb7c517) }, /* 14 */
    { UINT64_C(0x00000000006b9fcf), UINT64_C(0x9ccee07c476195ac) }, /* 15 */
    { UINT64_C(0x000000000006b9fc), UINT64_C(0xf9ccee07c476195b) }, /* 16 */
    { UINT64_C(0x000000000000654b), UINT64_C(0x1dc0c2b529ac9814) }, /* 17 */
    { UINT64_C(0x00000000000005a0), UINT64_C(0x9e18ee5f65deec01) }, /* 18 */
    { UINT64_C(0x000000000000004b), UINT64_C(0xd26d1a05055c9328) }, /* 19 */
    { UINT64_C(0x0000000000000003), UINT64_C(0xca8574804044a0f5) }, /* 20 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x2e371dedb9eae318) }, /* 21 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x0219c72db6ff0a53) }, /* 22 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x001761b41316381a) }, /* 23 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x0000f96780cb97ac) }, /* 24 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x000009f9e66e8b30) }, /* 25 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x000000623a17f1a9) }, /* 26 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x00000003a356385c) }, /* 27 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x000000002143144c) }, /* 28 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x0000000001259f99) }, /* 29 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x000000000009c996) }, /* 30 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x00000000000050d3) }, /* 31 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000287) }, /* 32 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000014) }, /* 33 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000001) }, /* 34 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000) }, /* 35 */
    { UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000) }, /* 36 */
};

/* 1 / (2n + 1), in units of 2^-127. */
static const struct u128 inverse_odd[] = {
    { UINT64_C(0x8000000000000000), UINT64_C(0x0000000000000000) }, /* 1 */
    { UINT64_C(0x2aaaaaaaaaaaaaaa), UINT64_C(0xaaaaaaaaaaaaaaab) }, /* 3 */
    { UINT64_C(0x1999999999999999), UINT64_C(0x999999999999999a) }, /* 5 */
    { UINT64_C(0x1249249249249249), UINT64_C(0x2492492492492492) }, /* 7 */
    { UINT64_C(0x0e38e38e38e38e38), UINT64_C(0xe38e38e38e38e38e) }, /* 9 */
    { UINT64_C(0x0ba2e8ba2e8ba2e8), UINT64_C(0xba2e8ba2e8ba2e8c) }, /* 11 */
    { UINT64_C(0x09d89d89d89d89d8), UINT64_C(0x9d89d89d89d89d8a) }, /* 13 */
    { UINT64_C(0x0888888888888888), UINT64_C(0x8888888888888889) }, /* 15 */
    { UINT64_C(0x0787878787878787), UINT64_C(0x8787878787878788) }, /* 17 */
    { UINT64_C(0x06bca1af286bca1a), UINT64_C(0xf286bca1af286bca) }, /* 19 */
    { UINT64_C(0x0618618618618618), UINT64_C(0x6186186186186186) }, /* 21 */
    { UINT64_C(0x0590b21642c8590b), UINT64_C(0x21642c8590b21643) }, /* 23 */
    { UINT64_C(0x051eb851eb851eb8), UINT64_C(0x51eb851eb851eb85) }, /* 25 */
    { UINT64_C(0x04bda12f684bda12), UINT64_C(0xf684bda12f684bda) }, /* 27 */
    { UINT64_C(0x0469ee58469ee584), UINT64_C(0x69ee58469ee5846a) }, /* 29 */
    { UINT64_C(0x0421084210842108), UINT64_C(0x4210842108421084) }, /* 31 */
    { UINT64_C(0x03e0f83e0f83e0f8), UINT64_C(0x3e0f83e0f83e0f84) }, /* 33 */
    { UINT64_C(0x03a83a83a83a83a8), UINT64_C(0x3a83a83a83a83a84) }, /* 35 */
    { UINT64_C(0x03759f22983759f2), UINT64_C(0x2983759f2298375a) }, /* 37 */
    { UINT64_C(0x0348348348348348), UINT64_C(0x3483483483483483) }, /* 39 */
    { UINT64_C(0x031f3831f3831f38), UINT64_C(0x31f3831f3831f383) }, /* 41 */
    { UINT64_C(0x02fa0be82fa0be82), UINT64_C(0xfa0be82fa0be82fa) }, /* 43 */
    { UINT64_C(0x02d82d82d82d82d8), UINT64_C(0x2d82d82d82d82d83) }, /* 45 */
    { UINT64_C(0x02b9310572620ae4), UINT64_C(0xc415c9882b931057) }, /* 47 */
    { UINT64_C(0x029cbc14e5e0a72f), UINT64_C(0x05397829cbc14e5e) }, /* 49 */
    { UINT64_C(0x0282828282828282), UINT64_C(0x8282828282828283) }, /* 51 */
    { UINT64_C(0x026a439f656f1826), UINT64_C(0xa439f656f1826a44) }, /* 53 */
    { UINT64_C(0x0253c8253c8253c8), UINT64_C(0x253c8253c8253c82) }, /* 55 */
};

/* atan(n / 32), in units of 2^-127. */
static const struct u128 arc_tangent[] = {
    { UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000) }, /* 0 */
    { UINT64_C(0x03ffaab7752ec495), UINT64_C(0x09de75ddb76a3188) }, /* 1 */
    { UINT64_C(0x07fd56edcb3f7a71), UINT64_C(0xb6593c96e071706b) }, /* 2 */
    { UINT64_C(0x0bf70c1301788746), UINT64_C(0x093567e784cf8367) }, /* 3 */
    { UINT64_C(0x0feadd4d5617b6e3), UINT64_C(0x2c897989f3e888ef) }, /* 4 */
    { UINT64_C(0x13d6eee8c6626c58), UINT64_C(0x68ec33a4a06c1fd1) }, /* 5 */
    { UINT64_C(0x17b97b4bce5b0226), UINT64_C(0x8f6169f103938e91) }, /* 6 */
    { UINT64_C(0x1b90d7529260a204), UINT64_C(0x5ec434b8396aa5e0) }, /* 7 */
    { UINT64_C(0x1f5b75f92c80dd62), UINT64_C(0xadb8f3debef442fd) }, /* 8 */
    { UINT64_C(0x2317eb4617e2f04c), UINT64_C(0x3291d22c6fe20a63) }, /* 9 */
    { UINT64_C(0x26c4ee6e0fd7979a), UINT64_C(0x716aed26349ebcca) }, /* 10 */
    { UINT64_C(0x2a615b32a39a93b6), UINT64_C(0xa66dfddefdf67a30) }, /* 11 */
    { UINT64_C(0x2dec3283c9bde11c), UINT64_C(0xe2a8c848b73f9121) }, /* 12 */
    { UINT64_C(0x31649a7294364adb), UINT64_C(0x685d1ba47d428a37) }, /* 13 */
    { UINT64_C(0x34c9dd879847f96d), UINT64_C(0x909f257a40079c4e) }, /* 14 */
    { UINT64_C(0x381b69929d93df19), UINT64_C(0xf18c7b659e632e01) }, /* 15 */
    { UINT64_C(0x3b58ce0ac3769ed1), UINT64_C(0x5bf9117b2f0ea341) }, /* 16 */
    { UINT64_C(0x3e81ba16a8282f97), UINT64_C(0x19b48f1f57723b31) }, /* 17 */
    { UINT64_C(0x4195fa536cc33f15), UINT64_C(0x25b504e5b0d28ae0) }, /* 18 */
    { UINT64_C(0x4495766fef4aa3da), UINT64_C(0x84a23c7e2395a57e) }, /* 19 */
    { UINT64_C(0x47802eaf7bfacfcd), UINT64_C(0xae41af0b32e21ba4) }, /* 20 */
    { UINT64_C(0x4a563964c238c37b), UINT64_C(0x0c6279c9fbc5197c) }, /* 21 */
    { UINT64_C(0x4d17c07338deed10), UINT64_C(0x21137c711027f9de) }, /* 22 */
    { UINT64_C(0x4fc4fee27a5bd0f6), UINT64_C(0x7c5a4932278380f0) }, /* 23 */
    { UINT64_C(0x525e3e8c9a7b8492), UINT64_C(0x0cd43f9522bed64f) }, /* 24 */
    { UINT64_C(0x54e3d5ee24187ae4), UINT64_C(0x48b5425adf3c99fb) }, /* 25 */
    { UINT64_C(0x5756261c5a6c6040), UINT64_C(0x0a392f179f290385) }, /* 26 */
    { UINT64_C(0x59b598e48f821b48), UINT64_C(0xac80a0ba22317c9d) }, /* 27 */
    { UINT64_C(0x5c029f15e118cf39), UINT64_C(0xe596d2a90852221f) }, /* 28 */
    { UINT64_C(0x5e3daef574c57940), UINT64_C(0x6a0898037407d948) }, /* 29 */
    { UINT64_C(0x606742dc56293320), UINT64_C(0x44eeb16237497d12) }, /* 30 */
    { UINT64_C(0x627fd7fd5fc7deaa), UINT64_C(0x465a1e885e4f0111) }, /* 31 */
    { UINT64_C(0x6487ed5110b4611a), UINT64_C(0x62633145c06e0e69) }, /* 32 */
};

/* 2 / pi, 320 bits, the most significant first. */
static const uint64_t two_over_pi[5] = {
    UINT64_C(0xa2f9836e4e441529), UINT64_C(0xfc2757d1f534ddc0),
    UINT64_C(0xdb6295993c439041), UINT64_C(0xfe5163abdebbc561),
    UINT64_C(0xb7246e3a424dd2e0),
};

/* clang-format on */

static const struct wide pi = { false, 0x4000, UINT64_C(0xc90fdaa22168c234),
                                UINT64_C(0xc4c6628b80dc1cd1) };
static const struct wide half_pi = { false, 0x3fff, UINT64_C(0xc90fdaa22168c234),
                                     UINT64_C(0xc4c6628b80dc1cd1) };
static const struct wide ln_2 = { false, 0x3ffe, UINT64_C(0xb17217f7d1cf79ab),
                                  UINT64_C(0xc9e3b39803f2f6af) };
static const struct wide log2_e = { false, 0x3fff, UINT64_C(0xb8aa3b295c17f0bb),
                                    UINT64_C(0xbe87fed0691d3e89) };
static const struct wide one = { false, F80_BIAS, F80_INTEGER_BIT, 0 };

/* ---- arithmetic on struct wide: results truncated, relative error below 2^-126 ---- */

static struct wide wide_normalise(struct wide a)
{
    if (a.hi == 0) {
        if (a.lo == 0) {
            return a;
        }
        a.hi = a.lo;
        a.lo = 0;
        a.exp -= 64;
    }
    unsigned shift = clz64(a.hi);
    struct u128 bits = shl128((struct u128) { a.hi, a.lo }, shift);

    return (struct wide) { a.sign, a.exp - (int32_t)shift, bits.hi, bits.lo };
}

/* The upper half of the product; drops up to two units of the last place. */
static struct u128 mul128_high(struct u128 a, struct u128 b)
{
    struct u128 high = mul64(a.hi, b.hi);
    struct u128 mid = { 0, mul64(a.hi, b.lo).hi };

    mid = add128(mid, (struct u128) { 0, mul64(a.lo, b.hi).hi });
    return add128(high, mid);
}

static struct wide wide_mul(struct wide a, struct wide b)
{
    /* The middle products in full: a product that fits into 128 bits is exact (FYL2X of powers of
     * two). */
    struct u128 high = mul64(a.hi, b.hi);
    struct u128 mid1 = mul64(a.hi, b.lo), mid2 = mul64(a.lo, b.hi);
    struct u128 low = { 0, mul64(a.lo, b.lo).hi };

    low = add128(low, (struct u128) { 0, mid1.lo });
    low = add128(low, (struct u128) { 0, mid2.lo });
    high = add128(high, (struct u128) { 0, mid1.hi });
    high = add128(high, (struct u128) { 0, mid2.hi });
    high = add128(high, (struct u128) { 0, low.hi });
    struct wide r = { a.sign != b.sign, a.exp + b.exp - F80_BIAS + 1, high.hi, high.lo };

    if (r.hi >> 63 == 0) {
        r.hi = (r.hi << 1) | (r.lo >> 63);
        r.lo = (r.lo << 1) | (low.lo >> 63);
        r.exp--;
    }
    return r;
}

/* One 64-bit digit of n / d, where n = n2:n1:0 < d * 2^64; *n becomes the remainder. */
static uint64_t div_digit(struct u128 *n, struct u128 d)
{
    uint64_t q = ~(uint64_t)0, rest;

    if (n->hi < d.hi) {
        q = div128(n->hi, n->lo, d.hi, &rest);
    }
    /* remainder = n * 2^64 - q * d, in 192 bits; q is at most two too large. */
    struct u128 high = mul64(q, d.hi), low = mul64(q, d.lo);
    uint64_t product0 = low.lo, product1 = high.lo + low.hi,
             product2 = high.hi + (product1 < high.lo);
    uint64_t r0 = 0 - product0;
    struct u128 r21 = sub128(*n, (struct u128) { product2, product1 });

    r21 = sub128(r21, (struct u128) { 0, product0 != 0 });
    while (r21.hi >> 63 != 0) {
        struct u128 r10 = add128((struct u128) { r21.lo, r0 }, d);

        r21.hi += less128(r10, d);
        r21.lo = r10.hi;
        r0 = r10.lo;
        q--;
    }
    *n = (struct u128) { r21.lo, r0 };
    return q;
}

static struct wide wide_div(struct wide a, struct wide b)
{
    struct u128 n = { a.hi, a.lo }, d = { b.hi, b.lo };
    struct wide r = { a.sign != b.sign, a.exp - b.exp + F80_BIAS - 1, 0, 0 };

    if (!less128(n, d)) {
        n = shr128_sticky(n, 1);
        r.exp++;
    }
    r.hi = div_digit(&n, d);
    r.lo = div_digit(&n, d);
    return r;
}

static struct wide wide_add(struct wide a, struct wide b)
{
    if (a.hi == 0 || (b.hi != 0 && (a.exp < b.exp || (a.exp == b.exp && a.hi < b.hi)))) {
        struct wide swap = a;

        a = b;
        b = swap;
    }
    if (b.hi == 0) {
        return a;
    }
    struct u128 x = { a.hi, a.lo };
    struct u128 y = shr128_sticky((struct u128) { b.hi, b.lo }, (uint32_t)(a.exp - b.exp));

    if (a.sign == b.sign) {
        struct u128 sum = add128(x, y);

        if (less128(sum, x)) {
            sum = shr128_sticky(sum, 1);
            sum.hi |= F80_INTEGER_BIT;
            a.exp++;
        }
        return (struct wide) { a.sign, a.exp, sum.hi, sum.lo };
    }
    if (less128(x, y)) { /* only where the upper halves are equal */
        struct u128 swap = x;

        x = y;
        y = swap;
        a.sign = b.sign;
    }
    x = sub128(x, y);
    return wide_normalise((struct wide) { a.sign, a.exp, x.hi, x.lo });
}

static struct wide wide_from_integer(int32_t value)
{
    uint32_t magnitude = value < 0 ? 0 - (uint32_t)value : (uint32_t)value;

    return wide_normalise((struct wide) { value < 0, F80_BIAS + 63, magnitude, 0 });
}

/* A fixed point number in units of 2^-127. */
static struct wide wide_from_fixed(struct u128 a)
{
    return wide_normalise((struct wide) { false, F80_BIAS, a.hi, a.lo });
}

/* |a| < 1 as a fixed point number in units of 2^-128. */
static struct u128 wide_to_fraction(struct wide a)
{
    int32_t shift = F80_BIAS - 1 - a.exp;

    if (a.hi == 0 || shift >= 128) {
        return (struct u128) { 0, 0 };
    }
    return shr128_sticky((struct u128) { a.hi, a.lo }, (uint32_t)shift);
}

static struct wide wide_abs(struct wide a)
{
    a.sign = false;
    return a;
}

static struct wide wide_scaled(struct wide a, int32_t power)
{
    a.exp += power;
    return a;
}

/* The number is known to be irrational: it lies above its truncated bits. */
static struct float80 round_inexact(struct fpu_env *env, struct wide a)
{
    a.lo |= 1;
    return f80_round64(env, a);
}

/* ---- power series ---- */

/* A table and how to walk it: terms first, first + step, ... , last; the signs alternate or not. */
struct series {
    const struct u128 *table;
    unsigned first, step, last;
    bool is_alternating;
};

/* The sum of z^k * table[first + k * step], by Horner's rule, units of 2^-127. The terms must
 * decrease. */
static struct u128 sum_series(const struct series *s, struct u128 z)
{
    struct u128 sum = s->table[s->last];

    for (unsigned n = s->last; n > s->first; n -= s->step) {
        struct u128 term = mul128_high(sum, z);

        sum = s->is_alternating ? sub128(s->table[n - s->step], term)
                                : add128(s->table[n - s->step], term);
    }
    return sum;
}

/* As sum_series, but the sum differs from the first term, 1, by at least `least` units: so that the
 * sum of a series in a tiny z is still on the right side of 1. */
static struct wide sum_around_one(const struct series *s, struct u128 z, uint64_t least)
{
    struct u128 sum = sum_series(s, z);

    if (s->is_alternating) {
        struct u128 limit =
            sub128((struct u128) { F80_INTEGER_BIT, 0 }, (struct u128) { 0, least });

        sum = less128(limit, sum) ? limit : sum;
    } else {
        struct u128 limit = { F80_INTEGER_BIT, least };

        sum = less128(sum, limit) ? limit : sum;
    }
    return wide_from_fixed(sum);
}

static const struct series sine_series = { inverse_factorial, 1, 2, 35, true };
static const struct series cosine_series = { inverse_factorial, 0, 2, 36, true };
static const struct series atan_series = { inverse_odd, 0, 1, 12, true };
static const struct series atanh_series = { inverse_odd, 0, 1, 27, false };

/* ---- exponential and logarithm ---- */

struct float80 f80_2xm1(struct fpu_env *env, struct float80 a)
{
    struct float80 result;

    if (f80_handle_nan(env, a, a, &result)) {
        return result;
    }
    if (f80_is_infinity(a)) {
        return f80_sign(a) ? f80_pack(true, F80_BIAS, F80_INTEGER_BIT) : a;
    }
    if (f80_check_denormal(env, a) || f80_is_zero(a)) {
        return a;
    }
    if (f80_exp(a) >= F80_BIAS) {
        /* 1 and -1 have exact answers, beyond them they are undefined. The hardware (an AMD EPYC)
         * returns the operand there, and reports both as inexact. */
        bool is_minus_one = f80_sign(a) && f80_exp(a) == F80_BIAS && a.mantissa == F80_INTEGER_BIT;

        fpu_raise(env, FPU_PE);
        return is_minus_one ? f80_pack(true, F80_BIAS - 1, F80_INTEGER_BIT) : a;
    }
    /* 2^a - 1 = y * (1 + y/2! + y^2/3! + ...), y = a * ln 2. */
    const struct series series = { inverse_factorial, 1, 1, 32, f80_sign(a) };
    struct wide y = wide_mul(f80_unpack(a), ln_2);

    return round_inexact(env, wide_mul(y, sum_around_one(&series, wide_to_fraction(y), 0)));
}

/* log2 of (1 + s) / (1 - s), |s| at most 0.1716: 2/ln 2 * atanh(s). */
static struct wide log2_ratio(struct wide s)
{
    struct wide sum = sum_around_one(&atanh_series, wide_to_fraction(wide_mul(s, s)), 0);

    return wide_scaled(wide_mul(wide_mul(s, sum), log2_e), 1);
}

/* log2 of a positive number; zero (hi = 0) for 1. Exact for powers of two. */
static struct wide log2_of(struct wide x)
{
    int32_t power = x.exp - F80_BIAS;
    struct wide m = { false, F80_BIAS, x.hi, x.lo };

    if (m.hi >= UINT64_C(0xb504f333f9de6484)) { /* sqrt(2) */
        m.exp--;
        power++;
    }
    struct wide result = wide_from_integer(power);

    if (m.hi == F80_INTEGER_BIT && m.lo == 0) {
        return result;
    }
    struct wide minus_one = { true, F80_BIAS, F80_INTEGER_BIT, 0 };

    return wide_add(result, log2_ratio(wide_div(wide_add(m, minus_one), wide_add(m, one))));
}

/* y times a logarithm, where the logarithm is infinite or zero, or y is infinite or zero. sign: of
 * the logarithm. */
static struct float80 log_special(struct fpu_env *env, struct float80 y, enum f80_class log,
                                  bool log_sign)
{
    bool sign = f80_sign(y) != log_sign;

    if ((f80_is_infinity(y) && log == F80_CLASS_ZERO) ||
        (f80_is_zero(y) && log == F80_CLASS_INFINITY)) {
        return f80_invalid(env);
    }
    if (f80_is_infinity(y) || log == F80_CLASS_INFINITY) {
        return f80_infinity(sign);
    }
    return f80_zero(sign);
}

static struct float80 log_times(struct fpu_env *env, struct float80 y, struct wide log)
{
    struct wide product = wide_mul(f80_unpack(y), log);

    if (log.lo == 0) {
        /* A logarithm of few bits is an integer, so the product is exact. The hardware reports it
         * as inexact anyway. */
        struct float80 result = f80_round64(env, product);

        fpu_raise(env, f80_is_denormal(result) ? FPU_PE | FPU_UE : FPU_PE);
        return result;
    }
    return round_inexact(env, product);
}

static bool is_special(struct float80 a)
{
    return f80_is_zero(a) || f80_is_infinity(a);
}

static bool check_denormals(struct fpu_env *env, struct float80 a, struct float80 b)
{
    return f80_check_denormal(env, f80_is_denormal(a) ? a : b);
}

struct float80 f80_yl2x(struct fpu_env *env, struct float80 y, struct float80 x)
{
    struct float80 result;

    if (f80_handle_nan(env, x, y, &result)) {
        return result;
    }
    if (f80_sign(x) && !f80_is_zero(x)) {
        return f80_invalid(env);
    }
    bool is_one = f80_exp(x) == F80_BIAS && x.mantissa == F80_INTEGER_BIT;

    if (f80_is_zero(x) && !is_special(y)) {
        fpu_raise(env, FPU_ZE);
        return f80_infinity(!f80_sign(y));
    }
    if ((f80_is_infinity(y) && is_one) || (f80_is_zero(y) && is_special(x))) {
        return f80_invalid(env);
    }
    if (check_denormals(env, x, y)) {
        return x;
    }
    if (is_special(x)) {
        return log_special(env, y, F80_CLASS_INFINITY, f80_is_zero(x));
    }
    if (is_special(y) || is_one) {
        return log_special(env, y, is_one ? F80_CLASS_ZERO : F80_CLASS_NORMAL,
                           f80_exp(x) < F80_BIAS);
    }
    return log_times(env, y, log2_of(f80_unpack(x)));
}

/* log2(1 + x), x > -1 and not zero. */
static struct wide log2_plus_one(struct wide x)
{
    if (x.exp < F80_BIAS - 2) {
        return log2_ratio(wide_div(x, wide_add(x, wide_scaled(one, 1))));
    }
    return log2_of(wide_add(x, one));
}

struct float80 f80_yl2xp1(struct fpu_env *env, struct float80 y, struct float80 x)
{
    struct float80 result;

    if (f80_handle_nan(env, x, y, &result)) {
        return result;
    }
    bool is_below = f80_sign(x) && f80_exp(x) >= F80_BIAS;
    bool is_pole = is_below && f80_exp(x) == F80_BIAS && x.mantissa == F80_INTEGER_BIT;

    if (is_below && !is_pole) {
        return f80_invalid(env);
    }
    if (is_pole && !is_special(y)) {
        fpu_raise(env, FPU_ZE);
        return f80_infinity(!f80_sign(y));
    }
    if ((f80_is_infinity(y) && f80_is_zero(x)) ||
        (f80_is_zero(y) && (f80_is_infinity(x) || is_pole))) {
        return f80_invalid(env);
    }
    if (check_denormals(env, x, y)) {
        return x;
    }
    if (is_pole || f80_is_infinity(x)) {
        return log_special(env, y, F80_CLASS_INFINITY, is_pole);
    }
    if (is_special(x) || is_special(y)) {
        return log_special(env, y, f80_classify(x), f80_sign(x));
    }
    return log_times(env, y, log2_plus_one(f80_unpack(x)));
}

/* ---- arc tangent ---- */

/* atan(y / x), 0 < y <= x. */
static struct wide atan_ratio(struct wide y, struct wide x)
{
    unsigned index = 0;

    /* The nearest multiple of 1/32, from 8 bits of the quotient. */
    if (x.exp - y.exp < 7) {
        uint64_t top = y.hi >> 8 >> (unsigned)(x.exp - y.exp);

        index = (unsigned)((top / (x.hi >> 14) + 1) / 2);
    }
    if (index > 0) {
        /* atan(y/x) = atan(c) + atan((y - c x) / (x + c y)), c = index / 32. */
        struct wide c = wide_scaled(wide_from_integer((int32_t)index), -5);
        struct wide cx = wide_mul(c, x), cy = wide_mul(c, y);

        cx.sign = true;
        y = wide_add(y, cx);
        x = wide_add(x, cy);
    }
    struct wide base = wide_from_fixed(arc_tangent[index]);

    if (y.hi == 0) {
        return base;
    }
    struct wide t = wide_div(y, x);
    struct wide sum = sum_around_one(&atan_series, wide_to_fraction(wide_mul(t, t)), 1);

    return index == 0 ? wide_mul(t, sum) : wide_add(base, wide_mul(t, sum));
}

/* The angle of a point with finite coordinates, neither of them zero. */
static struct wide angle_of(struct wide y, struct wide x)
{
    struct wide ay = wide_abs(y), ax = wide_abs(x), angle;
    bool is_steep = ay.exp > ax.exp || (ay.exp == ax.exp && ay.hi > ax.hi);

    if (is_steep) {
        /* pi/2 - atan(x/y), or + where x is negative. */
        angle = atan_ratio(ax, ay);
        angle.sign = !x.sign;
        angle = wide_add(half_pi, angle);
    } else {
        angle = atan_ratio(ay, ax);
        if (x.sign) {
            angle.sign = true;
            angle = wide_add(pi, angle);
        }
    }
    angle.sign = y.sign;
    return angle;
}

/* quarters * pi/4 with a sign. */
static struct float80 angle_constant(struct fpu_env *env, unsigned quarters, bool sign)
{
    struct wide angle = wide_scaled(half_pi, -1);

    if (quarters == 3) {
        angle = wide_add(angle, half_pi);
    } else {
        angle.exp += quarters == 4 ? 2 : quarters == 2 ? 1 : 0;
    }
    angle.sign = sign;
    return round_inexact(env, angle);
}

struct float80 f80_patan(struct fpu_env *env, struct float80 y, struct float80 x)
{
    bool sign = f80_sign(y), is_left = f80_sign(x);
    struct float80 result;

    if (f80_handle_nan(env, x, y, &result)) {
        return result;
    }
    if (check_denormals(env, x, y)) {
        return x;
    }
    if (f80_is_infinity(y)) {
        return angle_constant(env, !f80_is_infinity(x) ? 2 : is_left ? 3 : 1, sign);
    }
    if (f80_is_infinity(x) || f80_is_zero(y)) {
        return is_left ? angle_constant(env, 4, sign) : f80_zero(sign);
    }
    if (f80_is_zero(x)) {
        return angle_constant(env, 2, sign);
    }
    struct wide wy = f80_unpack(y), wx = f80_unpack(x);

    return round_inexact(env, angle_of(wy, wx));
}

/* ---- sine, cosine, tangent ---- */

/* An angle reduced to |r| <= pi/4: the angle's magnitude is r + quadrant * pi/2; sign: of the angle
 * itself. */
struct reduced {
    struct wide r;
    unsigned quadrant;
    bool sign;
};

/* x * 2/pi in limbs, most significant first. The first bit of limb 0 has the weight 2^(x.exp -
 * 3fffh). */
static void mul_two_over_pi(uint64_t mantissa, uint64_t limbs[6])
{
    uint64_t carry = 0;

    for (unsigned i = 5; i-- > 0;) {
        struct u128 product = mul64(mantissa, two_over_pi[i]);

        product = add128(product, (struct u128) { 0, carry });
        limbs[i + 1] = product.lo;
        carry = product.hi;
    }
    limbs[0] = carry;
}

/* The fraction of limbs, at most 1/2, as a floating point number. */
static struct wide fraction_of(const uint64_t limbs[6])
{
    unsigned i = 0;

    while (i < 3 && limbs[i] == 0) {
        i++;
    }
    unsigned shift = limbs[i] == 0 ? 0 : clz64(limbs[i]);
    struct u128 top = shl128((struct u128) { limbs[i], limbs[i + 1] }, shift);

    if (shift != 0) {
        top.lo |= limbs[i + 2] >> (64 - shift);
    }
    return (struct wide) { false, F80_BIAS - 1 - (int32_t)(64 * i + shift), top.hi, top.lo };
}

static struct reduced reduce_angle(struct float80 a)
{
    struct reduced reduced = { f80_unpack(a), 0, f80_sign(a) };
    struct wide x = wide_abs(reduced.r);
    uint64_t limbs[6];

    reduced.r.sign = false;
    if (x.exp < F80_BIAS - 1 || (x.exp == F80_BIAS - 1 && x.hi <= UINT64_C(0xc90fdaa22168c234))) {
        return reduced;
    }
    mul_two_over_pi(x.hi, limbs);
    /* Shift the integer part out: 0 to 63 bits of it. */
    unsigned integer_bits = (unsigned)(x.exp - (F80_BIAS - 1));

    if (integer_bits != 0) {
        reduced.quadrant = (unsigned)(limbs[0] >> (64 - integer_bits)) & 3;
        for (unsigned i = 0; i < 6; i++) {
            uint64_t next = i < 5 ? limbs[i + 1] >> (64 - integer_bits) : 0;

            limbs[i] = limbs[i] << integer_bits | next;
        }
    }
    bool is_negative = limbs[0] >> 63 != 0;

    if (is_negative) {
        /* To the next integer: the fraction becomes negative. (2's complement, but for the last
         * unit.) */
        reduced.quadrant = (reduced.quadrant + 1) & 3;
        for (unsigned i = 0; i < 6; i++) {
            limbs[i] = ~limbs[i];
        }
    }
    reduced.r = wide_mul(fraction_of(limbs), half_pi);
    reduced.r.sign = is_negative;
    return reduced;
}

/* The sine and cosine of r. least keeps them below r and 1; see sum_around_one. */
static struct wide sine_of(struct wide r)
{
    return wide_mul(r, sum_around_one(&sine_series, wide_to_fraction(wide_mul(r, r)), 1));
}

static struct wide cosine_of(struct wide r)
{
    return sum_around_one(&cosine_series, wide_to_fraction(wide_mul(r, r)), 3);
}

static struct float80 round_sine(struct fpu_env *env, const struct reduced *angle)
{
    struct wide s = (angle->quadrant & 1) != 0 ? cosine_of(angle->r) : sine_of(angle->r);

    s.sign = s.sign != (angle->sign != ((angle->quadrant & 2) != 0));
    return round_inexact(env, s);
}

static struct float80 round_cosine(struct fpu_env *env, const struct reduced *angle)
{
    struct wide c = (angle->quadrant & 1) != 0 ? sine_of(angle->r) : cosine_of(angle->r);

    c.sign = c.sign != (((angle->quadrant + 1) & 2) != 0);
    return round_inexact(env, c);
}

static struct float80 round_tangent(struct fpu_env *env, const struct reduced *angle)
{
    struct wide s = sine_of(angle->r), c = cosine_of(angle->r);
    bool is_odd = (angle->quadrant & 1) != 0;
    struct wide t = is_odd ? wide_div(c, s) : wide_div(s, c);

    t.sign = t.sign != (angle->sign != is_odd);
    return round_inexact(env, t);
}

enum trig_operand { TRIG_OUT_OF_RANGE, TRIG_SPECIAL, TRIG_ZERO, TRIG_FINITE };

/* What the four instructions have in common. TRIG_SPECIAL: *result is the answer. */
static enum trig_operand check_angle(struct fpu_env *env, struct float80 a, struct float80 *result)
{
    *result = a;
    if (f80_handle_nan(env, a, a, result)) {
        return TRIG_SPECIAL;
    }
    if (f80_is_infinity(a)) {
        *result = f80_invalid(env);
        return TRIG_SPECIAL;
    }
    if (f80_exp(a) >= F80_BIAS + 63) {
        return TRIG_OUT_OF_RANGE;
    }
    if (f80_check_denormal(env, a)) {
        return TRIG_SPECIAL;
    }
    return f80_is_zero(a) ? TRIG_ZERO : TRIG_FINITE;
}

static struct float80 f80_one(void)
{
    return f80_pack(false, F80_BIAS, F80_INTEGER_BIT);
}

bool f80_sincos(struct fpu_env *env, struct float80 a, struct float80 *sine, struct float80 *cosine)
{
    struct float80 special;
    enum trig_operand kind = check_angle(env, a, &special);

    if (kind == TRIG_OUT_OF_RANGE) {
        return false;
    }
    if (kind != TRIG_FINITE) {
        *sine = special;
        *cosine = kind == TRIG_ZERO ? f80_one() : special;
        return true;
    }
    struct reduced angle = reduce_angle(a);

    *sine = round_sine(env, &angle);
    *cosine = round_cosine(env, &angle);
    return true;
}

bool f80_sin(struct fpu_env *env, struct float80 a, struct float80 *sine)
{
    struct float80 special;
    enum trig_operand kind = check_angle(env, a, &special);

    if (kind == TRIG_OUT_OF_RANGE) {
        return false;
    }
    if (kind != TRIG_FINITE) {
        *sine = special;
        return true;
    }
    struct reduced angle = reduce_angle(a);

    *sine = round_sine(env, &angle);
    return true;
}

bool f80_cos(struct fpu_env *env, struct float80 a, struct float80 *cosine)
{
    struct float80 special;
    enum trig_operand kind = check_angle(env, a, &special);

    if (kind == TRIG_OUT_OF_RANGE) {
        return false;
    }
    if (kind != TRIG_FINITE) {
        *cosine = kind == TRIG_ZERO ? f80_one() : special;
        return true;
    }
    struct reduced angle = reduce_angle(a);

    *cosine = round_cosine(env, &angle);
    return true;
}

bool f80_ptan(struct fpu_env *env, struct float80 a, struct float80 *tangent,
              struct float80 *pushed)
{
    struct float80 special;
    enum trig_operand kind = check_angle(env, a, &special);

    if (kind == TRIG_OUT_OF_RANGE) {
        return false;
    }
    *tangent = special;
    *pushed = kind == TRIG_SPECIAL ? special : f80_one();
    if (kind == TRIG_FINITE) {
        struct reduced angle = reduce_angle(a);

        *tangent = round_tangent(env, &angle);
    }
    return true;
}
