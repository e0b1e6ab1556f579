/* sse_int.c - packed integers in XMM registers: SSE2, SSSE3, SSE4.1 and PCMPGTQ of SSE4.2.
 *
 * SDM vol. 1, 11.4.2 and 12.5 to 12.11, and the instruction pages of vol. 2. Memory operands of 16 bytes must be aligned:
 * #GP(0). None of these raises a SIMD floating-point exception. */
#include "cpu/flags.h"
#include "cpu/simd_ops.h"

/* The second operand: a register or 16 aligned bytes. */
static ALWAYS_INLINE bool operand_x(struct cpu *cpu, const struct insn *insn, enum form form, xmm *b)
{
    if (!sse_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        *b = cpu->xmm[insn->r2];
        return true;
    }
    return load128(cpu, insn, form, true, b);
}

/* xmm, xmm/m128 */
#define SSE_BINARY(name)                                                                                               \
    static ALWAYS_INLINE bool b_##name##_v(struct cpu *cpu, const struct insn *insn, enum form form)                   \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        if (!operand_x(cpu, insn, form, &b)) {                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        v_##name(&a, &b, 16);                                                                                          \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name##_v, 1)
SIMD_BOTH(SSE_BINARY)
SIMD_BOTH_LOW(SSE_BINARY)
SIMD_XMM(SSE_BINARY)

/* xmm, imm8 */
#define SSE_SHIFT(name)                                                                                                \
    static ALWAYS_INLINE bool b_##name##_i_v(struct cpu *cpu, const struct insn *insn, enum form form)                 \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b = { { insn->d & 0xff, 0 } };                                                     \
        (void)form;                                                                                                    \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        v_##name(&a, &b, 16);                                                                                          \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_REG(name##_i_v)
SIMD_SHIFTS(SSE_SHIFT)

static ALWAYS_INLINE bool b_psrldq_v(struct cpu *cpu, const struct insn *insn, enum form form)
{
    xmm a = cpu->xmm[insn->r1];

    (void)form;
    if (!sse_ready(cpu)) {
        return false;
    }
    v_psrldq(&a, insn->d & 0xff);
    cpu->xmm[insn->r1] = a;
    return true;
}
SSE_BIND_REG(psrldq_v)

static ALWAYS_INLINE bool b_pslldq_v(struct cpu *cpu, const struct insn *insn, enum form form)
{
    xmm a = cpu->xmm[insn->r1];

    (void)form;
    if (!sse_ready(cpu)) {
        return false;
    }
    v_pslldq(&a, insn->d & 0xff);
    cpu->xmm[insn->r1] = a;
    return true;
}
SSE_BIND_REG(pslldq_v)

/* ---- with an immediate: a = f(a, b, imm) ---- */

#define SSE_TERNARY(name)                                                                                              \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        if (!operand_x(cpu, insn, form, &b)) {                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        i_##name(&a, &b, simd_immediate(insn, form));                                                                  \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 2)

static ALWAYS_INLINE void i_pshufd(xmm *a, const xmm *b, unsigned control)
{
    for (unsigned k = 0; k < 4; k++) {
        VD(a, k) = VD(b, control >> (2 * k) & 3);
    }
}
SSE_TERNARY(pshufd)

static ALWAYS_INLINE void i_pshuflw(xmm *a, const xmm *b, unsigned control)
{
    a->q[0] = shuffle_words(b->q[0], control);
    a->q[1] = b->q[1];
}
SSE_TERNARY(pshuflw)

static ALWAYS_INLINE void i_pshufhw(xmm *a, const xmm *b, unsigned control)
{
    a->q[0] = b->q[0];
    a->q[1] = shuffle_words(b->q[1], control);
}
SSE_TERNARY(pshufhw)

static ALWAYS_INLINE void i_palignr_v(xmm *a, const xmm *b, unsigned control) { v_palignr(a, b, 16, control); }
SSE_TERNARY(palignr_v)

static ALWAYS_INLINE void i_shufps(xmm *a, const xmm *b, unsigned control)
{
    xmm source = *a;

    VD(a, 0) = VD(&source, control & 3);
    VD(a, 1) = VD(&source, control >> 2 & 3);
    VD(a, 2) = VD(b, control >> 4 & 3);
    VD(a, 3) = VD(b, control >> 6 & 3);
}
SSE_TERNARY(shufps)

static ALWAYS_INLINE void i_shufpd(xmm *a, const xmm *b, unsigned control)
{
    a->q[0] = a->q[control & 1];
    a->q[1] = b->q[control >> 1 & 1];
}
SSE_TERNARY(shufpd)

