/* sse_move.c - moves between XMM registers, memory and general registers; logic and unpacking of floating-point vectors, whose
 * contents do not matter; fences and cache hints.
 *
 * SDM vol. 1, 10.4.1, 10.4.6, 11.4.1, 11.4.4, 12.3, and the instruction pages of vol. 2. Non-temporal stores are stores: there
 * are no caches, and one processor at a time runs, so fences have nothing to order. */
#include "cpu/simd_ops.h"

/* ---- whole registers ---- */

#define MOVE_X(name, is_aligned)                                                                                       \
    static ALWAYS_INLINE bool b_##name##_load(struct cpu *cpu, const struct insn *insn, enum form form)                \
    {                                                                                                                  \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            cpu->xmm[insn->r1] = cpu->xmm[insn->r2];                                                                   \
            return true;                                                                                               \
        }                                                                                                              \
        xmm value;                                                                                                     \
        if (!load128(cpu, insn, form, is_aligned, &value)) {                                                           \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = value;                                                                                    \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name##_load, 1)                                                                                       \
    static ALWAYS_INLINE bool b_##name##_store(struct cpu *cpu, const struct insn *insn, enum form form)               \
    {                                                                                                                  \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            cpu->xmm[insn->r1] = cpu->xmm[insn->r2];                                                                   \
            return true;                                                                                               \
        }                                                                                                              \
        return store128(cpu, insn, form, is_aligned, &cpu->xmm[insn->r1]);                                             \
    }                                                                                                                  \
    SSE_BIND_RM(name##_store, 1)
MOVE_X(mova, true)
MOVE_X(movu, false)

/* ---- scalars ---- */

/* MOVSS, MOVSD: a load clears the rest, a register move keeps it. */
#define MOVE_SCALAR(name, bits, LANE)                                                                                  \
    static ALWAYS_INLINE bool b_##name##_load(struct cpu *cpu, const struct insn *insn, enum form form)                \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            LANE(&cpu->xmm[insn->r1], 0) = LANE(&cpu->xmm[insn->r2], 0);                                               \
            return true;                                                                                               \
        }                                                                                                              \
        if (!load##bits(cpu, insn, form, &value)) {                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = (xmm){ { value, 0 } };                                                                    \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name##_load, 1)                                                                                       \
    static ALWAYS_INLINE bool b_##name##_store(struct cpu *cpu, const struct insn *insn, enum form form)               \
    {                                                                                                                  \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            LANE(&cpu->xmm[insn->r1], 0) = LANE(&cpu->xmm[insn->r2], 0);                                               \
            return true;                                                                                               \
        }                                                                                                              \
        return store##bits(cpu, insn, form, LANE(&cpu->xmm[insn->r1], 0));                                             \
    }                                                                                                                  \
    SSE_BIND_RM(name##_store, 1)
MOVE_SCALAR(movss, 32, VD)
MOVE_SCALAR(movsd, 64, VQ)

/* MOVQ xmm, xmm/m64 and back: the high half becomes 0 in registers. */
static ALWAYS_INLINE bool b_movq_v_w(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint64_t value;

    if (!sse_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        value = cpu->xmm[insn->r2].q[0];
    } else if (!load64(cpu, insn, form, &value)) {
        return false;
    }
    cpu->xmm[insn->r1] = (xmm){ { value, 0 } };
    return true;
}
SSE_BIND_RM(movq_v_w, 1)

static ALWAYS_INLINE bool b_movq_w_v(struct cpu *cpu, const struct insn *insn, enum form form)
{
    if (!sse_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        cpu->xmm[insn->r1] = (xmm){ { cpu->xmm[insn->r2].q[0], 0 } };
        return true;
    }
    return store64(cpu, insn, form, cpu->xmm[insn->r1].q[0]);
}
SSE_BIND_RM(movq_w_v, 1)

/* MOVD and MOVQ from and to general registers. */
#define MOVE_GENERAL(bits)                                                                                             \
    static ALWAYS_INLINE bool b_movd_v_e##bits(struct cpu *cpu, const struct insn *insn, enum form form)               \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            value = reg##bits(cpu, insn->r2);                                                                          \
        } else if (!load##bits(cpu, insn, form, &value)) {                                                             \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1] = (xmm){ { value, 0 } };                                                                    \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_REG(movd_v_e##bits)                                                                                           \
    SSE_MEMORY(movd_v_e##bits, 1)                                                                                          \
    static ALWAYS_INLINE bool b_movd_e_v##bits(struct cpu *cpu, const struct insn *insn, enum form form)               \
    {                                                                                                                  \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            set_reg##bits(cpu, insn->r1, (uint##bits##_t)cpu->xmm[insn->r2].q[0]);                                     \
            return true;                                                                                               \
        }                                                                                                              \
        return store##bits(cpu, insn, form, (uint##bits##_t)cpu->xmm[insn->r1].q[0]);                                  \
    }                                                                                                                  \
    SSE_REG(movd_e_v##bits)                                                                                           \
    SSE_MEMORY(movd_e_v##bits, 1)                                                                                          \
    static ALWAYS_INLINE bool b_movnti##bits(struct cpu *cpu, const struct insn *insn, enum form form)                 \
    {                                                                                                                  \
        return store##bits(cpu, insn, form, reg##bits(cpu, insn->r1)); /* not an XMM instruction: always allowed */     \
    }                                                                                                                  \
    SIMD_MEMORY(movnti##bits, 1, MMX_EXIT)
MOVE_GENERAL(32)
MOVE_GENERAL(64)

#define BIND_32_64(stem, name)                                                                                         \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = {                                                                  \
        [FORM_REG] = { NULL, NULL, h_##name##32, h_##name##64 },                                                       \
        [FORM_GENERIC] = { NULL, NULL, h_##name##32_m, h_##name##64_m },                                               \
        [FORM_BD] = { NULL, NULL, h_##name##32_bd, h_##name##64_bd },                                                  \
        [FORM_BID] = { NULL, NULL, h_##name##32_bid, h_##name##64_bid },                                                  \
        [FORM_LBD] = { NULL, NULL, h_##name##32_lbd, h_##name##64_lbd },                                                  \
        [FORM_LBID] = { NULL, NULL, h_##name##32_lbid, h_##name##64_lbid } } } };
BIND_32_64(movd_v_e, movd_v_e)
BIND_32_64(movd_e_v, movd_e_v)
extern const struct binding bind_movnti;
const struct binding bind_movnti = { { [LIVE] = {
    [FORM_GENERIC] = { NULL, NULL, h_movnti32_m, h_movnti64_m },
    [FORM_BD] = { NULL, NULL, h_movnti32_bd, h_movnti64_bd },
    [FORM_BID] = { NULL, NULL, h_movnti32_bid, h_movnti64_bid },
    [FORM_LBD] = { NULL, NULL, h_movnti32_lbd, h_movnti64_lbd },
    [FORM_LBID] = { NULL, NULL, h_movnti32_lbid, h_movnti64_lbid } } } };

/* ---- halves ---- */

/* MOVLPS, MOVLPD, MOVHPS, MOVHPD: one quadword from and to memory. */
#define MOVE_HALF(name, half)                                                                                          \
    static ALWAYS_INLINE bool b_##name##_load(struct cpu *cpu, const struct insn *insn, enum form form)                \
    {                                                                                                                  \
        uint64_t value;                                                                                                \
        if (!sse_ready(cpu) || !load64(cpu, insn, form, &value)) {                                                     \
            return false;                                                                                              \
        }                                                                                                              \
        cpu->xmm[insn->r1].q[half] = value;                                                                            \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_MEM(name##_load, 1)                                                                                      \
    static ALWAYS_INLINE bool b_##name##_store(struct cpu *cpu, const struct insn *insn, enum form form)               \
    {                                                                                                                  \
        return sse_ready(cpu) && store64(cpu, insn, form, cpu->xmm[insn->r1].q[half]);                                 \
    }                                                                                                                  \
    SSE_BIND_MEM(name##_store, 1)
MOVE_HALF(movl, 0)
MOVE_HALF(movh, 1)

static ALWAYS_INLINE bool b_movhlps(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)form;
    if (!sse_ready(cpu)) {
        return false;
    }
    cpu->xmm[insn->r1].q[0] = cpu->xmm[insn->r2].q[1];
    return true;
}
SSE_BIND_REG(movhlps)

static ALWAYS_INLINE bool b_movlhps(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)form;
    if (!sse_ready(cpu)) {
        return false;
    }
    cpu->xmm[insn->r1].q[1] = cpu->xmm[insn->r2].q[0];
    return true;
}
SSE_BIND_REG(movlhps)

static ALWAYS_INLINE bool b_movddup(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint64_t value;

    if (!sse_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        value = cpu->xmm[insn->r2].q[0];
    } else if (!load64(cpu, insn, form, &value)) {
        return false;
    }
    cpu->xmm[insn->r1] = (xmm){ { value, value } };
    return true;
}
SSE_BIND_RM(movddup, 1)

/* ---- a = f(a, b) on bits ---- */

#define MOVE_BINARY(name)                                                                                              \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            b = cpu->xmm[insn->r2];                                                                                    \
        } else if (!load128(cpu, insn, form, true, &b)) {                                                              \
            return false;                                                                                              \
        }                                                                                                              \
        m_##name(&a, &b);                                                                                              \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)

static ALWAYS_INLINE void m_unpcklps(xmm *a, const xmm *b) { v_punpckldq(a, b, 16); }
MOVE_BINARY(unpcklps)
static ALWAYS_INLINE void m_unpckhps(xmm *a, const xmm *b) { v_punpckhdq(a, b, 16); }
MOVE_BINARY(unpckhps)
static ALWAYS_INLINE void m_unpcklpd(xmm *a, const xmm *b) { a->q[1] = b->q[0]; }
MOVE_BINARY(unpcklpd)
static ALWAYS_INLINE void m_unpckhpd(xmm *a, const xmm *b)
{
    a->q[0] = a->q[1];
    a->q[1] = b->q[1];
}
MOVE_BINARY(unpckhpd)
static ALWAYS_INLINE void m_movsldup(xmm *a, const xmm *b)
{
    for (unsigned k = 0; k < 4; k++) {
        VD(a, k) = VD(b, k & 2);
    }
}
MOVE_BINARY(movsldup)
static ALWAYS_INLINE void m_movshdup(xmm *a, const xmm *b)
{
    for (unsigned k = 0; k < 4; k++) {
        VD(a, k) = VD(b, k | 1);
    }
}
MOVE_BINARY(movshdup)

/* ---- signs, single elements ---- */

static ALWAYS_INLINE bool b_movmskps(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)form;
    if (!sse_ready(cpu)) {
        return false;
    }
    const xmm *b = &cpu->xmm[insn->r2];
    set_reg32(cpu, insn->r1,
              (uint32_t)(b->q[0] >> 31 & 1) | (uint32_t)(b->q[0] >> 62 & 2) | (uint32_t)(b->q[1] >> 29 & 4) |
                  (uint32_t)(b->q[1] >> 60 & 8));
    return true;
}
SSE_BIND_REG(movmskps)

static ALWAYS_INLINE bool b_movmskpd(struct cpu *cpu, const struct insn *insn, enum form form)
{
    (void)form;
    if (!sse_ready(cpu)) {
        return false;
    }
    const xmm *b = &cpu->xmm[insn->r2];
    set_reg32(cpu, insn->r1, (uint32_t)(b->q[0] >> 63) | (uint32_t)(b->q[1] >> 62 & 2));
    return true;
}
SSE_BIND_REG(movmskpd)

/* From a register the immediate picks the element; memory is the element. */
static ALWAYS_INLINE bool b_insertps(struct cpu *cpu, const struct insn *insn, enum form form)
{
    unsigned control = simd_immediate(insn, form);
    uint32_t value;

    if (!sse_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        value = VD(&cpu->xmm[insn->r2], control >> 6);
    } else if (!load32(cpu, insn, form, &value)) {
        return false;
    }
    xmm *a = &cpu->xmm[insn->r1];
    VD(a, control >> 4 & 3) = value;
    for (unsigned k = 0; k < 4; k++) {
        if (control >> k & 1) {
            VD(a, k) = 0;
        }
    }
    return true;
}
SSE_BIND_RM(insertps, 2)

static ALWAYS_INLINE bool b_extractps(struct cpu *cpu, const struct insn *insn, enum form form)
{
    unsigned index = simd_immediate(insn, form) & 3;

    if (!sse_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        set_reg32(cpu, insn->r1, VD(&cpu->xmm[insn->r2], index));
        return true;
    }
    return store32(cpu, insn, form, VD(&cpu->xmm[insn->r1], index));
}
SSE_BIND_RM(extractps, 2)

/* ---- fences and hints ---- */

static HANDLER(h_fence)
{
    NEXT(1);
}
BIND_ONE(fence, h_fence)

/* CLFLUSH is checked like a load of one byte. */
static ALWAYS_INLINE bool b_clflush(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint8_t value;

    return load8(cpu, insn, form, &value);
}
MMX_BIND_MEM(clflush, 1)
