/* simd_state.c - preconditions, 16-byte operands, MXCSR and FXSAVE/FXRSTOR.
 *
 * Intel SDM vol. 1, 10.2.3, 10.5 and 11.6.5 to 11.6.6; vol. 2, FXSAVE (tables 3-43 and 3-44), FXRSTOR, LDMXCSR, STMXCSR; vol. 3,
 * table 13-1.
 *
 * Where the SDM leaves a choice: with CR4.OSFXSR clear FXSAVE and FXRSTOR leave XMM registers and MXCSR alone, as
 * processors of the P6 family do; reserved bytes up to offset 287 are written as zeros, those behind are left; a misaligned image is
 * #GP(0) before #AC. */
#include "cpu/simd.h"

/* ---- preconditions ---- */

NOINLINE bool sse_blocked(struct cpu *cpu)
{
    return cpu_fault(cpu, (cpu->cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR) ? VEC_UD : VEC_NM);
}

NOINLINE const struct insn *sse_fault_exit(struct cpu *cpu, const struct insn *insn)
{
    if (cpu->sse_is_blocked) {
        (void)sse_blocked(cpu);
    }
    return fault_exit(cpu, insn);
}

NOINLINE bool mmx_blocked(struct cpu *cpu)
{
    return cpu->cr0 & CR0_EM ? cpu_fault(cpu, VEC_UD) : x87_blocked(cpu);
}

/* ---- 16 bytes ---- */

static bool linear_of_128(struct cpu *cpu, const struct insn *insn, bool is_aligned, enum access_kind kind,
                          uint64_t *linear)
{
    cpu->current = insn;
    if (!segment_linear(cpu, ea_segment(insn), ea_generic(cpu, insn), 16, kind, linear)) {
        return false;
    }
    return !is_aligned || (*linear & 15) == 0 || cpu_fault_error(cpu, VEC_GP, 0);
}

bool simd_read128(struct cpu *cpu, const struct insn *insn, bool is_aligned, union xmm_value *value)
{
    uint64_t linear, offset = ea_generic(cpu, insn);
    enum segment_index seg = ea_segment(insn);

    return linear_of_128(cpu, insn, is_aligned, ACCESS_READ, &linear) &&
           segment_read(cpu, seg, offset, 8, &value->q[0]) && segment_read(cpu, seg, offset + 8, 8, &value->q[1]);
}

bool simd_write128(struct cpu *cpu, const struct insn *insn, bool is_aligned, const union xmm_value *value)
{
    uint64_t linear, offset = ea_generic(cpu, insn);
    enum segment_index seg = ea_segment(insn);

    return linear_of_128(cpu, insn, is_aligned, ACCESS_WRITE, &linear) && segment_probe_write(cpu, seg, offset, 8) &&
           segment_probe_write(cpu, seg, offset + 8, 8) && segment_write(cpu, seg, offset, 8, value->q[0]) &&
           segment_write(cpu, seg, offset + 8, 8, value->q[1]);
}

bool simd_masked_store(struct cpu *cpu, const struct insn *insn, const union xmm_value *data,
                       const union xmm_value *mask, unsigned bytes)
{
    enum segment_index seg = ea_segment(insn);
    uint64_t offset_mask = address_mask(insn);

    cpu->current = insn;
    /* All bytes must be writable, those left out too: the SDM leaves it open, AMD Zen does so. Alignment counts by quadword. */
    for (unsigned k = 0; k < bytes; k += 8) {
        if (!segment_probe_write(cpu, seg, (cpu->gpr[REG_DI] + k) & offset_mask, 8)) {
            return false;
        }
    }
    for (unsigned k = 0; k < bytes; k++) {
        if (VB(mask, k) & 0x80) {
            (void)segment_write(cpu, seg, (cpu->gpr[REG_DI] + k) & offset_mask, 1, VB(data, k)); /* probed */
        }
    }
    return true;
}

