/* mmx.c - MMX instructions, with those that SSE, SSE2 and SSSE3 added for MMX registers.
 *
 * SDM vol. 1, chapter 9, and the instruction pages of vol. 2. MM registers are the significands of the physical x87
 * registers; each instruction sets TOP to 0 and all tags to valid, each write the exponent to all ones (9.5.1). Nothing of
 * that happens when the instruction faults. */
#include "cpu/simd_ops.h"

/* mm, mm/m64 */
#define MMX_BINARY(name)                                                                                               \
    static ALWAYS_INLINE bool b_##name##_p(struct cpu *cpu, const struct insn *insn, enum form form)                   \
    {                                                                                                                  \
        xmm a = { { mmx_get(cpu, insn->r1), 0 } }, b = { { 0, 0 } };                                                   \
        if (!mmx_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            b.q[0] = mmx_get(cpu, insn->r2);                                                                           \
        } else if (!load64(cpu, insn, form, &b.q[0])) {                                                                \
            return false;                                                                                              \
        }                                                                                                              \
        v_##name(&a, &b, 8);                                                                                           \
        mmx_enter(cpu);                                                                                                \
        mmx_set(cpu, insn->r1, a.q[0]);                                                                                \
        return true;                                                                                                   \
    }                                                                                                                  \
    MMX_BIND_RM(name##_p, 1)
SIMD_BOTH(MMX_BINARY)

/* mm, mm/m32 */
#define MMX_BINARY_LOW(name)                                                                                           \
    static ALWAYS_INLINE bool b_##name##_p(struct cpu *cpu, const struct insn *insn, enum form form)                   \
    {                                                                                                                  \
        xmm a = { { mmx_get(cpu, insn->r1), 0 } }, b = { { 0, 0 } };                                                   \
        uint32_t low;                                                                                                  \
        if (!mmx_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            b.q[0] = mmx_get(cpu, insn->r2);                                                                           \
        } else if (load32(cpu, insn, form, &low)) {                                                                    \
            b.q[0] = low;                                                                                              \
        } else {                                                                                                       \
            return false;                                                                                              \
        }                                                                                                              \
        v_##name(&a, &b, 8);                                                                                           \
        mmx_enter(cpu);                                                                                                \
        mmx_set(cpu, insn->r1, a.q[0]);                                                                                \
        return true;                                                                                                   \
    }                                                                                                                  \
    MMX_BIND_RM(name##_p, 1)
SIMD_BOTH_LOW(MMX_BINARY_LOW)

/* mm, imm8 */
#define MMX_SHIFT(name)                                                                                                \
    static ALWAYS_INLINE bool b_##name##_i_p(struct cpu *cpu, const struct insn *insn, enum form form)                 \
    {                                                                                                                  \
        xmm a = { { mmx_get(cpu, insn->r1), 0 } }, b = { { insn->d & 0xff, 0 } };                                      \
        (void)form;                                                                                                    \
        if (!mmx_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        v_##name(&a, &b, 8);                                                                                           \
        mmx_enter(cpu);                                                                                                \
        mmx_set(cpu, insn->r1, a.q[0]);                                                                                \
        return true;                                                                                                   \
    }                                                                                                                  \
    MMX_BIND_REG(name##_i_p)
SIMD_SHIFTS(MMX_SHIFT)

/* ---- moves ---- */

static ALWAYS_INLINE bool b_movd_p_e32(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint32_t value;

    if (!mmx_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        value = reg32(cpu, insn->r2);
    } else if (!load32(cpu, insn, form, &value)) {
        return false;
    }
    mmx_enter(cpu);
    mmx_set(cpu, insn->r1, value);
    return true;
}
SIMD_REG(movd_p_e32, MMX_EXIT)
SIMD_MEMORY(movd_p_e32, 1, MMX_EXIT)

static ALWAYS_INLINE bool b_movd_e_p32(struct cpu *cpu, const struct insn *insn, enum form form)
{
    if (!mmx_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        set_reg32(cpu, insn->r1, (uint32_t)mmx_get(cpu, insn->r2));
    } else if (!store32(cpu, insn, form, (uint32_t)mmx_get(cpu, insn->r1))) {
        return false;
    }
    mmx_enter(cpu);
    return true;
}
SIMD_REG(movd_e_p32, MMX_EXIT)
SIMD_MEMORY(movd_e_p32, 1, MMX_EXIT)

/* MOVQ mm, mm/m64; with REX.W also MOVQ mm, r64. */
static ALWAYS_INLINE bool b_movq_p_q(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint64_t value;

    if (!mmx_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        value = mmx_get(cpu, insn->r2);
    } else if (!load64(cpu, insn, form, &value)) {
        return false;
    }
    mmx_enter(cpu);
    mmx_set(cpu, insn->r1, value);
    return true;
}
MMX_BIND_RM(movq_p_q, 1)

static ALWAYS_INLINE bool b_movq_q_p(struct cpu *cpu, const struct insn *insn, enum form form)
{
    if (!mmx_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        mmx_set(cpu, insn->r1, mmx_get(cpu, insn->r2));
    } else if (!store64(cpu, insn, form, mmx_get(cpu, insn->r1))) {
        return false;
    }
    mmx_enter(cpu);
    return true;
}
MMX_BIND_RM(movq_q_p, 1)

static ALWAYS_INLINE bool b_movq_p_r64(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)form;
    if (!mmx_ready(cpu)) {
        return false;
    }
    mmx_enter(cpu);
    mmx_set(cpu, insn->r1, reg64(cpu, insn->r2));
    return true;
}
SIMD_REG(movq_p_r64, MMX_EXIT)

static ALWAYS_INLINE bool b_movq_r64_p(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)form;
    if (!mmx_ready(cpu)) {
        return false;
    }
    set_reg64(cpu, insn->r1, mmx_get(cpu, insn->r2));
    mmx_enter(cpu);
    return true;
}
SIMD_REG(movq_r64_p, MMX_EXIT)

extern const struct binding bind_movd_p_e, bind_movd_e_p;
const struct binding bind_movd_p_e = { { [LIVE] = {
    [FORM_REG] = { NULL, NULL, h_movd_p_e32, h_movq_p_r64 },
    [FORM_GENERIC] = { NULL, NULL, h_movd_p_e32_m, h_movq_p_q_m },
    [FORM_BD] = { NULL, NULL, h_movd_p_e32_bd, h_movq_p_q_bd },
    [FORM_BID] = { NULL, NULL, h_movd_p_e32_bid, h_movq_p_q_bid },
    [FORM_LBD] = { NULL, NULL, h_movd_p_e32_lbd, h_movq_p_q_lbd },
    [FORM_LBID] = { NULL, NULL, h_movd_p_e32_lbid, h_movq_p_q_lbid } } } };
const struct binding bind_movd_e_p = { { [LIVE] = {
    [FORM_REG] = { NULL, NULL, h_movd_e_p32, h_movq_r64_p },
    [FORM_GENERIC] = { NULL, NULL, h_movd_e_p32_m, h_movq_q_p_m },
    [FORM_BD] = { NULL, NULL, h_movd_e_p32_bd, h_movq_q_p_bd },
    [FORM_BID] = { NULL, NULL, h_movd_e_p32_bid, h_movq_q_p_bid },
    [FORM_LBD] = { NULL, NULL, h_movd_e_p32_lbd, h_movq_q_p_lbd },
    [FORM_LBID] = { NULL, NULL, h_movd_e_p32_lbid, h_movq_q_p_lbid } } } };

/* Between the register files: MMX state is entered. */
static ALWAYS_INLINE bool b_movq2dq(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)form;
    if (!sse_ready(cpu)) {
        return sse_blocked(cpu);
    }
    if (!mmx_ready(cpu)) {
        return false;
    }
    mmx_enter(cpu);
    cpu->xmm[insn->r1] = (xmm){ { mmx_get(cpu, insn->r2), 0 } };
    return true;
}
MMX_BIND_REG(movq2dq)

static ALWAYS_INLINE bool b_movdq2q(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)form;
    if (!sse_ready(cpu)) {
        return sse_blocked(cpu);
    }
    if (!mmx_ready(cpu)) {
        return false;
    }
    mmx_enter(cpu);
    mmx_set(cpu, insn->r1, cpu->xmm[insn->r2].q[0]);
    return true;
}
MMX_BIND_REG(movdq2q)

