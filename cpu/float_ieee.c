/* float_ieee.c - binary32 and binary64 by integers; see float_ieee.h.
 *
 * Each operation is written once for both formats: the format is a constant argument that the compiler folds. A finite number
 * is taken apart into sign, biased exponent and a significand whose leading one is bit 63; bits below the format's
 * precision keep what rounding needs, bit 0 being sticky. */
#include "cpu/float_ieee.h"

#include "cpu/float80_internal.h"
#include "cpu/handler.h"

struct format {
    unsigned precision; /* significant bits: 24 or 53 */
    int exp_max;        /* biased exponent of infinities: 255 or 2047 */
};
static const struct format F32 = { 24, 0xff }, F64 = { 53, 0x7ff };

#define FTZ UINT32_C(0x8000)
#define DAZ UINT32_C(0x40)
#define MASKED(env, flag) (((env)->mxcsr >> 7 & (flag)) != 0)

/* ---- taking apart and putting together ---- */

static ALWAYS_INLINE unsigned fraction_bits(struct format f) { return f.precision - 1; }
static ALWAYS_INLINE uint64_t sign_mask(struct format f) { return ((uint64_t)f.exp_max + 1) << fraction_bits(f); }
static ALWAYS_INLINE uint64_t fraction_mask(struct format f) { return (UINT64_C(1) << fraction_bits(f)) - 1; }
static ALWAYS_INLINE uint64_t quiet_bit(struct format f) { return UINT64_C(1) << (fraction_bits(f) - 1); }
static ALWAYS_INLINE uint64_t infinity(struct format f) { return (uint64_t)f.exp_max << fraction_bits(f); }
static ALWAYS_INLINE uint64_t indefinite(struct format f) { return sign_mask(f) | infinity(f) | quiet_bit(f); }
static ALWAYS_INLINE int exp_of(struct format f, uint64_t a) { return (int)(a >> fraction_bits(f)) & f.exp_max; }
static ALWAYS_INLINE bool is_nan(struct format f, uint64_t a) { return (a & ~sign_mask(f)) > infinity(f); }
static ALWAYS_INLINE bool is_snan(struct format f, uint64_t a) { return is_nan(f, a) && !(a & quiet_bit(f)); }
static ALWAYS_INLINE bool is_infinity(struct format f, uint64_t a) { return (a & ~sign_mask(f)) == infinity(f); }
static ALWAYS_INLINE bool is_zero(struct format f, uint64_t a) { return (a & ~sign_mask(f)) == 0; }
static ALWAYS_INLINE bool is_denormal(struct format f, uint64_t a)
{
    return exp_of(f, a) == 0 && (a & fraction_mask(f)) != 0;
}

/* DAZ. */
static ALWAYS_INLINE uint64_t operand(struct format f, const struct ieee_env *env, uint64_t a)
{
    return UNLIKELY((env->mxcsr & DAZ) && exp_of(f, a) == 0) ? a & sign_mask(f) : a;
}

static ALWAYS_INLINE void note_denormals(struct format f, struct ieee_env *env, uint64_t a, uint64_t b)
{
    env->flags |= is_denormal(f, a) || is_denormal(f, b) ? (uint32_t)IEEE_DE : 0;
}

struct parts {
    int exp;
    uint64_t significand; /* bit 63 set; 0 for zero */
};

/* Of a finite number. */
static ALWAYS_INLINE struct parts take_apart(struct format f, uint64_t a)
{
    struct parts p = { exp_of(f, a), (a & fraction_mask(f)) << (64 - f.precision) };

    if (LIKELY(p.exp != 0)) {
        p.significand |= UINT64_C(1) << 63;
    } else if (p.significand != 0) {
        unsigned shift = clz64(p.significand);
        p.significand <<= shift;
        p.exp = 1 - (int)shift;
    }
    return p;
}

static ALWAYS_INLINE uint64_t shift_right_sticky(uint64_t value, unsigned count)
{
    return count == 0 ? value : count < 64 ? value >> count | (value << (64 - count) != 0) : value != 0;
}

/* What is added before the bits below the unit are cut off; nearest: ties are settled afterwards. */
static ALWAYS_INLINE uint64_t rounding_addend(enum ieee_rounding rounding, bool sign, uint64_t unit)
{
    switch (rounding) {
    case IEEE_NEAREST:
        return unit >> 1;
    case IEEE_DOWN:
        return sign ? unit - 1 : 0;
    case IEEE_UP:
        return sign ? 0 : unit - 1;
    case IEEE_TRUNCATE:
    default:
        return 0;
    }
}

