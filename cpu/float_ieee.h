/* float_ieee.h - binary32 and binary64 arithmetic as SSE has it: MXCSR's rounding, DAZ, FTZ and exception flags.
 *
 * SDM vol. 1, 4.8 (formats, rounding, NaNs: table 4-7), 4.9 and 11.5 (exceptions). Everything is integer code, so that results and flags
 * are the same bits on every host. The inline f32_/f64_ functions below first try the host's float unit, and take its result
 * only where it is provably the same:
 *  - MXCSR rounds to nearest, as C programs do, and PE is masked and already set: the only flag that the operation can raise
 *    changes nothing;
 *  - both operands are normal, and so is the result, with an exponent above the smallest: then it is not tiny by
 *    any definition, did not overflow, and is the correctly rounded one by IEEE 754, which leaves no choice;
 *  - the compiler evaluates in the type's own precision (FLT_EVAL_METHOD 0), and a single operation has nothing to contract.
 *
 * Conventions: values are bits in host order; `env->mxcsr` is read, flags are OR-ed into `env->flags`. Masked results are
 * delivered; where an exception is unmasked the result is meaningless and the caller drops it. */
#ifndef CPU_FLOAT_IEEE_H
#define CPU_FLOAT_IEEE_H

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { IEEE_IE = 1, IEEE_DE = 2, IEEE_ZE = 4, IEEE_OE = 8, IEEE_UE = 16, IEEE_PE = 32 };

struct ieee_env {
    uint32_t mxcsr;
    uint32_t flags;
};

enum ieee_relation { IEEE_LESS, IEEE_EQUAL, IEEE_GREATER, IEEE_UNORDERED };
enum ieee_rounding { IEEE_NEAREST, IEEE_DOWN, IEEE_UP, IEEE_TRUNCATE };

#define F32_INDEFINITE UINT32_C(0xffc00000)
#define F64_INDEFINITE UINT64_C(0xfff8000000000000)

/* ---- exact, by integers ---- */

uint32_t f32_add_exact(struct ieee_env *env, uint32_t a, uint32_t b);
uint32_t f32_sub_exact(struct ieee_env *env, uint32_t a, uint32_t b);
uint32_t f32_mul_exact(struct ieee_env *env, uint32_t a, uint32_t b);
uint32_t f32_div_exact(struct ieee_env *env, uint32_t a, uint32_t b);
uint64_t f64_add_exact(struct ieee_env *env, uint64_t a, uint64_t b);
uint64_t f64_sub_exact(struct ieee_env *env, uint64_t a, uint64_t b);
uint64_t f64_mul_exact(struct ieee_env *env, uint64_t a, uint64_t b);
uint64_t f64_div_exact(struct ieee_env *env, uint64_t a, uint64_t b);
uint32_t f32_sqrt(struct ieee_env *env, uint32_t a);
uint64_t f64_sqrt(struct ieee_env *env, uint64_t a);
/* MINSS and MAXSS: the second operand where either is a NaN or both are zeros. */
uint32_t f32_min(struct ieee_env *env, uint32_t a, uint32_t b);
uint32_t f32_max(struct ieee_env *env, uint32_t a, uint32_t b);
uint64_t f64_min(struct ieee_env *env, uint64_t a, uint64_t b);
uint64_t f64_max(struct ieee_env *env, uint64_t a, uint64_t b);
/* A QNaN is invalid unless `is_quiet`. */
enum ieee_relation f32_compare(struct ieee_env *env, uint32_t a, uint32_t b, bool is_quiet);
enum ieee_relation f64_compare(struct ieee_env *env, uint64_t a, uint64_t b, bool is_quiet);

