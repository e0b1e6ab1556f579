/* float80.c - x87 arithmetic: rounding, NaN rules, and the basic instructions.
 *
 * Documents: Intel SDM vol. 1, 4.8 (formats, rounding), 4.9.1 (exceptions and their priority), 8.5
 * (x87 exceptions); vol. 2A, the instruction pages. See float80.h for the conventions, and
 * float80_convert.c and float80_trans.c for the rest. */
#include "cpu/float80.h"

#include "cpu/float80_internal.h"

#include <stddef.h>

/* SDM vol. 1, 8.5.4: what an unmasked overflow or underflow adds to the exponent of a register. */
#define BIAS_ADJUST 0x6000

/* Cuts hi:lo to precision bits. True if it was rounded up; hi is 0 then if it carried out of
 * bit 63. */
static inline bool round_at(uint16_t control, struct wide *w, unsigned precision, bool *is_inexact)
{
    uint64_t rest = w->lo, ulp = 1;

    if (precision < 64) {
        ulp = (uint64_t)1 << (64 - precision);
        rest = (w->hi << precision) | (w->lo != 0);
    }
    bool up = fpu_rounds_up(control, w->sign, (w->hi & ulp) != 0, rest);

    *is_inexact = rest != 0;
    w->hi &= ~(ulp - 1);
    w->lo = 0;
    if (up) {
        w->hi += ulp;
    }
    return up;
}

static void set_inexact(struct fpu_env *env, bool is_inexact, bool up)
{
    if (is_inexact) {
        fpu_raise(env, FPU_PE);
        env->rounded_up = up;
    }
}

static struct wide overflow(struct fpu_env *env, struct wide rounded,
                            const struct float_format *format)
{
    uint16_t rc = env->control & FPU_RC_MASK;
    bool away = rc == FPU_RC_NEAREST || rc == (rounded.sign ? FPU_RC_DOWN : FPU_RC_UP);

    fpu_raise(env, FPU_OE | FPU_PE);
    env->rounded_up = away;
    rounded.exp = away ? format->exp_max + 1 : format->exp_max;
    rounded.hi = away ? F80_INTEGER_BIT : ~(uint64_t)0 << (64 - format->precision);
    return rounded;
}

/* Rounding to a number below exp_min, when underflow is masked: UE only if the result is inexact.
 */
static struct wide underflow(struct fpu_env *env, struct wide w, const struct float_format *format)
{
    struct u128 bits =
        shr128_sticky((struct u128) { w.hi, w.lo }, (uint32_t)(format->exp_min - w.exp));
    bool is_inexact;

    w.hi = bits.hi;
    w.lo = bits.lo;
    bool up = round_at(env->control, &w, format->precision, &is_inexact);

    if (is_inexact) {
        fpu_raise(env, FPU_UE);
    }
    set_inexact(env, is_inexact, up);
    w.exp = w.hi >> 63 != 0 ? format->exp_min : format->exp_min - 1;
    return w;
}

struct wide fpu_round(struct fpu_env *env, struct wide w, const struct float_format *format)
{
    struct wide r = w;
    bool is_inexact;

    if (w.hi == 0) {
        r.exp = format->exp_min - 1;
        return r;
    }
    bool up = round_at(env->control, &r, format->precision, &is_inexact);

    if (r.hi == 0) {
        r.hi = F80_INTEGER_BIT;
        r.exp++;
    }
    if (r.exp < format->exp_min) {
        if ((env->control & FPU_UE) != 0) {
            return underflow(env, w, format);
        }
        fpu_raise(env, FPU_UE);
        r.exp += BIAS_ADJUST;
        is_inexact = is_inexact && format->is_register;
    } else if (r.exp > format->exp_max) {
        if ((env->control & FPU_OE) != 0) {
            return overflow(env, r, format);
        }
        fpu_raise(env, FPU_OE);
        r.exp -= BIAS_ADJUST;
        is_inexact = is_inexact && format->is_register;
    }
    set_inexact(env, is_inexact, up);
    return r;
}

