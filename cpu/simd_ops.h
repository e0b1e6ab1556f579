/* simd_ops.h - packed integer operations, once for MMX (8 bytes) and XMM (16 bytes).
 *
 * v_<mnemonic>(a, b, bytes) computes a = a op b over the low `bytes` bytes, as the pseudocode of SDM vol. 2 has it. Loops
 * over elements are written for the compiler to vectorize. */
#ifndef CPU_SIMD_OPS_H
#define CPU_SIMD_OPS_H

#include "cpu/simd.h"

typedef union xmm_value xmm;

/* ---- saturation ---- */

static ALWAYS_INLINE int8_t saturate_sb(int value) { return (int8_t)(value > 127 ? 127 : value < -128 ? -128 : value); }
static ALWAYS_INLINE uint8_t saturate_ub(int value) { return (uint8_t)(value > 255 ? 255 : value < 0 ? 0 : value); }
static ALWAYS_INLINE int16_t saturate_sw(int value)
{
    return (int16_t)(value > 32767 ? 32767 : value < -32768 ? -32768 : value);
}
static ALWAYS_INLINE uint16_t saturate_uw(int value) { return (uint16_t)(value > 65535 ? 65535 : value < 0 ? 0 : value); }

/* ---- element by element; in `expression` x and y are the unsigned elements, sx and sy the signed ones ---- */

#define ELEMENTS(name, LANE, utype, stype, expression)                                                                 \
    static ALWAYS_INLINE void v_##name(xmm *a, const xmm *b, unsigned bytes)                                           \
    {                                                                                                                  \
        for (unsigned k = 0; k < bytes / sizeof(utype); k++) {                                                         \
            utype x = LANE(a, k), y = LANE(b, k);                                                                      \
            stype sx = (stype)x, sy = (stype)y;                                                                        \
            (void)sx, (void)sy, (void)x, (void)y;                                                                      \
            LANE(a, k) = (utype)(expression);                                                                          \
        }                                                                                                              \
    }
#define VQ(v, k) ((v)->q[k])
#define BYTES(name, expression) ELEMENTS(name, VB, uint8_t, int8_t, expression)
#define WORDS(name, expression) ELEMENTS(name, VW, uint16_t, int16_t, expression)
#define DWORDS(name, expression) ELEMENTS(name, VD, uint32_t, int32_t, expression)
#define QWORDS(name, expression) ELEMENTS(name, VQ, uint64_t, int64_t, expression)

BYTES(paddb, x + y)
WORDS(paddw, x + y)
DWORDS(paddd, x + y)
QWORDS(paddq, x + y)
BYTES(psubb, x - y)
WORDS(psubw, x - y)
DWORDS(psubd, x - y)
QWORDS(psubq, x - y)
BYTES(paddsb, saturate_sb(sx + sy))
WORDS(paddsw, saturate_sw(sx + sy))
BYTES(psubsb, saturate_sb(sx - sy))
WORDS(psubsw, saturate_sw(sx - sy))
BYTES(paddusb, saturate_ub(x + y))
WORDS(paddusw, saturate_uw(x + y))
BYTES(psubusb, saturate_ub(x - y))
WORDS(psubusw, saturate_uw(x - y))
BYTES(pavgb, (x + y + 1) >> 1)
WORDS(pavgw, (x + y + 1) >> 1)
BYTES(pminub, x < y ? x : y)
BYTES(pmaxub, x > y ? x : y)
WORDS(pminsw, sx < sy ? sx : sy)
WORDS(pmaxsw, sx > sy ? sx : sy)
BYTES(pminsb, sx < sy ? sx : sy)
BYTES(pmaxsb, sx > sy ? sx : sy)
WORDS(pminuw, x < y ? x : y)
WORDS(pmaxuw, x > y ? x : y)
DWORDS(pminsd, sx < sy ? sx : sy)
DWORDS(pmaxsd, sx > sy ? sx : sy)
DWORDS(pminud, x < y ? x : y)
DWORDS(pmaxud, x > y ? x : y)
BYTES(pcmpeqb, x == y ? 0xff : 0)
WORDS(pcmpeqw, x == y ? 0xffff : 0)
DWORDS(pcmpeqd, x == y ? 0xffffffffu : 0)
QWORDS(pcmpeqq, x == y ? ~UINT64_C(0) : 0)
BYTES(pcmpgtb, sx > sy ? 0xff : 0)
WORDS(pcmpgtw, sx > sy ? 0xffff : 0)
DWORDS(pcmpgtd, sx > sy ? 0xffffffffu : 0)
QWORDS(pcmpgtq, sx > sy ? ~UINT64_C(0) : 0)
QWORDS(pand, x & y)
QWORDS(pandn, ~x & y)
QWORDS(por, x | y)
QWORDS(pxor, x ^ y)
WORDS(pmullw, (uint32_t)x * y)
WORDS(pmulhw, (uint32_t)(sx * sy) >> 16)
WORDS(pmulhuw, (uint32_t)x * y >> 16)
DWORDS(pmulld, x * y)
QWORDS(pmuludq, (x & 0xffffffffu) * (y & 0xffffffffu))
QWORDS(pmuldq, (int64_t)(int32_t)(uint32_t)x * (int32_t)(uint32_t)y)
/* Rounded: bits 16:1 of ((x * y) >> 14) + 1 */
WORDS(pmulhrsw, (uint32_t)(((sx * sy) >> 14) + 1) >> 1)
BYTES(psignb, sy < 0 ? -sx : sy == 0 ? 0 : sx)
WORDS(psignw, sy < 0 ? -sx : sy == 0 ? 0 : sx)
DWORDS(psignd, sy < 0 ? 0u - x : sy == 0 ? 0 : x)
BYTES(pabsb, sy < 0 ? -sy : sy)
WORDS(pabsw, sy < 0 ? -sy : sy)
DWORDS(pabsd, sy < 0 ? 0u - y : y)