/* ---- MXCSR ---- */

static ALWAYS_INLINE bool b_ldmxcsr(struct cpu *cpu, const struct insn *insn, enum form form)
{
    uint32_t value;

    if (!sse_ready(cpu) || !load32(cpu, insn, form, &value)) {
        return false;
    }
    if (value & ~(uint32_t)MXCSR_MASK) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    cpu->mxcsr = value;
    return true;
}
SSE_BIND_MEM(ldmxcsr, 1)

static ALWAYS_INLINE bool b_stmxcsr(struct cpu *cpu, const struct insn *insn, enum form form)
{
    return sse_ready(cpu) && store32(cpu, insn, form, cpu->mxcsr);
}
SSE_BIND_MEM(stmxcsr, 1)

/* ---- the 512-byte image ---- */

bool simd_area(struct cpu *cpu, const struct insn *insn, enum access_kind kind, unsigned size, unsigned alignment,
               uint64_t *linear)
{
    cpu->current = insn;
    if (!segment_linear(cpu, ea_segment(insn), ea_generic(cpu, insn), size, kind, linear)) {
        return false;
    }
    return (*linear & (alignment - 1)) == 0 || cpu_fault_error(cpu, VEC_GP, 0);
}

bool simd_area_read(struct cpu *cpu, uint64_t linear, unsigned from, unsigned to, uint8_t *image)
{
    uint64_t value;

    for (unsigned k = from; k < to; k += 8) {
        if (!linear_read(cpu, linear + k, 8, false, &value)) {
            return false;
        }
        host_store64(image + k, value);
    }
    return true;
}

void simd_area_write(struct cpu *cpu, uint64_t linear, unsigned from, unsigned to, const uint8_t *image)
{
    for (unsigned k = from; k < to; k += 8) {
        (void)linear_write(cpu, linear + k, 8, false, host_load64(image + k)); /* probed */
    }
}

void simd_make_image(const struct cpu *cpu, bool is_wide, uint8_t image[IMAGE_END])
{
    const struct fpu *fpu = &cpu->fpu;

    memset(image, 0, IMAGE_END);
    host_store16(image, fpu->control);
    host_store16(image + 2, x87_status_word(cpu));
    image[4] = (uint8_t)~fpu->empty;
    host_store16(image + 6, fpu->opcode & 0x7ff);
    if (is_wide) {
        host_store64(image + 8, fpu->instruction_pointer);
        host_store64(image + 16, fpu->data_pointer);
    } else {
        host_store32(image + 8, (uint32_t)fpu->instruction_pointer);
        host_store16(image + 12, fpu->instruction_selector);
        host_store32(image + 16, (uint32_t)fpu->data_pointer);
        host_store16(image + 20, fpu->data_selector);
    }
    host_store32(image + IMAGE_MXCSR, cpu->mxcsr);
    host_store32(image + IMAGE_MXCSR_MASK, MXCSR_MASK);
    for (unsigned k = 0; k < 8; k++) {
        unsigned reg = x87_st(cpu, k);
        host_store64(image + IMAGE_ST + 16 * k, fpu->mantissa[reg]);
        host_store16(image + IMAGE_ST + 16 * k + 8, fpu->sign_exp[reg]);
    }
    for (unsigned k = 0; k < simd_count(cpu); k++) {
        host_store128(image + IMAGE_XMM + 16 * k, &cpu->xmm[k]);
    }
}

