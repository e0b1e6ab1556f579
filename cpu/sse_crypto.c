/* sse_crypto.c - AES-NI, PCLMULQDQ, CRC32 and POPCNT.
 *
 * SDM vol. 1, 12.13, and the instruction pages of vol. 2; FIPS 197 for the transformations of AES. The state's byte n is byte n of the
 * register, column by column. Table look-ups take host time that depends on the data, which the guest cannot see. */
#include "cpu/flags.h"
#include "cpu/simd_ops.h"
#include "cpu/sse_tables.h"

static ALWAYS_INLINE bool operand_x(struct cpu *cpu, const struct insn *insn, enum form form, xmm *b)
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

static ALWAYS_INLINE uint32_t rotate_left(uint32_t value, unsigned count)
{
    return count ? value << count | value >> (32 - count) : value;
}

/* ---- AES rounds: a = f(a), then the round key is added ---- */

static ALWAYS_INLINE xmm aes_encrypt_round(const xmm *a, bool is_last)
{
    xmm r;

    for (unsigned c = 0; c < 4; c++) {
        uint32_t column = 0;
        for (unsigned row = 0; row < 4; row++) {
            uint8_t byte = VB(a, 4 * ((c + row) & 3) + row); /* ShiftRows */
            column ^= is_last ? (uint32_t)aes_sbox[byte] << (8 * row) : rotate_left(aes_mix[byte], 8 * row);
        }
        VD(&r, c) = column;
    }
    return r;
}

static ALWAYS_INLINE xmm aes_decrypt_round(const xmm *a, bool is_last)
{
    xmm r;

    for (unsigned c = 0; c < 4; c++) {
        uint32_t column = 0;
        for (unsigned row = 0; row < 4; row++) {
            uint8_t byte = aes_inverse_sbox[VB(a, 4 * ((c - row) & 3) + row)];
            column ^= is_last ? (uint32_t)byte << (8 * row) : rotate_left(aes_inverse_mix[byte], 8 * row);
        }
        VD(&r, c) = column;
    }
    return r;
}

static NOINLINE void aes_round(xmm *a, const xmm *key, bool is_decryption, bool is_last)
{
    xmm r = is_decryption ? aes_decrypt_round(a, is_last) : aes_encrypt_round(a, is_last);

    a->q[0] = r.q[0] ^ key->q[0];
    a->q[1] = r.q[1] ^ key->q[1];
}

#define AES_ROUND(name, is_decryption, is_last)                                                                        \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        if (!operand_x(cpu, insn, form, &b)) {                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        aes_round(&a, &b, is_decryption, is_last);                                                                     \
        cpu->xmm[insn->r1] = a;                                                                                        \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)
AES_ROUND(aesenc, false, false)
AES_ROUND(aesenclast, false, true)
AES_ROUND(aesdec, true, false)
AES_ROUND(aesdeclast, true, true)

static ALWAYS_INLINE bool b_aesimc(struct cpu *cpu, const struct insn *insn, enum form form)
{
    xmm b;

    if (!operand_x(cpu, insn, form, &b)) {
        return false;
    }
    for (unsigned c = 0; c < 4; c++) {
        uint32_t column = 0;
        for (unsigned row = 0; row < 4; row++) {
            column ^= rotate_left(aes_inverse_mix[VB(&b, 4 * c + row)], 8 * row);
        }
        VD(&b, c) = column;
    }
    cpu->xmm[insn->r1] = b;
    return true;
}
SSE_BIND_RM(aesimc, 1)

static ALWAYS_INLINE uint32_t substitute_word(uint32_t word)
{
    return aes_sbox[word & 0xff] | (uint32_t)aes_sbox[word >> 8 & 0xff] << 8 |
           (uint32_t)aes_sbox[word >> 16 & 0xff] << 16 | (uint32_t)aes_sbox[word >> 24] << 24;
}

static ALWAYS_INLINE bool b_aeskeygenassist(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint32_t constant = simd_immediate(insn, form);
    xmm b;

    if (!operand_x(cpu, insn, form, &b)) {
        return false;
    }
    uint32_t first = substitute_word(VD(&b, 1)), third = substitute_word(VD(&b, 3));
    VD(&b, 0) = first;
    VD(&b, 1) = rotate_left(first, 24) ^ constant;
    VD(&b, 2) = third;
    VD(&b, 3) = rotate_left(third, 24) ^ constant;
    cpu->xmm[insn->r1] = b;
    return true;
}
SSE_BIND_RM(aeskeygenassist, 2)

/* ---- PCLMULQDQ: product without carries, four bits of one factor at a time ---- */

static NOINLINE xmm multiply_carryless(uint64_t a, uint64_t b)
{
    uint64_t low[16], high[16];
    xmm r = { { 0, 0 } };

    low[0] = high[0] = high[1] = 0;
    low[1] = a;
    for (unsigned k = 2; k < 16; k += 2) {
        low[k] = low[k / 2] << 1;
        high[k] = high[k / 2] << 1 | low[k / 2] >> 63;
        low[k + 1] = low[k] ^ a;
        high[k + 1] = high[k];
    }
    for (unsigned shift = 64; shift > 0;) {
        shift -= 4;
        unsigned digit = (unsigned)(b >> shift) & 15;
        r.q[1] = (r.q[1] << 4 | r.q[0] >> 60) ^ high[digit];
        r.q[0] = r.q[0] << 4 ^ low[digit];
    }
    return r;
}

