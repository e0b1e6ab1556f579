/* int_shift.c - shifts, rotates, double shifts, bit tests and scans. SDM vol. 2, the instructions' pages.
 *
 * A masked count of 0 leaves all flags alone. Undefined flags are what processors since the Pentium compute: OF of multi-bit
 * shifts as for one bit on the last step, AF 0. */
#include "cpu/bind.h"
#include "cpu/flags.h"

#define SIGN(bits) ((uint##bits##_t)1 << (bits - 1))

/* Each computes `value` shifted by `count` (1 to 31) and sets the flags. */
#define SHIFTS(bits)                                                                                                   \
    static ALWAYS_INLINE uint##bits##_t shl##bits(struct cpu *cpu, uint##bits##_t value, unsigned count, bool live)    \
    {                                                                                                                  \
        uint64_t wide = (uint64_t)value << count;                                                                      \
        uint##bits##_t result = (uint##bits##_t)wide;                                                                  \
        if (live) {                                                                                                    \
            bool carry = wide >> bits & 1;                                                                             \
            flags_result_co(cpu, result, carry, ((result & SIGN(bits)) != 0) != carry, bits);                          \
        }                                                                                                              \
        return result;                                                                                                 \
    }                                                                                                                  \
    static ALWAYS_INLINE uint##bits##_t shr##bits(struct cpu *cpu, uint##bits##_t value, unsigned count, bool live)    \
    {                                                                                                                  \
        uint##bits##_t result = (uint##bits##_t)((uint64_t)value >> count);                                            \
        if (live) {                                                                                                    \
            bool carry = (uint64_t)value >> (count - 1) & 1;                                                           \
            /* OF: the top two bits of the last step's operand differ; the result's are 0 and the old top bit. */      \
            flags_result_co(cpu, result, carry, count == 1 ? (value & SIGN(bits)) != 0 : false, bits);                 \
        }                                                                                                              \
        return result;                                                                                                 \
    }                                                                                                                  \
    static ALWAYS_INLINE uint##bits##_t sar##bits(struct cpu *cpu, uint##bits##_t value, unsigned count, bool live)    \
    {                                                                                                                  \
        uint64_t wide = ((uint64_t)value ^ SIGN(bits)) - SIGN(bits); /* sign-extended */                               \
        uint64_t fill = wide >> 63 ? ~(~UINT64_C(0) >> count) : 0;                                                     \
        uint##bits##_t result = (uint##bits##_t)(wide >> count | fill);                                                \
        if (live) {                                                                                                    \
            flags_result_co(cpu, result, wide >> (count - 1) & 1, false, bits);                                        \
        }                                                                                                              \
        return result;                                                                                                 \
    }                                                                                                                  \
    static ALWAYS_INLINE uint##bits##_t rol##bits(struct cpu *cpu, uint##bits##_t value, unsigned count, bool live)    \
    {                                                                                                                  \
        unsigned by = count % bits;                                                                                    \
        uint##bits##_t result = by ? (uint##bits##_t)((uint64_t)value << by | (uint64_t)value >> (bits - by)) : value; \
        if (live) {                                                                                                    \
            bool carry = result & 1;                                                                                   \
            flags_set_co(cpu, carry, ((result & SIGN(bits)) != 0) != carry);                                           \
        }                                                                                                              \
        return result;                                                                                                 \
    }                                                                                                                  \
    static ALWAYS_INLINE uint##bits##_t ror##bits(struct cpu *cpu, uint##bits##_t value, unsigned count, bool live)    \
    {                                                                                                                  \
        unsigned by = count % bits;                                                                                    \
        uint##bits##_t result = by ? (uint##bits##_t)((uint64_t)value >> by | (uint64_t)value << (bits - by)) : value; \
        if (live) {                                                                                                    \
            bool top = (result & SIGN(bits)) != 0;                                                                     \
            flags_set_co(cpu, top, top != ((result & SIGN(bits) >> 1) != 0));                                          \
        }                                                                                                              \
        return result;                                                                                                 \
    }                                                                                                                  \
    static ALWAYS_INLINE uint##bits##_t rcl##bits(struct cpu *cpu, uint##bits##_t value, unsigned count, bool live)    \
    {                                                                                                                  \
        bool carry = flag_c(cpu);                                                                                      \
        (void)live;                                                                                                    \
        for (unsigned k = count % (bits + 1); k > 0; k--) {                                                            \
            bool top = (value & SIGN(bits)) != 0;                                                                      \
            value = (uint##bits##_t)((uint64_t)value << 1 | carry);                                                    \
            carry = top;                                                                                               \
        }                                                                                                              \
        flags_set_co(cpu, carry, ((value & SIGN(bits)) != 0) != carry);                                                \
        return value;                                                                                                  \
    }                                                                                                                  \
    static ALWAYS_INLINE uint##bits##_t rcr##bits(struct cpu *cpu, uint##bits##_t value, unsigned count, bool live)    \
    {                                                                                                                  \
        bool carry = flag_c(cpu);                                                                                      \
        (void)live;                                                                                                    \
        for (unsigned k = count % (bits + 1); k > 0; k--) {                                                            \
            bool low = value & 1;                                                                                      \
            value = (uint##bits##_t)(value >> 1 | (carry ? SIGN(bits) : 0));                                           \
            carry = low;                                                                                               \
        }                                                                                                              \
        flags_set_co(cpu, carry, ((value & SIGN(bits)) != 0) != ((value & SIGN(bits) >> 1) != 0));                     \
        return value;                                                                                                  \
    }
SHIFTS(8)
SHIFTS(16)
SHIFTS(32)

/* Forms: count by immediate, by CL, or 1. */
#define COUNT_i(slots) ((slots) == 1 ? insn->d & 31 : insn[1].d & 31)
#define COUNT_cl(slots) ((uint32_t)cpu->gpr[REG_CX] & 31)
#define COUNT_1(slots) 1u

#define SHIFT_FORM(op, how, bits, slots, suffix, live)                                                                 \
    static HANDLER(h_##op##_##how##_r##suffix##bits)                                                                   \
    {                                                                                                                  \
        unsigned count = COUNT_##how(1);                                                                               \
        if (count) {                                                                                                   \
            set_reg##bits(cpu, insn->r1, op##bits(cpu, reg##bits(cpu, insn->r1), count, live));                        \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_##op##_##how##suffix##bits(struct cpu *cpu, const struct insn *insn, enum form form)   \
    {                                                                                                                  \
        struct rmw rmw;                                                                                                \
        uint##bits##_t value;                                                                                          \
        unsigned count = COUNT_##how(slots);                                                                           \
        if (!rmw_load##bits(cpu, insn, form, &rmw, &value)) {                                                          \
            return false;                                                                                              \
        }                                                                                                              \
        if (count) {                                                                                                   \
            rmw_store##bits(cpu, insn, form, &rmw, op##bits(cpu, value, count, live));                                 \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(op##_##how##suffix##bits, slots)
#define SHIFT_HOW(op, how, slots)                                                                                      \
    SHIFT_FORM(op, how, 8, slots, , true)                                                                              \
    SHIFT_FORM(op, how, 16, slots, , true)                                                                             \
    SHIFT_FORM(op, how, 32, slots, , true)                                                                             \
    SHIFT_FORM(op, how, 8, slots, _nf, false)                                                                          \
    SHIFT_FORM(op, how, 16, slots, _nf, false)                                                                         \
    SHIFT_FORM(op, how, 32, slots, _nf, false)                                                                         \
    BIND_RM_NF(op##_e_##how, op##_##how##_r, op##_##how)
#define SHIFT(op)                                                                                                      \
    SHIFT_HOW(op, i, 2)                                                                                                \
    SHIFT_HOW(op, cl, 1)                                                                                               \
    SHIFT_HOW(op, 1, 1)
SHIFT(rol)
SHIFT(ror)
SHIFT(rcl)
SHIFT(rcr)
SHIFT(shl)
SHIFT(shr)
SHIFT(sar)

/* SHLD, SHRD. With 16-bit operands counts above 16 are undefined: processors shift through the source and then the
 * destination again. */
static ALWAYS_INLINE uint32_t shld_any(struct cpu *cpu, uint32_t value, uint32_t source, unsigned count, unsigned bits)
{
    uint64_t wide = bits == 32 ? (uint64_t)value << 32 | source
                               : (uint64_t)value << 32 | (uint64_t)source << 16 | value;
    unsigned width = bits == 32 ? 64 : 48;
    uint32_t result = (uint32_t)((wide << count) >> (width - bits)) & (bits == 32 ? 0xffffffffu : 0xffff);
    bool carry = wide >> (width - count) & 1;
    uint32_t sign = bits == 32 ? 0x80000000u : 0x8000;

    flags_result_co(cpu, result, carry, ((result ^ value) & sign) != 0, bits);
    return result;
}
static ALWAYS_INLINE uint32_t shrd_any(struct cpu *cpu, uint32_t value, uint32_t source, unsigned count, unsigned bits)
{
    uint64_t wide = bits == 32 ? (uint64_t)source << 32 | value
                               : (uint64_t)value << 32 | (uint64_t)source << 16 | value;
    uint32_t result = (uint32_t)(wide >> count) & (bits == 32 ? 0xffffffffu : 0xffff);
    uint32_t sign = bits == 32 ? 0x80000000u : 0x8000;

    flags_result_co(cpu, result, wide >> (count - 1) & 1, ((result ^ value) & sign) != 0, bits);
    return result;
}
#define DOUBLE_SHIFT(op, how, bits, slots)                                                                             \
    static HANDLER(h_##op##_##how##_r##bits)                                                                           \
    {                                                                                                                  \
        unsigned count = COUNT_##how(1);                                                                               \
        if (count) {                                                                                                   \
            set_reg##bits(cpu, insn->r1, (uint##bits##_t)op##_any(cpu, reg##bits(cpu, insn->r1),                       \
                                                                  reg##bits(cpu, insn->r2), count, bits));             \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_##op##_##how##bits(struct cpu *cpu, const struct insn *insn, enum form form)           \
    {                                                                                                                  \
        struct rmw rmw;                                                                                                \
        uint##bits##_t value;                                                                                          \
        unsigned count = COUNT_##how(slots);                                                                           \
        if (!rmw_load##bits(cpu, insn, form, &rmw, &value)) {                                                          \
            return false;                                                                                              \
        }                                                                                                              \
        if (count) {                                                                                                   \
            rmw_store##bits(cpu, insn, form, &rmw,                                                                     \
                            (uint##bits##_t)op##_any(cpu, value, reg##bits(cpu, insn->r1), count, bits));              \
        }                                                                                                              \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(op##_##how##bits, slots)
#define DOUBLE_SHIFTS(op, how, slots)                                                                                  \
    DOUBLE_SHIFT(op, how, 16, slots)                                                                                   \
    DOUBLE_SHIFT(op, how, 32, slots)                                                                                   \
    BIND_RM_V(op##_##how, op##_##how##_r, op##_##how)
DOUBLE_SHIFTS(shld, i, 2)
DOUBLE_SHIFTS(shld, cl, 1)
DOUBLE_SHIFTS(shrd, i, 2)
DOUBLE_SHIFTS(shrd, cl, 1)

/* ---- bit tests ---- */

#define BIT_bt(v, m) (v)
#define BIT_bts(v, m) ((v) | (m))
#define BIT_btr(v, m) ((v) & ~(m))
#define BIT_btc(v, m) ((v) ^ (m))

/* With a register index and memory the bit string may lie anywhere: the index moves the address by operands. */
#define BIT_TEST(op, bits, writes)                                                                                     \
    static HANDLER(h_##op##_rr##bits)                                                                                  \
    {                                                                                                                  \
        uint##bits##_t value = reg##bits(cpu, insn->r1);                                                               \
        uint##bits##_t mask = (uint##bits##_t)((uint##bits##_t)1 << (reg##bits(cpu, insn->r2) & (bits - 1)));          \
        if (writes) {                                                                                                  \
            set_reg##bits(cpu, insn->r1, (uint##bits##_t)(BIT_##op(value, mask)));                                     \
        }                                                                                                              \
        flags_set_c(cpu, (value & mask) != 0);                                                                         \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_##op##_ri##bits)                                                                                  \
    {                                                                                                                  \
        uint##bits##_t value = reg##bits(cpu, insn->r1);                                                               \
        uint##bits##_t mask = (uint##bits##_t)((uint##bits##_t)1 << (insn->d & (bits - 1)));                           \
        if (writes) {                                                                                                  \
            set_reg##bits(cpu, insn->r1, (uint##bits##_t)(BIT_##op(value, mask)));                                     \
        }                                                                                                              \
        flags_set_c(cpu, (value & mask) != 0);                                                                         \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static HANDLER(h_##op##_mr##bits)                                                                                  \
    {                                                                                                                  \
        uint32_t index = reg##bits(cpu, insn->r1);                                                                     \
        int32_t signed_index = bits == 16 ? (int16_t)index : (int32_t)index;                                           \
        uint32_t by = (uint32_t)(signed_index >> (bits == 16 ? 4 : 5)) * (bits / 8);                                   \
        uint64_t ea = ea_generic(cpu, insn) + by;                                                               \
        uint##bits##_t mask = (uint##bits##_t)((uint##bits##_t)1 << (index & (bits - 1)));                             \
        ea &= (insn->sc >> 5 & 3) == 0 ? 0xffff : 0xffffffffu;                                                         \
        cpu->current = insn;                                                                                           \
        if ((writes && !segment_probe_write(cpu, ea_segment(insn), ea, bits / 8)) ||                                   \
            !segment_read(cpu, ea_segment(insn), ea, bits / 8, &cpu->operand[0])) {                                              \
            return fault_exit(cpu, insn);                                                                              \
        }                                                                                                              \
        if (writes) {                                                                                                  \
            (void)segment_write(cpu, ea_segment(insn), ea, bits / 8, (uint##bits##_t)(BIT_##op(cpu->operand[0], mask)));         \
        }                                                                                                              \
        flags_set_c(cpu, (cpu->operand[0] & mask) != 0);                                                                         \
        NEXT_SLOW(1);                                                                                                  \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_##op##_mi##bits(struct cpu *cpu, const struct insn *insn, enum form form)              \
    {                                                                                                                  \
        struct rmw rmw = { NULL };                                                                                     \
        uint##bits##_t value;                                                                                          \
        uint##bits##_t mask = (uint##bits##_t)((uint##bits##_t)1 << (insn[1].d & (bits - 1)));                         \
        if (writes ? !rmw_load##bits(cpu, insn, form, &rmw, &value) : !load##bits(cpu, insn, form, &value)) {          \
            return false;                                                                                              \
        }                                                                                                              \
        if (writes) {                                                                                                  \
            rmw_store##bits(cpu, insn, form, &rmw, (uint##bits##_t)(BIT_##op(value, mask)));                           \
        }                                                                                                              \
        flags_set_c(cpu, (value & mask) != 0);                                                                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(op##_mi##bits, 2)
#define BIT_TESTS(op, writes)                                                                                          \
    BIT_TEST(op, 16, writes)                                                                                           \
    BIT_TEST(op, 32, writes)                                                                                           \
    BIND_RM_V(op##_e_i, op##_ri, op##_mi)                                                                              \
    extern const struct binding bind_##op##_e_g;                                                                       \
    const struct binding bind_##op##_e_g = { { [LIVE] = { [FORM_REG] = SIZES_V(op##_rr),                               \
                                                          [FORM_GENERIC] = SIZES_V(op##_mr) } } };
BIT_TESTS(bt, false)
BIT_TESTS(bts, true)
BIT_TESTS(btr, true)
BIT_TESTS(btc, true)

static ALWAYS_INLINE unsigned lowest_bit(uint32_t v)
{
    unsigned n = 0;

    for (unsigned step = 16; step; step >>= 1) {
        if (!(v & ((UINT32_C(1) << step) - 1))) {
            v >>= step;
            n += step;
        }
    }
    return n;
}
static ALWAYS_INLINE unsigned highest_bit(uint32_t v)
{
    unsigned n = 0;

    for (unsigned step = 16; step; step >>= 1) {
        if (v >> step) {
            v >>= step;
            n += step;
        }
    }
    return n;
}

/* BSF, BSR of 0: ZF = 1 and the destination is unchanged, as processors do (the SDM calls it undefined). */
#define SCAN(op, bits, find)                                                                                           \
    static ALWAYS_INLINE void do_##op##bits(struct cpu *cpu, const struct insn *insn, uint##bits##_t value)            \
    {                                                                                                                  \
        if (value) {                                                                                                   \
            set_reg##bits(cpu, insn->r1, (uint##bits##_t)find(value));                                                 \
        }                                                                                                              \
        flags_logic(cpu, value ? 1 : 0, 32);                                                                           \
    }                                                                                                                  \
    static HANDLER(h_##op##_rr##bits)                                                                                  \
    {                                                                                                                  \
        do_##op##bits(cpu, insn, reg##bits(cpu, insn->r2));                                                            \
        NEXT(1);                                                                                                       \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_##op##bits(struct cpu *cpu, const struct insn *insn, enum form form)                   \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!load##bits(cpu, insn, form, &value)) {                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        do_##op##bits(cpu, insn, value);                                                                               \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY(op##bits, 1)
SCAN(bsf, 16, lowest_bit)
SCAN(bsf, 32, lowest_bit)
SCAN(bsr, 16, highest_bit)
SCAN(bsr, 32, highest_bit)
BIND_RM_V(bsf, bsf_rr, bsf)
BIND_RM_V(bsr, bsr_rr, bsr)
