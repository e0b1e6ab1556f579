/* sse_float.h - inside cpu/sse_float.c and cpu/sse_convert.c: operands and exceptions of SSE arithmetic. */
#ifndef CPU_SSE_FLOAT_H
#define CPU_SSE_FLOAT_H

#include "cpu/float_ieee.h"
#include "cpu/simd_ops.h"

/* Out of line: #XM, or #UD without CR4.OSXMMEXCPT. */
bool sse_exception(struct cpu *cpu, uint32_t flags);

/* The flags of an operation go to MXCSR. False when one of them is unmasked: nothing may be written. */
static ALWAYS_INLINE bool sse_commit(struct cpu *cpu, const struct ieee_env *env)
{
    if (UNLIKELY(env->flags & ~(cpu->mxcsr >> MXCSR_MASKS_SHIFT))) {
        return sse_exception(cpu, env->flags);
    }
    cpu->mxcsr |= env->flags;
    return true;
}

/* The second operand: a register or 16 aligned bytes; or its low 32 or 64 bits, unaligned. */
static ALWAYS_INLINE bool operand_whole(struct cpu *cpu, const struct insn *insn, enum form form, xmm *b)
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

static ALWAYS_INLINE bool operand_low32(struct cpu *cpu, const struct insn *insn, enum form form, uint32_t *b)
{
    if (!sse_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        *b = VD(&cpu->xmm[insn->r2], 0);
        return true;
    }
    return load32(cpu, insn, form, b);
}

static ALWAYS_INLINE bool operand_low64(struct cpu *cpu, const struct insn *insn, enum form form, uint64_t *b)
{
    if (!sse_ready(cpu)) {
        return false;
    }
    if (form == FORM_REG) {
        *b = cpu->xmm[insn->r2].q[0];
        return true;
    }
    return load64(cpu, insn, form, b);
}

#endif