static ALWAYS_INLINE bool b_pclmulqdq(struct cpu *cpu, const struct insn *insn, enum form form)
{
    unsigned control = simd_immediate(insn, form);
    xmm b;

    if (!operand_x(cpu, insn, form, &b)) {
        return false;
    }
    cpu->xmm[insn->r1] = multiply_carryless(cpu->xmm[insn->r1].q[control & 1], b.q[control >> 4 & 1]);
    return true;
}
SSE_BIND_RM(pclmulqdq, 2)

/* ---- CRC32: reflected polynomial 11EDC6F41h; the SDM's bit reflections cancel out ---- */

#define CRC32(bits)                                                                                                    \
    static ALWAYS_INLINE bool b_crc32_##bits(struct cpu *cpu, const struct insn *insn, enum form form)                 \
    {                                                                                                                  \
        uint32_t crc = reg32(cpu, insn->r1);                                                                           \
        uint##bits##_t value;                                                                                          \
        if (form == FORM_REG) {                                                                                        \
            value = reg##bits(cpu, insn->r2);                                                                          \
        } else if (!load##bits(cpu, insn, form, &value)) {                                                             \
            return false;                                                                                              \
        }                                                                                                              \
        for (unsigned k = 0; k < bits; k += 8) {                                                                       \
            crc = crc >> 8 ^ crc32c_table[(crc ^ (uint32_t)((uint64_t)value >> k)) & 0xff];                            \
        }                                                                                                              \
        set_reg32(cpu, insn->r1, crc);                                                                                 \
        return true;                                                                                                   \
    }                                                                                                                  \
    SIMD_REG(crc32_##bits, MMX_EXIT)                                                                                             \
    SIMD_MEMORY(crc32_##bits, 1, MMX_EXIT)
CRC32(8)
CRC32(16)
CRC32(32)
CRC32(64)

/* ---- POPCNT ---- */

#define POPCNT(bits)                                                                                                   \
    static ALWAYS_INLINE bool b_popcnt_##bits(struct cpu *cpu, const struct insn *insn, enum form form)                \
    {                                                                                                                  \
        uint##bits##_t value;                                                                                          \
        if (form == FORM_REG) {                                                                                        \
            value = reg##bits(cpu, insn->r2);                                                                          \
        } else if (!load##bits(cpu, insn, form, &value)) {                                                             \
            return false;                                                                                              \
        }                                                                                                              \
        uint64_t sum = value;                                                                                          \
        sum -= sum >> 1 & UINT64_C(0x5555555555555555);                                                                \
        sum = (sum & UINT64_C(0x3333333333333333)) + (sum >> 2 & UINT64_C(0x3333333333333333));                        \
        sum = (sum + (sum >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);                                                       \
        sum = sum * UINT64_C(0x0101010101010101) >> 56;                                                                \
        set_reg##bits(cpu, insn->r1, (uint##bits##_t)sum);                                                             \
        flags_scatter(cpu, value == 0 ? FLAG_ZF : 0);                                                                  \
        return true;                                                                                                   \
    }                                                                                                                  \
    SIMD_REG(popcnt_##bits, MMX_EXIT)                                                                                            \
    SIMD_MEMORY(popcnt_##bits, 1, MMX_EXIT)
POPCNT(16)
POPCNT(32)
POPCNT(64)

#define BIND_SIZES(stem, size8)                                                                                        \
    extern const struct binding bind_##stem;                                                                           \
    const struct binding bind_##stem = { { [LIVE] = {                                                                  \
        [FORM_REG] = { size8, h_##stem##_16, h_##stem##_32, h_##stem##_64 },                                           \
        [FORM_GENERIC] = { NULL, h_##stem##_16_m, h_##stem##_32_m, h_##stem##_64_m },                                  \
        [FORM_BD] = { NULL, h_##stem##_16_bd, h_##stem##_32_bd, h_##stem##_64_bd },                                    \
        [FORM_BID] = { NULL, h_##stem##_16_bid, h_##stem##_32_bid, h_##stem##_64_bid },                                    \
        [FORM_LBD] = { NULL, h_##stem##_16_lbd, h_##stem##_32_lbd, h_##stem##_64_lbd },                                    \
        [FORM_LBID] = { NULL, h_##stem##_16_lbid, h_##stem##_32_lbid, h_##stem##_64_lbid } } } };
BIND_SIZES(crc32, NULL)
BIND_SIZES(popcnt, NULL)
extern const struct binding bind_crc32_b;
const struct binding bind_crc32_b = { { [LIVE] = { [FORM_REG] = ALL_SIZES(h_crc32_8),
                                                   [FORM_GENERIC] = ALL_SIZES(h_crc32_8_m),
                                                   [FORM_BD] = ALL_SIZES(h_crc32_8_bd),
                                                   [FORM_BID] = ALL_SIZES(h_crc32_8_bid),
                                                   [FORM_LBD] = ALL_SIZES(h_crc32_8_lbd),
                                                   [FORM_LBID] = ALL_SIZES(h_crc32_8_lbid) } } };
