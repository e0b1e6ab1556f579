/* x87_fast.c - addition, multiplication and division of the x87 in the usual case, written out.
 *
 * Usual: both operands and the result are normal numbers, rounding is to nearest with 64 bits (FNINIT's control word) or 53 (what Windows
 * and FreeBSD set), and the precision exception is masked; so PE and C1 are all that can be set, and the result is written whatever they are.
 * Everything else is left to float80.c: a false return means that nothing was touched. The results are the same bits:
 * tests/unit/test_x87_fast.c holds both against each other. */
#include "cpu/float80_internal.h"
#include "cpu/x87.h"

/* RC nearest, PC not 24 bits, PM masked. */
static ALWAYS_INLINE bool is_usual(const struct cpu *cpu)
{
    return (cpu->fpu.control & (FPU_RC_MASK | FPU_PE)) == (FPU_RC_NEAREST | FPU_PE) &&
           (cpu->fpu.control & FPU_PC_MASK) != FPU_PC_24;
}

static ALWAYS_INLINE bool is_normal(uint64_t mantissa, unsigned exp)
{
    return (exp - 1 < F80_EXP_MAX - 1) & (unsigned)(mantissa >> 63);
}

/* Rounds hi:lo, bit 63 of hi set, and writes. False when the exponent is outside of the normal numbers. */
static ALWAYS_INLINE bool finish(struct cpu *cpu, unsigned dest, unsigned sign, int exp, uint64_t hi, uint64_t lo)
{
    unsigned is_odd = hi & 1, unit_shift = 0;

    if (UNLIKELY((unsigned)(exp - 1) >= F80_EXP_MAX - 2)) {
        return false;
    }
    if ((cpu->fpu.control & FPU_PC_MASK) == FPU_PC_53) {
        lo = hi << 53 | (lo != 0);
        hi &= ~UINT64_C(0x7ff);
        is_odd = hi >> 11 & 1;
        unit_shift = 11;
    }
    unsigned up = (unsigned)(lo >> 63) & (((lo << 1) != 0) | is_odd);
    hi += (uint64_t)up << unit_shift;
    if (UNLIKELY(hi == 0)) {
        hi = F80_INTEGER_BIT;
        exp++;
    }
    cpu->fpu.mantissa[dest] = hi;
    cpu->fpu.sign_exp[dest] = (uint16_t)(sign | (unsigned)exp);
    cpu->fpu.status = (uint16_t)((cpu->fpu.status & ~X87_C1) | (lo ? FPU_PE : 0) | (up ? X87_C1 : 0));
    return true;
}

NOINLINE bool x87_fast_add(struct cpu *cpu, unsigned dest, struct float80 a, struct float80 b)
{
    unsigned a_exp = a.sign_exp & F80_EXP_MAX, b_exp = b.sign_exp & F80_EXP_MAX;

    if (UNLIKELY(!is_usual(cpu) || !is_normal(a.mantissa, a_exp) || !is_normal(b.mantissa, b_exp))) {
        return false;
    }
    bool is_sum = ((a.sign_exp ^ b.sign_exp) & 0x8000) == 0;
    if (a_exp < b_exp || (a_exp == b_exp && a.mantissa < b.mantissa)) {
        struct float80 swap = a;
        a = b;
        b = swap;
    }
    int exp = a.sign_exp & F80_EXP_MAX;
    unsigned distance = (unsigned)exp - (b.sign_exp & F80_EXP_MAX), sign = a.sign_exp & 0x8000;
    if (UNLIKELY(distance > 63)) {
        return false;
    }
    uint64_t high = b.mantissa >> distance, low = b.mantissa << 1 << (63 - distance);
    if (is_sum) {
        uint64_t sum = a.mantissa + high;
        if (sum < high) {
            low = sum << 63 | low >> 1 | (low & 1);
            sum = sum >> 1 | F80_INTEGER_BIT;
            exp++;
        }
        return finish(cpu, dest, sign, exp, sum, low);
    }
    uint64_t difference = a.mantissa - high - (low != 0);
    low = 0 - low;
    if (UNLIKELY(difference == 0)) {
        return false;
    }
    unsigned shift = clz64(difference);
    if (shift) {
        difference = difference << shift | low >> (64 - shift);
        low <<= shift;
    }
    return finish(cpu, dest, sign, exp - (int)shift, difference, low);
}

NOINLINE bool x87_fast_multiply(struct cpu *cpu, unsigned dest, struct float80 a, struct float80 b)
{
    unsigned a_exp = a.sign_exp & F80_EXP_MAX, b_exp = b.sign_exp & F80_EXP_MAX;

    if (UNLIKELY(!is_usual(cpu) || !is_normal(a.mantissa, a_exp) || !is_normal(b.mantissa, b_exp))) {
        return false;
    }
    struct u128 product = mul64(a.mantissa, b.mantissa);
    unsigned shift = (unsigned)(~product.hi >> 63);
    uint64_t high = product.hi << shift | (product.lo >> 63 & shift);
    return finish(cpu, dest, (a.sign_exp ^ b.sign_exp) & 0x8000u, (int)(a_exp + b_exp - shift) - F80_BIAS + 1, high,
                  product.lo << shift);
}

NOINLINE bool x87_fast_divide(struct cpu *cpu, unsigned dest, struct float80 a, struct float80 b)
{
    unsigned a_exp = a.sign_exp & F80_EXP_MAX, b_exp = b.sign_exp & F80_EXP_MAX;

    if (UNLIKELY(!is_usual(cpu) || !is_normal(a.mantissa, a_exp) || !is_normal(b.mantissa, b_exp))) {
        return false;
    }
    unsigned shift = a.mantissa >= b.mantissa;
    uint64_t remainder, low = 0;
    uint64_t quotient = div128(a.mantissa >> shift, shift ? a.mantissa << 63 : 0, b.mantissa, &remainder);
    if (remainder != 0) {
        /* One half of a unit, more or less: bit 63, and bit 0 for anything beyond. */
        uint64_t twice = remainder << 1;
        bool is_half = remainder >> 63 != 0 || twice >= b.mantissa;
        low = (is_half ? F80_INTEGER_BIT : 0) | (!is_half || twice != b.mantissa);
    }
    return finish(cpu, dest, (a.sign_exp ^ b.sign_exp) & 0x8000u,
                  (int)a_exp - (int)b_exp + F80_BIAS - 1 + (int)shift, quotient, low);
}
