/* sse_float.c - SSE, SSE2, SSE3 and SSE4.1 floating-point arithmetic, comparison and rounding.
 *
 * SDM vol. 1, 10.4, 11.4, 11.5 and 12.3 to 12.10; the instruction pages of vol. 2. The arithmetic is in float_ieee.c; here are
 * the operands and what an exception does (sse_commit): nothing is written when an unmasked one is found, and all flags found
 * in any element are set, but those of the results only when no unmasked exception of the operands is there (11.5.2). */
#include "cpu/flags.h"
#include "cpu/sse_float.h"

NOINLINE bool sse_exception(struct cpu *cpu, uint32_t flags)
{
    uint32_t unmasked = flags & ~(cpu->mxcsr >> MXCSR_MASKS_SHIFT);

    if (unmasked & (IEEE_IE | IEEE_DE | IEEE_ZE)) {
        flags &= IEEE_IE | IEEE_DE | IEEE_ZE;
    }
    cpu->mxcsr |= flags;
    return cpu_fault(cpu, cpu->cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD);
}

/* ---- two operands: packed and scalar forms of one operation ---- */

/* xmm, xmm/m128: every element; and xmm, xmm/m32 or m64: the lowest. b_<name> is exact and serves the generic form and
 * h_<name>_slow; u_<name> leaves everything unusual to it, and so needs no call and no stack frame. */
