/* float80.h - the arithmetic of the x87: double extended precision numbers, computed with integers
 * only.
 *
 * Documents: Intel SDM vol. 1, chapter 8 "Programming with the x87 FPU", and the instruction pages
 * of vol. 2A. Where these leave a choice, the answer is that of an AMD EPYC (family 25, model 17),
 * with which tests/unit/test_float80.c compares; no Intel processor has been measured.
 *
 * Nothing here knows the register stack: stack faults, tags, pointers and "is the result written"
 * belong to the caller. The rules for every function with a struct fpu_env:
 *  - env->control is read; bits are OR-ed into env->exceptions, and env->rounded_up is set when the
 * result was inexact and its magnitude was rounded up (C1). Callers start from
 * FPU_ENV_INIT(control).
 *  - Unmasked faults: when fpu_env_is_prevented(env) afterwards, an
 * unmasked IE, DE or ZE has been found before the operation; the result is meaningless and neither
 * registers nor memory may change.
 *  - Overflow and underflow to a register: the result is always to be written; when OE or UE is
 * unmasked, it carries the exponent adjusted by 24576 (SDM vol. 1, 8.5.4 and 8.5.5).
 *  - Overflow and underflow to memory (f80_to_float32, f80_to_float64): when
 * fpu_env_is_store_prevented(env), the store, and the pop, must not be done.
 *
 * Not implemented: the 8087's and 287's projective infinity and their NaN handling. */
#ifndef TICK86_CPU_FLOAT80_H
#define TICK86_CPU_FLOAT80_H

#include <stdbool.h>
#include <stdint.h>

/* Bits of the status word and, as masks, of the control word. */
enum {
    FPU_IE = 0x01, /* invalid operation */
    FPU_DE = 0x02, /* denormal operand */
    FPU_ZE = 0x04, /* divide by zero */
    FPU_OE = 0x08, /* overflow */
    FPU_UE = 0x10, /* underflow */
    FPU_PE = 0x20, /* inexact result, "precision" */
};

/* Fields of the control word. */
enum {
    FPU_PC_MASK = 0x0300,
    FPU_PC_24 = 0x0000,
    FPU_PC_53 = 0x0200,
    FPU_PC_64 = 0x0300, /* 0x0100 is reserved and acts as 64 bits */
    FPU_RC_MASK = 0x0c00,
    FPU_RC_NEAREST = 0x0000,
    FPU_RC_DOWN = 0x0400,
    FPU_RC_UP = 0x0800,
    FPU_RC_ZERO = 0x0c00,
};

/* A register: mantissa with its explicit integer bit 63; sign in bit 15 of sign_exp, exponent (bias
 * 3fffh) below. */
struct float80 {
    uint64_t mantissa;
    uint16_t sign_exp;
};

struct fpu_env {
    uint16_t control;    /* in: the x87 control word */
    uint16_t exceptions; /* out: FPU_IE to FPU_PE */
    bool rounded_up;     /* out: C1 of inexact results */
};

#define FPU_ENV_INIT(control_word)                                                                 \
    {                                                                                              \
        (control_word), 0, false                                                                   \
    }

/* An unmasked exception was found before the operation: nothing may be written. */
static inline bool fpu_env_is_prevented(const struct fpu_env *env)
{
    return (env->exceptions & ~env->control & (FPU_IE | FPU_DE | FPU_ZE)) != 0;
}

/* The same for a store to memory, where unmasked overflow and underflow prevent the store too. */
static inline bool fpu_env_is_store_prevented(const struct fpu_env *env)
{
    return (env->exceptions & ~env->control & (FPU_IE | FPU_OE | FPU_UE)) != 0;
}

enum f80_class {
    F80_CLASS_UNSUPPORTED, /* pseudo-NaN, pseudo-infinity, unnormal */
    F80_CLASS_NAN,
    F80_CLASS_NORMAL,
    F80_CLASS_INFINITY,
    F80_CLASS_ZERO,
    F80_CLASS_DENORMAL, /* and pseudo-denormal: exponent 0, integer bit set */
};

enum f80_relation { F80_LESS, F80_EQUAL, F80_GREATER, F80_UNORDERED };

/* What FPREM leaves in the condition codes: C0 = bit 2, C3 = bit 1, C1 = bit 0 of the quotient, C2
 * = incomplete. quotient is 0 where the reduction is incomplete. */
struct f80_quotient {
    uint8_t quotient;
    bool is_incomplete;
};

enum f80_constant {
    F80_CONST_ONE,  /* FLD1 */
    F80_CONST_L2T,  /* FLDL2T, log2(10) */
    F80_CONST_L2E,  /* FLDL2E, log2(e) */
    F80_CONST_PI,   /* FLDPI */
    F80_CONST_LG2,  /* FLDLG2, log10(2) */
    F80_CONST_LN2,  /* FLDLN2 */
    F80_CONST_ZERO, /* FLDZ */
};

/* The real indefinite: the default answer to a masked invalid operation. */
static inline struct float80 f80_indefinite(void)
{
    return (struct float80) { UINT64_C(0xc000000000000000), 0xffff };
}

/* FXAM, and the class of a value in general. No exceptions. */
enum f80_class f80_classify(struct float80 a);