/* Rounds significand / 2^63 * 2^(exp - bias), with overflow and underflow: SDM vol. 1, 4.9.1.4 to 4.9.1.6. Tininess is found after
 * rounding. */
static ALWAYS_INLINE uint64_t round_pack(struct format f, struct ieee_env *env, bool sign, int exp, uint64_t significand)
{
    enum ieee_rounding rounding = ieee_rounding(env);
    uint64_t signed_zero = sign ? sign_mask(f) : 0, unit = UINT64_C(1) << (64 - f.precision);
    uint64_t addend = rounding_addend(rounding, sign, unit);

    if (UNLIKELY(exp <= 0)) {
        bool is_tiny = exp < 0 || significand + addend >= significand; /* 0 and a carry: the smallest normal */
        if (is_tiny && MASKED(env, IEEE_UE) && (env->mxcsr & FTZ)) {
            env->flags |= IEEE_UE | IEEE_PE;
            return signed_zero;
        }
        if (is_tiny && !MASKED(env, IEEE_UE)) {
            env->flags |= IEEE_UE | (significand & (unit - 1) ? (uint32_t)IEEE_PE : 0);
            return signed_zero;
        }
        significand = shift_right_sticky(significand, (unsigned)(1 - exp));
        exp = 0;
        if (is_tiny && (significand & (unit - 1))) {
            env->flags |= IEEE_UE;
        }
    }
    uint64_t rest = significand & (unit - 1);
    uint64_t rounded = significand + addend;
    bool carry = rounded < significand;
    if (rounding == IEEE_NEAREST && rest == unit >> 1) {
        rounded &= ~unit;
    }
    /* Bit 63 is the implicit one: set, it adds 1 to an exponent that is 0 for denormals and one too low for the others. */
    uint64_t result = (rounded >> (64 - f.precision)) + ((uint64_t)(exp > 0 ? exp - 1 : 0) << fraction_bits(f));
    if (UNLIKELY(carry)) {
        result = (uint64_t)(exp + 1) << fraction_bits(f);
        exp++;
    }
    if (UNLIKELY(exp >= f.exp_max)) {
        bool to_infinity = rounding == IEEE_NEAREST || rounding == (sign ? IEEE_DOWN : IEEE_UP);
        if (MASKED(env, IEEE_OE)) {
            env->flags |= IEEE_OE | IEEE_PE;
        } else {
            env->flags |= IEEE_OE | (rest ? (uint32_t)IEEE_PE : 0);
        }
        return signed_zero | (to_infinity ? infinity(f) : infinity(f) - 1);
    }
    env->flags |= rest ? (uint32_t)IEEE_PE : 0;
    return signed_zero | result;
}

static ALWAYS_INLINE uint64_t invalid(struct format f, struct ieee_env *env)
{
    env->flags |= IEEE_IE;
    return indefinite(f);
}

/* Table 4-7: the first operand if it is a NaN, else the second, made quiet. */
static ALWAYS_INLINE uint64_t propagate_nan(struct format f, struct ieee_env *env, uint64_t a, uint64_t b)
{
    env->flags |= is_snan(f, a) || is_snan(f, b) ? (uint32_t)IEEE_IE : 0;
    return (is_nan(f, a) ? a : b) | quiet_bit(f);
}

/* ---- addition ---- */

static ALWAYS_INLINE uint64_t add(struct format f, struct ieee_env *env, uint64_t a, uint64_t b, bool is_subtraction)
{
    a = operand(f, env, a);
    b = operand(f, env, b);
    if (UNLIKELY(exp_of(f, a) == f.exp_max || exp_of(f, b) == f.exp_max)) {
        if (is_nan(f, a) || is_nan(f, b)) {
            return propagate_nan(f, env, a, b);
        }
        b ^= is_subtraction ? sign_mask(f) : 0;
        if (is_infinity(f, a) && is_infinity(f, b) && a != b) {
            return invalid(f, env);
        }
        note_denormals(f, env, a, b);
        return is_infinity(f, a) ? a : b;
    }
    b ^= is_subtraction ? sign_mask(f) : 0;
    note_denormals(f, env, a, b);
    if ((a & ~sign_mask(f)) < (b & ~sign_mask(f))) {
        uint64_t swap = a;
        a = b;
        b = swap;
    }
    bool sign = (a & sign_mask(f)) != 0, signs_differ = ((a ^ b) & sign_mask(f)) != 0;
    struct parts x = take_apart(f, a), y = take_apart(f, b);
    if (y.significand == 0) {
        if (x.significand != 0) {
            return round_pack(f, env, sign, x.exp, x.significand); /* a denormal may be tiny */
        }
        return signs_differ ? (ieee_rounding(env) == IEEE_DOWN ? sign_mask(f) : 0) : a;
    }
    /* One bit of headroom for the carry. */
    uint64_t big = x.significand >> 1, small = shift_right_sticky(y.significand, (unsigned)(x.exp - y.exp) + 1);
    uint64_t sum = signs_differ ? big - small : big + small;
    if (sum == 0) {
        return ieee_rounding(env) == IEEE_DOWN ? sign_mask(f) : 0;
    }
    unsigned shift = clz64(sum);
    return round_pack(f, env, sign, x.exp + 1 - (int)shift, sum << shift);
}

