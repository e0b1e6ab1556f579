/* int_bmi.c - LZCNT TZCNT MOVBE ADCX ADOX, BMI1 and BMI2. Intel SDM vol. 2 (December 2023), the instructions' pages.
 *
 * Behind a VEX prefix an instruction takes two slots whatever its operands: r1 of the second is the register in VEX.vvvv, d the
 * immediate (blocks.c, lower). Undefined flags: AF 0 and PF as the result has it. */
#include "cpu/bind.h"
#include "cpu/flags.h"

/* ---- without VEX ---- */

static ALWAYS_INLINE unsigned zeros_below(uint64_t value, unsigned bits)
{
    unsigned n = 0;

    while (n < bits && !(value >> n & 1)) {
        n++;
    }
    return n;
}
static ALWAYS_INLINE unsigned zeros_above(uint64_t value, unsigned bits)
{
    unsigned n = 0;

    while (n < bits && !(value >> (bits - 1 - n) & 1)) {
        n++;
    }
    return n;
}
/* A register and a memory form of `expression` of `value`; `slots` as in MEMORY. */
#define FROM_OPERAND(name, bits, slots, body)                                                                          \
    static ALWAYS_INLINE bool do_##name##bits(struct cpu *cpu, const struct insn *insn, uint##bits##_t value)          \
    {                                                                                                                  \
        body return true;                                                                                              \
    }                                                                                                                  \
    static HANDLER(h_##name##_r##bits)                                                                                 \
    {                                                                                                                  \
        (void)do_##name##bits(cpu, insn, reg##bits(cpu, insn->r2));                                                    \
        NEXT(slots);                                                                                                   \
    }                                                                                                                  \
    static ALWAYS_INLINE bool b_##name##bits(struct cpu *cpu, const struct insn *insn, enum form form)                 \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        return load##bits(cpu, insn, form, &value) && do_##name##bits(cpu, insn, value);                               \
    }                                                                                                                  \
    MEMORY_##bits(name##bits, slots)

#define COUNTS(name, count)                                                                                            \
    COUNT(name, count, 16)                                                                                             \
    COUNT(name, count, 32)                                                                                             \
    COUNT(name, count, 64)                                                                                             \
    BIND_RM_V(name, name##_r, name)
#define COUNT(name, count, bits)                                                                                       \
    FROM_OPERAND(name, bits, 1, {                                                                                      \
        unsigned result = count(value, bits);                                                                          \
        set_reg##bits(cpu, insn->r1, (uint##bits##_t)result);                                                          \
        flags_result_co(cpu, result, value == 0, false, 32);                                                           \
    })
COUNTS(tzcnt, zeros_below)
COUNTS(lzcnt, zeros_above)

#define MOVBE(bits)                                                                                                    \
    static ALWAYS_INLINE bool b_movbe_rm##bits(struct cpu *cpu, const struct insn *insn, enum form form)               \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (!load##bits(cpu, insn, form, &value)) {                                                                    \
            return false;                                                                                              \
        }                                                                                                              \
        set_reg##bits(cpu, insn->r1, (uint##bits##_t)swap64(value, bits / 8));                                         \
        return true;                                                                                                   \
    }                                                                                                                  \
    MEMORY_##bits(movbe_rm##bits, 1)                                                                                   \
    static ALWAYS_INLINE bool b_movbe_mr##bits(struct cpu *cpu, const struct insn *insn, enum form form)               \
    {                                                                                                                  \
        return store##bits(cpu, insn, form, (uint##bits##_t)swap64(reg##bits(cpu, insn->r1), bits / 8));               \
    }                                                                                                                  \
    MEMORY_##bits(movbe_mr##bits, 1)
MOVBE(16)
MOVBE(32)
MOVBE(64)
#define BIND_MEMORY_V(stem, mem)                                                                                       \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = { FORMS_V(mem) } } };
BIND_MEMORY_V(movbe_g_m, movbe_rm)
BIND_MEMORY_V(movbe_m_g, movbe_mr)

