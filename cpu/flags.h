/* flags.h - lazy status flags.
 *
 * Two words stand for the six status flags (INTERPRETER.md, "Lazy flags"):
 *   flags_result  low 32 bits: the result, sign-extended to 32 bits; bit 32: CF
 *   flags_x       low 32 bits: a ^ b of the operands (sign-extended); bit 32: SF is inverted; bit 33: PF is inverted
 * ZF = low 32 bits of the result are 0; SF = result bit 31 ^ x bit 32; PF = parity of the low byte ^ x bit 33;
 * AF = bit 4 of x ^ result; OF = bit 31 of x ^ result, ^ CF. The inversions are only set by instructions that load
 * flags from elsewhere (POPF, SAHF, IRET), which can make combinations that no result has. */
#ifndef CPU_FLAGS_H
#define CPU_FLAGS_H

#include "cpu/handler.h"

#define X_FLIP_SF (UINT64_C(1) << 32)
#define X_FLIP_PF (UINT64_C(1) << 33)

static ALWAYS_INLINE bool flag_c(const struct cpu *cpu) { return cpu->flags_result >> 32 & 1; }
static ALWAYS_INLINE bool flag_z(const struct cpu *cpu) { return (uint32_t)cpu->flags_result == 0; }
static ALWAYS_INLINE bool flag_s(const struct cpu *cpu)
{
    return ((uint32_t)cpu->flags_result >> 31 ^ (uint32_t)(cpu->flags_x >> 32)) & 1;
}
static ALWAYS_INLINE bool flag_o(const struct cpu *cpu)
{
    return (((uint32_t)cpu->flags_x ^ (uint32_t)cpu->flags_result) >> 31 ^ (uint32_t)(cpu->flags_result >> 32)) & 1;
}
static ALWAYS_INLINE bool flag_a(const struct cpu *cpu)
{
    return ((uint32_t)cpu->flags_x ^ (uint32_t)cpu->flags_result) >> 4 & 1;
}
static ALWAYS_INLINE bool flag_p(const struct cpu *cpu)
{
    uint32_t low = (uint32_t)cpu->flags_result & 0xff;

    low ^= low >> 4;
    return ((0x9669u >> (low & 15)) ^ (uint32_t)(cpu->flags_x >> 33)) & 1;
}
/* SF != OF, without computing either. */
static ALWAYS_INLINE bool flag_l(const struct cpu *cpu)
{
    return ((uint32_t)cpu->flags_x >> 31 ^ (uint32_t)(cpu->flags_result >> 32) ^ (uint32_t)(cpu->flags_x >> 32)) & 1;
}

/* The condition of Jcc, SETcc and CMOVcc with opcode low bits `cc` (a constant). */
static ALWAYS_INLINE bool condition(const struct cpu *cpu, unsigned cc)
{
    bool holds;

    switch (cc >> 1) {
    case 0:
        holds = flag_o(cpu);
        break;
    case 1:
        holds = flag_c(cpu);
        break;
    case 2:
        holds = flag_z(cpu);
        break;
    case 3:
        holds = flag_c(cpu) || flag_z(cpu);
        break;
    case 4:
        holds = flag_s(cpu);
        break;
    case 5:
        holds = flag_p(cpu);
        break;
    case 6:
        holds = flag_l(cpu);
        break;
    default:
        holds = flag_z(cpu) || flag_l(cpu);
        break;
    }
    return holds != (cc & 1);
}

/* The six status flags as EFLAGS bits. */
static ALWAYS_INLINE uint32_t flags_gather(const struct cpu *cpu)
{
    return (flag_c(cpu) ? FLAG_CF : 0) | (flag_p(cpu) ? FLAG_PF : 0) | (flag_a(cpu) ? FLAG_AF : 0) |
           (flag_z(cpu) ? FLAG_ZF : 0) | (flag_s(cpu) ? FLAG_SF : 0) | (flag_o(cpu) ? FLAG_OF : 0);
}