/* ---- with immediates and general registers ---- */

static ALWAYS_INLINE bool b_pshufw(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint64_t source;

    if (!mmx_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        source = mmx_get(cpu, insn->r2);
    } else if (!load64(cpu, insn, form, &source)) {
        return false;
    }
    mmx_enter(cpu);
    mmx_set(cpu, insn->r1, shuffle_words(source, simd_immediate(insn, form)));
    return true;
}
MMX_BIND_RM(pshufw, 2)

static ALWAYS_INLINE bool b_palignr_p(struct cpu *cpu, const struct insn *insn, enum form form)
{
    xmm a = { { mmx_get(cpu, insn->r1), 0 } }, b = { { 0, 0 } };

    if (!mmx_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        b.q[0] = mmx_get(cpu, insn->r2);
    } else if (!load64(cpu, insn, form, &b.q[0])) {
        return false;
    }
    v_palignr(&a, &b, 8, simd_immediate(insn, form));
    mmx_enter(cpu);
    mmx_set(cpu, insn->r1, a.q[0]);
    return true;
}
MMX_BIND_RM(palignr_p, 2)

static ALWAYS_INLINE bool b_pinsrw_p(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint16_t value;

    if (!mmx_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        value = reg16(cpu, insn->r2);
    } else if (!load16(cpu, insn, form, &value)) {
        return false;
    }
    unsigned shift = 16 * (simd_immediate(insn, form) & 3);
    mmx_enter(cpu);
    mmx_set(cpu, insn->r1,
            (mmx_get(cpu, insn->r1) & ~(UINT64_C(0xffff) << shift)) | (uint64_t)value << shift);
    return true;
}
MMX_BIND_RM(pinsrw_p, 2)