/* ---- shifts; the count is the whole low quadword ---- */

#define SHIFT(name, LANE, utype, limit, shifted, beyond)                                                               \
    static ALWAYS_INLINE void v_##name(xmm *a, const xmm *b, unsigned bytes)                                           \
    {                                                                                                                  \
        uint64_t wide = b->q[0];                                                                                       \
        unsigned count = wide > limit ? limit : (unsigned)wide;                                                        \
        for (unsigned k = 0; k < bytes / sizeof(utype); k++) {                                                         \
            utype x = LANE(a, k);                                                                                      \
            LANE(a, k) = (utype)(count == limit ? (beyond) : (shifted));                                               \
        }                                                                                                              \
    }
SHIFT(psrlw, VW, uint16_t, 16, x >> count, 0)
SHIFT(psrld, VD, uint32_t, 32, x >> count, 0)
SHIFT(psrlq, VQ, uint64_t, 64, x >> count, 0)
SHIFT(psllw, VW, uint16_t, 16, (uint32_t)x << count, 0)
SHIFT(pslld, VD, uint32_t, 32, x << count, 0)
SHIFT(psllq, VQ, uint64_t, 64, x << count, 0)
SHIFT(psraw, VW, uint16_t, 16, (int16_t)x >> count, (int16_t)x >> 15)
SHIFT(psrad, VD, uint32_t, 32, (int32_t)x >> count, (int32_t)x >> 31)

static ALWAYS_INLINE void v_psrldq(xmm *a, unsigned count)
{
    uint64_t low = a->q[0], high = a->q[1];
    unsigned bits = count * 8;

    if (count > 15) {
        low = high = 0;
    } else if (bits >= 64) {
        low = high >> (bits - 64);
        high = 0;
    } else if (bits) {
        low = low >> bits | high << (64 - bits);
        high >>= bits;
    }
    a->q[0] = low;
    a->q[1] = high;
}

static ALWAYS_INLINE void v_pslldq(xmm *a, unsigned count)
{
    uint64_t low = a->q[0], high = a->q[1];
    unsigned bits = count * 8;

    if (count > 15) {
        low = high = 0;
    } else if (bits >= 64) {
        high = low << (bits - 64);
        low = 0;
    } else if (bits) {
        high = high << bits | low >> (64 - bits);
        low <<= bits;
    }
    a->q[0] = low;
    a->q[1] = high;
}

/* ---- interleaving and packing ---- */

