/* int_muldiv.c - MUL IMUL DIV IDIV, decimal adjustments, CMPXCHG XADD CMPXCHG8B, BOUND, ARPL. SDM vol. 2.
 *
 * Undefined flags: after multiplications SF ZF PF follow the low half and AF is 0; after divisions flags are unchanged. */
#include "cpu/bind.h"
#include "cpu/flags.h"

/* ---- multiplication ---- */

static ALWAYS_INLINE void mul8(struct cpu *cpu, uint8_t value)
{
    unsigned product = (uint8_t)cpu->gpr[REG_AX] * (unsigned)value;

    set_reg16(cpu, REG_AX, (uint16_t)product);
    flags_result_co(cpu, (uint8_t)product, product > 0xff, product > 0xff, 8);
}
static ALWAYS_INLINE void mul16(struct cpu *cpu, uint16_t value)
{
    uint32_t product = (uint32_t)reg16(cpu, REG_AX) * value;

    set_reg16(cpu, REG_AX, (uint16_t)product);
    set_reg16(cpu, REG_DX, (uint16_t)(product >> 16));
    flags_result_co(cpu, (uint16_t)product, product > 0xffff, product > 0xffff, 16);
}
static ALWAYS_INLINE void mul32(struct cpu *cpu, uint32_t value)
{
    uint64_t product = (uint64_t)reg32(cpu, REG_AX) * value;

    set_reg32(cpu, REG_AX, (uint32_t)product);
    set_reg32(cpu, REG_DX, (uint32_t)(product >> 32));
    flags_result_co(cpu, (uint32_t)product, product >> 32 != 0, product >> 32 != 0, 32);
}
static ALWAYS_INLINE void imul8(struct cpu *cpu, uint8_t value)
{
    int product = (int8_t)cpu->gpr[REG_AX] * (int8_t)value;
    bool wide = product != (int8_t)product;

    set_reg16(cpu, REG_AX, (uint16_t)product);
    flags_result_co(cpu, (uint8_t)product, wide, wide, 8);
}
static ALWAYS_INLINE void imul16(struct cpu *cpu, uint16_t value)
{
    int32_t product = (int16_t)reg16(cpu, REG_AX) * (int16_t)value;
    bool wide = product != (int16_t)product;

    set_reg16(cpu, REG_AX, (uint16_t)product);
    set_reg16(cpu, REG_DX, (uint16_t)((uint32_t)product >> 16));
    flags_result_co(cpu, (uint16_t)product, wide, wide, 16);
}
static ALWAYS_INLINE void imul32(struct cpu *cpu, uint32_t value)
{
    int64_t product = (int64_t)(int32_t)reg32(cpu, REG_AX) * (int32_t)value;
    bool wide = product != (int32_t)product;

    set_reg32(cpu, REG_AX, (uint32_t)product);
    set_reg32(cpu, REG_DX, (uint32_t)((uint64_t)product >> 32));
    flags_result_co(cpu, (uint32_t)product, wide, wide, 32);
}
#define MULTIPLY(op, bits)                                                                                             \
    static HANDLER(h_##op##_r##bits)                                                                                   \
    {                                                                                                                  \
        op##bits(cpu, reg##bits(cpu, insn->r1));                                                                       \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_##op##bits(struct cpu *cpu, const struct insn *insn, enum form form)                   \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!load##bits(cpu, insn, form, &value)) {                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        op##bits(cpu, value);                                                                                          \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(op##bits, 1)
MULTIPLY(mul, 8)
MULTIPLY(mul, 16)
MULTIPLY(mul, 32)
MULTIPLY(imul, 8)
MULTIPLY(imul, 16)
MULTIPLY(imul, 32)
BIND_RM(mul_e, mul_r, mul)
BIND_RM(imul_e, imul_r, imul)

#define IMUL(bits)                                                                                                     \
    static ALWAYS_INLINE uint##bits##_t imul_flags##bits(struct cpu *cpu, uint##bits##_t a, uint##bits##_t b)          \
    {                                                                                                                  \
        int64_t product = (int64_t)(int##bits##_t)a * (int##bits##_t)b;                                                \
        bool wide = product != (int##bits##_t)product;                                                                 \
        flags_result_co(cpu, (uint##bits##_t)product, wide, wide, bits);                                               \
        return (uint##bits##_t)product;                                                                                \
    }                                                                                                                  \
    static HANDLER(h_imul_rr##bits)                                                                                    \
    {                                                                                                                  \
        set_reg##bits(cpu, insn->r1, imul_flags##bits(cpu, reg##bits(cpu, insn->r1), reg##bits(cpu, insn->r2)));       \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_imul_rri##bits)                                                                                   \
    {                                                                                                                  \
        set_reg##bits(cpu, insn->r1, imul_flags##bits(cpu, reg##bits(cpu, insn->r2), (uint##bits##_t)insn->d));        \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_imul_rm##bits(struct cpu *cpu, const struct insn *insn, enum form form)                \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!load##bits(cpu, insn, form, &value)) {                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        set_reg##bits(cpu, insn->r1, imul_flags##bits(cpu, reg##bits(cpu, insn->r1), value));                          \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(imul_rm##bits, 1)                                                                                           \
    static ALWAYS_INLINE bool b_imul_rmi##bits(struct cpu *cpu, const struct insn *insn, enum form form)               \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!load##bits(cpu, insn, form, &value)) {                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        set_reg##bits(cpu, insn->r1, imul_flags##bits(cpu, value, (uint##bits##_t)insn[1].d));                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(imul_rmi##bits, 2)
IMUL(16)
IMUL(32)
BIND_RM_V(imul_g_e, imul_rr, imul_rm)
BIND_RM_V(imul_g_e_i, imul_rri, imul_rmi)

/* ---- division: #DE when the divisor is 0 or the quotient does not fit ---- */

static bool divide8(struct cpu *cpu, uint8_t divisor)
{
    unsigned dividend = reg16(cpu, REG_AX);

    if (divisor == 0 || dividend / divisor > 0xff) {
        return cpu_fault(cpu, VEC_DE);
    }
    set_reg16(cpu, REG_AX, (uint16_t)(dividend / divisor | (dividend % divisor) << 8));
    return true;
}
static bool divide16(struct cpu *cpu, uint16_t divisor)
{
    uint32_t dividend = (uint32_t)reg16(cpu, REG_DX) << 16 | reg16(cpu, REG_AX);

    if (divisor == 0 || dividend / divisor > 0xffff) {
        return cpu_fault(cpu, VEC_DE);
    }
    set_reg16(cpu, REG_AX, (uint16_t)(dividend / divisor));
    set_reg16(cpu, REG_DX, (uint16_t)(dividend % divisor));
    return true;
}
static bool divide32(struct cpu *cpu, uint32_t divisor)
{
    uint32_t high = reg32(cpu, REG_DX);
    uint64_t dividend = (uint64_t)high << 32 | reg32(cpu, REG_AX);

    if (high >= divisor) {
        return cpu_fault(cpu, VEC_DE);
    }
    set_reg32(cpu, REG_AX, (uint32_t)(dividend / divisor));
    set_reg32(cpu, REG_DX, (uint32_t)(dividend % divisor));
    return true;
}
/* Signed division by magnitudes: false when the quotient does not fit `limit` (the largest positive value). */
static bool divide_signed(struct cpu *cpu, uint64_t dividend, uint64_t divisor, uint64_t limit, uint64_t *quotient,
                          uint64_t *remainder)
{
    bool negative = dividend >> 63, opposite = negative != (divisor >> 63 != 0);
    uint64_t a = negative ? 0 - dividend : dividend, b = divisor >> 63 ? 0 - divisor : divisor;

    if (b == 0 || a / b > limit + (opposite ? 1 : 0)) {
        return cpu_fault(cpu, VEC_DE);
    }
    *quotient = opposite ? 0 - a / b : a / b;
    *remainder = negative ? 0 - a % b : a % b;
    return true;
}
static bool idivide8(struct cpu *cpu, uint8_t divisor)
{
    uint64_t q = 0, r = 0;

    if (!divide_signed(cpu, (uint64_t)(int16_t)reg16(cpu, REG_AX), (uint64_t)(int8_t)divisor, 0x7f, &q, &r)) {
        return false;
    }
    set_reg16(cpu, REG_AX, (uint16_t)((q & 0xff) | (r & 0xff) << 8));
    return true;
}
static bool idivide16(struct cpu *cpu, uint16_t divisor)
{
    uint64_t q = 0, r = 0;
    uint32_t dividend = (uint32_t)reg16(cpu, REG_DX) << 16 | reg16(cpu, REG_AX);

    if (!divide_signed(cpu, (uint64_t)(int32_t)dividend, (uint64_t)(int16_t)divisor, 0x7fff, &q, &r)) {
        return false;
    }
    set_reg16(cpu, REG_AX, (uint16_t)q);
    set_reg16(cpu, REG_DX, (uint16_t)r);
    return true;
}
static bool idivide32(struct cpu *cpu, uint32_t divisor)
{
    uint64_t q = 0, r = 0;
    uint64_t dividend = (uint64_t)reg32(cpu, REG_DX) << 32 | reg32(cpu, REG_AX);

    if (!divide_signed(cpu, dividend, (uint64_t)(int32_t)divisor, 0x7fffffff, &q, &r)) {
        return false;
    }
    set_reg32(cpu, REG_AX, (uint32_t)q);
    set_reg32(cpu, REG_DX, (uint32_t)r);
    return true;
}
#define DIVIDE(name, function, bits)                                                                                   \
    static HANDLER(h_##name##_r##bits)                                                                                 \
    {                                                                                                                  \
        if (UNLIKELY(!function##bits(cpu, reg##bits(cpu, insn->r1)))) {                                                \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_##name##_m##bits)                                                                                 \
    {                                                                                                                  \
                                                                                                        \
        if (!generic_read(cpu, insn, bits / 8, &cpu->operand[0]) || !function##bits(cpu, (uint##bits##_t)cpu->operand[0])) {               \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }
#define DIVIDES(name, function)                                                                                        \
    DIVIDE(name, function, 8)                                                                                          \
    DIVIDE(name, function, 16)                                                                                         \
    DIVIDE(name, function, 32)                                                                                         \
    extern const struct binding bind_##name##_e;                                                                       \
    const struct binding bind_##name##_e = { { [LIVE] = { [FORM_REG] = SIZES(name##_r),                                \
                                                          [FORM_GENERIC] = SIZES(name##_m) } } };
DIVIDES(div, divide)
DIVIDES(idiv, idivide)

/* ---- decimal adjustments (SDM vol. 2, DAA DAS AAA AAS AAM AAD) ---- */

static ALWAYS_INLINE void set_al(struct cpu *cpu, uint8_t value)
{
    cpu->gpr[REG_AX] = (cpu->gpr[REG_AX] & ~UINT64_C(0xff)) | value;
}

static void decimal_adjust(struct cpu *cpu, bool is_subtract)
{
    uint8_t old_al = (uint8_t)cpu->gpr[REG_AX], al = old_al;
    bool old_carry = flag_c(cpu), carry = false, adjust = false;

    if ((al & 15) > 9 || flag_a(cpu)) {
        carry = old_carry || (is_subtract ? al < 6 : al > 0xf9);
        al = (uint8_t)(is_subtract ? al - 6 : al + 6);
        adjust = true;
    }
    if (old_al > 0x99 || old_carry) {
        al = (uint8_t)(is_subtract ? al - 0x60 : al + 0x60);
        carry = true;
    }
    uint8_t sign_change = is_subtract ? old_al & (uint8_t)~al : (uint8_t)~old_al & al;
    set_al(cpu, al);
    flags_result_co(cpu, al, carry, sign_change >> 7, 8);
    uint32_t flags = flags_gather(cpu) & ~FLAG_AF;
    flags_scatter(cpu, flags | (adjust ? FLAG_AF : 0));
}
static HANDLER(h_daa)
{
    decimal_adjust(cpu, false);
    NEXT(1);
}
BIND_ONE(daa, h_daa)
static HANDLER(h_das)
{
    decimal_adjust(cpu, true);
    NEXT(1);
}
BIND_ONE(das, h_das)

static void ascii_adjust(struct cpu *cpu, bool is_subtract)
{
    uint16_t ax = reg16(cpu, REG_AX);
    bool adjust = (ax & 15) > 9 || flag_a(cpu);

    if (adjust) {
        ax = (uint16_t)(is_subtract ? ax - 0x106 : ax + 0x106);
    }
    ax &= 0xff0f;
    set_reg16(cpu, REG_AX, ax);
    flags_result_co(cpu, ax & 0xff, adjust, false, 8);
    flags_scatter(cpu, (flags_gather(cpu) & ~FLAG_AF) | (adjust ? FLAG_AF : 0));
}
static HANDLER(h_aaa)
{
    ascii_adjust(cpu, false);
    NEXT(1);
}
BIND_ONE(aaa, h_aaa)
static HANDLER(h_aas)
{
    ascii_adjust(cpu, true);
    NEXT(1);
}
BIND_ONE(aas, h_aas)
static HANDLER(h_aam)
{
    uint8_t al = (uint8_t)cpu->gpr[REG_AX], base = (uint8_t)insn->d;

    if (base == 0) {
        cpu_fault(cpu, VEC_DE);
        return fault_exit(cpu, insn);
    }
    set_reg16(cpu, REG_AX, (uint16_t)((al / base) << 8 | al % base));
    flags_result_co(cpu, (uint8_t)(al % base), false, false, 8);
    NEXT(1);
}
BIND_ONE(aam, h_aam)
static HANDLER(h_aad)
{
    uint16_t ax = reg16(cpu, REG_AX);
    uint8_t al = (uint8_t)((ax & 0xff) + (ax >> 8) * (uint8_t)insn->d);

    set_reg16(cpu, REG_AX, al);
    flags_result_co(cpu, al, false, false, 8);
    NEXT(1);
}
BIND_ONE(aad, h_aad)

/* ---- compare and exchange ---- */

#define CMPXCHG(bits, accumulator, set_accumulator)                                                                    \
    static ALWAYS_INLINE bool compare_accumulator##bits(struct cpu *cpu, uint##bits##_t value)                         \
    {                                                                                                                  \
        uint##bits##_t a = accumulator;                                                                                \
        flags_arith(cpu, (uint##bits##_t)(a - value), a, value, a < value, bits);                                      \
        return a == value;                                                                                             \
    }                                                                                                                  \
    static HANDLER(h_cmpxchg_r##bits)                                                                                  \
    {                                                                                                                  \
        uint##bits##_t value = reg##bits(cpu, insn->r1);                                                               \
        if (compare_accumulator##bits(cpu, value)) {                                                                   \
            set_reg##bits(cpu, insn->r1, reg##bits(cpu, insn->r2));                                                    \
        } else {                                                                                                       \
            set_accumulator;                                                                                           \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_cmpxchg##bits(struct cpu *cpu, const struct insn *insn, enum form form)                \
    {                                                                                                                  \
        struct rmw rmw;                                                                                                \
        uint##bits##_t value;                                                                                          \
        if (!rmw_load##bits(cpu, insn, form, &rmw, &value)) {                                                          \
            return false;                                                                                              \
        }                                                                                                              \
        if (compare_accumulator##bits(cpu, value)) {                                                                   \
            rmw_store##bits(cpu, insn, form, &rmw, reg##bits(cpu, insn->r1));                                          \
        } else {                                                                                                       \
            rmw_store##bits(cpu, insn, form, &rmw, value); /* the write cycle always happens */                        \
            set_accumulator;                                                                                           \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(cmpxchg##bits, 1)                                                                                           \
    static HANDLER(h_xadd_r##bits)                                                                                     \
    {                                                                                                                  \
        uint##bits##_t a = reg##bits(cpu, insn->r1), b = reg##bits(cpu, insn->r2);                                     \
        uint##bits##_t result = (uint##bits##_t)(a + b);                                                               \
        flags_arith(cpu, result, a, b, result < a, bits);                                                              \
        set_reg##bits(cpu, insn->r2, a);                                                                               \
        set_reg##bits(cpu, insn->r1, result);                                                                          \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_xadd##bits(struct cpu *cpu, const struct insn *insn, enum form form)                   \
    {                                                                                                                  \
        struct rmw rmw;                                                                                                \
        uint##bits##_t a, b = reg##bits(cpu, insn->r1);                                                                \
        if (!rmw_load##bits(cpu, insn, form, &rmw, &a)) {                                                              \
            return false;                                                                                              \
        }                                                                                                              \
        uint##bits##_t result = (uint##bits##_t)(a + b);                                                               \
        flags_arith(cpu, result, a, b, result < a, bits);                                                              \
        rmw_store##bits(cpu, insn, form, &rmw, result);                                                                \
        set_reg##bits(cpu, insn->r1, a);                                                                               \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(xadd##bits, 1)
CMPXCHG(8, (uint8_t)cpu->gpr[REG_AX], set_al(cpu, value))
CMPXCHG(16, reg16(cpu, REG_AX), set_reg16(cpu, REG_AX, value))
CMPXCHG(32, reg32(cpu, REG_AX), set_reg32(cpu, REG_AX, value))
BIND_RM(cmpxchg, cmpxchg_r, cmpxchg)
BIND_RM(xadd, xadd_r, xadd)

static HANDLER(h_cmpxchg8b)
{
    uint64_t expected = (uint64_t)reg32(cpu, REG_DX) << 32 | reg32(cpu, REG_AX);

    if (!generic_read_modify(cpu, insn, 8, &cpu->operand[0])) {
        return fault_exit(cpu, insn);
    }
    uint32_t flags = flags_gather(cpu) & ~FLAG_ZF;
    if (cpu->operand[0] == expected) {
        (void)generic_write(cpu, insn, 8, (uint64_t)reg32(cpu, REG_CX) << 32 | reg32(cpu, REG_BX));
        flags |= FLAG_ZF;
    } else {
        (void)generic_write(cpu, insn, 8, cpu->operand[0]);
        set_reg32(cpu, REG_AX, (uint32_t)cpu->operand[0]);
        set_reg32(cpu, REG_DX, (uint32_t)(cpu->operand[0] >> 32));
    }
    flags_scatter(cpu, flags);
    NEXT_SLOW(1);
}
BIND_ONE(cmpxchg8b, h_cmpxchg8b)

/* ---- BOUND, ARPL ---- */

#define BOUND(bits)                                                                                                    \
    static HANDLER(h_bound##bits)                                                                                      \
    {                                                                                                                  \
        uint64_t ea = ea_generic(cpu, insn);                                                                \
        uint64_t mask = (insn->sc >> 5 & 3) == 0 ? 0xffff : 0xffffffffu;                                               \
        cpu->current = insn;                                                                                           \
        if (!segment_read(cpu, ea_segment(insn), ea, bits / 8, &cpu->operand[0]) ||                                                \
            !segment_read(cpu, ea_segment(insn), (ea + bits / 8) & mask, bits / 8, &cpu->operand[1])) {                           \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        int##bits##_t index = (int##bits##_t)reg##bits(cpu, insn->r1);                                                 \
        if (index < (int##bits##_t)cpu->operand[0] || index > (int##bits##_t)cpu->operand[1]) {                                               \
            cpu_fault(cpu, VEC_BR);                                                                                    \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        NEXT_SLOW(1);                                                                                                  \
    }
BOUND(16)
BOUND(32)
BIND_SIZED(bound)

static void set_zf(struct cpu *cpu, bool zf)
{
    flags_scatter(cpu, (flags_gather(cpu) & ~FLAG_ZF) | (zf ? FLAG_ZF : 0));
}
static HANDLER(h_arpl_r)
{
    uint16_t selector = reg16(cpu, insn->r1), rpl = reg16(cpu, insn->r2) & 3;
    bool below = (selector & 3) < rpl;

    if (below) {
        set_reg16(cpu, insn->r1, (uint16_t)((selector & ~3) | rpl));
    }
    set_zf(cpu, below);
    NEXT(1);
}
static HANDLER(h_arpl_m)
{
    uint16_t rpl = reg16(cpu, insn->r1) & 3;
    

    if (!generic_read_modify(cpu, insn, 2, &cpu->operand[0])) {
        return fault_exit(cpu, insn);
    }
    bool below = (cpu->operand[0] & 3) < rpl;
    (void)generic_write(cpu, insn, 2, below ? (cpu->operand[0] & ~UINT64_C(3)) | rpl : cpu->operand[0]);
    set_zf(cpu, below);
    NEXT_SLOW(1);
}
extern const struct binding bind_arpl;
const struct binding bind_arpl = { { [LIVE] = { [FORM_REG] = ALL_SIZES(h_arpl_r),
                                                [FORM_GENERIC] = ALL_SIZES(h_arpl_m) } } };