static struct float80 round_register(struct fpu_env *env, struct wide w, unsigned precision)
{
    /* The common case, written out: nothing near the limits of the exponent. */
    if (w.hi != 0 && w.exp > 0 && w.exp < F80_EXP_MAX - 1) {
        bool is_inexact;
        bool up = round_at(env->control, &w, precision, &is_inexact);

        set_inexact(env, is_inexact, up);
        if (w.hi == 0) {
            w.hi = F80_INTEGER_BIT;
            w.exp++;
        }
        return f80_pack(w.sign, w.exp, w.hi);
    }
    struct float_format format = { precision, 1, F80_EXP_MAX - 1, true };

    w = fpu_round(env, w, &format);
    return f80_pack(w.sign, w.exp, w.hi);
}

struct float80 f80_round64(struct fpu_env *env, struct wide w)
{
    return round_register(env, w, 64);
}

struct float80 f80_round_pc(struct fpu_env *env, struct wide w)
{
    unsigned pc = env->control & FPU_PC_MASK;

    if (pc == FPU_PC_53) {
        return round_register(env, w, 53);
    }
    return round_register(env, w, pc == FPU_PC_24 ? 24 : 64);
}

/* SDM vol. 1, table 4-7: the rules for results of operations with NaNs, x87 column. */
bool f80_handle_nan(struct fpu_env *env, struct float80 a, struct float80 b, struct float80 *result)
{
    if (f80_is_unsupported(a) || f80_is_unsupported(b)) {
        *result = f80_invalid(env);
        return true;
    }
    bool a_is_nan = f80_is_nan(a), b_is_nan = f80_is_nan(b);

    if (!a_is_nan && !b_is_nan) {
        return false;
    }
    bool a_is_snan = f80_is_snan(a), b_is_snan = f80_is_snan(b);

    if (a_is_snan || b_is_snan) {
        fpu_raise(env, FPU_IE);
    }
    if (!b_is_nan) {
        *result = a;
    } else if (!a_is_nan) {
        *result = b;
    } else if (a_is_snan != b_is_snan) {
        *result = a_is_snan ? b : a;
    } else if (a.mantissa != b.mantissa) {
        *result = a.mantissa > b.mantissa ? a : b;
    } else {
        *result = f80_sign(a) ? b : a;
    }
    result->mantissa |= F80_QUIET_BIT;
    return true;
}

/* Raises DE if one of the two is denormal. True if the instruction ends here. */
static bool check_denormals(struct fpu_env *env, struct float80 a, struct float80 b)
{
    return f80_check_denormal(env, f80_is_denormal(a) ? a : b);
}

enum f80_class f80_classify(struct float80 a)
{
    if (f80_exp(a) == 0) {
        return a.mantissa == 0 ? F80_CLASS_ZERO : F80_CLASS_DENORMAL;
    }
    if (a.mantissa >> 63 == 0) {
        return F80_CLASS_UNSUPPORTED;
    }
    if (f80_exp(a) != F80_EXP_MAX) {
        return F80_CLASS_NORMAL;
    }
    return a.mantissa == F80_INTEGER_BIT ? F80_CLASS_INFINITY : F80_CLASS_NAN;
}

unsigned f80_tag(struct float80 a)
{
    enum f80_class class = f80_classify(a);

    return class == F80_CLASS_NORMAL ? 0 : class == F80_CLASS_ZERO ? 1 : 2;
}

