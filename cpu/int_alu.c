/* int_alu.c - ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NOT NEG: every operand form and size.
 *
 * SDM vol. 2A/2B, the instructions' pages. In register forms the record's r1 is the destination and r2 the source; with a
 * memory operand r1 is the register and an immediate stands in the next slot. */
#include "cpu/bind.h"
#include "cpu/flags.h"

/* One operation of two operands. `writes`: the result is stored; `live`: the flags are. */
#define COMPUTE_add(T, bits)                                                                                           \
    T result = (T)(a + b);                                                                                             \
    if (live) {                                                                                                        \
        if (bits == 32) {                                                                                              \
            flags_add32(cpu, (uint32_t)a, (uint32_t)b);                                                                \
        } else {                                                                                                       \
            flags_arith(cpu, result, a, b, result < a, bits);                                                          \
        }                                                                                                              \
    }
#define COMPUTE_sub(T, bits)                                                                                           \
    T result = (T)(a - b);                                                                                             \
    if (live) {                                                                                                        \
        if (bits == 32) {                                                                                              \
            flags_sub32(cpu, (uint32_t)a, (uint32_t)b);                                                                \
        } else {                                                                                                       \
            flags_arith(cpu, result, a, b, a < b, bits);                                                               \
        }                                                                                                              \
    }
#define COMPUTE_cmp COMPUTE_sub
#define COMPUTE_adc(T, bits)                                                                                           \
    bool carry_in = flag_c(cpu);                                                                                       \
    T result = (T)(a + b + carry_in);                                                                                  \
    if (live) {                                                                                                        \
        flags_arith(cpu, result, a, b, result < a || (carry_in && result == a), bits);                                 \
    }
#define COMPUTE_sbb(T, bits)                                                                                           \
    bool carry_in = flag_c(cpu);                                                                                       \
    T result = (T)(a - b - carry_in);                                                                                  \
    if (live) {                                                                                                        \
        flags_arith(cpu, result, a, b, a < b || (carry_in && a == b), bits);                                           \
    }
#define COMPUTE_LOGIC(T, bits, operator)                                                                               \
    T result = (T)(a operator b);                                                                                      \
    if (live) {                                                                                                        \
        flags_logic(cpu, result, bits);                                                                                \
    }
#define COMPUTE_and(T, bits) COMPUTE_LOGIC(T, bits, &)
#define COMPUTE_test(T, bits) COMPUTE_LOGIC(T, bits, &)
#define COMPUTE_or(T, bits) COMPUTE_LOGIC(T, bits, |)
#define COMPUTE_xor(T, bits) COMPUTE_LOGIC(T, bits, ^)

enum { STORES, COMPARES };

