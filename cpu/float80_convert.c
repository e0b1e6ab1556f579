/* float80_convert.c - x87 loads and stores: single, double, integer and packed decimal memory
 * operands.
 *
 * Documents: Intel SDM vol. 1, 8.2 (data types), 4.8.3; vol. 2A, FLD, FST, FILD, FIST, FISTTP,
 * FBLD, FBSTP. */
#include "cpu/float80.h"

#include "cpu/float80_internal.h"

#include <stddef.h>

static const struct float_format format32 = { 24, F80_BIAS - 126, F80_BIAS + 127, false };
static const struct float_format format64 = { 53, F80_BIAS - 1022, F80_BIAS + 1023, false };

/* A NaN from memory, its fraction already at the top of the register. */
static struct float80 load_nan(struct fpu_env *env, bool sign, uint64_t mantissa)
{
    if ((mantissa & F80_QUIET_BIT) == 0) {
        fpu_raise(env, FPU_IE);
    }
    return f80_pack(sign, F80_EXP_MAX, mantissa | F80_INTEGER_BIT | F80_QUIET_BIT);
}

/* A denormal from memory: exp is the exponent it would have with the integer bit set. */
static struct float80 load_denormal(struct fpu_env *env, bool sign, int32_t exp, uint64_t mantissa)
{
    unsigned shift = clz64(mantissa);

    fpu_raise(env, FPU_DE);
    return f80_pack(sign, exp - (int32_t)shift, mantissa << shift);
}

struct float80 f80_from_float64(struct fpu_env *env, uint64_t bits)
{
    bool sign = bits >> 63 != 0;
    int32_t exp = (int32_t)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits << 11 & ~F80_INTEGER_BIT;

    if (exp - 1 >= 0 && exp < 0x7ff) {
        return f80_pack(sign, exp + F80_BIAS - 1023, mantissa | F80_INTEGER_BIT);
    }
    if (mantissa == 0) {
        return exp == 0 ? f80_zero(sign) : f80_infinity(sign);
    }
    if (exp == 0) {
        return load_denormal(env, sign, F80_BIAS - 1022, mantissa);
    }
    return load_nan(env, sign, mantissa);
}

struct float80 f80_from_float32(struct fpu_env *env, uint32_t bits)
{
    bool sign = bits >> 31 != 0;
    int32_t exp = (int32_t)(bits >> 23 & 0xff);
    uint64_t mantissa = (uint64_t)bits << 40 & ~F80_INTEGER_BIT;

    if (exp != 0 && exp < 0xff) {
        return f80_pack(sign, exp + F80_BIAS - 127, mantissa | F80_INTEGER_BIT);
    }
    if (mantissa == 0) {
        return exp == 0 ? f80_zero(sign) : f80_infinity(sign);
    }
    if (exp == 0) {
        return load_denormal(env, sign, F80_BIAS - 126, mantissa);
    }
    return load_nan(env, sign, mantissa);
}

/* A register in a memory format: the biased exponent field in exp, the significand at the top of
 * hi. */
static struct wide store(struct fpu_env *env, struct float80 a, const struct float_format *format)
{
    struct float80 nan;
    int32_t exp_infinite = format->exp_max - format->exp_min + 2;

    if (f80_handle_nan(env, a, a, &nan)) {
        return (struct wide) { f80_sign(nan), exp_infinite, nan.mantissa, 0 };
    }
    if (f80_is_infinity(a)) {
        return (struct wide) { f80_sign(a), exp_infinite, a.mantissa, 0 };
    }
    struct wide w = fpu_round(env, f80_unpack(a), format);

    w.exp = w.exp - format->exp_min + 1;
    return w;
}

/* The common case of a store, written out: in range, and no carry from the rounding into the
 * exponent. False: not so. w holds the register, and then the same as after store(). */
static inline bool store_common(struct fpu_env *env, struct wide *w,
                                const struct float_format *format)
{
    uint64_t ulp = (uint64_t)1 << (64 - format->precision);

    if (w->exp < format->exp_min || w->exp > format->exp_max || w->hi >> 63 == 0 ||
        w->hi >= 0 - ulp) {
        return false;
    }
    uint64_t rest = w->hi << format->precision;

    w->exp = w->exp - format->exp_min + 1;
    if (rest != 0) {
        bool up = fpu_rounds_up(env->control, w->sign, (w->hi & ulp) != 0, rest);

        fpu_raise(env, FPU_PE);
        env->rounded_up = up;
        w->hi += up ? ulp : 0;
    }
    return true;
}

uint64_t f80_to_float64(struct fpu_env *env, struct float80 a)
{
    struct wide w = { f80_sign(a), f80_exp(a), a.mantissa, 0 };

    if (!store_common(env, &w, &format64)) {
        w = store(env, a, &format64);
    }
    return (uint64_t)w.sign << 63 | (uint64_t)(w.exp & 0x7ff) << 52 | (w.hi << 1 >> 12);
}