#define FAST_FLAT(name, suffix, form)                                                                                  \
    static HANDLER(h_##name##_##suffix)                                                                                \
    {                                                                                                                  \
        if (UNLIKELY(!u_##name(cpu, insn, form))) {                                                                    \
            TAIL(h_##name##_m);                                                                                        \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }
#define ARITHMETIC(name, suffix_p, suffix_s, bits, LANE, count)                                                        \
    static ALWAYS_INLINE bool b_##name##suffix_p(struct cpu *cpu, const struct insn *insn, enum form form)             \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        if (!operand_whole(cpu, insn, form, &b)) {                                                                     \
            return false;                                                                                              \
        }                                                                                                              \
        for (unsigned k = 0; k < count; k++) {                                                                         \
            LANE(&a, k) = f##bits##_##name(&env, LANE(&a, k), LANE(&b, k));                                            \
        }                                                                                                              \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    static ALWAYS_INLINE bool u_##name##suffix_p(struct cpu *cpu, const struct insn *insn, enum form form)             \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        bool is_usual = true;                                                                                          \
        if (!ieee_is_settled(cpu->mxcsr) || !operand_whole(cpu, insn, form, &b)) {                                     \
            return false;                                                                                              \
        }                                                                                                              \
        for (unsigned k = 0; k < count; k++) {                                                                         \
            is_usual &= f##bits##_##name##_fast(LANE(&a, k), LANE(&b, k), &LANE(&a, k));                               \
        }                                                                                                              \
        if (UNLIKELY(!is_usual)) {                                                                                     \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    BIND_USUAL(name##suffix_p)                                                                                         \
    static ALWAYS_INLINE bool b_##name##suffix_s(struct cpu *cpu, const struct insn *insn, enum form form)             \
    {                                                                                                                  \
        uint##bits##_t b, result;                                                                                      \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        if (!operand_low##bits(cpu, insn, form, &b)) {                                                                 \
            return false;                                                                                              \
        }                                                                                                              \
        result = f##bits##_##name(&env, LANE(&cpu->xmm[insn->r1], 0), b);                                              \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        LANE(&cpu->xmm[insn->r1], 0) = result;                                                                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    static ALWAYS_INLINE bool u_##name##suffix_s(struct cpu *cpu, const struct insn *insn, enum form form)             \
    {                                                                                                                  \
        uint##bits##_t b, result;                                                                                      \
        if (!ieee_is_settled(cpu->mxcsr) || !operand_low##bits(cpu, insn, form, &b) ||                                 \
            UNLIKELY(!f##bits##_##name##_fast(LANE(&cpu->xmm[insn->r1], 0), b, &result))) {                            \
            return false;                                                                                              \
        }                                                                                                              \
        LANE(&cpu->xmm[insn->r1], 0) = result;                                                                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    BIND_USUAL(name##suffix_s)
#define BIND_USUAL(name)                                                                                               \
    static NOINLINE HANDLER(h_##name##_slow)                                                                           \
    {                                                                                                                  \
        if (UNLIKELY(!b_##name(cpu, insn, FORM_REG))) {                                                                \
            return sse_fault_exit(cpu, insn);                                                                          \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_##name)                                                                                           \
    {                                                                                                                  \
        if (UNLIKELY(!u_##name(cpu, insn, FORM_REG))) {                                                                \
            TAIL(h_##name##_slow);                                                                                     \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static NOINLINE HANDLER(h_##name##_m)                                                                              \
    {                                                                                                                  \
        if (UNLIKELY(!b_##name(cpu, insn, FORM_GENERIC))) {                                                            \
            return sse_fault_exit(cpu, insn);                                                                          \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }                                                                                                                  \
    FAST_FLAT(name, bd, FORM_BD)                                                                                       \
    FAST_FLAT(name, bid, FORM_BID)                                                                                     \
    FAST_FLAT(name, lbd, FORM_LBD)                                                                                     \
    FAST_FLAT(name, lbid, FORM_LBID)                                                                                   \
    SIMD_BIND(name, h_##name)
#define ARITHMETIC_BOTH(name) ARITHMETIC(name, ps, ss, 32, VD, 4) ARITHMETIC(name, pd, sd, 64, VQ, 2)
ARITHMETIC_BOTH(add)
ARITHMETIC_BOTH(sub)
ARITHMETIC_BOTH(mul)
ARITHMETIC_BOTH(div)

#define CHOICE(name, suffix_p, suffix_s, bits, LANE, count)                                                            \
    static ALWAYS_INLINE bool b_##name##suffix_p(struct cpu *cpu, const struct insn *insn, enum form form)             \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        if (!operand_whole(cpu, insn, form, &b)) {                                                                     \
            return false;                                                                                              \
        }                                                                                                              \
        for (unsigned k = 0; k < count; k++) {                                                                         \
            LANE(&a, k) = f##bits##_##name(&env, LANE(&a, k), LANE(&b, k));                                            \
        }                                                                                                              \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name##suffix_p, 1)                                                                                     \
    static ALWAYS_INLINE bool b_##name##suffix_s(struct cpu *cpu, const struct insn *insn, enum form form)             \
    {                                                                                                                  \
        uint##bits##_t b, result;                                                                                      \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        if (!operand_low##bits(cpu, insn, form, &b)) {                                                                 \
            return false;                                                                                              \
        }                                                                                                              \
        result = f##bits##_##name(&env, LANE(&cpu->xmm[insn->r1], 0), b);                                              \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        LANE(&cpu->xmm[insn->r1], 0) = result;                                                                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name##suffix_s, 1)
CHOICE(min, ps, ss, 32, VD, 4)
CHOICE(min, pd, sd, 64, VQ, 2)
CHOICE(max, ps, ss, 32, VD, 4)
CHOICE(max, pd, sd, 64, VQ, 2)

/* ---- one operand ---- */

#define UNARY(name, function, suffix_p, suffix_s, bits, LANE, count)                                                   \
    static ALWAYS_INLINE bool b_##name##suffix_p(struct cpu *cpu, const struct insn *insn, enum form form)             \
    {                                                                                                                  \
        xmm a, b;                                                                                                      \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        if (!operand_whole(cpu, insn, form, &b)) {                                                                     \
            return false;                                                                                              \
        }                                                                                                              \
        for (unsigned k = 0; k < count; k++) {                                                                         \
            LANE(&a, k) = function(&env, LANE(&b, k));                                                                 \
        }                                                                                                              \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name##suffix_p, 1)                                                                                    \
    static ALWAYS_INLINE bool b_##name##suffix_s(struct cpu *cpu, const struct insn *insn, enum form form)             \
    {                                                                                                                  \
        uint##bits##_t b, result;                                                                                      \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        if (!operand_low##bits(cpu, insn, form, &b)) {                                                                 \
            return false;                                                                                              \
        }                                                                                                              \
        result = function(&env, b);                                                                                    \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        LANE(&cpu->xmm[insn->r1], 0) = result;                                                                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name##suffix_s, 1)

static ALWAYS_INLINE uint32_t reciprocal(struct ieee_env *env, uint32_t b)
{
    (void)env;
    return f32_reciprocal(b);
}
static ALWAYS_INLINE uint32_t reciprocal_sqrt(struct ieee_env *env, uint32_t b)
{
    (void)env;
    return f32_reciprocal_sqrt(b);
}
UNARY(sqrt, f32_sqrt, ps, ss, 32, VD, 4)
UNARY(sqrt, f64_sqrt, pd, sd, 64, VQ, 2)
UNARY(rcp, reciprocal, ps, ss, 32, VD, 4)
UNARY(rsqrt, reciprocal_sqrt, ps, ss, 32, VD, 4)

/* ---- comparison ---- */

/* CMPPS and its kin: bits 2:0 of the immediate; LT, LE and their negations find QNaNs invalid. */
static ALWAYS_INLINE bool predicate_is_quiet(unsigned predicate) { return (0x99u >> predicate & 1) != 0; }

static ALWAYS_INLINE bool predicate_holds(unsigned predicate, enum ieee_relation r)
{
    bool holds;

    switch (predicate & 3) {
    case 0:
        holds = r == IEEE_EQUAL;
        break;
    case 1:
        holds = r == IEEE_LESS;
        break;
    case 2:
        holds = r == IEEE_LESS || r == IEEE_EQUAL;
        break;
    default:
        holds = r == IEEE_UNORDERED;
        break;
    }
    return holds != ((predicate & 4) != 0);
}

#define COMPARE(suffix_p, suffix_s, bits, LANE, count)                                                                 \
    static ALWAYS_INLINE bool b_cmp##suffix_p(struct cpu *cpu, const struct insn *insn, enum form form)                \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        unsigned predicate = simd_immediate(insn, form) & 7;                                                           \
        if (!operand_whole(cpu, insn, form, &b)) {                                                                     \
            return false;                                                                                              \
        }                                                                                                              \
        for (unsigned k = 0; k < count; k++) {                                                                         \
            enum ieee_relation r =                                                                                     \
                f##bits##_compare(&env, LANE(&a, k), LANE(&b, k), predicate_is_quiet(predicate));                      \
            LANE(&a, k) = predicate_holds(predicate, r) ? (uint##bits##_t)-1 : 0;                                      \
        }                                                                                                              \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(cmp##suffix_p, 2)                                                                                     \
    static ALWAYS_INLINE bool b_cmp##suffix_s(struct cpu *cpu, const struct insn *insn, enum form form)                \
    {                                                                                                                  \
        uint##bits##_t b;                                                                                              \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        unsigned predicate = simd_immediate(insn, form) & 7;                                                           \
        if (!operand_low##bits(cpu, insn, form, &b)) {                                                                 \
            return false;                                                                                              \
        }                                                                                                              \
        enum ieee_relation r =                                                                                         \
            f##bits##_compare(&env, LANE(&cpu->xmm[insn->r1], 0), b, predicate_is_quiet(predicate));                   \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        LANE(&cpu->xmm[insn->r1], 0) = predicate_holds(predicate, r) ? (uint##bits##_t)-1 : 0;                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(cmp##suffix_s, 2)
COMPARE(ps, ss, 32, VD, 4)
COMPARE(pd, sd, 64, VQ, 2)

/* COMISS, UCOMISS: the relation in ZF, PF and CF; OF, SF and AF become 0. */
#define COMPARE_FLAGS(name, bits, LANE, is_quiet)                                                                      \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        static const uint8_t flags_of[] = { [IEEE_LESS] = FLAG_CF, [IEEE_EQUAL] = FLAG_ZF, [IEEE_GREATER] = 0,         \
                                            [IEEE_UNORDERED] = FLAG_ZF | FLAG_PF | FLAG_CF };                          \
        uint##bits##_t b;                                                                                              \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        if (!operand_low##bits(cpu, insn, form, &b)) {                                                                 \
            return false;                                                                                              \
        }                                                                                                              \
        enum ieee_relation r = f##bits##_compare(&env, LANE(&cpu->xmm[insn->r1], 0), b, is_quiet);                     \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        flags_scatter(cpu, flags_of[r]);                                                                               \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)
COMPARE_FLAGS(comiss, 32, VD, false)
COMPARE_FLAGS(comisd, 64, VQ, false)
COMPARE_FLAGS(ucomiss, 32, VD, true)
COMPARE_FLAGS(ucomisd, 64, VQ, true)

/* ---- across elements ---- */

#define ACROSS(name)                                                                                                   \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        if (!operand_whole(cpu, insn, form, &b)) {                                                                     \
            return false;                                                                                              \
        }                                                                                                              \
        a = x_##name(&env, &a, &b);                                                                                    \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)

#define HORIZONTAL_FLOAT(name, op)                                                                                     \
    static ALWAYS_INLINE xmm x_##name##ps(struct ieee_env *env, const xmm *a, const xmm *b)                            \
    {                                                                                                                  \
        xmm r;                                                                                                         \
        VD(&r, 0) = f32_##op(env, VD(a, 0), VD(a, 1));                                                                 \
        VD(&r, 1) = f32_##op(env, VD(a, 2), VD(a, 3));                                                                 \
        VD(&r, 2) = f32_##op(env, VD(b, 0), VD(b, 1));                                                                 \
        VD(&r, 3) = f32_##op(env, VD(b, 2), VD(b, 3));                                                                 \
        return r;                                                                                                      \
    }                                                                                                                  \
    ACROSS(name##ps)                                                                                                   \
    static ALWAYS_INLINE xmm x_##name##pd(struct ieee_env *env, const xmm *a, const xmm *b)                            \
    {                                                                                                                  \
        return (xmm){ { f64_##op(env, a->q[0], a->q[1]), f64_##op(env, b->q[0], b->q[1]) } };                          \
    }                                                                                                                  \
    ACROSS(name##pd)
HORIZONTAL_FLOAT(hadd, add)
HORIZONTAL_FLOAT(hsub, sub)

static ALWAYS_INLINE xmm x_addsubps(struct ieee_env *env, const xmm *a, const xmm *b)
{
    xmm r;

    for (unsigned k = 0; k < 4; k++) {
        VD(&r, k) = k & 1 ? f32_add(env, VD(a, k), VD(b, k)) : f32_sub(env, VD(a, k), VD(b, k));
    }
    return r;
}
ACROSS(addsubps)

static ALWAYS_INLINE xmm x_addsubpd(struct ieee_env *env, const xmm *a, const xmm *b)
{
    return (xmm){ { f64_sub(env, a->q[0], b->q[0]), f64_add(env, a->q[1], b->q[1]) } };
}
ACROSS(addsubpd)

/* DPPS, DPPD: each step is an operation whose unmasked exception ends the instruction. */
static ALWAYS_INLINE bool b_dpps(struct cpu *cpu, const struct insn *insn, enum form form)
{
    unsigned control = simd_immediate(insn, form);
    struct ieee_env env = { cpu->mxcsr, 0 };
    uint32_t products[4], sums[2], dot;
    xmm a = cpu->xmm[insn->r1], b;

    if (!operand_whole(cpu, insn, form, &b)) {
        return false;
    }
    for (unsigned k = 0; k < 4; k++) {
        products[k] = control >> (4 + k) & 1 ? f32_mul_exact(&env, VD(&a, k), VD(&b, k)) : 0;
    }
    if (!sse_commit(cpu, &env)) {
        return false;
    }
    sums[0] = f32_add_exact(&env, products[0], products[1]);
    sums[1] = f32_add_exact(&env, products[2], products[3]);
    if (!sse_commit(cpu, &env)) {
        return false;
    }
    dot = f32_add_exact(&env, sums[0], sums[1]);
    if (!sse_commit(cpu, &env)) {
        return false;
    }
    for (unsigned k = 0; k < 4; k++) {
        VD(&a, k) = control >> k & 1 ? dot : 0;
    }
    cpu->xmm[insn->r1] = a;
    return true;
}
SSE_BIND_RM(dpps, 2)

static ALWAYS_INLINE bool b_dppd(struct cpu *cpu, const struct insn *insn, enum form form)
{
    unsigned control = simd_immediate(insn, form);
    struct ieee_env env = { cpu->mxcsr, 0 };
    uint64_t products[2], dot;
    xmm a = cpu->xmm[insn->r1], b;

    if (!operand_whole(cpu, insn, form, &b)) {
        return false;
    }
    for (unsigned k = 0; k < 2; k++) {
        products[k] = control >> (4 + k) & 1 ? f64_mul_exact(&env, a.q[k], b.q[k]) : 0;
    }
    if (!sse_commit(cpu, &env)) {
        return false;
    }
    dot = f64_add_exact(&env, products[0], products[1]);
    if (!sse_commit(cpu, &env)) {
        return false;
    }
    cpu->xmm[insn->r1] = (xmm){ { control & 1 ? dot : 0, control & 2 ? dot : 0 } };
    return true;
}
SSE_BIND_RM(dppd, 2)

/* ---- ROUNDPS and its kin: bit 2 of the immediate takes MXCSR.RC, bit 3 keeps PE down ---- */

static ALWAYS_INLINE enum ieee_rounding rounding_of(const struct ieee_env *env, unsigned control)
{
    return control & 4 ? ieee_rounding(env) : (enum ieee_rounding)(control & 3);
}

#define ROUND(suffix_p, suffix_s, bits, LANE, count)                                                                   \
    static ALWAYS_INLINE bool b_round##suffix_p(struct cpu *cpu, const struct insn *insn, enum form form)              \
    {                                                                                                                  \
        unsigned control = simd_immediate(insn, form);                                                                 \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        xmm a, b;                                                                                                      \
        if (!operand_whole(cpu, insn, form, &b)) {                                                                     \
            return false;                                                                                              \
        }                                                                                                              \
        for (unsigned k = 0; k < count; k++) {                                                                         \
            LANE(&a, k) = f##bits##_round(&env, LANE(&b, k), rounding_of(&env, control), (control & 8) != 0);          \
        }                                                                                                              \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(round##suffix_p, 2)                                                                                   \
    static ALWAYS_INLINE bool b_round##suffix_s(struct cpu *cpu, const struct insn *insn, enum form form)              \
    {                                                                                                                  \
        unsigned control = simd_immediate(insn, form);                                                                 \
        struct ieee_env env = { cpu->mxcsr, 0 };                                                                       \
        uint##bits##_t b, result;                                                                                      \
        if (!operand_low##bits(cpu, insn, form, &b)) {                                                                 \
            return false;                                                                                              \
        }                                                                                                              \
        result = f##bits##_round(&env, b, rounding_of(&env, control), (control & 8) != 0);                             \
        if (!sse_commit(cpu, &env)) {                                                                                  \
            return false;                                                                                              \
        }                                                                                                              \
        LANE(&cpu->xmm[insn->r1], 0) = result;                                                                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(round##suffix_s, 2)
ROUND(ps, ss, 32, VD, 4)
ROUND(pd, sd, 64, VQ, 2)
