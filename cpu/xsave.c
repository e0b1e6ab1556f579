/* xsave.c - XSAVE, XSAVEOPT, XSAVEC, XRSTOR, XGETBV, XSETBV: x87, SSE, AVX and PKRU state.
 *
 * No model has AVX yet; its component is ready for it. Intel SDM vol. 1, chapter 13; vol. 2, the instruction pages. x87 and SSE always count as in use, AVX and PKRU when they are not
 * zero (13.6 leaves that to the processor); nothing is tracked as modified, so XSAVEOPT leaves out only what is not in use. */
#include "cpu/simd.h"

enum {
    HEADER = IMAGE_SIZE,
    XSTATE_BV = HEADER,
    XCOMP_BV = HEADER + 8,
    EXTENDED = 576, /* the components from AVX on */
    AVX_SIZE = 256,
    PKRU_SIZE = 8,
    AVX_OFFSET = EXTENDED,
    PKRU_OFFSET = AVX_OFFSET + AVX_SIZE,
    AREA_MAX = PKRU_OFFSET + PKRU_SIZE
};
#define COMPACTED (UINT64_C(1) << 63)

uint64_t xsave_components(const struct cpu *cpu)
{
    return XCR0_X87 | XCR0_SSE | (cpu_has(cpu, FEATURE_PKU) ? XCR0_PKRU : 0);
}

uint32_t xsave_component_size(unsigned component) { return component == 2 ? AVX_SIZE : component == 9 ? PKRU_SIZE : 0; }

uint32_t xsave_component_offset(unsigned component)
{
    return component == 2 ? AVX_OFFSET : component == 9 ? PKRU_OFFSET : 0;
}

uint32_t xsave_size(const struct cpu *cpu, uint64_t components)
{
    (void)cpu;
    return components & XCR0_PKRU ? AREA_MAX : components & XCR0_AVX ? PKRU_OFFSET : EXTENDED;
}

uint32_t xsave_compact_size(const struct cpu *cpu, uint64_t components)
{
    (void)cpu;
    return EXTENDED + (components & XCR0_AVX ? AVX_SIZE : 0u) + (components & XCR0_PKRU ? PKRU_SIZE : 0u);
}

/* Where the component is in the area of the given form (13.4.2, 13.4.3). */
static unsigned offset_of(unsigned component, uint64_t compacted)
{
    if (!(compacted & COMPACTED)) {
        return xsave_component_offset(component);
    }
    return component == 2 ? EXTENDED : EXTENDED + (compacted & XCR0_AVX ? AVX_SIZE : 0u);
}

static bool xsave_ready(struct cpu *cpu)
{
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        return cpu_fault(cpu, VEC_UD);
    }
    return !(cpu->cr0 & CR0_TS) || cpu_fault(cpu, VEC_NM);
}

/* Requested-feature bit map. */
static uint64_t requested(const struct cpu *cpu)
{
    return cpu->xcr0 & (reg32(cpu, REG_AX) | (uint64_t)reg32(cpu, REG_DX) << 32);
}

static uint64_t in_use(const struct cpu *cpu)
{
    uint64_t any = 0;

    for (unsigned k = 0; k < XMM_COUNT; k++) {
        any |= cpu->ymm_high[k].q[0] | cpu->ymm_high[k].q[1];
    }
    return XCR0_X87 | XCR0_SSE | (any ? XCR0_AVX : 0) | (cpu->pkru ? XCR0_PKRU : 0);
}

/* Writes the components of `features`; the area has been probed. */
static void write_components(struct cpu *cpu, uint64_t linear, uint64_t features, uint64_t compacted, bool is_wide)
{
    uint8_t image[IMAGE_END];

    simd_make_image(cpu, is_wide, image);
    if (features & XCR0_X87) {
        simd_area_write(cpu, linear, 0, IMAGE_MXCSR, image);
        simd_area_write(cpu, linear, IMAGE_ST, IMAGE_XMM, image);
    }
    if (features & (XCR0_SSE | XCR0_AVX)) {
        simd_area_write(cpu, linear, IMAGE_MXCSR, IMAGE_ST, image);
    }
    if (features & XCR0_SSE) {
        simd_area_write(cpu, linear, IMAGE_XMM, simd_image_end(cpu), image);
    }
    for (unsigned k = 0; (features & XCR0_AVX) && k < 2 * simd_count(cpu); k++) {
        (void)linear_write(cpu, linear + offset_of(2, compacted) + 8 * k, 8, false, cpu->ymm_high[k / 2].q[k % 2]);
    }
    if (features & XCR0_PKRU) {
        (void)linear_write(cpu, linear + offset_of(9, compacted), 8, false, cpu->pkru);
    }
}