uint32_t f80_to_float32(struct fpu_env *env, struct float80 a)
{
    struct wide w = { f80_sign(a), f80_exp(a), a.mantissa, 0 };

    if (!store_common(env, &w, &format32)) {
        w = store(env, a, &format32);
    }
    return (uint32_t)w.sign << 31 | (uint32_t)(w.exp & 0xff) << 23 | (uint32_t)(w.hi << 1 >> 41);
}

struct float80 f80_from_int64(int64_t value)
{
    bool sign = value < 0;
    uint64_t magnitude = sign ? 0 - (uint64_t)value : (uint64_t)value;

    if (magnitude == 0) {
        return f80_zero(false);
    }
    unsigned shift = clz64(magnitude);

    return f80_pack(sign, F80_BIAS + 63 - (int32_t)shift, magnitude << shift);
}

/* Rounds to an integer of at most limit. False if it is larger, or not a number. PE and C1 are set
 * only on success. */
static bool round_integer(struct fpu_env *env, struct float80 a, uint64_t limit,
                          uint64_t *magnitude)
{
    if (f80_is_unsupported(a) || f80_exp(a) >= F80_BIAS + 64) {
        return false;
    }
    struct wide w = f80_unpack(a);
    struct u128 bits = shr128_sticky((struct u128) { w.hi, 0 }, (uint32_t)(F80_BIAS + 63 - w.exp));
    bool up = fpu_rounds_up(env->control, w.sign, (bits.hi & 1) != 0, bits.lo);

    bits.hi += up;
    if (bits.hi > limit || (up && bits.hi == 0)) {
        return false;
    }
    if (bits.lo != 0) {
        fpu_raise(env, FPU_PE);
        env->rounded_up = up;
    }
    *magnitude = bits.hi;
    return true;
}

static int64_t to_integer(struct fpu_env *env, struct float80 a, unsigned width)
{
    bool sign = f80_sign(a);
    uint64_t magnitude, largest = ~(uint64_t)0 >> (65 - width);
    int64_t indefinite = -(int64_t)largest - 1;

    if (!round_integer(env, a, largest + sign, &magnitude)) {
        fpu_raise(env, FPU_IE);
        return indefinite;
    }
    if (magnitude > largest) {
        return indefinite; /* the smallest number, and exact */
    }
    return sign ? -(int64_t)magnitude : (int64_t)magnitude;
}

static int64_t to_integer_truncate(struct fpu_env *env, struct float80 a, unsigned width)
{
    struct fpu_env truncating = { (uint16_t)(env->control | FPU_RC_ZERO), 0, false };
    int64_t value = to_integer(&truncating, a, width);

    fpu_raise(env, truncating.exceptions);
    return value;
}

int16_t f80_to_int16(struct fpu_env *env, struct float80 a)
{
    return (int16_t)to_integer(env, a, 16);
}

int32_t f80_to_int32(struct fpu_env *env, struct float80 a)
{
    return (int32_t)to_integer(env, a, 32);
}

int64_t f80_to_int64(struct fpu_env *env, struct float80 a)
{
    return to_integer(env, a, 64);
}

int16_t f80_to_int16_truncate(struct fpu_env *env, struct float80 a)
{
    return (int16_t)to_integer_truncate(env, a, 16);
}

int32_t f80_to_int32_truncate(struct fpu_env *env, struct float80 a)
{
    return (int32_t)to_integer_truncate(env, a, 32);
}

int64_t f80_to_int64_truncate(struct fpu_env *env, struct float80 a)
{
    return to_integer_truncate(env, a, 64);
}

/* Digits above 9 are undefined (SDM, FBLD); they count with their value, as on the hardware. */
struct float80 f80_from_bcd(const uint8_t bcd[10])
{
    uint64_t value = 0;

    for (unsigned i = 9; i-- > 0;) {
        value = value * 100 + (bcd[i] >> 4) * 10u + (bcd[i] & 0x0f);
    }
    struct float80 result = f80_from_int64((int64_t)value);

    return (bcd[9] & 0x80) != 0 ? f80_chs(result) : result;
}

void f80_to_bcd(struct fpu_env *env, struct float80 a, uint8_t bcd[10])
{
    uint64_t magnitude;

    if (!round_integer(env, a, UINT64_C(999999999999999999), &magnitude)) {
        fpu_raise(env, FPU_IE);
        for (unsigned i = 0; i < 10; i++) {
            bcd[i] = i < 7 ? 0 : i == 7 ? 0xc0 : 0xff; /* the packed decimal indefinite */
        }
        return;
    }
    for (unsigned i = 0; i < 9; i++) {
        unsigned pair = (unsigned)(magnitude % 100);

        bcd[i] = (uint8_t)((pair / 10) << 4 | pair % 10);
        magnitude /= 100;
    }
    bcd[9] = f80_sign(a) ? 0x80 : 0;
}