static ALWAYS_INLINE void i_pblendw(xmm *a, const xmm *b, unsigned control)
{
    for (unsigned k = 0; k < 8; k++) {
        VW(a, k) = control >> k & 1 ? VW(b, k) : VW(a, k);
    }
}
SSE_TERNARY(pblendw)

static ALWAYS_INLINE void i_blendps(xmm *a, const xmm *b, unsigned control)
{
    for (unsigned k = 0; k < 4; k++) {
        VD(a, k) = control >> k & 1 ? VD(b, k) : VD(a, k);
    }
}
SSE_TERNARY(blendps)

static ALWAYS_INLINE void i_blendpd(xmm *a, const xmm *b, unsigned control)
{
    for (unsigned k = 0; k < 2; k++) {
        a->q[k] = control >> k & 1 ? b->q[k] : a->q[k];
    }
}
SSE_TERNARY(blendpd)

/* Eight sums of four absolute differences. */
static ALWAYS_INLINE void i_mpsadbw(xmm *a, const xmm *b, unsigned control)
{
    unsigned first_a = (control >> 2 & 1) * 4, first_b = (control & 3) * 4;
    xmm source = *a;

    for (unsigned k = 0; k < 8; k++) {
        unsigned sum = 0;
        for (unsigned n = 0; n < 4; n++) {
            int difference = VB(&source, first_a + k + n) - VB(b, first_b + n);
            sum += (unsigned)(difference < 0 ? -difference : difference);
        }
        VW(a, k) = (uint16_t)sum;
    }
}
SSE_TERNARY(mpsadbw)

/* ---- blends by XMM0, and other odd ones ---- */

#define SSE_ODD(name)                                                                                                  \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        if (!operand_x(cpu, insn, form, &b)) {                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        o_##name(&a, &b, &cpu->xmm[0]);                                                                                \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)

static ALWAYS_INLINE void o_pblendvb(xmm *a, const xmm *b, const xmm *mask)
{
    for (unsigned k = 0; k < 16; k++) {
        VB(a, k) = VB(mask, k) & 0x80 ? VB(b, k) : VB(a, k);
    }
}
SSE_ODD(pblendvb)

static ALWAYS_INLINE void o_blendvps(xmm *a, const xmm *b, const xmm *mask)
{
    for (unsigned k = 0; k < 4; k++) {
        VD(a, k) = VD(mask, k) >> 31 ? VD(b, k) : VD(a, k);
    }
}
SSE_ODD(blendvps)

static ALWAYS_INLINE void o_blendvpd(xmm *a, const xmm *b, const xmm *mask)
{
    for (unsigned k = 0; k < 2; k++) {
        a->q[k] = mask->q[k] >> 63 ? b->q[k] : a->q[k];
    }
}
SSE_ODD(blendvpd)

/* The smallest word and its index. */
static ALWAYS_INLINE void o_phminposuw(xmm *a, const xmm *b, const xmm *unused)
{
    unsigned index = 0;

    (void)unused;
    for (unsigned k = 1; k < 8; k++) {
        index = VW(b, k) < VW(b, index) ? k : index;
    }
    *a = (xmm){ { VW(b, index) | (uint64_t)index << 16, 0 } };
}
SSE_ODD(phminposuw)

static ALWAYS_INLINE bool b_ptest(struct cpu *cpu, const struct insn *insn, enum form form)
{
    xmm a = cpu->xmm[insn->r1], b;

    if (!operand_x(cpu, insn, form, &b)) {
        return false;
    }
    bool is_zero = ((a.q[0] & b.q[0]) | (a.q[1] & b.q[1])) == 0;
    bool is_carry = ((~a.q[0] & b.q[0]) | (~a.q[1] & b.q[1])) == 0;
    flags_scatter(cpu, (is_zero ? FLAG_ZF : 0) | (is_carry ? FLAG_CF : 0));
    return true;
}
SSE_BIND_RM(ptest, 1)

/* ---- widening: the low elements of the operand, which in memory is only as long as needed ---- */

#define WIDEN(name, bits, FROM, from_type, TO, to_type, count)                                                         \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        uint##bits##_t low;                                                                                            \
        xmm a, b = { { 0, 0 } };                                                                                       \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            b = cpu->xmm[insn->r2];                                                                                    \
        } else if (load##bits(cpu, insn, form, &low)) {                                                                \
            b.q[0] = low;                                                                                              \
        } else {                                                                                                       \
            return false;                                                                                              \
        }                                                                                                              \
        for (unsigned k = 0; k < count; k++) {                                                                         \
            TO(&a, k) = (to_type)(from_type)FROM(&b, k);                                                               \
        }                                                                                                              \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)