/* The two bits of the tag word for a register in use: 0 valid, 1 zero, 2 special. */
unsigned f80_tag(struct float80 a);

/* FLD1 to FLDZ: rounded as the RC field says, without exceptions (387 and later). */
struct float80 f80_constant(enum f80_constant which, uint16_t control);

/* FCHS and FABS. No exceptions. */
static inline struct float80 f80_chs(struct float80 a)
{
    return (struct float80) { a.mantissa, (uint16_t)(a.sign_exp ^ 0x8000) };
}

static inline struct float80 f80_abs(struct float80 a)
{
    return (struct float80) { a.mantissa, (uint16_t)(a.sign_exp & 0x7fff) };
}

/* Basic arithmetic: a op b, rounded to the precision that PC asks for. */
struct float80 f80_add(struct fpu_env *env, struct float80 a, struct float80 b);
struct float80 f80_sub(struct fpu_env *env, struct float80 a, struct float80 b);
struct float80 f80_mul(struct fpu_env *env, struct float80 a, struct float80 b);
struct float80 f80_div(struct fpu_env *env, struct float80 a, struct float80 b);
struct float80 f80_sqrt(struct fpu_env *env, struct float80 a);

/* FPREM (quotient truncated) and FPREM1 (quotient to nearest, even), a = ST(0), b = ST(1). */
struct float80 f80_prem(struct fpu_env *env, struct float80 a, struct float80 b,
                        struct f80_quotient *q);
struct float80 f80_prem1(struct fpu_env *env, struct float80 a, struct float80 b,
                         struct f80_quotient *q);

/* FRNDINT. */
struct float80 f80_rint(struct fpu_env *env, struct float80 a);

/* FSCALE: a * 2^trunc(b), a = ST(0), b = ST(1). */
struct float80 f80_scale(struct fpu_env *env, struct float80 a, struct float80 b);

/* FXTRACT: the exponent goes where a was, the significand is returned in *significand, to be
 * pushed. */
struct float80 f80_xtract(struct fpu_env *env, struct float80 a, struct float80 *significand);

/* FCOM, FCOMI, FTST (is_quiet false: every NaN is invalid) and FUCOM, FUCOMI (is_quiet true: only
 * SNaNs are). */
enum f80_relation f80_compare(struct fpu_env *env, struct float80 a, struct float80 b,
                              bool is_quiet);

/* FLD m32/m64 (denormal operand, SNaN) and FST m32/m64. Bits as in memory, in host order. */
struct float80 f80_from_float32(struct fpu_env *env, uint32_t bits);
struct float80 f80_from_float64(struct fpu_env *env, uint64_t bits);
uint32_t f80_to_float32(struct fpu_env *env, struct float80 a);
uint64_t f80_to_float64(struct fpu_env *env, struct float80 a);

/* FILD (exact; widen the smaller sizes), FIST and FISTTP. IE and the integer indefinite on NaN and
 * overflow. */
struct float80 f80_from_int64(int64_t value);
int16_t f80_to_int16(struct fpu_env *env, struct float80 a);
int32_t f80_to_int32(struct fpu_env *env, struct float80 a);
int64_t f80_to_int64(struct fpu_env *env, struct float80 a);
int16_t f80_to_int16_truncate(struct fpu_env *env, struct float80 a);
int32_t f80_to_int32_truncate(struct fpu_env *env, struct float80 a);
int64_t f80_to_int64_truncate(struct fpu_env *env, struct float80 a);

/* FBLD and FBSTP: ten bytes as in memory, the sign in bit 7 of the last one. */
struct float80 f80_from_bcd(const uint8_t bcd[10]);
void f80_to_bcd(struct fpu_env *env, struct float80 a, uint8_t bcd[10]);

/* Transcendentals (float80_trans.c), rounded as RC says to 64 bits, whatever PC is. PE for every
 * inexact result, and as on hardware for exact ones of F2XM1 and FYL2X. FSINCOS: C1 is the
 * cosine's. */
/* F2XM1: 2^a - 1. */
struct float80 f80_2xm1(struct fpu_env *env, struct float80 a);
/* FYL2X: y * log2(x), and FYL2XP1: y * log2(x + 1); y = ST(1), x = ST(0). */
struct float80 f80_yl2x(struct fpu_env *env, struct float80 y, struct float80 x);
struct float80 f80_yl2xp1(struct fpu_env *env, struct float80 y, struct float80 x);
/* FPATAN: the angle of the point (x, y), y = ST(1), x = ST(0). */
struct float80 f80_patan(struct fpu_env *env, struct float80 y, struct float80 x);
/* FSIN, FCOS, FSINCOS, FPTAN. False: |a| >= 2^63, so C2 is to be set, and the outputs are not
 * written. FPTAN's *pushed is the value to push: 1.0, or the NaN where the result is one. FSINCOS:
 * the sine replaces a, the cosine is pushed. */
bool f80_sin(struct fpu_env *env, struct float80 a, struct float80 *sine);
bool f80_cos(struct fpu_env *env, struct float80 a, struct float80 *cosine);
bool f80_sincos(struct fpu_env *env, struct float80 a, struct float80 *sine,
                struct float80 *cosine);
bool f80_ptan(struct fpu_env *env, struct float80 a, struct float80 *tangent,
              struct float80 *pushed);

#endif
