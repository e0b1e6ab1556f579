/* sse_string.c - PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM of SSE4.2.
 *
 * SDM vol. 2, "Instruction operation of PCMPxSTRx" in chapter 4.1 (tables 4-1 to 4-7). Memory operands need not be aligned. */
#include "cpu/flags.h"
#include "cpu/simd_ops.h"

enum {
    CONTROL_WORDS = 0x01,
    CONTROL_SIGNED = 0x02,
    CONTROL_AGGREGATION = 0x0c,
    AGGREGATION_ANY = 0x00,
    AGGREGATION_RANGES = 0x04,
    AGGREGATION_EACH = 0x08,
    AGGREGATION_ORDERED = 0x0c,
    CONTROL_NEGATIVE = 0x10,
    CONTROL_MASKED = 0x20,
    CONTROL_MOST = 0x40 /* index: the most significant; mask: whole elements */
};

struct strings {
    int32_t a[16], b[16];
    unsigned count;              /* elements in a register */
    unsigned a_length, b_length; /* valid ones */
};

static void take_elements(int32_t elements[16], const xmm *from, unsigned control)
{
    unsigned count = control & CONTROL_WORDS ? 8 : 16;

    for (unsigned k = 0; k < count; k++) {
        if (control & CONTROL_WORDS) {
            elements[k] = control & CONTROL_SIGNED ? (int16_t)VW(from, k) : VW(from, k);
        } else {
            elements[k] = control & CONTROL_SIGNED ? (int8_t)VB(from, k) : VB(from, k);
        }
    }
}

static unsigned implicit_length(const int32_t elements[16], unsigned count)
{
    unsigned length = 0;

    while (length < count && elements[length] != 0) {
        length++;
    }
    return length;
}

/* EAX or EDX: the magnitude, at most a register full. */
static unsigned explicit_length(uint64_t value, bool is_wide, unsigned count)
{
    int64_t length = is_wide ? (int64_t)value : (int32_t)(uint32_t)value;
    uint64_t magnitude = length < 0 ? 0 - (uint64_t)length : (uint64_t)length;

    return magnitude > count ? count : (unsigned)magnitude;
}

/* Bit j of IntRes1: the answer for element j of the second operand. */
static bool aggregate(const struct strings *s, unsigned control, unsigned j)
{
    bool b_is_valid = j < s->b_length;

    switch (control & CONTROL_AGGREGATION) {
    case AGGREGATION_ANY:
        for (unsigned i = 0; b_is_valid && i < s->a_length; i++) {
            if (s->a[i] == s->b[j]) {
                return true;
            }
        }
        return false;
    case AGGREGATION_RANGES:
        for (unsigned i = 0; b_is_valid && i + 1 < s->a_length; i += 2) {
            if (s->a[i] <= s->b[j] && s->b[j] <= s->a[i + 1]) {
                return true;
            }
        }
        return false;
    case AGGREGATION_EACH:
        return j < s->a_length ? b_is_valid && s->a[j] == s->b[j] : !b_is_valid;
    case AGGREGATION_ORDERED:
    default:
        for (unsigned i = 0; i < s->a_length && j + i < s->count; i++) {
            if (j + i >= s->b_length || s->a[i] != s->b[j + i]) {
                return false;
            }
        }
        return true;
    }
}

/* IntRes2, and the flags. */
static uint32_t compare_strings(struct cpu *cpu, const struct strings *s, unsigned control)
{
    uint32_t result = 0, all = (UINT32_C(1) << s->count) - 1, valid = (UINT32_C(1) << s->b_length) - 1;

    for (unsigned j = 0; j < s->count; j++) {
        result |= (uint32_t)aggregate(s, control, j) << j;
    }
    if (control & CONTROL_NEGATIVE) {
        result ^= control & CONTROL_MASKED ? valid : all;
    }
    flags_scatter(cpu, (result ? FLAG_CF : 0) | (s->b_length < s->count ? FLAG_ZF : 0) |
                           (s->a_length < s->count ? FLAG_SF : 0) | (result & 1 ? FLAG_OF : 0));
    return result;
}

