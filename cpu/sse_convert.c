/* sse_convert.c - conversions between integers and floating-point numbers, and between the two formats.
 *
 * SDM vol. 1, 4.8.4, 10.4.5, 11.4.1.6; the CVT pages of vol. 2. Results that do not fit are the integer indefinite, with IE. Those with
 * an MMX register enter MMX state (SDM vol. 1, 9.6.1), even when they end in #XM as measured, and wait for x87 exceptions first. */
#include "cpu/sse_float.h"

/* ---- general registers ---- */

#define FROM_GENERAL(name, general_bits, bits, LANE)                                                                   \
    static ALWAYS_INLINE bool b_##name##general_bits(struct cpu *cpu, const struct insn *insn, enum form form)         \
    {                                                                                                                  \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        uint##general_bits##_t value;                                                                                  \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            value = reg##general_bits(cpu, insn->r2);                                                                  \
        } else if (!load##general_bits(cpu, insn, form, &value)) {                                                     \
            return false;                                                                                              \
        }                                                                                                              \
        uint##bits##_t result = f##bits##_from_i64(&env, (int##general_bits##_t)value);                                \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        LANE(&cpu->xmm[insn->r1], 0) = result;                                                                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_REG(name##general_bits)                                                                                       \
    SSE_MEMORY(name##general_bits, 1)
FROM_GENERAL(cvtsi2ss, 32, 32, VD)
FROM_GENERAL(cvtsi2ss, 64, 32, VD)
FROM_GENERAL(cvtsi2sd, 32, 64, VQ)
FROM_GENERAL(cvtsi2sd, 64, 64, VQ)

#define TO_GENERAL(name, general_bits, bits, rounding)                                                                 \
    static ALWAYS_INLINE bool b_##name##general_bits(struct cpu *cpu, const struct insn *insn, enum form form)         \
    {                                                                                                                  \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        uint##bits##_t value;                                                                                          \
        if (!operand_low##bits(cpu, insn, form, &value)) {                                                             \
            return false;                                                                                              \
        }                                                                                                              \
        uint##general_bits##_t result = f##bits##_to_i##general_bits(&env, value, rounding);                           \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        set_reg##general_bits(cpu, insn->r1, result);                                                                  \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_REG(name##general_bits)                                                                                       \
    SSE_MEMORY(name##general_bits, 1)
TO_GENERAL(cvtss2si, 32, 32, ieee_rounding(&env))
TO_GENERAL(cvtss2si, 64, 32, ieee_rounding(&env))
TO_GENERAL(cvtsd2si, 32, 64, ieee_rounding(&env))
TO_GENERAL(cvtsd2si, 64, 64, ieee_rounding(&env))
TO_GENERAL(cvttss2si, 32, 32, IEEE_TRUNCATE)
TO_GENERAL(cvttss2si, 64, 32, IEEE_TRUNCATE)
TO_GENERAL(cvttsd2si, 32, 64, IEEE_TRUNCATE)
TO_GENERAL(cvttsd2si, 64, 64, IEEE_TRUNCATE)

/* By operand size: 32 bits, or 64 with REX.W. */
#define BIND_32_64(name)                                                                                               \
    extern const struct binding bind_##name;                                                                           \
    const struct binding bind_##name = { { [LIVE] = {                                                                  \
        [FORM_REG] = { NULL, NULL, h_##name##32, h_##name##64 },                                                       \
        [FORM_GENERIC] = { NULL, NULL, h_##name##32_m, h_##name##64_m },                                               \
        [FORM_BD] = { NULL, NULL, h_##name##32_bd, h_##name##64_bd },                                                  \
        [FORM_BID] = { NULL, NULL, h_##name##32_bid, h_##name##64_bid },                                                  \
        [FORM_LBD] = { NULL, NULL, h_##name##32_lbd, h_##name##64_lbd },                                                  \
        [FORM_LBID] = { NULL, NULL, h_##name##32_lbid, h_##name##64_lbid } } } };
BIND_32_64(cvtsi2ss)
BIND_32_64(cvtsi2sd)
BIND_32_64(cvtss2si)
BIND_32_64(cvtsd2si)
BIND_32_64(cvttss2si)
BIND_32_64(cvttsd2si)

/* ---- between the formats, lowest element ---- */

static ALWAYS_INLINE bool b_cvtss2sd(struct cpu *cpu, const struct insn *insn, enum form form)
{
    struct ieee_env env = { cpu->mxcsr, 0 };
    uint32_t value;

    if (!operand_low32(cpu, insn, form, &value)) {
        return false;
    }
    uint64_t result = f32_to_f64(&env, value);
    if (!sse_commit(cpu, &env)) {
        return false;
    }
    cpu->xmm[insn->r1].q[0] = result;
    return true;
}
SSE_BIND_RM(cvtss2sd, 1)

static ALWAYS_INLINE bool b_cvtsd2ss(struct cpu *cpu, const struct insn *insn, enum form form)
{
    struct ieee_env env = { cpu->mxcsr, 0 };
    uint64_t value;

    if (!operand_low64(cpu, insn, form, &value)) {
        return false;
    }
    uint32_t result = f64_to_f32(&env, value);
    if (!sse_commit(cpu, &env)) {
        return false;
    }
    VD(&cpu->xmm[insn->r1], 0) = result;
    return true;
}
SSE_BIND_RM(cvtsd2ss, 1)

/* ---- packed, from a whole operand ---- */

#define CONVERT_WHOLE(name)                                                                                            \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        xmm b;                                                                                                         \
        if (!operand_whole(cpu, insn, form, &b)) {                                                                     \
            return false;                                                                                              \
        }                                                                                                              \
        b = c_##name(&env, &b);                                                                                        \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = b;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)
/* From the low quadword. */
#define CONVERT_HALF(name)                                                                                             \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        xmm b = { { 0, 0 } };                                                                                          \
        if (!operand_low64(cpu, insn, form, &b.q[0])) {                                                                \
            return false;                                                                                              \
        }                                                                                                              \
        b = c_##name(&env, &b);                                                                                        \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = b;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)

static ALWAYS_INLINE xmm c_cvtdq2ps(struct ieee_env *env, const xmm *b)
{
    xmm r;

    for (unsigned k = 0; k < 4; k++) {
        VD(&r, k) = f32_from_i64(env, (int32_t)VD(b, k));
    }
    return r;
}
CONVERT_WHOLE(cvtdq2ps)

static ALWAYS_INLINE xmm ps_to_dq(struct ieee_env *env, const xmm *b, enum ieee_rounding rounding)
{
    xmm r;

    for (unsigned k = 0; k < 4; k++) {
        VD(&r, k) = f32_to_i32(env, VD(b, k), rounding);
    }
    return r;
}
static ALWAYS_INLINE xmm c_cvtps2dq(struct ieee_env *env, const xmm *b) { return ps_to_dq(env, b, ieee_rounding(env)); }
CONVERT_WHOLE(cvtps2dq)
static ALWAYS_INLINE xmm c_cvttps2dq(struct ieee_env *env, const xmm *b) { return ps_to_dq(env, b, IEEE_TRUNCATE); }
CONVERT_WHOLE(cvttps2dq)

static ALWAYS_INLINE xmm pd_to_dq(struct ieee_env *env, const xmm *b, enum ieee_rounding rounding)
{
    uint64_t low = f64_to_i32(env, b->q[0], rounding), high = f64_to_i32(env, b->q[1], rounding);

    return (xmm){ { low | high << 32, 0 } };
}
static ALWAYS_INLINE xmm c_cvtpd2dq(struct ieee_env *env, const xmm *b) { return pd_to_dq(env, b, ieee_rounding(env)); }
CONVERT_WHOLE(cvtpd2dq)
static ALWAYS_INLINE xmm c_cvttpd2dq(struct ieee_env *env, const xmm *b) { return pd_to_dq(env, b, IEEE_TRUNCATE); }
CONVERT_WHOLE(cvttpd2dq)

static ALWAYS_INLINE xmm c_cvtpd2ps(struct ieee_env *env, const xmm *b)
{
    uint64_t low = f64_to_f32(env, b->q[0]), high = f64_to_f32(env, b->q[1]);

    return (xmm){ { low | high << 32, 0 } };
}
CONVERT_WHOLE(cvtpd2ps)

static ALWAYS_INLINE xmm c_cvtps2pd(struct ieee_env *env, const xmm *b)
{
    return (xmm){ { f32_to_f64(env, VD(b, 0)), f32_to_f64(env, VD(b, 1)) } };
}
CONVERT_HALF(cvtps2pd)

static ALWAYS_INLINE xmm c_cvtdq2pd(struct ieee_env *env, const xmm *b)
{
    return (xmm){ { f64_from_i64(env, (int32_t)VD(b, 0)), f64_from_i64(env, (int32_t)VD(b, 1)) } };
}
CONVERT_HALF(cvtdq2pd)

/* ---- MMX registers ---- */

/* mm to xmm. A memory operand does not touch MMX registers and leaves the x87 alone. */
static ALWAYS_INLINE bool operand_mmx(struct cpu *cpu, const struct insn *insn, enum form form, uint64_t *value)
{
    if (!sse_ready(cpu)) {
        return false;
    }
    if (form != FORM_REG) {
        return load64(cpu, insn, form, value);
    }
    if (!mmx_ready(cpu)) {
        return false;
    }
    *value = mmx_get(cpu, insn->r2);
    return true;
}

static ALWAYS_INLINE bool b_cvtpi2ps(struct cpu *cpu, const struct insn *insn, enum form form)
{
    struct ieee_env env = { cpu->mxcsr, 0 };
    uint64_t value;

    if (!operand_mmx(cpu, insn, form, &value)) {
        return false;
    }
    uint64_t low = f32_from_i64(&env, (int32_t)(uint32_t)value);
    uint64_t high = f32_from_i64(&env, (int32_t)(uint32_t)(value >> 32));
    if (form == FORM_REG) {
        mmx_enter(cpu);
    }
    if (!sse_commit(cpu, &env)) {
        return false;
    }
    cpu->xmm[insn->r1].q[0] = low | high << 32;
    return true;
}
SSE_BIND_RM(cvtpi2ps, 1)

static ALWAYS_INLINE bool b_cvtpi2pd(struct cpu *cpu, const struct insn *insn, enum form form)
{
    struct ieee_env env = { cpu->mxcsr, 0 };
    uint64_t value;

    if (!operand_mmx(cpu, insn, form, &value)) {
        return false;
    }
    xmm result = { { f64_from_i64(&env, (int32_t)(uint32_t)value),
                     f64_from_i64(&env, (int32_t)(uint32_t)(value >> 32)) } }; /* exact */
    if (form == FORM_REG) {
        mmx_enter(cpu);
    }
    cpu->xmm[insn->r1] = result;
    return true;
}
SSE_BIND_RM(cvtpi2pd, 1)

/* xmm to mm */
#define TO_MMX_PS(name, rounding)                                                                                      \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        uint64_t value;                                                                                                \
        if (!sse_ready(cpu) || !mmx_ready(cpu) || !operand_low64(cpu, insn, form, &value)) {                           \
            return false;                                                                                              \
        }                                                                                                              \
        uint64_t low = f32_to_i32(&env, (uint32_t)value, rounding);                                                    \
        uint64_t high = f32_to_i32(&env, (uint32_t)(value >> 32), rounding);                                           \
        mmx_enter(cpu);                                                                                                \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        mmx_set(cpu, insn->r1, low | high << 32);                                                                      \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)
TO_MMX_PS(cvtps2pi, ieee_rounding(&env))
TO_MMX_PS(cvttps2pi, IEEE_TRUNCATE)

#define TO_MMX_PD(name, rounding)                                                                                      \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        xmm b;                                                                                                         \
        if (!sse_ready(cpu) || !mmx_ready(cpu) || !operand_whole(cpu, insn, form, &b)) {                               \
            return false;                                                                                              \
        }                                                                                                              \
        uint64_t low = f64_to_i32(&env, b.q[0], rounding), high = f64_to_i32(&env, b.q[1], rounding);                  \
        mmx_enter(cpu);                                                                                                \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        mmx_set(cpu, insn->r1, low | high << 32);                                                                      \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)
TO_MMX_PD(cvtpd2pi, ieee_rounding(&env))
TO_MMX_PD(cvttpd2pi, IEEE_TRUNCATE)