struct float80 f80_constant(enum f80_constant which, uint16_t control)
{
    /* 64 bits, truncated, and the next 64, from which rounding follows. */
    static const struct {
        uint64_t mantissa, rest;
        uint16_t exp;
    } constants[] = {
        [F80_CONST_ONE] = { UINT64_C(0x8000000000000000), 0, 0x3fff },
        [F80_CONST_L2T] = { UINT64_C(0xd49a784bcd1b8afe), UINT64_C(0x492bf6ff4dafdb4c), 0x4000 },
        [F80_CONST_L2E] = { UINT64_C(0xb8aa3b295c17f0bb), UINT64_C(0xbe87fed0691d3e88), 0x3fff },
        [F80_CONST_PI] = { UINT64_C(0xc90fdaa22168c234), UINT64_C(0xc4c6628b80dc1cd1), 0x4000 },
        [F80_CONST_LG2] = { UINT64_C(0x9a209a84fbcff798), UINT64_C(0x8f8959ac0b7c9178), 0x3ffd },
        [F80_CONST_LN2] = { UINT64_C(0xb17217f7d1cf79ab), UINT64_C(0xc9e3b39803f2f6af), 0x3ffe },
        [F80_CONST_ZERO] = { 0, 0, 0 },
    };
    uint64_t mantissa = constants[which].mantissa;

    if (fpu_rounds_up(control, false, (mantissa & 1) != 0, constants[which].rest)) {
        mantissa++;
    }
    return f80_pack(false, constants[which].exp, mantissa);
}

/* |a| + |b| with the sign of a, both normalised or zero. */
static struct wide add_magnitudes(struct wide a, struct wide b)
{
    if (a.hi == 0 || (b.hi != 0 && a.exp < b.exp)) {
        struct wide swap = a;

        a = b;
        b = swap;
        a.sign = b.sign;
    }
    struct u128 small = { 0, 0 };

    if (b.hi != 0) {
        small = shr128_sticky((struct u128) { b.hi, 0 }, (uint32_t)(a.exp - b.exp));
    }
    uint64_t sum = a.hi + small.hi;

    a.lo = small.lo;
    if (sum < a.hi) {
        a.lo = (a.lo >> 1) | (a.lo & 1) | (sum << 63);
        sum = (sum >> 1) | F80_INTEGER_BIT;
        a.exp++;
    }
    a.hi = sum;
    return a;
}

/* |a| - |b| with the sign of a; where |b| is larger, with the other sign. */
static struct wide subtract_magnitudes(struct wide a, struct wide b)
{
    if (a.hi == 0 || (b.hi != 0 && (a.exp < b.exp || (a.exp == b.exp && a.hi < b.hi)))) {
        struct wide swap = a;

        a = b;
        b = swap;
        a.sign = !b.sign;
    }
    struct u128 bits = { a.hi, 0 };

    if (b.hi != 0) {
        bits = sub128(bits, shr128_sticky((struct u128) { b.hi, 0 }, (uint32_t)(a.exp - b.exp)));
    }
    if (bits.hi == 0 && bits.lo != 0) {
        bits = (struct u128) { bits.lo, 0 };
        a.exp -= 64;
    }
    if (bits.hi != 0) {
        unsigned shift = clz64(bits.hi);

        bits = shl128(bits, shift);
        a.exp -= (int32_t)shift;
    }
    a.hi = bits.hi;
    a.lo = bits.lo;
    return a;
}

static struct float80 add_finite(struct fpu_env *env, struct wide a, struct wide b)
{
    if (a.sign == b.sign) {
        return f80_round_pc(env, add_magnitudes(a, b));
    }
    struct wide difference = subtract_magnitudes(a, b);

    if (difference.hi == 0) {
        return f80_zero((env->control & FPU_RC_MASK) == FPU_RC_DOWN);
    }
    return f80_round_pc(env, difference);
}

/* a + b where at least one is not a normal number; negate: a - b. */
static struct float80 add_special(struct fpu_env *env, struct float80 a, struct float80 b,
                                  bool negate)
{
    struct float80 result;

    if (f80_handle_nan(env, a, b, &result)) {
        return result;
    }
    if (negate) {
        b = f80_chs(b);
    }
    if (f80_is_infinity(a) && f80_is_infinity(b)) {
        return f80_sign(a) == f80_sign(b) ? a : f80_invalid(env);
    }
    if (check_denormals(env, a, b)) {
        return a;
    }
    if (f80_is_infinity(a)) {
        return a;
    }
    if (f80_is_infinity(b)) {
        return b;
    }
    return add_finite(env, f80_unpack(a), f80_unpack(b));
}

