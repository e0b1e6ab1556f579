/* float80_internal.h - what the files of the x87 arithmetic share: wide integers, taking numbers
 * apart, and the one routine that rounds. Private to cpu/float80*.c (and to the SSE arithmetic that
 * is to come: the rounding is parametric in precision and exponent range). */
#ifndef TICK86_CPU_FLOAT80_INTERNAL_H
#define TICK86_CPU_FLOAT80_INTERNAL_H

#include "cpu/float80.h"

#define F80_INTEGER_BIT UINT64_C(0x8000000000000000)
#define F80_QUIET_BIT UINT64_C(0x4000000000000000)
#define F80_EXP_MAX 0x7fff
#define F80_BIAS 0x3fff

struct u128 {
    uint64_t hi, lo;
};

/* A finite number taken apart: (hi:lo / 2^127) * 2^(exp - 3fffh). Normalised: bit 63 of hi is set,
 * or all is zero. */
struct wide {
    bool sign;
    int32_t exp;
    uint64_t hi, lo;
};

/* A destination format: significant bits, and the smallest and largest exponent, in the bias of the
 * registers. */
struct float_format {
    unsigned precision;
    int32_t exp_min, exp_max;
    bool is_register; /* unmasked overflow and underflow: deliver an adjusted exponent */
};

static inline unsigned clz64(uint64_t value)
{
#if defined(__GNUC__)
    return (unsigned)__builtin_clzll(value);
#else
    unsigned count = 0;

    for (unsigned step = 32; step != 0; step >>= 1) {
        if ((value >> (64 - step)) == 0) {
            count += step;
            value <<= step;
        }
    }
    return count;
#endif
}

static inline struct u128 mul64(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 native_u128;
    native_u128 product = (native_u128)a * b;

    return (struct u128) { (uint64_t)(product >> 64), (uint64_t)product };
#else
    uint64_t a1 = a >> 32, a0 = a & 0xffffffff;
    uint64_t b1 = b >> 32, b0 = b & 0xffffffff;
    uint64_t low = a0 * b0;
    uint64_t mid = a1 * b0 + (low >> 32);
    uint64_t mid2 = a0 * b1 + (mid & 0xffffffff);

    return (struct u128) { a1 * b1 + (mid >> 32) + (mid2 >> 32),
                           (mid2 << 32) | (low & 0xffffffff) };
#endif
}

static inline struct u128 add128(struct u128 a, struct u128 b)
{
    uint64_t lo = a.lo + b.lo;

    return (struct u128) { a.hi + b.hi + (lo < a.lo), lo };
}

static inline struct u128 sub128(struct u128 a, struct u128 b)
{
    return (struct u128) { a.hi - b.hi - (a.lo < b.lo), a.lo - b.lo };
}

static inline bool less128(struct u128 a, struct u128 b)
{
    return a.hi < b.hi || (a.hi == b.hi && a.lo < b.lo);
}

static inline struct u128 shl128(struct u128 a, unsigned count)
{
    if (count == 0) {
        return a;
    }
    if (count < 64) {
        return (struct u128) { (a.hi << count) | (a.lo >> (64 - count)), a.lo << count };
    }
    return (struct u128) { count < 128 ? a.lo << (count - 64) : 0, 0 };
}

/* Shifts right; what falls off is remembered in bit 0 ("sticky"). */
static inline struct u128 shr128_sticky(struct u128 a, uint32_t count)
{
    if (count == 0) {
        return a;
    }
    if (count < 64) {
        uint64_t lost = a.lo << (64 - count);

        return (struct u128) { a.hi >> count,
                               (a.hi << (64 - count)) | (a.lo >> count) | (lost != 0) };
    }
    if (count == 64) {
        return (struct u128) { 0, a.hi | (a.lo != 0) };
    }
    if (count < 128) {
        uint64_t lost = (a.hi << (128 - count)) | a.lo;

        return (struct u128) { 0, (a.hi >> (count - 64)) | (lost != 0) };
    }
    return (struct u128) { 0, (a.hi | a.lo) != 0 };
}

/* Divides hi:lo by divisor; hi < divisor and bit 63 of divisor set. Knuth, TAOCP vol. 2, 4.3.1,
 * algorithm D. */
static inline uint64_t div128(uint64_t hi, uint64_t lo, uint64_t divisor, uint64_t *remainder)
{
    uint64_t d1 = divisor >> 32, d0 = divisor & 0xffffffff;
    uint64_t quotient = 0;

    for (unsigned digit = 0; digit < 2; digit++) {
        uint64_t next = digit == 0 ? lo >> 32 : lo & 0xffffffff;
        uint64_t q = hi / d1, r = hi % d1;

        while (q >> 32 != 0 || q * d0 > ((r << 32) | next)) {
            q--;
            r += d1;
            if (r >> 32 != 0) {
                break;
            }
        }
        hi = ((hi << 32) | next) - q * divisor;
        quotient = (quotient << 32) | q;
    }
    *remainder = hi;
    return quotient;
}