enum saving { SAVE_PLAIN, SAVE_OPTIMIZED, SAVE_COMPACTED };

static bool save(struct cpu *cpu, const struct insn *insn, enum saving how, bool is_wide)
{
    uint64_t linear, features = requested(cpu), compacted = how == SAVE_COMPACTED ? features | COMPACTED : 0, present = 0;
    unsigned size = how == SAVE_COMPACTED ? xsave_compact_size(cpu, features) : xsave_size(cpu, features);

    if (!xsave_ready(cpu) || !simd_area(cpu, insn, ACCESS_WRITE, size, 64, &linear) ||
        !linear_probe_write(cpu, linear, size, false)) {
        return false;
    }
    if (how != SAVE_COMPACTED && !linear_read(cpu, linear + XSTATE_BV, 8, false, &present)) {
        return false;
    }
    uint64_t saved = how == SAVE_PLAIN ? features : features & in_use(cpu);
    write_components(cpu, linear, saved, compacted, is_wide);
    /* XSTATE_BV says what is in use: of what was asked for; the rest stays. XSAVEC writes the whole field. */
    (void)linear_write(cpu, linear + XSTATE_BV, 8, false,
                       how == SAVE_COMPACTED ? saved : (present & ~features) | (features & in_use(cpu)));
    if (how == SAVE_COMPACTED) {
        (void)linear_write(cpu, linear + XCOMP_BV, 8, false, compacted);
    }
    return true;
}
#define SAVES(name, how)                                                                                               \
    static bool b_##name(struct cpu *cpu, const struct insn *insn) { return save(cpu, insn, how, false); }             \
    static bool b_##name##64(struct cpu *cpu, const struct insn *insn) { return save(cpu, insn, how, true); }          \
    SLOW(name)                                                                                                         \
    SLOW(name##64)                                                                                                     \
    BIND_REX_W(name)
SAVES(xsave, SAVE_PLAIN)
SAVES(xsaveopt, SAVE_OPTIMIZED)
SAVES(xsavec, SAVE_COMPACTED)

/* Table 13-1: the initial configuration. */
static void make_initial_image(uint8_t image[IMAGE_END])
{
    memset(image, 0, IMAGE_END);
    host_store16(image, X87_CONTROL_INIT);
    host_store32(image + IMAGE_MXCSR, MXCSR_INIT);
}

/* What XRSTOR has read before it changes anything. */
struct restored {
    uint8_t area[IMAGE_SIZE + 64];
    uint64_t present, compacted, ymm[32], pkru;
};

static bool header_ok(const struct cpu *cpu, const struct restored *r)
{
    const uint8_t *header = r->area + HEADER;

    if (r->compacted & COMPACTED) {
        uint64_t form = r->compacted & ~COMPACTED;
        bool rest = host_load64(header + 16) || host_load64(header + 24) || host_load64(header + 32) ||
                    host_load64(header + 40) || host_load64(header + 48) || host_load64(header + 56);
        return cpu_has(cpu, FEATURE_XSAVEC) && !(form & ~cpu->xcr0) && !(r->present & ~form) && !rest;
    }
    return !(r->present & ~cpu->xcr0) && r->compacted == 0 && host_load64(header + 16) == 0;
}

static bool read_components(struct cpu *cpu, uint64_t linear, uint64_t features, struct restored *r)
{
    for (unsigned k = 0; (features & r->present & XCR0_AVX) && k < 2 * simd_count(cpu); k++) {
        if (!linear_read(cpu, linear + offset_of(2, r->compacted) + 8 * k, 8, false, &r->ymm[k])) {
            return false;
        }
    }
    return !(features & r->present & XCR0_PKRU) ||
           linear_read(cpu, linear + offset_of(9, r->compacted), 4, false, &r->pkru);
}

static bool restore(struct cpu *cpu, const struct insn *insn, bool is_wide)
{
    struct restored r;
    uint8_t initial[IMAGE_END];
    uint64_t linear, features = requested(cpu);

    memset(&r, 0, sizeof r);
    if (!xsave_ready(cpu) || !simd_area(cpu, insn, ACCESS_READ, EXTENDED, 64, &linear) ||
        !simd_area_read(cpu, linear, 0, IMAGE_END, r.area) ||
        !simd_area_read(cpu, linear, HEADER, HEADER + 64, r.area)) {
        return false;
    }
    r.present = host_load64(r.area + XSTATE_BV);
    r.compacted = host_load64(r.area + XCOMP_BV);
    uint32_t mxcsr = host_load32(r.area + IMAGE_MXCSR);
    bool takes_mxcsr = (features & (XCR0_SSE | XCR0_AVX)) != 0;
    if (r.compacted & COMPACTED) {
        takes_mxcsr = (features & r.present & XCR0_SSE) != 0; /* 13.12: part of the SSE component */
    }
    if (!header_ok(cpu, &r) || (takes_mxcsr && (mxcsr & ~(uint32_t)MXCSR_MASK))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    if (!read_components(cpu, linear, features, &r)) {
        return false;
    }
    make_initial_image(initial);
    if (features & XCR0_X87) {
        simd_take_x87(cpu, is_wide, r.present & XCR0_X87 ? r.area : initial);
    }
    if (features & XCR0_SSE) {
        simd_take_xmm(cpu, r.present & XCR0_SSE ? r.area : initial);
    }
    if (takes_mxcsr) {
        cpu->mxcsr = mxcsr; /* in the standard form whatever XSTATE_BV says: 13.8.1 */
    } else if ((r.compacted & COMPACTED) && (features & XCR0_SSE)) {
        cpu->mxcsr = MXCSR_INIT;
    }
    for (unsigned k = 0; (features & XCR0_AVX) && k < 2 * simd_count(cpu); k++) {
        cpu->ymm_high[k / 2].q[k % 2] = r.ymm[k];
    }
    if (features & XCR0_PKRU) {
        control_write_pkru(cpu, (uint32_t)r.pkru);
    }
    return true;
}
static bool b_xrstor(struct cpu *cpu, const struct insn *insn) { return restore(cpu, insn, false); }
static bool b_xrstor64(struct cpu *cpu, const struct insn *insn) { return restore(cpu, insn, true); }
SLOW(xrstor)
SLOW(xrstor64)
BIND_REX_W(xrstor)

/* XGETBV with ECX 1: what of XCR0 is in use (13.2). */
static bool b_xgetbv(struct cpu *cpu, const struct insn *insn)
{
    uint32_t index = reg32(cpu, REG_CX);

    (void)insn;
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        return cpu_fault(cpu, VEC_UD);
    }
    if (index > 1 || (index == 1 && !cpu_has(cpu, FEATURE_XGETBV1))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    uint64_t value = index ? cpu->xcr0 & in_use(cpu) : cpu->xcr0;
    set_reg32(cpu, REG_AX, (uint32_t)value);
    set_reg32(cpu, REG_DX, (uint32_t)(value >> 32));
    return true;
}
SLOW(xgetbv)
BIND_ONE(xgetbv, h_xgetbv)

static bool b_xsetbv(struct cpu *cpu, const struct insn *insn)
{
    uint64_t value = reg32(cpu, REG_AX) | (uint64_t)reg32(cpu, REG_DX) << 32;

    (void)insn;
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        return cpu_fault(cpu, VEC_UD);
    }
    if (cpu->cpl != 0 || reg32(cpu, REG_CX) != 0 || (value & ~xsave_components(cpu)) || !(value & XCR0_X87) ||
        ((value & XCR0_AVX) && !(value & XCR0_SSE))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    cpu->xcr0 = value;
    cpu_update_mode(cpu);
    return true;
}
SLOW(xsetbv)
BIND_ONE(xsetbv, h_xsetbv)