/* ---- multiplication, division, square root ---- */

static ALWAYS_INLINE uint64_t multiply(struct format f, struct ieee_env *env, uint64_t a, uint64_t b)
{
    a = operand(f, env, a);
    b = operand(f, env, b);
    uint64_t sign = (a ^ b) & sign_mask(f);
    if (UNLIKELY(exp_of(f, a) == f.exp_max || exp_of(f, b) == f.exp_max)) {
        if (is_nan(f, a) || is_nan(f, b)) {
            return propagate_nan(f, env, a, b);
        }
        if (is_zero(f, a) || is_zero(f, b)) {
            return invalid(f, env);
        }
        note_denormals(f, env, a, b);
        return sign | infinity(f);
    }
    note_denormals(f, env, a, b);
    struct parts x = take_apart(f, a), y = take_apart(f, b);
    if (x.significand == 0 || y.significand == 0) {
        return sign;
    }
    struct u128 product = mul64(x.significand, y.significand);
    uint64_t significand = product.hi | (product.lo != 0);
    int exp = x.exp + y.exp - f.exp_max / 2 + 1;
    if (!(significand >> 63)) {
        significand = product.hi << 1 | product.lo >> 63 | (product.lo << 1 != 0);
        exp--;
    }
    return round_pack(f, env, sign != 0, exp, significand);
}

static ALWAYS_INLINE uint64_t divide(struct format f, struct ieee_env *env, uint64_t a, uint64_t b)
{
    a = operand(f, env, a);
    b = operand(f, env, b);
    uint64_t sign = (a ^ b) & sign_mask(f), remainder;
    if (is_nan(f, a) || is_nan(f, b)) {
        return propagate_nan(f, env, a, b);
    }
    if ((is_infinity(f, a) && is_infinity(f, b)) || (is_zero(f, a) && is_zero(f, b))) {
        return invalid(f, env);
    }
    if (is_infinity(f, a)) {
        note_denormals(f, env, a, b);
        return sign | infinity(f);
    }
    if (is_zero(f, b)) {
        env->flags |= IEEE_ZE; /* goes before a denormal operand: SDM vol. 1, 4.9.2 */
        return sign | infinity(f);
    }
    note_denormals(f, env, a, b);
    if (is_infinity(f, b)) {
        return sign;
    }
    struct parts x = take_apart(f, a), y = take_apart(f, b);
    if (x.significand == 0) {
        return sign;
    }
    int exp = x.exp - y.exp + f.exp_max / 2;
    uint64_t high = x.significand, low = 0;
    if (high >= y.significand) {
        low = high << 63;
        high >>= 1;
    } else {
        exp--;
    }
    uint64_t quotient = div128(high, low, y.significand, &remainder);
    return round_pack(f, env, sign != 0, exp, quotient | (remainder != 0));
}