/* ADCX and ADOX: an addition with carry in CF, or in OF, that leaves the other flags alone. */
#define CARRY_OUT(bits, a, b, carry, sum) ((sum) < (a) || ((carry) && (sum) == (a)))
#define ADX(bits)                                                                                                      \
    FROM_OPERAND(adcx, bits, 1, {                                                                                      \
        uint##bits##_t a = reg##bits(cpu, insn->r1);                                                                   \
        bool carry = flag_c(cpu);                                                                                      \
        uint##bits##_t sum = a + value + carry;                                                                        \
        set_reg##bits(cpu, insn->r1, sum);                                                                             \
        flags_set_c(cpu, CARRY_OUT(bits, a, value, carry, sum));                                                       \
    })                                                                                                                 \
    FROM_OPERAND(adox, bits, 1, {                                                                                      \
        uint##bits##_t a = reg##bits(cpu, insn->r1);                                                                   \
        bool carry = flag_o(cpu);                                                                                      \
        uint##bits##_t sum = a + value + carry;                                                                        \
        set_reg##bits(cpu, insn->r1, sum);                                                                             \
        flags_scatter(cpu, (flags_gather(cpu) & ~FLAG_OF) | (CARRY_OUT(bits, a, value, carry, sum) ? FLAG_OF : 0));    \
    })