/* Alternately from a and b, starting with element `first`, half of each. */
#define INTERLEAVE(name, LANE, utype, from_high)                                                                       \
    static ALWAYS_INLINE void v_##name(xmm *a, const xmm *b, unsigned bytes)                                           \
    {                                                                                                                  \
        unsigned count = bytes / (unsigned)sizeof(utype), first = (from_high) ? count / 2 : 0;                         \
        xmm result = { { 0, 0 } };                                                                                     \
        for (unsigned k = 0; k < count / 2; k++) {                                                                     \
            LANE(&result, 2 * k) = LANE(a, first + k);                                                                 \
            LANE(&result, 2 * k + 1) = LANE(b, first + k);                                                             \
        }                                                                                                              \
        *a = result;                                                                                                   \
    }
INTERLEAVE(punpcklbw, VB, uint8_t, false)
INTERLEAVE(punpcklwd, VW, uint16_t, false)
INTERLEAVE(punpckldq, VD, uint32_t, false)
INTERLEAVE(punpcklqdq, VQ, uint64_t, false)
INTERLEAVE(punpckhbw, VB, uint8_t, true)
INTERLEAVE(punpckhwd, VW, uint16_t, true)
INTERLEAVE(punpckhdq, VD, uint32_t, true)
INTERLEAVE(punpckhqdq, VQ, uint64_t, true)

#define PACK(name, FROM, stype, TO, utype, saturate)                                                                   \
    static ALWAYS_INLINE void v_##name(xmm *a, const xmm *b, unsigned bytes)                                           \
    {                                                                                                                  \
        unsigned count = bytes / (unsigned)sizeof(stype);                                                              \
        xmm result = { { 0, 0 } };                                                                                     \
        for (unsigned k = 0; k < count; k++) {                                                                         \
            TO(&result, k) = (utype)saturate((stype)FROM(a, k));                                                       \
            TO(&result, count + k) = (utype)saturate((stype)FROM(b, k));                                               \
        }                                                                                                              \
        *a = result;                                                                                                   \
    }
PACK(packsswb, VW, int16_t, VB, uint8_t, saturate_sb)
PACK(packuswb, VW, int16_t, VB, uint8_t, saturate_ub)
PACK(packssdw, VD, int32_t, VW, uint16_t, saturate_sw)
PACK(packusdw, VD, int32_t, VW, uint16_t, saturate_uw)

/* ---- sums ---- */

static ALWAYS_INLINE void v_pmaddwd(xmm *a, const xmm *b, unsigned bytes)
{
    for (unsigned k = 0; k < bytes / 4; k++) {
        int32_t first = (int16_t)VW(a, 2 * k) * (int16_t)VW(b, 2 * k);
        int32_t second = (int16_t)VW(a, 2 * k + 1) * (int16_t)VW(b, 2 * k + 1);
        VD(a, k) = (uint32_t)first + (uint32_t)second; /* wraps once: all four words 8000h */
    }
}

static ALWAYS_INLINE void v_pmaddubsw(xmm *a, const xmm *b, unsigned bytes)
{
    for (unsigned k = 0; k < bytes / 2; k++) {
        int first = VB(a, 2 * k) * (int8_t)VB(b, 2 * k), second = VB(a, 2 * k + 1) * (int8_t)VB(b, 2 * k + 1);
        VW(a, k) = (uint16_t)saturate_sw(first + second);
    }
}

static ALWAYS_INLINE void v_psadbw(xmm *a, const xmm *b, unsigned bytes)
{
    for (unsigned half = 0; half < bytes / 8; half++) {
        unsigned sum = 0;
        for (unsigned k = 8 * half; k < 8 * half + 8; k++) {
            int difference = VB(a, k) - VB(b, k);
            sum += (unsigned)(difference < 0 ? -difference : difference);
        }
        a->q[half] = sum;
    }
}

/* Horizontal: pairs of a, then pairs of b. */
#define HORIZONTAL(name, LANE, utype, stype, expression)                                                               \
    static ALWAYS_INLINE void v_##name(xmm *a, const xmm *b, unsigned bytes)                                           \
    {                                                                                                                  \
        unsigned half = bytes / (unsigned)sizeof(utype) / 2;                                                           \
        xmm result = { { 0, 0 } };                                                                                     \
        for (unsigned k = 0; k < 2 * half; k++) {                                                                      \
            const xmm *from = k < half ? a : b;                                                                        \
            stype x = (stype)LANE(from, 2 * (k % half)), y = (stype)LANE(from, 2 * (k % half) + 1);                    \
            LANE(&result, k) = (utype)(expression);                                                                    \
        }                                                                                                              \
        *a = result;                                                                                                   \
    }
