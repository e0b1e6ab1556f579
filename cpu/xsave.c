/* xsave.c - XSAVE, XRSTOR, XGETBV, XSETBV for the two state components there are, x87 and SSE.
 *
 * Intel SDM vol. 1, chapter 13; vol. 2, the instruction pages. Both components always count as in use (XINUSE), which 13.6
 * allows; the standard form only (no XSAVEOPT, XSAVEC, XSAVES). */
#include "cpu/simd.h"

enum { HEADER = IMAGE_SIZE, AREA_SIZE = 576, XCR0_KNOWN = 3 };

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

static bool b_xsave(struct cpu *cpu, const struct insn *insn)
{
    uint8_t image[IMAGE_END];
    uint64_t linear, features = requested(cpu), present;

    if (!xsave_ready(cpu) || !simd_area(cpu, insn, ACCESS_WRITE, AREA_SIZE, 64, &linear) ||
        !linear_probe_write(cpu, linear, AREA_SIZE, false) || !linear_read(cpu, linear + HEADER, 8, false, &present)) {
        return false;
    }
    simd_make_image(cpu, image);
    if (features & XCR0_X87) {
        simd_area_write(cpu, linear, 0, IMAGE_MXCSR, image);
        simd_area_write(cpu, linear, IMAGE_ST, IMAGE_XMM, image);
    }
    if (features & XCR0_SSE) {
        simd_area_write(cpu, linear, IMAGE_MXCSR, IMAGE_ST, image);
        simd_area_write(cpu, linear, IMAGE_XMM, IMAGE_END, image);
    }
    (void)linear_write(cpu, linear + HEADER, 8, false, present | features); /* probed */
    return true;
}
SLOW(xsave)
BIND_ONE(xsave, h_xsave)

/* Table 13-1: the initial configuration. */
static void make_initial_image(uint8_t image[IMAGE_END])
{
    memset(image, 0, IMAGE_END);
    host_store16(image, X87_CONTROL_INIT);
}

static bool b_xrstor(struct cpu *cpu, const struct insn *insn)
{
    uint8_t area[AREA_SIZE], initial[IMAGE_END];
    uint64_t linear, features = requested(cpu);

    if (!xsave_ready(cpu) || !simd_area(cpu, insn, ACCESS_READ, AREA_SIZE, 64, &linear) ||
        !simd_area_read(cpu, linear, 0, IMAGE_END, area) || !simd_area_read(cpu, linear, HEADER, HEADER + 24, area)) {
        return false;
    }
    uint64_t present = host_load64(area + HEADER);
    uint32_t mxcsr = host_load32(area + IMAGE_MXCSR);
    if ((present & ~cpu->xcr0) || host_load64(area + HEADER + 8) || host_load64(area + HEADER + 16) ||
        ((features & XCR0_SSE) && (mxcsr & ~(uint32_t)MXCSR_MASK))) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    make_initial_image(initial);
    if (features & XCR0_X87) {
        simd_take_x87(cpu, present & XCR0_X87 ? area : initial);
    }
    if (features & XCR0_SSE) {
        simd_take_xmm(cpu, present & XCR0_SSE ? area : initial);
        cpu->mxcsr = mxcsr; /* whatever XSTATE_BV says: 13.8.1 */
    }
    return true;
}
SLOW(xrstor)
BIND_ONE(xrstor, h_xrstor)

static bool b_xgetbv(struct cpu *cpu, const struct insn *insn)
{
    (void)insn;
    if (!(cpu->cr4 & CR4_OSXSAVE)) {
        return cpu_fault(cpu, VEC_UD);
    }
    if (reg32(cpu, REG_CX) != 0) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    set_reg32(cpu, REG_AX, (uint32_t)cpu->xcr0);
    set_reg32(cpu, REG_DX, (uint32_t)(cpu->xcr0 >> 32));
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
    if (cpu->cpl != 0 || reg32(cpu, REG_CX) != 0 || (value & ~(uint64_t)XCR0_KNOWN) || !(value & XCR0_X87)) {
        return cpu_fault_error(cpu, VEC_GP, 0);
    }
    cpu->xcr0 = value;
    return true;
}
SLOW(xsetbv)
BIND_ONE(xsetbv, h_xsetbv)