void simd_take_x87(struct cpu *cpu, bool is_wide, const uint8_t image[IMAGE_END])
{
    struct fpu *fpu = &cpu->fpu;
    unsigned status = host_load16(image + 2);

    fpu->control = (uint16_t)((host_load16(image) & X87_CONTROL_KEPT) | X87_CONTROL_SET);
    fpu->status = (uint16_t)(status & (X87_CODES | X87_SF | X87_EXCEPTIONS));
    fpu->top = status >> 11 & 7;
    fpu->empty = (uint8_t)~image[4];
    fpu->opcode = host_load16(image + 6) & 0x7ff;
    fpu->instruction_pointer = is_wide ? host_load64(image + 8) : host_load32(image + 8);
    fpu->instruction_selector = is_wide ? 0 : host_load16(image + 12);
    fpu->data_pointer = is_wide ? host_load64(image + 16) : host_load32(image + 16);
    fpu->data_selector = is_wide ? 0 : host_load16(image + 20);
    for (unsigned k = 0; k < 8; k++) {
        unsigned reg = x87_st(cpu, k);
        fpu->mantissa[reg] = host_load64(image + IMAGE_ST + 16 * k);
        fpu->sign_exp[reg] = host_load16(image + IMAGE_ST + 16 * k + 8);
    }
    x87_summarize(cpu);
}

void simd_take_xmm(struct cpu *cpu, const uint8_t image[IMAGE_END])
{
    for (unsigned k = 0; k < simd_count(cpu); k++) {
        host_load128(image + IMAGE_XMM + 16 * k, &cpu->xmm[k]);
    }
}

static bool x87_available(struct cpu *cpu)
{
    return !(cpu->cr0 & (CR0_EM | CR0_TS)) || cpu_fault(cpu, VEC_NM);
}

/* FXSAVE does not wait: a pending x87 exception stays pending. */
static bool save_image(struct cpu *cpu, const struct insn *insn, bool is_wide)
{
    uint8_t image[IMAGE_END];
    uint64_t linear;

    if (!x87_available(cpu) || !simd_area(cpu, insn, ACCESS_WRITE, IMAGE_SIZE, 16, &linear) ||
        !linear_probe_write(cpu, linear, IMAGE_SIZE, false)) {
        return false;
    }
    simd_make_image(cpu, is_wide, image);
    if (cpu->cr4 & CR4_OSFXSR) {
        simd_area_write(cpu, linear, 0, simd_image_end(cpu), image);
    } else {
        simd_area_write(cpu, linear, 0, IMAGE_MXCSR, image);
        simd_area_write(cpu, linear, IMAGE_ST, IMAGE_XMM, image);
    }
    return true;
}
static bool b_fxsave(struct cpu *cpu, const struct insn *insn) { return save_image(cpu, insn, false); }
static bool b_fxsave64(struct cpu *cpu, const struct insn *insn) { return save_image(cpu, insn, true); }
SLOW(fxsave)
SLOW(fxsave64)
BIND_REX_W(fxsave)

static bool load_image(struct cpu *cpu, const struct insn *insn, bool is_wide)
{
    uint8_t image[IMAGE_END];
    bool has_sse = (cpu->cr4 & CR4_OSFXSR) != 0;
    uint64_t linear, last;

    /* The whole area is read, its reserved end too. */
    if (!x87_available(cpu) || !simd_area(cpu, insn, ACCESS_READ, IMAGE_SIZE, 16, &linear) ||
        !simd_area_read(cpu, linear, 0, simd_image_end(cpu), image) ||
        !linear_read(cpu, linear + IMAGE_SIZE - sizeof last, sizeof last, false, &last)) {
        return false;
    }
    uint32_t mxcsr = host_load32(image + IMAGE_MXCSR);
    if (has_sse && (mxcsr & ~(uint32_t)MXCSR_MASK)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    simd_take_x87(cpu, is_wide, image);
    if (has_sse) {
        cpu->mxcsr = mxcsr;
        simd_take_xmm(cpu, image);
    }
    return true;
}
static bool b_fxrstor(struct cpu *cpu, const struct insn *insn) { return load_image(cpu, insn, false); }
static bool b_fxrstor64(struct cpu *cpu, const struct insn *insn) { return load_image(cpu, insn, true); }
SLOW(fxrstor)
SLOW(fxrstor64)
BIND_REX_W(fxrstor)