static ALWAYS_INLINE uint64_t square_root(struct format f, struct ieee_env *env, uint64_t a)
{
    a = operand(f, env, a);
    if (is_nan(f, a)) {
        return propagate_nan(f, env, a, a);
    }
    if (is_zero(f, a)) {
        return a;
    }
    if (a & sign_mask(f)) {
        return invalid(f, env);
    }
    if (is_infinity(f, a)) {
        return a;
    }
    note_denormals(f, env, a, a);
    struct parts x = take_apart(f, a);
    int bias = f.exp_max / 2, unbiased = x.exp - bias;
    /* Digit by digit: the root of a number from 1 to 4, with two bits more than the precision. */
    unsigned digits = f.precision + 2;
    bool is_odd = (unbiased & 1) != 0;
    uint64_t source = x.significand >> (is_odd ? 0 : 1), root = 0, rest = 0; /* two integer bits, 62 of fraction */
    for (unsigned k = 0; k < digits; k++) {
        /* Two more bits of the radicand, then one of the root; rest stays below 2 * root + 1. */
        uint64_t trial = root << 2 | 1;
        rest = rest << 2 | source >> 62;
        source <<= 2;
        root <<= 1;
        if (rest >= trial) {
            rest -= trial;
            root |= 1;
        }
    }
    uint64_t significand = root << (64 - digits) | (rest != 0);
    int half = (unbiased - (is_odd ? 1 : 0)) / 2;
    return round_pack(f, env, false, half + bias, significand);
}

/* ---- comparison ---- */

static ALWAYS_INLINE enum ieee_relation relation(struct format f, uint64_t a, uint64_t b)
{
    bool a_sign = (a & sign_mask(f)) != 0, b_sign = (b & sign_mask(f)) != 0;

    if (is_nan(f, a) || is_nan(f, b)) {
        return IEEE_UNORDERED;
    }
    if (a == b || (is_zero(f, a) && is_zero(f, b))) {
        return IEEE_EQUAL;
    }
    if (a_sign != b_sign) {
        return a_sign ? IEEE_LESS : IEEE_GREATER;
    }
    return (a < b) != a_sign ? IEEE_LESS : IEEE_GREATER;
}

static ALWAYS_INLINE enum ieee_relation compare(struct format f, struct ieee_env *env, uint64_t a, uint64_t b,
                                                bool is_quiet)
{
    a = operand(f, env, a);
    b = operand(f, env, b);
    enum ieee_relation r = relation(f, a, b);
    if (r == IEEE_UNORDERED) {
        env->flags |= !is_quiet || is_snan(f, a) || is_snan(f, b) ? (uint32_t)IEEE_IE : 0;
    } else {
        note_denormals(f, env, a, b);
    }
    return r;
}

static ALWAYS_INLINE uint64_t choose(struct format f, struct ieee_env *env, uint64_t a, uint64_t b,
                                     enum ieee_relation first)
{
    enum ieee_relation r = compare(f, env, a, b, false);

    return operand(f, env, r == first ? a : b);
}

/* ---- conversion ---- */

/* The integer nearest to significand / 2^63 * 2^unbiased in the given rounding, for unbiased < 64; *rest: inexact. 2^64 wraps to 0. */
static ALWAYS_INLINE uint64_t round_integer(uint64_t significand, int unbiased, bool sign, enum ieee_rounding rounding,
                                            bool *rest)
{
    if (unbiased >= 63) {
        *rest = false;
        return significand;
    }
    /* Fixed point with the fraction in 64 bits of its own. */
    unsigned shift = (unsigned)(63 - unbiased);
    uint64_t whole = shift < 64 ? significand >> shift : 0;
    uint64_t fraction = shift < 64 ? significand << (64 - shift) : shift_right_sticky(significand, shift - 64);
    bool up;
    switch (rounding) {
    case IEEE_NEAREST:
        up = fraction > UINT64_C(1) << 63 || (fraction == UINT64_C(1) << 63 && (whole & 1));
        break;
    case IEEE_DOWN:
        up = sign && fraction;
        break;
    case IEEE_UP:
        up = !sign && fraction;
        break;
    case IEEE_TRUNCATE:
    default:
        up = false;
        break;
    }
    *rest = fraction != 0;
    return whole + up;
}

static ALWAYS_INLINE uint64_t to_integer(struct format f, struct ieee_env *env, uint64_t a, enum ieee_rounding rounding,
                                         unsigned bits)
{
    uint64_t smallest = UINT64_C(1) << (bits - 1), magnitude;
    bool sign, rest;

    a = operand(f, env, a);
    sign = (a & sign_mask(f)) != 0;
    struct parts x = take_apart(f, a);
    int unbiased = x.exp - f.exp_max / 2;
    if (exp_of(f, a) == f.exp_max || unbiased > 63) {
        env->flags |= IEEE_IE;
        return smallest;
    }
    if (x.significand == 0) {
        return 0;
    }
    magnitude = round_integer(x.significand, unbiased, sign, rounding, &rest);
    if (magnitude > smallest || (magnitude == smallest && !sign)) {
        env->flags |= IEEE_IE;
        return smallest;
    }
    env->flags |= rest ? (uint32_t)IEEE_PE : 0;
    return sign ? 0 - magnitude : magnitude;
}