#define ALU(op, bits, suffix, live_, kind)                                                                             \
    static ALWAYS_INLINE uint##bits##_t compute_##op##bits##suffix(struct cpu *cpu, uint##bits##_t a,                  \
                                                                   uint##bits##_t b)                                   \
    {                                                                                                                  \
        const bool live = live_;                                                                                       \
        COMPUTE_##op(uint##bits##_t, bits)                                                                             \
        return result;                                                                                                 \
    }                                                                                                                  \
    static HANDLER(h_##op##_rr##suffix##bits)                                                                          \
    {                                                                                                                  \
        uint##bits##_t result = compute_##op##bits##suffix(cpu, reg##bits(cpu, insn->r1), reg##bits(cpu, insn->r2));   \
        if (kind == STORES) {                                                                                          \
            set_reg##bits(cpu, insn->r1, result);                                                                      \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_##op##_ri##suffix##bits)                                                                          \
    {                                                                                                                  \
        uint##bits##_t result =                                                                                        \
            compute_##op##bits##suffix(cpu, reg##bits(cpu, insn->r1), (uint##bits##_t)insn->d);                        \
        if (kind == STORES) {                                                                                          \
            set_reg##bits(cpu, insn->r1, result);                                                                      \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_##op##_rm##suffix##bits(struct cpu *cpu, const struct insn *insn, enum form form)      \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!load##bits(cpu, insn, form, &value)) {                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        uint##bits##_t result = compute_##op##bits##suffix(cpu, reg##bits(cpu, insn->r1), value);                      \
        if (kind == STORES) {                                                                                          \
            set_reg##bits(cpu, insn->r1, result);                                                                      \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(op##_rm##suffix##bits, 1)                                                                                   \
    static ALWAYS_INLINE bool b_##op##_mr##suffix##bits(struct cpu *cpu, const struct insn *insn, enum form form)      \
    {                                                                                                                  \
        struct rmw rmw;                                                                                                \
        uint##bits##_t value;                                                                                          \
        if (kind == COMPARES) {                                                                                        \
            if (!load##bits(cpu, insn, form, &value)) {                                                                \
                return false;                                                                                          \
            }                                                                                                          \
            compute_##op##bits##suffix(cpu, value, reg##bits(cpu, insn->r1));                                          \
            return true;                                                                                               \
        }                                                                                                              \
        if (!rmw_load##bits(cpu, insn, form, &rmw, &value)) {                                                          \
            return false;                                                                                              \
        }                                                                                                              \
        rmw_store##bits(cpu, insn, form, &rmw, compute_##op##bits##suffix(cpu, value, reg##bits(cpu, insn->r1)));      \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(op##_mr##suffix##bits, 1)                                                                                   \
    static ALWAYS_INLINE bool b_##op##_mi##suffix##bits(struct cpu *cpu, const struct insn *insn, enum form form)      \
    {                                                                                                                  \
        struct rmw rmw;                                                                                                \
        uint##bits##_t value;                                                                                          \
        if (kind == COMPARES) {                                                                                        \
            if (!load##bits(cpu, insn, form, &value)) {                                                                \
                return false;                                                                                          \
            }                                                                                                          \
            compute_##op##bits##suffix(cpu, value, (uint##bits##_t)insn[1].d);                                         \
            return true;                                                                                               \
        }                                                                                                              \
        if (!rmw_load##bits(cpu, insn, form, &rmw, &value)) {                                                          \
            return false;                                                                                              \
        }                                                                                                              \
        rmw_store##bits(cpu, insn, form, &rmw, compute_##op##bits##suffix(cpu, value, (uint##bits##_t)insn[1].d));     \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(op##_mi##suffix##bits, 2)

#define ALU_SIZES(op, kind)                                                                                            \
    ALU(op, 8, , true, kind)                                                                                           \
    ALU(op, 16, , true, kind)                                                                                          \
    ALU(op, 32, , true, kind)                                                                                          \
    ALU(op, 8, _nf, false, kind)                                                                                       \
    ALU(op, 16, _nf, false, kind)                                                                                      \
    ALU(op, 32, _nf, false, kind)                                                                                      \
    BIND_RM_NF(op##_g_e, op##_rr, op##_rm)                                                                             \
    BIND_RM_NF(op##_e_g, op##_rr, op##_mr)                                                                             \
    BIND_RM_NF(op##_e_i, op##_ri, op##_mi)

ALU_SIZES(add, STORES)
ALU_SIZES(or, STORES)
ALU_SIZES(adc, STORES)
ALU_SIZES(sbb, STORES)
ALU_SIZES(and, STORES)
ALU_SIZES(sub, STORES)
ALU_SIZES(xor, STORES)
ALU_SIZES(cmp, COMPARES)
ALU_SIZES(test, COMPARES)

/* INC and DEC keep CF; NEG sets CF when the operand was not 0; NOT sets no flags. */
#define COMPUTE_inc(bits)                                                                                              \
    uint##bits##_t result = (uint##bits##_t)(a + 1);                                                                   \
    if (live) {                                                                                                        \
        bool carry = flag_c(cpu);                                                                                      \
        flags_arith(cpu, result, a, 1, result == 0, bits);                                                             \
        flags_set_c(cpu, carry);                                                                                       \
    }
#define COMPUTE_dec(bits)                                                                                              \
    uint##bits##_t result = (uint##bits##_t)(a - 1);                                                                   \
    if (live) {                                                                                                        \
        bool carry = flag_c(cpu);                                                                                      \
        flags_arith(cpu, result, a, 1, a == 0, bits);                                                                  \
        flags_set_c(cpu, carry);                                                                                       \
    }
#define COMPUTE_neg(bits)                                                                                              \
    uint##bits##_t result = (uint##bits##_t)(0 - a);                                                                   \
    if (live) {                                                                                                        \
        flags_arith(cpu, result, 0, a, a != 0, bits);                                                                  \
    }
#define COMPUTE_not(bits)                                                                                              \
    uint##bits##_t result = (uint##bits##_t)~a;                                                                        \
    (void)live;

#define UNARY(op, bits, suffix, live_)                                                                                 \
    static ALWAYS_INLINE uint##bits##_t compute_##op##bits##suffix(struct cpu *cpu, uint##bits##_t a)                  \
    {                                                                                                                  \
        const bool live = live_;                                                                                       \
        (void)cpu;                                                                                                     \
        COMPUTE_##op(bits)                                                                                             \
        return result;                                                                                                 \
    }                                                                                                                  \
    static HANDLER(h_##op##_r##suffix##bits)                                                                           \
    {                                                                                                                  \
        set_reg##bits(cpu, insn->r1, compute_##op##bits##suffix(cpu, reg##bits(cpu, insn->r1)));                       \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_##op##_e##suffix##bits(struct cpu *cpu, const struct insn *insn, enum form form)       \
    {                                                                                                                  \
        struct rmw rmw;                                                                                                \
        uint##bits##_t value;                                                                                          \
        if (!rmw_load##bits(cpu, insn, form, &rmw, &value)) {                                                          \
            return false;                                                                                              \
        }                                                                                                              \
        rmw_store##bits(cpu, insn, form, &rmw, compute_##op##bits##suffix(cpu, value));                                \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(op##_e##suffix##bits, 1)
#define UNARY_SIZES(op)                                                                                                \
    UNARY(op, 8, , true)                                                                                               \
    UNARY(op, 16, , true)                                                                                              \
    UNARY(op, 32, , true)                                                                                              \
    UNARY(op, 8, _nf, false)                                                                                           \
    UNARY(op, 16, _nf, false)                                                                                          \
    UNARY(op, 32, _nf, false)                                                                                          \
    BIND_RM_NF(op##_e, op##_r, op##_e)
UNARY_SIZES(inc)
UNARY_SIZES(dec)
UNARY_SIZES(neg)
UNARY_SIZES(not)