/* Sets them from EFLAGS bits. */
static ALWAYS_INLINE void flags_scatter(struct cpu *cpu, uint32_t flags)
{
    /* Result: zero or 100h (parity even, sign clear); all else by the x word. */
    uint32_t result = flags & FLAG_ZF ? 0 : 0x100;
    uint32_t carry = flags & FLAG_CF;
    uint32_t x = (flags & FLAG_AF) | ((flags >> 11 & 1) ^ carry) << 31;
    uint64_t flips = (uint64_t)(flags >> 7 & 1) << 32 | (uint64_t)(~flags >> 2 & 1) << 33;

    cpu->flags_result = (uint64_t)carry << 32 | result;
    cpu->flags_x = flips | x;
}

/* ---- what instructions do; all sizes. `bits` is 8, 16, 32 or 64 and constant ---- */

static ALWAYS_INLINE uint32_t sign_extend_to_32(uint64_t value, unsigned bits)
{
    return bits == 8 ? (uint32_t)(int32_t)(int8_t)value : bits == 16 ? (uint32_t)(int32_t)(int16_t)value : (uint32_t)value;
}

/* A 64-bit result folded to 32 bits with the same ZF, SF, PF and bit 4. (Bits 8 and up of it may be set with the sign.) */
static ALWAYS_INLINE uint32_t fold64(uint64_t result)
{
    return (uint32_t)(uint8_t)result | (uint32_t)(result >> 8 != 0) << 8 | ((uint32_t)(result >> 32) & 0x80000000u);
}

/* result = a + b + carry-in or a - b - borrow-in, `carry` out of the operand's top bit; x = a ^ b. */
static ALWAYS_INLINE void flags_arith(struct cpu *cpu, uint64_t result, uint64_t a, uint64_t b, bool carry,
                                      unsigned bits)
{
    uint32_t low = bits == 64 ? fold64(result) : sign_extend_to_32(result, bits);
    uint64_t x = a ^ b;

    cpu->flags_result = (uint64_t)carry << 32 | low;
    cpu->flags_x = bits == 64   ? ((uint32_t)(x >> 32) & 0x80000000u) | ((uint32_t)x & 0x10)
                   : bits == 32 ? (uint32_t)x
                                : sign_extend_to_32(x, bits);
}

/* AND, OR, XOR, TEST: CF = OF = 0; AF (undefined) = 0. */
static ALWAYS_INLINE void flags_logic(struct cpu *cpu, uint64_t result, unsigned bits)
{
    uint32_t low = bits == 64 ? fold64(result) : sign_extend_to_32(result, bits);

    cpu->flags_result = low;
    cpu->flags_x = low;
}

/* ADD and SUB with two 32-bit operands, the hot case: the 64-bit sum has CF in bit 32 already. */
static ALWAYS_INLINE void flags_add32(struct cpu *cpu, uint32_t a, uint32_t b)
{
    cpu->flags_result = (uint64_t)a + b;
    cpu->flags_x = a ^ b;
}
static ALWAYS_INLINE void flags_sub32(struct cpu *cpu, uint32_t a, uint32_t b)
{
    cpu->flags_result = (uint64_t)a - b;
    cpu->flags_x = a ^ b;
}

/* Replaces CF only. OF, which is kept relative to CF, is compensated in x. */
static ALWAYS_INLINE void flags_set_c(struct cpu *cpu, bool carry)
{
    uint64_t change = (cpu->flags_result >> 32 & 1) ^ carry;

    cpu->flags_result ^= change << 32;
    cpu->flags_x ^= change << 31;
}

/* Replaces CF and OF (rotates). */
static ALWAYS_INLINE void flags_set_co(struct cpu *cpu, bool carry, bool overflow)
{
    uint32_t sign = (uint32_t)cpu->flags_result >> 31;

    cpu->flags_result = (cpu->flags_result & ~(UINT64_C(1) << 32)) | (uint64_t)carry << 32;
    cpu->flags_x = (cpu->flags_x & ~UINT64_C(0x80000000)) | (uint64_t)(sign ^ carry ^ overflow) << 31;
}

/* Shifts and multiplications: SF ZF PF from the result, CF and OF given, AF = 0. */
static ALWAYS_INLINE void flags_result_co(struct cpu *cpu, uint64_t result, bool carry, bool overflow, unsigned bits)
{
    uint32_t low = bits == 64 ? fold64(result) : sign_extend_to_32(result, bits);

    cpu->flags_result = (uint64_t)carry << 32 | low;
    cpu->flags_x = (low & 0x7fffffff) | ((low >> 31) ^ (uint32_t)carry ^ (uint32_t)overflow) << 31;
}

#endif