HORIZONTAL(phaddw, VW, uint16_t, int16_t, x + y)
HORIZONTAL(phsubw, VW, uint16_t, int16_t, x - y)
HORIZONTAL(phaddsw, VW, uint16_t, int16_t, saturate_sw(x + y))
HORIZONTAL(phsubsw, VW, uint16_t, int16_t, saturate_sw(x - y))
HORIZONTAL(phaddd, VD, uint32_t, uint32_t, x + y)
HORIZONTAL(phsubd, VD, uint32_t, uint32_t, x - y)

/* ---- shuffles ---- */

static ALWAYS_INLINE void v_pshufb(xmm *a, const xmm *b, unsigned bytes)
{
    xmm source = *a;

    for (unsigned k = 0; k < bytes; k++) {
        unsigned control = VB(b, k);
        VB(a, k) = control & 0x80 ? 0 : VB(&source, control & (bytes - 1));
    }
}

/* Bytes count.. of b with a above it. */
static ALWAYS_INLINE void v_palignr(xmm *a, const xmm *b, unsigned bytes, unsigned count)
{
    xmm result = { { 0, 0 } };

    for (unsigned k = 0; k < bytes; k++) {
        unsigned from = k + count;
        VB(&result, k) = from < bytes ? VB(b, from) : from < 2 * bytes ? VB(a, from - bytes) : 0;
    }
    *a = result;
}

/* PSHUFW, and half of PSHUFLW and PSHUFHW: four words chosen by two bits each. */
static ALWAYS_INLINE uint64_t shuffle_words(uint64_t source, unsigned control)
{
    uint64_t result = 0;

    for (unsigned k = 0; k < 4; k++) {
        result |= (source >> (16 * (control >> (2 * k) & 3)) & 0xffff) << (16 * k);
    }
    return result;
}

/* Bit 7 of every byte. */
static ALWAYS_INLINE uint32_t byte_signs(uint64_t value)
{
    /* The multiplication gathers eight bits at distance 8 into the top byte. */
    return (uint32_t)(((value >> 7 & UINT64_C(0x0101010101010101)) * UINT64_C(0x0102040810204080)) >> 56);
}

/* Names of the operations that exist for both register files, with a whole operand. */
#define SIMD_BOTH(_)                                                                                                   \
    _(paddb) _(paddw) _(paddd) _(paddq) _(psubb) _(psubw) _(psubd) _(psubq)                                            \
    _(paddsb) _(paddsw) _(psubsb) _(psubsw) _(paddusb) _(paddusw) _(psubusb) _(psubusw)                                \
    _(pavgb) _(pavgw) _(pminub) _(pmaxub) _(pminsw) _(pmaxsw)                                                          \
    _(pcmpeqb) _(pcmpeqw) _(pcmpeqd) _(pcmpgtb) _(pcmpgtw) _(pcmpgtd)                                                  \
    _(pand) _(pandn) _(por) _(pxor) _(pmullw) _(pmulhw) _(pmulhuw) _(pmuludq) _(pmaddwd) _(psadbw)                     \
    _(psrlw) _(psrld) _(psrlq) _(psllw) _(pslld) _(psllq) _(psraw) _(psrad)                                            \
    _(punpckhbw) _(punpckhwd) _(punpckhdq) _(packsswb) _(packuswb) _(packssdw)                                         \
    _(pshufb) _(phaddw) _(phaddd) _(phaddsw) _(pmaddubsw) _(phsubw) _(phsubd) _(phsubsw)                               \
    _(psignb) _(psignw) _(psignd) _(pmulhrsw) _(pabsb) _(pabsw) _(pabsd)
/* These read only 32 bits of a memory operand in the MMX form. */
#define SIMD_BOTH_LOW(_) _(punpcklbw) _(punpcklwd) _(punpckldq)
/* XMM only. */
#define SIMD_XMM(_)                                                                                                    \
    _(punpcklqdq) _(punpckhqdq) _(pminsb) _(pmaxsb) _(pminuw) _(pmaxuw) _(pminsd) _(pmaxsd) _(pminud) _(pmaxud)        \
    _(pcmpeqq) _(pcmpgtq) _(pmulld) _(pmuldq) _(packusdw)
/* Shifts by an immediate, for both. */
#define SIMD_SHIFTS(_) _(psrlw) _(psrld) _(psrlq) _(psllw) _(pslld) _(psllq) _(psraw) _(psrad)

#endif