struct float80 f80_add(struct fpu_env *env, struct float80 a, struct float80 b)
{
    if (f80_is_normal(a) && f80_is_normal(b)) {
        struct wide wa = { f80_sign(a), f80_exp(a), a.mantissa, 0 };
        struct wide wb = { f80_sign(b), f80_exp(b), b.mantissa, 0 };

        return add_finite(env, wa, wb);
    }
    return add_special(env, a, b, false);
}

struct float80 f80_sub(struct fpu_env *env, struct float80 a, struct float80 b)
{
    if (f80_is_normal(a) && f80_is_normal(b)) {
        struct wide wa = { f80_sign(a), f80_exp(a), a.mantissa, 0 };
        struct wide wb = { !f80_sign(b), f80_exp(b), b.mantissa, 0 };

        return add_finite(env, wa, wb);
    }
    return add_special(env, a, b, true);
}

static struct float80 mul_finite(struct fpu_env *env, struct wide a, struct wide b)
{
    struct u128 product = mul64(a.hi, b.hi);
    struct wide r = { a.sign != b.sign, a.exp + b.exp - F80_BIAS + 1, product.hi, product.lo };

    if (r.hi >> 63 == 0) {
        r.hi = (r.hi << 1) | (r.lo >> 63);
        r.lo <<= 1;
        r.exp--;
    }
    return f80_round_pc(env, r);
}

static struct float80 mul_special(struct fpu_env *env, struct float80 a, struct float80 b)
{
    bool sign = f80_sign(a) != f80_sign(b);
    struct float80 result;

    if (f80_handle_nan(env, a, b, &result)) {
        return result;
    }
    bool is_infinite = f80_is_infinity(a) || f80_is_infinity(b);
    bool is_zero = f80_is_zero(a) || f80_is_zero(b);

    if (is_infinite && is_zero) {
        return f80_invalid(env);
    }
    if (check_denormals(env, a, b)) {
        return a;
    }
    if (is_infinite) {
        return f80_infinity(sign);
    }
    if (is_zero) {
        return f80_zero(sign);
    }
    return mul_finite(env, f80_unpack(a), f80_unpack(b));
}

struct float80 f80_mul(struct fpu_env *env, struct float80 a, struct float80 b)
{
    if (f80_is_normal(a) && f80_is_normal(b)) {
        struct wide wa = { f80_sign(a), f80_exp(a), a.mantissa, 0 };
        struct wide wb = { f80_sign(b), f80_exp(b), b.mantissa, 0 };

        return mul_finite(env, wa, wb);
    }
    return mul_special(env, a, b);
}

static struct float80 div_finite(struct fpu_env *env, struct wide a, struct wide b)
{
    struct wide r = { a.sign != b.sign, a.exp - b.exp + F80_BIAS, 0, 0 };
    uint64_t hi = a.hi, lo = 0, remainder;

    if (hi >= b.hi) {
        lo = hi << 63;
        hi >>= 1;
    } else {
        r.exp--;
    }
    r.hi = div128(hi, lo, b.hi, &remainder);
    /* One half more of an ulp, exactly, or not: bit 63 of lo; anything beyond: bit 0. */
    if (remainder != 0) {
        uint64_t twice = remainder << 1;
        bool is_half = remainder >> 63 != 0 || twice >= b.hi;

        r.lo = (is_half ? F80_INTEGER_BIT : 0) | (!is_half || twice != b.hi);
    }
    return f80_round_pc(env, r);
}

static struct float80 div_special(struct fpu_env *env, struct float80 a, struct float80 b)
{
    bool sign = f80_sign(a) != f80_sign(b);
    struct float80 result;