WIDEN(pmovsxbw, 64, VB, int8_t, VW, uint16_t, 8)
WIDEN(pmovsxbd, 32, VB, int8_t, VD, uint32_t, 4)
WIDEN(pmovsxbq, 16, VB, int8_t, VQ, uint64_t, 2)
WIDEN(pmovsxwd, 64, VW, int16_t, VD, uint32_t, 4)
WIDEN(pmovsxwq, 32, VW, int16_t, VQ, uint64_t, 2)
WIDEN(pmovsxdq, 64, VD, int32_t, VQ, uint64_t, 2)
WIDEN(pmovzxbw, 64, VB, uint8_t, VW, uint16_t, 8)
WIDEN(pmovzxbd, 32, VB, uint8_t, VD, uint32_t, 4)
WIDEN(pmovzxbq, 16, VB, uint8_t, VQ, uint64_t, 2)
WIDEN(pmovzxwd, 64, VW, uint16_t, VD, uint32_t, 4)
WIDEN(pmovzxwq, 32, VW, uint16_t, VQ, uint64_t, 2)
WIDEN(pmovzxdq, 64, VD, uint32_t, VQ, uint64_t, 2)

/* ---- elements from and to general registers and memory ---- */

#define INSERT(name, bits, LANE, count)                                                                                \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            value = (uint##bits##_t)reg64(cpu, insn->r2);                                                              \
        } else if (!load##bits(cpu, insn, form, &value)) {                                                             \
            return false;                                                                                              \
        }                                                                                                              \
        LANE(&cpu->xmm[insn->r1], simd_immediate(insn, form) & (count - 1)) = value;                                   \
        return true;                                                                                                   \
    }
INSERT(pinsrb, 8, VB, 16)
SSE_BIND_RM(pinsrb, 2)
INSERT(pinsrw_v, 16, VW, 8)
SSE_BIND_RM(pinsrw_v, 2)
INSERT(pinsr32, 32, VD, 4)
SSE_REG(pinsr32)
SSE_MEMORY(pinsr32, 2)
INSERT(pinsr64, 64, VQ, 2)
SSE_REG(pinsr64)
SSE_MEMORY(pinsr64, 2)

#define EXTRACT(name, bits, LANE, count)                                                                               \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        unsigned index = simd_immediate(insn, form) & (count - 1);                                                     \
        if (form == FORM_REG) {                                                                                        \
            set_reg64(cpu, insn->r1, LANE(&cpu->xmm[insn->r2], index));                                                \
            return true;                                                                                               \
        }                                                                                                              \
        return store##bits(cpu, insn, form, LANE(&cpu->xmm[insn->r1], index));                                         \
    }
EXTRACT(pextrb, 8, VB, 16)
SSE_BIND_RM(pextrb, 2)
EXTRACT(pextrw_v, 16, VW, 8)
SSE_BIND_RM(pextrw_v, 2)
EXTRACT(pextr32, 32, VD, 4)
SSE_REG(pextr32)
SSE_MEMORY(pextr32, 2)
EXTRACT(pextr64, 64, VQ, 2)
SSE_REG(pextr64)
SSE_MEMORY(pextr64, 2)

/* By operand size: 32 bits, or 64 with REX.W. */
#define BIND_32_64(stem, name32, name64)                                                                               \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = {                                                                  \
        [FORM_REG] = { NULL, NULL, h_##name32, h_##name64 },                                                           \
        [FORM_GENERIC] = { NULL, NULL, h_##name32##_m, h_##name64##_m },                                               \
        [FORM_BD] = { NULL, NULL, h_##name32##_bd, h_##name64##_bd },                                                  \
        [FORM_BID] = { NULL, NULL, h_##name32##_bid, h_##name64##_bid },                                                  \
        [FORM_LBD] = { NULL, NULL, h_##name32##_lbd, h_##name64##_lbd },                                                  \
        [FORM_LBID] = { NULL, NULL, h_##name32##_lbid, h_##name64##_lbid } } } };
BIND_32_64(pinsr, pinsr32, pinsr64)
BIND_32_64(pextr, pextr32, pextr64)

static ALWAYS_INLINE bool b_pmovmskb_v(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)form;
    if (!sse_ready(cpu)) {
        return false;
    }
    const xmm *b = &cpu->xmm[insn->r2];
    set_reg32(cpu, insn->r1, byte_signs(b->q[0]) | byte_signs(b->q[1]) << 8);
    return true;
}
SSE_BIND_REG(pmovmskb_v)

static bool b_maskmovdqu(struct cpu *cpu, const struct insn *insn)
{
    if (!sse_ready(cpu)) {
        return sse_blocked(cpu);
    }
    return simd_masked_store(cpu, insn, &cpu->xmm[insn->r1], &cpu->xmm[insn->r2], 16);
}
SLOW(maskmovdqu)
BIND_ONE(maskmovdqu, h_maskmovdqu)
