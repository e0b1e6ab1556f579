/* simd.h - inside cpu/: what the MMX and SSE handlers share: vectors, their registers and memory operands, the checks before an
 * instruction and the shape of handlers.
 *
 * SDM vol. 1, chapters 9 to 12; vol. 3, table 13-1 (CR0 and CR4 against MMX and SSE) and 6.15. */
#ifndef CPU_SIMD_H
#define CPU_SIMD_H

#include "cpu/bind.h"
#include "cpu/cpu.h"
#include "cpu/handler.h"
#include "cpu/x87.h"

/* Elements are numbered from the least significant; the quadwords of a vector are in host order, low one first. */
enum { LANE_D = HOST_IS_BIG_ENDIAN ? 1 : 0, LANE_W = HOST_IS_BIG_ENDIAN ? 3 : 0, LANE_B = HOST_IS_BIG_ENDIAN ? 7 : 0 };
#define VD(v, k) ((v)->d[(k) ^ LANE_D])
#define VW(v, k) ((v)->w[(k) ^ LANE_W])
#define VB(v, k) ((v)->b[(k) ^ LANE_B])

/* ---- before an instruction ---- */

/* Records #UD or #NM; always false. */
bool sse_blocked(struct cpu *cpu);
/* The same for MMX, with #MF; true when the instruction goes on. */
bool mmx_blocked(struct cpu *cpu);

/* Records nothing, so that fast forms need no call: handlers of the SSE_ macros below do it when they leave. */
static ALWAYS_INLINE bool sse_ready(const struct cpu *cpu)
{
    return LIKELY(!cpu->sse_is_blocked);
}

static ALWAYS_INLINE bool mmx_ready(struct cpu *cpu)
{
    if (UNLIKELY((cpu->cr0 & (CR0_EM | CR0_TS)) | (cpu->fpu.status & X87_ES))) {
        return mmx_blocked(cpu);
    }
    return true;
}

/* ---- registers ---- */

/* MMn is the significand of physical x87 register n (SDM vol. 1, 9.2.2); writing it sets sign and exponent. */
static ALWAYS_INLINE uint64_t mmx_get(const struct cpu *cpu, unsigned reg)
{
    return cpu->fpu.mantissa[reg];
}
static ALWAYS_INLINE void mmx_set(struct cpu *cpu, unsigned reg, uint64_t value)
{
    cpu->fpu.mantissa[reg] = value;
    cpu->fpu.sign_exp[reg] = 0xffff;
}
/* Every MMX instruction but EMMS leaves TOP 0 and all registers valid (SDM vol. 1, 9.5.1). To be called when nothing can
 * fault any more. */
static ALWAYS_INLINE void mmx_enter(struct cpu *cpu)
{
    cpu->fpu.top = 0;
    cpu->fpu.empty = 0;
}

/* ---- memory operands of 16 bytes ---- */

/* The generic form: every check; #GP(0) when `is_aligned` and the linear address is not a multiple of 16. */
bool simd_read128(struct cpu *cpu, const struct insn *insn, bool is_aligned, union xmm_value *value);
bool simd_write128(struct cpu *cpu, const struct insn *insn, bool is_aligned, const union xmm_value *value);

static ALWAYS_INLINE void host_load128(const void *at, union xmm_value *value)
{
    value->q[0] = host_load64(at);
    value->q[1] = host_load64((const uint8_t *)at + 8);
}
static ALWAYS_INLINE void host_store128(void *at, const union xmm_value *value)
{
    host_store64(at, value->q[0]);
    host_store64((uint8_t *)at + 8, value->q[1]);
}

/* MASKMOVQ and MASKMOVDQU: bytes of `data` whose mask byte has bit 7 set go to DS:rDI, or to the segment of the prefix. */
bool simd_masked_store(struct cpu *cpu, const struct insn *insn, const union xmm_value *data,
                       const union xmm_value *mask, unsigned bytes);

