/* x87.h - inside cpu/x87*.c: the register stack, exceptions and the shape of x87 handlers. */
#ifndef CPU_X87_H
#define CPU_X87_H

#include "cpu/bind.h"
#include "cpu/cpu.h"
#include "cpu/handler.h"

/* Status word; the exception bits are FPU_IE to FPU_PE of float80.h. */
enum {
    X87_EXCEPTIONS = 0x3f,
    X87_SF = 0x0040, /* stack fault */
    X87_ES = 0x0080, /* an unmasked exception is pending */
    X87_C0 = 0x0100,
    X87_C1 = 0x0200,
    X87_C2 = 0x0400,
    X87_TOP = 0x3800,
    X87_C3 = 0x4000,
    X87_B = 0x8000, /* reads as ES */
    X87_CODES = X87_C0 | X87_C1 | X87_C2 | X87_C3,
    X87_CONTROL_INIT = 0x037f,
    X87_CONTROL_KEPT = 0x1f3f, /* bits of the control word that can be written */
    X87_CONTROL_SET = 0x0040   /* reads as one */
};

/* ---- before an instruction ---- */

/* Out of line: #NM, #MF, or true when the instruction goes on. */
bool x87_blocked(struct cpu *cpu);

/* Of every instruction but the no-wait ones: false with #NM or #MF recorded. */
static ALWAYS_INLINE bool x87_ready(struct cpu *cpu)
{
    if (UNLIKELY((cpu->cr0 & (CR0_EM | CR0_TS)) | (cpu->fpu.status & X87_ES))) {
        return x87_blocked(cpu);
    }
    return true;
}

/* Of FNINIT, FNCLEX, FNSTSW, FNSTCW, FNSTENV, FNSAVE. */
static ALWAYS_INLINE bool x87_ready_no_wait(struct cpu *cpu)
{
    return LIKELY(!(cpu->cr0 & (CR0_EM | CR0_TS))) || cpu_fault(cpu, VEC_NM);
}

/* ---- registers ---- */

/* Number of the physical register that is ST(i). */
static ALWAYS_INLINE unsigned x87_st(const struct cpu *cpu, unsigned i)
{
    return (cpu->fpu.top + i) & 7;
}

static ALWAYS_INLINE bool x87_is_empty(const struct cpu *cpu, unsigned reg)
{
    return cpu->fpu.empty >> reg & 1;
}

static ALWAYS_INLINE struct float80 x87_get(const struct cpu *cpu, unsigned reg)
{
    return (struct float80){ cpu->fpu.mantissa[reg], cpu->fpu.sign_exp[reg] };
}

static ALWAYS_INLINE void x87_set(struct cpu *cpu, unsigned reg, struct float80 value)
{
    cpu->fpu.mantissa[reg] = value.mantissa;
    cpu->fpu.sign_exp[reg] = value.sign_exp;
    cpu->fpu.empty &= (uint8_t)~(1u << reg);
}

static ALWAYS_INLINE void x87_pop(struct cpu *cpu)
{
    cpu->fpu.empty |= (uint8_t)(1u << cpu->fpu.top);
    cpu->fpu.top = (cpu->fpu.top + 1) & 7;
}

static ALWAYS_INLINE void x87_push_raw(struct cpu *cpu, struct float80 value)
{
    cpu->fpu.top = (cpu->fpu.top - 1) & 7;
    x87_set(cpu, cpu->fpu.top, value);
}

/* ---- exceptions ---- */

/* An unmasked exception was raised by `insn`: sets ES and the pointers. Nothing of the instruction's address may have
 * changed yet (no general register is written by such an instruction). */
void x87_pend(struct cpu *cpu, const struct insn *insn);

/* Stack underflow or overflow: true when it is masked and the indefinite is to be delivered. */
bool x87_stack_fault(struct cpu *cpu, const struct insn *insn, bool is_overflow);

static ALWAYS_INLINE void x87_clear_c1(struct cpu *cpu)
{
    cpu->fpu.status &= (uint16_t)~X87_C1;
}

/* Adds the operation's exceptions to the status word, with C1. False: an unmasked exception keeps the result from being
 * written to a register. */
static ALWAYS_INLINE bool x87_commit(struct cpu *cpu, const struct insn *insn, const struct fpu_env *env)
{
    cpu->fpu.status = (uint16_t)((cpu->fpu.status & ~X87_C1) | env->exceptions | (env->rounded_up ? X87_C1 : 0));
    if (UNLIKELY(env->exceptions & ~cpu->fpu.control & X87_EXCEPTIONS)) {
        x87_pend(cpu, insn);
        return !fpu_env_is_prevented(env);
    }
    return true;
}

/* FERR# falls with ES. */
void x87_drop_ferr(struct cpu *cpu);
static inline void x87_error_gone(struct cpu *cpu)
{
    if (UNLIKELY(cpu->ferr_line)) {
        x87_drop_ferr(cpu);
    }
}

/* ES after the control word or the exception bits were loaded. */
static inline void x87_summarize(struct cpu *cpu)
{
    unsigned unmasked = cpu->fpu.status & ~cpu->fpu.control & X87_EXCEPTIONS;

    cpu->fpu.status = (uint16_t)((cpu->fpu.status & ~X87_ES) | (unmasked ? X87_ES : 0));
    if (!unmasked) {
        x87_error_gone(cpu);
    }
}

static inline uint16_t x87_status_word(const struct cpu *cpu)
{
    unsigned busy = cpu->fpu.status & X87_ES ? X87_B : 0, top = cpu->fpu.top;

    return (uint16_t)(cpu->fpu.status | top << 11 | busy);
}

/* ---- the usual case of arithmetic (x87_fast.c): register `dest` = a op b; false when it is not one, and nothing was done ---- */

bool x87_fast_add(struct cpu *cpu, unsigned dest, struct float80 a, struct float80 b);
bool x87_fast_multiply(struct cpu *cpu, unsigned dest, struct float80 a, struct float80 b);
bool x87_fast_divide(struct cpu *cpu, unsigned dest, struct float80 a, struct float80 b);

/* ---- handlers ---- */

/* A register instruction from b_<name>(cpu, insn), bound to its stem. */
#define X87_REG(name)                                                                                                  \
    static HANDLER(h_##name)                                                                                           \
    {                                                                                                                  \
        if (UNLIKELY(!b_##name(cpu, insn))) {                                                                          \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    BIND_ONE(name, h_##name)

/* A memory instruction from b_<name>(cpu, insn, form). */
#define X87_MEM(name)                                                                                                  \
    MEMORY(name, 1)                                                                                                    \
    extern const struct binding bind_##name;                                                                           \
    const struct binding bind_##name = { { [LIVE] = { [FORM_GENERIC] = ALL_SIZES(h_##name##_m),                        \
                                                      [FORM_BD] = ALL_SIZES(h_##name##_bd),                            \
                                                      [FORM_BID] = ALL_SIZES(h_##name##_bid),                            \
                                                      [FORM_LBD] = ALL_SIZES(h_##name##_lbd),                            \
                                                      [FORM_LBID] = ALL_SIZES(h_##name##_lbid) } } };

#endif