static inline int32_t f80_exp(struct float80 a)
{
    return a.sign_exp & F80_EXP_MAX;
}

static inline bool f80_sign(struct float80 a)
{
    return a.sign_exp >> 15 != 0;
}

static inline struct float80 f80_pack(bool sign, int32_t exp, uint64_t mantissa)
{
    return (struct float80) { mantissa, (uint16_t)((sign ? 0x8000 : 0) | exp) };
}

static inline bool f80_is_normal(struct float80 a)
{
    return (uint32_t)(f80_exp(a) - 1) < F80_EXP_MAX - 1 && a.mantissa >> 63 != 0;
}

static inline bool f80_is_unsupported(struct float80 a)
{
    return f80_exp(a) != 0 && a.mantissa >> 63 == 0;
}

static inline bool f80_is_infinity(struct float80 a)
{
    return f80_exp(a) == F80_EXP_MAX && a.mantissa == F80_INTEGER_BIT;
}

static inline bool f80_is_nan(struct float80 a)
{
    return f80_exp(a) == F80_EXP_MAX && a.mantissa > F80_INTEGER_BIT;
}

static inline bool f80_is_snan(struct float80 a)
{
    return f80_is_nan(a) && (a.mantissa & F80_QUIET_BIT) == 0;
}

static inline bool f80_is_zero(struct float80 a)
{
    return f80_exp(a) == 0 && a.mantissa == 0;
}

static inline bool f80_is_denormal(struct float80 a)
{
    return f80_exp(a) == 0 && a.mantissa != 0;
}

static inline struct float80 f80_zero(bool sign)
{
    return f80_pack(sign, 0, 0);
}

static inline struct float80 f80_infinity(bool sign)
{
    return f80_pack(sign, F80_EXP_MAX, F80_INTEGER_BIT);
}

static inline void fpu_raise(struct fpu_env *env, unsigned bits)
{
    env->exceptions = (uint16_t)(env->exceptions | bits);
}

static inline struct float80 f80_invalid(struct fpu_env *env)
{
    fpu_raise(env, FPU_IE);
    return f80_indefinite();
}

/* Takes a finite number apart and normalises it. Zero gives hi = 0 and the exponent of a denormal.
 */
static inline struct wide f80_unpack(struct float80 a)
{
    struct wide w = { f80_sign(a), f80_exp(a), a.mantissa, 0 };

    if (w.exp == 0) {
        w.exp = 1;
        if (w.hi != 0) {
            unsigned shift = clz64(w.hi);

            w.hi <<= shift;
            w.exp -= (int32_t)shift;
        }
    }
    return w;
}

/* Is a finite number with the significand hi:rest to be moved away from zero? odd: the last kept
 * bit is set; rest: what is cut off, the most significant bit being one half. */
static inline bool fpu_rounds_up(uint16_t control, bool sign, bool odd, uint64_t rest)
{
    switch (control & FPU_RC_MASK) {
    case FPU_RC_NEAREST:
        return rest > F80_INTEGER_BIT || (rest == F80_INTEGER_BIT && odd);
    case FPU_RC_DOWN:
        return sign && rest != 0;
    case FPU_RC_UP:
        return !sign && rest != 0;
    default:
        return false;
    }
}

/* Rounds a normalised (or zero) number to a format and sets OE, UE, PE and rounded_up. Returns the
 * significand in hi (not normalised if denormal, lo = 0) and in exp an exponent from exp_min to
 * exp_max, exp_min - 1 for denormals and zero, or exp_max + 1 for infinity. */
struct wide fpu_round(struct fpu_env *env, struct wide w, const struct float_format *format);

/* Rounds to a register with 64 bits, or with what PC says. */
struct float80 f80_round64(struct fpu_env *env, struct wide w);
struct float80 f80_round_pc(struct fpu_env *env, struct wide w);

/* The result where a or b is a NaN or of an unsupported format: true and *result, or false if
 * neither is. */
bool f80_handle_nan(struct fpu_env *env, struct float80 a, struct float80 b,
                    struct float80 *result);

/* Raises DE if a is denormal. True if the instruction ends here, because DE is not masked. */
static inline bool f80_check_denormal(struct fpu_env *env, struct float80 a)
{
    if (f80_is_denormal(a)) {
        fpu_raise(env, FPU_DE);
        return (env->control & FPU_DE) == 0;
    }
    return false;
}

#endif