uint64_t f32_to_f64(struct ieee_env *env, uint32_t a);
uint32_t f64_to_f32(struct ieee_env *env, uint64_t a);
/* To integers in the given rounding; IE and the integer indefinite for NaNs and what does not fit. */
uint32_t f32_to_i32(struct ieee_env *env, uint32_t a, enum ieee_rounding rounding);
uint64_t f32_to_i64(struct ieee_env *env, uint32_t a, enum ieee_rounding rounding);
uint32_t f64_to_i32(struct ieee_env *env, uint64_t a, enum ieee_rounding rounding);
uint64_t f64_to_i64(struct ieee_env *env, uint64_t a, enum ieee_rounding rounding);
uint32_t f32_from_i64(struct ieee_env *env, int64_t value);
uint64_t f64_from_i64(struct ieee_env *env, int64_t value);
/* ROUNDSS: to an integral value of the same format; PE unless `is_silent`. */
uint32_t f32_round(struct ieee_env *env, uint32_t a, enum ieee_rounding rounding, bool is_silent);
uint64_t f64_round(struct ieee_env *env, uint64_t a, enum ieee_rounding rounding, bool is_silent);
/* RCPSS and RSQRTSS: correctly rounded to 12 significant bits, which is inside the SDM's error bound of 1.5 * 2^-12.
 * Denormals count as zeros, tiny results become zero, no flags. */
uint32_t f32_reciprocal(uint32_t a);
uint32_t f32_reciprocal_sqrt(uint32_t a);

static inline enum ieee_rounding ieee_rounding(const struct ieee_env *env)
{
    return (enum ieee_rounding)(env->mxcsr >> 13 & 3);
}

/* ---- by the host where that is the same ---- */

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 0 && FLT_RADIX == 2 && FLT_MANT_DIG == 24 && DBL_MANT_DIG == 53 &&       \
    !defined(__FAST_MATH__)
#define IEEE_HOST 1
#else
#define IEEE_HOST 0
#endif

/* RC nearest, PM and PE set. */
static inline bool ieee_is_settled(uint32_t mxcsr) { return IEEE_HOST && (mxcsr & 0x7020) == 0x1020; }

/* *result = a op b when the rules above hold for operands and result; else *result is meaningless. */
#define IEEE_FAST(name, bits, type, op, fraction_bits, exp_max)                                                        \
    static inline bool f##bits##_##name##_fast(uint##bits##_t a, uint##bits##_t b, uint##bits##_t *result)             \
    {                                                                                                                  \
        type x, y, z;                                                                                                  \
        uint##bits##_t r;                                                                                              \
        memcpy(&x, &a, sizeof x);                                                                                      \
        memcpy(&y, &b, sizeof y);                                                                                      \
        z = x op y;                                                                                                    \
        memcpy(&r, &z, sizeof r);                                                                                      \
        *result = r;                                                                                                   \
        return (((unsigned)(a >> fraction_bits) & exp_max) - 1 < exp_max - 1) &                                        \
               (((unsigned)(b >> fraction_bits) & exp_max) - 1 < exp_max - 1) &                                        \
               (((unsigned)(r >> fraction_bits) & exp_max) - 2 < exp_max - 2);                                         \
    }                                                                                                                  \
    static inline uint##bits##_t f##bits##_##name(struct ieee_env *env, uint##bits##_t a, uint##bits##_t b)            \
    {                                                                                                                  \
        uint##bits##_t result;                                                                                         \
        return ieee_is_settled(env->mxcsr) && f##bits##_##name##_fast(a, b, &result)                                   \
                   ? result                                                                                            \
                   : f##bits##_##name##_exact(env, a, b);                                                              \
    }
IEEE_FAST(add, 32, float, +, 23, 0xffu)
IEEE_FAST(sub, 32, float, -, 23, 0xffu)
IEEE_FAST(mul, 32, float, *, 23, 0xffu)
IEEE_FAST(div, 32, float, /, 23, 0xffu)
IEEE_FAST(add, 64, double, +, 52, 0x7ffu)
IEEE_FAST(sub, 64, double, -, 52, 0x7ffu)
IEEE_FAST(mul, 64, double, *, 52, 0x7ffu)
IEEE_FAST(div, 64, double, /, 52, 0x7ffu)

#endif