static void deliver_index(struct cpu *cpu, uint32_t result, unsigned count, unsigned control)
{
    unsigned index = count;

    for (unsigned k = 0; k < count; k++) {
        if (result >> k & 1) {
            index = k;
            if (!(control & CONTROL_MOST)) {
                break;
            }
        }
    }
    set_reg32(cpu, REG_CX, index);
}

static void deliver_mask(struct cpu *cpu, uint32_t result, unsigned count, unsigned control)
{
    xmm mask = { { result, 0 } };

    if (control & CONTROL_MOST) {
        for (unsigned k = 0; k < 16; k++) {
            VB(&mask, k) = result >> (count == 8 ? k / 2 : k) & 1 ? 0xff : 0;
        }
    }
    cpu->xmm[0] = mask;
}

static NOINLINE void compare(struct cpu *cpu, const xmm *a, const xmm *b, unsigned control, bool is_explicit,
                             bool is_index, bool is_wide)
{
    struct strings s;

    s.count = control & CONTROL_WORDS ? 8 : 16;
    take_elements(s.a, a, control);
    take_elements(s.b, b, control);
    if (is_explicit) {
        s.a_length = explicit_length(cpu->gpr[REG_AX], is_wide, s.count);
        s.b_length = explicit_length(cpu->gpr[REG_DX], is_wide, s.count);
    } else {
        s.a_length = implicit_length(s.a, s.count);
        s.b_length = implicit_length(s.b, s.count);
    }
    uint32_t result = compare_strings(cpu, &s, control);
    if (is_index) {
        deliver_index(cpu, result, s.count, control);
    } else {
        deliver_mask(cpu, result, s.count, control);
    }
}

#define STRING(name, is_explicit, is_index, is_wide)                                                                            \
    static ALWAYS_INLINE bool b_##name(struct cpu *cpu, const struct insn *insn, enum form form)                       \
    {                                                                                                                  \
        xmm a = cpu->xmm[insn->r1], b;                                                                                 \
        if (!sse_ready(cpu)) {                                                                                         \
            return false;                                                                                              \
        }                                                                                                              \
        if (form == FORM_REG) {                                                                                        \
            b = cpu->xmm[insn->r2];                                                                                    \
        } else if (!load128(cpu, insn, form, false, &b)) {                                                             \
            return false;                                                                                              \
        }                                                                                                              \
        compare(cpu, &a, &b, simd_immediate(insn, form), is_explicit, is_index, is_wide);                                   \
        return true;                                                                                                   \
    }                                                                                                                  \
    SSE_REG(name)                                                                                                      \
    SSE_MEMORY(name, 2)
/* With REX.W the lengths of explicit strings are in RAX and RDX. */
#define STRINGS(name, is_explicit, is_index)                                                                           \
    STRING(name, is_explicit, is_index, false)                                                                         \
    STRING(name##_64, is_explicit, is_index, true)                                                                     \
    extern const struct binding bind_##name;                                                                           \
    const struct binding bind_##name = { { [LIVE] = {                                                                  \
        [FORM_REG] = { h_##name, h_##name, h_##name, h_##name##_64 },                                                  \
        [FORM_GENERIC] = { h_##name##_m, h_##name##_m, h_##name##_m, h_##name##_64_m },                                \
        [FORM_BD] = { h_##name##_bd, h_##name##_bd, h_##name##_bd, h_##name##_64_bd },                                 \
        [FORM_BID] = { h_##name##_bid, h_##name##_bid, h_##name##_bid, h_##name##_64_bid },                            \
        [FORM_LBD] = { h_##name##_lbd, h_##name##_lbd, h_##name##_lbd, h_##name##_64_lbd },                            \
        [FORM_LBID] = { h_##name##_lbid, h_##name##_lbid, h_##name##_lbid, h_##name##_64_lbid } } } };
STRINGS(pcmpestrm, true, false)
STRINGS(pcmpestri, true, true)
STRINGS(pcmpistrm, false, false)
STRINGS(pcmpistri, false, true)