    if (f80_handle_nan(env, a, b, &result)) {
        return result;
    }
    if ((f80_is_infinity(a) && f80_is_infinity(b)) || (f80_is_zero(a) && f80_is_zero(b))) {
        return f80_invalid(env);
    }
    if (f80_is_zero(b) && !f80_is_infinity(a)) {
        fpu_raise(env, FPU_ZE);
        return f80_infinity(sign);
    }
    if (check_denormals(env, a, b)) {
        return a;
    }
    if (f80_is_infinity(a)) {
        return f80_infinity(sign);
    }
    if (f80_is_zero(a) || f80_is_infinity(b)) {
        return f80_zero(sign);
    }
    return div_finite(env, f80_unpack(a), f80_unpack(b));
}

struct float80 f80_div(struct fpu_env *env, struct float80 a, struct float80 b)
{
    if (f80_is_normal(a) && f80_is_normal(b)) {
        struct wide wa = { f80_sign(a), f80_exp(a), a.mantissa, 0 };
        struct wide wb = { f80_sign(b), f80_exp(b), b.mantissa, 0 };

        return div_finite(env, wa, wb);
    }
    return div_special(env, a, b);
}

/* The root of n >= 2^62, rounded down, by Newton's iteration from above. */
static uint64_t sqrt64(uint64_t n)
{
    uint64_t root = UINT64_C(0xffffffff);

    for (;;) {
        uint64_t next = (root + n / root) >> 1;

        if (next >= root) {
            return root;
        }
        root = next;
    }
}

/* Root and remainder of hi:lo, hi >= 2^62: one step of P. Zimmermann's "Karatsuba Square Root"
 * (1999). */
static uint64_t sqrt128(uint64_t hi, uint64_t lo, struct u128 *remainder)
{
    uint64_t top = sqrt64(hi);
    uint64_t rest = hi - top * top; /* at most 2 * top: 33 bits */
    /* (rest * 2^32 + next digit) / (2 * top), both halved to stay within 64 bits. */
    uint64_t q = ((rest << 31) | (lo >> 33)) / top;

    /* root = top * 2^32 + q, or less: q may be 2^32, and one or two too large. */
    if (q >> 32 != 0) {
        q = UINT64_C(0xffffffff);
    }
    uint64_t root = (top << 32) + q;

    for (;;) {
        struct u128 square = mul64(root, root);

        if (!less128((struct u128) { hi, lo }, square)) {
            *remainder = sub128((struct u128) { hi, lo }, square);
            return root;
        }
        root--;
    }
}

static struct wide sqrt_finite(struct wide a)
{
    struct u128 remainder;
    /* The exponent becomes even: the radicand is hi:lo / 2^126 (1 <= radicand < 4) or half of that.
     */
    int32_t exp = a.exp - F80_BIAS;
    uint64_t hi = a.hi, lo = 0;

    if ((exp & 1) == 0) {
        lo = hi << 63;
        hi >>= 1;
    } else {
        exp--;
    }
    struct wide r = { false, exp / 2 + F80_BIAS, 0, 0 };

    r.hi = sqrt128(hi, lo, &remainder);
    /* (r + 1/2)^2 = r^2 + r + 1/4, so the half is never hit exactly. */
    if (less128((struct u128) { 0, r.hi }, remainder)) {
        r.lo = F80_INTEGER_BIT;
    }
    r.lo |= (remainder.hi | remainder.lo) != 0;
    return r;
}

struct float80 f80_sqrt(struct fpu_env *env, struct float80 a)
{
    struct float80 result;

    if (f80_handle_nan(env, a, a, &result)) {
        return result;
    }
    if (f80_is_zero(a)) {
        return a;
    }
    if (f80_sign(a)) {
        return f80_invalid(env);
    }
    if (f80_check_denormal(env, a) || f80_is_infinity(a)) {
        return a;
    }
    return f80_round_pc(env, sqrt_finite(f80_unpack(a)));
}