static ALWAYS_INLINE bool b_pextrw_p(struct cpu *cpu, const struct insn *insn, enum form form)
{
    if (!mmx_ready(cpu)) {
        return false;
    }
    mmx_enter(cpu);
    set_reg32(cpu, insn->r1, (uint16_t)(mmx_get(cpu, insn->r2) >> (16 * (simd_immediate(insn, form) & 3))));
    return true;
}
MMX_BIND_REG(pextrw_p)

static ALWAYS_INLINE bool b_pmovmskb_p(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)form;
    if (!mmx_ready(cpu)) {
        return false;
    }
    mmx_enter(cpu);
    set_reg32(cpu, insn->r1, byte_signs(mmx_get(cpu, insn->r2)));
    return true;
}
MMX_BIND_REG(pmovmskb_p)

/* Bytes chosen by the mask go to DS:rDI. MMX state is entered even when that faults, as measured. */
static bool b_maskmovq(struct cpu *cpu, const struct insn *insn)
{
    xmm data = { { mmx_get(cpu, insn->r1), 0 } }, mask = { { mmx_get(cpu, insn->r2), 0 } };

    if (!mmx_ready(cpu)) {
        return false;
    }
    mmx_enter(cpu);
    return simd_masked_store(cpu, insn, &data, &mask, 8);
}
SLOW(maskmovq)
BIND_ONE(maskmovq, h_maskmovq)

static ALWAYS_INLINE bool b_emms(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)insn, (void)form;
    if (!mmx_ready(cpu)) {
        return false;
    }
    cpu->fpu.top = 0; /* SDM vol. 3, table 12-1 */
    cpu->fpu.empty = 0xff;
    return true;
}
MMX_BIND_REG(emms)