/* What a TLB tag must equal: an aligned access cannot cross a page, and a misaligned one must miss. */
static ALWAYS_INLINE uint64_t tag_of_128(uint64_t ea, bool is_aligned)
{
    return is_aligned ? ea & ~(uint64_t)(GUEST_PAGE_SIZE - 16u) : (ea + 15) & ~(uint64_t)(GUEST_PAGE_SIZE - 1u);
}

static ALWAYS_INLINE uint8_t *flat_host128(struct cpu *cpu, const struct insn *insn, enum form form, bool is_aligned,
                                           bool writes)
{
    uint64_t ea = form_is_long(form) ? ea_long(cpu, insn, form) : ea_flat(cpu, insn, form);
    const struct tlb_entry *entry = tlb_at(cpu, ea);

    return LIKELY((writes ? entry->write_tag : entry->read_tag) == tag_of_128(ea, is_aligned))
               ? (uint8_t *)(entry->addend + (uintptr_t)ea)
               : NULL;
}

static ALWAYS_INLINE bool load128(struct cpu *cpu, const struct insn *insn, enum form form, bool is_aligned,
                                  union xmm_value *value)
{
    if (form == FORM_GENERIC) {
        return simd_read128(cpu, insn, is_aligned, value);
    }
    const uint8_t *host = flat_host128(cpu, insn, form, is_aligned, false);
    if (UNLIKELY(!host)) {
        return false;
    }
    host_load128(host, value);
    return true;
}

static ALWAYS_INLINE bool store128(struct cpu *cpu, const struct insn *insn, enum form form, bool is_aligned,
                                   const union xmm_value *value)
{
    if (form == FORM_GENERIC) {
        return simd_write128(cpu, insn, is_aligned, value);
    }
    uint8_t *host = flat_host128(cpu, insn, form, is_aligned, true);
    if (UNLIKELY(!host)) {
        return false;
    }
    host_store128(host, value);
    return true;
}

/* ---- handlers ---- */

/* How a handler that could not complete leaves: with the fault that its body recorded, or with that of sse_ready, which comes
 * before all others. */
#define MMX_EXIT fault_exit
#define SSE_EXIT sse_fault_exit
const struct insn *sse_fault_exit(struct cpu *cpu, const struct insn *insn);