/* The remainder of two finite numbers, b not zero. */
static struct float80 remainder_finite(struct fpu_env *env, struct wide a, struct wide b,
                                       bool nearest, struct f80_quotient *q)
{
    int32_t difference = a.exp - b.exp;
    uint64_t quotient = 0, rest = a.hi;
    struct wide r = a;

    if (difference >= 64) {
        /* Take off N = 32 to 63 bits of the quotient (SDM, FPREM), as if b had a larger exponent.
         */
        int32_t n = 32 + (difference & 31);

        b.exp += difference - n;
        difference = n;
        q->is_incomplete = true;
    }
    if (difference >= 0) {
        uint64_t hi = difference == 0 ? 0 : a.hi >> (64 - difference);

        quotient = div128(hi, a.hi << difference, b.hi, &rest);
        r.exp = b.exp;
    }
    if (nearest && !q->is_incomplete && difference >= -1) {
        /* Twice the rest against b; where a.exp is one below b.exp, the rest counts half. */
        uint64_t half = difference < 0 ? rest : rest << 1;
        bool carry = difference >= 0 && rest >> 63 != 0;

        if (carry || half > b.hi || (half == b.hi && (quotient & 1) != 0)) {
            /* b - rest, or in units of half an ulp, 2b - rest, which is less than 2^64 as rest > b.
             */
            rest = difference < 0 ? (b.hi << 1) - rest : b.hi - rest;
            r.sign = !r.sign;
            quotient++;
        }
    }
    q->quotient = q->is_incomplete ? 0 : (uint8_t)(quotient & 7);
    if (rest == 0) {
        return f80_zero(a.sign);
    }
    unsigned shift = clz64(rest);

    r.hi = rest << shift;
    r.exp -= (int32_t)shift;
    return f80_round64(env, r);
}

static struct float80 partial_remainder(struct fpu_env *env, const struct float80 ab[2],
                                        bool nearest, struct f80_quotient *q)
{
    struct float80 a = ab[0], b = ab[1], result;

    *q = (struct f80_quotient) { 0, false };
    if (f80_handle_nan(env, a, b, &result)) {
        return result;
    }
    if (f80_is_infinity(a) || f80_is_zero(b)) {
        return f80_invalid(env);
    }
    if (check_denormals(env, a, b) || f80_is_zero(a)) {
        return a;
    }
    if (f80_is_infinity(b)) {
        return f80_round64(env, f80_unpack(a));
    }
    return remainder_finite(env, f80_unpack(a), f80_unpack(b), nearest, q);
}

struct float80 f80_prem(struct fpu_env *env, struct float80 a, struct float80 b,
                        struct f80_quotient *q)
{
    return partial_remainder(env, (const struct float80[2]) { a, b }, false, q);
}

struct float80 f80_prem1(struct fpu_env *env, struct float80 a, struct float80 b,
                         struct f80_quotient *q)
{
    return partial_remainder(env, (const struct float80[2]) { a, b }, true, q);
}

struct float80 f80_rint(struct fpu_env *env, struct float80 a)
{
    struct float80 result;

    if (f80_handle_nan(env, a, a, &result)) {
        return result;
    }
    if (f80_check_denormal(env, a) || f80_exp(a) >= F80_BIAS + 63 || f80_is_zero(a)) {
        return a;
    }
    struct wide w = f80_unpack(a);
    struct u128 bits = shr128_sticky((struct u128) { w.hi, 0 }, (uint32_t)(F80_BIAS + 63 - w.exp));
    bool up = fpu_rounds_up(env->control, w.sign, (bits.hi & 1) != 0, bits.lo);

    set_inexact(env, bits.lo != 0, up);
    bits.hi += up;
    if (bits.hi == 0) {
        return f80_zero(w.sign);
    }
    unsigned shift = clz64(bits.hi);

    return f80_pack(w.sign, F80_BIAS + 63 - (int32_t)shift, bits.hi << shift);
}