static ALWAYS_INLINE uint64_t from_integer(struct format f, struct ieee_env *env, int64_t value)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    if (value == 0) {
        return 0;
    }
    unsigned shift = clz64(magnitude);
    return round_pack(f, env, value < 0, f.exp_max / 2 + 63 - (int)shift, magnitude << shift);
}

static ALWAYS_INLINE uint64_t round_integral(struct format f, struct ieee_env *env, uint64_t a,
                                             enum ieee_rounding rounding, bool is_silent)
{
    a = operand(f, env, a);
    if (is_nan(f, a)) {
        return propagate_nan(f, env, a, a);
    }
    uint64_t sign = a & sign_mask(f);
    struct parts x = take_apart(f, a);
    int bias = f.exp_max / 2, unbiased = x.exp - bias;
    bool rest;
    if (x.significand == 0 || unbiased >= (int)fraction_bits(f)) {
        return a;
    }
    uint64_t whole = round_integer(x.significand, unbiased, sign != 0, rounding, &rest);
    env->flags |= rest && !is_silent ? (uint32_t)IEEE_PE : 0;
    if (whole == 0) {
        return sign;
    }
    unsigned shift = clz64(whole);
    uint64_t fraction = (whole << shift) >> (64 - f.precision) & fraction_mask(f);
    return sign | (uint64_t)(bias + 63 - (int)shift) << fraction_bits(f) | fraction;
}

uint64_t f32_to_f64(struct ieee_env *env, uint32_t bits)
{
    uint64_t a = operand(F32, env, bits), sign = (a & sign_mask(F32)) << 32;

    if (exp_of(F32, a) == F32.exp_max) {
        env->flags |= is_snan(F32, a) ? (uint32_t)IEEE_IE : 0;
        return sign | infinity(F64) | (a & fraction_mask(F32)) << 29 | (is_nan(F32, a) ? quiet_bit(F64) : 0);
    }
    note_denormals(F32, env, a, 0);
    struct parts x = take_apart(F32, a);
    if (x.significand == 0) {
        return sign;
    }
    return sign | (uint64_t)(x.exp - 127 + 1023) << 52 | (x.significand << 1 >> 12);
}

uint32_t f64_to_f32(struct ieee_env *env, uint64_t bits)
{
    uint64_t a = operand(F64, env, bits), sign = a >> 32 & sign_mask(F32);

    if (exp_of(F64, a) == F64.exp_max) {
        env->flags |= is_snan(F64, a) ? (uint32_t)IEEE_IE : 0;
        return (uint32_t)(sign | infinity(F32) | (a >> 29 & fraction_mask(F32)) |
                          (is_nan(F64, a) ? quiet_bit(F32) : 0));
    }
    note_denormals(F64, env, a, 0);
    struct parts x = take_apart(F64, a);
    if (x.significand == 0) {
        return (uint32_t)sign;
    }
    return (uint32_t)round_pack(F32, env, sign != 0, x.exp - 1023 + 127, x.significand);
}

/* ---- the two formats ---- */

