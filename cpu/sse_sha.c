/* sse_sha.c - SHA1RNDS4 SHA1NEXTE SHA1MSG1 SHA1MSG2 SHA256RNDS2 SHA256MSG1 SHA256MSG2.
 *
 * Intel SDM vol. 2B (December 2023), the instructions' pages, whose names are kept; the functions are those of FIPS 180-4. */
#include "cpu/simd_ops.h"

static ALWAYS_INLINE uint32_t rol(uint32_t v, unsigned by) { return v << by | v >> (32 - by); }
static ALWAYS_INLINE uint32_t ror(uint32_t v, unsigned by) { return v >> by | v << (32 - by); }

static ALWAYS_INLINE bool sha_operand(struct cpu *cpu, const struct insn *insn, enum form form, xmm *b)
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

/* v_<name>(a, b) computes a = a op b. */
#define SHA(name)                                                                                                      \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        xmm b;                                                                                                         \
        if (!sha_operand(cpu, insn, form, &b)) {                                                                       \
            return false;                                                                                              \
        }                                                                                                              \
        v_##name(&cpu->xmm[insn->r1], &b);                                                                             \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_BIND_RM(name, 1)

static NOINLINE void v_sha1nexte(xmm *a, const xmm *b)
{
    uint32_t e = rol(VD(a, 3), 30);

    *a = *b;
    VD(a, 3) += e;
}
SHA(sha1nexte)

static NOINLINE void v_sha1msg1(xmm *a, const xmm *b)
{
    uint32_t w0 = VD(a, 3), w1 = VD(a, 2), w2 = VD(a, 1), w3 = VD(a, 0), w4 = VD(b, 3), w5 = VD(b, 2);

    VD(a, 3) = w2 ^ w0;
    VD(a, 2) = w3 ^ w1;
    VD(a, 1) = w4 ^ w2;
    VD(a, 0) = w5 ^ w3;
}
SHA(sha1msg1)

static NOINLINE void v_sha1msg2(xmm *a, const xmm *b)
{
    uint32_t w13 = VD(b, 2), w14 = VD(b, 1), w15 = VD(b, 0);
    uint32_t w16 = rol(VD(a, 3) ^ w13, 1), w17 = rol(VD(a, 2) ^ w14, 1), w18 = rol(VD(a, 1) ^ w15, 1);
    uint32_t w19 = rol(VD(a, 0) ^ w16, 1);

    VD(a, 3) = w16;
    VD(a, 2) = w17;
    VD(a, 1) = w18;
    VD(a, 0) = w19;
}
SHA(sha1msg2)

static NOINLINE void v_sha256msg1(xmm *a, const xmm *b)
{
    uint32_t w[5] = { VD(a, 0), VD(a, 1), VD(a, 2), VD(a, 3), VD(b, 0) };

    for (unsigned k = 0; k < 4; k++) {
        VD(a, k) = w[k] + (ror(w[k + 1], 7) ^ ror(w[k + 1], 18) ^ w[k + 1] >> 3);
    }
}
SHA(sha256msg1)

static ALWAYS_INLINE uint32_t sigma1(uint32_t w) { return ror(w, 17) ^ ror(w, 19) ^ w >> 10; }
static NOINLINE void v_sha256msg2(xmm *a, const xmm *b)
{
    uint32_t w16 = VD(a, 0) + sigma1(VD(b, 2)), w17 = VD(a, 1) + sigma1(VD(b, 3));

    VD(a, 2) += sigma1(w16);
    VD(a, 3) += sigma1(w17);
    VD(a, 0) = w16;
    VD(a, 1) = w17;
}
SHA(sha256msg2)

static NOINLINE void rounds256(xmm *cdgh, const xmm *abef, const xmm *wk)
{
    uint32_t a = VD(abef, 3), b = VD(abef, 2), e = VD(abef, 1), f = VD(abef, 0);
    uint32_t c = VD(cdgh, 3), d = VD(cdgh, 2), g = VD(cdgh, 1), h = VD(cdgh, 0);

    for (unsigned k = 0; k < 2; k++) {
        uint32_t t1 = h + (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25)) + ((e & f) ^ (~e & g)) + VD(wk, k);
        uint32_t t2 = (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    VD(cdgh, 3) = a;
    VD(cdgh, 2) = b;
    VD(cdgh, 1) = e;
    VD(cdgh, 0) = f;
}
static ALWAYS_INLINE bool b_sha256rnds2(struct cpu *cpu, const struct insn *insn, enum form form)
{
    xmm b, wk = cpu->xmm[0];

    if (!sha_operand(cpu, insn, form, &b)) {
        return false;
    }
    rounds256(&cpu->xmm[insn->r1], &b, &wk);
    return true;
}
SSE_BIND_RM(sha256rnds2, 1)

static NOINLINE void rounds1(xmm *abcd, const xmm *wk, unsigned function)
{
    static const uint32_t constants[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
    uint32_t a = VD(abcd, 3), b = VD(abcd, 2), c = VD(abcd, 1), d = VD(abcd, 0), e = 0;

    for (unsigned k = 0; k < 4; k++) {
        uint32_t mixed = function == 0 ? (b & c) ^ (~b & d) : function == 2 ? (b & c) ^ (b & d) ^ (c & d) : b ^ c ^ d;
        /* The operand's first doubleword has E added already. */
        uint32_t next = rol(a, 5) + mixed + VD(wk, 3 - k) + e + constants[function];
        e = d;
        d = c;
        c = rol(b, 30);
        b = a;
        a = next;
    }
    VD(abcd, 3) = a;
    VD(abcd, 2) = b;
    VD(abcd, 1) = c;
    VD(abcd, 0) = d;
}
static ALWAYS_INLINE bool b_sha1rnds4(struct cpu *cpu, const struct insn *insn, enum form form)
{
    xmm b;

    if (!sha_operand(cpu, insn, form, &b)) {
        return false;
    }
    rounds1(&cpu->xmm[insn->r1], &b, simd_immediate(insn, form) & 3);
    return true;
}
SSE_BIND_RM(sha1rnds4, 2)