/* The integer part of a finite number, limited to +-2^16: beyond the range of every exponent. */
static int32_t scale_amount(struct wide b)
{
    int32_t exp = b.exp - F80_BIAS, magnitude = 0x10000;

    if (exp < 0 || b.hi == 0) {
        return 0;
    }
    if (exp < 16) {
        magnitude = (int32_t)(b.hi >> (63 - exp));
    }
    return b.sign ? -magnitude : magnitude;
}

struct float80 f80_scale(struct fpu_env *env, struct float80 a, struct float80 b)
{
    struct float80 result;

    if (f80_handle_nan(env, a, b, &result)) {
        return result;
    }
    if (f80_is_infinity(b) && (f80_sign(b) ? f80_is_infinity(a) : f80_is_zero(a))) {
        return f80_invalid(env);
    }
    if (check_denormals(env, a, b)) {
        return a;
    }
    if (f80_is_infinity(b)) {
        return f80_sign(b) ? f80_zero(f80_sign(a)) : f80_infinity(f80_sign(a));
    }
    if (f80_is_infinity(a) || f80_is_zero(a)) {
        return a;
    }
    struct wide w = f80_unpack(a);

    w.exp += scale_amount(f80_unpack(b));
    /* SDM vol. 1, 8.5.4 and 8.5.5: out of range even with the exponent adjusted. RC plays no part,
     * as hardware shows. */
    if ((env->control & FPU_OE) == 0 && w.exp - BIAS_ADJUST >= F80_EXP_MAX) {
        fpu_raise(env, FPU_OE | FPU_PE);
        env->rounded_up = true;
        return f80_infinity(w.sign);
    }
    if ((env->control & FPU_UE) == 0 && w.exp + BIAS_ADJUST < 1) {
        fpu_raise(env, FPU_UE | FPU_PE);
        return f80_zero(w.sign);
    }
    return f80_round64(env, w);
}

struct float80 f80_xtract(struct fpu_env *env, struct float80 a, struct float80 *significand)
{
    struct float80 result;

    *significand = a;
    if (f80_handle_nan(env, a, a, &result)) {
        *significand = result;
        return result;
    }
    if (f80_is_infinity(a)) {
        return f80_infinity(false);
    }
    if (f80_is_zero(a)) {
        fpu_raise(env, FPU_ZE);
        return f80_infinity(true);
    }
    if (f80_check_denormal(env, a)) {
        return a;
    }
    struct wide w = f80_unpack(a);

    *significand = f80_pack(w.sign, F80_BIAS, w.hi);
    return f80_from_int64(w.exp - F80_BIAS);
}

enum f80_relation f80_compare(struct fpu_env *env, struct float80 a, struct float80 b,
                              bool is_quiet)
{
    if (f80_is_unsupported(a) || f80_is_unsupported(b)) {
        fpu_raise(env, FPU_IE);
        return F80_UNORDERED;
    }
    if (f80_is_nan(a) || f80_is_nan(b)) {
        if (!is_quiet || f80_is_snan(a) || f80_is_snan(b)) {
            fpu_raise(env, FPU_IE);
        }
        return F80_UNORDERED;
    }
    check_denormals(env, a, b);
    /* Unpacked, a pseudo-denormal equals the normal number that it denotes; infinity is just large.
     */
    struct wide wa = f80_unpack(a), wb = f80_unpack(b);

    if (wa.hi == 0 && wb.hi == 0) {
        return F80_EQUAL;
    }
    if (wa.hi == 0 || wb.hi == 0 || wa.sign != wb.sign) {
        bool is_less = wa.hi == 0 ? !wb.sign : wa.sign;

        return is_less ? F80_LESS : F80_GREATER;
    }
    if (wa.exp == wb.exp && wa.hi == wb.hi) {
        return F80_EQUAL;
    }
    bool is_smaller = wa.exp < wb.exp || (wa.exp == wb.exp && wa.hi < wb.hi);

    return is_smaller != wa.sign ? F80_LESS : F80_GREATER;
}