/* A register form from b_<name>(cpu, insn, form). */
#define SIMD_REG(name, exit)                                                                                           \
    static HANDLER(h_##name)                                                                                           \
    {                                                                                                                  \
        if (UNLIKELY(!b_##name(cpu, insn, FORM_REG))) {                                                                \
            return exit(cpu, insn);                                                                                    \
        }                                                                                                              \
        NEXT(1);                                                                                                       \
    }
#define SIMD_FLAT(name, suffix, form, slots)                                                                           \
    static HANDLER(h_##name##_##suffix)                                                                                \
    {                                                                                                                  \
        if (UNLIKELY(!b_##name(cpu, insn, form))) {                                                                    \
            TAIL(h_##name##_m);                                                                                        \
        }                                                                                                              \
        NEXT(slots);                                                                                                   \
    }
/* The memory forms; `slots` counts the immediate that stands behind a memory operand. */
#define SIMD_MEMORY(name, slots, exit)                                                                                 \
    static NOINLINE HANDLER(h_##name##_m)                                                                              \
    {                                                                                                                  \
        if (UNLIKELY(!b_##name(cpu, insn, FORM_GENERIC))) {                                                            \
            return exit(cpu, insn);                                                                                    \
        }                                                                                                              \
        NEXT_SLOW(slots);                                                                                              \
    }                                                                                                                  \
    SIMD_FLAT(name, bd, FORM_BD, slots)                                                                                \
    SIMD_FLAT(name, bid, FORM_BID, slots)                                                                              \
    SIMD_FLAT(name, lbd, FORM_LBD, slots)                                                                              \
    SIMD_FLAT(name, lbid, FORM_LBID, slots)
#define SIMD_BIND(name, reg)                                                                                           \
    extern const struct binding bind_##name;                                                                           \
    const struct binding bind_##name = { { [LIVE] = { [FORM_REG] = ALL_SIZES(reg),                                     \
                                                      [FORM_GENERIC] = ALL_SIZES(h_##name##_m),                        \
                                                      [FORM_BD] = ALL_SIZES(h_##name##_bd),                            \
                                                      [FORM_BID] = ALL_SIZES(h_##name##_bid),                          \
                                                      [FORM_LBD] = ALL_SIZES(h_##name##_lbd),                          \
                                                      [FORM_LBID] = ALL_SIZES(h_##name##_lbid) } } };
#define MMX_BIND_REG(name) SIMD_REG(name, MMX_EXIT) BIND_ONE(name, h_##name)
#define MMX_BIND_MEM(name, slots) SIMD_MEMORY(name, slots, MMX_EXIT) SIMD_BIND(name, NULL)
#define MMX_BIND_RM(name, slots) SIMD_REG(name, MMX_EXIT) SIMD_MEMORY(name, slots, MMX_EXIT) SIMD_BIND(name, h_##name)
#define SSE_REG(name) SIMD_REG(name, SSE_EXIT)
#define SSE_MEMORY(name, slots) SIMD_MEMORY(name, slots, SSE_EXIT)
#define SSE_BIND_REG(name) SSE_REG(name) BIND_ONE(name, h_##name)
#define SSE_BIND_MEM(name, slots) SSE_MEMORY(name, slots) SIMD_BIND(name, NULL)
#define SSE_BIND_RM(name, slots) SSE_REG(name) SSE_MEMORY(name, slots) SIMD_BIND(name, h_##name)

/* The immediate byte of an instruction whose operand may be in memory. */
static ALWAYS_INLINE unsigned simd_immediate(const struct insn *insn, enum form form)
{
    return (form == FORM_REG ? insn->d : insn[1].d) & 0xff;
}

/* ---- FXSAVE and XSAVE: the 512-byte image ---- */

enum {
    IMAGE_SIZE = 512,
    IMAGE_MXCSR = 24,
    IMAGE_MXCSR_MASK = 28,
    IMAGE_ST = 32,   /* ST(0) to ST(7), 16 bytes each */
    IMAGE_XMM = 160, /* XMM0 to XMM7, in 64-bit mode to XMM15 */
    IMAGE_END = 416  /* of what may be written */
};
/* Vector registers that there are in the mode. */
static inline unsigned simd_count(const struct cpu *cpu) { return cpu->mode & MODE_CODE64 ? 16 : 8; }
/* End of what is written in the mode. */
static inline unsigned simd_image_end(const struct cpu *cpu) { return IMAGE_XMM + 16 * simd_count(cpu); }
/* `is_wide`: with REX.W, the instruction and data pointers have 64 bits and no selectors. */
void simd_make_image(const struct cpu *cpu, bool is_wide, uint8_t image[IMAGE_END]);
/* The x87 part, and the XMM registers. */
void simd_take_x87(struct cpu *cpu, bool is_wide, const uint8_t image[IMAGE_END]);
void simd_take_xmm(struct cpu *cpu, const uint8_t image[IMAGE_END]);
/* Linear address of the memory operand, `size` bytes inside the segment and a multiple of `alignment`: #GP(0). */
bool simd_area(struct cpu *cpu, const struct insn *insn, enum access_kind kind, unsigned size, unsigned alignment,
               uint64_t *linear);
/* Reads or writes a part of an area in pieces of 8 bytes. What is written must have been probed. */
bool simd_area_read(struct cpu *cpu, uint64_t linear, unsigned from, unsigned to, uint8_t *image);
void simd_area_write(struct cpu *cpu, uint64_t linear, unsigned from, unsigned to, const uint8_t *image);

/* ---- MXCSR (SDM vol. 1, 10.2.3) ---- */

enum {
    MXCSR_EXCEPTIONS = 0x003f,
    MXCSR_DAZ = 0x0040,
    MXCSR_MASKS = 0x1f80,
    MXCSR_MASKS_SHIFT = 7,
    MXCSR_RC = 0x6000,
    MXCSR_RC_SHIFT = 13,
    MXCSR_FTZ = 0x8000,
    MXCSR_MASK = 0xffff /* bits that may be set */
};

#endif