ADX(32)
ADX(64)
#define BIND_RM_Y(stem, reg, mem)                                                                                      \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = {                                                                  \
        [FORM_REG] = { NULL, NULL, h_##reg##32, h_##reg##64 },                                                         \
        [FORM_GENERIC] = { NULL, NULL, h_##mem##32_m, h_##mem##64_m },                                                 \
        [FORM_BD] = { NULL, NULL, h_##mem##32_bd, NULL },                                                              \
        [FORM_BID] = { NULL, NULL, h_##mem##32_bid, NULL },                                                            \
        [FORM_LBD] = { NULL, NULL, h_##mem##32_lbd, h_##mem##64_lbd },                                                 \
        [FORM_LBID] = { NULL, NULL, h_##mem##32_lbid, h_##mem##64_lbid } } } };
BIND_RM_Y(adcx, adcx_r, adcx)
BIND_RM_Y(adox, adox_r, adox)

/* ---- with VEX ---- */

/* The register in VEX.vvvv. */
#define VVVV(bits) reg##bits(cpu, insn[1].r1)
#define BMI(name, body)                                                                                                \
    BMI_SIZE(name, 32, body)                                                                                           \
    BMI_SIZE(name, 64, body)                                                                                           \
    BIND_RM_Y(name, name##_r, name)
#define BMI_SIZE(name, bits, body) FROM_OPERAND(name, bits, 2, body(bits))

#define DO_ANDN(bits)                                                                                                  \
    {                                                                                                                  \
        uint##bits##_t result = ~VVVV(bits) & value;                                                                   \
        set_reg##bits(cpu, insn->r1, result);                                                                          \
        flags_logic(cpu, result, bits);                                                                                \
    }
BMI(andn, DO_ANDN)
#define DO_BLSR(bits)                                                                                                  \
    {                                                                                                                  \
        uint##bits##_t result = value & (value - 1);                                                                   \
        set_reg##bits(cpu, insn->r1, result);                                                                          \
        flags_result_co(cpu, result, value == 0, false, bits);                                                         \
    }
BMI(blsr, DO_BLSR)
#define DO_BLSMSK(bits)                                                                                                \
    {                                                                                                                  \
        uint##bits##_t result = value ^ (value - 1);                                                                   \
        set_reg##bits(cpu, insn->r1, result);                                                                          \
        flags_result_co(cpu, result, value == 0, false, bits);                                                         \
    }
BMI(blsmsk, DO_BLSMSK)
#define DO_BLSI(bits)                                                                                                  \
    {                                                                                                                  \
        uint##bits##_t result = value & (0 - value);                                                                   \
        set_reg##bits(cpu, insn->r1, result);                                                                          \
        flags_result_co(cpu, result, value != 0, false, bits);                                                         \
    }
BMI(blsi, DO_BLSI)
#define DO_BZHI(bits)                                                                                                  \
    {                                                                                                                  \
        unsigned from = (unsigned)VVVV(bits) & 0xff;                                                                   \
        uint##bits##_t result = from < bits ? value & (((uint##bits##_t)1 << from) - 1) : value;                       \
        set_reg##bits(cpu, insn->r1, result);                                                                          \
        flags_result_co(cpu, result, from > bits - 1, false, bits);                                                    \
    }
BMI(bzhi, DO_BZHI)
#define DO_BEXTR(bits)                                                                                                 \
    {                                                                                                                  \
        unsigned start = (unsigned)VVVV(bits) & 0xff, length = (unsigned)VVVV(bits) >> 8 & 0xff;                       \
        uint##bits##_t result = start < bits ? value >> start : 0;                                                     \
        result = length < bits ? result & (((uint##bits##_t)1 << length) - 1) : result;                                \
        set_reg##bits(cpu, insn->r1, result);                                                                          \
        flags_result_co(cpu, result, false, false, bits);                                                              \
    }
BMI(bextr, DO_BEXTR)
#define DO_SHLX(bits) { set_reg##bits(cpu, insn->r1, value << (VVVV(bits) & (bits - 1))); }
#define DO_SHRX(bits) { set_reg##bits(cpu, insn->r1, value >> (VVVV(bits) & (bits - 1))); }
#define DO_SARX(bits)                                                                                                  \
    {                                                                                                                  \
        unsigned by = (unsigned)VVVV(bits) & (bits - 1);                                                               \
        uint##bits##_t fill = value >> (bits - 1) ? ~(~(uint##bits##_t)0 >> by) : 0;                                   \
        set_reg##bits(cpu, insn->r1, value >> by | fill);                                                              \
    }
BMI(shlx, DO_SHLX)
BMI(shrx, DO_SHRX)
BMI(sarx, DO_SARX)
#define DO_RORX(bits)                                                                                                  \
    {                                                                                                                  \
        unsigned by = insn[1].d & (bits - 1);                                                                          \
        set_reg##bits(cpu, insn->r1, by ? value >> by | value << (bits - by) : value);                                 \
    }
BMI(rorx, DO_RORX)

static NOINLINE uint64_t deposit(uint64_t source, uint64_t mask)
{
    uint64_t result = 0;

    for (; mask; mask &= mask - 1, source >>= 1) {
        result |= source & 1 ? mask & (0 - mask) : 0;
    }
    return result;
}
static NOINLINE uint64_t extract(uint64_t source, uint64_t mask)
{
    uint64_t result = 0;

    for (uint64_t bit = 1; mask; mask &= mask - 1, bit <<= 1) {
        result |= source & mask & (0 - mask) ? bit : 0;
    }
    return result;
}
#define DO_PDEP(bits) { set_reg##bits(cpu, insn->r1, (uint##bits##_t)deposit(VVVV(bits), value)); }
#define DO_PEXT(bits) { set_reg##bits(cpu, insn->r1, (uint##bits##_t)extract(VVVV(bits), value)); }
BMI(pdep, DO_PDEP)
BMI(pext, DO_PEXT)

/* MULX: when both destinations are one register it gets the upper half. */
static ALWAYS_INLINE uint64_t high64(uint64_t a, uint64_t b)
{
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t middle = ah * bl + (al * bl >> 32), cross = al * bh + (uint32_t)middle;

    return ah * bh + (middle >> 32) + (cross >> 32);
}
static ALWAYS_INLINE uint32_t high32(uint32_t a, uint32_t b) { return (uint32_t)((uint64_t)a * b >> 32); }
#define DO_MULX(bits)                                                                                                  \
    {                                                                                                                  \
        uint##bits##_t a = reg##bits(cpu, REG_DX), high = high##bits(a, value);                                        \
        set_reg##bits(cpu, insn[1].r1, a * value);                                                                     \
        set_reg##bits(cpu, insn->r1, high);                                                                            \
    }
BMI(mulx, DO_MULX)