#define FORMAT(bits, F)                                                                                                \
    NOINLINE uint##bits##_t f##bits##_add_exact(struct ieee_env *env, uint##bits##_t a, uint##bits##_t b)              \
    {                                                                                                                  \
        return (uint##bits##_t)add(F, env, a, b, false);                                                               \
    }                                                                                                                  \
    NOINLINE uint##bits##_t f##bits##_sub_exact(struct ieee_env *env, uint##bits##_t a, uint##bits##_t b)              \
    {                                                                                                                  \
        return (uint##bits##_t)add(F, env, a, b, true);                                                                \
    }                                                                                                                  \
    NOINLINE uint##bits##_t f##bits##_mul_exact(struct ieee_env *env, uint##bits##_t a, uint##bits##_t b)              \
    {                                                                                                                  \
        return (uint##bits##_t)multiply(F, env, a, b);                                                                 \
    }                                                                                                                  \
    NOINLINE uint##bits##_t f##bits##_div_exact(struct ieee_env *env, uint##bits##_t a, uint##bits##_t b)              \
    {                                                                                                                  \
        return (uint##bits##_t)divide(F, env, a, b);                                                                   \
    }                                                                                                                  \
    uint##bits##_t f##bits##_sqrt(struct ieee_env *env, uint##bits##_t a)                                              \
    {                                                                                                                  \
        return (uint##bits##_t)square_root(F, env, a);                                                                 \
    }                                                                                                                  \
    uint##bits##_t f##bits##_min(struct ieee_env *env, uint##bits##_t a, uint##bits##_t b)                             \
    {                                                                                                                  \
        return (uint##bits##_t)choose(F, env, a, b, IEEE_LESS);                                                        \
    }                                                                                                                  \
    uint##bits##_t f##bits##_max(struct ieee_env *env, uint##bits##_t a, uint##bits##_t b)                             \
    {                                                                                                                  \
        return (uint##bits##_t)choose(F, env, a, b, IEEE_GREATER);                                                     \
    }                                                                                                                  \
    enum ieee_relation f##bits##_compare(struct ieee_env *env, uint##bits##_t a, uint##bits##_t b, bool is_quiet)      \
    {                                                                                                                  \
        return compare(F, env, a, b, is_quiet);                                                                        \
    }                                                                                                                  \
    uint32_t f##bits##_to_i32(struct ieee_env *env, uint##bits##_t a, enum ieee_rounding rounding)                     \
    {                                                                                                                  \
        return (uint32_t)to_integer(F, env, a, rounding, 32);                                                          \
    }                                                                                                                  \
    uint64_t f##bits##_to_i64(struct ieee_env *env, uint##bits##_t a, enum ieee_rounding rounding)                     \
    {                                                                                                                  \
        return to_integer(F, env, a, rounding, 64);                                                                    \
    }                                                                                                                  \
    uint##bits##_t f##bits##_from_i64(struct ieee_env *env, int64_t value)                                             \
    {                                                                                                                  \
        return (uint##bits##_t)from_integer(F, env, value);                                                            \
    }                                                                                                                  \
    uint##bits##_t f##bits##_round(struct ieee_env *env, uint##bits##_t a, enum ieee_rounding rounding,                \
                                   bool is_silent)                                                                     \
    {                                                                                                                  \
        return (uint##bits##_t)round_integral(F, env, a, rounding, is_silent);                                         \
    }
FORMAT(32, F32)
FORMAT(64, F64)

/* ---- approximations ---- */

/* Nearest with 12 significant bits; `exp` as for round_pack. */
static uint32_t approximation(bool sign, int exp, uint64_t significand)
{
    uint64_t unit = UINT64_C(1) << 52, rounded = (significand + (unit >> 1)) & ~(unit - 1);
    uint32_t sign_bit = (uint32_t)sign << 31;

    if (rounded < significand && !(rounded >> 63)) {
        rounded = UINT64_C(1) << 63;
        exp++;
    }
    if (exp <= 0) {
        return sign_bit;
    }
    return exp >= 0xff ? sign_bit | (uint32_t)infinity(F32)
                       : sign_bit | (uint32_t)exp << 23 | (uint32_t)(rounded >> 40 & fraction_mask(F32));
}

uint32_t f32_reciprocal(uint32_t a)
{
    bool sign = a >> 31;
    uint64_t remainder;

    if (is_nan(F32, a)) {
        return a | (uint32_t)quiet_bit(F32);
    }
    if (is_infinity(F32, a)) {
        return a & 0x80000000u;
    }
    if (exp_of(F32, a) == 0) {
        return (a & 0x80000000u) | (uint32_t)infinity(F32);
    }
    struct parts x = take_apart(F32, a);
    if (x.significand << 1 == 0) {
        return approximation(sign, 2 * 127 - x.exp, UINT64_C(1) << 63);
    }
    return approximation(sign, 2 * 127 - 1 - x.exp, div128(UINT64_C(1) << 63, 0, x.significand, &remainder));
}

uint32_t f32_reciprocal_sqrt(uint32_t a)
{
    struct ieee_env env = { 0x1f80, 0 };

    if (is_nan(F32, a)) {
        return a | (uint32_t)quiet_bit(F32);
    }
    if (exp_of(F32, a) == 0) {
        return (a & 0x80000000u) | (uint32_t)infinity(F32);
    }
    if (a >> 31) {
        return F32_INDEFINITE;
    }
    if (is_infinity(F32, a)) {
        return 0;
    }
    uint64_t one = UINT64_C(0x3ff0000000000000);
    struct parts x = take_apart(F64, f64_div_exact(&env, one, f64_sqrt(&env, f32_to_f64(&env, a))));
    return approximation(false, x.exp - 1023 + 127, x.significand);
}
